package policy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
)

func ours(spec string) string {
	return "apiVersion: seaworthy.dev/v1alpha1\nkind: Policy\nmetadata: {name: p}\nspec: " + spec + "\n"
}

// aBill is one with a few packages.
func aBill(format, artifactType string, packages ...seaworthy.Package) Bill {
	return Bill{
		Bill:         &seaworthy.Bill{Format: format, Packages: packages},
		ArtifactType: artifactType, Digest: seaworthy.SHA256([]byte(format)), Manifest: seaworthy.SHA256([]byte("m" + format)), Source: "referrers " + string(seaworthy.SHA256([]byte("m"+format))),
	}
}

func pkg(purl, name, version, licence string) seaworthy.Package {
	p := seaworthy.Package{Ref: name + version, PURL: purl, Name: name, Version: version}
	p.Licences.Concluded = licence
	if purl != "" {
		p.Ecosystem, _, _ = strings.Cut(strings.TrimPrefix(purl, "pkg:"), "/")
	}
	return p
}

var mapstructure = pkg("pkg:golang/github.com/mitchellh/mapstructure@v1.4.3", "github.com/mitchellh/mapstructure", "v1.4.3", "MIT")

const slsa1 = `{"buildDefinition":{"buildType":"https://actions.github.io/buildtypes/workflow/v1","externalParameters":{"workflow":{"repository":"https://github.com/org/app","ref":"refs/heads/main","path":".github/workflows/release.yml"}}},"runDetails":{"builder":{"id":"https://github.com/actions/runner/github-hosted"}}}`

const slsa02 = `{"builder":{"id":"https://github.com/slsa-framework/slsa-github-generator@v1"},"invocation":{"configSource":{"uri":"git+https://github.com/org/app@refs/tags/v1.2"}},"materials":[{"uri":"git+https://github.com/evil/dependency"}]}`

