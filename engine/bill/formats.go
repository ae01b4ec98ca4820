package bill

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"sort"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/cyclonedx"
	"github.com/seaworthy-dev/seaworthy/format/spdx"
	"github.com/seaworthy-dev/seaworthy/format/spdx3"
)

// Format is a way to write a bill.
type Format struct {
	Name  string // as -o takes it
	Title string
	Write func(w io.Writer, b *seaworthy.Bill) error
}

// Formats are the ways to write a bill, the default of scripts first.
var Formats = []Format{
	{"spdx-json", "SPDX 2.3, JSON", spdx.WriteJSON},
	{"spdx-tag-value", "SPDX 2.3, tag-value", spdx.WriteTagValue},
	{"spdx3-json", "SPDX 3.0.1, JSON-LD", spdx3.Write},
	{"cyclonedx-json", "CycloneDX 1.6, JSON", cyclonedx.WriteJSON},
	{"cyclonedx-xml", "CycloneDX 1.6, XML", cyclonedx.WriteXML},
	{"json", "this project's own, with everything", writeJSON},
	{"purls", "one package URL a line", writePURLs},
}

// FormatNamed returns the Format with this name. Errors: Usage.
func FormatNamed(name string) (Format, error) {
	var known []string
	for _, f := range Formats {
		if f.Name == name {
			return f, nil
		}
		known = append(known, f.Name)
	}
	return Format{}, seaworthy.Errorf(seaworthy.Usage, "%q is no bill format", name).WithHint("known are %s", strings.Join(known, ", "))
}

// ownFormat marks the project's own JSON.
const ownFormat = "seaworthy-1"

func writeJSON(w io.Writer, b *seaworthy.Bill) error {
	own := *b
	own.Format = ownFormat
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(&own); err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "writing JSON")
	}
	return out.Flush()
}

func writePURLs(w io.Writer, b *seaworthy.Bill) error {
	purls := make([]string, 0, len(b.Packages))
	for i := range b.Packages {
		if p := b.Packages[i].PURL; p != "" {
			purls = append(purls, p)
		}
	}
	sort.Strings(purls)
	out := bufio.NewWriter(w)
	for i, p := range purls {
		if i == 0 || p != purls[i-1] {
			out.WriteString(p)
			out.WriteByte('\n')
		}
	}
	return out.Flush()
}

// sniffLen is how much of a document tells its format: XML prologues and licence comments can be long.
const sniffLen = 64 << 10

// Read reads a bill of any format we know, which its first bytes tell. name is for error messages.
// Errors: Unsupported when it is no bill; those of the format's own reader.
func Read(r io.Reader, name string) (*seaworthy.Bill, error) {
	in := bufio.NewReaderSize(r, sniffLen)
	head, err := in.Peek(sniffLen)
	if err != nil && err != io.EOF && len(head) == 0 {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading %q", name)
	}
	b, err := readSniffed(in, bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")))
	return b, seaworthy.Wrap(err, seaworthy.Invalid, "reading bill %q", name)
}

func readSniffed(in io.Reader, head []byte) (*seaworthy.Bill, error) {
	isJSON, isXML := cyclonedx.Sniff(head)
	switch {
	case isJSON:
		return cyclonedx.ReadJSON(in, cyclonedx.Limits{})
	case isXML:
		return cyclonedx.ReadXML(in, cyclonedx.Limits{})
	case spdx3.Sniff(head):
		return spdx3.Read(in, spdx3.Limits{})
	case spdx.SniffJSON(head):
		return spdx.ReadJSON(in, spdx.Limits{})
	case spdx.SniffTagValue(head):
		return spdx.ReadTagValue(in, spdx.Limits{})
	case isOwn(head):
		return readJSON(in)
	}
	return nil, seaworthy.Errorf(seaworthy.Unsupported, "this is no bill of materials that we know").
		WithHint("known are SPDX 2.2 to 3.0 (JSON, tag-value, JSON-LD) and CycloneDX 1.2 to 1.7 (JSON, XML)")
}

func readJSON(in io.Reader) (*seaworthy.Bill, error) {
	var b seaworthy.Bill
	if err := json.NewDecoder(in).Decode(&b); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "parsing JSON: %w", err)
	}
	b.Format = ""
	return &b, nil
}

// IsBill reports whether the first bytes of a file look like a bill of materials.
func IsBill(head []byte) bool {
	isJSON, isXML := cyclonedx.Sniff(head)
	return isJSON || isXML || spdx3.Sniff(head) || spdx.SniffJSON(head) || spdx.SniffTagValue(head) || isOwn(head)
}

// isOwn knows the project's own JSON: an object that names its format.
func isOwn(head []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{")) && ownMark.Match(head)
}

var ownMark = regexp.MustCompile(`"format"\s*:\s*"` + ownFormat + `"`)
