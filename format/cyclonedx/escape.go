package cyclonedx

import (
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Escape marks a byte that the format cannot carry: U+241B, the picture of the ESC character, followed by the
// byte's value as two hexadecimal digits in square brackets: "␛[07]". JSON cannot carry what is not UTF-8;
// XML 1.0 cannot carry most control characters either. The mark itself is always written in this form, so
// reading gives back exactly what was written.
const Escape = "␛"

// written returns s as the format can carry it.
func written(s string, forXML bool) string {
	if carriable(s, forXML) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if (r == utf8.RuneError && size == 1) || r == '␛' || (forXML && !xmlChar(r)) {
			for _, c := range []byte(s[i : i+size]) {
				b.WriteString(Escape + "[")
				b.WriteByte(hexDigits[c>>4])
				b.WriteByte(hexDigits[c&15])
				b.WriteByte(']')
			}
		} else {
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

const hexDigits = "0123456789abcdef"

func carriable(s string, forXML bool) bool {
	ascii := true
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
		if forXML && s[i] < ' ' && !xmlChar(rune(s[i])) {
			return false
		}
	}
	if ascii {
		return true
	}
	if !utf8.ValidString(s) || strings.Contains(s, Escape) {
		return false
	}
	return !forXML || strings.IndexFunc(s, func(r rune) bool { return !xmlChar(r) }) < 0
}

// xmlChar is production 2 of XML 1.0 (fifth edition).
func xmlChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || (r >= ' ' && r <= 0xd7ff) ||
		(r >= 0xe000 && r <= 0xfffd) || r >= 0x10000
}

// original undoes written.
func original(s string) string {
	if !strings.Contains(s, Escape+"[") {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for {
		before, after, ok := strings.Cut(s, Escape+"[")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		if len(after) >= 3 && after[2] == ']' {
			if v, err := strconv.ParseUint(after[:2], 16, 8); err == nil {
				b.WriteByte(byte(v))
				s = after[3:]
				continue
			}
		}
		b.WriteString(Escape + "[")
		s = after
	}
}

// visibleWriter writes characters that steer terminals and the direction of text as escapes of the format:
// they occur inside strings only, so a program reads the same and a person sees what is there.
type visibleWriter struct {
	w      io.Writer
	forXML bool
	buf    []byte
	rest   []byte // start of a character that may have to be escaped, cut by the end of a Write
}

// steering reports whether r is DEL, a C1 control, a bidirectional control, an invisible format character, a
// line separator or a byte order mark.
func steering(r rune) bool {
	switch {
	case r >= 0x7f && r <= 0x9f, r == 0x61c, r == 0xfeff:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f:
		return true
	}
	return false
}

// mayStartSteering reports whether c is the first byte of a steering character.
func mayStartSteering(c byte) bool {
	return c == 0x7f || c == 0xc2 || c == 0xd8 || c == 0xe2 || c == 0xef
}

func (v *visibleWriter) Write(p []byte) (int, error) {
	n := len(p)
	if len(v.rest) > 0 {
		p = append(v.rest, p...)
		v.rest = nil
	}
	v.buf = v.buf[:0]
	from := 0
	for i := 0; i < len(p); {
		if !mayStartSteering(p[i]) {
			i++
			continue
		}
		if !utf8.FullRune(p[i:]) {
			v.rest = append([]byte(nil), p[i:]...)
			p = p[:i]
			break
		}
		r, size := utf8.DecodeRune(p[i:])
		if steering(r) {
			v.buf = append(v.buf, p[from:i]...)
			v.buf = v.appendEscape(v.buf, r)
			from = i + size
		}
		i += size
	}
	v.buf = append(v.buf, p[from:]...)
	if _, err := v.w.Write(v.buf); err != nil {
		return 0, err
	}
	return n, nil
}

func (v *visibleWriter) appendEscape(b []byte, r rune) []byte {
	if v.forXML {
		b = append(b, "&#x"...)
		b = strconv.AppendInt(b, int64(r), 16)
		return append(b, ';')
	}
	return append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

var (
	plainURI   = regexp.MustCompile(`^(?:[A-Za-z0-9\-._~:/?@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+(?:#(?:[A-Za-z0-9\-._~:/?@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)?$`)
	plainEmail = regexp.MustCompile(`^[A-Za-z0-9_%+\-]+(\.[A-Za-z0-9_%+\-]+)*@[A-Za-z0-9]([A-Za-z0-9\-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9\-]*[A-Za-z0-9])?)+$`)
	// plainCPE is the pattern of type cpe in the XML schema, CPE 2.2 and 2.3.
	plainCPE  = regexp.MustCompile(`^(?:[c][pP][eE]:/[AHOaho]?(?::[A-Za-z0-9._\-~%]*){0,6}|cpe:2\.3:[aho*\-](?::(?:(?:\?*|\*?)(?:[a-zA-Z0-9\-._]|(?:\\[\\*?!"#$%&'()+,/:;<=>@\[\]^` + "`" + `{|}~]))+(?:\?*|\*?)|[*\-])){5}(?::(?:[a-zA-Z]{2,3}(?:-(?:[a-zA-Z]{2}|[0-9]{3}))?|[*\-]))(?::(?:(?:\?*|\*?)(?:[a-zA-Z0-9\-._]|(?:\\[\\*?!"#$%&'()+,/:;<=>@\[\]^` + "`" + `{|}~]))+(?:\?*|\*?)|[*\-])){4})$`)
	plainUUID = regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

// uriOK reports whether s may stand where the schemas want a URI. What may not goes into a property.
func uriOK(s string) bool {
	if !plainURI.MatchString(s) {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && len(u.Port()) <= 5 && !strings.Contains(u.Host, "%")
}

func emailOK(s string) bool {
	return len(s) <= 254 && strings.IndexByte(s, '@') <= 64 && plainEmail.MatchString(s)
}
