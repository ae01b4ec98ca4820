package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/bill"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// billFlags say what a bill cannot find out itself.
type billFlags struct {
	app           *app
	name, version string
	authors       []string
}

func (a *app) billFlags(cmd *cobra.Command) *billFlags {
	b := &billFlags{app: a}
	f := cmd.Flags()
	f.StringVar(&b.name, "name", "", "what the bill is about (default: as the target is called)")
	f.StringVar(&b.version, "bill-version", "", "version of what the bill is about (default: its tag or digest)")
	f.StringArrayVar(&b.authors, "author", nil, `who answers for the bill: "Organization: Example (sbom@example.com)" or "Person: …"; may be repeated`)
	return b
}

func (b *billFlags) options() (bill.Options, error) {
	o := bill.Options{Name: b.name, Version: b.version, Tool: seaworthy.Tool{Vendor: "seaworthy-dev", Name: "seaworthy", Version: b.app.build.Version}}
	var err error
	if o.Created, err = b.app.created(); err != nil {
		return o, err
	}
	for _, s := range b.authors {
		o.Authors = append(o.Authors, parseParty(s))
	}
	return o, nil
}

// parseParty reads "Organization: Name (mail)", "Person: …" or just a name.
func parseParty(s string) seaworthy.Party {
	p := seaworthy.Party{Kind: seaworthy.Organization, Name: strings.TrimSpace(s)}
	if kind, rest, ok := strings.Cut(s, ":"); ok {
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "person":
			p.Kind, p.Name = seaworthy.Person, strings.TrimSpace(rest)
		case "organization", "organisation":
			p.Name = strings.TrimSpace(rest)
		}
	}
	if i := strings.LastIndexByte(p.Name, '('); i > 0 && strings.HasSuffix(p.Name, ")") {
		p.Email = p.Name[i+1 : len(p.Name)-1]
		p.Name = strings.TrimSpace(p.Name[:i])
	}
	return p
}

func billFormats(first ...string) []string {
	for _, f := range bill.Formats {
		first = append(first, f.Name)
	}
	return first
}

func newSBOM(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sbom TARGET",
		Short: "Write a software bill of materials",
		Long: `Sbom writes the software bill of materials of an image, archive, directory or file, or of another bill.

` + targetHelp + `
A file that is itself a bill is read as one.`,
		Example: "  seaworthy sbom debian:12 -o spdx-json=debian.spdx.json\n  seaworthy sbom . -o cyclonedx-json",
		GroupID: lookGroup,
		Args:    takes("seaworthy sbom debian:12 -o spdx-json=debian.spdx.json", "a target"),
	}
	read := a.readingFlags(cmd)
	flags := a.billFlags(cmd)
	out := a.outputFlag(cmd, billFormats("table")...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		b, broken, err := read.bill(cmd, args[0], flags)
		if err != nil {
			return err
		}
		if err := a.writeBill(out, b); err != nil {
			return err
		}
		if broken {
			return incomplete(b.Problems)
		}
		return nil
	}
	cmd.AddCommand(newSBOMCheck(a), newSBOMConvert(a), newSBOMMerge(a), newSBOMDiff(a))
	return cmd
}

// bill gives the bill of a target: the one that it is, or else one made of what is in it. broken says that
// parts of the target could not be read.
func (r *reading) bill(cmd *cobra.Command, target string, flags *billFlags) (b *seaworthy.Bill, broken bool, err error) {
	b, err = r.app.readIfBill(target)
	if b != nil || err != nil {
		return b, false, err
	}
	o, err := flags.options()
	if err != nil {
		return nil, false, err
	}
	report, err := r.report(cmd.Context(), target)
	if err != nil {
		return nil, false, err
	}
	return bill.FromReport(report, o), report.Incomplete, nil
}

// readIfBill reads target if it is a file with a bill in it; else it gives nil.
func (a *app) readIfBill(target string) (*seaworthy.Bill, error) {
	name := target
	if target != "-" {
		t, err := oci.ParseTarget(target)
		if err != nil || t.Kind != oci.KindFile || t.Forced {
			return nil, nil //nolint:nilerr // whoever reads the target next says what is wrong with it
		}
		name = t.Path
	}
	f, err := a.openFile(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 64<<10)
	if head, _ := in.Peek(64 << 10); target != "-" && !bill.IsBill(head) {
		return nil, nil
	}
	return a.readBill(in, name)
}

// readBill reads a bill and tells how much of it was odd.
func (a *app) readBill(in io.Reader, name string) (*seaworthy.Bill, error) {
	b, err := bill.Read(in, name)
	if err != nil {
		return nil, err
	}
	a.warnOdd(name, b.Problems)
	return b, nil
}

func (a *app) readBillFile(name string) (*seaworthy.Bill, error) {
	f, err := a.openFile(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return a.readBill(f, name)
}

func (a *app) writeBill(out *console.Outputs, b *seaworthy.Bill) error {
	return out.Write(a.stdout, func(format string, w io.Writer) error {
		if format == "table" {
			return billTable(b).Write(w)
		}
		f, err := bill.FormatNamed(format)
		if err != nil {
			return err
		}
		return f.Write(w, b)
	})
}

func billTable(b *seaworthy.Bill) *console.Table {
	t := console.NewTable("NAME", "VERSION", "TYPE", "LICENCE", "FOUND IN")
	for i := range b.Packages {
		p := &b.Packages[i]
		if p.Role == seaworthy.Layer {
			continue
		}
		kind := p.Ecosystem
		if kind == "" {
			kind = string(p.Role)
		}
		l := p.Licences.Concluded
		if l == "" {
			l = p.Licences.Declared
		}
		where := ""
		if len(p.Evidence) > 0 {
			where = p.Evidence[0].Path
			if p.Evidence[0].DiffID != "" {
				where = fmt.Sprintf("layer %d: %s", p.Evidence[0].Layer+1, where)
			}
		}
		t.Add(p.Name, p.Version, kind, l, where)
	}
	return t
}

// warnOdd says how much of a bill was odd; what is merely noted (cycles of dependencies are common) only with
// --verbose.
func (a *app) warnOdd(name string, problems []seaworthy.Problem) {
	var odd []seaworthy.Problem
	for _, p := range problems {
		if p.Code == seaworthy.Noted {
			a.detail("%s: %s: %s", name, p.Where, p.Detail)
			continue
		}
		odd = append(odd, p)
	}
	switch len(odd) {
	case 0:
	case 1:
		a.warn("%s: %s: %s", name, odd[0].Where, odd[0].Detail)
	default:
		a.warn("%s: %d oddities, the first: %s: %s", name, len(odd), odd[0].Where, odd[0].Detail)
	}
}
