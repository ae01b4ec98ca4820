package grade

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// csvColumns are the columns of CSV. New ones are only ever added at the end.
var csvColumns = []string{
	"id", "aliases", "severity", "score", "vector", "epss", "percentile", "kev", "risk", "package", "name", "version", "fixed", "fix",
	"range", "ecosystem", "scope", "direct", "layer", "path", "via", "licence", "status", "justification", "sources", "summary",
}

// CSV writes a line for each finding (RFC 4180), worst first, suppressed ones last with their status. A cell that
// a spreadsheet would take for a formula gets an apostrophe before it.
func (r *Report) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write(csvColumns) // errors come back from Error
	rows := append(WorstFirst(r.Findings), r.Suppressed...)
	for i := range rows {
		f := &rows[i]
		epss, percentile, layer, justification := "", "", "", ""
		if f.EPSS != nil {
			epss, percentile = number(f.EPSS.Probability), number(f.EPSS.Percentile)
		}
		if n := layerOf(f); n > 0 {
			layer = strconv.Itoa(n)
		}
		if f.Suppressed != nil {
			justification = f.Suppressed.Justification
		}
		cells := []string{
			f.ID, strings.Join(f.Aliases, " "), f.Severity.String(), number(f.Score), f.Vector, epss, percentile, strconv.FormatBool(f.KEV != nil),
			number(f.Risk), f.Package, f.Name, f.Version, f.Fixed, string(f.Fix), f.Range, f.Ecosystem, string(f.Scope), strconv.FormatBool(f.Direct),
			layer, pathOf(f), strings.Join(f.Via, " > "), f.Licence, string(f.Status), justification, sourcesText(f), f.Summary,
		}
		for i, cell := range cells {
			cells[i] = cellText(cell)
		}
		_ = out.Write(cells)
	}
	out.Flush()
	return seaworthy.Wrap(out.Error(), seaworthy.Storage, "writing CSV")
}

func number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// cellText keeps a spreadsheet from running a cell (OWASP, "CSV injection").
func cellText(s string) string {
	s = console.Escape(s)
	if s != "" && strings.ContainsRune("=+-@", rune(s[0])) {
		return "'" + s
	}
	return s
}

// Markdown writes the report for a comment or a page: grade, numbers, findings and licences.
func (r *Report) Markdown(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "## Scan of %s: grade %s\n\n", mark(r.Target), r.Grade.Letter)
	fmt.Fprintf(out, "%s.\n\n", mark(r.Sentence()))
	if f := r.FailOn; f != nil {
		answer := "no"
		if f.OK {
			answer = "yes"
		}
		fmt.Fprintf(out, "May it sail? **%s** (%d findings match %s)\n\n", answer, f.Matched, code(f.Expression))
	}
	for _, c := range r.Grade.Caveats {
		fmt.Fprintf(out, "> Mind: %s\n\n", mark(c))
	}
	if len(r.Findings) > 0 {
		fmt.Fprint(out, "| Severity | Vulnerability | Package | Installed | Fixed in | Risk | Why it is there |\n|---|---|---|---|---|--:|---|\n")
	}
	for _, f := range WorstFirst(r.Findings) {
		severity := f.Severity.String()
		if f.KEV != nil {
			severity = "**" + severity + ", exploited**"
		}
		why := via(&f)
		if why == "" {
			why = where(&f)
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s |\n", severity, mark(f.ID), mark(f.Name), mark(f.Version), mark(fixWord(&f)), riskText(f.Risk), mark(why))
	}
	if len(r.Suppressed) > 0 {
		fmt.Fprint(out, "\n### Taken away by VEX\n\n| Status | Vulnerability | Package | Why |\n|---|---|---|---|\n")
		for i := range r.Suppressed {
			f := &r.Suppressed[i]
			fmt.Fprintf(out, "| %s | %s | %s | %s |\n", mark(string(f.Status)), mark(f.ID), mark(f.Name+" "+f.Version), mark(suppressedWhy(f)))
		}
	}
	first := true
	for i := range r.Licences {
		l := &r.Licences[i]
		if l.Verdict != Denied && l.Verdict != Review {
			continue
		}
		if first {
			fmt.Fprint(out, "\n### Licences\n\n| Verdict | Licence | Packages | Why |\n|---|---|--:|---|\n")
			first = false
		}
		fmt.Fprintf(out, "| %s | %s | %d | %s |\n", l.Verdict, mark(l.Licence), len(l.Packages), mark(l.Reason))
	}
	return seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing Markdown")
}

// via is the path from the root, without the root and with purls shortened for people.
func via(f *seaworthy.Finding) string {
	var parts []string
	for i, step := range f.Via {
		if i > 0 || len(f.Via) == 1 {
			parts = append(parts, shortPURL(step))
		}
	}
	return strings.Join(parts, " → ")
}

// shortPURL is a purl without its scheme and qualifiers: "npm/lodash@4.17.20".
func shortPURL(s string) string {
	rest, ok := strings.CutPrefix(s, "pkg:")
	if !ok {
		return s
	}
	rest, _, _ = strings.Cut(rest, "?")
	if at := strings.Index(rest, "@sha256:"); at > 0 {
		rest = rest[:at]
	}
	return strings.ReplaceAll(strings.ReplaceAll(rest, "%40", "@"), "%2B", "+")
}

var markdownEscapes = strings.NewReplacer(`\`, `\\`, "|", `\|`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;",
	"&", "&amp;", "#", `\#`, "~", `\~`, "!", `\!`, "@", "@<!-- -->")

// mark makes text from outside mean nothing in Markdown: no markup, no HTML, no links, nobody is mentioned.
func mark(s string) string {
	return strings.ReplaceAll(markdownEscapes.Replace(console.Escape(s)), "://", ":<!-- -->//")
}

// code is text as an inline code span.
func code(s string) string {
	s = strings.ReplaceAll(console.Escape(s), "`", "'")
	return "`" + strings.ReplaceAll(s, "|", `\|`) + "`"
}
