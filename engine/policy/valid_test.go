package policy

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

// TestEveryField: a policy with every field that policy-controller has is sound, in both versions.
func TestEveryField(t *testing.T) {
	pem := fmt.Sprintf("%q", newKey(t).Public().PEM())
	const text = `apiVersion: policy.sigstore.dev/VERSION
kind: ClusterImagePolicy
metadata:
  name: everything
  labels: {a: b}
  annotations: {seaworthy.dev/fail-mode: open, other: x}
  uid: 1234
spec:
  mode: warn
  images:
  - glob: registry.example/app**
  - glob: "**"
  match:
  - {group: apps, version: v1, resource: deployments, selector: {matchLabels: {a: b}, matchExpressions: [{key: c, operator: In, values: [d]}]}}
  - resource: pods
  authorities:
  - name: by-key
    key: {data: PEM, hashAlgorithm: sha256}
    ctlog: {url: "https://rekor.sigstore.dev"}
    source:
    - {oci: signatures.example/x, tagPrefix: v1, signaturePullSecrets: [{name: pull}]}
    signatureFormat: bundle
  - name: by-secret
    key: {secretRef: {name: keys, namespace: other}}
    rfc3161timestamp: {trustRootRef: mine}
    attestations:
    - name: custom
      predicateType: custom
      policy:
        type: cue
        configMapRef: {name: policies, namespace: other, key: cue}
    - {name: any, predicateType: "https://example.com/any"}
    - {name: spdx, predicateType: spdxjson, policy: {type: rego, remote: {url: "https://policies.example/p.rego", sha256sum: SUM}}}
  - name: keyless
    keyless:
      url: https://fulcio.sigstore.dev
      trustRootRef: mine
      insecureIgnoreSCT: false
      identities:
      - {issuer: "https://issuer.example", subject: a@example.com}
      - {issuerRegExp: "^https://.*$", subjectRegExp: "^.*@example.com$"}
    ctlog: {url: "https://log.example", trustRootRef: mine}
    rfc3161timestamp: {trustRootRef: mine}
    signatureFormat: legacy
  - name: by-ca
    keyless:
      ca-cert: {data: CERT}
      identities: [{issuer: a, subject: b}]
  - static: {action: fail, message: no}
  policy:
    type: rego
    fetchConfigFile: true
    includeSpec: true
    includeObjectMeta: true
    includeTypeMeta: true
    data: |
      package sigstore
      isCompliant { input.authorityMatches }
status:
  observedGeneration: 1
  conditions: [{type: Ready, status: "True"}]
---
`
	const regoText = "package sigstore\nisCompliant { true }\n"
	root := strings.Replace(selfSigned(t), "{name: r}", "{name: mine}", 1)
	o := Options{
		Root:      publicRoot(t),
		ConfigMap: func(string, string, string) ([]byte, error) { return []byte("predicate: Data: string"), nil },
		Secret: func(string, string) (map[string][]byte, error) {
			return map[string][]byte{"cosign.pub": newKey(t).Public().PEM()}, nil
		},
		Remote: func(string) ([]byte, error) { return []byte(regoText), nil },
	}
	r := strings.NewReplacer("PEM", pem, "CERT", fmt.Sprintf("%q", strangerPEM(t)), "SUM", seaworthy.SHA256([]byte(regoText)).Hex())
	for _, version := range []string{"v1alpha1", "v1beta1"} {
		s := load(t, r.Replace(strings.Replace(text, "VERSION", version, 1))+root, o)
		p := s.Policies()
		if len(p) != 1 || p[0].Mode != seaworthy.Warn || !p[0].FailOpen || len(p[0].Images) != 2 || len(p[0].Rules) != 6 || p[0].Kind != kindImagePolicy {
			t.Errorf("%s: %+v", version, p)
		}
	}
	for name, change := range map[string]func(o *Options){
		"another text": func(o *Options) { o.Remote = func(string) ([]byte, error) { return []byte(regoText + " "), nil } },
		"no answer": func(o *Options) {
			o.Remote = func(string) ([]byte, error) { return nil, seaworthy.Errorf(seaworthy.Unavailable, "no answer") }
		},
	} {
		broken := o
		change(&broken)
		_, mistakes := Load([]File{{"a", []byte(r.Replace(strings.Replace(text, "VERSION", "v1beta1", 1)) + root)}}, broken)
		if !strings.Contains(lines(mistakes), "spec.authorities[1].attestations[2].policy.remote") {
			t.Errorf("%s: %s", name, lines(mistakes))
		}
	}
}

