package packages

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/seaworthy-dev/seaworthy"
)

// dpkg reads the package database of Debian and its kin (deb-control(5), dpkg(1)): the status file, the one
// file per package of images without dpkg (status.d), the lists of installed files, and the copyright files
// (dpkg_copyright.go). opkg's database has the same form.
var dpkg = Recogniser{Name: "dpkg", Version: 1, Wants: wantsDpkg, Read: readDpkg, Join: joinDpkg}

const (
	dpkgStatus  = "var/lib/dpkg/status"
	dpkgStatusD = "var/lib/dpkg/status.d/"
	dpkgInfo    = "var/lib/dpkg/info/"
	dpkgDoc     = "usr/share/doc/"
	opkgStatus  = "usr/lib/opkg/status"
	opkgInfo    = "usr/lib/opkg/info/"
)

func wantsDpkg(path string, _ int64, _ fs.FileMode) bool {
	switch {
	case strings.HasPrefix(path, "usr/share/"):
		_, ok := copyrightOf(path)
		return ok
	case strings.HasPrefix(path, "var/lib/dpkg/"):
		return path == dpkgStatus || strings.HasPrefix(path, dpkgStatusD) ||
			strings.HasPrefix(path, dpkgInfo) && (strings.HasSuffix(path, ".list") || strings.HasSuffix(path, ".md5sums"))
	case strings.HasPrefix(path, "usr/lib/opkg/"):
		return path == opkgStatus || strings.HasPrefix(path, opkgInfo) && strings.HasSuffix(path, ".list")
	}
	return false
}

// copyrightOf returns the folder's name of usr/share/doc/NAME/copyright.
func copyrightOf(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, dpkgDoc)
	if !ok {
		return "", false
	}
	name, ok := strings.CutSuffix(rest, "/copyright")
	return name, ok && name != "" && strings.IndexByte(name, '/') < 0
}

func readDpkg(f *File) (Facts, error) {
	body, err := f.Bytes()
	if err != nil {
		return Facts{}, err
	}
	if name, ok := copyrightOf(f.Path); ok {
		return Facts{About: strings.Clone(name), Licences: seaworthy.Licences{Declared: debianCopyright(body)}}, nil
	}
	base := f.Path[strings.LastIndexByte(f.Path, '/')+1:]
	if name, ok := strings.CutSuffix(base, ".md5sums"); ok {
		files, err := parseMD5Sums(body)
		return Facts{About: strings.Clone(name), Files: files}, err
	}
	if name, ok := strings.CutSuffix(base, ".list"); ok {
		return Facts{About: strings.Clone(name), Files: parseDpkgList(body)}, nil
	}
	ecosystem := "deb"
	if f.Path == opkgStatus {
		ecosystem = "opkg"
	}
	packages, err := parseDpkgStatus(body, ecosystem, strings.HasPrefix(f.Path, dpkgStatusD))
	return Facts{Packages: packages}, err
}

// parseDpkgStatus reads deb822 stanzas. Those of packages that are not installed (removed but for their
// configuration, half-configured and so on) are left out; single says that there is no Status to ask.
func parseDpkgStatus(body []byte, ecosystem string, single bool) ([]seaworthy.Package, error) {
	var out []seaworthy.Package
	var err error
	for len(body) > 0 {
		stanza := body
		if i := bytes.Index(body, []byte("\n\n")); i >= 0 {
			stanza, body = body[:i+1], body[i+2:]
		} else {
			body = nil
		}
		if len(bytes.TrimSpace(stanza)) == 0 {
			continue
		}
		p, ok, e := parseDpkgStanza(stanza, ecosystem, single)
		if ok {
			out = append(out, p)
		}
		if e != nil && err == nil {
			err = e
		}
	}
	return out, err
}

