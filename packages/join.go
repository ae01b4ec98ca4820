package packages

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// Inventory is what a tree of files holds: the packages found in it and what holds between them. The same
// Facts, in any order, give the same Inventory.
type Inventory struct {
	Release   *OSRelease           `json:"release,omitempty"`
	Packages  []seaworthy.Package  `json:"packages,omitempty"`  // sorted by Ref
	Relations []seaworthy.Relation `json:"relations,omitempty"` // sorted, each once; both ends are in Packages
	Problems  []seaworthy.Problem  `json:"problems,omitempty"`  // sorted by Where
}

// Join puts together the Facts of all files of one tree, those of Table's recognisers in any order. It keeps
// the Facts as they are, so that those of a layer may be joined again with others.
//
// Every package gets its Ref: its purl, with "#" and a hash of its path where the same purl is found at
// several places. What is found twice at one place becomes one. A language package whose evidence a
// distribution package installed is covered by that one. What a lock file names and its own directory has
// installed is one package with the evidence of both.
func Join(facts []Facts) Inventory { return joinWith(Table, facts) }

func joinWith(table []Recogniser, facts []Facts) Inventory {
	var inv Inventory
	inv.Release = ReleaseOf(facts)
	ctx := Context{Release: inv.Release}

	groups := groupFacts(table, facts)
	var parts []Joined
	var lock []bool
	total := 0
	for _, g := range groups {
		for i := range g.facts {
			for _, p := range g.facts[i].Problems {
				if p.Where == "" {
					p.Where = g.facts[i].Path
				}
				inv.Problems = append(inv.Problems, p)
			}
		}
		part := Joined{}
		if g.join != nil {
			part = g.join(ctx, g.facts)
		} else {
			for i := range g.facts {
				part.Packages = append(part.Packages, g.facts[i].Packages...)
			}
		}
		for i := range part.Packages {
			if len(part.Packages[i].Evidence) == 0 {
				part.Packages[i].Evidence = []seaworthy.Evidence{{By: g.by}}
			}
		}
		total += len(part.Packages)
		inv.Problems = append(inv.Problems, part.Problems...)
		parts, lock = append(parts, part), append(lock, g.lock)
	}
	moved := joinLocked(parts, lock)
	names := inv.assignRefs(parts, moved, total)
	final := func(part int, ref string) (string, bool) {
		if to, ok := moved[part][ref]; ok {
			part, ref = to.part, parts[to.part].Packages[to.at].Ref
		}
		name, ok := names[part][ref]
		return name, ok
	}
	for i, part := range parts {
		for _, r := range part.Relations {
			from, okFrom := final(i, r.From)
			to, okTo := final(i, r.To)
			if !okFrom || !okTo {
				inv.Problems = append(inv.Problems, seaworthy.Problem{
					Where: r.From, Code: seaworthy.Internal,
					Detail: "relation to a package that is not there: " + r.To,
				})
				continue
			}
			if r.From, r.To = from, to; from != to {
				inv.Relations = append(inv.Relations, r)
			}
		}
	}
	inv.cover()
	inv.sort()
	return inv
}

type group struct {
	by    string
	lock  bool
	join  func(Context, []Facts) Joined
	facts []Facts
}

// groupFacts divides the Facts by recogniser, in table order and those of none after it, each sorted by path.
// Facts and Packages are copied, and Evidence is filled in.
func groupFacts(table []Recogniser, facts []Facts) []group {
	groups := make([]group, len(table), len(table)+1)
	index := make(map[string]int, len(table))
	for i, r := range table {
		groups[i] = group{by: r.Name, lock: r.Lock, join: r.Join}
		index[r.Name] = i
	}
	order := make([]int, len(facts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if facts[a].Path != facts[b].Path {
			return strings.Compare(facts[a].Path, facts[b].Path)
		}
		return strings.Compare(facts[a].By, facts[b].By)
	})
	for _, n := range order {
		f := facts[n]
		g, ok := index[f.By]
		if !ok {
			g = len(groups)
			index[f.By] = g
			groups = append(groups, group{by: f.By})
		}
		f.Packages = slices.Clone(f.Packages)
		slab := make([]seaworthy.Evidence, len(f.Packages))
		for i := range f.Packages {
			if len(f.Packages[i].Evidence) == 0 {
				slab[i] = seaworthy.Evidence{Path: f.Path, By: f.By}
				f.Packages[i].Evidence = slab[i : i+1 : i+1]
			}
		}
		groups[g].facts = append(groups[g].facts, f)
	}
	for i := range groups {
		if groups[i].lock {
			groups[i].facts = dropVendored(groups[i].facts)
		}
	}
	slices.SortStableFunc(groups[len(table):], func(a, b group) int { return strings.Compare(a.by, b.by) })
	return slices.DeleteFunc(groups, func(g group) bool { return len(g.facts) == 0 })
}

