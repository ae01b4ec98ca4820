package match

import (
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

func TestCompareVersions(t *testing.T) {
	for _, tc := range []struct {
		typ, a, b string
		want      int
	}{
		{"golang", "v1.5.0", "1.5.0", 0},
		{"golang", "v1.5.0", "v1.4.3", 1},
		{"golang", "v1.5.0-rc.1", "v1.5.0", -1},
		{"golang", "go1.21rc2", "1.21.0", -1},
		{"deb", "1:2.36-9", "2.37-1", 1},
		{"deb", "2.36-9+deb12u4", "2.36-9", 1},
		{"rpm", "1.0~rc1-1", "1.0-1", -1},
		{"apk", "1.2.3-r1", "1.2.3-r0", 1},
		{"npm", "10.0.0", "9.9.9", 1},
		{"maven", "1.0-alpha", "1.0", -1},
		{"", "v2", "1.9", 1},
		{"generic", "1.0", "1.0.0", 0},
	} {
		got, err := CompareVersions(tc.typ, tc.a, tc.b)
		if err != nil || got != tc.want {
			t.Errorf("CompareVersions(%q, %q, %q) = %d, %v, want %d", tc.typ, tc.a, tc.b, got, err, tc.want)
		}
		if back, err := CompareVersions(tc.typ, tc.b, tc.a); err != nil || back != -tc.want {
			t.Errorf("CompareVersions(%q, %q, %q) = %d, %v, want %d", tc.typ, tc.b, tc.a, back, err, -tc.want)
		}
	}
	for _, tc := range [][3]string{{"golang", "devel", "1.0"}, {"", "latest", "1"}, {"deb", "1.0", ""}} {
		if _, err := CompareVersions(tc[0], tc[1], tc[2]); seaworthy.CodeOf(err) != seaworthy.Unsupported {
			t.Errorf("CompareVersions(%q): %v, want Unsupported", tc, err)
		}
	}
}
