package oidc

import (
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/issuer"
)

// who is the page that asks who somebody is.
var who = template.Must(template.New("who").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Who are you?</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
main { max-width: 26rem; margin: 12vh auto; padding: 0 1.5rem }
h1 { font-size: 1.4rem; font-weight: 600 }
label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit }
input { padding: .6rem .7rem; margin: .3rem 0 1rem }
button { padding: .6rem; cursor: pointer }
p { opacity: .75 }
</style>
<main>
<h1>Who are you?</h1>
<form method="post" action="auth">
{{range $name, $value := .}}<input type="hidden" name="{{$name}}" value="{{$value}}">
{{end}}<label for="email">E-mail address</label>
<input id="email" name="email" type="email" required autofocus autocomplete="email" placeholder="you@example.com">
<button>Log in</button>
</form>
<p>This issuer is for trying things out. It believes everybody, and speaks with this machine only.</p>
</main>
</html>
`))

// loginFields are the parameters of a login, as OpenID Connect names them.
var loginFields = []string{"client_id", "redirect_uri", "state", "nonce", "code_challenge", "code_challenge_method", "response_type"}

func readLogin(v url.Values) (issuer.Login, error) {
	l := issuer.Login{
		Client: v.Get("client_id"), RedirectURI: v.Get("redirect_uri"), State: v.Get("state"), Nonce: v.Get("nonce"),
		Challenge: v.Get("code_challenge"), Method: v.Get("code_challenge_method"),
	}
	if t := v.Get("response_type"); t != "code" {
		return l, seaworthy.Errorf(seaworthy.Usage, "logging in with response_type %.50q: this issuer gives codes only", t)
	}
	return l, l.Check()
}

func (h *Handler) askWho(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	if _, err := readLogin(q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fields := map[string]string{}
	for _, name := range loginFields {
		if q.Get(name) != "" {
			fields[name] = q.Get(name)
		}
	}
	// The form's answer is a redirect to the client, which is on this machine too.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self' http://localhost:* http://127.0.0.1:*; frame-ancestors 'none'; base-uri 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = who.Execute(w, fields) // the browser went away
}

func (h *Handler) logIn(w http.ResponseWriter, req *http.Request) {
	if h.origins.Check(req) != nil {
		http.Error(w, "a page of another origin is asking", http.StatusForbidden)
		return
	}
	req.Body = http.MaxBytesReader(w, req.Body, maxForm)
	if err := req.ParseForm(); err != nil {
		http.Error(w, "that is no form", http.StatusBadRequest)
		return
	}
	l, err := readLogin(req.PostForm)
	var code string
	if err == nil {
		code, err = h.issuer.Code(l, req.PostForm.Get("email"), time.Now())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, req, l.Back(url.Values{"code": {code}}), http.StatusSeeOther)
}

// redeem answers a client that has a code (RFC 6749, 4.1.3 and 5).
func (h *Handler) redeem(w http.ResponseWriter, req *http.Request, grant string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if grant != "authorization_code" {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"unsupported_grant_type"}`))
		return
	}
	token, err := h.issuer.Redeem(req.PostFormValue("code"), req.PostFormValue("redirect_uri"), req.PostFormValue("code_verifier"), time.Now())
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	// Nothing here takes an access token, but clients insist on getting one: it is the identity token again.
	body, err := json.Marshal(map[string]any{"access_token": token, "id_token": token, "token_type": "Bearer", "expires_in": int(issuer.Lifetime.Seconds())})
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(body)
}
