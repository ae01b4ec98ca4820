package packages

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/licence"
)

// apk reads the database of Alpine's apk-tools (apk-v2 installed database: one letter, a colon, a value).
var apk = Recogniser{
	Name:    "apk",
	Version: 1,
	Wants: func(path string, _ int64, _ fs.FileMode) bool {
		return path == "lib/apk/db/installed" || path == "usr/lib/apk/db/installed"
	},
	Read: readApk,
	Join: joinApk,
}

func readApk(f *File) (Facts, error) {
	body, err := f.Bytes()
	if err != nil {
		return Facts{}, err
	}
	packages, err := parseApk(body)
	return Facts{Packages: packages}, err
}

func parseApk(body []byte) ([]seaworthy.Package, error) {
	var out []seaworthy.Package
	p := seaworthy.Package{Ecosystem: "apk"}
	var folder, provides string
	bad := 0
	flush := func() {
		switch {
		case p.Name != "" && p.Version != "":
			if p.Source.Name == "" {
				p.Source.Name = p.Name
			}
			p.Source.Version = p.Version // an origin's packages share one version
			p.Files = sortFiles(p.Files)
			if provides != "" {
				p.Properties = append(p.Properties, seaworthy.Property{Name: providesProperty, Value: provides})
			}
			out = append(out, p)
		case p.Name != "" || p.Version != "":
			bad++
		}
		p = seaworthy.Package{Ecosystem: "apk"}
		folder, provides = "", ""
	}
	for line := range bytes.Lines(body) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			flush()
			continue
		}
		if len(line) < 2 || line[1] != ':' {
			bad++
			continue
		}
		value := line[2:]
		switch line[0] {
		case 'P':
			p.Name = text(value)
		case 'V':
			p.Version = text(value)
		case 'A':
			p.Arch = text(value)
		case 'L':
			p.Licences.Declared = licence.Normalise(text(value))
		case 'T':
			p.Description = text(value)
		case 'U':
			p.Homepage = text(value)
		case 'm':
			p.Supplier = parseParty(text(value))
		case 'o':
			p.Source.Name = text(value)
		case 'c':
			p.Properties = append(p.Properties, seaworthy.Property{Name: "apk:commit", Value: text(value)})
		case 'C':
			// The hash of the package's control segment, which names the package in the repository index.
			if d := apkDigest(value); d != "" {
				p.Properties = append(p.Properties, seaworthy.Property{Name: "apk:checksum", Value: string(d)})
			}
		case 'D':
			p.Depends = parseApkDepends(value)
		case 'p':
			provides = apkProvides(value)
		case 'F':
			folder = strings.Trim(text(value), "/")
		case 'R':
			path := text(value)
			if folder != "" {
				path = folder + "/" + path
			}
			p.Files = append(p.Files, seaworthy.OwnedFile{Path: path})
		case 'Z':
			if n := len(p.Files); n > 0 {
				p.Files[n-1].Digest = apkDigest(value)
			}
		}
	}
	flush()
	if bad > 0 {
		return out, seaworthy.Errorf(seaworthy.Invalid, "reading the apk database: %d lines or packages are damaged", bad)
	}
	return out, nil
}

// apkDigest reads a checksum: "Q1" and SHA-1, "Q2" and SHA-256 in base64, or hexadecimal MD5 of old versions.
func apkDigest(value []byte) seaworthy.Digest {
	if len(value) > 2 && value[0] == 'Q' && len(value) < 64 {
		var sum [48]byte
		n, err := base64.StdEncoding.Decode(sum[:], value[2:])
		if err != nil {
			return ""
		}
		algorithm := map[byte]string{'1': "sha1", '2': "sha256"}[value[1]]
		d, err := seaworthy.NewDigest(algorithm, hex.EncodeToString(sum[:n]))
		if err != nil {
			return ""
		}
		return d
	}
	d, err := seaworthy.NewDigest("md5", string(value))
	if err != nil {
		return ""
	}
	return d
}

// parseApkDepends reads "musl>=1.2 so:libc.musl-x86_64.so.1 !conflict".
func parseApkDepends(value []byte) []seaworthy.Dependency {
	var out []seaworthy.Dependency
	for _, word := range strings.Fields(text(value)) {
		if word[0] == '!' {
			continue
		}
		name, rng := apkRelation(word)
		out = append(out, seaworthy.Dependency{Name: name, Range: rng})
	}
	return out
}

// apkRelation cuts "name>=1.2" and drops the repository tag of "name@edge".
func apkRelation(word string) (name, rng string) {
	if i := strings.IndexAny(word, "<>=~"); i > 0 {
		name, rng = word[:i], word[i:]
	} else {
		name = word
	}
	name, _, _ = strings.Cut(name, "@")
	return name, rng
}

func apkProvides(value []byte) string {
	var names []string
	for _, word := range strings.Fields(text(value)) {
		name, _ := apkRelation(word)
		names = append(names, name)
	}
	return strings.Join(names, "\n")
}

// joinApk gives packages their purls and edges. A dependency on a path is one on the package that owns it.
func joinApk(ctx Context, all []Facts) Joined {
	var out Joined
	for i := range all {
		out.Packages = append(out.Packages, all[i].Packages...)
	}
	provides := make([][]string, len(out.Packages))
	for i := range out.Packages {
		p := &out.Packages[i]
		provides[i] = takeProvides(p)
		p.PURL = distroPURL("apk", ctx.Release, "alpine", p, p.Version, "")
		p.Ref = p.PURL
	}
	addPathProvides(out.Packages, provides)
	out.Relations = dependencyEdges(out.Packages, provides, func(string) bool { return true })
	return out
}
