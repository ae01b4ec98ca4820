package oidc

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/issuer"
	"github.com/seaworthy-dev/seaworthy/source/identity"
	"github.com/seaworthy-dev/seaworthy/store/keys"
)

// served is an issuer that is really served.
func served(t *testing.T) string {
	t.Helper()
	key, err := keys.RSA2048()
	if err != nil {
		t.Fatal(err)
	}
	var h http.Handler
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { h.ServeHTTP(w, req) }))
	t.Cleanup(s.Close)
	i, err := issuer.New(s.URL, key)
	if err != nil {
		t.Fatal(err)
	}
	h = New(i)
	return s.URL
}

// hidden finds the hidden fields of the page that asks who somebody is.
var hidden = regexp.MustCompile(`type="hidden" name="([^"]*)" value="([^"]*)"`)

// person opens an address as a browser would, fills in the form, and follows where it leads.
func person(t *testing.T, email string, change func(url.Values)) func(string) error {
	return func(address string) error {
		go func() {
			jar, _ := cookiejar.New(nil)
			browser := &http.Client{Jar: jar}
			page := get(t, browser, address)
			form := url.Values{"email": {email}}
			for _, m := range hidden.FindAllStringSubmatch(page, -1) {
				form.Set(m[1], strings.NewReplacer("&#43;", "+", "&amp;", "&").Replace(m[2]))
			}
			if change != nil {
				change(form)
			}
			u, err := url.Parse(address)
			if err != nil {
				t.Error(err)
				return
			}
			answer, err := browser.PostForm(u.Scheme+"://"+u.Host+u.Path, form)
			if err != nil {
				t.Error(err)
				return
			}
			answer.Body.Close()
		}()
		return nil
	}
}

func get(t *testing.T, c *http.Client, address string) string {
	answer, err := c.Get(address)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func TestBrowser(t *testing.T) {
	at := served(t)
	token, err := identity.Browser(t.Context(), identity.Login{Issuer: at, Show: person(t, "you@example.com", nil)})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(token.Value, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Email string `json:"email"`
		Nonce string `json:"nonce"`
	}
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil || claims.Email != "you@example.com" || claims.Nonce == "" {
		t.Errorf("claims %+v, %v", claims, err)
	}
}

// What comes back must belong to the login that was begun.
func TestBrowserMeddledWith(t *testing.T) {
	at := served(t)
	for name, tc := range map[string]struct {
		change func(url.Values)
		code   seaworthy.Code
	}{
		"another nonce":     {func(v url.Values) { v.Set("nonce", "other") }, seaworthy.Invalid},
		"another challenge": {func(v url.Values) { v.Set("code_challenge", strings.Repeat("A", 43)) }, seaworthy.Unauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := identity.Browser(t.Context(), identity.Login{Issuer: at, Show: person(t, "you@example.com", tc.change)})
			if seaworthy.CodeOf(err) != tc.code {
				t.Errorf("got %v, %v; want %s", token, err, tc.code)
			}
		})
	}
	// A browser that comes back with the state of another login is not the one that is waited for.
	ctx, cancel := context.WithCancelCause(t.Context())
	show := func(address string) error {
		u, err := url.Parse(address)
		if err != nil {
			return err
		}
		go func() {
			back := u.Query().Get("redirect_uri")
			if page := get(t, http.DefaultClient, back+"?code=x&state=other"); !strings.Contains(page, "not the login") {
				t.Errorf("another login's browser is told %q", page)
			}
			cancel(seaworthy.Errorf(seaworthy.Refused, "seen"))
		}()
		return nil
	}
	if _, err := identity.Browser(ctx, identity.Login{Issuer: at, Show: show}); seaworthy.CodeOf(err) != seaworthy.Refused {
		t.Errorf("it ended with %v", err)
	}
}

func TestLoginsThatAreRefused(t *testing.T) {
	at := served(t)
	good := url.Values{
		"client_id": {"sigstore"}, "redirect_uri": {"http://localhost:1/auth/callback"}, "response_type": {"code"},
		"code_challenge": {strings.Repeat("A", 43)}, "code_challenge_method": {"S256"}, "state": {"s"}, "nonce": {"n"},
	}
	for name, change := range map[string]func(url.Values){
		"":                         func(url.Values) {},
		"to another machine":       func(v url.Values) { v.Set("redirect_uri", "http://evil.example/auth/callback") },
		"to this one's look-alike": func(v url.Values) { v.Set("redirect_uri", "http://localhost.evil.example/") },
		"to a script":              func(v url.Values) { v.Set("redirect_uri", "javascript:alert(1)") },
		"without a challenge":      func(v url.Values) { v.Del("code_challenge") },
		"with a plain challenge":   func(v url.Values) { v.Set("code_challenge_method", "plain") },
		"for another client":       func(v url.Values) { v.Set("client_id", "other") },
		"for a token":              func(v url.Values) { v.Set("response_type", "id_token") },
	} {
		v := url.Values{}
		for k := range good {
			v.Set(k, good.Get(k))
		}
		change(v)
		answer, err := http.Get(at + "/auth?" + v.Encode())
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if want := map[bool]int{true: http.StatusOK, false: http.StatusBadRequest}[name == ""]; answer.StatusCode != want {
			t.Errorf("%q: %d, want %d", name, answer.StatusCode, want)
		}
	}
	// A page of another origin cannot log anybody in.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at+"/auth", strings.NewReader(good.Encode()+"&email=you@example.com"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", "https://page.example")
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("another origin: %d", answer.StatusCode)
	}
}

func TestCodesAreForOnce(t *testing.T) {
	key, err := keys.RSA2048()
	if err != nil {
		t.Fatal(err)
	}
	i, err := issuer.New("http://127.0.0.1/oidc", key)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	// RFC 7636, appendix B.
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	l := issuer.Login{Client: "sigstore", RedirectURI: "http://127.0.0.1:1/", Challenge: challenge, Method: "S256"}
	begin := func() string {
		code, err := i.Code(l, "you@example.com", now)
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	code := begin()
	if _, err := i.Redeem(code, l.RedirectURI, verifier, now); err != nil {
		t.Error(err)
	}
	for name, redeem := range map[string]func() (string, error){
		"again": func() (string, error) { return i.Redeem(code, l.RedirectURI, verifier, now) },
		"late": func() (string, error) {
			return i.Redeem(begin(), l.RedirectURI, verifier, now.Add(2*issuer.CodeLifetime))
		},
		"for another place": func() (string, error) { return i.Redeem(begin(), "http://127.0.0.1:2/", verifier, now) },
		"another verifier":  func() (string, error) { return i.Redeem(begin(), l.RedirectURI, "x", now) },
		"none":              func() (string, error) { return i.Redeem("", l.RedirectURI, verifier, now) },
	} {
		if _, err := redeem(); seaworthy.CodeOf(err) != seaworthy.Unauthorized {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, email := range []string{"", "you"} {
		if _, err := i.Code(l, email, now); seaworthy.CodeOf(err) != seaworthy.Usage {
			t.Errorf("%q: %v", email, err)
		}
	}
}
