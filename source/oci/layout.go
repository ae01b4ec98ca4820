package oci

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// files is a read-only tree with an OCI image layout in it: a directory or an archive.
type files interface {
	// size returns the size of a regular file. Errors: NotFound, Forbidden, Unsupported.
	size(name string) (int64, error)
	// open gives the content of a regular file.
	open(name string) (io.ReadCloser, error)
	// seekable is false when open is for small documents only.
	seekable() bool
}

// layout reads an OCI image layout (image-spec image-layout.md).
type layout struct {
	files
	maxManifest int64
}

func blobPath(d seaworthy.Digest) string { return "blobs/" + d.Algorithm() + "/" + d.Hex() }

// has reports whether a blob is there.
func (l layout) has(d seaworthy.Digest) bool {
	_, err := l.size(blobPath(d))
	return err == nil
}

func (l layout) document(_ context.Context, d Descriptor) ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	if d.Size > l.maxManifest {
		return nil, tooLarge(d.Size, l.maxManifest)
	}
	b, err := l.whole(blobPath(d.Digest))
	if err != nil {
		return nil, err
	}
	return b, d.verify(b)
}

// whole returns all of a small file. Errors: TooLarge and those of open.
func (l layout) whole(name string) ([]byte, error) {
	r, err := l.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, l.maxManifest+1))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading %q", name)
	}
	if int64(len(b)) > l.maxManifest {
		return nil, tooLarge(int64(len(b)), l.maxManifest)
	}
	return b, nil
}

func tooLarge(size, limit int64) error {
	return seaworthy.Errorf(seaworthy.TooLarge, "it has at least %d bytes; the limit for manifests and configurations is %d", size, limit)
}

func (l layout) blob(d Descriptor) func(context.Context) (io.ReadCloser, error) {
	if !l.seekable() {
		return nil
	}
	return func(ctx context.Context) (io.ReadCloser, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := l.checkSize(d); err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "opening layer %s", d.Digest.Short())
		}
		r, err := l.open(blobPath(d.Digest))
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Storage, "opening layer %s", d.Digest.Short())
		}
		return &bounded{ctx: ctx, r: r, left: d.Size, what: d.Digest.Short()}, nil
	}
}

func (l layout) checkSize(d Descriptor) error {
	n, err := l.size(blobPath(d.Digest))
	if err != nil {
		return err
	}
	if n != d.Size {
		return seaworthy.Errorf(seaworthy.Mismatch, "it has %d bytes, but the manifest says %d", n, d.Size)
	}
	return nil
}

// image chooses one image and reads it.
func (l layout) image(ctx context.Context, where, sel string, o Options) (*Image, error) {
	raw, err := l.whole("index.json")
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading %q", "index.json")
	}
	kind, err := kindOf(raw, "")
	if err == nil && !isIndexType(kind) {
		err = seaworthy.Errorf(seaworthy.Invalid, "it is a manifest, not an index")
	}
	var top *Index
	if err == nil {
		top, err = parseIndex(raw, kind)
	}
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading %q", "index.json")
	}
	root, tags, err := l.pick(ctx, top, sel, o.Platform)
	if err != nil {
		return nil, err
	}
	has := l.has
	if o.Platform != (Platform{}) {
		has = nil // a platform asked for by name and not there is an error, not another platform
	}
	found, err := choose(ctx, l, root, nil, o.Platform, has)
	if err != nil {
		return nil, err
	}
	im, err := newImage(ctx, l, found, o.MaxLayers)
	if err != nil {
		return nil, err
	}
	// A layer that is missing or has another size says so when it is opened: the others can still be read.
	im.Tags = tags
	im.Reference = where + "@" + string(im.Digest)
	if len(tags) > 0 {
		if im.Reference = tags[0]; !strings.ContainsAny(im.Reference, "/:") {
			im.Reference = where + ":" + tags[0] // a tag alone says little
		}
	}
	return im, im.checkPlatform(o.Platform)
}

