package oci

import (
	"crypto/rand"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/registry"
)

// Auth asks clients who they are. It takes passwords (HTTP basic authentication), and the tokens it gives out
// itself at /token, which name what they are good for (the token authentication that distribution-spec clients
// use). Tokens are JSON Web Tokens signed with HS256.
type Auth struct {
	*registry.Access
	users  *users
	signer jose.Signer
	key    []byte
	now    func() time.Time
}

// Limits of the token service.
const (
	maxScopes = 64      // asked for at once
	maxForm   = 1 << 20 // bytes of a form
	minKey    = 32      // bytes of a key for tokens
)

// OpenAuth reads an access file, and those it names. Errors: Usage, NotFound.
func OpenAuth(file string) (*Auth, error) { return openAuth(file, time.Now) }

func openAuth(file string, now func() time.Time) (*Auth, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.NotFound, "reading the access rules from %q", file)
	}
	defer f.Close()
	a := &Auth{now: now, key: make([]byte, minKey)}
	if a.Access, err = registry.ParseAccess(f); err != nil {
		return nil, err
	}
	beside := func(name string) string {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(filepath.Dir(file), name)
	}
	if a.users, err = openUsers(beside(a.Access.Users), now); err != nil {
		return nil, err
	}
	if a.TokenKey == "" {
		_, err = rand.Read(a.key)
	} else {
		a.key, err = os.ReadFile(beside(a.TokenKey))
	}
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.NotFound, "reading the key for tokens")
	}
	if len(a.key) < minKey || len(a.key) > 4096 {
		return nil, seaworthy.Errorf(seaworthy.Usage, "reading the key for tokens from %q: it must have from %d to 4096 bytes", a.TokenKey, minKey)
	}
	a.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: a.key}, (&jose.SignerOptions{}).WithType("JWT"))
	return a, seaworthy.Wrap(err, seaworthy.Internal, "preparing to sign tokens")
}

// grant is what a token is good for (distribution's "access" claim).
type grant struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

type claims struct {
	jwt.Claims
	Access []grant `json:"access"`
}

// allow finds out who is asking and whether they may. The function it returns answers for other repositories.
func (a *Auth) allow(w http.ResponseWriter, req *http.Request, to route, action registry.Action) (func(string, registry.Action) bool, string, error) {
	if a == nil {
		return func(string, registry.Action) bool { return true }, "", nil
	}
	may := func(repository string, action registry.Action) bool { return a.May("", repository, action) }
	who, named, byToken := "", false, false
	scheme, credential, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	switch strings.ToLower(scheme) {
	case "":
	case "basic":
		name, password, ok := req.BasicAuth()
		if !ok || !a.users.check(req.Context(), name, password) {
			return nil, "", a.challenge(w, req, to, action, "")
		}
		who, named = name, true
		may = func(repository string, action registry.Action) bool { return a.May(name, repository, action) }
	case "bearer":
		c, err := a.open(strings.TrimSpace(credential))
		if err != nil {
			return nil, "", a.challenge(w, req, to, action, "invalid_token")
		}
		who, named, byToken = c.Subject, c.Subject != "", true
		may = func(repository string, action registry.Action) bool {
			return slices.ContainsFunc(c.Access, func(g grant) bool {
				return g.Type == "repository" && g.Name == repository && slices.Contains(g.Actions, string(action))
			})
		}
	default:
		return nil, "", a.challenge(w, req, to, action, "")
	}
	switch {
	case to.repository != "" && action != "" && may(to.repository, action):
	case to.repository != "" && action != "":
		// Somebody who would not be allowed with another token either need not ask for one.
		if named && !a.May(who, to.repository, action) {
			return nil, who, wrong(denied, "you may not "+string(action)+" there")
		}
		reason := ""
		if byToken {
			reason = "insufficient_scope"
		}
		return nil, who, a.challenge(w, req, to, action, reason)
	case !named && !(byToken && to.endpoint == baseEndpoint):
		// The base, the catalog and the figures are for people with a name. A client without one learns at the
		// base where to get a token for what is open to all.
		return nil, who, a.challenge(w, req, to, action, "")
	}
	if to.endpoint == catalogEndpoint {
		name := who
		may = func(repository string, action registry.Action) bool { return a.May(name, repository, action) }
	}
	return may, who, nil
}

// challenge tells a client how to say who it is (RFC 6750 3, and the token specification).
func (a *Auth) challenge(w http.ResponseWriter, req *http.Request, to route, action registry.Action, reason string) error {
	if a.Challenge == "basic" {
		w.Header().Set("WWW-Authenticate", `Basic realm="`+a.Service+`"`)
		return wrong(unauthorized, "say who you are")
	}
	value := `Bearer realm="` + a.realm(req) + `",service="` + a.Service + `"`
	if to.repository != "" && registry.SoundName(to.repository) && action != "" {
		actions := string(action)
		if action == registry.Push {
			actions = "pull,push"
		}
		value += `,scope="repository:` + to.repository + `:` + actions + `"`
	}
	if reason != "" {
		value += `,error="` + reason + `"`
	}
	w.Header().Set("WWW-Authenticate", value)
	return wrong(unauthorized, "say who you are")
}

