package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/trust/key"
)

const issuer = "https://issuer.example"

// keyed is a policy that asks for a signature by a key.
func keyed(k key.Private) string {
	return withAuthority("{name: a, key: {data: " + fmt.Sprintf("%q", k.Public().PEM()) + "}}")
}

func scanned(text string) string {
	return `{"scanner":{"uri":"pkg:generic/scan"},"critical":` + text + `}`
}

const vulnType = "https://cosign.sigstore.dev/attestation/vuln/v1"

// TestImagePolicies decides by ClusterImagePolicies.
func TestImagePolicies(t *testing.T) {
	release, other := newKey(t), newKey(t)
	two := withAuthority(fmt.Sprintf("{name: a, key: {data: %q}}, {name: b, %s}", release.Public().PEM(), keyless))
	vuln := func(policy string) string {
		return withAuthority("{name: a, " + keyless + ", attestations: [{name: scan, predicateType: vuln" + policy + "}]}")
	}
	const noCritical = `, policy: {type: cue, data: "predicate: critical: 0"}`
	whole := func(policy string) string {
		return withAuthority("{name: a, "+keyless+"}, {name: b, "+keyless+", attestations: [{name: scan, predicateType: vuln}]}") + "  policy: " + policy + "\n"
	}
	for _, tc := range []struct {
		name, policy string
		world        func(*world)
		allowed      bool
		want         string // in what the rules say that did not pass
	}{
		{"signed by the key", keyed(release), func(w *world) { w.signedBy(release, nil) }, true, ""},
		{"signed by another key", keyed(release), func(w *world) { w.signedBy(other, nil) }, false, "signature"},
		{"signed by both", keyed(release), func(w *world) { w.signedBy(other, nil).signedBy(release, nil) }, true, ""},
		{"not signed", keyed(release), func(*world) {}, false, "nothing signs sha256:"},
		{"an attestation is no signature", keyed(release), func(w *world) { w.signedBy(release, attestationOf(vulnType, `{}`)) }, false, "1 attestations are about something else"},
		{"one authority of two", two, func(w *world) { w.by("a", issuer, nil) }, true, ""},
		{"no authority of two", two, func(w *world) { w.by("b", issuer, nil) }, false, "signed by b"},
		{"another issuer", withAuthority("{" + keyless + "}"), func(w *world) { w.by("a", "https://evil.example", nil) }, false, "signed by a"},
		{"a regular expression", withAuthority("{keyless: {identities: [{issuerRegExp: '^https://issuer', subjectRegExp: '^.+@example.com$'}]}}"), func(w *world) { w.by("x@example.com", issuer, nil) }, true, ""},
		{"static pass", withAuthority("{static: {action: pass}}"), func(*world) {}, true, ""},
		{"static fail", withAuthority("{static: {action: fail, message: not here}}"), func(*world) {}, false, "not here"},
		{"static fail or a signature", withAuthority("{static: {action: fail}}, {" + keyless + "}"), func(w *world) { w.by("a", issuer, nil) }, true, ""},
		{"attested", vuln(""), func(w *world) { w.by("a", issuer, attestationOf(vulnType, scanned("3"))) }, true, ""},
		{"attested by another", vuln(""), func(w *world) { w.by("b", issuer, attestationOf(vulnType, scanned("3"))) }, false, "signed by b"},
		{"not attested", vuln(""), func(w *world) { w.by("a", issuer, nil) }, false, "nothing attests " + vulnType},
		{"attested and good", vuln(noCritical), func(w *world) { w.by("a", issuer, attestationOf(vulnType, scanned("0"))) }, true, ""},
		{"attested and bad", vuln(noCritical), func(w *world) { w.by("a", issuer, attestationOf(vulnType, scanned("3"))) }, false, "does not pass its cue policy: predicate.critical: conflicting values"},
		{"attested twice, once good", vuln(noCritical), func(w *world) {
			w.by("a", issuer, attestationOf(vulnType, scanned("3"))).by("a", issuer, attestationOf(vulnType, scanned("0")))
		}, true, ""},
		{"what is asked is left out", vuln(noCritical), func(w *world) { w.by("a", issuer, attestationOf(vulnType, `{"high":0}`)) }, false, "there is no predicate.critical"},
		{
			"two attestations are asked, one is there", withAuthority("{" + keyless + ", attestations: [{name: x, predicateType: vuln}, {name: y, predicateType: spdx}]}"),
			func(w *world) { w.by("a", issuer, attestationOf(vulnType, `{}`)) }, false, "nothing attests https://spdx.dev/Document",
		},
		{
			"a policy over what was found", whole(`{type: cue, data: "authorityMatches: b: attestations: scan: [...{subject: \"a\"}]"}`),
			func(w *world) { w.by("a", issuer, nil).by("a", issuer, attestationOf(vulnType, `{}`)) }, true, "",
		},
		{
			"which needs what was not found", whole(`{type: cue, data: "authorityMatches: b: attestations: scan: [...{subject: \"a\"}]"}`),
			func(w *world) { w.by("a", issuer, nil) }, false, "authorityMatches.b",
		},
		{
			"a policy is not asked when no authority passes", whole(`{type: rego, data: "package sigstore\nisCompliant { true }"}`),
			func(w *world) { w.by("b", issuer, nil) }, false, "signed by b",
		},
		{"a policy in Rego over the config", whole(`{type: rego, fetchConfigFile: true, data: "package sigstore\nisCompliant { input.config[\"linux/amd64\"].config.User == \"1000\" }"}`), func(w *world) {
			w.by("a", issuer, nil)
			w.configs = map[string]json.RawMessage{"linux/amd64": json.RawMessage(`{"config":{"User":"1000"}}`)}
		}, true, ""},
		{"the config is not there unasked", whole(`{type: rego, data: "package sigstore\nisCompliant { input.config }"}`), func(w *world) { w.by("a", issuer, nil) }, false, "undefined"},
		{
			"the workload", whole(`{type: rego, includeSpec: true, includeObjectMeta: true, includeTypeMeta: true, data: "package sigstore\nisCompliant { input.spec.containers[0].image == \"app:1.2\"; input.metadata.name == \"app\"; input.typemeta.kind == \"Pod\" }"}`),
			func(w *world) { w.by("a", issuer, nil) }, true, "",
		},
		{
			"the workload is not there unasked", whole(`{type: rego, data: "package sigstore\nisCompliant { not input.spec; not input.metadata; not input.typemeta }"}`),
			func(w *world) { w.by("a", issuer, nil) }, true, "",
		},
		{
			"a policy that passes with a warning", whole(`{type: rego, data: "package sigstore\nisCompliant[r] { r := {\"result\": true, \"warning\": \"soon\"} }"}`),
			func(w *world) { w.by("a", issuer, nil) }, false, "passes with a warning: soon",
		},
		{"only the legacy format", withAuthority("{" + keyless + ", signatureFormat: legacy}"), func(w *world) { w.by("a", issuer, nil) }, false, "in the format bundle v0.3"},
		{"only bundles", withAuthority("{" + keyless + ", signatureFormat: bundle}"), func(w *world) { w.by("a", issuer, nil) }, true, ""},
		{"signatures elsewhere", withAuthority("{" + keyless + ", source: [{oci: signatures.example/x}]}"), func(w *world) { w.by("a", issuer, nil) }, false, "cannot be looked for here"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			tc.world(w)
			v := decide(t, tc.policy, anImage(), w)
			if v.Allowed != tc.allowed || !strings.Contains(reasons(v), tc.want) {
				t.Errorf("allowed %t, want %t (%s):\n%s%v", v.Allowed, tc.allowed, tc.want, reasons(v), v.Warnings)
			}
			for _, p := range v.Policies {
				if p.Passed && p.Rules[len(p.Rules)-1].Passed && len(w.claims)+len(w.bundles) > 0 && len(p.Rules[0].Evidence) == 0 && !strings.HasPrefix(tc.name, "static") && tc.allowed && p.Rules[0].Passed {
					t.Errorf("no evidence is named: %+v", p.Rules)
				}
			}
		})
	}
}

