package registry

import (
	"errors"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/blob"
	"github.com/seaworthy-dev/seaworthy/store/repo"
)

// Reason is what is wrong, as a client of a registry has to know it. The list is closed; serve/oci has the one map
// from it to HTTP.
type Reason string

// The reasons.
const (
	NameInvalid        Reason = "name-invalid"          // a repository cannot be called so
	NameUnknown        Reason = "name-unknown"          // there is no such repository
	BlobUnknown        Reason = "blob-unknown"          // no such blob in this repository
	UploadUnknown      Reason = "upload-unknown"        // no such upload
	UploadInvalid      Reason = "upload-invalid"        // its bytes broke off
	UploadBusy         Reason = "upload-busy"           // another request is at it
	RangeInvalid       Reason = "range-invalid"         // a piece does not begin where the upload ends; see Error.Offset
	DigestInvalid      Reason = "digest-invalid"        // no digest, or not that of the bytes
	SizeInvalid        Reason = "size-invalid"          // Content-Range and Content-Length disagree
	ManifestInvalid    Reason = "manifest-invalid"      // not a manifest
	ManifestUnknown    Reason = "manifest-unknown"      // no such manifest or tag
	ManifestIncomplete Reason = "manifest-blob-unknown" // it names what is not there
	TooLarge           Reason = "too-large"             // more than is taken
	TooManyTags        Reason = "too-many-tags"         // in one push
	TooMany            Reason = "too-many"              // uploads at once
	Full               Reason = "full"                  // the disk is
	Broken             Reason = "broken"                // the disk did not keep or give back what it was asked to
	Closing            Reason = "closing"               // going away
)

// Error is every error of this package. It unwraps to a *seaworthy.Error.
type Error struct {
	Reason Reason
	Offset int64 // with RangeInvalid: where the upload ends
	Err    error
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives errors.Is and errors.As the cause.
func (e *Error) Unwrap() error { return e.Err }

// ReasonOf returns the reason of an error; Broken for those of other packages, "" for nil.
func ReasonOf(err error) Reason {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Reason
	}
	return Broken
}

func fault(reason Reason, err error) error { return &Error{Reason: reason, Err: err} }

// internal is for errors of the stores that no client caused.
func internal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, blob.ErrFull), errors.Is(err, repo.ErrFull):
		return fault(Full, err)
	case seaworthy.CodeOf(err) == seaworthy.Unavailable:
		return fault(Closing, err)
	}
	return fault(Broken, err)
}

// missing gives NotFound its reason.
func missing(err error, reason Reason) error {
	if seaworthy.CodeOf(err) == seaworthy.NotFound {
		return fault(reason, err)
	}
	return internal(err)
}

// uploadFault gives errors of an upload at offset their reason.
func uploadFault(err error, offset int64) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, blob.ErrOffset):
		return &Error{Reason: RangeInvalid, Offset: offset, Err: err}
	case errors.Is(err, blob.ErrFull):
		return fault(Full, err)
	}
	switch seaworthy.CodeOf(err) {
	case seaworthy.NotFound:
		return fault(UploadUnknown, err)
	case seaworthy.Conflict:
		return fault(UploadBusy, err)
	case seaworthy.Mismatch, seaworthy.Invalid:
		return fault(DigestInvalid, err)
	case seaworthy.TooLarge:
		return fault(TooLarge, err)
	case seaworthy.Unavailable, seaworthy.Interrupted:
		return fault(UploadInvalid, err)
	}
	return internal(err)
}
