package blob

import (
	"errors"
	"hash"
	"io"
	"os"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/durable"
)

// pour writes what r gives at the end of f, which has at bytes so far, and hashes exactly what was written. It
// returns how much that is, also with an error: a body that breaks off leaves what came of it.
//
// A chunk is hashed while the next one is received and written.
func (s *Store) pour(f *os.File, at int64, h hash.Hash, r io.Reader) (n int64, err error) {
	if err := s.room(); err != nil {
		return 0, err
	}
	p := pouring{s: s, f: f, h: h, start: at}
	buf := s.buffers.Get().(*[chunkBytes]byte)
	got, readErr := io.ReadFull(r, buf[:])
	err = p.write(buf[:got])
	if readErr != nil || err != nil { // all of it came, as with most small bodies
		h.Write(buf[:p.n])
		s.buffers.Put(buf)
		return p.n, errors.Join(err, received(readErr))
	}

	hashing := make(chan *[chunkBytes]byte)   // full chunks, to be hashed
	hashed := make(chan *[chunkBytes]byte, 1) // those that may be used again
	go func() {
		for b := range hashing {
			h.Write(b[:])
			hashed <- b
		}
		close(hashed)
	}()
	spare := s.buffers.Get().(*[chunkBytes]byte)
	hashing <- buf
	for {
		before := p.n
		got, readErr = io.ReadFull(r, spare[:])
		err = p.write(spare[:got])
		if readErr != nil || err != nil {
			close(hashing)
			for b := range hashed {
				s.buffers.Put(b)
			}
			h.Write(spare[:p.n-before])
			s.buffers.Put(spare)
			return p.n, errors.Join(err, received(readErr))
		}
		done := <-hashed
		hashing <- spare
		spare = done
	}
}

// pouring counts what is written.
type pouring struct {
	s         *Store
	f         *os.File
	h         hash.Hash
	start, n  int64
	hurried   int64 // up to where the system was asked to begin
	unchecked int64 // written since the last look at the free space
}

func (p *pouring) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if left := p.s.o.MaxBytes - p.start - p.n; int64(len(b)) > left {
		return seaworthy.Errorf(seaworthy.TooLarge, "receiving a blob: it is larger than %d bytes", p.s.o.MaxBytes)
	}
	n, err := p.s.disk.Write(p.f, b)
	p.n += int64(n)
	p.unchecked += int64(n)
	if err != nil {
		return storage(err, "writing a blob")
	}
	if p.n-p.hurried >= hurryBytes {
		durable.Hurry(p.f, p.start+p.hurried, p.n-p.hurried)
		p.hurried = p.n
	}
	if p.unchecked >= checkBytes {
		p.unchecked = 0
		return p.s.room()
	}
	return nil
}

// received gives an error of the sender its code. The end is none.
func received(err error) error {
	if err == nil || err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil // ReadFull's own word for a last chunk; a body that is cut says so through errCut
	}
	if errors.Is(err, ErrCut) {
		err = ErrCut
	}
	return seaworthy.Wrap(err, seaworthy.Unavailable, "receiving a blob")
}

// ErrCut is in the error when the sender went away before its body ended.
var ErrCut = errors.New("the sender went away")

// whole turns an unexpected end of a body into ErrCut: io.ReadFull says the same of a chunk that is merely the
// last one.
type whole struct{ r io.Reader }

func (w whole) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = ErrCut
	}
	return n, err
}
