package spdx_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/tagvalue"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/spdx"
)

const head = `"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","dataLicense":"CC0-1.0","name":"n","documentNamespace":"https://example.org/n",` +
	`"creationInfo":{"created":"2024-01-02T03:04:05Z","creators":["Tool: x-1.0"]}`

func TestInverseRelationships(t *testing.T) {
	for typ, want := range map[string]seaworthy.Relation{
		"CONTAINED_BY":           {From: "SPDXRef-b", Type: seaworthy.Contains, To: "SPDXRef-a"},
		"DEPENDENCY_OF":          {From: "SPDXRef-b", Type: seaworthy.DependsOn, To: "SPDXRef-a"},
		"RUNTIME_DEPENDENCY_OF":  {From: "SPDXRef-b", Type: seaworthy.DependsOn, To: "SPDXRef-a", Scope: seaworthy.Runtime},
		"DEV_DEPENDENCY_OF":      {From: "SPDXRef-b", Type: seaworthy.DependsOn, To: "SPDXRef-a", Scope: seaworthy.Development},
		"BUILD_DEPENDENCY_OF":    {From: "SPDXRef-b", Type: seaworthy.DependsOn, To: "SPDXRef-a", Scope: seaworthy.Build},
		"TEST_DEPENDENCY_OF":     {From: "SPDXRef-b", Type: seaworthy.DependsOn, To: "SPDXRef-a", Scope: seaworthy.Test},
		"OPTIONAL_DEPENDENCY_OF": {From: "SPDXRef-b", Type: seaworthy.DependsOn, To: "SPDXRef-a", Scope: seaworthy.Optional},
		"PROVIDED_DEPENDENCY_OF": {From: "SPDXRef-b", Type: seaworthy.DependsOn, To: "SPDXRef-a", Scope: seaworthy.Provided},
		"GENERATES":              {From: "SPDXRef-b", Type: seaworthy.GeneratedFrom, To: "SPDXRef-a"},
		"ANCESTOR_OF":            {From: "SPDXRef-b", Type: seaworthy.DescendantOf, To: "SPDXRef-a"},
		"VARIANT_OF":             {From: "SPDXRef-a", Type: seaworthy.VariantOf, To: "SPDXRef-b"},
		"STATIC_LINK":            {From: "SPDXRef-a", Type: "STATIC_LINK", To: "SPDXRef-b"},
		"SOMETHING_NEW":          {From: "SPDXRef-a", Type: "SOMETHING_NEW", To: "SPDXRef-b"},
	} {
		t.Run(typ, func(t *testing.T) {
			body := fmt.Sprintf(`{%s,"relationships":[{"spdxElementId":"SPDXRef-a","relationshipType":%q,"relatedSpdxElement":"SPDXRef-b"},`+
				`{"spdxElementId":"SPDXRef-a","relationshipType":"DESCRIBED_BY","relatedSpdxElement":"SPDXRef-DOCUMENT"}],`+
				`"packages":[{"SPDXID":"SPDXRef-a","name":"a","downloadLocation":"NONE"},{"SPDXID":"SPDXRef-b","name":"b","downloadLocation":"NONE"}]}`, head, typ)
			b, err := spdx.ReadJSON(strings.NewReader(body), spdx.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if len(b.Relations) != 1 || b.Relations[0] != want || len(b.Roots) != 1 || b.Roots[0] != "SPDXRef-a" || len(b.Problems) != 0 {
				t.Errorf("%+v %v %v", b.Relations, b.Roots, b.Problems)
			}
		})
	}
}

// TestTolerates reads documents that err: each has one problem more, and nothing is lost.
func TestTolerates(t *testing.T) {
	pkg := func(id, more string) string {
		return fmt.Sprintf(`{"SPDXID":%q,"name":"p","downloadLocation":"NOASSERTION"%s}`, id, more)
	}
	rel := func(from, to string) string {
		return fmt.Sprintf(`{"spdxElementId":%q,"relationshipType":"DEPENDS_ON","relatedSpdxElement":%q}`, from, to)
	}
	for name, c := range map[string]struct {
		packages, relations         string
		wantPackages, wantRelations int
		problem                     string
	}{
		"dangling":       {pkg("SPDXRef-a", ""), rel("SPDXRef-a", "SPDXRef-gone"), 1, 1, `"SPDXRef-gone", which is not in the document`},
		"self":           {pkg("SPDXRef-a", ""), rel("SPDXRef-a", "SPDXRef-a"), 1, 1, "related to itself"},
		"twice":          {pkg("SPDXRef-a", "") + "," + pkg("SPDXRef-a", ""), "", 2, 0, "more than once"},
		"cycle":          {pkg("SPDXRef-a", "") + "," + pkg("SPDXRef-b", ""), rel("SPDXRef-a", "SPDXRef-b") + "," + rel("SPDXRef-b", "SPDXRef-a"), 2, 2, "cycle of dependsOn"},
		"licence":        {pkg("SPDXRef-a", `,"licenseDeclared":"my own (licence"`), "", 1, 0, "not an SPDX licence expression"},
		"wrong type":     {pkg("SPDXRef-a", `,"versionInfo":1.0`), "", 1, 0, "wrong type"},
		"unknown member": {pkg("SPDXRef-a", `,"extra":true`), "", 1, 0, "does not know"},
		"checksum":       {pkg("SPDXRef-a", `,"checksums":[{"algorithm":"SHA256","checksumValue":"abc"}]`), "", 1, 0, "has 3 digits"},
		"null":           {"null," + pkg("SPDXRef-a", ""), "", 1, 0, "null"},
		"no id":          {`{"name":"p"}`, "", 1, 0, "no identifier"},
		"bad facet":      {pkg("SPDXRef-a", `,"annotations":[{"annotator":"Tool: x","annotationDate":"2024-01-02T03:04:05Z","annotationType":"OTHER","comment":"seaworthy:package {\"name\":1}"}]`), "", 1, 0, "annotation of ours"},
	} {
		t.Run(name, func(t *testing.T) {
			body := fmt.Sprintf(`{%s,"packages":[%s],"relationships":[%s]}`, head, c.packages, c.relations)
			b, err := spdx.ReadJSON(strings.NewReader(body), spdx.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if len(b.Packages) != c.wantPackages || len(b.Relations) != c.wantRelations {
				t.Errorf("%d packages, %d relations", len(b.Packages), len(b.Relations))
			}
			if len(b.Problems) != 1 || !strings.Contains(b.Problems[0].Detail, c.problem) {
				t.Errorf("problems %v, want one with %q", b.Problems, c.problem)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for name, c := range map[string]struct {
		body   string
		limits spdx.Limits
		code   seaworthy.Code
	}{
		"empty":         {"", spdx.Limits{}, seaworthy.Invalid},
		"no version":    {"{}", spdx.Limits{}, seaworthy.Invalid},
		"version 3":     {`{"spdxVersion":"SPDX-3.0"}`, spdx.Limits{}, seaworthy.Unsupported},
		"cut":           {`{` + head + `,"packages":[{"name":`, spdx.Limits{}, seaworthy.Invalid},
		"deep":          {`{` + head + `,"odd":` + nested(20000) + `}`, spdx.Limits{}, seaworthy.Invalid},
		"long element":  {`{` + head + `,"comment":"` + strings.Repeat("x", 1<<20) + `"}`, spdx.Limits{Element: 1 << 16}, seaworthy.TooLarge},
		"long document": {`{` + head + `,"comment":"` + strings.Repeat("x", 1<<20) + `"}`, spdx.Limits{Bytes: 1 << 16}, seaworthy.TooLarge},
		"many elements": {`{` + head + `,"packages":[{},{},{}]}`, spdx.Limits{Elements: 2}, seaworthy.TooLarge},
		"many edges":    {`{` + head + `,"packages":[{"hasFiles":["a","b","c"]}]}`, spdx.Limits{Relations: 2}, seaworthy.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := spdx.ReadJSON(strings.NewReader(c.body), c.limits)
			if seaworthy.CodeOf(err) != c.code {
				t.Errorf("%v, want %s", err, c.code)
			}
		})
	}
	for name, c := range map[string]struct {
		body   string
		limits spdx.Limits
		code   seaworthy.Code
	}{
		"empty":     {"", spdx.Limits{}, seaworthy.Invalid},
		"open text": {"SPDXVersion: SPDX-2.3\nDocumentComment: <text>never\nends", spdx.Limits{}, seaworthy.Invalid},
		"long line": {"SPDXVersion: " + strings.Repeat("x", 1<<20), spdx.Limits{Element: 1 << 16}, seaworthy.TooLarge},
		"many":      {"SPDXVersion: SPDX-2.3\n" + strings.Repeat("PackageName: x\n", 9), spdx.Limits{Elements: 2}, seaworthy.TooLarge},
	} {
		t.Run("tag-value "+name, func(t *testing.T) {
			_, err := spdx.ReadTagValue(strings.NewReader(c.body), c.limits)
			if seaworthy.CodeOf(err) != c.code {
				t.Errorf("%v, want %s", err, c.code)
			}
		})
	}
}

// TestHostileNames: nothing in a name becomes another tag, and the second reader sees the same number of things.
func TestHostileNames(t *testing.T) {
	for _, name := range []string{
		"a\nPackageName: injected", "a</text>\nPackageName: injected", "<text>a", "a\r\nRelationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-x",
		"\u202etxt.exe", "a\x00b\x1b[31m", "a\u2028PackageName: injected", " # a ",
	} {
		b := &seaworthy.Bill{
			ID: "https://example.org/n", Name: name, Comment: name, Roots: []string{"a"},
			Packages:  []seaworthy.Package{{Ref: "a", Name: name, Version: name, Description: name, Copyright: name, Licences: seaworthy.Licences{Declared: name}, Download: name}},
			Files:     []seaworthy.File{{Ref: name, Path: name, Comment: name}},
			Relations: []seaworthy.Relation{{From: "a", Type: seaworthy.Contains, To: name, Comment: name}},
		}
		var tags, doc bytes.Buffer
		if err := spdx.WriteTagValue(&tags, b); err != nil {
			t.Fatal(err)
		}
		if bytes.ContainsAny(tags.Bytes(), "\x00\x1b\r\u202e\u2028") {
			t.Errorf("%q: raw control characters", name)
		}
		second, err := tagvalue.Read(bytes.NewReader(tags.Bytes()))
		if err != nil || len(second.Packages) != 1 || len(second.Relationships) != 2 {
			t.Errorf("%q: the second reader: %v\n%s", name, err, tags.Bytes())
		}
		back, err := spdx.ReadTagValue(bytes.NewReader(tags.Bytes()), spdx.Limits{})
		if err != nil || len(back.Packages) != 1 || back.Packages[0].Name != name || back.Files[0].Path != name || back.Comment != name {
			t.Errorf("%q: %v %+v", name, err, back)
		}
		if err := spdx.WriteJSON(&doc, b); err != nil {
			t.Fatal(err)
		}
		if bytes.ContainsAny(doc.Bytes(), "\x00\x1b\r\u202e\u2028") {
			t.Errorf("%q: raw control characters in JSON", name)
		}
		validate(t, doc.Bytes())
		if other, err := spdxjson.Read(bytes.NewReader(doc.Bytes())); err != nil || other.Packages[0].PackageName != name {
			t.Errorf("%q: the second reader: %v", name, err)
		}
	}
}

// TestLargeDocument reads 200,000 packages in a chain, and a string of 10 MB.
func TestLargeDocument(t *testing.T) {
	r, w := io.Pipe()
	const n = 200_000
	go func() {
		fmt.Fprintf(w, `{%s,"comment":"%s","packages":[`, head, strings.Repeat("x", 10<<20))
		for i := range n {
			fmt.Fprintf(w, `{"SPDXID":"SPDXRef-%d","name":"p","downloadLocation":"NONE"},`, i)
		}
		fmt.Fprint(w, `{"SPDXID":"SPDXRef-last","name":"p"}],"relationships":[`)
		for i := range n {
			fmt.Fprintf(w, `{"spdxElementId":"SPDXRef-%d","relationshipType":"DEPENDS_ON","relatedSpdxElement":"SPDXRef-%d"},`, i, (i+1)%n)
		}
		fmt.Fprint(w, `{"spdxElementId":"SPDXRef-0","relationshipType":"CONTAINS","relatedSpdxElement":"SPDXRef-last"}]}`)
		w.Close()
	}()
	b, err := spdx.ReadJSON(r, spdx.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Packages) != n+1 || len(b.Relations) != n+1 || len(b.Comment) != 10<<20 {
		t.Errorf("%d packages, %d relations, %d bytes of comment", len(b.Packages), len(b.Relations), len(b.Comment))
	}
	if len(b.Problems) != 1 || !strings.Contains(b.Problems[0].Detail, "200000 elements are in a cycle") {
		t.Errorf("%v", b.Problems)
	}
}
