// Package exactjson reads JSON that somebody signed, so that no two readers can see different things in the same
// bytes. encoding/json takes the last of two equal names, "SIG" for "sig", whatever follows the value, and bytes
// that are no UTF-8; here each of them is an error.
package exactjson

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
)

// MaxDepth is how many objects and arrays may lie one in another. No document people sign comes near it.
const MaxDepth = 256

// Check reports whether b is one JSON value and nothing after it, without equal names in one object, without
// invalid UTF-8, and not deeper than MaxDepth. Errors: Invalid, TooLarge.
func Check(b []byte) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(b))
	for tokens := 0; ; tokens++ {
		_, err := d.ReadToken()
		if errors.Is(err, io.EOF) && tokens > 0 {
			return nil
		}
		switch {
		case err != nil:
			return invalid(err)
		case d.StackDepth() > MaxDepth:
			return seaworthy.Errorf(seaworthy.TooLarge, "the JSON is more than %d levels deep", MaxDepth)
		case d.StackDepth() == 0 && len(bytes.TrimLeft(b[d.InputOffset():], " \t\r\n")) > 0:
			return seaworthy.Errorf(seaworthy.Invalid, "something follows the JSON value")
		}
	}
}

// Unmarshal reads b into v after Check. Names must be written exactly as v has them; others are ignored, so see
// Lookalikes. Errors: Invalid, TooLarge.
func Unmarshal(b []byte, v any) error {
	if err := Check(b); err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return invalid(err)
	}
	return nil
}

// Lookalikes refuses an object, or an array of objects, with a member that differs from one of names only by the
// case of its letters: other readers would take it for that. Deeper objects are not looked at. Errors: Invalid.
func Lookalikes(b []byte, names ...string) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(b))
	level := 1
	if len(b) > 0 && jsontext.Value(b).Kind() == '[' {
		level = 2
	}
	for {
		t, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return invalid(err)
		}
		kind, length := d.StackIndex(d.StackDepth())
		if d.StackDepth() != level || kind != '{' || length%2 != 1 || t.Kind() != '"' {
			continue
		}
		for _, name := range names {
			if s := t.String(); s != name && strings.EqualFold(s, name) {
				return seaworthy.Errorf(seaworthy.Invalid, "it has a member %q, which some readers take for %q", s, name)
			}
		}
	}
}

func invalid(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return seaworthy.Errorf(seaworthy.Invalid, "the JSON is cut off")
	}
	return seaworthy.Errorf(seaworthy.Invalid, "it is no JSON to rely on: %w", err)
}
