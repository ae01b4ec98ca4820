package packages

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// pythonRequirement reads one requirement (PEP 508): name, extras, version range or URL, marker. Of the marker
// only "extra" is judged: what only an extra asks for is Optional. Any other marker stays in Range as written,
// since the interpreter it speaks of is not known.
func pythonRequirement(s string) (seaworthy.Dependency, bool) {
	spec, marker, _ := strings.Cut(s, ";")
	spec, marker = strings.TrimSpace(spec), strings.TrimSpace(marker)
	i := 0
	for i < len(spec) && isPythonName(spec[i]) {
		i++
	}
	if i == 0 {
		return seaworthy.Dependency{}, false
	}
	d := seaworthy.Dependency{Name: spec[:i]}
	rest := strings.TrimSpace(spec[i:])
	if strings.HasPrefix(rest, "[") {
		_, after, ok := strings.Cut(rest, "]")
		if !ok {
			return seaworthy.Dependency{}, false
		}
		rest = strings.TrimSpace(after)
	}
	if url, ok := strings.CutPrefix(rest, "@"); ok {
		rest = "@ " + cleanDownload(strings.TrimSpace(url))
	}
	if strings.HasPrefix(rest, "(") && strings.HasSuffix(rest, ")") {
		rest = rest[1 : len(rest)-1]
	}
	d.Range = rest
	if marker != "" {
		if pythonExtra(marker) {
			d.Scope = seaworthy.Optional
		}
		d.Range = strings.TrimSpace(d.Range + "; " + marker)
	}
	return d, true
}

func isPythonName(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}

// pythonExtra reports whether a marker can hold only when an extra was asked for: the word extra is compared
// in it, and no "or" offers another way.
func pythonExtra(marker string) bool {
	words := strings.FieldsFunc(marker, func(r rune) bool { return strings.ContainsRune(" ()=<>!~", r) })
	if !slices.Contains(words, "extra") {
		return false
	}
	if !slices.Contains(words, "or") {
		return true
	}
	// "a or extra == x" may hold without; "(a or b) and extra == x" may not, and is what tools write.
	depth := 0
	for i := range len(marker) {
		switch {
		case marker[i] == '(':
			depth++
		case marker[i] == ')':
			depth--
		case depth == 0 && strings.HasPrefix(marker[i:], " or "):
			return false
		}
	}
	return true
}

// pythonRequiresTxt reads setuptools' requires.txt: requirements, then those of sections [extra] or
// [extra:marker].
func pythonRequiresTxt(b []byte) []seaworthy.Dependency {
	var out []seaworthy.Dependency
	extra, marker := "", ""
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if section, ok := strings.CutPrefix(line, "["); ok {
			extra, marker, _ = strings.Cut(strings.TrimSuffix(section, "]"), ":")
			continue
		}
		if marker != "" && line != "" {
			line += "; " + marker
		}
		if d, ok := pythonRequirement(line); ok {
			if extra != "" {
				d.Scope = seaworthy.Optional
			}
			out = append(out, d)
		}
	}
	return out
}

// pythonSite is the directory a distribution is importable from.
func pythonSite(about string) string {
	if strings.HasSuffix(about, "/EGG-INFO") { // site-packages/x.egg/EGG-INFO
		return path.Dir(path.Dir(about))
	}
	return path.Dir(about)
}

// systemPython reports whether a site directory is searched by the system's interpreter besides others: those
// outside usr/lib/python3 and usr/local/lib/python3.x are of virtual environments or bundles.
func systemPython(site string) bool {
	return strings.HasPrefix(site, "usr/lib/python") || strings.HasPrefix(site, "usr/local/lib/python") ||
		strings.HasPrefix(site, "usr/lib64/python") || strings.HasPrefix(site, "usr/local/lib64/python")
}

func joinPython(_ Context, all []Facts) Joined {
	var j Joined
	var sites []string     // of j.Packages
	at := map[string]int{} // *-info directory → index in j.Packages
	for i := range all {
		j.Problems = append(j.Problems, all[i].Problems...)
		if len(all[i].Packages) == 0 || all[i].Packages[0].Name == "" {
			continue
		}
		about := all[i].About
		if _, ok := at[about]; ok {
			continue // METADATA and PKG-INFO in one directory
		}
		p := all[i].Packages[0]
		p.Ref = placedRef(p.PURL, about)
		p.Evidence = []seaworthy.Evidence{{Path: all[i].Path, By: "python"}}
		site := pythonSite(about)
		if pythonIsVendored(site) {
			p.Properties = append(p.Properties, seaworthy.Property{Name: pythonVendored, Value: "true"})
		}
		at[about] = len(j.Packages)
		sites = append(sites, site)
		j.Packages = append(j.Packages, p)
	}
	for i := range all {
		if p, ok := at[all[i].About]; ok {
			pythonBeside(&j.Packages[p], &all[i])
		}
	}
	for i := range j.Packages {
		installedHash(&j.Packages[i])
	}
	j.Relations = pythonRelations(j.Packages, sites)
	return j
}

