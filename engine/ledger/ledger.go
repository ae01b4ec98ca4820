// Package ledger is a transparency log: a list that anybody can check nobody has changed.
//
//	l, err := ledger.Open(ctx, dir, "log.example", key, ledger.Options{})
//	entry, err := l.Submit(ctx, request)   // when it returns, the entry is on the disk and proven
//
// Entries are Rekor's hashedrekord 0.0.2, the tree is kept as C2SP tlog-tiles by tessera. Entries that arrive together
// are written together, and share one signed tree and the tiles their proofs are made of.
//
// A log never forks. Its key signs a tree only if that tree contains every tree it signed before (guard.go), one
// process at a time may write it, and a folder that was rolled back or damaged is not opened (state.go). What stops
// for such a reason stays stopped until a person has looked.
//
// OpenCertificates opens a log of certificates (RFC 6962 with the layout of C2SP static-ct-api) on the same ground.
package ledger

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"path/filepath"
	"sync"

	pbcommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	pbrekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	pb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera"

	"github.com/seaworthy-dev/seaworthy"
)

// Log is a log of signatures.
type Log struct {
	*tree
	id     []byte
	public []byte // SubjectPublicKeyInfo
	index  *index

	// waiting has the entries that are being added or are not in the index yet, by leaf hash.
	waitingMu sync.Mutex
	waiting   map[[32]byte]*waiter
	follow    chan struct{} // told when there is something to index
	leave     chan struct{} // closed when the index need not follow any more
	followed  sync.WaitGroup
	indexing  sync.Mutex // held while the index grows
}

type waiter struct {
	done  chan struct{} // closed when index and err are final
	index uint64
	err   error
}

// noteKeys makes of a key what signs checkpoints and checks them, and the identifier of the log.
func noteKeys(ctx context.Context, origin string, key crypto.Signer) (kind, []byte, error) {
	if _, ok := key.(ed25519.PrivateKey); !ok {
		return kind{}, nil, seaworthy.Errorf(seaworthy.Unsupported, "opening the log %q: its key is a %T; only Ed25519 logs can be witnessed", origin, key)
	}
	sv, err := signature.LoadED25519SignerVerifier(key.(ed25519.PrivateKey))
	if err != nil {
		return kind{}, nil, err
	}
	signer, err := rekornote.NewNoteSigner(context.WithoutCancel(ctx), origin, sv)
	if err != nil {
		return kind{}, nil, seaworthy.Wrap(err, seaworthy.Usage, "opening the log %q", origin)
	}
	verifier, err := rekornote.NewNoteVerifier(origin, sv)
	if err != nil {
		return kind{}, nil, seaworthy.Wrap(err, seaworthy.Usage, "opening the log %q", origin)
	}
	_, id, err := rekornote.KeyHash(origin, key.Public())
	return kind{signer: signer, verifier: verifier, hash: bundleLeaves}, id, err
}

// Open opens the log in a folder, or begins it. The origin is the host its clients reach it at, without a port, as
// they demand of the checkpoint's first line; the key is Ed25519. Errors: Conflict when another process has it open or
// it has another origin, Refused when going on would fork it, Storage.
func Open(ctx context.Context, dir, origin string, key crypto.Signer, o Options) (*Log, error) {
	k, id, err := noteKeys(ctx, origin, key)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "encoding the log's key")
	}
	t, err := openTree(ctx, dir, k, o)
	if err != nil {
		return nil, err
	}
	l := &Log{tree: t, id: id, public: public, waiting: make(map[[32]byte]*waiter), follow: make(chan struct{}, 1), leave: make(chan struct{})}
	if l.index, err = openIndex(filepath.Clean(dir)+".index", t.Size()); err != nil {
		return nil, errors.Join(err, t.close(ctx))
	}
	if l.Size()-l.index.size() <= soonIndexed {
		if err := l.catchUp(ctx); err != nil {
			return nil, errors.Join(err, l.index.close(), t.close(ctx))
		}
	}
	l.followed.Go(l.keepIndex)
	l.follow <- struct{}{}
	return l, nil
}

// soonIndexed is how many entries Open indexes before it returns, so that equal entries are noticed from the beginning.
// More are indexed while the log is used already: a lost index of a large log must not keep it closed.
const soonIndexed = 20_000

// ID is the log's identifier: the whole C2SP key hash.
func (l *Log) ID() []byte { return l.id }

// PublicKey is the log's key as SubjectPublicKeyInfo.
func (l *Log) PublicKey() []byte { return l.public }

// DuplicateError says that an entry is in the log already.
type DuplicateError struct{ Index uint64 }

// Error implements error.
func (e *DuplicateError) Error() string { return "an equal entry is in the log already" }

// Submit checks a request and adds its entry. When it returns, the entry is on the disk and the answer proves it
// against a signed checkpoint. Errors: Invalid and Unsupported when the request is not right, Conflict with a
// DuplicateError, Unavailable when too many wait, Storage, Refused.
func (l *Log) Submit(ctx context.Context, req *pb.CreateEntryRequest) (*pbrekor.TransparencyLogEntry, error) {
	body, kind, err := entryOf(req)
	if err != nil {
		return nil, err
	}
	at, err := l.once(ctx, body)
	if err != nil {
		return nil, err
	}
	s, err := l.covering(ctx, at)
	if err != nil {
		return nil, err
	}
	e, err := l.prove(ctx, at, s, body)
	if err != nil {
		return nil, err
	}
	e.KindVersion = kind
	l.nudge()
	return e, nil
}

