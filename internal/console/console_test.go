package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
)

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"plain text":                "plain text",
		"größe 日本 e\u0301":          "größe 日本 e\u0301",
		"a\nb\tc\rd":                `a\nb\tc\rd`,
		"\x1b[31mred\x1b[0m":        `\x1b[31mred\x1b[0m`,
		"\x1b]0;title\x07":          `\x1b]0;title\x07`,
		"\u009b31m":                 `\u009b31m`,
		"\x7f\x00":                  `\x7f\x00`,
		"user\u202egpj.exe":         `user\u202egpj.exe`,
		"\u2066a\u2069\u200e\u061c": `\u2066a\u2069\u200e\u061c`,
		"a\xffb\xc3":                `a\xffb\xc3`,
		"\U000e0041":                `\U000e0041`,
		"zero\u200bwidth\ufeff":     `zero\u200bwidth\ufeff`,
		"👩\u200d🚀":                  "👩\u200d🚀",
		"\ufffd":                    "\ufffd", // a real replacement character is not a broken byte
		`back\slash`:                `back\slash`,
	} {
		if got := Escape(in); got != want {
			t.Errorf("Escape(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("a\x1b[2Jb\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := Escape(s)
		if again := Escape(got); again != got {
			t.Fatalf("Escape(%q) = %q, which still needs escaping: %q", s, got, again)
		}
		for _, r := range got {
			if mustEscape(r) {
				t.Fatalf("Escape(%q) = %q has %U", s, got, r)
			}
		}
	})
}

func TestNearest(t *testing.T) {
	words := []string{"inspect", "sbom", "version", "config", "spdx-json", "spdx-tag-value"}
	for in, want := range map[string]string{
		"inspct": "inspect", "isnpect": "inspect", "sbmo": "sbom", "Version": "version", "verison": "version",
		"spdxjson": "spdx-json", "conf": "config", "xyz": "", "": "", "s": "", strings.Repeat("x", 1000): "",
	} {
		if got := Nearest(in, words); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestOutputs(t *testing.T) {
	set := func(specs ...string) (*Outputs, error) {
		o := NewOutputs("table", "json", "spdx-json")
		for _, s := range specs {
			if err := o.Set(s); err != nil {
				return o, err
			}
		}
		return o, nil
	}
	o, err := set()
	if diff := cmp.Diff([]Output{{"table", "-"}}, o.Chosen()); diff != "" || err != nil {
		t.Errorf("default: %v %s", err, diff)
	}
	o, err = set("table", "json=a=b.json")
	if diff := cmp.Diff([]Output{{"table", "-"}, {"json", "a=b.json"}}, o.Chosen()); diff != "" || err != nil {
		t.Errorf("two: %v %s", err, diff)
	}
	if !o.Has("json") || o.Has("spdx-json") || o.String() != "table json=a=b.json" {
		t.Errorf("Has or String: %s", o)
	}
	for _, bad := range []struct {
		specs   []string
		message string
		hint    string
	}{
		{[]string{"jsno"}, `there is no format "jsno" here`, "did you mean json? All formats: table, json, spdx-json"},
		{[]string{"pdf"}, `there is no format "pdf" here`, "the formats are: table, json, spdx-json"},
		{[]string{""}, `there is no format "" here`, "the formats are: table, json, spdx-json"},
		{[]string{"json="}, `"json=" names no file`, "write json=FILE, or json alone for stdout"},
		{[]string{"table", "json"}, "table and json cannot both go to stdout", "give one of them a file: -o json=FILE"},
		{[]string{"table=-", "json"}, "table and json cannot both go to stdout", "give one of them a file: -o json=FILE"},
		{[]string{"table=x", "json=x"}, `table and json cannot both go to "x"`, ""},
	} {
		_, err := set(bad.specs...)
		if err == nil || err.Error() != bad.message || seaworthy.HintOf(err) != bad.hint || seaworthy.CodeOf(err) != seaworthy.Usage {
			t.Errorf("%q: %v (hint %q)", bad.specs, err, seaworthy.HintOf(err))
		}
	}
}

func TestOutputsWrite(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "out.json")
	o := NewOutputs("table", "json")
	for _, s := range []string{"table", "json=" + file} {
		if err := o.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	var stdout bytes.Buffer
	if err := o.Write(&stdout, func(format string, w io.Writer) error {
		_, err := io.WriteString(w, format)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, file); got != "json" || stdout.String() != "table" {
		t.Errorf("file %q, stdout %q", got, stdout.String())
	}
}

func TestWriteFileIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "bill")
	link := filepath.Join(dir, "link")
	must(t, os.WriteFile(file, []byte("old"), 0o640))
	must(t, os.Symlink("bill", link))
	broken := errors.New("half way")
	err := WriteFile(file, func(w io.Writer) error {
		_, _ = io.WriteString(w, strings.Repeat("new", outputBuffer))
		return broken
	})
	if !errors.Is(err, broken) || read(t, file) != "old" {
		t.Errorf("after a failure: %v, %q", err, read(t, file))
	}
	fill := func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err }
	must(t, WriteFile(link, fill))
	info, err := os.Lstat(file)
	must(t, err)
	if read(t, file) != "new" || info.Mode().Perm() != 0o640 {
		t.Errorf("through a link: %q, mode %v", read(t, file), info.Mode())
	}
	if info, _ := os.Lstat(link); info.Mode().Type() != os.ModeSymlink {
		t.Error("the link was replaced")
	}
	must(t, WriteFile(os.DevNull, fill))
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	must(t, err)
	if len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	err = WriteFile(filepath.Join(dir, "no", "such"), fill)
	if seaworthy.CodeOf(err) != seaworthy.Storage || !strings.Contains(seaworthy.HintOf(err), "mkdir -p") {
		t.Errorf("missing folder: %v, hint %q", err, seaworthy.HintOf(err))
	}
	if err := WriteFile(dir, fill); seaworthy.CodeOf(err) != seaworthy.Usage {
		t.Errorf("a folder: %v", err)
	}
}

func TestTable(t *testing.T) {
	table := NewTable("NAME", "SIZE", "NOTE")
	table.Columns[1].Right = true
	table.Columns[2].Shrink = true
	table.Add("libc6", "12", "the C library, shared by nearly everything")
	table.Add("日本語", "3", "wide")
	table.Add("e\u0301te\u0301", "4")
	table.Add("evil\x1b[2J\nname", "5", "x")
	want := "" +
		"NAME               SIZE  NOTE\n" +
		"libc6                12  the C library, shared by nearly everything\n" +
		"日本語                3  wide\n" +
		"e\u0301te\u0301                   4\n" +
		"evil\\x1b[2J\\nname     5  x\n"
	for _, width := range []int{0, 200} {
		var b bytes.Buffer
		must(t, table.Write(&Stream{Writer: &b, Width: width}))
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("width %d:\n%s", width, diff)
		}
	}
	var narrow bytes.Buffer
	must(t, table.Write(&Stream{Writer: &narrow, Width: 40, Terminal: true}))
	if !strings.Contains(narrow.String(), "libc6                12  the C library,…\n") {
		t.Errorf("narrow:\n%s", narrow.String())
	}
	for line := range strings.Lines(narrow.String()) {
		if w := widths.StringWidth(strings.TrimRight(line, "\n")); w > 40 {
			t.Errorf("line of %d columns: %q", w, line)
		}
	}
	var coloured bytes.Buffer
	styled := NewTable("A", "B")
	styled.AddStyled(Cell{Text: "no", Style: Red}, Cell{Text: "x"})
	must(t, styled.Write(&Stream{Writer: &coloured, Colour: true}))
	if want := "\x1b[1mA\x1b[0m   \x1b[1mB\x1b[0m\n\x1b[31mno\x1b[0m  x\n"; coloured.String() != want {
		t.Errorf("coloured: %q", coloured.String())
	}
}

