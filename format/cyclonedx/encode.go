package cyclonedx

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// layout is a bill made ready for writing: what comes in which order, and what goes where. It holds indexes
// into the bill and strings of it, not copies.
type layout struct {
	form
	b        *seaworthy.Bill
	elements []entry              // by bom-ref
	byRef    map[string]int       // element of a Ref of the bill
	edges    []seaworthy.Relation // sorted, each once
	root     int                  // element of metadata.component, or -1
	roots    map[int]int          // place among the roots, from 1, of further root elements
	rootsAll bool                 // roots must be listed in a property
	textHome map[string]int       // element that carries a licence text, by licence
	texts    []seaworthy.LicenceText
	holders  map[int][]string // Refs of what contains an element, sorted
}

// entry is a package or a file of the bill and the bom-ref it is written with.
type entry struct {
	ref  string
	made bool // the bill has none, or not its own
	file bool
	at   int
}

func newLayout(b *seaworthy.Bill, forXML bool) *layout {
	l := &layout{form: form{forXML}, b: b}
	l.order()
	l.sortEdges()
	l.placeRoots()
	l.placeTexts()
	return l
}

// order sorts packages and files by Ref. One without a Ref, or with one that is taken, gets its own.
func (l *layout) order() {
	l.elements = make([]entry, 0, len(l.b.Packages)+len(l.b.Files))
	for i := range l.b.Packages {
		l.elements = append(l.elements, entry{ref: l.b.Packages[i].Ref, at: i})
	}
	for i := range l.b.Files {
		l.elements = append(l.elements, entry{ref: l.b.Files[i].Ref, file: true, at: i})
	}
	for i := range l.elements {
		if e := &l.elements[i]; e.ref == "" {
			e.made = true
			if e.file {
				e.ref = fileRef(&l.b.Files[e.at])
			} else {
				e.ref = packageRef(&l.b.Packages[e.at])
			}
		}
	}
	byRef := func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.ref, b.ref), boolOrder(a.made, b.made), boolOrder(a.file, b.file))
	}
	slices.SortStableFunc(l.elements, byRef)
	l.byRef = make(map[string]int, len(l.elements))
	taken := false
	for i, e := range l.elements {
		if _, ok := l.byRef[e.ref]; ok {
			taken = true
			continue
		}
		l.byRef[e.ref] = i
	}
	if taken {
		refs := newRefs(len(l.elements))
		for _, e := range l.elements {
			refs.reserve(e.ref)
		}
		for i := range l.elements {
			if e := &l.elements[i]; l.byRef[e.ref] != i {
				e.ref = refs.free(e.ref)
			}
		}
		slices.SortStableFunc(l.elements, byRef)
		for i, e := range l.elements {
			l.byRef[e.ref] = i
		}
	}
}

func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func (l *layout) sortEdges() {
	l.edges = slices.Clone(l.b.Relations)
	for i := range l.edges {
		// The scope a plain edge has anyway.
		if e := &l.edges[i]; e.Type == seaworthy.DependsOn && e.Scope == seaworthy.Runtime {
			e.Scope = ""
		}
	}
	slices.SortFunc(l.edges, compareRelations)
	l.edges = slices.Compact(l.edges)
	l.holders = make(map[int][]string)
	for i := range l.edges {
		e := &l.edges[i]
		if to, ok := l.byRef[e.To]; ok && e.Type == seaworthy.Contains && l.native(l.edges, i) {
			l.holders[to] = append(l.holders[to], e.From)
		}
	}
}

func compareRelations(a, b seaworthy.Relation) int {
	return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Type, b.Type), cmp.Compare(a.To, b.To),
		cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Comment, b.Comment))
}

// from returns the sorted relations that start at ref.
func (l *layout) from(ref string) []seaworthy.Relation {
	start, _ := slices.BinarySearchFunc(l.edges, ref, func(e seaworthy.Relation, ref string) int {
		return cmp.Compare(e.From, ref)
	})
	end := start
	for end < len(l.edges) && l.edges[end].From == ref {
		end++
	}
	return l.edges[start:end]
}

