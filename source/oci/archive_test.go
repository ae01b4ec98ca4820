package oci

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// legacy is what docker save wrote before version 25: a directory for each layer, the same layer as a link.
func legacy(tag string) []byte {
	a, b := tarOf("etc/a", "one"), tarOf("etc/b", strings.Repeat("two", 100))
	cfg := asJSON(config(amd64, a, b, a))
	h1, h2, h3 := strings.Repeat("1", 64), strings.Repeat("2", 64), strings.Repeat("3", 64)
	name := seaworthy.SHA256([]byte(cfg)).Hex() + ".json"
	return tarOf(h1+"/VERSION", "1.0", h1+"/json", "{}", h1+"/layer.tar", string(a), h2+"/layer.tar", string(b), h3+"/layer.tar -> ../"+h1+"/layer.tar", "",
		name, cfg, "manifest.json", asJSON([]dockerEntry{{Config: name, RepoTags: []string{tag}, Layers: []string{h1 + "/layer.tar", h2 + "/layer.tar", h3 + "/layer.tar"}}}),
		"repositories", "{}")
}

// modern is what docker save writes since: an OCI layout and manifest.json over the same blobs.
func modern() (raw []byte, digest seaworthy.Digest) {
	w := newWorld()
	a, b := tarOf("etc/a", "one"), tarOf("etc/b", "two")
	cfg := w.addJSON(config(amd64, a, b), MediaTypeConfig)
	one, two := w.add(a), w.add(b)
	one.MediaType, two.MediaType = "application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar"
	m := w.manifest(cfg, one, two)
	pairs := []string{}
	for d, blob := range w.blobs {
		pairs = append(pairs, blobPath(d), string(blob))
	}
	pairs = append(pairs, "index.json", asJSON(map[string]any{"schemaVersion": 2, "manifests": []Descriptor{tagged(m, "1.2")}}),
		"manifest.json", asJSON([]dockerEntry{{Config: blobPath(cfg.Digest), RepoTags: []string{"team/app:1.2"}, Layers: []string{blobPath(one.Digest), blobPath(two.Digest)}}}),
		"oci-layout", `{"imageLayoutVersion":"1.0.0"}`)
	return tarOf(pairs...), m.Digest
}

func TestArchive(t *testing.T) {
	mod, digest := modern()
	for name, raw := range map[string][]byte{"legacy": legacy("team/app:1.2"), "modern": mod} {
		for how, pack := range map[string]func([]byte) []byte{"tar": func(b []byte) []byte { return b }, "tar.gz": gzipped, "tar.zst": zstded} {
			t.Run(name+"."+how, func(t *testing.T) {
				path := write(t, filepath.Join(t.TempDir(), "x"), pack(raw))
				for _, o := range []Options{{}, {Image: "team/app:1.2"}, {Image: "1.2"}, {Image: "docker.io/team/app:1.2"}} {
					im, err := Open(t.Context(), path, o)
					if err != nil {
						t.Fatal(o.Image, err)
					}
					if im.Kind != KindArchive || len(im.Tags) == 0 || im.Tags[len(im.Tags)-1] != "team/app:1.2" || (how == "tar") != (im.Each == nil) {
						t.Errorf("got %s %q, each %t", im.Kind, im.Tags, im.Each != nil)
					}
					if name == "modern" && (im.Digest != digest || im.Manifest == nil) || name == "legacy" && (im.Digest != seaworthy.SHA256(im.Config) || im.Manifest != nil) {
						t.Errorf("digest %s", im.Digest)
					}
					checkLayers(t, im)
					checkLayers(t, im) // a second time
					if err := im.Close(); err != nil {
						t.Error(err)
					}
				}
				_, err := Open(t.Context(), path, Options{Image: "nine"})
				wantCode(t, err, seaworthy.NotFound, `"nine"`)
			})
		}
	}
}

func TestArchiveEach(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "x.tgz"), gzipped(legacy("a:1")))
	im, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	var order []int
	stop := errors.New("enough")
	err = im.Each(t.Context(), func(i int, r io.Reader) error {
		if order = append(order, i); len(order) == 2 {
			return stop
		}
		return nil // not read at all
	})
	if err != stop || order[0] != 0 || order[1] != 2 { // layer 2 is layer 0 again
		t.Errorf("got %v, order %v", err, order)
	}
}

