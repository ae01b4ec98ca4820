package makeimage

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

const (
	layoutMarker = `{"imageLayoutVersion":"1.0.0"}`
	refName      = "org.opencontainers.image.ref.name"
)

// Layout builds an image and writes it as an OCI image layout into dir, which is made when it is missing. A
// layout that is there already gets the image added. Errors: Internal, Storage.
func Layout(dir string, layers []Layer, o Options) (*Image, error) {
	img, err := Build(layers, o)
	if err != nil {
		return nil, err
	}
	return img, img.WriteLayout(dir)
}

// WriteLayout adds the image to the OCI image layout in dir. Errors: Storage.
func (img *Image) WriteLayout(dir string) error {
	if err := writeBlobs(dir, img.blobs()); err != nil {
		return err
	}
	d := img.Manifest.descriptor()
	d.Platform = &img.platform
	return addToLayout(dir, img.Name, d)
}

// WriteIndex adds one image index over several images, as a multi-platform image is, to the OCI image layout in
// dir, and returns the index's digest. Errors: Storage.
func WriteIndex(dir, name string, images ...*Image) (seaworthy.Digest, error) {
	list := index{SchemaVersion: 2, MediaType: ociTypes.index, Manifests: []descriptor{}}
	for _, img := range images {
		if err := writeBlobs(dir, img.blobs()); err != nil {
			return "", err
		}
		d := img.Manifest.descriptor()
		d.Platform = &img.platform
		list.Manifests = append(list.Manifests, d)
	}
	blob := newBlob(ociTypes.index, encode(list))
	if err := writeBlobs(dir, []Blob{blob}); err != nil {
		return "", err
	}
	return blob.Digest, addToLayout(dir, name, blob.descriptor())
}

func (img *Image) blobs() []Blob {
	blobs := []Blob{img.Manifest, img.Config}
	for _, layer := range img.Layers {
		blobs = append(blobs, layer.Blob)
	}
	return blobs
}

func writeBlobs(dir string, blobs []Blob) error {
	folder := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return storage(err, dir)
	}
	for _, b := range blobs {
		if err := os.WriteFile(filepath.Join(folder, b.Digest.Hex()), b.Bytes, 0o644); err != nil {
			return storage(err, dir)
		}
	}
	return nil
}

func addToLayout(dir, name string, d descriptor) error {
	file := filepath.Join(dir, "index.json")
	list := index{SchemaVersion: 2, MediaType: ociTypes.index}
	old, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(old, &list)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return storage(err, dir)
	}
	if name != "" {
		d.Annotations = map[string]string{refName: name}
	}
	list.Manifests = append(list.Manifests, d)
	if err := os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(layoutMarker), 0o644); err != nil {
		return storage(err, dir)
	}
	return storage(os.WriteFile(file, encode(list), 0o644), dir)
}

// archiveFile is a file of an archive.
type archiveFile struct {
	name string
	body []byte
}

// WriteOCIArchive writes the image as an OCI image layout in one tar archive. Errors: Storage.
func (img *Image) WriteOCIArchive(w io.Writer) error {
	d := img.Manifest.descriptor()
	d.Platform = &img.platform
	if img.Name != "" {
		d.Annotations = map[string]string{refName: img.Name}
	}
	files := []archiveFile{
		{"oci-layout", []byte(layoutMarker)},
		{"index.json", encode(index{SchemaVersion: 2, MediaType: ociTypes.index, Manifests: []descriptor{d}})},
	}
	for _, b := range img.blobs() {
		files = append(files, archiveFile{"blobs/sha256/" + b.Digest.Hex(), b.Bytes})
	}
	return writeArchive(w, files)
}

// WriteDockerArchive writes the image as "docker save" does before containerd's image store: manifest.json, the
// configuration, and each layer uncompressed in a folder of its own. Errors: Storage.
func (img *Image) WriteDockerArchive(w io.Writer) error {
	type entry struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	one := entry{Config: img.Config.Digest.Hex() + ".json", Layers: []string{}}
	if img.Name != "" {
		one.RepoTags = []string{img.Name}
	}
	files := []archiveFile{{one.Config, img.Config.Bytes}}
	for _, layer := range img.Layers {
		name := layer.DiffID.Hex() + "/layer.tar"
		one.Layers = append(one.Layers, name)
		files = append(files, archiveFile{name, layer.Tar})
	}
	files = append(files, archiveFile{"manifest.json", encode([]entry{one})})
	return writeArchive(w, files)
}

func writeArchive(w io.Writer, files []archiveFile) error {
	t := tar.NewWriter(w)
	written := map[string]bool{} // the same layer twice is one file
	for _, f := range files {
		if written[f.name] {
			continue
		}
		written[f.name] = true
		h := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.body)), ModTime: time.Unix(0, 0).UTC()}
		if err := t.WriteHeader(h); err != nil {
			return seaworthy.Wrap(err, seaworthy.Storage, "writing an image archive")
		}
		if _, err := t.Write(f.body); err != nil {
			return seaworthy.Wrap(err, seaworthy.Storage, "writing an image archive")
		}
	}
	return seaworthy.Wrap(t.Close(), seaworthy.Storage, "writing an image archive")
}

func storage(err error, dir string) error {
	return seaworthy.Wrap(err, seaworthy.Storage, "writing an image layout to %q", strings.TrimSuffix(dir, "/"))
}
