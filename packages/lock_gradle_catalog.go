package packages

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// readGradleCatalog reads [versions], [libraries], [bundles] and [plugins]. The name of an entry, as scripts write it, is
// the first of Any; that of each bundle it is in follows.
func readGradleCatalog(f *File) (Facts, error) {
	var m struct {
		Versions  map[string]any      `toml:"versions"`
		Libraries map[string]any      `toml:"libraries"`
		Plugins   map[string]any      `toml:"plugins"`
		Bundles   map[string][]string `toml:"bundles"`
	}
	if err := readTOML(f, &m); err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	dir := here
	if baseIs(path.Dir(f.Path), "gradle") {
		dir = ".."
	}
	p := l.project(dir, "maven")
	bundles := map[string][]string{} // by library
	for _, bundle := range slices.Sorted(maps.Keys(m.Bundles)) {
		for _, library := range m.Bundles[bundle] {
			bundles[library] = append(bundles[library], gradleAccessor("bundles."+bundle))
		}
	}
	for _, alias := range slices.Sorted(maps.Keys(m.Libraries)) {
		if d := gradleEntry(m.Libraries[alias], m.Versions); d.Name != "" {
			d.Any = append([]string{gradleAccessor(alias)}, bundles[alias]...)
			p.Depends = append(p.Depends, d)
		}
	}
	for _, alias := range slices.Sorted(maps.Keys(m.Plugins)) {
		if d := gradleEntry(m.Plugins[alias], m.Versions); d.Name != "" {
			d.Any, d.Scope = []string{gradleAccessor("plugins." + alias)}, seaworthy.Build
			p.Depends = append(p.Depends, d)
		}
	}
	return l.Facts, nil
}

// gradleAccessor is how scripts write the name of an entry: every separator is a dot.
func gradleAccessor(alias string) string {
	return strings.ToLower(strings.NewReplacer("-", ".", "_", ".").Replace(alias))
}

// gradleEntry reads "group:name:version", or a table with module, or group and name, or id of a plugin; and version.
func gradleEntry(entry any, versions map[string]any) seaworthy.Dependency {
	if s, ok := entry.(string); ok {
		i := strings.LastIndexByte(s, ':')
		if i <= 0 {
			return seaworthy.Dependency{}
		}
		if !strings.Contains(s[:i], ":") { // id:version
			return seaworthy.Dependency{Name: gradlePlugin(s[:i]), Range: s[i+1:]}
		}
		return seaworthy.Dependency{Name: s[:i], Range: s[i+1:]}
	}
	table, _ := entry.(map[string]any)
	text := func(key string) string { s, _ := table[key].(string); return s }
	d := seaworthy.Dependency{Name: text("module"), Range: gradleVersion(table["version"], versions)}
	if text("group") != "" && text("name") != "" {
		d.Name = text("group") + ":" + text("name")
	}
	if id := text("id"); id != "" {
		d.Name = gradlePlugin(id)
	}
	if !strings.Contains(d.Name, ":") {
		return seaworthy.Dependency{}
	}
	return d
}

// gradleVersion reads "1.0", { ref = "name" } or a rich version, of which the strictest word counts.
func gradleVersion(v any, versions map[string]any) string {
	for range 2 { // a reference leads to a version and not to another reference
		switch version := v.(type) {
		case string:
			return version
		case map[string]any:
			if ref, ok := version["ref"].(string); ok && versions != nil {
				v, versions = versions[ref], nil
				continue
			}
			for _, key := range [...]string{"strictly", "require", "prefer"} {
				if s, ok := version[key].(string); ok {
					if p, ok := version["prefer"].(string); ok && strings.ContainsAny(s, "[(") {
						return p
					}
					return s
				}
			}
		}
		return ""
	}
	return ""
}

// gradleCatalog is a version catalog: what its entries are, by the name scripts have for them.
type gradleCatalog struct {
	dir, name string
	entries   map[string][]int // into depends
	depends   []seaworthy.Dependency
	used      []bool
}

// gradleCatalogKey is the directory of the project that has the catalog, and the catalog's name.
func gradleCatalogKey(f *Facts) string {
	dir := joinDir(path.Dir(f.Path), f.Packages[0].Ref)
	return dir + "\n" + strings.TrimSuffix(path.Base(f.Path), ".versions.toml")
}

func newGradleCatalog(f *Facts) *gradleCatalog {
	dir, name, _ := strings.Cut(gradleCatalogKey(f), "\n")
	c := &gradleCatalog{dir: dir, name: name, entries: map[string][]int{}, depends: f.Packages[0].Depends}
	c.used = make([]bool, len(c.depends))
	for i, d := range c.depends {
		for _, accessor := range d.Any {
			c.entries[accessor] = append(c.entries[accessor], i)
		}
	}
	return c
}

// gradleResolved returns a copy of the Facts of a build script that names coordinates in place of catalog entries.
// A dotted name that no catalog has is something else. room is how many entries may still be named.
func gradleResolved(f Facts, catalogs map[string]*gradleCatalog, room *int) Facts {
	f.Packages = slices.Clone(f.Packages)
	seen := map[declared]bool{}
	for i := range f.Packages {
		p := &f.Packages[i]
		var depends []seaworthy.Dependency
		for _, d := range p.Depends {
			if strings.Contains(d.Name, ":") {
				depends = append(depends, d)
				continue
			}
			key := declared{d.Name, "", d.Scope}
			if seen[key] {
				continue
			}
			seen[key] = true
			name, accessor, _ := strings.Cut(d.Name, ".")
			for dir := path.Dir(f.Path); ; dir = path.Dir(dir) {
				if c := catalogs[dir+"\n"+name]; c != nil {
					for _, at := range c.entries[strings.ToLower(accessor)] {
						if *room--; *room < 0 {
							f.Problems = append(slices.Clip(f.Problems), seaworthy.Problem{
								Where: f.Path, Code: seaworthy.TooLarge, Detail: "left out: the build scripts of this tree name too much of catalogs",
							})
							return f
						}
						c.used[at] = true
						depends = append(depends, seaworthy.Dependency{Name: c.depends[at].Name, Range: c.depends[at].Range, Scope: d.Scope})
					}
					break
				}
				if dir == here || dir == "/" {
					break
				}
			}
		}
		p.Depends = depends
	}
	return f
}

// rest returns a copy of the catalog's Facts with only what no script names.
func (c *gradleCatalog) rest(f Facts) Facts {
	f.Packages = slices.Clone(f.Packages)
	var depends []seaworthy.Dependency
	for i, d := range f.Packages[0].Depends {
		if !c.used[i] {
			d.Any = nil
			depends = append(depends, d)
		}
	}
	f.Packages[0].Depends = depends
	return f
}
