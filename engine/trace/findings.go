package trace

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// down is the way from something to its parts: what it contains, depends on, runs, and their other names. It does not
// go from the name of a package to its versions, unless the name is what was asked about: that something depends on a
// package says little of which version it has. An image reference is not walked through: it may have named other
// digests.
var down = []step{
	out(seaworthy.SaysContains, seaworthy.SaysDepends, seaworthy.SaysRuns, seaworthy.SaysSame).when(downward),
	in(seaworthy.SaysSame).when(sameThing),
	out(seaworthy.SaysContains).when(func(from, to seaworthy.Subject, _ *edge) bool { return isNameOf(from, to) }).atFirst(),
}

func downward(from, to seaworthy.Subject, e *edge) bool {
	switch e.predicate {
	case seaworthy.SaysContains:
		return !isNameOf(from, to)
	case seaworthy.SaysSame:
		return sameThing(from, to, e)
	}
	return true
}

// sameThing says whether two names are of one thing, and neither is a name that others have as well: an image
// reference, a package without version.
func sameThing(from, to seaworthy.Subject, _ *edge) bool {
	thing := func(s seaworthy.Subject) bool {
		return s.Kind == seaworthy.ArtifactSubject || s.Kind == seaworthy.PackageSubject && strings.Contains(s.Key, "@")
	}
	return (thing(from) && thing(to)) || (from.Kind == seaworthy.VulnSubject && to.Kind == seaworthy.VulnSubject)
}

// parts walks down from roots.
func (a *asking) parts(roots []graph.ID) (*trail, error) {
	t, err := a.walk(roots, down, a.q.Depth)
	if err != nil {
		return nil, err
	}
	return t, a.load(t.ids())
}

// alike gives of each visit the visit that stands for it and its other names; a package where there is one.
func (a *asking) alike(t *trail) []int {
	class := make([]int, len(t.visits))
	best := map[int]int{}
	for i := range t.visits {
		class[i] = i
		if v := &t.visits[i]; v.parent >= 0 && v.edge.predicate == seaworthy.SaysSame {
			class[i] = class[v.parent]
		}
		have, ok := best[class[i]]
		if !ok || (a.subjects[t.visits[have].id].Kind != seaworthy.PackageSubject && a.subjects[t.visits[i].id].Kind == seaworthy.PackageSubject) {
			best[class[i]] = i
		}
	}
	for i := range class {
		class[i] = best[class[i]]
	}
	return class
}

// finding is a vulnerability of a part, with all that is said of it.
type finding struct {
	name     string // CVE where it has one
	vuln     graph.ID
	aliases  []string
	at       int // visit of the package or artifact
	about    graph.ID
	severity seaworthy.Severity
	fixed    string
	epss     float64
	kev      bool
	status   seaworthy.Status
	why      string // of the VEX statement that decided
	open     bool   // no VEX statement takes it away
	signed   bool   // who found it, or whose statement decided, signed that
	docs     []graph.ID
	edge     edge // vuln → about
}

// vulnGroup is a vulnerability under all its names.
type vulnGroup struct {
	name    string
	vuln    graph.ID
	aliases []string
	epss    float64
	kev     bool
	cvss    float64
	rated   []graph.ID // documents
}

