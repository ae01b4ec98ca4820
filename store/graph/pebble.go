package graph

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seaworthy-dev/seaworthy"
)

// layoutVersion is the version of the keys and values of a folder.
const layoutVersion = 1

var (
	metaVersion = []byte("mversion")
	metaTotals  = []byte("mtotals")
)

// folder is a Store in a folder, by Pebble.
type folder struct {
	dir  string
	o    Options
	lock io.Closer // nil when the folder cannot be written to

	// These outlive a database that is left behind, so that what that held of them can be used again.
	cache *pebble.Cache
	files *pebble.FileCache

	mu       sync.Mutex
	now      *opened // what is used; guarded by mu
	closed   bool    // guarded by mu
	reviving sync.Mutex
	revived  int // how often; guarded by reviving
}

// opened is a database that is open. After an error of writing it is only read, until another takes its place, and
// then left behind: Pebble cannot close what it cannot write.
type opened struct {
	*pebble.DB
	gate   *gate
	users  sync.WaitGroup
	broken chan struct{} // closed when nothing is written any more
	why    error         // then

	// changing is held while a change looks at what is there and is given to the log, in this order, but not while
	// the log is synced: changes that wait for a sync share it.
	changing sync.Mutex
	totals   totals // guarded by changing
	seen     *seen  // guarded by changing
}

var _ Store = (*folder)(nil)

// totals is how much there is. It is written with every change.
type totals struct{ subjects, documents, statements, jobs int64 }

func (t totals) pack() []byte {
	var b []byte
	for _, n := range []int64{t.subjects, t.documents, t.statements, t.jobs} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return b
}

func unpackTotals(b []byte) (totals, error) {
	if len(b) != 4*8 {
		return totals{}, errEncoding
	}
	n := func(i int) int64 { return int64(binary.BigEndian.Uint64(b[8*i:])) }
	return totals{n(0), n(1), n(2), n(3)}, nil
}

