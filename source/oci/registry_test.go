package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/seaworthy-dev/seaworthy"
)

func TestRegistry(t *testing.T) {
	w := newWorld()
	one, two := w.image(amd64, "one"), w.image(arm64, "two")
	multi := w.index(on(one, amd64), on(two, arm64))
	w.tags["latest"], w.tags["one"] = multi.Digest, one.Digest
	var tagRequests atomic.Int32
	c, host, _ := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/latest") {
			tagRequests.Add(1)
		}
		if got := r.Header.Get("User-Agent"); got != "seaworthy/9" {
			t.Errorf("user agent %q", got)
		}
		w.ServeHTTP(rw, r)
	}), Options{Platform: Platform{OS: "linux", Arch: "arm64"}, UserAgent: "seaworthy/9"})

	im, err := c.Image(t.Context(), mustRef(t, host+"/team/app"))
	if err != nil {
		t.Fatal(err)
	}
	if im.Digest != two.Digest || im.Index == nil || im.Index.Digest != multi.Digest || im.Kind != KindRegistry || im.Reference != host+"/team/app:latest" {
		t.Errorf("got %+v", im)
	}
	if n := tagRequests.Load(); n != 1 {
		t.Errorf("the tag was resolved %d times", n)
	}
	checkLayers(t, im)

	d, err := c.Resolve(t.Context(), mustRef(t, host+"/team/app:one"))
	if err != nil || d.Digest != one.Digest || d.Size != one.Size {
		t.Errorf("resolved to %+v, %v", d, err)
	}
	_, err = c.Image(t.Context(), mustRef(t, host+"/team/app:one"))
	wantCode(t, err, seaworthy.NotFound, "linux/arm64", "linux/amd64")
	_, err = c.Image(t.Context(), mustRef(t, host+"/team/app:nine"))
	wantCode(t, err, seaworthy.NotFound, "404", "not here")
	im, err = Open(t.Context(), host+"/team/app@"+string(one.Digest), Options{Keychain: keychain{}, UserAgent: "seaworthy/9"})
	if err != nil || im.Digest != one.Digest {
		t.Fatal(im, err)
	}
	if err := im.Close(); err != nil {
		t.Error(err)
	}
}

