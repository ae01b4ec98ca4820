package deps

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/licence"
	"github.com/seaworthy-dev/seaworthy/format/purl"
	"github.com/seaworthy-dev/seaworthy/format/snapshot"
)

// Snapshot puts the graph's dependencies into s, which says everything else: one manifest for each file, keyed by
// its path, and in it each package keyed by its package URL. Dependencies without a version have none in it
// either. A package without a package URL cannot be in a snapshot; Snapshot returns how many those are.
//
// What is needed to build or test is "development", as the format knows only that and "runtime".
func (g *Graph) Snapshot(s *snapshot.Snapshot) (left int) {
	s.Manifests = map[string]snapshot.Manifest{}
	for i := range g.nodes {
		n := &g.nodes[i]
		switch {
		case n.project:
			continue
		case n.PURL == "":
			left++
			continue
		}
		key := g.manifestKey(n)
		m, ok := s.Manifests[key]
		if !ok {
			m = snapshot.Manifest{Name: key, File: &snapshot.File{SourceLocation: n.manifest()}, Resolved: map[string]snapshot.Resolved{}}
			s.Manifests[key] = m
		}
		r := m.Resolved[n.PURL]
		r.PackageURL = n.PURL
		r.Relationship = widerRelationship(r.Relationship, n.rel)
		if development(n.Scope) && r.Scope == "" {
			r.Scope = snapshot.Development
		} else if !development(n.Scope) {
			r.Scope = snapshot.Runtime
		}
		if l := licenceOf(n.Package); l != "" {
			r.Metadata = snapshot.Metadata{"licence": snapshot.String(l)}
		}
		for _, to := range g.needs(int32(i)) {
			if t := &g.nodes[to]; !t.project && t.PURL != "" && t.source == n.source && t.manifest() == n.manifest() {
				r.Dependencies = append(r.Dependencies, t.PURL)
			}
		}
		slices.Sort(r.Dependencies)
		r.Dependencies = slices.Compact(r.Dependencies)
		m.Resolved[n.PURL] = r
	}
	return left
}

// manifestKey tells manifests of several sources apart.
func (g *Graph) manifestKey(n *node) string {
	if len(g.sources) < 2 {
		return n.manifest()
	}
	return path.Join(g.sources[n.source], n.manifest())
}

func widerRelationship(have snapshot.Relationship, rel Relationship) snapshot.Relationship {
	switch {
	case rel == Direct:
		return snapshot.Direct
	case rel == Transitive && have != snapshot.Direct:
		return snapshot.Indirect
	}
	return have
}

func development(s seaworthy.Scope) bool {
	return s == seaworthy.Development || s == seaworthy.Build || s == seaworthy.Test
}

// FromSnapshot makes a source of one snapshot. Each manifest becomes a project of its own.
func FromSnapshot(name string, s *snapshot.Snapshot) Source {
	out := Source{Name: name}
	for _, key := range slices.Sorted(maps.Keys(s.Manifests)) {
		m := s.Manifests[key]
		out.addManifest(key, &m, s.Detector.Name)
	}
	return out
}

