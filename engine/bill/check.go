package bill

import (
	"sort"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/licence"
)

// Standard is a list of elements that a bill must have.
type Standard string

// The standards that Grade knows.
const (
	// NTIA is "The Minimum Elements For a Software Bill of Materials", NTIA, July 2021.
	NTIA Standard = "ntia"
	// CISA2025 is the draft "2025 Minimum Elements for a Software Bill of Materials", CISA, August 2025.
	CISA2025 Standard = "cisa2025"
)

// Standards lists the standards by name.
func Standards() []Standard { return []Standard{NTIA, CISA2025} }

// Grade is how a bill does against a standard.
type Grade struct {
	Standard Standard `json:"standard"`
	// Score is the share of required values that are there, in percent, rounded down: 100 means none is
	// missing. Each element counts alike, whether of the bill or of all its components.
	Score      int       `json:"score"`
	Components int       `json:"components"` // layers and files are structure and do not count
	Elements   []Element `json:"elements"`
	Gaps       []Gap     `json:"gaps,omitempty"` // of components, sorted by name
}

// Element is one thing a standard asks for.
type Element struct {
	Name string `json:"element"`
	// OfBill says that the element is of the bill as a whole; else of every component.
	OfBill bool `json:"ofBill,omitempty"`
	Have   int  `json:"have"`
	Want   int  `json:"want"`
}

// Gap is what one component lacks.
type Gap struct {
	Ref     string   `json:"ref"`
	Name    string   `json:"name"`
	Version string   `json:"version,omitempty"`
	Missing []string `json:"missing"`
}

// requirement is an element and how it is recognised.
type requirement struct {
	name      string
	standards []Standard
	bill      func(*seaworthy.Bill) bool
	component func(*graph, *seaworthy.Package) bool
}

// requirements lists the elements of all standards, in the order of CISA's draft.
var requirements = []requirement{
	{name: "author of the bill", standards: []Standard{NTIA, CISA2025}, bill: func(b *seaworthy.Bill) bool { return len(b.Authors) > 0 || len(b.Tools) > 0 }},
	{name: "timestamp", standards: []Standard{NTIA, CISA2025}, bill: func(b *seaworthy.Bill) bool { return !b.Created.IsZero() }},
	{name: "tool name", standards: []Standard{CISA2025}, bill: func(b *seaworthy.Bill) bool { return len(b.Tools) > 0 }},
	{name: "generation context", standards: []Standard{CISA2025}, bill: func(b *seaworthy.Bill) bool { return b.Context != "" }},
	{name: "supplier", standards: []Standard{NTIA, CISA2025}, component: func(_ *graph, p *seaworthy.Package) bool {
		return stated(p.Supplier.Name) || stated(p.Originator.Name)
	}},
	{name: "component name", standards: []Standard{NTIA, CISA2025}, component: func(_ *graph, p *seaworthy.Package) bool { return stated(p.Name) }},
	{name: "component version", standards: []Standard{NTIA, CISA2025}, component: func(_ *graph, p *seaworthy.Package) bool { return stated(p.Version) }},
	{name: "unique identifier", standards: []Standard{NTIA, CISA2025}, component: func(_ *graph, p *seaworthy.Package) bool {
		return p.PURL != "" || len(p.Identifiers) > 0 || p.Role == seaworthy.OS && p.Version != ""
	}},
	{name: "component hash", standards: []Standard{CISA2025}, component: func(_ *graph, p *seaworthy.Package) bool {
		return len(p.Hashes) > 0 || p.Role == seaworthy.OS // an operating system is a name for its packages
	}},
	{name: "licence", standards: []Standard{CISA2025}, component: func(_ *graph, p *seaworthy.Package) bool {
		return stated(p.Licences.Declared) && licence.Valid(p.Licences.Declared) || stated(p.Licences.Concluded) || p.Role == seaworthy.OS || p.Role == seaworthy.Container
	}},
	{name: "dependency relationship", standards: []Standard{NTIA, CISA2025}, component: func(g *graph, p *seaworthy.Package) bool { return g.related[p.Ref] }},
}

// graph is what the relations of a bill say of its components.
type graph struct{ related map[string]bool }

// stated reports a value somebody gave: not empty, not a word for "unknown".
func stated(s string) bool {
	switch strings.ToUpper(strings.TrimSpace(s)) {
	case "", "NOASSERTION", "NONE", "UNKNOWN", "N/A":
		return false
	}
	return true
}

// Check grades a bill. Errors: Usage for a standard it does not know.
func Check(b *seaworthy.Bill, s Standard) (*Grade, error) {
	if s != NTIA && s != CISA2025 {
		return nil, seaworthy.Errorf(seaworthy.Usage, "checking against %q: no such standard", s).WithHint("known are %s and %s", NTIA, CISA2025)
	}
	g := graph{related: map[string]bool{}}
	for _, r := range b.Relations {
		if r.From != r.To {
			g.related[r.From], g.related[r.To] = true, true
		}
	}
	var components []*seaworthy.Package
	for i := range b.Packages {
		if p := &b.Packages[i]; p.Role != seaworthy.Layer && p.Role != seaworthy.FileRole {
			components = append(components, p)
		}
	}
	grade := &Grade{Standard: s, Components: len(components)}
	missing := map[*seaworthy.Package][]string{}
	var share float64
	for _, req := range requirements {
		if !asks(req, s) {
			continue
		}
		e := Element{Name: req.name}
		if req.bill != nil {
			e.OfBill, e.Want = true, 1
			if req.bill(b) {
				e.Have = 1
			}
		} else {
			e.Want = len(components)
			for _, p := range components {
				if req.component(&g, p) {
					e.Have++
				} else {
					missing[p] = append(missing[p], req.name)
				}
			}
		}
		if e.Want > 0 {
			share += float64(e.Have) / float64(e.Want)
		}
		grade.Elements = append(grade.Elements, e)
	}
	grade.Score = int(100*share/float64(len(grade.Elements)) + 1e-9)
	for p, m := range missing {
		grade.Gaps = append(grade.Gaps, Gap{Ref: p.Ref, Name: p.Name, Version: p.Version, Missing: m})
	}
	sort.Slice(grade.Gaps, func(i, j int) bool {
		a, b := grade.Gaps[i], grade.Gaps[j]
		if a.Name != b.Name {
			return a.Name < b.Name
		}
		return a.Ref < b.Ref
	})
	return grade, nil
}

func asks(r requirement, s Standard) bool {
	for _, t := range r.standards {
		if t == s {
			return true
		}
	}
	return false
}
