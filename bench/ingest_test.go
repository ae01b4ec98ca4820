package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/seaworthy-dev/seaworthy/engine/ingest"
	"github.com/seaworthy-dev/seaworthy/store/graph"
	"github.com/seaworthy-dev/seaworthy/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// corpus is the folder that the corpus command made.
func corpus(b *testing.B) string {
	b.Helper()
	dir := os.Getenv("SEAWORTHY_CORPUS")
	if dir == "" {
		b.Skip("SEAWORTHY_CORPUS names no folder; go run ./bench/corpus DIR makes one")
	}
	return dir
}

// BenchmarkIngest takes a folder of real documents into an empty graph of each engine, durably.
func BenchmarkIngest(b *testing.B) {
	for name, where := range map[string]func() string{
		"pebble":   func() string { return filepath.Join(b.TempDir(), "graph") },
		"postgres": func() string { return storetest.StartDurablePostgres(b).Database(b) },
	} {
		b.Run(name, func(b *testing.B) {
			dir, documents := corpus(b), 0
			for b.Loop() {
				b.StopTimer()
				s, err := graph.Open(context.Background(), where(), graph.Options{})
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				sum, err := ingest.New(s, ingest.Options{}).Paths(context.Background(), []string{dir}, nil)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				documents += sum.Added
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(documents)/b.Elapsed().Seconds(), "documents/s")
		})
	}
}

// BenchmarkIngestAgain takes the same folder into a graph that has it.
func BenchmarkIngestAgain(b *testing.B) {
	dir := corpus(b)
	s, err := graph.Open(context.Background(), filepath.Join(b.TempDir(), "graph"), graph.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	in := ingest.New(s, ingest.Options{})
	if _, err := in.Paths(context.Background(), []string{dir}, nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		sum, err := in.Paths(context.Background(), []string{dir}, nil)
		if err != nil || sum.Added != 0 {
			b.Fatal(sum.Added, err)
		}
	}
}
