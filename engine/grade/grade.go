// Package grade answers "how bad is it": it puts what a scan found into one Report with a grade from A to F, and
// writes that report for people and for programs.
//
//	report := grade.New(bill, result, grade.Options{Target: "debian:12", Licences: policy})
//	err := report.HTML(w)
//
// # The grade
//
// Every finding costs points, and the sum gives the letter:
//
//	critical 40, high 10, medium 3, low 1, unknown 3, negligible 0
//	× 2      it is in CISA's KEV catalogue; or else × 1.5 when EPSS is 0.1 or more
//	× 0.5    no repaired version is known
//	× 0.25   the package is needed for development, build or test only
//	+ 10     for each licence expression that the policy denies
//
//	A below 10, B below 40, C below 120, D below 400, F from there on
//
// So one medium leaves an A, one high that can be repaired makes it a B, one critical a C, ten a F. A finding in
// KEV allows no better than D, whatever the sum. The same vulnerability in the same version of a package counts
// once, however often the package is there. What VEX took away does not count. A development dependency counts a
// quarter even when it is in KEV, which still caps the letter.
//
// When nothing could be compared with the advisories, the letter is "?": nothing is known, which is not an A.
// What the database has no advisories for, and what has no severity, is named in Grade.Caveats.
//
// # DaggerBoard's
//
// DaggerBoard grades by the number of findings of each severity alone: weights 40, 10, 3 and 1 for critical,
// high, medium and low; the weighted sum over the sum of the weights (54); A below 2, B below 4, C below 6, D
// below 8, else F. Other weights may be given, as there.
package grade

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// Grade is a letter and how it came about.
type Grade struct {
	Letter string  `json:"letter"` // A, B, C, D, F, or "?" when nothing could be compared
	Method string  `json:"method"` // "seaworthy" or "daggerboard=40,10,3,1"
	Points float64 `json:"points"` // of the method: the sum; DaggerBoard's quotient
	// Why says where the points come from, one line for each part.
	Why []string `json:"why"`
	// Caveats say what the grade does not speak of, or cannot know.
	Caveats []string `json:"caveats"`
}

// Unknown is the letter when nothing could be compared.
const Unknown = "?"

// Method computes a grade. The zero value is our own; see ParseMethod.
type Method struct {
	daggerboard bool
	weights     [4]float64 // critical, high, medium, low
}

// ParseMethod reads "seaworthy", "daggerboard", or "daggerboard=40,10,3,1" with other weights for critical, high,
// medium and low. Errors: Usage.
func ParseMethod(text string) (Method, error) {
	const hint = "the methods are seaworthy, and daggerboard or daggerboard=40,10,3,1 with weights for critical, high, medium and low"
	name, list, given := strings.Cut(text, "=")
	switch {
	case name == "seaworthy" && !given || text == "":
		return Method{}, nil
	case name != "daggerboard":
		return Method{}, seaworthy.Errorf(seaworthy.Usage, "%q is no way to grade", text).WithHint(hint)
	}
	m := Method{daggerboard: true, weights: [4]float64{40, 10, 3, 1}}
	if !given {
		return m, nil
	}
	parts := strings.Split(list, ",")
	if len(parts) != len(m.weights) {
		return Method{}, seaworthy.Errorf(seaworthy.Usage, "grading as %q: %d weights, want 4", text, len(parts)).WithHint(hint)
	}
	sum := 0.0
	for i, part := range parts {
		w, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || w < 0 || w > 1e6 || math.IsNaN(w) {
			return Method{}, seaworthy.Errorf(seaworthy.Usage, "grading as %q: %q is no weight", text, part).WithHint(hint)
		}
		m.weights[i] = w
		sum += w
	}
	if sum == 0 {
		return Method{}, seaworthy.Errorf(seaworthy.Usage, "grading as %q: all weights are 0", text).WithHint(hint)
	}
	return m, nil
}

// String returns the method's name, with its weights.
func (m Method) String() string {
	if !m.daggerboard {
		return "seaworthy"
	}
	text := "daggerboard="
	for i, w := range m.weights {
		if i > 0 {
			text += ","
		}
		text += trim(w)
	}
	return text
}

// severityPoints is what a finding costs before anything else is known of it.
var severityPoints = map[seaworthy.Severity]float64{
	seaworthy.SeverityCritical: 40, seaworthy.SeverityHigh: 10, seaworthy.SeverityMedium: 3,
	seaworthy.SeverityLow: 1, seaworthy.SeverityUnknown: 3,
}

// The rest of the scale; the package doc says it in words.
const (
	kevFactor        = 2.0
	epssFactor       = 1.5
	epssFrom         = 0.1
	unfixableFactor  = 0.5
	notRuntimeFactor = 0.25
	deniedPoints     = 10.0
)

