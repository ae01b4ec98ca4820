package facet_test

import (
	"bytes"
	"cmp"
	"io"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/facet"
	"github.com/seaworthy-dev/seaworthy/format/spdx"
	"github.com/seaworthy-dev/seaworthy/format/spdx3"
)

// form is one way to write a bill and read it back.
type form struct {
	write func(io.Writer, *seaworthy.Bill) error
	read  func(io.Reader) (*seaworthy.Bill, error)
}

var forms = map[string]form{
	"spdx-json": {spdx.WriteJSON, func(r io.Reader) (*seaworthy.Bill, error) { return spdx.ReadJSON(r, spdx.Limits{}) }},
	"spdx-tag-value": {spdx.WriteTagValue, func(r io.Reader) (*seaworthy.Bill, error) {
		return spdx.ReadTagValue(r, spdx.Limits{})
	}},
	"spdx3-json": {spdx3.Write, func(r io.Reader) (*seaworthy.Bill, error) { return spdx3.Read(r, spdx3.Limits{}) }},
}

// Words that formats trip over.
var words = []string{
	"a", "libc6", "bash", "@scope/name", "1:2.36-9+deb12u1", "NOASSERTION", "NONE", "Apache-2.0", "MIT", " leading", "trailing ",
	"two\nlines", "</text>", "<text>x</text>", "</te</text>xt>", "tab\there", "cr\r\nlf", "\u202eevil\u2066", "nul\x00", "quote\"\\", "<html>&amp;",
	"ünïcode 漢字 🚢", "seaworthy:package {\"name\":\"x\"}", "seaworthy:relation {\"type\":\"x\"}", "evident-by: x", "ownership-by-file-overlap: y", "a: b (c)",
	"Person: x (y@z)", "x (y@z)", "#hash", "\u2028", "\ufeff", "a  b", "()", "-", "1.0", "v2",
}

var (
	word    = rapid.OneOf(rapid.SampledFrom(words), rapid.StringN(0, 6, 40))
	name    = rapid.OneOf(rapid.SampledFrom(words), rapid.StringN(1, 6, 40).Filter(func(s string) bool { return s != "" }))
	scope   = rapid.SampledFrom([]seaworthy.Scope{"", "", "runtime", "development", "build", "test", "optional", "provided", "odd"})
	instant = rapid.Map(rapid.Int64Range(1, 4e9), func(s int64) time.Time { return time.Unix(s, 0).UTC() })
	types   = rapid.SampledFrom([]seaworthy.RelationType{
		seaworthy.Contains, seaworthy.DependsOn, seaworthy.DependsOn, seaworthy.CoveredBy, seaworthy.EvidentBy, seaworthy.GeneratedFrom,
		seaworthy.DescendantOf, seaworthy.VariantOf, seaworthy.Describes, "STATIC_LINK", "PREREQUISITE_FOR", "HAS_PREREQUISITE", "PACKAGE_OF",
		"OTHER", "HAS_HOST", "odd type", "COPY_OF", "BUILD_TOOL_OF", "PATCH_FOR", "hasHost",
	})
	digest = rapid.SampledFrom([]seaworthy.Digest{
		seaworthy.SHA256([]byte("a")), seaworthy.SHA256([]byte("b")), "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
		"sha1:0000000000000000000000000000000000000000", "md5:d41d8cd98f00b204e9800998ecf8427e",
		"gitoid-sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709", "odd:00",
	})
	property = rapid.Custom(func(t *rapid.T) seaworthy.Property {
		names := rapid.SampledFrom([]string{"p", "q", "spdx:comment", "spdx:summary", "spdx:sourceInfo", "spdx:attributionTexts", "spdx:builtDate", "spdx:noticeText", "spdx:licenseListVersion", "spdx:creationInfo.comment"})
		return seaworthy.Property{Name: names.Draw(t, "property"), Value: word.Draw(t, "value")}
	})
	party = rapid.Custom(func(t *rapid.T) seaworthy.Party {
		p := seaworthy.Party{Name: name.Draw(t, "name"), Kind: rapid.SampledFrom([]seaworthy.PartyKind{"", "person", "organization", "tool"}).Draw(t, "kind")}
		if rapid.Bool().Draw(t, "more") {
			p.Email, p.URL = word.Draw(t, "email"), word.Draw(t, "url")
		}
		return p
	})
	evidence = rapid.Custom(func(t *rapid.T) seaworthy.Evidence {
		return seaworthy.Evidence{Path: name.Draw(t, "path"), Layer: rapid.IntRange(0, 9).Draw(t, "layer"), DiffID: digest.Draw(t, "diffID"), History: word.Draw(t, "history"), By: word.Draw(t, "by")}
	})
	expressions = rapid.SliceOfN(rapid.SampledFrom([]string{"MIT", "Apache-2.0 OR MIT", "NONE", "NOASSERTION", "LicenseRef-x"}), 0, 3)
	licences    = rapid.Custom(func(t *rapid.T) seaworthy.Licences {
		return seaworthy.Licences{Declared: word.Draw(t, "declared"), Concluded: word.Draw(t, "concluded"), Found: expressions.Draw(t, "found")}
	})
	identifier = rapid.Custom(func(t *rapid.T) seaworthy.Identifier {
		return seaworthy.Identifier{
			Category: rapid.SampledFrom([]string{"", "SECURITY", "PACKAGE-MANAGER", "PACKAGE_MANAGER", "PERSISTENT-ID", "OTHER", "odd"}).Draw(t, "category"),
			Type:     rapid.SampledFrom([]string{"cpe23Type", "cpe22Type", "purl", "gitoid", "swh", "swid", "advisory", "odd", "two words"}).Draw(t, "type"),
			Value:    word.Draw(t, "value"), Comment: word.Draw(t, "comment"),
		}
	})
)

