package spdx_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/tagvalue"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/spdx"
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

// walk counts, in a document read as plain JSON, what a bill must not lose.
type walk struct {
	packages, files int
	relations       map[[3]string]int // explicit relationships and those that hasFiles adds
	roots           map[string]bool
	names, versions map[string]int
	hashes, refs    int
}

func walkJSON(t *testing.T, body []byte) walk {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatal(err)
	}
	w := walk{relations: map[[3]string]int{}, roots: map[string]bool{}, names: map[string]int{}, versions: map[string]int{}}
	list := func(m map[string]any, name string) []any { l, _ := m[name].([]any); return l }
	str := func(m map[string]any, name string) string { s, _ := m[name].(string); return s }
	for _, r := range list(doc, "relationships") {
		m := r.(map[string]any)
		if str(m, "relationshipType") == "DESCRIBES" {
			w.roots[str(m, "relatedSpdxElement")] = true
			continue
		}
		w.relations[[3]string{str(m, "spdxElementId"), str(m, "relationshipType"), str(m, "relatedSpdxElement")}]++
	}
	for _, p := range list(doc, "packages") {
		m := p.(map[string]any)
		w.packages++
		w.names[str(m, "name")]++
		w.versions[str(m, "versionInfo")]++
		w.hashes += len(list(m, "checksums"))
		w.refs += len(list(m, "externalRefs"))
		for _, f := range list(m, "hasFiles") {
			key := [3]string{str(m, "SPDXID"), "CONTAINS", f.(string)}
			if w.relations[key] == 0 {
				w.relations[key] = 1
			}
		}
	}
	for _, f := range list(doc, "files") {
		w.files++
		w.hashes += len(list(f.(map[string]any), "checksums"))
	}
	return w
}

func TestReadRealDocuments(t *testing.T) {
	for _, name := range []string{
		"sbom/spdx_vuln.json", "seed-example/syft-spdx-k8s.gcr.io-kube-controller-manager.v1.24.6.json",
	} {
		t.Run(name, func(t *testing.T) {
			body := sharedFile(t, name)
			if !spdx.SniffJSON(body[:2048]) || !spdx.Sniff(body[:2048]) {
				t.Error("not recognised")
			}
			b, err := spdx.ReadJSON(bytes.NewReader(body), spdx.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			compareWalk(t, walkJSON(t, body), b)
			t.Logf("%d packages, %d files, %d relations, %d problems", len(b.Packages), len(b.Files), len(b.Relations), len(b.Problems))

			// What we write of it says the same, in both forms.
			var out bytes.Buffer
			if err := spdx.WriteJSON(&out, b); err != nil {
				t.Fatal(err)
			}
			again, err := spdx.ReadJSON(bytes.NewReader(out.Bytes()), spdx.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			compareWalk(t, walkJSON(t, body), again)
			validate(t, out.Bytes())
			second, err := spdxjson.Read(bytes.NewReader(out.Bytes()))
			if err != nil {
				t.Fatalf("the second reader: %v", err)
			}
			if len(second.Packages) != len(b.Packages) || len(second.Files) != len(b.Files) || len(second.Relationships) != len(b.Relations)+len(b.Roots) {
				t.Errorf("the second reader sees %d packages, %d files, %d relationships", len(second.Packages), len(second.Files), len(second.Relationships))
			}

			out.Reset()
			if err := spdx.WriteTagValue(&out, b); err != nil {
				t.Fatal(err)
			}
			if !spdx.SniffTagValue(out.Bytes()[:100]) {
				t.Error("tag-value not recognised")
			}
			again, err = spdx.ReadTagValue(bytes.NewReader(out.Bytes()), spdx.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			compareWalk(t, walkJSON(t, body), again)
			if _, err := tagvalue.Read(bytes.NewReader(out.Bytes())); err != nil {
				t.Errorf("the second reader, tag-value: %v", err)
			}
		})
	}
}

func compareWalk(t *testing.T, want walk, b *seaworthy.Bill) {
	t.Helper()
	total := 0
	for _, n := range want.relations {
		total += n
	}
	if len(b.Packages) != want.packages || len(b.Files) != want.files || len(b.Relations) != total || len(b.Roots) != len(want.roots) {
		t.Errorf("packages %d of %d, files %d of %d, relations %d of %d, roots %d of %d", len(b.Packages), want.packages,
			len(b.Files), want.files, len(b.Relations), total, len(b.Roots), len(want.roots))
	}
	hashes, refs := 0, 0
	for _, p := range b.Packages {
		want.names[p.Name]--
		want.versions[p.Version]--
		hashes += len(p.Hashes)
		refs += len(p.Identifiers)
		if p.PURL != "" {
			refs++
		}
	}
	for _, f := range b.Files {
		hashes += len(f.Hashes)
	}
	for _, m := range []map[string]int{want.names, want.versions} {
		for k, n := range m {
			if n != 0 {
				t.Errorf("%q: %d differ", k, n)
			}
		}
	}
	if hashes != want.hashes || refs != want.refs {
		t.Errorf("hashes %d of %d, references %d of %d", hashes, want.hashes, refs, want.refs)
	}
	for _, r := range b.Relations {
		if r.Type == seaworthy.Contains {
			want.relations[[3]string{r.From, "CONTAINS", r.To}]--
		}
	}
	for k, n := range want.relations {
		if n != 0 {
			t.Errorf("%v: %d differ", k, n)
		}
	}
}

var schema *jsonschema.Schema

func validate(t *testing.T, document []byte) {
	t.Helper()
	if schema == nil {
		body := sharedFile(t, "schemas/spdx-2.3.schema.json")
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource("spdx.json", doc); err != nil {
			t.Fatal(err)
		}
		if schema, err = c.Compile("spdx.json"); err != nil {
			t.Fatal(err)
		}
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(v); err != nil {
		t.Errorf("not valid SPDX 2.3: %v", err)
	}
}

// TestSpecificationExamples reads the specification's own examples, which the SPDX Go tools carry.
func TestSpecificationExamples(t *testing.T) {
	for file, want := range map[string][4]int{
		"json/SPDXJSONExample-v2.3.spdx.json": {5, 4, 5, 7}, "json/SPDXJSONExample-v2.2.spdx.json": {4, 4, 5, 9},
		"tv/SPDXTagExample-v2.3.spdx": {5, 4, 5, 7}, "tv/SPDXTagExample-v2.2.spdx": {4, 4, 5, 9},
	} {
		t.Run(file, func(t *testing.T) {
			body, err := os.ReadFile(filepath.Join(toolsGolang(t), "examples/sample-docs", filepath.FromSlash(file)))
			if err != nil {
				t.Skipf("SKIPPED: the module of the SPDX Go tools is not in the module cache: %v", err)
			}
			read := spdx.ReadJSON
			if strings.HasPrefix(file, "tv/") {
				read = spdx.ReadTagValue
			}
			b, err := read(bytes.NewReader(body), spdx.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if got := [4]int{len(b.Packages), len(b.Files), len(b.Licences), len(b.Relations)}; got != want {
				t.Errorf("packages, files, licences, relations: %v, want %v", got, want)
			}
			var out bytes.Buffer
			if err := spdx.WriteJSON(&out, b); err != nil {
				t.Fatal(err)
			}
			validate(t, out.Bytes())
		})
	}
}
