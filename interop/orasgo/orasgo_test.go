// Package orasgo has an unmodified oras-go client push, pull, attach, copy and discover against a registry that
// speaks plain HTTP at $REGISTRY. It is a module of its own, so that the program does not depend on oras-go;
// interop/oci-orasgo.sh runs it.
package orasgo

import (
	"bytes"
	"context"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	oras "oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/registry/remote"
)

func repository(t *testing.T, name string) *remote.Repository {
	t.Helper()
	host := os.Getenv("REGISTRY")
	if host == "" {
		t.Skip("no registry: interop/oci-orasgo.sh starts one and sets REGISTRY")
	}
	r, err := remote.NewRepository(host + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	r.PlainHTTP = true
	return r
}

// push packs an artifact in memory and copies it to the registry.
func push(t *testing.T, r *remote.Repository, kind, tag string, body []byte, subject *ocispec.Descriptor) ocispec.Descriptor {
	t.Helper()
	m := memory.New()
	layer, err := oras.PushBytes(t.Context(), m, "text/plain", body)
	if err != nil {
		t.Fatal(err)
	}
	// Only the descriptor of a subject is needed: it is in the registry already.
	d, err := oras.PackManifest(t.Context(), m, oras.PackManifestVersion1_1, kind, oras.PackManifestOptions{Layers: []ocispec.Descriptor{layer}})
	if subject != nil {
		d, err = oras.PackManifest(t.Context(), r, oras.PackManifestVersion1_1, kind, oras.PackManifestOptions{Subject: subject})
	}
	if err != nil {
		t.Fatal(err)
	}
	if subject != nil {
		return d
	}
	if err := m.Tag(t.Context(), d, tag); err != nil {
		t.Fatal(err)
	}
	got, err := oras.Copy(t.Context(), m, tag, r, tag, oras.DefaultCopyOptions)
	if err != nil || got.Digest != d.Digest {
		t.Fatalf("copied to %v, %v", got, err)
	}
	return d
}

func TestPushPullDiscover(t *testing.T) {
	r := repository(t, "orasgo/app")
	body := bytes.Repeat([]byte("seaworthy "), 1<<20) // 10 MB
	image := push(t, r, "application/vnd.example.image", "1", body, nil)
	bill := push(t, r, "application/spdx+json", "", nil, &image)
	onBill := push(t, r, "application/vnd.example.signature", "", nil, &bill)

	// Pull.
	m := memory.New()
	d, err := oras.Copy(t.Context(), r, "1", m, "1", oras.DefaultCopyOptions)
	if err != nil || d.Digest != image.Digest {
		t.Fatalf("pulled %v, %v", d, err)
	}
	layers, err := content.Successors(t.Context(), m, d)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(layers, func(l ocispec.Descriptor) bool { return l.Digest == digest.FromBytes(body) })
	if i < 0 {
		t.Fatalf("the layer is not there: %v", layers)
	}
	rc, err := m.Fetch(t.Context(), layers[i])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(rc); err != nil || !bytes.Equal(got, body) {
		t.Fatalf("other bytes: %d, %v", len(got), err)
	}

	// Discover.
	for _, c := range []struct {
		subject ocispec.Descriptor
		kind    string
		want    []digest.Digest
	}{
		{image, "", []digest.Digest{bill.Digest}},
		{image, "application/spdx+json", []digest.Digest{bill.Digest}},
		{image, "application/vnd.example.other", nil},
		{bill, "", []digest.Digest{onBill.Digest}},
	} {
		var got []digest.Digest
		err := r.Referrers(t.Context(), c.subject, c.kind, func(found []ocispec.Descriptor) error {
			for _, d := range found {
				got = append(got, d.Digest)
			}
			return nil
		})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("referrers of %s (%q): %v, %v; want %v", c.subject.Digest, c.kind, got, err, c.want)
		}
	}

	// A copy with everything that refers to it, to another repository of the same registry.
	other := repository(t, "orasgo/other")
	if _, err := oras.ExtendedCopy(t.Context(), r, "1", other, "1", oras.DefaultExtendedCopyOptions); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := other.Referrers(t.Context(), bill, "", func(found []ocispec.Descriptor) error { n += len(found); return nil }); err != nil || n != 1 {
		t.Errorf("in the copy %d refer to the bill, %v", n, err)
	}

	var tags []string
	if err := r.Tags(t.Context(), "", func(some []string) error { tags = append(tags, some...); return nil }); err != nil || !slices.Contains(tags, "1") {
		t.Errorf("tags %v, %v", tags, err)
	}
	if err := r.Delete(t.Context(), onBill); err != nil {
		t.Errorf("deleting: %v", err)
	}
}

// TestFindsWhatOthersAttached lists what refers to the tag that $SUBJECT names, which must be $EXPECT manifests: they
// were attached by another client.
func TestFindsWhatOthersAttached(t *testing.T) {
	name, want := os.Getenv("SUBJECT"), os.Getenv("EXPECT")
	if name == "" {
		t.Skip("nothing was attached: interop/oci-orasgo.sh does it")
	}
	r := repository(t, name)
	d, err := r.Resolve(context.Background(), "1")
	if err != nil {
		t.Fatal(err)
	}
	found := []string{}
	err = r.Referrers(t.Context(), d, "", func(some []ocispec.Descriptor) error {
		for _, d := range some {
			found = append(found, d.ArtifactType)
		}
		return nil
	})
	slices.Sort(found)
	if got := slices.Compact(found); err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("found %v, %v; want %q", found, err, want)
	}
}
