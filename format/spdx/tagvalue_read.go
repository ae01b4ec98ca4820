package spdx

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/facet"
)

// ReadTagValue reads an SPDX 2.1 to 2.3 document in tag-value form, line by line.
// Errors: Invalid, Unsupported, TooLarge, and those of r.
func ReadTagValue(r io.Reader, limits Limits) (*seaworthy.Bill, error) {
	t := &tagReader{assembler: newAssembler(limits)}
	t.meter = &facet.Meter{R: r, Total: t.limits.Bytes, Element: 1 << 62}
	t.in = bufio.NewReaderSize(t.meter, 64<<10)
	if head, _ := t.in.Peek(len(bom)); bytes.Equal(head, bom) {
		t.in.Discard(len(bom))
	}
	for {
		tag, value, err := t.next()
		if errors.Is(err, io.EOF) {
			err = t.close()
			if err == nil {
				b, err := t.finish()
				return b, seaworthy.Wrap(err, seaworthy.Invalid, "reading SPDX tag-value")
			}
		}
		if err == nil {
			err = t.tag(tag, value)
		}
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading SPDX tag-value: line %d", t.line)
		}
	}
}

// tagReader knows what element the next tag belongs to: of the pointers at most one is not nil, and nil of all
// means the document.
type tagReader struct {
	*assembler
	meter *facet.Meter
	in    *bufio.Reader
	line  int   // the number of the last line read, from 1
	size  int64 // bytes of the element at hand
	buf   []byte

	pkg     *packageElement
	file    *fileElement
	licence *licenceElement
	rel     *relationship
	note    *annotation
	review  *review
	snippet bool
	within  string // the package whose files follow
}

// readLine returns the next line without its end.
func (t *tagReader) readLine() (string, error) {
	t.buf = t.buf[:0]
	for {
		part, err := t.in.ReadSlice('\n')
		t.buf = append(t.buf, part...)
		t.size += int64(len(part))
		if t.size > t.limits.Element {
			return "", seaworthy.Errorf(seaworthy.TooLarge, "an element is over the limit of %d bytes", t.limits.Element)
		}
		switch {
		case err == nil, errors.Is(err, io.EOF) && len(t.buf) > 0:
			t.line++
			return strings.ToValidUTF8(string(bytes.TrimSuffix(bytes.TrimSuffix(t.buf, []byte("\n")), []byte("\r"))), "\uFFFD"), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		}
	}
}

// next returns the next tag and its value, which may be a text of many lines. Errors: io.EOF at the end.
func (t *tagReader) next() (tag, value string, err error) {
	for {
		line, err := t.readLine()
		if err != nil {
			return "", "", err
		}
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || trimmed[0] == '#' {
			continue
		}
		tag, value, ok := strings.Cut(trimmed, ":")
		if !ok {
			t.problems.Add("document", seaworthy.Invalid, "line %d is no tag and value: %q", t.line, clip(trimmed))
			continue
		}
		tag = strings.TrimSpace(tag)
		at := strings.TrimLeft(value, " \t")
		if !strings.HasPrefix(at, "<text>") {
			return tag, strings.TrimSpace(value), nil
		}
		// The text keeps its spaces, also those that TrimSpace took from its first line.
		_, raw, _ := strings.Cut(line, "<text>")
		value, err = t.readText(raw)
		return tag, value, err
	}
}

// readText reads on until "</text>".
func (t *tagReader) readText(first string) (string, error) {
	start := t.line
	var text strings.Builder
	for line := first; ; {
		if body, after, ok := strings.Cut(line, "</text>"); ok {
			text.WriteString(body)
			if strings.TrimSpace(after) != "" {
				t.problems.Add("document", seaworthy.Invalid, "line %d: %q follows </text>", t.line, clip(after))
			}
			return text.String(), nil
		}
		text.WriteString(line)
		text.WriteByte('\n')
		var err error
		if line, err = t.readLine(); err != nil {
			if errors.Is(err, io.EOF) {
				err = seaworthy.Errorf(seaworthy.Invalid, "the text that begins in line %d has no </text>", start)
			}
			return "", err
		}
	}
}

