package packages

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
)

// scanTree joins what the recognisers say of files, lock files too.
func scanTree(t testing.TB, files map[string]string) Inventory {
	t.Helper()
	s := NewScanner(true, 0)
	var facts []Facts
	for p, body := range files {
		found, err := s.Scan(p, int64(len(body)), 0o644, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		facts = append(facts, found.Facts...)
	}
	return Join(facts)
}

// shown is "ref scope direct: evidence" of each package.
func shown(inv Inventory) []string {
	var out []string
	for _, p := range inv.Packages {
		s := p.Ref
		if p.Scope != "" {
			s += " " + string(p.Scope)
		}
		if p.Direct {
			s += " direct"
		}
		s += ":"
		for _, e := range p.Evidence {
			s += " " + e.Path
		}
		out = append(out, s)
	}
	return out
}

func edgesOf(inv Inventory) []string {
	var out []string
	for _, r := range inv.Relations {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", r.From, r.Type, r.To, r.Scope)))
	}
	return out
}

func TestLockedAndInstalledAreOne(t *testing.T) {
	inv := scanTree(t, map[string]string{
		"package.json": `{"name":"app","version":"1.0.0","dependencies":{"a":"^1.0.0"},"devDependencies":{"d":"1.0.0"}}`,
		"package-lock.json": `{"name":"app","version":"1.0.0","lockfileVersion":3,"packages":{
			"":{"name":"app","version":"1.0.0","dependencies":{"a":"^1.0.0"},"devDependencies":{"d":"1.0.0"}},
			"node_modules/a":{"version":"1.0.0","resolved":"https://registry.npmjs.org/a/-/a-1.0.0.tgz","integrity":"sha512-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==","dependencies":{"b":"1.0.0"},"optionalDependencies":{"o":"1.0.0"}},
			"node_modules/a/node_modules/b":{"version":"1.0.0","license":"MIT"},
			"node_modules/b":{"version":"2.0.0","dev":true},
			"node_modules/d":{"version":"1.0.0","dev":true,"dependencies":{"b":"2.0.0"}},
			"node_modules/d/node_modules/b":{"version":"1.0.0","dev":true},
			"node_modules/o":{"version":"1.0.0","optional":true}}}`,
		"node_modules/a/package.json":                `{"name":"a","version":"1.0.0","dependencies":{"b":"1.0.0"}}`,
		"node_modules/a/node_modules/b/package.json": `{"name":"b","version":"1.0.0"}`,
		"node_modules/b/package.json":                `{"name":"b","version":"2.0.0"}`,
		"node_modules/d/package.json":                `{"name":"d","version":"1.0.0","dependencies":{"b":"1.0.0"}}`,
		"node_modules/d/node_modules/b/package.json": `{"name":"b","version":"1.0.0"}`,
		// Of another project: the lock file above has nothing to say about it.
		"other/lib/a/package.json": `{"name":"a","version":"1.0.0"}`,
		// What a dependency's makers use is not this project's.
		"node_modules/a/package-lock.json":           `{"name":"a","version":"1.0.0","lockfileVersion":3,"packages":{"node_modules/z":{"version":"9.0.0"}}}`,
		"node_modules/a/.github/workflows/build.yml": "jobs: {build: {steps: [{uses: actions/checkout@v4}]}}\n",
	})
	got := shown(inv)
	for i := range got {
		if cut := strings.Index(got[i], "#"); cut > 0 {
			got[i] = got[i][:cut] + "#…" + got[i][cut+13:]
		}
	}
	want := []string{
		"pkg:npm/a@1.0.0 direct: node_modules/a/package.json package-lock.json",
		"pkg:npm/a@1.0.0#…: other/lib/a/package.json",
		"pkg:npm/app@1.0.0 direct: package.json package.json package-lock.json",
		"pkg:npm/b@1.0.0: node_modules/a/node_modules/b/package.json package-lock.json",
		"pkg:npm/b@1.0.0#…: node_modules/d/node_modules/b/package.json package-lock.json",
		"pkg:npm/b@2.0.0 development: node_modules/b/package.json package-lock.json",
		"pkg:npm/d@1.0.0 development direct: node_modules/d/package.json package-lock.json",
		"pkg:npm/o@1.0.0 optional: package-lock.json",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	for _, p := range inv.Packages {
		switch p.Ref {
		case "pkg:npm/a@1.0.0":
			if p.Download != "https://registry.npmjs.org/a/-/a-1.0.0.tgz" || len(p.Hashes) != 1 {
				t.Errorf("a has %q %v, the lock file knows better", p.Download, p.Hashes)
			}
		case "pkg:npm/b@1.0.0":
			if p.Licences.Declared != "MIT" {
				t.Errorf("b has licence %q, the lock file says MIT", p.Licences.Declared)
			}
		}
	}
	b2 := ""
	for _, p := range inv.Packages {
		if strings.HasPrefix(p.Ref, "pkg:npm/b@1.0.0#") {
			b2 = p.Ref
		}
	}
	wantEdges := []string{
		"pkg:npm/a@1.0.0 dependsOn pkg:npm/b@1.0.0",
		"pkg:npm/a@1.0.0 dependsOn pkg:npm/o@1.0.0 optional",
		"pkg:npm/app@1.0.0 dependsOn pkg:npm/a@1.0.0",
		"pkg:npm/app@1.0.0 dependsOn pkg:npm/d@1.0.0 development",
		"pkg:npm/d@1.0.0 dependsOn " + b2, // its own copy, not that of a
	}
	if diff := cmp.Diff(wantEdges, edgesOf(inv)); diff != "" {
		t.Errorf("relations (-want +got):\n%s", diff)
	}
}

func TestLockedPythonIsTheInstalledOfItsOwnDirectory(t *testing.T) {
	metadata := "Metadata-Version: 2.1\nName: Requests\nVersion: 2.31.0\n"
	inv := scanTree(t, map[string]string{
		"web/requirements.txt": "requests==2.31.0\n",
		"web/.venv/lib/python3.11/site-packages/requests-2.31.0.dist-info/METADATA":  metadata,
		"tool/.venv/lib/python3.11/site-packages/requests-2.31.0.dist-info/METADATA": metadata,
	})
	var got []string
	for _, p := range inv.Packages {
		if p.Role != seaworthy.Application {
			var at []string
			for _, e := range p.Evidence {
				at = append(at, e.Path)
			}
			got = append(got, strings.Join(at, " "))
		}
	}
	want := []string{
		"tool/.venv/lib/python3.11/site-packages/requests-2.31.0.dist-info/METADATA",
		"web/.venv/lib/python3.11/site-packages/requests-2.31.0.dist-info/METADATA web/requirements.txt",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("evidence (-want +got):\n%s", diff)
	}
}

func TestVendoredManifestsAreNotProjects(t *testing.T) {
	inv := scanTree(t, map[string]string{
		"composer.json":                 `{"name":"shop/web","require":{"acme/lib":"^1.0"}}`,
		"composer.lock":                 `{"packages":[{"name":"acme/lib","version":"1.0.0"}]}`,
		"vendor/acme/lib/composer.json": `{"name":"acme/lib","require":{"acme/other":"^2.0"}}`,
		"tools/vendor/go.mod":           "module example.com/own\n\ngo 1.22\n",
	})
	var got []string
	for _, p := range inv.Packages {
		got = append(got, p.Name)
	}
	if diff := cmp.Diff([]string{"acme/lib", "shop/web", "example.com/own", "stdlib"}, got); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
}

// TestJoiningLockFilesIsLinear has many copies of one package below many projects that all lock it, as deep as
// paths go.
func TestJoiningLockFilesIsLinear(t *testing.T) {
	build := func(n int) []Facts {
		var facts []Facts
		deep := strings.Repeat("d/", 200)
		p := seaworthy.Package{Ecosystem: "npm", Name: "a", Version: "1.0.0", PURL: "pkg:npm/a@1.0.0"}
		for i := range n {
			dir := fmt.Sprintf("%sp%d/", deep, i)
			facts = append(facts, Facts{By: "npm", Path: dir + "node_modules/a/package.json", Packages: []seaworthy.Package{p}},
				Facts{By: "npm-lock", Path: dir + "package-lock.json", Packages: []seaworthy.Package{p}})
		}
		return facts
	}
	measure := func(n int) time.Duration {
		facts := build(n)
		best := time.Duration(1 << 62)
		for range 3 {
			start := time.Now()
			if inv := Join(facts); len(inv.Packages) < n {
				t.Fatalf("%d packages", len(inv.Packages))
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	small, large := measure(500), measure(8_000)
	if large > 16*6*small {
		t.Errorf("16 times the files take %v instead of %v: %d times as long", large, small, large/small)
	}
}
