package oci

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/registry"
)

// call is one request that is allowed.
type call struct {
	h   *Handler
	w   *response
	req *http.Request
	route
	may func(repository string, action registry.Action) bool
}

func (c *call) json(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/json")
	_, _ = c.w.Write(append(b, '\n'))
	return nil
}

// page reads n and last. n is at most MaxPage, and that when it is not given.
func (c *call) page() (n int, last string, err error) {
	q := c.req.URL.Query()
	n = registry.MaxPage
	if s := q.Get("n"); s != "" {
		asked, err := strconv.ParseUint(s, 10, 63)
		if err != nil {
			return 0, "", wrong(badRequest, "n must be a number from 0")
		}
		n = int(min(asked, uint64(n)))
	}
	return n, q.Get("last"), nil
}

// link points to the next page (RFC 5988). Values are escaped, so they cannot end the header.
func (c *call) link(path string, q url.Values) {
	c.w.Header().Set("Link", "<"+path+"?"+q.Encode()+`>; rel="next"`)
}

// catalog lists repositories: those one may pull from.
func (c *call) catalog() error {
	n, last, err := c.page()
	if err != nil {
		return err
	}
	names := []string{}
	more := n > 0
	for more && len(names) < n {
		page, err := c.h.r.Repositories(last, n)
		if err != nil {
			return err
		}
		more = len(page) == n
		for i, name := range page {
			last = name
			if c.may(name, registry.Pull) {
				if names = append(names, name); len(names) == n {
					more = more || i < len(page)-1
					break
				}
			}
		}
	}
	if more {
		c.link("/v2/_catalog", url.Values{"n": {strconv.Itoa(n)}, "last": {last}})
	}
	return c.json(map[string]any{"repositories": names})
}

// tags is end-8.
func (c *call) tags() error {
	n, last, err := c.page()
	if err != nil {
		return err
	}
	tags, more, err := c.h.r.Tags(c.repository, last, n)
	if err != nil {
		return err
	}
	if more {
		c.link("/v2/"+c.repository+"/tags/list", url.Values{"n": {strconv.Itoa(n)}, "last": {tags[len(tags)-1]}})
	}
	if tags == nil {
		tags = []string{}
	}
	return c.json(map[string]any{"name": c.repository, "tags": tags})
}

