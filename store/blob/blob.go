// Package blob keeps bytes under their digest, on a disk.
//
// Bytes come in once, are hashed while they are written, and get their name only when they are those the name
// promises and are on the disk. What has a name is therefore always whole:
//
//	blobs/sha256/ab/ab12…   content, named by its digest
//	uploads/ID              bytes of an upload that is not finished
//	uploads/ID.json         whose it is
//
// Add takes content in one go. Start, Append and Finish take it in pieces, which may be hours and restarts apart.
// An upload belongs to an owner, a word of the caller's, without which it cannot be found.
//
// The order of a commit is: write, sync the file, move it to its name, sync the folder. A crash leaves a file in
// uploads, or content that nobody was told of; never a part under a digest. Content is never changed, and goes
// only by Remove. Who may see what, and what is still needed, is not known here.
package blob

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/durable"
)

// Defaults and limits.
const (
	DefaultMaxBytes   = 64 << 30 // 64 GiB: one blob
	DefaultMaxUploads = 4096     // uploads that are not finished
	DefaultReserve    = 64 << 20 // 64 MiB: what uploads leave free, so that there is room to delete and to note things
	// chunkBytes is what is hashed while the next is received.
	chunkBytes = 256 << 10
	// hurryBytes is how much is written before the system is asked to begin writing it to the disk.
	hurryBytes = 8 << 20
	// checkBytes is how much is written between two looks at the free space.
	checkBytes = 16 << 20
)

// Options say how much is taken. The zero value has the defaults above.
type Options struct {
	MaxBytes   int64 // of one blob; 0: DefaultMaxBytes
	MaxUploads int   // at once; 0: DefaultMaxUploads
	// Reserve is how many bytes of the disk uploads leave free; 0: DefaultReserve, but at most a twentieth of
	// the disk; negative: none.
	Reserve int64
	Disk    *durable.Disk    // nil: the real one
	Now     func() time.Time // nil: time.Now
}

// ErrFull is in every error of an upload that found no room; the caller may try again when there is some.
var ErrFull = errors.New("the disk is full")

// Store is a folder of blobs. Its methods may be called at the same time.
type Store struct {
	dir     string
	o       Options
	disk    *durable.Disk
	buffers sync.Pool // of *[chunkBytes]byte

	mu       sync.Mutex // guards what is below
	sessions map[string]*session
	adding   map[string]bool // files of calls of Add
}

// Open opens the store in dir, which is made when it is not there. Uploads from before can be continued.
// Errors: Storage.
func Open(dir string, o Options) (*Store, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.MaxUploads == 0 {
		o.MaxUploads = DefaultMaxUploads
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{
		dir: dir, o: o, disk: o.Disk, sessions: map[string]*session{}, adding: map[string]bool{},
		buffers: sync.Pool{New: func() any { return new([chunkBytes]byte) }},
	}
	for _, part := range []string{"uploads", "blobs/sha256", "blobs/sha512"} {
		if err := s.disk.MakeFolders(filepath.Join(dir, filepath.FromSlash(part))); err != nil {
			return nil, storage(err, "opening the blobs in %q", dir)
		}
	}
	return s, nil
}

// Content is one blob, open for reading.
type Content struct {
	*os.File
	Size     int64
	Modified time.Time // when it was stored last
}

// Get opens a blob. Errors: NotFound, Storage.
func (s *Store) Get(d seaworthy.Digest) (*Content, error) {
	name, err := s.name(d)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, seaworthy.Errorf(seaworthy.NotFound, "there is no blob %s", d)
	}
	if err != nil {
		return nil, storage(err, "reading blob %s", d)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, storage(err, "reading blob %s", d)
	}
	return &Content{File: f, Size: info.Size(), Modified: info.ModTime()}, nil
}

