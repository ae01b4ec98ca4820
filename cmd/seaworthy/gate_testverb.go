package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/admit"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

func newGateTest(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test DIR",
		Short: "Run test cases for policies",
		Long: `Test runs the cases in the files cases.yaml, *.cases.yaml and *-cases.yaml of a folder, and of the folders below it.
A file of cases names its policies, images and what is expected of each:

    policies: [policies]          # files and folders beside this file; default: the folder policies
    images:                       # optional: layouts that stand for images, so that no registry is asked
      registry.example/app:1: layouts/app
    cases:
      - name: what our CI signed may sail
        image: registry.example/app:1       # or manifest: deploy.yaml, or object: {…}
        namespace: prod
        namespaceLabels: {tier: web}
        expect: admit                       # or refuse, or warn
        reason: signed by                   # what the explanation must contain

Exit status: 0 every case came out as expected; 2 one did not.`,
		Example: "  seaworthy gate test policies",
		Args:    takes("seaworthy gate test policies", "a folder with cases"),
	}
	g := a.gateFlags(cmd, false)
	// The files of cases name the policies.
	_ = cmd.Flags().MarkHidden("policy-dir") // fails only when there is no such flag
	out := a.outputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		files, err := caseFiles(args[0])
		if err != nil {
			return err
		}
		outcomes := []admit.Outcome{}
		for _, file := range files {
			found, err := g.runCases(cmd.Context(), file)
			if err != nil {
				return err
			}
			outcomes = append(outcomes, found...)
		}
		failed := 0
		for i := range outcomes {
			if !outcomes[i].Passed {
				failed++
			}
		}
		err = out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, outcomes)
			case "yaml":
				return console.YAML(w, outcomes)
			}
			return a.writeOutcomes(w, outcomes, failed)
		})
		if err == nil && failed > 0 {
			err = seaworthy.Errorf(seaworthy.Refused, "%d of %d cases did not come out as expected", failed, len(outcomes))
		}
		return err
	}
	return cmd
}

// caseFiles finds the files of cases in a folder. Errors: NotFound, Storage.
func caseFiles(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != dir && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !d.IsDir() && admit.CaseFile(name):
			out = append(out, name)
		}
		return nil
	})
	if os.IsNotExist(err) {
		return nil, seaworthy.Wrap(err, seaworthy.NotFound, "looking for cases in %q", dir)
	}
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "looking for cases in %q", dir)
	}
	if len(out) == 0 {
		return nil, seaworthy.Errorf(seaworthy.NotFound, "looking for cases in %q: there are none", dir).
			WithHint("a file of cases is called cases.yaml, NAME.cases.yaml or NAME-cases.yaml; seaworthy gate test --help shows one")
	}
	return out, nil
}

// runCases runs one file of cases.
func (g *gateFlags) runCases(ctx context.Context, file string) ([]admit.Outcome, error) {
	cases, err := admit.ReadCases(file)
	if err != nil {
		return nil, err
	}
	o, err := g.options()
	if err != nil {
		return nil, err
	}
	if o.Root, err = g.app.trustedRoot(g.root); err != nil {
		return nil, err
	}
	loaded, err := cases.Load(o)
	if err != nil {
		return nil, err
	}
	client, err := g.client()
	if err != nil {
		return nil, err
	}
	registries, closeLayouts, err := cases.Registries(admit.OneClient{Client: client})
	if err != nil {
		client.Close()
		return nil, err
	}
	gate, closeGate, err := g.gateOn(loaded, registries, func() { closeLayouts(); client.Close() })
	if err != nil {
		return nil, err
	}
	defer closeGate()
	return cases.Run(ctx, gate)
}

func (a *app) writeOutcomes(w io.Writer, outcomes []admit.Outcome, failed int) error {
	var b strings.Builder
	for i := range outcomes {
		o := &outcomes[i]
		mark := a.stdout.Paint(console.Green, "pass")
		if !o.Passed {
			mark = a.stdout.Paint(console.Red, "FAIL")
		}
		fmt.Fprintf(&b, "%s  %s: %s\n", mark, console.Escape(o.File), console.Escape(o.Name))
		if !o.Passed {
			for line := range strings.Lines(strings.TrimRight(o.Detail, "\n")) {
				fmt.Fprintf(&b, "      %s\n", console.Escape(strings.TrimRight(line, "\n")))
			}
		}
	}
	fmt.Fprintf(&b, "%d of %d cases came out as expected\n", len(outcomes)-failed, len(outcomes))
	_, err := io.WriteString(w, b.String())
	return seaworthy.Wrap(err, seaworthy.Storage, "writing the outcomes")
}
