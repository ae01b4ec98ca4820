package cyclonedx

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// reading is a bill being made of a document: components are turned into packages and files as they come, and
// what joins them is settled in finish, when all names are known.
type reading struct {
	limits  Limits
	bill    seaworthy.Bill
	licence licenceReader
	tallies [problemKinds]tally

	elements  []found
	root      int // element of metadata.component, or -1
	rootMarks []rootMark
	rootsProp []string // of propRoots
	hasRoots  bool
	native    []seaworthy.Relation // of dependencies
	heldBy    []held
	relations []ownRelation
	supplier  seaworthy.Party // of metadata
	notesProp bool
}

// found is a component of the document.
type found struct {
	ref    string // as the document says
	parent int    // element it is nested in, or -1
	file   bool
	at     int // in bill.Packages or bill.Files
}

type rootMark struct{ place, element int }

type held struct {
	element int
	by      string
}

type ownRelation struct {
	element int // -1 for one that names its own start
	value   relationValue
}

func newReading(limits Limits) *reading {
	r := &reading{limits: limits.withDefaults(), root: -1}
	r.licence.warn = r.warn
	return r
}

// open makes room for a component that starts here. Errors: TooLarge.
func (r *reading) open(parent int) (int, error) {
	if len(r.elements) >= r.limits.MaxElements {
		return 0, seaworthy.Errorf(seaworthy.TooLarge, "document has more than %d components", r.limits.MaxElements)
	}
	r.elements = append(r.elements, found{parent: parent})
	return len(r.elements) - 1, nil
}

// close takes the component that was opened as element i.
func (r *reading) close(i int, c *component, service bool) {
	e := &r.elements[i]
	e.ref = original(c.BOMRef)
	if !service && isFile(c) {
		e.file, e.at = true, len(r.bill.Files)
		r.bill.Files = append(r.bill.Files, r.file(i, c))
		return
	}
	e.at = len(r.bill.Packages)
	r.bill.Packages = append(r.bill.Packages, r.pkg(i, c, service))
}

// isFile reports whether c is of type file and says nothing that a File has no field for.
func isFile(c *component) bool {
	if c.Type != string(seaworthy.FileRole) || c.MIMEType != "" || c.Supplier != nil || c.Manufacturer != nil ||
		len(c.Authors) > 0 || c.Author != "" || c.Publisher != "" || c.Group != "" || c.Version != "" || c.Scope != "" ||
		c.CPE != "" || c.PURL != "" || len(c.OmniborID) > 0 || len(c.SWHID) > 0 || c.SWID != nil || len(c.References) > 0 {
		return false
	}
	if c.Evidence != nil && len(c.Evidence.Copyright) > 0 {
		return false
	}
	for _, h := range c.Hashes {
		if _, ok := digestOf(h); !ok {
			return false
		}
	}
	for _, p := range c.Properties {
		switch p.Name {
		case propFileType, propContainedBy, propRelation, propConcluded, propFound, propHashes:
		default:
			return false
		}
	}
	return true
}

func (r *reading) file(i int, c *component) seaworthy.File {
	f := seaworthy.File{Path: original(c.Name), Copyright: original(c.Copyright), Comment: original(c.Description)}
	f.Hashes, _ = r.hashes(c)
	f.Licences = r.licences(c)
	f.Evidence = r.evidence(c)
	for _, p := range c.Properties {
		switch p.Name {
		case propFileType:
			f.Types = append(f.Types, original(p.Value))
		case propHashes:
			replace(r, c, p, &f.Hashes)
		default:
			r.sharedProperty(i, c, p, &f.Licences)
		}
	}
	return f
}

// own reads a property of ours that holds JSON.
func (r *reading) own(c *component, p property, v any) bool {
	err := fromJSONValue(p.Value, v)
	if err != nil {
		r.warn(problemProperty, original(c.BOMRef), p.Name)
	}
	return err == nil
}

// sharedProperty takes the properties of ours that packages and files have in common.
func (r *reading) sharedProperty(i int, c *component, p property, l *seaworthy.Licences) bool {
	switch p.Name {
	case propConcluded:
		l.Concluded = original(p.Value)
	case propFound:
		return replace(r, c, p, &l.Found)
	case propContainedBy:
		r.heldBy = append(r.heldBy, held{i, original(p.Value)})
	case propRelation:
		var v relationValue
		if !r.own(c, p, &v) {
			return false
		}
		v.From = nil
		r.relations = append(r.relations, ownRelation{i, v})
	case propRoot:
		n, err := strconv.Atoi(p.Value)
		if err != nil {
			r.warn(problemProperty, original(c.BOMRef), p.Name)
			return false
		}
		r.rootMarks = append(r.rootMarks, rootMark{n, i})
	default:
		return false
	}
	return true
}