// findings returns the vulnerabilities of the parts that a walk came to, open ones and the worst first.
func (a *asking) findings(t *trail) ([]finding, error) {
	class := a.alike(t)
	claims, err := a.claims(t, class)
	if err != nil || len(claims) == 0 {
		return nil, err
	}
	groups, err := a.vulnGroups(claims)
	if err != nil {
		return nil, err
	}
	type key struct {
		group *vulnGroup
		at    int
	}
	byPart := make(map[key][]*claim, len(claims))
	var order []key
	ofProduct := map[*vulnGroup][]claim{}
	for i := range claims {
		c := &claims[i]
		g := groups[c.claim.vuln]
		if c.product && a.isVEX(&c.claim) {
			ofProduct[g] = append(ofProduct[g], c.claim)
			continue
		}
		k := key{g, c.at}
		of := byPart[k]
		if of == nil {
			order = append(order, k)
		}
		byPart[k] = append(of, &c.claim)
	}
	list := make([]finding, 0, len(order))
	spoken := map[*vulnGroup]bool{}
	for _, k := range order {
		applicable := make([]claim, 0, len(byPart[k])+len(ofProduct[k.group]))
		for _, c := range byPart[k] {
			applicable = append(applicable, *c)
		}
		for _, c := range ofProduct[k.group] {
			applicable = append(applicable, a.onPart(c, t, k.at))
		}
		spoken[k.group] = true
		if f, ok := a.judge(k.group, t.visits[k.at].id, applicable); ok {
			f.at = k.at
			list = append(list, f)
		}
	}
	for g, of := range ofProduct { // of the product, and no part of it is known to have it
		if spoken[g] {
			continue
		}
		for i := range of {
			of[i].how = "the product is named"
		}
		if f, ok := a.judge(g, of[0].about, of); ok {
			f.at = t.at[f.about]
			list = append(list, f)
		}
	}
	a.sortFindings(list)
	return list, nil
}

func (a *asking) sortFindings(list []finding) {
	slices.SortFunc(list, func(x, y finding) int {
		return cmp.Or(-compareBool(x.open, y.open), -cmp.Compare(x.severity, y.severity), -compareBool(x.kev, y.kev),
			-cmp.Compare(x.epss, y.epss), cmp.Compare(x.name, y.name), cmp.Compare(a.subjects[x.about].Key, a.subjects[y.about].Key))
	})
}

func compareBool(x, y bool) int {
	switch {
	case x == y:
		return 0
	case x:
		return 1
	}
	return -1
}

// located is a claim and the visit it speaks of.
type located struct {
	claim
	at      int
	product bool // it speaks of all that is asked about
}

// claims reads what is said of the parts, under their own keys and more general ones.
func (a *asking) claims(t *trail, class []int) ([]located, error) {
	about := make(map[graph.ID][]int, 2*len(t.visits))
	var ids []graph.ID
	add := func(id graph.ID, at int) {
		if _, ok := about[id]; !ok {
			ids = append(ids, id)
		}
		about[id] = append(about[id], at)
	}
	product := map[int]bool{}
	for i := range t.visits {
		v := &t.visits[i]
		if v.parent < 0 || (v.edge.predicate == seaworthy.SaysSame && product[v.parent]) {
			product[i] = true
		}
		s := a.subjects[v.id]
		switch s.Kind {
		case seaworthy.PackageSubject, seaworthy.ArtifactSubject, seaworthy.ResourceSubject:
			add(v.id, i)
		}
		if s.Kind == seaworthy.PackageSubject {
			for _, k := range generals(s.Key) {
				g := seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: k}
				id := g.ID()
				if _, ok := a.subjects[id]; !ok || a.subjects[id].Kind == "" {
					a.subjects[id] = g
				}
				if !t.has(id) {
					add(id, i)
				}
			}
		}
	}
	var list []located
	named := claim{} // of what the statements speak now, and how exactly they name it
	err := a.statements(ids, true, []seaworthy.Predicate{seaworthy.SaysAffects}, func(e *graph.Edge, d *evidence) error {
		c := claim{vuln: e.To, about: e.From, attrs: e.Attrs, doc: e.Document, signed: d.signed()}
		key := a.subjects[c.about].Key
		if named.how == "" || named.about != c.about {
			named.about, named.specific, named.how = c.about, specificity(key), "it names "+key
		}
		c.specific, c.how = named.specific, named.how
		for _, at := range about[e.From] {
			exact := t.visits[at].id == e.From
			if !exact && (!a.isVEX(&c) || c.attr("range") != "") {
				continue // an advisory about a range of versions: which ones it means was decided when it was matched
			}
			if products := c.all("product"); len(products) > 0 {
				which := slices.IndexFunc(products, func(p string) bool { return a.isProduct(t, p, product) })
				if which < 0 {
					continue
				}
				c.specific, c.how = bySubcomponent+named.specific, named.how+" as a part of "+products[which]
			}
			list = append(list, located{claim: c, at: class[at], product: product[at]})
		}
		return nil
	})
	return list, err
}

