package bill_test

import (
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/bill"
	"github.com/seaworthy-dev/seaworthy/engine/inspect"
)

func TestSupplierOfImages(t *testing.T) {
	const manifest = "application/vnd.oci.image.manifest.v1+json"
	for _, tc := range []struct {
		report inspect.Report
		want   string // supplier, mail, what it is from
	}{
		{inspect.Report{Kind: "registry", Reference: "docker.io/library/debian:12", Labels: map[string]string{"org.opencontainers.image.vendor": "Debian", "maintainer": "x"}}, "Debian  "},
		{inspect.Report{Kind: "registry", Reference: "docker.io/library/debian:12", Labels: map[string]string{"maintainer": "Nginx Team <team@nginx.example>"}, Author: "a"}, "Nginx Team team@nginx.example label:maintainer"},
		{inspect.Report{Kind: "oci-dir", Labels: map[string]string{"org.opencontainers.image.authors": "team@example.org"}, Author: "a"}, "team@example.org  label:org.opencontainers.image.authors"},
		{inspect.Report{Kind: "archive", Author: "Bazel"}, "Bazel  author"},
		{inspect.Report{Kind: "registry", Reference: "docker.io/library/debian:12"}, "docker.io/library  registry"},
		{inspect.Report{Kind: "registry", Reference: "registry.example:5000/shop/web/app@sha256:1"}, "registry.example:5000/shop/web  registry"},
		{inspect.Report{Kind: "oci-dir", Tags: []string{"registry.example/shop/app:1"}}, "  "},
		{inspect.Report{Kind: "archive", Author: "  \n "}, "  "},
		{inspect.Report{Kind: "archive", Author: strings.Repeat("x", 1000)}, "  "},
		{inspect.Report{Kind: "dir", Target: "src"}, "  "},
	} {
		r := tc.report
		r.MediaType, r.Digest, r.Target = manifest, sum, "target"
		b := bill.FromReport(&r, options())
		root := b.Packages[0]
		if got := root.Supplier.Name + " " + root.Supplier.Email + " " + root.Property(bill.SupplierFrom); got != tc.want {
			t.Errorf("%s %s %v %q: supplier %q, want %q", r.Kind, r.Reference, r.Labels, r.Author, got, tc.want)
		}
	}
}

func TestBillsDoNotSayWhereFilesLie(t *testing.T) {
	for _, tc := range []struct {
		report inspect.Report
		want   string
	}{
		{inspect.Report{Kind: "oci-dir", Target: "/home/me/app", Reference: "/home/me/app:latest", Tags: []string{"latest"}}, "app latest"},
		{inspect.Report{Kind: "oci-dir", Target: ".", Reference: ".@sha256:1"}, "image " + string(sum)},
		{inspect.Report{Kind: "archive", Target: "/tmp/app.tar", Reference: "/tmp/app.tar@sha256:1"}, "app.tar " + string(sum)},
		{inspect.Report{Kind: "archive", Target: "/tmp/app.tar", Reference: "shop/app:1", Tags: []string{"shop/app:1"}}, "shop/app 1"},
		{inspect.Report{Kind: "registry", Reference: "registry.example:5000/shop/app:1"}, "registry.example:5000/shop/app 1"},
		{inspect.Report{Kind: "dir", Target: "/home/me/src/"}, "src"},
	} {
		r := tc.report
		if r.Kind != "dir" {
			r.Digest = sum
		}
		if b := bill.FromReport(&r, options()); b.Name != tc.want {
			t.Errorf("%s %s: the bill is of %q, want %q", r.Kind, r.Reference, b.Name, tc.want)
		}
	}
}

func TestSupplierOfPackages(t *testing.T) {
	repository := func(s string) []seaworthy.Property { return []seaworthy.Property{{Name: "npm:repository", Value: s}} }
	for _, tc := range []struct {
		pkg  seaworthy.Package
		want string
	}{
		{seaworthy.Package{Ecosystem: "npm", Name: "@babel/core"}, "@babel name"},
		{seaworthy.Package{Ecosystem: "npm", Name: "@babel/core", Originator: seaworthy.Party{Name: "Sebastian"}}, " "},
		{seaworthy.Package{Ecosystem: "npm", Name: "@babel/core", Supplier: seaworthy.Party{Name: "The Babel Team"}}, "The Babel Team "},
		{seaworthy.Package{Ecosystem: "npm", Name: "express", Properties: repository("git+https://github.com/expressjs/express.git")}, "github.com/expressjs repository"},
		{seaworthy.Package{Ecosystem: "npm", Name: "x", Properties: repository("git+ssh://git@github.com/o/x.git")}, "github.com/o repository"},
		{seaworthy.Package{Ecosystem: "npm", Name: "x", Homepage: "https://www.github.com/o/x#readme"}, "github.com/o homepage"},
		{seaworthy.Package{Ecosystem: "npm", Name: "x", Homepage: "https://lodash.com/"}, "lodash.com homepage"},
		{seaworthy.Package{Ecosystem: "npm", Name: "x", Homepage: "https://www.npmjs.com/package/x"}, " "},
		{seaworthy.Package{Ecosystem: "npm", Name: "x", Homepage: "https://github.com/"}, " "},
		{seaworthy.Package{Ecosystem: "npm", Name: "x", Homepage: "http://[::1"}, " "},
		{seaworthy.Package{Ecosystem: "npm", Name: "x", Download: "https://registry.npmjs.org/x/-/x-1.tgz"}, " "},
		{seaworthy.Package{Ecosystem: "npm", Name: "@/x"}, " "},
		{seaworthy.Package{Ecosystem: "golang", Name: "github.com/a/b/c"}, "github.com/a name"},
		{seaworthy.Package{Ecosystem: "golang", Name: "stdlib"}, "The Go Project name"},
		{seaworthy.Package{Ecosystem: "maven", Name: "org.x:y"}, "org.x name"},
		{seaworthy.Package{Ecosystem: "maven", Name: "y"}, " "},
		{seaworthy.Package{Ecosystem: "deb", Name: "y", Homepage: "https://github.com/o/y"}, " "},
	} {
		p := tc.pkg
		p.Ref, p.Version = "p", "1"
		b := bill.FromReport(&inspect.Report{Kind: "dir", Target: "t", Packages: []seaworthy.Package{p}}, options())
		for _, q := range b.Packages {
			if q.Ref != "p" {
				continue
			}
			if got := q.Supplier.Name + " " + q.Property(bill.SupplierFrom); got != tc.want {
				t.Errorf("%s %q: supplier %q, want %q", p.Ecosystem, p.Name, got, tc.want)
			}
		}
	}
	b := bill.FromReport(&inspect.Report{Kind: "dir", Target: "t", Packages: []seaworthy.Package{{Ref: "p", Ecosystem: "npm", Name: "@babel/core", Version: "7.0.0", PURL: "pkg:npm/%40babel/core@7.0.0"}}}, options())
	g, err := bill.Check(b, bill.NTIA)
	if err != nil {
		t.Fatal(err)
	}
	for _, gap := range g.Gaps {
		if gap.Ref == "p" {
			t.Errorf("check does not count the supplier read from the name: %v", gap.Missing)
		}
	}
}
