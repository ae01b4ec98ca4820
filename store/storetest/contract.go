package storetest

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// put puts the first documents of a world into stores, and gives them back.
func put(t testing.TB, n, size int, stores ...graph.Store) []graph.Entry {
	t.Helper()
	entries := make([]graph.Entry, n)
	for i := range entries {
		entries[i] = document(i, size, source(1, i))
		for _, s := range stores {
			if added, err := s.Put(t.Context(), entries[i]); err != nil || !added {
				t.Fatalf("document %d: %t, %v", i, added, err)
			}
		}
	}
	return entries
}

func entries(t *testing.T, s graph.Store) {
	const n, size = 60, 80
	m := graph.NewMemory()
	all := put(t, n, size, m, s)
	same(t, m, s, size, n)
	sound(t, s)

	for _, e := range all[:10] { // once more is free, and changes nothing
		e.Document.Origin, e.Jobs = "elsewhere", []graph.Job{{ID: "another", Kind: "match"}}
		if added, err := s.Put(t.Context(), e); added || err != nil {
			t.Errorf("twice: %t, %v", added, err)
		}
	}
	same(t, m, s, size, n)

	ids := []graph.ID{}
	for i := range size {
		ids = append(ids, subject(i).ID(), subject(i).ID())
	}
	for _, back := range []bool{false, true} {
		for _, predicates := range [][]seaworthy.Predicate{nil, {seaworthy.SaysDepends}, {seaworthy.SaysRuns, seaworthy.SaysContains, seaworthy.SaysHasFile, seaworthy.SaysContains}, {}} {
			want := pages(t, m, graph.Query{From: ids, Back: back, Predicates: predicates})
			for limit := 1; limit <= len(want)+1; limit += 1 + limit*limit/9 {
				got := pages(t, s, graph.Query{From: ids, Back: back, Predicates: predicates, Limit: limit})
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("back %t, %v, %d on a page:\n%s", back, predicates, limit, diff)
				}
			}
		}
	}

	for i, e := range all {
		switch i % 3 {
		case 0:
			for _, x := range []graph.Store{m, s} {
				if err := x.Delete(t.Context(), graph.DocumentID(e.Document.Digest)); err != nil {
					t.Fatal(err)
				}
			}
		case 1:
			other := document(i, size, source(2, i))
			other.Document.Verification.State = seaworthy.UnverifiableState
			if i%2 == 0 {
				other.Body = nil
			}
			for _, x := range []graph.Store{m, s} {
				if err := x.Replace(t.Context(), other); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	same(t, m, s, size, n)
	sound(t, s)
	for i := range all { // nothing is left of what nobody speaks of
		for _, x := range []graph.Store{m, s} {
			if err := x.Delete(t.Context(), graph.DocumentID(all[i].Document.Digest)); err != nil && i%3 != 0 {
				t.Fatal(err)
			}
		}
	}
	same(t, m, s, size, n)
	sound(t, s)
	if stats, err := s.Stats(t.Context()); err != nil || stats.Subjects+stats.Documents+stats.Statements != 0 {
		t.Errorf("left: %+v, %v", stats, err)
	}
	put(t, 1, size, s) // what was deleted can come again
}

func refusals(t *testing.T, s graph.Store) {
	ctx := t.Context()
	good := document(0, 8, source(1, 0))
	if _, err := s.Put(ctx, good); err != nil {
		t.Fatal(err)
	}
	code := func(what string, want seaworthy.Code, err error) {
		t.Helper()
		if got := seaworthy.CodeOf(err); got != want {
			t.Errorf("%s: %q, want %q: %v", what, got, want, err)
		}
	}
	bad := func(change func(*graph.Entry)) error {
		e := document(1, 8, source(1, 1))
		change(&e)
		added, err := s.Put(ctx, e)
		if added {
			t.Error("it was added")
		}
		return err
	}
	statement := func(x seaworthy.Statement) func(*graph.Entry) {
		return func(e *graph.Entry) { e.Statements = append(e.Statements, x) }
	}
	a, b := subject(0), subject(1)
	code("other bytes", seaworthy.Mismatch, bad(func(e *graph.Entry) { e.Body = []byte("other") }))
	code("no such predicate", seaworthy.Invalid, bad(statement(seaworthy.Statement{Subject: a, Predicate: "loves", Object: b})))
	code("no such kind", seaworthy.Invalid, bad(statement(seaworthy.Statement{Subject: a, Predicate: seaworthy.SaysSame, Object: seaworthy.Subject{Kind: "cat", Key: "x"}})))
	code("no key", seaworthy.Invalid, bad(statement(seaworthy.Statement{Subject: a, Predicate: seaworthy.SaysSame, Object: seaworthy.Subject{Kind: seaworthy.VulnSubject}})))
	code("a long key", seaworthy.Invalid, bad(statement(seaworthy.Statement{Subject: a, Predicate: seaworthy.SaysSame, Object: seaworthy.Subject{Kind: seaworthy.VulnSubject, Key: string(make([]byte, graph.MaxKey+1))}})))
	code("long attributes", seaworthy.TooLarge, bad(statement(seaworthy.Statement{Subject: a, Predicate: seaworthy.SaysSame, Object: b, Attrs: []seaworthy.Property{{Name: "x", Value: string(make([]byte, graph.MaxAttrs+1))}}})))
	code("an empty name", seaworthy.Invalid, bad(func(e *graph.Entry) { e.Names = []graph.Name{{Subject: a}} }))
	code("a job without an id", seaworthy.Invalid, bad(func(e *graph.Entry) { e.Jobs = []graph.Job{{Kind: "x"}} }))
	code("a job that runs", seaworthy.Invalid, s.AddJobs(ctx, graph.Job{ID: "x", Kind: "x", State: graph.JobRunning}))
	ended, end := context.WithCancel(ctx)
	end()
	_, err := s.Put(ended, document(2, 8, source(1, 2)))
	code("when it was cancelled", seaworthy.Interrupted, err)

	code("deleting nothing", seaworthy.NotFound, s.Delete(ctx, graph.ID{1}))
	code("replacing nothing", seaworthy.NotFound, s.Replace(ctx, document(5, 8, source(1, 5))))
	_, err = s.Body(ctx, seaworthy.SHA256(nil))
	code("no body", seaworthy.NotFound, err)
	code("no job to finish", seaworthy.NotFound, s.FinishJob(ctx, "none"))
	code("no job to fail", seaworthy.NotFound, s.FailJob(ctx, "none", "why", time.Time{}))
	code("no job to retry", seaworthy.NotFound, s.RetryJob(ctx, "none", start))
	_, err = s.Edges(ctx, graph.Query{From: []graph.ID{{}}, After: "rubbish"})
	code("a cursor", seaworthy.Invalid, err)
	_, err = s.Edges(ctx, graph.Query{From: []graph.ID{{}}, Limit: graph.MaxEdges + 1})
	code("a page too large", seaworthy.Invalid, err)
	_, err = s.Edges(ctx, graph.Query{From: []graph.ID{{}}, Predicates: []seaworthy.Predicate{"loves"}})
	code("edges of no predicate", seaworthy.Invalid, err)
	_, err = s.List(ctx, graph.ListQuery{After: "rubbish"})
	code("a cursor of lists", seaworthy.Invalid, err)
	_, err = s.List(ctx, graph.ListQuery{Kinds: []seaworthy.DocumentKind{"poem"}})
	code("no kind of document", seaworthy.Invalid, err)
	_, err = s.Find(ctx, graph.Search{Text: "x", Kinds: []seaworthy.SubjectKind{"cat"}})
	code("no kind to find", seaworthy.Invalid, err)
	_, err = s.Top(ctx, seaworthy.SaysHasFile, nil, 1)
	code("counting files", seaworthy.Invalid, err)
	_, err = s.Top(ctx, seaworthy.SaysDepends, nil, 0)
	code("counting none", seaworthy.Invalid, err)

	m := graph.NewMemory()
	put(t, 1, 8, m)
	same(t, m, s, 8, 3)
	sound(t, s)
}

// finding is by what people remember; that it is the same for all engines is what same is for.
func finding(t *testing.T, s graph.Store) {
	image, bill := artifact(7), body(0)
	libc := seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12"}
	manager := artifact(8)
	e := graph.Entry{
		Document: seaworthy.Document{Digest: seaworthy.SHA256(bill), Kind: seaworthy.BillDocument},
		Body:     bill,
		Statements: []seaworthy.Statement{
			{Subject: image, Predicate: seaworthy.SaysContains, Object: libc},
			{Subject: image, Predicate: seaworthy.SaysHasFile, Object: manager, Attrs: []seaworthy.Property{{Name: "path", Value: "/usr/local/bin/kube-controller-manager"}}},
			{Subject: seaworthy.Subject{Kind: seaworthy.VulnSubject, Key: "CVE-2023-44487"}, Predicate: seaworthy.SaysAffects, Object: libc},
			{Subject: image, Predicate: seaworthy.SaysSigned, Object: seaworthy.Subject{Kind: seaworthy.ActorSubject, Key: "identity:ci@example.com|https://accounts.example.com"}},
		},
		Names: []graph.Name{{Subject: image, Text: "registry.example/team/App:1.2"}},
	}
	// Of many with the same beginning, the first are found, and all of them if asked for.
	for i := range 300 {
		e.Statements = append(e.Statements, seaworthy.Statement{Subject: libc, Predicate: seaworthy.SaysDepends, Object: seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: fmt.Sprintf("pkg:npm/many-%03d@1.0.0", i)}})
	}
	if _, err := s.Put(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		text  string
		key   string
		exact bool
		name  string
	}{
		{"libc6", libc.Key, false, ""},
		{"Debian/LibC6", libc.Key, false, ""},
		{"libc6@2.36-9?arch=amd64&distro=debian-12", libc.Key, false, ""},
		{libc.Key, libc.Key, true, ""},
		{"cve-2023-4", "CVE-2023-44487", false, ""},
		{"CVE-2023-44487", "CVE-2023-44487", true, ""},
		{"ci@example.com", "identity:ci@example.com|https://accounts.example.com", false, ""},
		{"accounts.example", "identity:ci@example.com|https://accounts.example.com", false, ""},
		{image.Key, image.Key, true, ""},
		{image.Key[:20], image.Key, false, ""},
		{image.Key[7:], image.Key, true, ""},
		{image.Key[7:20], image.Key, false, ""},
		{image.Key[7:19], image.Key, false, ""},
		{string(e.Document.Digest), string(e.Document.Digest), true, ""},
		{"registry.example/team", image.Key, false, "registry.example/team/App:1.2"},
		{"registry.example/team/app:1.2", image.Key, true, "registry.example/team/App:1.2"},
		{"app:1", image.Key, false, "registry.example/team/App:1.2"},
		{"kube-controller", manager.Key, false, "/usr/local/bin/kube-controller-manager"},
		{"/usr/local/bin/kube-c", manager.Key, false, "/usr/local/bin/kube-controller-manager"},
		{"/usr/local/bin/kube-controller-manager", manager.Key, true, "/usr/local/bin/kube-controller-manager"},
		{"/usr/bin/kube-controller-manager", "", false, ""},
		{"pkg:deb/debian/libc7", "", false, ""},
	} {
		hits, err := s.Find(t.Context(), graph.Search{Text: test.text})
		switch {
		case err != nil:
			t.Error(test.text, err)
		case test.key == "":
			if len(hits) > 0 {
				t.Errorf("%q finds %v", test.text, hits)
			}
		case len(hits) != 1 || hits[0].Subject.Key != test.key || hits[0].Exact != test.exact || hits[0].Name != test.name:
			t.Errorf("%q finds %+v", test.text, hits)
		}
	}
	for limit, want := range map[int]int{0: 20, 7: 7, graph.MaxFound: graph.MaxFound} {
		hits, err := s.Find(t.Context(), graph.Search{Text: "many", Limit: limit})
		if err != nil || len(hits) != want || hits[6].Subject.Key != "pkg:npm/many-006@1.0.0" {
			t.Errorf("%d of many: %d, %v", limit, len(hits), err)
		}
	}
}

func listing(t *testing.T, s graph.Store) {
	m := graph.NewMemory()
	put(t, 40, 8, m, s)
	for _, kinds := range [][]seaworthy.DocumentKind{nil, {seaworthy.VEXDocument}, {seaworthy.SignatureDocument, seaworthy.BillDocument}} {
		want, err := m.List(t.Context(), graph.ListQuery{Kinds: kinds})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(want.Documents, func(a, b seaworthy.Document) int { return b.Ingested.Compare(a.Ingested) }) {
			t.Error("not the newest first")
		}
		for limit := 1; limit < 42; limit++ {
			var got []seaworthy.Document
			q := graph.ListQuery{Kinds: kinds, Limit: limit}
			for {
				page, err := s.List(t.Context(), q)
				if err != nil || len(page.Documents) > limit {
					t.Fatal(len(page.Documents), err)
				}
				got = append(got, page.Documents...)
				if q.After = page.Next; page.Next == "" {
					break
				}
			}
			if diff := cmp.Diff(want.Documents, got); diff != "" {
				t.Fatalf("%v, %d on a page: %s", kinds, limit, diff)
			}
		}
	}
}

// counting counts subjects and not documents.
func counting(t *testing.T, s graph.Store) {
	hub := subject(1)
	for i := range 3 {
		b := body(i)
		e := graph.Entry{Document: seaworthy.Document{Digest: seaworthy.SHA256(b), Kind: seaworthy.BillDocument}, Body: b}
		for n := range 5 { // every document says the same, and one thing more
			e.Statements = append(e.Statements, seaworthy.Statement{Subject: artifact(n), Predicate: seaworthy.SaysContains, Object: hub})
		}
		e.Statements = append(e.Statements, seaworthy.Statement{Subject: artifact(10 + i), Predicate: seaworthy.SaysContains, Object: hub})
		if _, err := s.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for left := int64(8); left > 6; left-- {
		top, err := s.Top(t.Context(), seaworthy.SaysContains, nil, 5)
		if want := []graph.Counted{{ID: hub.ID(), Count: left}}; err != nil || !slices.Equal(top, want) {
			t.Errorf("%v, %v, want %d", top, err, left)
		}
		if err := s.Delete(t.Context(), graph.DocumentID(seaworthy.SHA256(body(int(8-left))))); err != nil {
			t.Fatal(err)
		}
	}
}

// writers is many at once who put documents about the same subjects, and each document twice.
func writers(t *testing.T, s graph.Store) {
	const n, size, clients = 80, 40, 8
	m := graph.NewMemory()
	all := put(t, n, size, m)
	var wait sync.WaitGroup
	var mu sync.Mutex
	added := map[seaworthy.Digest]int{}
	for c := range clients {
		wait.Go(func() {
			for i, order := range source(3, c).Perm(n) {
				if i%4 == c%4 || order%clients == c {
					ok, err := s.Put(context.WithoutCancel(t.Context()), all[order])
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if ok {
						added[all[order].Document.Digest]++
					}
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	for _, e := range all {
		if added[e.Document.Digest] != 1 {
			t.Errorf("%s was added %d times", e.Document.Name, added[e.Document.Digest])
		}
	}
	// Whose job came first is not decided; the jobs are the same but for that.
	same(t, m, s, size, n)
	sound(t, s)

	wait = sync.WaitGroup{}
	for c := range clients { // and at the same time some are replaced, and some go and come
		wait.Go(func() {
			random := source(4, c)
			for range 30 {
				i := random.IntN(n)
				var err error
				switch random.IntN(3) {
				case 0:
					err = s.Delete(t.Context(), graph.DocumentID(all[i].Document.Digest))
				case 1:
					err = s.Replace(t.Context(), document(i, size, source(5, i)))
				default:
					_, err = s.Put(t.Context(), all[i])
				}
				if err != nil && seaworthy.CodeOf(err) != seaworthy.NotFound {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	sound(t, s)
}

func rebuild(t *testing.T, s graph.Store) {
	const n, size = 40, 60
	m := graph.NewMemory()
	all := put(t, n, size, m, s)
	by := map[seaworthy.Digest]graph.Entry{}
	for _, e := range all {
		by[e.Document.Digest] = e
	}
	before, err := graph.Fingerprint(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	stop := fmt.Errorf("the parser is not there")
	err = graph.Rebuild(t.Context(), s, func(doc seaworthy.Document, _ []byte) (graph.Entry, error) {
		return by[doc.Digest], map[bool]error{doc.Digest == all[n/2].Document.Digest: stop}[true]
	})
	if err == nil {
		t.Fatal("it was not interrupted")
	}
	problems, err := s.Check(t.Context())
	if err != nil || len(problems) == 0 {
		t.Errorf("half a graph is not noticed: %v", err)
	}
	err = graph.Rebuild(t.Context(), s, func(doc seaworthy.Document, body []byte) (graph.Entry, error) {
		e := by[doc.Digest]
		if !bytes.Equal(body, e.Body) {
			t.Error("other bytes")
		}
		e.Jobs = nil
		return e, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	after, err := graph.Fingerprint(t.Context(), s)
	if err != nil || after != before {
		t.Errorf("the graph is another one than before: %v", err)
	}
	same(t, m, s, size, n)
	sound(t, s)
}

func backup(t *testing.T, s graph.Store) {
	const n, size = 30, 60
	m := graph.NewMemory()
	put(t, n, size, m, s)
	for _, x := range []graph.Store{m, s} {
		if err := x.AddJobs(t.Context(), graph.Job{ID: "broken", Kind: "match"}); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := x.TakeJob(t.Context(), nil, start.Add(time.Hour), time.Minute); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if err := x.FailJob(t.Context(), "broken", "why", time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "new", "copy")
	if err := s.Backup(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), dir); seaworthy.CodeOf(err) != seaworthy.Conflict {
		t.Errorf("a copy over a copy: %v", err)
	}
	put(t, n+5, size, graph.NewMemory())
	if _, err := s.Put(t.Context(), document(n, size, source(1, n))); err != nil { // is not in the copy
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "restored")
	if err := graph.Restore(t.Context(), dir, to, graph.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := graph.Restore(t.Context(), dir, to, graph.Options{}); seaworthy.CodeOf(err) != seaworthy.Conflict {
		t.Errorf("restoring over what is there: %v", err)
	}
	restored, err := graph.Open(t.Context(), to, graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	want, got := ask(t, m, size, n), ask(t, restored, size, n)
	for i := range want.Jobs { // nobody works on them there
		if want.Jobs[i].State == graph.JobRunning {
			want.Jobs[i].State = graph.JobWaiting
		}
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("what was restored is not what was backed up:\n%s", diff)
	}
	sound(t, restored)
}