// native reports whether edge i of the sorted edges is said in full by dependencies or containedBy. Where there
// are several of one type between the same two, differing in scope or comment, dependencies say none in full.
func (l *layout) native(edges []seaworthy.Relation, i int) bool {
	e := &edges[i]
	plain := func(o *seaworthy.Relation) bool { return o.Scope == "" && o.Comment == "" }
	same := func(j int) bool {
		return j >= 0 && j < len(edges) && edges[j].From == e.From && edges[j].Type == e.Type && edges[j].To == e.To
	}
	switch e.Type {
	case seaworthy.DependsOn, provides:
		return plain(e) && inDependencies(e) && !same(i-1) && !same(i+1)
	case seaworthy.Contains:
		_, ok := l.byRef[e.To]
		return ok && plain(e)
	}
	return false
}

// inDependencies reports whether dependencies list the edge, in full or not.
func inDependencies(e *seaworthy.Relation) bool {
	return (e.Type == seaworthy.DependsOn || e.Type == provides) &&
		e.From != "" && e.To != "" && e.From != seaworthy.DocumentRef
}

// provides is the relation of dependencies[].provides: From implements the specification To.
const provides seaworthy.RelationType = "PROVIDES"

func (l *layout) placeRoots() {
	l.root = -1
	l.roots = make(map[int]int)
	seen := make(map[int]bool)
	for n, ref := range l.b.Roots {
		i, ok := l.byRef[ref]
		if !ok || l.elements[i].file || seen[i] {
			l.rootsAll = true
			continue
		}
		seen[i] = true
		if l.root < 0 {
			l.root = i
			l.rootsAll = l.rootsAll || n != 0
			continue
		}
		l.roots[i] = n + 1
	}
}

// placeTexts finds, for each licence text, the first element that names its licence alone.
func (l *layout) placeTexts() {
	l.textHome = make(map[string]int)
	l.texts = slices.Clone(l.b.Licences)
	slices.SortStableFunc(l.texts, compareTexts)
	texts := make(map[string]bool, len(l.texts))
	for i := range l.texts {
		texts[l.texts[i].ID] = true
	}
	for i := range l.elements {
		ref := mainLicence(l.licences(i))
		if _, ok := l.textHome[ref]; !ok && texts[ref] && licenseRef(ref) {
			l.textHome[ref] = i
		}
	}
}

func (l *layout) licences(i int) *seaworthy.Licences {
	if e := l.elements[i]; e.file {
		return &l.b.Files[e.at].Licences
	}
	return &l.b.Packages[l.elements[i].at].Licences
}

// mainLicence is the one that goes into component.licenses.
func mainLicence(l *seaworthy.Licences) string { return cmp.Or(l.Declared, l.Concluded) }

// component returns element i as it is written. It is the caller's.
func (l *layout) component(i int) *component {
	e := l.elements[i]
	c := &component{BOMRef: l.text(e.ref)}
	if e.file {
		l.setFile(c, &l.b.Files[e.at])
	} else {
		l.setPackage(c, &l.b.Packages[e.at])
	}
	l.setLicences(c, i)
	if n := l.roots[i]; n > 0 {
		c.add(propRoot, strconv.Itoa(n))
	}
	l.setRelations(c, i)
	return c
}

// setRelations writes what contains element i, and what starts there and has no native form.
func (l *layout) setRelations(c *component, i int) {
	for _, holder := range l.holders[i] {
		c.add(propContainedBy, l.text(holder))
	}
	edges := l.from(l.elements[i].ref)
	for j := range edges {
		if !l.native(edges, j) {
			c.add(propRelation, jsonValue(relationValue{Type: edges[j].Type, To: edges[j].To, Scope: edges[j].Scope, Comment: edges[j].Comment}))
		}
	}
}

// relationValue is the JSON of propRelation. From is said on metadata only.
type relationValue struct {
	From    *string                `json:"from,omitempty"`
	Type    seaworthy.RelationType `json:"type"`
	To      string                 `json:"to"`
	Scope   seaworthy.Scope        `json:"scope,omitempty"`
	Comment string                 `json:"comment,omitempty"`
}

func (c *component) add(name, value string) {
	c.Properties = append(c.Properties, property{name, value})
}

