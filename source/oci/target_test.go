package oci

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

func TestParseReference(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for in, want := range map[string]string{
		"debian":                               "docker.io/library/debian:latest",
		"debian:12":                            "docker.io/library/debian:12",
		"team/app":                             "docker.io/team/app:latest",
		"index.docker.io/library/debian:12":    "docker.io/library/debian:12",
		"docker.io/debian":                     "docker.io/library/debian:latest",
		"localhost/app":                        "localhost/app:latest",
		"localhost:5000/app:1":                 "localhost:5000/app:1",
		"registry.example/a/b/c:V1.2_x-y":      "registry.example/a/b/c:V1.2_x-y",
		"registry.example:443/a@" + digest:     "registry.example:443/a@" + digest,
		"app:1@" + digest:                      "docker.io/library/app:1@" + digest,
		"[::1]:5000/a":                         "[::1]:5000/a:latest",
		"HOST/a":                               "HOST/a:latest",
		"a.b/c__d/e-f--g.h:x":                  "a.b/c__d/e-f--g.h:x",
		"x@sha512:" + strings.Repeat("b", 128): "docker.io/library/x@sha512:" + strings.Repeat("b", 128),
	} {
		r, err := ParseReference(in)
		if err != nil || r.String() != want {
			t.Errorf("%q: %q, %v; want %q", in, r, err, want)
			continue
		}
		if again, err := ParseReference(r.String()); err != nil || again != r {
			t.Errorf("%q does not read back: %+v, %v", r, again, err)
		}
	}
	for _, in := range []string{
		"", ":", "@", "a:", "a@", "a@sha256:12", "a@md5:" + strings.Repeat("a", 32), "Upper", "team/App", "./x", "../x", "/x", "a//b", "a/", "a..b/c/../d", "a/..", "_a", "a___b",
		"http://x/y", "https://registry.example/a", "registry.example/a b", "registry.example/a?b", "user@registry.example/a", "registry.example:x/a", "registry.example:/a",
		"a:" + strings.Repeat("t", 129), strings.Repeat("a", 256), "a:.x", "a:b:c", "a\x00b", "[::1/a", "-x.y/a", "x:80:90/a",
	} {
		if r, err := ParseReference(in); err == nil {
			t.Errorf("%q was read as %q", in, r)
		} else {
			wantCode(t, err, seaworthy.Usage)
		}
	}
}

func TestParseTarget(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	w := newWorld()
	layout := w.layout(t, w.image(amd64, "x"))
	if err := os.CopyFS("layout", os.DirFS(layout)); err != nil {
		t.Fatal(err)
	}
	mod, _ := modern()
	write(t, "saved.tar", legacy("a:1"))
	write(t, "saved.tgz", gzipped(legacy("a:1")))
	write(t, "oci.tar", mod)
	write(t, "source.tar.gz", gzipped(tarOf("src/main.go", "package main")))
	write(t, "notes.txt", []byte("hello"))
	write(t, "empty", nil)
	write(t, "half.tar.gz", gzipped(legacy("a:1"))[:200])
	write(t, "tree/main.go", []byte("package main"))
	write(t, "looks/manifest.json", []byte("[]"))
	write(t, "looks/layer.tar", tarOf("a", "b"))
	digest := "sha256:" + strings.Repeat("a", 64)
	for in, want := range map[string]Target{
		"layout":               {Kind: KindLayout, Path: "layout"},
		"./layout/":            {Kind: KindLayout, Path: "./layout/"},
		"layout:1.2":           {Kind: KindLayout, Path: "layout", Select: "1.2"},
		"layout:x.y/z:1.2":     {Kind: KindLayout, Path: "layout", Select: "x.y/z:1.2"},
		"layout@" + digest:     {Kind: KindLayout, Path: "layout", Select: digest},
		"oci-dir:layout:1":     {Kind: KindLayout, Path: "layout", Select: "1", Forced: true},
		"saved.tar":            {Kind: KindArchive, Path: "saved.tar"},
		"saved.tgz":            {Kind: KindArchive, Path: "saved.tgz"},
		"oci.tar":              {Kind: KindArchive, Path: "oci.tar"},
		"archive:notes.txt":    {Kind: KindArchive, Path: "notes.txt", Forced: true},
		"half.tar.gz":          {Kind: KindArchive, Path: "half.tar.gz"},
		"source.tar.gz":        {Kind: KindFile, Path: "source.tar.gz"},
		"notes.txt":            {Kind: KindFile, Path: "notes.txt"},
		"empty":                {Kind: KindFile, Path: "empty"},
		"file:saved.tar":       {Kind: KindFile, Path: "saved.tar", Forced: true},
		"tree":                 {Kind: KindDir, Path: "tree"},
		"dir:layout":           {Kind: KindDir, Path: "layout", Forced: true},
		"looks":                {Kind: KindDir, Path: "looks"},
		".":                    {Kind: KindDir, Path: "."},
		"debian:12":            {Kind: KindRegistry, Reference: Reference{Registry: "docker.io", Repository: "library/debian", Tag: "12"}},
		"registry:tree":        {Kind: KindRegistry, Reference: Reference{Registry: "docker.io", Repository: "library/tree", Tag: "latest"}, Forced: true},
		"ghcr.io/a/b.tar":      {Kind: KindRegistry, Reference: Reference{Registry: "ghcr.io", Repository: "a/b.tar", Tag: "latest"}},
		"localhost:5000/a:1.0": {Kind: KindRegistry, Reference: Reference{Registry: "localhost:5000", Repository: "a", Tag: "1.0"}},
	} {
		got, err := ParseTarget(in)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", in, got, err, want)
		}
	}
	for in, code := range map[string]seaworthy.Code{
		"./nine": seaworthy.NotFound, "/nine/nine": seaworthy.NotFound, "../nine": seaworthy.NotFound, "nine.tar": seaworthy.NotFound, "Nine": seaworthy.NotFound, "bill.spdx.json": seaworthy.NotFound,
		"": seaworthy.Usage, "a\x00b": seaworthy.Usage, "archive:nine": seaworthy.NotFound, "oci-dir:nine": seaworthy.NotFound, "dir:notes.txt": seaworthy.Usage, "file:tree": seaworthy.Usage,
		"registry:./x": seaworthy.Usage, "dir:": seaworthy.NotFound, strings.Repeat("x", 5000): seaworthy.NotFound,
	} {
		_, err := ParseTarget(in)
		if seaworthy.CodeOf(err) != code {
			t.Errorf("%q: %v, want %s", clip(in), err, code)
		}
		if code == seaworthy.NotFound && !strings.Contains(seaworthy.HintOf(err), "oci-dir:PATH") {
			t.Errorf("%q: hint %q", clip(in), seaworthy.HintOf(err))
		}
	}
	_, err := ParseTarget("Nine")
	wantCode(t, err, seaworthy.NotFound, `opening "Nine": no file or directory of that name; as a registry reference: a repository is made of`)
	_, err = Open(t.Context(), "tree", Options{})
	wantCode(t, err, seaworthy.Usage, "it is a directory")
	_, err = Open(t.Context(), filepath.Join(dir, "notes.txt"), Options{})
	wantCode(t, err, seaworthy.Usage, "it is a file")
}

