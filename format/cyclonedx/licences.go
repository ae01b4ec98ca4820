package cyclonedx

import (
	"encoding/base64"
	"strings"

	"github.com/github/go-spdx/v2/spdxexp/spdxlicenses"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/licence"
)

const refPrefix = "LicenseRef-"

// notIn16 are identifiers that are younger than the list of CycloneDX 1.6; they are written as expressions.
var notIn16 = map[string]bool{"Brian-Gladman-3-Clause-no-conversion": true, "MVT-1.1": true}

// knownID reports whether id is on the SPDX list of CycloneDX 1.6, spelt as there.
func knownID(id string) bool {
	if notIn16[id] {
		return false
	}
	if ok, spelt := spdxlicenses.IsActiveLicense(id); ok {
		return spelt == id
	}
	ok, spelt := spdxlicenses.IsDeprecatedLicense(id)
	return ok && spelt == id
}

// licenseRef reports whether s is a LicenseRef- alone.
func licenseRef(s string) bool {
	rest, ok := strings.CutPrefix(s, refPrefix)
	return ok && rest != "" && idString(rest)
}

// idString is SPDX 2.3 annex D: idstring = 1*(ALPHA / DIGIT / "-" / "." ).
func idString(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// choice writes one expression: an identifier of the list as license.id, a LicenseRef- as license.name, and
// anything else as expression.
func (f form) choice(expression, acknowledgement string) licenseChoice {
	switch {
	case knownID(expression):
		return licenseChoice{License: &license{ID: expression, Acknowledgement: acknowledgement}}
	case licenseRef(expression):
		return licenseChoice{License: &license{Name: expression, Acknowledgement: acknowledgement}}
	}
	return licenseChoice{Expression: f.text(expression), Acknowledgement: acknowledgement}
}

// foundChoices writes expressions seen in files. nil when the schema has no room for them: only one may be
// more than a name.
func (f form) foundChoices(found []string) licenses {
	var out licenses
	for _, e := range found {
		c := f.choice(e, "")
		if e == "" || (c.License == nil && len(found) > 1) {
			return nil
		}
		out = append(out, c)
	}
	return out
}

// licenceReader collects the texts that licences of a document come with.
type licenceReader struct {
	texts  []seaworthy.LicenceText
	textAt map[string]int // index in texts by ID
	warn   func(kind problemKind, where, example string)
}

// read joins licence choices with AND, apart by acknowledgement: what is not said to be concluded is declared.
func (r *licenceReader) read(where string, choices licenses) (declared, concluded string) {
	var d, c []string
	for _, choice := range choices {
		e, ack := r.one(where, choice)
		if e == "" {
			continue
		}
		if strings.TrimSpace(ack) == "concluded" {
			c = append(c, e)
		} else {
			d = append(d, e)
		}
	}
	return conjunction(d), conjunction(c)
}

// each returns every choice as an expression of its own.
func (r *licenceReader) each(where string, choices licenses) []string {
	var out []string
	for _, choice := range choices {
		if e, _ := r.one(where, choice); e != "" {
			out = append(out, e)
		}
	}
	return out
}

func (r *licenceReader) one(where string, c licenseChoice) (expression, acknowledgement string) {
	if c.License == nil {
		return original(c.Expression), c.Acknowledgement
	}
	l := c.License
	e := original(l.ID)
	if e == "" {
		e = r.named(l)
	}
	if e == "" && (l.URL != "" || l.Text != nil) {
		e = refOf(original(l.URL) + textOf(l.Text))
	}
	if e == "" {
		return "", ""
	}
	if l.ID == "" {
		r.keepText(where, e, l)
	}
	return e, l.Acknowledgement
}

// named returns the expression for a licence that has a name and no identifier.
func (r *licenceReader) named(l *license) string {
	name := original(l.Name)
	if name == "" || licenseRef(name) {
		return name
	}
	if l.Text == nil {
		if e := licence.Normalise(name); knownID(e) || licenseRef(e) {
			return e
		}
	}
	return refOf(name)
}

// refOf makes a LicenseRef- of words. Different words that would give the same one are told apart by a digest.
func refOf(words string) string {
	var b strings.Builder
	b.WriteString(refPrefix)
	exact := true
	for i := 0; i < len(words) && b.Len() < 80; i++ {
		if c := words[i]; idString(words[i : i+1]) {
			b.WriteByte(c)
			continue
		} else if c != ' ' {
			exact = false
		}
		b.WriteByte('-')
	}
	if !exact || len(words) > 60 || strings.Contains(words, "-") {
		b.WriteString("-" + seaworthy.SHA256([]byte(words)).Hex()[:8])
	}
	return b.String()
}

func textOf(a *attachment) string {
	if a == nil {
		return ""
	}
	text := original(a.Content)
	if strings.TrimSpace(a.Encoding) == "base64" {
		if b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err == nil {
			return string(b)
		}
	}
	return text
}

// keepText remembers the text, name and address behind ref, once.
func (r *licenceReader) keepText(where, ref string, l *license) {
	t := seaworthy.LicenceText{ID: ref, Text: textOf(l.Text)}
	exact := false
	for _, p := range l.Properties {
		if p.Name == propLicenceText {
			exact = fromJSONValue(p.Value, &t) == nil
			t.ID, t.Text = ref, textOf(l.Text)
		}
	}
	if !exact {
		if name := original(l.Name); name != ref {
			t.Name = name
		}
		if l.URL != "" {
			t.URLs = []string{original(l.URL)}
		}
	}
	if !licenseRef(ref) || (!exact && t.Name == "" && t.Text == "" && t.URLs == nil) {
		return
	}
	if i, ok := r.textAt[ref]; ok {
		if known := &r.texts[i]; known.Text == "" && known.Name == t.Name {
			*known = t
		} else if t.Text != "" && t.Text != known.Text {
			r.warn(problemLicenceText, where, ref)
		}
		return
	}
	if r.textAt == nil {
		r.textAt = make(map[string]int)
	}
	r.textAt[ref] = len(r.texts)
	r.texts = append(r.texts, t)
}

func conjunction(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteString(" AND ")
		}
		if strings.Contains(p, " OR ") {
			p = "(" + p + ")"
		}
		b.WriteString(p)
	}
	return b.String()
}