// pythonBeside adds what a file beside METADATA says.
func pythonBeside(p *seaworthy.Package, facts *Facts) {
	p.Files = append(p.Files, facts.Files...)
	if len(facts.Packages) == 0 || facts.Packages[0].Name != "" {
		return
	}
	more := &facts.Packages[0]
	p.Properties = append(p.Properties, more.Properties...)
	p.Direct = p.Direct || more.Direct
	if more.Download != "" {
		p.Download = more.Download
	}
	if len(more.Hashes) > 0 {
		p.Hashes, p.HashOf = more.Hashes, more.HashOf
	}
	have := make(map[string]bool, len(p.Depends))
	for _, d := range p.Depends {
		have[d.Name+" "+string(d.Scope)] = true
	}
	for _, d := range more.Depends {
		if !have[d.Name+" "+string(d.Scope)] {
			p.Depends = append(p.Depends, d)
		}
	}
}

// installedHash gives p the hash over its files when it has no better one and every hash of them is known, but
// for those a record cannot hold: its own, and of the byte code compiled at installation.
func installedHash(p *seaworthy.Package) {
	if len(p.Hashes) > 0 || len(p.Files) == 0 {
		return
	}
	files := make([]seaworthy.OwnedFile, 0, len(p.Files))
	for _, f := range p.Files {
		if f.Digest.Algorithm() == "sha256" {
			files = append(files, f)
		} else if !strings.HasSuffix(f.Path, ".pyc") && !strings.Contains(f.Path, ".dist-info/") {
			return
		}
	}
	if len(files) == 0 {
		return
	}
	slices.SortFunc(files, func(a, b seaworthy.OwnedFile) int { return strings.Compare(a.Path, b.Path) })
	sum := sha256.New()
	for _, f := range files {
		sum.Write([]byte(f.Digest.Hex() + "  " + f.Path + "\n"))
	}
	p.Hashes = []seaworthy.Digest{seaworthy.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil)))}
	p.HashOf = seaworthy.HashOfInstalled
}

// pythonIsVendored reports whether a site directory is one that a distribution carries along.
func pythonIsVendored(site string) bool {
	base := path.Base(site)
	return base == "_vendor" || base == "_vendored" || base == "_vendored_packages" || base == "vendor"
}

// pythonRelations finds what each Requires-Dist leads to: in the same site directory, else, for those of the
// system's interpreter, in another of its. A vendored distribution belongs to the one whose import package
// holds it.
func pythonRelations(packages []seaworthy.Package, sites []string) []seaworthy.Relation {
	type key struct{ site, name string }
	index := map[key]int{}
	system := map[string]int{}
	for i := range packages {
		site, name := sites[i], normalPython(packages[i].Name)
		if _, ok := index[key{site, name}]; !ok {
			index[key{site, name}] = i
		}
		if _, ok := system[name]; !ok && systemPython(site) && !pythonIsVendored(site) {
			system[name] = i
		}
	}
	var relations []seaworthy.Relation
	for i := range packages {
		seen := map[int]bool{i: true}
		for _, d := range packages[i].Depends {
			name := normalPython(d.Name)
			to, ok := index[key{sites[i], name}]
			if !ok && systemPython(sites[i]) {
				to, ok = system[name]
			}
			if ok && !seen[to] {
				seen[to] = true
				relations = append(relations, seaworthy.Relation{From: packages[i].Ref, Type: seaworthy.DependsOn, To: packages[to].Ref, Scope: d.Scope})
			}
		}
		if pythonIsVendored(sites[i]) {
			carrier := path.Dir(sites[i]) // site-packages/setuptools/_vendor
			if owner, ok := index[key{path.Dir(carrier), normalPython(path.Base(carrier))}]; ok {
				relations = append(relations, seaworthy.Relation{From: packages[owner].Ref, Type: seaworthy.Contains, To: packages[i].Ref})
			}
		}
	}
	sortRelations(relations)
	return relations
}
