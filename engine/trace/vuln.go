package trace

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// maxAncestors is how much of what rests on what is affected vuln looks at, for all rows together.
const maxAncestors = 2_000_000

// vuln tells of a vulnerability: what it affects, where that is and runs, and what mends it.
func (a *asking) vuln() error {
	if s := a.subject.subject; s.Kind != seaworthy.VulnSubject {
		return seaworthy.Errorf(seaworthy.Usage, "%q is no vulnerability but the %s %q", a.q.Subject, s.Kind, s.Key)
	}
	g, _, list, err := a.affected(a.subject.id)
	if err != nil {
		return err
	}
	abouts := make([]graph.ID, len(list))
	for i := range list {
		abouts[i] = list[i].about
	}
	t, err := a.walkInto(newTrail(true), abouts, up, a.q.Depth)
	if err != nil {
		return err
	}
	if err := a.load(t.ids()); err != nil {
		return err
	}
	if g.vuln != a.subject.id { // asked about by another of its names
		delete(a.nodes, a.subject.id)
		a.out.Subject = a.node(g.vuln, 0)
	}
	a.vulnTiles(g, list)
	above := ancestry{next: neighbours(t), budget: maxAncestors}
	for _, f := range cut(a, list) {
		if err := a.vulnRow(t, &above, &f); err != nil {
			return err
		}
	}
	a.out.Truncated = a.out.Truncated || above.budget <= 0
	return nil
}

// affected lists what a vulnerability is said to affect, under any of its names, and what VEX says to that. names are
// those names.
func (a *asking) affected(id graph.ID) (g *vulnGroup, names []graph.ID, list []finding, err error) {
	groups, err := a.groupsOf([]graph.ID{id})
	if err != nil {
		return nil, nil, nil, err
	}
	for id := range groups {
		names = append(names, id)
	}
	slices.SortFunc(names, compareID)
	claims, err := a.claimsOf(names)
	if err != nil {
		return nil, nil, nil, err
	}
	abouts := make([]graph.ID, 0, len(claims))
	for id := range claims {
		abouts = append(abouts, id)
	}
	slices.SortFunc(abouts, compareID)
	if err := a.load(abouts); err != nil {
		return nil, nil, nil, err
	}
	for _, id := range abouts {
		for i := range claims[id] {
			c := &claims[id][i]
			c.how = "it names " + a.subjects[id].Key
			if products := c.all("product"); len(products) > 0 {
				c.how += " as a part of " + strings.Join(products, ", ")
			}
		}
		if f, ok := a.judge(groups[names[0]], id, claims[id]); ok {
			list = append(list, f)
		}
	}
	a.sortFindings(list)
	return groups[names[0]], names, list, nil
}

// claimsOf reads what vulnerabilities are said to affect, by what that is.
func (a *asking) claimsOf(vulns []graph.ID) (map[graph.ID][]claim, error) {
	claims := map[graph.ID][]claim{}
	err := a.statements(vulns, false, []seaworthy.Predicate{seaworthy.SaysAffects}, func(e *graph.Edge, d *evidence) error {
		if len(claims) >= a.maxVisited {
			a.out.Truncated = true
			return nil
		}
		c := claim{vuln: e.From, about: e.To, attrs: e.Attrs, doc: e.Document, signed: d.signed()}
		claims[e.To] = append(claims[e.To], c)
		return nil
	})
	return claims, err
}

func (a *asking) vulnRow(t *trail, above *ancestry, f *finding) error {
	a.node(f.vuln, 0)
	a.node(f.about, 1)
	a.edge(&f.edge)
	var images, runs []graph.ID
	for _, at := range above.of(t.at[f.about]) {
		switch id := t.visits[at].id; {
		case a.subjects[id].Kind == seaworthy.ArtifactSubject && a.roles[id] != layerRole && a.roles[id] != fileRole:
			images = append(images, id)
		case t.visits[at].edge.predicate == seaworthy.SaysRuns:
			runs = append(runs, id)
			a.trailTo(t, at, 1)
		}
	}
	if err := a.loadNamed(append(slices.Clone(images[:min(len(images), shownExamples)]), f.about)); err != nil {
		return err
	}
	a.row(Row{
		Node: graph.FormatID(f.about), Signed: f.signed,
		Cells: []string{
			a.label(f.about), string(a.subjects[f.about].Kind), string(f.status), f.fixed,
			a.examples(images), a.examples(runs), f.why,
		},
	}, f.docs)
	return nil
}

// examples names a few of many: "a, b, c and 12 more".
func (a *asking) examples(ids []graph.ID) string {
	var names []string
	for _, id := range ids[:min(len(ids), shownExamples)] {
		names = append(names, a.label(id))
	}
	text := strings.Join(names, ", ")
	if more := len(ids) - shownExamples; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func (a *asking) vulnTiles(g *vulnGroup, list []finding) {
	worst := severityOf(g.cvss)
	open := 0
	var fixed []string
	for i := range list {
		worst = max(worst, list[i].severity)
		if list[i].open {
			open++
		}
		if list[i].fixed != "" {
			fixed = append(fixed, list[i].fixed)
		}
	}
	a.out.Title = fmt.Sprintf("%s (%s): %s affected", g.name, worst, plural(open, "part"))
	if len(g.aliases) > 0 {
		a.fact(g.vuln, "aliases", strings.Join(g.aliases, ", "))
	}
	state := warn
	if worst >= seaworthy.SeverityHigh {
		state = bad
	}
	text := worst.String()
	if g.cvss > 0 {
		text += fmt.Sprintf(", CVSS %.1f", g.cvss)
	}
	a.out.Tiles = append(a.out.Tiles, a.tile("severity", state, text, "", g.rated))
	if g.epss > 0 {
		a.out.Tiles = append(a.out.Tiles, a.tile("epss", map[bool]string{true: bad, false: good}[g.epss >= 0.1], epssText(g.epss)+" within 30 days", "", g.rated))
	} else {
		a.out.Tiles = append(a.out.Tiles, a.tile("epss", missing, "not rated", "", nil))
	}
	if g.kev {
		a.out.Tiles = append(a.out.Tiles, a.tile("exploited", bad, "known to be exploited", "", g.rated))
	} else {
		a.out.Tiles = append(a.out.Tiles, a.tile("exploited", good, "not known to be exploited", "", nil))
	}
	slices.SortFunc(fixed, natural)
	if fixed = slices.Compact(fixed); len(fixed) > 0 {
		a.out.Tiles = append(a.out.Tiles, a.tile("fix", good, "mended in "+strings.Join(fixed[:min(len(fixed), shownExamples)], ", "), strings.Join(fixed, ", "), nil))
	} else {
		a.out.Tiles = append(a.out.Tiles, a.tile("fix", missing, "no fixed version is known", "", nil))
	}
}

// ancestry finds what rests on visits of a walk up.
type ancestry struct {
	next   [][]int
	budget int // visits that may still be looked at
}

func neighbours(t *trail) [][]int {
	next := make([][]int, len(t.visits))
	for i := range t.all {
		from, to := t.at[t.all[i].from], t.at[t.all[i].to]
		next[from] = append(next[from], to)
	}
	return next
}

// of lists what rests on one visit, the nearest first.
func (x *ancestry) of(at int) []int {
	seen := map[int]bool{at: true}
	list := []int{at}
	for i := 0; i < len(list) && x.budget > 0; i++ {
		for _, to := range x.next[list[i]] {
			if x.budget--; !seen[to] {
				seen[to] = true
				list = append(list, to)
			}
		}
	}
	return list[1:]
}
