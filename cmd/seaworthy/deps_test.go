package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy/source/advisory"
)

const msAdvisory = `{"schema_version":"1.6.0","id":"GHSA-w9mr-4mfr-499f","aliases":["CVE-2017-20162"],"modified":"2024-01-01T00:00:00Z",
	"summary":"vercel ms is slow on long strings","database_specific":{"severity":"MODERATE"},
	"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:L"}],
	"affected":[{"package":{"ecosystem":"npm","name":"ms"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"2.0.0"}]}]}]}`

func TestDepsPutsWhatTheAdvisoriesNameFirst(t *testing.T) {
	dir := t.TempDir()
	for name, body := range map[string]string{
		"advisories/ms.json": msAdvisory,
		"app/package.json":   `{"name":"app","dependencies":{"a":"1.0.0","ms":"0.7.1"}}`,
		"app/go.mod":         "module example.org/app\n\ngo 1.22\n",
	} {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HOME", dir)
	db := filepath.Join(dir, "advisories.db")
	if _, err := advisory.Build(t.Context(), []advisory.Input{{Path: filepath.Join(dir, "advisories")}}, db, advisory.BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if status := run([]string{"deps", filepath.Join(dir, "app"), "--advisories", db, "-o", "json"}, nil, &stdout, &stderr); status != 0 {
		t.Fatalf("exit status %d: %s", status, &stderr)
	}
	var out depsListing
	if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Dependencies) != 3 || out.Summary.Vulnerable != 1 {
		t.Fatalf("%s", &stdout)
	}
	if d := out.Dependencies[0]; d.Name != "ms" || len(d.Vulnerabilities) != 1 || d.Vulnerabilities[0].ID != "CVE-2017-20162" ||
		d.Vulnerabilities[0].Fixed != "2.0.0" || d.Vulnerabilities[0].Severity.String() != "medium" {
		t.Errorf("first is %+v", d)
	}
	if !strings.Contains(stderr.String(), "the advisories do not cover Go (") {
		t.Errorf("what is not covered is not told: %s", &stderr)
	}
	stdout.Reset()
	if status := run([]string{"deps", filepath.Join(dir, "app"), "--advisories", db, "vulnerable:yes", "-q"}, nil, &stdout, &stderr); status != 0 {
		t.Fatalf("exit status %d: %s", status, &stderr)
	}
	if !strings.Contains(stdout.String(), "CVE-2017-20162 medium") || strings.Contains(stdout.String(), "stdlib") {
		t.Errorf("%s", &stdout)
	}
}
