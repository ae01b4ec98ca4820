package admit

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
)

const podSpecJSON = `{
	"serviceAccountName": "builder", "imagePullSecrets": [{"name": "one"}, {}, {"name": "two"}],
	"initContainers": [{"name": "i", "image": "init:1"}],
	"containers": [{"name": "a", "image": "app:1"}, {"name": "b", "image": "side@sha256:x"}],
	"ephemeralContainers": [{"name": "e", "image": "debug:1", "targetContainerName": "a"}],
	"volumes": [{"name": "v", "emptyDir": {}}, {"name": "m", "image": {"reference": "model:1", "pullPolicy": "Always"}}]
}`

// Every kind, and every field of a pod's spec that names an image.
func TestExtract(t *testing.T) {
	for _, c := range []struct{ apiVersion, kind, at, object string }{
		{"v1", "Pod", "/spec", `"spec":SPEC`},
		{"v1", "PodTemplate", "/template/spec", `"template":{"spec":SPEC}`},
		{"v1", "ReplicationController", "/spec/template/spec", `"spec":{"template":{"spec":SPEC}}`},
		{"apps/v1", "ReplicaSet", "/spec/template/spec", `"spec":{"replicas":0,"template":{"spec":SPEC}}`},
		{"apps/v1", "Deployment", "/spec/template/spec", `"spec":{"template":{"spec":SPEC}}`},
		{"apps/v1", "StatefulSet", "/spec/template/spec", `"spec":{"template":{"spec":SPEC}}`},
		{"apps/v1", "DaemonSet", "/spec/template/spec", `"spec":{"template":{"spec":SPEC}}`},
		{"batch/v1", "Job", "/spec/template/spec", `"spec":{"template":{"spec":SPEC}}`},
		{"batch/v1", "CronJob", "/spec/jobTemplate/spec/template/spec", `"spec":{"jobTemplate":{"spec":{"template":{"spec":SPEC}}}}`},
		{"batch/v1beta1", "CronJob", "/spec/jobTemplate/spec/template/spec", `"spec":{"jobTemplate":{"spec":{"template":{"spec":SPEC}}}}`},
		{"example.com/v1", "Fleet", "/spec/ship~1s", `"spec":{"ship/s":SPEC}`},
	} {
		t.Run(c.apiVersion+" "+c.kind, func(t *testing.T) {
			object := fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":"web","namespace":"prod","labels":{"a":"b"}},%s}`, c.apiVersion, c.kind, strings.ReplaceAll(c.object, "SPEC", podSpecJSON))
			w, err := Extract([]byte(object), Kind{"example.com", "Fleet", "/spec/ship~1s"})
			if err != nil {
				t.Fatal(err)
			}
			want := []Image{
				{"initContainers", "i", c.at + "/initContainers/0/image", "init:1"},
				{"containers", "a", c.at + "/containers/0/image", "app:1"},
				{"containers", "b", c.at + "/containers/1/image", "side@sha256:x"},
				{"ephemeralContainers", "e", c.at + "/ephemeralContainers/0/image", "debug:1"},
				{"volumes", "m", c.at + "/volumes/1/image/reference", "model:1"},
			}
			if diff := cmp.Diff(want, w.Images); diff != "" {
				t.Error(diff)
			}
			if !w.Known || w.ServiceAccount != "builder" || !cmp.Equal(w.PullSecrets, []string{"one", "two"}) || w.Namespace != "prod" || w.Labels["a"] != "b" {
				t.Errorf("got %+v", w)
			}
			for _, image := range w.Images {
				if got := lookUp(t, object, image.Path); got != image.Image {
					t.Errorf("%s leads to %v", image.Path, got)
				}
			}
		})
	}
}

