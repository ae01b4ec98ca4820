// Package makeimage makes small container images from files in memory: for tests, and for the image that
// "seaworthy demo" makes of the program itself.
//
//	img, err := makeimage.Layout(dir, []makeimage.Layer{
//		{Files: []makeimage.File{{Path: "etc/os-release", Body: []byte("ID=debian\n")}}, History: "ADD rootfs"},
//		{Whiteouts: []string{"etc/motd"}, History: "RUN rm /etc/motd", Compression: makeimage.Zstd},
//	}, makeimage.Options{Name: "app:1.0"})
//
// The same input gives the same bytes. Nothing is checked that a test might want to get wrong: a file may have
// any name, a layer may be given as raw bytes. Images are held in memory whole, so this is not for big ones.
//
// The formats are those of the OCI image specification 1.1 and of "docker save".
package makeimage

import (
	"encoding/json"
	"io/fs"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// File is an entry of a layer. Folders above it are made when they are missing.
type File struct {
	Path string // no leading slash
	Body []byte
	Mode fs.FileMode // permissions, fs.ModeSetuid …, fs.ModeDir for a folder; 0 means 0644, 0755 for folders
	// Symlink or Hardlink, when set, is where it points; Body is then not used.
	Symlink  string
	Hardlink string
	UID, GID int
	// Xattrs are extended attributes by name ("security.capability"), written as PAX records.
	Xattrs map[string]string
}

// Compression is how a layer is stored.
type Compression string

// The compressions. The zero value means Gzip.
const (
	Gzip  Compression = "gzip"
	Zstd  Compression = "zstd"
	Plain Compression = "plain"
)

// Layer is one step of an image.
type Layer struct {
	Files     []File   // written in this order
	Whiteouts []string // paths that this layer deletes
	Opaques   []string // folders whose content from below this layer hides
	// Tar, when set, is the layer's uncompressed bytes as they are; Files, Whiteouts and Opaques are then not used.
	Tar         []byte
	Compression Compression
	History     string // the line that made it: created_by
	Comment     string
	// Empty makes a history line without a layer: ENV, CMD.
	Empty bool
}

// Options describe the image beyond its layers. The zero value is a linux/amd64 image without a name.
type Options struct {
	Name         string    // "registry.example/app:1.0"; "" for none
	OS           string    // "" means linux
	Architecture string    // "" means amd64
	Variant      string    // "v8"
	Created      time.Time // of the image and everything in it; zero means 1970-01-01
	Author       string
	Env          []string
	Entrypoint   []string
	Cmd          []string
	User         string
	WorkingDir   string
	Labels       map[string]string
	Annotations  map[string]string // of the manifest
	Docker       bool              // Docker's media types instead of OCI's
	NoHistory    bool              // leave history out, as some builders do
}

// Blob is bytes with their descriptor.
type Blob struct {
	MediaType string
	Digest    seaworthy.Digest
	Bytes     []byte
}

// BuiltLayer is a layer as it is stored.
type BuiltLayer struct {
	Blob
	Tar    []byte           // uncompressed
	DiffID seaworthy.Digest // of Tar
}

// Image is a finished image.
type Image struct {
	Name     string
	Manifest Blob
	Config   Blob
	Layers   []BuiltLayer
	platform platform
}

// Digest is the manifest's digest, by which the image is known.
func (img *Image) Digest() seaworthy.Digest { return img.Manifest.Digest }

// Build makes an image of layers, the lowest first. Errors: Internal, for an entry that tar cannot hold.
func Build(layers []Layer, o Options) (*Image, error) {
	if o.Created.IsZero() {
		o.Created = time.Unix(0, 0)
	}
	o.Created = o.Created.UTC()
	kinds := ociTypes
	if o.Docker {
		kinds = dockerTypes
	}
	img := &Image{Name: o.Name, platform: platform{
		OS: or(o.OS, "linux"), Architecture: or(o.Architecture, "amd64"), Variant: o.Variant,
	}}
	config := imageConfig{
		Created: o.Created, Author: o.Author, platform: img.platform,
		Config: runConfig{
			User: o.User, Env: o.Env, Entrypoint: o.Entrypoint, Cmd: o.Cmd, WorkingDir: o.WorkingDir, Labels: o.Labels,
		},
		RootFS: rootFS{Type: "layers", DiffIDs: []seaworthy.Digest{}},
	}
	manifest := manifest{SchemaVersion: 2, MediaType: kinds.manifest, Layers: []descriptor{}, Annotations: o.Annotations}
	for _, layer := range layers {
		if !o.NoHistory {
			config.History = append(config.History, historyLine{
				Created: o.Created, CreatedBy: layer.History, Comment: layer.Comment, EmptyLayer: layer.Empty,
			})
		}
		if layer.Empty {
			continue
		}
		built, err := buildLayer(layer, o.Created, kinds)
		if err != nil {
			return nil, err
		}
		img.Layers = append(img.Layers, built)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, built.DiffID)
		manifest.Layers = append(manifest.Layers, built.descriptor())
	}
	img.Config = newBlob(kinds.config, encode(config))
	manifest.Config = img.Config.descriptor()
	img.Manifest = newBlob(kinds.manifest, encode(manifest))
	return img, nil
}

