package cyclonedx

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/seaworthy-dev/seaworthy"
)

// text draws strings as hostile as file names and maintainers' fields are.
func text() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[a-zA-Z0-9 ._-]{0,12}`),
		rapid.String(),
		rapid.SampledFrom([]string{
			"", "\x00\x01\x1b[31m", "a\u202eb", "\xff\xfe", "␛[41]", "␛", "\ufffe\uffff", "a\r\nb\tc", " x ", "<&>\"']]>",
			"\u2028", "\u0085", "\u007f", "C:\\dir", "{\"a\":1}", "LicenseRef-x", "\u061c\ufeff", "é𝄞",
		}),
		rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOfN(rapid.Byte(), 0, 6).Draw(t, "raw")) }),
	)
}

func uri() *rapid.Generator[string] {
	return rapid.OneOf(rapid.StringMatching(`https://[a-z]{1,8}\.org(:[0-9]{1,4})?/[a-zA-Z0-9._~%&=?#:@/-]{0,10}`),
		rapid.SampledFrom([]string{"http://a b", "%zz", "://", "git+https://x.org/y@v1", "http://[::1]/", "http://x:99999999/", "a:b", "//"}), text())
}

func party() *rapid.Generator[seaworthy.Party] {
	return rapid.Custom(func(t *rapid.T) seaworthy.Party {
		return seaworthy.Party{
			Kind:  rapid.SampledFrom([]seaworthy.PartyKind{"", seaworthy.Person, seaworthy.Organization, seaworthy.Software}).Draw(t, "kind"),
			Name:  text().Draw(t, "name"),
			Email: rapid.OneOf(rapid.StringMatching(`[a-z]{1,5}@[a-z]{1,5}\.org`), text()).Draw(t, "email"),
			URL:   uri().Draw(t, "url"),
		}
	})
}

func expression() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom([]string{"", "MIT", "GPL-2.0", "Apache-2.0 OR MIT", "LicenseRef-x", "LicenseRef-y", "NOASSERTION", "mit", "GPL-2.0-only WITH Classpath-exception-2.0"}), text())
}

func licencesGen() *rapid.Generator[seaworthy.Licences] {
	return rapid.Custom(func(t *rapid.T) seaworthy.Licences {
		return seaworthy.Licences{Declared: expression().Draw(t, "d"), Concluded: expression().Draw(t, "c"), Found: some(t, expression(), "f")}
	})
}

func some[T any](t *rapid.T, g *rapid.Generator[T], label string) []T {
	out := rapid.SliceOfN(g, 0, 3).Draw(t, label)
	if len(out) == 0 {
		return nil
	}
	return out
}

func digest() *rapid.Generator[seaworthy.Digest] {
	return rapid.OneOf(
		rapid.Map(rapid.StringMatching(`[0-9a-f]{64}`), func(s string) seaworthy.Digest { return seaworthy.Digest("sha256:" + s) }),
		rapid.Map(rapid.StringMatching(`[0-9a-f]{56}`), func(s string) seaworthy.Digest { return seaworthy.Digest("sha224:" + s) }),
		rapid.Map(rapid.StringMatching(`[0-9a-f]{32}`), func(s string) seaworthy.Digest { return seaworthy.Digest("md5:" + s) }),
		rapid.SampledFrom([]seaworthy.Digest{"h1:abc", "sha256:00", "\xff"}),
	)
}

func evidenceGen() *rapid.Generator[seaworthy.Evidence] {
	return rapid.Custom(func(t *rapid.T) seaworthy.Evidence {
		return seaworthy.Evidence{
			Path:  "p" + text().Draw(t, "path"), // clean: no leading slash
			Layer: rapid.IntRange(0, 3).Draw(t, "layer"), DiffID: rapid.OneOf(rapid.Just(seaworthy.Digest("")), digest()).Draw(t, "diff"),
			History: text().Draw(t, "history"), By: rapid.SampledFrom([]string{"", "dpkg"}).Draw(t, "by"),
		}
	})
}

