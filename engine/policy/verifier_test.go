package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/bill"
)

// thePackageChecker is the verifier of the talk that this project began with, word for word.
const thePackageChecker = `apiVersion: config.ratify.deislabs.io/v1beta1
kind: Verifier
metadata:
  name: package-checker
spec:
  name: kubecon-demo
  artifactTypes: application/spdx+json
  parameters:
    disAllowedLicenses:
      - AGPL-3.0-or-later
    disAllowedPackages:
      - name: "github.com/mitchellh/mapstructure"
        version: "v1.5.0"
  source:
    artifact: registry.example/ratify/package-checker:v0.0.0-alpha.0
`

func TestThePackageChecker(t *testing.T) {
	spdx := func(p ...seaworthy.Package) Bill { return aBill("SPDX-2.3", "application/spdx+json", p...) }
	at := func(version string) seaworthy.Package {
		return pkg("pkg:golang/github.com/mitchellh/mapstructure@"+version, "github.com/mitchellh/mapstructure", version, "MIT")
	}
	anyType := strings.Replace(thePackageChecker, "application/spdx+json", `"*"`, 1)
	for _, tc := range []struct {
		name, policy string
		bills        []Bill
		allowed      bool
		want         string
	}{
		{"nothing is denied", thePackageChecker, []Bill{spdx(pkg("", "x", "1", "MIT"))}, true, ""},
		{"the version", thePackageChecker, []Bill{spdx(at("v1.5.0"))}, false, "mapstructure@v1.5.0 is denied as github.com/mitchellh/mapstructure v1.5.0 or older"},
		{"the version without v", thePackageChecker, []Bill{spdx(at("1.5.0"))}, false, "is denied"},
		{"an older version", thePackageChecker, []Bill{spdx(at("v1.4.3"))}, false, "is denied"},
		{"a newer version", thePackageChecker, []Bill{spdx(at("v1.5.1"))}, true, ""},
		{"no version", thePackageChecker, []Bill{spdx(pkg("", "github.com/mitchellh/mapstructure", "", "MIT"))}, false, "its version is not stated"},
		{"a version that has no order", thePackageChecker, []Bill{spdx(at("devel"))}, false, "comparing the versions"},
		{"by its purl alone", thePackageChecker, []Bill{spdx(pkg("pkg:golang/github.com/mitchellh/mapstructure@v1.5.0", "mapstructure", "v1.5.0", "MIT"))}, false, "is denied"},
		{"another package of the name", thePackageChecker, []Bill{spdx(pkg("pkg:golang/github.com/go-viper/mapstructure@v1.5.0", "github.com/go-viper/mapstructure", "v1.5.0", "MIT"))}, true, ""},
		{"the licence", thePackageChecker, []Bill{spdx(pkg("", "x", "1", "AGPL-3.0-or-later"))}, false, "x 1 is under AGPL-3.0-or-later"},
		{"the licence by another name", thePackageChecker, []Bill{spdx(pkg("", "x", "1", "AGPL-3.0+"))}, false, "is under AGPL-3.0+"},
		{"a choice", thePackageChecker, []Bill{spdx(pkg("", "x", "1", "MIT OR AGPL-3.0-or-later"))}, true, ""},
		{"no choice", thePackageChecker, []Bill{spdx(pkg("", "x", "1", "(MIT OR Apache-2.0) AND AGPL-3.0-or-later"))}, false, "is under"},
		{"no bill", thePackageChecker, nil, false, "there is no bill of materials"},
		{"a bill of another type", thePackageChecker, []Bill{aBill("CycloneDX 1.6", "application/vnd.cyclonedx+json", at("v1.5.0"))}, false, "none is of this type"},
		{"any type", anyType, []Bill{aBill("CycloneDX 1.6", "application/vnd.cyclonedx+json", at("v1.5.0"))}, false, "is denied"},
		{
			"CycloneDX", strings.Replace(thePackageChecker, "application/spdx+json", "application/vnd.cyclonedx+json, application/spdx+json", 1),
			[]Bill{aBill("CycloneDX 1.6", "application/vnd.cyclonedx+json", at("v1.6.0"))},
			true, "",
		},
		{"an attested bill", thePackageChecker, []Bill{{Bill: &seaworthy.Bill{Format: "SPDX-2.3", Packages: []seaworthy.Package{at("v1.5.0")}}, PredicateType: "https://spdx.dev/Document"}}, false, "is denied"},
		{"two bills, one of which denies", thePackageChecker, []Bill{spdx(at("v1.6.0")), spdx(at("v1.5.0"))}, false, "is denied"},
		{"a bill that cannot be read", thePackageChecker, []Bill{{ArtifactType: "application/spdx+json", Err: seaworthy.Errorf(seaworthy.Invalid, "no JSON")}}, false, "no JSON"},
		{"the other spelling", strings.NewReplacer("disAllowedPackages", "disallowedPackages", "disAllowedLicenses", "disallowedLicenses", "v1beta1", "v1alpha1").Replace(thePackageChecker), []Bill{spdx(at("v1.5.0"))}, false, "is denied"},
		{"Ratify's own sbom takes it exactly", strings.Replace(thePackageChecker, "name: kubecon-demo", "name: sbom", 1), []Bill{spdx(at("v1.4.3"))}, true, ""},
		{"and denies it", strings.Replace(thePackageChecker, "name: kubecon-demo", "name: sbom", 1), []Bill{spdx(at("1.5.0"))}, false, "is denied"},
	} {
		w := newWorld(t)
		w.bills = tc.bills
		v := decide(t, tc.policy, anImage(), w)
		if v.Allowed != tc.allowed || !strings.Contains(reasons(v), tc.want) {
			t.Errorf("%s: allowed %t, want %t (%s):\n%s", tc.name, v.Allowed, tc.allowed, tc.want, reasons(v))
		}
	}
}

