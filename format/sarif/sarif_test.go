package sarif

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

const golden = `{
  "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
  "version": "2.1.0",
  "runs": [
    {
      "tool": {
        "driver": {
          "name": "tool",
          "version": "1",
          "rules": [
            {
              "id": "R1",
              "shortDescription": {
                "text": "short"
              },
              "defaultConfiguration": {
                "level": "error"
              }
            }
          ]
        }
      },
      "columnKind": "utf16CodeUnits",
      "results": [
        {
          "ruleId": "R1",
          "ruleIndex": 0,
          "level": "error",
          "message": {
            "text": "found"
          },
          "locations": [
            {
              "physicalLocation": {
                "artifactLocation": {
                  "uri": "a/b%20c"
                },
                "region": {
                  "startLine": 1
                }
              },
              "logicalLocations": [
                {
                  "fullyQualifiedName": "pkg:npm/x@1",
                  "kind": "package"
                }
              ]
            }
          ],
          "suppressions": [
            {
              "kind": "external",
              "status": "accepted",
              "justification": "because"
            }
          ]
        }
      ]
    }
  ]
}
`

func TestWrite(t *testing.T) {
	run := Run{
		Tool:  Tool{Name: "tool", Version: "1"},
		Rules: []Rule{{ID: "R1", Short: "short", Level: Error}},
		Results: []Result{{
			RuleID: "R1", Level: Error, Message: "found", Locations: []Location{{Path: "/a/b c", Logical: "pkg:npm/x@1", Kind: "package"}},
			Suppressions: []Suppression{{Justification: "because"}},
		}},
	}
	var b bytes.Buffer
	if err := Write(&b, run); err != nil {
		t.Fatal(err)
	}
	if b.String() != golden {
		t.Errorf("got\n%s", b.String())
	}
	run.Results[0].RuleID = "R2"
	if err := Write(&b, run); seaworthy.CodeOf(err) != seaworthy.Invalid {
		t.Errorf("a result without its rule: %v", err)
	}
}

func TestEmptyRunIsValid(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, Run{Tool: Tool{Name: "tool"}}); err != nil || !json.Valid(b.Bytes()) {
		t.Errorf("%v: %s", err, b.String())
	}
	if !bytes.Contains(b.Bytes(), []byte(`"results": []`)) { // absent would mean that nobody looked (clause 3.14.23)
		t.Error("an empty list of results must be there")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestWriteTellsWhenItCannot(t *testing.T) {
	if err := Write(full{}, Run{Tool: Tool{Name: "tool"}}); seaworthy.CodeOf(err) != seaworthy.Storage {
		t.Errorf("%v, want storage", err)
	}
}

func TestURI(t *testing.T) {
	for path, want := range map[string]string{
		"/usr/lib/x": "usr/lib/x", "//host/x": "host/x", "javascript:alert(1)": "javascript%3Aalert%281%29", "a b/ü#?%": "a%20b/%C3%BC%23%3F%25", "x:5/y:1.2": "x%3A5/y%3A1.2",
	} {
		if got := URI(path); got != want {
			t.Errorf("%q is %q, want %q", path, got, want)
		}
	}
}
