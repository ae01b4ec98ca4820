package openvex_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openvex/go-vex/pkg/vex"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/openvex"
)

const current = `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://x/1","author":"me","role":"r","timestamp":"2024-01-01T00:00:00Z","version":1,"statements":[
{"vulnerability":{"@id":"https://nvd/CVE-2024-1","name":"CVE-2024-1","aliases":["GHSA-1"]},"timestamp":"2024-01-02T00:00:00Z","status":"not_affected","justification":"component_not_present",
"products":[{"@id":"pkg:oci/app","identifiers":{"purl":"pkg:oci/app"},"hashes":{"sha-256":"00"},"subcomponents":[{"@id":"pkg:npm/x@1"}]}]},
{"vulnerability":{"name":"CVE-2024-2"},"status":"affected","action_statement":"upgrade","products":[{"@id":"pkg:npm/y"}]}]}`

const old = `{"@context":"https://openvex.dev/ns","@id":"https://x/0","author":"me","timestamp":"2023-01-01T00:00:00Z","version":"1","statements":[
{"vulnerability":"CVE-2023-1","products":["pkg:oci/app"],"subcomponents":["pkg:npm/x@1"],"status":"not_affected","impact_statement":"no"}]}`

func TestParse(t *testing.T) {
	d, err := openvex.Parse([]byte(current))
	if err != nil {
		t.Fatal(err)
	}
	s := d.Statements[0]
	if s.Vulnerability.Name != "CVE-2024-1" || s.Products[0].ID != "pkg:oci/app" || s.Products[0].Subcomponents[0].ID != "pkg:npm/x@1" ||
		s.Products[0].Hashes["sha-256"] != "00" || !s.Timestamp.Equal(time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", s)
	}
	d, err = openvex.Parse([]byte(old))
	if err != nil {
		t.Fatal(err)
	}
	s = d.Statements[0]
	if s.Vulnerability.Name != "CVE-2023-1" || s.Products[0].ID != "pkg:oci/app" || s.Subcomponents[0].ID != "pkg:npm/x@1" {
		t.Errorf("%+v", s)
	}
}

// TestMarshal checks that what we write reads back the same, and that OpenVEX's own library reads it so too.
func TestMarshal(t *testing.T) {
	for _, in := range []string{current, old} {
		d, err := openvex.Parse([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		b, err := openvex.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		again, err := openvex.Parse(b)
		if err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		if diff := cmp.Diff(d, again); diff != "" {
			t.Error(diff)
		}
		if in == old {
			continue
		}
		theirs, err := vex.Parse(b)
		if err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		st := theirs.Statements[0]
		if theirs.ID != d.ID || string(st.Vulnerability.Name) != "CVE-2024-1" || string(st.Status) != "not_affected" ||
			st.Products[0].ID != "pkg:oci/app" || st.Products[0].Subcomponents[0].ID != "pkg:npm/x@1" || st.Validate() != nil {
			t.Errorf("the OpenVEX library reads %+v", st)
		}
	}
	if _, err := openvex.Marshal(&openvex.Document{Statements: []openvex.Statement{{Status: "perhaps"}}}); seaworthy.CodeOf(err) != seaworthy.Invalid {
		t.Errorf("an invalid statement is written: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	for name, in := range map[string]string{
		"context":       strings.Replace(current, "openvex.dev", "example.test", 1),
		"status":        strings.Replace(current, `"affected"`, `"maybe"`, 1),
		"justification": strings.Replace(current, "component_not_present", "because", 1),
		"no reason":     strings.Replace(current, `"justification":"component_not_present",`, "", 1),
		"no name":       strings.Replace(current, `{"name":"CVE-2024-2"}`, `{}`, 1),
		"cut":           current[:100], "list": "[]", "empty": "",
		"twice": strings.Replace(current, `"author"`, `"author":"x","author"`, 1),
	} {
		if _, err := openvex.Parse([]byte(in)); seaworthy.CodeOf(err) != seaworthy.Invalid {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestLibraryFixtures reads the documents of OpenVEX's own library.
func TestLibraryFixtures(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/openvex/go-vex").Output()
	files, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "pkg", "vex", "testdata", "v*.json"))
	if err != nil || len(files) == 0 {
		t.Skipf("SKIPPED: the fixtures of go-vex are not in the module cache: %v", err)
	}
	read := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		theirs, theirErr := vex.Open(file)
		ours, err := openvex.Parse(b)
		if err != nil {
			t.Logf("%s: %v (the library: %v)", filepath.Base(file), err, theirErr)
			continue
		}
		read++
		if theirErr == nil && len(theirs.Statements) != len(ours.Statements) {
			t.Errorf("%s: %d statements, the library reads %d", file, len(ours.Statements), len(theirs.Statements))
		}
	}
	if read < 4 {
		t.Errorf("only %d of %d fixtures are read", read, len(files))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(current))
	f.Add([]byte(old))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := openvex.Parse(b)
		if err != nil {
			if seaworthy.CodeOf(err) != seaworthy.Invalid {
				t.Errorf("error %v", err)
			}
			return
		}
		out, err := openvex.Marshal(d)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := openvex.Parse(out)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, out)
		}
		if b2, err := openvex.Marshal(again); err != nil || !bytes.Equal(out, b2) {
			t.Errorf("written again it differs:\n%s\n%s", out, b2)
		}
	})
}
