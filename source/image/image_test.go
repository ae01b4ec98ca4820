package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/makeimage"
	"github.com/seaworthy-dev/seaworthy/source/image"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// memory makes an image whose layers are read from memory.
func memory(t testing.TB, layers []makeimage.Layer) *oci.Image {
	t.Helper()
	built, err := makeimage.Build(layers, makeimage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	img := &oci.Image{Name: "test"}
	for _, l := range built.Layers {
		img.Layers = append(img.Layers, oci.Layer{
			Digest: l.Digest, DiffID: l.DiffID, Size: int64(len(l.Bytes)), MediaType: l.MediaType,
			Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(l.Bytes)), nil },
		})
	}
	return img
}

func file(path, body string) makeimage.File { return makeimage.File{Path: path, Body: []byte(body)} }

func read(t testing.TB, img *oci.Image, o image.Options) []image.Layer {
	t.Helper()
	layers, err := image.Read(t.Context(), img, o)
	if err != nil {
		t.Fatal(err)
	}
	return layers
}

func TestReadEveryCompression(t *testing.T) {
	for _, how := range []makeimage.Compression{makeimage.Gzip, makeimage.Zstd, makeimage.Plain} {
		t.Run(string(how), func(t *testing.T) {
			img := memory(t, []makeimage.Layer{{Files: []makeimage.File{
				file("etc/os-release", "ID=debian\nVERSION_ID=12\n"),
				{Path: "bin/sh", Symlink: "dash"},
				{Path: "bin/dash2", Hardlink: "etc/os-release"},
			}, Whiteouts: []string{"etc/motd"}, Opaques: []string{"var/cache"}, Compression: how}})
			l := read(t, img, image.Options{})[0]
			if l.Incomplete || len(l.Problems) > 0 {
				t.Fatalf("problems in a good layer: %v", l.Problems)
			}
			if l.Digest != img.Layers[0].Digest || l.DiffID != img.Layers[0].DiffID || l.Stored != img.Layers[0].Size {
				t.Errorf("digest, diffID, size = %s %s %d, want %s %s %d", l.Digest, l.DiffID, l.Stored, img.Layers[0].Digest, img.Layers[0].DiffID, img.Layers[0].Size)
			}
			kinds := map[string]image.Kind{}
			for _, e := range l.Entries {
				kinds[e.Path] = e.Kind
				if e.Kind == image.Regular && e.Digest != sha256.Sum256([]byte("ID=debian\nVERSION_ID=12\n")) {
					t.Errorf("%s has digest %x", e.Path, e.Digest)
				}
			}
			for path, want := range map[string]image.Kind{"etc/os-release": image.Regular, "bin/sh": image.Symlink, "bin/dash2": image.Hardlink, "etc/motd": image.Whiteout, "var/cache": image.Opaque} {
				if got, ok := kinds[path]; !ok || got != want {
					t.Errorf("%s is kind %d (there: %v), want %d", path, got, ok, want)
				}
			}
			if len(l.Facts) != 1 || l.Facts[0].Release == nil || l.Facts[0].Release.ID != "debian" {
				t.Errorf("os-release was not recognised: %+v", l.Facts)
			}
		})
	}
}

func TestLastOfDoubleEntriesCounts(t *testing.T) {
	img := memory(t, []makeimage.Layer{{Files: []makeimage.File{
		file("etc/os-release", "ID=one\n"), file("etc/os-release", "ID=two\n"),
	}}})
	l := read(t, img, image.Options{})[0]
	if len(l.Facts) != 1 || l.Facts[0].Release.ID != "two" {
		t.Errorf("facts = %+v, want those of the second entry only", l.Facts)
	}
}

func TestNamesCannotLeaveTheRoot(t *testing.T) {
	img := memory(t, []makeimage.Layer{{Files: []makeimage.File{file("../../etc/passwd", "x"), file("/abs", "y"), file("a/../../b", "z")}}})
	var paths []string
	for _, e := range read(t, img, image.Options{})[0].Entries {
		if e.Kind == image.Regular {
			paths = append(paths, e.Path)
		}
	}
	if want := []string{"etc/passwd", "abs", "b"}; !slices.Equal(paths, want) {
		t.Errorf("paths = %q, want %q", paths, want)
	}
}

