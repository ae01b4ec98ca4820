package bill_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/bill"
	"github.com/seaworthy-dev/seaworthy/engine/inspect"
	"github.com/seaworthy-dev/seaworthy/packages"
)

const (
	diff1 = seaworthy.Digest("sha256:1111111111111111111111111111111111111111111111111111111111111111")
	diff2 = seaworthy.Digest("sha256:2222222222222222222222222222222222222222222222222222222222222222")
	sum   = seaworthy.Digest("sha256:3333333333333333333333333333333333333333333333333333333333333333")
)

// report is a small image with everything in it that a bill can say.
func report() *inspect.Report {
	return &inspect.Report{
		Target: "registry.example/shop/app:1.2", Kind: "registry", Reference: "registry.example/shop/app:1.2", Digest: sum,
		MediaType: "application/vnd.oci.image.manifest.v1+json", Platform: "linux/amd64", Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Labels:  map[string]string{"org.opencontainers.image.vendor": "Shop Ltd", "b": "2", "a": "1"},
		Release: &packages.OSRelease{ID: "debian", VersionID: "12", Name: "Debian GNU/Linux", PrettyName: "Debian GNU/Linux 12 (bookworm)", Homepage: "https://www.debian.org/"},
		Layers: []inspect.Layer{
			{Number: 1, Digest: sum, DiffID: diff1, CreatedBy: "/bin/sh -c #(nop) ADD file:rootfs in / "},
			{Number: 2, Digest: sum, DiffID: diff2, CreatedBy: "COPY tool /usr/local/bin/"},
		},
		Packages: []seaworthy.Package{
			{
				Ref: "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12", Ecosystem: "deb", Name: "libc6", Version: "2.36-9", Arch: "amd64",
				PURL:        "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12",
				Supplier:    seaworthy.Party{Kind: seaworthy.Organization, Name: "GNU Libc Maintainers", Email: "debian-glibc@lists.debian.org"},
				Description: "GNU C Library: Shared libraries", Homepage: "https://www.gnu.org/software/libc/",
				Licences: seaworthy.Licences{Declared: "GPL-2.0-or-later AND LGPL-2.1-or-later"},
				Hashes:   []seaworthy.Digest{sum}, HashOf: seaworthy.HashOfInstalled, Source: seaworthy.Upstream{Name: "glibc", Version: "2.36-9"},
				Evidence: []seaworthy.Evidence{{Path: "var/lib/dpkg/status", Layer: 0, DiffID: diff1, History: "/bin/sh -c #(nop) ADD file:rootfs in / ", By: "dpkg"}},
				Files:    []seaworthy.OwnedFile{{Path: "lib/x86_64-linux-gnu/libc.so.6"}}, Depends: []seaworthy.Dependency{{Name: "libgcc-s1"}},
			},
			{
				Ref: "pkg:golang/example.com/tool@v1.0.0", Ecosystem: "golang", Role: seaworthy.Application, Name: "example.com/tool", Version: "v1.0.0", PURL: "pkg:golang/example.com/tool@v1.0.0",
				Hashes: []seaworthy.Digest{sum}, HashOf: seaworthy.HashOfEvidence,
				Properties: []seaworthy.Property{{Name: "vcs.revision", Value: "abc"}},
				Evidence:   []seaworthy.Evidence{{Path: "usr/local/bin/tool", Layer: 1, DiffID: diff2, History: "COPY tool /usr/local/bin/", By: "binary"}},
			},
			{
				Ref: "pkg:golang/golang.org/x/net@v0.1.0", Ecosystem: "golang", Name: "golang.org/x/net", Version: "v0.1.0", PURL: "pkg:golang/golang.org/x/net@v0.1.0",
				Licences: seaworthy.Licences{Declared: "LicenseRef-Odd"}, Hashes: []seaworthy.Digest{sum, "sha1:4444444444444444444444444444444444444444"}, HashOf: seaworthy.HashOfModule,
				Evidence: []seaworthy.Evidence{{Path: "usr/local/bin/tool", Layer: 1, DiffID: diff2, History: "COPY tool /usr/local/bin/", By: "binary"}},
			},
		},
		Relations: []seaworthy.Relation{{From: "pkg:golang/example.com/tool@v1.0.0", Type: seaworthy.DependsOn, To: "pkg:golang/golang.org/x/net@v0.1.0"}},
		Loose:     []inspect.LooseFile{{Path: "usr/local/bin/tool", Size: 9, Digest: sum, Layer: 1}},
	}
}

func options() bill.Options {
	return bill.Options{Tool: seaworthy.Tool{Vendor: "seaworthy-dev", Name: "seaworthy", Version: "v0"}, Authors: []seaworthy.Party{{Kind: seaworthy.Organization, Name: "Shop Ltd", Email: "sbom@shop.example"}}}
}

