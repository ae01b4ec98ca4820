package licence

import (
	"strings"
	"testing"

	"github.com/github/go-spdx/v2/spdxexp"
)

func TestValid(t *testing.T) {
	for _, c := range []struct {
		in   string
		want bool
	}{
		{"MIT", true},
		{"mit", true},
		{"(MIT OR ISC) AND Zlib", true},
		{"GPL-2.0+", true},
		{"LicenseRef-x.y-1", true},
		{"DocumentRef-a:LicenseRef-b", true},
		{"GPL-2.0-only WITH Classpath-exception-2.0", true},
		{"((MIT))", true},
		{"", false},
		{" ", false},
		{"MIT or ISC", false},
		{"MIT ISC", false},
		{"MIT AND", false},
		{"(MIT", false},
		{"MIT)", false},
		{"()", false},
		{"Expat", false},
		{"LicenseRef-", false},
		{"LicenseRef-a_b", false},
		{"MIT WITH", false},
		{"MIT WITH MIT", false},
		{"(MIT) WITH Classpath-exception-2.0", false},
		{"MIT +", false},
		{"OR", false},
		{"MIT\nOR ISC", false},
		{"GPL-2.0-only WITH Classpath-exception-2.0 WITH Classpath-exception-2.0", false},
		{"LicenseRef-a+", false},
	} {
		if got := Valid(c.in); got != c.want {
			t.Errorf("Valid(%q) = %v, want %v", c.in, got, c.want)
		}
	}
}

func TestAnd(t *testing.T) {
	for _, c := range []struct {
		in   []string
		want string
	}{
		{nil, ""},
		{[]string{"", ""}, ""},
		{[]string{"MIT", "", "ISC OR Zlib", "MIT"}, "(ISC OR Zlib) AND MIT"},
		{[]string{"ISC OR Zlib"}, "ISC OR Zlib"},
		{[]string{"Zlib AND MIT", "(ISC OR Zlib) AND MIT"}, "(ISC OR Zlib) AND MIT AND Zlib"},
		{[]string{"MIT AND ISC OR Zlib", "X11"}, "(MIT AND ISC OR Zlib) AND X11"},
	} {
		if got := And(c.in...); got != c.want {
			t.Errorf("And(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

// FuzzNormalise checks the promises: always a valid expression, and the same when normalised again; and that
// the library holds it for valid as well.
func FuzzNormalise(f *testing.F) {
	for _, s := range []string{
		"MIT", "GPLv2+ with exceptions", "A, and B or (C/D)", "License :: OSI Approved :: X (Y)", "http://a/b", "GPL-2 or later",
		"bsd~x", "v v2.0 v", "(((", "a with b with c", "DocumentRef-a:LicenseRef-b AND x", "GPL-2.0+ +", "ſſ", "gfdl-niv-1.3+", "LicenseRef--+-",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Normalise(s)
		if got == "" {
			return
		}
		if both := And(got, "MIT OR ISC", got); !Valid(both) {
			t.Fatalf("And(%q, \"MIT OR ISC\") = %q, which is not valid", got, both)
		}
		if !Valid(got) {
			t.Fatalf("Normalise(%q) = %q, which is not valid", s, got)
		}
		if again := Normalise(got); again != got {
			t.Fatalf("Normalise(%q) = %q, and again %q", s, got, again)
		}
		if !strings.Contains(got, "DocumentRef-") && len(got) < 100 {
			if ok, _ := spdxexp.ValidateLicenses([]string{got}); !ok {
				t.Fatalf("Normalise(%q) = %q, which go-spdx refuses", s, got)
			}
		}
	})
}

func BenchmarkNormalise(b *testing.B) {
	for _, s := range []string{"MIT", "MIT OR Apache-2.0", "GPLv2+", "BSD and LGPLv2 and Sleepycat", "License :: OSI Approved :: Apache Software License", "unheard-of thing"} {
		b.Run(strings.ReplaceAll(s, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				Normalise(s)
			}
		})
	}
}
