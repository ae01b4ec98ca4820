package admit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

func TestJudge(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	signed := h.push(t, "signed")
	h.sign(t, signed, k)
	h.push(t, "unsigned")
	stranger := h.push(t, "stranger")
	h.sign(t, stranger, newKey(t))
	g := h.gate(t, Options{}, signedBy("p", "registry.example/**", k, ""))
	for _, c := range []struct {
		image   string
		allowed bool
		says    string
	}{
		{repo + ":signed", true, ""},
		{repo + "@" + string(signed.Digest), true, ""},
		{repo + ":unsigned@" + string(signed.Digest), true, ""}, // the digest counts, whatever the tag says
		{repo + ":unsigned", false, "policy p: rule key"},
		{repo + ":stranger", false, "policy p: rule key"},
		{repo + ":missing", false, "could not be resolved"},
		{"other.example/app:1", false, ""}, // no policy binds it
		{"Not An Image", false, "image names"},
		{"", false, "image names"},
	} {
		v := judge(t, g, c.image)
		if v.Allowed != c.allowed || !strings.Contains(Brief(&v), c.says) {
			t.Errorf("%s: allowed %t, %s", c.image, v.Allowed, Brief(&v))
		}
		if strings.HasPrefix(c.image, repo+":signed") && v.Digest != signed.Digest {
			t.Errorf("%s: judged %s", c.image, v.Digest)
		}
	}
	if _, err := New(Options{}).Judge(t.Context(), Question{Image: repo}); seaworthy.CodeOf(err) != seaworthy.Unavailable {
		t.Errorf("without policies: %v", err)
	}
}

// What no policy binds costs no question.
func TestNobodyIsAskedForNothing(t *testing.T) {
	h := newHarbour(t)
	g := h.gate(t, Options{}, signedBy("p", "registry.example/**", newKey(t), ""))
	judge(t, g, "other.example/app:1")
	if h.count() != 0 {
		t.Errorf("asked %d times", h.count())
	}
}

// A yes is remembered, a no for a moment, and each is asked once however many ask.
func TestRemembered(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	signed := h.push(t, "signed")
	h.sign(t, signed, k)
	unsigned := h.push(t, "unsigned")
	p := signedBy("p", "registry.example/**", k, "")
	synctest.Test(t, func(t *testing.T) {
		g := h.gate(t, Options{}, p)
		good, bad := repo+"@"+string(signed.Digest), repo+"@"+string(unsigned.Digest)
		if v := judge(t, g, good); !v.Allowed || v.Cached {
			t.Fatalf("got %+v", v)
		}
		before := h.count()
		for range 10 {
			if v := judge(t, g, good); !v.Allowed || !v.Cached {
				t.Fatalf("got %+v", v)
			}
		}
		if h.count() != before {
			t.Errorf("a remembered yes was asked %d times", h.count()-before)
		}
		if v := judge(t, g, bad); v.Allowed {
			t.Fatal("unsigned was let through")
		}
		before = h.count()
		if v := judge(t, g, bad); v.Allowed || !v.Cached || h.count() != before {
			t.Errorf("a no was asked again at once")
		}
		h.sign(t, unsigned, k)
		time.Sleep(DefaultNegative + time.Second)
		if v := judge(t, g, bad); !v.Allowed {
			t.Errorf("signed meanwhile, and still refused: %s", Brief(&v))
		}
		before = h.count()
		time.Sleep(DefaultFresh + time.Second)
		if v := judge(t, g, good); !v.Allowed || v.Cached || h.count() == before {
			t.Errorf("an old yes was not asked again: %+v", v)
		}
	})
}

