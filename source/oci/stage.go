package oci

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/gzip"

	"github.com/seaworthy-dev/seaworthy"
)

// openArchivePlace opens an archive: as the layout it is, when its blobs can be read at any place in it, else
// through a temporary layout.
func openArchivePlace(ctx context.Context, t Target, target string, o Options) (*Opened, error) {
	o, err := o.defaults()
	if err != nil {
		return nil, err
	}
	a, err := newArchive(t.Path, o)
	if err != nil {
		return nil, err
	}
	opened := &Opened{Where: t.Path, Target: t, close: []func(){func() { a.file.Close() }}}
	if err := a.index(ctx); err != nil {
		opened.Close()
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "opening image archive %q", clip(t.Path))
	}
	if a.codec == "" && a.entries["index.json"] != nil && !a.twice["index.json"] && !a.twice["manifest.json"] {
		docker, _ := a.dockerManifest(o.MaxManifest) // not every layout has one
		opened.Name = a.ociSelect(docker, o.Image)
		opened.Place = &Layout{layout: layout{files: archiveFiles{a}, maxManifest: o.MaxManifest}, path: t.Path, o: o}
		return opened, nil
	}
	opened.Close()
	l, d, remove, err := stage(ctx, target, o)
	if err != nil {
		return nil, err
	}
	opened.Place, opened.Name, opened.close = l, string(d.Digest), []func(){remove}
	return opened, nil
}

// stage unpacks an image into a temporary layout, its layers compressed, with an OCI manifest when it has none.
func stage(ctx context.Context, target string, o Options) (l *Layout, d Descriptor, remove func(), err error) {
	im, err := Open(ctx, target, o)
	if err != nil {
		return nil, d, nil, err
	}
	defer im.Close()
	dir, err := os.MkdirTemp("", "seaworthy-oci-")
	if err != nil {
		return nil, d, nil, seaworthy.Wrap(err, seaworthy.Storage, "making a temporary directory")
	}
	remove = func() { _ = os.RemoveAll(dir) }
	defer func() {
		if err != nil {
			remove()
		}
	}()
	if l, err = CreateLayout(filepath.Join(dir, "layout"), o); err != nil {
		return nil, d, nil, err
	}
	inner := remove
	remove = func() { l.Close(); inner() }
	d, err = l.take(ctx, im)
	return l, d, remove, seaworthy.Wrap(err, seaworthy.Storage, "unpacking %q", clip(target))
}

// take writes an image into the layout.
func (l *Layout) take(ctx context.Context, im *Image) (Descriptor, error) {
	layers := make([]Descriptor, len(im.Layers))
	one := func(i int, r io.Reader) (err error) {
		layers[i], err = l.takeLayer(im, i, r)
		return err
	}
	if im.Each != nil {
		if err := im.Each(ctx, one); err != nil {
			return Descriptor{}, err
		}
	} else {
		for i, layer := range im.Layers {
			r, err := layer.Open(ctx)
			if err == nil {
				err = one(i, r)
				r.Close()
			}
			if err != nil {
				return Descriptor{}, err
			}
		}
	}
	config := Descriptor{MediaType: MediaTypeConfig, Digest: seaworthy.SHA256(im.Config), Size: int64(len(im.Config))}
	if err := l.writeBlob(config.Digest, im.Config); err != nil {
		return Descriptor{}, err
	}
	raw, mediaType := im.Manifest, im.MediaType
	if raw == nil {
		mediaType = MediaTypeManifest
		var err error
		if raw, err = encodeManifest(Manifest{Config: config, Layers: layers}); err != nil {
			return Descriptor{}, err
		}
	}
	d := Descriptor{MediaType: mediaType, Digest: seaworthy.SHA256(raw), Size: int64(len(raw))}
	if im.Manifest != nil {
		d.Digest = im.Digest
	}
	return d, l.PutManifest(ctx, string(d.Digest), d, raw)
}

// takeLayer writes one layer, checked against its diff ID. One that is stored plain, in an image without a
// manifest to say so, is compressed.
func (l *Layout) takeLayer(im *Image, i int, r io.Reader) (Descriptor, error) {
	layer := im.Layers[i]
	f, err := os.CreateTemp(filepath.Join(l.path, "blobs"), "layer-*.partial")
	if err != nil {
		return Descriptor{}, seaworthy.Wrap(err, seaworthy.Storage, "writing layer %d", i+1)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	in := bufio.NewReaderSize(r, 64<<10)
	head, _ := in.Peek(6)
	stored := hashFor("sha256:")
	if layer.Digest != "" {
		stored = hashFor(layer.Digest)
	}
	var out io.Writer = io.MultiWriter(f, stored)
	d := Descriptor{MediaType: ociLayerType(codecOf(head)), Annotations: layer.Annotations}
	if im.Manifest == nil && codecOf(head) == "" {
		d.MediaType = ociLayerType("gzip")
		plain := hashFor(layer.DiffID)
		z := gzip.NewWriter(out)
		_, err = io.Copy(io.MultiWriter(z, plain), in)
		err = errors.Join(err, z.Close())
		if got := sumOf(layer.DiffID, plain); err == nil && got != layer.DiffID {
			err = seaworthy.Errorf(seaworthy.Mismatch, "its content is %s, but the configuration says %s", got.Short(), layer.DiffID.Short())
		}
	} else {
		_, err = io.Copy(out, in)
	}
	if err != nil {
		return d, seaworthy.Wrap(err, seaworthy.Storage, "reading layer %d", i+1)
	}
	like := layer.Digest
	if like == "" || im.Manifest == nil {
		like = "sha256:"
	}
	d.Digest = sumOf(like, stored)
	if im.Manifest != nil && d.Digest != layer.Digest {
		return d, seaworthy.Errorf(seaworthy.Mismatch, "reading layer %d: its bytes have the digest %s, but the manifest says %s", i+1, d.Digest.Short(), layer.Digest.Short())
	}
	fi, err := f.Stat()
	if err != nil {
		return d, seaworthy.Wrap(err, seaworthy.Storage, "writing layer %d", i+1)
	}
	d.Size = fi.Size()
	to := filepath.Join(l.path, filepath.FromSlash(blobPath(d.Digest)))
	err = errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.Rename(f.Name(), to))
	return d, seaworthy.Wrap(err, seaworthy.Storage, "writing layer %d", i+1)
}

