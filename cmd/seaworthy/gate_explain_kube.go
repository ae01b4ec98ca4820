package main

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy/engine/admit"
	"github.com/seaworthy-dev/seaworthy/kube"
)

// clusterExplain is what "gate explain --kube" is told.
type clusterExplain struct {
	clusterFlags
	on   bool
	home string
}

func (a *app) explainInCluster(cmd *cobra.Command) *clusterExplain {
	c := &clusterExplain{}
	cmd.Flags().BoolVar(&c.on, "kube", false, "explain KIND/NAME of a cluster, by its policies or those of --policy-dir")
	c.add(cmd)
	cmd.Flags().StringVar(&c.home, "gate-namespace", kube.DefaultNamespace, "with --kube: the gate's namespace, where policies keep secrets and config maps")
	return c
}

// explain judges the images of an object in the cluster, with the labels that its namespace has.
func (c *clusterExplain) explain(ctx context.Context, g *gateFlags, name string) (*judgements, error) {
	judge, closeJudge, err := g.openKubeJudge(ctx, &c.clusterFlags, c.home)
	if err != nil {
		return nil, err
	}
	defer closeJudge()
	namespace := cmp.Or(g.namespace, judge.cluster.Namespace)
	object, err := judge.cluster.Object(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	w, err := admit.Extract(object)
	if err != nil {
		return nil, err
	}
	labels, err := judge.labelsOf(ctx, namespace)
	if err != nil {
		return nil, err
	}
	images, verdicts, err := judge.Check(ctx, w, namespace, labels)
	if err != nil {
		return nil, err
	}
	out := &judgements{Allowed: true, Images: []judged{}}
	for i := range images {
		out.Allowed = out.Allowed && verdicts[i].Allowed
		out.Images = append(out.Images, judged{w.String(), images[i].Field + "." + images[i].Name, verdicts[i]})
	}
	return out, nil
}
