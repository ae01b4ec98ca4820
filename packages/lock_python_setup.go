package packages

import (
	"bytes"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// readSetupCfg reads the declarative configuration of setuptools.
func readSetupCfg(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	p := l.project(here, "pypi")
	section, key, any := "", "", false
	for raw := range bytes.Lines(b) {
		text := strings.TrimRight(string(raw), " \t\r\n")
		value := strings.TrimSpace(text)
		switch {
		case value == "" || value[0] == '#' || value[0] == ';':
			continue
		case text[0] == '[' && strings.HasSuffix(text, "]"):
			section, key = text[1:len(text)-1], ""
			continue
		case text[0] != ' ' && text[0] != '\t':
			i := strings.IndexAny(text, "=:")
			if i < 0 {
				key = ""
				continue
			}
			key, value = strings.TrimSpace(text[:i]), strings.TrimSpace(text[i+1:])
		}
		switch section + "/" + key {
		case "metadata/name":
			p.Name, any = value, true
		case "metadata/version":
			if !strings.HasPrefix(value, "attr:") && !strings.HasPrefix(value, "file:") {
				p.Version = value
			}
		case "options/install_requires":
			setupRequires(p, value, "")
		case "options/tests_require":
			setupRequires(p, value, seaworthy.Test)
		case "options/setup_requires":
			setupRequires(p, value, seaworthy.Build)
		default:
			if section == "options.extras_require" && key != "" {
				setupRequires(p, value, seaworthy.Optional)
			}
		}
	}
	if !any && len(p.Depends) == 0 {
		return Facts{}, nil // only the settings of other tools
	}
	return l.Facts, nil
}

func setupRequires(p *seaworthy.Package, value string, scope seaworthy.Scope) {
	for item := range strings.SplitSeq(value, "\n") {
		if r, ok := parseRequirement(item); ok {
			p.Depends = append(p.Depends, r.dependency(scope))
		}
	}
}

// readSetupPy takes what a setup.py says in so many words: name, version, and the lists of strings given to
// install_requires, tests_require and setup_requires. What is computed stays unknown.
func readSetupPy(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	p := l.project(here, "pypi")
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '#':
			for i < len(b) && b[i] != '\n' {
				i++
			}
		case c == '"' || c == '\'':
			i = endOfTOMLString(b, i) // Python's strings end as TOML's do
		case isAlnum(c) || c == '_':
			start := i
			for i < len(b) && (isAlnum(b[i]) || b[i] == '_') {
				i++
			}
			i = setupArgument(p, b, string(b[start:min(i, start+32)]), i)
		default:
			i++
		}
	}
	if p.Name == "" && len(p.Depends) == 0 {
		return Facts{}, nil
	}
	return l.Facts, nil
}

// setupArgument reads what follows the word at i when it is `= "text"` or `= ["text", …]`, and returns where to
// go on.
func setupArgument(p *seaworthy.Package, b []byte, word string, i int) int {
	scope := seaworthy.Scope("")
	switch word {
	case "name", "version", "install_requires":
	case "tests_require":
		scope = seaworthy.Test
	case "setup_requires":
		scope = seaworthy.Build
	default:
		return i
	}
	at := skipSpace(b, i)
	if at >= len(b) || b[at] != '=' {
		return i
	}
	at = skipSpace(b, at+1)
	if at >= len(b) {
		return at
	}
	switch {
	case b[at] == '"' || b[at] == '\'':
		end := endOfTOMLString(b, at)
		text := strings.Trim(string(b[at:end]), `"'`)
		if next := skipSpace(b, end); next < len(b) && b[next] != ',' && b[next] != ')' {
			return end // part of an expression
		}
		if word == "name" && p.Name == "" {
			p.Name = text
		} else if word == "version" && p.Version == "" {
			p.Version = text
		}
		return end
	case (b[at] == '[' || b[at] == '(') && word != "name" && word != "version":
		for at++; at < len(b) && b[at] != ']' && b[at] != ')'; {
			switch b[at] {
			case '"', '\'':
				end := endOfTOMLString(b, at)
				setupRequires(p, strings.Trim(string(b[at:end]), `"'`), scope)
				at = end
			case '#':
				for at < len(b) && b[at] != '\n' {
					at++
				}
			default:
				at++
			}
		}
		return at
	}
	return i
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}
