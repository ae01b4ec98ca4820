package oci

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gofrs/flock"

	"github.com/seaworthy-dev/seaworthy"
)

const layoutFile = `{"imageLayoutVersion":"1.0.0"}`

// Layout is an OCI image layout (image-spec image-layout.md) as a place: tags are the ref.name annotations in
// index.json, and manifests with a subject are entries of it too. It is safe for concurrent use, and index.json is
// changed under a lock that other processes see.
type Layout struct {
	layout
	path  string
	root  *os.Root // nil: an archive, read only
	o     Options
	close func() error

	mu    sync.Mutex                      // held while index.json is read and written, and for known
	known map[seaworthy.Digest]knownEntry // what the manifests in index.json refer to
}

// knownEntry is a manifest as a referrer.
type knownEntry struct {
	entry   Descriptor
	subject seaworthy.Digest
}

// OpenLayout opens a layout directory. Links out of it are not followed. Errors: NotFound, Storage, Usage.
func OpenLayout(path string, o Options) (*Layout, error) {
	o, err := o.defaults()
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, statError(path, err)
	}
	return &Layout{layout: layout{files: rootFiles{root}, maxManifest: o.MaxManifest}, path: path, root: root, o: o, close: root.Close}, nil
}

// CreateLayout opens a layout directory and makes it when it is not there. Errors: Usage for a directory with
// something else in it, Storage.
func CreateLayout(path string, o Options) (*Layout, error) {
	if entries, err := os.ReadDir(path); err == nil && len(entries) > 0 && !isLayout(path) {
		return nil, seaworthy.Errorf(seaworthy.Usage, "writing an OCI layout to %q: there is something else in that directory", clip(path)).
			WithHint("name a new or empty directory")
	}
	if err := os.MkdirAll(filepath.Join(path, "blobs", "sha256"), 0o755); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "making the layout %q", clip(path))
	}
	l, err := OpenLayout(path, o)
	if err != nil {
		return nil, err
	}
	for name, content := range map[string]string{"oci-layout": layoutFile, "index.json": `{"schemaVersion":2,"mediaType":"` + MediaTypeIndex + `","manifests":[]}`} {
		if _, err := l.root.Stat(name); err == nil {
			continue
		}
		if err := l.write(name, []byte(content)); err != nil {
			l.Close()
			return nil, err
		}
	}
	return l, nil
}

// Close lets go of files.
func (l *Layout) Close() {
	if l.close != nil {
		_ = l.close() // nothing is written through it
		l.close = nil
	}
}

// top reads index.json.
func (l *Layout) top() (*Index, error) {
	raw, err := l.whole("index.json")
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading index.json of %q", clip(l.path))
	}
	index, err := parseIndex(raw, MediaTypeIndex)
	return index, seaworthy.Wrap(err, seaworthy.Invalid, "reading index.json of %q", clip(l.path))
}

// Manifest implements Place.
func (l *Layout) Manifest(ctx context.Context, name string) (Descriptor, []byte, error) {
	d, raw, err := l.manifestNamed(ctx, name)
	return d, raw, seaworthy.Wrap(err, seaworthy.Invalid, "reading the manifest %q of %q", clip(name), clip(l.path))
}

func (l *Layout) manifestNamed(ctx context.Context, name string) (Descriptor, []byte, error) {
	top, err := l.top()
	if err != nil {
		return Descriptor{}, nil, err
	}
	var d Descriptor
	if digest, derr := seaworthy.ParseDigest(name); derr == nil {
		d.Digest = digest
		if d, err = l.describe(top, digest); err != nil {
			return Descriptor{}, nil, err
		}
	} else if d, _, err = l.pick(ctx, top, name, l.o.Platform); err != nil {
		return Descriptor{}, nil, err
	}
	raw, kind, err := load(ctx, l.layout, d)
	return Descriptor{MediaType: kind, Digest: d.Digest, Size: d.Size}, raw, err
}