// TestArchiveSeveral chooses among images that share an archive.
func TestArchiveSeveral(t *testing.T) {
	a := tarOf("a", "a")
	one, two := asJSON(config(amd64, a)), asJSON(config(arm64, a))
	raw := tarOf("1.json", one, "2.json", two, "l/layer.tar", string(gzipped(a)),
		"manifest.json", asJSON([]dockerEntry{{Config: "1.json", RepoTags: []string{"a:1", "a:one"}, Layers: []string{"l/layer.tar"}}, {Config: "2.json", RepoTags: []string{"a:2"}, Layers: []string{"l/layer.tar"}}}))
	path := write(t, filepath.Join(t.TempDir(), "x.tar"), raw)
	_, err := Open(t.Context(), path, Options{})
	wantCode(t, err, seaworthy.Usage, `"a:1 = a:one"`, `"a:2"`)
	im, err := Open(t.Context(), path, Options{Image: "a:2"})
	if err != nil || im.Platform.Arch != "arm64" || im.Layers[0].MediaType != mediaTypeDockerLayerGzip {
		t.Fatal(im, err)
	}
	checkLayers(t, im)
}

// TestArchiveCut cuts archives at every block and wants an error that names something, or a whole image.
func TestArchiveCut(t *testing.T) {
	mod, _ := modern()
	for name, raw := range map[string][]byte{"legacy": legacy("a:1"), "modern": mod} {
		dir := t.TempDir()
		for cut := 0; cut < len(raw); cut += 256 {
			for _, pack := range []func([]byte) []byte{func(b []byte) []byte { return b }, gzipped} {
				path := write(t, filepath.Join(dir, "x.tar"), pack(raw[:cut]))
				im, err := Open(t.Context(), "archive:"+path, Options{})
				if err == nil {
					checkLayers(t, im) // what was cut off was not needed
					im.Close()
					continue
				}
				if code := seaworthy.CodeOf(err); code != seaworthy.Invalid && code != seaworthy.Unsupported && code != seaworthy.NotFound {
					t.Fatalf("%s cut at %d: %v (%s)", name, cut, err, code)
				}
			}
		}
	}
	whole := gzipped(legacy("a:1"))
	path := write(t, filepath.Join(t.TempDir(), "x.tar.gz"), whole[:len(whole)/2])
	_, err := Open(t.Context(), path, Options{})
	wantCode(t, err, seaworthy.Invalid, "manifest.json", "cut off")
	_, err = Open(t.Context(), write(t, filepath.Join(t.TempDir(), "x.tar"), legacy("a:1")[:1024+300]), Options{})
	wantCode(t, err, seaworthy.Invalid, "manifest.json", "cut off")
}