// assignRefs collects the packages of all parts, gives each its Ref and merges what is the same. It returns,
// for each part, the final Ref for every Ref or purl that the part's relations, or those moved to it, may use.
func (inv *Inventory) assignRefs(parts []Joined, moved []map[string]partPackage, total int) []map[string]string {
	type place struct {
		p    *seaworthy.Package
		part int
		base string
	}
	all := make([]place, 0, total)
	for i := range parts {
		for k := range parts[i].Packages {
			p := &parts[i].Packages[k]
			all = append(all, place{p, i, baseRef(p)})
		}
	}
	slices.SortStableFunc(all, func(a, b place) int {
		return cmp.Or(strings.Compare(a.base, b.base), strings.Compare(a.p.Evidence[0].Path, b.p.Evidence[0].Path))
	})
	names := make([]map[string]string, len(parts))
	needed := make([]bool, len(parts))
	for _, m := range moved {
		for _, to := range m {
			needed[to.part] = true
		}
	}
	for i := range names {
		if len(parts[i].Relations) > 0 || needed[i] {
			names[i] = make(map[string]string, len(parts[i].Packages))
		}
	}
	inv.Packages = make([]seaworthy.Package, 0, total)
	lastBase := ""
	for _, e := range all {
		path := e.p.Evidence[0].Path
		ref, old := e.base, e.p.Ref
		if n := len(inv.Packages); n > 0 && lastBase == e.base {
			last := &inv.Packages[n-1]
			if last.Evidence[0].Path == path {
				ref = last.Ref
				merge(last, e.p)
			} else {
				sum := sha256.Sum256([]byte(path))
				ref += "#" + hex.EncodeToString(sum[:6])
			}
		}
		if n := len(inv.Packages); n == 0 || inv.Packages[n-1].Ref != ref {
			inv.Packages = append(inv.Packages, *e.p)
			inv.Packages[n].Ref = ref
		}
		lastBase = e.base
		if m := names[e.part]; m != nil {
			for _, name := range [...]string{old, e.p.PURL} {
				if _, taken := m[name]; name != "" && !taken {
					m[name] = ref
				}
			}
		}
	}
	return names
}

// baseRef is a package's Ref where nothing else is called so.
func baseRef(p *seaworthy.Package) string {
	if p.PURL != "" {
		return p.PURL
	}
	if p.Ecosystem == "" && p.Ref != "" {
		return p.Ref
	}
	return p.Ecosystem + ":" + p.Name + "@" + p.Version
}

// merge adds to a what b, the same package found at the same place, knows beyond it.
func merge(a, b *seaworthy.Package) {
	fill := func(dst *string, src string) {
		if *dst == "" {
			*dst = src
		}
	}
	fill(&a.Arch, b.Arch)
	fill(&a.Description, b.Description)
	fill(&a.Homepage, b.Homepage)
	fill(&a.Download, b.Download)
	fill(&a.Copyright, b.Copyright)
	fill(&a.Licences.Declared, b.Licences.Declared)
	fill(&a.Licences.Concluded, b.Licences.Concluded)
	fill(&a.CoveredBy, b.CoveredBy)
	if a.Supplier == (seaworthy.Party{}) {
		a.Supplier = b.Supplier
	}
	if a.Originator == (seaworthy.Party{}) {
		a.Originator = b.Originator
	}
	if a.Source == (seaworthy.Upstream{}) {
		a.Source = b.Source
	}
	if len(a.Hashes) == 0 {
		a.Hashes, a.HashOf = b.Hashes, b.HashOf
	}
	if len(a.Files) == 0 {
		a.Files = b.Files
	}
	if len(a.Depends) == 0 {
		a.Depends = b.Depends
	}
	if len(a.Identifiers) == 0 {
		a.Identifiers = b.Identifiers
	}
	if b.Scope == "" || b.Scope == seaworthy.Runtime {
		a.Scope = b.Scope
	}
	a.Direct = a.Direct || b.Direct
	for _, e := range b.Evidence {
		if !slices.Contains(a.Evidence, e) {
			a.Evidence = append(slices.Clip(a.Evidence), e)
		}
	}
}

