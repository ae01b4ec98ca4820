package packages

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// lockFamily is what the joining of lock files and manifests needs to know of an ecosystem.
type lockFamily struct {
	ecosystem string
	// name brings a name into the form two equal names share; nil means they are compared as they are.
	name func(string) string
	// purl makes the package URL of a package of the default registry.
	purl func(name, version string) string
	// exact returns the one version a range allows, or "".
	exact func(rng string) string
	// manifest reports whether a file is written by people rather than by the tool.
	manifest func(base string) bool
	// ask returns what else a dependency may be called in the lock file, most precise first; nil means
	// "name@range" and name.
	ask func(name, rng string) []string
}

// join puts manifests and lock files together: those of one directory are one project, and a manifest without
// a lock file of its own belongs to the nearest one above that covers it (a workspace).
//
// A package that one lock file has in several places is one package with the dependencies of all of them.
// Packages of different lock files stay apart, so a path from a project to a package is one that really exists.
func (fam *lockFamily) join(all []Facts) Joined {
	j := &lockJoin{fam: fam, units: map[string]*lockUnit{}, refs: map[string]int{}, edges: map[seaworthy.Relation]bool{}}
	for i := range all {
		j.unit(path.Dir(all[i].Path)).take(fam, &all[i])
	}
	j.dirs = slices.Sorted(maps.Keys(j.units))
	for _, dir := range j.dirs {
		j.placePackages(j.units[dir])
	}
	for _, dir := range j.dirs {
		j.placeMembers(j.units[dir])
	}
	slices.Sort(j.dirs)
	j.dirs = slices.Compact(j.dirs)
	for _, dir := range j.dirs {
		j.nameProject(j.units[dir])
	}
	for _, dir := range j.dirs {
		j.placeEdges(j.units[dir])
	}
	for _, dir := range j.dirs {
		j.placeAsked(j.units[dir])
	}
	return j.finish()
}

// lockUnit is a directory with manifests or lock files.
type lockUnit struct {
	dir     string
	files   []*Facts // manifests first
	project *lockPackage
	// said are the project's packages of all files, with the Path of the file.
	said []projectEntry
	// packages by purl or name and version; local by file and Ref; asked by what resolvesTo names.
	packages map[string]*lockPackage
	local    map[localRef]*lockPackage
	asked    map[string]*lockPackage
	globs    []string
	locked   bool // some file says which versions there are
}

type projectEntry struct {
	pkg  *seaworthy.Package
	path string
	by   string
}

type localRef struct {
	file *Facts
	ref  string
}

// lockPackage is a package of the result.
type lockPackage struct {
	seaworthy.Package
	unit    *lockUnit
	out     []lockEdge
	depends map[declared]bool // what Depends holds, once something was added to it
}

type lockEdge struct {
	to    *lockPackage
	scope seaworthy.Scope
}

type lockJoin struct {
	fam   *lockFamily
	units map[string]*lockUnit
	dirs  []string
	all   []*lockPackage
	refs  map[string]int
	edges map[seaworthy.Relation]bool
}

func (j *lockJoin) unit(dir string) *lockUnit {
	u := j.units[dir]
	if u == nil {
		u = &lockUnit{
			dir: dir, packages: map[string]*lockPackage{}, local: map[localRef]*lockPackage{}, asked: map[string]*lockPackage{},
		}
		j.units[dir] = u
	}
	return u
}

func (u *lockUnit) take(fam *lockFamily, f *Facts) {
	if fam.manifest != nil && fam.manifest(path.Base(f.Path)) {
		at := 0
		for at < len(u.files) && fam.manifest(path.Base(u.files[at].Path)) {
			at++
		}
		u.files = slices.Insert(u.files, at, f)
		return
	}
	u.files = append(u.files, f)
}

func (j *lockJoin) norm(name string) string {
	if j.fam.name != nil {
		return j.fam.name(name)
	}
	return name
}

