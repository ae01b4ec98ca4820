package bundle_test

import (
	"bytes"
	"strings"
	"syscall"
	"testing"
	"time"

	sigbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// What is not exactly one JSON value is refused before anything in it is believed.
func TestStrictJSON(t *testing.T) {
	v := readVector(t, firstGood(t))
	text := string(v.bundle)
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	for name, c := range map[string]struct{ doc, says string }{
		"equal names":       {strings.Replace(text, "{", `{"mediaType":"x",`, 1), "duplicate"},
		"other case":        {strings.Replace(text, `"mediaType"`, `"MediaType"`, 1), "unknown field"},
		"both cases":        {strings.Replace(text, "{", `{"MEDIATYPE":"x",`, 1), "unknown field"},
		"something behind":  {text + `{}`, "something follows"},
		"text behind":       {text + `x`, "something follows"},
		"invalid UTF-8":     {strings.Replace(text, "{", "{\"\xff\":1,", 1), "UTF-8"},
		"ten thousand deep": {strings.Replace(text, "{", `{"x":`+deep+`,`, 1), "levels deep"},
		"cut off":           {text[:len(text)/2], "cut off"},
		"empty":             {"", "cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bundle.Parse([]byte(c.doc))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want it to say %q", err, c.says)
			}
		})
	}
}

func firstGood(t testing.TB) string {
	for _, name := range vectorNames(t) {
		if !strings.HasSuffix(name, "_fail") {
			return name
		}
	}
	t.Skip("there are no good vectors")
	return ""
}

func TestNobodyIsAcceptedByDefault(t *testing.T) {
	v := readVector(t, firstGood(t))
	u, err := bundle.Parse(v.bundle)
	if err != nil {
		t.Fatal(err)
	}
	for name, accept := range map[string]bundle.Accept{
		"nobody":         {},
		"nothing":        {Identities: []bundle.Identity{{}}},
		"no issuer":      {Identities: []bundle.Identity{{Subject: beacon}}},
		"no subject":     {Identities: []bundle.Identity{{Issuer: githubActions}}},
		"broken regexp":  {Identities: []bundle.Identity{{SubjectRegexp: "(", Issuer: githubActions}}},
		"unknown claim":  {Identities: []bundle.Identity{{Subject: beacon, Issuer: githubActions, Claims: map[string]string{"x": "y"}}}},
		"only one is ok": {Identities: []bundle.Identity{{Subject: beacon, Issuer: githubActions}, {}}},
	} {
		if _, err := bundle.Verify(u, v.artifact, accept, v.root, bundle.Options{}); seaworthy.CodeOf(err) != seaworthy.Usage {
			t.Errorf("%s: got %v, want a usage error", name, err)
		}
	}
	for name, try := range map[string]func() error{
		"no artifact": func() error {
			_, err := bundle.Verify(u, bundle.Artifact{}, v.accept, v.root, bundle.Options{})
			return err
		},
		"no root":   func() error { _, err := bundle.Verify(u, v.artifact, v.accept, nil, bundle.Options{}); return err },
		"no bundle": func() error { _, err := bundle.Verify(nil, v.artifact, v.accept, v.root, bundle.Options{}); return err },
	} {
		if err := try(); seaworthy.CodeOf(err) != seaworthy.Usage {
			t.Errorf("%s: got %v, want a usage error", name, err)
		}
	}
}

func TestIdentities(t *testing.T) {
	v := readVector(t, "happy-path-v0.3")
	u, err := bundle.Parse(v.bundle)
	if err != nil {
		t.Fatal(err)
	}
	repository := map[string]string{"github-workflow-repository": "sigstore-conformance/extremely-dangerous-public-oidc-beacon"}
	for name, c := range map[string]struct {
		id   bundle.Identity
		says string // "" passes
	}{
		"exact":           {bundle.Identity{Subject: beacon, Issuer: githubActions}, ""},
		"regexp":          {bundle.Identity{SubjectRegexp: "^https://github.com/sigstore-conformance/", IssuerRegexp: "githubusercontent"}, ""},
		"claim":           {bundle.Identity{Subject: beacon, Issuer: githubActions, Claims: repository}, ""},
		"other subject":   {bundle.Identity{Subject: beacon + "x", Issuer: githubActions}, "the identity is"},
		"other issuer":    {bundle.Identity{Subject: beacon, Issuer: "https://accounts.google.com"}, "the issuer is"},
		"regexp misses":   {bundle.Identity{SubjectRegexp: "^sigstore", Issuer: githubActions}, "is not like"},
		"both must match": {bundle.Identity{Subject: beacon, SubjectRegexp: "^x", Issuer: githubActions}, "is not like"},
		"other claim":     {bundle.Identity{Subject: beacon, Issuer: githubActions, Claims: map[string]string{"github-workflow-ref": "refs/heads/x"}}, "the claim github-workflow-ref"},
		"claim is empty":  {bundle.Identity{Subject: beacon, Issuer: githubActions, Claims: map[string]string{"github-workflow-ref": ""}}, "the claim github-workflow-ref"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bundle.Verify(u, v.artifact, bundle.Accept{Identities: []bundle.Identity{c.id}}, v.root, bundle.Options{})
			if c.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			r := bundle.RefusalOf(err)
			if r == nil || r.Check != bundle.CheckIdentity || !strings.Contains(r.Detail, c.says) {
				t.Fatalf("got %v, want a refusal of the identity that says %q", err, c.says)
			}
			if len(r.Found) != 1 || r.Found[0].Identity != beacon || !r.Found[0].Proven {
				t.Errorf("it found %v, want the proven identity", r.Found)
			}
		})
	}
}

