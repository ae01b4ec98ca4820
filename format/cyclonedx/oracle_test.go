package cyclonedx

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"pgregory.net/rapid"

	"github.com/seaworthy-dev/seaworthy"
)

// tree draws components with nested ones, all with refs, and adds their refs to refs.
func tree(t *rapid.T, depth int, refs *[]string) *[]cdx.Component {
	n := rapid.IntRange(0, 3).Draw(t, "components")
	if depth == 0 || n == 0 {
		return nil
	}
	out := make([]cdx.Component, n)
	for i := range out {
		ref := fmt.Sprintf("c%d", len(*refs))
		*refs = append(*refs, ref)
		out[i] = cdx.Component{
			BOMRef: ref, Name: "name-" + ref, Version: "1." + ref, Type: cdx.ComponentTypeLibrary,
			PackageURL: "pkg:npm/" + ref + "@1", Publisher: "Somebody", Description: "d <&> " + ref,
			Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: strings.Repeat("ab", 32)}},
			Licenses:   rapid.SampledFrom([]*cdx.Licenses{nil, {{Expression: "MIT OR Apache-2.0"}}, {{License: &cdx.License{ID: "MIT"}}, {License: &cdx.License{ID: "ISC"}}}}).Draw(t, "licenses"),
			Components: tree(t, depth-1, refs),
		}
	}
	return &out
}

// What cyclonedx-go writes in every version, as JSON and XML, we read without losing anything.
func TestReadsWhatTheLibraryWrites(t *testing.T) {
	versions := []cdx.SpecVersion{cdx.SpecVersion1_2, cdx.SpecVersion1_3, cdx.SpecVersion1_4, cdx.SpecVersion1_5, cdx.SpecVersion1_6, cdx.SpecVersion1_7}
	rapid.Check(t, func(t *rapid.T) {
		var refs []string
		bom := cdx.NewBOM()
		bom.SerialNumber = "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79"
		//lint:ignore SA1019 documents of version 1.4 and before name their tools so
		tools := &[]cdx.Tool{{Vendor: "v", Name: "n", Version: "1"}}
		bom.Metadata = &cdx.Metadata{
			Timestamp: "2024-05-06T07:08:09Z", Tools: &cdx.ToolsChoice{Tools: tools},
			Component: &cdx.Component{BOMRef: "root", Type: cdx.ComponentTypeContainer, Name: "image"},
		}
		bom.Components = tree(t, 4, &refs)
		var deps []cdx.Dependency
		edges := make(map[[2]string]bool)
		for _, from := range refs {
			var to []string
			for _, ref := range refs {
				if rapid.IntRange(0, 4).Draw(t, "edge") == 0 {
					to = append(to, ref)
					edges[[2]string{from, ref}] = true
				}
			}
			deps = append(deps, cdx.Dependency{Ref: from, Dependencies: &to})
		}
		bom.Dependencies = &deps
		version := rapid.SampledFrom(versions).Draw(t, "version")
		format := rapid.SampledFrom([]cdx.BOMFileFormat{cdx.BOMFileFormatJSON, cdx.BOMFileFormatXML}).Draw(t, "format")
		var doc bytes.Buffer
		if err := cdx.NewBOMEncoder(&doc, format).EncodeVersion(bom, version); err != nil {
			t.Fatal(err)
		}
		var b *seaworthy.Bill
		if format == cdx.BOMFileFormatJSON {
			b = readJSON(t, doc.Bytes())
		} else {
			b = readXML(t, doc.Bytes())
		}
		if b.Format != "CycloneDX "+version.String() || len(b.Packages) != len(refs)+1 || len(b.Roots) != 1 || b.Roots[0] != "root" {
			t.Fatalf("%s: %d packages of %d, roots %q\n%s", b.Format, len(b.Packages), len(refs)+1, b.Roots, doc.Bytes())
		}
		if len(b.Tools) != 1 || b.Tools[0] != (seaworthy.Tool{Vendor: "v", Name: "n", Version: "1"}) {
			t.Fatalf("tools are %v\n%s", b.Tools, doc.Bytes())
		}
		got := 0
		for _, e := range b.Relations {
			if e.Type == seaworthy.DependsOn {
				got++
				if !edges[[2]string{e.From, e.To}] {
					t.Fatalf("edge %v was not written", e)
				}
			}
		}
		if got != len(edges) {
			t.Fatalf("%d of %d edges", got, len(edges))
		}
		for _, p := range b.Packages {
			if p.Ref != "root" && (p.Name != "name-"+p.Ref || p.Version != "1."+p.Ref || p.PURL != "pkg:npm/"+p.Ref+"@1" ||
				p.Supplier.Name != "Somebody" || p.Description != "d <&> "+p.Ref || len(p.Hashes) != 1) {
				t.Fatalf("%+v\n%s", p, doc.Bytes())
			}
		}
	})
}

