// Package oci speaks the HTTP API of the OCI distribution specification 1.1 for an engine/registry: pull, push in
// all its forms, mounts, ranges, tags, referrers and deletes; also /token, /livez, /readyz and /metrics.
//
//	h, err := oci.New(r, oci.Options{Log: log})
//	server := h.Server() // with the time-outs it needs
//
// Without access rules everybody may do everything, so it is for loopback addresses only: registry.MayListen says
// which. Even there, web pages of other people are kept out: requests must name a loopback host, and must not
// come from another origin.
//
// One line is logged for each request. Query strings, Authorization and tokens never are.
package oci

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/registry"
)

// Options say how the API is served. The zero value serves everybody.
type Options struct {
	Auth *Auth        // who may do what; nil: everybody everything
	Log  *slog.Logger // nil: none
	// Transfers is how many bodies are received at once; further ones wait. 0: 64. Each takes 512 KiB of memory.
	Transfers int
	// Idle is how long a client may send nothing in the middle of a body. 0: a minute.
	Idle time.Duration
}

// Handler serves the API.
type Handler struct {
	r         *registry.Registry
	auth      *Auth
	log       *slog.Logger
	transfers chan struct{}
	idle      time.Duration
	meters    *meters
	origins   *http.CrossOriginProtection
	// leaving is closed when Shutdown begins, so that /readyz sends clients elsewhere.
	leaving chan struct{}
}

// New makes a handler.
func New(r *registry.Registry, o Options) *Handler {
	if o.Transfers == 0 {
		o.Transfers = 64
	}
	if o.Idle == 0 {
		o.Idle = time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{
		r: r, auth: o.Auth, log: o.Log, transfers: make(chan struct{}, o.Transfers), idle: o.Idle,
		meters: newMeters(r), origins: http.NewCrossOriginProtection(), leaving: make(chan struct{}),
	}
}

// Collected counts what was collected for /metrics; give it to registry.CollectEvery.
func (h *Handler) Collected(c registry.Collected, err error) { h.meters.collected(c, err) }

// Server returns a server for the handler: slow headers and idle connections are dropped, long transfers are not.
func (h *Handler) Server() *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelWarn),
	}
}

// Serve serves until ctx ends, then lets what is under way finish for at most patience. It returns nil when
// everything did.
func (h *Handler) Serve(ctx context.Context, server *http.Server, l net.Listener, patience time.Duration) error {
	failed := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			failed <- server.ServeTLS(l, "", "")
		} else {
			failed <- server.Serve(l)
		}
	}()
	select {
	case err := <-failed:
		return seaworthy.Wrap(err, seaworthy.Unavailable, "serving at %s", l.Addr())
	case <-ctx.Done():
	}
	close(h.leaving)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := server.Shutdown(end); err != nil {
		server.Close()
		return seaworthy.Errorf(seaworthy.Interrupted, "stopping: requests were still under way after %s, and were broken off", patience)
	}
	return nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	start := time.Now()
	out := &response{ResponseWriter: w}
	to := parseRoute(req.URL.Path)
	h.meters.inFlight.Inc()
	who, err := h.serve(out, req, to)
	h.meters.inFlight.Dec()
	if err != nil {
		fail(out, err)
	}
	h.meters.count(to.endpoint, req.Method, out)
	level := slog.LevelInfo
	if out.status >= 500 {
		level = slog.LevelError
	} else if to.endpoint == liveEndpoint || to.endpoint == readyEndpoint || to.endpoint == metricsEndpoint {
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{
		slog.String("method", clip(req.Method)), slog.String("path", clip(req.URL.Path)), slog.Int("status", out.status),
		slog.Int64("sent", out.sent), slog.Duration("took", time.Since(start).Round(time.Microsecond)),
		slog.String("from", req.RemoteAddr), slog.String("user", who),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	h.log.LogAttrs(req.Context(), level, "request", attrs...)
}

// serve answers one request, or returns why not.
func (h *Handler) serve(w *response, req *http.Request, to route) (who string, err error) {
	if req.ContentLength != 0 {
		// Also a body that is refused is read to its end, so that the client hears why; but not for ever.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.idle))
	}
	methods := needs[to.endpoint]
	action, ok := methods[req.Method]
	switch {
	case to.endpoint == unknownEndpoint || to.endpoint == tokenEndpoint && h.auth == nil:
		return "", wrong(noEndpoint, "there is no such endpoint")
	case !ok:
		w.Header().Set("Allow", strings.Join(slices.Sorted(keys(methods)), ", "))
		return "", wrong(unsupported, "this endpoint has no such method")
	}
	w.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
	if h.auth == nil {
		if err := h.keepPagesOut(req); err != nil {
			return "", err
		}
	}
	switch to.endpoint {
	case liveEndpoint:
		return "", plain(w, "ok")
	case readyEndpoint:
		return "", h.ready(w)
	case tokenEndpoint:
		return h.auth.serveToken(w, req)
	}
	may, who, err := h.auth.allow(w, req, to, action)
	if err != nil {
		return who, err
	}
	if to.repository != "" && !registry.SoundName(to.repository) {
		return who, wrong(registry.NameInvalid, "that cannot be the name of a repository")
	}
	c := &call{h: h, w: w, req: req, route: to, may: may}
	switch to.endpoint {
	case baseEndpoint:
		return who, c.json(struct{}{})
	case metricsEndpoint:
		h.meters.handler.ServeHTTP(w, req)
		return who, nil
	case catalogEndpoint:
		return who, c.catalog()
	case tagsEndpoint:
		return who, c.tags()
	case referrersPath:
		return who, c.referrers()
	case manifestPath:
		return who, c.manifest()
	case blobEndpoint:
		return who, c.blob()
	case startUpload:
		return who, c.start()
	default:
		return who, c.upload()
	}
}

// keepPagesOut refuses what a browser sends for somebody else's page: another origin, or a name of somebody
// else's that leads here (DNS rebinding).
func (h *Handler) keepPagesOut(req *http.Request) error {
	host := req.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if local, ok := req.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if ip, _, err := net.SplitHostPort(local.String()); err == nil && registry.IsLoopback(ip) && !registry.IsLoopback(host) {
			return wrong(foreign, "this registry asks nobody who they are, so it answers to loopback names only")
		}
	}
	if h.origins.Check(req) != nil {
		return wrong(foreign, "a page of another origin is asking")
	}
	return nil
}

