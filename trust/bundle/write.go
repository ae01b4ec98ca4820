package bundle

import (
	"crypto"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/trust/key"
)

// Draft is a bundle that is being made: something was signed, and who signed it, where it is logged and when it was
// signed are added as they are known.
type Draft struct {
	p *protobundle.Bundle
}

// PAE is what a DSSE envelope signs (dsse, protocol.md, "Signature definition").
func PAE(payloadType string, payload []byte) []byte { return dsse.PAE(payloadType, payload) }

// DraftMessage begins a bundle of an artifact's digest and its signature. Errors: Unsupported.
func DraftMessage(a Artifact, h crypto.Hash, signature []byte) (*Draft, error) {
	for algorithm, name := range hashNames {
		if hashFuncs[name] == h && a.digests[name] != nil {
			d := newDraft()
			d.p.Content = &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
				MessageDigest: &protocommon.HashOutput{Algorithm: algorithm, Digest: a.digests[name]}, Signature: signature,
			}}
			return d, nil
		}
	}
	return nil, seaworthy.Errorf(seaworthy.Unsupported, "signing %q: its %s is not known", a.name, h)
}

// DraftEnvelope begins a bundle of a DSSE envelope.
func DraftEnvelope(payloadType string, payload, signature []byte) *Draft {
	d := newDraft()
	d.p.Content = &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
		PayloadType: payloadType, Payload: payload, Signatures: []*protodsse.Signature{{Sig: signature}},
	}}
	return d
}

func newDraft() *Draft {
	return &Draft{&protobundle.Bundle{MediaType: MediaType, VerificationMaterial: &protobundle.VerificationMaterial{}}}
}

// Key says that a bare key signed.
func (d *Draft) Key(k key.Public) {
	d.p.VerificationMaterial.Content = &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{Hint: k.Hint()}}
}

// Certificate says that the key of a certificate (DER) signed.
func (d *Draft) Certificate(der []byte) {
	d.p.VerificationMaterial.Content = &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: der}}
}

// Logged adds the entry of a log.
func (d *Draft) Logged(e *protorekor.TransparencyLogEntry) {
	d.p.VerificationMaterial.TlogEntries = append(d.p.VerificationMaterial.TlogEntries, e)
}

// Timestamped adds the response of a timestamp authority (RFC 3161).
func (d *Draft) Timestamped(response []byte) {
	m := d.p.VerificationMaterial
	if m.TimestampVerificationData == nil {
		m.TimestampVerificationData = &protobundle.TimestampVerificationData{}
	}
	m.TimestampVerificationData.Rfc3161Timestamps = append(m.TimestampVerificationData.Rfc3161Timestamps, &protocommon.RFC3161SignedTimestamp{SignedTimestamp: response})
}

// Marshal writes the bundle, v0.3. The same draft gives the same bytes. Errors: Internal.
func (d *Draft) Marshal() ([]byte, error) {
	b, err := protojson.Marshal(d.p)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Internal, "writing a bundle: %w", err)
	}
	v := jsontext.Value(b)
	if err := v.Compact(); err != nil { // protojson varies its spaces on purpose
		return nil, seaworthy.Errorf(seaworthy.Internal, "writing a bundle: %w", err)
	}
	if _, err := Parse(v); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "reading the bundle that was written")
	}
	return v, nil
}

// Sum returns the artifact's digest of one kind, or nil when it is not known.
func (a Artifact) Sum(h crypto.Hash) []byte {
	for name, f := range hashFuncs {
		if f == h {
			return a.digests[name]
		}
	}
	return nil
}
