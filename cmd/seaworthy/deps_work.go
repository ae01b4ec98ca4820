package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/deps"
	"github.com/seaworthy-dev/seaworthy/engine/match"
	"github.com/seaworthy-dev/seaworthy/format/snapshot"
	"github.com/seaworthy-dev/seaworthy/packages"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/source/tree"
)

// depsReading are the flags of the verbs that read dependencies.
type depsReading struct {
	*reading
	advisories string
	snapshots  []string
	broken     bool // parts could not be read
}

func (a *app) depsFlags(cmd *cobra.Command) *depsReading {
	r := &depsReading{reading: &reading{app: a}}
	f := cmd.Flags()
	f.StringVar(&r.advisories, "advisories", "", "advisory database to look for vulnerable versions in (seaworthy advisories build makes one)")
	f.StringArrayVar(&r.snapshots, "snapshot", nil, "dependency snapshot to lay over the first DIR; may be repeated")
	f.IntVar(&r.limits.Entries, "max-entries", 5_000_000, "files in a directory")
	f.Int64Var(&r.limits.File, "max-file", 256<<20, "bytes of one file that are held in memory")
	return r
}

// graph reads all targets into one graph and lets the advisories look at it.
func (r *depsReading) graph(ctx context.Context, targets []string) (*deps.Graph, error) {
	var db *advisory.DB
	if r.advisories != "" {
		var err error
		if db, err = advisory.Open(r.advisories); err != nil {
			return nil, err
		}
		defer db.Close()
	}
	var sources []deps.Source
	for _, target := range targets {
		s, err := r.source(ctx, target)
		if err != nil {
			return nil, err
		}
		sources = append(sources, s)
	}
	if len(r.snapshots) > 0 {
		var laid []snapshot.Snapshot
		for _, name := range r.snapshots {
			s, err := r.snapshot(name)
			if err != nil {
				return nil, err
			}
			laid = append(laid, s)
		}
		sources[0] = deps.Overlay(sources[0], laid)
	}
	g := deps.New(sources...)
	if db == nil {
		return g, nil
	}
	return g, g.Match(func(b *seaworthy.Bill) ([]seaworthy.Finding, error) {
		result, err := match.Packages(ctx, db, b, match.Options{})
		for _, n := range result.NotCovered {
			r.app.warn("the advisories do not cover %s (%s); dependencies not looked at: %d", n.Name, n.Reason, n.Packages)
		}
		return result.Findings, err
	})
}

// source reads one target: a directory, a manifest, or a snapshot.
func (r *depsReading) source(ctx context.Context, target string) (deps.Source, error) {
	info, err := os.Stat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return deps.Source{}, noSuchDir(target)
	case err != nil:
		return deps.Source{}, seaworthy.Wrap(err, seaworthy.Storage, "opening %q", target)
	}
	kind := oci.Target{Kind: oci.KindDir, Path: target}
	if !info.IsDir() {
		kind.Kind = oci.KindFile
		if !packages.NewScanner(true, 0).Wants(filepath.Base(target), info.Size(), 0) {
			s, err := r.snapshot(target)
			if err != nil {
				return deps.Source{}, err
			}
			return deps.FromSnapshot(target, &s), nil
		}
	}
	report, err := r.tree(ctx, target, kind)
	if err != nil {
		return deps.Source{}, err
	}
	if report.Release != nil {
		r.app.warn("%q holds an installed system: manifests in it are not read; name the directory of a project below it", target)
	}
	source := deps.FromReport(strings.TrimSuffix(target, "/"), report)
	r.broken = r.broken || report.Incomplete && len(source.Problems) > 0
	return source, nil
}

func (r *depsReading) snapshot(name string) (snapshot.Snapshot, error) {
	f, err := r.app.openFile(name)
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	defer f.Close()
	s, err := snapshot.Read(f)
	if err == nil && s.Manifests == nil {
		err = seaworthy.Errorf(seaworthy.Invalid, "reading a dependency snapshot: it has no manifests")
	}
	if err != nil {
		wrapped := seaworthy.Errorf(seaworthy.CodeOf(err), "reading %q: %w", name, err)
		return snapshot.Snapshot{}, wrapped.WithHint("it is neither a manifest or lock file that is known by its name, nor a dependency snapshot")
	}
	return s, nil
}

// finish tells what could not be read.
func (r *depsReading) finish(g *deps.Graph) error {
	const most = 5
	problems := g.Problems()
	if r.broken {
		return incomplete(problems)
	}
	for i, p := range problems {
		if i == most {
			r.app.warn("… and %d more problems; -o json lists them all", len(problems)-most)
			break
		}
		r.app.warn("%s: %s", p.Where, p.Detail)
	}
	return nil
}

// submitting are the flags that say what a tree does not, for those who receive its dependencies.
type submitting struct {
	app                          *app
	sha, ref, repository         string
	jobID, jobCorrelator, jobURL string
}

