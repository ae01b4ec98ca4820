// Package image reads the layers of a container image: once, in parallel, without writing anything to disk.
//
// A layer is decompressed, hashed (its stored bytes against the manifest's digest, its tar against the
// configuration's diffID, every file), and shown to the recognisers of package packages as it passes. What
// stays in memory is the list of entries and what was recognised. Results can be kept in a Cache by diffID,
// so that a layer is read once per machine.
package image

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/packages"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// Options bound and steer the reading. The zero value is a sensible default.
type Options struct {
	Cache    *Cache // nil: every layer is read
	Parallel int    // layers at once; 0: as many as processors
	Limits   Limits
	// Progress, when not nil, is told how many stored bytes were just read; from several goroutines at once.
	Progress func(n int64)
}

// Limits keep a hostile image from taking more than it may. Zero fields mean the defaults.
type Limits struct {
	Entries  int   // tar entries in one layer; default 5,000,000
	Unpacked int64 // bytes of one layer's tar; default 64 GiB
	// Ratio is how many times larger than what is stored a layer's tar may be, once it is over RatioFrom bytes;
	// default 300. gzip reaches 1,032 on zeros, real layers rarely 20.
	Ratio   int64
	File    int64 // bytes of one file that are held in memory; default packages.DefaultMaxFile
	PathLen int   // bytes of one path; default 8 KiB, twice what Linux can open
}

// RatioFrom is the size of a tar below which no compression ratio is suspicious: 256 MiB.
const RatioFrom = 256 << 20

func (l Limits) withDefaults() Limits {
	if l.Entries == 0 {
		l.Entries = 5_000_000
	}
	if l.Unpacked == 0 {
		l.Unpacked = 64 << 30
	}
	if l.Ratio == 0 {
		l.Ratio = 300
	}
	if l.File == 0 {
		l.File = packages.DefaultMaxFile
	}
	if l.PathLen == 0 {
		l.PathLen = 8 << 10
	}
	return l
}

// Layer is what one layer holds.
type Layer struct {
	Digest   seaworthy.Digest // of the stored bytes, as computed; "" when that is not known without reading
	DiffID   seaworthy.Digest // of the tar, as computed
	Stored   int64            // bytes as stored
	Unpacked int64            // bytes of the tar
	Entries  []Entry          // in the order of the tar; of several with one path the last counts
	Facts    []packages.Facts // of the files that count, in the order of the tar
	Problems []seaworthy.Problem
	// Incomplete says that the layer could not be read to its end or is not what it should be: there may be
	// more in it than Entries and Facts say.
	Incomplete bool
	FromCache  bool
}

// Kind is what a tar entry is.
type Kind uint8

// The kinds of entry. A Whiteout removes its Path from the layers below; an Opaque whiteout removes
// everything below its Path, a directory, that came from lower layers (image-spec layer.md, "Whiteouts").
const (
	Regular Kind = iota
	Dir
	Symlink
	Hardlink
	Special // device, pipe, socket
	Whiteout
	Opaque
)

// Entry is one entry of a layer's tar.
type Entry struct {
	Path   string // clean, no leading slash; for whiteouts the path they hide
	Kind   Kind
	Mode   fs.FileMode
	Size   int64
	Link   string   // target of a Symlink as written, of a Hardlink as a clean path
	Digest [32]byte // SHA-256 of a Regular file
	// Program says that a Regular file begins like a program: ELF, PE or Mach-O.
	Program bool
}

// Read reads all layers of img. The result has one Layer for each of img's, whatever happens to them: a layer
// that cannot be read or that is not what its digests say has Problems and is Incomplete. The error is only for
// a context that ended.
func Read(ctx context.Context, img *oci.Image, o Options) ([]Layer, error) {
	o.Limits = o.Limits.withDefaults()
	layers := make([]Layer, len(img.Layers))
	if img.Each != nil {
		return layers, readInTurn(ctx, img, o, layers)
	}
	parallel := o.Parallel
	if parallel <= 0 {
		parallel = runtime.GOMAXPROCS(0)
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(parallel)
	for i := range img.Layers {
		work.Go(func() error {
			layers[i] = readLayer(ctx, i, &img.Layers[i], o)
			return context.Cause(ctx)
		})
	}
	return layers, work.Wait()
}

// readInTurn reads layers that can only be had one after the other.
func readInTurn(ctx context.Context, img *oci.Image, o Options, layers []Layer) error {
	missing := make([]bool, len(layers))
	for i, l := range img.Layers {
		if cached, ok := o.Cache.load(l.DiffID, l.Digest, o.Limits); ok {
			layers[i] = cached
			continue
		}
		missing[i] = true
	}
	err := img.Each(ctx, func(i int, r io.Reader) error {
		if missing[i] {
			missing[i] = false
			layers[i] = scanLayer(ctx, i, &img.Layers[i], r, o)
		}
		return context.Cause(ctx)
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for i := range missing {
		if missing[i] {
			if err == nil {
				err = seaworthy.Errorf(seaworthy.NotFound, "the archive does not hold it")
			}
			layers[i] = failedLayer(i, &img.Layers[i], err)
		}
	}
	return nil
}

func readLayer(ctx context.Context, i int, l *oci.Layer, o Options) Layer {
	if cached, ok := o.Cache.load(l.DiffID, l.Digest, o.Limits); ok {
		return cached
	}
	stored, err := l.Open(ctx)
	if err != nil {
		return failedLayer(i, l, err)
	}
	defer stored.Close()
	return scanLayer(ctx, i, l, stored, o)
}

func failedLayer(i int, l *oci.Layer, err error) Layer {
	return Layer{
		Digest: l.Digest, DiffID: l.DiffID, Stored: max(l.Size, 0), Incomplete: true,
		Problems: []seaworthy.Problem{seaworthy.NewProblem(layerName(i, l), err)},
	}
}

// layerName is how problems name a layer: its place, counted from 1 as people do, and its digest.
func layerName(i int, l *oci.Layer) string {
	d := l.Digest
	if d == "" {
		d = l.DiffID
	}
	return fmt.Sprintf("layer %d (%s)", i+1, d.Short())
}

// Hashed reports whether the content was hashed.
func (e *Entry) Hashed() bool { return e.Digest != [32]byte{} }

// SHA256 returns Digest as a seaworthy.Digest; "" when the content was not hashed.
func (e *Entry) SHA256() seaworthy.Digest {
	if !e.Hashed() {
		return ""
	}
	return seaworthy.Digest("sha256:" + hex.EncodeToString(e.Digest[:]))
}