// TestSeveralPolicies: all that bind the image must pass.
func TestSeveralPolicies(t *testing.T) {
	named := func(name, glob, mode, action string) string {
		return fmt.Sprintf("---\napiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: %s}\nspec:\n  mode: %s\n  images: [{glob: %q}]\n  authorities: [{static: {action: %s}}]\n", name, mode, glob, action)
	}
	for _, tc := range []struct {
		name, policies string
		allowed        bool
		bound          string
		warnings       int
	}{
		{"both pass", named("a", "**", "enforce", "pass") + named("b", "registry.example/**", "enforce", "pass"), true, "a b", 0},
		{"one does not", named("a", "**", "enforce", "pass") + named("b", "registry.example/**", "enforce", "fail"), false, "a b", 0},
		{"one only warns", named("a", "**", "enforce", "pass") + named("b", "registry.example/**", "warn", "fail"), true, "a b", 1},
		{"one is for others", named("a", "**", "enforce", "pass") + named("b", "ghcr.io/**", "enforce", "fail"), true, "a", 0},
		{"none binds", named("b", "ghcr.io/**", "enforce", "pass"), false, "", 0},
	} {
		s := load(t, tc.policies, Options{})
		v, err := s.Decide(t.Context(), anImage(), newWorld(t), now)
		if err != nil {
			t.Fatal(err)
		}
		if v.Allowed != tc.allowed || len(v.Warnings) != tc.warnings {
			t.Errorf("%s: allowed %t, warnings %q\n%s", tc.name, v.Allowed, v.Warnings, reasons(v))
		}
		if got := strings.Join(s.Bound(anImage()), " "); got != tc.bound {
			t.Errorf("%s: bound by %q, want %q", tc.name, got, tc.bound)
		}
	}
	for unbound, want := range map[Unbound]struct {
		allowed  bool
		warnings int
	}{"": {false, 0}, UnboundDeny: {false, 0}, UnboundWarn: {true, 1}, UnboundAllow: {true, 0}} {
		v, err := load(t, named("b", "ghcr.io/**", "enforce", "pass"), Options{Unbound: unbound}).Decide(t.Context(), anImage(), newWorld(t), now)
		if err != nil || v.Allowed != want.allowed || len(v.Warnings) != want.warnings {
			t.Errorf("unbound %q: %+v, %v", unbound, v, err)
		}
	}
}

