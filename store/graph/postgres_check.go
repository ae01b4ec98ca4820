package graph

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/seaworthy-dev/seaworthy"
)

// orphans are rows that something else should be there for, each by a query that gives where and what.
var orphans = []struct{ what, sql string }{
	{"a statement of a document that is not there", `SELECT DISTINCT document FROM graph_statement t WHERE NOT EXISTS (SELECT 1 FROM graph_document d WHERE d.id = t.document)`},
	{"a name by a document that is not there", `SELECT DISTINCT document FROM graph_name t WHERE NOT EXISTS (SELECT 1 FROM graph_document d WHERE d.id = t.document)`},
	{"bytes of a document that is not there", `SELECT DISTINCT document FROM graph_body t WHERE NOT EXISTS (SELECT 1 FROM graph_document d WHERE d.id = t.document)`},
	{"it is spoken of, and it is not there", `SELECT DISTINCT subject FROM graph_statement t WHERE NOT EXISTS (SELECT 1 FROM graph_subject s WHERE s.id = t.subject)`},
	{"it is spoken of, and it is not there", `SELECT DISTINCT object FROM graph_statement t WHERE NOT EXISTS (SELECT 1 FROM graph_subject s WHERE s.id = t.object)`},
	{"it is found, and it is not there", `SELECT DISTINCT subject FROM graph_term t WHERE NOT EXISTS (SELECT 1 FROM graph_subject s WHERE s.id = t.subject)`},
	{"nothing speaks of it", `SELECT id FROM graph_subject s WHERE NOT EXISTS (SELECT 1 FROM graph_statement t WHERE t.subject = s.id)
		AND NOT EXISTS (SELECT 1 FROM graph_statement t WHERE t.object = s.id) AND NOT EXISTS (SELECT 1 FROM graph_name t WHERE t.subject = s.id)
		AND NOT EXISTS (SELECT 1 FROM graph_document t WHERE t.id = s.id)`},
}

