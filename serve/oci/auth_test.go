package oci

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/crypto/bcrypt"
)

const accessFile = `
users: users
token-lifetime: 2m
rules:
  - repositories: [team/**]
    users: [alice]
    actions: [pull, push, delete, mount-from]
  - repositories: [team/*]
    users: [bob]
    actions: [pull]
  - repositories: [bob/own]
    users: [bob]
    actions: [pull, push]
  - repositories: [open/*]
    users: [anonymous]
    actions: [pull]
  - repositories: [open/*]
    users: ["*"]
    actions: [mount-from]
`

func hashOf(t *testing.T, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

// withAuth gives a world the access rules above; passwords are "secret-" and the name.
func withAuth(t *testing.T, change func(string) string, now func() time.Time) func(*world) {
	return func(w *world) {
		dir := t.TempDir()
		users := "# people\nalice:" + hashOf(t, "secret-alice") + "\nbob:" + hashOf(t, "secret-bob") + "\n"
		text := accessFile
		if change != nil {
			text = change(text)
		}
		for name, body := range map[string]string{"users": users, "access.yaml": text} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		a, err := openAuth(filepath.Join(dir, "access.yaml"), now)
		if err != nil {
			t.Fatal(err)
		}
		w.http.Auth = a
	}
}

func basic(user string) string {
	if user == "" {
		return "X-None: x"
	}
	return "Authorization: Basic " + encodeBasic(user, "secret-"+user)
}

// token gets one, for the scopes.
func (w *world) token(user string, scopes ...string) string {
	w.t.Helper()
	got := w.must(200, ask{method: "GET", path: "/token?" + url.Values{"service": {"seaworthy"}, "scope": scopes}.Encode(), header: []string{basic(user)}})
	var said struct {
		Token  string `json:"token"`
		Access string `json:"access_token"`
		Expiry int    `json:"expires_in"`
	}
	if err := json.Unmarshal([]byte(got.body), &said); err != nil || said.Token == "" || said.Token != said.Access || said.Expiry != 120 {
		w.t.Fatalf("%s: %v", got.body, err)
	}
	return "Authorization: Bearer " + said.Token
}

// setup makes alice push what others want.
func (w *world) aliceHas(repository string) {
	w.t.Helper()
	d := sha("blob")
	w.must(201, ask{method: "POST", path: "/v2/" + repository + "/blobs/uploads/?digest=" + string(d), header: []string{basic("alice")}, body: "blob"})
	w.must(201, ask{method: "PUT", path: "/v2/" + repository + "/manifests/1", header: []string{basic("alice"), "Content-Type: " + ociManifest}, body: image(d, "")})
}

func TestWhoMayDoWhat(t *testing.T) {
	w := newWorld(t, withAuth(t, nil, time.Now))
	w.aliceHas("team/app")
	w.aliceHas("team/app/deep")
	blob := string(sha("blob"))
	for _, c := range []struct {
		user, method, path  string
		withBasic, withToke int
	}{
		{"alice", "GET", "/v2/team/app/manifests/1", 200, 200},
		{"bob", "GET", "/v2/team/app/manifests/1", 200, 200},
		{"bob", "GET", "/v2/team/app/blobs/" + blob, 200, 200},
		{"bob", "GET", "/v2/team/app/tags/list", 200, 200},
		{"bob", "GET", "/v2/team/app/referrers/" + blob, 200, 200},
		{"bob", "GET", "/v2/team/app/deep/manifests/1", 403, 403},
		{"bob", "PUT", "/v2/team/app/manifests/1", 403, 403},
		{"bob", "POST", "/v2/team/app/blobs/uploads/", 403, 403},
		{"bob", "DELETE", "/v2/team/app/manifests/1", 403, 403},
		{"bob", "POST", "/v2/bob/own/blobs/uploads/", 202, 202},
		{"bob", "DELETE", "/v2/bob/own/blobs/" + blob, 403, 403},
		{"bob", "POST", "/v2/bob/own/blobs/uploads/?mount=" + blob + "&from=team/app", 202, 202}, // he may pull, but not mount
		{"bob", "POST", "/v2/bob/own/blobs/uploads/?mount=" + blob, 202, 202},
		{"", "GET", "/v2/team/app/manifests/1", 401, 401},
		{"", "GET", "/v2/open/x/manifests/1", 404, 404},
		{"", "POST", "/v2/open/x/blobs/uploads/", 401, 401},
		{"", "GET", "/v2/", 401, 200},
		{"", "GET", "/v2/_catalog", 401, 401},
		{"", "GET", "/metrics", 401, 401},
		{"", "GET", "/livez", 200, 200},
		{"", "GET", "/readyz", 200, 200},
		{"alice", "GET", "/v2/", 200, 200},
		{"alice", "GET", "/metrics", 200, 200},
		{"alice", "POST", "/v2/team/other/blobs/uploads/?mount=" + blob + "&from=team/app", 201, 201},
		{"alice", "DELETE", "/v2/team/app/blobs/" + blob, 202, 404},
	} {
		if got := w.do(ask{method: c.method, path: c.path, header: []string{basic(c.user)}}); got.StatusCode != c.withBasic {
			t.Errorf("%q %s %s with a password: %d, want %d", c.user, c.method, c.path, got.StatusCode, c.withBasic)
		}
		scopes := []string{"repository:team/app:pull,push,delete repository:team/app/deep:pull", "repository:bob/own:*", "repository:team/other:pull,push", "repository:open/x:pull"}
		if got := w.do(ask{method: c.method, path: c.path, header: []string{w.token(c.user, scopes...)}}); got.StatusCode != c.withToke {
			t.Errorf("%q %s %s with a token: %d, want %d", c.user, c.method, c.path, got.StatusCode, c.withToke)
		}
	}
}

func TestCatalogShowsWhatOneMayPull(t *testing.T) {
	w := newWorld(t, withAuth(t, nil, time.Now))
	for _, name := range []string{"team/a", "team/a/deep", "team/b"} {
		w.aliceHas(name)
	}
	for user, want := range map[string]string{"alice": `["team/a","team/a/deep","team/b"]`, "bob": `["team/a","team/b"]`} {
		for _, header := range []string{basic(user), w.token(user)} {
			got := w.must(200, ask{method: "GET", path: "/v2/_catalog", header: []string{header}})
			if got.body != `{"repositories":`+want+"}\n" {
				t.Errorf("%s: %s", user, got.body)
			}
		}
	}
	got := w.must(200, ask{method: "GET", path: "/v2/_catalog?n=1&last=team%2Fa", header: []string{basic("bob")}})
	if got.body != `{"repositories":["team/b"]}`+"\n" {
		t.Error(got.body)
	}
}

func TestChallenge(t *testing.T) {
	w := newWorld(t, withAuth(t, nil, time.Now))
	realm := `Bearer realm="` + w.server.URL + `/token",service="seaworthy"`
	pull := `,scope="repository:team/app:pull"`
	weak := w.token("alice", "repository:team/other:pull")
	for name, c := range map[string]struct{ method, path, header, want string }{
		"nobody":           {"GET", "/v2/team/app/manifests/1", "", realm + pull},
		"nobody pushes":    {"POST", "/v2/team/app/blobs/uploads/", "", realm + `,scope="repository:team/app:pull,push"`},
		"base":             {"GET", "/v2/", "", realm},
		"wrong password":   {"GET", "/v2/team/app/manifests/1", "Authorization: Basic " + encodeBasic("alice", "wrong"), realm + pull},
		"no such user":     {"GET", "/v2/team/app/manifests/1", "Authorization: Basic " + encodeBasic("carol", "secret-carol"), realm + pull},
		"nonsense":         {"GET", "/v2/team/app/manifests/1", "Authorization: Bearer x", realm + pull + `,error="invalid_token"`},
		"unknown scheme":   {"GET", "/v2/team/app/manifests/1", "Authorization: Digest x", realm + pull},
		"token for less":   {"GET", "/v2/team/app/manifests/1", weak, realm + pull + `,error="insufficient_scope"`},
		"name with quotes": {"GET", `/v2/a"b/manifests/1`, "", realm},
	} {
		a := ask{method: c.method, path: c.path}
		if c.header != "" {
			a.header = []string{c.header}
		}
		got := w.must(401, a)
		if have := got.Header.Get("WWW-Authenticate"); have != c.want {
			t.Errorf("%s: %s, want %s", name, have, c.want)
		}
		if !strings.HasPrefix(got.body, `{"errors":[{"code":"UNAUTHORIZED"`) {
			t.Errorf("%s: %s", name, got.body)
		}
	}
	w = newWorld(t, withAuth(t, func(s string) string { return s + "challenge: basic\n" }, time.Now))
	if got := w.must(401, ask{method: "GET", path: "/v2/"}).Header.Get("WWW-Authenticate"); got != `Basic realm="seaworthy"` {
		t.Error(got)
	}
	w = newWorld(t, withAuth(t, func(s string) string { return s + "realm: https://id.example/token\nservice: reg\n" }, time.Now))
	if got := w.must(401, ask{method: "GET", path: "/v2/"}).Header.Get("WWW-Authenticate"); got != `Bearer realm="https://id.example/token",service="reg"` {
		t.Error(got)
	}
}

// TestTokensThatAreNotTaken makes one good token and changes one thing at a time.
func TestTokensThatAreNotTaken(t *testing.T) {
	at := time.Unix(2e9, 0)
	w := newWorld(t, withAuth(t, nil, func() time.Time { return at }))
	w.aliceHas("team/app")
	a := w.http.Auth
	good := func() claims {
		return claims{
			Claims: jwt.Claims{
				Issuer: "seaworthy", Subject: "alice", Audience: jwt.Audience{"seaworthy"}, ID: "1",
				NotBefore: jwt.NewNumericDate(at), Expiry: jwt.NewNumericDate(at.Add(time.Minute)),
			},
			Access: []grant{{"repository", "team/app", []string{"pull"}}},
		}
	}
	sign := func(alg jose.SignatureAlgorithm, key []byte, c claims) string {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, nil)
		if err != nil {
			t.Fatal(err)
		}
		token, err := jwt.Signed(s).Claims(c).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for name, c := range map[string]struct {
		change func(*claims)
		alg    jose.SignatureAlgorithm
		key    []byte
		edit   func(string) string
		status int
	}{
		"good":               {status: 200},
		"another key":        {key: make([]byte, 32), status: 401},
		"another algorithm":  {alg: jose.HS512, key: append(append([]byte{}, a.key...), make([]byte, 32)...), status: 401},
		"over":               {change: func(c *claims) { c.Expiry = jwt.NewNumericDate(at.Add(-time.Second)) }, status: 401},
		"not yet":            {change: func(c *claims) { c.NotBefore = jwt.NewNumericDate(at.Add(time.Second)) }, status: 401},
		"without end":        {change: func(c *claims) { c.Expiry = nil }, status: 401},
		"another issuer":     {change: func(c *claims) { c.Issuer = "x" }, status: 401},
		"another audience":   {change: func(c *claims) { c.Audience = jwt.Audience{"x"} }, status: 401},
		"no audience":        {change: func(c *claims) { c.Audience = nil }, status: 401},
		"another repository": {change: func(c *claims) { c.Access[0].Name = "team/ap" }, status: 401},
		"another action":     {change: func(c *claims) { c.Access[0].Actions[0] = "push" }, status: 401},
		"another type":       {change: func(c *claims) { c.Access[0].Type = "registry" }, status: 401},
		"for bob, all right": {change: func(c *claims) { c.Subject = "bob" }, status: 200},
		"no signature": {edit: func(s string) string {
			p := strings.Split(s, ".")
			return "eyJhbGciOiJub25lIn0." + p[1] + "."
		}, status: 401},
		"cut":   {edit: func(s string) string { return s[:len(s)-4] }, status: 401},
		"twice": {edit: func(s string) string { return s + " " + s }, status: 401},
	} {
		claim, alg, key := good(), jose.HS256, a.key
		if c.change != nil {
			c.change(&claim)
		}
		if c.alg != "" {
			alg = c.alg
		}
		if c.key != nil {
			key = c.key
		}
		token := sign(alg, key, claim)
		if c.edit != nil {
			token = c.edit(token)
		}
		got := w.do(ask{method: "GET", path: "/v2/team/app/manifests/1", header: []string{"Authorization: Bearer " + token}})
		if got.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", name, got.StatusCode, c.status)
		}
	}
}

