package facet

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// DocumentID is the SPDX identifier of the document itself.
const DocumentID = "SPDXRef-DOCUMENT"

// Plan is the order in which a bill is written and the identifiers of its elements. Equal bills, and bills that
// differ only in the order of their lists, have equal plans.
type Plan struct {
	Bill *seaworthy.Bill
	// Packages and Files are indexes into the bill's lists, sorted by Ref.
	Packages, Files []int
	// PackageIDs and FileIDs are SPDX identifiers ("SPDXRef-…"), by index into the bill's lists.
	PackageIDs, FileIDs []string
	Roots               []string // Refs: the bill's roots and what it describes, sorted, each once
	// Relations have no inverse verbs and not what Roots say, sorted by From, Type, Scope, Comment, To.
	Relations []seaworthy.Relation
	Licences  []seaworthy.LicenceText // sorted
	Notes     []seaworthy.Note        // sorted
	// Names are the identifiers of Refs that no element carries and that do not tell the Ref.
	Names []Name

	ids   map[string]string // Ref → identifier
	loose map[string]bool   // the Refs of Names
	taken map[string]bool
	kept  func(ref string) bool
}

// NewPlan makes the plan of b, which it does not change. Keep, where not nil, reports that a Ref is to be used as
// the identifier, as it is.
func NewPlan(b *seaworthy.Bill, keep func(ref string) bool) *Plan {
	p := &Plan{
		Bill: b, PackageIDs: make([]string, len(b.Packages)), FileIDs: make([]string, len(b.Files)),
		ids: make(map[string]string, len(b.Packages)+len(b.Files)), taken: map[string]bool{DocumentID: true},
	}
	p.Packages = order(len(b.Packages), func(i, j int) int {
		x, y := &b.Packages[i], &b.Packages[j]
		return cmp.Or(cmp.Compare(x.Ref, y.Ref), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Version, y.Version), cmp.Compare(x.PURL, y.PURL))
	})
	p.Files = order(len(b.Files), func(i, j int) int {
		return cmp.Or(cmp.Compare(b.Files[i].Ref, b.Files[j].Ref), cmp.Compare(b.Files[i].Path, b.Files[j].Path))
	})
	kept := func(ref string) bool { return Valid(ref) || keep != nil && keep(ref) }
	p.kept = kept
	// Identifiers that stay as they are come first, so that no other element takes them.
	for _, verbatim := range []bool{true, false} {
		for _, i := range p.Packages {
			if ref := b.Packages[i].Ref; kept(ref) == verbatim {
				p.PackageIDs[i] = p.claim(ref, cmp.Or(ref, b.Packages[i].Name), "Package", verbatim)
			}
		}
		for _, i := range p.Files {
			if ref := b.Files[i].Ref; kept(ref) == verbatim {
				p.FileIDs[i] = p.claim(ref, cmp.Or(ref, b.Files[i].Path), "File", verbatim)
			}
		}
	}
	p.relate()
	p.Licences = slices.Clone(b.Licences)
	slices.SortStableFunc(p.Licences, func(a, b seaworthy.LicenceText) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Text, b.Text))
	})
	p.Notes = slices.Clone(b.Notes)
	slices.SortStableFunc(p.Notes, CompareNotes)
	return p
}

// CompareNotes orders notes by what they are about, then time, then the rest.
func CompareNotes(a, b seaworthy.Note) int {
	return cmp.Or(cmp.Compare(a.Ref, b.Ref), a.At.Compare(b.At), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.By.Name, b.By.Name), cmp.Compare(a.By.Kind, b.By.Kind), cmp.Compare(a.Text, b.Text))
}

// CompareRelations orders relations by From, Type, Scope, Comment and To.
func CompareRelations(a, b seaworthy.Relation) int {
	return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Scope, b.Scope),
		cmp.Compare(a.Comment, b.Comment), cmp.Compare(a.To, b.To))
}

func order(n int, less func(i, j int) int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, less)
	return out
}

