package packages

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

// installed lets r read the files of a tree it wants, and joins what it says. Errors of Read become Problems,
// as the Scanner makes them.
func installed(r Recogniser, tree map[string]string) Joined {
	var all []Facts
	for p, content := range tree {
		if !r.Wants(p, int64(len(content)), 0o755) {
			continue
		}
		facts, err := r.Read(&File{Path: p, Size: int64(len(content)), Mode: 0o755, Body: strings.NewReader(content)})
		if err != nil {
			facts.Problems = append(facts.Problems, seaworthy.NewProblem(p, err))
		}
		facts.By, facts.Path = r.Name, p
		all = append(all, facts)
	}
	slices.SortFunc(all, func(a, b Facts) int { return strings.Compare(a.Path, b.Path) })
	return r.Join(Context{}, all)
}

func purlsAt(j Joined) []string {
	var out []string
	for _, p := range j.Packages {
		out = append(out, p.PURL+" "+p.Evidence[0].Path)
	}
	slices.Sort(out)
	return out
}

// edges lists relations as "purl verb purl", without the places.
func edges(j Joined) []string {
	purls := map[string]string{}
	for _, p := range j.Packages {
		purls[p.Ref] = p.PURL
	}
	var out []string
	for _, r := range j.Relations {
		s := purls[r.From] + " " + string(r.Type) + " " + purls[r.To]
		if r.Scope != "" {
			s += " " + string(r.Scope)
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

func one(t *testing.T, j Joined, purl string) seaworthy.Package {
	t.Helper()
	for _, p := range j.Packages {
		if p.PURL == purl {
			return p
		}
	}
	t.Fatalf("no package %s among %v", purl, purlsAt(j))
	return seaworthy.Package{}
}

// fuzzRead feeds bytes to a recogniser under each of the paths; nothing may panic, and what comes out must join.
func fuzzRead(f *testing.F, r Recogniser, paths []string, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, p := range paths {
			facts, err := r.Read(&File{Path: p, Size: int64(len(b)), Mode: 0o755, Body: bytes.NewReader(b)})
			if err != nil && seaworthy.CodeOf(err) == seaworthy.Internal {
				t.Fatalf("%s: an error without a code: %v", p, err)
			}
			facts.By, facts.Path = r.Name, p
			j := r.Join(Context{}, []Facts{facts})
			refs := map[string]bool{}
			for _, p := range j.Packages {
				if p.Name == "" || p.Ref == "" || refs[p.Ref] {
					t.Fatalf("package %+v: no name, or no Ref of its own", p)
				}
				refs[p.Ref] = true
			}
			for _, rel := range j.Relations {
				if !refs[rel.From] || !refs[rel.To] {
					t.Fatalf("dangling relation %+v", rel)
				}
			}
		}
	})
}

func TestWantsDoNotAllocate(t *testing.T) {
	paths := []string{
		"usr/bin/perl", "app/node_modules/@a/b/node_modules/c/package.json", "usr/share/nodejs/x/package.json",
		"usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO", "app/lib/x.jar", "specifications/x.gemspec",
	}
	for _, r := range []Recogniser{npm, python, gem, jar, binaries} {
		if n := testing.AllocsPerRun(10, func() {
			for _, p := range paths {
				r.Wants(p, 1<<20, fs.FileMode(0o755))
			}
		}); n != 0 {
			t.Errorf("%s: Wants allocates %v times", r.Name, n)
		}
	}
}
