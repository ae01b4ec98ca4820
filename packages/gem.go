package packages

import (
	"bytes"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// gem recognises installed Ruby gems: specifications/*.gemspec and specifications/default/*.gemspec of a gem
// directory. These are Ruby programs, but RubyGems itself writes them when it installs (Gem::Specification#
// to_ruby), in a fixed form of one assignment a line, and that form is what is read.
var gem = Recogniser{
	Name:    "gem",
	Version: 1,
	Wants: func(p string, size int64, _ fs.FileMode) bool {
		if size > maxGemspec || !strings.HasSuffix(p, ".gemspec") {
			return false
		}
		dir := p[:max(0, strings.LastIndexByte(p, '/'))]
		dir = strings.TrimSuffix(dir, "/default")
		return dir == "specifications" || strings.HasSuffix(dir, "/specifications")
	},
	Read: readGem,
	Join: joinGems,
}

// maxGemspec is the largest gemspec that is read: 4 MiB; one that lists many files has near 300 kB.
const maxGemspec = 4 << 20

func readGem(f *File) (Facts, error) {
	b, err := f.Bytes()
	if err != nil {
		return Facts{}, err
	}
	p := seaworthy.Package{Ecosystem: "gem"}
	platform := ""
	var licences, authors, emails []string
	for line := range bytes.Lines(b) {
		line = bytes.TrimSpace(line)
		if stub, ok := bytes.CutPrefix(line, []byte("# stub: ")); ok {
			// # stub: name version platform require_paths
			if words := strings.Fields(string(stub)); len(words) >= 3 && p.Name == "" {
				p.Name, p.Version, platform = words[0], words[1], words[2]
			}
			continue
		}
		name, value, ok := gemAssignment(line)
		if !ok {
			continue
		}
		switch name {
		case "name":
			p.Name = rubyString(value)
		case "version":
			if v := rubyString(value); v != "" {
				p.Version = v
			}
		case "platform":
			if v := rubyString(value); v != "" {
				platform = v
			}
		case "license":
			licences = append(licences[:0], rubyString(value))
		case "licenses":
			licences = rubyStrings(value)
		case "author":
			authors = append(authors[:0], rubyString(value))
		case "authors":
			authors = rubyStrings(value)
		case "email":
			emails = rubyStrings(value)
		case "homepage":
			p.Homepage = rubyString(value)
		case "summary":
			p.Description = rubyString(value)
		case "metadata":
			if s := rubyStrings(value); len(s)%2 == 0 {
				for i := 0; i < len(s); i += 2 {
					if s[i] == "source_code_uri" {
						p.Properties = append(p.Properties, seaworthy.Property{Name: "gem:repository", Value: s[i+1]})
					}
				}
			}
		case "add_dependency", "add_runtime_dependency", "add_development_dependency":
			if s := rubyStrings(value); len(s) > 0 {
				d := seaworthy.Dependency{Name: s[0], Range: strings.Join(s[1:], ", ")}
				if name == "add_development_dependency" {
					d.Scope = seaworthy.Development
				}
				if !slices.ContainsFunc(p.Depends[:min(len(p.Depends), 256)], func(have seaworthy.Dependency) bool { return have.Name == d.Name }) {
					p.Depends = append(p.Depends, d) // the older form lists all again in an else branch
				}
			}
		}
	}
	if p.Name == "" || p.Version == "" {
		return Facts{}, seaworthy.Errorf(seaworthy.Invalid, "reading %q: no name or no version", f.Path)
	}
	if platform == "ruby" {
		platform = ""
	}
	p.PURL = purl.New("gem", "", p.Name, p.Version, "platform", platform)
	p.Licences.Declared = anyLicence(licences)
	if len(authors) > 0 {
		p.Originator.Name = strings.Join(authors, ", ")
	}
	if len(emails) == 1 {
		p.Originator.Email = emails[0]
	}
	return Facts{Packages: []seaworthy.Package{p}}, nil
}

// gemAssignment takes "s.name = value" or "s.add_dependency(value)" apart; the variable may have any name.
func gemAssignment(line []byte) (name string, value []byte, ok bool) {
	_, rest, ok := bytes.Cut(line, []byte{'.'})
	if !ok {
		return "", nil, false
	}
	n := 0
	for n < len(rest) && (rest[n] >= 'a' && rest[n] <= 'z' || rest[n] == '_') {
		n++
	}
	name, value = string(rest[:n]), bytes.TrimLeft(rest[n:], " ")
	if strings.HasPrefix(name, "add_") {
		return name, value, true
	}
	if !bytes.HasPrefix(value, []byte{'='}) || bytes.HasPrefix(value, []byte("==")) {
		return "", nil, false
	}
	return name, value[1:], true
}

// rubyString returns the first string literal of a line of Ruby, or "".
func rubyString(b []byte) string {
	if s := rubyLiterals(b, 1); len(s) > 0 {
		return s[0]
	}
	return ""
}

// rubyStrings returns the string literals of a line of Ruby, including the symbols of %q<…>.
func rubyStrings(b []byte) []string { return rubyLiterals(b, 64) }

func rubyLiterals(b []byte, most int) []string {
	var out []string
	for len(b) > 0 && len(out) < most {
		switch {
		case b[0] == '"' || b[0] == '\'':
			s, rest := rubyQuoted(b[1:], b[0])
			out, b = append(out, s), rest
		case bytes.HasPrefix(b, []byte("%q<")):
			s, rest, _ := bytes.Cut(b[3:], []byte{'>'})
			out, b = append(out, string(s)), rest
		case bytes.HasPrefix(b, []byte(" if ")), bytes.HasPrefix(b, []byte(" unless ")), b[0] == '#':
			return out
		default:
			b = b[1:]
		}
	}
	return out
}

// rubyQuoted reads a literal up to its closing quote: \" and \\, and in double quotes \uXXXX.
func rubyQuoted(b []byte, quote byte) (s string, rest []byte) {
	var out []byte
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == quote:
			return string(out), b[i+1:]
		case b[i] == '\\' && i+1 < len(b):
			i++
			switch {
			case quote == '"' && b[i] == 'u' && i+4 < len(b):
				r := rune(0)
				for _, c := range b[i+1 : i+5] {
					r <<= 4
					switch {
					case '0' <= c && c <= '9':
						r |= rune(c - '0')
					case 'a' <= c|0x20 && c|0x20 <= 'f':
						r |= rune(c|0x20-'a') + 10
					}
				}
				out, i = append(out, string(r)...), i+4
			case quote == '"' && (b[i] == 'n' || b[i] == 't'):
				out = append(out, ' ')
			default:
				out = append(out, b[i])
			}
		default:
			out = append(out, b[i])
		}
	}
	return string(out), nil
}

