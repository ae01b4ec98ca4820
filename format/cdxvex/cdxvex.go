// Package cdxvex reads what a CycloneDX JSON document says about vulnerabilities: the analyses in
// vulnerabilities[] (CycloneDX 1.4 to 1.7). Everything else in it is left to the reader of bills.
package cdxvex

import (
	"bytes"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seaworthy-dev/seaworthy"
)

// MaxBytes is the largest document that is read: 256 MiB.
const MaxBytes = 256 << 20

// maxDepth bounds how deep components are nested.
const maxDepth = 64

// Document is the part of a CycloneDX document that is about vulnerabilities.
type Document struct {
	Serial    string
	Timestamp time.Time // zero when not said
	Author    string
	// PURLs are the purls of the document's components by bom-ref, metadata.component included.
	PURLs           map[string]string
	Vulnerabilities []Vulnerability
}

// Vulnerability is one with an analysis.
type Vulnerability struct {
	ID      string
	Aliases []string // references[].id
	State   string   // as written: exploitable, in_triage, not_affected …
	// Status is the State in OpenVEX's words: false_positive is not_affected, resolved is fixed, in_triage is
	// under_investigation, exploitable is affected.
	Status        seaworthy.Status
	Justification string // as written: code_not_reachable …
	Detail        string
	Updated       time.Time // lastUpdated, else firstIssued of the analysis, else updated of the vulnerability
	Affects       []Affects
}

// Affects is one component that a vulnerability is about.
type Affects struct {
	Ref      string // bom-ref, or a BOM-Link
	Versions []Version
}

// Version is an exact version with its status: affected, unaffected or unknown. Ranges are kept apart.
type Version struct {
	Version string `json:"version"`
	Range   string `json:"range"`
	Status  string `json:"status"` // "" means affected
}

var states = map[string]seaworthy.Status{
	"resolved": seaworthy.FixedStatus, "resolved_with_pedigree": seaworthy.FixedStatus,
	"exploitable": seaworthy.Affected, "in_triage": seaworthy.UnderInvestigation,
	"false_positive": seaworthy.NotAffected, "not_affected": seaworthy.NotAffected,
}

type component struct {
	Ref        string      `json:"bom-ref"`
	PURL       string      `json:"purl"`
	Name       string      `json:"name"`
	Components []component `json:"components"`
}

// Is reports whether a file looks like a CycloneDX JSON document.
func Is(head []byte) bool {
	return bytes.Contains(head, []byte(`"bomFormat"`)) && bytes.Contains(head, []byte(`"CycloneDX"`))
}

// Parse reads a document. A vulnerability without analysis state is left out. Errors: Invalid, TooLarge.
func Parse(b []byte) (*Document, error) {
	if len(b) > MaxBytes {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "parsing CycloneDX VEX: %d bytes are over the limit of %d", len(b), MaxBytes)
	}
	var in struct {
		Format   string `json:"bomFormat"`
		Serial   string `json:"serialNumber"`
		Metadata struct {
			Timestamp string `json:"timestamp"`
			Authors   []struct {
				Name string `json:"name"`
			} `json:"authors"`
			Supplier struct {
				Name string `json:"name"`
			} `json:"supplier"`
			Component component `json:"component"`
		} `json:"metadata"`
		Components      []component `json:"components"`
		Vulnerabilities []struct {
			ID         string `json:"id"`
			Updated    string `json:"updated"`
			References []struct {
				ID string `json:"id"`
			} `json:"references"`
			Analysis struct {
				State         string `json:"state"`
				Justification string `json:"justification"`
				Detail        string `json:"detail"`
				FirstIssued   string `json:"firstIssued"`
				LastUpdated   string `json:"lastUpdated"`
			} `json:"analysis"`
			Affects []struct {
				Ref      string    `json:"ref"`
				Versions []Version `json:"versions"`
			} `json:"affects"`
		} `json:"vulnerabilities"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "parsing CycloneDX VEX: %w", err)
	}
	if in.Format != "CycloneDX" {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "parsing CycloneDX VEX: bomFormat is %.32q, want CycloneDX", in.Format)
	}
	d := &Document{Serial: in.Serial, Timestamp: firstTime(in.Metadata.Timestamp), Author: in.Metadata.Supplier.Name, PURLs: map[string]string{}}
	if len(in.Metadata.Authors) > 0 {
		d.Author = in.Metadata.Authors[0].Name
	}
	if err := d.addPURLs(append(in.Components, in.Metadata.Component)); err != nil {
		return nil, err
	}
	for _, v := range in.Vulnerabilities {
		if v.Analysis.State == "" {
			continue
		}
		status, ok := states[v.Analysis.State]
		if !ok || v.ID == "" {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "parsing CycloneDX VEX: vulnerability %.64q has state %.64q", v.ID, v.Analysis.State)
		}
		out := Vulnerability{
			ID: v.ID, State: v.Analysis.State, Status: status, Justification: v.Analysis.Justification,
			Detail:  v.Analysis.Detail,
			Updated: firstTime(v.Analysis.LastUpdated, v.Analysis.FirstIssued, v.Updated, in.Metadata.Timestamp),
		}
		for _, r := range v.References {
			if r.ID != "" && r.ID != v.ID {
				out.Aliases = append(out.Aliases, r.ID)
			}
		}
		for _, a := range v.Affects {
			out.Affects = append(out.Affects, Affects{Ref: a.Ref, Versions: a.Versions})
		}
		d.Vulnerabilities = append(d.Vulnerabilities, out)
	}
	return d, nil
}

// addPURLs walks the tree of components, level by level.
func (d *Document) addPURLs(level []component) error {
	for depth := 0; len(level) > 0; depth++ {
		if depth == maxDepth {
			return seaworthy.Errorf(seaworthy.TooLarge, "parsing CycloneDX VEX: components are nested deeper than %d", maxDepth)
		}
		var next []component
		for _, c := range level {
			if c.Ref != "" && c.PURL != "" {
				d.PURLs[c.Ref] = c.PURL
			}
			next = append(next, c.Components...)
		}
		level = next
	}
	return nil
}

// firstTime returns the first of the times that can be read.
func firstTime(list ...string) time.Time {
	for _, s := range list {
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
