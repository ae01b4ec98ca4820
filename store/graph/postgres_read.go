package graph

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/zstd"

	"github.com/seaworthy-dev/seaworthy"
)

// edgeSQL reads the edges of many subjects, one after the other and each as far as there is room: rows of predicates
// that are not asked for, and of subjects that do not fit, are not read.
const edgeSQL = `SELECT k.id, e.predicate, e.other, e.document, e.attrs
	FROM (SELECT i.id, i.n, r.lo, r.hi FROM unnest($1::uuid[]) WITH ORDINALITY AS i (id, n), unnest($2::smallint[], $3::smallint[]) AS r (lo, hi) ORDER BY i.n, r.lo) k
	CROSS JOIN LATERAL (SELECT t.predicate, t.OTHER AS other, t.document, t.attrs FROM graph_statement t
		WHERE t.THIS = k.id AND t.predicate >= k.lo AND t.predicate <= k.hi ORDER BY t.predicate, t.OTHER, t.document LIMIT $4) e
	ORDER BY k.n, k.lo, e.predicate, e.other, e.document LIMIT $4`

// restSQL reads what is left of one subject after a page.
const restSQL = `SELECT t.THIS, t.predicate, t.OTHER, t.document, t.attrs FROM graph_statement t
	WHERE t.THIS = $1 AND t.predicate >= $2 AND t.predicate <= $3 AND (t.predicate, t.OTHER, t.document) > ($4, $5, $6)
	ORDER BY t.predicate, t.OTHER, t.document LIMIT $7`

var (
	edgesOut, edgesIn = sided(edgeSQL)
	restOut, restIn   = sided(restSQL)
)

// sided writes a query for both directions.
func sided(sql string) (out, in string) {
	return strings.NewReplacer("THIS", "subject", "OTHER", "object").Replace(sql), strings.NewReplacer("THIS", "object", "OTHER", "subject").Replace(sql)
}

// Edges implements Reader.
func (d *database) Edges(ctx context.Context, query Query) (Page, error) {
	q, err := query.check()
	if err != nil || len(q.from) == 0 || len(q.predicates) == 0 {
		return Page{}, err
	}
	all, rest := edgesOut, restOut
	if q.back {
		all, rest = edgesIn, restIn
	}
	lo, hi := predicateRanges(q.predicates)
	var page Page
	err = d.read(ctx, "reading statements", func(tx pgx.Tx) error {
		page = Page{}
		from := q.from
		if q.started && from[0] == q.after.from {
			from = from[1:]
			for i := range lo {
				if hi[i] < int16(q.after.predicate) || len(page.Edges) > q.limit {
					continue
				}
				rows, err := tx.Query(ctx, rest, q.after.from, lo[i], hi[i], int16(q.after.predicate), q.after.to, q.after.document, q.limit+1-len(page.Edges))
				if err != nil {
					return err
				}
				if page.Edges, err = appendEdges(page.Edges, rows); err != nil {
					return err
				}
			}
		}
		if len(from) == 0 || len(page.Edges) > q.limit {
			return nil
		}
		rows, err := tx.Query(ctx, all, from, lo, hi, q.limit+1-len(page.Edges))
		if err != nil {
			return err
		}
		page.Edges, err = appendEdges(page.Edges, rows)
		return err
	})
	if err != nil {
		return Page{}, err
	}
	if len(page.Edges) > q.limit {
		page.Edges = page.Edges[:q.limit]
		page.Next = placeOf(page.Edges[q.limit-1]).cursor()
	}
	return page, nil
}

// predicateRanges joins neighbours.
func predicateRanges(ps []byte) (lo, hi []int16) {
	for i, p := range ps {
		if i > 0 && ps[i-1]+1 == p {
			hi[len(hi)-1] = int16(p)
			continue
		}
		lo, hi = append(lo, int16(p)), append(hi, int16(p))
	}
	return lo, hi
}

func appendEdges(edges []Edge, rows pgx.Rows) ([]Edge, error) {
	defer rows.Close()
	for rows.Next() {
		var e Edge
		var p int16
		var attrs []byte
		err := rows.Scan(&e.From, &p, &e.To, &e.Document, &attrs)
		if err == nil {
			e.Predicate = predicateOf(byte(p))
			e.Attrs, err = unpackAttrs(attrs)
		}
		if err != nil {
			return nil, err
		}
		edges = append(edges, e)
	}
	return edges, rows.Err()
}

