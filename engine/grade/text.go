package grade

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
)

var severityStyle = map[seaworthy.Severity]console.Style{
	seaworthy.SeverityCritical: "1;31", seaworthy.SeverityHigh: console.Red, seaworthy.SeverityMedium: console.Yellow,
	seaworthy.SeverityLow: console.Cyan, seaworthy.SeverityNegligible: console.Dim, seaworthy.SeverityUnknown: console.Dim,
}

// Table writes the findings as a table, worst first, and the summary below it.
func (r *Report) Table(w io.Writer) error {
	s, ok := w.(*console.Stream)
	if !ok {
		s = &console.Stream{Writer: w}
	}
	if len(r.Findings) > 0 {
		if err := findingTable(WorstFirst(r.Findings), s.Width).Write(s); err != nil {
			return err
		}
	}
	if len(r.Suppressed) > 0 {
		fmt.Fprintf(s, "\nTaken away by VEX:\n")
		t := &console.Table{Columns: []console.Column{{Name: "STATUS"}, {Name: "ID"}, {Name: "PACKAGE", Shrink: true}, {Name: "BY", Shrink: true}, {Name: "WHY", Shrink: true}}}
		for i := range r.Suppressed {
			f := &r.Suppressed[i]
			t.Add(string(f.Status), f.ID, f.Name+" "+f.Version, f.Suppressed.By, suppressedWhy(f))
		}
		if err := t.Write(s); err != nil {
			return err
		}
	}
	if err := r.licenceTable(s); err != nil {
		return err
	}
	if len(r.Findings)+len(r.Suppressed) > 0 {
		fmt.Fprintln(s)
	}
	return r.summary(s)
}

// narrow is the width of a terminal, in columns, below which the table says less of each finding.
const narrow = 120

// findingTable lays the findings out for a terminal of some width; 0 is no limit.
func findingTable(findings []seaworthy.Finding, width int) *console.Table {
	t := &console.Table{Columns: []console.Column{
		{Name: "SEVERITY"},
		{Name: "ID"},
		{Name: "PACKAGE", Shrink: true},
		{Name: "INSTALLED", Shrink: true},
		{Name: "FIXED", Shrink: true},
		{Name: "RISK", Right: true},
		{Name: "NOTE", Shrink: true},
	}}
	name, version := 1<<20, 1<<20 // characters, where there is no limit
	if width > 0 {
		version = 24
		if width < narrow {
			version = 13
		}
		// What the others take: severity, id, two versions, risk, note, and the gaps between seven columns.
		rest := 8 + 4 + 6*2
		id, note := 2, 4
		var installed, fixed int
		for i := range findings {
			f := &findings[i]
			id, note = max(id, len(f.ID)), max(note, len(noteOf(f, width).Text))
			installed, fixed = max(installed, 9, min(version, len(f.Version))), max(fixed, 5, min(version, len(fixWord(f))))
		}
		name = max(16, width-rest-id-note-installed-fixed)
	}
	for i := range findings {
		f := &findings[i]
		fixed := console.Cell{Text: cut(console.Escape(fixWord(f)), version)}
		if f.Fixed == "" {
			fixed.Style = console.Dim
		}
		t.AddStyled(
			console.Cell{Text: f.Severity.String(), Style: severityStyle[f.Severity]}, console.Cell{Text: f.ID}, console.Cell{Text: cutLeft(console.Escape(f.Name), name)},
			console.Cell{Text: cut(console.Escape(f.Version), version)}, fixed, console.Cell{Text: riskText(f.Risk)}, noteOf(f, width),
		)
	}
	return t
}

func riskText(risk float64) string {
	if risk == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", risk)
}

