package admit

import (
	"context"
	"io"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// measured is a place of which only so much is read at once, together with all others that share the budget.
type measured struct {
	oci.Place
	*measure
}

// measure is what one question has taken of the budget.
type measure struct {
	budget *semaphore.Weighted
	taken  atomic.Int64
}

// Blob implements oci.Place. Errors: Unavailable when too much is being read.
func (m measured) Blob(ctx context.Context, d oci.Descriptor, offset int64) (io.ReadCloser, error) {
	n := max(d.Size-offset, 0)
	if !m.budget.TryAcquire(n) {
		return nil, seaworthy.Errorf(seaworthy.Unavailable, "reading %d bytes of evidence: too much is being read at once", n).WithHint("try again in a moment")
	}
	m.taken.Add(n)
	return m.Place.Blob(ctx, d, offset)
}

// release gives back what was taken.
func (m *measure) release() { m.budget.Release(m.taken.Swap(0)) }
