package oci

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seaworthy-dev/seaworthy"
)

// The empty configuration of artifacts (image-spec manifest.md, "Guidance for an Empty Descriptor").
const (
	MediaTypeEmpty = "application/vnd.oci.empty.v1+json"
	emptyJSON      = "{}"
)

// Annotations of artifacts.
const (
	AnnotationTitle   = "org.opencontainers.image.title"
	AnnotationCreated = "org.opencontainers.image.created"
)

// File is a file that becomes a layer of an artifact.
type File struct {
	Path      string
	MediaType string // "": the artifact's type
	Title     string // name it gets where it is pulled; "": its base name
}

// Artifact says what is made of files.
type Artifact struct {
	Type        string // a media type; the artifactType of the manifest
	Files       []File
	Subject     *Descriptor // what it is about; nil for nothing
	Annotations map[string]string
	Created     time.Time // zero: it does not say
	Parallel    int       // blobs at once; 0: DefaultParallel
	// Planned is told the bytes of all files, Progress how many went. May be nil.
	Planned, Progress func(int64)
}

// PushFiles writes an artifact (image-spec manifest.md, "Guidelines for Artifact Usage") under a tag or, with "",
// under its digest. Files are read twice: for their digests, and to be sent. Errors: Usage, NotFound, Storage,
// Mismatch when a file changes meanwhile, and those of the destination.
func PushFiles(ctx context.Context, to Destination, tag string, a Artifact) (Descriptor, error) {
	if !validMediaType(a.Type) {
		return Descriptor{}, seaworthy.Errorf(seaworthy.Usage, "an artifact needs a type, and %q is no media type", clip(a.Type)).
			WithHint("for example --type application/spdx+json")
	}
	layers, err := describeFiles(ctx, a)
	if err != nil {
		return Descriptor{}, err
	}
	empty := Descriptor{MediaType: MediaTypeEmpty, Digest: seaworthy.SHA256([]byte(emptyJSON)), Size: int64(len(emptyJSON))}
	var total int64
	for _, d := range layers {
		total += d.Size
	}
	if a.Planned != nil {
		a.Planned(total)
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel(a.Parallel))
	group.Go(func() error {
		_, err := to.PutBlob(gctx, empty, func(_ context.Context, at int64) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(emptyJSON[at:])), nil
		}, PutOptions{})
		return err
	})
	sent := map[seaworthy.Digest]bool{empty.Digest: true}
	for i, d := range layers {
		if sent[d.Digest] {
			continue
		}
		sent[d.Digest] = true
		group.Go(func() error {
			_, err := to.PutBlob(gctx, d, fileOpener(a.Files[i].Path), PutOptions{Progress: a.Progress})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Descriptor{}, err
	}
	m := Manifest{ArtifactType: a.Type, Config: empty, Layers: layers, Subject: a.Subject, Annotations: maps.Clone(a.Annotations)}
	if len(layers) == 0 { // a manifest must have a layer
		m.Layers = []Descriptor{empty}
	}
	if m.Annotations[AnnotationCreated] == "" && !a.Created.IsZero() {
		if m.Annotations == nil {
			m.Annotations = map[string]string{}
		}
		m.Annotations[AnnotationCreated] = a.Created.UTC().Format(time.RFC3339)
	}
	raw, err := encodeManifest(m)
	if err != nil {
		return Descriptor{}, err
	}
	d := Descriptor{MediaType: MediaTypeManifest, ArtifactType: a.Type, Digest: seaworthy.SHA256(raw), Size: int64(len(raw))}
	name := tag
	if name == "" {
		name = string(d.Digest)
	}
	return d, to.PutManifest(ctx, name, d, raw)
}

// describeFiles hashes the files.
func describeFiles(ctx context.Context, a Artifact) ([]Descriptor, error) {
	layers := make([]Descriptor, len(a.Files))
	titles := map[string]bool{}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel(a.Parallel))
	for i, f := range a.Files {
		if f.Title == "" {
			f.Title = filepath.Base(f.Path)
		}
		if f.MediaType == "" {
			f.MediaType = a.Type
		}
		switch {
		case !validMediaType(f.MediaType):
			return nil, seaworthy.Errorf(seaworthy.Usage, "pushing %q: %q is no media type", clip(f.Path), clip(f.MediaType))
		case titles[f.Title]:
			return nil, seaworthy.Errorf(seaworthy.Usage, "pushing %q: there are two files called %q", clip(f.Path), clip(f.Title))
		}
		titles[f.Title] = true
		group.Go(func() error {
			file, err := openRegular(f.Path)
			if err != nil {
				return err
			}
			defer file.Close()
			h := hashFor("sha256:")
			n, err := io.Copy(h, withContext{gctx, file})
			layers[i] = Descriptor{MediaType: f.MediaType, Digest: sumOf("sha256:", h), Size: n, Annotations: map[string]string{AnnotationTitle: f.Title}}
			return seaworthy.Wrap(err, seaworthy.Storage, "reading %q", clip(f.Path))
		})
	}
	return layers, group.Wait()
}

