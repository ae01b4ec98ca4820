package packages

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seaworthy-dev/seaworthy"
)

// pnpmLock is pnpm-lock.yaml, of versions 5.x, 6 and 9 (pnpm/spec, lockfile).
type pnpmLock struct {
	Version      yamlText                `yaml:"lockfileVersion"`
	Importers    map[string]pnpmImporter `yaml:"importers"`
	pnpmImporter `yaml:",inline"`
	Packages     map[string]*pnpmPackage `yaml:"packages"`
	Snapshots    map[string]*pnpmPackage `yaml:"snapshots"` // version 9: what depends on what
}

type pnpmImporter struct {
	Specifiers   map[string]yamlText   `yaml:"specifiers"`
	Dependencies map[string]pnpmDirect `yaml:"dependencies"`
	Dev          map[string]pnpmDirect `yaml:"devDependencies"`
	Optional     map[string]pnpmDirect `yaml:"optionalDependencies"`
}

type pnpmPackage struct {
	Resolution struct {
		Integrity yamlText `yaml:"integrity"`
		Tarball   yamlText `yaml:"tarball"`
		Repo      yamlText `yaml:"repo"`
		Commit    yamlText `yaml:"commit"`
		Directory yamlText `yaml:"directory"`
	} `yaml:"resolution"`
	Name         yamlText            `yaml:"name"`
	Version      yamlText            `yaml:"version"`
	Dev          *bool               `yaml:"dev"`
	Optional     bool                `yaml:"optional"`
	Dependencies map[string]yamlText `yaml:"dependencies"`
	OptionalDeps map[string]yamlText `yaml:"optionalDependencies"`
	Peers        map[string]yamlText `yaml:"peerDependencies"`
}

// yamlText is a scalar as it is written: a version 1.10 stays that. Anything else is "".
type yamlText string

func (t *yamlText) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		*t = yamlText(n.Value)
	}
	return nil
}

// pnpmDirect is a version (5.x), or a specifier and a version (6 and later).
type pnpmDirect struct {
	Specifier yamlText `yaml:"specifier"`
	Version   yamlText `yaml:"version"`
}

func (d *pnpmDirect) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		type plain pnpmDirect
		return n.Decode((*plain)(d))
	}
	return d.Version.UnmarshalYAML(n)
}

func readPNPMLock(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	// pnpm 11 puts a document about itself before that about the project.
	dec := yaml.NewDecoder(bytes.NewReader(b))
	for range maxLockDepth {
		var lock pnpmLock
		if err := dec.Decode(&lock); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return Facts{}, lockInvalid(f.Path, err)
		}
		if lock.Importers == nil {
			lock.Importers = map[string]pnpmImporter{here: lock.pnpmImporter}
		}
		lock.facts(l)
	}
	return l.Facts, nil
}

func (lock *pnpmLock) facts(l *lockFacts) {
	keys := slices.Sorted(maps.Keys(lock.Packages))
	if len(lock.Snapshots) > 0 {
		keys = slices.Sorted(maps.Keys(lock.Snapshots))
	}
	refs := make(map[string]bool, len(keys))
	for _, key := range keys {
		p, ok := lock.locked(key)
		if !ok {
			l.problem(seaworthy.Invalid, "package "+quoted(key)+" has no name and version")
			continue
		}
		refs[key] = true
		l.add(p)
	}
	for _, key := range keys {
		about := lock.Snapshots[key]
		if about == nil {
			about = lock.Packages[key]
		}
		if about == nil || !refs[key] {
			continue
		}
		pnpmEdges(l, refs, key, about.Dependencies, "")
		pnpmEdges(l, refs, key, about.OptionalDeps, seaworthy.Optional)
	}
	for _, dir := range slices.Sorted(maps.Keys(lock.Importers)) {
		im := lock.Importers[dir]
		l.project(dir, "npm")
		im.direct(l, refs, dir, im.Dependencies, "")
		im.direct(l, refs, dir, im.Optional, seaworthy.Optional)
		im.direct(l, refs, dir, im.Dev, seaworthy.Development)
	}
}

func pnpmEdges(l *lockFacts, refs map[string]bool, from string, to map[string]yamlText, scope seaworthy.Scope) {
	for _, name := range slices.Sorted(maps.Keys(to)) {
		if key, ok := pnpmKey(refs, name, string(to[name])); ok {
			l.dependsOn(from, key, scope)
		}
	}
}

