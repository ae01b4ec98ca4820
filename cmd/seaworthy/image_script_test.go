package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seaworthy-dev/seaworthy/internal/makeimage"
)

// shopLayers are a small system, an application on top, and the removal of a package.
func shopLayers() []makeimage.Layer {
	status := func(packages ...string) makeimage.File {
		var b strings.Builder
		for _, p := range packages {
			name, version, _ := strings.Cut(p, " ")
			b.WriteString("Package: " + name + "\nStatus: install ok installed\nVersion: " + version + "\nArchitecture: amd64\nMaintainer: M <m@example.org>\n\n")
		}
		return makeimage.File{Path: "var/lib/dpkg/status", Body: []byte(b.String())}
	}
	licence := func(name, l string) makeimage.File {
		return makeimage.File{Path: "usr/share/doc/" + name + "/copyright", Body: []byte("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: x\nLicense: " + l + "\n")}
	}
	return []makeimage.Layer{
		{History: "ADD rootfs in / ", Files: []makeimage.File{
			{Path: "etc/os-release", Body: []byte("ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n")},
			status("jq 1.6", "libc6 2.36"), licence("jq", "MIT"), licence("libc6", "LGPL-2.1+"),
		}},
		{History: "ENV A=b", Empty: true},
		{History: "COPY app /srv # buildkit", Files: []makeimage.File{
			{Path: "srv/node_modules/left-pad/package.json", Body: []byte(`{"name":"left-pad","version":"1.3.0","license":"WTFPL","repository":"stevemao/left-pad"}`)},
			{Path: "srv/node_modules/left-pad/index.js", Body: bytes.Repeat([]byte("// pad\n"), 3000)},
		}},
		{History: "RUN /bin/sh -c apt-get -y remove jq # buildkit", Files: []makeimage.File{status("libc6 2.36")}, Whiteouts: []string{"usr/share/doc/jq"}},
	}
}

// scriptImage KIND PATH makes a small image: layout, multi (two platforms), cut (a layout whose second layer
// ends in the middle), docker, oci (archives), docker.gz, oci.gz.
func scriptImage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: image KIND PATH")
	}
	name := ts.MkAbs(args[1])
	img, err := makeimage.Build(shopLayers(), makeimage.Options{Name: "registry.example/shop/app:1", Author: "Shop <shop@example.org>"})
	ts.Check(err)
	kind, zipped := strings.CutSuffix(args[0], ".gz")
	var archive bytes.Buffer
	switch kind {
	case "layout":
		ts.Check(img.WriteLayout(name))
		return
	case "multi":
		arm, err := makeimage.Build(shopLayers(), makeimage.Options{Architecture: "arm64"})
		ts.Check(err)
		_, err = makeimage.WriteIndex(name, "registry.example/shop/app:1", img, arm)
		ts.Check(err)
		return
	case "cut":
		ts.Check(img.WriteLayout(name))
		blob := img.Layers[1]
		ts.Check(os.WriteFile(filepath.Join(name, "blobs", "sha256", blob.Digest.Hex()), blob.Bytes[:len(blob.Bytes)/2], 0o644))
		return
	case "docker":
		err = img.WriteDockerArchive(&archive)
	case "oci":
		err = img.WriteOCIArchive(&archive)
	default:
		ts.Fatalf("no kind of image %q", kind)
	}
	ts.Check(err)
	f, err := os.Create(name)
	ts.Check(err)
	defer f.Close()
	var w io.Writer = f
	if zipped {
		z := gzip.NewWriter(f)
		defer z.Close()
		w = z
	}
	_, err = w.Write(archive.Bytes())
	ts.Check(err)
}
