//go:build kube

package kube

import (
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy/kube"
)

const judged = kube.IncludeLabel + "=true"

// deployment is one whose pods run an image; cronJob likewise.
func deployment(name, image string) string {
	return `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"` + name + `"},"spec":{"selector":{"matchLabels":{"a":"b"}},
	"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"a","image":"` + image + `"}]}}}}`
}

func cronJob(name, image string) string {
	return `{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"` + name + `"},"spec":{"schedule":"* * * * *","jobTemplate":{"spec":{
	"template":{"spec":{"restartPolicy":"Never","initContainers":[{"name":"i","image":"` + image + `"}],"containers":[{"name":"a","image":"` + image + `"}]}}}}}}`
}

// The whole story: what is signed gets in and is pinned, what is not is refused and told why, in whatever it comes.
func TestTheGate(t *testing.T) {
	signed, digest := sea.image(t, "story/app", "1", "signed")
	unsigned, unsignedDigest := sea.image(t, "story/app", "unsigned", "unsigned")
	strange, _ := sea.image(t, "story/app", "strange", "signed by somebody else")
	sea.sign(t, signed, "release")
	sea.sign(t, strange, "other")
	pinned := signed + "@" + digest

	sea.gate(t)
	shared.must(t, sea.cip(t, "signed-by-release", "story/"), "apply", "-f", "-")
	shared.namespace(t, "story", judged)
	shared.inForce(t, "story", pod("canary", `{"containers":[{"name":"a","image":"`+unsigned+`"}]}`))

	t.Run("unsigned", func(t *testing.T) {
		said := shared.refused(t, []string{"admit.gate.seaworthy.dev", "[seaworthy]", "may not sail", unsigned, unsignedDigest, "signed-by-release", "missing"},
			"", "-n", "story", "run", "unsigned", "--image="+unsigned)
		t.Log(said)
	})
	t.Run("signed by somebody else", func(t *testing.T) {
		t.Log(shared.refused(t, []string{"signed-by-release"}, "", "-n", "story", "run", "strange", "--image="+strange))
	})
	t.Run("signed", func(t *testing.T) {
		shared.must(t, "", "-n", "story", "run", "signed", "--image="+signed)
		if got := shared.image(t, "story", "pod/signed", ".spec.containers[0].image"); got != pinned {
			t.Errorf("image %q, want %q", got, pinned)
		}
	})
	t.Run("not there", func(t *testing.T) {
		t.Log(shared.refused(t, []string{"resolving"}, "", "-n", "story", "run", "absent", "--image="+sea.host+"/story/absent:1"))
	})
	t.Run("templates", func(t *testing.T) {
		for _, object := range []func(string, string) string{deployment, cronJob} {
			shared.refused(t, []string{unsigned}, object("unsigned", unsigned), "-n", "story", "create", "-f", "-")
			shared.must(t, object("signed", signed), "-n", "story", "create", "-f", "-")
		}
		if got := shared.image(t, "story", "deployment/signed", ".spec.template.spec.containers[0].image"); got != pinned {
			t.Errorf("image %q, want %q", got, pinned)
		}
		if got := shared.image(t, "story", "cronjob/signed", ".spec.jobTemplate.spec.template.spec['containers','initContainers'][0].image"); got != pinned+" "+pinned {
			t.Errorf("images %q, want %q twice", got, pinned)
		}
		shared.refused(t, []string{unsigned}, "", "-n", "story", "set", "image", "deployment/signed", "a="+unsigned)
		shared.must(t, "", "-n", "story", "scale", "deployment/signed", "--replicas=2")
	})
	t.Run("ephemeral containers", func(t *testing.T) {
		shared.refused(t, []string{unsigned}, "", "-n", "story", "debug", "signed", "--image="+unsigned)
		shared.must(t, "", "-n", "story", "debug", "signed", "--image="+signed)
		if got := shared.image(t, "story", "pod/signed", ".spec.ephemeralContainers[0].image"); got != pinned {
			t.Errorf("image %q, want %q", got, pinned)
		}
	})
	t.Run("image volumes", func(t *testing.T) {
		with := func(image string) string {
			return pod("volume", `{"volumes":[{"name":"v","image":{"reference":"`+image+`"}}],"containers":[{"name":"a","image":"`+signed+`"}]}`)
		}
		shared.refused(t, []string{unsigned}, with(unsigned), "-n", "story", "create", "-f", "-")
		shared.must(t, with(signed), "-n", "story", "create", "-f", "-")
		if got := shared.image(t, "story", "pod/volume", ".spec.volumes[0].image.reference"); got != pinned {
			t.Errorf("image %q, want %q", got, pinned)
		}
	})
	t.Run("several containers", func(t *testing.T) {
		shared.refused(t, []string{unsigned}, pod("several", `{"containers":[{"name":"a","image":"`+signed+`"},{"name":"b","image":"`+unsigned+`"}]}`),
			"-n", "story", "create", "-f", "-")
	})
	t.Run("a dry run", func(t *testing.T) {
		shared.refused(t, []string{unsigned}, "", "-n", "story", "run", "dry", "--image="+unsigned, "--dry-run=server")
	})
	t.Run("a moved tag", func(t *testing.T) {
		moving, first := sea.image(t, "story/moving", "1", "first")
		sea.sign(t, moving, "release")
		shared.must(t, "", "-n", "story", "run", "first", "--image="+moving)
		sea.image(t, "story/moving", "1", "second, which nobody signed")
		if got := shared.image(t, "story", "pod/first", ".spec.containers[0].image"); got != moving+"@"+first {
			t.Errorf("what was admitted is %q now", got)
		}
		shared.inForce(t, "story", pod("second", `{"containers":[{"name":"a","image":"`+moving+`"}]}`))
		shared.must(t, "", "-n", "story", "run", "pinned", "--image="+moving+"@"+first)
	})
	t.Run("namespaces", func(t *testing.T) {
		shared.namespace(t, "story-out")
		shared.must(t, "", "-n", "story-out", "run", "unsigned", "--image="+unsigned)
		shared.must(t, "", "label", "namespace", "story-out", judged)
		shared.inForce(t, "story-out", pod("again", `{"containers":[{"name":"a","image":"`+unsigned+`"}]}`))
		// What runs there can still be labelled and deleted.
		shared.must(t, "", "-n", "story-out", "label", "pod", "unsigned", "x=y")
		shared.must(t, "", "-n", "story-out", "delete", "pod", "unsigned", "--grace-period=0", "--force")
		shared.must(t, "", "label", "namespace", "story-out", kube.IncludeLabel+"-")
		until(t, "the namespace is let alone", func() (bool, string) {
			out, err := shared.kubectl(t, "", "-n", "story-out", "run", "unsigned", "--image="+unsigned, "--dry-run=server")
			return err == nil, out
		})
		// The gate never judges itself, nor what the cluster needs to mend itself, whatever their labels say.
		for _, exempt := range []string{kube.DefaultNamespace, "kube-system"} {
			shared.must(t, "", "label", "--overwrite", "namespace", exempt, judged)
			shared.must(t, "", "-n", exempt, "run", "unsigned", "--image="+unsigned, "--overrides="+restricted)
			shared.must(t, "", "label", "namespace", exempt, kube.IncludeLabel+"-")
			shared.must(t, "", "-n", exempt, "delete", "pod", "unsigned", "--grace-period=0", "--force")
		}
	})
	t.Run("a policy that only warns", func(t *testing.T) {
		warned, _ := sea.image(t, "warned/app", "1", "warned")
		policy := strings.Replace(sea.cip(t, "only-warns", "warned/"), "spec:\n", "spec:\n  mode: warn\n", 1)
		shared.must(t, policy, "apply", "-f", "-")
		until(t, "the warning", func() (bool, string) {
			out := shared.must(t, "", "-n", "story", "run", "warned", "--image="+warned, "--dry-run=server")
			return strings.Contains(out, "Warning: ") && strings.Contains(out, "only-warns"), out
		})
	})
	t.Run("a policy whose key is missing", func(t *testing.T) {
		lost, _ := sea.image(t, "lost/app", "1", "lost")
		shared.must(t, `{"apiVersion":"policy.sigstore.dev/v1beta1","kind":"ClusterImagePolicy","metadata":{"name":"lost"},"spec":{
			"images":[{"glob":"`+sea.host+`/lost/**"}],"authorities":[{"key":{"secretRef":{"name":"never-made"}}}]}}`, "apply", "-f", "-")
		until(t, "it refuses what it binds", func() (bool, string) {
			out, err := shared.kubectl(t, "", "-n", "story", "run", "lost", "--image="+lost, "--dry-run=server")
			return err != nil && strings.Contains(out, "never-made"), out
		})
		shared.must(t, "", "-n", "story", "run", "still", "--image="+signed, "--dry-run=server") // and nothing else
	})
}

