package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// knownEach is how many statements of one predicate and direction known lists at most, so that a package that a
// hundred thousand bills contain still shows its licence.
const knownEach = 200

// known lists what leads away from a subject and to it, by predicate.
func (a *asking) known() error {
	if err := a.allDocuments(a.subject.roots); err != nil {
		return err
	}
	var list []edge
	for _, back := range []bool{false, true} {
		fans, err := a.fan(a.subject.roots, back, seaworthy.Predicates(), knownEach)
		if err != nil {
			return err
		}
		for i := range fans {
			list = append(list, fans[i].edges...)
			if fans[i].more {
				a.out.Truncated = true
				a.note("more than %d statements %q", knownEach, predicateWord(fans[i].predicate, back))
			}
		}
	}
	ids := make([]graph.ID, 0, 2*len(list))
	for i := range list {
		ids = append(ids, list[i].from, list[i].to)
	}
	if err := a.loadNamed(ids); err != nil {
		return err
	}
	order := seaworthy.Predicates()
	slices.SortStableFunc(list, func(x, y edge) int {
		back := 0
		switch {
		case x.back && !y.back:
			back = 1
		case !x.back && y.back:
			back = -1
		}
		return cmp.Or(back, cmp.Compare(slices.Index(order, x.predicate), slices.Index(order, y.predicate)),
			cmp.Compare(a.label(x.to), a.label(y.to)), compareID(x.to, y.to))
	})
	total := len(list)
	for _, e := range cut(a, list) {
		depth, direction := 1, "→"
		if e.back {
			depth, direction = -1, "←"
		}
		a.edge(&e)
		a.node(e.from, 0)
		node := a.node(e.to, depth)
		s := a.subjects[e.to]
		a.row(Row{
			Node: node, Signed: e.signed,
			Cells: []string{direction, string(e.predicate), string(s.Kind), a.label(e.to), attrsText(e.attrs), a.says(e.docs)},
		}, e.docs)
	}
	a.out.Title = fmt.Sprintf("%s about %s", plural(total, "statement"), a.label(a.subject.main()))
	return nil
}

// allDocuments reads the documents that a question is about, so that they have names.
func (a *asking) allDocuments(ids []graph.ID) error {
	var docs []graph.ID
	for _, id := range ids {
		if a.subjects[id].Kind == seaworthy.DocumentSubject {
			docs = append(docs, id)
		}
	}
	return a.admitIDs(docs)
}

// says names who says something: the document's kind, and who signed it.
func (a *asking) says(docs []graph.ID) string {
	if len(docs) == 0 {
		return ""
	}
	d := a.docs[docs[0]]
	text := strings.TrimSpace(d.doc.Format + " " + string(d.doc.Kind))
	if len(docs) > 1 {
		text += fmt.Sprintf(" and %d more", len(docs)-1)
	}
	if signers := a.signersOf(docs); len(signers) > 0 {
		return text + ", signed by " + actorLabels(signers)
	}
	if d.doc.Verification.State == seaworthy.UnverifiableState {
		return text + ", signed by nobody who could be verified"
	}
	return text + ", unsigned"
}

// attrsText is the attributes of a statement in one cell.
func attrsText(attrs []seaworthy.Property) string {
	parts := make([]string, 0, len(attrs))
	for _, p := range attrs {
		value := p.Value
		if len(value) > 80 {
			value = strings.ToValidUTF8(value[:80], "") + "…"
		}
		parts = append(parts, p.Name+"="+value)
	}
	return strings.Join(parts, " ")
}

// predicateWord is a predicate as read from one of its ends.
func predicateWord(p seaworthy.Predicate, back bool) string {
	if back {
		return "← " + string(p)
	}
	return string(p) + " →"
}

// latest is when the newest of documents was ingested.
func (a *asking) latest(docs []graph.ID) time.Time {
	var at time.Time
	for _, id := range docs {
		if e := a.docs[id]; e != nil && e.doc.Ingested.After(at) {
			at = e.doc.Ingested
		}
	}
	return at
}
