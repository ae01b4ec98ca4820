package oci

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/seaworthy-dev/seaworthy"
)

// tokenHosts are the token services of well-known registries that are at another host: the only places, besides
// the registry itself and those named in Options.TokenHosts, that credentials are sent to.
var tokenHosts = map[string][]string{
	dockerHubAPI:          {"auth.docker.io"},
	"registry.gitlab.com": {"gitlab.com"},
	"registry.redhat.io":  {"sso.redhat.com"},
	"nvcr.io":             {"authn.nvidia.com"},
}

// maxToken is the largest answer of a token service: 1 MiB.
const maxToken = 1 << 20

// authState is what a registry has asked for so far.
type authState struct {
	basic  string            // the whole header, once it asked for Basic
	tokens map[string]string // bearer tokens by scope
}

// scope is what a token must allow; several are separated by spaces.
func (r call) scope() string {
	access := r.access
	if access == "" {
		access = "pull"
	}
	if strings.HasPrefix(r.path, "/v2/_catalog") {
		return "registry:catalog:*"
	}
	scope := "repository:" + r.ref.Repository + ":" + access
	if r.from != "" {
		scope += " repository:" + r.from + ":pull"
	}
	return scope
}

// authorization returns the header the registry is known to want for a call; "" when it has not asked.
func (reg *registry) authorization(_ context.Context, r call, _ string) (string, error) {
	reg.mu.Lock()
	defer reg.mu.Unlock()
	if t := reg.auth.tokens[r.scope()]; t != "" {
		return "Bearer " + t, nil
	}
	return reg.auth.basic, nil
}

// challenge answers a 401 of the registry's own: it gets what is asked for, so that the next authorization has
// it. more is false when there is nothing else to offer than what was sent already.
func (reg *registry) challenge(ctx context.Context, r call, scheme string, resp *http.Response, sent string) (more bool, err error) {
	challenges := parseChallenges(resp.Header.Values("WWW-Authenticate"))
	credentials, err := reg.credentials(ctx, r)
	if err != nil {
		return false, err
	}
	for _, ch := range challenges {
		switch ch.scheme {
		case "bearer":
			token := credentials.RegistryToken
			if token == "" {
				if token, err = reg.token(ctx, r, scheme, ch, credentials); err != nil {
					return false, err
				}
			}
			if token == "" || "Bearer "+token == sent {
				return false, nil
			}
			reg.mu.Lock()
			if reg.auth.tokens == nil {
				reg.auth.tokens = map[string]string{}
			}
			reg.auth.tokens[r.scope()] = token
			reg.mu.Unlock()
			return true, nil
		case "basic":
			h := basicHeader(credentials)
			if h == "" || h == sent {
				return false, nil
			}
			reg.mu.Lock()
			reg.auth.basic = h
			reg.mu.Unlock()
			return true, nil
		}
	}
	return false, nil
}

// credentials asks the keychain. It is asked only when a registry wants to know, since helpers may start
// programs. Errors: Unauthorized.
func (reg *registry) credentials(ctx context.Context, r call) (*authn.AuthConfig, error) {
	a, err := authn.Resolve(ctx, reg.c.o.Keychain, resource{r.ref})
	var config *authn.AuthConfig
	if err == nil {
		config, err = authn.Authorization(ctx, a)
	}
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Unauthorized, "looking up credentials for %q: %w", r.ref.Registry, err).
			WithHint("check docker's configuration file and its credential helpers")
	}
	if config == nil {
		config = &authn.AuthConfig{}
	}
	return config, nil
}

func basicHeader(c *authn.AuthConfig) string {
	switch {
	case c.Username != "" || c.Password != "":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password))
	case c.Auth != "":
		return "Basic " + c.Auth
	}
	return ""
}

// mayHaveCredentials reports whether a token service may see the registry's credentials.
func (reg *registry) mayHaveCredentials(realm *url.URL) bool {
	same := func(h string) bool { return strings.EqualFold(realm.Host, h) }
	return same(reg.host) || slices.ContainsFunc(reg.c.o.TokenHosts, same) || slices.ContainsFunc(tokenHosts[reg.host], same)
}

