package grade

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/match"
	"github.com/seaworthy-dev/seaworthy/format/cdxvex"
	"github.com/seaworthy-dev/seaworthy/format/openvex"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
)

const hostile = "<img src=x onerror=alert(1)>\x1b[2J\u202e|`@team` =1+1"

func layerDigest(n int) seaworthy.Digest {
	return seaworthy.SHA256([]byte{byte(n)})
}

// sample is a report with one of everything.
func sample(t *testing.T, change func(*Options)) *Report {
	t.Helper()
	root := seaworthy.Package{Ref: "root", Role: seaworthy.Container, Name: "shop", PURL: "pkg:oci/shop@sha256%3A" + strings.Repeat("ab", 32)}
	bill := &seaworthy.Bill{Name: "shop", Roots: []string{"root"}, Packages: []seaworthy.Package{
		root,
		{Ref: "l1", Role: seaworthy.Layer, Name: "layer 1", Version: string(layerDigest(1)), Description: "ADD base /"},
		{Ref: "l2", Role: seaworthy.Layer, Name: "layer 2", Version: string(layerDigest(2)), Description: "RUN pip install"},
		{Ref: "a", Ecosystem: "pypi", Name: "alpha", Version: "1.0", PURL: "pkg:pypi/alpha@1.0", Licences: seaworthy.Licences{Concluded: "MIT"}},
		{Ref: "b", Ecosystem: "npm", Name: "@scope/beta", Version: "2.0", PURL: "pkg:npm/%40scope/beta@2.0", Licences: seaworthy.Licences{Declared: "AGPL-3.0-only"}},
		{Ref: "c", Ecosystem: "npm", Name: hostile, Version: "3", PURL: "pkg:npm/c@3"},
	}}
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	in := func(layer int, path string) []seaworthy.Evidence {
		return []seaworthy.Evidence{{Path: path, Layer: layer - 1, DiffID: layerDigest(layer)}}
	}
	result := match.Result{Packages: 6, Compared: 3, Findings: []seaworthy.Finding{
		{
			ID: "CVE-2024-1", Aliases: []string{"GHSA-aaaa-bbbb-cccc"}, Package: "pkg:pypi/alpha@1.0", Name: "alpha", Version: "1.0", Fixed: "1.1", Fix: seaworthy.FixAvailable,
			Severity: seaworthy.SeverityCritical, Score: 9.8, Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", EPSS: &seaworthy.EPSS{Probability: 0.5, Percentile: 0.99}, Risk: 46,
			Ref: "a", Evidence: in(2, "usr/lib/alpha/METADATA"), Via: []string{root.PURL, "pkg:pypi/alpha@1.0"}, Status: seaworthy.Affected, Summary: "Overflow in alpha",
			Range: "<1.1", URLs: []string{"https://example.org/1", "javascript:alert(1)"}, Sources: []seaworthy.FindingSource{{ID: "PYSEC-1", Source: "pypi"}},
		},
		{
			ID: "CVE-2024-2", Aliases: []string{}, Package: "pkg:npm/%40scope/beta@2.0", Name: "@scope/beta", Version: "2.0", Fix: seaworthy.FixNone, Severity: seaworthy.SeverityLow,
			KEV: &seaworthy.KEV{Added: "2024-05-06"}, Risk: 30, Ref: "b", Evidence: in(1, "app/b/package.json"), Status: seaworthy.Affected,
		},
		{
			ID: "CVE-2024-3", Aliases: []string{}, Package: "pkg:npm/c@3", Name: hostile, Version: "3", Fixed: "4", Fix: seaworthy.FixAvailable, Severity: seaworthy.SeverityMedium, Score: 5,
			Ref: "c", Evidence: in(1, "app/c d:e/package.json"), Status: seaworthy.UnderInvestigation, Summary: hostile, Scope: seaworthy.Development,
		},
	}, Suppressed: []seaworthy.Finding{
		{
			ID: "CVE-2024-4", Aliases: []string{}, Package: "pkg:pypi/alpha@1.0", Name: "alpha", Version: "1.0", Severity: seaworthy.SeverityHigh, Ref: "a", Status: seaworthy.NotAffected,
			Suppressed: &seaworthy.Suppressed{By: "https://example.org/vex", Author: "Example", At: at, Justification: "component_not_present", Reason: "product is the package"},
		},
	}}
	o := Options{
		Target: "registry.example/shop:1.2", At: at, Tool: seaworthy.Tool{Name: "seaworthy", Version: "test"}, ShowSuppressed: true,
		Advisories: []advisory.Source{{Name: "pypi", Kind: "osv", Date: at.Add(-50 * time.Hour), DateOf: "data", Records: 3, Digest: seaworthy.SHA256(nil)}},
		Licences:   &Policy{Deny: []string{"AGPL-*"}},
	}
	if change != nil {
		change(&o)
	}
	return New(bill, result, o)
}

