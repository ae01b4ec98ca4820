package storetest

import (
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seaworthy-dev/seaworthy/store/graph"
)

func open(t testing.TB, where string, o graph.Options) graph.Store {
	t.Helper()
	s, err := graph.Open(t.Context(), where, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMemory(t *testing.T) {
	Run(t, func(testing.TB) graph.Store { return graph.NewMemory() })
}

func TestFolder(t *testing.T) {
	Run(t, func(t testing.TB) graph.Store {
		return open(t, filepath.Join(t.TempDir(), "graph"), graph.Options{})
	})
}

func TestFolderHistories(t *testing.T) {
	Histories(t, func(t testing.TB) graph.Store {
		return open(t, "graph", graph.Options{Files: vfs.NewMem(), Cache: 1 << 20})
	})
}
