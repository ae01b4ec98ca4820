package packages

import (
	"bufio"
	"bytes"
	"io/fs"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// maxOSRelease is the largest os-release file that is read, in bytes; real ones have below 1 KiB.
const maxOSRelease = 64 << 10

// osRelease reads os-release(5) and, where that is missing, the version files of Alpine and Debian. Its Facts
// become the Release of Context and no packages.
var osRelease = Recogniser{
	Name:    "os-release",
	Version: 1,
	Wants: func(path string, size int64, _ fs.FileMode) bool {
		return releaseRank(path) >= 0 && size <= maxOSRelease
	},
	Read: readRelease,
	Join: func(Context, []Facts) Joined { return Joined{} },
}

// releasePaths are the files that name the operating system, the best first (os-release(5): /etc before
// /usr/lib). In an image, /etc/os-release is often a link to the other and then not seen.
var releasePaths = [...]string{"etc/os-release", "usr/lib/os-release", "etc/alpine-release", "etc/debian_version"}

func releaseRank(path string) int {
	for i, p := range releasePaths {
		if path == p {
			return i
		}
	}
	return -1
}

func readRelease(f *File) (Facts, error) {
	body, err := f.Bytes()
	if err != nil {
		return Facts{}, err
	}
	release := new(OSRelease)
	switch f.Path {
	case "etc/alpine-release":
		release.ID, release.VersionID, release.Name = "alpine", oneWord(body), "Alpine Linux"
	case "etc/debian_version":
		// "12.5", or "bookworm/sid" where nothing is released yet.
		release.ID, release.Name = "debian", "Debian GNU/Linux"
		if v := oneWord(body); v != "" && v[0] >= '0' && v[0] <= '9' {
			release.VersionID, _, _ = strings.Cut(v, ".")
		} else {
			release.Codename, _, _ = strings.Cut(v, "/")
		}
	default:
		if *release = parseOSRelease(body); release.ID == "" && release.Name == "" && release.PrettyName == "" {
			return Facts{}, nil
		}
	}
	return Facts{Release: release}, nil
}

// oneWord returns the first word of a small file.
func oneWord(body []byte) string {
	if fields := bytes.Fields(body); len(fields) > 0 {
		return strings.ToValidUTF8(string(fields[0]), "\uFFFD")
	}
	return ""
}

// parseOSRelease reads os-release(5): NAME=value lines, values in shell quotes.
func parseOSRelease(body []byte) OSRelease {
	var r OSRelease
	s := bufio.NewScanner(bytes.NewReader(body))
	s.Buffer(nil, maxOSRelease)
	for s.Scan() {
		name, value, ok := strings.Cut(strings.TrimSpace(strings.ToValidUTF8(s.Text(), "\uFFFD")), "=")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		value = unquoteShell(value)
		switch name {
		case "ID":
			r.ID = strings.ToLower(value)
		case "ID_LIKE":
			r.IDLike = strings.Fields(value)
		case "VERSION_ID":
			r.VersionID = value
		case "VERSION_CODENAME":
			r.Codename = value
		case "NAME":
			r.Name = value
		case "PRETTY_NAME":
			r.PrettyName = value
		case "VARIANT_ID":
			r.Variant = value
		case "CPE_NAME":
			r.CPE = value
		case "HOME_URL":
			r.Homepage = value
		case "BUILD_ID":
			r.BuildID = value
		}
	}
	if r.ID == "" && (r.Name != "" || r.PrettyName != "") {
		r.ID = "linux" // os-release(5): "If not set, a default of ID=linux may be used."
	}
	return r
}

// unquoteShell takes the quotes and backslashes off a value as os-release(5) allows them.
func unquoteShell(s string) string {
	quote := byte(0)
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		quote, s = s[0], s[1:len(s)-1]
	}
	if quote == '\'' || strings.IndexByte(s, '\\') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out = append(out, s[i])
	}
	return string(out)
}

// ReleaseOf picks the operating system from the Facts of a tree: the best of the files that name it, nil when
// none does.
func ReleaseOf(facts []Facts) *OSRelease {
	var best *OSRelease
	rank := len(releasePaths)
	for i := range facts {
		if facts[i].Release == nil {
			continue
		}
		if r := releaseRank(facts[i].Path); r >= 0 && r < rank {
			best, rank = facts[i].Release, r
		}
	}
	return best
}

// Package describes the operating system itself as a package. nil gives false.
func (r *OSRelease) Package() (seaworthy.Package, bool) {
	if r == nil || r.ID == "" {
		return seaworthy.Package{}, false
	}
	p := seaworthy.Package{
		Role: seaworthy.OS, Name: r.ID, Version: r.VersionID, Description: r.PrettyName, Homepage: r.Homepage,
		Ref: "os:" + r.Distro(),
	}
	if strings.HasPrefix(r.CPE, "cpe:2.3:") {
		p.Identifiers = append(p.Identifiers, seaworthy.Identifier{Type: "cpe23Type", Value: r.CPE})
	} else if strings.HasPrefix(r.CPE, "cpe:/") {
		p.Identifiers = append(p.Identifiers, seaworthy.Identifier{Type: "cpe22Type", Value: r.CPE})
	}
	return p, true
}
