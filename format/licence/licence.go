// Package licence turns what packages say about their licence into SPDX licence expressions
// (SPDX 2.3 annex D) and recognises the common licence texts.
//
// Normalise is for names ("GPLv2+", a PyPI classifier, a URL from a pom), FromText for whole texts. The list of
// identifiers is that of github.com/github/go-spdx; the syntax is read here, since that library compiles
// regular expressions for every word. Neither a name nor a text is ever guessed at: what is not recognised is
// a LicenseRef- or nothing.
package licence

import (
	"slices"
	"strings"

	"github.com/github/go-spdx/v2/spdxexp/spdxlicenses"
)

// maxName is the longest string, in bytes, that is read as names and operators; longer ones are texts.
const maxName = 512

// maxIdentifier is above the length in bytes of every SPDX identifier.
const maxIdentifier = 64

// Normalise returns the SPDX expression for what a package manager or author wrote: "Apache 2.0" gives
// "Apache-2.0", "GPLv2+" gives "GPL-2.0-or-later". What is no known licence becomes a LicenseRef- made of the
// words, so the result is always a valid expression. "" stays "", and so do the words that only say that
// nothing was said: NOASSERTION and UNKNOWN.
func Normalise(s string) string {
	if id, ok := identifier(s); ok {
		return id
	}
	s = strings.TrimSpace(s)
	if s == "" || strings.EqualFold(s, "NOASSERTION") || strings.EqualFold(s, "UNKNOWN") {
		return ""
	}
	if out, ok := parse(s, false); ok {
		return out
	}
	return fromWords(s)
}

// Valid reports whether s is a syntactically valid SPDX expression of known identifiers and LicenseRef-s.
// Deprecated identifiers are known; operators must be in upper case.
func Valid(s string) bool {
	_, ok := parse(s, true)
	return ok
}

// And joins expressions with AND: each operand once, sorted. The empty are left out.
func And(expressions ...string) string {
	var parts []string
	for _, e := range expressions {
		parts = appendOperands(parts, e)
	}
	slices.Sort(parts)
	parts = slices.Compact(parts)
	if len(parts) > 1 {
		for i, e := range parts {
			if strings.Contains(e, " OR ") {
				parts[i] = "(" + e + ")"
			}
		}
	}
	return strings.Join(parts, " AND ")
}

// appendOperands appends what e joins by AND outside parentheses, or e whole where it is a choice.
func appendOperands(parts []string, e string) []string {
	const and, or = " AND ", " OR "
	before, depth, start := len(parts), 0, 0
	for i := 0; i < len(e); i++ {
		switch {
		case e[i] == '(':
			depth++
		case e[i] == ')':
			depth--
		case depth > 0 || e[i] != ' ':
		case strings.HasPrefix(e[i:], or):
			return append(parts[:before], e)
		case strings.HasPrefix(e[i:], and):
			parts = append(parts, withoutParentheses(e[start:i]))
			start = i + len(and)
			i = start - 1
		}
	}
	if start < len(e) {
		parts = append(parts, withoutParentheses(e[start:]))
	}
	return parts
}

// withoutParentheses takes one pair off an operand that is wholly in it.
func withoutParentheses(e string) string {
	if len(e) < 2 || e[0] != '(' || e[len(e)-1] != ')' || strings.IndexByte(e[1:len(e)-1], ')') >= 0 {
		return e
	}
	return e[1 : len(e)-1]
}

// replaced gives what SPDX itself says to write instead of deprecated identifiers; "GPL-2.0" and its kin are
// handled by their form.
var replaced = map[string]string{
	"BSD-2-Clause-FreeBSD":             "BSD-2-Clause-Views",
	"BSD-2-Clause-NetBSD":              "BSD-2-Clause",
	"bzip2-1.0.5":                      "bzip2-1.0.6",
	"StandardML-NJ":                    "SMLNJ",
	"GPL-2.0-with-GCC-exception":       "GPL-2.0-only WITH GCC-exception-2.0",
	"GPL-2.0-with-autoconf-exception":  "GPL-2.0-only WITH Autoconf-exception-2.0",
	"GPL-2.0-with-bison-exception":     "GPL-2.0-only WITH Bison-exception-2.2",
	"GPL-2.0-with-classpath-exception": "GPL-2.0-only WITH Classpath-exception-2.0",
	"GPL-2.0-with-font-exception":      "GPL-2.0-only WITH Font-exception-2.0",
	"GPL-3.0-with-GCC-exception":       "GPL-3.0-only WITH GCC-exception-3.1",
	"GPL-3.0-with-autoconf-exception":  "GPL-3.0-only WITH Autoconf-exception-3.0",
	"wxWindows":                        "LGPL-2.0-or-later WITH WxWindows-exception-3.1",
	"AGPL-1.0":                         "AGPL-1.0-only",
}

