package packages

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// readPDMLock reads pdm.lock. A package with extras has an entry of its own for them, which adds to what it asks for.
func readPDMLock(f *File) (Facts, error) {
	var lock struct {
		Package []struct {
			Name         string       `toml:"name"`
			Version      string       `toml:"version"`
			Summary      string       `toml:"summary"`
			Groups       []string     `toml:"groups"`
			Dependencies []string     `toml:"dependencies"`
			Files        []poetryFile `toml:"files"`
			Git          string       `toml:"git"`
			Revision     string       `toml:"revision"`
			URL          string       `toml:"url"`
			Path         string       `toml:"path"`
		} `toml:"package"`
	}
	if err := readTOML(f, &lock); err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	index := pythonIndex{}
	for _, from := range lock.Package {
		if from.Name == "" {
			l.problem(seaworthy.Invalid, "a package has no name")
			continue
		}
		p := seaworthy.Package{Ref: from.Name + "@" + from.Version, Ecosystem: "pypi", Name: from.Name, Version: from.Version}
		p.Description, p.Scope = from.Summary, pdmScope(from.Groups)
		for _, line := range from.Dependencies {
			if r, ok := parseRequirement(line); ok && pythonName(r.name) != pythonName(p.Name) {
				p.Depends = append(p.Depends, r.dependency(""))
			}
		}
		switch {
		case from.Git != "":
			pythonSource(&p, from.Git, from.Revision)
		case from.URL != "":
			pythonSource(&p, from.URL, "")
		case from.Path != "":
			pythonSource(&p, from.Path, "")
		}
		var hashes []seaworthy.Digest
		for _, file := range from.Files {
			if d, ok := pythonHash(file.Hash); ok && len(hashes) < maxHashes {
				hashes = append(hashes, d)
			}
		}
		setHashes(&p, hashes)
		if l.has(p.Ref) {
			have := l.add(p)
			have.Scope = widerScope(have.Scope, p.Scope)
			have.Depends = append(have.Depends, p.Depends...)
			continue
		}
		index.add(l, p)
	}
	for i := range l.Packages {
		index.edges(l, l.Packages[i].Ref, l.Packages[i].Depends)
	}
	return l.Facts, nil
}

// pdmScope is the widest of the groups something is in. A group may be an extra or for development; pdm.lock does
// not tell, so what is known is only what is needed always.
func pdmScope(groups []string) seaworthy.Scope {
	scope := seaworthy.Scope("")
	for _, group := range groups {
		one := groupScope(group)
		if group == "default" {
			one = seaworthy.Runtime
		}
		scope = widerScope(scope, one)
	}
	return scope
}

// isPylock reports whether p is a pylock.toml or pylock.name.toml.
func isPylock(p string) bool {
	name, ok := strings.CutPrefix(p[strings.LastIndexByte(p, '/')+1:], "pylock.")
	return ok && (name == "toml" || strings.HasSuffix(name, ".toml") && strings.Count(name, ".") == 1)
}

// pylockFile is an archive, a source distribution or a wheel.
type pylockFile struct {
	URL    string            `toml:"url"`
	Path   string            `toml:"path"`
	Hashes map[string]string `toml:"hashes"`
}

type pylockPackage struct {
	Name         string           `toml:"name"`
	Version      string           `toml:"version"`
	Marker       string           `toml:"marker"`
	Dependencies []map[string]any `toml:"dependencies"`
	VCS          struct {
		URL    string `toml:"url"`
		Path   string `toml:"path"`
		Commit string `toml:"commit-id"`
	} `toml:"vcs"`
	Directory struct {
		Path string `toml:"path"`
	} `toml:"directory"`
	Archive pylockFile   `toml:"archive"`
	Sdist   pylockFile   `toml:"sdist"`
	Wheels  []pylockFile `toml:"wheels"`
}