// pick chooses the entry of index.json that is meant, and collects the names of it. Errors: NotFound, Usage.
func (l layout) pick(ctx context.Context, top *Index, sel string, want Platform) (Descriptor, []string, error) {
	if d, err := seaworthy.ParseDigest(sel); sel != "" && err == nil {
		return l.pickDigest(ctx, top, d)
	}
	var fitting []Descriptor
	for _, d := range top.Entries {
		switch {
		case sel != "" && named(d, sel):
			fitting = append(fitting, d)
		case sel == "" && !beside(d) && !isRelation(d) && (d.MediaType == "" || isIndexType(d.MediaType) || isManifestType(d.MediaType)):
			fitting = append(fitting, d)
		}
	}
	switch {
	case len(fitting) == 0 && sel != "":
		return Descriptor{}, nil, seaworthy.Errorf(seaworthy.NotFound, "looking for image %s: there is %s", quote(sel), orNone(list(top.Entries)))
	case len(fitting) == 0:
		return Descriptor{}, nil, seaworthy.Errorf(seaworthy.NotFound, "looking for an image: index.json names none")
	}
	if one, ok := same(fitting); ok {
		return one, namesOf(top, one.Digest), nil
	}
	// Several: one for each platform, perhaps.
	var images []Descriptor
	target := want
	if target == (Platform{}) {
		target = hostPlatform()
	}
	for _, d := range fitting {
		if d.Platform != nil && d.Platform.fit(target) > 0 {
			images = append(images, d)
		}
	}
	if one, ok := same(images); ok {
		return one, namesOf(top, one.Digest), nil
	}
	if len(images) > 1 && !differentNames(images) {
		if d, ok := best(images, want, nil); ok {
			return d, namesOf(top, d.Digest), nil
		}
	}
	if len(images) == 0 && want != (Platform{}) && !slices.ContainsFunc(fitting, func(d Descriptor) bool { return d.Platform == nil }) {
		return Descriptor{}, nil, noPlatform(Descriptor{Digest: seaworthy.SHA256(top.Raw)}, want, fitting)
	}
	return Descriptor{}, nil, seaworthy.Errorf(seaworthy.Usage, "choosing an image: there are several: %s", list(fitting)).
		WithHint("name one of them: PATH:TAG or PATH@DIGEST for a layout, --image for an archive, or --platform")
}

// isRelation reports whether an entry of index.json is there for another: a signature of cosign's, say.
func isRelation(d Descriptor) bool { return isRelationTag(d.Annotations[annotationRefName]) }

// pickDigest finds a digest among the entries of index.json and, one within another, of the indexes there.
func (l layout) pickDigest(ctx context.Context, top *Index, want seaworthy.Digest) (Descriptor, []string, error) {
	level, seen := top.Entries, map[seaworthy.Digest]bool{}
	for depth, read := 0, 0; len(level) > 0 && depth <= MaxIndexDepth; depth++ {
		var next []Descriptor
		for _, d := range level {
			if d.Digest == want {
				return d, namesOf(top, want), nil
			}
			if !isIndexType(d.MediaType) || seen[d.Digest] || !l.has(d.Digest) || read >= maxIndexes {
				continue
			}
			seen[d.Digest] = true
			read++
			raw, kind, err := load(ctx, l, d)
			if err != nil {
				return Descriptor{}, nil, err
			}
			if isIndexType(kind) {
				index, err := parseIndex(raw, kind)
				if err != nil {
					return Descriptor{}, nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading index %s", d.Digest.Short())
				}
				next = append(next, index.Entries...)
			}
		}
		level = next
	}
	return Descriptor{}, nil, seaworthy.Errorf(seaworthy.NotFound, "looking for image %s: there is %s", want, orNone(list(top.Entries)))
}

// same returns the one image that all entries are.
func same(entries []Descriptor) (Descriptor, bool) {
	if len(entries) == 0 {
		return Descriptor{}, false
	}
	for _, d := range entries[1:] {
		if d.Digest != entries[0].Digest {
			return Descriptor{}, false
		}
	}
	return entries[0], true
}

// differentNames reports whether entries carry more than one name: then the platform alone does not choose.
func differentNames(entries []Descriptor) bool {
	for _, d := range entries[1:] {
		if strings.Join(names(d), " ") != strings.Join(names(entries[0]), " ") {
			return true
		}
	}
	return false
}

