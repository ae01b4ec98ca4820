package packages

import (
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// lockDeno reads deno.lock, of versions 2 to 5, and deno.json (docs.deno.com/runtime/fundamentals/configuration). What is
// asked for there is "npm:name@range" or "jsr:@scope/name@range".
var lockDeno = Recogniser{
	Name: "deno-lock", Version: 1, Lock: true,
	Wants: func(p string, _ int64, _ fs.FileMode) bool {
		return baseIs(p, "deno.lock", "deno.json", "deno.jsonc") && inTree(p)
	},
	Read: func(f *File) (Facts, error) {
		if baseIs(f.Path, "deno.lock") {
			return readDenoLock(f)
		}
		return readDenoJSON(f)
	},
	Join: func(_ Context, all []Facts) Joined {
		joined := denoFamily.join(all)
		for i := range joined.Packages {
			p := &joined.Packages[i]
			if kind, name, ok := strings.Cut(p.Name, ":"); ok && (kind == "npm" || kind == "jsr") && p.Ecosystem == "deno" {
				p.Ecosystem, p.Name = kind, name
			}
		}
		return joined
	},
}

var denoFamily = lockFamily{
	ecosystem: "deno",
	purl:      denoPURL,
	exact:     npmExact,
	manifest:  func(base string) bool { return base != "deno.lock" },
	ask:       func(name, rng string) []string { return []string{name + "@" + rng} },
}

// denoPURL makes the purl of "npm:name" or "jsr:@scope/name"; other names have none.
func denoPURL(name, version string) string {
	if rest, ok := strings.CutPrefix(name, "npm:"); ok {
		return purl.NPM(rest, version)
	}
	if rest, ok := strings.CutPrefix(name, "jsr:"); ok {
		scope, short, _ := strings.Cut(rest, "/")
		return purl.New("jsr", scope, short, version)
	}
	return ""
}

// denoAsked takes "npm:@scope/name@range/path" apart; ok is false for what is of no registry.
func denoAsked(s string) (name, rng string, ok bool) {
	kind, rest, ok := strings.Cut(s, ":")
	if !ok || kind != "npm" && kind != "jsr" {
		return "", "", false
	}
	rest = strings.TrimPrefix(rest, "/")
	parts := 1
	if strings.HasPrefix(rest, "@") {
		parts = 2
	}
	at := -1
	for i := 1; i < len(rest); i++ {
		if rest[i] == '@' && at < 0 {
			at = i
		}
		if rest[i] == '/' {
			if parts--; parts == 0 {
				rest = rest[:i]
			}
		}
	}
	if rest == "" {
		return "", "", false
	}
	if at < 0 || at > len(rest) {
		return kind + ":" + rest, "", true
	}
	return kind + ":" + rest[:at], rest[at+1:], true
}

// denoWorkspace is what deno.json and package.json ask for, as deno.lock repeats it.
type denoWorkspace struct {
	Dependencies bunTexts `json:"dependencies"`
	PackageJSON  struct {
		Dependencies bunTexts `json:"dependencies"`
		Dev          bunTexts `json:"devDependencies"`
	} `json:"packageJson"`
	Members map[string]denoWorkspace `json:"members"`
}

type denoPackage struct {
	Integrity    jsonText  `json:"integrity"`
	Dependencies denoNames `json:"dependencies"`
	Optional     denoNames `json:"optionalDependencies"`
	Tarball      jsonText  `json:"tarball"`
}

// denoNames are keys of packages: the values of an object (until version 3), or an array in which a name alone
// stands for the only version there is.
type denoNames []string

func (n *denoNames) UnmarshalJSON(b []byte) error {
	var object jsonTexts
	var list bunTexts
	if err := json.Unmarshal(b, &object); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		*n = append(*n, object[name])
	}
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	for _, name := range list {
		*n = append(*n, string(name))
	}
	return nil
}

type denoPackages struct {
	Specifiers jsonTexts              `json:"specifiers"`
	JSR        map[string]denoPackage `json:"jsr"`
	NPM        map[string]denoPackage `json:"npm"`
}

func readDenoLock(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	var lock struct {
		denoPackages
		Nested    denoPackages  `json:"packages"` // version 3
		Remote    jsonTexts     `json:"remote"`
		Workspace denoWorkspace `json:"workspace"`
	}
	if err := json.Unmarshal(stripBOM(b), &lock); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	l := newLockFacts(f)
	l.project(here, "deno")
	packages := &lock.denoPackages
	if len(packages.Specifiers) == 0 && len(lock.Nested.Specifiers) > 0 {
		packages = &lock.Nested
	}
	packages.add(l)
	asked := packages.asked(l)
	lock.Workspace.add(l, here, asked)
	for _, dir := range slices.Sorted(maps.Keys(lock.Workspace.Members)) {
		member := lock.Workspace.Members[dir]
		member.add(l, joinDir(here, dir), asked)
	}
	denoRemote(l, lock.Remote)
	return l.Facts, nil
}

