package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ingest"
	"github.com/seaworthy-dev/seaworthy/engine/registry"
	"github.com/seaworthy-dev/seaworthy/engine/trace"
	"github.com/seaworthy-dev/seaworthy/internal/durable"
	servegraph "github.com/seaworthy-dev/seaworthy/serve/graph"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/store/graph"
	"github.com/seaworthy-dev/seaworthy/store/repo"
	"github.com/seaworthy-dev/seaworthy/web"
)

// graphFlags are what the graph of a harbour is told.
type graphFlags struct {
	store, tokens string
	hosts         []string
	evidence      evidenceFlags
}

func (o *graphFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.store, "store", "", "the evidence graph: a folder, or postgres://… (default graph, in --dir)")
	f.StringVar(&o.tokens, "graph-tokens", "", "file that says whose tokens may read, ingest and administer the graph; without it, it is for this machine alone")
	f.StringArrayVar(&o.hosts, "graph-host", nil, "name that the graph may be asked at without a token, beside loopback names; may be repeated")
	o.evidence.add(cmd)
}

// harbourGraph is the evidence graph of a harbour: its store, who takes documents in, and what it has still to do.
type harbourGraph struct {
	store      graph.Store
	in         *ingest.Ingester
	tracer     *trace.Tracer
	advisories *advisory.DB // nil: none
	host       string       // of the harbour's registry, as images are named
	shared     bool         // others may work on the same store
	instance   string       // what it calls itself, new each time
	log        *slog.Logger

	mu       sync.Mutex
	stopped  error     // why nobody works; guarded by mu
	stats    statsSeen // guarded by mu
	registry *registry.Registry
}

// statsSeen is what the store said when it was asked last.
type statsSeen struct {
	graph.Stats
	err error
	at  time.Time
}

// statsFor is how long that holds.
const statsFor = time.Second

// openGraph opens the graph, and serves it with the page.
func (h *harbour) openGraph(ctx context.Context, a *app, o serveFlags) error {
	where := o.graph.store
	if where == "" {
		where = filepath.Join(h.dir, "graph")
	}
	base, err := url.Parse(h.base)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Usage, "reading the address %q", h.base)
	}
	g := &harbourGraph{host: base.Host, shared: graph.IsDatabase(where), instance: rand.Text(), log: h.log}
	options, err := h.graphEvidence(a, o)
	if err != nil {
		return err
	}
	if g.advisories = options.Advisories; g.advisories != nil {
		h.closers = append(h.closers, func(context.Context) error { return g.advisories.Close() })
	}
	options.Place = g.place
	if g.store, err = graph.Open(ctx, where, graph.Options{}); err != nil {
		return err
	}
	h.closers = append(h.closers, func(context.Context) error { return g.store.Close() })
	g.in, g.tracer = ingest.New(g.store, options), trace.New(g.store, trace.Options{})
	h.graph = g
	tokens, err := h.graphTokens(where, o, base.Hostname())
	if err != nil {
		return err
	}
	parts := servegraph.Parts{Asker: g.tracer, Store: shownStore{g.store, h}, Ingest: g.ingest}
	if h.ledger != nil {
		parts.Log = h.ledger
	}
	h.mux.Handle(servegraph.Prefix+"/", h.note("graph", servegraph.New(parts, servegraph.Options{
		Tokens: tokens, Hosts: o.graph.hosts, Instance: g.instance, Log: h.log,
	})))
	h.mux.Handle("/", web.Handler())
	return nil
}

// graphEvidence is what documents are verified and joined with: the harbour's own authorities are believed, too.
func (h *harbour) graphEvidence(a *app, o serveFlags) (options ingest.Options, err error) {
	own, err := plainJSON(h.trustedRoot())
	if err != nil {
		return options, err
	}
	others, err := a.evidenceRoot(o.graph.evidence, "")
	if err != nil {
		return options, err
	}
	if options.Root, err = joinRoots(own, others.JSON()); err != nil {
		return options, err
	}
	if options.Keys, err = a.evidenceKeys(o.graph.evidence.keys); err != nil {
		return options, err
	}
	options.Advisories, err = a.evidenceAdvisories(o.graph.evidence.advisories)
	return options, err
}

// graphTokens says who may use the graph. Whoever reaches a loopback address is on this machine, and needs no token; who
// listens elsewhere, or says that others reach it, needs them. The owner of the folder has one of their own, which is
// new each time and written beside it.
func (h *harbour) graphTokens(where string, o serveFlags, name string) (*servegraph.Tokens, error) {
	at := o.at
	if at == "" {
		at = o.addr
	}
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Usage, "listening at %q", at)
	}
	open := registry.IsLoopback(host) && registry.IsLoopback(name)
	var tokens *servegraph.Tokens
	secret := ""
	switch {
	case o.graph.tokens != "":
		if tokens, err = servegraph.ReadTokens(o.graph.tokens); err != nil {
			return nil, err
		}
	case !open:
		h.log.Warn("the graph answers to nobody but its owner on this machine; --graph-tokens says who else may ask")
	}
	if tokens != nil || !open {
		secret = rand.Text()
		tokens = tokens.With("owner", secret)
	}
	if graph.IsDatabase(where) {
		return tokens, nil
	}
	address := h.base // whose name is in the certificate
	if o.cert == "" {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		address = "http://" + net.JoinHostPort(host, port)
		if !registry.IsLoopback(host) {
			address = h.base // where a token would go out in the clear, and is not sent
		}
	}
	withdraw, err := announce(where, address, h.graph.instance, secret)
	if err != nil {
		return nil, err
	}
	h.closers = append(h.closers, func(context.Context) error { return withdraw() })
	return tokens, nil
}

