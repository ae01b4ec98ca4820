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

// shownExamples is how many packages a licence names.
const shownExamples = 3

// licensing is a licence and what is under it.
type licensing struct {
	id    graph.ID
	edges []edge
	parts map[int]bool // visits, one for all names of a thing
	how   map[string]int
}

// licences lists the licences of all parts of the subject, the most frequent first, and the packages of which none
// is known.
func (a *asking) licences() error {
	t, err := a.parts(a.subject.roots)
	if err != nil {
		return err
	}
	list, without, err := a.licensing(t)
	if err != nil {
		return err
	}
	a.out.Title = plural(len(list), "licence")
	if len(without) > 0 {
		a.out.Title += fmt.Sprintf("; of %s none is known", plural(len(without), "package"))
	}
	for _, l := range cut(a, list) {
		a.licenceRow(t, &l)
	}
	if len(without) > 0 {
		var names []string
		for _, i := range without {
			a.gap(t.visits[i].id, "licence", "no bill says its licence")
			if len(names) < shownExamples {
				names = append(names, a.label(t.visits[i].id))
			}
			if len(a.out.Missing) >= a.q.Limit {
				a.out.Truncated = true
				break
			}
		}
		a.row(Row{Cells: []string{none + "licence", strconv.Itoa(len(without)), "", strings.Join(names, ", ")}}, nil)
	}
	return nil
}

func (a *asking) licenceRow(t *trail, l *licensing) {
	var names []string
	var docs []graph.ID
	signed := true
	for i, e := range l.edges {
		docs = append(docs, e.docs...)
		signed = signed && e.signed
		if i < shownExamples {
			names = append(names, a.label(e.from))
			a.trailTo(t, t.at[e.from], 0)
			a.node(e.to, t.visits[t.at[e.from]].depth+1)
			a.edge(&e)
		}
	}
	var how []string
	for word, n := range l.how {
		how = append(how, fmt.Sprintf("%s %d", cmp.Or(word, "said"), n))
	}
	slices.Sort(how)
	slices.SortFunc(docs, compareID)
	a.row(Row{
		Node: a.node(l.id, a.q.Depth), Signed: signed,
		Cells: []string{a.label(l.id), strconv.Itoa(len(l.parts)), strings.Join(how, ", "), strings.Join(unique(names), ", ")},
	}, slices.Compact(docs))
}

// licensing reads the licences of all that a walk came to. without are the packages, by visit, of which none is
// known.
func (a *asking) licensing(t *trail) (list []licensing, without []int, err error) {
	edges, err := a.edges(t.ids(), false, []seaworthy.Predicate{seaworthy.SaysLicensed})
	if err != nil {
		return nil, nil, err
	}
	if err := a.loadNamed(append(targets(edges), a.subject.main())); err != nil {
		return nil, nil, err
	}
	class := a.alike(t)
	at := map[graph.ID]int{}
	has := map[int]bool{}
	for _, e := range edges {
		i, ok := at[e.to]
		if !ok {
			i = len(list)
			at[e.to] = i
			list = append(list, licensing{id: e.to, parts: map[int]bool{}, how: map[string]int{}})
		}
		l := &list[i]
		l.edges = append(l.edges, e)
		l.parts[class[t.at[e.from]]] = true
		l.how[e.attr("how")]++
		has[class[t.at[e.from]]] = true
	}
	for i := range list {
		slices.SortFunc(list[i].edges, func(x, y edge) int {
			return cmp.Or(cmp.Compare(a.subjects[x.from].Key, a.subjects[y.from].Key), compareID(x.from, y.from))
		})
	}
	slices.SortFunc(list, func(x, y licensing) int {
		return cmp.Or(cmp.Compare(len(y.parts), len(x.parts)), cmp.Compare(a.subjects[x.id].Key, a.subjects[y.id].Key))
	})
	for i := range t.visits {
		s := a.subjects[t.visits[i].id]
		if class[i] == i && s.Kind == seaworthy.PackageSubject && strings.Contains(s.Key, "@") && !has[i] && t.visits[i].parent >= 0 {
			without = append(without, i)
		}
	}
	slices.SortFunc(without, func(x, y int) int {
		return cmp.Compare(a.subjects[t.visits[x].id].Key, a.subjects[t.visits[y].id].Key)
	})
	return list, without, nil
}