// names are what an entry of index.json calls its image.
func names(d Descriptor) []string {
	var out []string
	for _, key := range []string{annotationContainerd, annotationRefName} {
		if n := d.Annotations[key]; n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	// containerd writes the whole name in one and the tag alone in the other.
	if len(out) == 2 && strings.HasSuffix(out[0], ":"+out[1]) {
		out = out[:1]
	}
	return out
}

// named reports whether an entry is called sel, as a whole name or by its tag.
func named(d Descriptor, sel string) bool {
	for _, key := range []string{annotationContainerd, annotationRefName} {
		n := d.Annotations[key]
		if n == sel || n != "" && strings.HasSuffix(n, ":"+sel) && validTag(sel) {
			return true
		}
		if a, err := ParseReference(n); n != "" && strings.Contains(sel, ":") && err == nil {
			if b, err := ParseReference(sel); err == nil && a == b {
				return true
			}
		}
	}
	return false
}

// namesOf collects what index.json calls a digest, sorted.
func namesOf(top *Index, digest seaworthy.Digest) []string {
	var out []string
	for _, d := range top.Entries {
		if d.Digest == digest {
			out = append(out, names(d)...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// list shows entries to a person who has to choose.
func list(entries []Descriptor) string {
	var out []string
	for _, d := range entries {
		s := strings.Join(names(d), " = ")
		if s == "" {
			s = string(d.Digest)
		}
		if d.Platform != nil && d.Platform.String() != "" {
			s += " (" + d.Platform.String() + ")"
		}
		out = append(out, s)
	}
	return quoted(out, 20)
}

// bounded gives at most left bytes of r, says so when r ends before, and stops when ctx does.
type bounded struct {
	ctx  context.Context
	r    io.ReadCloser
	left int64
	what string
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	if err != nil && (!errors.Is(err, io.EOF) || b.left > 0) {
		if errors.Is(err, io.EOF) {
			err = seaworthy.Errorf(seaworthy.Mismatch, "it ends %d bytes early", b.left)
		}
		return n, seaworthy.Wrap(err, seaworthy.Storage, "reading layer %s", b.what)
	}
	return n, err
}

func (b *bounded) Close() error { return b.r.Close() }

// openLayout opens a layout directory. Links out of the directory are not followed (os.Root).
func openLayout(ctx context.Context, t Target, o Options) (*Image, error) {
	o, err := o.defaults()
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(t.Path)
	if err != nil {
		return nil, statError(t.Path, err)
	}
	sel := t.Select
	if sel == "" {
		sel = o.Image
	}
	l := layout{files: rootFiles{root}, maxManifest: o.MaxManifest}
	im, err := l.image(ctx, t.Path, sel, o)
	if err != nil {
		root.Close()
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "opening OCI layout %q", clip(t.Path))
	}
	im.Kind, im.close = KindLayout, root.Close
	return im, nil
}

// rootFiles are the files below a directory.
type rootFiles struct{ root *os.Root }

func (f rootFiles) seekable() bool { return true }

func (f rootFiles) size(name string) (int64, error) {
	fi, err := f.root.Stat(name)
	if err != nil {
		return 0, rootError(name, err)
	}
	if !fi.Mode().IsRegular() {
		return 0, notRegular(name, fi.Mode())
	}
	return fi.Size(), nil
}

func (f rootFiles) open(name string) (io.ReadCloser, error) {
	if _, err := f.size(name); err != nil { // before opening: a pipe would make us wait
		return nil, err
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, rootError(name, err)
	}
	if fi, err := file.Stat(); err != nil || !fi.Mode().IsRegular() {
		file.Close()
		return nil, seaworthy.Errorf(seaworthy.Conflict, "opening %q: it changed meanwhile", name)
	}
	return file, nil
}

// rootError turns what os.Root says into our codes. A path that leads out of the root has no error value of
// its own, but is neither missing nor forbidden by the system.
func rootError(name string, err error) error {
	var pe *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return seaworthy.Errorf(seaworthy.NotFound, "there is no %q", name)
	case errors.As(err, &pe) && strings.Contains(pe.Err.Error(), "escapes"):
		return seaworthy.Errorf(seaworthy.Forbidden, "%q leads out of the directory", name)
	case pe != nil:
		err = pe.Err
	}
	return seaworthy.Errorf(seaworthy.Storage, "opening %q: %w", name, err)
}
