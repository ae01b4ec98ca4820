package oci

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
)

// Media types of manifests, indexes and configurations.
const (
	MediaTypeManifest       = "application/vnd.oci.image.manifest.v1+json"
	MediaTypeIndex          = "application/vnd.oci.image.index.v1+json"
	MediaTypeConfig         = "application/vnd.oci.image.config.v1+json"
	MediaTypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	MediaTypeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	MediaTypeDockerConfig   = "application/vnd.docker.container.image.v1+json"
	mediaTypeSchema1        = "application/vnd.docker.distribution.manifest.v1+json"
	mediaTypeSchema1Signed  = "application/vnd.docker.distribution.manifest.v1+prettyjws"

	mediaTypeDockerLayer     = "application/vnd.docker.image.rootfs.diff.tar"
	mediaTypeDockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	mediaTypeDockerLayerZstd = "application/vnd.docker.image.rootfs.diff.tar.zstd"
)

// Annotations by which tools name the images in a layout.
const (
	annotationRefName    = "org.opencontainers.image.ref.name"
	annotationContainerd = "io.containerd.image.name"
	annotationReference  = "vnd.docker.reference.type" // buildkit: "attestation-manifest"
)

// Descriptor points at content (image-spec descriptor.md).
type Descriptor struct {
	MediaType    string            `json:"mediaType,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Digest       seaworthy.Digest  `json:"digest"`
	Size         int64             `json:"size"` // bytes
	URLs         []string          `json:"urls,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Platform     *Platform         `json:"platform,omitempty"`
}

// Index is a list of manifests, one for each platform (image-spec image-index.md), or a docker manifest list.
type Index struct {
	Digest    seaworthy.Digest
	MediaType string
	Raw       []byte
	Entries   []Descriptor
	// Annotations are those of the index itself.
	Annotations map[string]string
}

// manifest is an image manifest as it is written (image-spec manifest.md).
type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        Descriptor        `json:"config"`
	Layers        []Descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations"`
}

// shape is what every manifest and index is looked at first: which of the two it is must not depend on who
// looks (CVE-2021-41190).
type shape struct {
	SchemaVersion int            `json:"schemaVersion"`
	MediaType     string         `json:"mediaType"`
	Manifests     jsontext.Value `json:"manifests"`
	Config        jsontext.Value `json:"config"`
	Layers        jsontext.Value `json:"layers"`
	FSLayers      jsontext.Value `json:"fsLayers"`
}

func isIndexType(t string) bool { return t == MediaTypeIndex || t == MediaTypeDockerList }

func isManifestType(t string) bool { return t == MediaTypeManifest || t == MediaTypeDockerManifest }

// kindOf returns the media type of a manifest or index: what it says itself, else what the other side said of
// it (a descriptor, a Content-Type), else what it looks like. Errors: Invalid, Mismatch, Unsupported.
func kindOf(raw []byte, said string) (string, error) {
	said, _, _ = strings.Cut(said, ";")
	said = strings.TrimSpace(strings.ToLower(said))
	var s shape
	if err := unmarshalStrict(raw, &s); err != nil {
		if said == "text/html" || looksLikeHTML(raw) {
			return "", seaworthy.Errorf(seaworthy.Invalid, "a web page came where a manifest should be").
				WithHint("is that host a registry, or is a login page or proxy in front of it?")
		}
		return "", err
	}
	has := func(v jsontext.Value) bool { return len(v) > 0 && string(v) != "null" }
	if s.MediaType == mediaTypeSchema1 || s.MediaType == mediaTypeSchema1Signed || said == mediaTypeSchema1 || said == mediaTypeSchema1Signed ||
		s.SchemaVersion == 1 || has(s.FSLayers) {
		return "", seaworthy.Errorf(seaworthy.Unsupported, "it is a docker schema 1 manifest").
			WithHint("pull and push it again with a current tool: schema 1 has been obsolete since 2017")
	}
	indexLike, manifestLike := has(s.Manifests), has(s.Config) || has(s.Layers)
	if indexLike && manifestLike {
		return "", seaworthy.Errorf(seaworthy.Invalid, "it has both manifests and layers, so it would be an index to one reader and an image to another")
	}
	known := func(t string) bool { return isIndexType(t) || isManifestType(t) }
	kind := s.MediaType
	switch {
	case kind != "" && !known(kind):
		return "", seaworthy.Errorf(seaworthy.Unsupported, "its media type is %q, neither an image nor an index", clip(kind))
	case kind != "" && known(said) && kind != said:
		return "", seaworthy.Errorf(seaworthy.Mismatch, "it says its media type is %q, but was announced as %q", kind, said)
	case kind == "" && known(said):
		kind = said
	case kind == "" && indexLike:
		kind = MediaTypeIndex
	case kind == "" && manifestLike:
		kind = MediaTypeManifest
	case kind == "":
		return "", seaworthy.Errorf(seaworthy.Invalid, "it has neither manifests nor layers")
	}
	if isIndexType(kind) && manifestLike || isManifestType(kind) && indexLike {
		return "", seaworthy.Errorf(seaworthy.Mismatch, "its media type is %q, but its content is the other kind", kind)
	}
	return kind, nil
}

