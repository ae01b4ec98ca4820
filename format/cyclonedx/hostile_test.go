package cyclonedx

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

const jsonHead = `{"bomFormat":"CycloneDX","specVersion":"1.5",`

func TestOddJSON(t *testing.T) {
	for name, c := range map[string]struct {
		doc      string
		packages int
		problem  string // part of a Problem's detail; "" for none
	}{
		"duplicate refs":    {`"components":[{"type":"library","name":"a","bom-ref":"x"},{"type":"library","name":"b","bom-ref":"x"}]}`, 2, "bom-ref used again"},
		"no refs, twins":    {`"components":[{"type":"library","name":"a"},{"type":"library","name":"a"}]}`, 2, ""},
		"dangling":          {`"components":[{"type":"library","name":"a","bom-ref":"x"}],"dependencies":[{"ref":"x","dependsOn":["y"]}]}`, 1, `not in the document: "y"`},
		"BOM-Link":          {`"components":[{"type":"library","name":"a","bom-ref":"x"}],"dependencies":[{"ref":"x","dependsOn":["urn:cdx:f/1#y"]}]}`, 1, ""},
		"self edge":         {`"components":[{"type":"library","name":"a","bom-ref":"x"}],"dependencies":[{"ref":"x","dependsOn":["x"]}]}`, 1, "relation of a component with itself"},
		"cycle":             {`"components":[{"name":"a","bom-ref":"a"},{"name":"b","bom-ref":"b"}],"dependencies":[{"ref":"a","dependsOn":["b"]},{"ref":"b","dependsOn":["a"]}]}`, 2, "cycles: \"a\" (the first of 2)"},
		"duplicate key":     {`"components":[{"type":"library","name":"a","name":"b"}]}`, 1, `used again in one object; the last one counts: "name"`},
		"inner duplicate":   {`"components":[{"name":"a","supplier":{"name":"x","name":"y"}}]}`, 1, "used again"},
		"wrong type":        {`"components":[{"type":"library","name":"a","version":1.0}]}`, 1, `not of its type; left out: "version"`},
		"component a word":  {`"components":["x",{"name":"a"},3,null]}`, 1, "not of its type"},
		"components object": {`"components":{}}`, 0, "not of its type"},
		"bad purl":          {`"components":[{"name":"a","purl":"pkg:x"}]}`, 1, "package URL is not valid"},
		"bad hash":          {`"components":[{"name":"a","hashes":[{"alg":"CRC","content":"1"}]}]}`, 1, `"CRC:1"`},
		"vulnerabilities":   {`"vulnerabilities":[{"id":"CVE-1"},{"id":"CVE-2"}]}`, 0, "vulnerability is not represented (the first of 2)"},
		"compositions":      {`"compositions":[{"aggregate":"complete"}]}`, 0, "composition is not represented"},
		"pedigree":          {`"components":[{"name":"a","pedigree":{"notes":"x"}}]}`, 1, `"pedigree"`},
		"services":          {`"services":[{"name":"s","services":[{"name":"t"}]}]}`, 2, ""},
		"nested root":       {`"metadata":{"component":{"name":"r","components":[{"name":"a"}]}}}`, 2, ""},
		"bad time":          {`"metadata":{"timestamp":"yesterday"}}`, 0, `"yesterday"`},
		"version 1.9":       {`"specVersion":"1.9"}`, 0, "read as 1.7"},
	} {
		b, err := ReadJSON(strings.NewReader(jsonHead+c.doc), Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(b.Packages) != c.packages {
			t.Errorf("%s: %d packages, want %d", name, len(b.Packages), c.packages)
		}
		seen := make(map[string]bool)
		for _, p := range b.Packages {
			if p.Ref == "" || seen[p.Ref] {
				t.Errorf("%s: Ref %q is empty or used again", name, p.Ref)
			}
			seen[p.Ref] = true
		}
		if c.problem == "" && len(b.Problems) != 0 {
			t.Errorf("%s: problems %v", name, b.Problems)
		}
		if !strings.Contains(fmt.Sprint(b.Problems), c.problem) {
			t.Errorf("%s: problems %v, want %q", name, b.Problems, c.problem)
		}
	}
}

func TestRefused(t *testing.T) {
	const xmlHead = `<bom xmlns="http://cyclonedx.org/schema/bom/1.5">`
	for name, c := range map[string]struct {
		doc    string
		limits Limits
		code   seaworthy.Code
	}{
		"empty":              {"", Limits{}, seaworthy.Invalid},
		"not CycloneDX":      {`{"a":1}`, Limits{}, seaworthy.Invalid},
		"array":              {`[]`, Limits{}, seaworthy.Invalid},
		"cut":                {jsonHead + `"components":[{"name":"a"},`, Limits{}, seaworthy.Invalid},
		"more after":         {jsonHead + `"version":1}{}`, Limits{}, seaworthy.Invalid},
		"version 2":          {`{"bomFormat":"CycloneDX","specVersion":"2.0"}`, Limits{}, seaworthy.Unsupported},
		"bytes":              {jsonHead + `"version":1}`, Limits{MaxBytes: 20}, seaworthy.TooLarge},
		"elements":           {jsonHead + `"components":[{},{},{}]}`, Limits{MaxElements: 2}, seaworthy.TooLarge},
		"relations":          {jsonHead + `"dependencies":[{"ref":"a","dependsOn":["b","c"]}]}`, Limits{MaxRelations: 1}, seaworthy.TooLarge},
		"deep JSON":          {jsonHead + strings.Repeat(`"components":[{`, 20000), Limits{}, seaworthy.TooLarge},
		"deep JSON value":    {jsonHead + `"x":` + strings.Repeat(`[`, 20000), Limits{}, seaworthy.Invalid},
		"XML bytes":          {xmlHead + `</bom>`, Limits{MaxBytes: 20}, seaworthy.TooLarge},
		"XML cut":            {xmlHead + `<components>`, Limits{}, seaworthy.Invalid},
		"XML more after":     {xmlHead + `</bom><bom/>`, Limits{}, seaworthy.Invalid},
		"XML other root":     {`<a/>`, Limits{}, seaworthy.Invalid},
		"XML version 2":      {`<bom xmlns="http://cyclonedx.org/schema/bom/2.0"/>`, Limits{}, seaworthy.Unsupported},
		"deep XML":           {xmlHead + strings.Repeat(`<components><component>`, 20000), Limits{}, seaworthy.TooLarge},
		"deep XML elsewhere": {xmlHead + strings.Repeat(`<x>`, 20000), Limits{}, seaworthy.TooLarge},
		"deep dependencies":  {xmlHead + `<dependencies>` + strings.Repeat(`<dependency ref="a">`, 20000), Limits{}, seaworthy.TooLarge},
		"document type":      {`<!DOCTYPE bom [<!ENTITY a "b">]>` + xmlHead + `</bom>`, Limits{}, seaworthy.Invalid},
		"external entity":    {`<!DOCTYPE bom [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + xmlHead + `<components><component type="library"><name>&a;</name></component></components></bom>`, Limits{}, seaworthy.Invalid},
		"unknown entity":     {xmlHead + `<components><component type="library"><name>&a;</name></component></components></bom>`, Limits{}, seaworthy.Invalid},
	} {
		read := ReadJSON
		if strings.HasPrefix(c.doc, "<") {
			read = ReadXML
		}
		b, err := read(strings.NewReader(c.doc), c.limits)
		if seaworthy.CodeOf(err) != c.code || b != nil {
			t.Errorf("%s: %v (%s), want %s", name, err, seaworthy.CodeOf(err), c.code)
		}
	}
}

// Components nested as deep as the format's own limit allows are all read, each held by the one around it.
func TestDeepNesting(t *testing.T) {
	const depth = 4000
	doc := jsonHead + strings.Repeat(`"components":[{"type":"library","name":"a",`, depth) + `"version":"1"` + strings.Repeat("}]", depth) + "}"
	b := readJSON(t, []byte(doc))
	if len(b.Packages) != depth || len(b.Relations) != depth-1 {
		t.Errorf("%d packages, %d relations", len(b.Packages), len(b.Relations))
	}
	x := `<bom xmlns="http://cyclonedx.org/schema/bom/1.5">` + strings.Repeat(`<components><component type="library"><name>a</name>`, depth) +
		strings.Repeat(`</component></components>`, depth) + `</bom>`
	if b := readXML(t, []byte(x)); len(b.Packages) != depth || len(b.Relations) != depth-1 {
		t.Errorf("%d packages, %d relations", len(b.Packages), len(b.Relations))
	}
}

func TestLongStrings(t *testing.T) {
	long := strings.Repeat("x", 10<<20)
	b := &seaworthy.Bill{Packages: []seaworthy.Package{{Ref: "a", Role: seaworthy.Library, Name: long, Version: long, Description: long}}}
	if d := diff(b, readJSON(t, writeJSON(t, b))); d != "" {
		t.Error("JSON differs")
	}
	if d := diff(b, readXML(t, writeXML(t, b))); d != "" {
		t.Error("XML differs")
	}
}

// Many equal names and hostile graphs take linear time: this test is about not hanging.
func TestManyComponents(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	var doc bytes.Buffer
	doc.WriteString(jsonHead + `"components":[`)
	for i := range n {
		if i > 0 {
			doc.WriteByte(',')
		}
		doc.WriteString(`{"type":"library","name":"a","bom-ref":"x"}`)
	}
	doc.WriteString(`],"dependencies":[`)
	for i := range n - 1 {
		fmt.Fprintf(&doc, `{"ref":"x#%d","dependsOn":["x#%d","x"]},`, i+2, i+3)
	}
	doc.WriteString(`{"ref":"x","dependsOn":["x#2"]}]}`)
	b, err := ReadJSON(&doc, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Packages) != n || len(b.Problems) > int(problemKinds) {
		t.Fatalf("%d packages, %d problems", len(b.Packages), len(b.Problems))
	}
	if err := WriteJSON(io.Discard, b); err != nil {
		t.Fatal(err)
	}
}

// What steers a terminal or the direction of text is not in the output as it is.
func TestSteeringIsEscaped(t *testing.T) {
	name := "a\u202eb\u009b\x1b\x7f\u200f\u2066\ufeffc"
	b := &seaworthy.Bill{Packages: []seaworthy.Package{{Ref: "r", Role: seaworthy.Library, Name: name}}}
	for _, doc := range [][]byte{writeJSON(t, b), writeXML(t, b)} {
		for _, r := range string(doc) {
			if steering(r) || (r < ' ' && r != '\n') {
				t.Errorf("%U in %s", r, doc)
			}
		}
	}
	// However the bytes are cut.
	var whole, parts bytes.Buffer
	_, _ = (&visibleWriter{w: &whole}).Write([]byte(name))
	v := &visibleWriter{w: &parts}
	for _, c := range []byte(name) {
		_, _ = v.Write([]byte{c})
	}
	if whole.String() != parts.String() || !strings.Contains(whole.String(), `\u202e`) {
		t.Errorf("%q in parts is %q", whole.String(), parts.String())
	}
}

func TestSniff(t *testing.T) {
	b := &seaworthy.Bill{}
	for name, c := range map[string]struct {
		head      string
		json, xml bool
	}{
		"JSON":     {string(writeJSON(t, b)), true, false},
		"XML":      {string(writeXML(t, b)), false, true},
		"BOM":      {"\xef\xbb\xbf " + string(writeJSON(t, b)), true, false},
		"prefixed": {`<?xml version="1.0"?><b:bom xmlns:b="http://cyclonedx.org/schema/bom/1.3">`, false, true},
		"SPDX":     {`{"spdxVersion":"SPDX-2.3"}`, false, false},
		"other":    {`<html>`, false, false},
		"empty":    {``, false, false},
	} {
		if json, xml := Sniff([]byte(c.head)); json != c.json || xml != c.xml {
			t.Errorf("%s: %v %v", name, json, xml)
		}
	}
}

func TestLicenceSpellings(t *testing.T) {
	doc := jsonHead + `"components":[
		{"name":"a","licenses":[{"license":{"id":"MIT","acknowledgement":"declared"}},{"license":{"id":"ISC","acknowledgement":"concluded"}}]},
		{"name":"b","licenses":[{"expression":"A OR B"},{"license":{"id":"MIT"}}]},
		{"name":"c","licenses":[{"license":{"name":"My own!","text":{"encoding":"base64","content":"aGVsbG8="},"url":"https://x.org"}}]}]}`
	b := readJSON(t, []byte(doc))
	if l := b.Packages[0].Licences; l.Declared != "MIT" || l.Concluded != "ISC" {
		t.Errorf("%+v", l)
	}
	if l := b.Packages[1].Licences; l.Declared != "(A OR B) AND MIT" {
		t.Errorf("%+v", l)
	}
	l := b.Packages[2].Licences.Declared
	if !licenseRef(l) || len(b.Licences) != 1 || b.Licences[0].ID != l || b.Licences[0].Text != "hello" || b.Licences[0].Name != "My own!" || b.Licences[0].URLs[0] != "https://x.org" {
		t.Errorf("%q %+v", l, b.Licences)
	}
}

func TestSerialNumber(t *testing.T) {
	for id, want := range map[string]string{
		"": "", "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
		// python3 -c 'import uuid; print(uuid.uuid5(uuid.NAMESPACE_URL, "https://x.org/doc"))'
		"https://x.org/doc": "urn:uuid:9abafc6b-7fc7-5175-803c-3617d5068f27",
	} {
		if got := serialNumber(id); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}

func fuzzSeeds(f *testing.F, write func(tester, *seaworthy.Bill) []byte) {
	g := billGen()
	for i := range 12 {
		f.Add(write(f, g.Example(i)))
	}
}

func FuzzReadJSON(f *testing.F) {
	fuzzSeeds(f, writeJSON)
	f.Add([]byte(jsonHead + `"metadata":{"tools":[{"name":"t"}],"component":{"components":[{"name":"x"}]}},"services":[{"name":"s"}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		b, err := ReadJSON(bytes.NewReader(doc), Limits{})
		if err != nil {
			if b != nil || seaworthy.CodeOf(err) == seaworthy.Internal {
				t.Fatalf("%v beside an error: %v", b, err)
			}
			return
		}
		settles(t, b)
	})
}

func FuzzReadXML(f *testing.F) {
	fuzzSeeds(f, writeXML)
	f.Add([]byte(`<bom xmlns="http://cyclonedx.org/schema/bom/1.2"><metadata><tools><tool><name>t</name></tool></tools></metadata><dependencies><dependency ref="a"><dependency ref="b"/></dependency></dependencies></bom>`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		b, err := ReadXML(bytes.NewReader(doc), Limits{})
		if err != nil {
			if b != nil || seaworthy.CodeOf(err) == seaworthy.Internal {
				t.Fatalf("%v beside an error: %v", b, err)
			}
			return
		}
		settles(t, b)
	})
}

// settles checks that what was read from any document is written and read again without a change, in both
// formats.
func settles(t *testing.T, b *seaworthy.Bill) {
	first := writeJSON(t, b)
	if again := writeJSON(t, readJSON(t, first)); !bytes.Equal(first, again) {
		t.Fatalf("JSON does not settle:\n%s\n%s", first, again)
	}
	if again := writeJSON(t, readXML(t, writeXML(t, b))); !bytes.Equal(first, again) {
		t.Fatalf("JSON differs after a way through XML:\n%s\n%s", first, again)
	}
}
