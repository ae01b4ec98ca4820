package oci

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
)

// Image is an immutable image: its manifest, configuration and layers, wherever they are kept. The manifest
// and configuration have been checked against their digests; the layers have not been read.
type Image struct {
	Name      string // as the person named it
	Kind      string // KindRegistry, KindLayout or KindArchive
	Reference string // repository:tag or @digest where known, for people
	// Tags are the names it has in an archive or layout (RepoTags, ref.name annotations), sorted.
	Tags []string
	// Digest is that of the manifest. A docker archive without manifests has none: then it is the digest of
	// the configuration, which is what docker calls the image ID.
	Digest    seaworthy.Digest
	MediaType string   // of the manifest; "" for a docker archive
	Platform  Platform // from the configuration
	// Index is the multi-platform index it was chosen from, the outermost where they are nested; nil if none.
	// The index.json of a layout is a directory of images and not counted as one.
	Index    *Index
	Manifest []byte // raw; nil for a docker archive
	Config   []byte // raw

	// What the configuration says (image-spec config.md).
	Created    time.Time // zero when not said
	Author     string
	User       string
	Env        []string
	Entrypoint []string
	Cmd        []string
	WorkingDir string
	Ports      []string // "80/tcp", sorted
	Volumes    []string // sorted
	StopSignal string
	Labels     map[string]string
	// Annotations are the manifest's.
	Annotations map[string]string
	History     []History // every entry, those that made no layer marked
	Layers      []Layer

	// Each, when not nil, is the only way to read the layers, and Layer.Open is nil: the archive is compressed
	// as a whole, so its layers can be had in the order they lie in it, and only one after another. Each calls
	// visit once for every layer, with its index in Layers and its stored bytes, and stops at visit's first
	// error. A body is valid until visit returns; visit need not read it to the end. Each can be called again.
	Each func(ctx context.Context, visit func(i int, r io.Reader) error) error

	close func() error
}

// Close lets go of files the image is read from. Layers cannot be opened afterwards.
func (im *Image) Close() error {
	if im == nil || im.close == nil {
		return nil
	}
	err := im.close()
	im.close = nil
	return err
}

// History is one line of how an image was made.
type History struct {
	Created    time.Time
	CreatedBy  string
	Author     string
	Comment    string
	EmptyLayer bool // it made no layer
}

