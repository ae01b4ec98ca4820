package oci

import (
	"archive/tar"
	"context"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seaworthy-dev/seaworthy"
)

// WriteArchive writes what name stands for as an OCI image layout in a tar file, with o.Referrers everything that
// refers to it too. The same content gives the same bytes. Errors: those of the place; Mismatch; Storage.
func WriteArchive(ctx context.Context, w io.Writer, from Place, name, tag string, o CopyOptions) (Descriptor, error) {
	parts, err := gather(ctx, from, name, o)
	if err != nil {
		return Descriptor{}, err
	}
	var entries, blobs []Descriptor
	var root Descriptor
	for _, p := range parts {
		blobs = append(blobs, p.blobs...)
		switch entry, subject, err := asReferrer(p.d, p.raw); {
		case err != nil:
			return Descriptor{}, err
		case p.root:
			root = p.d
			entries = setEntry(entries, Descriptor{MediaType: p.d.MediaType, Digest: p.d.Digest, Size: p.d.Size}, tag)
		case p.tag != "" || subject != "":
			entry.Annotations = nil
			entries = setEntry(entries, entry, p.tag)
		}
	}
	index, err := encodeIndex(entries, nil)
	if err != nil {
		return root, err
	}
	t := newTarWriter(w)
	t.file("oci-layout", []byte(layoutFile))
	t.file("index.json", index)
	for _, p := range parts {
		t.file(blobPath(p.d.Digest), p.raw)
	}
	return root, t.blobs(ctx, from, blobs, o, func(d Descriptor) string { return blobPath(d.Digest) })
}

// WriteDockerArchive writes one image as docker load takes it: manifest.json, the configuration and the layers as
// they are stored. tags are whole names. Errors: Unsupported for what is no image; and as WriteArchive.
func WriteDockerArchive(ctx context.Context, w io.Writer, from Place, name string, tags []string, o CopyOptions) (Descriptor, error) {
	d, raw, err := PlatformManifest(ctx, from, name, o.Platform)
	if err != nil {
		return d, err
	}
	m, err := parseManifest(raw, DefaultMaxLayers)
	if err != nil {
		return d, err
	}
	config, err := ReadBlob(ctx, from, m.Config, DefaultMaxManifest)
	if err != nil {
		return d, seaworthy.Wrap(err, seaworthy.Invalid, "reading the configuration")
	}
	layerName := func(d Descriptor) string {
		switch {
		case strings.HasSuffix(d.MediaType, "zstd"):
			return d.Digest.Hex() + ".tar.zst"
		case strings.HasSuffix(d.MediaType, "gzip"):
			return d.Digest.Hex() + ".tar.gz"
		}
		return d.Digest.Hex() + ".tar"
	}
	entry := dockerEntry{Config: string(m.Config.Digest), RepoTags: tags, Layers: []string{}}
	for _, l := range m.Layers {
		entry.Layers = append(entry.Layers, layerName(l))
	}
	manifest, err := json.Marshal([]dockerEntry{entry})
	if err != nil {
		return d, seaworthy.Errorf(seaworthy.Internal, "writing manifest.json: %w", err)
	}
	t := newTarWriter(w)
	t.file("manifest.json", manifest)
	t.file(entry.Config, config)
	return d, t.blobs(ctx, from, m.Layers, o, layerName)
}

// tarWriter writes files that look the same every time. Its first error stays.
type tarWriter struct {
	*tar.Writer
	written map[string]bool
	err     error
}

func newTarWriter(w io.Writer) *tarWriter {
	return &tarWriter{Writer: tar.NewWriter(w), written: map[string]bool{}}
}

// head begins a file, unless it is there already.
func (t *tarWriter) head(name string, size int64) bool {
	if t.err != nil || t.written[name] {
		return false
	}
	t.written[name] = true
	t.err = t.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0).UTC(), Typeflag: tar.TypeReg})
	return t.err == nil
}

func (t *tarWriter) file(name string, b []byte) {
	if t.head(name, int64(len(b))) {
		_, t.err = t.Write(b)
	}
}

// blobs writes blobs, checked on the way, and ends the archive.
func (t *tarWriter) blobs(ctx context.Context, from Place, blobs []Descriptor, o CopyOptions, name func(Descriptor) string) error {
	if o.Progress == nil {
		o.Progress = func(int64) {}
	}
	if o.Planned != nil {
		var total int64
		for _, d := range blobs {
			total += d.Size
		}
		o.Planned(total)
	}
	for _, d := range blobs {
		if !t.head(name(d), d.Size) {
			continue
		}
		h := hashFor(d.Digest)
		_, err := copyFrom(ctx, t, h, d, 0, func(ctx context.Context, at int64) (io.ReadCloser, error) { return from.Blob(ctx, d, at) }, o.Progress)
		if got := sumOf(d.Digest, h); err == nil && got != d.Digest {
			err = seaworthy.Errorf(seaworthy.Mismatch, "its bytes have the digest %s", got)
		}
		if err != nil {
			return seaworthy.Wrap(err, seaworthy.Storage, "writing blob %s to an archive", d.Digest.Short())
		}
	}
	if t.err == nil {
		t.err = t.Writer.Close()
	}
	return seaworthy.Wrap(t.err, seaworthy.Storage, "writing an image archive")
}
