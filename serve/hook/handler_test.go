package hook

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

// Every path and method, well and badly asked.
func TestRequests(t *testing.T) {
	w := newWorld(t, 1, Options{})
	w.use(t)
	good, bad := w.pinned("app0"), w.host+"/unsigned:1"
	provider := func(keys ...string) string {
		b, err := json.Marshal(keys)
		must(t, err)
		return `{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":` + string(b) + `}}`
	}
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		says               string // in the body
	}{
		"validate, signed":             {"POST", "/validate?timeout=10s", review("CREATE", "prod", good), 200, `"response":{"uid":"u-1","allowed":true`},
		"validate, unsigned":           {"POST", "/validate?timeout=10s", review("CREATE", "prod", bad), 200, `"allowed":false,"status":{"status":"Failure","message":"[seaworthy] image ` + bad},
		"validate, refused is 403":     {"POST", "/validate", review("CREATE", "prod", bad), 200, `"reason":"Forbidden","code":403`},
		"validate, not pinned":         {"POST", "/validate", review("CREATE", "prod", w.host+"/app0:1"), 200, `pinned by digest`},
		"validate, a path below":       {"POST", "/validate/fail", review("CREATE", "prod", good), 200, `"allowed":true`},
		"validate, exempt":             {"POST", "/validate", review("CREATE", "kube-system", bad), 200, `"auditAnnotations":{"unjudged":"the namespace is exempt"}`},
		"validate, deleted":            {"POST", "/validate", strings.Replace(review("DELETE", "prod", bad), `"object":{`, `"object":null,"x":{`, 1), 200, `"allowed":true`},
		"mutate":                       {"POST", "/mutate?timeout=10s", review("CREATE", "prod", w.host+"/app0:1"), 200, `"patchType":"JSONPatch"`},
		"mutate, unsigned is pinned":   {"POST", "/mutate", review("CREATE", "prod", bad), 200, `"allowed":true,"patch":`},
		"mutate, pinned already":       {"POST", "/mutate", review("CREATE", "prod", good), 200, `"response":{"uid":"u-1","allowed":true}`},
		"an object that is rubbish":    {"POST", "/validate", strings.Replace(review("CREATE", "prod", good), `"containers":[`, `"containers":{},"x":[`, 1), 200, `"reason":"BadRequest","code":400`},
		"not JSON":                     {"POST", "/validate", `{`, 400, `"code":"invalid"`},
		"nothing":                      {"POST", "/validate", ``, 400, `"code":"invalid"`},
		"a name twice":                 {"POST", "/validate", strings.Replace(review("CREATE", "prod", good), `"namespace":"prod"`, `"namespace":"kube-system","namespace":"prod"`, 1), 400, `"code":"invalid"`},
		"v1beta1":                      {"POST", "/validate", strings.Replace(review("CREATE", "prod", good), "admission.k8s.io/v1", "admission.k8s.io/v1beta1", 1), 400, `admissionReviewVersions must be [v1]`},
		"another kind":                 {"POST", "/validate", `{"apiVersion":"admission.k8s.io/v1","kind":"Review"}`, 400, `it is a`},
		"no request":                   {"POST", "/validate", `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`, 400, `has no request`},
		"no uid":                       {"POST", "/validate", strings.Replace(review("CREATE", "prod", good), `"u-1"`, `""`, 1), 400, `no uid`},
		"a timeout that is none":       {"POST", "/validate?timeout=soon", review("CREATE", "prod", good), 400, `timeout`},
		"a negative timeout":           {"POST", "/validate?timeout=-1s", review("CREATE", "prod", good), 400, `timeout`},
		"too large":                    {"POST", "/validate", strings.Repeat(" ", MaxReview+1), 413, `"code":"too-large"`},
		"deep":                         {"POST", "/validate", strings.Repeat("[", 100_000), 413, `levels deep`},
		"GET":                          {"GET", "/validate", "", 405, ""},
		"verify":                       {"POST", "/ratify/gatekeeper/v1/verify", provider(good, bad), 200, `"isSuccess":false`},
		"verify, a namespace":          {"POST", "/ratify/gatekeeper/v1/verify", provider("[prod]" + good), 200, `{"key":"[prod]` + good + `","value":{"version":"0.2.0","isSuccess":true`},
		"verify, exempt":               {"POST", "/ratify/gatekeeper/v1/verify", provider("[kube-system]" + bad), 200, `"isSuccess":true,`},
		"verify, a tag":                {"POST", "/ratify/gatekeeper/v1/verify", provider(w.host + "/app0:1"), 200, `"isSuccess":true,`},
		"verify, no image":             {"POST", "/ratify/gatekeeper/v1/verify", provider("!"), 200, `"isSuccess":false`},
		"verify, nothing":              {"POST", "/ratify/gatekeeper/v1/verify", provider(), 200, `"idempotent":false,"items":[]`},
		"provider, mutate":             {"POST", "/ratify/gatekeeper/v1/mutate", provider(w.host + "/app0:1"), 200, `"idempotent":true,"items":[{"key":"` + w.host + `/app0:1","value":"` + good + `"}]`},
		"provider, mutate, no image":   {"POST", "/ratify/gatekeeper/v1/mutate", provider("!"), 200, `"error":"parsing image reference`},
		"provider, mutate, not there":  {"POST", "/ratify/gatekeeper/v1/mutate", provider(w.host + "/app0:none"), 200, `"error":"resolving`},
		"provider, another kind":       {"POST", "/ratify/gatekeeper/v1/verify", `{"apiVersion":"v1","kind":"Pod"}`, 400, `not a ProviderRequest`},
		"provider, too many keys":      {"POST", "/ratify/gatekeeper/v1/verify", provider(make([]string, maxKeys+1)...), 413, `keys; the limit is`},
		"provider, too large":          {"POST", "/ratify/gatekeeper/v1/verify", provider(strings.Repeat("x", MaxProvider)), 413, `too-large`},
		"provider, not JSON":           {"POST", "/ratify/gatekeeper/v1/mutate", `x`, 400, `invalid`},
		"provider, the version below":  {"POST", "/ratify/gatekeeper/v1/verify", strings.Replace(provider(), "v1beta1", "v1alpha1", 1), 200, `externaldata.gatekeeper.sh/v1alpha1`},
		"policies":                     {"GET", "/api/gate/v1/policies", "", 200, `{"policies":[{"name":"signed","mode":"enforce","images":["` + w.host + `/**"],`},
		"decisions":                    {"GET", "/api/gate/v1/decisions?limit=1", "", 200, `{"decisions":[`},
		"decisions, a limit of none":   {"GET", "/api/gate/v1/decisions?limit=0", "", 400, `limit`},
		"decisions, after no number":   {"GET", "/api/gate/v1/decisions?after=x", "", 400, `after`},
		"fleet":                        {"GET", "/api/gate/v1/fleet", "", 200, `{"namespaces":[`},
		"another question":             {"GET", "/api/gate/v1/secrets", "", 404, ""},
		"alive":                        {"GET", "/livez", "", 200, "ok\n"},
		"ready":                        {"GET", "/readyz", "", 200, "ok\n"},
		"metrics":                      {"GET", "/metrics", "", 200, "seaworthy_gate_policies 1\n"},
		"elsewhere":                    {"GET", "/", "", 404, ""},
		"a timeout longer than it may": {"POST", "/validate?timeout=1h", review("CREATE", "prod", good), 200, `"allowed":true`},
	} {
		t.Run(name, func(t *testing.T) {
			out := w.do(t.Context(), c.method, c.path, c.body)
			if out.Code != c.status || !strings.Contains(out.Body.String(), c.says) {
				t.Errorf("%d %s", out.Code, out.Body)
			}
			if out.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Error("the answer may be taken for something else")
			}
			if c.status == 200 && strings.HasPrefix(out.Body.String(), "{") && !json.Valid(out.Body.Bytes()) {
				t.Errorf("no JSON: %s", out.Body)
			}
		})
	}
}

