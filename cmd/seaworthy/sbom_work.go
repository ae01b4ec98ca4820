package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/bill"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// The verbs that work on bills that exist.

func newSBOMCheck(a *app) *cobra.Command {
	var standard string
	var least int
	cmd := &cobra.Command{
		Use:     "check BILL",
		Short:   "Grade a bill against a standard of minimum elements",
		Example: "  seaworthy sbom check app.spdx.json --standard cisa2025 --min 90",
		Args:    takes("seaworthy sbom check app.spdx.json", "a bill"),
	}
	out := a.outputFlag(cmd, "table", "json", "yaml")
	cmd.Flags().StringVar(&standard, "standard", string(bill.NTIA), "ntia (2021) or cisa2025 (the draft of August 2025)")
	cmd.Flags().IntVar(&least, "min", 0, "end with exit status 2 if the score is below this percentage")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		b, err := a.readBillFile(args[0])
		if err != nil {
			return err
		}
		grade, err := bill.Check(b, bill.Standard(standard))
		if err != nil {
			return err
		}
		err = out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, grade)
			case "yaml":
				return console.YAML(w, grade)
			}
			return writeGrade(w, grade)
		})
		if err == nil && grade.Score < least {
			return seaworthy.Errorf(seaworthy.Refused, "the bill scores %d%% of %s, %d%% is asked for", grade.Score, standard, least)
		}
		return err
	}
	return cmd
}

// shownGaps is how many components the table names; JSON has them all.
const shownGaps = 20

func writeGrade(w io.Writer, g *bill.Grade) error {
	fmt.Fprintf(w, "%s: %d%% of the elements, over %d components\n\n", g.Standard, g.Score, g.Components)
	t := console.NewTable("ELEMENT", "OF", "THERE", "MISSING")
	for _, e := range g.Elements {
		of := "components"
		if e.OfBill {
			of = "the bill"
		}
		t.Add(e.Name, of, fmt.Sprintf("%d of %d", e.Have, e.Want), fmt.Sprint(e.Want-e.Have))
	}
	if err := t.Write(w); err != nil {
		return err
	}
	if len(g.Gaps) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	gaps := console.NewTable("COMPONENT", "VERSION", "LACKS")
	for i, gap := range g.Gaps {
		if i == shownGaps {
			break
		}
		gaps.Add(gap.Name, gap.Version, strings.Join(gap.Missing, ", "))
	}
	if err := gaps.Write(w); err != nil {
		return err
	}
	if more := len(g.Gaps) - shownGaps; more > 0 {
		fmt.Fprintf(w, "… and %d more; -o json lists them all\n", more)
	}
	return nil
}

func newSBOMConvert(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "convert BILL",
		Short:   "Write a bill in another format",
		Example: "  seaworthy sbom convert app.spdx.json -o cyclonedx-json=app.cdx.json",
		Args:    takes("seaworthy sbom convert app.spdx.json -o cyclonedx-json=app.cdx.json", "a bill"),
	}
	out := a.outputFlag(cmd, billFormats()...)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		b, err := a.readBillFile(args[0])
		if err != nil {
			return err
		}
		return a.writeBill(out, b)
	}
	return cmd
}

func newSBOMMerge(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "merge BILL BILL…",
		Short:   "Make one bill of several",
		Example: "  seaworthy sbom merge web.spdx.json api.cdx.json --name shop -o spdx-json=shop.spdx.json",
		Args:    takesMany("seaworthy sbom merge web.spdx.json api.cdx.json --name shop", "bill"),
	}
	flags := a.billFlags(cmd)
	out := a.outputFlag(cmd, billFormats()...)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		o, err := flags.options()
		if err != nil {
			return err
		}
		var bills []*seaworthy.Bill
		for _, name := range args {
			b, err := a.readBillFile(name)
			if err != nil {
				return err
			}
			bills = append(bills, b)
		}
		merged, err := bill.Merge(bills, o)
		if err != nil {
			return err
		}
		return a.writeBill(out, merged)
	}
	return cmd
}

func newSBOMDiff(a *app) *cobra.Command {
	var exitCode bool
	cmd := &cobra.Command{
		Use:     "diff OLD NEW",
		Short:   "What changed from one bill to another",
		Example: "  seaworthy sbom diff v1.spdx.json v2.spdx.json",
		Args:    takes("seaworthy sbom diff v1.spdx.json v2.spdx.json", "an old bill", "a new one"),
	}
	out := a.outputFlag(cmd, "table", "json", "yaml")
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "end with exit status 2 if anything changed")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		before, err := a.readBillFile(args[0])
		if err != nil {
			return err
		}
		after, err := a.readBillFile(args[1])
		if err != nil {
			return err
		}
		d := bill.Compare(before, after)
		err = out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, d)
			case "yaml":
				return console.YAML(w, d)
			}
			return writeDiff(w, d)
		})
		if err == nil && exitCode && !d.Empty() {
			return seaworthy.Errorf(seaworthy.Refused, "%d added, %d removed, %d changed", len(d.Added), len(d.Removed), len(d.Changed))
		}
		return err
	}
	return cmd
}

func writeDiff(w io.Writer, d *bill.Diff) error {
	t := console.NewTable("", "NAME", "FROM", "TO", "LICENCE")
	for _, p := range d.Removed {
		t.Add("-", p.Name, p.Version, "", p.Licence)
	}
	for _, p := range d.Added {
		t.Add("+", p.Name, "", p.Version, p.Licence)
	}
	for _, c := range d.Changed {
		l := ""
		if c.LicenceFrom != c.LicenceTo {
			l = c.LicenceFrom + " → " + c.LicenceTo
		}
		if c.Content {
			l = strings.TrimSpace(l + " (same version, other content)")
		}
		t.Add("~", c.Name, c.From, c.To, l)
	}
	if t.Len() > 0 {
		if err := t.Write(w); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%d added, %d removed, %d changed, %d the same\n", len(d.Added), len(d.Removed), len(d.Changed), d.Same)
	return err
}
