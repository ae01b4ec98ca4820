package policy

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/sign"
	"github.com/seaworthy-dev/seaworthy/engine/verify"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
	"github.com/seaworthy-dev/seaworthy/trust/key"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// digest is that of the image all these tests are about.
var digest = seaworthy.SHA256([]byte("image"))

// world is what is known about the image. Keys really sign; identities are taken at their word, since what makes a
// certificate is not what is tested here.
type world struct {
	t        testing.TB
	bundles  []*bundle.Unverified
	claims   []claim
	bills    []Bill
	findings []seaworthy.Finding
	configs  map[string]json.RawMessage
	down     error // what everything answers
	asked    []string
	requests []verify.Request
	artifact *bundle.Artifact // nil: the image of digest
}

// claim is a statement by somebody with a certificate.
type claim struct {
	who, issuer string
	statement   *intoto.Statement
	format      string
	claims      map[string]string
}

func newWorld(t testing.TB) *world { return &world{t: t} }

// release and other are keys.
func newKey(t testing.TB) key.Private {
	t.Helper()
	k, err := key.Generate("ecdsa-p256")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func attestationOf(predicateType, predicate string) *intoto.Statement {
	return &intoto.Statement{
		Type: intoto.TypeV1, PredicateType: predicateType, Predicate: []byte(predicate),
		Subjects: []intoto.Subject{{Name: "app", Digest: map[string]string{"sha256": digest.Hex()}}},
	}
}

// signedBy adds a signature, or an attestation, by a key.
func (w *world) signedBy(k key.Private, s *intoto.Statement) *world {
	w.t.Helper()
	if s == nil {
		s = attestationOf(bundle.SignPredicate, `{}`)
	}
	made, err := sign.Statement(w.t.Context(), s, sign.Options{Key: k})
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := bundle.Parse(made.Bundle)
	if err != nil {
		w.t.Fatal(err)
	}
	w.bundles = append(w.bundles, u)
	return w
}

// by adds one by somebody with a certificate.
func (w *world) by(who, issuer string, s *intoto.Statement) *world {
	if s == nil {
		s = attestationOf(bundle.SignPredicate, `{}`)
	}
	w.claims = append(w.claims, claim{who: who, issuer: issuer, statement: s, format: "bundle v0.3"})
	return w
}

// Verify implements Evidence.
func (w *world) Verify(_ context.Context, r verify.Request) (*verify.Report, error) {
	w.asked = append(w.asked, "verify")
	w.requests = append(w.requests, r)
	if w.down != nil {
		return nil, w.down
	}
	artifact, err := bundle.DigestArtifact("app", digest)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.artifact != nil {
		artifact = *w.artifact
	}
	if len(r.Options.PredicateTypes) == 0 {
		r.Options.PredicateTypes = []string{bundle.SignPredicate}
	}
	report := &verify.Report{Target: "app", Digest: digest}
	for i, u := range w.bundles {
		source := fmt.Sprintf("referrers %s", seaworthy.SHA256([]byte{byte(i)}))
		one, _ := verify.File(artifact, source, u, r)
		report.Verified = append(report.Verified, one.Verified...)
		report.Refused = append(report.Refused, one.Refused...)
	}
	for i, c := range w.claims {
		source := fmt.Sprintf("referrers %s", seaworthy.SHA256([]byte{1, byte(i)}))
		check, detail := c.refused(r)
		if check != "" {
			refusal := &bundle.Refusal{Check: check, On: "app", Detail: detail, Found: []bundle.Signer{{Identity: c.who, Issuer: c.issuer}}}
			report.Refused = append(report.Refused, verify.Refused{Source: source, Code: seaworthy.Unmatched, Detail: refusal.Error(), Refusal: refusal})
			continue
		}
		report.Verified = append(report.Verified, verify.Proof{Source: source, Statement: c.statement, Evidence: bundle.Evidence{
			Format: c.format, PredicateType: c.statement.PredicateType, Signer: bundle.Signer{Identity: c.who, Issuer: c.issuer, Proven: true, Claims: c.claims},
		}})
	}
	switch {
	case len(report.Verified) > 0:
		return report, nil
	case len(report.Refused) == 0:
		return report, seaworthy.Errorf(seaworthy.Unsigned, "verifying %q: nothing signs %s", "app", digest).WithHint("seaworthy sign app signs it")
	}
	return report, seaworthy.Errorf(seaworthy.Unmatched, "verifying %q: %s", "app", report.Refused[0].Detail)
}

// refused says why a claim is not as was asked, or "".
func (c *claim) refused(r verify.Request) (bundle.Check, string) {
	if !slices.Contains(r.Options.PredicateTypes, c.statement.PredicateType) {
		return bundle.CheckPredicate, "it is a " + c.statement.PredicateType
	}
	fits := func(exact, expr, have string) bool {
		return (exact == "" || exact == have) && (expr == "" || regexp.MustCompile(expr).MatchString(have))
	}
	for _, id := range r.Accept.Identities {
		if fits(id.Subject, id.SubjectRegexp, c.who) && fits(id.Issuer, id.IssuerRegexp, c.issuer) {
			return "", ""
		}
	}
	return bundle.CheckIdentity, "signed by " + c.who
}

// Bills implements Evidence.
func (w *world) Bills(context.Context) ([]Bill, error) {
	w.asked = append(w.asked, "bills")
	return w.bills, w.down
}

// Findings implements Evidence.
func (w *world) Findings(context.Context) ([]seaworthy.Finding, error) {
	w.asked = append(w.asked, "findings")
	return w.findings, w.down
}

// Config implements Evidence.
func (w *world) Config(context.Context) (map[string]json.RawMessage, error) {
	w.asked = append(w.asked, "config")
	return w.configs, w.down
}

// anImage is one of a pod in a namespace.
func anImage() Image {
	return Image{
		Reference: "registry.example/team/app:1.2", Written: "registry.example/team/app:1.2", Digest: digest, Namespace: "prod",
		Workload: &Workload{Version: "v1", Resource: "pods", Kind: "Pod", Name: "app", Labels: map[string]string{"app": "web"}, Object: json.RawMessage(
			`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"app","labels":{"app":"web"}},"spec":{"containers":[{"image":"app:1.2"}]}}`)},
	}
}

// load reads policies that must be sound.
func load(t testing.TB, text string, o Options) *Set {
	t.Helper()
	s, mistakes := Load([]File{{"test.yaml", []byte(text)}}, o)
	for _, m := range mistakes {
		if !m.Warning {
			t.Fatalf("%s (%s)", m, m.Hint)
		}
	}
	return s
}

// decide loads a policy and asks it.
func decide(t testing.TB, text string, img Image, w *world) seaworthy.Verdict {
	t.Helper()
	v, err := load(t, text, Options{Root: publicRoot(t)}).Decide(t.Context(), img, w, now)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func publicRoot(t testing.TB) *root.Root {
	t.Helper()
	r, err := root.PublicGood()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// reasons are what the rules that did not pass say, in one text.
func reasons(v seaworthy.Verdict) string {
	var b strings.Builder
	for _, p := range v.Policies {
		for _, r := range p.Rules {
			if !r.Passed {
				fmt.Fprintf(&b, "%s | %s: %s | missing %q | fix %s | %s\n", p.Policy, r.Rule, r.Reason, r.Missing, r.Fix, r.Code)
			}
		}
	}
	return b.String()
}

// indented is a text as a block of YAML, n deep.
func indented(s string, n int) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n"+strings.Repeat(" ", n))
}

// authorityCertificate is one that signed itself.
func authorityCertificate(t testing.TB) []byte {
	t.Helper()
	k := newKey(t).Signer()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stranger"}, NotBefore: now.AddDate(-5, 0, 0), NotAfter: now.AddDate(5, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
