package spdx

import (
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// Property is the name under which a field of SPDX that a Bill has no place for is kept in Properties: "spdx:" and
// the JSON name of the field.
const Property = "spdx:"

// layerPURL begins the purl of an image's layer (spdx/spdx-examples, semantics/oci-layer.md).
const layerPURL = "pkg:oci/layer@"

// purposes maps roles to primaryPackagePurpose (SPDX 2.3 clause 7.24). A layer is an archive of files.
var purposes = map[seaworthy.Role]string{
	seaworthy.Library: "LIBRARY", seaworthy.Application: "APPLICATION", seaworthy.Framework: "FRAMEWORK",
	seaworthy.Container: "CONTAINER", seaworthy.OS: "OPERATING_SYSTEM", seaworthy.Device: "DEVICE",
	seaworthy.Firmware: "FIRMWARE", seaworthy.FileRole: "FILE", seaworthy.Source: "SOURCE",
	seaworthy.Archive: "ARCHIVE", seaworthy.Install: "INSTALL", seaworthy.Other: "OTHER",
	seaworthy.Layer: "ARCHIVE", seaworthy.Platform: "OTHER", seaworthy.Data: "OTHER", seaworthy.Model: "OTHER",
}

// roles is the way back.
var roles = map[string]seaworthy.Role{
	"LIBRARY": seaworthy.Library, "APPLICATION": seaworthy.Application, "FRAMEWORK": seaworthy.Framework,
	"CONTAINER": seaworthy.Container, "OPERATING_SYSTEM": seaworthy.OS, "OPERATING-SYSTEM": seaworthy.OS,
	"DEVICE": seaworthy.Device, "FIRMWARE": seaworthy.Firmware, "FILE": seaworthy.FileRole,
	"SOURCE": seaworthy.Source, "ARCHIVE": seaworthy.Archive, "INSTALL": seaworthy.Install, "OTHER": seaworthy.Other,
}

// fromPackage fills e with what SPDX can say of p. The identifier, the verification code, files and annotations are the
// caller's.
func (e *packageElement) fromPackage(p *seaworthy.Package) {
	e.Name, e.Version = p.Name, p.Version
	e.Supplier, e.Originator = supplier(p.Supplier), supplier(p.Originator)
	e.Download = orNoAssertion(p.Download)
	e.Checksums = checksums(p.Hashes)
	e.Homepage, e.Description = p.Homepage, p.Description
	e.Concluded, e.Declared = orNoAssertion(p.Licences.Concluded), orNoAssertion(p.Licences.Declared)
	e.FromFiles = p.Licences.Found
	e.Copyright = orNoAssertion(p.Copyright)
	e.Purpose = purposes[p.Role]
	if p.Role != "" && e.Purpose == "" {
		e.Purpose = "OTHER"
	}
	if p.PURL != "" {
		e.ExternalRefs = append(e.ExternalRefs, externalRef{Category: "PACKAGE-MANAGER", Type: "purl", Locator: p.PURL})
	}
	for _, id := range p.Identifiers {
		e.ExternalRefs = append(e.ExternalRefs, externalRef{
			Category: category(id), Type: id.Type, Locator: id.Value, Comment: id.Comment,
		})
	}
	e.fromProperties(p.Properties)
	if e.SourceInfo == "" {
		e.SourceInfo = sourceInfo(p)
	}
}

// fromProperties puts the properties that are fields of SPDX where they belong.
func (e *packageElement) fromProperties(props []seaworthy.Property) {
	for _, prop := range props {
		name, ok := strings.CutPrefix(prop.Name, Property)
		if !ok || prop.Value == "" {
			continue
		}
		switch name {
		case "attributionTexts":
			e.Attributions = append(e.Attributions, prop.Value)
		case "packageVerificationCode":
			e.Verification = parseVerification(prop.Value)
		default:
			if field := e.propertyField(name); field != nil && *field == "" {
				*field = prop.Value
			}
		}
	}
}

// propertyNames lists the fields that a Package has no place for, in the order they are read.
var propertyNames = []string{
	"comment", "summary", "packageFileName", "licenseComments", "builtDate", "releaseDate", "validUntilDate",
}

func (e *packageElement) propertyField(name string) *string {
	switch name {
	case "comment":
		return &e.Comment
	case "summary":
		return &e.Summary
	case "sourceInfo":
		return &e.SourceInfo
	case "packageFileName":
		return &e.FileName
	case "licenseComments":
		return &e.LicenseComments
	case "builtDate":
		return &e.Built
	case "releaseDate":
		return &e.Released
	case "validUntilDate":
		return &e.ValidUntil
	}
	return nil
}

// toPackage is the way back. sourceInfo and licence expressions are the caller's to judge.
func (e *packageElement) toPackage(problem problemFunc) seaworthy.Package {
	p := seaworthy.Package{
		Name: e.Name, Version: e.Version, Description: e.Description, Homepage: assertion(e.Homepage),
		Supplier: parseParty(e.Supplier), Originator: parseParty(e.Originator),
		Download: assertion(e.Download), Copyright: assertion(e.Copyright),
	}
	p.Licences = seaworthy.Licences{Concluded: assertion(e.Concluded), Declared: assertion(e.Declared)}
	for _, found := range e.FromFiles {
		if found = assertion(found); found != "" {
			p.Licences.Found = append(p.Licences.Found, found)
		}
	}
	p.Hashes = digests(e.Checksums, problem)
	for _, ref := range e.ExternalRefs {
		cat := strings.ReplaceAll(ref.Category, "_", "-")
		if cat == "SECURITY" {
			cat = ""
		}
		if ref.Type == "purl" && p.PURL == "" && ref.Comment == "" {
			p.PURL = ref.Locator
			continue
		}
		p.Identifiers = append(p.Identifiers, seaworthy.Identifier{Category: cat, Type: ref.Type, Value: ref.Locator, Comment: ref.Comment})
	}
	if e.Purpose != "" {
		role, ok := roles[e.Purpose]
		if !ok {
			problem("its purpose %q is none that SPDX has", clip(e.Purpose))
			role = seaworthy.Other
		}
		p.Role = role
	}
	if strings.HasPrefix(p.PURL, layerPURL) {
		p.Role = seaworthy.Layer
	}
	for _, name := range propertyNames {
		if v := *e.propertyField(name); v != "" {
			p.Properties = append(p.Properties, seaworthy.Property{Name: Property + name, Value: v})
		}
	}
	for _, text := range e.Attributions {
		p.Properties = append(p.Properties, seaworthy.Property{Name: Property + "attributionTexts", Value: text})
	}
	if e.Verification != nil {
		p.Properties = append(p.Properties, seaworthy.Property{Name: Property + "packageVerificationCode", Value: e.Verification.String()})
	}
	return p
}

// sourceInfo says in words, for people, where the package was found and what it was built from. A reader that knows the
// facts from the facet drops the words again.
func sourceInfo(p *seaworthy.Package) string {
	var words []string
	if p.Source.Name != "" {
		words = append(words, strings.TrimSpace("built from source package "+p.Source.Name+" "+p.Source.Version))
	}
	if len(p.Evidence) > 0 {
		ev := &p.Evidence[0]
		text := "found in " + ev.Path
		if ev.DiffID != "" {
			text += " of layer " + string(ev.DiffID)
		}
		if ev.By != "" {
			text += " by " + ev.By
		}
		words = append(words, text)
	}
	return strings.Join(words, "; ")
}

// category returns SPDX's word for the category of an identifier (SPDX 2.3 annex F).
func category(id seaworthy.Identifier) string {
	switch strings.ReplaceAll(id.Category, "_", "-") {
	case "":
		if id.Type == "gitoid" || id.Type == "swh" {
			return "PERSISTENT-ID"
		}
		return "SECURITY"
	case "SECURITY":
		return "SECURITY"
	case "PERSISTENT-ID":
		return "PERSISTENT-ID"
	case "PACKAGE-MANAGER":
		return "PACKAGE-MANAGER"
	}
	return "OTHER"
}

// String writes the code as tag-value does: "hex (excludes: a, b)".
func (v *verificationCode) String() string {
	if len(v.Excluded) == 0 {
		return v.Value
	}
	return v.Value + " (excludes: " + strings.Join(v.Excluded, ", ") + ")"
}

func parseVerification(s string) *verificationCode {
	value, rest, ok := strings.Cut(s, "(")
	v := &verificationCode{Value: strings.TrimSpace(value)}
	if ok {
		rest = strings.TrimSuffix(strings.TrimSpace(rest), ")")
		rest = strings.TrimPrefix(strings.TrimSpace(rest), "excludes:")
		for name := range strings.SplitSeq(rest, ",") {
			if name = strings.TrimSpace(name); name != "" {
				v.Excluded = append(v.Excluded, name)
			}
		}
	}
	return v
}

// supplier writes a party that SPDX does not allow to be a tool.
func supplier(p seaworthy.Party) string {
	if p.Kind == seaworthy.Software {
		p.Kind = seaworthy.Organization
	}
	return party(p)
}

func orNoAssertion(s string) string {
	if s == "" {
		return "NOASSERTION"
	}
	return s
}

// assertion undoes orNoAssertion.
func assertion(s string) string {
	if s == "NOASSERTION" {
		return ""
	}
	return s
}

// algorithms maps SPDX's names of hash algorithms to ours, in the order of SPDX 2.3 clause 7.10.
var algorithms = [][2]string{
	{"SHA256", "sha256"},
	{"SHA1", "sha1"},
	{"MD5", "md5"},
	{"SHA224", "sha224"},
	{"SHA384", "sha384"},
	{"SHA512", "sha512"},
	{"SHA3-256", "sha3-256"},
	{"SHA3-384", "sha3-384"},
	{"SHA3-512", "sha3-512"},
	{"BLAKE2b-256", "blake2b-256"},
	{"BLAKE2b-384", "blake2b-384"},
	{"BLAKE2b-512", "blake2b-512"},
	{"BLAKE3", "blake3"},
	{"MD2", "md2"},
	{"MD4", "md4"},
	{"MD6", "md6"},
	{"ADLER32", "adler32"},
}

// checksums writes the digests whose algorithms SPDX knows; the facet keeps the others.
func checksums(hashes []seaworthy.Digest) []checksum {
	out := make([]checksum, 0, max(1, len(hashes)))
	for _, d := range hashes {
		i := slices.IndexFunc(algorithms, func(a [2]string) bool { return a[1] == d.Algorithm() })
		if i >= 0 && d.Hex() != "" {
			out = append(out, checksum{Algorithm: algorithms[i][0], Value: d.Hex()})
		}
	}
	return out
}

// digests is the way back. Algorithms that have no place among our digests (MD2, ADLER32) are kept by name.
func digests(sums []checksum, problem problemFunc) []seaworthy.Digest {
	var out []seaworthy.Digest
	for _, sum := range sums {
		if sum.Value == noHash && sum.Algorithm == "SHA1" {
			continue
		}
		i := slices.IndexFunc(algorithms, func(a [2]string) bool { return strings.EqualFold(a[0], sum.Algorithm) })
		if i < 0 {
			problem("its checksum %q is of an unknown algorithm %q", clip(sum.Value), clip(sum.Algorithm))
			continue
		}
		d, err := seaworthy.NewDigest(algorithms[i][1], strings.TrimSpace(sum.Value))
		if err != nil {
			if !isHex(sum.Value) {
				problem("its %s checksum %q is not hexadecimal", algorithms[i][0], clip(sum.Value))
				continue
			}
			d = seaworthy.Digest(algorithms[i][1] + ":" + strings.ToLower(sum.Value))
			if slices.Contains([]string{"md2", "md4", "md6", "adler32"}, algorithms[i][1]) {
				err = nil
			}
		}
		if err != nil {
			problem("its %s checksum %q has %d digits", algorithms[i][0], clip(sum.Value), len(sum.Value))
		}
		out = append(out, d)
	}
	return out
}

// noHash is written for a file without hashes, because SPDX demands a SHA1 of every file.
const noHash = "0000000000000000000000000000000000000000"

func isHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return s != ""
}
