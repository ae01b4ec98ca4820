package match

import (
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
	"github.com/seaworthy-dev/seaworthy/packages"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
)

// osvEcosystems are the OSV names of purl types (ossf.github.io/osv-schema, "Defined ecosystems").
// Distributions are not here: theirs depend on the release.
var osvEcosystems = map[string]string{
	"golang": "Go", "npm": "npm", "pypi": "PyPI", "maven": "Maven", "cargo": "crates.io", "gem": "RubyGems",
	"nuget": "NuGet", "composer": "Packagist", "hex": "Hex", "pub": "Pub", "hackage": "Hackage", "cran": "CRAN",
	"conan": "ConanCenter", "swift": "SwiftURL", "githubactions": "GitHub Actions", "bitnami": "Bitnami",
	"julia": "Julia", "bioconductor": "Bioconductor", "opam": "opam", "vscode-extension": "VSCode",
}

// notSoftware are the roles that advisories do not speak of by themselves.
var notSoftware = []seaworthy.Role{seaworthy.Container, seaworthy.Layer, seaworthy.OS, seaworthy.FileRole, seaworthy.Data, seaworthy.Device}

// query is a name and version to look up.
type query struct{ name, version string }

// target is what a package is looked up as.
type target struct {
	ecosystems []string // of the database
	queries    []query
	// uncovered names the ecosystem or distribution that the database has nothing about.
	uncovered string
}

// ecosystemOf returns the purl type of a package.
func ecosystemOf(p *seaworthy.Package) string {
	if p.Ecosystem != "" {
		return p.Ecosystem
	}
	rest, ok := strings.CutPrefix(p.PURL, "pkg:")
	if !ok {
		return ""
	}
	typ, _, _ := strings.Cut(rest, "/")
	return strings.ToLower(typ)
}

func isDistro(typ string) bool { return typ == "deb" || typ == "rpm" || typ == "apk" }

// target says what to look a package up as; ok is false for what is no software package.
func (m *matcher) target(p *seaworthy.Package) (t target, ok bool) {
	typ := ecosystemOf(p)
	if typ == "" || typ == "oci" || typ == "docker" || slices.Contains(notSoftware, p.Role) {
		return t, false
	}
	if isDistro(typ) {
		return m.distroTarget(p, typ), true
	}
	ecosystem, known := osvEcosystems[typ]
	if !known {
		m.notCompared(p, "", "advisories for packages of type "+typ+" are not known")
		return t, false
	}
	if !slices.Contains(m.ecosystems, ecosystem) {
		return target{uncovered: ecosystem}, true
	}
	if p.Property(packages.LeastVersion) != "" {
		m.notCompared(p, "", "only the least version is known: "+p.Property(packages.LeastVersion))
		return t, false
	}
	queries, err := languageQueries(p)
	if err != nil {
		m.notCompared(p, "", err.Error())
		return t, false
	}
	return target{ecosystems: []string{ecosystem}, queries: queries}, true
}

// languageQueries looks a package up by its package URL, which says what it is, and also by its name when the
// bill calls it otherwise: no finding is lost to a bill that contradicts itself.
func languageQueries(p *seaworthy.Package) ([]query, error) {
	own := query{p.Name, p.Version}
	if p.PURL == "" {
		return []query{own}, nil
	}
	u, err := purl.Parse(p.PURL)
	if err != nil {
		if p.Ecosystem != "" && own.name != "" {
			return []query{own}, nil
		}
		return nil, err
	}
	q := query{u.FullName(), u.Version}
	if q.version == "" {
		q.version = own.version
	}
	if own.name == "" || advisory.NormalName(osvEcosystems[u.Type], own.name) == advisory.NormalName(osvEcosystems[u.Type], q.name) {
		return []query{q}, nil
	}
	if own.version == "" {
		own.version = q.version
	}
	return []query{q, own}, nil
}

// distroTarget looks a distribution package up under its source package, in its own release's advisories.
func (m *matcher) distroTarget(p *seaworthy.Package, typ string) target {
	u, err := purl.Parse(p.PURL)
	if err != nil {
		return target{uncovered: typ + " packages without a package URL"}
	}
	id, version := distroOf(u)
	name := strings.TrimSuffix(id+"-"+version, "-")
	if name == "" {
		return target{uncovered: typ + " packages of an unnamed distribution"}
	}
	ecosystems, cached := m.distros[name]
	if !cached {
		for _, e := range m.ecosystems {
			if distroCovers(id, version, e) {
				ecosystems = append(ecosystems, e)
			}
		}
		m.distros[name] = ecosystems
	}
	if len(ecosystems) == 0 {
		return target{uncovered: name}
	}
	own := query{p.Name, p.Version}
	if own.name == "" {
		own.name = u.Name
	}
	if own.version == "" {
		own.version = u.Version
	}
	src := query{p.Source.Name, p.Source.Version}
	if src.name == "" { // bills by other tools name it in a qualifier
		src.name, src.version, _ = strings.Cut(u.Qualifier("upstream"), "@")
	}
	if src.name == "" {
		src = own
	}
	if src.version == "" {
		src.version = own.version
	}
	t := target{ecosystems: ecosystems, queries: []query{src}}
	if typ == "rpm" {
		// The name of a source rpm has no epoch; it is that of the packages built from it.
		src.name, src.version = sourceRPM(src.name, src.version)
		if epoch, _, ok := strings.Cut(own.version, ":"); ok && !strings.Contains(src.version, ":") {
			src.version = epoch + ":" + src.version
		}
		t.queries = []query{src}
		if own.name != src.name {
			t.queries = append(t.queries, own)
		}
	}
	return t
}

