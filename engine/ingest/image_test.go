package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ingest"
	"github.com/seaworthy-dev/seaworthy/engine/sign"
	"github.com/seaworthy-dev/seaworthy/internal/makeimage"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/store/graph"
	"github.com/seaworthy-dev/seaworthy/trust/key"
)

// layout is an image with two layers in a layout directory.
func layout(t testing.TB) (*oci.Layout, *makeimage.Image) {
	t.Helper()
	_, l, img := layoutIn(t)
	return l, img
}

func layoutIn(t testing.TB) (string, *oci.Layout, *makeimage.Image) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "image")
	img, err := makeimage.Layout(dir, []makeimage.Layer{
		{Files: []makeimage.File{{Path: "etc/os-release", Body: []byte("ID=debian\n")}}, History: "ADD rootfs"},
		{Files: []makeimage.File{{Path: "app", Body: []byte("app")}}, History: "COPY app"},
	}, makeimage.Options{Name: "1.0", Labels: map[string]string{"org.opencontainers.image.source": "https://github.com/example/app", "org.opencontainers.image.revision": strings.Repeat("1f", 20)}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := oci.OpenLayout(dir, oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return dir, l, img
}

// put writes an artifact that refers to an image, or to nothing.
func put(t testing.TB, l oci.Destination, name string, subject *oci.Descriptor, artifactType, mediaType string, body []byte) oci.Descriptor {
	t.Helper()
	blob := func(mediaType string, b []byte) map[string]any {
		d := oci.Descriptor{MediaType: mediaType, Digest: seaworthy.SHA256(b), Size: int64(len(b))}
		_, err := l.PutBlob(t.Context(), d, func(_ context.Context, at int64) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(b[at:])), nil
		}, oci.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{"mediaType": mediaType, "digest": d.Digest, "size": d.Size}
	}
	m := map[string]any{
		"schemaVersion": 2, "mediaType": oci.MediaTypeManifest, "artifactType": artifactType,
		"config": blob(oci.MediaTypeEmpty, []byte("{}")), "layers": []any{blob(mediaType, body)},
	}
	if subject != nil {
		m["subject"] = subject
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	d := oci.Descriptor{MediaType: oci.MediaTypeManifest, ArtifactType: artifactType, Digest: seaworthy.SHA256(raw), Size: int64(len(raw))}
	if name == "" {
		name = string(d.Digest)
	}
	if err := l.PutManifest(t.Context(), name, d, raw); err != nil {
		t.Fatal(err)
	}
	return d
}

const smallBill = `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"metadata":{"component":{"bom-ref":"i","type":"container","name":"registry.example/app:1.0"}},"components":[{"bom-ref":"a","type":"library","name":"a","version":"1","purl":"pkg:npm/a@1"}]}`

func TestImage(t *testing.T) {
	l, img := layout(t)
	k := newKey(t)
	d, _, err := l.Manifest(t.Context(), string(img.Digest()))
	if err != nil {
		t.Fatal(err)
	}
	// The new way, with a signature of the attestation's manifest.
	made, err := sign.Statement(t.Context(), attestation(d.Digest, "https://cyclonedx.org/bom", smallBill), sign.Options{Key: k})
	if err != nil {
		t.Fatal(err)
	}
	attached, err := sign.Attach(t.Context(), l, d, made, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	signature, err := sign.ImageStatement(attached.Digest, nil)
	if err != nil {
		t.Fatal(err)
	}
	madeToo, err := sign.Statement(t.Context(), signature, sign.Options{Key: k})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sign.Attach(t.Context(), l, attached, madeToo, time.Time{}); err != nil {
		t.Fatal(err)
	}
	// cosign's old ways.
	other := newKey(t)
	for _, by := range []key.Private{k, other} {
		if err := sign.Legacy(t.Context(), l, "registry.example/app", d.Digest, nil, by); err != nil {
			t.Fatal(err)
		}
	}
	if err := sign.LegacyEnvelope(t.Context(), l, d.Digest, attestation(d.Digest, "https://example.com/coffee/v1", `{}`), k); err != nil {
		t.Fatal(err)
	}
	put(t, l, oci.FallbackTag(d.Digest)+".sbom", nil, "", "text/spdx", []byte("SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\nSPDXID: SPDXRef-DOCUMENT\nDocumentName: app\nDocumentNamespace: https://bills.example/3\nCreator: Tool: hand-1\nCreated: 2026-01-01T00:00:00Z\n"))
	// A bill as a referrer, and something that is no document.
	put(t, l, "", &d, "application/vnd.cyclonedx+json", "application/vnd.cyclonedx+json", []byte(smallBill))
	put(t, l, "", &d, "application/vnd.example.logo", "application/octet-stream", []byte("\x89PNG\r\n"))
	put(t, l, "", &d, "application/spdx+json", "application/spdx+json", []byte(`{"spdxVersion":"SPDX-2.3",`)) // broken

	in, store := newIngester(t, ingest.Options{Keys: []key.Public{k.Public()}})
	summary, err := in.Image(t.Context(), l, "registry.example/app:1.0", d.Digest)
	if seaworthy.CodeOf(err) != seaworthy.Incomplete || summary.Failed != 1 {
		t.Errorf("got %v, %+v", err, summary)
	}
	if summary.Kinds[seaworthy.BillDocument] != 3 || summary.Kinds[seaworthy.SignatureDocument] != 3 || summary.Kinds[seaworthy.StatementDocument] != 1 {
		t.Errorf("got %+v", summary.Kinds)
	}
	image := seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: string(d.Digest)}
	of := said(t, store, image, false)
	ours := "actor key:" + string(k.Public().Digest())
	if got := objects(of, seaworthy.SaysSigned); !slices.Equal(got, []string{ours}) {
		t.Errorf("signed by %v", got)
	}
	layers := []string{"artifact " + string(img.Layers[0].Digest), "artifact " + string(img.Layers[1].Digest), "package pkg:npm/a@1"}
	slices.Sort(layers)
	if got := objects(of, seaworthy.SaysContains); !slices.Equal(got, layers) {
		t.Errorf("it contains %v, want %v", got, layers)
	}
	if got := objects(of, seaworthy.SaysSource); !slices.Equal(got, []string{"source git+https://github.com/example/app@" + strings.Repeat("1f", 20)}) {
		t.Errorf("it comes from %v", got)
	}
	for _, layer := range img.Layers {
		got := objects(said(t, store, seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: string(layer.Digest)}, false), seaworthy.SaysSame)
		if !slices.Equal(got, []string{"artifact " + string(layer.DiffID)}) {
			t.Errorf("the layer is the same as %v, want %v", got, layer.DiffID)
		}
	}
	tag := seaworthy.Subject{Kind: seaworthy.ResourceSubject, Key: "oci://registry.example/app:1.0"}
	if got := objects(said(t, store, tag, false), seaworthy.SaysSame); !slices.Contains(got, subject(image)) {
		t.Errorf("the tag is the same as %v", got)
	}
	bills := 0
	for s := range said(t, store, image, true, seaworthy.SaysDescribes) {
		if strings.HasPrefix(s.subject, "document ") {
			bills++
		}
	}
	if bills < 8 { // manifest, seen, configuration, attestation, three signatures, statement, referrers and their blobs
		t.Errorf("%d documents are about it", bills)
	}
	reparsed(t, in, store)
}

// reparsed fails unless everything in a store can be made again from the documents in it.
func reparsed(t *testing.T, in *ingest.Ingester, store *graph.Memory) {
	t.Helper()
	again := graph.NewMemory()
	defer again.Close()
	q := graph.ListQuery{}
	for {
		list, err := store.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list.Documents {
			body, err := store.Body(t.Context(), d.Digest)
			if err != nil {
				t.Fatal(err)
			}
			entry, err := in.Reparse(d, body)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := again.Put(t.Context(), entry); err != nil {
				t.Fatal(err)
			}
		}
		if list.Next == "" {
			break
		}
		q.After = list.Next
	}
	same(t, store, again)
}

func TestIndex(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "image")
	var images []*makeimage.Image
	for _, arch := range []string{"amd64", "arm64"} {
		img, err := makeimage.Layout(dir, []makeimage.Layer{{Files: []makeimage.File{{Path: "a", Body: []byte(arch)}}}}, makeimage.Options{Architecture: arch})
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, img)
	}
	digest, err := makeimage.WriteIndex(dir, "1.0", images...)
	if err != nil {
		t.Fatal(err)
	}
	l, err := oci.OpenLayout(dir, oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	in, store := newIngester(t, ingest.Options{})
	if _, err := in.Image(t.Context(), l, "registry.example/app@"+string(digest), digest); err != nil {
		t.Fatal(err)
	}
	got := objects(said(t, store, seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: string(digest)}, false), seaworthy.SaysContains)
	want := []string{"artifact " + string(images[0].Digest()), "artifact " + string(images[1].Digest())}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, img := range images {
		if got := objects(said(t, store, seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: string(img.Digest())}, false), seaworthy.SaysContains); len(got) != 1 {
			t.Errorf("the image contains %v", got)
		}
	}
}