// describe finds the size of a manifest: from index.json, or else from its file.
func (l *Layout) describe(top *Index, digest seaworthy.Digest) (Descriptor, error) {
	for _, d := range top.Entries {
		if d.Digest == digest {
			return d, nil
		}
	}
	if !digest.NamesContent() {
		return Descriptor{}, seaworthy.Errorf(seaworthy.Usage, "%s names no content", digest)
	}
	n, err := l.size(blobPath(digest))
	return Descriptor{Digest: digest, Size: n}, err
}

// Blob implements Place.
func (l *Layout) Blob(ctx context.Context, d Descriptor, offset int64) (io.ReadCloser, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	r, err := l.blob(d)(ctx)
	if err != nil || offset == 0 {
		return r, err
	}
	b, seeker := r.(*bounded), false
	if s, ok := b.r.(io.Seeker); ok {
		_, err = s.Seek(offset, io.SeekStart)
		b.left -= offset
		seeker = true
	}
	if !seeker {
		_, err = io.CopyN(io.Discard, r, offset)
	}
	if err != nil {
		r.Close()
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading blob %s from byte %d", d.Digest.Short(), offset)
	}
	return r, nil
}

// Tags implements Place.
func (l *Layout) Tags(context.Context) ([]string, error) {
	top, err := l.top()
	if err != nil {
		return nil, err
	}
	tags := []string{}
	for _, d := range top.Entries {
		tags = append(tags, names(d)...)
	}
	slices.Sort(tags)
	return slices.Compact(tags), nil
}

// Referrers implements Place: the manifests in index.json whose subject it is, and the index at the fallback tag.
func (l *Layout) Referrers(ctx context.Context, subject seaworthy.Digest, artifactType string) ([]Referrer, error) {
	top, err := l.top()
	if err != nil {
		return nil, wrapReferrers(err, subject, quote(l.path))
	}
	var found []Referrer
	for _, d := range top.Entries {
		k, err := l.know(ctx, d)
		if err != nil {
			return nil, wrapReferrers(err, subject, quote(l.path))
		}
		if k.subject == subject && (artifactType == "" || k.entry.ArtifactType == artifactType) {
			found = append(found, Referrer{Descriptor: k.entry, Via: ViaAPI})
		}
	}
	more, err := fallbackReferrers(ctx, l, subject, artifactType)
	return unique(append(found, more...)), wrapReferrers(err, subject, quote(l.path))
}

// know reads a manifest in index.json once. One that is not there refers to nothing.
func (l *Layout) know(ctx context.Context, d Descriptor) (knownEntry, error) {
	l.mu.Lock()
	k, ok := l.known[d.Digest]
	l.mu.Unlock()
	if ok {
		return k, nil
	}
	if l.has(d.Digest) {
		raw, kind, err := load(ctx, l.layout, d)
		if err != nil {
			return k, err
		}
		d.MediaType = kind
		if k.entry, k.subject, err = asReferrer(d, raw); err != nil {
			return k, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = map[seaworthy.Digest]knownEntry{}
	}
	l.known[d.Digest] = k
	return k, nil
}

// PutBlob implements Destination. The bytes go to a file that ends in ".partial" and gets its name when it is whole
// and right. One that an earlier attempt has left is read again and completed.
func (l *Layout) PutBlob(ctx context.Context, d Descriptor, open Opener, o PutOptions) (Put, error) {
	how, err := l.putBlob(ctx, d, open, o)
	return how, seaworthy.Wrap(err, seaworthy.Storage, "writing blob %s to %q", d.Digest.Short(), clip(l.path))
}

func (l *Layout) putBlob(ctx context.Context, d Descriptor, open Opener, o PutOptions) (Put, error) {
	if err := d.check(); err != nil {
		return "", err
	}
	if o.Progress == nil {
		o.Progress = func(int64) {}
	}
	name := filepath.FromSlash(blobPath(d.Digest))
	if fi, err := l.root.Stat(name); err == nil && fi.Mode().IsRegular() && fi.Size() == d.Size {
		o.Progress(d.Size)
		return Existed, nil
	}
	if err := l.root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return "", rootError(name, err)
	}
	partial := name + ".partial"
	lock := flock.New(filepath.Join(l.path, partial), flock.SetPermissions(0o644))
	if mine, err := lock.TryLock(); err != nil || !mine { // somebody else is at it: each for himself
		partial = name + "." + rand.Text()[:10] + ".partial"
	} else {
		defer lock.Unlock()
	}
	f, err := l.root.OpenFile(partial, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return "", rootError(partial, err)
	}
	defer f.Close()
	err = fillPartial(ctx, f, d, open, o.Progress)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = l.root.Rename(partial, name)
	}
	return Uploaded, err
}

