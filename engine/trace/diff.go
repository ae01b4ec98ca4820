package trace

import (
	"cmp"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// contents is what diff compares of one end.
type contents struct {
	packages map[string][]part // by name
	licences map[string]part   // by key
	findings map[string]part   // by vulnerability and name of the package
}

// part is one thing that is there.
type part struct {
	node    graph.ID
	version string
	text    string
	docs    []graph.ID
	signed  bool
}

// diff says what is in the other end and not in the subject, the other way round, and in another version.
func (a *asking) diff() error {
	from, err := a.contents(a.subject.roots)
	if err != nil {
		return err
	}
	to, err := a.contents(a.other.roots)
	if err != nil {
		return err
	}
	var rows []diffRow
	rows = append(rows, a.diffPackages(from.packages, to.packages)...)
	rows = append(rows, diffSets("licence", from.licences, to.licences)...)
	rows = append(rows, diffSets("vulnerability", from.findings, to.findings)...)
	slices.SortStableFunc(rows, func(x, y diffRow) int {
		return cmp.Or(cmp.Compare(diffOrder[x.kind], diffOrder[y.kind]), cmp.Compare(x.change, y.change), cmp.Compare(x.what, y.what), cmp.Compare(x.from, y.from))
	})
	a.node(a.other.main(), 0)
	a.out.Title = diffTitle(rows)
	for _, r := range cut(a, rows) {
		a.row(Row{Node: a.node(r.node, 1), Signed: r.signed, Cells: []string{r.change, r.kind, r.what, r.from, r.to}}, r.docs)
	}
	return nil
}

var diffOrder = map[string]int{"vulnerability": 0, "licence": 1, "package": 2}

type diffRow struct {
	change, kind, what, from, to string
	node                         graph.ID
	docs                         []graph.ID
	signed                       bool
}

func diffTitle(rows []diffRow) string {
	if len(rows) == 0 {
		return "no difference in packages, licences and vulnerabilities"
	}
	n := map[string]int{}
	for _, r := range rows {
		n[r.kind+" "+r.change]++
	}
	var parts []string
	for _, kind := range []string{"package", "licence", "vulnerability"} {
		for _, change := range []string{"added", "removed", "changed"} {
			if count := n[kind+" "+change]; count > 0 {
				parts = append(parts, plural(count, kind)+" "+change)
			}
		}
	}
	return strings.Join(parts, ", ")
}

// contents reads what one end is made of.
func (a *asking) contents(roots []graph.ID) (*contents, error) {
	c := &contents{packages: map[string][]part{}, licences: map[string]part{}, findings: map[string]part{}}
	t, err := a.parts(roots)
	if err != nil {
		return nil, err
	}
	for i := range t.visits {
		v := &t.visits[i]
		s := a.subjects[v.id]
		if s.Kind != seaworthy.PackageSubject || v.parent < 0 || slices.Contains(roots, v.id) || isImagePURL(s.Key) {
			continue
		}
		_, version := a.nameVersion(s.Key)
		base := baseOf(s.Key)
		c.packages[base] = append(c.packages[base], part{node: v.id, version: version, docs: v.edge.docs, signed: v.signed})
	}
	licensed, _, err := a.licensing(t)
	if err != nil {
		return nil, err
	}
	for _, l := range licensed {
		p := part{node: l.id, text: a.subjects[l.id].Key, signed: true}
		for _, e := range l.edges {
			p.docs = append(p.docs, e.docs...)
			p.signed = p.signed && e.signed
		}
		c.licences[p.text] = p
	}
	found, err := a.findings(t)
	if err != nil {
		return nil, err
	}
	for _, f := range openFindings(found) {
		name, version := a.nameVersion(a.subjects[f.about].Key)
		text := f.name + " in " + name
		c.findings[text] = part{node: f.vuln, version: version, text: text, docs: f.docs, signed: f.signed}
	}
	return c, nil
}

// isImagePURL says whether a purl is that of an image: another name of what is compared, not a part of it.
func isImagePURL(key string) bool {
	return strings.HasPrefix(key, "pkg:oci/") || strings.HasPrefix(key, "pkg:docker/")
}

func (a *asking) diffPackages(from, to map[string][]part) []diffRow {
	var rows []diffRow
	for base, is := range to {
		was := from[base]
		switch {
		case len(was) == 0:
			rows = append(rows, a.packageRow("added", base, nil, is))
		case versions(was) != versions(is):
			rows = append(rows, a.packageRow("changed", base, was, is))
		}
	}
	for base, was := range from {
		if len(to[base]) == 0 {
			rows = append(rows, a.packageRow("removed", base, was, nil))
		}
	}
	return rows
}

func (a *asking) packageRow(change, base string, was, is []part) diffRow {
	name, _ := a.nameVersion(base)
	row := diffRow{change: change, kind: "package", what: name, from: versions(was), to: versions(is), signed: true}
	all := append(slices.Clone(is), was...)
	row.node = all[0].node
	for _, p := range all {
		row.docs = append(row.docs, p.docs...)
		row.signed = row.signed && p.signed
	}
	return row
}

// versions joins the versions of one package.
func versions(list []part) string {
	var all []string
	for _, p := range list {
		all = append(all, p.version)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}

func diffSets(kind string, from, to map[string]part) []diffRow {
	var rows []diffRow
	add := func(change string, p part, was, is string) {
		rows = append(rows, diffRow{change: change, kind: kind, what: p.text, from: was, to: is, node: p.node, docs: p.docs, signed: p.signed})
	}
	for key, p := range to {
		if _, ok := from[key]; !ok {
			add("added", p, "", p.version)
		}
	}
	for key, p := range from {
		if _, ok := to[key]; !ok {
			add("removed", p, p.version, "")
		}
	}
	return rows
}
