package seaworthy

import "time"

// Bill is a bill of materials without the accidents of a format: every format is read into one and written
// from one. References between its parts are Ref strings; one that nothing carries is dangling and is a
// Problem, never an error.
type Bill struct {
	Format  string    `json:"format,omitempty"` // as read: "SPDX-2.3", "CycloneDX 1.6"; "" for one being made
	ID      string    `json:"id,omitempty"`     // SPDX document namespace, CycloneDX serial number
	Name    string    `json:"name,omitempty"`
	Created time.Time `json:"created,omitzero"` // UTC, whole seconds
	Authors []Party   `json:"authors,omitempty"`
	Tools   []Tool    `json:"tools,omitempty"`
	// Context is when in its life the software was looked at, in CycloneDX's words (metadata.lifecycles):
	// design, pre-build, build, post-build, operations, discovery, decommission.
	Context     string `json:"context,omitempty"`
	DataLicence string `json:"dataLicence,omitempty"` // "" means CC0-1.0
	Comment     string `json:"comment,omitempty"`

	// Roots are the Refs of what the bill is about: usually one image, directory or application. That the bill
	// describes them is not repeated among its Relations.
	Roots      []string      `json:"roots,omitempty"`
	Packages   []Package     `json:"packages"`
	Files      []File        `json:"files,omitempty"`
	Relations  []Relation    `json:"relations,omitempty"`
	Licences   []LicenceText `json:"licenceTexts,omitempty"`
	Notes      []Note        `json:"notes,omitempty"`
	Problems   []Problem     `json:"problems,omitempty"`
	Properties []Property    `json:"properties,omitempty"`
}

// File is a file worth naming in a bill.
type File struct {
	Ref       string     `json:"ref,omitempty"`
	Path      string     `json:"path"`            // as the bill writes it
	Types     []string   `json:"types,omitempty"` // SPDX file types: BINARY, SOURCE, TEXT …
	Hashes    []Digest   `json:"hashes,omitempty"`
	Licences  Licences   `json:"licences,omitzero"`
	Copyright string     `json:"copyright,omitempty"`
	Comment   string     `json:"comment,omitempty"`
	Evidence  []Evidence `json:"evidence,omitempty"`
	// Properties hold what a format says of a file and no field here does.
	Properties []Property `json:"properties,omitempty"`
}

// Relation says that From stands in a relation to To. Both are Refs, or names of elements in other documents
// ("DocumentRef-x:SPDXRef-y", a CycloneDX BOM-Link).
type Relation struct {
	From    string       `json:"from"`
	Type    RelationType `json:"type"`
	To      string       `json:"to"`
	Scope   Scope        `json:"scope,omitempty"` // of a DependsOn; "" means Runtime or not said
	Comment string       `json:"comment,omitempty"`
}

// RelationType is the verb of a Relation. Those below are the ones we make and understand; any other is kept
// as SPDX 2.3 clause 11 writes it (upper case, underscores). Inverse verbs are turned round when read
// (CONTAINED_BY, DEPENDENCY_OF, DESCRIBED_BY, *_DEPENDENCY_OF with their Scope).
type RelationType string

// The relation types we make.
const (
	Describes     RelationType = "describes" // From is DocumentRef
	Contains      RelationType = "contains"  // image → layer → package → file
	DependsOn     RelationType = "dependsOn"
	CoveredBy     RelationType = "coveredBy" // language package → the distribution package that installed it
	EvidentBy     RelationType = "evidentBy" // package → the file that says so
	GeneratedFrom RelationType = "generatedFrom"
	DescendantOf  RelationType = "descendantOf" // image → its base image
	VariantOf     RelationType = "variantOf"    // image → the multi-platform index it is in
)

// DocumentRef is the Ref of the bill itself, as in "the document describes the image".
const DocumentRef = "DOCUMENT"

// LicenceText is the text behind a LicenseRef-.
type LicenceText struct {
	ID      string   `json:"id"` // LicenseRef-…
	Name    string   `json:"name,omitempty"`
	Text    string   `json:"text,omitempty"`
	URLs    []string `json:"urls,omitempty"`
	Comment string   `json:"comment,omitempty"`
}

// Note is a remark somebody made on an element: an SPDX annotation.
type Note struct {
	Ref  string    `json:"ref"` // DocumentRef for the bill itself
	By   Party     `json:"by,omitzero"`
	At   time.Time `json:"at,omitzero"`
	Kind string    `json:"kind,omitempty"` // REVIEW or OTHER
	Text string    `json:"text"`
}

// Tool is a program that made or changed something.
type Tool struct {
	Vendor  string `json:"vendor,omitempty"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}