func joinGems(_ Context, all []Facts) Joined {
	var j Joined
	type key struct{ home, name string }
	index := map[key]int{}       // in one gem directory
	anywhere := map[string]int{} // Ruby looks through several: Debian has three
	homes := make([]string, 0, len(all))
	for i := range all {
		j.Problems = append(j.Problems, all[i].Problems...)
		for _, p := range all[i].Packages {
			home := path.Dir(all[i].Path)
			home = strings.TrimSuffix(strings.TrimSuffix(home, "/default"), "specifications")
			p.Ref = placedRef(p.PURL, all[i].Path)
			p.Evidence = []seaworthy.Evidence{{Path: all[i].Path, By: "gem"}}
			if _, ok := index[key{home, p.Name}]; !ok {
				index[key{home, p.Name}] = len(j.Packages)
			}
			if _, ok := anywhere[p.Name]; !ok {
				anywhere[p.Name] = len(j.Packages)
			}
			j.Packages, homes = append(j.Packages, p), append(homes, home)
		}
	}
	for i := range j.Packages {
		for _, d := range j.Packages[i].Depends {
			to, ok := index[key{homes[i], d.Name}]
			if !ok {
				to, ok = anywhere[d.Name]
			}
			if ok && to != i && d.Scope != seaworthy.Development {
				j.Relations = append(j.Relations, seaworthy.Relation{From: j.Packages[i].Ref, Type: seaworthy.DependsOn, To: j.Packages[to].Ref, Scope: d.Scope})
			}
		}
	}
	sortRelations(j.Relations)
	return j
}
