package admit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// Defaults of Options.
const (
	// DefaultFresh is how long a yes is given without asking again.
	DefaultFresh = 5 * time.Minute
	// DefaultStale is how long a yes still counts when nobody can be asked: a registry that is down blocks nothing
	// that was verified.
	DefaultStale = 24 * time.Hour
	// DefaultNegative is how long a no is given without asking again: short, because signatures follow images.
	DefaultNegative = 5 * time.Second
	// DefaultTag is how long a tag is taken to stand for the digest it was resolved to.
	DefaultTag = 2 * time.Second
	// DefaultFlight is how long one image may take; also when whoever asked has gone, since the next to ask has the
	// answer then.
	DefaultFlight = 30 * time.Second
	// DefaultPatience is how long who could have an old yes waits for a new answer.
	DefaultPatience = 500 * time.Millisecond

	DefaultVerdicts = 20_000   // verdicts that are remembered
	DefaultEvidence = 64 << 20 // bytes of evidence that are remembered, for as long as a no is
	DefaultParallel = 32       // images that are looked at at once
	// DefaultReading is how many bytes of evidence may be in memory at once while it is read, of all images together.
	// What goes beyond is not answered, and asked again: a registry with endless evidence costs its own images.
	DefaultReading = 256 << 20
)

// Options say how the gate works. The zero value of each field is its default.
type Options struct {
	Registries Registries
	Advisories *Advisories // nil: policies about findings cannot be answered
	// Exempt are namespaces in which everything is let through: the cluster's own and the gate's, so that the gate
	// can never lock them out. "" or nil: kube-system and Own.
	Exempt []string
	// Own is the namespace that the gate runs in; "" when it runs in none.
	Own string
	// Kinds are custom resources that run images.
	Kinds []Kind
	// Recorder is told every decision that was not given before. nil: nobody.
	Recorder Recorder
	Log      *slog.Logger // nil: none

	Fresh, Stale, Negative, Tag, Flight, Patience time.Duration
	Verdicts                                      int
	Evidence, Reading                             int64
	Parallel                                      int
}

// world is what verdicts rest on; it is replaced as a whole.
type world struct {
	set        *policy.Set
	root       *root.Root
	advisories *Advisories
	from       string // names the advisories
	name       string // of this state of things
	// readsWorkload: a policy looks into the object that wants the image, so that verdicts are about both.
	readsWorkload bool
}

// Gate judges images. It is safe for many users at once; what it is asked at the same time about the same is asked
// outside once.
type Gate struct {
	o     Options
	world atomic.Pointer[world]

	verdicts *lru[*entry]
	evidence *lru[*kept]
	tags     *lru[resolved]

	mu         sync.Mutex // held while what follows is looked at
	flights    map[string]*flight
	advisories *Advisories

	slots    chan struct{}
	reading  *semaphore.Weighted
	underway sync.WaitGroup
	stop     context.CancelFunc
	life     context.Context //nolint:containedctx // of flights, which outlive who asked; ended by Close

	journal *journal
	counts  Counts
}

// Counts is what the gate has done since it began.
type Counts struct {
	Judged, Hits, Stale, Flights, Late, Refused, Warned, Resolved, Recorded, Unrecorded atomic.Int64
}

// entry is a verdict that is remembered.
type entry struct {
	verdict  seaworthy.Verdict
	answered bool      // every rule of it was
	until    time.Time // it is given without asking again
	stale    time.Time // until when it is given when nobody can be asked; zero when never
}

// kept is evidence that is remembered.
type kept struct {
	evidence *evidence
	until    time.Time
}

type resolved struct {
	digest seaworthy.Digest
	until  time.Time
}

// New makes a gate. It lets nothing through until Use has told it by which policies.
func New(o Options) *Gate {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.Fresh, DefaultFresh)
	def(&o.Stale, DefaultStale)
	def(&o.Negative, DefaultNegative)
	def(&o.Tag, DefaultTag)
	def(&o.Flight, DefaultFlight)
	def(&o.Patience, DefaultPatience)
	if o.Verdicts == 0 {
		o.Verdicts = DefaultVerdicts
	}
	if o.Evidence == 0 {
		o.Evidence = DefaultEvidence
	}
	if o.Reading == 0 {
		o.Reading = DefaultReading
	}
	if o.Parallel == 0 {
		o.Parallel = DefaultParallel
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if len(o.Exempt) == 0 {
		o.Exempt = []string{"kube-system"}
	}
	g := &Gate{
		o: o, verdicts: newLRU[*entry](int64(o.Verdicts)), evidence: newLRU[*kept](o.Evidence), tags: newLRU[resolved](int64(o.Verdicts)),
		flights: map[string]*flight{}, slots: make(chan struct{}, o.Parallel), reading: semaphore.NewWeighted(o.Reading),
	}
	g.advisories = o.Advisories
	g.life, g.stop = context.WithCancel(context.Background())
	g.journal = newJournal(g, o.Recorder)
	return g
}

