package discover

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/makeimage"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// fake is a place in memory. Referrers are what it is told, true or not.
type fake struct {
	manifests map[string][]byte // by tag and by digest
	blobs     map[seaworthy.Digest][]byte
	referrers map[seaworthy.Digest][]oci.Referrer
	fails     error // of Referrers
}

func newFake() *fake {
	return &fake{map[string][]byte{}, map[seaworthy.Digest][]byte{}, map[seaworthy.Digest][]oci.Referrer{}, nil}
}

func (f *fake) Manifest(_ context.Context, name string) (oci.Descriptor, []byte, error) {
	raw, ok := f.manifests[name]
	if !ok {
		return oci.Descriptor{}, nil, seaworthy.Errorf(seaworthy.NotFound, "no %q", name)
	}
	kind := oci.MediaTypeManifest
	if bytes.Contains(raw, []byte(`"manifests"`)) {
		kind = oci.MediaTypeIndex
	}
	return oci.Descriptor{MediaType: kind, Digest: seaworthy.SHA256(raw), Size: int64(len(raw))}, raw, nil
}

func (f *fake) Blob(_ context.Context, d oci.Descriptor, at int64) (io.ReadCloser, error) {
	b, ok := f.blobs[d.Digest]
	if !ok {
		return nil, seaworthy.Errorf(seaworthy.NotFound, "no blob")
	}
	return io.NopCloser(bytes.NewReader(b[at:])), nil
}

func (f *fake) Referrers(_ context.Context, subject seaworthy.Digest, _ string) ([]oci.Referrer, error) {
	return f.referrers[subject], f.fails
}
func (f *fake) Tags(context.Context) ([]string, error) { return nil, nil }

// add makes an artifact of one layer, found as a referrer of subject when that is not "".
func (f *fake) add(kind, body string, subject seaworthy.Digest, annotations map[string]string) seaworthy.Digest {
	layer := oci.Descriptor{MediaType: kind, Digest: seaworthy.SHA256([]byte(body)), Size: int64(len(body))}
	f.blobs[layer.Digest] = []byte(body)
	m := map[string]any{
		"schemaVersion": 2, "mediaType": oci.MediaTypeManifest, "artifactType": kind, "layers": []any{layer}, "annotations": annotations,
		"config": map[string]any{"mediaType": oci.MediaTypeEmpty, "digest": seaworthy.SHA256([]byte("{}")), "size": 2},
	}
	if subject != "" {
		m["subject"] = oci.Descriptor{MediaType: oci.MediaTypeManifest, Digest: subject, Size: 1}
	}
	return f.put(m, "", subject)
}

func (f *fake) put(m any, tag string, subject seaworthy.Digest) seaworthy.Digest {
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	d := seaworthy.SHA256(raw)
	f.manifests[string(d)] = raw
	if tag != "" {
		f.manifests[tag] = raw
	}
	if subject != "" {
		f.list(subject, d)
	}
	return d
}

func (f *fake) list(subject, referrer seaworthy.Digest) {
	f.referrers[subject] = append(f.referrers[subject], oci.Referrer{Descriptor: oci.Descriptor{MediaType: oci.MediaTypeManifest, Digest: referrer}, Via: oci.ViaAPI})
}

const bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