// TestWorkloadsAreMatched by spec.match.
func TestWorkloadsAreMatched(t *testing.T) {
	for _, tc := range []struct {
		match string
		binds bool
	}{
		{"[]", true},
		{"[{resource: pods}]", true},
		{"[{group: apps, version: v1, resource: deployments}]", false},
		{"[{version: v1, resource: pods}]", true},
		{"[{version: v1beta1, resource: pods}]", false},
		{"[{resource: deployments}, {resource: pods}]", true},
		{"[{resource: pods, selector: {matchLabels: {app: web}}}]", true},
		{"[{resource: pods, selector: {matchLabels: {app: db}}}]", false},
		{"[{resource: pods, selector: {matchExpressions: [{key: app, operator: In, values: [web, db]}]}}]", true},
		{"[{resource: pods, selector: {matchExpressions: [{key: app, operator: NotIn, values: [web, db]}]}}]", false},
		{"[{resource: pods, selector: {matchExpressions: [{key: other, operator: NotIn, values: [web, db]}]}}]", true},
		{"[{resource: pods, selector: {matchExpressions: [{key: app, operator: Exists}]}}]", true},
		{"[{resource: pods, selector: {matchExpressions: [{key: app, operator: DoesNotExist}]}}]", false},
	} {
		s := load(t, withAuthority("{static: {action: fail}}")+"  match: "+tc.match+"\n", Options{})
		if got := len(s.Bound(anImage())) == 1; got != tc.binds {
			t.Errorf("%s binds: %t, want %t", tc.match, got, tc.binds)
		}
		bare := anImage()
		bare.Workload = nil
		if got := len(s.Bound(bare)) == 1; got != (tc.match == "[]") {
			t.Errorf("%s binds without a workload: %t", tc.match, got)
		}
	}
}

