package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	pbtrust "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ingest"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	servegraph "github.com/seaworthy-dev/seaworthy/serve/graph"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/store/graph"
	"github.com/seaworthy-dev/seaworthy/trust/key"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// evidenceFlags say with what documents are verified and joined on their way into a graph.
type evidenceFlags struct {
	roots, keys []string
	advisories  string
}

func (o *evidenceFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.roots, "trusted-root", nil, "trusted_root.json to verify signatures with; may be repeated (default: what verify believes, and for the default graph the root of its seaworthy up)")
	f.StringArrayVar(&o.keys, "key", nil, "file with a public key to verify signatures with; may be repeated")
	f.StringVar(&o.advisories, "advisories", "", "the advisory database to join packages with (default: advisories.db in the data folder, when it is there)")
}

func newGraphIngest(a *app) *cobra.Command {
	var (
		o storeFlags
		e evidenceFlags
	)
	cmd := &cobra.Command{
		Use:   "ingest PATH...",
		Short: "Take documents in: files, folders, archives, images",
		Long: `Ingest takes documents into the graph: bills, in-toto statements, DSSE envelopes, Sigstore bundles, SLSA provenance, VEX,
scorecards and scan reports, recognised by what is in them. PATH is a file, a folder of them, an archive, JSON Lines, "-" for
stdin, or an image: then its manifest, its configuration and all that refers to it are taken.

Who signed a document is found out on the way, with the roots and keys that are configured; what cannot be verified is kept
and marked. The same document twice is one. When it returns, everything is on the disk.

While seaworthy up has the graph open, the documents are sent there, and verified with its roots.`,
		Example: "  seaworthy graph ingest evidence/ app.spdx.json\n  seaworthy graph ingest registry.example/app:1.2\n  cosign download attestation registry.example/app:1.2 | seaworthy graph ingest -",
		Args:    takesMany("seaworthy graph ingest evidence/", "file, folder or image"),
	}
	o.add(cmd)
	e.add(cmd)
	place := a.imageFlags(cmd)
	out := a.outputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		summary, err := a.ingest(cmd.Context(), o, e, place, args)
		if err != nil && seaworthy.CodeOf(err) != seaworthy.Incomplete {
			return err
		}
		for i, f := range summary.Failures {
			if i == maxWarned {
				a.warn("%d more could not be read", summary.Failed-maxWarned)
				break
			}
			a.warn("%s: %s", f.Where, f.Detail)
		}
		written := out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, summary)
			case "yaml":
				return console.YAML(w, summary)
			}
			return writeSummary(w, summary)
		})
		return errors.Join(written, err)
	}
	return cmd
}

// maxWarned is how many failures are told one by one.
const maxWarned = 10

func writeSummary(w io.Writer, s ingest.Summary) error {
	var kinds []string
	for kind, n := range s.Kinds {
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, n))
	}
	slices.Sort(kinds)
	line := counted(int64(s.Documents), "document") + ", " + fmt.Sprint(s.Added) + " new, " + counted(s.Statements, "statement") + ", " + console.Size(s.Bytes)
	if len(kinds) > 0 {
		line += ": " + strings.Join(kinds, ", ")
	}
	if s.Failed > 0 {
		line += fmt.Sprintf("; %d could not be read", s.Failed)
	}
	_, err := fmt.Fprintln(w, line)
	return seaworthy.Wrap(err, seaworthy.Storage, "writing the summary")
}