// token asks the token service a challenge names (distribution: docs/spec/auth/token.md). A service that is
// not the registry's own is asked without credentials. Errors: Forbidden, Unauthorized, Unavailable, Invalid.
func (reg *registry) token(ctx context.Context, r call, scheme string, ch challenge, credentials *authn.AuthConfig) (string, error) {
	realm, err := url.Parse(ch.params["realm"])
	if err != nil || realm.Host == "" || realm.Scheme != "https" && realm.Scheme != "http" {
		return "", seaworthy.Errorf(seaworthy.Invalid, "%q asks for a token from %q, which is no address", reg.host, clip(ch.params["realm"]))
	}
	if realm.Scheme == "http" && scheme != "http" {
		return "", seaworthy.Errorf(seaworthy.Forbidden, "%q asks for a token over http, from %q", reg.host, clip(realm.Host))
	}
	realm.User, realm.Fragment = nil, ""
	if err := reg.dialer.checkURLHost(realm); err != nil {
		return "", seaworthy.Wrap(err, seaworthy.Forbidden, "getting a token for %q", reg.host)
	}
	identity, basic := credentials.IdentityToken, basicHeader(credentials)
	withheld := (identity != "" || basic != "") && !reg.mayHaveCredentials(realm)
	if withheld {
		identity, basic = "", ""
	}
	ctx, cancel := context.WithTimeout(ctx, smallTimeout)
	defer cancel()
	scope := r.scope()
	if s := ch.params["scope"]; strings.HasPrefix(s, "repository:"+r.ref.Repository+":") && r.access == "" {
		scope = s
	}
	raw, status, err := reg.askToken(ctx, realm, ch.params["service"], scope, identity, basic)
	if err == nil && identity != "" && (status == http.StatusNotFound || status == http.StatusMethodNotAllowed) {
		raw, status, err = reg.askToken(ctx, realm, ch.params["service"], scope, "", basic)
	}
	if err != nil {
		return "", seaworthy.Wrap(err, seaworthy.Unavailable, "getting a token for %q", reg.host)
	}
	if status != http.StatusOK {
		code := seaworthy.Unauthorized
		if mayPassStatus(status) || status >= 500 {
			code = seaworthy.Unavailable
		}
		e := seaworthy.Errorf(code, "getting a token for %q: %q answers %d %s", reg.host, clip(realm.Host), status, http.StatusText(status))
		if withheld {
			e = e.WithHint("the credentials for %q were not sent to %q; name that host with --token-host if it is the registry's own", reg.host, clip(realm.Host))
		} else if code == seaworthy.Unauthorized {
			e = e.WithHint("log in with docker login, or check the name: many registries answer so for what does not exist")
		}
		return "", e
	}
	return parseToken(raw, reg.host)
}

func parseToken(raw []byte, host string) (string, error) {
	var doc struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return "", seaworthy.Errorf(seaworthy.Invalid, "getting a token for %q: the answer is not JSON", host)
	}
	if doc.Token == "" {
		doc.Token = doc.AccessToken
	}
	if doc.Token == "" || strings.ContainsFunc(doc.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", seaworthy.Errorf(seaworthy.Invalid, "getting a token for %q: there is no token in the answer", host)
	}
	return doc.Token, nil
}

// askToken makes one request to a token service. It follows no redirects: they could only lead credentials
// elsewhere.
func (reg *registry) askToken(ctx context.Context, realm *url.URL, service, scope, identity, basic string) ([]byte, int, error) {
	u := *realm
	header := http.Header{"User-Agent": {reg.c.o.UserAgent}}
	method := http.MethodGet
	var body func() (io.Reader, int64)
	if identity != "" {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {identity}, "client_id": {"seaworthy"}, "scope": {scope}}
		if service != "" {
			form.Set("service", service)
		}
		method = http.MethodPost
		header.Set("Content-Type", "application/x-www-form-urlencoded")
		text := form.Encode()
		body = func() (io.Reader, int64) { return strings.NewReader(text), int64(len(text)) }
	} else {
		q := u.Query()
		q["scope"] = strings.Fields(scope)
		if service != "" {
			q.Set("service", service)
		}
		u.RawQuery = q.Encode()
		if basic != "" {
			header.Set("Authorization", basic)
		}
	}
	resp, err := reg.roundTrip(ctx, method, &u, header, body)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxToken+1))
	if err != nil {
		return nil, 0, seaworthy.Wrap(err, seaworthy.Unavailable, "reading the answer of %q", clip(u.Host))
	}
	if len(b) > maxToken {
		return nil, 0, seaworthy.Errorf(seaworthy.TooLarge, "the answer of %q is larger than %d bytes", clip(u.Host), maxToken)
	}
	return b, resp.StatusCode, nil
}

// challenge is one challenge of a WWW-Authenticate header (RFC 9110 11.6.1). Scheme and names are lower case.
type challenge struct {
	scheme string
	params map[string]string
}

// parseChallenges reads WWW-Authenticate headers. What makes no sense is skipped; there are never more than 16.
func parseChallenges(headers []string) []challenge {
	var out []challenge
	for _, h := range headers {
		for rest := h; rest != "" && len(out) < 16; {
			rest = strings.TrimLeft(rest, " \t,")
			word, after := cutToken(rest)
			if word == "" {
				break
			}
			rest = strings.TrimLeft(after, " \t")
			if !strings.HasPrefix(rest, "=") { // a scheme
				out = append(out, challenge{scheme: strings.ToLower(word), params: map[string]string{}})
				continue
			}
			value, after, ok := cutValue(strings.TrimLeft(rest[1:], " \t"))
			if !ok || len(out) == 0 {
				break
			}
			if p := out[len(out)-1].params; p[strings.ToLower(word)] == "" {
				p[strings.ToLower(word)] = value
			}
			rest = after
		}
	}
	return out
}

func cutToken(s string) (token, rest string) {
	i := strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
	if i < 0 {
		i = len(s)
	}
	return s[:i], s[i:]
}

func cutValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexAny(s, ", \t")
		if i < 0 {
			i = len(s)
		}
		return s[:i], s[i:], i > 0
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}
