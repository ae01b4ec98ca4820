package rekor

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy/engine/ledger"
)

// serveLog serves a new log on a loopback address.
func serveLog(t testing.TB, dir string) (*ledger.Log, *httptest.Server) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), filepath.Join(dir, "log"), "127.0.0.1", key, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(New(l, nil))
	t.Cleanup(func() {
		server.Close()
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return l, server
}

// bodies makes n different requests.
func bodies(t testing.TB, n int) [][]byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	all := make([][]byte, n)
	for i := range all {
		digest := sha256.Sum256(fmt.Append(nil, i))
		signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		all[i], err = json.Marshal(map[string]any{"hashedRekordRequestV002": map[string]any{
			"digest": digest[:], "signature": map[string]any{"content": signature, "verifier": map[string]any{
				"publicKey": map[string]any{"rawBytes": spki}, "keyDetails": "PKIX_ECDSA_P256_SHA_256",
			}},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// BenchmarkSubmit is 64 clients that each wait for their answer before they send the next entry, on the same
// processors as the log.
func BenchmarkSubmit(b *testing.B) {
	_, server := serveLog(b, b.TempDir())
	requests := bodies(b, b.N)
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var clients sync.WaitGroup
	b.ResetTimer()
	for range 64 {
		clients.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				start := time.Now()
				req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL+"/api/v2/log/entries", bytes.NewReader(requests[i]))
				if err != nil {
					b.Error(err)
					return
				}
				res, err := client.Do(req)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if res.StatusCode != http.StatusCreated {
					b.Errorf("status %d", res.StatusCode)
					return
				}
				took[i] = time.Since(start)
			}
		})
	}
	clients.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