// identifier returns the canonical spelling of a listed licence identifier, or what replaces it.
func identifier(s string) (string, bool) {
	if len(s) > maxIdentifier || s == "" {
		return "", false
	}
	if ok, id := spdxlicenses.IsActiveLicense(s); ok {
		return id, true
	}
	ok, id := spdxlicenses.IsDeprecatedLicense(s)
	if !ok {
		return "", false
	}
	if better, ok := replaced[id]; ok {
		return better, true
	}
	later := strings.HasSuffix(id, "+")
	suffix := "-only"
	if later {
		suffix = "-or-later"
	}
	if ok, better := spdxlicenses.IsActiveLicense(strings.TrimSuffix(id, "+") + suffix); ok {
		return better, true
	}
	return id, true
}

// parse reads an SPDX expression and writes it with canonical identifiers. It needs no stack: apart from
// parentheses, which are counted, the grammar is regular.
func parse(s string, strict bool) (string, bool) {
	var out strings.Builder
	depth, operand, simple := 0, true, false // operand: one must come next; simple: WITH may follow
	for i := 0; i < len(s); {
		c := s[i]
		if c == ' ' || !strict && (c == '\t' || c == '\n' || c == '\r') {
			i++
			continue
		}
		if c == '(' || c == ')' {
			if (c == '(') != operand {
				return "", false
			}
			if c == '(' {
				depth++
			} else {
				depth--
			}
			if depth < 0 {
				return "", false
			}
			out.WriteByte(c)
			simple = false
			i++
			continue
		}
		end := i
		for end < len(s) && isWordByte(s[end]) {
			end++
		}
		if end == i {
			return "", false
		}
		word := s[i:end]
		i = end
		if operand {
			id, ok := parseOperand(word)
			if !ok {
				return "", false
			}
			out.WriteString(id)
			operand, simple = false, !strings.Contains(id, " ")
			continue
		}
		op := operator(word, strict)
		switch {
		case op == "":
			return "", false
		case op != "WITH":
			operand = true
			out.WriteString(" " + op + " ")
		case !simple:
			return "", false
		default:
			for i < len(s) && s[i] == ' ' {
				i++
			}
			end := i
			for end < len(s) && isWordByte(s[end]) {
				end++
			}
			ok, exception := spdxlicenses.IsException(s[i:end])
			if !ok {
				return "", false
			}
			out.WriteString(" WITH " + exception)
			simple = false
			i = end
		}
	}
	if operand || depth != 0 {
		return "", false
	}
	return out.String(), true
}

func operator(word string, strict bool) string {
	for _, op := range [...]string{"AND", "OR", "WITH"} {
		if word == op || !strict && strings.EqualFold(word, op) {
			return op
		}
	}
	return ""
}

func isWordByte(c byte) bool { return isIDByte(c) || c == '+' || c == ':' }

func isIDByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.'
}

// parseOperand reads a licence identifier, with "+" or not, or a reference.
func parseOperand(word string) (string, bool) {
	if rest, ok := strings.CutPrefix(word, "DocumentRef-"); ok {
		doc, ref, ok := strings.Cut(rest, ":")
		return word, ok && isIDString(doc) && strings.HasPrefix(ref, refPrefix) && isIDString(ref[len(refPrefix):])
	}
	if rest, ok := strings.CutPrefix(word, refPrefix); ok {
		return word, isIDString(rest)
	}
	if id, ok := identifier(word); ok {
		return id, true
	}
	base, ok := strings.CutSuffix(word, "+")
	if !ok {
		return "", false
	}
	id, ok := identifier(base)
	if !ok || strings.Contains(id, " ") || strings.HasSuffix(id, "+") {
		return "", false
	}
	if base, ok := strings.CutSuffix(id, "-only"); ok {
		return base + "-or-later", true
	}
	if strings.HasSuffix(id, "-or-later") {
		return id, true
	}
	return id + "+", true
}

func isIDString(s string) bool {
	for i := range len(s) {
		if !isIDByte(s[i]) {
			return false
		}
	}
	return s != ""
}

const refPrefix = "LicenseRef-"

// maxRef is the most bytes of words kept in a LicenseRef-; longer ones end with a hash of the whole instead.
const maxRef = 64

// reference makes a LicenseRef- of the words of s.
func reference(s string) string {
	out := make([]byte, 0, len(refPrefix)+maxRef+9)
	out = append(out, refPrefix...)
	gap := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+':
			c = 0
		case !isIDByte(c) || c == '-':
			gap = true
			continue
		}
		if len(out) >= len(refPrefix)+maxRef {
			return string(appendHash(out, s))
		}
		if gap && len(out) > len(refPrefix) {
			out = append(out, '-')
		}
		gap = false
		if c == 0 {
			out = append(out, "-plus"...)
			gap = true
			continue
		}
		out = append(out, c)
	}
	if len(out) == len(refPrefix) {
		return string(appendHash(append(out, "unnamed"...), s))
	}
	return string(out)
}

// appendHash adds the FNV-1a hash of s, which tells apart references whose words are cut off.
func appendHash(out []byte, s string) []byte {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	const digits = "0123456789abcdef"
	out = append(out, '-')
	for shift := 28; shift >= 0; shift -= 4 {
		out = append(out, digits[h>>shift&15])
	}
	return out
}
