package registry

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/seaworthy-dev/seaworthy"
)

// Action is something a rule can allow in a repository.
type Action string

// The actions.
const (
	Pull      Action = "pull"       // read manifests, blobs and lists
	Push      Action = "push"       // write manifests and blobs, and set tags
	Delete    Action = "delete"     // manifests, tags and blobs
	MountFrom Action = "mount-from" // take its blobs into another repository that may be pushed to
)

var allActions = []Action{Pull, Push, Delete, MountFrom}

// Access is who may do what: the file given to "registry serve --auth". What no rule allows is not allowed.
//
//	users: users.htpasswd          # name:bcrypt lines, as "htpasswd -B" writes them; relative to this file
//	rules:
//	  - repositories: [team/**]    # * is one part of a name, ** any number of them
//	    users: [alice, ci]         # "*" is everybody with a password, anonymous is everybody
//	    actions: [pull, push, delete, mount-from]
//	  - repositories: ["**"]
//	    users: [anonymous]
//	    actions: [pull]
type Access struct {
	// Users is the file of passwords.
	Users string `yaml:"users"`
	Rules []Rule `yaml:"rules"`
	// Challenge is what clients are asked for: "token" (the default) or "basic". Passwords are taken with both.
	Challenge string `yaml:"challenge"`
	// Realm is the URL of the token service as clients see it. "": /token at the address the client used.
	Realm string `yaml:"realm"`
	// Service is the name tokens are for. "": "seaworthy".
	Service string `yaml:"service"`
	// TokenLifetime is at least a minute, as the token specification asks. 0: 5 minutes.
	TokenLifetime time.Duration `yaml:"token-lifetime"`
	// TokenKey is a file of at least 32 random bytes that signs tokens; several registries can share it. "": a
	// new one at each start.
	TokenKey string `yaml:"token-key"`
}

// Rule allows actions.
type Rule struct {
	Repositories []string `yaml:"repositories"`
	Users        []string `yaml:"users"`
	Actions      []Action `yaml:"actions"`

	names []*regexp.Regexp
}

// Anonymous is the name in a rule for everybody, and may be nobody's.
const Anonymous = "anonymous"

// maxAccess is the size of an access file.
const maxAccess = 1 << 20

// ParseAccess reads an access file. Errors: Usage.
func ParseAccess(r io.Reader) (*Access, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxAccess+1))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading the access rules")
	}
	bad := func(format string, args ...any) (*Access, error) {
		return nil, seaworthy.Errorf(seaworthy.Usage, "reading the access rules: "+format, args...)
	}
	if len(b) > maxAccess {
		return bad("they are larger than %d bytes", maxAccess)
	}
	a := &Access{}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(a); err != nil {
		return bad("%w", err)
	}
	if a.Users == "" {
		return bad("they name no file of users")
	}
	if len(a.Rules) == 0 {
		return bad("there are none, so nobody may do anything")
	}
	for i := range a.Rules {
		rule := &a.Rules[i]
		if len(rule.Repositories) == 0 || len(rule.Users) == 0 || len(rule.Actions) == 0 {
			return bad("rule %d needs repositories, users and actions", i+1)
		}
		for _, action := range rule.Actions {
			if !slices.Contains(allActions, action) {
				return bad("rule %d: %q is no action; there are %v", i+1, action, allActions)
			}
		}
		for _, glob := range rule.Repositories {
			name, err := compileGlob(glob)
			if err != nil {
				return bad("rule %d: %q cannot match a repository", i+1, glob)
			}
			rule.names = append(rule.names, name)
		}
	}
	switch a.Challenge {
	case "":
		a.Challenge = "token"
	case "token", "basic":
	default:
		return bad("challenge is %q, and may be token or basic", a.Challenge)
	}
	if a.Service == "" {
		a.Service = "seaworthy"
	}
	if a.TokenLifetime == 0 {
		a.TokenLifetime = 5 * time.Minute
	}
	if a.TokenLifetime < time.Minute || a.TokenLifetime > 24*time.Hour {
		return bad("token-lifetime is %s, and may be from 1m to 24h", a.TokenLifetime)
	}
	if strings.ContainsAny(a.Service+a.Realm, "\"\\\r\n") {
		return bad("service and realm may have no quotes or line breaks")
	}
	return a, nil
}

// globSyntax is what a pattern of repository names may consist of, and maxGlob how long it may be, in bytes.
var globSyntax = regexp.MustCompile(`^[a-z0-9._/*-]+$`)

const maxGlob = 255

func compileGlob(glob string) (*regexp.Regexp, error) {
	if len(glob) > maxGlob || !globSyntax.MatchString(glob) {
		return nil, seaworthy.Errorf(seaworthy.Usage, "%q is no pattern", glob)
	}
	// Go's regular expressions take time in proportion to the name, whatever the pattern.
	pattern := strings.NewReplacer(`\*\*`, `.*`, `\*`, `[^/]*`).Replace(regexp.QuoteMeta(glob))
	return regexp.Compile("^" + pattern + "$")
}

// May reports whether a user, "" for one without a name, may do something in a repository.
func (a *Access) May(user, repository string, action Action) bool {
	for i := range a.Rules {
		rule := &a.Rules[i]
		if slices.Contains(rule.Actions, action) && rule.means(user) &&
			slices.ContainsFunc(rule.names, func(name *regexp.Regexp) bool { return name.MatchString(repository) }) {
			return true
		}
	}
	return false
}

func (rule *Rule) means(user string) bool {
	return slices.ContainsFunc(rule.Users, func(u string) bool {
		return u == Anonymous || user != "" && (u == "*" || u == user)
	})
}

// MayListen returns an error for an address at which others than this machine could come in when nobody asks them
// who they are. Errors: Forbidden, Usage.
func MayListen(addr string, access *Access) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return seaworthy.Errorf(seaworthy.Usage, "listening at %q: %w", addr, err).WithHint("an address looks like 127.0.0.1:5000")
	}
	if access != nil || IsLoopback(host) {
		return nil
	}
	return seaworthy.Errorf(seaworthy.Forbidden, "listening at %q: anybody who reaches it could push and delete", addr).
		WithHint("give it an access file with --auth, or listen at 127.0.0.1")
}

// IsLoopback reports whether a host, as in a URL or an address to listen at, can only be this machine.
func IsLoopback(host string) bool {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