// ingest takes in what was sent.
func (g *harbourGraph) ingest(ctx context.Context, origin string, body []byte) (servegraph.Added, error) {
	r, err := g.in.Bytes(ctx, origin, body)
	return addedOf(r), err
}

func addedOf(r ingest.Result) servegraph.Added {
	a := servegraph.Added{Document: r.Document, Added: r.Added, Failed: r.Failed}
	for _, inside := range r.Inside { // as deep as wrappings may lie one in another
		a.Inside = append(a.Inside, addedOf(inside))
	}
	return a
}

// start begins to work, once all services are there.
func (h *harbour) startGraph(ctx context.Context) error {
	g := h.graph
	g.registry = h.registry
	if err := g.release(ctx); err != nil {
		return err
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	var working sync.WaitGroup
	working.Go(func() { g.work(work) })
	working.Go(func() { g.catchUp(work, filepath.Join(h.dir, "graph.advisories")) })
	h.closers = append(h.closers, func(context.Context) error {
		stop()
		working.Wait() // what was broken off stays queued
		return nil
	})
	return nil
}

// release gives work that a process which is gone had taken back to the queue. In a folder nobody else works.
func (g *harbourGraph) release(ctx context.Context) error {
	if g.shared {
		return nil
	}
	jobs, err := g.store.Jobs(ctx, maxReleased)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if j.State != graph.JobRunning {
			continue
		}
		if err := g.store.FailJob(ctx, j.ID, "the program ended while this was being done", time.Now().UTC()); err != nil && seaworthy.CodeOf(err) != seaworthy.NotFound {
			return err
		}
	}
	return nil
}

// maxReleased is how many jobs are looked at for that; there are as many at work as there are processors.
const maxReleased = 10_000

// work does what is queued until ctx ends. When the store cannot, it is tried again.
func (g *harbourGraph) work(ctx context.Context) {
	const pause = time.Second
	for ctx.Err() == nil {
		err := g.in.Work(ctx)
		if ctx.Err() != nil {
			return
		}
		g.log.Error("the graph's work stopped", "error", err)
		g.mu.Lock()
		g.stopped = err
		g.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		if _, err := g.store.Stats(ctx); err == nil {
			g.mu.Lock()
			g.stopped = nil
			g.mu.Unlock()
		}
	}
}

// catchUp queues what was pushed while nobody listened, and joins all bills with advisories that are new.
func (g *harbourGraph) catchUp(ctx context.Context, remembered string) {
	if err := g.queueUnknown(ctx); err != nil && ctx.Err() == nil {
		g.log.Warn("images of the registry were not looked through for the graph", "error", err)
	}
	if g.advisories == nil {
		return
	}
	var version strings.Builder
	for _, s := range g.advisories.Sources() {
		version.WriteString(s.Name + " " + string(s.Digest) + "\n")
	}
	if before, err := os.ReadFile(remembered); err == nil && string(before) == version.String() {
		return
	}
	_, err := g.in.Rematch(ctx)
	if err == nil {
		err = (*durable.Disk)(nil).WriteFile(remembered, []byte(version.String()))
	}
	if err != nil && ctx.Err() == nil {
		g.log.Warn("bills were not joined with the new advisories", "error", err)
	}
}

// pushed hears of a manifest that was pushed: what is about it is to be fetched. When it returns, that is on the disk.
func (g *harbourGraph) pushed(ctx context.Context, e repo.Event) error {
	return g.in.AddJobs(ctx, g.jobs(e.Repository, e.Digest, e.Tags, graph.EventWork)...)
}

// cosignTag is a tag that says by its name which image it belongs to.
var cosignTag = regexp.MustCompile(`^sha256-([0-9a-f]{64})(\.(sig|att|sbom))?$`)

// jobs are the work that follows from a manifest. What cosign keeps at tags is fetched with its image: by itself it does
// not say what it belongs to.
func (g *harbourGraph) jobs(repository string, d seaworthy.Digest, tags []string, urgency int) []graph.Job {
	now := time.Now()
	name := g.host + "/" + repository
	var jobs []graph.Job
	for _, tag := range tags {
		if m := cosignTag.FindStringSubmatch(tag); m != nil {
			j := ingest.ImageWork{Repository: name, Digest: seaworthy.Digest("sha256:" + m[1])}.Job(urgency, now)
			// The image may be being worked on, and its tags read already: this is work of its own.
			j.ID += ":" + d.Hex()[:16]
			jobs = append(jobs, j)
			continue
		}
		jobs = append(jobs, ingest.ImageWork{Repository: name, Tag: tag, Digest: d}.Job(urgency, now))
	}
	if len(jobs) == 0 {
		jobs = append(jobs, ingest.ImageWork{Repository: name, Digest: d}.Job(urgency, now))
	}
	return jobs
}

