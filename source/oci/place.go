package oci

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// Place is somewhere images, and what refers to them, are kept: a *Repository of a registry or a *Layout.
// Names within it are tags or digests; "" is the only image a layout has.
type Place interface {
	// Manifest returns what a name stands for, checked against its digest. Errors: NotFound, Mismatch, Invalid,
	// TooLarge, Unsupported, and those of the registry or disk.
	Manifest(ctx context.Context, name string) (Descriptor, []byte, error)
	// Blob streams the bytes of d from an offset on: never more than d.Size says, not checked against d.Digest.
	Blob(ctx context.Context, d Descriptor, offset int64) (io.ReadCloser, error)
	// Referrers lists the manifests whose subject a digest is, of one type or, with "", of all. None is an empty
	// list; a listing that could not be had is an error. See Related for what else refers to an image.
	Referrers(ctx context.Context, subject seaworthy.Digest, artifactType string) ([]Referrer, error)
	// Tags lists the tags, sorted.
	Tags(ctx context.Context) ([]string, error)
}

// Destination is a Place that can be written to.
type Destination interface {
	Place
	// PutBlob makes d be there. open is asked for its bytes, from an offset on, only when they are needed; they
	// are checked against d.Digest on the way. Errors: Mismatch, those of open, Storage, and the registry's.
	PutBlob(ctx context.Context, d Descriptor, open Opener, o PutOptions) (Put, error)
	// PutManifest writes a manifest or index, whose blobs must be there, under a tag, under its digest, or, with
	// "", as part of an index that is still to come. A manifest with a subject becomes a referrer of it.
	PutManifest(ctx context.Context, name string, d Descriptor, raw []byte) error
}

// Opener gives the bytes of a blob from an offset on.
type Opener func(ctx context.Context, offset int64) (io.ReadCloser, error)

// PutOptions say how a blob is written. The zero value is fine.
type PutOptions struct {
	// MountFrom is another repository of the same registry that has the blob. "": none is known.
	MountFrom string
	// Progress is told how many bytes went; a negative number when some must go again. May be nil.
	Progress func(n int64)
}

// Put is how a blob came to be there.
type Put string

// The ways.
const (
	Existed  Put = "existed"
	Mounted  Put = "mounted"
	Uploaded Put = "uploaded"
)

// Repository is one repository of a registry.
type Repository struct {
	Client *Client
	Ref    Reference // its Tag and Digest do not matter
}

// named is a reference to a tag or digest in the repository. Errors: Usage.
func (r *Repository) named(name string) (Reference, error) {
	ref := Reference{Registry: r.Ref.Registry, Repository: r.Ref.Repository}
	if strings.Contains(name, ":") {
		d, err := seaworthy.ParseDigest(name)
		if err != nil || !d.NamesContent() {
			return ref, seaworthy.Errorf(seaworthy.Usage, "%q is neither a tag nor a sha256 or sha512 digest", clip(name))
		}
		ref.Digest = d
		return ref, nil
	}
	if !validTag(name) {
		return ref, seaworthy.Errorf(seaworthy.Usage, "%q is no tag: a tag has up to 128 letters, digits, '_', '.' and '-', and begins with none of the last two", clip(name))
	}
	ref.Tag = name
	return ref, nil
}

// Manifest implements Place.
func (r *Repository) Manifest(ctx context.Context, name string) (Descriptor, []byte, error) {
	ref, err := r.named(name)
	if err != nil {
		return Descriptor{}, nil, err
	}
	return r.Client.Manifest(ctx, ref)
}

// Blob implements Place.
func (r *Repository) Blob(ctx context.Context, d Descriptor, offset int64) (io.ReadCloser, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	b := &blob{ctx: ctx, c: r.Client, ref: r.Ref, d: d, at: offset, mark: offset}
	if offset == d.Size && offset > 0 {
		b.ended = io.EOF
		return b, nil
	}
	if err := b.connect(); err != nil {
		return nil, b.fail(err)
	}
	return b, nil
}

// Opened is a Place that was opened by name.
type Opened struct {
	Place
	// Name is what was named in it: a tag, a digest, or "" for the only image of a layout.
	Name string
	// Where is its name for people, without Name.
	Where string
	// Target is what was named.
	Target Target

	close []func()
}

// repositoryOf is the repository that a place is, also when it was opened by name.
func repositoryOf(p Place) (*Repository, bool) {
	if o, ok := p.(*Opened); ok {
		p = o.Place
	}
	r, ok := p.(*Repository)
	return r, ok
}

// Close lets go of connections and files.
func (o *Opened) Close() {
	for i := len(o.close) - 1; i >= 0; i-- {
		o.close[i]()
	}
	o.close = nil
}

// OpenPlace opens what target names (see ParseTarget): a repository, a layout or an archive. A docker archive, or
// one that is compressed, is unpacked into a temporary layout, which Close removes. Options.Image chooses the
// image of an archive or layout.
// Errors: as Open.
func OpenPlace(ctx context.Context, target string, o Options) (*Opened, error) {
	t, err := ParseTarget(target)
	if err != nil {
		return nil, err
	}
	return openPlace(ctx, t, target, o)
}

