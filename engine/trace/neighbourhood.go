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

// How a neighbourhood is kept small enough to look at, and its cost independent of how large the graph is.
const (
	// rootFan is how many statements of one predicate are counted at the subject; farFan at others; fileFan of files
	// in the subject, so that programs are found among them.
	rootFan = 1000
	farFan  = 100
	fileFan = 5000
	// rootGroup is how many members of one kind are still drawn one by one at the subject; farGroup at others.
	rootGroup = 12
	farGroup  = 5
	// groupPage is how many members of a group are shown each time it is opened.
	groupPage = 50
)

// drawOrder is the order in which predicates get their place, since not all may find one.
var drawOrder = []seaworthy.Predicate{
	seaworthy.SaysSame, seaworthy.SaysSigned, seaworthy.SaysBuiltBy, seaworthy.SaysBuilt, seaworthy.SaysSource,
	seaworthy.SaysDescribes, seaworthy.SaysAffects, seaworthy.SaysRated, seaworthy.SaysJudged, seaworthy.SaysRuns,
	seaworthy.SaysContains, seaworthy.SaysDepends, seaworthy.SaysLicensed, seaworthy.SaysNoted, seaworthy.SaysHasFile,
}

// bunch is what leads from a subject to others of one kind by one predicate.
type bunch struct {
	from      graph.ID
	predicate seaworthy.Predicate
	back      bool
	kind      string // of the members: a kind of subject, "file" or "binary"
	edges     []edge
	more      bool
}

// id names the bunch as a group of which so many members are shown.
func (b *bunch) id(shown int) string {
	direction := "out"
	if b.back {
		direction = "in"
	}
	id := fmt.Sprintf("group:%s:%s:%s:%s", graph.FormatID(b.from), direction, b.predicate, b.kind)
	if shown > 0 {
		id += ":" + strconv.Itoa(shown)
	}
	return id
}

// neighbourhood draws what is around the subject: what it leads to on the positive side of its depth, what leads to
// it on the negative. Where there are many of a kind, they are one group with a count, which Expand opens.
func (a *asking) neighbourhood() error {
	a.q.Limit = min(a.q.Limit, MaxNodes)
	if err := a.allDocuments(a.subject.roots); err != nil {
		return err
	}
	main := a.subject.main()
	for _, id := range a.subject.roots {
		a.node(id, 0)
	}
	right, left := a.subject.roots, a.subject.roots
	for depth := 1; depth <= a.q.Depth && len(right)+len(left) > 0; depth++ {
		var err error
		if right, err = a.draw(right, depth, false); err != nil {
			return err
		}
		if left, err = a.draw(left, -depth, true); err != nil {
			return err
		}
	}
	if err := a.gaps(main); err != nil {
		return err
	}
	if err := a.practices(); err != nil {
		return err
	}
	a.out.Title = fmt.Sprintf("%s and %s around it", a.label(main), plural(len(a.nodes)+len(a.groups)-1, "node"))
	return nil
}

// draw puts what is one step beyond a frontier into the answer and returns the subjects among it.
func (a *asking) draw(frontier []graph.ID, depth int, back bool) ([]graph.ID, error) {
	bunches, err := a.bunches(frontier, back, depth == 1 || depth == -1)
	if err != nil {
		return nil, err
	}
	var next []graph.ID
	for i := range bunches {
		b := &bunches[i]
		shown, err := a.members(b, depth)
		if err != nil {
			return nil, err
		}
		for _, e := range b.edges[:shown] {
			_, drawn := a.nodes[e.to]
			if !drawn && a.full() {
				a.out.Truncated = true
				return next, nil
			}
			if !drawn {
				a.node(e.to, depth)
				next = append(next, e.to)
			}
			a.drawEdge(&e)
		}
		if len(b.edges) > shown {
			if a.full() {
				a.out.Truncated = true
				return next, nil
			}
			a.drawGroup(b, shown, depth)
		}
	}
	return next, nil
}

func (a *asking) full() bool { return len(a.nodes)+len(a.groups) >= a.q.Limit }

