package match_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/match"
	"github.com/seaworthy-dev/seaworthy/format/purl"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
)

// fatBill is a bill like that of a Debian image with npm, Python and Java: 549 deb, 1,592 npm, 89 maven, 11 pypi
// and, beyond that, 40 Go modules; the Python and Go names are real and have advisories.
func fatBill() *seaworthy.Bill {
	bill := &seaworthy.Bill{Roots: []string{"image"}, Packages: []seaworthy.Package{{Ref: "image", Role: seaworthy.Container, Name: "fat"}}}
	add := func(p seaworthy.Package) {
		p.Ref = p.PURL
		bill.Packages = append(bill.Packages, p)
		bill.Relations = append(bill.Relations, seaworthy.Relation{From: "image", Type: seaworthy.Contains, To: p.Ref})
	}
	for i := range 549 {
		name := fmt.Sprintf("lib%d", i)
		add(seaworthy.Package{Ecosystem: "deb", Name: name, Version: "1.2-3", PURL: purl.New("deb", "debian", name, "1.2-3", "arch", "amd64", "distro", "debian-12")})
	}
	for i := range 1592 {
		name := fmt.Sprintf("package-%d", i)
		add(seaworthy.Package{Ecosystem: "npm", Name: name, Version: "1.2.3", PURL: purl.NPM(name, "1.2.3")})
	}
	for i := range 89 {
		name := fmt.Sprintf("group:artifact%d", i)
		add(seaworthy.Package{Ecosystem: "maven", Name: name, Version: "1.2.3", PURL: purl.New("maven", "group", fmt.Sprintf("artifact%d", i), "1.2.3")})
	}
	for _, name := range []string{"django", "flask", "jinja2", "werkzeug", "requests", "urllib3", "pillow", "tensorflow", "numpy", "setuptools", "pip"} {
		add(seaworthy.Package{Ecosystem: "pypi", Name: name, Version: "1.0", PURL: purl.New("pypi", "", name, "1.0")})
	}
	for i, name := range []string{
		"golang.org/x/net", "golang.org/x/crypto", "golang.org/x/text", "google.golang.org/grpc", "stdlib",
		"github.com/containerd/containerd", "github.com/docker/docker", "helm.sh/helm/v3",
	} {
		for minor := range 5 {
			v := fmt.Sprintf("v0.%d.0", i+minor)
			add(seaworthy.Package{Ecosystem: "golang", Name: name, Version: v, PURL: purl.Golang(name, v)})
		}
	}
	return bill
}

func BenchmarkOpen(b *testing.B) {
	realDB(b)
	file, _ := realFile()
	for b.Loop() {
		db, err := advisory.Open(file)
		if err != nil {
			b.Fatal(err)
		}
		db.Close()
	}
}

func BenchmarkMatch(b *testing.B) {
	realDB(b)
	file, _ := realFile()
	bill := fatBill()
	b.ReportAllocs()
	b.ResetTimer()
	findings := 0
	for b.Loop() { // opening is included, so that every block is checked anew
		db, err := advisory.Open(file)
		if err != nil {
			b.Fatal(err)
		}
		result, err := match.Packages(context.Background(), db, bill, match.Options{})
		if err != nil {
			b.Fatal(err)
		}
		findings = len(result.Findings)
		db.Close()
	}
	b.ReportMetric(float64(len(bill.Packages)), "packages")
	b.ReportMetric(float64(findings), "findings")
}
