package storetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// benchmarked is how many statements a benchmark has before it starts: STATEMENTS, or a small graph.
func benchmarked(b *testing.B) int {
	n, err := strconv.Atoi(os.Getenv("STATEMENTS"))
	if err != nil {
		return 200_000
	}
	return n
}

// filled opens a folder with statements: that of GRAPH, which stays and is filled once, or a new one.
func filled(b *testing.B, n int) graph.Store {
	dir := os.Getenv("GRAPH")
	if dir == "" {
		dir = filepath.Join(b.TempDir(), "graph")
	}
	s, err := graph.Open(b.Context(), dir, graph.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	if stats, err := s.Stats(b.Context()); err != nil || stats.Documents > 0 {
		return s
	}
	began := time.Now()
	documents, bytes := fill(b, s, n)
	took := time.Since(began)
	stats, err := s.Stats(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("filled with %+v in %s: %.0f documents/s, %d MB of documents, RSS at most %s", stats, took, float64(documents)/took.Seconds(), bytes>>20, peak())
	return s
}

// fill puts generated documents, two writers at a time.
func fill(b *testing.B, s graph.Store, n int) (documents, bytes int) {
	entries := make(chan graph.Entry)
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for e := range entries {
				if _, err := s.Put(b.Context(), e); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for e := range Generate(n, 1) {
		documents++
		bytes += len(e.Body)
		entries <- e
	}
	close(entries)
	wait.Wait()
	return documents, bytes
}

// peak is the most memory this process has had.
func peak() string {
	status, _ := os.ReadFile("/proc/self/status")
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(line)
}

// BenchmarkPut puts bills of 4,000 statements, durably, one after the other.
func BenchmarkPut(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "graph"), graph.Options{})
	defer s.Close()
	putBills(b, s)
}

// BenchmarkPutPostgres does the same in a database that does not wait for its disk.
func BenchmarkPutPostgres(b *testing.B) {
	s := open(b, StartPostgres(b).Database(b), graph.Options{})
	defer s.Close()
	putBills(b, s)
}

func putBills(b *testing.B, s graph.Store) {
	statements, bytes := 0, 0
	n := 0
	b.ResetTimer()
	for e := range Generate(1<<40, 2) {
		if e.Document.Kind != seaworthy.BillDocument {
			continue
		}
		if n == b.N {
			break
		}
		n++
		statements += len(e.Statements)
		bytes += len(e.Body)
		if _, err := s.Put(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "documents/s")
	b.ReportMetric(float64(statements)/b.Elapsed().Seconds(), "statements/s")
	b.ReportMetric(float64(bytes)/b.Elapsed().Seconds()/1e6, "MB/s")
}

// BenchmarkFrontier asks for what images contain and depend on, without their files, and then for what affects that.
func BenchmarkFrontier(b *testing.B) {
	s := filled(b, benchmarked(b))
	images := imagesOf(b, s)
	b.ResetTimer()
	n := 0
	for i := range b.N {
		out := pages(b, s, graph.Query{From: []graph.ID{images[i*7919%len(images)]}, Predicates: []seaworthy.Predicate{seaworthy.SaysContains, seaworthy.SaysDepends}})
		var ids []graph.ID
		for _, e := range out {
			ids = append(ids, e.To)
		}
		n += len(pages(b, s, graph.Query{From: ids, Back: true, Predicates: []seaworthy.Predicate{seaworthy.SaysAffects}}))
	}
	b.ReportMetric(float64(n)/float64(b.N), "findings")
}

// BenchmarkNeighbourhood asks for all that is said of and by an image but its files, and for the names of it all.
func BenchmarkNeighbourhood(b *testing.B) {
	s := filled(b, benchmarked(b))
	images := imagesOf(b, s)
	var but []seaworthy.Predicate
	for _, p := range seaworthy.Predicates() {
		if p != seaworthy.SaysHasFile {
			but = append(but, p)
		}
	}
	b.ResetTimer()
	n := 0
	for i := range b.N {
		image := []graph.ID{images[i*7919%len(images)]}
		edges := append(pages(b, s, graph.Query{From: image, Predicates: but}), pages(b, s, graph.Query{From: image, Predicates: but, Back: true})...)
		var ids []graph.ID
		for _, e := range edges {
			ids = append(ids, e.To)
		}
		subjects, err := s.Subjects(b.Context(), ids)
		if err != nil {
			b.Fatal(err)
		}
		n += len(subjects)
	}
	b.ReportMetric(float64(n)/float64(b.N), "neighbours")
}

// BenchmarkFind looks for names, digests and words.
func BenchmarkFind(b *testing.B) {
	s := filled(b, benchmarked(b))
	image := GeneratedImage(3, 1).Key
	for _, text := range []string{"lib", "libc", "pkg:deb/debian/python3", image, image[7:13], "registry.example/team3", "CVE-2026-1", "a"} {
		b.Run(fmt.Sprintf("%.25s", strings.ReplaceAll(text, "/", "_")), func(b *testing.B) {
			for range b.N {
				if _, err := s.Find(b.Context(), graph.Search{Text: text}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTop asks for the most used packages.
func BenchmarkTop(b *testing.B) {
	s := filled(b, benchmarked(b))
	for range b.N {
		if top, err := s.Top(b.Context(), seaworthy.SaysContains, []seaworthy.SubjectKind{seaworthy.PackageSubject}, 20); err != nil || len(top) != 20 {
			b.Fatal(top, err)
		}
	}
}

func imagesOf(b *testing.B, s graph.Store) []graph.ID {
	var images []graph.ID
	for n := 0; ; n++ {
		id := GeneratedImage(n, 1).ID()
		if n%200 == 0 {
			if found, err := s.Subjects(b.Context(), []graph.ID{id}); err != nil || found[0].Kind == "" {
				if n == 0 {
					b.Fatal("no image", err)
				}
				break
			}
		}
		images = append(images, id)
	}
	return images[:max(1, len(images)-200)]
}
