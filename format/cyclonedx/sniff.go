package cyclonedx

import "bytes"

// Sniff reports whether a document that starts with head (a few kilobytes are enough) looks like CycloneDX in
// JSON or in XML. It promises nothing about the rest.
func Sniff(head []byte) (json, xml bool) {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	if len(head) == 0 {
		return false, false
	}
	switch head[0] {
	case '{':
		json = bytes.Contains(head, []byte("cyclonedx.org/schema/bom-")) ||
			(bytes.Contains(head, []byte(`"bomFormat"`)) && bytes.Contains(head, []byte(`"CycloneDX"`)))
	case '<':
		xml = bytes.Contains(head, []byte(nameSpace))
	}
	return json, xml
}
