package oci

import (
	"context"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seaworthy-dev/seaworthy"
)

const (
	// DefaultParallel is how many blobs are on their way at once.
	DefaultParallel = 4
	// maxGraph and maxGraphBytes bound what one copy may consist of: manifests, and bytes of them in memory.
	maxGraph      = 20_000
	maxGraphBytes = 256 << 20
)

// CopyOptions say what is copied. The zero value is everything that a name stands for, and nothing that refers
// to it.
type CopyOptions struct {
	// Platform takes one image out of an index; zero takes all of it.
	Platform Platform
	// Referrers copies what refers to it too, and what refers to that.
	Referrers bool
	// Parallel is how many blobs go at once; 0: DefaultParallel.
	Parallel int
	// Planned is told the bytes of blobs before the first goes; Progress as they go. May be nil.
	Planned, Progress func(n int64)
}

// Copied is what a copy did.
type Copied struct {
	Descriptor             // what the name stands for now
	Manifests, Blobs int   // how many went or were there
	Referrers        int   // of the manifests, those that refer to another
	Sent, Mounted    int64 // bytes of blobs that went, and that the registry had in another repository
}

// part is a manifest on its way, with the blobs it needs.
type part struct {
	d     Descriptor
	raw   []byte
	blobs []Descriptor
	tag   string // that it must have, being found by it
	refer bool   // it is there because it refers to another
	root  bool
}

// Copy copies what name stands for in from to a place, under a tag or, with "", under its digest. Blobs go before
// the manifests that need them, manifests before indexes and before what refers to them, the tag last: nobody who
// asks for the tag finds half an image. Errors: those of both places; Mismatch when a byte is not what its digest
// says; TooLarge.
func Copy(ctx context.Context, from Place, name string, to Destination, tag string, o CopyOptions) (Copied, error) {
	var done Copied
	parts, err := gather(ctx, from, name, o)
	if err != nil {
		return done, err
	}
	i := slices.IndexFunc(parts, func(p *part) bool { return p.root })
	done.Descriptor = parts[i].d
	if err := copyBlobs(ctx, from, to, parts, o, &done); err != nil {
		return done, err
	}
	for _, p := range parts {
		under := p.tag
		if p.root {
			if len(parts) > i+1 || tag == "" { // referrers follow: it gets its tag when they are there
				under = string(p.d.Digest)
			} else {
				under = tag
			}
		}
		if err := to.PutManifest(ctx, under, p.d, p.raw); err != nil {
			return done, err
		}
		done.Manifests++
		if p.refer {
			done.Referrers++
		}
	}
	if root := parts[i]; tag != "" && len(parts) > i+1 {
		return done, to.PutManifest(ctx, tag, root.d, root.raw)
	}
	return done, nil
}

// gather collects manifests, children before parents and subjects before what refers to them.
func gather(ctx context.Context, from Place, name string, o CopyOptions) ([]*part, error) {
	g := gathering{from: from, seen: map[seaworthy.Digest]bool{}}
	var d Descriptor
	var raw []byte
	var err error
	if o.Platform != (Platform{}) {
		d, raw, err = PlatformManifest(ctx, from, name, o.Platform)
	} else {
		d, raw, err = from.Manifest(ctx, name)
	}
	if err != nil {
		return nil, err
	}
	root := &part{d: d, raw: raw, root: true}
	if err := g.add(ctx, root); err != nil {
		return nil, err
	}
	if !o.Referrers {
		return g.parts, nil
	}
	for i := 0; i < len(g.parts); i++ { // grows as referrers of referrers are found
		related, err := Related(ctx, from, g.parts[i].d.Digest)
		if err != nil {
			return nil, err
		}
		for _, r := range related {
			if g.seen[r.Digest] {
				continue
			}
			name := string(r.Digest)
			d, raw, err := from.Manifest(ctx, name)
			if err != nil {
				return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading what refers to %s", g.parts[i].d.Digest.Short())
			}
			p := &part{d: d, raw: raw, refer: true}
			if r.Via == ViaCosign {
				p.tag = r.Tag
			}
			if err := g.add(ctx, p); err != nil {
				return nil, err
			}
		}
	}
	return g.parts, nil
}

type gathering struct {
	from  Place
	parts []*part
	seen  map[seaworthy.Digest]bool
	bytes int64
}

