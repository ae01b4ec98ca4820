package graph

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/seaworthy-dev/seaworthy"
)

// A portable copy is one file: lines of JSON, compressed with zstd. The first says what it is, then come documents
// with all they say, then jobs, and the last line says how many there were, so that half a file is not taken for
// a whole one.
const (
	exportName   = "graph.jsonl.zst"
	exportFormat = "seaworthy graph 1"
)

// line is one line of a portable copy. Only one of its parts is there.
type line struct {
	Format   string `json:"format,omitempty"`
	Entry    *entry `json:"entry,omitempty"`
	Job      *Job   `json:"job,omitempty"`
	Payload  []byte `json:"payload,omitempty"` // of the job
	Complete *count `json:"complete,omitempty"`
}

// entry is an Entry. A subject is a number, its place in Subjects.
type entry struct {
	Document   seaworthy.Document `json:"document"`
	Body       []byte             `json:"body,omitempty"`
	Subjects   [][2]text          `json:"subjects"`   // kind and key
	Statements []sentence         `json:"statements"` // in order
	Names      []naming           `json:"names"`
}

type sentence struct {
	Subject   int       `json:"s"`
	Predicate text      `json:"p"`
	Object    int       `json:"o"`
	Attrs     [][2]text `json:"a,omitempty"` // name and value
}

type naming struct {
	Subject int  `json:"s"`
	Text    text `json:"n"`
}

// text is a string that may have any bytes: one that is not UTF-8 is written as a list of its bytes in base64.
type text string

// MarshalJSON implements json.Marshaler.
func (s text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(s)) {
		return json.Marshal(string(s))
	}
	return json.Marshal([][]byte{[]byte(s)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		var raw [1][]byte
		err := json.Unmarshal(b, &raw)
		*s = text(raw[0])
		return err
	}
	return json.Unmarshal(b, (*string)(s))
}

func packEntry(e Entry) *entry {
	out := &entry{Document: e.Document, Body: e.Body}
	places := map[seaworthy.Subject]int{}
	place := func(s seaworthy.Subject) int {
		at, ok := places[s]
		if !ok {
			at = len(out.Subjects)
			places[s] = at
			out.Subjects = append(out.Subjects, [2]text{text(s.Kind), text(s.Key)})
		}
		return at
	}
	for _, s := range e.Statements {
		one := sentence{Subject: place(s.Subject), Predicate: text(s.Predicate), Object: place(s.Object)}
		for _, a := range s.Attrs {
			one.Attrs = append(one.Attrs, [2]text{text(a.Name), text(a.Value)})
		}
		out.Statements = append(out.Statements, one)
	}
	for _, n := range e.Names {
		out.Names = append(out.Names, naming{place(n.Subject), text(n.Text)})
	}
	return out
}

func (e *entry) unpack() (Entry, error) {
	out := Entry{Document: e.Document, Body: e.Body}
	var err error
	subject := func(at int) seaworthy.Subject {
		if at < 0 || at >= len(e.Subjects) {
			err = seaworthy.Errorf(seaworthy.Invalid, "what %s says has %d subjects, and none with number %d", e.Document.Digest, len(e.Subjects), at)
			return seaworthy.Subject{}
		}
		return seaworthy.Subject{Kind: seaworthy.SubjectKind(e.Subjects[at][0]), Key: string(e.Subjects[at][1])}
	}
	for _, s := range e.Statements {
		one := seaworthy.Statement{Subject: subject(s.Subject), Predicate: seaworthy.Predicate(s.Predicate), Object: subject(s.Object)}
		for _, a := range s.Attrs {
			one.Attrs = append(one.Attrs, seaworthy.Property{Name: string(a[0]), Value: string(a[1])})
		}
		out.Statements = append(out.Statements, one)
	}
	for _, n := range e.Names {
		out.Names = append(out.Names, Name{subject(n.Subject), string(n.Text)})
	}
	return out, err
}

type count struct {
	Documents int `json:"documents"`
	Jobs      int `json:"jobs"`
}

// holder gives all that an engine holds, from one state of it.
type holder interface {
	// each calls fn for every document with what it says, in the order of ids, and its body if asked for.
	each(ctx context.Context, bodies bool, fn func(Entry) error) error
}

// export writes a portable copy.
func export(ctx context.Context, s interface {
	holder
	JobQueue
}, name string,
) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "backing up into %q", name)
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return seaworthy.Errorf(seaworthy.Conflict, "backing up into %q: there is a copy already", name).WithHint("name a folder that is empty or not there yet")
	}
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "backing up into %q", name)
	}
	defer func() {
		if f.Close(); err != nil {
			_ = os.Remove(name)
			err = seaworthy.Wrap(err, seaworthy.Storage, "backing up into %q", name)
		}
	}()
	z, err := zstd.NewWriter(f, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	out := json.NewEncoder(z)
	if err := out.Encode(line{Format: exportFormat}); err != nil {
		return err
	}
	var n count
	err = s.each(ctx, true, func(e Entry) error {
		n.Documents++
		return out.Encode(line{Entry: packEntry(e)})
	})
	if err != nil {
		return err
	}
	jobs, err := s.Jobs(ctx, 0)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		n.Jobs++
		if err := out.Encode(line{Job: &j, Payload: j.Payload}); err != nil {
			return err
		}
	}
	if err := errors.Join(out.Encode(line{Complete: &n}), z.Close()); err != nil {
		return err
	}
	return f.Sync()
}

// load puts a portable copy into a store.
func load(ctx context.Context, s Store, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "restoring from %q", name)
	}
	defer f.Close()
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "restoring from %q", name)
	}
	defer z.Close()
	in := json.NewDecoder(bufio.NewReader(z))
	var n count
	for first := true; ; first = false {
		var l line
		err := in.Decode(&l)
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			err = seaworthy.Errorf(seaworthy.Mismatch, "it ends after %d documents, which is not its end", n.Documents)
		case err != nil:
			err = seaworthy.Wrap(err, seaworthy.Invalid, "after %d documents", n.Documents)
		case first && l.Format != exportFormat:
			err = seaworthy.Errorf(seaworthy.Invalid, "it is no copy of a graph that is known here: %.40q", l.Format)
		case l.Entry != nil:
			n.Documents++
			var e Entry
			if e, err = l.Entry.unpack(); err == nil {
				_, err = s.Put(ctx, e)
			}
		case l.Job != nil:
			n.Jobs++
			l.Job.Payload = l.Payload
			if l.Job.State == JobRunning {
				l.Job.State = JobWaiting // whoever ran it runs somewhere else
			}
			err = s.AddJobs(ctx, *l.Job)
		case l.Complete != nil:
			if *l.Complete == n {
				return nil
			}
			err = seaworthy.Errorf(seaworthy.Mismatch, "it has %d documents and %d jobs, and says %d and %d", n.Documents, n.Jobs, l.Complete.Documents, l.Complete.Jobs)
		}
		if err != nil {
			return seaworthy.Wrap(err, seaworthy.Storage, "restoring from %q", name)
		}
	}
}
