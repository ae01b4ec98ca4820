package spdx3

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/facet"
)

// ref names an element. In JSON-LD it may be the element itself, whose text is then kept in inner.
type ref struct {
	id    string
	inner jsontext.Value
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *ref) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		var e struct {
			ID string `json:"spdxId"`
			LD string `json:"@id"`
		}
		if err := json.Unmarshal(b, &e, facet.Lenient...); err != nil {
			return err
		}
		if r.id = e.ID; r.id == "" {
			r.id = e.LD
		}
		r.inner = slices.Clone(b)
		return nil
	}
	return json.Unmarshal(b, &r.id, facet.Lenient...)
}

// many is a list that may be written as a single value, as JSON-LD allows.
type many[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (m *many[T]) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*m = nil
		return nil
	}
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]T)(m), facet.Lenient...)
	}
	var one T
	if err := json.Unmarshal(b, &one, facet.Lenient...); err != nil {
		return err
	}
	*m = many[T]{one}
	return nil
}

// element has the members of all classes that are read; which of them count is told by Type.
type element struct {
	Type         string           `json:"type"`
	LDType       string           `json:"@type"`
	ID           string           `json:"spdxId"`
	LDID         string           `json:"@id"`
	CreationInfo ref              `json:"creationInfo"`
	Name         string           `json:"name"`
	Summary      string           `json:"summary"`
	Description  string           `json:"description"`
	Comment      string           `json:"comment"`
	Identifiers  many[identifier] `json:"externalIdentifier"`
	References   many[reference]  `json:"externalRef"`
	Hashes       many[hash]       `json:"verifiedUsing"`
	Created      string           `json:"created"`
	CreatedBy    many[ref]        `json:"createdBy"`
	CreatedUsing many[ref]        `json:"createdUsing"`
	SpecVersion  string           `json:"specVersion"`
	Roots        many[ref]        `json:"rootElement"`
	Elements     many[ref]        `json:"element"`
	DataLicence  ref              `json:"dataLicense"`
	SbomTypes    many[string]     `json:"software_sbomType"`
	SuppliedBy   ref              `json:"suppliedBy"`
	OriginatedBy many[ref]        `json:"originatedBy"`
	Built        string           `json:"builtTime"`
	Released     string           `json:"releaseTime"`
	ValidUntil   string           `json:"validUntilTime"`
	Purpose      string           `json:"software_primaryPurpose"`
	Copyright    string           `json:"software_copyrightText"`
	Attributions many[string]     `json:"software_attributionText"`
	ContentIDs   many[contentID]  `json:"software_contentIdentifier"`
	Version      string           `json:"software_packageVersion"`
	PURL         string           `json:"software_packageUrl"`
	Download     string           `json:"software_downloadLocation"`
	Homepage     string           `json:"software_homePage"`
	SourceInfo   string           `json:"software_sourceInfo"`
	From         ref              `json:"from"`
	To           many[ref]        `json:"to"`
	Relationship string           `json:"relationshipType"`
	Scope        string           `json:"scope"`
	Annotation   string           `json:"annotationType"`
	Subject      ref              `json:"subject"`
	Statement    string           `json:"statement"`
	Expression   string           `json:"simplelicensing_licenseExpression"`
	LicenceText  string           `json:"simplelicensing_licenseText"`
	SeeAlso      many[string]     `json:"expandedlicensing_seeAlso"`
}

type identifier struct {
	Type    string `json:"externalIdentifierType"`
	Value   string `json:"identifier"`
	Comment string `json:"comment"`
}

type reference struct {
	Type     string       `json:"externalRefType"`
	Locators many[string] `json:"locator"`
	Comment  string       `json:"comment"`
}

