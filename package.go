package seaworthy

// Package is a component: something that has a name, usually a version, and can be in something else. A deb,
// a Go module and a jar are packages; so are the image and the layers they are in, and the operating system.
//
// What a package says of itself (Depends, Files) is kept as it says it, by name. What holds between the
// packages of one bill is a Relation of the Bill, by Ref.
type Package struct {
	// Ref is the package's identity within one bill: unique there, the same for the same content.
	Ref       string `json:"ref,omitempty"`
	Role      Role   `json:"role,omitempty"`      // "" means Library
	Ecosystem string `json:"ecosystem,omitempty"` // purl type: deb, rpm, apk, npm, pypi, maven, golang, cargo, gem, oci …
	// Name is as the ecosystem's own tools print it: "@scope/name", "group:artifact", a Go module path.
	Name    string `json:"name"`
	Version string `json:"version,omitempty"` // full: epoch:upstream-revision for deb and rpm
	Arch    string `json:"arch,omitempty"`    // the ecosystem's word: amd64, x86_64, all, noarch
	PURL    string `json:"purl,omitempty"`    // canonical
	// Identifiers are further unique names: CPE 2.3, SWID, gitoid.
	Identifiers []Identifier `json:"identifiers,omitempty"`

	Supplier    Party    `json:"supplier,omitzero"`   // who distributed it: maintainer, vendor, publisher
	Originator  Party    `json:"originator,omitzero"` // who wrote it, where that is somebody else
	Description string   `json:"description,omitempty"`
	Homepage    string   `json:"homepage,omitempty"`
	Download    string   `json:"download,omitempty"` // where it can be fetched
	Licences    Licences `json:"licences,omitzero"`
	Copyright   string   `json:"copyright,omitempty"`
	// Hashes are of the package; HashOf says of what exactly.
	Hashes []Digest `json:"hashes,omitempty"`
	HashOf HashOf   `json:"hashOf,omitempty"`
	// Source is the package this one was built from: a Debian source package, an rpm's SRPM, an apk's origin.
	Source Upstream `json:"source,omitzero"`

	Depends  []Dependency `json:"depends,omitempty"`
	Files    []OwnedFile  `json:"files,omitempty"`
	Evidence []Evidence   `json:"evidence,omitempty"` // where it was found; the first is the best
	// CoveredBy is the Ref of the distribution package that installed this one's files: the same thing twice.
	CoveredBy  string     `json:"coveredBy,omitempty"`
	Scope      Scope      `json:"scope,omitempty"`  // "" means Runtime
	Direct     bool       `json:"direct,omitempty"` // named by the project itself, not by a dependency
	Properties []Property `json:"properties,omitempty"`
}

// Role is what part a package plays.
type Role string

// The roles. Their names are CycloneDX component types, but for Layer, Source, Archive, Install and Other.
const (
	Library     Role = "library"
	Application Role = "application"
	Framework   Role = "framework"
	Container   Role = "container"
	Layer       Role = "layer" // one file-system layer of a container image
	OS          Role = "operating-system"
	Platform    Role = "platform"
	Device      Role = "device"
	Firmware    Role = "firmware"
	FileRole    Role = "file"
	Data        Role = "data"
	Model       Role = "machine-learning-model"
	Source      Role = "source"
	Archive     Role = "archive"
	Install     Role = "install"
	Other       Role = "other"
)

// Scope says when a package is needed.
type Scope string

// The scopes.
const (
	Runtime     Scope = "runtime"
	Development Scope = "development"
	Build       Scope = "build"
	Test        Scope = "test"
	Optional    Scope = "optional"
	Provided    Scope = "provided"
)

// HashOf says what the hashes of a Package are of.
type HashOf string

// What hashes may be of.
const (
	HashOfArtifact  HashOf = "artifact"        // the file that was distributed: a jar, an npm tarball
	HashOfModule    HashOf = "module-tree"     // Go's h1: SHA-256 over the sorted list of files and their SHA-256
	HashOfInstalled HashOf = "installed-files" // SHA-256 over "hex  path\n" lines of the installed files, sorted by path
	HashOfEvidence  HashOf = "evidence-file"   // the file that says the package is there
)

// Identifier is a unique name in another scheme. Type is SPDX's referenceType where it has one: cpe23Type,
// cpe22Type, swid, gitoid, swh; Category is SPDX's, "" for SECURITY.
type Identifier struct {
	Category string `json:"category,omitempty"`
	Type     string `json:"type"`
	Value    string `json:"value"`
	Comment  string `json:"comment,omitempty"`
}

// Party is a person, organisation or tool.
type Party struct {
	Kind  PartyKind `json:"kind,omitempty"` // "" means not known which
	Name  string    `json:"name,omitempty"`
	Email string    `json:"email,omitempty"`
	URL   string    `json:"url,omitempty"`
}

// PartyKind is what a Party is.
type PartyKind string

// The kinds of party.
const (
	Person       PartyKind = "person"
	Organization PartyKind = "organization"
	Software     PartyKind = "tool"
)

// Licences are SPDX licence expressions (SPDX 2.3 annex D). A text with no SPDX identifier is named by a
// LicenseRef- whose text the Bill keeps.
type Licences struct {
	Declared  string   `json:"declared,omitempty"`  // what the package says of itself
	Concluded string   `json:"concluded,omitempty"` // what we hold to be true
	Found     []string `json:"found,omitempty"`     // what was seen in its files, each an expression
}

// Upstream names the source package something was built from.
type Upstream struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

// Dependency is one thing a package says it needs, in its own words.
type Dependency struct {
	Name  string `json:"name"`
	Range string `json:"range,omitempty"` // as written: ">= 2.36", "^4.17.0"
	Scope Scope  `json:"scope,omitempty"` // "" means Runtime
	// Any lists alternatives, one of which is enough ("a | b" of Debian); Name is the first.
	Any []string `json:"any,omitempty"`
}

// OwnedFile is a file a package says it installed. Digest is what the package says, often md5 or none.
type OwnedFile struct {
	Path   string `json:"path"` // clean, no leading slash
	Digest Digest `json:"digest,omitempty"`
}

// Evidence is where a fact comes from.
type Evidence struct {
	Path    string `json:"path"`              // in the image or tree, clean, no leading slash; nested as "a.jar!b.jar"
	Layer   int    `json:"layer"`             // index from 0; meaningless without DiffID
	DiffID  Digest `json:"diffID,omitempty"`  // of that layer
	History string `json:"history,omitempty"` // the line that made the layer
	By      string `json:"by,omitempty"`      // the recogniser: dpkg, npm …
}

// Property is a name and a value for which no field exists.
type Property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Property returns the value of the first property with this name, or "".
func (p *Package) Property(name string) string {
	for _, prop := range p.Properties {
		if prop.Name == name {
			return prop.Value
		}
	}
	return ""
}