func TestPlatform(t *testing.T) {
	for in, want := range map[string]string{"linux/amd64": "linux/amd64", "arm64": "linux/arm64", "Linux/x86_64": "linux/amd64", "linux/arm/v7": "linux/arm/v7", "": ""} {
		if p, err := ParsePlatform(in); err != nil || p.String() != want {
			t.Errorf("%q: %q, %v", in, p, err)
		}
	}
	for _, in := range []string{"/", "a/b/c/d", "linux/", "a b", "linux/\x1b"} {
		_, err := ParsePlatform(in)
		wantCode(t, err, seaworthy.Usage)
	}
	arm := func(v string) Platform { return Platform{OS: "linux", Arch: "arm", Variant: v} }
	for _, c := range []struct {
		have, want Platform
		better     Platform
	}{{arm("v6"), arm(""), arm("v7")}, {arm("v5"), arm(""), arm("v6")}, {Platform{OS: "linux", Arch: "amd64", Variant: "v3"}, amd64, amd64}} {
		if c.have.fit(c.want) == 0 || c.have.fit(c.want) >= c.better.fit(c.want) {
			t.Errorf("%v fits %v no worse than %v", c.have, c.want, c.better)
		}
	}
	if arm("v6").fit(arm("v7")) != 0 || arm64.fit(Platform{OS: "linux", Arch: "arm64"}) == 0 || arm64.fit(amd64) != 0 {
		t.Error("variants or architectures are mixed up")
	}
}

func TestUnsafeAddress(t *testing.T) {
	for _, s := range []string{"8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "100.63.255.255", "100.128.0.1", "172.32.0.1"} {
		if why := unsafeAddress(netip.MustParseAddr(s)); why != "" {
			t.Errorf("%s is %s", s, why)
		}
	}
	for _, s := range []string{
		"127.1.2.3", "10.1.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.255", "0.1.2.3", "224.0.0.1", "255.255.255.255", "192.168.0.1", "172.31.0.1",
		"::", "::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1", "fec0::1", "::10.0.0.1",
	} {
		if unsafeAddress(netip.MustParseAddr(s)) == "" {
			t.Errorf("%s passes for public", s)
		}
	}
}

func TestChallenges(t *testing.T) {
	got := parseChallenges([]string{`Negotiate, Bearer realm="https://a/t?x=\"y\"",service=s , scope="repository:a:pull,push"`, `Basic realm="x", charset="UTF-8"`, `=`, `"`, `,,,`})
	if len(got) != 3 || got[0].scheme != "negotiate" || got[1].params["realm"] != `https://a/t?x="y"` || got[1].params["service"] != "s" || got[1].params["scope"] != "repository:a:pull,push" || got[2].scheme != "basic" {
		t.Errorf("got %+v", got)
	}
}
