package spdx

import (
	"io"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/facet"
)

// WriteJSON writes b as SPDX 2.3 JSON. It holds no more than the order of the elements and one element at a time.
// Errors: those of w.
func WriteJSON(w io.Writer, b *seaworthy.Bill) error {
	j := &jsonWriter{writer: newWriter(b, same, same, same), s: facet.NewStream(w)}
	s := j.s
	s.Object("")
	j.head()
	s.Array("packages")
	for _, i := range j.Packages {
		j.pkg(j.packageAt(i))
	}
	s.End()
	if len(j.Files) > 0 {
		s.Array("files")
		for _, i := range j.Files {
			j.file(j.fileAt(i))
		}
		s.End()
	}
	if len(j.Licences) > 0 {
		s.Array("hasExtractedLicensingInfos")
		for i := range j.Licences {
			e, _ := j.licence(i)
			s.Object("")
			s.String("licenseId", e.ID)
			s.String("extractedText", e.Text)
			s.Some("name", e.Name)
			s.Strings("seeAlsos", e.SeeAlso)
			s.Some("comment", e.Comment)
			s.End()
		}
		s.End()
	}
	if len(j.Roots)+len(j.Relations) > 0 {
		s.Array("relationships")
		j.eachRelationship(func(e *relationship) {
			s.Object("")
			s.String("spdxElementId", e.From)
			s.String("relationshipType", e.Type)
			s.String("relatedSpdxElement", e.To)
			s.Some("comment", e.Comment)
			s.End()
		})
		s.End()
	}
	s.End()
	return seaworthy.Wrap(s.Close(), seaworthy.Storage, "writing SPDX JSON")
}

type jsonWriter struct {
	*writer
	s *facet.Stream
}

func (j *jsonWriter) head() {
	s, h := j.s, j.header()
	s.String("spdxVersion", h.Version)
	s.String("dataLicense", h.DataLicense)
	s.String("SPDXID", facet.DocumentID)
	s.String("name", h.Name)
	s.String("documentNamespace", h.Namespace)
	s.Object("creationInfo")
	s.String("created", h.Creation.Created)
	s.Strings("creators", h.Creation.Creators)
	s.Some("licenseListVersion", h.Creation.ListVersion)
	s.Some("comment", h.Creation.Comment)
	s.End()
	s.Some("comment", h.Comment)
	if len(h.External) > 0 {
		s.Array("externalDocumentRefs")
		for _, d := range h.External {
			s.Object("")
			s.String("externalDocumentId", d.ID)
			s.String("spdxDocument", d.Document)
			s.Object("checksum")
			s.String("algorithm", d.Checksum.Algorithm)
			s.String("checksumValue", d.Checksum.Value)
			s.End()
			s.End()
		}
		s.End()
	}
	j.annotate(j.documentAnnotations(&h))
}

func (j *jsonWriter) pkg(e *packageElement) {
	s := j.s
	s.Object("")
	s.String("name", e.Name)
	s.String("SPDXID", e.ID)
	s.Some("versionInfo", e.Version)
	s.Some("packageFileName", e.FileName)
	s.Some("supplier", e.Supplier)
	s.Some("originator", e.Originator)
	s.String("downloadLocation", e.Download)
	s.Bool("filesAnalyzed", e.FilesAnalyzed)
	if e.Verification != nil {
		s.Object("packageVerificationCode")
		s.String("packageVerificationCodeValue", e.Verification.Value)
		s.Strings("packageVerificationCodeExcludedFiles", e.Verification.Excluded)
		s.End()
	}
	j.checksums(e.Checksums)
	s.Some("homepage", e.Homepage)
	s.Some("sourceInfo", e.SourceInfo)
	s.String("licenseConcluded", e.Concluded)
	s.Strings("licenseInfoFromFiles", e.FromFiles)
	s.String("licenseDeclared", e.Declared)
	s.Some("licenseComments", e.LicenseComments)
	s.String("copyrightText", e.Copyright)
	s.Some("summary", e.Summary)
	s.Some("description", e.Description)
	s.Some("comment", e.Comment)
	if len(e.ExternalRefs) > 0 {
		s.Array("externalRefs")
		for _, ref := range e.ExternalRefs {
			s.Object("")
			s.String("referenceCategory", ref.Category)
			s.String("referenceType", ref.Type)
			s.String("referenceLocator", ref.Locator)
			s.Some("comment", ref.Comment)
			s.End()
		}
		s.End()
	}
	s.Strings("attributionTexts", e.Attributions)
	s.Some("primaryPackagePurpose", e.Purpose)
	s.Some("releaseDate", e.Released)
	s.Some("builtDate", e.Built)
	s.Some("validUntilDate", e.ValidUntil)
	j.annotate(e.Annotations)
	s.End()
}

func (j *jsonWriter) file(e *fileElement) {
	s := j.s
	s.Object("")
	s.String("fileName", e.Name)
	s.String("SPDXID", e.ID)
	s.Strings("fileTypes", e.Types)
	j.checksums(e.Checksums)
	s.String("licenseConcluded", e.Concluded)
	s.Strings("licenseInfoInFiles", e.InFile)
	s.Some("licenseComments", e.LicenseComments)
	s.String("copyrightText", e.Copyright)
	s.Some("comment", e.Comment)
	s.Some("noticeText", e.Notice)
	s.Strings("fileContributors", e.Contributors)
	s.Strings("attributionTexts", e.Attributions)
	j.annotate(e.Annotations)
	s.End()
}

func (j *jsonWriter) checksums(sums []checksum) {
	if len(sums) == 0 {
		return
	}
	j.s.Array("checksums")
	for _, c := range sums {
		j.s.Object("")
		j.s.String("algorithm", c.Algorithm)
		j.s.String("checksumValue", c.Value)
		j.s.End()
	}
	j.s.End()
}

func (j *jsonWriter) annotate(list []annotation) {
	if len(list) == 0 {
		return
	}
	j.s.Array("annotations")
	for _, a := range list {
		j.s.Object("")
		j.s.String("annotationDate", a.Date)
		j.s.String("annotationType", a.Type)
		j.s.String("annotator", a.Annotator)
		j.s.String("comment", a.Comment)
		j.s.End()
	}
	j.s.End()
}
