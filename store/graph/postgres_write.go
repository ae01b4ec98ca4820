package graph

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
)

const (
	// rowsAtOnce is how many rows one INSERT has at most.
	rowsAtOnce = 20_000
	// partLen is how much of a compressed body is one row: bytes.
	partLen = 1 << 20
)

// Put implements Store.
func (d *database) Put(ctx context.Context, e Entry) (bool, error) {
	r, err := prepare(e)
	if err != nil {
		return false, err
	}
	var attempt ID
	_, _ = rand.Read(attempt[:])
	body, added := compress(r.body), false
	err = d.write(ctx, "storing "+string(r.doc.Digest), func(tx pgx.Tx) error {
		if err := d.enter(ctx, tx, toAdd); err != nil {
			return err
		}
		if r.done != "" {
			if _, err := tx.Exec(ctx, `DELETE FROM graph_job WHERE id = $1`, r.done); err != nil {
				return err
			}
		}
		var err error
		if added, err = insertDocument(ctx, tx, r, attempt); err != nil || !added {
			return err
		}
		if err := insertBody(ctx, tx, r.id, body); err != nil {
			return err
		}
		if err := insertNodes(ctx, tx, r.nodes); err != nil {
			return err
		}
		if err := insertRows(ctx, tx, r.id, r.rows); err != nil {
			return err
		}
		if err := insertNames(ctx, tx, r.id, r.names); err != nil {
			return err
		}
		if err := insertFiles(ctx, tx, r.files); err != nil {
			return err
		}
		return insertJobs(ctx, tx, r.jobs)
	})
	if err == nil && !added {
		// It was there, or it is what an attempt wrote whose answer was lost.
		var by ID
		err = d.read(ctx, "storing "+string(r.doc.Digest), func(tx pgx.Tx) error {
			err := tx.QueryRow(ctx, `SELECT attempt FROM graph_document WHERE id = $1`, r.id).Scan(&by)
			if errors.Is(err, pgx.ErrNoRows) { // and was deleted meanwhile
				return nil
			}
			return err
		})
		added = by == attempt
	}
	return added && err == nil, err
}