// restricted is what the pod security standard of that name wants of the first container.
const restricted = `{"spec":{"securityContext":{"runAsNonRoot":true,"runAsUser":1000,"seccompProfile":{"type":"RuntimeDefault"}},"containers":[{"name":"unsigned",
	"image":"x.example/x:1","securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]}}}]}}`

// The talk's own file, as it is, on bills that are attached to images.
func TestTheTalksVerifier(t *testing.T) {
	bill := func(name, version, licence string) string {
		return `{"spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT","name":"x","documentNamespace":"https://example.org/` + name + version + `",
		"creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: test"]},"packages":[{"SPDXID":"SPDXRef-P","name":"` + name + `","versionInfo":"` + version + `",
		"downloadLocation":"NOASSERTION","licenseConcluded":"` + licence + `","licenseDeclared":"NOASSERTION","copyrightText":"NOASSERTION"}],
		"relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relatedSpdxElement":"SPDXRef-P","relationshipType":"DESCRIBES"}]}`
	}
	sea.gate(t)
	shared.must(t, "", "apply", "-f", testdata(t, "package-verifier.yml"))
	shared.namespace(t, "talk", judged)
	none, _ := sea.image(t, "talk/none", "1", "without a bill")
	shared.inForce(t, "talk", pod("canary", `{"containers":[{"name":"a","image":"`+none+`"}]}`))
	for name, c := range map[string]struct {
		bill  string
		words []string // of the refusal; none: it is let in
	}{
		"good":    {bill("github.com/stretchr/testify", "v1.9.0", "MIT"), nil},
		"licence": {bill("example.org/strict", "v1.0.0", "AGPL-3.0-or-later"), []string{"package-checker", "AGPL-3.0-or-later", "example.org/strict"}},
		"package": {bill("github.com/mitchellh/mapstructure", "v1.5.0", "MIT"), []string{"package-checker", "mapstructure"}},
		"older":   {bill("github.com/mitchellh/mapstructure", "1.4.0", "MIT"), []string{"package-checker", "mapstructure"}},
	} {
		t.Run(name, func(t *testing.T) {
			image, digest := sea.image(t, "talk/"+name, "1", name)
			file := t.TempDir() + "/bill.spdx.json"
			writeFile(t, file, c.bill)
			sea.run(t, "", "oci", "attach", image, file, "--type", "application/spdx+json")
			if len(c.words) > 0 {
				t.Log(shared.refused(t, c.words, "", "-n", "talk", "run", name, "--image="+image))
				return
			}
			shared.must(t, "", "-n", "talk", "run", name, "--image="+image)
			if got := shared.image(t, "talk", "pod/"+name, ".spec.containers[0].image"); got != image+"@"+digest {
				t.Errorf("image %q", got)
			}
		})
	}
}

