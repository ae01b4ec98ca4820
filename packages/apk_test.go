package packages

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
)

const apkSample = `C:Q1zwvKMnYs1b6ZdPTBJ0Z7D5P3jyA=
P:busybox
V:1.36.1-r0
A:x86_64
T:Size optimized toolbox
U:https://busybox.net/
L:GPL-2.0-only
o:busybox
m:A Person <a@example.org>
c:1dbf7a793afae640ea643a055b6dd4f430ac116b
D:so:libc.musl-x86_64.so.1 !uclibc pc:x>=1
p:cmd:ls=1.36.1-r0
F:bin
R:busybox
a:0:0:755
Z:Q1SLkS9hBidUbPwwrw+XR0Whv3ww8=
R:sh

P:busybox-extras
V:1.36.1-r0
A:x86_64
o:busybox
D:/bin/sh cmd:ls busybox@edge=1.36.1-r0

P:musl
V:1.2.4-r0
A:x86_64
L:MIT
p:so:libc.musl-x86_64.so.1=1
F:
R:root
`

func TestApk(t *testing.T) {
	inv := Join(readAll(t, map[string]string{"lib/apk/db/installed": apkSample, "etc/alpine-release": "3.18.0\n"}))
	if len(inv.Packages) != 3 || len(inv.Problems) > 0 {
		t.Fatalf("%d packages, problems %v", len(inv.Packages), inv.Problems)
	}
	ref := "pkg:apk/alpine/busybox@1.36.1-r0?arch=x86_64&distro=alpine-3.18.0"
	want := seaworthy.Package{
		Ref: ref, PURL: ref, Ecosystem: "apk", Name: "busybox", Version: "1.36.1-r0", Arch: "x86_64",
		Supplier: seaworthy.Party{Name: "A Person", Email: "a@example.org"}, Description: "Size optimized toolbox", Homepage: "https://busybox.net/",
		Licences: seaworthy.Licences{Declared: "GPL-2.0-only"}, Source: seaworthy.Upstream{Name: "busybox", Version: "1.36.1-r0"},
		Depends:  []seaworthy.Dependency{{Name: "so:libc.musl-x86_64.so.1"}, {Name: "pc:x", Range: ">=1"}},
		Files:    []seaworthy.OwnedFile{{Path: "bin/busybox", Digest: "sha1:48b912f610627546cfc30af0f974745a1bf7c30f"}, {Path: "bin/sh"}},
		Evidence: []seaworthy.Evidence{{Path: "lib/apk/db/installed", By: "apk"}},
		Properties: []seaworthy.Property{
			{Name: "apk:checksum", Value: "sha1:cf0bca32762cd5be9974f4c127467b0f93f78f20"}, {Name: "apk:commit", Value: "1dbf7a793afae640ea643a055b6dd4f430ac116b"},
		},
	}
	got := inv.Packages[1]
	if inv.Packages[0].Name == "busybox" {
		got = inv.Packages[0]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("busybox (-want +got):\n%s", diff)
	}
	extras := "pkg:apk/alpine/busybox-extras@1.36.1-r0?arch=x86_64&distro=alpine-3.18.0&upstream=busybox"
	musl := "pkg:apk/alpine/musl@1.2.4-r0?arch=x86_64&distro=alpine-3.18.0"
	edges := []seaworthy.Relation{{From: extras, Type: seaworthy.DependsOn, To: ref}, {From: ref, Type: seaworthy.DependsOn, To: musl}}
	if diff := cmp.Diff(edges, inv.Relations); diff != "" {
		t.Errorf("relations (-want +got):\n%s", diff)
	}
}

func TestApkReal(t *testing.T) {
	const path = "../../shared/data/packages/alpine-lib-apk-db-installed"
	body, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("SKIPPED: the database of a real Alpine system is missing: %v", err)
	}
	inv := Join(readAll(t, map[string]string{"lib/apk/db/installed": string(body)}))
	if want := strings.Count(string(body), "\nP:"); len(inv.Packages) != want || want == 0 {
		t.Errorf("%d packages, want %d", len(inv.Packages), want)
	}
	files, digests := 0, 0
	for _, p := range inv.Packages {
		if p.Licences.Declared == "" || p.Supplier.Email == "" || p.Source.Name == "" {
			t.Errorf("incomplete: %+v", p)
		}
		for _, f := range p.Files {
			files++
			if f.Digest != "" {
				digests++
			}
		}
	}
	if want := strings.Count(string(body), "\nR:"); files != want {
		t.Errorf("%d files, want %d", files, want)
	}
	if want := strings.Count(string(body), "\nZ:"); digests != want {
		t.Errorf("%d digests, want %d", digests, want)
	}
	if len(inv.Relations) < len(inv.Packages) {
		t.Errorf("only %d edges", len(inv.Relations))
	}
}

func FuzzApk(f *testing.F) {
	f.Add([]byte(apkSample))
	f.Add([]byte("Z:Q1\nR:\nF:\nP:\nV:\n\nD:!\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		packages, _ := parseApk(body)
		joinApk(Context{}, []Facts{{Packages: packages}})
	})
}
