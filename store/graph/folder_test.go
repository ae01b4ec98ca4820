package graph

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seaworthy-dev/seaworthy"
)

func change(t *testing.T, f *folder, do func(*writer)) {
	t.Helper()
	err := f.change(t.Context(), "testing", nil, func(w *writer) (bool, error) {
		do(w)
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func newFolder(t *testing.T) (*folder, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "graph")
	s, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s.(*folder), dir
}

// A layout that a newer program has made is left alone, and so is a database of somebody else's.
func TestOtherFolders(t *testing.T) {
	f, dir := newFolder(t)
	change(t, f, func(w *writer) { _ = w.Batch.Set(metaVersion, []byte{layoutVersion + 1}, nil) })
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Options{}); seaworthy.CodeOf(err) != seaworthy.Stale {
		t.Errorf("a newer layout: %v", err)
	}
	other := filepath.Join(t.TempDir(), "other")
	db, err := pebble.Open(other, &pebble.Options{Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), other, Options{}); err == nil {
		t.Error("another program's database was opened")
	}
}

// Check finds every row that is missing, and every row too many.
func TestCheckFinds(t *testing.T) {
	body := []byte("{}")
	image := seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: string(seaworthy.SHA256([]byte("image")))}
	file := seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: string(seaworthy.SHA256([]byte("file")))}
	libc := seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: "pkg:deb/debian/libc6@2.36"}
	e := Entry{
		Document: seaworthy.Document{Digest: seaworthy.SHA256(body), Kind: seaworthy.BillDocument}, Body: body,
		Statements: []seaworthy.Statement{
			{Subject: image, Predicate: seaworthy.SaysContains, Object: libc},
			{Subject: file, Predicate: seaworthy.SaysContains, Object: libc},
			{Subject: image, Predicate: seaworthy.SaysHasFile, Object: file, Attrs: []seaworthy.Property{{Name: "path", Value: "/bin/x"}}},
		},
		Names: []Name{{image, "app:1"}},
		Jobs:  []Job{{ID: "a", Kind: "match"}},
	}
	document := DocumentID(e.Document.Digest)
	f, _ := newFolder(t)
	defer f.Close()
	if _, err := f.Put(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if problems, err := f.Check(t.Context()); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	db := f.now.DB
	it, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var keys, values [][]byte
	for ok := it.First(); ok; ok = it.Next() {
		keys, values = append(keys, append([]byte(nil), it.Key()...)), append(values, append([]byte(nil), it.Value()...))
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	for i, k := range keys {
		if k[0] == tableMeta {
			continue
		}
		if err := db.Delete(k, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		if problems, err := f.Check(t.Context()); err == nil && len(problems) == 0 {
			t.Errorf("the row %q is missing, and nobody says so", k)
		}
		if err := db.Set(k, values[i], pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	stray := ID{9}
	for _, k := range [][]byte{
		nodeKey(stray), edgeKey(sideOut, image.ID(), 1, libc.ID(), stray), edgeKey(sideIn, image.ID(), 1, libc.ID(), document), nameKey(image.ID(), "b", stray),
		documentKey(tableDocument, stray), chunkKey(tableBody, stray, 0), chunkKey(tableRests, stray, 0), listKey(listPlace{5, stray}),
		termKey(1, "x", classWord, stray), termKey(1, "zz", classFile, file.ID()),
		{tableDigest, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
		countKey(1, stray), topKey(1, 1, 7, stray), jobKey("none"), queueKey(Job{ID: "b", Kind: "k"}), []byte("b"),
	} {
		if err := db.Set(k, []byte("{}"), pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		if problems, err := f.Check(t.Context()); err == nil && len(problems) == 0 {
			t.Errorf("the row %q is too many, and nobody says so", k)
		}
		if err := db.Delete(k, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	if problems, err := f.Check(t.Context()); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	if err := db.Set(chunkKey(tableBody, document, 0), []byte("rubbish"), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Body(t.Context(), e.Document.Digest); seaworthy.CodeOf(err) != seaworthy.Mismatch || !strings.Contains(seaworthy.HintOf(err), "restore") {
		t.Errorf("other bytes: %v", err)
	}
}
