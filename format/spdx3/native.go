package spdx3

import (
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/facet"
)

// property begins the names of Properties that are fields of SPDX which a Bill has no place for.
const property = "spdx:"

type problemFunc func(format string, args ...any)

func ignore(string, ...any) {}

func clip(s string) string { return facet.Clip(s) }

// fromPackage fills e with what SPDX can say of p in the element itself.
func (e *element) fromPackage(p *seaworthy.Package) {
	e.Type, e.Name, e.Version, e.PURL = "software_Package", p.Name, p.Version, p.PURL
	e.Description, e.Homepage, e.Download, e.Copyright = p.Description, p.Homepage, p.Download, p.Copyright
	e.Hashes = hashes(p.Hashes)
	switch {
	case p.Role == seaworthy.Layer:
		e.Purpose = "archive"
	case p.Role != "":
		if e.Purpose = three(purposeNames, string(p.Role)); e.Purpose == "" {
			e.Purpose = "other"
		}
	}
	for _, id := range p.Identifiers {
		typ := three(identifierNames, id.Type)
		if typ == "" {
			typ = "other"
		}
		e.Identifiers = append(e.Identifiers, identifier{typ, id.Value, id.Comment})
	}
	for _, prop := range p.Properties {
		if name, ok := strings.CutPrefix(prop.Name, property); ok {
			if name == "attributionTexts" {
				e.Attributions = append(e.Attributions, prop.Value)
			} else if field := e.field(name); field != nil && *field == "" && (field != &e.Built && field != &e.Released && field != &e.ValidUntil || exactTime(prop.Value)) {
				*field = prop.Value
			}
		}
	}
}

func exactTime(s string) bool {
	_, exact, err := facet.ParseTime(s)
	return exact && err == nil
}

// fieldNames are the names, as SPDX 2 has them, of what a Package has no place for.
var fieldNames = []string{"comment", "summary", "sourceInfo", "builtDate", "releaseDate", "validUntilDate"}

func (e *element) field(name string) *string {
	switch name {
	case "comment":
		return &e.Comment
	case "summary":
		return &e.Summary
	case "sourceInfo":
		return &e.SourceInfo
	case "builtDate":
		return &e.Built
	case "releaseDate":
		return &e.Released
	case "validUntilDate":
		return &e.ValidUntil
	}
	return nil
}

// toPackage is the way back.
func (e *element) toPackage(problem problemFunc) seaworthy.Package {
	p := seaworthy.Package{
		Name: e.Name, Version: e.Version, PURL: e.PURL, Description: e.Description, Homepage: e.Homepage,
		Download: assertion(e.Download), Copyright: assertion(e.Copyright), Hashes: digests(e.Hashes, problem),
	}
	if e.Purpose != "" {
		if p.Role = seaworthy.Role(ours(purposeNames, e.Purpose)); p.Role == "" {
			p.Role = seaworthy.Other
			p.Properties = append(p.Properties, seaworthy.Property{Name: property + "primaryPurpose", Value: e.Purpose})
		}
	}
	switch e.Type {
	case "ai_AIPackage":
		p.Role = seaworthy.Model
	case "dataset_DatasetPackage":
		p.Role = seaworthy.Data
	}
	for _, id := range e.Identifiers {
		typ, category := ours(identifierNames, id.Type), ""
		switch id.Type {
		case "packageUrl":
			if p.PURL == "" && id.Comment == "" {
				p.PURL = id.Value
				continue
			}
			category = "PACKAGE-MANAGER"
		case "gitoid", "swhid":
			category = "PERSISTENT-ID"
		case "other", "urlScheme", "email":
			category = "OTHER"
		case "":
			continue
		}
		if typ == "" {
			typ = id.Type
		}
		p.Identifiers = append(p.Identifiers, seaworthy.Identifier{Category: category, Type: typ, Value: id.Value, Comment: id.Comment})
	}
	for _, id := range e.ContentIDs {
		typ := id.Type
		if typ == "swhid" {
			typ = "swh"
		}
		p.Identifiers = append(p.Identifiers, seaworthy.Identifier{Category: "PERSISTENT-ID", Type: typ, Value: id.Value})
	}
	for _, r := range e.References {
		for _, locator := range r.Locators {
			p.Identifiers = append(p.Identifiers, seaworthy.Identifier{Category: "OTHER", Type: r.Type, Value: locator, Comment: r.Comment})
		}
	}
	if strings.HasPrefix(p.PURL, layerPURL) {
		p.Role = seaworthy.Layer
	}
	for _, name := range fieldNames {
		if v := *e.field(name); v != "" {
			p.Properties = append(p.Properties, seaworthy.Property{Name: property + name, Value: v})
		}
	}
	for _, text := range e.Attributions {
		p.Properties = append(p.Properties, seaworthy.Property{Name: property + "attributionTexts", Value: text})
	}
	return p
}

