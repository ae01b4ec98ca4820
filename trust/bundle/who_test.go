package bundle_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
	"github.com/seaworthy-dev/seaworthy/trust/key"
)

// WhoSigned names the signer that Verify accepts, and refuses what Verify refuses but for the artifact.
func TestWhoSigned(t *testing.T) {
	for _, name := range vectorNames(t) {
		v := readVector(t, name)
		t.Run(name, func(t *testing.T) {
			u, err := bundle.Parse(v.bundle)
			if err != nil {
				return // TestVectors says which may
			}
			verified, verr := bundle.Verify(u, v.artifact, v.accept, v.root, bundle.Options{})
			told, terr := bundle.WhoSigned(u, "a.txt", v.accept.Keys, v.root, bundle.Options{})
			refusal := bundle.RefusalOf(verr)
			switch {
			case verr == nil && terr != nil:
				t.Errorf("Verify accepts it, and WhoSigned says %v", terr)
			case verr == nil && told.Signer.String() != verified.Signer().String():
				t.Errorf("got %s, want %s", told.Signer, verified.Signer())
			case verr != nil && terr == nil && refusal.Check != bundle.CheckArtifact && refusal.Check != bundle.CheckIdentity:
				t.Errorf("Verify says %v, and WhoSigned nothing", verr)
			case terr == nil && !told.Signer.Proven:
				t.Errorf("it tells of a signer that is not proven")
			}
		})
	}
}

// Nobody is told without a root or key that vouches for them.
func TestWhoSignedIsProven(t *testing.T) {
	v := readVector(t, firstGood(t))
	u, err := bundle.Parse(v.bundle)
	if err != nil {
		t.Fatal(err)
	}
	other, err := key.Generate(key.Kinds()[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() error{
		"without anything": func() error { _, err := bundle.WhoSigned(u, "x", nil, nil, bundle.Options{}); return err },
		"with a key only": func() error {
			_, err := bundle.WhoSigned(u, "x", []key.Public{other.Public()}, nil, bundle.Options{})
			return err
		},
	} {
		if err := try(); bundle.RefusalOf(err) == nil {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
	if _, err := bundle.WhoSigned(nil, "x", nil, v.root, bundle.Options{}); seaworthy.CodeOf(err) != seaworthy.Usage {
		t.Errorf("of nothing: got %v", err)
	}
}

// Every mutation that Verify refuses for a reason of its own is refused by WhoSigned too.
func TestWhoSignedRefusesMutations(t *testing.T) {
	for _, name := range vectorNames(t) {
		if strings.HasSuffix(name, "_fail") {
			continue
		}
		v := readVector(t, name)
		for i := 0; i < len(v.bundle); i += 97 {
			changed := bytes.Clone(v.bundle)
			changed[i] ^= 1
			u, err := bundle.Parse(changed)
			if err != nil {
				continue
			}
			_, verr := bundle.Verify(u, v.artifact, v.accept, v.root, bundle.Options{})
			_, terr := bundle.WhoSigned(u, "x", v.accept.Keys, v.root, bundle.Options{})
			r := bundle.RefusalOf(verr)
			if terr == nil && verr != nil && (r == nil || r.Check != bundle.CheckArtifact) {
				t.Errorf("%s, byte %d: Verify says %v, and WhoSigned nothing", name, i, verr)
			}
		}
	}
}

func TestUnsafeClaims(t *testing.T) {
	envelopes, messages := 0, 0
	for _, name := range vectorNames(t) {
		v := readVector(t, name)
		u, err := bundle.Parse(v.bundle)
		if err != nil {
			continue
		}
		c := u.UnsafeClaims()
		if c.Signer.Proven || c.Format == "" {
			t.Errorf("%s: got %+v", name, c)
		}
		switch {
		case c.PayloadType == intoto.PayloadType:
			envelopes++
			if _, err := intoto.Parse(c.Payload); err != nil || c.Artifact != "" {
				t.Errorf("%s: got artifact %q, %v", name, c.Artifact, err)
			}
		case c.Artifact != "":
			messages++
			if !strings.HasSuffix(name, "_fail") && c.Artifact != v.artifact.Digest() && !slices.Contains([]string{"sha384", "sha512"}, c.Artifact.Algorithm()) {
				t.Errorf("%s: got %s, want %s", name, c.Artifact, v.artifact.Digest())
			}
		}
	}
	if envelopes == 0 || messages == 0 {
		t.Errorf("saw %d envelopes and %d messages", envelopes, messages)
	}
}
