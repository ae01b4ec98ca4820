package graph

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seaworthy-dev/seaworthy"
)

// Find implements Reader.
func (f *folder) Find(ctx context.Context, search Search) ([]Hit, error) {
	s, err := search.check()
	if err != nil || s.text == "" {
		return nil, err
	}
	db, done, err := f.use()
	if err != nil {
		return nil, err
	}
	defer done()
	state := newView(db)
	defer state.Close()
	hits, err := s.search(ctx, folderIndex{state})
	return hits, f.failed(err, "searching for %.100q", search.Text)
}

// folderIndex is the index of a folder.
type folderIndex struct{ state *view }

func (x folderIndex) entries(_ context.Context, lo, hi []byte, fn func(indexEntry) bool) (err error) {
	it, err := x.state.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	nodes, err := x.state.NewIter(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nodes.Close()) }()
	var n node // of the entry before: one subject may have many names that end alike
	for ok := it.First(); ok; ok = it.Next() {
		k := it.Key()
		if k[0] == tableDigest {
			more := true
			if err := digestNodes(nodes, k[1], k[2], k[len(k)-digestLen:], func(n node) { more = more && fn(indexEntry{node: n}) }); err != nil || !more {
				return err
			}
			continue
		}
		_, class, id, ok := cutFindKey(k)
		if !ok {
			return errEncoding
		}
		if id != n.id {
			value, ok, err := get(x.state, nodeKey(id))
			if err == nil && !ok {
				err = errEncoding
			}
			if err == nil {
				n.id = id
				n.subject, err = unpackSubject(value)
			}
			if err != nil {
				return err
			}
		}
		if !fn(indexEntry{n, string(it.Value()), class}) {
			return nil
		}
	}
	return it.Error()
}

func (x folderIndex) paths(_ context.Context, id ID) ([]string, error) {
	var paths []string
	err := eachPath(x.state, id, maxPaths, func(_ ID, path string) bool {
		paths = append(paths, path)
		return true
	})
	return paths, err
}

// eachPath calls fn for the paths that the first statements about a file give it, with their documents, until it
// returns false.
func eachPath(r reader, id ID, statements int, fn func(document ID, path string) bool) (err error) {
	it, err := r.NewIter(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	prefix := sidePrefix(nil, sideIn, id, numberOfFile)
	for ok := it.SeekPrefixGE(prefix); ok && statements > 0 && bytes.HasPrefix(it.Key(), prefix); ok = it.Next() {
		_, at, whole := cutEdge(it.Key())
		if !whole {
			return errEncoding
		}
		value, there, err := get(r, edgeKey(sideOut, at.to, numberOfFile, id, at.document))
		if err == nil && !there {
			err = errEncoding
		}
		if err != nil {
			return err
		}
		attrs, err := unpackAttrs(value)
		if err != nil {
			return err
		}
		for path := range pathsOf(attrs) {
			if !fn(at.document, path) {
				return nil
			}
		}
		statements--
	}
	return it.Error()
}

// digestNodes calls fn for the subjects that are digests and whose ids begin with some bytes: mostly one.
func digestNodes(it *pebble.Iterator, kind, algorithm byte, idBegins []byte, fn func(node)) error {
	prefix := append([]byte{tableSubject}, idBegins...)
	for ok := it.SeekGE(prefix); ok && bytes.HasPrefix(it.Key(), prefix); {
		k := it.Key()
		if len(k) <= subjectLen {
			return errEncoding
		}
		id := ID(k[1:subjectLen])
		if v := it.Value(); k[subjectLen] == sideKey && len(v) > 2 && v[0] == kind && v[1] == algorithm {
			subject, err := unpackSubject(v)
			if err != nil {
				return err
			}
			fn(node{id, subject})
		}
		ok = it.SeekGE(after(subjectKey(id)))
	}
	return it.Error()
}

// Top implements Reader.
func (f *folder) Top(ctx context.Context, predicate seaworthy.Predicate, kinds []seaworthy.SubjectKind, limit int) ([]Counted, error) {
	p, ks, err := checkTop(predicate, kinds, limit)
	if err != nil {
		return nil, err
	}
	db, done, err := f.use()
	if err != nil {
		return nil, err
	}
	defer done()
	state := newView(db)
	defer state.Close()
	it, err := state.NewIter(nil)
	if err != nil {
		return nil, f.failed(err, "counting")
	}
	defer it.Close()
	var top []Counted
	for _, kind := range ks {
		prefix := []byte{tableTop, p, kind}
		n := 0
		for ok := it.SeekGE(prefix); ok && bytes.HasPrefix(it.Key(), prefix) && n < limit; ok = it.Next() {
			k := it.Key()
			top = append(top, Counted{ID(k[11:27]), int64(^binary.BigEndian.Uint64(k[3:11]))})
			n++
		}
	}
	// Of those that one subject points to there is no list of their own: there are as many as there are counters.
	prefix := []byte{tableCount, p}
	missing := limit - len(top)
	for ok := it.SeekGE(prefix); ok && bytes.HasPrefix(it.Key(), prefix) && missing > 0; ok = it.Next() {
		kind, n, err := unpackCount(it.Value())
		if err != nil {
			return nil, f.damaged(err, "a counter")
		}
		if n == 1 && bytes.IndexByte(ks, kind) >= 0 {
			top = append(top, Counted{ID(it.Key()[2:18]), 1})
			missing--
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	sortCounted(top)
	return top[:min(limit, len(top))], f.failed(it.Error(), "counting")
}
