package trace

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// The world of the tests. Two images share a base layer with openssl. web has a signed bill and an unsigned one that
// disagrees; api has an unsigned one. Signed provenance says how web was built, nothing says it of api. Scanners found
// three vulnerabilities, and VEX speaks for and against. web runs in production.
//
//	web:1, web:2 ── web ── base layer ── openssl 3.0.1 ── zlib 1.2.11 ⇄ libcycle 1
//	                 ├─ left-pad 1.3.0 (signed bill)        ├─ CVE-2023-0001 = GHSA-aaaa-bbbb-cccc (critical)
//	                 ├─ evil 6.6.6 (unsigned bill)          └─ CVE-2023-0002 (high; VEX not_affected, signed)
//	                 ├─ /app (binary, with provenance) and /tool (without)
//	                 └─ runs as k8s://prod/shop/deployment/web, contact shop@example.com
//	api:1 ── api ── base layer
var (
	webDigest  = seaworthy.SHA256([]byte("web"))
	oldDigest  = seaworthy.SHA256([]byte("old web"))
	apiDigest  = seaworthy.SHA256([]byte("api"))
	baseDigest = seaworthy.SHA256([]byte("base"))
	appDigest  = seaworthy.SHA256([]byte("app"))
	toolDigest = seaworthy.SHA256([]byte("tool"))
)

const (
	openssl  = "pkg:deb/debian/openssl@3.0.1?arch=amd64"
	zlib     = "pkg:deb/debian/zlib@1.2.11?arch=amd64"
	libcycle = "pkg:deb/debian/libcycle@1?arch=amd64"
	leftPad  = "pkg:npm/left-pad@1.3.0"
	evil     = "pkg:npm/evil@6.6.6"
	repo     = "git+https://github.com/shop/web"
	commit   = repo + "@0123456789abcdef0123456789abcdef01234567"
	ciKey    = "identity:ci@example.com|https://issuer.example"
	vexKey   = "identity:security@example.com|https://issuer.example"
	otherKey = "key:sha256:1111111111111111111111111111111111111111111111111111111111111111"
	workload = "k8s://prod/shop/deployment/web"
)

func day(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }

// subj reads a subject as the tests write it: by the shape of its key.
func subj[T ~string](text T) seaworthy.Subject {
	key := string(text)
	kind := seaworthy.DocumentSubject
	switch {
	case strings.HasPrefix(key, "pkg:"):
		kind = seaworthy.PackageSubject
	case strings.HasPrefix(key, "git+"):
		kind = seaworthy.SourceSubject
	case strings.HasPrefix(key, "CVE-"), strings.HasPrefix(key, "GHSA-"):
		kind = seaworthy.VulnSubject
	case strings.HasPrefix(key, "doc:"):
		key = strings.TrimPrefix(key, "doc:")
	case strings.HasPrefix(key, "sha"):
		kind = seaworthy.ArtifactSubject
	case strings.Contains(key, "://") && !strings.HasPrefix(key, "builder:"):
		kind = seaworthy.ResourceSubject
	case strings.HasPrefix(key, "identity:"), strings.HasPrefix(key, "key:"), strings.HasPrefix(key, "builder:"):
		kind = seaworthy.ActorSubject
	case strings.HasPrefix(key, "licence:"):
		kind, key = seaworthy.LicenceSubject, strings.TrimPrefix(key, "licence:")
	}
	if strings.HasPrefix(string(text), "identity:") {
		kind = seaworthy.ActorSubject
	}
	return seaworthy.Subject{Kind: kind, Key: key}
}

func hexID[T ~string](text T) string { return graph.FormatID(subj(text).ID()) }

// says makes a statement; attrs are name, value, name, value …
func says[S, O ~string](s S, p seaworthy.Predicate, o O, attrs ...string) seaworthy.Statement {
	return seaworthy.Statement{Subject: subj(s), Predicate: p, Object: subj(o), Attrs: properties(attrs...)}
}

// entry makes a document: its body is its name, so its digest is known.
func entry(name string, kind seaworthy.DocumentKind, at time.Time, signers []string, statements ...seaworthy.Statement) graph.Entry {
	body := []byte(name)
	v := seaworthy.Verification{State: seaworthy.UnsignedState}
	if len(signers) > 0 {
		v = seaworthy.Verification{State: seaworthy.VerifiedState, Signers: signers}
	}
	return graph.Entry{
		Document: seaworthy.Document{Digest: seaworthy.SHA256(body), Kind: kind, Format: string(kind) + " 1", Name: name, Ingested: at, Verification: v},
		Body:     body, Statements: statements,
	}
}

