package spdx

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/facet"
	"github.com/seaworthy-dev/seaworthy/format/licence"
)

// assembler puts a bill together from elements in the order a document gives them.
type assembler struct {
	limits Limits
	head   header
	bill   seaworthy.Bill

	problems            facet.Problems
	packageIDs, fileIDs []string
	sourceInfos         []string // by package, until the facets are known
	names               []facet.Name
	known               map[string]string
	facets              []pendingFacet
	billFacets          []string
	written             []seaworthy.Problem  // those the bill had when it was written
	derived             []seaworthy.Relation // from hasFiles and its like: told again by relationships, often
	judged              map[string]bool      // licence expressions that were checked
	snippets            int
}

type pendingFacet struct{ id, kind, object string }

func newAssembler(l Limits) *assembler {
	a := &assembler{limits: l.withDefaults(), known: map[string]string{}, judged: map[string]bool{}}
	a.problems.Max = a.limits.Problems
	return a
}

func (a *assembler) problemAt(where string) problemFunc {
	return func(format string, args ...any) { a.problems.Add(where, seaworthy.Invalid, format, args...) }
}

func (a *assembler) room() error {
	if len(a.packageIDs)+len(a.fileIDs) >= a.limits.Elements {
		return seaworthy.Errorf(seaworthy.TooLarge, "more than %d packages and files", a.limits.Elements)
	}
	return nil
}

func (a *assembler) addPackage(e *packageElement) error {
	if err := a.room(); err != nil {
		return err
	}
	problem := a.problemAt(e.ID)
	p := e.toPackage(problem)
	if e.Name == "" {
		problem("it has no name")
	}
	a.judge(e.ID, p.Licences)
	unknown(e.Unknown, problem)
	a.bill.Packages = append(a.bill.Packages, p)
	a.packageIDs = append(a.packageIDs, e.ID)
	a.sourceInfos = append(a.sourceInfos, e.SourceInfo)
	for i := range e.Annotations {
		e.Annotations[i].About = e.ID
		a.annotate(&e.Annotations[i], func(kind, object string) error {
			if kind != facet.OfPackage {
				return seaworthy.Errorf(seaworthy.Invalid, "a facet of a %s", kind)
			}
			return facet.Apply(&a.bill.Packages[len(a.bill.Packages)-1], object, "Depends", "Files")
		})
	}
	for _, id := range e.HasFiles {
		if err := a.derive(e.ID, seaworthy.Contains, id); err != nil {
			return err
		}
	}
	return nil
}

func (a *assembler) addFile(e *fileElement) error {
	if err := a.room(); err != nil {
		return err
	}
	problem := a.problemAt(e.ID)
	f := e.toFile(problem)
	a.judge(e.ID, f.Licences)
	unknown(e.Unknown, problem)
	a.bill.Files = append(a.bill.Files, f)
	a.fileIDs = append(a.fileIDs, e.ID)
	for i := range e.Annotations {
		e.Annotations[i].About = e.ID
		a.annotate(&e.Annotations[i], func(kind, object string) error {
			if kind != facet.OfFile {
				return seaworthy.Errorf(seaworthy.Invalid, "a facet of a %s", kind)
			}
			return facet.Apply(&a.bill.Files[len(a.bill.Files)-1], object)
		})
	}
	for _, id := range e.Dependencies {
		if err := a.derive(e.ID, seaworthy.DependsOn, id); err != nil {
			return err
		}
	}
	return nil
}

func (a *assembler) derive(from string, typ seaworthy.RelationType, to string) error {
	if len(a.derived)+len(a.bill.Relations) >= a.limits.Relations {
		return seaworthy.Errorf(seaworthy.TooLarge, "more than %d relationships", a.limits.Relations)
	}
	a.derived = append(a.derived, seaworthy.Relation{From: from, Type: typ, To: to})
	return nil
}

func (a *assembler) addRelationship(e *relationship) error {
	if len(a.derived)+len(a.bill.Relations) >= a.limits.Relations {
		return seaworthy.Errorf(seaworthy.TooLarge, "more than %d relationships", a.limits.Relations)
	}
	r, err := e.toRelation()
	if err != nil {
		a.problems.Add(e.From, seaworthy.Invalid, "a relationship: %v", err)
	}
	unknown(e.Unknown, a.problemAt(e.From))
	a.bill.Relations = append(a.bill.Relations, r)
	return nil
}

func (a *assembler) addLicence(e *licenceElement) {
	unknown(e.Unknown, a.problemAt(e.ID))
	a.bill.Licences = append(a.bill.Licences, e.toText())
}

