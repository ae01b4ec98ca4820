package advisory

import (
	"bufio"
	"math"
	"os"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/osv"
)

// builder holds what a database will be. Bodies go to a temporary file at once; names, numbers and places stay
// in memory.
type builder struct {
	sources []Source
	summary Summary
	spill   *spill
	enc     encoder

	texts   []string
	number  map[string]uint32 // of each text
	records []recordPlace
	entries []packagePlace
	groups  groups
	kev     map[uint64]seaworthy.KEV
	epss    map[uint64][2]uint32
}

// recordPlace is a record whose body is in the spill.
type recordPlace struct {
	place
	id     uint32
	names  []uint32
	source uint16
	flags  uint16
}

// packagePlace is what a record says of a package, whose body is in the spill.
type packagePlace struct {
	place
	ecosystem, name uint32
}

type place struct {
	off uint64
	len uint32
}

// spill is the temporary file of bodies.
type spill struct {
	f   *os.File
	w   *bufio.Writer
	end uint64
}

func (s *spill) put(b []byte) (place, error) {
	p := place{off: s.end, len: uint32(len(b))}
	_, err := s.w.Write(b)
	s.end += uint64(len(b))
	return p, seaworthy.Wrap(err, seaworthy.Storage, "writing temporary file")
}

func (s *spill) close() {
	s.f.Close()
	os.Remove(s.f.Name())
}

func newBuilder(dir string) (*builder, error) {
	f, err := os.CreateTemp(dir, ".advisories-*.tmp")
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Storage, "making a temporary file: %w", err)
	}
	b := &builder{
		spill:  &spill{f: f, w: bufio.NewWriterSize(f, 1<<20)},
		number: map[string]uint32{}, groups: groups{parent: map[uint32]uint32{}},
		kev: map[uint64]seaworthy.KEV{}, epss: map[uint64][2]uint32{},
	}
	b.enc.intern = b.intern
	return b, nil
}

// intern returns the number of a text.
func (b *builder) intern(s string) uint32 {
	if n, ok := b.number[s]; ok {
		return n
	}
	n := uint32(len(b.texts))
	s = string([]byte(s)) // not a part of a larger document
	b.texts = append(b.texts, s)
	b.number[s] = n
	return n
}

// add puts an entry into the database.
func (b *builder) add(source int, e *entry) error {
	if len(b.records) >= math.MaxUint32/2 || source > math.MaxUint16 {
		return seaworthy.Errorf(seaworthy.TooLarge, "too many advisories")
	}
	s := &b.sources[source]
	number := len(b.records)
	kept := e.affected[:0:0]
	for i := range e.affected {
		a := &e.affected[i]
		a.Package.Name = NormalName(a.Package.Ecosystem, a.Package.Name)
		if a.Package.Ecosystem == "" || a.Package.Name == "" {
			s.Unnamed++
			continue
		}
		b.enc.b = b.enc.b[:0]
		b.enc.affectedBody(number, a, e.notes[i], e.fix[i])
		p, err := b.spill.put(b.enc.b)
		if err != nil {
			return err
		}
		b.entries = append(b.entries, packagePlace{place: p, ecosystem: b.intern(a.Package.Ecosystem), name: b.intern(a.Package.Name)})
		kept = append(kept, osv.Affected{Package: a.Package})
	}
	e.affected = kept
	b.enc.b = b.enc.b[:0]
	b.enc.record(e)
	p, err := b.spill.put(b.enc.b)
	if err != nil {
		return err
	}
	rec := recordPlace{place: p, id: b.intern(e.id), source: uint16(source)}
	if e.bundle {
		rec.flags |= flagBundle
	}
	for _, name := range e.names {
		n := b.intern(name)
		rec.names = append(rec.names, n)
		if !e.bundle {
			b.groups.union(rec.id, n)
		}
	}
	b.records = append(b.records, rec)
	s.Records++
	s.Packages += len(kept)
	return nil
}
