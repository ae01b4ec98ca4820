//go:build kube

package kube

import (
	"strings"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy/kube"
)

// A gate that is gone: by default nothing new gets in where it judges, everything else goes on, and it comes back by
// itself.
func TestTheGateIsKilled(t *testing.T) {
	image, digest := sea.image(t, "killed/app", "1", "killed")
	sea.sign(t, image, "release")
	shared.must(t, sea.cip(t, "killed", "killed/"), "apply", "-f", "-")
	shared.namespace(t, "killed", judged)
	shared.namespace(t, "killed-out")
	g := sea.gate(t)
	unsigned, _ := sea.image(t, "killed/app", "2", "unsigned")
	shared.inForce(t, "killed", pod("canary", `{"containers":[{"name":"a","image":"`+unsigned+`"}]}`))
	shared.must(t, "", "-n", "killed", "run", "before", "--image="+image)
	shared.must(t, deployment("before", image), "-n", "killed", "create", "-f", "-")
	g.kill()

	pinned := image + "@" + digest
	shared.refused(t, []string{"failed calling webhook", "gate.seaworthy.dev"}, "", "-n", "killed", "run", "after", "--image="+pinned)
	shared.refused(t, []string{"policies.gate.seaworthy.dev"}, sea.cip(t, "another", "another/"), "create", "-f", "-")
	for _, alive := range [][]string{
		{"-n", "killed", "label", "pod", "before", "x=y"}, // what runs can be looked after
		{"-n", "killed", "annotate", "deployment", "before", "x=y"},
		{"-n", "killed", "delete", "pod", "before", "--grace-period=0", "--force"},
		{"-n", "killed-out", "run", "out", "--image=" + unsigned},
		{"-n", "kube-system", "run", "mend", "--image=" + unsigned},
		{"-n", "kube-system", "delete", "pod", "mend", "--grace-period=0", "--force"},
		{"-n", kube.DefaultNamespace, "rollout", "restart", "deployment/seaworthy-gate"}, // the gate itself first of all
		{"delete", "clusterimagepolicy", "killed"},
	} {
		shared.must(t, "", alive...)
	}

	sea.gate(t) // elsewhere, with the same certificate
	until(t, "the gate is asked again", func() (bool, string) {
		out, err := shared.kubectl(t, "", "-n", "killed", "run", "again", "--image="+image, "--dry-run=server")
		return err == nil, out
	})
}

// With the failure policy "ignore" and the backstop, a gate that is gone lets in what is pinned and comes from an allowed
// registry, and nothing else.
func TestTheBackstopIsWhatIsLeft(t *testing.T) {
	image, digest := sea.image(t, "left/app", "1", "left")
	sea.sign(t, image, "release")
	unsigned, unsignedDigest := sea.image(t, "left/app", "2", "unsigned")
	shared.must(t, sea.cip(t, "left", "left/"), "apply", "-f", "-")
	shared.must(t, sea.run(t, "", "gate", "backstop", "--registry", sea.host+"/left"), "apply", "-f", "-")
	shared.namespace(t, "left", judged)
	g := sea.gate(t, "--failure-policy", "ignore")
	shared.inForce(t, "left", pod("canary", `{"containers":[{"name":"a","image":"elsewhere.example/x:1`+someDigest+`"}]}`))
	until(t, "the gate judges", func() (bool, string) {
		out, err := shared.kubectl(t, "", "-n", "left", "run", "unsigned", "--image="+unsigned, "--dry-run=server")
		return err != nil && strings.Contains(out, "admit.gate.seaworthy.dev"), out
	})
	shared.must(t, "", "-n", "left", "run", "tag", "--image="+image) // pinned by the gate before the backstop looks
	g.kill()
	shared.refused(t, []string{"backstop", "not pinned by digest"}, "", "-n", "left", "run", "after", "--image="+image)
	shared.refused(t, []string{"backstop", "a registry that is not allowed"}, "", "-n", "left", "run", "after", "--image=elsewhere.example/x"+someDigest)
	shared.must(t, "", "-n", "left", "run", "after", "--image="+image+"@"+digest)
	// Signatures are what is not looked at then.
	shared.must(t, "", "-n", "left", "run", "unsigned", "--image="+unsigned+"@"+unsignedDigest)
}

