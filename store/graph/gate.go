package graph

import (
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seaworthy-dev/seaworthy/internal/durable"
)

// gate is the file system of one opened database. Pebble ends the process when it cannot write: its log and its list
// of files cannot go on after an error. This process has other things to do, so what Pebble sees is this:
//
//   - A full disk is a slow disk: what finds no room waits until there is some. Meanwhile changes are refused, and
//     questions are answered. Nothing has to be opened again.
//   - After any other error of writing, nothing more is written through this gate, ever: the system may have thrown
//     away what it had not written, and nothing may be acknowledged on top of that. What would write stays where it
//     is, so that Pebble never learns of the error and questions are answered from what is there, until another
//     database was opened in the same folder from what really is on the disk.
//
// Only files in the database's own folder count: a backup into another that fails is an error of the backup.
type gate struct {
	vfs.FS
	dir    string
	broken func(error) // called once, when nothing more is written
	live   atomic.Bool // the database is open; before that, errors are for whoever opens it

	writing sync.RWMutex // held for reading while something is written
	shut    bool         // guarded by writing

	mu      sync.Mutex
	waiting int           // operations that found no room; guarded by mu
	full    chan struct{} // closed while there are some; guarded by mu
}

// roomInterval is how often what found no room looks again: there is no event for it.
const roomInterval = 200 * time.Millisecond

func newGate(fs vfs.FS, dir string, broken func(error)) *gate {
	return &gate{FS: fs, dir: dir, broken: broken, full: make(chan struct{})}
}

// fullness is closed while operations wait for room.
func (g *gate) fullness() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.full
}

func (g *gate) wait(by int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting += by
	switch {
	case by > 0 && g.waiting == 1:
		close(g.full)
	case g.waiting == 0:
		g.full = make(chan struct{})
	}
}

// close lets nothing through any more. What is being written is waited for.
func (g *gate) close(why error) {
	g.writing.Lock()
	first := !g.shut
	g.shut = true
	g.writing.Unlock()
	if first {
		g.broken(why)
	}
}

// try does something that writes, if anything is written. Whether it must work is what counts says.
func (g *gate) try(do func() error) error {
	g.writing.RLock()
	if g.shut {
		g.writing.RUnlock()
		select {} // for ever
	}
	defer g.writing.RUnlock()
	return do()
}

// must does something that the database cannot go on without.
func (g *gate) must(name string, do func() error) error {
	err := g.try(do)
	if err == nil || !g.live.Load() || !strings.HasPrefix(name, g.dir) {
		return err
	}
	for waits := false; ; {
		switch {
		case err == nil:
			if waits {
				g.wait(-1)
			}
			return nil
		case !durable.Full(err):
			g.close(err)
		case !waits:
			waits = true
			g.wait(1)
			time.Sleep(roomInterval)
		default:
			time.Sleep(roomInterval)
		}
		err = g.try(do)
	}
}

func (g *gate) file(name string, open func() (vfs.File, error)) (vfs.File, error) {
	var f vfs.File
	err := g.must(name, func() (err error) {
		f, err = open()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &gateFile{f, g, name}, nil
}

// Create implements vfs.FS, as do those below.
func (g *gate) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return g.file(name, func() (vfs.File, error) { return g.FS.Create(name, category) })
}

// OpenReadWrite opens a file for writing.
func (g *gate) OpenReadWrite(name string, category vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return g.file(name, func() (vfs.File, error) { return g.FS.OpenReadWrite(name, category, o...) })
}

// ReuseForWrite renames a file and opens it for writing.
func (g *gate) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return g.file(name, func() (vfs.File, error) { return g.FS.ReuseForWrite(old, name, category) })
}

// OpenDir opens a folder, which is synced through the gate.
func (g *gate) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &gateFile{f, g, name}, nil
}

// Link makes a hard link.
func (g *gate) Link(old, name string) error {
	return g.must(name, func() error { return g.FS.Link(old, name) })
}

// Rename renames a file.
func (g *gate) Rename(old, name string) error {
	return g.must(name, func() error { return g.FS.Rename(old, name) })
}

// Remove removes a file. That it cannot is no reason to stop.
func (g *gate) Remove(name string) error { return g.try(func() error { return g.FS.Remove(name) }) }

// RemoveAll removes a folder.
func (g *gate) RemoveAll(name string) error {
	return g.try(func() error { return g.FS.RemoveAll(name) })
}

// MkdirAll makes folders.
func (g *gate) MkdirAll(dir string, perm os.FileMode) error {
	return g.try(func() error { return g.FS.MkdirAll(dir, perm) })
}

// Lock does nothing: the folder is locked for longer than one database is open.
func (g *gate) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Unwrap gives the file system behind the gate.
func (g *gate) Unwrap() vfs.FS { return g.FS }

// gateFile is a file that is written through a gate.
type gateFile struct {
	vfs.File
	gate *gate
	name string
}

func (f *gateFile) Write(p []byte) (n int, err error) {
	err = f.gate.must(f.name, func() error {
		m, err := f.File.Write(p[n:])
		n += m
		return err
	})
	return n, err
}

func (f *gateFile) WriteAt(p []byte, at int64) (n int, err error) {
	err = f.gate.must(f.name, func() error {
		n, err = f.File.WriteAt(p, at)
		return err
	})
	return n, err
}

// Preallocate is only a hint.
func (f *gateFile) Preallocate(offset, length int64) error {
	_ = f.gate.try(func() error { return f.File.Preallocate(offset, length) })
	return nil
}

func (f *gateFile) Sync() error { return f.sync(f.File.Sync) }

func (f *gateFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *gateFile) SyncTo(length int64) (full bool, err error) {
	err = f.sync(func() error {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}

// sync syncs. One that finds no room has lost what it was to keep: there is nothing to wait for.
func (f *gateFile) sync(do func() error) error {
	return f.gate.must(f.name, func() error {
		if err := do(); err != nil {
			return syncError{err}
		}
		return nil
	})
}

// syncError hides from durable.Full what kind of error it was.
type syncError struct{ cause error }

func (e syncError) Error() string { return "syncing: " + e.cause.Error() }
