package ingest_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ingest"
	"github.com/seaworthy-dev/seaworthy/engine/sign"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/trust/key"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

func publicGood(t testing.TB) *root.Root {
	t.Helper()
	r, err := root.PublicGood()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newKey(t testing.TB) key.Private {
	t.Helper()
	k, err := key.Generate("ecdsa-p256")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustRead(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A real provenance of npm: who signed it is proven by the root, and recorded.
func TestRealBundle(t *testing.T) {
	body := mustRead(t, shareds(t, "sigstore/npm-*.json")[0])
	in, store := newIngester(t, ingest.Options{Root: publicGood(t)})
	d := mustBytes(t, in, "npm", body).Document
	if d.Kind != seaworthy.ProvenanceDocument || d.Verification.State != seaworthy.VerifiedState || len(d.Verification.Signers) != 1 ||
		!strings.HasPrefix(d.Verification.Signers[0], "identity:https://github.com/sigstore/sigstore-js/") || !strings.HasSuffix(d.Verification.Signers[0], "|https://token.actions.githubusercontent.com") {
		t.Errorf("got %+v", d)
	}
	signer := seaworthy.Subject{Kind: seaworthy.ActorSubject, Key: d.Verification.Signers[0]}
	signed := said(t, store, signer, true, seaworthy.SaysSigned)
	if len(signed) != 1 {
		t.Fatalf("got %v", signed)
	}
	for s, attrs := range signed {
		if s.subject != "document "+string(d.Digest) || seaworthy.AttrOf(attrs, "log") == "" || seaworthy.AttrOf(attrs, "time") == "" || !strings.HasPrefix(seaworthy.AttrOf(attrs, "how"), "bundle v") {
			t.Errorf("got %v with %v", s, attrs)
		}
	}
	pkg := seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: "pkg:npm/sigstore@2.0.0"}
	same := objects(said(t, store, pkg, false), seaworthy.SaysSame)
	if len(same) != 1 || !strings.HasPrefix(same[0], "artifact sha512:") {
		t.Errorf("the package is the same as %v", same)
	}

	in, _ = newIngester(t, ingest.Options{})
	if v := mustBytes(t, in, "npm", body).Document.Verification; v.State != seaworthy.UnverifiableState || !strings.Contains(v.Detail, "trusted root") || len(v.Signers) > 0 {
		t.Errorf("without a root: got %+v", v)
	}
}

// What verification must refuse is kept, and is never verified.
func TestVectors(t *testing.T) {
	dirs := shareds(t, "sigstore/vectors/*/bundle.sigstore.json")
	good := 0
	for _, file := range dirs {
		name := filepath.Base(filepath.Dir(file))
		o := ingest.Options{Root: publicGood(t)}
		if b, err := os.ReadFile(filepath.Join(filepath.Dir(file), "trusted_root.json")); err == nil {
			if o.Root, err = root.Parse(name, b); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := os.ReadFile(filepath.Join(filepath.Dir(file), "key.pub")); err == nil {
			k, err := key.ParsePublic(b)
			if err != nil {
				t.Fatal(err)
			}
			o.Keys = []key.Public{k}
		}
		in, store := newIngester(t, o)
		r, err := in.Bytes(t.Context(), name, mustRead(t, file))
		v := r.Document.Verification
		switch {
		case name == "bundle-malformed-json_fail":
			if seaworthy.CodeOf(err) != seaworthy.Invalid {
				t.Errorf("%s: got %v", name, err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case name == "message-digest-mismatch_fail": // it is a right signature of another file
		case strings.HasSuffix(name, "_fail"):
			if v.State != seaworthy.UnverifiableState || v.Detail == "" || len(v.Signers) > 0 {
				t.Errorf("%s: got %+v", name, v)
			}
			about := said(t, store, r.Document.Subject(), false)
			if len(objects(about, seaworthy.SaysSigned)) > 0 || len(about) == 0 {
				t.Errorf("%s: got %v", name, about)
			}
		default:
			good++
			if name == "happy-path-v0.3" { // the certificate names the commit
				for about := range said(t, store, r.Document.Subject(), false, seaworthy.SaysDescribes) {
					_, key, _ := strings.Cut(about.object, " ")
					from := objects(said(t, store, seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: key}, false), seaworthy.SaysSource)
					if len(from) != 1 || !strings.HasPrefix(from[0], "source git+https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon@") {
						t.Errorf("it comes from %v", from)
					}
				}
			}
			if v.State != seaworthy.VerifiedState || len(v.Signers) != 1 {
				t.Errorf("%s: got %+v", name, v)
			}
		}
	}
	if good == 0 {
		t.Error("there are no good vectors")
	}
}

func attestation(digest seaworthy.Digest, predicateType, predicate string) *intoto.Statement {
	return &intoto.Statement{
		Type: intoto.TypeV1, PredicateType: predicateType, Predicate: []byte(predicate),
		Subjects: []intoto.Subject{{Name: "app", Digest: map[string]string{digest.Algorithm(): digest.Hex()}}},
	}
}

// An envelope with several signatures is verified when one of them is, and says by whom.
func TestEnvelope(t *testing.T) {
	ours, theirs := newKey(t), newKey(t)
	image := seaworthy.SHA256([]byte("image"))
	var signatures []json.RawMessage
	var payload json.RawMessage
	for _, k := range []key.Private{ours, theirs} {
		made, err := sign.Statement(t.Context(), attestation(image, "https://example.com/coffee/v1", `{"cups":3}`), sign.Options{Key: k})
		if err != nil {
			t.Fatal(err)
		}
		var b struct {
			Envelope struct {
				Payload    json.RawMessage
				Signatures []json.RawMessage
			} `json:"dsseEnvelope"`
		}
		if err := json.Unmarshal(made.Bundle, &b); err != nil {
			t.Fatal(err)
		}
		payload, signatures = b.Envelope.Payload, append(signatures, b.Envelope.Signatures...)
	}
	envelope := func(signatures ...json.RawMessage) []byte {
		b, err := json.Marshal(map[string]any{"payloadType": intoto.PayloadType, "payload": payload, "signatures": signatures})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	in, _ := newIngester(t, ingest.Options{Keys: []key.Public{ours.Public()}})
	for name, c := range map[string]struct {
		body   []byte
		state  seaworthy.VerificationState
		detail string
	}{
		"both":    {envelope(signatures...), seaworthy.VerifiedState, "not the signature of the key"},
		"ours":    {envelope(signatures[0]), seaworthy.VerifiedState, ""},
		"theirs":  {envelope(signatures[1]), seaworthy.UnverifiableState, "not the signature of the key"},
		"nobody":  {envelope(), seaworthy.UnsignedState, ""},
		"rubbish": {envelope(json.RawMessage(`{"sig":""}`)), seaworthy.UnverifiableState, "no signature"},
	} {
		v := mustBytes(t, in, name, c.body).Document.Verification
		if v.State != c.state || !strings.Contains(v.Detail, c.detail) {
			t.Errorf("%s: got %+v", name, v)
		}
		want := []string{"key:" + string(ours.Public().Digest())}
		if (c.state == seaworthy.VerifiedState) != slices.Equal(v.Signers, want) {
			t.Errorf("%s: signed by %v", name, v.Signers)
		}
	}
	changed := bytes.Replace(envelope(signatures[0]), payload[5:25], bytes.Repeat([]byte("A"), 20), 1)
	if r, err := in.Bytes(t.Context(), "changed", changed); err == nil && r.Document.Verification.State == seaworthy.VerifiedState {
		t.Error("a changed payload is verified")
	}
}

// A signature over an artifact says that somebody signs it.
func TestMessageSignature(t *testing.T) {
	k := newKey(t)
	file := seaworthy.SHA256([]byte("file"))
	s, err := sign.ImageStatement(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	made, err := sign.Statement(t.Context(), s, sign.Options{Key: k})
	if err != nil {
		t.Fatal(err)
	}
	in, store := newIngester(t, ingest.Options{Keys: []key.Public{k.Public()}})
	if d := mustBytes(t, in, "x", made.Bundle).Document; d.Kind != seaworthy.SignatureDocument || d.Verification.State != seaworthy.VerifiedState {
		t.Errorf("got %+v", d)
	}
	got := objects(said(t, store, seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: string(file)}, false), seaworthy.SaysSigned)
	if !slices.Equal(got, []string{"actor key:" + string(k.Public().Digest())}) {
		t.Errorf("signed by %v", got)
	}
}

// Signed JSON that two readers may see differently is refused.
func TestAmbiguousSignedJSON(t *testing.T) {
	in, _ := newIngester(t, ingest.Options{})
	for name, body := range map[string]string{
		"equal names in a statement":    `{"_type":"https://in-toto.io/Statement/v1","predicateType":"a","predicateType":"b","subject":[{"digest":{"sha256":"` + strings.Repeat("a", 64) + `"}}]}`,
		"equal names in an envelope":    `{"payloadType":"application/vnd.in-toto+json","payload":"e30=","payload":"e30=","signatures":[]}`,
		"other case in an envelope":     `{"payloadType":"application/vnd.in-toto+json","Payload":"e30=","payload":"e30=","signatures":[]}`,
		"another payload":               `{"payloadType":"text/plain","payload":"e30=","signatures":[]}`,
		"something behind":              `{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[]} x`,
		"too deep":                      `{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`,
		"equal names in what was seen":  `{"format":"seaworthy-seen-1","manifest":"e30=","manifest":"e30="}`,
		"equal names in a bundle":       `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","mediaType":"x"}`,
		"a lookalike of predicateType":  `{"_type":"https://in-toto.io/Statement/v1","predicatetype":"a","predicateType":"b","subject":[{"digest":{"sha256":"` + strings.Repeat("a", 64) + `"}}]}`,
		"too many signatures":           `{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[` + strings.TrimSuffix(strings.Repeat(`{"sig":"YQ=="},`, 17), ",") + `]}`,
		"equal names in the provenance": `{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://slsa.dev/provenance/v1","subject":[{"digest":{"sha256":"` + strings.Repeat("a", 64) + `"}}],"predicate":{"runDetails":{},"runDetails":{"builder":{"id":"x"}}}}`,
	} {
		if r, err := in.Bytes(t.Context(), name, []byte(body)); err == nil {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}
