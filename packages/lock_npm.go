package packages

import (
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/licence"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// lockNPM reads what JavaScript projects say: package.json, and the lock files of npm, pnpm, Yarn and Bun.
var lockNPM = Recogniser{
	Name: "npm-lock", Version: 2, Lock: true,
	Wants: func(p string, _ int64, _ fs.FileMode) bool {
		return baseIs(p, "package.json", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock") && inTree(p)
	},
	Read: func(f *File) (Facts, error) {
		switch {
		case baseIs(f.Path, "package.json"):
			return readPackageJSON(f)
		case baseIs(f.Path, "pnpm-lock.yaml"):
			return readPNPMLock(f)
		case baseIs(f.Path, "yarn.lock"):
			return readYarnLock(f)
		case baseIs(f.Path, "bun.lock"):
			return readBunLock(f)
		}
		return readPackageLock(f)
	},
	Join: func(_ Context, all []Facts) Joined { return npmFamily.join(all) },
}

var npmFamily = lockFamily{
	ecosystem: "npm",
	purl:      purl.NPM,
	exact:     npmExact,
	manifest:  func(base string) bool { return base == "package.json" },
	ask: func(name, rng string) []string {
		return []string{name + "@" + rng, name + "@npm:" + rng, name + "@workspace:" + strings.TrimPrefix(rng, "workspace:"), name}
	},
}

// npmExact returns the version of "1.2.3", "=1.2.3" or "npm:name@1.2.3".
func npmExact(rng string) string {
	if alias, ok := strings.CutPrefix(rng, "npm:"); ok {
		if i := strings.LastIndexByte(alias, '@'); i > 0 {
			rng = alias[i+1:]
		}
	}
	rng = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(rng), "="), "v")
	if isVersion(rng, 3) {
		return rng
	}
	return ""
}

// isVersion reports whether s is at least parts numbers with dots between, and then perhaps a pre-release or
// build suffix; no wildcard, no operator.
func isVersion(s string, parts int) bool {
	core := s
	if i := strings.IndexAny(s, "-+"); i >= 0 {
		core = s[:i]
		for _, c := range []byte(s[i:]) {
			if !isAlnum(c) && c != '.' && c != '-' && c != '+' {
				return false
			}
		}
	}
	n := 0
	for part := range strings.SplitSeq(core, ".") {
		if part == "" || strings.Trim(part, "0123456789") != "" {
			return false
		}
		n++
	}
	return n >= parts
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// npmManifest is what package.json says, and each entry of a package-lock.json's "packages".
type npmManifest struct {
	Name                 jsonText            `json:"name"`
	Version              jsonText            `json:"version"`
	Description          jsonText            `json:"description"`
	Homepage             jsonText            `json:"homepage"`
	Licence              jsonLicence         `json:"license"`
	Dependencies         jsonTexts           `json:"dependencies"`
	DevDependencies      jsonTexts           `json:"devDependencies"`
	OptionalDependencies jsonTexts           `json:"optionalDependencies"`
	PeerDependencies     jsonTexts           `json:"peerDependencies"`
	PeerMeta             map[string]peerMeta `json:"peerDependenciesMeta"`
	Workspaces           workspacePatterns   `json:"workspaces"`

	Resolved    jsonText `json:"resolved"`
	Integrity   jsonText `json:"integrity"`
	Link        bool     `json:"link"`
	Dev         bool     `json:"dev"`
	Optional    bool     `json:"optional"`
	DevOptional bool     `json:"devOptional"`
	Peer        bool     `json:"peer"`
	InBundle    bool     `json:"inBundle"`

	// of version 1
	Requires jsonTexts               `json:"requires"`
	Bundled  bool                    `json:"bundled"`
	Nested   map[string]*npmManifest `json:"-"`
}

type peerMeta struct {
	Optional bool `json:"optional"`
}

// jsonText is a string; any other JSON value is read as "".
type jsonText string

func (t *jsonText) UnmarshalJSON(b []byte) error {
	var s string
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
	}
	*t = jsonText(s)
	return nil
}

// jsonTexts is an object of strings; any other JSON value is read as none.
type jsonTexts map[string]string

func (t *jsonTexts) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	var m map[string]jsonText
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	*t = make(jsonTexts, len(m))
	for k, v := range m {
		(*t)[k] = string(v)
	}
	return nil
}