// fromDistribution reports whether a package of this ecosystem is part of the operating system's distribution.
func fromDistribution(ecosystem string) bool {
	switch ecosystem {
	case "deb", "rpm", "apk", "opkg", "alpm":
		return true
	}
	return false
}

// cover finds the language packages whose evidence belongs to a distribution package. The few paths asked
// about are indexed rather than the many owned ones.
func (inv *Inventory) cover() {
	type asked struct {
		pkg   int32
		owner int32 // -1 for none
		exact bool
	}
	var asks []asked
	index := make(map[string][]int32) // merged path → asks
	for i := range inv.Packages {
		p := &inv.Packages[i]
		if fromDistribution(p.Ecosystem) || p.CoveredBy != "" || p.Role == seaworthy.OS {
			continue
		}
		path, _, _ := strings.Cut(p.Evidence[0].Path, "!")
		if path == "" {
			continue
		}
		key := mergedPath(path)
		index[key] = append(index[key], int32(len(asks)))
		asks = append(asks, asked{pkg: int32(i), owner: -1})
	}
	if len(asks) == 0 {
		return
	}
	for i := range inv.Packages {
		if !fromDistribution(inv.Packages[i].Ecosystem) {
			continue
		}
		for _, file := range inv.Packages[i].Files {
			for _, n := range index[mergedPath(file.Path)] {
				a := &asks[n]
				path, _, _ := strings.Cut(inv.Packages[a.pkg].Evidence[0].Path, "!")
				if exact := path == file.Path; a.owner < 0 || exact && !a.exact {
					a.owner, a.exact = int32(i), exact
				}
			}
		}
	}
	for _, a := range asks {
		if a.owner >= 0 {
			p := &inv.Packages[a.pkg]
			p.CoveredBy = inv.Packages[a.owner].Ref
			inv.Relations = append(inv.Relations, seaworthy.Relation{From: p.Ref, Type: seaworthy.CoveredBy, To: p.CoveredBy})
		}
	}
}

// mergedPath drops the "usr/" of paths that are the same with and without it on systems where /bin, /lib and
// /sbin are links into /usr: packages there still say /bin/ls of what is at usr/bin/ls.
func mergedPath(path string) string {
	rest, ok := strings.CutPrefix(path, "usr/")
	if ok && (strings.HasPrefix(rest, "lib") || strings.HasPrefix(rest, "bin/") || strings.HasPrefix(rest, "sbin/")) {
		return rest
	}
	return path
}

func (inv *Inventory) sort() {
	slices.SortFunc(inv.Packages, func(a, b seaworthy.Package) int { return strings.Compare(a.Ref, b.Ref) })
	slices.SortFunc(inv.Relations, func(a, b seaworthy.Relation) int {
		return cmp.Or(strings.Compare(a.From, b.From), cmp.Compare(a.Type, b.Type), strings.Compare(a.To, b.To),
			cmp.Compare(a.Scope, b.Scope), strings.Compare(a.Comment, b.Comment))
	})
	inv.Relations = slices.Compact(inv.Relations)
	slices.SortStableFunc(inv.Problems, func(a, b seaworthy.Problem) int {
		return cmp.Or(strings.Compare(a.Where, b.Where), cmp.Compare(a.Code, b.Code), strings.Compare(a.Detail, b.Detail))
	})
	inv.Problems = slices.Compact(inv.Problems)
}
