package oci

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/seaworthy-dev/seaworthy"
)

const (
	// wholeUpTo is the largest blob, 8 MiB, that is sent in one request with its digest; larger ones go in a
	// request of their own, so that an upload that is cut can be taken up again.
	wholeUpTo = 8 << 20
	// smallChunk is how much, 16 MiB, is sent at once to a registry that finds a blob too large for one request.
	smallChunk = 16 << 20
	// maxChunk is the largest chunk, 1 GiB, a registry may ask for as the least it takes.
	maxChunk = 1 << 30
)

// pushing is the access a token must have to write. It is asked for from the first request on.
const pushing = "pull,push"

// HasBlob reports whether the repository has a blob. Errors: Mismatch when it has another size there than d says;
// Unauthorized, Unavailable, Forbidden.
func (r *Repository) HasBlob(ctx context.Context, d Descriptor) (bool, error) {
	resp, err := r.Client.do(ctx, call{method: http.MethodHead, ref: r.Ref, path: "blobs/" + string(d.Digest), access: pushing, ok: []int{http.StatusOK}})
	if err != nil {
		if seaworthy.CodeOf(err) == seaworthy.NotFound {
			return false, nil
		}
		return false, seaworthy.Wrap(err, seaworthy.Unavailable, "looking for blob %s in %s", d.Digest.Short(), r.Ref.Name())
	}
	resp.Body.Close()
	if resp.ContentLength >= 0 && resp.ContentLength != d.Size {
		return false, seaworthy.Errorf(seaworthy.Mismatch, "looking for blob %s in %s: it has %d bytes there, but should have %d", d.Digest.Short(), r.Ref.Name(), resp.ContentLength, d.Size)
	}
	return true, nil
}

// PutBlob implements Destination: it looks first, mounts where it can, and sends what it must. A connection that
// is cut is taken up again at the byte the registry says it has.
func (r *Repository) PutBlob(ctx context.Context, d Descriptor, open Opener, o PutOptions) (Put, error) {
	if err := d.check(); err != nil {
		return "", err
	}
	has, err := r.HasBlob(ctx, d)
	if has || err != nil {
		if has && o.Progress != nil {
			o.Progress(d.Size)
		}
		return Existed, err
	}
	u := &upload{r: r, reg: r.Client.registry(r.Ref.Registry), d: d, open: open, progress: o.Progress}
	how, err := u.run(ctx, o.MountFrom)
	return how, seaworthy.Wrap(err, seaworthy.Unavailable, "sending blob %s to %s", d.Digest.Short(), r.Ref.Name())
}

// upload is one blob on its way (distribution-spec, "Pushing blobs").
type upload struct {
	r        *Repository
	reg      *registry
	d        Descriptor
	open     Opener
	progress func(int64)

	where  *url.URL // the session, as the registry named it last
	at     int64    // bytes the registry has taken
	chunk  int64    // bytes to send at once; 0: all
	atOnce bool     // the registry takes no PATCH

	mu      sync.Mutex // held while the fields below change: the transport reads bodies in its own time
	current *uploadBody
	hash    hash.Hash
	hashed  int64 // bytes that hash has seen
	wrong   error // the bytes are not those of the digest
	// reported is what progress was told.
	reported int64
}

func (u *upload) run(ctx context.Context, mountFrom string) (Put, error) {
	mounted, err := u.start(ctx, mountFrom)
	if err != nil {
		return "", err
	}
	if mounted {
		u.report(u.d.Size)
		return Mounted, nil
	}
	for failures := 0; ; {
		before := u.at
		f := u.step(ctx)
		if f == nil {
			return Uploaded, nil
		}
		if u.at-before >= resumeAfter {
			failures = 0
		}
		u.mu.Lock()
		u.current = nil // what the transport still reads no longer counts
		wrong := u.wrong
		u.mu.Unlock()
		switch {
		case wrong != nil:
			f.err = wrong
		case ctx.Err() != nil:
			f.err = context.Cause(ctx)
		}
		if wrong != nil || ctx.Err() != nil || !u.adapt(f) || failures >= u.r.Client.o.Retries {
			u.cancel(ctx)
			return "", f.err
		}
		if err := u.r.Client.pause(ctx, failures, f.wait); err != nil {
			return "", err
		}
		failures++
		there, err := u.resume(ctx)
		if there || err != nil {
			return Uploaded, err
		}
	}
}

