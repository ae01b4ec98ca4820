package kube

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
)

// nowhere is a cluster that does not answer.
func nowhere(t testing.TB) *Cluster {
	t.Helper()
	c, err := connect(&rest.Config{Host: "http://127.0.0.1:1"}, "default", "test")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const aDigest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func TestWhatTheAPIServerAnswers(t *testing.T) {
	pod := schema.GroupResource{Resource: "pods"}
	for want, err := range map[seaworthy.Code]error{
		seaworthy.NotFound:     apierrors.NewNotFound(pod, "x"),
		seaworthy.Forbidden:    apierrors.NewForbidden(pod, "x", errors.New("no")),
		seaworthy.Unauthorized: apierrors.NewUnauthorized("no"),
		seaworthy.Conflict:     apierrors.NewConflict(pod, "x", errors.New("changed")),
		seaworthy.Invalid:      apierrors.NewBadRequest("no"),
		seaworthy.Unavailable:  errors.New("connection refused"),
		seaworthy.Interrupted:  context.Canceled,
		"":                     nil,
	} {
		got := answered(err, "looking at pod %q", "x")
		if seaworthy.CodeOf(got) != want || (got == nil) != (err == nil) {
			t.Errorf("%v: %v (%s), want %s", err, got, seaworthy.CodeOf(got), want)
		}
		if hinted := seaworthy.HintOf(got) != ""; hinted != (want == seaworthy.Forbidden) {
			t.Errorf("%v: hint %q", err, seaworthy.HintOf(got))
		}
	}
}

func TestPulled(t *testing.T) {
	for imageID, want := range map[string]string{
		"docker.io/library/nginx@" + aDigest:                   "docker.io/library/nginx@" + aDigest,
		"docker-pullable://registry.example:5000/a@" + aDigest: "registry.example:5000/a@" + aDigest,
		aDigest:                    "", // of the config
		"docker://" + aDigest:      "",
		"@" + aDigest:              "",
		"nginx@sha256:short":       "",
		"":                         "",
		"registry.example/app:1":   "",
		"a://b://c@" + aDigest:     "b://c@" + aDigest, // no registry has it, and the gate says so
		"x@" + aDigest + "@" + "y": "",
	} {
		if got := pulled(imageID); got != want {
			t.Errorf("%q: %q, want %q", imageID, got, want)
		}
	}
}

func FuzzPulled(f *testing.F) {
	f.Add("docker-pullable://registry.example:5000/a@" + aDigest)
	f.Add(aDigest)
	f.Fuzz(func(t *testing.T, imageID string) {
		got := pulled(imageID)
		name, digest, ok := strings.Cut(got, "@")
		if got != "" && (!ok || name == "" || !strings.Contains(imageID, got)) {
			t.Errorf("%q: %q", imageID, got)
		}
		if _, err := seaworthy.ParseDigest(digest); got != "" && err != nil {
			t.Errorf("%q: %v", got, err)
		}
	})
}

func TestPodOf(t *testing.T) {
	var object map[string]any
	if err := json.Unmarshal([]byte(`{"kind":"Pod","metadata":{"name":"p","namespace":"n","managedFields":[{"manager":"kubectl"}],
		"ownerReferences":[{"kind":"ReplicaSet","name":"web-1"}]},"status":{"phase":"Running",
		"containerStatuses":[{"name":"a","imageID":"r.example/a@`+aDigest+`"},{"name":"b","imageID":""}],
		"ephemeralContainerStatuses":[{"name":"d","imageID":"r.example/d@`+aDigest+`"}]}}`), &object); err != nil {
		t.Fatal(err)
	}
	p, err := podOf(object)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(p.Object), "managedFields") {
		t.Error("what the API server keeps for itself is kept")
	}
	p.Object = nil
	want := Pod{Namespace: "n", Name: "p", Phase: "Running", Owner: "ReplicaSet/web-1", Running: map[string]string{
		"containers.a": "r.example/a@" + aDigest, "ephemeralContainers.d": "r.example/d@" + aDigest,
	}}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
}

func TestResourcesHaveTheirNames(t *testing.T) {
	for kind, want := range map[string]string{
		"pod": "pods", "po": "pods", "Pods": "pods", "deploy": "deployments", "deployment.apps": "deployments", "deployment.batch": "",
		"cj": "cronjobs", "service": "", "pods/ephemeralcontainer": "", "": "",
	} {
		if r, ok := resourceOf(kind); r.Resource != want || ok != (want != "") {
			t.Errorf("%q: %q %t", kind, r.Resource, ok)
		}
	}
	if _, err := nowhere(t).Object(t.Context(), "n", "service/x"); seaworthy.CodeOf(err) != seaworthy.Usage {
		t.Error(err)
	}
	if _, err := nowhere(t).Object(t.Context(), "n", "x"); seaworthy.CodeOf(err) != seaworthy.Unavailable {
		t.Error(err)
	}
}

