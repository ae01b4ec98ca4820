package oci

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// accept lists what manifests we can read, best first.
var accept = strings.Join([]string{MediaTypeIndex, MediaTypeManifest, MediaTypeDockerList, MediaTypeDockerManifest, "*/*;q=0.1"}, ", ")

// resumeAfter is the progress, 16 MiB, after which a download that is cut has all its attempts again.
const resumeAfter = 16 << 20

// Resolve asks what ref names now, without fetching it. The answer is the registry's word: who fetches by its
// digest checks it. Errors: NotFound, Unauthorized, Unavailable, Forbidden, Invalid.
func (c *Client) Resolve(ctx context.Context, ref Reference) (Descriptor, error) {
	small, cancel := context.WithTimeout(ctx, smallTimeout)
	defer cancel()
	resp, err := c.do(small, call{method: http.MethodHead, ref: ref, path: "manifests/" + ref.target(), header: http.Header{"Accept": {accept}}, ok: []int{http.StatusOK}})
	if err == nil {
		resp.Body.Close()
		d, derr := seaworthy.ParseDigest(resp.Header.Get("Docker-Content-Digest"))
		if derr == nil && d.NamesContent() && resp.ContentLength >= 0 && (ref.Digest == "" || ref.Digest == d) {
			return Descriptor{MediaType: resp.Header.Get("Content-Type"), Digest: d, Size: resp.ContentLength}, nil
		}
	} else if code := seaworthy.CodeOf(err); code != seaworthy.Invalid { // some registries have no HEAD
		return Descriptor{}, seaworthy.Wrap(err, seaworthy.Unavailable, "resolving %s", ref)
	}
	d, _, err := c.Manifest(ctx, ref)
	return d, err
}

// Manifest fetches what ref names, once: the digest is that of the bytes returned, and they are checked against
// the digest in ref where there is one. The media type is the one of its content, not what the registry
// calls it. Errors: NotFound, Mismatch, Invalid, TooLarge, Unsupported, Unauthorized, Unavailable, Forbidden.
func (c *Client) Manifest(ctx context.Context, ref Reference) (Descriptor, []byte, error) {
	d, raw, err := c.manifest(ctx, ref)
	return d, raw, seaworthy.Wrap(err, seaworthy.Unavailable, "reading the manifest of %s", ref)
}

func (c *Client) manifest(ctx context.Context, ref Reference) (Descriptor, []byte, error) {
	raw, header, err := c.small(ctx, call{
		method: http.MethodGet, ref: ref, path: "manifests/" + ref.target(), header: http.Header{"Accept": {accept}}, ok: []int{http.StatusOK},
	}, c.o.MaxManifest)
	if err != nil {
		return Descriptor{}, nil, err
	}
	digest := ref.Digest
	if said, err := seaworthy.ParseDigest(header.Get("Docker-Content-Digest")); digest == "" && err == nil && said.NamesContent() {
		digest = said
	}
	if digest == "" {
		digest = seaworthy.SHA256(raw)
	}
	kind, kindErr := kindOf(raw, header.Get("Content-Type"))
	if looksLikeHTML(raw) && kindErr != nil {
		return Descriptor{}, nil, kindErr // a login page: more to the point than that its digest is wrong
	}
	if err := verifyDigest(raw, digest); err != nil {
		return Descriptor{}, nil, err
	}
	if kindErr != nil {
		return Descriptor{}, nil, kindErr
	}
	return Descriptor{MediaType: kind, Digest: digest, Size: int64(len(raw))}, raw, nil
}

// small fetches a document of at most limit bytes as a whole. A connection that is cut is tried again.
func (c *Client) small(ctx context.Context, r call, limit int64) ([]byte, http.Header, error) {
	for attempt := 0; ; attempt++ {
		b, header, err := c.smallOnce(ctx, r, limit)
		var broken cutError
		if err == nil || !errors.As(err, &broken) || attempt >= c.o.Retries || ctx.Err() != nil {
			return b, header, err
		}
		if err := c.pause(ctx, attempt, -1); err != nil {
			return nil, nil, err
		}
	}
}

// cutError is a body that ended before its end.
type cutError struct{ error }

func (e cutError) Unwrap() error { return e.error }

