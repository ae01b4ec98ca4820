package rekor

import (
	"bytes"
	"context"
	"crypto"
	"strings"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	pb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/sign"
	"github.com/seaworthy-dev/seaworthy/internal/ask"
)

// Client adds entries to a Rekor v2 log. It is an engine/sign.Log.
type Client struct {
	URL string // without /api/v2
}

// Add asks the log to show a signature, and returns its entry with the proof. What comes back must show that signature;
// whether the proof holds is for who has the log's key. Errors: those of ask.Ask; Unsupported for keys that sign without
// a hash; Invalid, Mismatch.
func (c Client) Add(ctx context.Context, e sign.Entry) (*protorekor.TransparencyLogEntry, error) {
	details, err := signature.GetDefaultAlgorithmDetails(e.Key.Key(), options.WithED25519ph())
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "logging a signature of a key of kind %s: %w", e.Key.Kind(), err)
	}
	if details.GetHashType() == crypto.Hash(0) || details.GetHashType() != e.Hash || e.PureEd25519 {
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "logging a signature of a key of kind %s: the log takes signatures over a digest only", e.Key.Kind()).
			WithHint("sign statements with an ECDSA key when they are to be logged")
	}
	verifier := &pb.Verifier{KeyDetails: details.GetSignatureAlgorithm()}
	if e.Certificate != nil {
		verifier.Verifier = &pb.Verifier_X509Certificate{X509Certificate: &protocommon.X509Certificate{RawBytes: e.Certificate}}
	} else {
		verifier.Verifier = &pb.Verifier_PublicKey{PublicKey: &pb.PublicKey{RawBytes: e.Key.DER()}}
	}
	body, err := protojson.Marshal(&pb.CreateEntryRequest{Spec: &pb.CreateEntryRequest_HashedRekordRequestV002{
		HashedRekordRequestV002: &pb.HashedRekordRequestV002{Digest: e.Digest, Signature: &pb.Signature{Content: e.Signature, Verifier: verifier}},
	}})
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Internal, "asking to log a signature: %w", err)
	}
	answer, err := ask.Ask(ctx, ask.Question{URL: strings.TrimSuffix(c.URL, "/") + "/api/v2/log/entries", ContentType: "application/json", Body: body})
	if err != nil {
		return nil, err
	}
	var entry protorekor.TransparencyLogEntry
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(answer, &entry); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the answer of %q: %w", c.URL, err)
	}
	var shown pb.Entry
	if err := protojson.Unmarshal(entry.GetCanonicalizedBody(), &shown); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the entry that %q made: %w", c.URL, err)
	}
	if !bytes.Equal(shown.GetSpec().GetHashedRekordV002().GetSignature().GetContent(), e.Signature) {
		return nil, seaworthy.Errorf(seaworthy.Mismatch, "reading the entry that %q made: it shows another signature", c.URL)
	}
	return &entry, nil
}
