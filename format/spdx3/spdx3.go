// Package spdx3 reads and writes SPDX 3.0.1 documents as JSON-LD (spdx.github.io/spdx-spec/v3.0.1): the profiles
// Core, Software and SimpleLicensing. SPDX 2 is another format: see spdx.
//
//	bill, err := spdx3.Read(f, spdx3.Limits{})
//	err = spdx3.Write(w, bill)
//
// # Writing
//
// Equal bills give equal bytes, as in package spdx. The identifiers of elements are IRIs: the Bill's ID, "#" and an
// SPDX 2 identifier made from the Ref; a Ref that is an http(s) or urn IRI already stays what it is. The document
// element has one root, the software_Sbom, whose roots are the Bill's. Licences are LicenseExpression elements
// joined by hasDeclaredLicense and hasConcludedLicense; a CoveredBy is packagedBy, an EvidentBy hasEvidence, a
// scoped DependsOn a LifecycleScopedRelationship. What SPDX has no field for is kept in annotations that package
// facet describes, so that reading gives the same Bill back.
//
// # Reading
//
// Elements may come in any order, and inside one another. Vulnerabilities, builds, snippets and other things that
// a Bill has no place for are counted as Problems. NoAssertion becomes "", NoneLicense becomes NONE.
package spdx3

import (
	"bytes"

	"github.com/seaworthy-dev/seaworthy/format/facet"
)

// Limits bound what a document can make a reader hold. The zero value of each means its default.
type Limits struct {
	Bytes     int64 // of the whole document; DefaultBytes
	Element   int64 // bytes of one element of the graph; DefaultElement
	Elements  int   // of any kind but relationships; DefaultElements
	Relations int   // single relations; DefaultRelations
	Problems  int   // listed one by one, the rest is counted; facet.DefaultProblems
}

// The default limits. JSON nested deeper than 10,000 is refused, elements inside elements are read MaxNesting deep.
const (
	DefaultBytes     = 16 << 30 // 16 GiB
	DefaultElement   = 64 << 20 // 64 MiB
	DefaultElements  = 5_000_000
	DefaultRelations = 20_000_000
	MaxNesting       = 8
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

// Sniff reports whether head, the first few thousand bytes of a document, looks like SPDX 3.
func Sniff(head []byte) bool {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, bom), " \t\r\n")
	return len(head) > 0 && head[0] == '{' && (bytes.Contains(head, []byte("spdx.org/rdf/3.")) ||
		bytes.Contains(head, []byte(`"specVersion"`)) && bytes.Contains(head, []byte(`"3.0.`)))
}

var bom = []byte("\xef\xbb\xbf")