func (a *asking) drawEdge(e *edge) {
	before := len(a.out.Edges)
	a.edge(e)
	if len(a.out.Edges) > before {
		drawn := &a.out.Edges[before]
		subject, object := e.ends()
		a.row(Row{
			Node: graph.FormatID(e.to), Cells: []string{a.label(subject), string(e.predicate), a.label(object), ""}, Signed: drawn.Signed,
		}, e.docs)
	}
}

// shownDocuments is how many documents an edge to a group names.
const shownDocuments = 20

// drawGroup puts one node for all members beyond those shown.
func (a *asking) drawGroup(b *bunch, shown, depth int) {
	n := len(b.edges) - shown
	count := strconv.Itoa(n)
	if b.more {
		count += " or more"
	}
	label := "+ " + count + " " + b.words(n)
	kind := seaworthy.SubjectKind(b.kind)
	if b.kind == fileRole || b.kind == binaryRole {
		kind = seaworthy.ArtifactSubject
	}
	node := Node{ID: b.id(shown), Kind: kind, Label: label, Depth: depth, Group: n}
	if kind == seaworthy.ArtifactSubject {
		node.Role = b.role(a)
	}
	a.groups = append(a.groups, node)
	var docs []graph.ID
	signed := true
	for _, e := range b.edges[shown:] {
		signed = signed && e.signed
		for _, d := range e.docs {
			if len(docs) < shownDocuments && !slices.Contains(docs, d) {
				docs = append(docs, d)
			}
		}
	}
	e := Edge{From: graph.FormatID(b.from), To: node.ID, Predicate: b.predicate, Documents: a.digests(docs), Signed: signed}
	if b.back {
		e.From, e.To = e.To, e.From
	}
	a.out.Edges = append(a.out.Edges, e)
	from, to := a.label(b.from), label
	if b.back {
		from, to = to, from
	}
	a.row(Row{Node: node.ID, Cells: []string{from, string(b.predicate), to, count}, Signed: signed}, docs)
}

// words names the members of a group.
func (b *bunch) words(n int) string {
	word := b.kind
	switch {
	case b.kind == string(seaworthy.VulnSubject):
		word = "vulnerability"
	case b.kind == string(seaworthy.ArtifactSubject) && b.predicate == seaworthy.SaysContains && !b.back:
		word = "layer"
	}
	_, words, _ := strings.Cut(plural(n, word), " ")
	return words
}

func (b *bunch) role(a *asking) string {
	if b.kind == fileRole || b.kind == binaryRole {
		return b.kind
	}
	return a.roles[b.edges[0].to]
}

// bunches reads what leads on from a frontier, in the order in which it is to be drawn.
func (a *asking) bunches(frontier []graph.ID, back, near bool) ([]bunch, error) {
	each, fileEach := farFan, farFan
	if near {
		each, fileEach = rootFan, fileFan
	}
	// A vulnerability is beyond what it affects, though it is the subject of the statement.
	ways := []struct {
		back       bool
		predicates []seaworthy.Predicate
		each       int
	}{{false, without(seaworthy.SaysHasFile), each}, {false, []seaworthy.Predicate{seaworthy.SaysHasFile}, fileEach}, {true, []seaworthy.Predicate{seaworthy.SaysAffects}, each}}
	if back {
		ways = ways[:1]
		ways[0].back, ways[0].predicates = true, without(seaworthy.SaysAffects)
	}
	var list []bunch
	for _, w := range ways {
		fans, err := a.fan(frontier, w.back, w.predicates, w.each)
		if err != nil {
			return nil, err
		}
		for i := range fans {
			split, err := a.split(&fans[i])
			if err != nil {
				return nil, err
			}
			list = append(list, split...)
		}
	}
	place := map[graph.ID]int{}
	for i, id := range frontier {
		place[id] = i
	}
	slices.SortStableFunc(list, func(x, y bunch) int {
		return cmp.Or(cmp.Compare(place[x.from], place[y.from]), cmp.Compare(slices.Index(drawOrder, x.predicate), slices.Index(drawOrder, y.predicate)),
			compareBool(x.back, y.back), cmp.Compare(x.kind, y.kind))
	})
	return list, nil
}

