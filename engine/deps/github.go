package deps

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// Export says what a graph does not know when it is exported as SPDX.
type Export struct {
	Name string // of the repository: owner/name, or what the directory is called
	Ref  string // branch, tag or commit; may be ""
	// Created is when the document was made; the zero value is written as 1970, so that the same tree gives the same
	// bytes.
	Created time.Time
	Tool    seaworthy.Tool
}

// The parts of an SPDX 2.3 document that GitHub's endpoint fills
// (docs.github.com/rest/dependency-graph/sboms, spdx.github.io/spdx-spec/v2.3).
type (
	githubSBOM struct {
		SBOM spdxDocument `json:"sbom"`
	}
	spdxDocument struct {
		ID            string             `json:"SPDXID"`
		Version       string             `json:"spdxVersion"`
		Creation      spdxCreation       `json:"creationInfo"`
		Name          string             `json:"name"`
		DataLicense   string             `json:"dataLicense"`
		Namespace     string             `json:"documentNamespace"`
		Comment       string             `json:"comment,omitempty"`
		Packages      []spdxPackage      `json:"packages"`
		Relationships []spdxRelationship `json:"relationships"`
	}
	spdxCreation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	spdxPackage struct {
		ID            string            `json:"SPDXID"`
		Name          string            `json:"name"`
		VersionInfo   string            `json:"versionInfo,omitempty"`
		Download      string            `json:"downloadLocation"`
		FilesAnalyzed bool              `json:"filesAnalyzed"`
		Concluded     string            `json:"licenseConcluded,omitempty"`
		Declared      string            `json:"licenseDeclared,omitempty"`
		LicenceWords  string            `json:"licenseComments,omitempty"`
		Supplier      string            `json:"supplier,omitempty"`
		Copyright     string            `json:"copyrightText,omitempty"`
		ExternalRefs  []spdxExternalRef `json:"externalRefs,omitempty"`
	}
	spdxExternalRef struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	spdxRelationship struct {
		From string `json:"spdxElementId"`
		Type string `json:"relationshipType"`
		To   string `json:"relatedSpdxElement"`
	}
)

const (
	repositoryID  = "SPDXRef-Repository"
	noRange       = "Versions that are ranges are what a manifest asks for: no lock file says which version that is."
	namespaceBase = "https://seaworthy.dev/deps/"
)

// WriteSPDX writes the graph as GitHub's endpoint for the dependency graph does: SPDX 2.3 in JSON below the member
// "sbom", with the repository as the package that is described. Each package URL is one package, whatever the
// number of manifests that name it. The repository depends on what is direct and on what nothing is known to
// need; other edges go between packages.
func (g *Graph) WriteSPDX(w io.Writer, e Export) error {
	created := e.Created.UTC()
	if created.Year() < 1970 {
		created = time.Unix(0, 0).UTC()
	}
	doc := spdxDocument{
		ID: "SPDXRef-DOCUMENT", Version: "SPDX-2.3", Name: cmp.Or(e.Name, "dependencies"), DataLicense: "CC0-1.0",
		Creation: spdxCreation{created.Format(time.RFC3339), []string{"Tool: " + strings.TrimSuffix(e.Tool.Name+"-"+e.Tool.Version, "-")}},
	}
	doc.Packages = []spdxPackage{repositoryPackage(e)}
	doc.Relationships = []spdxRelationship{{doc.ID, "DESCRIBES", repositoryID}}
	ids, ranges := g.spdxPackages(&doc)
	if ranges {
		doc.Comment = noRange
	}
	g.spdxRelationships(&doc, ids)
	doc.Namespace = namespaceBase + slug(doc.Name) + "-" + doc.fingerprint()
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return seaworthy.Wrap(enc.Encode(githubSBOM{doc}), seaworthy.Storage, "writing SPDX")
}

