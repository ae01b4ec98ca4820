package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

const (
	// maxReplay is the largest layer that is held in memory because an image has it several times: 1 MiB.
	maxReplay = 1 << 20
	// maxPasses is how often a compressed archive is read for an image that has the same layer several times.
	maxPasses = 8
)

// each returns the Each of an image in a compressed archive, whose layers have these names in it.
func (a *archive) each(layers []string) func(context.Context, func(int, io.Reader) error) error {
	return func(ctx context.Context, visit func(int, io.Reader) error) error {
		waiting := map[int][]int{} // ordinal of the entry → indexes of the layers that are it
		var missing error          // the first layer that is not there, told when the others have been read
		for i, name := range layers {
			e, err := a.resolve(name)
			if err != nil {
				if missing == nil {
					missing = seaworthy.Wrap(err, seaworthy.Invalid, "looking for layer %d of %d", i+1, len(layers))
				}
				continue
			}
			waiting[e.ordinal] = append(waiting[e.ordinal], i)
		}
		for pass := 0; len(waiting) > 0; pass++ {
			if pass == maxPasses {
				return seaworthy.Errorf(seaworthy.TooLarge, "reading a compressed archive: the same large layer occurs more than %d times", maxPasses).
					WithHint("unpack the archive (gunzip, zstd -d) and try again")
			}
			if err := a.pass(ctx, waiting, visit); err != nil {
				return err
			}
		}
		return missing
	}
}

// pass reads the archive once and visits, of each entry, the first layer that waits for it; of small entries all.
func (a *archive) pass(ctx context.Context, waiting map[int][]int, visit func(int, io.Reader) error) error {
	seen := map[int]bool{}
	todo := len(waiting)
	err := a.walk(ctx, func(ordinal int, h *tar.Header, r io.Reader) (bool, error) {
		indexes := waiting[ordinal]
		if len(indexes) == 0 || seen[ordinal] {
			return todo > 0, nil
		}
		seen[ordinal] = true
		todo--
		if len(indexes) > 1 && h.Size <= maxReplay {
			b, err := io.ReadAll(r)
			if err != nil {
				return false, err
			}
			for _, i := range indexes {
				if err := visit(i, bytes.NewReader(b)); err != nil {
					return false, visitError{err}
				}
			}
			delete(waiting, ordinal)
			return todo > 0, nil
		}
		if err := visit(indexes[0], layerBody{r, indexes[0]}); err != nil {
			return false, visitError{err}
		}
		if waiting[ordinal] = indexes[1:]; len(indexes) == 1 {
			delete(waiting, ordinal)
		}
		return todo > 0, nil
	})
	var v visitError
	if errors.As(err, &v) {
		return v.error
	}
	if err == nil && todo > 0 {
		err = seaworthy.Errorf(seaworthy.Conflict, "%d layers that were in it are gone", todo)
	}
	return seaworthy.Wrap(err, seaworthy.Invalid, "reading a %s-compressed image archive", a.codec)
}

// layerBody gives the errors of reading a layer a code, whoever hands them on.
type layerBody struct {
	r io.Reader
	i int
}

func (b layerBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = seaworthy.Wrap(err, seaworthy.Invalid, "reading layer %d of a compressed archive", b.i+1)
	}
	return n, err
}

// visitError is an error of the caller's own, to be handed back as it is.
type visitError struct{ error }

// maxSniff is how much of a compressed file is unpacked to see whether it is an image archive: 256 MiB.
const maxSniff = 256 << 20

// sniffArchive reports whether a file is an image archive: a tar file, perhaps compressed, with manifest.json
// or with index.json. It stops as soon as it knows, and gives up after a few entries no image archive has, so
// that other tar files cost little. Errors: NotFound, Unauthorized, Storage.
func sniffArchive(name string) (bool, error) {
	a, err := newArchive(name, Options{MaxUnpacked: maxSniff, MaxManifest: DefaultMaxManifest})
	if err != nil {
		return false, err
	}
	defer a.file.Close()
	if !a.looksLikeTar() {
		return false, nil
	}
	found, plausible := false, false
	strange := 0
	_ = a.walk(context.Background(), func(_ int, h *tar.Header, _ io.Reader) (bool, error) {
		switch n := cleanName(h.Name); {
		case n == "manifest.json" || n == "index.json" || n == "oci-layout":
			found = true
		case n != "" && !archiveName(n):
			strange++
		case h.Typeflag != tar.TypeDir:
			plausible = plausible || n != ""
		}
		// Unpacking all of a compressed archive to find manifest.json at its end would cost a pass for nothing.
		return !found && strange < 16 && !(a.codec != "" && plausible && strange == 0), nil
	})
	// A tar that looks like an image archive in all but the end is a damaged one: Open says what is missing.
	return found || plausible && strange == 0, nil
}

// looksLikeTar checks the first header: walk would read all of a file that is none.
func (a *archive) looksLikeTar() bool {
	var r io.Reader = io.NewSectionReader(a.file, 0, a.size)
	if a.codec != "" {
		z, closeIt, err := unpack(r, a.codec, a.max)
		if err != nil {
			return false
		}
		defer closeIt()
		r = z
	}
	_, err := tar.NewReader(io.LimitReader(r, 4<<20)).Next()
	return err == nil
}

// archiveName reports whether an image archive has entries of this kind.
func archiveName(n string) bool {
	first, rest, nested := strings.Cut(n, "/")
	first = strings.TrimPrefix(first, "sha256:")
	isHex := func(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }
	stem, _, _ := strings.Cut(first, ".")
	switch {
	case n == "blobs", strings.HasPrefix(n, "blobs/sha"), n == "repositories":
		return true
	case nested:
		return isHex(first) && (rest == "layer.tar" || rest == "json" || rest == "VERSION")
	}
	return isHex(stem)
}