// Use replaces the policies and the trusted root, for every question that is asked from now on. trusted may be nil.
func (g *Gate) Use(set *policy.Set, trusted *root.Root) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.use(set, trusted, g.advisories)
}

// UseAdvisories replaces the advisories that findings come from; nil: there are none. Those before are still used by
// questions that are under way: they may be closed when the gate is.
func (g *Gate) UseAdvisories(a *Advisories) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.advisories = a
	if w := g.world.Load(); w != nil {
		g.use(w.set, w.root, a)
	}
}

// use replaces what verdicts rest on; g.mu is held.
func (g *Gate) use(set *policy.Set, trusted *root.Root, a *Advisories) {
	w := &world{set: set, root: trusted, advisories: a, name: set.Generation(), readsWorkload: readsWorkload(set)}
	if trusted != nil {
		w.name += " " + string(trusted.Digest())
	}
	if a != nil && a.DB != nil {
		w.from = fmt.Sprintf("%+v", a.DB.Sources())
		w.name += " " + w.from
	}
	g.world.Store(w)
}

// readsWorkload asks a set whether its policies look into the objects that run images.
func readsWorkload(set *policy.Set) bool {
	if s, ok := any(set).(interface{ ReadsWorkload() bool }); ok {
		return s.ReadsWorkload()
	}
	return true
}

// Ready says why the gate cannot judge yet. Errors: Unavailable.
func (g *Gate) Ready() error {
	if g.world.Load() == nil {
		return seaworthy.Errorf(seaworthy.Unavailable, "no policies are loaded yet")
	}
	if g.life.Err() != nil {
		return seaworthy.Errorf(seaworthy.Unavailable, "stopping")
	}
	return nil
}

// Policies says what is judged by; nil before Use.
func (g *Gate) Policies() []policy.Summary {
	if w := g.world.Load(); w != nil {
		return w.set.Policies()
	}
	return nil
}

// Counts is what the gate has done.
func (g *Gate) Counts() *Counts { return &g.counts }

// Remembered is how many verdicts are remembered.
func (g *Gate) Remembered() int { return g.verdicts.len() }

// Close ends everything that is under way, and waits for it and for what is still to be recorded.
func (g *Gate) Close() {
	g.stop()
	g.underway.Wait()
	g.journal.close()
}

// Question is one image that somebody wants to run.
type Question struct {
	Image           string // as written
	Asker           Asker
	NamespaceLabels map[string]string
	Workload        *policy.Workload // nil: nobody in particular
	// Pinned demands that the image names its digest: what the admitting phase asks, since what is admitted must be
	// what was judged.
	Pinned bool
	// Unrecorded keeps the answer out of the records: of a dry run.
	Unrecorded bool
}

// Judge says whether an image may sail. It answers by the deadline of ctx: what could not be found out until then
// counts as the policies' fail modes say, goes on being looked for, and is remembered for who asks next.
//
// Errors: Unavailable before Use; Interrupted.
func (g *Gate) Judge(ctx context.Context, q Question) (seaworthy.Verdict, error) {
	w := g.world.Load()
	if w == nil {
		return seaworthy.Verdict{}, g.Ready()
	}
	g.counts.Judged.Add(1)
	v, err := g.judge(ctx, w, q)
	if err != nil {
		return v, err
	}
	v.Image = q.Image // as it was asked for, and not as policies see it
	if !v.Allowed {
		g.counts.Refused.Add(1)
	} else if len(v.Warnings) > 0 {
		g.counts.Warned.Add(1)
	}
	if !q.Unrecorded {
		g.journal.add(v, q)
	}
	return v, nil
}