// TestRegistryLies is a table of what a registry may answer instead of the truth.
func TestRegistryLies(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, d Descriptor, rw http.ResponseWriter, r *http.Request) bool // false: the truth
		code   seaworthy.Code
		words  []string
	}{
		"wrong manifest for a digest": {func(w *world, d Descriptor, rw http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/manifests/") {
				return false
			}
			rw.Header().Set("Content-Type", MediaTypeManifest)
			rw.Write(bytes.Replace(w.blobs[d.Digest], []byte("schemaVersion"), []byte("schemaversion"), 1))
			return true
		}, seaworthy.Mismatch, []string{"its digest is"}},
		"wrong configuration": {func(w *world, d Descriptor, rw http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/blobs/") {
				return false
			}
			b := append([]byte(nil), w.blobs[seaworthy.Digest(r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])]...)
			b[len(b)-1] = ' '
			rw.Write(b)
			return true
		}, seaworthy.Mismatch, []string{"reading configuration"}},
		"a web page with 200": {func(w *world, d Descriptor, rw http.ResponseWriter, r *http.Request) bool {
			rw.Header().Set("Content-Type", "text/html")
			io.WriteString(rw, "<!DOCTYPE html><html>log in</html>")
			return true
		}, seaworthy.Invalid, []string{"web page"}},
		"a web page with 500": {func(w *world, d Descriptor, rw http.ResponseWriter, r *http.Request) bool {
			rw.WriteHeader(500)
			io.WriteString(rw, "<html>"+strings.Repeat("x", 1<<20))
			return true
		}, seaworthy.Unavailable, []string{"500", "web page"}},
		"an error with escapes": {func(w *world, d Descriptor, rw http.ResponseWriter, r *http.Request) bool {
			rw.WriteHeader(400)
			io.WriteString(rw, `{"errors":[{"code":"X","message":"\u001b[2Jgone"}]}`)
			return true
		}, seaworthy.Invalid, []string{`\x1b[2Jgone`}},
		"a manifest of 1 GB, announced": {func(w *world, d Descriptor, rw http.ResponseWriter, r *http.Request) bool {
			rw.Header().Set("Content-Length", "1073741824")
			rw.WriteHeader(200)
			return true
		}, seaworthy.TooLarge, nil},
		"a manifest that never ends": {func(w *world, d Descriptor, rw http.ResponseWriter, r *http.Request) bool {
			chunk := bytes.Repeat([]byte(" "), 64<<10)
			for r.Context().Err() == nil {
				if _, err := rw.Write(chunk); err != nil {
					break
				}
			}
			return true
		}, seaworthy.TooLarge, nil},
		"a redirect loop": {func(w *world, d Descriptor, rw http.ResponseWriter, r *http.Request) bool {
			http.Redirect(rw, r, r.URL.Path+"x", http.StatusFound)
			return true
		}, seaworthy.Forbidden, []string{"10 redirects"}},
		"a redirect to a file": {func(w *world, d Descriptor, rw http.ResponseWriter, r *http.Request) bool {
			http.Redirect(rw, r, "file:///etc/passwd", http.StatusFound)
			return true
		}, seaworthy.Invalid, []string{"no address"}},
		"always busy": {func(w *world, d Descriptor, rw http.ResponseWriter, r *http.Request) bool {
			rw.WriteHeader(http.StatusTooManyRequests)
			return true
		}, seaworthy.Unavailable, []string{"429"}},
		"asks for a password": {func(w *world, d Descriptor, rw http.ResponseWriter, r *http.Request) bool {
			rw.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			rw.WriteHeader(http.StatusUnauthorized)
			return true
		}, seaworthy.Unauthorized, []string{"401"}},
		"hangs up": {func(w *world, d Descriptor, rw http.ResponseWriter, r *http.Request) bool {
			panic(http.ErrAbortHandler)
		}, seaworthy.Unavailable, nil},
		"other media type": {func(w *world, d Descriptor, rw http.ResponseWriter, r *http.Request) bool {
			rw.Header().Set("Content-Type", MediaTypeDockerList)
			rw.Write(w.blobs[d.Digest])
			return true
		}, seaworthy.Mismatch, []string{"media type"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			d := w.image(amd64, "x")
			client, host, _ := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if !c.change(w, d, rw, r) {
					w.ServeHTTP(rw, r)
				}
			}), Options{MaxManifest: 1 << 20})
			_, err := client.Image(t.Context(), mustRef(t, host+"/a@"+string(d.Digest)))
			wantCode(t, err, c.code, c.words...)
		})
	}
}

// TestBlobCutAnywhere cuts a blob at every byte, with and without ranges.
func TestBlobCutAnywhere(t *testing.T) {
	body := []byte("forty-two bytes or so, cut at each of them")
	d := Descriptor{Digest: seaworthy.SHA256(body), Size: int64(len(body))}
	for _, ranges := range []bool{true, false} {
		for _, announced := range []bool{true, false} {
			for cut := range len(body) {
				var n atomic.Int32
				c, host, naps := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if n.Add(1) == 1 {
						if announced {
							rw.Header().Set("Content-Length", itoa(len(body)))
						}
						rw.Write(body[:cut])
						rw.(http.Flusher).Flush()
						if announced {
							panic(http.ErrAbortHandler)
						}
						return
					}
					if !ranges {
						r.Header.Del("Range")
					}
					http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(body))
				}), Options{})
				r, err := c.Blob(t.Context(), mustRef(t, host+"/a"), d)
				if err != nil {
					t.Fatal(cut, err)
				}
				got, err := io.ReadAll(r)
				r.Close()
				if err != nil || !bytes.Equal(got, body) || n.Load() != 2 || len(naps.all) != 1 {
					t.Fatalf("cut at %d (ranges %t, announced %t): %q, %v, %d requests, %d pauses", cut, ranges, announced, got, err, n.Load(), len(naps.all))
				}
			}
		}
	}
}