func (r *reading) pkg(i int, c *component, service bool) seaworthy.Package {
	p := seaworthy.Package{
		Role: seaworthy.Role(original(c.Type)), Version: original(c.Version),
		Description: original(c.Description), Copyright: original(c.Copyright),
	}
	var kept []seaworthy.Property
	keep := func(name, value string) {
		if value != "" {
			kept = append(kept, seaworthy.Property{Name: name, Value: value})
		}
	}
	if service {
		p.Role = seaworthy.Other
		keep(keptService, "true")
		for _, u := range c.Endpoints {
			keep(keptEndpoint, original(u))
		}
	} else if p.Role == "" {
		p.Role = seaworthy.Library
	} else if !componentTypes[c.Type] {
		r.warn(problemType, original(c.BOMRef), c.Type)
	}
	if p.Scope = scopeFrom(c.Scope); p.Scope == "" && c.Scope != "" {
		r.warn(problemScope, original(c.BOMRef), c.Scope)
		keep(keptScope, original(c.Scope))
	}
	p.Identifiers = identifiersOf(c)
	r.setPURL(&p, c)
	p.Ecosystem, p.Arch = ecosystemOf(p.PURL), archOf(p.PURL)
	p.Licences = r.licences(c)
	var bad []string
	p.Hashes, bad = r.hashes(c)
	for _, h := range bad {
		keep(keptHash, h)
	}
	p.Evidence = r.evidence(c)
	r.setParties(&p, c, keep)
	keep(keptMIMEType, original(c.MIMEType))
	if c.Evidence != nil {
		for _, t := range c.Evidence.Copyright {
			keep(keptCopyright, original(t.Text))
		}
	}
	var rest []seaworthy.Property
	for _, prop := range c.Properties {
		if !r.packageProperty(i, c, prop, &p) {
			rest = append(rest, seaworthy.Property{Name: strings.TrimPrefix(original(prop.Name), propProperty), Value: original(prop.Value)})
		}
	}
	var group string
	p.Name, group = joinName(p.Ecosystem, original(c.Group), original(c.Name))
	keep(keptGroup, group)
	refs := r.references(&p, c)
	if len(p.Evidence) == 0 {
		p.Evidence = syftEvidence(c.Properties)
	}
	p.Properties = slices.Concat(refs, kept, rest)
	return p
}

func (r *reading) setPURL(p *seaworthy.Package, c *component) {
	if c.PURL == "" {
		return
	}
	s := strings.TrimSpace(original(c.PURL))
	canonical, err := purl.Canonical(s)
	if err != nil || canonical == "" {
		r.warn(problemPURL, original(c.BOMRef), s)
		p.Identifiers = append(p.Identifiers, seaworthy.Identifier{Category: "PACKAGE-MANAGER", Type: "purl", Value: original(c.PURL)})
		return
	}
	p.PURL = canonical
}

// setParties finds supplier and originator. Their older spellings stand in where the newer are absent.
func (r *reading) setParties(p *seaworthy.Package, c *component, keep func(name, value string)) {
	p.Supplier = partyOf(c.Supplier)
	publisher := original(c.Publisher)
	switch {
	case p.Supplier == (seaworthy.Party{}):
		p.Supplier = partyFromLine(publisher)
	case publisher != p.Supplier.Name:
		keep(keptPublisher, publisher)
	}
	var people []seaworthy.Party
	for _, a := range c.Authors {
		if person := personOf(a); person != (seaworthy.Party{}) {
			people = append(people, person)
		}
	}
	maker := partyOf(c.Manufacturer)
	if len(people) == 0 {
		p.Originator = maker
	} else {
		p.Originator = people[0]
		keep(keptManufacturer, line(maker))
		for _, a := range people[1:] {
			keep(keptAuthor, line(a))
		}
	}
	author := original(c.Author)
	if p.Originator == (seaworthy.Party{}) {
		p.Originator = partyFromLine(author)
	} else if author != p.Originator.Name {
		keep(keptAuthor, author)
	}
}

// hashes returns the digests of c, and as "algorithm:value" those that are none.
func (r *reading) hashes(c *component) (good []seaworthy.Digest, bad []string) {
	for _, h := range c.Hashes {
		if d, ok := digestOf(h); ok {
			good = append(good, d)
			continue
		}
		s := original(h.Alg) + ":" + original(h.Content)
		r.warn(problemHash, original(c.BOMRef), s)
		bad = append(bad, s)
	}
	return good, bad
}

func (r *reading) licences(c *component) seaworthy.Licences {
	var l seaworthy.Licences
	where := c.BOMRef
	l.Declared, l.Concluded = r.licence.read(where, c.Licenses)
	if c.Evidence != nil {
		l.Found = r.licence.each(where, c.Evidence.Licenses)
	}
	return l
}

