// Package spdx reads and writes SPDX 2.3 documents (spdx.github.io/spdx-spec/v2.3) as JSON and as tag-value; it
// reads 2.1 and 2.2 as well. SPDX 3 is another format: see spdx3.
//
//	bill, err := spdx.ReadJSON(f, spdx.Limits{})
//	err = spdx.WriteJSON(w, bill)
//
// # Writing
//
// Equal bills give equal bytes: elements are sorted by Ref, lines end in LF, and nothing comes from a clock; what
// the document is called and when it was created are fields of the Bill. Elements are written one by one.
// Identifiers are made from Refs ("SPDXRef-Package-pkg-deb-debian-libc6-2.36"); a Ref that is an SPDX identifier
// already stays what it is. What SPDX has no field for is kept in annotations that package facet describes, so
// that reading gives the same Bill back. Two lists of a package are not written: Depends and Files, which are
// what the package says by itself; Bill.Relations and Bill.Files are what is known of them.
//
// An image is a package of purpose CONTAINER that CONTAINS its layers, a layer is a package whose purl is
// pkg:oci/layer@…, and DESCENDANT_OF leads to the base image, VARIANT_OF to the multi-platform index.
//
// filesAnalyzed is true for packages that contain files which all have a SHA-1, for only then can the
// verification code be given that SPDX demands with it. A file without any hash, which SPDX does not allow, is
// written with a SHA1 of zeros; reading drops it again.
//
// # Reading
//
// A document is read as a stream within Limits. Inverse relationships are turned round, hasFiles and
// documentDescribes become relations and roots, NOASSERTION becomes "", NONE stays. Fields of packages and files
// that a Bill has no place for become Properties named "spdx:" and the SPDX field. What a document gets wrong
// (references to nothing, identifiers twice, licence expressions that are none, odd times, cycles) is noted as
// a Problem and kept. What is no JSON, or no SPDX 2, is an error.
//
// # Tag-value
//
// Tag-value has no escapes: a value ends with its line, and a multi-line text at "</text>". Where a value would
// break out of that, a harmless one is written ("</ text>", U+FFFD for control and bidirectional characters) and the
// true one is kept, escaped, in the facet.
package spdx

import (
	"bytes"

	"github.com/seaworthy-dev/seaworthy/format/facet"
)

// Limits bound what a document can make a reader hold. The zero value of each means its default.
type Limits struct {
	Bytes     int64 // of the whole document; DefaultBytes
	Element   int64 // bytes of one package, file, relationship or text; DefaultElement
	Elements  int   // packages and files together; DefaultElements
	Relations int   // relationships, with those from lists such as hasFiles; DefaultRelations
	Problems  int   // listed one by one, the rest is counted; facet.DefaultProblems
}

// The default limits. JSON nested deeper than 10,000 is always refused.
const (
	DefaultBytes     = 16 << 30 // 16 GiB
	DefaultElement   = 64 << 20 // 64 MiB
	DefaultElements  = 5_000_000
	DefaultRelations = 20_000_000
)

func (l Limits) withDefaults() Limits {
	if l.Bytes == 0 {
		l.Bytes = DefaultBytes
	}
	if l.Element == 0 {
		l.Element = DefaultElement
	}
	if l.Elements == 0 {
		l.Elements = DefaultElements
	}
	if l.Relations == 0 {
		l.Relations = DefaultRelations
	}
	if l.Problems == 0 {
		l.Problems = facet.DefaultProblems
	}
	return l
}

// SniffJSON reports whether head, the first few thousand bytes of a document, looks like SPDX 2 JSON.
func SniffJSON(head []byte) bool {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, bom), " \t\r\n")
	if len(head) == 0 || head[0] != '{' {
		return false
	}
	return bytes.Contains(head, []byte(`"SPDX-2.`)) || bytes.Contains(head, []byte(`"SPDXRef-DOCUMENT"`)) ||
		bytes.Contains(head, []byte(`"SPDXID"`))
}

// SniffTagValue reports whether head, the first few thousand bytes of a document, looks like SPDX 2 tag-value.
func SniffTagValue(head []byte) bool {
	head = bytes.TrimPrefix(head, bom)
	for len(head) > 0 {
		line, rest, _ := bytes.Cut(head, []byte("\n"))
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0 || line[0] == '#':
			head = rest
		default:
			tag, _, _ := bytes.Cut(line, []byte(":"))
			return string(tag) == "SPDXVersion" || string(tag) == "DataLicense" && bytes.Contains(rest, []byte("SPDXVersion:"))
		}
	}
	return false
}

// Sniff reports whether head looks like either form.
func Sniff(head []byte) bool { return SniffJSON(head) || SniffTagValue(head) }

var bom = []byte("\xef\xbb\xbf")
