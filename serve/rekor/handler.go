// Package rekor speaks the HTTP API of Rekor v2 for an engine/ledger, and serves the log's files as C2SP tlog-tiles.
//
//	POST /api/v2/log/entries    adds an entry, and proves it
//	GET  /api/v2/checkpoint     the newest signed tree
//	GET  /api/v2/tile/…         its hashes and entries
//	GET  /api/v2/log/search     entries by digest, identity, key or time (ours; Rekor v2 has no search)
//	GET  /api/v2/log/entries/N  an entry with a proof (ours)
package rekor

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	pb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ledger"
)

// MaxRequest is the longest request, in bytes. An entry may have 64 KiB, and a request says little more.
const MaxRequest = 256 << 10

// Handler serves the API.
type Handler struct {
	ledger *ledger.Log
	log    *slog.Logger
	mux    *http.ServeMux
}

// New makes a handler. A nil log is none.
func New(l *ledger.Log, log *slog.Logger) *Handler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{ledger: l, log: log, mux: http.NewServeMux()}
	h.mux.HandleFunc("POST /api/v2/log/entries", h.submit)
	h.mux.HandleFunc("GET /api/v2/log/entries/{index}", h.entry)
	h.mux.HandleFunc("GET /api/v2/log/search", h.search)
	h.mux.Handle("GET /api/v2/checkpoint", http.StripPrefix("/api/v2", Tiles(l.Folder)))
	h.mux.Handle("GET /api/v2/tile/", http.StripPrefix("/api/v2", Tiles(l.Folder)))
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) { h.mux.ServeHTTP(w, req) }

// Tiles serves the files of a log, and nothing else of its folder.
func Tiles(f ledger.Folder) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		name := strings.TrimPrefix(req.URL.Path, "/")
		switch {
		case name == "checkpoint":
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("Cache-Control", "no-cache")
		case (strings.HasPrefix(name, "tile/") || strings.HasPrefix(name, "issuer/")) && filepath.IsLocal(name):
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		default:
			http.NotFound(w, req)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		file, err := os.Open(filepath.Join(f.Path, filepath.FromSlash(name)))
		if err != nil {
			w.Header().Del("Cache-Control")
			http.NotFound(w, req)
			return
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil || !info.Mode().IsRegular() {
			w.Header().Del("Cache-Control")
			http.NotFound(w, req)
			return
		}
		http.ServeContent(w, req, "", time.Time{}, file)
	})
}

func (h *Handler) submit(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, MaxRequest))
	if err != nil {
		var long *http.MaxBytesError
		if errors.As(err, &long) {
			err = seaworthy.Errorf(seaworthy.TooLarge, "reading the request: more than %d bytes", MaxRequest)
		}
		h.fail(w, req, seaworthy.Wrap(err, seaworthy.Invalid, "reading the request"))
		return
	}
	asked := new(pb.CreateEntryRequest)
	if err := protojson.Unmarshal(body, asked); err != nil {
		h.fail(w, req, seaworthy.Wrap(err, seaworthy.Invalid, "reading the request"))
		return
	}
	entry, err := h.ledger.Submit(req.Context(), asked)
	if err != nil {
		h.fail(w, req, err)
		return
	}
	answer, err := protojson.Marshal(entry)
	if err != nil {
		h.fail(w, req, err)
		return
	}
	h.write(w, http.StatusCreated, answer)
}

func (h *Handler) entry(w http.ResponseWriter, req *http.Request) {
	index, err := strconv.ParseUint(req.PathValue("index"), 10, 63)
	if err != nil {
		h.fail(w, req, seaworthy.Errorf(seaworthy.Invalid, "reading the request: %q is no index", req.PathValue("index")))
		return
	}
	entry, err := h.ledger.Entry(req.Context(), index)
	if err != nil {
		h.fail(w, req, err)
		return
	}
	answer, err := protojson.Marshal(entry)
	if err != nil {
		h.fail(w, req, err)
		return
	}
	h.write(w, http.StatusOK, answer)
}

// Found is the answer of a search.
type Found struct {
	Entries []ledger.Record `json:"entries"`
	// Indexed is how many entries of the log were searched.
	Indexed uint64 `json:"indexed"`
	Origin  string `json:"origin"`
}

func (h *Handler) search(w http.ResponseWriter, req *http.Request) {
	q, err := parseQuery(req.URL.Query())
	if err != nil {
		h.fail(w, req, err)
		return
	}
	indexed := h.ledger.Indexed()
	records, err := h.ledger.Find(req.Context(), q)
	if err != nil {
		h.fail(w, req, err)
		return
	}
	answer, err := json.Marshal(Found{Entries: records, Indexed: indexed, Origin: h.ledger.Origin()})
	if err != nil {
		h.fail(w, req, err)
		return
	}
	h.write(w, http.StatusOK, answer)
}

func parseQuery(values url.Values) (q ledger.Query, err error) {
	q = ledger.Query{Digest: seaworthy.Digest(values.Get("digest")), Identity: values.Get("identity"), Key: values.Get("key")}
	for name, into := range map[string]*time.Time{"since": &q.Since, "until": &q.Until} {
		if text := values.Get(name); text != "" {
			if *into, err = time.Parse(time.RFC3339, text); err != nil {
				return q, seaworthy.Errorf(seaworthy.Invalid, "reading the request: %s %q is not a time like 2026-01-02T15:04:05Z", name, text)
			}
		}
	}
	if text := values.Get("from"); text != "" {
		if q.From, err = strconv.ParseUint(text, 10, 63); err != nil {
			return q, seaworthy.Errorf(seaworthy.Invalid, "reading the request: from %q is no index", text)
		}
	}
	if text := values.Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > ledger.MaxFound {
			return q, seaworthy.Errorf(seaworthy.Invalid, "reading the request: the limit %q is not from 1 to %d", text, ledger.MaxFound)
		}
	}
	return q, nil
}

func (h *Handler) write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client went away
}

// statuses is the one map from code to HTTP status and gRPC code, which Rekor's clients may read.
var statuses = map[seaworthy.Code]struct{ http, grpc int }{
	seaworthy.Invalid:     {http.StatusBadRequest, 3},
	seaworthy.Usage:       {http.StatusBadRequest, 3},
	seaworthy.Unsupported: {http.StatusBadRequest, 3},
	seaworthy.TooLarge:    {http.StatusRequestEntityTooLarge, 3},
	seaworthy.NotFound:    {http.StatusNotFound, 5},
	seaworthy.Conflict:    {http.StatusConflict, 6},
	seaworthy.Unavailable: {http.StatusServiceUnavailable, 14},
	seaworthy.Storage:     {http.StatusServiceUnavailable, 14},
	seaworthy.Refused:     {http.StatusServiceUnavailable, 14},
}

func (h *Handler) fail(w http.ResponseWriter, req *http.Request, err error) {
	status, ok := statuses[seaworthy.CodeOf(err)]
	text := err.Error()
	if !ok {
		status.http, status.grpc, text = http.StatusInternalServerError, 13, "internal error"
	}
	var dup *ledger.DuplicateError
	if errors.As(err, &dup) {
		w.Header().Set("X-Log-Index", strconv.FormatUint(dup.Index, 10))
	}
	if status.http >= 500 {
		h.log.ErrorContext(req.Context(), "log request", "path", req.URL.Path, "error", err.Error())
	}
	if status.http == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	body, err := json.Marshal(map[string]any{"code": status.grpc, "message": text, "details": []any{}})
	if err != nil {
		body = []byte("{}")
	}
	h.write(w, status.http, body)
}
