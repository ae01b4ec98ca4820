package policy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// publicKeys are the parts of the public-good root, in PEM.
type publicKeys struct {
	CertificateAuthorities []struct {
		URI       string `json:"uri"`
		CertChain struct {
			Certificates []struct {
				RawBytes []byte `json:"rawBytes"`
			} `json:"certificates"`
		} `json:"certChain"`
	} `json:"certificateAuthorities"`
	Tlogs  []publicLog `json:"tlogs"`
	Ctlogs []publicLog `json:"ctlogs"`
}

type publicLog struct {
	BaseURL   string `json:"baseUrl"`
	PublicKey struct {
		RawBytes []byte `json:"rawBytes"`
	} `json:"publicKey"`
}

// trustRootOf writes the public-good root as a TrustRoot with keys.
func trustRootOf(t *testing.T, name string) string {
	t.Helper()
	var p publicKeys
	if err := json.Unmarshal(publicRoot(t).JSON(), &p); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: policy.sigstore.dev/v1alpha1\nkind: TrustRoot\nmetadata: {name: %s}\nspec:\n  sigstoreKeys:\n    certificateAuthorities:\n", name)
	encoded := func(typ string, ders ...[]byte) string {
		var all []byte
		for _, der := range ders {
			all = append(all, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})...)
		}
		return base64.StdEncoding.EncodeToString(all)
	}
	for _, ca := range p.CertificateAuthorities {
		var ders [][]byte
		for _, c := range ca.CertChain.Certificates {
			ders = append(ders, c.RawBytes)
		}
		fmt.Fprintf(&b, "    - {uri: %q, subject: {organization: sigstore.dev, commonName: sigstore}, certChain: %s}\n", ca.URI, encoded("CERTIFICATE", ders...))
	}
	for _, l := range []struct {
		name string
		logs []publicLog
	}{{"tLogs", p.Tlogs}, {"ctLogs", p.Ctlogs}} {
		fmt.Fprintf(&b, "    %s:\n", l.name)
		for _, log := range l.logs {
			fmt.Fprintf(&b, "    - {baseURL: %q, hashAlgorithm: sha-256, publicKey: %s}\n", log.BaseURL, encoded("PUBLIC KEY", log.PublicKey.RawBytes))
		}
	}
	return b.String()
}

// realProvenance is an attestation of GitHub's, signed with a certificate of the public-good instance.
func realProvenance(t *testing.T) (*bundle.Unverified, bundle.Artifact) {
	t.Helper()
	b, err := os.ReadFile("../../../shared/data/sigstore/npm-sigstore-2.0.0-provenance.sigstore.json")
	if err != nil {
		t.Skip("there is no real bundle beside the repository: ../shared/data/sigstore/npm-sigstore-2.0.0-provenance.sigstore.json")
	}
	u, err := bundle.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	var envelope struct {
		DSSE struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(b, &envelope); err != nil {
		t.Fatal(err)
	}
	s, err := intoto.Parse(envelope.DSSE.Payload)
	if err != nil {
		t.Fatal(err)
	}
	d, err := seaworthy.ParseDigest("sha512:" + s.Subjects[0].Digest["sha512"])
	if err != nil {
		t.Fatal(err)
	}
	artifact, err := bundle.DigestArtifact("sigstore", d)
	if err != nil {
		t.Fatal(err)
	}
	return u, artifact
}

// TestTrustRoots verifies a real attestation with trust roots of every kind.
func TestTrustRoots(t *testing.T) {
	u, artifact := realProvenance(t)
	const who = `identities: [{issuer: "https://token.actions.githubusercontent.com", subjectRegExp: "^https://github.com/sigstore/sigstore-js/"}]`
	policy := func(authority string) string {
		return withAuthority("{" + authority + ", attestations: [{name: a, predicateType: slsaprovenance1, policy: {type: cue, data: \"predicate: buildDefinition: externalParameters: workflow: repository: =~\\\"sigstore-js$\\\"\"}}]}")
	}
	keys := trustRootOf(t, "mine") + "---\n"
	repository, first := makeRepository(t, now.Add(time.Hour))
	packed := "apiVersion: policy.sigstore.dev/v1alpha1\nkind: TrustRoot\nmetadata: {name: mine}\nspec:\n  repository:\n    root: " +
		base64.StdEncoding.EncodeToString(first) + "\n    mirrorFS: " + base64.StdEncoding.EncodeToString(pack(t, "repository/", repository)) + "\n---\n"
	stranger := strings.Replace(selfSigned(t), "name: r", "name: stranger", 1) + "---\n"
	for _, tc := range []struct {
		name, text string
		allowed    bool
		want       string
	}{
		{"the default", policy("keyless: {" + who + "}"), true, ""},
		{"by keys", keys + policy("keyless: {trustRootRef: mine, "+who+"}, ctlog: {trustRootRef: mine}"), true, ""},
		{"by keys, for certificates alone", keys + policy("keyless: {trustRootRef: mine, "+who+"}"), true, ""},
		{"a packed repository", packed + policy("keyless: {trustRootRef: mine, "+who+"}"), true, ""},
		{"a stranger's authority", stranger + policy("keyless: {trustRootRef: stranger, "+who+"}"), false, "the check of the"},
		{"a stranger's log", stranger + policy("keyless: {"+who+"}, ctlog: {trustRootRef: stranger}"), false, "log"},
		{"another identity", policy(`keyless: {identities: [{issuer: "https://token.actions.githubusercontent.com", subject: "https://github.com/evil/x"}]}`), false, "identity"},
		{"an authority given outright, which is another", policy("keyless: {ca-cert: {data: " + fmt.Sprintf("%q", strangerPEM(t)) + "}, " + who + "}"), false, "the check of the"},
		{"a timestamp is asked, and there is none", policy("keyless: {" + who + "}, rfc3161timestamp: {}"), false, "time"},
	} {
		s, mistakes := Load([]File{{"test.yaml", []byte(tc.text)}}, Options{Root: publicRoot(t), At: now})
		for _, m := range mistakes {
			if !m.Warning {
				t.Fatalf("%s: %s", tc.name, m)
			}
		}
		w := newWorld(t)
		w.bundles, w.artifact = []*bundle.Unverified{u}, &artifact
		v, err := s.Decide(t.Context(), anImage(), w, now)
		if err != nil || v.Allowed != tc.allowed || !strings.Contains(reasons(v), tc.want) {
			t.Errorf("%s: allowed %t, want %t (%s)\n%s%v", tc.name, v.Allowed, tc.allowed, tc.want, reasons(v), err)
		}
	}
}

// strangerPEM is the certificate of an authority nobody believes.
func strangerPEM(t *testing.T) string {
	t.Helper()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authorityCertificate(t)}))
}