func parseDpkgStanza(stanza []byte, ecosystem string, single bool) (p seaworthy.Package, ok bool, err error) {
	p.Ecosystem = ecosystem
	installed := single
	var provides, source string
	var preDepends, depends []byte
	for len(stanza) > 0 {
		field, value, rest := nextField(stanza)
		stanza = rest
		switch string(field) {
		case "Package":
			p.Name = text(value)
		case "Status":
			// want flag status: only the last says whether the files are there.
			words := bytes.Fields(value)
			installed = len(words) == 3 && isInstalled(string(words[2]))
		case "Version":
			p.Version = text(value)
		case "Architecture":
			p.Arch = text(value)
		case "Source":
			source = text(value)
		case "Maintainer":
			p.Supplier = parseParty(text(value))
		case "Original-Maintainer", "XSBC-Original-Maintainer":
			p.Originator = parseParty(text(value))
		case "Homepage":
			p.Homepage = text(value)
		case "Description":
			line, _, _ := bytes.Cut(value, []byte("\n"))
			p.Description = text(line)
		case "Depends":
			depends = value
		case "Pre-Depends":
			preDepends = value
		case "Provides":
			provides = provideNames(value)
		case "Conffiles":
			p.Files = parseConffiles(value)
		}
	}
	if !installed {
		return p, false, nil
	}
	if p.Name == "" || p.Version == "" {
		return p, false, seaworthy.Errorf(seaworthy.Invalid, "reading package %q: no name or version in its stanza", p.Name)
	}
	p.Source = seaworthy.Upstream{Name: p.Name, Version: p.Version}
	if name, rest, _ := strings.Cut(source, " "); name != "" {
		p.Source.Name = name
		if v := strings.Trim(rest, " ()"); v != "" {
			p.Source.Version = v
		}
	}
	p.Depends = parseDebianDepends(parseDebianDepends(nil, preDepends), depends)
	if provides != "" {
		p.Properties = append(p.Properties, seaworthy.Property{Name: providesProperty, Value: provides})
	}
	return p, true, nil
}

// isInstalled reports whether a package in this state has its files in place, even if its scripts are still to run.
func isInstalled(state string) bool {
	return state == "installed" || state == "triggers-pending" || state == "triggers-awaited"
}

// nextField cuts the first field off a deb822 stanza. value holds the continuation lines as they are.
func nextField(stanza []byte) (field, value, rest []byte) {
	end := 0
	for {
		i := bytes.IndexByte(stanza[end:], '\n')
		if i < 0 {
			end = len(stanza)
			break
		}
		end += i + 1
		if end == len(stanza) || stanza[end] != ' ' && stanza[end] != '\t' {
			break
		}
	}
	line := stanza[:end]
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return nil, nil, stanza[end:]
	}
	return line[:colon], bytes.TrimSpace(line[colon+1:]), stanza[end:]
}

// text copies a value out of the body as valid UTF-8.
func text(value []byte) string { return strings.ToValidUTF8(string(value), "\uFFFD") }

// parseDebianDepends appends the relations of a Depends field: "a (>= 1), b | c [amd64] <!nocheck>".
func parseDebianDepends(out []seaworthy.Dependency, value []byte) []seaworthy.Dependency {
	if len(value) == 0 {
		return out
	}
	all := text(value)
	for all != "" {
		var group string
		group, all, _ = strings.Cut(all, ",")
		var d seaworthy.Dependency
		first := true
		for group != "" {
			var one string
			var more bool
			one, group, more = strings.Cut(group, "|")
			name, rng := debianRelation(one)
			if name == "" {
				continue
			}
			if first {
				d.Name, d.Range = name, rng
			}
			if more || !first {
				d.Any = append(d.Any, name)
			}
			first = false
		}
		if d.Name != "" {
			out = append(out, d)
		}
	}
	return out
}

// debianRelation reads "name:any (>= 1.2) [arch] <profile>".
func debianRelation(s string) (name, rng string) {
	s = strings.TrimSpace(s)
	end := strings.IndexAny(s, " \t\n([<")
	if end < 0 {
		end = len(s)
	}
	name, _, _ = strings.Cut(s[:end], ":")
	if open := strings.IndexByte(s[end:], '('); open >= 0 {
		rng = s[end+open+1:]
		if close := strings.IndexByte(rng, ')'); close >= 0 {
			rng = rng[:close]
		}
		rng = strings.TrimSpace(rng)
	}
	return name, rng
}

