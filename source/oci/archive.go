package oci

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/seaworthy-dev/seaworthy"
)

const (
	// maxArchiveEntries is how many entries an archive may have: ten times the layers an image may.
	maxArchiveEntries = 100_000
	// maxKept is how many bytes of small JSON files of a compressed archive are held in memory: 64 MiB.
	maxKept = 64 << 20
	// maxLinks is how many links one name may lead over.
	maxLinks = 16
	// maxZstdWindow is the largest window a zstd stream may ask for: 128 MiB, as the zstd tool's own limit.
	maxZstdWindow = 128 << 20
)

// entry is one entry of a tar file.
type entry struct {
	ordinal int
	size    int64
	offset  int64   // of its data, where the archive can be read at offsets
	link    string  // of links: the clean name they point at
	head    [6]byte // the first bytes
	kept    []byte  // the whole, of small documents in compressed archives
	sparse  bool
	partial bool // the archive ends within it
}

// archive is an opened tar file and where its entries are.
type archive struct {
	file    *os.File
	size    int64
	codec   string // "", "gzip" or "zstd": how it is compressed as a whole
	entries map[string]*entry
	last    string // name of the last entry, for errors
	cut     error  // what ended it before its end
	twice   map[string]bool
	max     int64 // bytes to unpack at most
	keep    int64 // size of the largest document
}

// codecOf recognises compression by its first bytes.
func codecOf(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return "gzip"
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return "zstd"
	}
	return ""
}

// unpack gives the uncompressed bytes of r, at most limit of them. close must be called.
func unpack(r io.Reader, codec string, limit int64) (out io.Reader, closeIt func(), err error) {
	closeIt = func() {}
	r = bufio.NewReaderSize(r, 256<<10)
	switch codec {
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		out = z
	case "zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, nil, err
		}
		out, closeIt = z, z.Close
	default:
		return r, closeIt, nil
	}
	return &limited{r: out, left: limit, limit: limit}, closeIt, nil
}

// limited fails with TooLarge, rather than end, after its limit.
type limited struct {
	r           io.Reader
	left, limit int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, seaworthy.Errorf(seaworthy.TooLarge, "it unpacks to more than %d bytes", l.limit)
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	n, err := l.r.Read(p)
	l.left -= int64(n)
	return n, err
}

// withContext makes a reader end with its context.
type withContext struct {
	ctx context.Context
	r   io.Reader
}

func (r withContext) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// tarFile is what walk reads: seekable when it is a file, so that bodies are skipped without being read.
type tarFile struct {
	ctx context.Context
	*os.File
}

func (f tarFile) Read(p []byte) (int, error) {
	if err := f.ctx.Err(); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

// walk calls visit for each entry of the archive from its beginning, until visit says stop.
func (a *archive) walk(ctx context.Context, visit func(ordinal int, h *tar.Header, r io.Reader) (more bool, err error)) error {
	var tr *tar.Reader
	var file tarFile
	if a.codec == "" {
		if _, err := a.file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		file = tarFile{ctx, a.file}
		tr = tar.NewReader(file)
	} else {
		// Each pass reads the file at its own offsets, so that passes do not disturb one another.
		r, closeIt, err := unpack(withContext{ctx, io.NewSectionReader(a.file, 0, a.size)}, a.codec, a.max)
		if err != nil {
			return err
		}
		defer closeIt()
		tr = tar.NewReader(r)
	}
	for n := 0; ; n++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n >= maxArchiveEntries {
			return seaworthy.Errorf(seaworthy.TooLarge, "more than %d entries in an image archive", maxArchiveEntries)
		}
		if more, err := visit(n, h, tr); err != nil || !more {
			return err
		}
	}
}

