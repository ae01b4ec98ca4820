package ca

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-json-experiment/json"
	"github.com/sigstore/fulcio/pkg/challenges"
	"github.com/sigstore/fulcio/pkg/config"
	"github.com/sigstore/fulcio/pkg/identity"

	"github.com/seaworthy-dev/seaworthy"
)

// The limits for tokens and their issuers.
const (
	// MaxToken is the longest token, in bytes.
	MaxToken = 16 << 10
	// MaxKeySet is the longest answer of an issuer, in bytes: some hundred keys.
	MaxKeySet = 256 << 10
	// Leeway is how far the issuer's clock may be ahead of ours. It may not be behind: an expired token is refused.
	Leeway = 5 * time.Minute
	// issuerPatience is how long an issuer may take to answer.
	issuerPatience = 10 * time.Second
	// maxIssuers is how many issuers' keys are kept; meta issuers stand for any number.
	maxIssuers = 256
	// maxUsed is how many tokens are remembered as used.
	maxUsed = 100_000
)

// signing are the algorithms a token may be signed with: none without a key, and none with a shared secret.
var signing = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512,
	oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
}

// seen is what the audit says of a token.
type seen struct {
	issuer, subject string // as the token claims, verified or not
	fingerprint     string // of the whole token
	reused          bool
}

// tokens checks tokens.
type tokens struct {
	issuers *config.FulcioConfig
	o       Options

	mu        sync.Mutex
	verifiers map[string]*verifier
	used      map[[sha256.Size]byte]time.Time // until when the token is good
}

// verifier checks the tokens of one issuer.
type verifier struct {
	mu    sync.Mutex
	ready *oidc.IDTokenVerifier // nil until the issuer has answered
}

func newTokens(issuers *config.FulcioConfig, o Options) *tokens {
	return &tokens{issuers: issuers, o: o, verifiers: map[string]*verifier{}, used: map[[sha256.Size]byte]time.Time{}}
}

// authenticate returns who a token speaks of.
func (t *tokens) authenticate(ctx context.Context, raw string) (seen, identity.Principal, error) {
	if len(raw) > MaxToken {
		return seen{}, nil, seaworthy.Errorf(seaworthy.Unauthorized, "reading the token: more than %d bytes", MaxToken)
	}
	sum := sha256.Sum256([]byte(raw))
	s := seen{fingerprint: hex.EncodeToString(sum[:8])}
	issued, err := s.claims(raw)
	if err != nil {
		return s, nil, err
	}
	trusted, ok := t.issuers.GetIssuer(s.issuer)
	if !ok {
		return s, nil, seaworthy.Errorf(seaworthy.Unauthorized, "checking the token: the issuer %q is not trusted", clip(s.issuer))
	}
	verify, err := t.verifier(ctx, trusted)
	if err != nil {
		return s, nil, err
	}
	token, err := verify.Verify(ctx, raw)
	if err != nil {
		return s, nil, &seaworthy.Error{Code: seaworthy.Unauthorized, Doing: "checking the token", Err: withoutToken(err, raw)}
	}
	if now := t.o.Now(); issued > now.Add(Leeway).Unix() {
		return s, nil, seaworthy.Errorf(seaworthy.Unauthorized, "checking the token: it was issued in the future, at %s", time.Unix(issued, 0).UTC().Format(time.RFC3339))
	}
	who, err := challenges.PrincipalFromIDToken(ctx, token)
	if err != nil {
		return s, nil, &seaworthy.Error{Code: seaworthy.Unauthorized, Doing: "reading the claims of the token", Err: withoutToken(err, raw)}
	}
	if s.reused = t.use(sum, token.Expiry); s.reused && t.o.Once {
		return s, nil, seaworthy.Errorf(seaworthy.Unauthorized, "checking the token: it was used already")
	}
	return s, who, nil
}

