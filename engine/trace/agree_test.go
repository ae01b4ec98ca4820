package trace

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/bill"
	"github.com/seaworthy-dev/seaworthy/engine/ingest"
	"github.com/seaworthy-dev/seaworthy/engine/match"
	"github.com/seaworthy-dev/seaworthy/format/openvex"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// advisories is a database of one advisory, by which every version of the npm package name has CVE-2024-1.
func advisories(t *testing.T) *advisory.DB {
	t.Helper()
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	record := `{"id":"GHSA-aaaa-bbbb-cccc","modified":"2024-01-01T00:00:00Z","aliases":["CVE-2024-1"],
		"affected":[{"package":{"ecosystem":"npm","name":"name"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],"versions":[]}]}`
	if err := os.Mkdir(src, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(src, "a.json"), []byte(record), 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "a.db")
	if _, err := advisory.Build(t.Context(), []advisory.Input{{Path: src}}, file, advisory.BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	db, err := advisory.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// A scan that is given VEX documents and the graph that has ingested the same bill, advisories and documents say the
// same of every finding.
func TestAgreesWithMatch(t *testing.T) {
	image := seaworthy.SHA256([]byte("image"))
	imagePURL := "pkg:oci/app@" + strings.Replace(string(image), ":", "%3A", 1)
	cyclonedx := fmt.Sprintf(`{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,
		"metadata":{"component":{"type":"container","bom-ref":"image","name":"app","purl":%q,"hashes":[{"alg":"SHA-256","content":%q}]}},
		"components":[{"type":"library","bom-ref":"one","name":"name","version":"1.0.0","purl":"pkg:npm/name@1.0.0"},
			{"type":"library","bom-ref":"two","name":"name","version":"2.0.0","purl":"pkg:npm/name@2.0.0"}]}`, imagePURL, image.Hex())
	db := advisories(t)
	// A statement is: the day it was made on, the status, the product, and a part of it.
	type statement struct {
		day     int
		status  string
		product string
		part    string
	}
	const no, yes, look, done = "not_affected", "affected", "under_investigation", "fixed"
	for name, statements := range map[string][]statement{
		"none":                                  {},
		"a version":                             {{1, no, "pkg:npm/name@1.0.0", ""}},
		"all versions":                          {{1, done, "pkg:npm/name", ""}},
		"another package":                       {{1, no, "pkg:npm/names", ""}},
		"under investigation":                   {{1, look, "pkg:npm/name", ""}},
		"the image":                             {{1, no, imagePURL, ""}},
		"the image by digest":                   {{1, no, string(image), ""}},
		"a part of the image":                   {{1, no, imagePURL, "pkg:npm/name@2.0.0"}},
		"another part":                          {{1, no, imagePURL, "pkg:npm/x"}},
		"another image":                         {{1, no, "pkg:oci/app@sha256%3A" + strings.Repeat("d", 64), ""}},
		"the later wins":                        {{2, yes, "pkg:npm/name", ""}, {1, no, "pkg:npm/name", ""}},
		"the later wins, whatever the order":    {{1, yes, "pkg:npm/name", ""}, {2, no, "pkg:npm/name", ""}},
		"the later wins over the more specific": {{1, yes, imagePURL, "pkg:npm/name@1.0.0"}, {2, no, "pkg:npm/name", ""}},
		"at once, the version wins":             {{1, no, "pkg:npm/name@1.0.0", ""}, {1, yes, "pkg:npm/name", ""}},
		"at once, the version wins again":       {{1, yes, "pkg:npm/name@1.0.0", ""}, {1, no, "pkg:npm/name", ""}},
		"at once, the part wins":                {{1, no, imagePURL, "pkg:npm/name"}, {1, yes, "pkg:npm/name@1.0.0", ""}},
		"three":                                 {{1, no, imagePURL, ""}, {2, yes, "pkg:npm/name@2.0.0", ""}, {3, look, "pkg:npm/name@1.0.0", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			m := graph.NewMemory()
			in := ingest.New(m, ingest.Options{Advisories: db})
			put := func(origin, body string) {
				if _, err := in.Bytes(t.Context(), origin, []byte(body)); err != nil {
					t.Fatal(err)
				}
			}
			put("bill", cyclonedx)
			var vex []match.Statement
			for i, s := range statements {
				parts := ""
				if s.part != "" {
					parts = fmt.Sprintf(`,"subcomponents":[{"@id":%q}]`, s.part)
				}
				body := fmt.Sprintf(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://vex.example/%d","author":"a","timestamp":"2024-01-0%dT00:00:00Z","version":1,
					"statements":[{"vulnerability":{"name":"CVE-2024-1"},"products":[{"@id":%q%s}],"status":%q,"justification":"component_not_present","action_statement":"wait"}]}`, i, s.day, s.product, parts, s.status)
				d, err := openvex.Parse([]byte(body))
				if err != nil {
					t.Fatal(err)
				}
				vex = append(vex, match.FromOpenVEX(d)...)
				put("vex", body)
			}
			b, err := bill.Read(bytes.NewReader([]byte(cyclonedx)), "bill")
			if err != nil {
				t.Fatal(err)
			}
			scanned, err := match.Packages(t.Context(), db, b, match.Options{VEX: vex})
			if err != nil {
				t.Fatal(err)
			}
			want, got := map[string]string{}, map[string]string{}
			for _, f := range append(scanned.Findings, scanned.Suppressed...) {
				want[f.ID+" "+f.Version] = string(f.Status)
			}
			for _, r := range ask(t, m, Question{Verb: "vulns", Subject: string(image)}).Rows {
				got[r.Cells[0]+" "+r.Cells[4]] = r.Cells[2]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-match +graph)\n%s", diff)
			}
			if len(got) != 2 {
				t.Errorf("got %v", got)
			}
		})
	}
}
