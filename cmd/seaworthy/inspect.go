package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/inspect"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

func newInspect(a *app) *cobra.Command {
	var (
		layer      int
		dockerfile string
	)
	cmd := &cobra.Command{
		Use:   "inspect TARGET",
		Short: "What is in it, layer by layer",
		Long: `Inspect says what is in an image, layer by layer: the line that made each layer, the files it added, changed
and removed, the packages it brought with their versions and licences, and what could not be read and why.

` + targetHelp,
		Example: "  seaworthy inspect debian:12\n  seaworthy inspect app.tar -o html=report.html\n  seaworthy inspect oci-dir:./image --layer 3 --files",
		GroupID: lookGroup,
		Args:    takes("seaworthy inspect debian:12", "an image"),
	}
	read := a.readingFlags(cmd)
	out := a.outputFlag(cmd, "text", "json", "yaml", "html")
	f := cmd.Flags()
	f.IntVar(&layer, "layer", 0, "show this layer only, counted from 1")
	f.BoolVar(&read.inspect.Files, "files", false, "list the files each layer added, changed and removed")
	f.StringVar(&dockerfile, "dockerfile", "", "name the line of this Dockerfile that made each layer; nothing is built")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := read.report(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if err := hasLayer(r, layer); err != nil {
			return err
		}
		if dockerfile != "" {
			file, err := a.openFile(dockerfile)
			if err != nil {
				return err
			}
			defer file.Close()
			if err := r.MapDockerfile(file); err != nil {
				return seaworthy.Wrap(err, seaworthy.Invalid, "reading Dockerfile %q", dockerfile)
			}
		}
		err = out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, r.Only(layer))
			case "yaml":
				return console.YAML(w, r.Only(layer))
			case "html":
				return r.Only(layer).HTML(w)
			}
			return r.Text(w, layer)
		})
		if err == nil && r.Incomplete {
			return incomplete(r.Problems)
		}
		return err
	}
	return cmd
}

// hasLayer checks what --layer asks for; 0 asks for all.
func hasLayer(r *inspect.Report, layer int) error {
	switch {
	case layer == 0:
		return nil
	case len(r.Layers) == 0:
		return seaworthy.Errorf(seaworthy.Usage, "--layer %d: %q has no layers", layer, r.Target).WithHint("leave --layer out")
	case layer < 0 || layer > len(r.Layers):
		return seaworthy.Errorf(seaworthy.Usage, "--layer %d: there is no such layer", layer).WithHint("the layers are counted from 1 to %d", len(r.Layers))
	}
	return nil
}