// TestBlobLies covers lengths that are not what the manifest says, both ways and in each place they can be told.
func TestBlobLies(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 100)
	d := Descriptor{Digest: seaworthy.SHA256(body), Size: int64(len(body))}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		code    seaworthy.Code
		atMost  int // bytes given to the reader
	}{
		"announces more":  {func(rw http.ResponseWriter, r *http.Request) { rw.Write(append(body, 'x')) }, seaworthy.Mismatch, 0},
		"announces fewer": {func(rw http.ResponseWriter, r *http.Request) { rw.Write(body[1:]) }, seaworthy.Mismatch, 0},
		"sends more": {func(rw http.ResponseWriter, r *http.Request) {
			rw.Write(body)
			rw.(http.Flusher).Flush()
			rw.Write(body)
		}, seaworthy.Mismatch, 1000},
		"always sends fewer":   {func(rw http.ResponseWriter, r *http.Request) { serveShort(rw, r, body[:500]) }, seaworthy.Mismatch, 500},
		"never more than none": {func(rw http.ResponseWriter, r *http.Request) { rw.(http.Flusher).Flush() }, seaworthy.Unavailable, 0},
		"another part": {func(rw http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "" {
				rw.Header().Set("Content-Length", "1000")
				rw.Write(body[:100])
				rw.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
			rw.Header().Set("Content-Range", "bytes 0-999/1000")
			rw.WriteHeader(http.StatusPartialContent)
			rw.Write(body)
		}, seaworthy.Invalid, 100},
		"a part at once": {func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Range", "bytes 5-999/1000")
			rw.WriteHeader(http.StatusPartialContent)
		}, seaworthy.Invalid, 0},
		"never ends": {func(rw http.ResponseWriter, r *http.Request) {
			for {
				if _, err := rw.Write(body); err != nil {
					return
				}
			}
		}, seaworthy.Mismatch, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			client, host, _ := serve(t, c.handler, Options{})
			got := 0
			r, err := client.Blob(t.Context(), mustRef(t, host+"/a"), d)
			if err == nil {
				var b []byte
				b, err = io.ReadAll(r)
				got = len(b)
				r.Close()
			}
			wantCode(t, err, c.code, d.Digest.Short())
			if got > c.atMost {
				t.Errorf("%d bytes were given, want at most %d", got, c.atMost)
			}
		})
	}
}

// serveShort serves b without saying how long it is.
func serveShort(rw http.ResponseWriter, r *http.Request, b []byte) {
	if r.Header.Get("Range") != "" {
		http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(b))
		return
	}
	rw.Write(b)
	rw.(http.Flusher).Flush()
}

func TestRetryAfter(t *testing.T) {
	w := newWorld()
	d := w.image(amd64, "x")
	for _, c := range []struct {
		header string
		want   time.Duration
	}{{"7", 7 * time.Second}, {"100000", DefaultMaxWait}, {"", 100 * time.Millisecond}, {"-3", 100 * time.Millisecond}, {"Sun, 22 Nov 2026 10:00:09 GMT", 9 * time.Second}} {
		var n atomic.Int32
		client, host, naps := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if n.Add(1) == 1 {
				rw.Header().Set("Retry-After", c.header)
				rw.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			w.ServeHTTP(rw, r)
		}), Options{})
		client.now = func() time.Time { return time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC) }
		if _, err := client.Image(t.Context(), mustRef(t, host+"/a@"+string(d.Digest))); err != nil {
			t.Fatal(err)
		}
		if len(naps.all) != 1 || naps.all[0] != c.want {
			t.Errorf("Retry-After %q: waited %v, want %v", c.header, naps.all, c.want)
		}
	}
}

// TestBackOffGrows checks that pauses double and end.
func TestBackOffGrows(t *testing.T) {
	c, host, naps := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { rw.WriteHeader(http.StatusBadGateway) }), Options{Retries: 8})
	_, err := c.Image(t.Context(), mustRef(t, host+"/a"))
	wantCode(t, err, seaworthy.Unavailable, "502")
	if len(naps.all) != 8 || naps.all[0] != 100*time.Millisecond || naps.all[1] != 200*time.Millisecond || naps.all[7] != 2500*time.Millisecond {
		t.Errorf("pauses %v", naps.all)
	}
}

