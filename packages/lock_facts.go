package packages

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// Limits of lock files and manifests.
const (
	// maxLockFile is the largest lock file or manifest that is read: 64 MiB. The largest real ones are near 40.
	maxLockFile = 64 << 20
	// maxScript is the largest file that is written as a program and taken apart as one: 4 MiB. In memory it can be
	// fifty times that.
	maxScript = 4 << 20
	// maxLockDepth is how deep a lock file may nest packages in packages or values in values.
	maxLockDepth = 64
	// maxHashes is how many hashes of one package are kept; an index may offer a wheel for each platform.
	maxHashes = 256
)

// resolvesTo is a relation inside the Facts of one lock file: what is asked for ("name@range", or the name
// alone) leads to the package with that Ref. Join uses it up.
const resolvesTo seaworthy.RelationType = "resolvesTo"

// here is the local Ref of the project whose directory the file is in. Projects elsewhere in a workspace have
// their directory, relative to that of the file.
const here = "."

// lockFacts gathers what one lock file or manifest says.
//
// A project is a package of Role Application whose Ref is its directory; its Depends are what it asks for. Every
// other package has a Ref of the format's own making, and relations go between those.
type lockFacts struct {
	Facts
	index map[string]int
}

func newLockFacts(f *File) *lockFacts {
	return &lockFacts{Facts: Facts{Path: f.Path}, index: map[string]int{}}
}

// project returns the project in dir, made when it is not there yet. The pointer holds until the next package.
func (l *lockFacts) project(dir, ecosystem string) *seaworthy.Package {
	if i, ok := l.index[dir]; ok {
		return &l.Packages[i]
	}
	return l.add(seaworthy.Package{Ref: dir, Role: seaworthy.Application, Ecosystem: ecosystem})
}

// add keeps p unless a package with its Ref is there already, and returns the one that is kept.
func (l *lockFacts) add(p seaworthy.Package) *seaworthy.Package {
	if i, ok := l.index[p.Ref]; ok {
		return &l.Packages[i]
	}
	l.index[p.Ref] = len(l.Packages)
	l.Packages = append(l.Packages, p)
	return &l.Packages[len(l.Packages)-1]
}

func (l *lockFacts) has(ref string) bool { _, ok := l.index[ref]; return ok }

func (l *lockFacts) dependsOn(from, to string, scope seaworthy.Scope) {
	if from == to {
		return
	}
	l.Relations = append(l.Relations, seaworthy.Relation{From: from, Type: seaworthy.DependsOn, To: to, Scope: scope})
}

func (l *lockFacts) resolves(asked, ref string) {
	l.Relations = append(l.Relations, seaworthy.Relation{From: asked, Type: resolvesTo, To: ref})
}

func (l *lockFacts) problem(code seaworthy.Code, detail string) {
	const most = 100 // enough for a person; a hostile file could give millions
	if len(l.Problems) < most {
		l.Problems = append(l.Problems, seaworthy.Problem{Where: l.Path, Code: code, Detail: detail})
	}
}

// lockBytes returns the content of a lock file. Errors: TooLarge, and those of Body.
func lockBytes(f *File) ([]byte, error) {
	if f.Size > maxLockFile {
		return nil, lockTooLarge(f)
	}
	b, err := f.Bytes()
	if err == nil && len(b) > maxLockFile {
		err = lockTooLarge(f)
	}
	return b, err
}

// scriptBytes is lockBytes for files of at most maxScript.
func scriptBytes(f *File) ([]byte, error) {
	b, err := lockBytes(f)
	if err == nil && len(b) > maxScript {
		err = seaworthy.Errorf(seaworthy.TooLarge, "reading %q: more than %d bytes, too many for a script", f.Path, maxScript)
	}
	return b, err
}

func lockTooLarge(f *File) error {
	return seaworthy.Errorf(seaworthy.TooLarge, "reading %q: more than %d bytes, too many for a lock file", f.Path, maxLockFile)
}

// lockInvalid says that the file at p is not what its name promises.
func lockInvalid(p string, err error) error {
	return seaworthy.Wrap(err, seaworthy.Invalid, "reading %q", p)
}