// placePackages makes one package of all entries of a directory's files that are the same.
func (j *lockJoin) placePackages(u *lockUnit) {
	for _, f := range u.files {
		for i := range f.Packages {
			p := f.Packages[i]
			if p.Role == seaworthy.Application {
				continue
			}
			u.locked = true
			if p.PURL == "" && j.fam.purl != nil {
				p.PURL = j.fam.purl(p.Name, p.Version)
			}
			key := cmp.Or(p.PURL, p.Name+"@"+p.Version)
			have := u.packages[key]
			if have == nil {
				have = &lockPackage{Package: p, unit: u}
				have.Evidence = []seaworthy.Evidence{{Path: f.Path, By: f.By}}
				have.Ref = key + "#" + f.Path
				u.packages[key] = have
				j.keep(have)
			} else {
				have.merge(&p, f)
			}
			u.local[localRef{f, p.Ref}] = have
		}
	}
}

// keep puts p into the result.
func (j *lockJoin) keep(p *lockPackage) {
	p.Ref = j.unique(p.Ref)
	j.all = append(j.all, p)
}

// unique returns ref, or ref and a number when another package has it.
func (j *lockJoin) unique(ref string) string {
	j.refs[ref]++
	if n := j.refs[ref]; n > 1 {
		return j.unique(ref + " (" + strconv.Itoa(n) + ")")
	}
	return ref
}

// merge adds what another entry says of the same package.
func (have *lockPackage) merge(p *seaworthy.Package, f *Facts) {
	if last := have.Evidence[len(have.Evidence)-1]; last.Path != f.Path {
		have.Evidence = append(have.Evidence, seaworthy.Evidence{Path: f.Path, By: f.By})
	}
	have.Scope = widerScope(have.Scope, p.Scope)
	have.Direct = have.Direct || p.Direct
	if len(have.Hashes) == 0 {
		have.Hashes, have.HashOf = p.Hashes, p.HashOf
	}
	have.Download = cmp.Or(have.Download, p.Download)
	have.Licences.Declared = cmp.Or(have.Licences.Declared, p.Licences.Declared)
	have.Description = cmp.Or(have.Description, p.Description)
	have.Homepage = cmp.Or(have.Homepage, p.Homepage)
	for _, d := range p.Depends {
		have.addDepends(d)
	}
}

// addDepends keeps d unless the package has said the same already.
func (have *lockPackage) addDepends(d seaworthy.Dependency) {
	if have.depends == nil {
		have.depends = make(map[declared]bool, len(have.Depends)+1)
		for _, h := range have.Depends {
			have.depends[declared{h.Name, h.Range, h.Scope}] = true
		}
		have.Depends = slices.Clip(have.Depends) // it is still shared with the Facts
	}
	if key := (declared{d.Name, d.Range, d.Scope}); !have.depends[key] {
		have.depends[key] = true
		have.Depends = append(have.Depends, d)
	}
}

type declared struct {
	name, rng string
	scope     seaworthy.Scope
}

// placeMembers hands each project a file speaks of to the directory it is in.
func (j *lockJoin) placeMembers(u *lockUnit) {
	for _, f := range u.files {
		for i := range f.Packages {
			p := &f.Packages[i]
			if p.Role != seaworthy.Application {
				continue
			}
			dir := joinDir(u.dir, p.Ref)
			if _, ok := j.units[dir]; !ok {
				j.dirs = append(j.dirs, dir)
			}
			home := j.unit(dir)
			home.said = append(home.said, projectEntry{p, f.Path, f.By})
			if p.Ref == here {
				if globs := p.Property("workspaces"); globs != "" {
					u.globs = strings.Fields(globs)
				}
			}
			if home.project == nil {
				home.project = &lockPackage{unit: home}
				home.project.Role = seaworthy.Application
				home.project.Ecosystem = j.fam.ecosystem
				j.all = append(j.all, home.project)
			}
			u.local[localRef{f, p.Ref}] = home.project
		}
	}
}