func openRegular(name string) (*os.File, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return nil, statError(name, err)
	}
	if fi.IsDir() {
		return nil, seaworthy.Errorf(seaworthy.Usage, "pushing %q: it is a directory", clip(name)).WithHint("pack it first: tar -czf FILE.tar.gz DIRECTORY")
	}
	if !fi.Mode().IsRegular() {
		return nil, notRegular(name, fi.Mode())
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, statError(name, err)
	}
	return f, nil
}

func fileOpener(name string) Opener {
	return func(_ context.Context, at int64) (io.ReadCloser, error) {
		f, err := openRegular(name)
		if err != nil {
			return nil, err
		}
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			f.Close()
			return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading %q", clip(name))
		}
		return f, nil
	}
}

// validMediaType is RFC 6838's "type/subtype", without parameters.
func validMediaType(s string) bool {
	kind, sub, ok := strings.Cut(s, "/")
	name := func(s string) bool {
		return s != "" && len(s) <= 127 && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789!#$&-^_.+") == ""
	}
	return ok && name(kind) && name(sub)
}

// PulledFile is a file that PullFiles wrote.
type PulledFile struct {
	Path      string           `json:"path"` // below the directory
	MediaType string           `json:"mediaType"`
	Digest    seaworthy.Digest `json:"digest"`
	Size      int64            `json:"size"`
}

// PullFiles writes the files of an artifact into a directory: its layers that have a title, under that title. A
// title that leads out of the directory, or is there twice, is refused before anything is written. Bytes go to
// NAME.partial, which is completed when it is there already, and get their name when they are right.
// Errors: Usage when there are no titles; Forbidden; Mismatch; Storage; those of the place.
func PullFiles(ctx context.Context, from Place, raw []byte, dir string, o CopyOptions) ([]PulledFile, error) {
	m, err := ParseManifest(raw)
	if err != nil {
		return nil, err
	}
	files, layers, err := titled(m)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "making %q", clip(dir))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, statError(dir, err)
	}
	defer root.Close()
	if o.Planned != nil {
		var total int64
		for _, d := range layers {
			total += d.Size
		}
		o.Planned(total)
	}
	if o.Progress == nil {
		o.Progress = func(int64) {}
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel(o.Parallel))
	for i, d := range layers {
		group.Go(func() error { return pullFile(gctx, from, d, root, files[i].Path, o.Progress) })
	}
	return files, group.Wait()
}

func pullFile(ctx context.Context, from Place, d Descriptor, root *os.Root, name string, progress func(int64)) error {
	err := func() error {
		if dir := path.Dir(name); dir != "." {
			if err := root.MkdirAll(dir, 0o755); err != nil {
				return rootError(dir, err)
			}
		}
		if fi, err := root.Lstat(name); err == nil && !fi.Mode().IsRegular() {
			return notRegular(name, fi.Mode())
		}
		partial := name + ".partial"
		f, err := root.OpenFile(partial, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return rootError(partial, err)
		}
		err = fillPartial(ctx, f, d, func(ctx context.Context, at int64) (io.ReadCloser, error) { return from.Blob(ctx, d, at) }, progress)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		return root.Rename(partial, name)
	}()
	return seaworthy.Wrap(err, seaworthy.Storage, "writing %q", clip(name))
}

// titled lists the layers of an artifact that are files.
func titled(m Manifest) (files []PulledFile, layers []Descriptor, err error) {
	taken := map[string]bool{}
	for _, d := range m.Layers {
		title := d.Annotations[AnnotationTitle]
		if title == "" {
			continue
		}
		name := path.Clean(title)
		if !filepath.IsLocal(filepath.FromSlash(title)) || name == "." || strings.ContainsAny(title, "\\\x00") || strings.HasSuffix(name, ".partial") {
			return nil, nil, seaworthy.Errorf(seaworthy.Forbidden, "the artifact wants to write %q: that is not a file below the directory", clip(title))
		}
		if taken[name] {
			return nil, nil, seaworthy.Errorf(seaworthy.Invalid, "the artifact has two files called %q", clip(title))
		}
		taken[name] = true
		files = append(files, PulledFile{Path: name, MediaType: d.MediaType, Digest: d.Digest, Size: d.Size})
		layers = append(layers, d)
	}
	if len(files) == 0 {
		e := seaworthy.Errorf(seaworthy.Usage, "none of its %d layers has a title, so there are no files in it", len(m.Layers))
		if m.isImage() {
			return nil, nil, e.WithHint("it is an image: pull it as a layout or an archive")
		}
		return nil, nil, e.WithHint("pull it as a layout: its blobs are in blobs/sha256 then")
	}
	return files, layers, nil
}
