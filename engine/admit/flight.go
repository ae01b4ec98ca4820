package admit

import (
	"context"
	"runtime/debug"

	"github.com/seaworthy-dev/seaworthy"
)

// maxFlights is how many questions may be asked outside, or wait for their turn, at once.
const maxFlights = 4096

// flight is a question that is being asked outside. It outlives who asked first: an answer that comes too late for one
// is there for the next.
type flight struct {
	done  chan struct{} // closed when value and err are final
	value any
	err   error
}

// fly asks f, or waits for who asks the same already. f's context ends with the gate, or after Options.Flight; ctx
// only ends the waiting. Errors: those of f; that of ctx; Unavailable when too much is under way.
func fly[T any](ctx context.Context, g *Gate, name string, f func(context.Context) (T, error)) (T, error) {
	var none T
	g.mu.Lock()
	fl := g.flights[name]
	if fl == nil {
		if len(g.flights) >= maxFlights || g.life.Err() != nil {
			g.mu.Unlock()
			return none, seaworthy.Errorf(seaworthy.Unavailable, "too much is being asked at once").WithHint("try again in a moment")
		}
		fl = &flight{done: make(chan struct{})}
		g.flights[name] = fl
		g.underway.Go(func() {
			value, err := inSlot(g, f)
			fl.value, fl.err = value, err
			g.mu.Lock()
			delete(g.flights, name)
			g.mu.Unlock()
			close(fl.done)
		})
	}
	g.mu.Unlock()
	select {
	case <-fl.done:
		value, _ := fl.value.(T)
		return value, fl.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// inSlot runs f when it is its turn. What panics in it, in a parser that is not ours, is one question without an
// answer and not the end of the gate.
func inSlot[T any](g *Gate, f func(context.Context) (T, error)) (value T, err error) {
	ctx, cancel := context.WithTimeout(g.life, g.o.Flight)
	defer cancel()
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	case <-ctx.Done():
		return value, ctx.Err()
	}
	defer func() {
		if r := recover(); r != nil {
			g.o.Log.Error("judging an image", "panic", r, "stack", string(debug.Stack()))
			err = seaworthy.Errorf(seaworthy.Internal, "judging it: %v", r)
		}
	}()
	g.counts.Flights.Add(1)
	return f(ctx)
}
