package packages

import (
	"path"
	"regexp"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/licence"
)

// jarMetadata is everything an archive says of itself.
type jarMetadata struct {
	manifest map[string]string
	poms     map[string]*pom
	order    []string // the keys of poms, as in the archive
	classes  string   // the directory all classes are in or below
	texts    []string // SPDX expressions of its licence files
}

// mavenGuess is the property that says from what a group was guessed.
const mavenGuess = "maven:groupGuessedFrom"

// identify returns the package the archive at where is, and those that were merged into it.
func (m *jarMetadata) identify(where string) (own seaworthy.Package, shaded []seaworthy.Package) {
	stem := jarStem(where)
	main := m.mainPom(stem)
	for _, dir := range m.order {
		if p := m.poms[dir]; p != main {
			s := mavenPackage(p.identity())
			p.describe(&s)
			shaded = append(shaded, s)
		}
	}
	if main != nil {
		group, artifact, version := main.identity()
		if version == "" {
			_, version = splitJarName(stem)
		}
		own = mavenPackage(group, artifact, version)
		main.describe(&own)
	} else {
		own = m.byManifest(where, stem)
	}
	m.describe(&own)
	if m.manifest["Start-Class"] != "" || isWebArchive(where) {
		own.Role = seaworthy.Application
	}
	return own, shaded
}

func isWebArchive(where string) bool {
	return strings.HasSuffix(where, ".war") || strings.HasSuffix(where, ".ear")
}

// jarStem is the file name of an archive without its ending.
func jarStem(where string) string {
	base := where[strings.LastIndexAny(where, "/!")+1:]
	if stem := strings.TrimSuffix(base, path.Ext(base)); stem != "" {
		return stem
	}
	return base // ".jar"
}

// jarVersion finds where the version begins in "name-1.2.3-classifier".
var jarVersion = regexp.MustCompile(`^(.+?)-(v?[0-9][A-Za-z0-9.+~_-]*)$`)

func splitJarName(stem string) (name, version string) {
	if m := jarVersion.FindStringSubmatch(stem); m != nil {
		return m[1], m[2]
	}
	return stem, ""
}

// mainPom chooses the pom that is the archive's own: the one whose artifact fits the file name best; a single
// one also when the file was renamed, unless the manifest, too, has another name.
func (m *jarMetadata) mainPom(stem string) *pom {
	var best *pom
	score := 0
	for _, dir := range m.order {
		_, artifact, version := m.poms[dir].identity()
		if s := jarNameScore(stem, artifact, version); s > score {
			best, score = m.poms[dir], s
		}
	}
	if best != nil {
		return best
	}
	named := false // the manifest has names, and they are not of this pom
	for _, dir := range m.order {
		group, artifact, _ := m.poms[dir].identity()
		for _, key := range [...]string{"Implementation-Title", "Bundle-SymbolicName", "Automatic-Module-Name", "Bundle-Name"} {
			switch name, _, _ := strings.Cut(m.manifest[key], ";"); {
			case name == "":
			case name == artifact || name == group+"."+artifact || lettersOf(name) == lettersOf(artifact) || name == bundleName(group, artifact):
				return m.poms[dir]
			default:
				named = true
			}
		}
	}
	if len(m.order) == 1 && !named {
		return m.poms[m.order[0]]
	}
	return nil
}

// jarNameScore says how well an artifact fits a file's name: 0 not at all, more the more of it.
func jarNameScore(stem, artifact, version string) int {
	if artifact == "" {
		return 0
	}
	name, _ := splitJarName(stem)
	if version != "" {
		if before, _, ok := strings.Cut(stem, "-"+version); ok {
			name = before
		}
	}
	long := 4*len(artifact) + 1
	switch letters := lettersOf(artifact); {
	case name == artifact || stem == artifact:
		return long + 3
	case letters == "":
		return 0
	case letters == lettersOf(name): // maven3-core and maven-core, error-prone-annotation and error_prone_annotation
		return long + 2
	case strings.HasSuffix(letters, lettersOf(name)) && len(lettersOf(name)) >= 4 && strings.Contains(artifact, "."):
		return long + 1 // sisu-inject and org.eclipse.sisu.inject
	case version != "" && strings.HasPrefix(stem, artifact+"-") && strings.Contains(stem[len(artifact):], "-"+version):
		return long // wagon-http-shaded-3.5.3, of wagon-http
	}
	return 0
}

// lettersOf keeps the letters of a name, in lower case.
func lettersOf(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return -1
	}, s)
}

// bundleName is the Bundle-SymbolicName that the Maven bundle plugin makes of coordinates
// (felix.apache.org, "Apache Felix Maven Bundle Plugin").
func bundleName(group, artifact string) string {
	last := group[strings.LastIndexByte(group, '.')+1:]
	switch rest, ok := strings.CutPrefix(artifact, last); {
	case artifact == last:
		return group
	case ok && rest != "" && strings.ContainsRune("-._", rune(rest[0])):
		return group + "." + rest[1:]
	}
	return group + "." + artifact
}