// index notes where every entry is. What ends the archive early is kept for the error of what is missing.
func (a *archive) index(ctx context.Context) error {
	a.entries, a.twice = map[string]*entry{}, map[string]bool{}
	kept := int64(0)
	err := a.walk(ctx, func(ordinal int, h *tar.Header, r io.Reader) (bool, error) {
		name := cleanName(h.Name)
		if name == "" {
			return true, nil
		}
		a.last = name
		e := &entry{ordinal: ordinal, size: h.Size}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeGNUSparse:
			e.sparse = h.Typeflag == tar.TypeGNUSparse || h.PAXRecords["GNU.sparse.major"] != "" || h.PAXRecords["GNU.sparse.map"] != ""
		case tar.TypeSymlink:
			e.link = cleanName(path.Join(path.Dir(name), h.Linkname))
			if path.IsAbs(h.Linkname) || e.link == "" {
				return true, nil
			}
		case tar.TypeLink:
			if e.link = cleanName(h.Linkname); e.link == "" {
				return true, nil
			}
		default:
			return true, nil
		}
		if a.entries[name] != nil {
			a.twice[name] = true
		}
		a.entries[name] = e
		if e.link != "" || e.sparse {
			return true, nil
		}
		err := a.note(e, r, &kept)
		e.partial = err != nil
		return true, err
	})
	if err != nil {
		code := seaworthy.CodeOf(err)
		if code == seaworthy.TooLarge || code == seaworthy.Interrupted || ctx.Err() != nil {
			return err
		}
		a.cut = err
	}
	return nil
}

// note remembers where an entry's bytes are, how they begin and, when they cannot be had again cheaply and are
// small and JSON, the bytes themselves.
func (a *archive) note(e *entry, r io.Reader, kept *int64) error {
	if a.codec == "" {
		off, err := a.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		e.offset = off
		if n := min(e.size, int64(len(e.head))); n > 0 {
			if _, err := a.file.ReadAt(e.head[:n], off); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
		}
		return nil
	}
	n, err := io.ReadFull(r, e.head[:min(e.size, int64(len(e.head)))])
	if err != nil {
		return err
	}
	start := bytes.TrimLeft(e.head[:n], " \t\r\n")
	if e.size <= a.keep && *kept+e.size <= maxKept && len(start) > 0 && (start[0] == '{' || start[0] == '[') {
		rest, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		e.kept = append(e.head[:n:n], rest...)
		*kept += e.size
		return nil
	}
	_, err = io.Copy(io.Discard, r)
	return err
}

// cleanName makes a name in an archive relative and clean; "" for one that leads out.
func cleanName(name string) string {
	name = path.Clean("./" + strings.TrimLeft(name, "/"))
	if name == "." || name == ".." || strings.HasPrefix(name, "../") {
		return ""
	}
	return name
}

// resolve follows links to an entry with bytes. Errors: NotFound, Invalid, Unsupported.
func (a *archive) resolve(name string) (*entry, error) {
	at := cleanName(name)
	for range maxLinks {
		e := a.entries[at]
		if e == nil {
			return nil, a.missing(name)
		}
		if e.link != "" {
			at = e.link
			continue
		}
		if e.sparse {
			return nil, seaworthy.Errorf(seaworthy.Unsupported, "%s is stored as a sparse file", quote(name))
		}
		if e.partial {
			return nil, a.missing(name)
		}
		if a.codec == "" && e.size > a.size-e.offset {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "the archive is cut off: it ends %d bytes before the end of %s", e.size-(a.size-e.offset), quote(name))
		}
		return e, nil
	}
	return nil, seaworthy.Errorf(seaworthy.Invalid, "%s is a link that leads on and on", quote(name))
}

func (a *archive) missing(name string) error {
	if a.cut != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "%s is missing: the archive is damaged or cut off; the last entry is %s (%s)", quote(name), orNone(quote(a.last)), clip(a.cut.Error())).
			WithHint("copy or save the archive again")
	}
	return seaworthy.Errorf(seaworthy.NotFound, "there is no %s in the archive", quote(name))
}

func (a *archive) seekable() bool { return a.codec == "" }

func (a *archive) size64(name string) (int64, error) {
	e, err := a.resolve(name)
	if err != nil {
		return 0, err
	}
	return e.size, nil
}

func (a *archive) open(name string) (io.ReadCloser, error) {
	e, err := a.resolve(name)
	switch {
	case err != nil:
		return nil, err
	case a.codec == "":
		return io.NopCloser(io.NewSectionReader(a.file, e.offset, e.size)), nil
	case e.kept == nil && e.size > 0:
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "%s has %d bytes or is no JSON; it cannot be read from a compressed archive", quote(name), e.size)
	}
	return io.NopCloser(bytes.NewReader(e.kept)), nil
}

// archiveFiles are the files in an archive.
type archiveFiles struct{ *archive }

