//go:build kube

package kube

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runs makes a pod run, as a scheduler and a kubelet would say: its container pulled what imageID names.
func (c *cluster) runs(t testing.TB, namespace, name, imageID string) {
	t.Helper()
	if _, err := c.kubectl(t, "", "get", "node", "deck"); err != nil {
		c.must(t, `{"apiVersion":"v1","kind":"Node","metadata":{"name":"deck"}}`, "create", "-f", "-")
	}
	c.must(t, `{"apiVersion":"v1","kind":"Binding","metadata":{"name":"`+name+`"},"target":{"apiVersion":"v1","kind":"Node","name":"deck"}}`,
		"create", "--raw", "/api/v1/namespaces/"+namespace+"/pods/"+name+"/binding", "-f", "-")
	c.must(t, "", "-n", namespace, "patch", "pod", name, "--subresource=status", "-p", `{"status":{"phase":"Running","containerStatuses":[
		{"name":"`+name+`","image":"x","imageID":"`+imageID+`","ready":true,"restartCount":0,"state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}}}]}}`)
}

// audited is the part of an audit's JSON that matters here.
type audited struct {
	Pods, Images, Refused, Warned, Unanswered int
	Rows                                      []struct {
		Namespace, Owner, Pod, Where, Image, Running, Answer, Why string
		Pods                                                      int
	}
}

// What runs already is judged by what was pulled, not by what its tag stands for now; nobody needs a gate for it.
func TestAudit(t *testing.T) {
	tag, first := sea.image(t, "audit/app", "1", "first")
	sea.sign(t, tag, "release")
	unsigned, unsignedDigest := sea.image(t, "audit/app", "2", "unsigned")
	shared.namespace(t, "audit")
	shared.must(t, "", "-n", "audit", "run", "good", "--image="+tag)
	shared.must(t, "", "-n", "audit", "run", "moved", "--image="+tag)
	shared.must(t, "", "-n", "audit", "run", "bad", "--image="+unsigned)
	shared.must(t, "", "-n", "audit", "run", "done", "--image="+unsigned)
	for i := range 5 {
		shared.must(t, "", "-n", "audit", "run", fmt.Sprint("more-", i), "--image="+tag)
	}
	repository := sea.host + "/audit/app"
	shared.runs(t, "audit", "good", repository+"@"+first)
	shared.runs(t, "audit", "moved", "docker-pullable://"+repository+"@"+unsignedDigest) // the tag stood for this once
	shared.runs(t, "audit", "bad", repository+"@"+unsignedDigest)
	shared.must(t, "", "-n", "audit", "patch", "pod", "done", "--subresource=status", "-p", `{"status":{"phase":"Failed"}}`)

	shared.must(t, sea.cip(t, "audit", "audit/"), "apply", "-f", "-")
	t.Cleanup(func() { shared.unregister(t) })
	flags := []string{"gate", "audit", "--kubeconfig", shared.kubeconfig("admin"), "--no-match", "allow", "-n", "audit", "--page", "2"}
	out, talk, status := sea.try(t, "", append(flags, "-o", "json", "--all")...)
	var got audited
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != 2 {
		t.Fatalf("status %d, %v\n%s%s", status, err, out, talk)
	}
	if got.Pods != 8 || got.Images != 8 || got.Refused != 2 || len(got.Rows) != 8 {
		t.Errorf("%+v", got)
	}
	for _, r := range got.Rows {
		refused := r.Pod == "bad" || r.Pod == "moved"
		if (r.Answer == "no") != refused || refused && !strings.Contains(r.Why, "policy audit") {
			t.Errorf("%+v", r)
		}
	}
	if s := shared.must(t, "", "get", "cip", "audit", "-o", "jsonpath={.status}"); s != "" {
		t.Errorf("an audit writes into the cluster: %s", s)
	}
	for _, format := range []string{"table", "jsonl"} {
		out, talk, status := sea.try(t, "", append(flags, "-o", format)...)
		if status != 2 || !strings.Contains(out, "moved") || strings.Contains(out, "Pod/good") || strings.Contains(out, "Pod/done") || !strings.Contains(talk, "2 of 8 images") {
			t.Errorf("%s: status %d\n%s%s", format, status, out, talk)
		}
	}

	// A policy that is not in the cluster yet.
	policies := t.TempDir()
	writeFile(t, filepath.Join(policies, "all.yaml"), strings.Replace(sea.cip(t, "tomorrow", "audit/"), "spec:\n", "spec:\n  mode: warn\n", 1))
	out, talk, status = sea.try(t, "", append(flags, "--policy-dir", policies, "-o", "json")...)
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != 0 || got.Refused != 0 || got.Warned != 2 {
		t.Errorf("status %d, %+v, %v\n%s", status, got, err, talk)
	}
}

// "kubectl seaworthy explain pod/x" is the program by another name.
func TestExplainAsAPlugin(t *testing.T) {
	signed, digest := sea.image(t, "explain/app", "1", "signed")
	sea.sign(t, signed, "release")
	unsigned, _ := sea.image(t, "explain/app", "2", "unsigned")
	shared.namespace(t, "explain")
	shared.must(t, "", "-n", "explain", "run", "bad", "--image="+unsigned)
	shared.must(t, deployment("web", signed), "-n", "explain", "create", "-f", "-")
	shared.must(t, sea.cip(t, "explain", "explain/"), "apply", "-f", "-")
	t.Cleanup(func() { shared.unregister(t) })
	plugins := t.TempDir()
	if err := os.Symlink(sea.bin, filepath.Join(plugins, "kubectl-seaworthy")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", plugins+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("NO_COLOR", "1")
	out := shared.must(t, "", "seaworthy", "explain", "pod/bad", "-n", "explain")
	for _, want := range []string{unsigned, "may not sail", "policy explain refuses", "missing", "to mend"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out = shared.must(t, "", "seaworthy", "explain", "deploy/web", "-n", "explain")
	for _, want := range []string{"may sail", digest, "policy explain passes"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	shared.refused(t, []string{`"none"`, "not found"}, "", "seaworthy", "explain", "pod/none", "-n", "explain")
	shared.refused(t, []string{"deployment/web"}, "", "seaworthy", "explain", "service/x", "-n", "explain")
}
