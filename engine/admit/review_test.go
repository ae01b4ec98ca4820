package admit

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
)

// pod is a pod with images of containers.
func pod(more string, images ...string) []byte {
	var containers []string
	for i, image := range images {
		containers = append(containers, fmt.Sprintf(`{"name":"c%d","image":%q}`, i, image))
	}
	return fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"prod"%s},"spec":{"containers":[%s]}}`, more, strings.Join(containers, ","))
}

func create(object []byte) *Request {
	return &Request{Operation: Create, Version: "v1", Resource: "pods", Namespace: "prod", Object: object}
}

func validate(t *testing.T, g *Gate, r *Request) *Answer {
	t.Helper()
	a, err := g.Validate(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// apply does to an object what the answer to the mutating phase says.
func apply(t *testing.T, g *Gate, r *Request) []byte {
	t.Helper()
	a, err := g.Mutate(t.Context(), r)
	if err != nil || !a.Allowed {
		t.Fatalf("%+v, %v", a, err)
	}
	object := string(r.Object)
	for _, p := range a.Patch {
		if p.Op != "replace" {
			t.Fatalf("%+v", p)
		}
		old := fmt.Sprintf("%q", lookUp(t, object, p.Path))
		object = strings.Replace(object, old, fmt.Sprintf("%q", p.Value), 1)
		if got := lookUp(t, object, p.Path); got != p.Value {
			t.Fatalf("%s is %v, not %v", p.Path, got, p.Value)
		}
	}
	return []byte(object)
}

// What need not be judged, and what must.
func TestScope(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	h.push(t, "unsigned")
	bad := repo + ":unsigned"
	g := h.gate(t, Options{Exempt: []string{"kube-system", "exempt-*"}, Own: "ours"}, signedBy("p", "**", k, ""))
	update := func(before, after []byte, sub string) *Request {
		return &Request{Operation: Update, Version: "v1", Resource: "pods", Subresource: sub, Namespace: "prod", Object: after, OldObject: before}
	}
	change := func(r *Request, f func(*Request)) *Request { f(r); return r }
	ephemeral := []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"},"spec":{"containers":[{"name":"c0","image":"` + bad + `"}],"ephemeralContainers":[{"name":"d","image":"` + bad + `"}]}}`)
	volume := []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"},"spec":{"containers":[],"volumes":[{"name":"m","image":{"reference":"` + bad + `"}}]}}`)
	scaled := []byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":0,"template":{"spec":{"containers":[{"name":"c","image":"` + bad + `"}]}}}}`)
	for name, c := range map[string]struct {
		r       *Request
		allowed bool
		code    seaworthy.Code
		why     string
	}{
		"a pod":                         {create(pod("", bad)), false, seaworthy.Refused, "may not sail"},
		"no image at all":               {create(pod("")), true, "", ""},
		"an image volume":               {create(volume), false, seaworthy.Refused, "may not sail"},
		"no replicas":                   {create(scaled), false, seaworthy.Refused, "may not sail"},
		"an ephemeral container":        {update(pod("", bad), ephemeral, "ephemeralcontainers"), false, seaworthy.Refused, "may not sail"},
		"delete":                        {change(create(pod("", bad)), func(r *Request) { r.Operation = "DELETE"; r.Object, r.OldObject = nil, r.Object }), true, "", "DELETE brings no image"},
		"connect":                       {change(create(pod("", bad)), func(r *Request) { r.Operation = "CONNECT" }), true, "", "CONNECT brings no image"},
		"an operation we do not know":   {change(create(pod("", bad)), func(r *Request) { r.Operation = "" }), true, "", "brings no image"},
		"status":                        {update(nil, pod("", bad), "status"), true, "", "status brings no image"},
		"scale":                         {update(nil, []byte(`{"kind":"Scale"}`), "scale"), true, "", "scale brings no image"},
		"an exempt namespace":           {change(create(pod("", bad)), func(r *Request) { r.Namespace = "kube-system" }), true, "", "exempt"},
		"exempt by a pattern":           {change(create(pod("", bad)), func(r *Request) { r.Namespace = "exempt-1" }), true, "", "exempt"},
		"our own":                       {change(create(pod("", bad)), func(r *Request) { r.Namespace = "ours" }), true, "", "exempt"},
		"an object that says so":        {change(create([]byte(strings.Replace(string(pod("", bad)), "prod", "kube-system", 1))), func(*Request) {}), false, seaworthy.Refused, ""},
		"a kind without images":         {create([]byte(`{"apiVersion":"v1","kind":"ConfigMap","data":{"image":"evil"}}`)), true, "", "runs no images"},
		"nothing new":                   {update(pod("", bad), pod(`,"labels":{"a":"b"}`, bad), ""), true, "", "brings no image that was not there"},
		"another image":                 {update(pod("", "other:1"), pod("", bad), ""), false, seaworthy.Refused, "may not sail"},
		"one more":                      {update(pod("", bad), pod("", bad, bad), ""), false, seaworthy.Refused, "may not sail"},
		"an update without what it was": {update(nil, pod("", bad), ""), false, seaworthy.Refused, "may not sail"},
		"what it was is rubbish":        {update([]byte(`[`), pod("", bad), ""), false, seaworthy.Refused, "may not sail"},
		"being deleted":                 {update(pod("", "other:1"), pod(`,"deletionTimestamp":"2026-01-01T00:00:00Z"`, bad), ""), true, "", "being deleted"},
		"rubbish":                       {create([]byte(`{"apiVersion":"v1","kind":"Pod","spec":1}`)), false, seaworthy.Invalid, "cannot be judged"},
		"nothing":                       {create(nil), false, seaworthy.Invalid, "cannot be judged"},
	} {
		t.Run(name, func(t *testing.T) {
			a := validate(t, g, c.r)
			if a.Allowed != c.allowed || a.Code != c.code || !strings.Contains(a.Why(), c.why) {
				t.Errorf("allowed %t, %q, %q", a.Allowed, a.Code, a.Why())
			}
			m, err := g.Mutate(t.Context(), c.r)
			if err != nil || !m.Allowed {
				t.Errorf("the mutating phase refuses: %+v, %v", m, err)
			}
		})
	}
}

