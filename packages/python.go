package packages

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/licence"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// python recognises installed Python distributions (packaging.python.org, "Recording installed projects" and
// "Core metadata"): *.dist-info/METADATA with RECORD, INSTALLER, REQUESTED and direct_url.json beside it, and
// setuptools' older *.egg-info, a directory with PKG-INFO or a single file.
//
// Distributions that another one carries in a _vendor directory are reported too: their code is there. They
// have the property python:vendored, since pip does not list them.
var python = Recogniser{
	Name:    "python",
	Version: 1,
	Wants: func(p string, _ int64, _ fs.FileMode) bool {
		i := strings.LastIndexByte(p, '/')
		base := p[i+1:]
		if strings.HasSuffix(base, ".egg-info") {
			return !pythonFixture(p)
		}
		if i < 0 {
			return false
		}
		dir := p[:i]
		switch base {
		case "METADATA", "RECORD", "INSTALLER", "REQUESTED", "direct_url.json":
			return strings.HasSuffix(dir, ".dist-info") && !pythonFixture(p)
		case "PKG-INFO", "installed-files.txt", "requires.txt":
			return (strings.HasSuffix(dir, ".egg-info") || strings.HasSuffix(dir, "/EGG-INFO")) && !pythonFixture(p)
		}
		return false
	},
	Read: readPython,
	Join: joinPython,
}

const (
	// maxPythonMetadata is the largest file of a *-info directory that is read: 32 MiB; RECORD of the largest
	// distributions has about 15,000 lines, 2 MB.
	maxPythonMetadata = 32 << 20
	// maxPythonFiles is how many files of one distribution are kept.
	maxPythonFiles = 200_000
)

// pythonFixture reports whether p lies in a package's tests, where *-info directories are samples.
func pythonFixture(p string) bool {
	return strings.Contains(p, "/tests/") || strings.Contains(p, "/test/") || strings.HasPrefix(p, "usr/share/doc/")
}

// Properties of Python packages.
const (
	pythonInstaller = "python:installer"
	pythonVendored  = "python:vendored"
	pythonEditable  = "python:editable"
	pythonVCS       = "python:vcs"
)

func readPython(f *File) (Facts, error) {
	if f.Size > maxPythonMetadata {
		return Facts{}, seaworthy.Errorf(seaworthy.TooLarge, "reading %q: more than %d bytes", f.Path, maxPythonMetadata)
	}
	b, err := f.Bytes()
	if err != nil {
		return Facts{}, err
	}
	dir, base := path.Split(f.Path)
	dir = strings.TrimSuffix(dir, "/")
	switch base {
	case "RECORD":
		return readPythonRecord(f.Path, path.Dir(dir), dir, b)
	case "installed-files.txt":
		facts := Facts{About: dir}
		for line := range strings.Lines(string(b)) {
			if file := pythonFile(dir, strings.TrimSpace(line)); file != "" && len(facts.Files) < maxPythonFiles {
				facts.Files = append(facts.Files, seaworthy.OwnedFile{Path: file})
			}
		}
		return facts, nil
	case "requires.txt":
		return Facts{About: dir, Packages: []seaworthy.Package{{Ecosystem: "pypi", Depends: pythonRequiresTxt(b)}}}, nil
	case "INSTALLER":
		return pythonAbout(dir, pythonInstaller, strings.TrimSpace(string(b))), nil
	case "REQUESTED":
		facts := pythonAbout(dir, "", "")
		facts.Packages[0].Direct = true
		return facts, nil
	case "direct_url.json":
		return readDirectURL(f.Path, dir, b)
	}
	p, err := pythonMetadata(b)
	if err != nil {
		return Facts{}, seaworthy.Wrap(err, seaworthy.Invalid, "reading %q", f.Path)
	}
	facts := Facts{About: dir, Packages: []seaworthy.Package{p}}
	if strings.HasSuffix(base, ".egg-info") {
		facts.About = f.Path
	}
	return facts, nil
}

// pythonAbout is a fact about the distribution of an *-info directory: a package without a name.
func pythonAbout(dir, property, value string) Facts {
	p := seaworthy.Package{Ecosystem: "pypi"}
	if len(value) > maxPythonText {
		return Facts{}
	}
	if property != "" && value != "" {
		p.Properties = []seaworthy.Property{{Name: property, Value: value}}
	}
	return Facts{About: dir, Packages: []seaworthy.Package{p}}
}

// maxPythonText is the longest value kept of one metadata field, in bytes. A License field may hold a whole
// licence text; that is recognised and not kept.
const maxPythonText = 4 << 10

