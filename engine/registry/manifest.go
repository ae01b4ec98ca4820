package registry

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"mime"
	"regexp"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/repo"
)

// The media types of manifests that are taken.
const (
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	ociIndex       = "application/vnd.oci.image.index.v1+json"
	ociArtifact    = "application/vnd.oci.artifact.manifest.v1+json" // of a release candidate; some tools wrote it
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// IndexType is the media type of lists of referrers.
const IndexType = ociIndex

var manifestTypes = []string{ociManifest, ociIndex, ociArtifact, dockerManifest, dockerList}

// descriptor is as much as a registry has to know of one (OCI image-spec descriptor.md).
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// document is any of the kinds of manifests.
type document struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        *descriptor       `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Blobs         []descriptor      `json:"blobs"` // of the artifact manifest
	Manifests     []descriptor      `json:"manifests"`
	Subject       *descriptor       `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

// Descriptor is how a manifest is listed among the referrers of its subject (distribution-spec, "Listing
// Referrers").
type Descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       seaworthy.Digest  `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// reading is what a manifest says, as far as it concerns a registry.
type reading struct {
	mediaType    string
	uses         []seaworthy.Digest // blobs and manifests
	demand       []seaworthy.Digest // of uses, those that a complete image has here
	subject      seaworthy.Digest
	artifactType string
	annotations  map[string]string
}

// digestSyntax is that of the image specification; algorithms we do not know are allowed in descriptors.
var digestSyntax = regexp.MustCompile(`^[a-z0-9]+([+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$`)

// nondistributable are media types whose blobs a registry need not have.
var nondistributable = regexp.MustCompile(`^application/vnd\.(oci\.image\.layer\.nondistributable\.|docker\.image\.rootfs\.foreign\.)`)

// read understands a manifest. Duplicate names and invalid UTF-8 are refused: two readers might read them in two
// ways. Errors: ManifestInvalid.
func read(mediaType string, body []byte) (*reading, error) {
	invalid := func(format string, args ...any) (*reading, error) {
		return nil, fault(ManifestInvalid, seaworthy.Errorf(seaworthy.Invalid, "reading a manifest: "+format, args...))
	}
	var doc document
	if err := json.Unmarshal(body, &doc); err != nil {
		return invalid("%w", err)
	}
	if mediaType != "" {
		parsed, _, err := mime.ParseMediaType(mediaType)
		if err != nil {
			return invalid("Content-Type %q is none", clip(mediaType))
		}
		mediaType = parsed
	}
	switch {
	case mediaType == "":
		mediaType = doc.MediaType
	case doc.MediaType != "" && doc.MediaType != mediaType:
		return invalid("it is sent as %q and says it is %q", clip(mediaType), clip(doc.MediaType))
	}
	if !slices.Contains(manifestTypes, mediaType) {
		return invalid("%q is no kind of manifest that is kept here", clip(mediaType))
	}
	if doc.SchemaVersion != 2 && mediaType != ociArtifact {
		return invalid("schemaVersion is %d, and must be 2", doc.SchemaVersion)
	}
	isIndex := mediaType == ociIndex || mediaType == dockerList
	if isIndex && (doc.Config != nil || doc.Layers != nil) || !isIndex && doc.Manifests != nil {
		return invalid("it says it is %q, but has parts of another kind", mediaType)
	}
	if (mediaType == ociManifest || mediaType == dockerManifest) && doc.Config == nil {
		return invalid("it has no config")
	}
	m := &reading{mediaType: mediaType, artifactType: doc.ArtifactType, annotations: doc.Annotations}
	parts := slices.Concat(doc.Layers, doc.Blobs, doc.Manifests)
	if doc.Config != nil {
		parts = append(parts, *doc.Config)
		if m.artifactType == "" {
			m.artifactType = doc.Config.MediaType // distribution-spec, "Listing Referrers"
		}
	}
	for _, p := range parts {
		if !digestSyntax.MatchString(p.Digest) || p.Size < 0 {
			return invalid("%q of %d bytes is no descriptor", clip(p.Digest), p.Size)
		}
		d := seaworthy.Digest(p.Digest)
		if !d.NamesContent() {
			continue // nothing we could keep; it is somewhere else
		}
		m.uses = append(m.uses, d)
		if !nondistributable.MatchString(p.MediaType) {
			m.demand = append(m.demand, d)
		}
	}
	if doc.Subject != nil {
		if m.subject = seaworthy.Digest(doc.Subject.Digest); !m.subject.NamesContent() {
			return invalid("its subject %q is no digest of sha256 or sha512", clip(doc.Subject.Digest))
		}
	}
	return m, nil
}

// Manifest returns a manifest by tag or digest. Its bytes are compared with its digest. Errors: NameInvalid,
// ManifestUnknown, DigestInvalid (the reference is neither).
func (r *Registry) Manifest(repository, reference string) (repo.Manifest, error) {
	if err := checkName(repository); err != nil {
		return repo.Manifest{}, err
	}
	var m repo.Manifest
	var err error
	if isDigest(reference) {
		var d seaworthy.Digest
		if d, err = ParseDigest(reference); err != nil {
			return m, err
		}
		m, err = r.names.Manifest(repository, d)
	} else {
		m, err = r.names.Tagged(repository, reference)
	}
	if err != nil {
		return m, missing(err, ManifestUnknown)
	}
	if got := digestOf(m.Digest.Algorithm(), m.Body); got != m.Digest {
		return m, fault(Broken, seaworthy.Errorf(seaworthy.Storage, "reading manifest %s: the disk gives bytes of %s", m.Digest, got))
	}
	return m, nil
}

// Pushed says what became of a push.
type Pushed struct {
	Digest  seaworthy.Digest
	Subject seaworthy.Digest // what it refers to, or ""
	Tags    []string
}

// PutManifest stores a manifest under a tag or its digest, and under more tags. When it returns, manifest, tags,
// its place among referrers, and the event for the listener are all on the disk. Errors: NameInvalid,
// ManifestInvalid, DigestInvalid, TooLarge, TooManyTags, ManifestIncomplete, Full.
func (r *Registry) PutManifest(_ context.Context, repository, reference, mediaType string, body []byte, tags []string) (*Pushed, error) {
	if err := checkName(repository); err != nil {
		return nil, err
	}
	if len(body) > MaxManifest {
		return nil, fault(TooLarge, seaworthy.Errorf(seaworthy.TooLarge, "pushing a manifest to %q: it has more than %d bytes", repository, MaxManifest))
	}
	d := seaworthy.SHA256(body)
	if isDigest(reference) {
		want, err := ParseDigest(reference)
		if err != nil {
			return nil, err
		}
		if d = digestOf(want.Algorithm(), body); d != want {
			return nil, fault(DigestInvalid, seaworthy.Errorf(seaworthy.Mismatch, "pushing manifest %s: its bytes are those of %s", want, d))
		}
	} else {
		tags = append([]string{reference}, tags...)
	}
	tags = slices.Compact(slices.Sorted(slices.Values(tags)))
	if len(tags) > MaxTags {
		return nil, fault(TooManyTags, seaworthy.Errorf(seaworthy.TooLarge, "pushing a manifest: %d tags, and %d are taken at once", len(tags), MaxTags))
	}
	for _, tag := range tags {
		if !SoundTag(tag) {
			return nil, fault(ManifestInvalid, seaworthy.Errorf(seaworthy.Invalid, "%q cannot be a tag", clip(tag)))
		}
	}
	m, err := read(mediaType, body)
	if err != nil {
		return nil, err
	}
	p := repo.Push{
		Repository: repository, Manifest: repo.Manifest{Digest: d, MediaType: m.mediaType, Body: body},
		Tags: tags, Uses: m.uses, Subject: m.subject, Announce: r.o.Listener != nil,
	}
	if r.o.Complete {
		p.Demand = m.demand
	}
	if m.subject != "" {
		p.Listing, err = json.Marshal(Descriptor{
			MediaType: m.mediaType, Digest: d, Size: int64(len(body)), ArtifactType: m.artifactType, Annotations: m.annotations,
		}, json.Deterministic(true))
		if err != nil {
			return nil, fault(ManifestInvalid, seaworthy.Wrap(err, seaworthy.Invalid, "reading a manifest"))
		}
	}
	if err := r.names.PutManifest(p); err != nil {
		return nil, missing(err, ManifestIncomplete)
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
	return &Pushed{Digest: d, Subject: m.subject, Tags: tags}, nil
}

// DeleteManifest deletes a manifest with all its tags, or, given a tag, only that. Errors: NameInvalid,
// ManifestUnknown, DigestInvalid.
func (r *Registry) DeleteManifest(repository, reference string) error {
	if err := checkName(repository); err != nil {
		return err
	}
	if !isDigest(reference) {
		return missing(r.names.DeleteTag(repository, reference), ManifestUnknown)
	}
	d, err := ParseDigest(reference)
	if err != nil {
		return err
	}
	return missing(r.names.DeleteManifest(repository, d), ManifestUnknown)
}

// Referrers is a page of those who refer to a subject, as ready descriptors. Next, when it is not "", is the last
// that was looked at, and there may be more behind it.
type Referrers struct {
	Descriptors [][]byte
	Next        seaworthy.Digest
}

// Referrers lists up to n manifests that refer to subject, after last, of one artifactType or, with "", of all.
// A subject or repository that is not there has none. Errors: NameInvalid.
func (r *Registry) Referrers(repository string, subject, last seaworthy.Digest, artifactType string, n int) (*Referrers, error) {
	if err := checkName(repository); err != nil {
		return nil, err
	}
	page := &Referrers{}
	size, looked := 0, 0
	var at seaworthy.Digest
	var wrong error
	err := r.names.Referrers(repository, subject, last, func(d seaworthy.Digest, listing []byte) bool {
		if len(page.Descriptors) > 0 && (len(page.Descriptors) >= min(n, MaxPage) || size+len(listing) > MaxReferrersPage) || looked >= maxLooked {
			page.Next = at
			return false
		}
		at, looked = d, looked+1
		if artifactType != "" {
			var x struct {
				ArtifactType string `json:"artifactType"`
			}
			if wrong = json.Unmarshal(listing, &x); wrong != nil {
				return false
			}
			if x.ArtifactType != artifactType {
				return true
			}
		}
		size += len(listing)
		page.Descriptors = append(page.Descriptors, bytes.Clone(listing))
		return true
	})
	if wrong != nil {
		err = seaworthy.Wrap(wrong, seaworthy.Storage, "listing the referrers of %s", subject)
	}
	return page, internal(err)
}

// maxLooked is how many referrers one page goes through to find those of one type.
const maxLooked = 20_000

func digestOf(algorithm string, b []byte) seaworthy.Digest {
	if algorithm == "sha512" {
		sum := sha512.Sum512(b)
		return seaworthy.Digest(fmt.Sprintf("sha512:%s", hex.EncodeToString(sum[:])))
	}
	return seaworthy.SHA256(b)
}
