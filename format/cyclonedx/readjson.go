package cyclonedx

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
)

// ReadJSON reads a CycloneDX document of version 1.2 to 1.7. What is odd about it becomes Problems of the bill.
// Errors: Invalid (not JSON, or not CycloneDX), Unsupported (another major version), TooLarge, and those of r.
func ReadJSON(r io.Reader, limits Limits) (*seaworthy.Bill, error) {
	j := &jsonReader{reading: newReading(limits)}
	in := bufio.NewReaderSize(&boundedReader{r, j.limits.MaxBytes, j.limits.MaxBytes}, 64<<10)
	if bom, _ := in.Peek(3); bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3)
	}
	j.dec = jsontext.NewDecoder(in, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err := j.document(); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading CycloneDX JSON")
	}
	return j.finish(), nil
}

type jsonReader struct {
	*reading
	dec *jsontext.Decoder

	format, specVersion, serial string
	version                     int
}

// document reads the whole document and what follows it, which must be nothing.
func (j *jsonReader) document() error {
	if err := j.object("", j.member); err != nil {
		return err
	}
	if _, err := j.dec.ReadToken(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = seaworthy.Errorf(seaworthy.Invalid, "there is more after the document")
		}
		return err
	}
	if j.format != "CycloneDX" {
		return seaworthy.Errorf(seaworthy.Invalid, "bomFormat is %q, not \"CycloneDX\"", clip(j.format))
	}
	return j.setDocument(j.specVersion, j.serial, j.version)
}

func (j *jsonReader) member(name string) error {
	switch name {
	case "bomFormat":
		return j.value(name, &j.format)
	case "specVersion":
		return j.value(name, &j.specVersion)
	case "serialNumber":
		return j.value(name, &j.serial)
	case "version":
		return j.value(name, &j.version)
	case "metadata":
		return j.metadata()
	case "components", "services":
		return j.components(frame{list: true, service: name == "services", element: -1})
	case "dependencies":
		return j.array(name, func() error {
			var d dependency
			if err := j.value(name, &d); err != nil {
				return err
			}
			return j.addDependency(&d)
		})
	case "annotations":
		return j.array(name, func() error {
			var a annotation
			if err := j.value(name, &a); err != nil {
				return err
			}
			j.addAnnotation(&a)
			return nil
		})
	case "externalReferences":
		var refs []externalRef
		if err := j.value(name, &refs); err != nil {
			return err
		}
		j.addReferences(refs)
		return nil
	case "properties":
		var props []property
		if err := j.value(name, &props); err != nil {
			return err
		}
		j.documentProperties(props)
		return nil
	case "vulnerabilities":
		return j.array(name, func() error { j.warn(problemVulnerabilities, name, ""); return j.dec.SkipValue() })
	case "compositions":
		return j.array(name, func() error { j.warn(problemCompositions, name, ""); return j.dec.SkipValue() })
	case "$schema":
	default:
		j.warn(problemTop, name, name)
	}
	return j.dec.SkipValue()
}

// object calls f for every member of the object that comes next; f must consume the value. Errors: Invalid
// when it is not an object.
func (j *jsonReader) object(where string, f func(name string) error) error {
	if j.dec.PeekKind() != '{' {
		if _, err := j.dec.ReadToken(); err != nil {
			return err
		}
		return seaworthy.Errorf(seaworthy.Invalid, "%q is not a JSON object", where)
	}
	if _, err := j.dec.ReadToken(); err != nil {
		return err
	}
	var seen seenNames
	for j.dec.PeekKind() != '}' {
		tok, err := j.dec.ReadToken()
		if err != nil {
			return err
		}
		name := tok.String()
		if seen.again(name) {
			j.warn(problemDuplicateKey, where, name)
		}
		if err := f(name); err != nil {
			return err
		}
	}
	_, err := j.dec.ReadToken()
	return err
}

// seenNames remembers which of the names we know came before in an object. Names we do not know are not
// remembered: there is no end to them.
type seenNames uint64

func (s *seenNames) again(name string) bool {
	i, ok := memberNumbers[name]
	if !ok {
		return false
	}
	bit := seenNames(1) << i
	had := *s&bit != 0
	*s |= bit
	return had
}

var memberNumbers = func() map[string]int {
	m := make(map[string]int)
	for i, name := range []string{
		"bomFormat", "specVersion", "serialNumber", "version", "metadata", "components", "services", "dependencies",
		"annotations", "externalReferences", "properties", "vulnerabilities", "compositions", "timestamp",
		"lifecycles", "tools", "authors", "component", "manufacture", "manufacturer", "supplier", "licenses",
		"type", "mime-type", "bom-ref", "author", "publisher", "group", "name", "description", "scope", "hashes",
		"copyright", "cpe", "purl", "omniborId", "swhid", "swid", "evidence", "provider", "endpoints",
	} {
		m[name] = i
	}
	return m
}()

// array calls f before every element of the array that comes next; f must consume it.
func (j *jsonReader) array(where string, f func() error) error {
	if j.dec.PeekKind() != '[' {
		j.warn(problemWrongType, where, where)
		return j.dec.SkipValue()
	}
	if _, err := j.dec.ReadToken(); err != nil {
		return err
	}
	for j.dec.PeekKind() != ']' {
		if j.dec.PeekKind() == 0 { // the error is what reading tells
			_, err := j.dec.ReadToken()
			return err
		}
		if err := f(); err != nil {
			return err
		}
	}
	_, err := j.dec.ReadToken()
	return err
}

