package hook

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy/engine/admit"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// rate is how many reviews a second the gate is asked: that of the bar.
const rate = 500

// BenchmarkWarm asks the gate about pods of three images that it has judged before, over HTTP/2 and at a steady rate
// whether it keeps up or not, and reports how long answers take, from when each was due.
func BenchmarkWarm(b *testing.B) {
	w := newWorld(b, 3, Options{})
	w.use(b)
	server := httptest.NewUnstartedServer(w.h)
	server.EnableHTTP2 = true // as API servers speak with webhooks
	server.StartTLS()
	defer server.Close()
	client := server.Client()
	defer client.CloseIdleConnections()
	body := []byte(review("CREATE", "prod", w.pinned("app0"), w.pinned("app1"), w.pinned("app2")))
	ask := func() {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, server.URL+"/validate?timeout=10s", bytes.NewReader(body))
		if err != nil {
			b.Error(err)
			return
		}
		res, err := client.Do(req)
		if err != nil {
			b.Error(err)
			return
		}
		answer, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !bytes.Contains(answer, []byte(`"allowed":true`)) {
			b.Errorf("%s, %v", answer, err)
		}
	}
	ask()
	took := make([]time.Duration, b.N)
	var all sync.WaitGroup
	b.ResetTimer()
	began := time.Now()
	for i := range took {
		due := began.Add(time.Duration(i) * time.Second / rate)
		time.Sleep(time.Until(due))
		all.Go(func() {
			ask()
			took[i] = time.Since(due)
		})
	}
	all.Wait()
	b.StopTimer()
	slices.Sort(took)
	at := func(p float64) float64 {
		return float64(took[int(p*float64(len(took)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(at(0.50), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(float64(len(took))/time.Since(began).Seconds(), "reviews/s")
}

// BenchmarkJudged is the work of one warm review of three images, without the network.
func BenchmarkJudged(b *testing.B) {
	w := newWorld(b, 3, Options{})
	w.use(b)
	body := review("CREATE", "prod", w.pinned("app0"), w.pinned("app1"), w.pinned("app2"))
	for b.Loop() {
		if out := w.do(context.Background(), "POST", "/validate", body); out.Code != 200 {
			b.Fatal(out.Body)
		}
	}
}

// BenchmarkCold asks a gate that knows nothing about a pod of three images, by tag, of one registry: both phases, with a
// client that has no connections.
func BenchmarkCold(b *testing.B) {
	w := newWorld(b, 3, Options{})
	for b.Loop() {
		b.StopTimer()
		client, err := oci.NewClient(oci.Options{Retries: -1})
		must(b, err)
		w.gate = admit.New(admit.Options{Registries: admit.OneClient{Client: client}})
		w.h = New(w.gate, Options{})
		w.use(b)
		b.StartTimer()
		out := w.do(context.Background(), "POST", "/mutate", review("CREATE", "prod", w.host+"/app0:1", w.host+"/app1:1", w.host+"/app2:1"))
		if out.Code != 200 {
			b.Fatal(out.Body)
		}
		out = w.do(context.Background(), "POST", "/validate", review("CREATE", "prod", w.pinned("app0"), w.pinned("app1"), w.pinned("app2")))
		if out.Code != 200 || !bytes.Contains(out.Body.Bytes(), []byte(`"allowed":true`)) {
			b.Fatal(out.Body)
		}
		b.StopTimer()
		w.gate.Close()
		client.Close()
		b.StartTimer()
	}
}