// claim gives an element an identifier that no other has. The first element with a Ref is what the Ref means.
func (p *Plan) claim(ref, from, kind string, verbatim bool) string {
	id := ref
	if !verbatim {
		id = "SPDXRef-" + kind + "-" + letters(from)
	}
	if p.taken[id] {
		sum := sha256.Sum256([]byte(kind + "\x00" + ref))
		id += "-" + hex.EncodeToString(sum[:6])
		for base, n := id, 2; p.taken[id]; n++ {
			id = base + "-" + strconv.Itoa(n)
		}
	}
	p.taken[id] = true
	if _, ok := p.ids[ref]; !ok && ref != seaworthy.DocumentRef {
		p.ids[ref] = id
	}
	return id
}

// Carried reports whether an element of the bill has this Ref.
func (p *Plan) Carried(ref string) bool {
	_, ok := p.ids[ref]
	return ok && !p.loose[ref] || ref == seaworthy.DocumentRef
}

// ID returns the identifier of a Ref, carried or not.
func (p *Plan) ID(ref string) string {
	if ref == seaworthy.DocumentRef {
		return DocumentID
	}
	if id, ok := p.ids[ref]; ok {
		return id
	}
	return ref // relate has named all others
}

// relate turns and sorts the relations, and names what they name.
func (p *Plan) relate() {
	b := p.Bill
	roots := slices.Clone(b.Roots)
	p.Relations = make([]seaworthy.Relation, 0, len(b.Relations))
	for _, r := range b.Relations {
		r = Turn(r)
		if IsRoot(r) {
			roots = append(roots, r.To)
			continue
		}
		p.Relations = append(p.Relations, r)
	}
	slices.SortStableFunc(p.Relations, CompareRelations)
	slices.Sort(roots)
	p.Roots = slices.Compact(roots)

	var loose []string
	for _, r := range p.Relations {
		if !p.selfNamed(r.From) {
			loose = append(loose, r.From)
		}
		if !p.selfNamed(r.To) {
			loose = append(loose, r.To)
		}
	}
	for _, ref := range p.Roots {
		if !p.selfNamed(ref) {
			loose = append(loose, ref)
		}
	}
	slices.Sort(loose)
	p.loose = make(map[string]bool, len(loose))
	for _, ref := range slices.Compact(loose) {
		p.loose[ref] = true
		p.Names = append(p.Names, Name{ID: p.claim(ref, ref, "Unknown", false), Ref: ref})
	}
}

// selfNamed reports whether ID knows ref, or ref can be written as it is.
func (p *Plan) selfNamed(ref string) bool {
	return p.Carried(ref) || ref == "NONE" || ref == "NOASSERTION" || Outside(ref) || p.kept(ref) && !p.taken[ref]
}

// IsRoot reports whether r only says that the document is about something: a Root of the bill.
func IsRoot(r seaworthy.Relation) bool {
	return r.Type == seaworthy.Describes && r.From == seaworthy.DocumentRef && r.Comment == "" && r.Scope == ""
}

// Outside reports whether ref names an element of another document: "DocumentRef-x:SPDXRef-y", or the other
// document itself.
func Outside(ref string) bool {
	rest, ok := strings.CutPrefix(ref, "DocumentRef-")
	if !ok {
		return false
	}
	doc, element, both := strings.Cut(rest, ":")
	return idString(doc) && (!both || Valid(element) || element == DocumentID)
}

// Valid reports whether id is an SPDX identifier of an element: "SPDXRef-" and letters, digits, "." and "-"
// (SPDX 2.3 clause 7.2), at most 255 bytes, and not the document's.
func Valid(id string) bool {
	rest, ok := strings.CutPrefix(id, "SPDXRef-")
	return ok && len(id) <= 255 && id != DocumentID && idString(rest)
}

func idString(s string) bool {
	for _, c := range []byte(s) {
		if !idByte(c) {
			return false
		}
	}
	return s != ""
}

func idByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-'
}

// maxLetters is how many bytes of a Ref an identifier shows.
const maxLetters = 120

// letters makes s into an identifier's letters. What is too long is cut and gets a hash instead.
func letters(s string) string {
	out := make([]byte, 0, min(len(s), maxLetters)+1)
	for _, c := range []byte(s) {
		if len(out) == maxLetters {
			sum := sha256.Sum256([]byte(s))
			return string(out) + "-" + hex.EncodeToString(sum[:6])
		}
		if !idByte(c) {
			if c = '-'; len(out) == 0 || out[len(out)-1] == '-' {
				continue
			}
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return "unnamed"
	}
	return string(out)
}
