package issuer

import (
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/keys"
)

func TestOnlyOnLoopback(t *testing.T) {
	key, err := keys.RSA2048()
	if err != nil {
		t.Fatal(err)
	}
	for url, ok := range map[string]bool{
		"http://127.0.0.1:8080/oidc": true, "http://localhost/oidc": true, "http://[::1]:1/oidc": true,
		"http://0.0.0.0/oidc": false, "https://issuer.example": false, "http://127.0.0.1.example": false, "": false, "http://10.0.0.1": false,
	} {
		if _, err := New(url, key); (err == nil) != ok || !ok && seaworthy.CodeOf(err) != seaworthy.Forbidden {
			t.Errorf("%q: %v", url, err)
		}
	}
	ed, err := keys.Ed25519()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New("http://127.0.0.1/oidc", ed); seaworthy.CodeOf(err) != seaworthy.Unsupported {
		t.Errorf("a key that is not RSA: %v", err)
	}
}

func TestToken(t *testing.T) {
	key, err := keys.RSA2048()
	if err != nil {
		t.Fatal(err)
	}
	i, err := New("http://127.0.0.1/oidc", key)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	raw, err := i.Token("you@example.com", now)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.Claims
	if err := token.Claims(key.Public(), &claims); err != nil {
		t.Fatal(err)
	}
	if err := claims.ValidateWithLeeway(jwt.Expected{Issuer: i.URL(), AnyAudience: jwt.Audience{Audience}, Time: now}, 0); err != nil {
		t.Error(err)
	}
	if life := claims.Expiry.Time().Sub(claims.IssuedAt.Time()); life != Lifetime {
		t.Errorf("it lives %s", life)
	}
	for _, bad := range []string{"", "you", "@example.com", "you@", "you @example.com", "you@example.com\n", "<you@example.com>", strings.Repeat("x", MaxSubject) + "@x"} {
		if _, err := i.Token(bad, now); seaworthy.CodeOf(err) != seaworthy.Usage {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
