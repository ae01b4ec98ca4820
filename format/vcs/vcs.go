// Package vcs reads the many ways in which documents name a source repository and a commit in it, and gives the one
// way in which evidence speaks of them, so that equal sources have equal names:
//
//	l, err := vcs.Parse("git@GitHub.com:kubernetes/kubernetes.git")
//	l.At("'1ff66136acfd7717292f65447b2ebff162570f46'").Key() // git+https://github.com/kubernetes/kubernetes@1ff66136…
//
// How a repository is fetched says nothing about which one it is: ssh, git, http and https become https, and users,
// passwords, default ports, ".git", quotes and the case of the host are left out. A branch or tag moves, so it is no
// part of the name; Location.Ref keeps it.
package vcs

import (
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// MaxBytes is how long an address may be, as written and as a name.
const MaxBytes = 4096

// Location is a repository, and a commit of it when that is known.
type Location struct {
	Tool   string // git, hg, svn or bzr
	Host   string // lower case, with port unless it is a usual one
	Path   string // as in a URL, without a leading slash
	Commit string // lower-case hexadecimal, 40 or 64 digits; "" when not said
	Ref    string // branch or tag, as written; "" when not said
}

// tools are the version control systems that SPDX and purl write before "+".
var tools = []string{"git", "hg", "svn", "bzr"}

// transports are the schemes a repository is fetched by, with their usual port.
var transports = map[string]string{"https": "443", "http": "80", "ssh": "22", "git": "9418"}

// twoPart are hosts where a repository is always owner/name and what follows is a page of it.
var twoPart = []string{"github.com", "bitbucket.org", "codeberg.org"}

// Parse reads the address of a repository: "git+https://host/path@commit", "https://host/path.git",
// "git@host:path", "ssh://git@host:22/path", "scm:git:…", "host/path". Errors: Invalid; TooLarge.
func Parse(address string) (Location, error) {
	tooLarge := seaworthy.Errorf(seaworthy.TooLarge, "reading the address of a repository: more than %d bytes", MaxBytes)
	if len(address) > MaxBytes {
		return Location{}, tooLarge
	}
	l, ok := parse(trim(address))
	if ok && len(l.Key()) > MaxBytes { // what must be escaped is three times as long
		return Location{}, tooLarge
	}
	if !ok {
		return Location{}, seaworthy.Errorf(seaworthy.Invalid, "reading the address of a repository: %.200q is none", address).
			WithHint("one looks like git+https://github.com/owner/name@<commit>")
	}
	return l, nil
}

// Says reports whether an address says by itself that it is one of a repository: it names the tool, ends in ".git", or
// is on a host that has nothing else. Other addresses may be of anything.
func Says(address string) bool {
	s := trim(address)
	for _, t := range tools {
		if strings.HasPrefix(s, t+"+") || strings.HasPrefix(s, "scm:"+t) {
			return true
		}
	}
	if strings.HasPrefix(s, "git://") || strings.HasPrefix(s, "git@") {
		return true
	}
	bare, _, _ := strings.Cut(s, "#")
	if strings.HasSuffix(bare, ".git") {
		return true
	}
	l, ok := parse(s)
	return ok && slices.Contains(twoPart, l.Host) && strings.Count(l.Path, "/") == 1 && !strings.Contains(bare, "/releases/")
}

// trim takes away spaces and quotes that templates leave around a value.
func trim(s string) string { return strings.Trim(s, " \t\r\n\"'`") }

func parse(s string) (Location, bool) {
	l := Location{Tool: "git"}
	if rest, ok := strings.CutPrefix(s, "scm:"); ok { // Maven
		tool, address, ok := strings.Cut(rest, ":")
		if !ok || !slices.Contains(tools, tool) {
			return l, false
		}
		l.Tool, s = tool, address
	}
	if tool, rest, ok := strings.Cut(s, "+"); ok && slices.Contains(tools, tool) {
		l.Tool, s = tool, rest
	}
	s, fragment, _ := strings.Cut(s, "#")
	s, _, _ = strings.Cut(s, "?")
	s = withScheme(s)
	u, err := url.Parse(s)
	if err != nil || u.Opaque != "" {
		return l, false
	}
	usual, ok := transports[u.Scheme]
	if !ok {
		return l, false
	}
	l.Host = strings.TrimRight(strings.ToLower(u.Hostname()), ".")
	if !plainHost(l.Host) || strings.Contains(l.Host, ":") && !strings.HasPrefix(u.Host, "[") {
		return l, false
	}
	if strings.Contains(l.Host, ":") {
		l.Host = "[" + l.Host + "]"
	}
	if p := u.Port(); p != "" && p != usual && p != transports["https"] {
		l.Host += ":" + p
	}
	l.readPath(u.EscapedPath())
	l.pin(fragment)
	return l, l.Path != ""
}

// withScheme gives "git@host:path" and "host/path" the form of a URL.
func withScheme(s string) string {
	if strings.Contains(s, "://") {
		return s
	}
	host, rest, colon := strings.Cut(s, ":")
	if colon && !strings.Contains(host, "/") { // scp's way, unless a port follows
		port, _, _ := strings.Cut(rest, "/")
		if port == "" || strings.Trim(port, "0123456789") != "" {
			return "ssh://" + host + "/" + strings.TrimPrefix(rest, "/")
		}
	}
	return "https://" + s
}

// plainHost refuses what is no name or address of a host: one without a dot may be any word.
func plainHost(h string) bool {
	if h == "localhost" {
		return true
	}
	for _, c := range []byte(h) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == ':' || c == '_') {
			return false
		}
	}
	return strings.ContainsAny(h, ".:") && h[0] != '.'
}

