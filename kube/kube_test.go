package kube

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/admit"
)

// each reads YAML documents.
func each(t *testing.T, text []byte) (out []*unstructured.Unstructured) {
	t.Helper()
	for part := range strings.SplitSeq("\n"+string(text), "\n---\n") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		var object map[string]any
		if err := yaml.UnmarshalStrict([]byte(part), &object); err != nil {
			t.Fatalf("%v in\n%s", err, part)
		}
		out = append(out, &unstructured.Unstructured{Object: object})
	}
	return out
}

func at(t *testing.T, u *unstructured.Unstructured, path ...string) any {
	t.Helper()
	v, ok, err := unstructured.NestedFieldNoCopy(u.Object, path...)
	if !ok || err != nil {
		t.Fatalf("%s has no %v: %v", u.GetName(), path, err)
	}
	return v
}

func TestCRDs(t *testing.T) {
	text, err := CRDs()
	if err != nil {
		t.Fatal(err)
	}
	crds := each(t, text)
	if len(crds) != len(Kinds) {
		t.Fatalf("%d definitions, %d kinds", len(crds), len(Kinds))
	}
	for i, crd := range crds {
		k := Kinds[i]
		if crd.GetName() != k.Resource+"."+k.Group || at(t, crd, "spec", "names", "kind") != k.Name || at(t, crd, "spec", "scope") != "Cluster" {
			t.Errorf("%s is not the definition of %s", crd.GetName(), k.Name)
		}
		stored, names := 0, ""
		versions, _ := at(t, crd, "spec", "versions").([]any)
		for _, v := range versions {
			m := &unstructured.Unstructured{Object: v.(map[string]any)}
			if at(t, m, "storage") == true {
				stored++
			}
			names += at(t, m, "name").(string) + " "
			if at(t, m, "schema", "openAPIV3Schema", "properties", "spec", "x-kubernetes-preserve-unknown-fields") != true {
				t.Errorf("%s drops what it does not know", k.Name)
			}
		}
		if stored != 1 || len(versions) != len(k.Versions) {
			t.Errorf("%s: versions %s, %d of them stored", k.Name, names, stored)
		}
	}
}

func TestManifests(t *testing.T) {
	if _, err := Manifests("gate", nil); seaworthy.CodeOf(err) != seaworthy.Usage || !strings.Contains(err.Error(), "image") {
		t.Errorf("without an image: %v", err)
	}
	if _, err := Manifests("gate", map[string]any{"imag": "x"}); seaworthy.CodeOf(err) != seaworthy.Usage {
		t.Errorf("a value that is not there: %v", err)
	}
	for name, set := range map[string]map[string]any{
		"least": {"image": "registry.example/seaworthy:1"},
		"most": {
			"image": "registry.example/seaworthy:1", "pullSecrets": true, "trustedRoot": "roots", "args": []any{`--x="y"`}, "createNamespace": true,
			"extraVolumes": []any{map[string]any{"name": "e", "emptyDir": map[string]any{}}}, "extraVolumeMounts": []any{map[string]any{"name": "e", "mountPath": "/e"}},
			"tolerations": []any{map[string]any{"operator": "Exists"}}, "priorityClassName": "system-cluster-critical",
		},
	} {
		text, err := Manifests("elsewhere", set)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		kinds := map[string]*unstructured.Unstructured{}
		for _, u := range each(t, text) {
			kinds[u.GetKind()] = u
			if ns := u.GetNamespace(); ns != "" && ns != "elsewhere" {
				t.Errorf("%s: %s is in namespace %q", name, u.GetKind(), ns)
			}
		}
		if _, ok := kinds["Namespace"]; ok != (name == "most") || kinds["Deployment"] == nil || kinds["PodDisruptionBudget"] == nil || kinds["Role"] == nil {
			t.Errorf("%s: kinds %v", name, kinds)
		}
		args, _ := at(t, kinds["Deployment"], "spec", "template", "spec", "containers").([]any)[0].(map[string]any)["args"].([]any)
		if got := args[len(args)-1]; (got == `--x="y"`) != (name == "most") {
			t.Errorf("%s: the last argument is %v", name, got)
		}
		rules, _ := at(t, kinds["ClusterRole"], "rules").([]any)
		if sees := strings.Contains(string(text), "resources: [serviceaccounts, secrets]"); sees != (name == "most") || len(rules) == 0 {
			t.Errorf("%s: sees all secrets: %t", name, sees)
		}
	}
}

// The chart in deploy/chart is what Chart writes: go run ./cmd/seaworthy gate manifests --chart deploy/chart makes it anew.
func TestTheChartIsTheManifests(t *testing.T) {
	files, err := Chart()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("..", "deploy", "chart")
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		have, err := os.ReadFile(path)
		want, ok := files[filepath.ToSlash(name)]
		if err != nil || !ok || !bytes.Equal(have, want) {
			t.Errorf("%s is not what gate manifests --chart writes", path)
		}
		delete(files, filepath.ToSlash(name))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range files {
		t.Errorf("%s is missing from %s", name, dir)
	}
}

