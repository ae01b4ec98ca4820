package match

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/osv-scalibr/semantic"

	"github.com/seaworthy-dev/seaworthy/source/advisory"
)

// TestVersionCorpora runs osv-scalibr's own lines ("1.0 < 2.0") through the same comparison that judges ranges:
// a < b means that a is inside [0, b) and b is not inside [0, a).
func TestVersionCorpora(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/osv-scalibr").Output()
	dir := filepath.Join(strings.TrimSpace(string(out)), "semantic", "testdata")
	if _, statErr := os.Stat(dir); err != nil || statErr != nil {
		t.Skipf("SKIPPED: the corpora of osv-scalibr are not in the module cache: %v %v", err, statErr)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	ecosystems := map[string]string{
		"alpine": "Alpine", "cran": "CRAN", "debian": "Debian", "hackage": "Hackage", "maven": "Maven", "nuget": "NuGet",
		"packagist": "Packagist", "pub": "Pub", "pypi": "PyPI", "redhat": "Red Hat", "rubygems": "RubyGems", "semver": "npm",
	}
	lines, compared, wrong := 0, 0, 0
	for _, file := range files {
		kind, _, _ := strings.Cut(filepath.Base(file), "-")
		ecosystem := ecosystems[kind]
		if ecosystem == "" {
			t.Errorf("a corpus of an ecosystem this test does not know: %s", file)
			continue
		}
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		for scan := bufio.NewScanner(f); scan.Scan(); {
			lines++
			part := strings.Split(scan.Text(), " ")
			if scan.Text() == "" || strings.HasPrefix(scan.Text(), "#") || strings.HasPrefix(scan.Text(), "//") || len(part) != 3 {
				continue
			}
			compared++
			for _, swap := range []bool{false, true} {
				a, b := part[0], part[2]
				less := part[1] == "<"
				if swap {
					a, b, less = b, a, part[1] == ">"
				}
				if got, ok := below(ecosystem, a, b); !ok || got != less {
					if wrong++; wrong < 10 {
						t.Errorf("%s: %s: %q below %q is %v (comparable %v)", kind, scan.Text(), a, b, got, ok)
					}
				}
			}
		}
		f.Close()
	}
	t.Logf("%d lines, %d comparisons, %d wrong", lines, compared, wrong)
	if lines != 71972 {
		t.Errorf("%d lines, want 71972", lines)
	}
}

// below reports whether a is in the range [0, b). The versions are taken as they are: some of the corpora are no
// versions that a package could have, which newVersion would refuse.
func below(ecosystem, a, b string) (in, ok bool) {
	own, err := semantic.Parse(a, ecosystem)
	if err != nil {
		return false, false
	}
	v := &version{text: a, ecosystem: ecosystem, own: own}
	verdict, err := v.inRange(&advisory.Range{Type: advisory.Ecosystem, Events: []advisory.Event{
		{Kind: advisory.Introduced, Version: "0"}, {Kind: advisory.Fixed, Version: b},
	}})
	return verdict.affected, err == nil
}

// FuzzVersion compares any two texts in any order: nothing may crash or take long.
func FuzzVersion(f *testing.F) {
	f.Add(uint8(0), "1.0", "2.0")
	f.Add(uint8(3), "1:1.0-1~deb", "1.0")
	f.Add(uint8(6), "1.0.dev1+local", "v99999999999999999999.0")
	ecosystems := []string{"Go", "npm", "Maven", "Debian:12", "Alpine:v3.18", "Red Hat", "PyPI", "RubyGems", "NuGet", "Packagist", "Pub", "CRAN", "Hackage", "crates.io", "none"}
	f.Fuzz(func(t *testing.T, which uint8, a, b string) {
		v, reason := newVersion(ecosystems[int(which)%len(ecosystems)], a)
		if reason != "" {
			return
		}
		for _, typ := range []advisory.RangeType{advisory.Semver, advisory.Ecosystem, advisory.OtherRange} {
			v.inRange(&advisory.Range{Type: typ, Events: []advisory.Event{
				{Kind: advisory.Introduced, Version: b}, {Kind: advisory.Introduced, Version: "0"}, {Kind: advisory.LastAffected, Version: b}, {Kind: advisory.Limit, Version: b},
			}})
		}
		v.equal([]byte(b))
	})
}
