package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func ask(h http.Handler, method, at string, header ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, at, nil)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// script is the name of the page's own script.
func script(t *testing.T) string {
	t.Helper()
	found := regexp.MustCompile(`src="/(assets/index-[^"]+\.js)"`).FindStringSubmatch(string(mustRead(t, index)))
	if found == nil {
		t.Fatal("the page names no script")
	}
	return found[1]
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	body, err := dist.ReadFile("dist/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestHandler(t *testing.T) {
	h := Handler()
	js := script(t)
	for _, c := range []struct {
		method, at   string
		status       int
		kind, caches string
		page         bool
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", "no-cache", true},
		{"HEAD", "/", 200, "text/html; charset=utf-8", "no-cache", false},
		{"GET", "/graph?subject=sha256:ab", 200, "text/html; charset=utf-8", "no-cache", true},
		{"GET", "/artifact", 200, "text/html; charset=utf-8", "no-cache", true},
		{"GET", "/no/such/../page", 200, "text/html; charset=utf-8", "no-cache", true},
		{"GET", "/v2x", 200, "text/html; charset=utf-8", "no-cache", true},
		{"GET", "/" + js, 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", false},
		{"GET", "/mark.svg", 200, "image/svg+xml", "no-cache", false},
		{"GET", "/theme.js", 200, "text/javascript; charset=utf-8", "no-cache", false},
		{"GET", "/assets/index-gone.js", 404, "text/plain; charset=utf-8", "", false},
		{"GET", "/assets", 404, "text/plain; charset=utf-8", "", false},
		{"GET", "/api/graph/v2/ask", 404, "text/plain; charset=utf-8", "", false},
		{"GET", "/api", 404, "text/plain; charset=utf-8", "", false},
		{"GET", "/v2/library/app/manifests/latest", 404, "text/plain; charset=utf-8", "", false},
		{"GET", "/v2/", 404, "text/plain; charset=utf-8", "", false},
		{"GET", "/token", 404, "text/plain; charset=utf-8", "", false},
		{"GET", "/.well-known/openid-configuration", 404, "text/plain; charset=utf-8", "", false},
		{"GET", "/validate", 404, "text/plain; charset=utf-8", "", false},
		{"GET", "/metrics", 404, "text/plain; charset=utf-8", "", false},
		{"POST", "/", 405, "text/plain; charset=utf-8", "", false},
		{"DELETE", "/graph", 405, "text/plain; charset=utf-8", "", false},
	} {
		w := ask(h, c.method, c.at)
		if w.Code != c.status || w.Header().Get("Content-Type") != c.kind || w.Header().Get("Cache-Control") != c.caches {
			t.Errorf("%s %s: %d %q %q, want %d %q %q", c.method, c.at, w.Code, w.Header().Get("Content-Type"), w.Header().Get("Cache-Control"), c.status, c.kind, c.caches)
		}
		if got := strings.Contains(w.Body.String(), `<div id="page">`); got != c.page {
			t.Errorf("%s %s: whether it is the page: %v, want %v", c.method, c.at, got, c.page)
		}
		for name, want := range map[string]string{"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s %s: %s: %q, want %q", c.method, c.at, name, got, want)
			}
		}
	}
}

func TestHandlerPacksAndRemembers(t *testing.T) {
	h := Handler()
	at := "/" + script(t)
	plain := ask(h, "GET", at)
	packed := ask(h, "GET", at, "Accept-Encoding", "br, gzip;q=0.8")
	if packed.Header().Get("Content-Encoding") != "gzip" || packed.Header().Get("Vary") != "Accept-Encoding" {
		t.Fatalf("not packed: %v", packed.Header())
	}
	z, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(z)
	if err != nil || !bytes.Equal(body, plain.Body.Bytes()) {
		t.Fatalf("what was packed is something else: %v", err)
	}
	for _, refuses := range []string{"", "br", "gzip;q=0", "gzip; q=0.000", "identity"} {
		if w := ask(h, "GET", at, "Accept-Encoding", refuses); w.Header().Get("Content-Encoding") != "" {
			t.Errorf("Accept-Encoding %q: packed", refuses)
		}
	}
	tag := plain.Header().Get("ETag")
	if tag == "" || tag == packed.Header().Get("ETag") {
		t.Errorf("entity tags %q and %q: two representations have two", tag, packed.Header().Get("ETag"))
	}
	for list, status := range map[string]int{tag: 304, "W/" + tag: 304, `"x", ` + tag: 304, "*": 304, `"x"`: 200, "": 200} {
		w := ask(h, "GET", at, "If-None-Match", list)
		if w.Code != status || (status == 304 && w.Body.Len() > 0) {
			t.Errorf("If-None-Match %q: %d with %d bytes, want %d", list, w.Code, w.Body.Len(), status)
		}
	}
	if w := ask(h, "GET", "/assets/"+font(t), "Accept-Encoding", "gzip"); w.Header().Get("Content-Encoding") != "" || w.Header().Get("Content-Type") != "font/woff2" {
		t.Errorf("a font: %v", w.Header())
	}
}