// fillPartial completes a file that may have a beginning of d already. When that beginning was wrong, it starts
// again, once. A file that stays wrong is emptied.
func fillPartial(ctx context.Context, f *os.File, d Descriptor, open Opener, progress func(int64)) error {
	for again := false; ; again = true {
		h := hashFor(d.Digest)
		var at int64
		var err error
		if again {
			err = f.Truncate(0)
		} else if at, err = io.Copy(h, io.LimitReader(f, d.Size+1)); at > d.Size {
			at = 0
			h = hashFor(d.Digest)
			err = f.Truncate(0)
		}
		if err == nil {
			_, err = f.Seek(at, io.SeekStart)
		}
		if err != nil {
			return err
		}
		had := at
		progress(at)
		if at < d.Size {
			n, err := copyFrom(ctx, f, h, d, at, open, progress)
			at += n
			if err != nil {
				return err
			}
		}
		got := sumOf(d.Digest, h)
		if got == d.Digest {
			return nil
		}
		progress(-at)
		if had == 0 || again {
			_ = f.Truncate(0) // nothing of it is worth keeping
			return seaworthy.Errorf(seaworthy.Mismatch, "its bytes have the digest %s", got)
		}
	}
}

// copyFrom writes the bytes of d from at on, hashed on the way.
func copyFrom(ctx context.Context, f io.Writer, h io.Writer, d Descriptor, at int64, open Opener, progress func(int64)) (int64, error) {
	r, err := open(ctx, at)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	n, err := io.Copy(io.MultiWriter(f, h, counted(progress)), io.LimitReader(r, d.Size-at+1))
	switch {
	case err != nil:
		return n, err
	case at+n != d.Size:
		return n, seaworthy.Errorf(seaworthy.Mismatch, "there are %d bytes of it, but it should have %d", at+n, d.Size)
	}
	return n, nil
}

// counted tells progress how much is written.
type counted func(int64)

func (c counted) Write(p []byte) (int, error) { c(int64(len(p))); return len(p), nil }

// PutManifest implements Destination. name "" adds it to index.json only when it refers to something.
func (l *Layout) PutManifest(ctx context.Context, name string, d Descriptor, raw []byte) error {
	err := l.putManifest(ctx, name, d, raw)
	return seaworthy.Wrap(err, seaworthy.Storage, "writing manifest %s to %q", d.Digest.Short(), clip(l.path))
}

func (l *Layout) putManifest(ctx context.Context, name string, d Descriptor, raw []byte) error {
	if err := d.check(); err != nil {
		return err
	}
	if err := d.verify(raw); err != nil {
		return err
	}
	entry, subject, err := asReferrer(d, raw)
	if err != nil {
		return err
	}
	if !l.has(d.Digest) {
		if err := l.root.MkdirAll(filepath.Dir(blobPath(d.Digest)), 0o755); err != nil {
			return rootError("blobs", err)
		}
		if err := l.write(blobPath(d.Digest), raw); err != nil {
			return err
		}
	}
	if name == "" && subject == "" {
		return nil
	}
	if subject == "" {
		entry.ArtifactType, entry.Annotations = "", nil // an image: what it is, it says itself
		entry.Platform = l.platformOf(ctx, d, raw)
	} else {
		entry.Annotations = nil
	}
	tag := name
	if strings.Contains(name, ":") {
		if _, err := seaworthy.ParseDigest(name); err == nil {
			tag = ""
		}
	}
	return l.change(func(entries []Descriptor) []Descriptor { return setEntry(entries, entry, tag) })
}

