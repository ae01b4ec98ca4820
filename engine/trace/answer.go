package trace

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// asking is a question while it is being answered.
type asking struct {
	ctx context.Context // for as long as Ask runs
	r   graph.Reader
	v   *Verb
	q   Question
	out *Answer

	subject, other end // of the question

	docs     map[graph.ID]*evidence
	subjects map[graph.ID]seaworthy.Subject // read so far; Kind "" for one that is not known
	names    map[graph.ID]string            // of artifacts: paths and references
	roles    map[graph.ID]string            // of artifacts
	tags     map[string]graph.ID            // what references in the question name
	purls    map[string][2]string           // name and version
	facts    map[graph.ID][]seaworthy.Property

	nodes   map[graph.ID]int // depth, of those in the answer
	groups  []Node
	edgesAt map[edgeKey]int // index in out.Edges
	used    map[graph.ID]bool
	leftOut map[graph.ID]bool // documents of which something did not pass
	manySay bool              // of statements that more documents make than are enough, some were not looked at

	maxVisited, visited, read int
	deeper                    bool // a walk ended at its depth
	naming                    bool // what names mean is being read: trust does not matter
}

// end is a subject of the question.
type end struct {
	id      graph.ID
	subject seaworthy.Subject
	// roots are where walks start: the subject, what a reference names, what a document describes.
	roots []graph.ID
}

// main is the subject that an answer is about: the artifact that a reference names, else what was asked for.
func (e *end) main() graph.ID { return e.roots[len(e.roots)-1] }

type edgeKey struct {
	from, to  string
	predicate seaworthy.Predicate
}

func newAsking(ctx context.Context, t *Tracer, v *Verb, q Question) *asking {
	return &asking{
		ctx: ctx, r: t.r, v: v, q: q, maxVisited: t.opts.MaxVisited,
		out: &Answer{
			Question: q, Nodes: []Node{}, Edges: []Edge{}, Columns: slices.Clone(v.Columns), Rows: []Row{},
			Missing: []Gap{}, Documents: []Document{},
		},
		docs: map[graph.ID]*evidence{}, subjects: map[graph.ID]seaworthy.Subject{}, names: map[graph.ID]string{},
		roles: map[graph.ID]string{}, facts: map[graph.ID][]seaworthy.Property{}, nodes: map[graph.ID]int{}, tags: map[string]graph.ID{}, purls: map[string][2]string{},
		edgesAt: map[edgeKey]int{}, used: map[graph.ID]bool{}, leftOut: map[graph.ID]bool{},
	}
}

// load reads the subjects of ids that have not been read yet.
func (a *asking) load(ids []graph.ID) error {
	var fresh []graph.ID
	for _, id := range ids {
		if _, ok := a.subjects[id]; !ok {
			a.subjects[id] = seaworthy.Subject{}
			fresh = append(fresh, id)
		}
	}
	for part := range slices.Chunk(fresh, batch) {
		list, err := a.r.Subjects(a.ctx, part)
		if err != nil {
			return err
		}
		for i := range list {
			a.subjects[part[i]] = list[i]
		}
	}
	return nil
}

// loadNamed is load, and gives artifacts that have no name yet the one of an image reference, a path or a document.
func (a *asking) loadNamed(ids []graph.ID) error {
	if err := a.load(ids); err != nil {
		return err
	}
	var unnamed []graph.ID
	for _, id := range ids {
		if a.subjects[id].Kind == seaworthy.ArtifactSubject && a.names[id] == "" {
			unnamed = append(unnamed, id)
		}
	}
	if len(unnamed) == 0 {
		return nil
	}
	a.naming = true
	list, err := a.edges(unnamed, true, []seaworthy.Predicate{seaworthy.SaysSame})
	a.naming = false
	if err != nil {
		return err
	}
	if err := a.load(targets(list)); err != nil {
		return err
	}
	a.nameBy(list)
	return a.nameByDocuments(unnamed)
}

// Bounds of looking for names of artifacts that no reference names.
const (
	maxUnnamed = 300 // artifacts
	nameFan    = 16  // statements of each
)

// nameByDocuments gives artifacts without a name the path or name under which a document speaks of them, and those
// without a role what that says of it.
func (a *asking) nameByDocuments(ids []graph.ID) error {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id graph.ID) bool {
		return a.subjects[id].Kind != seaworthy.ArtifactSubject || (a.names[id] != "" && a.roles[id] != "")
	})
	ids = ids[:min(len(ids), maxUnnamed)]
	if len(ids) == 0 {
		return nil
	}
	a.naming = true
	fans, err := a.fan(ids, true, []seaworthy.Predicate{seaworthy.SaysHasFile, seaworthy.SaysDescribes}, nameFan) // notes paths
	a.naming = false
	if err != nil {
		return err
	}
	for i := range fans {
		for _, e := range fans[i].edges {
			if name := e.attr("name"); e.predicate == seaworthy.SaysDescribes && name != "" && a.names[e.from] == "" {
				a.names[e.from] = name
			}
		}
	}
	return nil
}

