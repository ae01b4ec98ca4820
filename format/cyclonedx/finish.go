package cyclonedx

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// setDocument takes what is said at the top of the document.
func (r *reading) setDocument(specVersion, serial string, version int) error {
	specVersion = strings.TrimSpace(specVersion)
	major, minor, _ := strings.Cut(specVersion, ".")
	n, err := strconv.Atoi(minor)
	switch {
	case major != "1" || err != nil:
		return seaworthy.Errorf(seaworthy.Unsupported, "specification version %q", clip(specVersion)).
			WithHint("versions 1.2 to 1.7 are read")
	case n < 2 || n > 7:
		r.warn(problemSpecVersion, "specVersion", specVersion)
	}
	r.bill.Format = "CycloneDX " + specVersion
	if r.bill.ID == "" { // propID may have come first
		r.bill.ID = original(serial)
	}
	if version > 1 {
		kept := seaworthy.Property{Name: keptVersion, Value: strconv.Itoa(version)}
		r.bill.Properties = slices.Insert(r.bill.Properties, 0, kept)
	}
	return nil
}

// setMetadata takes the metadata but for its component.
func (r *reading) setMetadata(m *metadata) {
	b := &r.bill
	if m.Timestamp != "" {
		if t, err := parseTime(m.Timestamp); err != nil {
			r.warn(problemTime, "metadata.timestamp", m.Timestamp)
		} else {
			b.Created = t.Truncate(time.Second)
		}
	}
	var kept []seaworthy.Property
	for _, l := range m.Lifecycles {
		phase := original(cmp.Or(l.Phase, l.Name))
		switch {
		case phase == "":
		case b.Context == "":
			b.Context = phase
		default:
			kept = append(kept, seaworthy.Property{Name: keptLifecycle, Value: phase})
		}
	}
	if m.Tools != nil {
		for _, t := range slices.Concat(m.Tools.Components, m.Tools.Services) {
			b.Tools = append(b.Tools, toolOf(t))
		}
	}
	b.Authors = authorsOf(m)
	r.supplier = partyOf(m.Supplier)
	if p := partyOf(m.Manufacture); p != (seaworthy.Party{}) {
		kept = append(kept, seaworthy.Property{Name: keptManufacture, Value: line(p)})
	}
	declared, concluded := r.licence.read("metadata.licenses", m.Licenses)
	b.DataLicence = cmp.Or(declared, concluded)
	b.Properties = append(b.Properties, kept...)
	r.documentProperties(m.Properties)
}

// documentProperties takes the properties of metadata or of the document.
func (r *reading) documentProperties(props []property) {
	for _, p := range props {
		if !r.documentProperty(p) {
			r.bill.Properties = append(r.bill.Properties, seaworthy.Property{
				Name: strings.TrimPrefix(original(p.Name), propProperty), Value: original(p.Value),
			})
		}
	}
}

func (r *reading) documentProperty(p property) bool {
	b := &r.bill
	at := &component{BOMRef: "metadata"} // where a problem is said to be
	value := original(p.Value)
	switch p.Name {
	case propID:
		b.ID = value
	case propName:
		b.Name = value
	case propComment:
		b.Comment = value
	case propContext:
		b.Context = value
	case propCreated:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			r.warn(problemProperty, at.BOMRef, p.Name)
			return false
		}
		b.Created = time.Unix(n, 0).UTC()
	case propRoots:
		r.hasRoots = replace(r, at, p, &r.rootsProp)
		return r.hasRoots
	case propAuthors:
		return replace(r, at, p, &b.Authors)
	case propTools:
		return replace(r, at, p, &b.Tools)
	case propNotes:
		ok := replace(r, at, p, &b.Notes)
		r.notesProp = r.notesProp || ok
		return ok
	case propLicenceText:
		var t seaworthy.LicenceText
		if !r.own(at, p, &t) {
			return false
		}
		b.Licences = append(b.Licences, t)
	case propRelation:
		var v relationValue
		if !r.own(at, p, &v) {
			return false
		}
		r.relations = append(r.relations, ownRelation{-1, v})
	default:
		return false
	}
	return true
}