func TestArchiveRefused(t *testing.T) {
	a := tarOf("a", "a")
	cfg := asJSON(config(amd64, a))
	manifest := func(config string, layers ...string) string {
		return asJSON([]dockerEntry{{Config: config, Layers: layers}})
	}
	many := make([]string, 100_000)
	for i := range many {
		many[i] = "l"
	}
	for name, c := range map[string]struct {
		raw   []byte
		code  seaworthy.Code
		words []string
	}{
		"two manifests":            {tarOf("c.json", cfg, "l", string(a), "manifest.json", manifest("c.json", "l"), "./manifest.json", manifest("c.json", "l")), seaworthy.Invalid, []string{"twice"}},
		"link loop":                {tarOf("c.json", cfg, "l -> m", "", "m -> l", "", "manifest.json", manifest("c.json", "l")), seaworthy.Invalid, []string{"on and on"}},
		"link out":                 {tarOf("c.json", cfg, "l -> ../../etc/passwd", "", "manifest.json", manifest("c.json", "l")), seaworthy.NotFound, []string{"layer 1 of 1"}},
		"absolute link":            {tarOf("c.json", cfg, "l -> /etc/passwd", "", "manifest.json", manifest("c.json", "l")), seaworthy.NotFound, nil},
		"layer path out":           {tarOf("c.json", cfg, "manifest.json", manifest("c.json", "../../etc/passwd")), seaworthy.NotFound, []string{"passwd"}},
		"layer missing":            {tarOf("c.json", cfg, "manifest.json", manifest("c.json", "gone/layer.tar")), seaworthy.NotFound, []string{"gone/layer.tar", "layer 1 of 1"}},
		"configuration missing":    {tarOf("l", string(a), "manifest.json", manifest("c.json", "l")), seaworthy.NotFound, []string{"c.json"}},
		"configuration is another": {tarOf(strings.Repeat("0", 64)+".json", cfg, "l", string(a), "manifest.json", manifest(strings.Repeat("0", 64)+".json", "l")), seaworthy.Mismatch, nil},
		"manifest.json is no list": {tarOf("manifest.json", `{"Config":"x"}`), seaworthy.Invalid, []string{"manifest.json"}},
		"manifest.json is empty":   {tarOf("manifest.json", `[]`), seaworthy.NotFound, nil},
		"no manifest at all":       {tarOf("etc/passwd", "root"), seaworthy.Unsupported, []string{"manifest.json"}},
		"100k layers":              {tarOf("c.json", cfg, "l", string(a), "manifest.json", manifest("c.json", many...)), seaworthy.TooLarge, []string{"100000 layers"}},
		"more layers than diffs":   {tarOf("c.json", cfg, "l", string(a), "manifest.json", manifest("c.json", "l", "l")), seaworthy.Invalid, []string{"names 1 layers"}},
		"not a tar":                {[]byte("hello"), seaworthy.Invalid, []string{"manifest.json"}},
		"empty":                    {nil, seaworthy.Unsupported, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, pack := range []func([]byte) []byte{func(b []byte) []byte { return b }, gzipped} {
				im, err := Open(t.Context(), "archive:"+write(t, filepath.Join(t.TempDir(), "x"), pack(c.raw)), Options{})
				if err == nil {
					t.Fatalf("opened %s", im.Digest)
				}
				wantCode(t, err, c.code, c.words...)
			}
		})
	}
}

// TestArchiveBomb stops unpacking an archive that is nearly nothing compressed.
func TestArchiveBomb(t *testing.T) {
	raw := gzipped(tarOf("blobs/sha256/x", strings.Repeat("\x00", 8<<20)))
	_, err := Open(t.Context(), "archive:"+write(t, filepath.Join(t.TempDir(), "x"), raw), Options{MaxUnpacked: 1 << 20})
	wantCode(t, err, seaworthy.TooLarge, "unpacks to more than")
}

// TestArchiveSameLayerOften bounds the passes over a compressed archive.
func TestArchiveSameLayerOften(t *testing.T) {
	for _, c := range []struct {
		size, times int
		ok          bool
	}{{10, 1000, true}, {maxReplay + 1, 3, true}, {maxReplay + 1, 20, false}} {
		a := tarOf("a", strings.Repeat("x", c.size))
		diffs, names := make([][]byte, c.times), make([]string, c.times)
		for i := range diffs {
			diffs[i], names[i] = a, "l"
		}
		raw := gzipped(tarOf("c.json", asJSON(config(amd64, diffs...)), "l", string(a), "manifest.json", asJSON([]dockerEntry{{Config: "c.json", Layers: names}})))
		im, err := Open(t.Context(), write(t, filepath.Join(t.TempDir(), "x"), raw), Options{})
		if err != nil {
			t.Fatal(err)
		}
		seen := make([]int, c.times)
		err = im.Each(t.Context(), func(i int, r io.Reader) error { seen[i]++; return nil })
		im.Close()
		if !c.ok {
			wantCode(t, err, seaworthy.TooLarge)
			continue
		}
		for i, n := range seen {
			if n != 1 || err != nil {
				t.Fatalf("layer %d visited %d times, %v", i, n, err)
			}
		}
	}
}

// TestArchiveDamagedLater cuts a compressed archive after it was opened.
func TestArchiveDamagedLater(t *testing.T) {
	raw := gzipped(legacy("a:1"))
	path := write(t, filepath.Join(t.TempDir(), "x"), raw)
	im, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	for cut := range len(raw) - 1 {
		if err := os.Truncate(path, int64(len(raw)-1-cut)); err != nil {
			t.Fatal(err)
		}
		read := 0
		err := im.Each(t.Context(), func(_ int, r io.Reader) error { read++; _, err := io.Copy(io.Discard, r); return err })
		if err == nil && read != 3 {
			t.Fatalf("cut to %d: %d layers read and no error", len(raw)-1-cut, read)
		}
		if err != nil {
			wantCode(t, err, seaworthy.Invalid)
		}
	}
}
