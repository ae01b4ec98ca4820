package graph

import (
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

func TestMemoryAnswers(t *testing.T) {
	m := NewMemory()
	body := []byte("{}")
	image := seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: "sha256:aa00000000000000000000000000000000000000000000000000000000000000"}
	libc := seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: "pkg:deb/debian/libc6@2.36-9?arch=amd64"}
	e := Entry{
		Document:   seaworthy.Document{Digest: seaworthy.SHA256(body), Kind: seaworthy.BillDocument, Ingested: time.Unix(1, 0)},
		Body:       body,
		Statements: []seaworthy.Statement{{Subject: image, Predicate: seaworthy.SaysContains, Object: libc}},
		Names:      []Name{{image, "registry.example/app:1.2"}},
		Jobs:       []Job{{ID: "a", Kind: "match"}},
	}
	for _, want := range []bool{true, false} {
		if added, err := m.Put(t.Context(), e); err != nil || added != want {
			t.Fatal(added, err)
		}
	}
	for _, text := range []string{"libc6", "LIBC6@2", "debian/libc6", "pkg:deb", "2.36"} {
		if hits, err := m.Find(t.Context(), Search{Text: text}); err != nil || len(hits) != 1 || hits[0].Subject != libc {
			t.Error(text, hits, err)
		}
	}
	for text, exact := range map[string]bool{"sha256:aa": false, "aa00": false, image.Key: true, image.Key[7:]: true, "app:1.2": false, "registry.example/app:1.2": true} {
		if hits, err := m.Find(t.Context(), Search{Text: text}); err != nil || len(hits) != 1 || hits[0].Subject != image || hits[0].Exact != exact {
			t.Error(text, hits, err)
		}
	}
	page, err := m.Edges(t.Context(), Query{From: []ID{libc.ID()}, Back: true})
	if err != nil || len(page.Edges) != 1 || page.Edges[0].To != image.ID() || page.Next != "" {
		t.Error(page, err)
	}
	j, ok, err := m.TakeJob(t.Context(), nil, time.Unix(5, 0), time.Minute)
	if err != nil || !ok || j.ID != "a" || j.Tries != 1 {
		t.Error(j, ok, err)
	}
	if err := m.Delete(t.Context(), DocumentID(e.Document.Digest)); err != nil {
		t.Error(err)
	}
	if stats, err := m.Stats(t.Context()); err != nil || stats.Subjects != 0 {
		t.Error(stats, err)
	}
}
