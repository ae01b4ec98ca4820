package graph

import (
	"bytes"
	"slices"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// What all engines answer alike.

func noDocument(doing string, id ID) error {
	return seaworthy.Errorf(seaworthy.NotFound, "%s the document %s: there is none", doing, FormatID(id))
}

func noBody(d seaworthy.Digest) error {
	return seaworthy.Errorf(seaworthy.NotFound, "reading the document %q: there is none", d)
}

func noJob(id string) error {
	return seaworthy.Errorf(seaworthy.NotFound, "there is no job %.100q", id)
}

// prepareReplacement makes ready what a document says from now on. body is its bytes.
func prepareReplacement(e Entry, body []byte) (*ready, error) {
	e.Body = body // whoever only looks at statements again need not have read it
	r, err := prepare(e)
	if err != nil {
		return nil, err
	}
	for i := range r.rows {
		r.rows[i].attrs = slices.Clone(r.rows[i].attrs)
	}
	return r, nil
}

// replaces keeps what a replacement does not change.
func (r *ready) replaces(old seaworthy.Document) {
	r.doc.Ingested, r.doc.Origin = old.Ingested, old.Origin
}

// checkTop checks what Top is asked. Errors: Invalid.
func checkTop(predicate seaworthy.Predicate, kinds []seaworthy.SubjectKind, limit int) (byte, []byte, error) {
	p := numberOfPredicate(predicate)
	switch {
	case p == 0:
		return 0, nil, seaworthy.Errorf(seaworthy.Invalid, "counting: there is no predicate %q", predicate)
	case !counted(p):
		return 0, nil, seaworthy.Errorf(seaworthy.Invalid, "counting: statements with %q are not counted", predicate)
	case limit < 1 || limit > MaxEdges:
		return 0, nil, seaworthy.Errorf(seaworthy.Invalid, "counting: %d objects, from 1 to %d are given", limit, MaxEdges)
	}
	ks, err := kindNumbers(kinds)
	return p, ks, err
}

// maxJobs is how many jobs are listed at most.
const maxJobs = 10_000

func jobLimit(limit int) int {
	if limit <= 0 || limit > maxJobs {
		return maxJobs
	}
	return limit
}

// MaxCause is how much of the cause of a failure is kept with a job, in bytes.
const MaxCause = 4 << 10

// taken is a job that somebody works on until the lease has passed.
func (j Job) taken(now time.Time, lease time.Duration) Job {
	j.State, j.Due, j.Tries = JobRunning, instant(now.Add(lease)), j.Tries+1
	return j
}

// failed is a job that could not be done.
func (j Job) failed(cause string, again time.Time) Job {
	j.LastFail = clean(cause[:min(len(cause), MaxCause)])
	if again.IsZero() {
		j.State, j.Due = JobParked, time.Time{}
	} else {
		j.State, j.Due = JobWaiting, instant(again)
	}
	return j
}

// retried is a job that is due now. Errors: Conflict when somebody works on it.
func (j Job) retried(now time.Time) (Job, error) {
	if j.State == JobRunning && j.Due.After(now) {
		return j, seaworthy.Errorf(seaworthy.Conflict, "trying the job %q again: it is being worked on until %s", j.ID, j.Due.Format(time.RFC3339))
	}
	j.State, j.Due = JobWaiting, instant(now)
	return j, nil
}

func (j Job) copy() Job {
	j.Payload = bytes.Clone(j.Payload)
	return j
}
