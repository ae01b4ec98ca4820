package packages

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/licence"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// readPackageLock reads package-lock.json and npm-shrinkwrap.json, versions 1 to 3 (docs.npmjs.com,
// "package-lock.json"). It decodes one package at a time.
func readPackageLock(f *File) (Facts, error) {
	if f.Size > maxLockFile {
		return Facts{}, lockTooLarge(f)
	}
	r := &packageLock{entries: map[string]*npmManifest{}}
	if err := r.read(json.NewDecoder(io.LimitReader(f.Body, maxLockFile+1))); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	return r.facts(newLockFacts(f))
}

// packageLock gathers a package-lock.json. entries are by path, as in version 2 and 3: "" is the project,
// "packages/a" a member of its workspace, "node_modules/a/node_modules/b" where b is put. Those of version 1 are
// given the paths they imply.
type packageLock struct {
	root    npmManifest
	v2      bool
	entries map[string]*npmManifest
}

func (r *packageLock) read(dec *json.Decoder) error {
	if err := wantDelim(dec, '{'); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		switch key {
		case "name":
			err = dec.Decode(&r.root.Name)
		case "version":
			err = dec.Decode(&r.root.Version)
		case "packages":
			if !r.v2 {
				clear(r.entries) // those of "dependencies" say the same in the old way
			}
			r.v2 = true
			err = eachPackage(dec, func(at string) error {
				m := new(npmManifest)
				r.entries[at] = m
				return dec.Decode(m)
			})
		case "dependencies":
			if r.v2 {
				err = skipJSON(dec)
			} else {
				err = r.nested(dec)
			}
		default:
			err = skipJSON(dec)
		}
		if err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

// nested reads the "dependencies" of version 1, which nest as the directories do, without recursion.
func (r *packageLock) nested(dec *json.Decoder) error {
	first, err := dec.Token()
	if err != nil || first == nil {
		return err
	}
	if first != json.Delim('{') {
		return errors.New(`"dependencies" is no object`)
	}
	type level struct {
		at    string
		entry *npmManifest // nil when names of packages are next
	}
	stack := []level{{}}
	for len(stack) > 0 {
		if len(stack) > 2*maxLockDepth {
			return seaworthy.Errorf(seaworthy.TooLarge, "packages nested more than %d deep", maxLockDepth)
		}
		top := &stack[len(stack)-1]
		if !dec.More() {
			if _, err := dec.Token(); err != nil {
				return err
			}
			stack = stack[:len(stack)-1]
			continue
		}
		token, err := dec.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		if top.entry == nil {
			at := strings.TrimPrefix(top.at+"/node_modules/"+key, "/")
			if err := wantDelim(dec, '{'); err != nil {
				return err
			}
			entry := new(npmManifest)
			r.entries[at] = entry
			stack = append(stack, level{at, entry})
			continue
		}
		if key == "dependencies" {
			if err := wantDelim(dec, '{'); err != nil {
				return err
			}
			stack = append(stack, level{at: top.at})
			continue
		}
		if err := top.entry.field(dec, key); err != nil {
			return err
		}
	}
	return nil
}

// field reads one member of a package of version 1.
func (m *npmManifest) field(dec *json.Decoder, key string) error {
	switch key {
	case "version":
		return dec.Decode(&m.Version)
	case "resolved":
		return dec.Decode(&m.Resolved)
	case "integrity":
		return dec.Decode(&m.Integrity)
	case "dev":
		return dec.Decode(&m.Dev)
	case "optional":
		return dec.Decode(&m.Optional)
	case "bundled":
		return dec.Decode(&m.Bundled)
	case "requires":
		return dec.Decode(&m.Requires)
	}
	return skipJSON(dec)
}

// wantDelim reads the delimiter d.
func wantDelim(dec *json.Decoder, d json.Delim) error {
	t, err := dec.Token()
	if err != nil {
		return err
	}
	if t != d {
		return seaworthy.Errorf(seaworthy.Invalid, "want %q before byte %d", d.String(), dec.InputOffset())
	}
	return nil
}

// eachPackage calls do with each key of the object that is next; do reads the value. null is an empty object.
func eachPackage(dec *json.Decoder, do func(key string) error) error {
	t, err := dec.Token()
	if err != nil || t == nil {
		return err
	}
	if t != json.Delim('{') {
		return seaworthy.Errorf(seaworthy.Invalid, "want an object before byte %d", dec.InputOffset())
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		key, _ := t.(string)
		if err := do(key); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// skipJSON reads past the next value.
func skipJSON(dec *json.Decoder) error {
	for depth := 0; ; {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// facts turns the entries into packages and edges between them.
func (r *packageLock) facts(l *lockFacts) (Facts, error) {
	if r.entries[""] == nil {
		r.entries[""] = &r.root
	}
	paths := slices.Sorted(maps.Keys(r.entries))
	for _, at := range paths {
		m := r.entries[at]
		switch {
		case m == nil || m.Link:
		case strings.Count("/"+at, "/node_modules/") > maxLockDepth:
			return l.Facts, seaworthy.Errorf(seaworthy.TooLarge, "package at %.80q is nested more than %d deep", at, maxLockDepth)
		case npmIsProject(at):
			p := l.project(npmRef(at), "npm")
			m.describe(p)
			if at == "" && p.Name == "" {
				p.Name, p.Version = string(r.root.Name), string(r.root.Version)
			}
			p.Depends = m.depends(true)
		default:
			l.add(m.locked(at))
		}
	}
	for _, at := range paths {
		m := r.entries[at]
		if m == nil || m.Link {
			continue
		}
		r.edges(l, at, m)
	}
	// What package.json asks for is found at the top of node_modules.
	for _, at := range paths {
		if name, ok := strings.CutPrefix(at, "node_modules/"); ok && !strings.Contains(name, "/node_modules/") {
			if to, ok := r.target(at); ok {
				l.resolves(name, to)
			}
		}
	}
	return l.Facts, nil
}

func npmIsProject(at string) bool { return !strings.Contains("/"+at, "/node_modules/") }

func npmRef(at string) string {
	if at == "" {
		return here
	}
	return at
}

// target follows a link and returns the Ref of what is at path at.
func (r *packageLock) target(at string) (string, bool) {
	m, ok := r.entries[at]
	if ok && m != nil && m.Link {
		at = string(m.Resolved)
		m, ok = r.entries[at]
	}
	if !ok || m == nil || m.Link {
		return "", false
	}
	return npmRef(at), true
}

// edges finds each dependency of the package at path at as Node.js does: in node_modules beside it, then in that
// of each directory above.
func (r *packageLock) edges(l *lockFacts, at string, m *npmManifest) {
	depends := m.depends(npmIsProject(at))
	for name, rng := range m.Requires {
		depends = append(depends, seaworthy.Dependency{Name: name, Range: rng})
	}
	for _, d := range depends {
		for dir, levels := at, 0; levels < 4*maxLockDepth; levels++ {
			candidate := strings.TrimPrefix(dir+"/node_modules/"+d.Name, "/")
			if to, ok := r.target(candidate); ok {
				l.dependsOn(npmRef(at), to, d.Scope)
				break
			}
			if dir == "" {
				break
			}
			dir = npmParent(dir)
		}
	}
}

// npmParent returns the directory above dir, past the node_modules it may be in.
func npmParent(dir string) string {
	i := strings.LastIndexByte(dir, '/')
	if i < 0 {
		return ""
	}
	dir = dir[:i]
	if dir == "node_modules" {
		return ""
	}
	return strings.TrimSuffix(dir, "/node_modules")
}

// locked makes the package at path at.
func (m *npmManifest) locked(at string) seaworthy.Package {
	name := string(m.Name)
	if name == "" {
		name = at[strings.LastIndex("/"+at, "/node_modules/")+len("node_modules/"):]
	}
	p := seaworthy.Package{Ref: at, Ecosystem: "npm", Name: name, Scope: m.scope(), Depends: m.depends(false)}
	for _, n := range slices.Sorted(maps.Keys(m.Requires)) {
		p.Depends = append(p.Depends, seaworthy.Dependency{Name: n, Range: m.Requires[n]})
	}
	npmVersion(&p, string(m.Version), string(m.Resolved))
	setHashes(&p, subresource(string(m.Integrity)))
	if m.Licence != "" {
		p.Licences.Declared = licence.Normalise(string(m.Licence))
	}
	return p
}

func (m *npmManifest) scope() seaworthy.Scope {
	switch {
	case m.Dev, m.DevOptional:
		return seaworthy.Development
	case m.Optional:
		return seaworthy.Optional
	case m.Peer:
		return seaworthy.Provided
	}
	return seaworthy.Runtime
}

// npmVersion sets name, version, download and purl of p. version may be an alias ("npm:other@1.2.3") or the
// address of something that is not in a registry.
func npmVersion(p *seaworthy.Package, version, resolved string) {
	if alias, ok := strings.CutPrefix(version, "npm:"); ok {
		if i := strings.LastIndexByte(alias, '@'); i > 0 {
			p.Name, version = alias[:i], alias[i+1:]
		}
	}
	from := resolved
	if strings.ContainsAny(version, ":/") {
		from, version = version, "" // an address in place of a version
	}
	p.Version = version
	vcs := ""
	if repository, commit, ok := gitSource(from); ok {
		vcs = vcsURL(repository, commit)
		p.Download = vcs
	} else {
		p.Download = cleanDownload(from)
	}
	p.PURL = purl.NPM(p.Name, version)
	if vcs != "" && p.PURL != "" {
		p.PURL = npmPURL(p.Name, version, "vcs_url", vcs)
	} else if strings.HasPrefix(from, "file:") {
		p.Properties = append(p.Properties, seaworthy.Property{Name: "source", Value: from})
	}
}

func npmPURL(name, version string, qualifiers ...string) string {
	if scope, rest, ok := strings.Cut(name, "/"); ok && strings.HasPrefix(scope, "@") {
		return purl.New("npm", scope, rest, version, qualifiers...)
	}
	return purl.New("npm", "", name, version, qualifiers...)
}