func font(t *testing.T) string {
	t.Helper()
	list, err := dist.ReadDir("dist/assets")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range list {
		if strings.HasSuffix(entry.Name(), ".woff2") {
			return entry.Name()
		}
	}
	t.Fatal("there is no font")
	return ""
}

// maxFirstLoad is how much the page may fetch before it shows something: 250 kB, packed.
const maxFirstLoad = 250_000

func TestFirstLoadIsSmall(t *testing.T) {
	files, err := read(dist)
	if err != nil {
		t.Fatal(err)
	}
	page := string(files[index].body)
	sum := 0
	for name, f := range files {
		switch {
		case name == index, strings.Contains(page, "/"+name), strings.HasSuffix(name, ".woff2"):
			sent := f.body
			if packed := f.packed(); packed != nil {
				sent = packed
			}
			sum += len(sent)
		}
	}
	if sum > maxFirstLoad {
		t.Errorf("the first load has %d bytes, more than %d", sum, maxFirstLoad)
	}
	t.Logf("the first load has %d bytes", sum)
}

func TestPageAsksNobodyElse(t *testing.T) {
	page := string(mustRead(t, index))
	for _, never := range []string{"http://", "https://", "<style", "style=", "onload=", "integrity="} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %q", never)
		}
	}
	if strings.Contains(page, "<script>") {
		t.Error("the page has a script of its own")
	}
	lock, err := os.ReadFile("app/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(lock), `"resolved"`) {
		t.Error("app/package-lock.json names a registry; npm install --omit-lockfile-registry-resolved leaves it out (app/.npmrc)")
	}
}

// TestSourcesNeverWriteMarkup keeps text from outside text.
func TestSourcesNeverWriteMarkup(t *testing.T) {
	err := filepath.WalkDir("app/src", func(name string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, never := range []string{"{@html", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"} {
			if bytes.Contains(body, []byte(never)) {
				t.Errorf("%s has %q", name, never)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDistIsOfTheseSources needs no Node: the build has left the digest of what it was made from.
func TestDistIsOfTheseSources(t *testing.T) {
	files := []string{"index.html", "package-lock.json", "vite.config.ts", "svelte.config.js"}
	for _, folder := range []string{"src", "public"} {
		for _, name := range names(t, filepath.Join("app", folder)) {
			files = append(files, folder+"/"+name)
		}
	}
	slices.Sort(files)
	sum := sha256.New()
	for _, name := range files {
		body, err := os.ReadFile(filepath.Join("app", name))
		if err != nil {
			t.Fatal(err)
		}
		one := sha256.Sum256(body)
		sum.Write(append([]byte(name+"\x00"), one[:]...))
	}
	built, err := os.ReadFile("dist.sha256")
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != strings.TrimSpace(string(built)) {
		t.Error("web/app has changed since web/dist was made of it: make web")
	}
}

// TestDistIsWhatTheSourcesMake builds the page again and compares.
func TestDistIsWhatTheSourcesMake(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the page")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("SKIPPED: node is missing, so nobody has checked that web/dist is what web/app makes; it is in the Debian package nodejs")
	}
	vite, err := filepath.Abs("app/node_modules/vite/bin/vite.js")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(vite); err != nil {
		t.Skip("SKIPPED: web/app/node_modules is missing, so nobody has checked that web/dist is what web/app makes; make web installs it")
	}
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), node, vite, "build", "--outDir", out, "--logLevel", "warn")
	cmd.Dir = "app"
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the page: %v\n%s", err, text)
	}
	made, have := names(t, out), names(t, "dist")
	if !slices.Equal(made, have) {
		t.Fatalf("web/dist has %v, and web/app makes %v: make web", have, made)
	}
	for _, name := range made {
		want, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, mustRead(t, name)) {
			t.Errorf("web/dist/%s is not what web/app makes: make web", name)
		}
	}
}

func names(t *testing.T, folder string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(folder, func(name string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, err = filepath.Rel(folder, name)
			list = append(list, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
