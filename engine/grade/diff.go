package grade

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// Diff is what got worse and what got better from one scan to another.
type Diff struct {
	Before  Side         `json:"before"`
	After   Side         `json:"after"`
	New     []Difference `json:"new"`     // findings that only the second scan has, worst first
	Gone    []Difference `json:"gone"`    // findings that only the first has
	Changed []Difference `json:"changed"` // findings of both, of which something that matters is other now
	Same    int          `json:"same"`
	// LicencesDenied and LicencesCleared are licence expressions that are denied on one side only.
	LicencesDenied  []string `json:"licencesDenied"`
	LicencesCleared []string `json:"licencesCleared"`
}

// Side is one of the two scans.
type Side struct {
	Target string    `json:"target"`
	At     time.Time `json:"at"`
	Grade  string    `json:"grade"`
	Points float64   `json:"points"`
	Counts Counts    `json:"counts"`
}

// Difference is a finding that is not the same on both sides.
type Difference struct {
	ID       string             `json:"id"`
	Package  string             `json:"package"` // purl, of the side that has it; of both, the second
	Name     string             `json:"name"`
	Severity seaworthy.Severity `json:"severity"`
	Before   string             `json:"versionBefore,omitempty"`
	After    string             `json:"versionAfter,omitempty"`
	Fixed    string             `json:"fixed,omitempty"`
	Risk     float64            `json:"risk"`
	// Worse and Better say what changed, in words.
	Worse  []string `json:"worse,omitempty"`
	Better []string `json:"better,omitempty"`
}

// Worsened reports whether anything got worse.
func (d *Diff) Worsened() bool {
	return len(d.New) > 0 || len(d.LicencesDenied) > 0 || slices.ContainsFunc(d.Changed, func(c Difference) bool { return len(c.Worse) > 0 })
}

// Compare says what changed from one report to another. A finding is the same when vulnerability and package are,
// whatever the version; where a package is there in several versions, they are paired in order.
func Compare(before, after *Report) *Diff {
	d := &Diff{
		Before: before.side(), After: after.side(), New: []Difference{}, Gone: []Difference{}, Changed: []Difference{},
		LicencesDenied: []string{}, LicencesCleared: []string{},
	}
	type key struct{ id, pkg string }
	keyOf := func(f *seaworthy.Finding) key {
		name, _, _ := strings.Cut(f.Package, "?")
		if at := strings.LastIndexByte(name, '@'); at > 0 {
			name = name[:at]
		}
		return key{f.ID, name}
	}
	olds := map[key][]*seaworthy.Finding{}
	first := distinct(WorstFirst(before.Findings))
	for i := range first {
		k := keyOf(&first[i])
		olds[k] = append(olds[k], &first[i])
	}
	used := map[*seaworthy.Finding]bool{}
	second := distinct(WorstFirst(after.Findings))
	for i := range second {
		f := &second[i]
		var old *seaworthy.Finding
		for _, o := range olds[keyOf(f)] {
			if !used[o] && (old == nil || o.Version == f.Version) {
				old = o
			}
		}
		if old == nil {
			d.New = append(d.New, Difference{ID: f.ID, Package: f.Package, Name: f.Name, Severity: f.Severity, After: f.Version, Fixed: f.Fixed, Risk: f.Risk})
			continue
		}
		used[old] = true
		if c := change(old, f); len(c.Better)+len(c.Worse) > 0 {
			d.Changed = append(d.Changed, c)
		} else {
			d.Same++
		}
	}
	for i := range first {
		if f := &first[i]; !used[f] {
			d.Gone = append(d.Gone, Difference{ID: f.ID, Package: f.Package, Name: f.Name, Severity: f.Severity, Before: f.Version, Fixed: f.Fixed, Risk: f.Risk})
		}
	}
	deniedBefore, deniedAfter := before.denied(), after.denied()
	for _, l := range deniedAfter {
		if !slices.Contains(deniedBefore, l) {
			d.LicencesDenied = append(d.LicencesDenied, l)
		}
	}
	for _, l := range deniedBefore {
		if !slices.Contains(deniedAfter, l) {
			d.LicencesCleared = append(d.LicencesCleared, l)
		}
	}
	return d
}

func (r *Report) side() Side {
	return Side{Target: r.Target, At: r.At, Grade: r.Grade.Letter, Points: r.Grade.Points, Counts: r.Counts}
}

func (r *Report) denied() (out []string) {
	for i := range r.Licences {
		if r.Licences[i].Verdict == Denied {
			out = append(out, r.Licences[i].Licence)
		}
	}
	return out
}

