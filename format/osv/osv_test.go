package osv_test

import (
	"archive/zip"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/osv"
)

const smallJSON = `{"schema_version":"1.6.0","id":"X-1","modified":"2024-01-02T03:04:05Z","aliases":["CVE-2024-1"],
"database_specific":{"severity":"HIGH","cwe_ids":["CWE-79"]},
"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
"affected":[{"package":{"ecosystem":"PyPI","name":"Foo_Bar"},"ecosystem_specific":{"urgency":"low","severity":7},
"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.10"}]}],"versions":["1.0","1.1"]}]}`

const smallYAML = `
schema_version: 1.6.0
id: X-1
modified: 2024-01-02T03:04:05Z
aliases: [CVE-2024-1]
database_specific: {severity: HIGH, cwe_ids: [CWE-79]}
severity:
- {type: CVSS_V3, score: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}
affected:
- package: {ecosystem: PyPI, name: Foo_Bar}
  ecosystem_specific: {urgency: low, severity: [7]}
  ranges:
  - type: ECOSYSTEM
    events:
    - introduced: "0"
    - fixed: 1.10
  versions: ["1.0", 1.1]
`

func TestJSONAndYAMLSayTheSame(t *testing.T) {
	j, err := osv.ParseJSON([]byte(smallJSON))
	if err != nil {
		t.Fatal(err)
	}
	y, err := osv.ParseYAML([]byte(smallYAML))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(j, y); diff != "" {
		t.Errorf("JSON and YAML differ (-json +yaml):\n%s", diff)
	}
	if got := y.Affected[0].Ranges[0].Events[1].Fixed; got != "1.10" {
		t.Errorf("fixed %q, want 1.10: a version must not be read as a number", got)
	}
	if j.Database.Severity != "HIGH" || j.Affected[0].Ecosystem.Urgency != "low" || j.Affected[0].Ecosystem.Severity != "" {
		t.Errorf("specific fields: %+v", j)
	}
}

func TestRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		code seaworthy.Code
	}{
		"no id":          {`{"modified":"2024-01-02T03:04:05Z"}`, seaworthy.Invalid},
		"two events":     {`{"id":"X","affected":[{"ranges":[{"type":"SEMVER","events":[{"introduced":"0","fixed":"1"}]}]}]}`, seaworthy.Invalid},
		"no event":       {`{"id":"X","affected":[{"ranges":[{"type":"SEMVER","events":[{}]}]}]}`, seaworthy.Invalid},
		"time":           {`{"id":"X","withdrawn":"yesterday"}`, seaworthy.Invalid},
		"duplicate keys": {`{"id":"X","id":"Y"}`, seaworthy.Invalid},
		"long id":        {`{"id":"` + strings.Repeat("x", osv.MaxIDBytes+1) + `"}`, seaworthy.Invalid},
		"cut off":        {`{"id":"X"`, seaworthy.Invalid},
		"too large":      {strings.Repeat(" ", osv.MaxRecordBytes+1), seaworthy.TooLarge},
	} {
		if _, err := osv.ParseJSON([]byte(tc.in)); seaworthy.CodeOf(err) != tc.code {
			t.Errorf("%s: error %v, want code %s", name, err, tc.code)
		}
	}
}

// TestRealRecords reads every record of the Go and PyPI databases.
func TestRealRecords(t *testing.T) {
	for _, tc := range []struct {
		file  string
		count int
		parse func([]byte) (*osv.Record, error)
		step  int // every step-th record, to stay fast
	}{
		{"../../../shared/data/osv/go.zip", 4291, osv.ParseJSON, 1},
		{"../../../shared/data/osv/pypi-yaml.zip", 2661, osv.ParseYAML, 10},
	} {
		z, err := zip.OpenReader(tc.file)
		if err != nil {
			t.Skipf("SKIPPED: real OSV data is absent: %v", err)
		}
		defer z.Close()
		n := 0
		for _, f := range z.File {
			if f.FileInfo().IsDir() || !strings.HasSuffix(f.Name, ".json") && !strings.HasSuffix(f.Name, ".yaml") {
				continue
			}
			n++
			if n%tc.step != 0 {
				continue
			}
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(r)
			r.Close()
			rec, err := tc.parse(b)
			if err != nil {
				t.Errorf("%s: %v", f.Name, err)
			} else if !strings.Contains(f.Name, rec.ID) {
				t.Errorf("%s: id %q", f.Name, rec.ID)
			}
		}
		if n != tc.count {
			t.Errorf("%s: %d records, want %d", tc.file, n, tc.count)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(smallJSON))
	f.Add([]byte(smallYAML))
	f.Add([]byte("a: &a [1]\nid: X\naffected: [*a, *a]\n"))
	f.Add([]byte(`{"id":"X","database_specific":[],"affected":[{"ecosystem_specific":"x"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte) (*osv.Record, error){osv.ParseJSON, osv.ParseYAML} {
			r, err := parse(b)
			if err == nil && r.ID == "" {
				t.Fatal("a record without an id was accepted")
			}
			if err != nil && seaworthy.CodeOf(err) == seaworthy.Internal {
				t.Fatalf("untyped error: %v", err)
			}
		}
	})
}
