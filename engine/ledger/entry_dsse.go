//lint:file-ignore SA1019 clients before rekor-tiles 2.3 send envelopes by these messages, which are deprecated and still served

package ledger

import (
	"bytes"
	"crypto/sha256"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	pbcommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	pb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor-tiles/v2/pkg/verifier"
	"github.com/sigstore/rekor-tiles/v2/pkg/verifier/certificate"
	"github.com/sigstore/rekor-tiles/v2/pkg/verifier/publickey"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/seaworthy-dev/seaworthy"
)

// maxSignatures is how many signatures an envelope may have: each is checked with each key.
const maxSignatures = 8

// envelopeEntry checks a request for a DSSE envelope, which newer clients do not make any more (they log the hash of
// what the envelope signs), and returns its entry, dsse 0.0.2. Every signature must be right, and every key used.
func envelopeEntry(req *pb.DSSERequestV002) (*pb.Entry, error) {
	//nolint:staticcheck // all of it is deprecated
	envelope, keys := req.GetEnvelope(), req.GetVerifiers()
	sigs := envelope.GetSignatures()
	if len(sigs) == 0 || len(sigs) > maxSignatures || len(keys) != len(sigs) {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading a request to log: an envelope needs 1 to %d signatures, and a key for each", maxSignatures)
	}
	signed := dsse.PAE(envelope.GetPayloadType(), envelope.GetPayload())
	entry := &pb.DSSELogEntryV002{}
	sum := sha256.Sum256(envelope.GetPayload())
	entry.PayloadHash = &pbcommon.HashOutput{Algorithm: pbcommon.HashAlgorithm_SHA2_256, Digest: sum[:]}
	used := make([]bool, len(keys))
	for _, s := range sigs {
		found := false
		for i, key := range keys {
			if used[i] || checkEnvelope(key, signed, s.GetSig()) != nil {
				continue
			}
			used[i], found = true, true
			entry.Signatures = append(entry.Signatures, &pb.Signature{Content: s.GetSig(), Verifier: key})
			break
		}
		if !found {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "reading a request to log: a signature of the envelope is by none of its keys")
		}
	}
	return &pb.Entry{Kind: "dsse", ApiVersion: "0.0.2", Spec: &pb.Spec{Spec: &pb.Spec_DsseV002{DsseV002: entry}}}, nil
}

func checkEnvelope(key *pb.Verifier, signed, sig []byte) error {
	var v verifier.Verifier
	var err error
	if public := key.GetPublicKey(); public != nil {
		v, err = publickey.NewVerifier(bytes.NewReader(public.GetRawBytes()))
	} else {
		v, err = certificate.NewVerifier(bytes.NewReader(key.GetX509Certificate().GetRawBytes()))
	}
	if err != nil {
		return err
	}
	details, err := signature.GetAlgorithmDetails(key.GetKeyDetails())
	if err != nil {
		return err
	}
	if ok, err := registry.IsAlgorithmPermitted(v.PublicKey(), details.GetHashType()); err != nil || !ok {
		return seaworthy.Errorf(seaworthy.Unsupported, "checking an envelope: %T is not taken", v.PublicKey())
	}
	check, err := signature.LoadVerifierWithOpts(v.PublicKey(), options.WithHash(details.GetHashType()), options.WithED25519ph())
	if err != nil {
		return err
	}
	return check.VerifySignature(bytes.NewReader(sig), bytes.NewReader(signed))
}

// oldEnvelope is the deprecated request of older clients, nil in all others.
func oldEnvelope(req *pb.CreateEntryRequest) *pb.DSSERequestV002 { return req.GetDsseRequestV002() }
