package cyclonedx

import (
	"io"

	"github.com/seaworthy-dev/seaworthy"
)

// Limits bound what reading a document may cost. A zero field means its default. A document over a limit is
// refused as a whole with TooLarge: half a bill read as a whole one would hide what it leaves out.
type Limits struct {
	MaxBytes     int64 // of the document; default DefaultMaxBytes
	MaxElements  int   // components, services and tools together; default DefaultMaxElements
	MaxRelations int   // edges between them; default DefaultMaxRelations
	MaxDepth     int   // of nested XML elements or JSON values; default DefaultMaxDepth, at most 10,000 for JSON
}

// The defaults of Limits.
const (
	DefaultMaxBytes     = 1 << 30 // 1 GiB
	DefaultMaxElements  = 2 << 20 // two million
	DefaultMaxRelations = 8 << 20 // eight million
	DefaultMaxDepth     = 10000   // about 5,000 components inside each other in JSON
)

func (l Limits) withDefaults() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = DefaultMaxBytes
	}
	if l.MaxElements <= 0 {
		l.MaxElements = DefaultMaxElements
	}
	if l.MaxRelations <= 0 {
		l.MaxRelations = DefaultMaxRelations
	}
	if l.MaxDepth <= 0 {
		l.MaxDepth = DefaultMaxDepth
	}
	return l
}

// boundedReader ends with TooLarge, not with io.EOF, when more than left bytes come: a cut document must not
// look like a short one.
type boundedReader struct {
	r           io.Reader
	left, limit int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, seaworthy.Errorf(seaworthy.TooLarge, "document is over the limit of %d bytes", b.limit)
	}
	return n, err
}
