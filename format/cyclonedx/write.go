package cyclonedx

import (
	"bufio"
	"encoding/xml"
	"io"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
)

// SpecVersion is the version of CycloneDX that is written.
const SpecVersion = "1.6"

// nameSpace starts the XML name space of every version.
const nameSpace = "http://cyclonedx.org/schema/bom/"

// WriteJSON writes b as CycloneDX 1.6 JSON. Equal bills give equal bytes. Problems are not written; everything
// else reads back. Errors: those of w.
func WriteJSON(w io.Writer, b *seaworthy.Bill) error {
	l := newLayout(b, false)
	out := bufio.NewWriterSize(w, 64<<10)
	j := &jsonWriter{enc: jsontext.NewEncoder(&visibleWriter{w: out}, jsontext.WithIndent("  "))}
	if err := j.document(l); err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "writing CycloneDX JSON")
	}
	return seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing CycloneDX JSON")
}

// jsonWriter writes members as they come; after an error it does nothing more.
type jsonWriter struct {
	enc *jsontext.Encoder
	err error
	// vulnerabilities are written when they are not nil; see WriteJSONWith.
	vulnerabilities []Vulnerability
}

func (j *jsonWriter) token(t jsontext.Token) {
	if j.err == nil {
		j.err = j.enc.WriteToken(t)
	}
}

func (j *jsonWriter) value(v any) error {
	if j.err == nil {
		j.err = json.MarshalEncode(j.enc, v)
	}
	return j.err
}

func (j *jsonWriter) member(name string, v any) {
	j.token(jsontext.String(name))
	_ = j.value(v)
}

func (j *jsonWriter) document(l *layout) error {
	j.token(jsontext.BeginObject)
	j.member("$schema", "http://cyclonedx.org/schema/bom-"+SpecVersion+".schema.json")
	j.member("bomFormat", "CycloneDX")
	j.member("specVersion", SpecVersion)
	if id := serialNumber(l.b.ID); id != "" {
		j.member("serialNumber", id)
	}
	version, references, _ := l.documentLevel()
	j.member("version", version)
	j.member("metadata", l.metadata())
	j.token(jsontext.String("components"))
	j.token(jsontext.BeginArray)
	for i := range l.elements {
		if i == l.root {
			continue
		}
		if err := j.value(l.component(i)); err != nil {
			return err
		}
	}
	j.token(jsontext.EndArray)
	if len(references) > 0 {
		j.member("externalReferences", references)
	}
	j.token(jsontext.String("dependencies"))
	j.token(jsontext.BeginArray)
	if err := l.eachDependency(func(d *dependency) error { return j.value(d) }); err != nil {
		return err
	}
	j.token(jsontext.EndArray)
	j.annotations(l)
	j.vulnerabilityList()
	j.token(jsontext.EndObject)
	return j.err
}

func (j *jsonWriter) annotations(l *layout) {
	open := false
	for i := range l.b.Notes {
		a := l.annotation(&l.b.Notes[i])
		if a == nil {
			continue
		}
		if !open {
			open = true
			j.token(jsontext.String("annotations"))
			j.token(jsontext.BeginArray)
		}
		_ = j.value(a)
	}
	if open {
		j.token(jsontext.EndArray)
	}
}

// WriteXML writes b as CycloneDX 1.6 XML. Equal bills give equal bytes. Problems are not written; everything
// else reads back. Errors: those of w.
func WriteXML(w io.Writer, b *seaworthy.Bill) error {
	l := newLayout(b, true)
	out := bufio.NewWriterSize(w, 64<<10)
	visible := &visibleWriter{w: out, forXML: true}
	x := &xmlWriter{enc: xml.NewEncoder(visible)}
	x.enc.Indent("", "  ")
	_, err := io.WriteString(visible, xml.Header)
	if err == nil {
		err = x.document(l)
	}
	if err == nil {
		err = x.enc.Close()
	}
	if err == nil {
		_, err = io.WriteString(visible, "\n")
	}
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "writing CycloneDX XML")
	}
	return seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing CycloneDX XML")
}

// xmlWriter writes elements as they come; after an error it does nothing more.
type xmlWriter struct {
	enc *xml.Encoder
	err error
}

func (x *xmlWriter) start(name string) {
	if x.err == nil {
		x.err = x.enc.EncodeToken(element(name))
	}
}

func (x *xmlWriter) end(name string) {
	if x.err == nil {
		x.err = x.enc.EncodeToken(element(name).End())
	}
}

func (x *xmlWriter) value(name string, v any) error {
	if x.err == nil {
		x.err = x.enc.EncodeElement(v, element(name))
	}
	return x.err
}

func (x *xmlWriter) document(l *layout) error {
	bom := element("bom")
	attr := func(name, value string) {
		bom.Attr = append(bom.Attr, xml.Attr{Name: xml.Name{Local: name}, Value: value})
	}
	attr("xmlns", nameSpace+SpecVersion)
	if id := serialNumber(l.b.ID); id != "" {
		attr("serialNumber", id)
	}
	version, references, _ := l.documentLevel()
	attr("version", strconv.Itoa(version))
	if err := x.enc.EncodeToken(bom); err != nil {
		return err
	}
	_ = x.value("metadata", l.metadata())
	x.start("components")
	for i := range l.elements {
		if i == l.root {
			continue
		}
		if err := x.value("component", l.component(i)); err != nil {
			return err
		}
	}
	x.end("components")
	if len(references) > 0 {
		x.start("externalReferences")
		for i := range references {
			_ = x.value("reference", references[i])
		}
		x.end("externalReferences")
	}
	x.start("dependencies")
	err := l.eachDependency(func(d *dependency) error {
		return x.value("dependency", xmlDependency{d.Ref, xmlRefs(d.DependsOn), xmlRefs(d.Provides)})
	})
	if err != nil {
		return err
	}
	x.end("dependencies")
	if len(l.b.Notes) > 0 {
		x.start("annotations")
		for i := range l.b.Notes {
			if a := l.annotation(&l.b.Notes[i]); a != nil {
				_ = x.value("annotation", a)
			}
		}
		x.end("annotations")
	}
	x.end("bom")
	return x.err
}

func xmlRefs(list []string) []xmlRef {
	out := make([]xmlRef, len(list))
	for i, s := range list {
		out[i].Ref = s
	}
	return out
}
