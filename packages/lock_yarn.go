package packages

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seaworthy-dev/seaworthy"
)

// yarnEntry is one package of a yarn.lock: what was asked for, and what it became.
type yarnEntry struct {
	asked     []string
	version   string
	resolved  string // version 1: a URL; later: "name@protocol:reference"
	integrity string
	depends   []seaworthy.Dependency
}

// readYarnLock reads yarn.lock of version 1 (its own syntax) and of Yarn 2 and later (YAML).
func readYarnLock(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	if bytes.HasPrefix(b, []byte("__metadata:")) || bytes.Contains(b, []byte("\n__metadata:")) {
		err = yarnBerry(l, b)
	} else {
		err = yarnClassic(l, b)
	}
	if err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	return l.Facts, nil
}

// yarnClassic reads version 1: keys at the margin, fields indented by two, dependencies by four.
func yarnClassic(l *lockFacts, b []byte) error {
	var entries []yarnEntry
	var section string
	line := 0
	for raw := range bytes.Lines(b) {
		line++
		text := strings.TrimRight(string(raw), " \r\n")
		body := strings.TrimLeft(text, " ")
		if body == "" || body[0] == '#' {
			continue
		}
		indent := len(text) - len(body)
		if indent == 0 {
			asked, ok := yarnKeys(body)
			if !ok {
				return seaworthy.Errorf(seaworthy.Invalid, "line %d: %.80q is neither a comment nor the start of a package", line, body)
			}
			entries, section = append(entries, yarnEntry{asked: asked}), ""
			continue
		}
		if len(entries) == 0 {
			return seaworthy.Errorf(seaworthy.Invalid, "line %d: a field before the first package", line)
		}
		e := &entries[len(entries)-1]
		key, value := yarnField(body)
		switch {
		case indent >= 4 && section == "dependencies":
			e.depends = append(e.depends, seaworthy.Dependency{Name: key, Range: value})
		case indent >= 4 && section == "optionalDependencies":
			e.depends = append(e.depends, seaworthy.Dependency{Name: key, Range: value, Scope: seaworthy.Optional})
		case indent >= 4:
		case key == "version":
			e.version = value
		case key == "resolved":
			e.resolved = value
		case key == "integrity":
			e.integrity = value
		default:
			section = strings.TrimSuffix(key, ":")
		}
	}
	yarnFacts(l, entries)
	return nil
}

// yarnKeys splits `"@babel/core@^7.0.0", b@1:` into what was asked for.
func yarnKeys(line string) ([]string, bool) {
	rest, ok := strings.CutSuffix(line, ":")
	if !ok {
		return nil, false
	}
	var out []string
	for rest = strings.TrimSpace(rest); rest != ""; {
		var item string
		if rest[0] == '"' {
			end := strings.IndexByte(rest[1:], '"')
			if end < 0 {
				return nil, false
			}
			item, rest = rest[1:1+end], rest[2+end:]
		} else if i := strings.IndexByte(rest, ','); i >= 0 {
			item, rest = rest[:i], rest[i:]
		} else {
			item, rest = rest, ""
		}
		out = append(out, item)
		rest = strings.TrimLeft(rest, ", ")
	}
	return out, len(out) > 0
}

// yarnField splits `name value`, either of which may be in quotes.
func yarnField(s string) (key, value string) {
	if s[0] == '"' {
		if end := strings.IndexByte(s[1:], '"'); end >= 0 {
			key, s = s[1:1+end], s[2+end:]
			return key, unquoteYarn(strings.TrimSpace(s))
		}
	}
	key, value, _ = strings.Cut(s, " ")
	return key, unquoteYarn(strings.TrimSpace(value))
}

func unquoteYarn(s string) string {
	if len(s) >= 2 && s[0] == '"' {
		if u, err := strconv.Unquote(s); err == nil {
			return u
		}
		return strings.Trim(s, `"`)
	}
	return s
}

