// Package deps is the dependency graph of source trees: what each manifest and lock file asks for, what that
// brings along, and why.
//
//	source := deps.FromReport(name, report)      // of engine/inspect.Tree
//	graph := deps.New(source)
//	rows := graph.Select(filter)                 // vulnerable first
//	answer, err := graph.Why("ms", 10)           // the chains that lead to a package
//	answer, err := graph.Dependents("ms")        // who uses it, over many trees
//
// A Graph is made once and then only read. Its edges are kept as numbers in two slices, so that a million
// packages cost some tens of megabytes beside the packages themselves; every walk over it is linear and keeps its
// own stack.
//
// # What is direct
//
// A dependency is direct when a project's manifest names it; transitive when a chain leads from a project to it,
// or when its manifest says that something else needs it (go.mod's "// indirect"); and inconclusive when its file
// lists it and nothing says why.
//
// # Where several speak of one manifest
//
// Snapshots (package format/snapshot) that are laid over a tree with Overlay win over what is read from the tree,
// manifest by manifest: who builds a project knows best what it resolved to. Of one detector and job correlator
// only the newest snapshot counts; where different detectors speak of one manifest, the one whose correlator
// comes first in the alphabet does; two correlators of one detector are put together. These are the rules of
// GitHub's dependency graph.
package deps

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/inspect"
	"github.com/seaworthy-dev/seaworthy/packages"
)

// Source is one tree or snapshot: its projects and their dependencies, and what leads from one to another.
type Source struct {
	Name      string // as the person named it
	Packages  []seaworthy.Package
	Relations []seaworthy.Relation
	Problems  []seaworthy.Problem
}

// Relationship says who asked for a dependency.
type Relationship string

// The relationships; the package documentation says what each means.
const (
	Direct       Relationship = "direct"
	Transitive   Relationship = "transitive"
	Inconclusive Relationship = "inconclusive"
)

// propertyIndirect is how recognisers and snapshots say that something else needs the package; propertyRange is
// what a manifest asks for where no version is known; propertyPinned whether an action is named by what nobody
// can move.
const (
	propertyIndirect = "indirect"
	propertyRange    = "range"
	propertyPinned   = "pinned"
)

// FromReport takes out of a report what manifests and lock files say. What is installed below the tree
// (node_modules, virtual environments, binaries) is no dependency by itself, but tells the licences of those that
// are.
func FromReport(name string, r *inspect.Report) Source {
	s := Source{Name: name}
	for _, p := range r.Problems {
		// What could not be opened may have been a manifest, or a directory with some.
		if !fetched(p.Where) && (p.Code == seaworthy.Storage || isManifest(p.Where)) {
			s.Problems = append(s.Problems, p)
		}
	}
	locks := make(map[string]bool)
	for i := range packages.Table {
		if packages.Table[i].Lock {
			locks[packages.Table[i].Name] = true
		}
	}
	licences := map[string]seaworthy.Licences{}
	for i := range r.Packages {
		p := r.Packages[i]
		evidence := slices.DeleteFunc(slices.Clone(p.Evidence), func(e seaworthy.Evidence) bool { return !locks[e.By] || fetched(e.Path) })
		if len(evidence) > 0 {
			p.Evidence = evidence
			s.Packages = append(s.Packages, p)
			continue
		}
		if p.PURL != "" && (p.Licences.Declared != "" || p.Licences.Concluded != "") {
			licences[p.PURL] = p.Licences
		}
	}
	kept := make(map[string]bool, len(s.Packages))
	for i := range s.Packages {
		p := &s.Packages[i]
		kept[p.Ref] = true
		if licenceOf(p) == "" {
			if l, ok := licences[p.PURL]; ok {
				p.Licences = l
			}
		}
	}
	for _, rel := range r.Relations {
		if rel.Type == seaworthy.DependsOn && kept[rel.From] && kept[rel.To] {
			s.Relations = append(s.Relations, rel)
		}
	}
	return s
}

