package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// up is the way from something to all that rests on it: what depends on it, contains it, was built from it, has its
// licence, was built or signed by it, runs it.
var up = []step{
	in(seaworthy.SaysContains, seaworthy.SaysHasFile, seaworthy.SaysDepends, seaworthy.SaysBuilt, seaworthy.SaysSource,
		seaworthy.SaysLicensed, seaworthy.SaysBuiltBy, seaworthy.SaysSigned, seaworthy.SaysRuns, seaworthy.SaysSame).when(upward),
	out(seaworthy.SaysSame).when(sameThing),
	out(seaworthy.SaysAffects).atFirst(),
	out(seaworthy.SaysContains).when(func(from, to seaworthy.Subject, _ *edge) bool {
		return isNameOf(from, to) || (from.Kind == seaworthy.SourceSubject && to.Kind == seaworthy.SourceSubject)
	}).atFirst(),
	out(seaworthy.SaysDescribes), // of a document that was signed by somebody, say
}

// upward leaves out what contains only as a name: a package its versions, a repository its commits. Image references
// are names too.
func upward(from, to seaworthy.Subject, e *edge) bool {
	switch e.predicate {
	case seaworthy.SaysContains:
		return !isNameOf(to, from) && to.Kind != seaworthy.SourceSubject
	case seaworthy.SaysSame:
		return sameThing(from, to, e)
	}
	return true
}

// hit is something that rests on the subject.
type hit struct {
	at       int // visit
	id       graph.ID
	kind     seaworthy.SubjectKind
	key      string
	contacts []string
	noted    []graph.ID // documents that name them
	signed   bool
	runs     bool // a workload, and not the place that it is in
}

// hits walks up from the subject. Other names of a thing, and of the subject, are the thing itself. Of a
// vulnerability, only what VEX lets it affect is hit.
func (a *asking) hits(all bool) (*trail, []hit, error) {
	roots, steps := a.subject.roots, up
	if a.subject.subject.Kind == seaworthy.VulnSubject {
		_, names, found, err := a.affected(a.subject.id)
		if err != nil {
			return nil, nil, err
		}
		open := map[graph.ID]bool{}
		for _, f := range openFindings(found) {
			open[f.about] = true
		}
		if away := len(found) - len(open); away > 0 {
			a.note("of %s it affects, %d taken away by VEX", plural(len(found), "part"), away)
		}
		roots, steps = names, slices.Clone(up)
		for i := range steps {
			if slices.Equal(steps[i].predicates, []seaworthy.Predicate{seaworthy.SaysAffects}) {
				steps[i] = steps[i].when(func(_, to seaworthy.Subject, _ *edge) bool { return open[to.ID()] })
			}
		}
	}
	t, err := a.walkInto(newTrail(all), roots, steps, a.q.Depth)
	if err != nil {
		return nil, nil, err
	}
	if err := a.load(t.ids()); err != nil {
		return nil, nil, err
	}
	var list []hit
	for i := range t.visits {
		v := &t.visits[i]
		if v.parent < 0 || v.edge.predicate == seaworthy.SaysSame {
			continue
		}
		s := a.subjects[v.id]
		list = append(list, hit{at: i, id: v.id, kind: s.Kind, key: s.Key, signed: v.signed, runs: v.edge.predicate == seaworthy.SaysRuns})
	}
	return t, list, nil
}

// kindOrder is what is most urgent to know of what is hit.
var kindOrder = []seaworthy.SubjectKind{seaworthy.ResourceSubject, seaworthy.ArtifactSubject, seaworthy.PackageSubject, seaworthy.SourceSubject, seaworthy.DocumentSubject}

// isImageReference says whether a resource is the name of an image.
func isImageReference(s seaworthy.Subject) bool {
	return s.Kind == seaworthy.ResourceSubject && strings.HasPrefix(s.Key, "oci://")
}

