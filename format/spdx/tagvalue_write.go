package spdx

import (
	"bufio"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/facet"
)

// WriteTagValue writes b as SPDX 2.3 tag-value. Files follow the first package that contains them; files that no
// package contains come before all packages, as the specification demands (clause 8). Errors: those of w.
func WriteTagValue(w io.Writer, b *seaworthy.Bill) error {
	t := &tagWriter{writer: newWriter(b, oneWord, oneLine, manyLines), w: bufio.NewWriterSize(w, 64<<10)}
	h := t.header()
	for i := range h.External {
		d := &h.External[i]
		d.ID, d.Document, d.Checksum.Value = oneWord(d.ID), oneWord(d.Document), oneWord(d.Checksum.Value)
	}
	t.head(&h)

	inside := make([]bool, len(b.Files)) // a package has been found that contains the file
	perPackage := make([][]int, len(b.Packages))
	for _, i := range t.Packages {
		if t.ID(b.Packages[i].Ref) != t.PackageIDs[i] {
			continue // a second package with the same Ref: relations do not mean it
		}
		for _, f := range t.files[b.Packages[i].Ref] {
			if !inside[f] {
				inside[f] = true
				perPackage[i] = append(perPackage[i], f)
			}
		}
	}
	for _, f := range t.Files {
		if !inside[f] {
			t.file(t.fileAt(f))
		}
	}
	for _, i := range t.Packages {
		t.pkg(t.packageAt(i))
		for _, f := range perPackage[i] {
			t.file(t.fileAt(f))
		}
	}
	for i := range t.Licences {
		t.licenceText(i)
	}
	t.eachRelationship(func(e *relationship) {
		t.blank()
		t.tag("Relationship", e.From+" "+e.Type+" "+e.To)
		t.some("RelationshipComment", e.Comment)
	})
	// Annotations come last in tag-value. Making the elements again is cheaper than keeping all of theirs.
	t.annotate(t.documentAnnotations(&h))
	for _, i := range t.Packages {
		t.annotate(t.packageAt(i).Annotations)
	}
	for _, i := range t.Files {
		t.annotate(t.fileAt(i).Annotations)
	}
	return seaworthy.Wrap(t.w.Flush(), seaworthy.Storage, "writing SPDX tag-value")
}

type tagWriter struct {
	*writer
	w *bufio.Writer
}

func (t *tagWriter) blank() { t.w.WriteByte('\n') }

// tag writes one value, between <text> and </text> where a line cannot hold it.
func (t *tagWriter) tag(name, value string) {
	t.w.WriteString(name)
	t.w.WriteString(": ")
	if strings.ContainsRune(value, '\n') || value != strings.TrimSpace(value) {
		t.w.WriteString("<text>" + value + "</text>")
	} else {
		t.w.WriteString(value)
	}
	t.w.WriteByte('\n')
}

func (t *tagWriter) some(name, value string) {
	if value != "" {
		t.tag(name, value)
	}
}

func (t *tagWriter) all(name string, values []string) {
	for _, v := range values {
		t.some(name, v)
	}
}

func (t *tagWriter) head(h *header) {
	t.tag("SPDXVersion", h.Version)
	t.tag("DataLicense", h.DataLicense)
	t.tag("SPDXID", facet.DocumentID)
	t.tag("DocumentName", h.Name)
	t.tag("DocumentNamespace", h.Namespace)
	for i := range h.External {
		t.tag("ExternalDocumentRef", h.External[i].String())
	}
	t.some("LicenseListVersion", h.Creation.ListVersion)
	t.all("Creator", h.Creation.Creators)
	t.tag("Created", h.Creation.Created)
	t.some("CreatorComment", h.Creation.Comment)
	t.some("DocumentComment", h.Comment)
}

