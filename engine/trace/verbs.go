package trace

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// Limits. What they cut off is said by Answer.Truncated.
const (
	// DefaultVisited is how many subjects one question visits when Options do not say.
	DefaultVisited = 200_000
	// MaxRead is how many statements one question reads at most.
	MaxRead = 2_000_000
	// MaxRows is how many rows an answer has at most.
	MaxRows = 50_000
	// MaxNodes is how many nodes a neighbourhood has at most: what a person can still look at.
	MaxNodes = 300
	// MaxDepth is how many steps a question goes at most.
	MaxDepth = 64
	// MaxText is how long a question's Subject and To may be, in bytes.
	MaxText = 4096
	// MaxExpand is how many groups a question opens at most.
	MaxExpand = 100
)

// Options say how much a Tracer may do for a question. The zero value is sensible.
type Options struct {
	// MaxVisited is how many subjects one question visits at most; 0: DefaultVisited.
	MaxVisited int
}

// Tracer answers questions. It keeps nothing between them and may be used from many goroutines at once.
type Tracer struct {
	r    graph.Reader
	opts Options
}

// Lister is what a graph.Reader also does when it can enumerate documents; bills, and missing without a subject,
// ask for it.
type Lister interface {
	List(ctx context.Context, q graph.ListQuery) (graph.ListPage, error)
}

// New makes a Tracer that reads from r.
func New(r graph.Reader, o Options) *Tracer {
	o.MaxVisited = cmp.Or(max(o.MaxVisited, 0), DefaultVisited)
	return &Tracer{r: r, opts: o}
}

// Verb is a question that can be asked.
type Verb struct {
	Name string
	// Asks is the question in a person's words, X being the subject and Y the other end.
	Asks    string
	Depth   int // default of Question.Depth, in steps
	Limit   int // default of Question.Limit, in rows, or nodes for neighbourhood
	Columns []string
	Subject bool // it is about something
	To      bool // it has another end
	// Prefers are the kinds of subject it is about when a name fits several.
	Prefers []seaworthy.SubjectKind

	answer func(*asking) error
}

// Verbs lists all questions, the most asked first.
func Verbs() []Verb { return slices.Clone(verbs) }

var things = []seaworthy.SubjectKind{seaworthy.ArtifactSubject, seaworthy.ResourceSubject}

var verbs = []Verb{
	{
		Name: "known", Asks: "What is known of X?", Depth: 1, Limit: 1000, Subject: true, answer: (*asking).known,
		Columns: []string{"direction", "predicate", "kind", "other", "detail", "says"},
	},
	{
		Name: "vulns", Asks: "Which vulnerabilities does X have, after VEX?", Depth: 32, Limit: 1000, Subject: true, Prefers: things, answer: (*asking).vulns,
		Columns: []string{"vulnerability", "severity", "status", "package", "version", "fixed", "epss", "exploited", "why"},
	},
	{
		Name: "path", Asks: "How does X lead to Y?", Depth: 16, Limit: 20, Subject: true, To: true, answer: (*asking).path,
		Columns: []string{"steps", "path"},
	},
	{
		Name: "dependents", Asks: "What depends on X?", Depth: 16, Limit: 1000, Subject: true, answer: (*asking).dependents,
		Columns: []string{"what", "kind", "role", "steps", "via"},
	},
	{
		Name: "impact", Asks: "If X is bad, which packages, artifacts and workloads are hit?", Depth: 32, Limit: 1000, Subject: true, answer: (*asking).impact,
		Columns: []string{"hit", "kind", "role", "steps", "via", "contact"},
	},
	{
		Name: "patch", Asks: "If X is mended, what is to be rebuilt, in which order, and whom to ask?", Depth: 32, Limit: 1000, Subject: true, answer: (*asking).patch,
		Columns: []string{"wave", "rebuild", "kind", "because of", "contact"},
	},
	{
		Name: "licences", Asks: "Under which licences are the parts of X?", Depth: 32, Limit: 1000, Subject: true, Prefers: things, answer: (*asking).licences,
		Columns: []string{"licence", "packages", "how", "examples"},
	},
	{
		Name: "provenance", Asks: "Who built X and its binaries, from what, and how is the source looked after?", Depth: 8, Limit: 500, Subject: true, Prefers: things, answer: (*asking).provenance,
		Columns: []string{"what", "attestation", "builder", "source", "commit", "scorecard", "signed by"},
	},
	{
		Name: "missing", Asks: "Which evidence is not there, of X or of everything?", Depth: 8, Limit: 500, Prefers: things, answer: (*asking).missing,
		Columns: []string{"what", "role", "signature", "bill", "provenance", "scorecard"},
	},
	{
		Name: "diff", Asks: "What changed in packages, licences and vulnerabilities from X to Y?", Depth: 32, Limit: 2000, Subject: true, To: true, Prefers: things, answer: (*asking).diff,
		Columns: []string{"change", "kind", "what", "from", "to"},
	},
	{
		Name: "top", Asks: "What do the most subjects point to by predicate X (depends when not said)?", Limit: 50, answer: (*asking).top,
		Columns: []string{"what", "kind", "count"},
	},
	{
		Name: "find", Asks: "What is there of the name X?", Limit: 100, answer: (*asking).find,
		Columns: []string{"what", "kind", "name", "id"},
	},
	{
		Name: "artifact", Asks: "What is X, who says so, and may it sail?", Depth: 32, Limit: 2000, Subject: true, Prefers: things, answer: (*asking).artifact,
		Columns: []string{"layer", "package", "version", "licence", "findings"},
	},
	{
		Name: "neighbourhood", Asks: "What is around X?", Depth: 2, Limit: MaxNodes, Subject: true, answer: (*asking).neighbourhood,
		Columns: []string{"from", "predicate", "to", "count"},
	},
	{
		Name: "package", Asks: "Which versions, dependents, advisories, licence and practice does the package X have?", Depth: 1, Limit: 500, Subject: true, Prefers: []seaworthy.SubjectKind{seaworthy.PackageSubject}, answer: (*asking).pkg,
		Columns: []string{"version", "in", "dependents", "findings", "licence"},
	},
	{
		Name: "vuln", Asks: "What does the vulnerability X affect, where does that run, and what mends it?", Depth: 32, Limit: 1000, Subject: true, Prefers: []seaworthy.SubjectKind{seaworthy.VulnSubject}, answer: (*asking).vuln,
		Columns: []string{"affected", "kind", "status", "fixed", "in", "runs as", "why"},
	},
	{
		Name: "bills", Asks: "Which bills are there, and how good are they?", Limit: 200, answer: (*asking).bills,
		Columns: []string{"bill", "about", "format", "packages", "grade", "score", "supplier"},
	},
}