// TestSilence checks that a registry that says nothing is left.
func TestSilence(t *testing.T) {
	body := []byte("0123456789")
	d := Descriptor{Digest: seaworthy.SHA256(body), Size: 10}
	c, host, _ := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Length", "10")
		rw.Write(body[:3])
		rw.(http.Flusher).Flush()
		<-r.Context().Done()
	}), Options{IdleTimeout: 20 * time.Millisecond, Retries: -1})
	r, err := c.Blob(t.Context(), mustRef(t, host+"/a"), d)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = io.ReadAll(r)
	wantCode(t, err, seaworthy.Unavailable, "byte 3 of 10", "nothing came")
}

func TestCancelled(t *testing.T) {
	c, host, _ := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Image(ctx, mustRef(t, host+"/a"))
	wantCode(t, err, seaworthy.Interrupted)
}

// TestUnsafeAddresses sends a client from a registry at a name that counts as public to addresses that no
// registry may send anybody to, by redirect and by token realm.
func TestUnsafeAddresses(t *testing.T) {
	var reached atomic.Int32
	victim := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		io.WriteString(rw, `{"token":"t"}`)
	}))
	defer victim.Close()
	port := victim.URL[strings.LastIndex(victim.URL, ":"):]
	for _, to := range []string{
		"169.254.169.254", "127.0.0.1", "localhost", "sub.localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "10.0.0.1", "172.16.3.4", "192.168.1.1",
		"100.64.0.1", "[fd00::1]", "[fe80::1]", "0.0.0.0", "[::]", "224.0.0.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]", "255.255.255.255",
		"rebinds.example", "metadata.example", "LOCALHOST", "localhost.",
	} {
		for _, how := range []string{"redirect", "realm"} {
			t.Run(how+" "+to, func(t *testing.T) {
				url := "http://" + to + port + "/x"
				c, host, _ := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if how == "redirect" {
						http.Redirect(rw, r, url, http.StatusTemporaryRedirect)
						return
					}
					rw.Header().Set("WWW-Authenticate", `Bearer realm="`+url+`",service="x"`)
					rw.WriteHeader(http.StatusUnauthorized)
				}), Options{PlainHTTP: true, Keychain: keychain{"user", "secret"}})
				pretend(c, map[string]string{"registry.example": "127.0.0.1", "rebinds.example": "127.0.0.1", "metadata.example": "169.254.169.254", "localhost": "127.0.0.1", "localhost.": "127.0.0.1", "sub.localhost": "127.0.0.1", "LOCALHOST": "127.0.0.1"})
				_, err := c.Image(t.Context(), mustRef(t, "registry.example"+host[strings.LastIndex(host, ":"):]+"/a"))
				wantCode(t, err, seaworthy.Forbidden, "refusing to connect", strings.Trim(to, "[]"))
				if reached.Load() != 0 {
					t.Error("the address was reached")
				}
			})
		}
	}
}

// TestRebinding names a host that is public when first asked for and this machine the second time.
func TestRebinding(t *testing.T) {
	d := newDialer("registry.example", nil)
	if err := checkAddress("cdn.example", "93.184.216.34:443"); err != nil {
		t.Error(err)
	}
	wantCode(t, checkAddress("cdn.example", "127.0.0.1:443"), seaworthy.Forbidden, "cdn.example", "127.0.0.1")
	if d.named["cdn.example"] || !d.named["registry.example"] {
		t.Error("the wrong hosts are named")
	}
}

