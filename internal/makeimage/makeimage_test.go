package makeimage

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

var sample = []Layer{
	{History: "ADD rootfs", Files: []File{
		{Path: "etc/os-release", Body: []byte("ID=debian\n")},
		{Path: "etc/motd", Body: []byte("hello\n")},
		{Path: "usr/bin/ping", Mode: 0o755 | fs.ModeSetuid, Body: []byte("x"), Xattrs: map[string]string{"security.capability": "\x01"}},
		{Path: "bin", Symlink: "usr/bin"},
		{Path: "var/empty", Mode: fs.ModeDir},
	}},
	{History: "ENV A=b", Empty: true},
	{History: "RUN rm /etc/motd", Whiteouts: []string{"etc/motd"}, Opaques: []string{"var/empty"}},
	{History: "COPY app", Files: []File{{Path: "app", Body: []byte("v1"), UID: 7}, {Path: "app2", Hardlink: "app"}}},
}

// TestOthersReadIt has another implementation read and validate what is written.
func TestOthersReadIt(t *testing.T) {
	for name, o := range map[string]Options{
		"oci":    {Name: "example.org/app:1", Entrypoint: []string{"/app"}, Labels: map[string]string{"a": "b"}},
		"docker": {Docker: true, Architecture: "arm64", Variant: "v8"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "layout")
			img, err := Layout(dir, sample, o)
			if err != nil {
				t.Fatal(err)
			}
			read, err := layout.ImageIndexFromPath(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Index(read); err != nil {
				t.Error(err)
			}
			got, err := read.Image(v1.Hash{Algorithm: "sha256", Hex: img.Digest().Hex()})
			if err != nil {
				t.Fatal(err)
			}
			config, err := got.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			if len(config.History) != 4 || len(config.RootFS.DiffIDs) != 3 || !config.History[1].EmptyLayer {
				t.Errorf("config: %+v", config)
			}

			archive := filepath.Join(t.TempDir(), "image.tar")
			write(t, archive, img.WriteDockerArchive)
			tarred, err := tarball.ImageFromPath(archive, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Image(tarred); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLayersAreStoredAsTheySay(t *testing.T) {
	layers := []Layer{
		{Files: sample[0].Files, Compression: Zstd}, {Files: sample[0].Files}, {Files: sample[0].Files, Compression: Plain},
	}
	img, err := Build(layers, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if img.Layers[0].MediaType != ociTypes.zstd || !bytes.HasPrefix(img.Layers[0].Bytes, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		t.Errorf("zstd layer: %s % x", img.Layers[0].MediaType, img.Layers[0].Bytes[:4])
	}
	if img.Layers[0].DiffID != img.Layers[1].DiffID {
		t.Error("the same files have two diffIDs")
	}
	if plain := img.Layers[2]; plain.MediaType != ociTypes.plain || plain.Digest != plain.DiffID {
		t.Errorf("plain layer: %s, digest %s", plain.MediaType, plain.Digest)
	}
	unzip, err := gzip.NewReader(bytes.NewReader(img.Layers[1].Bytes))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(unzip)
	if err != nil || !bytes.Equal(raw, img.Layers[1].Tar) {
		t.Errorf("gzip layer: %v", err)
	}
}

func TestEntries(t *testing.T) {
	img, err := Build(sample, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, layer := range img.Layers {
		r := tar.NewReader(bytes.NewReader(layer.Tar))
		for {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, h.FileInfo().Mode().String()+" "+h.Name+" "+h.Linkname)
		}
	}
	want := []string{
		"drwxr-xr-x etc/ ", "-rw-r--r-- etc/os-release ", "-rw-r--r-- etc/motd ",
		"drwxr-xr-x usr/ ", "drwxr-xr-x usr/bin/ ", "urwxr-xr-x usr/bin/ping ", "Lrwxrwxrwx bin usr/bin",
		"drwxr-xr-x var/ ", "drwxr-xr-x var/empty/ ",
		"drwxr-xr-x var/ ", "drwxr-xr-x var/empty/ ", "-rw-r--r-- var/empty/.wh..wh..opq ",
		"drwxr-xr-x etc/ ", "-rw-r--r-- etc/.wh.motd ",
		"-rw-r--r-- app ", "-rw-r--r-- app2 app",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSameBytesEveryTime(t *testing.T) {
	var first []byte
	for range 2 {
		img, err := Build(sample, Options{Name: "a"})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := img.WriteOCIArchive(&b); err != nil {
			t.Fatal(err)
		}
		if first != nil && !bytes.Equal(first, b.Bytes()) {
			t.Error("the second archive differs from the first")
		}
		first = b.Bytes()
	}
}

func TestIndex(t *testing.T) {
	dir := t.TempDir()
	var images []*Image
	for _, arch := range []string{"amd64", "arm64"} {
		img, err := Build(sample, Options{Architecture: arch})
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, img)
	}
	if _, err := WriteIndex(dir, "multi:1", images...); err != nil {
		t.Fatal(err)
	}
	if err := images[0].WriteLayout(dir); err != nil {
		t.Fatal(err)
	}
	read, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	top, err := read.IndexManifest()
	if err != nil || len(top.Manifests) != 2 {
		t.Fatalf("index.json: %+v, %v", top, err)
	}
	if err := validate.Index(read); err != nil {
		t.Error(err)
	}
}

func write(t *testing.T, file string, fill func(io.Writer) error) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := fill(f); err != nil {
		t.Fatal(err)
	}
}