// inTree reports whether p is part of the tree's own sources: not below a directory where a package manager
// puts what it has fetched.
func inTree(p string) bool {
	for _, dir := range [...]string{"node_modules/", "site-packages/", "dist-packages/", ".venv/", "vendor/bundle/"} {
		for rest := p; ; {
			i := strings.Index(rest, dir)
			if i < 0 {
				break
			}
			if i == 0 || rest[i-1] == '/' {
				return false
			}
			rest = rest[i+len(dir):]
		}
	}
	return true
}

// baseIs reports whether the last element of p is one of names.
func baseIs(p string, names ...string) bool {
	base := p[strings.LastIndexByte(p, '/')+1:]
	for _, name := range names {
		if base == name {
			return true
		}
	}
	return false
}

// subresource reads Subresource Integrity ("sha512-base64 sha1-base64") into digests; what is malformed is left
// out.
func subresource(integrity string) []seaworthy.Digest {
	var out []seaworthy.Digest
	for item := range strings.FieldsSeq(integrity) {
		item, _, _ = strings.Cut(item, "?")
		alg, value, ok := strings.Cut(item, "-")
		if !ok {
			continue
		}
		if d, ok := base64Digest(alg, value); ok && len(out) < maxHashes {
			out = append(out, d)
		}
	}
	return out
}

func base64Digest(alg, value string) (seaworthy.Digest, bool) {
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return "", false
	}
	d, err := seaworthy.NewDigest(alg, hex.EncodeToString(raw))
	return d, err == nil
}

// setHashes gives p the hashes of the file it is fetched as.
func setHashes(p *seaworthy.Package, hashes []seaworthy.Digest) {
	if len(hashes) > 0 {
		p.Hashes, p.HashOf = hashes, seaworthy.HashOfArtifact
	}
}

// cleanDownload returns a URL a package can be fetched from, without what may be a secret (user, password,
// query), or "" when s is no URL of the network.
func cleanDownload(s string) string {
	if !strings.Contains(s, "://") {
		return ""
	}
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.Host == "" {
		return ""
	}
	switch strings.TrimPrefix(u.Scheme, "git+") {
	case "http", "https", "ssh", "git":
	default:
		return ""
	}
	if u.User != nil {
		user := u.User.Username()
		u.User = nil
		if user == "git" && strings.HasSuffix(u.Scheme, "ssh") {
			u.User = url.User("git")
		}
	}
	u.RawQuery, u.ForceQuery = "", false
	return u.String()
}

// gitSource takes "git+https://host/path#commit" apart; ok is false for what is no git address.
func gitSource(s string) (repository, commit string, ok bool) {
	rest, commit, _ := strings.Cut(s, "#")
	for _, short := range [...][2]string{
		{"github:", "https://github.com/"}, {"gitlab:", "https://gitlab.com/"}, {"bitbucket:", "https://bitbucket.org/"},
	} {
		if name, found := strings.CutPrefix(rest, short[0]); found {
			return "git+" + short[1] + name + ".git", commit, true
		}
	}
	switch {
	case strings.HasPrefix(rest, "git+"), strings.HasPrefix(rest, "git://"):
	case strings.Contains(rest, "://") && strings.HasSuffix(rest, ".git"):
		rest = "git+" + rest
	default:
		return "", "", false
	}
	repository = cleanDownload(rest)
	return repository, commit, repository != ""
}

// vcsURL is the value of a purl's vcs_url qualifier (purl-spec, known qualifiers): an SPDX download location.
func vcsURL(repository, commit string) string {
	if repository == "" {
		return ""
	}
	if !strings.HasPrefix(repository, "git+") && !strings.HasPrefix(repository, "git:") {
		repository = "git+" + repository
	}
	if commit != "" {
		repository += "@" + commit
	}
	return repository
}

// joinDir joins a directory and a relative path of a lock file, staying inside the tree.
func joinDir(dir, rel string) string {
	p := path.Join("/", dir, rel)
	if p == "/" {
		return here
	}
	return p[1:]
}

// quoted makes a name from a file fit for a message: escaped and not too long.
func quoted(s string) string {
	const most = 120
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

// sortDepends puts what was gathered from a map, or in no order that means anything, in order.
func sortDepends(d []seaworthy.Dependency) {
	slices.SortFunc(d, func(a, b seaworthy.Dependency) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Range, b.Range), cmp.Compare(a.Scope, b.Scope))
	})
}
