package oci

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

func FuzzManifest(f *testing.F) {
	w := newWorld()
	m := w.image(amd64, "x")
	for _, b := range w.blobs {
		f.Add(b, "")
	}
	f.Add(w.blobs[w.index(on(m, amd64)).Digest], MediaTypeIndex)
	f.Add([]byte(`{"schemaVersion":1}`), MediaTypeManifest)
	f.Add([]byte(`<!doctype html>`), "text/html")
	f.Fuzz(func(t *testing.T, raw []byte, said string) {
		kind, err := kindOf(raw, said)
		if err == nil && isIndexType(kind) == isManifestType(kind) {
			t.Fatalf("kind %q", kind)
		}
		if index, err := parseIndex(raw, MediaTypeIndex); err == nil {
			for _, d := range index.Entries {
				if !d.Digest.NamesContent() || d.Size < 0 {
					t.Fatalf("descriptor %+v", d)
				}
			}
			best(index.Entries, Platform{}, nil)
			_ = list(index.Entries)
		}
		m, err := parseManifest(raw, 100)
		if err == nil && len(m.Layers) > 100 {
			t.Fatal("too many layers")
		}
		im := &Image{Layers: make([]Layer, 1)}
		if im.setConfig(raw) == nil && !im.Layers[0].DiffID.NamesContent() {
			t.Fatalf("diff ID %q", im.Layers[0].DiffID)
		}
		_, _ = parseDockerManifest(raw)
	})
}

func FuzzReference(f *testing.F) {
	for _, s := range []string{"debian", "a.b:5/c/d:e", "[::1]:5/a", "a@sha256:aa", "x:y@z", "A/b", "a__b--c.d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseReference(s)
		if err != nil {
			return
		}
		again, err := ParseReference(r.String())
		if err != nil || again != r {
			t.Fatalf("%q → %q → %q, %v", s, r, again, err)
		}
		_, _ = ParsePlatform(s)
		hostname(s)
	})
}

// FuzzArchive wants -fuzzminimizetime=5x: its inputs are whole tar files, and making them minimal takes longer
// than finding them.
func FuzzArchive(f *testing.F) {
	mod, _ := modern()
	for _, b := range [][]byte{legacy("a:1"), mod, gzipped(legacy("a:1")), zstded(mod), tarOf("a -> b", "", "b -> a", "")} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = sniffArchive(path)
		im, err := Open(t.Context(), "archive:"+path, Options{MaxUnpacked: 8 << 20})
		if err != nil {
			if c := seaworthy.CodeOf(err); c == seaworthy.Internal || c == "" {
				t.Fatalf("%v (%s)", err, c)
			}
			return
		}
		defer im.Close()
		if im.Each != nil {
			_ = im.Each(t.Context(), func(_ int, r io.Reader) error { _, err := io.Copy(io.Discard, r); return err })
			return
		}
		for _, l := range im.Layers {
			r, err := l.Open(t.Context())
			if err != nil {
				continue
			}
			if n, _ := io.Copy(io.Discard, r); n > l.Size {
				t.Fatalf("%d bytes of %d", n, l.Size)
			}
			r.Close()
		}
	})
}

func FuzzHeaders(f *testing.F) {
	f.Add(`Bearer realm="a",service="b"`, "bytes 1-2/3")
	f.Add(`Basic`, "bytes 5-*/")
	f.Add(`a="\`, "")
	f.Fuzz(func(t *testing.T, auth, contentRange string) {
		if n := len(parseChallenges([]string{auth, auth})); n > 16 {
			t.Fatalf("%d challenges", n)
		}
		if first, total, ok := parseContentRange(contentRange); ok && (first < 0 || total < -1) {
			t.Fatal(first, total)
		}
	})
}