// A patch changes the images that were named by tag, and nothing else.
func TestPatch(t *testing.T) {
	w := newWorld(t, 2, Options{})
	w.use(t)
	out := w.do(t.Context(), "POST", "/mutate", review("CREATE", "prod", w.pinned("app0"), w.host+"/app1:1", "other.example/x:1"))
	var r admissionReview
	must(t, json.Unmarshal(out.Body.Bytes(), &r))
	want := fmt.Sprintf(`[{"op":"replace","path":"/spec/containers/1/image","value":%q}]`, w.pinned("app1"))
	if string(r.Response.Patch) != want {
		t.Errorf("got %s", r.Response.Patch)
	}
}

// Before there are policies nothing is decided: the cluster's failurePolicy is.
func TestNotReady(t *testing.T) {
	w := newWorld(t, 0, Options{})
	for path, status := range map[string]int{"/readyz": 503, "/livez": 200, "/api/gate/v1/policies": 503} {
		if out := w.do(t.Context(), "GET", path, ""); out.Code != status {
			t.Errorf("%s: %d", path, out.Code)
		}
	}
	if out := w.do(t.Context(), "POST", "/validate", review("CREATE", "prod", "a")); out.Code != 503 || out.Header().Get("Retry-After") == "" {
		t.Errorf("validate: %d", out.Code)
	}
	if out := w.do(t.Context(), "POST", "/validate", review("CREATE", "kube-system", "a")); out.Code != 200 {
		t.Errorf("an exempt namespace: %d", out.Code)
	}
	if out := w.do(t.Context(), "POST", "/ratify/gatekeeper/v1/verify", `{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["a"]}}`); !strings.Contains(out.Body.String(), `"systemError":"no policies are loaded yet"`) {
		t.Errorf("provider: %s", out.Body)
	}
	w.use(t)
	if out := w.do(t.Context(), "GET", "/readyz", ""); out.Code != 200 {
		t.Errorf("ready: %d", out.Code)
	}
	w.h.Leave()
	if out := w.do(t.Context(), "GET", "/readyz", ""); out.Code != 503 {
		t.Errorf("leaving: %d", out.Code)
	}
	if out := w.do(t.Context(), "POST", "/validate", review("CREATE", "prod", "a")); out.Code != 200 {
		t.Errorf("what comes while leaving is answered: %d", out.Code)
	}
	more := New(w.gate, Options{Ready: func() error { return seaworthy.Errorf(seaworthy.Unavailable, "not all namespaces are known") }})
	if err := more.Ready(); err == nil {
		t.Error("ready without what else must be there")
	}
}