// cyclonedx-go reads what we write, and sees the same components and edges.
func TestTheLibraryReadsWhatWeWrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := billGen().Draw(t, "bill")
		for format, doc := range map[cdx.BOMFileFormat][]byte{
			cdx.BOMFileFormatJSON: writeJSON(t, b), cdx.BOMFileFormatXML: writeXML(t, b),
		} {
			var bom cdx.BOM
			if err := cdx.NewBOMDecoder(bytes.NewReader(doc), format).Decode(&bom); err != nil {
				t.Fatalf("%v\n%s", err, doc)
			}
			refs := make(map[string]bool)
			var all []cdx.Component
			if bom.Components != nil {
				all = *bom.Components
			}
			if bom.Metadata.Component != nil {
				all = append(all, *bom.Metadata.Component)
			}
			for _, c := range all {
				refs[original(c.BOMRef)] = true
			}
			if len(all) != len(b.Packages)+len(b.Files) || len(refs) != len(all) {
				t.Fatalf("%d components of %d packages and %d files\n%s", len(all), len(b.Packages), len(b.Files), doc)
			}
			for _, p := range b.Packages {
				if !refs[p.Ref] {
					t.Fatalf("%q is missing\n%s", p.Ref, doc)
				}
			}
		}
	})
}

// Every document of the library's own test data is read, with all its components, services and edges.
func TestLibraryTestdata(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Skipf("SKIPPED: the folder of cyclonedx-go is not known: %v", err)
	}
	files, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "testdata", "valid-*"))
	if len(files) == 0 {
		t.Skip("SKIPPED: cyclonedx-go's testdata is missing")
	}
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		var bom cdx.BOM
		var b *seaworthy.Bill
		if strings.HasSuffix(path, ".json") {
			err = cdx.NewBOMDecoder(bytes.NewReader(raw), cdx.BOMFileFormatJSON).Decode(&bom)
			b = readJSON(t, raw)
		} else {
			err = cdx.NewBOMDecoder(bytes.NewReader(raw), cdx.BOMFileFormatXML).Decode(&bom)
			b = readXML(t, raw)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := components(bom.Components) + services(bom.Services)
		if bom.Metadata != nil && bom.Metadata.Component != nil {
			want += 1 + components(bom.Metadata.Component.Components)
		}
		if got := len(b.Packages) + len(b.Files); got != want {
			t.Errorf("%s: %d of %d components", name, got, want)
		}
		edges := 0
		if bom.Dependencies != nil {
			for _, d := range *bom.Dependencies {
				if d.Dependencies != nil {
					edges += len(*d.Dependencies)
				}
			}
		}
		for _, e := range b.Relations {
			if e.Type == seaworthy.DependsOn {
				edges--
			}
		}
		if edges != 0 {
			t.Errorf("%s: %d edges are missing", name, edges)
		}
		if d := diff(b, readJSON(t, writeJSON(t, b))); d != "" {
			t.Errorf("%s through JSON:\n%s", name, d)
		}
		if d := diff(b, readXML(t, writeXML(t, b))); d != "" {
			t.Errorf("%s through XML:\n%s", name, d)
		}
	}
}

func components(list *[]cdx.Component) int {
	n := 0
	if list != nil {
		for _, c := range *list {
			n += 1 + components(c.Components)
		}
	}
	return n
}

func services(list *[]cdx.Service) int {
	n := 0
	if list != nil {
		for _, s := range *list {
			n += 1 + services(s.Services)
		}
	}
	return n
}