// sourceRPM takes "name-version-release.src.rpm" apart; any other name stays as it is.
func sourceRPM(name, version string) (string, string) {
	base, ok := strings.CutSuffix(name, ".src.rpm")
	if !ok {
		return name, version
	}
	if i := strings.LastIndexByte(base, '-'); i > 0 {
		if j := strings.LastIndexByte(base[:i], '-'); j > 0 {
			return base[:j], base[j+1:]
		}
	}
	return name, version
}

// distroOf reads the distribution of a package URL: the qualifier distro ("debian-12", "opensuse-leap-15.5"),
// else the namespace. Codenames become numbers.
func distroOf(u purl.PURL) (id, version string) {
	id = u.Qualifier("distro")
	for i := len(id) - 1; i > 0; i-- {
		if id[i] == '-' && i+1 < len(id) && (id[i+1] >= '0' && id[i+1] <= '9' || id[i+1:] == "edge" || id[i+1:] == "sid") {
			id, version = id[:i], id[i+1:]
			break
		}
	}
	if version == "" {
		code := id[strings.LastIndexByte(id, '-')+1:]
		if n, ok := codenames[code]; ok {
			id, version = u.Namespace, n
		}
	}
	if id == "" {
		id = u.Namespace
	}
	return strings.ToLower(id), version
}

// codenames of Debian and Ubuntu releases.
var codenames = map[string]string{
	"buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14", "sid": "sid",
	"bionic": "18.04", "focal": "20.04", "jammy": "22.04", "noble": "24.04",
}

// distroCovers reports whether the advisories of an OSV ecosystem are those of a distribution release. Ubuntu's
// Pro repositories are not: a system without a subscription cannot install what they repair.
func distroCovers(id, version, ecosystem string) bool {
	major, _, _ := strings.Cut(version, ".")
	minor := ""
	if parts := strings.SplitN(version, ".", 3); len(parts) >= 2 {
		minor = parts[0] + "." + parts[1]
	}
	switch id {
	case "debian":
		return version != "" && ecosystem == "Debian:"+major
	case "ubuntu":
		return minor != "" && (ecosystem == "Ubuntu:"+minor || ecosystem == "Ubuntu:"+minor+":LTS")
	case "alpine":
		return version == "edge" && ecosystem == "Alpine:edge" || minor != "" && ecosystem == "Alpine:v"+minor
	case "wolfi":
		return ecosystem == "Wolfi"
	case "chainguard":
		return ecosystem == "Chainguard"
	case "minimos":
		return ecosystem == "MinimOS"
	case "rocky":
		return major != "" && ecosystem == "Rocky Linux:"+major
	case "almalinux":
		return major != "" && ecosystem == "AlmaLinux:"+major
	case "rhel", "redhat":
		return major != "" && (ecosystem == "Red Hat:enterprise_linux:"+major || strings.HasPrefix(ecosystem, "Red Hat:enterprise_linux:"+major+":"))
	case "opensuse-leap":
		return version != "" && ecosystem == "openSUSE:Leap "+version
	case "opensuse-tumbleweed":
		return ecosystem == "openSUSE:Tumbleweed"
	case "sles", "sled", "sles_sap":
		if _, sp, ok := strings.Cut(version, "."); ok {
			return strings.HasPrefix(ecosystem, "SUSE:Linux Enterprise") && strings.HasSuffix(ecosystem, " "+major+" SP"+sp)
		}
		return version != "" && strings.HasPrefix(ecosystem, "SUSE:Linux Enterprise") && strings.HasSuffix(ecosystem, " "+version)
	case "mageia":
		return version != "" && ecosystem == "Mageia:"+major
	case "openeuler":
		return version != "" && (ecosystem == "openEuler:"+version || ecosystem == "openEuler:"+version+"-LTS")
	case "azurelinux":
		return major != "" && ecosystem == "Azure Linux:"+major
	}
	return false
}
