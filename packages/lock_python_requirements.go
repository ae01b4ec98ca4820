package packages

import (
	"bytes"
	"path"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// isRequirements reports whether p is named as requirements files are: requirements.txt, requirements-dev.txt,
// dev-requirements.txt, requirements/base.txt. Files pip-compile reads (.in) are manifests of the same shape.
func isRequirements(p string) bool {
	base := p[strings.LastIndexByte(p, '/')+1:]
	stem, ok := strings.CutSuffix(base, ".txt")
	if !ok {
		return false
	}
	if strings.Contains(stem, "requirements") {
		return true
	}
	dir := strings.TrimSuffix(p[:len(p)-len(base)], "/")
	return dir == "requirements" || strings.HasSuffix(dir, "/requirements")
}

// requirementsScope is what a requirements file is for, as far as its name tells.
func requirementsScope(p string) seaworthy.Scope {
	base := strings.ToLower(path.Base(p))
	words := strings.FieldsFunc(base, func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	for _, w := range words {
		switch w {
		case "dev", "develop", "development", "lint", "docs", "doc":
			return seaworthy.Development
		case "test", "tests", "testing":
			return seaworthy.Test
		case "build":
			return seaworthy.Build
		case "optional", "extra", "extras":
			return seaworthy.Optional
		}
	}
	return ""
}

// readRequirements reads a requirements file (pip.pypa.io, "Requirements File Format"). Included files are named
// in a property; they count when they are requirements files of the tree themselves. The "# via" remarks of
// pip-compile and uv say which package needs which; without them everything named is direct.
func readRequirements(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return Facts{}, seaworthy.Errorf(seaworthy.Invalid, "reading %q: not text", f.Path)
	}
	r := &requirementsReader{l: newLockFacts(f), index: pythonIndex{}, scope: requirementsScope(f.Path)}
	r.l.project(here, "pypi")
	line, start, whole := 0, 0, []byte(nil)
	for raw := range bytes.Lines(stripBOM(b)) {
		line++
		text := strings.TrimRight(string(raw), "\r\n")
		if len(whole) == 0 {
			start = line
		}
		if before, ok := strings.CutSuffix(text, "\\"); ok && !strings.HasPrefix(strings.TrimSpace(text), "#") {
			if len(whole)+len(before) > maxLockFile/64 {
				return Facts{}, seaworthy.Errorf(seaworthy.TooLarge, "reading %q: line %d goes on for too long", f.Path, start)
			}
			whole = append(append(whole, before...), ' ')
			continue
		}
		r.line(string(whole)+text, start)
		whole = whole[:0]
	}
	if len(whole) > 0 {
		r.line(string(whole), start)
	}
	r.finish()
	return r.l.Facts, nil
}

type requirementsReader struct {
	l     *lockFacts
	index pythonIndex
	scope seaworthy.Scope
	named []namedRequirement
	inVia bool
}

type namedRequirement struct {
	requirement
	ref string // of the package, when the version is exact
	via []string
}

func (r *requirementsReader) line(text string, at int) {
	text = strings.TrimSpace(text)
	if comment, ok := strings.CutPrefix(text, "#"); ok {
		r.comment(strings.TrimSpace(comment))
		return
	}
	if i := strings.Index(text, " #"); i >= 0 {
		comment := strings.TrimSpace(text[i+2:])
		text = strings.TrimSpace(text[:i])
		defer r.comment(comment)
	}
	if text == "" {
		r.inVia = false
		return
	}
	r.inVia = false
	if strings.HasPrefix(text, "-") {
		r.option(text)
		return
	}
	text, options, _ := strings.Cut(text, " --")
	req, ok := parseRequirement(text)
	if !ok {
		if strings.Contains(text, "://") || strings.ContainsAny(text, "/\\") {
			r.address(text)
			return
		}
		r.l.problem(seaworthy.Invalid, "line "+strconv.Itoa(at)+": "+quoted(text)+" is no requirement")
		return
	}
	if req.versions == "" && req.url == "" && strings.ContainsAny(text, "/\\") {
		r.address(text)
		return
	}
	r.add(req, options)
}

// comment takes the names of "# via a, b" and of the lines that go on from it.
func (r *requirementsReader) comment(s string) {
	if len(r.named) == 0 {
		return
	}
	last := &r.named[len(r.named)-1]
	if after, ok := strings.CutPrefix(s, "via"); ok && (after == "" || after[0] == ' ' || after[0] == ':') {
		r.inVia, s = true, strings.TrimLeft(after, " :")
	} else if !r.inVia {
		return
	}
	const most = 1000
	for name := range strings.SplitSeq(s, ",") {
		if name = strings.TrimSpace(name); name != "" && len(last.via) < most {
			last.via = append(last.via, name)
		}
	}
}

// option reads -e, and the names of files that -r and -c include.
func (r *requirementsReader) option(text string) {
	name, value, ok := strings.Cut(text, " ")
	if !ok {
		name, value, _ = strings.Cut(text, "=")
	}
	value = strings.TrimSpace(value)
	switch name {
	case "-e", "--editable":
		r.address(value)
	case "-r", "--requirement", "-c", "--constraint":
		p := r.l.project(here, "pypi")
		const most = 100
		if len(p.Properties) < most {
			p.Properties = append(p.Properties, seaworthy.Property{Name: strings.TrimLeft(name, "-")[:1] + " " + value, Value: r.l.Path})
		}
	}
}

// address adds a requirement that is a URL or a path; its name may be in "#egg=name".
func (r *requirementsReader) address(s string) {
	s, _, _ = strings.Cut(s, " ;")
	_, fragment, _ := strings.Cut(s, "#")
	name := ""
	for part := range strings.SplitSeq(fragment, "&") {
		if egg, ok := strings.CutPrefix(part, "egg="); ok {
			name, _, _ = strings.Cut(egg, "[")
		}
	}
	if name == "" {
		name, _, _ = strings.Cut(strings.TrimSuffix(path.Base(strings.TrimRight(s, "/")), ".git"), "@")
		if wheel, ok := strings.CutSuffix(name, ".whl"); ok {
			name, _, _ = strings.Cut(wheel, "-") // PEP 427: name-version-…
		}
	}
	if name == "" || name == "." || name == ".." {
		return // the project itself
	}
	r.add(requirement{name: name, url: s}, "")
}

func (r *requirementsReader) add(req requirement, options string) {
	named := namedRequirement{requirement: req}
	version := pythonExact(req.versions)
	if version != "" || req.url != "" {
		p := seaworthy.Package{Ecosystem: "pypi", Name: req.name, Version: version, Scope: r.scope}
		p.Ref = pythonName(req.name) + "@" + version + " " + req.url
		if req.url != "" {
			pythonSource(&p, req.url, "")
		}
		p.Properties = append(p.Properties, req.properties()...)
		var hashes []seaworthy.Digest
		for word := range strings.FieldsSeq(strings.ReplaceAll("--"+options, "=", " ")) {
			if d, ok := pythonHash(word); ok && len(hashes) < maxHashes {
				hashes = append(hashes, d)
			}
		}
		setHashes(&p, hashes)
		r.index.add(r.l, p)
		named.ref = p.Ref
	}
	r.named = append(r.named, named)
}

// finish tells what the file asks for from what that needs.
func (r *requirementsReader) finish() {
	var depends []seaworthy.Dependency
	for i := range r.named {
		n := &r.named[i]
		direct := len(n.via) == 0
		for _, via := range n.via {
			from := r.index[pythonName(via)]
			if len(from) == 0 || n.ref == "" {
				direct = true // "-r requirements.in", or the project
				continue
			}
			r.l.dependsOn(from[0], n.ref, "")
		}
		if !direct {
			continue
		}
		depends = append(depends, n.dependency(r.scope))
		if n.ref != "" {
			r.l.dependsOn(here, n.ref, r.scope)
		}
	}
	r.l.project(here, "pypi").Depends = depends
}