// noteOf is what matters most about a finding besides its severity: that it is exploited, else how likely that
// is; and where it is, if there is room.
func noteOf(f *seaworthy.Finding, width int) console.Cell {
	var parts []string
	c := console.Cell{}
	if f.KEV != nil {
		parts = append(parts, "exploited")
		c.Style = console.Red
	} else if f.EPSS != nil && f.EPSS.Probability >= 0.01 {
		parts = append(parts, fmt.Sprintf("EPSS %.0f%%", 100*f.EPSS.Probability))
	}
	room := width == 0 || width >= narrow
	if f.Status == seaworthy.UnderInvestigation {
		word := "under investigation"
		if !room {
			word = "in triage"
		}
		parts = append(parts, word)
	}
	if n := layerOf(f); n > 0 && room {
		parts = append(parts, fmt.Sprintf("layer %d", n))
	}
	if !neededAtRuntime(f.Scope) {
		word := string(f.Scope)
		if f.Scope == seaworthy.Development && !room {
			word = "dev"
		}
		parts = append(parts, word)
	}
	c.Text = strings.Join(parts, ", ")
	return c
}

func suppressedWhy(f *seaworthy.Finding) string {
	s := f.Suppressed
	var parts []string
	for _, p := range []string{s.Justification, s.Impact, s.Reason} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, "; ")
}

// Limits on what the table shows of licences; every other format has all.
const (
	shownUnknown  = 10 // licences that are unknown
	shownPackages = 2  // packages of one licence
	licenceWidth  = 60 // characters of an expression
)

// licenceTable lists what the policy denies or wants looked at, and names what is unknown; without a policy
// nothing.
func (r *Report) licenceTable(s *console.Stream) error {
	t := &console.Table{Columns: []console.Column{{Name: "VERDICT"}, {Name: "LICENCE", Shrink: true}, {Name: "PACKAGES", Shrink: true}, {Name: "WHY", Shrink: true}}}
	judged, unknown := false, 0
	for i := range r.Licences {
		l := &r.Licences[i]
		style := console.Dim
		switch l.Verdict {
		case Unjudged:
			continue
		case Allowed:
			judged = true
			continue
		case Denied:
			judged, style = true, console.Red
		case Review:
			judged, style = true, console.Yellow
		default:
			if unknown++; unknown > shownUnknown {
				continue
			}
		}
		var names []string
		for _, p := range l.Packages[:min(len(l.Packages), shownPackages)] {
			names = append(names, shortPURL(p))
		}
		if more := len(l.Packages) - shownPackages; more > 0 {
			names = append(names, fmt.Sprintf("%d more", more))
		}
		name := cut(l.Licence, licenceWidth)
		if name == "" {
			name = "-"
		}
		t.AddStyled(console.Cell{Text: string(l.Verdict), Style: style}, console.Cell{Text: name}, console.Cell{Text: strings.Join(names, ", ")},
			console.Cell{Text: cut(l.Reason, licenceWidth)})
	}
	if !judged || t.Len() == 0 {
		return nil
	}
	if len(r.Findings)+len(r.Suppressed) > 0 {
		fmt.Fprintln(s)
	}
	if err := t.Write(s); err != nil {
		return err
	}
	if more := unknown - shownUnknown; more > 0 {
		fmt.Fprintf(s, "… and %d more that are unknown; -o json lists them all\n", more)
	}
	if len(r.Findings)+len(r.Suppressed) == 0 {
		fmt.Fprintln(s)
	}
	return nil
}

// cutLeft shortens text to n characters at its beginning: the end of a module's path tells most.
func cutLeft(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return "…" + string(runes[len(runes)-n+1:])
	}
	return s
}

// cut shortens text to n characters.
func cut(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return s
}

// summary is the last lines of the table: the grade, the numbers, and what the answer does not speak of.
func (r *Report) summary(s *console.Stream) error {
	out := bufio.NewWriter(s)
	style := console.Style("1;32")
	switch r.Grade.Letter {
	case "C", Unknown:
		style = "1;33"
	case "D", "F":
		style = "1;31"
	}
	fmt.Fprintf(out, "Grade %s  (%s)\n", s.Paint(style, r.Grade.Letter), strings.Join(r.Grade.Why, "; "))
	fmt.Fprintf(out, "%s\n", r.Sentence())
	for _, c := range r.Grade.Caveats {
		fmt.Fprintf(out, "%s %s\n", s.Paint(console.Yellow, "mind:"), console.Escape(c))
	}
	if ages := r.ages(); ages != "" {
		fmt.Fprintf(out, "%s\n", s.Paint(console.Dim, "Advisories: "+console.Escape(ages)))
	}
	return seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing the summary")
}

