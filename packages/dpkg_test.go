package packages

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
)

// readAll gives the files, path and content, to the recognisers of Table that want them.
func readAll(t testing.TB, files map[string]string) []Facts {
	t.Helper()
	var out []Facts
	scratch := new(bytes.Buffer)
	for path, body := range files {
		wanted := false
		for _, r := range []Recogniser{osRelease, dpkg, apk, rpm} {
			if !r.Wants(path, int64(len(body)), 0o644) {
				continue
			}
			wanted = true
			facts, err := r.Read(&File{Path: path, Size: int64(len(body)), Body: strings.NewReader(body), Scratch: scratch})
			if err != nil {
				t.Fatalf("reading %s: %v", path, err)
			}
			facts.By, facts.Path = r.Name, path
			out = append(out, facts)
		}
		if !wanted {
			t.Errorf("no recogniser wants %s", path)
		}
	}
	return out
}

func golden(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDpkg(t *testing.T) {
	inv := Join(readAll(t, map[string]string{
		"usr/lib/os-release":                      "ID=debian\nVERSION_ID=\"12\"\n",
		"var/lib/dpkg/status":                     golden(t, "dpkg/status"),
		"var/lib/dpkg/info/libfoo1:amd64.list":    "/.\n/etc\n/etc/foo.conf\n/lib\n/lib/libfoo.so.1\n/lib/libfoo.so.1.0\n/usr\n/usr/share\n/usr/share/doc\n/usr/share/doc/libfoo1\n",
		"var/lib/dpkg/info/libfoo1:amd64.md5sums": "d41d8cd98f00b204e9800998ecf8427e  lib/libfoo.so.1.0\n",
		"var/lib/dpkg/info/foo-data.list":         "/.\n/usr\n/usr/share\n/usr/share/doc\n/usr/share/doc/foo-data\n/usr/share/doc/foo-data/copyright\n",
		"usr/share/doc/foo-data/copyright":        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: me\nLicense: GPL-2+ or Artistic\n\nFiles: x\nLicense: Expat\n text\n\nLicense: BSD-3-clause\n Words.\n",
		"usr/share/doc/bar/copyright":             "You may use this; see /usr/share/common-licenses/GPL-3.\n",
	}))
	if len(inv.Problems) > 0 {
		t.Errorf("problems: %v", inv.Problems)
	}
	got := make(map[string]seaworthy.Package)
	for _, p := range inv.Packages {
		got[p.Name] = p
	}
	if len(got) != 5 {
		t.Fatalf("%d packages, want 5: those that are installed", len(got))
	}
	want := seaworthy.Package{
		Ref:       "pkg:deb/debian/libfoo1@1:1.0-1%2Bb2?arch=amd64&distro=debian-12&upstream=foo%401.0-1",
		PURL:      "pkg:deb/debian/libfoo1@1:1.0-1%2Bb2?arch=amd64&distro=debian-12&upstream=foo%401.0-1",
		Ecosystem: "deb", Name: "libfoo1", Version: "1:1.0-1+b2", Arch: "amd64",
		Supplier:    seaworthy.Party{Name: "Foo People", Email: "foo@example.org"},
		Description: "library of foo", Homepage: "https://example.org/foo",
		Source:  seaworthy.Upstream{Name: "foo", Version: "1.0-1"},
		Depends: []seaworthy.Dependency{{Name: "libc6", Range: ">= 2.36"}},
		Files: []seaworthy.OwnedFile{
			{Path: "etc/foo.conf", Digest: "md5:0123456789abcdef0123456789abcdef"},
			{Path: "etc/old.conf", Digest: "md5:0123456789abcdef0123456789abcde0"},
			{Path: "lib/libfoo.so.1"},
			{Path: "lib/libfoo.so.1.0", Digest: "md5:d41d8cd98f00b204e9800998ecf8427e"},
			{Path: "usr/share/doc/libfoo1"}, // a link to foo-data's
		},
		Licences:   seaworthy.Licences{Declared: "(GPL-2.0-or-later OR Artistic-1.0-Perl) AND MIT"},
		Properties: []seaworthy.Property{{Name: "licence-from", Value: "foo-data"}},
		Evidence:   []seaworthy.Evidence{{Path: "var/lib/dpkg/status", By: "dpkg"}},
	}
	if diff := cmp.Diff(want, got["libfoo1"]); diff != "" {
		t.Errorf("libfoo1 (-want +got):\n%s", diff)
	}
	if d := got["foo-data"].Licences.Declared; d != "(GPL-2.0-or-later OR Artistic-1.0-Perl) AND MIT" {
		t.Errorf("foo-data declares %q", d)
	}
	if d := got["bar"].Licences.Declared; d != "GPL-3.0-only" {
		t.Errorf("bar declares %q", d)
	}
	if d := got["libc6"]; d.PURL != "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12&upstream=glibc" || d.Licences.Declared != "" {
		t.Errorf("libc6: %q declares %q", d.PURL, d.Licences.Declared)
	}
	if len(got["foo-data"].Properties) > 0 {
		t.Errorf("what foo-data provides is left in %v", got["foo-data"].Properties)
	}
	wantEdges := []seaworthy.Relation{
		{From: got["foo"].Ref, Type: seaworthy.DependsOn, To: got["bar"].Ref},
		{From: got["foo"].Ref, Type: seaworthy.DependsOn, To: got["foo-data"].Ref},
		{From: got["foo"].Ref, Type: seaworthy.DependsOn, To: got["libfoo1"].Ref},
		{From: got["libfoo1"].Ref, Type: seaworthy.DependsOn, To: got["libc6"].Ref},
	}
	if diff := cmp.Diff(wantEdges, inv.Relations); diff != "" {
		t.Errorf("relations (-want +got):\n%s", diff)
	}
	wantDepends := []seaworthy.Dependency{
		{Name: "libfoo1", Range: "= 1:1.0-1+b2"},
		{Name: "foo-files", Any: []string{"foo-files", "bar"}},
		{Name: "mailer", Any: []string{"mailer", "bar"}},
		{Name: "nothing-has-this"},
	}
	if diff := cmp.Diff(wantDepends, got["foo"].Depends); diff != "" {
		t.Errorf("foo depends on (-want +got):\n%s", diff)
	}
}

// TestDpkgStatusD reads images without dpkg: a file per package, without Status.
func TestDpkgStatusD(t *testing.T) {
	inv := Join(readAll(t, map[string]string{
		"etc/os-release":                       "ID=debian\nVERSION_ID=12\n",
		"var/lib/dpkg/status.d/tzdata":         "Package: tzdata\nVersion: 2024a-0\nArchitecture: all\nMaintainer: T <t@example.org>\n",
		"var/lib/dpkg/status.d/tzdata.md5sums": "d41d8cd98f00b204e9800998ecf8427e  usr/share/zoneinfo/UTC\n",
		"usr/share/doc/tzdata/copyright":       "This is in the public domain.\n",
	}))
	if len(inv.Packages) != 1 || inv.Packages[0].Name != "tzdata" || len(inv.Packages[0].Files) != 1 ||
		inv.Packages[0].Files[0].Path != "usr/share/zoneinfo/UTC" || inv.Packages[0].Evidence[0].Path != "var/lib/dpkg/status.d/tzdata" {
		t.Errorf("got %+v", inv.Packages)
	}
}

func TestDpkgDamaged(t *testing.T) {
	packages, err := parseDpkgStatus([]byte("Package: a\nStatus: install ok installed\n\nPackage: b\nVersion: 1\nStatus: install ok installed\n"), "deb", false)
	if len(packages) != 1 || packages[0].Name != "b" || seaworthy.CodeOf(err) != seaworthy.Invalid {
		t.Errorf("got %v, %v; want b and an error about a", packages, err)
	}
	files, err := parseMD5Sums([]byte("not a digest\nd41d8cd98f00b204e9800998ecf8427e  usr/a\xff\n"))
	if len(files) != 1 || files[0].Path != "usr/a\uFFFD" || seaworthy.CodeOf(err) != seaworthy.Invalid {
		t.Errorf("got %v, %v", files, err)
	}
}

func TestDpkgWants(t *testing.T) {
	for path, want := range map[string]bool{
		"var/lib/dpkg/status": true, "var/lib/dpkg/status-old": false, "var/lib/dpkg/info/a.list": true, "var/lib/dpkg/info/a.postinst": false,
		"usr/share/doc/a/copyright": true, "usr/share/doc/a/b/copyright": false, "usr/share/doc/copyright": false, "chroot/var/lib/dpkg/status": false,
		"usr/lib/opkg/status": true,
	} {
		if got := dpkg.Wants(path, 1, 0o644); got != want {
			t.Errorf("Wants(%q) = %v", path, got)
		}
	}
	if n := testing.AllocsPerRun(100, func() { dpkg.Wants("usr/share/doc/python3/copyright", 1, 0o644) }); n > 0 {
		t.Errorf("Wants allocates %v times", n)
	}
}

func FuzzDpkgStatus(f *testing.F) {
	if b, err := os.ReadFile("testdata/dpkg/status"); err == nil {
		f.Add(b)
	}
	f.Add([]byte("Package: a\nVersion: 1\nStatus: a b installed\nDepends: |,(|a (>\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		packages, _ := parseDpkgStatus(body, "deb", false)
		joinDpkg(Context{}, []Facts{{Path: dpkgStatus, Packages: packages}})
	})
}

func FuzzDpkgFiles(f *testing.F) {
	f.Add([]byte("d41d8cd98f00b204e9800998ecf8427e  usr/a\n/usr\n/usr/a\n"))
	f.Add([]byte("Format: x\n\nFiles: *\nLicense: GPL-2+ or Artistic, and Expat\n text\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		parseMD5Sums(body)
		parseDpkgList(body)
		debianCopyright(body)
	})
}
