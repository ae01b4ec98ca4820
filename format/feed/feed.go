// Package feed reads the advisory feeds that have a form of their own: the Debian security tracker, Alpine's
// secdb, CISA's catalogue of known exploited vulnerabilities and FIRST's EPSS scores.
//
// Each reader streams: it calls back for every entry and holds one at a time. A damaged entry is told to the
// caller by name and the rest is read; only what breaks the file as a whole ends the reading.
package feed

import (
	"bytes"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
)

// Limits on one feed.
const (
	// MaxEntryBytes is the largest single entry: 1 MiB. (Debian's largest package, linux, is read CVE by CVE.)
	MaxEntryBytes = 1 << 20
	// MaxEntries is the most entries of one feed: 8 million, 20 times the largest there is.
	MaxEntries = 8 << 20
)

// Bad is called for an entry that could not be read, with its name.
type Bad func(name string, err error)

// Kind is the kind of an advisory file.
type Kind string

// The kinds of file.
const (
	Unknown       Kind = ""
	OSV           Kind = "osv"
	DebianTracker Kind = "debian-tracker"
	AlpineSecDB   Kind = "alpine-secdb"
	KEVCatalog    Kind = "kev"
	EPSSScores    Kind = "epss"
)

// firstKeys are the top-level names that tell the JSON forms apart. A Debian tracker's are package names.
var firstKeys = map[string]Kind{
	"schema_version": OSV, "id": OSV, "modified": OSV, "published": OSV, "withdrawn": OSV, "aliases": OSV,
	"related": OSV, "upstream": OSV, "summary": OSV, "details": OSV, "severity": OSV, "affected": OSV,
	"references": OSV, "credits": OSV, "database_specific": OSV,
	"title": KEVCatalog, "catalogVersion": KEVCatalog, "dateReleased": KEVCatalog, "count": KEVCatalog,
	"vulnerabilities": KEVCatalog,
	"apkurl":          AlpineSecDB, "archs": AlpineSecDB, "reponame": AlpineSecDB, "urlprefix": AlpineSecDB,
	"distroversion": AlpineSecDB, "packages": AlpineSecDB,
}

// Classify says what a file is from its beginning; 4 KiB are enough. JSON that is none of ours is Unknown.
func Classify(head []byte) Kind {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case len(head) == 0:
		return Unknown
	case bytes.HasPrefix(head, []byte("cve,epss")), bytes.HasPrefix(head, []byte("#model_version")):
		return EPSSScores
	case head[0] != '{':
		if isYAMLRecord(head) {
			return OSV
		}
		return Unknown
	}
	dec := jsontext.NewDecoder(bytes.NewReader(head))
	if _, err := dec.ReadToken(); err != nil {
		return Unknown
	}
	name, err := dec.ReadToken()
	if err != nil || name.Kind() != '"' {
		return Unknown
	}
	first := name.String()
	if dec.PeekKind() == '{' && first != "database_specific" {
		dec.ReadToken()
		if id, err := dec.ReadToken(); err == nil && id.Kind() == '"' && looksLikeCVE(id.String()) {
			return DebianTracker
		}
		return Unknown
	}
	return firstKeys[first]
}

// isYAMLRecord reports whether one of the first lines is a top-level key of an OSV record.
func isYAMLRecord(head []byte) bool {
	for line := range bytes.Lines(head) {
		key, _, ok := bytes.Cut(line, []byte(":"))
		if ok && firstKeys[string(key)] == OSV {
			return true
		}
	}
	return false
}

func looksLikeCVE(id string) bool {
	return strings.HasPrefix(id, "CVE-") || strings.HasPrefix(id, "TEMP-")
}

// bounded fails when a reader has given more than MaxEntryBytes beyond what its decoder has used: an entry that
// never ends is then an error and not a memory.
type bounded struct {
	r     io.Reader
	dec   *jsontext.Decoder
	given int64
}

// decode returns a decoder over r that holds little more than MaxEntryBytes.
func decode(r io.Reader) *jsontext.Decoder {
	b := &bounded{r: r}
	b.dec = jsontext.NewDecoder(b)
	return b.dec
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if pending := b.given - b.dec.InputOffset(); pending > MaxEntryBytes {
		return 0, seaworthy.Errorf(seaworthy.TooLarge, "an entry of more than %d bytes", MaxEntryBytes)
	}
	n, err := b.r.Read(p)
	b.given += int64(n)
	return n, err
}

// object walks the members of the JSON object that comes next in dec, calling member with each name; member
// must read the value.
func object(dec *jsontext.Decoder, member func(name string) error) error {
	tok, err := dec.ReadToken()
	if err != nil {
		return syntax(err)
	}
	if tok.Kind() != '{' {
		return seaworthy.Errorf(seaworthy.Invalid, "a JSON object is wanted at offset %d", dec.InputOffset())
	}
	for dec.PeekKind() != '}' {
		tok, err := dec.ReadToken()
		if err != nil {
			return syntax(err)
		}
		if err := member(tok.String()); err != nil {
			return err
		}
	}
	_, err = dec.ReadToken()
	return syntax(err)
}

// value reads the next JSON value as a whole, bounded by MaxEntryBytes.
func value(dec *jsontext.Decoder) (jsontext.Value, error) {
	v, err := dec.ReadValue()
	if err != nil {
		return nil, syntax(err)
	}
	if len(v) > MaxEntryBytes {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "an entry of %d bytes is over the limit of %d", len(v), MaxEntryBytes)
	}
	return v, nil
}

func syntax(err error) error {
	if err == nil {
		return nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return seaworthy.Wrap(err, seaworthy.Invalid, "reading JSON")
}

func tooMany() error {
	return seaworthy.Errorf(seaworthy.TooLarge, "more than %d entries", MaxEntries)
}
