package storetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// frontiers are questions about many subjects at once, in pages that end anywhere: engines may answer parts of them
// side by side.
func frontiers(t *testing.T, s graph.Store) {
	const n, size = 60, 400
	m := graph.NewMemory()
	put(t, n, size, m, s)
	ids := make([]graph.ID, 3*size) // most are of subjects of which nothing is said
	for i := range ids {
		ids[i] = subject(i).ID()
	}
	for _, q := range []graph.Query{
		{},
		{Limit: 1},
		{Limit: 7},
		{Limit: 200},
		{Limit: 201, Back: true},
		{Limit: 64, Enough: 2},
		{Back: true, Enough: 1},
		{Limit: 3, Predicates: []seaworthy.Predicate{seaworthy.SaysContains, seaworthy.SaysSame}},
		{Back: true, Predicates: []seaworthy.Predicate{seaworthy.SaysContains}},
		{Back: true, Limit: 3, Predicates: []seaworthy.Predicate{seaworthy.SaysContains}},
		{Back: true, Limit: 5, Predicates: []seaworthy.Predicate{seaworthy.SaysHasFile}},
	} {
		q.From = ids
		want, got := pages(t, m, q), pages(t, s, q)
		if len(want) == 0 {
			t.Fatalf("limit %d, back %t: there is nothing to compare", q.Limit, q.Back)
		}
		if q.Enough > 0 { // an engine may leave out what is more, and need not
			want, got = firstOf(want, q.Enough), firstOf(got, q.Enough)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d, back %t, enough %d: %s", q.Limit, q.Back, q.Enough, diff)
		}
	}
	subjects, err := s.Subjects(t.Context(), append(ids, graph.ID{1}))
	if err != nil {
		t.Fatal(err)
	}
	known, err := m.Subjects(t.Context(), append(ids, graph.ID{1}))
	if diff := cmp.Diff(known, subjects); diff != "" || err != nil {
		t.Errorf("subjects: %v, %s", err, diff)
	}
}

// firstOf keeps the first n edges of each statement.
func firstOf(edges []graph.Edge, n int) []graph.Edge {
	var kept []graph.Edge
	same := 0
	for i, e := range edges {
		if same++; i == 0 || e.From != edges[i-1].From || e.Predicate != edges[i-1].Predicate || e.To != edges[i-1].To {
			same = 1
		}
		if same <= n {
			kept = append(kept, e)
		}
	}
	return kept
}