type sample struct {
	Zebra string         `json:"zebra"`
	Alpha int            `json:"alpha"`
	Deep  map[string]any `json:"deep"`
	Empty []string       `json:"empty"`
	Words []string       `json:"words"`
	Float float64        `json:"float"`
	Nil   *int           `json:"nil"`
	Multi string         `json:"multi"`
}

var sampled = sample{
	Zebra: "<a & b>", Alpha: 3, Deep: map[string]any{"no": true, "list": []any{map[string]any{"x": "1"}}},
	Empty: []string{}, Words: []string{"no", "1:30", "12", "0x1f", "", "null", "~", "plain", "- dash", "2001-01-01"},
	Float: 1.5, Multi: "two\nlines",
}

func TestEncode(t *testing.T) {
	var j, y bytes.Buffer
	must(t, JSON(&j, sample{Zebra: "<a & b>", Empty: []string{}}))
	if !strings.HasPrefix(j.String(), "{\n  \"zebra\": \"<a & b>\",\n  \"alpha\": 0,") || !strings.HasSuffix(j.String(), "}\n") {
		t.Errorf("JSON: %s", j.String())
	}
	must(t, YAML(&y, sampled))
	want := `zebra: <a & b>
alpha: 3
deep:
  list:
    - x: "1"
  "no": true
empty: []
words:
  - "no"
  - "1:30"
  - "12"
  - "0x1f"
  - ""
  - "null"
  - "~"
  - plain
  - '- dash'
  - "2001-01-01"
float: 1.5
nil: null
multi: |-
  two
  lines
`
	if diff := cmp.Diff(want, y.String()); diff != "" {
		t.Error(diff)
	}
	var l bytes.Buffer
	must(t, JSONL(&l, []map[string]int{{"a": 1}, {"b": 2}}))
	if l.String() != "{\"a\":1}\n{\"b\":2}\n" {
		t.Errorf("JSONL: %q", l.String())
	}
	if err := JSON(io.Discard, func() {}); seaworthy.CodeOf(err) != seaworthy.Internal {
		t.Errorf("a value without JSON: %v", err)
	}
}

