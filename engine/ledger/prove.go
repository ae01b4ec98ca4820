package ledger

import (
	"context"
	"path/filepath"
	"time"

	pbcommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	pbrekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/rekor-tiles/v2/pkg/verify"
	bolt "go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"

	"github.com/seaworthy-dev/seaworthy"
)

// Prove reads an entry of a log and proves it against the published checkpoint, with nothing but the log's files.
// The identifier is the log's. Errors: NotFound when there is no such entry; Mismatch when the files contradict the
// checkpoint or v did not sign it; Unavailable, Storage.
func Prove(ctx context.Context, r Reader, origin string, v note.Verifier, id []byte, at uint64) (*pbrekor.TransparencyLogEntry, error) {
	point, body, err := readCheckpoint(ctx, r, origin, v)
	if err != nil {
		return nil, err
	}
	if at >= point.size {
		return nil, seaworthy.Errorf(seaworthy.NotFound, "proving entry %d: the log has %d", at, point.size)
	}
	entry, err := readEntry(ctx, r, at, point.size)
	if err != nil {
		return nil, err
	}
	hashes, err := newNodes(r).inclusion(ctx, at, point.size)
	if err != nil {
		return nil, err
	}
	rec := recordOf(at, entry)
	e := &pbrekor.TransparencyLogEntry{
		LogIndex: int64(at), LogId: &pbcommon.LogId{KeyId: id}, CanonicalizedBody: entry,
		KindVersion: &pbrekor.KindVersion{Kind: rec.Kind, Version: rec.Version},
		InclusionProof: &pbrekor.InclusionProof{
			LogIndex: int64(at), RootHash: point.root[:], TreeSize: int64(point.size), Hashes: hashes,
			Checkpoint: &pbrekor.Checkpoint{Envelope: string(body)},
		},
	}
	return e, Verify(e, v)
}

// Verify checks an entry: its proof against its checkpoint, and the checkpoint's signature. Errors: Refused.
func Verify(e *pbrekor.TransparencyLogEntry, v note.Verifier) error {
	if e.GetInclusionProof() == nil {
		return seaworthy.Errorf(seaworthy.Refused, "checking entry %d: it has no proof", e.GetLogIndex())
	}
	if e.GetLogIndex() != e.GetInclusionProof().GetLogIndex() {
		return seaworthy.Errorf(seaworthy.Refused, "checking entry %d: its proof is of entry %d", e.GetLogIndex(), e.GetInclusionProof().GetLogIndex())
	}
	return seaworthy.Wrap(verify.VerifyLogEntry(e, v), seaworthy.Refused, "checking entry %d", e.GetLogIndex())
}

// Contains checks that a log's published tree contains the tree of a checkpoint that somebody has kept, and returns
// how many entries it has. Errors: Refused when it does not, which is the proof of a fork; Mismatch when v did not sign
// one of them; Unavailable, Storage.
func Contains(ctx context.Context, r Reader, origin string, v note.Verifier, kept []byte) (uint64, error) {
	before, err := parseCheckpoint(kept, origin, v)
	if err != nil {
		return 0, err
	}
	now, _, err := readCheckpoint(ctx, r, origin, v)
	if err != nil {
		return 0, err
	}
	if before.size > now.size {
		// An answer's checkpoint may be a moment ahead of the published one.
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Second):
		}
		if now, _, err = readCheckpoint(ctx, r, origin, v); err != nil {
			return 0, err
		}
	}
	err = newNodes(r).extends(ctx, before, now)
	if seaworthy.CodeOf(err) == seaworthy.Mismatch {
		err = seaworthy.Errorf(seaworthy.Refused, "comparing the log %q with a checkpoint of %d entries: %w", origin, before.size, err)
	}
	return now.size, err
}

// Search searches the log in a folder that no process has open, and returns also how many entries were searched.
// Errors: Conflict when one has.
func Search(ctx context.Context, dir string, q Query) ([]Record, uint64, error) {
	path := filepath.Clean(dir) + ".index"
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, ReadOnly: true})
	if err != nil {
		e := seaworthy.Errorf(seaworthy.Conflict, "opening the index %q: %w", path, err)
		return nil, 0, e.WithHint("while the log is served, ask it at its address")
	}
	defer db.Close()
	x := &index{path: path, db: db}
	if err := x.readNext(); err != nil {
		return nil, 0, err
	}
	found, err := find(ctx, x, Folder{Path: dir}, q)
	return found, x.size(), err
}
