package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/grade"
	"github.com/seaworthy-dev/seaworthy/engine/match"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

const (
	// MatchJob is the kind of job that joins the packages of a bill with the advisories.
	MatchJob = "match"
	// scannerName is who joins them, as statements and reports name it.
	scannerName = "seaworthy advisories"
	// billTarget begins the target of a report about a bill that is in the graph.
	billTarget = "document "
	// matchGrace is how long the work that follows from a bill is left to whoever ingests it, before a worker that
	// finds it still queued does it.
	matchGrace = time.Minute
)

// matchPayload is the payload of a MatchJob.
type matchPayload struct {
	Bill seaworthy.Digest `json:"bill"`
}

// scanner names a database of advisories by its content.
func scanner(db *advisory.DB) seaworthy.Tool {
	if db == nil {
		return seaworthy.Tool{}
	}
	h := sha256.New()
	for _, s := range db.Sources() {
		h.Write([]byte(s.Name + "\x00" + string(s.Digest) + "\n"))
	}
	return seaworthy.Tool{Name: scannerName, Version: "sha256:" + hex.EncodeToString(h.Sum(nil))}
}

// matchJob is the work that follows from a bill. It is queued together with the bill, and done at once by whoever
// ingests it; only when that is broken off does a worker find it.
func (in *Ingester) matchJob(p *page) (graph.Job, bool) {
	if in.o.Advisories == nil || p.bill == nil {
		return graph.Job{}, false
	}
	return in.matchJobOf(p.doc.Digest, p.doc.Name, graph.EventWork, matchGrace), true
}

func (in *Ingester) matchJobOf(d seaworthy.Digest, name string, urgency int, after time.Duration) graph.Job {
	payload, _ := json.Marshal(matchPayload{d}) // of a string: it cannot fail
	now := in.o.Now().UTC()
	return graph.Job{
		ID: "match:" + d.Hex() + ":" + in.by.Version[len("sha256:"):][:16], Kind: MatchJob, Urgency: urgency, Payload: payload,
		Title: "advisories for " + name, Created: now, Due: now.Add(after),
	}
}

// matchBill joins the packages of a bill that is in the graph with the advisories, and writes the result down as a
// scan report: every finding has a document. The same bill and the same database give the same bytes, so doing it
// twice is doing it once. Reports by other databases are taken away: they are about what was known once.
func (in *Ingester) matchBill(ctx context.Context, d seaworthy.Digest, b *seaworthy.Bill, job string) error {
	body, err := in.report(ctx, d, b)
	if err != nil {
		return err
	}
	result, err := in.document(ctx, in.by.Name, formScan, body)
	if err != nil {
		return err
	}
	if err := in.forgetOlder(ctx, d, result.Document.Digest); err != nil {
		return err
	}
	err = in.store.FinishJob(ctx, job)
	if seaworthy.CodeOf(err) == seaworthy.NotFound { // somebody else has done it meanwhile
		return nil
	}
	return err
}

func (in *Ingester) report(ctx context.Context, d seaworthy.Digest, b *seaworthy.Bill) ([]byte, error) {
	found, err := match.Packages(ctx, in.o.Advisories, b, match.Options{})
	if err != nil {
		return nil, err
	}
	var newest time.Time
	for _, s := range in.o.Advisories.Sources() {
		if s.Date.After(newest) {
			newest = s.Date
		}
	}
	r := grade.New(b, found, grade.Options{Target: billTarget + string(d), At: newest, Tool: in.by, Advisories: in.o.Advisories.Sources()})
	r.Licences, r.Layers, r.Problems = []grade.Licence{}, []grade.Layer{}, []seaworthy.Problem{} // the bill says them
	body, err := json.Marshal(r)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Internal, "writing the report on %s: %w", d, err)
	}
	return body, nil
}

// forgetOlder takes away our reports on a bill but the one to keep.
func (in *Ingester) forgetOlder(ctx context.Context, bill, keep seaworthy.Digest) error {
	page, err := in.store.Edges(ctx, graph.Query{From: []graph.ID{graph.DocumentID(bill)}, Back: true, Predicates: []seaworthy.Predicate{seaworthy.SaysDescribes}})
	if err != nil {
		return err
	}
	for _, e := range page.Edges {
		if e.Document != e.To || e.Document == graph.DocumentID(keep) {
			continue
		}
		doc, err := in.stored(ctx, e.Document)
		if err != nil {
			return err
		}
		if doc.Kind != seaworthy.ScanDocument || doc.Origin != scannerName {
			continue
		}
		if err := in.store.Delete(ctx, e.Document); err != nil && seaworthy.CodeOf(err) != seaworthy.NotFound {
			return err
		}
	}
	return nil
}

// Rematch queues every bill to be matched again, after the advisories have changed; Work does it, when nothing more
// urgent is to be done. It returns how many bills there are. Errors: Usage without advisories; those of the store.
func (in *Ingester) Rematch(ctx context.Context) (int, error) {
	if in.o.Advisories == nil {
		return 0, seaworthy.Errorf(seaworthy.Usage, "matching bills without advisories")
	}
	n := 0
	q := graph.ListQuery{Kinds: []seaworthy.DocumentKind{seaworthy.BillDocument}}
	for {
		list, err := in.store.List(ctx, q)
		if err != nil {
			return n, err
		}
		jobs := make([]graph.Job, 0, len(list.Documents))
		for _, d := range list.Documents {
			jobs = append(jobs, in.matchJobOf(d.Digest, d.Name, graph.ScheduledWork, 0))
		}
		if len(jobs) > 0 {
			if err := in.AddJobs(ctx, jobs...); err != nil {
				return n, err
			}
		}
		n += len(jobs)
		if list.Next == "" {
			return n, nil
		}
		q.After = list.Next
	}
}

// rematch does a MatchJob.
func (in *Ingester) rematch(ctx context.Context, job graph.Job) error {
	var p matchPayload
	if err := json.Unmarshal(job.Payload, &p); err != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "reading the job %q: %w", job.ID, err)
	}
	if in.o.Advisories == nil {
		return seaworthy.Errorf(seaworthy.Unavailable, "matching %s: there are no advisories", p.Bill)
	}
	body, err := in.store.Body(ctx, p.Bill)
	if seaworthy.CodeOf(err) == seaworthy.NotFound { // deleted meanwhile
		return in.store.FinishJob(ctx, job.ID)
	}
	if err != nil {
		return err
	}
	f, _ := recognise(body)
	page, err := in.read(f, body, p.Bill)
	if err != nil {
		return err
	}
	if page.bill == nil {
		return in.store.FinishJob(ctx, job.ID)
	}
	return in.matchBill(ctx, p.Bill, page.bill, job.ID)
}
