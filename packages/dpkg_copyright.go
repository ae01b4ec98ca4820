package packages

import (
	"bytes"

	"github.com/seaworthy-dev/seaworthy/format/licence"
)

// maxCopyrightNames is how many different licences of one copyright file are kept.
const maxCopyrightNames = 200

// debianCopyright reads a Debian copyright file: the licences of its Files stanzas where it is machine-readable
// (DEP-5), else what its text is recognised as. All licences apply to some part of the package, so they are
// joined by AND, sorted.
func debianCopyright(body []byte) string {
	if isDEP5(body) {
		if names := dep5Licences(body); len(names) > 0 {
			return licence.And(names...)
		}
	}
	return licence.FromText(body)
}

// isDEP5 reports whether the first stanza has a Format field; older files spell it Format-Specification.
func isDEP5(body []byte) bool {
	head := bytes.TrimLeft(body[:min(len(body), 4096)], " \t\r\n\ufeff")
	return len(head) > 7 && bytes.EqualFold(head[:6], []byte("format")) && (head[6] == ':' || head[6] == '-')
}

// dep5Licences returns the normalised short names of the License fields of the header and of all
// stanzas with Files. Stanzas of their own only give the text of a name; they count where no Files stanza
// names any.
func dep5Licences(body []byte) []string {
	seen := make(map[string]bool)
	var used, texts []string
	for len(body) > 0 {
		var stanza []byte
		stanza, body = nextStanza(body)
		about := false
		for first := true; len(stanza) > 0; first = false {
			var field, value []byte
			field, value, stanza = nextField(stanza)
			if first {
				about = bytes.EqualFold(field, []byte("Files")) || len(field) > 6 && bytes.EqualFold(field[:6], []byte("format"))
			}
			if !about && bytes.EqualFold(field, []byte("Files")) {
				about = true
			}
			if !bytes.EqualFold(field, []byte("License")) {
				continue
			}
			name, rest, _ := bytes.Cut(value, []byte("\n"))
			name = bytes.TrimSpace(name)
			if len(name) == 0 {
				name = rest
			}
			list, mark := &used, byte('f')
			if !about {
				list, mark = &texts, 't'
			}
			if len(*list) >= maxCopyrightNames || len(name) == 0 {
				continue
			}
			if len(name) > 200 { // a text where the name should be: no key for a map
				*list = append(*list, licence.Normalise(text(name[:min(len(name), 16<<10)])))
				continue
			}
			var key [208]byte
			k := append(append(key[:0], mark), name...)
			if seen[string(k)] {
				continue
			}
			seen[string(k)] = true
			*list = append(*list, licence.Normalise(text(name)))
		}
	}
	if len(used) == 0 {
		used = texts
	}
	return used
}

// nextStanza cuts the first stanza off: up to a line with nothing but white space.
func nextStanza(body []byte) (stanza, rest []byte) {
	for end := 0; end < len(body); {
		i := bytes.IndexByte(body[end:], '\n')
		if i < 0 {
			break
		}
		line := body[end : end+i]
		if len(line) == 0 || len(line) < 8 && len(bytes.TrimSpace(line)) == 0 {
			return body[:end], body[end+i+1:]
		}
		end += i + 1
	}
	return body, nil
}