func TestTokenService(t *testing.T) {
	w := newWorld(t, withAuth(t, nil, time.Now))
	form := []string{"Content-Type: application/x-www-form-urlencoded"}
	w.run([]row{
		{"another service", ask{method: "GET", path: "/token?service=x"}, 400, nil, "UNSUPPORTED"},
		{"wrong password", ask{method: "GET", path: "/token", header: []string{"Authorization: Basic " + encodeBasic("alice", "x")}}, 401, []string{`WWW-Authenticate: Basic realm="seaworthy"`}, "UNAUTHORIZED"},
		{"a token for a token", ask{method: "GET", path: "/token", header: []string{"Authorization: Bearer x"}}, 400, nil, "UNSUPPORTED"},
		{"too much", ask{method: "GET", path: "/token?scope=" + strings.Repeat("a+", 65)}, 400, nil, "UNSUPPORTED"},
		{"form", ask{method: "POST", path: "/token", header: form, body: "grant_type=password&service=seaworthy&username=alice&password=secret-alice&scope=repository:team/x:pull"}, 200, []string{"Cache-Control: no-store"}, "*"},
		{"form, wrong", ask{method: "POST", path: "/token", header: form, body: "grant_type=password&username=alice&password=x"}, 401, nil, "UNAUTHORIZED"},
		{"form, other grant", ask{method: "POST", path: "/token", header: form, body: "grant_type=refresh_token&refresh_token=x"}, 400, nil, "UNSUPPORTED"},
		{"form, huge", ask{method: "POST", path: "/token", header: form, body: "grant_type=password&username=" + strings.Repeat("x", maxForm)}, 400, nil, "UNSUPPORTED"},
	})
	plain := newWorld(t)
	plain.must(404, ask{method: "GET", path: "/token"})
}

