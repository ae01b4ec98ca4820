package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/kube"
)

func newGateManifests(a *app) *cobra.Command {
	var (
		image, only, namespace, namespaces, unbound, failure, roots, chart string
		replicas                                                           int
		pullSecrets                                                        bool
		extra                                                              []string
	)
	cmd := &cobra.Command{
		Use:   "manifests",
		Short: "Write what installs the gate in a cluster",
		Long: `Manifests writes what installs the gate in a cluster, for kubectl apply: the definitions of policies, a deployment with
two replicas and what belongs to it, and the rights it needs and no others. The webhooks are not among it: the gate
registers itself when it has read all policies and answers.

With --chart it writes the Helm chart that the manifests are made of into a folder.`,
		Example: "  seaworthy gate manifests --image registry.example/seaworthy@sha256:… | kubectl apply --server-side -f -\n" +
			"  seaworthy gate manifests --only crds | kubectl apply --server-side -f -\n" +
			"  seaworthy gate manifests --chart seaworthy-gate",
		Args: takes("seaworthy gate manifests --image registry.example/seaworthy:1.2"),
	}
	f := cmd.Flags()
	f.StringVar(&image, "image", "", "the gate's image, best by digest")
	f.StringVar(&only, "only", "all", "part to write: all, crds, or gate, which is all but crds")
	f.StringVar(&namespace, "namespace", kube.DefaultNamespace, "namespace to install the gate in")
	f.StringVar(&namespaces, "namespaces", string(kube.OptIn), namespacesHelp)
	f.StringVar(&unbound, "no-match", "deny", "what is said of an image that no policy binds: deny, warn or allow")
	f.StringVar(&failure, "failure-policy", "fail", failureHelp)
	f.StringVar(&roots, "trusted-root", "", "config map, in the gate's namespace, with trusted_root.json")
	f.BoolVar(&pullSecrets, "pull-secrets", false, "let the gate read the pull secrets of all namespaces")
	f.IntVar(&replicas, "replicas", 2, "replicas of the gate")
	f.StringArrayVar(&extra, "arg", nil, "further argument of gate serve; may be repeated")
	f.StringVar(&chart, "chart", "", "folder to write the Helm chart into")
	cmd.RunE = func(*cobra.Command, []string) error {
		if chart != "" {
			return writeChart(chart)
		}
		var out bytes.Buffer
		if !slices.Contains([]string{"all", "crds", "gate"}, only) {
			return seaworthy.Errorf(seaworthy.Usage, "--only %s: it is all, crds or gate", only)
		}
		if _, err := failOpen(failure); err != nil {
			return err
		}
		if only != "gate" {
			crds, err := kube.CRDs()
			if err != nil {
				return err
			}
			out.Write(crds)
		}
		if only != "crds" {
			var args []any
			for _, e := range extra {
				args = append(args, e)
			}
			made, err := kube.Manifests(namespace, map[string]any{
				"image": image, "namespaces": namespaces, "noMatch": unbound, "failurePolicy": failure, "trustedRoot": roots,
				"pullSecrets": pullSecrets, "replicas": replicas, "args": args, "createNamespace": true,
			})
			if err != nil {
				return err
			}
			out.Write(made)
		}
		_, err := out.WriteTo(a.stdout)
		return seaworthy.Wrap(err, seaworthy.Storage, "writing the manifests")
	}
	return cmd
}

// namespacesHelp and failureHelp are what flags mean that several verbs have.
const (
	namespacesHelp = "where to judge: opt-in is in namespaces labelled " + kube.IncludeLabel + "=true, opt-out in all but those labelled " + kube.ExemptLabel + "=true"
	failureHelp    = "what becomes of what the gate does not answer about: fail refuses it, ignore admits it"
)

// failOpen reads --failure-policy. Errors: Usage.
func failOpen(policy string) (bool, error) {
	if policy != "fail" && policy != "ignore" {
		return false, seaworthy.Errorf(seaworthy.Usage, "--failure-policy %s: it is fail or ignore", policy)
	}
	return policy == "ignore", nil
}

func writeChart(dir string) error {
	files, err := kube.Chart()
	if err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return seaworthy.Wrap(err, seaworthy.Storage, "making the folder of %q", path)
		}
		err := console.WriteFile(path, func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
