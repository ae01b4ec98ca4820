package licence

import (
	"strings"

	"github.com/github/go-spdx/v2/spdxexp/spdxlicenses"
)

// fromWords reads what is no SPDX expression: a name, a classifier, a URL, several names joined by words or
// commas, or a whole text.
func fromWords(s string) string {
	if len(s) > maxName || strings.Count(s, "\n") > 2 {
		if id := FromText([]byte(s)); id != "" {
			return id
		}
		first, _, _ := strings.Cut(s, "\n")
		if id := oneName(strings.TrimSpace(first)); id != "" {
			return id
		}
		return reference(s)
	}
	if rest, ok := cutPrefixFold(s, "License :: "); ok {
		return classifier(rest)
	}
	if url, ok := fromURL(s); ok {
		return url
	}
	if id := oneName(s); id != "" {
		return id
	}
	if out := severalNames(s); out != "" {
		return out
	}
	return reference(s)
}

// classifier reads a PyPI trove classifier behind "License :: ".
func classifier(s string) string {
	s, _ = cutPrefixFold(s, "OSI Approved :: ")
	if id := oneName(s); id != "" {
		return id
	}
	return reference(s)
}

// cutPrefixFold is strings.CutPrefix without regard to case.
func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// fromURL reads the address of a licence. ok is false when s is none.
func fromURL(s string) (out string, ok bool) {
	i := strings.Index(s, "://")
	if i < 0 || strings.ContainsAny(s, " \t\n") {
		return "", false
	}
	url := strings.ToLower(s[i+3:])
	url, _, _ = strings.Cut(url, "#")
	url = strings.TrimPrefix(url, "www.")
	url = strings.TrimRight(url, "/")
	for _, suffix := range [...]string{".html", ".txt", ".php", ".htm", ".en", ".json"} {
		url = strings.TrimSuffix(url, suffix)
	}
	if id, ok := urls[url]; ok {
		return id, true
	}
	for _, host := range [...]string{"opensource.org/licenses/", "opensource.org/license/", "spdx.org/licenses/", "choosealicense.com/licenses/", "licenses.nuget.org/"} {
		if rest, ok := strings.CutPrefix(url, host); ok {
			if id := oneName(rest); id != "" {
				return id, true
			}
		}
	}
	if rest, ok := strings.CutPrefix(url, "creativecommons.org/licenses/"); ok {
		rest = strings.TrimSuffix(rest, "/legalcode")
		if id, ok := identifier("CC-" + strings.ReplaceAll(rest, "/", "-")); ok {
			return id, true
		}
	}
	return reference(s), true
}

// oneName reads the name of one licence, perhaps with an exception. "" means not known.
func oneName(s string) string {
	if id := plainName(s); id != "" {
		return id
	}
	if left, right, ok := cutWith(s); ok {
		return withException(left, right)
	}
	return ""
}

// plainName reads a name without exception. What is in parentheses at the end says the same again.
func plainName(s string) string {
	if id := lookup(s); id != "" {
		return id
	}
	s = strings.TrimRight(s, " .")
	open := strings.LastIndexByte(s, '(')
	if open > 0 && strings.HasSuffix(s, ")") {
		// "GNU General Public License (GPL), version 2" is found by the first, "(MPL 2.0)" by the second.
		inside := s[open+1 : len(s)-1]
		if id := lookup(inside); id != "" && hasDigit(inside) {
			return id
		}
		if id := lookup(s[:open]); id != "" {
			return id
		}
		return lookup(inside)
	}
	if close := strings.IndexByte(s, ')'); open > 0 && close > open {
		if id := lookup(s[:open] + s[close+1:]); id != "" {
			return id
		}
	}
	// Debian tells variants of one licence apart by what follows a tilde: the holder's name.
	if base, _, ok := strings.Cut(s, "~"); ok {
		return lookup(base)
	}
	return ""
}

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }

// lookup finds a name in any spelling: case, spaces, punctuation and the words that carry nothing are ignored.
func lookup(s string) string {
	if id, ok := identifier(strings.TrimSpace(s)); ok {
		return id
	}
	var buf, dash [maxName]byte
	key, dashed := squash(s, buf[:0], dash[:0])
	if len(key) == 0 {
		return ""
	}
	if id, ok := aliases[string(key)]; ok {
		return id
	}
	if id := gnu(string(key)); id != "" {
		return id
	}
	words := string(dashed)
	if id, ok := identifier(words); ok {
		return id
	}
	if c := words[len(words)-1]; c >= '0' && c <= '9' {
		if id, ok := identifier(words + ".0"); ok {
			return id
		}
	}
	return ""
}

// filler are the words that say nothing about which licence is meant.
var filler = map[string]bool{
	"the": true, "license": true, "licence": true, "licenses": true, "licensed": true, "version": true,
	"v": true, "ver": true, "under": true, "a": true, "of": true, "s": true, "terms": true, "style": true,
	"revision": true, "rev": true, "release": true,
}

