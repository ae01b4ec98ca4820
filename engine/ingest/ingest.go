// Package ingest turns documents into statements: it recognises what bytes are by their content, finds out who signed
// them, and puts what they say into the graph, one document a transaction.
//
//	in := ingest.New(store, ingest.Options{Root: root, Keys: keys})
//	result, err := in.Bytes(ctx, "POST", body)
//	summary, err := in.Paths(ctx, []string{"evidence/"}, nil)
//	summary, err = in.Image(ctx, place, "registry.example/app:1.2", digest)
//
// It reads bills of every format that package bill knows, in-toto statements (bare, in DSSE envelopes and in Sigstore
// bundles) with SLSA provenance, bills, OpenVEX and scorecards in them, cosign's signatures, OpenVEX and CycloneDX VEX,
// OpenSSF scorecards, scan reports, OCI manifests, indexes and configurations, and verdicts; and JSON Lines, directories
// and archives of these. How each becomes statements is told where the code is: bill.go, attest.go, signed.go, vex.go,
// scan.go, scorecard.go, manifest.go, seen.go and verdict.go.
//
// # Who signed
//
// Signatures are verified on the way in, against the configured root and keys. Whoever is proven to have signed is
// recorded; whether to believe them is for whoever asks. What cannot be verified is kept and marked, with the reason.
//
// # The same bytes say the same
//
// Reparse makes of the bytes alone the entry that they made when they came, so the graph can be made again from its
// documents. What only a registry knows (a tag, which layer a signature was found in) is therefore written down as a
// document too: see Seen.
package ingest