// addText adds a property unless value is "".
func (l *layout) addText(c *component, name, value string) {
	if value != "" {
		c.add(name, l.text(value))
	}
}

func (l *layout) setFile(c *component, f *seaworthy.File) {
	c.Type = string(seaworthy.FileRole)
	c.Name = l.text(f.Path)
	c.Description = l.text(f.Comment)
	c.Copyright = l.text(f.Copyright)
	l.setHashes(c, f.Hashes)
	l.setEvidence(c, f.Evidence)
	for _, t := range f.Types {
		c.add(propFileType, l.text(t))
	}
}

func (l *layout) setPackage(c *component, p *seaworthy.Package) {
	var exact bool
	if c.Type, exact = typeOf(p.Role); !exact {
		c.add(propRole, l.text(string(p.Role)))
	}
	group, name := splitName(p.Ecosystem, p.Name)
	c.Group, c.Name = l.text(group), l.text(name)
	if len(p.Version) <= maxVersion {
		c.Version = l.text(p.Version)
	}
	if len(c.Version) > maxVersion || len(p.Version) > maxVersion {
		c.Version = ""
		c.add(propVersion, l.text(p.Version))
	}
	c.Description, c.Copyright = l.text(p.Description), l.text(p.Copyright)
	purl := p.PURL
	if purl != "" && uriOK(purl) {
		c.PURL = purl
	} else {
		l.addText(c, propPURL, purl)
	}
	if p.Ecosystem != ecosystemOf(purl) {
		c.add(propEcosystem, l.text(p.Ecosystem))
	}
	if p.Arch != archOf(purl) {
		c.add(propArch, l.text(p.Arch))
	}
	if c.Scope, exact = scopeOf(p.Scope); !exact {
		c.add(propScope, l.text(string(p.Scope)))
	}
	l.setIdentifiers(c, p.Name, p.Identifiers)
	if !slices.Equal(identifiersOf(c), p.Identifiers) {
		c.add(propIdentifiers, jsonValue(p.Identifiers))
	}
	l.setHashes(c, p.Hashes)
	l.addText(c, propHashOf, string(p.HashOf))
	l.setParties(c, p)
	l.addText(c, propSourceName, p.Source.Name)
	l.addText(c, propSourceVersion, p.Source.Version)
	l.addText(c, propCoveredBy, p.CoveredBy)
	if p.Direct {
		c.add(propDirect, "true")
	}
	if len(p.Depends) > 0 {
		c.add(propDepends, jsonValue(p.Depends))
	}
	if len(p.Files) > 0 {
		c.add(propFiles, jsonValue(p.Files))
	}
	l.setEvidence(c, p.Evidence)
	l.setReferences(c, p)
}

// maxVersion is the length of a version in the schema, taken in bytes.
const maxVersion = 1024

func (l *layout) setHashes(c *component, ds []seaworthy.Digest) {
	if c.Hashes = l.hashes(ds); len(c.Hashes) != len(ds) {
		c.add(propHashes, jsonValue(ds))
	}
}

func (l *layout) setParties(c *component, p *seaworthy.Package) {
	c.Supplier = l.entity(p.Supplier)
	c.Publisher = l.text(p.Supplier.Name)
	if partyOf(c.Supplier) != p.Supplier {
		c.add(propSupplier, jsonValue(p.Supplier))
	}
	var back seaworthy.Party
	if p.Originator.Kind == seaworthy.Person {
		if person := l.contact(p.Originator); person != nil {
			c.Authors = []contact{*person}
			back = personOf(*person)
		}
	} else {
		c.Manufacturer = l.entity(p.Originator)
		back = partyOf(c.Manufacturer)
	}
	if back != p.Originator {
		c.add(propOriginator, jsonValue(p.Originator))
	}
}

// setReferences writes Homepage, Download and kept references, and then the properties.
func (l *layout) setReferences(c *component, p *seaworthy.Package) {
	for _, r := range []struct{ typ, url, prop string }{
		{"website", p.Homepage, propHomepage}, {"distribution", p.Download, propDownload},
	} {
		switch {
		case r.url == "":
		case uriOK(r.url):
			c.References = append(c.References, externalRef{Type: r.typ, URL: r.url})
		default:
			c.add(r.prop, l.text(r.url))
		}
	}
	leading := true // reading puts kept references before all other properties
	for _, prop := range p.Properties {
		ref, ok := l.reference(prop)
		// A first website or distribution would be taken for the homepage or the download.
		taken := (ref.Type == "website" && p.Homepage == "") || (ref.Type == "distribution" && p.Download == "")
		if leading = leading && ok && !taken; leading {
			c.References = append(c.References, ref)
			continue
		}
		c.Properties = append(c.Properties, l.property(prop))
	}
}

