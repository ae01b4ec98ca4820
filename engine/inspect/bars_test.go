package inspect_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/inspect"
	"github.com/seaworthy-dev/seaworthy/internal/makeimage"
	"github.com/seaworthy-dev/seaworthy/source/image"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// heapCap is how much memory the program may take for a hostile image: 256 MB.
const heapCap = 256_000_000

// withinMemory runs f and fails if it had to ask the system for so much that the whole process is over heapCap.
func withinMemory(t *testing.T, f func()) {
	t.Helper()
	debug.FreeOSMemory()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	// What is idle before may be used again unseen: it is counted as used.
	if peak := after.HeapSys + after.StackSys; peak > max(heapCap, before.HeapSys+before.StackSys) {
		t.Errorf("the heap grew to %d MB (from %d MB)", peak/1e6, (before.HeapSys+before.StackSys)/1e6)
	}
}

// compressedTar is the tar that write makes, compressed as it is written.
func compressedTar(t testing.TB, zstandard bool, write func(*tar.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	var z io.WriteCloser
	if zstandard {
		enc, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
		if err != nil {
			t.Fatal(err)
		}
		z = enc
	} else {
		z = gzip.NewWriter(&b)
	}
	w := tar.NewWriter(z)
	if err := write(w); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// stored is a layer of these stored bytes, whatever they unpack to.
func stored(b []byte) oci.Layer {
	return oci.Layer{
		Digest: seaworthy.SHA256(b), Size: int64(len(b)),
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil },
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// bomb is a tar with a small file, and a large one of zeros.
func bomb(size int64) func(*tar.Writer) error {
	return func(w *tar.Writer) error {
		if err := w.WriteHeader(&tar.Header{Name: "opt/before", Mode: 0o644, Size: 1}); err != nil {
			return err
		}
		if _, err := w.Write([]byte("x")); err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: "opt/bomb.bin", Mode: 0o644, Size: size}); err != nil {
			return err
		}
		_, err := io.CopyN(w, zeros{}, size)
		return err
	}
}

// jarOf is a zip of name, content pairs; jars in it are stored if they are to be.
func jarOf(method uint16, pairs ...string) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		f, err := w.CreateHeader(&zip.FileHeader{Name: pairs[i], Method: method})
		if err != nil {
			panic(err)
		}
		if _, err := f.Write([]byte(pairs[i+1])); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

// endlessZip is an archive that holds itself, but for its first 102 bytes, as an entry, again and again, depth times:
// each local header has the central directory of its level in its extra field, and its data are the rest of
// the file. All levels share the same bytes and the same end record.
func endlessZip(depth int) string {
	const (
		name   = "a.jar"
		header = 30 + len(name)
		filler = 12 // so that the directory begins at a round place
		entry  = 46 + len(name)
		level  = header + filler + 4 + entry
	)
	end := make([]byte, 22)
	copy(end, "PK\x05\x06")
	binary.LittleEndian.PutUint16(end[8:], 1)
	binary.LittleEndian.PutUint16(end[10:], 1)
	binary.LittleEndian.PutUint32(end[12:], uint32(entry))
	binary.LittleEndian.PutUint32(end[16:], uint32(level-entry))
	// From the inside out: the innermost holds only the end record. tail is the archive from a level on,
	// in one buffer that is filled from its end.
	whole := make([]byte, depth*level+len(end))
	at := len(whole) - copy(whole[len(whole)-len(end):], end)
	for range depth {
		tail := whole[at:]
		size, crc := uint32(len(tail)), crc32.ChecksumIEEE(tail)
		at -= level
		b := whole[at : at+level]
		copy(b, "PK\x03\x04")
		b[4], b[8] = 20, 0
		binary.LittleEndian.PutUint32(b[14:], crc)
		binary.LittleEndian.PutUint32(b[18:], size)
		binary.LittleEndian.PutUint32(b[22:], size)
		binary.LittleEndian.PutUint16(b[26:], uint16(len(name)))
		binary.LittleEndian.PutUint16(b[28:], uint16(level-header))
		copy(b[30:], name)
		binary.LittleEndian.PutUint16(b[header:], 0xcafe)
		binary.LittleEndian.PutUint16(b[header+2:], uint16(level-header-4))
		d := b[level-entry:]
		copy(d, "PK\x01\x02")
		d[4], d[6] = 20, 20
		binary.LittleEndian.PutUint32(d[16:], crc)
		binary.LittleEndian.PutUint32(d[20:], size)
		binary.LittleEndian.PutUint32(d[24:], size)
		binary.LittleEndian.PutUint16(d[28:], uint16(len(name)))
		copy(d[46:], name)
	}
	return string(whole)
}

// TestBombs has each bomb in the middle of an image: it is named, the layers around it are reported as ever, and
// the report says that it is incomplete.
func TestBombs(t *testing.T) {
	const large = 600 << 20 // over image.RatioFrom
	nested := jarOf(zip.Store, "a", "b")
	for i := range 20 {
		nested = jarOf(zip.Deflate, fmt.Sprintf("n%d.jar", i), nested)
	}
	blank := strings.Repeat("\x00", 60<<20)
	for _, tc := range []struct {
		name  string
		layer oci.Layer
		names string // what the problem must name
	}{
		{"gzip", stored(compressedTar(t, false, bomb(large))), "opt/bomb.bin"},
		{"zstd", stored(compressedTar(t, true, bomb(large))), "opt/bomb.bin"},
		{"zip entry", memory(t, makeimage.Layer{Files: []makeimage.File{file("opt/z.jar", jarOf(zip.Deflate, "lib/zeros.jar", blank))}}).Layers[0], "opt/z.jar!lib/zeros.jar"},
		{"manifest of a jar", memory(t, makeimage.Layer{Files: []makeimage.File{file("opt/m.jar", jarOf(zip.Deflate, "META-INF/MANIFEST.MF", blank))}}).Layers[0], "META-INF/MANIFEST.MF"},
		{"nested 20 deep", memory(t, makeimage.Layer{Files: []makeimage.File{file("opt/deep.jar", nested)}}).Layers[0], "opt/deep.jar!n19.jar"},
		{"an archive that holds itself", memory(t, makeimage.Layer{Files: []makeimage.File{file("opt/self.jar", endlessZip(2000))}}).Layers[0], "opt/self.jar!a.jar!a.jar"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			img := memory(t,
				makeimage.Layer{Files: []makeimage.File{release, dpkg("jq 1.6")}, History: "ADD rootfs"},
				makeimage.Layer{History: "RUN boom"},
				makeimage.Layer{Files: []makeimage.File{dpkg("jq 1.7"), file("app/node_modules/a/package.json", `{"name":"a","version":"1.0.0"}`)}, History: "RUN upgrade"},
			)
			tc.layer.History = "RUN boom"
			img.Layers[1] = tc.layer
			var r *inspect.Report
			withinMemory(t, func() {
				var err error
				if r, err = inspect.Image(t.Context(), img, inspect.Options{}); err != nil {
					t.Fatal(err)
				}
			})
			if !r.Incomplete || !r.Layers[1].Incomplete || r.Layers[0].Incomplete || r.Layers[2].Incomplete {
				t.Errorf("incomplete: %v; by layer %v %v %v; want the report and the second", r.Incomplete, r.Layers[0].Incomplete, r.Layers[1].Incomplete, r.Layers[2].Incomplete)
			}
			named := false
			for _, p := range r.Problems {
				named = named || p.Code == seaworthy.TooLarge && strings.Contains(p.Where+" "+p.Detail, tc.names)
			}
			if !named {
				t.Errorf("no problem names %q: %+v", tc.names, r.Problems)
			}
			found := map[string]bool{}
			for _, p := range r.Packages {
				found[p.Name+" "+p.Version] = true
			}
			if !found["jq 1.7"] || !found["a 1.0.0"] || found["jq 1.6"] {
				t.Errorf("the other layers' packages: %v", found)
			}
		})
	}
}