// TestShortPolicies decides by our own form.
func TestShortPolicies(t *testing.T) {
	release, other := newKey(t), newKey(t)
	by := "[{issuer: '" + issuer + "', identity: a}]"
	key := fmt.Sprintf("{key: %q}", release.Public().PEM())
	second := fmt.Sprintf("{key: %q}", other.Public().PEM())
	pinned := func(img *Image) { img.Written += "@" + string(digest); img.Reference = img.Written }
	provenance := func(version, body string) func(*world) {
		return func(w *world) { w.by("a", issuer, attestationOf("https://slsa.dev/provenance/"+version, body)) }
	}
	bills := func(list ...Bill) func(*world) { return func(w *world) { w.bills = list } }
	finding := func(id string, s seaworthy.Severity, change ...func(*seaworthy.Finding)) func(*world) {
		f := seaworthy.Finding{ID: id, Aliases: []string{"GHSA-" + id}, Severity: s, Name: "libx", Version: "1.0", Fix: seaworthy.FixAvailable, Fixed: "1.1"}
		for _, c := range change {
			c(&f)
		}
		return func(w *world) { w.findings = []seaworthy.Finding{f} }
	}
	none := func(*world) {}
	for _, tc := range []struct {
		name, spec string
		image      func(*Image)
		world      func(*world)
		allowed    bool
		want       string
	}{
		{"pinned", "{pinnedByDigest: true}", pinned, none, true, ""},
		{"not pinned", "{pinnedByDigest: true}", nil, none, false, "fix write registry.example/team/app:1.2@sha256:"},
		{"a registry", "{registries: [registry.example]}", nil, none, true, ""},
		{"a team", "{registries: [registry.example/team]}", nil, none, true, ""},
		{"another team", "{registries: [registry.example/tea]}", nil, none, false, "in none of the registries"},
		{"a registry with *", "{registries: ['*.example/team']}", nil, none, true, ""},
		{"another registry that ends so", "{registries: ['*.example']}", func(i *Image) { i.Reference = "evil.com/x.example/app:1" }, none, false, "in none"},
		{"Docker Hub by its usual name", "{registries: [docker.io/library]}", func(i *Image) { i.Reference = "index.docker.io/library/nginx:1" }, none, true, ""},
		{"a registry that begins so", "{registries: [registry.example]}", func(i *Image) { i.Reference = "registry.example.evil.com/app:1" }, none, false, "in none"},

		{"signed", "{signedBy: [" + key + "]}", nil, func(w *world) { w.signedBy(release, nil) }, true, ""},
		{"not signed", "{signedBy: [" + key + "]}", nil, none, false, "nothing signs"},
		{"signed by another", "{signedBy: [" + key + "]}", nil, func(w *world) { w.signedBy(other, nil) }, false, "signature"},
		{"one of two", "{signedBy: [" + key + ", " + second + "]}", nil, func(w *world) { w.signedBy(other, nil) }, true, ""},
		{"both, and one is there", "{signedBy: {all: [" + key + ", " + second + "]}}", nil, func(w *world) { w.signedBy(other, nil) }, false, "signed by the key"},
		{"both", "{signedBy: {all: [" + key + ", " + second + "]}}", nil, func(w *world) { w.signedBy(other, nil).signedBy(release, nil) }, true, ""},
		{"an identity", "{signedBy: " + by + "}", nil, func(w *world) { w.by("a", issuer, nil) }, true, ""},

		{"attested", "{attestedBy: [{type: vuln, by: " + by + "}]}", nil, func(w *world) { w.by("a", issuer, attestationOf(vulnType, `{}`)) }, true, ""},
		{"attested, as signedBy says", "{signedBy: " + by + ", attestedBy: [{type: vuln}]}", nil, func(w *world) { w.by("a", issuer, nil).by("a", issuer, attestationOf(vulnType, `{}`)) }, true, ""},
		{"a CEL policy", "{attestedBy: [{type: vuln, by: " + by + ", policy: {type: cel, data: 'predicate.critical == 0'}}]}", nil, func(w *world) { w.by("a", issuer, attestationOf(vulnType, scanned("0"))) }, true, ""},
		{"a CEL policy says no", "{attestedBy: [{type: vuln, by: " + by + ", policy: {type: cel, data: 'predicate.critical == 0'}}]}", nil, func(w *world) { w.by("a", issuer, attestationOf(vulnType, scanned("2"))) }, false, "does not pass its cel policy"},
		{"a CUE policy misses a field", "{attestedBy: [{type: vuln, by: " + by + ", policy: {type: cue, data: 'predicate: high: 0'}}]}", nil, func(w *world) { w.by("a", issuer, attestationOf(vulnType, scanned("2"))) }, false, "predicate.high"},
		{"and does not, as cosign has it", "{attestedBy: [{type: vuln, by: " + by + ", policy: {type: cue, cueMode: cosign-compat, data: 'predicate: high: 0'}}]}", nil, func(w *world) { w.by("a", issuer, attestationOf(vulnType, scanned("2"))) }, true, ""},

		{"built by", "{builtBy: {builders: ['https://github.com/actions/runner/*'], by: " + by + "}}", nil, provenance("v1", slsa1), true, ""},
		{"built by v0.2", "{builtBy: {builders: ['https://github.com/slsa-framework/*'], by: " + by + "}}", nil, provenance("v0.2", slsa02), true, ""},
		{"built by another", "{builtBy: {builders: ['https://github.com/org/*'], by: " + by + "}}", nil, provenance("v1", slsa1), false, "the provenance says otherwise: built by https://github.com/actions/runner/github-hosted"},
		{"no provenance", "{builtBy: {builders: ['*'], by: " + by + "}}", nil, none, false, "provenance (SLSA"},
		{"provenance of nothing", "{builtBy: {builders: ['*'], by: " + by + "}}", nil, provenance("v1", `{"a":1}`), false, "neither who built it"},
		{"provenance with names in another case", "{builtBy: {builders: ['*'], by: " + by + "}}", nil, provenance("v1", `{"RunDetails":{"Builder":{"ID":"x"}}}`), false, "neither who built it"},
		{"built from", "{builtFrom: {sources: ['https://github.com/org/*'], refs: ['refs/heads/main'], by: " + by + "}}", nil, provenance("v1", slsa1), true, ""},
		{"built from v0.2", "{builtFrom: {sources: ['https://github.com/org/*'], refs: ['refs/tags/v*'], by: " + by + "}}", nil, provenance("v0.2", slsa02), true, ""},
		{"built from another branch", "{builtFrom: {sources: ['https://github.com/org/*'], refs: ['refs/heads/release'], by: " + by + "}}", nil, provenance("v1", slsa1), false, "at refs/heads/main"},
		{"a material is no source", "{builtFrom: {sources: ['https://github.com/evil/*'], by: " + by + "}}", nil, provenance("v0.2", slsa02), false, "says otherwise"},

		{"a bill", "{billPresent: true}", nil, bills(aBill("SPDX-2.3", "application/spdx+json")), true, ""},
		{"no bill", "{billPresent: true}", nil, none, false, "there is no bill of materials"},
		{"another format", "{billPresent: {formats: [cyclonedx]}}", nil, bills(aBill("SPDX-2.3", "application/spdx+json")), false, "none of its 1 bills is in cyclonedx"},
		{"a bill that cannot be read", "{billPresent: true}", nil, bills(Bill{Err: seaworthy.Errorf(seaworthy.Invalid, "no JSON"), Source: "x"}), false, "no JSON"},
		{"a bill by somebody", "{billPresent: {by: " + by + "}}", nil, func(w *world) { w.by("a", issuer, attestationOf("https://spdx.dev/Document", spdxPredicate)) }, true, ""},
		{"a bill by nobody", "{billPresent: {by: " + by + "}}", nil, bills(aBill("SPDX-2.3", "application/spdx+json")), false, "attested by"},

		{"findings below", "{noFindingAbove: medium}", nil, finding("CVE-1", seaworthy.SeverityMedium), true, ""},
		{"findings above", "{noFindingAbove: medium}", nil, finding("CVE-1", seaworthy.SeverityHigh), false, "CVE-1 (high) in libx 1.0, repaired in 1.1"},
		{"suppressed", "{noFindingAbove: medium}", nil, finding("CVE-1", seaworthy.SeverityHigh, func(f *seaworthy.Finding) { f.Suppressed = &seaworthy.Suppressed{By: "vex"} }), true, ""},
		{"not fixable", "{noFindingAbove: {severity: medium, fixable: true}}", nil, finding("CVE-1", seaworthy.SeverityHigh, func(f *seaworthy.Finding) { f.Fix = seaworthy.FixNone }), true, ""},
		{"exploited", "{noFindingAbove: {severity: medium, kev: true}}", nil, finding("CVE-1", seaworthy.SeverityLow, func(f *seaworthy.Finding) { f.KEV = &seaworthy.KEV{} }), false, "CVE-1 (low)"},
		{"only exploited", "{noFindingAbove: {kev: true}}", nil, finding("CVE-1", seaworthy.SeverityCritical), true, ""},
		{"excepted by an alias", "{noFindingAbove: {severity: low, except: [GHSA-CVE-1]}}", nil, finding("CVE-1", seaworthy.SeverityHigh), true, ""},

		{"a licence", "{licences: {deny: [AGPL-3.0-or-later]}}", nil, bills(aBill("SPDX-2.3", "application/spdx+json", pkg("", "x", "1", "AGPL-3.0-or-later"))), false, "x 1 is under AGPL-3.0-or-later"},
		{"a choice of licences", "{licences: {deny: [AGPL-3.0-or-later]}}", nil, bills(aBill("SPDX-2.3", "application/spdx+json", pkg("", "x", "1", "MIT OR AGPL-3.0-or-later"))), true, ""},
		{"two licences at once", "{licences: {deny: [AGPL-3.0-or-later]}}", nil, bills(aBill("SPDX-2.3", "application/spdx+json", pkg("", "x", "1", "MIT AND AGPL-3.0-or-later"))), false, "is under MIT AND"},
		{"a licence in no list", "{licences: {allow: [MIT]}}", nil, bills(aBill("SPDX-2.3", "application/spdx+json", pkg("", "x", "1", "Apache-2.0"))), true, ""},
		{"no licence", "{licences: {deny: [MIT], unknown: denied}}", nil, bills(aBill("SPDX-2.3", "application/spdx+json", pkg("", "x", "1", ""))), false, "no licence is stated"},
		{"licences without a bill", "{licences: {deny: [MIT]}}", nil, none, false, "there is no bill"},
		{"licences, in another bill", "{licences: {deny: [MIT]}}", nil, bills(aBill("SPDX-2.3", "application/spdx+json"), aBill("CycloneDX 1.6", "", pkg("", "x", "1", "MIT"))), false, "x 1 is under MIT"},
		{"a bill of somebody else does not count", "{bills: {by: " + by + "}, licences: {deny: [MIT]}}", nil, bills(aBill("SPDX-2.3", "application/spdx+json")), false, "bill of materials attested by"},

		{"a package", "{packages: {deny: [{name: github.com/mitchellh/mapstructure}]}}", nil, bills(aBill("SPDX-2.3", "", mapstructure)), false, "mapstructure@v1.4.3 is denied"},
		{"a package below", "{packages: {deny: [{name: github.com/mitchellh/mapstructure, version: '<1.5.1', reason: GO-1}]}}", nil, bills(aBill("SPDX-2.3", "", mapstructure)), false, "<1.5.1: GO-1"},
		{"a package above", "{packages: {deny: [{name: github.com/mitchellh/mapstructure, version: '>=1.5'}]}}", nil, bills(aBill("SPDX-2.3", "", mapstructure)), true, ""},

		{"a rule", "{rules: [{name: tag, expression: 'image.tag == \"1.2\" && image.registry == \"registry.example\" && image.path == \"team/app\"'}]}", nil, none, true, ""},
		{"a rule says no", "{rules: [{name: tag, expression: 'image.tag != \"1.2\"', message: no such tag}]}", nil, none, false, "tag: no such tag"},
		{"a rule over findings", "{rules: [{name: f, expression: 'findings.all(f, f.severity < high || f.epss < 0.1)'}]}", nil, finding("CVE-1", seaworthy.SeverityHigh, func(f *seaworthy.Finding) { f.EPSS = &seaworthy.EPSS{Probability: 0.5} }), false, "it is not so"},
		{"a rule over the config", "{rules: [{name: u, expression: 'configs.all(p, configs[p].config.User != \"0\")'}]}", nil, func(w *world) {
			w.configs = map[string]json.RawMessage{"linux/amd64": json.RawMessage(`{"config":{"User":"0"}}`)}
		}, false, "it is not so"},
		{"a rule over packages", "{rules: [{name: p, expression: '!packages.exists(p, p.name.startsWith(\"github.com/mitchellh/\"))'}]}", nil, bills(aBill("SPDX-2.3", "", mapstructure)), false, "it is not so"},
		{"a rule over the workload", "{rules: [{name: w, expression: 'workload.labels.app == \"web\" && object.metadata.name == \"app\" && workload.namespace == \"prod\"'}]}", nil, none, true, ""},
		{"a rule over what is not there", "{rules: [{name: w, expression: 'workload.labels.other == \"web\"'}]}", nil, none, false, "no such key"},
		{"the condition does not hold", "{when: 'workload.namespace != \"prod\"', pinnedByDigest: true}", nil, none, false, "none of the 1 policies binds"},
		{"the condition holds", "{when: 'workload.namespace == \"prod\"', pinnedByDigest: true}", pinned, none, true, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			tc.world(w)
			img := anImage()
			if tc.image != nil {
				tc.image(&img)
			}
			v := decide(t, ours(tc.spec), img, w)
			if v.Allowed != tc.allowed || !strings.Contains(reasons(v), tc.want) {
				t.Errorf("allowed %t, want %t (%s):\n%s%v", v.Allowed, tc.allowed, tc.want, reasons(v), v.Warnings)
			}
			for _, p := range v.Policies {
				for _, r := range p.Rules {
					if r.Rule == "" || r.Reason == "" || strings.Contains(r.Reason, "\x00") || !r.Passed && r.Fix == "" && p.Policy != noPolicy && r.Code == "" && !strings.HasPrefix(tc.name, "a rule") {
						t.Errorf("it does not explain itself: %+v", r)
					}
				}
			}
		})
	}
}

