package graph

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	store "github.com/seaworthy-dev/seaworthy/store/graph"
)

// Documents is a page of documents.
type Documents struct {
	Documents []seaworthy.Document `json:"documents"`
	Next      string               `json:"next"` // what "after" is for the next page; "" on the last one
}

// documentKinds are the kinds a list may be restricted to.
var documentKinds = []seaworthy.DocumentKind{
	seaworthy.BillDocument, seaworthy.ProvenanceDocument, seaworthy.SignatureDocument, seaworthy.VEXDocument,
	seaworthy.ScanDocument, seaworthy.ScorecardDocument, seaworthy.ManifestDocument, seaworthy.VerdictDocument,
	seaworthy.StatementDocument,
}

func (h *Handler) documents(w http.ResponseWriter, req *http.Request, q url.Values) error {
	limit, err := number(q, "limit", MaxPage, DefaultPage)
	if err != nil {
		return err
	}
	of, err := kinds(q, documentKinds)
	if err != nil {
		return err
	}
	page, err := h.Store.List(req.Context(), store.ListQuery{Kinds: of, After: store.Cursor(q.Get("after")), Limit: limit})
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, Documents{listed(page.Documents), string(page.Next)})
}

// find returns the document that a request names by its digest.
func (h *Handler) find(req *http.Request) (*seaworthy.Document, error) {
	d, err := seaworthy.ParseDigest(req.PathValue("digest"))
	if err != nil || d.Algorithm() != "sha256" {
		return nil, seaworthy.Errorf(seaworthy.Usage, "reading the request: %q is no sha256 digest", clipped(req.PathValue("digest")))
	}
	docs, err := h.Store.Documents(req.Context(), []store.ID{store.DocumentID(d)})
	if err != nil {
		return nil, err
	}
	if len(docs) != 1 || docs[0].Digest == "" {
		return nil, seaworthy.Errorf(seaworthy.NotFound, "the graph has no document %s", d)
	}
	return &docs[0], nil
}

func (h *Handler) document(w http.ResponseWriter, req *http.Request, _ url.Values) error {
	doc, err := h.find(req)
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, doc)
}

// raw gives the bytes of a document. Anybody may have written them, so a browser is told to do nothing with them.
func (h *Handler) raw(w http.ResponseWriter, req *http.Request, _ url.Values) error {
	doc, err := h.find(req)
	if err != nil {
		return err
	}
	if unchanged(w, req, string(doc.Digest)) {
		return nil
	}
	body, err := h.Store.Body(req.Context(), doc.Digest)
	if err != nil {
		return err
	}
	kind := "application/octet-stream"
	if isJSON(doc.MediaType) || doc.MediaType == "" && strings.HasPrefix(strings.TrimLeft(string(body[:min(len(body), 64)]), " \t\r\n"), "{") {
		kind = "application/json"
	}
	hand(w, kind, doc.Digest.Hex()+extension(kind), body)
	return nil
}

// hand gives a file that is to be kept, and never shown as a page of ours.
func hand(w http.ResponseWriter, kind, name string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	_, _ = w.Write(body) // the client went away
}

// unchanged answers a client that has what a digest names already.
func unchanged(w http.ResponseWriter, req *http.Request, tag string) bool {
	w.Header().Set("ETag", `"`+tag+`"`)
	w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	for part := range strings.SplitSeq(req.Header.Get("If-None-Match"), ",") {
		if strings.TrimPrefix(strings.TrimSpace(part), "W/") == `"`+tag+`"` {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	return false
}

func isJSON(mediaType string) bool {
	kind, _, err := mime.ParseMediaType(mediaType)
	return err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json"))
}

func extension(kind string) string {
	if kind == "application/json" {
		return ".json"
	}
	return ".bin"
}

// Added is the answer to a document that was sent.
type Added struct {
	// Document is as the graph has it now; there is none when the bytes were only a wrapping of others.
	Document seaworthy.Document `json:"document,omitzero"`
	Added    bool               `json:"added"` // false: it was there already
	// Inside are the documents of a wrapping.
	Inside []Added `json:"inside,omitempty"`
	// Failed are the parts of a wrapping that could not be read.
	Failed []seaworthy.Problem `json:"failed,omitempty"`
}

// maxOrigin is the longest origin a client may give, in bytes.
const maxOrigin = 1024

func (h *Handler) add(w http.ResponseWriter, req *http.Request, q url.Values) error {
	if h.Ingest == nil {
		return seaworthy.Errorf(seaworthy.Unsupported, "this graph takes no documents")
	}
	if e := req.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return seaworthy.Errorf(seaworthy.Unsupported, "a body with the encoding %q", clipped(e)).WithHint("send the bytes of the document as they are")
	}
	origin := q.Get("origin")
	switch {
	case len(origin) > maxOrigin:
		return seaworthy.Errorf(seaworthy.TooLarge, "reading the request: its origin has more than %d bytes", maxOrigin)
	case origin == "":
		origin = "POST"
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(uploadTimeout)) // not every test server can
	body, done, err := h.receive(w, req)
	defer done()
	if err != nil {
		return err
	}
	said, err := h.Ingest(req.Context(), origin, body)
	if err != nil && (seaworthy.CodeOf(err) != seaworthy.Incomplete || len(said.Inside) == 0) {
		return err
	}
	status := http.StatusOK
	if said.Added {
		status = http.StatusCreated
		w.Header().Set("Location", Prefix+"/documents/"+string(said.Document.Digest))
	}
	return write(w, status, said)
}

// receive reads a body when there is room for it. done gives the room back.
func (h *Handler) receive(w http.ResponseWriter, req *http.Request) (body []byte, done func(), err error) {
	size := req.ContentLength
	if size > store.MaxBody {
		return nil, func() {}, seaworthy.Errorf(seaworthy.TooLarge, "a document of %d bytes; it may have %d", size, store.MaxBody)
	}
	if size < 0 {
		size = store.MaxBody // it does not say
	}
	if done, err = h.room.enter(req.Context(), size); err != nil {
		return nil, done, err
	}
	body, err = io.ReadAll(http.MaxBytesReader(w, req.Body, store.MaxBody))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		err = seaworthy.Errorf(seaworthy.TooLarge, "a document of more than %d bytes", store.MaxBody)
	case err == nil && len(body) == 0:
		err = seaworthy.Errorf(seaworthy.Usage, "the request has no body").WithHint("it is the bytes of the document")
	}
	return body, done, seaworthy.Wrap(err, seaworthy.Invalid, "reading the request")
}
