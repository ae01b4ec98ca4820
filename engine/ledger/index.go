package ledger

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/seaworthy-dev/seaworthy"
)

// index finds entries. It is made from the tiles, so it is never synced while it is written and made again when it
// may have been damaged.
type index struct {
	path string
	db   *bolt.DB
	next atomic.Uint64 // the first entry that is not in it
}

// The buckets. Keys of all but leaves and state end with the entry's index, so that one thing may have many.
var (
	stateBucket = []byte("state") // next, boot, clean
	leafBucket  = []byte("leaf")  // leaf hash → index
	findBucket  = []byte("find")  // kind, length and bytes of what is looked for, index → nothing
	timeBucket  = []byte("time")  // milliseconds, index → nothing
)

// The kinds of keys in findBucket.
const (
	byDigest   = 'd'
	byIdentity = 'i'
	byKey      = 'k'
)

// openIndex opens the index of a log with size entries, or begins it anew when it may not be whole.
func openIndex(path string, size uint64) (*index, error) {
	x := &index{path: path}
	for again := range 2 {
		err := x.open(size)
		if err == nil {
			return x, nil
		}
		if errors.Is(err, bolterrors.ErrTimeout) {
			return nil, seaworthy.Wrap(err, seaworthy.Conflict, "opening the index %q: another process has it", path)
		}
		if again == 1 {
			return nil, seaworthy.Wrap(err, seaworthy.Storage, "opening the index %q", path)
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, seaworthy.Wrap(err, seaworthy.Storage, "removing the damaged index %q", path)
		}
	}
	return x, nil
}

var errStale = errors.New("it is not of this log as it is now")

func (x *index) open(size uint64) (err error) {
	x.db, err = bolt.Open(x.path, 0o600, &bolt.Options{Timeout: time.Second, NoSync: true, NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			x.db.Close()
		}
	}()
	boot := bootID()
	return x.db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{stateBucket, leafBucket, findBucket, timeBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		state := tx.Bucket(stateBucket)
		if next := state.Get([]byte("next")); len(next) == 8 {
			if state.Get([]byte("clean")) == nil && (len(boot) == 0 || !bytes.Equal(state.Get([]byte("boot")), boot)) {
				return errStale
			}
			if binary.BigEndian.Uint64(next) > size {
				return errStale
			}
			x.next.Store(binary.BigEndian.Uint64(next))
		}
		return errors.Join(state.Delete([]byte("clean")), state.Put([]byte("boot"), boot))
	})
}

// bootID tells one start of the machine from the next. What was written without a sync survives the end of a
// process, and not that of the machine.
func bootID() []byte {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil
	}
	return bytes.TrimSpace(id)
}

func (x *index) size() uint64 { return x.next.Load() }

func (x *index) close() error {
	err := x.db.Sync()
	if err == nil {
		err = x.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(stateBucket).Put([]byte("clean"), []byte{1}) })
	}
	if err == nil {
		err = x.db.Sync()
	}
	return seaworthy.Wrap(errors.Join(err, x.db.Close()), seaworthy.Storage, "closing the index %q", x.path)
}

// leaf finds the entry with a leaf hash.
func (x *index) leaf(hash [32]byte) (at uint64, found bool, err error) {
	err = x.db.View(func(tx *bolt.Tx) error {
		if v := tx.Bucket(leafBucket).Get(hash[:]); len(v) == 8 {
			at, found = binary.BigEndian.Uint64(v), true
		}
		return nil
	})
	return at, found, seaworthy.Wrap(err, seaworthy.Storage, "reading the index %q", x.path)
}

