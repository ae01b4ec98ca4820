package packages

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/licence"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// lockCargo reads Cargo.lock and Cargo.toml (doc.rust-lang.org/cargo/reference/manifest.html).
var lockCargo = Recogniser{
	Name: "cargo-lock", Version: 1, Lock: true,
	Wants: func(p string, _ int64, _ fs.FileMode) bool { return baseIs(p, "Cargo.lock", "Cargo.toml") && inTree(p) },
	Read: func(f *File) (Facts, error) {
		if baseIs(f.Path, "Cargo.toml") {
			return readCargoToml(f)
		}
		return readCargoLock(f)
	},
	Join: func(_ Context, all []Facts) Joined { return joinCargo(all) },
}

var cargoFamily = lockFamily{
	ecosystem: "cargo",
	name:      func(s string) string { return strings.ReplaceAll(s, "_", "-") },
	purl:      func(name, version string) string { return purl.New("cargo", "", name, version) },
	exact: func(rng string) string {
		v, ok := strings.CutPrefix(rng, "=")
		if v = strings.TrimSpace(v); ok && isVersion(v, 3) {
			return v
		}
		return ""
	},
	manifest: func(base string) bool { return base == "Cargo.toml" },
}

type cargoPackage struct {
	Name         string   `toml:"name"`
	Version      string   `toml:"version"`
	Source       string   `toml:"source"`
	Checksum     string   `toml:"checksum"`
	Dependencies []string `toml:"dependencies"`
}

func (c *cargoPackage) ref() string { return c.Name + " " + c.Version + " (" + c.Source + ")" }

// readCargoLock reads versions 1 to 4. A package without a source is of the workspace itself.
func readCargoLock(f *File) (Facts, error) {
	var lock struct {
		Root     *cargoPackage     `toml:"root"` // before 2017
		Package  []cargoPackage    `toml:"package"`
		Metadata map[string]string `toml:"metadata"`
	}
	if err := readTOML(f, &lock); err != nil {
		return Facts{}, err
	}
	if lock.Root != nil {
		lock.Package = append(lock.Package, *lock.Root)
	}
	l := newLockFacts(f)
	byName := map[string][]*cargoPackage{}
	full := map[string]*cargoPackage{} // "name version" and "name version (source)"
	for i := range lock.Package {
		c := &lock.Package[i]
		if c.Name == "" {
			l.problem(seaworthy.Invalid, "a package has no name")
			continue
		}
		byName[c.Name] = append(byName[c.Name], c)
		full[c.Name+" "+c.Version], full[c.ref()] = c, c
		if c.Checksum == "" {
			c.Checksum = lock.Metadata["checksum "+c.ref()]
		}
		l.add(c.locked())
		if c.Source == "" {
			l.resolves(projectAsked(c.Name), c.ref())
		}
	}
	for i := range lock.Package {
		c := &lock.Package[i]
		for _, d := range c.Dependencies {
			to := full[d]
			if to == nil && len(byName[d]) == 1 {
				to = byName[d][0]
			}
			if to != nil && c.Name != "" {
				l.dependsOn(c.ref(), to.ref(), "")
			}
		}
	}
	return l.Facts, nil
}

func (c *cargoPackage) locked() seaworthy.Package {
	p := seaworthy.Package{Ref: c.ref(), Ecosystem: "cargo", Name: c.Name, Version: c.Version}
	p.PURL = purl.New("cargo", "", c.Name, c.Version)
	for _, d := range c.Dependencies {
		name, version, _ := strings.Cut(d, " ")
		version, _, _ = strings.Cut(version, " ")
		p.Depends = append(p.Depends, seaworthy.Dependency{Name: name, Range: version})
	}
	switch {
	case c.Source == "registry+https://github.com/rust-lang/crates.io-index", strings.HasPrefix(c.Source, "sparse+https://index.crates.io"):
		p.Download = "https://crates.io/api/v1/crates/" + c.Name + "/" + c.Version + "/download"
	case strings.HasPrefix(c.Source, "git+"):
		address, commit, _ := strings.Cut(c.Source, "#")
		p.Download = vcsURL(cleanDownload(address), commit)
		p.PURL = purl.New("cargo", "", c.Name, c.Version, "vcs_url", p.Download)
	case c.Source != "":
		_, index, _ := strings.Cut(c.Source, "+")
		p.PURL = purl.New("cargo", "", c.Name, c.Version, "repository_url", cleanDownload(index))
	}
	if d, err := seaworthy.NewDigest("sha256", c.Checksum); err == nil {
		setHashes(&p, []seaworthy.Digest{d})
	}
	return p
}

// cargoTables are the tables of dependencies that occur at the top of Cargo.toml and for each target.
type cargoTables struct {
	Dependencies map[string]any `toml:"dependencies"`
	Dev          map[string]any `toml:"dev-dependencies"`
	DevOld       map[string]any `toml:"dev_dependencies"`
	Build        map[string]any `toml:"build-dependencies"`
	BuildOld     map[string]any `toml:"build_dependencies"`
}

