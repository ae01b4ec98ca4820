package oci

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/gzip"

	"github.com/seaworthy-dev/seaworthy"
)

// Mutation says what is changed in an image.
type Mutation struct {
	Labels      map[string]string // set in the configuration; an empty value removes one
	Annotations map[string]string // set in the manifest; an empty value removes one
	// Append are tar files, plain, gzip or zstd, that become layers on top, in this order. Plain ones are
	// compressed.
	Append []string
	// Created is when the new layers were made; zero: the configuration does not say.
	Created time.Time
	// Platform chooses one image of an index; the result is that image alone.
	Platform Platform
	Progress func(int64)
}

// Mutate makes a new image from what name stands for and writes it to a place, under a tag or, with "", under its
// digest. Everything of the configuration that it does not know stays as it is. What refers to the old image
// does not refer to the new one. Errors: Unsupported for what is no image; Usage; those of both places.
func Mutate(ctx context.Context, from Place, name string, to Destination, tag string, m Mutation) (Descriptor, error) {
	d, raw, err := PlatformManifest(ctx, from, name, m.Platform)
	if err != nil {
		return d, err
	}
	if _, err := parseManifest(raw, DefaultMaxLayers); err != nil {
		return d, err
	}
	doc, err := ParseManifest(raw)
	if err != nil {
		return d, err
	}
	config, err := ReadBlob(ctx, from, doc.Config, DefaultMaxManifest)
	if err != nil {
		return d, seaworthy.Wrap(err, seaworthy.Invalid, "reading the configuration")
	}
	var added []newLayer
	defer func() {
		for _, l := range added {
			_ = os.Remove(l.file)
		}
	}()
	for _, file := range m.Append {
		l, err := makeLayer(ctx, file, strings.Contains(d.MediaType, "docker"))
		if err != nil {
			return d, err
		}
		added = append(added, l)
	}
	if config, err = mutateConfig(config, m, added); err != nil {
		return d, err
	}
	put := PutOptions{Progress: m.Progress, MountFrom: mountFrom(from, to)}
	for _, l := range doc.Layers {
		_, err := to.PutBlob(ctx, l, func(ctx context.Context, at int64) (io.ReadCloser, error) { return from.Blob(ctx, l, at) }, put)
		if err != nil && !(foreign(l.MediaType) && seaworthy.CodeOf(err) == seaworthy.NotFound) {
			return d, err
		}
	}
	for _, l := range added {
		if _, err := to.PutBlob(ctx, l.d, fileOpener(l.file), PutOptions{Progress: m.Progress}); err != nil {
			return d, err
		}
		doc.Layers = append(doc.Layers, l.d)
	}
	doc.Config.Digest, doc.Config.Size = seaworthy.SHA256(config), int64(len(config))
	_, err = to.PutBlob(ctx, doc.Config, func(_ context.Context, at int64) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(string(config[at:]))), nil
	}, PutOptions{})
	if err != nil {
		return d, err
	}
	doc.MediaType, doc.Annotations = d.MediaType, set(doc.Annotations, m.Annotations)
	if raw, err = encodeManifest(doc); err != nil {
		return d, err
	}
	d = Descriptor{MediaType: d.MediaType, Digest: seaworthy.SHA256(raw), Size: int64(len(raw))}
	if tag == "" {
		tag = string(d.Digest)
	}
	return d, to.PutManifest(ctx, tag, d, raw)
}

// set changes a map as a Mutation says.
func set(old, changes map[string]string) map[string]string {
	if len(changes) == 0 {
		return old
	}
	out := maps.Clone(old)
	if out == nil {
		out = map[string]string{}
	}
	for k, v := range changes {
		if v == "" {
			delete(out, k)
		} else {
			out[k] = v
		}
	}
	return out
}

// newLayer is a layer in a temporary file.
type newLayer struct {
	d    Descriptor
	diff seaworthy.Digest
	file string
	from string // what the person named
}