// TestAllowedHost lets a registry redirect to a private storage host that was named.
func TestAllowedHost(t *testing.T) {
	w := newWorld()
	w.tags["latest"] = w.image(amd64, "x").Digest
	storage := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("credentials were sent to the storage host")
		}
		w.ServeHTTP(rw, r)
	}))
	defer storage.Close()
	c, host, _ := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); user != "user" || pass != "secret" {
			rw.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		if strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(rw, r, strings.Replace(storage.URL, "127.0.0.1", "storage.example", 1)+r.URL.Path, http.StatusTemporaryRedirect)
			return
		}
		w.ServeHTTP(rw, r)
	}), Options{PlainHTTP: true, AllowHosts: []string{"storage.example"}, Keychain: keychain{"user", "secret"}})
	pretend(c, map[string]string{"registry.example": "127.0.0.1", "storage.example": "127.0.0.1"})
	im, err := c.Image(t.Context(), mustRef(t, "registry.example"+host[strings.LastIndex(host, ":"):]+"/a"))
	if err != nil {
		t.Fatal(err)
	}
	checkLayers(t, im)
}

// TestTokens walks the token dance: at the registry's own host with credentials, elsewhere without.
func TestTokens(t *testing.T) {
	w := newWorld()
	w.tags["latest"] = w.image(amd64, "x").Digest
	type seen struct{ path, authorization, body string }
	var mu sync.Mutex
	var elsewhere, own []seen
	record := func(to *[]seen, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		b, _ := io.ReadAll(r.Body)
		*to = append(*to, seen{r.URL.String(), r.Header.Get("Authorization"), string(b)})
	}
	foreign := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		record(&elsewhere, r)
		io.WriteString(rw, `{"access_token":"good","expires_in":60}`)
	}))
	defer foreign.Close()
	realm := ""
	handler := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			record(&own, r)
			io.WriteString(rw, `{"token":"good"}`)
		case r.Header.Get("Authorization") != "Bearer good":
			rw.Header().Set("WWW-Authenticate", `Negotiate, Bearer realm="`+realm+`",service="s",scope="repository:a:pull"`)
			rw.WriteHeader(http.StatusUnauthorized)
		default:
			w.ServeHTTP(rw, r)
		}
	})
	for _, c := range []struct {
		name     string
		keychain authn.Keychain
		foreign  bool
		trust    bool
		want     string // part of what the token service saw; "" no credentials at all
	}{
		{"own host", keychain{"user", "secret"}, false, false, "Basic dXNlcjpzZWNyZXQ="},
		{"other host", keychain{"user", "secret"}, true, false, ""},
		{"other host, named", keychain{"user", "secret"}, true, true, "Basic dXNlcjpzZWNyZXQ="},
		{"identity token, own host", identity{}, false, false, "refresh_token=identity-secret"},
		{"identity token, other host", identity{}, true, false, ""},
		{"nobody", keychain{}, false, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			own, elsewhere = nil, nil
			fport := foreign.URL[strings.LastIndex(foreign.URL, ":"):]
			o := Options{PlainHTTP: true, Keychain: c.keychain, AllowHosts: []string{"tokens.example"}}
			if c.trust {
				o.TokenHosts = []string{"tokens.example" + fport}
			}
			client, host, _ := serve(t, handler, o)
			pretend(client, map[string]string{"registry.example": "127.0.0.1", "tokens.example": "127.0.0.1"})
			name := "registry.example" + host[strings.LastIndex(host, ":"):]
			realm = "http://" + name + "/token"
			if c.foreign {
				realm = "http://tokens.example" + fport + "/token"
			}
			im, err := client.Image(t.Context(), mustRef(t, name+"/a"))
			if err != nil {
				t.Fatal(err)
			}
			checkLayers(t, im)
			got := append(own, elsewhere...)
			if len(got) != 1 {
				t.Fatalf("%d token requests, want 1", len(got))
			}
			text := fmt.Sprint(got)
			if c.want != "" && !strings.Contains(text, c.want) {
				t.Errorf("the token service saw %s, want %s", text, c.want)
			}
			if c.want == "" && (strings.Contains(text, "secret") || strings.Contains(text, "Basic")) {
				t.Errorf("credentials were sent: %s", text)
			}
			if !strings.Contains(text, "repository%3Aa%3Apull") || !strings.Contains(text, "service=s") {
				t.Errorf("scope or service missing: %s", text)
			}
		})
	}
}

type identity struct{}

