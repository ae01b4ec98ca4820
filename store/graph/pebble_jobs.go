package graph

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seaworthy-dev/seaworthy"
)

// storedJob is a job with its payload, which the Job shown to people leaves out.
type storedJob struct {
	Job
	Payload []byte `json:"payload,omitempty"`
}

func packJob(j Job) ([]byte, error) {
	b, err := json.Marshal(storedJob{j, j.Payload})
	return b, seaworthy.Wrap(err, seaworthy.Invalid, "queueing the job %q", j.ID)
}

func unpackJob(b []byte) (Job, error) {
	var j storedJob
	if err := json.Unmarshal(b, &j); err != nil {
		return Job{}, errEncoding
	}
	j.Job.Payload = j.Payload
	j.Job.Created, j.Job.Due = instant(j.Job.Created), instant(j.Job.Due)
	return j.Job, nil
}

// job reads a job; ok is false when there is none.
func (w *writer) job(id string) (j Job, ok bool, err error) {
	value, ok, err := get(w.db, jobKey(id))
	if err == nil && ok {
		j, err = unpackJob(value)
	}
	return j, ok, err
}

// set writes a job and its place in the queue; old is what it was before, if it was there.
func (w *writer) set(j Job, old *Job) error {
	b, err := packJob(j)
	if err != nil {
		return err
	}
	if old != nil && old.State != JobParked {
		_ = w.Delete(queueKey(*old), nil)
	}
	if j.State != JobParked {
		_ = w.Batch.Set(queueKey(j), nil, nil)
	}
	return w.Batch.Set(jobKey(j.ID), b, nil)
}

// queue adds a job that is not there.
func (w *writer) queue(j Job) error {
	_, there, err := get(w.db, jobKey(j.ID))
	if err != nil || there && w.finished != j.ID || w.queued[j.ID] {
		return err
	}
	if w.queued == nil {
		w.queued = map[string]bool{}
	}
	w.queued[j.ID] = true
	w.totals.jobs++
	return w.set(j, nil)
}

// finish removes a job; found is false when there is none.
func (w *writer) finish(id string) (found bool, err error) {
	if id == "" {
		return false, nil
	}
	j, ok, err := w.job(id)
	if err != nil || !ok {
		return false, err
	}
	w.totals.jobs--
	w.finished = id
	if j.State != JobParked {
		_ = w.Delete(queueKey(j), nil)
	}
	return true, w.Delete(jobKey(id), nil)
}

// AddJobs implements JobQueue.
func (f *folder) AddJobs(ctx context.Context, jobs ...Job) error {
	ready := make([]Job, len(jobs))
	for i, j := range jobs {
		var err error
		if ready[i], err = prepareJob(j); err != nil {
			return err
		}
	}
	return f.change(ctx, "queueing jobs", nil, func(w *writer) (bool, error) {
		for _, j := range ready {
			if err := w.queue(j); err != nil {
				return false, err
			}
		}
		return len(w.queued) > 0, nil
	})
}

// TakeJob implements JobQueue.
func (f *folder) TakeJob(ctx context.Context, kinds []string, now time.Time, lease time.Duration) (Job, bool, error) {
	var best Job
	err := f.change(ctx, "taking a job", nil, func(w *writer) (bool, error) {
		it, err := w.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableQueue}, UpperBound: []byte{tableQueue + 1}})
		if err != nil {
			return false, err
		}
		defer it.Close()
		id := ""
		for _, place := range queueHeads(it, now) {
			if (kinds == nil || slices.Contains(kinds, place.Kind)) && (id == "" || moreUrgent(place, best) < 0) {
				best, id = place, place.ID
			}
		}
		if err := it.Error(); err != nil || id == "" {
			return false, err
		}
		old, ok, err := w.job(id)
		if err != nil || !ok {
			return false, f.damaged(errEncoding, "the queue of jobs")
		}
		best = old.taken(now, lease)
		return true, w.set(best, &old)
	})
	if err != nil { // then best may still be written to
		return Job{}, false, err
	}
	return best, best.ID != "", nil
}

// queueHeads gives, of each kind, the most urgent job that is due. Those that are not due yet are skipped, an urgency
// at a time.
func queueHeads(it *pebble.Iterator, now time.Time) []Job {
	var heads []Job
	for ok := it.First(); ok; {
		k := it.Key()
		j, whole := queuedJob(k)
		if !whole {
			break
		}
		kind := len(j.Kind) + 2
		if j.Due.After(now) {
			ok = it.SeekGE(after(k[:kind+4]))
			continue
		}
		heads = append(heads, j)
		ok = it.SeekGE(after(k[:kind]))
	}
	return heads
}

// queuedJob takes apart what queueKey made.
func queuedJob(k []byte) (Job, bool) {
	end := bytes.IndexByte(k, 0)
	if end < 1 || len(k) < end+1+12 {
		return Job{}, false
	}
	return Job{
		ID: string(k[end+13:]), Kind: string(k[1:end]),
		Urgency: int(int32(^binary.BigEndian.Uint32(k[end+1:]) ^ 1<<31)),
		Due:     fromNanos(int64(binary.BigEndian.Uint64(k[end+5:]) ^ 1<<63)),
	}, true
}

// FinishJob implements JobQueue.
func (f *folder) FinishJob(ctx context.Context, id string) error {
	return f.change(ctx, "finishing a job", nil, func(w *writer) (bool, error) {
		found, err := w.finish(id)
		if err == nil && !found {
			err = noJob(id)
		}
		return true, err
	})
}

// alter changes a job.
func (f *folder) alter(ctx context.Context, doing, id string, how func(Job) (Job, error)) error {
	return f.change(ctx, doing, nil, func(w *writer) (bool, error) {
		old, ok, err := w.job(id)
		if err != nil {
			return false, err
		}
		if !ok {
			return false, noJob(id)
		}
		j, err := how(old)
		if err != nil {
			return false, err
		}
		return true, w.set(j, &old)
	})
}

// FailJob implements JobQueue.
func (f *folder) FailJob(ctx context.Context, id, cause string, again time.Time) error {
	return f.alter(ctx, "noting that a job failed", id, func(j Job) (Job, error) { return j.failed(cause, again), nil })
}

// RetryJob implements JobQueue.
func (f *folder) RetryJob(ctx context.Context, id string, now time.Time) error {
	return f.alter(ctx, "trying a job again", id, func(j Job) (Job, error) { return j.retried(now) })
}

// Jobs implements JobQueue.
func (f *folder) Jobs(ctx context.Context, limit int) ([]Job, error) {
	db, done, err := f.use()
	if err != nil {
		return nil, err
	}
	defer done()
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableJob}, UpperBound: []byte{tableJob + 1}})
	if err != nil {
		return nil, f.failed(err, "listing jobs")
	}
	defer it.Close()
	jobs := []Job{}
	limit = jobLimit(limit)
	for ok := it.First(); ok; ok = it.Next() {
		j, err := unpackJob(it.Value())
		if err != nil {
			return nil, f.damaged(err, "a job")
		}
		jobs = append(jobs, j)
		if len(jobs) == 2*limit { // of more than fit, only the first are kept in memory
			slices.SortFunc(jobs, compareListedJobs)
			jobs = jobs[:limit]
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(jobs, compareListedJobs)
	return jobs[:min(len(jobs), limit)], f.failed(it.Error(), "listing jobs")
}