func (f archiveFiles) size(name string) (int64, error) { return f.size64(name) }

// openArchive opens a docker or OCI archive.
func openArchive(ctx context.Context, t Target, o Options) (*Image, error) {
	o, err := o.defaults()
	if err != nil {
		return nil, err
	}
	a, err := newArchive(t.Path, o)
	if err != nil {
		return nil, err
	}
	im, err := a.image(ctx, t.Path, o)
	if err != nil {
		a.file.Close()
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "opening image archive %q", clip(t.Path))
	}
	im.Kind, im.close = KindArchive, a.file.Close
	return im, nil
}

func newArchive(name string, o Options) (*archive, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return nil, statError(name, err)
	}
	if !fi.Mode().IsRegular() {
		return nil, notRegular(name, fi.Mode())
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, statError(name, err)
	}
	if fi, err = f.Stat(); err != nil {
		f.Close()
		return nil, statError(name, err)
	}
	a := &archive{file: f, size: fi.Size(), max: o.MaxUnpacked, keep: o.MaxManifest}
	var head [6]byte
	n, _ := f.ReadAt(head[:], 0)
	a.codec = codecOf(head[:n])
	return a, nil
}

// image reads the index of the archive and chooses an image: by index.json where the archive is an OCI layout
// too, because it says more and its digests can be checked; else by docker's manifest.json.
func (a *archive) image(ctx context.Context, where string, o Options) (*Image, error) {
	if err := a.index(ctx); err != nil {
		return nil, err
	}
	for _, name := range []string{"manifest.json", "index.json"} {
		if a.twice[name] {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "it holds %q twice: two readers would see two images", name)
		}
	}
	docker, dockerErr := a.dockerManifest(o.MaxManifest)
	l := layout{files: archiveFiles{a}, maxManifest: o.MaxManifest}
	if a.entries["index.json"] == nil {
		if dockerErr != nil {
			return nil, dockerErr
		}
		return a.dockerImage(ctx, where, docker, o)
	}
	im, err := l.image(ctx, where, a.ociSelect(docker, o.Image), o)
	if err != nil {
		return nil, err
	}
	for _, d := range docker {
		if cleanName(d.Config) == blobPath(seaworthy.SHA256(im.Config)) {
			im.Tags = append(im.Tags, d.RepoTags...)
		}
	}
	slices.Sort(im.Tags)
	im.Tags = slices.Compact(im.Tags)
	if a.codec != "" {
		byName := make([]string, len(im.Layers))
		for i, layer := range im.Layers {
			byName[i] = blobPath(layer.Digest)
		}
		im.Each = a.each(byName)
	}
	return im, nil
}

// ociSelect turns a docker name into what index.json can be asked for: docker save writes only the tag there,
// so a whole name is looked up in manifest.json first.
func (a *archive) ociSelect(docker []dockerEntry, name string) string {
	want, err := ParseReference(name)
	if name == "" || err != nil {
		return name
	}
	raw, err := a.open("index.json")
	if err != nil {
		return name
	}
	defer raw.Close()
	b, err := io.ReadAll(io.LimitReader(raw, a.keep))
	if err != nil {
		return name
	}
	top, err := parseIndex(b, MediaTypeIndex)
	if err != nil || slices.ContainsFunc(top.Entries, func(d Descriptor) bool { return named(d, name) }) {
		return name
	}
	for _, d := range docker {
		for _, tag := range d.RepoTags {
			if r, err := ParseReference(tag); err != nil || r != want {
				continue
			}
			if digest := a.manifestWithConfig(top, cleanName(d.Config)); digest != "" {
				return string(digest)
			}
		}
	}
	return name
}

// manifestWithConfig finds the manifest among the entries of index.json whose configuration is at a path.
func (a *archive) manifestWithConfig(top *Index, config string) seaworthy.Digest {
	l := layout{files: archiveFiles{a}, maxManifest: a.keep}
	for i, d := range top.Entries {
		if i >= maxIndexes {
			break
		}
		if raw, kind, err := load(context.Background(), l, d); err == nil && isManifestType(kind) {
			if m, err := parseManifest(raw, DefaultMaxLayers); err == nil && blobPath(m.Config.Digest) == config {
				return d.Digest
			}
		}
	}
	return ""
}
