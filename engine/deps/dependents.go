package deps

import "slices"

// Dependents are who uses a package.
type Dependents struct {
	Package  string    `json:"package"` // as it was asked for
	Projects []Project `json:"projects"`
	// Packages are those through which projects use it, and those nobody knows a project of.
	Packages []Dependent `json:"packages"`
	Direct   int         `json:"direct"`     // projects that name it themselves
	Indirect int         `json:"transitive"` // projects that others brought it to
}

// Project is a project that uses a package, in one version.
type Project struct {
	Name         string       `json:"name"`
	Source       string       `json:"source"`   // the tree or snapshot it is in
	Manifest     string       `json:"manifest"` // of the project
	Version      string       `json:"version,omitempty"`
	Relationship Relationship `json:"relationship"`
	// Path is a shortest chain to it, as in a Row; it is empty where the manifest does not say who needs it.
	Path []string `json:"path"`
}

// Dependent is a package that depends on another.
type Dependent struct {
	Step
	Ecosystem string `json:"ecosystem"`
	Source    string `json:"source"`
	Direct    bool   `json:"direct"`   // it asks for the package itself
	Distance  int    `json:"distance"` // steps to the package
}

// maxVersions is for how many versions of a package users are told apart; those of all further ones are told as
// users of the nearest of them. Each version costs one walk.
const maxVersions = 64

// Dependents walks backwards from a package to all that use it. name is as for Why. Errors: NotFound.
func (g *Graph) Dependents(name string) (*Dependents, error) {
	found := g.dependencies(name)
	if len(found) == 0 {
		return nil, missing(name)
	}
	d := &Dependents{Package: name, Projects: []Project{}, Packages: []Dependent{}}
	nearest := map[int32]int32{} // package to its distance
	for _, group := range g.byVersion(found) {
		d.add(g, group, nearest)
	}
	for n, distance := range nearest {
		p := &g.nodes[n]
		d.Packages = append(d.Packages, Dependent{g.step(n), p.Ecosystem, g.sources[p.source], distance == 1, int(distance)})
	}
	slices.SortFunc(d.Projects, func(a, b Project) int {
		return first(text(a.Source, b.Source), text(a.Name, b.Name), text(a.Manifest, b.Manifest), text(a.Version, b.Version))
	})
	slices.SortFunc(d.Packages, func(a, b Dependent) int {
		return first(a.Distance-b.Distance, text(a.Name, b.Name), text(a.Version, b.Version), text(a.Source, b.Source))
	})
	uses := map[[3]string]Relationship{}
	for _, p := range d.Projects {
		key := [3]string{p.Source, p.Name, p.Manifest}
		if uses[key] != Direct {
			uses[key] = p.Relationship
		}
	}
	for _, rel := range uses {
		if rel == Direct {
			d.Direct++
		} else {
			d.Indirect++
		}
	}
	return d, nil
}

func text(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func first(values ...int) int {
	for _, v := range values {
		if v != 0 {
			return v
		}
	}
	return 0
}

// byVersion divides nodes by ecosystem and version.
func (g *Graph) byVersion(found []int32) [][]int32 {
	type key struct{ ecosystem, version string }
	index := map[key]int{}
	var groups [][]int32
	for _, n := range found {
		k := key{g.nodes[n].Ecosystem, g.nodes[n].version()}
		at, ok := index[k]
		if !ok {
			at = min(len(groups), maxVersions-1)
			index[k] = at
			if at == len(groups) {
				groups = append(groups, nil)
			}
		}
		groups[at] = append(groups[at], n)
	}
	return groups
}

// add walks backwards from all targets at once.
func (d *Dependents) add(g *Graph, targets []int32, nearest map[int32]int32) {
	next := map[int32]int32{} // the step towards the target; a target leads to itself
	distance := map[int32]int32{}
	told := map[int32]bool{}
	queue := make([]int32, 0, len(targets))
	for _, t := range targets {
		next[t] = t
		queue = append(queue, t)
	}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for _, by := range g.neededBy(n) {
			if _, seen := next[by]; seen {
				continue
			}
			next[by], distance[by] = n, distance[n]+1
			queue = append(queue, by)
			if g.nodes[by].project {
				told[by] = true
				d.Projects = append(d.Projects, g.user(by, next))
				continue
			}
			if old, ok := nearest[by]; !ok || distance[by] < old {
				nearest[by] = distance[by]
			}
		}
	}
	for _, t := range targets {
		// Its manifest lists it without saying who needs it.
		if n := &g.nodes[t]; n.parent < 0 && n.home >= 0 && n.home != t && !told[n.home] {
			told[n.home] = true
			p := g.user(n.home, map[int32]int32{n.home: t, t: t})
			if p.Relationship = n.rel; n.rel != Direct {
				p.Path = []string{}
			}
			d.Projects = append(d.Projects, p)
		}
	}
}

// user describes a project that leads to the package by next.
func (g *Graph) user(project int32, next map[int32]int32) Project {
	p := &g.nodes[project]
	out := Project{Name: p.Name, Source: g.sources[p.source], Manifest: p.manifest(), Relationship: Transitive, Path: []string{p.Name}}
	at := project
	for next[at] != at {
		at = next[at]
		if len(out.Path) < MaxPath-1 {
			out.Path = append(out.Path, g.nodes[at].Name)
		} else if len(out.Path) == MaxPath-1 {
			out.Path = append(out.Path, "…")
		}
	}
	if len(out.Path) == MaxPath {
		out.Path = append(out.Path, g.nodes[at].Name)
	}
	out.Version = g.nodes[at].version()
	if len(out.Path) == 2 {
		out.Relationship = Direct
	}
	return out
}
