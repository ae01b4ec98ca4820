package graph

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/seaworthy-dev/seaworthy"
)

// Memory is the plainest Store: it keeps everything in maps behind one lock and forgets it when it is closed. Tests
// use it, and the other engines are compared with it.
type Memory struct {
	mu        sync.Mutex // guards all that is below
	documents map[ID]*memoryDocument
	nodes     map[ID]*memoryNode
	jobs      map[string]Job
}

type memoryDocument struct {
	*ready
	body []byte
}

// memoryNode is a subject and all that speaks of it.
type memoryNode struct {
	subject seaworthy.Subject
	out, in edges
	names   map[string]int // how many documents give it that name
}

// edges are sorted when they are asked for.
type edges struct {
	all    []Edge
	sorted bool
}

func (e *edges) add(x Edge) { e.all, e.sorted = append(e.all, x), false }

func (e *edges) drop(document ID) {
	e.all = slices.DeleteFunc(e.all, func(x Edge) bool { return x.Document == document })
}

func (e *edges) ordered() []Edge {
	if !e.sorted {
		slices.SortFunc(e.all, func(a, b Edge) int {
			return cmp.Or(cmp.Compare(numberOfPredicate(a.Predicate), numberOfPredicate(b.Predicate)), compareIDs(a.To, b.To), compareIDs(a.Document, b.Document))
		})
		e.sorted = true
	}
	return e.all
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store that keeps nothing on a disk.
func NewMemory() *Memory {
	return &Memory{documents: map[ID]*memoryDocument{}, nodes: map[ID]*memoryNode{}, jobs: map[string]Job{}}
}

// Close forgets everything.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.documents, m.nodes, m.jobs = map[ID]*memoryDocument{}, map[ID]*memoryNode{}, map[string]Job{}
	return nil
}

// Put implements Store.
func (m *Memory) Put(ctx context.Context, e Entry) (bool, error) {
	r, err := prepare(e)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.jobs, r.done)
	if m.documents[r.id] != nil {
		return false, nil
	}
	m.documents[r.id] = &memoryDocument{r, bytes.Clone(r.body)}
	m.say(r)
	for _, j := range r.jobs {
		m.queue(j)
	}
	return true, nil
}

func (m *Memory) say(r *ready) {
	r.body = nil // the caller's, as the attributes are
	for i := range r.rows {
		r.rows[i].attrs = slices.Clone(r.rows[i].attrs)
	}
	for _, n := range r.nodes {
		if m.nodes[n.id] == nil {
			m.nodes[n.id] = &memoryNode{subject: n.subject, names: map[string]int{}}
		}
	}
	for _, x := range r.rows {
		m.nodes[x.subject].out.add(Edge{x.subject, predicateOf(x.predicate), x.object, r.id, x.attrs})
		m.nodes[x.object].in.add(Edge{x.object, predicateOf(x.predicate), x.subject, r.id, x.attrs})
	}
	for _, n := range r.names {
		m.nodes[n.id].names[n.text]++
	}
}

// unsay takes back what a document said, and forgets subjects that nothing speaks of any more.
func (m *Memory) unsay(r *ready) {
	for _, n := range r.names {
		names := m.nodes[n.id].names
		if names[n.text]--; names[n.text] == 0 {
			delete(names, n.text)
		}
	}
	for _, x := range r.nodes {
		n := m.nodes[x.id]
		n.out.drop(r.id)
		n.in.drop(r.id)
		if len(n.out.all)+len(n.in.all)+len(n.names) == 0 && m.documents[x.id] == nil {
			delete(m.nodes, x.id)
		}
	}
}

// Delete implements Store.
func (m *Memory) Delete(_ context.Context, document ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.documents[document]
	if d == nil {
		return noDocument("deleting", document)
	}
	delete(m.documents, document)
	m.unsay(d.ready)
	return nil
}

