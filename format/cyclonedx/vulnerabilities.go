package cyclonedx

import (
	"bufio"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
)

// Vulnerability is an entry of vulnerabilities[], as WriteJSONWith writes it. Empty fields are left out.
type Vulnerability struct {
	ID             string
	Aliases        []string
	Description    string
	Recommendation string
	Severity       string  // critical, high, medium, low, info, none or unknown
	Score          float64 // CVSS base score of Vector
	Vector         string  // CVSS
	URLs           []string
	// State, Justification, Detail and Updated are the analysis; without State there is none.
	State, Justification, Detail string
	Updated                      string   // RFC 3339
	Affects                      []string // Refs of the packages
	Properties                   []seaworthy.Property
}

type (
	wireVulnerability struct {
		ID             string          `json:"id"`
		References     []wireReference `json:"references,omitempty"`
		Ratings        []wireRating    `json:"ratings,omitempty"`
		Description    string          `json:"description,omitempty"`
		Recommendation string          `json:"recommendation,omitempty"`
		Advisories     []wireURL       `json:"advisories,omitempty"`
		Analysis       *wireAnalysis   `json:"analysis,omitempty"`
		Affects        []wireAffected  `json:"affects,omitempty"`
		Properties     []wireNameValue `json:"properties,omitempty"`
	}
	wireReference struct {
		ID     string     `json:"id"`
		Source wireSource `json:"source"`
	}
	wireSource struct {
		Name string `json:"name"`
	}
	wireRating struct {
		Score    float64 `json:"score,omitzero"`
		Severity string  `json:"severity,omitempty"`
		Method   string  `json:"method,omitempty"`
		Vector   string  `json:"vector,omitempty"`
	}
	wireURL struct {
		URL string `json:"url"`
	}
	wireAnalysis struct {
		State         string `json:"state"`
		Justification string `json:"justification,omitempty"`
		Detail        string `json:"detail,omitempty"`
		LastUpdated   string `json:"lastUpdated,omitempty"`
	}
	wireAffected struct {
		Ref string `json:"ref"`
	}
	wireNameValue struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
)

// WriteJSONWith is WriteJSON with vulnerabilities, in the order they are given. Errors: those of w.
func WriteJSONWith(w io.Writer, b *seaworthy.Bill, vulnerabilities []Vulnerability) error {
	l := newLayout(b, false)
	out := bufio.NewWriterSize(w, 64<<10)
	j := &jsonWriter{enc: jsontext.NewEncoder(&visibleWriter{w: out}, jsontext.WithIndent("  ")), vulnerabilities: vulnerabilities}
	if err := j.document(l); err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "writing CycloneDX JSON")
	}
	return seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing CycloneDX JSON")
}

// vulnerabilityList writes the member vulnerabilities, if there are any.
func (j *jsonWriter) vulnerabilityList() {
	if j.vulnerabilities == nil {
		return
	}
	j.token(jsontext.String("vulnerabilities"))
	j.token(jsontext.BeginArray)
	for i := range j.vulnerabilities {
		_ = j.value(j.vulnerabilities[i].wire())
	}
	j.token(jsontext.EndArray)
}

func (v *Vulnerability) wire() wireVulnerability {
	out := wireVulnerability{ID: v.ID, Description: v.Description, Recommendation: v.Recommendation}
	for _, a := range v.Aliases {
		if a != v.ID {
			out.References = append(out.References, wireReference{ID: a, Source: wireSource{publisher(a)}})
		}
	}
	if v.Severity != "" || v.Vector != "" {
		out.Ratings = []wireRating{{Score: v.Score, Severity: v.Severity, Method: scoreMethod(v.Vector), Vector: v.Vector}}
	}
	for _, u := range v.URLs {
		out.Advisories = append(out.Advisories, wireURL{u})
	}
	if v.State != "" {
		out.Analysis = &wireAnalysis{State: v.State, Justification: v.Justification, Detail: v.Detail, LastUpdated: v.Updated}
	}
	seen := map[string]bool{}
	for _, ref := range v.Affects { // the schema wants each once
		if !seen[ref] {
			seen[ref] = true
			out.Affects = append(out.Affects, wireAffected{ref})
		}
	}
	for _, p := range v.Properties {
		out.Properties = append(out.Properties, wireNameValue{p.Name, p.Value})
	}
	return out
}

// scoreMethod names the CVSS version of a vector in the schema's words.
func scoreMethod(vector string) string {
	switch {
	case vector == "":
		return ""
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		return "CVSSv4"
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		return "CVSSv31"
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		return "CVSSv3"
	}
	return "CVSSv2"
}

// publisher is who gives out identifiers like this one.
func publisher(id string) string {
	prefix, _, _ := strings.Cut(id, "-")
	switch prefix {
	case "CVE":
		return "NVD"
	case "GHSA":
		return "GitHub"
	}
	return prefix
}
