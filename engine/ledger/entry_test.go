//lint:file-ignore SA1019 clients before rekor-tiles 2.3 send envelopes by these messages, which are deprecated and still served

package ledger

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	pbcommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	pbdsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	pb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"

	"github.com/seaworthy-dev/seaworthy"
)

func (c *client) envelope(t *testing.T, signed, said string) *pb.CreateEntryRequest {
	t.Helper()
	digest := sha256.Sum256(dsse.PAE("text/plain", []byte(signed)))
	sig, err := c.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return &pb.CreateEntryRequest{Spec: &pb.CreateEntryRequest_DsseRequestV002{DsseRequestV002: &pb.DSSERequestV002{
		Envelope: &pbdsse.Envelope{Payload: []byte(said), PayloadType: "text/plain", Signatures: []*pbdsse.Signature{{Sig: sig}}},
		Verifiers: []*pb.Verifier{{
			Verifier:   &pb.Verifier_PublicKey{PublicKey: &pb.PublicKey{RawBytes: c.spki}},
			KeyDetails: pbcommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
		}},
	}}}
}

// Each part of a request that is exchanged makes it somebody else's.
func TestRequestsAreChecked(t *testing.T) {
	a, b := newClient(t), newClient(t)
	// Long enough that no signature happens to have it in its base64.
	const secret = "what the log must not keep"
	body, kind, err := entryOf(a.envelope(t, secret, secret))
	if err != nil || kind.GetKind() != "dsse" || strings.Contains(string(body), base64.StdEncoding.EncodeToString([]byte(secret))) {
		t.Errorf("an envelope: %s %v", body, err)
	}
	otherKey := a.request(t, "x")
	otherKey.GetHashedRekordRequestV002().Signature.Verifier = b.request(t, "x").GetHashedRekordRequestV002().Signature.Verifier
	otherDigest := a.request(t, "x")
	otherDigest.GetHashedRekordRequestV002().Digest = b.request(t, "y").GetHashedRekordRequestV002().Digest
	otherHash := a.request(t, "x")
	otherHash.GetHashedRekordRequestV002().Signature.Verifier.KeyDetails = pbcommon.PublicKeyDetails_PKIX_ECDSA_P384_SHA_384
	noKey := a.request(t, "x")
	noKey.GetHashedRekordRequestV002().Signature.Verifier = nil
	otherEnvelopeKey := a.envelope(t, "x", "x")
	otherEnvelopeKey.GetDsseRequestV002().Verifiers = b.envelope(t, "x", "x").GetDsseRequestV002().GetVerifiers()
	moreKeys := a.envelope(t, "x", "x")
	moreKeys.GetDsseRequestV002().Verifiers = append(moreKeys.GetDsseRequestV002().Verifiers, b.envelope(t, "x", "x").GetDsseRequestV002().GetVerifiers()...)
	nothing := &pb.CreateEntryRequest{Spec: &pb.CreateEntryRequest_DsseRequestV002{DsseRequestV002: &pb.DSSERequestV002{}}}
	for name, req := range map[string]*pb.CreateEntryRequest{
		"another key": otherKey, "another digest": otherDigest, "another hash": otherHash, "no key": noKey,
		"another payload": a.envelope(t, "x", "y"), "another key of an envelope": otherEnvelopeKey, "more keys than signatures": moreKeys,
		"an empty envelope": nothing,
	} {
		if body, _, err := entryOf(req); seaworthy.CodeOf(err) != seaworthy.Invalid {
			t.Errorf("%s: %s %v", name, body, err)
		}
	}
}
