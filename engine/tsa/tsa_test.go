package tsa

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"encoding/asn1"
	"path/filepath"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/sigstore/timestamp-authority/v2/pkg/verification"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/keys"
)

func open(t testing.TB, path string) *Authority {
	t.Helper()
	dir, err := keys.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func query(t testing.TB, o *timestamp.RequestOptions) []byte {
	t.Helper()
	q, err := timestamp.CreateRequest(bytes.NewReader([]byte("what is stamped")), o)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestStamp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	a := open(t, path)
	now := time.Now()
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		answer, err := a.Stamp(query(t, &timestamp.RequestOptions{Hash: hash, Certificates: true}), now)
		if err != nil {
			t.Fatal(err)
		}
		chain := open(t, path).Chain() // the same ones
		stamp, err := verification.VerifyTimestampResponse(answer, bytes.NewReader([]byte("what is stamped")), verification.VerifyOpts{
			TSACertificate: chain[0], Intermediates: chain[1:2], Roots: chain[2:],
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := stamp.Time.Sub(now.UTC()).Abs(); d > Accuracy {
			t.Errorf("it is off by %s", d)
		}
		if _, err := verification.VerifyTimestampResponse(answer, bytes.NewReader([]byte("something else")), verification.VerifyOpts{Roots: chain[2:], Intermediates: chain[1:2], TSACertificate: chain[0]}); err == nil {
			t.Error("it stamps something else")
		}
	}
}

func TestQueriesAreRefused(t *testing.T) {
	a := open(t, filepath.Join(t.TempDir(), "keys"))
	weak, err := (&timestamp.Request{HashAlgorithm: crypto.SHA1, HashedMessage: make([]byte, sha1.Size)}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	short, err := (&timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: make([]byte, 31)}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	policy := query(t, &timestamp.RequestOptions{TSAPolicyOID: asn1.ObjectIdentifier{1, 2, 3}})
	for name, test := range map[string]struct {
		query []byte
		code  seaworthy.Code
	}{
		"empty": {nil, seaworthy.Invalid}, "text": {[]byte("text"), seaworthy.Invalid}, "SHA-1": {weak, seaworthy.Unsupported},
		"a short hash": {short, seaworthy.Unsupported}, "another policy": {policy, seaworthy.Unsupported},
		"huge": {make([]byte, MaxQuery+1), seaworthy.TooLarge},
	} {
		if _, err := a.Stamp(test.query, time.Now()); seaworthy.CodeOf(err) != test.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTimeDoesNotGoBack(t *testing.T) {
	a := open(t, filepath.Join(t.TempDir(), "keys"))
	q, now := query(t, nil), time.Now()
	if _, err := a.Stamp(q, now); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Stamp(q, now.Add(-time.Millisecond)); err != nil { // two requests that overtook each other
		t.Error(err)
	}
	for _, at := range []time.Time{now.Add(-time.Minute), now.AddDate(-1, 0, 0), now.AddDate(20, 0, 0)} {
		if _, err := a.Stamp(q, at); seaworthy.CodeOf(err) != seaworthy.Unavailable {
			t.Errorf("%s: %v", at, err)
		}
	}
}

func FuzzStamp(f *testing.F) {
	a := open(f, filepath.Join(f.TempDir(), "keys"))
	f.Add(query(f, nil))
	f.Add([]byte{0x30, 0})
	now := time.Now()
	f.Fuzz(func(t *testing.T, b []byte) {
		answer, err := a.Stamp(b, now)
		if err == nil {
			if _, err := timestamp.ParseResponse(answer); err != nil {
				t.Error(err)
			}
		}
	})
}
