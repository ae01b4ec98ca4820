package ledger

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/transparency-dev/tessera/api/layout"
)

// Reader reads the resources of a log as C2SP tlog-tiles lays them out. A tile or bundle that does not exist is an
// error for which errors.Is says fs.ErrNotExist; when a partial one does not exist, the full one is given.
type Reader interface {
	ReadCheckpoint(ctx context.Context) ([]byte, error)
	ReadTile(ctx context.Context, level, index uint64, partial uint8) ([]byte, error)
	ReadEntryBundle(ctx context.Context, index uint64, partial uint8) ([]byte, error)
}

// Folder reads the log in a folder.
type Folder struct {
	Path string
	// Certificates says that it is a log of certificates, whose bundles C2SP static-ct-api puts elsewhere.
	Certificates bool
}

// ReadCheckpoint implements Reader.
func (f Folder) ReadCheckpoint(context.Context) ([]byte, error) {
	return os.ReadFile(filepath.Join(f.Path, layout.CheckpointPath))
}

// ReadTile implements Reader.
func (f Folder) ReadTile(_ context.Context, level, index uint64, partial uint8) ([]byte, error) {
	return f.partialOrFull(partial, func(p uint8) string { return layout.TilePath(level, index, p) })
}

// ReadEntryBundle implements Reader.
func (f Folder) ReadEntryBundle(_ context.Context, index uint64, partial uint8) ([]byte, error) {
	return f.partialOrFull(partial, func(p uint8) string {
		if f.Certificates {
			return "tile/data/" + layout.NWithSuffix(0, index, p)
		}
		return layout.EntriesPath(index, p)
	})
}

func (f Folder) partialOrFull(partial uint8, path func(uint8) string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(f.Path, filepath.FromSlash(path(partial))))
	if partial != 0 && errors.Is(err, fs.ErrNotExist) {
		return os.ReadFile(filepath.Join(f.Path, filepath.FromSlash(path(0))))
	}
	return b, err
}
