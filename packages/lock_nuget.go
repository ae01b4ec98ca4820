package packages

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// lockNuGet reads what .NET and Visual C++ projects say: packages.lock.json, packages.config, project files,
// *.nuspec and the central versions in Directory.Packages.props (learn.microsoft.com/nuget).
var lockNuGet = Recogniser{
	Name: "nuget-lock", Version: 2, Lock: true,
	Wants: func(p string, _ int64, _ fs.FileMode) bool {
		return (baseIs(p, "packages.lock.json", "packages.config", nugetCentral) || isMSBuild(p) || strings.HasSuffix(p, ".nuspec")) && inTree(p)
	},
	Read: func(f *File) (Facts, error) {
		if baseIs(f.Path, "packages.lock.json") {
			return readNuGetLock(f)
		}
		return readNuGetXML(f)
	},
	Join: func(_ Context, all []Facts) Joined { return joinNuGet(all) },
}

var nugetFamily = lockFamily{
	ecosystem: "nuget", name: strings.ToLower,
	purl: func(name, version string) string { return purl.New("nuget", "", name, version) },
	exact: func(rng string) string {
		if inner, ok := strings.CutPrefix(rng, "["); ok {
			if inner, ok = strings.CutSuffix(inner, "]"); ok && isVersion(inner, 2) {
				return inner
			}
			return ""
		}
		if isVersion(rng, 1) { // NuGet takes the lowest version that fits: this one
			return rng
		}
		return ""
	},
	manifest: func(base string) bool {
		return isMSBuild(base) || base == nugetCentral || strings.HasSuffix(base, ".nuspec")
	},
}

func isMSBuild(p string) bool {
	return strings.HasSuffix(p, ".csproj") || strings.HasSuffix(p, ".vbproj") || strings.HasSuffix(p, ".fsproj") ||
		strings.HasSuffix(p, ".vcxproj")
}

// readNuGetLock reads packages.lock.json: for each target framework, what was chosen for what is asked for.
func readNuGetLock(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	var lock struct {
		Dependencies map[string]map[string]struct {
			Type         jsonText  `json:"type"`
			Requested    jsonText  `json:"requested"`
			Resolved     jsonText  `json:"resolved"`
			Hash         jsonText  `json:"contentHash"`
			Dependencies jsonTexts `json:"dependencies"`
		} `json:"dependencies"`
	}
	if err := json.Unmarshal(stripBOM(b), &lock); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	l := newLockFacts(f)
	l.project(here, "nuget")
	for _, framework := range slices.Sorted(maps.Keys(lock.Dependencies)) {
		entries := lock.Dependencies[framework]
		byName := make(map[string]string, len(entries))
		names := slices.Sorted(maps.Keys(entries))
		for _, name := range names {
			e := entries[name]
			if strings.EqualFold(string(e.Type), "project") {
				continue
			}
			p := seaworthy.Package{Ref: name + "@" + string(e.Resolved), Ecosystem: "nuget", Name: name, Version: string(e.Resolved)}
			for _, n := range slices.Sorted(maps.Keys(e.Dependencies)) {
				p.Depends = append(p.Depends, seaworthy.Dependency{Name: n, Range: e.Dependencies[n]})
			}
			if d, ok := base64Digest("sha512", string(e.Hash)); ok {
				setHashes(&p, []seaworthy.Digest{d})
			}
			byName[strings.ToLower(name)] = p.Ref
			l.add(p)
			l.resolves(strings.ToLower(name), p.Ref)
		}
		for _, name := range names {
			e := entries[name]
			from := byName[strings.ToLower(name)]
			switch strings.ToLower(string(e.Type)) {
			case "direct":
				l.dependsOn(here, from, "")
			case "project":
				from = here // another project of the solution brings it in
			}
			for _, n := range slices.Sorted(maps.Keys(e.Dependencies)) {
				if to := byName[strings.ToLower(n)]; to != "" {
					l.dependsOn(from, to, "")
				}
			}
		}
	}
	return l.Facts, nil
}

