package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ca"
	"github.com/seaworthy-dev/seaworthy/engine/issuer"
	"github.com/seaworthy-dev/seaworthy/engine/ledger"
	"github.com/seaworthy-dev/seaworthy/engine/registry"
	"github.com/seaworthy-dev/seaworthy/engine/tsa"
	servect "github.com/seaworthy-dev/seaworthy/serve/ct"
	"github.com/seaworthy-dev/seaworthy/serve/fulcio"
	"github.com/seaworthy-dev/seaworthy/serve/oci"
	"github.com/seaworthy-dev/seaworthy/serve/oidc"
	"github.com/seaworthy-dev/seaworthy/serve/rekor"
	servetsa "github.com/seaworthy-dev/seaworthy/serve/tsa"
	"github.com/seaworthy-dev/seaworthy/store/keys"
)

// harbour is the services that are served at one address.
type harbour struct {
	dir, base string
	log       *slog.Logger
	mux       *http.ServeMux
	roles     role
	leaving   atomic.Bool
	meters    *harbourMeters

	keys      *keys.Dir
	authority *ca.Authority
	certs     *ledger.Certificates
	ledger    *ledger.Log
	stamps    *tsa.Authority
	issuer    *issuer.Issuer
	registry  *registry.Registry
	packages  *oci.Handler
	graph     *harbourGraph

	closers []func(context.Context) error // the last one first
}

// openHarbour opens roles from a folder. What it opened is closed again when one of them cannot be.
func (a *app) openHarbour(ctx context.Context, o serveFlags, roles role, base string, log *slog.Logger) (_ *harbour, err error) {
	h := &harbour{dir: o.dir, base: base, log: log, mux: http.NewServeMux(), roles: roles}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close(ctx))
		}
	}()
	if h.keys, err = keys.Open(filepath.Join(o.dir, "keys"), nil); err != nil {
		return nil, err
	}
	for _, open := range []struct {
		role role
		f    func() error
	}{
		{issuerRole, h.openIssuer},
		{caRole, func() error { return h.openCA(ctx, o) }},
		{logRole, func() error { return h.openLog(ctx, o) }},
		{tsaRole, h.openTSA},
		{graphRole, func() error { return h.openGraph(ctx, a, o) }}, // it believes the authorities above, and hears of pushes
		{registryRole, func() error { return h.openRegistry(ctx, a, o) }},
	} {
		if roles&open.role == 0 {
			continue
		}
		if err := open.f(); err != nil {
			return nil, err
		}
	}
	if err := h.openGate(ctx, a, o); err != nil {
		return nil, err
	}
	h.meters = newHarbourMeters(h)
	h.mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") })
	h.mux.HandleFunc("GET /readyz", h.ready)
	h.mux.HandleFunc("GET /metrics", h.meters.serve)
	if h.graph != nil {
		if err := h.startGraph(ctx); err != nil {
			return nil, err
		}
	}
	return h, h.writeTrust()
}

func (h *harbour) openIssuer() error {
	key, err := h.keys.Signer("issuer", keys.RSA2048)
	if err != nil {
		return err
	}
	if h.issuer, err = issuer.New(h.base+"/oidc", key); err != nil {
		return err
	}
	h.mux.Handle("/oidc/", http.StripPrefix("/oidc", oidc.New(h.issuer)))
	return nil
}

func (h *harbour) openCA(ctx context.Context, o serveFlags) error {
	root, err := ca.OpenRoot(h.keys, time.Now())
	if err != nil {
		return err
	}
	key, err := h.keys.Signer("ct", keys.P256)
	if err != nil {
		return err
	}
	_, host, _ := strings.Cut(h.base, "://")
	top := root.Chain[len(root.Chain)-1:]
	if h.certs, err = ledger.OpenCertificates(ctx, filepath.Join(h.dir, "ct"), host+"/ct", key, top, ledger.Options{Log: h.log}); err != nil {
		return err
	}
	h.closers = append(h.closers, h.certs.Close)
	issuers := ca.OneIssuer(h.base+"/oidc", issuer.Audience)
	if o.issuers != "" {
		body, err := os.ReadFile(o.issuers)
		if err != nil {
			return seaworthy.Wrap(err, seaworthy.Usage, "reading %q", o.issuers)
		}
		if issuers, err = ca.ParseIssuers(body); err != nil {
			return seaworthy.Wrap(err, seaworthy.Invalid, "reading %q", o.issuers)
		}
	}
	if h.authority, err = ca.New(root, issuers, h.certs, ca.Options{Audit: h.log, Once: o.once}); err != nil {
		return err
	}
	handler := h.note("ca", fulcio.New(h.authority, h.log))
	h.mux.Handle("/api/v2/signingCert", handler)
	h.mux.Handle("/api/v2/trustBundle", handler)
	h.mux.Handle("/api/v2/configuration", handler)
	h.mux.Handle("/ct/", h.note("ct", http.StripPrefix("/ct", servect.New(h.certs, rekor.Tiles(h.certs.Folder), h.log))))
	return nil
}