// Stat returns the size of a blob. Errors: NotFound, Storage.
func (s *Store) Stat(d seaworthy.Digest) (int64, error) {
	name, err := s.name(d)
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, seaworthy.Errorf(seaworthy.NotFound, "there is no blob %s", d)
	}
	if err != nil {
		return 0, storage(err, "reading blob %s", d)
	}
	return info.Size(), nil
}

// Remove removes a blob. That there is none is no error. Errors: Storage.
func (s *Store) Remove(d seaworthy.Digest) error {
	name, err := s.name(d)
	if err != nil {
		return err
	}
	return storage(s.disk.Remove(name), "removing blob %s", d)
}

// Each calls fn for every blob, folder by folder, until it returns an error. Blobs that come or go meanwhile may
// be seen or not. Errors: Storage, and what fn returns.
func (s *Store) Each(fn func(d seaworthy.Digest, size int64, modified time.Time) error) error {
	for _, algorithm := range []string{"sha256", "sha512"} {
		above := filepath.Join(s.dir, "blobs", algorithm)
		folders, err := os.ReadDir(above)
		if err != nil {
			return storage(err, "listing the blobs in %q", s.dir)
		}
		for _, folder := range folders {
			files, err := os.ReadDir(filepath.Join(above, folder.Name()))
			if err != nil {
				return storage(err, "listing the blobs in %q", s.dir)
			}
			for _, f := range files {
				d := seaworthy.Digest(algorithm + ":" + f.Name())
				info, err := f.Info()
				if err != nil || !d.NamesContent() {
					continue // it went meanwhile, or is not ours
				}
				if err := fn(d, info.Size(), info.ModTime()); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Check returns nil when a small file can be written durably: what a health check wants to know. Errors: Storage.
func (s *Store) Check() error {
	if err := s.room(); err != nil {
		return err
	}
	return storage(s.disk.WriteFile(filepath.Join(s.dir, "uploads", "health"), []byte("ok\n")), "writing to %q", s.dir)
}

// name is where a blob is. The digest is checked here, so that no name from outside becomes a path.
func (s *Store) name(d seaworthy.Digest) (string, error) {
	if !d.NamesContent() {
		return "", seaworthy.Errorf(seaworthy.Invalid, "%q names no content", string(d))
	}
	return filepath.Join(s.dir, "blobs", d.Algorithm(), d.Hex()[:2], d.Hex()), nil
}

// commit gives a file its name for good. f is closed in any case, and removed when it fails.
func (s *Store) commit(f *os.File, d seaworthy.Digest) error {
	name, err := s.name(d)
	if err == nil {
		err = s.disk.Sync(f)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = s.disk.MakeFolders(filepath.Dir(name))
	}
	if err == nil {
		err = s.disk.Move(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return storage(err, "keeping blob %s", d)
	}
	return nil
}

// room fails when less than the reserve is free.
func (s *Store) room() error {
	if s.o.Reserve < 0 {
		return nil
	}
	free, total, err := s.disk.Space(s.dir)
	if err != nil {
		return storage(err, "asking how much room there is in %q", s.dir)
	}
	reserve := uint64(s.o.Reserve)
	if reserve == 0 {
		reserve = min(DefaultReserve, total/20)
	}
	if total > 0 && free < reserve {
		return seaworthy.Errorf(seaworthy.Storage, "writing to %q: %w: %d bytes are free, and %d are kept for notes", s.dir, ErrFull, free, reserve)
	}
	return nil
}

func newHash(algorithm string) hash.Hash {
	if algorithm == "sha512" {
		return sha512.New()
	}
	return sha256.New()
}

func digestOf(algorithm string, h hash.Hash) seaworthy.Digest {
	return seaworthy.Digest(algorithm + ":" + hex.EncodeToString(h.Sum(nil)))
}

// storage gives errors of the disk their code, and those that mean there is no room ErrFull.
func storage(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	if durable.Full(err) && !errors.Is(err, ErrFull) {
		err = errors.Join(ErrFull, err)
	}
	return seaworthy.Wrap(err, seaworthy.Storage, format, args...)
}
