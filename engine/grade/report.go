package grade

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/match"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
)

// Format marks the JSON of a Report. The JSON only ever grows.
const Format = "seaworthy-scan-1"

// Report is everything a scan has to say. Lists are never nil.
type Report struct {
	Format string           `json:"format"` // Format
	Target string           `json:"target"` // as the person named it
	Name   string           `json:"name,omitempty"`
	PURL   string           `json:"purl,omitempty"` // of what was scanned, where it has one
	Digest seaworthy.Digest `json:"digest,omitempty"`
	At     time.Time        `json:"at"`
	Tool   seaworthy.Tool   `json:"tool"`

	Advisories []advisory.Source `json:"advisories"` // what the database was made of
	Grade      Grade             `json:"grade"`
	Counts     Counts            `json:"counts"`
	// FailOn says what --fail-on answered; nil when nobody asked.
	FailOn *Verdict `json:"failOn,omitempty"`

	Findings    []seaworthy.Finding `json:"findings"`   // worst risk first, then severity
	Suppressed  []seaworthy.Finding `json:"suppressed"` // taken away by VEX; empty unless asked for, Counts has their number
	Licences    []Licence           `json:"licences"`   // denied first
	Layers      []Layer             `json:"layers"`     // of the image, the lowest first; with what was found in each
	NotCompared []match.NotCompared `json:"notCompared"`
	NotCovered  []match.NotCovered  `json:"notCovered"`
	Problems    []seaworthy.Problem `json:"problems"` // of reading the target
	Incomplete  bool                `json:"incomplete,omitempty"`
	bill        *seaworthy.Bill     // for the formats that write one
	all         []seaworthy.Finding // suppressed ones too, for formats that have a place for them
}

// Verdict is the answer to --fail-on.
type Verdict struct {
	Expression string `json:"expression"`
	Matched    int    `json:"matched"` // findings that make the answer no
	OK         bool   `json:"ok"`
}

// Counts are numbers of findings, and what they were found among.
type Counts struct {
	Severities
	Total           int `json:"total"`           // findings
	Vulnerabilities int `json:"vulnerabilities"` // distinct
	Affected        int `json:"affectedPackages"`
	Fixable         int `json:"fixable"`
	KEV             int `json:"kev"`
	Suppressed      int `json:"suppressed"`
	Packages        int `json:"packages"`  // of software in the bill
	Compared        int `json:"compared"`  // looked up in the database
	CoveredBy       int `json:"coveredBy"` // judged by the distribution package that installed them
	NotCovered      int `json:"notCovered"`
}

// Severities are numbers of findings by severity.
type Severities struct {
	Critical   int `json:"critical"`
	High       int `json:"high"`
	Medium     int `json:"medium"`
	Low        int `json:"low"`
	Negligible int `json:"negligible"`
	Unknown    int `json:"unknown"`
}

// Of returns the number for one severity.
func (s *Severities) Of(severity seaworthy.Severity) int { return *s.at(severity) }

func (s *Severities) at(severity seaworthy.Severity) *int {
	switch severity {
	case seaworthy.SeverityCritical:
		return &s.Critical
	case seaworthy.SeverityHigh:
		return &s.High
	case seaworthy.SeverityMedium:
		return &s.Medium
	case seaworthy.SeverityLow:
		return &s.Low
	case seaworthy.SeverityNegligible:
		return &s.Negligible
	}
	return &s.Unknown
}

// Layer is an image layer and what was found in it.
type Layer struct {
	Number    int              `json:"layer"` // from 1
	DiffID    seaworthy.Digest `json:"diffID"`
	CreatedBy string           `json:"createdBy,omitempty"`
	Findings  Severities       `json:"findings"`
	Total     int              `json:"total"`
	Affected  int              `json:"affectedPackages"`
}

// Package is one package version and what was found in it.
type Package struct {
	Name, Version, PURL, Ecosystem, Licence string

	Severities
	Total   int
	Fixable int
	Worst   seaworthy.Severity
	Risk    float64  // the highest
	Fixed   []string // the versions that repair one or more, as the advisories name them
	Layer   int      // number of the layer it was found in; 0 for none
	Path    string
}

// Options say what a scan's result does not.
type Options struct {
	Target     string
	At         time.Time // of the scan
	Tool       seaworthy.Tool
	Advisories []advisory.Source
	Method     Method
	Licences   *Policy // nil: licences are listed and none is judged
	// ShowSuppressed lists what VEX took away.
	ShowSuppressed bool
	Incomplete     bool
}