// put adds consecutive entries, the first of which is the next one.
func (x *index) put(bodies [][]byte, got time.Time) error {
	first := x.next.Load()
	err := x.db.Update(func(tx *bolt.Tx) error {
		leaves, finds, times := tx.Bucket(leafBucket), tx.Bucket(findBucket), tx.Bucket(timeBucket)
		for i, body := range bodies {
			at := binary.BigEndian.AppendUint64(nil, first+uint64(i))
			hash := rfc6962.DefaultHasher.HashLeaf(body)
			if leaves.Get(hash) == nil {
				if err := leaves.Put(hash, at); err != nil {
					return err
				}
			}
			r := recordOf(first+uint64(i), body)
			if r.Time.IsZero() {
				r.Time = got
			}
			if err := times.Put(append(binary.BigEndian.AppendUint64(nil, uint64(r.Time.UnixMilli())), at...), nil); err != nil {
				return err
			}
			for _, key := range findKeys(r) {
				if err := finds.Put(append(key, at...), nil); err != nil {
					return err
				}
			}
		}
		return tx.Bucket(stateBucket).Put([]byte("next"), binary.BigEndian.AppendUint64(nil, first+uint64(len(bodies))))
	})
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "writing the index %q", x.path)
	}
	x.next.Store(first + uint64(len(bodies)))
	return nil
}

func findKeys(r Record) [][]byte {
	var all [][]byte
	if r.Digest != "" {
		all = append(all, findKey(byDigest, string(r.Digest)))
	}
	if r.Key != "" {
		all = append(all, findKey(byKey, r.Key))
	}
	for _, who := range r.Identities {
		all = append(all, findKey(byIdentity, strings.ToLower(who)))
	}
	return all
}

// findKey has the length in front, so that no value is the beginning of another's key.
func findKey(kind byte, value string) []byte {
	if len(value) > 4096 { // no key of the database may be longer than 32 KiB
		value = value[:4096]
	}
	b := make([]byte, 0, 3+len(value)+8)
	b = append(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}

// indexPause is how far the index may be behind, when it can keep up.
const indexPause = 50 * time.Millisecond

// keepIndex brings the index up to the signed tree whenever it grows, until the log is closed.
func (l *Log) keepIndex() {
	for {
		select {
		case <-l.leave:
			return
		case <-l.follow:
		}
		// Under load, a few large transactions cost much less than many small ones. Who asks whether an entry is there
		// already does not wait for this: what is not in the index yet is in waiting.
		select {
		case <-l.leave:
			return
		case <-time.After(indexPause):
		}
		if err := l.catchUp(context.Background()); err != nil {
			l.o.Log.Error("the index of the log cannot follow it", "log", l.origin, "error", err.Error())
		}
	}
}

// catchUp indexes what is signed and not indexed, a bundle at a time.
func (l *Log) catchUp(ctx context.Context) error {
	l.indexing.Lock()
	defer l.indexing.Unlock()
	for size := l.Size(); l.index.size() < size; {
		first := l.index.size()
		number := first / layout.EntryBundleWidth
		bundle, err := l.ReadEntryBundle(ctx, number, layout.PartialTileSize(0, number, size))
		if err != nil {
			return seaworthy.Wrap(err, seaworthy.Storage, "reading entries from %d", first)
		}
		var bodies [][]byte
		if err := eachEntry(bundle, func(body []byte) { bodies = append(bodies, body) }); err != nil {
			return err
		}
		last := min(uint64(len(bodies)), size-number*layout.EntryBundleWidth)
		if last <= first%layout.EntryBundleWidth {
			return seaworthy.Errorf(seaworthy.Mismatch, "reading entries from %d: the bundle has only %d", first, len(bodies))
		}
		bodies = bodies[first%layout.EntryBundleWidth : last]
		if err := l.index.put(bodies, time.Now()); err != nil {
			return err
		}
		l.waitingMu.Lock()
		for _, body := range bodies {
			delete(l.waiting, [32]byte(rfc6962.DefaultHasher.HashLeaf(body)))
		}
		l.waitingMu.Unlock()
	}
	return nil
}

// Query says which entries are looked for: those that have everything that is set. The zero value finds all.
type Query struct {
	Digest   seaworthy.Digest
	Identity string // compared without regard to case
	Key      string // SHA-256 of the SubjectPublicKeyInfo, hexadecimal
	Since    time.Time
	Until    time.Time // exclusive
	From     uint64    // the first index that is wanted
	Limit    int       // at most this many; 0: 100
}

// MaxFound is the largest Limit.
const MaxFound = 10_000

// maxVisited bounds what one question may look at.
const maxVisited = 1_000_000

func find(ctx context.Context, x *index, r Reader, q Query) ([]Record, error) {
	if q.Limit <= 0 {
		q.Limit = 100
	}
	if _, err := hex.DecodeString(q.Key); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Usage, "searching the log: the key %q is not the hexadecimal SHA-256 of one", q.Key)
	}
	q.Limit = min(q.Limit, MaxFound)
	size := x.size()
	found := []Record{}
	if size == 0 {
		return found, nil
	}
	visited := 0
	err := x.db.View(func(tx *bolt.Tx) error {
		next := x.candidates(tx, q, size)
		for at, ok := next(); ok && len(found) < q.Limit; at, ok = next() {
			if visited++; visited > maxVisited {
				return seaworthy.Errorf(seaworthy.TooLarge, "searching the log: %d entries were looked at; ask for less", visited)
			}
			if visited%256 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			if at < q.From {
				continue
			}
			body, err := readEntry(ctx, r, at, size)
			if err != nil {
				return err
			}
			if rec := recordOf(at, body); q.matches(rec) {
				found = append(found, rec)
			}
		}
		return nil
	})
	return found, seaworthy.Wrap(err, seaworthy.Storage, "searching the log")
}

