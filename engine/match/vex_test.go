package match_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/match"
	"github.com/seaworthy-dev/seaworthy/format/cdxvex"
	"github.com/seaworthy-dev/seaworthy/format/openvex"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
)

func day(n int) time.Time { return time.Date(2024, 1, n, 0, 0, 0, 0, time.UTC) }

// vexBill is an image with two npm packages that X-1 (CVE-2024-1) affects.
func vexBill(t testing.TB) (*seaworthy.Bill, *advisory.DB) {
	db := database(t,
		"a.json", osvRecord("GHSA-1", `,"aliases":["CVE-2024-1"]`, affectedJSON("npm", "name", "SEMVER", `{"introduced":"0"}`)),
		"b.json", osvRecord("NOTICE-1", `,"aliases":["CVE-2024-8","CVE-2024-9"]`, affectedJSON("npm", "other", "SEMVER", `{"introduced":"0"}`)))
	b := bill(
		seaworthy.Package{Ref: "image", Role: seaworthy.Container, Name: "app", PURL: "pkg:oci/app@sha256%3Aabc?arch=amd64", Hashes: []seaworthy.Digest{seaworthy.SHA256([]byte("image"))}},
		seaworthy.Package{Ref: "one", Ecosystem: "npm", Name: "name", Version: "1.0.0", PURL: "pkg:npm/name@1.0.0"},
		seaworthy.Package{Ref: "two", Ecosystem: "npm", Name: "name", Version: "2.0.0", PURL: "pkg:npm/name@2.0.0"},
		seaworthy.Package{Ref: "three", Ecosystem: "npm", Name: "other", Version: "1.0.0", PURL: "pkg:npm/other@1.0.0"},
	)
	b.Roots = []string{"image"}
	return b, db
}

func about(status seaworthy.Status, at time.Time, products ...match.Product) match.Statement {
	return match.Statement{Vulnerability: "CVE-2024-1", Status: status, At: at, Products: products, By: "doc", Justification: "component_not_present"}
}

func named(names ...string) match.Product { return match.Product{Names: names} }

// TestVEXPrecedence is the precedence of Statement, case by case: which of one, two are taken away.
func TestVEXPrecedence(t *testing.T) {
	b, db := vexBill(t)
	image := "pkg:oci/app@sha256%3Aabc"
	in := func(names ...string) match.Product {
		p := named(image)
		for _, n := range names {
			p.Subcomponents = append(p.Subcomponents, []string{n})
		}
		return p
	}
	const no, yes, look, done = seaworthy.NotAffected, seaworthy.Affected, seaworthy.UnderInvestigation, seaworthy.FixedStatus
	for _, tc := range []struct {
		name       string
		statements []match.Statement
		gone       string // refs
		status     seaworthy.Status
		reason     string
	}{
		{name: "none", status: yes},
		{name: "a version", statements: []match.Statement{about(no, day(1), named("pkg:npm/name@1.0.0"))}, gone: "one", reason: "is the package", status: yes},
		{name: "all versions", statements: []match.Statement{about(done, day(1), named("pkg:npm/name"))}, gone: "one two", reason: "is the package"},
		{name: "another package", statements: []match.Statement{about(no, day(1), named("pkg:npm/names"))}, status: yes},
		{name: "no product", statements: []match.Statement{about(no, day(1))}, status: yes},
		{name: "under investigation", statements: []match.Statement{about(look, day(1), named("pkg:npm/name"))}, status: look},
		{name: "the image", statements: []match.Statement{about(no, day(1), in())}, gone: "one two", reason: "contains the package"},
		{name: "the image by digest", statements: []match.Statement{about(no, day(1), named(string(seaworthy.SHA256([]byte("image")))))}, gone: "one two", reason: "contains"},
		{name: "a part of the image", statements: []match.Statement{about(no, day(1), in("pkg:npm/name@2.0.0"))}, gone: "two", reason: "subcomponent", status: yes},
		{name: "another part", statements: []match.Statement{about(no, day(1), in("pkg:npm/x"))}, status: yes},
		{name: "another image", statements: []match.Statement{about(no, day(1), named("pkg:oci/app@sha256%3Adef"))}, status: yes},
		{name: "the later wins", statements: []match.Statement{about(yes, day(2), named("pkg:npm/name")), about(no, day(1), named("pkg:npm/name"))}, status: yes},
		{name: "the later wins, whatever the order", statements: []match.Statement{about(yes, day(1), named("pkg:npm/name")), about(no, day(2), named("pkg:npm/name"))}, gone: "one two", reason: "outranks 1 other"},
		{name: "the later wins over the more specific", statements: []match.Statement{about(yes, day(1), in("pkg:npm/name@1.0.0")), about(no, day(2), named("pkg:npm/name"))}, gone: "one two", reason: "is the package"},
		{name: "at once, the version wins", statements: []match.Statement{about(no, day(1), named("pkg:npm/name@1.0.0")), about(yes, day(1), named("pkg:npm/name"))}, gone: "one", reason: "outranks", status: yes},
		{name: "at once, the part wins", statements: []match.Statement{about(no, day(1), in("pkg:npm/name")), about(yes, day(1), named("pkg:npm/name@1.0.0"))}, gone: "one two", reason: "subcomponent"},
		{name: "at once and equal, the last given wins", statements: []match.Statement{about(no, day(1), named("pkg:npm/name")), about(yes, day(1), named("pkg:npm/name"))}, status: yes},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := run(t, db, b, tc.statements...)
			var gone []string
			for _, f := range r.Suppressed {
				gone = append(gone, f.Ref)
				if f.Suppressed == nil || !strings.Contains(f.Suppressed.Reason, tc.reason) || f.Suppressed.By != "doc" {
					t.Errorf("suppressed %+v, want reason %q", f.Suppressed, tc.reason)
				}
			}
			if got := strings.Join(gone, " "); got != tc.gone {
				t.Errorf("suppressed %q, want %q", got, tc.gone)
			}
			if len(r.Findings)+len(r.Suppressed) != 3 {
				t.Errorf("%d findings and %d suppressed, want 3", len(r.Findings), len(r.Suppressed))
			}
			for _, f := range r.Findings {
				if f.Name == "name" && f.Status != tc.status {
					t.Errorf("%s is %s, want %s", f.Ref, f.Status, tc.status)
				}
			}
		})
	}
}

