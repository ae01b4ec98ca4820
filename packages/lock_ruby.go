package packages

import (
	"bytes"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// lockRuby reads Gemfile.lock, Gemfile and *.gemspec. The latter two are Ruby programs: they are looked at line by
// line, never run, and what they compute stays unknown.
var lockRuby = Recogniser{
	Name: "ruby-lock", Version: 1, Lock: true,
	Wants: func(p string, _ int64, _ fs.FileMode) bool {
		return (baseIs(p, "Gemfile.lock", "gems.locked", "Gemfile", "gems.rb") || strings.HasSuffix(p, ".gemspec")) && inTree(p)
	},
	Read: func(f *File) (Facts, error) {
		switch {
		case baseIs(f.Path, "Gemfile.lock", "gems.locked"):
			return readGemfileLock(f)
		case strings.HasSuffix(f.Path, ".gemspec"):
			return readGemspecSource(f)
		}
		return readGemfile(f)
	},
	Join: joinRuby,
}

var rubyFamily = lockFamily{
	ecosystem: "gem",
	purl:      func(name, version string) string { return purl.New("gem", "", name, version) },
	exact: func(rng string) string {
		rng = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(rng), "="), "="))
		if rng != "" && rng[0] >= '0' && rng[0] <= '9' && !strings.ContainsAny(rng, ", <>~") {
			return rng
		}
		return ""
	},
	manifest: func(base string) bool {
		return base == "Gemfile" || base == "gems.rb" || strings.HasSuffix(base, ".gemspec")
	},
}

// joinRuby leaves to the Gemfile what it asks for, since it also says for which group, and makes the gem whose
// gemspec is in the same directory the project.
func joinRuby(_ Context, all []Facts) Joined {
	asked := map[string]map[string]bool{} // names by directory
	specs := map[string]string{}          // the gem of a directory's gemspec
	for i := range all {
		f := &all[i]
		if baseIs(f.Path, "Gemfile.lock", "gems.locked") {
			continue
		}
		dir := path.Dir(f.Path)
		if asked[dir] == nil {
			asked[dir] = map[string]bool{}
		}
		for k := range f.Packages {
			for _, d := range f.Packages[k].Depends {
				asked[dir][d.Name] = true
			}
			if name := f.Packages[k].Name; name != "" {
				specs[dir] = name
			}
		}
	}
	all = slices.Clone(all)
	for i := range all {
		f := &all[i]
		dir := path.Dir(f.Path)
		if !baseIs(f.Path, "Gemfile.lock", "gems.locked") || asked[dir] == nil {
			continue
		}
		own := ""
		f.Packages = slices.Clone(f.Packages)
		for k := range f.Packages {
			if p := &f.Packages[k]; p.Name == specs[dir] && p.Property("source") == here {
				own = p.Ref
				p.Ref, p.Role, p.Properties, p.Depends = here, seaworthy.Application, nil, nil
			}
		}
		var relations []seaworthy.Relation
		for _, r := range f.Relations {
			if r.From == own && own != "" || r.Type == seaworthy.DependsOn && r.From == here && asked[dir][r.Comment] {
				continue
			}
			if r.To == own && own != "" {
				r.To = here
			}
			relations = append(relations, r)
		}
		f.Relations = relations
	}
	return rubyFamily.join(all)
}

// readGemfileLock reads Bundler's lock file: sections at the margin, gems indented by four, what a gem needs by
// six, and under DEPENDENCIES what the Gemfile asks for.
func readGemfileLock(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	r := &gemfileLock{l: newLockFacts(f), byName: map[string][]string{}, platforms: map[string]bool{}}
	r.l.project(here, "gem")
	for raw := range bytes.Lines(b) {
		text := strings.TrimRight(string(raw), " \r\n")
		body := strings.TrimLeft(text, " ")
		switch indent := len(text) - len(body); {
		case body == "":
		case strings.HasPrefix(body, "<<<<<<<"), strings.HasPrefix(body, ">>>>>>>"):
			return Facts{}, seaworthy.Errorf(seaworthy.Invalid, "reading %q: it has merge conflicts", f.Path)
		case indent == 0:
			r.section, r.remote, r.revision, r.current = body, "", "", ""
			r.sections = r.sections || body == strings.ToUpper(body)
		default:
			r.line(indent, body)
		}
	}
	if !r.sections {
		return Facts{}, seaworthy.Errorf(seaworthy.Invalid, "reading %q: no section of a Gemfile.lock in it", f.Path)
	}
	r.finish()
	return r.l.Facts, nil
}