// nudge has the index follow.
func (l *Log) nudge() {
	select {
	case l.follow <- struct{}{}:
	default:
	}
}

// once adds a body unless it is there already.
func (l *Log) once(ctx context.Context, body []byte) (uint64, error) {
	entry := tessera.NewEntry(body)
	leaf := [32]byte(entry.LeafHash())
	l.waitingMu.Lock()
	if w := l.waiting[leaf]; w != nil {
		l.waitingMu.Unlock()
		<-w.done
		if w.err != nil {
			return 0, w.err
		}
		return 0, duplicate(w.index)
	}
	w := &waiter{done: make(chan struct{})}
	l.waiting[leaf] = w
	l.waitingMu.Unlock()
	defer close(w.done)

	at, found, err := l.index.leaf(leaf)
	if err == nil && found {
		w.index = at
		l.forget(leaf)
		return 0, duplicate(at)
	}
	if err == nil {
		w.index, err = l.add(ctx, func(ctx context.Context) tessera.IndexFuture { return l.appender.Add(ctx, entry) })
	}
	if err != nil {
		w.err = err
		l.forget(leaf)
		return 0, err
	}
	return w.index, nil
}

func (l *Log) forget(leaf [32]byte) {
	l.waitingMu.Lock()
	delete(l.waiting, leaf)
	l.waitingMu.Unlock()
}

func duplicate(at uint64) error {
	return seaworthy.Wrap(&DuplicateError{at}, seaworthy.Conflict, "adding to the log: entry %d", at)
}

// prove makes an answer's proof, and checks it as its reader will.
func (l *Log) prove(ctx context.Context, at uint64, s *sealed, body []byte) (*pbrekor.TransparencyLogEntry, error) {
	hashes, err := l.nodes.inclusion(ctx, at, s.size)
	if err != nil {
		return nil, err
	}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, at, s.size, rfc6962.DefaultHasher.HashLeaf(body), hashes, s.root[:]); err != nil {
		l.nodes.forget()
		return nil, seaworthy.Errorf(seaworthy.Storage, "proving entry %d: the tiles do not: %w", at, err)
	}
	return &pbrekor.TransparencyLogEntry{
		LogIndex: int64(at), LogId: &pbcommon.LogId{KeyId: l.id}, CanonicalizedBody: body,
		InclusionProof: &pbrekor.InclusionProof{
			LogIndex: int64(at), RootHash: s.root[:], TreeSize: int64(s.size), Hashes: hashes,
			Checkpoint: &pbrekor.Checkpoint{Envelope: string(s.checkpoint)},
		},
	}, nil
}

// Entry returns an entry with a proof against the newest signed tree. Errors: NotFound.
func (l *Log) Entry(ctx context.Context, at uint64) (*pbrekor.TransparencyLogEntry, error) {
	if at >= l.Size() {
		return nil, seaworthy.Errorf(seaworthy.NotFound, "reading entry %d: the log has %d", at, l.Size())
	}
	body, err := readEntry(ctx, l.Folder, at, l.Size())
	if err != nil {
		return nil, err
	}
	s, err := l.covering(ctx, at)
	if err != nil {
		return nil, err
	}
	e, err := l.prove(ctx, at, s, body)
	if err != nil {
		return nil, err
	}
	r := recordOf(at, body)
	e.KindVersion = &pbrekor.KindVersion{Kind: r.Kind, Version: r.Version}
	return e, nil
}

// Find searches the log. The newest entries may be missing for a moment.
func (l *Log) Find(ctx context.Context, q Query) ([]Record, error) {
	return find(ctx, l.index, l.Folder, q)
}

// Indexed is how many entries can be found by Find.
func (l *Log) Indexed() uint64 { return l.index.size() }

// Close finishes what waits, for as long as ctx allows, and closes the log. What was acknowledged is kept in any
// case.
func (l *Log) Close(ctx context.Context) error {
	if l.closing.Load() {
		return nil
	}
	err := l.close(ctx)
	close(l.leave)
	l.followed.Wait()
	if e := l.catchUp(ctx); err == nil {
		err = e
	}
	if e := l.index.close(); err == nil {
		err = e
	}
	return err
}

// bundleLeaves returns the leaf hashes of an entry bundle.
func bundleLeaves(bundle []byte) ([][]byte, error) {
	var leaves [][]byte
	err := eachEntry(bundle, func(body []byte) { leaves = append(leaves, rfc6962.DefaultHasher.HashLeaf(body)) })
	return leaves, err
}

// eachEntry calls f with every entry of a bundle (C2SP tlog-tiles, "Log Entries").
func eachEntry(bundle []byte, f func(body []byte)) error {
	for len(bundle) > 0 {
		if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
			return seaworthy.Errorf(seaworthy.Mismatch, "reading an entry bundle: it ends in the middle of an entry")
		}
		n := int(binary.BigEndian.Uint16(bundle))
		f(bundle[2 : 2+n])
		bundle = bundle[2+n:]
	}
	return nil
}
