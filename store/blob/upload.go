package blob

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// ErrOffset is in the error when a piece does not begin where the upload ends.
var ErrOffset = errors.New("it does not begin where the upload ends")

// AnyOffset says that a piece goes wherever the upload ends.
const AnyOffset = -1

// session is an upload that is not finished.
type session struct {
	// turn is held by the one call that works on the session, and guards what is below.
	turn  chan struct{}
	owner string
	// h has hashed the first n bytes of the file, which are all; nil after a restart, until somebody needs it.
	h         hash.Hash
	algorithm string
	n         int64
	touched   time.Time
	gone      bool // finished or cancelled
}

// ticket is what is kept of a session over a restart.
type ticket struct {
	Owner     string    `json:"owner"`
	Algorithm string    `json:"algorithm"`
	Started   time.Time `json:"started"`
}

// Add stores what r gives if it hashes to want, and returns its size. When it returns, the blob is on the disk.
// Errors: Mismatch, TooLarge, Unavailable (r failed), Storage.
func (s *Store) Add(_ context.Context, want seaworthy.Digest, r io.Reader) (int64, error) {
	if _, err := s.name(want); err != nil {
		return 0, err
	}
	id := newID()
	s.mu.Lock()
	s.adding[id] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.adding, id)
		s.mu.Unlock()
	}()
	f, err := s.disk.Create(s.upload(id))
	if err != nil {
		return 0, storage(err, "receiving blob %s", want)
	}
	h := newHash(want.Algorithm())
	n, err := s.pour(f, 0, h, whole{r})
	if got := digestOf(want.Algorithm(), h); err == nil && got != want {
		err = mismatch(got, want)
	}
	if err != nil {
		f.Close()
		_ = os.Remove(f.Name())
		return n, err
	}
	return n, s.commit(f, want)
}

// Start begins an upload of owner's. algorithm is that of the digest it will be finished with, or "" for sha256;
// another one is possible, but costs reading everything again. Errors: Unavailable (too many), Storage.
func (s *Store) Start(owner, algorithm string) (id string, err error) {
	if algorithm == "" {
		algorithm = "sha256"
	}
	id = newID()
	now := s.o.Now()
	c := &session{turn: make(chan struct{}, 1), owner: owner, algorithm: algorithm, h: newHash(algorithm), touched: now}
	s.mu.Lock()
	if len(s.sessions) >= s.o.MaxUploads {
		s.mu.Unlock()
		return "", seaworthy.Errorf(seaworthy.Unavailable, "beginning an upload: %d are under way", s.o.MaxUploads).
			WithHint("finish or cancel some; those nobody continues are forgotten in time")
	}
	s.sessions[id] = c
	s.mu.Unlock()

	if err = s.room(); err == nil {
		err = s.begin(id, ticket{Owner: owner, Algorithm: algorithm, Started: now.UTC()})
	}
	if err != nil {
		s.forget(id)
		return "", storage(err, "beginning an upload")
	}
	return id, nil
}

// begin makes the files of an upload. They are not synced: what is lost with the power is sent again.
func (s *Store) begin(id string, t ticket) error {
	b, err := json.Marshal(t)
	if err != nil {
		return err
	}
	f, err := s.disk.Create(s.upload(id) + ".json")
	if err != nil {
		return err
	}
	_, err = s.disk.Write(f, b)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if f, err = s.disk.Create(s.upload(id)); err != nil {
		return err
	}
	return f.Close()
}

// Append adds a piece to an upload and returns how many bytes there are now, also with an error: what came before
// the sender went away stays, but an upload that found the disk full is gone. at is where the piece begins, or AnyOffset. Errors: NotFound, Conflict (somebody
// else is at it, or ErrOffset), TooLarge, Unavailable, Storage.
func (s *Store) Append(ctx context.Context, owner, id string, at int64, r io.Reader) (int64, error) {
	c, err := s.take(ctx, owner, id)
	if err != nil {
		return 0, err
	}
	defer c.leave()
	f, err := s.appendTo(c, id, at, "", r)
	if f != nil {
		if closeErr := f.Close(); err == nil {
			err = storage(closeErr, "writing an upload")
		}
	}
	if errors.Is(err, ErrFull) {
		s.end(c, id) // what it holds is what is missing
	}
	return c.n, err
}

// Finish adds the last piece, which may be empty, and stores the upload under its digest if that is what its
// bytes hash to; if not, the upload is gone. When it returns nil the blob is on the disk. The int64 is the size.
// Errors: as Append, and Mismatch.
func (s *Store) Finish(ctx context.Context, owner, id string, at int64, want seaworthy.Digest, r io.Reader) (int64, error) {
	if _, err := s.name(want); err != nil {
		return 0, err
	}
	c, err := s.take(ctx, owner, id)
	if err != nil {
		return 0, err
	}
	defer c.leave()
	f, err := s.appendTo(c, id, at, want.Algorithm(), r)
	if err != nil {
		if f != nil {
			f.Close()
		}
		if errors.Is(err, ErrFull) {
			s.end(c, id)
		}
		return c.n, err
	}
	got := digestOf(c.algorithm, c.h)
	if got == want {
		err = s.commit(f, want)
	} else {
		f.Close()
		err = mismatch(got, want)
	}
	// In any case it is over. After a failed sync nobody knows what the file holds, so it is not to be used again.
	s.end(c, id)
	return c.n, err
}

