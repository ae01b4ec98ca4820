package registry

import (
	"context"
	"io"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/blob"
)

// AnyOffset says that a piece of an upload goes wherever the upload ends.
const AnyOffset = blob.AnyOffset

// Blob opens a blob of a repository; the caller closes it. From then on Collect leaves it alone for the grace
// period. Errors: NameInvalid, BlobUnknown.
func (r *Registry) Blob(repository string, d seaworthy.Digest) (*blob.Content, error) {
	if err := checkName(repository); err != nil {
		return nil, err
	}
	touched, ok, err := r.names.Linked(repository, d)
	if err != nil {
		return nil, internal(err)
	}
	if !ok {
		return nil, fault(BlobUnknown, seaworthy.Errorf(seaworthy.NotFound, "there is no blob %s in %q", d, repository))
	}
	// Writing for each look would cost more than looking; half of the grace period is left at least.
	if r.now().Sub(touched) > r.o.Grace/2 {
		if err := r.names.Touch(repository, d); err != nil {
			r.log.Warn("blob not marked as needed", "repository", repository, "digest", string(d), "error", err)
		}
	}
	c, err := r.blobs.Get(d)
	return c, missing(err, BlobUnknown)
}

// AddBlob stores a blob in one go. Errors: NameInvalid, DigestInvalid, TooLarge, UploadInvalid, Full.
func (r *Registry) AddBlob(ctx context.Context, repository string, d seaworthy.Digest, body io.Reader) error {
	if err := checkName(repository); err != nil {
		return err
	}
	defer r.linking(d)()
	if _, err := r.blobs.Add(ctx, d, body); err != nil {
		return uploadFault(err, 0)
	}
	return internal(r.names.Link(repository, d))
}

// StartUpload begins an upload. algorithm is that of the digest it will end with, "" for sha256.
// Errors: NameInvalid, DigestInvalid, TooMany, Full.
func (r *Registry) StartUpload(repository, algorithm string) (id string, err error) {
	if err := checkName(repository); err != nil {
		return "", err
	}
	switch algorithm {
	case "", "sha256", "sha512":
	default:
		return "", fault(DigestInvalid, seaworthy.Errorf(seaworthy.Unsupported, "beginning an upload: digests of %q are not made here", clip(algorithm)))
	}
	id, err = r.uploads.Start(repository, algorithm)
	if seaworthy.CodeOf(err) == seaworthy.Unavailable {
		return "", fault(TooMany, err)
	}
	return id, internal(err)
}

// AppendUpload adds a piece that begins at byte at, or AnyOffset, and returns where the upload ends now, also with
// an error. Errors: UploadUnknown, RangeInvalid, UploadBusy, UploadInvalid, TooLarge, Full.
func (r *Registry) AppendUpload(ctx context.Context, repository, id string, at int64, body io.Reader) (int64, error) {
	n, err := r.uploads.Append(ctx, repository, id, at, body)
	return n, uploadFault(err, n)
}

// FinishUpload adds a last piece, which may be empty, and stores the blob. With DigestInvalid the upload is gone.
// Errors: as AppendUpload, and DigestInvalid.
func (r *Registry) FinishUpload(ctx context.Context, repository, id string, at int64, d seaworthy.Digest, body io.Reader) error {
	defer r.linking(d)()
	n, err := r.uploads.Finish(ctx, repository, id, at, d, body)
	if err != nil {
		return uploadFault(err, n)
	}
	return internal(r.names.Link(repository, d))
}

// UploadStatus returns where an upload ends. Errors: UploadUnknown, UploadBusy.
func (r *Registry) UploadStatus(ctx context.Context, repository, id string) (int64, error) {
	n, err := r.uploads.Status(ctx, repository, id)
	return n, uploadFault(err, n)
}

// CancelUpload throws an upload away. Errors: UploadUnknown, UploadBusy.
func (r *Registry) CancelUpload(ctx context.Context, repository, id string) error {
	return uploadFault(r.uploads.Cancel(ctx, repository, id), 0)
}

// Mount lets a blob of another repository be read in this one, and reports whether it could. from is where it is
// said to be, or "" for anywhere; it counts only if mayUse says so. That the blob is nowhere is no error.
// Errors: NameInvalid.
func (r *Registry) Mount(repository, from string, d seaworthy.Digest, mayUse func(repository string) bool) (bool, error) {
	if err := checkName(repository); err != nil {
		return false, err
	}
	defer r.linking(d)()
	found := false
	if from != "" {
		if SoundName(from) && mayUse(from) {
			_, ok, err := r.names.Linked(from, d)
			if err != nil {
				return false, internal(err)
			}
			found = ok
		}
	} else {
		name, err := r.names.Holders(d, mayUse)
		if err != nil {
			return false, internal(err)
		}
		found = name != ""
	}
	if !found {
		return false, nil
	}
	c, err := r.blobs.Get(d)
	if seaworthy.CodeOf(err) == seaworthy.NotFound {
		return false, nil
	}
	if err != nil {
		return false, internal(err)
	}
	c.Close()
	return true, internal(r.names.Link(repository, d))
}

// DeleteBlob makes a blob unreadable in a repository. Errors: NameInvalid, BlobUnknown.
func (r *Registry) DeleteBlob(repository string, d seaworthy.Digest) error {
	if err := checkName(repository); err != nil {
		return err
	}
	return missing(r.names.Unlink(repository, d), BlobUnknown)
}