// New makes the report of a scan. It keeps bill and result.
func New(bill *seaworthy.Bill, result match.Result, o Options) *Report {
	r := &Report{
		Format: Format, Target: o.Target, At: o.At.UTC().Truncate(time.Second), Tool: o.Tool,
		Advisories: list(o.Advisories), Findings: list(result.Findings), Suppressed: []seaworthy.Finding{},
		NotCompared: list(result.NotCompared), NotCovered: list(result.NotCovered), Problems: list(bill.Problems),
		Incomplete: o.Incomplete, bill: bill, all: slices.Concat(result.Findings, result.Suppressed),
	}
	if o.ShowSuppressed {
		r.Suppressed = list(result.Suppressed)
	}
	r.about(bill)
	r.Licences = o.Licences.judge(bill)
	r.Layers = r.layers(bill)
	r.count(bill, result)
	denied := 0
	for i := range r.Licences {
		if r.Licences[i].Verdict == Denied {
			denied++
		}
	}
	r.Grade = o.Method.grade(distinct(r.Findings), denied)
	r.caveats()
	return r
}

func list[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}

// about names what was scanned.
func (r *Report) about(bill *seaworthy.Bill) {
	r.Name = bill.Name
	for i := range bill.Packages {
		p := &bill.Packages[i]
		if len(bill.Roots) == 0 || p.Ref != bill.Roots[0] {
			continue
		}
		r.PURL = p.PURL
		if p.HashOf == seaworthy.HashOfArtifact && len(p.Hashes) > 0 {
			r.Digest = p.Hashes[0]
		}
		return
	}
}

// isSoftware leaves out what only structures a bill.
func isSoftware(p *seaworthy.Package) bool {
	switch p.Role {
	case seaworthy.Container, seaworthy.Layer, seaworthy.OS, seaworthy.FileRole, seaworthy.Data, seaworthy.Device:
		return false
	}
	return true
}

func (r *Report) count(bill *seaworthy.Bill, result match.Result) {
	c := &r.Counts
	ids, packages := map[string]bool{}, map[[2]string]bool{}
	for i := range r.Findings {
		f := &r.Findings[i]
		*c.at(f.Severity)++
		c.Total++
		ids[f.ID] = true
		packages[[2]string{f.Package, f.Version}] = true
		if f.Fixable() {
			c.Fixable++
		}
		if f.KEV != nil {
			c.KEV++
		}
	}
	c.Vulnerabilities, c.Affected, c.Suppressed = len(ids), len(packages), len(result.Suppressed)
	for i := range bill.Packages {
		if isSoftware(&bill.Packages[i]) && !slices.Contains(bill.Roots, bill.Packages[i].Ref) {
			c.Packages++
		}
	}
	c.Compared, c.CoveredBy = result.Compared, result.CoveredBy
	for _, n := range result.NotCovered {
		c.NotCovered += n.Packages
	}
}

// caveats names what the grade does not speak of, or cannot know.
func (r *Report) caveats() {
	add := func(format string, args ...any) {
		r.Grade.Caveats = append(r.Grade.Caveats, fmt.Sprintf(format, args...))
	}
	if r.Incomplete {
		add("parts of the target could not be read")
	}
	for _, n := range r.NotCovered {
		add("%s: %s", console.Count(n.Packages, "package"), n.Reason)
	}
	if n := r.Counts.CoveredBy; n > 0 && len(r.NotCovered) > 0 {
		add("%s that the distribution installed: they are judged by its advisories, not by those of their own ecosystem", console.Count(n, "package"))
	}
	if n := len(r.NotCompared); n > 0 {
		add("%s could not be compared with an advisory", console.Count(n, "package"))
	}
	if n := r.Counts.Unknown; n > 0 {
		add("%s without a severity: the advisories give none, so a --fail-on by severity passes over them", console.Count(n, "finding"))
	}
	if r.Counts.Compared == 0 && r.Counts.Packages > 0 && r.Counts.Total == 0 {
		r.Grade.Letter = Unknown
		r.Grade.Why = []string{"none of the packages could be compared with the advisories"}
	}
	if r.Counts.Packages == 0 {
		add("no packages were found in it")
		if r.Counts.Total == 0 {
			r.Grade.Letter = Unknown
			r.Grade.Why = []string{"there are no packages to compare with the advisories"}
		}
	}
}

