package facet_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/tagvalue"
	"pgregory.net/rapid"

	"github.com/seaworthy-dev/seaworthy"
)

// iriPattern is a pattern of the SPDX 3 schema that Go's regular expressions cannot say.
const iriPattern = `^(?!_:).+:.+`

var iri = regexp.MustCompile(`^.+:.+`)

type iriRegexp struct{}

func (iriRegexp) String() string { return iriPattern }

func (iriRegexp) MatchString(s string) bool { return !strings.HasPrefix(s, "_:") && iri.MatchString(s) }

// TestRandomBillsAreValid checks what is written of random bills against the official schemas.
func TestRandomBillsAreValid(t *testing.T) {
	for label, file := range map[string]string{"spdx-json": "spdx-2.3.schema.json", "spdx3-json": "spdx-3.0.1.schema.json"} {
		t.Run(label, func(t *testing.T) {
			body, err := os.ReadFile(filepath.FromSlash("../../../shared/data/schemas/" + file))
			if os.IsNotExist(err) {
				t.Skipf("SKIPPED: the schema %s is not here, so this is not tested", file)
			}
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
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
			if err := c.AddResource(file, doc); err != nil {
				t.Fatal(err)
			}
			schema, err := c.Compile(file)
			if err != nil {
				t.Fatal(err)
			}
			rapid.Check(t, func(t *rapid.T) {
				var out bytes.Buffer
				if err := forms[label].write(&out, randomBill(t)); err != nil {
					t.Fatal(err)
				}
				v, err := jsonschema.UnmarshalJSON(bytes.NewReader(out.Bytes()))
				if err != nil {
					t.Fatal(err)
				}
				if err := schema.Validate(v); err != nil {
					t.Fatalf("%.1500v\n%s", err, out.Bytes())
				}
			})
		})
	}
}

// TestSecondReader lets the SPDX Go tools read what is written of random bills.
func TestSecondReader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := randomBill(t)
		// That reader takes NONE on the right of a relationship only, as SPDX says.
		b.Relations = slices.DeleteFunc(b.Relations, func(r seaworthy.Relation) bool { return r.From == "NONE" || r.To == "NONE" })
		var doc, tags bytes.Buffer
		if err := forms["spdx-json"].write(&doc, b); err != nil {
			t.Fatal(err)
		}
		other, err := spdxjson.Read(bytes.NewReader(doc.Bytes()))
		if err != nil {
			t.Fatalf("%v\n%s", err, doc.Bytes())
		}
		if len(other.Packages) != len(b.Packages) || len(other.Files) != len(b.Files) {
			t.Fatalf("it sees %d packages of %d, %d files of %d", len(other.Packages), len(b.Packages), len(other.Files), len(b.Files))
		}
		if err := forms["spdx-tag-value"].write(&tags, b); err != nil {
			t.Fatal(err)
		}
		if _, err = tagvalue.Read(bytes.NewReader(tags.Bytes())); err != nil {
			t.Fatalf("%v\n%s", err, tags.Bytes())
		}
	})
}
