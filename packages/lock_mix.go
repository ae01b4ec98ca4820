package packages

import (
	"bytes"
	"io/fs"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// lockMix reads mix.lock and, as far as its dependencies are written down plainly, mix.exs (hexdocs.pm/mix).
var lockMix = Recogniser{
	Name: "mix-lock", Version: 1, Lock: true,
	Wants: func(p string, _ int64, _ fs.FileMode) bool {
		return baseIs(p, "mix.lock", "mix.exs") && inTree(p) && !strings.HasPrefix(p, "deps/") && !strings.Contains(p, "/deps/")
	},
	Read: func(f *File) (Facts, error) {
		if baseIs(f.Path, "mix.exs") {
			return readMixExs(f)
		}
		return readMixLock(f)
	},
	Join: func(_ Context, all []Facts) Joined { return mixFamily.join(all) },
}

var mixFamily = lockFamily{
	ecosystem: "hex",
	purl:      func(name, version string) string { return purl.New("hex", "", name, version) },
	exact: func(rng string) string {
		if v := strings.TrimSpace(strings.TrimPrefix(rng, "==")); isVersion(v, 3) {
			return v
		}
		return ""
	},
	manifest: func(base string) bool { return base == "mix.exs" },
}

// elixirTerm is a literal: a string, an atom or another word, or a tuple, list or map of terms.
type elixirTerm struct {
	kind  byte // '"' a string, ':' an atom, 'w' a word or number, or the bracket that opens it
	text  string
	key   string // in "key: value" and "key" => value
	items []elixirTerm
}

// value returns the text of the item with that key.
func (t *elixirTerm) value(key string) string {
	for i := range t.items {
		if t.items[i].key == key {
			return t.items[i].text
		}
		if t.items[i].kind == '[' && t.items[i].key == "" { // options in brackets of their own
			for k := range t.items[i].items {
				if t.items[i].items[k].key == key {
					return t.items[i].items[k].text
				}
			}
		}
	}
	return ""
}

func (t *elixirTerm) at(i int) *elixirTerm {
	if i < len(t.items) {
		return &t.items[i]
	}
	return &elixirTerm{}
}

// elixirReader reads the literals of Elixir (hexdocs.pm/elixir/syntax-reference.html); what stands between them is
// words. Brackets are kept on a stack of at most maxLockDepth.
type elixirReader struct {
	stack []elixirTerm
	// closed is called for each bracket as it closes, with its depth; word for words outside of all brackets.
	closed func(t *elixirTerm, depth int)
	word   func(text string)
}

func (r *elixirReader) read(b []byte) error {
	key := ""
	take := func(t elixirTerm) {
		t.key, key = key, ""
		if len(r.stack) > 0 {
			top := &r.stack[len(r.stack)-1]
			top.items = append(top.items, t)
		} else if r.word != nil {
			r.word(t.key)
			r.word(t.text)
		}
	}
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '#':
			for i < len(b) && b[i] != '\n' {
				i++
			}
		case c == '"':
			text, end := elixirString(b, i)
			if end < 0 {
				return seaworthy.Errorf(seaworthy.Invalid, "a string does not end")
			}
			if i = end; i+1 < len(b) && b[i] == ':' && b[i+1] == ' ' || bytes.HasPrefix(bytes.TrimLeft(b[i:min(len(b), i+8)], " "), []byte("=>")) {
				key = text
				i++
			} else {
				take(elixirTerm{kind: '"', text: text})
			}
		case c == ':' && i+1 < len(b) && (isAlnum(b[i+1]) || b[i+1] == '_'):
			end := endOfElixirWord(b, i+1)
			take(elixirTerm{kind: ':', text: string(b[i+1 : end])})
			i = end
		case isAlnum(c) || c == '_' || c == '@' || c == '~':
			end := endOfElixirWord(b, i+1)
			word := string(b[i:end])
			if i = end; i+1 < len(b) && b[i] == ':' && b[i+1] != ':' {
				key = word
				i++
			} else {
				take(elixirTerm{kind: 'w', text: word})
			}
		case c == '{' || c == '[' || c == '(':
			if len(r.stack) >= maxLockDepth {
				return seaworthy.Errorf(seaworthy.TooLarge, "nested more than %d deep", maxLockDepth)
			}
			r.stack = append(r.stack, elixirTerm{kind: c, key: key})
			key = ""
			i++
		case c == '}' || c == ']' || c == ')':
			if len(r.stack) == 0 || closing(r.stack[len(r.stack)-1].kind) != c {
				return seaworthy.Errorf(seaworthy.Invalid, "%q closes what was not opened", c)
			}
			t := r.stack[len(r.stack)-1]
			r.stack = r.stack[:len(r.stack)-1]
			r.closed(&t, len(r.stack))
			key = t.key
			if len(r.stack) > 0 {
				take(t)
			}
			key = ""
			i++
		default:
			i++
		}
	}
	if len(r.stack) > 0 {
		return seaworthy.Errorf(seaworthy.Invalid, "a %q is not closed", r.stack[0].kind)
	}
	return nil
}

func endOfElixirWord(b []byte, i int) int {
	for i < len(b) && (isAlnum(b[i]) || b[i] == '_' || b[i] == '.' || b[i] == '?' || b[i] == '!' || b[i] == '@') {
		i++
	}
	return i
}