// appendTo does the work of Append and Finish. The file it returns, if any, is to be closed. algorithm is the one
// that matters now, or "".
func (s *Store) appendTo(c *session, id string, at int64, algorithm string, r io.Reader) (*os.File, error) {
	f, err := os.OpenFile(s.upload(id), os.O_RDWR, 0)
	if err != nil {
		return nil, storage(err, "continuing an upload")
	}
	info, err := f.Stat()
	if err != nil {
		return f, storage(err, "continuing an upload")
	}
	if c.h == nil {
		c.n = info.Size()
	}
	if at != AnyOffset && at != c.n {
		return f, seaworthy.Errorf(seaworthy.Conflict, "continuing an upload at byte %d: %w, at %d", at, ErrOffset, c.n)
	}
	if info.Size() != c.n { // a write failed in the middle
		if err := f.Truncate(c.n); err != nil {
			return f, storage(err, "continuing an upload")
		}
	}
	if algorithm == "" {
		algorithm = c.algorithm
	}
	if c.h == nil || algorithm != c.algorithm {
		h := newHash(algorithm)
		if n, err := io.Copy(h, struct{ io.Reader }{f}); err != nil || n != c.n {
			return f, storage(errors.Join(err, errors.New("reading it again")), "continuing an upload")
		}
		c.h, c.algorithm = h, algorithm
	}
	if _, err := f.Seek(c.n, io.SeekStart); err != nil {
		return f, storage(err, "continuing an upload")
	}
	n, err := s.pour(f, c.n, c.h, whole{r})
	c.n += n
	c.touched = s.o.Now()
	return f, err
}

// Status returns how many bytes of an upload there are. Errors: NotFound, Conflict, Storage.
func (s *Store) Status(ctx context.Context, owner, id string) (int64, error) {
	c, err := s.take(ctx, owner, id)
	if err != nil {
		return 0, err
	}
	defer c.leave()
	return c.n, nil
}

// Cancel ends an upload and throws its bytes away. Errors: NotFound, Conflict.
func (s *Store) Cancel(ctx context.Context, owner, id string) error {
	c, err := s.take(ctx, owner, id)
	if err != nil {
		return err
	}
	defer c.leave()
	s.end(c, id)
	return nil
}

// Purge throws away uploads that nobody has touched since before, and says how many. Errors: Storage.
func (s *Store) Purge(before time.Time) (int, error) {
	files, err := os.ReadDir(filepath.Join(s.dir, "uploads"))
	if err != nil {
		return 0, storage(err, "listing uploads")
	}
	purged := 0
	for _, f := range files {
		info, err := f.Info()
		if err != nil || !info.ModTime().Before(before) {
			continue
		}
		id, isTicket := strings.CutSuffix(f.Name(), ".json")
		if !isID(id) {
			continue
		}
		if isTicket {
			if _, err := os.Stat(s.upload(id)); err == nil {
				continue // it goes with the upload's bytes, which may be younger
			}
		}
		s.mu.Lock()
		c, adding := s.sessions[id], s.adding[id]
		s.mu.Unlock()
		if adding {
			continue
		}
		if c != nil {
			select {
			case c.turn <- struct{}{}:
			default:
				continue // somebody is at it
			}
			if c.touched.Before(before) && !c.gone {
				s.end(c, id)
				purged++
			}
			c.leave()
			continue
		}
		if !isTicket {
			purged++
		}
		_ = os.Remove(s.upload(id))
		_ = os.Remove(s.upload(id) + ".json")
	}
	return purged, nil
}

// patience is how long a call waits for another one that is working on the same upload: a sender whose
// connection broke may be back before we noticed.
const patience = 10 * time.Second

// take finds a session and waits for its turn.
func (s *Store) take(ctx context.Context, owner, id string) (*session, error) {
	unknown := seaworthy.Errorf(seaworthy.NotFound, "there is no upload %q", id)
	if !isID(id) {
		return nil, unknown
	}
	c, err := s.session(id)
	if err != nil {
		return nil, err
	}
	if c == nil || c.owner != owner {
		return nil, unknown
	}
	select {
	case c.turn <- struct{}{}:
	default:
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		select {
		case c.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, seaworthy.Errorf(seaworthy.Conflict, "continuing upload %q: another request is at it", id)
		}
	}
	if c.gone {
		c.leave()
		return nil, unknown
	}
	return c, nil
}

func (c *session) leave() { <-c.turn }

// session returns the session of an id, also one from before a restart; nil when there is none.
func (s *Store) session(id string) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.sessions[id]; c != nil {
		return c, nil
	}
	b, err := os.ReadFile(s.upload(id) + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var t ticket
	if err == nil && json.Unmarshal(b, &t) != nil {
		return nil, nil // cut short by a crash
	}
	var info fs.FileInfo
	if err == nil {
		info, err = os.Stat(s.upload(id))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, storage(err, "looking for an upload")
	}
	c := &session{turn: make(chan struct{}, 1), owner: t.Owner, algorithm: t.Algorithm, n: info.Size(), touched: info.ModTime()}
	s.sessions[id] = c
	return c, nil
}

// end throws away what is left of a session whose turn the caller has.
func (s *Store) end(c *session, id string) {
	c.gone = true
	s.forget(id)
}

func (s *Store) forget(id string) {
	s.mu.Lock()
	delete(s.sessions, id)
	s.mu.Unlock()
	_ = os.Remove(s.upload(id)) // Purge takes what cannot be removed now
	_ = os.Remove(s.upload(id) + ".json")
}

func (s *Store) upload(id string) string { return filepath.Join(s.dir, "uploads", id) }

// newID makes a name that nobody guesses.
func newID() string { return strings.ToLower(rand.Text()) }

func isID(id string) bool {
	if len(id) < 20 || len(id) > 40 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func mismatch(got, want seaworthy.Digest) error {
	return seaworthy.Errorf(seaworthy.Mismatch, "receiving blob %s: its bytes are those of %s", want, got)
}