// isManifest reports whether a file is one that tells dependencies, by its name.
func isManifest(p string) bool {
	for i := range packages.Table {
		if r := &packages.Table[i]; r.Lock && r.Wants(p, 0, 0) {
			return true
		}
	}
	return false
}

// fetchedDirs hold what package managers put there. A manifest in them is somebody else's.
var fetchedDirs = []string{"node_modules", "bower_components", "site-packages", "dist-packages", ".venv", "vendor"}

// fetched reports whether a file is below one of fetchedDirs.
func fetched(p string) bool {
	dir := path.Dir(p)
	for part := range strings.SplitSeq(dir, "/") {
		if slices.Contains(fetchedDirs, part) {
			return true
		}
	}
	return false
}

// Graph is the packages of one or more sources and the edges between them.
type Graph struct {
	sources []string
	nodes   []node
	// The nodes that node n depends on are to[start[n]:start[n+1]], in order; those that need it are
	// from[back[n]:back[n+1]].
	start, back []int32
	to, from    []int32
	problems    []seaworthy.Problem
	matched     bool
	looked      int // packages a matcher was given
}

// node is a package. Nodes are in order of name, version and Ref.
type node struct {
	*seaworthy.Package
	source  int32
	project bool // it is one of the trees' own: nobody fetches it
	rel     Relationship
	parent  int32 // the one before on a shortest chain from a project, -1 where there is none
	depth   int32 // length of that chain
	home    int32 // the project the chain begins at, else the one whose manifest lists it; -1 for none
	vulns   []Vulnerability
}

// New makes the graph of sources. It keeps what they hold and changes nothing in it. A relation one of whose ends
// is missing is left out.
func New(sources ...Source) *Graph {
	g := &Graph{}
	total := 0
	for i := range sources {
		total += len(sources[i].Packages)
	}
	g.nodes = make([]node, 0, total)
	for i := range sources {
		g.sources = append(g.sources, sources[i].Name)
		g.problems = append(g.problems, sources[i].Problems...)
		for k := range sources[i].Packages {
			p := &sources[i].Packages[k]
			g.nodes = append(g.nodes, node{
				Package: p, source: int32(i), project: p.Role == seaworthy.Application, parent: -1, home: -1, rel: Inconclusive,
			})
		}
	}
	slices.SortStableFunc(g.nodes, func(a, b node) int {
		return cmp.Or(
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.source, b.source), cmp.Compare(a.Ref, b.Ref))
	})
	g.link(sources)
	g.reach()
	g.relate()
	return g
}

type edge struct{ from, to int32 }

