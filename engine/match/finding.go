package match

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
)

// vulnerability is what is the same for every package that a group of advisories hits.
type vulnerability struct {
	id      string
	aliases []string
	bundle  bool
	summary string
	urls    []string
	ratings []advisory.Rating // of all records, for packages whose own advisory does not rate
	records map[int]*advisory.Record
	epss    *seaworthy.EPSS
	kev     *seaworthy.KEV
}

// maxURLs is how many links a finding carries.
const maxURLs = 16

// vulnerability returns what is known of a group, once.
func (m *matcher) vulnerability(group int, hits []hit) (*vulnerability, error) {
	v, ok := m.groups[group]
	if !ok {
		g, err := m.db.Group(group)
		if err != nil {
			return nil, err
		}
		v = &vulnerability{id: g.ID, aliases: g.Aliases, records: map[int]*advisory.Record{}}
		for _, r := range g.Records {
			v.records[r.Number] = r
			v.bundle = v.bundle || r.Bundle
			v.ratings = append(v.ratings, r.Ratings...)
			if v.summary == "" {
				v.summary = r.Summary
			}
			for _, u := range r.URLs {
				if len(v.urls) < maxURLs && !slices.Contains(v.urls, u.URL) {
					v.urls = append(v.urls, u.URL)
				}
			}
		}
		if err := m.facts(v); err != nil {
			return nil, err
		}
		m.groups[group] = v
	}
	for _, h := range hits { // a damaged database may say that a record is in a group that does not list it
		if v.records[h.record] == nil {
			return nil, seaworthy.Errorf(seaworthy.Mismatch, "advisory database is damaged: a record is not in its group").
				WithHint("make it again with seaworthy advisories build")
		}
	}
	return v, nil
}

// facts adds KEV and the highest EPSS of the group's names.
func (m *matcher) facts(v *vulnerability) error {
	for _, name := range append([]string{v.id}, v.aliases...) {
		if !strings.HasPrefix(name, "CVE-") {
			continue
		}
		kev, err := m.db.KEV(name)
		if err != nil {
			return err
		}
		if kev != nil && (v.kev == nil || kev.Ransomware && !v.kev.Ransomware) {
			v.kev = kev
		}
		epss, err := m.db.EPSS(name)
		if err != nil {
			return err
		}
		if epss != nil && (v.epss == nil || epss.Probability > v.epss.Probability) {
			v.epss = epss
		}
	}
	return nil
}

// report turns the hits on one package into findings, one for each vulnerability.
func (m *matcher) report(p *seaworthy.Package, t target, hits []hit) error {
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(a.group, b.group) })
	var findings []seaworthy.Finding
	var bundles []bool
	for len(hits) > 0 {
		n := 1
		for n < len(hits) && hits[n].group == hits[0].group {
			n++
		}
		v, err := m.vulnerability(hits[0].group, hits[:n])
		if err != nil {
			return err
		}
		findings = append(findings, m.finding(p, t, v, hits[:n]))
		bundles = append(bundles, v.bundle)
		hits = hits[n:]
	}
	folded := make([]bool, len(findings))
	for i := range findings {
		folded[i] = bundles[i] && foldBundle(&findings[i], findings, bundles)
	}
	for i := range findings {
		if folded[i] {
			continue
		}
		f := findings[i]
		m.vex.apply(&f, bundles[i], p)
		if f.Suppressed != nil {
			m.result.Suppressed = append(m.result.Suppressed, f)
		} else {
			m.result.Findings = append(m.result.Findings, f)
		}
	}
	return nil
}

// foldBundle adds a notice about several CVEs to the findings of those CVEs, when each has one of its own.
func foldBundle(bundle *seaworthy.Finding, all []seaworthy.Finding, bundles []bool) bool {
	var homes []int
	for _, name := range bundle.Aliases {
		if !strings.HasPrefix(name, "CVE-") {
			continue
		}
		home := -1
		for i := range all {
			if !bundles[i] && (all[i].ID == name || slices.Contains(all[i].Aliases, name)) {
				home = i
			}
		}
		if home < 0 {
			return false
		}
		homes = append(homes, home)
	}
	for _, home := range slices.Compact(homes) {
		all[home].Sources = append(all[home].Sources, bundle.Sources...)
	}
	return len(homes) > 0
}