func selfSigned(t *testing.T) string {
	t.Helper()
	k := base64.StdEncoding.EncodeToString(newKey(t).Public().PEM())
	return "apiVersion: policy.sigstore.dev/v1alpha1\nkind: TrustRoot\nmetadata: {name: r}\nspec:\n  sigstoreKeys:\n    certificateAuthorities:\n    - {uri: 'https://ca.example', certChain: " +
		base64.StdEncoding.EncodeToString([]byte(strangerPEM(t))) + "}\n    tLogs:\n    - {baseURL: 'https://log.example', publicKey: " + k + "}\n"
}

// TestCombine takes each part from its own root.
func TestCombine(t *testing.T) {
	public := publicRoot(t)
	s, mistakes := Load([]File{{"r.yaml", []byte(selfSigned(t))}}, Options{})
	if len(mistakes) > 0 {
		t.Fatal(lines(mistakes))
	}
	_ = s
	l := &loader{roots: map[string]*root.Root{}}
	left := maxFields
	o := &object{l: l, left: &left}
	doc := l.read(File{"r.yaml", []byte(selfSigned(t))})
	l.trustRoot(o, doc[0].top["spec"], "r")
	own := l.roots["r"]
	if own == nil {
		t.Fatal(lines(l.mistakes))
	}
	roles := func(r *root.Root) (out string) {
		for _, e := range r.Entries() {
			if e.URI == "https://ca.example" || e.URI == "https://log.example" {
				out += "own-" + e.Role + " "
			}
		}
		return out
	}
	for _, tc := range []struct {
		name                string
		authority, log, tsa *root.Root
		want                string
	}{
		{"one root", public, public, public, ""},
		{"its own authority", own, public, public, "own-certificate-authority "},
		{"its own log", public, own, public, "own-log "},
		{"both", own, own, public, "own-certificate-authority own-log "},
		{"no log", own, nil, nil, "own-certificate-authority "},
	} {
		got, err := combine(tc.authority, tc.log, tc.tsa)
		if err != nil || roles(got) != tc.want {
			t.Errorf("%s: %q, %v", tc.name, roles(got), err)
		}
	}
}

