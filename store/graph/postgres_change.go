package graph

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/seaworthy-dev/seaworthy"
)

// Delete implements Store.
func (d *database) Delete(ctx context.Context, document ID) error {
	return d.write(ctx, "deleting the document "+FormatID(document), func(tx pgx.Tx) error {
		if err := d.enter(ctx, tx, toTake); err != nil {
			return err
		}
		old, err := d.said(ctx, tx, document, true)
		if err != nil {
			return err
		}
		if old == nil {
			return noDocument("deleting", document)
		}
		for _, sql := range []string{`DELETE FROM graph_document WHERE id = $1`, `DELETE FROM graph_body WHERE document = $1`} {
			if _, err := tx.Exec(ctx, sql, document); err != nil {
				return err
			}
		}
		return exchange(ctx, tx, document, old, &ready{id: document})
	})
}

// Replace implements Store.
func (d *database) Replace(ctx context.Context, e Entry) error {
	id := DocumentID(e.Document.Digest)
	body := e.Body
	if len(body) == 0 {
		var err error
		if body, err = d.Body(ctx, e.Document.Digest); err != nil {
			return err
		}
	}
	r, err := prepareReplacement(e, body)
	if err != nil {
		return err
	}
	return d.write(ctx, "replacing "+string(e.Document.Digest), func(tx pgx.Tx) error {
		if err := d.enter(ctx, tx, toTake); err != nil {
			return err
		}
		old, err := d.said(ctx, tx, id, true)
		if err != nil {
			return err
		}
		if old == nil {
			return noDocument("replacing", id)
		}
		r.replaces(old.doc)
		doc, err := json.Marshal(r.doc)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE graph_document SET kind = $2, statements = $3, document = $4, said = $5 WHERE id = $1`,
			id, string(r.doc.Kind), len(r.rows), string(doc), compress(packSaid(r)))
		if err != nil {
			return err
		}
		if err := exchange(ctx, tx, id, old, r); err != nil {
			return err
		}
		if r.done != "" {
			if _, err := tx.Exec(ctx, `DELETE FROM graph_job WHERE id = $1`, r.done); err != nil {
				return err
			}
		}
		return insertJobs(ctx, tx, r.jobs)
	})
}

// exchange writes the difference between what a document said and what it says now. Nobody else writes meanwhile.
func exchange(ctx context.Context, tx pgx.Tx, document ID, old *said, now *ready) error {
	removed, added, was, changed := difference(old.rows, now.rows)
	if err := deleteRows(ctx, tx, document, slices.Concat(removed, was)); err != nil {
		return err
	}
	if err := insertNodes(ctx, tx, now.nodes); err != nil {
		return err
	}
	if err := insertRows(ctx, tx, document, slices.Concat(added, changed)); err != nil {
		return err
	}
	var gone, come []alias
	for _, n := range old.names {
		if _, there := slices.BinarySearchFunc(now.names, n, compareAliases); !there {
			gone = append(gone, n)
		}
	}
	for _, n := range now.names {
		if _, there := slices.BinarySearchFunc(old.names, n, compareAliases); !there {
			come = append(come, n)
		}
	}
	if err := deleteNames(ctx, tx, document, gone); err != nil {
		return err
	}
	if err := insertNames(ctx, tx, document, come); err != nil {
		return err
	}
	if err := forgetFiles(ctx, tx, slices.Concat(removed, was)); err != nil {
		return err
	}
	if err := insertFiles(ctx, tx, now.files); err != nil {
		return err
	}
	kept := map[ID]bool{}
	for _, n := range now.nodes {
		kept[n.id] = true
	}
	return forget(ctx, tx, slices.DeleteFunc(old.nodes(document), func(id ID) bool { return kept[id] }))
}

// deleteNames removes names that a document gave, and those that nobody gives any more from the index.
func deleteNames(ctx context.Context, tx pgx.Tx, document ID, names []alias) error {
	for some := range slices.Chunk(names, rowsAtOnce) {
		ids, hashes := make([]ID, len(some)), make([][]byte, len(some))
		for i, n := range some {
			ids[i], hashes[i] = n.id, nameHash(n.text)
		}
		_, err := tx.Exec(ctx, `DELETE FROM graph_name t USING unnest($2::uuid[], $3::bytea[]) AS x (s, h)
			WHERE t.subject = x.s AND t.hash = x.h AND t.document = $1`, document, ids, hashes)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT x.n, s.kind, s.key FROM unnest($1::uuid[], $2::bytea[]) WITH ORDINALITY AS x (s, h, n)
			JOIN graph_subject s ON s.id = x.s
			WHERE NOT EXISTS (SELECT 1 FROM graph_name t WHERE t.subject = x.s AND t.hash = x.h)`, ids, hashes)
		if err != nil {
			return err
		}
		var keys [][]byte
		var at int64
		var kind int16
		var key []byte
		_, err = pgx.ForEachRow(rows, []any{&at, &kind, &key}, func() error {
			n := some[at-1]
			n.subject = seaworthy.Subject{Kind: kindOf(byte(kind)), Key: string(key)}
			keys = append(keys, findKeys(n.node, n.text)...)
			return nil
		})
		if err == nil {
			err = deleteTerms(ctx, tx, keys)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// forgetFiles removes what files were found by that no statement says any more.
func forgetFiles(ctx context.Context, tx pgx.Tx, gone []row) error {
	bases := map[ID][]string{}
	for _, x := range gone {
		if x.predicate == numberOfFile {
			for path := range pathsOf(x.attrs) {
				bases[x.object] = append(bases[x.object], baseOf(path))
			}
		}
	}
	ids := slices.SortedFunc(maps.Keys(bases), compareIDs)
	for some := range slices.Chunk(ids, rowsAtOnce) {
		kept, err := filesOf(ctx, tx, some)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT id, kind, key FROM graph_subject WHERE id = ANY($1)`, some)
		if err != nil {
			return err
		}
		nodes, err := collectNodes(rows)
		if err != nil {
			return err
		}
		var keys [][]byte
		for _, n := range nodes {
			for _, base := range bases[n.id] {
				if !kept[n.id][base] {
					keys = append(keys, fileKey(fileTerm{n, base}))
				}
			}
		}
		if err := deleteTerms(ctx, tx, keys); err != nil {
			return err
		}
	}
	return nil
}

func deleteTerms(ctx context.Context, tx pgx.Tx, keys [][]byte) error {
	_, err := tx.Exec(ctx, `DELETE FROM graph_term WHERE key = ANY($1)`, keys)
	return err
}

// forget removes those of subjects that nothing speaks of any more.
func forget(ctx context.Context, tx pgx.Tx, ids []ID) error {
	for some := range slices.Chunk(ids, rowsAtOnce) {
		rows, err := tx.Query(ctx, `DELETE FROM graph_subject s WHERE s.id = ANY($1)
			AND NOT EXISTS (SELECT 1 FROM graph_statement t WHERE t.subject = s.id)
			AND NOT EXISTS (SELECT 1 FROM graph_statement t WHERE t.object = s.id)
			AND NOT EXISTS (SELECT 1 FROM graph_name t WHERE t.subject = s.id)
			AND NOT EXISTS (SELECT 1 FROM graph_document t WHERE t.id = s.id)
			RETURNING s.id, s.kind, s.key`, some)
		if err != nil {
			return err
		}
		var keys [][]byte
		nodes, err := collectNodes(rows)
		if err != nil {
			return err
		}
		for _, n := range nodes {
			keys = append(keys, findKeys(n, "")...)
		}
		if err := deleteTerms(ctx, tx, keys); err != nil {
			return err
		}
	}
	return nil
}

func collectNodes(rows pgx.Rows) ([]node, error) {
	var nodes []node
	var id ID
	var kind int16
	var key []byte
	_, err := pgx.ForEachRow(rows, []any{&id, &kind, &key}, func() error {
		nodes = append(nodes, node{id, seaworthy.Subject{Kind: kindOf(byte(kind)), Key: string(key)}})
		return nil
	})
	return nodes, err
}

// forgetStatements implements rebuilder.
func (d *database) forgetStatements(ctx context.Context) error {
	empty := compress(packSaid(&ready{}))
	return d.write(ctx, "forgetting statements", func(tx pgx.Tx) error {
		if err := d.enter(ctx, tx, toTake); err != nil {
			return err
		}
		for _, sql := range []string{`DELETE FROM graph_statement`, `DELETE FROM graph_name`, `DELETE FROM graph_term`, `DELETE FROM graph_subject`} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `UPDATE graph_document SET said = $1`, empty); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT document FROM graph_document`)
		if err != nil {
			return err
		}
		documents, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		var nodes []node
		for _, document := range documents {
			var doc seaworthy.Document
			if err := json.Unmarshal([]byte(document), &doc); err != nil {
				return d.damaged("a document cannot be read")
			}
			nodes = append(nodes, node{doc.Subject().ID(), doc.Subject()})
		}
		slices.SortFunc(nodes, func(a, b node) int { return compareIDs(a.id, b.id) })
		return insertNodes(ctx, tx, nodes)
	})
}
