package vcs_test

import (
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/vcs"
)

const (
	sha1   = "1ff66136acfd7717292f65447b2ebff162570f46"
	sha256 = "ada949e0dcc462ec1d8a0f6f44fd6113f08d4821a38ff85bf5cf0d6f47b2a5af"
)

// Each line is one repository, said in many ways.
func TestOneNameForOneSource(t *testing.T) {
	k8s := "git+https://github.com/kubernetes/kubernetes"
	for _, c := range []struct{ address, commit, want string }{
		{"git+https://github.com/kubernetes/kubernetes", "'" + sha1 + "'", k8s + "@" + sha1}, // krel, with its quotes
		{"github.com/kubernetes/kubernetes", sha1, k8s + "@" + sha1},                         // scorecard
		{"https://github.com/kubernetes/kubernetes.git", strings.ToUpper(sha1), k8s + "@" + sha1},
		{"https://GitHub.com/kubernetes/kubernetes/", " " + sha1 + "\n", k8s + "@" + sha1},
		{"https://github.com:443/kubernetes/kubernetes", "", k8s},
		{"http://github.com:80/kubernetes/kubernetes", "", k8s},
		{"git@github.com:kubernetes/kubernetes.git", "", k8s},
		{"ssh://git@github.com/kubernetes/kubernetes.git", "", k8s},
		{"git+ssh://git@github.com:22/kubernetes/kubernetes.git", "", k8s},
		{"git://github.com:9418/kubernetes/kubernetes", "", k8s},
		{"scm:git:https://github.com/kubernetes/kubernetes.git", "", k8s},
		{"scm:git:git@github.com:kubernetes/kubernetes.git", "", k8s},
		{"https://user:secret@github.com/kubernetes/kubernetes", "", k8s},
		{"https://github.com./kubernetes//kubernetes", "", k8s},
		{"'https://github.com/kubernetes/kubernetes'", "", k8s},
		{"git+https://github.com/kubernetes/kubernetes@" + sha1, "", k8s + "@" + sha1},
		{"git+https://github.com/kubernetes/kubernetes@refs/tags/v1.24.6", sha1, k8s + "@" + sha1},
		{"git+https://github.com/kubernetes/kubernetes.git@" + sha1 + "#cmd", "", k8s + "@" + sha1},
		{"git+https://github.com/kubernetes/kubernetes#" + sha1, "", k8s + "@" + sha1}, // npm
		{"https://github.com/kubernetes/kubernetes/tree/" + sha1 + "/cmd", "", k8s + "@" + sha1},
		{"https://github.com/kubernetes/kubernetes/issues/1", "", k8s},
		{"https://github.com/kubernetes/kubernetes?x=y", "", k8s},
		{"git+https://github.com/kubernetes/kubernetes", "v1.24.6", k8s}, // a tag moves
		{"https://gitlab.com/group/sub/project.git", sha256, "git+https://gitlab.com/group/sub/project@" + sha256},
		{"https://git.example:8443/x/y", "", "git+https://git.example:8443/x/y"},
		{"hg+https://hg.example/x", "", "hg+https://hg.example/x"},
	} {
		l, err := vcs.Parse(c.address)
		if err != nil {
			t.Errorf("%q: %v", c.address, err)
			continue
		}
		if got := l.At(c.commit).Key(); got != c.want {
			t.Errorf("%q at %q: got %q, want %q", c.address, c.commit, got, c.want)
		}
	}
}

func TestWhatIsNoRepository(t *testing.T) {
	for _, address := range []string{
		"", "kubernetes", "pkg:npm/x@1", "file:///etc/passwd", "/a/b", "./x", "https://github.com", "https://github.com/", "https://h.example/'.", "ssh://::/0", "javascript:alert(1)",
		"ftp://host.example/x", "https://ho st.example/x", "NOASSERTION", "sha256:" + sha256, "git+https://", "scm:cvs:x",
	} {
		if l, err := vcs.Parse(address); seaworthy.CodeOf(err) != seaworthy.Invalid {
			t.Errorf("%q: got %+v, %v", address, l, err)
		}
	}
	if _, err := vcs.Parse(strings.Repeat("x", vcs.MaxBytes+1)); seaworthy.CodeOf(err) != seaworthy.TooLarge {
		t.Errorf("too long: %v", err)
	}
}

func TestRefIsKept(t *testing.T) {
	l, err := vcs.Parse("git+https://github.com/x/y@refs/heads/main")
	if err != nil || l.Ref != "refs/heads/main" || l.Commit != "" {
		t.Errorf("got %+v, %v", l, err)
	}
	if r := l.At(sha1).Repository(); r.Key() != "git+https://github.com/x/y" || r.Ref != "" {
		t.Errorf("got %+v", r)
	}
}

func TestSays(t *testing.T) {
	for address, want := range map[string]bool{
		"git+https://git.example/x": true, "https://git.example/x.git#main": true, "git@git.example:x": true, "git://git.example/x": true,
		"https://github.com/x/y": true, "github.com/x/y": true, "scm:git:x.example/y": true,
		"https://github.com/x/y/releases/download/v1/y.tgz": false, "https://www.example/x/y": false, "https://github.com/x": false, "": false,
	} {
		if got := vcs.Says(address); got != want {
			t.Errorf("%q: got %v", address, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"git+https://github.com/x/y@" + sha1, "git@h.example:x/y.git", "scm:git:ssh://a:b@h.example:22/x", "https://[::1]:8443/x", "h.example/%2e%2e/x@y",
		"git+https://h.example/x.git/.git", "0.0/'.", "0../0", "githuB.Com/0/.gi'#0", "https://github.com/a/b.git/tree/" + sha1,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := vcs.Parse(s)
		if err != nil {
			return
		}
		again, err := vcs.Parse(l.Key())
		if err != nil || again.Key() != l.Key() {
			t.Errorf("%q gives %q, which gives %q, %v", s, l.Key(), again.Key(), err)
		}
	})
}
