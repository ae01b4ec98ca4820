package main

import (
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// browser is a person at a terminal: it reads what is written there, and opens the first address it sees.
type browser struct {
	t     *testing.T
	email string
	mu    sync.Mutex // guards text and went
	text  strings.Builder
	went  bool
}

var (
	loginAddress = regexp.MustCompile(`http://\S+/auth\?\S+`)
	hiddenField  = regexp.MustCompile(`type="hidden" name="([^"]*)" value="([^"]*)"`)
)

func (b *browser) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.Write(p)
	if address := loginAddress.FindString(b.text.String()); address != "" && !b.went {
		b.went = true
		go b.logIn(address)
	}
	return len(p), nil
}

func (b *browser) logIn(address string) {
	page, err := http.Get(address)
	if err != nil {
		b.t.Error(err)
		return
	}
	defer page.Body.Close()
	body, err := io.ReadAll(page.Body)
	if err != nil {
		b.t.Error(err)
		return
	}
	form := url.Values{"email": {b.email}}
	for _, m := range hiddenField.FindAllStringSubmatch(string(body), -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	where, _, _ := strings.Cut(address, "?")
	answer, err := http.PostForm(where, form)
	if err != nil {
		b.t.Error(err)
		return
	}
	answer.Body.Close()
}

// A person without a token logs in with a browser, and is who signed.
func TestSigningWithABrowser(t *testing.T) {
	dir := t.TempDir()
	p := openPort(t, dir, "127.0.0.1:0", registryRole|caRole|logRole|tsaRole|issuerRole)
	file := filepath.Join(t.TempDir(), "app.tar")
	if err := os.WriteFile(file, []byte("app"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, email: "you@example.com"}
	sign := []string{"sign", file, "--signing-config", filepath.Join(dir, "signing_config.json"), "--oidc-issuer", p.issuer.URL()}
	if status := run(sign, strings.NewReader(""), io.Discard, b); status != 0 {
		t.Fatalf("sign ends with %d: %s", status, b.text.String())
	}
	verify := []string{
		"verify", file, "--trusted-root", filepath.Join(dir, "trusted_root.json"),
		"--certificate-identity", "you@example.com", "--certificate-oidc-issuer", p.issuer.URL(),
	}
	var out, talk strings.Builder
	if status := run(verify, strings.NewReader(""), &out, &talk); status != 0 {
		t.Errorf("verify ends with %d: %s", status, talk.String())
	}
	// Without a person there is nobody to log in.
	talk.Reset()
	if status := run(sign[:4], strings.NewReader(""), io.Discard, &talk); status != 5 || !strings.Contains(talk.String(), "identity token") {
		t.Errorf("without a person it ends with %d: %s", status, talk.String())
	}
}
