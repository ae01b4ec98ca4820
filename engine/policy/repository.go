package policy

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

const (
	// maxRepositoryBytes is how much a TUF repository may hold: 16 MiB.
	maxRepositoryBytes = 16 << 20
	// maxRepositoryFiles is how many files it may have.
	maxRepositoryFiles = 2_000
	// repositoryAddress is what a repository is called that is nowhere but in memory.
	repositoryAddress = "https://repository.invalid"
)

// repository reads a TUF repository that was packed into the object, and takes the trusted root from it: as TUF
// demands, from the root that is trusted at first through its successors. at is when.
func (f field) repository(name string, at time.Time) *root.Root {
	m := f.object("root", "mirrorFS", "targets", "trustedRootTarget")
	first := []byte(m["root"].required())
	if len(first) > 0 && first[0] != '{' {
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(first)), ""))
		if err != nil {
			m["root"].hinted(seaworthy.Invalid, "it is the root.json of TUF, or its base64", "it is no JSON")
			return nil
		}
		first = b
	}
	packed, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(m["mirrorFS"].required()), ""))
	if err != nil {
		m["mirrorFS"].hinted(seaworthy.Invalid, "make it with: tar -cz repository | base64", "it is no base64")
		return nil
	}
	if f.o.bad {
		return nil
	}
	files, err := unpack(packed)
	if err != nil {
		m["mirrorFS"].failed(err)
		return nil
	}
	target := cmp.Or(m["trustedRootTarget"].text(), "trusted_root.json")
	b, err := files.target(first, cmp.Or(m["targets"].text(), "targets"), target, cmp.Or(at, time.Now()))
	if err != nil {
		f.failed(err)
		return nil
	}
	r, err := root.Parse(name, b)
	if err != nil {
		f.failed(err)
	}
	return r
}

// repositoryFiles are the files of a TUF repository by path. They are a fetcher that fetches nothing.
type repositoryFiles map[string][]byte

// unpack reads a gzipped tar. Errors: Invalid, TooLarge.
func unpack(b []byte) (repositoryFiles, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "unpacking the repository: it is no gzip")
	}
	files := repositoryFiles{}
	left := int64(maxRepositoryBytes)
	t := tar.NewReader(io.LimitReader(z, maxRepositoryBytes+maxRepositoryFiles*1024))
	for range maxRepositoryFiles {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "unpacking the repository: %w", err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		body, err := io.ReadAll(io.LimitReader(t, left+1))
		if err != nil {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "unpacking the repository: %w", err)
		}
		if left -= int64(len(body)); left < 0 {
			return nil, seaworthy.Errorf(seaworthy.TooLarge, "unpacking the repository: it holds more than %d bytes", maxRepositoryBytes)
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		files[strings.TrimPrefix(name, "repository/")] = body
	}
	return nil, seaworthy.Errorf(seaworthy.TooLarge, "unpacking the repository: it has more than %d files", maxRepositoryFiles)
}

// target walks from the first root to a target. Errors: Invalid, NotFound.
func (files repositoryFiles) target(first []byte, targets, name string, at time.Time) ([]byte, error) {
	cfg, err := config.New(repositoryAddress, first)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Internal, "reading the repository: %w", err)
	}
	cfg.DisableLocalCache = true
	cfg.RemoteTargetsURL = repositoryAddress + "/" + strings.Trim(targets, "/")
	cfg.Fetcher = files
	up, err := updater.New(cfg)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the repository: its first root: %w", err)
	}
	up.UnsafeSetRefTime(at)
	if err := up.Refresh(); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the repository: %w", err).WithHint("if it has expired, pack a newer one")
	}
	info, err := up.GetTargetInfo(name)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.NotFound, "reading the repository: there is no target %q: %w", name, err).
			WithHint("repositories without a trusted_root.json are not read; name it with trustedRootTarget")
	}
	_, b, err := up.DownloadTarget(info, "", "")
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the repository: the target %q: %w", name, err)
	}
	return b, nil
}

// DownloadFile implements go-tuf's Fetcher: nothing leaves the machine.
func (files repositoryFiles) DownloadFile(address string, most int64, _ time.Duration) ([]byte, error) {
	b, ok := files[strings.TrimPrefix(strings.TrimPrefix(address, repositoryAddress), "/")]
	if !ok {
		return nil, &tuf.ErrDownloadHTTP{StatusCode: http.StatusNotFound, URL: address}
	}
	if int64(len(b)) > most {
		return nil, &tuf.ErrDownloadLengthMismatch{Msg: "it is longer than it may be"}
	}
	return b, nil
}
