//go:build kube

package kube

import (
	"strings"
	"testing"
)

// The cluster itself: what the other tests take for granted.
func TestAPIServerAnswers(t *testing.T) {
	if out := shared.must(t, "", "version"); !strings.Contains(out, "Server Version: v1.") {
		t.Errorf("kubectl version: %s", out)
	}
	shared.must(t, "", "create", "namespace", "harness")
	shared.must(t, "", "-n", "harness", "run", "demo", "--image=nginx:latest")
	if out := shared.must(t, "", "-n", "harness", "get", "pod", "demo", "-o", "jsonpath={.spec.containers[0].image}"); out != "nginx:latest" {
		t.Errorf("image %q", out)
	}
	shared.refused(t, []string{"forbidden"}, "", "--token="+gateToken, "--kubeconfig=/dev/null", "--insecure-skip-tls-verify", "--server="+shared.url, "get", "secrets", "-A")
}