// The certificate is renewed several times while reviews go on, and none of them fails.
func TestTheCertificateIsRenewed(t *testing.T) {
	image, _ := sea.image(t, "renewed/app", "1", "renewed")
	sea.sign(t, image, "release")
	shared.must(t, sea.cip(t, "renewed", "renewed/"), "apply", "-f", "-")
	shared.namespace(t, "renewed", judged)
	// The secret of other tests is good for months.
	shared.must(t, "", "-n", kube.DefaultNamespace, "delete", "secret", "seaworthy-gate-tls", "--ignore-not-found")
	t.Cleanup(func() { shared.removeCertificate(t) })
	sea.gate(t, "--tls-lifetime", "15s")
	first, serving := shared.caBundle(t), shared.serving(t)
	renewals := 0
	asked := 0
	for end := time.Now().Add(60 * time.Second); renewals < 2; asked++ {
		if time.Now().After(end) {
			t.Fatal("it is not renewed")
		}
		shared.must(t, "", "-n", "renewed", "run", "x", "--image="+image, "--dry-run=server")
		if now := shared.serving(t); now != serving {
			renewals++
			serving = now
		}
	}
	if now := shared.caBundle(t); now == first {
		t.Error("the API server was not told")
	} else if n := strings.Count(now, "BEGIN CERTIFICATE"); n > 4 {
		t.Errorf("the API server believes %d authorities: old ones are not forgotten", n)
	}
	t.Logf("%d reviews through %d renewals", asked, renewals)
}

// A certificate whose time is over, because the gate was away for long, or that is for another name, is replaced.
func TestTheCertificateIsOfNoUse(t *testing.T) {
	shared.must(t, "", "-n", kube.DefaultNamespace, "delete", "secret", "seaworthy-gate-tls", "--ignore-not-found")
	t.Cleanup(func() { shared.removeCertificate(t) })
	shared.namespace(t, "nouse", judged)
	g := sea.gate(t, "--tls-lifetime", "3s")
	g.kill()
	over := time.Now().Add(3 * time.Second) // at the latest
	until(t, "its time is over", func() (bool, string) { return time.Now().After(over), shared.serving(t) })
	for _, args := range [][]string{nil, {"--addr", "localhost:0"}} {
		g := sea.gate(t, append([]string{"--no-match", "deny"}, args...)...)
		if !strings.Contains(g.said(), "the certificate is of no use") {
			t.Errorf("it was of use:\n%s", g.said())
		}
		shared.inForce(t, "nouse", pod("canary", `{"containers":[{"name":"a","image":"x.example/x:1"}]}`))
		out, _ := shared.kubectl(t, "", "-n", "nouse", "run", "x", "--image=x.example/x:1")
		if !strings.Contains(out, "[seaworthy]") {
			t.Errorf("the gate is not heard: %s", out)
		}
		g.kill()
	}
}

// Two gates share the certificate, and both do what the API server asks of either.
func TestTwoGates(t *testing.T) {
	image, _ := sea.image(t, "two/app", "1", "two")
	sea.sign(t, image, "release")
	shared.must(t, sea.cip(t, "two", "two/"), "apply", "-f", "-")
	shared.namespace(t, "two", judged)
	one := sea.gate(t)
	bundle, status := shared.caBundle(t), func() string {
		return shared.must(t, "", "get", "cip", "two", "-o", "jsonpath={.status.conditions[0].status} {.metadata.resourceVersion}")
	}
	until(t, "the status", func() (bool, string) { s := status(); return strings.HasPrefix(s, "True"), s })
	before := status()
	sea.gate(t)
	if after := shared.caBundle(t); after != bundle {
		t.Error("the second gate has a certificate of its own")
	}
	shared.must(t, "", "-n", "two", "run", "a", "--image="+image)
	if after := status(); after != before {
		t.Errorf("the status is written again: %s, then %s", before, after)
	}
	if err := one.stop(); err != nil {
		t.Error(err)
	}
	shared.must(t, "", "-n", "two", "run", "b", "--image="+image) // the second registered last
}

// An administrator who deletes the registration gets rid of the gate, until it is started anew.
func TestTheRegistrationStaysDeleted(t *testing.T) {
	shared.namespace(t, "deleted", judged)
	shared.must(t, "", "-n", kube.DefaultNamespace, "delete", "secret", "seaworthy-gate-tls", "--ignore-not-found")
	t.Cleanup(func() { shared.removeCertificate(t) })
	g := sea.gate(t, "--tls-lifetime", "9s", "--no-match", "deny")
	shared.inForce(t, "deleted", pod("canary", `{"containers":[{"name":"a","image":"x.example/x:1"}]}`))
	shared.must(t, "", "delete", "validatingwebhookconfiguration,mutatingwebhookconfiguration", "seaworthy-gate")
	if _, err := g.says("somebody deleted the registration"); err != nil { // when the certificate is renewed
		t.Fatal(err)
	}
	shared.must(t, "", "-n", "deleted", "run", "free", "--image=x.example/x:1")
	// Deleting the gate's namespace would do the same: it owns the registration.
	sea.gate(t)
	if owner := shared.must(t, "", "get", "validatingwebhookconfiguration", "seaworthy-gate", "-o", "jsonpath={.metadata.ownerReferences[0].kind}/{.metadata.ownerReferences[0].name}"); owner != "Namespace/"+kube.DefaultNamespace {
		t.Errorf("owner %q", owner)
	}
}
