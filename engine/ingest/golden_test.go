package ingest_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ingest"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

var update = flag.Bool("update", false, "write the golden files")

// Each document in testdata/documents has what it says beside it.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/documents/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %v, %v", files, err)
	}
	in, _ := newIngester(t, ingest.Options{})
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			e, err := in.Reparse(seaworthy.Document{Origin: "test", Ingested: noon}, body)
			if err != nil {
				t.Fatal(err)
			}
			store := graph.NewMemory()
			defer store.Close()
			if _, err := store.Put(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			got := written(e)
			golden := strings.TrimSuffix(file, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// written is an entry as text. The document itself is written THIS.
func written(e graph.Entry) string {
	var lines []string
	line := func(format string, args ...any) {
		lines = append(lines, strings.ReplaceAll(fmt.Sprintf(format, args...), string(e.Document.Digest), "THIS"))
	}
	for _, s := range e.Statements {
		line("%s -%s-> %s%s", subject(s.Subject), s.Predicate, subject(s.Object), attrs(s.Attrs))
	}
	for _, n := range e.Names {
		line("%s is found by %q", subject(n.Subject), n.Text)
	}
	slices.Sort(lines)
	lines = slices.Compact(lines)
	d := e.Document
	head := fmt.Sprintf("%s, %s, %q, %s %s\n", d.Kind, d.Format, d.Name, d.Verification.State, strings.Join(d.Verification.Signers, " "))
	for _, p := range d.Problems {
		head += fmt.Sprintf("problem: %s: %s: %s\n", p.Where, p.Code, p.Detail)
	}
	return head + "\n" + strings.Join(lines, "\n") + "\n"
}

func attrs(list []seaworthy.Property) string {
	var b strings.Builder
	for _, a := range list {
		fmt.Fprintf(&b, " %s=%q", a.Name, a.Value)
	}
	return b.String()
}