func (identity) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig{IdentityToken: "identity-secret"}), nil
}

// TestDowngrade refuses to go from https to http, for blobs and for tokens.
func TestDowngrade(t *testing.T) {
	for _, how := range []string{"redirect", "realm"} {
		var srv *httptest.Server
		srv = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			plain := strings.Replace(srv.URL, "https:", "http:", 1)
			if how == "redirect" {
				http.Redirect(rw, r, plain+"/x", http.StatusFound)
				return
			}
			rw.Header().Set("WWW-Authenticate", `Bearer realm="`+plain+`/token"`)
			rw.WriteHeader(http.StatusUnauthorized)
		}))
		c, err := NewClient(Options{Keychain: keychain{"user", "secret"}, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Image(t.Context(), mustRef(t, strings.TrimPrefix(srv.URL, "https://")+"/a"))
		wantCode(t, err, seaworthy.Forbidden, "certificate") // not trusted yet
		c.registry(strings.TrimPrefix(srv.URL, "https://")).http.TLSClientConfig.RootCAs = srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		_, err = c.Image(t.Context(), mustRef(t, strings.TrimPrefix(srv.URL, "https://")+"/a"))
		wantCode(t, err, seaworthy.Forbidden, "http")
		srv.Close()
	}
}

// TestNoSecretsInErrors looks for a signature of a redirect's URL in what is printed.
func TestNoSecretsInErrors(t *testing.T) {
	c, host, _ := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v2/") {
			http.Redirect(rw, r, "/storage?X-Amz-Signature=canary", http.StatusFound)
			return
		}
		panic(http.ErrAbortHandler)
	}), Options{Retries: -1, Keychain: keychain{"user", "canary"}})
	_, err := c.Image(t.Context(), mustRef(t, host+"/a"))
	if err == nil || strings.Contains(fmt.Sprintf("%v %#v", err, errors.Unwrap(err)), "canary") {
		t.Errorf("got %v", err)
	}
	if text := fmt.Sprintf("%v %+v %#v", c.o, c.o, c.o); strings.Contains(text, "canary") {
		t.Errorf("options print credentials: %s", text)
	}
}

// TestIndexTooDeep is the registry's side of nested indexes, and of ones that name what is not there.
func TestIndexTooDeep(t *testing.T) {
	w := newWorld()
	d := on(w.image(amd64, "x"), amd64)
	for range MaxIndexDepth {
		d = w.index(d)
	}
	w.tags["eight"] = d.Digest
	w.tags["nine"] = w.index(d).Digest
	c, host, _ := serve(t, w, Options{Platform: amd64})
	if _, err := c.Image(t.Context(), mustRef(t, host+"/a:eight")); err != nil {
		t.Error(err)
	}
	_, err := c.Image(t.Context(), mustRef(t, host+"/a:nine"))
	wantCode(t, err, seaworthy.TooLarge, "deeper than 8")

	var wide []Descriptor
	for i := range 200 {
		wide = append(wide, w.index(tagged(Descriptor{MediaType: MediaTypeIndex, Digest: seaworthy.SHA256([]byte{byte(i)}), Size: 1}, "x")))
	}
	for i := range wide { // each holds nothing for anybody
		b, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": MediaTypeIndex, "manifests": []any{}, "n": i})
		wide[i] = w.add(b)
		wide[i].MediaType = MediaTypeIndex
		w.types[wide[i].Digest] = MediaTypeIndex
	}
	w.tags["wide"] = w.index(wide...).Digest
	_, err = c.Image(t.Context(), mustRef(t, host+"/a:wide"))
	wantCode(t, err, seaworthy.TooLarge, "64 indexes")
}

// TestManifestCut cuts the connection in the middle of a manifest, and of a token.
func TestManifestCut(t *testing.T) {
	w := newWorld()
	d := w.image(amd64, "x")
	body := w.blobs[d.Digest]
	for cut := range len(body) {
		var n atomic.Int32
		c, host, naps := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if n.Add(1) == 1 {
				rw.Header().Set("Content-Length", itoa(len(body)))
				rw.Write(body[:cut])
				rw.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
			w.ServeHTTP(rw, r)
		}), Options{})
		if _, raw, err := c.Manifest(t.Context(), mustRef(t, host+"/a@"+string(d.Digest))); err != nil || !bytes.Equal(raw, body) || len(naps.all) != 1 {
			t.Fatalf("cut at %d: %v, pauses %v", cut, err, naps.all)
		}
	}
}

