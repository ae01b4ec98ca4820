package facet

import (
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// FormatParty writes p as SPDX 2 does: "Person: Jane Doe (jane@example.org)". A party of unknown kind is written
// as an organisation. The zero Party gives "".
func FormatParty(p seaworthy.Party) string {
	if p == (seaworthy.Party{}) {
		return ""
	}
	kind := "Organization: "
	switch p.Kind {
	case seaworthy.Person:
		kind = "Person: "
	case seaworthy.Software:
		kind = "Tool: "
	}
	if p.Email != "" {
		return kind + p.Name + " (" + p.Email + ")"
	}
	return kind + p.Name
}

// ParseParty reads "Person: name (email)", "Organization: …" and "Tool: …". Words without a kind are a name;
// NOASSERTION and "" are nobody.
func ParseParty(s string) seaworthy.Party {
	s = strings.TrimSpace(s)
	var p seaworthy.Party
	kind, rest, ok := strings.Cut(s, ":")
	switch {
	case s == "NOASSERTION":
		return p
	case ok && strings.EqualFold(kind, "Person"):
		p.Kind = seaworthy.Person
	case ok && strings.EqualFold(kind, "Organization"):
		p.Kind = seaworthy.Organization
	case ok && strings.EqualFold(kind, "Tool"):
		p.Kind = seaworthy.Software
	default:
		rest = s
	}
	p.Name = strings.TrimSpace(rest)
	if i := strings.LastIndexByte(p.Name, '('); i >= 0 && strings.HasSuffix(p.Name, ")") {
		inner := p.Name[i+1 : len(p.Name)-1]
		if inner == "" || strings.Contains(inner, "@") {
			p.Name, p.Email = strings.TrimSpace(p.Name[:i]), strings.TrimSpace(inner)
		}
	}
	return p
}

// FormatTool writes t as SPDX does: "name-version". The vendor has no place there.
func FormatTool(t seaworthy.Tool) string {
	if t.Version == "" {
		return t.Name
	}
	return t.Name + "-" + t.Version
}

// ParseTool reads "name-version". The version begins after the first hyphen that a digit, or "v" and a digit,
// follows.
func ParseTool(s string) seaworthy.Tool {
	s = strings.TrimSpace(s)
	for i := 1; i+1 < len(s); i++ {
		if s[i] != '-' {
			continue
		}
		rest := strings.TrimPrefix(s[i+1:], "v")
		if rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			return seaworthy.Tool{Name: s[:i], Version: s[i+1:]}
		}
	}
	return seaworthy.Tool{Name: s}
}

// FormatTime writes t as SPDX demands: UTC, whole seconds. The zero time is written as the first second of 1970,
// which SPDX cannot leave out.
func FormatTime(t time.Time) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().Truncate(time.Second).Format("2006-01-02T15:04:05Z")
}

// ParseTime reads a time, with a fraction or an offset too; the result is UTC in whole seconds. exact is false when
// it is not written as SPDX demands. Errors: Invalid.
func ParseTime(s string) (t time.Time, exact bool, err error) {
	trimmed := strings.TrimSpace(s)
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02"} {
		t, err = time.Parse(layout, trimmed)
		if err == nil {
			t = t.UTC().Truncate(time.Second)
			return t, FormatTime(t) == s, nil
		}
	}
	return time.Time{}, false, seaworthy.Errorf(seaworthy.Invalid, "reading time %q", Clip(s))
}
