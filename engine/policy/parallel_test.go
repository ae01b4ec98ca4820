package policy

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

// everyEngine are policies in all languages over the same attestation.
var everyEngine = withAuthority("{name: a, "+keyless+`, attestations: [
    {name: c, predicateType: vuln, policy: {type: cue, data: "import \"strings\"\npredicate: scanner: uri: strings.MinRunes(3)"}},
    {name: r, predicateType: vuln, policy: {type: rego, data: "package sigstore\nisCompliant { startswith(sprintf(\"%v\", [input.predicate.scanner.uri]), \"pkg:\") }"}}]}`) +
	"---\n" + ours("{attestedBy: [{type: vuln, by: [{issuer: 'https://issuer.example', identity: a}], policy: {type: cel, data: 'predicate.critical == 0'}}], rules: [{name: r, expression: 'image.tag.startsWith(\"1\")'}]}") +
	"---\n" + strings.Replace(thePackageChecker, "application/spdx+json", "'*'", 1)

// TestManyAtOnce: a Set is for many users at once, and each gets its own answer.
func TestManyAtOnce(t *testing.T) {
	s := load(t, everyEngine, Options{Root: publicRoot(t)})
	var wait sync.WaitGroup
	for i := range 64 {
		good := i%2 == 0
		w := newWorld(t).by("a", issuer, attestationOf(vulnType, scanned(fmt.Sprint(i%2))))
		w.bills = []Bill{aBill("SPDX-2.3", "application/spdx+json", pkg("", "x", "1", "MIT"))}
		wait.Go(func() {
			v, err := s.Decide(t.Context(), anImage(), w, now)
			if err != nil || v.Allowed != good {
				t.Errorf("%d: allowed %t, want %t: %s%v", i, v.Allowed, good, reasons(v), err)
			}
		})
	}
	wait.Wait()
}

// TestModes: what a policy's no does.
func TestModes(t *testing.T) {
	annotated := func(mode string) string {
		return strings.Replace(withAuthority("{static: {action: fail}}"), "{name: p}", "{name: p, annotations: {seaworthy.dev/mode: "+mode+"}}", 1)
	}
	warns := withAuthority("{static: {action: pass}}") + "  mode: warn\n  policy: {type: rego, data: \"package sigstore\\nisCompliant[r] { r := {\\\"result\\\": true, \\\"warning\\\": \\\"soon\\\"} }\"}\n"
	for _, tc := range []struct {
		name, policy string
		mode         seaworthy.Mode
		allowed      bool
		passed       bool
		warnings     string
	}{
		{"enforce", withAuthority("{static: {action: fail}}"), seaworthy.Enforce, false, false, ""},
		{"warn", withAuthority("{static: {action: fail}}") + "  mode: warn\n", seaworthy.Warn, true, false, "refuses every image"},
		{"dryrun by annotation", annotated("dryrun"), seaworthy.DryRun, true, false, ""},
		{"our warn", ours("{mode: warn, pinnedByDigest: true}"), seaworthy.Warn, true, false, "names no digest"},
		{"our dryrun", ours("{mode: dryrun, pinnedByDigest: true}"), seaworthy.DryRun, true, false, ""},
		{"a Verifier that warns", strings.Replace(thePackageChecker, "  name: package-checker", "  name: package-checker\n  annotations: {seaworthy.dev/mode: warn}", 1), seaworthy.Warn, true, false, "there is no bill"},
		{"a warning of a policy that warns", warns, seaworthy.Warn, true, true, "soon"},
	} {
		v := decide(t, tc.policy, anImage(), newWorld(t))
		if v.Allowed != tc.allowed || v.Policies[0].Passed != tc.passed || v.Policies[0].Mode != tc.mode || !strings.Contains(strings.Join(v.Warnings, "\n"), tc.warnings) || (tc.warnings == "") != (len(v.Warnings) == 0) {
			t.Errorf("%s: %+v", tc.name, v)
		}
	}
}

// BenchmarkDecide is one decision by every engine, of evidence that is there.
func BenchmarkDecide(b *testing.B) {
	for _, c := range []struct{ name, policy string }{
		{"static", withAuthority("{static: {action: pass}}")},
		{"identity", withAuthority("{name: a, " + keyless + "}")},
		{"every-engine", everyEngine},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := load(b, c.policy, Options{Root: publicRoot(b)})
			w := newWorld(b).by("a", issuer, attestationOf(vulnType, scanned("0"))).by("a", issuer, nil)
			w.bills = []Bill{aBill("SPDX-2.3", "application/spdx+json", pkg("", "x", "1", "MIT"))}
			for b.Loop() {
				w.asked, w.requests = nil, nil
				if v, err := s.Decide(b.Context(), anImage(), w, now); err != nil || !v.Allowed {
					b.Fatal(reasons(v), err)
				}
			}
		})
	}
}