// yarnBerry reads the YAML of Yarn 2 and later.
func yarnBerry(l *lockFacts, b []byte) error {
	var lock map[string]struct {
		Version      yamlText            `yaml:"version"`
		Resolution   yamlText            `yaml:"resolution"`
		Dependencies map[string]yamlText `yaml:"dependencies"`
		Peers        map[string]yamlText `yaml:"peerDependencies"`
		Meta         map[string]struct {
			Optional bool `yaml:"optional"`
		} `yaml:"dependenciesMeta"`
	}
	if err := yaml.Unmarshal(b, &lock); err != nil {
		return err
	}
	var entries []yarnEntry
	for _, key := range slices.Sorted(maps.Keys(lock)) {
		if key == "__metadata" {
			continue
		}
		from := lock[key]
		e := yarnEntry{version: string(from.Version), resolved: string(from.Resolution)}
		for asked := range strings.SplitSeq(key, ",") {
			e.asked = append(e.asked, strings.TrimSpace(asked))
		}
		e.depends = yamlDepends(from.Dependencies, "")
		for i, d := range e.depends {
			if from.Meta[d.Name].Optional {
				e.depends[i].Scope = seaworthy.Optional
			}
		}
		e.depends = append(e.depends, yamlDepends(from.Peers, seaworthy.Provided)...)
		entries = append(entries, e)
	}
	yarnFacts(l, entries)
	return nil
}

func yarnFacts(l *lockFacts, entries []yarnEntry) {
	asked := map[string]string{}
	for i := range entries {
		e := &entries[i]
		ref := e.add(l)
		if ref == "" {
			l.problem(seaworthy.Invalid, "entry "+quoted(e.asked[0])+" has no name")
			continue
		}
		for _, a := range e.asked {
			if _, ok := asked[a]; !ok {
				asked[a] = ref
				l.resolves(a, ref)
			}
		}
	}
	for i := range entries {
		e := &entries[i]
		from, ok := asked[e.asked[0]]
		if !ok {
			continue
		}
		for _, d := range e.depends {
			for _, a := range npmFamily.ask(d.Name, d.Range)[:3] {
				if to, ok := asked[a]; ok {
					l.dependsOn(from, to, d.Scope)
					break
				}
			}
		}
	}
}

// add makes the package of e and returns its Ref, or "" when it has no name.
func (e *yarnEntry) add(l *lockFacts) string {
	name, rng := yarnDescriptor(e.asked[0])
	if name == "" {
		return ""
	}
	p := seaworthy.Package{Ref: e.asked[0], Ecosystem: "npm", Depends: e.depends, Name: name}
	if strings.Contains(e.resolved, "://") || !strings.Contains(e.resolved, "@") {
		// Version 1. An alias is "other@npm:name@range", and only the range tells.
		if alias, ok := strings.CutPrefix(rng, "npm:"); ok {
			if real, _ := yarnDescriptor(alias); real != "" {
				p.Name = real
			}
		}
		resolved := e.resolved
		if !strings.Contains(resolved, "#") || strings.HasPrefix(resolved, "https://registry.") || strings.Contains(resolved, ".tgz#") {
			resolved, _, _ = strings.Cut(resolved, "#") // Yarn puts the SHA-1 of the archive there
			if _, sha1, ok := strings.Cut(e.resolved, "#"); ok && e.integrity == "" {
				if d, err := seaworthy.NewDigest("sha1", sha1); err == nil {
					setHashes(&p, []seaworthy.Digest{d})
				}
			}
		}
		if resolved == "" && strings.HasPrefix(rng, "file:") {
			resolved = rng
		}
		npmVersion(&p, e.version, resolved)
		if hashes := subresource(e.integrity); len(hashes) > 0 {
			setHashes(&p, hashes)
		}
		return l.add(p).Ref
	}
	name, reference := yarnDescriptor(e.resolved)
	protocol, value, _ := strings.Cut(reference, ":")
	switch {
	case protocol == "workspace":
		project := l.project(joinDir(here, value), "npm")
		project.Name, project.Depends = name, e.depends
		return project.Ref
	case protocol == "npm" || protocol == "patch" || protocol == "virtual":
		reference = ""
		if name != "" {
			p.Name = name
		}
	case name != "":
		p.Name = name
	}
	if i := strings.Index(reference, "#commit="); i >= 0 {
		commit, _, _ := strings.Cut(reference[i+len("#commit="):], "&")
		reference = "git+" + strings.TrimPrefix(reference[:i], "git+") + "#" + commit
		if at, ok := strings.CutPrefix(reference, "git+git@"); ok {
			reference = "git+ssh://git@" + strings.Replace(at, ":", "/", 1)
		}
	}
	npmVersion(&p, e.version, reference)
	return l.add(p).Ref
}

// yarnDescriptor splits "@scope/name@range".
func yarnDescriptor(s string) (name, rng string) {
	if s == "" {
		return "", ""
	}
	i := strings.IndexByte(s[1:], '@')
	if i < 0 {
		return s, ""
	}
	return s[:1+i], s[2+i:]
}