// lookUp follows a JSON pointer, as who applies a patch does.
func lookUp(t *testing.T, object, pointer string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(object), &v); err != nil {
		t.Fatal(err)
	}
	for _, step := range strings.Split(pointer, "/")[1:] {
		step = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		switch at := v.(type) {
		case map[string]any:
			v = at[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil {
				t.Fatal(err)
			}
			v = at[i]
		}
	}
	return v
}

// What people and other programs send that is not as it should be.
func TestExtractHostile(t *testing.T) {
	pod := func(spec string) string { return `{"apiVersion":"v1","kind":"Pod","spec":` + spec + `}` }
	for name, c := range map[string]struct {
		object string
		code   seaworthy.Code
		images int
	}{
		"nothing":                      {``, seaworthy.Invalid, 0},
		"null":                         {`null`, "", 0},
		"no object":                    {`[]`, seaworthy.Invalid, 0},
		"no spec":                      {`{"apiVersion":"v1","kind":"Pod"}`, "", 0},
		"spec null":                    {pod(`null`), "", 0},
		"spec a string":                {pod(`"x"`), seaworthy.Invalid, 0},
		"containers an object":         {pod(`{"containers":{}}`), seaworthy.Invalid, 0},
		"image a number":               {pod(`{"containers":[{"image":1}]}`), seaworthy.Invalid, 0},
		"image null":                   {pod(`{"containers":[{"image":null}]}`), "", 1},
		"image twice":                  {pod(`{"containers":[{"image":"signed","image":"evil"}]}`), seaworthy.Invalid, 0},
		"containers twice":             {pod(`{"containers":[{"image":"a"}],"containers":[]}`), seaworthy.Invalid, 0},
		"spec twice":                   {`{"apiVersion":"v1","kind":"Pod","spec":{},"spec":{"containers":[{"image":"a"}]}}`, seaworthy.Invalid, 0},
		"another case is another name": {pod(`{"Containers":[{"image":"a"}],"containers":[{"Image":"b"}]}`), "", 1},
		"something follows":            {pod(`{}`) + `{}`, seaworthy.Invalid, 0},
		"cut":                          {`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"image":"a`, seaworthy.Invalid, 0},
		"invalid UTF-8":                {pod("{\"containers\":[{\"image\":\"\xff\"}]}"), seaworthy.Invalid, 0},
		"deep":                         {pod(strings.Repeat(`{"x":`, 200000) + `1` + strings.Repeat(`}`, 200000)), seaworthy.Invalid, 0},
		"large":                        {pod(`"` + strings.Repeat("x", MaxObject) + `"`), seaworthy.TooLarge, 0},
		"many images":                  {pod(`{"containers":[` + strings.Repeat(`{"image":"a"},`, MaxImages) + `{"image":"a"}]}`), seaworthy.TooLarge, 0},
		"another group's pod":          {`{"apiVersion":"example.com/v1","kind":"Pod","spec":{"containers":[{"image":"a"}]}}`, "", 0},
		"a template that is no object": {`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"template":[1]}}`, seaworthy.Invalid, 0},
		"volume image null":            {pod(`{"volumes":[{"name":"v","image":null}]}`), "", 0},
		"volume image empty":           {pod(`{"volumes":[{"name":"v","image":{}}]}`), "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := Extract([]byte(c.object))
			if seaworthy.CodeOf(err) != c.code {
				t.Fatalf("got %v, want %q", err, c.code)
			}
			if err == nil && len(w.Images) != c.images {
				t.Errorf("%d images, want %d", len(w.Images), c.images)
			}
		})
	}
}

