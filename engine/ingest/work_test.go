package ingest_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ingest"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// advisories is a database of OSV records, each about versions of an npm package before 2.
func advisories(t testing.TB, records map[string]string) *advisory.DB {
	t.Helper()
	dir := t.TempDir()
	for id, pkg := range records {
		record := `{"id":"` + id + `","modified":"2026-02-01T00:00:00Z","aliases":["GHSA-of-` + id + `"],"affected":[{"package":{"ecosystem":"npm","name":"` + pkg + `"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"2.0.0"}]}]}]}`
		if err := os.WriteFile(filepath.Join(dir, id+".json"), []byte(record), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "advisories.db")
	if _, err := advisory.Build(t.Context(), []advisory.Input{{Path: dir, Name: "test", ModTime: noon}}, file, advisory.BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	db, err := advisory.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func vulns(t testing.TB, store graph.Reader, purl string) []string {
	t.Helper()
	var out []string
	for s := range said(t, store, seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: purl}, true, seaworthy.SaysAffects) {
		out = append(out, s.subject)
	}
	slices.Sort(out)
	return out
}

func jobs(t testing.TB, store graph.Store) []graph.Job {
	t.Helper()
	list, err := store.Jobs(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

const npmBill = `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"metadata":{"component":{"bom-ref":"app","type":"application","name":"app"}},"components":[{"bom-ref":"a","type":"library","name":"a","version":"1.0.0","purl":"pkg:npm/a@1.0.0"},{"bom-ref":"b","type":"library","name":"b","version":"1.0.0","purl":"pkg:npm/b@1.0.0"}]}`

// A bill is joined with the advisories when it comes, and again when they change; the report of before is gone then.
func TestAdvisories(t *testing.T) {
	first := advisories(t, map[string]string{"CVE-2026-0001": "a"})
	in, store := newIngester(t, ingest.Options{Advisories: first})
	mustBytes(t, in, "bill", []byte(npmBill))
	if got := vulns(t, store, "pkg:npm/a@1.0.0"); !slices.Equal(got, []string{"vuln CVE-2026-0001"}) {
		t.Errorf("a is affected by %v", got)
	}
	for s, attrs := range said(t, store, seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: "pkg:npm/a@1.0.0"}, true, seaworthy.SaysAffects) {
		if !strings.HasPrefix(seaworthy.AttrOf(attrs, "by"), "seaworthy advisories sha256:") || seaworthy.AttrOf(attrs, "fixed") != "2.0.0" || seaworthy.AttrOf(attrs, "time") == "" {
			t.Errorf("%v with %v", s, attrs)
		}
	}
	if left := jobs(t, store); len(left) > 0 {
		t.Errorf("there are jobs left: %+v", left)
	}
	before := dump(t, store)
	if r := mustBytes(t, in, "again", []byte(npmBill)); r.Added || dump(t, store) != before {
		t.Error("the same bill again changes something")
	}

	second := ingest.New(store, ingest.Options{Advisories: advisories(t, map[string]string{"CVE-2026-0002": "b"}), Now: func() time.Time { return noon }})
	if n, err := second.Rematch(t.Context()); n != 1 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if left := jobs(t, store); len(left) != 1 || left[0].Kind != ingest.MatchJob || left[0].Urgency != graph.ScheduledWork {
		t.Errorf("got the jobs %+v", left)
	}
	for want := range 2 { // doing it twice is doing it once
		if want == 1 {
			if _, err := second.Rematch(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := second.Drain(t.Context()); n != 1 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
		if a, b := vulns(t, store, "pkg:npm/a@1.0.0"), vulns(t, store, "pkg:npm/b@1.0.0"); len(a) != 0 || !slices.Equal(b, []string{"vuln CVE-2026-0002"}) {
			t.Errorf("a is affected by %v, b by %v", a, b)
		}
		if left := jobs(t, store); len(left) > 0 {
			t.Errorf("there are jobs left: %+v", left)
		}
	}
	if _, err := ingest.New(store, ingest.Options{}).Rematch(t.Context()); seaworthy.CodeOf(err) != seaworthy.Usage {
		t.Errorf("without advisories: %v", err)
	}
}

// What was broken off between a bill and its report is taken up by a worker.
func TestBrokenOffMatch(t *testing.T) {
	db := advisories(t, map[string]string{"CVE-2026-0001": "a"})
	store := graph.NewMemory()
	defer store.Close()
	now := noon
	in := ingest.New(brokenAfterPut{store, 1}, ingest.Options{Advisories: db, Now: func() time.Time { return now }})
	if _, err := in.Bytes(t.Context(), "bill", []byte(npmBill)); seaworthy.CodeOf(err) != seaworthy.Storage {
		t.Fatalf("got %v", err)
	}
	in = ingest.New(store, ingest.Options{Advisories: db, Now: func() time.Time { return now }})
	if n, err := in.Drain(t.Context()); n != 0 || err != nil {
		t.Errorf("at once: got %d, %v", n, err)
	}
	now = now.Add(2 * time.Minute)
	if n, err := in.Drain(t.Context()); n != 1 || err != nil {
		t.Errorf("later: got %d, %v", n, err)
	}
	if got := vulns(t, store, "pkg:npm/a@1.0.0"); len(got) != 1 {
		t.Errorf("a is affected by %v", got)
	}
}

// brokenAfterPut is a store that keeps some documents and no more.
type brokenAfterPut struct {
	graph.Store
	puts int
}

func (s brokenAfterPut) Put(ctx context.Context, e graph.Entry) (bool, error) {
	if e.Document.Kind == seaworthy.ScanDocument {
		return false, seaworthy.Errorf(seaworthy.Storage, "the disk is full")
	}
	return s.Store.Put(ctx, e)
}

func TestJobs(t *testing.T) {
	l, img := layout(t)
	now := noon
	opened, closed := 0, 0
	in, store := newIngester(t, ingest.Options{Now: func() time.Time { return now }, Place: func(_ context.Context, repository string) (oci.Place, func(), error) {
		opened++
		if repository != "registry.example/app" {
			return nil, nil, seaworthy.Errorf(seaworthy.Unavailable, "there is no %q today", repository)
		}
		return l, func() { closed++ }, nil
	}})
	good := ingest.ImageWork{Repository: "registry.example/app", Tag: "1.0", Digest: img.Digest()}
	down := ingest.ImageWork{Repository: "down.example/app", Digest: img.Digest()}
	bill := ingest.BytesWork{Origin: "POST", Body: []byte(npmBill)}
	rubbish := ingest.BytesWork{Origin: "POST", Body: []byte("hello")}
	if err := in.AddJobs(t.Context(), good.Job(graph.UserWork, now), good.Job(graph.UserWork, now), down.Job(graph.EventWork, now), bill.Job(graph.ScheduledWork, now), rubbish.Job(graph.UserWork, now)); err != nil {
		t.Fatal(err)
	}
	if n, err := in.Drain(t.Context()); n != 4 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	state := func() map[string]graph.Job {
		out := map[string]graph.Job{}
		for _, j := range jobs(t, store) {
			out[j.ID] = j
		}
		return out
	}
	left := state()
	if j := left[rubbish.Job(0, now).ID]; len(left) != 2 || j.State != graph.JobParked || !strings.Contains(j.LastFail, "text that begins") {
		t.Errorf("got %+v", left)
	}
	id := down.Job(0, now).ID
	if j := left[id]; j.State != graph.JobWaiting || !j.Due.Equal(now.Add(5*time.Second)) {
		t.Errorf("got %+v", j)
	}
	tries := 1
	for ; state()[id].State != graph.JobParked && tries < 100; tries++ {
		now = now.Add(2 * time.Hour)
		if n, err := in.Drain(t.Context()); n != 1 || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
	}
	if tries != 8 || opened != 9 || closed != 1 {
		t.Errorf("tried %d times, opened %d, closed %d", tries, opened, closed)
	}
	if got := find(t, store, "registry.example/app:1.0"); len(got) == 0 {
		t.Error("the image is not there")
	}
	if got := find(t, store, "pkg:npm/a@1.0.0"); len(got) == 0 {
		t.Error("the bill is not there")
	}
}

// Workers wait without asking, wake when there is work, and end with the context.
func TestWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := graph.NewMemory()
		defer store.Close()
		in := ingest.New(store, ingest.Options{Parallel: 3})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- in.Work(ctx) }()
		synctest.Wait()
		for i := range 10 {
			w := ingest.BytesWork{Origin: "POST", Body: []byte(strings.Replace(npmBill, `"version":1,`, `"version":`+strings.Repeat("1", i+1)+`,`, 1))}
			if err := in.AddJobs(t.Context(), w.Job(graph.UserWork, time.Now())); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // no time passes: it was woken
			if stats, err := store.Stats(t.Context()); err != nil || stats.Documents != int64(i+1) || stats.Jobs != 0 {
				t.Errorf("after %d: %+v, %v", i+1, stats, err)
			}
		}
		// What somebody else has queued is found without being told.
		w := ingest.BytesWork{Origin: "POST", Body: []byte(smallBill)}
		if err := store.AddJobs(t.Context(), w.Job(graph.UserWork, time.Now())); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if stats, err := store.Stats(t.Context()); err != nil || stats.Documents != 11 {
			t.Errorf("%+v, %v", stats, err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