func propertyGen() *rapid.Generator[seaworthy.Property] {
	return rapid.Custom(func(t *rapid.T) seaworthy.Property {
		return seaworthy.Property{
			Name: rapid.OneOf(text(), rapid.SampledFrom([]string{
				propRole, propRelation, propProperty + "x", "seaworthy:other", keptReference + "vcs", keptReference + "website",
				keptReference + "distribution", keptVersion, keptService,
			})).Draw(t, "name"),
			Value: rapid.OneOf(text(), uri(), rapid.SampledFrom([]string{"2", "https://x.org a comment"})).Draw(t, "value"),
		}
	})
}

func packageGen() *rapid.Generator[seaworthy.Package] {
	return rapid.Custom(func(t *rapid.T) seaworthy.Package {
		p := seaworthy.Package{
			Role: rapid.SampledFrom([]seaworthy.Role{
				seaworthy.Library, seaworthy.Application, seaworthy.Container, seaworthy.Layer,
				seaworthy.OS, seaworthy.FileRole, seaworthy.Source, seaworthy.Archive, seaworthy.Install, seaworthy.Other, "odd",
			}).Draw(t, "role"),
			Ecosystem: rapid.SampledFrom([]string{"", "deb", "npm", "maven", "golang"}).Draw(t, "ecosystem"),
			Name:      rapid.OneOf(text(), rapid.SampledFrom([]string{"@a/b", "@/b", "a:b", "a:b:c", ":b", "github.com/x/y"})).Draw(t, "name"),
			Version:   text().Draw(t, "version"),
			Arch:      rapid.SampledFrom([]string{"", "amd64"}).Draw(t, "arch"),
			PURL: rapid.SampledFrom([]string{
				"", "pkg:deb/debian/libc6@2.36?arch=amd64&distro=debian-12", "pkg:npm/%40a/b@1.0.0",
				"pkg:maven/g/a@1", "pkg:golang/github.com/x/y@v1.0.0#sub", "not a purl",
			}).Draw(t, "purl"),
			Supplier: rapid.OneOf(rapid.Just(seaworthy.Party{}), party()).Draw(t, "supplier"), Originator: rapid.OneOf(rapid.Just(seaworthy.Party{}), party()).Draw(t, "originator"),
			Description: text().Draw(t, "description"), Homepage: uri().Draw(t, "homepage"), Download: uri().Draw(t, "download"),
			Licences: licencesGen().Draw(t, "licences"), Copyright: text().Draw(t, "copyright"),
			Hashes: some(t, digest(), "hashes"), HashOf: rapid.SampledFrom([]seaworthy.HashOf{"", seaworthy.HashOfModule}).Draw(t, "hashOf"),
			Source: seaworthy.Upstream{Name: text().Draw(t, "source"), Version: text().Draw(t, "sourceVersion")},
			Identifiers: some(t, rapid.SampledFrom([]seaworthy.Identifier{
				{Type: "cpe23Type", Value: "cpe:2.3:a:gnu:bash:5.2:*:*:*:*:*:*:*"},
				{Type: "cpe23Type", Value: "cpe:2.3:a:b c"},
				{Type: "cpe22Type", Value: "cpe:/a:gnu:bash:5.2"},
				{Type: "swid", Value: "tag"},
				{Category: "PERSISTENT-ID", Type: "swh", Value: "swh:1:cnt:94a9"},
				{Category: "PERSISTENT-ID", Type: "gitoid", Value: "gitoid:blob:sha1:a"},
				{Type: "gitoid", Value: "\xff", Comment: "c"},
				{Type: "odd", Value: "\x00"},
			}), "identifiers"),
			Evidence:  some(t, evidenceGen(), "evidence"),
			CoveredBy: text().Draw(t, "coveredBy"), Direct: rapid.Bool().Draw(t, "direct"),
			Scope: rapid.SampledFrom([]seaworthy.Scope{
				"", seaworthy.Runtime, seaworthy.Development, seaworthy.Build, seaworthy.Test,
				seaworthy.Optional, seaworthy.Provided,
			}).Draw(t, "scope"),
			Properties: some(t, propertyGen(), "properties"),
		}
		if rapid.Bool().Draw(t, "owns") {
			p.Files = []seaworthy.OwnedFile{{Path: text().Draw(t, "file"), Digest: digest().Draw(t, "fileDigest")}}
			p.Depends = []seaworthy.Dependency{{Name: text().Draw(t, "dep"), Range: ">= 1", Scope: seaworthy.Build, Any: []string{text().Draw(t, "any")}}}
		}
		return p
	})
}

