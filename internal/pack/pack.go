// Package pack writes Go values as compact bytes and reads them back fast. It is for caches only: the format
// follows the fields of the type in order, carries no names, and is good for exactly the types whose
// Fingerprint was stored beside it. Whoever reads must compare fingerprints first and must have checked the
// bytes against a checksum.
//
// Supported are booleans, integers, strings, byte arrays, slices, pointers and structs of exported fields,
// and types with MarshalText (time.Time is written through it). Decoded strings share one backing string.
package pack

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"unsafe"
)

// Fingerprint returns a short name of the type of v, or of what v points to, and everything in it. It changes whenever a field is added,
// removed, renamed, retyped or moved.
func Fingerprint(v any) string {
	h := sha256.New()
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	describe(h, t, map[reflect.Type]bool{})
	return hex.EncodeToString(h.Sum(nil)[:6])
}

func describe(w interface{ Write([]byte) (int, error) }, t reflect.Type, seen map[reflect.Type]bool) {
	fmt.Fprintf(w, "%s;", t)
	if seen[t] {
		return
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		describe(w, t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			fmt.Fprintf(w, "%s ", t.Field(i).Name)
			describe(w, t.Field(i).Type, seen)
		}
	}
}

var textType = reflect.TypeFor[encoding.TextMarshaler]()

// Append appends the encoding of v to b, or of what v points to. It panics on nil and on a type that is not
// supported: that is a mistake in our own code, found by the first test.
func Append(b []byte, v any) []byte { return appendValue(b, reflect.Indirect(reflect.ValueOf(v))) }

func appendValue(b []byte, v reflect.Value) []byte {
	if v.Kind() == reflect.Struct && v.Type().Implements(textType) {
		text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			text = nil
		}
		return append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			return append(b, 1)
		}
		return append(b, 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return binary.AppendVarint(b, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return binary.AppendUvarint(b, v.Uint())
	case reflect.String:
		return append(binary.AppendUvarint(b, uint64(v.Len())), v.String()...)
	case reflect.Array:
		for i := range v.Len() {
			b = append(b, byte(v.Index(i).Uint()))
		}
		return b
	case reflect.Slice:
		b = binary.AppendUvarint(b, uint64(v.Len()))
		for i := range v.Len() {
			b = appendValue(b, v.Index(i))
		}
		return b
	case reflect.Pointer:
		if v.IsNil() {
			return append(b, 0)
		}
		return appendValue(append(b, 1), v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			b = appendValue(b, v.Field(i))
		}
		return b
	}
	panic("pack: cannot write a " + v.Type().String())
}

var errShort = errors.New("pack: bytes end too early or are of another type")

// Decode reads into the value that out points to what Append wrote. All of b must be used up. An empty slice
// comes back nil. The value's strings are parts of b, so b must not be changed afterwards.
func Decode(b []byte, out any) error {
	d := decoder{b: b, s: unsafe.String(unsafe.SliceData(b), len(b))}
	v := reflect.ValueOf(out).Elem()
	d.value(v)
	if d.err == nil && d.at != len(b) {
		return errShort
	}
	return d.err
}

type decoder struct {
	b   []byte
	s   string // the same bytes, which decoded strings share
	at  int
	err error
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b[d.at:])
	if n <= 0 {
		d.err = errShort
		return 0
	}
	d.at += n
	return v
}

func (d *decoder) str() string {
	n := d.uvarint()
	if n > uint64(len(d.b)-d.at) {
		d.err = errShort
		return ""
	}
	s := d.s[d.at : d.at+int(n)]
	d.at += int(n)
	return s
}

func (d *decoder) value(v reflect.Value) {
	if d.err != nil {
		return
	}
	if v.Kind() == reflect.Struct && v.Type().Implements(textType) {
		if text := d.str(); text != "" && d.err == nil {
			d.err = v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
		}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(d.byte() == 1)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, size := binary.Varint(d.b[d.at:])
		if size <= 0 {
			d.err = errShort
			return
		}
		d.at += size
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(d.uvarint())
	case reflect.String:
		v.SetString(d.str())
	case reflect.Array:
		if v.Len() > len(d.b)-d.at {
			d.err = errShort
			return
		}
		reflect.Copy(v, reflect.ValueOf(d.b[d.at:d.at+v.Len()]))
		d.at += v.Len()
	case reflect.Slice:
		d.slice(v)
	case reflect.Pointer:
		if d.byte() == 1 {
			v.Set(reflect.New(v.Type().Elem()))
			d.value(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			d.value(v.Field(i))
		}
	default:
		panic("pack: cannot read a " + v.Type().String())
	}
}

func (d *decoder) byte() byte {
	if d.at >= len(d.b) {
		d.err = errShort
		return 0
	}
	d.at++
	return d.b[d.at-1]
}

func (d *decoder) slice(v reflect.Value) {
	n := d.uvarint()
	if n == 0 || d.err != nil {
		return
	}
	if n > uint64(len(d.b)-d.at) { // every element takes a byte at least
		d.err = errShort
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), int(n), int(n)))
	for i := range int(n) {
		if d.value(v.Index(i)); d.err != nil {
			return
		}
	}
}
