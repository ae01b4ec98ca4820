// Package hook speaks to clusters for an engine/admit.Gate: the admission webhooks of Kubernetes, the external-data
// wire of Gatekeeper as Ratify speaks it, and what the page shows of decisions.
//
//	POST /mutate, /validate               AdmissionReview (admission.k8s.io/v1)
//	POST /ratify/gatekeeper/v1/verify     ProviderRequest (externaldata.gatekeeper.sh)
//	POST /ratify/gatekeeper/v1/mutate
//	GET  /api/gate/v1/policies, decisions, fleet
//	GET  /livez, /readyz, /metrics
//
// Paths below /mutate and /validate are the same, so that webhooks can be told apart by theirs.
package hook

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/admit"
)

// Limits of requests.
const (
	MaxReview   = 8 << 20 // 8 MiB: a review holds an object of up to 3 MiB twice
	MaxProvider = 1 << 20 // 1 MiB
	maxKeys     = 1000    // images in one request of Gatekeeper
	// maxUnderway is how many requests are worked on at once. Who comes then is asked to come again.
	maxUnderway = 2048
	// maxStreams is how many of them one connection may bring: an API server uses one for all.
	maxStreams = 1024
	// maxReading is how many bodies of more than smallBody bytes are read at once. Smaller ones never wait: what waits
	// unread takes up the window that all streams of a connection share, and then those that are being read wait for it.
	maxReading = 64
	smallBody  = 32 << 10 // 32 KiB
	// readingWait is how long a larger one waits for its turn.
	readingWait = time.Second
)

// DefaultProviderTimeout is when Gatekeeper is answered: before the 3 seconds that its own webhook has by default.
const DefaultProviderTimeout = 2800 * time.Millisecond

// Options say how the handler works.
type Options struct {
	// NamespaceLabels gives the labels of a namespace; nil where nobody knows them.
	NamespaceLabels func(ctx context.Context, namespace string) map[string]string
	// ProviderTimeout is when Gatekeeper is answered; 0: DefaultProviderTimeout.
	ProviderTimeout time.Duration
	// Ready says what else must be there before the gate is ready; nil: nothing.
	Ready func() error
	// MayLook decides who sees policies and decisions; nil: this machine only.
	MayLook func(*http.Request) bool
	Log     *slog.Logger // nil: none
}

// Handler serves a gate.
type Handler struct {
	gate     *admit.Gate
	o        Options
	mux      *http.ServeMux
	underway atomic.Int64
	reading  chan struct{}
	leaving  atomic.Bool
	meters   meters
}

// New makes a handler.
func New(g *admit.Gate, o Options) *Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.ProviderTimeout == 0 {
		o.ProviderTimeout = DefaultProviderTimeout
	}
	if o.MayLook == nil {
		o.MayLook = local
	}
	h := &Handler{gate: g, o: o, mux: http.NewServeMux(), reading: make(chan struct{}, maxReading)}
	for _, path := range []string{"/mutate", "/mutate/{rest...}"} {
		h.mux.HandleFunc("POST "+path, h.measured("mutate", h.review(g.Mutate)))
	}
	for _, path := range []string{"/validate", "/validate/{rest...}"} {
		h.mux.HandleFunc("POST "+path, h.measured("validate", h.review(g.Validate)))
	}
	h.mux.HandleFunc("POST /ratify/gatekeeper/v1/verify", h.measured("provider-verify", h.provider(h.verifyKey, false)))
	h.mux.HandleFunc("POST /ratify/gatekeeper/v1/mutate", h.measured("provider-mutate", h.provider(h.mutateKey, true)))
	h.mux.Handle("/api/gate/v1/", h.API())
	h.mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") })
	h.mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := h.Ready(); err != nil {
			writeText(w, http.StatusServiceUnavailable, err.Error()+"\n")
			return
		}
		writeText(w, http.StatusOK, "ok\n")
	})
	h.mux.HandleFunc("GET /metrics", h.metrics)
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	h.mux.ServeHTTP(w, req)
}

// Ready says why the gate should not be asked now, or nil.
func (h *Handler) Ready() error {
	if h.leaving.Load() {
		return seaworthy.Errorf(seaworthy.Unavailable, "stopping")
	}
	if err := h.gate.Ready(); err != nil {
		return err
	}
	if h.o.Ready != nil {
		return h.o.Ready()
	}
	return nil
}

// Leave makes /readyz send clients elsewhere.
func (h *Handler) Leave() { h.leaving.Store(true) }

// Server is an HTTP server with limits that fit: whoever asks is a cluster, and does it quickly.
func (h *Handler) Server() *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
	}
}

// body reads a request of at most limit bytes. Errors: TooLarge, Invalid, Unavailable.
func (h *Handler) body(w http.ResponseWriter, req *http.Request, limit int64) ([]byte, error) {
	if req.ContentLength > limit {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "a request of %d bytes; the limit is %d", req.ContentLength, limit)
	}
	if req.ContentLength < 0 || req.ContentLength > smallBody {
		turn := time.NewTimer(readingWait)
		defer turn.Stop()
		select {
		case h.reading <- struct{}{}:
			defer func() { <-h.reading }()
		case <-turn.C:
			return nil, seaworthy.Errorf(seaworthy.Unavailable, "reading the request: %d large ones are being read already", maxReading)
		case <-req.Context().Done():
			return nil, seaworthy.Wrap(req.Context().Err(), seaworthy.Interrupted, "reading the request")
		}
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, req.Body, limit))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "a request of more than %d bytes", limit)
	}
	return b, seaworthy.Wrap(err, seaworthy.Invalid, "reading the request")
}

// statuses is the one map from code to HTTP status here. Codes not listed are 500.
var statuses = map[seaworthy.Code]int{
	seaworthy.Invalid: http.StatusBadRequest, seaworthy.Usage: http.StatusBadRequest, seaworthy.Unsupported: http.StatusBadRequest,
	seaworthy.TooLarge: http.StatusRequestEntityTooLarge, seaworthy.Forbidden: http.StatusForbidden, seaworthy.Refused: http.StatusForbidden,
	seaworthy.Unavailable: http.StatusServiceUnavailable, seaworthy.Interrupted: http.StatusServiceUnavailable, seaworthy.NotFound: http.StatusNotFound,
}

func statusOf(code seaworthy.Code) int {
	if s, ok := statuses[code]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// fail answers with an error, for who speaks no other language here.
func (h *Handler) fail(w http.ResponseWriter, err error) {
	code := seaworthy.CodeOf(err)
	status := statusOf(code)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	var out struct {
		Error struct {
			Code    seaworthy.Code `json:"code"`
			Message string         `json:"message"`
			Hint    string         `json:"hint,omitempty"`
		} `json:"error"`
	}
	out.Error.Code, out.Error.Message, out.Error.Hint = code, err.Error(), seaworthy.HintOf(err)
	writeJSON(w, status, out)
}

// writeJSON answers with a value, which ours always can be written.
func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client went away
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client went away
}
