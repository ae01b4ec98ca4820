//go:build kube

package kube

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/kube"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// source follows the cluster's policies as the gate's service account.
func source(t *testing.T) (*kube.Source, <-chan *policy.Set, <-chan *root.Root) {
	t.Helper()
	c, err := kube.Connect(kube.ConnectOptions{Kubeconfig: shared.kubeconfig("gate"), Agent: "seaworthy-test"})
	if err != nil {
		t.Fatal(err)
	}
	sets, roots := make(chan *policy.Set, 100), make(chan *root.Root, 100)
	s := kube.NewSource(c, kube.SourceOptions{
		Policy: policy.Options{Namespace: kube.DefaultNamespace}, Agent: "seaworthy-test",
		Use: func(set *policy.Set, r *root.Root) { sets <- set; roots <- r },
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return s, sets, roots
}

func names(set *policy.Set) string {
	var out []string
	for _, p := range set.Policies() {
		out = append(out, p.Kind+"/"+p.Name)
	}
	return strings.Join(out, " ")
}

func TestSourceFollowsTheCluster(t *testing.T) {
	s, sets, roots := source(t)
	t.Cleanup(func() { shared.unregister(t) })
	set := <-sets
	if err := s.Ready(); err != nil || s.Set() == nil {
		t.Fatalf("ready: %v", err)
	}
	if len(set.Policies()) != 0 {
		t.Fatalf("policies: %s", names(set))
	}
	for _, version := range []string{"v1alpha1", "v1beta1"} {
		shared.must(t, strings.ReplaceAll(cipStatic, "VERSION", version), "apply", "-f", "-")
	}
	set = <-sets
	if got := names(set); got != "ClusterImagePolicy/source-static" {
		t.Fatalf("policies: %s", got)
	}
	until(t, "the status", func() (bool, string) {
		out := shared.must(t, "", "get", "cip", "source-static")
		return strings.Contains(out, "True"), out
	})

	// The talk's file, as it is.
	shared.must(t, "", "apply", "-f", testdata(t, "package-verifier.yml"))
	set = <-sets
	if got := names(set); !strings.Contains(got, "Verifier/package-checker") {
		t.Fatalf("policies: %s", got)
	}
	until(t, "the status", func() (bool, string) {
		out := shared.must(t, "", "get", "verifiers")
		return strings.Contains(out, "true"), out
	})
	shared.must(t, "", "delete", "verifiers", "package-checker")
	<-sets

	// A policy whose key is not there yet refuses what it binds, and says why; when the key comes it is sound.
	shared.must(t, cipSecret, "apply", "-f", "-")
	set = <-sets
	if got := names(set); !strings.Contains(got, "source-secret") {
		t.Fatalf("policies: %s", got)
	}
	until(t, "the status", func() (bool, string) {
		out := shared.must(t, "", "get", "cip", "source-secret")
		return strings.Contains(out, "False") && strings.Contains(out, "spec.authorities[0].key.secretRef") && strings.Contains(out, "later-key"), out
	})
	shared.must(t, "", "-n", kube.DefaultNamespace, "create", "secret", "generic", "later-key", "--from-literal=cosign.pub="+sea.key(t, "release"))
	<-sets
	until(t, "the status", func() (bool, string) {
		out := shared.must(t, "", "get", "cip", "source-secret")
		return strings.Contains(out, "True"), out
	})
	// Another trusted root is told with the policies, also when none of them uses it.
	other := new(root.Root)
	s.Trust(other)
	for got := range roots {
		if got == other {
			break
		}
	}
	shared.must(t, "", "delete", "cip", "source-secret", "source-static")
	for set := range sets {
		if len(set.Policies()) == 0 {
			break
		}
	}
}

const cipStatic = `apiVersion: policy.sigstore.dev/VERSION
kind: ClusterImagePolicy
metadata: {name: source-static}
spec:
  images: [{glob: "static.example/**"}]
  authorities: [{static: {action: pass}}]
`

const cipSecret = `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: source-secret}
spec:
  images: [{glob: "secret.example/**"}]
  authorities: [{key: {secretRef: {name: later-key}}}]
`
