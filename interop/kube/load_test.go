//go:build kube

package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

// podClient writes pods without kubectl, as fast as it can.
func podClient(t testing.TB, namespace string) dynamic.ResourceInterface {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", shared.kubeconfig("admin"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(namespace)
}

// threeImages makes a namespace that is judged, a policy, and a pod of three signed images, named by their tags.
func threeImages(t testing.TB, name string) *unstructured.Unstructured {
	t.Helper()
	shared.must(t, sea.cip(t, name, name+"/"), "apply", "-f", "-")
	shared.namespace(t, name, judged)
	var containers []string
	for i := range 3 {
		image, _ := sea.image(t, name+"/app", fmt.Sprint(i), fmt.Sprint(name, i))
		sea.sign(t, image, "release")
		containers = append(containers, fmt.Sprintf(`{"name":"c%d","image":%q}`, i, image))
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(pod("x", `{"containers":[`+strings.Join(containers, ",")+`]}`)), &object); err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: object}
}

// A thousand pods of three images, all at once, as after a node was lost: none is turned away. On a machine that is too
// slow for all of them within the webhook's time the API server gives up on some, which are then tried again, as
// whatever makes pods does.
func TestAThousandPodsAtOnce(t *testing.T) {
	const count = 1000
	template := threeImages(t, "thousand")
	unsigned, _ := sea.image(t, "thousand/app", "unsigned", "thousand unsigned")
	sea.gate(t, "--webhook-timeout", "30s")
	shared.inForce(t, "thousand", pod("canary", `{"containers":[{"name":"a","image":"`+unsigned+`"}]}`))
	client := podClient(t, "thousand")
	failed := make([]error, count)
	var again atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for i := range count {
		all.Go(func() {
			p := template.DeepCopy()
			p.SetName(fmt.Sprint("p", i))
			got, err := client.Create(t.Context(), p, metav1.CreateOptions{})
			for tries := 1; tries < 5 && err != nil && !apierrors.IsForbidden(err); tries++ {
				again.Add(1)
				got, err = client.Create(t.Context(), p, metav1.CreateOptions{})
			}
			if err == nil {
				text, _ := got.MarshalJSON()
				if n := strings.Count(string(text), "@sha256:"); n < 3 {
					err = fmt.Errorf("%d images are pinned", n)
				}
			}
			failed[i] = err
		})
	}
	all.Wait()
	t.Logf("%d pods in %s, %d of them tried again", count, time.Since(began).Round(time.Millisecond), again.Load())
	wrong := 0
	for i, err := range failed {
		if err != nil {
			if wrong++; wrong < 5 {
				t.Errorf("pod %d: %v", i, err)
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d were turned away", wrong, count)
	}
}

// BenchmarkAdmission is what kubectl apply waits for: a pod of three signed images, through both phases of a real API
// server; dry, so that nothing is kept. "without" is the same in a namespace that is not judged.
func BenchmarkAdmission(b *testing.B) {
	template := threeImages(b, "bench")
	shared.namespace(b, "bench-without")
	sea.gate(b)
	for _, clients := range []int{1, 8} {
		for _, namespace := range []string{"bench", "bench-without"} {
			client := podClient(b, namespace)
			b.Run(fmt.Sprintf("%s/clients=%d", namespace, clients), func(b *testing.B) { admit(b, client, template, clients) })
		}
	}
}

func admit(b *testing.B, client dynamic.ResourceInterface, template *unstructured.Unstructured, clients int) {
	var mu sync.Mutex
	var took []time.Duration
	ask := func(ctx context.Context, name string) {
		p := template.DeepCopy()
		p.SetName(name)
		began := time.Now()
		_, err := client.Create(ctx, p, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		mu.Lock()
		defer mu.Unlock()
		took = append(took, time.Since(began))
		if err != nil {
			b.Error(err)
		}
	}
	ask(b.Context(), "first")
	took = nil
	next := make(chan int)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for i := range next {
				ask(b.Context(), fmt.Sprint("p", i))
			}
		})
	}
	i := 0
	for b.Loop() {
		next <- i
		i++
	}
	close(next)
	all.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
