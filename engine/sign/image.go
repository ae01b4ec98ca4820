package sign

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/internal/exactjson"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
	"github.com/seaworthy-dev/seaworthy/trust/key"
)

const (
	// maxSignatures is how many signatures one tag of cosign's may hold.
	maxSignatures = 1000
	// maxConfig is how large the configuration of such a tag may be: 4 MiB.
	maxConfig = 4 << 20
	// tagTries is how often such a tag is written when others write it at the same time.
	tagTries = 5
	// emptyJSON is the configuration of artifacts that need none.
	emptyJSON = "{}"
)

// ImageStatement is the statement that signs an image and says nothing else. annotations may be nil.
func ImageStatement(digest seaworthy.Digest, annotations map[string]string) (*intoto.Statement, error) {
	s := &intoto.Statement{
		Type:     intoto.TypeV1,
		Subjects: []intoto.Subject{{Digest: map[string]string{digest.Algorithm(): digest.Hex()}}}, PredicateType: bundle.SignPredicate, Predicate: []byte(emptyJSON),
	}
	if len(annotations) > 0 {
		b, err := json.Marshal(annotations, json.Deterministic(true))
		if err != nil {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "writing annotations: %w", err)
		}
		s.Subjects[0].Annotations = b
	}
	return s, nil
}

// Attach writes a bundle as a referrer of an image, as cosign does: a manifest of the bundle's type with the bundle
// as its only layer. created may be zero. Errors: those of the destination.
func Attach(ctx context.Context, to oci.Destination, subject oci.Descriptor, s *Signed, created time.Time) (oci.Descriptor, error) {
	annotations := map[string]string{"dev.sigstore.bundle.content": "message-signature"}
	if s.PredicateType != "" {
		annotations = map[string]string{"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": s.PredicateType}
	}
	if !created.IsZero() {
		annotations[oci.AnnotationCreated] = created.UTC().Format(time.RFC3339)
	}
	config, err := putSmall(ctx, to, oci.MediaTypeEmpty, []byte(emptyJSON))
	if err != nil {
		return oci.Descriptor{}, err
	}
	config.ArtifactType = bundle.MediaType
	layer, err := putSmall(ctx, to, bundle.MediaType, s.Bundle)
	if err != nil {
		return oci.Descriptor{}, err
	}
	about := oci.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}
	return putManifest(ctx, to, "", manifest{ArtifactType: bundle.MediaType, Config: config, Layers: []oci.Descriptor{layer}, Subject: &about, Annotations: annotations})
}