func (a *assembler) addReview(e *review) {
	note := annotation{About: facet.DocumentID, Annotator: e.Reviewer, Date: e.Date, Type: "REVIEW", Comment: e.Comment}
	a.bill.Notes = append(a.bill.Notes, note.toNote(a.problemAt("review")))
}

// addSnippet notes a part of a file: a Bill has no place for those.
func (a *assembler) addSnippet(id string) {
	a.snippets++
	a.known[id] = id
}

// annotate keeps an annotation as a note, or puts a facet where it belongs. own handles facets of the element that
// carries the annotation; nil means that the element may not be known yet.
func (a *assembler) annotate(n *annotation, own func(kind, object string) error) {
	kind, object, ok := facet.Split(n.Comment)
	if !ok {
		a.bill.Notes = append(a.bill.Notes, n.toNote(a.problemAt(n.About)))
		return
	}
	var err error
	switch kind {
	case facet.OfBill:
		a.billFacets = append(a.billFacets, object)
	case facet.OfName:
		var name facet.Name
		if err = json.Unmarshal([]byte(object), &name); err == nil {
			a.names = append(a.names, name)
		}
	case facet.OfNote:
		var note seaworthy.Note
		if err = json.Unmarshal([]byte(object), &note); err == nil {
			a.bill.Notes = append(a.bill.Notes, note)
		}
	case facet.OfProblem:
		var p seaworthy.Problem
		if err = json.Unmarshal([]byte(object), &p); err == nil && len(a.written) < a.limits.Problems {
			a.written = append(a.written, p)
		}
	default:
		if own != nil {
			err = own(kind, object)
		} else {
			a.facets = append(a.facets, pendingFacet{n.About, kind, object})
		}
	}
	if err != nil {
		a.problems.Add(n.About, seaworthy.Invalid, "an annotation of ours cannot be read: %s", clip(err.Error()))
		a.bill.Notes = append(a.bill.Notes, n.toNote(ignore))
	}
}

// judge notes licence expressions that are none. Each expression is judged once.
func (a *assembler) judge(where string, l seaworthy.Licences) {
	check := func(expr string) {
		if expr == "" || expr == "NONE" {
			return
		}
		valid, seen := a.judged[expr]
		if !seen {
			valid = len(expr) <= maxExpression && licence.Valid(expr)
			a.judged[expr] = valid
		}
		if !valid {
			a.problems.Add(where, seaworthy.Invalid, "%q is not an SPDX licence expression", clip(expr))
		}
	}
	check(l.Declared)
	check(l.Concluded)
	for _, expr := range l.Found {
		check(expr)
	}
}

// maxExpression is the longest licence expression that is looked at, in bytes.
const maxExpression = 64 << 10

// finish returns the bill. Errors: Invalid, Unsupported.
func (a *assembler) finish() (*seaworthy.Bill, error) {
	b := &a.bill
	switch {
	case a.head.Version == "":
		return nil, seaworthy.Errorf(seaworthy.Invalid, "it has no spdxVersion, so it is no SPDX 2 document")
	case !strings.HasPrefix(a.head.Version, "SPDX-2."):
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "its version is %q; SPDX-2.1 to SPDX-2.3 are read", clip(a.head.Version))
	}
	b.Format = a.head.Version
	a.head.toBill(b, a.problemAt("document"))
	for _, object := range a.billFacets {
		if err := facet.Apply(b, object, billParts...); err != nil {
			a.problems.Add("document", seaworthy.Invalid, "an annotation of ours cannot be read: %s", clip(err.Error()))
		}
	}
	a.applyPending()
	for i, words := range a.sourceInfos {
		a.keepSourceInfo(&b.Packages[i], words)
	}
	a.addDerived()
	if a.snippets > 0 {
		a.problems.Add("document", seaworthy.Unsupported, "%d snippets are not read", a.snippets)
	}
	if len(b.Packages) == 0 && len(b.Files) == 0 {
		a.problems.Add("document", seaworthy.Invalid, "it has no packages and no files")
	}
	facet.Settle(&facet.Read{
		Bill: b, PackageIDs: a.packageIDs, FileIDs: a.fileIDs, Names: a.names, Known: a.known, Problems: &a.problems,
	})
	dropDerivedCodes(b)
	b.Problems = a.written
	for _, p := range a.problems.All() {
		if !slices.Contains(a.written, p) {
			b.Problems = append(b.Problems, p)
		}
	}
	return b, nil
}

// billParts are the fields of a Bill that are not its head.
var billParts = []string{"Format", "Roots", "Packages", "Files", "Relations", "Licences", "Notes", "Problems"}

