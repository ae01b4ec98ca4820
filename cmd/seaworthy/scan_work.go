package main

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/grade"
	"github.com/seaworthy-dev/seaworthy/engine/match"
	"github.com/seaworthy-dev/seaworthy/format/openvex"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// The verbs that work on what a scan found.

func newScanTriage(a *app) *cobra.Command {
	var (
		file, author string
		set          []string
	)
	cmd := &cobra.Command{
		Use:   "triage TARGET",
		Short: "Write down what was decided about findings, as OpenVEX",
		Long: `Triage scans a target and writes decisions about what was found into an OpenVEX document, which scan --vex then reads.
A decision is ID=STATUS[:JUSTIFICATION[:WORDS]]; ID@PURL=… speaks of one package only. Words for a status without a
justification follow two colons. A document that is there already is added to: a decision replaces an earlier one
about the same vulnerability in the same package. Without --set, what is still undecided is listed.

Statuses: not_affected, affected, fixed, under_investigation. Justifications of not_affected: component_not_present,
vulnerable_code_not_present, vulnerable_code_not_in_execute_path, vulnerable_code_cannot_be_controlled_by_adversary,
inline_mitigations_already_exist.`,
		Example: "  seaworthy scan triage app.spdx.json --vex-out ours.vex.json --author 'Example <security@example.org>' \\\n" +
			"    --set 'CVE-2024-1234=not_affected:vulnerable_code_not_in_execute_path:we never parse XML'",
		Args: takes("seaworthy scan triage debian:12 --vex-out ours.vex.json --set CVE-2024-1234=under_investigation", "a target"),
	}
	scanning := a.scanningFlags(cmd)
	cmd.Flags().StringVar(&file, "vex-out", "", "the OpenVEX document to write, or to add to")
	cmd.Flags().StringVar(&author, "author", "", "who answers for the document")
	cmd.Flags().StringArrayVar(&set, "set", nil, "a decision: ID[@PURL]=STATUS[:JUSTIFICATION[:WORDS]]; may be repeated")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var decisions []grade.Decision
		for _, text := range set {
			d, err := grade.ParseDecision(text)
			if err != nil {
				return err
			}
			decisions = append(decisions, d)
		}
		if len(decisions) > 0 && file == "" {
			return seaworthy.Errorf(seaworthy.Usage, "%s needs --vex-out", cmd.CommandPath()).WithHint("name the file that the decisions go into")
		}
		earlier, err := a.readEarlierVEX(file)
		if err != nil {
			return err
		}
		if earlier != nil && len(decisions) == 0 {
			scanning.vex = append(scanning.vex, file)
		}
		report, err := scanning.report(cmd, args[0])
		if err != nil {
			return err
		}
		if len(decisions) == 0 {
			if err := report.Table(a.stdout); err != nil {
				return err
			}
			a.note("decide with --set 'ID=STATUS:JUSTIFICATION:WORDS' and --vex-out FILE")
			return nil
		}
		document, err := report.Triage(earlier, author, decisions)
		if err != nil {
			return err
		}
		if document.Author == grade.UnknownAuthor {
			a.warn("the document has no author: --author says who answers for it")
		}
		if err := console.WriteFile(file, func(w io.Writer) error { return grade.WriteTriage(w, document) }); err != nil {
			return err
		}
		a.note("%s: %d statements", file, len(document.Statements))
		return nil
	}
	return cmd
}

// readEarlierVEX reads the document that triage adds to; nil when it is not there yet.
func (a *app) readEarlierVEX(file string) (*openvex.Document, error) {
	if file == "" {
		return nil, nil
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	b, err := a.readWhole(file, openvex.MaxBytes)
	if err != nil {
		return nil, err
	}
	d, err := openvex.Parse(b)
	return d, seaworthy.Wrap(err, seaworthy.Invalid, "reading %q to add to it", file)
}

func newScanDiff(a *app) *cobra.Command {
	var (
		exitCode bool
		failOn   string
	)
	cmd := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "What got better or worse from one scan to another",
		Long: `Diff compares two scans. Each is the JSON of an earlier scan (scan -o json), or a target, which is scanned now.
--fail-on asks only about the findings that are new; see seaworthy scan --help for what it takes.`,
		Example: "  seaworthy scan diff app:1.0 app:1.1\n  seaworthy scan diff yesterday.json app:1.1 --fail-on high",
		Args:    takes("seaworthy scan diff app:1.0 app:1.1", "a scan or target", "a second one"),
	}
	scanning := a.scanningFlags(cmd)
	out := a.outputFlag(cmd, "table", "json", "yaml")
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "end with exit status 2 if anything got worse")
	cmd.Flags().StringVar(&failOn, "fail-on", "", "end with exit status 2 if a new finding is this bad: a severity, or a CEL expression")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var condition *match.FailOn
		if failOn != "" {
			var err error
			if condition, err = match.ParseFailOn(failOn); err != nil {
				return err
			}
		}
		var sides [2]*grade.Report
		for i, name := range args {
			var err error
			if sides[i], err = scanning.earlierOrNow(cmd, name); err != nil {
				return err
			}
		}
		d := grade.Compare(sides[0], sides[1])
		err := out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, d)
			case "yaml":
				return console.YAML(w, d)
			}
			return d.Table(w)
		})
		if err != nil {
			return err
		}
		if condition != nil {
			verdict, err := judge(onlyNew(sides[1].Findings, d), condition)
			if err != nil {
				return err
			}
			if !verdict.OK {
				return seaworthy.Errorf(seaworthy.Refused, "%d new findings match --fail-on %q", verdict.Matched, verdict.Expression)
			}
		}
		if exitCode && d.Worsened() {
			return seaworthy.Errorf(seaworthy.Refused, "it got worse: %d new findings, grade %s to %s", len(d.New), d.Before.Grade, d.After.Grade)
		}
		return nil
	}
	return cmd
}

// onlyNew picks the findings that a difference calls new.
func onlyNew(findings []seaworthy.Finding, d *grade.Diff) (out []seaworthy.Finding) {
	isNew := map[[3]string]bool{}
	for _, n := range d.New {
		isNew[[3]string{n.ID, n.Package, n.After}] = true
	}
	for i := range findings {
		if f := &findings[i]; isNew[[3]string{f.ID, f.Package, f.Version}] {
			out = append(out, *f)
		}
	}
	return out
}

// earlierOrNow reads the JSON of a scan, or scans a target.
func (s *scanning) earlierOrNow(cmd *cobra.Command, name string) (*grade.Report, error) {
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
		f, err := s.app.openFile(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in := bufio.NewReader(f)
		if head, _ := in.Peek(256); grade.IsReport(head) {
			r, err := grade.ReadReport(in)
			return r, seaworthy.Wrap(err, seaworthy.Invalid, "reading %q", name)
		}
	}
	return s.report(cmd, name)
}