func (g *Gate) judge(ctx context.Context, w *world, q Question) (seaworthy.Verdict, error) {
	now := time.Now()
	ref, img, err := asked(q.Image, q.Asker.Namespace, q.NamespaceLabels, q.Workload)
	if err != nil {
		return refusal(q, now, "image names", err), nil
	}
	if len(w.set.Bound(img)) == 0 { // nobody needs to be asked
		return w.set.Decide(ctx, img, noEvidence{seaworthy.Errorf(seaworthy.Internal, "no policy binds it")}, now)
	}
	place, class, err := g.o.Registries.Open(ctx, ref, q.Asker)
	if err != nil {
		return w.set.Decide(ctx, img, noEvidence{seaworthy.Wrap(err, seaworthy.Unavailable, "opening %q", ref.Name())}, now)
	}
	if img.Digest == "" {
		img.Digest, err = g.resolve(ctx, place, ref, class)
		if err != nil {
			v, derr := w.set.Decide(ctx, img, noEvidence{err}, now)
			if v = because(v, err); derr == nil && q.Pinned && v.Allowed {
				v = w.demandPin(v, q, err)
			}
			return v, derr
		}
	}
	v, err := g.ask(ctx, &subject{
		world: w, image: img, asker: q.Asker, place: place, where: ref.Registry, name: questionName(w, &img, class),
		evidenceName: strings.Join([]string{class, ref.Name(), string(img.Digest), rootName(w.root), w.from}, "\x00"),
	})
	if err == nil && q.Pinned && ref.Digest == "" && v.Allowed {
		v = w.demandPin(v, q, nil)
	}
	return v, err
}

// asked reads the name of an image that somebody wants to run. Errors: Usage.
func asked(image, namespace string, labels map[string]string, w *policy.Workload) (oci.Reference, policy.Image, error) {
	ref, err := oci.ParseReference(image)
	if err != nil {
		return ref, policy.Image{}, err
	}
	return ref, policy.Image{
		Reference: Qualified(ref), Written: image, Digest: ref.Digest, Namespace: namespace, NamespaceLabels: labels, Workload: w,
	}, nil
}

func rootName(r *root.Root) string {
	if r == nil {
		return ""
	}
	return string(r.Digest())
}

// questionName names everything that may change the answer.
func questionName(w *world, img *policy.Image, class string) string {
	h := sha256.New()
	add := func(parts ...string) {
		for _, p := range parts {
			fmt.Fprintf(h, "%d:%s", len(p), p)
		}
	}
	add(w.name, class, img.Reference, img.Written, string(img.Digest), img.Namespace)
	for _, name := range slices.Sorted(maps.Keys(img.NamespaceLabels)) {
		add(name, img.NamespaceLabels[name])
	}
	if img.Workload != nil {
		add(img.Workload.Group, img.Workload.Version, img.Workload.Resource)
		for _, name := range slices.Sorted(maps.Keys(img.Workload.Labels)) {
			add(name, img.Workload.Labels[name])
		}
		if w.readsWorkload {
			add(string(img.Workload.Object))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Qualified writes a reference as policies' globs want it: with its registry, Docker Hub's by the name that cosign and
// policy-controller know.
func Qualified(ref oci.Reference) string {
	s := ref.String()
	if ref.Registry == "docker.io" {
		s = "index." + s
	}
	return s
}

// Pinned writes a reference with the digest that it stands for.
func Pinned(written string, digest seaworthy.Digest) string {
	name, _, _ := strings.Cut(written, "@")
	return name + "@" + string(digest)
}

// resolve says which digest a tag stands for. Errors: those of the place, with what was waited for.
func (g *Gate) resolve(ctx context.Context, p oci.Place, ref oci.Reference, class string) (seaworthy.Digest, error) {
	name := class + "\x00" + ref.Name() + ":" + ref.Tag
	if r, ok := g.tags.get(name); ok && time.Now().Before(r.until) {
		return r.digest, nil
	}
	began := time.Now()
	digest, err := fly(ctx, g, "tag "+name, func(ctx context.Context) (seaworthy.Digest, error) {
		g.counts.Resolved.Add(1)
		d, err := resolveTag(ctx, p, ref)
		if err == nil {
			g.tags.put(name, resolved{d, time.Now().Add(g.o.Tag)}, 1)
		}
		return d, err
	})
	if err != nil && ctx.Err() != nil && seaworthy.CodeOf(err) != seaworthy.Interrupted {
		err = late(began, fmt.Sprintf("%s to say what the tag %s stands for", ref.Registry, ref.Tag))
	}
	return digest, err
}

// late is the error of what took too long.
func late(began time.Time, hop string) error {
	return seaworthy.Errorf(seaworthy.Unavailable, "no answer in time: waited %s for %s", time.Since(began).Round(10*time.Millisecond), hop).
		WithHint("try again: it goes on being looked for, and the answer is remembered")
}

func resolveTag(ctx context.Context, p oci.Place, ref oci.Reference) (seaworthy.Digest, error) {
	if r, ok := p.(*oci.Repository); ok {
		d, err := r.Client.Resolve(ctx, ref)
		return d.Digest, err
	}
	d, _, err := p.Manifest(ctx, ref.Tag)
	return d.Digest, err
}
