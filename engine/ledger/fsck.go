package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/api/layout"
	"golang.org/x/mod/sumdb/note"

	"github.com/seaworthy-dev/seaworthy"
)

// Checked is what Fsck found.
type Checked struct {
	Origin   string              `json:"origin"`
	Entries  uint64              `json:"entries"` // that the checkpoint speaks of
	Root     string              `json:"root"`    // hexadecimal
	Problems []seaworthy.Problem `json:"problems"`
}

// maxProblems is how many problems are listed; a log with more is no better known by the next one.
const maxProblems = 100

// Fsck reads a whole log: it makes every tile and the root anew from the entries and compares. What is wrong is in the
// result. Errors: Unavailable or Storage when the checkpoint cannot be read, Mismatch when it is not signed by v.
func Fsck(ctx context.Context, r Reader, origin string, v note.Verifier, certificates bool) (Checked, error) {
	c := Checked{Origin: origin, Problems: []seaworthy.Problem{}}
	point, _, err := readCheckpoint(ctx, r, origin, v)
	if err != nil {
		return c, err
	}
	c.Entries, c.Root = point.size, fmt.Sprintf("%x", point.root)
	hash := bundleLeaves
	if certificates {
		hash = tessera.NewMigrationOptions().WithCTLayout().LeafHasher()
	}
	whole := ranges.NewEmptyRange(0)
	check := &tileCheck{r: r, c: &c, rows: map[uint][]byte{}, size: point.size}
	for index := uint64(0); index*layout.EntryBundleWidth < point.size; index++ {
		if ctx.Err() != nil {
			return c, ctx.Err()
		}
		want := min(point.size-index*layout.EntryBundleWidth, layout.EntryBundleWidth)
		bundle, err := r.ReadEntryBundle(ctx, index, layout.PartialTileSize(0, index, point.size))
		var leaves [][]byte
		if err == nil {
			leaves, err = hash(bundle)
		}
		if err == nil && uint64(len(leaves)) < want {
			err = fmt.Errorf("it has %d entries, not %d", len(leaves), want)
		}
		if err != nil {
			// Nothing after it can be placed in the tree.
			c.add(fmt.Sprintf("entries from %d", index*layout.EntryBundleWidth), err)
			return c, nil
		}
		for _, leaf := range leaves[:want] {
			if err := whole.Append(leaf, func(id compact.NodeID, hash []byte) { check.node(ctx, id, hash) }); err != nil {
				return c, seaworthy.Wrap(err, seaworthy.Internal, "checking the log")
			}
		}
	}
	check.rest(ctx)
	root := rfc6962.DefaultHasher.EmptyRoot()
	if point.size > 0 {
		if root, err = whole.GetRootHash(nil); err != nil {
			return c, seaworthy.Wrap(err, seaworthy.Internal, "checking the log")
		}
	}
	if !bytes.Equal(root, point.root[:]) {
		c.add("root", fmt.Errorf("the entries make %x, and the checkpoint says %x", root, point.root))
	}
	return c, nil
}

func (c *Checked) add(where string, err error) {
	if len(c.Problems) < maxProblems {
		p := seaworthy.NewProblem(where, err)
		if p.Code == seaworthy.Internal {
			p.Code = seaworthy.Mismatch
		}
		c.Problems = append(c.Problems, p)
	}
}

// tileCheck gathers the leaves of tiles and compares them with the log's own when they are full.
type tileCheck struct {
	r    Reader
	c    *Checked
	rows map[uint][]byte // by level of tiles: the leaves of the one being filled
	next [8]uint64       // by level of tiles: its index
	size uint64
}

func (t *tileCheck) node(ctx context.Context, id compact.NodeID, hash []byte) {
	if id.Level%layout.TileHeight != 0 {
		return
	}
	level := id.Level / layout.TileHeight
	t.rows[level] = append(t.rows[level], hash...)
	if len(t.rows[level]) == layout.TileWidth*sha256.Size {
		t.compare(ctx, level)
	}
}

func (t *tileCheck) rest(ctx context.Context) {
	for level, row := range t.rows {
		if len(row) > 0 {
			t.compare(ctx, level)
		}
	}
}

func (t *tileCheck) compare(ctx context.Context, level uint) {
	index, want := t.next[level], t.rows[level]
	t.next[level], t.rows[level] = index+1, nil
	got, err := t.r.ReadTile(ctx, uint64(level), index, layout.PartialTileSize(uint64(level), index, t.size))
	if err == nil && (len(got) < len(want) || !bytes.Equal(got[:len(want)], want)) {
		err = fmt.Errorf("it is not what the entries make")
	}
	if err != nil {
		t.c.add(fmt.Sprintf("tile %d of level %d", index, level), err)
	}
}

// readCheckpoint reads and verifies the published checkpoint.
func readCheckpoint(ctx context.Context, r Reader, origin string, v note.Verifier) (mark, []byte, error) {
	body, err := r.ReadCheckpoint(ctx)
	if err != nil {
		return mark{}, nil, seaworthy.Wrap(err, seaworthy.Unavailable, "reading the checkpoint of %q", origin)
	}
	m, err := parseCheckpoint(body, origin, v)
	return m, body, err
}

func parseCheckpoint(body []byte, origin string, v note.Verifier) (mark, error) {
	c, _, _, err := log.ParseCheckpoint(body, origin, v)
	if err != nil {
		return mark{}, seaworthy.Wrap(err, seaworthy.Mismatch, "reading the checkpoint of %q", origin)
	}
	if len(c.Hash) != sha256.Size {
		return mark{}, seaworthy.Errorf(seaworthy.Invalid, "reading the checkpoint of %q: its root has %d bytes", origin, len(c.Hash))
	}
	return mark{c.Size, [32]byte(c.Hash)}, nil
}
