package match_test

import (
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/match"
)

func TestFailOn(t *testing.T) {
	f := &seaworthy.Finding{
		ID: "CVE-2024-1", Aliases: []string{"GHSA-1"}, Package: "pkg:npm/name@1.0.0", Name: "name", Version: "1.0.0", Ecosystem: "npm",
		Severity: seaworthy.SeverityHigh, Score: 8.1, Fix: seaworthy.FixAvailable, Fixed: "1.1.0", Risk: 42,
		EPSS: &seaworthy.EPSS{Probability: 0.2, Percentile: 0.9}, KEV: &seaworthy.KEV{Ransomware: true}, Direct: true, Licence: "MIT",
		Via: []string{"a", "b"}, Evidence: []seaworthy.Evidence{{Path: "app/x", Layer: 2, DiffID: "sha256:0"}},
	}
	for expression, want := range map[string]bool{
		"high": true, "HIGH ": true, "critical": false, "low": true, "unknown": true,
		"severity >= high && fixable": true, "severity == critical": false, "severity > medium": true,
		"kev": true, "ransomware && !direct": false, "epss > 0.1": true, "percentile >= 0.95": false, "risk >= 42": true, "score > 8": true,
		`id.startsWith("CVE-") && "GHSA-1" in aliases`: true, `purl.matches("^pkg:npm/")`: true, `licence == "MIT" && scope == "runtime"`: true,
		`path.startsWith("app/") && layer == 2 && depth == 2`: true, `fixed == "" || fix == "wontfix"`: false, `ecosystem == "npm" && name == "name"`: true,
	} {
		e, err := match.ParseFailOn(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if got, err := e.Match(f); err != nil || got != want {
			t.Errorf("%s = %v, %v; want %v", expression, got, err, want)
		}
		suppressed := *f
		suppressed.Suppressed = &seaworthy.Suppressed{}
		if got, _ := e.Match(&suppressed); got {
			t.Errorf("%s: a suppressed finding makes the answer no", expression)
		}
	}
	if e, err := match.ParseFailOn("layer == -1 && epss == 0.0 && !kev"); err != nil {
		t.Error(err)
	} else if got, err := e.Match(&seaworthy.Finding{}); !got || err != nil {
		t.Errorf("an empty finding: %v %v", got, err)
	}
}

func TestFailOnRefusals(t *testing.T) {
	for expression, text := range map[string]string{
		"":                             "0 bytes",
		"bad":                          "undeclared reference to 'bad'",
		"severity >= ":                 "<input>:1:12",
		"severity":                     "want a bool",
		"severity == 'high'":           "no matching overload",
		"env('HOME') == ''":            "undeclared reference to 'env'",
		strings.Repeat("true||", 2000): "12000 bytes",
	} {
		_, err := match.ParseFailOn(expression)
		if seaworthy.CodeOf(err) != seaworthy.Usage || !strings.Contains(err.Error(), text) || seaworthy.HintOf(err) == "" {
			t.Errorf("%.30q: %v, want %q", expression, err, text)
		}
	}
	// Cost is capped: nested loops over a list that an advisory could have made long.
	e, err := match.ParseFailOn("aliases.all(a, aliases.all(b, aliases.all(c, a+b+c == '')))")
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Match(&seaworthy.Finding{ID: "X", Aliases: make([]string, 1000)})
	if seaworthy.CodeOf(err) != seaworthy.Usage || !strings.Contains(err.Error(), "cost limit exceeded") {
		t.Errorf("a costly expression: %v", err)
	}
}

func FuzzFailOn(f *testing.F) {
	for _, s := range []string{"high", "severity >= high && fixable", "kev || epss > 0.1", `purl.matches("(a+)+$")`, "aliases.map(a, a + a).size() > 3"} {
		f.Add(s)
	}
	finding := &seaworthy.Finding{ID: "CVE-1", Aliases: []string{"a", "b"}, Package: strings.Repeat("a", 100)}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := match.ParseFailOn(s)
		if err == nil {
			_, err = e.Match(finding)
		}
		if err != nil && seaworthy.CodeOf(err) != seaworthy.Usage {
			t.Errorf("%q: %v", s, err)
		}
	})
}