// mediaTypes are the names one family of formats gives to its parts.
type mediaTypes struct{ index, manifest, config, plain, gzip, zstd string }

var (
	ociTypes = mediaTypes{
		index:    "application/vnd.oci.image.index.v1+json",
		manifest: "application/vnd.oci.image.manifest.v1+json",
		config:   "application/vnd.oci.image.config.v1+json",
		plain:    "application/vnd.oci.image.layer.v1.tar",
		gzip:     "application/vnd.oci.image.layer.v1.tar+gzip",
		zstd:     "application/vnd.oci.image.layer.v1.tar+zstd",
	}
	dockerTypes = mediaTypes{
		index:    "application/vnd.docker.distribution.manifest.list.v2+json",
		manifest: "application/vnd.docker.distribution.manifest.v2+json",
		config:   "application/vnd.docker.container.image.v1+json",
		plain:    "application/vnd.docker.image.rootfs.diff.tar",
		gzip:     "application/vnd.docker.image.rootfs.diff.tar.gzip",
		zstd:     "application/vnd.docker.image.rootfs.diff.tar.zstd",
	}
)

type (
	descriptor struct {
		MediaType   string            `json:"mediaType"`
		Digest      seaworthy.Digest  `json:"digest"`
		Size        int64             `json:"size"`
		Platform    *platform         `json:"platform,omitempty"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	platform struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
		Variant      string `json:"variant,omitempty"`
	}
	manifest struct {
		SchemaVersion int               `json:"schemaVersion"`
		MediaType     string            `json:"mediaType"`
		Config        descriptor        `json:"config"`
		Layers        []descriptor      `json:"layers"`
		Annotations   map[string]string `json:"annotations,omitempty"`
	}
	index struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Manifests     []descriptor `json:"manifests"`
	}
	imageConfig struct {
		Created time.Time `json:"created"`
		Author  string    `json:"author,omitempty"`
		platform
		Config  runConfig     `json:"config"`
		RootFS  rootFS        `json:"rootfs"`
		History []historyLine `json:"history,omitempty"`
	}
	runConfig struct {
		User       string            `json:"User,omitempty"`
		Env        []string          `json:"Env,omitempty"`
		Entrypoint []string          `json:"Entrypoint,omitempty"`
		Cmd        []string          `json:"Cmd,omitempty"`
		WorkingDir string            `json:"WorkingDir,omitempty"`
		Labels     map[string]string `json:"Labels,omitempty"`
	}
	rootFS struct {
		Type    string             `json:"type"`
		DiffIDs []seaworthy.Digest `json:"diff_ids"`
	}
	historyLine struct {
		Created    time.Time `json:"created"`
		CreatedBy  string    `json:"created_by,omitempty"`
		Comment    string    `json:"comment,omitempty"`
		EmptyLayer bool      `json:"empty_layer,omitempty"`
	}
)

func (b Blob) descriptor() descriptor {
	return descriptor{MediaType: b.MediaType, Digest: b.Digest, Size: int64(len(b.Bytes))}
}

func newBlob(mediaType string, b []byte) Blob {
	return Blob{MediaType: mediaType, Digest: seaworthy.SHA256(b), Bytes: b}
}

// encode writes our own types, which all have JSON.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("makeimage: " + err.Error())
	}
	return b
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