// What is decided is shown to this machine only, by a name of this machine.
func TestWhoMayLook(t *testing.T) {
	w := newWorld(t, 0, Options{})
	w.use(t)
	for _, c := range []struct {
		from, host string
		status     int
	}{
		{"127.0.0.1:1", "localhost:8443", 200},
		{"[::1]:1", "[::1]:8443", 200},
		{"127.0.0.1:1", "127.0.0.1", 200},
		{"192.0.2.1:1", "localhost", 403},
		{"127.0.0.1:1", "rebind.example", 403},
		{"somewhere", "localhost", 403},
	} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/gate/v1/policies", http.NoBody)
		req.RemoteAddr, req.Host = c.from, c.host
		out := httptest.NewRecorder()
		w.h.ServeHTTP(out, req)
		if out.Code != c.status {
			t.Errorf("%+v: %d %s", c, out.Code, out.Body)
		}
	}
}

// The labels of namespaces reach the policies by both wires.
func TestNamespaceLabels(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	w := newWorld(t, 1, Options{NamespaceLabels: func(_ context.Context, name string) map[string]string {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, name)
		return map[string]string{"tier": name}
	}})
	w.use(t)
	w.do(t.Context(), "POST", "/validate", review("CREATE", "one", w.pinned("app0")))
	w.do(t.Context(), "POST", "/ratify/gatekeeper/v1/verify", `{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["[two]`+w.pinned("app0")+`"]}}`)
	if strings.Join(asked, " ") != "one two" {
		t.Errorf("asked %v", asked)
	}
}

// A thousand pods at once are all answered, and the registry is asked as often as for one.
func TestAThousandAtOnce(t *testing.T) {
	w := newWorld(t, 3, Options{})
	w.use(t)
	body := review("CREATE", "prod", w.pinned("app0"), w.pinned("app1"), w.pinned("app2"))
	before := w.asked.Load()
	var all sync.WaitGroup
	codes := make([]string, 1000)
	for i := range codes {
		all.Go(func() {
			out := w.do(t.Context(), "POST", "/validate?timeout=10s", body)
			if out.Code != 200 || !strings.Contains(out.Body.String(), `"allowed":true`) {
				codes[i] = fmt.Sprintf("%d %s\n", out.Code, out.Body)
			}
		})
	}
	all.Wait()
	if text := strings.Join(codes, ""); text != "" {
		t.Error(text)
	}
	// Of an image: its referrers, the fallback tag, three of cosign's tags, one manifest, one bundle.
	if asked := w.asked.Load() - before; asked > 3*8 {
		t.Errorf("the registry was asked %d times", asked)
	}
}

// When as many large requests are being read as may be, small ones are answered all the same; another large one is
// asked to come again.
func TestSmallRequestsDoNotWaitForLargeOnes(t *testing.T) {
	w := newWorld(t, 1, Options{})
	w.use(t)
	for range maxReading {
		w.h.reading <- struct{}{}
	}
	small := review("CREATE", "prod", w.pinned("app0"))
	if out := w.do(t.Context(), "POST", "/validate", small); out.Code != http.StatusOK || !strings.Contains(out.Body.String(), `"allowed":true`) {
		t.Errorf("a small one: %d %s", out.Code, out.Body)
	}
	large := strings.Replace(small, "{", "{"+strings.Repeat(" ", smallBody), 1)
	if out := w.do(t.Context(), "POST", "/validate", large); out.Code != http.StatusServiceUnavailable || out.Header().Get("Retry-After") == "" {
		t.Errorf("a large one: %d %s", out.Code, out.Body)
	}
	<-w.h.reading
	if out := w.do(t.Context(), "POST", "/validate", large); out.Code != http.StatusOK {
		t.Errorf("a large one whose turn it is: %d %s", out.Code, out.Body)
	}
}

// Who is one too many is asked to come again.
func TestTooManyAtOnce(t *testing.T) {
	w := newWorld(t, 1, Options{})
	w.use(t)
	w.h.underway.Store(maxUnderway)
	out := w.do(t.Context(), "POST", "/validate", review("CREATE", "prod", w.pinned("app0")))
	if out.Code != http.StatusServiceUnavailable || out.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", out.Code, out.Body)
	}
}

func FuzzReview(f *testing.F) {
	f.Add([]byte(review("CREATE", "prod", "a:1")))
	f.Add([]byte(review("UPDATE", "prod")))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseReview(b)
		if err != nil {
			if c := seaworthy.CodeOf(err); c != seaworthy.Invalid && c != seaworthy.Unsupported && c != seaworthy.TooLarge {
				t.Fatalf("got %v", err)
			}
			return
		}
		if !IsReview(b) {
			t.Error("it is parsed, and is none")
		}
		_ = r
	})
}
