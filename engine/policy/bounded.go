package policy

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// Limits on what a policy's program may cost.
const (
	// MaxProgramBytes is how long a program may be: 256 KiB.
	MaxProgramBytes = 256 << 10
	// MaxInputBytes is how large the JSON may be that a program is shown: 32 MiB.
	MaxInputBytes = 32 << 20
	// evalTime is how long one evaluation may take.
	evalTime = 2 * time.Second
	// evalGrace is how long an evaluation that was told to stop may take to do so.
	evalGrace = 500 * time.Millisecond
	// evalAtOnce is how many evaluations of one program may be under way.
	evalAtOnce = 8
)

// bounded runs one program again and again, each time no longer than it may. Rego and CEL stop when they are told
// to. Where a program is so made that its engine does not look up (CUE never does), it is left behind and never run
// again: a hostile program costs some processor time once, not with every image.
type bounded struct {
	slots chan struct{}
	stuck atomic.Bool
	limit time.Duration // evalTime, but in tests
}

func newBounded() *bounded { return &bounded{slots: make(chan struct{}, evalAtOnce), limit: evalTime} }

// run calls f, which should stop soon after its context ends.
// Errors: that of f; TooLarge when it took too long, or did so before; Unavailable when ctx ended; Internal for a panic.
func (b *bounded) run(ctx context.Context, f func(ctx context.Context) error) error {
	if b.stuck.Load() {
		return seaworthy.Errorf(seaworthy.TooLarge, "evaluating the policy: it could not be stopped before, and is not evaluated again").
			WithHint("correct the policy; until then it refuses")
	}
	select {
	case b.slots <- struct{}{}:
	case <-ctx.Done():
		return seaworthy.Wrap(ctx.Err(), seaworthy.Unavailable, "waiting to evaluate the policy")
	}
	limited, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	done := make(chan error, 1)
	var ended atomic.Bool
	go func() {
		defer ended.Store(true)
		defer func() { <-b.slots }()
		defer func() {
			if r := recover(); r != nil {
				done <- seaworthy.Errorf(seaworthy.Internal, "evaluating the policy: its engine gave up: %s", clip(fmt.Sprint(r), 200))
			}
		}()
		done <- f(limited)
	}()
	select {
	case err := <-done:
		return b.ended(ctx, limited, err)
	case <-limited.Done():
	}
	grace := time.NewTimer(evalGrace)
	defer grace.Stop()
	select {
	case err := <-done:
		return b.ended(ctx, limited, err)
	case <-grace.C:
	}
	if err := ctx.Err(); err != nil { // its caller gave it less time than it may have
		time.AfterFunc(b.limit, func() {
			if !ended.Load() {
				b.stuck.Store(true)
			}
		})
		return seaworthy.Wrap(err, seaworthy.Unavailable, "evaluating the policy")
	}
	b.stuck.Store(true)
	return seaworthy.Errorf(seaworthy.TooLarge, "evaluating the policy: it took over %s and could not be stopped", b.limit).
		WithHint("the policy costs too much; make it simpler")
}

// ended says of an evaluation that ended because it was told to why it was. That it costs too much is the policy's
// or its input's doing, and so no excuse: a fail mode does not let it pass.
func (b *bounded) ended(ctx, limited context.Context, err error) error {
	switch {
	case err == nil || limited.Err() == nil:
		return err
	case ctx.Err() != nil:
		return seaworthy.Wrap(ctx.Err(), seaworthy.Unavailable, "evaluating the policy")
	}
	return seaworthy.Errorf(seaworthy.TooLarge, "evaluating the policy: it was stopped after %s", b.limit).
		WithHint("the policy costs too much; make it simpler")
}

// clip shortens what may be of any length.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
