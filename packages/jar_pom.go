package packages

import (
	"bytes"
	"encoding/xml"
	"io"
	"path"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/licence"
)

const (
	// maxPomDepends is how many dependencies of one pom are kept.
	maxPomDepends = 10_000
	// maxPomText is the longest text kept of one element, in bytes.
	maxPomText = 4 << 10
	// maxPomSteps is how often ${…} is replaced in one value: values may name each other in a circle.
	maxPomSteps = 16
)

// pom is what META-INF/maven/group/artifact says of a Maven artifact.
type pom struct {
	dir                      string // META-INF/maven/group/artifact
	group, artifact, version string
	parentGroup, parentVer   string
	name, description, url   string
	organization             seaworthy.Party
	scm                      string
	licences                 []string
	depends                  []pomDependency
	values                   map[string]string // <properties>
}

type pomDependency struct{ group, artifact, version, scope, optional string }

// properties reads pom.properties, which the build wrote with every value filled in.
func (p *pom) properties(b []byte) {
	for len(b) > 0 {
		line, rest, _ := bytes.Cut(b, []byte{'\n'})
		b = rest
		k, v, ok := bytes.Cut(line, []byte{'='})
		if !ok || len(v) > maxPomText {
			continue
		}
		value := string(bytes.TrimSpace(v))
		switch string(bytes.TrimSpace(k)) {
		case "groupId":
			p.group = value
		case "artifactId":
			p.artifact = value
		case "version":
			p.version = value
		}
	}
}

// xml reads pom.xml (maven.apache.org/pom.html). Errors are those of the XML.
func (p *pom) xml(b []byte) error {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Strict = false
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // names are ASCII in any of them
	p.values = map[string]string{}
	var at []string // open elements below <project>; deeper than 8 they are only counted
	depth := 0
	var dep pomDependency
	var text strings.Builder
	group, artifact, version := "", "", ""
	for {
		t, err := d.RawToken()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth++; depth <= 8 {
				at = append(at, t.Name.Local)
			}
			text.Reset()
		case xml.CharData:
			if text.Len()+len(t) <= maxPomText {
				text.Write(t)
			}
		case xml.EndElement:
			if depth == 0 {
				continue
			}
			if depth <= 8 {
				value := strings.TrimSpace(text.String())
				switch where := strings.Join(at[min(1, len(at)):], "/"); where {
				case "groupId":
					group = value
				case "artifactId":
					artifact = value
				case "version":
					version = value
				case "dependencies/dependency":
					if len(p.depends) < maxPomDepends {
						p.depends = append(p.depends, dep)
					}
					dep = pomDependency{}
				default:
					p.element(where, value, &dep)
				}
				at = at[:len(at)-1]
			}
			depth--
			text.Reset()
		}
	}
	if group == "" {
		group = p.parentGroup
	}
	if version == "" {
		version = p.parentVer
	}
	p.values["project.groupId"], p.values["project.artifactId"], p.values["project.version"] = group, artifact, version
	p.values["project.parent.groupId"], p.values["project.parent.version"] = p.parentGroup, p.parentVer
	for mine, value := range map[*string]string{&p.group: group, &p.artifact: artifact, &p.version: version} {
		if *mine == "" {
			if *mine = p.fill(value); strings.Contains(*mine, "${") {
				*mine = ""
			}
		}
	}
	return nil
}

// element keeps the value of one element that is not a coordinate of the project.
func (p *pom) element(where, value string, dep *pomDependency) {
	switch where {
	case "parent/groupId":
		p.parentGroup = value
	case "parent/version":
		p.parentVer = value
	case "name":
		p.name = value
	case "description":
		p.description = value
	case "url":
		p.url = value
	case "scm/url":
		p.scm = value
	case "organization/name":
		p.organization.Kind, p.organization.Name = seaworthy.Organization, value
	case "organization/url":
		p.organization.URL = value
	case "licenses/license/name":
		if len(p.licences) < 32 && value != "" {
			p.licences = append(p.licences, value)
		}
	case "dependencies/dependency/groupId":
		dep.group = value
	case "dependencies/dependency/artifactId":
		dep.artifact = value
	case "dependencies/dependency/version":
		dep.version = value
	case "dependencies/dependency/scope":
		dep.scope = value
	case "dependencies/dependency/optional":
		dep.optional = value
	default:
		if name, ok := strings.CutPrefix(where, "properties/"); ok && len(p.values) < maxPomDepends {
			p.values[name] = value
		}
	}
}