// Ask answers a question. Errors: Usage for a verb that is not there, a question without subject, a subject that
// could be several things (the text lists them); NotFound when nothing has that name; and those of the reader.
func (t *Tracer) Ask(ctx context.Context, q Question) (*Answer, error) {
	began := time.Now()
	v, err := check(&q)
	if err != nil {
		return nil, err
	}
	a := newAsking(ctx, t, v, q)
	if v.Subject || (v.Name == "missing" && q.Subject != "") {
		if err := a.resolveEnds(); err != nil {
			return nil, err
		}
	}
	if err := v.answer(a); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "asking %s %q", v.Name, q.Subject)
	}
	if err := a.finish(); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "asking %s %q", v.Name, q.Subject)
	}
	a.out.Took = float64(time.Since(began).Microseconds()) / 1000
	return a.out, nil
}

// check finds the verb and puts defaults into the question.
func check(q *Question) (*Verb, error) {
	q.Subject, q.To = strings.TrimSpace(q.Subject), strings.TrimSpace(q.To)
	at := slices.IndexFunc(verbs, func(v Verb) bool { return v.Name == q.Verb })
	if at < 0 {
		names := make([]string, len(verbs))
		for i := range verbs {
			names[i] = verbs[i].Name
		}
		return nil, seaworthy.Errorf(seaworthy.Usage, "there is no question %q", q.Verb).WithHint("the questions are %s", strings.Join(names, ", "))
	}
	v := &verbs[at]
	switch {
	case v.Subject && q.Subject == "":
		return nil, seaworthy.Errorf(seaworthy.Usage, "%s asks about something, and nothing was named", v.Name).
			WithHint("name a digest, a purl, an image, an advisory, a file or an identity")
	case v.To && q.To == "":
		return nil, seaworthy.Errorf(seaworthy.Usage, "%s has two ends, and only one was named", v.Name).WithHint("%s", v.Asks)
	case len(q.Subject) > MaxText || len(q.To) > MaxText:
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "a name of %d bytes: more than %d", max(len(q.Subject), len(q.To)), MaxText)
	case len(q.Expand) > MaxExpand:
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "%d groups to open: more than %d", len(q.Expand), MaxExpand)
	case q.Depth < 0 || q.Limit < 0:
		return nil, seaworthy.Errorf(seaworthy.Usage, "depth %d and limit %d: neither may be negative", q.Depth, q.Limit)
	}
	for _, k := range q.Kinds {
		if !slices.Contains(seaworthy.SubjectKinds(), k) {
			return nil, seaworthy.Errorf(seaworthy.Usage, "there is no kind of subject %q", k).WithHint("the kinds are %v", seaworthy.SubjectKinds())
		}
	}
	q.Depth = min(cmp.Or(q.Depth, v.Depth), MaxDepth)
	q.Limit = min(cmp.Or(q.Limit, v.Limit), MaxRows)
	return v, nil
}