// The webhooks' rules and the gate's extractor must speak of the same kinds.
func TestWorkloadsAreWhatTheGateKnows(t *testing.T) {
	resources := map[string]string{
		"Pod": "pods", "PodTemplate": "podtemplates", "ReplicationController": "replicationcontrollers", "ReplicaSet": "replicasets",
		"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets", "Job": "jobs", "CronJob": "cronjobs",
	}
	want := map[string]bool{"/pods/ephemeralcontainers": true}
	for _, k := range admit.Kinds() {
		if resources[k.Kind] == "" {
			t.Errorf("the gate knows %s, which no webhook rule names", k.Kind)
		}
		want[k.Group+"/"+resources[k.Kind]] = true
	}
	have := map[string]bool{}
	for _, w := range Workloads() {
		for _, r := range w.Resources {
			have[w.Group+"/"+r] = true
			if !want[w.Group+"/"+r] {
				t.Errorf("the webhooks ask about %s/%s, in which the gate finds no image", w.Group, r)
			}
		}
	}
	if len(have) != len(want) {
		t.Errorf("webhooks %v, gate %v", have, want)
	}
}

func TestRegistration(t *testing.T) {
	for name, r := range map[string]Registration{
		"no way":   {},
		"two ways": {Service: "s", URL: "https://x"},
		"long":     {URL: "https://x", Timeout: time.Minute},
		"part":     {URL: "https://x", Timeout: 1500 * time.Millisecond},
		"choice":   {URL: "https://x", Namespaces: "some"},
	} {
		if _, err := NewRegistrar(nil, r); seaworthy.CodeOf(err) != seaworthy.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
	g, err := NewRegistrar(nil, Registration{Service: "gate", Namespace: "own", Port: 443, FailOpen: true, Namespaces: OptOut})
	if err != nil {
		t.Fatal(err)
	}
	w := &unstructured.Unstructured{Object: g.webhook("admit", "/validate", []byte("pem"))}
	if at(t, w, "failurePolicy") != "Ignore" || at(t, w, "clientConfig", "service", "path") != "/validate" || at(t, w, "timeoutSeconds") != int64(10) {
		t.Errorf("%v", w.Object)
	}
	text, err := yaml.Marshal(g.selector())
	if err != nil {
		t.Fatal(err)
	}
	for _, exempt := range []string{"kube-system", "own", ExemptLabel} {
		if !strings.Contains(string(text), exempt) {
			t.Errorf("%s is not exempt:\n%s", exempt, text)
		}
	}
	// Policies are never let through unread, also when workloads are.
	if p := g.policies(nil); p["failurePolicy"] != "Fail" {
		t.Errorf("%v", p)
	}
}

func TestBackstopRefusesWhatIsNoRegistry(t *testing.T) {
	for _, r := range []string{"", "/", "nohost", "ghcr.io/acme@sha256:1", `ghcr.io/"+x`, "*.example", "a b.example"} {
		if _, err := Backstop(BackstopOptions{Registries: []string{r}}); seaworthy.CodeOf(err) != seaworthy.Usage {
			t.Errorf("%q: %v", r, err)
		}
	}
	if _, err := Backstop(BackstopOptions{Registries: make([]string, maxRegistries+1)}); seaworthy.CodeOf(err) != seaworthy.TooLarge {
		t.Error(err)
	}
	if _, err := Backstop(BackstopOptions{Namespaces: "all"}); seaworthy.CodeOf(err) != seaworthy.Usage {
		t.Error(err)
	}
	text, err := Backstop(BackstopOptions{Registries: []string{"ghcr.io/acme/", "localhost:5000"}, WarnOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"ghcr.io/acme/","ghcr.io/acme@","ghcr.io/acme:","localhost:5000/"]`, "- Warn"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

func TestPairs(t *testing.T) {
	now := time.Now()
	p, err := newPair([]string{"gate.own.svc", "127.0.0.1"}, now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	other, err := newPair([]string{"gate.own.svc"}, now, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	both := append(bytes.Clone(other.authority), p.authority...)
	served, err := tls.X509KeyPair(p.cert, p.key)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(bundle []byte, host string, at time.Time) error {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(bundle)
		_, err := served.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: at})
		return err
	}
	for host, ok := range map[string]bool{"gate.own.svc": true, "127.0.0.1": true, "other.own.svc": false} {
		if err := verify(both, host, now); (err == nil) != ok {
			t.Errorf("%s: %v", host, err)
		}
	}
	var unknown x509.UnknownAuthorityError
	if err := verify(other.authority, "gate.own.svc", now); !errors.As(err, &unknown) {
		t.Errorf("by the authority of another certificate: %v", err)
	}
	if err := verify(both, "gate.own.svc", now.Add(2*time.Hour)); err == nil {
		t.Error("it is valid for ever")
	}
	if left := believed(both, now.Add(2*time.Minute)); !bytes.Equal(left, p.authority) {
		t.Errorf("an authority whose time is over is believed:\n%s", left)
	}
	if left := believed(append(both, "garbage"...), now); !bytes.Equal(left, both) {
		t.Errorf("believed\n%s", left)
	}
	if _, err := newPair(nil, now, time.Hour); seaworthy.CodeOf(err) != seaworthy.Usage {
		t.Error(err)
	}
}
