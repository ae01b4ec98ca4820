package trace

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// bills lists the bills there are, the newest first.
func (a *asking) bills() error {
	lister, ok := a.r.(Lister)
	if !ok {
		return seaworthy.Errorf(seaworthy.Unsupported, "listing bills: this graph cannot list its documents")
	}
	var ids []graph.ID
	q := graph.ListQuery{Kinds: []seaworthy.DocumentKind{seaworthy.BillDocument}}
	for len(ids) <= a.q.Limit {
		page, err := lister.List(a.ctx, q)
		if err != nil {
			return err
		}
		for i := range page.Documents {
			ids = append(ids, page.Documents[i].Subject().ID())
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	ids = cut(a, ids)
	if err := a.admitIDs(ids); err != nil {
		return err
	}
	ids = slices.DeleteFunc(ids, func(id graph.ID) bool { return !a.passes(a.docs[id]) })
	described, err := a.edges(ids, false, []seaworthy.Predicate{seaworthy.SaysDescribes})
	if err != nil {
		return err
	}
	grades, err := a.grades(ids)
	if err != nil {
		return err
	}
	about := map[graph.ID][]edge{}
	for _, e := range described {
		about[e.from] = append(about[e.from], e)
	}
	if err := a.loadNamed(append(targets(described), ids...)); err != nil {
		return err
	}
	suppliers, err := a.suppliers(targets(described))
	if err != nil {
		return err
	}
	for _, id := range ids {
		d := &a.docs[id].doc
		var names, packages, supplier string
		for i, e := range about[id] {
			a.edge(&e)
			a.node(e.to, 1)
			if i == 0 {
				names, packages, supplier = a.label(e.to), e.attr("packages"), suppliers[e.to]
			}
		}
		if more := len(about[id]) - 1; more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		a.row(Row{
			Node: a.node(id, 0), Signed: a.docs[id].signed(),
			Cells: []string{cmp.Or(d.Name, d.Digest.Short()), names, d.Format, packages, grades[id].letter, grades[id].score, supplier},
		}, []graph.ID{id})
	}
	a.out.Title = plural(len(ids), "bill")
	return nil
}

// suppliers reads who supplies things.
func (a *asking) suppliers(ids []graph.ID) (map[graph.ID]string, error) {
	suppliers := map[graph.ID]string{}
	err := a.statements(ids, false, []seaworthy.Predicate{seaworthy.SaysNoted}, func(e *graph.Edge, _ *evidence) error {
		if value := seaworthy.AttrOf(e.Attrs, "value"); seaworthy.AttrOf(e.Attrs, "key") == "supplier" && suppliers[e.From] == "" {
			suppliers[e.From] = value
		}
		return nil
	})
	return suppliers, err
}
