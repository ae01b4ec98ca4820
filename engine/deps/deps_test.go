package deps

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/inspect"
	"github.com/seaworthy-dev/seaworthy/format/snapshot"
	"github.com/seaworthy-dev/seaworthy/format/spdx"
	"github.com/seaworthy-dev/seaworthy/packages"
	"github.com/seaworthy-dev/seaworthy/source/tree"
)

// shop is a tree of an npm project, a Go module and a workflow.
var shop = map[string]string{
	"package.json": `{"name":"shop","version":"1.0.0","dependencies":{"express":"^4.17.1"},"devDependencies":{"mocha":"^9.0.0"}}`,
	"package-lock.json": `{"name":"shop","version":"1.0.0","lockfileVersion":3,"packages":{
		"":{"name":"shop","version":"1.0.0","dependencies":{"express":"^4.17.1"},"devDependencies":{"mocha":"^9.0.0"}},
		"node_modules/express":{"version":"4.17.1","license":"MIT","dependencies":{"debug":"2.6.9","send":"0.17.1"}},
		"node_modules/send":{"version":"0.17.1","license":"MIT","dependencies":{"debug":"2.6.9","ms":"2.1.1"}},
		"node_modules/debug":{"version":"2.6.9","dependencies":{"ms":"2.0.0"}},
		"node_modules/debug/node_modules/ms":{"version":"2.0.0"},
		"node_modules/ms":{"version":"2.1.1","license":"MIT"},
		"node_modules/mocha":{"version":"9.0.0","dev":true,"license":"MIT","dependencies":{"glob":"7.1.7"}},
		"node_modules/glob":{"version":"7.1.7","dev":true,"license":"ISC"}}}`,
	"node_modules/debug/package.json":             `{"name":"debug","version":"2.6.9","license":"BSD-2-Clause"}`,
	"node_modules/debug/.github/workflows/ci.yml": "jobs:\n  a:\n    steps:\n    - uses: somebody/else@v1\n",
	"server/go.mod":            "module example.org/server\n\ngo 1.22\n\nrequire (\n\tgolang.org/x/net v0.20.0\n\tgolang.org/x/text v0.14.0 // indirect\n)\n",
	".github/workflows/ci.yml": "jobs:\n  build:\n    steps:\n    - uses: actions/checkout@v4\n    - uses: actions/setup-go@0123456789012345678901234567890123456789\n",
	"docs/requirements.txt":    "sphinx==7.2.6\n",
	"legacy/yarn.lock":         "# yarn lockfile v1\n\n\nleft-pad@^1.3.0:\n  version \"1.3.0\"\n",
}

func sourceOf(t *testing.T, files map[string]string) Source {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return readTree(t, dir, "shop")
}

