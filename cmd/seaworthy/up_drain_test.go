package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// entryMaker signs things and makes requests to log them.
func entryMaker(t *testing.T) func(text string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return func(text string) []byte {
		digest := sha256.Sum256([]byte(text))
		signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			t.Error(err)
		}
		body, err := json.Marshal(map[string]any{"hashedRekordRequestV002": map[string]any{
			"digest": digest[:], "signature": map[string]any{"content": signature, "verifier": map[string]any{
				"publicKey": map[string]any{"rawBytes": spki}, "keyDetails": "PKIX_ECDSA_P256_SHA_256",
			}},
		}})
		if err != nil {
			t.Error(err)
		}
		return body
	}
}

// Whoever interrupts a server under load loses nothing: what is under way is answered, and all answers hold.
func TestUpDrains(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, dir := l.Addr().String(), t.TempDir()
	l.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	served := make(chan error, 1)
	go func() {
		a := newApp(nil, strings.NewReader(""), io.Discard, io.Discard)
		served <- a.serve(ctx, serveFlags{dir: dir, addr: addr, drain: 30 * time.Second}, logRole)
	}()
	var mu sync.Mutex
	acked := map[int64][]byte{}
	var clients sync.WaitGroup
	for c := range 8 {
		clients.Go(func() {
			request := entryMaker(t)
			for i := 0; ; i++ {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/api/v2/log/entries", bytes.NewReader(request(fmt.Sprint(c, i))))
				if err != nil {
					t.Error(err)
					return
				}
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					if ctx.Err() != nil {
						return // it does not listen any more
					}
					continue // not yet
				}
				body, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || res.StatusCode != http.StatusCreated {
					t.Errorf("%d %s %v", res.StatusCode, body, err)
					return
				}
				var e struct {
					Index string `json:"logIndex"`
					Body  []byte `json:"canonicalizedBody"`
				}
				if err := json.Unmarshal(body, &e); err != nil {
					t.Error(err)
				}
				at, _ := strconv.ParseInt(e.Index, 10, 64) // left out when it is 0
				mu.Lock()
				acked[at] = e.Body
				if len(acked) == 100 {
					interrupt()
				}
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	if err := <-served; err != nil {
		t.Error(err)
	}
	p := openPort(t, dir, addr, logRole)
	for at, want := range acked {
		e, err := p.ledger.Entry(t.Context(), uint64(at))
		if err != nil || !bytes.Equal(e.GetCanonicalizedBody(), want) {
			t.Errorf("entry %d: %v", at, err)
		}
	}
	if len(acked) < 100 {
		t.Errorf("only %d were acknowledged", len(acked))
	}
}
