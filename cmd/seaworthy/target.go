package main

import (
	"context"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/inspect"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/source/image"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/source/tree"
)

// reading are the flags of every verb that looks into an image, directory or file.
type reading struct {
	app     *app
	remote  remoteFlags
	noCache bool
	limits  image.Limits
	inspect inspect.Options
}

const targetHelp = `TARGET is a registry reference, an OCI layout directory, a docker or OCI archive (plain or compressed), a
directory or a file. Which one is recognised; registry:, oci-dir:, archive:, dir: and file: force it.`

func (a *app) readingFlags(cmd *cobra.Command) *reading {
	r := &reading{app: a}
	f := cmd.Flags()
	r.remote.add(f)
	f.BoolVar(&r.noCache, "no-cache", false, "read every layer, and keep nothing")
	limitFlags(f, r)
	return r
}

func limitFlags(f *pflag.FlagSet, r *reading) {
	f.IntVar(&r.limits.Entries, "max-entries", 5_000_000, "entries in one layer, or files in a directory")
	f.Int64Var(&r.limits.Unpacked, "max-unpacked", 64<<30, "bytes that one layer may unpack to")
	f.Int64Var(&r.limits.Ratio, "max-ratio", 300, "how many times larger than stored a layer may unpack, from 256 MiB on")
	f.Int64Var(&r.limits.File, "max-file", 256<<20, "bytes of one file that are held in memory")
}

// report opens a target and looks into it.
func (r *reading) report(ctx context.Context, target string) (*inspect.Report, error) {
	t, err := oci.ParseTarget(target)
	if err != nil {
		return nil, err
	}
	switch t.Kind {
	case oci.KindDir, oci.KindFile:
		return r.tree(ctx, target, t)
	}
	options, err := r.remote.options(r.app)
	if err != nil {
		return nil, err
	}
	img, err := oci.Open(ctx, target, options)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	var total int64
	for _, l := range img.Layers {
		total += max(l.Size, 0)
	}
	bar := r.app.progress.Start("reading "+target, total, console.Bytes)
	defer bar.Done()
	o := r.inspect
	o.Read.Limits = r.limits
	o.Read.Progress = r.app.tuneMemory(bar.Add)
	if !r.noCache {
		// Without a place for it, as where there is no home, every layer is read.
		if dir, err := r.app.cacheDir(); err == nil {
			o.Read.Cache = image.OpenCache(dir, 0)
		}
	}
	return inspect.Image(ctx, img, o)
}

func (r *reading) tree(ctx context.Context, target string, t oci.Target) (*inspect.Report, error) {
	bar := r.app.progress.Start("reading "+target, 0, console.Bytes)
	defer bar.Done()
	o := tree.Options{Entries: r.limits.Entries, File: r.limits.File, Progress: bar.Add}
	if t.Kind == oci.KindFile {
		layer, err := tree.File(t.Path, o)
		if err != nil {
			return nil, err
		}
		return inspect.Tree(t.Path, "file", layer, r.inspect), nil
	}
	layer, err := tree.Dir(ctx, t.Path, o)
	if err != nil {
		return nil, err
	}
	report := inspect.Tree(t.Path, "dir", layer, r.inspect)
	report.Target = tree.Name(t.Path)
	return report, nil
}

// incomplete is the error of a verb that has given its answer, of which parts are missing.
func incomplete(problems []seaworthy.Problem) error {
	err := seaworthy.Errorf(seaworthy.Incomplete, "parts could not be read")
	if len(problems) > 0 {
		err = seaworthy.Errorf(seaworthy.Incomplete, "parts could not be read, first: %s: %s", problems[0].Where, problems[0].Detail)
	}
	return err.WithHint("the result above is everything else and is marked incomplete")
}

// created is the time that SOURCE_DATE_EPOCH names, and zero without it
// (reproducible-builds.org/specs/source-date-epoch).
func (a *app) created() (time.Time, error) {
	value := strings.TrimSpace(a.getenv("SOURCE_DATE_EPOCH"))
	if value == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, seaworthy.Errorf(seaworthy.Usage, "reading SOURCE_DATE_EPOCH %q: not a number of seconds", value).
			WithHint("it counts seconds since 1970")
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// openFile opens a file that the person named, or stdin for "-".
func (a *app) openFile(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(a.stdin), nil
	}
	f, err := os.Open(name)
	if err != nil {
		code := seaworthy.Storage
		if os.IsNotExist(err) {
			code = seaworthy.NotFound
		}
		return nil, seaworthy.Wrap(err, code, "opening %q", name)
	}
	return f, nil
}
