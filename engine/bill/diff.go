package bill

import (
	"sort"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// Diff is what changed from one bill to another.
type Diff struct {
	Added    []Item   `json:"added"`
	Removed  []Item   `json:"removed"`
	Changed  []Change `json:"changed"`
	Same     int      `json:"same"` // packages equal in version, licence and hashes
	OldTotal int      `json:"oldTotal"`
	NewTotal int      `json:"newTotal"`
}

// Item is a package that only one side has.
type Item struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	PURL    string `json:"purl,omitempty"`
	Licence string `json:"licence,omitempty"`
}

// Change is a package that both sides have, in other versions, under other licences or with other content.
type Change struct {
	Name string `json:"name"`
	PURL string `json:"purl,omitempty"` // of the new side
	From string `json:"from,omitempty"` // version
	To   string `json:"to,omitempty"`
	// LicenceFrom and LicenceTo are given when the licence changed.
	LicenceFrom string `json:"licenceFrom,omitempty"`
	LicenceTo   string `json:"licenceTo,omitempty"`
	// Content says that the same version has no hash in common with before.
	Content bool `json:"content,omitempty"`
}

// Empty reports that nothing changed.
func (d *Diff) Empty() bool { return len(d.Added)+len(d.Removed)+len(d.Changed) == 0 }

// Compare says what changed from old to new. Packages are the same when their purls are but for the version,
// or without purls when role, ecosystem, name and architecture are. Layers and what the bills are about do not
// take part. Where several versions of a package stand beside each other, equal ones are paired first.
func Compare(before, after *seaworthy.Bill) *Diff {
	d := &Diff{Added: []Item{}, Removed: []Item{}, Changed: []Change{}}
	olds, news := identities(before), identities(after)
	for key, ps := range olds {
		d.OldTotal += len(ps)
		d.pair(ps, news[key])
	}
	for key, ps := range news {
		d.NewTotal += len(ps)
		if _, both := olds[key]; !both {
			d.pair(nil, ps)
		}
	}
	byName := func(n1, v1, n2, v2 string) bool {
		if n1 != n2 {
			return n1 < n2
		}
		return v1 < v2
	}
	for _, items := range [][]Item{d.Added, d.Removed} {
		sort.Slice(items, func(i, j int) bool {
			return byName(items[i].Name, items[i].Version+items[i].PURL, items[j].Name, items[j].Version+items[j].PURL)
		})
	}
	sort.Slice(d.Changed, func(i, j int) bool {
		return byName(d.Changed[i].Name, d.Changed[i].To+d.Changed[i].PURL, d.Changed[j].Name, d.Changed[j].To+d.Changed[j].PURL)
	})
	return d
}

// identities groups packages by what they are, whatever their version; each group sorted by version.
func identities(b *seaworthy.Bill) map[string][]*seaworthy.Package {
	roots := map[string]bool{}
	for _, r := range b.Roots {
		roots[r] = true
	}
	out := map[string][]*seaworthy.Package{}
	for i := range b.Packages {
		p := &b.Packages[i]
		if p.Role == seaworthy.Layer || roots[p.Ref] {
			continue
		}
		key := identity(p)
		out[key] = append(out[key], p)
	}
	for _, ps := range out {
		sort.SliceStable(ps, func(i, j int) bool { return ps[i].Version < ps[j].Version })
	}
	return out
}

func identity(p *seaworthy.Package) string {
	if u, err := purl.Parse(p.PURL); p.PURL != "" && err == nil {
		arch := u.Qualifier("arch")
		u.Version, u.Qualifiers, u.Subpath = "", nil, ""
		return u.String() + "?" + arch
	}
	return string(p.Role) + "\x00" + p.Ecosystem + "\x00" + p.Name + "\x00" + p.Arch
}

// pair matches the versions of one package on both sides, both sorted: equal ones first, what is left in order.
func (d *Diff) pair(olds, news []*seaworthy.Package) {
	var left, right []*seaworthy.Package
	for len(olds) > 0 && len(news) > 0 {
		switch o, n := olds[0], news[0]; {
		case o.Version == n.Version:
			d.compare(o, n)
			olds, news = olds[1:], news[1:]
		case o.Version < n.Version:
			left, olds = append(left, o), olds[1:]
		default:
			right, news = append(right, n), news[1:]
		}
	}
	left, right = append(left, olds...), append(right, news...)
	both := min(len(left), len(right))
	for i := range both {
		d.compare(left[i], right[i])
	}
	for _, n := range right[both:] {
		d.Added = append(d.Added, item(n))
	}
	for _, o := range left[both:] {
		d.Removed = append(d.Removed, item(o))
	}
}

func (d *Diff) compare(o, n *seaworthy.Package) {
	c := Change{Name: n.Name, PURL: n.PURL}
	changed := false
	if o.Version != n.Version {
		c.From, c.To, changed = o.Version, n.Version, true
	} else if len(o.Hashes) > 0 && len(n.Hashes) > 0 && !shareHash(o.Hashes, n.Hashes) {
		c.From, c.To, c.Content, changed = o.Version, n.Version, true, true
	}
	if lo, ln := licenceOf(o), licenceOf(n); lo != ln {
		c.LicenceFrom, c.LicenceTo, changed = lo, ln, true
	}
	if changed {
		d.Changed = append(d.Changed, c)
	} else {
		d.Same++
	}
}

// shareHash reports whether two lists have a digest in common, or none of the same algorithm.
func shareHash(a, b []seaworthy.Digest) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	have, algorithms := make(map[seaworthy.Digest]bool, len(a)), map[string]bool{}
	for _, x := range a {
		have[x], algorithms[x.Algorithm()] = true, true
	}
	comparable := false
	for _, y := range b {
		if have[y] {
			return true
		}
		comparable = comparable || algorithms[y.Algorithm()]
	}
	return !comparable
}

func licenceOf(p *seaworthy.Package) string {
	if p.Licences.Declared != "" {
		return p.Licences.Declared
	}
	return p.Licences.Concluded
}

func item(p *seaworthy.Package) Item {
	return Item{Name: p.Name, Version: p.Version, PURL: p.PURL, Licence: licenceOf(p)}
}
