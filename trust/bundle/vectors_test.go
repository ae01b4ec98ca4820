package bundle_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
	"github.com/seaworthy-dev/seaworthy/trust/key"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

const (
	vectors       = "../../../shared/data/sigstore/vectors"
	npmBundle     = "../../../shared/data/sigstore/npm-sigstore-2.0.0-provenance.sigstore.json"
	beacon        = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
	githubActions = "https://token.actions.githubusercontent.com"
)

// why is the check that refuses each vector whose name ends in _fail, and a part of what it says. A vector without
// a line here fails the test.
var why = map[string]struct {
	check  bundle.Check
	detail string
}{
	"bundle-from-wrong-instance_fail":   {bundle.CheckCertificate, "no authority of the trusted root"},
	"bundle-malformed-json_fail":        {"", "the JSON is cut off"},
	"dsse-invalid-sig_fail":             {bundle.CheckSignature, "not the signature of the certificate's key"},
	"dsse-mismatch-sig_fail":            {bundle.CheckLog, "shows another signature"},
	"incorrect-public-key_fail":         {bundle.CheckLog, "not one of this signature: entry body"},
	"invalid-checkpoint-signature_fail": {bundle.CheckLog, "not proven"},
	"message-digest-mismatch_fail":      {bundle.CheckArtifact, "the bundle is for sha256:"},
	"rekor2-no-timestamp_fail":          {bundle.CheckTime, "when it was signed"},
	"signature-mismatch_fail":           {bundle.CheckSignature, "not the signature of the certificate's key"},
	"wrong-hashedrekord-entry_fail":     {bundle.CheckLog, "shows another signature"},
}

// vector is one folder of published cases.
type vector struct {
	name     string
	bundle   []byte
	artifact bundle.Artifact
	accept   bundle.Accept
	root     *root.Root
}

func readVector(t testing.TB, name string) vector {
	t.Helper()
	dir := filepath.Join(vectors, name)
	v := vector{name: name, bundle: mustRead(t, filepath.Join(dir, "bundle.sigstore.json"))}
	artifact, err := os.ReadFile(filepath.Join(dir, "artifact"))
	if err != nil {
		artifact = mustRead(t, filepath.Join(vectors, "a.txt"))
	}
	if v.artifact, err = bundle.FileArtifact("a.txt", bytes.NewReader(artifact), nil); err != nil {
		t.Fatal(err)
	}
	id := bundle.Identity{Subject: beacon, Issuer: githubActions}
	if b, err := os.ReadFile(filepath.Join(dir, "identity")); err == nil {
		id.Subject = strings.TrimSpace(string(b))
	}
	if b, err := os.ReadFile(filepath.Join(dir, "issuer")); err == nil {
		id.Issuer = strings.TrimSpace(string(b))
	}
	v.accept = bundle.Accept{Identities: []bundle.Identity{id}}
	if b, err := os.ReadFile(filepath.Join(dir, "key.pub")); err == nil {
		k, err := key.ParsePublic(b)
		if err != nil {
			t.Fatal(err)
		}
		v.accept = bundle.Accept{Keys: []key.Public{k}}
	}
	v.root = publicGood(t)
	if b, err := os.ReadFile(filepath.Join(dir, "trusted_root.json")); err == nil {
		if v.root, err = root.Parse(name, b); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func (v vector) verify() (*bundle.Verified, error) {
	u, err := bundle.Parse(v.bundle)
	if err != nil {
		return nil, err
	}
	return bundle.Verify(u, v.artifact, v.accept, v.root, bundle.Options{})
}

func publicGood(t testing.TB) *root.Root {
	t.Helper()
	r, err := root.PublicGood()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustRead(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func vectorNames(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir(vectors)
	if err != nil {
		t.Skipf("the published vectors are missing: %v", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestVectors(t *testing.T) {
	for _, name := range vectorNames(t) {
		t.Run(name, func(t *testing.T) {
			verified, err := readVector(t, name).verify()
			if !strings.HasSuffix(name, "_fail") {
				if err != nil {
					t.Fatal(err)
				}
				if !verified.Signer().Proven {
					t.Error("the signer of a verified bundle is not proven")
				}
				return
			}
			if err == nil {
				t.Fatal("verified")
			}
			want, listed := why[name]
			if !listed {
				t.Fatalf("nobody said why this must fail; it failed with %v", err)
			}
			r := bundle.RefusalOf(err)
			if want.check == "" {
				if r != nil || seaworthy.CodeOf(err) != seaworthy.Invalid {
					t.Errorf("got %v, want an error of reading", err)
				}
			} else if r == nil || r.Check != want.check || len(r.Found) == 0 {
				t.Errorf("got %v, want a refusal by the check %q that says who signed", err, want.check)
			}
			if !strings.Contains(err.Error(), want.detail) {
				t.Errorf("got %v, want it to say %q", err, want.detail)
			}
		})
	}
}

func TestNPMProvenance(t *testing.T) {
	b, err := os.ReadFile(npmBundle)
	if err != nil {
		t.Skipf("the npm provenance bundle is missing: %v", err)
	}
	u, err := bundle.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	a, err := bundle.DigestArtifact("sigstore-2.0.0.tgz", npmDigest)
	if err != nil {
		t.Fatal(err)
	}
	accept := bundle.Accept{Identities: []bundle.Identity{{SubjectRegexp: `^https://github\.com/sigstore/sigstore-js/`, Issuer: githubActions}}}
	v, err := bundle.Verify(u, a, accept, publicGood(t), bundle.Options{PredicateTypes: []string{"https://slsa.dev/provenance/v1"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Statement().Subjects[0].Name; got != "pkg:npm/sigstore@2.0.0" {
		t.Errorf("the subject is %q", got)
	}
}

// npmDigest is that of https://registry.npmjs.org/sigstore/-/sigstore-2.0.0.tgz.
const npmDigest = "sha512:46d4e2f74c4877316640000a6fdf8a8b59f1e0847667973e9859f774dd31b8f1e0937813b777fb66a2ac67d50540fe34640966eee9fc2ccca387082b4c85cd3c"

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
