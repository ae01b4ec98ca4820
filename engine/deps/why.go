package deps

import (
	"cmp"
	"container/heap"
	"slices"

	"github.com/seaworthy-dev/seaworthy"
)

// Answer is why a package is there.
type Answer struct {
	Package string `json:"package"` // as it was asked for
	// Found are all packages that are called so, each with the projects it is part of: first those that somebody
	// asked for, then by version, source and manifest.
	Found []Presence `json:"found"`
	// Cut says that there was too much to look at: the last of Found are without their chains.
	Cut bool `json:"cut,omitempty"`
}

// Presence is one version of a package in one manifest, and what brought it in.
type Presence struct {
	Step
	Ecosystem    string          `json:"ecosystem"`
	Source       string          `json:"source,omitempty"`
	Manifest     string          `json:"manifest"`
	Relationship Relationship    `json:"relationship"`
	Scope        seaworthy.Scope `json:"scope"`
	// Chains are by project, in order of their names. There are none when the file does not say who needs it.
	Chains []Chains `json:"chains"`
}

// Chains are ways from a project to a package.
type Chains struct {
	Project  string   `json:"project"`
	Manifest string   `json:"manifest"`
	Paths    [][]Step `json:"paths"` // from the project to the package, shortest first
	More     bool     `json:"more"`  // there are further ones, or may be
}

// Step is a package on the way.
type Step struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"` // or range
}

func (g *Graph) step(n int32) Step { return Step{g.nodes[n].Name, g.nodes[n].version()} }

// Limits of Why.
const (
	// maxLinks is how many beginnings of chains from one project are kept: some tens of megabytes.
	maxLinks = 1 << 20
	// maxChain is the longest chain that is looked for besides the shortest one, and the most steps that are told of
	// that: what is in the middle of a longer one is "…".
	maxChain = 512
	// maxProjects is from how many projects chains to one package are told.
	maxProjects = 1000
	// maxWork is how many steps are looked at for one answer; some seconds' worth.
	maxWork = 1 << 25
)

// Why finds the chains that lead from projects to a package, for each project at most most, the shortest first:
// all the shortest ones, and then those that are longer. No chain passes a package twice. name is as for find:
// a name, name@version or a package URL. Errors: NotFound.
func (g *Graph) Why(name string, most int) (*Answer, error) {
	found := g.dependencies(name)
	if len(found) == 0 {
		return nil, missing(name)
	}
	slices.SortStableFunc(found, func(a, b int32) int {
		x, y := &g.nodes[a], &g.nodes[b]
		return cmp.Or(cmp.Compare(x.asked(), y.asked()), cmp.Compare(x.version(), y.version()), cmp.Compare(x.source, y.source),
			cmp.Compare(x.manifest(), y.manifest()))
	})
	a := &Answer{Package: name}
	work := maxWork
	for _, target := range found {
		n := &g.nodes[target]
		p := Presence{
			Step: g.step(target), Ecosystem: n.Ecosystem, Manifest: n.manifest(), Relationship: n.rel, Scope: g.row(target).Scope, Chains: []Chains{},
		}
		if len(g.sources) > 1 {
			p.Source = g.sources[n.source]
		}
		if work > 0 {
			s := search{g: g, target: target, work: &work}
			s.measure()
			for _, project := range s.projects() {
				paths, more := s.chains(project, most)
				if len(paths) == 0 && more {
					paths = [][]Step{s.shortest(project)}
				}
				p.Chains = append(p.Chains, Chains{g.nodes[project].Name, g.nodes[project].manifest(), paths, more})
			}
		} else {
			a.Cut = true
		}
		a.Found = append(a.Found, p)
	}
	return a, nil
}

// dependencies is find without the trees' own projects, unless there is nothing else of the name.
func (g *Graph) dependencies(name string) []int32 {
	var found, projects []int32
	for _, n := range g.find(name) {
		if g.nodes[n].project {
			projects = append(projects, n)
		} else {
			found = append(found, n)
		}
	}
	if len(found) == 0 {
		return projects
	}
	return found
}

// search looks for chains to one target.
type search struct {
	g        *Graph
	target   int32
	distance map[int32]int32 // steps to the target, of all that lead there
	links    []link
	open     []int32 // a heap of links
	work     *int    // what is left of maxWork
}