// provideNames turns a Provides field into names, one a line.
func provideNames(value []byte) string {
	var out strings.Builder
	all := text(value)
	for all != "" {
		var one string
		one, all, _ = strings.Cut(all, ",")
		if name, _ := debianRelation(one); name != "" {
			if out.Len() > 0 {
				out.WriteByte('\n')
			}
			out.WriteString(name)
		}
	}
	return out.String()
}

// parseConffiles reads " /etc/file md5sum [obsolete]" lines.
func parseConffiles(value []byte) []seaworthy.OwnedFile {
	var out []seaworthy.OwnedFile
	for line := range bytes.Lines(value) {
		words := bytes.Fields(line)
		if len(words) < 2 {
			continue
		}
		file := seaworthy.OwnedFile{Path: cleanPath(words[0])}
		if d, err := seaworthy.NewDigest("md5", string(words[1])); err == nil {
			file.Digest = d
		}
		out = append(out, file)
	}
	return out
}

// cleanPath copies a path out of the body without its leading slash.
func cleanPath(p []byte) string { return text(bytes.TrimLeft(p, "/")) }

const md5Hex = 32

// parseMD5Sums reads "digest  path" lines. All paths and digests share one copy of the file.
func parseMD5Sums(body []byte) ([]seaworthy.OwnedFile, error) {
	lines := bytes.Count(body, []byte("\n")) + 1
	out := make([]seaworthy.OwnedFile, 0, lines)
	slab := make([]byte, 0, len(body)+4*lines)
	ends := make([]int, 0, lines)
	bad := 0
	for line := range bytes.Lines(body) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			continue
		}
		if len(line) < md5Hex+3 || !isHex(line[:md5Hex]) || line[md5Hex] != ' ' {
			bad++
			continue
		}
		path := bytes.TrimLeft(line[md5Hex+2:], "/")
		path = bytes.TrimPrefix(path, []byte("./"))
		slab = append(append(slab, "md5:"...), line[:md5Hex]...)
		slab = append(slab, path...)
		ends = append(ends, len(slab))
	}
	all := string(slab)
	valid := utf8.ValidString(all)
	start := 0
	for _, end := range ends {
		file := seaworthy.OwnedFile{Digest: seaworthy.Digest(all[start : start+4+md5Hex]), Path: all[start+4+md5Hex : end]}
		if !valid {
			file.Path = strings.ToValidUTF8(file.Path, "\uFFFD")
		}
		out = append(out, file)
		start = end
	}
	if bad > 0 {
		return out, seaworthy.Errorf(seaworthy.Invalid, "reading md5sums: %d lines are not \"digest  path\"", bad)
	}
	return out, nil
}

func isHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// parseDpkgList reads a list of installed files. It names folders too, which are left out where something in
// them is listed as well; links and empty folders cannot be told from files.
func parseDpkgList(body []byte) []seaworthy.OwnedFile {
	all := string(body)
	valid := utf8.ValidString(all)
	out := make([]seaworthy.OwnedFile, 0, bytes.Count(body, []byte("\n"))+1)
	folders := make(map[string]bool)
	last := ""
	for line := range strings.Lines(all) {
		path := strings.TrimLeft(strings.TrimRight(line, "\r\n"), "/")
		if path == "" || path == "." {
			continue
		}
		if !valid {
			path = strings.ToValidUTF8(path, "\uFFFD")
		}
		if i := strings.LastIndexByte(path, '/'); i >= 0 && path[:i] != last {
			last = path[:i]
			folders[last] = true
		}
		out = append(out, seaworthy.OwnedFile{Path: path})
	}
	kept := out[:0]
	for _, f := range out {
		if !folders[f.Path] {
			kept = append(kept, f)
		}
	}
	return slices.Clip(kept)
}
