package trace

import (
	"bytes"
	"slices"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

func compareID(a, b graph.ID) int { return bytes.Compare(a[:], b[:]) }

// step is a way that a walk may go.
type step struct {
	back       bool
	predicates []seaworthy.Predicate
	// kinds are what it may lead to; nil: anything. Without it, subjects need not be read.
	kinds []seaworthy.SubjectKind
	// keep further restricts it, when kinds is set: from and to are the ends as walked.
	keep  func(from, to seaworthy.Subject, e *edge) bool
	first bool // it is only the first step of a walk
}

func out(predicates ...seaworthy.Predicate) step { return step{predicates: predicates} }
func in(predicates ...seaworthy.Predicate) step  { return step{back: true, predicates: predicates} }

// to restricts a step to kinds of subject.
func (s step) to(kinds ...seaworthy.SubjectKind) step { s.kinds = kinds; return s }

// when restricts a step to edges of which keep is true.
func (s step) when(keep func(from, to seaworthy.Subject, e *edge) bool) step {
	s.keep = keep
	if s.kinds == nil {
		s.kinds = seaworthy.SubjectKinds()
	}
	return s
}

// atFirst is a step that is only made away from where the walk starts.
func (s step) atFirst() step { s.first = true; return s }

// visit is a subject that a walk has come to, and how.
type visit struct {
	id     graph.ID
	parent int // index of the visit it was reached from; -1 for where it started
	depth  int // steps; the least there are
	edge   edge
	signed bool // every step to it is signed. Of several ways of the same length a signed one is kept.
}

// trail is what a walk has visited, nearest first.
type trail struct {
	visits []visit
	at     map[graph.ID]int // index in visits
	all    []edge           // every edge between what was visited, if keep is set
	keep   bool
	told   map[int]way // of visits that are in the answer
}

// has says whether the walk came to id.
func (t *trail) has(id graph.ID) bool { _, ok := t.at[id]; return ok }

// ids returns all that was visited, nearest first.
func (t *trail) ids() []graph.ID {
	ids := make([]graph.ID, len(t.visits))
	for i := range t.visits {
		ids[i] = t.visits[i].id
	}
	return ids
}

// walk goes from start along steps, a whole frontier at a time, until there is nothing new, depth steps are made
// or the question has visited as much as it may; the last truncates the answer.
func (a *asking) walk(start []graph.ID, steps []step, depth int) (*trail, error) {
	return a.walkInto(newTrail(false), start, steps, depth)
}

// newTrail begins a trail; with all it keeps every edge the walk comes along, and not only one to each subject.
func newTrail(all bool) *trail { return &trail{at: map[graph.ID]int{}, keep: all} }

func (a *asking) walkInto(t *trail, start []graph.ID, steps []step, depth int) (*trail, error) {
	var frontier []graph.ID
	for _, id := range start {
		if !t.has(id) {
			t.at[id] = len(t.visits)
			t.visits = append(t.visits, visit{id: id, parent: -1, signed: true})
			frontier = append(frontier, id)
		}
	}
	for level := 1; level <= depth && len(frontier) > 0; level++ {
		first := len(t.visits)
		for i := range steps {
			if steps[i].first && level > 1 {
				continue
			}
			list, err := a.take(frontier, &steps[i])
			if err != nil {
				return nil, err
			}
			if !a.reach(t, list, level) {
				a.out.Truncated = true
				return t, nil
			}
		}
		frontier = frontier[:0:0]
		for i := first; i < len(t.visits); i++ {
			frontier = append(frontier, t.visits[i].id)
		}
	}
	if len(frontier) > 0 && depth > 0 {
		a.deeper = true
	}
	return t, nil
}

// take reads the edges of one step.
func (a *asking) take(frontier []graph.ID, s *step) ([]edge, error) {
	list, err := a.edges(frontier, s.back, s.predicates)
	if err != nil || s.kinds == nil {
		return list, err
	}
	return a.leading(list, s)
}

// leading keeps the edges that lead where a step may lead to.
func (a *asking) leading(list []edge, s *step) ([]edge, error) {
	if len(list) == 0 {
		return nil, nil
	}
	var need []graph.ID
	for i := range list {
		need = append(need, list[i].from, list[i].to)
	}
	if err := a.load(need); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(e edge) bool {
		from, to := a.subjects[e.from], a.subjects[e.to]
		return !slices.Contains(s.kinds, to.Kind) || (s.keep != nil && !s.keep(from, to, &e))
	}), nil
}

// anotherBuild says whether an edge leads from one artifact by way of the package it is to another artifact that the
// package is: they have the name in common, and nothing else.
func (a *asking) anotherBuild(v *visit, e *edge) bool {
	return e.predicate == seaworthy.SaysSame && v.parent >= 0 && v.edge.predicate == seaworthy.SaysSame &&
		a.subjects[e.from].Kind == seaworthy.PackageSubject && a.subjects[e.to].Kind == seaworthy.ArtifactSubject
}

// reach adds what edges lead to; false when the question has visited as much as it may.
func (a *asking) reach(t *trail, list []edge, level int) bool {
	for i := range list {
		e := &list[i]
		parent := t.at[e.from]
		if t.keep {
			t.all = append(t.all, *e)
		}
		if a.anotherBuild(&t.visits[parent], e) {
			continue
		}
		signed := t.visits[parent].signed && e.signed
		if at, ok := t.at[e.to]; ok {
			if v := &t.visits[at]; v.depth == level && signed && !v.signed {
				v.parent, v.edge, v.signed = parent, *e, true
			}
			continue
		}
		if a.visited >= a.maxVisited {
			return false
		}
		a.visited++
		t.at[e.to] = len(t.visits)
		t.visits = append(t.visits, visit{id: e.to, parent: parent, depth: level, edge: *e, signed: signed})
	}
	return true
}
