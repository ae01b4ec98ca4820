package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/seaworthy-dev/seaworthy"
	servegraph "github.com/seaworthy-dev/seaworthy/serve/graph"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// TestUpIsKilledWhileIngesting kills the whole of "seaworthy up" while clients push images and send documents, again and
// again: every document that was acknowledged is there, once, and every manifest that was acknowledged becomes one, with
// nothing left to do. SOAK is how many times.
func TestUpIsKilledWhileIngesting(t *testing.T) {
	rounds := 2
	if n, err := strconv.Atoi(os.Getenv("SOAK")); err == nil {
		rounds = n
	}
	dir := t.TempDir()
	t.Setenv("SEAWORTHY_CACHE_DIR", filepath.Join(dir, "cache"))
	t.Setenv("HOME", dir)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	data := filepath.Join(dir, "up")

	given := map[seaworthy.Digest]string{} // what was acknowledged → how
	for round := range rounds {
		up, _ := startUp(t, data, addr)
		acked, stop := make(chan [2]string), make(chan struct{})
		ack := func(d seaworthy.Digest, how string) bool {
			select {
			case acked <- [2]string{string(d), how}:
				return true
			case <-stop:
				return false
			}
		}
		var clients sync.WaitGroup
		for client := range 2 {
			clients.Go(func() { // documents
				c := &servegraph.Client{URL: "http://" + addr, HTTP: &http.Client{Timeout: 10 * time.Second}}
				for n := 0; ; n++ {
					body := []byte(shopBill(seaworthy.SHA256(fmt.Appendf(nil, "%d %d %d", round, client, n)), "MIT"))
					said, err := c.Add(t.Context(), "POST", body)
					if err != nil || said.Document.Digest != seaworthy.SHA256(body) || !ack(said.Document.Digest, "sent") {
						return // the services are gone
					}
				}
			})
			clients.Go(func() { // images
				for {
					img, err := random.Image(64, 1)
					if err != nil {
						t.Error(err)
						return
					}
					digest, err := img.Digest()
					if err != nil {
						t.Error(err)
						return
					}
					// Without a tag nothing but the event of the push leads to it.
					ref, err := name.NewDigest(addr+"/kill/app@"+digest.String(), name.Insecure)
					if err != nil {
						t.Error(err)
						return
					}
					if remote.Write(ref, img, remote.WithRetryBackoff(remote.Backoff{Steps: 1})) != nil || !ack(seaworthy.Digest(digest.String()), "pushed") {
						return
					}
				}
			})
		}
		for range 5 + rand.IntN(40) { // so that it dies under load, anywhere in an ingest
			select {
			case one := <-acked:
				given[seaworthy.Digest(one[0])] = one[1]
			case <-time.After(time.Minute):
				t.Fatalf("round %d: nothing is acknowledged", round)
			}
		}
		if err := up.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		close(stop)
		_ = up.Wait() // it was killed
		clients.Wait()
	}

	up, _ := startUp(t, data, addr)
	typed(t, 0, "graph", "jobs", "--wait", "--store", filepath.Join(data, "graph"))
	// What is seen to be done may not be on the disk yet, and is then done again: this one stops as it should.
	if err := up.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := up.Wait(); err != nil {
		t.Error(err)
	}
	store, err := graph.Open(t.Context(), filepath.Join(data, "graph"), graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	how := map[string]int{}
	for d, was := range given {
		docs, err := store.Documents(t.Context(), []graph.ID{graph.DocumentID(d)})
		if err != nil || docs[0].Digest != d {
			t.Errorf("%s was %s, and is lost: %v", d, was, err)
		}
		if _, err := store.Body(t.Context(), d); err != nil {
			t.Error(err)
		}
		how[was]++
	}
	jobs, err := store.Jobs(t.Context(), 100)
	if err != nil || len(jobs) > 0 {
		t.Errorf("left to do: %+v %v", jobs, err)
	}
	if problems, err := store.Check(t.Context()); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	listed := map[seaworthy.Digest]bool{}
	for q := (graph.ListQuery{}); ; {
		page, err := store.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page.Documents {
			if listed[d.Digest] {
				t.Errorf("%s is there twice", d.Digest)
			}
			listed[d.Digest] = true
		}
		if q.After = page.Next; page.Next == "" {
			break
		}
	}
	t.Logf("%d rounds, %d documents sent and %d images pushed, all of them there", rounds, how["sent"], how["pushed"])
	if how["sent"] == 0 || how["pushed"] == 0 {
		t.Log(strings.Repeat("-", 20), "one kind was never acknowledged before the end")
	}
}
