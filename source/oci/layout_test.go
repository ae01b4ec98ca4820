package oci

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

func TestLayout(t *testing.T) {
	w := newWorld()
	one := w.image(amd64, "one")
	two := w.image(arm64, "two")
	multi := w.index(on(one, amd64), on(two, arm64))
	nested := w.index(w.index(w.index(on(one, amd64))))
	dir := w.layout(t, tagged(one, "one"), tagged(two, "registry.example/x:two"), tagged(multi, "multi"), tagged(nested, "nested"))

	for _, c := range []struct {
		target   string
		platform string
		want     Descriptor
		index    seaworthy.Digest
	}{
		{dir + ":one", "", one, ""},
		{dir + ":two", "", two, ""},
		{dir + ":registry.example/x:two", "", two, ""},
		{"oci-dir:" + dir + ":multi", "linux/arm64", two, multi.Digest},
		{dir + ":multi", "linux/amd64", one, multi.Digest},
		{dir + "@" + string(two.Digest), "", two, ""},
		{dir + ":nested", "linux/amd64", one, nested.Digest},
	} {
		p, err := ParsePlatform(c.platform)
		if err != nil {
			t.Fatal(err)
		}
		im, err := Open(t.Context(), c.target, Options{Platform: p})
		if err != nil {
			t.Errorf("%s: %v", c.target, err)
			continue
		}
		if im.Digest != c.want.Digest || im.Kind != KindLayout || im.Name != c.target {
			t.Errorf("%s: got %s %s %q", c.target, im.Digest, im.Kind, im.Name)
		}
		if c.index == "" && im.Index != nil || c.index != "" && (im.Index == nil || im.Index.Digest != c.index) {
			t.Errorf("%s: index %v, want %s", c.target, im.Index, c.index)
		}
		checkLayers(t, im)
		if im.Layers[1].History != "RUN step 1" || len(im.History) != 4 || !im.History[1].EmptyLayer || im.Ports[0] != "80/tcp" || im.Labels["l"] != "v" || im.Created.Year() != 2026 {
			t.Errorf("%s: configuration read wrongly: %+v", c.target, im)
		}
		if err := im.Close(); err != nil {
			t.Error(err)
		}
	}

	_, err := Open(t.Context(), dir, Options{})
	wantCode(t, err, seaworthy.Usage, `"one"`, `"multi"`)
	_, err = Open(t.Context(), dir+":nine", Options{})
	wantCode(t, err, seaworthy.NotFound, `"nine"`, `"one"`)
	_, err = Open(t.Context(), dir+":multi", Options{Platform: Platform{OS: "linux", Arch: "s390x"}})
	wantCode(t, err, seaworthy.NotFound, "linux/s390x", `"linux/amd64"`, `"linux/arm64/v8"`)
	_, err = Open(t.Context(), dir+":one", Options{Platform: Platform{OS: "linux", Arch: "s390x"}})
	wantCode(t, err, seaworthy.NotFound, "linux/s390x", "linux/amd64")
}

// TestLayoutPlatformsSideBySide reads a layout whose index.json is itself the list of platforms, with an
// attestation beside them, as buildkit writes it.
func TestLayoutPlatformsSideBySide(t *testing.T) {
	w := newWorld()
	one, two := w.image(amd64, "one"), w.image(arm64, "two")
	att := on(w.image(Platform{OS: "unknown", Arch: "unknown"}, "att"), Platform{OS: "unknown", Arch: "unknown"})
	dir := w.layout(t, on(one, amd64), on(two, arm64), att)
	im, err := Open(t.Context(), dir, Options{Platform: Platform{OS: "linux", Arch: "arm64"}})
	if err != nil || im.Digest != two.Digest {
		t.Fatal(im, err)
	}
	// One platform only, and nobody asked: whatever it is.
	strange := w.image(Platform{OS: "linux", Arch: "mips"}, "mips")
	dir = w.layout(t, w.index(on(strange, Platform{OS: "linux", Arch: "mips"}), att))
	if im, err = Open(t.Context(), dir, Options{}); err != nil || im.Digest != strange.Digest {
		t.Fatal(im, err)
	}
}

func TestLayoutSHA512(t *testing.T) {
	w := newWorld()
	d := w.image(amd64, "x")
	b := w.blobs[d.Digest]
	d.Digest = sha512Of(b)
	w.blobs[d.Digest] = b
	im, err := Open(t.Context(), w.layout(t, d), Options{})
	if err != nil || im.Digest != d.Digest {
		t.Fatal(im, err)
	}
	w.blobs[d.Digest] = append([]byte(" "), b[:len(b)-1]...)
	_, err = Open(t.Context(), w.layout(t, d), Options{})
	wantCode(t, err, seaworthy.Mismatch)
}

