package trace

import (
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy/store/graph"
	"github.com/seaworthy-dev/seaworthy/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// PostgreSQL gives the same answers as the other engines.
func TestAnswersOfPostgres(t *testing.T) {
	s, err := graph.Open(t.Context(), storetest.StartPostgres(t).Database(t), graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	entries := worldEntries(t)
	slices.Reverse(entries)
	for _, e := range entries {
		if _, err := s.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	m := world(t)
	for name, q := range questions {
		if diff := cmp.Diff(ask(t, m, q), ask(t, s, q)); diff != "" {
			t.Errorf("%s: (-memory +postgres)\n%s", name, diff)
		}
	}
}
