package sign_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/sign"
	"github.com/seaworthy-dev/seaworthy/engine/verify"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
	"github.com/seaworthy-dev/seaworthy/trust/key"
)

func newKey(t *testing.T, kind string) key.Private {
	t.Helper()
	k, err := key.Generate(kind)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func file(t *testing.T, text string) bundle.Artifact {
	t.Helper()
	a, err := bundle.FileArtifact("file", strings.NewReader(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestFiles(t *testing.T) {
	for _, kind := range []string{"ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"} {
		t.Run(kind, func(t *testing.T) {
			k := newKey(t, kind)
			s, err := sign.Artifact(t.Context(), file(t, "text"), sign.Options{Key: k})
			if err != nil {
				t.Fatal(err)
			}
			u, err := bundle.Parse(s.Bundle)
			if err != nil {
				t.Fatal(err)
			}
			accept := bundle.Accept{Keys: []key.Public{newKey(t, "ecdsa-p256").Public(), k.Public()}}
			v, err := bundle.Verify(u, file(t, "text"), accept, nil, bundle.Options{})
			if err != nil || v.Signer().Key != k.Public().Digest() {
				t.Errorf("got %v, %v", v, err)
			}
			if _, err := bundle.Verify(u, file(t, "test"), accept, nil, bundle.Options{}); bundle.RefusalOf(err) == nil || bundle.RefusalOf(err).Check != bundle.CheckArtifact {
				t.Errorf("another file: %v", err)
			}
			other := bundle.Accept{Keys: accept.Keys[:1]}
			if _, err := bundle.Verify(u, file(t, "text"), other, nil, bundle.Options{}); bundle.RefusalOf(err) == nil || bundle.RefusalOf(err).Check != bundle.CheckSignature {
				t.Errorf("another key: %v", err)
			}
			if _, err := bundle.Verify(u, file(t, "text"), accept, nil, bundle.Options{PredicateTypes: []string{"x"}}); bundle.RefusalOf(err) == nil || bundle.RefusalOf(err).Check != bundle.CheckPredicate {
				t.Errorf("an attestation was asked: %v", err)
			}
		})
	}
}

// image makes a layout with a manifest that is all there is to it.
func image(t *testing.T) (*oci.Layout, oci.Descriptor) {
	t.Helper()
	l, err := oci.CreateLayout(filepath.Join(t.TempDir(), "image"), oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	sig, err := sign.Artifact(t.Context(), file(t, "x"), sign.Options{Key: newKey(t, "ecdsa-p256")})
	if err != nil {
		t.Fatal(err)
	}
	d, err := sign.Attach(t.Context(), l, oci.Descriptor{MediaType: oci.MediaTypeManifest, Digest: seaworthy.SHA256(nil), Size: 1}, sig, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return l, d // any manifest will do
}

func TestImages(t *testing.T) {
	l, d := image(t)
	k := newKey(t, "ecdsa-p256")
	request := func(types ...string) verify.Request {
		return verify.Request{Accept: bundle.Accept{Keys: []key.Public{k.Public()}}, Options: bundle.Options{PredicateTypes: types}}
	}
	check := func(what string, want seaworthy.Code, verified int, r verify.Request) {
		t.Helper()
		report, err := verify.Image(t.Context(), "app", l, d.Digest, r)
		if seaworthy.CodeOf(err) != want {
			t.Fatalf("%s: got %v, want %q", what, err, want)
		}
		if report != nil && len(report.Verified) != verified {
			t.Errorf("%s: %d passed, want %d", what, len(report.Verified), verified)
		}
	}
	const spdx = "https://spdx.dev/Document"
	check("nothing signs it", seaworthy.Unsigned, 0, request())

	attestation := &intoto.Statement{Type: intoto.TypeV1, PredicateType: spdx, Predicate: []byte(`{}`), Subjects: []intoto.Subject{{Name: "app", Digest: map[string]string{"sha256": d.Digest.Hex()}}}}
	put := func(s *intoto.Statement, by key.Private) {
		t.Helper()
		made, err := sign.Statement(t.Context(), s, sign.Options{Key: by})
		if err == nil {
			_, err = sign.Attach(t.Context(), l, d, made, time.Unix(1, 0))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put(attestation, k)
	check("an attestation is no signature", seaworthy.Unmatched, 0, request())
	check("the attestation", "", 1, request(spdx))
	check("another type", seaworthy.Unmatched, 0, request("https://cyclonedx.org/bom"))

	if err := sign.Legacy(t.Context(), l, "app", d.Digest, map[string]string{"build": "42"}, newKey(t, "ed25519")); err != nil {
		t.Fatal(err)
	}
	check("signed by somebody else", seaworthy.Unmatched, 0, request())
	if err := sign.Legacy(t.Context(), l, "app", d.Digest, nil, k); err != nil {
		t.Fatal(err)
	}
	check("the tag", "", 1, request())
	if err := sign.LegacyEnvelope(t.Context(), l, d.Digest, attestation, k); err != nil {
		t.Fatal(err)
	}
	check("the attestation and its tag", "", 2, request(spdx))

	signature, err := sign.ImageStatement(d.Digest, map[string]string{"build": "42"})
	if err != nil {
		t.Fatal(err)
	}
	put(signature, k)
	check("the tag and the bundle", "", 2, request())

	byIdentity := verify.Request{Accept: bundle.Accept{Identities: []bundle.Identity{{Subject: "a", Issuer: "b"}}}, Root: publicGood(t)}
	check("an identity was asked", seaworthy.Uncertified, 0, byIdentity)
	check("nobody was named", seaworthy.Usage, 0, verify.Request{})
}

// A bundle that was signed for another image and attached to this one is refused.
func TestAnotherImagesSignature(t *testing.T) {
	l, d := image(t)
	k := newKey(t, "ecdsa-p256")
	s, err := sign.ImageStatement(seaworthy.SHA256([]byte("another")), nil)
	if err != nil {
		t.Fatal(err)
	}
	made, err := sign.Statement(t.Context(), s, sign.Options{Key: k})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sign.Attach(t.Context(), l, d, made, time.Time{}); err != nil {
		t.Fatal(err)
	}
	_, err = verify.Image(t.Context(), "app", l, d.Digest, verify.Request{Accept: bundle.Accept{Keys: []key.Public{k.Public()}}})
	if r := bundle.RefusalOf(err); r == nil || r.Check != bundle.CheckArtifact {
		t.Errorf("got %v, want a refusal of the artifact", err)
	}
}

// A list of referrers that cannot be had is an error, and not an image that nobody signed.
func TestAFailedListingIsNotUnsigned(t *testing.T) {
	busy := seaworthy.Errorf(seaworthy.Unavailable, "429 Too Many Requests")
	l, d := image(t)
	_, err := verify.Image(t.Context(), "app", brokenPlace{l, busy}, d.Digest, verify.Request{Accept: bundle.Accept{Keys: []key.Public{newKey(t, "ecdsa-p256").Public()}}})
	if seaworthy.CodeOf(err) != seaworthy.Unavailable {
		t.Errorf("got %v, want %v", err, busy)
	}
}

type brokenPlace struct {
	oci.Place
	err error
}

func (p brokenPlace) Referrers(context.Context, seaworthy.Digest, string) ([]oci.Referrer, error) {
	return nil, p.err
}

type (
	authorityFunc func(context.Context, string, key.Private) ([]byte, error)
	logFunc       func(context.Context, sign.Entry) (*protorekor.TransparencyLogEntry, error)
)

func (f authorityFunc) Certify(ctx context.Context, token string, k key.Private) ([]byte, error) {
	return f(ctx, token, k)
}

func (f logFunc) Add(ctx context.Context, e sign.Entry) (*protorekor.TransparencyLogEntry, error) {
	return f(ctx, e)
}

// Nobody is asked who was not named, and what an authority does wrong stops the signing.
func TestAuthorities(t *testing.T) {
	down := seaworthy.Errorf(seaworthy.Unavailable, "down")
	noLog := logFunc(func(context.Context, sign.Entry) (*protorekor.TransparencyLogEntry, error) {
		t.Error("the log was asked")
		return nil, errors.New("asked")
	})
	rubbish := authorityFunc(func(context.Context, string, key.Private) ([]byte, error) { return []byte("x"), nil })
	for name, c := range map[string]struct {
		o    sign.Options
		want seaworthy.Code
	}{
		"nothing":     {sign.Options{}, seaworthy.Usage},
		"no token":    {sign.Options{Authority: rubbish, Logs: []sign.Log{noLog}}, seaworthy.Usage},
		"no time":     {sign.Options{Authority: rubbish, Token: "t"}, seaworthy.Usage},
		"rubbish":     {sign.Options{Authority: rubbish, Token: "t", Logs: []sign.Log{noLog}}, seaworthy.Invalid},
		"down":        {sign.Options{Authority: authorityFunc(func(context.Context, string, key.Private) ([]byte, error) { return nil, down }), Token: "t", Logs: []sign.Log{noLog}}, seaworthy.Unavailable},
		"log is down": {sign.Options{Key: newKey(t, "ecdsa-p256"), Logs: []sign.Log{logFunc(func(context.Context, sign.Entry) (*protorekor.TransparencyLogEntry, error) { return nil, down })}}, seaworthy.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := sign.Artifact(t.Context(), file(t, "text"), c.o); seaworthy.CodeOf(err) != c.want || s != nil {
				t.Errorf("got %v, %v, want %s", s, err, c.want)
			}
		})
	}
}

func TestTheSameStatementIsTheSameBytes(t *testing.T) {
	k := newKey(t, "ed25519") // its signatures are not random
	s, err := sign.ImageStatement(seaworthy.SHA256(nil), map[string]string{"b": "2", "a": "1"})
	if err != nil {
		t.Fatal(err)
	}
	one, err := sign.Statement(t.Context(), s, sign.Options{Key: k})
	if err != nil {
		t.Fatal(err)
	}
	two, err := sign.Statement(t.Context(), s, sign.Options{Key: k})
	if err != nil || !bytes.Equal(one.Bundle, two.Bundle) {
		t.Errorf("%s\n%s\n%v", one.Bundle, two.Bundle, err)
	}
}
