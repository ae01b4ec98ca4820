package graph

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/seaworthy-dev/seaworthy"
)

// Find implements Reader.
func (d *database) Find(ctx context.Context, search Search) (hits []Hit, err error) {
	s, err := search.check()
	if err != nil || s.text == "" {
		return nil, err
	}
	err = d.read(ctx, "searching", func(tx pgx.Tx) error {
		hits, err = s.search(ctx, &databaseIndex{tx: tx})
		return err
	})
	return hits, err
}

// databaseIndex is the index of a database. The beginnings of ranges are read at once.
type databaseIndex struct {
	tx    pgx.Tx
	pages map[string]*indexPage // by the beginning of the range
}

// indexPage is the beginning of a range.
type indexPage struct {
	entries []indexEntry
	last    []byte // key
	whole   bool   // the range has no more
}

func (x *databaseIndex) prefetch(ctx context.Context, ranges []span, each int) error {
	x.pages = make(map[string]*indexPage, len(ranges))
	lo, hi := make([][]byte, len(ranges)), make([][]byte, len(ranges))
	limit := 2*each + 20
	for i, r := range ranges {
		lo[i], hi[i] = r.lo, r.hi
		x.pages[string(r.lo)] = &indexPage{whole: true}
	}
	rows, err := x.tx.Query(ctx, `SELECT r.lo, t.key, t.name, s.id, s.kind, s.key
		FROM unnest($1::bytea[], $2::bytea[]) AS r (lo, hi)
		CROSS JOIN LATERAL (SELECT key, name, subject FROM graph_term WHERE key >= r.lo AND key < r.hi ORDER BY key LIMIT $3) t
		JOIN graph_subject s ON s.id = t.subject ORDER BY r.lo, t.key`, lo, hi, limit)
	if err != nil {
		return err
	}
	return scanEntries(rows, func(lo, key []byte, e indexEntry) {
		p := x.pages[string(lo)]
		p.entries, p.last = append(p.entries, e), key
		p.whole = len(p.entries) < limit
	})
}

func scanEntries(rows pgx.Rows, fn func(lo, key []byte, e indexEntry)) error {
	var lo, key, name, subject []byte
	var id ID
	var kind int16
	_, err := pgx.ForEachRow(rows, []any{&lo, &key, &name, &id, &kind, &subject}, func() error {
		e := indexEntry{node: node{id, seaworthy.Subject{Kind: kindOf(byte(kind)), Key: string(subject)}}, name: string(name)}
		if len(key) > 0 && key[0] == tableFind {
			var ok bool
			if _, e.class, _, ok = cutFindKey(key); !ok {
				return errEncoding
			}
		}
		fn(lo, slices.Clone(key), e)
		return nil
	})
	return err
}

func (x *databaseIndex) entries(ctx context.Context, lo, hi []byte, fn func(indexEntry) bool) error {
	const more = 1000
	page := x.pages[string(lo)]
	for page != nil {
		for _, e := range page.entries {
			if !fn(e) {
				return nil
			}
		}
		if page.whole {
			return nil
		}
		from := append(page.last, 0)
		page = &indexPage{}
		rows, err := x.tx.Query(ctx, `SELECT t.key, t.key, t.name, s.id, s.kind, s.key FROM (SELECT key, name, subject FROM graph_term
			WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3) t JOIN graph_subject s ON s.id = t.subject ORDER BY t.key`, from, hi, more)
		if err != nil {
			return err
		}
		if err := scanEntries(rows, func(_, key []byte, e indexEntry) { page.entries, page.last = append(page.entries, e), key }); err != nil {
			return err
		}
		page.whole = len(page.entries) < more
	}
	return nil
}

func (x *databaseIndex) paths(ctx context.Context, id ID) ([]string, error) {
	rows, err := x.tx.Query(ctx, `SELECT attrs FROM graph_statement WHERE object = $1 AND predicate = $2 ORDER BY subject, document LIMIT $3`, id, int16(numberOfFile), maxPaths)
	if err != nil {
		return nil, err
	}
	var paths []string
	var packed []byte
	_, err = pgx.ForEachRow(rows, []any{&packed}, func() error {
		attrs, err := unpackAttrs(packed)
		paths = slices.AppendSeq(paths, pathsOf(attrs))
		return err
	})
	return paths, err
}
