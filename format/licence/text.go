package licence

import (
	"bytes"
	"slices"
	"strings"
)

// maxText is how many bytes of a text are looked at; the longest common licence has 50 KiB.
const maxText = 96 << 10

// FromText returns the SPDX expression for the text of a licence file, or "" when it is not recognised.
//
// A text is recognised by phrases that occur in one licence only. Several licences in one file are joined by
// AND. Debian's references to /usr/share/common-licenses count where no full text is found.
func FromText(text []byte) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	if !slices.ContainsFunc(hints[:], func(h string) bool { return containsFold(text, h) }) {
		return ""
	}
	words := plainWords(text)
	var found []string
	for _, t := range texts {
		if !containsAll(words, t.all) {
			continue
		}
		if t.none != "" && strings.Contains(words, t.none) {
			continue
		}
		found = append(found, t.id)
	}
	found = append(found, permissive(words)...)
	found = append(found, gnuNotices(words)...)
	if len(found) == 0 {
		found = commonLicences(text)
	}
	slices.Sort(found)
	return And(slices.Compact(found)...)
}

// hints are words, lower case, one of which is in every text that is recognised.
var hints = [...]string{"licen", "permission", "redistribution", "public domain", "copyright"}

// containsFold is bytes.Contains for ASCII without regard to the text's case; sub is in lower case.
func containsFold(text []byte, sub string) bool {
	for rest := text; len(rest) >= len(sub); {
		i := bytes.IndexAny(rest, string([]byte{sub[0], sub[0] - 0x20}))
		if i < 0 || len(rest)-i < len(sub) {
			return false
		}
		if strings.EqualFold(string(rest[i:i+len(sub)]), sub) {
			return true
		}
		rest = rest[i+1:]
	}
	return false
}

// plainWords returns the text in lower case with one space between words; what is no letter, digit or dot
// within a number is no part of a word, so that comment marks and quotes do not matter.
func plainWords(text []byte) string {
	out := make([]byte, 1, len(text)+2)
	out[0] = ' '
	for i, c := range text {
		switch {
		case c >= 'A' && c <= 'Z':
			out = append(out, c+'a'-'A')
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c >= 0x80:
			out = append(out, c)
		case c == '.' && i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9':
			out = append(out, c)
		case out[len(out)-1] != ' ':
			out = append(out, ' ')
		}
	}
	if out[len(out)-1] != ' ' {
		out = append(out, ' ')
	}
	return string(out)
}

func containsAll(words string, phrases []string) bool {
	for _, p := range phrases {
		if !strings.Contains(words, p) {
			return false
		}
	}
	return true
}

// texts are licences and the phrases, as plainWords writes them, that tell them from all others.
var texts = []struct {
	id   string
	all  []string
	none string
}{
	{"Apache-2.0", []string{" apache license ", " terms and conditions for use reproduction and distribution "}, ""},
	{"Apache-2.0", []string{" licensed under the apache license version 2.0 "}, " terms and conditions for use reproduction "},
	{"Apache-1.1", []string{" the apache software license version 1.1 "}, ""},
	{"MPL-2.0", []string{" mozilla public license version 2.0 ", " 1.1 contributor means "}, ""},
	{"MPL-2.0", []string{" this source code form is subject to the terms of the mozilla public license v 2.0 "}, " 1.1 contributor means "},
	{"MPL-1.1", []string{" mozilla public license version 1.1 ", " 1.0.1 commercial use means "}, ""},
	{"EPL-2.0", []string{" eclipse public license v 2.0 ", " the accompanying program is provided under the terms of this eclipse public license "}, ""},
	{"EPL-1.0", []string{" eclipse public license v 1.0 ", " the accompanying program is provided under the terms of this eclipse public license "}, ""},
	{"CDDL-1.0", []string{" common development and distribution license cddl version 1.0 "}, ""},
	{"AGPL-3.0-only", []string{" gnu affero general public license version 3 19 november 2007 "}, ""},
	{"GPL-3.0-only", []string{" gnu general public license version 3 29 june 2007 "}, " this version of the gnu lesser general public license incorporates "},
	{"GPL-2.0-only", []string{" gnu general public license version 2 june 1991 "}, ""},
	{"LGPL-3.0-only", []string{" gnu lesser general public license version 3 29 june 2007 "}, ""},
	{"LGPL-2.1-only", []string{" gnu lesser general public license version 2.1 february 1999 "}, ""},
	{"LGPL-2.0-only", []string{" gnu library general public license version 2 june 1991 "}, ""},
	{"Zlib", []string{" this software is provided as is without any express or implied warranty ", " altered source versions must be plainly marked as such and must not be misrepresented "}, ""},
	{"Unlicense", []string{" this is free and unencumbered software released into the public domain "}, ""},
	{"CC0-1.0", []string{" cc0 1.0 universal ", " affirmer "}, ""},
	{"CC-BY-4.0", []string{" creative commons attribution 4.0 international public license "}, " attribution sharealike 4.0 "},
	{"BSL-1.0", []string{" boost software license version 1.0 ", " permission is hereby granted free of charge to any person or organization obtaining a copy "}, ""},
	{"Artistic-2.0", []string{" the artistic license 2.0 ", " this license establishes the terms under which a given free software package may be copied "}, ""},
	{"Artistic-1.0-Perl", []string{" the artistic license ", " aggregation of this package with a commercial distribution is always permitted "}, " the artistic license 2.0 "},
	{"PSF-2.0", []string{" this license agreement is between the python software foundation "}, ""},
	{"OpenSSL", []string{" this product includes software developed by the openssl project "}, ""},
	{"WTFPL", []string{" do what the fuck you want to public license "}, ""},
	{"OFL-1.1", []string{" sil open font license version 1.1 ", " the font software may be sold as part of a larger software package "}, ""},
	{"curl", []string{" and this permission notice appear in all copies the software is provided as is ", " noninfringement of third party rights "}, ""},
	{"FSFAP", []string{" copying and distribution of this file with or without modification are permitted in any medium without royalty "}, ""},
}

