package graph

import (
	"cmp"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// Limits of what subjects are found by.
const (
	// maxTerm is how much of a key or name is in the index, in bytes. More of a longer text is compared with the
	// key itself.
	maxTerm = 80
	// maxWords is how many beginnings of words of a key or name are in the index.
	maxWords = 12
	// maxLook is how many terms that begin with a text are looked at, for each kind.
	maxLook = 20_000
)

// term is a text by which a subject is found: a key or name from the beginning of one of its words to its end.
type term struct {
	text  string // lower case, whole
	whole bool   // it is the key or name, not only its end
}

// cut is what the index has of a term: no zero bytes, and not all of a long one.
func (t term) cut() string {
	return strings.ReplaceAll(t.text[:min(len(t.text), maxTerm)], "\x00", "\x01")
}

// keyTerms gives what a subject is found by: its key and the words of it.
//
//	sha256:ada949e0…          ada949e0…
//	pkg:deb/debian/libc6@2.36 deb/debian/libc6@2.36, debian/libc6@2.36, libc6@2.36, 2.36
//	CVE-2023-44487            (2023-44487 is no word: it begins with a digit and is no version)
func keyTerms(s seaworthy.Subject) []term {
	key := strings.ToLower(s.Key)
	terms := []term{{key, true}}
	if s.Kind == seaworthy.ArtifactSubject || s.Kind == seaworthy.DocumentSubject {
		if alg, value, ok := strings.Cut(key, ":"); ok && alg != "" && value != "" {
			return append(terms, term{value, false})
		}
		return terms
	}
	searched := key
	if s.Kind == seaworthy.PackageSubject {
		searched, _, _ = strings.Cut(key, "?") // qualifiers are no words, but part of what a word goes on with
	}
	return appendWords(terms, key, len(searched))
}

// maxPaths is how many statements about a file are read for the paths it is found by.
const maxPaths = 100

// pathsOf gives the paths among the attributes of a statement about a file.
func pathsOf(attrs []seaworthy.Property) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, a := range attrs {
			if a.Name == "path" && a.Value != "" && !strings.HasSuffix(a.Value, "/") && len(a.Value) <= MaxKey && !yield(a.Value) {
				return
			}
		}
	}
}

// baseOf gives the term by which a file is found that has a path.
func baseOf(path string) string {
	path = strings.ToLower(path)
	return path[strings.LastIndexByte(path, '/')+1:]
}

// nameTerms gives what a subject is found by that has a name: the name, and its words. Of a path it is the last
// element only: thousands of files share the folders, and a store may have millions of files.
func nameTerms(name string) []term {
	name = strings.ToLower(name)
	if isPath(name) {
		if base := baseOf(name); base != "" {
			return []term{{base, false}}
		}
		return nil
	}
	return appendWords([]term{{name, true}}, name, len(name))
}

func isPath(name string) bool { return strings.HasPrefix(name, "/") || strings.HasPrefix(name, "./") }

// appendWords adds the ends of key that begin with a word, before end.
func appendWords(terms []term, key string, end int) []term {
	for i := 1; i < end && len(terms) <= maxWords; i++ {
		before, c := key[i-1], key[i]
		switch {
		case !separates(before) || separates(c):
		case c >= '0' && c <= '9' && before != '@': // "2023-44487" and "36-9" are what nobody remembers
		default:
			terms = append(terms, term{key[i:], false})
		}
	}
	return terms
}

func separates(c byte) bool { return c < 0x80 && strings.IndexByte("/:@._-|#+ ,~%=", c) >= 0 }

// sought is a Search that was checked.
type sought struct {
	text  string // lower case
	kinds []byte
	limit int // of each kind
}

func (s Search) check() (sought, error) {
	out := sought{text: strings.ToLower(strings.TrimSpace(s.Text)), limit: s.Limit}
	var err error
	if out.kinds, err = kindNumbers(s.Kinds); err != nil {
		return out, err
	}
	if out.limit == 0 {
		out.limit = 20
	}
	if out.limit < 0 || out.limit > MaxFound {
		return out, seaworthy.Errorf(seaworthy.Invalid, "searching for %.100q: %d hits, at most %d are given", s.Text, s.Limit, MaxFound)
	}
	return out, nil
}

// beginnings gives what terms of the index must begin with: the text and, of a path, its last element.
func (s sought) beginnings() []string {
	all := []string{term{text: s.text}.cut()}
	if base := path.Base(s.text); isPath(s.text) && !strings.HasSuffix(s.text, "/") {
		all = append(all, term{text: base}.cut())
	}
	return all
}

// found is a hit with what decides its place.
type found struct {
	Hit
	term  string // as the index has it
	class byte   // of the entry
}

// match says how the text finds a subject, by its key or, if that is not "", by a name: by the least of the terms that
// begin with it.
func (s sought) match(n node, name string) (found, bool) {
	if isPath(name) {
		return s.matchPath(n, name, classWord)
	}
	terms := nameTerms(name)
	if name == "" {
		terms = keyTerms(n.subject)
	}
	var best term
	ok := false
	for _, t := range terms {
		if strings.HasPrefix(t.text, s.text) && (!ok || compareTerms(t, best) < 0) {
			best, ok = t, true
		}
	}
	digest := name == "" && (n.subject.Kind == seaworthy.ArtifactSubject || n.subject.Kind == seaworthy.DocumentSubject)
	exact := best.text == s.text && (best.whole || digest)
	return found{Hit{n.id, n.subject, name, exact}, best.cut(), classOf(best.whole)}, ok
}

// matchPath is match for a name that is a path: it is found by the beginning of its last element, with all folders
// before it or with none.
func (s sought) matchPath(n node, name string, class byte) (found, bool) {
	lower := strings.ToLower(name)
	folder, base := path.Split(lower)
	soughtFolder, soughtBase := "", s.text
	if isPath(s.text) {
		soughtFolder, soughtBase = path.Split(s.text)
	}
	ok := soughtBase != "" && strings.HasPrefix(base, soughtBase) && (soughtFolder == "" || soughtFolder == folder)
	return found{Hit{n.id, n.subject, name, lower == s.text}, term{text: base}.cut(), class}, ok
}

func compareTerms(a, b term) int {
	return cmp.Or(strings.Compare(a.cut(), b.cut()), compareBools(a.whole, b.whole))
}

// compareBools puts true first.
func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func compareFound(a, b found) int {
	return cmp.Or(strings.Compare(a.term, b.term), cmp.Compare(a.class, b.class), compareIDs(a.ID, b.ID), strings.Compare(a.Name, b.Name))
}

// hits puts what was found into order, kind by kind, each subject once, and leaves out what is beyond the limits.
func (s sought) hits(all []found) []Hit {
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(numberOfKind(a.Subject.Kind), numberOfKind(b.Subject.Kind)), compareFound(a, b))
	})
	var hits []Hit
	seen := map[ID]bool{}
	count := map[seaworthy.SubjectKind]int{}
	for _, f := range all {
		if seen[f.ID] || count[f.Subject.Kind] == s.limit {
			continue
		}
		seen[f.ID] = true
		count[f.Subject.Kind]++
		hits = append(hits, f.Hit)
	}
	return hits[:min(len(hits), MaxFound)]
}