// queueUnknown queues the images that the registry has and the graph does not know, with what refers to them.
func (g *harbourGraph) queueUnknown(ctx context.Context) error {
	if g.registry == nil {
		return nil
	}
	const page = 100
	for last := ""; ; {
		names, err := g.registry.Repositories(last, page)
		if err != nil || len(names) == 0 {
			return err
		}
		for _, name := range names {
			if err := g.queueRepository(ctx, name); err != nil {
				return err
			}
			last = name
		}
	}
}

func (g *harbourGraph) queueRepository(ctx context.Context, name string) error {
	const page = 1000
	for last, more := "", true; more; {
		var tags []string
		var err error
		if tags, more, err = g.registry.Tags(name, last, page); err != nil {
			if seaworthy.CodeOf(err) == seaworthy.NotFound {
				return nil // it was deleted meanwhile
			}
			return err
		}
		for _, tag := range tags {
			last = tag
			if ctx.Err() != nil {
				return ctx.Err()
			}
			m, err := g.registry.Manifest(name, tag)
			if err != nil {
				continue // deleted meanwhile, or damaged, which is the registry's to say
			}
			if err := g.queueIfUnknown(ctx, name, m.Digest, []string{tag}); err != nil {
				return err
			}
			referrers, err := ownPlace{g.registry, name}.Referrers(ctx, m.Digest, "")
			if err != nil {
				return err
			}
			for _, r := range referrers {
				if err := g.queueIfUnknown(ctx, name, r.Digest, nil); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (g *harbourGraph) queueIfUnknown(ctx context.Context, repository string, d seaworthy.Digest, tags []string) error {
	docs, err := g.store.Documents(ctx, []graph.ID{graph.DocumentID(d)})
	if err != nil || docs[0].Digest != "" {
		return err
	}
	return g.in.AddJobs(ctx, g.jobs(repository, d, tags, graph.ScheduledWork)...)
}

// shownStore is the store as it is shown: what was pushed and is not in its queue yet is work that is still to be done,
// too.
type shownStore struct {
	graph.Store
	h *harbour
}

// Jobs implements graph.JobQueue.
func (s shownStore) Jobs(ctx context.Context, limit int) ([]graph.Job, error) {
	jobs, err := s.Store.Jobs(ctx, limit)
	if err != nil || s.h.registry == nil {
		return jobs, err
	}
	events, err := s.h.registry.Unheard(max(0, limit-len(jobs)))
	for _, e := range events {
		for _, j := range s.h.graph.jobs(e.Repository, e.Digest, e.Tags, graph.EventWork) {
			if !slices.ContainsFunc(jobs, func(k graph.Job) bool { return k.ID == j.ID }) {
				j.State, j.Created, j.Due = graph.JobWaiting, e.Pushed, e.Pushed
				jobs = append(jobs, j)
			}
		}
	}
	return jobs[:min(len(jobs), limit)], err
}

// place opens a repository of the harbour's registry.
func (g *harbourGraph) place(_ context.Context, repository string) (oci.Place, func(), error) {
	host, name, _ := strings.Cut(repository, "/")
	switch {
	case g.registry == nil:
		return nil, nil, seaworthy.Errorf(seaworthy.Unavailable, "opening %q: there is no registry here", repository)
	case g.shared && host != g.host:
		return nil, nil, seaworthy.Errorf(seaworthy.Unavailable, "opening %q: it is another server's", repository)
	}
	return ownPlace{g.registry, name}, nil, nil // the address of a folder's server may have changed
}

// seen is how much there is, and whether the store answers.
func (g *harbourGraph) seen() statsSeen {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.stats.at) >= statsFor {
		ctx, cancel := context.WithTimeout(context.Background(), statsFor)
		defer cancel()
		s, err := g.store.Stats(ctx)
		g.stats = statsSeen{s, err, time.Now()}
	}
	s := g.stats
	s.err = errors.Join(s.err, g.stopped)
	return s
}

// check says why the graph cannot keep anything at present.
func (g *harbourGraph) check() error { return g.seen().err }

// gauges are what /metrics says of the graph.
func (g *harbourGraph) gauges(gauge func(name, help string, f func() float64)) {
	gauge("seaworthy_graph_documents", "Documents in the evidence graph.", func() float64 { return float64(g.seen().Documents) })
	gauge("seaworthy_graph_statements", "Statements in the evidence graph.", func() float64 { return float64(g.seen().Statements) })
	gauge("seaworthy_graph_jobs", "Jobs that are waiting, running or parked.", func() float64 { return float64(g.seen().Jobs) })
	gauge("seaworthy_graph_bytes", "Bytes of the evidence graph on disk.", func() float64 { return float64(g.seen().Bytes) })
	gauge("seaworthy_graph_answers", "1 when the evidence graph answers and works.", func() float64 {
		if g.check() != nil {
			return 0
		}
		return 1
	})
}
