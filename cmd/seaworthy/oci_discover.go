package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy/engine/discover"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

func newOCIDiscover(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "discover IMAGE",
		Short: "Show everything that refers to an image, in one tree",
		Long: `Shows everything that refers to an image, and what refers to that: what the registry's referrers API lists, what the
tag sha256-<hex> lists where there is no such API, cosign's tags .sig, .att and .sbom, and attestations beside the
images of an index. Nothing is verified here.

A listing that could not be had is an error; nothing found is said plainly.

` + placeHelp,
		Example: "  seaworthy oci discover registry.example/app:1.2\n  seaworthy oci discover registry.example/app:1.2 -o json",
		Args:    takes("seaworthy oci discover registry.example/app:1.2", "an image"),
	}
	flags := a.ociFlags(cmd)
	kind := cmd.Flags().String("type", "", "only what is of this artifact type")
	out := a.outputFlag(cmd, "tree", "table", "json", "dot")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return flags.at(cmd.Context(), args[0], func(p *oci.Opened, o oci.Options) error {
			bar := a.progress.Start("looking for what refers to "+args[0], 0, console.Things)
			defer bar.Done()
			t, err := discover.Find(cmd.Context(), p, p.Name, discover.Options{Platform: o.Platform, ArtifactType: *kind})
			if err != nil {
				return err
			}
			bar.Done()
			t.Reference = args[0]
			return out.Write(a.stdout, func(format string, w io.Writer) error {
				switch format {
				case "table":
					if t.Count == 0 {
						a.note("nothing refers to %s", args[0])
					}
					return t.Table().Write(w)
				case "json":
					return console.JSON(w, t)
				case "dot":
					return t.Dot(w)
				}
				return t.Text(w)
			})
		})
	}
	return cmd
}