const spdxPredicate = `{"spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT","name":"app","documentNamespace":"https://example.com/app",
"creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: x"]},"packages":[{"SPDXID":"SPDXRef-x","name":"x","versionInfo":"1","downloadLocation":"NOASSERTION","licenseConcluded":"MIT"}]}`

// TestReviewIsAWarning: what somebody should look at passes, and is said.
func TestReviewIsAWarning(t *testing.T) {
	w := newWorld(t)
	w.bills = []Bill{aBill("SPDX-2.3", "", pkg("", "x", "1", "Apache-2.0"))}
	v := decide(t, ours("{licences: {allow: [MIT]}}"), anImage(), w)
	if !v.Allowed || len(v.Warnings) != 1 || !strings.Contains(v.Warnings[0], "x 1 is under Apache-2.0") {
		t.Errorf("%+v", v)
	}
}

// TestClaims of identities reach the verifier.
func TestClaims(t *testing.T) {
	w := newWorld(t)
	decide(t, ours("{requireLog: true, requireTimestamp: true, signedBy: [{issuer: a, identityRegexp: '^b$', claims: {github-workflow-ref: refs/heads/main}}]}"), anImage(), w)
	got := w.requests[0]
	want := bundle.Identity{Issuer: "a", SubjectRegexp: "^b$", Claims: map[string]string{"github-workflow-ref": "refs/heads/main"}}
	if len(got.Accept.Identities) != 1 || fmt.Sprint(got.Accept.Identities[0]) != fmt.Sprint(want) || !got.Options.RequireLog || !got.Options.RequireTimestamp {
		t.Errorf("%+v", got)
	}
}