// add adds the packages and the edges between them. Their Refs are "npm:" or "jsr:" and their key.
func (d *denoPackages) add(l *lockFacts) {
	versions := map[string][]string{} // Refs by "npm:name"
	each := func(do func(kind, key string, from denoPackage)) {
		for _, key := range slices.Sorted(maps.Keys(d.JSR)) {
			do("jsr:", key, d.JSR[key])
		}
		for _, key := range slices.Sorted(maps.Keys(d.NPM)) {
			do("npm:", key, d.NPM[key])
		}
	}
	each(func(kind, key string, from denoPackage) {
		name, version := yarnDescriptor(key)
		if name == "" || version == "" {
			l.problem(seaworthy.Invalid, quoted(key)+" is not name@version")
			return
		}
		version, _, _ = strings.Cut(version, "_") // the versions of its peers follow
		p := seaworthy.Package{Ref: kind + key, Ecosystem: kind[:3], Name: name, Version: version, PURL: denoPURL(kind+name, version)}
		p.Download = cleanDownload(string(from.Tarball))
		if d, err := seaworthy.NewDigest("sha256", string(from.Integrity)); err == nil {
			setHashes(&p, []seaworthy.Digest{d})
		} else {
			setHashes(&p, subresource(string(from.Integrity)))
		}
		l.add(p)
		versions[kind+name] = append(versions[kind+name], p.Ref)
	})
	each(func(kind, key string, from denoPackage) {
		edges := func(to []string, scope seaworthy.Scope) {
			for _, s := range to {
				ref := s
				if kind == "npm:" {
					ref = "npm:" + s
				}
				if resolved, ok := d.Specifiers[ref]; ok && !l.has(ref) {
					ref = denoResolved(ref, resolved)
				}
				if only := versions[ref]; len(only) == 1 {
					ref = only[0]
				}
				if l.has(ref) && l.has(kind+key) {
					l.dependsOn(kind+key, ref, scope)
				}
			}
		}
		edges(from.Dependencies, "")
		edges(from.Optional, seaworthy.Optional)
	})
}

// denoResolved is the Ref of what a specifier was resolved to: a whole "npm:name@version", or a version.
func denoResolved(specifier, resolved string) string {
	if strings.HasPrefix(resolved, "npm:") || strings.HasPrefix(resolved, "jsr:") {
		return resolved
	}
	name, _, _ := denoAsked(specifier)
	return name + "@" + resolved
}

// asked returns the Refs of what specifiers were resolved to.
func (d *denoPackages) asked(l *lockFacts) map[string]string {
	out := make(map[string]string, len(d.Specifiers))
	for _, s := range slices.Sorted(maps.Keys(d.Specifiers)) {
		if ref := denoResolved(s, d.Specifiers[s]); l.has(ref) {
			out[s] = ref
			name, rng, _ := denoAsked(s)
			l.resolves(name+"@"+rng, ref)
		}
	}
	return out
}

func (w *denoWorkspace) add(l *lockFacts, dir string, asked map[string]string) {
	l.project(dir, "deno")
	edges := func(to bunTexts, scope seaworthy.Scope) {
		for _, s := range to {
			if ref := asked[string(s)]; ref != "" {
				l.dependsOn(dir, ref, scope)
			}
		}
	}
	edges(w.Dependencies, "")
	edges(w.PackageJSON.Dependencies, "")
	edges(w.PackageJSON.Dev, seaworthy.Development)
}

// denoRemote makes a package of each address that names one with a version: "https://deno.land/x/oak@v12.6.1/mod.ts".
// The lock file has hashes of single files only.
func denoRemote(l *lockFacts, remote jsonTexts) {
	for _, address := range slices.Sorted(maps.Keys(remote)) {
		address = cleanDownload(address)
		_, rest, ok := strings.Cut(address, "://")
		at := strings.IndexByte(rest, '@')
		if !ok || at <= 0 {
			continue
		}
		version, _, _ := strings.Cut(rest[at+1:], "/")
		name := rest[:at]
		i := strings.LastIndexByte(name, '/')
		if version == "" || i <= 0 || i+1 == len(name) {
			continue
		}
		p := seaworthy.Package{Ref: name + "@" + version, Ecosystem: "generic", Name: name, Version: version, Direct: true}
		p.Download = address[:len(address)-len(rest)+at+1+len(version)]
		p.PURL = purl.New("generic", name[:i], name[i+1:], version, "download_url", p.Download)
		l.add(p)
		l.dependsOn(here, p.Ref, "")
	}
}

func readDenoJSON(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	var m struct {
		Name      jsonText          `json:"name"`
		Version   jsonText          `json:"version"`
		Imports   jsonTexts         `json:"imports"`
		Workspace workspacePatterns `json:"workspace"`
	}
	if err := json.Unmarshal(plainJSON(stripBOM(b)), &m); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	l := newLockFacts(f)
	p := l.project(here, "deno")
	p.Name, p.Version = string(m.Name), string(m.Version)
	if scope, name, ok := strings.Cut(p.Name, "/"); ok && strings.HasPrefix(scope, "@") {
		p.PURL = purl.New("jsr", scope, name, p.Version)
	}
	if len(m.Workspace) > 0 {
		p.Properties = []seaworthy.Property{{Name: "workspaces", Value: strings.Join(m.Workspace, " ")}}
	}
	for _, local := range slices.Sorted(maps.Keys(m.Imports)) {
		if name, rng, ok := denoAsked(m.Imports[local]); ok {
			p.Depends = append(p.Depends, seaworthy.Dependency{Name: name, Range: rng})
		}
	}
	return l.Facts, nil
}
