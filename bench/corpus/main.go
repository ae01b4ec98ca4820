// Command corpus makes a folder of real documents to measure ingestion and questions with: bills of the Go modules
// that this project is built from, of the Go programs and npm packages on this machine, each in one of the formats
// people exchange, and the documents that are shared beside the repository.
//
//	go run ./bench/corpus DIR
//
// The list is sorted and the same machine gives the same bytes; what a machine does not have is left out and said so.
package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/bill"
	"github.com/seaworthy-dev/seaworthy/engine/inspect"
	"github.com/seaworthy-dev/seaworthy/source/tree"
)

const (
	// modules is how many Go modules bills are made of: those with the longest lists of dependencies.
	modules = 60
	// programs is how many Go programs bills are made of, the largest.
	programs = 20
	// shared is the folder of real documents beside the repository.
	shared = "../shared/data"
)

// formats are what the bills are written in, one after another.
var formats = []struct{ name, ending string }{
	{"spdx-json", ".spdx.json"}, {"cyclonedx-json", ".cdx.json"}, {"spdx3-json", ".spdx3.json"}, {"cyclonedx-xml", ".cdx.xml"}, {"spdx-tag-value", ".spdx"},
}

// subject is what a bill is made of.
type subject struct {
	name, path string
	file       bool
	weight     int64 // the greater, the more is in it
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./bench/corpus DIR")
		os.Exit(seaworthy.ExitStatus(seaworthy.Errorf(seaworthy.Usage, "one folder must be named")))
	}
	if err := run(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(seaworthy.ExitStatus(err))
	}
}

func run(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var all []subject
	for _, find := range []func(context.Context) ([]subject, error){goModules, goPrograms, npmPackages, system} {
		list, err := find(ctx)
		if err != nil {
			fmt.Fprintln(os.Stderr, "left out:", err)
		}
		all = append(all, list...)
	}
	slices.SortFunc(all, func(a, b subject) int { return cmp.Compare(a.name, b.name) })
	defer func() {
		for _, s := range all {
			if s.name == "system" {
				_ = os.RemoveAll(s.path)
			}
		}
	}()
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for i, s := range all {
		group.Go(func() error { return write(gctx, dir, s, formats[i%len(formats)].name, formats[i%len(formats)].ending) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := copyShared(dir); err != nil {
		fmt.Fprintln(os.Stderr, "left out:", err)
	}
	return report(dir)
}

// write makes one bill. Its time of making is that of nothing, so that the same content gives the same bytes.
func write(ctx context.Context, dir string, s subject, format, ending string) error {
	kind, read := "dir", func() (r *inspect.Report, err error) {
		layer, err := tree.Dir(ctx, s.path, tree.Options{})
		if err != nil {
			return nil, err
		}
		return inspect.Tree(s.name, "dir", layer, inspect.Options{}), nil
	}
	if s.file {
		kind, read = "file", func() (*inspect.Report, error) {
			layer, err := tree.File(s.path, tree.Options{})
			if err != nil {
				return nil, err
			}
			return inspect.Tree(s.name, "file", layer, inspect.Options{}), nil
		}
	}
	r, err := read()
	if err != nil {
		return fmt.Errorf("reading the %s %q: %w", kind, s.path, err)
	}
	b := bill.FromReport(r, bill.Options{Tool: seaworthy.Tool{Name: "seaworthy", Version: "bench"}, Name: s.name})
	f, err := bill.FormatNamed(format)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := f.Write(&out, b); err != nil {
		return err
	}
	name := strings.NewReplacer("/", "-", "@", "-", "!", "-").Replace(s.name)
	return os.WriteFile(filepath.Join(dir, name+ending), out.Bytes(), 0o644)
}

// goModules are the modules this project is built from, by the length of their go.sum.
func goModules(ctx context.Context) ([]subject, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{if and .Dir (not .Main)}}{{.Path}} {{.Dir}}{{end}}", "all").Output()
	if err != nil {
		return nil, fmt.Errorf("the Go modules: %w", err)
	}
	var list []subject
	for line := range strings.Lines(string(out)) {
		path, dir, ok := strings.Cut(strings.TrimSpace(line), " ")
		if info, err := os.Stat(filepath.Join(dir, "go.sum")); ok && err == nil {
			list = append(list, subject{name: path, path: dir, weight: info.Size()})
		}
	}
	return heaviest(list, modules), nil
}

// goPrograms are the programs of the Go distribution and those that were installed with it.
func goPrograms(ctx context.Context) ([]subject, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT", "GOPATH").Output()
	if err != nil {
		return nil, fmt.Errorf("the Go programs: %w", err)
	}
	root, path, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	var list []subject
	for _, pattern := range []string{filepath.Join(root, "bin", "*"), filepath.Join(root, "pkg", "tool", "*", "*"), filepath.Join(path, "bin", "*")} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if info, err := os.Stat(f); err == nil && info.Mode().IsRegular() {
				list = append(list, subject{name: "program-" + filepath.Base(f), path: f, file: true, weight: info.Size()})
			}
		}
	}
	return heaviest(list, programs), nil
}

// npmPackages are the packages that are installed for everybody, and those of the page.
func npmPackages(context.Context) ([]subject, error) {
	var list []subject
	for _, dir := range []string{"/usr/lib/node_modules", "/usr/local/lib/node_modules", "/usr/share/nodejs", "web/app"} {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			list = append(list, subject{name: "npm-" + strings.ReplaceAll(strings.Trim(dir, "/"), "/", "-"), path: dir})
		}
	}
	return list, nil
}

// system is this machine's distribution: its package database and what it needs to be understood, in a folder of their
// own, since all else on a machine is nobody's business.
func system(context.Context) ([]subject, error) {
	dir, err := os.MkdirTemp("", "corpus")
	if err != nil {
		return nil, err
	}
	n := 0
	for _, pattern := range []string{"/etc/os-release", "/usr/lib/os-release", "/var/lib/dpkg/status", "/var/lib/dpkg/info/*.list", "/var/lib/dpkg/info/*.md5sums", "/usr/share/doc/*/copyright"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				continue // a link to nothing
			}
			to := filepath.Join(dir, f)
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return nil, err
			}
			if err := os.WriteFile(to, b, 0o644); err != nil {
				return nil, err
			}
			n++
		}
	}
	if n < 10 {
		return nil, fmt.Errorf("the distribution: there is no dpkg database")
	}
	return []subject{{name: "system", path: dir}}, nil
}

func heaviest(list []subject, n int) []subject {
	slices.SortFunc(list, func(a, b subject) int { return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.name, b.name)) })
	list = slices.CompactFunc(list, func(a, b subject) bool { return a.name == b.name })
	return list[:min(n, len(list))]
}

func copyShared(dir string) error {
	var files []string
	for _, pattern := range []string{"seed-example/*.json", "sbom/*.json", "sigstore/*.sigstore.json"} {
		list, err := filepath.Glob(filepath.Join(shared, pattern))
		if err != nil {
			return err
		}
		files = append(files, list...)
	}
	if len(files) == 0 {
		return fmt.Errorf("%s is not here", shared)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "shared-"+filepath.Base(f)), b, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func report(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var size int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		size += info.Size()
	}
	fmt.Printf("%d documents, %.1f MB\n", len(entries), float64(size)/1e6)
	return nil
}