// TestBinding: globs, namespaces and selectors.
func TestBinding(t *testing.T) {
	for _, tc := range []struct {
		name, spec string
		change     func(*Image)
		binds      bool
	}{
		{"everything", "{}", nil, true},
		{"images", "{images: ['registry.example/**']}", nil, true},
		{"other images", "{images: ['registry.example/*']}", nil, false},
		{"excepted", "{except: ['registry.example/team/**']}", nil, false},
		{"a namespace", "{namespaces: [prod]}", nil, true},
		{"namespaces", "{namespaces: ['pr*']}", nil, true},
		{"another namespace", "{namespaces: [dev]}", nil, false},
		{"no namespace", "{namespaces: ['*']}", func(i *Image) { i.Namespace = "" }, false},
		{"an excluded namespace", "{excludedNamespaces: ['p*d']}", nil, false},
		{"labels of the namespace", "{namespaceSelector: {matchLabels: {tier: prod}}}", func(i *Image) { i.NamespaceLabels = map[string]string{"tier": "prod"} }, true},
		{"other labels of the namespace", "{namespaceSelector: {matchLabels: {tier: prod}}}", nil, false},
		{"labels", "{selector: {matchLabels: {app: web}}}", nil, true},
		{"other labels", "{selector: {matchLabels: {app: db}}}", nil, false},
		{"labels of no workload", "{selector: {matchLabels: {app: web}}}", func(i *Image) { i.Workload = nil }, false},
	} {
		img := anImage()
		if tc.change != nil {
			tc.change(&img)
		}
		s := load(t, ours(strings.Replace(tc.spec, "{", "{pinnedByDigest: true, ", 1)), Options{})
		if got := len(s.Bound(img)) == 1; got != tc.binds {
			t.Errorf("%s: binds %t, want %t", tc.name, got, tc.binds)
		}
	}
}