func randomPackage(t *rapid.T, ref string) seaworthy.Package {
	p := seaworthy.Package{
		Ref: ref, Name: word.Draw(t, "name"), Version: word.Draw(t, "version"), Arch: word.Draw(t, "arch"),
		Role: rapid.SampledFrom([]seaworthy.Role{"", "library", "application", "container", "layer", "operating-system", "platform", "data", "machine-learning-model", "source", "file", "odd"}).Draw(t, "role"),
		PURL: rapid.SampledFrom([]string{"", "pkg:npm/a@1", "pkg:oci/layer@sha256:abc", "pkg:deb/debian/libc6@2.36-9", "odd purl"}).Draw(t, "purl"),
	}
	if rapid.Bool().Draw(t, "more") {
		p.Ecosystem, p.Description, p.Homepage, p.Download = word.Draw(t, "ecosystem"), word.Draw(t, "description"), word.Draw(t, "homepage"), word.Draw(t, "download")
		p.Supplier, p.Originator = party.Draw(t, "supplier"), party.Draw(t, "originator")
		p.Licences, p.Copyright = licences.Draw(t, "licences"), word.Draw(t, "copyright")
		p.Hashes, p.HashOf = rapid.SliceOfN(digest, 0, 3).Draw(t, "hashes"), seaworthy.HashOf(word.Draw(t, "hashOf"))
		p.Source = seaworthy.Upstream{Name: word.Draw(t, "source"), Version: word.Draw(t, "sourceVersion")}
		p.Identifiers = rapid.SliceOfN(identifier, 0, 3).Draw(t, "identifiers")
		p.Evidence = rapid.SliceOfN(evidence, 0, 2).Draw(t, "evidence")
		p.CoveredBy, p.Scope, p.Direct = word.Draw(t, "coveredBy"), scope.Draw(t, "scope"), rapid.Bool().Draw(t, "direct")
		p.Properties = rapid.SliceOfN(property, 0, 3).Draw(t, "properties")
	}
	return p
}

