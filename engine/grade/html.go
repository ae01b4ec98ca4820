package grade

import (
	"bufio"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

//go:embed report.html.tmpl
var pageText string

// HTML writes the report as one self-contained page: no style, script or picture is fetched from anywhere, and
// the page is complete without script. With script it is searched, sorted and filtered. Names from outside are
// escaped, bidirectional controls included, and only http and https addresses become links.
func (r *Report) HTML(w io.Writer) error {
	parsed, err := template.New("report").Funcs(template.FuncMap{
		"safe": console.Escape, "short": shortPURL, "risk": riskText, "fix": fixWord, "layer": layerOf, "where": where, "kev": kevText, "epss": epssText,
		"sources": sourcesText, "why": suppressedWhy, "plural": console.Count, "trim": trim, "link": isLink, "runtime": neededAtRuntime, "instruction": firstLine,
		"percent": func(n, of int) string { return fmt.Sprintf("%.2f", 100*float64(n)/float64(max(of, 1))) },
		"pct":     func(p float64) float64 { return 100 * p },
		"age":     r.age, "search": searchText,
	}).Parse(pageText)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Internal, "parsing the page's template")
	}
	out := bufio.NewWriter(w)
	if err := parsed.Execute(out, r.page()); err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "writing the page")
	}
	return out.Flush()
}

// page is the report with what only the page needs.
type page struct {
	*Report
	Findings   []*seaworthy.Finding // worst first
	Suppressed []*seaworthy.Finding
	Severities []severityShare
	Packages   []Package
	Layers     []Layer // the topmost first
	Most       int     // findings of the layer that has most
	Mood       string  // CSS class of the grade
	Judged     bool    // there is a licence policy
	Meaning    string
}

// severityShare is one part of the distribution.
type severityShare struct {
	Name  string
	N     int
	Share float64 // percent of all findings
}

func (r *Report) page() page {
	p := page{Report: r, Packages: r.ByPackage(), Mood: moods[r.Grade.Letter], Meaning: meanings[r.Grade.Letter]}
	sorted := WorstFirst(r.Findings)
	for i := range sorted {
		p.Findings = append(p.Findings, &sorted[i])
	}
	for i := range r.Suppressed {
		p.Suppressed = append(p.Suppressed, &r.Suppressed[i])
	}
	for _, s := range worstFirst {
		if n := r.Counts.Of(s); n > 0 {
			p.Severities = append(p.Severities, severityShare{s.String(), n, 100 * float64(n) / float64(r.Counts.Total)})
		}
	}
	p.Layers = slices.Clone(r.Layers)
	slices.Reverse(p.Layers)
	for i := range p.Layers {
		p.Most = max(p.Most, p.Layers[i].Total)
	}
	for i := range r.Licences {
		p.Judged = p.Judged || r.Licences[i].Verdict == Allowed || r.Licences[i].Verdict == Denied || r.Licences[i].Verdict == Review
	}
	return p
}

var moods = map[string]string{"A": "good", "B": "fair", "C": "warn", "D": "bad", "F": "worst"}

var meanings = map[string]string{
	"A": "nothing that hurries", "B": "little to do", "C": "work to do", "D": "much to do, soon", "F": "do not sail like this", Unknown: "nothing could be compared",
}

// age is how old data was when it was used.
func (r *Report) age(date time.Time) string {
	days := int(r.At.Sub(date) / (24 * time.Hour))
	if days < 1 {
		return "less than a day"
	}
	return console.Count(days, "day")
}

func isLink(u string) bool {
	return strings.HasPrefix(u, "https://") || strings.HasPrefix(u, "http://")
}

// searchText is what a finding is found by besides the words that are shown.
func searchText(f *seaworthy.Finding) string {
	return console.Escape(strings.ToLower(strings.Join([]string{strings.Join(f.Aliases, " "), f.Package, f.Summary, pathOf(f), f.Licence}, " ")))
}

// maxInstruction is how much of a layer's line is shown, in bytes.
const maxInstruction = 160

// firstLine is a history line without what builders wrap around it.
func firstLine(createdBy string) string {
	line, _, _ := strings.Cut(createdBy, "\n")
	for _, prefix := range []string{"/bin/sh -c #(nop) ", "/bin/sh -c ", "RUN /bin/sh -c "} {
		line = strings.TrimPrefix(line, prefix)
	}
	line = strings.TrimSpace(strings.TrimSuffix(line, "# buildkit"))
	if len(line) > maxInstruction {
		line = strings.ToValidUTF8(line[:maxInstruction], "") + "…"
	}
	return line
}