// Subjects implements Reader.
func (d *database) Subjects(ctx context.Context, ids []ID) ([]seaworthy.Subject, error) {
	subjects := make([]seaworthy.Subject, len(ids))
	err := d.read(ctx, "reading subjects", func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id, kind, key FROM graph_subject WHERE id = ANY($1)`, unique(ids))
		if err != nil {
			return err
		}
		nodes, err := collectNodes(rows)
		if err != nil {
			return err
		}
		by := make(map[ID]seaworthy.Subject, len(nodes))
		for _, n := range nodes {
			by[n.id] = n.subject
		}
		for i, id := range ids {
			subjects[i] = by[id]
		}
		return nil
	})
	return subjects, err
}

func unique(ids []ID) []ID {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, compareIDs)
	return slices.Compact(ids)
}

// Documents implements Reader.
func (d *database) Documents(ctx context.Context, ids []ID) ([]seaworthy.Document, error) {
	documents := make([]seaworthy.Document, len(ids))
	err := d.read(ctx, "reading documents", func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id, document FROM graph_document WHERE id = ANY($1)`, unique(ids))
		if err != nil {
			return err
		}
		by := map[ID]string{}
		var id ID
		var document string
		_, err = pgx.ForEachRow(rows, []any{&id, &document}, func() error {
			by[id] = document
			return nil
		})
		if err != nil {
			return err
		}
		for i, id := range ids {
			if document, ok := by[id]; ok {
				documents[i] = seaworthy.Document{}
				if err := json.Unmarshal([]byte(document), &documents[i]); err != nil {
					return d.damaged("the document %s cannot be read", FormatID(id))
				}
			}
		}
		return nil
	})
	return documents, err
}

// Body implements Store.
func (d *database) Body(ctx context.Context, digest seaworthy.Digest) (body []byte, err error) {
	err = d.read(ctx, "reading the document "+string(digest), func(tx pgx.Tx) error {
		body, err = d.body(ctx, tx, digest)
		return err
	})
	return body, err
}

