package trace

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// leads is the way from something to what it rests on: its parts, what it was built from and by whom, who signed it
// and what is wrong with it. Vulnerabilities are at its end, though it is they that affect.
var leads = []step{
	out(seaworthy.SaysContains, seaworthy.SaysDepends, seaworthy.SaysBuilt, seaworthy.SaysBuiltBy, seaworthy.SaysSigned,
		seaworthy.SaysSource, seaworthy.SaysRated, seaworthy.SaysLicensed, seaworthy.SaysRuns),
	out(seaworthy.SaysSame).when(sameThing),
	in(seaworthy.SaysSame).when(sameThing),
	in(seaworthy.SaysAffects),
}

// leadsByFile goes through files as well. It is tried when there is no way without: files are most of the graph.
var leadsByFile = append([]step{out(seaworthy.SaysHasFile)}, leads...)

// anyWay goes along every statement in both directions. It is tried last, and finds what two things have in common.
var anyWay = []step{out(seaworthy.Predicates()...), in(seaworthy.Predicates()...)}

// path finds all shortest ways from the subject to the other end.
func (a *asking) path() error {
	from, to, err := a.pathEnds()
	if err != nil {
		return err
	}
	for _, try := range []struct {
		steps []step
		swap  bool
		note  string
		each  int // statements of one subject and predicate that are looked at; 0: all
	}{
		{steps: leads},
		{steps: leads, swap: true, note: "the way leads from the second to the first"},
		{steps: leadsByFile},
		{steps: leadsByFile, swap: true, note: "the way leads from the second to the first"},
		{steps: anyWay, note: "neither leads to the other; this is what connects them", each: connectingFan},
	} {
		start, goal := from, to
		if try.swap {
			start, goal = to, from
		}
		ways, count, err := a.shortest(start, goal, try.steps, try.each)
		if err != nil {
			return err
		}
		if count == 0 {
			continue
		}
		if try.note != "" {
			a.note("%s", try.note)
		}
		return a.showWays(ways, count)
	}
	if err := a.load([]graph.ID{a.other.main()}); err != nil {
		return err
	}
	a.node(a.other.main(), a.q.Depth)
	a.out.Title = fmt.Sprintf("no way from %s to %s within %s", a.label(a.subject.main()), a.label(a.other.main()), plural(a.q.Depth, "step"))
	return nil
}

// pathEnds are the subjects between which a way is looked for: of a repository, its commits as well.
func (a *asking) pathEnds() (from, to []graph.ID, err error) {
	ends := [2][]graph.ID{slices.Clone(a.subject.roots), slices.Clone(a.other.roots)}
	for i, e := range []end{a.subject, a.other} {
		if e.subject.Kind != seaworthy.SourceSubject {
			continue
		}
		commits, err := a.edges([]graph.ID{e.id}, false, []seaworthy.Predicate{seaworthy.SaysContains})
		if err != nil {
			return nil, nil, err
		}
		ends[i] = append(ends[i], targets(commits)...)
	}
	return ends[0], ends[1], nil
}

func (a *asking) showWays(ways [][]edge, count int) error {
	var ids []graph.ID
	for _, way := range ways {
		for _, e := range way {
			ids = append(ids, e.from, e.to)
		}
	}
	if err := a.loadNamed(ids); err != nil {
		return err
	}
	for _, way := range ways {
		var text strings.Builder
		var via []string
		var docs []graph.ID
		signed := true
		for i, e := range way {
			if i == 0 {
				via = append(via, a.node(e.from, 0))
				text.WriteString(a.label(e.from))
			}
			arrow := " —" + string(e.predicate) + "→ "
			if e.back {
				arrow = " ←" + string(e.predicate) + "— "
			}
			text.WriteString(arrow + a.label(e.to))
			via = append(via, a.node(e.to, i+1))
			a.edge(&e)
			docs = append(docs, e.docs...)
			signed = signed && e.signed
		}
		last := ""
		if len(via) > 0 {
			last = via[len(via)-1]
		}
		a.row(Row{Node: last, Cells: []string{fmt.Sprint(len(way)), text.String()}, Via: via, Signed: signed}, docs)
	}
	length := 0
	if len(ways) > 0 {
		length = len(ways[0])
	}
	a.out.Title = fmt.Sprintf("%s of %s from %s to %s", plural(count, "shortest way"), plural(length, "step"), a.label(a.subject.main()), a.label(a.other.main()))
	return nil
}

// side is one of the two searches that meet.
type side struct {
	level    map[graph.ID]int
	edges    map[graph.ID][]edge // all edges by which a subject was reached at its level
	frontier []graph.ID
	depth    int
	cost     int // how much dearer its steps are than the other's
}

func newSide(start []graph.ID, cost int) *side {
	s := &side{level: map[graph.ID]int{}, edges: map[graph.ID][]edge{}, cost: cost}
	for _, id := range start {
		if _, ok := s.level[id]; !ok {
			s.level[id] = 0
			s.frontier = append(s.frontier, id)
		}
	}
	return s
}

