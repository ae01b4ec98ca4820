package oidc

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy/engine/issuer"
	"github.com/seaworthy-dev/seaworthy/store/keys"
)

// The issuer believes everybody, so it matters who can ask.
func TestWhoMayAsk(t *testing.T) {
	key, err := keys.RSA2048()
	if err != nil {
		t.Fatal(err)
	}
	i, err := issuer.New("http://127.0.0.1:8080/oidc", key)
	if err != nil {
		t.Fatal(err)
	}
	h := New(i)
	for name, test := range map[string]struct {
		method, path, from, host string
		header                   map[string]string
		status                   int
	}{
		"from here":                  {"GET", "/token?email=a@b.example", "127.0.0.1:1", "127.0.0.1:8080", nil, 200},
		"from here, IPv6":            {"GET", "/token?email=a@b.example", "[::1]:1", "[::1]:8080", nil, 200},
		"discovery":                  {"GET", "/.well-known/openid-configuration", "127.0.0.1:1", "localhost:8080", nil, 200},
		"keys":                       {"GET", "/keys", "127.0.0.1:1", "localhost", nil, 200},
		"from elsewhere":             {"GET", "/token?email=a@b.example", "192.0.2.1:1", "127.0.0.1:8080", nil, 403},
		"keys, from elsewhere":       {"GET", "/keys", "192.0.2.1:1", "127.0.0.1:8080", nil, 403},
		"by a name that leads here":  {"GET", "/token?email=a@b.example", "127.0.0.1:1", "rebind.example:8080", nil, 403},
		"for a page":                 {"GET", "/token?email=a@b.example", "127.0.0.1:1", "127.0.0.1:8080", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"for a page, another origin": {"POST", "/token?email=a@b.example", "127.0.0.1:1", "127.0.0.1:8080", map[string]string{"Origin": "https://page.example"}, 403},
		"no e-mail":                  {"GET", "/token", "127.0.0.1:1", "127.0.0.1:8080", nil, 400},
		"another path":               {"GET", "/", "127.0.0.1:1", "127.0.0.1:8080", nil, 404},
		"another method":             {"DELETE", "/token", "127.0.0.1:1", "127.0.0.1:8080", nil, 405},
	} {
		req := httptest.NewRequestWithContext(t.Context(), test.method, test.path, http.NoBody)
		req.RemoteAddr, req.Host = test.from, test.host
		for k, v := range test.header {
			req.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != test.status {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if w.Code == http.StatusForbidden && strings.Count(w.Body.String(), ".") > 1 {
			t.Errorf("%s: a refusal with a token: %s", name, w.Body)
		}
	}
}