func (d *database) body(ctx context.Context, tx pgx.Tx, digest seaworthy.Digest) ([]byte, error) {
	id := DocumentID(digest)
	var document string
	err := tx.QueryRow(ctx, `SELECT document FROM graph_document WHERE id = $1`, id).Scan(&document)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, noBody(digest)
	}
	if err != nil {
		return nil, err
	}
	var doc seaworthy.Document
	if err := json.Unmarshal([]byte(document), &doc); err != nil || doc.Size < 0 || doc.Size > MaxBody {
		return nil, d.damaged("the document %s cannot be read", digest)
	}
	rows, err := tx.Query(ctx, `SELECT bytes FROM graph_body WHERE document = $1 ORDER BY part`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	z, err := zstd.NewReader(&partReader{rows: rows}, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	body := make([]byte, doc.Size)
	if _, err := io.ReadFull(z, body); err != nil {
		if rows.Err() != nil {
			return nil, rows.Err()
		}
		return nil, d.damaged("the bytes of %s cannot be read: %w", digest, err)
	}
	if got := seaworthy.SHA256(body); got != digest {
		return nil, d.damaged("the bytes of %s are those of %s", digest, got)
	}
	return body, nil
}

// partReader reads a column of bytes, row by row.
type partReader struct {
	rows pgx.Rows
	rest []byte
}

func (r *partReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if !r.rows.Next() {
			if err := r.rows.Err(); err != nil {
				return 0, err
			}
			return 0, io.EOF
		}
		if err := r.rows.Scan(&r.rest); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// List implements Store.
func (d *database) List(ctx context.Context, q ListQuery) (ListPage, error) {
	l, err := q.check()
	if err != nil {
		return ListPage{}, err
	}
	if !l.started {
		l.after.ingested = 1<<63 - 1
	}
	var kinds []string
	for _, k := range l.kinds {
		kinds = append(kinds, string(k))
	}
	var page ListPage
	err = d.read(ctx, "listing documents", func(tx pgx.Tx) error {
		page = ListPage{}
		rows, err := tx.Query(ctx, `SELECT ingested, id, document FROM graph_document
			WHERE ($1 OR kind = ANY($2)) AND ingested <= $3 AND (ingested < $3 OR id > $4)
			ORDER BY ingested DESC, id LIMIT $5`, l.kinds == nil, kinds, l.after.ingested, l.after.id, l.limit+1)
		if err != nil {
			return err
		}
		var at, last listPlace
		var document string
		_, err = pgx.ForEachRow(rows, []any{&at.ingested, &at.id, &document}, func() error {
			if len(page.Documents) == l.limit {
				page.Next = last.cursor()
				return nil
			}
			last = at
			var doc seaworthy.Document
			if err := json.Unmarshal([]byte(document), &doc); err != nil {
				return d.damaged("the document %s cannot be read", FormatID(at.id))
			}
			page.Documents = append(page.Documents, doc)
			return nil
		})
		return err
	})
	return page, err
}

// Top implements Reader.
func (d *database) Top(ctx context.Context, predicate seaworthy.Predicate, kinds []seaworthy.SubjectKind, limit int) ([]Counted, error) {
	p, ks, err := checkTop(predicate, kinds, limit)
	if err != nil {
		return nil, err
	}
	some := make([]int16, len(ks))
	for i, k := range ks {
		some[i] = int16(k)
	}
	sql := `SELECT c.object, c.n FROM (SELECT object, count(DISTINCT subject) AS n FROM graph_statement WHERE predicate = $1 AND predicate <> 2 GROUP BY object) c
		ORDER BY c.n DESC, c.object LIMIT $2`
	args := []any{int16(p), limit}
	if kinds != nil {
		sql = `SELECT c.object, c.n FROM (SELECT object, count(DISTINCT subject) AS n FROM graph_statement WHERE predicate = $1 AND predicate <> 2 GROUP BY object) c
			JOIN graph_subject s ON s.id = c.object WHERE s.kind = ANY($3) ORDER BY c.n DESC, c.object LIMIT $2`
		args = append(args, some)
	}
	var top []Counted
	err = d.read(ctx, "counting", func(tx pgx.Tx) error {
		top = nil
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		var c Counted
		_, err = pgx.ForEachRow(rows, []any{&c.ID, &c.Count}, func() error {
			top = append(top, c)
			return nil
		})
		return err
	})
	return top, err
}

// estimated is from how many rows on PostgreSQL's estimate of their number is good enough.
const estimated = 200_000

// Stats implements Store. Subjects are estimated when there are many.
func (d *database) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	err := d.read(ctx, "counting", func(tx pgx.Tx) error {
		s = Stats{Engine: "postgres"}
		err := tx.QueryRow(ctx, `SELECT count(*), coalesce(sum(statements), 0)::bigint FROM graph_document`).Scan(&s.Documents, &s.Statements)
		if err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'graph_subject'::regclass`).Scan(&s.Subjects)
		if err == nil && s.Subjects < estimated {
			err = tx.QueryRow(ctx, `SELECT count(*) FROM graph_subject`).Scan(&s.Subjects)
		}
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM graph_job`).Scan(&s.Jobs); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
			WHERE c.relkind = 'r' AND c.relname LIKE 'graph\_%' AND pg_table_is_visible(c.oid)`).Scan(&s.Bytes)
	})
	return s, err
}

// Backup implements Store: it writes a portable copy, which Restore reads.
func (d *database) Backup(ctx context.Context, dir string) error {
	return export(ctx, d, filepath.Join(dir, exportName))
}

// each implements holder.
func (d *database) each(ctx context.Context, bodies bool, fn func(Entry) error) error {
	// It is not tried again: fn cannot be told that it heard something before.
	err := pgx.BeginTxFunc(ctx, d.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id FROM graph_document ORDER BY id`)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[ID])
		if err != nil {
			return err
		}
		for _, id := range ids {
			e, err := d.entry(ctx, tx, id, bodies)
			if err == nil {
				err = fn(e)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return d.failed(err, "reading all documents")
}

// entry reads a document and all it says.
func (d *database) entry(ctx context.Context, tx pgx.Tx, id ID, body bool) (Entry, error) {
	s, err := d.said(ctx, tx, id, true)
	if err != nil {
		return Entry{}, err
	}
	if s == nil {
		return Entry{}, noDocument("reading", id)
	}
	subjects := map[ID]seaworthy.Subject{}
	for some := range slices.Chunk(s.nodes(id), rowsAtOnce) {
		rows, err := tx.Query(ctx, `SELECT id, kind, key FROM graph_subject WHERE id = ANY($1)`, some)
		if err != nil {
			return Entry{}, err
		}
		nodes, err := collectNodes(rows)
		if err != nil {
			return Entry{}, err
		}
		for _, n := range nodes {
			subjects[n.id] = n.subject
		}
	}
	e := entryOf(s.doc, s.rows, s.names, subjects)
	if body {
		e.Body, err = d.body(ctx, tx, s.doc.Digest)
	}
	return e, err
}
