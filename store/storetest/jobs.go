package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

func jobs(t *testing.T, s graph.Store) {
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	must(s.AddJobs(ctx,
		graph.Job{ID: "scheduled", Kind: "match", Urgency: graph.ScheduledWork, Created: at(0), Due: at(0)},
		graph.Job{ID: "event", Kind: "ingest", Urgency: graph.EventWork, Created: at(0), Due: at(2)},
		graph.Job{ID: "user", Kind: "image", Urgency: graph.UserWork, Payload: []byte{0, 1, 255}, Title: "an image", Created: at(0), Due: at(0)},
		graph.Job{ID: "user 2", Kind: "image", Urgency: graph.UserWork, Created: at(0), Due: at(10)},
		graph.Job{ID: "low", Kind: "match", Urgency: -5, Created: at(0)},
		graph.Job{ID: "user", Kind: "ingest"}, // is there already
	))
	take := func(want string, kinds []string, minutes int) graph.Job {
		t.Helper()
		j, ok, err := s.TakeJob(ctx, kinds, at(minutes), time.Minute)
		must(err)
		if ok != (want != "") || j.ID != want {
			t.Fatalf("took %q (%t), want %q", j.ID, ok, want)
		}
		return j
	}
	got := take("user", nil, 0)
	want := graph.Job{ID: "user", Kind: "image", Urgency: graph.UserWork, Payload: []byte{0, 1, 255}, Title: "an image", Created: at(0), Due: at(1), Tries: 1, State: graph.JobRunning}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	take("scheduled", nil, 0)
	take("low", nil, 0)
	take("", nil, 0)
	take("event", []string{"ingest", "other"}, 2)
	take("", []string{"other"}, 5)
	take("", []string{}, 5)
	if j := take("user", nil, 2); j.Tries != 2 { // whoever had it is gone
		t.Error(j)
	}
	must(s.FailJob(ctx, "user", "the registry is away", at(30)))
	take("scheduled", []string{"match"}, 3)
	must(s.FailJob(ctx, "scheduled", "it is not JSON", time.Time{}))
	take("user 2", nil, 40) // it is as urgent as "user", and due longer
	must(s.FinishJob(ctx, "user 2"))
	must(s.RetryJob(ctx, "low", at(40)))
	listed, err := s.Jobs(ctx, 0)
	must(err)
	wantList := []graph.Job{
		{ID: "scheduled", Kind: "match", Created: at(0), Tries: 2, State: graph.JobParked, LastFail: "it is not JSON"},
		{ID: "user", Kind: "image", Urgency: graph.UserWork, Payload: []byte{0, 1, 255}, Title: "an image", Created: at(0), Due: at(30), Tries: 2, State: graph.JobWaiting, LastFail: "the registry is away"},
		{ID: "event", Kind: "ingest", Urgency: graph.EventWork, Created: at(0), Due: at(3), Tries: 1, State: graph.JobRunning},
		{ID: "low", Kind: "match", Urgency: -5, Created: at(0), Due: at(40), Tries: 1, State: graph.JobWaiting},
	}
	if diff := cmp.Diff(wantList, listed, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if some, err := s.Jobs(ctx, 2); err != nil || len(some) != 2 || some[0].ID != "scheduled" {
		t.Error(some, err)
	}
	if err := s.RetryJob(ctx, "event", at(2)); seaworthy.CodeOf(err) != seaworthy.Conflict {
		t.Errorf("trying again what is being worked on: %v", err)
	}
	must(s.RetryJob(ctx, "scheduled", at(41)))
	take("scheduled", []string{"match"}, 41)

	e := document(0, 8, source(1, 0))
	e.Finishes, e.Jobs = "scheduled", []graph.Job{{ID: "follows", Kind: "match"}, {ID: "follows", Kind: "match", Title: "twice"}}
	added, err := s.Put(ctx, e)
	must(err)
	e.Finishes, e.Jobs = "low", []graph.Job{{ID: "not again", Kind: "match"}}
	again, err := s.Put(ctx, e)
	must(err)
	e.Finishes, e.Jobs = "user", []graph.Job{{ID: "of a replacement", Kind: "match"}}
	must(s.Replace(ctx, e))
	listed, err = s.Jobs(ctx, 0)
	must(err)
	var ids []string
	for _, j := range listed {
		ids = append(ids, j.ID)
	}
	if diff := cmp.Diff([]string{"event", "follows", "of a replacement"}, ids); diff != "" || !added || again {
		t.Error(added, again, diff)
	}
	if stats, err := s.Stats(ctx); err != nil || stats.Jobs != 3 {
		t.Error(stats, err)
	}
	sound(t, s)
	eachOnce(t, s)
}

// eachOnce has many workers take many jobs: nobody gets what another has.
func eachOnce(t *testing.T, s graph.Store) {
	const n, workers = 60, 6
	for i := range n {
		if err := s.AddJobs(t.Context(), graph.Job{ID: fmt.Sprint("many ", i), Kind: "many", Urgency: i % 3}); err != nil {
			t.Fatal(err)
		}
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	taken := map[string]int{}
	for range workers {
		wait.Go(func() {
			for {
				j, ok, err := s.TakeJob(t.Context(), []string{"many"}, start, time.Hour)
				if err != nil {
					t.Error(err)
				}
				if err != nil || !ok {
					return
				}
				mu.Lock()
				taken[j.ID]++
				mu.Unlock()
				if err := s.FinishJob(t.Context(), j.ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	if len(taken) != n {
		t.Errorf("%d of %d jobs were taken", len(taken), n)
	}
	for id, times := range taken {
		if times != 1 {
			t.Errorf("%s was taken %d times", id, times)
		}
	}
}