func TestGradeOfTheSample(t *testing.T) {
	r := sample(t, nil)
	// critical 40 × 1.5 (EPSS); low 1 × 2 (KEV) × 0.5 (no repair); medium 3 × 0.25 (development); a denied licence 10
	want := 60 + 1 + 0.75 + 10
	if r.Grade.Letter != "D" || math.Abs(r.Grade.Points-want) > 1e-9 {
		t.Errorf("grade %s with %v points, want D (because of KEV) with %v; why %q", r.Grade.Letter, r.Grade.Points, want, r.Grade.Why)
	}
	if got := r.Sentence(); got != "3 findings (1 critical, 1 medium, 1 low) in 3 packages of 3 compared; 2 can be repaired, 1 known to be exploited, 1 taken away by VEX" {
		t.Errorf("the sentence is %q", got)
	}
	if len(r.Layers) != 2 || r.Layers[0].Total != 2 || r.Layers[1].Findings.Critical != 1 || r.Layers[1].CreatedBy != "RUN pip install" {
		t.Errorf("layers %+v", r.Layers)
	}
}

func TestLetters(t *testing.T) {
	f := func(s seaworthy.Severity, n int, change func(*seaworthy.Finding)) (out []seaworthy.Finding) {
		for i := range n {
			x := seaworthy.Finding{ID: "CVE-" + string(rune('a'+i)), Severity: s, Fix: seaworthy.FixAvailable}
			if change != nil {
				change(&x)
			}
			out = append(out, x)
		}
		return out
	}
	kev := func(x *seaworthy.Finding) { x.KEV = &seaworthy.KEV{} }
	none := func(x *seaworthy.Finding) { x.Fix = seaworthy.FixNone }
	dagger, err := ParseMethod("daggerboard")
	if err != nil {
		t.Fatal(err)
	}
	other, err := ParseMethod("daggerboard=10,0,0,0")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what     string
		method   Method
		findings []seaworthy.Finding
		denied   int
		want     string
	}{
		{"nothing", Method{}, nil, 0, "A"},
		{"three mediums", Method{}, f(seaworthy.SeverityMedium, 3, nil), 0, "A"},
		{"one high", Method{}, f(seaworthy.SeverityHigh, 1, nil), 0, "B"},
		{"one high without repair", Method{}, f(seaworthy.SeverityHigh, 1, none), 0, "A"},
		{"one critical", Method{}, f(seaworthy.SeverityCritical, 1, nil), 0, "C"},
		{"three criticals", Method{}, f(seaworthy.SeverityCritical, 3, nil), 0, "D"},
		{"ten criticals", Method{}, f(seaworthy.SeverityCritical, 10, nil), 0, "F"},
		{"a low one that is exploited", Method{}, f(seaworthy.SeverityLow, 1, kev), 0, "D"},
		{"a denied licence", Method{}, nil, 1, "B"},
		{"negligible ones", Method{}, f(seaworthy.SeverityNegligible, 500, nil), 0, "A"},
		{"DaggerBoard: two criticals are 80/54", dagger, f(seaworthy.SeverityCritical, 2, nil), 0, "A"},
		{"DaggerBoard: three criticals are 120/54", dagger, f(seaworthy.SeverityCritical, 3, nil), 0, "B"},
		{"DaggerBoard: 44 highs are 440/54", dagger, f(seaworthy.SeverityHigh, 44, nil), 0, "F"},
		{"DaggerBoard looks at nothing else", dagger, f(seaworthy.SeverityLow, 1, kev), 9, "A"},
		{"other weights", other, f(seaworthy.SeverityCritical, 5, nil), 0, "C"},
	} {
		if got := c.method.grade(c.findings, c.denied); got.Letter != c.want {
			t.Errorf("%s: %s (%v points, %q), want %s", c.what, got.Letter, got.Points, got.Why, c.want)
		}
	}
	for _, bad := range []string{"x", "daggerboard=1,2,3", "daggerboard=1,2,3,x", "daggerboard=0,0,0,0", "daggerboard=-1,1,1,1", "daggerboard=NaN,1,1,1", "seaworthy=1"} {
		if _, err := ParseMethod(bad); seaworthy.CodeOf(err) != seaworthy.Usage {
			t.Errorf("%q: %v, want a usage error", bad, err)
		}
	}
}