// nameProject decides what a directory's project is called, from its manifest before any other file.
func (j *lockJoin) nameProject(u *lockUnit) {
	if u.project == nil {
		if len(u.files) == 0 || u.ofAbove() {
			return
		}
		u.project = &lockPackage{unit: u}
		u.project.Role, u.project.Ecosystem = seaworthy.Application, j.fam.ecosystem
		u.said = append(u.said, projectEntry{&seaworthy.Package{}, u.files[0].Path, u.files[0].By})
		j.all = append(j.all, u.project)
	}
	own := u.project
	sort.SliceStable(u.said, func(a, b int) bool { return j.rank(u, u.said[a]) < j.rank(u, u.said[b]) })
	purl := ""
	for _, s := range u.said {
		own.Name, own.Version = cmp.Or(own.Name, s.pkg.Name), cmp.Or(own.Version, s.pkg.Version)
		own.Description, own.Homepage = cmp.Or(own.Description, s.pkg.Description), cmp.Or(own.Homepage, s.pkg.Homepage)
		own.Licences.Declared = cmp.Or(own.Licences.Declared, s.pkg.Licences.Declared)
		purl = cmp.Or(purl, s.pkg.PURL)
		if !slices.ContainsFunc(own.Evidence, func(e seaworthy.Evidence) bool { return e.Path == s.path }) {
			own.Evidence = append(own.Evidence, seaworthy.Evidence{Path: s.path, By: s.by})
		}
		for _, p := range s.pkg.Properties {
			if p.Name != "workspaces" && own.Property(p.Name) == "" {
				own.Properties = append(own.Properties, p)
			}
		}
	}
	if own.Name != "" && purl == "" && j.fam.purl != nil {
		purl = j.fam.purl(own.Name, own.Version)
	}
	own.PURL = purl
	if own.Name == "" {
		// Nobody gave it a name: its directory is what people call it.
		if own.Name = path.Base(u.dir); own.Name == here {
			own.Name = own.Evidence[0].Path
		}
	}
	own.Ref = j.unique(cmp.Or(own.PURL, j.fam.ecosystem+":"+own.Name) + "#" + own.Evidence[0].Path)
}

// ofAbove reports whether a file says that it is for a project in a directory above.
func (u *lockUnit) ofAbove() bool {
	return slices.ContainsFunc(u.files, func(f *Facts) bool {
		return slices.ContainsFunc(f.Packages, func(p seaworthy.Package) bool {
			return p.Role == seaworthy.Application && strings.HasPrefix(p.Ref, "..")
		})
	})
}

func (j *lockJoin) rank(u *lockUnit, s projectEntry) int {
	switch {
	case path.Dir(s.path) == u.dir && j.fam.manifest != nil && j.fam.manifest(path.Base(s.path)):
		return 0
	case path.Dir(s.path) == u.dir:
		return 1
	}
	return 2
}

// placeEdges turns relations between a file's local Refs into relations of the result.
func (j *lockJoin) placeEdges(u *lockUnit) {
	for _, f := range u.files {
		for _, r := range f.Relations {
			to := u.local[localRef{f, r.To}]
			if to == nil {
				continue
			}
			if r.Type == resolvesTo {
				if u.asked[r.From] == nil {
					u.asked[r.From] = to
				}
				continue
			}
			if from := u.local[localRef{f, r.From}]; from != nil {
				j.edge(from, to, r.Scope)
			}
		}
	}
}

func (j *lockJoin) edge(from, to *lockPackage, scope seaworthy.Scope) {
	if from == to {
		return
	}
	r := seaworthy.Relation{From: from.Ref, Type: seaworthy.DependsOn, To: to.Ref, Scope: scope}
	if scope == seaworthy.Runtime {
		r.Scope = ""
	}
	if j.edges[r] {
		return
	}
	j.edges[r] = true
	from.out = append(from.out, lockEdge{to, cmp.Or(scope, seaworthy.Runtime)})
	if from.Role == seaworthy.Application && to.Role != seaworthy.Application {
		to.Direct = true
	}
}

// finish gives every package the scope of what needs it, and sorts.
func (j *lockJoin) finish() Joined {
	j.spreadScopes()
	var out Joined
	for _, p := range j.all {
		if p.Scope == seaworthy.Runtime {
			p.Scope = ""
		}
		out.Packages = append(out.Packages, p.Package)
	}
	slices.SortStableFunc(out.Packages, func(a, b seaworthy.Package) int { return cmp.Compare(a.Ref, b.Ref) })
	for r := range j.edges {
		out.Relations = append(out.Relations, r)
	}
	slices.SortFunc(out.Relations, func(a, b seaworthy.Relation) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Scope, b.Scope))
	})
	return out
}