func billGen() *rapid.Generator[*seaworthy.Bill] {
	return rapid.Custom(func(t *rapid.T) *seaworthy.Bill {
		b := &seaworthy.Bill{
			ID:   rapid.OneOf(rapid.SampledFrom([]string{"", "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79", "https://x.org/doc"}), text()).Draw(t, "id"),
			Name: text().Draw(t, "name"), Comment: text().Draw(t, "comment"),
			Context:     rapid.SampledFrom([]string{"", "build", "odd"}).Draw(t, "context"),
			DataLicence: rapid.SampledFrom([]string{"", "CC0-1.0", "x y"}).Draw(t, "dataLicence"),
			Authors:     some(t, party(), "authors"),
			Properties:  some(t, propertyGen(), "properties"),
			Packages:    rapid.SliceOfN(packageGen(), 0, 4).Draw(t, "packages"),
		}
		if rapid.Bool().Draw(t, "dated") {
			b.Created = time.Unix(rapid.Int64Range(-1e10, 1e11).Draw(t, "created"), 0).UTC()
		}
		if rapid.Bool().Draw(t, "tools") {
			b.Tools = []seaworthy.Tool{{Vendor: text().Draw(t, "vendor"), Name: text().Draw(t, "tool"), Version: text().Draw(t, "toolVersion")}}
		}
		var refs []string
		for i := range b.Packages {
			b.Packages[i].Ref = fmt.Sprintf("p%d%s", i, text().Draw(t, "ref"))
			refs = append(refs, b.Packages[i].Ref)
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "files") {
			f := seaworthy.File{
				Ref: fmt.Sprintf("f%d%s", i, text().Draw(t, "ref")), Path: text().Draw(t, "path"), Types: some(t, text(), "types"),
				Hashes: some(t, digest(), "hashes"), Licences: licencesGen().Draw(t, "licences"), Copyright: text().Draw(t, "copyright"),
				Comment: text().Draw(t, "comment"), Evidence: some(t, evidenceGen(), "evidence"),
			}
			b.Files = append(b.Files, f)
			refs = append(refs, f.Ref)
		}
		anyRef := rapid.SampledFrom(append([]string{seaworthy.DocumentRef, "dangling", "", "urn:cdx:x/1#y", "\xff"}, refs...))
		b.Roots = some(t, anyRef, "roots")
		for range rapid.IntRange(0, 6).Draw(t, "relations") {
			b.Relations = append(b.Relations, seaworthy.Relation{
				From: anyRef.Draw(t, "from"), To: anyRef.Draw(t, "to"),
				Type:    rapid.SampledFrom([]seaworthy.RelationType{seaworthy.DependsOn, seaworthy.Contains, seaworthy.CoveredBy, "PROVIDES", "ODD", "\xff"}).Draw(t, "type"),
				Scope:   rapid.SampledFrom([]seaworthy.Scope{"", "", seaworthy.Test}).Draw(t, "scope"),
				Comment: rapid.OneOf(rapid.Just(""), text()).Draw(t, "comment"),
			})
		}
		for i, id := range some(t, rapid.SampledFrom([]string{"LicenseRef-x", "LicenseRef-y", "LicenseRef-z", "\xff"}), "texts") {
			b.Licences = append(b.Licences, seaworthy.LicenceText{
				ID: id, Name: fmt.Sprint(i, text().Draw(t, "textName")), Text: text().Draw(t, "text"), URLs: some(t, uri(), "urls"), Comment: text().Draw(t, "textComment"),
			})
		}
		for range rapid.IntRange(0, 2).Draw(t, "notes") {
			n := seaworthy.Note{Ref: anyRef.Draw(t, "noteRef"), By: party().Draw(t, "by"), Kind: rapid.SampledFrom([]string{"", "OTHER"}).Draw(t, "kind"), Text: text().Draw(t, "noteText")}
			if rapid.Bool().Draw(t, "noteDated") {
				n.At = time.Unix(rapid.Int64Range(0, 1e9).Draw(t, "at"), 5).UTC()
			}
			b.Notes = append(b.Notes, n)
		}
		return b
	})
}