// placeFunc answers as a registry might that wants to keep us busy.
type placeFunc struct {
	manifest  func(name string) (oci.Descriptor, []byte, error)
	referrers func(subject seaworthy.Digest) ([]oci.Referrer, error)
}

func (p placeFunc) Manifest(_ context.Context, name string) (oci.Descriptor, []byte, error) {
	return p.manifest(name)
}

func (p placeFunc) Blob(context.Context, oci.Descriptor, int64) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("{}")), nil
}

func (p placeFunc) Referrers(_ context.Context, subject seaworthy.Digest, _ string) ([]oci.Referrer, error) {
	return p.referrers(subject)
}

func (p placeFunc) Tags(context.Context) ([]string, error) { return nil, nil }

// Referrers that refer to each other, to themselves and without end are gone through once, and up to a limit.
func TestHostileReferrers(t *testing.T) {
	bodies := map[string][]byte{}
	manifest := func(n int, subject seaworthy.Digest) oci.Descriptor {
		raw := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"artifactType":"x/%d","config":{"mediaType":%q,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[],"subject":{"mediaType":%q,"digest":%q,"size":1}}`,
			oci.MediaTypeManifest, n, oci.MediaTypeEmpty, oci.MediaTypeManifest, subject)
		d := oci.Descriptor{MediaType: oci.MediaTypeManifest, Digest: seaworthy.SHA256(raw), Size: int64(len(raw))}
		bodies[string(d.Digest)] = raw
		return d
	}
	first := manifest(0, seaworthy.SHA256([]byte("nothing")))
	var mu sync.Mutex // places are asked from several goroutines
	asked, made := 0, 0
	place := placeFunc{
		manifest: func(name string) (oci.Descriptor, []byte, error) {
			mu.Lock()
			defer mu.Unlock()
			asked++
			raw, ok := bodies[name]
			if !ok {
				return oci.Descriptor{}, nil, seaworthy.Errorf(seaworthy.NotFound, "there is no %q", name)
			}
			return oci.Descriptor{MediaType: oci.MediaTypeManifest, Digest: seaworthy.Digest(name), Size: int64(len(raw))}, raw, nil
		},
		referrers: func(subject seaworthy.Digest) ([]oci.Referrer, error) {
			mu.Lock()
			defer mu.Unlock()
			list := []oci.Referrer{{Descriptor: oci.Descriptor{MediaType: oci.MediaTypeManifest, Digest: subject}, Via: oci.ViaAPI}, {Descriptor: first, Via: oci.ViaAPI}}
			for range 50 {
				made++
				list = append(list, oci.Referrer{Descriptor: manifest(made, subject), Via: oci.ViaAPI})
			}
			return list, nil
		},
	}
	in, _ := newIngester(t, ingest.Options{})
	summary, err := in.Image(t.Context(), place, "app", first.Digest)
	if seaworthy.CodeOf(err) != seaworthy.Incomplete || summary.Failed != 1 || !strings.Contains(summary.Failures[0].Detail, "more than 2000") {
		t.Errorf("got %v, %d failures", err, summary.Failed)
	}
	if asked > 10_000 {
		t.Errorf("it was asked %d times", asked)
	}
}

// A registry that cannot list what refers to an image is not one where nothing does.
func TestFailedListing(t *testing.T) {
	l, img := layout(t)
	busy := seaworthy.Errorf(seaworthy.Unavailable, "429 Too Many Requests")
	place := placeFunc{
		manifest:  func(name string) (oci.Descriptor, []byte, error) { return l.Manifest(t.Context(), name) },
		referrers: func(seaworthy.Digest) ([]oci.Referrer, error) { return nil, busy },
	}
	in, _ := newIngester(t, ingest.Options{})
	if _, err := in.Image(t.Context(), broken{l, place}, "app", img.Digest()); seaworthy.CodeOf(err) != seaworthy.Unavailable {
		t.Errorf("got %v", err)
	}
	if _, err := in.Image(t.Context(), l, "app", "sha256:x"); seaworthy.CodeOf(err) != seaworthy.Usage {
		t.Errorf("got %v", err)
	}
	if _, err := in.Image(t.Context(), l, "app", seaworthy.SHA256([]byte("nothing"))); seaworthy.CodeOf(err) != seaworthy.NotFound {
		t.Errorf("got %v", err)
	}
}

// broken is a layout whose listing fails.
type broken struct {
	*oci.Layout
	with placeFunc
}

func (b broken) Referrers(_ context.Context, d seaworthy.Digest, _ string) ([]oci.Referrer, error) {
	return b.with.referrers(d)
}
