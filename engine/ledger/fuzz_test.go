package ledger

import (
	"bytes"
	"testing"

	pb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"google.golang.org/protobuf/encoding/protojson"
)

func FuzzBundle(f *testing.F) {
	f.Add([]byte{0, 1, 'a', 0, 0, 0, 2, 'b', 'c'})
	f.Add([]byte{0})
	f.Add([]byte{255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		if err := eachEntry(b, func(body []byte) { n += 2 + len(body) }); err == nil && n != len(b) {
			t.Errorf("%d bytes of %d are in entries", n, len(b))
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM="},"signature":{"content":"AA==","verifier":{"publicKey":{"rawBytes":"AA=="},"keyDetails":"PKIX_ECDSA_P256_SHA_256"}}}}}`))
	f.Add([]byte(`{"spec":{"hashedRekordV002":{"signature":{"verifier":{"x509Certificate":{"rawBytes":"MIIB"}}}}}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := recordOf(7, b)
		if r.Index != 7 || r.Identities == nil {
			t.Errorf("%+v", r)
		}
		for _, key := range findKeys(r) {
			if len(key)+8 > 32<<10 {
				t.Errorf("a key of %d bytes", len(key))
			}
		}
	})
}

func FuzzMark(f *testing.F) {
	f.Add(mark{7, emptyRoot}.line())
	f.Add(bytes.Repeat([]byte("0"), markLine))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, ok := parseMark(b); ok && !bytes.Equal(m.line(), b) {
			t.Errorf("%q is read as %+v", b, m)
		}
	})
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"hashedRekordRequestV002":{"digest":"WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=","signature":{"content":"AA==","verifier":{"publicKey":{"rawBytes":"AA=="},"keyDetails":"PKIX_ECDSA_P256_SHA_256"}}}}`))
	f.Add([]byte(`{"hashedRekordRequestV002":{}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		req := new(pb.CreateEntryRequest)
		if protojson.Unmarshal(b, req) != nil {
			return
		}
		if body, kind, err := entryOf(req); err == nil && (len(body) == 0 || kind.GetKind() != "hashedrekord") {
			t.Errorf("%s %v", body, kind)
		}
	})
}
