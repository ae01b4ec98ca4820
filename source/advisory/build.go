package advisory

import (
	"bytes"
	"context"
	"io"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/feed"
	"github.com/seaworthy-dev/seaworthy/format/osv"
)

// Input is a file, zip or directory of advisories.
type Input struct {
	Path string
	Name string // of the source in the database; "" means the last element of Path, or the last two
	// ModTime dates sources whose data carries no date; zero means the file's.
	ModTime time.Time
}

// BuildOptions change how a database is built. The zero value is sensible.
type BuildOptions struct {
	// KeepGoing makes malformed advisories no error: they are named and counted in the Summary only.
	KeepGoing bool
	// Workers is how many records are parsed at once; 0 means the number of processors.
	Workers int
	// Progress, when set, is called now and then with the number of files read so far.
	Progress func(files int)
}

// MaxProblems is how many malformed advisories a Summary names; all are counted.
const MaxProblems = 1000

// Summary says what a database was made of.
type Summary struct {
	Sources    []Source            `json:"sources"`
	Ecosystems []EcosystemCount    `json:"ecosystems"`
	Records    int                 `json:"records"`
	Groups     int                 `json:"vulnerabilities"` // after joining aliases
	Packages   int                 `json:"packages"`
	Withdrawn  int                 `json:"withdrawn"`
	Malformed  int                 `json:"malformed"`
	Problems   []seaworthy.Problem `json:"problems,omitempty"` // the malformed ones, by name; at most MaxProblems
	Size       int64               `json:"size"`               // of the file, in bytes
}

// Build reads sources and writes a database to path, replacing what is there in one step. A malformed advisory
// is left out and named; the rest is built and written, and Build returns the Summary with an error of code
// Incomplete unless KeepGoing is set. When there is nothing to write, or an input cannot be opened, or ctx
// ends, path stays as it was. Bodies go through a temporary file beside path; memory is about 1.5 KiB an advisory.
// Errors: NotFound, Invalid, TooLarge, Incomplete, Storage, Interrupted.
func Build(ctx context.Context, sources []Input, file string, opts BuildOptions) (Summary, error) {
	b, err := newBuilder(filepath.Dir(file))
	if err != nil {
		return Summary{}, err
	}
	defer b.spill.close()
	if opts.Workers <= 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	for _, in := range sources {
		if err := b.addInput(ctx, in, opts); err != nil {
			return b.summary, err
		}
	}
	if len(b.records) == 0 && len(b.kev) == 0 && len(b.epss) == 0 {
		return b.summary, seaworthy.Errorf(seaworthy.Invalid, "building %q: there are no advisories in what was given", file).
			WithHint("give OSV records (directory or zip), a Debian tracker, an Alpine secdb, KEV or EPSS file with --from")
	}
	if err := b.write(ctx, file); err != nil {
		return b.summary, seaworthy.Wrap(err, seaworthy.Storage, "building %q", file)
	}
	if b.summary.Malformed > 0 && !opts.KeepGoing {
		first := b.summary.Problems[0]
		return b.summary, seaworthy.Errorf(seaworthy.Incomplete, "building %q: %d advisories are malformed and left out; the first is %q: %s",
			file, b.summary.Malformed, first.Where, first.Detail).WithHint("the database was written without them; use --keep-going to accept that")
	}
	return b.summary, nil
}

// addInput reads one input into the builder, as one source for each kind of file in it.
func (b *builder) addInput(ctx context.Context, in Input, opts BuildOptions) error {
	name := in.Name
	if name == "" {
		name = b.defaultName(filepath.ToSlash(filepath.Clean(in.Path)))
	}
	opened, err := openInput(in)
	if err != nil {
		return err
	}
	defer opened.Close()
	r := &reading{b: b, in: opened, name: name, total: &budget{left: MaxBytes}, sources: map[feed.Kind]int{}, first: len(b.sources)}
	if err := r.run(ctx, opts); err != nil {
		return seaworthy.Wrap(err, seaworthy.Invalid, "reading advisories %q", in.Path)
	}
	r.finish()
	return nil
}

// defaultName is the last element of a path; with the one before it where that says more ("npm/all.zip", as OSV
// exports are named) or another source has the name already.
func (b *builder) defaultName(p string) string {
	base := path.Base(p)
	taken := slices.ContainsFunc(b.sources, func(s Source) bool { return s.Name == base || strings.HasPrefix(s.Name, base+" (") })
	if parent := path.Base(path.Dir(p)); (taken || base == "all.zip") && parent != "." && parent != "/" {
		return parent + "/" + base
	}
	return base
}

// reading is the reading of one input.
type reading struct {
	b       *builder
	in      *input
	name    string
	total   *budget
	sources map[feed.Kind]int // number of the source of each kind
	first   int               // number of the first
	notRead int
	bad     int // malformed before their kind was known
	dated   int // OSV records that carry a date
}

// job is one file between the goroutine that reads, those that parse and the one that adds, which takes the
// jobs in the order they were read in.
type job struct {
	member member
	body   []byte
	yaml   bool
	record *osv.Record
	feed   feed.Kind // not a record: the file is read when its turn comes
	skip   bool
	err    error
	done   chan struct{}
}

