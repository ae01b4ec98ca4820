package graph

import (
	"context"
	"sync"

	"github.com/seaworthy-dev/seaworthy"
	store "github.com/seaworthy-dev/seaworthy/store/graph"
)

// maxReceiving is how many bytes of bodies are in memory at once; further ones wait.
const maxReceiving = store.MaxBody

// maxWaiting is how many requests may wait for room.
const maxWaiting = 256

// room is memory that requests share. It is given out in the order of asking, so that a large one is not passed by
// small ones for ever.
type room struct {
	mu      sync.Mutex
	free    int64
	waiting []*place // guarded by mu
}

type place struct {
	size int64
	in   chan struct{} // closed when it has its room
}

func newRoom(size int64) *room { return &room{free: size} }

// enter waits for room. done gives it back, and may be called in any case.
func (r *room) enter(ctx context.Context, size int64) (done func(), err error) {
	r.mu.Lock()
	p := &place{size: size, in: make(chan struct{})}
	if len(r.waiting) >= maxWaiting {
		r.mu.Unlock()
		return func() {}, seaworthy.Errorf(seaworthy.Unavailable, "%d documents are being received already", maxWaiting)
	}
	r.waiting = append(r.waiting, p)
	r.admit()
	r.mu.Unlock()
	var once sync.Once
	done = func() { once.Do(func() { r.leave(p) }) }
	select {
	case <-p.in:
		return done, nil
	case <-ctx.Done():
		done()
		return func() {}, ctx.Err()
	}
}

// admit lets in who is next, as far as there is room. mu is held.
func (r *room) admit() {
	for len(r.waiting) > 0 && r.waiting[0].size <= r.free {
		r.free -= r.waiting[0].size
		close(r.waiting[0].in)
		r.waiting = r.waiting[1:]
	}
}

func (r *room) leave(p *place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, w := range r.waiting {
		if w == p { // it never got in
			r.waiting = append(r.waiting[:i:i], r.waiting[i+1:]...)
			r.admit()
			return
		}
	}
	r.free += p.size
	r.admit()
}
