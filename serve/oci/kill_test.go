package oci

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/registry"
	"github.com/seaworthy-dev/seaworthy/store/blob"
	"github.com/seaworthy-dev/seaworthy/store/repo"
)

// serveDir makes this test binary a registry that can be killed.
const serveDir = "SEAWORTHY_TEST_SERVE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveDir); dir != "" {
		if err := serveUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func serveUntilKilled(dir string) error {
	blobs, err := blob.Open(dir, blob.Options{})
	if err != nil {
		return err
	}
	names, err := repo.Open(dir, repo.Options{})
	if err != nil {
		return err
	}
	r := registry.New(blobs, names, registry.Options{Listener: func(context.Context, repo.Event) error { return nil }})
	h := New(r, Options{Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))})
	go r.CollectEvery(context.Background(), 100*time.Millisecond, registry.CollectOptions{Grace: time.Hour, Untagged: true}, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return h.Serve(context.Background(), h.Server(), l, time.Second)
}

// victim is a registry in a process of its own.
type victim struct {
	cmd *exec.Cmd
	url string
}

func startVictim(t *testing.T, dir string) *victim {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal("it did not come up again:", err)
	}
	v := &victim{cmd, "http://" + strings.TrimSpace(line)}
	resp, err := http.Get(v.url + "/readyz")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal("it is not ready:", resp, err)
	}
	resp.Body.Close()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s to come up", took)
	}
	return v
}

func (v *victim) kill() {
	_ = v.cmd.Process.Kill()
	_ = v.cmd.Wait()
}

// acknowledged is a push for which the registry said 201.
type acknowledged struct {
	tag, manifest string
	blobs         []seaworthy.Digest
}

// TestKill kills a registry under concurrent pushes, at random points, again and again on the same folder. What was
// acknowledged must be there and whole; nothing may be there in part. SOAK=200 makes it 200 rounds.
func TestKill(t *testing.T) {
	rounds := 3
	if s := os.Getenv("SOAK"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal("SOAK:", err)
		}
	}
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	dir := t.TempDir()
	v := startVictim(t, dir)
	defer func() { v.kill() }()
	total := 0
	for round := range rounds {
		start := time.Now().Add(-time.Second) // file times are a little coarse
		kept := pushUntilKilled(t, v, round)
		total += len(kept)
		v = startVictim(t, dir)
		for _, a := range kept {
			v.mustHave(t, a)
		}
		nothingHalf(t, dir, start)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	nothingHalf(t, dir, time.Time{})
	t.Logf("%d rounds, %d acknowledged pushes, none lost", rounds, total)
}

// pushUntilKilled pushes from several clients and kills the registry after some acknowledgements.
func pushUntilKilled(t *testing.T, v *victim, round int) []acknowledged {
	const clients = 6
	left := &atomic.Int64{}
	left.Store(1 + rand.Int64N(60))
	var (
		mu   sync.Mutex
		kept []acknowledged
		all  sync.WaitGroup
	)
	for client := range clients {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(round), uint64(client)))
			for n := 0; ; n++ {
				a, err := v.push(random, fmt.Sprintf("r%d-c%d-n%d", round, client, n))
				if err != nil {
					if refused := (refusal{}); errors.As(err, &refused) {
						t.Error(err)
					}
					return // it is dead
				}
				mu.Lock()
				kept = append(kept, a)
				mu.Unlock()
				if left.Add(-1) == 0 {
					v.kill() // while the others are in the middle of something
					return
				}
			}
		})
	}
	all.Wait()
	return kept
}

// push pushes an image of two layers, each in one of the ways there are.
func (v *victim) push(random *rand.Rand, tag string) (acknowledged, error) {
	a := acknowledged{tag: tag}
	for range 2 {
		b := make([]byte, random.IntN(300_000))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		d := seaworthy.SHA256(b)
		if err := v.pushBlob(random.IntN(3), d, b); err != nil {
			return a, err
		}
		a.blobs = append(a.blobs, d)
	}
	a.manifest = image(a.blobs[0], `,"annotations":{"other":"`+string(a.blobs[1])+`"}`+subject(a.blobs[1]))
	_, err := v.send("PUT", v.url+"/v2/soak/manifests/"+tag, ociManifest, []byte(a.manifest), http.StatusCreated)
	return a, err
}

func (v *victim) pushBlob(how int, d seaworthy.Digest, b []byte) error {
	at := v.url + "/v2/soak/blobs/uploads/"
	if how == 0 {
		_, err := v.send("POST", at+"?digest="+string(d), "", b, http.StatusCreated)
		return err
	}
	resp, err := v.send("POST", at, "", nil, http.StatusAccepted)
	if err != nil {
		return err
	}
	at = v.url + resp.Header.Get("Location")
	if how == 1 {
		if _, err := v.send("PATCH", at, "", b[:len(b)/2], http.StatusAccepted); err != nil {
			return err
		}
		b = b[len(b)/2:]
	}
	_, err = v.send("PUT", at+"?digest="+string(d), "", b, http.StatusCreated)
	return err
}

func (v *victim) send(method, url, mediaType string, body []byte, want int) (*http.Response, error) {
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = refusal{fmt.Sprintf("%s %s: %s: %s", method, url, resp.Status, b)}
	}
	return resp, err
}

// refusal is an answer that says no, which is not what dying looks like.
type refusal struct{ string }

func (r refusal) Error() string { return r.string }

func (v *victim) get(path string) ([]byte, error) {
	resp, err := http.Get(v.url + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

func (v *victim) mustHave(t *testing.T, a acknowledged) {
	t.Helper()
	for _, reference := range []string{a.tag, string(sha(a.manifest))} {
		if b, err := v.get("/v2/soak/manifests/" + reference); err != nil || string(b) != a.manifest {
			t.Errorf("%s was acknowledged: %v", a.tag, err)
		}
	}
	if b, err := v.get("/v2/soak/referrers/" + string(a.blobs[1])); err != nil || !strings.Contains(string(b), string(sha(a.manifest))) {
		t.Errorf("%s is not among the referrers: %v", a.tag, err)
	}
	for _, d := range a.blobs {
		if b, err := v.get("/v2/soak/blobs/" + string(d)); err != nil || seaworthy.SHA256(b) != d {
			t.Errorf("blob %s of %s: %v", d, a.tag, err)
		}
	}
}

// nothingHalf reads everything since then that has a digest for a name.
func nothingHalf(t *testing.T, dir string, since time.Time) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "blobs", "sha256"), func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if info, err := e.Info(); err != nil || info.ModTime().Before(since) {
			return err
		}
		b, err := os.ReadFile(name)
		if err == nil && seaworthy.SHA256(b).Hex() != e.Name() {
			t.Errorf("%s has other bytes", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
