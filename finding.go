package seaworthy

import "time"

// Severity is how bad a vulnerability is, ordered: a greater value is worse. It is written as a word in JSON.
type Severity int8

// The severities. SeverityUnknown is the zero value: nobody has said.
const (
	SeverityUnknown    Severity = iota
	SeverityNegligible          // CVSS 0.0, or "unimportant" in a distribution's words
	SeverityLow                 // CVSS 0.1–3.9
	SeverityMedium              // CVSS 4.0–6.9
	SeverityHigh                // CVSS 7.0–8.9
	SeverityCritical            // CVSS 9.0–10.0
)

var severityWords = [...]string{"unknown", "negligible", "low", "medium", "high", "critical"}

// String returns the word for s.
func (s Severity) String() string {
	if s < 0 || int(s) >= len(severityWords) {
		return severityWords[0]
	}
	return severityWords[s]
}

// ParseSeverity reads a severity word. Errors: Invalid.
func ParseSeverity(word string) (Severity, error) {
	for i, w := range severityWords {
		if w == word {
			return Severity(i), nil
		}
	}
	return 0, Errorf(Invalid, "parsing severity %q: no such word", word).
		WithHint("the words are unknown, negligible, low, medium, high and critical")
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Errors: Invalid.
func (s *Severity) UnmarshalText(b []byte) (err error) {
	*s, err = ParseSeverity(string(b))
	return err
}

// Finding says that an installed package is one that an advisory speaks of.
type Finding struct {
	// ID is the preferred name of the vulnerability: its CVE where it has one.
	ID      string   `json:"id"`
	Aliases []string `json:"aliases"` // every other name of the same vulnerability, sorted

	Package   string `json:"package"` // purl
	Name      string `json:"name"`
	Version   string `json:"version"` // as installed
	Ecosystem string `json:"ecosystem,omitempty"`
	Fixed     string `json:"fixed,omitempty"` // the first version that is repaired, in the line that is installed
	Fix       Fix    `json:"fix"`
	// Range is the range or list that the installed version fell into: ">=1.57.0 <1.57.1", or "listed".
	Range string `json:"range,omitempty"`

	Severity Severity `json:"severity"`
	Vector   string   `json:"vector,omitempty"` // CVSS, as its source wrote it
	Score    float64  `json:"score,omitempty"`  // CVSS base score, 0–10
	EPSS     *EPSS    `json:"epss,omitempty"`
	KEV      *KEV     `json:"kev,omitempty"`
	Risk     float64  `json:"risk"` // 0–100, see engine/match

	// Ref is the package's Ref in the bill that was matched.
	Ref      string     `json:"ref,omitempty"`
	Evidence []Evidence `json:"evidence,omitempty"` // layer and path where it was found
	// Via is why the package is there: what leads to it from the root of the bill, the package itself last.
	// Each step is a purl, or a name where there is none.
	Via     []string `json:"via,omitempty"`
	Direct  bool     `json:"direct,omitempty"`
	Scope   Scope    `json:"scope,omitempty"`
	Licence string   `json:"licence,omitempty"` // concluded, else declared

	Status     Status      `json:"status"`               // what is known about it here; "affected" unless VEX says otherwise
	Suppressed *Suppressed `json:"suppressed,omitempty"` // set when a VEX statement takes the finding away

	Summary string          `json:"summary,omitempty"`
	Notes   []string        `json:"notes,omitempty"` // facts of the source: "urgency: unimportant", "no-dsa: Minor issue"
	URLs    []string        `json:"urls,omitempty"`
	Sources []FindingSource `json:"sources"` // the advisories that matched, the one that decided first
}

// Fixable reports whether a repaired version is known.
func (f *Finding) Fixable() bool { return f.Fix == FixAvailable }

// Fix says whether a repair exists.
type Fix string

// The states of a repair.
const (
	FixAvailable Fix = "available"
	FixNone      Fix = "none"    // the advisory names no repaired version
	FixDeclined  Fix = "wontfix" // the distribution says that it will not repair it in this release
)

// FindingSource is one advisory that matched.
type FindingSource struct {
	ID     string `json:"id"`     // of the advisory: GO-2023-2153
	Source string `json:"source"` // name of the source in the advisory database
	Range  string `json:"range,omitempty"`
	Fixed  string `json:"fixed,omitempty"`
}

// EPSS is FIRST's estimate that a vulnerability will be exploited within 30 days.
type EPSS struct {
	Probability float64 `json:"probability"` // 0–1
	Percentile  float64 `json:"percentile"`  // 0–1
}

// KEV is an entry in CISA's catalogue of known exploited vulnerabilities.
type KEV struct {
	Added      string `json:"added,omitempty"` // YYYY-MM-DD
	Due        string `json:"due,omitempty"`   // YYYY-MM-DD
	Ransomware bool   `json:"ransomware"`      // known to be used in ransomware campaigns
	Name       string `json:"name,omitempty"`
}

// Status is where an investigation stands, in OpenVEX's words.
type Status string

// The statuses.
const (
	Affected           Status = "affected"
	NotAffected        Status = "not_affected"
	FixedStatus        Status = "fixed"
	UnderInvestigation Status = "under_investigation"
)

// Suppressed says which VEX statement took a finding away, and why that one decided.
type Suppressed struct {
	By            string    `json:"by"` // the VEX document: its id or file name
	Author        string    `json:"author,omitempty"`
	At            time.Time `json:"at,omitzero"`
	Justification string    `json:"justification,omitempty"` // OpenVEX label: component_not_present …
	Impact        string    `json:"impact,omitempty"`        // in the author's words
	Reason        string    `json:"reason"`                  // how the statement matched and what it outranked
}