// Whatever we accept, the library's own verifier accepts too: the order of checks is ours, not what they are.
func TestTheLibraryAgrees(t *testing.T) {
	for _, g := range goodBundles(t) {
		if len(g.accept.Keys) > 0 {
			continue // it takes keys in another way
		}
		var b sigbundle.Bundle
		if err := b.UnmarshalJSON(g.bundle); err != nil {
			t.Fatal(err)
		}
		verifier, err := verify.NewVerifier(g.root, verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1), verify.WithSignedCertificateTimestamps(1))
		if err != nil {
			t.Fatal(err)
		}
		id := g.accept.Identities[0]
		want, err := verify.NewShortCertificateIdentity(id.Issuer, id.IssuerRegexp, id.Subject, id.SubjectRegexp)
		if err != nil {
			t.Fatal(err)
		}
		sum := g.artifact.Digest()
		policy := verify.NewPolicy(verify.WithArtifactDigest(sum.Algorithm(), unhex(t, sum.Hex())), verify.WithCertificateIdentity(want))
		if _, err := verifier.Verify(&b, policy); err != nil {
			t.Errorf("%s: we verify it, the library says %v", g.name, err)
		}
	}
}

// BenchmarkVerifyWarm is what a bundle costs from bytes to answer: with a root that has never seen its certificate, and
// with one that has.
func BenchmarkVerifyWarm(b *testing.B) {
	for _, name := range []string{"happy-path-v0.3", "happy-path-intoto-in-dsse-v3", "rekor2-happy-path"} {
		vectorNames(b)
		v := readVector(b, name)
		b.Run("cold/"+name, func(b *testing.B) {
			for b.Loop() {
				r, err := root.Parse("again", v.root.JSON())
				if err != nil {
					b.Fatal(err)
				}
				v.root = r
				if _, err := v.verify(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("warm/"+name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpu(b)
			for b.Loop() {
				if _, err := v.verify(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpu is what the process has used so far, in all its threads.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func FuzzParse(f *testing.F) {
	for _, g := range goodBundles(f) {
		f.Add(g.bundle)
	}
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{}},"messageSignature":{"messageDigest":{},"signature":"AA=="}}`))
	a, err := bundle.FileArtifact("x", bytes.NewReader([]byte("x")), nil)
	if err != nil {
		f.Fatal(err)
	}
	accept := bundle.Accept{Identities: []bundle.Identity{{SubjectRegexp: ".", IssuerRegexp: "."}}}
	r := publicGood(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := bundle.Parse(b)
		if err != nil {
			if u != nil || seaworthy.CodeOf(err) == seaworthy.Internal {
				t.Errorf("%v", err)
			}
			return
		}
		if _, err := bundle.Verify(u, a, accept, r, bundle.Options{}); err == nil {
			t.Error("verified")
		}
	})
}

func FuzzCosign(f *testing.F) {
	payload := `{"critical":{"identity":{"docker-reference":"r"},"image":{"docker-manifest-digest":"sha256:` + strings.Repeat("a", 64) + `"},"type":"cosign container image signature"},"optional":null}`
	f.Add(payload, "AAAA", "", `{"SignedEntryTimestamp":"AA==","Payload":{"body":"e30=","integratedTime":1,"logIndex":1,"logID":"aa"}}`, `{"SignedRFC3161Timestamp":"AA=="}`)
	f.Fuzz(func(t *testing.T, payload, sig, cert, entry, stamp string) {
		annotations := map[string]string{bundle.CosignSignature: sig, bundle.CosignCertificate: cert, bundle.CosignBundle: entry, bundle.CosignTimestamp: stamp}
		for _, kind := range []string{bundle.SimpleSigningType, bundle.EnvelopeType} {
			if _, err := bundle.Cosign(kind, annotations, []byte(payload)); seaworthy.CodeOf(err) == seaworthy.Internal {
				t.Error(err)
			}
		}
	})
}
