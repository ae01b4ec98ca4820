package graph

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

func (m *Memory) queue(j Job) {
	if _, queued := m.jobs[j.ID]; !queued {
		m.jobs[j.ID] = j
	}
}

// AddJobs implements JobQueue.
func (m *Memory) AddJobs(_ context.Context, jobs ...Job) error {
	ready := make([]Job, len(jobs))
	for i, j := range jobs {
		var err error
		if ready[i], err = prepareJob(j); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, j := range ready {
		m.queue(j)
	}
	return nil
}

// TakeJob implements JobQueue.
func (m *Memory) TakeJob(_ context.Context, kinds []string, now time.Time, lease time.Duration) (Job, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var best Job
	for _, j := range m.jobs {
		due := j.State != JobParked && !j.Due.After(now)
		if due && (kinds == nil || slices.Contains(kinds, j.Kind)) && (best.ID == "" || moreUrgent(j, best) < 0) {
			best = j
		}
	}
	if best.ID == "" {
		return Job{}, false, nil
	}
	best = best.taken(now, lease)
	m.jobs[best.ID] = best
	return best.copy(), true, nil
}

// change alters the job with an id.
func (m *Memory) change(id string, alter func(Job) (Job, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	j, ok := m.jobs[id]
	if !ok {
		return noJob(id)
	}
	j, err := alter(j)
	if err == nil {
		m.jobs[id] = j
	}
	return err
}

// FinishJob implements JobQueue.
func (m *Memory) FinishJob(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.jobs[id]; !ok {
		return noJob(id)
	}
	delete(m.jobs, id)
	return nil
}

// FailJob implements JobQueue.
func (m *Memory) FailJob(_ context.Context, id, cause string, again time.Time) error {
	return m.change(id, func(j Job) (Job, error) { return j.failed(cause, again), nil })
}

// RetryJob implements JobQueue.
func (m *Memory) RetryJob(_ context.Context, id string, now time.Time) error {
	return m.change(id, func(j Job) (Job, error) { return j.retried(now) })
}

// Jobs implements JobQueue.
func (m *Memory) Jobs(_ context.Context, limit int) ([]Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	jobs := make([]Job, 0, len(m.jobs))
	for _, j := range m.jobs {
		jobs = append(jobs, j.copy())
	}
	slices.SortFunc(jobs, compareListedJobs)
	return jobs[:min(len(jobs), jobLimit(limit))], nil
}

// compareListedJobs puts parked jobs first, then orders as they are taken.
func compareListedJobs(a, b Job) int {
	return cmp.Or(compareBools(a.State == JobParked, b.State == JobParked), moreUrgent(a, b), strings.Compare(a.ID, b.ID))
}