// readNuGetXML reads project files, packages.config and nuspec: elements that name a package and its version, in
// attributes or, of PackageReference, in children.
func readNuGetXML(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	p := l.project(here, "nuget")
	base := path.Base(f.Path)
	if isMSBuild(base) {
		p.Name = strings.TrimSuffix(base, path.Ext(base))
	}
	r := nugetXML{l: l, central: base == nugetCentral, values: map[string]string{}, spec: strings.HasSuffix(base, ".nuspec"), config: base == "packages.config"}
	d := xml.NewDecoder(bytes.NewReader(stripBOM(b)))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return latin1Reader{in}, nil }
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Facts{}, lockInvalid(f.Path, err)
		}
		r.token(t)
	}
	if r.config {
		r.installed()
	}
	for i := range l.Packages[0].Depends {
		d := &l.Packages[0].Depends[i]
		d.Range = r.expand(d.Range)
	}
	return l.Facts, nil
}

type nugetXML struct {
	l            *lockFacts
	spec, config bool
	central      bool
	depth        int
	element      string
	open         *seaworthy.Dependency // the PackageReference being read
	values       map[string]string     // properties, as $(name)
}

func (r *nugetXML) token(t xml.Token) {
	p := &r.l.Packages[0]
	switch t := t.(type) {
	case xml.StartElement:
		r.depth++
		r.element = t.Name.Local
		switch r.element {
		case "PackageReference":
			r.open = &seaworthy.Dependency{Name: attribute(t, "Include"), Range: cmp.Or(attribute(t, "VersionOverride"), attribute(t, "Version"))}
			if strings.EqualFold(attribute(t, "PrivateAssets"), "all") {
				r.open.Scope = seaworthy.Development
			}
		case "PackageVersion", "GlobalPackageReference":
			if name := attribute(t, "Include"); r.central && name != "" {
				scope := centralScope
				if r.element == "GlobalPackageReference" {
					scope = seaworthy.Development // it is never handed on
				}
				p.Depends = append(p.Depends, seaworthy.Dependency{Name: name, Range: attribute(t, "Version"), Scope: scope})
			}
		case "package", "dependency":
			if id := attribute(t, "id"); id != "" {
				scope := seaworthy.Scope("")
				if attribute(t, "developmentDependency") == "true" {
					scope = seaworthy.Development
				}
				p.Depends = append(p.Depends, seaworthy.Dependency{Name: id, Range: attribute(t, "version"), Scope: scope})
			}
		}
	case xml.EndElement:
		r.depth--
		r.element = ""
		if t.Name.Local == "PackageReference" && r.open != nil {
			if r.open.Name != "" {
				p.Depends = append(p.Depends, *r.open)
			}
			r.open = nil
		}
	case xml.CharData:
		text := strings.TrimSpace(string(t))
		switch {
		case text == "":
		case r.central && r.depth == 3 && r.element != "":
			r.values["$("+r.element+")"] = text
		case r.open != nil && (r.element == "Version" || r.element == "VersionOverride"):
			r.open.Range = text
		case r.open != nil && r.element == "PrivateAssets" && strings.EqualFold(text, "all"):
			r.open.Scope = seaworthy.Development
		case r.spec && r.depth == 3 && r.element == "id", r.element == "PackageId":
			p.Name = text
		case r.spec && r.depth == 3 && r.element == "version", r.element == "PackageVersion" && r.open == nil:
			p.Version = text
		}
	}
}

// installed makes packages of what packages.config lists: it is what was chosen, transitive ones too.
func (r *nugetXML) installed() {
	for _, d := range r.l.Packages[0].Depends {
		if d.Range == "" {
			continue
		}
		p := seaworthy.Package{Ref: d.Name + "@" + d.Range, Ecosystem: "nuget", Name: d.Name, Version: d.Range, Scope: d.Scope}
		r.l.add(p)
		r.l.resolves(strings.ToLower(d.Name), p.Ref)
		r.l.dependsOn(here, p.Ref, d.Scope)
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if strings.EqualFold(a.Name.Local, name) {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}
