package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/klauspost/compress/zstd"

	"github.com/seaworthy-dev/seaworthy"
)

// world is a set of blobs, and the manifests among them by tag.
type world struct {
	blobs map[seaworthy.Digest][]byte
	types map[seaworthy.Digest]string
	tags  map[string]seaworthy.Digest
}

func newWorld() *world {
	return &world{map[seaworthy.Digest][]byte{}, map[seaworthy.Digest]string{}, map[string]seaworthy.Digest{}}
}

func (w *world) add(b []byte) Descriptor {
	d := seaworthy.SHA256(b)
	w.blobs[d] = b
	return Descriptor{Digest: d, Size: int64(len(b))}
}

func (w *world) addJSON(v any, mediaType string) Descriptor {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	d := w.add(b)
	d.MediaType = mediaType
	w.types[d.Digest] = mediaType
	return d
}

func gzipped(b []byte) []byte {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	z.Write(b)
	z.Close()
	return buf.Bytes()
}

func zstded(b []byte) []byte {
	z, _ := zstd.NewWriter(nil)
	return z.EncodeAll(b, nil)
}

// tarOf makes a tar of name, content pairs. A name "link -> target" is a symlink.
func tarOf(pairs ...string) []byte {
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for i := 0; i < len(pairs); i += 2 {
		h := &tar.Header{Name: pairs[i], Mode: 0o644, Size: int64(len(pairs[i+1])), Typeflag: tar.TypeReg}
		if name, link, ok := strings.Cut(pairs[i], " -> "); ok {
			h.Name, h.Linkname, h.Typeflag, h.Size = name, link, tar.TypeSymlink, 0
		}
		if err := tw.WriteHeader(h); err != nil {
			panic(err)
		}
		if h.Size > 0 {
			io.WriteString(tw, pairs[i+1])
		}
	}
	tw.Close()
	return buf.Bytes()
}

func config(p Platform, layers ...[]byte) map[string]any {
	diff := []string{}
	history := []map[string]any{}
	for i, l := range layers {
		diff = append(diff, string(seaworthy.SHA256(l)))
		history = append(history, map[string]any{"created_by": fmt.Sprintf("RUN step %d", i)}, map[string]any{"created_by": "ENV x=y", "empty_layer": true})
	}
	return map[string]any{
		"created": "2026-01-02T03:04:05Z", "architecture": p.Arch, "os": p.OS, "variant": p.Variant,
		"config": map[string]any{"Env": []string{"A=b"}, "Labels": map[string]string{"l": "v"}, "ExposedPorts": map[string]any{"80/tcp": struct{}{}}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": diff}, "history": history,
	}
}

// image adds an image of two layers, the second of them zstd.
func (w *world) image(p Platform, salt string) Descriptor {
	a, b := tarOf("etc/a", salt), tarOf("etc/b", salt+salt)
	cfg := w.addJSON(config(p, a, b), MediaTypeConfig)
	one, two := w.add(gzipped(a)), w.add(zstded(b))
	one.MediaType, two.MediaType = "application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.oci.image.layer.v1.tar+zstd"
	return w.manifest(cfg, one, two)
}

func (w *world) manifest(cfg Descriptor, layers ...Descriptor) Descriptor {
	d := w.addJSON(map[string]any{"schemaVersion": 2, "mediaType": MediaTypeManifest, "config": cfg, "layers": layers}, MediaTypeManifest)
	return d
}

func (w *world) index(entries ...Descriptor) Descriptor {
	return w.addJSON(map[string]any{"schemaVersion": 2, "mediaType": MediaTypeIndex, "manifests": entries}, MediaTypeIndex)
}

func on(d Descriptor, p Platform) Descriptor { d.Platform = &p; return d }

func tagged(d Descriptor, name string) Descriptor {
	d.Annotations = map[string]string{annotationRefName: name}
	return d
}

// layout writes an OCI layout with these entries in index.json.
func (w *world) layout(t *testing.T, entries ...Descriptor) string {
	t.Helper()
	dir := t.TempDir()
	index, _ := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": append([]Descriptor{}, entries...)})
	write(t, filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`))
	write(t, filepath.Join(dir, "index.json"), index)
	for d, b := range w.blobs {
		write(t, filepath.Join(dir, filepath.FromSlash(blobPath(d))), b)
	}
	return dir
}

func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// ServeHTTP is a registry with one repository of any name.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	i := strings.LastIndex(r.URL.Path, "/")
	last := r.URL.Path[i+1:]
	d := seaworthy.Digest(last)
	if t, ok := w.tags[last]; ok {
		d = t
	}
	b, ok := w.blobs[d]
	if !ok {
		rw.WriteHeader(http.StatusNotFound)
		io.WriteString(rw, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"not here"}]}`)
		return
	}
	if strings.Contains(r.URL.Path, "/manifests/") {
		rw.Header().Set("Content-Type", w.types[d])
		rw.Header().Set("Docker-Content-Digest", string(d))
	}
	http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(b))
}