func (t *tagWriter) pkg(e *packageElement) {
	t.blank()
	t.tag("PackageName", e.Name)
	t.tag("SPDXID", e.ID)
	t.some("PackageVersion", e.Version)
	t.some("PackageFileName", e.FileName)
	t.some("PackageSupplier", e.Supplier)
	t.some("PackageOriginator", e.Originator)
	t.tag("PackageDownloadLocation", e.Download)
	t.some("PrimaryPackagePurpose", strings.ReplaceAll(e.Purpose, "_", "-"))
	t.some("ReleaseDate", e.Released)
	t.some("BuiltDate", e.Built)
	t.some("ValidUntilDate", e.ValidUntil)
	t.tag("FilesAnalyzed", strconv.FormatBool(e.FilesAnalyzed))
	if e.Verification != nil {
		t.tag("PackageVerificationCode", e.Verification.String())
	}
	for _, c := range e.Checksums {
		t.tag("PackageChecksum", c.Algorithm+": "+c.Value)
	}
	t.some("PackageHomePage", e.Homepage)
	t.some("PackageSourceInfo", e.SourceInfo)
	t.tag("PackageLicenseConcluded", e.Concluded)
	t.all("PackageLicenseInfoFromFiles", e.FromFiles)
	t.tag("PackageLicenseDeclared", e.Declared)
	t.some("PackageLicenseComments", e.LicenseComments)
	t.tag("PackageCopyrightText", e.Copyright)
	t.some("PackageSummary", e.Summary)
	t.some("PackageDescription", e.Description)
	t.some("PackageComment", e.Comment)
	for _, ref := range e.ExternalRefs {
		t.tag("ExternalRef", ref.Category+" "+ref.Type+" "+ref.Locator)
		t.some("ExternalRefComment", ref.Comment)
	}
	t.all("PackageAttributionText", e.Attributions)
}

func (t *tagWriter) file(e *fileElement) {
	t.blank()
	t.tag("FileName", e.Name)
	t.tag("SPDXID", e.ID)
	t.all("FileType", e.Types)
	for _, c := range e.Checksums {
		t.tag("FileChecksum", c.Algorithm+": "+c.Value)
	}
	t.tag("LicenseConcluded", e.Concluded)
	t.all("LicenseInfoInFile", e.InFile)
	t.some("LicenseComments", e.LicenseComments)
	t.tag("FileCopyrightText", e.Copyright)
	t.some("FileComment", e.Comment)
	t.some("FileNotice", e.Notice)
	t.all("FileContributor", e.Contributors)
	t.all("FileAttributionText", e.Attributions)
}

func (t *tagWriter) licenceText(i int) {
	e, _ := t.licence(i)
	t.blank()
	t.tag("LicenseID", e.ID)
	t.w.WriteString("ExtractedText: <text>" + e.Text + "</text>\n")
	if e.Name == "" {
		e.Name = "NOASSERTION"
	}
	t.tag("LicenseName", e.Name)
	t.all("LicenseCrossReference", e.SeeAlso)
	t.some("LicenseComment", e.Comment)
}

func (t *tagWriter) annotate(list []annotation) {
	for _, a := range list {
		t.blank()
		t.tag("Annotator", a.Annotator)
		t.tag("AnnotationDate", a.Date)
		t.tag("AnnotationType", a.Type)
		t.tag("SPDXREF", a.About)
		t.w.WriteString("AnnotationComment: <text>" + a.Comment + "</text>\n")
	}
}

// oneLine makes s harmless where a value ends with its line: what misleads becomes U+FFFD, and a value neither holds the
// marks of a text nor begins or ends with a space.
func oneLine(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if facet.Misleading(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s))
	return noText.Replace(s)
}

// noText takes the marks of a text out of a value: readers look for them anywhere in a line.
var noText = strings.NewReplacer("<text>", "< text>", "</text>", "</ text>")

// oneWord is oneLine without spaces.
func oneWord(s string) string { return strings.Join(strings.Fields(oneLine(s)), "%20") }

// manyLines makes s harmless inside a text.
func manyLines(s string) string {
	s = strings.Map(func(r rune) rune {
		if facet.Misleading(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, s)
	return noText.Replace(s)
}