// squash appends the words of s without fillers to key, lower-cased and closed up, and to dashed, with dashes
// between words and before numbers ("MPLv2.0" gives mpl-2.0).
func squash(s string, key, dashed []byte) ([]byte, []byte) {
	if len(s) > maxName/2 {
		return nil, nil
	}
	for i := 0; i < len(s); {
		if !isNameByte(s[i]) {
			i++
			continue
		}
		start := len(key)
		for i < len(s) && isNameByte(s[i]) {
			c := s[i]
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			key = append(key, c)
			i++
		}
		for len(key) > start && key[len(key)-1] == '.' {
			key = key[:len(key)-1]
		}
		word := key[start:]
		if filler[string(word)] || len(word) == 0 {
			key = key[:start]
			continue
		}
		letters := 0
		for letters < len(word) && word[letters] >= 'a' && word[letters] <= 'z' {
			letters++
		}
		number := word[letters:]
		name := word[:letters]
		if letters > 0 && len(number) > 0 && name[letters-1] == 'v' {
			name = name[:letters-1] // v2, GPLv2
		}
		if len(dashed) > 0 {
			dashed = append(dashed, '-')
		}
		dashed = append(dashed, name...)
		if len(name) > 0 && len(number) > 0 {
			dashed = append(dashed, '-')
		}
		dashed = append(dashed, number...)
		if len(name) < letters {
			n := copy(word[len(name):], number)
			key = key[:start+len(name)+n]
		}
	}
	return key, dashed
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '+'
}

// gnuFamilies are the spellings of the GNU licences' names, squashed; the longer before those they begin with.
var gnuFamilies = []struct{ spelling, id string }{
	{"gnulesserorlibrarygeneralpublic", "LGPL"},
	{"gnulibraryorlessergeneralpublic", "LGPL"},
	{"gnulessergeneralpublic", "LGPL"},
	{"gnulibrarygeneralpublic", "LGPL"},
	{"lessergeneralpublic", "LGPL"},
	{"librarygeneralpublic", "LGPL"},
	{"gnulesserpublic", "LGPL"},
	{"gnulesser", "LGPL"},
	{"lessergpl", "LGPL"},
	{"gnuafferogeneralpublic", "AGPL"},
	{"afferogeneralpublic", "AGPL"},
	{"gnuagpl", "AGPL"},
	{"agpl", "AGPL"},
	{"gnuaffero", "AGPL"},
	{"afferogpl", "AGPL"},
	{"gnugeneralpublic", "GPL"},
	{"generalpublic", "GPL"},
	{"gnulgpl", "LGPL"},
	{"lgpl", "LGPL"},
	{"lpgl", "LGPL"},
	{"gnugpl", "GPL"},
	{"gpl", "GPL"},
	{"gnufreedocumentation", "GFDL"},
	{"gnufdl", "GFDL"},
	{"gfdl", "GFDL"},
	{"fdl", "GFDL"},
}

// gnu reads the names of the GNU licences, squashed: family, version, "or later". A licence of this family
// without a version may be used under any of them, as its own text says.
func gnu(key string) string {
	family, rest := "", ""
	for _, f := range gnuFamilies {
		if strings.HasPrefix(key, f.spelling) {
			family, rest = f.id, key[len(f.spelling):]
			break
		}
	}
	if family == "" {
		return ""
	}
	middle := ""
	if r, ok := strings.CutPrefix(rest, "niv"); ok && family == "GFDL" {
		middle, rest = "-no-invariants", r
	}
	if r, ok := strings.CutPrefix(rest, "v"); ok && r != "" && r[0] >= '0' && r[0] <= '9' {
		rest = r
	}
	end := 0
	for end < len(rest) && (rest[end] >= '0' && rest[end] <= '9' || rest[end] == '.') {
		end++
	}
	number, tail := strings.TrimSuffix(rest[:end], "."), rest[end:]
	tail = strings.TrimPrefix(tail, "gpl")
	tail = strings.TrimPrefix(tail, "lgpl")
	if t, ok := strings.CutSuffix(tail, "noinvariant"); ok && family == "GFDL" {
		middle, tail = "-no-invariants", t
	}
	later := false
	switch tail {
	case "", "only":
	case "+", "orlater", "oranylater", "andlater", "ornewer", "orgreater", "plus":
		later = true
	default:
		return ""
	}
	if number == "" {
		number, later = map[string]string{"GPL": "1.0", "LGPL": "2.0", "AGPL": "1.0", "GFDL": "1.1"}[family], true
	}
	number = strings.TrimSuffix(number, ".0")
	if !strings.Contains(number, ".") {
		number += ".0"
	}
	suffix := "-only"
	if later {
		suffix = "-or-later"
	}
	id, _ := identifier(family + "-" + number + middle + suffix)
	return id
}

// cutWith cuts a name at the word "with".
func cutWith(s string) (left, right string, ok bool) {
	for i := 1; i+6 < len(s); i++ {
		if (s[i] == ' ' || s[i] == '-') && strings.EqualFold(s[i+1:i+5], "with") && (s[i+5] == ' ' || s[i+5] == '-') {
			return s[:i], s[i+6:], true
		}
	}
	return "", "", false
}

// withException joins a licence and an exception; "" when either is not known.
func withException(left, right string) string {
	id := plainName(left)
	if id == "" || strings.Contains(id, " ") || strings.HasPrefix(id, refPrefix) {
		return ""
	}
	right = strings.TrimSpace(right)
	if ok, exception := spdxlicenses.IsException(right); ok {
		return id + " WITH " + exception
	}
	var buf, dash [maxName]byte
	key, _ := squash(right, buf[:0], dash[:0])
	name := strings.TrimSuffix(strings.TrimSuffix(string(key), "exceptions"), "exception")
	if exception, ok := exceptions[name]; ok {
		if strings.HasPrefix(id, "GPL-3") && exception == "Autoconf-exception-2.0" {
			exception = "Autoconf-exception-3.0"
		}
		return id + " WITH " + exception
	}
	return ""
}
