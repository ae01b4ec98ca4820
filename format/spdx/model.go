package spdx

import "github.com/go-json-experiment/json/jsontext"

// The types below are SPDX 2.3's own classes with the names of its JSON form. Both forms are read into them and
// written from them; "" is a field that is not there.

type header struct {
	Version     string // SPDX-2.3
	DataLicense string
	Name        string
	Namespace   string
	Comment     string
	Creation    creation
	External    []externalDocument
}

type creation struct {
	Created     string         `json:"created"`
	Creators    []string       `json:"creators"`
	ListVersion string         `json:"licenseListVersion"`
	Comment     string         `json:"comment"`
	Unknown     jsontext.Value `json:",embed"`
}

type externalDocument struct {
	ID       string         `json:"externalDocumentId"`
	Document string         `json:"spdxDocument"`
	Checksum checksum       `json:"checksum"`
	Unknown  jsontext.Value `json:",embed"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type externalRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
	Comment  string `json:"comment"`
}

type annotation struct {
	About     string `json:"-"` // identifier of the element
	Annotator string `json:"annotator"`
	Date      string `json:"annotationDate"`
	Type      string `json:"annotationType"`
	Comment   string `json:"comment"`
}

type verificationCode struct {
	Value    string   `json:"packageVerificationCodeValue"`
	Excluded []string `json:"packageVerificationCodeExcludedFiles"`
}

type packageElement struct {
	ID              string            `json:"SPDXID"`
	Name            string            `json:"name"`
	Version         string            `json:"versionInfo"`
	FileName        string            `json:"packageFileName"`
	Supplier        string            `json:"supplier"`
	Originator      string            `json:"originator"`
	Download        string            `json:"downloadLocation"`
	FilesAnalyzed   bool              `json:"filesAnalyzed"`
	Verification    *verificationCode `json:"packageVerificationCode"`
	Checksums       []checksum        `json:"checksums"`
	Homepage        string            `json:"homepage"`
	SourceInfo      string            `json:"sourceInfo"`
	Concluded       string            `json:"licenseConcluded"`
	Declared        string            `json:"licenseDeclared"`
	FromFiles       []string          `json:"licenseInfoFromFiles"`
	LicenseComments string            `json:"licenseComments"`
	Copyright       string            `json:"copyrightText"`
	Summary         string            `json:"summary"`
	Description     string            `json:"description"`
	Comment         string            `json:"comment"`
	ExternalRefs    []externalRef     `json:"externalRefs"`
	Attributions    []string          `json:"attributionTexts"`
	Purpose         string            `json:"primaryPackagePurpose"`
	Built           string            `json:"builtDate"`
	Released        string            `json:"releaseDate"`
	ValidUntil      string            `json:"validUntilDate"`
	HasFiles        []string          `json:"hasFiles"`
	Annotations     []annotation      `json:"annotations"`
	Unknown         jsontext.Value    `json:",embed"`
}

type fileElement struct {
	ID              string           `json:"SPDXID"`
	Name            string           `json:"fileName"`
	Types           []string         `json:"fileTypes"`
	Checksums       []checksum       `json:"checksums"`
	Concluded       string           `json:"licenseConcluded"`
	InFile          []string         `json:"licenseInfoInFiles"`
	LicenseComments string           `json:"licenseComments"`
	Copyright       string           `json:"copyrightText"`
	Comment         string           `json:"comment"`
	Notice          string           `json:"noticeText"`
	Contributors    []string         `json:"fileContributors"`
	Attributions    []string         `json:"attributionTexts"`
	Dependencies    []string         `json:"fileDependencies"`
	ArtifactOf      []jsontext.Value `json:"artifactOfs"`
	Annotations     []annotation     `json:"annotations"`
	Unknown         jsontext.Value   `json:",embed"`
}

type licenceElement struct {
	ID        string         `json:"licenseId"`
	Text      string         `json:"extractedText"`
	Name      string         `json:"name"`
	SeeAlso   []string       `json:"seeAlsos"`
	CrossRefs []crossRef     `json:"crossRefs"`
	Comment   string         `json:"comment"`
	Unknown   jsontext.Value `json:",embed"`
}

type crossRef struct {
	URL string `json:"url"`
}

type relationship struct {
	From    string         `json:"spdxElementId"`
	Type    string         `json:"relationshipType"`
	To      string         `json:"relatedSpdxElement"`
	Comment string         `json:"comment"`
	Unknown jsontext.Value `json:",embed"`
}

type review struct {
	Reviewer string `json:"reviewer"`
	Date     string `json:"reviewDate"`
	Comment  string `json:"comment"`
}