// applyPending applies facets that came apart from their element, as all do in tag-value.
func (a *assembler) applyPending() {
	if len(a.facets) == 0 {
		return
	}
	b := &a.bill
	type place struct {
		kind  string
		index int
	}
	places := make(map[string]place, len(a.packageIDs)+len(a.fileIDs))
	for i := len(a.fileIDs) - 1; i >= 0; i-- {
		places[a.fileIDs[i]] = place{facet.OfFile, i}
	}
	for i := len(a.packageIDs) - 1; i >= 0; i-- {
		places[a.packageIDs[i]] = place{facet.OfPackage, i}
	}
	licences := make(map[string]int, len(b.Licences))
	for i := range b.Licences {
		licences[b.Licences[i].ID] = i
	}
	for _, f := range a.facets {
		at, ok := places[f.id]
		var err error
		switch {
		case f.kind == facet.OfLicence:
			var of struct {
				As string `json:"as"`
			}
			err = json.Unmarshal([]byte(f.object), &of)
			if i, ok := licences[of.As]; ok && err == nil {
				err = facet.Apply(&b.Licences[i], f.object)
			}
		case !ok || at.kind != f.kind:
			err = seaworthy.Errorf(seaworthy.NotFound, "there is no such %s", f.kind)
		case f.kind == facet.OfPackage:
			err = facet.Apply(&b.Packages[at.index], f.object, "Depends", "Files")
		case f.kind == facet.OfFile:
			err = facet.Apply(&b.Files[at.index], f.object)
		}
		if err != nil {
			a.problems.Add(f.id, seaworthy.Invalid, "an annotation of ours cannot be read: %s", clip(err.Error()))
		}
	}
}

// keepSourceInfo keeps the words unless they are our own about facts that the package has.
func (a *assembler) keepSourceInfo(p *seaworthy.Package, words string) {
	prop := seaworthy.Property{Name: Property + "sourceInfo", Value: words}
	if words == "" || words == sourceInfo(p) || slices.Contains(p.Properties, prop) {
		return
	}
	p.Properties = append(p.Properties, prop)
}

// addDerived adds the relations that lists of identifiers tell and no relationship does.
func (a *assembler) addDerived() {
	if len(a.derived) == 0 {
		return
	}
	told := make(map[[2]string]bool)
	for i := range a.bill.Relations {
		if r := &a.bill.Relations[i]; r.Type == seaworthy.Contains || r.Type == seaworthy.DependsOn {
			told[[2]string{r.From, r.To}] = true
		}
	}
	for _, r := range a.derived {
		if key := [2]string{r.From, r.To}; !told[key] {
			told[key] = true
			a.bill.Relations = append(a.bill.Relations, r)
		}
	}
}

// contained returns the files that each package contains, as indexes into b.Files.
func contained(b *seaworthy.Bill, relations []seaworthy.Relation) map[string][]int {
	files := make(map[string]int, len(b.Files))
	for i := range b.Files {
		if _, ok := files[b.Files[i].Ref]; !ok {
			files[b.Files[i].Ref] = i
		}
	}
	out := map[string][]int{}
	for i := range relations {
		if r := &relations[i]; r.Type == seaworthy.Contains {
			if at, ok := files[r.To]; ok {
				out[r.From] = append(out[r.From], at)
			}
		}
	}
	return out
}

// packageCode computes the verification code of a package with these files (SPDX 2.3 clause 7.9), "" when a file
// has no SHA-1 or there are none.
func packageCode(b *seaworthy.Bill, files []int) string {
	var sums []string
	for _, i := range files {
		at := slices.IndexFunc(b.Files[i].Hashes, func(d seaworthy.Digest) bool { return d.Algorithm() == "sha1" && len(d.Hex()) == 40 })
		if at < 0 {
			return ""
		}
		sums = append(sums, b.Files[i].Hashes[at].Hex())
	}
	if len(sums) == 0 {
		return ""
	}
	slices.Sort(sums)
	h := sha1.New()
	for _, s := range sums {
		h.Write([]byte(s))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// dropDerivedCodes drops verification codes that say no more than the files do.
func dropDerivedCodes(b *seaworthy.Bill) {
	const name = Property + "packageVerificationCode"
	var files map[string][]int
	for i := range b.Packages {
		p := &b.Packages[i]
		code := p.Property(name)
		if code == "" {
			continue
		}
		if files == nil {
			files = contained(b, b.Relations)
		}
		if code == packageCode(b, files[p.Ref]) {
			p.Properties = slices.DeleteFunc(p.Properties, func(prop seaworthy.Property) bool { return prop.Name == name })
			if len(p.Properties) == 0 {
				p.Properties = nil
			}
		}
	}
}
