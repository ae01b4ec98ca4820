package bundle

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strings"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/exactjson"
)

// The media types of the layers in which cosign kept signatures and attestations before bundles.
const (
	SimpleSigningType = "application/vnd.dev.cosign.simplesigning.v1+json"
	EnvelopeType      = "application/vnd.dsse.envelope.v1+json"
)

// The annotations of such layers.
const (
	CosignSignature   = "dev.cosignproject.cosign/signature"
	CosignCertificate = "dev.sigstore.cosign/certificate"
	CosignChain       = "dev.sigstore.cosign/chain"
	CosignBundle      = "dev.sigstore.cosign/bundle"
	CosignTimestamp   = "dev.sigstore.cosign/rfc3161timestamp"
)

// SimpleSigning is the payload of an old image signature (containers/image, docs/atomic-signature.md).
type SimpleSigning struct {
	Critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional map[string]any `json:"optional"`
}

// simpleSigningKind is what the payload of an image signature says it is.
const simpleSigningKind = "cosign container image signature"

// simpleSigningImage reads which image a payload is for. Errors: Invalid.
func simpleSigningImage(b []byte) (seaworthy.Digest, error) {
	var s SimpleSigning
	if err := exactjson.Unmarshal(b, &s); err != nil {
		return "", seaworthy.Wrap(err, seaworthy.Invalid, "reading the payload of an image signature")
	}
	if err := exactjson.Lookalikes(b, "critical", "optional"); err != nil {
		return "", seaworthy.Wrap(err, seaworthy.Invalid, "reading the payload of an image signature")
	}
	if t := s.Critical.Type; t != simpleSigningKind && t != "atomic container signature" {
		return "", seaworthy.Errorf(seaworthy.Invalid, "reading the payload of an image signature: its type is %q", t)
	}
	return seaworthy.ParseDigest(s.Critical.Image.Digest)
}

// Cosign reads what cosign keeps in one layer of an image at the tags sha256-<hex>.sig and .att: the layer's media
// type, annotations and bytes. Errors: Invalid, Unsupported, TooLarge.
func Cosign(mediaType string, annotations map[string]string, b []byte) (*Unverified, error) {
	if len(b) > MaxBytes {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading a signature: more than %d bytes", MaxBytes)
	}
	p := &protobundle.Bundle{MediaType: "application/vnd.dev.sigstore.bundle+json;version=0.1"}
	var err error
	switch mediaType {
	case SimpleSigningType:
		err = cosignSignature(p, annotations, b)
	case EnvelopeType:
		err = cosignEnvelope(p, b)
	default:
		err = seaworthy.Errorf(seaworthy.Unsupported, "a layer of type %q", mediaType)
	}
	if err == nil {
		p.VerificationMaterial, err = cosignMaterial(annotations)
	}
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading what cosign signed")
	}
	u, err := fromProto(p)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading what cosign signed")
	}
	u.format = "cosign attestation"
	if mediaType == SimpleSigningType {
		u.format, u.simple = "cosign signature", b
	}
	return u, nil
}

// Detached makes a bundle of a signature in a file of its own and, unless it was made with a bare key, the
// certificate in PEM. Such signatures are for artifacts, and carry no log entry or time.
// Errors: Invalid.
func Detached(signature []byte, certificate []byte, artifact Artifact) (*Unverified, error) {
	if decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(signature))); err == nil {
		signature = decoded
	}
	annotations := map[string]string{}
	if len(certificate) > 0 {
		annotations[CosignCertificate] = string(certificate)
	}
	m, err := cosignMaterial(annotations)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading a certificate")
	}
	u, err := fromProto(&protobundle.Bundle{
		MediaType: "application/vnd.dev.sigstore.bundle+json;version=0.1", VerificationMaterial: m,
		Content: message(artifact.digests["sha256"], signature),
	})
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading a signature")
	}
	u.format = "detached signature"
	return u, nil
}

func message(sha256, signature []byte) *protobundle.Bundle_MessageSignature {
	return &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
		MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: sha256}, Signature: signature,
	}}
}