// manifest is an image manifest as it is written (image-spec manifest.md).
type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        oci.Descriptor    `json:"config"`
	Layers        []oci.Descriptor  `json:"layers"`
	Subject       *oci.Descriptor   `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

func putSmall(ctx context.Context, to oci.Destination, mediaType string, b []byte) (oci.Descriptor, error) {
	d := oci.Descriptor{MediaType: mediaType, Digest: seaworthy.SHA256(b), Size: int64(len(b))}
	_, err := to.PutBlob(ctx, d, func(_ context.Context, at int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b[at:])), nil
	}, oci.PutOptions{})
	return d, err
}

func putManifest(ctx context.Context, to oci.Destination, name string, m manifest) (oci.Descriptor, error) {
	m.SchemaVersion, m.MediaType = 2, oci.MediaTypeManifest
	raw, err := json.Marshal(m, json.Deterministic(true))
	if err != nil {
		return oci.Descriptor{}, seaworthy.Errorf(seaworthy.Internal, "writing a manifest: %w", err)
	}
	d := oci.Descriptor{MediaType: m.MediaType, ArtifactType: m.ArtifactType, Digest: seaworthy.SHA256(raw), Size: int64(len(raw))}
	if name == "" {
		name = string(d.Digest)
	}
	return d, to.PutManifest(ctx, name, d, raw)
}

// Legacy signs an image as cosign did before bundles: a layer of the image at the tag sha256-<hex>.sig. It is for
// verifiers that know nothing else, and works with a bare key only. reference is what the image is called.
// Errors: Usage, Conflict, and those of the destination.
func Legacy(ctx context.Context, to oci.Destination, reference string, digest seaworthy.Digest, annotations map[string]string, k key.Private) error {
	var payload bundle.SimpleSigning
	payload.Critical.Identity.Reference = reference
	payload.Critical.Image.Digest = string(digest)
	payload.Critical.Type = "cosign container image signature"
	if len(annotations) > 0 {
		payload.Optional = map[string]any{}
		for name, value := range annotations {
			payload.Optional[name] = value
		}
	}
	b, err := json.Marshal(payload, json.Deterministic(true), json.FormatNilMapAsNull(true))
	if err != nil {
		return seaworthy.Errorf(seaworthy.Internal, "writing a signature: %w", err)
	}
	sig, err := k.Sign(bytes.NewReader(b), key.Envelope) // Ed25519 without a hash: what old verifiers know
	if err != nil {
		return err
	}
	return appendLayer(ctx, to, oci.FallbackTag(digest)+".sig", bundle.SimpleSigningType, b, map[string]string{bundle.CosignSignature: base64.StdEncoding.EncodeToString(sig)})
}

// LegacyEnvelope keeps an attestation as cosign did before bundles, at the tag sha256-<hex>.att. With a bare key only.
// Errors: as Legacy.
func LegacyEnvelope(ctx context.Context, to oci.Destination, digest seaworthy.Digest, s *intoto.Statement, k key.Private) error {
	payload, err := s.Marshal()
	if err != nil {
		return err
	}
	sig, err := k.Sign(bytes.NewReader(bundle.PAE(intoto.PayloadType, payload)), key.Envelope)
	if err != nil {
		return err
	}
	type signature struct {
		KeyID string `json:"keyid"`
		Sig   []byte `json:"sig"`
	}
	b, err := json.Marshal(struct {
		PayloadType string      `json:"payloadType"`
		Payload     []byte      `json:"payload"`
		Signatures  []signature `json:"signatures"`
	}{intoto.PayloadType, payload, []signature{{Sig: sig}}})
	if err != nil {
		return seaworthy.Errorf(seaworthy.Internal, "writing an attestation: %w", err)
	}
	return appendLayer(ctx, to, oci.FallbackTag(digest)+".att", bundle.EnvelopeType, b, map[string]string{bundle.CosignSignature: "", "predicateType": s.PredicateType})
}

// appendLayer adds a layer to the image at a tag, and looks whether it stayed there: nothing keeps two writers from
// reading the same image.
func appendLayer(ctx context.Context, to oci.Destination, tag, mediaType string, b []byte, annotations map[string]string) error {
	layer, err := putSmall(ctx, to, mediaType, b)
	if err != nil {
		return err
	}
	layer.Annotations = annotations
	for range tagTries {
		have, config, err := readLayers(ctx, to, tag)
		if err != nil {
			return seaworthy.Wrap(err, seaworthy.Unavailable, "reading the tag %s", tag)
		}
		if slices.ContainsFunc(have, func(d oci.Descriptor) bool {
			return d.Digest == layer.Digest && maps.Equal(d.Annotations, layer.Annotations)
		}) {
			return nil
		}
		if len(have) >= maxSignatures {
			return seaworthy.Errorf(seaworthy.TooLarge, "writing the tag %s: it has %d signatures", tag, len(have))
		}
		config.RootFS.Type = "layers"
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.Digest) // they are not compressed
		raw, err := json.Marshal(config, json.Deterministic(true))
		if err != nil {
			return seaworthy.Errorf(seaworthy.Internal, "writing a configuration: %w", err)
		}
		c, err := putSmall(ctx, to, oci.MediaTypeConfig, raw)
		if err != nil {
			return err
		}
		if _, err := putManifest(ctx, to, tag, manifest{Config: c, Layers: append(have, layer)}); err != nil {
			return err
		}
	}
	return seaworthy.Errorf(seaworthy.Conflict, "writing the tag %s: somebody else writes it too, %d times in a row", tag, tagTries).WithHint("try again")
}

// layersConfig is the configuration of such an image, as far as it has one.
type layersConfig struct {
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
	Config       struct{} `json:"config"`
	RootFS       struct {
		Type    string             `json:"type"`
		DiffIDs []seaworthy.Digest `json:"diff_ids"`
	} `json:"rootfs"`
}

func readLayers(ctx context.Context, p oci.Place, tag string) ([]oci.Descriptor, layersConfig, error) {
	var config layersConfig
	_, raw, err := p.Manifest(ctx, tag)
	if seaworthy.CodeOf(err) == seaworthy.NotFound {
		return nil, config, nil
	}
	if err != nil {
		return nil, config, err
	}
	m, err := oci.ParseManifest(raw)
	if err != nil {
		return nil, config, err
	}
	b, err := oci.ReadBlob(ctx, p, m.Config, maxConfig)
	if err == nil {
		err = exactjson.Unmarshal(b, &config)
	}
	return m.Layers, config, err
}