func repositoryPackage(e Export) spdxPackage {
	p := spdxPackage{ID: repositoryID, Name: e.Name, VersionInfo: e.Ref, Download: "NOASSERTION"}
	if owner, name, ok := strings.Cut(e.Name, "/"); ok && !strings.Contains(name, "/") {
		p.Download = "git+https://github.com/" + owner + "/" + name
		p.ExternalRefs = purlRef(purl.New("github", owner, name, e.Ref))
	}
	return p
}

func purlRef(url string) []spdxExternalRef {
	if url == "" {
		return nil
	}
	return []spdxExternalRef{{"PACKAGE-MANAGER", "purl", url}}
}

// spdxPackages adds each package once and returns the ids by node.
func (g *Graph) spdxPackages(doc *spdxDocument) (ids []string, ranges bool) {
	ids = make([]string, len(g.nodes))
	known := map[string]int{} // identity to index in doc.Packages
	for i := range g.nodes {
		n := &g.nodes[i]
		if n.project {
			continue
		}
		key := n.PURL + "\x00" + n.version()
		if n.PURL == "" {
			key = n.Ecosystem + "\x00" + n.Name + "\x00" + n.version()
		}
		at, ok := known[key]
		if !ok {
			at = len(doc.Packages)
			known[key] = at
			sum := sha256.Sum256([]byte(key))
			p := spdxPackage{
				ID:   "SPDXRef-" + strings.ReplaceAll(slug(n.Ecosystem+"-"+n.Name+"-"+n.version()), "/", "-") + "-" + hex.EncodeToString(sum[:4]),
				Name: n.Name, VersionInfo: n.version(), Download: "NOASSERTION", ExternalRefs: purlRef(n.PURL), Copyright: n.Copyright,
			}
			ranges = ranges || n.Version == "" && p.VersionInfo != ""
			doc.Packages = append(doc.Packages, p)
		}
		p := &doc.Packages[at]
		p.setLicence(n.Package)
		ids[i] = p.ID
	}
	return ids, ranges
}

// setLicence says what the licence is. One that SPDX has no identifier for is told in words: a LicenseRef- would
// need a text, and nobody has that.
func (p *spdxPackage) setLicence(from *seaworthy.Package) {
	set := func(to *string, expression string) {
		switch {
		case *to != "" || expression == "":
		case strings.Contains(expression, "LicenseRef-"):
			p.LicenceWords = "declared as " + expression
		default:
			*to = expression
		}
	}
	set(&p.Concluded, licenceOf(from))
	set(&p.Declared, from.Licences.Declared)
}

func (g *Graph) spdxRelationships(doc *spdxDocument, ids []string) {
	var list []spdxRelationship
	for i := range g.nodes {
		n := &g.nodes[i]
		if n.project {
			continue
		}
		if n.rel == Direct || n.parent < 0 {
			list = append(list, spdxRelationship{repositoryID, "DEPENDS_ON", ids[i]})
		}
		for _, to := range g.needs(int32(i)) {
			if ids[to] != "" && ids[to] != ids[i] {
				list = append(list, spdxRelationship{ids[i], "DEPENDS_ON", ids[to]})
			}
		}
	}
	slices.SortFunc(list, func(a, b spdxRelationship) int { return first(text(a.From, b.From), text(a.To, b.To)) })
	doc.Relationships = append(doc.Relationships, slices.Compact(list)...)
}

// fingerprint makes a document's name follow from what it says.
func (d *spdxDocument) fingerprint() string {
	h := sha256.New()
	line := func(parts ...string) {
		for _, p := range parts {
			io.WriteString(h, p)
			h.Write([]byte{0})
		}
	}
	line(d.Name, d.Creation.Created, d.Creation.Creators[0])
	for i := range d.Packages {
		line(d.Packages[i].ID, d.Packages[i].VersionInfo, d.Packages[i].Concluded)
	}
	for _, r := range d.Relationships {
		line(r.From, r.To)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// slug keeps what may stand in an SPDX identifier, and "/".
func slug(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '/':
			return r
		}
		return '-'
	}, name), "-/")
}
