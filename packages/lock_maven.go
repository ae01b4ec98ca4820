package packages

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/licence"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// lockMaven reads pom.xml (maven.apache.org/pom.html). It says what the project itself asks for; what that needs in
// turn is in the pom files of a repository, which are not part of the tree.
var lockMaven = Recogniser{
	Name: "maven-pom", Version: 1, Lock: true,
	Wants: func(p string, _ int64, _ fs.FileMode) bool { return baseIs(p, "pom.xml") && inTree(p) },
	Read:  readPOM,
	Join:  joinMaven,
}

var mavenFamily = lockFamily{
	ecosystem: "maven", purl: mavenPURL, exact: mavenExact,
	manifest: func(string) bool { return true },
}

func mavenPURL(name, version string) string {
	group, artifact, _ := strings.Cut(name, ":")
	return purl.New("maven", group, artifact, version)
}

// mavenExact returns the version of "1.2" or "[1.2]"; what could not be interpolated is none.
func mavenExact(rng string) string {
	if inner, ok := strings.CutPrefix(rng, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if !ok || strings.Contains(inner, ",") {
			return ""
		}
		rng = inner
	}
	if strings.ContainsAny(rng, "[](),${} ") || rng == "LATEST" || rng == "RELEASE" {
		return ""
	}
	return rng
}

type pomFile struct {
	XMLName      xml.Name       `xml:"project"`
	Group        string         `xml:"groupId"`
	Artifact     string         `xml:"artifactId"`
	Version      string         `xml:"version"`
	Description  string         `xml:"description"`
	URL          string         `xml:"url"`
	Licences     []string       `xml:"licenses>license>name"`
	Parent       *pomFileParent `xml:"parent"`
	Properties   pomValues      `xml:"properties"`
	Dependencies []pomAsks      `xml:"dependencies>dependency"`
	Managed      []pomAsks      `xml:"dependencyManagement>dependencies>dependency"`
	// Profiles hold what is asked for under conditions, which are for the machine to decide.
	Profiles []pomAsks `xml:"profiles>profile>dependencies>dependency"`
}

type pomFileParent struct {
	Group    string  `xml:"groupId"`
	Artifact string  `xml:"artifactId"`
	Version  string  `xml:"version"`
	Path     *string `xml:"relativePath"`
}

type pomAsks struct {
	Group      string `xml:"groupId"`
	Artifact   string `xml:"artifactId"`
	Version    string `xml:"version"`
	Scope      string `xml:"scope"`
	Type       string `xml:"type"`
	Classifier string `xml:"classifier"`
	Optional   string `xml:"optional"`
}

// pomValues are elements of any name.
type pomValues map[string]string

func (p *pomValues) UnmarshalXML(d *xml.Decoder, _ xml.StartElement) error {
	*p = pomValues{}
	for {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			var value string
			if err := d.DecodeElement(&value, &t); err != nil {
				return err
			}
			(*p)[t.Name.Local] = strings.TrimSpace(value)
		case xml.EndElement:
			return nil
		}
	}
}

// readPOM keeps what the file says, uninterpolated: what its properties mean may depend on its parent, so Join
// works it out. Properties of the project are "${name}", managed dependencies are Depends of Scope managedScope.
func readPOM(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	var pom pomFile
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		if strings.EqualFold(charset, "us-ascii") {
			return in, nil
		}
		return latin1Reader{in}, nil
	}
	if err := d.Decode(&pom); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	l := newLockFacts(f)
	p := l.project(here, "maven")
	p.Name = strings.TrimSpace(pom.Group) + ":" + strings.TrimSpace(pom.Artifact)
	p.Version, p.Description = strings.TrimSpace(pom.Version), strings.Join(strings.Fields(pom.Description), " ")
	p.Homepage = cleanDownload(pom.URL)
	p.Licences.Declared = pomFileLicence(pom.Licences)
	for _, name := range slices.Sorted(maps.Keys(pom.Properties)) {
		p.Properties = append(p.Properties, seaworthy.Property{Name: "${" + name + "}", Value: pom.Properties[name]})
	}
	if parent := pom.Parent; parent != nil {
		at := "../pom.xml"
		if parent.Path != nil {
			at = strings.TrimSpace(*parent.Path)
		}
		p.Source = seaworthy.Upstream{
			Name:    strings.TrimSpace(parent.Group) + ":" + strings.TrimSpace(parent.Artifact),
			Version: strings.TrimSpace(parent.Version),
		}
		l.About = at
	}
	for _, d := range append(pom.Dependencies, pom.Profiles...) {
		p.Depends = append(p.Depends, d.dependency(""))
	}
	for _, d := range pom.Managed {
		p.Depends = append(p.Depends, d.dependency(managedScope))
	}
	return l.Facts, nil
}

