package storetest

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

func TestPostgres(t *testing.T) {
	server := StartPostgres(t)
	Run(t, func(t testing.TB) graph.Store { return open(t, server.Database(t), graph.Options{}) })
}

func TestPostgresHistories(t *testing.T) {
	server := StartPostgres(t)
	checks := flag.Lookup("rapid.checks").Value.String()
	defer flag.Set("rapid.checks", checks)
	if err := flag.Set("rapid.checks", "5"); err != nil { // each is thousands of round trips
		t.Fatal(err)
	}
	Histories(t, func(t testing.TB) graph.Store { return open(t, server.Database(t), graph.Options{}) })
}

// Many put documents about the same subjects while PostgreSQL is ended and started again, again and again: nothing is
// lost, nothing is there twice, and it is the graph that one writer makes.
func TestPostgresRestarts(t *testing.T) {
	server := StartPostgres(t)
	const n, size, clients, restarts = 150, 40, 6, 3
	url := server.Database(t)
	s := open(t, url, graph.Options{Patience: 2 * time.Minute, Connections: 4})
	defer s.Close()
	m := graph.NewMemory()
	all := make([]graph.Entry, n)
	for i := range all {
		all[i] = document(i, size, source(1, i))
		all[i].Jobs = []graph.Job{{ID: fmt.Sprint("follows ", i), Kind: "match", Created: start}}
		if _, err := m.Put(t.Context(), all[i]); err != nil {
			t.Fatal(err)
		}
	}
	var wait sync.WaitGroup
	var done, added atomic.Int64
	halt := make(chan struct{}, restarts)
	for c := range clients {
		wait.Go(func() {
			for i, order := range source(3, c).Perm(n) {
				if i%2 == c%2 && order%clients != c {
					continue
				}
				ok, err := s.Put(context.WithoutCancel(t.Context()), all[order])
				if err != nil {
					t.Error(err)
					return
				}
				if ok {
					added.Add(1)
				}
				if done.Add(1)%40 == 20 {
					select {
					case halt <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		wait.Wait()
		close(ended)
	}()
	times := 0
	for running := true; running; {
		select {
		case <-halt:
			if times < restarts {
				times++
				if err := server.Restart(); err != nil {
					t.Error("restarting:", err)
				}
			}
		case <-ended:
			running = false
		}
	}
	if added.Load() != n || times == 0 {
		t.Errorf("%d of %d documents were added, with %d restarts", added.Load(), n, times)
	}
	same(t, m, s, size, n)
	sound(t, s)
	t.Logf("%d restarts", times)
}

// What stays away is an error in the end, and a held lock is waited for.
func TestPostgresAway(t *testing.T) {
	server := StartPostgres(t)
	url := server.Database(t)
	s := open(t, url, graph.Options{Patience: 100 * time.Millisecond, Connections: 1})
	defer s.Close()
	put(t, 5, 40, s)
	_, err := graph.Open(t.Context(), strings.Replace(url, "host=", "host=/nowhere", 1), graph.Options{Patience: 100 * time.Millisecond})
	if seaworthy.CodeOf(err) != seaworthy.Storage || seaworthy.HintOf(err) == "" {
		t.Errorf("no server: %v", err)
	}
	_, err = graph.Open(t.Context(), "postgres://user:hunter2@host:notaport/x", graph.Options{})
	if seaworthy.CodeOf(err) != seaworthy.Invalid || strings.Contains(fmt.Sprint(err, seaworthy.HintOf(err)), "hunter2") {
		t.Errorf("a URL that is none: %v", err)
	}
	var wait sync.WaitGroup
	for i := range 8 { // one connection is enough for all
		wait.Go(func() {
			if _, err := s.Put(t.Context(), document(10+i, 40, source(1, 10+i))); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	sound(t, s)
}

// A schema that a newer program has made is left alone.
func TestPostgresNewer(t *testing.T) {
	server := StartPostgres(t)
	url := server.Database(t)
	s := open(t, url, graph.Options{})
	defer s.Close()
	database := url[strings.LastIndex(url, "/test")+1 : strings.Index(url, "?")]
	server.Exec(t, database, "UPDATE graph_schema SET version = 99")
	if _, err := graph.Open(t.Context(), url, graph.Options{}); seaworthy.CodeOf(err) != seaworthy.Stale {
		t.Errorf("a newer schema: %v", err)
	}
	if _, err := s.Put(t.Context(), document(0, 8, source(1, 0))); seaworthy.CodeOf(err) != seaworthy.Stale {
		t.Errorf("a schema that became newer: %v", err)
	}
	readOnly := server.Database(t)
	if _, err := graph.Open(t.Context(), readOnly, graph.Options{ReadOnly: true}); err == nil {
		t.Error("an empty database is no graph")
	}
	open(t, readOnly, graph.Options{}).Close()
	r := open(t, readOnly, graph.Options{ReadOnly: true})
	defer r.Close()
	if _, err := r.Put(t.Context(), document(0, 8, source(1, 0))); seaworthy.CodeOf(err) != seaworthy.Forbidden {
		t.Errorf("reading only: %v", err)
	}
}

// A folder goes into a database and back.
func TestMoving(t *testing.T) {
	server := StartPostgres(t)
	const n, size = 30, 60
	folder, url, back := t.TempDir()+"/a", server.Database(t), t.TempDir()+"/b"
	s := open(t, folder, graph.Options{})
	m := graph.NewMemory()
	put(t, n, size, m, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, way := range [][2]string{{folder, url}, {url, back}} {
		if err := graph.Restore(t.Context(), way[0], way[1], graph.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, back, graph.Options{})
	defer s.Close()
	same(t, m, s, size, n)
}