// referrers is end-12.
func (c *call) referrers() error {
	n, after, err := c.page()
	if err != nil {
		return err
	}
	subject, err := registry.ParseDigest(c.reference)
	if err != nil {
		return err
	}
	var last seaworthy.Digest
	if after != "" {
		if last, err = registry.ParseDigest(after); err != nil {
			return err
		}
	}
	q := c.req.URL.Query()
	kind := q.Get("artifactType")
	page, err := c.h.r.Referrers(c.repository, subject, last, kind, max(n, 1))
	if err != nil {
		return err
	}
	if page.Next != "" {
		next := url.Values{"last": {string(page.Next)}}
		if q.Has("n") {
			next.Set("n", strconv.Itoa(n))
		}
		if kind != "" {
			next.Set("artifactType", kind)
		}
		c.link("/v2/"+c.repository+"/referrers/"+string(subject), next)
	}
	if kind != "" {
		c.w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	c.w.Header().Set("Content-Type", registry.IndexType)
	_, _ = io.WriteString(c.w, `{"schemaVersion":2,"mediaType":"`+registry.IndexType+`","manifests":[`)
	_, _ = c.w.Write(bytes.Join(page.Descriptors, []byte{','}))
	_, _ = io.WriteString(c.w, "]}\n")
	return nil
}

// manifest is end-3, end-7 and end-9.
func (c *call) manifest() error {
	switch c.req.Method {
	case http.MethodPut:
		return c.putManifest()
	case http.MethodDelete:
		if err := c.h.r.DeleteManifest(c.repository, c.reference); err != nil {
			return err
		}
		c.w.WriteHeader(http.StatusAccepted)
		return nil
	}
	m, err := c.h.r.Manifest(c.repository, c.reference)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", m.MediaType)
	c.w.Header().Set("X-Content-Type-Options", "nosniff")
	c.w.Header().Set("Docker-Content-Digest", string(m.Digest))
	c.w.Header().Set("ETag", `"`+string(m.Digest)+`"`)
	http.ServeContent(c.w, c.req, "", time.Time{}, bytes.NewReader(m.Body))
	return nil
}

func (c *call) putManifest() error {
	body, done, err := c.h.body(c.w, c.req)
	if err != nil {
		return err
	}
	defer done()
	if c.req.ContentLength > registry.MaxManifest {
		return wrong(registry.TooLarge, "a manifest has 4 MiB at most")
	}
	b, err := readAll(body, c.req.ContentLength, registry.MaxManifest)
	if err != nil {
		return err
	}
	pushed, err := c.h.r.PutManifest(c.req.Context(), c.repository, c.reference, c.req.Header.Get("Content-Type"), b, c.req.URL.Query()["tag"])
	if err != nil {
		return err
	}
	if pushed.Subject != "" {
		c.w.Header().Set("OCI-Subject", string(pushed.Subject))
	}
	for _, tag := range pushed.Tags {
		c.w.Header().Add("OCI-Tag", tag)
	}
	return c.created("manifests", pushed.Digest)
}

// readAll reads a body of at most limit bytes into memory.
func readAll(r io.Reader, length, limit int64) ([]byte, error) {
	buf := bytes.NewBuffer(make([]byte, 0, min(max(length, 0), limit)+bytes.MinRead))
	_, err := buf.ReadFrom(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, wrong(registry.ManifestInvalid, "its bytes broke off")
	}
	if int64(buf.Len()) > limit {
		return nil, wrong(registry.TooLarge, "a manifest has 4 MiB at most")
	}
	return buf.Bytes(), nil
}

func (c *call) created(kind string, d seaworthy.Digest) error {
	c.w.Header().Set("Location", "/v2/"+c.repository+"/"+kind+"/"+string(d))
	c.w.Header().Set("Docker-Content-Digest", string(d))
	c.w.WriteHeader(http.StatusCreated)
	return nil
}

// blob is end-2 and end-10.
func (c *call) blob() error {
	d, err := registry.ParseDigest(c.reference)
	if err != nil {
		return err
	}
	if c.req.Method == http.MethodDelete {
		if err := c.h.r.DeleteBlob(c.repository, d); err != nil {
			return err
		}
		c.w.WriteHeader(http.StatusAccepted)
		return nil
	}
	content, err := c.h.r.Blob(c.repository, d)
	if err != nil {
		return err
	}
	defer content.Close()
	c.w.Header().Set("Content-Type", "application/octet-stream")
	c.w.Header().Set("X-Content-Type-Options", "nosniff")
	c.w.Header().Set("Docker-Content-Digest", string(d))
	c.w.Header().Set("ETag", `"`+string(d)+`"`)
	c.w.Header().Set("Cache-Control", "private, max-age=31536000, immutable") // the name is the content's
	http.ServeContent(c.w, c.req, "", content.Modified, content.File)
	return nil
}

// start is end-4 and end-11: an upload in one request, a mount, or the beginning of an upload.
func (c *call) start() error {
	q := c.req.URL.Query()
	if s := q.Get("digest"); s != "" {
		d, err := registry.ParseDigest(s)
		if err != nil {
			return err
		}
		body, done, err := c.h.body(c.w, c.req)
		if err != nil {
			return err
		}
		defer done()
		if err := c.h.r.AddBlob(c.req.Context(), c.repository, d, body); err != nil {
			return err
		}
		return c.created("blobs", d)
	}
	if s := q.Get("mount"); s != "" {
		d, err := registry.ParseDigest(s)
		if err != nil {
			return err
		}
		mounted, err := c.h.r.Mount(c.repository, q.Get("from"), d, func(from string) bool { return c.may(from, registry.MountFrom) })
		if err != nil {
			return err
		}
		if mounted {
			return c.created("blobs", d)
		}
	}
	id, err := c.h.r.StartUpload(c.repository, q.Get("digest-algorithm"))
	if err != nil {
		return err
	}
	c.where(id, 0)
	c.w.WriteHeader(http.StatusAccepted)
	return nil
}

// where says where an upload is continued, and what there is of it. The range is inclusive, so an empty upload
// looks like one of one byte; that is how the protocol came to be.
func (c *call) where(id string, n int64) {
	c.w.Header().Set("Location", "/v2/"+c.repository+"/blobs/uploads/"+id)
	c.w.Header().Set("Range", "0-"+strconv.FormatInt(max(n-1, 0), 10))
	c.w.Header().Set("Docker-Upload-UUID", id)
}

// upload is end-5, end-6, end-13 and end-14.
func (c *call) upload() error {
	ctx, id := c.req.Context(), c.reference
	switch c.req.Method {
	case http.MethodGet, http.MethodHead:
		n, err := c.h.r.UploadStatus(ctx, c.repository, id)
		if err != nil {
			return err
		}
		c.where(id, n)
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	case http.MethodDelete:
		if err := c.h.r.CancelUpload(ctx, c.repository, id); err != nil {
			return err
		}
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	at, err := c.offset()
	if err != nil {
		return err
	}
	if c.req.Method == http.MethodPut {
		return c.finish(id, at)
	}
	body, done, err := c.h.body(c.w, c.req)
	if err != nil {
		return err
	}
	defer done()
	n, err := c.h.r.AppendUpload(ctx, c.repository, id, at, body)
	if err != nil {
		return c.pieceFailed(id, err)
	}
	c.where(id, n)
	c.w.WriteHeader(http.StatusAccepted)
	return nil
}

func (c *call) finish(id string, at int64) error {
	d, err := registry.ParseDigest(c.req.URL.Query().Get("digest"))
	if err != nil {
		return err
	}
	body, done, err := c.h.body(c.w, c.req)
	if err != nil {
		return err
	}
	defer done()
	if err := c.h.r.FinishUpload(c.req.Context(), c.repository, id, at, d, body); err != nil {
		return c.pieceFailed(id, err)
	}
	return c.created("blobs", d)
}

// pieceFailed tells a client whose piece does not fit where it should go on.
func (c *call) pieceFailed(id string, err error) error {
	if e, ok := err.(*registry.Error); ok && e.Reason == registry.RangeInvalid {
		c.where(id, e.Offset)
	}
	return err
}

// offset reads Content-Range, which is "FIRST-LAST" here, not as in RFC 9110; "bytes " in front and "/SIZE"
// behind are taken too. A range of another length than the body makes no sense.
func (c *call) offset() (int64, error) {
	s := c.req.Header.Get("Content-Range")
	if s == "" {
		return registry.AnyOffset, nil
	}
	s = strings.TrimPrefix(s, "bytes ")
	s, _, _ = strings.Cut(s, "/")
	first, last, ok := strings.Cut(s, "-")
	from, err := strconv.ParseUint(first, 10, 62)
	to, err2 := strconv.ParseUint(last, 10, 62)
	if !ok || err != nil || err2 != nil {
		return 0, wrong(registry.SizeInvalid, "Content-Range must look like 0-1023")
	}
	if n := c.req.ContentLength; n > 0 && int64(to-from)+1 != n {
		return 0, wrong(registry.SizeInvalid, "Content-Range and Content-Length disagree")
	}
	return int64(from), nil
}
