package graph

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seaworthy-dev/seaworthy"
)

// Backup implements Store. The copy is a folder that Open opens; on the same disk it shares the files that do not
// change, so copy it elsewhere.
func (f *folder) Backup(ctx context.Context, dir string) error {
	db, done, err := f.use()
	if err != nil {
		return err
	}
	defer done()
	if err := f.emptyFolder(dir); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return f.failed(db.Checkpoint(dir, pebble.WithFlushedWAL()), "backing up into %q", dir)
}

// emptyFolder sees to it that dir is not there, but could be made.
func (f *folder) emptyFolder(dir string) error {
	fs := f.o.Files
	names, err := fs.List(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return f.failed(fs.MkdirAll(fs.PathDir(dir), 0o700), "backing up into %q", dir)
	case err != nil:
		return f.failed(err, "backing up into %q", dir)
	case len(names) > 0:
		return seaworthy.Errorf(seaworthy.Conflict, "backing up into %q: it is not empty", dir).WithHint("name a folder that is empty or not there yet")
	}
	return f.failed(fs.Remove(dir), "backing up into %q", dir)
}

// Restore copies all documents, what they say, and jobs from one place to another, which must be empty: from a
// backup, or between a folder and a database. What Backup of a database or of Memory wrote is a place, too. At the
// end both are compared. Errors: Conflict when there is something at the other place, Mismatch, Storage.
func Restore(ctx context.Context, from, to string, o Options) (err error) {
	target, err := Open(ctx, to, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	stats, err := target.Stats(ctx)
	if err != nil {
		return err
	}
	if stats.Documents+stats.Jobs > 0 {
		return seaworthy.Errorf(seaworthy.Conflict, "restoring into %q: there are %d documents and %d jobs", to, stats.Documents, stats.Jobs).
			WithHint("restore into a folder or database that is empty")
	}
	if !IsDatabase(from) {
		if copied := filepath.Join(from, exportName); exists(copied) {
			return load(ctx, target, copied)
		}
	}
	o.ReadOnly = true
	source, err := Open(ctx, from, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	return copyAll(ctx, source, target)
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func copyAll(ctx context.Context, from, to Store) error {
	err := from.(holder).each(ctx, true, func(e Entry) error {
		_, err := to.Put(ctx, e)
		return err
	})
	if err != nil {
		return err
	}
	jobs, err := from.Jobs(ctx, 0)
	if err != nil {
		return err
	}
	for i := range jobs {
		if jobs[i].State == JobRunning {
			jobs[i].State = JobWaiting // whoever ran it runs somewhere else
		}
	}
	if err := to.AddJobs(ctx, jobs...); err != nil {
		return err
	}
	want, err := Fingerprint(ctx, from)
	if err != nil {
		return err
	}
	got, err := Fingerprint(ctx, to)
	if err == nil && got != want {
		err = seaworthy.Errorf(seaworthy.Mismatch, "restoring: what arrived is not what was sent")
	}
	return err
}