func TestFromReport(t *testing.T) {
	b := bill.FromReport(report(), options())
	if !b.Created.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("created %v, want the time of the image", b.Created)
	}
	edges := map[string]bool{}
	for _, r := range b.Relations {
		edges[r.From+" "+string(r.Type)+" "+r.To] = true
	}
	image := "image:" + string(sum)
	for _, want := range []string{
		image + " contains layer:001:" + string(diff1),
		image + " contains os:debian-12",
		"layer:001:" + string(diff1) + " contains pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12",
		"layer:002:" + string(diff2) + " contains pkg:golang/example.com/tool@v1.0.0",
		"layer:002:" + string(diff2) + " contains file:/usr/local/bin/tool",
		"pkg:golang/example.com/tool@v1.0.0 evidentBy file:/usr/local/bin/tool",
		"pkg:golang/example.com/tool@v1.0.0 dependsOn pkg:golang/golang.org/x/net@v0.1.0",
	} {
		if !edges[want] {
			t.Errorf("no relation %q", want)
		}
	}
	for _, p := range b.Packages {
		switch p.Name {
		case "registry.example/shop/app":
			if p.Version != "1.2" || p.PURL != "pkg:oci/app@"+string(sum)+"?arch=amd64&repository_url=registry.example%2Fshop%2Fapp&tag=1.2" {
				t.Errorf("root is %s %s", p.Version, p.PURL)
			}
		case "libc6":
			if p.Licences.Concluded != p.Licences.Declared {
				t.Errorf("libc6 is concluded to be %q", p.Licences.Concluded)
			}
		case "golang.org/x/net":
			if p.Supplier.Name != "golang.org/x" || p.Property(bill.SupplierFrom) == "" || p.Licences.Concluded != "" {
				t.Errorf("x/net: supplier %+v, concluded %q", p.Supplier, p.Licences.Concluded)
			}
		}
	}
}

// TestEveryFormatBringsItBack writes the bill in every format, reads it again, and wants the same packages,
// files, relations, licences and hashes; and the same bytes when it is written twice.
func TestEveryFormatBringsItBack(t *testing.T) {
	want := bill.FromReport(report(), options())
	for _, f := range bill.Formats {
		if f.Name == "purls" {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			var first, second bytes.Buffer
			if err := f.Write(&first, bill.FromReport(report(), options())); err != nil {
				t.Fatal(err)
			}
			if err := f.Write(&second, bill.FromReport(report(), options())); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Error("two writings of one bill differ")
			}
			got, err := bill.Read(bytes.NewReader(first.Bytes()), f.Name)
			if err != nil {
				t.Fatalf("%v\n%s", err, first.String())
			}
			bill.Sort(got)
			if len(got.Problems) > 0 {
				t.Errorf("oddities in what we wrote: %v", got.Problems)
			}
			for _, c := range []struct {
				what      string
				want, got any
			}{
				{"packages", want.Packages, got.Packages},
				{"files", want.Files, got.Files},
				{"relations", want.Relations, got.Relations},
				{"roots", want.Roots, got.Roots},
				{"id", want.ID, got.ID},
				{"name", want.Name, got.Name},
				{"created", want.Created, got.Created},
				{"authors", want.Authors, got.Authors},
				{"tools", want.Tools, got.Tools},
				{"context", want.Context, got.Context},
			} {
				if diff := cmp.Diff(c.want, c.got); diff != "" {
					t.Errorf("%s (-written +read):\n%s", c.what, diff)
				}
			}
		})
	}
}

func TestReadRefusesWhatIsNoBill(t *testing.T) {
	for _, s := range []string{"", "{}", "hello", `{"spdxVersion":`, "<xml/>", strings.Repeat("[", 100_000)} {
		b, err := bill.Read(strings.NewReader(s), "x.json")
		if err == nil {
			t.Errorf("%.20q was read as %+v", s, b)
		} else if code := seaworthy.CodeOf(err); code != seaworthy.Unsupported && code != seaworthy.Invalid {
			t.Errorf("%.20q: %v (%s)", s, err, code)
		}
	}
}

func TestCheck(t *testing.T) {
	b := bill.FromReport(report(), options())
	for _, s := range bill.Standards() {
		g, err := bill.Check(b, s)
		if err != nil {
			t.Fatal(err)
		}
		if g.Components != 5 { // image, system, three packages
			t.Errorf("%s: %d components, want 5", s, g.Components)
		}
		if s == bill.NTIA && g.Score != 100 {
			t.Errorf("ntia: %d%%, gaps %+v", g.Score, g.Gaps)
		}
		if s == bill.CISA2025 && (len(g.Gaps) != 1 || g.Gaps[0].Name != "example.com/tool" || fmt.Sprint(g.Gaps[0].Missing) != "[licence]") {
			t.Errorf("cisa2025: gaps %+v, want the licence of example.com/tool only", g.Gaps)
		}
	}
	poor := &seaworthy.Bill{Packages: []seaworthy.Package{{Ref: "a", Name: "a", Supplier: seaworthy.Party{Name: "NOASSERTION"}}}}
	g, err := bill.Check(poor, bill.NTIA)
	if err != nil {
		t.Fatal(err)
	}
	if g.Score != 14 || fmt.Sprint(g.Gaps[0].Missing) != "[supplier component version unique identifier dependency relationship]" {
		t.Errorf("poor bill: %d%%, %+v; want one element of seven", g.Score, g.Gaps)
	}
	if _, err := bill.Check(b, "iso"); seaworthy.CodeOf(err) != seaworthy.Usage {
		t.Errorf("unknown standard: %v", err)
	}
}

