package deps

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/seaworthy-dev/seaworthy"
)

// Row is one dependency of one manifest.
type Row struct {
	Name      string `json:"name"`
	Version   string `json:"version,omitempty"`
	Range     string `json:"range,omitempty"` // what the manifest asks for, where no version is known
	Ecosystem string `json:"ecosystem"`       // purl type
	// Source is the tree or snapshot it is of, where there are several.
	Source       string          `json:"source,omitempty"`
	Manifest     string          `json:"manifest"` // the file that says so, a lock file before others
	Relationship Relationship    `json:"relationship"`
	Scope        seaworthy.Scope `json:"scope"`
	Licence      string          `json:"licence,omitempty"` // SPDX expression
	// Path is a shortest chain that brought it in, from the project to itself, by name. It is empty when none is
	// known, and "…" stands in it for what was left out of one longer than MaxPath.
	Path []string `json:"path"`
	PURL string   `json:"purl,omitempty"`
	// Pinned says of a GitHub Action, reusable workflow or image whether it is named by a commit or digest, which
	// nobody can move.
	Pinned          *bool           `json:"pinned,omitempty"`
	Vulnerabilities []Vulnerability `json:"vulnerabilities"` // worst first

	node int32
}

// Vulnerability is what a Finding says of a dependency.
type Vulnerability struct {
	ID        string             `json:"id"`
	Severity  seaworthy.Severity `json:"severity"`
	Score     float64            `json:"score,omitempty"` // CVSS, 0–10
	Risk      float64            `json:"risk"`            // 0–100
	Fixed     string             `json:"fixed,omitempty"` // the first repaired version
	Exploited bool               `json:"exploited"`       // in CISA's catalogue
	Summary   string             `json:"summary,omitempty"`
}

// MaxPath is the most steps of a chain that a Row shows.
const MaxPath = 64

// Matcher finds the vulnerabilities of a bill's packages. The Ref of each Finding is that of its package.
type Matcher func(*seaworthy.Bill) ([]seaworthy.Finding, error)

// Match lets a matcher look at all dependencies whose version is known. Errors: the matcher's.
func (g *Graph) Match(match Matcher) error {
	bill := &seaworthy.Bill{}
	for i := range g.nodes {
		if n := &g.nodes[i]; !n.project && n.Version != "" {
			p := *n.Package
			p.Ref = strconv.Itoa(i)
			p.Evidence, p.Depends = nil, nil
			bill.Packages = append(bill.Packages, p)
		}
	}
	findings, err := match(bill)
	if err != nil {
		return err
	}
	for i := range findings {
		f := &findings[i]
		at, err := strconv.Atoi(f.Ref)
		if err != nil || at < 0 || at >= len(g.nodes) {
			return seaworthy.Errorf(seaworthy.Internal, "a finding is about %q, which was not asked about", f.Ref)
		}
		g.nodes[at].vulns = append(g.nodes[at].vulns, Vulnerability{
			ID: f.ID, Severity: f.Severity, Score: f.Score, Risk: f.Risk, Fixed: f.Fixed, Exploited: f.KEV != nil, Summary: f.Summary,
		})
	}
	for i := range g.nodes {
		slices.SortStableFunc(g.nodes[i].vulns, func(a, b Vulnerability) int {
			return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.Risk, a.Risk), cmp.Compare(a.ID, b.ID))
		})
	}
	g.matched, g.looked = true, len(bill.Packages)
	return nil
}

// Matched reports whether a matcher has looked, and at how many dependencies.
func (g *Graph) Matched() (bool, int) { return g.matched, g.looked }

// Select returns the dependencies that f lets through: vulnerable ones first, the worst at the top, then by name,
// version, source and manifest.
func (g *Graph) Select(f Filter) []Row {
	rows := []Row{}
	for i := range g.nodes {
		if g.nodes[i].project {
			continue
		}
		if row := g.row(int32(i)); f.Match(&row) {
			row.Path = g.chain(int32(i))
			rows = append(rows, row)
		}
	}
	worst := func(r *Row) Vulnerability {
		if len(r.Vulnerabilities) == 0 {
			return Vulnerability{}
		}
		return r.Vulnerabilities[0]
	}
	slices.SortStableFunc(rows, func(a, b Row) int {
		va, vb := worst(&a), worst(&b)
		return cmp.Or(
			cmp.Compare(min(1, len(b.Vulnerabilities)), min(1, len(a.Vulnerabilities))),
			cmp.Compare(vb.Severity, va.Severity), cmp.Compare(vb.Risk, va.Risk))
	})
	return rows
}

