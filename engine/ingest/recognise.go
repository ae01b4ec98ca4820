package ingest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/bill"
	"github.com/seaworthy-dev/seaworthy/engine/grade"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// form is what bytes are. Only their content decides; names lie.
type form int

const (
	formUnknown form = iota
	formBill
	formStatement     // in-toto
	formEnvelope      // DSSE
	formBundle        // Sigstore
	formSimpleSigning // the payload of an old image signature, by itself
	formOpenVEX
	formScorecard
	formScan
	formManifest
	formIndex
	formConfig // of an image
	formSeen   // our own: what a registry showed
	formVerdict
	formLines // JSON Lines
	formGzip
	formZip
	formTar
)

const (
	// headBytes is how much of a document tells what it is, where that is not told by members of a JSON object.
	headBytes = 64 << 10
	// maxNames is how many members of an unknown object an error names.
	maxNames = 6
)

// recognise says what bytes are, and for people what they look like when that is nothing we know.
func recognise(b []byte) (form, string) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	switch {
	case bytes.HasPrefix(b, []byte{0x1f, 0x8b}):
		return formGzip, "gzip"
	case bytes.HasPrefix(b, []byte("PK\x03\x04")), bytes.HasPrefix(b, []byte("PK\x05\x06")):
		return formZip, "a zip archive"
	case len(b) > 262 && string(b[257:262]) == "ustar":
		return formTar, "a tar archive"
	}
	text := bytes.TrimLeft(b, " \t\r\n")
	switch {
	case len(text) == 0:
		return formUnknown, "nothing: it is empty"
	case text[0] == '{':
		if isLines(text) {
			return formLines, "JSON Lines"
		}
		return jsonForm(text)
	case bill.IsBill(text[:min(len(text), headBytes)]):
		return formBill, "a bill"
	}
	return formUnknown, looksLike(text)
}

// isLines reports whether the first line is a whole JSON object and another follows.
func isLines(b []byte) bool {
	line, rest, ok := bytes.Cut(b, []byte("\n"))
	rest = bytes.TrimLeft(rest, " \t\r\n")
	if !ok || len(rest) == 0 || rest[0] != '{' {
		return false
	}
	line = bytes.TrimRight(line, " \t\r")
	return len(line) > 1 && line[len(line)-1] == '}' && jsontext.Value(line).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// jsonForm reads the names of an object's members until they tell what it is.
func jsonForm(b []byte) (form, string) {
	d := jsontext.NewDecoder(bytes.NewBuffer(b), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := d.ReadToken(); err != nil {
		return formUnknown, "broken JSON"
	}
	var names []string
	for d.PeekKind() == '"' {
		name, err := d.ReadValue()
		if err != nil {
			break
		}
		key := string(bytes.Trim(name, `"`))
		if len(names) < 64 {
			names = append(names, key)
		}
		if f := byName(key); f != formUnknown {
			return f, ""
		}
		if !slices.Contains(telling, key) {
			if d.SkipValue() != nil {
				break
			}
			continue
		}
		value, err := d.ReadValue()
		if err != nil {
			break
		}
		if f, looks := byValue(key, string(value)); f != formUnknown || looks != "" {
			return f, looks
		}
	}
	return bySet(names, d.PeekKind() == '}')
}

// byName knows members that only one kind of document has.
func byName(key string) form {
	switch key {
	case "bomFormat", "spdxVersion", "SPDXID":
		return formBill
	case "payloadType":
		return formEnvelope
	case "verificationMaterial", "dsseEnvelope", "messageSignature":
		return formBundle
	case "scorecard":
		return formScorecard
	case "critical":
		return formSimpleSigning
	}
	return formUnknown
}

// telling are members whose value says what the document is.
var telling = []string{"_type", "mediaType", "@context", "$schema", "format"}

func byValue(key, value string) (form, string) {
	has := func(s string) bool { return strings.Contains(value, s) }
	switch key {
	case "_type":
		if has("in-toto.io/Statement") {
			return formStatement, ""
		}
		return formUnknown, fmt.Sprintf("in-toto metadata of type %.100s, which is no statement", value)
	case "$schema":
		if has("cyclonedx.org/schema/bom") {
			return formBill, ""
		}
	case "@context":
		switch {
		case has("openvex.dev/"):
			return formOpenVEX, ""
		case has("spdx.org/rdf/3."):
			return formBill, ""
		}
	case "mediaType":
		switch text := strings.Trim(value, `"`); {
		case strings.HasPrefix(text, "application/vnd.dev.sigstore.bundle"):
			return formBundle, ""
		case oci.IsIndex(text):
			return formIndex, ""
		case strings.HasPrefix(text, "application/vnd.dev.sigstore.trustedroot"):
			return formUnknown, "a trusted root, which is given as one and not ingested"
		case text == oci.MediaTypeManifest, text == oci.MediaTypeDockerManifest:
			return formManifest, ""
		}
	case "format":
		switch strings.Trim(value, `"`) {
		case grade.Format:
			return formScan, ""
		case seenFormat:
			return formSeen, ""
		case "seaworthy-1":
			return formBill, ""
		}
	}
	return formUnknown, ""
}

// bySet knows what several members together say.
func bySet(names []string, whole bool) (form, string) {
	all := func(want ...string) bool {
		return !slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(names, w) })
	}
	switch {
	case all("schemaVersion", "manifests"):
		return formIndex, ""
	case all("schemaVersion", "layers"), all("schemaVersion", "config"):
		return formManifest, ""
	case all("rootfs", "os"):
		return formConfig, ""
	case all("image", "allowed", "policies"):
		return formVerdict, ""
	case !whole:
		return formUnknown, "JSON that is broken or cut off"
	case len(names) == 0:
		return formUnknown, "an empty JSON object"
	}
	shown := names[:min(len(names), maxNames)]
	return formUnknown, fmt.Sprintf("a JSON object with the members %.200q", shown)
}

// looksLike names what people give by mistake.
func looksLike(b []byte) string {
	for _, m := range []struct{ magic, name string }{
		{"\x7fELF", "an ELF program"},
		{"MZ", "a Windows program"},
		{"\xcf\xfa\xed\xfe", "a Mach-O program"},
		{"%PDF", "a PDF"},
		{"\x89PNG", "a picture"},
		{"\xff\xd8\xff", "a picture"},
		{"\x28\xb5\x2f\xfd", "zstd, which is not unpacked here"},
		{"BZh", "bzip2, which is not unpacked here"},
		{"\xfd7zXZ", "xz, which is not unpacked here"},
		{"-----BEGIN", "a PEM file"},
		{"<!DOCTYPE html", "a web page"},
		{"<html", "a web page"},
		{"<", "XML of another kind"},
		{"[", "a JSON array"},
	} {
		if bytes.HasPrefix(b, []byte(m.magic)) {
			return m.name
		}
	}
	if bytes.IndexByte(b[:min(len(b), headBytes)], 0) >= 0 {
		return "binary data"
	}
	line, _, _ := bytes.Cut(b[:min(len(b), 80)], []byte("\n"))
	return fmt.Sprintf("text that begins %q", line)
}

// unknown is the error for what is no document.
func unknown(looks string) error {
	return seaworthy.Errorf(seaworthy.Unsupported, "it looks like %s, which is no document that is known", looks).
		WithHint("known are bills (SPDX, CycloneDX), in-toto statements and DSSE envelopes, Sigstore bundles, OpenVEX, OpenSSF scorecards, scan reports, OCI manifests and verdicts")
}
