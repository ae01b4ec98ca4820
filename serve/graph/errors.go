package graph

import (
	"encoding/json"
	"net/http"

	"github.com/seaworthy-dev/seaworthy"
)

// statuses is the one map from code to HTTP status. Codes that are not listed are answered with 500, and what
// happened stays in the log.
var statuses = map[seaworthy.Code]int{
	seaworthy.Usage:        http.StatusBadRequest,
	seaworthy.Invalid:      http.StatusUnprocessableEntity,
	seaworthy.Mismatch:     http.StatusUnprocessableEntity,
	seaworthy.TooLarge:     http.StatusRequestEntityTooLarge,
	seaworthy.Unsupported:  http.StatusUnsupportedMediaType,
	seaworthy.Incomplete:   http.StatusUnprocessableEntity,
	seaworthy.NotFound:     http.StatusNotFound,
	seaworthy.Unauthorized: http.StatusUnauthorized,
	seaworthy.Forbidden:    http.StatusForbidden,
	seaworthy.Unavailable:  http.StatusServiceUnavailable,
	seaworthy.Storage:      http.StatusServiceUnavailable,
	seaworthy.Interrupted:  http.StatusServiceUnavailable,
	seaworthy.Conflict:     http.StatusConflict,
	seaworthy.Stale:        http.StatusConflict,
	seaworthy.Refused:      http.StatusConflict,
}

// failure is an error as it is told.
type failure struct {
	Error told `json:"error"`
}

type told struct {
	Code    seaworthy.Code `json:"code"`
	Message string         `json:"message"`
	Hint    string         `json:"hint,omitempty"`
}

// fail answers with an error. What the disk or a database says stays in the log: paths are nobody's business.
func (h *Handler) fail(w http.ResponseWriter, req *http.Request, err error) {
	code := seaworthy.CodeOf(err)
	status, ok := statuses[code]
	f := failure{told{Code: code, Message: err.Error(), Hint: seaworthy.HintOf(err)}}
	switch {
	case !ok:
		status = http.StatusInternalServerError
		f.Error = told{Code: seaworthy.Internal, Message: "this is our own mistake; the server's log says more"}
	case code == seaworthy.Storage:
		f.Error = told{Code: code, Message: "the graph cannot keep or read this at present; the server's log says more"}
	}
	if status >= 500 {
		h.o.Log.ErrorContext(req.Context(), "graph request", "path", clipped(req.URL.Path), "error", err.Error())
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="seaworthy graph"`)
	}
	w.Header().Set("Cache-Control", "no-store")
	body, err := json.Marshal(f)
	if err != nil {
		body = []byte(`{"error":{"code":"internal","message":"writing the error"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client went away
}

func clipped(s string) string {
	if len(s) > 256 {
		return s[:256] + "…"
	}
	return s
}