func looksLikeHTML(b []byte) bool {
	b = bytes.ToLower(bytes.TrimSpace(b[:min(len(b), 256)]))
	return bytes.HasPrefix(b, []byte("<!doctype")) || bytes.HasPrefix(b, []byte("<html"))
}

// unmarshalStrict reads JSON that a digest or signature speaks for: duplicate keys, other-case keys that would
// pass for known ones, trailing values and invalid UTF-8 are refused or ignored, never resolved. Errors: Invalid.
func unmarshalStrict(raw []byte, v any) error {
	if err := json.Unmarshal(raw, v); err != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "it is not the JSON it should be: %s", clip(err.Error()))
	}
	return nil
}

// parseIndex reads an index whose kind is known. Errors: Invalid, TooLarge.
func parseIndex(raw []byte, mediaType string) (*Index, error) {
	var doc struct {
		Manifests   []Descriptor      `json:"manifests"`
		Annotations map[string]string `json:"annotations"`
	}
	if err := unmarshalStrict(raw, &doc); err != nil {
		return nil, err
	}
	if len(doc.Manifests) > maxIndexEntries {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "an index of %d manifests; the limit is %d", len(doc.Manifests), maxIndexEntries)
	}
	for i, d := range doc.Manifests {
		if err := d.check(); err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading manifest %d of the index", i)
		}
	}
	return &Index{MediaType: mediaType, Raw: raw, Entries: doc.Manifests, Annotations: doc.Annotations}, nil
}

// parseManifest reads an image manifest whose kind is known. Errors: Invalid, TooLarge, Unsupported.
func parseManifest(raw []byte, maxLayers int) (*manifest, error) {
	var m manifest
	if err := unmarshalStrict(raw, &m); err != nil {
		return nil, err
	}
	if len(m.Layers) > maxLayers {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "an image of %d layers; the limit is %d", len(m.Layers), maxLayers)
	}
	if err := m.Config.check(); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading the configuration's descriptor")
	}
	switch t := m.Config.MediaType; {
	case t == MediaTypeConfig || t == MediaTypeDockerConfig || t == "":
	case t == "application/octet-stream" && m.ArtifactType == "": // docker 1.10 wrote it so
	case m.ArtifactType != "":
		return nil, notAnImage(m.ArtifactType)
	default:
		return nil, notAnImage(t)
	}
	for i, d := range m.Layers {
		if err := d.check(); err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading the descriptor of layer %d", i)
		}
	}
	return &m, nil
}

func notAnImage(t string) error {
	return seaworthy.Errorf(seaworthy.Unsupported, "it is an artifact of type %q, not an image", clip(t)).
		WithHint("seaworthy oci manifest shows it; seaworthy oci pull fetches its files")
}

// check refuses descriptors that cannot be fetched and checked. Errors: Invalid.
func (d Descriptor) check() error {
	switch {
	case !d.Digest.NamesContent():
		return seaworthy.Errorf(seaworthy.Invalid, "its digest %q is not a sha256 or sha512 digest", clip(string(d.Digest)))
	case d.Size < 0:
		return seaworthy.Errorf(seaworthy.Invalid, "its size is %d", d.Size)
	}
	return nil
}

// verify compares b with the size and digest d promises. Errors: Mismatch.
func (d Descriptor) verify(b []byte) error {
	if int64(len(b)) != d.Size {
		return seaworthy.Errorf(seaworthy.Mismatch, "%d bytes, but %d were announced", len(b), d.Size)
	}
	return verifyDigest(b, d.Digest)
}

func verifyDigest(b []byte, want seaworthy.Digest) error {
	if got := digestAs(want.Algorithm(), b); got != want {
		return seaworthy.Errorf(seaworthy.Mismatch, "its digest is %s, but %s was asked for", got, want)
	}
	return nil
}

// digestAs hashes b with the algorithm a digest names; sha256 for any but sha512.
func digestAs(algorithm string, b []byte) seaworthy.Digest {
	if algorithm == "sha512" {
		sum := sha512.Sum512(b)
		return seaworthy.Digest("sha512:" + hex.EncodeToString(sum[:]))
	}
	return seaworthy.SHA256(b)
}

// foreign reports whether a layer's media type says that registries need not have it.
func foreign(mediaType string) bool {
	return strings.Contains(mediaType, ".foreign.") || strings.Contains(mediaType, ".nondistributable.")
}

// parseTime reads a time as configurations write it; what is no time is the zero Time.
func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}
