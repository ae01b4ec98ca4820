package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"github.com/seaworthy-dev/seaworthy"
)

// Edges implements Reader. Predicates that are not asked for are not read: three quarters of what is said of an image
// are its files.
func (f *folder) Edges(ctx context.Context, query Query) (Page, error) {
	q, err := query.check()
	if err != nil || len(q.from) == 0 || len(q.predicates) == 0 {
		return Page{}, err
	}
	db, done, err := f.use()
	if err != nil {
		return Page{}, err
	}
	defer done()
	state := newView(db)
	defer state.Close()
	return f.edges(ctx, state, q)
}

// severalFrom is how many rows are worth the work of another processor.
const severalFrom = 64

// severalAt is how many parts n rows are read in, side by side.
func severalAt(n int) int { return min(max(n/severalFrom, 1), runtime.GOMAXPROCS(0), 8) }

// edges answers a question in one state of the folder: subjects one after the other, or several parts of them at once.
func (f *folder) edges(ctx context.Context, state *view, q question) (Page, error) {
	parts := make([]walker, severalAt(len(q.from)))
	size := (len(q.from) + len(parts) - 1) / len(parts)
	var working errgroup.Group
	for i := range parts {
		parts[i].question, parts[i].question.from = q, q.from[min(i*size, len(q.from)):min((i+1)*size, len(q.from))]
	}
	var err error
	for i := range parts[1:] {
		w := &parts[1+i]
		if w.state, err = state.clone(); err != nil {
			break
		}
		working.Go(func() error {
			defer w.state.Close()
			return w.readAll(ctx)
		})
	}
	if err == nil {
		parts[0].state = state
		err = parts[0].readAll(ctx)
	}
	if err := errors.Join(err, working.Wait()); err != nil {
		return Page{}, f.failed(err, "reading statements")
	}
	page, more := parts[0].page, parts[0].more
	rows := 0
	for i := range parts[1:] {
		rows += len(parts[1+i].page.Edges)
	}
	page.Edges = slices.Grow(page.Edges, rows)
	for i := 1; i < len(parts) && !more; i++ {
		rest := parts[i].page.Edges
		more = parts[i].more
		if room := q.limit - len(page.Edges); room < len(rest) {
			rest, more = rest[:room], true
		}
		page.Edges = append(page.Edges, rest...)
	}
	if more {
		page.Next = placeOf(page.Edges[len(page.Edges)-1]).cursor()
	}
	return page, nil
}

// walker reads edges of one subject after the other.
type walker struct {
	question
	state *view
	it    *pebble.Iterator
	page  Page
	more  bool   // the page is full, and there is another edge
	key   []byte // reused

	packed []byte // attributes of the row before, and what they are
	attrs  []seaworthy.Property

	counts        *pebble.Iterator // of counters, if it is worth looking there first
	sought, there int              // how many were looked for, and found
}

// readAll fills the page.
func (w *walker) readAll(ctx context.Context) (err error) {
	if w.it, err = w.state.NewIter(nil); err != nil {
		return err
	}
	defer w.it.Close()
	w.page.Edges = make([]Edge, 0, min(len(w.from), w.limit))
	if w.back && len(w.predicates) == 1 && counted(w.predicates[0]) && len(w.from) >= severalFrom {
		if w.counts, err = w.state.NewIter(nil); err != nil {
			return err
		}
		defer w.counts.Close()
	}
	for i, from := range w.from {
		if i%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if w.counts != nil && !w.pointedTo(from) {
			continue
		}
		if w.more, err = w.read(from); err != nil {
			return fmt.Errorf("about %s: %w", FormatID(from), err)
		} else if w.more {
			return nil
		}
	}
	return nil
}

// pointedTo says whether any statement leads to a subject. Counters are next to each other: looking there takes a
// fraction of what it takes to find out that nothing is said where all that is said of a subject would be. When most
// have one, it is no longer asked.
func (w *walker) pointedTo(id ID) bool {
	if w.sought >= severalFrom && 2*w.there > w.sought {
		return true
	}
	w.sought++
	w.key = append(append(w.key[:0], tableCount, w.predicates[0]), id[:]...)
	if !w.counts.SeekPrefixGE(w.key) && w.counts.Error() == nil {
		return false
	}
	w.there++
	return true // or it cannot be told, and reading says why
}

