package ingest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/vcs"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
)

// Limits of manifests.
const (
	maxLayers  = oci.DefaultMaxLayers
	maxEntries = 10_000 // of an index
)

// The annotations and labels that name a source (image-spec annotations.md).
const (
	labelSource   = "org.opencontainers.image.source"
	labelRevision = "org.opencontainers.image.revision"
)

// readManifest reads the manifest of an image or artifact: which layers are in it, and what it refers to. A manifest
// with a subject says of the blobs in it, which may be documents, that they are about the subject.
func (r *reader) readManifest(body []byte) error {
	m, err := oci.ParseManifest(body)
	if err != nil {
		return err
	}
	r.doc.Kind, r.doc.Format, r.doc.MediaType = seaworthy.ManifestDocument, "OCI manifest", oci.MediaTypeManifest
	if m.MediaType == oci.MediaTypeDockerManifest {
		r.doc.Format, r.doc.MediaType = "Docker manifest", m.MediaType
	}
	self := artifact(r.doc.Digest)
	r.sayManifest(self, m)
	if m.Subject != nil {
		if err := r.refers(self, m, m.Subject.Digest); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) sayManifest(self seaworthy.Subject, m oci.Manifest) {
	r.describes(self, "type", m.Type())
	if len(m.Layers) > maxLayers {
		r.problems.Add("layers", seaworthy.TooLarge, "%d layers; at most %d are looked at", len(m.Layers), maxLayers)
		m.Layers = m.Layers[:maxLayers]
	}
	for i, l := range m.Layers {
		if d, err := seaworthy.ParseDigest(string(l.Digest)); err == nil {
			r.say(self, seaworthy.SaysContains, artifact(d), "index", strconv.Itoa(i), "name", l.Annotations[oci.AnnotationTitle], "type", l.MediaType)
		}
	}
	r.fromSource(self, m.Annotations)
}

// refers says that what is in a manifest is about another.
func (r *reader) refers(self seaworthy.Subject, m oci.Manifest, subject seaworthy.Digest) error {
	d, err := seaworthy.ParseDigest(string(subject))
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Invalid, "reading what a manifest refers to")
	}
	about := artifact(d)
	if about == self {
		r.problems.Add("subject", seaworthy.Invalid, "it refers to itself")
		return nil
	}
	r.describes(about, "how", "referrer", "type", m.Type())
	for _, l := range m.Layers {
		if d, err := seaworthy.ParseDigest(string(l.Digest)); err == nil && mayBeDocument(l.MediaType) {
			r.say(documentOf(d), seaworthy.SaysDescribes, about, "how", "referrer")
		}
	}
	return nil
}

// mayBeDocument reports whether a blob of a media type may be a document we read, as it is: what cosign keeps is read
// together with its annotations, see Seen.
func mayBeDocument(mediaType string) bool {
	t, _, _ := strings.Cut(mediaType, ";")
	switch t {
	case bundle.SimpleSigningType, bundle.EnvelopeType, oci.MediaTypeConfig, oci.MediaTypeEmpty:
		return false
	}
	return strings.HasPrefix(t, "application/vnd.dev.sigstore.bundle") || strings.HasSuffix(t, "json") || strings.HasSuffix(t, "xml") ||
		strings.HasPrefix(t, "text/") || strings.Contains(t, "spdx") || strings.Contains(t, "cyclonedx") || t == "application/octet-stream"
}

// fromSource reads the annotations or labels that say where an image comes from.
func (r *reader) fromSource(self seaworthy.Subject, labels map[string]string) {
	address := labels[labelSource]
	if address == "" {
		return
	}
	l, err := vcs.Parse(address)
	if err != nil {
		r.problems.Add(labelSource, seaworthy.Invalid, "%v", err)
		return
	}
	r.say(self, seaworthy.SaysSource, r.source(l.At(labels[labelRevision])), "how", "label")
}