// insertDocument adds a document; added is false when it is there.
func insertDocument(ctx context.Context, tx pgx.Tx, r *ready, attempt ID) (added bool, err error) {
	doc, err := json.Marshal(r.doc)
	if err != nil {
		return false, err
	}
	tag, err := tx.Exec(ctx, `INSERT INTO graph_document (id, kind, ingested, statements, document, said, attempt)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
		r.id, string(r.doc.Kind), nanos(r.doc.Ingested), len(r.rows), string(doc), compress(packSaid(r)), attempt)
	return err == nil && tag.RowsAffected() == 1, err
}

func insertBody(ctx context.Context, tx pgx.Tx, id ID, body []byte) error {
	n := 0
	for part := range slices.Chunk(body, partLen) {
		if _, err := tx.Exec(ctx, `INSERT INTO graph_body (document, part, bytes) VALUES ($1, $2, $3)`, id, n, part); err != nil {
			return err
		}
		n++
	}
	return nil
}

// insertNodes adds the subjects that are not there, and what those are found by.
func insertNodes(ctx context.Context, tx pgx.Tx, nodes []node) error {
	var entries []termEntry
	for some := range slices.Chunk(nodes, rowsAtOnce) {
		ids, kinds, keys := make([]ID, len(some)), make([]int16, len(some)), make([][]byte, len(some))
		for i, n := range some {
			ids[i], kinds[i], keys[i] = n.id, int16(numberOfKind(n.subject.Kind)), []byte(n.subject.Key)
		}
		rows, err := tx.Query(ctx, `INSERT INTO graph_subject (id, kind, key) SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::bytea[])
			ON CONFLICT DO NOTHING RETURNING id`, ids, kinds, keys)
		if err != nil {
			return err
		}
		added, err := pgx.CollectRows(rows, pgx.RowTo[ID])
		if err != nil {
			return err
		}
		slices.SortFunc(added, compareIDs)
		for _, n := range some {
			if _, isNew := slices.BinarySearchFunc(added, n.id, compareIDs); isNew {
				for _, k := range findKeys(n, "") {
					entries = append(entries, termEntry{k, n.id, nil})
				}
			}
		}
	}
	return insertTerms(ctx, tx, entries)
}

// termEntry is a row of the index.
type termEntry struct {
	key     []byte
	subject ID
	name    []byte
}

func insertTerms(ctx context.Context, tx pgx.Tx, entries []termEntry) error {
	slices.SortFunc(entries, func(a, b termEntry) int { return bytes.Compare(a.key, b.key) })
	for some := range slices.Chunk(entries, rowsAtOnce) {
		keys, ids, names := make([][]byte, len(some)), make([]ID, len(some)), make([][]byte, len(some))
		for i, e := range some {
			keys[i], ids[i], names[i] = e.key, e.subject, e.name
		}
		_, err := tx.Exec(ctx, `INSERT INTO graph_term (key, subject, name) SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::bytea[])
			ON CONFLICT DO NOTHING`, keys, ids, names)
		if err != nil {
			return err
		}
	}
	return nil
}

// insertFiles adds what files are found by.
func insertFiles(ctx context.Context, tx pgx.Tx, files []fileTerm) error {
	entries := make([]termEntry, len(files))
	for i, f := range files {
		entries[i] = termEntry{fileKey(f), f.object.id, nil}
	}
	return insertTerms(ctx, tx, entries)
}

func insertRows(ctx context.Context, tx pgx.Tx, document ID, rows []row) error {
	for some := range slices.Chunk(rows, rowsAtOnce) {
		subjects, predicates, objects := columns(some)
		attrs := make([][]byte, len(some))
		for i, x := range some {
			attrs[i] = packAttrs(x.attrs)
		}
		_, err := tx.Exec(ctx, `INSERT INTO graph_statement (subject, predicate, object, document, attrs)
			SELECT s, p, o, $1, a FROM unnest($2::uuid[], $3::smallint[], $4::uuid[], $5::bytea[]) AS x (s, p, o, a)
			ON CONFLICT DO NOTHING`, document, subjects, predicates, objects, attrs)
		if err != nil {
			return err
		}
	}
	return nil
}

func columns(rows []row) (subjects []ID, predicates []int16, objects []ID) {
	subjects, predicates, objects = make([]ID, len(rows)), make([]int16, len(rows)), make([]ID, len(rows))
	for i, x := range rows {
		subjects[i], predicates[i], objects[i] = x.subject, int16(x.predicate), x.object
	}
	return subjects, predicates, objects
}

func deleteRows(ctx context.Context, tx pgx.Tx, document ID, rows []row) error {
	for some := range slices.Chunk(rows, rowsAtOnce) {
		subjects, predicates, objects := columns(some)
		_, err := tx.Exec(ctx, `DELETE FROM graph_statement t USING unnest($2::uuid[], $3::smallint[], $4::uuid[]) AS x (s, p, o)
			WHERE t.subject = x.s AND t.predicate = x.p AND t.object = x.o AND t.document = $1`, document, subjects, predicates, objects)
		if err != nil {
			return err
		}
	}
	return nil
}

func insertNames(ctx context.Context, tx pgx.Tx, document ID, names []alias) error {
	var entries []termEntry
	for some := range slices.Chunk(names, rowsAtOnce) {
		ids, hashes, texts := make([]ID, len(some)), make([][]byte, len(some)), make([][]byte, len(some))
		for i, n := range some {
			ids[i], hashes[i], texts[i] = n.id, nameHash(n.text), []byte(n.text)
			for _, k := range findKeys(n.node, n.text) {
				entries = append(entries, termEntry{k, n.id, texts[i]})
			}
		}
		_, err := tx.Exec(ctx, `INSERT INTO graph_name (subject, hash, document, text)
			SELECT s, h, $1, t FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS x (s, h, t) ON CONFLICT DO NOTHING`, document, ids, hashes, texts)
		if err != nil {
			return err
		}
	}
	return insertTerms(ctx, tx, entries)
}
