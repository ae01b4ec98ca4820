package packages

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// bunPackage is an entry of bun.lock: an array that begins with name@version and may hold an object that says
// what the package asks for, and a hash. In which place those are depends on where the package comes from.
type bunPackage struct {
	id, integrity string
	about         npmManifest
	optionalPeers []jsonText
}

func (p *bunPackage) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '[' {
		return nil
	}
	var items []json.RawMessage
	if err := json.Unmarshal(b, &items); err != nil {
		return err
	}
	for i, item := range items {
		switch {
		case item[0] == '{' && i > 0:
			if err := json.Unmarshal(item, &p.about); err != nil {
				return err
			}
			var more struct {
				OptionalPeers bunTexts `json:"optionalPeers"`
			}
			if err := json.Unmarshal(item, &more); err != nil {
				return err
			}
			p.optionalPeers = more.OptionalPeers
		case item[0] == '"':
			var s jsonText
			if err := json.Unmarshal(item, &s); err != nil {
				return err
			}
			if i == 0 {
				p.id = string(s)
			} else if strings.HasPrefix(string(s), "sha") {
				p.integrity = string(s)
			}
		}
	}
	return nil
}

// bunTexts is an array of strings; anything else is read as none.
type bunTexts []jsonText

func (t *bunTexts) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '[' {
		return nil
	}
	return json.Unmarshal(b, (*[]jsonText)(t))
}

// depends lists what p asks for; which peers are optional is said apart from the peers.
func (p *bunPackage) depends() []seaworthy.Dependency {
	for _, name := range p.optionalPeers {
		if p.about.PeerMeta == nil {
			p.about.PeerMeta = map[string]peerMeta{}
		}
		p.about.PeerMeta[string(name)] = peerMeta{Optional: true}
	}
	return p.about.depends(false)
}

// readBunLock reads bun.lock (bun.sh/docs/install/lockfile). The key of a package is its place: "a/b" is the b that
// only a gets, as in node_modules.
func readBunLock(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	var lock struct {
		Workspaces map[string]npmManifest `json:"workspaces"`
		Packages   map[string]bunPackage  `json:"packages"`
	}
	if err := json.Unmarshal(plainJSON(stripBOM(b)), &lock); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	l := newLockFacts(f)
	l.project(here, "npm")
	refs := make(map[string]string, len(lock.Packages)) // by key
	for _, dir := range slices.Sorted(maps.Keys(lock.Workspaces)) {
		m := lock.Workspaces[dir]
		p := l.project(joinDir(here, dir), "npm")
		m.describe(p)
		p.Depends = m.depends(true)
	}
	keys := slices.Sorted(maps.Keys(lock.Packages))
	for _, key := range keys {
		from := lock.Packages[key]
		name, version := yarnDescriptor(from.id)
		if name == "" || from.id == "" {
			l.problem(seaworthy.Invalid, "the package "+quoted(key)+" has no name")
			continue
		}
		if dir, ok := strings.CutPrefix(version, "workspace:"); ok {
			refs[key] = joinDir(here, dir)
			if !l.has(refs[key]) {
				l.project(refs[key], "npm").Name = name
			}
			continue
		}
		if version == "root:" {
			refs[key] = here
			continue
		}
		refs[key] = npmRef(key)
		l.add(from.locked(refs[key], name, version))
	}
	for _, key := range keys {
		from := lock.Packages[key]
		if refs[key] != "" {
			bunEdges(l, refs, refs[key], key, from.depends())
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(lock.Workspaces)) {
		m := lock.Workspaces[dir]
		bunEdges(l, refs, joinDir(here, dir), string(m.Name), m.depends(true))
	}
	return l.Facts, nil
}

func (p *bunPackage) locked(ref, name, version string) seaworthy.Package {
	out := seaworthy.Package{Ref: ref, Ecosystem: "npm", Name: name, Depends: p.depends()}
	switch {
	case strings.HasPrefix(version, "git+"), strings.HasPrefix(version, "github:"), strings.Contains(version, "://"),
		strings.HasPrefix(version, "gitlab:"), strings.HasPrefix(version, "bitbucket:"):
		npmVersion(&out, "", version)
	case strings.HasPrefix(version, "file:"), strings.HasPrefix(version, "link:"):
		npmVersion(&out, "", "file:"+version[len("file:"):])
	default:
		npmVersion(&out, version, "")
	}
	setHashes(&out, subresource(p.integrity))
	return out
}

// bunEdges leads from the package at place key to what it gets: the nearest one, looking upwards.
func bunEdges(l *lockFacts, refs map[string]string, from, key string, depends []seaworthy.Dependency) {
	const most = 1 << 10 // bytes of a place; real ones are shorter
	if len(key) > most {
		return
	}
	for _, d := range depends {
		for at, steps := key, 0; steps <= maxLockDepth; steps++ {
			place := d.Name
			if at != "" {
				place = at + "/" + d.Name
			}
			if to := refs[place]; to != "" {
				l.dependsOn(from, to, d.Scope)
				break
			}
			if at == "" {
				break
			}
			at = bunParent(at)
		}
	}
}

// bunParent takes the last name, which may be "@scope/name", off a place.
func bunParent(key string) string {
	i := strings.LastIndexByte(key, '/')
	if i < 0 {
		return ""
	}
	key = key[:i]
	if k := strings.LastIndexByte(key, '/'); strings.HasPrefix(key[k+1:], "@") {
		return key[:max(k, 0)]
	}
	return key
}

// plainJSON takes comments and the commas before a closing bracket out of b, which stays as long as it is.
func plainJSON(b []byte) []byte {
	b = bytes.Clone(b)
	comma := -1 // the last one, while nothing else has come
	blank := func(from, to int) {
		for i := from; i < to; i++ {
			if b[i] != '\n' {
				b[i] = ' '
			}
		}
	}
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			comma = -1
		case c == '/' && i+1 < len(b) && b[i+1] == '/':
			end := i
			for end < len(b) && b[end] != '\n' {
				end++
			}
			blank(i, end)
			i = end - 1
		case c == '/' && i+1 < len(b) && b[i+1] == '*':
			end := bytes.Index(b[i+2:], []byte("*/"))
			if end < 0 {
				return b // the decoder will say so
			}
			blank(i, i+end+4)
			i += end + 3
		case c == ',':
			comma = i
		case c == '}' || c == ']':
			if comma >= 0 {
				b[comma] = ' '
			}
			comma = -1
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		default:
			comma = -1
		}
	}
	return b
}