func openFolder(dir string, o Options) (*folder, error) {
	f := &folder{dir: dir, o: o}
	if o.Files == vfs.Default {
		if abs, err := filepath.Abs(dir); err == nil { // so that two names of one folder are one
			f.dir = abs
		}
	}
	if !o.ReadOnly {
		if err := o.Files.MkdirAll(f.dir, 0o700); err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Storage, "opening the graph in %q", dir)
		}
	} else if _, err := o.Files.Stat(f.dir); errors.Is(err, os.ErrNotExist) {
		return nil, seaworthy.Errorf(seaworthy.NotFound, "opening the graph in %q: there is none", dir)
	}
	var err error
	f.lock, err = o.Files.Lock(o.Files.PathJoin(f.dir, "LOCK"))
	switch {
	case err != nil && locked(err):
		return nil, seaworthy.Errorf(seaworthy.Conflict, "opening the graph in %q: another process has it open", dir).
			WithHint("ask that process (seaworthy up answers over HTTP), or stop it first")
	case err != nil && !o.ReadOnly: // who only reads may not be able to make the file
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "opening the graph in %q", dir)
	case err != nil:
		f.lock = nil
	}
	f.cache, f.files = pebble.NewCache(o.Cache), pebble.NewFileCache(4, maxFiles)
	if f.now, err = f.start(); err != nil && f.lock != nil {
		err = errors.Join(err, f.lock.Close())
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// maxFiles is how many files are open at most.
const maxFiles = 500

// start opens the folder that is locked.
func (f *folder) start() (*opened, error) {
	d := &opened{broken: make(chan struct{}), seen: new(seen)}
	d.gate = newGate(f.o.Files, f.dir, func(why error) {
		d.why = why
		close(d.broken)
	})
	err := errStuck
	ended := make(chan struct{})
	go func() { // which Pebble may end: see quiet.Fatalf
		defer close(ended)
		err = f.open(d)
	}()
	<-ended
	if err != nil {
		return nil, f.failed(err, "opening the graph in %q", f.dir)
	}
	d.gate.live.Store(true)
	return d, nil
}

func (f *folder) open(d *opened) (err error) {
	if d.DB, err = pebble.Open(f.dir, f.pebbleOptions(d)); err != nil {
		return f.unopened(err)
	}
	if d.totals, err = f.begin(d.DB); err != nil {
		return errors.Join(err, d.Close())
	}
	return nil
}

// begin looks whether what is there can be used, and writes the version into what is new.
func (f *folder) begin(db *pebble.DB) (t totals, err error) {
	version, ok, err := get(db, metaVersion)
	switch {
	case err != nil:
		return t, f.unopened(err)
	case !ok && f.o.ReadOnly:
		return t, seaworthy.Errorf(seaworthy.NotFound, "opening the graph in %q: there is none", f.dir)
	case !ok:
		it, err := db.NewIter(nil)
		if err != nil {
			return t, f.unopened(err)
		}
		other := it.First()
		if err := it.Close(); err != nil {
			return t, f.unopened(err)
		}
		if other {
			return t, seaworthy.Errorf(seaworthy.Mismatch, "opening the graph in %q: it has rows and no version", f.dir).WithHint("%s", mend)
		}
		return t, f.failed(db.Set(metaVersion, []byte{layoutVersion}, pebble.Sync), "opening the graph in %q", f.dir)
	case len(version) != 1 || version[0] > layoutVersion:
		return t, seaworthy.Errorf(seaworthy.Stale, "opening the graph in %q: its layout is %x and this program knows %d", f.dir, version, layoutVersion).
			WithHint("use the program that wrote it, or a newer one")
	}
	written, ok, err := get(db, metaTotals)
	if err != nil || !ok {
		return t, f.failed(err, "opening the graph in %q", f.dir)
	}
	t, err = unpackTotals(written)
	return t, f.damaged(err, "the totals")
}

// mend is what to do about a folder that is damaged.
const mend = "move the folder away and restore a backup (seaworthy graph restore), or rebuild it from its documents (seaworthy graph rebuild)"

// unopened says why Pebble could not open the folder.
func (f *folder) unopened(err error) error {
	if pebble.IsCorruptionError(err) || errors.Is(err, os.ErrNotExist) {
		return f.damaged(err, "")
	}
	return f.failed(err, "opening the graph in %q", f.dir)
}

// Close waits for what is being done, and closes the folder. When the disk is full or broken, the database is left
// behind: what was acknowledged is in its log.
func (f *folder) Close() error {
	f.mu.Lock()
	d, closed := f.now, f.closed
	f.closed = true
	f.mu.Unlock()
	if closed {
		return nil
	}
	d.users.Wait()
	err := f.retire(d)
	if f.lock != nil {
		err = errors.Join(err, f.lock.Close())
	}
	return f.failed(err, "closing the graph in %q", f.dir)
}

// retire closes a database that nobody uses any more, if that can be done.
func (f *folder) retire(d *opened) error {
	result := make(chan error, 1)
	full := d.gate.fullness()
	go func() {
		err := errStuck
		defer func() { result <- err }()
		err = nil
		if !f.o.ReadOnly {
			err = d.Flush() // the log is not compressed
		}
		err = errors.Join(err, d.DB.Close())
	}()
	select {
	case <-d.broken:
		return d.why
	default:
	}
	select {
	case err := <-result:
		f.cache.Unref()
		f.files.Unref()
		return err
	case <-d.broken:
		return d.why
	case <-full:
		d.gate.close(f.noRoom("closing the graph"))
		return d.why
	}
}

// use gives the open database until done is called. Errors: Unavailable after Close.
func (f *folder) use() (db *opened, done func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, nil, seaworthy.Errorf(seaworthy.Unavailable, "using the graph in %q: it is closed", f.dir)
	}
	d := f.now
	d.users.Add(1)
	return d, d.users.Done, nil
}

// maxRevivals is how often a folder is opened again: what is left behind keeps some memory.
const maxRevivals = 10

// revive opens the folder again when the last error left a database that can only be read.
func (f *folder) revive() error {
	f.reviving.Lock()
	defer f.reviving.Unlock()
	f.mu.Lock()
	old := f.now
	f.mu.Unlock()
	select {
	case <-old.broken:
	default:
		return nil // somebody else has
	}
	if f.revived == maxRevivals {
		return seaworthy.Errorf(seaworthy.Storage, "the disk failed %d times, the last time with: %w", maxRevivals+1, old.why).WithHint("look after the disk, and start this program again")
	}
	d, err := f.start()
	if err != nil {
		return err
	}
	f.revived++
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed { // meanwhile
		return errors.Join(seaworthy.Errorf(seaworthy.Unavailable, "using the graph in %q: it is closed", f.dir), f.retire(d))
	}
	f.now = d
	return nil
}