// measure walks backwards from the target.
func (s *search) measure() {
	s.distance = map[int32]int32{s.target: 0}
	queue := []int32{s.target}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for _, by := range s.g.neededBy(n) {
			*s.work--
			if _, seen := s.distance[by]; !seen {
				s.distance[by] = s.distance[n] + 1
				queue = append(queue, by)
			}
		}
	}
}

// shortest is one of the shortest chains, its middle left out where it is longer than maxChain.
func (s *search) shortest(project int32) []Step {
	out := []Step{s.g.step(project)}
	for n, left := project, s.distance[project]; left > 0; left-- {
		for _, next := range s.g.needs(n) {
			if d, leads := s.distance[next]; leads && d == left-1 {
				n = next
				break
			}
		}
		switch told := len(out); {
		case told < maxChain/2, int(left) <= maxChain/2:
			out = append(out, s.g.step(n))
		case told == maxChain/2:
			out = append(out, Step{Name: "…"})
		}
	}
	return out
}

// link is the last step of a beginning of a chain.
type link struct {
	node, before int32 // before is a link, -1 for the first
	length       int32
	least        int32 // steps of the shortest chain that begins so
}

// projects lists those that lead to the target, in order, at most maxProjects.
func (s *search) projects() []int32 {
	var out []int32
	for n := range s.g.nodes {
		if _, leads := s.distance[int32(n)]; leads && s.g.nodes[n].project && int32(n) != s.target {
			if out = append(out, int32(n)); len(out) == maxProjects {
				break
			}
		}
	}
	return out
}

// chains lists chains from one project, shortest first. Every beginning that is kept leads to the target, and the
// one whose shortest end is nearest is carried on first.
func (s *search) chains(project int32, most int) (paths [][]Step, more bool) {
	s.links, s.open = s.links[:0], s.open[:0]
	s.push(link{project, -1, 0, s.distance[project]})
	for len(s.open) > 0 {
		if *s.work <= 0 {
			return paths, true
		}
		at, _ := heap.Pop(s).(int32)
		last := s.links[at]
		if last.node == s.target {
			if len(paths) == most {
				return paths, true
			}
			paths = append(paths, s.path(at))
			continue
		}
		if last.length >= maxChain {
			more = true
			continue
		}
		for _, next := range s.g.needs(last.node) {
			*s.work--
			left, leads := s.distance[next]
			if !leads || s.passes(at, next) {
				continue
			}
			if len(s.links) >= maxLinks {
				return paths, true
			}
			s.push(link{next, at, last.length + 1, last.length + 1 + left})
		}
	}
	return paths, more
}

// passes reports whether the chain that ends at a link has node in it.
func (s *search) passes(at, node int32) bool {
	*s.work -= int(s.links[at].length) / 8
	for ; at >= 0; at = s.links[at].before {
		if s.links[at].node == node {
			return true
		}
	}
	return false
}

func (s *search) path(at int32) []Step {
	out := make([]Step, s.links[at].length+1)
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = s.g.step(s.links[at].node)
		at = s.links[at].before
	}
	return out
}

func (s *search) push(l link) {
	s.links = append(s.links, l)
	heap.Push(s, int32(len(s.links)-1))
}

// Len, Less, Swap, Push and Pop are container/heap's.
func (s *search) Len() int { return len(s.open) }

// Less puts the shortest whole first, then the one that is further on, then the older: that keeps the order of
// names.
func (s *search) Less(i, j int) bool {
	a, b := &s.links[s.open[i]], &s.links[s.open[j]]
	switch {
	case a.least != b.least:
		return a.least < b.least
	case a.length != b.length:
		return a.length > b.length
	}
	return s.open[i] < s.open[j]
}

// Swap exchanges two.
func (s *search) Swap(i, j int) { s.open[i], s.open[j] = s.open[j], s.open[i] }

// Push adds one at the end.
func (s *search) Push(x any) {
	if at, ok := x.(int32); ok {
		s.open = append(s.open, at)
	}
}

// Pop takes the last.
func (s *search) Pop() any {
	last := s.open[len(s.open)-1]
	s.open = s.open[:len(s.open)-1]
	return last
}
