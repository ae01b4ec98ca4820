package ledger

import (
	"context"
	"sync"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"

	"github.com/seaworthy-dev/seaworthy"
)

// guard is the one door to a log's key. It signs a tree only when it contains every tree that was signed before,
// and remembers it on the disk first. When it does not, the guard never signs again: a log that stops can be
// looked at, a log that forked is worthless.
type guard struct {
	origin string
	signer note.Signer
	nodes  *nodes
	water  *highWater

	mu     sync.Mutex
	last   mark
	broken error
}

// Name implements note.Signer.
func (g *guard) Name() string { return g.signer.Name() }

// KeyHash implements note.Signer.
func (g *guard) KeyHash() uint32 { return g.signer.KeyHash() }

// Sign implements note.Signer for the text of a checkpoint. The tree may be older than the newest one signed,
// because whoever publishes checkpoints looks at the tree some time before.
func (g *guard) Sign(text []byte) ([]byte, error) {
	var c log.Checkpoint
	if rest, err := c.Unmarshal(text); err != nil || len(rest) != 0 || c.Origin != g.origin || len(c.Hash) != len(mark{}.root) {
		return nil, seaworthy.Errorf(seaworthy.Internal, "signing a checkpoint of %q: that is none of ours", g.origin)
	}
	m := mark{c.Size, [32]byte(c.Hash)}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken != nil {
		return nil, g.broken
	}
	if m.size < g.last.size {
		if err := g.nodes.extends(context.Background(), m, g.last); err != nil {
			return nil, g.doubt(err)
		}
	} else if m != g.last {
		if err := g.nodes.extends(context.Background(), g.last, m); err != nil {
			return nil, g.doubt(err)
		}
		if err := g.water.keep(m); err != nil {
			return nil, err // no room, say: tried again when there is some
		}
		g.last = m
	}
	return g.signer.Sign(text)
}

// doubt is called with mu held and an error of extends. What cannot be read may be readable later; what
// contradicts ends the guard's work.
func (g *guard) doubt(err error) error {
	g.nodes.forget()
	if seaworthy.CodeOf(err) != seaworthy.Mismatch {
		return err
	}
	return g.stop(err)
}

// halt ends the guard's work because somebody else saw a contradiction.
func (g *guard) halt(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stop(err)
}

// stop is called with mu held.
func (g *guard) stop(err error) error {
	if g.broken == nil {
		e := seaworthy.Errorf(seaworthy.Refused, "signing a checkpoint of %q: the log contradicts what was signed before: %w", g.origin, err)
		g.broken = e.WithHint("it will not be signed again; stop, run seaworthy log fsck, and restore the newest storage")
	}
	return g.broken
}

// newest returns the newest tree signed.
func (g *guard) newest() mark {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.last
}

// state says why the guard does not sign any more.
func (g *guard) state() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.broken
}

// stopQuietly ends signing because the log is closed: somebody else may write it from now on.
func (g *guard) stopQuietly(origin string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken == nil {
		g.broken = seaworthy.Errorf(seaworthy.Unavailable, "signing a checkpoint of %q: it is closed", origin)
	}
	g.water.close()
}