// ingest takes in what args name, into a graph that is opened or asked.
func (a *app) ingest(ctx context.Context, o storeFlags, e evidenceFlags, from *imagePlace, args []string) (_ ingest.Summary, err error) {
	total := ingest.Summary{Kinds: map[seaworthy.DocumentKind]int{}}
	paths, images, err := sortTargets(args)
	if err != nil {
		return total, err
	}
	place, err := a.openGraph(ctx, o, toWrite)
	if err != nil {
		return total, err
	}
	defer func() { err = errors.Join(err, place.Close()) }()
	store := place.store
	var options ingest.Options
	if store == nil {
		store = newPosting(place.client) // which verifies, and joins with advisories
		if len(e.roots)+len(e.keys) > 0 || e.advisories != "" {
			a.warn("the graph is served at %s, which verifies with its own roots and keys, and has its own advisories: --trusted-root, --key and --advisories are not used", place.client.URL)
		}
	} else {
		var done func()
		if options, done, err = a.evidence(e, o); err != nil {
			return total, err
		}
		defer done()
	}
	in := ingest.New(store, options)
	bar := a.progress.Start("ingesting", 0, console.Things)
	defer bar.Done()
	seen := 0
	progress := func(s ingest.Summary) {
		bar.Add(int64(s.Documents - seen))
		seen = s.Documents
	}
	var incomplete error
	take := func(s ingest.Summary, err error) error {
		addSummary(&total, s)
		if seaworthy.CodeOf(err) == seaworthy.Incomplete {
			incomplete = err
			return nil
		}
		return err
	}
	if len(paths) > 0 {
		if err := take(in.Paths(ctx, paths, progress)); err != nil {
			return total, err
		}
	}
	for _, image := range images {
		if image == "-" {
			err = take(a.ingestStdin(ctx, in))
		} else {
			err = take(ingestImage(ctx, in, from, image))
		}
		if err != nil {
			return total, err
		}
		progress(total)
	}
	return total, incomplete
}

// sortTargets tells files and folders from images and stdin.
func sortTargets(args []string) (paths, images []string, err error) {
	for _, arg := range args {
		if arg == "-" {
			images = append(images, arg)
			continue
		}
		t, err := oci.ParseTarget(arg)
		if err != nil {
			return nil, nil, err
		}
		if t.Kind == oci.KindDir || t.Kind == oci.KindFile {
			paths = append(paths, t.Path)
		} else {
			images = append(images, arg)
		}
	}
	return paths, images, nil
}

func addSummary(to *ingest.Summary, s ingest.Summary) {
	to.Documents += s.Documents
	to.Added += s.Added
	to.Statements += s.Statements
	to.Bytes += s.Bytes
	to.Failed += s.Failed
	to.Failures = append(to.Failures, s.Failures...)
	for kind, n := range s.Kinds {
		to.Kinds[kind] += n
	}
}

func (a *app) ingestStdin(ctx context.Context, in *ingest.Ingester) (ingest.Summary, error) {
	s := ingest.Summary{Kinds: map[seaworthy.DocumentKind]int{}}
	body, err := readUntil(ctx, a.stdin)
	if err != nil {
		return s, err
	}
	r, err := in.Bytes(ctx, "stdin", body)
	r.Each(func(d *seaworthy.Document, added bool) {
		s.Documents++
		s.Bytes += d.Size
		s.Kinds[d.Kind]++
		if added {
			s.Added++
			s.Statements += int64(d.Statements)
		}
	})
	s.Failed, s.Failures = len(r.Failed), r.Failed
	return s, err
}

