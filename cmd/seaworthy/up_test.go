package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sigbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/seaworthy-dev/seaworthy"
)

// port is a harbour that a test serves.
type port struct {
	*harbour
	url  string
	logs *bytes.Buffer // of everything; complete once the port is shut
	shut func() error
}

// openPort serves roles from a folder until the test ends or shut is called.
func openPort(t *testing.T, dir, addr string, roles role, change ...func(*serveFlags)) *port {
	t.Helper()
	p, err := tryPort(t, dir, addr, roles, change...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func tryPort(t *testing.T, dir, addr string, roles role, change ...func(*serveFlags)) (*port, error) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	o := serveFlags{dir: dir, addr: l.Addr().String()}
	for _, c := range change {
		c(&o)
	}
	logs := new(bytes.Buffer)
	a := newApp(nil, strings.NewReader(""), io.Discard, io.Discard)
	p := &port{url: "http://" + l.Addr().String(), logs: logs}
	if p.harbour, err = a.openHarbour(t.Context(), o, roles, p.url, slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))); err != nil {
		l.Close()
		return nil, err
	}
	server := &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	done := false
	p.shut = func() error {
		if done {
			return nil
		}
		done = true
		p.leave()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		err := server.Shutdown(ctx)
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		return errors.Join(err, p.close(ctx))
	}
	t.Cleanup(func() {
		if err := p.shut(); err != nil {
			t.Error(err)
		}
	})
	return p, nil
}

const allRoles = registryRole | caRole | logRole | tsaRole | issuerRole | graphRole

func (p *port) get(t *testing.T, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func (p *port) token(t *testing.T, email string) string {
	t.Helper()
	status, token := p.get(t, "/oidc/token?email="+url.QueryEscape(email))
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, token)
	}
	return token
}

// sign signs as the field's own library does: token, certificate, log, time stamp.
func (p *port) sign(t *testing.T, token string, content sign.Content) (*sigbundle.Bundle, error) {
	t.Helper()
	pair, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		t.Fatal(err)
	}
	made, err := sign.Bundle(content, pair, sign.BundleOptions{
		Context:                    t.Context(),
		CertificateProvider:        sign.NewFulcio(&sign.FulcioOptions{BaseURL: p.url}),
		CertificateProviderOptions: &sign.CertificateProviderOptions{IDToken: token},
		TransparencyLogs:           []sign.Transparency{sign.NewRekor(&sign.RekorOptions{BaseURL: p.url, Version: 2})},
		TimestampAuthorities:       []*sign.TimestampAuthority{sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: p.url + "/api/v1/timestamp"})},
	})
	if err != nil {
		return nil, err
	}
	return sigbundle.NewBundle(made)
}