// shownSources is how many sources of advisories the summary names, the oldest first.
const shownSources = 4

// ages says how old the advisories were when they were used.
func (r *Report) ages() string {
	sources := slices.Clone(r.Advisories)
	slices.SortStableFunc(sources, func(a, b advisory.Source) int { return a.Date.Compare(b.Date) })
	var parts []string
	for i := range sources {
		if i == shownSources {
			parts = append(parts, fmt.Sprintf("%d newer ones", len(sources)-i))
			break
		}
		parts = append(parts, sources[i].Name+" "+r.age(sources[i].Date)+" old")
	}
	return strings.Join(parts, ", ")
}

// Sentence says the numbers in one line.
func (r *Report) Sentence() string {
	c := &r.Counts
	if c.Total == 0 {
		text := fmt.Sprintf("No known vulnerabilities in %s compared", console.Count(c.Compared, "package"))
		if c.Suppressed > 0 {
			text += fmt.Sprintf(", %d taken away by VEX", c.Suppressed)
		}
		return text
	}
	var parts []string
	for _, severity := range worstFirst {
		if n := c.Of(severity); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, severity))
		}
	}
	text := fmt.Sprintf("%s (%s) in %s of %d compared; %d can be repaired", console.Count(c.Total, "finding"), strings.Join(parts, ", "),
		console.Count(c.Affected, "package"), c.Compared, c.Fixable)
	if c.KEV > 0 {
		text += fmt.Sprintf(", %d known to be exploited", c.KEV)
	}
	if c.Suppressed > 0 {
		text += fmt.Sprintf(", %d taken away by VEX", c.Suppressed)
	}
	return text
}

// Text writes every finding with everything that is known of it, worst first.
func (r *Report) Text(w io.Writer) error {
	s, ok := w.(*console.Stream)
	if !ok {
		s = &console.Stream{Writer: w}
	}
	out := bufio.NewWriter(s)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "  %-10s %s\n", name, console.Escape(value))
		}
	}
	for _, f := range WorstFirst(r.Findings) {
		fmt.Fprintf(out, "%s  %s  %s %s\n", s.Paint(severityStyle[f.Severity], f.Severity.String()), s.Paint(console.Bold, console.Escape(f.ID)),
			console.Escape(f.Name), console.Escape(f.Version))
		line("what", f.Summary)
		line("also", strings.Join(f.Aliases, ", "))
		line("fixed in", fixWord(&f))
		line("matched", f.Range)
		if f.Score > 0 || f.Vector != "" {
			line("CVSS", strings.TrimSpace(fmt.Sprintf("%.1f  %s", f.Score, f.Vector)))
		}
		line("EPSS", epssText(f.EPSS))
		line("KEV", kevText(f.KEV))
		line("risk", riskText(f.Risk))
		line("found in", where(&f))
		line("because", strings.Join(f.Via, " → "))
		if f.Status != seaworthy.Affected {
			line("status", string(f.Status))
		}
		line("notes", strings.Join(f.Notes, "; "))
		line("by", sourcesText(&f))
		fmt.Fprintln(out)
	}
	if err := out.Flush(); err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "writing the findings")
	}
	return r.summary(s)
}

func epssText(e *seaworthy.EPSS) string {
	if e == nil {
		return ""
	}
	return fmt.Sprintf("%.2f%% within 30 days, above %.0f%% of all", 100*e.Probability, 100*e.Percentile)
}

func kevText(k *seaworthy.KEV) string {
	if k == nil {
		return ""
	}
	text := "known to be exploited"
	if k.Added != "" {
		text += " since " + k.Added
	}
	if k.Ransomware {
		text += ", used for ransomware"
	}
	if k.Name != "" {
		text += ": " + k.Name
	}
	return text
}

func sourcesText(f *seaworthy.Finding) string {
	var parts []string
	for _, s := range f.Sources {
		parts = append(parts, s.ID+" ("+s.Source+")")
	}
	return strings.Join(parts, ", ")
}
