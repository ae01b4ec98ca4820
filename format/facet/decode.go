package facet

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
)

// Lenient accepts what real documents do; a bill is not a thing that is signed by its meaning.
var Lenient = []json.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// Meter is a reader that bounds what is read in all, and what is read for one element.
type Meter struct {
	R              io.Reader
	Total, Element int64 // bytes
	used           int64 // since the last element began
}

// Next says that another element begins.
func (m *Meter) Next() { m.used = 0 }

// Read implements io.Reader. Errors: TooLarge, and those of R.
func (m *Meter) Read(p []byte) (int, error) {
	if m.Total <= 0 {
		return 0, seaworthy.Errorf(seaworthy.TooLarge, "the document is over the limit in bytes")
	}
	if m.used > m.Element {
		return 0, seaworthy.Errorf(seaworthy.TooLarge, "an element is over the limit of %d bytes", m.Element)
	}
	n, err := m.R.Read(p)
	m.Total -= int64(n)
	m.used += int64(n)
	return n, err
}

// JSONError gives an error of the JSON library a code.
func JSONError(err error) error {
	var ours *seaworthy.Error
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return seaworthy.Errorf(seaworthy.Invalid, "the document ends too early")
	case errors.As(err, &syntax):
		return seaworthy.Errorf(seaworthy.Invalid, "at byte %d: %w", syntax.ByteOffset, syntax.Err)
	}
	return err
}

// Decode reads value into e. Members of a wrong type are left out, each a Problem; the rest is kept.
func Decode[T any](value jsontext.Value, e *T, problem func(format string, args ...any)) {
	if json.Unmarshal(value, e, Lenient...) == nil {
		return
	}
	var zero T
	*e = zero
	if value.Kind() != '{' {
		problem("it has a value of the wrong type: %s", Clip(string(value)))
		return
	}
	dec := jsontext.NewDecoder(bytes.NewReader(value), Lenient...)
	if _, err := dec.ReadToken(); err != nil {
		return
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadValue()
		if err != nil {
			return
		}
		one := append([]byte{'{'}, name...)
		member, err := dec.ReadValue()
		if err != nil {
			return
		}
		one = append(append(append(one, ':'), member...), '}')
		if err := json.Unmarshal(one, e, Lenient...); err != nil {
			problem("a value of the wrong type is not kept: %s", Clip(string(one)))
		}
	}
}
