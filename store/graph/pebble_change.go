package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seaworthy-dev/seaworthy"
)

// said is what a document says, as it is stored.
type said struct {
	doc   seaworthy.Document
	rows  []row // by subject, predicate, object
	names []alias
}

// nodes gives the ids of all that a document speaks of, in order.
func (s *said) nodes(document ID) []ID {
	ids := make([]ID, 0, 2*len(s.rows)+len(s.names)+1)
	ids = append(ids, document)
	for _, x := range s.rows {
		ids = append(ids, x.subject, x.object)
	}
	for _, n := range s.names {
		ids = append(ids, n.id)
	}
	slices.SortFunc(ids, compareIDs)
	return slices.Compact(ids)
}

// said reads what a document says; nil when there is none.
func (f *folder) said(r reader, document ID) (*said, error) {
	value, ok, err := get(r, documentKey(tableDocument, document))
	if err != nil || !ok {
		return nil, err
	}
	var s said
	if err := json.Unmarshal(value, &s.doc); err != nil {
		return nil, f.damaged(err, "the document "+FormatID(document))
	}
	rests, err := chunks(r, tableRests, document)
	if err != nil {
		return nil, err
	}
	it, err := r.NewIter(nil)
	if err != nil {
		return nil, err
	}
	defer it.Close()
	ids := []ID{document}
	for pair := range slices.Chunk(rests, 17) {
		if len(pair) < 17 {
			return nil, f.damaged(errEncoding, "what is known of the document "+FormatID(document))
		}
		subject := ID(pair[:16])
		ids = append(ids, subject)
		if pair[16] == 0 {
			continue
		}
		if s.rows, err = appendRows(it, s.rows, subject, pair[16], document); err != nil {
			return nil, err
		}
	}
	for _, x := range s.rows {
		ids = append(ids, x.object)
	}
	slices.SortFunc(ids, compareIDs)
	for _, id := range slices.Compact(ids) {
		k := append(subjectKey(id), sideName)
		for ok := it.SeekPrefixGE(k); ok && it.Key()[len(k)-1] == sideName; ok = it.Next() {
			if documentOf(it.Key()) == document {
				s.names = append(s.names, alias{node{id: id}, string(it.Value())})
			}
		}
	}
	slices.SortFunc(s.names, compareAliases)
	return &s, it.Error()
}

// appendRows reads the rows of a subject and predicate that a document says, and skips those of others.
func appendRows(it *pebble.Iterator, rows []row, subject ID, predicate byte, document ID) ([]row, error) {
	var prefix []byte
	prefix = sidePrefix(prefix, sideOut, subject, predicate)
	for ok := it.SeekPrefixGE(prefix); ok; {
		_, at, whole := cutEdge(it.Key())
		if !whole || !bytes.HasPrefix(it.Key(), prefix) {
			break
		}
		switch compareIDs(at.document, document) {
		case 0:
			attrs, err := unpackAttrs(it.Value())
			if err != nil {
				return nil, err
			}
			rows = append(rows, row{subject, predicate, at.to, attrs})
			ok = it.Next()
		case -1:
			ok = it.SeekPrefixGE(edgeKey(sideOut, subject, predicate, at.to, document))
		default:
			ok = it.SeekPrefixGE(after(edgeKey(sideOut, subject, predicate, at.to, document)[:edgeLen-16]))
		}
	}
	return rows, it.Error()
}

// chunks joins what was cut into rows.
func chunks(r reader, table byte, document ID) (all []byte, err error) {
	prefix := documentKey(table, document)
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		all = append(all, it.Value()...)
	}
	return all, it.Error()
}

// Delete implements Store.
func (f *folder) Delete(ctx context.Context, document ID) error {
	return f.change(ctx, "deleting the document "+FormatID(document), nil, func(w *writer) (bool, error) {
		old, err := f.said(w.db, document)
		if err != nil {
			return false, err
		}
		if old == nil {
			return false, noDocument("deleting", document)
		}
		w.totals.documents--
		_ = w.Batch.Delete(documentKey(tableDocument, document), nil)
		_ = w.Batch.Delete(listKey(listPlace{nanos(old.doc.Ingested), document}), nil)
		for _, table := range []byte{tableBody, tableRests} {
			prefix := documentKey(table, document)
			_ = w.DeleteRange(prefix, after(prefix), nil)
		}
		return true, w.exchange(document, old, &ready{id: document})
	})
}

// Replace implements Store.
func (f *folder) Replace(ctx context.Context, e Entry) error {
	id := DocumentID(e.Document.Digest)
	body := e.Body
	if len(body) == 0 {
		var err error
		if body, err = f.Body(ctx, e.Document.Digest); err != nil {
			return err
		}
	}
	r, err := prepareReplacement(e, body)
	if err != nil {
		return err
	}
	return f.change(ctx, "replacing "+string(e.Document.Digest), nil, func(w *writer) (bool, error) {
		old, err := f.said(w.db, id)
		if err != nil {
			return false, err
		}
		if old == nil {
			return false, noDocument("replacing", id)
		}
		r.replaces(old.doc)
		prefix := documentKey(tableRests, id)
		_ = w.DeleteRange(prefix, after(prefix), nil)
		if err := writeDocument(w.Batch, r); err != nil {
			return false, err
		}
		if err := w.exchange(id, old, r); err != nil {
			return false, err
		}
		_, err = w.finish(r.done)
		for _, j := range r.jobs {
			if err == nil {
				err = w.queue(j)
			}
		}
		return true, err
	})
}

