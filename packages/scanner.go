package packages

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"io"
	"io/fs"

	"github.com/seaworthy-dev/seaworthy"
)

// Scanner reads files one after the other and lets every Recogniser that wants one see it. It is for one
// goroutine; its buffers are used again from file to file.
type Scanner struct {
	recognisers []Recogniser
	maxFile     int64
	sum         hash.Hash
	scratch     bytes.Buffer
	extra       bytes.Buffer // scratch of the second and later recognisers of one file
	copyBuf     []byte
	wanting     []*Recogniser
}

// NewScanner returns a Scanner over Table. Lock files are read only if locks is set. Files over maxFile bytes
// are not held in memory; 0 means DefaultMaxFile.
func NewScanner(locks bool, maxFile int64) *Scanner {
	s := &Scanner{maxFile: maxFile, sum: sha256.New(), copyBuf: make([]byte, 128<<10)}
	for _, r := range Table {
		if !r.Lock || locks {
			s.recognisers = append(s.recognisers, r)
		}
	}
	return s
}

// maxScratch is how much buffer is kept between files; a larger one is given back to the garbage collector.
const maxScratch = 4 << 20 // 4 MiB

// Wants reports whether any recogniser asks for a regular file.
func (s *Scanner) Wants(path string, size int64, mode fs.FileMode) bool {
	s.wanting = s.wanting[:0]
	for i := range s.recognisers {
		if s.recognisers[i].Wants(path, size, mode) {
			s.wanting = append(s.wanting, &s.recognisers[i])
		}
	}
	return len(s.wanting) > 0
}

// Scanned is what is known of a file that has been read to its end.
type Scanned struct {
	Sum     [sha256.Size]byte // SHA-256 of its content
	Program bool              // it begins like a program for a processor: ELF, PE or Mach-O
	Facts   []Facts
}

// Scan reads a whole regular file, hashes it, and says what the recognisers make of it. Errors are those of body
// only: what a recogniser has to complain about is among the Facts' Problems.
func (s *Scanner) Scan(path string, size int64, mode fs.FileMode, body io.Reader) (out Scanned, err error) {
	s.sum.Reset()
	read := &watchedReader{r: body, sum: s.sum}
	if s.Wants(path, size, mode) {
		out.Facts = s.recognise(path, size, mode, read)
	}
	if read.err == nil {
		_, read.err = io.CopyBuffer(writerOnly{io.Discard}, read, s.copyBuf)
	}
	if read.err != nil && read.err != io.EOF {
		return out, read.err
	}
	s.sum.Sum(out.Sum[:0])
	out.Program = isProgram(read.head[:read.headLen])
	if s.scratch.Cap() > maxScratch {
		s.scratch = bytes.Buffer{}
	}
	return out, nil
}

// isProgram knows ELF, PE, and Mach-O of both byte orders and widths. (A universal Mach-O begins like a Java
// class and is left out.)
func isProgram(head []byte) bool {
	if len(head) < 4 {
		return false
	}
	switch string(head[:4]) {
	case "\x7fELF", "\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe":
		return true
	}
	return string(head[:2]) == "MZ"
}

func (s *Scanner) recognise(path string, size int64, mode fs.FileMode, body *watchedReader) []Facts {
	file := File{Path: path, Size: size, Mode: mode, Body: body, Scratch: &s.scratch, Max: s.maxFile}
	if len(s.wanting) == 1 {
		return s.one(s.wanting[0], &file, body)
	}
	whole, err := file.Bytes()
	if err != nil {
		if body.err != nil {
			return nil
		}
		return []Facts{{By: s.wanting[0].Name, Path: path, Problems: []seaworthy.Problem{seaworthy.NewProblem(path, err)}}}
	}
	var all []Facts
	for _, r := range s.wanting {
		again := file
		again.Body, again.Scratch = bytes.NewReader(whole), &s.extra
		all = append(all, s.one(r, &again, body)...)
	}
	s.extra = bytes.Buffer{}
	return all
}

// one lets a single recogniser read f. A failure of the underlying stream is not the recogniser's to report.
func (s *Scanner) one(r *Recogniser, f *File, stream *watchedReader) []Facts {
	facts, err := readGuarded(r, f)
	if stream.err != nil && stream.err != io.EOF {
		return nil
	}
	if err != nil {
		facts.Problems = append(facts.Problems, seaworthy.NewProblem(f.Path, err))
	}
	if facts.empty() {
		return nil
	}
	facts.By, facts.Path = r.Name, f.Path
	return []Facts{facts}
}

// readGuarded keeps a panic inside one recogniser, or a library under it, from taking the report of a whole
// image with it: the file that caused it is named instead.
func readGuarded(r *Recogniser, f *File) (facts Facts, err error) {
	defer func() {
		if p := recover(); p != nil {
			facts, err = Facts{}, seaworthy.Errorf(seaworthy.Internal, "reading %q as %s: %v", f.Path, r.Name, p)
		}
	}()
	return r.Read(f)
}

func (f *Facts) empty() bool {
	return len(f.Packages) == 0 && f.About == "" && len(f.Relations) == 0 && len(f.Files) == 0 && f.Release == nil && len(f.Problems) == 0 &&
		f.Licences.Declared == "" && f.Licences.Concluded == "" && len(f.Licences.Found) == 0 && f.Copyright == ""
}

// watchedReader hashes what is read and remembers how it began and how reading ended, whoever read.
type watchedReader struct {
	r       io.Reader
	sum     hash.Hash
	head    [4]byte
	headLen int
	err     error
}

func (w *watchedReader) Read(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.r.Read(p)
	w.sum.Write(p[:n])
	if w.headLen < len(w.head) {
		w.headLen += copy(w.head[w.headLen:], p[:n])
	}
	w.err = err
	return n, err
}

// writerOnly hides ReadFrom, so that io.CopyBuffer uses the given buffer.
type writerOnly struct{ io.Writer }
