package storetest

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// texts are looked for in every world.
var texts = []string{
	"", "a", "b", "/", "lib", "LIB-C1", "pkg:", "pkg:deb/debian/lib-c0@2.36-0?arch=amd64", "2.36", "2.36-1", "deb/debian", "app", "/usr/bin/app", "/usr/bin/", "/opt/a", "./", "libc.so", "app-a", "/usr/lib/app-", "/usr/lib/Libc.so",
	"registry.example/app:1.2", "1.2", "cve-2026-000", "CVE-2026-0001", "mit", "gpl", "or mit", "ci1@example.com", "example.com", "issuer", "key:",
	"sha", "sha256:", "sha256:0", "0", "1", "2", "9", "e3", "ff", "k8s://prod", "ns1", "deployment", "git+https", "github.com/seaworthy/app1", "é", "licenseref-é\x00",
	string(artifact(0).Key), artifact(1).Key[7:], artifact(1).Key[7:20], artifact(2).Key[:14], artifact(2).Key[7:14], "nothing of the kind",
}

// answers is everything that can be asked, so that two stores can be compared.
type answers struct {
	Fingerprint string
	Out, In     []graph.Edge
	Subjects    []seaworthy.Subject
	Documents   []seaworthy.Document
	List        []seaworthy.Document
	Hits        map[string][]graph.Hit
	Top         map[seaworthy.Predicate][]graph.Counted
	Jobs        []graph.Job
	Stats       graph.Stats
}

// ask asks a store everything about the first subjects and documents of a world.
func ask(t testing.TB, s graph.Store, size, documents int) answers {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	var a answers
	var err error
	ids := make([]graph.ID, size)
	for i := range ids {
		ids[i] = subject(i).ID()
	}
	docs := make([]graph.ID, documents)
	for i := range docs {
		docs[i] = graph.DocumentID(seaworthy.SHA256(body(i)))
	}
	a.Fingerprint, err = graph.Fingerprint(ctx, s)
	must(err)
	a.Out = pages(t, s, graph.Query{From: ids})
	a.In = pages(t, s, graph.Query{From: ids, Back: true})
	a.Subjects, err = s.Subjects(ctx, ids)
	must(err)
	a.Documents, err = s.Documents(ctx, docs)
	must(err)
	for i, d := range a.Documents {
		if d.Digest == "" {
			continue
		}
		b, err := s.Body(ctx, d.Digest)
		must(err)
		if !bytes.Equal(b, body(i)) {
			t.Errorf("the bytes of document %d are others", i)
		}
	}
	page, err := s.List(ctx, graph.ListQuery{Limit: 1000})
	must(err)
	a.List = page.Documents
	a.Hits = map[string][]graph.Hit{}
	for _, text := range texts {
		for _, limit := range []int{0, 1, 3} {
			a.Hits[fmt.Sprint(text, " ", limit)], err = s.Find(ctx, graph.Search{Text: text, Limit: limit})
			must(err)
		}
	}
	a.Hits["kinds"], err = s.Find(ctx, graph.Search{Text: "a", Kinds: []seaworthy.SubjectKind{seaworthy.ResourceSubject, seaworthy.PackageSubject}})
	must(err)
	a.Top = map[seaworthy.Predicate][]graph.Counted{}
	for _, p := range seaworthy.Predicates() {
		if p == seaworthy.SaysHasFile {
			continue
		}
		a.Top[p], err = s.Top(ctx, p, nil, 100)
		must(err)
		some, err := s.Top(ctx, p, []seaworthy.SubjectKind{seaworthy.PackageSubject, seaworthy.ArtifactSubject}, 3)
		must(err)
		a.Top[p+" some"] = some
	}
	a.Jobs, err = s.Jobs(ctx, 0)
	must(err)
	a.Stats, err = s.Stats(ctx)
	must(err)
	a.Stats.Bytes, a.Stats.Engine = 0, ""
	return a
}

// same reports where two stores answer differently.
func same(t testing.TB, want, got graph.Store, size, documents int) {
	t.Helper()
	a, b := ask(t, want, size, documents), ask(t, got, size, documents)
	if reflect.DeepEqual(a, b) {
		return
	}
	if diff := cmp.Diff(a, b, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("it answers otherwise than Memory (-memory +this):\n%s", diff)
	}
}

// alike reports when two stores do not have the same documents that say the same.
func alike(t testing.TB, want, got graph.Store) {
	t.Helper()
	a, err := graph.Fingerprint(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := graph.Fingerprint(t.Context(), got); err != nil || a != b {
		t.Errorf("it is another graph: %v", err)
	}
}

// sound reports what Check finds.
func sound(t testing.TB, s graph.Store) {
	t.Helper()
	problems, err := s.Check(t.Context())
	if err != nil {
		t.Fatal("checking:", err)
	}
	for _, p := range problems {
		t.Errorf("check: %s: %s", p.Where, p.Detail)
	}
}

// pages reads all pages of an answer.
func pages(t testing.TB, s graph.Reader, q graph.Query) []graph.Edge {
	t.Helper()
	var all []graph.Edge
	for {
		page, err := s.Edges(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Edges...)
		if page.Next == "" {
			return all
		}
		if len(page.Edges) == 0 {
			t.Fatal("an empty page that is not the last")
		}
		q.After = page.Next
	}
}
