package cyclonedx

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// ReadXML reads a CycloneDX document of version 1.2 to 1.7. What is odd about it becomes Problems of the bill.
// A document type declaration is refused, so there are no entities to expand or fetch.
// Errors: Invalid (not XML, or not CycloneDX), Unsupported (another major version), TooLarge, and those of r.
func ReadXML(r io.Reader, limits Limits) (*seaworthy.Bill, error) {
	x := &xmlReader{reading: newReading(limits)}
	in := bufio.NewReaderSize(&boundedReader{r, x.limits.MaxBytes, x.limits.MaxBytes}, 64<<10)
	if bom, _ := in.Peek(3); bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3)
	}
	x.dec = xml.NewTokenDecoder(&plainTokens{dec: xml.NewDecoder(in), max: x.limits.MaxDepth})
	if err := x.document(); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading CycloneDX XML")
	}
	return x.finish(), nil
}

// plainTokens passes tokens on, refuses document type declarations, and counts depth.
type plainTokens struct {
	dec        *xml.Decoder
	depth, max int
}

// Token implements xml.TokenReader.
func (p *plainTokens) Token() (xml.Token, error) {
	tok, err := p.dec.RawToken()
	switch tok.(type) {
	case xml.StartElement:
		if p.depth++; p.depth > p.max {
			return nil, seaworthy.Errorf(seaworthy.TooLarge, "elements are nested more than %d deep", p.max)
		}
	case xml.EndElement:
		p.depth--
	case xml.Directive:
		return nil, seaworthy.Errorf(seaworthy.Invalid, "document type declarations are refused")
	}
	return tok, err
}

type xmlReader struct {
	*reading
	dec *xml.Decoder
}

func (x *xmlReader) document() error {
	root, err := x.rootElement()
	if err != nil {
		return err
	}
	specVersion, ok := strings.CutPrefix(root.Name.Space, nameSpace)
	if root.Name.Local != "bom" || !ok {
		return seaworthy.Errorf(seaworthy.Invalid, "root element is %q in name space %q, not a CycloneDX bom", clip(root.Name.Local), clip(root.Name.Space))
	}
	var serial string
	version := 1
	for _, a := range root.Attr {
		switch a.Name.Local {
		case "serialNumber":
			serial = a.Value
		case "version":
			if n, err := strconv.Atoi(strings.TrimSpace(a.Value)); err == nil {
				version = n
			} else {
				x.warn(problemWrongType, "version", a.Value)
			}
		}
	}
	if err := x.each(x.member); err != nil {
		return err
	}
	for {
		tok, err := x.dec.Token()
		if errors.Is(err, io.EOF) {
			return x.setDocument(specVersion, serial, version)
		}
		if err != nil {
			return err
		}
		if _, ok := tok.(xml.StartElement); ok {
			return seaworthy.Errorf(seaworthy.Invalid, "there is more after the document")
		}
	}
}

func (x *xmlReader) rootElement() (xml.StartElement, error) {
	for {
		tok, err := x.dec.Token()
		if err != nil {
			return xml.StartElement{}, err
		}
		if start, ok := tok.(xml.StartElement); ok {
			return start, nil
		}
	}
}

// each is eachChild for elements of CycloneDX; those of other name spaces are passed over with a Problem.
func (x *xmlReader) each(f func(xml.StartElement) error) error {
	return eachChild(x.dec, func(start xml.StartElement) error {
		if foreign(start) {
			return x.skipForeign(start)
		}
		return f(start)
	})
}

func foreign(start xml.StartElement) bool {
	return start.Name.Space != "" && !strings.HasPrefix(start.Name.Space, nameSpace)
}

func (x *xmlReader) skipForeign(start xml.StartElement) error {
	x.warn(problemTop, start.Name.Space, start.Name.Local)
	return x.dec.Skip()
}

func (x *xmlReader) member(start xml.StartElement) error {
	switch start.Name.Local {
	case "metadata":
		return x.metadata()
	case "components", "services":
		return x.components(frame{list: true, service: start.Name.Local == "services", element: -1}, start)
	case "dependencies":
		return x.dependencies()
	case "annotations":
		return x.each(func(start xml.StartElement) error {
			var a annotation
			if err := x.dec.DecodeElement(&a, &start); err != nil {
				return err
			}
			x.addAnnotation(&a)
			return nil
		})
	case "externalReferences":
		refs, err := list[externalRef](x, "reference")
		x.addReferences(refs)
		return err
	case "properties":
		props, err := list[property](x, "property")
		x.documentProperties(props)
		return err
	case "vulnerabilities":
		return x.each(func(xml.StartElement) error {
			x.warn(problemVulnerabilities, "vulnerabilities", "")
			return x.dec.Skip()
		})
	case "compositions":
		return x.each(func(xml.StartElement) error { x.warn(problemCompositions, "compositions", ""); return x.dec.Skip() })
	}
	x.warn(problemTop, start.Name.Local, start.Name.Local)
	return x.dec.Skip()
}

// list reads the children called item.
func list[T any](x *xmlReader, item string) ([]T, error) {
	var out []T
	err := x.each(func(start xml.StartElement) error {
		if start.Name.Local != item {
			return x.dec.Skip()
		}
		var v T
		if err := x.dec.DecodeElement(&v, &start); err != nil {
			return err
		}
		out = append(out, v)
		return nil
	})
	return out, err
}

