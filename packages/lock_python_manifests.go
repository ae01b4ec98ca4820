package packages

import (
	"maps"
	"slices"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/licence"
)

// readPyproject reads [project] (PEP 621), [dependency-groups] (PEP 735) and the tables of Poetry, uv and PDM.
func readPyproject(f *File) (Facts, error) {
	var m struct {
		Project struct {
			Name         string              `toml:"name"`
			Version      string              `toml:"version"`
			Description  string              `toml:"description"`
			Licence      any                 `toml:"license"`
			Dependencies []string            `toml:"dependencies"`
			Optional     map[string][]string `toml:"optional-dependencies"`
		} `toml:"project"`
		Groups map[string][]any `toml:"dependency-groups"`
		Tool   struct {
			Poetry struct {
				Name         string         `toml:"name"`
				Version      string         `toml:"version"`
				Licence      any            `toml:"license"`
				Dependencies map[string]any `toml:"dependencies"`
				Dev          map[string]any `toml:"dev-dependencies"`
				Group        map[string]struct {
					Dependencies map[string]any `toml:"dependencies"`
				} `toml:"group"`
			} `toml:"poetry"`
			UV struct {
				Dev []string `toml:"dev-dependencies"`
			} `toml:"uv"`
			PDM struct {
				Dev map[string][]string `toml:"dev-dependencies"`
			} `toml:"pdm"`
		} `toml:"tool"`
	}
	if err := readTOML(f, &m); err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	p := l.project(here, "pypi")
	poetry := &m.Tool.Poetry
	p.Name, p.Version, p.Description = m.Project.Name, m.Project.Version, m.Project.Description
	if p.Name == "" {
		p.Name, p.Version = poetry.Name, poetry.Version
	}
	for _, l := range [...]any{m.Project.Licence, poetry.Licence} {
		s, _ := l.(string)
		if table, ok := l.(map[string]any); ok {
			s, _ = table["text"].(string)
		}
		if s != "" && len(s) < 200 && p.Licences.Declared == "" { // longer is the text itself
			p.Licences.Declared = licence.Normalise(s)
		}
	}
	add := func(lines []string, scope seaworthy.Scope) {
		for _, line := range lines {
			if r, ok := parseRequirement(line); ok {
				p.Depends = append(p.Depends, r.dependency(scope))
			} else {
				l.problem(seaworthy.Invalid, quoted(line)+" is no requirement")
			}
		}
	}
	add(m.Project.Dependencies, "")
	for _, extra := range slices.Sorted(maps.Keys(m.Project.Optional)) {
		add(m.Project.Optional[extra], seaworthy.Optional)
	}
	for _, group := range slices.Sorted(maps.Keys(m.Groups)) {
		for _, item := range m.Groups[group] {
			if s, ok := item.(string); ok { // the others include another group
				add([]string{s}, groupScope(group))
			}
		}
	}
	add(m.Tool.UV.Dev, seaworthy.Development)
	for _, group := range slices.Sorted(maps.Keys(m.Tool.PDM.Dev)) {
		add(m.Tool.PDM.Dev[group], seaworthy.Development)
	}
	p.Depends = append(p.Depends, poetryTable(poetry.Dependencies, "")...)
	p.Depends = append(p.Depends, poetryTable(poetry.Dev, seaworthy.Development)...)
	for _, group := range slices.Sorted(maps.Keys(poetry.Group)) {
		p.Depends = append(p.Depends, poetryTable(poetry.Group[group].Dependencies, groupScope(group))...)
	}
	return l.Facts, nil
}

// groupScope is what a group of dependencies is for. A group is never part of what is published.
func groupScope(group string) seaworthy.Scope {
	switch group {
	case "main":
		return ""
	case "test", "tests", "testing":
		return seaworthy.Test
	}
	return seaworthy.Development
}

func poetryTable(table map[string]any, scope seaworthy.Scope) []seaworthy.Dependency {
	var out []seaworthy.Dependency
	for _, name := range slices.Sorted(maps.Keys(table)) {
		if name != "python" {
			out = append(out, poetryDependency(name, table[name], scope))
		}
	}
	return out
}

func readPipfile(f *File) (Facts, error) {
	var m map[string]any
	if err := readTOML(f, &m); err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	p := l.project(here, "pypi")
	for _, group := range slices.Sorted(maps.Keys(m)) {
		table, ok := m[group].(map[string]any)
		if !ok || group == "requires" || group == "scripts" || group == "pipenv" || group == "pipfile" {
			continue
		}
		scope := seaworthy.Development
		if group == "packages" {
			scope = ""
		}
		p.Depends = append(p.Depends, poetryTable(table, scope)...)
	}
	return l.Facts, nil
}