// pythonMetadata reads core metadata: header lines as in mail, up to the first empty line.
func pythonMetadata(b []byte) (seaworthy.Package, error) {
	p := seaworthy.Package{Ecosystem: "pypi"}
	var author, authorMail, maintainer, maintainerMail, expression, free string
	var classifiers []string
	pythonHeaders(b, func(name, value string) {
		long := value
		if len(value) > maxPythonText {
			value = strings.ToValidUTF8(value[:maxPythonText], "")
		}
		value = strings.Clone(value)
		switch strings.ToLower(name) {
		case "name":
			p.Name = value
		case "version":
			p.Version = value
		case "summary":
			p.Description = pythonKnown(value)
		case "home-page":
			p.Homepage = pythonKnown(value)
		case "download-url":
			p.Download = cleanDownload(pythonKnown(value))
		case "author":
			author = pythonKnown(value)
		case "author-email":
			authorMail = pythonKnown(value)
		case "maintainer":
			maintainer = pythonKnown(value)
		case "maintainer-email":
			maintainerMail = pythonKnown(value)
		case "license-expression":
			expression = value
		case "license":
			if free = pythonKnown(value); strings.Contains(long, "\n") {
				free = licence.FromText([]byte(long))
			}
		case "classifier":
			if s, ok := strings.CutPrefix(value, "License :: "); ok {
				classifiers = append(classifiers, s)
			}
		case "project-url":
			label, url, _ := strings.Cut(value, ",")
			url = strings.TrimSpace(url)
			switch strings.ToLower(strings.Join(strings.Fields(label), "")) {
			case "homepage", "home":
				if p.Homepage == "" {
					p.Homepage = url
				}
			case "source", "sourcecode", "repository", "github", "code":
				p.Properties = append(p.Properties, seaworthy.Property{Name: "python:repository", Value: url})
			}
		case "requires-dist":
			if d, ok := pythonRequirement(value); ok {
				p.Depends = append(p.Depends, d)
			}
		}
	})
	if p.Name == "" || p.Version == "" {
		return p, seaworthy.Errorf(seaworthy.Invalid, "no Name or no Version")
	}
	p.PURL = purl.New("pypi", "", normalPython(p.Name), p.Version)
	p.Originator = pythonParty(author, authorMail)
	p.Supplier = pythonParty(maintainer, maintainerMail)
	p.Licences.Declared = pythonLicence(expression, free, classifiers)
	return p, nil
}

// pythonKnown returns s, or "" for the word setuptools used to write for nothing.
func pythonKnown(s string) string {
	if s == "UNKNOWN" {
		return ""
	}
	return s
}

// pythonHeaders calls f for each header of b up to the first empty line. Continuation lines are joined by a
// newline, without their indentation and the "|" of older versions.
func pythonHeaders(b []byte, f func(name, value string)) {
	var name string
	var value []byte
	flush := func() {
		if name != "" {
			f(name, string(bytes.TrimSpace(value)))
		}
		name, value = "", value[:0]
	}
	for len(b) > 0 {
		line, rest, _ := bytes.Cut(b, []byte{'\n'})
		b, line = rest, bytes.TrimSuffix(line, []byte{'\r'})
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			line = bytes.TrimLeft(line, " \t")
			line = bytes.TrimPrefix(line, []byte("|"))
			value = append(append(value, '\n'), line...)
			continue
		}
		flush()
		if head, tail, ok := bytes.Cut(line, []byte{':'}); ok {
			name, value = string(head), append(value, tail...)
		}
	}
	flush()
}

// pythonParty reads name and mail, either of which may hold both: `"Name" <mail>, other`.
func pythonParty(name, mail string) seaworthy.Party {
	first, _, _ := strings.Cut(mail, ",")
	if before, after, ok := strings.Cut(first, "<"); ok {
		if s := strings.Trim(before, ` "`); s != "" && name == "" {
			name = s
		}
		first, _, _ = strings.Cut(after, ">")
	}
	return seaworthy.Party{Name: name, Email: strings.TrimSpace(first)}
}

// pythonLicence chooses what a distribution says of its licence: the expression (PEP 639), then the free field
// when it is a name, then the trove classifiers.
func pythonLicence(expression, free string, classifiers []string) string {
	if expression != "" {
		return licence.Normalise(expression)
	}
	var named []string
	for _, c := range classifiers {
		i := strings.LastIndex(c, " :: ")
		if i < 0 {
			continue // "OSI Approved" alone names none
		}
		named = append(named, c[i+4:])
	}
	if len(free) > 0 && len(free) <= 200 && !(strings.EqualFold(free, "BSD") && len(named) > 0) {
		return licence.Normalise(free)
	}
	switch len(named) {
	case 0:
		return ""
	case 1:
		return licence.Normalise(named[0])
	}
	// Several classifiers do not say whether all hold or one may be chosen: AND is the careful reading.
	for i, s := range named {
		if s = licence.Normalise(s); strings.Contains(s, " OR ") {
			s = "(" + s + ")"
		}
		named[i] = s
	}
	return strings.Join(named, " AND ")
}

