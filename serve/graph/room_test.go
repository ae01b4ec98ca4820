package graph

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// Bodies share the memory there is, in the order of asking.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(10)
		first, err := r.enter(t.Context(), 6)
		if err != nil {
			t.Fatal(err)
		}
		var order []string
		var mu sync.Mutex
		var all sync.WaitGroup
		wait := func(name string, size int64) {
			all.Go(func() {
				done, err := r.enter(t.Context(), size)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
				time.Sleep(time.Second)
				done()
				done()
			})
			synctest.Wait()
		}
		wait("large", 10)
		wait("small", 1) // there is room, but the large one was first
		gone, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := r.enter(gone, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for ever: %v", err)
		}
		first()
		all.Wait()
		if len(order) != 2 || order[0] != "large" || r.free != 10 || len(r.waiting) != 0 {
			t.Errorf("%v, %d free, %d waiting", order, r.free, len(r.waiting))
		}
	})
}

func TestRoomIsNotAQueueWithoutEnd(t *testing.T) {
	r := newRoom(1)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := r.enter(ctx, 1); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range maxWaiting {
		all.Go(func() { _, _ = r.enter(ctx, 1) })
	}
	for {
		r.mu.Lock()
		n := len(r.waiting)
		r.mu.Unlock()
		if n == maxWaiting {
			break
		}
	}
	if _, err := r.enter(ctx, 1); seaworthy.CodeOf(err) != seaworthy.Unavailable {
		t.Errorf("one more: %v", err)
	}
	cancel()
	all.Wait()
}