// writer is one change: what it looks at, what it writes, and how much there is afterwards.
type writer struct {
	*pebble.Batch
	db       *pebble.DB
	totals   totals
	kinds    map[ID]byte // of the subjects that addNodes was given
	seen     *seen
	queued   map[string]bool // jobs that were added
	finished string          // a job that was removed
}

// seen remembers subjects that are there, so that those of many documents are not looked for again and again. Each
// has one place, which the next takes over.
type seen [1 << 16]ID

func (s *seen) at(id ID) *ID { return &s[int(id[0])<<8|int(id[1])] }

// change makes a change that is whole or not there, and durable when it returns. do looks at the state that all
// changes before have made, and no other change comes between. What it returns is true if there is something to write.
// prepare, if any, writes what needs no look. After an error do may still be at work: it must not use what callers own.
func (f *folder) change(ctx context.Context, doing string, prepare func(*pebble.Batch) error, do func(*writer) (bool, error)) error {
	if f.o.ReadOnly {
		return seaworthy.Errorf(seaworthy.Forbidden, "%s: the graph in %q is open for reading only", doing, f.dir)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	d, done, err := f.use()
	if err != nil {
		return err
	}
	defer func() { done() }()
	select {
	case <-d.broken:
		if err := f.revive(); err != nil {
			return f.failed(err, "%s", doing)
		}
		done()
		if d, done, err = f.use(); err != nil {
			done = func() {}
			return err
		}
	default:
	}
	full := d.gate.fullness()
	select {
	case <-full:
		return f.noRoom(doing)
	default:
	}
	b := d.NewBatch()
	if prepare != nil {
		if err := prepare(b); err != nil {
			return f.failed(errors.Join(err, b.Close()), "%s", doing)
		}
	}
	// It may never come back: then it is left behind with its database.
	result := make(chan error, 1)
	go func() {
		err := errStuck
		defer func() { result <- err }()
		err = d.change(b, do)
	}()
	select {
	case err := <-result:
		if errors.Is(err, errStuck) {
			<-d.broken
			err = d.why
		}
		return f.failed(err, "%s", doing)
	case <-d.broken:
		return f.failed(d.why, "%s", doing)
	case <-full:
		return f.noRoom(doing)
	}
}

var errStuck = errors.New("the database is stuck")

func (f *folder) noRoom(doing string) error {
	return seaworthy.Errorf(seaworthy.Storage, "%s: the disk with the graph in %q is full", doing, f.dir).WithHint("make room; it goes on by itself")
}

func (d *opened) change(b *pebble.Batch, do func(*writer) (bool, error)) error {
	w, err := d.commit(b, do)
	if err == nil {
		err = w.SyncWait()
	}
	return errors.Join(err, w.Close())
}

// commit gives a change to the log, in its turn.
func (d *opened) commit(b *pebble.Batch, do func(*writer) (bool, error)) (*writer, error) {
	d.changing.Lock()
	defer d.changing.Unlock()
	w := &writer{Batch: b, db: d.DB, totals: d.totals, seen: d.seen}
	write, err := do(w)
	if err != nil {
		*d.seen = seen{} // what it said was not written
		return w, err
	}
	if !write {
		// What this call relies on may have been seen before it was durable: wait as long as a change would.
		w.Reset()
		if err := w.LogData(nil, nil); err != nil {
			return w, err
		}
		return w, d.ApplyNoSyncWait(w.Batch, pebble.Sync)
	}
	if err := w.Set(metaTotals, w.totals.pack(), nil); err != nil {
		return w, err
	}
	if err := d.ApplyNoSyncWait(w.Batch, pebble.Sync); err != nil {
		return w, err
	}
	d.totals = w.totals
	return w, nil
}

// failed gives an error of Pebble's or the disk's the code Storage; one of ours keeps its own.
func (f *folder) failed(err error, doing string, args ...any) error {
	if err != nil && pebble.IsCorruptionError(err) {
		err = f.damaged(err, "")
	}
	return seaworthy.Wrap(err, seaworthy.Storage, doing, args...)
}

// damaged says that something is not as it was written.
func (f *folder) damaged(err error, what string) error {
	var own *seaworthy.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return err
	case what != "":
		what = ", " + what
	}
	said, _, _ := strings.Cut(err.Error(), "\n") // Pebble adds lines for developers
	return seaworthy.Errorf(seaworthy.Mismatch, "the graph in %q is damaged%s: %s", f.dir, what, said).WithHint("%s", mend)
}
