package advisory

import (
	"archive/zip"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/feed"
	"github.com/seaworthy-dev/seaworthy/format/osv"
)

// Limits on what Build reads from one input.
const (
	MaxFiles     = 4 << 20  // files in a directory or archive
	MaxFileBytes = 2 << 30  // of one file when decompressed: the Debian tracker has 70 MB
	MaxBytes     = 64 << 30 // of all files together when decompressed
)

// headBytes is how much of a file is looked at to tell its kind.
const headBytes = 4 << 10

// member is one file of an input.
type member struct {
	name string // of the input itself when it is one file
	open func() (io.ReadCloser, error)
}

// input is an opened Input: its files, sorted by name.
type input struct {
	members []member
	digest  seaworthy.Digest
	modTime time.Time
	close   []io.Closer
}

// openInput lists the files of a path: a file, a zip, or a directory with zips in it read as their files.
func openInput(in Input) (*input, error) {
	info, err := os.Stat(in.Path)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.NotFound, "reading advisories: %w", err)
	}
	out := &input{modTime: in.ModTime}
	if out.modTime.IsZero() {
		out.modTime = info.ModTime().UTC().Truncate(time.Second)
	}
	if info.IsDir() {
		err = out.addDir(in.Path)
	} else {
		if err = out.addFile(in.Path, path.Base(filepath.ToSlash(in.Path))); err == nil {
			out.digest, err = digestFile(in.Path)
		}
	}
	if err != nil {
		out.Close()
		return nil, err
	}
	slices.SortStableFunc(out.members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// Close closes the archives.
func (in *input) Close() {
	for _, c := range in.close {
		c.Close()
	}
}

// addDir adds the regular files under dir and digests them. Links are not followed, hidden files not read.
func (in *input) addDir(dir string) error {
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return seaworthy.Errorf(seaworthy.Storage, "reading advisories: %w", err)
		}
		if p != dir && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		digest, err := digestFile(p)
		if err != nil {
			return err
		}
		io.WriteString(sum, digest.Hex()+"  "+rel+"\n")
		return in.addFile(p, rel)
	})
	in.digest = seaworthy.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil)))
	return err
}

// addFile adds a file, or the files in it when it is a zip.
func (in *input) addFile(p, name string) error {
	if len(in.members) >= MaxFiles {
		return seaworthy.Errorf(seaworthy.TooLarge, "reading advisories %q: more than %d files", name, MaxFiles)
	}
	if !isZip(p) {
		in.members = append(in.members, member{name: name, open: func() (io.ReadCloser, error) { return os.Open(p) }})
		return nil
	}
	z, err := zip.OpenReader(p)
	if err != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "reading advisories %q: %w", name, err)
	}
	in.close = append(in.close, z)
	if len(z.File) > MaxFiles {
		return seaworthy.Errorf(seaworthy.TooLarge, "reading advisories %q: more than %d files", name, MaxFiles)
	}
	for _, f := range z.File {
		if f.FileInfo().IsDir() || strings.HasPrefix(path.Base(f.Name), ".") {
			continue
		}
		in.members = append(in.members, member{name: name + "!" + f.Name, open: func() (io.ReadCloser, error) { return f.Open() }})
	}
	return nil
}

func isZip(p string) bool {
	f, err := os.Open(p)
	if err != nil {
		return false
	}
	defer f.Close()
	var head [4]byte
	_, err = io.ReadFull(f, head[:])
	return err == nil && string(head[:]) == "PK\x03\x04"
}

func digestFile(p string) (seaworthy.Digest, error) {
	f, err := os.Open(p)
	if err != nil {
		return "", seaworthy.Errorf(seaworthy.Storage, "reading advisories: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", seaworthy.Errorf(seaworthy.Storage, "reading advisories: %w", err)
	}
	return seaworthy.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil))), nil
}

// budget counts what is read of all files together, and of each.
type budget struct{ left int64 }

// limited reads from r within the limits.
type limited struct {
	r     io.Reader
	left  int64
	total *budget
}

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 || l.total.left <= 0 {
		return 0, seaworthy.Errorf(seaworthy.TooLarge, "it is larger than the limit of %d bytes a file, %d in all", int64(MaxFileBytes), int64(MaxBytes))
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left, l.total.left)])
	l.left -= int64(n)
	l.total.left -= int64(n)
	return n, err
}

// opened is a member that is being read: its kind, and its content from the start, decompressed.
type opened struct {
	kind feed.Kind
	yaml bool
	body io.Reader
	io.Closer
}

// openMember opens a file and looks what it is. Files whose name says that they are something else are Unknown.
func openMember(m member, total *budget) (*opened, error) {
	f, err := m.open()
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "opening: %w", err)
	}
	o := &opened{Closer: f}
	var body io.Reader = f
	base := strings.ToLower(m.name)
	if name, ok := strings.CutSuffix(base, ".gz"); ok {
		z, err := gzip.NewReader(f)
		if err != nil {
			f.Close()
			return nil, seaworthy.Errorf(seaworthy.Invalid, "decompressing: %w", err)
		}
		base, body = name, z
	}
	buffered := bufio.NewReaderSize(&limited{r: body, left: MaxFileBytes, total: total}, headBytes)
	o.body = buffered
	switch path.Ext(base) {
	case ".json", ".csv", "", ".db", ".download":
	case ".yaml", ".yml":
		o.yaml = true
	default:
		return o, nil
	}
	head, err := buffered.Peek(headBytes)
	if err != nil && err != io.EOF {
		f.Close()
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading")
	}
	o.kind = feed.Classify(head)
	if o.kind == feed.Unknown && len(bytes.TrimSpace(head)) > 0 && isRecordName(base) {
		o.kind = feed.OSV // let its parser say what is wrong with it
	}
	if o.kind == feed.OSV && !o.yaml {
		trimmed := bytes.TrimLeft(head, "\xef\xbb\xbf \t\r\n")
		o.yaml = len(trimmed) > 0 && trimmed[0] != '{'
	}
	return o, nil
}

// recordPrefixes begin the file names of published records.
var recordPrefixes = []string{"ghsa-", "go-", "pysec-", "rustsec-", "cve-", "osv-", "mal-", "dsa-", "dla-", "debian-", "usn-", "ubuntu-", "alpine-", "rlsa-", "alsa-", "rhsa-", "suse-", "opensuse-", "cga-"}

// isRecordName reports whether a file is named as published OSV records are.
func isRecordName(name string) bool {
	name = name[strings.LastIndexAny(name, "/!")+1:]
	return slices.ContainsFunc(recordPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// readRecord reads a whole OSV record.
func readRecord(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, osv.MaxRecordBytes+1))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading")
	}
	return b, nil
}