// run reads the members: records are parsed by several goroutines and added in order.
func (r *reading) run(ctx context.Context, opts BuildOptions) error {
	g, ctx := errgroup.WithContext(ctx)
	work := make(chan *job, opts.Workers)
	order := make(chan *job, 4*opts.Workers)
	g.Go(func() error {
		defer close(work)
		defer close(order)
		for _, m := range r.in.members {
			j := r.read(m)
			for _, to := range []chan *job{order, work} {
				select {
				case to <- j:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		return nil
	})
	for range opts.Workers {
		g.Go(func() error {
			for j := range work {
				j.parse()
				close(j.done)
			}
			return nil
		})
	}
	g.Go(func() error {
		n := 0
		for j := range order {
			select {
			case <-j.done:
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := r.add(j); err != nil {
				return err
			}
			if n++; opts.Progress != nil && n%256 == 0 {
				opts.Progress(n)
			}
		}
		return nil
	})
	return g.Wait()
}

// read reads a member as far as its kind asks for.
func (r *reading) read(m member) *job {
	j := &job{member: m, done: make(chan struct{})}
	o, err := openMember(m, r.total)
	if err != nil {
		j.err = err
		return j
	}
	defer o.Close()
	switch o.kind {
	case feed.OSV:
		j.yaml = o.yaml
		j.body, j.err = readRecord(o.body)
	case feed.Unknown:
		j.skip = true
	default:
		j.feed = o.kind
	}
	return j
}

func (j *job) parse() {
	if j.body == nil || j.err != nil {
		return
	}
	body := bytes.TrimPrefix(j.body, []byte("\xef\xbb\xbf"))
	if j.yaml {
		j.record, j.err = osv.ParseYAML(body)
	} else {
		j.record, j.err = osv.ParseJSON(body)
	}
	j.body = nil
}

// add puts what a job found into the builder.
func (r *reading) add(j *job) error {
	switch {
	case j.err != nil:
		if seaworthy.CodeOf(j.err) == seaworthy.TooLarge && r.total.left <= 0 {
			return j.err
		}
		r.bad++
		r.b.malformed(r.name, j.member.name, j.err)
		return nil
	case j.skip:
		r.notRead++
		return nil
	case j.feed != "":
		return r.addFeed(j)
	}
	source := r.source(feed.OSV)
	s := &r.b.sources[source]
	if j.record.Withdrawn != "" {
		s.Withdrawn++
		return nil
	}
	e := fromOSV(j.record)
	if newer := latest(e.modified, e.published); newer.Year() > 1 {
		r.dated++
		s.newest(newer)
	}
	return r.b.add(source, &e)
}

// source returns the number of the source for a kind of file, made when first needed.
func (r *reading) source(kind feed.Kind) int {
	if i, ok := r.sources[kind]; ok {
		return i
	}
	i := len(r.b.sources)
	r.sources[kind] = i
	r.b.sources = append(r.b.sources, Source{Name: r.name, Kind: kind, Digest: r.in.digest, DateOf: "file"})
	return i
}

// finish names and dates the sources of this input.
func (r *reading) finish() {
	made := r.b.sources[r.first:]
	if len(made) == 0 && r.bad+r.notRead > 0 {
		r.source(feed.Unknown)
		made = r.b.sources[r.first:]
	}
	for i := range made {
		if len(made) > 1 {
			made[i].Name = r.name + " (" + string(made[i].Kind) + ")"
		}
		undated := made[i].Kind == feed.OSV && 2*r.dated < made[i].Records // a few dates say nothing about the rest
		if made[i].Date.IsZero() || undated {
			made[i].Date, made[i].DateOf = r.in.modTime, "file"
		}
		if i == 0 {
			made[i].Malformed += r.bad
			made[i].NotRead = r.notRead
		}
	}
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// newest moves the date of s forward to t; a date of the data wins over one of the file.
func (s *Source) newest(t time.Time) {
	if t.After(s.Date) && t.Year() > 1 {
		s.Date, s.DateOf = t.UTC().Truncate(time.Second), "data"
	}
}

// malformed names and counts an advisory that is left out.
func (b *builder) malformed(source, name string, err error) {
	b.summary.Malformed++
	if len(b.summary.Problems) < MaxProblems {
		where := source + ": " + name
		if name == source || strings.HasPrefix(name, source+"!") {
			where = name
		}
		b.summary.Problems = append(b.summary.Problems, seaworthy.NewProblem(where, err))
	}
}

// addFeed reads a feed file.
func (r *reading) addFeed(j *job) error {
	o, err := openMember(j.member, r.total)
	if err != nil {
		r.bad++
		r.b.malformed(r.name, j.member.name, err)
		return nil
	}
	defer o.Close()
	source := r.source(j.feed)
	bad := func(name string, err error) {
		r.b.sources[source].Malformed++
		r.b.malformed(r.name, j.member.name+" "+name, err)
	}
	if err := r.b.addFeed(source, j.feed, o.body, bad); err != nil {
		if code := seaworthy.CodeOf(err); code != seaworthy.Invalid && code != seaworthy.TooLarge {
			return err
		}
		bad("", err)
	}
	return nil
}

// addFeed reads one feed into the builder.
func (b *builder) addFeed(source int, kind feed.Kind, body io.Reader, bad feed.Bad) error {
	var date string
	var err error
	switch kind {
	case feed.DebianTracker:
		err = feed.Debian(body, func(i feed.DebianIssue) error { e := fromDebian(i); return b.add(source, &e) }, bad)
	case feed.AlpineSecDB:
		err = feed.Alpine(body, func(f feed.AlpineFix) error { return b.addAlpine(source, f) }, bad)
	case feed.KEVCatalog:
		date, err = feed.KEV(body, func(k feed.KEVEntry) error { b.addKEV(source, k); return nil }, bad)
	case feed.EPSSScores:
		date, err = feed.EPSS(body, func(e feed.EPSSEntry) error { b.addEPSS(source, e); return nil }, bad)
	}
	if t, timeErr := osv.Time(date); timeErr == nil {
		b.sources[source].newest(t)
	}
	return err
}