func doc(name string) string { return "doc:" + string(seaworthy.SHA256([]byte(name))) }

func world(t testing.TB) *graph.Memory {
	t.Helper()
	m := graph.NewMemory()
	for _, e := range worldEntries(t) {
		if _, err := m.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func worldEntries(t testing.TB) []graph.Entry {
	t.Helper()
	checks, err := json.Marshal([]map[string]any{
		{"name": "Code-Review", "score": 6, "reason": "18 of 30 reviewed"}, {"name": "Binary-Artifacts", "score": 10, "reason": "none"},
	})
	if err != nil {
		t.Fatal(err)
	}
	provenance := entry("provenance of web", seaworthy.ProvenanceDocument, day(3), []string{ciKey},
		says(doc("provenance of web"), seaworthy.SaysDescribes, webDigest),
		says(doc("provenance of web"), seaworthy.SaysDescribes, appDigest),
		says(webDigest, seaworthy.SaysBuiltBy, "builder:https://ci.example/run"),
		says(webDigest, seaworthy.SaysBuilt, commit, "entryPoint", "build.yml"),
		says(appDigest, seaworthy.SaysBuiltBy, "builder:https://ci.example/run"),
		says(appDigest, seaworthy.SaysBuilt, commit),
		says(repo, seaworthy.SaysContains, commit),
		says(doc("provenance of web"), seaworthy.SaysSigned, ciKey),
	)
	provenance.Document.PredicateType = "https://slsa.dev/provenance/v1"
	manifest := entry("manifest of web", seaworthy.ManifestDocument, day(1), nil,
		says(doc("manifest of web"), seaworthy.SaysDescribes, webDigest),
		says(webDigest, seaworthy.SaysContains, baseDigest, "index", "0"),
		says("oci://registry.example/shop/web:1", seaworthy.SaysSame, webDigest),
		says("oci://registry.example/shop/web:2", seaworthy.SaysSame, webDigest),
	)
	manifest.Document.MediaType = "application/vnd.oci.image.manifest.v1+json"
	bill := entry("signed bill of web", seaworthy.BillDocument, day(2), []string{ciKey},
		says(doc("signed bill of web"), seaworthy.SaysDescribes, webDigest, "packages", "3"),
		says(webDigest, seaworthy.SaysContains, leftPad),
		says(webDigest, seaworthy.SaysContains, openssl, "layer", string(baseDigest)),
		says(webDigest, seaworthy.SaysHasFile, appDigest, "path", "/app", "types", "APPLICATION,BINARY"),
		says(webDigest, seaworthy.SaysHasFile, toolDigest, "path", "/tool", "types", "BINARY"),
		says(webDigest, seaworthy.SaysHasFile, seaworthy.SHA256([]byte("readme")), "path", "/README", "types", "TEXT"),
		says(openssl, seaworthy.SaysDepends, zlib),
		says(zlib, seaworthy.SaysDepends, libcycle), says(libcycle, seaworthy.SaysDepends, zlib),
		says(zlib, seaworthy.SaysDepends, zlib),
		says("pkg:deb/debian/openssl", seaworthy.SaysContains, openssl), says("pkg:npm/left-pad", seaworthy.SaysContains, leftPad),
		says(openssl, seaworthy.SaysLicensed, "licence:Apache-2.0", "how", "concluded"),
		says(zlib, seaworthy.SaysLicensed, "licence:Zlib", "how", "declared"),
		says(leftPad, seaworthy.SaysLicensed, "licence:WTFPL", "how", "declared"),
		says(leftPad, seaworthy.SaysSource, "git+https://github.com/stevemao/left-pad"),
		says(doc("signed bill of web"), seaworthy.SaysSigned, ciKey),
	)
	bill.Names = []graph.Name{{Subject: subj(appDigest), Text: "/app"}, {Subject: subj(toolDigest), Text: "/tool"}}
	return []graph.Entry{
		manifest, bill, provenance,
		entry("configuration of web", seaworthy.ManifestDocument, day(1), nil,
			says(doc("configuration of web"), seaworthy.SaysDescribes, webDigest, "type", "configuration"),
			says(webDigest, seaworthy.SaysContains, baseDigest, "createdBy", "ADD base.tar /", "index", "0")),
		entry("older manifest of web", seaworthy.ManifestDocument, day(1).Add(-time.Hour), nil,
			says("oci://registry.example/shop/web:1", seaworthy.SaysSame, oldDigest),
			says(oldDigest, seaworthy.SaysContains, "pkg:npm/left-pad@1.0.0"),
			says("pkg:npm/left-pad", seaworthy.SaysContains, "pkg:npm/left-pad@1.0.0")),
		entry("manifest of api", seaworthy.ManifestDocument, day(1), nil,
			says(doc("manifest of api"), seaworthy.SaysDescribes, apiDigest),
			says(apiDigest, seaworthy.SaysContains, baseDigest, "index", "0"),
			says("oci://registry.example/shop/api:1", seaworthy.SaysSame, apiDigest)),
		entry("bill of api", seaworthy.BillDocument, day(2), nil,
			says(doc("bill of api"), seaworthy.SaysDescribes, apiDigest, "packages", "1"),
			says(apiDigest, seaworthy.SaysContains, openssl)),
		entry("unsigned bill of web", seaworthy.BillDocument, day(4), nil,
			says(doc("unsigned bill of web"), seaworthy.SaysDescribes, webDigest, "packages", "2"),
			says(webDigest, seaworthy.SaysContains, evil), says(webDigest, seaworthy.SaysContains, leftPad)),
		entry("base scan", seaworthy.ScanDocument, day(5), nil,
			says("CVE-2023-0001", seaworthy.SaysAffects, openssl, "severity", "critical", "fixed", "3.0.2", "by", "scanner"),
			says("GHSA-aaaa-bbbb-cccc", seaworthy.SaysSame, "CVE-2023-0001"),
			says("GHSA-aaaa-bbbb-cccc", seaworthy.SaysAffects, openssl, "severity", "high"),
			says("CVE-2023-0002", seaworthy.SaysAffects, zlib, "severity", "high"),
			says("CVE-2023-0003", seaworthy.SaysAffects, evil, "severity", "medium"),
			says("CVE-2023-0001", seaworthy.SaysRated, doc("base scan"), "epss", "0.42", "kev", "2023-05-01", "score", "9.8", "type", "cvss")),
		entry("signed vex", seaworthy.VEXDocument, day(6), []string{vexKey},
			says("CVE-2023-0002", seaworthy.SaysAffects, zlib, "status", "not_affected", "justification", "component_not_present", "time", "2026-11-06T00:00:00Z")),
		entry("later unsigned vex", seaworthy.VEXDocument, day(7), nil,
			says("CVE-2023-0002", seaworthy.SaysAffects, zlib, "status", "affected", "time", "2026-11-07T00:00:00Z"),
			says("CVE-2023-0001", seaworthy.SaysAffects, openssl, "status", "under_investigation", "time", "2026-11-07T00:00:00Z")),
		entry("scorecard of web", seaworthy.ScorecardDocument, day(3), nil,
			says(commit, seaworthy.SaysRated, doc("scorecard of web"), "type", "scorecard", "score", "8.7", "checks", string(checks))),
		entry("signature of web", seaworthy.SignatureDocument, day(3), []string{ciKey},
			says(doc("signature of web"), seaworthy.SaysDescribes, webDigest),
			says(webDigest, seaworthy.SaysSigned, ciKey, "time", "2026-11-03T00:00:00Z")),
		entry("signature of the bill of api", seaworthy.SignatureDocument, day(8), []string{otherKey},
			says(seaworthy.SHA256([]byte("bill of api")), seaworthy.SaysSigned, otherKey)),
		entry("cluster", seaworthy.StatementDocument, day(5), nil,
			says("k8s://prod", seaworthy.SaysContains, workload),
			says(workload, seaworthy.SaysRuns, webDigest),
			says(workload, seaworthy.SaysNoted, doc("cluster"), "key", "contact", "value", "shop@example.com")),
		entry("verdict", seaworthy.VerdictDocument, day(6), []string{vexKey},
			says(webDigest, seaworthy.SaysJudged, doc("verdict"), "verdict", "allowed", "policy", "signed-by-ci")),
	}
}

func ask(t testing.TB, r graph.Reader, q Question) *Answer {
	t.Helper()
	a, err := New(r, Options{}).Ask(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	a.Took = 0
	return a
}

// cells are the rows of an answer as the tests write them: cells between bars, + before what is signed.
func cells(a *Answer) []string {
	var rows []string
	for _, r := range a.Rows {
		mark := "- "
		if r.Signed {
			mark = "+ "
		}
		rows = append(rows, mark+strings.Join(r.Cells, " | "))
	}
	return rows
}

func gaps(a *Answer) []string {
	names := map[string]string{}
	for _, n := range a.Nodes {
		names[n.ID] = n.Label
	}
	var list []string
	for _, g := range a.Missing {
		list = append(list, fmt.Sprintf("%s: %s", names[g.Node], g.What))
	}
	slices.Sort(list)
	return list
}
