package ingest

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/exactjson"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
)

// seenFormat marks the JSON of a Seen.
const seenFormat = "seaworthy-seen-1"

// Seen is what a registry showed and no single document says: what a tag stood for, what lay at a tag that cosign
// makes, a configuration together with the manifest it belongs to, a signature together with the annotations of the
// layer it was in. It is written down as a document of its own so that statements about it have one, and so that the
// graph can be made again from documents alone. The JSON only ever grows; equal values have equal bytes.
type Seen struct {
	Format string `json:"format"` // seenFormat
	// Reference is what the manifest was called: "registry.example/app:1.2".
	Reference string `json:"reference,omitempty"`
	// Tag is a tag that cosign makes of a digest, at which the manifest lay: "sha256-….sbom".
	Tag string `json:"tag,omitempty"`
	// Manifest is the manifest or index, as it is.
	Manifest []byte `json:"manifest"`
	// Part is what of the manifest Content is: "config", or the number of a layer from 0.
	Part    string `json:"part,omitempty"`
	Content []byte `json:"content,omitempty"`
}

// Marshal writes it. Errors: Internal.
func (s Seen) Marshal() ([]byte, error) {
	s.Format = seenFormat
	b, err := json.Marshal(s)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Internal, "writing what was seen: %w", err)
	}
	return b, nil
}

// readSeen reads what was seen, and checks that content and manifest belong together.
func (r *reader) readSeen(body []byte) error {
	var s Seen
	if err := exactjson.Unmarshal(body, &s); err != nil {
		return seaworthy.Wrap(err, seaworthy.Invalid, "reading what was seen in a registry")
	}
	if len(s.Manifest) == 0 {
		return seaworthy.Errorf(seaworthy.Invalid, "reading what was seen in a registry: there is no manifest")
	}
	self := artifact(seaworthy.SHA256(s.Manifest))
	r.doc.Kind, r.doc.Format = seaworthy.ManifestDocument, "seen in a registry"
	if s.Reference != "" {
		r.sawReference(self, s.Reference)
	}
	if s.Tag == "" && s.Part == "" {
		return nil
	}
	m, err := oci.ParseManifest(s.Manifest)
	if err != nil {
		return err
	}
	if s.Tag != "" {
		if d, ok := taggedDigest(s.Tag); ok {
			if err := r.refers(self, m, d); err != nil {
				return err
			}
		}
	}
	switch s.Part {
	case "":
		return nil
	case "config":
		return r.sawConfig(self, m, s.Content)
	}
	return r.sawLayer(m, s.Part, s.Content)
}

func (r *reader) sawReference(self seaworthy.Subject, reference string) {
	tag := imageResource(reference, "")
	r.doc.Name = reference
	r.describes(self, "name", reference)
	r.name(self, strings.TrimPrefix(tag.Key, "oci://"))
	r.say(tag, seaworthy.SaysSame, self, "why", "tag")
}

func (r *reader) sawConfig(self seaworthy.Subject, m oci.Manifest, content []byte) error {
	if got := seaworthy.SHA256(content); got != m.Config.Digest {
		return seaworthy.Errorf(seaworthy.Mismatch, "reading what was seen in a registry: the configuration is %s, and the manifest names %s", got, m.Config.Digest)
	}
	var c imageConfig
	if err := json.Unmarshal(content, &c); err != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "reading the configuration of an image: %w", err)
	}
	r.describes(self, "type", "configuration")
	r.sayConfig(self, c, append([]oci.Descriptor{}, m.Layers...))
	return nil
}

// sawLayer reads what cosign keeps in a layer, which needs the layer's annotations.
func (r *reader) sawLayer(m oci.Manifest, part string, content []byte) error {
	var i int
	if n, err := fmt.Sscanf(part, "%d", &i); n != 1 || err != nil || i < 0 || i >= len(m.Layers) || fmt.Sprint(i) != part {
		return seaworthy.Errorf(seaworthy.Invalid, "reading what was seen in a registry: there is no layer %q among %d", part, len(m.Layers))
	}
	l := m.Layers[i]
	if got := seaworthy.SHA256(content); got != l.Digest {
		return seaworthy.Errorf(seaworthy.Mismatch, "reading what was seen in a registry: the layer is %s, and the manifest names %s", got, l.Digest)
	}
	r.say(r.subject(), seaworthy.SaysSame, artifact(l.Digest), "why", "layer it was in")
	switch l.MediaType {
	case bundle.EnvelopeType:
		err := r.readEnvelope(content, l.Annotations)
		r.doc.Format = "cosign attestation"
		return err
	case bundle.SimpleSigningType:
		u, err := bundle.Cosign(l.MediaType, l.Annotations, content)
		if err == nil {
			return r.sayBundle(u, "")
		}
		if other := r.readSimpleSigning(content); other != nil {
			return other
		}
		r.doc.Format, r.doc.Verification = "cosign signature", seaworthy.Verification{State: seaworthy.UnsignedState}
		r.unreadable(err)
		return nil
	}
	return seaworthy.Errorf(seaworthy.Unsupported, "reading what was seen in a registry: a layer of type %q is read by itself", l.MediaType)
}

// taggedDigest is the digest in a tag that cosign makes.
func taggedDigest(tag string) (seaworthy.Digest, bool) {
	for _, suffix := range []string{".sig", ".att", ".sbom"} {
		tag = strings.TrimSuffix(tag, suffix)
	}
	alg, value, ok := strings.Cut(tag, "-")
	if !ok {
		return "", false
	}
	d, err := seaworthy.NewDigest(alg, value)
	return d, err == nil && d.NamesContent()
}