// readUntil reads to the end, or until ctx ends: a terminal, or a pipe that nothing comes from, has no end.
func readUntil(ctx context.Context, r io.Reader) ([]byte, error) {
	type all struct {
		body []byte
		err  error
	}
	read := make(chan all, 1)
	go func() {
		body, err := io.ReadAll(io.LimitReader(r, graph.MaxBody+1))
		read <- all{body, seaworthy.Wrap(err, seaworthy.Storage, "reading stdin")}
	}()
	select {
	case got := <-read:
		return got.body, got.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func ingestImage(ctx context.Context, in *ingest.Ingester, from *imagePlace, image string) (ingest.Summary, error) {
	o, err := from.options(from.app)
	if err != nil {
		return ingest.Summary{}, err
	}
	opened, err := oci.OpenPlace(ctx, image, o)
	if err != nil {
		return ingest.Summary{}, err
	}
	defer opened.Close()
	d, _, err := from.resolve(ctx, opened)
	if err != nil {
		return ingest.Summary{}, err
	}
	return in.Image(ctx, opened, image, d.Digest)
}

// evidence reads what documents are verified and joined with on their way into a graph.
func (a *app) evidence(e evidenceFlags, into storeFlags) (o ingest.Options, done func(), err error) {
	done = func() {}
	own := ""
	if into.store == "" {
		// The root that seaworthy up wrote beside its graph, in the person's own data folder. Beside another graph may
		// be anybody's: it is believed when it is named.
		where, err := a.graphAt(into)
		if err != nil {
			return o, done, err
		}
		own = filepath.Join(filepath.Dir(where), "trusted_root.json")
	}
	if o.Root, err = a.evidenceRoot(e, own); err != nil {
		return o, done, err
	}
	if o.Keys, err = a.evidenceKeys(e.keys); err != nil {
		return o, done, err
	}
	if o.Advisories, err = a.evidenceAdvisories(e.advisories); err != nil {
		return o, done, err
	}
	if o.Advisories != nil {
		done = func() { _ = o.Advisories.Close() } // it was only read
	}
	return o, done, nil
}

// evidenceRoot is all roots that are configured, as one. own is the file of one more, for when none is; "" for none.
func (a *app) evidenceRoot(e evidenceFlags, own string) (*root.Root, error) {
	var bodies [][]byte
	if len(e.roots) == 0 {
		if own != "" {
			b, err := os.ReadFile(own)
			switch {
			case err == nil:
				bodies = append(bodies, b)
			case !errors.Is(err, fs.ErrNotExist):
				return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading %q", own)
			}
		}
		usual, err := a.trustedRoot("")
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, usual.JSON())
	}
	for _, name := range e.roots {
		b, err := a.readSmall(name, root.MaxBytes)
		if err != nil {
			return nil, err
		}
		if _, err := root.Parse(name, b); err != nil {
			return nil, err
		}
		bodies = append(bodies, b)
	}
	return joinRoots(bodies...)
}

// joinRoots makes one root of several: it believes whom one of them believes.
func joinRoots(bodies ...[]byte) (*root.Root, error) {
	all := new(pbtrust.TrustedRoot)
	for _, body := range bodies {
		one := new(pbtrust.TrustedRoot)
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, one); err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading a trusted root")
		}
		proto.Merge(all, one)
		all.MediaType = one.GetMediaType()
	}
	body, err := plainJSON(all)
	if err != nil {
		return nil, err
	}
	return root.Parse("roots of the graph", body)
}

func (a *app) evidenceKeys(names []string) (keys []key.Public, err error) {
	for _, name := range names {
		b, err := a.readSmall(name, key.MaxFileBytes)
		if err != nil {
			return nil, err
		}
		k, err := key.ParsePublic(b)
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading key %q", name)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// evidenceAdvisories opens the database that was named, or the usual one when it is there.
func (a *app) evidenceAdvisories(file string) (*advisory.DB, error) {
	if file == "" {
		usual, err := a.databasePath("")
		if err != nil {
			return nil, nil //nolint:nilerr // nobody's home: there are none in it
		}
		if _, err := os.Stat(usual); err != nil {
			return nil, nil //nolint:nilerr // there are none
		}
	}
	return a.openDatabase(file, 0)
}

// posting is a store that sends documents to a graph that is served elsewhere. It is good for ingesting, which asks
// only for what it has just put.
type posting struct {
	graph.Store // none: what else is called is our own mistake
	client      *servegraph.Client
	mu          sync.Mutex
	sent        map[graph.ID]seaworthy.Document // guarded by mu
}

func newPosting(c *servegraph.Client) *posting {
	return &posting{client: c, sent: map[graph.ID]seaworthy.Document{}}
}

// Put implements graph.Store.
func (p *posting) Put(ctx context.Context, e graph.Entry) (bool, error) {
	said, err := p.client.Add(ctx, e.Document.Origin, e.Body)
	if err != nil {
		return false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent[graph.DocumentID(e.Document.Digest)] = said.Document
	return said.Added, nil
}

// Documents implements graph.Reader.
func (p *posting) Documents(_ context.Context, ids []graph.ID) ([]seaworthy.Document, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	docs := make([]seaworthy.Document, len(ids))
	for i, id := range ids {
		docs[i] = p.sent[id]
	}
	return docs, nil
}
