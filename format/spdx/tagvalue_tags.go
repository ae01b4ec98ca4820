package spdx

import "strings"

func (t *tagReader) packageTag(tag, value string) bool {
	e := t.pkg
	switch tag {
	case "SPDXID":
		e.ID = value
	case "PackageVersion":
		e.Version = value
	case "PackageFileName":
		e.FileName = value
	case "PackageSupplier":
		e.Supplier = value
	case "PackageOriginator":
		e.Originator = value
	case "PackageDownloadLocation":
		e.Download = value
	case "FilesAnalyzed":
		e.FilesAnalyzed = strings.EqualFold(value, "true")
	case "PackageVerificationCode":
		e.Verification = parseVerification(value)
	case "PackageChecksum":
		e.Checksums = append(e.Checksums, parseChecksum(value))
	case "PackageHomePage":
		e.Homepage = value
	case "PackageSourceInfo":
		e.SourceInfo = value
	case "PackageLicenseConcluded":
		e.Concluded = value
	case "PackageLicenseInfoFromFiles":
		e.FromFiles = append(e.FromFiles, value)
	case "PackageLicenseDeclared":
		e.Declared = value
	case "PackageLicenseComments":
		e.LicenseComments = value
	case "PackageCopyrightText":
		e.Copyright = value
	case "PackageSummary":
		e.Summary = value
	case "PackageDescription":
		e.Description = value
	case "PackageComment":
		e.Comment = value
	case "PackageAttributionText":
		e.Attributions = append(e.Attributions, value)
	case "PrimaryPackagePurpose":
		e.Purpose = value
	case "BuiltDate":
		e.Built = value
	case "ReleaseDate":
		e.Released = value
	case "ValidUntilDate":
		e.ValidUntil = value
	case "ExternalRef":
		e.ExternalRefs = append(e.ExternalRefs, parseExternalRef(value))
	case "ExternalRefComment":
		if n := len(e.ExternalRefs); n > 0 {
			e.ExternalRefs[n-1].Comment = value
		}
	default:
		return false
	}
	return true
}

func (t *tagReader) fileTag(tag, value string) bool {
	e := t.file
	switch tag {
	case "SPDXID":
		e.ID = value
	case "FileType":
		e.Types = append(e.Types, value)
	case "FileChecksum":
		e.Checksums = append(e.Checksums, parseChecksum(value))
	case "LicenseConcluded":
		e.Concluded = value
	case "LicenseInfoInFile":
		e.InFile = append(e.InFile, value)
	case "LicenseComments":
		e.LicenseComments = value
	case "FileCopyrightText":
		e.Copyright = value
	case "FileComment":
		e.Comment = value
	case "FileNotice":
		e.Notice = value
	case "FileContributor":
		e.Contributors = append(e.Contributors, value)
	case "FileAttributionText":
		e.Attributions = append(e.Attributions, value)
	case "FileDependency":
		e.Dependencies = append(e.Dependencies, value)
	default:
		return false
	}
	return true
}

func (t *tagReader) licenceTag(tag, value string) bool {
	e := t.licence
	switch tag {
	case "ExtractedText":
		e.Text = value
	case "LicenseName":
		e.Name = value
	case "LicenseCrossReference":
		e.SeeAlso = append(e.SeeAlso, value)
	case "LicenseComment":
		e.Comment = value
	default:
		return false
	}
	return true
}

func (t *tagReader) noteTag(tag, value string) bool {
	switch tag {
	case "AnnotationDate":
		t.note.Date = value
	case "AnnotationType":
		t.note.Type = value
	case "SPDXREF":
		t.note.About = value
	case "AnnotationComment":
		t.note.Comment = value
	default:
		return false
	}
	return true
}

// parseChecksum reads "SHA1: hex".
func parseChecksum(s string) checksum {
	alg, value, _ := strings.Cut(s, ":")
	return checksum{Algorithm: strings.TrimSpace(alg), Value: strings.TrimSpace(value)}
}

// parseExternalRef reads "category type locator". A locator may have spaces, though it should not.
func parseExternalRef(s string) externalRef {
	category, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	kind, locator, _ := strings.Cut(strings.TrimSpace(rest), " ")
	return externalRef{Category: category, Type: kind, Locator: strings.TrimSpace(locator)}
}
