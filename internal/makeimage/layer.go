package makeimage

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/seaworthy-dev/seaworthy"
)

func buildLayer(layer Layer, created time.Time, kinds mediaTypes) (BuiltLayer, error) {
	raw := layer.Tar
	if raw == nil {
		var err error
		if raw, err = Tar(layer, created); err != nil {
			return BuiltLayer{}, err
		}
	}
	built := BuiltLayer{Tar: raw, DiffID: seaworthy.SHA256(raw)}
	mediaType := kinds.gzip
	switch layer.Compression {
	case Zstd:
		mediaType = kinds.zstd
	case Plain:
		mediaType = kinds.plain
	}
	stored, err := compress(raw, layer.Compression)
	built.Blob = newBlob(mediaType, stored)
	return built, err
}

func compress(raw []byte, how Compression) ([]byte, error) {
	var b bytes.Buffer
	var w io.WriteCloser
	switch how {
	case Plain:
		return raw, nil
	case Zstd:
		enc, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1)) // one, so that blocks are always cut alike
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Internal, "starting zstd")
		}
		w = enc
	case Gzip, "":
		w = gzip.NewWriter(&b)
	default:
		return nil, seaworthy.Errorf(seaworthy.Internal, "compressing a layer: unknown compression %q", how)
	}
	_, err := w.Write(raw)
	if closeErr := w.Close(); err == nil {
		err = closeErr
	}
	return b.Bytes(), seaworthy.Wrap(err, seaworthy.Internal, "compressing a layer")
}

// Tar writes a layer's entries as an uncompressed tar archive (OCI image-spec layer.md). Whiteouts come first,
// as the specification asks. Errors: Internal, for an entry that tar cannot hold.
func Tar(layer Layer, created time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := &layerWriter{tar: tar.NewWriter(&b), created: created, folders: map[string]bool{".": true, "/": true}}
	for _, name := range layer.Opaques {
		w.add(File{Path: path.Join(name, ".wh..wh..opq"), Mode: 0o644})
	}
	for _, name := range layer.Whiteouts {
		w.add(File{Path: path.Join(path.Dir(name), ".wh."+path.Base(name)), Mode: 0o644})
	}
	for _, file := range layer.Files {
		w.add(file)
	}
	if w.err == nil {
		w.err = w.tar.Close()
	}
	return b.Bytes(), seaworthy.Wrap(w.err, seaworthy.Internal, "writing a layer")
}

// layerWriter keeps its first error.
type layerWriter struct {
	tar     *tar.Writer
	created time.Time
	folders map[string]bool // those written already
	err     error
}

func (w *layerWriter) add(file File) {
	w.parents(file.Path)
	h := &tar.Header{
		Name: file.Path, Uid: file.UID, Gid: file.GID, ModTime: w.created, Format: tar.FormatPAX,
		Typeflag: tar.TypeReg, Mode: tarMode(file.Mode), Size: int64(len(file.Body)),
	}
	switch {
	case file.Symlink != "":
		h.Typeflag, h.Linkname, h.Size, h.Mode = tar.TypeSymlink, file.Symlink, 0, 0o777
	case file.Hardlink != "":
		h.Typeflag, h.Linkname, h.Size = tar.TypeLink, file.Hardlink, 0
	case file.Mode.IsDir():
		name := strings.TrimSuffix(file.Path, "/")
		w.folders[name] = true
		h.Typeflag, h.Name, h.Size = tar.TypeDir, name+"/", 0
	}
	for name, value := range file.Xattrs {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords["SCHILY.xattr."+name] = value // archive/tar sorts them
	}
	if w.err == nil {
		w.err = w.tar.WriteHeader(h)
	}
	if w.err == nil && h.Size > 0 {
		_, w.err = w.tar.Write(file.Body)
	}
}

// parents writes the folders above name that are not there yet, the highest first.
func (w *layerWriter) parents(name string) {
	for i := range len(name) {
		if name[i] != '/' || i == 0 || w.folders[name[:i]] {
			continue
		}
		w.folders[name[:i]] = true
		h := &tar.Header{Typeflag: tar.TypeDir, Name: name[:i] + "/", Mode: 0o755, ModTime: w.created, Format: tar.FormatPAX}
		if w.err == nil {
			w.err = w.tar.WriteHeader(h)
		}
	}
}

func tarMode(mode fs.FileMode) int64 {
	if mode.Perm() == 0 && mode.IsDir() {
		mode |= 0o755
	} else if mode == 0 {
		mode = 0o644
	}
	m := int64(mode.Perm())
	if mode&fs.ModeSetuid != 0 {
		m |= 0o4000
	}
	if mode&fs.ModeSetgid != 0 {
		m |= 0o2000
	}
	if mode&fs.ModeSticky != 0 {
		m |= 0o1000
	}
	return m
}