// managedScope marks, in the Facts of a pom alone, what dependencyManagement says.
const managedScope = "managed "

// dependency keeps group, artifact, type and classifier in Any, and the scope as the pom writes it.
func (d pomAsks) dependency(managed seaworthy.Scope) seaworthy.Dependency {
	trim := strings.TrimSpace
	scope := trim(d.Scope)
	if trim(d.Optional) == "true" {
		scope = "optional"
	}
	return seaworthy.Dependency{
		Name: trim(d.Group) + ":" + trim(d.Artifact), Range: trim(d.Version),
		Scope: managed + seaworthy.Scope(scope), Any: []string{cmp.Or(trim(d.Type), "jar"), trim(d.Classifier)},
	}
}

// latin1Reader turns ISO-8859-1, which every other encoding a pom is found in comes close to, into UTF-8.
type latin1Reader struct{ r io.Reader }

func (l latin1Reader) Read(p []byte) (int, error) {
	half := make([]byte, len(p)/2)
	if len(half) == 0 {
		return 0, io.ErrShortBuffer
	}
	n, err := l.r.Read(half)
	out := p[:0]
	for _, c := range half[:n] {
		if c < 0x80 {
			out = append(out, c)
		} else {
			out = append(out, 0xC0|c>>6, 0x80|c&0x3F)
		}
	}
	return len(out), err
}

// pomInTree is a pom.xml of the tree with everything that holds for it, its parents' words included.
type pomInTree struct {
	facts   *Facts
	project *seaworthy.Package
	parent  *pomInTree
}

func joinMaven(_ Context, all []Facts) Joined {
	poms := map[string]*pomInTree{}
	for i := range all {
		if len(all[i].Packages) > 0 {
			poms[all[i].Path] = &pomInTree{facts: &all[i], project: &all[i].Packages[0]}
		}
	}
	for at, p := range poms {
		p.parent = mavenParent(poms, at, p)
	}
	var out []Facts
	var problems []seaworthy.Problem
	total := 0
	for i := range all {
		p := poms[all[i].Path]
		if p == nil {
			continue
		}
		if total > maxInherited {
			problems = append(problems, seaworthy.Problem{
				Where: all[i].Path, Code: seaworthy.TooLarge, Detail: "left out: the poms of this tree inherit too many dependencies",
			})
			continue
		}
		out = append(out, p.effective())
		total += len(out[len(out)-1].Packages)
	}
	joined := mavenFamily.join(out)
	joined.Problems = append(joined.Problems, problems...)
	return joined
}

// maxInherited is how many dependencies the poms of one tree may have, each counted where it is inherited too:
// a few files could otherwise multiply into billions.
const maxInherited = 1_000_000

// mavenParent finds the parent of the pom at path at, in the tree and only if it is the one meant.
func mavenParent(poms map[string]*pomInTree, at string, p *pomInTree) *pomInTree {
	if p.project.Source.Name == "" || p.facts.About == "" {
		return nil
	}
	for _, candidate := range [...]string{
		joinDir(path.Dir(at), p.facts.About), joinDir(path.Dir(at), path.Join(p.facts.About, "pom.xml")),
	} {
		up := poms[candidate]
		if up == nil || up == p {
			continue
		}
		_, want, _ := strings.Cut(p.project.Source.Name, ":")
		if _, artifact, _ := strings.Cut(up.project.Name, ":"); artifact == want {
			return up
		}
	}
	return nil
}

// lineage is p and its parents in the tree, nearest first. Maven's own limit is memory; ours is maxLockDepth.
func (p *pomInTree) lineage() []*pomInTree {
	var out []*pomInTree
	for ; p != nil && len(out) < maxLockDepth && !slices.Contains(out, p); p = p.parent {
		out = append(out, p)
	}
	return out
}

