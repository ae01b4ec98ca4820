package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/gofrs/flock"
	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"k8s.io/klog/v2"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/durable"
)

// Options say how a log is kept. The zero value is good for a disk of its own.
type Options struct {
	// HighWater is the file that remembers the newest tree signed; "": a file beside the folder. Where backups of
	// the folder may be put back, it belongs on another disk: it is what notices.
	HighWater string
	// BatchAge is how long an entry waits for others to be written with it. 0: 5 ms.
	BatchAge time.Duration
	// Checkpoint is how often the published checkpoint is renewed while the log grows; at least 100 ms. 0: 100 ms.
	Checkpoint time.Duration
	// Pending is how many entries may be waiting; further ones are refused as Unavailable. 0: 4096.
	Pending int
	// Reserve is how many bytes of the disk must be free for an entry to be taken. 0: 32 MiB.
	Reserve uint64
	Disk    *durable.Disk
	Log     *slog.Logger // nil: none
}

func (o *Options) fill(path string) {
	if o.HighWater == "" {
		o.HighWater = filepath.Clean(path) + ".high-water"
	}
	if o.BatchAge == 0 {
		o.BatchAge = 5 * time.Millisecond
	}
	if o.Checkpoint == 0 {
		o.Checkpoint = 100 * time.Millisecond
	}
	if o.Pending == 0 {
		o.Pending = 4096
	}
	if o.Reserve == 0 {
		o.Reserve = 32 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// batchEntries is the largest batch.
const batchEntries = 1024

var emptyRoot = [32]byte(rfc6962.DefaultHasher.EmptyRoot())

// tree is what all kinds of logs have in common.
type tree struct {
	Folder
	origin   string
	verifier note.Verifier
	o        Options
	nodes    *nodes
	guard    *guard
	lock     *flock.Flock

	appender *tessera.Appender
	drain    func(context.Context) error
	reader   tessera.LogReader
	stop     context.CancelFunc

	pending atomic.Int64
	closing atomic.Bool
	failure atomic.Pointer[seaworthy.Error] // of the newest entry; nil when it was kept

	sealing sync.Mutex // held while a tree is signed for answers
	sealed  atomic.Pointer[sealed]
}

// sealed is a signed tree.
type sealed struct {
	mark
	checkpoint []byte
}

// kind is what differs between logs.
type kind struct {
	signer   note.Signer
	verifier note.Verifier
	options  func(*tessera.AppendOptions) *tessera.AppendOptions
	hash     func(bundle []byte) ([][]byte, error)
	certs    bool
}

var quietOnce sync.Once

// openTree opens the tree in a folder for this process alone, and checks that it may be signed.
func openTree(ctx context.Context, path string, k kind, o Options) (_ *tree, err error) {
	o.fill(path)
	// The library below talks to stderr; what matters of it comes back as errors.
	quietOnce.Do(func() { klog.SetLogger(logr.Discard()) })
	if err := o.Disk.MakeFolders(path); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "making the folder of the log %q", path)
	}
	t := &tree{
		Folder: Folder{Path: path, Certificates: k.certs}, origin: k.signer.Name(), verifier: k.verifier, o: o,
		lock: flock.New(filepath.Join(path, "lock"), flock.SetPermissions(0o600)),
	}
	t.nodes = newNodes(t.Folder)
	if got, err := t.lock.TryLock(); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "locking the log in %q", path)
	} else if !got {
		return nil, seaworthy.Errorf(seaworthy.Conflict, "opening the log in %q: another process writes it", path).
			WithHint("two writers would fork the log; stop the other one first")
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.lock.Unlock())
		}
	}()
	if err := t.checkOrigin(); err != nil {
		return nil, err
	}
	if err := t.arm(ctx, k); err != nil {
		return nil, err
	}
	driver, err := posix.New(ctx, posix.Config{Path: path})
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "opening the log in %q", path)
	}
	options := tessera.NewAppendOptions().WithCheckpointSigner(t.guard).WithBatching(batchEntries, o.BatchAge).
		WithCheckpointInterval(o.Checkpoint).WithShutdownTimeout(25 * time.Second)
	if k.options != nil {
		options = k.options(options)
	}
	alive, stop := context.WithCancel(context.WithoutCancel(ctx))
	if t.appender, t.drain, t.reader, err = tessera.NewAppender(alive, driver, options); err != nil {
		stop()
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "opening the log in %q", path)
	}
	t.stop = stop
	return t, nil
}

// checkOrigin refuses to open a log under another name: its checkpoints would be another log's.
func (t *tree) checkOrigin() error {
	file := filepath.Join(t.Path, "origin")
	body, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return seaworthy.Wrap(t.o.Disk.WriteFile(file, []byte(t.origin+"\n")), seaworthy.Storage, "writing %q", file)
	} else if err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "reading %q", file)
	}
	if was := strings.TrimSuffix(string(body), "\n"); was != t.origin {
		return seaworthy.Errorf(seaworthy.Conflict, "opening the log in %q as %q: its name is %q", t.Path, t.origin, was).
			WithHint("the name comes from the host in the address; serve it at the host it was made for, or begin a new folder")
	}
	return nil
}

