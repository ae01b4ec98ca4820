package spdx

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/facet"
)

// ReadJSON reads an SPDX 2.1 to 2.3 document in JSON. It holds one element's text at a time.
// Errors: Invalid, Unsupported, TooLarge, and those of r.
func ReadJSON(r io.Reader, limits Limits) (*seaworthy.Bill, error) {
	a := newAssembler(limits)
	m := &facet.Meter{R: r, Total: a.limits.Bytes, Element: a.limits.Element}
	in := bufio.NewReader(m)
	if head, _ := in.Peek(len(bom)); bytes.Equal(head, bom) {
		in.Discard(len(bom))
	}
	j := &jsonReader{assembler: a, meter: m, dec: jsontext.NewDecoder(in, facet.Lenient...)}
	if err := j.document(); err != nil {
		return nil, seaworthy.Wrap(facet.JSONError(err), seaworthy.Invalid, "reading SPDX JSON")
	}
	b, err := a.finish()
	return b, seaworthy.Wrap(err, seaworthy.Invalid, "reading SPDX JSON")
}

type jsonReader struct {
	*assembler
	meter *facet.Meter
	dec   *jsontext.Decoder
}

func (j *jsonReader) document() error {
	tok, err := j.dec.ReadToken()
	if err != nil {
		return err
	}
	if tok.Kind() != '{' {
		return seaworthy.Errorf(seaworthy.Invalid, "it is not a JSON object")
	}
	for {
		j.meter.Next()
		tok, err := j.dec.ReadToken()
		if err != nil {
			return err
		}
		if tok.Kind() == '}' {
			break
		}
		if err := j.member(tok.String()); err != nil {
			return err
		}
	}
	j.meter.Next()
	if _, err := j.dec.ReadToken(); !errors.Is(err, io.EOF) {
		var ours *seaworthy.Error
		if errors.As(err, &ours) {
			return err
		}
		j.problems.Add("document", seaworthy.Invalid, "something follows the document")
	}
	return nil
}

func (j *jsonReader) member(name string) error {
	where := j.problemAt("document")
	switch name {
	case "packages":
		return each(j, name, func(e *packageElement) error { return j.addPackage(e) })
	case "files":
		return each(j, name, func(e *fileElement) error { return j.addFile(e) })
	case "relationships":
		return each(j, name, func(e *relationship) error { return j.addRelationship(e) })
	case "hasExtractedLicensingInfos":
		return each(j, name, func(e *licenceElement) error { j.addLicence(e); return nil })
	case "annotations":
		return each(j, name, func(e *annotation) error {
			e.About = facet.DocumentID
			j.annotate(e, nil)
			return nil
		})
	case "revieweds":
		return each(j, name, func(e *review) error { j.addReview(e); return nil })
	case "snippets":
		return each(j, name, func(e *struct {
			ID string `json:"SPDXID"`
		},
		) error {
			j.addSnippet(e.ID)
			return nil
		})
	case "documentDescribes":
		return each(j, name, func(id *string) error { j.bill.Roots = append(j.bill.Roots, *id); return nil })
	case "externalDocumentRefs":
		return each(j, name, func(e *externalDocument) error {
			unknown(e.Unknown, where)
			e.Unknown = nil
			j.head.External = append(j.head.External, *e)
			return nil
		})
	}
	value, err := j.dec.ReadValue()
	if err != nil {
		return err
	}
	switch name {
	case "spdxVersion":
		facet.Decode(value, &j.head.Version, where)
	case "dataLicense":
		facet.Decode(value, &j.head.DataLicense, where)
	case "name":
		facet.Decode(value, &j.head.Name, where)
	case "documentNamespace":
		facet.Decode(value, &j.head.Namespace, where)
	case "comment":
		facet.Decode(value, &j.head.Comment, where)
	case "creationInfo":
		facet.Decode(value, &j.head.Creation, where)
		unknown(j.head.Creation.Unknown, where)
	case "SPDXID":
		var id string
		if facet.Decode(value, &id, where); id != facet.DocumentID {
			where("its SPDXID is %q", clip(id))
			j.known[id] = seaworthy.DocumentRef
		}
	case "$schema":
	default:
		where("member %q is not known and not kept", clip(name))
	}
	return nil
}

// each reads an array element by element. What is not of the right kind is a Problem.
func each[T any](j *jsonReader, name string, use func(*T) error) error {
	where := j.problemAt(name)
	if kind := j.dec.PeekKind(); kind != '[' {
		if kind != 'n' {
			where("it is not an array")
		}
		return j.dec.SkipValue()
	}
	if _, err := j.dec.ReadToken(); err != nil {
		return err
	}
	for j.dec.PeekKind() != ']' {
		j.meter.Next()
		value, err := j.dec.ReadValue()
		if err != nil {
			return err
		}
		e := new(T)
		if value.Kind() == 'n' {
			where("an element is null")
			continue
		}
		facet.Decode(value, e, where)
		if err := use(e); err != nil {
			return err
		}
	}
	_, err := j.dec.ReadToken()
	return err
}
