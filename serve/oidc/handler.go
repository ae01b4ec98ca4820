// Package oidc serves the development issuer (engine/issuer) over HTTP: discovery, keys, and tokens for whoever asks.
//
//	GET /.well-known/openid-configuration
//	GET /keys
//	GET /token?email=…     a token, at once
//	GET /auth?…            a page that asks who you are, for clients that log in with a browser
//	POST /token            which then redeem their code here
//
// It believes everybody, so it answers only on loopback connections, to loopback names, and never to the page of
// another origin.
package oidc

import (
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/issuer"
)

// maxForm is how large a form may be: 64 KiB.
const maxForm = 64 << 10

// Handler serves an issuer at the root of its URL.
type Handler struct {
	issuer  *issuer.Issuer
	mux     *http.ServeMux
	origins *http.CrossOriginProtection
}

// New makes a handler.
func New(i *issuer.Issuer) *Handler {
	h := &Handler{issuer: i, mux: http.NewServeMux(), origins: http.NewCrossOriginProtection()}
	h.mux.HandleFunc("GET /.well-known/openid-configuration", document(i.Configuration))
	h.mux.HandleFunc("GET /keys", document(i.Keys))
	h.mux.HandleFunc("GET /token", h.token)
	h.mux.HandleFunc("POST /token", h.token)
	h.mux.HandleFunc("GET /auth", h.askWho)
	h.mux.HandleFunc("POST /auth", h.logIn)
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !local(req.RemoteAddr) || !localName(req.Host) {
		http.Error(w, "this issuer believes everybody, so it speaks with this machine only", http.StatusForbidden)
		return
	}
	h.mux.ServeHTTP(w, req)
}

func document(make func() ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		body, err := make()
		if err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}
}

func (h *Handler) token(w http.ResponseWriter, req *http.Request) {
	// A page cannot read what another origin answers, but it should not get us to answer either.
	if site := req.Header.Get("Sec-Fetch-Site"); h.origins.Check(req) != nil || site == "cross-site" || site == "same-site" {
		http.Error(w, "a page of another origin is asking", http.StatusForbidden)
		return
	}
	req.Body = http.MaxBytesReader(w, req.Body, maxForm)
	if grant := req.FormValue("grant_type"); grant != "" {
		h.redeem(w, req, grant)
		return
	}
	token, err := h.issuer.Token(req.FormValue("email"), time.Now())
	if err != nil {
		status := http.StatusInternalServerError
		if seaworthy.CodeOf(err) == seaworthy.Usage {
			status = http.StatusBadRequest
		}
		http.Error(w, err.Error(), status)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(token))
}

func local(addr string) bool {
	a, err := netip.ParseAddrPort(addr)
	return err == nil && a.Addr().Unmap().IsLoopback()
}

func localName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
