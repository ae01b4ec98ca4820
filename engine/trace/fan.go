package trace

import (
	"slices"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// fan is what leads away from one subject by one predicate.
type fan struct {
	from      graph.ID
	predicate seaworthy.Predicate
	back      bool
	edges     []edge
	more      bool // there are more than were read
	read      int  // statements, those that do not pass among them
}

// fanPage is how many statements fan reads at a time.
const fanPage = 1000

// fanRead bounds the statements that fan reads for one edge that it gives: several documents may say the same, and
// some may not pass.
const fanRead = 10

// fan reads what leads away from ids, of each subject and predicate at most some: whatever the fan-out of a
// subject, what is read is bounded, and the next predicate is still reached. Fans come in the order of ids as
// numbers, and of predicates.
func (a *asking) fan(ids []graph.ID, back bool, predicates []seaworthy.Predicate, each int) ([]fan, error) {
	var fans []fan
	ids = slices.Clone(ids)
	slices.SortFunc(ids, compareID) // as engines give them
	ids = slices.Compact(ids)
	for len(ids) > 0 {
		rest, err := a.fanOnce(&fans, ids, back, predicates, each)
		if err != nil {
			return nil, err
		}
		if rest == nil {
			break
		}
		// One (subject, predicate) has more than it may: read on behind it.
		ids = ids[rest.at+1:]
		if rest.predicates != nil {
			if err := a.fanRest(&fans, rest.id, back, rest.predicates, each); err != nil {
				return nil, err
			}
		}
	}
	for i := range fans {
		a.noteRoles(fans[i].edges)
	}
	return fans, nil
}

// fanRest reads the predicates of one subject that come after one that was full.
func (a *asking) fanRest(fans *[]fan, id graph.ID, back bool, predicates []seaworthy.Predicate, each int) error {
	for len(predicates) > 0 {
		rest, err := a.fanOnce(fans, []graph.ID{id}, back, predicates, each)
		if err != nil || rest == nil {
			return err
		}
		predicates = rest.predicates
	}
	return nil
}

// remainder is where fanOnce stopped: ids[at] is full of one predicate, and predicates are those that follow it.
type remainder struct {
	at         int
	id         graph.ID
	predicates []seaworthy.Predicate
}

func (a *asking) fanOnce(fans *[]fan, ids []graph.ID, back bool, predicates []seaworthy.Predicate, each int) (*remainder, error) {
	q := graph.Query{From: ids, Back: back, Predicates: predicates, Limit: min(fanPage, each+1), Enough: a.enough(predicates)}
	if len(ids) > 1 {
		q.Limit = fanPage
	}
	for a.read < MaxRead {
		if err := a.ctx.Err(); err != nil {
			return nil, err
		}
		page, err := a.r.Edges(a.ctx, q)
		if err != nil {
			return nil, err
		}
		a.read += len(page.Edges)
		if err := a.weigh(page.Edges); err != nil {
			return nil, err
		}
		for i := range page.Edges {
			e := &page.Edges[i]
			f := lastFan(fans, e, back)
			f.read++
			if d := a.docs[e.Document]; a.passes(d) {
				f.edges = a.merge(f.edges, e, d, back)
			} else {
				a.leftOut[e.Document] = true
			}
			if len(f.edges) <= each && f.read <= fanRead*each {
				continue
			}
			f.edges, f.more = f.edges[:min(each, len(f.edges))], true
			after := slices.Index(predicates, e.Predicate) + 1
			return &remainder{at: slices.Index(ids, e.From), id: e.From, predicates: nonEmpty(predicates[after:])}, nil
		}
		if page.Next == "" {
			return nil, nil
		}
		q.After = page.Next
	}
	a.out.Truncated = true
	return nil, nil
}

func nonEmpty[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

func lastFan(fans *[]fan, e *graph.Edge, back bool) *fan {
	if n := len(*fans); n > 0 {
		if f := &(*fans)[n-1]; f.from == e.From && f.predicate == e.Predicate {
			return f
		}
	}
	*fans = append(*fans, fan{from: e.From, predicate: e.Predicate, back: back})
	return &(*fans)[len(*fans)-1]
}
