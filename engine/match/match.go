// Package match joins packages with advisories: which of the packages of a bill are ones that an advisory speaks
// of, why they are there, and how much it matters.
//
//	result, err := match.Packages(ctx, db, bill, match.Options{VEX: statements})
//
// # Who decides
//
// A deb, rpm or apk is judged by the advisories of its own distribution release only, under the name and version
// of its source package (rpm: its own name too, since some distributions publish by it). Every other package is
// judged by its ecosystem's advisories, unless a distribution package installed it (CoveredBy): then the
// distribution's word counts and it is not looked at by itself. Nothing is matched by name across ecosystems,
// and nothing by CPE.
//
// Versions are compared as the OSV schema says ("Evaluation"): a version is affected when it is listed, or when
// the events of a range leave it so. Order is that of github.com/google/osv-scalibr/semantic. What has no order
// there, or is no version, is told in Result.NotCompared and never guessed.
//
// # Risk
//
// Risk is Grype's score, 0 to 100: threat × severity × emphasis × 100, at most 100. Threat is 1 for what is in
// KEV, else the EPSS probability, else 0. Severity is the mean of the severity word's value (negligible 0.05,
// low 0.3, medium and unknown 0.5, high 0.75, critical 0.9) and the mean CVSS base score over 10; the word's
// alone where there is no vector. Emphasis is 1.1 for KEV with known ransomware use, 1.05 for other KEV, else 1.
package match

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
)

// Options change what Packages does. The zero value is sensible.
type Options struct {
	// VEX are statements that may take findings away; see Statement for which one wins.
	VEX []Statement
}

// Result is what was found, and what could not be looked at. Lists are never nil and always sorted.
type Result struct {
	Findings   []seaworthy.Finding `json:"findings"`   // worst risk first
	Suppressed []seaworthy.Finding `json:"suppressed"` // taken away by VEX, each with its reason
	// NotCompared are packages for which an advisory could not be judged.
	NotCompared []NotCompared `json:"notCompared"`
	// NotCovered are ecosystems and distributions for which the database has no advisories at all.
	NotCovered []NotCovered `json:"notCovered"`
	Packages   int          `json:"packages"`  // in the bill
	Compared   int          `json:"compared"`  // looked up in the database
	CoveredBy  int          `json:"coveredBy"` // judged by the distribution that installed them
}

// NotCompared is a package that could not be judged.
type NotCompared struct {
	Package  string `json:"package"` // purl, else name
	Ref      string `json:"ref,omitempty"`
	Advisory string `json:"advisory,omitempty"` // "" for all of them
	Reason   string `json:"reason"`
}

// NotCovered is an ecosystem or distribution without advisories.
type NotCovered struct {
	Name     string `json:"name"` // npm, debian-12
	Packages int    `json:"packages"`
	Reason   string `json:"reason"`
}

// Packages matches the packages of a bill. Cost is a look-up a package; memory is that of the findings.
// Errors: Mismatch (a damaged database), Interrupted.
func Packages(ctx context.Context, db *advisory.DB, bill *seaworthy.Bill, opts Options) (Result, error) {
	m := newMatcher(db, bill, opts)
	for i := range bill.Packages {
		if i%64 == 0 && ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
		if err := m.one(&bill.Packages[i]); err != nil {
			return Result{}, seaworthy.Wrap(err, seaworthy.Mismatch, "matching %q", bill.Packages[i].Name)
		}
	}
	return m.finish(), nil
}

// matcher is one run.
type matcher struct {
	db         *advisory.DB
	bill       *seaworthy.Bill
	ecosystems []string            // of the database
	distros    map[string][]string // ecosystems for a distribution, cached
	groups     map[int]*vulnerability
	vex        *vexIndex
	why        *paths // built when the first finding asks
	uncovered  map[string]int
	result     Result
}

func newMatcher(db *advisory.DB, bill *seaworthy.Bill, opts Options) *matcher {
	m := &matcher{
		db: db, bill: bill, distros: map[string][]string{}, groups: map[int]*vulnerability{}, uncovered: map[string]int{},
		result: Result{
			Findings: []seaworthy.Finding{}, Suppressed: []seaworthy.Finding{}, NotCompared: []NotCompared{},
			NotCovered: []NotCovered{}, Packages: len(bill.Packages),
		},
	}
	for _, e := range db.Ecosystems() {
		m.ecosystems = append(m.ecosystems, e.Name)
	}
	m.vex = newVEXIndex(opts.VEX, bill)
	return m
}