// Whatever a verdict rests on, another of it is another verdict.
func TestWhatAVerdictRestsOn(t *testing.T) {
	h, k, other := newHarbour(t), newKey(t), newKey(t)
	signed := h.push(t, "signed")
	h.sign(t, signed, k)
	image := repo + "@" + string(signed.Digest)
	class := ""
	asked := 0
	o := Options{Registries: RegistriesFunc(func(_ context.Context, _ oci.Reference, who Asker) (oci.Place, string, error) {
		asked++
		return h, class + who.ServiceAccount, nil
	})}
	g := h.gate(t, o, signedBy("p", "registry.example/**", k, ""))
	fresh := func(what string, q Question, allowed bool) {
		t.Helper()
		for i := range 2 {
			v, err := g.Judge(t.Context(), q)
			if err != nil || v.Allowed != allowed || v.Cached != (i > 0) {
				t.Errorf("%s, time %d: %+v, %v", what, i+1, v, err)
			}
		}
	}
	q := Question{Image: image}
	fresh("the first", q, true)
	q.Asker.Namespace = "prod"
	fresh("a namespace", q, true)
	q.NamespaceLabels = map[string]string{"a": "b"}
	fresh("its labels", q, true)
	q.Asker.ServiceAccount = "builder"
	fresh("credentials", q, true)
	q.Workload = &policy.Workload{Version: "v1", Resource: "pods", Labels: map[string]string{"app": "web"}}
	fresh("a workload", q, true)
	q.Image = repo + ":1@" + string(signed.Digest)
	fresh("another name", q, true)
	g.Use(load(t, signedBy("p", "registry.example/**", other, "")), nil)
	fresh("another policy", q, false)
	g.Use(load(t, signedBy("p", "registry.example/**", k, "")), nil)
	if v, err := g.Judge(t.Context(), q); err != nil || !v.Allowed {
		t.Errorf("the first policy again: %+v, %v", v, err)
	}
	trusted, err := root.PublicGood()
	if err != nil {
		t.Fatal(err)
	}
	g.Use(load(t, signedBy("p", "registry.example/**", k, "")), trusted)
	fresh("a trusted root", q, true)
}

// Credentials are part of what is remembered also when they change to fewer: a private image is not let through for
// who may not see it.
func TestCredentialsAreNotShared(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	signed := h.push(t, "signed")
	h.sign(t, signed, k)
	denied := newHarbour(t)
	denied.set(seaworthy.Errorf(seaworthy.Unauthorized, "401"), nil)
	g := h.gate(t, Options{Registries: RegistriesFunc(func(_ context.Context, _ oci.Reference, who Asker) (oci.Place, string, error) {
		if who.Namespace == "with" {
			return h, "secret", nil
		}
		return denied, "", nil
	})}, signedBy("p", "registry.example/**", k, ""))
	for namespace, allowed := range map[string]bool{"with": true, "without": false} {
		v, err := g.Judge(t.Context(), Question{Image: repo + "@" + string(signed.Digest), Asker: Asker{Namespace: namespace}})
		if err != nil || v.Allowed != allowed {
			t.Errorf("%s: %+v, %v", namespace, v, err)
		}
	}
}

// A registry that is down blocks nothing that was verified, and lets nothing through that was not.
func TestRegistryDown(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	signed, other := h.push(t, "signed"), h.push(t, "other")
	h.sign(t, signed, k)
	h.sign(t, other, k)
	strict := signedBy("p", "registry.example/**", k, "")
	synctest.Test(t, func(t *testing.T) {
		g := h.gate(t, Options{}, strict)
		known, unknown := repo+"@"+string(signed.Digest), repo+"@"+string(other.Digest)
		judge(t, g, known)
		h.set(errDown, nil)
		defer h.set(nil, nil)
		for _, age := range []time.Duration{0, DefaultFresh + time.Second, time.Hour, 20 * time.Hour} {
			time.Sleep(age)
			if v := judge(t, g, known); !v.Allowed || !v.Cached {
				t.Errorf("after %s: %+v", age, v)
			}
		}
		before := h.count()
		if v := judge(t, g, known); !v.Allowed || h.count() != before {
			t.Errorf("the registry that is down is asked each time")
		}
		if v := judge(t, g, unknown); v.Allowed || !strings.Contains(Brief(&v), "connection refused") {
			t.Errorf("unknown: %+v", v)
		}
		time.Sleep(DefaultStale)
		if v := judge(t, g, known); v.Allowed {
			t.Error("a yes of more than a day ago still counts")
		}
		h.set(nil, nil)
		time.Sleep(DefaultNegative)
		if v := judge(t, g, unknown); !v.Allowed {
			t.Errorf("the registry is back, and yet: %s", Brief(&v))
		}
	})
}