type gemfileLock struct {
	l                                  *lockFacts
	section, remote, revision, current string
	sections                           bool
	byName                             map[string][]string
	platforms                          map[string]bool
	asked                              []seaworthy.Dependency
}

func (r *gemfileLock) line(indent int, body string) {
	switch r.section {
	case "GEM", "GIT", "PATH", "PLUGIN SOURCE":
		switch {
		case indent == 2:
			key, value, _ := strings.Cut(body, ":")
			if value = strings.TrimSpace(value); key == "remote" {
				r.remote = value
			} else if key == "revision" {
				r.revision = value
			}
		case indent == 4:
			name, version := gemNameVersion(body)
			r.gem(name, version)
		case indent >= 6 && r.current != "":
			name, versions := gemNameVersion(body)
			p := &r.l.Packages[r.l.index[r.current]]
			p.Depends = append(p.Depends, seaworthy.Dependency{Name: name, Range: versions})
		}
	case "DEPENDENCIES":
		if indent == 2 {
			name, versions := gemNameVersion(strings.TrimSuffix(body, "!"))
			r.asked = append(r.asked, seaworthy.Dependency{Name: strings.TrimSuffix(name, "!"), Range: versions})
		}
	case "CHECKSUMS":
		r.checksum(body)
	}
}

// gemNameVersion splits "name (1.2.3)" or "name (>= 1, < 2)".
func gemNameVersion(s string) (name, version string) {
	name, version, _ = strings.Cut(s, " (")
	return strings.TrimSpace(name), strings.TrimSuffix(strings.TrimSpace(version), ")")
}

func (r *gemfileLock) gem(name, version string) {
	p := seaworthy.Package{Ecosystem: "gem", Name: name}
	// "1.15.4-x86_64-linux" is the version and the platform the gem was built for.
	p.Version, p.Arch, _ = strings.Cut(version, "-")
	p.Ref = name + "@" + version
	switch r.section {
	case "GIT":
		p.Download = vcsURL(cleanDownload(strings.Replace(r.remote, "git@", "ssh://git@", 1)), r.revision)
		p.PURL = purl.New("gem", "", name, p.Version, "vcs_url", p.Download)
	case "PATH":
		p.Properties = []seaworthy.Property{{Name: "source", Value: r.remote}}
	default:
		if strings.HasPrefix(r.remote, "https://rubygems.org") {
			p.Download = "https://rubygems.org/downloads/" + name + "-" + version + ".gem"
		}
		p.PURL = purl.New("gem", "", name, p.Version, "platform", p.Arch)
	}
	r.current = p.Ref
	if !r.l.has(p.Ref) {
		r.l.add(p)
		r.byName[name] = append(r.byName[name], p.Ref)
		r.l.resolves(name, p.Ref)
	}
}

// checksum reads "name (1.2.3) sha256=hex".
func (r *gemfileLock) checksum(body string) {
	at := strings.LastIndex(body, ") ")
	if at < 0 {
		return
	}
	name, version := gemNameVersion(body[:at+1])
	if i, ok := r.l.index[name+"@"+version]; ok {
		if d, ok := pythonHash(body[at+2:]); ok {
			setHashes(&r.l.Packages[i], []seaworthy.Digest{d})
		}
	}
}

func (r *gemfileLock) finish() {
	for i := range r.l.Packages {
		p := &r.l.Packages[i]
		for _, d := range p.Depends {
			for _, to := range r.byName[d.Name] {
				r.l.dependsOn(p.Ref, to, "")
			}
		}
	}
	// The groups are in the Gemfile; what it asks for is here too, for when there is none.
	for _, d := range r.asked {
		for _, to := range r.byName[d.Name] {
			r.l.Relations = append(r.l.Relations, seaworthy.Relation{From: here, Type: seaworthy.DependsOn, To: to, Comment: d.Name})
		}
	}
}