// arm makes the guard, after it has checked the folder.
func (t *tree) arm(ctx context.Context, k kind) error {
	state, found, err := readState(ctx, t.Path, t.origin, t.verifier)
	if err != nil {
		return err
	}
	water, last, remembered, err := openHighWater(t.o.HighWater, t.o.Disk)
	if err != nil {
		return err
	}
	t.guard = &guard{origin: t.origin, signer: k.signer, nodes: t.nodes, water: water, last: mark{0, emptyRoot}}
	var refusal error
	switch {
	case !found && remembered && last.size > 0:
		refusal = seaworthy.Errorf(seaworthy.Mismatch, "it is empty, and it had %d entries", last.size)
	case found && remembered:
		refusal = agree(ctx, state, &last, t.nodes, t.Folder, k.hash)
	case found:
		refusal = agree(ctx, state, nil, t.nodes, t.Folder, k.hash)
	}
	if refusal != nil {
		e := seaworthy.Errorf(seaworthy.Refused, "opening the log in %q: %w", t.Path, refusal)
		return e.WithHint("going on would fork the log; restore its newest storage, or begin a new log with a new key")
	}
	if remembered {
		t.guard.last = last
	} else if state.checkpoint != nil {
		t.guard.last = *state.checkpoint
		t.o.Log.Warn("the log had no high-water file; its checkpoint is believed", "log", t.origin, "entries", state.checkpoint.size)
	}
	return nil
}

// ready says why an entry cannot be taken now.
func (t *tree) ready() error {
	if t.closing.Load() {
		return seaworthy.Errorf(seaworthy.Unavailable, "adding to the log %q: it is being closed", t.origin)
	}
	if err := t.guard.state(); err != nil {
		return err
	}
	if err := t.o.Disk.Before(durable.OpWrite, t.Path); err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "adding to the log %q", t.origin)
	}
	free, total, err := t.o.Disk.Space(t.Path)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "looking for room for the log %q", t.origin)
	}
	if total > 0 && free < t.o.Reserve {
		return seaworthy.Errorf(seaworthy.Storage, "adding to the log %q: only %d bytes of the disk are free, and %d must stay so", t.origin, free, t.o.Reserve)
	}
	return nil
}

// Check says why entries are not kept now; nil when they are.
func (t *tree) Check() error {
	if err := t.ready(); err != nil {
		return err
	}
	if e := t.failure.Load(); e != nil {
		return e
	}
	return nil
}

// add puts an entry into the tree and returns when it is on the disk. It does not return early when ctx ends,
// because the entry is kept all the same. Errors: Unavailable when too many wait, Storage, Refused.
func (t *tree) add(ctx context.Context, future func(context.Context) tessera.IndexFuture) (uint64, error) {
	if n := t.pending.Add(1); n > int64(t.o.Pending) {
		t.pending.Add(-1)
		return 0, seaworthy.Errorf(seaworthy.Unavailable, "adding to the log %q: %d entries wait already", t.origin, t.o.Pending)
	}
	defer t.pending.Add(-1)
	if err := t.ready(); err != nil {
		return 0, err
	}
	signed := t.guard.newest().size // before the entry has an index, so that the index cannot be below it
	index, err := future(context.WithoutCancel(ctx))()
	if err == nil && index.Index < signed {
		return 0, t.guard.halt(fmt.Errorf("a new entry has the index %d, and %d entries were signed", index.Index, signed))
	}
	if err != nil {
		e := seaworthy.Errorf(seaworthy.Storage, "adding to the log %q: %w", t.origin, err)
		t.failure.Store(e)
		return 0, e
	}
	t.failure.Store(nil)
	return index.Index, nil
}

// covering returns a signed tree with the entry at index, and signs one when there is none. All entries that wait
// meanwhile share it.
func (t *tree) covering(ctx context.Context, index uint64) (*sealed, error) {
	if s := t.sealed.Load(); s != nil && s.size > index {
		return s, nil
	}
	t.sealing.Lock()
	defer t.sealing.Unlock()
	if s := t.sealed.Load(); s != nil && s.size > index {
		return s, nil
	}
	signed := t.guard.newest() // before the size is read, so that it cannot be ahead of it
	size, err := t.reader.IntegratedSize(ctx)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading the size of the log %q", t.origin)
	}
	if size < signed.size || size <= index {
		return nil, t.guard.halt(fmt.Errorf("it has %d entries, fewer than the %d it had", size, max(signed.size, index+1)))
	}
	root, err := t.nodes.root(ctx, size)
	if err != nil {
		return nil, err
	}
	text := log.Checkpoint{Origin: t.origin, Size: size, Hash: root}.Marshal()
	checkpoint, err := note.Sign(&note.Note{Text: string(text)}, t.guard)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "signing a checkpoint")
	}
	s := &sealed{mark{size, [32]byte(root)}, checkpoint}
	t.sealed.Store(s)
	return s, nil
}

// Origin is the log's name, the first line of its checkpoints.
func (t *tree) Origin() string { return t.origin }

// Size is the number of entries in the newest tree that was signed.
func (t *tree) Size() uint64 { return t.guard.newest().size }

// Pending is the number of entries that wait.
func (t *tree) Pending() int64 { return t.pending.Load() }

// close finishes what waits and publishes it, for as long as ctx allows. What was acknowledged is kept in any case.
func (t *tree) close(ctx context.Context) error {
	if t.closing.Swap(true) {
		return nil
	}
	for t.pending.Load() > 0 && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	var err error
	if t.guard.state() == nil { // else nothing would ever be published
		err = t.drain(ctx)
	}
	t.stop()
	t.guard.stopQuietly(t.origin)
	return errors.Join(seaworthy.Wrap(err, seaworthy.Interrupted, "closing the log %q", t.origin),
		seaworthy.Wrap(t.lock.Unlock(), seaworthy.Storage, "unlocking the log %q", t.origin))
}