// layers lists the image's layers with what was found in each.
func (r *Report) layers(bill *seaworthy.Bill) []Layer {
	byID := map[seaworthy.Digest]*Layer{}
	for i := range bill.Packages {
		p := &bill.Packages[i]
		if p.Role != seaworthy.Layer {
			continue
		}
		l := &Layer{DiffID: seaworthy.Digest(cmp.Or(p.Property("seaworthy:layer:diffID"), p.Version)), CreatedBy: p.Description}
		l.Number, _ = strconv.Atoi(cmp.Or(p.Property("seaworthy:layer:number"), strings.TrimPrefix(p.Name, "layer ")))
		if byID[l.DiffID] == nil {
			byID[l.DiffID] = l
		}
	}
	affected := map[seaworthy.Digest]map[[2]string]bool{}
	for i := range r.Findings {
		f := &r.Findings[i]
		if len(f.Evidence) == 0 || f.Evidence[0].DiffID == "" {
			continue
		}
		e := &f.Evidence[0]
		l := byID[e.DiffID]
		if l == nil {
			l = &Layer{Number: e.Layer + 1, DiffID: e.DiffID, CreatedBy: e.History}
			byID[e.DiffID] = l
		}
		*l.Findings.at(f.Severity)++
		l.Total++
		if affected[e.DiffID] == nil {
			affected[e.DiffID] = map[[2]string]bool{}
		}
		affected[e.DiffID][[2]string{f.Package, f.Version}] = true
	}
	out := make([]Layer, 0, len(byID))
	for id, l := range byID {
		l.Affected = len(affected[id])
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b Layer) int { return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.DiffID, b.DiffID)) })
	return out
}

// ByPackage gathers the findings of each package version, worst first.
func (r *Report) ByPackage() []Package {
	type key struct{ purl, version string }
	at := map[key]int{}
	var out []Package
	for i := range r.Findings {
		f := &r.Findings[i]
		k := key{f.Package, f.Version}
		n, ok := at[k]
		if !ok {
			n = len(out)
			at[k] = n
			out = append(out, Package{
				Name: f.Name, Version: f.Version, PURL: f.Package, Ecosystem: f.Ecosystem, Licence: f.Licence, Layer: layerOf(f), Path: pathOf(f),
			})
		}
		p := &out[n]
		*p.at(f.Severity)++
		p.Total++
		p.Worst, p.Risk = max(p.Worst, f.Severity), max(p.Risk, f.Risk)
		if f.Fixable() {
			p.Fixable++
		}
		if f.Fixed != "" && !slices.Contains(p.Fixed, f.Fixed) {
			p.Fixed = append(p.Fixed, f.Fixed)
		}
	}
	slices.SortStableFunc(out, func(a, b Package) int {
		return cmp.Or(cmp.Compare(b.Worst, a.Worst), cmp.Compare(b.Risk, a.Risk), cmp.Compare(b.Total, a.Total), strings.Compare(a.Name, b.Name),
			strings.Compare(a.PURL, b.PURL))
	})
	return out
}

// WorstFirst returns the findings as people read them: by severity, then risk. (The JSON's order is risk first,
// as package match gives it.)
func WorstFirst(findings []seaworthy.Finding) []seaworthy.Finding {
	out := slices.Clone(findings)
	slices.SortStableFunc(out, func(a, b seaworthy.Finding) int {
		return cmp.Or(cmp.Compare(known(b), known(a)), cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.Risk, a.Risk), cmp.Compare(b.Score, a.Score))
	})
	return out
}

// known is 1 for what is known to be exploited: that comes before anything else.
func known(f seaworthy.Finding) int {
	if f.KEV != nil {
		return 1
	}
	return 0
}

// layerOf is the number of the layer a finding's package is in, 0 for none.
func layerOf(f *seaworthy.Finding) int {
	if len(f.Evidence) == 0 || f.Evidence[0].DiffID == "" {
		return 0
	}
	return f.Evidence[0].Layer + 1
}

func pathOf(f *seaworthy.Finding) string {
	if len(f.Evidence) == 0 {
		return ""
	}
	return f.Evidence[0].Path
}

// where is the layer and path of a finding in words.
func where(f *seaworthy.Finding) string {
	if n := layerOf(f); n > 0 {
		return fmt.Sprintf("layer %d: %s", n, pathOf(f))
	}
	return pathOf(f)
}

// fixWord is the repaired version, or why there is none.
func fixWord(f *seaworthy.Finding) string {
	switch {
	case f.Fixed != "":
		return f.Fixed
	case f.Fix == seaworthy.FixDeclined:
		return "won't fix"
	}
	return "none known"
}
