package packages

import (
	"io/fs"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// lockPython reads what Python projects say: lock files of Poetry, uv, PDM and Pipenv, pylock.toml, requirements files, and the
// manifests pyproject.toml, Pipfile, setup.cfg and setup.py (which is looked at, not run).
var lockPython = Recogniser{
	Name: "python-lock", Version: 2, Lock: true,
	Wants: func(p string, _ int64, _ fs.FileMode) bool {
		return (baseIs(p, "poetry.lock", "uv.lock", "pdm.lock", "Pipfile.lock", "Pipfile", "pyproject.toml", "setup.py", "setup.cfg") ||
			isPylock(p) || isRequirements(p)) && inTree(p)
	},
	Read: func(f *File) (Facts, error) {
		switch f.Path[strings.LastIndexByte(f.Path, '/')+1:] {
		case "poetry.lock":
			return readPoetryLock(f)
		case "uv.lock":
			return readUVLock(f)
		case "pdm.lock":
			return readPDMLock(f)
		case "Pipfile.lock":
			return readPipfileLock(f)
		case "Pipfile":
			return readPipfile(f)
		case "pyproject.toml":
			return readPyproject(f)
		case "setup.py":
			return readSetupPy(f)
		case "setup.cfg":
			return readSetupCfg(f)
		}
		if isPylock(f.Path) {
			return readPylock(f)
		}
		return readRequirements(f)
	},
	Join: func(_ Context, all []Facts) Joined { return pythonFamily.join(all) },
}

var pythonFamily = lockFamily{
	ecosystem: "pypi",
	name:      pythonName,
	purl:      func(name, version string) string { return purl.New("pypi", "", name, version) },
	exact:     pythonExact,
	manifest: func(base string) bool {
		return base == "pyproject.toml" || base == "setup.cfg" || base == "setup.py" || base == "Pipfile"
	},
}

// pythonName is the normal form of a project's name (PEP 503): lower case, runs of "-", "_" and "." are one "-".
func pythonName(s string) string {
	var b strings.Builder
	dash := false
	for _, c := range []byte(s) {
		if c == '-' || c == '_' || c == '.' {
			dash = true
			continue
		}
		if dash && b.Len() > 0 {
			b.WriteByte('-')
		}
		dash = false
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}

// pythonExact returns the version of "==1.2" or "===1.2"; a wildcard is not one.
func pythonExact(rng string) string {
	v, ok := strings.CutPrefix(strings.TrimSpace(rng), "==")
	v = strings.TrimSpace(strings.TrimPrefix(v, "="))
	for _, c := range []byte(v) {
		if !isAlnum(c) && c != '.' && c != '-' && c != '_' && c != '+' && c != '!' {
			return ""
		}
	}
	if !ok {
		return ""
	}
	return v
}

// requirement is one dependency as PEP 508 writes it: name[extras] versions ; marker, or name @ url.
type requirement struct {
	name, extras, versions, url, marker string
}

// parseRequirement reads s; ok is false when it does not begin with a name.
func parseRequirement(s string) (r requirement, ok bool) {
	s = strings.TrimSpace(s)
	end := 0
	for end < len(s) && (isAlnum(s[end]) || s[end] == '-' || s[end] == '_' || s[end] == '.') {
		end++
	}
	if end == 0 || !isAlnum(s[0]) {
		return r, false
	}
	r.name, s = s[:end], strings.TrimSpace(s[end:])
	if strings.HasPrefix(s, "[") {
		close := strings.IndexByte(s, ']')
		if close < 0 {
			return r, false
		}
		r.extras, s = strings.ReplaceAll(s[1:close], " ", ""), strings.TrimSpace(s[close+1:])
	}
	if rest, isURL := strings.CutPrefix(s, "@"); isURL {
		rest = strings.TrimSpace(rest)
		r.url, r.marker, _ = strings.Cut(rest, " ;")
		r.url, r.marker = strings.TrimSpace(r.url), strings.TrimSpace(r.marker)
		return r, r.url != ""
	}
	r.versions, r.marker, _ = strings.Cut(s, ";")
	r.versions = strings.TrimSpace(r.versions)
	r.versions = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(r.versions, "("), ")"))
	r.marker = strings.TrimSpace(r.marker)
	return r, r.versions == "" || strings.ContainsRune("<>=!~", rune(r.versions[0]))
}

// dependency is r as something a package asks for. A requirement of an extra is optional.
func (r requirement) dependency(scope seaworthy.Scope) seaworthy.Dependency {
	if scope == "" && strings.Contains(r.marker, "extra ") {
		scope = seaworthy.Optional
	}
	d := seaworthy.Dependency{Name: r.name, Range: r.versions, Scope: scope}
	if r.url != "" {
		d.Range = pythonURL(r.url)
	}
	return d
}

// properties says what a Dependency has no field for.
func (r requirement) properties() []seaworthy.Property {
	var out []seaworthy.Property
	if r.extras != "" {
		out = append(out, seaworthy.Property{Name: "extras", Value: r.extras})
	}
	if r.marker != "" {
		out = append(out, seaworthy.Property{Name: "marker", Value: r.marker})
	}
	return out
}

// pythonURL is an address fit to be shown: without secrets, or a path of the tree.
func pythonURL(s string) string {
	if strings.Contains(s, "://") && !strings.HasPrefix(s, "file:") {
		address, _, _ := strings.Cut(s, "#")
		return cleanDownload(strings.TrimSpace(address))
	}
	return s
}

// pythonSource sets where p comes from when that is not the index: a repository, an archive or a directory.
func pythonSource(p *seaworthy.Package, address, commit string) {
	if strings.HasPrefix(address, "git+") || commit != "" {
		address, _, _ = strings.Cut(address, "#")
		if at := strings.LastIndexByte(address, '@'); commit == "" && at > strings.LastIndexByte(address, '/') {
			address, commit = address[:at], address[at+1:]
		}
		p.Download = vcsURL(cleanDownload(address), commit)
		p.PURL = purl.New("pypi", "", p.Name, p.Version, "vcs_url", p.Download)
		return
	}
	if p.Download = pythonURL(address); p.Download != "" && strings.Contains(p.Download, "://") {
		p.PURL = purl.New("pypi", "", p.Name, p.Version, "download_url", p.Download)
		return
	}
	p.Download = ""
	p.Properties = append(p.Properties, seaworthy.Property{Name: "source", Value: address})
}

// pythonHash reads "sha256:hex" or "sha256=hex".
func pythonHash(s string) (seaworthy.Digest, bool) {
	d, err := seaworthy.ParseDigest(strings.Replace(strings.TrimSpace(s), "=", ":", 1))
	return d, err == nil
}

// pythonIndex finds the packages of a lock file by normal name, and draws the edges by it.
type pythonIndex map[string][]string

func (x pythonIndex) add(l *lockFacts, p seaworthy.Package) {
	if l.has(p.Ref) {
		return
	}
	name := pythonName(p.Name)
	const most = 64 // versions of one package, chosen by markers
	if l.add(p); len(x[name]) < most {
		x[name] = append(x[name], p.Ref)
		l.resolves(name, p.Ref)
	}
}

// edges leads from to every version of what it depends on: which one is used is for markers to decide, on the
// machine it is installed on.
func (x pythonIndex) edges(l *lockFacts, from string, depends []seaworthy.Dependency) {
	for _, d := range depends {
		for _, to := range x[pythonName(d.Name)] {
			l.dependsOn(from, to, d.Scope)
		}
	}
}
