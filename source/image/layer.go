package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"path"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/packages"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
	// aufs wrote housekeeping entries beginning like this; they hide nothing.
	aufsPrefix = ".wh..wh."
)

// scanLayer reads one layer from its stored bytes.
func scanLayer(ctx context.Context, i int, l *oci.Layer, stored io.Reader, o Options) Layer {
	name := layerName(i, l)
	in, err := decompress(ctx, stored, l.Digest, o)
	if err != nil {
		return failedLayer(i, l, err)
	}
	scan := layerScan{name: name, limits: o.Limits, scanner: packages.NewScanner(false, o.Limits.File)}
	tarErr := scan.tar(in)
	// A tar that makes no sense may be one whose bytes are not the right ones: read on to find out. One that is
	// over a limit is not worth more time.
	end := in.finish(seaworthy.CodeOf(tarErr) != seaworthy.TooLarge && ctx.Err() == nil)
	out := Layer{
		Digest: end.stored, DiffID: end.tar, Stored: end.storedSize, Unpacked: end.tarSize,
		Entries: scan.entries, Facts: scan.visibleFacts(), Problems: scan.problems,
	}
	for _, err := range scan.verdict(l, tarErr, end) {
		out.Incomplete = true
		out.Digest, out.DiffID = l.Digest, l.DiffID
		out.Problems = append(out.Problems, seaworthy.NewProblem(name, err))
	}
	if !out.Incomplete {
		o.Cache.store(&out, o.Limits)
	}
	return out
}

// verdict compares what was read with what was promised, first cause first; nothing when all is well.
func (s *layerScan) verdict(l *oci.Layer, tarErr error, end ending) (errs []error) {
	switch {
	case end.err != nil: // what is wrong with the bytes below explains what is wrong with the tar above
		return []error{s.located(end.err)}
	case seaworthy.CodeOf(tarErr) == seaworthy.TooLarge:
		return []error{s.located(tarErr)}
	case l.Digest != "" && end.stored != l.Digest:
		errs = append(errs, seaworthy.Errorf(seaworthy.Mismatch, "its bytes have digest %s, the manifest says %s", end.stored, l.Digest))
	case l.Size >= 0 && end.storedSize != l.Size:
		errs = append(errs, seaworthy.Errorf(seaworthy.Mismatch, "it has %d bytes, the manifest says %d", end.storedSize, l.Size))
	}
	if tarErr != nil {
		return append(errs, s.located(tarErr))
	}
	if l.DiffID != "" && end.tar != l.DiffID {
		errs = append(errs, seaworthy.Errorf(seaworthy.Mismatch, "unpacked it has diffID %s, the configuration says %s", end.tar, l.DiffID))
	}
	return errs
}

// layerScan walks one tar.
type layerScan struct {
	name     string
	limits   Limits
	scanner  *packages.Scanner
	entries  []Entry
	facts    []packages.Facts
	factOf   []int // the entry each of facts is from
	problems []seaworthy.Problem
}

// located adds to an error where in the tar it happened.
func (s *layerScan) located(err error) error {
	if len(s.entries) == 0 {
		return seaworthy.Wrap(err, seaworthy.Invalid, "reading its first entry")
	}
	return seaworthy.Wrap(err, seaworthy.Invalid, "reading after %q (entry %d)", s.entries[len(s.entries)-1].Path, len(s.entries))
}

func (s *layerScan) tar(r io.Reader) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return tarError(err)
		}
		if len(s.entries) >= s.limits.Entries {
			return seaworthy.Errorf(seaworthy.TooLarge, "more than %d entries", s.limits.Entries).WithHint("raise it with --max-entries")
		}
		if len(h.Name) > s.limits.PathLen || len(h.Linkname) > s.limits.PathLen {
			return seaworthy.Errorf(seaworthy.TooLarge, "a path of more than %d bytes", s.limits.PathLen)
		}
		e, ok := entryOf(h)
		if !ok {
			continue
		}
		s.entries = append(s.entries, e)
		if e.Kind != Regular {
			continue
		}
		found, err := s.scanner.Scan(e.Path, e.Size, e.Mode, t)
		if err != nil {
			return tarError(err)
		}
		at := len(s.entries) - 1
		s.entries[at].Digest, s.entries[at].Program = found.Sum, found.Program
		for _, f := range found.Facts {
			s.facts, s.factOf = append(s.facts, f), append(s.factOf, at)
		}
	}
}

// visibleFacts drops the facts of files that a later entry of the same tar replaces.
func (s *layerScan) visibleFacts() []packages.Facts {
	if len(s.facts) == 0 {
		return nil
	}
	last := make(map[string]int, len(s.facts))
	for i := range s.facts {
		last[s.facts[i].Path] = -1
	}
	for i := range s.entries {
		if _, ok := last[s.entries[i].Path]; ok && s.entries[i].Kind != Opaque {
			last[s.entries[i].Path] = i
		}
	}
	kept := s.facts[:0]
	for i := range s.facts {
		if last[s.facts[i].Path] == s.factOf[i] {
			kept = append(kept, s.facts[i])
		}
	}
	return kept
}

func tarError(err error) error {
	switch {
	case errors.Is(err, tar.ErrHeader):
		return seaworthy.Errorf(seaworthy.Invalid, "not a tar header: %w", err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return seaworthy.Errorf(seaworthy.Invalid, "the tar ends in the middle: %w", err)
	}
	return seaworthy.Wrap(err, seaworthy.Invalid, "reading the tar")
}

// entryOf turns a tar header into an Entry; false for headers that put nothing into the file system.
func entryOf(h *tar.Header) (Entry, bool) {
	e := Entry{Path: cleanPath(h.Name), Mode: h.FileInfo().Mode(), Size: h.Size}
	if e.Path == "" { // the root directory itself
		return e, false
	}
	dir, base := path.Split(e.Path)
	switch {
	case base == opaqueName:
		e.Kind, e.Path, e.Size = Opaque, strings.TrimSuffix(dir, "/"), 0
		return e, true
	case strings.HasPrefix(base, aufsPrefix):
		return e, false
	case strings.HasPrefix(base, whiteoutPrefix):
		e.Kind, e.Path, e.Size = Whiteout, dir+base[len(whiteoutPrefix):], 0
		return e, base != whiteoutPrefix
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		e.Kind = Regular
	case tar.TypeDir:
		e.Kind = Dir
	case tar.TypeSymlink:
		e.Kind, e.Link = Symlink, h.Linkname
	case tar.TypeLink:
		e.Kind, e.Link = Hardlink, cleanPath(h.Linkname)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		e.Kind = Special
	default:
		return e, false
	}
	return e, true
}

// cleanPath makes a tar name a clean relative path that cannot leave the root.
func cleanPath(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

// newHash returns the hash for a digest's algorithm; sha256 when there is no digest yet.
func newHash(d seaworthy.Digest) (alg string, h hash.Hash) {
	if d.Algorithm() == "sha512" {
		return "sha512", sha512.New()
	}
	return "sha256", sha256.New()
}

func digestOf(alg string, h hash.Hash) seaworthy.Digest {
	return seaworthy.Digest(alg + ":" + hex.EncodeToString(h.Sum(nil)))
}