// TestTheSeed loads the talk's file as it is, and holds real bills against it.
func TestTheSeed(t *testing.T) {
	seed, err := os.ReadFile("../../../shared/seed/package-verifier.yml")
	if err != nil {
		t.Skip("the seed is not beside the repository: ../shared/seed/package-verifier.yml")
	}
	if string(seed) != thePackageChecker && strings.TrimSpace(string(seed)) != strings.TrimSpace(thePackageChecker) {
		t.Error("the seed is not what these tests say it is")
	}
	s, mistakes := Load([]File{{"package-verifier.yml", seed}}, Options{})
	if len(mistakes) > 0 || len(s.Policies()) != 1 {
		t.Fatalf("%v", lines(mistakes))
	}
	names, err := filepath.Glob("../../../shared/data/sbom/*")
	if err != nil || len(names) == 0 {
		t.Skip("there are no bills in ../shared/data/sbom")
	}
	read := 0
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := bill.Read(f, name)
		f.Close()
		if err != nil {
			continue // not every file there is a bill
		}
		read++
		w := newWorld(t)
		w.bills = []Bill{{Bill: b, ArtifactType: "application/spdx+json"}}
		v, err := s.Decide(t.Context(), anImage(), w, now)
		if err != nil {
			t.Fatal(err)
		}
		denied := false
		for _, p := range b.Packages {
			denied = denied || strings.HasSuffix(p.Name, "mitchellh/mapstructure") || strings.Contains(licenceOf(&p), "AGPL-3.0")
		}
		if !denied && !v.Allowed {
			t.Errorf("%s: %s", name, reasons(v))
		}
		t.Logf("%s: %d packages, allowed %t", filepath.Base(name), len(b.Packages), v.Allowed)
	}
	if read == 0 {
		t.Skip("none of the files in ../shared/data/sbom is a bill")
	}
}

func TestNamespacedVerifiers(t *testing.T) {
	text := strings.NewReplacer("kind: Verifier", "kind: NamespacedVerifier", "  name: package-checker", "  name: package-checker\n  namespace: dev").Replace(thePackageChecker)
	if got := load(t, text, Options{}).Bound(anImage()); len(got) != 0 {
		t.Errorf("it binds an image of another namespace: %q", got)
	}
	img := anImage()
	img.Namespace = "dev"
	if got := load(t, text, Options{}).Bound(img); len(got) != 1 || got[0] != "dev/package-checker" {
		t.Errorf("got %q", got)
	}
}

func TestVersions(t *testing.T) {
	for _, tc := range []struct {
		denied, typ, version string
		want                 bool
	}{
		{"1.2.3", "npm", "1.2.3", true},
		{"1.2.3", "npm", "1.2.4", false},
		{"<1.5.1", "golang", "v1.5.0", true},
		{"<1.5.1", "golang", "v1.5.1", false},
		{">=1.0, <2", "npm", "1.5.0", true},
		{">=1.0, <2", "npm", "2.0.0", false},
		{">=1.0, <2 || 3.1", "npm", "3.1.0", true},
		{">=1.0, <2 || 3.1", "npm", "3.2.0", false},
		{"<1:2.36-10", "deb", "1:2.36-9", true},
		{"<2.36-10", "deb", "1:2.36-9", false},
		{"1.0", "", "latest", false},
		{"<1.0", "", "latest", true}, // no order: it cannot be shown to be another
	} {
		versions, err := parseVersions(tc.denied)
		if err != nil {
			t.Fatal(err)
		}
		d := deniedPackage{name: "x", versions: versions}
		if got, why := d.holds(&seaworthy.Package{Name: "x", Ecosystem: tc.typ, Version: tc.version}); got != tc.want {
			t.Errorf("%q denies %s %q: %t (%s), want %t", tc.denied, tc.typ, tc.version, got, why, tc.want)
		}
	}
}