// hit is one advisory that says that a package is affected.
type hit struct {
	record  int
	group   int
	rng     string
	fixed   string
	fix     seaworthy.Fix
	notes   []string
	ratings []advisory.Rating
}

// one matches one package.
func (m *matcher) one(p *seaworthy.Package) error {
	if p.CoveredBy != "" && !isDistro(ecosystemOf(p)) {
		m.result.CoveredBy++
		return nil
	}
	t, ok := m.target(p)
	if !ok {
		return nil
	}
	if t.uncovered != "" {
		m.uncovered[t.uncovered]++
		return nil
	}
	m.result.Compared++
	var hits []hit
	seen := map[[2]string]bool{}
	for _, q := range t.queries {
		for _, ecosystem := range t.ecosystems {
			if key := [2]string{ecosystem, q.name}; len(t.queries)*len(t.ecosystems) > 1 && seen[key] {
				continue
			} else if len(t.queries)*len(t.ecosystems) > 1 {
				seen[key] = true
			}
			found, err := m.query(p, ecosystem, q)
			if err != nil {
				return err
			}
			hits = append(hits, found...)
		}
	}
	if len(hits) == 0 {
		return nil
	}
	return m.report(p, t, hits)
}

// query compares one name and version with what the database says of it.
func (m *matcher) query(p *seaworthy.Package, ecosystem string, q query) ([]hit, error) {
	list, err := m.db.Lookup(ecosystem, q.name)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	v, reason := newVersion(ecosystem, q.version)
	if reason != "" {
		m.notCompared(p, "", reason)
		return nil, nil
	}
	var hits []hit
	for i := range list {
		a := &list[i]
		verdict, err := v.affected(a)
		if err != nil {
			return nil, err
		}
		if verdict.reason != "" {
			r, err := m.db.Record(a.Record)
			if err != nil {
				return nil, err
			}
			m.notCompared(p, r.ID, verdict.reason)
		}
		if !verdict.affected {
			continue
		}
		group, err := m.db.GroupOf(a.Record)
		if err != nil {
			return nil, err
		}
		hits = append(hits, hit{
			record: a.Record, group: group, rng: verdict.rng, fixed: verdict.fixed, fix: a.Fix, notes: a.Notes, ratings: a.Ratings,
		})
	}
	return hits, nil
}

func (m *matcher) notCompared(p *seaworthy.Package, advisory, reason string) {
	m.result.NotCompared = append(m.result.NotCompared, NotCompared{Package: label(p), Ref: p.Ref, Advisory: advisory, Reason: reason})
}

// label names a package for people: its purl, else its name.
func label(p *seaworthy.Package) string {
	if p.PURL != "" {
		return p.PURL
	}
	return p.Name
}

// finish sorts the result.
func (m *matcher) finish() Result {
	for name, n := range m.uncovered {
		m.result.NotCovered = append(m.result.NotCovered, NotCovered{
			Name: name, Packages: n, Reason: "no advisories for " + name + " in this database",
		})
	}
	slices.SortFunc(m.result.NotCovered, func(a, b NotCovered) int { return strings.Compare(a.Name, b.Name) })
	slices.SortStableFunc(m.result.NotCompared, func(a, b NotCompared) int {
		return cmp.Or(strings.Compare(a.Package, b.Package), strings.Compare(a.Ref, b.Ref), strings.Compare(a.Advisory, b.Advisory))
	})
	m.result.NotCompared = slices.Compact(m.result.NotCompared)
	for _, list := range [][]seaworthy.Finding{m.result.Findings, m.result.Suppressed} {
		slices.SortStableFunc(list, func(a, b seaworthy.Finding) int {
			return cmp.Or(cmp.Compare(b.Risk, a.Risk), cmp.Compare(b.Severity, a.Severity), strings.Compare(a.ID, b.ID),
				strings.Compare(a.Package, b.Package), strings.Compare(a.Ref, b.Ref))
		})
	}
	return m.result
}
