package packages

import (
	"bytes"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// goMark begins the build information of a Go program (debug/buildinfo, "buildInfoMagic"): 14 bytes, then the
// pointer size and flags, aligned to 16.
var goMark = []byte("\xff Go buildinf:")

const (
	goMarkAlign  = 16
	goHeaderSize = 32
	goInline     = 2 // flag: the strings follow the header, as since Go 1.18
	// maxGoModules is how many modules of one program are reported.
	maxGoModules = 20_000
)

// findGoMark returns the index of the first aligned mark in b, which begins at offset of its file, or -1.
func findGoMark(b []byte, offset int64) int {
	for from := 0; ; {
		i := bytes.Index(b[from:], goMark)
		if i < 0 {
			return -1
		}
		if i += from; (offset+int64(i))%goMarkAlign == 0 {
			return i
		}
		from = i + 1
	}
}

// firstGoInfo returns b from the first mark on that begins build information, as far as can be told from there:
// programs that read build information have the mark among their constants. It returns nil if there is no mark.
func firstGoInfo(b []byte) []byte {
	var first []byte
	for from, tries := 0, 0; tries < maxListTries; tries++ {
		i := findGoMark(b[from:], int64(from))
		if i < 0 {
			break
		}
		from += i
		if first == nil {
			first = b[from:]
		}
		if _, _, ok := inlineGoInfo(b[from:]); ok {
			return b[from:]
		}
		from++
	}
	return first
}

// readGoBinary reads the build information info, which begins with the mark. Programs made before Go 1.18 have
// pointers there, for which the whole executable is needed; whole may be nil, then such are passed over.
func readGoBinary(p string, whole, info []byte) (Facts, error) {
	version, modules, ok := inlineGoInfo(info)
	if !ok {
		if whole == nil || !bytes.HasPrefix(info, goMark) {
			return Facts{}, nil
		}
		bi, err := buildinfo.Read(bytes.NewReader(whole))
		if err != nil && sniffBinary(whole) != elfBinary {
			return Facts{}, nil // the mark was one of its constants
		}
		if err != nil {
			return Facts{}, seaworthy.Errorf(seaworthy.Invalid, "reading the Go build information of %q: %w", p, err)
		}
		return goFacts(p, bi)
	}
	bi, err := debug.ParseBuildInfo(modules)
	if err != nil {
		return Facts{}, seaworthy.Errorf(seaworthy.Invalid, "reading the Go build information of %q: %w", p, err)
	}
	bi.GoVersion = version
	return goFacts(p, bi)
}

// inlineGoInfo reads the form used since Go 1.18: header, then two strings, each with its length as a varint
// before it: the Go version and the module list between two sentinels of 16 bytes.
func inlineGoInfo(b []byte) (version, modules string, ok bool) {
	if len(b) < goHeaderSize || !bytes.HasPrefix(b, goMark) || b[15]&goInline == 0 {
		return "", "", false
	}
	b = b[goHeaderSize:]
	next := func() ([]byte, bool) {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > uint64(len(b)-used) {
			return nil, false
		}
		s := b[used : used+int(n)]
		b = b[used+int(n):]
		return s, true
	}
	v, ok := next()
	if !ok || !bytes.HasPrefix(v, []byte("go1")) && !bytes.HasPrefix(v, []byte("devel ")) || len(v) > 256 {
		return "", "", false
	}
	m, ok := next()
	if !ok {
		return "", "", false
	}
	if len(m) >= 33 && m[len(m)-17] == '\n' {
		return string(v), string(m[16 : len(m)-16]), true
	}
	return string(v), "", true
}

// goFacts makes packages of build information: the program, the standard library, and each module linked in.
func goFacts(p string, bi *debug.BuildInfo) (Facts, error) {
	goVersion, _, _ := strings.Cut(strings.TrimPrefix(bi.GoVersion, "go"), " ")
	main := seaworthy.Package{
		Ref: "main", Role: seaworthy.Application, Direct: true, Ecosystem: "golang",
		Name: bi.Main.Path, Version: bi.Main.Version,
	}
	switch {
	case bi.Main.Path != "" && bi.Main.Version != "" && bi.Main.Version != "(devel)":
		main.PURL = purl.Golang(bi.Main.Path, bi.Main.Version)
	case bi.Main.Path != "":
		main.PURL = purl.Golang(bi.Main.Path, "")
	case strings.HasPrefix(bi.Path, "cmd/"): // a program of the Go distribution itself
		main.Name, main.Version = "toolchain", goVersion
		main.PURL = purl.PURL{Type: "golang", Name: "toolchain", Version: goVersion, Subpath: bi.Path}.String()
		main.Licences.Declared = goLicence
	case bi.Path != "":
		main.Name = bi.Path
	default:
		main.Name = p[strings.LastIndexByte(p, '/')+1:]
	}
	if bi.Main.Replace == nil {
		setGoSum(&main, bi.Main.Sum)
	}
	if bi.Path != "" {
		main.Properties = append(main.Properties, seaworthy.Property{Name: "go:path", Value: bi.Path})
	}
	main.Properties = append(main.Properties, seaworthy.Property{Name: "go:version", Value: bi.GoVersion})
	main.Properties = append(main.Properties, goSettings(bi.Settings)...)
	std := seaworthy.Package{
		Ref: "stdlib", Ecosystem: "golang", Name: "stdlib", Version: goVersion, PURL: purl.Golang("stdlib", goVersion),
		Description: "Go standard library", Homepage: "https://go.dev/", Licences: seaworthy.Licences{Declared: goLicence},
		Originator: seaworthy.Party{Kind: seaworthy.Organization, Name: "The Go Authors"},
	}
	facts := Facts{Packages: []seaworthy.Package{main, std}}
	facts.Relations = append(facts.Relations, seaworthy.Relation{From: main.Ref, Type: seaworthy.DependsOn, To: std.Ref})
	for i, m := range bi.Deps {
		if i == maxGoModules {
			return facts, seaworthy.Errorf(seaworthy.TooLarge, "reading the Go build information of %q: more than %d modules", p, maxGoModules)
		}
		dep := goModule(m)
		if dep.Name == "" {
			continue // a damaged list
		}
		dep.Ref = strconv.Itoa(i)
		facts.Packages = append(facts.Packages, dep)
		facts.Relations = append(facts.Relations, seaworthy.Relation{From: main.Ref, Type: seaworthy.DependsOn, To: dep.Ref})
	}
	return facts, nil
}

// goLicence is that of the Go distribution.
const goLicence = "BSD-3-Clause"

// goModule makes a package of a module. Of a replaced one the code is the replacement's; a replacement that is
// a directory has no name of its own.
func goModule(m *debug.Module) seaworthy.Package {
	p := seaworthy.Package{Ecosystem: "golang", Name: m.Path, Version: m.Version}
	sum := m.Sum
	if r := m.Replace; r != nil {
		sum = r.Sum
		if r.Version == "" || strings.HasPrefix(r.Path, ".") || strings.HasPrefix(r.Path, "/") {
			p.Properties = []seaworthy.Property{{Name: "go:replacedBy", Value: "a local directory"}}
		} else {
			p.Name, p.Version = r.Path, r.Version
			p.Properties = []seaworthy.Property{{Name: "go:replaces", Value: m.Path + "@" + m.Version}}
		}
	}
	version := p.Version
	if version == "(devel)" {
		version = ""
	}
	p.PURL = purl.Golang(p.Name, version)
	setGoSum(&p, sum)
	return p
}

// setGoSum keeps "h1:base64", which is a SHA-256 over the module's files (golang.org/x/mod/sumdb/dirhash).
func setGoSum(p *seaworthy.Package, sum string) {
	value, ok := strings.CutPrefix(sum, "h1:")
	if !ok {
		return
	}
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return
	}
	if d, err := seaworthy.NewDigest("sha256", hex.EncodeToString(raw)); err == nil {
		p.Hashes, p.HashOf = []seaworthy.Digest{d}, seaworthy.HashOfModule
	}
}

