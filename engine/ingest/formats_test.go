package ingest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/bill"
	"github.com/seaworthy-dev/seaworthy/engine/ingest"
	"github.com/seaworthy-dev/seaworthy/engine/inspect"
	"github.com/seaworthy-dev/seaworthy/internal/makeimage"
	"github.com/seaworthy-dev/seaworthy/source/image"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// A bill of our own says the same in every format it is written in: which layer has what, what depends on what.
func TestAllFormatsSayTheSame(t *testing.T) {
	dir := t.TempDir()
	built, err := makeimage.Layout(dir, []makeimage.Layer{
		{Files: []makeimage.File{
			{Path: "etc/os-release", Body: []byte("ID=debian\nVERSION_ID=\"12\"\n")},
			{Path: "var/lib/dpkg/status", Body: []byte("Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9\nMaintainer: GNU Libc Maintainers <glibc@lists.example>\n\nPackage: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2\nPre-Depends: libc6 (>= 2.36)\n")},
		}, History: "ADD rootfs"},
		{Files: []makeimage.File{
			{Path: "app/node_modules/a/package.json", Body: []byte(`{"name":"a","version":"1.0.0","license":"MIT","dependencies":{"b":"^1"}}`)},
			{Path: "app/node_modules/b/package.json", Body: []byte(`{"name":"b","version":"1.2.0","license":"ISC","repository":"https://github.com/example/b"}`)},
			{Path: "usr/local/bin/tool", Body: []byte("\x7fELF\x02\x01\x01 a program"), Mode: 0o755},
		}, History: "COPY app"},
	}, makeimage.Options{Name: "1.0"})
	if err != nil {
		t.Fatal(err)
	}
	img, err := oci.Open(t.Context(), dir, oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	report, err := inspect.Image(t.Context(), img, inspect.Options{Read: image.Options{}})
	if err != nil {
		t.Fatal(err)
	}
	b := bill.FromReport(report, bill.Options{Tool: seaworthy.Tool{Name: "test", Version: "1"}, Name: "registry.example/app"})
	in, _ := newIngester(t, ingest.Options{})
	var first []string
	for _, f := range bill.Formats {
		if f.Name == "purls" {
			continue
		}
		var out bytes.Buffer
		if err := f.Write(&out, b); err != nil {
			t.Fatal(err)
		}
		e, err := in.Reparse(seaworthy.Document{}, out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for line := range strings.Lines(written(e)) {
			if strings.Contains(line, "->") || strings.Contains(line, "is found by") {
				lines = append(lines, line)
			}
		}
		if first == nil {
			first = lines
			layer := "artifact " + string(built.Layers[1].Digest)
			for _, want := range []string{
				layer + " -contains-> package pkg:npm/a@1.0.0 layer=\"" + string(built.Layers[1].DiffID) + "\" path=\"/app/node_modules/a/package.json\"\n",
				"artifact " + string(built.Digest()) + " -contains-> " + layer + "\n",
				layer + " -same-> artifact " + string(built.Layers[1].DiffID) + " why=\"layer and its diffID\"\n",
				"package pkg:deb/debian/bash@5.2?arch=amd64&distro=debian-12 -depends-> package pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12\n",
				"package pkg:npm/a@1.0.0 -depends-> package pkg:npm/b@1.2.0\n",
			} {
				if !slices.Contains(lines, want) {
					t.Errorf("%s does not say %s in\n%s", f.Name, want, strings.Join(lines, ""))
				}
			}
			continue
		}
		if d := cmp.Diff(first, lines); d != "" {
			t.Errorf("%s says other things than the first (-first +this):\n%s", f.Name, d)
		}
	}
}

// A layout among the paths is a place with images, whose layers are not evidence.
func TestPathsOfALayout(t *testing.T) {
	dir, l, img := layoutIn(t)
	d, _, err := l.Manifest(t.Context(), string(img.Digest()))
	if err != nil {
		t.Fatal(err)
	}
	put(t, l, "", &d, "application/vnd.cyclonedx+json", "application/vnd.cyclonedx+json", []byte(smallBill))
	in, store := newIngester(t, ingest.Options{})
	summary, err := in.Paths(t.Context(), []string{dir}, nil)
	if err != nil || summary.Kinds[seaworthy.BillDocument] != 1 || summary.Failed != 0 {
		t.Errorf("got %+v, %v", summary, err)
	}
	if got := said(t, store, seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: string(d.Digest)}, true, seaworthy.SaysDescribes); len(got) == 0 {
		t.Error("nothing is about the image")
	}
}

// So is an archive of an image.
func TestPathsOfAnImageArchive(t *testing.T) {
	l, img := layout(t)
	file := filepath.Join(t.TempDir(), "image.tar")
	var out bytes.Buffer
	if _, err := oci.WriteArchive(t.Context(), &out, l, string(img.Digest()), "1.0", oci.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	in, _ := newIngester(t, ingest.Options{})
	summary, err := in.Paths(t.Context(), []string{file}, nil)
	if err != nil || summary.Kinds[seaworthy.ManifestDocument] != 2 || summary.Failed != 0 {
		t.Errorf("got %+v, %v", summary, err)
	}
}