func TestLogins(t *testing.T) {
	auth := base64.StdEncoding.EncodeToString([]byte("user:pass:word"))
	want := map[string]Login{"r.example": {Username: "user", Password: "pass:word"}}
	for name, data := range map[string]map[string][]byte{
		"new": {".dockerconfigjson": []byte(`{"auths":{"r.example":{"auth":"` + auth + `"}}}`)},
		"two": {".dockerconfigjson": []byte(`{"auths":{"r.example":{"username":"user","password":"pass:word"},"empty.example":{}}}`)},
		"old": {".dockercfg": []byte(`{"r.example":{"auth":"` + auth + `"}}`)},
	} {
		if diff := cmp.Diff(want, logins(data)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for name, text := range map[string]string{"no JSON": "{", "no map": `{"auths":[]}`, "nothing": "", "bad base64": `{"auths":{"r.example":{"auth":"%"}}}`} {
		if got := logins(map[string][]byte{".dockerconfigjson": []byte(text)}); len(got) != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
	if class(nil) != "" || class(want) == "" || class(want) == class(map[string]Login{"r.example": {Username: "user"}}) {
		t.Error("classes do not tell logins apart")
	}
	if strings.Contains(class(want), "pass") {
		t.Error("a class gives the login away")
	}
}

func FuzzLogins(f *testing.F) {
	f.Add([]byte(`{"auths":{"r.example":{"auth":"dTpw","identitytoken":"t"}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for registry, l := range logins(map[string][]byte{".dockerconfigjson": text}) {
			if l == (Login{}) {
				t.Errorf("%q: an empty login", registry)
			}
		}
	})
}

func TestStatus(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	object := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "x", "generation": int64(3)}}}
	h := &held{object: object}
	status, same := h.conditionStatus(now)
	if same {
		t.Error("an object without a status has one already")
	}
	object.Object["status"] = status
	if again, same := h.conditionStatus(now.Add(time.Hour)); !same {
		t.Errorf("nothing changed: %v", again)
	}
	h.mistakes = []policy.Mistake{
		{Path: "spec.a", Detail: "wrong", Hint: "do right", Code: seaworthy.Invalid},
		{Path: "spec.b", Detail: "odd", Warning: true},
	}
	status, same = h.conditionStatus(now.Add(time.Hour))
	c := readyCondition(&unstructured.Unstructured{Object: map[string]any{"status": status}})
	if same || c["status"] != "False" || c["message"] != "spec.a: wrong (do right); warning: spec.b: odd" || c["lastTransitionTime"] != "2026-01-02T04:04:05Z" {
		t.Errorf("%t %v", same, c)
	}
	bare, _ := h.bareStatus(now)
	if bare["issuccess"] != false || bare["error"] != c["message"] {
		t.Errorf("%v", bare)
	}
	object.Object["status"] = bare
	if _, same := h.bareStatus(now); !same {
		t.Error("nothing changed")
	}
	h.mistakes[0].Detail = strings.Repeat("ü", maxMessage)
	if _, message := h.verdict(); len(message) > maxMessage+len("…") || !strings.HasSuffix(message, "…") {
		t.Errorf("a message of %d bytes", len(message))
	}
	bare, _ = h.bareStatus(now)
	if n := len([]rune(bare["brieferror"].(string))); n != maxBrief {
		t.Errorf("a brief error of %d characters", n)
	}
	h.mistakes = h.mistakes[1:]
	if sound, _ := h.verdict(); !sound {
		t.Error("a warning makes an object unsound")
	}
}

func TestFileOf(t *testing.T) {
	f, err := fileOf("Verifier", map[string]any{
		"apiVersion": "v", "kind": "Verifier", "spec": map[string]any{"x": "y"}, "status": map[string]any{"issuccess": true},
		"metadata": map[string]any{"name": "n", "uid": "u", "annotations": map[string]any{
			"kubectl.kubernetes.io/last-applied-configuration": "{}", "seaworthy.dev/x": "1",
		}},
	})
	want := `{"apiVersion":"v","kind":"Verifier","metadata":{"annotations":{"seaworthy.dev/x":"1"},"name":"n"},"spec":{"x":"y"}}`
	if err != nil || f.Name != "Verifier/n" || string(f.Bytes) != want {
		t.Errorf("%s %s %v", f.Name, f.Bytes, err)
	}
}

// A policy that is not sound must not open the gate: what stands for it binds what it bound, and refuses.
func TestStandIns(t *testing.T) {
	glob := []any{map[string]any{"glob": "a.example/**"}}
	for i, c := range []struct {
		spec  map[string]any
		wants []string // of the first that stands for it
	}{
		{nil, nil}, // a trust root
		{map[string]any{"mode": "warn", "images": glob, "authorities": "nonsense"}, []string{`"glob":"a.example/**"`, `"mode":"warn"`}},
		{map[string]any{"images": []any{"a.example/**"}, "namespaces": []any{"prod"}, "signedBy": 7}, []string{`"images":["a.example/**"]`, `"namespaces":["prod"]`}},
		{map[string]any{"name": 7}, []string{`"glob":"**"`}}, // a verifier binds every image
	} {
		k := Kinds[i]
		h := &held{
			kind: k, version: schema.GroupVersionResource{Group: k.Group, Version: k.Versions[0], Resource: k.Resource},
			file: policy.File{Name: k.Name + "/x", Bytes: []byte("as written")}, object: &unstructured.Unstructured{Object: map[string]any{
				"metadata": map[string]any{"name": "x"}, "spec": c.spec,
			}},
			mistakes: []policy.Mistake{{Path: "spec.w", Detail: "a warning", Warning: true}, {Path: "spec.wrong", Detail: "broken"}},
		}
		first := standIn(h, h.file)
		if c.wants == nil {
			if first.Bytes != nil {
				t.Errorf("for a trust root stands %s", first.Bytes)
			}
			continue
		}
		second := standIn(h, first)
		if s := string(second.Bytes); !strings.Contains(s, `"glob":"**"`) || strings.Contains(s, "warn\"") {
			t.Errorf("%s: when what it binds cannot be read either: %s", k.Name, s)
		}
		for _, want := range append(c.wants, k.Name+"/x is not sound: spec.wrong: broken", `x"`) {
			if !strings.Contains(string(first.Bytes), want) {
				t.Errorf("%s: no %s in %s", k.Name, want, first.Bytes)
			}
		}
		for _, stand := range []policy.File{first, second} {
			set, mistakes := policy.Load([]policy.File{stand}, policy.Options{})
			if len(mistakes) > 0 || len(set.Policies()) != 1 {
				t.Fatalf("%s\n%v", stand.Bytes, mistakes)
			}
			v, err := set.Decide(t.Context(), policy.Image{Reference: "a.example/b:1", Digest: aDigest, Namespace: "prod"}, nil, time.Now())
			if refuses := !v.Allowed || len(v.Warnings) > 0; err != nil || !refuses || len(v.Policies) != 1 {
				t.Errorf("%s lets pass: %+v %v", stand.Bytes, v, err)
			}
		}
	}
}

// However many objects are broken, and whatever their names, a set comes of it that refuses what they bind.
func TestWhatIsBrokenNeverStopsTheRest(t *testing.T) {
	hold := func(kind int, name, spec string) *held {
		t.Helper()
		k := Kinds[kind]
		var object map[string]any
		text := `{"apiVersion":"` + k.Group + "/" + k.Versions[0] + `","kind":"` + k.Name + `","metadata":{"name":"` + name + `"},"spec":` + spec + `}`
		if err := json.Unmarshal([]byte(text), &object); err != nil {
			t.Fatal(err)
		}
		f, err := fileOf(k.Name, object)
		if err != nil {
			t.Fatal(err)
		}
		version := schema.GroupVersionResource{Group: k.Group, Version: k.Versions[0], Resource: k.Resource}
		return &held{kind: k, version: version, object: &unstructured.Unstructured{Object: object}, file: f}
	}
	const keyless = `{"keyless":{"trustRootRef":"x","identities":[{"issuer":"https://i.example","subject":"a@example.com"}]}}`
	all := []*held{
		hold(0, "x", `{"sigstoreKeys":{"tLogs":7}}`),                                             // no trust root
		hold(1, "uses-x", `{"images":[{"glob":"uses.example/**"}],"authorities":[`+keyless+`]}`), // so this cannot be sound
		hold(1, "sound", `{"images":[{"glob":"sound.example/**"}],"authorities":[{"static":{"action":"pass"}}]}`),
		hold(1, "x", `{"images":[{"glob":"x.example/**"}],"authorities":[{}]}`),
		hold(1, "y", `{"images":7,"mode":"perhaps"}`), // what it binds cannot be read
		hold(2, "x", `{"images":["policy.example/**"],"signedBy":7}`),
		hold(2, "y", `7`),
		hold(3, "x", `{"name":7}`),
	}
	s := NewSource(nowhere(t), SourceOptions{})
	set, err := s.compile(t.Context(), all, policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range all {
		if sound, message := h.verdict(); sound != (h.object.GetName() == "sound") {
			t.Errorf("%s: sound: %t: %s", h.file.Name, sound, message)
		}
	}
	if n := len(set.Policies()); n != len(all)-1 {
		t.Errorf("%d policies of %d objects that are policies", n, len(all)-1)
	}
	for image, names := range map[string]int{"uses.example/a:1": 1, "sound.example/a:1": 1, "x.example/a:1": 1, "policy.example/a:1": 1} {
		v, err := set.Decide(t.Context(), policy.Image{Reference: image, Digest: aDigest}, nil, time.Now())
		// y of both kinds and the verifier bind every image.
		if err != nil || v.Allowed || len(v.Policies) != names+3 {
			t.Errorf("%s: allowed: %t, by %d policies, %v", image, v.Allowed, len(v.Policies), err)
		}
	}
	only := []*held{all[2], all[3]}
	for _, h := range only {
		h.mistakes = nil
	}
	if set, err = s.compile(t.Context(), only, policy.Options{}); err != nil {
		t.Fatal(err)
	}
	if v, err := set.Decide(t.Context(), policy.Image{Reference: "sound.example/a:1", Digest: aDigest}, nil, time.Now()); err != nil || !v.Allowed {
		t.Errorf("what is sound suffers for what is not: %+v %v", v, err)
	}
}

func TestReviews(t *testing.T) {
	s := NewSource(nowhere(t), SourceOptions{})
	review := func(operation, object string) string {
		return `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","operation":"` + operation + `","object":` + object + `}}`
	}
	const sound = `{"apiVersion":"policy.sigstore.dev/v1beta1","kind":"ClusterImagePolicy","metadata":{"name":"x"},"spec":{"images":[{"glob":"**"}],"authorities":[{"static":{"action":"pass"}}]}}`
	unsound := strings.Replace(sound, `"static"`, `"key":{"data":"x"},"static"`, 1)
	for name, c := range map[string]struct {
		method, body string
		status       int
		want         string
	}{
		"sound":     {http.MethodPost, review("CREATE", sound), 200, `"allowed":true`},
		"unsound":   {http.MethodPost, review("UPDATE", unsound), 200, `"allowed":false,"status":{"code":422,"reason":"Invalid","message":"the policy is not sound: spec.authorities[0]`},
		"delete":    {http.MethodPost, review("DELETE", "null"), 200, `"allowed":true`},
		"misspelt":  {http.MethodPost, review("CREATE", strings.Replace(sound, "authorities", "autorities", 1)), 200, "spec.autorities"},
		"no secret": {http.MethodPost, review("CREATE", strings.Replace(sound, `"static":{"action":"pass"}`, `"key":{"secretRef":{"name":"k"}}`, 1)), 200, `secrets \"k\" in namespace`},
		"no object": {http.MethodPost, review("CREATE", "7"), 200, `"allowed":false`},
		"nothing":   {http.MethodPost, "", 400, "no AdmissionReview"},
		"no uid":    {http.MethodPost, `{"kind":"AdmissionReview","request":{}}`, 400, "no AdmissionReview"},
		"other":     {http.MethodPost, `{"kind":"Pod"}`, 400, "no AdmissionReview"},
		"get":       {http.MethodGet, "", 405, "posted"},
		"huge":      {http.MethodPost, strings.Repeat(" ", maxReview+1), 413, "cannot be read"},
	} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(c.method, "/policies", strings.NewReader(c.body)))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func FuzzReview(f *testing.F) {
	f.Add([]byte(`{"kind":"AdmissionReview","request":{"uid":"u","operation":"CREATE","object":{"kind":"Verifier","metadata":{"name":"x"},"spec":{}}}}`))
	s := NewSource(nowhere(f), SourceOptions{})
	f.Fuzz(func(t *testing.T, body []byte) {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/policies", strings.NewReader(string(body))))
		if w.Code != 200 && w.Code != 400 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		var out admissionReview
		if w.Code == 200 && (json.Unmarshal(w.Body.Bytes(), &out) != nil || out.Response == nil || out.Response.UID == "") {
			t.Errorf("%s", w.Body)
		}
	})
}

func TestManyMistakesAreCut(t *testing.T) {
	var many []policy.Mistake
	for range maxReported + 5 {
		many = append(many, policy.Mistake{Path: strings.Repeat("x", len(many)+1), Detail: "wrong"}, policy.Mistake{Detail: "odd", Warning: true})
	}
	a := &admissionResponse{Allowed: true}
	a.take(many)
	if a.Allowed || !strings.HasSuffix(a.Status.Message, "and 5 more") || len(a.Warnings) != maxReported {
		t.Errorf("%+v %v", a.Status, a.Warnings)
	}
}