// Check implements Store: bytes against digests, what documents say against the statements that are there, subjects
// against the index. That the indexes of the database agree with its tables is amcheck's.
func (d *database) Check(ctx context.Context) ([]seaworthy.Problem, error) {
	var c checker
	err := d.read(ctx, "checking the graph", func(tx pgx.Tx) error {
		c = checker{}
		rows, err := tx.Query(ctx, `SELECT id FROM graph_document ORDER BY id`)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[ID])
		if err != nil {
			return err
		}
		kept := 0
		for _, id := range ids {
			n, err := d.checkDocument(ctx, tx, &c, id)
			if err != nil {
				return err
			}
			kept += n
		}
		var all int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM graph_statement`).Scan(&all); err != nil {
			return err
		}
		if all != kept {
			c.say("statements", "there are %d, and documents make %d of them", all, kept)
		}
		for _, o := range orphans {
			rows, err := tx.Query(ctx, o.sql)
			if err != nil {
				return err
			}
			lost, err := pgx.CollectRows(rows, pgx.RowTo[ID])
			if err != nil {
				return err
			}
			for _, id := range lost {
				c.say(FormatID(id), "%s", o.what)
			}
		}
		if err := d.checkTerms(ctx, tx, &c); err != nil {
			return err
		}
		return checkFiles(ctx, tx, &c)
	})
	return c.result(), err
}

// checkDocument returns how many statements of a document are there.
func (d *database) checkDocument(ctx context.Context, tx pgx.Tx, c *checker, id ID) (int, error) {
	s, err := d.said(ctx, tx, id, true)
	if seaworthy.CodeOf(err) == seaworthy.Mismatch {
		c.say(FormatID(id), "%v", err)
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	where := string(s.doc.Digest)
	if DocumentID(s.doc.Digest) != id {
		c.say(where, "it is kept as %s", FormatID(id))
	}
	if len(s.rows) != s.doc.Statements {
		c.say(where, "%d statements are found, and it makes %d", len(s.rows), s.doc.Statements)
	}
	if _, err := d.body(ctx, tx, s.doc.Digest); seaworthy.CodeOf(err) == seaworthy.Mismatch || seaworthy.CodeOf(err) == seaworthy.NotFound {
		c.say(where, "%v", err)
	} else if err != nil {
		return 0, err
	}
	return len(s.rows), nil
}

// checkTerms reads all subjects and names, and looks whether they are found by what they should be.
func (d *database) checkTerms(ctx context.Context, tx pgx.Tx, c *checker) error {
	var last ID
	for {
		rows, err := tx.Query(ctx, `SELECT id, kind, key FROM graph_subject WHERE id > $1 ORDER BY id LIMIT $2`, last, rowsAtOnce)
		if err != nil {
			return err
		}
		nodes, err := collectNodes(rows)
		if err != nil {
			return err
		}
		if len(nodes) == 0 {
			return nil
		}
		last = nodes[len(nodes)-1].id
		var want [][]byte
		by := map[ID]seaworthy.Subject{}
		ids := make([]ID, len(nodes))
		for i, n := range nodes {
			if n.subject.ID() != n.id {
				c.say(FormatID(n.id), "it is not the subject of that id: %s %.100q", n.subject.Kind, n.subject.Key)
			}
			want = append(want, findKeys(n, "")...)
			by[n.id], ids[i] = n.subject, n.id
		}
		rows, err = tx.Query(ctx, `SELECT DISTINCT subject, text FROM graph_name WHERE subject = ANY($1)`, ids)
		if err != nil {
			return err
		}
		var id ID
		var text []byte
		_, err = pgx.ForEachRow(rows, []any{&id, &text}, func() error {
			want = append(want, findKeys(node{id, by[id]}, string(text))...)
			return nil
		})
		if err != nil {
			return err
		}
		bases, err := filesOf(ctx, tx, ids)
		if err != nil {
			return err
		}
		for id, all := range bases {
			for base := range all {
				want = append(want, fileKey(fileTerm{node{id, by[id]}, base}))
			}
		}
		rows, err = tx.Query(ctx, `SELECT x.key FROM unnest($1::bytea[]) AS x (key) WHERE NOT EXISTS (SELECT 1 FROM graph_term t WHERE t.key = x.key)`, want)
		if err != nil {
			return err
		}
		missing, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
		if err != nil {
			return err
		}
		for _, k := range missing {
			c.say("index", "an entry is missing: %.100q", k)
		}
	}
}

// filesOf gives how the paths of files end.
func filesOf(ctx context.Context, tx pgx.Tx, ids []ID) (map[ID]map[string]bool, error) {
	rows, err := tx.Query(ctx, `SELECT object, attrs FROM graph_statement WHERE object = ANY($1) AND predicate = $2`, ids, int16(numberOfFile))
	if err != nil {
		return nil, err
	}
	bases := map[ID]map[string]bool{}
	var id ID
	var packed []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &packed}, func() error {
		attrs, err := unpackAttrs(packed)
		for path := range pathsOf(attrs) {
			if bases[id] == nil {
				bases[id] = map[string]bool{}
			}
			bases[id][baseOf(path)] = true
		}
		return err
	})
	return bases, err
}

// checkFiles reads the entries of files, and looks whether they have such paths.
func checkFiles(ctx context.Context, tx pgx.Tx, c *checker) error {
	last, end := []byte{tableFind}, []byte{tableFind + 1}
	for {
		rows, err := tx.Query(ctx, `SELECT key FROM graph_term WHERE key > $1 AND key < $2 ORDER BY key LIMIT $3`, last, end, rowsAtOnce)
		if err != nil {
			return err
		}
		keys, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
		if err != nil || len(keys) == 0 {
			return err
		}
		last = keys[len(keys)-1]
		terms := map[ID][]string{}
		for _, k := range keys {
			switch term, class, id, ok := cutFindKey(k); {
			case !ok:
				c.say("index", "a key that is none: %x", k)
			case class == classFile:
				terms[id] = append(terms[id], term)
			}
		}
		bases, err := filesOf(ctx, tx, slices.Collect(maps.Keys(terms)))
		if err != nil {
			return err
		}
		for id, all := range terms {
			ends := map[string]bool{}
			for base := range bases[id] {
				ends[term{text: base}.cut()] = true
			}
			for _, t := range all {
				if !ends[t] {
					c.say(FormatID(id), "it is found by %.100q, and has no such path", t)
				}
			}
		}
	}
}