func TestUsersChangeWithTheFile(t *testing.T) {
	at := time.Now()
	file := filepath.Join(t.TempDir(), "users")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Hour) // past what is remembered, and time to look again
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	write("alice:" + hashOf(t, "old") + "\n")
	u, err := openUsers(file, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	check := func(name, password string, want bool) {
		t.Helper()
		for range 2 { // the second time from memory
			if got := u.check(t.Context(), name, password); got != want {
				t.Errorf("%s with %q: %t", name, password, got)
			}
		}
	}
	check("alice", "old", true)
	check("alice", "", false)
	check("bob", "old", false)
	write("alice:" + hashOf(t, "new") + "\nbob:" + hashOf(t, "old") + "\n")
	check("alice", "old", false)
	check("alice", "new", true)
	check("bob", "old", true)
	check("bob", strings.Repeat("x", 73), false)
	write("alice:plain\n") // a mistake does not lock everybody out, nor let anybody in
	check("alice", "new", true)
	check("alice", "plain", false)
}

func TestBadUserFiles(t *testing.T) {
	good := hashOf(t, "x")
	for name, text := range map[string]string{
		"no colon": "alice\n", "plain": "alice:secret\n", "no name": ":" + good + "\n", "anonymous": "anonymous:" + good + "\n",
		"star": "*:" + good + "\n", "twice": "a:" + good + "\na:" + good + "\n", "md5": "a:$apr1$x$y\n",
		"dear": "a:" + strings.Replace(good, "$04$", "$31$", 1) + "\n",
	} {
		file := filepath.Join(t.TempDir(), "users")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := openUsers(file, time.Now)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoSecretsInTheLog: canaries in all places a secret can be.
func TestNoSecretsInTheLog(t *testing.T) {
	w := newWorld(t, withAuth(t, nil, time.Now))
	token := w.token("alice", "repository:team/x:pull")
	for _, a := range []ask{
		{method: "GET", path: "/v2/team/x/manifests/1?access_token=canary-1", header: []string{token}},
		{method: "GET", path: "/v2/", header: []string{"Authorization: Basic " + encodeBasic("canary-2", "canary-3")}},
		{method: "GET", path: "/v2/", header: []string{"Authorization: Bearer canary-4"}},
		{method: "GET", path: "/v2/", header: []string{"Cookie: canary-5"}},
		{method: "POST", path: "/token?password=canary-6", header: []string{"Content-Type: application/x-www-form-urlencoded"}, body: "grant_type=password&username=canary-7&password=canary-8"},
		{method: "GET", path: "/token?account=canary-9", header: []string{basic("alice")}},
	} {
		w.do(a)
	}
	w.close()
	w.close = func() {}
	log := w.log.String()
	secret, _ := strings.CutPrefix(token, "Authorization: Bearer ")
	for _, bad := range []string{"canary", secret, encodeBasic("canary-2", "canary-3"), "secret-alice", "Authorization"} {
		if strings.Contains(log, bad) {
			t.Errorf("the log has %q:\n%s", bad, log)
		}
	}
	if !strings.Contains(log, "user=alice") || strings.Count(log, "msg=request") < 6 {
		t.Error("the log lacks its lines:\n", log)
	}
}
