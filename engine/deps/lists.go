package deps

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// Looked are the names of files that are looked for, as people know them.
var Looked = []string{
	"package.json", "package-lock.json", "pnpm-lock.yaml", "yarn.lock", "go.mod", "requirements.txt", "pyproject.toml", "poetry.lock",
	"uv.lock", "pdm.lock", "pylock.toml", "Pipfile.lock", "Cargo.lock", "Cargo.toml", "Gemfile.lock", "composer.lock", "pom.xml",
	"build.gradle", "gradle.lockfile", "packages.lock.json", "app.csproj", ".terraform.lock.hcl", "pubspec.lock", "Package.resolved",
	"MODULE.bazel", "Manifest.toml", "bun.lock", "deno.lock", "mix.lock", ".github/workflows/ci.yml",
}

// Vulnerable is a row's vulnerabilities in a few words: "CVE-2024-1 high, CVE-2024-2 low".
func (r *Row) Vulnerable() string {
	parts := make([]string, len(r.Vulnerabilities))
	for i, v := range r.Vulnerabilities {
		parts[i] = v.ID + " " + v.Severity.String()
	}
	return strings.Join(parts, ", ")
}

// Shown is what is shown for the version: the range where there is only that, and whether an action can be moved.
func (r *Row) Shown() string {
	v := r.Version + r.Range
	if r.Pinned != nil && !*r.Pinned {
		return strings.TrimSpace(v + " (not pinned)")
	}
	return v
}

// Via is what lies between the project and the dependency: "express › body-parser".
func (r *Row) Via() string {
	if len(r.Path) < 3 {
		return ""
	}
	return strings.Join(r.Path[1:len(r.Path)-1], " › ")
}

// WriteTable writes rows for a person. The column of vulnerabilities is there when somebody looked for them.
func (g *Graph) WriteTable(w io.Writer, rows []Row) error {
	columns := []console.Column{
		{Name: "NAME", Shrink: true},
		{Name: "VERSION", Shrink: true},
		{Name: "ECOSYSTEM"},
		{Name: "RELATIONSHIP"},
		{Name: "SCOPE"},
		{Name: "LICENCE", Shrink: true},
		{Name: "MANIFEST", Shrink: true},
		{Name: "BROUGHT IN BY", Shrink: true},
	}
	if g.matched {
		columns = append(columns, console.Column{Name: "VULNERABILITIES", Shrink: true})
	}
	t := console.Table{Columns: columns}
	for i := range rows {
		r := &rows[i]
		manifest := r.Manifest
		if r.Source != "" {
			manifest = r.Source + "/" + manifest
		}
		version := console.Cell{Text: r.Shown()}
		if r.Pinned != nil && !*r.Pinned {
			version.Style = console.Yellow
		}
		cells := []console.Cell{
			{Text: r.Name},
			version,
			{Text: r.Ecosystem},
			{Text: string(r.Relationship)},
			{Text: string(r.Scope)},
			{Text: r.Licence},
			{Text: manifest},
			{Text: r.Via()},
		}
		if g.matched {
			cells = append(cells, console.Cell{Text: r.Vulnerable(), Style: console.Red})
		}
		t.AddStyled(cells...)
	}
	return t.Write(w)
}

var csvHeader = []string{
	"name", "version", "range", "ecosystem", "relationship", "scope", "licence", "source", "manifest", "path", "purl", "pinned", "vulnerabilities",
}

// WriteCSV writes rows as RFC 4180 has them, with a line of names. A text that a spreadsheet would take for a
// formula begins with an apostrophe.
func WriteCSV(w io.Writer, rows []Row) error {
	out := csv.NewWriter(w)
	fail := func(err error) error { return seaworthy.Wrap(err, seaworthy.Storage, "writing CSV") }
	if err := out.Write(csvHeader); err != nil {
		return fail(err)
	}
	for i := range rows {
		r := &rows[i]
		pinned := ""
		if r.Pinned != nil {
			pinned = fmt.Sprint(*r.Pinned)
		}
		record := []string{
			r.Name, r.Version, r.Range, r.Ecosystem, string(r.Relationship), string(r.Scope), r.Licence, r.Source, r.Manifest,
			strings.Join(r.Path, " > "), r.PURL, pinned, r.Vulnerable(),
		}
		for c, text := range record {
			record[c] = harmless(text)
		}
		if err := out.Write(record); err != nil {
			return fail(err)
		}
	}
	out.Flush()
	return fail(out.Error())
}

// harmless keeps a spreadsheet from running what a name says. npm's names begin with @, so that is left alone
// where it is a scope: no function has a slash in its name.
func harmless(s string) string {
	if s == "" || !strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return s
	}
	if scope, _, ok := strings.Cut(s, "/"); ok && s[0] == '@' && !strings.ContainsAny(scope, "(=+ ") {
		return s
	}
	return "'" + s
}

// WriteMarkdown writes rows as a table for a comment or page.
func (g *Graph) WriteMarkdown(w io.Writer, rows []Row) error {
	out := bufio.NewWriter(w)
	head := []string{"Name", "Version", "Ecosystem", "Relationship", "Scope", "Licence", "Manifest", "Brought in by"}
	if g.matched {
		head = append(head, "Vulnerabilities")
	}
	fmt.Fprintf(out, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for i := range rows {
		r := &rows[i]
		cells := []string{r.Name, r.Shown(), r.Ecosystem, string(r.Relationship), string(r.Scope), r.Licence, r.Manifest, r.Via()}
		if g.matched {
			cells = append(cells, r.Vulnerable())
		}
		for c, text := range cells {
			cells[c] = markdown(text)
		}
		fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
	}
	return seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing Markdown")
}

var markdownEscapes = strings.NewReplacer(
	`\`, `\\`, "|", `\|`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "&", "&amp;", "~", `\~`, "#", `\#`,
	"@", "&#64;", "://", ":&#47;&#47;",
)

// markdown makes a name mean nothing but itself: no markup, no link, and no mention of a person.
func markdown(s string) string { return markdownEscapes.Replace(console.Escape(s)) }
