//go:build kube

package kube

import (
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy/kube"
)

const (
	someDigest = "@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	podOf      = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"NAME"},"spec":SPEC}`
)

func pod(name, spec string) string {
	return strings.NewReplacer("NAME", name, "SPEC", spec).Replace(podOf)
}

// The backstop alone, without a gate: every place that an image can be in, in every kind.
func TestBackstop(t *testing.T) {
	text, err := kube.Backstop(kube.BackstopOptions{Name: "backstop-test", Namespace: "seaworthy-system", Registries: []string{"good.example/team", "docker.io/library"}})
	if err != nil {
		t.Fatal(err)
	}
	shared.must(t, string(text), "apply", "-f", "-")
	t.Cleanup(func() { shared.unregister(t) })
	shared.namespace(t, "backstop", "policy.sigstore.dev/include=true")
	shared.namespace(t, "backstop-out")
	const good = "good.example/team/app:1" + someDigest
	template := func(image string) string {
		return `{"metadata":{"labels":{"a":"b"}},"spec":{"restartPolicy":"Never","containers":[{"name":"a","image":"` + image + `"}]}}`
	}
	always := func(image string) string { return strings.Replace(template(image), "Never", "Always", 1) }
	selector := `"selector":{"matchLabels":{"a":"b"}}`
	const bad = "good.example/team/app:1"
	refused := map[string]string{
		"container":   pod("x", `{"containers":[{"name":"a","image":"`+good+`"},{"name":"b","image":"`+bad+`"}]}`),
		"init":        pod("x", `{"initContainers":[{"name":"a","image":"`+bad+`"}],"containers":[{"name":"b","image":"`+good+`"}]}`),
		"volume":      pod("x", `{"volumes":[{"name":"v","image":{"reference":"`+bad+`"}}],"containers":[{"name":"b","image":"`+good+`"}]}`),
		"deployment":  `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"x"},"spec":{` + selector + `,"template":` + always(bad) + `}}`,
		"replicaset":  `{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"x"},"spec":{` + selector + `,"template":` + always(bad) + `}}`,
		"daemonset":   `{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"x"},"spec":{` + selector + `,"template":` + always(bad) + `}}`,
		"statefulset": `{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"x"},"spec":{"serviceName":"x",` + selector + `,"template":` + always(bad) + `}}`,
		"job":         `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"x"},"spec":{"template":` + template(bad) + `}}`,
		"cronjob":     `{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"x"},"spec":{"schedule":"* * * * *","jobTemplate":{"spec":{"template":` + template(bad) + `}}}}`,
		"controller":  `{"apiVersion":"v1","kind":"ReplicationController","metadata":{"name":"x"},"spec":{"selector":{"a":"b"},"template":` + always(bad) + `}}`,
		"podtemplate": `{"apiVersion":"v1","kind":"PodTemplate","metadata":{"name":"x"},"template":` + always(bad) + `}`,
	}
	shared.inForce(t, "backstop", refused["container"])
	for name, object := range refused {
		t.Run(name, func(t *testing.T) {
			shared.refused(t, []string{"backstop-test", bad + " is not pinned by digest"}, object, "-n", "backstop", "create", "-f", "-")
			shared.must(t, object, "-n", "backstop-out", "create", "--dry-run=server", "-f", "-")
			shared.must(t, strings.ReplaceAll(object, `"`+bad+`"`, `"`+good+`"`), "-n", "backstop", "create", "--dry-run=server", "-f", "-")
		})
	}
	for image, ok := range map[string]bool{
		"nginx" + someDigest:                              true, // docker.io/library/nginx
		"index.docker.io/library/nginx" + someDigest:      true,
		"grafana/grafana" + someDigest:                    false,
		"good.example/team-evil/app" + someDigest:         false,
		"good.example/team" + someDigest:                  true, // a repository of that name
		"good.example:5000/team/app" + someDigest:         false,
		"evil.example/good.example/team/app" + someDigest: false,
	} {
		object := pod("x", `{"containers":[{"name":"a","image":"`+image+`"}]}`)
		if ok {
			shared.must(t, object, "-n", "backstop", "create", "--dry-run=server", "-f", "-")
		} else {
			shared.refused(t, []string{"a registry that is not allowed"}, object, "-n", "backstop", "create", "--dry-run=server", "-f", "-")
		}
	}

	// What runs already can be labelled and scaled, but brings no other image.
	shared.must(t, "", "label", "namespace", "backstop-out", "policy.sigstore.dev/include=true")
	deployment := refused["deployment"]
	shared.must(t, "", "label", "namespace", "backstop-out", "policy.sigstore.dev/include-")
	shared.must(t, deployment, "-n", "backstop-out", "create", "-f", "-")
	shared.must(t, "", "label", "namespace", "backstop-out", "policy.sigstore.dev/include=true")
	shared.must(t, "", "-n", "backstop-out", "scale", "deployment/x", "--replicas=3")
	shared.refused(t, []string{"not pinned"}, "", "-n", "backstop-out", "set", "image", "deployment/x", "a=good.example/team/app:2")

	shared.must(t, pod("x", `{"containers":[{"name":"a","image":"`+good+`"}]}`), "-n", "backstop", "create", "-f", "-")
	shared.refused(t, []string{"busybox:1 is not pinned"}, "", "-n", "backstop", "debug", "x", "--image=busybox:1")
}