// makeLayer reads a tar file as a layer.
func makeLayer(ctx context.Context, name string, docker bool) (l newLayer, err error) {
	in, err := openRegular(name)
	if err != nil {
		return l, err
	}
	defer in.Close()
	out, err := os.CreateTemp("", "seaworthy-layer-*")
	if err != nil {
		return l, seaworthy.Wrap(err, seaworthy.Storage, "making a temporary file")
	}
	l = newLayer{file: out.Name(), from: name}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			_ = os.Remove(out.Name())
			err = seaworthy.Wrap(err, seaworthy.Invalid, "making a layer of %q", clip(name))
		}
	}()
	stored, plain := hashFor("sha256:"), hashFor("sha256:")
	r := bufio.NewReaderSize(withContext{ctx, in}, 64<<10)
	head, _ := r.Peek(6) // a short file is no tar, which shows below
	codec := codecOf(head)
	to := io.MultiWriter(out, stored)
	if codec == "" {
		codec = "gzip"
		z := gzip.NewWriter(to)
		if err = checkTar(io.TeeReader(r, io.MultiWriter(z, plain))); err == nil {
			err = z.Close()
		}
	} else {
		tee := io.TeeReader(r, to)
		var content io.Reader
		var closeIt func()
		if content, closeIt, err = unpack(tee, codec, DefaultMaxUnpacked); err == nil {
			if err = checkTar(io.TeeReader(content, plain)); err == nil {
				_, err = io.Copy(io.Discard, tee)
			}
			closeIt()
		}
	}
	if err != nil {
		return l, err
	}
	fi, err := out.Stat()
	if err != nil {
		return l, err
	}
	mediaType := ociLayerType(codec)
	if docker {
		mediaType = map[string]string{"gzip": mediaTypeDockerLayerGzip, "zstd": mediaTypeDockerLayerZstd}[codec]
	}
	l.d = Descriptor{MediaType: mediaType, Digest: sumOf("sha256:", stored), Size: fi.Size()}
	l.diff = sumOf("sha256:", plain)
	return l, nil
}

// checkTar reads r to its end and makes sure that it is a tar file.
func checkTar(r io.Reader) error {
	t := tar.NewReader(r)
	for {
		_, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return seaworthy.Errorf(seaworthy.Invalid, "it is no tar file: %w", err)
		}
	}
	_, err := io.Copy(io.Discard, r)
	return err
}

// mutateConfig changes labels, diff IDs and history, and nothing else.
func mutateConfig(raw []byte, m Mutation, added []newLayer) ([]byte, error) {
	type object = map[string]jsontext.Value
	read := func(v jsontext.Value, what string, into any) error {
		if len(v) == 0 || string(v) == "null" {
			return nil
		}
		if err := json.Unmarshal(v, into, jsontext.AllowInvalidUTF8(true)); err != nil {
			return seaworthy.Errorf(seaworthy.Invalid, "reading %s of the configuration: %s", what, clip(err.Error()))
		}
		return nil
	}
	var failed error
	write := func(v any) jsontext.Value {
		b, err := json.Marshal(v, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
		failed = errors.Join(failed, err)
		return b
	}
	var all, run, rootfs object
	var labels map[string]string
	var diffs []string
	var history []jsontext.Value
	err := errors.Join(read(raw, "all", &all), read(all["config"], "config", &run), read(all["rootfs"], "rootfs", &rootfs))
	if err == nil {
		err = errors.Join(read(run["Labels"], "Labels", &labels), read(rootfs["diff_ids"], "diff_ids", &diffs), read(all["history"], "history", &history))
	}
	if err != nil || all == nil {
		return nil, errors.Join(err, seaworthy.Errorf(seaworthy.Invalid, "changing the configuration"))
	}
	if len(m.Labels) > 0 {
		if run == nil {
			run = object{}
		}
		run["Labels"] = write(set(labels, m.Labels))
		all["config"] = write(run)
	}
	for _, l := range added {
		diffs = append(diffs, string(l.diff))
		line := map[string]string{"created_by": "seaworthy oci mutate --append " + l.from}
		if !m.Created.IsZero() {
			line["created"] = m.Created.UTC().Format(time.RFC3339)
		}
		history = append(history, write(line))
	}
	if len(added) > 0 {
		if rootfs == nil {
			rootfs = object{"type": write("layers")}
		}
		rootfs["diff_ids"] = write(diffs)
		all["rootfs"], all["history"] = write(rootfs), write(history)
	}
	out := write(all)
	return out, seaworthy.Wrap(failed, seaworthy.Internal, "writing the configuration")
}
