package cyclonedx

import (
	"encoding/xml"
)

// The types below are CycloneDX objects as JSON and XML spell them: the members we read or write, in the order
// the XML schema demands. All text in them is in its written form (see escape.go). Components inside
// components are not part of the types: readers keep their own stack for those.

type component struct {
	Type         string        `json:"type" xml:"type,attr"`
	MIMEType     string        `json:"mime-type,omitempty" xml:"mime-type,attr,omitempty"`
	BOMRef       string        `json:"bom-ref,omitempty" xml:"bom-ref,attr,omitempty"`
	Supplier     *entity       `json:"supplier,omitempty" xml:"supplier,omitempty"`
	Manufacturer *entity       `json:"manufacturer,omitempty" xml:"manufacturer,omitempty"`
	Authors      []contact     `json:"authors,omitempty" xml:"authors>author"`
	Author       string        `json:"author,omitempty" xml:"author,omitempty"`
	Publisher    string        `json:"publisher,omitempty" xml:"publisher,omitempty"`
	Group        string        `json:"group,omitempty" xml:"group,omitempty"`
	Name         string        `json:"name" xml:"name"`
	Version      string        `json:"version,omitempty" xml:"version,omitempty"`
	Description  string        `json:"description,omitempty" xml:"description,omitempty"`
	Scope        string        `json:"scope,omitempty" xml:"scope,omitempty"`
	Hashes       []hash        `json:"hashes,omitempty" xml:"hashes>hash"`
	Licenses     licenses      `json:"licenses,omitempty" xml:"licenses,omitempty"`
	Copyright    string        `json:"copyright,omitempty" xml:"copyright,omitempty"`
	CPE          string        `json:"cpe,omitempty" xml:"cpe,omitempty"`
	PURL         string        `json:"purl,omitempty" xml:"purl,omitempty"`
	OmniborID    []string      `json:"omniborId,omitempty" xml:"omniborId,omitempty"`
	SWHID        []string      `json:"swhid,omitempty" xml:"swhid,omitempty"`
	SWID         *swid         `json:"swid,omitempty" xml:"swid,omitempty"`
	References   []externalRef `json:"externalReferences,omitempty" xml:"externalReferences>reference"`
	Properties   []property    `json:"properties,omitempty" xml:"properties>property"`
	Evidence     *evidence     `json:"evidence,omitempty" xml:"evidence,omitempty"`

	// Endpoints are a service's; never written.
	Endpoints []string `json:"-" xml:"-"`
}

type entity struct {
	Name    string    `json:"name,omitempty" xml:"name,omitempty"`
	URL     []string  `json:"url,omitempty" xml:"url,omitempty"`
	Contact []contact `json:"contact,omitempty" xml:"contact,omitempty"`
}

type contact struct {
	Name  string `json:"name,omitempty" xml:"name,omitempty"`
	Email string `json:"email,omitempty" xml:"email,omitempty"`
}

type hash struct {
	Alg     string `json:"alg" xml:"alg,attr"`
	Content string `json:"content" xml:",chardata"`
}

type property struct {
	Name  string `json:"name" xml:"name,attr"`
	Value string `json:"value" xml:",chardata"`
}

type externalRef struct {
	URL     string `json:"url" xml:"url"`
	Comment string `json:"comment,omitempty" xml:"comment,omitempty"`
	Type    string `json:"type" xml:"type,attr"`
	Hashes  []hash `json:"hashes,omitempty" xml:"hashes>hash"`
}

type swid struct {
	TagID   string `json:"tagId" xml:"tagId,attr"`
	Name    string `json:"name" xml:"name,attr"`
	Version string `json:"version,omitempty" xml:"version,attr,omitempty"`
}

type evidence struct {
	Occurrences []occurrence `json:"occurrences,omitempty" xml:"occurrences>occurrence"`
	Licenses    licenses     `json:"licenses,omitempty" xml:"licenses,omitempty"`
	Copyright   []copyright  `json:"copyright,omitempty" xml:"copyright>text"`
}

type copyright struct {
	Text string `json:"text" xml:",chardata"`
}

type occurrence struct {
	Location string `json:"location" xml:"location"`
	Context  string `json:"additionalContext,omitempty" xml:"additionalContext,omitempty"`
}

type license struct {
	ID              string      `json:"id,omitempty" xml:"id,omitempty"`
	Name            string      `json:"name,omitempty" xml:"name,omitempty"`
	Acknowledgement string      `json:"acknowledgement,omitempty" xml:"acknowledgement,attr,omitempty"`
	Text            *attachment `json:"text,omitempty" xml:"text,omitempty"`
	URL             string      `json:"url,omitempty" xml:"url,omitempty"`
	Properties      []property  `json:"properties,omitempty" xml:"properties>property"`
}

type attachment struct {
	ContentType string `json:"contentType,omitempty" xml:"content-type,attr,omitempty"`
	Encoding    string `json:"encoding,omitempty" xml:"encoding,attr,omitempty"`
	Content     string `json:"content" xml:",chardata"`
}

// licenses is the licence choice: in JSON an array of {"license":…} or one {"expression":…}, in XML license
// or expression elements.
type licenses []licenseChoice

type licenseChoice struct {
	License         *license `json:"license,omitempty"`
	Expression      string   `json:"expression,omitempty"`
	Acknowledgement string   `json:"acknowledgement,omitempty"`
}