// fill replaces ${name} by the pom's properties; what is defined elsewhere (a parent pom) stays.
func (p *pom) fill(s string) string {
	for range maxPomSteps {
		i := strings.Index(s, "${")
		if i < 0 {
			return s
		}
		n := strings.IndexByte(s[i:], '}')
		if n < 0 {
			return s
		}
		name := s[i+2 : i+n]
		if rest, ok := strings.CutPrefix(name, "pom."); ok {
			name = "project." + rest
		}
		value, ok := p.values[name]
		if !ok || value == "" || len(s)+len(value) > maxPomText {
			return s
		}
		s = s[:i] + value + s[i+n+1:]
	}
	return s
}

// identity completes coordinates that no file gave from the directory's name, META-INF/maven/group/artifact.
func (p *pom) identity() (group, artifact, version string) {
	group, artifact, version = p.group, p.artifact, p.version
	if artifact == "" {
		artifact = path.Base(p.dir)
	}
	if group == "" {
		if g := path.Base(path.Dir(p.dir)); g != "maven" {
			group = g
		}
	}
	return group, artifact, version
}

// describe adds what a pom says besides coordinates.
func (p *pom) describe(to *seaworthy.Package) {
	filled := func(s string) string {
		if s = p.fill(s); strings.Contains(s, "${") {
			return ""
		}
		return strings.Join(strings.Fields(s), " ")
	}
	if to.Description = filled(p.description); to.Description == "" {
		to.Description = filled(p.name)
	}
	to.Homepage = filled(p.url)
	if p.organization.Name != "" {
		to.Supplier = p.organization
	}
	if p.scm != "" {
		if s := filled(p.scm); s != "" {
			to.Properties = append(to.Properties, seaworthy.Property{Name: "maven:scm", Value: s})
		}
	}
	to.Licences.Declared = anyLicence(p.licences)
	for _, d := range p.depends {
		name := p.fill(d.group) + ":" + p.fill(d.artifact)
		if d.artifact == "" || strings.Contains(name, "${") {
			continue
		}
		dep := seaworthy.Dependency{Name: name, Range: p.fill(d.version)}
		switch {
		case d.scope == "test":
			dep.Scope = seaworthy.Test
		case d.optional == "true":
			dep.Scope = seaworthy.Optional
		case d.scope == "provided" || d.scope == "system":
			dep.Scope = seaworthy.Provided
		}
		to.Depends = append(to.Depends, dep)
	}
}

// anyLicence joins licences one of which may be chosen, which is what several in a pom mean
// (maven.apache.org/pom.html, "Licenses").
func anyLicence(names []string) string {
	var out []string
	have := map[string]bool{}
	for _, n := range names {
		s := licence.Normalise(n)
		if s == "" || have[s] {
			continue
		}
		have[s] = true
		out = append(out, s)
	}
	if len(out) > 1 {
		for i, s := range out {
			if strings.Contains(s, " AND ") || strings.Contains(s, " OR ") {
				out[i] = "(" + s + ")"
			}
		}
	}
	return strings.Join(out, " OR ")
}

// readManifest reads the main section of a manifest (JAR File Specification): name, colon, value; a line that
// begins with a space continues the one before.
func readManifest(b []byte) map[string]string {
	out := map[string]string{}
	var name string
	var value []byte
	flush := func() {
		if name != "" && len(value) <= maxPomText {
			out[name] = strings.TrimSpace(string(value))
		}
		name, value = "", value[:0]
	}
	for len(b) > 0 {
		end := bytes.IndexAny(b, "\r\n")
		line := b
		if end >= 0 {
			line = b[:end]
			if b[end] == '\r' && end+1 < len(b) && b[end+1] == '\n' {
				end++
			}
			b = b[end+1:]
		} else {
			b = nil
		}
		switch {
		case len(line) == 0:
			if name != "" || len(out) > 0 {
				b = nil // the main section ends at the first empty line
			}
		case line[0] == ' ':
			value = append(value, line[1:]...)
		default:
			flush()
			if k, v, ok := bytes.Cut(line, []byte{':'}); ok && len(out) < 200 {
				switch key := string(k); {
				case strings.HasPrefix(key, "Implementation-"), strings.HasPrefix(key, "Specification-"), key == "Automatic-Module-Name",
					strings.HasPrefix(key, "Bundle-"), key == "Main-Class", key == "Start-Class":
					name, value = key, append(value, v...)
				}
			}
		}
	}
	flush()
	return out
}