// TestLyingLayers has one good and one bad layer in an image: the bad one names itself, the good one is read.
func TestLyingLayers(t *testing.T) {
	good := makeimage.Layer{Files: []makeimage.File{file("etc/os-release", "ID=debian\n")}}
	other := makeimage.Layer{Files: []makeimage.File{file("etc/hostname", strings.Repeat("x", 5000))}}
	for _, tc := range []struct {
		name string
		lie  func(l *oci.Layer)
		code seaworthy.Code
		say  string
	}{
		{"digest", func(l *oci.Layer) { l.Digest = seaworthy.SHA256([]byte("else")) }, seaworthy.Mismatch, "the manifest says"},
		{"diffID", func(l *oci.Layer) { l.DiffID = seaworthy.SHA256([]byte("else")) }, seaworthy.Mismatch, "the configuration says"},
		{"size", func(l *oci.Layer) { l.Size += 3 }, seaworthy.Mismatch, "bytes, the manifest says"},
		{"truncated", func(l *oci.Layer) { l.Open = cut(l.Open, 60) }, seaworthy.Invalid, "unexpected EOF"},
		{"not gzip", func(l *oci.Layer) { l.Open = fixed("\x1f\x8bgarbage") }, seaworthy.Invalid, "gzip"},
		{"not a tar", func(l *oci.Layer) { l.Open = fixed(strings.Repeat("garbage", 1000)) }, seaworthy.Mismatch, "the manifest says"},
		{"missing", func(l *oci.Layer) {
			l.Open = func(context.Context) (io.ReadCloser, error) {
				return nil, seaworthy.Errorf(seaworthy.NotFound, "no such blob")
			}
		}, seaworthy.NotFound, "no such blob"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			img := memory(t, []makeimage.Layer{good, other})
			tc.lie(&img.Layers[1])
			layers := read(t, img, image.Options{})
			if layers[0].Incomplete || len(layers[0].Facts) != 1 {
				t.Errorf("the good layer suffered: %+v", layers[0].Problems)
			}
			bad := layers[1]
			if !bad.Incomplete || len(bad.Problems) == 0 {
				t.Fatal("the bad layer passed for good")
			}
			p := bad.Problems[0]
			if p.Code != tc.code || !strings.Contains(p.Detail, tc.say) || !strings.HasPrefix(p.Where, "layer 2 (sha256:") {
				t.Errorf("problem = %+v, want code %s, words %q, at layer 2", p, tc.code, tc.say)
			}
		})
	}
}

type opener = func(context.Context) (io.ReadCloser, error)

func cut(open opener, n int64) opener {
	return func(ctx context.Context) (io.ReadCloser, error) {
		r, err := open(ctx)
		return io.NopCloser(io.LimitReader(r, n)), err
	}
}

func fixed(s string) opener {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

// zeros gives n zero bytes as they are asked for.
type zeros struct{ n int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), z.n))
	clear(p[:n])
	z.n -= int64(n)
	return n, nil
}

// TestBomb unpacks a layer of a few megabytes to gigabytes of zeros: it must stop at the ratio, name itself and
// the entry, and stay small.
func TestBomb(t *testing.T) {
	const size = 8 << 30
	pr, pw := io.Pipe()
	go func() {
		z, _ := gzip.NewWriterLevel(pw, gzip.BestSpeed)
		w := tar.NewWriter(z)
		_ = w.WriteHeader(&tar.Header{Name: "etc/os-release", Mode: 0o644, Size: 7})
		_, _ = io.WriteString(w, "ID=x\n#\n")
		_ = w.WriteHeader(&tar.Header{Name: "var/bomb", Mode: 0o644, Size: size})
		_, err := io.CopyN(w, &zeros{size}, size)
		pw.CloseWithError(err)
	}()
	img := &oci.Image{Layers: []oci.Layer{{Digest: seaworthy.SHA256(nil), DiffID: seaworthy.SHA256(nil), Size: -1, Open: func(context.Context) (io.ReadCloser, error) { return pr, nil }}}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	l := read(t, img, image.Options{Limits: image.Limits{Ratio: 100}})[0]
	runtime.ReadMemStats(&after)
	if !l.Incomplete || len(l.Problems) != 1 || l.Problems[0].Code != seaworthy.TooLarge || !strings.Contains(l.Problems[0].Detail, "var/bomb") {
		t.Fatalf("problems = %+v, want one, too-large, naming var/bomb", l.Problems)
	}
	if len(l.Facts) != 1 {
		t.Errorf("what came before the bomb was lost")
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
		t.Errorf("reading it allocated %d bytes in all", grown)
	}
}

func TestLimits(t *testing.T) {
	many := make([]makeimage.File, 50)
	for i := range many {
		many[i] = file(fmt.Sprintf("f%d", i), "x")
	}
	for _, tc := range []struct {
		name   string
		limits image.Limits
		say    string
	}{
		{"entries", image.Limits{Entries: 10}, "more than 10 entries"},
		{"unpacked", image.Limits{Unpacked: 1024}, "more than 1024 bytes"},
		{"path", image.Limits{PathLen: 2}, "path of more than 2 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := read(t, memory(t, []makeimage.Layer{{Files: many}}), image.Options{Limits: tc.limits})[0]
			if !l.Incomplete || len(l.Problems) != 1 || l.Problems[0].Code != seaworthy.TooLarge || !strings.Contains(l.Problems[0].Detail, tc.say) {
				t.Errorf("problems = %+v, want one that says %q", l.Problems, tc.say)
			}
		})
	}
}