// isProduct says whether a key names what is asked about.
func (a *asking) isProduct(t *trail, key string, product map[int]bool) bool {
	for i := range product {
		if covers(key, a.subjects[t.visits[i].id].Key) {
			return true
		}
	}
	return false
}

// onPart is a statement about the product as it speaks of a part; specific is -1 when it does not.
func (a *asking) onPart(c claim, t *trail, at int) claim {
	product := a.subjects[c.about].Key
	if t.visits[at].id == c.about {
		return c
	}
	parts := c.parts()
	if len(parts) == 0 {
		c.how = "it names " + product + ", which contains the package"
		return c
	}
	c.specific = -1
	key := a.subjects[t.visits[at].id].Key
	for _, p := range parts {
		if covers(p, key) {
			c.specific, c.how = bySubcomponent+specificity(p), "it names "+p+" as a part of "+product
			break
		}
	}
	return c
}

// judge makes a finding of what is said; false when nothing says that the part has it, or that it has not.
func (a *asking) judge(g *vulnGroup, about graph.ID, claims []claim) (finding, bool) {
	f := finding{
		name: g.name, vuln: g.vuln, aliases: g.aliases, about: about, epss: g.epss, kev: g.kev,
		status: seaworthy.Affected, open: true, docs: slices.Clone(g.rated),
	}
	claims = slices.DeleteFunc(claims, func(c claim) bool { return c.specific < 0 })
	if len(claims) == 0 {
		return f, false
	}
	for i := range claims {
		c := &claims[i]
		f.docs = append(f.docs, c.doc)
		if s, err := seaworthy.ParseSeverity(strings.ToLower(c.attr("severity"))); err == nil && s > f.severity {
			f.severity = s
		}
		if fixed := c.attr("fixed"); fixed != "" && (f.fixed == "" || compareVersions(a.subjects[about].Key, fixed, f.fixed) < 0) {
			f.fixed = fixed
		}
		f.signed = f.signed || c.signed
	}
	if f.severity == seaworthy.SeverityUnknown {
		f.severity = severityOf(g.cvss)
	}
	if best, why := a.decide(claims); best != nil {
		if s := best.status(); s != "" {
			f.status = s
		}
		f.why, f.open, f.signed = why, !suppresses(best.status()), best.signed
	}
	slices.SortFunc(f.docs, compareID)
	f.docs = slices.Compact(f.docs)
	f.edge = edge{
		from: g.vuln, to: f.about, predicate: seaworthy.SaysAffects, docs: f.docs, signed: f.signed,
		attrs: properties("fixed", f.fixed, "severity", severityWord(f.severity), "status", string(f.status)),
	}
	return f, true
}

// properties makes a sorted list of name, value, name, value …, without those that are empty.
func properties(pairs ...string) []seaworthy.Property {
	var list []seaworthy.Property
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			list = append(list, seaworthy.Property{Name: pairs[i], Value: pairs[i+1]})
		}
	}
	return list
}

func severityWord(s seaworthy.Severity) string {
	if s == seaworthy.SeverityUnknown {
		return ""
	}
	return s.String()
}

// severityOf is the word for a CVSS score (CVSS v3.1, 5; 0 is not known here).
func severityOf(score float64) seaworthy.Severity {
	switch {
	case score >= 9:
		return seaworthy.SeverityCritical
	case score >= 7:
		return seaworthy.SeverityHigh
	case score >= 4:
		return seaworthy.SeverityMedium
	case score > 0:
		return seaworthy.SeverityLow
	}
	return seaworthy.SeverityUnknown
}

// vulnGroups joins the vulnerabilities of claims with their other names and reads how they are rated.
func (a *asking) vulnGroups(claims []located) (map[graph.ID]*vulnGroup, error) {
	ids := make([]graph.ID, 0, len(claims))
	for i := range claims {
		ids = append(ids, claims[i].claim.vuln)
	}
	return a.groupsOf(ids)
}

// aliasDepth is how many names of names are followed.
const aliasDepth = 4

