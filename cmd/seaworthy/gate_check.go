package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/admit"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

func newGateCheck(a *app) *cobra.Command {
	var files []string
	cmd := &cobra.Command{
		Use:   "check [IMAGE]",
		Short: "Ask the policies about an image, or about everything in a manifest",
		Long: `Check asks the policies whether an image may run, or every image in the manifests of -f: of containers, init
containers, ephemeral containers and image volumes, in pods and everything that makes pods. Tags are resolved once, and
judged by what they stand for now. No cluster is needed.

Exit status: 0 everything may sail; 2 something may not.`,
		Example: "  seaworthy gate check ghcr.io/org/app:1.2 --policy-dir policies\n  helm template . | seaworthy gate check -f - --policy-dir policies -n prod",
		Args:    cobra.ArbitraryArgs,
	}
	g := a.gateFlags(cmd, true)
	cmd.Flags().StringArrayVarP(&files, "filename", "f", nil, "file with manifests, as kubectl apply takes it, - for stdin; may be repeated")
	out := a.outputFlag(cmd, "table", "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		image, err := checkTarget(args, files)
		if err != nil {
			return err
		}
		var workloads []*admit.Workload
		for _, name := range files {
			found, err := a.readManifests(name)
			if err != nil {
				return err
			}
			workloads = append(workloads, found...)
		}
		gate, closeGate, err := g.openGate()
		if err != nil {
			return err
		}
		defer closeGate()
		answers, err := g.judgeTarget(cmd.Context(), gate, image, workloads)
		if err != nil {
			return err
		}
		if err := a.writeJudgements(out, answers, false); err != nil {
			return err
		}
		return answers.answer()
	}
	return cmd
}

// checkTarget is the image that was named, or "" when files were. Errors: Usage.
func checkTarget(args, files []string) (string, error) {
	const example = "for example: seaworthy gate check -f deploy.yaml --policy-dir policies"
	switch {
	case len(args) == 0 && len(files) == 0:
		return "", seaworthy.Errorf(seaworthy.Usage, "gate check needs an image, or -f with a manifest").WithHint(example)
	case len(args) > 1:
		return "", seaworthy.Errorf(seaworthy.Usage, "gate check takes one image, but was also given %q", args[1]).WithHint(example)
	case len(args) == 1 && len(files) > 0:
		return "", seaworthy.Errorf(seaworthy.Usage, "gate check was given both the image %q and -f", args[0]).WithHint("ask about one of them")
	case len(args) == 1:
		return args[0], nil
	}
	return "", nil
}

// readManifests reads a file with manifests, and keeps what runs images.
func (a *app) readManifests(name string) ([]*admit.Workload, error) {
	b, err := a.readSmall(name, admit.MaxManifest)
	if err != nil {
		return nil, err
	}
	all, err := admit.ReadManifests(name, b)
	if err != nil {
		return nil, err
	}
	var out []*admit.Workload
	for _, w := range all {
		if w.Known {
			out = append(out, w)
		} else {
			a.detail("%s: %s runs no images", name, w)
		}
	}
	if len(out) == 0 {
		a.warn("%s: nothing in it runs an image", name)
	}
	return out, nil
}

// writeJudgements prints answers; whole says that also the text of those that may sail is wanted.
func (a *app) writeJudgements(out *console.Outputs, j *judgements, whole bool) error {
	return out.Write(a.stdout, func(format string, w io.Writer) error {
		switch format {
		case "json":
			return console.JSON(w, j)
		case "yaml":
			return console.YAML(w, j)
		case "text":
			whole = true
		case "table":
			if err := j.table().Write(w); err != nil {
				return err
			}
		}
		for i := range j.Images {
			v := &j.Images[i].Verdict
			if !whole && v.Allowed && len(v.Warnings) == 0 {
				continue
			}
			if i > 0 || format == "table" {
				if _, err := io.WriteString(w, "\n"); err != nil {
					return seaworthy.Wrap(err, seaworthy.Storage, "writing the answer")
				}
			}
			if err := admit.Explain(w, v, a.stdout.Paint); err != nil {
				return seaworthy.Wrap(err, seaworthy.Storage, "writing the answer")
			}
		}
		return nil
	})
}

// table is a line for each image.
func (j *judgements) table() *console.Table {
	t := console.NewTable("ANSWER", "IMAGE", "DIGEST", "OBJECT", "WHERE", "POLICIES")
	for i := range j.Images {
		v := &j.Images[i].Verdict
		word, style := "yes", console.Green
		switch {
		case !v.Allowed:
			word, style = "no", console.Red
		case len(v.Warnings) > 0:
			word, style = "warns", console.Yellow
		}
		policies := ""
		for n, p := range v.Policies {
			if n > 0 {
				policies += ", "
			}
			policies += p.Policy
		}
		t.AddStyled(console.Cell{Text: word, Style: style}, console.Cell{Text: v.Image}, console.Cell{Text: v.Digest.Short()},
			console.Cell{Text: j.Images[i].Object}, console.Cell{Text: j.Images[i].Field}, console.Cell{Text: policies})
	}
	return t
}