// An update is judged by what it brings.
func TestChanged(t *testing.T) {
	pod := func(images ...string) *Workload {
		w := &Workload{}
		for _, i := range images {
			field, rest, _ := strings.Cut(i, ".")
			name, image, _ := strings.Cut(rest, "=")
			w.Images = append(w.Images, Image{Field: field, Name: name, Image: image})
		}
		return w
	}
	for name, c := range map[string]struct {
		before, after *Workload
		want          int
	}{
		"nothing new":                    {pod("containers.a=x", "containers.b=y"), pod("containers.a=x", "containers.b=y"), 0},
		"another order":                  {pod("containers.a=x", "containers.b=y"), pod("containers.b=y", "containers.a=x"), 0},
		"another image":                  {pod("containers.a=x"), pod("containers.a=y"), 1},
		"one more":                       {pod("containers.a=x"), pod("containers.a=x", "ephemeralContainers.d=x"), 1},
		"one less":                       {pod("containers.a=x", "containers.b=y"), pod("containers.a=x"), 0},
		"moved to another field":         {pod("initContainers.a=x"), pod("containers.a=x"), 1},
		"moved to another name":          {pod("containers.a=x"), pod("containers.b=x"), 1},
		"a name twice before":            {pod("containers.a=x", "containers.a=x"), pod("containers.a=x"), 1},
		"a name twice after":             {pod("containers.a=x"), pod("containers.a=x", "containers.a=x"), 1},
		"the second of the name differs": {pod("containers.a=x"), pod("containers.a=x", "containers.a=y"), 1},
		"nothing before":                 {nil, pod("containers.a=x"), 1},
	} {
		if got := c.after.Changed(c.before); len(got) != c.want {
			t.Errorf("%s: %v, want %d", name, got, c.want)
		}
	}
}

func TestReadManifests(t *testing.T) {
	const file = `# a comment alone
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers:
      - {name: a, image: "app:1"}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: p, namespace: prod}
  spec: {containers: [{name: a, image: "pod:1"}]}
- {apiVersion: batch/v1, kind: Job, metadata: {generateName: j-}, spec: {template: {spec: {initContainers: [{name: i, image: "job:1"}]}}}}
`
	all, err := ReadManifests("file", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range all {
		line := w.String()
		for _, i := range w.Images {
			line += " " + i.Image
		}
		got = append(got, line)
	}
	want := []string{"configmap/c", "deployment/web app:1", "pod/p pod:1", "job/j-… job:1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name, c := range map[string]struct {
		text string
		code seaworthy.Code
	}{
		"no YAML":        {"a: [", seaworthy.Invalid},
		"no kind":        {"a: 1", seaworthy.Invalid},
		"a list":         {"- 1", seaworthy.Invalid},
		"key twice":      {"kind: Pod\nkind: Job", seaworthy.Invalid},
		"aliases":        {"kind: Pod\na: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]", seaworthy.Invalid},
		"lists in lists": {"kind: List\nitems:\n" + strings.Repeat("- {kind: List, items: [{kind: List, items: []}]}\n", maxDocuments), seaworthy.TooLarge},
		"large":          {strings.Repeat("#", MaxManifest+1), seaworthy.TooLarge},
	} {
		if _, err := ReadManifests("file", []byte(c.text)); seaworthy.CodeOf(err) != c.code {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
	}
}

func FuzzExtract(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"v1","kind":"Pod","spec":` + podSpecJSON + `}`))
	f.Add([]byte(`{"apiVersion":"batch/v1","kind":"CronJob","spec":{"jobTemplate":{"spec":{"template":{"spec":null}}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := Extract(b)
		if err != nil {
			if c := seaworthy.CodeOf(err); c != seaworthy.Invalid && c != seaworthy.TooLarge {
				t.Fatalf("got %v", err)
			}
			return
		}
		if len(w.Changed(nil)) != len(w.Images) {
			t.Error("what is new is not everything")
		}
		_ = w.String()
	})
}

func FuzzReadManifests(f *testing.F) {
	f.Add([]byte("apiVersion: v1\nkind: Pod\nspec: {containers: [{image: a}]}\n---\nkind: List\nitems: []\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := ReadManifests("file", b); err != nil {
			if c := seaworthy.CodeOf(err); c != seaworthy.Invalid && c != seaworthy.TooLarge {
				t.Fatalf("got %v", err)
			}
		}
	})
}