// close hands over the element at hand.
func (t *tagReader) close() (err error) {
	switch {
	case t.pkg != nil:
		t.within = t.pkg.ID
		err = t.addPackage(t.pkg)
	case t.file != nil:
		err = t.addFile(t.file)
		if err == nil && t.within != "" {
			err = t.derive(t.within, seaworthy.Contains, t.file.ID)
		}
	case t.licence != nil:
		t.addLicence(t.licence)
	case t.rel != nil:
		err = t.addRelationship(t.rel)
	case t.note != nil:
		if t.note.About == "" {
			t.note.About = facet.DocumentID
		}
		t.annotate(t.note, nil)
	case t.review != nil:
		t.addReview(t.review)
	}
	t.pkg, t.file, t.licence, t.rel, t.note, t.review, t.snippet = nil, nil, nil, nil, nil, nil, false
	t.size = 0
	return err
}

// tag puts one value where it belongs. Some tags begin an element.
func (t *tagReader) tag(tag, value string) error {
	if begin, err := t.begins(tag, value); begin || err != nil {
		return err
	}
	ok := false
	switch {
	case t.pkg != nil:
		ok = t.packageTag(tag, value)
	case t.file != nil:
		ok = t.fileTag(tag, value)
	case t.licence != nil:
		ok = t.licenceTag(tag, value)
	case t.rel != nil && tag == "RelationshipComment":
		t.rel.Comment, ok = value, true
	case t.note != nil:
		ok = t.noteTag(tag, value)
	case t.review != nil && tag == "ReviewDate":
		t.review.Date, ok = value, true
	case t.review != nil && tag == "ReviewComment":
		t.review.Comment, ok = value, true
	case t.snippet:
		ok = true // counted, not read
	}
	// The head's tags are known wherever they stand.
	if !ok && !t.headTag(tag, value) {
		t.problems.Add("document", seaworthy.Invalid, "line %d: tag %q is not known here and not kept", t.line, clip(tag))
	}
	return nil
}

func (t *tagReader) begins(tag, value string) (bool, error) {
	switch tag {
	case "PackageName", "FileName", "LicenseID", "Relationship", "Annotator", "Reviewer", "SnippetSPDXID", "SnippetSPDXIdentifier":
	default:
		return false, nil
	}
	if err := t.close(); err != nil {
		return true, err
	}
	switch tag {
	case "PackageName":
		t.pkg = &packageElement{Name: value}
	case "FileName":
		t.file = &fileElement{Name: value}
	case "LicenseID":
		t.licence = &licenceElement{ID: value}
	case "Annotator":
		t.note = &annotation{Annotator: value}
	case "Reviewer":
		t.review = &review{Reviewer: value}
	case "Relationship":
		words := strings.Fields(value)
		if len(words) != 3 {
			t.problems.Add("document", seaworthy.Invalid, "line %d: %q is no relationship", t.line, clip(value))
			t.snippet = true // its comment goes with it
			return true, nil
		}
		t.rel = &relationship{From: words[0], Type: words[1], To: words[2]}
	default:
		t.snippet = true
		t.addSnippet(value)
	}
	return true, nil
}

func (t *tagReader) headTag(tag, value string) bool {
	h := &t.head
	switch tag {
	case "SPDXVersion":
		h.Version = value
	case "DataLicense":
		h.DataLicense = value
	case "SPDXID":
		if value != facet.DocumentID {
			t.problems.Add("document", seaworthy.Invalid, "its SPDXID is %q", clip(value))
		}
	case "DocumentName":
		h.Name = value
	case "DocumentNamespace":
		h.Namespace = value
	case "DocumentComment":
		h.Comment = value
	case "ExternalDocumentRef":
		d, ok := parseExternal(value)
		if !ok {
			t.problems.Add("document", seaworthy.Invalid, "line %d: %q is no reference to a document", t.line, clip(value))
			break
		}
		h.External = append(h.External, d)
	case "LicenseListVersion":
		h.Creation.ListVersion = value
	case "Creator":
		h.Creation.Creators = append(h.Creation.Creators, value)
	case "Created":
		h.Creation.Created = value
	case "CreatorComment":
		h.Creation.Comment = value
	default:
		return false
	}
	return true
}