// claims reads what a token says before it is verified. Two claims of the same name are refused: which of them
// counts would depend on who reads it.
func (s *seen) claims(raw string) (issued int64, err error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return 0, seaworthy.Errorf(seaworthy.Unauthorized, "reading the token: it has %d parts, not 3", len(parts))
	}
	var claims struct {
		Issuer  string  `json:"iss"`
		Subject string  `json:"sub"`
		Issued  float64 `json:"iat"`
	}
	for i, into := range []any{&struct{}{}, &claims} {
		body, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(body, into)
		}
		if err != nil {
			// Not the error: it may quote the token.
			return 0, seaworthy.Errorf(seaworthy.Unauthorized, "reading the token: part %d is not base64 of a JSON object", i+1)
		}
	}
	s.issuer, s.subject = claims.Issuer, claims.Subject
	if claims.Issued <= 0 || claims.Issued > 1<<40 {
		return 0, seaworthy.Errorf(seaworthy.Unauthorized, "reading the token: it does not say when it was issued")
	}
	return int64(claims.Issued), nil
}

// withoutToken drops an error's text when it quotes a part of the token.
func withoutToken(err error, raw string) error {
	text := err.Error()
	for _, part := range strings.Split(raw, ".") {
		if len(part) >= 8 && strings.Contains(text, part) {
			return errors.New("it is malformed")
		}
	}
	return err
}

// use remembers a token and reports whether it was used before.
func (t *tokens) use(sum [sha256.Size]byte, until time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.used[sum]; ok {
		return true
	}
	if len(t.used) >= maxUsed {
		now := t.o.Now()
		for old, end := range t.used {
			if end.Before(now) {
				delete(t.used, old)
			}
		}
		for old := range t.used { // still full: the memory is bounded, some replays go unnoticed
			if len(t.used) < maxUsed {
				break
			}
			delete(t.used, old)
		}
	}
	t.used[sum] = until
	return false
}

// verifier returns what checks an issuer's tokens. The issuer is asked for its keys when its first token comes, so
// that an issuer which is down stops nobody else.
func (t *tokens) verifier(ctx context.Context, i config.OIDCIssuer) (*oidc.IDTokenVerifier, error) {
	t.mu.Lock()
	v := t.verifiers[i.IssuerURL]
	if v == nil {
		if len(t.verifiers) >= maxIssuers {
			for old := range t.verifiers {
				delete(t.verifiers, old)
				break
			}
		}
		v = new(verifier)
		t.verifiers[i.IssuerURL] = v
	}
	t.mu.Unlock()

	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ready != nil {
		return v.ready, nil
	}
	client, err := t.clientFor(i)
	if err != nil {
		return nil, err
	}
	// The keys are fetched with this context later too.
	provider, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), client), i.IssuerURL)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Unavailable, "asking the issuer %q for its configuration", i.IssuerURL)
	}
	v.ready = provider.Verifier(&oidc.Config{ClientID: i.ClientID, SupportedSigningAlgs: signing, Now: t.o.Now})
	return v.ready, nil
}

// newClient makes a client for issuers.
func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = 64 << 10
	return &http.Client{Transport: bounded{transport}, Timeout: issuerPatience, CheckRedirect: sameHost}
}

func sameHost(req *http.Request, via []*http.Request) error {
	if len(via) > 3 || req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
		return fmt.Errorf("it redirects to %q", req.URL.Host)
	}
	return nil
}

// bounded refuses unencrypted issuers that are not on this machine, and answers that are too long.
type bounded struct{ inner http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !loopback(req.URL.Hostname()) {
		return nil, fmt.Errorf("%q is not https", req.URL.Redacted())
	}
	res, err := b.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	res.Body = &short{ReadCloser: res.Body, left: MaxKeySet}
	return res, nil
}

// short is an answer of which at most so much is read.
type short struct {
	io.ReadCloser
	left int
}

func (s *short) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if s.left -= n; s.left < 0 {
		return 0, fmt.Errorf("the issuer's answer is longer than %d bytes", MaxKeySet)
	}
	return n, err
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func soundURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return err
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("an issuer is https://host/path")
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return errors.New("only issuers on this machine may go without https")
	}
	return nil
}
