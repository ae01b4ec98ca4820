package registry

import (
	"context"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/repo"
)

// CollectOptions say what is garbage. The zero value takes the registry's grace period and leaves manifests alone.
type CollectOptions struct {
	Grace time.Duration // 0: Options.Grace; negative: none, for a registry nobody is using
	// Untagged deletes manifests that nothing leads to: no tag, no index that is kept, and no subject that is kept.
	Untagged bool
}

// Collected says what was garbage.
type Collected struct {
	Manifests int   `json:"manifests"`
	Links     int   `json:"links"` // blobs that no manifest of their repository uses
	Blobs     int   `json:"blobs"` // whose bytes were removed
	Bytes     int64 `json:"bytes"`
	Uploads   int   `json:"uploads"` // that nobody continued
}

// Collect gives back the room of what is not needed, while the registry is used.
func (r *Registry) Collect(ctx context.Context, o CollectOptions) (c Collected, err error) {
	if o.Grace == 0 {
		o.Grace = r.o.Grace
	}
	before := r.now().Add(-max(o.Grace, 0))
	if o.Grace < 0 {
		before = r.now().Add(time.Hour) // clocks and file times disagree a little
	}
	if o.Untagged {
		if c.Manifests, err = r.collectManifests(ctx, before); err != nil {
			return c, err
		}
	}
	if c.Links, err = r.names.CollectLinks(before); err != nil {
		return c, internal(err)
	}
	if err := r.collectBytes(ctx, before, &c); err != nil {
		return c, err
	}
	c.Uploads, err = r.uploads.Purge(before)
	return c, internal(err)
}

func (r *Registry) collectManifests(ctx context.Context, before time.Time) (collected int, err error) {
	for last := ""; ; {
		names, err := r.names.Repositories(last, 100)
		if err != nil || len(names) == 0 {
			return collected, internal(err)
		}
		for _, name := range names {
			if ctx.Err() != nil {
				return collected, context.Cause(ctx)
			}
			n, err := r.names.CollectManifests(name, before)
			if collected += n; err != nil {
				return collected, internal(err)
			}
			last = name
		}
	}
}

func (r *Registry) collectBytes(ctx context.Context, before time.Time, c *Collected) error {
	return r.blobs.Each(func(d seaworthy.Digest, size int64, modified time.Time) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !modified.Before(before) {
			return nil
		}
		// Whoever is linking this very digest, or one of its stripe, needs it more than we do; there is a next time.
		m := r.stripe(d)
		if !m.TryLock() {
			return nil
		}
		defer m.Unlock()
		linked, err := r.names.LinkedAnywhere(d)
		if err != nil || linked {
			return internal(err)
		}
		if err := r.blobs.Remove(d); err != nil {
			return internal(err)
		}
		c.Blobs++
		c.Bytes += size
		return nil
	})
}

// CollectEvery collects again and again until ctx ends, and says what it did in the log.
func (r *Registry) CollectEvery(ctx context.Context, every time.Duration, o CollectOptions, done func(Collected, error)) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		c, err := r.Collect(ctx, o)
		if ctx.Err() != nil {
			return
		}
		if done != nil {
			done(c, err)
		}
		if err != nil {
			r.log.Warn("garbage not collected", "error", err)
		} else if c != (Collected{}) {
			r.log.Info("garbage collected", "manifests", c.Manifests, "links", c.Links, "blobs", c.Blobs, "bytes", c.Bytes, "uploads", c.Uploads)
		}
	}
}

// Unheard lists up to n pushed manifests that the listener has not heard of yet, the oldest first.
func (r *Registry) Unheard(n int) ([]repo.Event, error) {
	list, err := r.names.Events(n)
	return list, internal(err)
}

// deliver gives the listener its events until ctx ends.
func (r *Registry) deliver(ctx context.Context) {
	const page, pause = 100, time.Second
	for {
		list, err := r.names.Events(page)
		for _, e := range list {
			if err = r.o.Listener(ctx, e); err != nil || ctx.Err() != nil {
				break
			}
			err = r.names.Heard(e.Number)
		}
		var again <-chan time.Time
		if err != nil {
			r.log.Warn("a pushed manifest was not heard of", "error", err)
			again = time.After(pause)
		} else if len(list) == page {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-r.news:
			if err == nil {
				continue
			}
			select { // do not hurry a listener that cannot
			case <-ctx.Done():
				return
			case <-again:
			}
		case <-again:
		}
	}
}
