package main

import (
	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/kube"
)

func newGateBackstop(a *app) *cobra.Command {
	var (
		o          kube.BackstopOptions
		namespaces string
	)
	cmd := &cobra.Command{
		Use:   "backstop",
		Short: "Write what guards a cluster when the gate is down",
		Long: `Backstop writes a ValidatingAdmissionPolicy and its binding, for kubectl apply. The API server itself then refuses
images that are not named by digest, or that come from elsewhere, also while no gate answers: in containers, init
containers, ephemeral containers and image volumes, of pods and of everything that makes pods.

While the gate answers it is not noticed: tags have been pinned by the time that the API server looks. With a gate that
is registered with --failure-policy ignore, it is what is left when the gate is down: what is pinned and comes from an
allowed registry gets in, and nothing else does.`,
		Example: "  seaworthy gate backstop --registry ghcr.io/acme --registry registry.k8s.io | kubectl apply -f -",
		Args:    takes("seaworthy gate backstop --registry ghcr.io/acme"),
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.Registries, "registry", nil, "registry that images may come from, or the beginning of a path in one; may be repeated (default any)")
	f.StringVar(&o.Name, "name", "seaworthy-backstop", "name of the policy and its binding")
	f.StringVar(&o.Namespace, "namespace", kube.DefaultNamespace, "the gate's namespace, which is exempt")
	f.StringVar(&namespaces, "namespaces", string(kube.OptIn), namespacesHelp)
	f.BoolVar(&o.WarnOnly, "warn", false, "warn instead of refusing")
	cmd.RunE = func(*cobra.Command, []string) error {
		o.Namespaces = kube.Watch(namespaces)
		text, err := kube.Backstop(o)
		if err != nil {
			return err
		}
		_, err = a.stdout.Write(text)
		return seaworthy.Wrap(err, seaworthy.Storage, "writing the policy")
	}
	return cmd
}