// roleOf says what a hit is to people, beside its kind.
func (a *asking) roleOf(h *hit) string {
	switch {
	case h.runs:
		return "workload"
	case isImageReference(a.subjects[h.id]):
		return imageRole
	case h.kind == seaworthy.ResourceSubject:
		return "place"
	}
	return a.roles[h.id]
}

// counts says how many there are of each kind: "1 workload, 2 artifacts, 3 packages". Places are where workloads are.
func (a *asking) counts(list []hit) string {
	n := map[string]int{}
	for i := range list {
		word := string(list[i].kind)
		if list[i].kind == seaworthy.ResourceSubject {
			word = a.roleOf(&list[i])
		}
		n[word]++
	}
	var parts []string
	for _, word := range []string{"workload", imageRole, "artifact", "package", "source", "document"} {
		if n[word] > 0 {
			parts = append(parts, plural(n[word], word))
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// dependents lists what depends on the subject, the nearest first.
func (a *asking) dependents() error {
	t, list, err := a.hits(false)
	if err != nil {
		return err
	}
	a.out.Title = fmt.Sprintf("%s on %s", a.dependVerb(list), a.label(a.subject.main()))
	list, err = a.sortHits(t, list, func(x, y hit) int { return cmp.Compare(t.visits[x.at].depth, t.visits[y.at].depth) })
	if err != nil {
		return err
	}
	for _, h := range list {
		a.hitRow(t, &h, nil)
	}
	return nil
}

func (a *asking) dependVerb(list []hit) string {
	if len(list) == 1 {
		return a.counts(list) + " depends"
	}
	return a.counts(list) + " depend" + map[bool]string{true: "s"}[len(list) == 0]
}

// sortHits sorts by what matters first, then by kind and name, cuts to the limit and reads the names of what is
// left.
func (a *asking) sortHits(t *trail, list []hit, first func(x, y hit) int) ([]hit, error) {
	slices.SortFunc(list, func(x, y hit) int {
		return cmp.Or(first(x, y), cmp.Compare(slices.Index(kindOrder, x.kind), slices.Index(kindOrder, y.kind)),
			cmp.Compare(x.key, y.key))
	})
	list = cut(a, list)
	var ids []graph.ID
	for _, h := range list {
		ids = append(ids, h.id)
		if p := t.visits[h.at].parent; p >= 0 {
			ids = append(ids, t.visits[p].id)
		}
	}
	if err := a.loadNamed(ids); err != nil {
		return nil, err
	}
	return list, a.nameByDocuments(ids)
}

// hitRow shows a hit and how it is one; more cells follow those that all have.
func (a *asking) hitRow(t *trail, h *hit, more []string) {
	via, rests, signed := a.trailTo(t, h.at, 0)
	v := &t.visits[h.at]
	a.row(Row{
		Node: graph.FormatID(h.id), Via: via, Documents: rests, Signed: signed,
		Cells: append([]string{a.label(h.id), string(h.kind), a.roleOf(h), strconv.Itoa(v.depth), a.label(t.visits[v.parent].id)}, more...),
	}, h.noted)
}

// impact lists what is hit when the subject is bad: workloads first, then artifacts and packages, with whom to tell.
func (a *asking) impact() error {
	t, list, err := a.hits(false)
	if err != nil {
		return err
	}
	a.out.Title = fmt.Sprintf("%s hits %s", a.label(a.subject.main()), a.counts(list))
	list, err = a.sortHits(t, list, func(x, y hit) int {
		return cmp.Or(cmp.Compare(slices.Index(kindOrder, x.kind), slices.Index(kindOrder, y.kind)), -compareBool(x.runs, y.runs))
	})
	if err != nil {
		return err
	}
	if err := a.contacts(list); err != nil {
		return err
	}
	for _, h := range list {
		a.hitRow(t, &h, []string{strings.Join(h.contacts, ", ")})
	}
	return nil
}

// contactKeys are what points of contact are noted as.
var contactKeys = []string{"contact", "point of contact", "pointofcontact", "owner", "maintainer", "email", "team"}

// contacts reads whom to tell about hits, from what is noted of them.
func (a *asking) contacts(list []hit) error {
	at := map[graph.ID]int{}
	ids := make([]graph.ID, len(list))
	for i, h := range list {
		ids[i], at[h.id] = h.id, i
	}
	return a.statements(ids, false, []seaworthy.Predicate{seaworthy.SaysNoted}, func(e *graph.Edge, _ *evidence) error {
		if !slices.Contains(contactKeys, strings.ToLower(seaworthy.AttrOf(e.Attrs, "key"))) {
			return nil
		}
		h := &list[at[e.From]]
		if value := seaworthy.AttrOf(e.Attrs, "value"); value != "" && !slices.Contains(h.contacts, value) {
			h.contacts = append(h.contacts, value)
			h.noted = append(h.noted, e.Document)
			a.fact(e.From, "contact", value)
		}
		return nil
	})
}

// patch says what to rebuild in which order: a thing comes in the wave after the last of what it rests on.
func (a *asking) patch() error {
	t, list, err := a.hits(true)
	if err != nil {
		return err
	}
	wave := waves(t)
	last := 0
	list = slices.DeleteFunc(list, func(h hit) bool {
		return h.kind != seaworthy.PackageSubject && h.kind != seaworthy.ArtifactSubject && !h.runs
	})
	for _, h := range list {
		last = max(last, wave[h.at])
	}
	a.out.Title = fmt.Sprintf("%s to rebuild in %s after %s", a.counts(list), plural(last, "wave"), a.label(a.subject.main()))
	list, err = a.sortHits(t, list, func(x, y hit) int { return cmp.Compare(wave[x.at], wave[y.at]) })
	if err != nil {
		return err
	}
	if err := a.contacts(list); err != nil {
		return err
	}
	for _, h := range list {
		via, rests, signed := a.trailTo(t, h.at, 0)
		a.row(Row{
			Node: graph.FormatID(h.id), Level: wave[h.at] - 1, Via: via, Documents: rests, Signed: signed,
			Cells: []string{strconv.Itoa(wave[h.at]), a.label(h.id), string(h.kind), a.label(t.visits[t.visits[h.at].parent].id), strings.Join(h.contacts, ", ")},
		}, h.noted)
	}
	return nil
}

// waves numbers visits so that each comes after all it was reached from, the start being 0. Those that lead to each
// other in a circle come where the circle is first reached.
func waves(t *trail) []int {
	next := make([][]int, len(t.visits))
	waiting := make([]int, len(t.visits))
	for i := range t.all {
		from, to := t.at[t.all[i].from], t.at[t.all[i].to]
		if from != to && t.visits[to].parent >= 0 && t.all[i].predicate != seaworthy.SaysSame {
			next[from] = append(next[from], to)
			waiting[to]++
		}
	}
	wave := make([]int, len(t.visits))
	done := make([]bool, len(t.visits))
	var ready []int
	for i := range t.visits {
		if waiting[i] == 0 {
			ready = append(ready, i)
		}
	}
	left := len(t.visits)
	circle := 0 // visits before it are done or wait for nothing more
	for left > 0 {
		if len(ready) == 0 { // a circle: begin with the nearest of it
			for done[circle] {
				circle++
			}
			if p := t.visits[circle].parent; p >= 0 {
				wave[circle] = max(wave[circle], wave[p]+1)
			}
			ready = append(ready, circle)
		}
		at := ready[0]
		ready = ready[1:]
		if done[at] {
			continue
		}
		done[at] = true
		left--
		if v := &t.visits[at]; v.parent >= 0 && v.edge.predicate == seaworthy.SaysSame {
			wave[at] = max(wave[at], wave[v.parent])
		}
		for _, to := range next[at] {
			if !done[to] {
				wave[to] = max(wave[to], wave[at]+1)
			}
			if waiting[to]--; waiting[to] == 0 {
				ready = append(ready, to)
			}
		}
	}
	return wave
}