// value reads the value that comes next into v. One of another type is left out, with a Problem.
func (j *jsonReader) value(where string, v any) error {
	raw, err := j.dec.ReadValue()
	if err != nil {
		return err
	}
	err = json.Unmarshal(raw, v, jsontext.AllowInvalidUTF8(true))
	if errors.Is(err, jsontext.ErrDuplicateName) {
		j.warn(problemDuplicateKey, where, where)
		err = json.Unmarshal(raw, v, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	}
	if err != nil {
		j.warn(problemWrongType, where, where)
	}
	return nil
}

// frame is a component, or a list of them, that is being read.
type frame struct {
	list    bool
	service bool
	element int // of the component, or that the list is nested in; -1 for none
	c       *component
	seen    seenNames
}

// components reads the list or the component that first says, with everything nested in it. Depth costs heap,
// not stack.
func (j *jsonReader) components(first frame) error {
	stack := make([]frame, 0, 8)
	push := func(f frame) error {
		want := jsontext.Kind('{')
		if f.list {
			want = '['
		}
		if j.dec.PeekKind() != want {
			j.warn(problemWrongType, "components", "components")
			return j.dec.SkipValue()
		}
		if j.dec.StackDepth() >= min(j.limits.MaxDepth, DefaultMaxDepth-1) {
			return seaworthy.Errorf(seaworthy.TooLarge, "components are nested more than %d deep", j.dec.StackDepth())
		}
		_, err := j.dec.ReadToken()
		if err == nil && !f.list {
			f.c = new(component)
			f.element, err = j.open(f.element)
		}
		stack = append(stack, f)
		return err
	}
	if err := push(first); err != nil {
		return err
	}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		kind := j.dec.PeekKind()
		if kind == ']' || kind == '}' {
			if _, err := j.dec.ReadToken(); err != nil {
				return err
			}
			if !top.list {
				j.close(top.element, top.c, top.service)
			}
			stack = stack[:len(stack)-1]
			continue
		}
		var err error
		if top.list {
			if kind == 0 {
				_, err = j.dec.ReadToken()
			} else {
				err = push(frame{service: top.service, element: top.element})
			}
		} else {
			var nested bool
			var name string
			name, nested, err = j.componentMember(top)
			if err == nil && nested {
				err = push(frame{list: true, service: name == "services", element: top.element})
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// componentMember reads one member of a component or service, or only its name when it is a nested list.
func (j *jsonReader) componentMember(f *frame) (name string, nested bool, err error) {
	tok, err := j.dec.ReadToken()
	if err != nil {
		return "", false, err
	}
	name = tok.String()
	if f.seen.again(name) {
		j.warn(problemDuplicateKey, f.c.BOMRef, name)
	}
	if name == "components" || name == "services" {
		return name, true, nil
	}
	c := f.c
	var v any
	switch name {
	case "type":
		v = &c.Type
	case "mime-type":
		v = &c.MIMEType
	case "bom-ref":
		v = &c.BOMRef
	case "supplier", "provider":
		c.Supplier, v = nil, &c.Supplier
	case "manufacturer":
		c.Manufacturer, v = nil, &c.Manufacturer
	case "authors":
		v = &c.Authors
	case "author":
		v = &c.Author
	case "publisher":
		v = &c.Publisher
	case "group":
		v = &c.Group
	case "name":
		v = &c.Name
	case "version":
		v = &c.Version
	case "description":
		v = &c.Description
	case "scope":
		v = &c.Scope
	case "hashes":
		v = &c.Hashes
	case "licenses":
		v = &c.Licenses
	case "copyright":
		v = &c.Copyright
	case "cpe":
		v = &c.CPE
	case "purl":
		v = &c.PURL
	case "omniborId":
		v = &c.OmniborID
	case "swhid":
		v = &c.SWHID
	case "swid":
		c.SWID, v = nil, &c.SWID
	case "externalReferences":
		v = &c.References
	case "properties":
		v = &c.Properties
	case "evidence":
		c.Evidence, v = nil, &c.Evidence
	case "endpoints":
		v = &c.Endpoints
	default:
		j.warn(problemMember, c.BOMRef, name)
		return name, false, j.dec.SkipValue()
	}
	return name, false, j.value(name, v)
}

// metadata reads the metadata; its component is read like any other.
func (j *jsonReader) metadata() error {
	var m metadata
	if j.dec.PeekKind() != '{' {
		j.warn(problemWrongType, "metadata", "metadata")
		return j.dec.SkipValue()
	}
	err := j.object("metadata", func(name string) error {
		where := "metadata." + clip(name)
		switch name {
		case "component":
			next := len(j.elements)
			err := j.components(frame{element: -1})
			if len(j.elements) > next {
				j.root = next
			}
			return err
		case "timestamp":
			return j.value(where, &m.Timestamp)
		case "lifecycles":
			return j.value(where, &m.Lifecycles)
		case "tools":
			m.Tools = new(tools)
			if j.dec.PeekKind() == '[' { // before 1.5
				return j.value(where, &m.Tools.Components)
			}
			return j.value(where, &m.Tools)
		case "authors":
			return j.value(where, &m.Authors)
		case "manufacturer":
			return j.value(where, &m.Manufacturer)
		case "manufacture":
			return j.value(where, &m.Manufacture)
		case "supplier":
			return j.value(where, &m.Supplier)
		case "licenses":
			return j.value(where, &m.Licenses)
		case "properties":
			return j.value(where, &m.Properties)
		}
		j.warn(problemTop, where, where)
		return j.dec.SkipValue()
	})
	if err == nil {
		j.setMetadata(&m)
	}
	return err
}