// change says what matters of the difference between two findings of the same vulnerability.
func change(old, f *seaworthy.Finding) Difference {
	c := Difference{ID: f.ID, Package: f.Package, Name: f.Name, Severity: f.Severity, Before: old.Version, After: f.Version, Fixed: f.Fixed, Risk: f.Risk}
	switch {
	case f.Severity > old.Severity:
		c.Worse = append(c.Worse, fmt.Sprintf("%s was %s", f.Severity, old.Severity))
	case f.Severity < old.Severity:
		c.Better = append(c.Better, fmt.Sprintf("%s was %s", f.Severity, old.Severity))
	}
	switch {
	case f.KEV != nil && old.KEV == nil:
		c.Worse = append(c.Worse, "now known to be exploited")
	case f.KEV == nil && old.KEV != nil:
		c.Better = append(c.Better, "no longer listed as exploited")
	}
	switch {
	case f.Fixable() && !old.Fixable():
		c.Better = append(c.Better, "can be repaired now: "+f.Fixed)
	case !f.Fixable() && old.Fixable():
		c.Worse = append(c.Worse, "no repair is known any more")
	}
	return c
}

// ReadReport reads a report's own JSON. It can be compared and shown; the formats that write a bill cannot be made
// of it. Errors: Invalid, TooLarge.
func ReadReport(r io.Reader) (*Report, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxReportBytes+1))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading a scan")
	}
	if len(b) > maxReportBytes {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading a scan: it is over the limit of %d bytes", int64(maxReportBytes))
	}
	report := new(Report)
	if err := json.Unmarshal(b, report); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading a scan: %w", err)
	}
	if report.Format != Format {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading a scan: format is %.32q, want %q", report.Format, Format)
	}
	report.mend()
	return report, nil
}

// mend makes a report that was read hold to what New promises: no list is nil, and a finding has a reason for being
// suppressed exactly when it is.
func (r *Report) mend() {
	r.Findings, r.Suppressed, r.Licences, r.Layers = list(r.Findings), list(r.Suppressed), list(r.Licences), list(r.Layers)
	r.Advisories, r.NotCompared, r.NotCovered, r.Problems = list(r.Advisories), list(r.NotCompared), list(r.NotCovered), list(r.Problems)
	for i := range r.Findings {
		r.Findings[i].Suppressed = nil
	}
	for i := range r.Suppressed {
		if r.Suppressed[i].Suppressed == nil {
			r.Suppressed[i].Suppressed = &seaworthy.Suppressed{}
		}
	}
}

// maxReportBytes is the largest report that is read back: 1 GiB.
const maxReportBytes = 1 << 30

// IsReport reports whether a file looks like a report's own JSON.
func IsReport(head []byte) bool {
	return strings.Contains(string(head[:min(len(head), 256)]), `"`+Format+`"`)
}

// Table writes the difference for people.
func (d *Diff) Table(w io.Writer) error {
	s, ok := w.(*console.Stream)
	if !ok {
		s = &console.Stream{Writer: w}
	}
	t := &console.Table{Columns: []console.Column{
		{Name: ""}, {Name: "SEVERITY"}, {Name: "ID"}, {Name: "PACKAGE", Shrink: true}, {Name: "FROM", Shrink: true}, {Name: "TO", Shrink: true}, {Name: "WHAT", Shrink: true},
	}}
	row := func(sign string, style console.Style, c *Difference, what string) {
		t.AddStyled(console.Cell{Text: sign, Style: style}, console.Cell{Text: c.Severity.String(), Style: severityStyle[c.Severity]}, console.Cell{Text: c.ID},
			console.Cell{Text: c.Name}, console.Cell{Text: c.Before}, console.Cell{Text: c.After}, console.Cell{Text: what})
	}
	for i := range d.New {
		row("+", console.Red, &d.New[i], "new")
	}
	for i := range d.Changed {
		c := &d.Changed[i]
		style := console.Green
		if len(c.Worse) > 0 {
			style = console.Yellow
		}
		row("~", style, c, strings.Join(append(slices.Clone(c.Worse), c.Better...), ", "))
	}
	for i := range d.Gone {
		row("-", console.Green, &d.Gone[i], "gone")
	}
	if t.Len() > 0 {
		if err := t.Write(s); err != nil {
			return err
		}
		fmt.Fprintln(s)
	}
	for _, l := range d.LicencesDenied {
		fmt.Fprintf(s, "newly denied licence: %s\n", console.Escape(l))
	}
	for _, l := range d.LicencesCleared {
		fmt.Fprintf(s, "no longer denied or there: %s\n", console.Escape(l))
	}
	_, err := fmt.Fprintf(s, "%d new, %d gone, %d changed, %d the same; grade %s → %s\n", len(d.New), len(d.Gone), len(d.Changed), d.Same, d.Before.Grade, d.After.Grade)
	return seaworthy.Wrap(err, seaworthy.Storage, "writing the difference")
}