func cosignSignature(p *protobundle.Bundle, annotations map[string]string, b []byte) error {
	sig, err := base64.StdEncoding.DecodeString(annotations[CosignSignature])
	if err != nil || len(sig) == 0 {
		return seaworthy.Errorf(seaworthy.Invalid, "there is no signature in its annotations")
	}
	if _, err := simpleSigningImage(b); err != nil {
		return err
	}
	sum, err := hex.DecodeString(seaworthy.SHA256(b).Hex())
	if err != nil {
		return err
	}
	p.Content = message(sum, sig)
	return nil
}

func cosignEnvelope(p *protobundle.Bundle, b []byte) error {
	var e struct {
		PayloadType string `json:"payloadType"`
		Payload     []byte `json:"payload"`
		Signatures  []struct {
			KeyID string `json:"keyid"`
			Sig   []byte `json:"sig"`
		} `json:"signatures"`
	}
	if err := exactjson.Unmarshal(b, &e); err != nil {
		return err
	}
	if err := exactjson.Lookalikes(b, "payloadType", "payload", "signatures"); err != nil {
		return err
	}
	env := &protodsse.Envelope{PayloadType: e.PayloadType, Payload: e.Payload}
	for _, s := range e.Signatures {
		env.Signatures = append(env.Signatures, &protodsse.Signature{Keyid: s.KeyID, Sig: s.Sig})
	}
	p.Content = &protobundle.Bundle_DsseEnvelope{DsseEnvelope: env}
	return nil
}

func cosignMaterial(annotations map[string]string) (*protobundle.VerificationMaterial, error) {
	m := &protobundle.VerificationMaterial{}
	if pemText := annotations[CosignCertificate]; pemText != "" {
		block, _ := pem.Decode([]byte(pemText))
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "its certificate is no PEM")
		}
		m.Content = &protobundle.VerificationMaterial_X509CertificateChain{X509CertificateChain: &protocommon.X509CertificateChain{
			Certificates: []*protocommon.X509Certificate{{RawBytes: block.Bytes}},
		}}
	} else {
		m.Content = &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{}}
	}
	if text := annotations[CosignBundle]; text != "" {
		entry, err := cosignEntry([]byte(text))
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading its log entry")
		}
		m.TlogEntries = []*protorekor.TransparencyLogEntry{entry}
	}
	if text := annotations[CosignTimestamp]; text != "" {
		var t struct {
			SignedRFC3161Timestamp []byte
		}
		if err := exactjson.Unmarshal([]byte(text), &t); err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading its timestamp")
		}
		m.TimestampVerificationData = &protobundle.TimestampVerificationData{
			Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: t.SignedRFC3161Timestamp}},
		}
	}
	return m, nil
}

// cosignEntry reads the log entry of an annotation: the log's answer, with the promise (SET) and without a proof.
func cosignEntry(b []byte) (*protorekor.TransparencyLogEntry, error) {
	var e struct {
		SignedEntryTimestamp []byte
		Payload              struct {
			Body           []byte `json:"body"`
			IntegratedTime int64  `json:"integratedTime"`
			LogIndex       int64  `json:"logIndex"`
			LogID          string `json:"logID"`
		}
	}
	if err := exactjson.Unmarshal(b, &e); err != nil {
		return nil, err
	}
	if err := exactjson.Lookalikes(b, "SignedEntryTimestamp", "Payload"); err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(e.Payload.LogID)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "its log id is not hexadecimal")
	}
	var kind struct {
		Kind    string `json:"kind"`
		Version string `json:"apiVersion"`
	}
	if err := exactjson.Unmarshal(e.Payload.Body, &kind); err != nil {
		return nil, err
	}
	return &protorekor.TransparencyLogEntry{
		LogIndex: e.Payload.LogIndex, LogId: &protocommon.LogId{KeyId: id}, IntegratedTime: e.Payload.IntegratedTime,
		KindVersion:       &protorekor.KindVersion{Kind: kind.Kind, Version: kind.Version},
		InclusionPromise:  &protorekor.InclusionPromise{SignedEntryTimestamp: e.SignedEntryTimestamp},
		CanonicalizedBody: e.Payload.Body,
	}, nil
}