// realm is where tokens are to be had, as this client sees us.
func (a *Auth) realm(req *http.Request) string {
	if a.Realm != "" {
		return a.Realm
	}
	scheme, host := "http", req.Host
	if req.TLS != nil {
		scheme = "https"
	}
	if strings.ContainsFunc(host, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(".-_:[]", c))
	}) || host == "" {
		if local, ok := req.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
			host = local.String()
		}
	}
	return scheme + "://" + host + "/token"
}

// serveToken gives out a token for as much of what is asked for as the rules allow. GET is that of the token
// specification, POST its OAuth 2 form with a password.
func (a *Auth) serveToken(w http.ResponseWriter, req *http.Request) (who string, err error) {
	name, password, given := req.BasicAuth()
	q := req.URL.Query()
	if req.Method == http.MethodPost {
		req.Body = http.MaxBytesReader(w, req.Body, maxForm)
		if err := req.ParseForm(); err != nil {
			return "", wrong(badRequest, "that is no form")
		}
		q = req.PostForm
		if q.Get("grant_type") != "password" {
			return "", wrong(badRequest, "tokens are given for passwords")
		}
		name, password, given = q.Get("username"), q.Get("password"), true
	} else if req.Header.Get("Authorization") != "" && !given {
		return "", wrong(badRequest, "tokens are given for passwords")
	}
	if s := q.Get("service"); s != "" && s != a.Service {
		return "", wrong(badRequest, "tokens are given for another service")
	}
	if given && !a.users.check(req.Context(), name, password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="`+a.Service+`"`)
		return "", wrong(unauthorized, "no such user, or another password")
	}
	if !given {
		name = ""
	}
	scopes := strings.Fields(strings.Join(q["scope"], " "))
	if len(scopes) > maxScopes {
		return name, wrong(badRequest, "that is too much at once")
	}
	now := a.now()
	c := claims{
		Claims: jwt.Claims{
			Issuer: a.Service, Subject: name, Audience: jwt.Audience{a.Service}, ID: rand.Text(),
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now.Add(-time.Second)), Expiry: jwt.NewNumericDate(now.Add(a.TokenLifetime)),
		},
		Access: a.grants(name, scopes),
	}
	token, err := jwt.Signed(a.signer).Claims(c).Serialize()
	if err != nil {
		return name, seaworthy.Wrap(err, seaworthy.Internal, "signing a token")
	}
	w.Header().Set("Cache-Control", "no-store")
	return name, (&call{w: w.(*response)}).json(map[string]any{
		"token": token, "access_token": token, "expires_in": int(a.TokenLifetime.Seconds()), "issued_at": now.UTC().Format(time.RFC3339),
		"token_type": "Bearer",
	})
}

// grants answers scopes such as "repository:team/app:pull,push" with what the rules allow of them. Clients that
// mount ask to pull from the other repository, so with pull comes the right to mount, if there is one.
func (a *Auth) grants(name string, scopes []string) []grant {
	list := []grant{}
	for _, scope := range scopes {
		kind, rest, _ := strings.Cut(scope, ":")
		i := strings.LastIndexByte(rest, ':')
		if kind != "repository" || i < 0 || !registry.SoundName(rest[:i]) {
			continue
		}
		g := grant{Type: kind, Name: rest[:i], Actions: []string{}}
		for asked := range strings.SplitSeq(rest[i+1:], ",") {
			wanted := []registry.Action{registry.Action(asked)}
			switch asked {
			case "*":
				wanted = []registry.Action{registry.Pull, registry.Push, registry.Delete, registry.MountFrom}
			case "pull":
				wanted = append(wanted, registry.MountFrom)
			}
			for _, action := range wanted {
				if a.May(name, g.Name, action) && !slices.Contains(g.Actions, string(action)) {
					g.Actions = append(g.Actions, string(action))
				}
			}
		}
		if len(g.Actions) > 0 {
			list = append(list, g)
		}
	}
	return list
}

// open checks a token: ours, for us, and of now.
func (a *Auth) open(token string) (*claims, error) {
	t, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		return nil, err
	}
	var c claims
	if err := t.Claims(a.key, &c); err != nil {
		return nil, err
	}
	if c.Expiry == nil || c.NotBefore == nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "it has no end")
	}
	return &c, c.ValidateWithLeeway(jwt.Expected{Issuer: a.Service, AnyAudience: jwt.Audience{a.Service}, Time: a.now()}, 0)
}
