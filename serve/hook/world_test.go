package hook

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/admit"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/engine/registry"
	"github.com/seaworthy-dev/seaworthy/engine/sign"
	"github.com/seaworthy-dev/seaworthy/internal/makeimage"
	serveoci "github.com/seaworthy-dev/seaworthy/serve/oci"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/store/blob"
	"github.com/seaworthy-dev/seaworthy/store/repo"
	"github.com/seaworthy-dev/seaworthy/trust/key"
)

// world is a registry on this machine with images in it, and a gate that judges them.
type world struct {
	host   string // of the registry
	asked  atomic.Int64
	key    key.Private
	signed map[string]seaworthy.Digest // by repository
	client *oci.Client
	gate   *admit.Gate
	h      *Handler
}

// newWorld makes one with so many signed images, app0, app1 …, and an unsigned one, each with the tag 1.
func newWorld(t testing.TB, images int, o Options) *world {
	t.Helper()
	w := &world{signed: map[string]seaworthy.Digest{}}
	dir := t.TempDir()
	blobs, err := blob.Open(dir, blob.Options{})
	must(t, err)
	names, err := repo.Open(dir, repo.Options{})
	must(t, err)
	r := registry.New(blobs, names, registry.Options{})
	inner := serveoci.New(r, serveoci.Options{})
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		w.asked.Add(1)
		inner.ServeHTTP(rw, req)
	}))
	t.Cleanup(func() { server.Close(); r.Close(); _ = names.Close() })
	w.host = strings.TrimPrefix(server.URL, "http://")
	w.client, err = oci.NewClient(oci.Options{Retries: -1})
	must(t, err)
	t.Cleanup(w.client.Close)
	w.key, err = key.Generate("ecdsa-p256")
	must(t, err)
	for i := range images {
		name := fmt.Sprintf("app%d", i)
		d := w.push(t, name)
		s, err := sign.ImageStatement(d.Digest, nil)
		must(t, err)
		made, err := sign.Statement(t.Context(), s, sign.Options{Key: w.key})
		must(t, err)
		_, err = sign.Attach(t.Context(), w.place(name), d, made, time.Unix(1, 0))
		must(t, err)
		w.signed[name] = d.Digest
	}
	w.push(t, "unsigned")
	w.gate = admit.New(admit.Options{Registries: admit.OneClient{Client: w.client}})
	t.Cleanup(w.gate.Close)
	w.h = New(w.gate, o)
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) place(name string) *oci.Repository {
	ref, err := oci.ParseReference(w.host + "/" + name + ":1")
	if err != nil {
		panic(err)
	}
	return &oci.Repository{Client: w.client, Ref: ref}
}

func (w *world) push(t testing.TB, name string) oci.Descriptor {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "image")
	_, err := makeimage.Layout(dir, []makeimage.Layer{{Files: []makeimage.File{{Path: "name", Body: []byte(name)}}}}, makeimage.Options{Name: name + ":1"})
	must(t, err)
	from, err := oci.OpenPlace(t.Context(), "oci-dir:"+dir, oci.Options{})
	must(t, err)
	defer from.Close()
	copied, err := oci.Copy(t.Context(), from, from.Name, w.place(name), "1", oci.CopyOptions{})
	must(t, err)
	return copied.Descriptor
}

// use has the gate judge by one policy: everything from the registry is signed by the key.
func (w *world) use(t testing.TB) {
	t.Helper()
	set, mistakes := policy.Load([]policy.File{{Name: "p.yaml", Bytes: fmt.Appendf(nil, `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: signed}
spec:
  images: [{glob: %q}]
  authorities: [{name: key, key: {data: %q}}]
`, w.host+"/**", w.key.Public().PEM())}}, policy.Options{})
	for _, m := range mistakes {
		t.Fatal(m.Error())
	}
	w.gate.Use(set, nil)
}

// pinned is one of the signed images, by digest.
func (w *world) pinned(name string) string {
	return w.host + "/" + name + ":1@" + string(w.signed[name])
}

// review is a review of a pod with images.
func review(operation, namespace string, images ...string) string {
	var containers []string
	for i, image := range images {
		containers = append(containers, fmt.Sprintf(`{"name":"c%d","image":%q}`, i, image))
	}
	return fmt.Sprintf(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u-1","kind":{"group":"","version":"v1","kind":"Pod"},`+
		`"resource":{"group":"","version":"v1","resource":"pods"},"name":"web","namespace":%q,"operation":%q,"userInfo":{"username":"me"},`+
		`"object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":%q},"spec":{"containers":[%s]}},"oldObject":null,"dryRun":false,"options":null}}`,
		namespace, operation, namespace, strings.Join(containers, ","))
}

// do sends a request from this machine.
func (w *world) do(ctx context.Context, method, path, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequestWithContext(ctx, method, "http://localhost"+path, strings.NewReader(body))
	req.RemoteAddr = "127.0.0.1:1"
	out := httptest.NewRecorder()
	w.h.ServeHTTP(out, req)
	return out
}
