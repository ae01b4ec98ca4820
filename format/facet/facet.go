// Package facet holds what the SPDX 2 and SPDX 3 formats have in common: the order and the names in which a
// bill is written, and a place for what the formats have no field for.
//
// # Facets
//
// A writer turns an element (a package, a file, the bill itself) into the format's own fields, reads those back
// as any reader would, and keeps the difference in an annotation on the element:
//
//	seaworthy:package {"arch":"amd64","evidence":[{"path":"var/lib/dpkg/status","layer":0,"by":"dpkg"}]}
//
// The word after the colon is the kind of element; the rest is one JSON object whose members are those of the
// type's own JSON form (seaworthy.Package here). A member replaces what the format's own fields said. The
// member "empty" lists fields that the format cannot leave out and that the bill leaves empty. Other tools see a
// plain annotation; what they can understand stands in the format's own fields as well.
//
// The JSON never contains "<", ">", "&", control or bidirectional characters as such, so it cannot end a
// tag-value text.
package facet

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// Mark begins the text of every annotation that is a facet.
const Mark = "seaworthy:"

// The kinds of facet: what the JSON object is a part of.
const (
	OfBill     = "bill"     // seaworthy.Bill without its lists of parts
	OfPackage  = "package"  // seaworthy.Package
	OfFile     = "file"     // seaworthy.File
	OfRelation = "relation" // seaworthy.Relation without From and To
	OfLicence  = "licence"  // seaworthy.LicenceText; "as" names the identifier it was written under
	OfNote     = "note"     // a whole seaworthy.Note that the format cannot hold
	OfProblem  = "problem"  // a whole seaworthy.Problem of the bill
	OfName     = "name"     // Name: the Ref of an element that is named and not in the document
)

// Name says which Ref an identifier stands for that no element of the document carries.
type Name struct {
	ID  string `json:"id"`
	Ref string `json:"ref"`
}

// Split takes an annotation's text apart. ok is false when it is not a facet.
func Split(text string) (kind, object string, ok bool) {
	rest, ok := strings.CutPrefix(text, Mark)
	if !ok {
		return "", "", false
	}
	kind, object, ok = strings.Cut(rest, " ")
	if !ok || !strings.HasPrefix(object, "{") {
		return "", "", false
	}
	switch kind {
	case OfBill, OfPackage, OfFile, OfRelation, OfLicence, OfNote, OfProblem, OfName:
		return kind, object, true
	}
	return "", "", false
}

// Whole returns the annotation text that holds v as a whole.
func Whole(kind string, v any) string {
	object, err := json.Marshal(v)
	if err != nil { // the ground types always marshal; a year past 9999 does not
		return ""
	}
	return Mark + kind + " " + string(plain(object))
}

// Diff returns the annotation text that turns got into want, "" when they are equal. Both are structs of the
// same type. skip names Go fields that are not compared.
func Diff[T any](kind string, got, want *T, skip ...string) string {
	g, w := reflect.ValueOf(got).Elem(), reflect.ValueOf(want).Elem()
	var out bytes.Buffer
	var empty []string
fields:
	for i := range w.NumField() {
		if same(g.Field(i), w.Field(i)) {
			continue
		}
		field := w.Type().Field(i)
		for _, s := range skip {
			if s == field.Name {
				continue fields
			}
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if isEmpty(w.Field(i)) {
			empty = append(empty, name)
			continue
		}
		value, err := json.Marshal(w.Field(i).Interface())
		if err != nil {
			continue
		}
		member(&out, name, value)
	}
	if len(empty) > 0 {
		value, _ := json.Marshal(empty) // strings always marshal
		member(&out, "empty", value)
	}
	if out.Len() == 0 {
		return ""
	}
	out.WriteByte('}')
	return Mark + kind + " " + string(plain(out.Bytes()))
}

func member(out *bytes.Buffer, name string, value []byte) {
	if out.Len() == 0 {
		out.WriteByte('{')
	} else {
		out.WriteByte(',')
	}
	out.WriteByte('"')
	out.WriteString(name)
	out.WriteString(`":`)
	out.Write(value)
}

// Apply puts the members of a facet into dst. skip names Go fields that a facet may not set.
// Errors: Invalid; dst is then unchanged.
func Apply[T any](dst *T, object string, skip ...string) error {
	var diff T
	var extra struct {
		Empty []string `json:"empty"`
	}
	if err := json.Unmarshal([]byte(object), &diff); err != nil {
		return seaworthy.Wrap(err, seaworthy.Invalid, "reading a facet")
	}
	if err := json.Unmarshal([]byte(object), &extra); err != nil {
		return seaworthy.Wrap(err, seaworthy.Invalid, "reading a facet")
	}
	d, from := reflect.ValueOf(dst).Elem(), reflect.ValueOf(&diff).Elem()
fields:
	for i := range d.NumField() {
		field := d.Type().Field(i)
		for _, s := range skip {
			if s == field.Name {
				continue fields
			}
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		for _, e := range extra.Empty {
			if e == name {
				d.Field(i).SetZero()
			}
		}
		if !isEmpty(from.Field(i)) {
			d.Field(i).Set(from.Field(i))
		}
	}
	return nil
}

// same compares as the bill means it: a nil list and an empty one are the same.
func same(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.String:
		return a.String() == b.String()
	case reflect.Bool:
		return a.Bool() == b.Bool()
	case reflect.Struct:
		if at, ok := a.Interface().(time.Time); ok {
			return at.Equal(b.Interface().(time.Time))
		}
		for i := range a.NumField() {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		if a.Len() == 0 {
			return true
		}
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice:
		return v.Len() == 0
	case reflect.Struct:
		if at, ok := v.Interface().(time.Time); ok {
			return at.IsZero()
		}
		for i := range v.NumField() {
			if !isEmpty(v.Field(i)) {
				return false
			}
		}
		return true
	}
	return v.IsZero()
}

// plain escapes, in finished JSON, the characters that a terminal or a text format could be misled by.
// encoding/json has escaped the rest; such characters occur in strings only.
func plain(object []byte) []byte {
	// Nearly all text is printable ASCII, which a look at each byte settles.
	printable := func(c byte) bool { return c >= 0x20 && c < 0x7f }
	first := 0
	for first < len(object) && printable(object[first]) {
		first++
	}
	if !bytes.ContainsFunc(object[first:], Misleading) {
		return object
	}
	out := make([]byte, 0, len(object)+64)
	for _, r := range string(object) {
		if Misleading(r) {
			out = appendEscape(out, r)
			continue
		}
		out = append(out, string(r)...)
	}
	return out
}

// Misleading reports whether r changes how the text around it is shown, or ends a line: control characters,
// Unicode's line ends, and what sets the direction of writing.
func Misleading(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r <= 0x9f:
		return true
	case r == 0x061c, r >= 0x200e && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0xfeff:
		return true
	}
	return false
}
