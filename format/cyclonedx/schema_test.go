package cyclonedx

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/github/go-spdx/v2/spdxexp/spdxlicenses"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/seaworthy-dev/seaworthy"
)

const schemas = "../../../shared/data/schemas"

func schemaFile(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(schemas, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: the official schema is missing: %v", err)
	}
	return path
}

func jsonSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for file, url := range map[string]string{
		"cyclonedx-bom-1.6.schema.json":  "http://cyclonedx.org/schema/bom-1.6.schema.json",
		"cyclonedx-spdx.schema.json":     "http://cyclonedx.org/schema/spdx.schema.json",
		"cyclonedx-jsf-0.82.schema.json": "http://cyclonedx.org/schema/jsf-0.82.schema.json",
	} {
		f, err := os.Open(schemaFile(t, file))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(url, doc); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWrittenJSONIsValid(t *testing.T) {
	s := jsonSchema(t)
	rapid.Check(t, func(t *rapid.T) {
		doc := writeJSON(t, billGen().Draw(t, "bill"))
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
		if err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		if err := s.Validate(v); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
	})
}

// xmllint validates many documents in one run: reading the schema is most of the time.
func xmllint(t *testing.T, docs map[string][]byte) {
	t.Helper()
	lint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("SKIPPED: xmllint is missing; it is in the Debian package libxml2-utils")
	}
	dir := t.TempDir()
	for _, part := range []string{"cyclonedx-bom-1.6.xsd", "cyclonedx-spdx.xsd"} {
		b, err := os.ReadFile(schemaFile(t, part))
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.Replace(b, []byte(`schemaLocation="http://cyclonedx.org/schema/spdx"`), []byte(`schemaLocation="cyclonedx-spdx.xsd"`), 1)
		if err := os.WriteFile(filepath.Join(dir, part), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"--noout", "--nonet", "--huge", "--schema", filepath.Join(dir, "cyclonedx-bom-1.6.xsd")}
	for name, doc := range docs {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, doc, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	out, err := exec.Command(lint, args...).CombinedOutput()
	if err != nil {
		for name, doc := range docs {
			if strings.Contains(string(out), name+" fails") || strings.Contains(string(out), name+":") {
				t.Logf("%s:\n%s", name, doc)
				break
			}
		}
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestWrittenXMLIsValid(t *testing.T) {
	docs := make(map[string][]byte)
	g := billGen()
	for i := range 150 {
		docs["random"+string(rune('a'+i/26))+string(rune('a'+i%26))+".xml"] = writeXML(t, g.Example(i))
	}
	docs["minimal.xml"] = writeXML(t, &seaworthy.Bill{})
	if real := realBill(t); real != nil {
		docs["real.xml"] = writeXML(t, real)
	}
	xmllint(t, docs)
}

// Every identifier we write as license.id is one the schema lists.
func TestKnownIDsAreInTheSchema(t *testing.T) {
	raw, err := os.ReadFile(schemaFile(t, "cyclonedx-spdx.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Enum []string `json:"enum"`
	}
	if err := json.Unmarshal(raw, &schema); err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, id := range schema.Enum {
		listed[id] = true
	}
	ids := append(spdxlicenses.GetLicenses(), spdxlicenses.GetDeprecated()...)
	if len(ids) < 500 {
		t.Fatalf("only %d identifiers", len(ids))
	}
	for _, id := range ids {
		if knownID(id) && !listed[id] {
			t.Errorf("%s is not in the schema", id)
		}
	}
}