// goSettings keeps the build settings that say how the program was made. Flags for C compilers are left out:
// they hold paths of the build machine. Of -ldflags, values given with -X are left out, since people pass
// secrets there.
func goSettings(settings []debug.BuildSetting) []seaworthy.Property {
	var out []seaworthy.Property
	for _, s := range settings {
		value := s.Value
		switch {
		case s.Key == "-ldflags":
			value = redactLinkerFlags(value)
		case s.Key == "CGO_ENABLED", s.Key == "DefaultGODEBUG", s.Key == "-buildmode", s.Key == "-compiler",
			s.Key == "-tags", s.Key == "-trimpath", s.Key == "-race", s.Key == "-msan", s.Key == "-asan", s.Key == "-cover",
			s.Key == "vcs", strings.HasPrefix(s.Key, "vcs."), strings.HasPrefix(s.Key, "GO"):
		default:
			continue
		}
		if value != "" {
			out = append(out, seaworthy.Property{Name: "go:" + s.Key, Value: value})
		}
	}
	return out
}

// redactLinkerFlags keeps the names of linker flags and drops every value that may be a secret or a path:
// "-s -w -X main.token=abc" gives "-s -w -X main.token=…".
func redactLinkerFlags(flags string) string {
	var out []string
	name := false // the next word is the "package.variable=value" of -X
	var quote byte
	word := func(w string) {
		switch {
		case name:
			name = false
			key, _, _ := strings.Cut(w, "=")
			out = append(out, key+"=…")
		case w == "-X" || w == "--X":
			name = true
			out = append(out, "-X")
		case strings.HasPrefix(w, "-X=") || strings.HasPrefix(w, "--X="):
			_, w, _ = strings.Cut(w, "=")
			key, _, _ := strings.Cut(w, "=")
			out = append(out, "-X="+key+"=…")
		case strings.HasPrefix(w, "-"):
			key, _, valued := strings.Cut(w, "=")
			if valued {
				key += "=…"
			}
			out = append(out, key)
		default:
			out = append(out, "…")
		}
	}
	// Words as the go command splits them: by spaces outside of single or double quotes.
	var w []byte
	in := false
	for i := range len(flags) {
		switch c := flags[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, in = c, true
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if in {
				word(string(w))
			}
			w, in = w[:0], false
		default:
			w, in = append(w, c), true
		}
	}
	if in {
		word(string(w))
	}
	return strings.Join(out, " ")
}