type hash struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"hashValue"`
}

type contentID struct {
	Type  string `json:"software_contentIdentifierType"`
	Value string `json:"software_contentIdentifierValue"`
}

// word pairs are SPDX 3's name and ours, or SPDX 2's.
type pair struct{ three, ours string }

func three(list []pair, ours string) string {
	for _, p := range list {
		if p.ours == ours {
			return p.three
		}
	}
	return ""
}

func ours(list []pair, three string) string {
	for _, p := range list {
		if p.three == three {
			return p.ours
		}
	}
	return ""
}

var hashNames = []pair{
	{"sha256", "sha256"},
	{"sha1", "sha1"},
	{"sha512", "sha512"},
	{"sha384", "sha384"},
	{"sha224", "sha224"},
	{"md5", "md5"},
	{"sha3_256", "sha3-256"},
	{"sha3_384", "sha3-384"},
	{"sha3_512", "sha3-512"},
	{"blake2b256", "blake2b-256"},
	{"blake2b384", "blake2b-384"},
	{"blake2b512", "blake2b-512"},
	{"blake3", "blake3"},
	{"md2", "md2"},
	{"md4", "md4"},
	{"md6", "md6"},
	{"adler32", "adler32"},
	{"sha3_224", "sha3-224"},
}

var identifierNames = []pair{
	{"cpe22", "cpe22Type"},
	{"cpe23", "cpe23Type"},
	{"gitoid", "gitoid"},
	{"swhid", "swh"},
	{"swid", "swid"},
	{"packageUrl", "purl"},
	{"cve", "cve"},
	{"email", "email"},
	{"securityOther", "securityOther"},
	{"urlScheme", "urlScheme"},
	{"other", "other"},
}

var purposeNames = []pair{
	{"library", "library"},
	{"application", "application"},
	{"framework", "framework"},
	{"container", "container"},
	{"operatingSystem", "operating-system"},
	{"platform", "platform"},
	{"device", "device"},
	{"firmware", "firmware"},
	{"file", "file"},
	{"data", "data"},
	{"model", "machine-learning-model"},
	{"source", "source"},
	{"archive", "archive"},
	{"install", "install"},
	{"other", "other"},
}

// layerPURL begins the purl of an image's layer; SPDX 3 knows no purpose for one, so it is an archive.
const layerPURL = "pkg:oci/layer@"

// contexts are the kinds of software_Sbom, with the moments a Bill knows (CycloneDX metadata.lifecycles).
var contexts = []pair{
	{"design", "design"}, {"source", "pre-build"}, {"build", "build"}, {"analyzed", "post-build"}, {"deployed", "operations"}, {"runtime", "discovery"},
}

// verbs are relationship types, with the Bill's or SPDX 2's; inverse ones begin with "-": From and To change places.
var verbs = []pair{
	{"contains", "contains"},
	{"describes", "describes"},
	{"dependsOn", "dependsOn"},
	{"packagedBy", "coveredBy"},
	{"hasEvidence", "evidentBy"},
	{"generates", "-generatedFrom"},
	{"descendantOf", "descendantOf"},
	{"ancestorOf", "-descendantOf"},
	{"hasVariant", "-variantOf"},
	{"amendedBy", "-AMENDS"},
	{"copiedTo", "-COPY_OF"},
	{"hasDataFile", "-DATA_FILE_OF"},
	{"hasDependencyManifest", "-DEPENDENCY_MANIFEST_OF"},
	{"hasDistributionArtifact", "DISTRIBUTION_ARTIFACT"},
	{"hasDocumentation", "-DOCUMENTATION_OF"},
	{"hasDynamicLink", "DYNAMIC_LINK"},
	{"hasExample", "-EXAMPLE_OF"},
	{"expandsTo", "-EXPANDED_FROM_ARCHIVE"},
	{"hasAddedFile", "FILE_ADDED"},
	{"hasDeletedFile", "FILE_DELETED"},
	{"modifiedBy", "FILE_MODIFIED"},
	{"hasPrerequisite", "HAS_PREREQUISITE"},
	{"hasMetadata", "-METAFILE_OF"},
	{"hasOptionalComponent", "-OPTIONAL_COMPONENT_OF"},
	{"patchedBy", "-PATCH_FOR"},
	{"hasRequirement", "-REQUIREMENT_DESCRIPTION_FOR"},
	{"hasSpecification", "-SPECIFICATION_FOR"},
	{"hasStaticLink", "STATIC_LINK"},
	{"hasTestCase", "-TEST_CASE_OF"},
	{"hasTest", "-TEST_OF"},
	{"other", "OTHER"},
}

// relation is how SPDX 3 says a Relation.
type relation struct {
	from, typ, scope, to, comment string
	scoped                        bool // a LifecycleScopedRelationship
}

// fromRelation returns the relationship that reads back as r, with a facet in its comment when SPDX has no word.
func fromRelation(r seaworthy.Relation) relation {
	out := relation{from: r.From, to: r.To, comment: r.Comment}
	switch {
	case r.Type == seaworthy.DependsOn && r.Scope == seaworthy.Optional:
		out.typ = "hasOptionalDependency"
	case r.Type == seaworthy.DependsOn && r.Scope == seaworthy.Provided:
		out.typ = "hasProvidedDependency"
	case r.Type == seaworthy.DependsOn && r.Scope != "":
		out.typ, out.scope, out.scoped = "dependsOn", string(r.Scope), true
	default:
		out.typ = three(verbs, string(r.Type))
		if out.typ == "" {
			if out.typ = three(verbs, "-"+string(r.Type)); out.typ != "" {
				out.from, out.to = r.To, r.From
			}
		}
	}
	if out.typ == "" {
		for _, o := range others {
			if snake(o) == string(r.Type) {
				out.typ = o
			}
		}
	}
	if out.typ == "" || !slices.Contains([]string{"", "development", "build", "test", "runtime"}, out.scope) || out.back() != r {
		var got seaworthy.Relation
		out = relation{from: r.From, typ: "other", to: r.To, comment: facet.Diff(facet.OfRelation, &got, &r, "From", "To")}
	}
	return out
}

func (e *relation) back() seaworthy.Relation {
	r, _ := e.toRelation()
	return r
}

// toRelation is the way back.
func (e *relation) toRelation() (seaworthy.Relation, error) {
	r := seaworthy.Relation{From: e.from, To: e.to, Comment: e.comment}
	if kind, object, ok := facet.Split(e.comment); ok && kind == facet.OfRelation {
		r.Comment = ""
		err := facet.Apply(&r, object, "From", "To")
		if err != nil {
			r.Type, r.Comment = "OTHER", e.comment
		}
		return r, err
	}
	switch e.typ {
	case "hasOptionalDependency":
		r.Type, r.Scope = seaworthy.DependsOn, seaworthy.Optional
		return r, nil
	case "hasProvidedDependency":
		r.Type, r.Scope = seaworthy.DependsOn, seaworthy.Provided
		return r, nil
	case "usesTool":
		if typ := map[string]seaworthy.RelationType{"build": "BUILD_TOOL_OF", "development": "DEV_TOOL_OF", "test": "TEST_TOOL_OF"}[e.scope]; typ != "" {
			r.Type, r.From, r.To = typ, r.To, r.From
			return r, nil
		}
	}
	word := ours(verbs, e.typ)
	if word == "" {
		// What only SPDX 3 says is kept in the spelling of SPDX 2; see others.
		r.Type = seaworthy.RelationType(snake(e.typ))
		return r, nil
	}
	word, inverse := strings.CutPrefix(word, "-")
	r.Type = seaworthy.RelationType(word)
	if inverse {
		r.From, r.To = r.To, r.From
	}
	if r.Type == seaworthy.DependsOn {
		r.Scope = seaworthy.Scope(e.scope)
	}
	return r, nil
}

// snake writes hasHost as SPDX 2 would have: HAS_HOST.
func snake(s string) string {
	var out []byte
	for _, c := range []byte(s) {
		if c >= 'A' && c <= 'Z' {
			out = append(out, '_')
		}
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		out = append(out, c)
	}
	return string(out)
}

// others are the relationship types of SPDX 3.0.1 that neither SPDX 2 nor a Bill has a word for.
var others = []string{
	"affects", "availableFrom", "configures", "coordinatedBy", "delegatedTo", "doesNotAffect", "exploitCreatedBy", "fixedBy",
	"fixedIn", "foundBy", "hasAssessmentFor", "hasAssociatedVulnerability", "hasHost", "hasInput", "hasOutput", "invokedBy",
	"publishedBy", "reportedBy", "republishedBy", "serializedInArtifact", "testedOn", "trainedOn",
	"underInvestigationFor", "usesTool",
}
