package grade

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/sarif"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// SARIF writes the findings as SARIF 2.1.0: a rule for each vulnerability, a result for each package it is in,
// with suppressed ones as such. Denied licences are results of the rule "licence-denied".
func (r *Report) SARIF(w io.Writer) error {
	run := sarif.Run{
		Tool:       sarif.Tool{Name: r.Tool.Name, Version: r.Tool.Version, InformationURI: "https://github.com/seaworthy-dev/seaworthy"},
		Properties: map[string]any{"grade": r.Grade.Letter},
	}
	seen := map[string]bool{}
	all := r.all
	if all == nil { // read back from JSON
		all = append(all, r.Findings...)
		all = append(all, r.Suppressed...)
	}
	for _, f := range WorstFirst(all) {
		if !seen[f.ID] {
			seen[f.ID] = true
			run.Rules = append(run.Rules, sarifRule(&f))
		}
		run.Results = append(run.Results, r.sarifResult(&f))
	}
	r.sarifLicences(&run)
	out := bufio.NewWriter(w)
	if err := sarif.Write(out, run); err != nil {
		return err
	}
	return seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing SARIF")
}

func sarifLevel(s seaworthy.Severity) sarif.Level {
	switch s {
	case seaworthy.SeverityCritical, seaworthy.SeverityHigh:
		return sarif.Error
	case seaworthy.SeverityMedium, seaworthy.SeverityUnknown:
		return sarif.Warning
	}
	return sarif.Note
}

// securitySeverity is the number by which code scanning services sort: the CVSS score, else the middle of the
// word's range.
func securitySeverity(f *seaworthy.Finding) string {
	score := f.Score
	if score == 0 {
		score = map[seaworthy.Severity]float64{
			seaworthy.SeverityCritical: 9.5, seaworthy.SeverityHigh: 8, seaworthy.SeverityMedium: 5.5, seaworthy.SeverityLow: 2,
		}[f.Severity]
	}
	return fmt.Sprintf("%.1f", score)
}

func sarifRule(f *seaworthy.Finding) sarif.Rule {
	esc := console.Escape
	short := esc(f.Summary)
	if short == "" {
		short = esc(f.ID + " in " + f.Name)
	}
	help := short
	if len(f.Aliases) > 0 {
		help += "\nAlso known as " + esc(strings.Join(f.Aliases, ", "))
	}
	rule := sarif.Rule{
		ID: esc(f.ID), Name: "VulnerablePackage", Short: short, Full: short, Help: help, Level: sarifLevel(f.Severity),
		Properties: map[string]any{
			"security-severity": securitySeverity(f), "tags": []string{"security", "vulnerability", f.Severity.String()}, "precision": "very-high",
		},
	}
	for _, u := range f.URLs {
		if strings.HasPrefix(u, "https://") {
			rule.HelpURI = u
			break
		}
	}
	return rule
}

func (r *Report) sarifResult(f *seaworthy.Finding) sarif.Result {
	esc := console.Escape
	repair := "no repaired version is known"
	if f.Fixed != "" {
		repair = "repaired in " + f.Fixed
	}
	message := fmt.Sprintf("%s %s is affected by %s (%s): %s.", f.Name, f.Version, f.ID, f.Severity, repair)
	if len(f.Via) > 1 {
		message += " It is there because of " + via(f) + "."
	}
	sum := sha256.Sum256([]byte(f.ID + "\x00" + f.Package + "\x00" + pathOf(f)))
	out := sarif.Result{
		RuleID: esc(f.ID), Level: sarifLevel(f.Severity), Message: esc(message),
		// A place is asked for by every service that shows results; where the package's own is not known, the target stands for it.
		Locations:    []sarif.Location{{Path: cmp.Or(pathOf(f), r.Target), Logical: esc(f.Package), Kind: "package"}},
		Fingerprints: map[string]string{"seaworthy/v1": hex.EncodeToString(sum[:16])},
		Properties:   map[string]any{"risk": f.Risk, "kev": f.KEV != nil, "version": f.Version, "fixed": f.Fixed},
	}
	if n := layerOf(f); n > 0 {
		out.Locations[0].Message = fmt.Sprintf("layer %d of %s", n, esc(r.Target))
	}
	if f.EPSS != nil {
		out.Properties["epss"] = f.EPSS.Probability
	}
	if f.Suppressed != nil {
		out.Suppressions = []sarif.Suppression{{Justification: esc(suppressedWhy(f))}}
	}
	return out
}

func (r *Report) sarifLicences(run *sarif.Run) {
	const id = "licence-denied"
	first := true
	for i := range r.Licences {
		l := &r.Licences[i]
		if l.Verdict != Denied {
			continue
		}
		if first {
			run.Rules = append(run.Rules, sarif.Rule{
				ID: id, Name: "DeniedLicence", Short: "A licence that the policy denies", Level: sarif.Error,
				Properties: map[string]any{"tags": []string{"licence"}},
			})
			first = false
		}
		for _, p := range l.Packages {
			sum := sha256.Sum256([]byte(id + "\x00" + p))
			run.Results = append(run.Results, sarif.Result{
				RuleID: id, Level: sarif.Error, Message: console.Escape(p + " is under " + cmp.Or(l.Licence, "no stated licence") + ": " + l.Reason),
				Locations:    []sarif.Location{{Path: r.Target, Logical: console.Escape(p), Kind: "package"}},
				Fingerprints: map[string]string{"seaworthy/v1": hex.EncodeToString(sum[:16])},
			})
		}
	}
}