// normalPython is the name as PEP 503 compares it: lower case, runs of - _ . as one -.
func normalPython(name string) string {
	var b strings.Builder
	b.Grow(len(name))
	dash := false
	for i := range len(name) {
		switch c := name[i]; {
		case c == '-' || c == '_' || c == '.':
			dash = true
			continue
		default:
			if dash {
				b.WriteByte('-')
				dash = false
			}
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			b.WriteByte(c)
		}
	}
	if dash {
		b.WriteByte('-')
	}
	return b.String()
}

// readPythonRecord reads RECORD (PEP 376, PEP 427): path, algorithm=urlsafe-base64, size. Paths are relative to
// the directory that holds the *.dist-info directory.
func readPythonRecord(p, site, about string, b []byte) (Facts, error) {
	facts := Facts{About: about}
	r := csv.NewReader(bytes.NewReader(b))
	r.FieldsPerRecord, r.LazyQuotes, r.ReuseRecord = -1, true, true
	outside := 0
	for {
		row, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return facts, seaworthy.Errorf(seaworthy.Invalid, "reading %q: %w", p, err)
		}
		file := pythonFile(site, row[0])
		if file == "" {
			outside++
			continue
		}
		if len(facts.Files) == maxPythonFiles {
			return facts, seaworthy.Errorf(seaworthy.TooLarge, "reading %q: more than %d files", p, maxPythonFiles)
		}
		owned := seaworthy.OwnedFile{Path: file}
		if len(row) > 1 {
			if alg, value, ok := strings.Cut(row[1], "="); ok {
				if raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(value, "=")); err == nil {
					owned.Digest, _ = seaworthy.NewDigest(alg, hex.EncodeToString(raw))
				}
			}
		}
		facts.Files = append(facts.Files, owned)
	}
	if outside > 0 {
		return facts, seaworthy.Errorf(seaworthy.Invalid, "reading %q: %d paths lead out of the file system", p, outside)
	}
	return facts, nil
}

// pythonFile joins a path of RECORD with its directory: clean, without leading slash, "" when it leads outside.
func pythonFile(dir, rel string) string {
	if rel == "" {
		return ""
	}
	if rel[0] == '/' {
		rel = path.Clean(rel)[1:]
		return rel
	}
	full := path.Join(dir, rel)
	if full == ".." || strings.HasPrefix(full, "../") {
		return ""
	}
	return strings.Clone(full)
}

// readDirectURL reads direct_url.json (PEP 610): where a distribution came from that is not from an index.
func readDirectURL(p, dir string, b []byte) (Facts, error) {
	var j struct {
		URL     string `json:"url"`
		Archive struct {
			Hash   string            `json:"hash"` // "sha256=hex", the older form
			Hashes map[string]string `json:"hashes"`
		} `json:"archive_info"`
		VCS struct {
			Kind   string `json:"vcs"`
			Commit string `json:"commit_id"`
		} `json:"vcs_info"`
		Dir struct {
			Editable bool `json:"editable"`
		} `json:"dir_info"`
	}
	if err := json.Unmarshal(b, &j, npmJSON); err != nil {
		return Facts{}, seaworthy.Errorf(seaworthy.Invalid, "reading %q: %w", p, err)
	}
	facts := pythonAbout(dir, "", "")
	pkg := &facts.Packages[0]
	pkg.Download = cleanDownload(j.URL)
	if j.VCS.Kind != "" && j.VCS.Commit != "" && pkg.Download != "" {
		pkg.Download = j.VCS.Kind + "+" + pkg.Download + "@" + j.VCS.Commit
		pkg.Properties = append(pkg.Properties, seaworthy.Property{Name: pythonVCS, Value: pkg.Download})
	}
	if j.Dir.Editable {
		pkg.Properties = append(pkg.Properties, seaworthy.Property{Name: pythonEditable, Value: "true"})
	}
	var hashes []seaworthy.Digest
	for _, alg := range [...]string{"sha256", "sha384", "sha512", "sha1", "md5"} {
		if d, err := seaworthy.NewDigest(alg, j.Archive.Hashes[alg]); err == nil {
			hashes = append(hashes, d)
		}
	}
	if alg, value, ok := strings.Cut(j.Archive.Hash, "="); ok && len(hashes) == 0 {
		if d, err := seaworthy.NewDigest(alg, value); err == nil {
			hashes = append(hashes, d)
		}
	}
	setHashes(pkg, hashes)
	return facts, nil
}
