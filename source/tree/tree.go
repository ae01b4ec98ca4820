// Package tree reads a directory or a single file on disk as if it were the one layer of an image.
//
// It never leaves the directory: symbolic links are recorded and not followed. A directory that holds an
// installed system (an etc/os-release, a package database) is read like an image; any other is a source tree,
// whose lock files and manifests are read too.
package tree

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/packages"
	"github.com/seaworthy-dev/seaworthy/source/image"
)

// Options bound and steer the reading. The zero value is a sensible default.
type Options struct {
	Parallel int   // files at once; 0: as many as processors
	Entries  int   // files and directories; default 5,000,000
	File     int64 // bytes of one file held in memory; default packages.DefaultMaxFile
	// HashAll hashes every file; else only those that are recognised or executable.
	HashAll bool
	// Progress, when not nil, is told how many bytes were just read; from several goroutines at once.
	Progress func(n int64)
}

// vcsDirs are the directories of version control systems: history, not content.
var vcsDirs = map[string]bool{".git": true, ".hg": true, ".svn": true, ".bzr": true, ".jj": true}

// systemSigns are paths one of which an installed system has.
var systemSigns = []string{
	"etc/os-release", "usr/lib/os-release", "etc/alpine-release", "etc/debian_version",
	"var/lib/dpkg/status", "var/lib/dpkg/status.d", "lib/apk/db/installed", "var/lib/rpm", "usr/lib/sysimage/rpm",
}

// Dir reads the directory at name. What cannot be read is among the Layer's Problems and makes it Incomplete.
// Errors: NotFound, TooLarge, and those of ctx.
func Dir(ctx context.Context, name string, o Options) (*image.Layer, error) {
	if o.Entries == 0 {
		o.Entries = 5_000_000
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.NotFound, "opening directory %q", name)
	}
	defer root.Close()
	w := walk{root: root, o: o, locks: !isSystem(root)}
	if err := w.list(ctx); err != nil {
		return nil, err
	}
	return w.read(ctx)
}

func isSystem(root *os.Root) bool {
	for _, sign := range systemSigns {
		if _, err := root.Lstat(sign); err == nil {
			return true
		}
	}
	return false
}

// File reads the single file at name. Its Layer has one entry, named by the file's base name.
// Errors: NotFound, Storage.
func File(name string, o Options) (*image.Layer, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.NotFound, "opening file %q", name)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading file %q", name)
	}
	// A file that is named on purpose is looked into whatever its mode bits say.
	mode := info.Mode() | 0o111
	base := filepath.Base(name)
	found, err := packages.NewScanner(true, o.File).Scan(base, info.Size(), mode, progressReader{f, o.Progress})
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading file %q", name)
	}
	layer := &image.Layer{
		Entries: []image.Entry{{Path: base, Kind: image.Regular, Mode: mode, Size: info.Size(), Digest: found.Sum, Program: found.Program}},
		Facts:   found.Facts, Stored: info.Size(), Unpacked: info.Size(),
	}
	layer.Digest = layer.Entries[0].SHA256()
	return layer, nil
}

type walk struct {
	root  *os.Root
	o     Options
	locks bool

	mu       sync.Mutex
	entries  []image.Entry
	facts    []packages.Facts
	problems []seaworthy.Problem
}

// list finds all entries; their contents come later.
func (w *walk) list(ctx context.Context) error {
	return fs.WalkDir(w.root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if p == "." {
			return err
		}
		if err != nil {
			w.problem(p, err)
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() && vcsDirs[d.Name()] {
			return fs.SkipDir
		}
		if len(w.entries) >= w.o.Entries {
			return seaworthy.Errorf(seaworthy.TooLarge, "more than %d files", w.o.Entries).WithHint("raise it with --max-entries, or name a smaller directory")
		}
		e := image.Entry{Path: path.Clean(p)}
		switch t := d.Type(); {
		case t.IsDir():
			e.Kind = image.Dir
		case t&fs.ModeSymlink != 0:
			e.Kind = image.Symlink
			e.Link, err = w.root.Readlink(p)
		case t.IsRegular():
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				e.Size, e.Mode = info.Size(), info.Mode()
			}
		default:
			e.Kind = image.Special
		}
		if err != nil {
			w.problem(p, err)
			return nil
		}
		w.entries = append(w.entries, e)
		return nil
	})
}

func (w *walk) problem(p string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, seaworthy.NewProblem(p, seaworthy.Wrap(err, seaworthy.Storage, "reading %q", p)))
}

// read looks into the files, several at once.
func (w *walk) read(ctx context.Context) (*image.Layer, error) {
	parallel := w.o.Parallel
	if parallel <= 0 {
		parallel = runtime.GOMAXPROCS(0)
	}
	next := make(chan int)
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error {
		defer close(next)
		for i := range w.entries {
			if w.entries[i].Kind != image.Regular {
				continue
			}
			select {
			case next <- i:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	for range parallel {
		work.Go(func() error {
			scanner := packages.NewScanner(w.locks, w.o.File)
			for i := range next {
				w.file(scanner, &w.entries[i])
			}
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	sort.Slice(w.facts, func(a, b int) bool {
		if w.facts[a].Path != w.facts[b].Path {
			return w.facts[a].Path < w.facts[b].Path
		}
		return w.facts[a].By < w.facts[b].By
	})
	sort.Slice(w.problems, func(a, b int) bool { return w.problems[a].Where < w.problems[b].Where })
	layer := &image.Layer{Entries: w.entries, Facts: w.facts, Problems: w.problems, Incomplete: len(w.problems) > 0}
	for i := range w.entries {
		layer.Unpacked += w.entries[i].Size
	}
	layer.Stored = layer.Unpacked
	return layer, nil
}

func (w *walk) file(scanner *packages.Scanner, e *image.Entry) {
	if !scanner.Wants(e.Path, e.Size, e.Mode) && e.Mode&0o111 == 0 && !w.o.HashAll {
		return
	}
	f, err := w.root.Open(e.Path)
	if err != nil {
		w.problem(e.Path, err)
		return
	}
	defer f.Close()
	found, err := scanner.Scan(e.Path, e.Size, e.Mode, progressReader{f, w.o.Progress})
	if err != nil {
		w.problem(e.Path, err)
		return
	}
	e.Digest, e.Program = found.Sum, found.Program
	w.mu.Lock()
	w.facts = append(w.facts, found.Facts...)
	w.mu.Unlock()
}

type progressReader struct {
	r        io.Reader
	progress func(int64)
}

func (p progressReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if p.progress != nil && n > 0 {
		p.progress(int64(n))
	}
	return n, err
}

// Name returns what a tree is called when nobody says: the base name of its absolute path.
func Name(target string) string {
	abs, err := filepath.Abs(target)
	if err != nil {
		return target
	}
	return strings.TrimSuffix(filepath.Base(abs), string(filepath.Separator))
}