// A line of a Gemfile or gemspec that asks for a gem, and the strings in it.
var (
	gemLine      = regexp.MustCompile(`^\s*gem[\s(]+["']([^"']+)["'](.*)$`)
	gemGroup     = regexp.MustCompile(`^\s*group[\s(]+(.+?)\)?\s+do\b`)
	gemBlock     = regexp.MustCompile(`\bdo\b\s*(\|[^|]*\|)?\s*$`)
	gemIf        = regexp.MustCompile(`^\s*(if|unless|case|begin|while|def)\b`)
	gemEnd       = regexp.MustCompile(`^\s*end\b`)
	gemString    = regexp.MustCompile(`["']([^"']*)["']`)
	gemOption    = regexp.MustCompile(`^\s*(:?\w+\s*=>|\w+:)`)
	gemGroups    = regexp.MustCompile(`:?groups?(?::|\s*=>)\s*(\[[^\]]*\]|[:"']\w+)`)
	gemspecAsks  = regexp.MustCompile(`\.add_(runtime_|development_)?dependency[\s(]+["']([^"']+)["'](.*)$`)
	gemspecField = regexp.MustCompile(`^\s*\w+\.(name|version|license|summary|homepage)\s*=\s*["']([^"']+)["']`)
)

// rubyScope is what a group of a Gemfile is for.
func rubyScope(groups string) seaworthy.Scope {
	switch {
	case groups == "" || strings.Contains(groups, "default") || strings.Contains(groups, "production"):
		return ""
	case strings.Contains(groups, "development"):
		return seaworthy.Development
	case strings.Contains(groups, "test"):
		return seaworthy.Test
	}
	return ""
}

// rubyVersions joins the version strings that follow a gem's name; they end where options begin.
func rubyVersions(rest string) string {
	var out []string
	for item := range strings.SplitSeq(rest, ",") {
		if gemOption.MatchString(item) {
			break
		}
		for _, m := range gemString.FindAllStringSubmatch(item, 4) {
			out = append(out, m[1])
		}
	}
	return strings.Join(out, ", ")
}

func readGemfile(f *File) (Facts, error) {
	l, lines, err := rubyLines(f)
	if err != nil {
		return Facts{}, err
	}
	p := l.project(here, "gem")
	var blocks []string // the groups of each block that is open, "" of others
	for _, line := range lines {
		switch m := gemLine.FindStringSubmatch(line); {
		case m != nil:
			scope := rubyScope(strings.Join(blocks, " "))
			if g := gemGroups.FindStringSubmatch(m[2]); g != nil {
				scope = rubyScope(g[1])
			}
			p.Depends = append(p.Depends, seaworthy.Dependency{Name: m[1], Range: rubyVersions(m[2]), Scope: scope})
		case gemEnd.MatchString(line):
			blocks = blocks[:max(0, len(blocks)-1)]
		default:
			group := gemGroup.FindStringSubmatch(line)
			if len(blocks) > maxLockDepth {
				continue
			}
			if group != nil {
				blocks = append(blocks, group[1])
			} else if gemBlock.MatchString(line) || gemIf.MatchString(line) {
				blocks = append(blocks, "")
			}
		}
	}
	return l.Facts, nil
}

func readGemspecSource(f *File) (Facts, error) {
	l, lines, err := rubyLines(f)
	if err != nil {
		return Facts{}, err
	}
	p := l.project(here, "gem")
	for _, line := range lines {
		if m := gemspecAsks.FindStringSubmatch(line); m != nil {
			scope := seaworthy.Scope("")
			if m[1] == "development_" {
				scope = seaworthy.Development
			}
			p.Depends = append(p.Depends, seaworthy.Dependency{Name: m[2], Range: rubyVersions(m[3]), Scope: scope})
		} else if m := gemspecField.FindStringSubmatch(line); m != nil {
			switch m[1] {
			case "name":
				p.Name = m[2]
			case "version":
				p.Version = m[2]
			case "license":
				p.Licences.Declared = m[2]
			case "summary":
				p.Description = m[2]
			case "homepage":
				p.Homepage = cleanDownload(m[2])
			}
		}
	}
	if p.Name == "" {
		p.Name = strings.TrimSuffix(path.Base(f.Path), ".gemspec")
	}
	return l.Facts, nil
}

// rubyLines returns the lines that are not remarks. Lines over 4 KiB ask for no gem and are left out.
func rubyLines(f *File) (*lockFacts, []string, error) {
	b, err := lockBytes(f)
	if err != nil {
		return nil, nil, err
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return nil, nil, seaworthy.Errorf(seaworthy.Invalid, "reading %q: not text", f.Path)
	}
	var lines []string
	for raw := range bytes.Lines(b) {
		line := strings.TrimRight(string(raw), "\r\n")
		if t := strings.TrimSpace(line); t != "" && t[0] != '#' && len(line) < 4<<10 {
			lines = append(lines, line)
		}
	}
	return newLockFacts(f), lines, nil
}
