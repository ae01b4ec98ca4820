package oci

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"slices"

	"github.com/seaworthy-dev/seaworthy"
)

// PutManifest implements Destination. Where the registry does not take note of a manifest's subject itself, the
// index at the subject's fallback tag is written. Errors: Conflict, Unauthorized, Unavailable, Invalid, TooLarge,
// Mismatch.
func (r *Repository) PutManifest(ctx context.Context, name string, d Descriptor, raw []byte) error {
	entry, subject, err := asReferrer(d, raw)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Invalid, "sending manifest %s", d.Digest.Short())
	}
	noted, err := r.putManifest(ctx, name, d, raw)
	if err != nil || subject == "" || noted {
		return err
	}
	// No OCI-Subject: it has no referrers API, or has it and does not say so.
	_, listed, err := r.listReferrers(ctx, subject, "")
	if err != nil {
		return wrapReferrers(err, subject, r.Ref.Name())
	}
	if listed {
		return nil
	}
	return r.addToFallback(ctx, subject, entry)
}

// putManifest writes a manifest under a name, "" being its digest. noted says that the registry will list it as
// a referrer (the header OCI-Subject).
func (r *Repository) putManifest(ctx context.Context, name string, d Descriptor, raw []byte) (noted bool, err error) {
	if err := d.verify(raw); err != nil {
		return false, seaworthy.Wrap(err, seaworthy.Mismatch, "sending manifest %s", d.Digest.Short())
	}
	if name == "" {
		name = string(d.Digest)
	}
	ref, err := r.named(name)
	if err != nil {
		return false, err
	}
	if ref.Digest != "" && ref.Digest != d.Digest {
		return false, seaworthy.Errorf(seaworthy.Usage, "writing manifest %s as %s: a digest cannot be chosen", d.Digest.Short(), ref.Digest.Short())
	}
	path := "manifests/" + ref.target()
	if ref.Tag != "" && d.Digest.Algorithm() != "sha256" {
		path += "?digest=" + string(d.Digest)
	}
	small, cancel := context.WithTimeout(ctx, smallTimeout)
	defer cancel()
	resp, err := r.Client.do(small, call{
		method: http.MethodPut, ref: r.Ref, path: path, access: pushing, header: http.Header{"Content-Type": {d.MediaType}},
		ok: []int{http.StatusCreated, http.StatusOK, http.StatusAccepted, http.StatusNoContent}, again: true, // the same bytes to the same place
		body: func() (io.Reader, int64) { return bytes.NewReader(raw), int64(len(raw)) },
	})
	if err != nil {
		return false, seaworthy.Wrap(err, seaworthy.Unavailable, "sending manifest %s to %s", d.Digest.Short(), ref)
	}
	defer drain(resp.Body)
	if err := checkSaid(resp, d.Digest); err != nil {
		return false, seaworthy.Wrap(err, seaworthy.Mismatch, "sending manifest to %s", ref)
	}
	return resp.Header.Get("OCI-Subject") != "", nil
}

// deleting is the access a token must have to delete.
const deleting = "delete"

// Delete removes a tag or, by its digest, a manifest with all its tags. A manifest that is deleted leaves the
// index at its subject's fallback tag too. Errors: NotFound; Unsupported when the registry does not delete, or
// not by tag; Unauthorized, Unavailable.
func (r *Repository) Delete(ctx context.Context, name string) error {
	ref, err := r.named(name)
	if err != nil {
		return err
	}
	var entry Descriptor
	var subject seaworthy.Digest
	if ref.Digest != "" {
		d, raw, err := r.Client.Manifest(ctx, ref)
		if err != nil {
			return seaworthy.Wrap(err, seaworthy.Unavailable, "deleting %s", ref)
		}
		if entry, subject, err = asReferrer(d, raw); err != nil {
			subject = "" // what cannot be understood can still be deleted
		}
	}
	if err := r.delete(ctx, ref); err != nil || subject == "" {
		return err
	}
	return r.forgetReferrer(ctx, subject, entry.Digest)
}