// byManifest names an archive without a pom of its own.
func (m *jarMetadata) byManifest(where, stem string) seaworthy.Package {
	artifact, version := splitJarName(stem)
	if group, artifact, version, ok := repositoryPath(where, stem); ok {
		return mavenPackage(group, artifact, version)
	}
	if v := m.version(); v != "" && (version == "" || strings.HasPrefix(version, v)) {
		if version == "" || !strings.Contains(version, v) {
			version = v
		}
	}
	symbolic, _, _ := strings.Cut(m.manifest["Bundle-SymbolicName"], ";")
	symbolic = strings.TrimSpace(symbolic)
	group, from := "", ""
	switch {
	case looksLikeGroup(m.manifest["Implementation-Vendor-Id"]):
		group, from = m.manifest["Implementation-Vendor-Id"], "Implementation-Vendor-Id"
	case looksLikeGroup(symbolic):
		group, from = groupOfName(symbolic, artifact), "Bundle-SymbolicName"
	case looksLikeGroup(m.manifest["Automatic-Module-Name"]):
		group, from = groupOfName(m.manifest["Automatic-Module-Name"], artifact), "Automatic-Module-Name"
	case looksLikeGroup(strings.ReplaceAll(m.classes, "/", ".")):
		group, from = groupOfName(strings.ReplaceAll(m.classes, "/", "."), artifact), "package of the classes"
	}
	if !looksLikeGroup(group) {
		return mavenPackage("", artifact, version)
	}
	p := mavenPackage(group, artifact, version)
	p.Properties = []seaworthy.Property{{Name: mavenGuess, Value: from}}
	return p
}

// repositoryPath reads coordinates from a path in a Maven repository: group/as/path/artifact/version/file.
func repositoryPath(where, stem string) (group, artifact, version string, ok bool) {
	if strings.Contains(where, "!") {
		return "", "", "", false
	}
	parts := strings.Split(path.Dir(where), "/")
	root := -1
	for i, p := range parts {
		if p == "repository" || p == "maven-repo" {
			root = i
		}
	}
	n := len(parts)
	if root < 0 || n-root < 4 || stem != parts[n-2]+"-"+parts[n-1] {
		return "", "", "", false
	}
	return strings.Join(parts[root+1:n-2], "."), parts[n-2], parts[n-1], true
}

// version is what the manifest says of the archive's own version.
func (m *jarMetadata) version() string {
	for _, key := range [...]string{"Implementation-Version", "Bundle-Version", "Specification-Version"} {
		if v := m.manifest[key]; v != "" && !strings.ContainsAny(v, "${} ") {
			return v
		}
	}
	return ""
}

// looksLikeGroup reports whether s is a dotted name of lower-case words, as groups and Java packages are.
func looksLikeGroup(s string) bool {
	if len(s) > 200 || !strings.Contains(s, ".") || strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") || strings.Contains(s, "..") {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_' {
			return false
		}
	}
	return true
}

// groupOfName takes from a bundle's or package's name what stands for the artifact at its end, the reverse of
// bundleName: org.apache.commons.lang3 and commons-lang3 give org.apache.commons.
func groupOfName(name, artifact string) string {
	if group, ok := strings.CutSuffix(name, "."+artifact); ok && looksLikeGroup(group) {
		return group
	}
	words := strings.FieldsFunc(artifact, func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	parts := strings.Split(name, ".")
	// The last word of the artifact ends the name, and the word before it is the group's last.
	if n := len(words); n >= 2 && len(parts) > 2 && parts[len(parts)-1] == words[n-1] {
		return strings.Join(parts[:len(parts)-1], ".")
	}
	return name
}

// describe adds what the manifest says where no pom did.
func (m *jarMetadata) describe(p *seaworthy.Package) {
	if p.Licences.Declared == "" {
		if first, _, _ := strings.Cut(m.manifest["Bundle-License"], ";"); first != "" && !strings.Contains(first, ",") {
			p.Licences.Declared = licence.Normalise(strings.TrimSpace(first))
		}
	}
	p.Licences.Found = m.texts
	if p.Description == "" {
		p.Description = m.manifest["Bundle-Description"]
	}
	if url := m.manifest["Bundle-DocURL"]; p.Homepage == "" && strings.HasPrefix(url, "http") {
		p.Homepage = url
	}
	if p.Supplier.Name == "" {
		for _, key := range [...]string{"Implementation-Vendor", "Bundle-Vendor"} {
			if v := m.manifest[key]; v != "" {
				p.Supplier = seaworthy.Party{Kind: seaworthy.Organization, Name: v}
				break
			}
		}
	}
	for _, key := range [...]string{"Bundle-SymbolicName", "Automatic-Module-Name"} {
		if v, _, _ := strings.Cut(m.manifest[key], ";"); v != "" {
			p.Properties = append(p.Properties, seaworthy.Property{Name: "java:" + key, Value: v})
		}
	}
}