func (r *reading) evidence(c *component) []seaworthy.Evidence {
	if c.Evidence == nil || len(c.Evidence.Occurrences) == 0 {
		return nil
	}
	out := make([]seaworthy.Evidence, len(c.Evidence.Occurrences))
	for i, o := range c.Evidence.Occurrences {
		e := &out[i]
		e.Path = strings.TrimLeft(original(o.Location), "/")
		if o.Context == "" {
			continue
		}
		var rest evidenceContext
		if !strings.HasPrefix(o.Context, "{") || fromJSONValue(o.Context, &rest) != nil {
			r.warn(problemContext, original(c.BOMRef), original(o.Context))
			continue
		}
		e.Layer, e.DiffID, e.History, e.By = rest.Layer, rest.DiffID, rest.History, rest.By
	}
	return out
}

// syftEvidence reads syft's properties syft:location:N:path and :layerID, N from 0.
func syftEvidence(props []property) []seaworthy.Evidence {
	var out []seaworthy.Evidence
	var by string
	at := make(map[string]int)
	for _, p := range props {
		if p.Name == "syft:package:foundBy" {
			by = original(p.Value)
		}
		n, what, ok := strings.Cut(strings.TrimPrefix(p.Name, "syft:location:"), ":")
		if !ok || !strings.HasPrefix(p.Name, "syft:location:") || (what != "path" && what != "layerID") {
			continue
		}
		i, seen := at[n]
		if !seen {
			i = len(out)
			at[n] = i
			out = append(out, seaworthy.Evidence{})
		}
		if what == "path" {
			out[i].Path = strings.TrimLeft(original(p.Value), "/")
		} else if d, err := seaworthy.ParseDigest(p.Value); err == nil {
			out[i].DiffID = d
		}
	}
	for i := range out {
		out[i].By = by
	}
	return out
}

// packageProperty takes a property of ours; false leaves it to the properties.
func (r *reading) packageProperty(i int, c *component, prop property, p *seaworthy.Package) bool {
	value := original(prop.Value)
	switch prop.Name {
	case propRole:
		p.Role = seaworthy.Role(value)
	case propEcosystem:
		p.Ecosystem = value
	case propArch:
		p.Arch = value
	case propVersion:
		p.Version = value
	case propPURL:
		p.PURL, p.Arch = value, archOf(value)
		p.Ecosystem = ecosystemOf(value)
	case propHomepage:
		p.Homepage = value
	case propDownload:
		p.Download = value
	case propHashOf:
		p.HashOf = seaworthy.HashOf(value)
	case propSourceName:
		p.Source.Name = value
	case propSourceVersion:
		p.Source.Version = value
	case propCoveredBy:
		p.CoveredBy = value
	case propScope:
		p.Scope = seaworthy.Scope(value)
	case propDirect:
		p.Direct = value == "true"
	case propSupplier:
		return replace(r, c, prop, &p.Supplier)
	case propOriginator:
		return replace(r, c, prop, &p.Originator)
	case propIdentifiers:
		return replace(r, c, prop, &p.Identifiers)
	case propHashes:
		return replace(r, c, prop, &p.Hashes)
	case propDepends:
		return replace(r, c, prop, &p.Depends)
	case propFiles:
		return replace(r, c, prop, &p.Files)
	default:
		return r.sharedProperty(i, c, prop, &p.Licences)
	}
	return true
}

// replace reads a property of ours in place of what the native members said.
func replace[T any](r *reading, c *component, p property, dst *T) bool {
	var v T
	if !r.own(c, p, &v) {
		return false
	}
	*dst = v
	return true
}

// references takes homepage and download and returns the others as kept properties.
func (r *reading) references(p *seaworthy.Package, c *component) []seaworthy.Property {
	var out []seaworthy.Property
	for _, ref := range c.References {
		if len(ref.Hashes) > 0 {
			r.warn(problemReferenceHash, original(c.BOMRef), ref.URL)
		}
		url := original(ref.URL)
		switch {
		case url == "":
		case ref.Type == "website" && p.Homepage == "" && ref.Comment == "":
			p.Homepage = url
		case ref.Type == "distribution" && p.Download == "" && ref.Comment == "":
			p.Download = url
		default:
			out = append(out, keptRef(ref))
		}
	}
	return out
}

func keptRef(ref externalRef) seaworthy.Property {
	value := original(ref.URL)
	if ref.Comment != "" {
		value += " " + original(ref.Comment)
	}
	return seaworthy.Property{Name: keptReference + original(ref.Type), Value: value}
}

// parseTime reads a date-time; one without a zone, which XML allows, is taken as UTC.
func parseTime(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		if t, err = time.Parse("2006-01-02T15:04:05", s); err != nil {
			return time.Time{}, err
		}
	}
	return t.UTC(), nil
}
