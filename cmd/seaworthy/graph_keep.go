package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ingest"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// inGraph opens a graph for one piece of work on its store.
func (a *app) inGraph(ctx context.Context, o storeFlags, use graphUse, work func(*graphPlace) error) (err error) {
	place, err := a.openGraph(ctx, o, use)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, place.Close()) }()
	return work(place)
}

func newGraphJobs(a *app) *cobra.Command {
	var (
		o     storeFlags
		limit int
		retry []string
		wait  bool
	)
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "Work that is still to be done, and what failed and why",
		Long: `Jobs lists what the graph has still to do: images to fetch, bills to join with advisories. What failed too often is
parked, with the reason, until somebody retries it.

With --wait it first waits until nothing is to be done any more but what is parked, or waits for its next try.`,
		Example: "  seaworthy graph jobs\n  seaworthy graph jobs --wait\n  seaworthy graph jobs --retry image:9f86d081884c7d65",
		Args:    takes("seaworthy graph jobs"),
	}
	o.add(cmd)
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many")
	cmd.Flags().StringArrayVar(&retry, "retry", nil, "id of a job to try again now; may be repeated")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until all that is due is done")
	out := a.outputFlag(cmd, "table", "json", "jsonl", "yaml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		if limit < 1 || limit > 1000 {
			return seaworthy.Errorf(seaworthy.Usage, "--limit %d: not from 1 to 1000", limit)
		}
		use := toRead
		if len(retry) > 0 {
			use = toWrite
		}
		var jobs []graph.Job
		err := a.inGraph(ctx, o, use, func(p *graphPlace) (err error) {
			for _, id := range retry {
				if p.client != nil {
					err = p.client.Retry(ctx, id)
				} else {
					err = p.store.RetryJob(ctx, id, time.Now().UTC())
				}
				if err != nil {
					return err
				}
			}
			if jobs, err = p.jobs(ctx, limit); err == nil && wait {
				bar := a.progress.Start("waiting for the graph", 0, console.Things)
				defer bar.Done()
				jobs, err = p.whenDone(ctx, limit)
			}
			return err
		})
		if err != nil {
			return err
		}
		return out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, map[string]any{"jobs": jobs})
			case "jsonl":
				return console.JSONL(w, jobs)
			case "yaml":
				return console.YAML(w, map[string]any{"jobs": jobs})
			}
			t := &console.Table{Columns: []console.Column{{Name: "ID"}, {Name: "STATE"}, {Name: "WHAT", Shrink: true}, {Name: "DUE"}, {Name: "TRIES", Right: true}, {Name: "WHY", Shrink: true}}}
			for _, j := range jobs {
				t.Add(j.ID, string(j.State), j.Title, j.Due.Format(time.RFC3339), fmt.Sprint(j.Tries), j.LastFail)
			}
			return t.Write(w)
		})
	}
	return cmd
}

// jobs lists what is still to be done.
func (p *graphPlace) jobs(ctx context.Context, limit int) ([]graph.Job, error) {
	if p.client != nil {
		return p.client.Jobs(ctx, limit)
	}
	return p.store.Jobs(ctx, limit)
}

// lookEvery is how often somebody else's work is looked at.
const lookEvery = 50 * time.Millisecond

// whenDone lists what is still to be done once nothing of it is due or being done. Where nobody works, that is never.
func (p *graphPlace) whenDone(ctx context.Context, limit int) ([]graph.Job, error) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		jobs, err := p.jobs(ctx, limit)
		now := time.Now()
		if err != nil || !slices.ContainsFunc(jobs, func(j graph.Job) bool {
			return j.State == graph.JobRunning || j.State == graph.JobWaiting && !j.Due.After(now)
		}) {
			return jobs, err
		}
		if p.store != nil && !graph.IsDatabase(p.where) {
			return nil, seaworthy.Errorf(seaworthy.Usage, "waiting for the graph in %q: nobody works on it", p.where).WithHint("seaworthy up does what is queued")
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-look.C:
		}
	}
}

func newGraphStats(a *app) *cobra.Command {
	var o storeFlags
	cmd := &cobra.Command{
		Use:     "stats",
		Short:   "How much there is",
		Example: "  seaworthy graph stats",
		Args:    takes("seaworthy graph stats"),
	}
	o.add(cmd)
	out := a.outputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var s graph.Stats
		err := a.inGraph(cmd.Context(), o, toRead, func(p *graphPlace) (err error) {
			if p.client != nil {
				s, err = p.client.Stats(cmd.Context())
			} else {
				s, err = p.store.Stats(cmd.Context())
			}
			return err
		})
		if err != nil {
			return err
		}
		return out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, s)
			case "yaml":
				return console.YAML(w, s)
			}
			_, err := fmt.Fprintf(w, "%s: %s, %s, %s, %s, %s\n", console.Escape(s.Engine), counted(s.Documents, "document"),
				counted(s.Statements, "statement"), counted(s.Subjects, "subject"), console.Size(s.Bytes), counted(s.Jobs, "job"))
			return err
		})
	}
	return cmd
}