// Replace implements Store.
func (m *Memory) Replace(_ context.Context, e Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.documents[DocumentID(e.Document.Digest)]
	if old == nil {
		return noDocument("replacing", DocumentID(e.Document.Digest))
	}
	body := e.Body
	if len(body) == 0 {
		body = old.body
	}
	r, err := prepareReplacement(e, body)
	if err != nil {
		return err
	}
	r.replaces(old.doc)
	delete(m.jobs, r.done)
	m.unsay(old.ready)
	old.ready = r
	m.say(r)
	for _, j := range r.jobs {
		m.queue(j)
	}
	return nil
}

// Body implements Store.
func (m *Memory) Body(_ context.Context, d seaworthy.Digest) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	doc := m.documents[DocumentID(d)]
	if doc == nil {
		return nil, noBody(d)
	}
	return bytes.Clone(doc.body), nil
}

// List implements Store.
func (m *Memory) List(_ context.Context, q ListQuery) (ListPage, error) {
	l, err := q.check()
	if err != nil {
		return ListPage{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var page ListPage
	var places []listPlace
	for id, d := range m.documents {
		at := listPlace{nanos(d.doc.Ingested), id}
		if (l.kinds == nil || slices.Contains(l.kinds, d.doc.Kind)) && (!l.started || compareListed(l.after, at) < 0) {
			places = append(places, at)
		}
	}
	slices.SortFunc(places, compareListed)
	for _, at := range places {
		if len(page.Documents) == l.limit {
			break
		}
		page.Documents = append(page.Documents, copyDocument(m.documents[at.id].doc))
	}
	if n := len(page.Documents); n > 0 && n < len(places) {
		page.Next = places[n-1].cursor()
	}
	return page, nil
}

// compareListed puts the newest first.
func compareListed(a, b listPlace) int {
	return cmp.Or(cmp.Compare(b.ingested, a.ingested), compareIDs(a.id, b.id))
}

// Edges implements Reader.
func (m *Memory) Edges(ctx context.Context, query Query) (Page, error) {
	q, err := query.check()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Page{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var page Page
	for _, from := range q.from {
		n := m.nodes[from]
		if n == nil {
			continue
		}
		list := n.out.ordered
		if q.back {
			list = n.in.ordered
		}
		for _, e := range list() {
			at := place{from, numberOfPredicate(e.Predicate), e.To, e.Document}
			if _, asked := slices.BinarySearch(q.predicates, at.predicate); !asked || q.started && comparePlaces(at, q.after) <= 0 {
				continue
			}
			if len(page.Edges) == q.limit {
				page.Next = placeOf(page.Edges[q.limit-1]).cursor()
				return page, nil
			}
			e.Attrs = slices.Clone(e.Attrs)
			page.Edges = append(page.Edges, e)
		}
	}
	return page, nil
}

func placeOf(e Edge) place { return place{e.From, numberOfPredicate(e.Predicate), e.To, e.Document} }

func comparePlaces(a, b place) int {
	return cmp.Or(compareIDs(a.from, b.from), cmp.Compare(a.predicate, b.predicate), compareIDs(a.to, b.to), compareIDs(a.document, b.document))
}

// Subjects implements Reader.
func (m *Memory) Subjects(_ context.Context, ids []ID) ([]seaworthy.Subject, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	subjects := make([]seaworthy.Subject, len(ids))
	for i, id := range ids {
		if n := m.nodes[id]; n != nil {
			subjects[i] = n.subject
		}
	}
	return subjects, nil
}

// Documents implements Reader.
func (m *Memory) Documents(_ context.Context, ids []ID) ([]seaworthy.Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	documents := make([]seaworthy.Document, len(ids))
	for i, id := range ids {
		if d := m.documents[id]; d != nil {
			documents[i] = copyDocument(d.doc)
		}
	}
	return documents, nil
}

// copyDocument gives a document that shares nothing a caller could change.
func copyDocument(d seaworthy.Document) seaworthy.Document {
	d.Verification.Signers = slices.Clone(d.Verification.Signers)
	d.Problems = slices.Clone(d.Problems)
	return d
}

// Find implements Reader.
func (m *Memory) Find(_ context.Context, search Search) ([]Hit, error) {
	s, err := search.check()
	if err != nil || s.text == "" {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []found
	for id, n := range m.nodes {
		if _, asked := slices.BinarySearch(s.kinds, numberOfKind(n.subject.Kind)); !asked {
			continue
		}
		if f, ok := s.match(node{id, n.subject}, ""); ok {
			all = append(all, f)
		}
		for name := range n.names {
			if f, ok := s.match(node{id, n.subject}, name); ok {
				all = append(all, f)
			}
		}
		for _, path := range n.paths() {
			if f, ok := s.matchPath(node{id, n.subject}, path, classFile); ok {
				all = append(all, f)
			}
		}
	}
	return s.hits(all), nil
}

// paths gives the paths of a file, as the first statements about it have them.
func (n *memoryNode) paths() []string {
	var paths []string
	statements := 0
	for _, e := range n.in.ordered() {
		if e.Predicate == seaworthy.SaysHasFile && statements < maxPaths {
			statements++
			paths = slices.AppendSeq(paths, pathsOf(e.Attrs))
		}
	}
	return paths
}

// Top implements Reader.
func (m *Memory) Top(_ context.Context, predicate seaworthy.Predicate, kinds []seaworthy.SubjectKind, limit int) ([]Counted, error) {
	p, ks, err := checkTop(predicate, kinds, limit)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var top []Counted
	for id, n := range m.nodes {
		if _, asked := slices.BinarySearch(ks, numberOfKind(n.subject.Kind)); !asked {
			continue
		}
		subjects := map[ID]bool{}
		for _, e := range n.in.all {
			if numberOfPredicate(e.Predicate) == p {
				subjects[e.To] = true
			}
		}
		if len(subjects) > 0 {
			top = append(top, Counted{id, int64(len(subjects))})
		}
	}
	sortCounted(top)
	return top[:min(limit, len(top))], nil
}

func sortCounted(all []Counted) {
	slices.SortFunc(all, func(a, b Counted) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), compareIDs(a.ID, b.ID))
	})
}

// Stats implements Store.
func (m *Memory) Stats(context.Context) (Stats, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Stats{Subjects: int64(len(m.nodes)), Documents: int64(len(m.documents)), Engine: "memory", Jobs: int64(len(m.jobs))}
	for _, d := range m.documents {
		s.Statements += int64(len(d.rows))
	}
	return s, nil
}

// Check implements Store.
func (m *Memory) Check(context.Context) ([]seaworthy.Problem, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var problems []seaworthy.Problem
	for _, d := range m.documents {
		if got := seaworthy.SHA256(d.body); got != d.doc.Digest {
			problems = append(problems, seaworthy.Problem{Where: string(d.doc.Digest), Code: seaworthy.Mismatch, Detail: "its bytes are those of " + string(got)})
		}
		if len(d.rows) != d.doc.Statements {
			problems = append(problems, seaworthy.Problem{Where: string(d.doc.Digest), Code: seaworthy.Mismatch, Detail: "some of what it says is missing"})
		}
	}
	return problems, nil
}

// Backup implements Store: it writes a portable copy.
func (m *Memory) Backup(ctx context.Context, dir string) error {
	return export(ctx, m, filepath.Join(dir, exportName))
}

// each implements holder.
func (m *Memory) each(ctx context.Context, bodies bool, fn func(Entry) error) error {
	m.mu.Lock()
	ids := slices.SortedFunc(maps.Keys(m.documents), compareIDs)
	entries := make([]Entry, len(ids))
	for i, id := range ids {
		d := m.documents[id]
		subjects := make(map[ID]seaworthy.Subject, len(d.nodes))
		for _, n := range d.nodes {
			subjects[n.id] = n.subject
		}
		e := entryOf(copyDocument(d.doc), d.rows, d.names, subjects)
		if bodies {
			e.Body = bytes.Clone(d.body)
		}
		entries[i] = e
	}
	m.mu.Unlock()
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(e); err != nil {
			return err
		}
	}
	return nil
}

// forgetStatements implements rebuilder.
func (m *Memory) forgetStatements(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes = map[ID]*memoryNode{}
	for id, d := range m.documents {
		d.ready = &ready{id: id, doc: d.doc, nodes: []node{{id, d.doc.Subject()}}}
		m.say(d.ready)
	}
	return nil
}
