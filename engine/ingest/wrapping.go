package ingest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/seaworthy-dev/seaworthy"
)

// Limits of wrappings: archives and JSON Lines.
const (
	// maxNesting is how many wrappings may lie one in another.
	maxNesting = 3
	// maxFiles is how many parts all wrappings of one call may have together.
	maxFiles = 100_000
	// maxUnpacked is how many bytes they may unpack to together: 8 GiB.
	maxUnpacked = 8 << 30
	// maxPart is how large one part may be; it is held in memory. 256 MiB.
	maxPart = 256 << 20
)

// budget is what is left of the limits of one call.
type budget struct {
	files int
	bytes int64
}

func newBudget() *budget { return &budget{files: maxFiles, bytes: maxUnpacked} }

// spend takes a part of n bytes. Errors: TooLarge.
func (b *budget) spend(n int64) error {
	b.files--
	b.bytes -= n
	switch {
	case b.files < 0:
		return seaworthy.Errorf(seaworthy.TooLarge, "more than %d parts", maxFiles)
	case b.bytes < 0:
		return seaworthy.Errorf(seaworthy.TooLarge, "unpacked it has more than %d bytes", int64(maxUnpacked))
	}
	return nil
}

// unwrap ingests what is in a wrapping. Parts that are no documents are named; the rest goes on.
func (in *Ingester) unwrap(ctx context.Context, origin string, f form, body []byte, depth int, b *budget) (Result, error) {
	if depth == maxNesting {
		return Result{}, seaworthy.Errorf(seaworthy.TooLarge, "archives lie one in another more than %d deep", maxNesting)
	}
	var result Result
	part := func(name string, content []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		where := origin
		if name != "" {
			where += "!" + name
		}
		one, err := in.bytes(ctx, where, content, depth+1, b)
		if stops(err) {
			return err
		}
		if one.Document.Digest != "" || len(one.Inside) > 0 {
			result.Inside = append(result.Inside, one)
			result.Added = result.Added || one.Added
		}
		if err != nil && len(one.Failed) == 0 {
			result.Failed = append(result.Failed, seaworthy.NewProblem(where, err))
		}
		result.Failed = append(result.Failed, one.Failed...)
		return nil
	}
	err := each(f, body, b, part)
	switch {
	case stops(err):
		return result, err
	case err != nil:
		result.Failed = append(result.Failed, seaworthy.NewProblem(origin, err))
	}
	switch {
	case len(result.Failed) == 0:
		return result, nil
	case len(result.Inside) == 0 && len(result.Failed) == 1:
		return result, seaworthy.Errorf(result.Failed[0].Code, "%s", result.Failed[0].Detail)
	}
	return result, seaworthy.Errorf(seaworthy.Incomplete, "%d parts are no documents that can be read; the first is %q: %s", len(result.Failed), result.Failed[0].Where, result.Failed[0].Detail)
}

// stops reports whether an error is about more than one document: the work cannot go on.
func stops(err error) bool {
	switch seaworthy.CodeOf(err) {
	case seaworthy.Storage, seaworthy.Interrupted, seaworthy.Unavailable, seaworthy.Internal:
		return true
	}
	return false
}

// each calls part with what is in a wrapping. Errors: those of part; Invalid, TooLarge.
func each(f form, body []byte, b *budget, part func(name string, content []byte) error) error {
	switch f {
	case formLines:
		return eachLine(body, b, part)
	case formZip:
		return eachInZip(body, b, part)
	case formTar:
		return eachInTar(bytes.NewReader(body), b, part)
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "unpacking gzip: %w", err)
	}
	defer z.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(z, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return seaworthy.Errorf(seaworthy.Invalid, "unpacking gzip: %w", err)
	}
	whole := io.MultiReader(bytes.NewReader(head[:n]), z)
	if is, _ := recognise(head[:n]); is == formTar {
		return eachInTar(whole, b, part)
	}
	content, err := take(whole, b)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Invalid, "unpacking gzip")
	}
	return part("", content)
}

// take reads one part whole.
func take(r io.Reader, b *budget) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, min(maxPart, b.bytes)+1))
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "%w", err)
	}
	if len(content) > maxPart {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "a part of more than %d bytes", maxPart)
	}
	return content, b.spend(int64(len(content)))
}

// eachLine splits JSON Lines. Each line that is not empty is a part.
func eachLine(body []byte, b *budget, part func(string, []byte) error) error {
	for n := 1; len(body) > 0; n++ {
		line, rest, _ := bytes.Cut(body, []byte("\n"))
		body = rest
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := b.spend(int64(len(line))); err != nil {
			return err
		}
		if err := part(strconv.Itoa(n), line); err != nil {
			return err
		}
	}
	return nil
}

func eachInTar(r io.Reader, b *budget, part func(string, []byte) error) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return seaworthy.Errorf(seaworthy.Invalid, "reading a tar archive: %w", err)
		}
		if h.Typeflag != tar.TypeReg || isNoise(h.Name) {
			if err := b.spend(0); err != nil {
				return err
			}
			continue
		}
		content, err := take(t, b)
		if err == nil {
			err = part(h.Name, content)
		}
		if err != nil {
			return err
		}
	}
}

func eachInZip(body []byte, b *budget, part func(string, []byte) error) error {
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "reading a zip archive: %w", err)
	}
	for _, f := range z.File {
		if !f.Mode().IsRegular() || isNoise(f.Name) {
			if err := b.spend(0); err != nil {
				return err
			}
			continue
		}
		content, err := readZipped(f, b)
		if err == nil {
			err = part(f.Name, content)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func readZipped(f *zip.File, b *budget) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading %q in a zip archive: %w", f.Name, err)
	}
	defer r.Close()
	return take(r, b)
}

// isNoise reports whether a file in an archive or directory is there for a program and not for people: hidden files,
// and what macOS adds.
func isNoise(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") && part != "." && part != ".." || part == "__MACOSX" {
			return true
		}
	}
	return false
}