// row is node n as a Row, without its Path.
func (g *Graph) row(n int32) Row {
	p := &g.nodes[n]
	r := Row{
		Name: p.Name, Version: p.Version, Ecosystem: p.Ecosystem, Manifest: p.manifest(), Relationship: p.rel,
		Scope: cmp.Or(p.Scope, seaworthy.Runtime), Licence: licenceOf(p.Package), PURL: p.PURL, Vulnerabilities: p.vulns, node: n,
	}
	if r.Version == "" {
		r.Range = p.Property(propertyRange)
	}
	if len(g.sources) > 1 {
		r.Source = g.sources[p.source]
	}
	if pinned := p.Property(propertyPinned); pinned != "" {
		yes := pinned == "true"
		r.Pinned = &yes
	}
	if r.Vulnerabilities == nil {
		r.Vulnerabilities = []Vulnerability{}
	}
	return r
}

// chain lists the names on the shortest chain to n, cut to MaxPath steps, or nothing where no chain is known.
func (g *Graph) chain(n int32) []string {
	p := &g.nodes[n]
	if p.parent < 0 {
		if p.rel == Direct && p.home >= 0 {
			return []string{g.nodes[p.home].Name, p.Name}
		}
		return []string{}
	}
	steps := min(int(p.depth)+1, MaxPath)
	out := make([]string, steps)
	for i := steps - 1; i > 0; i-- {
		out[i] = g.nodes[n].Name
		n = g.nodes[n].parent
	}
	out[0] = g.nodes[p.home].Name
	if int(p.depth)+1 > MaxPath {
		out[1] = "…"
	}
	return out
}

// Manifest is a file that dependencies were found in.
type Manifest struct {
	Source       string `json:"source,omitempty"`
	Path         string `json:"path"`
	Ecosystem    string `json:"ecosystem"`
	Dependencies int    `json:"dependencies"`
	Direct       int    `json:"direct"`
}

// Manifests lists the files that dependencies or projects were found in, by source, path and ecosystem. A file
// that only adds to what another says of the same dependencies has none of its own.
func (g *Graph) Manifests() []Manifest {
	type key struct {
		source          int32
		path, ecosystem string
	}
	found := map[key]*Manifest{}
	at := func(n *node, p, ecosystem string) *Manifest {
		k := key{n.source, p, ecosystem}
		if found[k] == nil {
			found[k] = &Manifest{Path: p, Ecosystem: ecosystem}
			if len(g.sources) > 1 {
				found[k].Source = g.sources[n.source]
			}
		}
		return found[k]
	}
	for i := range g.nodes {
		n := &g.nodes[i]
		for k, e := range n.Evidence {
			if m := at(n, e.Path, n.Ecosystem); !n.project && k == 0 {
				m.Dependencies++
				if n.rel == Direct {
					m.Direct++
				}
			}
		}
	}
	out := make([]Manifest, 0, len(found))
	for _, m := range found {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b Manifest) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Ecosystem, b.Ecosystem))
	})
	return out
}

// Summary counts dependencies.
type Summary struct {
	Dependencies int `json:"dependencies"`
	Direct       int `json:"direct"`
	Transitive   int `json:"transitive"`
	Inconclusive int `json:"inconclusive"`
	Vulnerable   int `json:"vulnerable"`
	NotPinned    int `json:"notPinned"` // actions and images that can be moved
}

// Summarise counts rows.
func Summarise(rows []Row) Summary {
	s := Summary{Dependencies: len(rows)}
	for i := range rows {
		switch rows[i].Relationship {
		case Direct:
			s.Direct++
		case Transitive:
			s.Transitive++
		default:
			s.Inconclusive++
		}
		if len(rows[i].Vulnerabilities) > 0 {
			s.Vulnerable++
		}
		if pinned := rows[i].Pinned; pinned != nil && !*pinned {
			s.NotPinned++
		}
	}
	return s
}