// TestNobodyIsAskedUnnecessarily: what is static, or does not bind, costs no question.
func TestNobodyIsAskedUnnecessarily(t *testing.T) {
	short := func(spec string) string {
		return "apiVersion: seaworthy.dev/v1alpha1\nkind: Policy\nmetadata: {name: p}\nspec: " + spec
	}
	for _, tc := range []struct{ name, policy, asked string }{
		{"static pass", withAuthority("{static: {action: pass}}, {" + keyless + "}"), ""},
		{"static after keyless", withAuthority("{" + keyless + "}, {static: {action: pass}}"), ""},
		{"static fail", withAuthority("{static: {action: fail}}"), ""},
		{"not bound", strings.Replace(withAuthority("{"+keyless+"}"), "glob: '**'", "glob: 'ghcr.io/**'", 1), ""},
		{"another workload", withAuthority("{"+keyless+"}") + "  match: [{resource: jobs}]\n", ""},
		{"keyless", withAuthority("{" + keyless + "}"), "verify"},
		{"a registry that is not allowed", short("{registries: [ghcr.io], signedBy: [{issuer: a, identity: b}], billPresent: true}"), ""},
		{"not pinned", short("{pinnedByDigest: true, noFindingAbove: low}"), ""},
		{"the condition does not hold", short("{when: 'image.tag == \"1.3\"', billPresent: true}"), ""},
		{"an expression that asks nobody", short("{rules: [{name: a, expression: 'image.tag == \"1.3\"'}], billPresent: true}"), ""},
		{"an expression over findings", short("{rules: [{name: a, expression: 'findings.size() == 0'}]}"), "findings"},
		{"a bill", short("{billPresent: true}"), "bills"},
	} {
		w := newWorld(t)
		decide(t, tc.policy, anImage(), w)
		if got := strings.Join(w.asked, " "); got != tc.asked {
			t.Errorf("%s: asked %q, want %q", tc.name, got, tc.asked)
		}
	}
}

// TestFailModes: what cannot be answered passes only where the policy says so, and never because of what somebody put
// there.
func TestFailModes(t *testing.T) {
	short := func(spec string) string {
		return "apiVersion: seaworthy.dev/v1alpha1\nkind: Policy\nmetadata: {name: p}\nspec: {failMode: open, " + spec + "}"
	}
	cipOpen := strings.Replace(withAuthority("{"+keyless+"}"), "{name: p}", "{name: p, annotations: {seaworthy.dev/fail-mode: open}}", 1)
	unavailable := seaworthy.Errorf(seaworthy.Unavailable, "the registry does not answer")
	tooLarge := seaworthy.Errorf(seaworthy.TooLarge, "a signature of 1 TiB")
	for _, tc := range []struct {
		name, policy string
		down         error
		allowed      bool
		code         seaworthy.Code
	}{
		{"closed is the default", withAuthority("{" + keyless + "}"), unavailable, false, seaworthy.Unavailable},
		{"open", cipOpen, unavailable, true, ""},
		{"open, but unreadable", cipOpen, tooLarge, false, seaworthy.TooLarge},
		{"open, and unsigned", cipOpen, nil, false, ""},
		{"short form, open", short("signedBy: [{issuer: a, identity: b}]"), unavailable, true, ""},
		{"short form, open, bills", short("billPresent: true"), unavailable, true, ""},
		{"short form, open, findings", short("noFindingAbove: low"), unavailable, true, ""},
		{"short form, open, but another rule says no", short("pinnedByDigest: true, signedBy: [{issuer: a, identity: b}]"), unavailable, false, ""},
		{"short form, open, but too large", short("billPresent: true"), tooLarge, false, seaworthy.TooLarge},
	} {
		w := newWorld(t)
		w.down = tc.down
		v := decide(t, tc.policy, anImage(), w)
		if v.Allowed != tc.allowed || tc.allowed == (len(v.Warnings) == 0) {
			t.Errorf("%s: allowed %t, warnings %q\n%s", tc.name, v.Allowed, v.Warnings, reasons(v))
		}
		if tc.code != "" && !strings.Contains(reasons(v), "| "+string(tc.code)+"\n") {
			t.Errorf("%s: no rule with code %s:\n%s", tc.name, tc.code, reasons(v))
		}
	}
}

