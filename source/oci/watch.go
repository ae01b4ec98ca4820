package oci

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

const (
	// slowAfter and slowest bound a sender that lives by a byte now and then: after a minute of waiting for it,
	// it must have sent 1 KiB for each second.
	slowAfter = time.Minute
	slowest   = 1 << 10
)

// watched is the body of a response that must not fall silent. Only time spent waiting for bytes counts, not
// the time the reader takes between them.
type watched struct {
	body   io.ReadCloser
	cancel context.CancelFunc
	idle   time.Duration
	timer  *time.Timer
	fired  atomic.Bool
	waited time.Duration
	got    int64
}

func newWatched(body io.ReadCloser, cancel context.CancelFunc, idle time.Duration) *watched {
	return &watched{body: body, cancel: cancel, idle: idle}
}

func (w *watched) Read(p []byte) (int, error) {
	if w.timer == nil {
		w.timer = time.AfterFunc(w.idle, func() { w.fired.Store(true); w.cancel() })
	} else {
		w.timer.Reset(w.idle)
	}
	start := time.Now()
	n, err := w.body.Read(p)
	w.timer.Stop()
	w.waited += time.Since(start)
	w.got += int64(n)
	switch {
	case err != nil && !errors.Is(err, io.EOF) && w.fired.Load():
		return n, seaworthy.Errorf(seaworthy.Unavailable, "nothing came for %s", w.idle)
	case err == nil && w.waited > slowAfter && float64(w.got) < slowest*w.waited.Seconds():
		return n, seaworthy.Errorf(seaworthy.Unavailable, "%d bytes in %s of waiting is too slow", w.got, w.waited.Round(time.Second))
	}
	return n, err
}

func (w *watched) Close() error {
	if w.timer != nil {
		w.timer.Stop()
	}
	w.cancel() // before Close: a body that never ends is not drained
	return w.body.Close()
}

// watchedBody is the body of a request whose receiver must not stop taking it: the time between two reads is the
// time the other side needs to take what was read.
type watchedBody struct {
	r      io.Reader
	timer  *time.Timer
	idle   time.Duration
	closed atomic.Bool
}

func newWatchedBody(r io.Reader, cancel context.CancelFunc, idle time.Duration) *watchedBody {
	return &watchedBody{r: r, idle: idle, timer: time.AfterFunc(idle, cancel)}
}

func (w *watchedBody) Read(p []byte) (int, error) {
	w.timer.Stop()
	n, err := w.r.Read(p)
	if err == nil && !w.closed.Load() {
		w.timer.Reset(w.idle)
	}
	return n, err
}

func (w *watchedBody) Close() error {
	w.closed.Store(true)
	w.timer.Stop()
	if c, ok := w.r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