// An older yes does not outlive a no: when somebody can be asked, what they say counts.
func TestAnOldYesDoesNotOutliveANo(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	signed := h.push(t, "signed")
	h.sign(t, signed, k)
	p := signedBy("p", "registry.example/**", k, "")
	empty := newHarbour(t)
	empty.push(t, "signed")
	synctest.Test(t, func(t *testing.T) {
		place := h
		g := h.gate(t, Options{Registries: RegistriesFunc(func(context.Context, oci.Reference, Asker) (oci.Place, string, error) { return place, "", nil })}, p)
		image := repo + "@" + string(signed.Digest)
		if v := judge(t, g, image); !v.Allowed {
			t.Fatal(Brief(&v))
		}
		place = empty // its signature was deleted
		time.Sleep(DefaultFresh + time.Second)
		if v := judge(t, g, image); v.Allowed {
			t.Error("the signature is gone, and it is still let through")
		}
	})
}

// A slow registry is not waited for longer than the deadline; the answer says so, comes in time, and is there for who
// asks next.
func TestSlowRegistry(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	signed := h.push(t, "signed")
	h.sign(t, signed, k)
	p := signedBy("p", "registry.example/**", k, "")
	synctest.Test(t, func(t *testing.T) {
		g := h.gate(t, Options{}, p)
		slow := make(chan struct{})
		h.set(nil, slow)
		defer h.set(nil, nil)
		for _, image := range []string{repo + "@" + string(signed.Digest), repo + ":signed"} {
			ctx, cancel := context.WithDeadline(t.Context(), Deadline(time.Now(), 3*time.Second))
			began := time.Now()
			v, err := g.Judge(ctx, Question{Image: image})
			cancel()
			if err != nil || v.Allowed || time.Since(began) > 3*time.Second {
				t.Fatalf("%s: %+v, %v after %s", image, v, err, time.Since(began))
			}
			if m := Message(&v); !strings.Contains(m, "no answer in time") || !strings.Contains(m, "registry.example") {
				t.Errorf("%s: %s", image, m)
			}
		}
		close(slow)
		h.set(nil, nil)
		synctest.Wait() // what was asked is answered
		before := h.count()
		if v := judge(t, g, repo+"@"+string(signed.Digest)); !v.Allowed || !v.Cached || h.count() != before {
			t.Errorf("the answer that came too late was not kept: %+v", v)
		}
	})
}

// Who hangs up is told nothing, and costs nobody else an answer.
func TestHungUp(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	signed := h.push(t, "signed")
	h.sign(t, signed, k)
	p := signedBy("p", "registry.example/**", k, "")
	synctest.Test(t, func(t *testing.T) {
		g := h.gate(t, Options{}, p)
		slow := make(chan struct{})
		h.set(nil, slow)
		ctx, hangUp := context.WithCancel(t.Context())
		image := repo + "@" + string(signed.Digest)
		var first, second error
		var v seaworthy.Verdict
		var both sync.WaitGroup
		both.Go(func() { _, first = g.Judge(ctx, Question{Image: image}) })
		both.Go(func() { v, second = g.Judge(context.Background(), Question{Image: image}) })
		synctest.Wait()
		hangUp()
		synctest.Wait()
		close(slow)
		both.Wait()
		h.set(nil, nil)
		if seaworthy.CodeOf(first) != seaworthy.Interrupted || second != nil || !v.Allowed {
			t.Errorf("got %v; %+v, %v", first, v, second)
		}
	})
}