// reference turns a kept external reference back into one.
func (l *layout) reference(p seaworthy.Property) (externalRef, bool) {
	typ, ok := strings.CutPrefix(p.Name, keptReference)
	if !ok || !referenceTypes[typ] {
		return externalRef{}, false
	}
	url, comment, more := strings.Cut(p.Value, " ")
	if !uriOK(url) || (more && comment == "") {
		return externalRef{}, false
	}
	return externalRef{Type: typ, URL: url, Comment: l.text(comment)}, true
}

func (l *layout) property(p seaworthy.Property) property {
	name := p.Name
	if reserved(name) {
		name = propProperty + name
	}
	return property{l.text(name), l.text(p.Value)}
}

// evidenceContext is the JSON in the additionalContext of an occurrence.
type evidenceContext struct {
	Layer   int              `json:"layer,omitzero"`
	DiffID  seaworthy.Digest `json:"diffID,omitempty"`
	History string           `json:"history,omitempty"`
	By      string           `json:"by,omitempty"`
}

func (l *layout) setEvidence(c *component, found []seaworthy.Evidence) {
	if len(found) == 0 {
		return
	}
	c.Evidence = &evidence{Occurrences: make([]occurrence, len(found))}
	for i, e := range found {
		o := &c.Evidence.Occurrences[i]
		o.Location = l.text(e.Path)
		if rest := (evidenceContext{e.Layer, e.DiffID, e.History, e.By}); rest != (evidenceContext{}) {
			o.Context = jsonValue(rest)
		}
	}
}

func (l *layout) setLicences(c *component, i int) {
	have := l.licences(i)
	switch {
	case have.Declared != "":
		c.Licenses = licenses{l.choice(have.Declared, "declared")}
		l.addText(c, propConcluded, have.Concluded)
	case have.Concluded != "":
		c.Licenses = licenses{l.choice(have.Concluded, "concluded")}
	}
	if home, ok := l.textHome[mainLicence(have)]; ok && home == i {
		if t := l.licenceText(mainLicence(have)); t != nil {
			l.setText(c.Licenses[0].License, t)
		}
	}
	if len(have.Found) == 0 {
		return
	}
	if choices := l.foundChoices(have.Found); choices != nil {
		if c.Evidence == nil {
			c.Evidence = new(evidence)
		}
		c.Evidence.Licenses = choices
		return
	}
	c.add(propFound, jsonValue(have.Found))
}

// licenceText returns the first text with this ID.
func (l *layout) licenceText(id string) *seaworthy.LicenceText {
	i, ok := slices.BinarySearchFunc(l.texts, id, func(t seaworthy.LicenceText, id string) int {
		return cmp.Compare(t.ID, id)
	})
	if !ok {
		return nil
	}
	return &l.texts[i]
}

// compareTexts orders licence texts by ID, and those that share one by the rest.
func compareTexts(a, b seaworthy.LicenceText) int {
	return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Text, b.Text),
		cmp.Compare(a.Comment, b.Comment), slices.Compare(a.URLs, b.URLs))
}

func (l *layout) setText(to *license, t *seaworthy.LicenceText) {
	if t.Text != "" {
		to.Text = &attachment{ContentType: "text/plain", Content: l.text(t.Text)}
	}
	if len(t.URLs) > 0 && uriOK(t.URLs[0]) {
		to.URL = t.URLs[0]
	}
	rest := *t
	rest.Text = ""
	to.Properties = []property{{propLicenceText, jsonValue(rest)}}
}

// timestamp returns t as a date-time, "" when the format has none for it.
func timestamp(t time.Time) string {
	if t.IsZero() || t.UTC().Year() < 1 || t.UTC().Year() > 9999 {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