// normal is the order a bill has when it is read, without what is not written.
func normal(b *seaworthy.Bill) *seaworthy.Bill {
	c := *b
	c.Format, c.Problems = "", nil
	c.Packages, c.Files, c.Relations, c.Licences = slices.Clone(b.Packages), slices.Clone(b.Files), slices.Clone(b.Relations), slices.Clone(b.Licences)
	slices.SortFunc(c.Packages, func(a, b seaworthy.Package) int { return cmp.Compare(a.Ref, b.Ref) })
	slices.SortFunc(c.Files, func(a, b seaworthy.File) int { return cmp.Compare(a.Ref, b.Ref) })
	slices.SortFunc(c.Relations, compareRelations)
	c.Relations = slices.Compact(c.Relations)
	slices.SortFunc(c.Licences, func(a, b seaworthy.LicenceText) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name))
	})
	return &c
}

func diff(want, got *seaworthy.Bill) string {
	return gocmp.Diff(normal(want), normal(got), cmpopts.EquateEmpty())
}

func writeJSON(t tester, b *seaworthy.Bill) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := WriteJSON(&out, b); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func writeXML(t tester, b *seaworthy.Bill) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := WriteXML(&out, b); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func readJSON(t tester, doc []byte) *seaworthy.Bill {
	t.Helper()
	b, err := ReadJSON(bytes.NewReader(doc), Limits{})
	if err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	return b
}

func readXML(t tester, doc []byte) *seaworthy.Bill {
	t.Helper()
	b, err := ReadXML(bytes.NewReader(doc), Limits{})
	if err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	return b
}

func TestRoundTripJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := billGen().Draw(t, "bill")
		doc := writeJSON(t, b)
		if d := diff(b, readJSON(t, doc)); d != "" {
			t.Fatalf("-written +read:\n%s\n%s", d, doc)
		}
	})
}

func TestRoundTripXML(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := billGen().Draw(t, "bill")
		doc := writeXML(t, b)
		if d := diff(b, readXML(t, doc)); d != "" {
			t.Fatalf("-written +read:\n%s\n%s", d, doc)
		}
	})
}

func TestRoundTripJSONToXML(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := billGen().Draw(t, "bill")
		first := writeJSON(t, b)
		back := readXML(t, writeXML(t, readJSON(t, first)))
		if d := diff(b, back); d != "" {
			t.Fatalf("-written +read:\n%s", d)
		}
		if again := writeJSON(t, back); !bytes.Equal(first, again) {
			t.Fatalf("JSON differs after a way through XML:\n%s\n%s", first, again)
		}
	})
}

// The order in which a bill lists things does not show in what is written.
func TestWriteIsIndependentOfOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := billGen().Draw(t, "bill")
		shuffled := *b
		shuffled.Packages = rapid.Permutation(b.Packages).Draw(t, "packages")
		shuffled.Relations = rapid.Permutation(b.Relations).Draw(t, "relations")
		if !bytes.Equal(writeJSON(t, b), writeJSON(t, &shuffled)) {
			t.Fatal("JSON differs")
		}
		if !bytes.Equal(writeXML(t, b), writeXML(t, &shuffled)) {
			t.Fatal("XML differs")
		}
	})
}
