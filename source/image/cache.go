package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/klauspost/compress/s2"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/pack"
	"github.com/seaworthy-dev/seaworthy/packages"
)

// Cache keeps what was found in layers, one file a layer, named by the layer's diffID and by everything the
// result depends on besides: the versions of all recognisers, the limits and the shape of the result. Beside the
// layers it keeps what others make of them (Load, Store). Many processes may use one directory at once: files
// are written beside and renamed, and a damaged one is as good as none. Everything in it can be deleted at any
// time.
//
// A nil *Cache keeps nothing.
type Cache struct {
	dir string
	max int64
}

// DefaultCacheSize is how large a Cache grows before the layers unused for longest are removed: 1 GiB.
const DefaultCacheSize = 1 << 30

// OpenCache uses dir, made when the first layer is kept. maxBytes 0 means DefaultCacheSize.
func OpenCache(dir string, maxBytes int64) *Cache {
	if maxBytes == 0 {
		maxBytes = DefaultCacheSize
	}
	return &Cache{dir: filepath.Join(dir, "layers"), max: maxBytes}
}

const (
	cacheMagic  = "seaworthy cache 1\n"
	layerSuffix = ".layer"
	otherSuffix = ".made"
)

// dependsOn is what every result depends on: its own shape and the recognisers' versions.
func dependsOn(v any) string {
	var b strings.Builder
	b.WriteString(pack.Fingerprint(v))
	for _, r := range packages.Table {
		if !r.Lock {
			fmt.Fprintf(&b, " %s %d", r.Name, r.Version)
		}
	}
	return b.String()
}

// name is the file of a layer.
func (c *Cache) name(diffID seaworthy.Digest, l Limits) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %+v", dependsOn(Layer{}), l))
	return filepath.Join(c.dir, diffID.Hex()+"-"+hex.EncodeToString(sum[:8])+layerSuffix)
}

// Load fills v with what was kept under key. v is a pointer to a type that package pack can read; values kept
// from another shape of it, or by other recognisers, do not count.
func (c *Cache) Load(key string, v any) bool {
	return c != nil && c.read(c.otherName(key, v), v)
}

// Store keeps the value that v points to under key, for Load.
func (c *Cache) Store(key string, v any) {
	if c != nil {
		c.write(c.otherName(key, v), v)
	}
}

func (c *Cache) otherName(key string, v any) string {
	sum := sha256.Sum256([]byte(dependsOn(v) + "\x00" + key))
	return filepath.Join(c.dir, hex.EncodeToString(sum[:])+otherSuffix)
}

// load returns the layer with this diffID. A result read from other stored bytes does not count, so that a
// manifest cannot borrow a good layer's diffID for a blob that was never looked at.
func (c *Cache) load(diffID, stored seaworthy.Digest, l Limits) (Layer, bool) {
	if c == nil || !diffID.NamesContent() {
		return Layer{}, false
	}
	var layer Layer
	if !c.read(c.name(diffID, l), &layer) || layer.DiffID != diffID || stored != "" && layer.Digest != stored {
		return Layer{}, false
	}
	layer.FromCache = true
	return layer, true
}

// store keeps a layer that was read to its end and is what it should be.
func (c *Cache) store(layer *Layer, l Limits) {
	if c != nil && layer.DiffID.NamesContent() {
		c.write(c.name(layer.DiffID, l), layer)
	}
}

func (c *Cache) read(name string, v any) bool {
	b, err := os.ReadFile(name)
	if err != nil || !decode(b, v) {
		return false
	}
	now := time.Now()
	_ = os.Chtimes(name, now, now) // only tells eviction that it was used
	return true
}

// write keeps v, a pointer. Failing to is not worth a word: the next run makes it again.
func (c *Cache) write(name string, v any) {
	if os.MkdirAll(c.dir, 0o700) != nil {
		return
	}
	f, err := os.CreateTemp(c.dir, ".new-*")
	if err != nil {
		return
	}
	_, err = f.Write(encode(v))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
		return
	}
	c.evict()
}

func encode(v any) []byte {
	body := s2.Encode(nil, pack.Append(nil, v))
	sum := sha256.Sum256(body)
	return append(append([]byte(cacheMagic), sum[:]...), body...)
}

// maxCached bounds what a damaged file can make us allocate: 2 GiB.
const maxCached = 2 << 30

func decode(b []byte, v any) bool {
	body, ok := bytes.CutPrefix(b, []byte(cacheMagic))
	if !ok || len(body) < sha256.Size {
		return false
	}
	want, body := body[:sha256.Size], body[sha256.Size:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], want) {
		return false
	}
	if n, err := s2.DecodedLen(body); err != nil || n > maxCached {
		return false
	}
	plain, err := s2.Decode(nil, body)
	return err == nil && pack.Decode(plain, v) == nil
}

// evict removes the layers unused for longest until the rest fits, and what a killed process left half
// written. One process at a time does it; the others go on.
func (c *Cache) evict() {
	lock := flock.New(filepath.Join(c.dir, ".lock"))
	if got, err := lock.TryLock(); err != nil || !got {
		return
	}
	defer lock.Unlock()
	kept, err := c.list()
	if err != nil {
		return
	}
	sort.Slice(kept, func(i, j int) bool { return kept[i].ModTime().Before(kept[j].ModTime()) })
	var total int64
	for _, f := range kept {
		total += f.Size()
	}
	for _, f := range kept {
		abandoned := strings.HasPrefix(f.Name(), ".new-") && time.Since(f.ModTime()) > time.Hour
		if total <= c.max && !abandoned {
			continue
		}
		if os.Remove(filepath.Join(c.dir, f.Name())) == nil {
			total -= f.Size()
		}
	}
}

func (c *Cache) list() (files []fs.FileInfo, err error) {
	names, err := os.ReadDir(c.dir)
	if os.IsNotExist(err) {
		return nil, nil
	}
	for _, n := range names {
		if n.Name() == ".lock" {
			continue
		}
		if info, err := n.Info(); err == nil {
			files = append(files, info)
		}
	}
	return files, err
}

// Status is how full a Cache is.
type Status struct {
	Dir    string `json:"dir"`
	Layers int    `json:"layers"`
	Bytes  int64  `json:"bytes"`
	Max    int64  `json:"maxBytes"`
}

// Status counts what is kept. Errors: Storage.
func (c *Cache) Status() (Status, error) {
	files, err := c.list()
	if err != nil {
		return Status{}, seaworthy.Wrap(err, seaworthy.Storage, "reading the layer cache %q", c.dir)
	}
	s := Status{Dir: c.dir, Max: c.max}
	for _, f := range files {
		s.Bytes += f.Size()
		if strings.HasSuffix(f.Name(), layerSuffix) {
			s.Layers++
		}
	}
	return s, nil
}

// Clear removes everything that is kept. Errors: Storage.
func (c *Cache) Clear() error {
	return seaworthy.Wrap(os.RemoveAll(c.dir), seaworthy.Storage, "clearing the layer cache %q", c.dir)
}