// adapt reports whether another try makes sense after a failure, and changes how it is made.
func (u *upload) adapt(f *failure) bool {
	switch f.status {
	case 0:
		return f.passing
	case http.StatusRequestEntityTooLarge:
		if u.chunk != 0 && u.chunk <= smallChunk || u.d.Size <= smallChunk {
			return false
		}
		u.chunk, u.atOnce, u.where = smallChunk, false, nil
		return true
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		if u.atOnce || u.chunk != 0 {
			return false
		}
		u.atOnce, u.where = true, nil
		return true
	case http.StatusNotFound, http.StatusRequestedRangeNotSatisfiable: // the session is gone, or elsewhere than we think
		return true
	}
	return f.passing || f.status >= 500
}

// start begins a session, or mounts the blob. Errors: those of the registry.
func (u *upload) start(ctx context.Context, mountFrom string) (mounted bool, err error) {
	path := "blobs/uploads/"
	accepted := []int{http.StatusAccepted}
	if mountFrom != "" {
		path += "?mount=" + url.QueryEscape(string(u.d.Digest)) + "&from=" + url.QueryEscape(mountFrom)
		accepted = append(accepted, http.StatusCreated)
	}
	resp, err := u.r.Client.do(ctx, call{method: http.MethodPost, ref: u.r.Ref, path: path, access: pushing, from: mountFrom, ok: accepted})
	if err != nil {
		if mountFrom != "" && ctx.Err() == nil && seaworthy.CodeOf(err) != seaworthy.Unavailable {
			return u.start(ctx, "") // it will not mount: then it can be sent
		}
		return false, err
	}
	defer drain(resp.Body)
	if resp.StatusCode == http.StatusCreated {
		return true, checkSaid(resp, u.d.Digest)
	}
	if n, err := strconv.ParseInt(resp.Header.Get("OCI-Chunk-Min-Length"), 10, 64); err == nil && n > 0 {
		if n > maxChunk {
			return false, seaworthy.Errorf(seaworthy.Unsupported, "%q wants chunks of at least %d bytes; the limit is %d", u.reg.host, n, maxChunk)
		}
		if u.chunk != 0 {
			u.chunk = max(u.chunk, n)
		}
	}
	u.at, u.where = 0, nil
	return false, u.moved(resp)
}

// moved takes note of where the session goes on. Errors: Invalid.
func (u *upload) moved(resp *http.Response) error {
	location := resp.Header.Get("Location")
	if location == "" {
		if u.where != nil {
			return nil
		}
		return seaworthy.Errorf(seaworthy.Invalid, "%q does not say where to send the blob", u.reg.host)
	}
	next, err := resp.Request.URL.Parse(location)
	if err != nil || next.Host == "" {
		return seaworthy.Errorf(seaworthy.Invalid, "%q wants the blob sent to %q, which is no address", u.reg.host, clip(location))
	}
	next.Fragment = ""
	u.where = next
	return nil
}

// step sends what is left and finishes.
func (u *upload) step(ctx context.Context) *failure {
	if u.where == nil {
		if _, err := u.start(ctx, ""); err != nil {
			return &failure{err: err, wait: -1}
		}
	}
	if u.atOnce || u.d.Size <= wholeUpTo && u.at == 0 && u.chunk == 0 {
		return u.finish(ctx, u.d.Size)
	}
	for u.at < u.d.Size {
		end := u.d.Size
		if u.chunk > 0 {
			end = min(end, u.at+u.chunk)
		}
		if f := u.patch(ctx, end); f != nil {
			return f
		}
	}
	return u.finish(ctx, u.at)
}