// Our own form of policy, as an object of the cluster.
func TestOurOwnPolicy(t *testing.T) {
	image, digest := sea.image(t, "own/app", "1", "own")
	sea.gate(t)
	shared.namespace(t, "own", judged)
	own := func(name, spec string) string {
		return `{"apiVersion":"seaworthy.dev/v1alpha1","kind":"Policy","metadata":{"name":"` + name + `"},"spec":{"images":["` + sea.host + `/own/**"],` + spec + `}}`
	}
	shared.must(t, own("pinned", `"pinnedByDigest":true`), "apply", "-f", "-")
	until(t, "the image is pinned", func() (bool, string) {
		out := shared.must(t, "", "-n", "own", "run", "x", "--image="+image, "--dry-run=server", "-o", "jsonpath={.spec.containers[0].image}")
		return out == image+"@"+digest, out
	})
	shared.must(t, own("registries", `"registries":["elsewhere.example"]`), "apply", "-f", "-")
	shared.inForce(t, "own", pod("canary", `{"containers":[{"name":"a","image":"`+image+`"}]}`))
	t.Log(shared.refused(t, []string{"policy registries", "elsewhere.example"}, "", "-n", "own", "run", "x", "--image="+image))
	shared.must(t, "", "delete", "policies.seaworthy.dev", "registries")
	// One that names a trust root which is not there refuses what it binds, and says so.
	out := shared.must(t, own("rootless", `"trustRoot":"never-made","signedBy":[{"issuer":"https://i.example","identity":"a@example.com"}]`), "apply", "-f", "-")
	if !strings.Contains(out, "Warning: spec.trustRoot") {
		t.Errorf("%s", out)
	}
	until(t, "it refuses what it binds", func() (bool, string) {
		out, err := shared.kubectl(t, "", "-n", "own", "run", "x", "--image="+image, "--dry-run=server")
		return err != nil && strings.Contains(out, "Policy/rootless is not sound") && strings.Contains(out, "never-made"), out
	})
	until(t, "its status", func() (bool, string) {
		out := shared.must(t, "", "get", "policies.seaworthy.dev")
		return strings.Contains(out, "never-made") && strings.Contains(out, "False"), out
	})
}
