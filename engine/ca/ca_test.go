package ca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	ct "github.com/google/certificate-transparency-go"
	"github.com/sigstore/fulcio/pkg/config"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/keys"
)

// idp is an issuer whose tokens may be anything.
type idp struct {
	*httptest.Server
	key  *rsa.PrivateKey
	keys func(w http.ResponseWriter) // nil: the key
}

func newIDP(t *testing.T) *idp {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &idp{key: key}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/.well-known/openid-configuration":
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, p.URL, p.URL+"/keys")
		case "/keys":
			if p.keys != nil {
				p.keys(w)
				return
			}
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "RS256", Use: "sig"}}})
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func b64(v any) string {
	b, ok := v.([]byte)
	if !ok {
		if s, isText := v.(string); isText {
			b = []byte(s)
		} else {
			b, _ = json.Marshal(v) // maps of what JSON has
		}
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func (p *idp) rs256(t *testing.T, header, claims any) string {
	t.Helper()
	text := b64(header) + "." + b64(claims)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + b64(sig)
}

type claims map[string]any

func (p *idp) claims(now time.Time, change claims) claims {
	c := claims{
		"iss": p.URL, "aud": "sigstore", "sub": "you@example.com", "email": "you@example.com", "email_verified": true,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
	for name, v := range change {
		if v == nil {
			delete(c, name)
		} else {
			c[name] = v
		}
	}
	return c
}

var header = claims{"alg": "RS256", "kid": "k", "typ": "JWT"}

// noLog promises without a log; the real one is tested with the whole.
type noLog struct{ err error }

func (n noLog) Add(context.Context, [][]byte, bool) (*ct.SignedCertificateTimestamp, error) {
	return &ct.SignedCertificateTimestamp{}, n.err
}

func authority(t *testing.T, issuers *config.FulcioConfig, o Options) *Authority {
	t.Helper()
	dir, err := keys.Open(t.TempDir()+"/keys", nil)
	if err != nil {
		t.Fatal(err)
	}
	root, err := OpenRoot(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(root, issuers, noLog{}, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// asks makes a request whose proof is right for a subject.
func asks(t *testing.T, token, subject string) Request {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(subject))
	proof, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return Request{Token: token, PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})), Proof: proof}
}

func extension(c *x509.Certificate, id string) string {
	for _, e := range c.Extensions {
		if e.Id.String() == "1.3.6.1.4.1.57264.1."+id {
			return strings.TrimLeft(string(e.Value), "\x0c\x13\x17\x18\x1a\x24\x28")
		}
	}
	return ""
}

func TestCertificateSaysWhoAskedForTenMinutes(t *testing.T) {
	p := newIDP(t)
	a := authority(t, OneIssuer(p.URL, "sigstore"), Options{})
	token := p.rs256(t, header, p.claims(time.Now(), nil))
	chain, err := a.Issue(t.Context(), asks(t, token, "you@example.com"))
	if err != nil {
		t.Fatal(err)
	}
	c := chain[0]
	if len(c.EmailAddresses) != 1 || c.EmailAddresses[0] != "you@example.com" || !strings.HasSuffix(extension(c, "8"), p.URL) {
		t.Errorf("%v %q", c.EmailAddresses, extension(c, "8"))
	}
	if life := c.NotAfter.Sub(c.NotBefore); life != 10*time.Minute {
		t.Errorf("it lives %s", life)
	}
	if err := c.CheckSignatureFrom(chain[1]); err != nil {
		t.Error(err)
	}
	if len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageCodeSigning || c.IsCA {
		t.Errorf("%v %v", c.ExtKeyUsage, c.IsCA)
	}
}

func TestClaimsBecomeExtensions(t *testing.T) {
	github := claims{
		"email": nil, "email_verified": nil, "sub": "repo:a/b:ref:refs/heads/main", "job_workflow_ref": "a/b/.github/workflows/w.yaml@refs/heads/main",
		"job_workflow_sha": "c0", "sha": "c1", "event_name": "push", "repository": "a/b", "workflow": "w", "ref": "refs/heads/main",
		"runner_environment": "github-hosted", "repository_id": "1", "repository_owner": "a", "repository_owner_id": "2",
		"repository_visibility": "public", "workflow_ref": "a/b/.github/workflows/w.yaml@refs/heads/main", "workflow_sha": "c2", "run_id": "3", "run_attempt": "1",
	}
	gitlab := claims{
		"email": nil, "sub": "project_path:g/p:ref_type:branch:ref:main", "project_path": "g/p", "pipeline_source": "push", "pipeline_id": "5",
		"ci_config_ref_uri": "gitlab.com/g/p//.gitlab-ci.yml@refs/heads/main", "ci_config_sha": "c3", "project_id": "6", "namespace_path": "g", "namespace_id": "7",
		"job_id": "8", "ref": "main", "ref_type": "branch", "sha": "c4", "runner_id": 9, "runner_environment": "gitlab-hosted", "project_visibility": "public",
	}
	for name, test := range map[string]struct {
		kind       config.IssuerType
		claims     claims
		subject    string
		san        string
		extensions map[string]string
	}{
		"github": {
			config.IssuerTypeGithubWorkflow, github, "repo:a/b:ref:refs/heads/main", "https://github.com/a/b/.github/workflows/w.yaml@refs/heads/main",
			map[string]string{"12": "https://github.com/a/b", "13": "c1", "14": "refs/heads/main", "20": "push"},
		},
		"gitlab": {
			config.IssuerTypeGitLabPipeline, gitlab, "project_path:g/p:ref_type:branch:ref:main", "https://gitlab.com/g/p//.gitlab-ci.yml@refs/heads/main",
			map[string]string{"12": "https://gitlab.com/g/p", "13": "c4", "14": "refs/heads/main"},
		},
		"kubernetes": {
			config.IssuerTypeKubernetes,
			claims{"email": nil, "sub": "system:serviceaccount:ns:sa", "kubernetes.io": claims{"namespace": "ns", "serviceaccount": claims{"name": "sa"}}},
			"system:serviceaccount:ns:sa", "https://kubernetes.io/namespaces/ns/serviceaccounts/sa", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t)
			issuers := OneIssuer(p.URL, "sigstore")
			issuers.OIDCIssuers[p.URL] = config.OIDCIssuer{IssuerURL: p.URL, ClientID: "sigstore", Type: test.kind}
			chain, err := authority(t, issuers, Options{}).Issue(t.Context(), asks(t, p.rs256(t, header, p.claims(time.Now(), test.claims)), test.subject))
			if err != nil {
				t.Fatal(err)
			}
			if c := chain[0]; len(c.URIs) != 1 || c.URIs[0].String() != test.san {
				t.Errorf("%v", c.URIs)
			}
			for id, want := range test.extensions {
				if got := extension(chain[0], id); !strings.HasSuffix(got, want) {
					t.Errorf("extension %s is %q, not %q", id, got, want)
				}
			}
		})
	}
}

