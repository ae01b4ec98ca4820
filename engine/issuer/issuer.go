// Package issuer is an OpenID Connect issuer for trying things out: it says of everybody who asks that they are who
// they say they are.
//
// That is only safe where the person who asks already owns everything that trusts it, so New refuses any URL that is
// not on a loopback address. Tokens are RS256, because clients of the field take no other algorithm from a command
// line.
package issuer

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/seaworthy-dev/seaworthy"
)

// The tokens it makes.
const (
	Audience = "sigstore"       // of every token, as the clients of the field ask for
	Lifetime = 10 * time.Minute // of every token
	// MaxSubject is the longest subject, in bytes: the longest e-mail address (RFC 5321, 4.5.3.1).
	MaxSubject = 254
)

// Issuer makes tokens.
type Issuer struct {
	url    string
	keyID  string
	signer jose.Signer
	public *rsa.PublicKey
	codes  codes
}

// New makes an issuer at a URL with an RSA key. Errors: Forbidden when the URL is not on a loopback address.
func New(at string, key crypto.Signer) (*Issuer, error) {
	u, err := url.Parse(at)
	if err != nil || !loopback(u.Hostname()) {
		return nil, seaworthy.Errorf(seaworthy.Forbidden, "making a development issuer at %q: it believes everybody, so it may be on loopback addresses only", at).
			WithHint("name the issuers that the CA shall trust in a file instead")
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "making a development issuer: its key is a %T, not RSA", key)
	}
	spki, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "encoding the issuer's key")
	}
	sum := sha256.Sum256(spki)
	i := &Issuer{url: at, keyID: hex.EncodeToString(sum[:8]), public: &private.PublicKey}
	i.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: private, KeyID: i.keyID}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "making the issuer's signer")
	}
	return i, nil
}

// URL is what the tokens name as their issuer.
func (i *Issuer) URL() string { return i.url }

// Token makes a token for an e-mail address. Errors: Usage when it is none.
func (i *Issuer) Token(email string, now time.Time) (string, error) {
	return i.token(email, "", now)
}

func checkEmail(email string) error {
	name, host, ok := strings.Cut(email, "@")
	if !ok || name == "" || host == "" || len(email) > MaxSubject || strings.ContainsAny(email, " \t\r\n<>\"") {
		return seaworthy.Errorf(seaworthy.Usage, "making a token for %q: not an e-mail address", email)
	}
	return nil
}

// token makes a token with the nonce of a login, or none.
func (i *Issuer) token(email, nonce string, now time.Time) (string, error) {
	if err := checkEmail(email); err != nil {
		return "", err
	}
	token, err := jwt.Signed(i.signer).Claims(struct {
		jwt.Claims
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
		Nonce    string `json:"nonce,omitempty"`
	}{
		jwt.Claims{
			Issuer: i.url, Subject: email, Audience: jwt.Audience{Audience}, IssuedAt: jwt.NewNumericDate(now),
			NotBefore: jwt.NewNumericDate(now.Add(-5 * time.Second)), Expiry: jwt.NewNumericDate(now.Add(Lifetime)),
		}, email, true, nonce,
	}).Serialize()
	return token, seaworthy.Wrap(err, seaworthy.Internal, "signing a token")
}

// Configuration is the discovery document (OpenID Connect Discovery 1.0, section 3).
func (i *Issuer) Configuration() ([]byte, error) {
	return json.Marshal(map[string]any{
		"issuer": i.url, "jwks_uri": i.url + "/keys", "authorization_endpoint": i.url + "/auth", "token_endpoint": i.url + "/token",
		"id_token_signing_alg_values_supported": []string{"RS256"}, "response_types_supported": []string{"code", "id_token"},
		"grant_types_supported": []string{"authorization_code"}, "code_challenge_methods_supported": []string{"S256"}, "token_endpoint_auth_methods_supported": []string{"none"},
		"subject_types_supported": []string{"public"}, "claims_supported": []string{"aud", "email", "email_verified", "exp", "iat", "iss", "sub"},
	})
}

// Keys is the set of public keys (RFC 7517).
func (i *Issuer) Keys() ([]byte, error) {
	return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.public, KeyID: i.keyID, Algorithm: "RS256", Use: "sig"}}})
}
