// Package ct serves a log of certificates (engine/ledger): what RFC 6962, 4 says for those who submit, and the files of
// C2SP static-ct-api for those who read.
//
//	POST /ct/v1/add-chain, /ct/v1/add-pre-chain   logs a certificate, and promises that it did
//	GET  /ct/v1/get-roots                         what a chain must lead to
//	GET  /checkpoint, /tile/…, /issuer/…          the log
package ct

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	ct "github.com/google/certificate-transparency-go"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ledger"
)

// MaxRequest is the longest request, in bytes.
const MaxRequest = 256 << 10

// Handler serves the API.
type Handler struct {
	ledger *ledger.Certificates
	log    *slog.Logger
	mux    *http.ServeMux
}

// New makes a handler; files serves the log's own. A nil log is none.
func New(l *ledger.Certificates, files http.Handler, log *slog.Logger) *Handler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{ledger: l, log: log, mux: http.NewServeMux()}
	h.mux.HandleFunc("POST /ct/v1/add-chain", h.add(false))
	h.mux.HandleFunc("POST /ct/v1/add-pre-chain", h.add(true))
	h.mux.HandleFunc("GET /ct/v1/get-roots", h.roots)
	for _, path := range []string{"GET /checkpoint", "GET /tile/", "GET /issuer/"} {
		h.mux.Handle(path, files)
	}
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) { h.mux.ServeHTTP(w, req) }

func (h *Handler) add(precert bool) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		var asked ct.AddChainRequest
		if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, MaxRequest)).Decode(&asked); err != nil {
			status := http.StatusBadRequest
			var long *http.MaxBytesError
			if errors.As(err, &long) {
				status = http.StatusRequestEntityTooLarge
			}
			http.Error(w, "the body must be a chain in JSON", status)
			return
		}
		sct, err := h.ledger.Add(req.Context(), asked.Chain, precert)
		if err != nil {
			h.fail(w, req, err)
			return
		}
		answer, err := ledger.Response(sct)
		if err != nil {
			h.fail(w, req, err)
			return
		}
		writeJSON(w, answer)
	}
}

func (h *Handler) roots(w http.ResponseWriter, _ *http.Request) {
	roots := [][]byte{}
	for _, c := range h.ledger.Roots() {
		roots = append(roots, c.Raw)
	}
	writeJSON(w, map[string]any{"certificates": roots})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = json.NewEncoder(w).Encode(v) // the client went away
}

func (h *Handler) fail(w http.ResponseWriter, req *http.Request, err error) {
	switch seaworthy.CodeOf(err) {
	case seaworthy.Invalid, seaworthy.Forbidden:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case seaworthy.Unavailable, seaworthy.Storage, seaworthy.Refused:
		h.log.ErrorContext(req.Context(), "log of certificates", "error", err.Error())
		w.Header().Set("Retry-After", "1")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		h.log.ErrorContext(req.Context(), "log of certificates", "error", err.Error())
		http.Error(w, "internal error", http.StatusInternalServerError)
	}
}
