// Package osv reads vulnerability records in the OSV schema (ossf.github.io/osv-schema, 1.7), as JSON or YAML.
//
// Go, PyPI, GitHub, RustSec and most distributions publish in this form. ParseJSON and ParseYAML give one
// Record; the package never compares versions and never fetches anything.
package osv

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"go.yaml.in/yaml/v3"

	"github.com/seaworthy-dev/seaworthy"
)

// MaxRecordBytes is the largest record that is read: 16 MiB. The largest published ones (the Linux kernel,
// with every version listed) are about 4 MiB.
const MaxRecordBytes = 16 << 20

// MaxIDBytes is the longest advisory name or alias: 256 bytes.
const MaxIDBytes = 256

// Record is one advisory. Unknown fields are ignored, as the schema asks.
type Record struct {
	SchemaVersion string      `json:"schema_version" yaml:"schema_version"`
	ID            string      `json:"id" yaml:"id"`
	Modified      string      `json:"modified" yaml:"modified"`   // RFC 3339; read with Time
	Published     string      `json:"published" yaml:"published"` // RFC 3339
	Withdrawn     string      `json:"withdrawn" yaml:"withdrawn"` // RFC 3339; not empty: the record does not count
	Aliases       []string    `json:"aliases" yaml:"aliases"`     // other names of the same vulnerability
	Upstream      []string    `json:"upstream" yaml:"upstream"`   // what a distribution's record is about
	Related       []string    `json:"related" yaml:"related"`     // similar, not the same
	Summary       string      `json:"summary" yaml:"summary"`
	Details       string      `json:"details" yaml:"details"` // CommonMark
	Severity      []Severity  `json:"severity" yaml:"severity"`
	Affected      []Affected  `json:"affected" yaml:"affected"`
	References    []Reference `json:"references" yaml:"references"`
	Database      Specific    `json:"database_specific" yaml:"database_specific"`
}

// Severity is a rating: Type CVSS_V2, CVSS_V3, CVSS_V4 with a vector, or Ubuntu with a word.
type Severity struct {
	Type  string `json:"type" yaml:"type"`
	Score string `json:"score" yaml:"score"`
}

// Affected is one package that the advisory speaks of.
type Affected struct {
	Package   Package    `json:"package" yaml:"package"`
	Severity  []Severity `json:"severity" yaml:"severity"` // instead of the record's
	Ranges    []Range    `json:"ranges" yaml:"ranges"`
	Versions  []string   `json:"versions" yaml:"versions"` // each is affected, whatever the ranges say
	Ecosystem Specific   `json:"ecosystem_specific" yaml:"ecosystem_specific"`
	Database  Specific   `json:"database_specific" yaml:"database_specific"`
}

// Package names a package; Ecosystem may carry a release after a colon ("Debian:12").
type Package struct {
	Ecosystem string `json:"ecosystem" yaml:"ecosystem"`
	Name      string `json:"name" yaml:"name"`
	PURL      string `json:"purl" yaml:"purl"`
}

// Range is a set of versions told by events. Type is SEMVER, ECOSYSTEM or GIT.
type Range struct {
	Type   string  `json:"type" yaml:"type"`
	Repo   string  `json:"repo" yaml:"repo"`
	Events []Event `json:"events" yaml:"events"`
}

// Event is one point of a Range; exactly one field is set. Introduced "0" is before every version.
type Event struct {
	Introduced   string `json:"introduced" yaml:"introduced"`
	Fixed        string `json:"fixed" yaml:"fixed"`
	LastAffected string `json:"last_affected" yaml:"last_affected"`
	Limit        string `json:"limit" yaml:"limit"`
}

// Reference is a link. Type is ADVISORY, ARTICLE, FIX, PACKAGE, REPORT, WEB …
type Reference struct {
	Type string `json:"type" yaml:"type"`
	URL  string `json:"url" yaml:"url"`
}

// Specific holds the few words we use of the free-form objects *_specific. A field of another type counts as
// absent.
type Specific struct {
	Severity string // GitHub: CRITICAL, HIGH, MODERATE, LOW
	Urgency  string // Debian: unimportant, low, medium, high, end-of-life, not yet assigned
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Specific) UnmarshalJSON(b []byte) error {
	var raw struct {
		Severity any `json:"severity"`
		Urgency  any `json:"urgency"`
		Priority any `json:"ubuntu_priority"`
	}
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	s.Severity, _ = raw.Severity.(string)
	s.Urgency, _ = raw.Urgency.(string)
	if s.Severity == "" {
		s.Severity, _ = raw.Priority.(string)
	}
	return nil
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *Specific) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i+1].Kind != yaml.ScalarNode {
			continue
		}
		switch n.Content[i].Value {
		case "severity":
			s.Severity = n.Content[i+1].Value
		case "urgency":
			s.Urgency = n.Content[i+1].Value
		}
	}
	return nil
}

// ParseJSON reads one record. Errors: Invalid, TooLarge.
func ParseJSON(b []byte) (*Record, error) {
	if len(b) > MaxRecordBytes {
		return nil, tooLarge(len(b))
	}
	r := new(Record)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "parsing OSV record: %w", err)
	}
	return r, r.check()
}

// ParseYAML reads one record. Aliases of YAML are followed within the limits of the library, which refuses
// documents that grow by them. Errors: Invalid, TooLarge.
func ParseYAML(b []byte) (r *Record, err error) {
	if len(b) > MaxRecordBytes {
		return nil, tooLarge(len(b))
	}
	r = new(Record)
	if err := yaml.Unmarshal(b, r); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "parsing OSV record: %w", err)
	}
	return r, r.check()
}

func tooLarge(n int) error {
	return seaworthy.Errorf(seaworthy.TooLarge, "parsing OSV record: %d bytes are over the limit of %d", n, MaxRecordBytes)
}

// check refuses what would make matching say something false: no name, or an event that says two things.
func (r *Record) check() error {
	if r.ID == "" {
		return seaworthy.Errorf(seaworthy.Invalid, "parsing OSV record: it has no id")
	}
	for _, list := range [][]string{{r.ID}, r.Aliases, r.Upstream, r.Related} {
		for _, id := range list {
			if len(id) > MaxIDBytes {
				return seaworthy.Errorf(seaworthy.Invalid, "parsing OSV record %.32q: an id of %d bytes", r.ID, len(id))
			}
		}
	}
	for _, list := range []string{r.Modified, r.Published, r.Withdrawn} {
		if list == "" {
			continue
		}
		if _, err := Time(list); err != nil {
			return seaworthy.Wrap(err, seaworthy.Invalid, "parsing OSV record %q", r.ID)
		}
	}
	for i := range r.Affected {
		for _, rng := range r.Affected[i].Ranges {
			for _, e := range rng.Events {
				if e.fields() != 1 {
					return seaworthy.Errorf(seaworthy.Invalid, "parsing OSV record %q: affected %d has an event with %d fields, want 1", r.ID, i, e.fields())
				}
			}
		}
	}
	return nil
}

func (e Event) fields() (n int) {
	for _, s := range []string{e.Introduced, e.Fixed, e.LastAffected, e.Limit} {
		if s != "" {
			n++
		}
	}
	return n
}

// Time reads a time of a record. Errors: Invalid.
func Time(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", time.DateOnly} {
		if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, seaworthy.Errorf(seaworthy.Invalid, "%.64q is not a time", s)
}
