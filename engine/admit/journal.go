package admit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// Recorder keeps decisions.
type Recorder interface {
	// Record keeps a verdict. It is called by one goroutine, in the order of the decisions.
	Record(ctx context.Context, v seaworthy.Verdict) error
}

// Limits of what is remembered of decisions.
const (
	maxDecisions = 1000  // the newest
	maxFleet     = 20000 // images in namespaces
	maxUsers     = 100   // workloads that are named for one of them
	maxQueue     = 4096  // decisions that wait to be recorded
	recordTime   = 10 * time.Second
)

// journal remembers what was decided, and hands it to the recorder.
type journal struct {
	gate     *Gate
	recorder Recorder
	queue    chan seaworthy.Verdict
	done     chan struct{}
	life     context.Context //nolint:containedctx // of what is being recorded; ended by close
	end      context.CancelFunc

	mu        sync.Mutex
	closed    bool
	decisions []seaworthy.Verdict // a ring
	next      int                 // where the next one goes
	number    int64               // of decisions since the beginning
	fleet     map[berth]*Berth
	recorded  *lru[time.Time] // decisions, and until when the same is not recorded again
}

type berth struct{ namespace, image string }

// Berth is an image in a namespace, as it was judged last.
type Berth struct {
	Image     string           `json:"image"`
	Digest    seaworthy.Digest `json:"digest,omitempty"`
	Allowed   bool             `json:"allowed"`
	Reason    string           `json:"reason,omitempty"` // why not, or what was warned of
	Workloads []string         `json:"workloads"`        // at most 100: "pod/web"
	At        time.Time        `json:"at"`
}

func newJournal(g *Gate, r Recorder) *journal {
	j := &journal{gate: g, recorder: r, queue: make(chan seaworthy.Verdict, maxQueue), done: make(chan struct{}), fleet: map[berth]*Berth{}, recorded: newLRU[time.Time](maxFleet)}
	j.life, j.end = context.WithCancel(context.Background())
	if r == nil {
		close(j.done)
		return j
	}
	go func() {
		defer close(j.done)
		for v := range j.queue {
			ctx, cancel := context.WithTimeout(j.life, recordTime)
			if err := r.Record(ctx, v); err != nil {
				g.counts.Unrecorded.Add(1)
				g.o.Log.Error("recording a decision", "image", v.Image, "err", err)
			} else {
				g.counts.Recorded.Add(1)
			}
			cancel()
		}
	}()
	return j
}

// add remembers a decision. Nobody who wants to run something waits for it to be recorded: when too many are waiting,
// it is counted as not recorded.
func (j *journal) add(v seaworthy.Verdict, q Question) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return
	}
	if len(j.decisions) < maxDecisions {
		j.decisions = append(j.decisions, v)
	} else {
		j.decisions[j.next%maxDecisions] = v
	}
	j.next = (j.next + 1) % maxDecisions
	j.number++
	j.moor(v, q)
	if j.recorder == nil || v.Cached {
		return
	}
	// What no policy binds, for one, is decided anew each time, since that costs nothing.
	same := fmt.Sprintf("%q %q %q %t %q", v.Namespace, v.Image, v.Digest, v.Allowed, Brief(&v))
	if until, ok := j.recorded.get(same); ok && v.At.Before(until) {
		return
	}
	j.recorded.put(same, v.At.Add(j.gate.o.Fresh), 1)
	select {
	case j.queue <- v:
	default:
		j.gate.counts.Unrecorded.Add(1)
	}
}

// moor notes where an image is wanted; j.mu is held.
func (j *journal) moor(v seaworthy.Verdict, q Question) {
	if q.Asker.Namespace == "" {
		return
	}
	k := berth{q.Asker.Namespace, v.Image}
	b := j.fleet[k]
	if b == nil {
		if len(j.fleet) >= maxFleet {
			return
		}
		b = &Berth{Image: v.Image}
		j.fleet[k] = b
	}
	b.Digest, b.Allowed, b.At, b.Reason = v.Digest, v.Allowed, v.At, ""
	if !v.Allowed {
		b.Reason = Brief(&v)
	} else if len(v.Warnings) > 0 {
		b.Reason = v.Warnings[0]
	}
	if q.Workload == nil {
		return
	}
	name := strings.ToLower(q.Workload.Kind) + "/" + q.Workload.Name
	if q.Workload.Name != "" && len(b.Workloads) < maxUsers && !slices.Contains(b.Workloads, name) {
		b.Workloads = append(b.Workloads, name)
	}
}

// Decisions returns decisions, the newest first: at most limit of those before a number, which is 0 for the newest of
// all. next is the number to go on with, or 0.
func (g *Gate) Decisions(before int64, limit int) (out []seaworthy.Verdict, next int64) {
	j := g.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	if before <= 0 || before > j.number {
		before = j.number
	}
	oldest := j.number - int64(len(j.decisions))
	for n := before; n > oldest && len(out) < limit; n-- {
		i := (int64(j.next) - 1 - (j.number - n)) % maxDecisions
		if i < 0 {
			i += maxDecisions
		}
		out = append(out, j.decisions[i])
		next = n - 1
	}
	if next <= oldest {
		next = 0
	}
	return out, next
}

// Namespace is what is wanted in one.
type Namespace struct {
	Name   string  `json:"name"`
	Images []Berth `json:"images"`
}

// Fleet says which images were judged for which namespaces, as they were judged last, by name.
func (g *Gate) Fleet() []Namespace {
	j := g.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	by := map[string][]Berth{}
	for k, b := range j.fleet {
		c := *b
		c.Workloads = append([]string{}, b.Workloads...)
		by[k.namespace] = append(by[k.namespace], c)
	}
	out := make([]Namespace, 0, len(by))
	for name, images := range by {
		slices.SortFunc(images, func(a, b Berth) int { return strings.Compare(a.Image, b.Image) })
		out = append(out, Namespace{name, images})
	}
	slices.SortFunc(out, func(a, b Namespace) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// close hands over what is left, for at most recordTime.
func (j *journal) close() {
	j.mu.Lock()
	if !j.closed {
		j.closed = true
		close(j.queue)
	}
	j.mu.Unlock()
	timer := time.AfterFunc(recordTime, j.end)
	<-j.done
	timer.Stop()
	j.end()
}