// add appends a manifest after everything it consists of. Indexes are gone into without recursion.
func (g *gathering) add(ctx context.Context, top *part) error {
	type step struct {
		p        *part
		depth    int
		children []Descriptor
	}
	expand := func(p *part, depth int) (*step, error) {
		if g.bytes += int64(len(p.raw)); g.bytes > maxGraphBytes || len(g.seen) >= maxGraph {
			return nil, seaworthy.Errorf(seaworthy.TooLarge, "more than %d manifests, or %d bytes of them, belong to one image", maxGraph, maxGraphBytes)
		}
		g.seen[p.d.Digest] = true
		s := &step{p: p, depth: depth}
		var err error
		if isIndexType(p.d.MediaType) {
			var index *Index
			if index, err = parseIndex(p.raw, p.d.MediaType); err == nil {
				s.children = index.Entries
			}
		} else {
			var m Manifest
			if m, err = ParseManifest(p.raw); err == nil {
				p.blobs = append([]Descriptor{m.Config}, m.Layers...)
			}
		}
		return s, seaworthy.Wrap(err, seaworthy.Invalid, "reading manifest %s", p.d.Digest.Short())
	}
	first, err := expand(top, 0)
	if err != nil {
		return err
	}
	stack := []*step{first}
	for len(stack) > 0 {
		s := stack[len(stack)-1]
		if len(s.children) == 0 {
			g.parts = append(g.parts, s.p)
			stack = stack[:len(stack)-1]
			continue
		}
		child := s.children[0]
		s.children = s.children[1:]
		if g.seen[child.Digest] {
			continue
		}
		if s.depth >= MaxIndexDepth {
			return seaworthy.Errorf(seaworthy.TooLarge, "indexes are nested deeper than %d", MaxIndexDepth)
		}
		d, raw, err := g.from.Manifest(ctx, string(child.Digest))
		if err == nil && d.Size != child.Size {
			err = seaworthy.Errorf(seaworthy.Mismatch, "it has %d bytes, but the index says %d", d.Size, child.Size)
		}
		if err != nil {
			err = seaworthy.Wrap(err, seaworthy.Invalid, "reading manifest %s of index %s", child.Digest.Short(), s.p.d.Digest.Short())
			if e, ok := err.(*seaworthy.Error); ok && e.Code == seaworthy.NotFound && e.Hint == "" {
				e.Hint = "not all of its platforms are there; --platform takes one that is"
			}
			return err
		}
		next, err := expand(&part{d: d, raw: raw}, s.depth+1)
		if err != nil {
			return err
		}
		stack = append(stack, next)
	}
	return nil
}

// copyBlobs sends every blob once, several at a time.
func copyBlobs(ctx context.Context, from Place, to Destination, parts []*part, o CopyOptions, done *Copied) error {
	var blobs []Descriptor
	seen := map[seaworthy.Digest]bool{}
	var total int64
	for _, p := range parts {
		for _, b := range p.blobs {
			if !seen[b.Digest] {
				seen[b.Digest] = true
				blobs = append(blobs, b)
				total += b.Size
			}
		}
	}
	if o.Planned != nil {
		o.Planned(total)
	}
	put := PutOptions{Progress: o.Progress, MountFrom: mountFrom(from, to)}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel(o.Parallel))
	var mu sync.Mutex
	for _, b := range blobs {
		group.Go(func() error {
			how, err := to.PutBlob(ctx, b, func(ctx context.Context, at int64) (io.ReadCloser, error) { return from.Blob(ctx, b, at) }, put)
			if err != nil && foreign(b.MediaType) && seaworthy.CodeOf(err) == seaworthy.NotFound {
				return nil // neither side need have it
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			done.Blobs++
			switch how {
			case Uploaded:
				done.Sent += b.Size
			case Mounted:
				done.Mounted += b.Size
			}
			return nil
		})
	}
	return group.Wait()
}

func parallel(n int) int {
	if n <= 0 {
		return DefaultParallel
	}
	return n
}

// mountFrom is the repository blobs can be mounted from: both are of one registry.
func mountFrom(from Place, to Destination) string {
	a, ok1 := repositoryOf(from)
	b, ok2 := repositoryOf(to)
	if ok1 && ok2 && apiHost(a.Ref.Registry) == apiHost(b.Ref.Registry) && a.Ref.Repository != b.Ref.Repository {
		return a.Ref.Repository
	}
	return ""
}
