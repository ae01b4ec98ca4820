package cyclonedx

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

const realDocument = "../../../shared/data/sbom/syft-cyclonedx-docker.io-library-nginx.latest.json"

func realBill(t *testing.T) *seaworthy.Bill {
	t.Helper()
	raw, err := os.ReadFile(realDocument)
	if err != nil {
		t.Logf("SKIPPED in part: the real document is missing: %v", err)
		return nil
	}
	return readJSON(t, raw)
}

// The real document, read by us and by a walk over generic JSON, says the same.
func TestRealDocument(t *testing.T) {
	raw, err := os.ReadFile(realDocument)
	if err != nil {
		t.Skipf("SKIPPED: the real document is missing: %v", err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	b := readJSON(t, raw)
	if b.Format != "CycloneDX 1.4" || b.ID != doc["serialNumber"] || b.Created.Format("2006-01-02T15:04:05Z07:00") != "2022-10-20T19:59:22Z" {
		t.Errorf("document is %q %q %v", b.Format, b.ID, b.Created)
	}
	if len(b.Tools) != 1 || b.Tools[0] != (seaworthy.Tool{Vendor: "anchore", Name: "syft", Version: "0.57.0"}) {
		t.Errorf("tools are %v", b.Tools)
	}
	byRef := make(map[string]*seaworthy.Package)
	for i := range b.Packages {
		byRef[b.Packages[i].Ref] = &b.Packages[i]
	}
	components := doc["components"].([]any)
	root := doc["metadata"].(map[string]any)["component"].(map[string]any)
	if len(components) != 144 || len(b.Packages) != 145 || len(b.Files) != 0 {
		t.Fatalf("%d components became %d packages and %d files", len(components), len(b.Packages), len(b.Files))
	}
	if len(b.Roots) != 1 || b.Roots[0] != root["bom-ref"] || byRef[b.Roots[0]].Role != seaworthy.Container {
		t.Errorf("roots are %q", b.Roots)
	}
	// One jar's hash is said of an external reference; nothing else is odd.
	if len(b.Problems) != 1 || !strings.Contains(b.Problems[0].Detail, "hash of an external reference") {
		t.Errorf("problems are %v", b.Problems)
	}
	licences, cpes := 0, 0
	for _, item := range append(components, root) {
		c := item.(map[string]any)
		str := func(name string) string { s, _ := c[name].(string); return s }
		ref := str("bom-ref")
		if ref == "" { // the operating system has none
			ref = str("name") + "@" + str("version")
		}
		p := byRef[ref]
		if p == nil {
			t.Errorf("%s is missing", ref)
			continue
		}
		if p.Name != str("name") || p.Version != str("version") || string(p.Role) != str("type") || p.Description != str("description") {
			t.Errorf("%s became %+v", ref, p)
		}
		if want := str("purl"); want != "" {
			if canonical, err := purl.Canonical(want); err != nil || p.PURL != canonical || p.Ecosystem != strings.SplitN(want[4:], "/", 2)[0] {
				t.Errorf("%s: purl %q, ecosystem %q", ref, p.PURL, p.Ecosystem)
			}
		}
		if line(p.Supplier) != str("publisher") {
			t.Errorf("%s: supplier %+v, publisher %q", ref, p.Supplier, str("publisher"))
		}
		if cpe := str("cpe"); cpe != "" {
			cpes++
			if len(p.Identifiers) == 0 || p.Identifiers[0] != (seaworthy.Identifier{Type: "cpe23Type", Value: cpe}) {
				t.Errorf("%s: identifiers %v, cpe %q", ref, p.Identifiers, cpe)
			}
		}
		list, _ := c["licenses"].([]any)
		var ids []string
		for _, l := range list {
			ids = append(ids, l.(map[string]any)["license"].(map[string]any)["id"].(string))
		}
		licences += len(ids)
		if got := strings.Join(ids, " AND "); p.Licences.Declared != got {
			t.Errorf("%s: licence %q, want %q", ref, p.Licences.Declared, got)
		}
		props, _ := c["properties"].([]any)
		paths := 0
		for _, item := range props {
			prop := item.(map[string]any)
			if p.Property(prop["name"].(string)) == "" {
				t.Errorf("%s: property %v is missing", ref, prop)
			}
			if strings.HasSuffix(prop["name"].(string), ":path") {
				if path := strings.TrimPrefix(prop["value"].(string), "/"); p.Evidence[paths].Path != path || p.Evidence[paths].DiffID == "" {
					t.Errorf("%s: evidence %v, want %q", ref, p.Evidence[paths], path)
				}
				paths++
			}
		}
	}
	if licences != 368 || cpes < 140 {
		t.Errorf("compared %d licences and %d cpes", licences, cpes)
	}
	if d := diff(b, readXML(t, writeXML(t, b))); d != "" {
		t.Errorf("through XML:\n%s", d)
	}
	if d := diff(b, readJSON(t, writeJSON(t, b))); d != "" {
		t.Errorf("through JSON:\n%s", d)
	}
	if !bytes.Equal(writeJSON(t, b), writeJSON(t, b)) {
		t.Error("two writings differ")
	}
}