// patch sends the bytes up to end.
func (u *upload) patch(ctx context.Context, end int64) *failure {
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	if u.at > 0 || u.chunk > 0 {
		header.Set("Content-Range", fmt.Sprintf("%d-%d", u.at, end-1))
	}
	resp, f := u.reg.attempt(ctx, call{
		method: http.MethodPatch, ref: u.r.Ref, at: u.where, access: pushing, header: header,
		ok: []int{http.StatusAccepted, http.StatusNoContent, http.StatusCreated}, body: u.body(ctx, u.at, end),
	})
	if f != nil {
		return f
	}
	defer drain(resp.Body)
	if err := u.moved(resp); err != nil {
		return &failure{err: err, wait: -1}
	}
	has, ok := takenUpTo(resp.Header.Get("Range"))
	switch {
	case !ok || has == end:
		u.at = end
	case has < end && has > u.at:
		u.reach(has) // it took less than was sent
	default:
		return &failure{err: seaworthy.Errorf(seaworthy.Unavailable, "%q has taken %d bytes where it was sent up to %d", u.reg.host, has, end), passing: true, wait: -1}
	}
	return nil
}

// finish names the digest, with the rest of the bytes up to end when they were not sent before.
func (u *upload) finish(ctx context.Context, end int64) *failure {
	to := *u.where
	if to.RawQuery != "" { // kept as it is: it may be signed
		to.RawQuery += "&"
	}
	to.RawQuery += "digest=" + url.QueryEscape(string(u.d.Digest))
	if end == u.at && u.d.Size > 0 {
		if err := u.complete(); err != nil {
			return &failure{err: err, wait: -1}
		}
	}
	c := call{
		method: http.MethodPut, ref: u.r.Ref, at: &to, access: pushing, header: http.Header{"Content-Type": {"application/octet-stream"}},
		ok: []int{http.StatusCreated, http.StatusOK, http.StatusNoContent, http.StatusAccepted},
	}
	c.body = func() (io.Reader, int64) { return strings.NewReader(""), 0 }
	if end > u.at {
		c.body = u.body(ctx, u.at, end)
	}
	resp, f := u.reg.attempt(ctx, c)
	if f != nil {
		return f
	}
	drain(resp.Body)
	if err := checkSaid(resp, u.d.Digest); err != nil {
		return &failure{err: err, wait: -1}
	}
	return nil
}

// complete makes sure that all bytes were seen and were those of the digest.
func (u *upload) complete() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.wrong == nil && u.hashed != u.d.Size {
		u.wrong = seaworthy.Errorf(seaworthy.Mismatch, "%q claims to have %d bytes, but only %d were sent", u.reg.host, u.at, u.hashed)
	}
	return u.wrong
}

// resume asks how far the registry has come. there says that the blob is complete: only the answer was lost.
func (u *upload) resume(ctx context.Context) (there bool, err error) {
	if has, err := u.r.HasBlob(ctx, u.d); has || ctx.Err() != nil {
		return has, err
	}
	u.mu.Lock()
	sent := u.hashed
	u.mu.Unlock()
	if u.where != nil && !u.atOnce {
		resp, f := u.reg.attempt(ctx, call{method: http.MethodGet, ref: u.r.Ref, at: u.where, access: pushing, ok: []int{http.StatusNoContent, http.StatusOK, http.StatusAccepted}})
		if f == nil {
			drain(resp.Body)
			has, ok := takenUpTo(resp.Header.Get("Range"))
			if resp.Header.Get("Range") == "0-0" {
				has = 0 // nothing, in most registries' words; and one byte is soon sent again
			}
			if ok && has <= sent && u.moved(resp) == nil {
				u.reach(has)
				return false, nil
			}
		}
	}
	u.where = nil
	u.reach(0)
	return false, nil
}

// cancel tells the registry that nothing more will come. It may fail: sessions end by themselves too.
func (u *upload) cancel(ctx context.Context) {
	if u.where == nil || ctx.Err() != nil {
		return
	}
	if resp, f := u.reg.attempt(ctx, call{method: http.MethodDelete, ref: u.r.Ref, at: u.where, access: pushing, ok: []int{http.StatusNoContent, http.StatusOK, http.StatusAccepted}}); f == nil {
		drain(resp.Body)
	}
}

// reach goes on from a byte that may lie before what was sent.
func (u *upload) reach(at int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.at = at
	u.report(at - u.reported)
}