func (h *harbour) openLog(ctx context.Context, o serveFlags) error {
	key, err := h.keys.Signer("log", keys.Ed25519)
	if err != nil {
		return err
	}
	u, err := url.Parse(h.base)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Usage, "reading the address %q", h.base)
	}
	// The clients of the field look for the host without a port in checkpoints.
	h.ledger, err = ledger.Open(ctx, filepath.Join(h.dir, "log"), u.Hostname(), key, ledger.Options{HighWater: o.highWater, Log: h.log})
	if err != nil {
		return err
	}
	h.closers = append(h.closers, h.ledger.Close)
	handler := h.note("log", rekor.New(h.ledger, h.log))
	h.mux.Handle("/api/v2/log/", handler)
	h.mux.Handle("/api/v2/checkpoint", handler)
	h.mux.Handle("/api/v2/tile/", handler)
	return nil
}

func (h *harbour) openTSA() (err error) {
	if h.stamps, err = tsa.Open(h.keys, time.Now()); err != nil {
		return err
	}
	h.mux.Handle("/api/v1/timestamp", h.note("tsa", servetsa.New(h.stamps, h.log)))
	h.mux.Handle("/api/v1/timestamp/certchain", h.note("tsa", servetsa.New(h.stamps, h.log)))
	return nil
}

func (h *harbour) openRegistry(ctx context.Context, a *app, o serveFlags) error {
	var auth *oci.Auth
	var access *registry.Access
	if o.auth != "" {
		var err error
		if auth, err = oci.OpenAuth(o.auth); err != nil {
			return err
		}
		access = auth.Access
	}
	if err := registry.MayListen(o.addr, access); err != nil {
		return err
	}
	options := registry.Options{Grace: registry.DefaultGrace, Log: h.log}
	if h.graph != nil {
		options.Listener = h.graph.pushed
	}
	r, closeAll, err := a.openRegistry(filepath.Join(h.dir, "registry"), 0, options)
	if err != nil {
		return err
	}
	h.registry, h.packages = r, oci.New(r, oci.Options{Auth: auth, Log: h.log})
	collect, stop := context.WithCancel(context.WithoutCancel(ctx))
	var collecting sync.WaitGroup
	collecting.Go(func() { r.CollectEvery(collect, 6*time.Hour, registry.CollectOptions{}, h.packages.Collected) })
	h.closers = append(h.closers, func(context.Context) error {
		stop()
		collecting.Wait()
		return closeAll()
	})
	h.mux.Handle("/v2/", h.packages)
	h.mux.Handle("/token", h.packages)
	return nil
}

// ServeHTTP implements http.Handler.
func (h *harbour) ServeHTTP(w http.ResponseWriter, req *http.Request) { h.mux.ServeHTTP(w, req) }

// check says what does not work.
func (h *harbour) check() error {
	var all []error
	if h.leaving.Load() {
		all = append(all, seaworthy.Errorf(seaworthy.Unavailable, "stopping"))
	}
	if h.certs != nil {
		all = append(all, h.certs.Check())
	}
	if h.ledger != nil {
		all = append(all, h.ledger.Check())
	}
	if h.registry != nil {
		all = append(all, h.registry.Check())
	}
	if h.graph != nil {
		all = append(all, h.graph.check())
	}
	return errors.Join(all...)
}

func (h *harbour) ready(w http.ResponseWriter, _ *http.Request) {
	if err := h.check(); err != nil {
		writeText(w, http.StatusServiceUnavailable, err.Error()+"\n")
		return
	}
	writeText(w, http.StatusOK, "ok\n")
}

// leave makes /readyz send clients elsewhere.
func (h *harbour) leave() { h.leaving.Store(true) }

// close closes everything, for at most as long as ctx allows.
func (h *harbour) close(ctx context.Context) error {
	var all []error
	for i := len(h.closers) - 1; i >= 0; i-- {
		all = append(all, h.closers[i](ctx))
	}
	h.closers = nil
	return errors.Join(all...)
}

// note logs and counts the requests of a service. Query strings and headers are never logged.
func (h *harbour) note(service string, inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		start := time.Now()
		out := &noted{ResponseWriter: w, status: http.StatusOK}
		inner.ServeHTTP(out, req)
		took := time.Since(start)
		h.meters.count(service, req.Method, out.status, took)
		level := slog.LevelDebug
		if out.status >= 500 {
			level = slog.LevelError
		}
		h.log.LogAttrs(req.Context(), level, "request", slog.String("service", service), slog.String("method", req.Method),
			slog.String("path", clipped(req.URL.Path)), slog.Int("status", out.status), slog.Duration("took", took.Round(time.Microsecond)),
			slog.String("from", req.RemoteAddr))
	})
}

func clipped(s string) string {
	if len(s) > 256 {
		return s[:256] + "…"
	}
	return s
}

// noted remembers the status of an answer.
type noted struct {
	http.ResponseWriter
	status int
}

// Unwrap lets http.ResponseController reach the connection.
func (n *noted) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (n *noted) WriteHeader(status int) {
	n.status = status
	n.ResponseWriter.WriteHeader(status)
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client went away
}

func serveJSON(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body) // the client went away
	}
}
