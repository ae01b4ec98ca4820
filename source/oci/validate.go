package oci

import (
	"bufio"
	"context"
	"io"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seaworthy-dev/seaworthy"
)

// Validated is what Validate has looked at, and what is wrong.
type Validated struct {
	Digest    seaworthy.Digest    `json:"digest"`
	Manifests int                 `json:"manifests"`
	Blobs     int                 `json:"blobs"`
	DiffIDs   int                 `json:"diffIDs"` // layers whose uncompressed content was checked
	Bytes     int64               `json:"bytes"`   // of blobs
	Problems  []seaworthy.Problem `json:"problems"`
}

// Validate reads everything that name stands for, with o.Referrers what refers to it too, and checks every digest,
// size and diff ID. What is wrong with the content are Problems; not being able to ask is an error.
func Validate(ctx context.Context, from Place, name string, o CopyOptions) (*Validated, error) {
	v := &validation{from: from, progress: o.Progress, v: &Validated{Problems: []seaworthy.Problem{}}}
	root, _, err := from.Manifest(ctx, name)
	if seaworthy.CodeOf(err) == seaworthy.NotFound {
		return nil, err
	}
	var parts []*part
	if err == nil {
		v.v.Digest = root.Digest
		parts, err = gather(ctx, from, name, o)
	}
	if err != nil {
		return v.v, v.note("manifest "+name, err)
	}
	v.v.Manifests = len(parts)
	if v.progress == nil {
		v.progress = func(int64) {}
	}
	type job struct {
		d     Descriptor
		where string
		diff  seaworthy.Digest
	}
	var jobs []job
	seen := map[seaworthy.Digest]bool{}
	for _, p := range parts {
		if p.root {
			v.v.Digest = p.d.Digest
		}
		if len(p.blobs) == 0 {
			continue
		}
		diffs := v.diffIDs(ctx, p)
		for i, b := range p.blobs {
			if seen[b.Digest] {
				continue
			}
			seen[b.Digest] = true
			j := job{d: b, where: "configuration " + string(b.Digest)}
			if i > 0 {
				j.where = "layer " + string(b.Digest)
				if len(diffs) == len(p.blobs)-1 {
					j.diff = diffs[i-1]
				}
			}
			jobs = append(jobs, j)
			v.v.Bytes += b.Size
		}
	}
	if o.Planned != nil {
		o.Planned(v.v.Bytes)
	}
	v.v.Blobs = len(jobs)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel(o.Parallel))
	for _, j := range jobs {
		group.Go(func() error { return v.note(j.where, v.blob(ctx, j.d, j.diff)) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(v.v.Problems, func(a, b seaworthy.Problem) int { return strings.Compare(a.Where+a.Detail, b.Where+b.Detail) })
	return v.v, nil
}

type validation struct {
	from     Place
	progress func(int64)
	mu       sync.Mutex // held while v changes
	v        *Validated
}

// note keeps what is wrong with content; what is wrong with the way to it is handed back.
func (v *validation) note(where string, err error) error {
	switch seaworthy.CodeOf(err) {
	case "":
		return nil
	case seaworthy.Mismatch, seaworthy.Invalid, seaworthy.NotFound, seaworthy.TooLarge, seaworthy.Unsupported:
		v.mu.Lock()
		defer v.mu.Unlock()
		v.v.Problems = append(v.v.Problems, seaworthy.NewProblem(where, err))
		return nil
	}
	return err
}

// diffIDs reads what an image's configuration says of its layers; nil for other artifacts.
func (v *validation) diffIDs(ctx context.Context, p *part) []seaworthy.Digest {
	m, err := ParseManifest(p.raw)
	if err != nil || !m.isImage() {
		return nil
	}
	im, err := newImage(ctx, placeContent{v.from, DefaultMaxManifest}, chosen{desc: p.d, raw: p.raw, mediaType: p.d.MediaType}, DefaultMaxLayers)
	if err != nil {
		// cosign writes signatures with an image's configuration; then there are no diff IDs to speak of.
		if strings.HasPrefix(m.Config.MediaType, "application/vnd.oci.image.config") && !strings.Contains(m.Layers[0].MediaType, "image.layer") {
			return nil
		}
		_ = v.note("image "+string(p.d.Digest), err) // a way that fails will fail for the blobs too
		return nil
	}
	var diffs []seaworthy.Digest
	for _, l := range im.Layers {
		diffs = append(diffs, l.DiffID)
	}
	return diffs
}

// blob reads one blob to its end.
func (v *validation) blob(ctx context.Context, d Descriptor, diff seaworthy.Digest) error {
	r, err := v.from.Blob(ctx, d, 0)
	if err != nil {
		if foreign(d.MediaType) && seaworthy.CodeOf(err) == seaworthy.NotFound {
			return nil
		}
		return err
	}
	defer r.Close()
	h := hashFor(d.Digest)
	in := bufio.NewReaderSize(io.TeeReader(r, io.MultiWriter(h, counted(v.progress))), 64<<10)
	var unpackErr error
	if diff != "" {
		unpackErr = checkDiffID(in, diff)
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	if got := sumOf(d.Digest, h); got != d.Digest {
		return seaworthy.Errorf(seaworthy.Mismatch, "its bytes have the digest %s", got)
	}
	if unpackErr != nil {
		return unpackErr
	}
	if diff != "" {
		v.mu.Lock()
		v.v.DiffIDs++
		v.mu.Unlock()
	}
	return nil
}

// checkDiffID compares the uncompressed content of a layer with its diff ID.
func checkDiffID(in *bufio.Reader, diff seaworthy.Digest) error {
	head, _ := in.Peek(6) // a layer may be shorter
	var plain io.Reader = in
	if codec := codecOf(head); codec != "" {
		z, closeIt, err := unpack(in, codec, DefaultMaxUnpacked)
		if err != nil {
			return err
		}
		defer closeIt()
		plain = z
	}
	h := hashFor(diff)
	if _, err := io.Copy(h, plain); err != nil {
		return seaworthy.Wrap(err, seaworthy.Invalid, "unpacking it")
	}
	if got := sumOf(diff, h); got != diff {
		return seaworthy.Errorf(seaworthy.Mismatch, "unpacked it is %s, but the configuration says %s", got, diff)
	}
	return nil
}