func (u *upload) report(n int64) {
	u.reported += n
	if u.progress != nil && n != 0 {
		u.progress(n)
	}
}

// takenUpTo reads the Range header of an upload, "0-LAST", as the number of bytes taken.
func takenUpTo(s string) (int64, bool) {
	first, last, ok := strings.Cut(strings.TrimPrefix(s, "bytes="), "-")
	n, err := strconv.ParseInt(last, 10, 62)
	if !ok || err != nil || first != "0" || n < 0 {
		return 0, false
	}
	return n + 1, true
}

// checkSaid compares the digest a registry says it stored with ours. Errors: Mismatch.
func checkSaid(resp *http.Response, want seaworthy.Digest) error {
	said := resp.Header.Get("Docker-Content-Digest")
	if d, err := seaworthy.ParseDigest(said); said != "" && err == nil && d.Algorithm() == want.Algorithm() && d != want {
		return seaworthy.Errorf(seaworthy.Mismatch, "%q says it stored %s, but %s was sent", resp.Request.URL.Host, d, want)
	}
	return nil
}

// body makes bodies with the bytes from from to to. Only the last one that was made is good.
func (u *upload) body(ctx context.Context, from, to int64) func() (io.Reader, int64) {
	return func() (io.Reader, int64) {
		b := &uploadBody{u: u, ctx: ctx, at: from, end: to}
		u.mu.Lock()
		u.current = b
		u.mu.Unlock()
		return b, to - from
	}
}

// uploadBody is a part of a blob as it goes out. The last byte goes only when the whole has the right digest.
type uploadBody struct {
	u       *upload
	ctx     context.Context // of the upload: a body lives no longer
	at, end int64

	mu sync.Mutex // held while r is used
	r  io.ReadCloser
}

func (b *uploadBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at == b.end {
		return 0, io.EOF
	}
	if b.r == nil {
		r, err := b.u.open(b.ctx, b.at)
		if err != nil {
			return 0, b.u.fail(err)
		}
		b.r = r
	}
	if left := b.end - b.at; int64(len(p)) > left {
		p = p[:left]
	}
	n, err := b.r.Read(p)
	if n > 0 {
		if err := b.u.sent(b, b.at, p[:n]); err != nil {
			return 0, err
		}
		b.at += int64(n)
	}
	switch {
	case err == nil || errors.Is(err, io.EOF) && b.at == b.end:
		return n, nil
	case errors.Is(err, io.EOF):
		err = seaworthy.Errorf(seaworthy.Mismatch, "there are only %d bytes of the %d it should have", b.at, b.u.d.Size)
	}
	return n, b.u.fail(err)
}

func (b *uploadBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.r == nil {
		return nil
	}
	return b.r.Close()
}

// fail keeps an error of our own side: the transport would hide it, and trying again would not help.
func (u *upload) fail(err error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.wrong == nil {
		u.wrong = err
	}
	return err
}

// sent hashes bytes that have not been before.
func (u *upload) sent(b *uploadBody, at int64, p []byte) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.current != b {
		return seaworthy.Errorf(seaworthy.Unavailable, "this attempt is over")
	}
	if u.hash == nil {
		u.hash = hashFor(u.d.Digest)
	}
	u.report(int64(len(p)))
	if skip := u.hashed - at; skip < int64(len(p)) {
		u.hash.Write(p[max(skip, 0):])
		u.hashed = at + int64(len(p))
	}
	if u.hashed == u.d.Size && u.wrong == nil {
		if got := sumOf(u.d.Digest, u.hash); got != u.d.Digest {
			u.wrong = seaworthy.Errorf(seaworthy.Mismatch, "its bytes have the digest %s", got)
		}
	}
	return u.wrong
}

// hashFor returns the hash a digest is made with.
func hashFor(d seaworthy.Digest) hash.Hash {
	if d.Algorithm() == "sha512" {
		return sha512.New()
	}
	return sha256.New()
}

// sumOf is the digest of what h has seen, with the algorithm of like.
func sumOf(like seaworthy.Digest, h hash.Hash) seaworthy.Digest {
	return seaworthy.Digest(like.Algorithm() + ":" + hex.EncodeToString(h.Sum(nil)))
}