// setEntry puts an entry into index.json's list: in place of what had its tag, once for each digest and tag.
func setEntry(entries []Descriptor, entry Descriptor, tag string) []Descriptor {
	if tag != "" {
		entry.Annotations = map[string]string{annotationRefName: tag}
	}
	entries = slices.DeleteFunc(entries, func(d Descriptor) bool {
		other := d.Annotations[annotationRefName]
		return tag != "" && other == tag || d.Digest == entry.Digest && (other == "" || other == tag)
	})
	if tag == "" && slices.ContainsFunc(entries, func(d Descriptor) bool { return d.Digest == entry.Digest }) {
		return entries // it is there under a name
	}
	return append(entries, entry)
}

// platformOf reads an image's platform, so that others can choose by it; nil when it has none.
func (l *Layout) platformOf(ctx context.Context, d Descriptor, raw []byte) *Platform {
	if !isManifestType(d.MediaType) {
		return nil
	}
	im, err := newImage(ctx, l.layout, chosen{desc: d, raw: raw, mediaType: d.MediaType}, l.o.MaxLayers)
	if err != nil || im.Platform.String() == "" {
		return nil
	}
	return &im.Platform
}

// Delete takes a tag, or a digest with all its tags, out of index.json. Blobs stay. Errors: NotFound, Storage.
func (l *Layout) Delete(_ context.Context, name string) error {
	if l.root == nil {
		return seaworthy.Errorf(seaworthy.Usage, "deleting %q from %q: an archive cannot be changed", clip(name), clip(l.path))
	}
	digest, isDigest := seaworthy.ParseDigest(name)
	gone := 0
	err := l.change(func(entries []Descriptor) []Descriptor {
		return slices.DeleteFunc(entries, func(d Descriptor) bool {
			hit := isDigest == nil && d.Digest == digest || isDigest != nil && named(d, name)
			if hit {
				gone++
			}
			return hit
		})
	})
	if err == nil && gone == 0 {
		return seaworthy.Errorf(seaworthy.NotFound, "deleting %q from %q: index.json has no such entry", clip(name), clip(l.path))
	}
	return err
}

// change rewrites index.json under a lock.
func (l *Layout) change(do func([]Descriptor) []Descriptor) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	lock := flock.New(filepath.Join(l.path, "oci-layout"), flock.SetFlag(os.O_RDONLY))
	if err := lock.Lock(); err != nil {
		return seaworthy.Errorf(seaworthy.Storage, "locking %q: %w", clip(l.path), err)
	}
	defer lock.Unlock()
	top, err := l.top()
	if err != nil {
		return err
	}
	raw, err := encodeIndex(do(slices.Clone(top.Entries)), top.Annotations)
	if err != nil {
		return err
	}
	l.known = nil
	return l.write("index.json", raw)
}

// write makes a file hold b: all of it or, when that fails, what it held before.
func (l *Layout) write(name string, b []byte) error {
	if l.root == nil {
		return seaworthy.Errorf(seaworthy.Usage, "an archive cannot be changed")
	}
	temp := name + "." + rand.Text()[:10] + ".partial"
	f, err := l.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return rootError(name, err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = l.root.Rename(temp, name)
	}
	if err != nil {
		_ = l.root.Remove(temp)
		return seaworthy.Errorf(seaworthy.Storage, "writing %q: %w", name, err)
	}
	return nil
}