// A tag is resolved once; what is admitted is what was judged, wherever the tag points later.
func TestPinnedOnce(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	signed, evil := h.push(t, "one"), h.push(t, "two")
	h.sign(t, signed, k)
	h.tag("latest", signed.Digest)
	g := h.gate(t, Options{}, signedBy("p", "registry.example/**", k, ""))
	r := create(pod("", repo+":latest", repo+"@"+string(signed.Digest), "other.example/app:1"))
	m, err := g.Mutate(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	want := []PatchOperation{{"replace", "/spec/containers/0/image", repo + ":latest@" + string(signed.Digest)}}
	if diff := cmp.Diff(want, m.Patch); diff != "" {
		t.Error(diff)
	}
	r = create(pod("", repo+":latest"))
	r.Object = apply(t, g, r)
	h.tag("latest", evil.Digest) // the tag moves between the phases, and after
	if a := validate(t, g, r); !a.Allowed || a.Verdicts[0].Digest != signed.Digest {
		t.Errorf("%+v", a)
	}
	if a := validate(t, g, create(pod("", repo+":latest@"+string(evil.Digest)))); a.Allowed {
		t.Error("the digest that the tag moved to is let through")
	}
}

// Without the mutating phase an image that is named by a tag is refused, even a signed one; as strictly as the policies
// that bind it are.
func TestUnpinned(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	signed := h.push(t, "signed")
	h.sign(t, signed, k)
	for mode, c := range map[string]struct {
		allowed bool
		warns   bool
	}{"enforce": {false, false}, "warn": {true, true}} {
		g := h.gate(t, Options{}, signedBy("p", "registry.example/**", k, "  mode: "+mode+"\n"))
		a := validate(t, g, create(pod("", repo+":signed")))
		if a.Allowed != c.allowed || c.warns != (len(a.Warnings) > 0) {
			t.Errorf("%s: %+v", mode, a)
		}
		text := a.Message + strings.Join(a.Warnings, "")
		if !strings.Contains(text, "pinned by digest") {
			t.Errorf("%s: %s", mode, text)
		}
		if mode == "enforce" && !strings.Contains(text, repo+":signed@"+string(signed.Digest)) {
			t.Errorf("it does not say how to name it: %s", text)
		}
	}
	g := h.gate(t, Options{})
	g.Use(loadWith(t, policy.Options{Unbound: policy.UnboundAllow}, signedBy("p", "registry.example/**", k, "")), nil)
	if a := validate(t, g, create(pod("", "other.example/app:1"))); !a.Allowed {
		t.Errorf("an image that no policy binds: %+v", a)
	}
	static := policy.File{Name: "s", Bytes: []byte("apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: s}\nspec:\n  images: [{glob: '**'}]\n  authorities: [{static: {action: pass}}]\n")}
	g = h.gate(t, Options{}, static)
	if a := validate(t, g, create(pod("", repo+":missing"))); a.Allowed || !strings.Contains(a.Message, "could not be resolved") {
		t.Errorf("a policy that lets everything pass, and a tag that is not there: %+v", a)
	}
}

// Several images have one answer, which says each.
func TestSeveralImages(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	signed, bad := h.push(t, "signed"), h.push(t, "bad")
	h.sign(t, signed, k)
	g := h.gate(t, Options{}, signedBy("p", "registry.example/**", k, ""), signedBy("w", "registry.example/**", newKey(t), "  mode: warn\n"))
	a := validate(t, g, create(pod("", repo+"@"+string(signed.Digest), repo+"@"+string(bad.Digest), repo+"@"+string(bad.Digest), "!")))
	if a.Allowed || len(a.Verdicts) != 4 || strings.Count(a.Message, "[seaworthy] image") != 2 {
		t.Errorf("%s", a.Message)
	}
	for _, says := range []string{"may not sail: policy p: rule key", "; missing: ", "; to mend: ", "image names"} {
		if !strings.Contains(a.Message, says) {
			t.Errorf("%q is not in %s", says, a.Message)
		}
	}
	if len(a.Warnings) == 0 || !strings.Contains(a.Warnings[0], "[seaworthy] image "+repo) {
		t.Errorf("warnings %q", a.Warnings)
	}
	want := map[string]string{"containers.c0": "warned " + repo, "containers.c1": "refused " + repo, "containers.c3": "refused !"}
	for name, begins := range want {
		if !strings.HasPrefix(a.Audit[name], begins) {
			t.Errorf("audit %s is %q", name, a.Audit[name])
		}
	}
}

// What a registry or a workload says cannot write on the person's terminal.
func TestMessagesAreEscaped(t *testing.T) {
	g := newHarbour(t).gate(t, Options{}, signedBy("p", "registry.example/**", newKey(t), ""))
	a := validate(t, g, create(pod("", "evil\u001b[2J\u202e")))
	if a.Allowed || strings.ContainsAny(a.Message, "\x1b\u202e") {
		t.Errorf("%q", a.Message)
	}
	if a := validate(t, g, create(pod("", strings.Repeat("x", 100_000)))); len(a.Message) > maxMessage+10 {
		t.Errorf("a message of %d bytes", len(a.Message))
	}
}

// An answer comes before the webhook's deadline, whatever the registry does.
func TestBeforeTheDeadline(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	d := h.push(t, "signed")
	h.sign(t, d, k)
	p := signedBy("p", "registry.example/**", k, "")
	synctest.Test(t, func(t *testing.T) {
		g := h.gate(t, Options{}, p)
		slow := make(chan struct{})
		h.set(nil, slow)
		defer h.set(nil, nil)
		defer close(slow)
		for _, timeout := range []time.Duration{time.Second, 3 * time.Second, 0, 30 * time.Second} {
			began := time.Now()
			ctx, cancel := context.WithDeadline(t.Context(), Deadline(began, timeout))
			r := create(pod("", repo+":signed", repo+"@"+string(d.Digest)))
			if _, err := g.Mutate(ctx, r); err != nil {
				t.Fatal(err)
			}
			a, err := g.Validate(ctx, r)
			cancel()
			limit := timeout
			if limit == 0 {
				limit = 10 * time.Second
			}
			if took := time.Since(began); err != nil || a.Allowed || took >= limit || took < limit/2 && took < 25*time.Second {
				t.Errorf("timeout %s: %v after %s, %+v", timeout, err, took, a)
			}
		}
	})
}

// A dry run is judged and not recorded; other decisions are recorded once.
func TestRecorded(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	d := h.push(t, "signed")
	h.sign(t, d, k)
	var kept recorded
	g := h.gate(t, Options{Recorder: &kept}, signedBy("p", "registry.example/**", k, ""))
	r := create(pod("", repo+"@"+string(d.Digest)))
	r.DryRun = true
	validate(t, g, r)
	if list, _ := g.Decisions(0, 10); len(list) != 0 {
		t.Errorf("a dry run is recorded: %v", list)
	}
	r.Namespace, r.DryRun = "other", false
	for range 3 {
		validate(t, g, r)
	}
	list, next := g.Decisions(0, 2)
	if len(list) != 2 || next == 0 || !list[0].Cached {
		t.Errorf("%v, %d", list, next)
	}
	if list, next = g.Decisions(next, 2); len(list) != 1 || next != 0 || list[0].Cached {
		t.Errorf("%v, %d", list, next)
	}
	fleet := g.Fleet()
	if len(fleet) != 1 || fleet[0].Name != "other" || len(fleet[0].Images) != 1 || !fleet[0].Images[0].Allowed || !cmp.Equal(fleet[0].Images[0].Workloads, []string{"pod/web"}) {
		t.Errorf("%+v", fleet)
	}
	g.Close()
	if len(kept) != 1 || kept[0].Digest != d.Digest || !kept[0].Allowed {
		t.Errorf("recorded %+v", kept)
	}
}

type recorded []seaworthy.Verdict

func (r *recorded) Record(_ context.Context, v seaworthy.Verdict) error {
	*r = append(*r, v)
	return nil
}

// The newest thousand decisions are shown, in order.
func TestDecisionsAreARing(t *testing.T) {
	g := newHarbour(t).gate(t, Options{})
	for i := range maxDecisions + 10 {
		g.journal.add(seaworthy.Verdict{Image: fmt.Sprint(i)}, Question{})
	}
	var all []string
	for before := int64(0); ; {
		list, next := g.Decisions(before, 300)
		for _, v := range list {
			all = append(all, v.Image)
		}
		if before = next; next == 0 {
			break
		}
	}
	if len(all) != maxDecisions || all[0] != fmt.Sprint(maxDecisions+9) || all[maxDecisions-1] != "10" {
		t.Errorf("%d decisions, from %s to %s", len(all), all[0], all[len(all)-1])
	}
}

// Before policies are there, nothing is answered; what need not be judged is.
func TestNotReady(t *testing.T) {
	g := newHarbour(t).gate(t, Options{})
	if _, err := g.Validate(t.Context(), create(pod("", "a"))); seaworthy.CodeOf(err) != seaworthy.Unavailable {
		t.Errorf("got %v", err)
	}
	if _, err := g.Mutate(t.Context(), create(pod("", "a"))); seaworthy.CodeOf(err) != seaworthy.Unavailable {
		t.Errorf("got %v", err)
	}
	r := create(pod("", "a"))
	r.Namespace = "kube-system"
	if a, err := g.Validate(t.Context(), r); err != nil || !a.Allowed {
		t.Errorf("kube-system: %+v, %v", a, err)
	}
	g.Use(load(t), nil)
	if err := g.Ready(); err != nil {
		t.Error(err)
	}
	g.Close()
	if g.Ready() == nil {
		t.Error("ready after it was closed")
	}
}

// Policies may be replaced while others ask; under the race detector this says that nothing is shared that must not be.
func TestReplacedWhileAsked(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	d := h.push(t, "signed")
	h.sign(t, d, k)
	g := h.gate(t, Options{}, signedBy("p0", "registry.example/**", k, ""))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 20 {
			g.Use(load(t, signedBy(fmt.Sprintf("p%d", i), "registry.example/**", k, "")), nil)
		}
	}()
	for range 200 {
		if a := validate(t, g, create(pod("", repo+"@"+string(d.Digest)))); !a.Allowed {
			t.Fatal(a.Message)
		}
	}
	<-done
}

// A store that is down or slow holds nobody up, also not when the gate stops.
func TestRecorderDown(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	d := h.push(t, "signed")
	h.sign(t, d, k)
	p := signedBy("p", "registry.example/**", k, "")
	synctest.Test(t, func(t *testing.T) {
		var asked int
		g := h.gate(t, Options{Recorder: recorderFunc(func(ctx context.Context, _ seaworthy.Verdict) error {
			asked++
			<-ctx.Done()
			return ctx.Err()
		})}, p)
		began := time.Now()
		for i := range 20 {
			r := create(pod("", repo+"@"+string(d.Digest)))
			r.Namespace = fmt.Sprint("ns", i)
			if a := validate(t, g, r); !a.Allowed {
				t.Fatal(a.Message)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("it was waited for, %s", took)
		}
		g.Close()
		if took := time.Since(began); took > 2*recordTime {
			t.Errorf("stopping took %s", took)
		}
		if n := g.Counts().Unrecorded.Load(); n != 20 || asked == 0 {
			t.Errorf("%d are counted as not recorded", n)
		}
	})
}

type recorderFunc func(context.Context, seaworthy.Verdict) error

func (f recorderFunc) Record(ctx context.Context, v seaworthy.Verdict) error { return f(ctx, v) }
