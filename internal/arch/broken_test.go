package arch

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const sampleTable = "# A house\n\n" +
	"```floors\n" +
	"0    .             -           -                net,os\n" +
	"1    format/*      format/a    example.org/json net,os,time.Now,go\n" +
	"3    source/*      -           *                -\n" +
	"6    cmd/*         -           *                -\n" +
	"any  internal/own  -           -                -\n" +
	"any  internal/*    -           -                os\n" +
	"```\n\n```\n1 not/a/row - - -\n```\n"

// tree is a sound house; each test below breaks one thing in it.
func tree(changes map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{"ARCHITECTURE.md": {Data: []byte(sampleTable)}}
	files := map[string]string{
		"ground.go":              "// Package ground is.\npackage ground\n",
		"format/a/a.go":          "// Package a is.\npackage a\n\nimport (\n\t_ \"example.org/json/v2\"\n\t_ \"m\"\n)\n",
		"format/b/b.go":          "// Package b is.\npackage b\n\nimport _ \"m/format/a\"\n",
		"format/b/b_test.go":     "package b\n\nimport (\n\t_ \"example.org/testing\"\n\t_ \"m/format/c\"\n\t_ \"os\"\n)\n",
		"format/b/part/p.go":     "// Package part is.\npackage part\n",
		"format/c/c.go":          "// Package c is.\npackage c\n\nimport _ \"m/internal/fine\"\n",
		"source/s/s.go":          "// Package s is.\npackage s\n\nimport (\n\t_ \"example.org/any\"\n\t_ \"m/format/b\"\n\t_ \"os\"\n)\n\nfunc f() { go f() }\n",
		"cmd/x/main.go":          "// Command x does.\npackage main\n\nimport _ \"m/source/s\"\n\nfunc main() {}\n",
		"internal/own/own.go":    "// Package own is.\npackage own\n\nimport (\n\t_ \"m\"\n\t_ \"os\"\n)\n",
		"internal/fine/f.go":     "// Package fine is.\npackage fine\n",
		"source/s/testdata/t.go": "not Go at all",
		"tools/go.mod":           "module tools\n",
		"tools/t.go":             "package util\n",
	}
	for name, body := range changes {
		files[name] = body
	}
	for name, body := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(body)}
	}
	return fsys
}