func TestNothingComparedIsNoA(t *testing.T) {
	bill := &seaworthy.Bill{Packages: []seaworthy.Package{{Ref: "x", Name: "x", Ecosystem: "deb"}}}
	r := New(bill, match.Result{NotCovered: []match.NotCovered{{Name: "debian-12", Packages: 1, Reason: "none"}}}, Options{})
	if r.Grade.Letter != Unknown || len(r.Grade.Caveats) == 0 {
		t.Errorf("grade %+v", r.Grade)
	}
	if r = New(&seaworthy.Bill{}, match.Result{}, Options{}); r.Grade.Letter != Unknown {
		t.Errorf("of an empty bill: %+v", r.Grade)
	}
}

func TestTheSameFindingTwiceCountsOnce(t *testing.T) {
	f := seaworthy.Finding{ID: "CVE-1", Package: "pkg:maven/a/b@1", Version: "1", Severity: seaworthy.SeverityHigh, Fix: seaworthy.FixAvailable}
	g := f
	g.Ref = "elsewhere"
	r := New(&seaworthy.Bill{Packages: []seaworthy.Package{{Name: "b"}}}, match.Result{Compared: 2, Findings: []seaworthy.Finding{f, g}}, Options{})
	if r.Grade.Points != 10 || r.Counts.Total != 2 {
		t.Errorf("%v points for %d findings, want 10 for 2", r.Grade.Points, r.Counts.Total)
	}
}

// TestNothingHostileComesThrough renders every output with a hostile name and looks for what must not be in it.
func TestNothingHostileComesThrough(t *testing.T) {
	r := sample(t, nil)
	for name, write := range outputs(r) {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, bad := range []string{"\x1b", "\u202e"} {
			if strings.Contains(b.String(), bad) {
				t.Errorf("%s holds %q", name, bad)
			}
		}
		if name == "html" || name == "markdown" {
			for _, bad := range []string{"<img", "javascript:alert"} {
				if strings.Contains(b.String(), bad) {
					t.Errorf("%s holds %q", name, bad)
				}
			}
		}
	}
}

func outputs(r *Report) map[string]func(*bytes.Buffer) error {
	return map[string]func(*bytes.Buffer) error{
		"table": func(b *bytes.Buffer) error { return r.Table(b) }, "text": func(b *bytes.Buffer) error { return r.Text(b) },
		"html": func(b *bytes.Buffer) error { return r.HTML(b) }, "csv": func(b *bytes.Buffer) error { return r.CSV(b) },
		"markdown": func(b *bytes.Buffer) error { return r.Markdown(b) }, "sarif": func(b *bytes.Buffer) error { return r.SARIF(b) },
	}
}

func TestTableFitsATerminal(t *testing.T) {
	r := sample(t, nil)
	for range 50 {
		f := r.Findings[0]
		f.ID, f.Name, f.Version, f.Fixed = "GHSA-xxxx-yyyy-zzzz", "github.com/organisation/a-long-name/v2", "v0.0.0-20230304212654-82a0ddb27589", "1.43.5-0.20260509080709-d1a4092c61cc"
		f.Scope = seaworthy.Development
		r.Findings = append(r.Findings, f)
	}
	for _, width := range []int{100, 130, 200} {
		var b bytes.Buffer
		if err := findingTable(WorstFirst(r.Findings), width).Write(&console.Stream{Writer: &b, Width: width}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
				t.Errorf("at %d columns a line has %d: %s", width, n, line)
			}
		}
		if !strings.Contains(b.String(), "a-long-name/v2 ") {
			t.Errorf("at %d columns the end of the name is gone:\n%s", width, b.String())
		}
	}
	var b bytes.Buffer
	if err := r.Table(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "github.com/organisation/a-long-name/v2 ") || !strings.Contains(b.String(), " v0.0.0-20230304212654-82a0ddb27589 ") {
		t.Error("where nobody watches, something is cut")
	}
}

func TestCSV(t *testing.T) {
	var b bytes.Buffer
	if err := sample(t, nil).CSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 5 || len(rows[1]) != len(csvColumns) || rows[1][0] != "CVE-2024-2" || rows[2][0] != "CVE-2024-1" || rows[2][12] != "1.1" || rows[4][22] != "not_affected" {
		t.Errorf("rows %q", rows)
	}
	for text, want := range map[string]string{"=1+1": "'=1+1", "@x": "'@x", "-1": "'-1", "plain": "plain", "": "", "\tx": `\tx`} {
		if got := cellText(text); got != want {
			t.Errorf("cell %q is %q, want %q", text, got, want)
		}
	}
}

