package spdx

import (
	"cmp"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/facet"
)

// writer makes SPDX's elements of a bill's, for both forms.
type writer struct {
	*facet.Plan
	// line and text make strings safe for the form at hand: those that must stay on a line, and those that need
	// not.
	line, text func(string) string
	word       func(string) string // of an external reference
	files      map[string][]int    // what packages contain
	stamp      string              // the date of our annotations
	whole      []string            // facets of the document
	notes      map[string][]annotation
}

func newWriter(b *seaworthy.Bill, word, line, text func(string) string) *writer {
	w := &writer{
		Plan: facet.NewPlan(b, nil), word: word, line: line, text: text, stamp: facet.FormatTime(b.Created),
		notes: map[string][]annotation{},
	}
	w.files = contained(b, w.Relations)
	for i := range w.Notes {
		n := &w.Notes[i]
		var a annotation
		if w.Carried(n.Ref) && a.fromNote(n, w.ID(n.Ref), text, line) {
			w.notes[n.Ref] = append(w.notes[n.Ref], a)
		} else {
			w.whole = append(w.whole, facet.Whole(facet.OfNote, w.nameNote(n)))
		}
	}
	return w
}

// same is the writer's line and text of a form that escapes.
func same(s string) string { return s }

// nameNote returns n speaking of its element as a document does.
func (w *writer) nameNote(n *seaworthy.Note) *seaworthy.Note {
	named := *n
	named.Ref = w.ID(n.Ref)
	return &named
}

func (w *writer) facet(about, text string) annotation {
	return annotation{About: about, Annotator: "Tool: seaworthy", Date: w.stamp, Type: "OTHER", Comment: text}
}

func (w *writer) header() header {
	var h header
	h.fromBill(w.Bill)
	for _, s := range []*string{&h.DataLicense, &h.Name, &h.Namespace, &h.Creation.ListVersion} {
		*s = w.line(*s)
	}
	for i := range h.Creation.Creators {
		h.Creation.Creators[i] = w.line(h.Creation.Creators[i])
	}
	h.Comment, h.Creation.Comment = w.text(h.Comment), w.text(h.Creation.Comment)
	return h
}

// documentAnnotations returns the notes on the document and all facets that belong to no element.
func (w *writer) documentAnnotations(h *header) []annotation {
	out := slices.Clone(w.notes[seaworthy.DocumentRef])
	add := func(text string) {
		if text != "" {
			out = append(out, w.facet(facet.DocumentID, text))
		}
	}
	var back seaworthy.Bill
	h.toBill(&back, ignore)
	add(facet.Diff(facet.OfBill, &back, w.Bill, billParts...))
	for _, name := range w.Names {
		add(facet.Whole(facet.OfName, name))
	}
	for i := range w.Licences {
		_, text := w.licence(i)
		add(text)
	}
	for _, text := range w.whole {
		add(text)
	}
	for _, p := range w.Bill.Problems {
		add(facet.Whole(facet.OfProblem, p))
	}
	return out
}

// licence returns a licence text and its facet, "" when there is none.
func (w *writer) licence(i int) (licenceElement, string) {
	var e licenceElement
	l := &w.Licences[i]
	e.fromText(l)
	e.ID, e.Name, e.Text, e.Comment = w.line(e.ID), w.line(e.Name), w.text(e.Text), w.text(e.Comment)
	e.SeeAlso = mapped(e.SeeAlso, w.line)
	back := e.toText()
	text := facet.Diff(facet.OfLicence, &back, l)
	if text == "" {
		return e, ""
	}
	head := facet.Mark + facet.OfLicence + " {"
	as := facet.Whole(facet.OfLicence, map[string]string{"as": e.ID})
	return e, strings.TrimSuffix(as, "}") + "," + strings.TrimPrefix(text, head)
}

