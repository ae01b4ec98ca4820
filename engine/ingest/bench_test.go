package ingest_test

import (
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy/engine/ingest"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// BenchmarkSeed ingests the five documents that are shared beside the repository into an empty store in memory, one
// after another: what reading and saying costs, without a disk.
func BenchmarkSeed(b *testing.B) {
	var bodies [][]byte
	size := int64(0)
	for _, pattern := range []string{"seed-example/*.json", "sbom/*.json"} {
		for _, f := range shareds(b, pattern) {
			bodies = append(bodies, mustRead(b, f))
			size += int64(len(bodies[len(bodies)-1]))
		}
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		store := graph.NewMemory()
		in := ingest.New(store, ingest.Options{Now: func() time.Time { return noon }})
		for _, body := range bodies {
			mustBytes(b, in, "x", body)
		}
		store.Close()
	}
	b.ReportMetric(float64(len(bodies)*b.N)/b.Elapsed().Seconds(), "documents/s")
}
