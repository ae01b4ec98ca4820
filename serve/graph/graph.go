// Package graph speaks HTTP about the evidence graph: it answers engine/trace's questions, shows the documents they
// rest on, takes new ones, and lists what is still to be done. Handler and client are here together.
//
//	GET  /api/graph/v1/ask/{verb}               a question: ?subject=&to=&signed=1&signer=&asOf=&depth=&limit=&expand=&kind=
//	GET  /api/graph/v1/search                   subjects by what people remember of their names, grouped by kind
//	GET  /api/graph/v1/documents                documents, the newest first
//	POST /api/graph/v1/documents                adds one: its bytes are the body
//	GET  /api/graph/v1/documents/{digest}       what is known of one; …/raw its bytes; …/bill it in another format
//	GET  /api/graph/v1/bills                    bills, what they are about and how complete they are
//	GET  /api/graph/v1/jobs                     work that is still to be done; POST …/{id}/retry does it now
//	GET  /api/graph/v1/log                      entries of the transparency log; …/{index} one with its proof
//	GET  /api/graph/v1/stats, …/openapi.json    how much there is, and this API in OpenAPI 3.1
//
//	h := graph.New(graph.Parts{Asker: tracer, Store: store, Ingest: ingest}, graph.Options{Log: log})
//	answer, err := (&graph.Client{URL: "http://127.0.0.1:8080"}).Ask(ctx, trace.Question{Verb: "vulns", Subject: "app:1.2"})
//
// Everything is JSON and bounded: parameters, bodies, answers, and the time a question may take. Errors are
// {"error":{"code","message","hint"}} with the code of errors.go, and the HTTP status of that code.
//
// Without Options.Tokens everybody may do everything, so it is for loopback addresses only. Even there, web pages of
// other people are kept out: requests must name a loopback host or one that was configured, and what changes something
// must come from our own page or be of a kind that a foreign page cannot send unasked. With tokens, a bearer token says
// who may read, ingest and administer; tokens and query strings are in no log.
package graph

import (
	"context"
	_ "embed"
	"log/slog"
	"net/http"
	"time"

	pbrekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ledger"
	"github.com/seaworthy-dev/seaworthy/engine/trace"
	store "github.com/seaworthy-dev/seaworthy/store/graph"
)

// Prefix is where the API begins.
const Prefix = "/api/graph/v1"

// Limits.
const (
	// MaxQuery is the length of a request's query, in bytes.
	MaxQuery = 16 << 10
	// MaxValues is how often a parameter that may be repeated is given.
	MaxValues = 64
	// MaxDepth is how many steps a question may ask for.
	MaxDepth = 64
	// MaxRows is how many rows or nodes a question may ask for.
	MaxRows = 10_000
	// MaxPage is how many documents, bills, jobs or entries one page has.
	MaxPage = 1000
	// DefaultPage is how many it has when nothing is said.
	DefaultPage = 100
	// DefaultTimeout bounds the work on one question.
	DefaultTimeout = 30 * time.Second
	// maxAsking is how many questions are worked on at once; further ones wait.
	maxAsking = 32
	// uploadTimeout bounds how long a body may take to arrive.
	uploadTimeout = 10 * time.Minute
)

// Asker answers questions. *trace.Tracer is one, and so is *Client.
type Asker interface {
	Ask(ctx context.Context, q trace.Question) (*trace.Answer, error)
}

// Store is what of a store/graph the API shows. Every store.Store is one.
type Store interface {
	store.Reader
	Body(ctx context.Context, d seaworthy.Digest) ([]byte, error)
	List(ctx context.Context, q store.ListQuery) (store.ListPage, error)
	Jobs(ctx context.Context, limit int) ([]store.Job, error)
	RetryJob(ctx context.Context, id string, now time.Time) error
	Stats(ctx context.Context) (store.Stats, error)
}

// Ingester takes a document in, or a wrapping of documents (an archive, JSON Lines). When it returns, they are durable.
// Of a wrapping, what can be read is taken, and the error is Incomplete.
type Ingester func(ctx context.Context, origin string, body []byte) (Added, error)

// Log is a transparency log. *ledger.Log is one.
type Log interface {
	Origin() string
	Size() uint64
	Find(ctx context.Context, q ledger.Query) ([]ledger.Record, error)
	Entry(ctx context.Context, at uint64) (*pbrekor.TransparencyLogEntry, error)
}

// Parts are what the API is made of.
type Parts struct {
	Asker  Asker
	Store  Store
	Ingest Ingester // nil: documents are not taken
	Log    Log      // nil: there is none
}

// Options say how the API is served. The zero value serves everybody, at loopback names.
type Options struct {
	// Tokens say who may do what; nil: everybody everything.
	Tokens *Tokens
	// Hosts are names that requests may be made to beside those of loopback; they are not asked for with Tokens.
	Hosts []string
	// Instance is said in the header Seaworthy-Graph of every answer, so that a client can tell this graph from another
	// at the same address; "": nothing is said.
	Instance string
	Timeout  time.Duration    // of the work on one question; 0: DefaultTimeout
	Log      *slog.Logger     // nil: none
	Now      func() time.Time // nil: time.Now
}

// Handler serves the API.
type Handler struct {
	Parts
	o       Options
	mux     *http.ServeMux
	origins *http.CrossOriginProtection
	asking  chan struct{} // has room for the questions that are worked on
	room    *room         // for bodies that are being received
	bills   *billCache
}

//go:embed openapi.json
var openAPI []byte

// New makes a handler.
func New(parts Parts, o Options) *Handler {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Handler{
		Parts: parts, o: o, mux: http.NewServeMux(), origins: http.NewCrossOriginProtection(),
		asking: make(chan struct{}, maxAsking), room: newRoom(maxReceiving), bills: newBillCache(),
	}
	for _, r := range routes {
		h.mux.Handle(r.method+" "+Prefix+r.path, h.guarded(r))
	}
	h.mux.HandleFunc(Prefix+"/", func(w http.ResponseWriter, req *http.Request) {
		h.fail(w, req, seaworthy.Errorf(seaworthy.NotFound, "there is no such endpoint, or it has no such method").
			WithHint("GET %s/openapi.json lists them", Prefix))
	})
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) { h.mux.ServeHTTP(w, req) }
