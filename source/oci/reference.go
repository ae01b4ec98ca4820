package oci

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// Reference names something in a registry, in docker's way of writing it (distribution-spec, "Pulling
// manifests"; a name without a registry is Docker Hub's).
type Reference struct {
	Registry   string           // host[:port]; "docker.io" for Docker Hub
	Repository string           // "library/debian"
	Tag        string           // "latest" when neither tag nor digest is written; may be "" beside a digest
	Digest     seaworthy.Digest // what is meant, whatever the tag says; "" when only a tag is written
}

const (
	dockerHub     = "docker.io"
	dockerHubAPI  = "registry-1.docker.io"
	dockerHubAuth = "index.docker.io" // as docker's configuration file names it
	maxRepository = 255               // bytes
)

// ParseReference reads "[host[:port]/]repository[:tag][@digest]". Errors: Usage.
func ParseReference(s string) (Reference, error) {
	var r Reference
	bad := func(why string) (Reference, error) {
		return Reference{}, seaworthy.Errorf(seaworthy.Usage, "parsing image reference %q: %s", clip(s), why).
			WithHint("an image reference looks like registry.example/team/app:1.2 or app@sha256:…")
	}
	if strings.Contains(s, "://") {
		return bad("it is a URL; leave out the scheme")
	}
	name, digest, hasDigest := strings.Cut(s, "@")
	if hasDigest {
		d, err := seaworthy.ParseDigest(digest)
		if err != nil || !d.NamesContent() {
			return bad("what follows @ is not a sha256 or sha512 digest")
		}
		r.Digest = d
	}
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, r.Tag = name[:i], name[i+1:]
		if !validTag(r.Tag) {
			return bad("a tag has up to 128 letters, digits, '_', '.' and '-', and begins with none of the last two")
		}
	}
	host, rest, ok := strings.Cut(name, "/")
	if !ok || !looksLikeHost(host) {
		host, rest = dockerHub, name
	}
	if !validHost(host) {
		return bad("its registry is not host[:port]")
	}
	r.Registry = host
	if lower := strings.ToLower(host); looksLikeHost(lower) {
		r.Registry = lower // unless the capitals are all that makes it a host
	}
	if r.Registry == dockerHubAuth {
		r.Registry = dockerHub
	}
	if r.Registry == dockerHub && !strings.Contains(rest, "/") {
		rest = "library/" + rest
	}
	r.Repository = rest
	if why := badRepository(rest); why != "" {
		return bad(why)
	}
	if r.Tag == "" && r.Digest == "" {
		r.Tag = "latest"
	}
	return r, nil
}

// looksLikeHost is docker's rule for telling a registry from the first part of a repository.
func looksLikeHost(s string) bool {
	return s == "localhost" || strings.ContainsAny(s, ".:") || strings.ToLower(s) != s
}

func validHost(s string) bool {
	u, err := url.Parse("//" + s)
	if err != nil || u.Host != s || u.Hostname() == "" || strings.HasSuffix(s, ":") {
		return false
	}
	h := u.Hostname()
	if strings.HasPrefix(s, "[") {
		a, err := netip.ParseAddr(h)
		return err == nil && a.Is6() && a.Zone() == ""
	}
	return len(h) <= 253 && strings.Trim(strings.ToLower(h), "abcdefghijklmnopqrstuvwxyz0123456789.-_") == "" &&
		h[0] != '-' && h[0] != '.'
}

func badRepository(s string) string {
	if len(s) > maxRepository {
		return "its repository is longer than 255 bytes"
	}
	for part := range strings.SplitSeq(s, "/") {
		if !validComponent(part) {
			return "a repository is made of lower-case letters and digits, joined by '.', '_', '__', '-' and '/'"
		}
	}
	return ""
}

// validComponent is [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* (distribution-spec), without a regular expression.
func validComponent(s string) bool {
	alnum := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
	if s == "" || !alnum(s[0]) || !alnum(s[len(s)-1]) {
		return false
	}
	for i := 0; i < len(s); {
		if alnum(s[i]) {
			i++
			continue
		}
		j := i
		for j < len(s) && s[j] == s[i] {
			j++
		}
		switch n := j - i; {
		case s[i] == '-', s[i] == '.' && n == 1, s[i] == '_' && n <= 2:
		default:
			return false
		}
		if !alnum(s[j]) {
			return false
		}
		i = j
	}
	return true
}

func validTag(s string) bool {
	if s == "" || len(s) > 128 || s[0] == '.' || s[0] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// String returns the whole name: "docker.io/library/debian:12", with the digest where one is known.
func (r Reference) String() string {
	s := r.Name()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + string(r.Digest)
	}
	return s
}

// Name returns registry and repository.
func (r Reference) Name() string { return r.Registry + "/" + r.Repository }

// target is what the registry is asked for: the digest where there is one.
func (r Reference) target() string {
	if r.Digest != "" {
		return string(r.Digest)
	}
	return r.Tag
}

// apiHost is the host that speaks for a registry.
func apiHost(registry string) string {
	if registry == dockerHub {
		return dockerHubAPI
	}
	return registry
}

// resource is a Reference as keychains want it.
type resource struct{ Reference }

func (r resource) RegistryStr() string {
	if r.Registry == dockerHub {
		return dockerHubAuth
	}
	return r.Registry
}
func (r resource) String() string { return r.RegistryStr() + "/" + r.Repository }

// isLoopback reports whether host[:port] is this machine by its very name.
func isLoopback(hostport string) bool {
	h := hostport
	if x, _, err := net.SplitHostPort(hostport); err == nil {
		h = x
	}
	h = strings.Trim(h, "[]")
	if h == "localhost" || strings.HasSuffix(h, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(h)
	return err == nil && a.Unmap().IsLoopback()
}

// clip shortens a name from outside for an error.
func clip(s string) string {
	if len(s) > 300 {
		return strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}

// quote makes a name from outside safe to print.
func quote(s string) string { return strconv.Quote(clip(s)) }