// all runs every check.
func all(t *testing.T, fsys fstest.MapFS) []string {
	t.Helper()
	rooms, err := readTable(fsys, "ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := readSources(fsys)
	if err != nil {
		t.Fatal(err)
	}
	wrong := house{module: "m", table: rooms, files: files}.judge()
	wrong = append(wrong, wordless(files)...)
	wrong = append(wrong, drawers(files)...)
	for _, s := range files {
		wrong = append(wrong, s.undocumented()...)
		wrong = append(wrong, s.unformatted()...)
	}
	return wrong
}

func TestEveryKindOfViolationIsFound(t *testing.T) {
	const doc = "// Package b is.\npackage b\n\n"
	for name, c := range map[string]struct {
		file, body string
		want       []string
	}{
		"nothing": {"format/b/b.go", strings.TrimSpace(doc) + "\n", nil},
		"up": {
			"format/b/b.go", doc + "import _ \"m/source/s\"\n",
			[]string{
				"format/b/b.go:4: import of m/source/s: upwards: from floor 1 to floor 3",
				"format/b reaches os, which format/* does without, through source/s",
			},
		},
		"up from a test": {
			"format/b/b_test.go", "package b_test\n\nimport _ \"m/source/s\"\n",
			[]string{"format/b/b_test.go:3: import of m/source/s: upwards: from floor 1 to floor 3"},
		},
		"up from the ground": {
			"ground.go", "// Package ground is.\npackage ground\n\nimport _ \"m/format/a\"\n",
			[]string{"ground.go:4: import of m/format/a: upwards: from floor 0 to floor 1"},
		},
		"up from a room for all": {
			"internal/fine/f.go", "// Package fine is.\npackage fine\n\nimport _ \"m/format/a\"\n",
			[]string{"internal/fine/f.go:4: import of m/format/a: upwards: every floor may use internal/*, so it may not use floor 1"},
		},
		"sideways": {
			"format/b/b.go", doc + "import _ \"m/format/c\"\n",
			[]string{"format/b/b.go:4: import of m/format/c: sideways: both are on floor 1, and format/* is granted no such neighbour"},
		},
		"below itself": {"format/b/b.go", doc + "import _ \"m/format/b/part\"\n", nil},
		"outside": {
			"format/b/b.go", doc + "import _ \"example.org/jsonx\"\n",
			[]string{"format/b/b.go:4: import of example.org/jsonx: outside: format/* is not granted this module"},
		},
		"denied": {
			"format/b/b.go", doc + "import _ \"os\"\n",
			[]string{"format/b/b.go:4: import of os: format/* does without it"},
		},
		"denied package's own child": {"format/b/b.go", doc + "import _ \"net/netip\"\n", nil},
		"denied, by a detour": {
			"format/b/b.go", doc + "import _ \"m/internal/own\"\n",
			[]string{"format/b reaches os, which format/* does without, through internal/own"},
		},
		"a clock": {
			"format/b/b.go", doc + "import clock \"time\"\n\nvar t = clock.Now\n",
			[]string{"format/b/b.go:6: time.Now: format/* does without it"},
		},
		"a goroutine": {
			"format/b/b.go", doc + "func f() {\n\tgo f()\n}\n",
			[]string{"format/b/b.go:5: go: format/* does without it"},
		},
		"cgo": {
			"source/s/s.go", "// Package s is.\npackage s\n\nimport \"C\"\n",
			[]string{"source/s/s.go:4: import of C: cgo is not used here"},
		},
		"a folder in no row": {
			"attic/a.go", "// Package attic is.\npackage attic\n",
			[]string{"attic/a.go: no row of the floors table covers the folder attic"},
		},
		"an import of a folder in no row": {
			"cmd/x/main.go", "// Command x does.\npackage main\n\nimport _ \"m/attic\"\n\nfunc main() {}\n",
			[]string{"cmd/x/main.go:4: import of m/attic: no row of the floors table covers it"},
		},
		"no package comment": {
			"format/b/b.go", "package b\n",
			[]string{"format/b: no file says what the package is for"},
		},
		"a package comment that says something else": {
			"format/b/b.go", "// Helps with b.\npackage b\n",
			[]string{"format/b: its comment does not begin with \"Package b \""},
		},
		"two package comments": {
			"format/b/b2.go", "// Package b is again.\npackage b\n",
			[]string{"format/b: more than one file has a package comment"},
		},
		"a drawer": {
			"format/util/u.go", "// Package util is.\npackage util\n",
			[]string{"format/util: util says nothing; name the folder after what is in it"},
		},
		"names without comments": {
			"format/b/b.go", doc + "func F() {}\n\ntype T int\n\nfunc (t *T) M() {}\n\nconst C = 1\n\nvar V, v int\n\ntype (\n\tU int\n)\n",
			[]string{
				"format/b/b.go:4: func F has no comment", "format/b/b.go:6: type T has no comment",
				"format/b/b.go:8: func M has no comment", "format/b/b.go:10: const C has no comment",
				"format/b/b.go:12: var V has no comment", "format/b/b.go:15: type U has no comment",
			},
		},
		"names with comments, or not exported": {
			"format/b/b.go", doc + "// Group.\nconst (\n\tA = 1\n\tB = 2\n)\n\nvar C = 1 // here\n\ntype t[K any] int\n\nfunc (t[K]) M() {}\n", nil,
		},
		"not formatted": {"format/b/b.go", doc + "var  x = 1\n", []string{"format/b/b.go: not as gofmt writes it"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, all(t, tree(map[string]string{c.file: c.body}))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTablesThatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct{ table, want string }{
		"none":            {"# nothing\n", "has no ```floors table"},
		"too few columns": {"```floors\n1 a - -\n```\n", "want 5 columns"},
		"no floor":        {"```floors\nup a - - -\n```\n", `"up" is no floor`},
		"twice":           {"```floors\n1 a - - -\n2 a - - -\n```\n", "a is there twice"},
	} {
		_, err := readTable(fstest.MapFS{"a.md": {Data: []byte(c.table)}}, "a.md")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
