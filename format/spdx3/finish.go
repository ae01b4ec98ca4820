package spdx3

import (
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/facet"
	"github.com/seaworthy-dev/seaworthy/format/licence"
)

// finish puts the bill together. Errors: Invalid, Unsupported.
func (g *reader) finish() (*seaworthy.Bill, error) {
	b := &g.bill
	if g.context == "" && len(g.creations) == 0 {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "it has neither @context nor CreationInfo, so it is no SPDX 3 document")
	}
	namespace, created := g.head()
	local := func(id string) string { return localID(namespace, id) }
	f := g.split()

	g.parties()
	g.applyLicences()
	for i := range g.packageIDs {
		g.packageIDs[i] = local(g.packageIDs[i])
	}
	for i := range g.fileIDs {
		g.fileIDs[i] = local(g.fileIDs[i])
	}
	for i := range b.Relations {
		b.Relations[i].From, b.Relations[i].To = local(b.Relations[i].From), local(b.Relations[i].To)
	}
	for i := range b.Notes {
		b.Notes[i].Ref = local(b.Notes[i].Ref)
	}
	texts := make(map[string]int, len(b.Licences))
	for i := range b.Licences {
		id := b.Licences[i].ID
		texts[local(id)] = i
		b.Licences[i].ID = licenceRef(id)
	}
	known := make(map[string]string, len(g.known))
	for id := range g.known {
		known[local(id)] = local(id)
	}
	g.roots(known, local)
	for _, object := range f.bill {
		if err := facet.Apply(b, object, billParts...); err != nil {
			g.problems.Add("document", seaworthy.Invalid, "an annotation of ours cannot be read: %s", clip(err.Error()))
		}
	}
	g.applyFacets(f.elements, texts, local)
	g.judge()
	if created != "" {
		if _, exact, err := facet.ParseTime(created); err != nil || !exact {
			g.problems.Add("document", seaworthy.Invalid, "the time %q is not as SPDX demands", clip(created))
		}
	}
	g.skippedProblems()
	if len(b.Packages) == 0 && len(b.Files) == 0 {
		g.problems.Add("document", seaworthy.Invalid, "it has no packages and no files")
	}
	facet.Settle(&facet.Read{
		Bill: b, PackageIDs: g.packageIDs, FileIDs: g.fileIDs, Names: f.names, Known: known, Problems: &g.problems,
	})
	b.Problems = f.problems
	for _, p := range g.problems.All() {
		if !slices.Contains(f.problems, p) {
			b.Problems = append(b.Problems, p)
		}
	}
	return b, nil
}

// localID is an identifier without the document's own namespace, and SPDX 2's words for nothing.
func localID(namespace, id string) string {
	if rest, ok := strings.CutPrefix(id, namespace+"#"); ok && (strings.HasPrefix(rest, "SPDXRef-") || strings.HasPrefix(rest, "DocumentRef-")) {
		return rest
	}
	switch id {
	case "NoneElement", "https://spdx.org/rdf/3.0.1/terms/Core/NoneElement":
		return "NONE"
	case "NoAssertionElement", "https://spdx.org/rdf/3.0.1/terms/Core/NoAssertionElement":
		return "NOASSERTION"
	}
	return id
}

// head reads the bill's own fields off the document element, or off the Sbom of a document that has none.
func (g *reader) head() (namespace, created string) {
	b := &g.bill
	var doc *element
	switch {
	case len(g.documents) > 0:
		doc = g.documents[0]
		if n := len(g.documents) - 1; n > 0 {
			g.problems.Add("document", seaworthy.Unsupported, "%d further SpdxDocument elements are not read", n)
		}
	case len(g.boms) > 0:
		doc = g.boms[0]
	default:
		doc = new(element)
		g.problems.Add("document", seaworthy.Invalid, "it has no SpdxDocument")
	}
	namespace = strings.TrimSuffix(doc.ID, "#"+facet.DocumentID)
	b.ID = namespace
	doc.toBill(b)
	info := g.creations[doc.CreationInfo.id]
	if info == nil {
		b.Format = "SPDX-3.0"
		return namespace, ""
	}
	b.Format = "SPDX-" + info.SpecVersion
	b.Created, _, _ = facet.ParseTime(info.Created)
	for _, by := range info.CreatedBy {
		if p, ok := g.agents[by.id]; ok {
			b.Authors = append(b.Authors, p)
			continue
		}
		g.problems.Add(by.id, seaworthy.NotFound, "an author is not in the document")
		b.Authors = append(b.Authors, seaworthy.Party{Name: by.id})
	}
	for _, using := range info.CreatedUsing {
		name, ok := g.tools[using.id]
		if !ok {
			g.problems.Add(using.id, seaworthy.NotFound, "a tool is not in the document")
			name = using.id
		}
		b.Tools = append(b.Tools, facet.ParseTool(name))
	}
	if info.Comment != "" {
		b.Properties = append(b.Properties, seaworthy.Property{Name: property + "creationInfo.comment", Value: info.Comment})
	}
	return namespace, info.Created
}

