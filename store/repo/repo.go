// Package repo remembers what each repository of a registry holds: which blobs may be read there, manifests, tags,
// and who refers to whom. It is one file, in which every change is made whole or not at all, and is on the disk
// when the method that made it returns. Changes asked for at the same time share one sync.
//
// Nothing here knows the rules of a registry or reads a manifest: what a manifest uses, refers to and is listed
// as comes with it. The bytes of blobs are elsewhere (store/blob); those of manifests, which are small, are here,
// so that pushing one is one transaction.
//
// # The file
//
// A B+ tree (bbolt) with these buckets; "r" is a repository's name and a zero byte, digests are binary:
//
//	blobs      r digest             → when somebody last relied on it
//	links      digest r             → nothing; the same, seen from the blob
//	manifests  r digest             → when it was pushed, and its media type
//	bodies     digest               → the manifest's bytes
//	holders    digest r             → nothing; which repositories have a manifest
//	wants      r digest             → the digests it uses, after its subject
//	uses       r used manifest      → nothing; the same, seen from what is used
//	tags       r tag                → digest
//	tagged     r digest tag         → nothing; the same, seen from the manifest
//	referrers  r subject manifest   → its descriptor, ready to be listed
//	events     number               → pushes nobody has heard of yet
//
// Every question a registry is asked is a look-up or a short range of one of them.
package repo

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/durable"
)

// MaxName is the longest name of a repository, in bytes.
const MaxName = 255

var (
	blobs     = []byte("blobs")
	links     = []byte("links")
	manifests = []byte("manifests")
	bodies    = []byte("bodies")
	holders   = []byte("holders")
	wants     = []byte("wants")
	uses      = []byte("uses")
	tags      = []byte("tags")
	tagged    = []byte("tagged")
	referrers = []byte("referrers")
	events    = []byte("events")
)

// Options are for tests. The zero value is what everybody else wants.
type Options struct {
	Disk *durable.Disk    // asked for faults before each commit (OpSync of the file); nil: none
	Now  func() time.Time // nil: time.Now
}

// Store is the open file. Its methods may be called at the same time. One process can have it open.
type Store struct {
	db   *bbolt.DB
	disk *durable.Disk
	now  func() time.Time

	changes chan *change
	ended   chan struct{} // closed when the writer has

	mu     sync.Mutex
	broken error // why nothing can be written any more; guarded by mu
	closed bool  // guarded by mu
	adding sync.WaitGroup
}

// change is a function that is run in a transaction together with others. It must look before it writes: when it
// returns an error it must have written nothing.
type change struct {
	do   func(*bbolt.Tx) error
	err  error
	done chan struct{}
}

// Open opens the file in dir, which must be there, and makes it when it is not. Errors: Conflict when another
// process has it open, Storage.
func Open(dir string, o Options) (*Store, error) {
	name := filepath.Join(dir, "index.db")
	db, err := bbolt.Open(name, 0o600, &bbolt.Options{
		Timeout: time.Second, FreelistType: bbolt.FreelistMapType, InitialMmapSize: 64 << 20, // address space, not memory
	})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, seaworthy.Errorf(seaworthy.Conflict, "opening %q: another process has it open", name).
			WithHint("one folder is served by one registry at a time, which collects its own garbage; stop it first")
	}
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "opening %q", name)
	}
	db.AllocSize = 1 << 20 // grow by 1 MiB, so that a small disk is not full of nothing
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, bucket := range [][]byte{blobs, links, manifests, bodies, holders, wants, uses, tags, tagged, referrers, events} {
			if _, err := tx.CreateBucketIfNotExists(bucket); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = o.Disk.SyncFolder(dir)
	}
	if err != nil {
		db.Close()
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "opening %q", name)
	}
	s := &Store{db: db, disk: o.Disk, now: o.Now, changes: make(chan *change, 64), ended: make(chan struct{})}
	if s.now == nil {
		s.now = time.Now
	}
	go s.write()
	return s, nil
}

// Close ends the writer once all changes asked for are on the disk, and closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	s.adding.Wait()
	close(s.changes)
	<-s.ended
	return seaworthy.Wrap(s.db.Close(), seaworthy.Storage, "closing the index")
}

// Check returns why nothing can be written any more, if so. Errors: Storage.
func (s *Store) Check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// update makes a change and returns when it is on the disk.
func (s *Store) update(do func(*bbolt.Tx) error) error {
	c := &change{do: do, done: make(chan struct{})}
	s.mu.Lock()
	if s.closed || s.broken != nil {
		err := s.broken
		s.mu.Unlock()
		if err == nil {
			err = seaworthy.Errorf(seaworthy.Unavailable, "writing to the index: it is being closed")
		}
		return err
	}
	s.adding.Add(1)
	s.mu.Unlock()
	s.changes <- c
	s.adding.Done()
	<-c.done
	return c.err
}

// maxTogether is how many changes share a transaction at most.
const maxTogether = 128

// write is the only writer. It takes what has been asked for while the last transaction was synced.
func (s *Store) write() {
	defer close(s.ended)
	for first := range s.changes {
		batch := []*change{first}
		for more := true; more && len(batch) < maxTogether; {
			select {
			case c, ok := <-s.changes:
				if more = ok; ok {
					batch = append(batch, c)
				}
			default:
				more = false
			}
		}
		s.commit(batch)
	}
}

func (s *Store) commit(batch []*change) {
	err := s.Check()
	if err == nil {
		err = s.transaction(batch)
	}
	for _, c := range batch {
		if c.err == nil {
			c.err = err
		}
		close(c.done)
	}
}

// transaction runs changes and commits what they did.
func (s *Store) transaction(batch []*change) error {
	tx, err := s.db.Begin(true)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "writing to the index")
	}
	written := 0
	for _, c := range batch {
		if c.err = c.do(tx); c.err == nil {
			written++
		}
	}
	if written == 0 {
		return tx.Rollback()
	}
	if err = s.disk.Before(durable.OpSync, s.db.Path()); err != nil {
		_ = tx.Rollback()
	} else {
		err = tx.Commit()
	}
	switch {
	case err == nil:
		return nil
	case durable.Full(err): // it was rolled back, and nothing of it can be seen
		return seaworthy.Wrap(errors.Join(ErrFull, err), seaworthy.Storage, "writing to the index")
	}
	// After a failed sync the system may have thrown away what it had not written, and says "done" the next time.
	// Nothing is acknowledged on top of that.
	broken := seaworthy.Wrap(err, seaworthy.Storage, "writing to the index")
	s.mu.Lock()
	s.broken = broken
	s.mu.Unlock()
	return broken
}

// ErrFull is in the error when there was no room for a change. It was not made, and can be asked for again.
var ErrFull = errors.New("the disk is full")

// view answers a question from one state of the file.
func (s *Store) view(ask func(*bbolt.Tx) error) error {
	err := s.db.View(ask)
	var own *seaworthy.Error
	if err == nil || errors.As(err, &own) {
		return err
	}
	return seaworthy.Wrap(err, seaworthy.Storage, "reading the index")
}

func stamp(t time.Time) []byte { return binary.BigEndian.AppendUint64(nil, uint64(t.Unix())) }

func stamped(b []byte) time.Time {
	if len(b) < 8 {
		return time.Time{}
	}
	return time.Unix(int64(binary.BigEndian.Uint64(b)), 0)
}
