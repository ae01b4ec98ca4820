package ingest

import (
	"context"
	"encoding/json"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// The kinds of job, beside MatchJob.
const (
	ImageJob  = "image"
	IngestJob = "ingest"
)

// Limits of work.
const (
	// maxTries is how often a job is tried before it is parked for a person.
	maxTries = 8
	// firstWait is how long it waits after the first failure; twice as long after each further one.
	firstWait = 5 * time.Second
	maxWait   = time.Hour
	// lease is how long a job is kept from other workers.
	lease = 15 * time.Minute
	// lookEvery is how often a worker looks for jobs that others have queued.
	lookEvery = 5 * time.Second
	// maxCause is how much of a failure is kept, in bytes.
	maxCause = 4 << 10
)

// ImageWork is the payload of an ImageJob: an image whose documents are to be fetched.
type ImageWork struct {
	Repository string           `json:"repository"` // "registry.example/app"
	Tag        string           `json:"tag,omitempty"`
	Digest     seaworthy.Digest `json:"digest"`
}

// Job is the work as it is queued. The same image has the same id.
func (w ImageWork) Job(urgency int, now time.Time) graph.Job {
	payload, _ := json.Marshal(w) // of strings: it cannot fail
	return graph.Job{
		ID: "image:" + seaworthy.SHA256(payload).Hex()[:32], Kind: ImageJob, Urgency: urgency, Payload: payload,
		Title: "documents of " + w.name(), Created: now.UTC(), Due: now.UTC(),
	}
}

func (w ImageWork) name() string {
	if w.Tag != "" {
		return w.Repository + ":" + w.Tag
	}
	return w.Repository + "@" + string(w.Digest)
}

// BytesWork is the payload of an IngestJob: bytes to be ingested later.
type BytesWork struct {
	Origin string `json:"origin"`
	Body   []byte `json:"body"`
}

// Job is the work as it is queued. The same bytes have the same id.
func (w BytesWork) Job(urgency int, now time.Time) graph.Job {
	payload, _ := json.Marshal(w) // of strings: it cannot fail
	return graph.Job{
		ID: "ingest:" + seaworthy.SHA256(w.Body).Hex(), Kind: IngestJob, Urgency: urgency, Payload: payload,
		Title: "ingest " + w.Origin, Created: now.UTC(), Due: now.UTC(),
	}
}

// AddJobs queues work and wakes Work. Errors: those of the store.
func (in *Ingester) AddJobs(ctx context.Context, jobs ...graph.Job) error {
	if err := in.store.AddJobs(ctx, jobs...); err != nil {
		return err
	}
	in.Wake()
	return nil
}

// Wake tells Work that there may be a job.
func (in *Ingester) Wake() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// Work does queued jobs of the kinds image, match and ingest until ctx ends, the most urgent first, and returns nil
// then. A job that fails is tried again later, and parked for a person when it has failed too often or cannot succeed.
// Errors: those of the store, once it does not answer any more.
func (in *Ingester) Work(ctx context.Context) error {
	group, gctx := errgroup.WithContext(ctx)
	for range in.parallel() {
		group.Go(func() error { return in.worker(gctx) })
	}
	err := group.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (in *Ingester) worker(ctx context.Context) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		did, err := in.workOnce(ctx)
		if err != nil {
			return err
		}
		if did {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-in.wake:
			in.Wake() // for the next worker; each looks once and the last finds nothing
			did, err := in.workOnce(ctx)
			if err != nil {
				return err
			}
			if !did {
				in.sleep()
			}
		case <-look.C:
		}
	}
}

// sleep takes back a wake that no worker needs.
func (in *Ingester) sleep() {
	select {
	case <-in.wake:
	default:
	}
}

// Drain does the jobs that are due, and returns how many when there are none left. Errors: those of the store.
func (in *Ingester) Drain(ctx context.Context) (int, error) {
	for n := 0; ; n++ {
		did, err := in.workOnce(ctx)
		if err != nil || !did {
			return n, err
		}
	}
}

// workOnce does one job, and reports whether there was one.
func (in *Ingester) workOnce(ctx context.Context) (bool, error) {
	now := in.o.Now().UTC()
	job, ok, err := in.store.TakeJob(ctx, []string{ImageJob, MatchJob, IngestJob}, now, lease)
	if err != nil || !ok {
		return false, err
	}
	err = in.do(ctx, job)
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return true, ctx.Err() // its lease ends, and somebody takes it up again
	}
	cause := err.Error()
	return true, in.store.FailJob(ctx, job.ID, cause[:min(len(cause), maxCause)], again(job, err, in.o.Now().UTC()))
}

// again is when a job that failed is tried again; zero for never.
func again(job graph.Job, err error, now time.Time) time.Time {
	switch seaworthy.CodeOf(err) {
	case seaworthy.Invalid, seaworthy.Unsupported, seaworthy.TooLarge, seaworthy.Usage, seaworthy.Mismatch, seaworthy.Forbidden:
		return time.Time{} // it will not get better by itself
	}
	if job.Tries >= maxTries {
		return time.Time{}
	}
	wait := firstWait
	for range max(0, job.Tries-1) {
		wait = min(2*wait, maxWait)
	}
	return now.Add(wait)
}

// do does a job and finishes it.
func (in *Ingester) do(ctx context.Context, job graph.Job) error {
	switch job.Kind {
	case MatchJob:
		return in.rematch(ctx, job)
	case ImageJob:
		return in.imageJob(ctx, job)
	}
	var w BytesWork
	if err := json.Unmarshal(job.Payload, &w); err != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "reading the job %q: %w", job.ID, err)
	}
	if _, err := in.Bytes(ctx, w.Origin, w.Body); err != nil {
		return err
	}
	return in.store.FinishJob(ctx, job.ID)
}

func (in *Ingester) imageJob(ctx context.Context, job graph.Job) error {
	var w ImageWork
	if err := json.Unmarshal(job.Payload, &w); err != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "reading the job %q: %w", job.ID, err)
	}
	if in.o.Place == nil {
		return seaworthy.Errorf(seaworthy.Unavailable, "fetching the documents of %q: no registries are configured", w.name())
	}
	place, closePlace, err := in.o.Place(ctx, w.Repository)
	if err != nil {
		return err
	}
	if closePlace != nil {
		defer closePlace()
	}
	if _, err := in.Image(ctx, place, w.name(), w.Digest); err != nil && seaworthy.CodeOf(err) != seaworthy.Incomplete {
		return err
	}
	return in.store.FinishJob(ctx, job.ID)
}
