package cyclonedx

import (
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// Names of properties for what CycloneDX has no home for, or not an exact one. Those marked JSON hold the JSON
// form of the ground type and win over the native members they repeat.
const (
	// On components.
	propRole          = "seaworthy:role"
	propEcosystem     = "seaworthy:ecosystem"
	propArch          = "seaworthy:arch"
	propVersion       = "seaworthy:version" // longer than the schema allows
	propPURL          = "seaworthy:purl"    // not a URI
	propHomepage      = "seaworthy:homepage"
	propDownload      = "seaworthy:download"
	propHashOf        = "seaworthy:hashOf"
	propSourceName    = "seaworthy:source"
	propSourceVersion = "seaworthy:sourceVersion"
	propCoveredBy     = "seaworthy:coveredBy"
	propScope         = "seaworthy:scope"
	propDirect        = "seaworthy:direct"
	propConcluded     = "seaworthy:licenceConcluded"
	propFound         = "seaworthy:licencesFound" // JSON
	propSupplier      = "seaworthy:supplier"      // JSON
	propOriginator    = "seaworthy:originator"    // JSON
	propIdentifiers   = "seaworthy:identifiers"   // JSON
	propHashes        = "seaworthy:hashes"        // JSON
	propDepends       = "seaworthy:depends"       // JSON
	propFiles         = "seaworthy:files"         // JSON
	propFileType      = "seaworthy:fileType"
	propContainedBy   = "seaworthy:containedBy" // the bom-ref of what contains this; once for each
	propRelation      = "seaworthy:relation"    // JSON; on metadata with "from"
	propRoot          = "seaworthy:root"        // place among the roots, from 1

	// On metadata.
	propID          = "seaworthy:id"
	propName        = "seaworthy:name"
	propComment     = "seaworthy:comment"
	propRoots       = "seaworthy:roots"       // JSON
	propAuthors     = "seaworthy:authors"     // JSON
	propTools       = "seaworthy:tools"       // JSON
	propContext     = "seaworthy:context"     // a context that is no text to be written natively
	propNotes       = "seaworthy:notes"       // JSON
	propLicenceText = "seaworthy:licenceText" // JSON; also on licenses, without the text
	propCreated     = "seaworthy:created"     // a time no CycloneDX timestamp can hold

	// propProperty is put before the name of a property that would otherwise be taken for one of the above.
	propProperty = "seaworthy:property:"
)

// Names of properties that keep what other writers say and the ground types have no field for. Writing puts
// external references back where they were.
const (
	keptPrefix       = "cyclonedx:"
	keptReference    = "cyclonedx:externalReference:" // + type; the URL, then perhaps a space and the comment
	keptService      = "cyclonedx:service"
	keptEndpoint     = "cyclonedx:endpoint"
	keptPublisher    = "cyclonedx:publisher"
	keptManufacturer = "cyclonedx:manufacturer"
	keptAuthor       = "cyclonedx:author"
	keptGroup        = "cyclonedx:group"
	keptHash         = "cyclonedx:hash"
	keptCopyright    = "cyclonedx:evidence.copyright"
	keptMIMEType     = "cyclonedx:mime-type"
	keptVersion      = "cyclonedx:version" // of the document
	keptLifecycle    = "cyclonedx:lifecycle"
	keptManufacture  = "cyclonedx:metadata.manufacture"
	keptSupplier     = "cyclonedx:metadata.supplier"
	keptScope        = "cyclonedx:scope"
)

// reserved reports whether reading takes a property of this name for something else than a Property.
func reserved(name string) bool {
	return reservedNames[name] || strings.HasPrefix(name, propProperty)
}

var reservedNames = map[string]bool{
	propRole: true, propEcosystem: true, propArch: true, propVersion: true, propPURL: true, propHomepage: true,
	propDownload: true, propHashOf: true, propSourceName: true, propSourceVersion: true, propCoveredBy: true,
	propScope: true, propDirect: true, propConcluded: true, propFound: true, propSupplier: true,
	propOriginator: true, propIdentifiers: true, propHashes: true, propDepends: true, propFiles: true,
	propFileType: true, propContainedBy: true, propRelation: true, propRoot: true, propID: true, propName: true,
	propComment: true, propRoots: true, propAuthors: true, propTools: true, propContext: true, propNotes: true,
	propLicenceText: true, propCreated: true,
}

// hashAlgs are the algorithms of the schema's hash-alg, by our names.
var hashAlgs = map[string]string{
	"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512",
	"sha3-256": "SHA3-256", "sha3-384": "SHA3-384", "sha3-512": "SHA3-512",
	"blake2b-256": "BLAKE2b-256", "blake2b-384": "BLAKE2b-384", "blake2b-512": "BLAKE2b-512", "blake3": "BLAKE3",
}

// hashNames is hashAlgs turned round, with upper-case keys.
var hashNames = func() map[string]string {
	m := make(map[string]string, len(hashAlgs))
	for ours, theirs := range hashAlgs {
		m[strings.ToUpper(theirs)] = ours
	}
	return m
}()

// roleTypes are the component types of roles that CycloneDX does not name. Such a component also carries
// propRole. A layer is a file to everybody else: as a second "container" it would be taken for an image.
var roleTypes = map[seaworthy.Role]string{
	seaworthy.Layer: "file", seaworthy.Archive: "file",
	seaworthy.Install: "application",
	seaworthy.Source:  "library", seaworthy.Other: "library",
}

// componentTypes are the types of 1.6.
var componentTypes = map[string]bool{
	"application": true, "framework": true, "library": true, "container": true, "platform": true,
	"operating-system": true, "device": true, "device-driver": true, "firmware": true, "file": true,
	"machine-learning-model": true, "data": true, "cryptographic-asset": true,
}

// typeOf returns the component type of a role, and whether it alone reads back as that role.
func typeOf(r seaworthy.Role) (typ string, exact bool) {
	if r == "" {
		return "library", true
	}
	if t, ok := roleTypes[r]; ok {
		return t, false
	}
	if componentTypes[string(r)] {
		return string(r), r != seaworthy.FileRole // a file alone is a File
	}
	return "library", false
}

// scopeOf returns the component scope of s, and whether it alone reads back as s.
func scopeOf(s seaworthy.Scope) (scope string, exact bool) {
	switch s {
	case "":
		return "", true
	case seaworthy.Runtime:
		return "required", true
	case seaworthy.Optional:
		return "optional", true
	case seaworthy.Provided:
		return "optional", false
	case seaworthy.Development:
		return "excluded", true
	}
	return "excluded", false
}

func scopeFrom(s string) seaworthy.Scope {
	switch s {
	case "required":
		return seaworthy.Runtime
	case "optional":
		return seaworthy.Optional
	case "excluded":
		return seaworthy.Development
	}
	return ""
}

// phases are the predefined lifecycle phases.
var phases = map[string]bool{
	"design": true, "pre-build": true, "build": true, "post-build": true, "operations": true, "discovery": true,
	"decommission": true,
}

// referenceTypes are the external reference types of 1.6.
var referenceTypes = func() map[string]bool {
	m := make(map[string]bool)
	for _, t := range strings.Fields(`vcs issue-tracker website advisories bom mailing-list social chat documentation
		support source-distribution distribution distribution-intake license build-meta build-system release-notes
		security-contact model-card log configuration evidence formulation attestation threat-model
		adversary-model risk-assessment vulnerability-assertion exploitability-statement pentest-report
		static-analysis-report dynamic-analysis-report runtime-analysis-report component-analysis-report
		maturity-report certification-report codified-infrastructure quality-metrics poam electronic-signature
		digital-signature rfc-9116 other`) {
		m[t] = true
	}
	return m
}()

// ecosystemOf returns the type of a purl, or "".
func ecosystemOf(purl string) string {
	rest, ok := strings.CutPrefix(purl, "pkg:")
	if !ok {
		return ""
	}
	typ, _, ok := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	if !ok {
		return ""
	}
	return strings.ToLower(typ)
}

// archOf returns the arch qualifier of a canonical purl, or "".
func archOf(purl string) string {
	_, query, ok := strings.Cut(purl, "?")
	if !ok {
		return ""
	}
	query, _, _ = strings.Cut(query, "#")
	for query != "" {
		var q string
		q, query, _ = strings.Cut(query, "&")
		if v, ok := strings.CutPrefix(q, "arch="); ok && !strings.Contains(v, "%") {
			return v
		}
	}
	return ""
}

// splitName cuts a name where its ecosystem has a group, so that joinName gives it back.
func splitName(ecosystem, name string) (group, rest string) {
	var ok bool
	switch {
	case ecosystem == "maven":
		group, rest, ok = strings.Cut(name, ":")
	case ecosystem == "npm" && strings.HasPrefix(name, "@"):
		group, rest, ok = strings.Cut(name, "/")
	}
	if !ok || group == "" || rest == "" {
		return "", name
	}
	return group, rest
}

// joinName puts group and name together as the ecosystem's tools print them; kept is a group that those tools
// do not print: the vendor of a distribution package.
func joinName(ecosystem, group, name string) (joined, kept string) {
	switch {
	case group == "":
		return name, ""
	case ecosystem == "maven":
		return group + ":" + name, ""
	case ecosystem == "deb" || ecosystem == "rpm" || ecosystem == "apk":
		return name, group
	}
	return group + "/" + name, ""
}