// readIndex reads a list of manifests.
func (r *reader) readIndex(body []byte) error {
	x, err := oci.ParseIndex(body)
	if err != nil {
		return err
	}
	r.doc.Kind, r.doc.Format, r.doc.MediaType = seaworthy.ManifestDocument, "OCI index", oci.MediaTypeIndex
	if x.MediaType == oci.MediaTypeDockerList {
		r.doc.Format, r.doc.MediaType = "Docker manifest list", x.MediaType
	}
	self := artifact(r.doc.Digest)
	r.describes(self, "type", "index")
	if len(x.Entries) > maxEntries {
		return seaworthy.Errorf(seaworthy.TooLarge, "reading an index: %d entries; the limit is %d", len(x.Entries), maxEntries)
	}
	for _, e := range x.Entries {
		d, err := seaworthy.ParseDigest(string(e.Digest))
		if err != nil {
			r.problems.Add("entries", seaworthy.Invalid, "%v", err)
			continue
		}
		platform := ""
		if e.Platform != nil {
			platform = e.Platform.String()
		}
		r.say(self, seaworthy.SaysContains, artifact(d), "platform", platform, "type", e.ArtifactType)
		// BuildKit keeps attestations as entries that name in an annotation what they are about.
		if about, err := seaworthy.ParseDigest(e.Annotations["vnd.docker.reference.digest"]); err == nil {
			r.say(documentOf(d), seaworthy.SaysDescribes, artifact(about), "how", "index")
		}
	}
	r.fromSource(self, x.Annotations)
	var with struct {
		Subject *oci.Descriptor `json:"subject"`
	}
	if json.Unmarshal(body, &with) == nil && with.Subject != nil {
		return r.refers(self, oci.Manifest{ArtifactType: "index"}, with.Subject.Digest)
	}
	return nil
}

// imageConfig is the part of an image's configuration that says something about other things.
type imageConfig struct {
	Config struct {
		Labels map[string]string `json:"Labels"`
	} `json:"config"`
	RootFS struct {
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
	History []struct {
		CreatedBy  string `json:"created_by"`
		EmptyLayer bool   `json:"empty_layer"`
	} `json:"history"`
}

// maxLine is how much of the line that made a layer is said, in bytes.
const maxLine = 1 << 10

// lines are the lines that made the layers, "" for all when there are not as many.
func (c *imageConfig) lines() []string {
	lines := make([]string, 0, len(c.RootFS.DiffIDs))
	for _, h := range c.History {
		if !h.EmptyLayer {
			lines = append(lines, strings.ToValidUTF8(h.CreatedBy[:min(len(h.CreatedBy), maxLine)], ""))
		}
	}
	if len(lines) != len(c.RootFS.DiffIDs) {
		return make([]string, len(c.RootFS.DiffIDs))
	}
	return lines
}

// readConfig reads the configuration of an image by itself. Which image it is of, and which of its layers each diffID
// is, only the manifest can tell.
func (r *reader) readConfig(body []byte) error {
	var c imageConfig
	if err := json.Unmarshal(body, &c); err != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "reading the configuration of an image: %w", err)
	}
	r.doc.Kind, r.doc.Format, r.doc.MediaType = seaworthy.ManifestDocument, "OCI image configuration", oci.MediaTypeConfig
	self := artifact(r.doc.Digest)
	r.describes(self, "type", "configuration")
	r.sayConfig(self, c, nil)
	return nil
}

// sayConfig says what a configuration says of an image, and which layers are which.
func (r *reader) sayConfig(image seaworthy.Subject, c imageConfig, layers []oci.Descriptor) {
	r.fromSource(image, c.Config.Labels)
	if n := len(c.RootFS.DiffIDs); n > maxLayers {
		r.problems.Add("layers", seaworthy.TooLarge, "%d diffIDs; at most %d are looked at", n, maxLayers)
		c.RootFS.DiffIDs = c.RootFS.DiffIDs[:maxLayers]
	}
	if layers != nil && len(layers) != len(c.RootFS.DiffIDs) {
		r.problems.Add("layers", seaworthy.Mismatch, "there are %d layers and %d diffIDs, so which is which cannot be told", len(layers), len(c.RootFS.DiffIDs))
		return
	}
	lines := c.lines()
	for i, text := range c.RootFS.DiffIDs {
		d, err := seaworthy.ParseDigest(text)
		switch {
		case err != nil:
			r.problems.Add("layers", seaworthy.Invalid, "%v", err)
		case layers == nil:
			r.say(image, seaworthy.SaysContains, artifact(d), "createdBy", lines[i], "index", strconv.Itoa(i))
		default:
			if l, err := seaworthy.ParseDigest(string(layers[i].Digest)); err == nil {
				r.say(artifact(l), seaworthy.SaysSame, artifact(d), "why", "layer and its diffID")
				if lines[i] != "" {
					r.say(image, seaworthy.SaysContains, artifact(l), "createdBy", lines[i], "index", strconv.Itoa(i))
				}
			}
		}
	}
}

// isAttestation reports whether an entry of an index is BuildKit's way of keeping attestations.
func isAttestation(d oci.Descriptor) bool {
	return d.Annotations["vnd.docker.reference.type"] == "attestation-manifest"
}

// holdsDocuments reports whether a manifest is kept for the documents in it and not to be run.
func holdsDocuments(m oci.Manifest) bool {
	return !slices.ContainsFunc(m.Layers, func(l oci.Descriptor) bool {
		return strings.Contains(l.MediaType, "tar") || strings.Contains(l.MediaType, "rootfs")
	})
}