func (s *Source) addManifest(key string, m *snapshot.Manifest, by string) {
	where := m.Path(key)
	evidence := []seaworthy.Evidence{{Path: where, By: by}}
	project := seaworthy.Package{Ref: "manifest " + key, Role: seaworthy.Application, Name: cmp.Or(m.Name, key), Evidence: evidence}
	ref := func(k string) string { return key + "\x00" + k }
	keys := m.Keys()
	for _, k := range slices.Sorted(maps.Keys(m.Resolved)) {
		r := m.Resolved[k]
		p := seaworthy.Package{Ref: ref(k), Name: k, PURL: r.PURL(), Evidence: evidence, Direct: r.Relationship == snapshot.Direct}
		if u, err := purl.Parse(p.PURL); err == nil {
			p.Ecosystem, p.Name, p.Version = u.Type, u.FullName(), u.Version
			if u.Type == "githubactions" && u.Subpath != "" {
				p.Name += "/" + u.Subpath
			}
		} else {
			s.Problems = append(s.Problems, seaworthy.Problem{Where: where, Code: seaworthy.Invalid, Detail: "package " + quoted(k) + " has no package URL"})
		}
		if r.Relationship == snapshot.Indirect {
			p.Properties = []seaworthy.Property{{Name: propertyIndirect, Value: "true"}}
		}
		if r.Scope == snapshot.Development {
			p.Scope = seaworthy.Development
		}
		for _, member := range [...]string{"licence", "license", "licenses"} {
			if l, ok := r.Metadata[member]; ok && p.Licences.Declared == "" && l != "null" {
				p.Licences.Declared = licence.Normalise(l.Text())
			}
		}
		if p.Direct {
			s.depend(project.Ref, p.Ref)
		}
		for _, d := range r.Dependencies {
			if to, ok := keys[d]; ok {
				s.depend(p.Ref, ref(to))
			}
		}
		project.Ecosystem = cmp.Or(project.Ecosystem, p.Ecosystem)
		s.Packages = append(s.Packages, p)
	}
	s.Packages = append(s.Packages, project)
}

func (s *Source) depend(from, to string) {
	s.Relations = append(s.Relations, seaworthy.Relation{From: from, Type: seaworthy.DependsOn, To: to})
}

// Overlay lays snapshots over a tree, as the package documentation says.
func Overlay(tree Source, snapshots []snapshot.Snapshot) Source {
	chosen := choose(snapshots)
	spoken := map[string]bool{} // paths that snapshots speak of
	out := Source{Name: tree.Name, Problems: tree.Problems}
	for _, c := range chosen {
		spoken[c.path] = true
		out.addManifest(c.key, &c.manifest, c.detector)
	}
	gone := map[string]bool{}
	for _, p := range tree.Packages {
		kept := slices.DeleteFunc(slices.Clone(p.Evidence), func(e seaworthy.Evidence) bool { return spoken[e.Path] })
		if len(kept) == 0 && len(p.Evidence) > 0 {
			gone[p.Ref] = true
			continue
		}
		p.Evidence = kept
		out.Packages = append(out.Packages, p)
	}
	for _, r := range tree.Relations {
		if !gone[r.From] && !gone[r.To] {
			out.Relations = append(out.Relations, r)
		}
	}
	return out
}

// chosenManifest is the one that speaks for a path.
type chosenManifest struct {
	key, path            string
	detector, correlator string
	manifest             snapshot.Manifest
}

func choose(snapshots []snapshot.Snapshot) []chosenManifest {
	type sender struct{ correlator, detector string }
	newest := map[sender]*snapshot.Snapshot{}
	for i := range snapshots {
		s := &snapshots[i]
		by := sender{s.Job.Correlator, s.Detector.Name}
		if old := newest[by]; old == nil || !s.Scanned.Before(old.Scanned) {
			newest[by] = s
		}
	}
	senders := slices.SortedFunc(maps.Keys(newest), func(a, b sender) int {
		return cmp.Or(cmp.Compare(a.correlator, b.correlator), cmp.Compare(a.detector, b.detector))
	})
	var out []chosenManifest
	at := map[string]int{} // path to index in out
	for _, by := range senders {
		s := newest[by]
		for _, key := range slices.Sorted(maps.Keys(s.Manifests)) {
			m := s.Manifests[key]
			p := m.Path(key)
			i, taken := at[p]
			switch {
			case !taken:
				at[p] = len(out)
				m.Resolved = maps.Clone(m.Resolved)
				out = append(out, chosenManifest{key, p, by.detector, by.correlator, m})
			case out[i].detector == by.detector:
				for k, r := range m.Resolved {
					if _, have := out[i].manifest.Resolved[k]; !have {
						if out[i].manifest.Resolved == nil {
							out[i].manifest.Resolved = map[string]snapshot.Resolved{}
						}
						out[i].manifest.Resolved[k] = r
					}
				}
			}
		}
	}
	return out
}

// quoted makes a name fit for a message.
func quoted(s string) string {
	const most = 120
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return "\"" + s + "\""
}
