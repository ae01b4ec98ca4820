package spdx3

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/facet"
)

const (
	context    = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
	creation   = "_:creationinfo"
	noLicence  = "expandedlicensing_NoneLicense"
	defaultID  = "urn:seaworthy:bill" // stands for the ID of a bill that has none which is an IRI
	maxTargets = 1000                 // of one Relationship
)

// Write writes b as SPDX 3.0.1 JSON-LD. It holds no more than the order of the elements, the agents and the licence
// expressions, and one element at a time. Errors: those of w.
func Write(w io.Writer, b *seaworthy.Bill) error {
	g := newWriter(w, b)
	s := g.s
	s.Object("")
	s.String("@context", context)
	s.Array("@graph")
	g.head()
	for _, i := range g.Packages {
		g.pkg(i)
	}
	for _, i := range g.Files {
		g.file(i)
	}
	g.relationships()
	s.End()
	s.End()
	return seaworthy.Wrap(s.Close(), seaworthy.Storage, "writing SPDX 3")
}

type writer struct {
	*facet.Plan
	s           *facet.Stream
	namespace   string
	agents      map[seaworthy.Party]string // identifiers
	expressions map[string]string          // identifiers
	texts       map[string]string          // LicenseRef- → IRI
	notes       map[string][]int           // those that are written with their element
	whole       []string                   // facets of the document
	annotations int
	relations   int
}

func newWriter(w io.Writer, b *seaworthy.Bill) *writer {
	g := &writer{
		s: facet.NewStream(w), namespace: defaultID, agents: map[seaworthy.Party]string{}, expressions: map[string]string{},
		texts: map[string]string{}, notes: map[string][]int{},
	}
	if isIRI(b.ID) {
		g.namespace = b.ID
	}
	g.Plan = facet.NewPlan(b, func(ref string) bool {
		return isIRI(ref) && !strings.HasPrefix(ref, g.namespace+"#") &&
			(strings.HasPrefix(ref, "http://") || strings.HasPrefix(ref, "https://") || strings.HasPrefix(ref, "urn:"))
	})
	for _, a := range g.authors() {
		g.agent(a)
	}
	for i := range b.Packages {
		p := &b.Packages[i]
		g.agent(p.Supplier)
		g.agent(p.Originator)
		g.expression(p.Licences.Declared)
		g.expression(p.Licences.Concluded)
	}
	for i := range b.Files {
		g.expression(b.Files[i].Licences.Declared)
		g.expression(b.Files[i].Licences.Concluded)
	}
	for i := range g.Notes {
		n := &g.Notes[i]
		_, _, isFacet := facet.Split(n.Text)
		if !isFacet && g.Carried(n.Ref) && !n.At.IsZero() && facet.FormatTime(n.At) == n.At.Format("2006-01-02T15:04:05.999999999Z07:00") &&
			n.By != (seaworthy.Party{}) && (n.Kind == "REVIEW" || n.Kind == "OTHER") {
			g.agent(n.By)
			g.notes[n.Ref] = append(g.notes[n.Ref], i)
			continue
		}
		named := *n
		named.Ref = g.ID(n.Ref)
		g.whole = append(g.whole, facet.Whole(facet.OfNote, named))
	}
	return g
}

// authors are the bill's, or who else is the author of every document we write.
func (g *writer) authors() []seaworthy.Party {
	if len(g.Bill.Authors) > 0 {
		return g.Bill.Authors
	}
	return []seaworthy.Party{{Kind: seaworthy.Software, Name: "seaworthy"}}
}

// isIRI reports whether s can be an identifier of SPDX 3: a scheme, a colon, and printable ASCII without spaces.
func isIRI(s string) bool {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || rest == "" || scheme == "" || scheme == "_" {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"<>\\^`{|}", r) })
}

// iri returns the identifier of a Ref.
func (g *writer) iri(ref string) string { return g.full(g.ID(ref)) }

// full makes an IRI of an SPDX 2 identifier.
func (g *writer) full(id string) string {
	switch {
	case id == "NONE":
		return "NoneElement"
	case id == "NOASSERTION":
		return "NoAssertionElement"
	case isIRI(id):
		return id
	}
	return g.namespace + "#" + id
}