func (c *Client) smallOnce(ctx context.Context, r call, limit int64) ([]byte, http.Header, error) {
	// The retries of do and their pauses are within this time too.
	attempts := time.Duration(c.o.Retries + 1)
	ctx, cancel := context.WithTimeout(ctx, smallTimeout+attempts*c.o.MaxWait)
	defer cancel()
	resp, err := c.do(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	b, err := readSmall(resp, limit)
	return b, resp.Header, err
}

// readSmall reads a whole answer of at most limit bytes. Errors: TooLarge; a cutError.
func readSmall(resp *http.Response, limit int64) ([]byte, error) {
	if resp.ContentLength > limit {
		return nil, tooLarge(resp.ContentLength, limit)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, cutError{seaworthy.Errorf(seaworthy.Unavailable, "%q cut the connection after %d bytes: %w", resp.Request.URL.Host, len(b), err)}
	}
	if int64(len(b)) > limit {
		return nil, tooLarge(int64(len(b)), limit)
	}
	return b, nil
}

// Image reads the image that ref names: its manifest, through an index by platform, and its configuration.
func (c *Client) Image(ctx context.Context, ref Reference) (*Image, error) {
	im, err := c.image(ctx, ref)
	return im, seaworthy.Wrap(err, seaworthy.Invalid, "opening image %s", ref)
}

func (c *Client) image(ctx context.Context, ref Reference) (*Image, error) {
	root, raw, err := c.manifest(ctx, ref)
	if err != nil {
		return nil, err
	}
	src := remote{c, ref}
	found, err := choose(ctx, src, root, raw, c.o.Platform, nil)
	if err != nil {
		return nil, err
	}
	im, err := newImage(ctx, src, found, c.o.MaxLayers)
	if err != nil {
		return nil, err
	}
	im.Kind, im.Name, im.Reference = KindRegistry, ref.String(), ref.String()
	return im, im.checkPlatform(c.o.Platform)
}

// remote is one repository as the content of an image.
type remote struct {
	c   *Client
	ref Reference
}

func (s remote) document(ctx context.Context, d Descriptor) ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	if d.Size > s.c.o.MaxManifest {
		return nil, tooLarge(d.Size, s.c.o.MaxManifest)
	}
	if isIndexType(d.MediaType) || isManifestType(d.MediaType) {
		ref := s.ref
		ref.Tag, ref.Digest = "", d.Digest
		_, raw, err := s.c.manifest(ctx, ref)
		if err != nil {
			return nil, err
		}
		return raw, d.verify(raw)
	}
	r, err := s.c.Blob(ctx, s.ref, d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return b, d.verify(b)
}

func (s remote) blob(d Descriptor) func(context.Context) (io.ReadCloser, error) {
	return func(ctx context.Context) (io.ReadCloser, error) { return s.c.Blob(ctx, s.ref, d) }
}

// Blob streams a blob of ref's repository: exactly d.Size bytes, not checked against d.Digest. A connection
// that is cut is taken up again at the byte that was reached. Errors, also of Read: NotFound, Mismatch when the
// registry has more or fewer bytes than d says, Unavailable, Unauthorized, Forbidden.
func (c *Client) Blob(ctx context.Context, ref Reference, d Descriptor) (io.ReadCloser, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	b := &blob{ctx: ctx, c: c, ref: ref, d: d}
	if err := b.connect(); err != nil {
		return nil, b.fail(err)
	}
	return b, nil
}

// blob is a download that survives cut connections.
type blob struct {
	ctx context.Context // of the whole download: it lives as long as the reader
	c   *Client
	ref Reference
	d   Descriptor

	body     io.ReadCloser
	at       int64 // bytes given so far
	failures int   // since mark
	mark     int64 // at, when failures was last 0
	ended    error // what every further Read returns
}

func (b *blob) fail(err error) error {
	if b.ctx.Err() != nil {
		err = context.Cause(b.ctx)
	}
	return seaworthy.Wrap(err, seaworthy.Unavailable, "reading blob %s of %s", b.d.Digest.Short(), b.ref.Name())
}

// connect asks for the bytes from b.at on.
func (b *blob) connect() error {
	header := http.Header{"Accept-Encoding": {"identity"}}
	if b.at > 0 {
		header.Set("Range", "bytes="+strconv.FormatInt(b.at, 10)+"-")
	}
	resp, err := b.c.do(b.ctx, call{
		method: http.MethodGet, ref: b.ref, path: "blobs/" + string(b.d.Digest), header: header,
		ok: []int{http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable},
	})
	if err != nil {
		return err
	}
	skip := int64(0)
	switch resp.StatusCode {
	case http.StatusRequestedRangeNotSatisfiable:
		err = seaworthy.Errorf(seaworthy.Mismatch, "the registry has only %d bytes, but the manifest says %d", b.at, b.d.Size)
	case http.StatusPartialContent:
		err = b.checkRange(resp)
	default:
		skip = b.at // it does not do ranges: what we have is read again and thrown away
		if resp.ContentLength >= 0 && resp.ContentLength != b.d.Size {
			err = seaworthy.Errorf(seaworthy.Mismatch, "the registry has %d bytes, but the manifest says %d", resp.ContentLength, b.d.Size)
		}
	}
	if err == nil && skip > 0 {
		if _, err = io.CopyN(io.Discard, resp.Body, skip); err != nil {
			err = cutError{seaworthy.Errorf(seaworthy.Unavailable, "%q cut the connection: %w", resp.Request.URL.Host, err)}
		}
	}
	if err != nil {
		resp.Body.Close()
		return err
	}
	b.body = resp.Body
	return nil
}

// checkRange refuses a part that is not the one that was asked for: its bytes would be put in the wrong place.
func (b *blob) checkRange(resp *http.Response) error {
	first, total, ok := parseContentRange(resp.Header.Get("Content-Range"))
	switch {
	case b.at == 0:
		return seaworthy.Errorf(seaworthy.Invalid, "the registry sends a part of what it was asked for as a whole")
	case !ok || first != b.at:
		return seaworthy.Errorf(seaworthy.Invalid, "the registry was asked for the bytes from %d on and sends %q", b.at, clip(resp.Header.Get("Content-Range")))
	case total >= 0 && total != b.d.Size, resp.ContentLength > b.d.Size-b.at:
		return seaworthy.Errorf(seaworthy.Mismatch, "the registry has more or fewer bytes (%q) than the %d the manifest says", clip(resp.Header.Get("Content-Range")), b.d.Size)
	}
	return nil
}

// parseContentRange reads "bytes first-last/total" (RFC 9110 14.4); total is -1 for "*".
func parseContentRange(s string) (first, total int64, ok bool) {
	s, found := strings.CutPrefix(s, "bytes ")
	span, size, found2 := strings.Cut(s, "/")
	from, to, found3 := strings.Cut(span, "-")
	if !found || !found2 || !found3 {
		return 0, 0, false
	}
	a, err1 := strconv.ParseUint(from, 10, 62)
	z, err2 := strconv.ParseUint(to, 10, 62)
	if err1 != nil || err2 != nil || z < a {
		return 0, 0, false
	}
	if size == "*" {
		return int64(a), -1, true
	}
	n, err := strconv.ParseUint(size, 10, 62)
	return int64(a), int64(n), err == nil
}

func (b *blob) Read(p []byte) (int, error) {
	if b.ended != nil {
		return 0, b.ended
	}
	for {
		n, err := b.step(p)
		b.at += int64(n)
		if b.at-b.mark >= resumeAfter {
			b.mark, b.failures = b.at, 0
		}
		if err == nil || n > 0 {
			if err != nil && b.body != nil { // give what came, meet the error again in the next Read
				b.drop()
			}
			return n, nil
		}
		if errors.Is(err, io.EOF) && b.at == b.d.Size {
			b.ended = io.EOF
			return 0, io.EOF
		}
		if err = b.recover(err); err != nil {
			b.ended = b.fail(err)
			return 0, b.ended
		}
	}
}

// step reads once from the connection there is. At the end it makes sure that nothing follows.
func (b *blob) step(p []byte) (int, error) {
	if b.body == nil {
		if b.at == b.d.Size {
			return 0, io.EOF
		}
		return 0, io.ErrUnexpectedEOF
	}
	if b.at < b.d.Size {
		if left := b.d.Size - b.at; int64(len(p)) > left {
			p = p[:left]
		}
		n, err := b.body.Read(p)
		if errors.Is(err, io.EOF) && b.at+int64(n) < b.d.Size {
			err = io.ErrUnexpectedEOF
		}
		return n, err
	}
	var one [1]byte
	for range 100 {
		n, err := b.body.Read(one[:])
		if n > 0 {
			return 0, seaworthy.Errorf(seaworthy.Mismatch, "the registry has more bytes than the %d the manifest says", b.d.Size)
		}
		if err != nil {
			return 0, io.EOF // all bytes are here; how the connection ended does not matter
		}
	}
	return 0, io.EOF
}

func (b *blob) drop() {
	b.body.Close()
	b.body = nil
}

// recover connects again after a cut, unless that has been tried often enough or cannot help.
func (b *blob) recover(err error) error {
	for {
		if b.body != nil {
			b.drop()
		}
		if b.ctx.Err() != nil {
			return context.Cause(b.ctx)
		}
		var e *seaworthy.Error
		if errors.As(err, &e) && e.Code != seaworthy.Unavailable {
			return err
		}
		if b.failures >= b.c.o.Retries {
			return seaworthy.Errorf(seaworthy.Unavailable, "the connection was cut at byte %d of %d, %d times in a row: %w", b.at, b.d.Size, b.failures+1, err)
		}
		if perr := b.c.pause(b.ctx, b.failures, -1); perr != nil {
			return perr
		}
		b.failures++
		if err = b.connect(); err == nil {
			return nil
		}
		var broken cutError
		if !errors.As(err, &broken) {
			return err // do has tried often enough already
		}
	}
}

func (b *blob) Close() error {
	if b.ended == nil {
		b.ended = seaworthy.Errorf(seaworthy.Internal, "reading a blob after closing it")
	}
	if b.body != nil {
		b.drop()
	}
	return nil
}