func (w *writer) packageAt(i int) *packageElement {
	p := &w.Bill.Packages[i]
	e := new(packageElement)
	e.fromPackage(p)
	e.ID = w.PackageIDs[i]
	words := e.SourceInfo
	w.cleanPackage(e)
	if e.SourceInfo != words {
		e.SourceInfo = "" // made harmless it is no longer what a reader compares with; the facet has it
	}
	back := e.toPackage(ignore)
	back.Ref = e.ID
	if e.SourceInfo != "" && e.SourceInfo != sourceInfo(p) {
		back.Properties = append(back.Properties, seaworthy.Property{Name: Property + "sourceInfo", Value: e.SourceInfo})
	}
	diff := facet.Diff(facet.OfPackage, &back, p, "Depends", "Files", skipEmpty(p.Ref))
	e.Annotations = w.annotations(p.Ref, e.ID, diff)
	if e.Verification == nil {
		if code := packageCode(w.Bill, w.files[p.Ref]); code != "" {
			e.Verification = &verificationCode{Value: code}
		}
	}
	e.FilesAnalyzed = e.Verification != nil
	return e
}

func (w *writer) fileAt(i int) *fileElement {
	f := &w.Bill.Files[i]
	e := new(fileElement)
	e.fromFile(f)
	e.ID = w.FileIDs[i]
	e.Name, e.Concluded = w.line(e.Name), w.line(e.Concluded)
	e.InFile, e.Contributors = mapped(e.InFile, w.line), mapped(e.Contributors, w.line)
	e.Attributions = mapped(e.Attributions, w.text)
	for _, s := range []*string{&e.LicenseComments, &e.Copyright, &e.Comment, &e.Notice} {
		*s = w.text(*s)
	}
	back := e.toFile(ignore)
	back.Ref = e.ID
	e.Annotations = w.annotations(f.Ref, e.ID, facet.Diff(facet.OfFile, &back, f, skipEmpty(f.Ref)))
	return e
}

// skipEmpty keeps an element without a Ref from asking for that in its facet.
func skipEmpty(ref string) string {
	if ref == "" {
		return "Ref"
	}
	return ""
}

// annotations returns the facet, if any, and the notes on an element. Only the element that a Ref means has notes.
func (w *writer) annotations(ref, id, diff string) []annotation {
	var out []annotation
	if diff != "" {
		out = append(out, w.facet(id, diff))
	}
	if w.ID(ref) == id {
		out = append(out, w.notes[ref]...)
	}
	return out
}

func (w *writer) cleanPackage(e *packageElement) {
	for _, s := range []*string{
		&e.Name, &e.Version, &e.FileName, &e.Supplier, &e.Originator, &e.Download, &e.Homepage, &e.Concluded, &e.Declared,
		&e.Built, &e.Released, &e.ValidUntil,
	} {
		*s = w.line(*s)
	}
	for _, s := range []*string{
		&e.SourceInfo, &e.LicenseComments, &e.Copyright, &e.Summary, &e.Description, &e.Comment,
	} {
		*s = w.text(*s)
	}
	e.FromFiles, e.Attributions = mapped(e.FromFiles, w.line), mapped(e.Attributions, w.text)
	if e.Verification != nil {
		e.Verification.Value = w.line(e.Verification.Value)
		e.Verification.Excluded = mapped(e.Verification.Excluded, w.line)
	}
	for i := range e.ExternalRefs {
		ref := &e.ExternalRefs[i]
		ref.Type, ref.Locator, ref.Comment = cmp.Or(w.word(ref.Type), "other"), cmp.Or(w.word(ref.Locator), "NOASSERTION"), w.text(ref.Comment)
	}
}

// mapped makes the strings of a list harmless; it leaves out those that say nothing.
func mapped(in []string, f func(string) string) []string {
	out := make([]string, 0, len(in))
	for _, s := range in {
		if s = f(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// eachRelationship calls use with all relationships, those of the roots first.
func (w *writer) eachRelationship(use func(*relationship)) {
	for _, root := range w.Roots {
		use(&relationship{From: facet.DocumentID, Type: "DESCRIBES", To: w.ID(root)})
	}
	var e relationship
	for _, r := range w.Relations {
		r.From, r.To = w.ID(r.From), w.ID(r.To)
		e.fromRelation(r, w.text)
		use(&e)
	}
}