// candidates gives entries among which all that match q are, by the most telling thing q has.
func (x *index) candidates(tx *bolt.Tx, q Query, size uint64) func() (uint64, bool) {
	var prefix []byte
	switch {
	case q.Digest != "":
		prefix = findKey(byDigest, string(q.Digest))
	case q.Key != "":
		prefix = findKey(byKey, strings.ToLower(q.Key))
	case q.Identity != "":
		prefix = findKey(byIdentity, strings.ToLower(q.Identity))
	case !q.Since.IsZero() || !q.Until.IsZero():
		return timed(tx, q)
	default:
		at := q.From
		return func() (uint64, bool) { at++; return at - 1, at <= size }
	}
	c := tx.Bucket(findBucket).Cursor()
	k, _ := c.Seek(binary.BigEndian.AppendUint64(bytes.Clone(prefix), q.From))
	return func() (uint64, bool) {
		if len(k) != len(prefix)+8 || !bytes.HasPrefix(k, prefix) {
			return 0, false
		}
		at := binary.BigEndian.Uint64(k[len(prefix):])
		k, _ = c.Next()
		return at, true
	}
}

func timed(tx *bolt.Tx, q Query) func() (uint64, bool) {
	c := tx.Bucket(timeBucket).Cursor()
	var k []byte
	if q.Since.IsZero() {
		k, _ = c.First()
	} else {
		k, _ = c.Seek(binary.BigEndian.AppendUint64(nil, uint64(q.Since.UnixMilli())))
	}
	return func() (uint64, bool) {
		if len(k) != 16 || !q.Until.IsZero() && binary.BigEndian.Uint64(k) >= uint64(q.Until.UnixMilli()) {
			return 0, false
		}
		at := binary.BigEndian.Uint64(k[8:])
		k, _ = c.Next()
		return at, true
	}
}

func (q Query) matches(r Record) bool {
	switch {
	case q.Digest != "" && r.Digest != q.Digest,
		q.Key != "" && !strings.EqualFold(r.Key, q.Key),
		!r.Time.IsZero() && !q.Since.IsZero() && r.Time.Before(q.Since),
		!r.Time.IsZero() && !q.Until.IsZero() && !r.Time.Before(q.Until):
		return false
	case q.Identity == "":
		return true
	}
	for _, who := range r.Identities {
		if strings.EqualFold(who, q.Identity) {
			return true
		}
	}
	return false
}

// readNext reads how far an index goes that is only read.
func (x *index) readNext() error {
	err := x.db.View(func(tx *bolt.Tx) error {
		state := tx.Bucket(stateBucket)
		if state == nil || tx.Bucket(findBucket) == nil || tx.Bucket(timeBucket) == nil || len(state.Get([]byte("next"))) != 8 {
			return nil // nothing is indexed
		}
		x.next.Store(binary.BigEndian.Uint64(state.Get([]byte("next"))))
		return nil
	})
	return seaworthy.Wrap(err, seaworthy.Storage, "reading the index %q", x.path)
}
