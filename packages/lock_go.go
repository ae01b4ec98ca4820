package packages

import (
	"bytes"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// lockGo reads go.mod and go.sum (go.dev/ref/mod). go.mod lists the modules that are used, but not which of them
// needs which: only what the main module itself asks for is a relation.
var lockGo = Recogniser{
	Name: "go-mod", Version: 1, Lock: true,
	Wants: func(p string, _ int64, _ fs.FileMode) bool { return baseIs(p, "go.mod", "go.sum") && inTree(p) },
	Read: func(f *File) (Facts, error) {
		if baseIs(f.Path, "go.sum") {
			return readGoSum(f)
		}
		return readGoMod(f)
	},
	Join: joinGo,
}

var goFamily = lockFamily{
	ecosystem: "golang", purl: purl.Golang,
	manifest: func(base string) bool { return base == "go.mod" },
}

func readGoMod(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	mod, err := modfile.ParseLax(path.Base(f.Path), b, nil)
	if err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	// ParseLax leaves out what only matters to the main module; Parse refuses what it does not know.
	if strict, err := modfile.Parse(path.Base(f.Path), b, nil); err == nil {
		mod = strict
	}
	l := newLockFacts(f)
	main := l.project(here, "golang")
	if mod.Module != nil {
		main.Name = strings.Clone(mod.Module.Mod.Path)
	}
	if mod.Go != nil {
		main.Properties = append(main.Properties, seaworthy.Property{Name: "go", Value: strings.Clone(mod.Go.Version)})
	}
	if mod.Toolchain != nil {
		main.Properties = append(main.Properties, seaworthy.Property{Name: "toolchain", Value: strings.Clone(mod.Toolchain.Name)})
	}
	if v := goStdlib(mod); v != "" {
		l.add(seaworthy.Package{
			Ref: "stdlib", Ecosystem: "golang", Name: "stdlib", Version: v, PURL: purl.Golang("stdlib", v), Direct: true,
			Scope: seaworthy.Runtime, Properties: []seaworthy.Property{{Name: LeastVersion, Value: "the go line of go.mod"}},
		})
		l.dependsOn(here, "stdlib", "")
	}
	replaced := make(map[module.Version]module.Version, len(mod.Replace))
	for _, r := range mod.Replace {
		replaced[r.Old] = r.New
	}
	tools := map[string]bool{}
	for _, tool := range mod.Tool {
		tools[tool.Path] = true
	}
	excluded := map[module.Version]bool{}
	for _, x := range mod.Exclude {
		excluded[x.Mod] = true
	}
	for _, r := range mod.Require {
		if !excluded[r.Mod] {
			goRequire(l, r, replaced)
		}
	}
	goTools(l, tools)
	return l.Facts, nil
}

// LeastVersion is the property of a package of which only the least version that will do is known, not the one
// in use; its value says where that stands.
const LeastVersion = "least-version"

// goStdlib returns the version of the standard library go.mod asks for: that of its toolchain, or of its go line.
func goStdlib(mod *modfile.File) string {
	if mod.Toolchain != nil && strings.HasPrefix(mod.Toolchain.Name, "go1") {
		v := strings.TrimPrefix(mod.Toolchain.Name, "go")
		v, _, _ = strings.Cut(v, "-") // "go1.22.1-custom"
		return strings.Clone(v)
	}
	if mod.Go != nil {
		return strings.Clone(mod.Go.Version)
	}
	return ""
}

func goRequire(l *lockFacts, r *modfile.Require, replaced map[module.Version]module.Version) {
	name, version := r.Mod.Path, r.Mod.Version
	to, ok := replaced[r.Mod]
	if !ok {
		to, ok = replaced[module.Version{Path: name}]
	}
	p := seaworthy.Package{Ref: strings.Clone(name), Ecosystem: "golang", Direct: !r.Indirect, Scope: seaworthy.Runtime}
	if ok {
		p.Properties = append(p.Properties, seaworthy.Property{Name: "replaces", Value: name + "@" + version})
		if to.Version == "" { // a directory
			p.Properties = append(p.Properties, seaworthy.Property{Name: "source", Value: strings.Clone(to.Path)})
			to.Path, to.Version = name, version
		}
		name, version = to.Path, to.Version
	}
	if r.Indirect {
		p.Properties = append(p.Properties, seaworthy.Property{Name: "indirect", Value: "true"})
	}
	if l.has(p.Ref) { // required twice; the tools use the higher version
		p.Ref += "@" + r.Mod.Version
	}
	p.Name, p.Version = strings.Clone(name), strings.Clone(version)
	p.PURL = purl.Golang(p.Name, p.Version)
	l.add(p)
	if !r.Indirect {
		l.dependsOn(here, p.Ref, "")
	}
}

// goTools marks modules that provide a tool of the module: those are asked for by the module itself.
func goTools(l *lockFacts, tools map[string]bool) {
	for tool := range tools {
		for at := tool; at != "." && at != "/"; at = path.Dir(at) {
			if i, ok := l.index[at]; ok && at != here {
				p := &l.Packages[i]
				if p.Property("tool") == "" {
					p.Properties = append(p.Properties, seaworthy.Property{Name: "tool", Value: "true"})
				}
				if !p.Direct {
					p.Direct, p.Scope = true, seaworthy.Build
					l.dependsOn(here, p.Ref, seaworthy.Build)
				}
				break
			}
		}
	}
}

// readGoSum keeps the hash of each module's file tree; those of go.mod files alone are left out.
func readGoSum(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	line := 0
	for raw := range bytes.Lines(b) {
		line++
		fields := bytes.Fields(raw)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 3 {
			return Facts{}, seaworthy.Errorf(seaworthy.Invalid, "reading %q: line %d has %d words, want 3", f.Path, line, len(fields))
		}
		h1, ok := bytes.CutPrefix(fields[2], []byte("h1:"))
		if !ok || bytes.HasSuffix(fields[1], []byte("/go.mod")) {
			continue
		}
		d, ok := base64Digest("sha256", string(h1))
		if !ok {
			l.problem(seaworthy.Invalid, "the hash of "+quoted(string(fields[0]))+" is not base64 of SHA-256")
			continue
		}
		p := seaworthy.Package{Name: string(fields[0]), Version: string(fields[1]), Hashes: []seaworthy.Digest{d}, HashOf: seaworthy.HashOfModule}
		p.Ref = p.Name + "@" + p.Version
		l.add(p)
	}
	return l.Facts, nil
}

// joinGo gives modules the hashes of the go.sum beside their go.mod.
func joinGo(_ Context, all []Facts) Joined {
	sums := map[string]map[string]*seaworthy.Package{}
	var mods []Facts
	for i := range all {
		if !baseIs(all[i].Path, "go.sum") {
			mod := all[i]
			mod.Packages = slices.Clone(mod.Packages)
			mods = append(mods, mod)
			continue
		}
		in := make(map[string]*seaworthy.Package, len(all[i].Packages))
		for k := range all[i].Packages {
			in[all[i].Packages[k].Ref] = &all[i].Packages[k]
		}
		sums[path.Dir(all[i].Path)] = in
	}
	for _, f := range mods {
		in := sums[path.Dir(f.Path)]
		for k := range f.Packages {
			p := &f.Packages[k]
			if sum := in[p.Name+"@"+p.Version]; sum != nil {
				p.Hashes, p.HashOf = sum.Hashes, sum.HashOf
			}
		}
	}
	for i := range mods {
		goOldModule(&mods[i], sums[path.Dir(mods[i].Path)])
	}
	return goFamily.join(mods)
}

// goOldModule adds what only go.sum names. Before Go 1.17 a go.mod left out what its requirements require;
// go.sum has that, and sometimes more than is used, which the property "indirect" with the value "go.sum" says.
func goOldModule(f *Facts, sums map[string]*seaworthy.Package) {
	known := map[string]bool{}
	for i := range f.Packages {
		p := &f.Packages[i]
		known[p.Name] = true
		if p.Role == seaworthy.Application && !goBefore117(p.Property("go")) {
			return
		}
	}
	for _, ref := range slices.Sorted(maps.Keys(sums)) {
		p := *sums[ref]
		if known[p.Name] {
			continue
		}
		p.Ecosystem, p.PURL, p.Scope = "golang", purl.Golang(p.Name, p.Version), seaworthy.Runtime
		p.Properties = []seaworthy.Property{{Name: "indirect", Value: "go.sum"}}
		f.Packages = append(f.Packages, p)
	}
}

// goBefore117 reports whether a go line names a version before 1.17; no line means 1.16.
func goBefore117(v string) bool {
	if v == "" {
		return true
	}
	minor, _, _ := strings.Cut(strings.TrimPrefix(v, "1."), ".")
	n, err := strconv.Atoi(minor)
	return strings.HasPrefix(v, "1.") && err == nil && n < 17
}