import (
	"context"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/store/graph"
	"github.com/seaworthy-dev/seaworthy/trust/key"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// Options say what is needed beside a store. The zero value ingests, and can verify nothing.
type Options struct {
	// Root is what certificates, logs and timestamps are verified with; nil: signatures by certificates are
	// unverifiable.
	Root *root.Root
	// Keys are those that bare signatures are verified with.
	Keys []key.Public
	// Advisories are joined with the packages of every bill; nil: with none.
	Advisories *advisory.DB
	// Place opens a repository for jobs of kind "image"; nil: these fail.
	Place PlaceFunc
	// Parallel is how many documents are worked on at once; 0: as many as there are processors.
	Parallel int
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// PlaceFunc opens a repository ("registry.example/app"). close may be nil.
type PlaceFunc func(ctx context.Context, repository string) (place oci.Place, close func(), err error)

// Ingester turns documents into statements. It is safe for many users at once.
type Ingester struct {
	store graph.Store
	o     Options
	by    seaworthy.Tool // who joins packages with advisories
	wake  chan struct{}  // has room for one: there may be a job
	// inFlight bounds the bytes of documents that are being read at once: each needs several times its size.
	inFlight *semaphore.Weighted
	// opened bounds the bytes of files that Paths holds. It is asked for before inFlight, never after.
	opened *semaphore.Weighted
}

// maxInFlight is how many bytes of documents are read at once; a larger document is read alone. 64 MiB.
const maxInFlight = 64 << 20

// New returns an Ingester over a store, which stays the caller's.
func New(store graph.Store, o Options) *Ingester {
	if o.Now == nil {
		o.Now = time.Now
	}
	in := &Ingester{store: store, o: o, wake: make(chan struct{}, 1), inFlight: semaphore.NewWeighted(maxInFlight), opened: semaphore.NewWeighted(maxInFlight)}
	in.by = scanner(o.Advisories)
	return in
}

// Result is what became of bytes.
type Result struct {
	// Document is as the store has it. Its Digest is "" when the bytes are only a wrapping of others: JSON Lines or an
	// archive.
	Document seaworthy.Document `json:"document,omitzero"`
	Added    bool               `json:"added"` // false: it was there already
	// Inside are the documents of a wrapping.
	Inside []Result `json:"inside,omitempty"`
	// Failed are the parts of a wrapping that are no documents.
	Failed []seaworthy.Problem `json:"failed,omitempty"`
}

// Each calls f with every document of the result, its own first.
func (r *Result) Each(f func(d *seaworthy.Document, added bool)) {
	if r.Document.Digest != "" {
		f(&r.Document, r.Added)
	}
	for i := range r.Inside {
		r.Inside[i].Each(f)
	}
}

// Bytes ingests a document, or a wrapping of documents. origin says where it came from: a path, an image, "POST".
// A document that is there already is left as it is.
//
// Errors: Unsupported when it is nothing we know, saying what it looks like; Invalid, TooLarge and Mismatch when it is
// and cannot be read; those of the store. Of a wrapping, what can be read is ingested, and the error is Incomplete.
func (in *Ingester) Bytes(ctx context.Context, origin string, body []byte) (Result, error) {
	result, err := in.bytes(ctx, origin, body, 0, newBudget())
	return result, seaworthy.Wrap(err, seaworthy.Invalid, "ingesting %q", origin)
}

// bytes is Bytes without the origin in its errors.
func (in *Ingester) bytes(ctx context.Context, origin string, body []byte, depth int, b *budget) (Result, error) {
	f, looks := recognise(body)
	switch f {
	case formUnknown:
		return Result{}, unknown(looks)
	case formLines, formGzip, formZip, formTar:
		return in.unwrap(ctx, origin, f, body, depth, b)
	}
	return in.document(ctx, origin, f, body)
}

// document ingests one document.
func (in *Ingester) document(ctx context.Context, origin string, f form, body []byte) (Result, error) {
	digest := seaworthy.SHA256(body)
	id := graph.DocumentID(digest)
	if len(body) > graph.MaxBody {
		return Result{}, seaworthy.Errorf(seaworthy.TooLarge, "it has %d bytes, at most %d are kept", len(body), graph.MaxBody)
	}
	have, err := in.stored(ctx, id)
	if err != nil || have.Digest != "" {
		return Result{Document: have}, err
	}
	added, match, b, err := in.put(ctx, seaworthy.Document{Digest: digest, Origin: origin, Ingested: in.o.Now().UTC()}, f, body)
	if err == nil && added && b != nil {
		err = in.matchBill(ctx, digest, b, match)
	}
	if err != nil {
		return Result{}, err
	}
	have, err = in.stored(ctx, id)
	return Result{Document: have, Added: added}, err
}

// put reads a document and puts it into the store. When advisories are to be joined with it, the job that says so and
// the bill are returned.
func (in *Ingester) put(ctx context.Context, doc seaworthy.Document, f form, body []byte) (added bool, job string, b *seaworthy.Bill, err error) {
	weight := min(int64(len(body)), maxInFlight)
	if err := in.inFlight.Acquire(ctx, weight); err != nil {
		return false, "", nil, err
	}
	defer in.inFlight.Release(weight)
	p, err := in.read(f, body, doc.Digest)
	if err != nil {
		return false, "", nil, err
	}
	p.doc.Origin, p.doc.Ingested = doc.Origin, doc.Ingested
	entry := p.entry(body)
	if match, ok := in.matchJob(p); ok {
		entry.Jobs = append(entry.Jobs, match)
		job, b = match.ID, p.bill
	}
	p = nil // its bill is as large as the document, and the store needs room too
	added, err = in.store.Put(ctx, entry)
	return added, job, b, err
}

// stored is a document as the store has it; its Digest is "" when it is not there.
func (in *Ingester) stored(ctx context.Context, id graph.ID) (seaworthy.Document, error) {
	docs, err := in.store.Documents(ctx, []graph.ID{id})
	if err != nil {
		return seaworthy.Document{}, err
	}
	return docs[0], nil
}

// Reparse makes the entry of a document again from its bytes, to put or to replace: Digest, Ingested and Origin stay
// those of doc, all else is what the bytes say now, verified with the roots and keys there are now. It queues no work.
// Errors: as Bytes; Mismatch when the bytes are not those of doc.
func (in *Ingester) Reparse(doc seaworthy.Document, body []byte) (graph.Entry, error) {
	digest := seaworthy.SHA256(body)
	if doc.Digest != "" && doc.Digest != digest {
		return graph.Entry{}, seaworthy.Errorf(seaworthy.Mismatch, "reading %s again: the bytes are those of %s", doc.Digest, digest)
	}
	f, looks := recognise(body)
	switch f {
	case formUnknown, formLines, formGzip, formZip, formTar:
		return graph.Entry{}, seaworthy.Wrap(unknown(looks), seaworthy.Unsupported, "reading %s again", digest)
	}
	p, err := in.read(f, body, digest)
	if err != nil {
		return graph.Entry{}, seaworthy.Wrap(err, seaworthy.Invalid, "reading %s again", digest)
	}
	p.doc.Origin, p.doc.Ingested = doc.Origin, doc.Ingested
	return p.entry(body), nil
}

// entry is the page as stores take it.
func (p *page) entry(body []byte) graph.Entry {
	p.doc.Problems = p.problems.All()
	for _, text := range []*string{&p.doc.Name, &p.doc.Format, &p.doc.PredicateType, &p.doc.Verification.Detail} {
		*text = short(*text)
	}
	p.doc.Statements = len(p.statements)
	return graph.Entry{Document: p.doc, Body: body, Statements: p.statements, Names: p.names}
}

// maxText is how much of a text about a document is kept beside it, in bytes.
const maxText = 2 << 10

// short cuts a text that is too long to be kept.
func short(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}

// read reads one document into what it says. It depends on the bytes, the root and the keys alone.
func (in *Ingester) read(f form, body []byte, digest seaworthy.Digest) (*page, error) {
	p := &page{doc: seaworthy.Document{Digest: digest, Size: int64(len(body)), Verification: seaworthy.Verification{State: seaworthy.UnsignedState}}}
	p.problems.Max = maxProblems
	r := &reader{page: p, root: in.o.Root, keys: in.o.Keys}
	err := r.as(f, body)
	return p, err
}

// maxProblems is how many problems of one document are listed; the rest is counted.
const maxProblems = 100

// reader reads one document, whatever it is.
type reader struct {
	*page
	root *root.Root
	keys []key.Public
}

// as reads a document of a form that was recognised.
func (r *reader) as(f form, body []byte) error {
	switch f {
	case formBill:
		return r.readBill(body, nil)
	case formStatement:
		return r.readStatement(body)
	case formEnvelope:
		return r.readEnvelope(body, nil)
	case formBundle:
		return r.readBundle(body)
	case formSimpleSigning:
		return r.readSimpleSigning(body)
	case formOpenVEX:
		return r.readOpenVEX(body, nil)
	case formScorecard:
		return r.readScorecard(body)
	case formScan:
		return r.readScan(body)
	case formManifest:
		return r.readManifest(body)
	case formIndex:
		return r.readIndex(body)
	case formConfig:
		return r.readConfig(body)
	case formSeen:
		return r.readSeen(body)
	case formVerdict:
		return r.readVerdict(body)
	}
	return seaworthy.Errorf(seaworthy.Internal, "reading a document of form %d", f)
}