// makeRepository makes a TUF repository with a trusted root in it, and gives its first root.
func makeRepository(t *testing.T, expires time.Time) (files map[string][]byte, first []byte) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := signature.LoadSigner(private, crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	public, err := tuf.KeyFromPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	rootRole, targets, snapshot, timestamp := tuf.Root(expires), tuf.Targets(expires), tuf.Snapshot(expires), tuf.Timestamp(expires)
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		if err := rootRole.Signed.AddKey(public, role); err != nil {
			t.Fatal(err)
		}
	}
	body := publicRoot(t).JSON()
	target, err := tuf.TargetFile().FromBytes("trusted_root.json", body, "sha256")
	if err != nil {
		t.Fatal(err)
	}
	targets.Signed.Targets["trusted_root.json"] = target
	files = map[string][]byte{"targets/" + seaworthy.SHA256(body).Hex() + ".trusted_root.json": body}
	write := func(name string, b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
		return b
	}
	for _, sign := range []func() error{
		func() error { _, err := rootRole.Sign(signer); return err }, func() error { _, err := targets.Sign(signer); return err },
		func() error { _, err := snapshot.Sign(signer); return err }, func() error { _, err := timestamp.Sign(signer); return err },
	} {
		if err := sign(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := rootRole.ToBytes(true)
	first = write("1.root.json", b, err)
	b, err = targets.ToBytes(true)
	write("1.targets.json", b, err)
	b, err = snapshot.ToBytes(true)
	write("1.snapshot.json", b, err)
	b, err = timestamp.ToBytes(true)
	write("timestamp.json", b, err)
	return files, first
}

// pack makes a gzipped tar.
func pack(t *testing.T, prefix string, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, body := range files {
		if err := w.WriteHeader(&tar.Header{Name: prefix + name, Mode: 0o644, Size: int64(len(body)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRepositories: what TUF asks for is asked.
func TestRepositories(t *testing.T) {
	good, first := makeRepository(t, now.Add(time.Hour))
	_, stranger := makeRepository(t, now.Add(time.Hour))
	without := func(name string) map[string][]byte {
		out := map[string][]byte{}
		for n, b := range good {
			if n != name && !strings.HasSuffix(n, name) {
				out[n] = b
			}
		}
		return out
	}
	changed := func(name string, change func([]byte) []byte) map[string][]byte {
		out := without("nothing")
		for n, b := range good {
			if strings.HasSuffix(n, name) {
				out[n] = change(bytes.Clone(b))
			}
		}
		return out
	}
	for _, tc := range []struct {
		name  string
		files map[string][]byte
		first []byte
		at    time.Time
		code  seaworthy.Code
	}{
		{"good", good, first, now, ""},
		{"expired", good, first, now.Add(2 * time.Hour), seaworthy.Invalid},
		{"another first root", good, stranger, now, seaworthy.Invalid},
		{"no timestamp", without("timestamp.json"), first, now, seaworthy.Invalid},
		{"no snapshot", without("1.snapshot.json"), first, now, seaworthy.Invalid},
		{"no target", without("trusted_root.json"), first, now, seaworthy.Invalid},
		{"a changed target", changed(".trusted_root.json", func(b []byte) []byte { b[20] ^= 1; return b }), first, now, seaworthy.Invalid},
		{"a longer target", changed(".trusted_root.json", func(b []byte) []byte { return append(b, ' ') }), first, now, seaworthy.Invalid},
		{"a changed list", changed("1.targets.json", func(b []byte) []byte { return bytes.Replace(b, []byte("sha256"), []byte("sha512"), 1) }), first, now, seaworthy.Invalid},
	} {
		files, err := unpack(pack(t, "repository/", tc.files))
		if err != nil {
			t.Fatal(err)
		}
		b, err := files.target(tc.first, "targets", "trusted_root.json", tc.at)
		if seaworthy.CodeOf(err) != tc.code || err == nil && !bytes.Equal(b, publicRoot(t).JSON()) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	files, err := unpack(pack(t, "", good))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.target(first, "targets", "other.json", now); seaworthy.CodeOf(err) != seaworthy.NotFound {
		t.Errorf("another target: %v", err)
	}
	if _, err := unpack(pack(t, "", map[string][]byte{"a": make([]byte, maxRepositoryBytes+1)})); seaworthy.CodeOf(err) != seaworthy.TooLarge {
		t.Errorf("a large file: %v", err)
	}
	many := map[string][]byte{}
	for i := range maxRepositoryFiles + 1 {
		many[fmt.Sprint(i)] = nil
	}
	if _, err := unpack(pack(t, "", many)); seaworthy.CodeOf(err) != seaworthy.TooLarge {
		t.Errorf("many files: %v", err)
	}
}
