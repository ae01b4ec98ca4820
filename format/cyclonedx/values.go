package cyclonedx

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
)

// form converts between the ground values and their written form in one format.
type form struct{ xml bool }

func (f form) text(s string) string { return written(s, f.xml) }

// marshalText and unmarshalText keep strings inside JSON-valued properties exact. They use the escapes of XML
// in both formats, so that a property has the same value in each.
var (
	marshalText = json.WithMarshalers(json.JoinMarshalers(
		textMarshaler[string](), textMarshaler[seaworthy.Digest](), textMarshaler[seaworthy.Scope](),
		textMarshaler[seaworthy.PartyKind](), textMarshaler[seaworthy.RelationType](),
	))
	unmarshalText = json.WithUnmarshalers(json.JoinUnmarshalers(
		textUnmarshaler[string](), textUnmarshaler[seaworthy.Digest](), textUnmarshaler[seaworthy.Scope](),
		textUnmarshaler[seaworthy.PartyKind](), textUnmarshaler[seaworthy.RelationType](),
	))
)

func textMarshaler[T ~string]() *json.Marshalers {
	return json.MarshalToFunc(func(e *jsontext.Encoder, s T) error {
		return e.WriteToken(jsontext.String(written(string(s), true)))
	})
}

func textUnmarshaler[T ~string]() *json.Unmarshalers {
	return json.UnmarshalFromFunc(func(d *jsontext.Decoder, s *T) error {
		if d.PeekKind() != '"' {
			return seaworthy.Errorf(seaworthy.Invalid, "reading JSON in a property: not a string")
		}
		tok, err := d.ReadToken()
		if err == nil {
			*s = T(original(tok.String()))
		}
		return err
	})
}

// jsonValue returns v as JSON for a property.
func jsonValue(v any) string {
	b, err := json.Marshal(v, marshalText, json.Deterministic(true))
	if err != nil {
		panic("cyclonedx: ground types marshal: " + err.Error()) // strings, numbers and times of our own types
	}
	return string(b)
}

// fromJSONValue undoes jsonValue.
func fromJSONValue(s string, v any) error {
	return json.Unmarshal([]byte(s), v, unmarshalText, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// entity returns p as an organisation, nil when nothing of it can be written so.
func (f form) entity(p seaworthy.Party) *entity {
	e := entity{Name: f.text(p.Name)}
	if p.Email != "" && emailOK(p.Email) {
		e.Contact = []contact{{Email: p.Email}}
	}
	if p.URL != "" && uriOK(p.URL) {
		e.URL = []string{p.URL}
	}
	if e.Name == "" && e.Contact == nil && e.URL == nil {
		return nil
	}
	return &e
}

// contact returns p as a person, nil when nothing of it can be written so.
func (f form) contact(p seaworthy.Party) *contact {
	c := contact{Name: f.text(p.Name)}
	if emailOK(p.Email) {
		c.Email = p.Email
	}
	if c == (contact{}) {
		return nil
	}
	return &c
}

// partyOf reads an organisation. What a Party has no room for (addresses, telephones, further contacts) is
// not kept.
func partyOf(e *entity) seaworthy.Party {
	if e == nil {
		return seaworthy.Party{}
	}
	p := seaworthy.Party{Name: original(e.Name)}
	for _, u := range e.URL {
		if p.URL = original(u); p.URL != "" {
			break
		}
	}
	for _, c := range e.Contact {
		if p.Email = original(c.Email); p.Email != "" {
			break
		}
	}
	for _, c := range e.Contact {
		if p.Name == "" {
			p.Name = original(c.Name)
		}
	}
	if p != (seaworthy.Party{}) {
		p.Kind = seaworthy.Organization
	}
	return p
}

func personOf(c contact) seaworthy.Party {
	p := seaworthy.Party{Name: original(c.Name), Email: original(c.Email)}
	if p != (seaworthy.Party{}) {
		p.Kind = seaworthy.Person
	}
	return p
}

// partyFromLine reads "Name <name@example.org>" or a name alone.
func partyFromLine(s string) seaworthy.Party {
	if name, rest, ok := strings.Cut(s, " <"); ok {
		if email, ok := strings.CutSuffix(rest, ">"); ok && emailOK(email) {
			return seaworthy.Party{Name: name, Email: email}
		}
	}
	return seaworthy.Party{Name: s}
}

// line is partyFromLine turned round.
func line(p seaworthy.Party) string {
	if p.Email == "" {
		return p.Name
	}
	return strings.TrimSpace(p.Name + " <" + p.Email + ">")
}

// hashes returns the digests that CycloneDX has an algorithm for.
func (f form) hashes(ds []seaworthy.Digest) []hash {
	var out []hash
	for _, d := range ds {
		alg, ok := hashAlgs[d.Algorithm()]
		if !ok {
			continue
		}
		if parsed, err := seaworthy.ParseDigest(string(d)); err != nil || parsed != d {
			continue
		}
		out = append(out, hash{alg, d.Hex()})
	}
	return out
}

// digestOf reads a hash; ok is false for an algorithm or value we do not know.
func digestOf(h hash) (seaworthy.Digest, bool) {
	name, ok := hashNames[strings.ToUpper(strings.TrimSpace(h.Alg))]
	if !ok {
		return "", false
	}
	d, err := seaworthy.NewDigest(name, strings.TrimSpace(h.Content))
	return d, err == nil
}

// setIdentifiers writes those identifiers natively that c has room for.
func (f form) setIdentifiers(c *component, name string, ids []seaworthy.Identifier) {
	cpe22 := ""
	for _, id := range ids {
		switch {
		case id.Value == "" || id.Comment != "":
		case id.Type == "cpe23Type" && c.CPE == "" && strings.HasPrefix(id.Value, "cpe:2.3:") && plainCPE.MatchString(id.Value):
			c.CPE = id.Value
		case id.Type == "cpe22Type" && cpe22 == "" && strings.HasPrefix(id.Value, "cpe:/") && plainCPE.MatchString(id.Value):
			cpe22 = id.Value
		case id.Type == "swid" && c.SWID == nil:
			c.SWID = &swid{TagID: f.text(id.Value), Name: f.text(name)}
		case id.Type == "gitoid":
			c.OmniborID = append(c.OmniborID, f.text(id.Value))
		case id.Type == "swh":
			c.SWHID = append(c.SWHID, f.text(id.Value))
		}
	}
	if c.CPE == "" {
		c.CPE = cpe22
	}
}

// identifiersOf reads the identifiers c has natively.
func identifiersOf(c *component) []seaworthy.Identifier {
	var out []seaworthy.Identifier
	if c.CPE != "" {
		out = append(out, seaworthy.Identifier{Type: cpeType(c.CPE), Value: original(c.CPE)})
	}
	if c.SWID != nil && c.SWID.TagID != "" {
		out = append(out, seaworthy.Identifier{Type: "swid", Value: original(c.SWID.TagID)})
	}
	for _, v := range c.OmniborID {
		out = append(out, seaworthy.Identifier{Category: "PERSISTENT-ID", Type: "gitoid", Value: original(v)})
	}
	for _, v := range c.SWHID {
		out = append(out, seaworthy.Identifier{Category: "PERSISTENT-ID", Type: "swh", Value: original(v)})
	}
	return out
}

func cpeType(cpe string) string {
	if strings.HasPrefix(strings.ToLower(cpe), "cpe:/") {
		return "cpe22Type"
	}
	return "cpe23Type"
}
