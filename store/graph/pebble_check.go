package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seaworthy-dev/seaworthy"
)

// each implements holder.
func (f *folder) each(ctx context.Context, bodies bool, fn func(Entry) error) error {
	db, done, err := f.use()
	if err != nil {
		return err
	}
	defer done()
	state := newView(db)
	defer state.Close()
	return f.eachOf(ctx, state, func(id ID, s *said) error {
		subjects := map[ID]seaworthy.Subject{}
		for _, id := range s.nodes(id) {
			value, ok, err := get(state, nodeKey(id))
			if err == nil && ok {
				subjects[id], err = unpackSubject(value)
			}
			if err != nil {
				return f.damaged(err, "the subject "+FormatID(id))
			}
		}
		e := entryOf(s.doc, s.rows, s.names, subjects)
		if bodies {
			var err error
			if e.Body, err = f.body(state, s.doc.Digest); err != nil {
				return err
			}
		}
		return fn(e)
	})
}

// eachOf calls fn for what each document says, in the order of ids.
func (f *folder) eachOf(ctx context.Context, state *view, fn func(ID, *said) error) (err error) {
	it, err := state.NewIter(&pebble.IterOptions{LowerBound: []byte{tableDocument}, UpperBound: []byte{tableDocument + 1}})
	if err != nil {
		return f.failed(err, "reading all documents")
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(it.Key()) != 17 {
			return f.damaged(errEncoding, "the documents")
		}
		id := ID(it.Key()[1:])
		s, err := f.said(state, id)
		if err == nil {
			err = fn(id, s)
		}
		if err != nil {
			return f.failed(err, "reading what the document %s says", FormatID(id))
		}
	}
	return f.failed(it.Error(), "reading all documents")
}

// forgetStatements implements rebuilder.
func (f *folder) forgetStatements(ctx context.Context) error {
	return f.change(ctx, "forgetting statements", nil, func(w *writer) (bool, error) {
		for _, table := range []byte{tableSubject, tableFind, tableDigest, tableCount, tableTop, tableRests} {
			_ = w.DeleteRange([]byte{table}, []byte{table + 1}, nil)
		}
		w.totals.subjects, w.totals.statements = 0, 0
		*w.seen = seen{}
		it, err := w.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableDocument}, UpperBound: []byte{tableDocument + 1}})
		if err != nil {
			return false, err
		}
		defer it.Close()
		for ok := it.First(); ok; ok = it.Next() {
			var doc seaworthy.Document
			if err := json.Unmarshal(it.Value(), &doc); err != nil {
				return false, f.damaged(err, "a document")
			}
			n := node{doc.Subject().ID(), doc.Subject()}
			w.totals.subjects++
			_ = w.Batch.Set(nodeKey(n.id), packSubject(n.subject), nil)
			for _, k := range findKeys(n, "") {
				_ = w.Batch.Set(k, nil, nil)
			}
		}
		return true, it.Error()
	})
}

// maxProblems is how many problems Check lists; it counts the rest.
const maxProblems = 1000

// checker collects problems.
type checker struct {
	problems []seaworthy.Problem
	more     int
}

func (c *checker) say(where, format string, args ...any) {
	if len(c.problems) == maxProblems {
		c.more++
		return
	}
	c.problems = append(c.problems, seaworthy.Problem{Where: where, Code: seaworthy.Mismatch, Detail: fmt.Sprintf(format, args...)})
}

func (c *checker) result() []seaworthy.Problem {
	if c.more > 0 {
		c.problems = append(c.problems, seaworthy.Problem{Where: "graph", Code: seaworthy.Mismatch, Detail: fmt.Sprintf("and %d more", c.more)})
	}
	return c.problems
}

// Check implements Store: every row of every table is read, and found again from where it should be.
func (f *folder) Check(ctx context.Context) ([]seaworthy.Problem, error) {
	db, done, err := f.use()
	if err != nil {
		return nil, err
	}
	defer done()
	db.changing.Lock()
	state, t := newView(db), db.totals
	db.changing.Unlock()
	defer state.Close()
	var c folderChecker
	c.state = state
	if err := f.checkDocuments(ctx, &c); err != nil {
		return nil, f.failed(err, "checking the graph")
	}
	if err := c.subjects(ctx); err != nil {
		return nil, f.failed(err, "checking the graph")
	}
	if err := c.rest(ctx); err != nil {
		return nil, f.failed(err, "checking the graph")
	}
	if t != c.found {
		c.say("totals", "there are %+v, and they say %+v", c.found, t)
	}
	return c.result(), nil
}

// folderChecker is one run of Check.
type folderChecker struct {
	checker
	state *view
	found totals
}