func (h *Handler) ready(w http.ResponseWriter) error {
	select {
	case <-h.leaving:
		return wrong(registry.Closing, "stopping")
	default:
	}
	if err := h.r.Check(); err != nil {
		return &registry.Error{Reason: registry.Closing, Err: err}
	}
	return plain(w, "ok")
}

func plain(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text+"\n")
	return nil
}

// body is the request's body with its limits: how many bodies at once, and how long one may be silent. The
// returned function is called when it is no longer read.
func (h *Handler) body(w *response, req *http.Request) (io.Reader, func(), error) {
	if req.ContentLength == 0 || req.Body == nil || req.Body == http.NoBody {
		return strings.NewReader(""), func() {}, nil
	}
	select {
	case h.transfers <- struct{}{}:
	case <-req.Context().Done():
		return nil, nil, wrong(registry.UploadInvalid, "the client went away")
	}
	return &sending{body: req.Body, control: http.NewResponseController(w), idle: h.idle, count: h.meters.received.Add}, func() { <-h.transfers }, nil
}

// sending reads a body of which every part must come in time.
type sending struct {
	body    io.Reader
	control *http.ResponseController
	idle    time.Duration
	count   func(float64)
}

func (s *sending) Read(p []byte) (int, error) {
	_ = s.control.SetReadDeadline(time.Now().Add(s.idle)) // not every test server can
	n, err := s.body.Read(p)
	s.count(float64(n))
	if err == io.EOF { // otherwise the rest of it is not worth waiting for
		_ = s.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// response counts what is sent, and drops clients that take nothing.
type response struct {
	http.ResponseWriter
	status int
	sent   int64
}

// Unwrap lets http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter. The first status counts: what goes wrong in the middle of a body can
// no longer be said in the header.
func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write implements io.Writer.
func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(b)
	w.sent += int64(n)
	return n, err
}

// A client must take this much in this time.
const (
	takeBytes = 4 << 20
	takeTime  = 2 * time.Minute
)

// ReadFrom implements io.ReaderFrom: files go to the connection without passing through this program.
func (w *response) ReadFrom(r io.Reader) (int64, error) {
	inner, ok := w.ResponseWriter.(io.ReaderFrom)
	limited, isLimited := r.(*io.LimitedReader)
	if !ok || !isLimited {
		return io.Copy(struct{ io.Writer }{w}, r)
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	control := http.NewResponseController(w.ResponseWriter)
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
	var total int64
	for limited.N > 0 {
		_ = control.SetWriteDeadline(time.Now().Add(takeTime))
		part := &io.LimitedReader{R: limited.R, N: min(limited.N, takeBytes)}
		n, err := inner.ReadFrom(part)
		total += n
		w.sent += n
		limited.N -= n
		if err != nil || n == 0 {
			return total, err
		}
	}
	return total, nil
}

func keys(m map[string]registry.Action) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func clip(s string) string {
	if len(s) > 512 {
		return s[:512] + "…"
	}
	return s
}