func find(t *testing.T, f *fake, name string) *Tree {
	t.Helper()
	tree, err := Find(t.Context(), f, name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	tree.Reference = name
	return tree
}

// outline is the tree without what changes: kinds, indented.
func outline(t *Tree) string {
	var b strings.Builder
	t.Root.walk(func(n *Node, depth int) {
		fmt.Fprintf(&b, "%s%s %s\n", strings.Repeat(" ", depth), n.Kind, strings.Join(append(n.PredicateTypes, n.FoundBy), ","))
	})
	return b.String()
}

// TestOneMergedTree has everything the ways of attaching can give, and a signature on the bill.
func TestOneMergedTree(t *testing.T) {
	f := newFake()
	image := f.add(oci.MediaTypeConfig, "layer", "", nil)
	f.manifests["1"] = f.manifests[string(image)]
	f.add(bundleType, "{}", image, map[string]string{"dev.sigstore.bundle.predicateType": signPredicate, oci.AnnotationCreated: "2026-01-02T03:04:05+01:00"})
	bill := f.add("application/spdx+json", "{}", image, map[string]string{oci.AnnotationCreated: "2026-01-03T00:00:00Z"})
	f.add("application/vnd.cncf.notary.signature", "jws", bill, nil)
	// Attestations whose manifest does not say what they state: the bundle is opened.
	statement := `{"dsseEnvelope":{"payload":"eyJwcmVkaWNhdGVUeXBlIjoiaHR0cHM6Ly9zbHNhLmRldi9wcm92ZW5hbmNlL3YxIn0="}}`
	f.add(bundleType, statement, image, nil)
	// cosign's tags.
	sig := f.add("application/vnd.dev.cosign.simplesigning.v1+json", "sig", "", nil)
	f.manifests[oci.FallbackTag(image)+".sig"] = f.manifests[string(sig)]
	// The fallback tag lists one the API does not.
	extra := f.add("text/plain", "x", "", nil)
	raw := f.manifests[string(extra)]
	withSubject := bytes.Replace(raw, []byte(`"schemaVersion"`), []byte(`"subject":{"digest":"`+string(image)+`","size":1},"schemaVersion"`), 1)
	d := seaworthy.SHA256(withSubject)
	f.manifests[string(d)] = withSubject
	f.put(map[string]any{"schemaVersion": 2, "mediaType": oci.MediaTypeIndex, "manifests": []any{oci.Descriptor{MediaType: oci.MediaTypeManifest, Digest: d, Size: 1}}}, oci.FallbackTag(image), "")

	tree := find(t, f, "1")
	want := `image 
 artifact referrers-tag
 attestation https://slsa.dev/provenance/v1,referrers
 signature tag
 signature https://sigstore.dev/cosign/sign/v1,referrers
 bill referrers
  signature referrers
`
	if got := outline(tree); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if tree.Count != 6 {
		t.Errorf("%d nodes refer to something", tree.Count)
	}
	if c := tree.Root.Children[3].Created; c != "2026-01-02T02:04:05Z" {
		t.Errorf("created %q", c)
	}
	var text, dot, table bytes.Buffer
	if err := errors.Join(tree.Text(&text), tree.Dot(&dot), tree.Table().Write(&table)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "    └── signature  application/vnd.cncf.notary.signature") || strings.Contains(text.String(), "nothing refers") {
		t.Errorf("text:\n%s", text.String())
	}
	if strings.Count(dot.String(), "->") != 6 || strings.Count(table.String(), "\n") != 7 {
		t.Errorf("dot:\n%s\ntable:\n%s", dot.String(), table.String())
	}

	only, err := Find(t.Context(), f, "1", Options{ArtifactType: "application/spdx+json"})
	if err != nil || outline(only) != "image \n bill referrers\n  signature referrers\n" {
		t.Errorf("only bills: %v\n%s", err, outline(only))
	}
}

func TestNothing(t *testing.T) {
	f := newFake()
	f.manifests["1"] = f.manifests[string(f.add("a/b", "x", "", nil))]
	tree := find(t, f, "1")
	var text bytes.Buffer
	if err := tree.Text(&text); err != nil || !strings.HasSuffix(text.String(), "\nnothing refers to 1\n") {
		t.Errorf("%v\n%s", err, text.String())
	}
	b, err := json.Marshal(tree)
	if err != nil || !bytes.Contains(b, []byte(`"children":[]`)) || !bytes.Contains(b, []byte(`"count":0`)) {
		t.Errorf("%v %s", err, b)
	}
	f.fails = seaworthy.Errorf(seaworthy.Unavailable, "429")
	if _, err := Find(t.Context(), f, "1", Options{}); seaworthy.CodeOf(err) != seaworthy.Unavailable {
		t.Errorf("a failed listing: %v", err)
	}
}

// TestLies: what is listed and is not so is shown with what is wrong.
func TestLies(t *testing.T) {
	f := newFake()
	image := f.add("a/b", "x", "", nil)
	f.manifests["1"] = f.manifests[string(image)]
	f.list(image, f.add("a/b", "other subject", seaworthy.SHA256([]byte("?")), nil))
	f.list(image, seaworthy.SHA256([]byte("missing")))
	f.list(image, image) // refers to itself
	circle := f.add("a/b", "circle", image, nil)
	f.list(circle, image)
	evil := f.add("a/b", "evil", image, map[string]string{"org.opencontainers.image.title": "\x1b[2J"})
	tree := find(t, f, "1")
	problems := 0
	for _, c := range tree.Root.Children {
		if c.Problem != "" {
			problems++
		}
	}
	if tree.Count != 4 || problems != 2 {
		t.Errorf("%d nodes, %d with problems", tree.Count, problems)
	}
	var text bytes.Buffer
	if err := tree.Text(&text); err != nil || strings.Contains(text.String(), "\x1b") || !strings.Contains(text.String(), string(evil)) {
		t.Errorf("%v\n%q", err, text.String())
	}
}

func TestBounds(t *testing.T) {
	f := newFake()
	image := f.add("a/b", "x", "", nil)
	f.manifests["1"] = f.manifests[string(image)]
	last := image
	for i := range MaxDepth + 2 {
		last = f.add("a/b", fmt.Sprint(i), last, nil)
	}
	if _, err := Find(t.Context(), f, "1", Options{}); seaworthy.CodeOf(err) != seaworthy.TooLarge {
		t.Errorf("too deep: %v", err)
	}
	f.referrers[image] = nil
	for i := range MaxNodes + 1 {
		f.list(image, seaworthy.SHA256(fmt.Append(nil, i)))
	}
	if _, err := Find(t.Context(), f, "1", Options{}); seaworthy.CodeOf(err) != seaworthy.TooLarge {
		t.Errorf("too many: %v", err)
	}
}

// TestIndex shows images of an index that something refers to, and attestations beside them.
func TestIndex(t *testing.T) {
	f := newFake()
	a, b := f.add("a/b", "amd64", "", nil), f.add("a/b", "arm64", "", nil)
	beside := f.add("application/vnd.in-toto+json", "{}", "", nil)
	f.put(map[string]any{"schemaVersion": 2, "mediaType": oci.MediaTypeIndex, "manifests": []any{
		oci.Descriptor{MediaType: oci.MediaTypeManifest, Digest: a, Size: 1, Platform: &oci.Platform{OS: "linux", Arch: "amd64"}},
		oci.Descriptor{MediaType: oci.MediaTypeManifest, Digest: b, Size: 1, Platform: &oci.Platform{OS: "linux", Arch: "arm64"}},
		oci.Descriptor{
			MediaType: oci.MediaTypeManifest, Digest: beside, Size: 1, Platform: &oci.Platform{OS: "unknown", Arch: "unknown"},
			Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": string(a)},
		},
	}}, "1", "")
	tree := find(t, f, "1")
	if tree.Count != 1 || len(tree.Root.Children) != 1 || tree.Root.Children[0].Platform != "linux/amd64" || tree.Root.Children[0].Children[0].FoundBy != "index" {
		t.Errorf("%d\n%s", tree.Count, outline(tree))
	}
}

// TestLayout looks into a real layout.
func TestLayout(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "l")
	img, err := makeimage.Layout(dir, []makeimage.Layer{{Files: []makeimage.File{{Path: "a"}}}}, makeimage.Options{Name: "1"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := oci.OpenLayout(dir, oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	subject, _, err := l.Manifest(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "bill.json")
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := oci.PushFiles(t.Context(), l, "", oci.Artifact{Type: "application/vnd.cyclonedx+json", Files: []oci.File{{Path: file}}, Subject: &subject}); err != nil {
		t.Fatal(err)
	}
	tree, err := Find(t.Context(), l, "", Options{})
	if err != nil || tree.Root.Digest != img.Digest() || outline(tree) != "image \n bill referrers\n" || tree.Root.Children[0].Title != "bill.json" {
		t.Errorf("%v\n%s", err, outline(tree))
	}
}