// jsonLicence is "MIT", {"type": "MIT"} or an array of either.
type jsonLicence string

func (l *jsonLicence) UnmarshalJSON(b []byte) error {
	var one struct {
		Type jsonText `json:"type"`
		Name jsonText `json:"name"`
	}
	switch {
	case len(b) == 0:
	case b[0] == '"':
		return (*jsonText)(l).UnmarshalJSON(b)
	case b[0] == '{':
		if err := json.Unmarshal(b, &one); err != nil {
			return err
		}
		*l = jsonLicence(one.Type)
	case b[0] == '[':
		var each []json.RawMessage
		if err := json.Unmarshal(b, &each); err != nil {
			return err
		}
		var names []string
		for _, e := range each {
			var item jsonLicence
			if len(e) > 0 && e[0] == '[' {
				continue
			}
			if err := item.UnmarshalJSON(e); err != nil {
				return err
			}
			if item != "" {
				names = append(names, string(item))
			}
		}
		*l = jsonLicence(strings.Join(names, " OR "))
	}
	return nil
}

// workspacePatterns is an array of patterns, or an object whose "packages" is.
type workspacePatterns []string

func (w *workspacePatterns) UnmarshalJSON(b []byte) error {
	const most = 1000 // patterns; each is tried on every directory below
	var list []jsonText
	switch {
	case len(b) > 0 && b[0] == '[':
		if err := json.Unmarshal(b, &list); err != nil {
			return err
		}
	case len(b) > 0 && b[0] == '{':
		var object struct {
			Packages workspaceList `json:"packages"`
		}
		if err := json.Unmarshal(b, &object); err != nil {
			return err
		}
		list = object.Packages
	}
	for _, pattern := range list[:min(len(list), most)] {
		*w = append(*w, string(pattern))
	}
	return nil
}

type workspaceList []jsonText

func (w *workspaceList) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '[' {
		return nil
	}
	return json.Unmarshal(b, (*[]jsonText)(w))
}

// depends lists what m asks for, sorted; development dependencies only of projects.
func (m *npmManifest) depends(project bool) []seaworthy.Dependency {
	var out []seaworthy.Dependency
	add := func(from jsonTexts, scope seaworthy.Scope) {
		for _, name := range slices.Sorted(maps.Keys(from)) {
			out = append(out, seaworthy.Dependency{Name: name, Range: from[name], Scope: scope})
		}
	}
	required := m.Dependencies
	if len(m.OptionalDependencies) > 0 && len(required) > 0 {
		// npm repeats optional dependencies among the others; they are optional then.
		required = maps.Clone(required)
		for name := range m.OptionalDependencies {
			delete(required, name)
		}
	}
	add(required, "")
	add(m.OptionalDependencies, seaworthy.Optional)
	for _, name := range slices.Sorted(maps.Keys(m.PeerDependencies)) {
		scope := seaworthy.Provided
		if m.PeerMeta[name].Optional {
			scope = seaworthy.Optional
		}
		out = append(out, seaworthy.Dependency{Name: name, Range: m.PeerDependencies[name], Scope: scope})
	}
	if project {
		add(m.DevDependencies, seaworthy.Development)
	}
	return out
}

func (m *npmManifest) describe(p *seaworthy.Package) {
	p.Name, p.Version = string(m.Name), string(m.Version)
	p.Description, p.Homepage = string(m.Description), cleanDownload(string(m.Homepage))
	if m.Licence != "" {
		p.Licences.Declared = licence.Normalise(string(m.Licence))
	}
}

func readPackageJSON(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	var m npmManifest
	if err := json.Unmarshal(stripBOM(b), &m); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	l := newLockFacts(f)
	p := l.project(here, "npm")
	m.describe(p)
	p.Depends = m.depends(true)
	if len(m.Workspaces) > 0 {
		p.Properties = []seaworthy.Property{{Name: "workspaces", Value: strings.Join(m.Workspaces, " ")}}
	}
	return l.Facts, nil
}

func stripBOM(b []byte) []byte {
	if len(b) >= 3 && b[0] == 0xEF && b[1] == 0xBB && b[2] == 0xBF {
		return b[3:]
	}
	return b
}
