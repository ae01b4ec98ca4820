package inspect

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// Text writes the report for a person to read, in the shape that readers of Tern know: layer by layer the line
// that made it, the operating system, how facts were had, and a table of packages; a summary of licences at
// the end. only, when not 0, is the number of the one layer to show.
func (r *Report) Text(w io.Writer, only int) error {
	out := bufio.NewWriter(w)
	esc := console.Escape
	fmt.Fprintf(out, "%s: %s\n", r.title(), esc(r.Target))
	if r.Digest != "" {
		fmt.Fprintf(out, "\tDigest:   %s\n", r.Digest)
	}
	if r.Platform != "" {
		fmt.Fprintf(out, "\tPlatform: %s\n", esc(r.Platform))
	}
	if r.Release != nil && r.Release.PrettyName != "" {
		fmt.Fprintf(out, "\tSystem:   %s\n", esc(r.Release.PrettyName))
	}
	fmt.Fprintf(out, "\tPackages: %s\n", esc(r.packageSummary()))
	for i := range r.Layers {
		if l := &r.Layers[i]; only == 0 || l.Number == only {
			l.text(out)
		}
	}
	if len(r.Layers) == 0 {
		r.treeText(out)
	}
	if only == 0 {
		r.licenceText(out)
	}
	r.problemText(out, only)
	return seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing the report")
}

// treeText lists the packages of a directory or file, which has no layers.
func (r *Report) treeText(out *bufio.Writer) {
	if len(r.Packages) == 0 {
		fmt.Fprintf(out, "\n\tPackages found: None\n")
		return
	}
	fmt.Fprintf(out, "\n\tPackages found:\n")
	t := console.NewTable("Package", "Version", "License(s)", "Pkg Format", "Found in")
	for i := range r.Packages {
		p := &r.Packages[i]
		where := ""
		if len(p.Evidence) > 0 {
			where = p.Evidence[0].Path
		}
		addWrapped(t, p.Name, p.Version, licenceOf(p), p.Ecosystem, where)
	}
	framed(out, t, "\t")
}

// licenceWidth is how wide the column of licences may be, in characters. Distribution packages name a dozen of
// them, and what follows in the line must stay in sight.
const licenceWidth = 48

// addWrapped adds a row whose third cell, an expression, goes on in lines of its own where it is long.
func addWrapped(t *console.Table, name, version, licence, format, last string) {
	lines := wrapExpression(console.Escape(licence), licenceWidth)
	t.Add(name, version, lines[0], format, last)
	for _, line := range lines[1:] {
		t.Add("", "", line)
	}
}

// wrapExpression breaks an SPDX expression before its operators, so that no line is wider than width unless a
// single term is. There is always a first line.
func wrapExpression(expr string, width int) []string {
	if len(expr) <= width {
		return []string{expr}
	}
	var lines []string
	line, term := "", ""
	for word := range strings.SplitSeq(expr, " ") {
		if (word == "AND" || word == "OR") && term != "" {
			line, lines = joinTerm(line, term, width, lines)
			term = word
			continue
		}
		if term != "" {
			term += " "
		}
		term += word
	}
	line, lines = joinTerm(line, term, width, lines)
	return append(lines, line)
}

// joinTerm puts a term after a line, or on the next one.
func joinTerm(line, term string, width int, lines []string) (string, []string) {
	switch {
	case line == "":
		return term, lines
	case len(line)+1+len(term) <= width:
		return line + " " + term, lines
	}
	return term, append(lines, line)
}

func (r *Report) title() string {
	switch r.Kind {
	case "dir":
		return "Directory"
	case "file":
		return "File"
	}
	return "Container image"
}

// packageSummary counts packages by ecosystem: "2,241 (deb 549, maven 89, …)".
func (r *Report) packageSummary() string {
	counts := map[string]int{}
	var order []string
	for i := range r.Packages {
		e := r.Packages[i].Ecosystem
		if counts[e] == 0 {
			order = append(order, e)
		}
		counts[e]++
	}
	parts := make([]string, 0, len(order))
	for _, e := range sortedStrings(order) {
		parts = append(parts, fmt.Sprintf("%s %d", e, counts[e]))
	}
	if len(parts) == 0 {
		return "none found"
	}
	return fmt.Sprintf("%d (%s)", len(r.Packages), strings.Join(parts, ", "))
}

