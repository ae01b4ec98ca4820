package admit

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/engine/sign"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/internal/makeimage"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/trust/key"
)

// harbour is a registry in a folder, for tests: it counts what it is asked, and can be down or slow.
type harbour struct {
	*oci.Layout
	dir string

	mu    sync.Mutex
	asked int
	down  error
	slow  chan struct{} // what is asked waits for it to be closed
	tags  map[string]seaworthy.Digest
}

func newHarbour(t testing.TB) *harbour {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "registry")
	l, err := oci.CreateLayout(dir, oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return &harbour{Layout: l, dir: dir, tags: map[string]seaworthy.Digest{}}
}

// ask counts a question, and answers it as the harbour is.
func (h *harbour) ask(ctx context.Context) error {
	h.mu.Lock()
	h.asked++
	down, slow := h.down, h.slow
	h.mu.Unlock()
	if slow != nil {
		select {
		case <-slow:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return down
}

func (h *harbour) count() int { h.mu.Lock(); defer h.mu.Unlock(); return h.asked }

func (h *harbour) set(down error, slow chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down, h.slow = down, slow
}

func (h *harbour) tag(name string, d seaworthy.Digest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tags[name] = d
}

// Manifest implements oci.Place.
func (h *harbour) Manifest(ctx context.Context, name string) (oci.Descriptor, []byte, error) {
	if err := h.ask(ctx); err != nil {
		return oci.Descriptor{}, nil, err
	}
	h.mu.Lock()
	if d, ok := h.tags[name]; ok {
		name = string(d)
	}
	h.mu.Unlock()
	return h.Layout.Manifest(ctx, name)
}

// Referrers implements oci.Place.
func (h *harbour) Referrers(ctx context.Context, subject seaworthy.Digest, artifactType string) ([]oci.Referrer, error) {
	if err := h.ask(ctx); err != nil {
		return nil, err
	}
	return h.Layout.Referrers(ctx, subject, artifactType)
}

// Blob implements oci.Place.
func (h *harbour) Blob(ctx context.Context, d oci.Descriptor, offset int64) (io.ReadCloser, error) {
	if err := h.ask(ctx); err != nil {
		return nil, err
	}
	return h.Layout.Blob(ctx, d, offset)
}

// push makes an image with one file, under a tag.
func (h *harbour) push(t testing.TB, tag string) oci.Descriptor {
	t.Helper()
	img, err := makeimage.Build([]makeimage.Layer{{Files: []makeimage.File{{Path: "name", Body: []byte(tag)}}}}, makeimage.Options{})
	if err == nil {
		err = img.WriteLayout(h.dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	d, _, err := h.Layout.Manifest(context.Background(), string(img.Digest()))
	if err != nil {
		t.Fatal(err)
	}
	h.tag(tag, d.Digest)
	return d
}

func (h *harbour) sign(t testing.TB, d oci.Descriptor, k key.Private) {
	t.Helper()
	s, err := sign.ImageStatement(d.Digest, nil)
	if err != nil {
		t.Fatal(err)
	}
	h.attach(t, d, s, k)
}

func (h *harbour) attest(t testing.TB, d oci.Descriptor, k key.Private, predicateType, predicate string) {
	t.Helper()
	h.attach(t, d, &intoto.Statement{
		Type: intoto.TypeV1, PredicateType: predicateType, Predicate: []byte(predicate),
		Subjects: []intoto.Subject{{Digest: map[string]string{"sha256": d.Digest.Hex()}}},
	}, k)
}

func (h *harbour) attach(t testing.TB, d oci.Descriptor, s *intoto.Statement, k key.Private) {
	t.Helper()
	made, err := sign.Statement(context.Background(), s, sign.Options{Key: k})
	if err == nil {
		_, err = sign.Attach(context.Background(), h.Layout, d, made, time.Unix(1, 0))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func newKey(t testing.TB) key.Private {
	t.Helper()
	k, err := key.Generate("ecdsa-p256")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// signedBy is a policy that demands a key's signature of the images of a glob.
func signedBy(name, glob string, k key.Private, more string) policy.File {
	text := fmt.Sprintf(`apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: %s}
spec:
  images: [{glob: %q}]
  authorities:
  - name: key
    key: {data: %q}
%s`, name, glob, k.Public().PEM(), more)
	return policy.File{Name: name + ".yaml", Bytes: []byte(text)}
}

func load(t testing.TB, files ...policy.File) *policy.Set {
	return loadWith(t, policy.Options{}, files...)
}

func loadWith(t testing.TB, o policy.Options, files ...policy.File) *policy.Set {
	t.Helper()
	set, mistakes := policy.Load(files, o)
	for _, m := range mistakes {
		if !m.Warning {
			t.Fatal(m.Error())
		}
	}
	return set
}

// gate is a gate over the harbour, which every name leads to.
func (h *harbour) gate(t testing.TB, o Options, files ...policy.File) *Gate {
	t.Helper()
	if o.Registries == nil {
		o.Registries = RegistriesFunc(func(context.Context, oci.Reference, Asker) (oci.Place, string, error) { return h, "", nil })
	}
	g := New(o)
	t.Cleanup(g.Close)
	if len(files) > 0 {
		g.Use(load(t, files...), nil)
	}
	return g
}

func judge(t testing.TB, g *Gate, image string) seaworthy.Verdict {
	t.Helper()
	v, err := g.Judge(context.Background(), Question{Image: image})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const repo = "registry.example/app"

var errDown = seaworthy.Errorf(seaworthy.Unavailable, "connection refused")