var bands = []struct {
	letter string
	below  float64
}{{"A", 10}, {"B", 40}, {"C", 120}, {"D", 400}, {"F", math.Inf(1)}}

var daggerboardBands = []struct {
	letter string
	below  float64
}{{"A", 2}, {"B", 4}, {"C", 6}, {"D", 8}, {"F", math.Inf(1)}}

// worstFirst are the severities in the order in which people read them.
var worstFirst = []seaworthy.Severity{
	seaworthy.SeverityCritical, seaworthy.SeverityHigh, seaworthy.SeverityMedium, seaworthy.SeverityLow,
	seaworthy.SeverityNegligible, seaworthy.SeverityUnknown,
}

// Points returns what one finding costs by our own method.
func Points(f *seaworthy.Finding) float64 {
	if f.Suppressed != nil {
		return 0
	}
	p := severityPoints[f.Severity]
	switch {
	case f.KEV != nil:
		p *= kevFactor
	case f.EPSS != nil && f.EPSS.Probability >= epssFrom:
		p *= epssFactor
	}
	if !f.Fixable() {
		p *= unfixableFactor
	}
	if !neededAtRuntime(f.Scope) {
		p *= notRuntimeFactor
	}
	return p
}

func neededAtRuntime(s seaworthy.Scope) bool {
	return s != seaworthy.Development && s != seaworthy.Build && s != seaworthy.Test
}

// grade computes the letter over findings that each count once.
func (m Method) grade(findings []seaworthy.Finding, denied int) Grade {
	if m.daggerboard {
		return m.gradeAsDaggerBoard(findings)
	}
	g := Grade{Method: m.String(), Why: []string{}, Caveats: []string{}}
	type part struct {
		points float64
		n      int
	}
	parts := map[seaworthy.Severity]*part{}
	exploited := 0
	for i := range findings {
		f := &findings[i]
		p := parts[f.Severity]
		if p == nil {
			p = &part{}
			parts[f.Severity] = p
		}
		p.n++
		p.points += Points(f)
		if f.KEV != nil {
			exploited++
		}
	}
	for _, s := range worstFirst {
		if p := parts[s]; p != nil {
			g.Points += p.points
			g.Why = append(g.Why, fmt.Sprintf("%d %s: %s points", p.n, s, trim(p.points)))
		}
	}
	if denied > 0 {
		g.Points += float64(denied) * deniedPoints
		g.Why = append(g.Why, fmt.Sprintf("%s denied: %s points", console.Count(denied, "licence"), trim(float64(denied)*deniedPoints)))
	}
	g.Points = math.Round(g.Points*100) / 100
	for _, b := range bands {
		if g.Points < b.below {
			g.Letter = b.letter
			break
		}
	}
	if exploited > 0 {
		g.Why = append(g.Why, fmt.Sprintf("%d known to be exploited: no better than D", exploited))
		g.Letter = max(g.Letter, "D")
	}
	if len(g.Why) == 0 {
		g.Why = append(g.Why, "nothing was found: 0 points")
	}
	return g
}

func (m Method) gradeAsDaggerBoard(findings []seaworthy.Finding) Grade {
	g := Grade{Method: m.String(), Why: []string{}, Caveats: []string{}}
	total, sum := 0.0, 0.0
	for i, w := range m.weights {
		n := 0
		for j := range findings {
			if findings[j].Severity == worstFirst[i] {
				n++
			}
		}
		sum += w
		total += w * float64(n)
		g.Why = append(g.Why, fmt.Sprintf("%d %s × %s = %s", n, worstFirst[i], trim(w), trim(w*float64(n))))
	}
	g.Points = math.Round(total/sum*100) / 100
	for _, b := range daggerboardBands {
		if total/sum < b.below {
			g.Letter = b.letter
			break
		}
	}
	g.Why = append(g.Why, fmt.Sprintf("together %s, over %s", trim(total), trim(sum)))
	return g
}

// distinct drops findings of the same vulnerability in the same package version.
func distinct(findings []seaworthy.Finding) []seaworthy.Finding {
	type key struct{ id, pkg, version string }
	seen := make(map[key]bool, len(findings))
	return slices.DeleteFunc(slices.Clone(findings), func(f seaworthy.Finding) bool {
		k := key{f.ID, f.Package, f.Version}
		twice := seen[k]
		seen[k] = true
		return twice
	})
}

// trim writes a number without needless zeros.
func trim(n float64) string { return strconv.FormatFloat(math.Round(n*100)/100, 'f', -1, 64) }