func newGraphCheck(a *app) *cobra.Command {
	var o storeFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read everything once and say what is wrong",
		Long: `Check reads everything a graph has and says what is wrong: bytes that are not those of their digest, statements that only
one end knows of. It exits with 2 when something is. Rebuild mends what follows from the documents.`,
		Example: "  seaworthy graph check --store data/graph",
		Args:    takes("seaworthy graph check"),
	}
	o.add(cmd)
	out := a.outputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		problems := []seaworthy.Problem{}
		err := a.inGraph(cmd.Context(), o, toMend, func(p *graphPlace) error {
			bar := a.progress.Start("reading the graph", 0, console.Things)
			defer bar.Done()
			found, err := p.store.Check(cmd.Context())
			problems = append(problems, found...)
			return err
		})
		if err != nil {
			return err
		}
		err = out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, map[string]any{"problems": problems})
			case "yaml":
				return console.YAML(w, map[string]any{"problems": problems})
			}
			for _, p := range problems {
				fmt.Fprintf(w, "%s: %s\n", console.Escape(p.Where), console.Escape(p.Detail))
			}
			_, err := fmt.Fprintln(w, counted(int64(len(problems)), "problem"))
			return err
		})
		if err == nil && len(problems) > 0 {
			return seaworthy.Errorf(seaworthy.Refused, "the graph is damaged").WithHint("seaworthy graph rebuild makes again what follows from the documents; for lost documents there is graph restore")
		}
		return err
	}
	return cmd
}

func newGraphRebuild(a *app) *cobra.Command {
	var (
		o storeFlags
		e evidenceFlags
	)
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Read all documents again: with other roots and keys, or a newer program",
		Long: `Rebuild reads every document again from its bytes and puts what it says now in the place of what it said: as this program
reads it, verified with the roots and keys there are now. When and from where a document came stays.`,
		Example: "  seaworthy graph rebuild --store data/graph --trusted-root trusted_root.json",
		Args:    takes("seaworthy graph rebuild"),
	}
	o.add(cmd)
	e.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.inGraph(cmd.Context(), o, toMend, func(p *graphPlace) error {
			options, done, err := a.evidence(e, o)
			if err != nil {
				return err
			}
			defer done()
			return a.rebuild(cmd.Context(), p.store, ingest.New(p.store, options), options.Advisories != nil)
		})
	}
	return cmd
}

// rebuild reads all documents again. One that cannot be read any more is kept, and says nothing.
func (a *app) rebuild(ctx context.Context, store graph.Store, in *ingest.Ingester, match bool) error {
	stats, err := store.Stats(ctx)
	if err != nil {
		return err
	}
	bar := a.progress.Start("reading documents again", stats.Documents, console.Things)
	defer bar.Done()
	read, failed := 0, 0
	err = graph.Rebuild(ctx, store, func(doc seaworthy.Document, body []byte) (graph.Entry, error) {
		bar.Add(1)
		entry, err := in.Reparse(doc, body)
		if err == nil {
			read++
			return entry, nil
		}
		failed++
		a.warn("%s: %s; it is kept, and says nothing", doc.Digest, err)
		doc.Statements, doc.Problems = 0, []seaworthy.Problem{seaworthy.NewProblem(string(doc.Digest), err)}
		return graph.Entry{Document: doc}, nil
	})
	if err == nil && match {
		if _, err = in.Rematch(ctx); err == nil {
			_, err = in.Drain(ctx)
		}
	}
	if err != nil {
		return err
	}
	bar.Done()
	a.note("%s read again", counted(int64(read), "document"))
	if failed > 0 {
		return seaworthy.Errorf(seaworthy.Incomplete, "%s could not be read again", counted(int64(failed), "document"))
	}
	return nil
}

func newGraphBackup(a *app) *cobra.Command {
	var o storeFlags
	cmd := &cobra.Command{
		Use:   "backup DIR",
		Short: "Write a copy of the whole graph into an empty folder",
		Long: `Backup writes a consistent copy of a graph into a folder that is empty or not there. Of a graph in a folder the copy is
one too, which --store can name; restore puts any copy into another graph.`,
		Example: "  seaworthy graph backup /backup/graph",
		Args:    takes("seaworthy graph backup /backup/graph", "a folder for the copy"),
	}
	o.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.inGraph(cmd.Context(), o, toMend, func(p *graphPlace) error {
			bar := a.progress.Start("backing up", 0, console.Things)
			defer bar.Done()
			return p.store.Backup(cmd.Context(), args[0])
		})
	}
	return cmd
}

func newGraphRestore(a *app) *cobra.Command {
	var o storeFlags
	cmd := &cobra.Command{
		Use:   "restore DIR",
		Short: "Put a copy that backup wrote into a graph",
		Long: `Restore puts everything of a copy that backup wrote into a graph: one in a folder, which is made when it is not there, or
in a database. It must be empty.`,
		Example: "  seaworthy graph restore /backup/graph --store postgres://graph@db.example/graph",
		Args:    takes("seaworthy graph restore /backup/graph", "the folder of the copy"),
	}
	o.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		to, err := a.graphAt(o)
		if err != nil {
			return err
		}
		if _, err := os.Stat(args[0]); err != nil {
			return seaworthy.Wrap(err, seaworthy.NotFound, "looking for a copy in %q", args[0])
		}
		bar := a.progress.Start("restoring", 0, console.Things)
		defer bar.Done()
		return graph.Restore(cmd.Context(), args[0], to, graph.Options{Cache: graphCache})
	}
	return cmd
}