func TestPrintError(t *testing.T) {
	err := seaworthy.Wrap(seaworthy.Errorf(seaworthy.NotFound, "no such tag\x1b[2J").WithHint("list them with %s", "oci ls"),
		seaworthy.Internal, "reading %q", "app:1")
	var b bytes.Buffer
	PrintError(&b, err, false)
	if want := "seaworthy: reading \"app:1\": no such tag\\x1b[2J\nhint: list them with oci ls\n"; b.String() != want {
		t.Errorf("text: %q", b.String())
	}
	b.Reset()
	PrintError(&b, err, true)
	want := "{\n  \"error\": {\n    \"code\": \"not-found\",\n    \"message\": \"reading \\\"app:1\\\": no such tag\\u001b[2J\",\n    \"hint\": \"list them with oci ls\"\n  }\n}\n"
	if b.String() != want {
		t.Errorf("JSON: %s", b.String())
	}
	b.Reset()
	PrintError(&b, errors.Join(errors.New("one"), context.Canceled), false)
	if want := "seaworthy: one; context canceled\n"; b.String() != want {
		t.Errorf("joined: %q", b.String())
	}
	b.Reset()
	PrintError(&b, nil, true)
	if b.Len() != 0 {
		t.Errorf("nil: %q", b.String())
	}
}

func TestColour(t *testing.T) {
	for _, c := range []struct {
		mode     ColourMode
		terminal bool
		env      map[string]string
		want     bool
	}{
		{"", false, nil, false},
		{"", true, nil, true},
		{ColourAuto, true, map[string]string{"TERM": "dumb"}, false},
		{ColourAuto, true, map[string]string{"NO_COLOR": "1"}, false},
		{ColourAuto, false, map[string]string{"CLICOLOR_FORCE": "1"}, true},
		{ColourAuto, false, map[string]string{"CLICOLOR_FORCE": "0"}, false},
		{ColourAuto, false, map[string]string{"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, false},
		{ColourAlways, false, map[string]string{"NO_COLOR": "1"}, true},
		{ColourNever, true, map[string]string{"CLICOLOR_FORCE": "1"}, false},
	} {
		if got := c.mode.On(c.terminal, func(k string) string { return c.env[k] }); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	var m ColourMode
	if err := m.Set("alwys"); seaworthy.HintOf(err) != "did you mean always?" {
		t.Errorf("Set: %v, %q", err, seaworthy.HintOf(err))
	}
	if m.Set("NEVER") != nil || m.String() != "never" {
		t.Errorf("Set: %q", m)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	return string(b)
}