// TestOddTars has what tars in the wild and in attacks hold: link loops, devices, sparse files, whiteouts of
// what is not there, a hundred thousand entries of one name.
func TestOddTars(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	put := func(h *tar.Header, body string) {
		h.Size = int64(len(body))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
	}
	put(&tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "b"}, "")
	put(&tar.Header{Name: "b", Typeflag: tar.TypeSymlink, Linkname: "a"}, "")
	put(&tar.Header{Name: "c", Typeflag: tar.TypeLink, Linkname: "c"}, "")
	put(&tar.Header{Name: "dev/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}, "")
	put(&tar.Header{Name: "run/pipe", Typeflag: tar.TypeFifo}, "")
	put(&tar.Header{Name: ".wh.gone", Typeflag: tar.TypeReg}, "")
	put(&tar.Header{Name: ".wh.", Typeflag: tar.TypeReg}, "")
	put(&tar.Header{Name: ".wh..wh.plnk", Typeflag: tar.TypeDir}, "")
	put(&tar.Header{Name: "../../up", Typeflag: tar.TypeLink, Linkname: "../../../etc/shadow"}, "")
	for range 100_000 {
		put(&tar.Header{Name: "same", Typeflag: tar.TypeReg}, "")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l := read(t, memory(t, []makeimage.Layer{{Tar: b.Bytes()}}), image.Options{})[0]
	if l.Incomplete {
		t.Fatalf("refused: %v", l.Problems)
	}
	kinds := map[string]image.Kind{}
	for _, e := range l.Entries {
		kinds[e.Path] = e.Kind
	}
	want := map[string]image.Kind{"a": image.Symlink, "b": image.Symlink, "c": image.Hardlink, "dev/null": image.Special, "run/pipe": image.Special, "gone": image.Whiteout, "up": image.Hardlink, "same": image.Regular}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("entries differ (-want +got):\n%s", diff)
	}
}

func TestCache(t *testing.T) {
	dir := t.TempDir()
	opened := 0
	img := memory(t, []makeimage.Layer{{Files: []makeimage.File{file("etc/os-release", "ID=debian\nVERSION_ID=12\n"), file("x", "y")}}})
	inner := img.Layers[0].Open
	img.Layers[0].Open = func(ctx context.Context) (io.ReadCloser, error) { opened++; return inner(ctx) }
	o := image.Options{Cache: image.OpenCache(dir, 0)}
	first := read(t, img, o)[0]
	second := read(t, img, o)[0]
	if opened != 1 || !second.FromCache {
		t.Errorf("layer was opened %d times, want once", opened)
	}
	second.FromCache = false
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("the cache changed the layer (-read +cached):\n%s", diff)
	}

	// A manifest that gives another blob this layer's diffID gets no answer from the cache.
	img.Layers[0].Digest = seaworthy.SHA256([]byte("another blob"))
	if l := read(t, img, o)[0]; l.FromCache || !l.Incomplete {
		t.Errorf("a foreign blob passed under a known diffID")
	}
	img.Layers[0].Digest = first.Digest

	// Damage to the file is noticed and mended.
	files, err := filepath.Glob(filepath.Join(dir, "layers", "*.layer"))
	if err != nil || len(files) != 1 {
		t.Fatalf("cache holds %q, %v", files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		broken := bytes.Clone(whole)
		broken[at] ^= 0x40
		if err := os.WriteFile(files[0], broken, 0o600); err != nil {
			t.Fatal(err)
		}
		if l := read(t, img, o)[0]; l.FromCache {
			t.Fatalf("a cache file with byte %d changed was used", at)
		}
	}
	if l := read(t, img, o)[0]; !l.FromCache {
		t.Errorf("the damaged file was not replaced")
	}

	status, err := o.Cache.Status()
	if err != nil || status.Layers != 1 || status.Bytes == 0 {
		t.Errorf("status = %+v, %v", status, err)
	}
	if err := o.Cache.Clear(); err != nil {
		t.Fatal(err)
	}
	if l := read(t, img, o)[0]; l.FromCache {
		t.Errorf("a cleared cache answered")
	}
}

func TestCacheStaysBelowItsSize(t *testing.T) {
	dir := t.TempDir()
	const most = 4000
	o := image.Options{Cache: image.OpenCache(dir, most)}
	var last *oci.Image
	for i := range 20 {
		var files []makeimage.File
		for j := range 10 {
			files = append(files, file(fmt.Sprintf("%d-%d", i, j), fmt.Sprint(i, j)))
		}
		last = memory(t, []makeimage.Layer{{Files: files}})
		read(t, last, o)
	}
	s, err := o.Cache.Status()
	if err != nil || s.Bytes > most || s.Layers == 0 {
		t.Errorf("status = %+v, %v; want some layers within %d bytes", s, err, most)
	}
	if !read(t, last, o)[0].FromCache {
		t.Errorf("the layer used last was removed")
	}
}

func TestCacheIsSafeAmongManyReaders(t *testing.T) {
	dir := t.TempDir()
	img := memory(t, []makeimage.Layer{{Files: []makeimage.File{file("etc/os-release", "ID=a\n")}}, {Files: []makeimage.File{file("b", "b")}}})
	want := read(t, img, image.Options{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				c := image.OpenCache(dir, 300) // small: every reader also evicts
				got, err := image.Read(t.Context(), img, image.Options{Cache: c})
				if err != nil {
					t.Error(err)
					return
				}
				for i := range got {
					got[i].FromCache = false
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("layers differ (-want +got):\n%s", diff)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	img := &oci.Image{Layers: []oci.Layer{{DiffID: seaworthy.SHA256(nil), Size: -1, Open: func(context.Context) (io.ReadCloser, error) {
		cancel()
		return io.NopCloser(&zeros{1 << 40}), nil
	}}}}
	_, err := image.Read(ctx, img, image.Options{})
	if seaworthy.CodeOf(err) != seaworthy.Interrupted {
		t.Errorf("error = %v, want that of the context", err)
	}
}

// FuzzLayer feeds arbitrary bytes as a stored layer: whatever they are, reading ends, and a layer that is not
// marked incomplete has the digests it claims.
func FuzzLayer(f *testing.F) {
	for _, how := range []makeimage.Compression{makeimage.Gzip, makeimage.Zstd, makeimage.Plain} {
		built, err := makeimage.Build([]makeimage.Layer{{Files: []makeimage.File{file("etc/os-release", "ID=debian\n"), {Path: "l", Symlink: "m"}}, Whiteouts: []string{"x"}, Compression: how}}, makeimage.Options{})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(built.Layers[0].Bytes)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		digest := seaworthy.SHA256(b)
		img := &oci.Image{Layers: []oci.Layer{{Digest: digest, Size: int64(len(b)), Open: fixed(string(b))}}}
		l := read(t, img, image.Options{Limits: image.Limits{Unpacked: 64 << 20, Entries: 10_000, File: 1 << 20}})[0]
		if !l.Incomplete && l.Digest != digest {
			t.Errorf("complete, but digest %s is not %s", l.Digest, digest)
		}
		if l.Incomplete == (len(l.Problems) == 0) {
			t.Errorf("incomplete = %v with problems %v", l.Incomplete, l.Problems)
		}
	})
}
