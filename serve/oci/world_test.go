package oci

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/registry"
	"github.com/seaworthy-dev/seaworthy/internal/durable"
	"github.com/seaworthy-dev/seaworthy/store/blob"
	"github.com/seaworthy-dev/seaworthy/store/repo"
)

// world is a registry on a folder, served at an address.
type world struct {
	t      *testing.T
	dir    string
	blobs  blob.Options
	repos  repo.Options
	rules  registry.Options
	http   Options
	server *httptest.Server
	r      *registry.Registry
	h      *Handler
	log    *lines
	close  func()
}

// lines is a log that can be looked at.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t *testing.T, change ...func(*world)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), log: &lines{}}
	w.http.Log = slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, f := range change {
		f(w)
	}
	w.start()
	t.Cleanup(func() { w.close() })
	return w
}

func (w *world) start() {
	w.t.Helper()
	blobs, err := blob.Open(w.dir, w.blobs)
	if err != nil {
		w.t.Fatal(err)
	}
	names, err := repo.Open(w.dir, w.repos)
	if err != nil {
		w.t.Fatal(err)
	}
	w.r = registry.New(blobs, names, w.rules)
	w.h = New(w.r, w.http)
	w.server = httptest.NewServer(w.h)
	w.close = func() {
		w.server.Close()
		w.r.Close()
		if err := names.Close(); err != nil {
			w.t.Error(err)
		}
	}
}

func (w *world) restart() {
	w.close()
	w.start()
}

// withDisk gives all stores a disk that can be made to fail.
func withDisk(d *durable.Disk) func(*world) {
	return func(w *world) { w.blobs.Disk, w.repos.Disk = d, d }
}

// ask is one request. Header lines are "Name: value".
type ask struct {
	method, path string
	header       []string
	body         string
}

type told struct {
	*http.Response
	body string
}

func (w *world) do(a ask) told {
	w.t.Helper()
	var body io.Reader
	if a.body != "" {
		body = strings.NewReader(a.body)
	}
	req, err := http.NewRequest(a.method, w.server.URL+a.path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, line := range a.header {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			req.Host = value
		}
		req.Header.Add(name, value)
	}
	resp, err := w.server.Client().Do(req)
	if err != nil {
		w.t.Fatalf("%s %s: %v", a.method, a.path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", a.method, a.path, err)
	}
	return told{resp, string(b)}
}

// must is do with a status.
func (w *world) must(status int, a ask) told {
	w.t.Helper()
	got := w.do(a)
	if got.StatusCode != status {
		w.t.Fatalf("%s %s: %d, want %d\n%s", a.method, a.path, got.StatusCode, status, got.body)
	}
	return got
}

func (w *world) pushBlob(repository, body string) seaworthy.Digest {
	w.t.Helper()
	d := sha(body)
	w.must(201, ask{method: "POST", path: "/v2/" + repository + "/blobs/uploads/?digest=" + string(d), body: body})
	return d
}

func (w *world) pushManifest(repository, reference, body string) seaworthy.Digest {
	w.t.Helper()
	w.must(201, ask{method: "PUT", path: "/v2/" + repository + "/manifests/" + reference, header: []string{"Content-Type: " + ociManifest}, body: body})
	return sha(body)
}

const (
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

func sha(s string) seaworthy.Digest { return seaworthy.SHA256([]byte(s)) }

func sha512Of(s string) seaworthy.Digest {
	sum := sha512.Sum512([]byte(s))
	return seaworthy.Digest("sha512:" + hex.EncodeToString(sum[:]))
}

// descriptor writes one.
func descriptor(mediaType string, d seaworthy.Digest) string {
	return `{"mediaType":"` + mediaType + `","digest":"` + string(d) + `","size":2}`
}

// image writes a manifest with one layer, and more fields that begin with a comma.
func image(layer seaworthy.Digest, more string) string {
	return `{"schemaVersion":2,"mediaType":"` + ociManifest + `","config":` + descriptor("application/vnd.oci.image.config.v1+json", sha("{}")) +
		`,"layers":[` + descriptor("application/vnd.oci.image.layer.v1.tar", layer) + `]` + more + `}`
}

func index(more string, children ...seaworthy.Digest) string {
	var list []string
	for _, d := range children {
		list = append(list, descriptor(ociManifest, d))
	}
	return `{"schemaVersion":2,"mediaType":"` + registry.IndexType + `","manifests":[` + strings.Join(list, ",") + `]` + more + `}`
}

func subject(d seaworthy.Digest) string { return `,"subject":` + descriptor(ociManifest, d) }