// nameBy names artifacts by the references that name them. A tag that was moved is the name of the newest only.
func (a *asking) nameBy(list []edge) {
	newest := map[graph.ID]*edge{}
	for i := range list {
		e := &list[i]
		if a.subjects[e.to].Kind != seaworthy.ResourceSubject {
			continue
		}
		if have := newest[e.to]; have == nil || a.latest(e.docs).After(a.latest(have.docs)) {
			newest[e.to] = e
		}
	}
	for _, e := range newest {
		name := labelOf(a.subjects[e.to])
		if taken, ok := a.tags[name]; ok && taken != e.from {
			continue
		}
		if have := a.names[e.from]; have == "" || name < have {
			a.names[e.from] = name
		}
	}
}

// node puts a subject into the answer, at the smallest depth it is put at, and returns its id as text.
func (a *asking) node(id graph.ID, depth int) string {
	if old, ok := a.nodes[id]; !ok || magnitude(depth) < magnitude(old) {
		a.nodes[id] = depth
	}
	return graph.FormatID(id)
}

func magnitude(n int) int { return max(n, -n) }

// fact puts a property on a node; one that is there is not repeated.
func (a *asking) fact(id graph.ID, name, value string) {
	p := seaworthy.Property{Name: name, Value: value}
	if value != "" && !slices.Contains(a.facts[id], p) {
		a.facts[id] = append(a.facts[id], p)
	}
}

// edge puts an edge into the answer and returns the digests of the documents it rests on, sorted.
func (a *asking) edge(e *edge) []string {
	subject, object := e.ends()
	key := edgeKey{graph.FormatID(subject), graph.FormatID(object), e.predicate}
	digests := a.digests(e.docs)
	if at, ok := a.edgesAt[key]; ok {
		have := &a.out.Edges[at]
		have.Documents = union(have.Documents, digests)
		have.Signed = have.Signed || e.signed
		return digests
	}
	a.edgesAt[key] = len(a.out.Edges)
	a.out.Edges = append(a.out.Edges, Edge{
		From: key.from, To: key.to, Predicate: e.predicate, Attrs: e.attrs, Documents: digests, Signed: e.signed,
	})
	return digests
}

// way is how a walk came to a visit, as it stands in the answer.
type way struct {
	via   []string // nodes
	rests []string // digests of the documents it rests on, sorted
}

// trailTo puts the way to a visit into the answer and returns the nodes on it and the digests of the documents it rests
// on, both not to be changed. beyond is how deep the start of the walk is, the same for all of a trail.
func (a *asking) trailTo(t *trail, at, beyond int) (via, rests []string, signed bool) {
	w := a.wayTo(t, at, beyond)
	return w.via, w.rests, t.visits[at].signed
}

// wayTo is the way to where a visit was reached from, and its last step.
func (a *asking) wayTo(t *trail, at, beyond int) way {
	if w, ok := t.told[at]; ok {
		return w
	}
	var w way
	v := &t.visits[at]
	if v.parent >= 0 {
		w = a.wayTo(t, v.parent, beyond)
		w.rests = union(w.rests, a.edge(&v.edge))
	}
	w.via = slices.Clip(append(w.via, a.node(v.id, beyond+v.depth)))
	if t.told == nil {
		t.told = map[int]way{}
	}
	t.told[at] = w
	return w
}

// digests returns the digests of documents, sorted, and has the answer name them.
func (a *asking) digests(docs []graph.ID) []string {
	list := make([]string, 0, len(docs))
	for _, id := range docs {
		if e := a.docs[id]; e != nil && e.doc.Digest != "" {
			a.used[id] = true
			list = append(list, string(e.doc.Digest))
		}
	}
	if len(list) > 1 {
		slices.Sort(list)
	}
	return slices.Compact(list)
}