type xmlExpression struct {
	Text            string `xml:",chardata"`
	Acknowledgement string `xml:"acknowledgement,attr,omitempty"`
}

// MarshalXML implements xml.Marshaler.
func (l licenses) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	for _, c := range l {
		var err error
		if c.License != nil {
			err = e.EncodeElement(c.License, element("license"))
		} else {
			err = e.EncodeElement(xmlExpression{c.Expression, c.Acknowledgement}, element("expression"))
		}
		if err != nil {
			return err
		}
	}
	return e.EncodeToken(start.End())
}

// UnmarshalXML implements xml.Unmarshaler.
func (l *licenses) UnmarshalXML(d *xml.Decoder, _ xml.StartElement) error {
	return eachChild(d, func(start xml.StartElement) error {
		switch start.Name.Local {
		case "license":
			c := licenseChoice{License: new(license)}
			if err := d.DecodeElement(c.License, &start); err != nil {
				return err
			}
			*l = append(*l, c)
		case "expression":
			var x xmlExpression
			if err := d.DecodeElement(&x, &start); err != nil {
				return err
			}
			*l = append(*l, licenseChoice{Expression: x.Text, Acknowledgement: x.Acknowledgement})
		default:
			return d.Skip()
		}
		return nil
	})
}

func element(name string) xml.StartElement { return xml.StartElement{Name: xml.Name{Local: name}} }

// eachChild calls f for the start of each child element, up to the end of the element d is in. f must consume
// the child.
func eachChild(d *xml.Decoder, f func(xml.StartElement) error) error {
	for {
		tok, err := d.Token()
		if err != nil {
			return err
		}
		switch t := tok.(type) {
		case xml.EndElement:
			return nil
		case xml.StartElement:
			if err := f(t); err != nil {
				return err
			}
		}
	}
}

type metadata struct {
	Timestamp    string      `json:"timestamp,omitempty" xml:"timestamp,omitempty"`
	Lifecycles   []lifecycle `json:"lifecycles,omitempty" xml:"lifecycles>lifecycle"`
	Tools        *tools      `json:"tools,omitempty" xml:"tools,omitempty"`
	Authors      []contact   `json:"authors,omitempty" xml:"authors>author"`
	Component    *component  `json:"component,omitempty" xml:"component,omitempty"`
	Manufacturer *entity     `json:"manufacturer,omitempty" xml:"manufacturer,omitempty"`
	Supplier     *entity     `json:"supplier,omitempty" xml:"supplier,omitempty"`
	Licenses     licenses    `json:"licenses,omitempty" xml:"licenses,omitempty"`
	Properties   []property  `json:"properties,omitempty" xml:"properties>property"`

	// Manufacture is of the versions before 1.6; never written.
	Manufacture *entity `json:"-" xml:"-"`
}

type lifecycle struct {
	Phase       string `json:"phase,omitempty" xml:"phase,omitempty"`
	Name        string `json:"name,omitempty" xml:"name,omitempty"`
	Description string `json:"description,omitempty" xml:"description,omitempty"`
}

// tools is the form of 1.5 and later.
type tools struct {
	Components []tool `json:"components,omitempty" xml:"components>component"`
	Services   []tool `json:"services,omitempty" xml:"services>service"`
}

// tool is a tool in all its spellings: a tool of 1.4 (vendor), a component or a service of 1.5.
type tool struct {
	Type         string  `json:"type,omitempty" xml:"type,attr,omitempty"`
	Supplier     *entity `json:"supplier,omitempty" xml:"supplier,omitempty"`
	Provider     *entity `json:"provider,omitempty" xml:"provider,omitempty"`
	Manufacturer *entity `json:"manufacturer,omitempty" xml:"manufacturer,omitempty"`
	Author       string  `json:"author,omitempty" xml:"author,omitempty"`
	Publisher    string  `json:"publisher,omitempty" xml:"publisher,omitempty"`
	Vendor       string  `json:"vendor,omitempty" xml:"vendor,omitempty"`
	Group        string  `json:"group,omitempty" xml:"group,omitempty"`
	Name         string  `json:"name" xml:"name"`
	Version      string  `json:"version,omitempty" xml:"version,omitempty"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
	Provides  []string `json:"provides,omitempty"`
}

type xmlRef struct {
	Ref string `xml:"ref,attr"`
}

type xmlDependency struct {
	Ref       string   `xml:"ref,attr"`
	DependsOn []xmlRef `xml:"dependency"`
	Provides  []xmlRef `xml:"provides"`
}

type annotation struct {
	Subjects  []string  `json:"subjects" xml:"-"`
	XSubjects []xmlRef  `json:"-" xml:"subjects>subject"`
	Annotator annotator `json:"annotator" xml:"annotator"`
	Timestamp string    `json:"timestamp" xml:"timestamp"`
	Text      string    `json:"text" xml:"text"`
}

type annotator struct {
	Organization *entity  `json:"organization,omitzero" xml:"organization,omitempty"`
	Individual   *contact `json:"individual,omitzero" xml:"individual,omitempty"`
	Component    *tool    `json:"component,omitzero" xml:"component,omitempty"`
	Service      *tool    `json:"service,omitzero" xml:"service,omitempty"`
}
