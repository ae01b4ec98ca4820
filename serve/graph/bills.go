package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"sync"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/bill"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	store "github.com/seaworthy-dev/seaworthy/store/graph"
)

// Bills is a page of bills.
type Bills struct {
	Bills []Bill `json:"bills"`
	Next  string `json:"next"` // what "after" is for the next page; "" on the last one
}

// Bill is a bill, what it is about and how complete it is.
type Bill struct {
	Document seaworthy.Document `json:"document"`
	Subject  *Named             `json:"subject"` // null when it says none
	BillFacts
}

// Named is a subject as it is shown.
type Named struct {
	ID    string `json:"id"`
	Label string `json:"label"`
}

// BillFacts are what reading a bill tells. Those of a bill that cannot be read have no grade.
type BillFacts struct {
	Packages int    `json:"packages"`
	Grade    string `json:"grade"`    // A to F; "" when it cannot be read
	Score    int    `json:"score"`    // share of the NTIA minimum elements that are there, in percent
	Supplier string `json:"supplier"` // of what it is about; ""
}

// grades are the scores that a letter takes at least.
var grades = []struct {
	score  int
	letter string
}{{90, "A"}, {80, "B"}, {70, "C"}, {60, "D"}, {50, "E"}, {0, "F"}}

// DefaultBills is how many bills a page has when nothing is said: each may have to be read.
const DefaultBills = 25

// maxBills is how many it has at most.
const maxBills = 100

func (h *Handler) listBills(w http.ResponseWriter, req *http.Request, q url.Values) error {
	limit, err := number(q, "limit", maxBills, DefaultBills)
	if err != nil {
		return err
	}
	page, err := h.Store.List(req.Context(), store.ListQuery{
		Kinds: []seaworthy.DocumentKind{seaworthy.BillDocument}, After: store.Cursor(q.Get("after")), Limit: limit,
	})
	if err != nil {
		return err
	}
	said := Bills{Bills: []Bill{}, Next: string(page.Next)}
	for _, doc := range page.Documents {
		b := Bill{Document: doc}
		if b.Subject, err = h.about(req.Context(), doc); err != nil {
			return err
		}
		if b.BillFacts, err = h.factsOf(req.Context(), doc); err != nil {
			return err
		}
		said.Bills = append(said.Bills, b)
	}
	return write(w, http.StatusOK, said)
}

// about is what a document describes.
func (h *Handler) about(ctx context.Context, doc seaworthy.Document) (*Named, error) {
	page, err := h.Store.Edges(ctx, store.Query{
		From: []store.ID{store.DocumentID(doc.Digest)}, Predicates: []seaworthy.Predicate{seaworthy.SaysDescribes}, Limit: 1,
	})
	if err != nil || len(page.Edges) == 0 {
		return nil, err
	}
	subjects, err := h.Store.Subjects(ctx, []store.ID{page.Edges[0].To})
	if err != nil || len(subjects) == 0 || subjects[0].Kind == "" {
		return nil, err
	}
	named := &Named{ID: store.FormatID(page.Edges[0].To), Label: subjects[0].Key}
	if name := seaworthy.AttrOf(page.Edges[0].Attrs, "name"); name != "" {
		named.Label = name
	} else if doc.Name != "" {
		named.Label = doc.Name
	}
	return named, nil
}

// factsOf reads a bill, once: its bytes never change.
func (h *Handler) factsOf(ctx context.Context, doc seaworthy.Document) (BillFacts, error) {
	if f, ok := h.bills.get(doc.Digest); ok {
		return f, nil
	}
	body, err := h.Store.Body(ctx, doc.Digest)
	if err != nil {
		return BillFacts{}, err
	}
	b, err := readBill(&doc, body)
	if err != nil {
		h.bills.put(doc.Digest, BillFacts{}) // it stays unreadable
		return BillFacts{}, nil              //nolint:nilerr // the list is worth having without it
	}
	g, err := bill.Check(b, bill.NTIA)
	if err != nil {
		return BillFacts{}, err
	}
	f := BillFacts{Packages: g.Components, Score: g.Score, Supplier: supplierOf(b)}
	for _, grade := range grades {
		if g.Score >= grade.score {
			f.Grade = grade.letter
			break
		}
	}
	h.bills.put(doc.Digest, f)
	return f, nil
}

