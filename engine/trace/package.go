package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/match"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// pkg tells of a package: its versions, and of each what contains it, depends on it and is wrong with it.
func (a *asking) pkg() error {
	s := a.subject.subject
	if s.Kind != seaworthy.PackageSubject {
		return seaworthy.Errorf(seaworthy.Usage, "%q is no package but the %s %q", a.q.Subject, s.Kind, s.Key)
	}
	base := seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: baseOf(s.Key)}
	a.subjects[base.ID()] = base
	fans, err := a.fan([]graph.ID{base.ID()}, false, []seaworthy.Predicate{seaworthy.SaysContains}, a.q.Limit)
	if err != nil {
		return err
	}
	var versions []edge
	for i := range fans {
		versions = append(versions, fans[i].edges...)
		a.out.Truncated = a.out.Truncated || fans[i].more
	}
	ids := targets(versions)
	if strings.Contains(s.Key, "@") && !slices.Contains(ids, a.subject.id) {
		ids = append(ids, a.subject.id)
	}
	if err := a.load(ids); err != nil {
		return err
	}
	ids = slices.DeleteFunc(ids, func(id graph.ID) bool { return a.subjects[id].Kind != seaworthy.PackageSubject })
	slices.SortFunc(ids, func(x, y graph.ID) int {
		_, vx := a.nameVersion(a.subjects[x].Key)
		_, vy := a.nameVersion(a.subjects[y].Key)
		return cmp.Or(compareVersions(base.Key, vy, vx), cmp.Compare(a.subjects[x].Key, a.subjects[y].Key))
	})
	if err := a.versionRows(base.ID(), versions, ids); err != nil {
		return err
	}
	if err := a.practice(append([]graph.ID{base.ID()}, ids...)); err != nil {
		return err
	}
	name, _ := a.nameVersion(base.Key)
	a.out.Title = fmt.Sprintf("%s: %s known", name, plural(len(ids), "version"))
	return nil
}

// versionRows writes a row for each version.
func (a *asking) versionRows(base graph.ID, versions []edge, ids []graph.ID) error {
	all := append([]graph.ID{base}, ids...)
	fans, err := a.fan(all, true, []seaworthy.Predicate{seaworthy.SaysContains, seaworthy.SaysDepends}, rootFan)
	if err != nil {
		return err
	}
	holders, dependents := map[graph.ID]string{}, map[graph.ID]string{}
	docs := map[graph.ID][]graph.ID{}
	for i := range fans {
		f := &fans[i]
		count := 0
		for _, e := range f.edges {
			if e.to != base {
				count++
				docs[f.from] = append(docs[f.from], e.docs...)
			}
		}
		text := strconv.Itoa(count)
		if f.more {
			text += " or more"
		}
		if count == 0 {
			continue
		}
		if f.predicate == seaworthy.SaysContains {
			holders[f.from] = text
		} else {
			dependents[f.from] = text
		}
	}
	t, err := a.walk(ids, nil, 0)
	if err != nil {
		return err
	}
	found, err := a.findings(t)
	if err != nil {
		return err
	}
	per := map[graph.ID][]finding{}
	for _, f := range openFindings(found) {
		per[f.about] = append(per[f.about], f)
		a.node(f.vuln, 2)
		a.edge(&f.edge)
	}
	packages := make([]layered, len(ids))
	for i, id := range ids {
		packages[i].pkg = id
	}
	licences, err := a.licenceOf(packages)
	if err != nil {
		return err
	}
	for i := range versions {
		a.edge(&versions[i])
		a.node(versions[i].from, 0)
		a.node(versions[i].to, 1)
	}
	if dependents[base] != "" {
		a.fact(base, "dependents of any version", dependents[base])
	}
	for _, id := range ids {
		_, version := a.nameVersion(a.subjects[id].Key)
		rests := docs[id]
		for _, f := range per[id] {
			rests = append(rests, f.docs...)
		}
		a.row(Row{
			Node: a.node(id, 1), Signed: a.allSigned(rests),
			Cells: []string{version, holders[id], dependents[id], findingsCell(per[id]), licences[id]},
		}, rests)
	}
	return nil
}

// allSigned says whether there are documents and all are signed.
func (a *asking) allSigned(docs []graph.ID) bool {
	return len(docs) > 0 && !slices.ContainsFunc(docs, func(id graph.ID) bool { return !a.docs[id].signed() })
}

// practice shows how the sources of packages are looked after.
func (a *asking) practice(packages []graph.ID) error {
	list, err := a.edges(packages, false, []seaworthy.Predicate{seaworthy.SaysSource})
	if err != nil {
		return err
	}
	sources := targets(list)
	slices.SortFunc(sources, compareID)
	sources = slices.Compact(sources)
	cards, err := a.scorecards(sources)
	if err != nil {
		return err
	}
	var docs []graph.ID
	var scores []string
	for i := range list {
		e := &list[i]
		a.edge(e)
		a.node(e.from, 1)
		a.node(e.to, 2)
		if c := cards[e.to]; c != nil {
			a.showScorecard(e.to, c, 2)
			docs = append(docs, c.edge.docs...)
			scores = append(scores, c.score)
		}
	}
	switch {
	case len(scores) > 0:
		a.out.Tiles = append(a.out.Tiles, a.tile("practice", good, "scorecard "+strings.Join(unique(scores), ", "), "", docs))
	default:
		a.gap(packages[0], "scorecard", "nothing says how its source is looked after")
		a.out.Tiles = append(a.out.Tiles, a.tile("practice", missing, "no scorecard", "", nil))
	}
	return nil
}

// compareVersions compares versions of a package as its ecosystem does, or as people count where that is not known.
func compareVersions(purl, x, y string) int {
	typ, _, _ := strings.Cut(strings.TrimPrefix(purl, "pkg:"), "/")
	if c, err := match.CompareVersions(typ, x, y); err == nil {
		return c
	}
	return natural(x, y)
}

// natural compares texts, and the numbers in them as numbers.
func natural(x, y string) int {
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	for x != "" && y != "" {
		if digit(x[0]) && digit(y[0]) {
			i, j := 0, 0
			for i < len(x) && digit(x[i]) {
				i++
			}
			for j < len(y) && digit(y[j]) {
				j++
			}
			m, n := strings.TrimLeft(x[:i], "0"), strings.TrimLeft(y[:j], "0")
			if c := cmp.Or(cmp.Compare(len(m), len(n)), cmp.Compare(m, n)); c != 0 {
				return c
			}
			x, y = x[i:], y[j:]
			continue
		}
		if x[0] != y[0] {
			return cmp.Compare(x[0], y[0])
		}
		x, y = x[1:], y[1:]
	}
	return cmp.Compare(len(x), len(y))
}