// exchange writes the difference between what a document said and what it says now.
func (w *writer) exchange(document ID, old *said, now *ready) error {
	w.totals.statements += int64(len(now.rows) - len(old.rows))
	removed, added, was, changed := difference(old.rows, now.rows)
	for _, x := range removed {
		removeRow(w.Batch, document, x)
	}
	writeRows(w.Batch, document, slices.Concat(added, changed))
	if err := w.addNodes(now.nodes); err != nil {
		return err
	}
	if err := w.count(document, removed, added); err != nil {
		return err
	}
	if err := w.exchangeNames(document, old.names, now.names); err != nil {
		return err
	}
	if err := w.forgetFiles(document, slices.Concat(removed, was), now.files); err != nil {
		return err
	}
	writeFiles(w.Batch, now.files)
	kept := map[ID]bool{}
	for _, n := range now.nodes {
		kept[n.id] = true
	}
	for _, id := range old.nodes(document) {
		if !kept[id] {
			if err := w.forget(id, document); err != nil {
				return err
			}
		}
	}
	return nil
}

// difference compares sorted rows. Those that changed only their attributes are in was as they were and in changed as
// they are.
func difference(old, now []row) (removed, added, was, changed []row) {
	for len(old) > 0 || len(now) > 0 {
		c := 0
		switch {
		case len(old) == 0:
			c = 1
		case len(now) == 0:
			c = -1
		default:
			c = compareRows(old[0], now[0])
		}
		switch {
		case c < 0:
			removed, old = append(removed, old[0]), old[1:]
		case c > 0:
			added, now = append(added, now[0]), now[1:]
		default:
			if !slices.Equal(old[0].attrs, now[0].attrs) {
				was, changed = append(was, old[0]), append(changed, now[0])
			}
			old, now = old[1:], now[1:]
		}
	}
	return removed, added, was, changed
}

func (w *writer) exchangeNames(document ID, old, now []alias) error {
	it, err := w.db.NewIter(nil)
	if err != nil {
		return err
	}
	defer it.Close()
	for _, n := range now {
		if _, there := slices.BinarySearchFunc(old, n, compareAliases); !there {
			writeName(w.Batch, document, n)
		}
	}
	for _, n := range old {
		if _, there := slices.BinarySearchFunc(now, n, compareAliases); there {
			continue
		}
		k := nameKey(n.id, n.text, document)
		_ = w.Batch.Delete(k, nil)
		others := false
		for ok := it.SeekPrefixGE(k[:len(k)-16]); ok && bytes.HasPrefix(it.Key(), k[:len(k)-16]); ok = it.Next() {
			others = others || documentOf(it.Key()) != document
		}
		if others {
			continue
		}
		if n.subject, err = w.subject(n.id); err != nil {
			return err
		}
		for _, k := range findKeys(n.node, n.text) {
			_ = w.Batch.Delete(k, nil)
		}
	}
	return it.Error()
}

// forgetFiles removes what files were found by that no statement says any more: neither those of other documents nor
// what this one says now.
func (w *writer) forgetFiles(document ID, gone []row, now []fileTerm) error {
	for _, x := range gone {
		if x.predicate != numberOfFile {
			continue
		}
		for path := range pathsOf(x.attrs) {
			f := fileTerm{node{id: x.object}, baseOf(path)}
			if _, still := slices.BinarySearchFunc(now, f, compareFileTerms); still {
				continue
			}
			others := false
			err := eachPath(w.db, x.object, math.MaxInt, func(by ID, path string) bool {
				others = by != document && baseOf(path) == f.base
				return !others
			})
			if err != nil {
				return err
			}
			if others {
				continue
			}
			if f.object.subject, err = w.subject(x.object); err != nil {
				return err
			}
			_ = w.Batch.Delete(fileKey(f), nil)
		}
	}
	return nil
}

// forget removes a subject if nothing but this document spoke of it.
func (w *writer) forget(id, document ID) error {
	if id != document {
		if _, ok, err := get(w.db, documentKey(tableDocument, id)); err != nil || ok {
			return err
		}
	}
	it, err := w.db.NewIter(nil)
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.SeekPrefixGE(append(subjectKey(id), sideIn)); ok; ok = it.Next() {
		if documentOf(it.Key()) != document {
			return nil
		}
	}
	if err := it.Error(); err != nil {
		return err
	}
	subject, err := w.subject(id)
	if err != nil {
		return err
	}
	w.totals.subjects--
	*w.seen.at(id) = ID{}
	for _, k := range findKeys(node{id, subject}, "") {
		_ = w.Batch.Delete(k, nil)
	}
	return w.Batch.Delete(nodeKey(id), nil)
}

// subject reads a subject that must be there.
func (w *writer) subject(id ID) (seaworthy.Subject, error) {
	value, ok, err := get(w.db, nodeKey(id))
	if err != nil {
		return seaworthy.Subject{}, err
	}
	if !ok {
		return seaworthy.Subject{}, seaworthy.Errorf(seaworthy.Mismatch, "the subject %s is spoken of and is not there", FormatID(id)).WithHint("%s", mend)
	}
	return unpackSubject(value)
}