func readCargoToml(f *File) (Facts, error) {
	var manifest struct {
		cargoTables
		Package struct {
			Name        string `toml:"name"`
			Version     any    `toml:"version"`
			Description any    `toml:"description"`
			Homepage    any    `toml:"homepage"`
			Licence     any    `toml:"license"`
		} `toml:"package"`
		Target    map[string]cargoTables `toml:"target"`
		Workspace *struct {
			Members []string `toml:"members"`
			Package struct {
				Version string `toml:"version"`
				Licence string `toml:"license"`
			} `toml:"package"`
			Dependencies map[string]any `toml:"dependencies"`
		} `toml:"workspace"`
	}
	if err := readTOML(f, &manifest); err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	p := l.project(here, "cargo")
	p.Name = manifest.Package.Name
	p.Version, _ = manifest.Package.Version.(string)
	p.Description, _ = manifest.Package.Description.(string)
	if s, _ := manifest.Package.Homepage.(string); s != "" {
		p.Homepage = cleanDownload(s)
	}
	expression, _ := manifest.Package.Licence.(string)
	if ws := manifest.Workspace; ws != nil {
		if manifest.Package.Name != "" && p.Version == "" {
			p.Version = ws.Package.Version
		}
		p.Properties = append(p.Properties, seaworthy.Property{Name: "workspaces", Value: strings.Join(ws.Members[:min(len(ws.Members), 1000)], " ")})
	}
	if expression != "" {
		p.Licences.Declared = licence.Normalise(strings.ReplaceAll(expression, "/", " OR "))
	}
	manifest.depends(p)
	for _, target := range slices.Sorted(maps.Keys(manifest.Target)) {
		tables := manifest.Target[target]
		tables.depends(p)
	}
	return l.Facts, nil
}

func (t *cargoTables) depends(p *seaworthy.Package) {
	for _, table := range []struct {
		of    map[string]any
		scope seaworthy.Scope
	}{
		{t.Dependencies, ""},
		{t.Build, seaworthy.Build},
		{t.BuildOld, seaworthy.Build},
		{t.Dev, seaworthy.Development},
		{t.DevOld, seaworthy.Development},
	} {
		for _, name := range slices.Sorted(maps.Keys(table.of)) {
			p.Depends = append(p.Depends, cargoDependency(name, table.of[name], table.scope))
		}
	}
}

// cargoDependency reads `name = "1.0"` and `name = { version = "1.0", package = "other", optional = true }`.
func cargoDependency(name string, value any, scope seaworthy.Scope) seaworthy.Dependency {
	d := seaworthy.Dependency{Name: name, Scope: scope}
	switch v := value.(type) {
	case string:
		d.Range = v
	case map[string]any:
		d.Range, _ = v["version"].(string)
		if real, ok := v["package"].(string); ok && real != "" {
			d.Name = real
		}
		if optional, _ := v["optional"].(bool); optional && scope == "" {
			d.Scope = seaworthy.Optional
		}
		if git, ok := v["git"].(string); ok && d.Range == "" {
			commit, _ := v["rev"].(string)
			d.Range = vcsURL(cleanDownload(git), commit)
		}
	}
	return d
}

// joinCargo makes the packages of the workspace itself projects. What they depend on is what their Cargo.toml
// asks for, which also says what for; the lock file says which version of a name that is.
func joinCargo(all []Facts) Joined {
	manifests := map[string][]string{} // directories by name of the project
	for i := range all {
		if !baseIs(all[i].Path, "Cargo.toml") {
			continue
		}
		for k := range all[i].Packages {
			if p := &all[i].Packages[k]; p.Name != "" {
				manifests[p.Name] = append(manifests[p.Name], path.Dir(all[i].Path))
			}
		}
	}
	all = slices.Clone(all)
	for i := range all {
		if baseIs(all[i].Path, "Cargo.lock") {
			all[i] = cargoProjects(all[i], manifests)
		}
	}
	return cargoFamily.join(all)
}

// cargoProjects returns a copy of the Facts of a lock file in which the workspace's packages are projects.
func cargoProjects(f Facts, manifests map[string][]string) Facts {
	dir := path.Dir(f.Path)
	needed := map[string]bool{}
	for _, r := range f.Relations {
		if r.Type == seaworthy.DependsOn {
			needed[r.To] = true
		}
	}
	refs := map[string]string{}    // of projects: old to new
	written := map[string]string{} // of those with a Cargo.toml: their directory
	names := make(map[string]string, len(f.Packages))
	f.Packages = slices.Clone(f.Packages)
	for i := range f.Packages {
		p := &f.Packages[i]
		names[p.Ref] = p.Name
		if !strings.HasSuffix(p.Ref, " ()") {
			continue // it has a source
		}
		rel, ok := "", false
		for _, at := range manifests[p.Name] {
			if rel, ok = below(dir, at); ok {
				written[p.Ref] = at
				break
			}
		}
		if !ok {
			if needed[p.Ref] || len(refs) > 0 {
				continue // a path dependency whose Cargo.toml was not seen
			}
			rel = here
		}
		refs[p.Ref] = rel
		p.Ref, p.Role = rel, seaworthy.Application
		p.Depends = nil
	}
	relations := make([]seaworthy.Relation, 0, len(f.Relations))
	for _, r := range f.Relations {
		name := names[r.To]
		if to, ok := refs[r.To]; ok {
			r.To = to
		}
		if at, ok := written[r.From]; ok && r.Type == seaworthy.DependsOn {
			r = seaworthy.Relation{From: askedIn(at, cargoFamily.name(name)), Type: resolvesTo, To: r.To}
		} else if from, ok := refs[r.From]; ok {
			r.From = from
		}
		relations = append(relations, r)
	}
	f.Relations = relations
	return f
}

// below returns the path from dir to at when at is dir or in it.
func below(dir, at string) (string, bool) {
	if dir == here {
		return at, true
	}
	if dir == at {
		return here, true
	}
	return strings.CutPrefix(at, dir+"/")
}
