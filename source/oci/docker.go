package oci

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/seaworthy-dev/seaworthy"
)

// dockerEntry is an image in docker's manifest.json (moby image/spec/spec.md).
type dockerEntry struct {
	Config   string   `json:"Config"`
	RepoTags []string `json:"RepoTags"`
	Layers   []string `json:"Layers"`
}

func (a *archive) dockerManifest(limit int64) ([]dockerEntry, error) {
	r, err := a.open("manifest.json")
	if err != nil {
		if a.cut == nil && seaworthy.CodeOf(err) == seaworthy.NotFound {
			return nil, seaworthy.Errorf(seaworthy.Unsupported, "it has neither manifest.json nor index.json, so it is no image archive").
				WithHint("docker save, podman save and skopeo make such archives; docker export makes a plain file system")
		}
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading %q", "manifest.json")
	}
	if int64(len(b)) > limit {
		return nil, seaworthy.Wrap(tooLarge(int64(len(b)), limit), seaworthy.TooLarge, "reading %q", "manifest.json")
	}
	docker, err := parseDockerManifest(b)
	return docker, seaworthy.Wrap(err, seaworthy.Invalid, "reading %q", "manifest.json")
}

func parseDockerManifest(b []byte) ([]dockerEntry, error) {
	var docker []dockerEntry
	if err := json.Unmarshal(b, &docker); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "it is not the JSON it should be: %s", clip(err.Error()))
	}
	return docker, nil
}

// pickDocker chooses one image of manifest.json. Errors: NotFound, Usage.
func pickDocker(all []dockerEntry, name string) (dockerEntry, error) {
	var have []string
	var fitting []dockerEntry
	for _, d := range all {
		have = append(have, orNone(strings.Join(d.RepoTags, " = ")))
		if name == "" || dockerNamed(d, name) {
			fitting = append(fitting, d)
		}
	}
	switch {
	case len(fitting) == 1:
		return fitting[0], nil
	case len(all) == 0:
		return dockerEntry{}, seaworthy.Errorf(seaworthy.NotFound, "looking for an image: manifest.json names none")
	case len(fitting) == 0:
		return dockerEntry{}, seaworthy.Errorf(seaworthy.NotFound, "looking for image %s: there is %s", quote(name), quoted(have, 20))
	}
	return dockerEntry{}, seaworthy.Errorf(seaworthy.Usage, "choosing an image: there are several: %s", quoted(have, 20)).
		WithHint("name one of them with --image NAME:TAG")
}

func dockerNamed(d dockerEntry, name string) bool {
	want, refErr := ParseReference(name)
	for _, tag := range d.RepoTags {
		if tag == name || validTag(name) && strings.HasSuffix(tag, ":"+name) {
			return true
		}
		if have, err := ParseReference(tag); err == nil && refErr == nil && have == want {
			return true
		}
	}
	digest, ok := digestInName(d.Config)
	return ok && (string(digest) == name || digest.Hex() == name)
}

// digestInName finds the digest that the name of a configuration or layer claims: "sha256:hex", "hex.json",
// "blobs/sha256/hex".
func digestInName(name string) (seaworthy.Digest, bool) {
	name = cleanName(name)
	base := strings.TrimSuffix(path.Base(name), ".json")
	for _, s := range []string{base, "sha256:" + base} {
		if d, err := seaworthy.ParseDigest(s); err == nil && d.NamesContent() {
			return d, true
		}
	}
	if parts := strings.Split(name, "/"); len(parts) == 3 && parts[0] == "blobs" {
		if d, err := seaworthy.NewDigest(parts[1], parts[2]); err == nil && d.NamesContent() {
			return d, true
		}
	}
	return "", false
}

// dockerImage reads an image that only manifest.json knows.
func (a *archive) dockerImage(_ context.Context, where string, all []dockerEntry, o Options) (*Image, error) {
	d, err := pickDocker(all, o.Image)
	if err != nil {
		return nil, err
	}
	if len(d.Layers) > o.MaxLayers {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "an image of %d layers; the limit is %d", len(d.Layers), o.MaxLayers)
	}
	raw, err := layout{files: archiveFiles{a}, maxManifest: o.MaxManifest}.whole(d.Config)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading the configuration")
	}
	im := &Image{Digest: seaworthy.SHA256(raw), Tags: slices.Sorted(slices.Values(d.RepoTags)), Layers: make([]Layer, len(d.Layers))}
	if claimed, ok := digestInName(d.Config); ok {
		if err := verifyDigest(raw, claimed); err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Mismatch, "reading the configuration")
		}
		im.Digest = claimed
	}
	for i, name := range d.Layers {
		e, err := a.resolve(name)
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "looking for layer %d of %d", i+1, len(d.Layers))
		}
		layer := Layer{Size: e.size, MediaType: mediaTypeDockerLayer}
		switch codecOf(e.head[:]) {
		case "gzip":
			layer.MediaType = mediaTypeDockerLayerGzip
		case "zstd":
			layer.MediaType = mediaTypeDockerLayerZstd
		}
		if strings.HasPrefix(cleanName(name), "blobs/") {
			layer.Digest, _ = digestInName(name)
		}
		if a.codec == "" {
			layer.Open = func(ctx context.Context) (io.ReadCloser, error) {
				r := io.NopCloser(io.NewSectionReader(a.file, e.offset, e.size))
				return &bounded{ctx: ctx, r: r, left: e.size, what: quote(name)}, ctx.Err()
			}
		}
		im.Layers[i] = layer
	}
	if err := im.setConfig(raw); err != nil {
		return nil, err
	}
	if a.codec != "" {
		im.Each = a.each(d.Layers)
	}
	im.Reference = fmt.Sprintf("%s@%s", where, im.Digest)
	if len(im.Tags) > 0 {
		im.Reference = im.Tags[0]
	}
	return im, im.checkPlatform(o.Platform)
}
