package spdx3

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/facet"
)

// Read reads an SPDX 3.0 document in JSON-LD. It holds one element's text at a time.
// Errors: Invalid, Unsupported, TooLarge, and those of r.
func Read(r io.Reader, limits Limits) (*seaworthy.Bill, error) {
	g := newReader(limits)
	g.meter = &facet.Meter{R: r, Total: g.limits.Bytes, Element: g.limits.Element}
	in := bufio.NewReader(g.meter)
	if head, _ := in.Peek(len(bom)); bytes.Equal(head, bom) {
		in.Discard(len(bom))
	}
	g.dec = jsontext.NewDecoder(in, facet.Lenient...)
	if err := g.document(); err != nil {
		return nil, seaworthy.Wrap(facet.JSONError(err), seaworthy.Invalid, "reading SPDX 3")
	}
	b, err := g.finish()
	return b, seaworthy.Wrap(err, seaworthy.Invalid, "reading SPDX 3")
}

// reader keeps what it needs to put a bill together when all elements are known.
type reader struct {
	limits   Limits
	meter    *facet.Meter
	dec      *jsontext.Decoder
	bill     seaworthy.Bill
	problems facet.Problems

	context             string
	packageIDs, fileIDs []string
	suppliers           []string // by package: identifiers of agents
	originators         []string //
	agents              map[string]seaworthy.Party
	tools               map[string]string   // identifier → name
	creations           map[string]*element // CreationInfo by identifier
	documents, boms     []*element
	licences            map[string]string // identifier → expression
	licensed            []licensed
	annotations         []*element
	known               map[string]string
	skipped             map[string]int // classes that are not read
	count               int
	queue               []nested
}

// licensed says that an element is under a licence.
type licensed struct {
	from, to  string
	concluded bool
}

// nested is an element inside another.
type nested struct {
	text  jsontext.Value
	id    string // given to one that has none
	depth int
}

func newReader(l Limits) *reader {
	g := &reader{
		limits: l.withDefaults(), agents: map[string]seaworthy.Party{}, tools: map[string]string{}, creations: map[string]*element{},
		licences: map[string]string{}, known: map[string]string{}, skipped: map[string]int{},
	}
	g.problems.Max = g.limits.Problems
	return g
}

func (g *reader) problemAt(where string) problemFunc {
	return func(format string, args ...any) { g.problems.Add(where, seaworthy.Invalid, format, args...) }
}

func (g *reader) document() error {
	tok, err := g.dec.ReadToken()
	if err != nil {
		return err
	}
	if tok.Kind() != '{' {
		return seaworthy.Errorf(seaworthy.Invalid, "it is not a JSON object")
	}
	var single bytes.Buffer // a document may be one element instead of a graph
	for {
		g.meter.Next()
		tok, err := g.dec.ReadToken()
		if err != nil {
			return err
		}
		if tok.Kind() == '}' {
			break
		}
		name := tok.String()
		if name == "@graph" {
			if err := g.graph(); err != nil {
				return err
			}
			continue
		}
		value, err := g.dec.ReadValue()
		if err != nil {
			return err
		}
		if name == "@context" {
			g.context = clip(string(value))
			continue
		}
		if int64(single.Len()+len(value)) > g.limits.Element {
			return seaworthy.Errorf(seaworthy.TooLarge, "an element is over the limit of %d bytes", g.limits.Element)
		}
		single.WriteByte(',')
		single.Write(facet.AppendString(nil, name))
		single.WriteByte(':')
		single.Write(value)
	}
	if single.Len() > 0 {
		if err := g.element(append(append([]byte{'{'}, single.Bytes()[1:]...), '}')); err != nil {
			return err
		}
	}
	g.meter.Next()
	if _, err := g.dec.ReadToken(); !errors.Is(err, io.EOF) {
		var ours *seaworthy.Error
		if errors.As(err, &ours) {
			return err
		}
		g.problems.Add("document", seaworthy.Invalid, "something follows the document")
	}
	return nil
}

func (g *reader) graph() error {
	if g.dec.PeekKind() != '[' {
		g.problems.Add("@graph", seaworthy.Invalid, "it is not an array")
		return g.dec.SkipValue()
	}
	if _, err := g.dec.ReadToken(); err != nil {
		return err
	}
	for g.dec.PeekKind() != ']' {
		g.meter.Next()
		value, err := g.dec.ReadValue()
		if err != nil {
			return err
		}
		if value.Kind() != '{' {
			g.problems.Add("@graph", seaworthy.Invalid, "an element is no object: %s", clip(string(value)))
			continue
		}
		if err := g.element(value); err != nil {
			return err
		}
	}
	_, err := g.dec.ReadToken()
	return err
}