// read appends the edges of one subject; more is true if there is one that found no room.
func (w *walker) read(from ID) (more bool, err error) {
	side := byte(sideOut)
	if w.back {
		side = sideIn
	}
	p := 0
	same := 0 // rows of one statement
	w.key = sidePrefix(w.key, side, from, w.predicates[0])
	if w.started && from == w.after.from {
		w.key = append(edgeKey(side, from, w.after.predicate, w.after.to, w.after.document), 0)
	}
	for ok := w.it.SeekPrefixGE(w.key); ok; {
		s, at, whole := cutEdge(w.it.Key())
		if s != side || !whole {
			break
		}
		for p < len(w.predicates) && w.predicates[p] < at.predicate {
			p++
		}
		if p == len(w.predicates) {
			break
		}
		if w.predicates[p] > at.predicate { // rows that nobody asked for
			w.key = sidePrefix(w.key, side, from, w.predicates[p])
			ok = w.it.SeekPrefixGE(w.key)
			continue
		}
		if len(w.page.Edges) == w.limit {
			return true, nil
		}
		if same = w.repeats(same, at); w.enough > 0 && same > w.enough {
			w.key = append(edgeKey(side, from, at.predicate, at.to, lastID), 0)
			ok = w.it.SeekPrefixGE(w.key)
			continue
		}
		attrs, err := w.attributes(at)
		if err != nil {
			return false, err
		}
		w.page.Edges = append(w.page.Edges, Edge{from, predicateOf(at.predicate), at.to, at.document, attrs})
		ok = w.it.Next()
	}
	return false, w.it.Error()
}

// lastID is the greatest id there can be.
var lastID = ID(bytes.Repeat([]byte{0xff}, len(ID{})))

// repeats counts a row: how many of its statement there are by now, the row before being of one with n.
func (w *walker) repeats(n int, at place) int {
	if len(w.page.Edges) > 0 {
		last := &w.page.Edges[len(w.page.Edges)-1]
		if last.From == at.from && last.To == at.to && last.Predicate == predicateOf(at.predicate) {
			return n + 1
		}
	}
	return 1
}

// attributes reads those of the row the iterator is at. Of files, seen from their side, they are with the other. Rows
// next to each other often have the same.
func (w *walker) attributes(at place) (_ []seaworthy.Property, err error) {
	if !w.back || at.predicate != numberOfFile {
		if value := w.it.Value(); !bytes.Equal(value, w.packed) {
			w.packed = append(w.packed[:0], value...)
			w.attrs, err = unpackAttrs(value)
		}
		return slices.Clip(w.attrs), err
	}
	value, ok, err := get(w.state, edgeKey(sideOut, at.to, at.predicate, at.from, at.document))
	if err == nil && !ok {
		err = errEncoding
	}
	if err != nil {
		return nil, err
	}
	return unpackAttrs(value)
}

// Subjects implements Reader.
func (f *folder) Subjects(ctx context.Context, ids []ID) ([]seaworthy.Subject, error) {
	subjects := make([]seaworthy.Subject, len(ids))
	err := f.each16(ctx, ids, nodeKey, func(i int, value []byte) (err error) {
		subjects[i], err = unpackSubject(value)
		return err
	})
	return subjects, f.failed(err, "reading subjects")
}

// Documents implements Reader.
func (f *folder) Documents(ctx context.Context, ids []ID) ([]seaworthy.Document, error) {
	documents := make([]seaworthy.Document, len(ids))
	key := func(id ID) []byte { return documentKey(tableDocument, id) }
	err := f.each16(ctx, ids, key, func(i int, value []byte) error {
		return json.Unmarshal(value, &documents[i])
	})
	return documents, f.failed(err, "reading documents")
}

// each16 reads the rows of ids in the order of the table, and gives each to fn with its place in ids; to several at once.
func (f *folder) each16(ctx context.Context, ids []ID, key func(ID) []byte, fn func(i int, value []byte) error) error {
	db, done, err := f.use()
	if err != nil {
		return err
	}
	defer done()
	order := make([]int, len(ids))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compareIDs(ids[a], ids[b]) })
	state := newView(db)
	defer state.Close()
	parts := slices.Collect(slices.Chunk(order, max((len(order)+severalAt(len(ids))-1)/severalAt(len(ids)), 1)))
	var working errgroup.Group
	for _, part := range parts[min(1, len(parts)):] {
		other, err := state.clone()
		if err != nil {
			return errors.Join(err, working.Wait())
		}
		working.Go(func() error {
			defer other.Close()
			return f.rows(ctx, other, part, ids, key, fn)
		})
	}
	if len(parts) > 0 {
		err = f.rows(ctx, state, parts[0], ids, key, fn)
	}
	return errors.Join(err, working.Wait())
}

