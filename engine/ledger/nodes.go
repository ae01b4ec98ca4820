package ledger

import (
	"context"
	"crypto/sha256"
	"sync"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"

	"github.com/seaworthy-dev/seaworthy"
)

// maxTiles is how many tiles are kept in memory: 1024 of 16 KiB are 16 MiB.
const maxTiles = 1024

var ranges = compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

// nodes gives the nodes of a tree from its tiles. All proofs for a checkpoint share the tiles it reads, and all
// checkpoints share the full ones, which never change.
type nodes struct {
	read Reader

	mu    sync.Mutex
	tiles map[tileID]*tile
}

type tileID struct{ level, index uint64 }

// tile is a tile with the nodes inside it: rows[0] are its leaves, rows[h] the roots of 2^h of them.
type tile struct {
	rows [layout.TileHeight + 1][][sha256.Size]byte
}

func newNodes(r Reader) *nodes { return &nodes{read: r, tiles: make(map[tileID]*tile)} }

// tile returns a tile that has at least the given number of leaves.
func (n *nodes) tile(ctx context.Context, id tileID, width int) (*tile, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if t := n.tiles[id]; t != nil && len(t.rows[0]) >= width {
		return t, nil
	}
	body, err := n.read.ReadTile(ctx, id.level, id.index, uint8(width%layout.TileWidth))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading tile %d of level %d", id.index, id.level)
	}
	if len(body)%sha256.Size != 0 || len(body) < width*sha256.Size || len(body) > layout.TileWidth*sha256.Size {
		return nil, seaworthy.Errorf(seaworthy.Mismatch, "reading tile %d of level %d: it has %d bytes, not %d", id.index, id.level, len(body), width*sha256.Size)
	}
	t := new(tile)
	for ; len(body) > 0; body = body[sha256.Size:] {
		t.rows[0] = append(t.rows[0], [sha256.Size]byte(body))
	}
	for h := 1; h < len(t.rows); h++ {
		below := t.rows[h-1]
		t.rows[h] = make([][sha256.Size]byte, len(below)/2)
		for i := range t.rows[h] {
			t.rows[h][i] = [sha256.Size]byte(rfc6962.DefaultHasher.HashChildren(below[2*i][:], below[2*i+1][:]))
		}
	}
	if len(n.tiles) >= maxTiles {
		for old := range n.tiles { // any: it is read again when it is needed
			delete(n.tiles, old)
			break
		}
	}
	n.tiles[id] = t
	return t, nil
}

// forget drops what is in memory, so that the next look is at the disk.
func (n *nodes) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.tiles)
}

// hashes returns nodes of the tree with size leaves; each must be the root of a complete subtree.
func (n *nodes) hashes(ctx context.Context, ids []compact.NodeID, size uint64) ([][]byte, error) {
	all := make([][]byte, 0, len(ids))
	for _, id := range ids {
		level, index, row, at := layout.NodeCoordsToTileAddress(uint64(id.Level), id.Index)
		width := int(layout.PartialTileSize(level, index, size))
		if width == 0 {
			width = layout.TileWidth
		}
		t, err := n.tile(ctx, tileID{level, index}, width)
		if err != nil {
			return nil, err
		}
		if at >= uint64(len(t.rows[row])) {
			return nil, seaworthy.Errorf(seaworthy.Internal, "reading node %d of level %d: not in a tree of %d", id.Index, id.Level, size)
		}
		all = append(all, t.rows[row][at][:])
	}
	return all, nil
}

// root computes the root of the tree with size leaves.
func (n *nodes) root(ctx context.Context, size uint64) ([]byte, error) {
	if size == 0 {
		return rfc6962.DefaultHasher.EmptyRoot(), nil
	}
	hashes, err := n.hashes(ctx, compact.RangeNodes(0, size, nil), size)
	if err != nil {
		return nil, err
	}
	r, err := ranges.NewRange(0, size, hashes)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "computing the root of %d entries", size)
	}
	root, err := r.GetRootHash(nil)
	return root, seaworthy.Wrap(err, seaworthy.Internal, "computing the root of %d entries", size)
}

// inclusion proves that a leaf is in the tree with size leaves (RFC 6962, 2.1.1).
func (n *nodes) inclusion(ctx context.Context, index, size uint64) ([][]byte, error) {
	need, err := proof.Inclusion(index, size)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Usage, "proving entry %d in a log of %d", index, size)
	}
	return n.assemble(ctx, need, size)
}

// consistency proves that the tree with older leaves is the beginning of the one with newer (RFC 6962, 2.1.2).
func (n *nodes) consistency(ctx context.Context, older, newer uint64) ([][]byte, error) {
	need, err := proof.Consistency(older, newer)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Usage, "proving that a log of %d entries begins one of %d", older, newer)
	}
	return n.assemble(ctx, need, newer)
}

func (n *nodes) assemble(ctx context.Context, need proof.Nodes, size uint64) ([][]byte, error) {
	hashes, err := n.hashes(ctx, need.IDs, size)
	if err != nil {
		return nil, err
	}
	hashes, err = need.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
	return hashes, seaworthy.Wrap(err, seaworthy.Internal, "assembling a proof")
}

// extends checks that the tree of mark a is the beginning of the tree of mark b.
func (n *nodes) extends(ctx context.Context, a, b mark) error {
	switch {
	case a.size > b.size:
		return seaworthy.Errorf(seaworthy.Mismatch, "it has %d entries, fewer than the %d it had", b.size, a.size)
	case a.size == b.size:
		if a.root != b.root {
			return seaworthy.Errorf(seaworthy.Mismatch, "its %d entries are not the %d it had", b.size, a.size)
		}
		return nil
	case a.size == 0:
		return nil // every tree begins with the empty one
	}
	steps, err := n.consistency(ctx, a.size, b.size)
	if err != nil {
		return err
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, a.size, b.size, steps, a.root[:], b.root[:]); err != nil {
		return seaworthy.Errorf(seaworthy.Mismatch, "its first %d entries are not those it had: %w", a.size, err)
	}
	return nil
}