// TestGlobs as policy-controller has them.
func TestGlobs(t *testing.T) {
	const d = "@sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"
	for _, tc := range []struct {
		glob, reference, written string
		matches                  bool
	}{
		{"**", "index.docker.io/library/nginx:latest", "nginx", true},
		{"*", "index.docker.io/library/nginx:latest", "nginx", true},
		{"*", "index.docker.io/bitnami/nginx:latest", "bitnami/nginx", false},
		{"*/*", "index.docker.io/bitnami/nginx:latest", "bitnami/nginx", true},
		{"*/*", "ghcr.io/nginx:latest", "ghcr.io/nginx", false},
		{"index.docker.io/library/*", "index.docker.io/library/nginx:latest", "nginx", true},
		{"index.docker.io/**", "index.docker.io/library/nginx:latest", "nginx", true},
		{"nginx", "index.docker.io/library/nginx:latest", "nginx", true}, // as it was written
		{"nginx", "index.docker.io/library/nginx:1", "nginx:1", false},
		{"ghcr.io/org/*", "ghcr.io/org/app:1", "ghcr.io/org/app:1", true},
		{"ghcr.io/org/*", "ghcr.io/org/team/app:1", "", false},
		{"ghcr.io/org/**", "ghcr.io/org/team/app:1", "", true},
		{"ghcr.io/org/app", "ghcr.io/org/app:1", "", false}, // the tag is part of it
		{"ghcr.io/org/app*", "ghcr.io/org/app:1", "", true},
		{"ghcr.io/org/app:1", "ghcr.io/org/app:1" + d, "", true},
		{"ghcr.io/org/app:2", "ghcr.io/org/app:1" + d, "", false},
		{"ghcr.io/org/app@**", "ghcr.io/org/app:1" + d, "", true},
		{"ghcr.io/org/app:1", "ghcr.io.evil.com/org/app:1", "", false},
		{"ghcr.io/org/a.p:1", "ghcr.io/org/axp:1", "", false},
		{"registry.example:5000/**", "registry.example:5000/app:1", "", true},
	} {
		g, err := parseGlob(tc.glob)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.matches(&Image{Reference: tc.reference, Written: tc.written}); got != tc.matches {
			t.Errorf("%q matches %q (%q): %t, want %t", tc.glob, tc.reference, tc.written, got, tc.matches)
		}
	}
	for _, bad := range []string{"", "a b", "[", "^a$", "a{1}", "ü", "a\n**"} {
		if _, err := parseGlob(bad); seaworthy.CodeOf(err) != seaworthy.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
