package packages

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReleaseOf(t *testing.T) {
	const lib = "# comment\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID='12'\nVERSION_CODENAME=bookworm\nID_LIKE=\"a b\"\nNAME=\"x \\\"y\\\"\"\nno equals sign\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  *OSRelease
	}{
		{"none", nil, nil},
		{
			"lib",
			map[string]string{"usr/lib/os-release": lib, "etc/debian_version": "12.5\n"},
			&OSRelease{ID: "debian", VersionID: "12", Codename: "bookworm", IDLike: []string{"a", "b"}, Name: `x "y"`, PrettyName: "Debian GNU/Linux 12 (bookworm)"},
		},
		{"etc wins", map[string]string{"usr/lib/os-release": lib, "etc/os-release": "ID=Ubuntu\nVERSION_ID=24.04"}, &OSRelease{ID: "ubuntu", VersionID: "24.04"}},
		{"alpine", map[string]string{"etc/alpine-release": "3.18.4\n"}, &OSRelease{ID: "alpine", VersionID: "3.18.4", Name: "Alpine Linux"}},
		{"debian", map[string]string{"etc/debian_version": "12.5\n"}, &OSRelease{ID: "debian", VersionID: "12", Name: "Debian GNU/Linux"}},
		{"sid", map[string]string{"etc/debian_version": "trixie/sid\n"}, &OSRelease{ID: "debian", Codename: "trixie", Name: "Debian GNU/Linux"}},
		{"no id", map[string]string{"etc/os-release": "NAME=Homebrew\n"}, &OSRelease{ID: "linux", Name: "Homebrew"}},
		{"something else", map[string]string{"etc/os-release": "\x00\x01"}, nil},
	} {
		got := ReleaseOf(readAll(t, c.files))
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func FuzzOSRelease(f *testing.F) {
	f.Add([]byte("ID=\"a\\\"\nNAME='\nVERSION_ID=\"\\"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := parseOSRelease(b)
		r.Package()
	})
}