func TestLayoutRefused(t *testing.T) {
	base := func() (*world, Descriptor) { w := newWorld(); return w, w.image(amd64, "x") }
	edit := func(w *world, d Descriptor, change func(map[string]any)) Descriptor {
		var m map[string]any
		if err := json.Unmarshal(w.blobs[d.Digest], &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		return w.addJSON(m, MediaTypeManifest)
	}
	layer := func(m map[string]any, i int) map[string]any { return m["layers"].([]any)[i].(map[string]any) }
	for name, c := range map[string]struct {
		make  func(t *testing.T) string
		code  seaworthy.Code
		words []string
	}{
		"manifest bytes changed": {func(t *testing.T) string {
			w, d := base()
			b := append([]byte(nil), w.blobs[d.Digest]...)
			b[len(b)-2] = ' '
			w.blobs[d.Digest] = b
			return w.layout(t, d)
		}, seaworthy.Mismatch, nil},
		"manifest size lies": {func(t *testing.T) string { w, d := base(); d.Size++; return w.layout(t, d) }, seaworthy.Mismatch, []string{"were announced"}},
		"layer size lies": {func(t *testing.T) string {
			w, d := base()
			return w.layout(t, edit(w, d, func(m map[string]any) { layer(m, 1)["size"] = 5 }))
		}, seaworthy.Mismatch, []string{"layer 2 of 2"}},
		"negative size": {func(t *testing.T) string {
			w, d := base()
			return w.layout(t, edit(w, d, func(m map[string]any) { layer(m, 1)["size"] = -5 }))
		}, seaworthy.Invalid, []string{"layer 1"}},
		"layer digest is a path": {func(t *testing.T) string {
			w, d := base()
			return w.layout(t, edit(w, d, func(m map[string]any) { layer(m, 0)["digest"] = "sha256:../../../etc/passwd" }))
		}, seaworthy.Invalid, []string{"digest"}},
		"layer missing": {func(t *testing.T) string {
			w, d := base()
			return w.layout(t, edit(w, d, func(m map[string]any) { layer(m, 0)["digest"] = "sha256:" + strings.Repeat("0", 64) }))
		}, seaworthy.NotFound, []string{"layer 1 of 2", "sha256:000000000000"}},
		"config size beyond limit": {func(t *testing.T) string {
			w, d := base()
			return w.layout(t, edit(w, d, func(m map[string]any) { m["config"].(map[string]any)["size"] = 1 << 40 }))
		}, seaworthy.TooLarge, nil},
		"media type lies": {func(t *testing.T) string {
			w, d := base()
			d.MediaType = MediaTypeDockerManifest
			return w.layout(t, d)
		}, seaworthy.Mismatch, []string{"media type"}},
		"index and manifest in one": {func(t *testing.T) string {
			w, d := base()
			return w.layout(t, edit(w, d, func(m map[string]any) { m["manifests"] = []any{} }))
		}, seaworthy.Invalid, []string{"both"}},
		"artifact": {func(t *testing.T) string {
			w, d := base()
			return w.layout(t, edit(w, d, func(m map[string]any) {
				m["config"].(map[string]any)["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
			}))
		}, seaworthy.Unsupported, []string{"helm"}},
		"duplicate keys": {func(t *testing.T) string {
			w, d := base()
			b := append([]byte(`{"layers":[],`), w.blobs[d.Digest][1:]...)
			return w.layout(t, w.add(b))
		}, seaworthy.Invalid, []string{"duplicate"}},
		"fewer diff ids than layers": {func(t *testing.T) string {
			w, d := base()
			return w.layout(t, edit(w, d, func(m map[string]any) { m["layers"] = m["layers"].([]any)[:1] }))
		}, seaworthy.Invalid, []string{"names 2 layers"}},
		"schema 1": {func(t *testing.T) string {
			w := newWorld()
			return w.layout(t, w.add([]byte(`{"schemaVersion":1,"fsLayers":[]}`)))
		}, seaworthy.Unsupported, []string{"schema 1"}},
		"index 50 deep": {func(t *testing.T) string {
			w, d := base()
			d = on(d, amd64)
			for range 50 {
				d = w.index(d)
			}
			return w.layout(t, d)
		}, seaworthy.TooLarge, []string{"deeper than 8"}},
		"index in itself": {func(t *testing.T) string {
			// A digest cannot be that of an index that holds it; a layout can only pretend.
			w := newWorld()
			self := Descriptor{MediaType: MediaTypeIndex, Digest: seaworthy.SHA256([]byte("self"))}
			b, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": MediaTypeIndex, "manifests": []Descriptor{self}})
			self.Size = int64(len(b))
			w.blobs[self.Digest] = b
			return w.layout(t, self)
		}, seaworthy.Mismatch, nil},
		"100k layers": {func(t *testing.T) string {
			w, d := base()
			return w.layout(t, edit(w, d, func(m map[string]any) {
				all := make([]any, 100_000)
				for i := range all {
					all[i] = layer(m, 0)
				}
				m["layers"] = all
			}))
		}, seaworthy.TooLarge, nil},
		"10,001 layers": {func(t *testing.T) string {
			w, d := base()
			return w.layout(t, edit(w, d, func(m map[string]any) {
				all := make([]any, 10_001)
				for i := range all {
					all[i] = layer(m, 0)
				}
				m["layers"] = all
			}))
		}, seaworthy.TooLarge, []string{"10001 layers"}},
		"blob links out of the layout": {func(t *testing.T) string {
			w, d := base()
			dir := w.layout(t, d)
			blob := filepath.Join(dir, blobPath(d.Digest))
			outside := write(t, filepath.Join(t.TempDir(), "x"), w.blobs[d.Digest])
			os.Remove(blob)
			if err := os.Symlink(outside, blob); err != nil {
				t.Fatal(err)
			}
			return dir
		}, seaworthy.Forbidden, []string{"leads out"}},
		"blob is a directory": {func(t *testing.T) string {
			w, d := base()
			dir := w.layout(t, d)
			blob := filepath.Join(dir, blobPath(d.Digest))
			os.Remove(blob)
			os.Mkdir(blob, 0o755)
			return dir
		}, seaworthy.Unsupported, nil},
		"index.json is nonsense": {func(t *testing.T) string {
			w, d := base()
			dir := w.layout(t, d)
			write(t, filepath.Join(dir, "index.json"), []byte("nonsense"))
			return dir
		}, seaworthy.Invalid, []string{"index.json"}},
		"nothing in it": {func(t *testing.T) string { return newWorld().layout(t) }, seaworthy.NotFound, nil},
	} {
		t.Run(name, func(t *testing.T) {
			im, err := Open(t.Context(), c.make(t), Options{MaxManifest: 16 << 20})
			for i := 0; err == nil && i < len(im.Layers); i++ { // a layer is refused when it is opened
				if _, err = im.Layers[i].Open(t.Context()); err != nil {
					err = fmt.Errorf("layer %d of %d: %w", i+1, len(im.Layers), err)
				}
			}
			if err == nil {
				t.Fatalf("opened: %s", im.Digest)
			}
			wantCode(t, err, c.code, c.words...)
		})
	}
}

// TestLayoutLayerChanges reads a layer that shrank after it was opened.
func TestLayoutLayerChanges(t *testing.T) {
	w := newWorld()
	d := w.image(amd64, "x")
	dir := w.layout(t, d)
	im, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	if err := os.Truncate(filepath.Join(dir, blobPath(im.Layers[0].Digest)), 3); err != nil {
		t.Fatal(err)
	}
	_, err = im.Layers[0].Open(t.Context())
	wantCode(t, err, seaworthy.Mismatch, im.Layers[0].Digest.Short())
}

// TestForeignLayer opens an image whose foreign layer is not there: only reading that layer fails.
func TestForeignLayer(t *testing.T) {
	w := newWorld()
	a := tarOf("a", "b")
	away := Descriptor{MediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Digest: seaworthy.SHA256([]byte("away")), Size: 4, URLs: []string{"http://169.254.169.254/"}}
	im, err := Open(t.Context(), w.layout(t, w.manifest(w.addJSON(config(amd64, a), MediaTypeConfig), away)), Options{})
	if err != nil || !im.Layers[0].Foreign || len(im.Layers[0].URLs) != 1 {
		t.Fatal(im, err)
	}
	defer im.Close()
	_, err = im.Layers[0].Open(t.Context())
	wantCode(t, err, seaworthy.NotFound, away.Digest.Short())
}

// TestConfigOddities reads configurations as old tools wrote them.
func TestConfigOddities(t *testing.T) {
	diff := string(seaworthy.SHA256(nil))
	for name, raw := range map[string]string{
		"nulls":          `{"created":null,"architecture":"amd64","os":"linux","config":{"Env":null,"Labels":null,"Cmd":null,"Volumes":null},"rootfs":{"type":"layers","diff_ids":["` + diff + `"]},"history":null}`,
		"no time":        `{"created":"yesterday","os":"linux","rootfs":{"diff_ids":["` + diff + `"]}}`,
		"not UTF-8":      "{\"author\":\"J\xf6rg\",\"rootfs\":{\"diff_ids\":[\"" + diff + "\"]}}",
		"unknown fields": `{"container_config":{"Hostname":"x","Healthcheck":{"Test":["x"]}},"docker_version":"1","rootfs":{"diff_ids":["` + diff + `"]}}`,
		"other history":  `{"history":[{"created_by":"a"},{"created_by":"b"}],"rootfs":{"diff_ids":["` + diff + `"]}}`,
	} {
		im := &Image{Layers: make([]Layer, 1)}
		if err := im.setConfig([]byte(raw)); err != nil || string(im.Layers[0].DiffID) != diff || im.Layers[0].History != "" {
			t.Errorf("%s: %v, %+v", name, err, im.Layers[0])
		}
	}
}