// fromFile fills e with what SPDX can say of f in the element itself. Types of SPDX 2 have no place.
func (e *element) fromFile(f *seaworthy.File) {
	e.Type, e.Name, e.Copyright, e.Comment, e.Hashes = "software_File", f.Path, f.Copyright, f.Comment, hashes(f.Hashes)
	if len(f.Types) == 1 {
		e.Purpose = three(fileTypes, f.Types[0])
	}
}

var fileTypes = []pair{
	{"source", "SOURCE"},
	{"archive", "ARCHIVE"},
	{"application", "APPLICATION"},
	{"documentation", "DOCUMENTATION"},
	{"executable", "BINARY"},
	{"other", "OTHER"},
}

// toFile is the way back.
func (e *element) toFile(problem problemFunc) seaworthy.File {
	f := seaworthy.File{Path: e.Name, Copyright: assertion(e.Copyright), Comment: e.Comment, Hashes: digests(e.Hashes, problem)}
	if e.Purpose != "" {
		if t := ours(fileTypes, e.Purpose); t != "" {
			f.Types = []string{t}
		} else {
			f.Properties = append(f.Properties, seaworthy.Property{Name: property + "primaryPurpose", Value: e.Purpose})
		}
	}
	if e.Description != "" {
		f.Properties = append(f.Properties, seaworthy.Property{Name: property + "description", Value: e.Description})
	}
	return f
}

// toParty reads an agent.
func (e *element) toParty() seaworthy.Party {
	p := seaworthy.Party{Name: e.Name}
	switch e.Type {
	case "Person":
		p.Kind = seaworthy.Person
	case "Organization":
		p.Kind = seaworthy.Organization
	case "SoftwareAgent":
		p.Kind = seaworthy.Software
	}
	for _, id := range e.Identifiers {
		switch {
		case id.Type == "email" && p.Email == "":
			p.Email = id.Value
		case id.Type == "urlScheme" && p.URL == "":
			p.URL = id.Value
		}
	}
	return p
}

// assertion drops the word that says nothing.
func assertion(s string) string {
	if s == "NOASSERTION" {
		return ""
	}
	return s
}

func hashes(in []seaworthy.Digest) many[hash] {
	var out many[hash]
	for _, d := range in {
		if name := three(hashNames, d.Algorithm()); name != "" {
			out = append(out, hash{name, d.Hex()})
		}
	}
	return out
}

// digests is the way back. Algorithms without a place among our digests are kept by name.
func digests(in []hash, problem problemFunc) []seaworthy.Digest {
	var out []seaworthy.Digest
	for _, h := range in {
		alg := ours(hashNames, h.Algorithm)
		switch {
		case alg == "" && h.Algorithm == "":
			continue // another way of verifying
		case alg == "":
			alg = h.Algorithm
		}
		d, err := seaworthy.NewDigest(alg, h.Value)
		if err != nil {
			if h.Value == "" || strings.ContainsFunc(h.Value, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) }) {
				problem("its %s hash %q is not hexadecimal", clip(alg), clip(h.Value))
				continue
			}
			if slices.Contains([]string{"sha256", "sha1", "sha512", "md5"}, alg) {
				problem("its %s hash %q has %d digits", alg, clip(h.Value), len(h.Value))
			}
			d = seaworthy.Digest(alg + ":" + strings.ToLower(h.Value))
		}
		out = append(out, d)
	}
	return out
}

// licenceIRI begins the IRIs of listed licences.
const licenceIRI = "https://spdx.org/licenses/"

// fromBill fills the document element with what SPDX can say of the bill itself.
func (e *element) fromBill(b *seaworthy.Bill) {
	e.Type, e.Name, e.Comment = "SpdxDocument", b.Name, b.Comment
	licence := b.DataLicence
	if licence == "" {
		licence = "CC0-1.0"
	}
	if facet.Valid("SPDXRef-" + licence) {
		e.DataLicence.id = licenceIRI + licence
	}
}

// toBill is the way back.
func (e *element) toBill(b *seaworthy.Bill) {
	b.Name, b.Comment = e.Name, e.Comment
	if licence, ok := strings.CutPrefix(e.DataLicence.id, licenceIRI); ok && licence != "CC0-1.0" {
		b.DataLicence = licence
	}
	if e.Summary != "" {
		b.Properties = append(b.Properties, seaworthy.Property{Name: property + "summary", Value: e.Summary})
	}
	if e.Description != "" {
		b.Properties = append(b.Properties, seaworthy.Property{Name: property + "description", Value: e.Description})
	}
}