// readPath takes the repository's path, and the commit or ref behind "@", out of the path of a URL.
func (l *Location) readPath(p string) {
	p, at, _ := strings.Cut(p, "@")
	p = bare(p)
	if slices.Contains(twoPart, l.Host) {
		parts := strings.SplitN(p, "/", 4)
		if len(parts) == 4 && (parts[2] == "tree" || parts[2] == "commit" || parts[2] == "blob") {
			first, _, _ := strings.Cut(parts[3], "/")
			l.pin(first)
		}
		if len(parts) > 2 {
			p = bare(parts[0] + "/" + parts[1])
		}
	}
	l.Path = p
	l.pin(at)
}

// bare takes quotes, slashes and ".git" off the end of a path, however many there are, and resolves dots in it.
func bare(p string) string {
	for {
		shorter := strings.TrimSuffix(strings.TrimPrefix(path.Clean("/"+trim(p)), "/"), ".git")
		if shorter == p {
			return p
		}
		p = shorter
	}
}

// pin keeps a commit, or else a ref.
func (l *Location) pin(at string) {
	at = trim(at)
	switch {
	case at == "":
	case isCommit(at):
		l.Commit = strings.ToLower(at)
	case l.Ref == "":
		l.Ref = at
	}
}

func isCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// At returns the location at a commit, which may have quotes or spaces around it. What is no commit becomes the Ref.
func (l Location) At(commit string) Location {
	l.pin(commit)
	return l
}

// Repository returns the location without its commit and ref.
func (l Location) Repository() Location {
	l.Commit, l.Ref = "", ""
	return l
}

// Key is the canonical name: "git+https://host/path@commit", without a commit that of the repository.
func (l Location) Key() string {
	key := l.Tool + "+https://" + l.Host + "/" + l.Path
	if l.Commit != "" {
		key += "@" + l.Commit
	}
	return key
}

// Subject is the source as something that evidence speaks of.
func (l Location) Subject() seaworthy.Subject {
	return seaworthy.Subject{Kind: seaworthy.SourceSubject, Key: l.Key()}
}