func TestTokensAreRefused(t *testing.T) {
	p, other := newIDP(t), newIDP(t)
	now := time.Now()
	public, err := x509.MarshalPKIXPublicKey(p.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	hs256 := func() string { // the public key as a shared secret
		text := b64(claims{"alg": "HS256", "kid": "k"}) + "." + b64(p.claims(now, nil))
		mac := hmac.New(sha256.New, public)
		mac.Write([]byte(text))
		return text + "." + b64(mac.Sum(nil))
	}
	good := p.rs256(t, header, p.claims(now, nil))
	parts := strings.Split(good, ".")
	body, err := json.Marshal(p.claims(now, nil))
	if err != nil {
		t.Fatal(err)
	}
	twice := strings.TrimSuffix(string(body), "}") + `,"sub":"me@example.com"}`
	for name, token := range map[string]string{
		"empty":                    "",
		"two parts":                parts[0] + "." + parts[1],
		"not base64":               "!." + parts[1] + "." + parts[2],
		"none":                     b64(claims{"alg": "none"}) + "." + parts[1] + ".",
		"None":                     b64(claims{"alg": "None"}) + "." + parts[1] + ".",
		"none, with a signature":   b64(claims{"alg": "none"}) + "." + parts[1] + "." + parts[2],
		"a shared secret":          hs256(),
		"another's signature":      other.rs256(t, header, p.claims(now, nil)),
		"another issuer":           other.rs256(t, header, other.claims(now, nil)),
		"another audience":         p.rs256(t, header, p.claims(now, claims{"aud": "somebody"})),
		"no audience":              p.rs256(t, header, p.claims(now, claims{"aud": nil})),
		"no issuer":                p.rs256(t, header, p.claims(now, claims{"iss": nil})),
		"the issuer and more":      p.rs256(t, header, p.claims(now, claims{"iss": p.URL + "/"})),
		"expired":                  p.rs256(t, header, p.claims(now.Add(-11*time.Minute), nil)),
		"expired a moment ago":     p.rs256(t, header, p.claims(now, claims{"exp": now.Add(-time.Second).Unix()})),
		"never expires":            p.rs256(t, header, p.claims(now, claims{"exp": nil})),
		"ten minutes ahead":        p.rs256(t, header, p.claims(now.Add(10*time.Minute), nil)),
		"issued ten minutes ahead": p.rs256(t, header, p.claims(now, claims{"iat": now.Add(10 * time.Minute).Unix()})),
		"never issued":             p.rs256(t, header, p.claims(now, claims{"iat": nil})),
		"an e-mail not verified":   p.rs256(t, header, p.claims(now, claims{"email_verified": false})),
		"no e-mail":                p.rs256(t, header, p.claims(now, claims{"email": nil})),
		"two subjects":             p.rs256(t, header, twice),
		"huge":                     p.rs256(t, header, p.claims(now, claims{"x": strings.Repeat("x", MaxToken)})),
		"a changed claim":          parts[0] + "." + b64(p.claims(now, claims{"email": "me@example.com"})) + "." + parts[2],
	} {
		t.Run(name, func(t *testing.T) {
			var audit bytes.Buffer
			a := authority(t, OneIssuer(p.URL, "sigstore"), Options{Audit: slog.New(slog.NewTextHandler(&audit, nil))})
			_, err := a.Issue(t.Context(), asks(t, token, "you@example.com"))
			if seaworthy.CodeOf(err) != seaworthy.Unauthorized {
				t.Errorf("got %v", err)
			}
			if !strings.Contains(audit.String(), "certificate refused") {
				t.Errorf("not audited: %q", audit.String())
			}
			for _, part := range strings.Split(token, ".") {
				if len(part) > 12 && (strings.Contains(audit.String(), part) || strings.Contains(err.Error(), part)) {
					t.Errorf("the token is in %q or %v", audit.String(), err)
				}
			}
		})
	}
}

func TestKeySetsAreBounded(t *testing.T) {
	for name, send := range map[string]func(http.ResponseWriter){
		"endless": func(w http.ResponseWriter) {
			fmt.Fprint(w, `{"keys":[`)
			for range MaxKeySet / 16 {
				fmt.Fprint(w, `{"kty":"RSA","n":"AAAAAAAA"},`)
			}
		},
		"elsewhere": func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://192.0.2.1/keys")
			w.WriteHeader(http.StatusFound)
		},
		"not JSON": func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") },
		"no key":   func(w http.ResponseWriter) { fmt.Fprint(w, `{"keys":[]}`) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t)
			p.keys = send
			a := authority(t, OneIssuer(p.URL, "sigstore"), Options{})
			if _, err := a.Issue(t.Context(), asks(t, p.rs256(t, header, p.claims(time.Now(), nil)), "you@example.com")); seaworthy.CodeOf(err) != seaworthy.Unauthorized {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestReplay(t *testing.T) {
	p := newIDP(t)
	token := p.rs256(t, header, p.claims(time.Now(), nil))
	var audit bytes.Buffer
	a := authority(t, OneIssuer(p.URL, "sigstore"), Options{Audit: slog.New(slog.NewTextHandler(&audit, nil))})
	for range 2 {
		if _, err := a.Issue(t.Context(), asks(t, token, "you@example.com")); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(audit.String(), "reused=true") {
		t.Errorf("the second use is not in the audit:\n%s", audit.String())
	}
	a = authority(t, OneIssuer(p.URL, "sigstore"), Options{Once: true})
	if _, err := a.Issue(t.Context(), asks(t, token, "you@example.com")); err != nil {
		t.Error(err)
	}
	if _, err := a.Issue(t.Context(), asks(t, token, "you@example.com")); seaworthy.CodeOf(err) != seaworthy.Unauthorized {
		t.Errorf("got %v", err)
	}
}

func TestProofOfPossession(t *testing.T) {
	p := newIDP(t)
	a := authority(t, OneIssuer(p.URL, "sigstore"), Options{})
	token := p.rs256(t, header, p.claims(time.Now(), nil))
	wrong := asks(t, token, "me@example.com")
	swapped := asks(t, token, "you@example.com")
	swapped.PublicKey = wrong.PublicKey
	none := asks(t, token, "you@example.com")
	none.Proof = nil
	noKey := asks(t, token, "you@example.com")
	noKey.PublicKey = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
	for name, r := range map[string]Request{"of another subject": wrong, "of another key": swapped, "none": none, "no key": noKey, "a CSR that is none": {Token: token, CSR: []byte("x")}} {
		if _, err := a.Issue(t.Context(), r); seaworthy.CodeOf(err) != seaworthy.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	request := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})
	if _, err := a.Issue(t.Context(), Request{Token: token, CSR: request}); err != nil {
		t.Errorf("a CSR: %v", err)
	}
	csr[len(csr)-3] ^= 1
	request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})
	if _, err := a.Issue(t.Context(), Request{Token: token, CSR: request}); seaworthy.CodeOf(err) != seaworthy.Invalid {
		t.Errorf("a CSR with a wrong signature: %v", err)
	}
}

// A certificate that could not be logged is not given out.
func TestNothingIsIssuedUnlogged(t *testing.T) {
	p := newIDP(t)
	a := authority(t, OneIssuer(p.URL, "sigstore"), Options{})
	a.log = noLog{seaworthy.Errorf(seaworthy.Storage, "no room")}
	chain, err := a.Issue(t.Context(), asks(t, p.rs256(t, header, p.claims(time.Now(), nil)), "you@example.com"))
	if chain != nil || seaworthy.CodeOf(err) != seaworthy.Storage {
		t.Errorf("%v %v", chain, err)
	}
}

func TestParseIssuers(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		code seaworthy.Code
	}{
		"yaml":           {"oidc-issuers:\n  https://i.example:\n    issuer-url: https://i.example\n    client-id: sigstore\n    type: email\n", ""},
		"json":           {`{"OIDCIssuers":{"https://i.example":{"IssuerURL":"https://i.example","ClientID":"sigstore","Type":"kubernetes"}}}`, ""},
		"meta":           {`{"MetaIssuers":{"https://*.example/id/*":{"ClientID":"sigstore","Type":"kubernetes"}}}`, ""},
		"none":           {"{}", seaworthy.Invalid},
		"no text":        {"", seaworthy.Invalid},
		"misspelt":       {`{"OIDCIssuer":{}}`, seaworthy.Invalid},
		"twice":          {`{"OIDCIssuers":{"https://i.example":{"IssuerURL":"https://i.example","ClientID":"a","ClientID":"b","Type":"email"}}}`, seaworthy.Invalid},
		"http":           {`{"OIDCIssuers":{"http://i.example":{"IssuerURL":"http://i.example","ClientID":"sigstore","Type":"email"}}}`, seaworthy.Invalid},
		"no audience":    {`{"OIDCIssuers":{"https://i.example":{"IssuerURL":"https://i.example","Type":"email"}}}`, seaworthy.Invalid},
		"no type":        {`{"OIDCIssuers":{"https://i.example":{"IssuerURL":"https://i.example","ClientID":"sigstore"}}}`, seaworthy.Invalid},
		"another URL":    {`{"OIDCIssuers":{"https://i.example":{"IssuerURL":"https://j.example","ClientID":"sigstore","Type":"email"}}}`, seaworthy.Invalid},
		"no domain":      {`{"OIDCIssuers":{"https://i.example":{"IssuerURL":"https://i.example","ClientID":"sigstore","Type":"spiffe"}}}`, seaworthy.Invalid},
		"no CI provider": {`{"OIDCIssuers":{"https://i.example":{"IssuerURL":"https://i.example","ClientID":"sigstore","Type":"ci-provider","CIProvider":"x"}}}`, seaworthy.Invalid},
		"template":       {`{"OIDCIssuers":{"https://i.example":{"IssuerURL":"https://i.example","ClientID":"s","Type":"ci-provider","CIProvider":"x"}},"CIIssuerMetadata":{"x":{"SubjectAlternativeNameTemplate":"{{"}}}`, seaworthy.Invalid},
	} {
		if _, err := ParseIssuers([]byte(test.text)); seaworthy.CodeOf(err) != test.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseIssuers(f *testing.F) {
	f.Add([]byte("oidc-issuers:\n  https://i.example:\n    issuer-url: https://i.example\n    client-id: sigstore\n    type: email\n"))
	f.Add([]byte(`{"OIDCIssuers":{"https://i.example":{"IssuerURL":"https://i.example","ClientID":"sigstore","Type":"kubernetes"}}}`))
	f.Add([]byte(`{"CIIssuerMetadata":{"x":{"SubjectAlternativeNameTemplate":"{{ .a }}"}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseIssuers(b)
		if err == nil && len(c.OIDCIssuers)+len(c.MetaIssuers) == 0 {
			t.Error("nobody is trusted")
		}
	})
}

func FuzzToken(f *testing.F) {
	f.Add("a.b.c")
	f.Add(b64(header) + "." + b64(claims{"iss": "https://i.example", "sub": "x", "iat": 1}) + ".AAAA")
	f.Fuzz(func(t *testing.T, raw string) {
		tokens := newTokens(OneIssuer("https://i.example", "sigstore"), Options{Now: time.Now, Client: &http.Client{Transport: refuseAll{}}})
		if _, who, err := tokens.authenticate(t.Context(), raw); err == nil {
			t.Errorf("%v", who)
		}
	})
}

type refuseAll struct{}

func (refuseAll) RoundTrip(*http.Request) (*http.Response, error) { return nil, http.ErrServerClosed }