func randomBill(t *rapid.T) *seaworthy.Bill {
	b := &seaworthy.Bill{
		ID:   rapid.SampledFrom([]string{"", "https://example.org/doc", "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79", "odd id"}).Draw(t, "id"),
		Name: word.Draw(t, "billName"), Comment: word.Draw(t, "billComment"), Context: word.Draw(t, "context"),
		DataLicence: rapid.SampledFrom([]string{"", "CC0-1.0", "MIT"}).Draw(t, "dataLicence"),
		Authors:     rapid.SliceOfN(party, 0, 2).Draw(t, "authors"), Properties: rapid.SliceOfN(property, 0, 3).Draw(t, "billProperties"),
	}
	if rapid.Bool().Draw(t, "dated") {
		b.Created = instant.Draw(t, "created")
	}
	for range rapid.IntRange(0, 2).Draw(t, "tools") {
		b.Tools = append(b.Tools, seaworthy.Tool{Vendor: word.Draw(t, "vendor"), Name: word.Draw(t, "tool"), Version: word.Draw(t, "toolVersion")})
	}
	refs := rapid.SliceOfNDistinct(rapid.OneOf(rapid.SampledFrom([]string{"pkg:npm/a@1", "SPDXRef-x", "SPDXRef-Package-a", "a", "a!", "https://example.org/doc#SPDXRef-y", "https://example.org/e"}), name).
		Filter(func(s string) bool { return s != seaworthy.DocumentRef }), 0, 8, rapid.ID[string]).Draw(t, "refs")
	for i, ref := range refs {
		if i%3 == 2 {
			b.Files = append(b.Files, seaworthy.File{
				Ref: ref, Path: word.Draw(t, "path"), Types: rapid.SliceOfN(rapid.SampledFrom([]string{"BINARY", "SOURCE", "TEXT", "odd"}), 0, 2).Draw(t, "types"),
				Hashes: rapid.SliceOfN(digest, 0, 3).Draw(t, "hashes"), Licences: licences.Draw(t, "licences"), Copyright: word.Draw(t, "copyright"),
				Comment: word.Draw(t, "comment"), Evidence: rapid.SliceOfN(evidence, 0, 2).Draw(t, "evidence"),
				Properties: rapid.SliceOfN(property, 0, 2).Draw(t, "properties"),
			})
			continue
		}
		b.Packages = append(b.Packages, randomPackage(t, ref))
	}
	any := rapid.SampledFrom(append([]string{"nowhere", "SPDXRef-none", "DocumentRef-o:SPDXRef-p", "NONE", seaworthy.DocumentRef}, refs...))
	for range rapid.IntRange(0, 8).Draw(t, "relations") {
		b.Relations = append(b.Relations, seaworthy.Relation{From: any.Draw(t, "from"), Type: types.Draw(t, "type"), To: any.Draw(t, "to"), Scope: scope.Draw(t, "scope"), Comment: word.Draw(t, "comment")})
	}
	b.Roots = rapid.SliceOfN(any, 0, 2).Draw(t, "roots")
	for i := range rapid.IntRange(0, 2).Draw(t, "texts") {
		b.Licences = append(b.Licences, seaworthy.LicenceText{ID: []string{"LicenseRef-x", "LicenseRef-y"}[i], Name: word.Draw(t, "name"), Text: word.Draw(t, "text"), URLs: rapid.SliceOfN(word, 0, 2).Draw(t, "urls"), Comment: word.Draw(t, "comment")})
	}
	for range rapid.IntRange(0, 3).Draw(t, "notes") {
		n := seaworthy.Note{Ref: any.Draw(t, "about"), By: party.Draw(t, "by"), Kind: rapid.SampledFrom([]string{"", "REVIEW", "OTHER", "odd"}).Draw(t, "kind"), Text: word.Draw(t, "text")}
		if rapid.Bool().Draw(t, "dated") {
			n.At = instant.Draw(t, "at")
		}
		b.Notes = append(b.Notes, n)
	}
	return b
}

// canonical returns b as every format gives it back: sorted, inverse verbs turned round, what the document
// describes among the roots.
func canonical(b *seaworthy.Bill) seaworthy.Bill {
	out := *b
	out.Format, out.Problems = "", nil
	if out.DataLicence == "CC0-1.0" {
		out.DataLicence = ""
	}
	out.Packages = slices.Clone(b.Packages)
	slices.SortFunc(out.Packages, func(a, b seaworthy.Package) int { return cmp.Compare(a.Ref, b.Ref) })
	out.Files = slices.Clone(b.Files)
	slices.SortFunc(out.Files, func(a, b seaworthy.File) int { return cmp.Compare(a.Ref, b.Ref) })
	plan := facet.NewPlan(b, nil)
	out.Roots, out.Relations, out.Licences, out.Notes = plan.Roots, plan.Relations, plan.Licences, plan.Notes
	slices.SortFunc(out.Roots, cmp.Compare)
	slices.SortFunc(out.Relations, facet.CompareRelations)
	slices.SortFunc(out.Notes, facet.CompareNotes)
	return out
}

// TestRoundTrip writes random bills in every form and reads them back.
func TestRoundTrip(t *testing.T) {
	for label, f := range forms {
		t.Run(label, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				b := randomBill(t)
				var out, again bytes.Buffer
				if err := f.write(&out, b); err != nil {
					t.Fatal(err)
				}
				back, err := f.read(bytes.NewReader(out.Bytes()))
				if err != nil {
					t.Fatalf("%v\n%s", err, out.Bytes())
				}
				if diff := gocmp.Diff(canonical(b), canonical(back), cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("(-written +read)\n%s\n%s", diff, out.Bytes())
				}
				shuffled := *b
				shuffled.Packages, shuffled.Files, shuffled.Relations = slices.Clone(b.Packages), slices.Clone(b.Files), slices.Clone(b.Relations)
				slices.Reverse(shuffled.Packages)
				slices.Reverse(shuffled.Files)
				slices.Reverse(shuffled.Relations)
				if err := f.write(&again, &shuffled); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(out.Bytes(), again.Bytes()) {
					t.Fatalf("order matters:\n%s", gocmp.Diff(out.String(), again.String()))
				}
			})
		})
	}
}
