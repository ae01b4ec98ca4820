package registry

import (
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

const someAccess = `
users: users
rules:
  - repositories: [team/**]
    users: [alice]
    actions: [pull, push, delete, mount-from]
  - repositories: [team/*/public, one]
    users: ["*"]
    actions: [pull]
  - repositories: ["**"]
    users: [anonymous]
    actions: [mount-from]
`

func TestMay(t *testing.T) {
	a, err := ParseAccess(strings.NewReader(someAccess))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		user, repository string
		action           Action
		want             bool
	}{
		{"alice", "team/x", Push, true},
		{"alice", "team/x/y/z", Delete, true},
		{"alice", "team", Pull, false},
		{"alice", "teams/x", Pull, false},
		{"alice", "x/team/x", Pull, false},
		{"bob", "team/x", Pull, false},
		{"bob", "team/x/public", Pull, true},
		{"bob", "team/x/y/public", Pull, false},
		{"bob", "team/x/public", Push, false},
		{"", "team/x/public", Pull, false},
		{"", "one", MountFrom, true},
		{"bob", "one", MountFrom, true},
		{"bob", "one", "", false},
		{"*", "team/x", Pull, false},
		{"anonymous", "team/x", Pull, false},
	} {
		if got := a.May(c.user, c.repository, c.action); got != c.want {
			t.Errorf("%q %s %s: %t", c.user, c.action, c.repository, got)
		}
	}
}

func TestParseAccessRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":          "",
		"no users":         strings.Replace(someAccess, "users: users\n", "", 1),
		"no rules":         "users: users\n",
		"unknown key":      someAccess + "rule: []\n",
		"unknown action":   strings.Replace(someAccess, "delete", "destroy", 1),
		"no actions":       strings.Replace(someAccess, "actions: [pull]", "actions: []", 1),
		"a long pattern":   strings.Replace(someAccess, "team/**", strings.Repeat("a", 256), 1),
		"no pattern":       strings.Replace(someAccess, "team/**", "Team", 1),
		"challenge":        someAccess + "challenge: none\n",
		"short life":       someAccess + "token-lifetime: 1s\n",
		"quotes":           someAccess + "realm: 'https://x\"y'\n",
		"a key twice":      someAccess + "users: others\n",
		"huge":             someAccess + "#" + strings.Repeat("x", maxAccess),
		"a rule that is 1": "users: users\nrules: [1]\n",
	} {
		if _, err := ParseAccess(strings.NewReader(text)); seaworthy.ExitStatus(err) == 0 || !strings.HasPrefix(err.Error(), "reading the access rules") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMayListen(t *testing.T) {
	for addr, want := range map[string]seaworthy.Code{
		"127.0.0.1:5000": "", "127.8.9.1:0": "", "[::1]:5000": "", "localhost:5000": "", "LOCALHOST:1": "", "[::ffff:127.0.0.1]:1": "",
		":5000": seaworthy.Forbidden, "0.0.0.0:5000": seaworthy.Forbidden, "[::]:5000": seaworthy.Forbidden, "192.168.1.1:5000": seaworthy.Forbidden,
		"localhost.evil.example:1": seaworthy.Forbidden, "127.0.0.1.evil.example:1": seaworthy.Forbidden, "registry:5000": seaworthy.Forbidden,
		"127.0.0.1": seaworthy.Usage, "": seaworthy.Usage,
	} {
		if err := MayListen(addr, nil); seaworthy.CodeOf(err) != want {
			t.Errorf("%q: %v, want %s", addr, err, want)
		}
	}
	if err := MayListen(":5000", &Access{}); err != nil {
		t.Error(err)
	}
}