// element reads one element and those inside it, which wait in a queue of ours.
func (g *reader) element(value jsontext.Value) error {
	g.queue = append(g.queue[:0], nested{text: value})
	for len(g.queue) > 0 {
		next := g.queue[len(g.queue)-1]
		g.queue = g.queue[:len(g.queue)-1]
		e := new(element)
		facet.Decode(next.text, e, g.problemAt("element "+next.id))
		if e.Type == "" {
			e.Type = e.LDType
		}
		for _, id := range []string{e.LDID, next.id} {
			if e.ID == "" {
				e.ID = id
			}
		}
		if err := g.use(e, next.depth); err != nil {
			return err
		}
	}
	return nil
}

// id returns what r names; an element that stands in its place is read next.
func (g *reader) id(r *ref, depth int) string {
	if r.inner == nil {
		return r.id
	}
	if r.id == "" {
		g.count++
		r.id = "_:inner-" + strconv.Itoa(g.count)
	}
	if depth < MaxNesting {
		g.queue = append(g.queue, nested{r.inner, r.id, depth + 1})
	} else {
		g.problems.Add(r.id, seaworthy.TooLarge, "elements inside elements deeper than %d are not read", MaxNesting)
	}
	r.inner = nil
	return r.id
}

func (g *reader) ids(list many[ref], depth int) {
	for i := range list {
		g.id(&list[i], depth)
	}
}

// use takes from an element what a bill keeps.
func (g *reader) use(e *element, depth int) error {
	if g.count++; g.count > g.limits.Elements && e.Type != "Relationship" && e.Type != "LifecycleScopedRelationship" {
		return seaworthy.Errorf(seaworthy.TooLarge, "more than %d elements", g.limits.Elements)
	}
	g.id(&e.CreationInfo, depth)
	problem := g.problemAt(e.ID)
	switch e.Type {
	case "CreationInfo":
		g.ids(e.CreatedBy, depth)
		g.ids(e.CreatedUsing, depth)
		g.creations[e.ID] = e
	case "SpdxDocument":
		g.ids(e.Roots, depth)
		g.ids(e.Elements, depth)
		g.documents = append(g.documents, e)
	case "software_Sbom", "Bom", "Bundle":
		g.ids(e.Roots, depth)
		g.ids(e.Elements, depth)
		e.Elements = nil
		g.boms = append(g.boms, e)
	case "software_Package", "ai_AIPackage", "dataset_DatasetPackage":
		g.ids(e.OriginatedBy, depth)
		g.bill.Packages = append(g.bill.Packages, e.toPackage(problem))
		g.packageIDs = append(g.packageIDs, e.ID)
		g.suppliers = append(g.suppliers, g.id(&e.SuppliedBy, depth))
		originator := ""
		for i := range e.OriginatedBy {
			if i == 0 {
				originator = e.OriginatedBy[0].id
			} else {
				problem("a further originator %q is not kept", clip(e.OriginatedBy[i].id))
			}
		}
		g.originators = append(g.originators, originator)
	case "software_File":
		g.bill.Files = append(g.bill.Files, e.toFile(problem))
		g.fileIDs = append(g.fileIDs, e.ID)
	case "Person", "Organization", "SoftwareAgent", "Agent":
		g.agents[e.ID] = e.toParty()
	case "Tool":
		g.tools[e.ID] = e.Name
	case "Relationship", "LifecycleScopedRelationship":
		return g.relate(e, depth)
	case "Annotation":
		g.id(&e.Subject, depth)
		g.annotations = append(g.annotations, e)
	case "simplelicensing_LicenseExpression":
		g.licences[e.ID] = e.Expression
	case "simplelicensing_SimpleLicensingText", "expandedlicensing_CustomLicense":
		g.bill.Licences = append(g.bill.Licences, seaworthy.LicenceText{ID: e.ID, Name: e.Name, Text: e.LicenceText, URLs: e.SeeAlso, Comment: e.Comment})
	case "expandedlicensing_ListedLicense":
		g.licences[e.ID] = e.Name
	default:
		g.skipped[clip(e.Type)]++
		if e.ID != "" {
			g.known[e.ID] = e.ID
		}
	}
	return nil
}

