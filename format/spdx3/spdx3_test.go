package spdx3_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/spdx"
	"github.com/seaworthy-dev/seaworthy/format/spdx3"
)

const shared = "../../../shared/data/"

func sharedFile(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.FromSlash(shared + name))
	if os.IsNotExist(err) {
		t.Skipf("SKIPPED: the shared data %s is not here, so this is not tested", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func image() *seaworthy.Bill {
	layer := seaworthy.SHA256([]byte("layer"))
	return &seaworthy.Bill{
		ID: "https://example.org/spdx/app-1", Name: "app", Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Context: "post-build",
		Authors: []seaworthy.Party{{Kind: seaworthy.Person, Name: "Jane", Email: "jane@example.org"}},
		Tools:   []seaworthy.Tool{{Vendor: "seaworthy-dev", Name: "seaworthy", Version: "1.0"}},
		Roots:   []string{"image"},
		Packages: []seaworthy.Package{
			{Ref: "image", Role: seaworthy.Container, Name: "app", PURL: "pkg:oci/app@sha256:abc"},
			{Ref: "layer", Role: seaworthy.Layer, Name: string(layer), PURL: "pkg:oci/layer@" + string(layer), Hashes: []seaworthy.Digest{layer}},
			{
				Ref: "libc6", Ecosystem: "deb", Name: "libc6", Version: "2.36-9", Arch: "amd64", PURL: "pkg:deb/debian/libc6@2.36-9?arch=amd64",
				Supplier: seaworthy.Party{Kind: seaworthy.Organization, Name: "Debian", URL: "https://debian.org"},
				Licences: seaworthy.Licences{Declared: "LGPL-2.1-or-later AND LicenseRef-x", Concluded: "NONE"},
				Source:   seaworthy.Upstream{Name: "glibc"}, Evidence: []seaworthy.Evidence{{Path: "var/lib/dpkg/status", DiffID: layer, By: "dpkg"}},
				Identifiers: []seaworthy.Identifier{{Type: "cpe23Type", Value: "cpe:2.3:a:gnu:glibc:2.36:*:*:*:*:*:*:*"}},
			},
		},
		Files: []seaworthy.File{{Ref: "file", Path: "lib/libc.so.6", Types: []string{"BINARY"}, Hashes: []seaworthy.Digest{seaworthy.SHA256(nil)}}},
		Relations: []seaworthy.Relation{
			{From: "image", Type: seaworthy.Contains, To: "layer"},
			{From: "layer", Type: seaworthy.Contains, To: "libc6"},
			{From: "libc6", Type: seaworthy.Contains, To: "file"},
			{From: "image", Type: seaworthy.DependsOn, To: "libc6", Scope: seaworthy.Build},
			{From: "libc6", Type: seaworthy.EvidentBy, To: "file"},
			{From: "libc6", Type: "STATIC_LINK", To: "nowhere"},
			{From: "image", Type: seaworthy.DependsOn, To: "libc6", Scope: seaworthy.Optional},
			{From: "file", Type: "odd", To: "NONE"},
		},
		Licences: []seaworthy.LicenceText{{ID: "LicenseRef-x", Name: "X", Text: "text", URLs: []string{"https://x.example"}}},
		Notes:    []seaworthy.Note{{Ref: "libc6", By: seaworthy.Party{Kind: seaworthy.Person, Name: "Jo"}, At: time.Unix(1e9, 0).UTC(), Kind: "REVIEW", Text: "fine"}},
	}
}

// iriPattern is a pattern of the schema that Go's regular expressions cannot say.
const iriPattern = `^(?!_:).+:.+`

type iriRegexp struct{}

func (iriRegexp) String() string { return iriPattern }

func (iriRegexp) MatchString(s string) bool {
	return !strings.HasPrefix(s, "_:") && regexp.MustCompile(`^.+:.+`).MatchString(s)
}

func validate(t *testing.T, document []byte) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(sharedFile(t, "schemas/spdx-3.0.1.schema.json")))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.UseRegexpEngine(func(s string) (jsonschema.Regexp, error) {
		if s == iriPattern {
			return iriRegexp{}, nil
		}
		return regexp.Compile(s)
	})
	if err := c.AddResource("spdx3.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("spdx3.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(v); err != nil {
		t.Errorf("not valid SPDX 3.0.1: %.2000v", err)
	}
}

func TestWritesValidDocuments(t *testing.T) {
	for name, b := range map[string]*seaworthy.Bill{"image": image(), "empty": {}} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := spdx3.Write(&out, b); err != nil {
				t.Fatal(err)
			}
			if !spdx3.Sniff(out.Bytes()[:200]) || spdx.Sniff(out.Bytes()[:200]) {
				t.Error("not recognised, or as another format")
			}
			validate(t, out.Bytes())
		})
	}
}