// TestTheDocumentedForm: the policy in the package's documentation is one.
func TestTheDocumentedForm(t *testing.T) {
	b, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(b), "//\tapiVersion: seaworthy.dev/v1alpha1\n")
	text, _, ok2 := strings.Cut(text, "// In CEL are")
	if !ok || !ok2 {
		t.Fatal("there is no policy in doc.go")
	}
	text = "apiVersion: seaworthy.dev/v1alpha1\n" + strings.NewReplacer("//\t", "", "\n//\n", "\n").Replace(text)
	k := newKey(t).Public().PEM()
	text = strings.NewReplacer(
		"-----BEGIN PUBLIC KEY-----        # or secretRef: {name, namespace, key}", indented(string(k), 6),
		"by: [{identity: …, issuer: …}]", "by: [{identity: a, issuer: b}]", ", by: […]", "", "by: […]", "by: [{identity: a, issuer: b}]",
		"allow: […], review: […], ", "", "trustRoot: private", "trustRoot: r",
	).Replace(text)
	s, mistakes := Load([]File{{"doc.go", []byte(text + "\n---\n" + selfSigned(t))}}, Options{})
	for _, m := range mistakes {
		if !m.Warning {
			t.Errorf("%s (%s)\n%s", m, m.Hint, text)
		}
	}
	if p := s.Policies(); len(p) != 1 || len(p[0].Rules) != 11 {
		t.Errorf("%+v", p)
	}
}

// TestLists and JSON are read as kubectl gives them.
func TestLists(t *testing.T) {
	s := load(t, `{"apiVersion":"v1","kind":"List","items":[
{"apiVersion":"policy.sigstore.dev/v1beta1","kind":"ClusterImagePolicy","metadata":{"name":"a"},"spec":{"images":[{"glob":"**"}],"authorities":[{"static":{"action":"pass"}}]}},
{"apiVersion":"seaworthy.dev/v1alpha1","kind":"Policy","metadata":{"name":"a"},"spec":{"pinnedByDigest":true}}]}`, Options{})
	var names []string
	for _, p := range s.Policies() {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != "clusterimagepolicy/a policy/a" {
		t.Errorf("got %q", got)
	}
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		goodPolicy, thePackageChecker, ours("{signedBy: [{issuer: a, identity: b}], packages: {deny: [{name: x, version: '<1'}]}, when: 'true', noFindingAbove: low}"),
		"a: &a [*a]", "kind: List\nitems: [{}]", withAuthority("{static: {action: pass}}") + "  policy: {type: rego, data: 'package sigstore'}\n", "- &x {<<: *x}", "? {a: b}\n: c",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, mistakes := Load([]File{{"fuzz", b}}, Options{})
		for _, m := range mistakes {
			if m.Code == "" || m.Detail == "" || m.File != "fuzz" {
				t.Errorf("%+v", m)
			}
		}
		s.Bound(anImage())
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"isSuccess":true}`))
	f.Add([]byte("text\n{\"code\":1}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := parseAnswer(b); err == nil && a.IsSuccess != nil && *a.IsSuccess && !strings.Contains(string(b), "true") {
			t.Errorf("%q says yes", b)
		}
	})
}

func FuzzVersions(f *testing.F) {
	f.Add(">=1.0, <2 || 3.1", "1.5")
	f.Fuzz(func(_ *testing.T, denied, version string) {
		if versions, err := parseVersions(denied); err == nil {
			d := deniedPackage{name: "x", versions: versions}
			d.holds(&seaworthy.Package{Name: "x", Ecosystem: "npm", Version: version})
		}
	})
}

func FuzzPrograms(f *testing.F) {
	for _, b := range bombs {
		if len(b.policy) < 2000 {
			f.Add(b.language, b.policy)
		}
	}
	f.Fuzz(func(_ *testing.T, language, text string) {
		if len(text) > 4000 {
			return
		}
		compiled(language, text)
	})
}
