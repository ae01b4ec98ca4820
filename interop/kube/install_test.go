//go:build kube

package kube

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy/kube"
)

// What the manifests install is what a careful cluster lets run, and may do what it needs and no more.
func TestTheManifestsAreModest(t *testing.T) {
	var deployment struct {
		Spec struct {
			Template struct {
				Metadata map[string]any
				Spec     map[string]any
			}
		}
	}
	out := shared.must(t, "", "-n", kube.DefaultNamespace, "get", "deployment", "seaworthy-gate", "-o", "json")
	if err := json.Unmarshal([]byte(out), &deployment); err != nil {
		t.Fatal(err)
	}
	deployment.Spec.Template.Metadata["name"] = "gate"
	pod, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": deployment.Spec.Template.Metadata, "spec": deployment.Spec.Template.Spec,
	})
	if err != nil {
		t.Fatal(err)
	}
	// The namespace enforces the pod security standard "restricted".
	if out := shared.must(t, string(pod), "-n", kube.DefaultNamespace, "create", "--dry-run=server", "-f", "-"); strings.Contains(out, "Warning") {
		t.Errorf("%s", out)
	}
	shared.refused(t, []string{"PodSecurity"}, "", "-n", kube.DefaultNamespace, "run", "x", "--image=x.example/x:1", "--dry-run=server")
	for question, want := range map[string]string{
		"list clusterimagepolicies.policy.sigstore.dev":                  "yes",
		"patch verifiers.config.ratify.deislabs.io --subresource=status": "yes",
		"patch validatingwebhookconfigurations/seaworthy-gate":           "yes",
		"update secrets/seaworthy-gate-tls -n " + kube.DefaultNamespace:  "yes",
		"patch clusterimagepolicies.policy.sigstore.dev":                 "no",
		"delete clusterimagepolicies.policy.sigstore.dev":                "no",
		"patch validatingwebhookconfigurations/other":                    "no",
		"delete validatingwebhookconfigurations/seaworthy-gate":          "no",
		"list secrets -A":                                  "no",
		"list secrets -n kube-system":                      "no",
		"update secrets/other -n " + kube.DefaultNamespace: "no",
		"create pods -n " + kube.DefaultNamespace:          "no",
		"list pods -A":                                     "no",
		"create clusterrolebindings":                       "no",
		"patch namespaces/x":                               "no",
	} {
		out, _ := shared.kubectl(t, "", append([]string{"auth", "can-i", "--as", gateUser}, strings.Fields(question)...)...)
		if got, _, _ := strings.Cut(out, "\n"); got != want {
			t.Errorf("%s: %q, want %s", question, out, want)
		}
	}
}

// With opt-out, a namespace is judged unless it says otherwise.
func TestOptOut(t *testing.T) {
	shared.namespace(t, "optout")
	shared.namespace(t, "optout-not", kube.ExemptLabel+"=true")
	sea.gate(t, "--namespaces", "opt-out", "--no-match", "deny")
	shared.inForce(t, "optout", pod("canary", `{"containers":[{"name":"a","image":"x.example/x:1"}]}`))
	shared.must(t, "", "-n", "optout-not", "run", "x", "--image=x.example/x:1")
	for _, system := range kube.System() {
		if _, err := shared.kubectl(t, "", "get", "namespace", system); err == nil {
			shared.must(t, "", "-n", system, "run", "x", "--image=x.example/x:1", "--dry-run=server")
		}
	}
}

// A gate is not registered, and so stands in nobody's way, before it has read all policies; and an API server that goes
// away and comes back is followed again.
func TestBeginningsAndInterruptions(t *testing.T) {
	c, err := startCluster(t.Context(), shared.tools, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.stop)
	if err := install(c, "gate"); err != nil {
		t.Fatal(err)
	}
	c.namespace(t, "begin", judged)
	g := sea.start(t, c, "--no-match", "deny")
	if _, err := g.says("the cluster does not know TrustRoot"); err != nil {
		t.Fatal(err)
	}
	c.must(t, "", "-n", "begin", "run", "early", "--image=x.example/x:1")
	if out := c.must(t, "", "get", "validatingwebhookconfigurations,mutatingwebhookconfigurations"); !strings.Contains(out, "No resources") {
		t.Errorf("it is registered before it can judge: %s", out)
	}
	if err := install(c, "crds"); err != nil {
		t.Fatal(err)
	}
	if _, err := g.says("the gate is registered"); err != nil {
		t.Fatal(err)
	}
	c.inForce(t, "begin", pod("canary", `{"containers":[{"name":"a","image":"x.example/x:1"}]}`))

	if err := c.restart(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, c.said("kube-apiserver"))
	}
	c.inForce(t, "begin", pod("canary", `{"containers":[{"name":"a","image":"x.example/x:1"}]}`))
	c.must(t, `{"apiVersion":"policy.sigstore.dev/v1beta1","kind":"ClusterImagePolicy","metadata":{"name":"later"},"spec":{
		"images":[{"glob":"x.example/**"}],"authorities":[{"static":{"action":"fail","message":"seen after the interruption"}}]}}`, "apply", "-f", "-")
	until(t, "a policy that came after the interruption", func() (bool, string) {
		out, err := c.kubectl(t, "", "-n", "begin", "run", "x", "--image=x.example/x@sha256:"+strings.Repeat("a", 64), "--dry-run=server")
		return err != nil && strings.Contains(out, "seen after the interruption"), out
	})
	if err := g.stop(); err != nil {
		t.Error(err)
	}
}