// TestFromSPDX2 turns a real SPDX 2.2 document into SPDX 3 and back without loss.
func TestFromSPDX2(t *testing.T) {
	b, err := spdx.ReadJSON(bytes.NewReader(sharedFile(t, "sbom/spdx_vuln.json")), spdx.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := spdx3.Write(&out, b); err != nil {
		t.Fatal(err)
	}
	back, err := spdx3.Read(bytes.NewReader(out.Bytes()), spdx3.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(back.Packages) != 125 || len(back.Files) != 5447 || len(back.Relations) != 3179 {
		t.Errorf("%d packages, %d files, %d relations", len(back.Packages), len(back.Files), len(back.Relations))
	}
	var first, second bytes.Buffer
	b.Format, b.Problems, back.Format, back.Problems = "", nil, "", nil
	if err := spdx.WriteJSON(&first, b); err != nil {
		t.Fatal(err)
	}
	if err := spdx.WriteJSON(&second, back); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("SPDX 2 → SPDX 3 → SPDX 2 is not the same")
	}
}

// TestForeign reads what we do not write: elements in one another, in any order, single values for lists.
func TestForeign(t *testing.T) {
	const document = `{"@graph": [
	 {"type": "Relationship", "spdxId": "urn:r1", "creationInfo": "_:c", "from": "urn:a", "relationshipType": "contains", "to": "urn:f"},
	 {"type": "Relationship", "spdxId": "urn:r2", "creationInfo": "_:c", "from": "urn:b", "relationshipType": "hasDeclaredLicense", "to": ["https://spdx.org/licenses/MIT"]},
	 {"type": "Relationship", "spdxId": "urn:r3", "creationInfo": "_:c", "from": "urn:b", "relationshipType": "dependsOn", "to": ["urn:gone", "urn:b"]},
	 {"type": "software_File", "spdxId": "urn:f", "creationInfo": "_:c", "name": "f"},
	 {"type": "security_Vulnerability", "spdxId": "urn:v", "creationInfo": "_:c"},
	 {"type": "software_Sbom", "spdxId": "urn:s", "creationInfo": "_:c", "rootElement": ["urn:a"],
	  "element": [{"type": "software_Package", "spdxId": "urn:b", "creationInfo": "_:c", "name": "b", "software_packageVersion": 7,
	    "suppliedBy": {"type": "Organization", "spdxId": "urn:o", "creationInfo": "_:c", "name": "Org"}}]},
	 {"type": "software_Package", "spdxId": "urn:a", "creationInfo": "_:c", "name": "a"},
	 {"type": "SpdxDocument", "spdxId": "urn:d", "creationInfo": {"type": "CreationInfo", "@id": "_:c", "specVersion": "3.0.1",
	   "created": "2024-01-02T03:04:05Z", "createdBy": ["urn:o"]}, "rootElement": ["urn:s"]}],
	 "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}`
	b, err := spdx3.Read(strings.NewReader(document), spdx3.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Packages) != 2 || len(b.Files) != 1 || len(b.Relations) != 3 || len(b.Roots) != 1 || b.Roots[0] != "urn:a" || b.Format != "SPDX-3.0.1" {
		t.Errorf("%+v", b)
	}
	for _, p := range b.Packages {
		if p.Name == "b" && (p.Supplier.Name != "Org" || p.Licences.Declared != "MIT") {
			t.Errorf("%+v", p)
		}
	}
	var details []string
	for _, p := range b.Problems {
		details = append(details, p.Detail)
	}
	all := strings.Join(details, "\n")
	for _, want := range []string{`"urn:gone"`, "related to itself", "security_Vulnerability", "wrong type"} {
		if !strings.Contains(all, want) {
			t.Errorf("no problem says %q:\n%s", want, all)
		}
	}
}

func TestRefuses(t *testing.T) {
	deep := `{"@graph":[` + strings.Repeat(`{"type":"software_Sbom","rootElement":[`, 20000) + strings.Repeat(`]}`, 20000) + `]}`
	for name, c := range map[string]struct {
		document string
		limits   spdx3.Limits
		code     seaworthy.Code
	}{
		"empty":    {"", spdx3.Limits{}, seaworthy.Invalid},
		"array":    {"[]", spdx3.Limits{}, seaworthy.Invalid},
		"no spdx":  {"{}", spdx3.Limits{}, seaworthy.Invalid},
		"cut":      {`{"@graph":[{"type":`, spdx3.Limits{}, seaworthy.Invalid},
		"deep":     {deep, spdx3.Limits{}, seaworthy.Invalid},
		"element":  {`{"@graph":[{"name":"` + strings.Repeat("x", 1<<20) + `"}]}`, spdx3.Limits{Element: 1 << 16}, seaworthy.TooLarge},
		"elements": {`{"@graph":[{"type":"Tool"},{"type":"Tool"}]}`, spdx3.Limits{Elements: 1}, seaworthy.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := spdx3.Read(strings.NewReader(c.document), c.limits)
			if seaworthy.CodeOf(err) != c.code {
				t.Errorf("%v, want %s", err, c.code)
			}
		})
	}
}

func FuzzRead3(f *testing.F) {
	var out bytes.Buffer
	if err := spdx3.Write(&out, image()); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add([]byte(`{"@context":"x","type":"software_Package","spdxId":"urn:a","creationInfo":{"specVersion":"3.0.1"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := spdx3.Read(bytes.NewReader(body), spdx3.Limits{Element: 1 << 20, Elements: 1000})
		if err != nil {
			return
		}
		// What was read can be written, and the writing read, with the same parts.
		var out bytes.Buffer
		if err := spdx3.Write(&out, b); err != nil {
			t.Fatal(err)
		}
		again, err := spdx3.Read(&out, spdx3.Limits{})
		if err != nil {
			t.Fatalf("%v\n%s", err, out.Bytes())
		}
		if len(again.Packages) != len(b.Packages) || len(again.Files) != len(b.Files) || len(again.Relations) != len(b.Relations) {
			t.Fatalf("%d packages of %d, %d files of %d, %d relations of %d", len(again.Packages), len(b.Packages),
				len(again.Files), len(b.Files), len(again.Relations), len(b.Relations))
		}
	})
}