// rows reads those of some of ids, which part says the places of.
func (f *folder) rows(ctx context.Context, state *view, part []int, ids []ID, key func(ID) []byte, fn func(i int, value []byte) error) error {
	for n, i := range part {
		if n%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		value, closer, err := state.Get(key(ids[i]))
		if errors.Is(err, pebble.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(fn(i, value), closer.Close()); err != nil {
			return f.damaged(err, "what is known of "+FormatID(ids[i]))
		}
	}
	return nil
}

// Body implements Store.
func (f *folder) Body(_ context.Context, d seaworthy.Digest) ([]byte, error) {
	db, done, err := f.use()
	if err != nil {
		return nil, err
	}
	defer done()
	state := newView(db)
	defer state.Close()
	return f.body(state, d)
}

func (f *folder) body(r reader, d seaworthy.Digest) (_ []byte, err error) {
	id := DocumentID(d)
	value, ok, err := get(r, documentKey(tableDocument, id))
	if err != nil {
		return nil, f.failed(err, "reading the document %s", d)
	}
	if !ok {
		return nil, noBody(d)
	}
	var doc seaworthy.Document
	if err := json.Unmarshal(value, &doc); err != nil || doc.Size < 0 || doc.Size > MaxBody {
		return nil, f.damaged(errEncoding, "the document "+string(d))
	}
	prefix := documentKey(tableBody, id)
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return nil, f.failed(err, "reading the document %s", d)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	z, err := zstd.NewReader(&rowReader{it: it}, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, f.failed(err, "reading the document %s", d)
	}
	defer z.Close()
	body := make([]byte, doc.Size)
	if _, err := io.ReadFull(z, body); err != nil {
		return nil, f.damaged(errors.Join(err, it.Error()), "the bytes of the document "+string(d))
	}
	if got := seaworthy.SHA256(body); got != d {
		return nil, f.damaged(seaworthy.Errorf(seaworthy.Mismatch, "they are those of %s", got), "the bytes of the document "+string(d))
	}
	return body, nil
}

// rowReader reads the values of rows one after the other.
type rowReader struct {
	it      *pebble.Iterator
	started bool
	rest    []byte
}

func (r *rowReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		ok := false
		if r.started {
			ok = r.it.Next()
		} else {
			ok, r.started = r.it.First(), true
		}
		if !ok {
			if err := r.it.Error(); err != nil {
				return 0, err
			}
			return 0, io.EOF
		}
		r.rest = r.it.Value()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// List implements Store.
func (f *folder) List(ctx context.Context, q ListQuery) (ListPage, error) {
	l, err := q.check()
	if err != nil {
		return ListPage{}, err
	}
	db, done, err := f.use()
	if err != nil {
		return ListPage{}, err
	}
	defer done()
	state := newView(db)
	defer state.Close()
	it, err := state.NewIter(&pebble.IterOptions{LowerBound: []byte{tableList}, UpperBound: []byte{tableList + 1}})
	if err != nil {
		return ListPage{}, f.failed(err, "listing documents")
	}
	defer it.Close()
	first := []byte{tableList}
	if l.started {
		first = append(listKey(l.after), 0)
	}
	var page ListPage
	var last listPlace
	for ok := it.SeekGE(first); ok; ok = it.Next() {
		if l.kinds != nil && !slices.Contains(l.kinds, seaworthy.DocumentKind(it.Value())) {
			continue
		}
		if len(page.Documents) == l.limit {
			page.Next = last.cursor()
			break
		}
		last = cutListKey(it.Key())
		value, ok, err := get(state, documentKey(tableDocument, last.id))
		var doc seaworthy.Document
		if err == nil && (!ok || json.Unmarshal(value, &doc) != nil) {
			err = f.damaged(errEncoding, "the list of documents")
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return ListPage{}, f.failed(err, "listing documents")
		}
		page.Documents = append(page.Documents, doc)
	}
	return page, f.failed(it.Error(), "listing documents")
}

// Stats implements Store.
func (f *folder) Stats(context.Context) (Stats, error) {
	db, done, err := f.use()
	if err != nil {
		return Stats{}, err
	}
	defer done()
	db.changing.Lock()
	t := db.totals
	db.changing.Unlock()
	return Stats{
		Subjects: t.subjects, Documents: t.documents, Statements: t.statements, Jobs: t.jobs,
		Bytes: int64(db.Metrics().DiskSpaceUsage()), Engine: "pebble",
	}, nil
}