func without(p seaworthy.Predicate) []seaworthy.Predicate {
	return slices.DeleteFunc(seaworthy.Predicates(), func(other seaworthy.Predicate) bool { return other == p })
}

// split sorts what a fan leads to by kind. Of files the statement itself says what they are; of others the subjects
// are read.
func (a *asking) split(f *fan) ([]bunch, error) {
	ofFiles := f.predicate == seaworthy.SaysHasFile && !f.back
	if !ofFiles {
		if err := a.load(targets(f.edges)); err != nil {
			return nil, err
		}
	}
	var list []bunch
	for _, e := range f.edges {
		if e.from == e.to {
			continue
		}
		kind := string(a.subjects[e.to].Kind)
		if ofFiles {
			kind = fileRole
			if isBinary(e.attrs) {
				kind = binaryRole
			}
		}
		at := slices.IndexFunc(list, func(b bunch) bool { return b.kind == kind })
		if at < 0 {
			at = len(list)
			list = append(list, bunch{from: f.from, predicate: f.predicate, back: f.back, kind: kind, more: f.more})
		}
		list[at].edges = append(list[at].edges, e)
	}
	return list, nil
}

// members puts the edges of a bunch into order and says how many of them are drawn one by one.
func (a *asking) members(b *bunch, depth int) (int, error) {
	limit := farGroup
	if depth == 1 || depth == -1 {
		limit = rootGroup
	}
	shown := 0
	for opened := true; opened && shown < len(b.edges); {
		if opened = slices.Contains(a.q.Expand, b.id(shown)); opened {
			shown += groupPage
		}
	}
	switch {
	case shown == 0 && (len(b.edges) > limit || b.kind == fileRole && len(b.edges) > 1):
		return 0, nil
	case shown == 0 || shown > len(b.edges):
		shown = len(b.edges)
	}
	if err := a.loadNamed(targets(b.edges)); err != nil {
		return 0, err
	}
	slices.SortStableFunc(b.edges, func(x, y edge) int {
		return cmp.Or(cmp.Compare(a.label(x.to), a.label(y.to)), compareID(x.to, y.to))
	})
	return shown, nil
}

// gaps says what evidence the subject, and the images and programs that are drawn, should have and do not.
func (a *asking) gaps(main graph.ID) error {
	var ids []graph.ID
	if kind := a.subjects[main].Kind; kind == seaworthy.ArtifactSubject || isImageReference(a.subjects[main]) {
		ids = append(ids, main)
	}
	first := len(ids)
	for id := range a.nodes {
		if id != main && (a.roles[id] == binaryRole || a.roles[id] == imageRole) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids[first:], compareID)
	list, err := a.dossiers(ids)
	if err != nil {
		return err
	}
	for i := range list {
		d := &list[i]
		if a.roles[d.id] == layerRole {
			continue
		}
		if len(d.provenance(a)) == 0 {
			a.gap(d.id, "attestation", "nothing says how it was built")
		}
		if d.id != main || a.roles[d.id] == binaryRole || a.roles[d.id] == fileRole {
			continue
		}
		if !slices.ContainsFunc(d.signed, func(e edge) bool { return e.signed }) {
			a.gap(d.id, "signature", "nobody who could be verified signed it")
		}
		if len(d.documents[seaworthy.BillDocument]) == 0 {
			a.gap(d.id, "bill", "nothing says what it contains")
		}
	}
	return nil
}

// practices puts beside the sources that are drawn how they are looked after, and says of which nothing tells it.
func (a *asking) practices() error {
	var sources []graph.ID
	for id := range a.nodes {
		if _, commit := splitSource(a.subjects[id].Key); a.subjects[id].Kind == seaworthy.SourceSubject && commit != "" {
			sources = append(sources, id)
		}
	}
	slices.SortFunc(sources, compareID)
	cards, err := a.scorecards(sources)
	if err != nil {
		return err
	}
	for _, id := range sources {
		switch c := cards[id]; {
		case c == nil:
			a.gap(id, "scorecard", "nothing says how it is looked after")
		case a.full():
			a.scorecardFacts(id, c)
		default:
			a.showScorecard(id, c, a.nodes[id])
		}
	}
	return nil
}