// effective returns the Facts of p with everything inherited and interpolated.
func (p *pomInTree) effective() Facts {
	lineage := p.lineage()
	values := map[string]string{}
	managed := map[string]seaworthy.Dependency{}
	var depends []seaworthy.Dependency
	set := func(name, value string) {
		if _, ok := values[name]; !ok && value != "" {
			values[name] = value
		}
	}
	group, artifact, version := "", "", p.project.Version
	for i, up := range lineage {
		g, a, _ := strings.Cut(up.project.Name, ":")
		if group = cmp.Or(group, g); i == 0 {
			artifact = a
		}
		parentGroup, _, _ := strings.Cut(up.project.Source.Name, ":")
		group = cmp.Or(group, parentGroup)
		version = cmp.Or(version, up.project.Version, up.project.Source.Version)
		for _, property := range up.project.Properties {
			set(property.Name, property.Value)
		}
		for _, d := range up.project.Depends {
			if scope, ok := strings.CutPrefix(string(d.Scope), managedScope); ok {
				d.Scope = seaworthy.Scope(scope)
				if key := d.Name + ":" + strings.Join(d.Any, ":"); managed[key].Name == "" {
					managed[key] = d
				}
			} else {
				depends = append(depends, d)
			}
		}
	}
	for _, prefix := range [...]string{"${project.", "${pom.", "${"} {
		set(prefix+"groupId}", group)
		set(prefix+"artifactId}", artifact)
		set(prefix+"version}", version)
	}
	parentGroup, _, _ := strings.Cut(p.project.Source.Name, ":")
	set("${project.parent.version}", p.project.Source.Version)
	set("${parent.version}", p.project.Source.Version)
	set("${project.parent.groupId}", parentGroup)

	out := newLockFacts(&File{Path: p.facts.Path})
	out.By = p.facts.By
	project := out.project(here, "maven")
	project.Name = interpolate(group+":"+artifact, values)
	project.Version = interpolate(version, values)
	project.Description, project.Homepage, project.Licences = p.project.Description, p.project.Homepage, p.project.Licences
	if parent := p.project.Source; parent.Name != "" && len(lineage) == 1 {
		project.Properties = []seaworthy.Property{{Name: "parent", Value: parent.Name + "@" + parent.Version}}
	}
	// What is managed may itself be named with properties.
	byName := make(map[string]seaworthy.Dependency, len(managed))
	for _, key := range slices.Sorted(maps.Keys(managed)) {
		byName[interpolate(key, values)] = managed[key]
	}
	for _, d := range depends {
		mavenDependency(out, d, byName, values)
	}
	return out.Facts
}

// mavenDependency adds a dependency and the package it is.
func mavenDependency(l *lockFacts, d seaworthy.Dependency, managed map[string]seaworthy.Dependency, values map[string]string) {
	d.Name = interpolate(d.Name, values)
	kind, classifier := interpolate(d.Any[0], values), interpolate(d.Any[1], values)
	if m := managed[d.Name+":"+kind+":"+classifier]; m.Name != "" {
		d.Range, d.Scope = cmp.Or(d.Range, m.Range), cmp.Or(d.Scope, m.Scope)
	}
	d.Range = interpolate(d.Range, values)
	group, artifact, _ := strings.Cut(d.Name, ":")
	p := seaworthy.Package{Ecosystem: "maven", Name: d.Name, Version: mavenExact(d.Range), Scope: mavenScope(string(d.Scope))}
	if p.Version == "" {
		why := cmp.Or(d.Range, "unknown: a parent or imported pom outside of the tree sets it")
		p.Properties = []seaworthy.Property{{Name: "range", Value: why}}
	}
	if kind == "jar" {
		kind = ""
	}
	p.PURL = purl.New("maven", group, artifact, p.Version, "type", kind, "classifier", classifier)
	p.Ref = cmp.Or(p.PURL, d.Name)
	p.Direct = true
	d.Scope, d.Any = p.Scope, nil
	if d.Scope == seaworthy.Runtime {
		d.Scope = ""
	}
	l.add(p)
	l.dependsOn(here, p.Ref, d.Scope)
	project := l.project(here, "maven")
	project.Depends = append(project.Depends, d)
	l.resolves(d.Name+"@"+d.Range, p.Ref)
}

func mavenScope(scope string) seaworthy.Scope {
	switch scope {
	case "test":
		return seaworthy.Test
	case "provided", "system":
		return seaworthy.Provided
	case "optional":
		return seaworthy.Optional
	}
	return seaworthy.Runtime // compile, runtime
}

// interpolate replaces ${name} by its value, and what is in values again, a few times over; what has no value stays
// as it is written. The result is bounded.
func interpolate(s string, values map[string]string) string {
	const rounds, most = 16, 4 << 10
	for range rounds {
		start := strings.Index(s, "${")
		if start < 0 || len(s) > most {
			return s
		}
		var b strings.Builder
		changed := false
		for {
			start = strings.Index(s, "${")
			if start < 0 {
				break
			}
			end := strings.IndexByte(s[start:], '}')
			if end < 0 {
				break
			}
			name := s[start : start+end+1]
			b.WriteString(s[:start])
			if value, ok := values[name]; ok && value != name {
				b.WriteString(value)
				changed = true
			} else {
				b.WriteString(name)
			}
			s = s[start+end+1:]
			if b.Len() > most {
				break
			}
		}
		b.WriteString(s)
		if s = b.String(); !changed {
			return s
		}
	}
	return s
}

func pomFileLicence(names []string) string {
	var out []string
	for _, name := range names {
		if name = strings.Join(strings.Fields(name), " "); name != "" {
			out = append(out, licence.Normalise(name))
		}
	}
	return strings.Join(out, " OR ")
}