// TestAnImageWithoutDigest has no evidence.
func TestAnImageWithoutDigest(t *testing.T) {
	img := anImage()
	img.Digest = ""
	w := newWorld(t).by("a", issuer, nil)
	v := decide(t, withAuthority("{"+keyless+"}"), img, w)
	if v.Allowed || !strings.Contains(reasons(v), "could not be resolved to a digest") || len(w.asked) > 0 {
		t.Errorf("%s, asked %q", reasons(v), w.asked)
	}
	if v := decide(t, withAuthority("{static: {action: pass}}"), img, newWorld(t)); !v.Allowed {
		t.Errorf("static pass: %s", reasons(v))
	}
}

func TestContexts(t *testing.T) {
	s := load(t, withAuthority("{static: {action: pass}}"), Options{})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if v, err := s.Decide(ended, anImage(), newWorld(t), now); seaworthy.CodeOf(err) != seaworthy.Interrupted || v.Allowed {
		t.Errorf("cancelled: %+v, %v", v, err)
	}
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	w := newWorld(t)
	w.down = late.Err()
	v, err := load(t, withAuthority("{"+keyless+"}"), Options{Root: publicRoot(t)}).Decide(late, anImage(), w, now)
	if err != nil || v.Allowed || !strings.Contains(reasons(v), string(seaworthy.Unavailable)) {
		t.Errorf("late: %s, %v", reasons(v), err)
	}
}

// TestWhatIsBelieved: requests carry what the authority says of logs, timestamps and certificates.
func TestWhatIsBelieved(t *testing.T) {
	k := newKey(t)
	pem := fmt.Sprintf("%q", k.Public().PEM())
	for _, tc := range []struct {
		name, authority                  string
		log, timestamp, noLog, noSCT, ok bool
	}{
		{"a key alone", "{key: {data: " + pem + "}}", false, false, false, false, false},
		{"a key and a log", "{key: {data: " + pem + "}, ctlog: {url: 'https://rekor.sigstore.dev'}}", true, false, false, false, true},
		{"a key and no log", "{key: {data: " + pem + "}, ctlog: {}}", false, false, false, false, false},
		{"a key and a timestamp", "{key: {data: " + pem + "}, rfc3161timestamp: {}}", false, true, false, false, true},
		{"an identity", "{" + keyless + "}", false, false, false, false, true},
		{"an identity and no log", "{" + keyless + ", ctlog: {}}", false, false, true, false, true},
		{"an identity without SCT", "{keyless: {insecureIgnoreSCT: true, identities: [{issuer: a, subject: b}]}}", false, false, false, true, true},
	} {
		w := newWorld(t)
		decide(t, withAuthority(tc.authority), anImage(), w)
		if len(w.requests) != 1 {
			t.Fatalf("%s: %d requests", tc.name, len(w.requests))
		}
		o := w.requests[0].Options
		if o.RequireLog != tc.log || o.RequireTimestamp != tc.timestamp || o.UnsafeNoLog != tc.noLog || o.UnsafeNoSCT != tc.noSCT || (w.requests[0].Root != nil) != tc.ok {
			t.Errorf("%s: %+v, root %v", tc.name, o, w.requests[0].Root)
		}
	}
}

