package console

import (
	"strings"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// Escape makes visible what would otherwise change how a terminal behaves or how a line reads: control
// characters and with them every terminal escape, line and paragraph separators, bidirectional controls, other
// characters without width that can hide a difference, and bytes that are not UTF-8. It writes them as Go does:
// \n, \x1b, \u202e, \xff. A backslash stays as it is, so the result is for reading and not for parsing back.
// Text that needs nothing is returned as it is, without a copy.
func Escape(s string) string {
	start := 0
	for start < len(s) && s[start] >= 0x20 && s[start] < 0x7f {
		start++
	}
	if start == len(s) {
		return s
	}
	var b strings.Builder
	clean := true
	for i := start; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		bad := r == utf8.RuneError && size == 1
		if bad || mustEscape(r) {
			if clean {
				b.Grow(len(s) + 16)
				b.WriteString(s[:i])
				clean = false
			}
			if bad {
				r = rune(s[i])
			}
			writeEscaped(&b, r, bad)
		} else if !clean {
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	if clean {
		return s
	}
	return b.String()
}

// mustEscape names the characters; the ranges are of Unicode's categories Cc, Zl, Zp and part of Cf.
func mustEscape(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r <= 0x9f: // C0, DEL, C1 (U+009B starts a terminal escape)
		return true
	case r < 0x61c:
		return r == 0xad // soft hyphen: shown by some terminals only
	case r == 0x61c, r == 0x180e: // Arabic letter mark; Mongolian vowel separator
		return true
	case r >= 0x200b && r <= 0x200f: // zero width space, joiners, left-to-right and right-to-left marks
		return r != 0x200d && r != 0x200c // the joiners are part of how emoji and some scripts are written
	case r >= 0x2028 && r <= 0x202e: // line and paragraph separator, bidirectional embeddings and overrides
		return true
	case r >= 0x2060 && r <= 0x206f: // word joiner, invisible operators, bidirectional isolates
		return true
	case r == 0xfeff, r >= 0xfff9 && r <= 0xfffb: // byte order mark, interlinear annotation
		return true
	case r >= 0xe0000 && r <= 0xe007f: // tags: a whole alphabet nobody sees
		return true
	}
	return false
}

func writeEscaped(b *strings.Builder, r rune, rawByte bool) {
	switch {
	case r == '\n':
		b.WriteString(`\n`)
	case r == '\r':
		b.WriteString(`\r`)
	case r == '\t':
		b.WriteString(`\t`)
	case rawByte || r < 0x80:
		b.WriteString(`\x`)
		writeHex(b, r, 2)
	case r <= 0xffff:
		b.WriteString(`\u`)
		writeHex(b, r, 4)
	default:
		b.WriteString(`\U`)
		writeHex(b, r, 8)
	}
}

func writeHex(b *strings.Builder, r rune, digits int) {
	for shift := (digits - 1) * 4; shift >= 0; shift -= 4 {
		b.WriteByte(hexDigits[r>>shift&0xf])
	}
}