func (f *folder) checkDocuments(ctx context.Context, c *folderChecker) error {
	return f.eachOf(ctx, c.state, func(id ID, s *said) error {
		c.found.documents++
		where := string(s.doc.Digest)
		if DocumentID(s.doc.Digest) != id {
			c.say(where, "it is kept as %s", FormatID(id))
		}
		if _, err := f.body(c.state, s.doc.Digest); err != nil {
			if seaworthy.CodeOf(err) != seaworthy.Mismatch {
				return err
			}
			c.say(where, "%v", err)
		}
		if len(s.rows) != s.doc.Statements {
			c.say(where, "%d statements are found, and it makes %d", len(s.rows), s.doc.Statements)
		}
		for _, k := range [][]byte{nodeKey(id), listKey(listPlace{nanos(s.doc.Ingested), id})} {
			if err := c.want(k, where, "it is not in the table %c", k[0]); err != nil {
				return err
			}
		}
		return nil
	})
}

// want says something when a key is not there.
func (c *folderChecker) want(k []byte, where, format string, args ...any) error {
	_, closer, err := c.state.Get(k)
	if err == nil {
		return closer.Close()
	}
	if errors.Is(err, pebble.ErrNotFound) {
		c.say(where, format, args...)
		return nil
	}
	return err
}

