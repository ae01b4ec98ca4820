// Package identity finds the token that says who we are, where the machine has one: in jobs of GitHub and GitLab, and
// in pods of Kubernetes. It asks the network only where the job's own environment says to.
package identity

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/ask"
)

const (
	// maxToken is how long a token may be: 64 KiB.
	maxToken = 64 << 10
	// podToken is where Kubernetes puts a token for Sigstore, as cosign has it.
	podToken = "/var/run/sigstore/cosign/oidc-token"
)

// Audience is whom tokens are for: certificate authorities refuse others.
const Audience = "sigstore"

// Token is a token and where it came from.
type Token struct {
	Value  string
	Source string
}

// String keeps the token out of messages and logs.
func (t Token) String() string { return "identity token of " + t.Source }

// GoString keeps it out of %#v.
func (t Token) GoString() string { return t.String() }

// Given takes a token, or the name of a file with one. Errors: Invalid.
func Given(text string) (Token, error) {
	t := Token{Value: strings.TrimSpace(text), Source: "the command line"}
	if strings.Count(t.Value, ".") != 2 || strings.ContainsRune(t.Value, os.PathSeparator) {
		b, err := readToken(text)
		if err != nil {
			return Token{}, seaworthy.Errorf(seaworthy.Invalid, "reading the identity token: it is neither a token nor a file that can be read").WithHint("a token has three parts, joined by dots")
		}
		t = Token{b, "a file"}
	}
	return t, t.check()
}

func (t Token) check() error {
	if strings.Count(t.Value, ".") != 2 || strings.ContainsAny(t.Value, " \t\r\n") || len(t.Value) > maxToken {
		return seaworthy.Errorf(seaworthy.Invalid, "reading the identity token of %s: it is no JSON web token", t.Source)
	}
	return nil
}

// Ambient finds the token of the job or pod we run in. Errors: NotFound when there is none; Unauthorized and others
// when there should be one and it cannot be had.
func Ambient(ctx context.Context, getenv func(string) string) (Token, error) {
	if address, secret := getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"); address != "" && secret != "" {
		return github(ctx, address, secret)
	}
	if value := getenv("SIGSTORE_ID_TOKEN"); value != "" { // GitLab: id_tokens of the job
		t := Token{strings.TrimSpace(value), "SIGSTORE_ID_TOKEN"}
		return t, t.check()
	}
	value, err := readToken(podToken)
	if errors.Is(err, fs.ErrNotExist) {
		return Token{}, seaworthy.Errorf(seaworthy.NotFound, "looking for an identity token: this is no job of GitHub or GitLab and no pod with one").
			WithHint("give --identity-token; a GitHub job needs the permission id-token: write")
	}
	if err != nil {
		return Token{}, seaworthy.Wrap(err, seaworthy.Storage, "reading %q", podToken)
	}
	t := Token{value, podToken}
	return t, t.check()
}

// github asks the job's own token service (GitHub, "About security hardening with OpenID Connect").
func github(ctx context.Context, address, secret string) (Token, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Token{}, seaworthy.Errorf(seaworthy.Invalid, "reading ACTIONS_ID_TOKEN_REQUEST_URL: it is no address")
	}
	q := u.Query()
	q.Set("audience", Audience)
	u.RawQuery = q.Encode()
	answer, err := ask.Ask(ctx, ask.Question{Method: http.MethodGet, URL: u.String(), Secret: secret})
	if err != nil {
		return Token{}, seaworthy.Wrap(err, seaworthy.Unavailable, "asking GitHub for an identity token")
	}
	var got struct {
		Value string `json:"value"`
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		return Token{}, seaworthy.Errorf(seaworthy.Invalid, "asking GitHub for an identity token: its answer is no JSON")
	}
	t := Token{got.Value, "GitHub"}
	return t, t.check()
}

func readToken(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	return strings.TrimSpace(string(b)), err
}
