package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/trace"
	store "github.com/seaworthy-dev/seaworthy/store/graph"
)

// askerFunc is an Asker for tests.
type askerFunc func(context.Context, trace.Question) (*trace.Answer, error)

// Ask implements Asker.
func (f askerFunc) Ask(ctx context.Context, q trace.Question) (*trace.Answer, error) {
	return f(ctx, q)
}

// world is a graph that is served, with what its log says.
type world struct {
	t      *testing.T
	url    string
	server *httptest.Server
	store  *store.Memory
	asked  []trace.Question
	mu     sync.Mutex
	logs   bytes.Buffer
	bill   seaworthy.Digest // of a bill in the store
	other  seaworthy.Digest // of a document that is no bill
}

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

const smallBill = `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"metadata":{"timestamp":"2026-01-02T03:04:05Z",` +
	`"tools":[{"name":"t"}],"component":{"bom-ref":"app","type":"container","name":"app","version":"1.2","purl":"pkg:oci/app@1.2","supplier":{"name":"Example"}}},` +
	`"components":[{"bom-ref":"lib","type":"library","name":"lib","version":"1","purl":"pkg:npm/lib@1"}],"dependencies":[{"ref":"app","dependsOn":["lib"]}]}`

// newWorld serves a graph with a bill, an unsigned statement and a parked job.
func newWorld(t *testing.T, change ...func(*Parts, *Options)) *world {
	t.Helper()
	w := &world{t: t, store: store.NewMemory()}
	image := seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: string(seaworthy.SHA256([]byte("image")))}
	w.bill = w.put(seaworthy.BillDocument, smallBill, "application/vnd.cyclonedx+json", func(doc seaworthy.Document) ([]seaworthy.Statement, []store.Name) {
		return []seaworthy.Statement{
			{Subject: doc.Subject(), Predicate: seaworthy.SaysDescribes, Object: image, Attrs: []seaworthy.Property{{Name: "name", Value: "app:1.2"}}},
			{Subject: image, Predicate: seaworthy.SaysContains, Object: seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: "pkg:npm/lib@1"}},
		}, []store.Name{{Subject: image, Text: "registry.example/app:1.2"}}
	})
	w.other = w.put(seaworthy.StatementDocument, "<html><script>alert(1)</script>", "text/html", func(doc seaworthy.Document) ([]seaworthy.Statement, []store.Name) {
		return []seaworthy.Statement{{Subject: doc.Subject(), Predicate: seaworthy.SaysDescribes, Object: image}}, nil
	})
	if err := w.store.AddJobs(t.Context(), store.Job{ID: "job-1", Kind: "ingest", Title: "an image", Created: now, Due: now, State: store.JobWaiting}); err != nil {
		t.Fatal(err)
	}
	if err := w.store.FailJob(t.Context(), "job-1", "the registry is down", time.Time{}); err != nil {
		t.Fatal(err)
	}
	parts := Parts{Store: w.store, Asker: askerFunc(w.answer), Ingest: w.ingest}
	o := Options{Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(&lockedWriter{w: &w.logs, mu: &w.mu}, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, c := range change {
		c(&parts, &o)
	}
	w.server = httptest.NewServer(New(parts, o))
	t.Cleanup(w.server.Close)
	w.url = w.server.URL
	return w
}

type lockedWriter struct {
	w  io.Writer
	mu *sync.Mutex
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func (w *world) put(kind seaworthy.DocumentKind, body, mediaType string, says func(seaworthy.Document) ([]seaworthy.Statement, []store.Name)) seaworthy.Digest {
	w.t.Helper()
	doc := seaworthy.Document{
		Digest: seaworthy.SHA256([]byte(body)), Kind: kind, Format: "test", MediaType: mediaType, Name: "a " + string(kind), Size: int64(len(body)),
		Ingested: now, Origin: "test", Verification: seaworthy.Verification{State: seaworthy.UnsignedState},
	}
	statements, names := says(doc)
	doc.Statements = len(statements)
	if _, err := w.store.Put(w.t.Context(), store.Entry{Document: doc, Body: []byte(body), Statements: statements, Names: names}); err != nil {
		w.t.Fatal(err)
	}
	return doc.Digest
}

// answer is the asker: it says back what it was asked, and knows some subjects that go wrong.
func (w *world) answer(ctx context.Context, q trace.Question) (*trace.Answer, error) {
	w.mu.Lock()
	w.asked = append(w.asked, q)
	w.mu.Unlock()
	switch q.Subject {
	case "nobody":
		return nil, seaworthy.Errorf(seaworthy.NotFound, "nothing is called %q", q.Subject).WithHint("look with find")
	case "broken":
		return nil, seaworthy.Errorf(seaworthy.Storage, "reading /secret/path: input/output error")
	case "mistake":
		return nil, context.Canceled
	case "wrong":
		return nil, io.ErrUnexpectedEOF
	case "slow":
		<-ctx.Done()
		return nil, seaworthy.Wrap(ctx.Err(), seaworthy.Storage, "reading")
	case "large":
		return &trace.Answer{Question: q, Title: strings.Repeat("large ", 10_000)}, nil
	}
	if q.Verb == "nonsense" {
		return nil, seaworthy.Errorf(seaworthy.Usage, "there is no question %q", q.Verb)
	}
	id := store.FormatID(seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: "pkg:npm/lib@1"}.ID())
	return &trace.Answer{
		Question: q, Subject: id, Title: "1 thing", Took: 0.5, Columns: []string{"what"}, Notes: []string{"a note"}, Truncated: true,
		Nodes:   []trace.Node{{ID: id, Kind: seaworthy.PackageSubject, Key: "pkg:npm/lib@1", Label: "lib 1", Role: "file", Facts: []seaworthy.Property{{Name: "a", Value: "b"}}, Group: 2}},
		Edges:   []trace.Edge{{From: id, To: id, Predicate: seaworthy.SaysDepends, Documents: []string{string(w.bill)}, Attrs: []seaworthy.Property{{Name: "scope", Value: "dev"}}}},
		Rows:    []trace.Row{{Node: id, Cells: []string{"lib"}, Level: 1, Via: []string{id}, Documents: []string{string(w.bill)}}},
		Tiles:   []trace.Tile{{Name: "bill", State: "good", Text: "A", Detail: "all", Documents: []string{}}},
		Missing: []trace.Gap{{Node: id, What: "provenance", Detail: "make it"}},
		Documents: []trace.Document{{
			Digest: w.bill, Node: store.FormatID(store.DocumentID(w.bill)), Kind: seaworthy.BillDocument, Format: "test", Ingested: now,
			Verification: seaworthy.Verification{State: seaworthy.VerifiedState, Signers: []string{"key:sha256:aa"}},
		}},
	}, nil
}

// ingest takes what is JSON, and lines of it.
func (w *world) ingest(ctx context.Context, origin string, body []byte) (Added, error) {
	if bytes.Count(body, []byte("\n")) > 0 {
		var all Added
		for line := range bytes.Lines(body) {
			one, err := w.ingest(ctx, origin, bytes.TrimSpace(line))
			if err != nil {
				all.Failed = append(all.Failed, seaworthy.NewProblem(origin, err))
				continue
			}
			all.Inside = append(all.Inside, one)
		}
		if len(all.Failed) > 0 {
			return all, seaworthy.Errorf(seaworthy.Incomplete, "some lines are no documents")
		}
		return all, nil
	}
	if !json.Valid(body) {
		return Added{}, seaworthy.Errorf(seaworthy.Unsupported, "this is no document that we know")
	}
	doc := seaworthy.Document{
		Digest: seaworthy.SHA256(body), Kind: seaworthy.StatementDocument, Format: "JSON", Size: int64(len(body)), Ingested: now, Origin: origin,
		Verification: seaworthy.Verification{State: seaworthy.UnsignedState},
	}
	added, err := w.store.Put(ctx, store.Entry{Document: doc, Body: body})
	return Added{Document: doc, Added: added}, err
}

// request is what a client sends.
type request struct {
	method, path string
	header       []string // "Name: value"; Host is the host
	body         string
}

type reply struct {
	*http.Response
	body string
}

func (w *world) do(r request) reply {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), r.method, w.url+r.path, strings.NewReader(r.body))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, line := range r.header {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			req.Host = value
		} else {
			req.Header.Set(name, value)
		}
	}
	res, err := (&http.Transport{DisableCompression: true}).RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{res, string(body)}
}