// TestVEXNames checks by which names a statement finds a vulnerability.
func TestVEXNames(t *testing.T) {
	b, db := vexBill(t)
	all := []match.Product{named("pkg:oci/app")}
	for _, tc := range []struct {
		s    match.Statement
		gone int
	}{
		{match.Statement{Vulnerability: "GHSA-1", Products: all, Status: seaworthy.NotAffected}, 2},
		{match.Statement{Vulnerability: "x", Aliases: []string{"GHSA-1"}, Products: all, Status: seaworthy.NotAffected}, 2},
		{match.Statement{Vulnerability: "CVE-2024-8", Products: all, Status: seaworthy.NotAffected}, 0}, // one of two
		{match.Statement{Vulnerability: "NOTICE-1", Products: all, Status: seaworthy.NotAffected}, 1},
		{match.Statement{Vulnerability: "CVE-2024-7", Products: all, Status: seaworthy.NotAffected}, 0},
	} {
		if r := run(t, db, b, tc.s); len(r.Suppressed) != tc.gone {
			t.Errorf("%+v: %d suppressed, want %d", tc.s, len(r.Suppressed), tc.gone)
		}
	}
}

func TestVEXDocuments(t *testing.T) {
	b, db := vexBill(t)
	ov, err := openvex.Parse([]byte(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://x/1","author":"me","timestamp":"2024-01-01T00:00:00Z","version":1,
"statements":[{"vulnerability":{"@id":"https://nvd.nist.gov/vuln/detail/CVE-2024-1","name":"CVE-2024-1"},"status":"not_affected","justification":"inline_mitigations_already_exist",
"products":[{"@id":"app","identifiers":{"purl":"pkg:oci/app"},"subcomponents":[{"@id":"pkg:npm/name@2.0.0"}]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, db, b, match.FromOpenVEX(ov)...)
	if len(r.Suppressed) != 1 || r.Suppressed[0].Ref != "two" || r.Suppressed[0].Suppressed.Author != "me" || !r.Suppressed[0].Suppressed.At.Equal(day(1)) {
		t.Errorf("%+v", r.Suppressed)
	}
	cdx, err := cdxvex.Parse([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","serialNumber":"urn:uuid:1","metadata":{"timestamp":"2024-01-01T00:00:00Z","component":{"bom-ref":"r","purl":"pkg:oci/app"}},
"components":[{"bom-ref":"c1","purl":"pkg:npm/name@1.0.0"},{"bom-ref":"any","purl":"pkg:npm/name"}],
"vulnerabilities":[{"id":"CVE-2024-1","analysis":{"state":"false_positive","justification":"code_not_reachable","detail":"d"},"affects":[{"ref":"urn:cdx:1/1#c1"}]},
{"id":"CVE-2024-1","analysis":{"state":"exploitable","lastUpdated":"2024-01-03T00:00:00Z"},"affects":[{"ref":"any","versions":[{"version":"2.0.0","status":"unaffected"}]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	r = run(t, db, b, match.FromCycloneDX(cdx)...)
	if len(r.Suppressed) != 2 || r.Suppressed[0].Suppressed.Justification+r.Suppressed[1].Suppressed.Justification != "code_not_reachable" {
		s, _ := json.MarshalIndent(r.Suppressed, "", " ")
		t.Errorf("%s", s)
	}
}