func (g *reader) relate(e *element, depth int) error {
	from := g.id(&e.From, depth)
	g.ids(e.To, depth)
	if len(e.To) == 0 {
		g.problems.Add(e.ID, seaworthy.Invalid, "a relationship %q leads nowhere", clip(e.Relationship))
	}
	if e.Relationship == "hasDeclaredLicense" || e.Relationship == "hasConcludedLicense" {
		for i := range e.To {
			g.licensed = append(g.licensed, licensed{from, e.To[i].id, e.Relationship == "hasConcludedLicense"})
		}
		return nil
	}
	for i := range e.To {
		if len(g.bill.Relations) >= g.limits.Relations {
			return seaworthy.Errorf(seaworthy.TooLarge, "more than %d relationships", g.limits.Relations)
		}
		rel := relation{from: from, typ: e.Relationship, scope: e.Scope, to: e.To[i].id, comment: e.Comment}
		r, err := rel.toRelation()
		if err != nil {
			g.problems.Add(e.ID, seaworthy.Invalid, "a relationship: %s", clip(err.Error()))
		}
		if e.Scope != "" && r.Scope == "" && rel.typ != "usesTool" {
			r.Comment = strings.TrimSpace(r.Comment + "\nscope: " + e.Scope)
		}
		g.bill.Relations = append(g.bill.Relations, r)
	}
	return nil
}

// facets holds annotations of ours until all else is known.
type facets struct {
	bill     []string
	elements []elementFacet
	names    []facet.Name
	problems []seaworthy.Problem
}

type elementFacet struct{ about, kind, object string }

// split sorts annotations into notes and facets.
func (g *reader) split() facets {
	var f facets
	for _, e := range g.annotations {
		kind, object, ok := facet.Split(e.Statement)
		var err error
		switch {
		case !ok:
			g.bill.Notes = append(g.bill.Notes, g.note(e))
		case kind == facet.OfBill:
			f.bill = append(f.bill, object)
		case kind == facet.OfName:
			var n facet.Name
			if err = json.Unmarshal([]byte(object), &n); err == nil {
				f.names = append(f.names, n)
			}
		case kind == facet.OfNote:
			var n seaworthy.Note
			if err = json.Unmarshal([]byte(object), &n); err == nil {
				g.bill.Notes = append(g.bill.Notes, n)
			}
		case kind == facet.OfProblem:
			var p seaworthy.Problem
			if err = json.Unmarshal([]byte(object), &p); err == nil && len(f.problems) < g.limits.Problems {
				f.problems = append(f.problems, p)
			}
		default:
			f.elements = append(f.elements, elementFacet{e.Subject.id, kind, object})
		}
		if err != nil {
			g.problems.Add(e.ID, seaworthy.Invalid, "an annotation of ours cannot be read: %s", clip(err.Error()))
			g.bill.Notes = append(g.bill.Notes, g.note(e))
		}
	}
	g.annotations = nil
	return f
}

// note reads an annotation; who said it and when is in its CreationInfo.
func (g *reader) note(e *element) seaworthy.Note {
	n := seaworthy.Note{Ref: e.Subject.id, Kind: strings.ToUpper(e.Annotation), Text: e.Statement}
	if c := g.creations[e.CreationInfo.id]; c != nil {
		n.At, _, _ = facet.ParseTime(c.Created)
		if len(c.CreatedBy) > 0 {
			n.By = g.agents[c.CreatedBy[0].id]
		}
	}
	return n
}

// expression returns the licence expression that an identifier stands for.
func (g *reader) expression(id string) string {
	if strings.HasSuffix(id, "NoneLicense") {
		return "NONE"
	}
	if strings.HasSuffix(id, "NoAssertionLicense") {
		return ""
	}
	if expr, ok := g.licences[id]; ok {
		return assertion(expr)
	}
	if listed, ok := strings.CutPrefix(id, licenceIRI); ok {
		return listed
	}
	for i := range g.bill.Licences {
		if g.bill.Licences[i].ID == id {
			return licenceRef(id)
		}
	}
	g.problems.Add(id, seaworthy.NotFound, "a licence %q is not in the document", clip(id))
	return ""
}

// licenceRef makes the name of a licence text of its identifier.
func licenceRef(id string) string {
	last := id[strings.LastIndexAny(id, "#/:")+1:]
	if facet.Valid("SPDXRef-"+last) && strings.HasPrefix(last, "LicenseRef-") {
		return last
	}
	if facet.Valid("SPDXRef-" + last) {
		return "LicenseRef-" + last
	}
	return "LicenseRef-" + short(id)
}

func both(a, b string) string {
	if a == "" || a == b {
		return b
	}
	return "(" + a + ") AND (" + b + ")"
}

// skippedProblems tells what was not read, class by class.
func (g *reader) skippedProblems() {
	classes := make([]string, 0, len(g.skipped))
	for class := range g.skipped {
		classes = append(classes, class)
	}
	slices.Sort(classes)
	for _, class := range classes {
		g.problems.Add("document", seaworthy.Unsupported, "%d elements of class %q are not read", g.skipped[class], class)
	}
}
