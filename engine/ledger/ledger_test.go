package ledger

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	pbcommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	pbrekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	pb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/rekor-tiles/v2/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/seaworthy-dev/seaworthy"
)

// client signs things and asks for them to be logged.
type client struct {
	key  *ecdsa.PrivateKey
	spki []byte
}

func newClient(t testing.TB) *client {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return &client{key, spki}
}

func (c *client) request(t testing.TB, text string) *pb.CreateEntryRequest {
	t.Helper()
	digest := sha256.Sum256([]byte(text))
	sig, err := c.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return &pb.CreateEntryRequest{Spec: &pb.CreateEntryRequest_HashedRekordRequestV002{HashedRekordRequestV002: &pb.HashedRekordRequestV002{
		Digest: digest[:],
		Signature: &pb.Signature{Content: sig, Verifier: &pb.Verifier{
			Verifier:   &pb.Verifier_PublicKey{PublicKey: &pb.PublicKey{RawBytes: c.spki}},
			KeyDetails: pbcommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
		}},
	}}}
}

// open opens a log that the test closes if it does not do so itself.
func open(t testing.TB, dir string, key ed25519.PrivateKey, o Options) *Log {
	t.Helper()
	l, err := Open(t.Context(), filepath.Join(dir, "log"), "log.example", key, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	return l
}

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func proven(t testing.TB, key ed25519.PrivateKey, e *pbrekor.TransparencyLogEntry) {
	t.Helper()
	sv, err := signature.LoadED25519SignerVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	v, err := rekornote.NewNoteVerifier("log.example", sv)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify.VerifyLogEntry(e, v); err != nil {
		t.Fatal(err)
	}
}

func TestEntriesAreProven(t *testing.T) {
	dir, key, c := t.TempDir(), newKey(t), newClient(t)
	l := open(t, dir, key, Options{})
	var group sync.WaitGroup
	var mu sync.Mutex
	seen := map[int64]bool{}
	for i := range 300 { // more than a tile
		req := c.request(t, fmt.Sprint(i))
		group.Go(func() {
			e, err := l.Submit(t.Context(), req)
			if err != nil {
				t.Error(err)
				return
			}
			proven(t, key, e)
			mu.Lock()
			defer mu.Unlock()
			if seen[e.GetLogIndex()] {
				t.Errorf("index %d was given twice", e.GetLogIndex())
			}
			seen[e.GetLogIndex()] = true
		})
	}
	group.Wait()
	if l.Size() != 300 {
		t.Errorf("the log has %d entries", l.Size())
	}
	for _, at := range []uint64{0, 255, 256, 299} {
		e, err := l.Entry(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		proven(t, key, e)
	}
}

func TestEqualEntriesAreOne(t *testing.T) {
	dir, key, c := t.TempDir(), newKey(t), newClient(t)
	l := open(t, dir, key, Options{})
	req := c.request(t, "a")
	if _, err := l.Submit(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	again := func(l *Log) {
		t.Helper()
		_, err := l.Submit(t.Context(), req)
		var dup *DuplicateError
		if seaworthy.CodeOf(err) != seaworthy.Conflict || !errors.As(err, &dup) || dup.Index != 0 {
			t.Errorf("got %v", err)
		}
	}
	again(l)
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	again(open(t, dir, key, Options{}))
}