func (a *asking) groupsOf(ids []graph.ID) (map[graph.ID]*vulnGroup, error) {
	lead := map[graph.ID]graph.ID{} // union-find
	find := func(id graph.ID) graph.ID {
		for lead[id] != id {
			lead[id] = lead[lead[id]]
			id = lead[id]
		}
		return id
	}
	var frontier []graph.ID
	for _, id := range ids {
		if _, ok := lead[id]; !ok {
			lead[id] = id
			frontier = append(frontier, id)
		}
	}
	var rated []graph.Edge
	for depth := 0; depth < aliasDepth && len(frontier) > 0; depth++ {
		same, rates, err := a.vulnNames(frontier)
		if err != nil {
			return nil, err
		}
		rated = append(rated, rates...)
		frontier = nil
		for _, e := range same {
			if _, ok := lead[e.to]; !ok {
				lead[e.to] = e.to
				frontier = append(frontier, e.to)
			}
			lead[find(e.from)] = find(e.to)
		}
	}
	if err := a.statements(frontier, false, []seaworthy.Predicate{seaworthy.SaysRated}, func(e *graph.Edge, _ *evidence) error {
		rated = append(rated, *e)
		return nil
	}); err != nil {
		return nil, err
	}
	all := make([]graph.ID, 0, len(lead))
	for id := range lead {
		all = append(all, id)
	}
	slices.SortFunc(all, compareID)
	if err := a.load(all); err != nil {
		return nil, err
	}
	groups := map[graph.ID]*vulnGroup{}
	for _, id := range all {
		root := find(id)
		g := groups[root]
		if g == nil {
			g = &vulnGroup{}
			groups[root] = g
		}
		g.aliases = append(g.aliases, a.subjects[id].Key)
	}
	for _, g := range groups {
		slices.SortFunc(g.aliases, func(x, y string) int { return cmp.Or(cmp.Compare(vulnRank(x), vulnRank(y)), cmp.Compare(x, y)) })
		g.name, g.aliases = g.aliases[0], g.aliases[1:]
		g.vuln = seaworthy.Subject{Kind: seaworthy.VulnSubject, Key: g.name}.ID()
	}
	for _, id := range all {
		groups[id] = groups[find(id)]
	}
	for i := range rated {
		groups[rated[i].From].rate(&rated[i])
	}
	return groups, nil
}

// vulnNames reads which vulnerabilities are the same, from both ends, and how they are rated, which is beside it.
func (a *asking) vulnNames(ids []graph.ID) (same []edge, rated []graph.Edge, err error) {
	err = a.statements(ids, false, []seaworthy.Predicate{seaworthy.SaysSame, seaworthy.SaysRated}, func(e *graph.Edge, d *evidence) error {
		if e.Predicate == seaworthy.SaysRated {
			rated = append(rated, *e)
		} else {
			same = a.merge(same, e, d, false)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	back, err := a.edges(ids, true, []seaworthy.Predicate{seaworthy.SaysSame})
	if err != nil {
		return nil, nil, err
	}
	same, err = a.leading(append(same, back...), &toVuln)
	return same, rated, err
}

var toVuln = step{kinds: []seaworthy.SubjectKind{seaworthy.VulnSubject}}

// vulnRank orders the names of a vulnerability: CVE before all others.
func vulnRank(key string) int {
	switch {
	case strings.HasPrefix(key, "CVE-"):
		return 0
	case strings.HasPrefix(key, "GHSA-"):
		return 1
	}
	return 2
}

// rate takes in how likely the vulnerability is exploited, whether it is, or its score: in attributes of their own, or as
// the score of a statement of that type.
func (g *vulnGroup) rate(e *graph.Edge) {
	value := func(name string) float64 {
		v, err := strconv.ParseFloat(seaworthy.AttrOf(e.Attrs, name), 64)
		if err != nil || v < 0 {
			return 0
		}
		return v
	}
	epss, kind := value("epss"), seaworthy.AttrOf(e.Attrs, "type")
	switch kind {
	case "epss":
		epss = max(epss, value("score"))
	case "cvss":
		g.cvss = max(g.cvss, min(value("score"), 10))
	}
	g.epss = max(g.epss, min(epss, 1))
	g.kev = g.kev || kind == "kev" || seaworthy.AttrOf(e.Attrs, "kev") != ""
	g.rated = append(g.rated, e.Document)
}