func (l *Layer) text(out *bufio.Writer) {
	esc := console.Escape
	fmt.Fprintf(out, "\n\tLayer %d: %s\n", l.Number, l.DiffID)
	if l.CreatedBy != "" {
		fmt.Fprintf(out, "\t\tinfo: Layer created by commands: %s\n", esc(strings.TrimRight(l.CreatedBy, " \t\r\n")))
	}
	if d := l.Dockerfile; d != nil {
		guess := ""
		if d.Guess {
			guess = " (by its place)"
		}
		fmt.Fprintf(out, "\t\tinfo: Dockerfile line %d%s: %s\n", d.Line, guess, esc(d.Instruction))
	}
	if l.Release != "" {
		fmt.Fprintf(out, "\t\tinfo: Found %s in os-release.\n", quote(esc(l.Release)))
	}
	if len(l.Databases) > 0 {
		fmt.Fprintf(out, "\t\tinfo: Package metadata read from: %s.\n", strings.Join(l.Databases, ", "))
	}
	fmt.Fprintf(out, "\t\tinfo: %s stored, %s unpacked; files: %d added, %d changed, %d removed.\n",
		console.Size(l.Stored), console.Size(l.Unpacked), l.Files.Added, l.Files.Changed, l.Files.Removed)
	for _, p := range l.Problems {
		fmt.Fprintf(out, "\t\t%s: %s: %s\n", severity(l), esc(p.Where), esc(p.Detail))
	}
	for _, c := range l.Changes {
		fmt.Fprintf(out, "\t\t%s %s\n", c.Change.sign(), esc(c.Path))
	}
	if len(l.Packages) == 0 {
		fmt.Fprintf(out, "\n\tPackages found in Layer: None\n")
		return
	}
	fmt.Fprintf(out, "\n\tPackages found in Layer:\n")
	t := console.NewTable("Package", "Version", "License(s)", "Pkg Format", "Change")
	for i := range l.Packages {
		c := &l.Packages[i]
		version := c.Version
		how := string(c.Change)
		if c.Change == Upgraded {
			how += " from " + c.Before
		}
		if c.Gone {
			how += ", gone later"
		}
		if c.CoveredBy != "" {
			how += ", part of " + c.CoveredBy
		}
		addWrapped(t, c.Name, version, c.Licence, c.Ecosystem, how)
	}
	framed(out, t, "\t")
}

func severity(l *Layer) string {
	if l.Incomplete {
		return "error"
	}
	return "warning"
}

func (c Change) sign() string {
	switch c {
	case Added:
		return "+"
	case Removed:
		return "-"
	}
	return "~"
}

// framed writes a table with every line indented. What goes wrong comes back when out is flushed.
func framed(out *bufio.Writer, t *console.Table, indent string) {
	var b strings.Builder
	_ = t.Write(&b) // a strings.Builder takes everything
	for line := range strings.Lines(b.String()) {
		out.WriteString(indent)
		out.WriteString(line)
	}
}

// licenceText sums up by single licence: expressions of a dozen are each a line of their own otherwise.
func (r *Report) licenceText(out *bufio.Writer) {
	head := "# Summary of licenses found in " + r.place() + ": #"
	frame := strings.Repeat("#", len(head))
	fmt.Fprintf(out, "\n%s\n%s\n%s\n", frame, head, frame)
	single, unknown := r.singleLicences()
	t := console.NewTable("Packages", "License")
	t.Columns[0].Right = true
	for _, l := range single {
		t.Add(strconv.Itoa(l.Packages), l.Licence)
	}
	if t.Len() > 0 {
		framed(out, t, "")
	}
	switch {
	case unknown > 0:
		fmt.Fprintf(out, "No licence stated: %d %s\n", unknown, plural(unknown, "package"))
	case len(single) == 0:
		fmt.Fprintf(out, "None\n")
	}
}

// place is what the report is about, as the summary of licences calls it.
func (r *Report) place() string {
	switch r.Kind {
	case "dir":
		return "Directory"
	case "file":
		return "File"
	}
	return "Container"
}

// singleLicences counts for each licence how many packages name it, most first, alone or in an expression; an
// exception stays with its licence. unknown is how many packages name none.
func (r *Report) singleLicences() (single []LicenceCount, unknown int) {
	counts := map[string]int{}
	for _, l := range r.Licences {
		if l.Licence == "" {
			unknown += l.Packages
			continue
		}
		for name := range licencesIn(l.Licence) {
			counts[name] += l.Packages
		}
	}
	return sortedCounts(counts), unknown
}

// licencesIn are the single licences of an expression.
func licencesIn(expr string) map[string]bool {
	out := map[string]bool{}
	term := ""
	flush := func() {
		if term != "" {
			out[term] = true
		}
		term = ""
	}
	for word := range strings.FieldsSeq(expr) {
		word = strings.TrimRight(strings.TrimLeft(word, "("), ")")
		switch word {
		case "AND", "OR":
			flush()
		case "":
		default:
			if term != "" {
				term += " "
			}
			term += word
		}
	}
	flush()
	return out
}

// problemText lists what could not be read, apart from what a layer has said already.
func (r *Report) problemText(out *bufio.Writer, only int) {
	said := map[seaworthy.Problem]bool{}
	for i := range r.Layers {
		if only == 0 || r.Layers[i].Number == only {
			for _, p := range r.Layers[i].Problems {
				said[p] = true
			}
		}
	}
	first := true
	for _, p := range r.Problems {
		if said[p] {
			continue
		}
		if first {
			fmt.Fprintf(out, "\nWhat could not be read:\n")
			first = false
		}
		fmt.Fprintf(out, "\t%s: %s\n", console.Escape(p.Where), console.Escape(p.Detail))
	}
	if r.Incomplete {
		fmt.Fprintf(out, "\nThis report is incomplete.\n")
	}
}
