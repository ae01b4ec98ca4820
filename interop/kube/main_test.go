//go:build kube

package kube

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/seaworthy-dev/seaworthy/kube"
)

// shared is the cluster of all tests; each works in namespaces of its own.
var shared *cluster

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	tools := os.Getenv("SEAWORTHY_KUBE")
	if tools == "" {
		fmt.Fprintln(os.Stderr, "SEAWORTHY_KUBE names no folder with kube-apiserver, kubectl and etcd: run make test-kube")
		return 1
	}
	dir, err := os.MkdirTemp("", "seaworthy-kube-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if shared, err = startCluster(context.Background(), tools, dir); err != nil {
		fmt.Fprintln(os.Stderr, "starting a cluster:", err)
		return 1
	}
	defer shared.stop()
	if err := install(shared, "crds", "gate"); err != nil {
		fmt.Fprintln(os.Stderr, "installing the gate's manifests:", err)
		return 1
	}
	bin := os.Getenv("SEAWORTHY_BIN")
	if bin == "" {
		fmt.Fprintln(os.Stderr, "SEAWORTHY_BIN names no program to test: run make test-kube")
		return 1
	}
	if sea, err = startWorld(bin, filepath.Join(dir, "world")); err != nil {
		fmt.Fprintln(os.Stderr, "starting a registry:", err)
		return 1
	}
	defer sea.registry.kill()
	return m.Run()
}

// install applies parts of what "gate manifests" writes. Nothing runs the deployment in it: the tests are the kubelet.
func install(c *cluster, which ...string) error {
	crds, err := kube.CRDs()
	if err != nil {
		return err
	}
	manifests, err := kube.Manifests(kube.DefaultNamespace, map[string]any{
		"image": "registry.example/seaworthy" + someDigest, "createNamespace": true, "pullSecrets": true,
	})
	if err != nil {
		return err
	}
	for _, part := range which {
		text := map[string][]byte{"crds": crds, "gate": manifests}[part]
		cmd := exec.Command(filepath.Join(c.tools, "kubectl"), "apply", "--server-side", "-f", "-")
		cmd.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig("admin"), "HOME="+c.dir)
		cmd.Stdin = bytes.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	return nil
}
