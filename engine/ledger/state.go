package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/tessera/api/layout"
	"golang.org/x/mod/sumdb/note"

	"github.com/seaworthy-dev/seaworthy"
)

// stored is what a log's folder says about itself.
type stored struct {
	tree       mark  // what is on the disk
	checkpoint *mark // what was published; nil when nothing was
}

// readState reads how far the tree in a folder has grown, and what was published. found is false for a new log.
func readState(ctx context.Context, path, origin string, v note.Verifier) (s stored, found bool, err error) {
	file := filepath.Join(path, ".state", "treeState")
	body, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(path, layout.CheckpointPath)); err == nil {
			return s, false, seaworthy.Errorf(seaworthy.Mismatch, "opening the log in %q: there is a checkpoint and no %q", path, file).
				WithHint("restore the whole folder")
		}
		return s, false, nil
	}
	var state struct {
		Size uint64 `json:"size"`
		Root []byte `json:"root"`
	}
	if err == nil {
		err = json.Unmarshal(body, &state)
	}
	if err == nil && len(state.Root) != len(s.tree.root) {
		err = errors.New("it has no root")
	}
	if err != nil {
		return s, false, seaworthy.Errorf(seaworthy.Invalid, "opening the log in %q: reading %q: %w", path, file, err).
			WithHint("restore the whole folder")
	}
	s.tree = mark{state.Size, [32]byte(state.Root)}
	if s.tree.size == 0 {
		s.tree.root = emptyRoot
	}
	body, err = Folder{Path: path}.ReadCheckpoint(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return s, true, nil
	} else if err != nil {
		return s, false, seaworthy.Wrap(err, seaworthy.Storage, "opening the log in %q", path)
	}
	c, _, _, err := log.ParseCheckpoint(body, origin, v)
	if err != nil {
		return s, false, seaworthy.Wrap(err, seaworthy.Mismatch, "opening the log in %q: its checkpoint is not of %q with our key", path, origin)
	}
	s.checkpoint = &mark{c.Size, [32]byte(c.Hash)}
	return s, true, nil
}

// agree checks that the tree on the disk is what its files say, and that it contains what was published and what
// was signed last. It looks at the right edge of the tree; Check looks at everything.
func agree(ctx context.Context, s stored, last *mark, n *nodes, r Reader, hash func([]byte) ([][]byte, error)) error {
	root, err := n.root(ctx, s.tree.size)
	if err != nil {
		return err
	}
	if [32]byte(root) != s.tree.root {
		return seaworthy.Errorf(seaworthy.Mismatch, "its tiles make another root than the one it had")
	}
	for _, earlier := range []*mark{s.checkpoint, last} {
		if earlier == nil {
			continue
		}
		if err := n.extends(ctx, *earlier, s.tree); err != nil {
			return err
		}
	}
	if s.tree.size == 0 {
		return nil
	}
	index := (s.tree.size - 1) / layout.EntryBundleWidth
	width := layout.PartialTileSize(0, index, s.tree.size)
	bundle, err := r.ReadEntryBundle(ctx, index, width)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "reading its newest entries")
	}
	leaves, err := hash(bundle)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Mismatch, "reading its newest entries")
	}
	t, err := n.tile(ctx, tileID{0, index}, int((s.tree.size-1)%layout.TileWidth)+1)
	if err != nil {
		return err
	}
	for i := range int((s.tree.size-1)%layout.TileWidth) + 1 {
		if i >= len(leaves) || !bytes.Equal(leaves[i], t.rows[0][i][:]) {
			return seaworthy.Errorf(seaworthy.Mismatch, "entry %d is not the one its tile names", index*layout.TileWidth+uint64(i))
		}
	}
	return nil
}