func pkg(name, version, licence string, hashes ...seaworthy.Digest) seaworthy.Package {
	purl := "pkg:npm/" + name + "@" + version
	return seaworthy.Package{Ref: purl, Ecosystem: "npm", Name: name, Version: version, PURL: purl, Licences: seaworthy.Licences{Declared: licence}, Hashes: hashes}
}

func TestCompare(t *testing.T) {
	before := &seaworthy.Bill{Packages: []seaworthy.Package{
		pkg("gone", "1", "MIT"), pkg("up", "1", "MIT"), pkg("same", "1", "MIT", diff1), pkg("lic", "1", "MIT"), pkg("body", "1", "MIT", diff1), pkg("two", "1", ""), pkg("two", "2", ""),
	}}
	after := &seaworthy.Bill{Packages: []seaworthy.Package{
		pkg("new", "1", "MIT"), pkg("up", "2", "MIT"), pkg("same", "1", "MIT", diff1), pkg("lic", "1", "GPL-3.0-only"), pkg("body", "1", "MIT", diff2), pkg("two", "2", ""), pkg("two", "3", ""),
	}}
	want := &bill.Diff{
		Added:   []bill.Item{{Name: "new", Version: "1", PURL: "pkg:npm/new@1", Licence: "MIT"}},
		Removed: []bill.Item{{Name: "gone", Version: "1", PURL: "pkg:npm/gone@1", Licence: "MIT"}},
		Changed: []bill.Change{
			{Name: "body", PURL: "pkg:npm/body@1", From: "1", To: "1", Content: true},
			{Name: "lic", PURL: "pkg:npm/lic@1", LicenceFrom: "MIT", LicenceTo: "GPL-3.0-only"},
			{Name: "two", PURL: "pkg:npm/two@3", From: "1", To: "3"},
			{Name: "up", PURL: "pkg:npm/up@2", From: "1", To: "2"},
		},
		Same: 2, OldTotal: 7, NewTotal: 7,
	}
	if diff := cmp.Diff(want, bill.Compare(before, after)); diff != "" {
		t.Errorf("diff (-want +got):\n%s", diff)
	}
	if d := bill.Compare(before, before); !d.Empty() {
		t.Errorf("a bill differs from itself: %+v", d)
	}
}

func TestMerge(t *testing.T) {
	one := bill.FromReport(report(), options())
	two := &seaworthy.Bill{
		Name: "other", Roots: []string{"root"}, Packages: []seaworthy.Package{
			{Ref: "root", Name: "other", Role: seaworthy.Application},
			{Ref: "pkg:golang/golang.org/x/net@v0.1.0", Name: "golang.org/x/net", Version: "v0.1.0", PURL: "pkg:golang/golang.org/x/net@v0.1.0", Homepage: "https://x"},
			{Ref: "image:" + string(sum), Name: "same ref, another thing", CoveredBy: "root"},
		},
		Relations: []seaworthy.Relation{{From: seaworthy.DocumentRef, Type: seaworthy.Describes, To: "root"}, {From: "root", Type: seaworthy.DependsOn, To: "image:" + string(sum)}, {From: "root", Type: seaworthy.DependsOn, To: "pkg:golang/golang.org/x/net@v0.1.0"}},
	}
	m, err := bill.Merge([]*seaworthy.Bill{one, two}, bill.Options{Name: "shop", Tool: options().Tool})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(m.Packages), 1+len(one.Packages)+2; got != want {
		t.Errorf("%d packages, want %d: one is in both", got, want)
	}
	byName := map[string]seaworthy.Package{}
	for _, p := range m.Packages {
		byName[p.Name] = p
	}
	if p := byName["golang.org/x/net"]; p.Homepage != "https://x" || len(p.Hashes) != 2 {
		t.Errorf("the package of both bills did not take from both: %+v", p)
	}
	moved := byName["same ref, another thing"]
	if moved.Ref == "image:"+string(sum) || moved.CoveredBy != byName["other"].Ref {
		t.Errorf("a second thing with a taken ref: %+v", moved)
	}
	found := false
	for _, r := range m.Relations {
		found = found || r.From == byName["other"].Ref && r.Type == seaworthy.DependsOn && r.To == moved.Ref
	}
	if !found {
		t.Error("its relations did not follow it")
	}
	if len(m.Roots) != 1 || byName["shop"].Ref != m.Roots[0] {
		t.Errorf("roots = %v", m.Roots)
	}
	if _, err := bill.Merge([]*seaworthy.Bill{one}, bill.Options{Name: "x"}); seaworthy.CodeOf(err) != seaworthy.Usage {
		t.Errorf("one bill: %v", err)
	}
}