func openPlace(ctx context.Context, t Target, target string, o Options) (*Opened, error) {
	switch t.Kind {
	case KindRegistry:
		c, err := NewClient(o)
		if err != nil {
			return nil, err
		}
		return &Opened{
			Place: &Repository{c, t.Reference}, Name: t.Reference.target(), Where: t.Reference.Name(), Target: t,
			close: []func(){c.Close},
		}, nil
	case KindLayout:
		l, err := OpenLayout(t.Path, o)
		if err != nil {
			return nil, err
		}
		name := t.Select
		if name == "" {
			name = o.Image
		}
		return &Opened{Place: l, Name: name, Where: t.Path, Target: t, close: []func(){l.Close}}, nil
	case KindArchive:
		return openArchivePlace(ctx, t, target, o)
	}
	return nil, seaworthy.Errorf(seaworthy.Usage, "opening %q: it is a %s, where no images are kept", clip(target), kindWords[t.Kind]).
		WithHint("images are in a registry, an OCI layout directory (oci-dir:PATH) or a docker or OCI archive (archive:PATH)")
}

// OpenDestination opens what target names for writing: a repository, or a layout, which is made when it does not
// exist and target says oci-dir: or looks like a path. Errors: as Open; Usage for archives.
func OpenDestination(ctx context.Context, target string, o Options) (*Opened, Destination, error) {
	kind, rest, _ := strings.Cut(target, ":")
	if kind != KindLayout {
		rest = target
	}
	_, statErr := os.Stat(rest)
	if os.IsNotExist(statErr) && (kind == KindLayout || looksLikePath(target)) {
		path, sel := rest, ""
		if p, s, ok := cutSelect(rest); ok {
			path, sel = p, s
		} else if i := strings.LastIndexByte(rest, ':'); i > 0 && !strings.Contains(rest[i:], "/") {
			path, sel = rest[:i], rest[i+1:]
		}
		l, err := CreateLayout(path, o)
		if err != nil {
			return nil, nil, err
		}
		t := Target{Kind: KindLayout, Path: path, Select: sel}
		return &Opened{Place: l, Name: sel, Where: path, Target: t, close: []func(){l.Close}}, l, nil
	}
	opened, err := OpenPlace(ctx, target, o)
	if err != nil {
		return nil, nil, err
	}
	d, ok := opened.Place.(Destination)
	if l, isLayout := opened.Place.(*Layout); isLayout && l.root == nil {
		ok = false
	}
	if !ok {
		opened.Close()
		return nil, nil, seaworthy.Errorf(seaworthy.Usage, "writing to %q: an archive cannot be changed", clip(target)).
			WithHint("write to a registry or a layout directory, or make a new archive with seaworthy oci pull --format archive")
	}
	return opened, d, nil
}

// placeContent is a Place as the content of one image.
type placeContent struct {
	Place
	limit int64
}

func (p placeContent) document(ctx context.Context, d Descriptor) ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	if d.Size > p.limit {
		return nil, tooLarge(d.Size, p.limit)
	}
	if isIndexType(d.MediaType) || isManifestType(d.MediaType) {
		_, raw, err := p.Manifest(ctx, string(d.Digest))
		if err != nil {
			return nil, err
		}
		return raw, d.verify(raw)
	}
	r, err := p.Blob(ctx, d, 0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, d.Size+1))
	if err != nil {
		return nil, err
	}
	return b, d.verify(b)
}

func (p placeContent) blob(d Descriptor) func(context.Context) (io.ReadCloser, error) {
	return func(ctx context.Context) (io.ReadCloser, error) { return p.Place.Blob(ctx, d, 0) }
}

// ReadBlob returns the whole of a small blob, checked. limit is in bytes. Errors: TooLarge, Mismatch, and those
// of Place.Blob.
func ReadBlob(ctx context.Context, p Place, d Descriptor, limit int64) ([]byte, error) {
	return placeContent{p, limit}.document(ctx, Descriptor{Digest: d.Digest, Size: d.Size})
}

// PlatformManifest returns what name stands for when it is an image or artifact, and the image for a platform
// when it is an index. Errors: those of Place.Manifest; NotFound when the platform is not there.
func PlatformManifest(ctx context.Context, p Place, name string, want Platform) (Descriptor, []byte, error) {
	d, raw, err := p.Manifest(ctx, name)
	if err != nil {
		return d, nil, err
	}
	found, err := choose(ctx, placeContent{p, DefaultMaxManifest}, d, raw, want, nil)
	if err != nil {
		return d, nil, err
	}
	found.desc.MediaType = found.mediaType
	return found.desc, found.raw, nil
}

// OpenImage reads the image that name stands for, as Open does. Errors: as Open.
func OpenImage(ctx context.Context, p Place, name string, want Platform) (*Image, error) {
	d, raw, err := p.Manifest(ctx, name)
	if err != nil {
		return nil, err
	}
	src := placeContent{p, DefaultMaxManifest}
	found, err := choose(ctx, src, d, raw, want, nil)
	if err != nil {
		return nil, err
	}
	im, err := newImage(ctx, src, found, DefaultMaxLayers)
	if err != nil {
		return nil, err
	}
	return im, im.checkPlatform(want)
}