// elixirString reads the string at i, which may be a heredoc: its text and the index behind it, or -1.
func elixirString(b []byte, i int) (string, int) {
	if bytes.HasPrefix(b[i:], []byte(`"""`)) {
		if end := bytes.Index(b[i+3:], []byte(`"""`)); end >= 0 {
			return "", i + end + 6
		}
		return "", -1
	}
	for j := i + 1; j < len(b); j++ {
		switch b[j] {
		case '\\':
			j++
		case '"':
			return unescape(b[i+1 : j]), j + 1
		}
	}
	return "", -1
}

// readMixLock reads "name": {:hex, :name, "version", "hash", [managers], [dependencies], "repository", "outer hash"} and
// "name": {:git, "address", "commit", [options]}.
func readMixLock(f *File) (Facts, error) {
	b, err := scriptBytes(f)
	if err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	l.project(here, "hex")
	r := elixirReader{closed: func(t *elixirTerm, depth int) {
		if depth == 1 && t.kind == '{' && t.key != "" {
			mixLocked(l, t)
		}
	}}
	if err := r.read(stripBOM(b)); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	for _, p := range l.Packages[1:] {
		for _, d := range p.Depends {
			if l.has(d.Name) {
				l.dependsOn(p.Ref, d.Name, d.Scope)
			}
		}
	}
	return l.Facts, nil
}

func mixLocked(l *lockFacts, t *elixirTerm) {
	p := seaworthy.Package{Ref: t.key, Ecosystem: "hex", Name: t.key}
	switch t.at(0).text {
	case "hex":
		if name := t.at(1).text; name != "" {
			p.Name = name
		}
		p.Version = t.at(2).text
		namespace := ""
		if repository := t.at(6).text; strings.HasPrefix(repository, "hexpm:") {
			namespace = strings.TrimPrefix(repository, "hexpm:") // an organisation
		} else {
			p.Download = "https://repo.hex.pm/tarballs/" + p.Name + "-" + p.Version + ".tar"
		}
		p.PURL = purl.New("hex", namespace, p.Name, p.Version)
		if d, err := seaworthy.NewDigest("sha256", t.at(7).text); err == nil {
			setHashes(&p, []seaworthy.Digest{d})
		}
		depends := t.at(5)
		for i := range depends.items {
			if d := &depends.items[i]; d.kind == '{' {
				scope := seaworthy.Scope("")
				if d.value("optional") == "true" {
					scope = seaworthy.Optional
				}
				p.Depends = append(p.Depends, seaworthy.Dependency{Name: d.at(0).text, Range: d.at(1).text, Scope: scope})
			}
		}
	case "git":
		commit := t.at(2).text
		p.Version = commit
		if tag := t.value("tag"); tag != "" {
			p.Version = strings.TrimPrefix(tag, "v")
		}
		p.Download = vcsURL(cleanDownload(t.at(1).text), commit)
		p.PURL = purl.New("hex", "", p.Name, p.Version, "vcs_url", p.Download)
	default:
		l.problem(seaworthy.Invalid, quoted(t.key)+" has a source that is not known")
		return
	}
	l.add(p)
	l.resolves(t.key, p.Ref)
	if p.Name != t.key {
		l.resolves(p.Name, p.Ref)
	}
}

// readMixExs reads tuples like {:plug, "~> 1.0", only: :test} in the function that is called deps, and the project's
// name and version.
func readMixExs(f *File) (Facts, error) {
	b, err := scriptBytes(f)
	if err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	p := l.project(here, "hex")
	function, last, version := "", "", ""
	r := elixirReader{
		word: func(text string) {
			if text == "" {
				return
			}
			if last == "def" || last == "defp" {
				function = text
			}
			if last == "@version" {
				version = text
			}
			last = text
		},
		closed: func(t *elixirTerm, depth int) {
			switch {
			case function == "project" && depth == 0 && t.kind == '[' && p.Name == "":
				p.Name, p.Version = t.value("app"), t.value("version")
			case function == "deps" && depth == 1 && t.kind == '{' && t.at(0).kind == ':' && len(t.items) > 1:
				if d, ok := mixAsked(t); ok {
					p.Depends = append(p.Depends, d)
				}
			}
		},
	}
	if err := r.read(stripBOM(b)); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	if strings.HasPrefix(p.Version, "@") {
		p.Version = version
	}
	return l.Facts, nil
}

func mixAsked(t *elixirTerm) (seaworthy.Dependency, bool) {
	d := seaworthy.Dependency{Name: t.at(0).text}
	if second := t.at(1); second.kind == '"' && second.key == "" {
		d.Range = second.text
	}
	if t.value("path") != "" || t.value("in_umbrella") == "true" {
		return d, false // part of the tree
	}
	for _, key := range [...]string{"git", "github"} {
		if address := t.value(key); address != "" && d.Range == "" {
			if key == "github" {
				address = "https://github.com/" + address
			}
			d.Range = vcsURL(cleanDownload(address), "")
		}
	}
	only := t.value("only")
	for i := range t.items { // only: [:dev, :test]
		if o := &t.items[i]; o.key == "only" && o.kind == '[' && len(o.items) > 0 {
			only = o.items[0].text
			for k := range o.items {
				if o.items[k].text == "prod" {
					only = ""
				}
			}
		}
	}
	switch {
	case only == "test":
		d.Scope = seaworthy.Test
	case only != "" && only != "prod":
		d.Scope = seaworthy.Development
	case t.value("optional") == "true":
		d.Scope = seaworthy.Optional
	}
	return d, true
}
