package cdxvex_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/cdxvex"
)

const sample = `{"bomFormat":"CycloneDX","specVersion":"1.6","serialNumber":"urn:uuid:1","metadata":{"timestamp":"2024-01-01T00:00:00Z","supplier":{"name":"s"},"component":{"bom-ref":"r","purl":"pkg:oci/app"}},
"components":[{"bom-ref":"c1","purl":"pkg:npm/name@1.0.0","components":[{"bom-ref":"c2","purl":"pkg:npm/in@1"}]}],
"vulnerabilities":[{"id":"CVE-2024-1","references":[{"id":"GHSA-1","source":{}},{"id":"CVE-2024-1"}],"analysis":{"state":"in_triage","firstIssued":"2024-02-01T00:00:00Z"},"affects":[{"ref":"c1","versions":[{"version":"1","status":"affected"},{"range":"vers:npm/<2"}]}]},
{"id":"CVE-2024-2","ratings":[]}]}`

func TestParse(t *testing.T) {
	got, err := cdxvex.Parse([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	want := &cdxvex.Document{
		Serial: "urn:uuid:1", Timestamp: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), Author: "s",
		PURLs: map[string]string{"r": "pkg:oci/app", "c1": "pkg:npm/name@1.0.0", "c2": "pkg:npm/in@1"},
		Vulnerabilities: []cdxvex.Vulnerability{{
			ID: "CVE-2024-1", Aliases: []string{"GHSA-1"}, State: "in_triage", Status: seaworthy.UnderInvestigation,
			Updated: time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC),
			Affects: []cdxvex.Affects{{Ref: "c1", Versions: []cdxvex.Version{{Version: "1", Status: "affected"}, {Range: "vers:npm/<2"}}}},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for word, status := range map[string]seaworthy.Status{
		"resolved": seaworthy.FixedStatus, "resolved_with_pedigree": seaworthy.FixedStatus, "exploitable": seaworthy.Affected,
		"false_positive": seaworthy.NotAffected, "not_affected": seaworthy.NotAffected,
	} {
		d, err := cdxvex.Parse([]byte(strings.Replace(sample, "in_triage", word, 1)))
		if err != nil || d.Vulnerabilities[0].Status != status {
			t.Errorf("%s: %+v %v", word, d, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	deep := strings.Repeat(`{"components":[`, 100) + strings.Repeat(`]}`, 100)
	for name, tc := range map[string]struct {
		in   string
		code seaworthy.Code
	}{
		"not CycloneDX": {`{"bomFormat":"SPDX"}`, seaworthy.Invalid},
		"state":         {strings.Replace(sample, "in_triage", "perhaps", 1), seaworthy.Invalid},
		"cut":           {sample[:200], seaworthy.Invalid},
		"too deep":      {`{"bomFormat":"CycloneDX","components":[` + deep + `]}`, seaworthy.TooLarge},
	} {
		if _, err := cdxvex.Parse([]byte(tc.in)); seaworthy.CodeOf(err) != tc.code {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := cdxvex.Parse(b); err != nil && seaworthy.CodeOf(err) != seaworthy.Invalid && seaworthy.CodeOf(err) != seaworthy.TooLarge {
			t.Errorf("error %v", err)
		}
	})
}