// TestZstdWindows has many layers that each ask for the largest window there may be.
func TestZstdWindows(t *testing.T) {
	img := memory(t, makeimage.Layer{Files: []makeimage.File{release, dpkg("jq 1.6")}})
	var b bytes.Buffer
	enc, err := zstd.NewWriter(&b, zstd.WithWindowSize(128<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(enc)
	if err := bomb(9 << 20)(w); err != nil {
		t.Fatal(err)
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	enc = nil
	for range 16 {
		img.Layers = append(img.Layers, stored(b.Bytes()))
		img.History = append(img.History, oci.History{})
	}
	debug.FreeOSMemory()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := inspect.Image(t.Context(), img, inspect.Options{Read: image.Options{Parallel: 8}})
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if r.Incomplete {
		t.Errorf("a window as large as the zstd tool allows is refused: %v", r.Problems)
	}
	// The heap may also have given room back since then.
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > heapCap {
		t.Errorf("eight layers at a time took %d MB more", grown/1e6)
	}
}

// TestHostileTars is one layer of everything a tar should not have, beside a package database.
func TestHostileTars(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	put := func(h tar.Header, body string) {
		h.Size = int64(len(body))
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
	}
	status := dpkg("jq 1.6")
	put(tar.Header{Name: "etc/os-release"}, string(release.Body))
	put(tar.Header{Name: "loop/a", Typeflag: tar.TypeSymlink, Linkname: "b"}, "")
	put(tar.Header{Name: "loop/b", Typeflag: tar.TypeSymlink, Linkname: "../loop/a"}, "")
	put(tar.Header{Name: "loop/a/through"}, "x")
	put(tar.Header{Name: "self", Typeflag: tar.TypeLink, Linkname: "self"}, "")
	put(tar.Header{Name: "../../../../outside"}, "x")
	put(tar.Header{Name: "dev/sda", Typeflag: tar.TypeBlock, Devmajor: 8}, "")
	put(tar.Header{Name: "dev/pipe", Typeflag: tar.TypeFifo}, "")
	put(tar.Header{Name: ".wh.absent"}, "")
	put(tar.Header{Name: "no/such/dir/.wh..wh..opq"}, "")
	put(tar.Header{Name: "var/lib/dpkg/status"}, "Package: old\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n\n")
	put(tar.Header{Name: "./var//lib/dpkg/./status"}, string(status.Body)) // the last counts
	for i := range 20_000 {
		put(tar.Header{Name: "same/file"}, fmt.Sprint(i))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r := run(t, makeimage.Layer{Tar: b.Bytes()})
	var names []string
	for _, p := range r.Packages {
		names = append(names, p.Name+" "+p.Version)
	}
	if !slices.Equal(names, []string{"jq 1.6"}) {
		t.Errorf("packages %v, want those of the last of two entries", names)
	}
	if r.Incomplete {
		t.Errorf("a layer read to its end is called incomplete: %v", r.Problems)
	}
	seen := map[string]int{}
	for _, c := range r.Layers[0].Changes {
		seen[c.Path]++
	}
	if seen["outside"] != 1 || seen["same/file"] != 1 {
		t.Errorf("outside is there %d times, same/file %d", seen["outside"], seen["same/file"])
	}
}

// TestAMillionEntries reads as many in time that grows with their number.
func TestAMillionEntries(t *testing.T) {
	if testing.Short() {
		t.Skip("reads a million entries")
	}
	layer := func(n int) oci.Layer {
		return stored(compressedTar(t, true, func(w *tar.Writer) error {
			for i := range n {
				if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("d%d/%d", i%1000, i), Mode: 0o644, Format: tar.FormatUSTAR}); err != nil {
					return err
				}
			}
			return w.Close()
		}))
	}
	measure := func(n int) time.Duration {
		img := &oci.Image{Name: "many", Kind: "archive", Layers: []oci.Layer{layer(n)}}
		start := time.Now()
		r, err := inspect.Image(t.Context(), img, inspect.Options{Read: image.Options{Limits: image.Limits{Ratio: 1 << 20}}})
		if err != nil {
			t.Fatal(err)
		}
		if r.Incomplete || r.Layers[0].Files.Added != n {
			t.Fatalf("%d files added, want %d (%v)", r.Layers[0].Files.Added, n, r.Problems)
		}
		return time.Since(start)
	}
	small, large := measure(100_000), measure(1_000_000)
	if large > 40*small+time.Second {
		t.Errorf("ten times the entries take %v instead of %v", large, small)
	}
}

// TestArchivesThatContradictThemselves are reported with both of their views.
func TestArchivesThatContradictThemselves(t *testing.T) {
	honest := jarOf(zip.Store, "META-INF/MANIFEST.MF", "Manifest-Version: 1.0\nImplementation-Title: good\nImplementation-Version: 1\n")
	lying := strings.Replace(honest, "META-INF/MANIFEST.MF", "META-INF/MANIFEST.XX", 1) // the local header; the directory keeps its name
	r := run(t, makeimage.Layer{Files: []makeimage.File{release, file("opt/liar.jar", lying)}})
	if len(r.Problems) == 0 || !strings.Contains(r.Problems[0].Where, "opt/liar.jar") || !strings.Contains(r.Problems[0].Detail, "MANIFEST.XX") || !strings.Contains(r.Problems[0].Detail, "MANIFEST.MF") {
		t.Errorf("problems %+v do not name both views", r.Problems)
	}
	if got := text(t, r, 0); !strings.Contains(got, "MANIFEST.XX") {
		t.Errorf("the text does not say so:\n%s", got)
	}
}
