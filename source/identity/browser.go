package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"runtime"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/seaworthy-dev/seaworthy"
)

const (
	// DefaultClient is how we are called where nobody says otherwise: providers for Sigstore know it.
	DefaultClient = "sigstore"
	// callback is the path that providers for Sigstore let a browser come back to, on any port of this machine.
	callback = "/auth/callback"
	// patience is how long a person may take to log in: 5 minutes.
	patience = 5 * time.Minute
	// providerTimeout bounds each question to the provider.
	providerTimeout = 30 * time.Second
)

// Login is how to have a person say who they are in a browser.
type Login struct {
	Issuer string // URL of the OpenID Connect provider
	Client string // how the provider knows us; "": DefaultClient
	// Show gives the person the address to open. It returns at once; an error of it ends the login.
	Show func(address string) error
}

// Browser has a person log in to a provider in a browser and returns the token the provider gives for it: the
// authorization code flow (OpenID Connect Core 1.0, 3.1) with PKCE (RFC 7636), coming back to a loopback address
// (RFC 8252, 7.3). It waits until the person is done, ctx ends, or five minutes have passed.
//
// Errors: Usage for an issuer that is no https URL (http is for this machine only); Unavailable when the provider does
// not answer or nobody logs in in time; Unauthorized when it says no; Invalid when what comes back is not what was
// asked for.
func Browser(ctx context.Context, l Login) (Token, error) {
	if err := checkIssuer(l.Issuer); err != nil {
		return Token{}, err
	}
	if l.Client == "" {
		l.Client = DefaultClient
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, seaworthy.Errorf(seaworthy.Unavailable, "nobody logged in within %s", patience))
	defer cancel()
	ctx = oidc.ClientContext(ctx, &http.Client{Timeout: providerTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }})
	provider, err := oidc.NewProvider(ctx, l.Issuer)
	if err != nil {
		return Token{}, seaworthy.Wrap(err, seaworthy.Unavailable, "asking %q how to log in", l.Issuer)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return Token{}, seaworthy.Wrap(err, seaworthy.Unavailable, "listening for the browser to come back")
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return Token{}, seaworthy.Wrap(err, seaworthy.Internal, "reading the address %q", listener.Addr())
	}
	flow := loginFlow{
		config: oauth2.Config{
			ClientID: l.Client, Endpoint: provider.Endpoint(), Scopes: []string{oidc.ScopeOpenID, "email"},
			RedirectURL: "http://localhost:" + port + callback,
		},
		provider: provider, state: rand.Text(), nonce: rand.Text(), verifier: oauth2.GenerateVerifier(),
	}
	code, err := flow.wait(ctx, listener, l.Show)
	if err != nil {
		return Token{}, seaworthy.Wrap(err, seaworthy.Unavailable, "logging in at %q", l.Issuer)
	}
	t, err := flow.redeem(ctx, code)
	return t, seaworthy.Wrap(err, seaworthy.Unauthorized, "logging in at %q", l.Issuer)
}

func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()):
		return nil
	}
	return seaworthy.Errorf(seaworthy.Usage, "logging in at %q: that is no address of a provider", issuer).WithHint("an address looks like https://accounts.example")
}

// loginFlow is one login.
type loginFlow struct {
	config                 oauth2.Config
	provider               *oidc.Provider
	state, nonce, verifier string
}

// comeBack is what a browser brings.
type comeBack struct {
	code string
	err  error
}

// wait shows the address and waits for the browser to come back with a code.
func (f *loginFlow) wait(ctx context.Context, listener net.Listener, show func(string) error) (string, error) {
	back := make(chan comeBack, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+callback, func(w http.ResponseWriter, req *http.Request) {
		code, err := f.read(req.URL.Query())
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if seaworthy.CodeOf(err) == seaworthy.Invalid {
			// Any page can send a browser here: it is not the answer that is waited for.
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintln(w, "This is not the login that was begun.")
			return
		}
		if err != nil {
			fmt.Fprintln(w, "The provider said no. You can close this page.")
		} else {
			fmt.Fprintln(w, "You are logged in. You can close this page.")
		}
		select {
		case back <- comeBack{code, err}:
		default: // a reload
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	// The page must reach the browser before we go; what has not within a moment does not matter any more.
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = server.Shutdown(end)
	}()
	address := f.config.AuthCodeURL(f.state, oidc.Nonce(f.nonce), oauth2.S256ChallengeOption(f.verifier))
	if err := show(address); err != nil {
		return "", err
	}
	select {
	case b := <-back:
		return b.code, b.err
	case err := <-failed:
		return "", seaworthy.Wrap(err, seaworthy.Unavailable, "waiting for the browser to come back")
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// read takes the code out of what a browser brings (RFC 6749, 4.1.2). Errors: Invalid when it belongs to another
// login; Unauthorized when the provider said no.
func (f *loginFlow) read(q url.Values) (string, error) {
	if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(f.state)) != 1 {
		return "", seaworthy.Errorf(seaworthy.Invalid, "the browser came back from another login")
	}
	if refused := q.Get("error"); refused != "" {
		return "", seaworthy.Errorf(seaworthy.Unauthorized, "the provider says %.100q: %.300q", refused, q.Get("error_description"))
	}
	if q.Get("code") == "" {
		return "", seaworthy.Errorf(seaworthy.Invalid, "the browser came back without a code")
	}
	return q.Get("code"), nil
}

// redeem turns a code into a token, and checks that it is the one of this login.
func (f *loginFlow) redeem(ctx context.Context, code string) (Token, error) {
	got, err := f.config.Exchange(ctx, code, oauth2.VerifierOption(f.verifier))
	if err != nil {
		return Token{}, err
	}
	raw, _ := got.Extra("id_token").(string)
	t := Token{Value: raw, Source: "the browser"}
	if err := t.check(); err != nil {
		return Token{}, err
	}
	checked, err := f.provider.Verifier(&oidc.Config{ClientID: f.config.ClientID}).Verify(ctx, raw)
	if err != nil {
		return Token{}, seaworthy.Errorf(seaworthy.Invalid, "checking the provider's token: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(checked.Nonce), []byte(f.nonce)) != 1 {
		return Token{}, seaworthy.Errorf(seaworthy.Invalid, "checking the provider's token: it is of another login")
	}
	return t, nil
}

// OpenBrowser asks the desktop to open an address. It reports whether it could ask, not whether a page opened.
func OpenBrowser(ctx context.Context, address string) error {
	name, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	}
	cmd := exec.CommandContext(ctx, name, args...)
	if err := cmd.Start(); err != nil {
		return seaworthy.Wrap(err, seaworthy.Unavailable, "opening a browser")
	}
	go func() { _ = cmd.Wait() }() // whether a page opened is for the person to see
	return nil
}