// verifies checks a bundle as the field's own library does, with the trusted root the harbour wrote.
func verifies(t *testing.T, dir, issuer, who string, b *sigbundle.Bundle, artifact []byte) error {
	t.Helper()
	trusted, err := root.NewTrustedRootFromPath(filepath.Join(dir, "trusted_root.json"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.NewVerifier(trusted, verify.WithTransparencyLog(1), verify.WithSignedTimestamps(1), verify.WithSignedCertificateTimestamps(1))
	if err != nil {
		t.Fatal(err)
	}
	identity, err := verify.NewShortCertificateIdentity(issuer, "", who, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(b, verify.NewPolicy(verify.WithArtifact(bytes.NewReader(artifact)), verify.WithCertificateIdentity(identity)))
	return err
}

func TestKeylessSigning(t *testing.T) {
	dir := t.TempDir()
	p := openPort(t, dir, "127.0.0.1:0", allRoles)
	artifact := []byte("what is signed")
	b, err := p.sign(t, p.token(t, "you@example.com"), &sign.PlainData{Data: artifact})
	if err != nil {
		t.Fatal(err)
	}
	if err := verifies(t, dir, p.url+"/oidc", "you@example.com", b, artifact); err != nil {
		t.Error(err)
	}
	if verifies(t, dir, p.url+"/oidc", "me@example.com", b, artifact) == nil {
		t.Error("verified for somebody else")
	}
	if verifies(t, dir, p.url+"/oidc", "you@example.com", b, []byte("something else")) == nil {
		t.Error("verified for something else")
	}
}

// What is in the folder is used again: what was signed before still verifies, and the files say the same.
func TestUpAgain(t *testing.T) {
	dir := t.TempDir()
	p := openPort(t, dir, "127.0.0.1:0", allRoles)
	addr := strings.TrimPrefix(p.url, "http://")
	artifact := []byte("what is signed")
	b, err := p.sign(t, p.token(t, "you@example.com"), &sign.PlainData{Data: artifact})
	if err != nil {
		t.Fatal(err)
	}
	before := files(t, dir, "trusted_root.json", "signing_config.json", "keys/log.key", "keys/ca.pem")
	if _, err := tryPort(t, dir, "127.0.0.1:0", allRoles); seaworthy.CodeOf(err) != seaworthy.Conflict {
		t.Errorf("two of them with one folder: %v", err)
	}
	if err := p.shut(); err != nil {
		t.Fatal(err)
	}
	p = openPort(t, dir, addr, allRoles)
	if after := files(t, dir, "trusted_root.json", "signing_config.json", "keys/log.key", "keys/ca.pem"); after != before {
		t.Errorf("the files changed")
	}
	if err := verifies(t, dir, p.url+"/oidc", "you@example.com", b, artifact); err != nil {
		t.Error(err)
	}
	if b, err = p.sign(t, p.token(t, "you@example.com"), &sign.PlainData{Data: artifact}); err != nil {
		t.Fatal(err)
	}
	if got := b.GetVerificationMaterial().GetTlogEntries()[0].GetLogIndex(); got != 1 {
		t.Errorf("the second entry has index %d", got)
	}
}

func files(t *testing.T, dir string, names ...string) string {
	t.Helper()
	var all strings.Builder
	for _, name := range names {
		body, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(body)
	}
	return all.String()
}

func TestUpIsFound(t *testing.T) {
	p := openPort(t, t.TempDir(), "127.0.0.1:0", allRoles)
	for path, want := range map[string]string{
		"/livez": "ok", "/readyz": "ok", "/metrics": "seaworthy_log_entries 0",
		"/v2/": "{}", "/api/v2/configuration": p.url + "/oidc", "/api/v2/trustBundle": "BEGIN CERTIFICATE",
		"/api/v2/checkpoint": "127.0.0.1\n0\n", "/ct/checkpoint": "/ct\n0\n", "/ct/ct/v1/get-roots": "certificates",
		"/api/v1/timestamp/certchain": "BEGIN CERTIFICATE", "/oidc/keys": "RS256", "/trusted_root.json": "trustedroot",
		"/api/v2/log/search": `"entries":[]`,
		"/":                  "<!doctype html>", "/graph": "<!doctype html>", "/api/graph/v1/stats": `"documents":0`, "/api/graph/v1/log": `"size":0`,
	} {
		if status, body := p.get(t, path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if _, body := p.get(t, "/metrics"); !strings.Contains(body, "seaworthy_registry_writable 1") {
		t.Errorf("the registry's metrics are missing: %s", body)
	}
	if _, body := p.get(t, "/metrics"); !strings.Contains(body, "seaworthy_graph_answers 1") {
		t.Errorf("the graph's metrics are missing: %s", body)
	}
	for _, path := range []string{"/api/v2/tile/../origin", "/api/v2/lock", "/api/v2/.state/treeState", "/ct/origin", "/keys/log.key", "/api/nothing", "/api/graph/v1/nothing"} {
		if status, body := p.get(t, path); status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	p.leave()
	if status, _ := p.get(t, "/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("ready while stopping: %d", status)
	}
}

// No token, and no part of one, is in any log.
func TestTokensAreNotLogged(t *testing.T) {
	dir := t.TempDir()
	p := openPort(t, dir, "127.0.0.1:0", allRoles)
	token := p.token(t, "you@example.com")
	if _, err := p.sign(t, token, &sign.PlainData{Data: []byte("a")}); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	spoiled := []string{
		parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-8] + "AAAAAAAA", parts[0] + "." + parts[1] + ".", token + ".x",
		"canarycanarycanary", parts[1] + "." + parts[0] + "." + parts[2],
	}
	for _, bad := range spoiled {
		body, err := json.Marshal(map[string]any{"credentials": map[string]string{"oidcIdentityToken": bad}})
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range []string{string(body), string(body[:len(body)-3]), bad} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/api/v2/signingCert?token="+bad, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+bad)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			answer, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode < 400 || res.StatusCode >= 500 {
				t.Errorf("%d %s", res.StatusCode, answer)
			}
			if leaks(string(answer), parts) {
				t.Errorf("the answer quotes the token: %s", answer)
			}
		}
	}
	if err := p.shut(); err != nil {
		t.Fatal(err)
	}
	text := p.logs.String()
	if !strings.Contains(text, "certificate issued") || !strings.Contains(text, "certificate refused") {
		t.Error("the audit is missing")
	}
	if leaks(text, parts) {
		t.Errorf("the log quotes the token:\n%s", text)
	}
}

func leaks(text string, parts []string) bool {
	for _, part := range append([]string{"canarycanary"}, parts...) {
		if strings.Contains(text, part[:min(len(part), 12)]) {
			return true
		}
	}
	return false
}

func TestUpRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := tryPort(t, dir, "127.0.0.1:0", allRoles); seaworthy.CodeOf(err) != seaworthy.Forbidden {
		t.Errorf("keys that others may read: %v", err)
	}
	a := newApp(nil, strings.NewReader(""), io.Discard, io.Discard)
	if err := a.serve(t.Context(), serveFlags{dir: t.TempDir(), addr: "0.0.0.0:0"}, allRoles); seaworthy.CodeOf(err) != seaworthy.Forbidden {
		t.Errorf("an issuer that believes everybody, for everybody: %v", err)
	}
}
