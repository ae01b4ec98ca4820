package packages

import (
	"path"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// nugetCentral is the file that gives the versions for all projects below it.
const nugetCentral = "Directory.Packages.props"

// centralScope marks, in the Facts of a Directory.Packages.props alone, a version that is there for those who ask.
const centralScope seaworthy.Scope = "central"

// expand replaces $(Name) by the property of that name in the same file, once; the result is bounded.
func (r *nugetXML) expand(s string) string {
	const most = 256
	at := strings.Index(s, "$(")
	end := strings.IndexByte(s, ')')
	if at < 0 || end < at {
		return s
	}
	if v, ok := r.values[s[at:end+1]]; ok && len(s)+len(v) < most {
		return s[:at] + v + s[end+1:]
	}
	return s
}

// maxGlobal is how many packages a Directory.Packages.props may give to all projects.
const maxGlobal = 1000

// joinNuGet gives what projects ask for without a version that of the nearest Directory.Packages.props above. Such a
// file is a project of its own only where there is none below it.
func joinNuGet(all []Facts) Joined {
	central := map[string]map[string]seaworthy.Dependency{} // by directory, by name
	global := map[string][]seaworthy.Dependency{}           // by directory: what all projects are given
	for i := range all {
		if !baseIs(all[i].Path, nugetCentral) || len(all[i].Packages) == 0 {
			continue
		}
		versions := map[string]seaworthy.Dependency{}
		for _, d := range all[i].Packages[0].Depends {
			versions[strings.ToLower(d.Name)] = d
			if dir := path.Dir(all[i].Path); d.Scope != centralScope && len(global[dir]) < maxGlobal {
				global[dir] = append(global[dir], d)
			}
		}
		central[path.Dir(all[i].Path)] = versions
	}
	if len(central) == 0 {
		return nugetFamily.join(all)
	}
	used := map[string]bool{} // directories with projects in or below them
	all = slices.Clone(all)
	for i := range all {
		if !isMSBuild(all[i].Path) {
			continue
		}
		dir := path.Dir(all[i].Path)
		for central[dir] == nil && dir != here && dir != "/" {
			dir = path.Dir(dir)
		}
		if versions := central[dir]; versions != nil {
			used[dir] = true
			all[i] = nugetVersioned(all[i], versions, global[dir])
		}
	}
	out := all[:0]
	for i := range all {
		if baseIs(all[i].Path, nugetCentral) {
			if used[path.Dir(all[i].Path)] {
				continue
			}
			all[i] = nugetVersioned(all[i], nil, nil)
		}
		out = append(out, all[i])
	}
	return nugetFamily.join(out)
}

// nugetVersioned returns a copy of the Facts of a project in which what has no version has that of versions, and
// what all projects are given is asked for too.
func nugetVersioned(f Facts, versions map[string]seaworthy.Dependency, global []seaworthy.Dependency) Facts {
	f.Packages = slices.Clone(f.Packages)
	for i := range f.Packages {
		p := &f.Packages[i]
		p.Depends = slices.Clone(p.Depends)
		for k := range p.Depends {
			d := &p.Depends[k]
			if d.Range == "" {
				d.Range = versions[strings.ToLower(d.Name)].Range
			}
			if d.Scope == centralScope {
				d.Scope = ""
			}
		}
	}
	if len(f.Packages) > 0 {
		f.Packages[0].Depends = append(f.Packages[0].Depends, global...)
		sortDepends(f.Packages[0].Depends)
	}
	return f
}