func readTree(t *testing.T, dir, name string) Source {
	t.Helper()
	layer, err := tree.Dir(t.Context(), dir, tree.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return FromReport(name, inspect.Tree(name, "dir", layer, inspect.Options{}))
}

func filter(t *testing.T, words ...string) Filter {
	t.Helper()
	f, err := ParseFilter(words)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func lines(rows []Row) []string {
	var out []string
	for i := range rows {
		r := &rows[i]
		out = append(out, strings.Join([]string{
			r.Name, r.Version + r.Range, r.Ecosystem, r.Manifest, string(r.Relationship), string(r.Scope), r.Licence, strings.Join(r.Path, " > "),
		}, "|"))
	}
	return out
}

func TestEachDependencyIsThereWithWhatBroughtItIn(t *testing.T) {
	g := New(sourceOf(t, shop))
	want := []string{
		"actions/checkout|v4|githubactions|.github/workflows/ci.yml|direct|build||workflows > actions/checkout",
		"actions/setup-go|0123456789012345678901234567890123456789|githubactions|.github/workflows/ci.yml|direct|build||workflows > actions/setup-go",
		"debug|2.6.9|npm|package-lock.json|transitive|runtime|BSD-2-Clause|shop > express > debug",
		"express|4.17.1|npm|package-lock.json|direct|runtime|MIT|shop > express",
		"glob|7.1.7|npm|package-lock.json|transitive|development|ISC|shop > mocha > glob",
		"golang.org/x/net|v0.20.0|golang|server/go.mod|direct|runtime||example.org/server > golang.org/x/net",
		"golang.org/x/text|v0.14.0|golang|server/go.mod|transitive|runtime||",
		"left-pad|1.3.0|npm|legacy/yarn.lock|inconclusive|runtime||",
		"mocha|9.0.0|npm|package-lock.json|direct|development|MIT|shop > mocha",
		"ms|2.0.0|npm|package-lock.json|transitive|runtime||shop > express > debug > ms",
		"ms|2.1.1|npm|package-lock.json|transitive|runtime|MIT|shop > express > send > ms",
		"send|0.17.1|npm|package-lock.json|transitive|runtime|MIT|shop > express > send",
		"sphinx|7.2.6|pypi|docs/requirements.txt|direct|runtime||docs > sphinx",
		"stdlib|1.22|golang|server/go.mod|direct|runtime||example.org/server > stdlib",
	}
	rows := g.Select(Filter{})
	if got := lines(rows); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	s := Summarise(rows)
	if want := (Summary{Dependencies: 14, Direct: 7, Transitive: 6, Inconclusive: 1, NotPinned: 1}); s != want {
		t.Errorf("summary %+v, want %+v", s, want)
	}
	var files []string
	for _, m := range g.Manifests() {
		files = append(files, fmt.Sprintf("%s %d/%d", m.Path, m.Direct, m.Dependencies))
	}
	wantFiles := []string{
		".github/workflows/ci.yml 2/2", "docs/requirements.txt 1/1", "legacy/yarn.lock 0/1", "package-lock.json 2/7", "package.json 0/0", "server/go.mod 2/3",
	}
	if !slices.Equal(files, wantFiles) {
		t.Errorf("manifests %q, want %q", files, wantFiles)
	}
}

func TestFilters(t *testing.T) {
	g := New(sourceOf(t, shop))
	if err := g.Match(fakeAdvisories); err != nil {
		t.Fatal(err)
	}
	for words, want := range map[string]string{
		"":                                  "debug ms@2.0.0 actions/checkout actions/setup-go express glob golang.org/x/net golang.org/x/text left-pad mocha ms@2.1.1 send sphinx stdlib",
		"MS":                                "ms@2.0.0 ms@2.1.1",
		"golang net":                        "golang.org/x/net",
		"ecosystem:npm relationship:direct": "express mocha",
		"ecosystem:Go,actions":              "actions/checkout actions/setup-go golang.org/x/net golang.org/x/text stdlib",
		"ecosystem:go ecosystem:pip":        "golang.org/x/net golang.org/x/text sphinx stdlib",
		"rel:inconclusive":                  "left-pad",
		"scope:dev":                         "glob mocha",
		"manifest:server":                   "golang.org/x/net golang.org/x/text stdlib",
		"manifest:yarn.lock":                "left-pad",
		"manifest:*/requirements.txt":       "sphinx",
		"manifest:erver/":                   "",
		"vulnerable:yes":                    "debug ms@2.0.0",
		"vulnerable:high":                   "debug",
		"vulnerable:no ecosystem:npm m":     "mocha ms@2.1.1",
		"pinned:no":                         "actions/checkout",
		"pinned:yes":                        "actions/setup-go",
		"licence:bsd":                       "debug",
		"license:none ecosystem:npm":        "ms@2.0.0 left-pad",
		"name:ms version:2.1.1":             "ms@2.1.1",
		"pkg:npm/express":                   "express",
		"ecosystem:npm ecosystem:go lodash": "",
	} {
		var got []string
		for _, r := range g.Select(filter(t, strings.Fields(words)...)) {
			if r.Name == "ms" {
				r.Name += "@" + r.Version
			}
			got = append(got, r.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", words, strings.Join(got, " "), want)
		}
	}
}

// fakeAdvisories knows two vulnerable packages.
func fakeAdvisories(b *seaworthy.Bill) ([]seaworthy.Finding, error) {
	var out []seaworthy.Finding
	for _, p := range b.Packages {
		switch p.PURL {
		case "pkg:npm/ms@2.0.0":
			out = append(out, seaworthy.Finding{ID: "CVE-2017-20162", Severity: seaworthy.SeverityMedium, Ref: p.Ref, Risk: 3})
		case "pkg:npm/debug@2.6.9":
			out = append(out,
				seaworthy.Finding{ID: "CVE-2000-1", Severity: seaworthy.SeverityLow, Ref: p.Ref},
				seaworthy.Finding{ID: "CVE-2000-2", Severity: seaworthy.SeverityHigh, Ref: p.Ref, Fixed: "3.0.0", KEV: &seaworthy.KEV{}})
		}
	}
	return out, nil
}

func TestVulnerableComeFirstTheWorstAtTheTop(t *testing.T) {
	g := New(sourceOf(t, shop))
	if err := g.Match(fakeAdvisories); err != nil {
		t.Fatal(err)
	}
	rows := g.Select(Filter{})
	want := []Vulnerability{
		{ID: "CVE-2000-2", Severity: seaworthy.SeverityHigh, Fixed: "3.0.0", Exploited: true}, {ID: "CVE-2000-1", Severity: seaworthy.SeverityLow},
	}
	if rows[0].Name != "debug" || !reflect.DeepEqual(rows[0].Vulnerabilities, want) || rows[1].Vulnerable() != "CVE-2017-20162 medium" {
		t.Errorf("first %+v, then %+v", rows[0], rows[1])
	}
	err := New(sourceOf(t, shop)).Match(func(*seaworthy.Bill) ([]seaworthy.Finding, error) { return []seaworthy.Finding{{Ref: "99"}}, nil })
	if seaworthy.CodeOf(err) != seaworthy.Internal {
		t.Errorf("a finding about nothing: %v", err)
	}
}

func TestAFilterThatCannotBeSaysWhatWasMeant(t *testing.T) {
	for word, want := range map[string]string{
		"ecosytem:npm":       "did you mean ecosystem:?",
		"junit:junit":        "write name:junit:junit",
		"relationship:drect": "did you mean relationship:direct?",
		"scope:sometimes":    "it may be runtime, development",
		"manifest:":          "for example: manifest:web/package-lock.json",
		"vulnerable:maybe":   "it may be yes, no",
	} {
		_, err := ParseFilter([]string{word})
		if seaworthy.CodeOf(err) != seaworthy.Usage || !strings.Contains(seaworthy.HintOf(err), want) {
			t.Errorf("%q: %v, hint %q; want %q", word, err, seaworthy.HintOf(err), want)
		}
	}
}

func TestWhy(t *testing.T) {
	g := New(sourceOf(t, shop))
	for _, c := range []struct {
		name string
		most int
		want string
	}{
		{"ms", 10, `ms 2.0.0 (npm, package-lock.json): transitive, runtime
  shop 1.0.0 › express 4.17.1 › debug 2.6.9 › ms 2.0.0
  shop 1.0.0 › express 4.17.1 › send 0.17.1 › debug 2.6.9 › ms 2.0.0

ms 2.1.1 (npm, package-lock.json): transitive, runtime
  shop 1.0.0 › express 4.17.1 › send 0.17.1 › ms 2.1.1
`},
		{"pkg:npm/ms@2.0.0", 1, `ms 2.0.0 (npm, package-lock.json): transitive, runtime
  shop 1.0.0 › express 4.17.1 › debug 2.6.9 › ms 2.0.0
  … there are more ways from shop; --paths shows more of them
`},
		{"GLOB@7.1.7", 1, ""},
		{"Mocha", 1, "mocha 9.0.0 (npm, package-lock.json): direct, development\n  shop 1.0.0 › mocha 9.0.0\n"},
		{"golang.org/x/text", 1, "golang.org/x/text v0.14.0 (golang, server/go.mod): transitive, runtime\n  server/go.mod says that something else needs it, and not what\n"},
		{"left-pad@1.3.0", 1, "left-pad 1.3.0 (npm, legacy/yarn.lock): inconclusive, runtime\n  legacy/yarn.lock lists it and does not say why\n"},
	} {
		a, err := g.Why(c.name, c.most)
		if c.want == "" {
			if seaworthy.CodeOf(err) != seaworthy.NotFound {
				t.Errorf("%q: %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := a.Write(&b); err != nil {
			t.Fatal(err)
		}
		if b.String() != c.want {
			t.Errorf("%q: got\n%s\nwant\n%s", c.name, &b, c.want)
		}
	}
}

func TestDependentsOverManyTrees(t *testing.T) {
	blog := sourceOf(t, map[string]string{
		"package.json":      `{"name":"blog","dependencies":{"ms":"2.0.0"}}`,
		"package-lock.json": `{"name":"blog","lockfileVersion":3,"packages":{"":{"name":"blog","dependencies":{"ms":"2.0.0"}},"node_modules/ms":{"version":"2.0.0"}}}`,
	})
	blog.Name = "blog"
	tool := sourceOf(t, map[string]string{"go.mod": "module example.org/tool\n\ngo 1.22\n\nrequire golang.org/x/text v0.14.0 // indirect\n"})
	tool.Name = "tool"
	g := New(sourceOf(t, shop), blog, tool)
	d, err := g.Dependents("ms")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range d.Projects {
		got = append(got, strings.Join([]string{p.Source, p.Name, p.Manifest, p.Version, string(p.Relationship), strings.Join(p.Path, " > ")}, "|"))
	}
	want := []string{
		"blog|blog|package.json|2.0.0|direct|blog > ms",
		"shop|shop|package.json|2.0.0|transitive|shop > express > debug > ms",
		"shop|shop|package.json|2.1.1|transitive|shop > express > send > ms",
	}
	if !slices.Equal(got, want) || d.Direct != 1 || d.Indirect != 1 {
		t.Errorf("%d direct, %d transitive:\n%s", d.Direct, d.Indirect, strings.Join(got, "\n"))
	}
	got = nil
	for _, p := range d.Packages {
		got = append(got, fmt.Sprint(p.Name, " ", p.Direct, " ", p.Distance))
	}
	if want := []string{"debug true 1", "send true 1", "express false 2"}; !slices.Equal(got, want) {
		t.Errorf("packages %q, want %q", got, want)
	}
	d, err = g.Dependents("golang.org/x/text")
	if err != nil || len(d.Projects) != 2 || d.Projects[1].Name != "example.org/tool" || d.Projects[1].Relationship != Transitive || d.Indirect != 2 {
		t.Errorf("dependents of an indirect module: %+v, %v", d, err)
	}
	if _, err := g.Dependents("mss"); seaworthy.CodeOf(err) != seaworthy.NotFound {
		t.Errorf("dependents of nothing: %v", err)
	}
}

func TestTree(t *testing.T) {
	g := New(sourceOf(t, shop))
	for _, c := range []struct {
		name  string
		depth int
		want  string
	}{
		{"", 0, `workflows (githubactions, .github/workflows/ci.yml)
├─ actions/checkout v4 [build] [not pinned]
└─ actions/setup-go 0123456789012345678901234567890123456789 [build]

docs (pypi, docs/requirements.txt)
└─ sphinx 7.2.6

legacy (npm, legacy/yarn.lock)
└─ (the manifest does not say who needs these)
   └─ left-pad 1.3.0

shop 1.0.0 (npm, package.json)
├─ express 4.17.1
│  ├─ debug 2.6.9
│  │  └─ ms 2.0.0
│  └─ send 0.17.1
│     ├─ debug 2.6.9 (*)
│     └─ ms 2.1.1
└─ mocha 9.0.0 [development]
   └─ glob 7.1.7 [development]

example.org/server (golang, server/go.mod)
├─ golang.org/x/net v0.20.0
├─ stdlib 1.22
└─ (the manifest does not say who needs these)
   └─ golang.org/x/text v0.14.0
`},
		{"express", 1, "express 4.17.1 (npm, package-lock.json)\n├─ debug 2.6.9 (…)\n└─ send 0.17.1 (…)\n"},
	} {
		roots, err := g.Roots(c.name)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := g.WriteTree(&b, roots, c.depth); err != nil {
			t.Fatal(err)
		}
		if b.String() != c.want {
			t.Errorf("%q: got\n%s\nwant\n%s", c.name, &b, c.want)
		}
	}
	if _, err := g.Roots("nothing"); seaworthy.CodeOf(err) != seaworthy.NotFound {
		t.Errorf("a tree of nothing: %v", err)
	}
}

// made is a graph of packages p0, p1 … below the project "app", with these edges; -1 is the project.
func made(nodes int, edges [][2]int) Source {
	s := Source{Name: "made", Packages: make([]seaworthy.Package, 0, nodes+1)}
	evidence := []seaworthy.Evidence{{Path: "lock"}}
	ref := func(n int) string {
		if n < 0 {
			return "app"
		}
		return "p" + strconv.Itoa(n)
	}
	s.Packages = append(s.Packages, seaworthy.Package{Ref: "app", Name: "app", Role: seaworthy.Application, Ecosystem: "npm", Evidence: evidence})
	for n := range nodes {
		s.Packages = append(s.Packages, seaworthy.Package{Ref: ref(n), Name: ref(n), Version: "1", Ecosystem: "npm", Evidence: evidence})
	}
	for _, e := range edges {
		s.Relations = append(s.Relations, seaworthy.Relation{From: ref(e[0]), Type: seaworthy.DependsOn, To: ref(e[1])})
	}
	return s
}

func TestCyclesAreCut(t *testing.T) {
	g := New(made(3, [][2]int{{-1, 0}, {0, 1}, {1, 2}, {2, 0}, {2, 2}, {1, 99}}))
	roots, err := g.Roots("")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := g.WriteTree(&b, roots, 0); err != nil {
		t.Fatal(err)
	}
	if want := "app (npm, lock)\n└─ p0 1\n   └─ p1 1\n      └─ p2 1\n         └─ p0 1 (cycle)\n"; b.String() != want {
		t.Errorf("got\n%s", &b)
	}
	a, err := g.Why("p2", 10)
	if err != nil || len(a.Found[0].Chains) != 1 || len(a.Found[0].Chains[0].Paths) != 1 || a.Found[0].Chains[0].More {
		t.Errorf("why: %+v, %v", a, err)
	}
}

// A ladder of n rungs has 2^n chains from one end to the other.
func TestManyChainsAreCutAtTheBound(t *testing.T) {
	var edges [][2]int
	const rungs = 40
	edges = append(edges, [2]int{-1, 0}, [2]int{-1, 1})
	for i := range rungs - 1 {
		for _, from := range []int{2 * i, 2*i + 1} {
			edges = append(edges, [2]int{from, 2*i + 2}, [2]int{from, 2*i + 3})
		}
	}
	g := New(made(2*rungs, edges))
	a, err := g.Why("p"+strconv.Itoa(2*rungs-1), 25)
	if err != nil {
		t.Fatal(err)
	}
	c := a.Found[0].Chains[0]
	seen := map[string]bool{}
	for _, p := range c.Paths {
		seen[fmt.Sprint(p)] = true
	}
	if len(c.Paths) != 25 || len(seen) != 25 || !c.More || len(c.Paths[0]) != rungs+1 {
		t.Errorf("%d chains, %d distinct, more %v, the first of %d steps", len(c.Paths), len(seen), c.More, len(c.Paths[0]))
	}
}

// Depth and breadth that somebody else decides: no stack overflow, no squares.
func TestManyPackages(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const n = 200_000
	edges := make([][2]int, 0, 3*n)
	for i := range n {
		if i < n/2 {
			edges = append(edges, [2]int{i - 1, i}) // a chain
		} else {
			edges = append(edges, [2]int{0, i}, [2]int{i, n/2 - 1}) // a fan, and all of it back to the chain's end
		}
	}
	g := New(made(n, edges))
	rows := g.Select(Filter{})
	if len(rows) != n {
		t.Fatalf("%d rows", len(rows))
	}
	for i := range rows {
		if len(rows[i].Path) > MaxPath {
			t.Fatalf("a path of %d steps", len(rows[i].Path))
		}
	}
	roots, err := g.Roots("")
	if err != nil {
		t.Fatal(err)
	}
	var written count
	if err := g.WriteTree(&written, roots, 0); err != nil {
		t.Fatal(err)
	}
	if written.lines < n/2 || written.lines > 4*n {
		t.Errorf("the tree has %d lines", written.lines)
	}
	if p := g.Part(roots, 0); len(p.Nodes) != n+1 {
		t.Errorf("the part has %d nodes", len(p.Nodes))
	}
	a, err := g.Why("p"+strconv.Itoa(n/2-1), 3)
	if err != nil || len(a.Found[0].Chains[0].Paths) != 3 || len(a.Found[0].Chains[0].Paths[0]) != 4 {
		t.Errorf("why: %v", err)
	}
	d, err := g.Dependents("p" + strconv.Itoa(n/2-1))
	if err != nil || len(d.Packages) != n-1 || d.Indirect != 1 {
		t.Errorf("dependents: %d packages, %v", len(d.Packages), err)
	}
}

// A chain longer than can be told, and a name that a hostile file gives to every package of it.
func TestWhyHasBounds(t *testing.T) {
	const n = 20_000
	edges := make([][2]int, n)
	for i := range edges {
		edges[i] = [2]int{i - 1, i}
	}
	s := made(n, edges)
	a, err := New(s).Why("p"+strconv.Itoa(n-1), 5)
	if err != nil {
		t.Fatal(err)
	}
	path := a.Found[0].Chains[0].Paths[0]
	if len(path) > maxChain+1 || path[0].Name != "app" || path[len(path)-1].Name != "p19999" || !slices.Contains(path, Step{Name: "…"}) {
		t.Errorf("a chain of %d steps from %v to %v", len(path), path[0], path[len(path)-1])
	}
	for i := range s.Packages[1:] {
		s.Packages[i+1].Name = "same"
	}
	a, err = New(s).Why("same", 5)
	if err != nil || len(a.Found) != n || !a.Cut {
		t.Errorf("%d found, cut %v, %v", len(a.Found), a.Cut, err)
	}
}

// FuzzGraph holds everything that is asked of a graph to a snapshot that somebody else wrote.
func FuzzGraph(f *testing.F) {
	f.Add([]byte(`{"manifests":{"a":{"name":"a","resolved":{"b":{"package_url":"pkg:npm/b@1","relationship":"direct","dependencies":["c"]},"c":{"package_url":"pkg:npm/c@2","dependencies":["b"]}}}}}`))
	f.Add([]byte(`{"manifests":{"":{"resolved":{"":{"dependencies":[""],"metadata":{"licence":"GPL-2.0 | x"}}}},"b":{"file":{"source_location":"a"},"resolved":{"\u001b":{"package_url":"pkg:githubactions/a/b@v1#c","scope":"development"}}}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := snapshot.Read(bytes.NewReader(body))
		if err != nil {
			return
		}
		g := New(Overlay(FromSnapshot("x", &s), []snapshot.Snapshot{s}))
		rows := g.Select(Filter{})
		roots, err := g.Roots("")
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		part := g.Part(roots, 3)
		for _, err := range []error{
			g.WriteTable(&out, rows), g.WriteMarkdown(&out, rows), g.WriteTree(&out, roots, 0), part.WriteDOT(&out), part.WriteMermaid(&out),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		for i := range rows {
			a, err := g.Why(rows[i].Name, 3)
			if err != nil {
				t.Fatalf("%q is listed and not found: %v", rows[i].Name, err)
			}
			d, err := g.Dependents(rows[i].Name)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(a.Write(&out), d.Write(&out)); err != nil {
				t.Fatal(err)
			}
		}
		if bytes.IndexByte(out.Bytes(), 0x1b) >= 0 {
			t.Fatalf("an escape comes through: %q", &out)
		}
		var csv, export bytes.Buffer
		if err := errors.Join(WriteCSV(&csv, rows), g.WriteSPDX(&export, Export{})); err != nil {
			t.Fatal(err)
		}
		if !json.Valid(export.Bytes()) {
			t.Fatal("the export is not JSON")
		}
	})
}

type count struct{ lines int }

func (c *count) Write(p []byte) (int, error) {
	c.lines += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

func TestNamesFromOutsideAreEscapedWhereverTheyAreShown(t *testing.T) {
	s := made(1, [][2]int{{-1, 0}})
	s.Packages[1].Name = "a\x1b[2J\n|\u202e\"]<b>@all`=cmd"
	s.Packages[0].Name = "=app\x1b"
	g := New(s)
	rows := g.Select(Filter{})
	roots, err := g.Roots("")
	if err != nil {
		t.Fatal(err)
	}
	a, err := g.Why(s.Packages[1].Name, 1)
	if err != nil {
		t.Fatal(err)
	}
	d, err := g.Dependents(s.Packages[1].Name)
	if err != nil {
		t.Fatal(err)
	}
	part := g.Part(roots, 0)
	for name, write := range map[string]func(b *bytes.Buffer) error{
		"table":      func(b *bytes.Buffer) error { return g.WriteTable(b, rows) },
		"markdown":   func(b *bytes.Buffer) error { return g.WriteMarkdown(b, rows) },
		"tree":       func(b *bytes.Buffer) error { return g.WriteTree(b, roots, 0) },
		"dot":        func(b *bytes.Buffer) error { return part.WriteDOT(b) },
		"mermaid":    func(b *bytes.Buffer) error { return part.WriteMermaid(b) },
		"why":        func(b *bytes.Buffer) error { return a.Write(b) },
		"dependents": func(b *bytes.Buffer) error { return d.Write(b) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(b.String(), "\x1b\u202e") {
			t.Errorf("%s: a control character comes through: %q", name, &b)
		}
		for _, never := range map[string][]string{"mermaid": {`"]<`, "<b>"}, "dot": {`e"]<`}, "markdown": {"<b>", "@all", "\n|\\u"}}[name] {
			if strings.Contains(b.String(), never) {
				t.Errorf("%s: %q comes through: %q", name, never, &b)
			}
		}
	}
	var b bytes.Buffer
	rows[0].Name = "=HYPERLINK(1)"
	if err := WriteCSV(&b, rows); err != nil || !strings.Contains(b.String(), "\n'=HYPERLINK(1)") {
		t.Errorf("CSV: %q, %v", &b, err)
	}
	if got := harmless("@types/node"); got != "@types/node" {
		t.Errorf("a scope became %q", got)
	}
}

func TestWhatIsLookedForIsRead(t *testing.T) {
	for _, name := range Looked {
		if !isManifest(name) {
			t.Errorf("no recogniser of package packages reads %s", name)
		}
	}
	for _, r := range packages.Table {
		if r.Lock && !slices.ContainsFunc(Looked, func(name string) bool { return r.Wants(name, 0, fs.FileMode(0)) }) {
			t.Errorf("nothing that is said to be looked for is of the recogniser %s", r.Name)
		}
	}
}

func TestSPDXIsWhatGitHubGives(t *testing.T) {
	g := New(sourceOf(t, shop))
	write := func() []byte {
		var b bytes.Buffer
		err := g.WriteSPDX(&b, Export{
			Name: "example/shop", Ref: "main", Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Tool: seaworthy.Tool{Name: "seaworthy", Version: "1.0"},
		})
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	body := write()
	if !bytes.Equal(body, write()) {
		t.Error("the same graph gives other bytes")
	}
	var outer struct {
		SBOM json.RawMessage `json:"sbom"`
	}
	if err := json.Unmarshal(body, &outer); err != nil {
		t.Fatal(err)
	}
	bill, err := spdx.ReadJSON(bytes.NewReader(outer.SBOM), spdx.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(bill.Problems) > 0 || len(bill.Packages) != 15 || bill.Format != "SPDX-2.3" {
		t.Errorf("%d packages, %s, problems %v", len(bill.Packages), bill.Format, bill.Problems)
	}
	byRef := map[string]string{}
	for i := range bill.Packages {
		byRef[bill.Packages[i].Ref] = bill.Packages[i].PURL
	}
	has := func(from, to string) bool {
		return slices.ContainsFunc(bill.Relations, func(r seaworthy.Relation) bool {
			return r.Type == seaworthy.DependsOn && byRef[r.From] == from && byRef[r.To] == to
		})
	}
	for _, e := range []struct {
		from, to string
		want     bool
	}{
		{"pkg:github/example/shop@main", "pkg:npm/express@4.17.1", true},
		{"pkg:github/example/shop@main", "pkg:golang/golang.org/x/text@v0.14.0", true}, // nobody knows what needs it
		{"pkg:npm/express@4.17.1", "pkg:npm/debug@2.6.9", true},
		{"pkg:github/example/shop@main", "pkg:npm/ms@2.0.0", false},
	} {
		if has(e.from, e.to) != e.want {
			t.Errorf("%s → %s: want %v", e.from, e.to, e.want)
		}
	}
	if !strings.Contains(string(outer.SBOM), `"licenseConcluded": "BSD-2-Clause"`) || !strings.Contains(string(outer.SBOM), `"referenceCategory": "PACKAGE-MANAGER"`) {
		t.Error("no licence or no purl")
	}
}

func TestASnapshotSaysWhatTheTreeSaid(t *testing.T) {
	g := New(sourceOf(t, shop))
	s := snapshot.Snapshot{
		Job: snapshot.Job{ID: "1", Correlator: "c"}, SHA: strings.Repeat("a", 40), Ref: "refs/heads/main",
		Detector: snapshot.Detector{Name: "seaworthy", Version: "1", URL: "u"}, Scanned: time.Unix(1, 0).UTC(),
	}
	if left := g.Snapshot(&s); left != 0 {
		t.Errorf("%d left out", left)
	}
	var b bytes.Buffer
	if err := snapshot.Write(&b, &s); err != nil {
		t.Fatal(err)
	}
	back, err := snapshot.Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	again := New(FromSnapshot("shop", &back))
	strip := func(rows []Row) []string {
		var out []string
		for _, r := range rows {
			scope := r.Scope
			if development(scope) {
				scope = seaworthy.Development
			}
			via := ""
			if len(r.Path) > 2 {
				via = strings.Join(r.Path[1:], " > ")
			}
			out = append(out, strings.Join([]string{r.Name, r.Version, r.Ecosystem, r.Manifest, string(r.Relationship), string(scope), r.Licence, via}, "|"))
		}
		return out
	}
	want, got := strip(g.Select(Filter{})), strip(again.Select(Filter{}))
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSnapshotsLaidOverATree(t *testing.T) {
	one := func(correlator, detector, path string, scanned int64, purls ...string) snapshot.Snapshot {
		m := snapshot.Manifest{Name: path, File: &snapshot.File{SourceLocation: path}, Resolved: map[string]snapshot.Resolved{}}
		for _, p := range purls {
			m.Resolved[p] = snapshot.Resolved{PackageURL: p, Relationship: snapshot.Direct}
		}
		return snapshot.Snapshot{
			Job: snapshot.Job{Correlator: correlator}, Detector: snapshot.Detector{Name: detector}, Scanned: time.Unix(scanned, 0),
			Manifests: map[string]snapshot.Manifest{path: m},
		}
	}
	laid := []snapshot.Snapshot{
		one("b", "gomod", "server/go.mod", 9, "pkg:golang/other@v9"),
		one("a", "go", "server/go.mod", 1, "pkg:golang/old@v1"),
		one("a", "go", "server/go.mod", 2, "pkg:golang/new@v2"),
		one("c", "go", "server/go.mod", 1, "pkg:golang/more@v3"),
		one("a", "maven", "pom.xml", 1, "pkg:maven/g/a@1"),
	}
	g := New(Overlay(sourceOf(t, shop), laid))
	var got []string
	for _, r := range g.Select(filter(t, "ecosystem:go,maven")) {
		got = append(got, r.Name+" "+r.Manifest)
	}
	if want := []string{"g:a pom.xml", "more server/go.mod", "new server/go.mod"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := len(g.Select(filter(t, "ecosystem:npm"))); n != 8 {
		t.Errorf("%d npm packages of the tree are left, want 8", n)
	}
}

func TestHead(t *testing.T) {
	const sha, other = "0123456789012345678901234567890123456789", "abcdefabcdefabcdefabcdefabcdefabcdefabcd"
	write := func(dir string, files map[string]string) string {
		for name, body := range files {
			at := filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, []byte(body), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	for name, c := range map[string]struct {
		files    map[string]string
		dir      string
		sha, ref string
		code     seaworthy.Code
	}{
		"loose":    {map[string]string{".git/HEAD": "ref: refs/heads/main\n", ".git/refs/heads/main": sha + "\n", "a/b/c": ""}, "a/b", sha, "refs/heads/main", ""},
		"packed":   {map[string]string{".git/HEAD": "ref: refs/heads/x/y\n", ".git/packed-refs": "# pack-refs with: peeled\n" + other + " refs/heads/main\n" + sha + " refs/heads/x/y\n^" + other + "\n"}, "", sha, "refs/heads/x/y", ""},
		"detached": {map[string]string{".git/HEAD": sha + "\n"}, "", sha, "", ""},
		"worktree": {map[string]string{
			"main/.git/refs/heads/w": sha + "\n", "main/.git/worktrees/w/HEAD": "ref: refs/heads/w\n", "main/.git/worktrees/w/commondir": "../..\n",
			"w/.git": "gitdir: ../main/.git/worktrees/w\n",
		}, "w", sha, "refs/heads/w", ""},
		"unborn":  {map[string]string{".git/HEAD": "ref: refs/heads/main\n"}, "", "", "refs/heads/main", seaworthy.NotFound},
		"hostile": {map[string]string{".git/HEAD": "ref: refs/../../secret\n"}, "", "", "", seaworthy.Invalid},
		"junk":    {map[string]string{".git/HEAD": "hello\n"}, "", "", "", seaworthy.Invalid},
	} {
		dir := write(t.TempDir(), c.files)
		sha, ref, err := Head(filepath.Join(dir, c.dir))
		if sha != c.sha || ref != c.ref || seaworthy.CodeOf(err) != c.code {
			t.Errorf("%s: %q %q %v", name, sha, ref, err)
		}
	}
}

// Real trees, where they are at hand.
func TestRealTrees(t *testing.T) {
	// The module's own manifest is always there.
	g := New(readTree(t, "../..", "seaworthy"))
	a, err := g.Why("github.com/spf13/cobra", 1)
	if err != nil || a.Found[0].Ecosystem != "golang" || a.Found[0].Manifest != "go.mod" {
		t.Errorf("why does this project need cobra: %+v, %v", a, err)
	}
}
