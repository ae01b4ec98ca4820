package graph

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	pbcommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	pb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ledger"
)

// withLog serves a real log with n entries.
func withLog(t *testing.T, n int) func(*Parts, *Options) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), t.TempDir()+"/log", "log.example", key, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		digest := sha256.Sum256([]byte(strconv.Itoa(i)))
		signature, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Submit(t.Context(), &pb.CreateEntryRequest{Spec: &pb.CreateEntryRequest_HashedRekordRequestV002{HashedRekordRequestV002: &pb.HashedRekordRequestV002{
			Digest: digest[:], Signature: &pb.Signature{Content: signature, Verifier: &pb.Verifier{
				KeyDetails: pbcommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
				Verifier:   &pb.Verifier_PublicKey{PublicKey: &pb.PublicKey{RawBytes: spki}},
			}},
		}}}); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); l.Indexed() < uint64(n); {
		if time.Now().After(deadline) {
			t.Fatal("the index does not follow the log")
		}
		time.Sleep(5 * time.Millisecond) // the log does not say when
	}
	return func(p *Parts, _ *Options) { p.Log = l }
}

func (w *world) page(query string) (page Entries, indices string) {
	w.t.Helper()
	got := w.do(request{"GET", Prefix + "/log?" + query, nil, ""})
	if err := json.Unmarshal([]byte(got.body), &page); err != nil || got.StatusCode != 200 {
		w.t.Fatalf("%s: %d %s", query, got.StatusCode, got.body)
	}
	for _, e := range page.Entries {
		indices += fmt.Sprint(e.Index, " ")
	}
	return page, strings.TrimSpace(indices) + "/" + page.Next
}

func TestLogPages(t *testing.T) {
	w := newWorld(t, withLog(t, 5))
	first, _ := w.page("order=oldest&limit=1")
	for query, want := range map[string]string{
		"": "4 3 2 1 0/", "limit=2": "4 3/3", "limit=2&after=3": "2 1/1", "limit=2&after=1": "0/", "after=0": "/", "after=99": "4 3 2 1 0/",
		"order=oldest": "0 1 2 3 4/", "order=oldest&limit=2": "0 1/1", "order=oldest&limit=2&after=1": "2 3/3", "order=oldest&limit=2&after=3": "4/", "order=oldest&after=99": "/",
		"digest=" + string(seaworthy.SHA256([]byte("2"))): "2/", "key=" + first.Entries[0].Key + "&limit=3": "0 1 2/2", "key=" + first.Entries[0].Key + "&after=2": "3 4/",
		"identity=nobody": "/",
	} {
		page, got := w.page(query)
		if got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
		if page.Origin != "log.example" || page.Size != 5 || !strings.HasPrefix(page.Checkpoint, "log.example\n5\n") {
			t.Errorf("%q: %+v", query, page)
		}
	}
	for _, bad := range []string{"order=random", "after=x", "after=-1", "limit=0", "limit=1001", "order=newest&identity=a"} {
		if got := w.do(request{"GET", Prefix + "/log?" + bad, nil, ""}); got.StatusCode != 400 {
			t.Errorf("%s: %d %s", bad, got.StatusCode, got.body)
		}
	}
	for path, status := range map[string]int{"/log/5": 404, "/log/x": 400, "/log/-1": 400} {
		if got := w.do(request{"GET", Prefix + path, nil, ""}); got.StatusCode != status {
			t.Errorf("%s: %d %s", path, got.StatusCode, got.body)
		}
	}
}

func TestEmptyLog(t *testing.T) {
	w := newWorld(t, withLog(t, 0))
	if page, got := w.page(""); got != "/" || page.Size != 0 || page.Checkpoint != "" {
		t.Errorf("%+v", page)
	}
}

// What is said about an entry is enough to check that it is in the log: nothing else is asked.
func TestProofsHold(t *testing.T) {
	w := newWorld(t, withLog(t, 5))
	for i := range uint64(5) {
		got := w.do(request{"GET", fmt.Sprintf("%s/log/%d", Prefix, i), nil, ""})
		var e Proven
		if err := json.Unmarshal([]byte(got.body), &e); err != nil {
			t.Fatal(err)
		}
		if e.Index != i || e.Kind != "hashedrekord" || e.Digest != seaworthy.SHA256([]byte(strconv.FormatUint(i, 10))) || e.Origin != "log.example" {
			t.Errorf("%+v", e)
		}
		leaf := rfc6962.DefaultHasher.HashLeaf(e.Body)
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, i, e.TreeSize, leaf, e.Hashes, e.RootHash); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
		lines := strings.Split(e.Checkpoint, "\n")
		root, err := json.Marshal(e.RootHash)
		if err != nil || lines[1] != strconv.FormatUint(e.TreeSize, 10) || `"`+lines[2]+`"` != string(root) {
			t.Errorf("the checkpoint is of another tree: %q", e.Checkpoint)
		}
	}
}
