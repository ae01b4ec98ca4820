package issuer

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

const (
	// CodeLifetime is how long a code may wait to be redeemed: RFC 6749, 4.1.2 asks for ten minutes at most.
	CodeLifetime = time.Minute
	// maxCodes is how many codes may wait.
	maxCodes = 1000
)

// Login is what a browser brings along when a client sends it to log in (OpenID Connect Core 1.0, 3.1.2.1).
type Login struct {
	Client      string // whom the token is for; must be Audience
	RedirectURI string // where the browser goes back to: this machine only
	State       string // goes back with it
	Nonce       string // goes into the token
	Challenge   string // PKCE, S256 (RFC 7636, 4.2)
	Method      string // of the challenge
}

// Check says whether the login can be answered. Errors: Usage, Forbidden.
func (l *Login) Check() error {
	if l.Client != Audience {
		return seaworthy.Errorf(seaworthy.Usage, "logging in for %q: this issuer knows %q only", l.Client, Audience)
	}
	u, err := url.Parse(l.RedirectURI)
	if err != nil || u.Scheme != "http" || u.User != nil || u.Fragment != "" || !loopback(u.Hostname()) {
		return seaworthy.Errorf(seaworthy.Forbidden, "logging in for %q: a code goes to this machine only", l.RedirectURI)
	}
	if sum, err := base64.RawURLEncoding.DecodeString(l.Challenge); l.Method != "S256" || err != nil || len(sum) != sha256.Size {
		return seaworthy.Errorf(seaworthy.Usage, "logging in without a PKCE challenge (code_challenge, S256)")
	}
	return nil
}

// Back is where the browser goes with what it is given. The login must have passed Check.
func (l *Login) Back(given url.Values) string {
	u, err := url.Parse(l.RedirectURI)
	if err != nil {
		panic("issuer: Back before Check: " + err.Error())
	}
	q := u.Query()
	for name, values := range given {
		q[name] = values
	}
	if l.State != "" {
		q.Set("state", l.State)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// codes are the logins that wait to be redeemed.
type codes struct {
	mu      sync.Mutex // guards waiting
	waiting map[string]waitingLogin
}

type waitingLogin struct {
	login Login
	email string
	until time.Time
}

// Code says that somebody logged in as email, and returns the code that the client can redeem for a token, once.
// Errors: those of Check and Token; Unavailable when too many wait.
func (i *Issuer) Code(l Login, email string, now time.Time) (string, error) {
	if err := l.Check(); err != nil {
		return "", err
	}
	if err := checkEmail(email); err != nil {
		return "", err
	}
	i.codes.mu.Lock()
	defer i.codes.mu.Unlock()
	for code, w := range i.codes.waiting {
		if now.After(w.until) {
			delete(i.codes.waiting, code)
		}
	}
	if len(i.codes.waiting) >= maxCodes {
		return "", seaworthy.Errorf(seaworthy.Unavailable, "logging in: %d others are at it", maxCodes)
	}
	if i.codes.waiting == nil {
		i.codes.waiting = map[string]waitingLogin{}
	}
	code := rand.Text()
	i.codes.waiting[code] = waitingLogin{l, email, now.Add(CodeLifetime)}
	return code, nil
}

// Redeem turns a code into a token. A code is gone when it was tried, whoever tried it. Errors: Unauthorized.
func (i *Issuer) Redeem(code, redirectURI, verifier string, now time.Time) (string, error) {
	i.codes.mu.Lock()
	w, ok := i.codes.waiting[code]
	delete(i.codes.waiting, code)
	i.codes.mu.Unlock()
	sum := sha256.Sum256([]byte(verifier))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	if !ok || now.After(w.until) || redirectURI != w.login.RedirectURI ||
		subtle.ConstantTimeCompare([]byte(challenge), []byte(w.login.Challenge)) != 1 {
		return "", seaworthy.Errorf(seaworthy.Unauthorized, "redeeming a code: it is none, or not of this login")
	}
	return i.token(w.email, w.login.Nonce, now)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
