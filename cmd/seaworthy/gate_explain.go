package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/admit"
	"github.com/seaworthy-dev/seaworthy/serve/hook"
)

func newGateExplain(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain IMAGE|FILE",
		Short: "Say why an image may sail or may not: rule, evidence, signer, what is missing, what to do",
		Long: `Explain judges an image, the images of a manifest, or those of an admission review as a cluster sent it, and says rule
by rule on which evidence the answer rests, who signed that, what is missing, and what would change the answer. A review
is judged as at the door: images that are not pinned by digest are refused.

With --kube it explains what is in a cluster, as KIND/NAME, by the policies that are there.

Exit status 0 means that the explanation was given, whatever it says; gate check answers by its exit status.`,
		Example: "  seaworthy gate explain ghcr.io/org/app:1.2 --policy-dir policies\n  seaworthy gate explain review.json --policy-dir policies\n" +
			"  seaworthy gate explain --kube -n prod deployment/web\n  kubectl seaworthy explain pod/web-0",
		Args: takes("seaworthy gate explain ghcr.io/org/app:1.2 --policy-dir policies", "an image, manifest or review"),
	}
	g := a.gateFlags(cmd, true)
	inCluster := a.explainInCluster(cmd)
	out := a.outputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if inCluster.on {
			answers, err := inCluster.explain(cmd.Context(), g, args[0])
			if err != nil {
				return err
			}
			return a.writeJudgements(out, answers, true)
		}
		gate, closeGate, err := g.openGate()
		if err != nil {
			return err
		}
		defer closeGate()
		answers, err := g.explain(cmd.Context(), gate, args[0])
		if err != nil {
			return err
		}
		return a.writeJudgements(out, answers, true)
	}
	return cmd
}

// explain judges what a name stands for: a file with a review or with manifests, or else an image.
func (g *gateFlags) explain(ctx context.Context, gate *admit.Gate, name string) (*judgements, error) {
	if _, err := os.Stat(name); name != "-" && errors.Is(err, fs.ErrNotExist) {
		return g.judgeTarget(ctx, gate, name, nil)
	}
	b, err := g.app.readSmall(name, admit.MaxManifest)
	if err != nil {
		return nil, err
	}
	labels, err := g.namespaceLabels()
	if err != nil {
		return nil, err
	}
	if hook.IsReview(b) {
		r, err := hook.ParseReview(b)
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading %q", name)
		}
		r.NamespaceLabels = labels
		answer, err := gate.Validate(ctx, r)
		if err != nil {
			return nil, err
		}
		out := &judgements{Allowed: answer.Allowed, Images: []judged{}}
		for i, v := range answer.Verdicts {
			out.Images = append(out.Images, judged{r.Resource + "/" + r.Name, answer.Images[i].Field + "." + answer.Images[i].Name, v})
		}
		if len(out.Images) == 0 {
			g.app.note("%s", answer.Why())
		}
		return out, nil
	}
	workloads, err := admit.ReadManifests(name, b)
	if err != nil {
		return nil, err
	}
	return g.judgeTarget(ctx, gate, "", workloads)
}