func short(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

func (g *writer) agent(p seaworthy.Party) string {
	if p == (seaworthy.Party{}) {
		return ""
	}
	id, ok := g.agents[p]
	if !ok {
		id = g.namespace + "#Agent-" + short(string(p.Kind)+"\x00"+p.Name+"\x00"+p.Email+"\x00"+p.URL)
		g.agents[p] = id
	}
	return id
}

func (g *writer) expression(expr string) string {
	switch expr {
	case "":
		return ""
	case "NONE":
		return noLicence
	}
	id, ok := g.expressions[expr]
	if !ok {
		id = g.namespace + "#License-" + short(expr)
		g.expressions[expr] = id
	}
	return id
}

// begin opens an element.
func (g *writer) begin(typ, id string) {
	g.s.Object("")
	g.s.String("type", typ)
	g.s.String("spdxId", id)
	g.s.String("creationInfo", creation)
}

func (g *writer) head() {
	s, b := g.s, g.Bill
	s.Object("")
	s.String("type", "CreationInfo")
	s.String("@id", creation)
	s.String("specVersion", "3.0.1")
	s.String("created", facet.FormatTime(b.Created))
	s.Array("createdBy")
	for _, a := range g.authors() {
		s.String("", g.agent(a))
	}
	s.End()
	if len(b.Tools) > 0 {
		s.Array("createdUsing")
		for i := range b.Tools {
			s.String("", g.namespace+"#Tool-"+strconv.Itoa(i+1))
		}
		s.End()
	}
	s.End()
	for i, t := range b.Tools {
		g.begin("Tool", g.namespace+"#Tool-"+strconv.Itoa(i+1))
		s.Some("name", facet.FormatTool(t))
		s.End()
	}
	for _, p := range slices.SortedFunc(maps.Keys(g.agents), func(a, b seaworthy.Party) int { return cmp.Compare(g.agents[a], g.agents[b]) }) {
		g.party(p)
	}
	g.document()
	g.licences()
}

func (g *writer) party(p seaworthy.Party) {
	typ := map[seaworthy.PartyKind]string{seaworthy.Person: "Person", seaworthy.Organization: "Organization", seaworthy.Software: "SoftwareAgent"}[p.Kind]
	g.begin(cmp.Or(typ, "Agent"), g.agents[p])
	g.s.Some("name", p.Name)
	var ids many[identifier]
	if p.Email != "" {
		ids = append(ids, identifier{Type: "email", Value: p.Email})
	}
	if p.URL != "" {
		ids = append(ids, identifier{Type: "urlScheme", Value: p.URL})
	}
	g.identifiers(ids)
	g.s.End()
}

func (g *writer) document() {
	s, b := g.s, g.Bill
	var e element
	e.fromBill(b)
	sbom := g.namespace + "#Sbom"
	g.begin(e.Type, g.full(facet.DocumentID))
	s.Some("name", e.Name)
	s.Some("comment", e.Comment)
	s.Strings("profileConformance", []string{"core", "software", "simpleLicensing"})
	s.Some("dataLicense", e.DataLicence.id)
	s.Strings("rootElement", []string{sbom})
	s.End()

	g.begin("software_Sbom", sbom)
	kind := three(contexts, b.Context)
	if kind != "" {
		s.Strings("software_sbomType", []string{kind})
	}
	if len(g.Roots) > 0 {
		s.Array("rootElement")
		for _, ref := range g.Roots {
			s.String("", g.iri(ref))
		}
		s.End()
	}
	if len(g.Packages)+len(g.Files) > 0 {
		s.Array("element")
		for _, i := range g.Packages {
			s.String("", g.full(g.PackageIDs[i]))
		}
		for _, i := range g.Files {
			s.String("", g.full(g.FileIDs[i]))
		}
		s.End()
	}
	s.End()

	back := seaworthy.Bill{ID: g.namespace, Authors: g.authors(), Context: ours(contexts, kind)}
	e.toBill(&back)
	back.Created, _, _ = facet.ParseTime(facet.FormatTime(b.Created))
	for _, t := range b.Tools {
		back.Tools = append(back.Tools, facet.ParseTool(facet.FormatTool(t)))
	}
	about := g.full(facet.DocumentID)
	g.annotate(about, facet.Diff(facet.OfBill, &back, b, billParts...))
	for _, n := range g.Names {
		g.annotate(about, facet.Whole(facet.OfName, n))
	}
	for _, text := range g.whole {
		g.annotate(about, text)
	}
	for _, p := range b.Problems {
		g.annotate(about, facet.Whole(facet.OfProblem, p))
	}
	g.noted(seaworthy.DocumentRef)
}

// billParts are the fields of a Bill that are not its head.
var billParts = []string{"Format", "Roots", "Packages", "Files", "Relations", "Licences", "Notes", "Problems"}

func (g *writer) licences() {
	s := g.s
	for i := range g.Licences {
		l := &g.Licences[i]
		name := "LicenseText-" + strconv.Itoa(i+1)
		if facet.Valid("SPDXRef-"+l.ID) && strings.HasPrefix(l.ID, "LicenseRef-") && g.texts[l.ID] == "" {
			name = l.ID
		}
		id := g.namespace + "#" + name
		if g.texts[l.ID] == "" {
			g.texts[l.ID] = id
		}
		g.begin("simplelicensing_SimpleLicensingText", id)
		s.Some("name", l.Name)
		s.Some("comment", l.Comment)
		s.String("simplelicensing_licenseText", l.Text)
		s.End()
		back := seaworthy.LicenceText{ID: name, Name: l.Name, Text: l.Text, Comment: l.Comment}
		g.annotate(id, facet.Diff(facet.OfLicence, &back, l))
	}
	for _, expr := range slices.Sorted(maps.Keys(g.expressions)) {
		g.begin("simplelicensing_LicenseExpression", g.expressions[expr])
		s.String("simplelicensing_licenseExpression", expr)
		refs := strings.FieldsFunc(expr, func(r rune) bool { return r == ' ' || r == '(' || r == ')' || r == '+' })
		refs = slices.DeleteFunc(refs, func(r string) bool { return g.texts[r] == "" || !strings.HasPrefix(r, "LicenseRef-") })
		slices.Sort(refs)
		if refs = slices.Compact(refs); len(refs) > 0 {
			s.Array("simplelicensing_customIdToUri")
			for _, r := range refs {
				s.Object("")
				s.String("type", "DictionaryEntry")
				s.String("key", r)
				s.String("value", g.texts[r])
				s.End()
			}
			s.End()
		}
		s.End()
	}
}

func (g *writer) pkg(i int) {
	s, p := g.s, &g.Bill.Packages[i]
	id := g.full(g.PackageIDs[i])
	var e element
	e.fromPackage(p)
	g.begin(e.Type, id)
	g.artifact(&e)
	s.Some("builtTime", e.Built)
	s.Some("releaseTime", e.Released)
	s.Some("validUntilTime", e.ValidUntil)
	s.Some("suppliedBy", g.agent(p.Supplier))
	if by := g.agent(p.Originator); by != "" {
		s.Strings("originatedBy", []string{by})
	}
	s.Some("software_packageVersion", e.Version)
	s.Some("software_packageUrl", e.PURL)
	s.Some("software_downloadLocation", e.Download)
	s.Some("software_homePage", e.Homepage)
	s.Some("software_sourceInfo", e.SourceInfo)
	s.End()
	g.licensed(id, p.Licences)

	back := e.toPackage(ignore)
	back.Ref, back.Supplier, back.Originator = g.PackageIDs[i], p.Supplier, p.Originator
	back.Licences = seaworthy.Licences{Declared: assertion(p.Licences.Declared), Concluded: assertion(p.Licences.Concluded)}
	g.annotate(id, facet.Diff(facet.OfPackage, &back, p, "Depends", "Files", skipEmpty(p.Ref)))
	if g.ID(p.Ref) == g.PackageIDs[i] {
		g.noted(p.Ref)
	}
}

func (g *writer) file(i int) {
	f := &g.Bill.Files[i]
	id := g.full(g.FileIDs[i])
	var e element
	e.fromFile(f)
	g.begin(e.Type, id)
	g.artifact(&e)
	g.s.End()
	g.licensed(id, f.Licences)

	back := e.toFile(ignore)
	back.Ref = g.FileIDs[i]
	back.Licences = seaworthy.Licences{Declared: assertion(f.Licences.Declared), Concluded: assertion(f.Licences.Concluded)}
	g.annotate(id, facet.Diff(facet.OfFile, &back, f, skipEmpty(f.Ref)))
	if g.ID(f.Ref) == g.FileIDs[i] {
		g.noted(f.Ref)
	}
}

// skipEmpty keeps an element without a Ref from asking for that in its facet.
func skipEmpty(ref string) string {
	if ref == "" {
		return "Ref"
	}
	return ""
}

// artifact writes what packages and files share.
func (g *writer) artifact(e *element) {
	s := g.s
	s.Some("name", e.Name)
	s.Some("summary", e.Summary)
	s.Some("description", e.Description)
	s.Some("comment", e.Comment)
	g.identifiers(e.Identifiers)
	if len(e.Hashes) > 0 {
		s.Array("verifiedUsing")
		for _, h := range e.Hashes {
			s.Object("")
			s.String("type", "Hash")
			s.String("algorithm", h.Algorithm)
			s.String("hashValue", h.Value)
			s.End()
		}
		s.End()
	}
	s.Some("software_primaryPurpose", e.Purpose)
	s.Some("software_copyrightText", e.Copyright)
	s.Strings("software_attributionText", e.Attributions)
}

func (g *writer) identifiers(ids many[identifier]) {
	if len(ids) == 0 {
		return
	}
	g.s.Array("externalIdentifier")
	for _, id := range ids {
		g.s.Object("")
		g.s.String("type", "ExternalIdentifier")
		g.s.String("externalIdentifierType", id.Type)
		g.s.String("identifier", id.Value)
		g.s.Some("comment", id.Comment)
		g.s.End()
	}
	g.s.End()
}

func (g *writer) licensed(id string, l seaworthy.Licences) {
	if to := g.expression(l.Concluded); to != "" {
		g.relationship(relation{from: id, typ: "hasConcludedLicense"}, []string{to})
	}
	if to := g.expression(l.Declared); to != "" {
		g.relationship(relation{from: id, typ: "hasDeclaredLicense"}, []string{to})
	}
}

// relationships writes the relations; those that differ in one end only are one Relationship.
func (g *writer) relationships() {
	var at relation
	var to []string
	for _, r := range g.Relations {
		r.From, r.To = g.iri(r.From), g.iri(r.To)
		next := fromRelation(r)
		target := next.to
		next.to = ""
		if next != at || len(to) == maxTargets {
			g.relationship(at, to)
			at, to = next, to[:0]
		}
		to = append(to, target)
	}
	g.relationship(at, to)
}

func (g *writer) relationship(r relation, to []string) {
	if len(to) == 0 {
		return
	}
	g.relations++
	typ := "Relationship"
	if r.scoped {
		typ = "LifecycleScopedRelationship"
	}
	g.begin(typ, g.namespace+"#Relationship-"+strconv.Itoa(g.relations))
	g.s.Some("comment", r.comment)
	g.s.String("from", r.from)
	g.s.String("relationshipType", r.typ)
	g.s.Strings("to", to)
	g.s.Some("scope", r.scope)
	g.s.End()
}

// annotate writes a facet.
func (g *writer) annotate(about, text string) {
	if text == "" {
		return
	}
	g.annotations++
	g.begin("Annotation", g.namespace+"#Annotation-"+strconv.Itoa(g.annotations))
	g.s.String("annotationType", "other")
	g.s.String("subject", about)
	g.s.String("statement", text)
	g.s.End()
}

// noted writes the notes on an element. Who said it, and when, is a CreationInfo of its own.
func (g *writer) noted(ref string) {
	for _, i := range g.notes[ref] {
		n, s := &g.Notes[i], g.s
		g.annotations++
		number := strconv.Itoa(g.annotations)
		s.Object("")
		s.String("type", "CreationInfo")
		s.String("@id", "_:annotation-"+number)
		s.String("specVersion", "3.0.1")
		s.String("created", facet.FormatTime(n.At))
		s.Strings("createdBy", []string{g.agent(n.By)})
		s.End()
		s.Object("")
		s.String("type", "Annotation")
		s.String("spdxId", g.namespace+"#Annotation-"+number)
		s.String("creationInfo", "_:annotation-"+number)
		s.String("annotationType", strings.ToLower(n.Kind))
		s.String("subject", g.iri(ref))
		s.String("statement", n.Text)
		s.End()
	}
}