// supplierOf is who supplies what a bill is about.
func supplierOf(b *seaworthy.Bill) string {
	for _, root := range b.Roots {
		for i := range b.Packages {
			if p := &b.Packages[i]; p.Ref == root {
				if p.Supplier.Name != "" {
					return p.Supplier.Name
				}
				if p.Originator.Name != "" {
					return p.Originator.Name
				}
			}
		}
	}
	for _, a := range b.Authors {
		if a.Kind == seaworthy.Organization {
			return a.Name
		}
	}
	return ""
}

func (h *Handler) convert(w http.ResponseWriter, req *http.Request, q url.Values) error {
	name := q.Get("format")
	if name == "" {
		name = "cyclonedx-json"
	}
	f, err := bill.FormatNamed(name)
	if err != nil {
		return err
	}
	doc, err := h.find(req)
	if err != nil {
		return err
	}
	if doc.Kind != seaworthy.BillDocument {
		return seaworthy.Errorf(seaworthy.Unsupported, "converting %s: it is a %s and no bill", doc.Digest, doc.Kind)
	}
	if unchanged(w, req, string(doc.Digest)+"+"+name) {
		return nil
	}
	body, err := h.Store.Body(req.Context(), doc.Digest)
	if err != nil {
		return err
	}
	b, err := readBill(doc, body)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := f.Write(&out, b); err != nil {
		return err
	}
	kind := billTypes[name]
	hand(w, kind.media, doc.Digest.Hex()[:12]+kind.extension, out.Bytes())
	return nil
}

// billTypes are media type and file name of each format that engine/bill writes.
var billTypes = map[string]struct{ media, extension string }{
	"spdx-json":      {"application/spdx+json", ".spdx.json"},
	"spdx-tag-value": {"text/spdx", ".spdx"},
	"spdx3-json":     {"application/ld+json", ".spdx3.json"},
	"cyclonedx-json": {"application/vnd.cyclonedx+json", ".cdx.json"},
	"cyclonedx-xml":  {"application/vnd.cyclonedx+xml", ".cdx.xml"},
	"json":           {"application/json", ".json"},
	"purls":          {"text/plain; charset=utf-8", ".purls.txt"},
}

// readBill reads a bill, which may be what an attestation says.
func readBill(doc *seaworthy.Document, body []byte) (*seaworthy.Bill, error) {
	b, err := bill.Read(bytes.NewReader(body), string(doc.Digest))
	if err == nil {
		return b, nil
	}
	predicate, ok := predicateOf(body)
	if !ok {
		return nil, err
	}
	return bill.Read(bytes.NewReader(predicate), string(doc.Digest))
}

// predicateOf takes the predicate out of an in-toto statement, alone, in a DSSE envelope or in a bundle. Who signed it
// is another question, which Document.Verification has the answer to.
func predicateOf(body []byte) ([]byte, bool) {
	var wrapped struct {
		Payload  []byte `json:"payload"`
		Envelope struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(body, &wrapped); err != nil {
		return nil, false
	}
	switch {
	case len(wrapped.Envelope.Payload) > 0:
		body = wrapped.Envelope.Payload
	case len(wrapped.Payload) > 0:
		body = wrapped.Payload
	}
	s, err := intoto.Parse(body)
	if err != nil || len(s.Predicate) == 0 {
		return nil, false
	}
	predicate := []byte(s.Predicate)
	var text string // of tag-value and XML
	if json.Unmarshal(predicate, &text) == nil {
		predicate = []byte(text)
	}
	return predicate, true
}

// maxKept is how many bills' facts are kept.
const maxKept = 10_000

// billCache keeps what reading a bill told. It is emptied when it is full: it is small, and soon made again.
type billCache struct {
	mu    sync.Mutex
	facts map[seaworthy.Digest]BillFacts // guarded by mu
}

func newBillCache() *billCache { return &billCache{facts: map[seaworthy.Digest]BillFacts{}} }

func (c *billCache) get(d seaworthy.Digest) (BillFacts, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.facts[d]
	return f, ok
}

func (c *billCache) put(d seaworthy.Digest, f BillFacts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.facts) >= maxKept {
		clear(c.facts)
	}
	c.facts[d] = f
}
