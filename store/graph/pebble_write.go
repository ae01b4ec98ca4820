package graph

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/seaworthy-dev/seaworthy"
)

const (
	// chunkLen is how much of a compressed body, or of a list of pairs, is one row: bytes.
	chunkLen = 128 << 10
	// bodyWindow is how far back a body is searched for repetitions: bytes. It is most of what compressing needs.
	bodyWindow = 2 << 20
)

// compressor compresses bodies, one at a time for each use.
var compressors = sync.Pool{New: func() any {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(bodyWindow))
	if err != nil {
		panic(err) // only options can be wrong
	}
	return z
}}

func compress(body []byte) []byte {
	z := compressors.Get().(*zstd.Encoder)
	defer compressors.Put(z)
	return z.EncodeAll(body, make([]byte, 0, len(body)/4+64))
}

// Put implements Store.
func (f *folder) Put(ctx context.Context, e Entry) (bool, error) {
	r, err := prepare(e)
	if err != nil {
		return false, err
	}
	added := false
	// What needs no look at what is there is written down before anybody waits for it.
	static := func(b *pebble.Batch) error {
		writeBody(b, r.id, r.body)
		writeRows(b, r.id, r.rows)
		for _, n := range r.names {
			writeName(b, r.id, n)
		}
		writeFiles(b, r.files)
		return writeDocument(b, r)
	}
	err = f.change(ctx, "storing "+string(r.doc.Digest), static, func(w *writer) (bool, error) {
		_, known, err := get(w.db, documentKey(tableDocument, r.id))
		if err != nil {
			return false, err
		}
		if known {
			w.Reset()
			return w.finish(r.done)
		}
		added = true
		w.totals.documents++
		w.totals.statements += int64(len(r.rows))
		if err := w.addNodes(r.nodes); err != nil {
			return false, err
		}
		if err := w.count(r.id, nil, r.rows); err != nil {
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
	return err == nil && added, err
}

// Batches do not fail to take rows: the errors of Set are for closed ones.

func writeBody(b *pebble.Batch, id ID, body []byte) {
	n := 0
	for chunk := range slices.Chunk(compress(body), chunkLen) {
		_ = b.Set(chunkKey(tableBody, id, n), chunk, nil)
		n++
	}
}

// writeDocument writes a document, its place in the list, and what is needed to find its rows again.
func writeDocument(b *pebble.Batch, r *ready) error {
	doc, err := json.Marshal(r.doc)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Invalid, "storing %s", r.doc.Digest)
	}
	_ = b.Set(documentKey(tableDocument, r.id), doc, nil)
	_ = b.Set(listKey(listPlace{nanos(r.doc.Ingested), r.id}), []byte(r.doc.Kind), nil)
	n := 0
	for chunk := range slices.Chunk(packRests(r), chunkLen) {
		_ = b.Set(chunkKey(tableRests, r.id, n), chunk, nil)
		n++
	}
	return nil
}

// packRests writes the pairs of subject and predicate that begin a document's rows, and the subjects it only names
// as pairs with predicate 0. Rows of other documents between those of a pair are skipped when it is read.
func packRests(r *ready) []byte {
	var b []byte
	spoken := make(map[ID]bool, len(r.nodes))
	for i, x := range r.rows {
		spoken[x.subject], spoken[x.object] = true, true
		if i == 0 || x.subject != r.rows[i-1].subject || x.predicate != r.rows[i-1].predicate {
			b = append(append(b, x.subject[:]...), x.predicate)
		}
	}
	for i, n := range r.names {
		if !spoken[n.id] && (i == 0 || n.id != r.names[i-1].id) {
			b = append(append(b, n.id[:]...), 0)
		}
	}
	return b
}

// writeRows writes statements, seen from both sides. The attributes of files are on one side only. Keys that follow
// one another are taken in much faster than keys in any order.
func writeRows(b *pebble.Batch, document ID, rows []row) {
	in := make([]int32, len(rows))
	for i, x := range rows {
		in[i] = int32(i)
		_ = b.Set(edgeKey(sideOut, x.subject, x.predicate, x.object, document), packAttrs(x.attrs), nil)
	}
	slices.SortFunc(in, func(i, j int32) int {
		a, b := &rows[i], &rows[j]
		return cmp.Or(compareIDs(a.object, b.object), cmp.Compare(a.predicate, b.predicate), compareIDs(a.subject, b.subject))
	})
	for _, i := range in {
		x := &rows[i]
		var attrs []byte
		if x.predicate != numberOfFile {
			attrs = packAttrs(x.attrs)
		}
		_ = b.Set(edgeKey(sideIn, x.object, x.predicate, x.subject, document), attrs, nil)
	}
}

func removeRow(b *pebble.Batch, document ID, x row) {
	_ = b.Delete(edgeKey(sideOut, x.subject, x.predicate, x.object, document), nil)
	_ = b.Delete(edgeKey(sideIn, x.object, x.predicate, x.subject, document), nil)
}

func writeName(b *pebble.Batch, document ID, n alias) {
	_ = b.Set(nameKey(n.id, n.text, document), []byte(n.text), nil)
	for _, k := range findKeys(n.node, n.text) {
		_ = b.Set(k, []byte(n.text), nil)
	}
}

// writeFiles writes what files are found by, in the order of the table.
func writeFiles(b *pebble.Batch, files []fileTerm) {
	keys := make([][]byte, len(files))
	for i, f := range files {
		keys[i] = fileKey(f)
	}
	slices.SortFunc(keys, bytes.Compare)
	for _, k := range keys {
		_ = b.Set(k, nil, nil)
	}
}

// addNodes writes the subjects that are not there.
func (w *writer) addNodes(nodes []node) error {
	w.kinds = make(map[ID]byte, len(nodes))
	it, err := w.db.NewIter(nil)
	if err != nil {
		return err
	}
	defer it.Close()
	var added []node
	k := make([]byte, 0, subjectLen+1)
	for _, n := range nodes {
		w.kinds[n.id] = numberOfKind(n.subject.Kind)
		place := w.seen.at(n.id)
		if *place == n.id {
			continue
		}
		*place = n.id // it is written below, if it is not there
		k = append(append(append(k[:0], tableSubject), n.id[:]...), sideKey)
		if it.SeekPrefixGE(k) && bytes.Equal(it.Key(), k) {
			continue
		}
		if err := it.Error(); err != nil {
			return err
		}
		added = append(added, n)
		_ = w.Set(k, packSubject(n.subject), nil)
	}
	w.totals.subjects += int64(len(added))
	for _, n := range added {
		for _, k := range findKeys(n, "") {
			_ = w.Set(k, nil, nil)
		}
	}
	return nil
}

// target is what has a counter.
type target struct {
	predicate byte
	object    ID
}

// count changes the counters of Top for rows that a document does not say any more and rows that it says now. A
// subject that other documents connect with the object, too, is not counted again.
func (w *writer) count(document ID, removed, added []row) error {
	it, err := w.db.NewIter(nil)
	if err != nil {
		return err
	}
	defer it.Close()
	changes := map[target]int{}
	for _, side := range []struct {
		rows []row
		by   int
	}{{removed, -1}, {added, 1}} {
		for _, x := range side.rows {
			if !counted(x.predicate) {
				continue
			}
			others, err := saidByOthers(it, x, document)
			if err != nil {
				return err
			}
			if !others {
				changes[target{x.predicate, x.object}] += side.by
			}
		}
	}
	for at, by := range changes {
		if by != 0 {
			if err := w.move(at, by); err != nil {
				return err
			}
		}
	}
	return nil
}

// saidByOthers says whether a document other than this one makes a statement.
func saidByOthers(it *pebble.Iterator, x row, document ID) (bool, error) {
	from := edgeKey(sideOut, x.subject, x.predicate, x.object, ID{})
	for ok := it.SeekPrefixGE(from); ok && bytes.HasPrefix(it.Key(), from[:len(from)-16]); ok = it.Next() {
		if documentOf(it.Key()) != document {
			return true, nil
		}
	}
	return false, it.Error()
}

// move changes one counter.
func (w *writer) move(at target, by int) error {
	k := countKey(at.predicate, at.object)
	old, kind := uint64(0), byte(0)
	value, ok, err := get(w.db, k)
	if err != nil {
		return err
	}
	if ok {
		if kind, old, err = unpackCount(value); err != nil {
			return err
		}
	} else {
		kind = w.kinds[at.object]
	}
	now := uint64(max(0, int64(old)+int64(by)))
	if old > 1 {
		_ = w.Delete(topKey(at.predicate, kind, old, at.object), nil)
	}
	if now > 1 {
		_ = w.Set(topKey(at.predicate, kind, now, at.object), nil, nil)
	}
	if now == 0 {
		return w.Delete(k, nil)
	}
	return w.Set(k, binary.AppendUvarint([]byte{kind}, now), nil)
}

func unpackCount(b []byte) (kind byte, n uint64, err error) {
	if len(b) < 2 {
		return 0, 0, errEncoding
	}
	n, size := binary.Uvarint(b[1:])
	if size <= 0 {
		return 0, 0, errEncoding
	}
	return b[0], n, nil
}
