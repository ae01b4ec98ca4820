package packages

import (
	"bufio"
	"bytes"
	"io"

	"github.com/klauspost/compress/zlib"
)

const (
	// maxListTries is how many places of one large executable that look like a list are read as one.
	maxListTries = 64
	// maxRustTries is how many zlib headers of one large executable are tried; chance gives 64 in a MiB.
	maxRustTries = 200_000
)

// listSearch looks for both kinds of list in an executable too large to be held in memory, where the section
// table, at its end, comes too late to be of use.
type listSearch struct {
	r      *bufio.Reader
	offset int64 // of r in the file
	z      io.ReadCloser
	src    bytes.Reader
	tries  int // of Rust's mark
	failed error
}

func searchBinary(f *File) (Facts, error) {
	s := listSearch{r: bufio.NewReaderSize(f.Body, binaryWindow)}
	const overlap = 4 << 10 // what a mark needs to be known
	for tries := 0; tries < maxListTries; {
		window, err := s.r.Peek(binaryWindow)
		last := err == io.EOF
		if err != nil && !last {
			return Facts{}, err
		}
		at, kind := s.find(window)
		switch {
		case at < 0 && last:
			return Facts{}, s.failed
		case at < 0 || at > len(window)-overlap && !last:
			if err := s.skip(len(window) - overlap); err != nil {
				return Facts{}, err
			}
			continue
		}
		if err := s.skip(at); err != nil {
			return Facts{}, err
		}
		if window, err = s.r.Peek(binaryWindow); err != nil && err != io.EOF {
			return Facts{}, err
		}
		var facts Facts
		if kind == goList {
			facts, err = readGoBinary(f.Path, nil, window)
		} else {
			facts, err = readRustBinary(f.Path, window)
		}
		if err == nil && len(facts.Packages) > 0 {
			return facts, nil
		}
		if err != nil {
			tries, s.failed = tries+1, err
		}
		if err := s.skip(1); err != nil {
			return Facts{}, err
		}
	}
	return Facts{}, s.failed
}

func (s *listSearch) skip(n int) error {
	d, err := s.r.Discard(n)
	s.offset += int64(d)
	return err
}

type listKind uint8

const (
	goList listKind = iota
	rustList
)

// find returns where in window something that looks like a list of either kind begins, and -1 if nothing does.
func (s *listSearch) find(window []byte) (int, listKind) {
	goAt := findGoMark(window, s.offset)
	end := len(window)
	if goAt >= 0 {
		end = goAt
	}
	if rustAt := s.findRust(window, end); rustAt >= 0 {
		return rustAt, rustList
	}
	return goAt, goList
}

// findRust returns the first index below end where a compressed list seems to begin: a zlib header (RFC 1950)
// and data that decompresses to the list's first words.
func (s *listSearch) findRust(window []byte, end int) int {
	for from := 0; s.tries < maxRustTries; {
		i := bytes.IndexByte(window[from:end], 0x78) // deflate with a 32 KiB window
		if i < 0 {
			return -1
		}
		i += from
		from = i + 1
		if i+2 >= len(window) {
			return -1
		}
		const noDictionary, reservedType = 0x20, 6 // RFC 1950, 2.2; RFC 1951, 3.2.3
		flags := window[i+1]
		if (0x7800+uint(flags))%31 != 0 || flags&noDictionary != 0 || window[i+2]&reservedType == reservedType {
			continue
		}
		if s.tries++; s.rustListAt(window[i:]) {
			return i
		}
	}
	return -1
}

// rustListAt reports whether b begins with a compressed list.
func (s *listSearch) rustListAt(b []byte) bool {
	s.src.Reset(b[:min(len(b), 4<<10)])
	var err error
	if s.z == nil {
		s.z, err = zlib.NewReader(&s.src)
	} else {
		err = s.z.(zlib.Resetter).Reset(&s.src, nil)
	}
	if err != nil {
		return false
	}
	var start [len(rustListStart)]byte
	_, err = io.ReadFull(s.z, start[:])
	return err == nil && string(start[:]) == rustListStart
}

// rustListStart is how every list begins that cargo-auditable writes.
const rustListStart = `{"packages":[`