// addReferences keeps the external references of the document, before all its other properties.
func (r *reading) addReferences(refs []externalRef) {
	var kept []seaworthy.Property
	for _, ref := range refs {
		if len(ref.Hashes) > 0 {
			r.warn(problemReferenceHash, "externalReferences", ref.URL)
		}
		if ref.URL != "" {
			kept = append(kept, keptRef(ref))
		}
	}
	r.bill.Properties = slices.Insert(r.bill.Properties, 0, kept...)
}

// addDependency takes one entry of dependencies. Errors: TooLarge.
func (r *reading) addDependency(d *dependency) error {
	for _, list := range []struct {
		typ seaworthy.RelationType
		to  []string
	}{{seaworthy.DependsOn, d.DependsOn}, {provides, d.Provides}} {
		for _, to := range list.to {
			if err := r.addEdge(d.Ref, list.typ, to); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *reading) addEdge(from string, typ seaworthy.RelationType, to string) error {
	if from == "" || to == "" {
		r.warn(problemDependencyRef, original(from), original(to))
		return nil
	}
	if len(r.native) >= r.limits.MaxRelations {
		return seaworthy.Errorf(seaworthy.TooLarge, "document has more than %d dependencies", r.limits.MaxRelations)
	}
	r.native = append(r.native, seaworthy.Relation{From: original(from), Type: typ, To: original(to)})
	return nil
}

func (r *reading) addAnnotation(a *annotation) {
	if r.notesProp {
		return
	}
	if _, err := parseTime(a.Timestamp); err != nil && a.Timestamp != "" {
		r.warn(problemTime, "annotations", a.Timestamp)
	}
	r.bill.Notes = append(r.bill.Notes, notesOf(a)...)
}

// finish names every element, joins them, and returns the bill in its canonical order: packages, files and
// licence texts by name, relations by start, each once.
func (r *reading) finish() *seaworthy.Bill {
	b := &r.bill
	names := r.name()
	r.join(names)
	r.setRoots(names)
	b.Licences = append(b.Licences, r.licence.texts...)
	slices.SortStableFunc(b.Licences, compareTexts)
	r.check(names)
	if b.Packages == nil {
		b.Packages = []seaworthy.Package{}
	}
	slices.SortFunc(b.Packages, func(a, c seaworthy.Package) int { return cmp.Compare(a.Ref, c.Ref) })
	slices.SortFunc(b.Files, func(a, c seaworthy.File) int { return cmp.Compare(a.Ref, c.Ref) })
	b.Problems = r.problems()
	return b
}

// name gives every element its Ref: the first of a bom-ref has it, a later one and one without get a free one.
func (r *reading) name() []string {
	names := make([]string, len(r.elements))
	taken := newRefs(len(r.elements))
	for i, e := range r.elements {
		switch {
		case e.ref == "":
		case taken.reserve(e.ref):
			names[i] = e.ref
		default:
			r.warn(problemDuplicateRef, e.ref, e.ref)
		}
	}
	for i, e := range r.elements {
		switch {
		case names[i] != "":
		case e.ref != "":
			names[i] = taken.free(e.ref)
		case e.file:
			names[i] = taken.free(fileRef(&r.bill.Files[e.at]))
		default:
			names[i] = taken.free(packageRef(&r.bill.Packages[e.at]))
		}
		if e.file {
			r.bill.Files[e.at].Ref = names[i]
		} else {
			r.bill.Packages[e.at].Ref = names[i]
		}
	}
	return names
}

// join makes the relations. One that a property of ours says in full replaces the one in dependencies.
func (r *reading) join(names []string) {
	type pair struct {
		from, to string
		typ      seaworthy.RelationType
	}
	said := make(map[pair]bool)
	var out []seaworthy.Relation
	for _, rel := range r.relations {
		v := rel.value
		e := seaworthy.Relation{Type: v.Type, To: v.To, Scope: v.Scope, Comment: v.Comment}
		switch {
		case rel.element >= 0:
			e.From = names[rel.element]
		case v.From != nil:
			e.From = *v.From
		}
		said[pair{e.From, e.To, e.Type}] = true
		out = append(out, e)
	}
	for _, e := range r.native {
		if len(said) == 0 || !said[pair{e.From, e.To, e.Type}] {
			out = append(out, e)
		}
	}
	for _, h := range r.heldBy {
		out = append(out, seaworthy.Relation{From: h.by, Type: seaworthy.Contains, To: names[h.element]})
	}
	for i, e := range r.elements {
		if e.parent >= 0 {
			out = append(out, seaworthy.Relation{From: names[e.parent], Type: seaworthy.Contains, To: names[i]})
		}
	}
	slices.SortFunc(out, compareRelations)
	r.bill.Relations = slices.Compact(out)
}

func (r *reading) setRoots(names []string) {
	b := &r.bill
	if r.root >= 0 {
		b.Roots = append(b.Roots, names[r.root])
		e := r.elements[r.root]
		switch {
		case r.supplier == (seaworthy.Party{}):
		case e.file:
			b.Properties = append(b.Properties, seaworthy.Property{Name: keptSupplier, Value: line(r.supplier)})
		case b.Packages[e.at].Supplier == (seaworthy.Party{}):
			b.Packages[e.at].Supplier = r.supplier
		case partyOf(form{}.entity(b.Packages[e.at].Supplier)) != r.supplier:
			b.Properties = append(b.Properties, seaworthy.Property{Name: keptSupplier, Value: line(r.supplier)})
		}
	} else if r.supplier != (seaworthy.Party{}) {
		b.Properties = append(b.Properties, seaworthy.Property{Name: keptSupplier, Value: line(r.supplier)})
	}
	slices.SortStableFunc(r.rootMarks, func(a, c rootMark) int { return cmp.Compare(a.place, c.place) })
	for _, m := range r.rootMarks {
		b.Roots = append(b.Roots, names[m.element])
	}
	if r.hasRoots {
		b.Roots = r.rootsProp
	}
}

// check counts what is odd about the relations: all of them are kept.
func (r *reading) check(names []string) {
	number := make(map[string]int, len(names))
	for i, n := range names {
		number[n] = i
	}
	elsewhere := func(ref string) bool {
		return ref == seaworthy.DocumentRef || strings.HasPrefix(ref, "urn:cdx:") || strings.HasPrefix(ref, "DocumentRef-")
	}
	edges := make([][2]int, 0, len(r.bill.Relations))
	for _, e := range r.bill.Relations {
		from, okFrom := number[e.From]
		to, okTo := number[e.To]
		if !okFrom && !elsewhere(e.From) {
			r.warn(problemDangling, e.From, e.From)
		}
		if !okTo && !elsewhere(e.To) {
			r.warn(problemDangling, e.From, e.To)
		}
		if e.From == e.To {
			r.warn(problemSelfEdge, e.From, e.From)
		} else if e.Type == seaworthy.DependsOn && okFrom && okTo {
			edges = append(edges, [2]int{from, to})
		}
	}
	for _, n := range inCycles(len(names), edges) {
		r.warn(problemCycle, names[n], names[n])
	}
}

// inCycles returns the nodes that lie in a cycle, or on a way from one cycle to another: those that stay when
// nodes with nothing before them, or nothing after them, are taken away for as long as there are any. Linear
// in time and memory.
func inCycles(nodes int, edges [][2]int) []int {
	gone := make([]bool, nodes)
	for _, end := range []int{0, 1} { // 0: follow edges forwards, 1: backwards
		degree := make([]int, nodes)
		start := make([]int, nodes+1)
		for _, e := range edges {
			if !gone[e[0]] && !gone[e[1]] {
				degree[e[1-end]]++
				start[e[end]+1]++
			}
		}
		for i := range nodes {
			start[i+1] += start[i]
		}
		next := make([]int, start[nodes])
		fill := slices.Clone(start)
		for _, e := range edges {
			if !gone[e[0]] && !gone[e[1]] {
				next[fill[e[end]]] = e[1-end]
				fill[e[end]]++
			}
		}
		var queue []int
		for n := range nodes {
			if !gone[n] && degree[n] == 0 {
				queue = append(queue, n)
			}
		}
		for len(queue) > 0 {
			n := queue[len(queue)-1]
			queue = queue[:len(queue)-1]
			gone[n] = true
			for _, to := range next[start[n]:start[n+1]] {
				if degree[to]--; degree[to] == 0 {
					queue = append(queue, to)
				}
			}
		}
	}
	var left []int
	for n := range nodes {
		if !gone[n] {
			left = append(left, n)
		}
	}
	return left
}
