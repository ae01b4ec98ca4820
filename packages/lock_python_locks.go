package packages

import (
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

type poetryFile struct {
	File string `toml:"file"`
	Hash string `toml:"hash"`
}

// readPoetryLock reads poetry.lock, of versions 1 and 2. It says nothing of the project itself: what is direct is
// in the pyproject.toml beside it.
func readPoetryLock(f *File) (Facts, error) {
	var lock struct {
		Package []struct {
			Name         string              `toml:"name"`
			Version      string              `toml:"version"`
			Description  string              `toml:"description"`
			Category     string              `toml:"category"`
			Groups       []string            `toml:"groups"`
			Optional     bool                `toml:"optional"`
			Files        []poetryFile        `toml:"files"`
			Dependencies map[string]any      `toml:"dependencies"`
			Extras       map[string][]string `toml:"extras"`
			Source       struct {
				Type      string `toml:"type"`
				URL       string `toml:"url"`
				Resolved  string `toml:"resolved_reference"`
				Reference string `toml:"reference"`
			} `toml:"source"`
		} `toml:"package"`
		Metadata struct {
			Files map[string][]poetryFile `toml:"files"`
		} `toml:"metadata"`
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
		p.Description = from.Description
		switch {
		case from.Category == "dev" || len(from.Groups) > 0 && !slices.Contains(from.Groups, "main"):
			p.Scope = seaworthy.Development
		case from.Optional:
			p.Scope = seaworthy.Optional
		case from.Category == "main" || len(from.Groups) > 0:
			p.Scope = seaworthy.Runtime
		}
		for _, name := range slices.Sorted(maps.Keys(from.Dependencies)) {
			p.Depends = append(p.Depends, poetryDependency(name, from.Dependencies[name], ""))
		}
		switch from.Source.Type {
		case "git":
			pythonSource(&p, from.Source.URL, from.Source.Resolved)
		case "url", "directory", "file":
			pythonSource(&p, from.Source.URL, "")
		}
		if from.Source.URL != "" && p.Ref != "" {
			p.Ref += " " + from.Source.URL
		}
		files := from.Files
		if len(files) == 0 {
			files = lock.Metadata.Files[from.Name]
		}
		var hashes []seaworthy.Digest
		for _, file := range files {
			if d, ok := pythonHash(file.Hash); ok && len(hashes) < maxHashes {
				hashes = append(hashes, d)
			}
		}
		setHashes(&p, hashes)
		index.add(l, p)
	}
	for i := range l.Packages {
		index.edges(l, l.Packages[i].Ref, l.Packages[i].Depends)
	}
	return l.Facts, nil
}

// poetryDependency reads a version, a table, or an array of tables (one for each of several markers).
func poetryDependency(name string, value any, scope seaworthy.Scope) seaworthy.Dependency {
	d := seaworthy.Dependency{Name: name, Scope: scope}
	switch v := value.(type) {
	case string:
		d.Range = v
	case map[string]any:
		d.Range, _ = v["version"].(string)
		if optional, _ := v["optional"].(bool); optional && scope == "" {
			d.Scope = seaworthy.Optional
		}
		for _, key := range [...]string{"git", "url", "path"} {
			if address, ok := v[key].(string); ok && d.Range == "" {
				d.Range = pythonURL(address)
			}
		}
	case []map[string]any:
		if len(v) > 0 {
			return poetryDependency(name, v[0], scope)
		}
	case []any:
		if len(v) > 0 {
			if first, ok := v[0].(map[string]any); ok {
				return poetryDependency(name, first, scope)
			}
		}
	}
	return d
}

type uvDependency struct {
	Name    string `toml:"name"`
	Version string `toml:"version"`
	Marker  string `toml:"marker"`
}

type uvPackage struct {
	Name     string                    `toml:"name"`
	Version  string                    `toml:"version"`
	Source   map[string]any            `toml:"source"`
	Depends  []uvDependency            `toml:"dependencies"`
	Optional map[string][]uvDependency `toml:"optional-dependencies"`
	Dev      map[string][]uvDependency `toml:"dev-dependencies"`
	Sdist    uvFile                    `toml:"sdist"`
	Wheels   []uvFile                  `toml:"wheels"`
}

type uvFile struct {
	URL  string `toml:"url"`
	Hash string `toml:"hash"`
}

// readUVLock reads uv.lock. Packages whose source is a directory of the tree are projects.
func readUVLock(f *File) (Facts, error) {
	var lock struct {
		Package []uvPackage `toml:"package"`
	}
	if err := readTOML(f, &lock); err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	index := pythonIndex{}
	byVersion := map[string]string{}
	refs := make([]string, len(lock.Package))
	for i := range lock.Package {
		from := &lock.Package[i]
		if from.Name == "" {
			l.problem(seaworthy.Invalid, "a package has no name")
			continue
		}
		p := from.locked()
		if p.Role == seaworthy.Application {
			if known := l.project(p.Ref, "pypi"); known.Name == "" {
				*known = p
			}
			index[pythonName(p.Name)] = append(index[pythonName(p.Name)], p.Ref)
			l.resolves(pythonName(p.Name), p.Ref)
		} else {
			index.add(l, p)
		}
		refs[i] = p.Ref
		byVersion[p.Name+"@"+p.Version] = p.Ref
	}
	for i := range lock.Package {
		from := &lock.Package[i]
		for _, group := range from.groups() {
			for _, d := range group.depends {
				if to, ok := byVersion[d.Name+"@"+d.Version]; ok && refs[i] != "" {
					l.dependsOn(refs[i], to, group.scope)
				} else if refs[i] != "" {
					index.edges(l, refs[i], []seaworthy.Dependency{{Name: d.Name, Scope: group.scope}})
				}
			}
		}
	}
	return l.Facts, nil
}

type uvGroup struct {
	depends []uvDependency
	scope   seaworthy.Scope
}

func (u *uvPackage) groups() []uvGroup {
	out := []uvGroup{{u.Depends, ""}}
	for _, name := range slices.Sorted(maps.Keys(u.Optional)) {
		out = append(out, uvGroup{u.Optional[name], seaworthy.Optional})
	}
	for _, name := range slices.Sorted(maps.Keys(u.Dev)) {
		out = append(out, uvGroup{u.Dev[name], seaworthy.Development})
	}
	return out
}

func (u *uvPackage) locked() seaworthy.Package {
	p := seaworthy.Package{Ref: u.Name + "@" + u.Version, Ecosystem: "pypi", Name: u.Name, Version: u.Version}
	source := func(key string) string { s, _ := u.Source[key].(string); return s }
	for _, key := range [...]string{"editable", "virtual", "directory"} {
		if dir := source(key); dir != "" {
			p.Ref, p.Role = path.Clean(dir), seaworthy.Application
			return p
		}
	}
	for _, group := range u.groups() {
		for _, d := range group.depends {
			p.Depends = append(p.Depends, seaworthy.Dependency{Name: d.Name, Scope: group.scope})
		}
	}
	switch {
	case source("git") != "":
		address, commit, _ := strings.Cut(source("git"), "#")
		pythonSource(&p, address, commit)
	case source("url") != "":
		pythonSource(&p, source("url"), "")
	case source("path") != "":
		pythonSource(&p, source("path"), "")
	default:
		p.Download = cleanDownload(u.Sdist.URL)
		if p.Download == "" && len(u.Wheels) > 0 {
			p.Download = cleanDownload(u.Wheels[0].URL)
		}
	}
	if len(u.Source) > 0 && source("registry") == "" {
		p.Ref += " " + p.PURL
	}
	var hashes []seaworthy.Digest
	for _, file := range append([]uvFile{u.Sdist}, u.Wheels...) {
		if d, ok := pythonHash(file.Hash); ok && len(hashes) < maxHashes {
			hashes = append(hashes, d)
		}
	}
	setHashes(&p, hashes)
	return p
}

// pipenvPackage is an entry of Pipfile.lock.
type pipenvPackage struct {
	Version jsonText        `json:"version"`
	Hashes  []jsonText      `json:"hashes"`
	Markers jsonText        `json:"markers"`
	Extras  []jsonText      `json:"extras"`
	Git     jsonText        `json:"git"`
	Ref     jsonText        `json:"ref"`
	Path    jsonText        `json:"path"`
	File    jsonText        `json:"file"`
	Rest    json.RawMessage `json:"-"`
}

// readPipfileLock reads Pipfile.lock. It has no edges; what is direct is in the Pipfile beside it.
func readPipfileLock(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	var lock map[string]json.RawMessage
	if err := json.Unmarshal(stripBOM(b), &lock); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	l := newLockFacts(f)
	index := pythonIndex{}
	groups := slices.Sorted(maps.Keys(lock))
	if i := slices.Index(groups, "default"); i > 0 { // what is needed at run time is so in every group
		groups = append([]string{"default"}, slices.Delete(groups, i, i+1)...)
	}
	for _, group := range groups {
		if group == "_meta" {
			continue
		}
		var entries map[string]pipenvPackage
		if err := json.Unmarshal(lock[group], &entries); err != nil {
			return Facts{}, lockInvalid(f.Path, err)
		}
		scope := seaworthy.Development
		if group == "default" {
			scope = seaworthy.Runtime
		}
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			index.add(l, entries[name].locked(name, scope))
		}
	}
	return l.Facts, nil
}

func (e pipenvPackage) locked(name string, scope seaworthy.Scope) seaworthy.Package {
	p := seaworthy.Package{Ecosystem: "pypi", Name: name, Version: pythonExact(string(e.Version)), Scope: scope}
	p.Ref = name + "@" + p.Version
	switch {
	case e.Git != "":
		pythonSource(&p, string(e.Git), string(e.Ref))
	case e.File != "":
		pythonSource(&p, string(e.File), "")
	case e.Path != "":
		pythonSource(&p, string(e.Path), "")
	}
	if e.Markers != "" {
		p.Properties = append(p.Properties, seaworthy.Property{Name: "marker", Value: string(e.Markers)})
	}
	var hashes []seaworthy.Digest
	for _, h := range e.Hashes {
		if d, ok := pythonHash(string(h)); ok && len(hashes) < maxHashes {
			hashes = append(hashes, d)
		}
	}
	setHashes(&p, hashes)
	return p
}