// direct adds what a project asks for.
func (im *pnpmImporter) direct(l *lockFacts, refs map[string]bool, dir string, to map[string]pnpmDirect, scope seaworthy.Scope) {
	for _, name := range slices.Sorted(maps.Keys(to)) {
		d := to[name]
		rng := string(d.Specifier)
		if rng == "" {
			rng = string(im.Specifiers[name])
		}
		p := l.project(dir, "npm")
		p.Depends = append(p.Depends, seaworthy.Dependency{Name: name, Range: rng, Scope: scope})
		if member, ok := strings.CutPrefix(string(d.Version), "link:"); ok {
			member = joinDir(dir, member)
			l.project(member, "npm")
			l.dependsOn(dir, member, scope)
			l.resolves(name+"@"+rng, member)
		} else if key, ok := pnpmKey(refs, name, string(d.Version)); ok {
			l.dependsOn(dir, key, scope)
			l.resolves(name+"@"+rng, key)
		}
	}
}

// pnpmKey returns the key of the package that a dependency's version stands for: "/name/1.0.0" (5.x),
// "/name@1.0.0" (6), "name@1.0.0" (9), or the version itself, of an alias or an address.
func pnpmKey(refs map[string]bool, name, version string) (string, bool) {
	for _, key := range [...]string{name + "@" + version, "/" + name + "@" + version, "/" + name + "/" + version, version} {
		if refs[key] {
			return key, true
		}
	}
	return "", false
}

// locked makes the package with this key.
func (lock *pnpmLock) locked(key string) (seaworthy.Package, bool) {
	about := lock.Packages[key]
	bare, _, _ := strings.Cut(key, "(") // the rest says which peers it got
	if about == nil {
		about = lock.Packages[bare]
	}
	name, version := pnpmNameVersion(bare)
	if about == nil {
		about = new(pnpmPackage)
	}
	if about.Name != "" {
		name = string(about.Name)
	}
	if about.Version != "" {
		version = string(about.Version)
	}
	if name == "" {
		return seaworthy.Package{}, false
	}
	p := seaworthy.Package{Ref: key, Ecosystem: "npm", Name: name}
	resolved := string(about.Resolution.Tarball)
	if repo := string(about.Resolution.Repo); repo != "" {
		resolved = "git+" + strings.TrimPrefix(repo, "git+") + "#" + string(about.Resolution.Commit)
	}
	if strings.ContainsAny(version, ":/") {
		if resolved == "" {
			resolved = version
		}
		version = ""
	}
	npmVersion(&p, version, resolved)
	setHashes(&p, subresource(string(about.Resolution.Integrity)))
	switch snapshot := lock.Snapshots[key]; {
	case about.Dev != nil && *about.Dev:
		p.Scope = seaworthy.Development
	case about.Optional || snapshot != nil && snapshot.Optional:
		p.Scope = seaworthy.Optional
	case about.Dev != nil:
		p.Scope = seaworthy.Runtime
	}
	if snapshot := lock.Snapshots[key]; snapshot != nil {
		p.Depends = append(yamlDepends(snapshot.Dependencies, ""), yamlDepends(snapshot.OptionalDeps, seaworthy.Optional)...)
	} else {
		p.Depends = append(yamlDepends(about.Dependencies, ""), yamlDepends(about.OptionalDeps, seaworthy.Optional)...)
	}
	p.Depends = append(p.Depends, yamlDepends(about.Peers, seaworthy.Provided)...)
	return p, true
}

func yamlDepends(m map[string]yamlText, scope seaworthy.Scope) []seaworthy.Dependency {
	var out []seaworthy.Dependency
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, seaworthy.Dependency{Name: name, Range: string(m[name]), Scope: scope})
	}
	return out
}

// pnpmNameVersion takes a key apart, without what follows in parentheses. Keys of 5.x end in "_" and the peers.
func pnpmNameVersion(key string) (name, version string) {
	rest, slash := strings.CutPrefix(key, "/")
	if host, after, ok := strings.Cut(rest, "/"); ok && !slash && !strings.HasPrefix(host, "@") && !strings.Contains(host, "@") {
		rest, slash = after, true // "registry.example/name/1.0.0" of 5.x
	}
	start := 0
	if strings.HasPrefix(rest, "@") {
		if start = strings.IndexByte(rest, '/') + 1; start == 0 {
			return "", ""
		}
	}
	if i := strings.IndexByte(rest[start:], '@'); i > 0 && (!slash || !strings.Contains(rest[start:start+i], "/")) {
		return rest[:start+i], rest[start+i+1:]
	}
	if !slash {
		return "", ""
	}
	i := strings.IndexByte(rest[start:], '/')
	if i <= 0 {
		return "", ""
	}
	name, version = rest[:start+i], rest[start+i+1:]
	version, _, _ = strings.Cut(version, "_")
	if version, _, _ = strings.Cut(version, "/"); version == "" || version[0] < '0' || version[0] > '9' {
		return "", "" // an address, whose entry says the name
	}
	return name, version
}