// TestGeneration changes with everything that may change a verdict, and with nothing else.
func TestGeneration(t *testing.T) {
	one := withAuthority("{static: {action: pass}}")
	of := func(o Options, files ...File) string { s, _ := Load(files, o); return s.Generation() }
	base := of(Options{}, File{"a", []byte(one)})
	if got := of(Options{}, File{"b", []byte("# a comment\n" + one)}); got != base {
		t.Error("it changes with the file's name")
	}
	if got := of(Options{}, File{"b", []byte(strings.Replace(one, "{name: p}", "{name: p, uid: x, resourceVersion: '7', labels: {a: b}}", 1) + "status: {ready: true}\n")}); got != base {
		t.Error("it changes with what a cluster notes")
	}
	two := strings.Replace(one, "{name: p}", "{name: q}", 1)
	if of(Options{}, File{"a", []byte(one)}, File{"b", []byte(two)}) != of(Options{}, File{"b", []byte(two)}, File{"a", []byte(one)}) {
		t.Error("it changes with the order of the files")
	}
	configMap := func(text string) func(string, string, string) ([]byte, error) {
		return func(string, string, string) ([]byte, error) { return []byte(text), nil }
	}
	refers := withAuthority("{static: {action: pass}}") + "  policy: {type: cue, configMapRef: {name: a, key: b}}\n"
	seen := map[string]string{}
	for name, got := range map[string]string{
		"base": base, "another policy": of(Options{}, File{"a", []byte(strings.Replace(one, "pass", "fail", 1))}), "two": of(Options{}, File{"a", []byte(one + "---\n" + two)}),
		"a root": of(Options{Root: publicRoot(t)}, File{"a", []byte(one)}), "unbound": of(Options{Unbound: UnboundAllow}, File{"a", []byte(one)}),
		"a config map":         of(Options{ConfigMap: configMap("authorityMatches: _")}, File{"a", []byte(refers)}),
		"another config map":   of(Options{ConfigMap: configMap("authorityMatches: a: _")}, File{"a", []byte(refers)}),
		"a mode by annotation": of(Options{}, File{"a", []byte(strings.Replace(one, "{name: p}", "{name: p, annotations: {seaworthy.dev/mode: dryrun}}", 1))}),
	} {
		if other, ok := seen[got]; ok {
			t.Errorf("%s and %s have the same generation", name, other)
		}
		seen[got] = name
	}
}

// TestLookups: config maps and secrets, of the files and of a cluster.
func TestLookups(t *testing.T) {
	k := newKey(t)
	pem := string(k.Public().PEM())
	policy := withAuthority("{name: a, key: {secretRef: {name: keys}}, attestations: [{name: x, predicateType: vuln, policy: {type: cue, configMapRef: {name: policies, key: scan}}}]}")
	files := policy + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: policies, namespace: cosign-system}\ndata: {scan: 'predicate: critical: 0'}\n" +
		"---\napiVersion: v1\nkind: Secret\nmetadata: {name: keys, namespace: cosign-system}\nstringData: {cosign.pub: " + fmt.Sprintf("%q", pem) + "}\n"
	asked := []string{}
	cluster := Options{
		Namespace: "seaworthy",
		ConfigMap: func(namespace, name, entry string) ([]byte, error) {
			asked = append(asked, namespace+"/"+name+"/"+entry)
			return []byte("predicate: critical: 0"), nil
		},
		Secret: func(namespace, name string) (map[string][]byte, error) {
			asked = append(asked, namespace+"/"+name)
			return map[string][]byte{"cosign.pub": []byte(pem)}, nil
		},
	}
	for _, tc := range []struct {
		name, text string
		o          Options
	}{{"files", files, Options{}}, {"cluster", policy, cluster}} {
		s := load(t, tc.text, tc.o)
		for critical, want := range map[string]bool{"0": true, "1": false} {
			w := newWorld(t).signedBy(k, attestationOf(vulnType, scanned(critical)))
			v, err := s.Decide(t.Context(), anImage(), w, now)
			if err != nil || v.Allowed != want {
				t.Errorf("%s, critical %s: %s, %v", tc.name, critical, reasons(v), err)
			}
		}
	}
	if got := strings.Join(asked, " "); got != "seaworthy/keys seaworthy/policies/scan" {
		t.Errorf("asked %q", got)
	}
	missing := Options{
		ConfigMap: func(string, string, string) ([]byte, error) {
			return nil, seaworthy.Errorf(seaworthy.NotFound, "no such config map")
		},
		Secret: func(string, string) (map[string][]byte, error) { return map[string][]byte{"a": nil, "b": nil}, nil },
	}
	_, mistakes := Load([]File{{"test.yaml", []byte(policy)}}, missing)
	for _, want := range []string{"spec.authorities[0].key.secretRef: the secret cosign-system/keys has 2 entries", "spec.authorities[0].attestations[0].policy.configMapRef: asking for"} {
		if !strings.Contains(lines(mistakes), want) {
			t.Errorf("no %q in\n%s", want, lines(mistakes))
		}
	}
}
