package trace

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// find lists what has a name that begins, or a word of whose name begins, with the subject's text.
func (a *asking) find() error {
	if a.q.Subject == "" {
		return seaworthy.Errorf(seaworthy.Usage, "find looks for a name, and none was given")
	}
	limit := min(a.q.Limit, graph.MaxFound)
	hits, err := a.r.Find(a.ctx, graph.Search{Text: a.q.Subject, Kinds: a.q.Kinds, Limit: limit})
	if err != nil {
		return err
	}
	seen := map[graph.ID]bool{}
	for _, h := range hits {
		if seen[h.ID] {
			continue
		}
		if seen[h.ID] = true; len(seen) > limit {
			a.out.Truncated = true
			break
		}
		a.subjects[h.ID] = h.Subject
		if h.Name != "" && h.Subject.Kind == seaworthy.ArtifactSubject && a.names[h.ID] == "" {
			a.names[h.ID] = h.Name
		}
		a.row(Row{Node: a.node(h.ID, 0), Cells: []string{labelOf(h.Subject), string(h.Subject.Kind), h.Name, graph.FormatID(h.ID)}}, nil)
	}
	if a.out.Title = fmt.Sprintf("nothing is known of %q", a.q.Subject); len(a.out.Rows) > 0 {
		a.out.Title = fmt.Sprintf("%s of the name %q", plural(len(a.out.Rows), "subject"), a.q.Subject)
	}
	return nil
}

// top lists what the most subjects point to by a predicate.
func (a *asking) top() error {
	predicate := seaworthy.SaysDepends
	if a.q.Subject != "" {
		predicate = seaworthy.Predicate(a.q.Subject)
	}
	if !slices.Contains(seaworthy.Predicates(), predicate) {
		return seaworthy.Errorf(seaworthy.Usage, "there is no predicate %q", predicate).WithHint("the predicates are %v", seaworthy.Predicates())
	}
	list, err := a.r.Top(a.ctx, predicate, a.q.Kinds, a.q.Limit)
	if err != nil {
		return err
	}
	ids := make([]graph.ID, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	if err := a.loadNamed(ids); err != nil {
		return err
	}
	for _, c := range list {
		a.row(Row{
			Node:  a.node(c.ID, 0),
			Cells: []string{a.label(c.ID), string(a.subjects[c.ID].Kind), strconv.FormatInt(c.Count, 10)},
		}, nil)
	}
	a.out.Title = fmt.Sprintf("%s that most point to by %q", plural(len(list), "subject"), predicate)
	if a.q.Trust.Signed || len(a.q.Trust.Signers) > 0 || !a.q.AsOf.IsZero() {
		a.note("the counts are of all documents, whoever signed them and whenever they came")
	}
	return nil
}