// link turns relations between Refs into edges.
func (g *Graph) link(sources []Source) {
	index := make([]map[string]int32, len(sources))
	for i := range index {
		index[i] = make(map[string]int32, len(sources[i].Packages))
	}
	for n := range g.nodes {
		index[g.nodes[n].source][g.nodes[n].Ref] = int32(n)
	}
	var edges []edge
	for i := range sources {
		for _, r := range sources[i].Relations {
			from, okFrom := index[i][r.From]
			to, okTo := index[i][r.To]
			if okFrom && okTo && from != to && r.Type == seaworthy.DependsOn {
				edges = append(edges, edge{from, to})
			}
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	edges = slices.Compact(edges)
	g.start, g.to = pack(len(g.nodes), edges)
	for i, e := range edges {
		edges[i] = edge{e.to, e.from}
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	g.back, g.from = pack(len(g.nodes), edges)
}

// pack puts sorted edges into one slice of ends, and where each node's begin.
func pack(nodes int, edges []edge) (start, to []int32) {
	start, to = make([]int32, nodes+1), make([]int32, len(edges))
	for i, e := range edges {
		start[e.from+1]++
		to[i] = e.to
	}
	for n := range nodes {
		start[n+1] += start[n]
	}
	return start, to
}

func (g *Graph) needs(n int32) []int32    { return g.to[g.start[n]:g.start[n+1]] }
func (g *Graph) neededBy(n int32) []int32 { return g.from[g.back[n]:g.back[n+1]] }

// reach finds a shortest chain from a project to each node: one breadth-first walk from all projects at once.
func (g *Graph) reach() {
	seen := make([]bool, len(g.nodes))
	queue := make([]int32, 0, len(g.nodes))
	for n := range g.nodes {
		if g.nodes[n].project {
			g.nodes[n].home = int32(n)
			seen[n] = true
			queue = append(queue, int32(n))
		}
	}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for _, next := range g.needs(n) {
			if seen[next] {
				continue
			}
			seen[next] = true
			to := &g.nodes[next]
			to.parent, to.depth, to.home = n, g.nodes[n].depth+1, g.nodes[n].home
			queue = append(queue, next)
		}
	}
}

// relate says of each dependency who asked for it, and finds the project of those that no chain leads to: the one
// whose manifest is in the same directory.
func (g *Graph) relate() {
	type place struct {
		source         int32
		ecosystem, dir string
	}
	projects := map[place]int32{}
	for n := range g.nodes {
		if g.nodes[n].project {
			for _, e := range g.nodes[n].Evidence {
				for _, ecosystem := range [...]string{g.nodes[n].Ecosystem, ""} {
					at := place{g.nodes[n].source, ecosystem, path.Dir(e.Path)}
					if _, taken := projects[at]; !taken {
						projects[at] = int32(n)
					}
				}
			}
		}
	}
	for i := range g.nodes {
		n := &g.nodes[i]
		switch {
		case n.project:
			continue
		case n.Direct || n.parent >= 0 && g.nodes[n.parent].project:
			n.rel = Direct
		case n.parent >= 0 || n.Property(propertyIndirect) != "":
			n.rel = Transitive
		}
		if n.home >= 0 {
			continue
		}
		dir := path.Dir(n.manifest())
		home, ok := projects[place{n.source, n.Ecosystem, dir}]
		if !ok {
			home, ok = projects[place{n.source, "", dir}]
		}
		if ok {
			n.home = home
		}
	}
}

func (n *node) manifest() string {
	if len(n.Evidence) == 0 {
		return ""
	}
	return n.Evidence[0].Path
}

// asked is 0 where somebody asked for the package, 1 where it came along.
func (n *node) asked() int {
	if n.rel == Direct {
		return 0
	}
	return 1
}

// version is what is shown for a version: the range where there is only that.
func (n *node) version() string { return cmp.Or(n.Version, n.Property(propertyRange)) }

func licenceOf(p *seaworthy.Package) string { return cmp.Or(p.Licences.Concluded, p.Licences.Declared) }

// Problems are what could not be read of the sources.
func (g *Graph) Problems() []seaworthy.Problem { return g.problems }

// Names lists the names of all dependencies, sorted, each once.
func (g *Graph) Names() []string {
	var names []string
	for i := range g.nodes {
		if n := &g.nodes[i]; !n.project && (len(names) == 0 || names[len(names)-1] != n.Name) {
			names = append(names, n.Name)
		}
	}
	return names
}

// find returns the nodes that name means, dependencies and projects: a name, "name@version", or a package URL
// with or without version. Where nothing has that very name, case does not count.
func (g *Graph) find(name string) []int32 {
	var exact, folded []int32
	for i := range g.nodes {
		n := &g.nodes[i]
		version := n.version()
		bare, _, _ := strings.Cut(n.PURL, "?")
		unversioned := strings.TrimSuffix(bare, "@"+version)
		switch {
		case name == n.Name, name == n.PURL && n.PURL != "", name == bare && bare != "", name == unversioned && bare != "":
			exact = append(exact, int32(i))
		case version != "" && len(name) == len(n.Name)+1+len(version) && name[len(n.Name)] == '@' &&
			strings.HasPrefix(name, n.Name) && strings.HasSuffix(name, version):
			exact = append(exact, int32(i))
		case strings.EqualFold(name, n.Name):
			folded = append(folded, int32(i))
		}
	}
	if len(exact) > 0 {
		return exact
	}
	return folded
}

// missing is the error for a package that is not there.
func missing(name string) error {
	return seaworthy.Errorf(seaworthy.NotFound, "looking for %q: no manifest or lock file names it", name)
}