const (
	// upCost is how many subjects of the frontier on the far side weigh as much as one on the near side: few things are
	// in an image, but a licence or a package may be in a hundred thousand.
	upCost = 8
	// nearFirst is up to how many subjects of its frontier the near side goes on before the far side begins.
	nearFirst = 2000
	// connectingFan is how many statements of one subject and predicate are looked at where any connection will do.
	connectingFan = 100
)

// shortest finds the shortest ways between two sets of subjects, from both ends: the near end goes first, and when its
// frontier has grown, each time the one that costs less makes a step. It returns at most Limit of them, in a fixed order, and how many there are (MaxRows and
// more are counted as MaxRows).
func (a *asking) shortest(from, to []graph.ID, steps []step, each int) (ways [][]edge, count int, err error) {
	near, far, first := newSide(from, 1), newSide(to, upCost), nearFirst
	if each > 0 { // neither end is nearer the parts
		far.cost, first = 1, 0
	}
	if slices.ContainsFunc(from, func(id graph.ID) bool { _, ok := far.level[id]; return ok }) {
		return [][]edge{nil}, 1, nil
	}
	back := make([]step, len(steps))
	for i, s := range steps {
		back[i] = s
		back[i].back = !s.back
	}
	for near.depth+far.depth < a.q.Depth && len(near.frontier) > 0 && len(far.frontier) > 0 {
		s, other, way := near, far, steps
		if len(near.frontier) > first && len(far.frontier)*far.cost < len(near.frontier)*near.cost {
			s, other, way = far, near, back
		}
		met, err := a.advance(s, other, way, each)
		if err != nil {
			return nil, 0, err
		}
		if len(met) > 0 {
			ways, count = a.ways(near, far, met)
			return ways, count, nil
		}
		if a.out.Truncated {
			break
		}
	}
	return nil, 0, nil
}

// advance makes one side's next step and returns the subjects at which it meets the other.
func (a *asking) advance(s, other *side, steps []step, each int) ([]graph.ID, error) {
	s.depth++
	var next, met []graph.ID
	for i := range steps {
		list, err := a.takeSome(s.frontier, &steps[i], each)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			level, seen := s.level[e.to]
			if seen && level < s.depth {
				continue
			}
			if !seen {
				if a.visited >= a.maxVisited {
					a.out.Truncated = true
					return met, nil
				}
				a.visited++
				s.level[e.to] = s.depth
				next = append(next, e.to)
				if _, ok := other.level[e.to]; ok {
					met = append(met, e.to)
				}
			}
			s.edges[e.to] = append(s.edges[e.to], e)
		}
	}
	s.frontier = next
	return met, nil
}

// takeSome is take, or with each the first edges of each subject and predicate.
func (a *asking) takeSome(frontier []graph.ID, s *step, each int) ([]edge, error) {
	if each == 0 {
		return a.take(frontier, s)
	}
	fans, err := a.fan(frontier, s.back, s.predicates, each)
	var list []edge
	for i := range fans {
		list = append(list, fans[i].edges...)
	}
	return list, err
}

// ways lists the ways through the subjects at which two sides met.
func (a *asking) ways(near, far *side, met []graph.ID) (ways [][]edge, count int) {
	slices.SortFunc(met, compareID)
	for _, id := range met {
		count = min(MaxRows, count+min(MaxRows, near.count(id)*far.count(id)))
		for _, head := range near.chains(id, a.q.Limit) {
			for _, tail := range far.chains(id, a.q.Limit) {
				if len(ways) >= a.q.Limit {
					a.out.Truncated = true
					return ways, max(count, len(ways))
				}
				way := slices.Clone(head)
				slices.Reverse(way)
				for _, e := range tail { // as walked from the far end: turned round
					e.from, e.to, e.back = e.to, e.from, !e.back
					way = append(way, e)
				}
				ways = append(ways, way)
			}
		}
	}
	a.out.Truncated = a.out.Truncated || count > len(ways)
	return ways, count
}

// count is how many shortest ways lead from the side's start to a subject, at most MaxRows.
func (s *side) count(id graph.ID) int {
	counts := map[graph.ID]int{id: 1}
	layer := []graph.ID{id}
	total := 0
	for depth := s.level[id]; ; depth-- {
		if depth == 0 {
			for _, at := range layer {
				total = min(MaxRows, total+counts[at])
			}
			return total
		}
		var next []graph.ID
		below := map[graph.ID]int{}
		for _, at := range layer {
			for _, e := range s.edges[at] {
				if _, ok := below[e.from]; !ok {
					next = append(next, e.from)
				}
				below[e.from] = min(MaxRows, below[e.from]+counts[at])
			}
		}
		layer, counts = next, below
	}
}

// chains lists up to limit shortest ways to a subject, each from it to the start.
func (s *side) chains(id graph.ID, limit int) [][]edge {
	chains := [][]edge{nil}
	for depth := s.level[id]; depth > 0; depth-- {
		var longer [][]edge
		for _, c := range chains {
			at := id
			if len(c) > 0 {
				at = c[len(c)-1].from
			}
			for _, e := range s.edges[at] {
				if len(longer) == limit {
					break
				}
				longer = append(longer, append(slices.Clone(c), e))
			}
		}
		chains = longer
	}
	return chains
}
