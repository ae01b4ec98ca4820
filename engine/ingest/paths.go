package ingest

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// maxListed is how many of the failures of a Summary are listed; all are counted.
const maxListed = 1000

// Summary says what became of many documents.
type Summary struct {
	Documents  int   `json:"documents"`  // that were read
	Added      int   `json:"added"`      // of them, those that were not there before
	Statements int64 `json:"statements"` // of the added ones
	Bytes      int64 `json:"bytes"`      // of all that were read
	Failed     int   `json:"failed"`     // what is no document, or cannot be read
	// Kinds counts the documents by kind.
	Kinds map[seaworthy.DocumentKind]int `json:"kinds"`
	// Failures names what failed, and why; at most 1000.
	Failures []seaworthy.Problem `json:"failures,omitempty"`
}

func (s *Summary) add(r *Result, err error, origin string) {
	if s.Kinds == nil {
		s.Kinds = map[seaworthy.DocumentKind]int{}
	}
	r.Each(func(d *seaworthy.Document, added bool) {
		s.Documents++
		s.Bytes += d.Size
		s.Kinds[d.Kind]++
		if added {
			s.Added++
			s.Statements += int64(d.Statements)
		}
	})
	failed := r.Failed
	if err != nil && len(failed) == 0 {
		failed = []seaworthy.Problem{seaworthy.NewProblem(origin, err)}
	}
	s.fail(failed...)
}

// join adds what became of other documents.
func (s *Summary) join(o Summary) {
	if s.Kinds == nil {
		s.Kinds = map[seaworthy.DocumentKind]int{}
	}
	s.Documents += o.Documents
	s.Added += o.Added
	s.Statements += o.Statements
	s.Bytes += o.Bytes
	for k, n := range o.Kinds {
		s.Kinds[k] += n
	}
	s.Failed += o.Failed
	if room := maxListed - len(s.Failures); room > 0 {
		s.Failures = append(s.Failures, o.Failures[:min(room, len(o.Failures))]...)
	}
}

func (s *Summary) fail(list ...seaworthy.Problem) {
	s.Failed += len(list)
	if room := maxListed - len(s.Failures); room > 0 {
		s.Failures = append(s.Failures, list[:min(room, len(list))]...)
	}
}

