package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/grade"
	"github.com/seaworthy-dev/seaworthy/engine/match"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

const failOnHelp = `--fail-on takes a severity (that one or worse) or a CEL expression over one finding:

  --fail-on high
  --fail-on 'severity >= high && fixable'
  --fail-on 'kev || epss > 0.1 && scope != "test"'

It knows severity, score, epss, percentile, risk (0 to 100), kev, ransomware, fixable, fixed, fix, id,
aliases, purl, name, version, ecosystem, direct, scope, licence, status, path, layer and depth. Exit status 2 means
that a finding matched, or that a licence is denied.`

func newScan(a *app) *cobra.Command {
	var (
		failOn string
		author string
	)
	cmd := &cobra.Command{
		Use:   "scan TARGET",
		Short: "Known vulnerabilities and licences, with a grade",
		Long: `Scan looks up what is in an image, archive, directory, file or bill in the advisory database, and says which packages
are known to be vulnerable, how bad that is, what repairs it and why the package is there. Nothing is fetched.

` + targetHelp + `
A file that is a bill is read as one.

` + failOnHelp + `

--vex names OpenVEX or CycloneDX documents. A statement speaks of a finding when it names the vulnerability and the
package, or what was scanned. Of several the latest wins; at the same time the one about the more specific product;
then the one given last. not_affected and fixed take the finding away (--show-suppressed lists it, with the reason);
affected and under_investigation keep it.

The grade: each finding costs points (critical 40, high 10, medium 3, low 1), twice when it is known to be exploited,
half without a repair, a quarter in development dependencies; a denied licence costs 10. A is below 10, B below 40, C
below 120, D below 400. What is known to be exploited allows no better than D.`,
		Example: "  seaworthy scan debian:12\n  seaworthy scan app.spdx.json --fail-on 'severity >= high && fixable'\n  seaworthy scan . --vex ours.vex.json -o html=report.html",
		GroupID: lookGroup,
		Args:    takes("seaworthy scan debian:12", "a target"),
	}
	scanning := a.scanningFlags(cmd)
	out := a.outputFlag(cmd, "table", "text", "json", "jsonl", "yaml", "html", "sarif", "csv", "markdown", "cyclonedx", "openvex")
	cmd.Flags().StringVar(&failOn, "fail-on", "", "end with exit status 2 if a finding is this bad: a severity, or a CEL expression")
	cmd.Flags().StringVar(&author, "author", "", "who answers for an OpenVEX document")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var condition *match.FailOn
		if failOn != "" {
			var err error
			if condition, err = match.ParseFailOn(failOn); err != nil {
				return err
			}
		}
		report, err := scanning.report(cmd, args[0])
		if err != nil {
			return err
		}
		if condition != nil {
			if report.FailOn, err = judge(report.Findings, condition); err != nil {
				return err
			}
		}
		if err := a.writeReport(out, report, author); err != nil {
			return err
		}
		return answer(report)
	}
	cmd.AddCommand(newScanTriage(a), newScanDiff(a))
	return cmd
}

// judge asks the condition about every finding.
func judge(findings []seaworthy.Finding, condition *match.FailOn) (*grade.Verdict, error) {
	v := &grade.Verdict{Expression: condition.String()}
	for i := range findings {
		matched, err := condition.Match(&findings[i])
		if err != nil {
			return nil, err
		}
		if matched {
			v.Matched++
		}
	}
	v.OK = v.Matched == 0
	return v, nil
}

// answer is the error of a scan whose answer is no, or of one that could not look at everything.
func answer(r *grade.Report) error {
	denied := 0
	for i := range r.Licences {
		if r.Licences[i].Verdict == grade.Denied {
			denied += len(r.Licences[i].Packages)
		}
	}
	switch {
	case r.FailOn != nil && !r.FailOn.OK:
		return seaworthy.Errorf(seaworthy.Refused, "%d of %d findings match --fail-on %q", r.FailOn.Matched, len(r.Findings), r.FailOn.Expression).
			WithHint("update what can be repaired, or say why it does not matter: seaworthy scan triage")
	case denied > 0:
		return seaworthy.Errorf(seaworthy.Refused, "%d packages are under licences that the policy denies", denied)
	case r.Incomplete:
		return incomplete(r.Problems)
	}
	return nil
}

func (a *app) writeReport(out *console.Outputs, r *grade.Report, author string) error {
	return out.Write(a.stdout, func(format string, w io.Writer) error {
		switch format {
		case "json":
			return console.JSON(w, r)
		case "jsonl":
			return console.JSONL(w, r.Findings)
		case "yaml":
			return console.YAML(w, r)
		case "text":
			return r.Text(w)
		case "html":
			return r.HTML(w)
		case "sarif":
			return r.SARIF(w)
		case "csv":
			return r.CSV(w)
		case "markdown":
			return r.Markdown(w)
		case "cyclonedx":
			return r.CycloneDX(w)
		case "openvex":
			return r.OpenVEX(w, author)
		}
		return r.Table(w)
	})
}