// roots finds what the document is about: the roots of its Boms, and its own that are no Bom.
func (g *reader) roots(known map[string]string, local func(string) string) {
	b := &g.bill
	collections := map[string]bool{}
	for _, e := range append(slices.Clone(g.documents), g.boms...) {
		collections[e.ID] = true
		known[local(e.ID)] = seaworthy.DocumentRef
	}
	for _, e := range append(slices.Clone(g.documents), g.boms...) {
		for _, r := range e.Roots {
			// A Bom that is a root of the document stands for its own roots. A Bom may also be about the document.
			if !collections[r.id] || e.Type != "SpdxDocument" {
				b.Roots = append(b.Roots, local(r.id))
			}
		}
		for _, t := range e.SbomTypes {
			if b.Context == "" {
				b.Context = ours(contexts, t)
			}
		}
	}
}

// parties puts agents where packages name them.
func (g *reader) parties() {
	party := func(id string) seaworthy.Party {
		if id == "" {
			return seaworthy.Party{}
		}
		p, ok := g.agents[id]
		if !ok {
			g.problems.Add(id, seaworthy.NotFound, "an agent %q is not in the document", clip(id))
			p.Name = id
		}
		return p
	}
	for i := range g.bill.Packages {
		g.bill.Packages[i].Supplier, g.bill.Packages[i].Originator = party(g.suppliers[i]), party(g.originators[i])
	}
}

// applyLicences puts licences where relationships say.
func (g *reader) applyLicences() {
	if len(g.licensed) == 0 {
		return
	}
	at := make(map[string]*seaworthy.Licences, len(g.packageIDs)+len(g.fileIDs))
	for i, id := range g.fileIDs {
		at[id] = &g.bill.Files[i].Licences
	}
	for i, id := range g.packageIDs {
		at[id] = &g.bill.Packages[i].Licences
	}
	for i := range g.bill.Licences { // so that expression finds texts quickly
		if id := g.bill.Licences[i].ID; g.licences[id] == "" {
			g.licences[id] = licenceRef(id)
		}
	}
	for _, l := range g.licensed {
		expr := g.expression(l.to)
		licences := at[l.from]
		switch {
		case licences == nil:
			g.problems.Add(l.from, seaworthy.NotFound, "a licence is of %q, which is no package or file of the document", clip(l.from))
		case expr == "":
		case l.concluded:
			licences.Concluded = both(licences.Concluded, expr)
		default:
			licences.Declared = both(licences.Declared, expr)
		}
	}
}

// applyFacets puts the facets where they belong.
func (g *reader) applyFacets(list []elementFacet, texts map[string]int, local func(string) string) {
	if len(list) == 0 {
		return
	}
	packages, files := make(map[string]int, len(g.packageIDs)), make(map[string]int, len(g.fileIDs))
	for i, id := range g.packageIDs {
		packages[id] = i
	}
	for i, id := range g.fileIDs {
		files[id] = i
	}
	for _, f := range list {
		about := local(f.about)
		err := error(seaworthy.Errorf(seaworthy.NotFound, "there is no such %s", f.kind))
		switch f.kind {
		case facet.OfPackage:
			if i, ok := packages[about]; ok {
				err = facet.Apply(&g.bill.Packages[i], f.object, "Depends", "Files")
			}
		case facet.OfFile:
			if i, ok := files[about]; ok {
				err = facet.Apply(&g.bill.Files[i], f.object)
			}
		case facet.OfLicence:
			if i, ok := texts[about]; ok {
				err = facet.Apply(&g.bill.Licences[i], f.object)
			}
		}
		if err != nil {
			g.problems.Add(about, seaworthy.Invalid, "an annotation of ours cannot be read: %s", clip(err.Error()))
		}
	}
}

// maxExpression is the longest licence expression that is looked at, in bytes.
const maxExpression = 64 << 10

// judge notes licence expressions that are none, each expression once.
func (g *reader) judge() {
	exprs := make([]string, 0, len(g.licences))
	for _, expr := range g.licences {
		exprs = append(exprs, expr)
	}
	slices.Sort(exprs)
	for _, expr := range slices.Compact(exprs) {
		if expr = assertion(expr); expr != "" && expr != "NONE" && (len(expr) > maxExpression || !licence.Valid(expr)) {
			g.problems.Add("document", seaworthy.Invalid, "%q is not an SPDX licence expression", clip(expr))
		}
	}
}