// naps records pauses instead of taking them.
type naps struct {
	mu  sync.Mutex
	all []time.Duration
}

func (n *naps) sleep(ctx context.Context, d time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, d)
	return ctx.Err()
}

type keychain struct{ user, pass string }

func (k keychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	if k.user == "" {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(authn.AuthConfig{Username: k.user, Password: k.pass}), nil
}

// serve starts a registry and returns a client for it and its host:port.
func serve(t *testing.T, h http.Handler, o Options) (*Client, string, *naps) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	if o.Keychain == nil {
		o.Keychain = keychain{}
	}
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	n := &naps{}
	c.sleep, c.jitter = n.sleep, func() float64 { return 0 }
	return c, strings.TrimPrefix(srv.URL, "http://"), n
}

// pretend makes a client resolve names as told.
func pretend(c *Client, names map[string]string) {
	c.resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
		if a, err := netip.ParseAddr(host); err == nil {
			return []netip.Addr{a}, nil
		}
		if s, ok := names[host]; ok {
			return []netip.Addr{netip.MustParseAddr(s)}, nil
		}
		return nil, fmt.Errorf("no such host in this test: %q", host)
	}
}

func mustRef(t *testing.T, s string) Reference {
	t.Helper()
	r, err := ParseReference(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantCode(t *testing.T, err error, code seaworthy.Code, words ...string) {
	t.Helper()
	if seaworthy.CodeOf(err) != code {
		t.Fatalf("error %v (%s), want %s", err, seaworthy.CodeOf(err), code)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

// readLayers reads every layer and returns the stored bytes of each.
func readLayers(t *testing.T, im *Image) [][]byte {
	t.Helper()
	out := make([][]byte, len(im.Layers))
	if im.Each != nil {
		if err := im.Each(t.Context(), func(i int, r io.Reader) (err error) { out[i], err = io.ReadAll(r); return err }); err != nil {
			t.Fatal(err)
		}
		return out
	}
	for i, l := range im.Layers {
		r, err := l.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if out[i], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
	return out
}

// checkLayers compares stored bytes with digests and, uncompressed, with diff IDs.
func checkLayers(t *testing.T, im *Image) {
	t.Helper()
	for i, b := range readLayers(t, im) {
		l := im.Layers[i]
		if l.Digest != "" && digestAs(l.Digest.Algorithm(), b) != l.Digest {
			t.Errorf("layer %d: stored bytes are not those of its digest", i)
		}
		if l.Size != int64(len(b)) {
			t.Errorf("layer %d: %d bytes, size says %d", i, len(b), l.Size)
		}
		r, closeIt, err := unpack(bytes.NewReader(b), codecOf(b), 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(r)
		closeIt()
		if err != nil || seaworthy.SHA256(plain) != l.DiffID {
			t.Errorf("layer %d: unpacked bytes are not those of its diff ID (%v)", i, err)
		}
	}
}

func sha512Of(b []byte) seaworthy.Digest {
	s := sha512.Sum512(b)
	return seaworthy.Digest("sha512:" + hex.EncodeToString(s[:]))
}

var noTime time.Time

var amd64, arm64 = Platform{OS: "linux", Arch: "amd64"}, Platform{OS: "linux", Arch: "arm64", Variant: "v8"}

func itoa(n int) string { return strconv.Itoa(n) }