func TestSARIF(t *testing.T) {
	var b bytes.Buffer
	if err := sample(t, nil).SARIF(&b); err != nil {
		t.Fatal(err)
	}
	var log struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct {
					Name  string
					Rules []struct {
						ID         string
						Properties map[string]any
					}
				}
			}
			Results []struct {
				RuleID       string
				RuleIndex    int
				Level        string
				Message      struct{ Text string }
				Suppressions []struct{ Kind, Justification string }
				Locations    []struct {
					PhysicalLocation struct{ ArtifactLocation struct{ URI string } }
				}
			}
		}
	}
	if err := json.Unmarshal(b.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if log.Version != "2.1.0" || run.Tool.Driver.Name != "seaworthy" || len(run.Results) != 5 {
		t.Fatalf("%+v", log)
	}
	levels := map[string]string{}
	for _, r := range run.Results {
		if run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("%s has index %d, which is %s", r.RuleID, r.RuleIndex, run.Tool.Driver.Rules[r.RuleIndex].ID)
		}
		levels[r.RuleID] = r.Level
		switch r.RuleID {
		case "CVE-2024-4":
			if len(r.Suppressions) != 1 || r.Suppressions[0].Kind != "external" {
				t.Errorf("suppressions %+v", r.Suppressions)
			}
		case "CVE-2024-3":
			if uri := r.Locations[0].PhysicalLocation.ArtifactLocation.URI; uri != "app/c%20d%3Ae/package.json" {
				t.Errorf("URI %q", uri)
			}
		}
	}
	for id, want := range map[string]string{"CVE-2024-1": "error", "CVE-2024-2": "note", "CVE-2024-3": "warning", "licence-denied": "error"} {
		if levels[id] != want {
			t.Errorf("%s has level %q, want %q", id, levels[id], want)
		}
	}
	if got := run.Tool.Driver.Rules[1].Properties["security-severity"]; got != "9.8" {
		t.Errorf("security-severity %v", got)
	}
}

func TestOpenVEXIsReadBack(t *testing.T) {
	r := sample(t, nil)
	var b, again bytes.Buffer
	if err := r.OpenVEX(&b, "Example"); err != nil {
		t.Fatal(err)
	}
	if err := r.OpenVEX(&again, "Example"); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Errorf("the same report gives other bytes (%v)", err)
	}
	d, err := openvex.Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Statements) != 4 || d.Author != "Example" || !strings.HasPrefix(d.ID, "https://") {
		t.Errorf("%+v", d)
	}
	for _, s := range d.Statements {
		if s.Status == seaworthy.Affected && s.Action == "" {
			t.Errorf("%s is affected without an action, which the specification demands", s.Vulnerability.Name)
		}
	}
}