// writeBlob writes a small blob whose digest is known to be right.
func (l *Layout) writeBlob(d seaworthy.Digest, b []byte) error {
	if err := l.root.MkdirAll(filepath.Dir(blobPath(d)), 0o755); err != nil {
		return rootError("blobs", err)
	}
	return l.write(blobPath(d), b)
}

func ociLayerType(codec string) string {
	const plain = "application/vnd.oci.image.layer.v1.tar"
	if codec == "" {
		return plain
	}
	return plain + "+" + codec
}

// Manifest is an image or artifact manifest to be written (image-spec manifest.md).
type Manifest struct {
	MediaType    string // "": MediaTypeManifest
	ArtifactType string
	Config       Descriptor
	Layers       []Descriptor
	Subject      *Descriptor
	Annotations  map[string]string
}

// encodeManifest writes a manifest; the same one gives the same bytes. Errors: Internal.
func encodeManifest(m Manifest) ([]byte, error) {
	if m.MediaType == "" {
		m.MediaType = MediaTypeManifest
	}
	raw, err := json.Marshal(struct {
		SchemaVersion int               `json:"schemaVersion"`
		MediaType     string            `json:"mediaType"`
		ArtifactType  string            `json:"artifactType,omitempty"`
		Config        Descriptor        `json:"config"`
		Layers        []Descriptor      `json:"layers"`
		Subject       *Descriptor       `json:"subject,omitempty"`
		Annotations   map[string]string `json:"annotations,omitempty"`
	}{2, m.MediaType, m.ArtifactType, m.Config, append([]Descriptor{}, m.Layers...), m.Subject, m.Annotations}, json.Deterministic(true))
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Internal, "writing a manifest: %w", err)
	}
	return raw, nil
}

// ParseManifest reads any manifest, of an image or another artifact, as it is. Errors: Invalid, TooLarge.
func ParseManifest(raw []byte) (Manifest, error) {
	var doc struct {
		MediaType    string            `json:"mediaType"`
		ArtifactType string            `json:"artifactType"`
		Config       Descriptor        `json:"config"`
		Layers       []Descriptor      `json:"layers"`
		Subject      *Descriptor       `json:"subject"`
		Annotations  map[string]string `json:"annotations"`
	}
	if err := unmarshalStrict(raw, &doc); err != nil {
		return Manifest{}, err
	}
	if len(doc.Layers) > DefaultMaxLayers {
		return Manifest{}, seaworthy.Errorf(seaworthy.TooLarge, "a manifest of %d layers; the limit is %d", len(doc.Layers), DefaultMaxLayers)
	}
	if err := doc.Config.check(); err != nil {
		return Manifest{}, seaworthy.Wrap(err, seaworthy.Invalid, "reading the configuration's descriptor")
	}
	for i, d := range doc.Layers {
		if err := d.check(); err != nil {
			return Manifest{}, seaworthy.Wrap(err, seaworthy.Invalid, "reading the descriptor of layer %d", i)
		}
	}
	if doc.Subject != nil {
		if err := doc.Subject.check(); err != nil {
			return Manifest{}, seaworthy.Wrap(err, seaworthy.Invalid, "reading the subject's descriptor")
		}
	}
	return Manifest{doc.MediaType, doc.ArtifactType, doc.Config, doc.Layers, doc.Subject, doc.Annotations}, nil
}

// ParseIndex reads an index. Errors: Invalid, TooLarge.
func ParseIndex(raw []byte) (*Index, error) { return parseIndex(raw, "") }

// IsIndex reports whether a media type is that of an index; of the manifests that Place gives, the others are
// images or artifacts.
func IsIndex(mediaType string) bool { return isIndexType(mediaType) }

// Type is what an artifact is: its artifactType or, in older ones, the media type of its configuration.
func (m Manifest) Type() string {
	if m.ArtifactType != "" {
		return m.ArtifactType
	}
	return m.Config.MediaType
}

// isImage reports whether the manifest's layers are a file system.
func (m Manifest) isImage() bool {
	return (m.Config.MediaType == MediaTypeConfig || m.Config.MediaType == MediaTypeDockerConfig) && (m.ArtifactType == "" || m.ArtifactType == m.Config.MediaType) &&
		(len(m.Layers) == 0 || strings.Contains(m.Layers[0].MediaType, "layer") || strings.Contains(m.Layers[0].MediaType, "rootfs"))
}