// Paths ingests files, and all files in directories, several at a time. A file that is no document is counted and
// named, and the rest goes on; hidden files and links in directories are passed over. An OCI
// image layout is not a directory of documents but a place: each of its images is ingested as Image does, and so is an
// archive of an image. progress, when not nil, is called
// after every file and layout, one call at a time.
//
// Errors: Incomplete when something could not be read, with the Summary; NotFound for a path that is not there; those
// of the store, after which nothing more is done.
func (in *Ingester) Paths(ctx context.Context, paths []string, progress func(Summary)) (Summary, error) {
	var (
		mu      sync.Mutex // guards summary, and calls of progress
		summary = Summary{Kinds: map[seaworthy.DocumentKind]int{}}
	)
	group, gctx := errgroup.WithContext(ctx)
	files := make(chan string)
	group.Go(func() error {
		defer close(files)
		return walk(gctx, paths, files, func(p seaworthy.Problem) {
			mu.Lock()
			defer mu.Unlock()
			summary.fail(p)
		})
	})
	for range in.parallel() {
		group.Go(func() error {
			for path := range files {
				one, err := in.path(gctx, path)
				if stops(err) {
					return seaworthy.Wrap(err, seaworthy.Storage, "ingesting %q", path)
				}
				mu.Lock()
				summary.join(one)
				if progress != nil {
					now := summary
					now.Kinds = maps.Clone(summary.Kinds)
					progress(now)
				}
				mu.Unlock()
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return summary, err
	}
	if summary.Failed > 0 {
		return summary, seaworthy.Errorf(seaworthy.Incomplete, "ingesting: %d of %d are no documents that can be read; the first is %q: %s",
			summary.Failed, summary.Failed+summary.Documents, summary.Failures[0].Where, summary.Failures[0].Detail)
	}
	return summary, nil
}

func (in *Ingester) parallel() int {
	if in.o.Parallel > 0 {
		return in.o.Parallel
	}
	return runtime.NumCPU()
}

// walk sends the files that paths name.
func walk(ctx context.Context, paths []string, files chan<- string, problem func(seaworthy.Problem)) error {
	send := func(path string) error {
		select {
		case files <- path:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, root := range paths {
		if info, err := os.Stat(root); err == nil && info.IsDir() {
			root += string(filepath.Separator) // a link to a folder that was named is meant to be followed
		}
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil && path == root && errors.Is(err, fs.ErrNotExist):
				return seaworthy.Errorf(seaworthy.NotFound, "ingesting %q: there is no such file", root)
			case err != nil:
				problem(seaworthy.NewProblem(path, seaworthy.Wrap(err, seaworthy.Storage, "reading a directory")))
				return nil
			case path != root && isNoise(d.Name()):
				if d.IsDir() {
					return filepath.SkipDir
				}
				return nil
			case d.IsDir() && isLayout(path):
				if err := send(path); err != nil {
					return err
				}
				return filepath.SkipDir
			case d.IsDir(), path != root && !d.Type().IsRegular():
				return nil
			}
			return send(path)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// isLayout reports whether a folder is an OCI image layout.
func isLayout(dir string) bool {
	info, err := os.Lstat(filepath.Join(dir, "oci-layout"))
	return err == nil && info.Mode().IsRegular()
}

// isImageArchive reports whether a file is a tar archive with images in it, which is not one of documents.
func isImageArchive(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 512)
	n, _ := io.ReadFull(f, head)
	if is, _ := recognise(head[:n]); is != formTar && is != formGzip {
		return false
	}
	t, err := oci.ParseTarget(path)
	return err == nil && t.Kind == oci.KindArchive
}

// archive ingests what Image does of the image in an archive.
func (in *Ingester) archive(ctx context.Context, path string) (s Summary, err error) {
	opened, err := oci.OpenPlace(ctx, "archive:"+path, oci.Options{})
	if err != nil {
		s.fail(seaworthy.NewProblem(path, err))
		return s, ctx.Err()
	}
	defer opened.Close()
	d, _, err := opened.Manifest(ctx, opened.Name)
	if err != nil {
		s.fail(seaworthy.NewProblem(path, err))
		return s, ctx.Err()
	}
	f := in.newFetch(opened, path+"@"+string(d.Digest))
	return f.all(ctx, path, d.Digest)
}

// all fetches an image of a folder or file. Errors are those after which nothing more can be done.
func (f *fetch) all(ctx context.Context, where string, d seaworthy.Digest) (Summary, error) {
	err := f.image(ctx, d)
	switch {
	case ctx.Err() != nil, seaworthy.CodeOf(err) == seaworthy.Storage, seaworthy.CodeOf(err) == seaworthy.Internal:
		return f.summary, err
	case err != nil:
		f.summary.fail(seaworthy.NewProblem(where, err))
	}
	return f.summary, nil
}

// path ingests one file, or all images of a layout. Errors are those after which nothing more can be done; all others
// are in the Summary.
func (in *Ingester) path(ctx context.Context, path string) (s Summary, err error) {
	switch {
	case isLayout(path):
		return in.layout(ctx, path)
	case isImageArchive(path):
		return in.archive(ctx, path)
	}
	result, err := in.file(ctx, path)
	if stops(err) {
		return s, err
	}
	s.add(&result, err, path)
	return s, nil
}

// layout ingests what Image does of every image in a layout.
func (in *Ingester) layout(ctx context.Context, dir string) (s Summary, err error) {
	index, err := readLayout(dir)
	if err != nil {
		s.fail(seaworthy.NewProblem(dir, err))
		return s, nil
	}
	l, err := oci.OpenLayout(dir, oci.Options{})
	if err != nil {
		s.fail(seaworthy.NewProblem(dir, err))
		return s, nil
	}
	defer l.Close()
	f := in.newFetch(l, dir)
	for _, e := range index.Entries {
		f.target = dir + "@" + string(e.Digest)
		if name := e.Annotations["org.opencontainers.image.ref.name"]; isImageName(name) {
			f.target = name + "@" + string(e.Digest)
			if hasTag(name) {
				f.target = name
			}
		}
		if _, err := f.all(ctx, dir, e.Digest); err != nil {
			return f.summary, err
		}
	}
	return f.summary, nil
}

func readLayout(dir string) (*oci.Index, error) {
	f, err := os.Open(filepath.Join(dir, "index.json"))
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.NotFound, "%w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, oci.DefaultMaxManifest+1))
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.NotFound, "%w", err)
	}
	return oci.ParseIndex(b)
}

// file ingests one file.
func (in *Ingester) file(ctx context.Context, path string) (Result, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return Result{}, seaworthy.Errorf(seaworthy.Unsupported, "it is no regular file")
	}
	if err == nil && info.Size() > graph.MaxBody {
		return Result{}, seaworthy.Errorf(seaworthy.TooLarge, "it has %d bytes, at most %d are read", info.Size(), graph.MaxBody)
	}
	var body []byte
	if err == nil {
		weight := min(info.Size(), maxInFlight)
		if err := in.opened.Acquire(ctx, weight); err != nil {
			return Result{}, err
		}
		defer in.opened.Release(weight)
		body, err = os.ReadFile(path)
	}
	if err != nil { // of this file alone, so no reason to stop
		return Result{}, seaworthy.Errorf(seaworthy.NotFound, "%w", err)
	}
	return in.bytes(ctx, path, body, 0, newBudget())
}
