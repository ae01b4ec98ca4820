package graph

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/zstd"

	"github.com/seaworthy-dev/seaworthy"
)

// packSaid writes the keys of a document's rows and names: its subjects, then the rows as three numbers each, two
// of them places in the list of subjects, then the names.
func packSaid(r *ready) []byte {
	place := make(map[ID]uint64, len(r.nodes))
	b := binary.AppendUvarint(nil, uint64(len(r.nodes)))
	for i, n := range r.nodes {
		place[n.id] = uint64(i)
		b = append(b, n.id[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(r.rows)))
	for _, x := range r.rows {
		b = binary.AppendUvarint(b, place[x.subject])
		b = append(b, x.predicate)
		b = binary.AppendUvarint(b, place[x.object])
	}
	b = binary.AppendUvarint(b, uint64(len(r.names)))
	for _, n := range r.names {
		b = binary.AppendUvarint(b, place[n.id])
		b = binary.AppendUvarint(b, uint64(len(n.text)))
		b = append(b, n.text...)
	}
	return b
}

// unpackSaid reads what packSaid wrote: rows without attributes, names without subjects.
func unpackSaid(b []byte) (rows []row, names []alias, err error) {
	number := func() uint64 {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			err, b = errEncoding, nil
			return 0
		}
		b = b[size:]
		return n
	}
	take := func(n uint64) []byte {
		if n > uint64(len(b)) {
			err, b = errEncoding, nil
			return nil
		}
		t := b[:n]
		b = b[n:]
		return t
	}
	var ids []ID
	for n := number(); n > 0 && err == nil; n-- {
		if raw := take(16); raw != nil {
			ids = append(ids, ID(raw))
		}
	}
	id := func() ID {
		n := number()
		if n >= uint64(len(ids)) {
			err = errEncoding
			return ID{}
		}
		return ids[n]
	}
	for n := number(); n > 0 && err == nil; n-- {
		x := row{subject: id()}
		if p := take(1); p != nil {
			x.predicate = p[0]
		}
		x.object = id()
		rows = append(rows, x)
	}
	for n := number(); n > 0 && err == nil; n-- {
		names = append(names, alias{node{id: id()}, string(take(number()))})
	}
	if err == nil && len(b) > 0 {
		err = errEncoding
	}
	return rows, names, err
}

// maxSaid is how large the keys of a document's statements may be when they are decompressed: bytes.
const maxSaid = 4 << 30

func decompress(b []byte) ([]byte, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxSaid))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return z.DecodeAll(b, nil)
}

// said reads what a document says, with attributes if asked for; nil when there is no such document.
func (d *database) said(ctx context.Context, tx pgx.Tx, id ID, attrs bool) (*said, error) {
	var document string
	var packed []byte
	err := tx.QueryRow(ctx, `SELECT document, said FROM graph_document WHERE id = $1`, id).Scan(&document, &packed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var s said
	if err := json.Unmarshal([]byte(document), &s.doc); err != nil {
		return nil, d.damaged("the document %s cannot be read", FormatID(id))
	}
	raw, err := decompress(packed)
	if err == nil {
		s.rows, s.names, err = unpackSaid(raw)
	}
	if err != nil {
		return nil, d.damaged("what the document %s says cannot be read", FormatID(id))
	}
	if !attrs {
		return &s, nil
	}
	kept := s.rows[:0]
	for some := range slices.Chunk(s.rows, rowsAtOnce) {
		found, err := readRows(ctx, tx, id, some)
		if err != nil {
			return nil, err
		}
		kept = append(kept, found...)
	}
	s.rows = kept
	return &s, nil
}

// readRows reads those of a document's rows that are there, with their attributes.
func readRows(ctx context.Context, tx pgx.Tx, document ID, rows []row) ([]row, error) {
	subjects, predicates, objects := columns(rows)
	result, err := tx.Query(ctx, `SELECT t.subject, t.predicate, t.object, t.attrs
		FROM unnest($2::uuid[], $3::smallint[], $4::uuid[]) AS x (s, p, o)
		JOIN graph_statement t ON t.subject = x.s AND t.predicate = x.p AND t.object = x.o AND t.document = $1`, document, subjects, predicates, objects)
	if err != nil {
		return nil, err
	}
	defer result.Close()
	var found []row
	for result.Next() {
		var x row
		var p int16
		var packed []byte
		if err := result.Scan(&x.subject, &p, &x.object, &packed); err != nil {
			return nil, err
		}
		x.predicate = byte(p)
		if x.attrs, err = unpackAttrs(packed); err != nil {
			return nil, err
		}
		found = append(found, x)
	}
	slices.SortFunc(found, compareRows)
	return found, result.Err()
}

func (d *database) damaged(format string, args ...any) error {
	return seaworthy.Errorf(seaworthy.Mismatch, "the graph in %q is damaged: "+format, append([]any{d.name}, args...)...).
		WithHint("restore a backup into an empty database (seaworthy graph restore), or rebuild it from its documents (seaworthy graph rebuild)")
}
