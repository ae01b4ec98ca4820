package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestUpIsKilledWhileSigning kills the whole of "seaworthy up" while clients sign with it, again and again: every
// bundle that a client was given still verifies, and the log still holds its entry under the index it said; no index
// was given twice. SOAK is how many times.
func TestUpIsKilledWhileSigning(t *testing.T) {
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

	given := map[string]string{} // bundle file → signed file
	for round := range rounds {
		up, token := startUp(t, data, addr)
		var clients sync.WaitGroup
		signed, stop := make(chan string), make(chan struct{})
		for client := range 3 {
			clients.Go(func() {
				for n := 0; ; n++ {
					file := filepath.Join(dir, fmt.Sprintf("%d-%d-%d", round, client, n))
					if err := os.WriteFile(file, []byte(file), 0o600); err != nil {
						t.Error(err)
						return
					}
					cmd := exec.Command("seaworthy", "sign", file, "--quiet", "--bundle", file+".json", "--signing-config", filepath.Join(data, "signing_config.json"))
					cmd.Env = append(os.Environ(), "SEAWORTHY_IDENTITY_TOKEN="+token)
					if cmd.Run() != nil {
						return // the services are gone
					}
					select {
					case signed <- file:
					case <-stop:
						return
					}
				}
			})
		}
		for range 1 + rand.IntN(6) { // so that it dies under load, anywhere in a signing
			select {
			case file := <-signed:
				given[file+".json"] = file
			case <-time.After(time.Minute):
				t.Fatalf("round %d: nothing is signed", round)
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
	defer func() { _ = up.Process.Kill(); _ = up.Wait() }()
	indices := map[string]string{}
	for bundle, file := range given {
		out, err := exec.Command("seaworthy", "verify", file, "--bundle", bundle, "--trusted-root", filepath.Join(data, "trusted_root.json"),
			"--certificate-identity", "you@example.com", "--certificate-oidc-issuer", "http://"+addr+"/oidc").CombinedOutput()
		if err != nil {
			t.Fatalf("verifying %s: %v\n%s", bundle, err, out)
		}
		if out, err := exec.Command("seaworthy", "log", "verify", bundle, "--log", "http://"+addr, "--trusted-root", filepath.Join(data, "trusted_root.json")).CombinedOutput(); err != nil {
			t.Fatalf("%s is not in the log any more: %v\n%s", bundle, err, out)
		}
		_, after, ok := strings.Cut(string(out), ", entry ")
		index, _, _ := strings.Cut(after, " ")
		if !ok || indices[index] != "" {
			t.Errorf("entry %q of %s was also given to %s", index, bundle, indices[index])
		}
		indices[index] = bundle
	}
	if out, err := exec.Command("seaworthy", "log", "fsck", "--log", "http://"+addr, "--trusted-root", filepath.Join(data, "trusted_root.json")).CombinedOutput(); err != nil {
		t.Errorf("fsck: %v\n%s", err, out)
	}
	t.Logf("%d rounds, %d bundles given, all of them good and in the log", rounds, len(given))
}

// startUp starts the services at addr and returns a token for them. They must be ready within five seconds.
func startUp(t *testing.T, data, addr string) (up *exec.Cmd, token string) {
	t.Helper()
	up = exec.Command("seaworthy", "up", "--quiet", "--dir", data, "--addr", addr)
	said, err := up.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	up.Stderr = os.Stderr
	start := time.Now()
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	if !bufio.NewScanner(said).Scan() {
		t.Fatal("it did not start: ", up.Wait())
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s to start", took)
	}
	go io.Copy(io.Discard, said) //nolint:errcheck // what else it says is not needed
	res, err := http.Get("http://" + addr + "/oidc/token?email=you@example.com")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return up, strings.TrimSpace(string(body))
}
