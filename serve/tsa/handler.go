// Package tsa serves a time-stamping authority (engine/tsa) over HTTP, as RFC 3161, 3.4 says and at the paths the
// field's other authorities have.
//
//	POST /api/v1/timestamp             a time stamp for a query in DER
//	GET  /api/v1/timestamp/certchain   the authority's certificates
package tsa

import (
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/tsa"
	"github.com/seaworthy-dev/seaworthy/store/keys"
)

// Handler serves the API.
type Handler struct {
	authority *tsa.Authority
	log       *slog.Logger
	now       func() time.Time
	mux       *http.ServeMux
}

// New makes a handler. A nil log is none.
func New(a *tsa.Authority, log *slog.Logger) *Handler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{authority: a, log: log, now: time.Now, mux: http.NewServeMux()}
	h.mux.HandleFunc("POST /api/v1/timestamp", h.stamp)
	h.mux.HandleFunc("GET /api/v1/timestamp/certchain", h.chain)
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) { h.mux.ServeHTTP(w, req) }

func (h *Handler) stamp(w http.ResponseWriter, req *http.Request) {
	if kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err != nil || kind != "application/timestamp-query" {
		http.Error(w, "the body must be an application/timestamp-query", http.StatusUnsupportedMediaType)
		return
	}
	query, err := io.ReadAll(http.MaxBytesReader(w, req.Body, tsa.MaxQuery))
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		http.Error(w, "the query is too long", http.StatusRequestEntityTooLarge)
		return
	} else if err != nil {
		http.Error(w, "the query could not be read", http.StatusBadRequest)
		return
	}
	answer, err := h.authority.Stamp(query, h.now())
	if err != nil {
		h.fail(w, req, err)
		return
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(answer)
}

func (h *Handler) fail(w http.ResponseWriter, req *http.Request, err error) {
	switch seaworthy.CodeOf(err) {
	case seaworthy.Invalid, seaworthy.Unsupported, seaworthy.TooLarge:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case seaworthy.Unavailable:
		h.log.ErrorContext(req.Context(), "time stamp", "error", err.Error())
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		h.log.ErrorContext(req.Context(), "time stamp", "error", err.Error())
		http.Error(w, "internal error", http.StatusInternalServerError)
	}
}

func (h *Handler) chain(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/pem-certificate-chain")
	_, _ = w.Write(keys.EncodeChain(h.authority.Chain()))
}