func TestCycloneDXIsValidAndSaysTheSame(t *testing.T) {
	r := sample(t, nil)
	var b bytes.Buffer
	if err := r.CycloneDX(&b); err != nil {
		t.Fatal(err)
	}
	d, err := cdxvex.Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Vulnerabilities) != 2 || d.Vulnerabilities[0].Status != seaworthy.NotAffected && d.Vulnerabilities[1].Status != seaworthy.NotAffected {
		t.Errorf("analyses %+v", d.Vulnerabilities)
	}
	const schemas = "../../../shared/data/schemas"
	if _, err := os.Stat(schemas); err != nil {
		t.Skipf("SKIPPED: the official schemas are missing: %v", err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for file, url := range map[string]string{
		"cyclonedx-bom-1.6.schema.json": "http://cyclonedx.org/schema/bom-1.6.schema.json", "cyclonedx-spdx.schema.json": "http://cyclonedx.org/schema/spdx.schema.json",
		"cyclonedx-jsf-0.82.schema.json": "http://cyclonedx.org/schema/jsf-0.82.schema.json",
	} {
		f, err := os.Open(filepath.Join(schemas, file))
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
	doc, err := jsonschema.UnmarshalJSON(&b)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(doc); err != nil {
		t.Error(err)
	}
}

func TestReportIsReadBack(t *testing.T) {
	r := sample(t, nil)
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if !IsReport(b) {
		t.Error("it does not look like a report")
	}
	got, err := ReadReport(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if d := Compare(r, got); len(d.New)+len(d.Gone)+len(d.Changed) > 0 || d.Same != 3 || d.Worsened() {
		t.Errorf("read back it is another: %+v", d)
	}
	if _, err := ReadReport(strings.NewReader(`{"format":"x"}`)); seaworthy.CodeOf(err) != seaworthy.Invalid {
		t.Errorf("another format: %v", err)
	}
}

func TestCompare(t *testing.T) {
	before, after := sample(t, nil), sample(t, func(o *Options) { o.Licences = nil })
	after.Findings = append([]seaworthy.Finding{}, after.Findings[1:]...)
	after.Findings[0].Severity = seaworthy.SeverityHigh
	after.Findings[1].Version = "3.1"
	after.Findings[1].Package = "pkg:npm/c@3.1"
	after.Findings = append(after.Findings, seaworthy.Finding{ID: "CVE-2025-9", Package: "pkg:npm/new@1", Name: "new", Version: "1"})
	d := Compare(before, after)
	if len(d.New) != 1 || d.New[0].ID != "CVE-2025-9" || len(d.Gone) != 1 || d.Gone[0].ID != "CVE-2024-1" || d.Same != 1 ||
		len(d.Changed) != 1 || len(d.Changed[0].Worse) != 1 || len(d.LicencesCleared) != 1 || !d.Worsened() {
		t.Errorf("%+v", d)
	}
}

func TestDecisions(t *testing.T) {
	for text, want := range map[string]Decision{
		"CVE-1=not_affected:component_not_present":            {ID: "CVE-1", Status: seaworthy.NotAffected, Justification: "component_not_present"},
		"CVE-1=not_affected::we: never=affected call it":      {ID: "CVE-1", Status: seaworthy.NotAffected, Words: "we: never=affected call it"},
		"CVE-1@pkg:deb/debian/x@1?arch=amd64=affected::later": {ID: "CVE-1", Package: "pkg:deb/debian/x@1?arch=amd64", Status: seaworthy.Affected, Words: "later"},
		"CVE-1=fixed": {ID: "CVE-1", Status: seaworthy.FixedStatus},
	} {
		if got, err := ParseDecision(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "CVE-1", "CVE-1=", "CVE-1=maybe", "=fixed", "CVE-1@x=fixed", "CVE-1=not_affected", "CVE-1=not_affected:nonsense", "CVE-1=fixed:component_not_present"} {
		if d, err := ParseDecision(bad); seaworthy.CodeOf(err) != seaworthy.Usage || seaworthy.HintOf(err) == "" {
			t.Errorf("%q: %+v, %v", bad, d, err)
		}
	}
}

func TestTriageReplacesAndAdds(t *testing.T) {
	r := sample(t, nil)
	decide := func(text string) []Decision {
		d, err := ParseDecision(text)
		if err != nil {
			t.Fatal(err)
		}
		return []Decision{d}
	}
	first, err := r.Triage(nil, "Example", decide("GHSA-aaaa-bbbb-cccc=under_investigation"))
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Statements) != 1 || first.Statements[0].Vulnerability.Name != "CVE-2024-1" || first.Statements[0].Products[0].Subcomponents[0].ID != "pkg:pypi/alpha@1.0" {
		t.Errorf("%+v", first)
	}
	second, err := r.Triage(first, "", append(decide("CVE-2024-1@pkg:pypi/alpha=not_affected:component_not_present"), decide("CVE-2024-2=affected")...))
	if err != nil {
		t.Fatal(err)
	}
	if len(second.Statements) != 2 || second.Statements[0].Status != seaworthy.NotAffected || second.ID != first.ID || second.Author != "Example" {
		t.Errorf("%+v", second)
	}
	if _, err := r.Triage(nil, "", decide("CVE-1999-1=fixed")); seaworthy.CodeOf(err) != seaworthy.NotFound {
		t.Errorf("about nothing: %v", err)
	}
}

func TestHTMLIsOnePage(t *testing.T) {
	var b, again bytes.Buffer
	r := sample(t, nil)
	if err := r.HTML(&b); err != nil {
		t.Fatal(err)
	}
	if err := r.HTML(&again); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Errorf("the same report gives other bytes (%v)", err)
	}
	for _, want := range []string{"default-src 'none'", "CVE-2024-1", "why it is there", "layer 2: usr/lib/alpha/METADATA", "component_not_present", "AGPL-3.0-only"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, bad := range []string{" src=", "@import", "url(", "<link", "ZgotmplZ"} {
		if strings.Contains(b.String(), bad) && bad != " src=" || strings.Contains(b.String(), "<script src") {
			t.Errorf("the page holds %q", bad)
		}
	}
	// Nothing at all is a page, too.
	if err := New(&seaworthy.Bill{}, match.Result{}, Options{}).HTML(&b); err != nil {
		t.Error(err)
	}
}