// components reads the list or the component that first says, whose start tag has been read, with everything
// nested in it. Depth costs heap, not stack.
func (x *xmlReader) components(first frame, start xml.StartElement) error {
	stack := make([]frame, 0, 8)
	push := func(f frame, start xml.StartElement) (err error) {
		if !f.list {
			f.c = new(component)
			for _, a := range start.Attr {
				switch a.Name.Local {
				case "type":
					f.c.Type = strings.TrimSpace(a.Value)
				case "mime-type":
					f.c.MIMEType = a.Value
				case "bom-ref":
					f.c.BOMRef = a.Value
				}
			}
			f.element, err = x.open(f.element)
		}
		stack = append(stack, f)
		return err
	}
	if err := push(first, start); err != nil {
		return err
	}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		tok, err := x.dec.Token()
		if err != nil {
			return err
		}
		switch t := tok.(type) {
		case xml.EndElement:
			if !top.list {
				x.close(top.element, top.c, top.service)
			}
			stack = stack[:len(stack)-1]
		case xml.StartElement:
			name := t.Name.Local
			switch {
			case foreign(t):
				err = x.skipForeign(t)
			case top.list && (name == "component" || name == "service"):
				err = push(frame{service: name == "service", element: top.element}, t)
			case !top.list && (name == "components" || name == "services"):
				err = push(frame{list: true, service: name == "services", element: top.element}, t)
			case top.list:
				x.warn(problemTop, "components", name)
				err = x.dec.Skip()
			default:
				err = x.componentMember(top.c, t)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// componentMember reads one child of a component or service.
func (x *xmlReader) componentMember(c *component, start xml.StartElement) (err error) {
	var v any
	switch start.Name.Local {
	case "supplier", "provider":
		c.Supplier, v = nil, &c.Supplier
	case "manufacturer":
		c.Manufacturer, v = nil, &c.Manufacturer
	case "authors":
		c.Authors, err = list[contact](x, "author")
		return err
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
		c.Hashes, err = list[hash](x, "hash")
		return err
	case "licenses":
		c.Licenses, v = nil, &c.Licenses
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
		c.References, err = list[externalRef](x, "reference")
		return err
	case "properties":
		c.Properties, err = list[property](x, "property")
		return err
	case "evidence":
		c.Evidence, v = nil, &c.Evidence
	case "endpoints":
		c.Endpoints, err = list[string](x, "endpoint")
		return err
	default:
		x.warn(problemMember, c.BOMRef, start.Name.Local)
		return x.dec.Skip()
	}
	return x.dec.DecodeElement(v, &start)
}

// metadata reads the metadata; its component is read like any other.
func (x *xmlReader) metadata() error {
	var m metadata
	err := x.each(func(start xml.StartElement) (err error) {
		switch start.Name.Local {
		case "component":
			x.root = len(x.elements)
			return x.components(frame{element: -1}, start)
		case "timestamp":
			return x.dec.DecodeElement(&m.Timestamp, &start)
		case "lifecycles":
			m.Lifecycles, err = list[lifecycle](x, "lifecycle")
		case "tools":
			m.Tools, err = x.tools()
		case "authors":
			m.Authors, err = list[contact](x, "author")
		case "manufacturer":
			return x.dec.DecodeElement(&m.Manufacturer, &start)
		case "manufacture":
			return x.dec.DecodeElement(&m.Manufacture, &start)
		case "supplier":
			return x.dec.DecodeElement(&m.Supplier, &start)
		case "licenses":
			return x.dec.DecodeElement(&m.Licenses, &start)
		case "properties":
			m.Properties, err = list[property](x, "property")
		default:
			x.warn(problemTop, "metadata."+clip(start.Name.Local), start.Name.Local)
			return x.dec.Skip()
		}
		return err
	})
	if err == nil {
		x.setMetadata(&m)
	}
	return err
}

func (x *xmlReader) tools() (*tools, error) {
	var all tools
	err := x.each(func(start xml.StartElement) error {
		var more []tool
		var err error
		switch start.Name.Local {
		case "tool": // before 1.5
			more = make([]tool, 1)
			err = x.dec.DecodeElement(&more[0], &start)
		case "components":
			more, err = list[tool](x, "component")
		case "services":
			more, err = list[tool](x, "service")
		default:
			err = x.dec.Skip()
		}
		all.Components = append(all.Components, more...)
		return err
	})
	return &all, err
}

// dependencies reads the dependencies. The schema lets them be nested to any depth; every level is an edge.
func (x *xmlReader) dependencies() error {
	var stack []string // the refs we are inside of
	for {
		tok, err := x.dec.Token()
		if err != nil {
			return err
		}
		switch t := tok.(type) {
		case xml.EndElement:
			if len(stack) == 0 {
				return nil
			}
			stack = stack[:len(stack)-1]
		case xml.StartElement:
			typ := seaworthy.DependsOn
			if t.Name.Local == "provides" {
				typ = provides
			} else if t.Name.Local != "dependency" {
				if err := x.skipForeign(t); err != nil {
					return err
				}
				continue
			}
			ref := ""
			for _, a := range t.Attr {
				if a.Name.Local == "ref" {
					ref = a.Value
				}
			}
			if len(stack) > 0 {
				err = x.addEdge(stack[len(stack)-1], typ, ref)
			}
			if err != nil {
				return err
			}
			stack = append(stack, ref)
		}
	}
}