func (r *Repository) delete(ctx context.Context, ref Reference) error {
	resp, f := r.Client.registry(ref.Registry).retried(ctx, call{
		method: http.MethodDelete, ref: r.Ref, path: "manifests/" + ref.target(), access: deleting,
		ok: []int{http.StatusAccepted, http.StatusOK, http.StatusNoContent},
	})
	if f == nil {
		drain(resp.Body)
		return nil
	}
	if ref.Tag != "" && f.status == http.StatusBadRequest {
		if err := r.untag(ctx, ref.Tag); seaworthy.CodeOf(err) != seaworthy.Unsupported {
			return err
		}
	}
	switch {
	case f.status == http.StatusMethodNotAllowed || ref.Tag != "" && slices.Contains([]int{http.StatusBadRequest, http.StatusNotImplemented}, f.status):
		e := seaworthy.Errorf(seaworthy.Unsupported, "deleting %s: the registry does not delete: %w", ref, f.err)
		if ref.Tag != "" {
			return e.WithHint("some registries delete by digest only, and with it every tag of it: seaworthy oci delete %s@DIGEST", ref.Name())
		}
		return e.WithHint("deleting may have to be enabled in the registry's configuration")
	}
	return seaworthy.Wrap(f.err, seaworthy.Unavailable, "deleting %s", ref)
}

// untag deletes a tag where only digests can be deleted: it moves the tag to a manifest that nothing else is, and
// deletes that. When the registry does not delete even so, the tag is put back. Errors: Unsupported then.
func (r *Repository) untag(ctx context.Context, tag string) error {
	old, raw, err := r.Manifest(ctx, tag)
	if err != nil {
		return err
	}
	none := Descriptor{MediaType: MediaTypeEmpty, Digest: seaworthy.SHA256([]byte(emptyJSON)), Size: int64(len(emptyJSON))}
	open := func(_ context.Context, at int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader([]byte(emptyJSON)[at:])), nil
	}
	if _, err := r.PutBlob(ctx, none, open, PutOptions{}); err != nil {
		return err
	}
	stand, err := encodeManifest(Manifest{
		ArtifactType: MediaTypeEmpty, Config: none, Layers: []Descriptor{none},
		Annotations: map[string]string{"deleting": tag + " " + rand.Text()},
	})
	if err != nil {
		return err
	}
	d := Descriptor{MediaType: MediaTypeManifest, Digest: seaworthy.SHA256(stand), Size: int64(len(stand))}
	if _, err := r.putManifest(ctx, tag, d, stand); err != nil {
		return err
	}
	err = r.delete(ctx, Reference{Registry: r.Ref.Registry, Repository: r.Ref.Repository, Digest: d.Digest})
	if err == nil {
		return nil
	}
	back := context.WithoutCancel(ctx) // a person who stops it now still wants the tag as it was
	if _, perr := r.putManifest(back, tag, old, raw); perr != nil {
		return seaworthy.Errorf(seaworthy.Conflict, "deleting the tag %s of %s: %w; and putting it back: %w", tag, r.Ref.Name(), err, perr).
			WithHint("it stood for %s", old.Digest)
	}
	return seaworthy.Errorf(seaworthy.Unsupported, "deleting the tag %s of %s: %w", tag, r.Ref.Name(), err)
}

// forgetReferrer takes a digest out of its subject's fallback index, if there is one. An index that becomes
// empty stays: deleting its tag is not possible everywhere.
func (r *Repository) forgetReferrer(ctx context.Context, subject, gone seaworthy.Digest) error {
	return r.changeFallback(ctx, subject, func(entries []Descriptor) ([]Descriptor, bool) {
		left := slices.DeleteFunc(slices.Clone(entries), func(d Descriptor) bool { return d.Digest == gone })
		return left, len(left) != len(entries)
	})
}
