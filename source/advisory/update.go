package advisory

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// MaxDatabaseBytes is the largest database that Update takes: 8 GiB.
const MaxDatabaseBytes = 8 << 30

// UpdateOptions say how Update reaches the outside. Each is needed only for what the person named.
type UpdateOptions struct {
	// HTTP fetches https URLs; nil means http.DefaultClient.
	HTTP *http.Client
	// OCI opens the database that an OCI reference names ("oci://registry/repo:tag" or "registry/repo@sha256:…"),
	// after checking its digest. nil: such references are refused.
	OCI func(ctx context.Context, reference string) (io.ReadCloser, error)
	// Build is used when from is a directory of advisories.
	Build BuildOptions
}

// Update replaces the database at path by the one that from names: a database file, a directory of advisories
// (built here), an https URL or an OCI reference. The new one is checked byte for byte before it takes the old
// one's place in one step; until then, and whatever fails, the old one stays.
// Errors: NotFound, Invalid, Mismatch, TooLarge, Forbidden (plain http), Unavailable, Storage, and of Build.
func Update(ctx context.Context, from, path string, opts UpdateOptions) ([]Source, error) {
	if info, err := os.Stat(from); err == nil && info.IsDir() {
		sum, err := Build(ctx, []Input{{Path: from}}, path, opts.Build)
		return sum.Sources, err
	}
	r, err := openSource(ctx, from, opts)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Unavailable, "updating advisories from %q", from)
	}
	defer r.Close()
	sources, err := Install(ctx, r, path)
	return sources, seaworthy.Wrap(err, seaworthy.Unavailable, "updating advisories from %q", from)
}

// openSource opens what from names.
func openSource(ctx context.Context, from string, opts UpdateOptions) (io.ReadCloser, error) {
	if f, err := os.Open(from); err == nil {
		return f, nil
	}
	switch {
	case strings.HasPrefix(from, "https://"):
		return fetch(ctx, from, opts.HTTP)
	case strings.HasPrefix(from, "http://"):
		return nil, seaworthy.Errorf(seaworthy.Forbidden, "a database is not fetched over plain http").WithHint("use https, or download the file and name it")
	case strings.HasPrefix(from, "oci://"), strings.ContainsAny(from, ":@") && strings.Contains(from, "/"):
		if opts.OCI == nil {
			return nil, seaworthy.Errorf(seaworthy.Unsupported, "OCI references cannot be read here")
		}
		return opts.OCI(ctx, strings.TrimPrefix(from, "oci://"))
	}
	return nil, seaworthy.Errorf(seaworthy.NotFound, "there is no such file, and it is no https URL or OCI reference")
}

func fetch(ctx context.Context, url string, client *http.Client) (io.ReadCloser, error) {
	if client == nil {
		client = http.DefaultClient
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Usage, "%w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Unavailable, "%w", err)
	}
	if resp.Request.URL.Scheme != "https" {
		resp.Body.Close()
		return nil, seaworthy.Errorf(seaworthy.Forbidden, "it was redirected to plain http")
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		code := seaworthy.Unavailable
		switch resp.StatusCode {
		case http.StatusNotFound, http.StatusGone:
			code = seaworthy.NotFound
		case http.StatusUnauthorized, http.StatusForbidden:
			code = seaworthy.Unauthorized
		}
		return nil, seaworthy.Errorf(code, "the server answered %s", resp.Status)
	}
	return resp.Body, nil
}

// Install writes a database that r gives to path, in one step and only when every byte of it is right.
// Errors: Invalid, Mismatch, TooLarge, Unavailable, Storage, Interrupted.
func Install(ctx context.Context, r io.Reader, path string) (sources []Source, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".advisories-*.tmp")
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Storage, "making a temporary file: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	n, err := io.Copy(f, io.LimitReader(&contextReader{ctx, r}, MaxDatabaseBytes+1))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Unavailable, "reading the new database")
	}
	if n > MaxDatabaseBytes {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "the new database is over the limit of %d bytes", int64(MaxDatabaseBytes))
	}
	db, err := Open(f.Name())
	if err != nil {
		return nil, err
	}
	err = db.Verify(ctx)
	sources = db.Sources()
	db.Close()
	if err != nil {
		return nil, err
	}
	return sources, seaworthy.Wrap(install(f, path), seaworthy.Storage, "writing %q", path)
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