// permissive tells the licences of the MIT, ISC and BSD families from each other by their conditions.
func permissive(words string) []string {
	var found []string
	if strings.Contains(words, " permission is hereby granted free of charge to any person obtaining a copy of this software and associated documentation files ") {
		switch {
		case strings.Contains(words, " except as contained in this notice the name "):
			found = append(found, "X11")
		case strings.Contains(words, " the software shall be used for good not evil "):
			found = append(found, "JSON")
		case strings.Contains(words, " redistributions of source code must retain the above copyright notice this list of conditions and the following disclaimers "):
			found = append(found, "NCSA")
		case strings.Contains(words, " the above copyright notice and this permission notice ") || strings.Contains(words, " the above copyright notice and the permission notice "):
			found = append(found, "MIT")
		case strings.Contains(words, " to whom the software is furnished to do so the software is provided as is "):
			found = append(found, "MIT-0")
		}
	}
	isc := strings.Contains(words, " use copy modify and or distribute this software for any purpose with or without fee is hereby granted ") ||
		strings.Contains(words, " use copy modify and distribute this software for any purpose with or without fee is hereby granted ")
	if isc && strings.Contains(words, " loss of use data or profits whether in an action of contract negligence or other tortious action ") {
		if strings.Contains(words, " appear in all copies ") {
			found = append(found, "ISC")
		} else {
			found = append(found, "0BSD")
		}
	}
	if strings.Contains(words, " redistribution and use in source and binary forms with or without modification are permitted ") &&
		strings.Contains(words, " copyright notice this list of conditions and the following disclaimer ") &&
		!strings.Contains(words, " this product includes software developed by the openssl project ") {
		third := strings.Contains(words, " endorse or promote products derived from this software ") || strings.Contains(words, " to endorse or promote products ")
		switch {
		case strings.Contains(words, " all advertising materials mentioning features or use of this software must display "):
			found = append(found, "BSD-4-Clause")
		case third:
			found = append(found, "BSD-3-Clause")
		case strings.Contains(words, " binary form must reproduce the above copyright notice "):
			found = append(found, "BSD-2-Clause")
		default:
			found = append(found, "BSD-1-Clause")
		}
	}
	return found
}

// gnuNotices finds the notice that a program's files carry under a GNU licence: the licence, its version, and
// whether later ones may be chosen. The notice at the end of the licence's own text is not one.
func gnuNotices(words string) []string {
	var found []string
	if strings.Contains(words, " how to apply these terms to your new ") {
		return nil
	}
	const start = " redistribute it and or modify it under the terms of the gnu "
	for rest := words; len(found) < maxGroups; {
		i := strings.Index(rest, start)
		if i < 0 {
			break
		}
		rest = rest[i+len(start)-1:]
		clause := rest[:min(len(rest), 400)]
		family := ""
		for _, f := range [...]struct{ words, id string }{
			{" general public license ", "GPL"},
			{" lesser general public license ", "LGPL"},
			{" library general public license ", "LGPL"},
			{" affero general public license ", "AGPL"},
		} {
			if after, ok := strings.CutPrefix(clause, f.words); ok {
				family, clause = f.id, " "+after
			}
		}
		at := strings.Index(clause, " version ")
		if family == "" || at < 0 || at > 120 {
			continue
		}
		number, _, _ := strings.Cut(clause[at+len(" version "):], " ")
		later := ""
		if n := strings.Index(clause, " any later version "); n >= 0 && n < at+160 {
			later = "+"
		}
		if id := gnu(strings.ToLower(family) + strings.TrimRight(number, ".") + later); id != "" && number != "" && number[0] <= '9' {
			found = append(found, id)
		}
	}
	return found
}

const commonLicencesPath = "/usr/share/common-licenses/"

// commonLicences finds the files that a Debian copyright file refers to. What it says around the reference
// ("or any later version") is not read: a reference alone is to that version.
func commonLicences(text []byte) []string {
	var found []string
	for len(found) < maxGroups {
		i := bytes.Index(text, []byte(commonLicencesPath))
		if i < 0 {
			break
		}
		text = text[i+len(commonLicencesPath):]
		end := 0
		for end < len(text) && end < maxIdentifier && isIDByte(text[end]) {
			end++
		}
		name := strings.TrimRight(string(text[:end]), ".-")
		if id := plainName(name); id != "" {
			found = append(found, id)
		}
	}
	return found
}
