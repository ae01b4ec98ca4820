package main

import (
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

func newTrust(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "trust",
		Short:   "Which authorities and logs are believed",
		GroupID: trustGroup,
		Args:    noSuchVerb,
		RunE:    needsVerb,
	}
	cmd.AddCommand(newTrustShow(a), newTrustInit(a), newTrustImport(a))
	return cmd
}

// importedRoot is where trust import keeps the root that is used by default. It need not exist.
func (a *app) importedRoot() (string, error) {
	dir, err := a.dataDir()
	return filepath.Join(dir, "trust", "trusted_root.json"), err
}

// shownRoot is what trust show says of a root.
type shownRoot struct {
	Name    string           `json:"name"`
	Digest  seaworthy.Digest `json:"digest"`
	Newest  time.Time        `json:"newest"` // from when on its newest key is believed
	Entries []root.Entry     `json:"entries"`
}

func newTrustShow(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show [FILE]",
		Short: "The authorities and logs of a trusted root, and when they are believed",
		Long: `Show lists the authorities and logs of a trusted root, and from when to when each is believed. Without FILE that
is the root verify uses: what trust import kept, else the public-good Sigstore instance's as this program carries it.
-o root prints its JSON, for cosign and others.`,
		Example: "  seaworthy trust show\n  seaworthy trust show -o root=trusted_root.json",
		Args:    cobra.MaximumNArgs(1),
	}
	out := a.outputFlag(cmd, "table", "json", "yaml", "root")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		name := ""
		if len(args) > 0 {
			name = args[0]
		}
		r, err := a.trustedRoot(name)
		if err != nil {
			return err
		}
		shown := shownRoot{r.Name(), r.Digest(), r.Newest(), r.Entries()}
		return out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, shown)
			case "yaml":
				return console.YAML(w, shown)
			case "root":
				_, err := w.Write(r.JSON())
				return err
			}
			a.note("%s, %s; its newest key is believed from %s on", shown.Name, shown.Digest, shown.Newest.Format(time.DateOnly))
			table := console.NewTable("role", "where", "from", "until", "key", "id")
			for _, e := range shown.Entries {
				until := ""
				if !e.Until.IsZero() {
					until = e.Until.Format(time.DateOnly)
				}
				table.Add(e.Role, e.URI, e.From.Format(time.DateOnly), until, e.Key, e.ID[:min(len(e.ID), 12)])
			}
			return table.Write(w)
		})
	}
	return cmd
}

func newTrustImport(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "Believe this trusted root from now on",
		Long: `Import checks a trusted root and keeps it: verify uses it from then on when --trusted-root is not given. Where it
came from is for you to know; a root decides what every later answer is worth.`,
		Example: "  seaworthy trust import trusted_root.json",
		Args:    takes("seaworthy trust import trusted_root.json", "a trusted root"),
		RunE: func(_ *cobra.Command, args []string) error {
			b, err := a.readSmall(args[0], root.MaxBytes)
			if err != nil {
				return err
			}
			r, err := root.Parse(args[0], b)
			if err != nil {
				return err
			}
			if len(r.Entries()) == 0 {
				return seaworthy.Errorf(seaworthy.Invalid, "importing %q: it believes nobody", args[0])
			}
			name, err := a.importedRoot()
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				return seaworthy.Wrap(err, seaworthy.Storage, "keeping the trusted root")
			}
			if err := console.WriteFile(name, func(w io.Writer) error {
				_, err := w.Write(b)
				return err
			}); err != nil {
				return err
			}
			a.note("imported %s with %d authorities and logs; remove %q to believe the public-good instance again", r.Digest().Short(), len(r.Entries()), name)
			return nil
		},
	}
}
