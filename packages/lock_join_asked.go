package packages

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// placeAsked leads what manifests ask for to what was locked. What nothing has locked becomes a package with
// the version an exact pin names, or without one and with the range as its property "range".
func (j *lockJoin) placeAsked(u *lockUnit) {
	if u.project == nil {
		return
	}
	lock := j.lockOf(u)
	have := map[string]bool{}
	for _, e := range u.project.out {
		have[j.norm(e.to.Name)] = true
	}
	for _, s := range u.said {
		for _, d := range s.pkg.Depends {
			u.project.addDepends(d)
			if to := j.lookUp(u, lock, d); to != nil {
				j.edge(u.project, to, d.Scope)
				have[j.norm(to.Name)] = true
				continue
			}
			if u.project.PURL != "" && j.norm(d.Name) == j.norm(u.project.Name) {
				continue // one of its own extras
			}
			if have[j.norm(d.Name)] {
				continue // a lock file has it under a name or range we could not match
			}
			if lock != nil && lock.locked && (d.Scope == seaworthy.Optional || d.Scope == seaworthy.Provided) {
				continue // locked without it
			}
			j.edge(u.project, j.unlocked(u, s, d), d.Scope)
		}
	}
}

// lockOf returns the unit whose lock file speaks for u: its own, or the nearest above that covers it.
func (j *lockJoin) lockOf(u *lockUnit) *lockUnit {
	if u.locked {
		return u
	}
	for dir := u.dir; dir != here && dir != "/"; {
		dir = path.Dir(dir)
		up := j.units[dir]
		if up == nil || !up.locked {
			continue
		}
		for _, s := range u.said {
			if path.Dir(s.path) == dir {
				return up // its lock file names this directory
			}
		}
		rel := strings.TrimPrefix(u.dir, dir+"/")
		if slices.ContainsFunc(up.globs, func(g string) bool { return globCovers(g, rel) }) {
			return up
		}
		if own := u.project; own.Name != "" && up.asked[projectAsked(own.Name)] != nil {
			return up
		}
	}
	return u
}

// projectAsked is how a lock file that names its workspace's members, but not where they are, says so.
func projectAsked(name string) string { return "project " + name }

// askedIn is how a lock file says what a name means to one of several projects.
func askedIn(dir, name string) string { return "in " + dir + ": " + name }

// globCovers reports whether the workspace pattern g ("packages/*", "apps/**") covers rel.
func globCovers(g, rel string) bool {
	g = strings.TrimPrefix(strings.TrimSuffix(g, "/"), "./")
	if before, ok := strings.CutSuffix(g, "/**"); ok {
		return strings.HasPrefix(rel, before+"/")
	}
	ok, err := path.Match(g, rel)
	return err == nil && ok
}

func (j *lockJoin) lookUp(u, lock *lockUnit, d seaworthy.Dependency) *lockPackage {
	if lock == nil {
		return nil
	}
	if to := lock.asked[askedIn(u.dir, j.norm(d.Name))]; to != nil {
		return to
	}
	var names []string
	if j.fam.ask != nil {
		names = j.fam.ask(d.Name, d.Range)
	} else {
		names = []string{d.Name + "@" + d.Range, j.norm(d.Name)}
	}
	for _, name := range names {
		if to := lock.asked[name]; to != nil {
			return to
		}
	}
	return nil
}

// unlocked returns the package a manifest asks for and nothing has locked.
func (j *lockJoin) unlocked(u *lockUnit, s projectEntry, d seaworthy.Dependency) *lockPackage {
	version := ""
	if j.fam.exact != nil {
		version = j.fam.exact(d.Range)
	}
	p := seaworthy.Package{Ecosystem: j.fam.ecosystem, Name: d.Name, Version: version, Scope: d.Scope}
	if version == "" && d.Range != "" {
		p.Properties = []seaworthy.Property{{Name: "range", Value: d.Range}}
	}
	if j.fam.purl != nil {
		p.PURL = j.fam.purl(d.Name, version)
	}
	key := cmp.Or(p.PURL, p.Name+"@"+p.Version)
	if version == "" {
		key += " " + d.Range // two files may ask for different ranges
	}
	if have := u.packages[key]; have != nil {
		have.Scope = widerScope(have.Scope, cmp.Or(d.Scope, seaworthy.Runtime))
		return have
	}
	made := &lockPackage{Package: p, unit: u}
	made.Evidence = []seaworthy.Evidence{{Path: s.path, By: s.by}}
	made.Ref = cmp.Or(p.PURL, p.Name) + "#" + s.path
	if version == "" && d.Range != "" && j.refs[made.Ref] > 0 {
		made.Ref += " " + d.Range
	}
	u.packages[key] = made
	j.keep(made)
	return made
}
