package graph

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// insertJobs adds jobs that are not queued.
func insertJobs(ctx context.Context, tx pgx.Tx, jobs []Job) error {
	jobs = slices.Clone(jobs)
	slices.SortStableFunc(jobs, func(a, b Job) int { return strings.Compare(a.ID, b.ID) })
	for _, j := range jobs {
		b, err := packJob(j)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO graph_job (id, kind, urgency, due, parked, job) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
			j.ID, j.Kind, j.Urgency, nanos(j.Due), j.State == JobParked, string(b))
		if err != nil {
			return err
		}
	}
	return nil
}

func updateJob(ctx context.Context, tx pgx.Tx, j Job) error {
	b, err := packJob(j)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE graph_job SET due = $2, parked = $3, job = $4 WHERE id = $1`, j.ID, nanos(j.Due), j.State == JobParked, string(b))
	return err
}

// AddJobs implements JobQueue.
func (d *database) AddJobs(ctx context.Context, jobs ...Job) error {
	ready := make([]Job, len(jobs))
	for i, j := range jobs {
		var err error
		if ready[i], err = prepareJob(j); err != nil {
			return err
		}
	}
	return d.write(ctx, "queueing jobs", func(tx pgx.Tx) error { return insertJobs(ctx, tx, ready) })
}

// TakeJob implements JobQueue. Workers do not wait for each other: a job that another is taking is skipped.
func (d *database) TakeJob(ctx context.Context, kinds []string, now time.Time, lease time.Duration) (job Job, ok bool, err error) {
	err = d.write(ctx, "taking a job", func(tx pgx.Tx) error {
		job, ok = Job{}, false
		var b string
		err := tx.QueryRow(ctx, `SELECT job FROM graph_job WHERE NOT parked AND due <= $1 AND ($2 OR kind = ANY($3))
			ORDER BY urgency DESC, due, id LIMIT 1 FOR UPDATE SKIP LOCKED`, nanos(now), kinds == nil, kinds).Scan(&b)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if job, err = unpackJob([]byte(b)); err != nil {
			return d.damaged("a job cannot be read")
		}
		job, ok = job.taken(now, lease), true
		return updateJob(ctx, tx, job)
	})
	if err != nil {
		return Job{}, false, err
	}
	return job, ok, nil
}

// FinishJob implements JobQueue.
func (d *database) FinishJob(ctx context.Context, id string) error {
	tries := 0
	return d.write(ctx, "finishing a job", func(tx pgx.Tx) error {
		tries++
		tag, err := tx.Exec(ctx, `DELETE FROM graph_job WHERE id = $1`, id)
		if err == nil && tag.RowsAffected() == 0 && tries == 1 { // else an attempt may have done it whose answer was lost
			err = noJob(id)
		}
		return err
	})
}

// alter changes a job.
func (d *database) alter(ctx context.Context, doing, id string, how func(Job) (Job, error)) error {
	return d.write(ctx, doing, func(tx pgx.Tx) error {
		var b string
		err := tx.QueryRow(ctx, `SELECT job FROM graph_job WHERE id = $1 FOR UPDATE`, id).Scan(&b)
		if errors.Is(err, pgx.ErrNoRows) {
			return noJob(id)
		}
		if err != nil {
			return err
		}
		j, err := unpackJob([]byte(b))
		if err != nil {
			return d.damaged("the job %q cannot be read", id)
		}
		if j, err = how(j); err != nil {
			return err
		}
		return updateJob(ctx, tx, j)
	})
}

// FailJob implements JobQueue.
func (d *database) FailJob(ctx context.Context, id, cause string, again time.Time) error {
	return d.alter(ctx, "noting that a job failed", id, func(j Job) (Job, error) { return j.failed(cause, again), nil })
}

// RetryJob implements JobQueue.
func (d *database) RetryJob(ctx context.Context, id string, now time.Time) error {
	return d.alter(ctx, "trying a job again", id, func(j Job) (Job, error) { return j.retried(now) })
}

// Jobs implements JobQueue.
func (d *database) Jobs(ctx context.Context, limit int) (jobs []Job, err error) {
	err = d.read(ctx, "listing jobs", func(tx pgx.Tx) error {
		jobs = []Job{}
		rows, err := tx.Query(ctx, `SELECT job FROM graph_job ORDER BY parked DESC, urgency DESC, due, id LIMIT $1`, jobLimit(limit))
		if err != nil {
			return err
		}
		var b string
		_, err = pgx.ForEachRow(rows, []any{&b}, func() error {
			j, err := unpackJob([]byte(b))
			if err != nil {
				return d.damaged("a job cannot be read")
			}
			jobs = append(jobs, j)
			return nil
		})
		return err
	})
	return jobs, err
}