// subjects reads all that is said of subjects.
func (c *folderChecker) subjects(ctx context.Context) (err error) {
	it, err := c.state.NewIter(&pebble.IterOptions{LowerBound: []byte{tableSubject}, UpperBound: []byte{tableSubject + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	var n node
	known, spoken := false, true
	heads := map[target]int{} // of the subject that is being read: how many subjects point to it
	var before place
	end := func() error {
		if known && !spoken {
			if err := c.want(documentKey(tableDocument, n.id), FormatID(n.id), "nothing speaks of it"); err != nil {
				return err
			}
		}
		return c.counters(n.id, heads)
	}
	for ok := it.First(); ok; ok = it.Next() {
		k := it.Key()
		if len(k) <= subjectLen {
			c.say("subjects", "a key of %d bytes", len(k))
			continue
		}
		if id := ID(k[1:subjectLen]); id != n.id {
			if err := errors.Join(end(), ctx.Err()); err != nil {
				return err
			}
			n, known, spoken, before = node{id: id}, false, false, place{}
			clear(heads)
		}
		where := FormatID(n.id)
		if k[subjectLen] == sideKey {
			known = true
			if err := c.node(&n, it.Value()); err != nil {
				return err
			}
			continue
		}
		if !known {
			c.say(where, "it is spoken of, and it is not there")
			known = true
		}
		spoken = true
		if err := c.about(n, k, it.Value()); err != nil {
			return err
		}
		if side, at, ok := cutEdge(k); ok && side == sideIn {
			if at.predicate != before.predicate || at.to != before.to {
				heads[target{at.predicate, n.id}]++
			}
			before = at
		}
	}
	return errors.Join(it.Error(), end())
}

// node checks a subject and that its key is found.
func (c *folderChecker) node(n *node, value []byte) error {
	c.found.subjects++
	var err error
	if n.subject, err = unpackSubject(value); err != nil || n.subject.ID() != n.id {
		c.say(FormatID(n.id), "it is not the subject of that id: %s %.100q", n.subject.Kind, n.subject.Key)
		return nil
	}
	for _, k := range findKeys(*n, "") {
		if err := c.want(k, FormatID(n.id), "it is not in the index of keys: %.100q", n.subject.Key); err != nil {
			return err
		}
	}
	return nil
}

// about checks a row about a subject: that its document is there, and that the other side has it, too.
func (c *folderChecker) about(n node, k, value []byte) error {
	where := FormatID(n.id)
	side, at, whole := cutEdge(k)
	switch {
	case len(k) == nameLen && k[subjectLen] == sideName:
		for _, find := range findKeys(n, string(value)) {
			if err := c.want(find, where, "it is not in the index of names: %.100q", value); err != nil {
				return err
			}
		}
	case whole && (side == sideIn || side == sideOut) && predicateOf(at.predicate) != "":
		other := edgeKey(sideIn+sideOut-side, at.to, at.predicate, n.id, at.document)
		if side == sideOut {
			c.found.statements++
		}
		attrs, err := unpackAttrs(value)
		if err != nil {
			c.say(where, "the attributes of a statement cannot be read")
		}
		if side == sideOut && at.predicate == numberOfFile {
			if err := c.filePaths(at.to, attrs); err != nil {
				return err
			}
		}
		if err := c.want(other, where, "%s %s is said on one side only", predicateOf(at.predicate), FormatID(at.to)); err != nil {
			return err
		}
	default:
		c.say(where, "a row that is none: %x", k)
		return nil
	}
	document := documentOf(k)
	return c.want(documentKey(tableDocument, document), where, "the document %s speaks of it, and is not there", FormatID(document))
}

// filePaths checks that a file is found by its paths.
func (c *folderChecker) filePaths(id ID, attrs []seaworthy.Property) error {
	for path := range pathsOf(attrs) {
		value, ok, err := get(c.state, nodeKey(id))
		if err != nil || !ok {
			return err // that it is not there is said elsewhere
		}
		subject, err := unpackSubject(value)
		if err != nil {
			return nil
		}
		if err := c.want(fileKey(fileTerm{node{id, subject}, baseOf(path)}), FormatID(id), "it is not found by its path %.100q", path); err != nil {
			return err
		}
	}
	return nil
}

// file checks that a file has a path that ends as its entry in the index says.
func (c *folderChecker) file(base string, id ID) error {
	found := false
	err := eachPath(c.state, id, math.MaxInt, func(_ ID, path string) bool {
		found = term{text: baseOf(path)}.cut() == base
		return !found
	})
	if err == nil && !found {
		c.say(FormatID(id), "it is found by %.100q, and has no such path", base)
	}
	return err
}

// named checks that some document gives a subject a name by which it is found.
func (c *folderChecker) named(id ID, text string) error {
	prefix := nameKey(id, text, ID{})
	return c.begins(prefix[:len(prefix)-16], FormatID(id), "it is found by %.100q, which no document calls it", text)
}

// counters compares the counters of an object with how many subjects point to it.
func (c *folderChecker) counters(object ID, heads map[target]int) error {
	for at, want := range heads {
		if !counted(at.predicate) {
			continue
		}
		value, ok, err := get(c.state, countKey(at.predicate, object))
		if err != nil {
			return err
		}
		var kind byte
		var n uint64
		if ok {
			if kind, n, err = unpackCount(value); err != nil {
				c.say(FormatID(object), "its counter cannot be read")
			}
		}
		if n != uint64(want) {
			c.say(FormatID(object), "%d subjects point to it with %s, and %d are counted", want, predicateOf(at.predicate), n)
		}
		if n > 1 {
			if err := c.want(topKey(at.predicate, kind, n, object), FormatID(object), "it is not in the order of counters"); err != nil {
				return err
			}
		}
	}
	return nil
}

// begins says something when no key begins with a prefix.
func (c *folderChecker) begins(prefix []byte, where, format string, args ...any) (err error) {
	it, err := c.state.NewIter(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !it.SeekPrefixGE(prefix) || !bytes.HasPrefix(it.Key(), prefix) {
		c.say(where, format, args...)
	}
	return it.Error()
}

// rest counts what is in the other tables, and says what leads nowhere.
func (c *folderChecker) rest(ctx context.Context) error {
	for _, table := range []byte{tableList, tableFind, tableDigest, tableBody, tableRests, tableJob, tableQueue, tableCount, tableTop} {
		if err := c.table(ctx, table); err != nil {
			return err
		}
	}
	return nil
}

func (c *folderChecker) table(ctx context.Context, table byte) (err error) {
	it, err := c.state.NewIter(&pebble.IterOptions{LowerBound: []byte{table}, UpperBound: []byte{table + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	name := "table " + string(rune(table))
	for ok := it.First(); ok; ok = it.Next() {
		k := it.Key()
		switch {
		case table == tableList && len(k) == 25:
			err = c.want(documentKey(tableDocument, cutListKey(k).id), name, "a document that is not there is listed")
		case (table == tableBody || table == tableRests) && len(k) == 21:
			err = c.want(documentKey(tableDocument, ID(k[1:17])), name, "something of a document that is not there: %x", k[1:17])
		case table == tableFind:
			base, class, id, whole := cutFindKey(k)
			if !whole {
				c.say(name, "a key that is none: %x", k)
				continue
			}
			err = c.want(nodeKey(id), name, "%.100q finds nothing", k[2:])
			switch {
			case err != nil:
			case class == classFile:
				err = c.file(base, id)
			case len(it.Value()) > 0:
				err = c.named(id, string(it.Value()))
			}
		case table == tableDigest && len(k) > digestLen:
			found := false
			nodes, openErr := c.state.NewIter(nil)
			if openErr != nil {
				return openErr
			}
			err = digestNodes(nodes, k[1], k[2], k[len(k)-digestLen:], func(node) { found = true })
			if err = errors.Join(err, nodes.Close()); err == nil && !found {
				c.say(name, "a digest that begins with %x finds nothing", k[3:len(k)-digestLen])
			}
		case table == tableCount && len(k) == 18:
			err = c.begins(sidePrefix(nil, sideIn, ID(k[2:]), k[1]), name, "%x is counted, and nothing points to it", k[2:])
		case table == tableTop && len(k) == 27:
			err = c.want(countKey(k[1], ID(k[11:27])), name, "%x is in the order of counters and has none", k[11:27])
		case table == tableJob:
			c.found.jobs++
			j, bad := unpackJob(it.Value())
			if bad != nil {
				c.say(name, "the job %.100q cannot be read", k[1:])
			} else if j.State != JobParked {
				err = c.want(queueKey(j), name, "the job %.100q is not in the queue", j.ID)
			}
		case table == tableQueue:
			if j, ok := queuedJob(k); !ok {
				c.say(name, "a key that is none: %x", k)
			} else {
				err = c.want(jobKey(j.ID), name, "the job %.100q is in the queue, and is not there", j.ID)
			}
		default:
			c.say(name, "a key that is none: %x", k)
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
	return it.Error()
}
