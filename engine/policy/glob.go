package policy

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// dockerHub is how references to Docker's registry begin when they are fully qualified.
const dockerHub = "index.docker.io/"

// globWords are the characters of a glob, as policy-controller has them.
var globWords = regexp.MustCompile(`^[a-zA-Z0-9\-_:/*.@]+$`)

// glob matches references as policy-controller's globs do: * is any text without a slash, ** any text, and the
// whole must match, the tag included.
type glob struct {
	text string
	re   *regexp.Regexp
}

// parseGlob compiles a glob. Errors: Invalid.
func parseGlob(s string) (glob, error) {
	whole := s
	switch s {
	case "*":
		whole = dockerHub + "library/*"
	case "*/*":
		whole = dockerHub + "*/*"
	}
	_, err := filepath.Match(s, "")
	if err != nil || !globWords.MatchString(whole) {
		return glob{}, seaworthy.Errorf(seaworthy.Invalid, "%q is no glob", s).
			WithHint("a glob is an image name in which * stands for any text without a slash and ** for any text: registry.example/app/**")
	}
	parts := strings.Split(whole, "**")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, `[^/]*`)
	}
	re, err := regexp.Compile("^" + strings.Join(parts, ".*") + "$")
	if err != nil {
		return glob{}, seaworthy.Errorf(seaworthy.Invalid, "%q is no glob: %w", s, err)
	}
	return glob{s, re}, nil
}

// matches reports whether the glob names the image: by its full reference, by the reference without the digest that
// was added to a tag, or as the workload wrote it.
func (g glob) matches(img *Image) bool {
	for _, name := range img.names() {
		if g.re.MatchString(name) {
			return true
		}
	}
	return false
}

// names are the references that globs are tried on.
func (img *Image) names() []string {
	var out []string
	for _, name := range []string{img.Reference, img.Written} {
		if name == "" {
			continue
		}
		out = append(out, name)
		if base, digest, pinned := strings.Cut(name, "@"); pinned {
			out = append(out, base)
			if repository, _ := cutTag(base); repository != base {
				out = append(out, repository+"@"+digest)
			}
		}
	}
	return out
}

// cutTag splits a reference without a digest into repository and tag.
func cutTag(s string) (repository, tag string) {
	if i := strings.LastIndex(s, ":"); i > strings.LastIndex(s, "/") {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// globs reads a list of globs.
func (f field) globs() []glob {
	var out []glob
	for _, e := range f.list() {
		if g, ok := e.glob(); ok {
			out = append(out, g)
		}
	}
	return out
}

func (f field) glob() (glob, bool) {
	s := f.required()
	if s == "" {
		return glob{}, false
	}
	g, err := parseGlob(s)
	if err != nil {
		f.failed(err)
		return glob{}, false
	}
	switch {
	case s == "*" || s == "*/*":
		f.warn("write ** for every image", "%q names images of Docker Hub only", s)
	case !strings.Contains(s, "*") && !strings.ContainsAny(s[strings.LastIndex(s, "/")+1:], ":@"):
		f.warn("end it with ** to bind every tag and digest", "%q names no image: the tag is part of what is matched", s)
	case strings.HasPrefix(s, "docker.io/"):
		f.warn("write index.docker.io/…", "%q names no image: Docker Hub is called index.docker.io here", s)
	}
	return g, true
}

// anyGlob reports whether one of the globs names the image.
func anyGlob(globs []glob, img *Image) bool {
	for _, g := range globs {
		if g.matches(img) {
			return true
		}
	}
	return false
}

func globTexts(globs []glob) []string {
	out := make([]string, 0, len(globs))
	for _, g := range globs {
		out = append(out, g.text)
	}
	return out
}

// wildcard matches a name in which * stands for any text, without a regular expression.
func wildcard(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(name, p)
		if i < 0 {
			return false
		}
		name = name[i+len(p):]
	}
	last := parts[len(parts)-1]
	return len(name) >= len(last) && strings.HasSuffix(name, last)
}