// homeDatabases are the databases kept by an ecosystem's own people: their ranges decide over others.
var homeDatabases = map[string]string{"Go": "GO-", "PyPI": "PYSEC-", "crates.io": "RUSTSEC-"}

// finding puts one finding together. The first of the hits after sorting decides.
func (m *matcher) finding(p *seaworthy.Package, t target, v *vulnerability, hits []hit) seaworthy.Finding {
	home := homeDatabases[t.ecosystems[0]]
	rank := func(h hit) int {
		if home != "" && strings.HasPrefix(v.records[h.record].ID, home) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.record, b.record)) })
	first := hits[0]
	f := seaworthy.Finding{
		ID: v.id, Aliases: v.aliases, Package: label(p), Name: p.Name, Version: p.Version, Ecosystem: ecosystemOf(p),
		Fixed: first.fixed, Fix: seaworthy.FixNone, Range: first.rng, EPSS: v.epss, KEV: v.kev,
		Ref: p.Ref, Evidence: p.Evidence, Direct: p.Direct, Scope: p.Scope,
		Licence: cmp.Or(p.Licences.Concluded, p.Licences.Declared), Status: seaworthy.Affected,
		Summary: cmp.Or(v.records[first.record].Summary, v.summary), Notes: first.notes, URLs: v.urls,
	}
	for _, h := range hits {
		if f.Fixed == "" {
			f.Fixed = h.fixed
		}
		r := v.records[h.record]
		f.Sources = append(f.Sources, seaworthy.FindingSource{ID: r.ID, Source: r.Source, Range: h.rng, Fixed: h.fixed})
	}
	switch {
	case f.Fixed != "":
		f.Fix = seaworthy.FixAvailable
	case first.fix != "":
		f.Fix = first.fix
	}
	own := append(slices.Clone(first.ratings), v.records[first.record].Ratings...)
	f.Severity, f.Vector, f.Score = rate(own, v.ratings)
	f.Risk = risk(&f, own, v.ratings)
	if m.why == nil {
		m.why = newPaths(m.bill)
	}
	f.Via = m.why.to(p.Ref)
	return f
}

// rate chooses what to show: the newest CVSS of the deciding advisory, else its word, else the same of the
// other advisories of the vulnerability. A word decides over another's vector, which is still shown.
func rate(own, others []advisory.Rating) (severity seaworthy.Severity, vector string, score float64) {
	best := func(list []advisory.Rating) *advisory.Rating {
		var out *advisory.Rating
		for i := range list {
			if r := &list[i]; r.Type != "WORD" && (out == nil || r.Type > out.Type) {
				out = r
			}
		}
		return out
	}
	word := func(list []advisory.Rating) *advisory.Rating {
		if i := slices.IndexFunc(list, func(r advisory.Rating) bool { return r.Type == "WORD" }); i >= 0 {
			return &list[i]
		}
		return nil
	}
	shown := cmp.Or(best(own), best(others))
	if shown != nil {
		vector, score = shown.Text, shown.Score
	}
	if r := cmp.Or(best(own), word(own), best(others), word(others)); r != nil {
		severity = r.Severity
	}
	return severity, vector, score
}

// severityValue is the value of a severity word in the risk score: the middle of its CVSS range over 10.
var severityValue = map[seaworthy.Severity]float64{
	seaworthy.SeverityUnknown: 0.5, seaworthy.SeverityNegligible: 0.05, seaworthy.SeverityLow: 0.3,
	seaworthy.SeverityMedium: 0.5, seaworthy.SeverityHigh: 0.75, seaworthy.SeverityCritical: 0.9,
}

// risk computes the score described in the package doc, to two decimals.
func risk(f *seaworthy.Finding, own, others []advisory.Rating) float64 {
	threat, emphasis := 0.0, 1.0
	switch {
	case f.KEV != nil && f.KEV.Ransomware:
		threat, emphasis = 1, 1.1
	case f.KEV != nil:
		threat, emphasis = 1, 1.05
	case f.EPSS != nil:
		threat = f.EPSS.Probability
	}
	severity := severityValue[f.Severity]
	sum, n := 0.0, 0
	for _, list := range [][]advisory.Rating{own, others} {
		for _, r := range list {
			if r.Type != "WORD" {
				sum += r.Score
				n++
			}
		}
		if n > 0 {
			break
		}
	}
	if n > 0 {
		severity = (severity + sum/float64(n)/10) / 2
	}
	return math.Round(min(threat*severity*emphasis, 1)*10000) / 100
}