// union joins two lists that are sorted and have nothing twice. It may be one of them.
func union(a, b []string) []string {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	all := make([]string, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch c := strings.Compare(a[0], b[0]); {
		case c < 0:
			all, a = append(all, a[0]), a[1:]
		case c > 0:
			all, b = append(all, b[0]), b[1:]
		default:
			all, a, b = append(all, a[0]), a[1:], b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// anySigned says whether one of the documents is signed.
func (a *asking) anySigned(docs []graph.ID) bool {
	return slices.ContainsFunc(docs, func(id graph.ID) bool { return a.docs[id] != nil && a.docs[id].signed() })
}

// signersOf returns who signed any of the documents, sorted.
func (a *asking) signersOf(docs []graph.ID) []string {
	var all []string
	for _, id := range docs {
		if e := a.docs[id]; e != nil {
			all = append(all, e.signers...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// gap says that evidence is missing.
func (a *asking) gap(id graph.ID, what, detail string) {
	g := Gap{Node: a.node(id, a.nodes[id]), What: what, Detail: detail}
	if !slices.Contains(a.out.Missing, g) {
		a.out.Missing = append(a.out.Missing, g)
	}
}

func (a *asking) note(format string, args ...any) {
	a.out.Notes = append(a.out.Notes, fmt.Sprintf(format, args...))
}

// row appends a row of cells that rests on documents, besides those it names.
func (a *asking) row(r Row, docs []graph.ID) {
	r.Documents = union(r.Documents, a.digests(docs))
	a.out.Rows = append(a.out.Rows, r)
}

// cut shortens a list to the question's limit; what is cut off is said.
func cut[T any](a *asking, list []T) []T {
	if len(list) > a.q.Limit {
		a.out.Truncated = true
		return list[:a.q.Limit]
	}
	return list
}

// finish makes the lists of the answer out of what was put into it.
func (a *asking) finish() error {
	ids := make([]graph.ID, 0, len(a.nodes))
	for id := range a.nodes {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, compareID)
	if err := a.loadNamed(ids); err != nil {
		return err
	}
	if err := a.nameByDocuments(ids); err != nil {
		return err
	}
	for _, id := range ids {
		s := a.subjects[id]
		n := Node{ID: graph.FormatID(id), Kind: s.Kind, Key: s.Key, Label: a.label(id), Depth: a.nodes[id], Facts: a.facts[id]}
		if s.Kind == seaworthy.ArtifactSubject {
			n.Role = a.roles[id]
		}
		a.out.Nodes = append(a.out.Nodes, n)
	}
	a.out.Nodes = append(a.out.Nodes, a.groups...)
	slices.SortFunc(a.out.Nodes, func(x, y Node) int {
		return cmp.Or(cmp.Compare(x.Depth, y.Depth), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Label, y.Label), cmp.Compare(x.ID, y.ID))
	})
	slices.SortFunc(a.out.Edges, func(x, y Edge) int {
		return cmp.Or(cmp.Compare(x.From, y.From), cmp.Compare(x.Predicate, y.Predicate), cmp.Compare(x.To, y.To))
	})
	for id := range a.used {
		a.out.Documents = append(a.out.Documents, a.document(id))
	}
	slices.SortFunc(a.out.Documents, func(x, y Document) int { return cmp.Compare(x.Digest, y.Digest) })
	a.notes()
	return nil
}

// document says of a document what an answer says; its signers are also those that signed it elsewhere.
func (a *asking) document(id graph.ID) Document {
	e := a.docs[id]
	d := &e.doc
	v := d.Verification
	if e.signed() && (v.State != seaworthy.VerifiedState || len(v.Signers) < len(e.signers)) {
		v.State, v.Signers = seaworthy.VerifiedState, e.signers
		if v.Detail == "" {
			v.Detail = "signed by another document"
		}
	}
	return Document{
		Digest: d.Digest, Node: graph.FormatID(id), Kind: d.Kind, Format: d.Format, PredicateType: d.PredicateType,
		Name: d.Name, Origin: d.Origin, Ingested: d.Ingested, Verification: v,
	}
}

// notes says what was left out and where walks ended.
func (a *asking) notes() {
	if len(a.leftOut) > 0 {
		var why []string
		if a.q.Trust.Signed || len(a.q.Trust.Signers) > 0 {
			why = append(why, "not signed by whom the question trusts")
		}
		if !a.q.AsOf.IsZero() {
			why = append(why, "later than "+a.q.AsOf.UTC().Format("2006-01-02 15:04:05")+" UTC")
		}
		if len(why) > 0 {
			a.note("what %s said is left out: %s", plural(len(a.leftOut), "document"), strings.Join(why, ", or "))
		}
	}
	if a.deeper && a.q.Depth > 0 {
		a.note("looked %s far", plural(a.q.Depth, "step"))
	}
	if a.manySay {
		a.note("of statements that more than %d documents make, %d are shown; a signature among the others is not looked for: ask for signed ones", enoughDocuments, enoughDocuments)
	}
	if a.out.Truncated {
		a.note("there is more than is shown")
	}
}

// plural is "1 package", "2 packages", "2 vulnerabilities".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if stem, ok := strings.CutSuffix(what, "y"); ok && !strings.ContainsAny(stem[len(stem)-1:], "aeiou") {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