// A thousand pods at once ask each registry once.
func TestAThousandAtOnce(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	signed := h.push(t, "signed")
	h.sign(t, signed, k)
	g := h.gate(t, Options{}, signedBy("p", "registry.example/**", k, ""))
	alone := newHarbour(t)
	d := alone.push(t, "signed")
	alone.sign(t, d, k)
	judge(t, alone.gate(t, Options{}, signedBy("p", "registry.example/**", k, "")), repo+":signed")
	var all sync.WaitGroup
	errs := make([]error, 1000)
	for i := range errs {
		all.Go(func() {
			a, err := g.Validate(t.Context(), &Request{
				Operation: Create, Version: "v1", Resource: "pods", Namespace: "prod",
				Object: fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p%d"},"spec":{"containers":[{"name":"a","image":"%s@%s"}]}}`, i, repo, signed.Digest),
			})
			if err == nil && !a.Allowed {
				err = errors.New(a.Message)
			}
			errs[i] = err
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if h.count() > alone.count() {
		t.Errorf("the registry was asked %d times, and %d times for one pod", h.count(), alone.count())
	}
}

// A thousand different images at once all get an answer, and never more than allowed are asked about at a time.
func TestManyImagesAtOnce(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	d := h.push(t, "signed")
	h.sign(t, d, k)
	g := h.gate(t, Options{Parallel: 4}, signedBy("p", "registry.example/**", k, ""))
	var all sync.WaitGroup
	refused := make([]string, 200)
	for i := range refused {
		all.Go(func() {
			v, err := g.Judge(t.Context(), Question{Image: fmt.Sprintf("registry.example/app%d@%s", i, d.Digest)})
			if err != nil || !v.Allowed {
				refused[i] = fmt.Sprint(err, Brief(&v))
			}
		})
	}
	all.Wait()
	if text := strings.Join(refused, ""); text != "" {
		t.Error(text)
	}
}

// What panics while an image is judged is that image's failure.
func TestPanic(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	g := h.gate(t, Options{Registries: RegistriesFunc(func(context.Context, oci.Reference, Asker) (oci.Place, string, error) {
		return panics{h}, "", nil
	})}, signedBy("p", "registry.example/**", k, ""))
	v := judge(t, g, repo+":1")
	if v.Allowed {
		t.Errorf("got %+v", v)
	}
}

type panics struct{ oci.Place }

func (panics) Manifest(context.Context, string) (oci.Descriptor, []byte, error) { panic("a parser") }

func (panics) Referrers(context.Context, seaworthy.Digest, string) ([]oci.Referrer, error) {
	panic("a parser")
}

// What is remembered is bounded.
func TestBounded(t *testing.T) {
	l := newLRU[int](10)
	for i := range 1000 {
		l.put(fmt.Sprint(i%20), i, 3)
	}
	if l.len() != 3 || l.weight != 9 {
		t.Errorf("%d items of weight %d", l.len(), l.weight)
	}
	l.put("whale", 1, 11)
	if _, ok := l.get("whale"); ok {
		t.Error("what weighs more than everything may is kept")
	}
	if _, ok := l.get("19"); !ok {
		t.Error("the newest is gone")
	}
}

// Evidence without end costs its own image, and no memory.
func TestEndlessEvidence(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	d, small := h.push(t, "large"), h.push(t, "small")
	h.sign(t, small, k)
	for i := range 20 {
		h.attest(t, d, k, "https://cyclonedx.org/bom", fmt.Sprintf(`{"x":"%d%s"}`, i, strings.Repeat("x", 10_000)))
	}
	g := h.gate(t, Options{Reading: 100_000}, signedBy("p", "registry.example/**", k, ""))
	v := judge(t, g, repo+"@"+string(d.Digest))
	if v.Allowed || !strings.Contains(Brief(&v), "too much is being read at once") {
		t.Errorf("got %s", Brief(&v))
	}
	if v := judge(t, g, repo+"@"+string(small.Digest)); !v.Allowed {
		t.Errorf("another image: %s", Brief(&v))
	}
	if !g.reading.TryAcquire(100_000) {
		t.Error("what was taken is not given back")
	}
}

// What is decided anew each time is not recorded each time.
func TestTheSameIsRecordedOnce(t *testing.T) {
	var kept recorded
	g := newHarbour(t).gate(t, Options{Recorder: &kept}, signedBy("p", "registry.example/**", newKey(t), ""))
	for range 10 {
		judge(t, g, "other.example/app:1")
		judge(t, g, "!")
	}
	g.Close()
	if len(kept) != 2 {
		t.Errorf("recorded %d times", len(kept))
	}
}
