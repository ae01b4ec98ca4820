package storetest

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// Histories has rapid make up what is done to a store, and does the same to Memory. open gives an empty store.
func Histories(t *testing.T, open func(t testing.TB) graph.Store) {
	const size, documents = 24, 8
	rapid.Check(t, func(rt *rapid.T) {
		m, s := graph.NewMemory(), open(t)
		defer s.Close()
		now := start
		both := func(do func(graph.Store) (any, error)) {
			rt.Helper()
			want, wantErr := do(m)
			got, err := do(s)
			if seaworthy.CodeOf(err) != seaworthy.CodeOf(wantErr) || want != got {
				rt.Fatalf("%v, %v; Memory: %v, %v", got, err, want, wantErr)
			}
		}
		entry := rapid.Custom(func(rt *rapid.T) graph.Entry {
			e := document(rapid.IntRange(0, documents-1).Draw(rt, "document"), size, source(rapid.IntRange(0, 50).Draw(rt, "content"), 0))
			if rapid.IntRange(0, 4).Draw(rt, "finishes") == 0 {
				e.Finishes = "job 1"
			}
			return e
		})
		job := rapid.SampledFrom([]string{"job 0", "job 1", "job 2", "job 3", "job 4"})
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				e := entry.Draw(rt, "entry")
				both(func(s graph.Store) (any, error) { return first(s.Put(t.Context(), e)) })
			},
			"replace": func(rt *rapid.T) {
				e := entry.Draw(rt, "entry")
				both(func(s graph.Store) (any, error) { return nil, s.Replace(t.Context(), e) })
			},
			"delete": func(rt *rapid.T) {
				id := graph.DocumentID(entry.Draw(rt, "entry").Document.Digest)
				both(func(s graph.Store) (any, error) { return nil, s.Delete(t.Context(), id) })
			},
			"take": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(rt, "seconds")) * time.Second)
				both(func(s graph.Store) (any, error) {
					j, ok, err := s.TakeJob(t.Context(), nil, now, time.Minute)
					return j.ID + map[bool]string{true: " taken"}[ok], err
				})
			},
			"fail": func(rt *rapid.T) {
				id, again := job.Draw(rt, "job"), time.Time{}
				if rapid.Bool().Draw(rt, "again") {
					again = now.Add(time.Second)
				}
				both(func(s graph.Store) (any, error) { return nil, s.FailJob(t.Context(), id, "why", again) })
			},
			"retry": func(rt *rapid.T) {
				id := job.Draw(rt, "job")
				both(func(s graph.Store) (any, error) { return nil, s.RetryJob(t.Context(), id, now) })
			},
			"finish": func(rt *rapid.T) {
				id := job.Draw(rt, "job")
				both(func(s graph.Store) (any, error) { return nil, s.FinishJob(t.Context(), id) })
			},
		})
		same(t, m, s, size, documents)
		sound(t, s)
	})
}

func first(ok bool, err error) (any, error) { return ok, err }
