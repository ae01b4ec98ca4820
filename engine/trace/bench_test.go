package trace

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/seaworthy-dev/seaworthy/store/graph"
	"github.com/seaworthy-dev/seaworthy/store/storetest"
)

const (
	// benchStatements is how large the generated graph is when SEAWORTHY_BENCH_STATEMENTS does not say.
	benchStatements = 222_000
	benchSeed       = 1
)

// benchGraph is a generated graph in a folder. SEAWORTHY_BENCH_GRAPH names one to keep between runs.
func benchGraph(b *testing.B) graph.Store {
	b.Helper()
	n := benchStatements
	if text := os.Getenv("SEAWORTHY_BENCH_STATEMENTS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	where := os.Getenv("SEAWORTHY_BENCH_GRAPH")
	made := false
	if where == "" {
		where = filepath.Join(b.TempDir(), "graph")
	} else {
		where = fmt.Sprintf("%s-%d", where, n)
		_, err := os.Stat(where)
		made = err == nil
	}
	s, err := graph.Open(b.Context(), where, graph.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	if !made {
		for e := range storetest.Generate(n, benchSeed) {
			if _, err := s.Put(b.Context(), e); err != nil {
				b.Fatal(err)
			}
		}
	}
	return s
}

// Every question of the page, on a graph in a folder. The subjects are ones that all images share, so that the worst
// is measured, and an image.
func BenchmarkQuestions(b *testing.B) {
	s := benchGraph(b)
	image := storetest.GeneratedImage(3, benchSeed).Key
	other := storetest.GeneratedImage(4, benchSeed).Key
	list, err := s.Find(b.Context(), graph.Search{Text: "lib-lib0@", Limit: 1})
	if err != nil || len(list) == 0 {
		b.Fatal(list, err)
	}
	shared := list[0].Subject.Key
	vulns, err := s.Find(b.Context(), graph.Search{Text: "CVE-2026-", Limit: 1})
	if err != nil || len(vulns) == 0 {
		b.Fatal(vulns, err)
	}
	vuln := vulns[0].Subject.Key
	for _, q := range []Question{
		{Verb: "known", Subject: image},
		{Verb: "known", Subject: "MIT"},
		{Verb: "vulns", Subject: image},
		{Verb: "path", Subject: image, To: vuln},
		{Verb: "path", Subject: image, To: "MIT"},
		{Verb: "dependents", Subject: shared},
		{Verb: "impact", Subject: vuln},
		{Verb: "patch", Subject: shared},
		{Verb: "licences", Subject: image},
		{Verb: "provenance", Subject: image},
		{Verb: "missing"},
		{Verb: "diff", Subject: image, To: other},
		{Verb: "top"},
		{Verb: "find", Subject: "lib"},
		{Verb: "artifact", Subject: image},
		{Verb: "neighbourhood", Subject: image},
		{Verb: "neighbourhood", Subject: shared},
		{Verb: "neighbourhood", Subject: "MIT"},
		{Verb: "package", Subject: shared},
		{Verb: "vuln", Subject: vuln},
		{Verb: "bills"},
	} {
		name := q.Verb
		switch q.Subject {
		case shared:
			name += "/shared"
		case "MIT":
			name += "/licence"
		}
		if q.To == "MIT" {
			name += "/licence"
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				ask(b, s, q)
			}
		})
	}
}