// readPylock reads pylock.toml (packaging.python.org, "pylock.toml Specification"). It need not have edges, and does not
// say what is direct.
func readPylock(f *File) (Facts, error) {
	var lock struct {
		Packages []pylockPackage `toml:"packages"`
		Default  []string        `toml:"default-groups"`
	}
	if err := readTOML(f, &lock); err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	index := pythonIndex{}
	refs := make([]string, len(lock.Packages))
	for i := range lock.Packages {
		from := &lock.Packages[i]
		if from.Name == "" {
			l.problem(seaworthy.Invalid, "a package has no name")
			continue
		}
		p := from.locked(lock.Default)
		if refs[i] = p.Ref; p.Role == seaworthy.Application {
			l.project(p.Ref, "pypi").Name = p.Name
			continue
		}
		index.add(l, p)
	}
	for i := range lock.Packages {
		for _, d := range lock.Packages[i].Dependencies {
			name, _ := d["name"].(string)
			version, _ := d["version"].(string)
			for _, to := range index[pythonName(name)] {
				if refs[i] != "" && (version == "" || strings.HasPrefix(to, name+"@"+version)) {
					l.dependsOn(refs[i], to, "")
				}
			}
		}
	}
	return l.Facts, nil
}

func (from *pylockPackage) locked(groups []string) seaworthy.Package {
	p := seaworthy.Package{Ref: from.Name + "@" + from.Version, Ecosystem: "pypi", Name: from.Name, Version: from.Version}
	for _, d := range from.Dependencies {
		if name, _ := d["name"].(string); name != "" {
			p.Depends = append(p.Depends, seaworthy.Dependency{Name: name})
		}
	}
	switch {
	case from.Directory.Path == ".":
		return seaworthy.Package{Ref: here, Role: seaworthy.Application, Name: from.Name}
	case from.Directory.Path != "":
		pythonSource(&p, path.Clean(from.Directory.Path), "")
	case from.VCS.URL != "":
		pythonSource(&p, from.VCS.URL, from.VCS.Commit)
	case from.VCS.Path != "":
		pythonSource(&p, from.VCS.Path, "")
	case from.Archive.URL != "":
		pythonSource(&p, from.Archive.URL, "")
	case from.Archive.Path != "":
		pythonSource(&p, from.Archive.Path, "")
	default:
		p.Download = cleanDownload(from.Sdist.URL)
		if p.Download == "" && len(from.Wheels) > 0 {
			p.Download = cleanDownload(from.Wheels[0].URL)
		}
	}
	if p.PURL != "" {
		p.Ref += " " + p.PURL
	}
	if from.Marker != "" {
		p.Properties = append(p.Properties, seaworthy.Property{Name: "marker", Value: from.Marker})
		p.Scope = markerScope(from.Marker, groups)
	}
	var hashes []seaworthy.Digest
	for _, file := range append([]pylockFile{from.Archive, from.Sdist}, from.Wheels...) {
		for _, alg := range slices.Sorted(maps.Keys(file.Hashes)) {
			if d, err := seaworthy.NewDigest(alg, file.Hashes[alg]); err == nil && len(hashes) < maxHashes {
				hashes = append(hashes, d)
			}
		}
	}
	setHashes(&p, hashes)
	return p
}

// markerScope reads `"test" in dependency_groups` and `"x" in extras`. A package that is in no group, or in one that is
// installed by default, is needed at run time.
func markerScope(marker string, defaults []string) seaworthy.Scope {
	scope := seaworthy.Scope("")
	for rest := marker; ; {
		before, after, ok := strings.Cut(rest, " in dependency_groups")
		if !ok {
			break
		}
		rest = after
		if before = strings.TrimSpace(before); before == "" {
			continue
		}
		end := len(before) - 1
		group := before[strings.LastIndexByte(before[:end], before[end])+1 : end]
		if group == "default" || slices.Contains(defaults, group) {
			return seaworthy.Runtime
		}
		scope = widerScope(scope, groupScope(group))
	}
	if strings.Contains(marker, " in extras") {
		return widerScope(scope, seaworthy.Optional)
	}
	return scope
}
