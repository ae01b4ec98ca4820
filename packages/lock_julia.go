package packages

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// lockJulia reads Manifest.toml, of formats 1 and 2, and Project.toml (pkgdocs.julialang.org/v1/toml-files). Other
// tools have files of these names: without a UUID they are not Julia's.
var lockJulia = Recogniser{
	Name: "julia-lock", Version: 1, Lock: true,
	Wants: func(p string, _ int64, _ fs.FileMode) bool {
		return (isJuliaManifest(p) || baseIs(p, "Project.toml", "JuliaProject.toml")) && inTree(p)
	},
	Read: func(f *File) (Facts, error) {
		if isJuliaManifest(f.Path) {
			return readJuliaManifest(f)
		}
		return readJuliaProject(f)
	},
	Join: func(_ Context, all []Facts) Joined { return joinJulia(all) },
}

var juliaFamily = lockFamily{
	ecosystem: "julia",
	exact: func(rng string) string {
		if v, ok := strings.CutPrefix(rng, "="); ok && isVersion(strings.TrimSpace(v), 3) {
			return strings.TrimSpace(v)
		}
		return ""
	},
	manifest: func(base string) bool { return base == "Project.toml" || base == "JuliaProject.toml" },
}

// isJuliaManifest also takes the manifests for one version of Julia: Manifest-v1.11.toml.
func isJuliaManifest(p string) bool {
	base := strings.TrimPrefix(p[strings.LastIndexByte(p, '/')+1:], "Julia")
	return base == "Manifest.toml" || strings.HasPrefix(base, "Manifest-v") && strings.HasSuffix(base, ".toml")
}

func juliaPURL(name, version, uuid string) string {
	return purl.New("julia", "", name, version, "uuid", uuid)
}

// readJuliaManifest reads entries by name; a name may have several, which their UUIDs tell apart.
func readJuliaManifest(f *File) (Facts, error) {
	var lock map[string]any
	if err := readTOML(f, &lock); err != nil {
		return Facts{}, err
	}
	entries := lock
	if lock["manifest_format"] != nil {
		entries, _ = lock["deps"].(map[string]any)
	}
	l := newLockFacts(f)
	l.project(here, "julia")
	byName := map[string][]string{} // UUIDs
	depends := map[string]any{}     // what the entry of a UUID says
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		each, _ := entries[name].([]map[string]any)
		for _, entry := range each {
			uuid, _ := entry["uuid"].(string)
			if uuid == "" || l.has(uuid) {
				continue
			}
			byName[name] = append(byName[name], uuid)
			depends[uuid] = entry["deps"]
			l.add(juliaLocked(name, uuid, entry))
			l.resolves(name, uuid)
		}
	}
	if len(byName) == 0 && lock["manifest_format"] == nil && lock["julia_version"] == nil {
		return Facts{}, nil
	}
	for _, p := range l.Packages[1:] {
		switch to := depends[p.Ref].(type) {
		case []any: // names, where there is only one of each
			for _, name := range to {
				s, _ := name.(string)
				if uuids := byName[s]; len(uuids) == 1 {
					l.dependsOn(p.Ref, uuids[0], "")
				}
			}
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(to)) {
				if uuid, _ := to[name].(string); l.has(uuid) {
					l.dependsOn(p.Ref, uuid, "")
				}
			}
		}
	}
	return l.Facts, nil
}

func juliaLocked(name, uuid string, entry map[string]any) seaworthy.Package {
	text := func(key string) string { s, _ := entry[key].(string); return s }
	p := seaworthy.Package{Ref: uuid, Ecosystem: "julia", Name: name, Version: text("version")}
	p.PURL = juliaPURL(name, p.Version, uuid)
	if repository := cleanDownload(text("repo-url")); repository != "" {
		p.Download = vcsURL(repository, text("repo-rev"))
		p.PURL = purl.New("julia", "", name, p.Version, "uuid", uuid, "vcs_url", p.Download)
	}
	switch {
	case text("path") != "":
		p.Properties = []seaworthy.Property{{Name: "source", Value: text("path")}}
	case text("git-tree-sha1") != "":
		p.Properties = []seaworthy.Property{{Name: "git-tree-sha1", Value: text("git-tree-sha1")}}
	case p.Version == "":
		p.Properties = []seaworthy.Property{{Name: "source", Value: "part of Julia"}}
	}
	return p
}

// readJuliaProject keeps the UUID of what is asked for in Any, for Join.
func readJuliaProject(f *File) (Facts, error) {
	var m struct {
		Name    string              `toml:"name"`
		UUID    string              `toml:"uuid"`
		Version string              `toml:"version"`
		Depends map[string]any      `toml:"deps"`
		Weak    map[string]any      `toml:"weakdeps"`
		Extras  map[string]any      `toml:"extras"`
		Compat  map[string]any      `toml:"compat"`
		Targets map[string][]string `toml:"targets"`
	}
	if err := readTOML(f, &m); err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	p := l.project(here, "julia")
	p.Name, p.Version = m.Name, m.Version
	if m.UUID != "" {
		p.PURL = juliaPURL(m.Name, m.Version, m.UUID)
	}
	add := func(table map[string]any, scope seaworthy.Scope) {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			uuid, _ := table[name].(string)
			rng, _ := m.Compat[name].(string)
			if uuid != "" {
				p.Depends = append(p.Depends, seaworthy.Dependency{Name: name, Range: rng, Scope: scope, Any: []string{uuid}})
			}
		}
	}
	add(m.Depends, "")
	add(m.Weak, seaworthy.Optional)
	tests := map[string]any{}
	for _, target := range m.Targets {
		for _, name := range target {
			if m.Extras[name] != nil && m.Weak[name] == nil {
				tests[name] = m.Extras[name]
			}
		}
	}
	add(tests, seaworthy.Test)
	if m.UUID == "" && len(p.Depends) == 0 {
		return Facts{}, nil
	}
	return l.Facts, nil
}

// joinJulia gives what nothing has locked the UUID that a Project.toml knows it by.
func joinJulia(all []Facts) Joined {
	type asked struct{ dir, name string }
	uuids := map[asked]string{}
	all = slices.Clone(all)
	for i := range all {
		all[i].Packages = slices.Clone(all[i].Packages)
		for k := range all[i].Packages {
			p := &all[i].Packages[k]
			p.Depends = slices.Clone(p.Depends)
			for n := range p.Depends {
				if d := &p.Depends[n]; len(d.Any) == 1 {
					uuids[asked{path.Dir(all[i].Path), d.Name}] = d.Any[0]
					d.Any = nil
				}
			}
		}
	}
	joined := juliaFamily.join(all)
	for i := range joined.Packages {
		p := &joined.Packages[i]
		if p.PURL == "" && p.Role != seaworthy.Application {
			p.PURL = juliaPURL(p.Name, p.Version, uuids[asked{path.Dir(p.Evidence[0].Path), p.Name}])
		}
	}
	return joined
}
