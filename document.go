package seaworthy

import (
	"slices"
	"time"
)

// Document is a file that makes statements about subjects: a bill, an attestation, a signature, a scorecard, a
// verdict. It is identified by its bytes, and says nothing that is not in them but how it came here.
type Document struct {
	Digest        Digest       `json:"digest"` // sha256 of its bytes
	Kind          DocumentKind `json:"kind"`
	Format        string       `json:"format"` // as people call it: "SPDX-2.3", "in-toto v1", "Sigstore bundle v0.3"
	MediaType     string       `json:"mediaType,omitempty"`
	PredicateType string       `json:"predicateType,omitempty"` // of in-toto statements
	Name          string       `json:"name,omitempty"`          // what it calls itself, or what it is about
	Size          int64        `json:"size"`                    // bytes
	Ingested      time.Time    `json:"ingested"`                // UTC
	Origin        string       `json:"origin,omitempty"`        // where it came from first: a path, an image, "POST"
	Verification  Verification `json:"verification"`
	Statements    int          `json:"statements"`         // how many it makes
	Problems      []Problem    `json:"problems,omitempty"` // what of it could not be read
}

// Subject is the document as something that others may speak of.
func (d *Document) Subject() Subject { return Subject{DocumentSubject, string(d.Digest)} }

// DocumentKind is what a document is for. The list is closed.
type DocumentKind string

// The kinds of document.
const (
	BillDocument       DocumentKind = "bill"       // what is in something
	ProvenanceDocument DocumentKind = "provenance" // how something was made
	SignatureDocument  DocumentKind = "signature"  // somebody signs something, and says no more
	VEXDocument        DocumentKind = "vex"        // which vulnerabilities matter
	ScanDocument       DocumentKind = "scan"       // which vulnerabilities were found
	ScorecardDocument  DocumentKind = "scorecard"  // how a source is looked after
	ManifestDocument   DocumentKind = "manifest"   // an image, or a list of images
	VerdictDocument    DocumentKind = "verdict"    // may it sail
	StatementDocument  DocumentKind = "statement"  // an attestation of another type
)

// Verification is what is known of a document's signers, as of when it was ingested.
type Verification struct {
	State   VerificationState `json:"state"`
	Signers []string          `json:"signers,omitempty"` // keys of actor subjects: "identity:ci@example.com|https://issuer", "key:sha256:…"
	Detail  string            `json:"detail,omitempty"`  // why it could not be verified, or by what it was
}

// VerificationState says whether a document's signature holds.
type VerificationState string

// The states. Unverifiable is not unsigned: there is a signature, and nothing that is configured vouches for it.
const (
	VerifiedState     VerificationState = "verified"
	UnverifiableState VerificationState = "unverifiable"
	UnsignedState     VerificationState = "unsigned"
)

// Statement is one thing a document says: subject, predicate, object. There is none without its document.
type Statement struct {
	Subject   Subject    `json:"subject"`
	Predicate Predicate  `json:"predicate"`
	Object    Subject    `json:"object"`
	Attrs     []Property `json:"attrs,omitempty"` // sorted by name
}

// Attr returns the value of an attribute, or "".
func (s *Statement) Attr(name string) string { return AttrOf(s.Attrs, name) }

// AttrOf returns the value of the first property with this name, or "".
func AttrOf(attrs []Property, name string) string {
	if i := slices.IndexFunc(attrs, func(p Property) bool { return p.Name == name }); i >= 0 {
		return attrs[i].Value
	}
	return ""
}

// Predicate is the verb of a statement. The list is closed, and stores may keep them as numbers.
type Predicate string

// The predicates, with the attributes they carry.
const (
	// SaysContains: image → layer → package; package without version → with; source → package. path, layer (diffID).
	SaysContains Predicate = "contains"
	// SaysHasFile: artifact or package → artifact, a file in it. path, types, layer. By far the most frequent, and
	// apart from SaysContains so that walks need not read it.
	SaysHasFile Predicate = "hasFile"
	// SaysDepends: package or artifact → package. scope, range, direct ("true").
	SaysDepends Predicate = "depends"
	// SaysSame: two names of one thing: tag and digest, package and artifact, CVE and GHSA, sha1 and sha256. why.
	SaysSame Predicate = "same"
	// SaysDescribes: document → what it is about. name.
	SaysDescribes Predicate = "describes"
	// SaysBuilt: artifact → each material, a source, package or artifact. entryPoint, buildType, parameters.
	SaysBuilt Predicate = "built"
	// SaysBuiltBy: artifact → builder (an actor). buildType, started, finished, invocation.
	SaysBuiltBy Predicate = "builtBy"
	// SaysSigned: document, or the artifact a signature is of → actor. time, log (index), how.
	SaysSigned Predicate = "signed"
	// SaysSource: package or artifact → source.
	SaysSource Predicate = "source"
	// SaysAffects: vuln → package or artifact. status (VEX), justification, range, fixed, severity, by (scanner), time.
	SaysAffects Predicate = "affects"
	// SaysRated: subject → the document that rates it. type (scorecard, cvss, epss, kev, grade), score, checks (JSON).
	SaysRated Predicate = "rated"
	// SaysLicensed: package or artifact → licence. how (declared, concluded, found).
	SaysLicensed Predicate = "licensed"
	// SaysJudged: artifact → the document of the verdict. verdict, policy, reason, request.
	SaysJudged Predicate = "judged"
	// SaysNoted: subject → the document that notes it. key, value.
	SaysNoted Predicate = "noted"
	// SaysRuns: resource → artifact. container, namespace, observed.
	SaysRuns Predicate = "runs"
)

// Predicates lists all of them, in the order stores number them from 1: only ever add at the end.
func Predicates() []Predicate {
	return []Predicate{
		SaysContains, SaysHasFile, SaysDepends, SaysSame, SaysDescribes, SaysBuilt, SaysBuiltBy, SaysSigned,
		SaysSource, SaysAffects, SaysRated, SaysLicensed, SaysJudged, SaysNoted, SaysRuns,
	}
}

// SubjectKinds lists the kinds of subject, in the order stores number them from 1: only ever add at the end.
func SubjectKinds() []SubjectKind {
	return []SubjectKind{
		ArtifactSubject, PackageSubject, SourceSubject, VulnSubject, LicenceSubject, ActorSubject, DocumentSubject,
		ResourceSubject,
	}
}