// TestTrickle gives up on a sender that sends a byte now and then.
func TestTrickle(t *testing.T) {
	body := newWatched(io.NopCloser(strings.NewReader("abc")), func() {}, time.Hour)
	body.waited = 2 * slowAfter
	_, err := io.ReadAll(body)
	wantCode(t, err, seaworthy.Unavailable, "too slow")
	fast := newWatched(io.NopCloser(strings.NewReader("abc")), func() {}, time.Hour)
	fast.waited, fast.got = 2*slowAfter, 1<<30
	if b, err := io.ReadAll(fast); err != nil || len(b) != 3 {
		t.Error(err)
	}
}

// TestProxy goes through a proxy at a private address, because the person named it; what the registry sends
// us to by number is refused before the proxy hears of it.
func TestProxy(t *testing.T) {
	w := newWorld()
	w.tags["latest"] = w.image(amd64, "x").Digest
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Host)
		if strings.Contains(r.URL.Path, "/evil/") {
			http.Redirect(rw, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
			return
		}
		w.ServeHTTP(rw, r)
	}))
	defer proxy.Close()
	u, _ := url.Parse(proxy.URL)
	c, err := NewClient(Options{PlainHTTP: true, Keychain: keychain{}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.registry("registry.example").dialer.fromEnv = http.ProxyURL(u)
	im, err := c.Image(t.Context(), mustRef(t, "registry.example/a"))
	if err != nil {
		t.Fatal(err)
	}
	checkLayers(t, im)
	_, err = c.Image(t.Context(), mustRef(t, "registry.example/evil/a"))
	wantCode(t, err, seaworthy.Forbidden, "169.254.169.254")
	for _, host := range asked {
		if host != "registry.example" {
			t.Errorf("the proxy was asked for %q", host)
		}
	}
}

// TestDockerConfig takes credentials from docker's configuration file.
func TestDockerConfig(t *testing.T) {
	w := newWorld()
	w.tags["latest"] = w.image(amd64, "x").Digest
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); user != "user" || pass != "secret" {
			rw.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.ServeHTTP(rw, r)
	}))
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("DOCKER_CONFIG", filepath.Join(home, ".docker"))
	write(t, filepath.Join(home, ".docker", "config.json"), []byte(`{"auths":{"`+host+`":{"auth":"dXNlcjpzZWNyZXQ="}}}`))
	im, err := Open(t.Context(), host+"/a", Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkLayers(t, im)
}

// TestClientConcurrent reads many layers at once through one client whose tokens expire; run with -race.
func TestClientConcurrent(t *testing.T) {
	w := newWorld()
	w.tags["latest"] = w.image(amd64, "x").Digest
	var requests atomic.Int32
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			fmt.Fprintf(rw, `{"token":"t%d"}`, requests.Add(1))
			return
		}
		if n := requests.Add(1); n%5 == 1 || r.Header.Get("Authorization") == "" {
			rw.Header().Set("WWW-Authenticate", `Bearer realm="`+srv.URL+`/token"`)
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.ServeHTTP(rw, r)
	}))
	defer srv.Close()
	c, err := NewClient(Options{Keychain: keychain{}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	im, err := c.Image(t.Context(), mustRef(t, strings.TrimPrefix(srv.URL, "http://")+"/a"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, l := range im.Layers {
				r, err := l.Open(t.Context())
				if err != nil {
					if seaworthy.CodeOf(err) != seaworthy.Unauthorized { // three challenges in a row are an answer
						t.Error(err)
					}
					continue
				}
				if b, err := io.ReadAll(r); err != nil || seaworthy.SHA256(b) != l.Digest {
					t.Error(err)
				}
				r.Close()
			}
		})
	}
	wg.Wait()
}