// Layer is one file-system layer, stored as a tar file that may be compressed.
type Layer struct {
	// Digest is of the bytes as stored. "" in docker archives that do not say.
	Digest seaworthy.Digest
	// DiffID is the digest of the uncompressed tar, from the configuration.
	DiffID    seaworthy.Digest
	MediaType string
	Size      int64 // stored bytes; -1 unknown
	// Foreign says that registries need not have this layer; URLs are where its maker says it is. They are
	// never fetched.
	Foreign     bool
	URLs        []string
	History     string // the created_by line that made it; "" when history and layers do not match up
	Annotations map[string]string
	// Open gives the stored bytes, not checked against Digest but never more than Size of them: the reader
	// hashes while it streams. May be called many times and concurrently. A source that has more or fewer
	// bytes than Size gives a Mismatch. nil when the image has Each.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// Open finds the image that target names (see ParseTarget) and reads its manifest and configuration.
// Errors: NotFound; Usage when several images are meant or the target is no image; Mismatch and Invalid when
// what is there is not what it says; TooLarge; Unsupported; Unauthorized, Unavailable and Forbidden from
// registries.
func Open(ctx context.Context, target string, o Options) (*Image, error) {
	t, err := ParseTarget(target)
	if err != nil {
		return nil, err
	}
	var im *Image
	switch t.Kind {
	case KindRegistry:
		var c *Client
		if c, err = NewClient(o); err != nil {
			return nil, err
		}
		if im, err = c.Image(ctx, t.Reference); err != nil {
			var e *seaworthy.Error
			if !t.Forced && seaworthy.CodeOf(err) == seaworthy.NotFound && errors.As(err, &e) && e.Hint == "" {
				e.Hint = "there is no file or directory of that name either"
			}
			return nil, err
		}
		im.close = func() error { c.Close(); return nil }
	case KindLayout:
		im, err = openLayout(ctx, t, o)
	case KindArchive:
		im, err = openArchive(ctx, t, o)
	default:
		return nil, seaworthy.Errorf(seaworthy.Usage, "opening %q: it is a %s, not an image", clip(target), kindWords[t.Kind]).
			WithHint("an image is a registry reference, an OCI layout directory (oci-dir:PATH) or a docker or OCI archive (archive:PATH)")
	}
	if err != nil {
		return nil, err
	}
	im.Name = target
	return im, nil
}

// configFile is an image configuration as it is written.
type configFile struct {
	Created      string `json:"created"`
	Author       string `json:"author"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
	OS           string `json:"os"`
	OSVersion    string `json:"os.version"`
	Config       struct {
		User         string                    `json:"User"`
		ExposedPorts map[string]jsontext.Value `json:"ExposedPorts"`
		Env          []string                  `json:"Env"`
		Entrypoint   []string                  `json:"Entrypoint"`
		Cmd          []string                  `json:"Cmd"`
		Volumes      map[string]jsontext.Value `json:"Volumes"`
		WorkingDir   string                    `json:"WorkingDir"`
		Labels       map[string]string         `json:"Labels"`
		StopSignal   string                    `json:"StopSignal"`
	} `json:"config"`
	RootFS struct {
		Type    string             `json:"type"`
		DiffIDs []seaworthy.Digest `json:"diff_ids"`
	} `json:"rootfs"`
	History []struct {
		Created    string `json:"created"`
		CreatedBy  string `json:"created_by"`
		Author     string `json:"author"`
		Comment    string `json:"comment"`
		EmptyLayer bool   `json:"empty_layer"`
	} `json:"history"`
}

// setConfig fills the image from its raw configuration and gives each of its layers, which must be there
// already, DiffID and History. Errors: Invalid.
func (im *Image) setConfig(raw []byte) error {
	var c configFile
	// People's names and commands in configurations are not always UTF-8; the digest speaks for the bytes.
	if err := json.Unmarshal(raw, &c, jsontext.AllowInvalidUTF8(true)); err != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "reading the image configuration: %s", clip(err.Error()))
	}
	if len(c.RootFS.DiffIDs) != len(im.Layers) {
		return seaworthy.Errorf(seaworthy.Invalid, "reading the image configuration: it names %d layers, but the image has %d", len(c.RootFS.DiffIDs), len(im.Layers))
	}
	im.Config = raw
	im.Platform = Platform{OS: c.OS, Arch: c.Architecture, Variant: c.Variant, OSVersion: c.OSVersion}
	im.Created, im.Author = parseTime(c.Created), c.Author
	im.User, im.Env, im.Entrypoint, im.Cmd = c.Config.User, c.Config.Env, c.Config.Entrypoint, c.Config.Cmd
	im.WorkingDir, im.StopSignal, im.Labels = c.Config.WorkingDir, c.Config.StopSignal, c.Config.Labels
	im.Ports, im.Volumes = sortedKeys(c.Config.ExposedPorts), sortedKeys(c.Config.Volumes)

	made := make([]string, 0, len(im.Layers))
	im.History = make([]History, 0, len(c.History))
	for _, h := range c.History {
		im.History = append(im.History, History{Created: parseTime(h.Created), CreatedBy: h.CreatedBy, Author: h.Author, Comment: h.Comment, EmptyLayer: h.EmptyLayer})
		if !h.EmptyLayer {
			made = append(made, h.CreatedBy)
		}
	}
	for i, d := range c.RootFS.DiffIDs {
		if !d.NamesContent() {
			return seaworthy.Errorf(seaworthy.Invalid, "reading the image configuration: diff ID %d, %q, is not a sha256 or sha512 digest", i, clip(string(d)))
		}
		im.Layers[i].DiffID = d
		if len(made) == len(im.Layers) {
			im.Layers[i].History = made[i]
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	if len(m) == 0 {
		return nil
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// content is where manifests and blobs of one image are kept.
type content interface {
	// document returns the whole of d, checked against its size and digest.
	document(ctx context.Context, d Descriptor) ([]byte, error)
	// blob gives the stored bytes of d, bounded to its size; nil means that Each is the only way.
	blob(d Descriptor) func(context.Context) (io.ReadCloser, error)
}

// newImage makes the image of a manifest that has been checked.
func newImage(ctx context.Context, src content, found chosen, maxLayers int) (*Image, error) {
	m, err := parseManifest(found.raw, maxLayers)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading manifest %s", found.desc.Digest.Short())
	}
	im := &Image{
		Digest: found.desc.Digest, MediaType: found.mediaType, Manifest: found.raw, Index: found.index,
		Annotations: m.Annotations, Layers: make([]Layer, len(m.Layers)),
	}
	for i, d := range m.Layers {
		im.Layers[i] = Layer{
			Digest: d.Digest, MediaType: d.MediaType, Size: d.Size, Foreign: foreign(d.MediaType), URLs: d.URLs,
			Annotations: d.Annotations, Open: src.blob(d),
		}
	}
	raw, err := src.document(ctx, m.Config)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading configuration %s", m.Config.Digest.Short())
	}
	if err := im.setConfig(raw); err != nil {
		return nil, err
	}
	return im, nil
}
