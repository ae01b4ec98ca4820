package seaworthy

import (
	"context"
	"errors"
	"fmt"
)

// Code says what kind of failure an error is. The list is closed: each surface (exit status, HTTP status)
// has one map from it, and nothing else decides.
type Code string

// The codes.
const (
	Usage        Code = "usage"        // the person asked for something that cannot be asked
	Invalid      Code = "invalid"      // bytes are not what their format demands
	Mismatch     Code = "mismatch"     // bytes are not those their digest, size or signature names
	TooLarge     Code = "too-large"    // a documented limit was reached
	Unsupported  Code = "unsupported"  // well formed, but of a kind we do not read
	NotFound     Code = "not-found"    // there is no such thing where it was looked for
	Unauthorized Code = "unauthorized" // credentials are missing, wrong or not enough
	Forbidden    Code = "forbidden"    // we decline to do it: an unsafe address, a path outside its root
	Unavailable  Code = "unavailable"  // the other side does not answer, or not in time
	Conflict     Code = "conflict"     // somebody else changed it meanwhile
	Stale        Code = "stale"        // data is older than the caller accepts
	Incomplete   Code = "incomplete"   // there is a result, but parts of it could not be read
	Refused      Code = "refused"      // it worked, and the answer is no
	Unsigned     Code = "unsigned"     // the answer is no: nothing is signed
	Untagged     Code = "untagged"     // the answer is no: there is no such tag to verify
	Unmatched    Code = "unmatched"    // the answer is no: there are signatures, and none is as was asked
	Uncertified  Code = "uncertified"  // the answer is no: signed by a bare key where an identity was asked
	Interrupted  Code = "interrupted"  // the person stopped it
	Storage      Code = "storage"      // a disk or database did not keep or give back what it was asked to
	Internal     Code = "internal"     // our own mistake
	Noted        Code = "noted"        // of Problems only: nothing is wrong, but somebody may want to know
)

// exitStatus is the one map from code to exit status. Codes not listed end with 1.
var exitStatus = map[Code]int{
	Refused:      2,
	Unsigned:     10, // these four as cosign has them
	Untagged:     11,
	Unmatched:    12,
	Uncertified:  13,
	Usage:        3,
	Unauthorized: 4,
	NotFound:     5,
	Interrupted:  130,
}

// Error is every error that a person may see. Its text reads "doing what, to what: cause"; names that come
// from outside are quoted in it. Hint is the next thing to try, one sentence, or "".
type Error struct {
	Code  Code
	Doing string // "reading layer sha256:…", without a trailing colon
	Hint  string
	Err   error // the cause; may be nil
}

// Errorf makes an Error whose cause is formatted as by fmt.Errorf; %w wraps.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// Wrap says what was being done when err happened. It keeps the code and hint err carries; an error without
// one becomes code. A nil err stays nil.
func Wrap(err error, code Code, format string, args ...any) error {
	if err == nil {
		return nil
	}
	wrapped := &Error{Code: code, Doing: fmt.Sprintf(format, args...), Err: err}
	var inner *Error
	if errors.As(err, &inner) {
		wrapped.Code, wrapped.Hint = inner.Code, inner.Hint
	}
	return wrapped
}

// WithHint returns e with its hint set.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Error implements error.
func (e *Error) Error() string {
	switch {
	case e.Doing == "" && e.Err == nil:
		return string(e.Code)
	case e.Doing == "":
		return e.Err.Error()
	case e.Err == nil:
		return e.Doing
	}
	return e.Doing + ": " + e.Err.Error()
}

// Unwrap gives errors.Is and errors.As the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of err: that of the first Error in its chain, Interrupted for a cancelled context,
// Unavailable for a deadline, Internal otherwise. The code of nil is "".
func CodeOf(err error) Code {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, context.DeadlineExceeded):
		return Unavailable
	}
	return Internal
}

// HintOf returns the hint of the first Error in err's chain that has one.
func HintOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}

// ExitStatus returns the exit status of a program that ends with err: 0 for nil.
func ExitStatus(err error) int {
	if err == nil {
		return 0
	}
	if status, ok := exitStatus[CodeOf(err)]; ok {
		return status
	}
	return 1
}

// Problem is something that could not be read or was not as it should be, kept beside a result that is still
// worth having.
type Problem struct {
	Where  string `json:"where"` // layer, path or component it is about
	Code   Code   `json:"code"`
	Detail string `json:"detail"`
}

// NewProblem turns an error into a Problem at where.
func NewProblem(where string, err error) Problem {
	return Problem{Where: where, Code: CodeOf(err), Detail: err.Error()}
}