func (a *app) submitFlags(cmd *cobra.Command) *submitting {
	s := &submitting{app: a}
	f := cmd.Flags()
	f.StringVar(&s.repository, "repo", "", "owner/name of the repository, for spdx-json (default: $GITHUB_REPOSITORY, else what DIR is called)")
	f.StringVar(&s.sha, "sha", "", "commit, for a snapshot (default: that of the git checkout, else $GITHUB_SHA)")
	f.StringVar(&s.ref, "ref", "", "branch or tag (refs/heads/main), for a snapshot (default: that of the git checkout, else $GITHUB_REF)")
	f.StringVar(&s.jobID, "job-id", "", `run that makes the snapshot (default: $GITHUB_RUN_ID, else "local")`)
	f.StringVar(&s.jobCorrelator, "job-correlator", "", `what all runs of this job share (default: $GITHUB_WORKFLOW $GITHUB_JOB, else "seaworthy deps")`)
	f.StringVar(&s.jobURL, "job-url", "", "page of the run (default: that of $GITHUB_RUN_ID)")
	return s
}

// fill takes from the environment of GitHub Actions and from the checkout what was not given.
func (s *submitting) fill(target string) {
	env := s.app.getenv
	or := func(to *string, value string) {
		if *to == "" {
			*to = value
		}
	}
	dir := target
	if info, err := os.Stat(target); err == nil && !info.IsDir() {
		dir = filepath.Dir(target)
	}
	if s.sha == "" || s.ref == "" {
		if sha, ref, err := deps.Head(dir); err == nil {
			// A branch belongs to the commit that is checked out, and to no other.
			if s.sha == "" || s.sha == sha {
				or(&s.ref, ref)
			}
			or(&s.sha, sha)
		} else {
			s.app.detail("%v", err)
		}
	}
	or(&s.sha, env("GITHUB_SHA"))
	or(&s.ref, env("GITHUB_REF"))
	or(&s.repository, env("GITHUB_REPOSITORY"))
	or(&s.jobID, env("GITHUB_RUN_ID"))
	if run, server, repo := env("GITHUB_RUN_ID"), env("GITHUB_SERVER_URL"), env("GITHUB_REPOSITORY"); run != "" && server != "" && repo != "" && s.jobID == run {
		or(&s.jobURL, server+"/"+repo+"/actions/runs/"+run)
	}
	or(&s.jobID, "local")
	or(&s.jobCorrelator, strings.TrimSpace(env("GITHUB_WORKFLOW")+" "+env("GITHUB_JOB")))
	or(&s.jobCorrelator, "seaworthy deps")
}

func (s *submitting) writeSPDX(w io.Writer, g *deps.Graph, target string) error {
	s.fill(target)
	created, err := s.app.created()
	if err != nil {
		return err
	}
	name := s.repository
	if name == "" {
		name = tree.Name(target)
	}
	return g.WriteSPDX(w, deps.Export{
		Name: name, Ref: strings.TrimPrefix(strings.TrimPrefix(s.ref, "refs/heads/"), "refs/tags/"), Created: created,
		Tool: seaworthy.Tool{Name: "seaworthy", Version: s.app.build.Version},
	})
}

func (s *submitting) writeSnapshot(w io.Writer, g *deps.Graph, target string) error {
	s.fill(target)
	if s.sha == "" || s.ref == "" {
		missing := "--sha and --ref"
		switch {
		case s.sha != "":
			missing = "--ref"
		case s.ref != "":
			missing = "--sha"
		}
		return seaworthy.Errorf(seaworthy.Usage, "a snapshot is of one commit and branch: %s missing, and %q has no checkout that says", missing, target).
			WithHint("for example: seaworthy deps %s -o snapshot --sha %s --ref refs/heads/main", target, strings.Repeat("0", 39)+"1")
	}
	scanned, err := s.app.created()
	if err != nil {
		return err
	}
	if scanned.IsZero() {
		scanned = time.Now().UTC().Truncate(time.Second)
	}
	snap := snapshot.Snapshot{
		Job: snapshot.Job{ID: s.jobID, Correlator: s.jobCorrelator, HTMLURL: s.jobURL}, SHA: s.sha, Ref: s.ref,
		Detector: snapshot.Detector{Name: "seaworthy", Version: s.app.build.Version, URL: "https://github.com/seaworthy-dev/seaworthy"},
		Scanned:  scanned,
	}
	if left := g.Snapshot(&snap); left > 0 {
		s.app.warn("%s", fmt.Sprintf("%d dependencies have no package URL and are not in the snapshot", left))
	}
	if err := snap.Check(); err != nil {
		return seaworthy.Errorf(seaworthy.Usage, "%w", err).WithHint("--sha is a whole commit, --ref begins with refs/")
	}
	return snapshot.Write(w, &snap)
}
