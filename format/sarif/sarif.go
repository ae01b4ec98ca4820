// Package sarif writes the Static Analysis Results Interchange Format, SARIF 2.1.0 (OASIS, 2020), as code
// scanning services take it: one run of one tool, a rule for each kind of finding, and results.
//
//	err := sarif.Write(w, sarif.Run{Tool: …, Results: …})
//
// Text is written as it is given; who has text from outside escapes it before.
package sarif

import (
	"io"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
)

// Version and Schema are written into every log.
const (
	Version = "2.1.0"
	Schema  = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

// Level is how serious a result is (SARIF clause 3.27.10).
type Level string

// The levels.
const (
	Error   Level = "error"
	Warning Level = "warning"
	Note    Level = "note"
	None    Level = "none"
)

// Run is what one tool found in one go (clause 3.14).
type Run struct {
	Tool       Tool
	Rules      []Rule // Result.RuleID names one
	Results    []Result
	Properties map[string]any
}

// Tool is who looked (clause 3.19).
type Tool struct {
	Name, Version, InformationURI string
}

// Rule is a kind of finding (clause 3.49).
type Rule struct {
	ID         string
	Name       string
	Short      string // one sentence
	Full       string
	HelpURI    string
	Help       string // plain text
	Level      Level  // default of its results
	Properties map[string]any
}

// Result is one finding (clause 3.27).
type Result struct {
	RuleID       string
	Level        Level
	Message      string
	Locations    []Location
	Fingerprints map[string]string // stable over runs, by the name of the way they are made
	Suppressions []Suppression
	Properties   map[string]any
}

// Location is where a result is (clause 3.28).
type Location struct {
	Path    string // of a file, relative; "" for none
	Logical string // a name that is no file: a purl
	Kind    string // of the Logical one: "package"
	Message string
}

// Suppression says that a result was looked at and put aside (clause 3.35).
type Suppression struct {
	Justification string
}

type (
	text struct {
		Text string `json:"text"`
	}
	rule struct {
		ID         string         `json:"id"`
		Name       string         `json:"name,omitempty"`
		Short      *text          `json:"shortDescription,omitempty"`
		Full       *text          `json:"fullDescription,omitempty"`
		HelpURI    string         `json:"helpUri,omitempty"`
		Help       *text          `json:"help,omitempty"`
		Default    *configuration `json:"defaultConfiguration,omitempty"`
		Properties map[string]any `json:"properties,omitempty"`
	}
	configuration struct {
		Level Level `json:"level"`
	}
	result struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        Level             `json:"level"`
		Message      text              `json:"message"`
		Locations    []location        `json:"locations,omitempty"`
		Fingerprints map[string]string `json:"partialFingerprints,omitempty"`
		Suppressions []suppression     `json:"suppressions,omitempty"`
		Properties   map[string]any    `json:"properties,omitempty"`
	}
	location struct {
		Physical *physical `json:"physicalLocation,omitempty"`
		Logical  []logical `json:"logicalLocations,omitempty"`
		Message  *text     `json:"message,omitempty"`
	}
	physical struct {
		Artifact artifact `json:"artifactLocation"`
		Region   region   `json:"region"`
	}
	artifact struct {
		URI string `json:"uri"`
	}
	region struct {
		StartLine int `json:"startLine"`
	}
	logical struct {
		Name string `json:"fullyQualifiedName"`
		Kind string `json:"kind,omitempty"`
	}
	suppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification,omitempty"`
	}
)

// Write writes a log with one run. Results keep their order; equal runs give equal bytes.
// Errors: Invalid, when a result names no rule; Storage.
func Write(w io.Writer, r Run) error {
	index := make(map[string]int, len(r.Rules))
	enc := jsontext.NewEncoder(w, jsontext.WithIndent("  "))
	p := &printer{enc: enc}
	p.open(jsontext.BeginObject)
	p.member("$schema", Schema)
	p.member("version", Version)
	p.name("runs")
	p.open(jsontext.BeginArray)
	p.open(jsontext.BeginObject)
	p.name("tool")
	p.open(jsontext.BeginObject)
	p.name("driver")
	p.open(jsontext.BeginObject)
	p.member("name", r.Tool.Name)
	if r.Tool.Version != "" {
		p.member("version", r.Tool.Version)
	}
	if r.Tool.InformationURI != "" {
		p.member("informationUri", r.Tool.InformationURI)
	}
	p.name("rules")
	p.open(jsontext.BeginArray)
	for i := range r.Rules {
		index[r.Rules[i].ID] = i
		p.value(r.Rules[i].wire())
	}
	p.open(jsontext.EndArray)
	p.open(jsontext.EndObject)
	p.open(jsontext.EndObject)
	p.member("columnKind", "utf16CodeUnits")
	p.name("results")
	p.open(jsontext.BeginArray)
	for i := range r.Results {
		at, ok := index[r.Results[i].RuleID]
		if !ok {
			return seaworthy.Errorf(seaworthy.Invalid, "writing SARIF: result %d names the rule %q, which is not there", i, r.Results[i].RuleID)
		}
		p.value(r.Results[i].wire(at))
	}
	p.open(jsontext.EndArray)
	if len(r.Properties) > 0 {
		p.member("properties", r.Properties)
	}
	p.open(jsontext.EndObject)
	p.open(jsontext.EndArray)
	p.open(jsontext.EndObject)
	return seaworthy.Wrap(p.err, seaworthy.Storage, "writing SARIF")
}

// printer writes tokens; after an error it does nothing more.
type printer struct {
	enc *jsontext.Encoder
	err error
}

func (p *printer) open(t jsontext.Token) {
	if p.err == nil {
		p.err = p.enc.WriteToken(t)
	}
}

func (p *printer) name(s string) { p.open(jsontext.String(s)) }

func (p *printer) value(v any) {
	if p.err == nil {
		p.err = json.MarshalEncode(p.enc, v, json.Deterministic(true))
	}
}

func (p *printer) member(name string, v any) {
	p.name(name)
	p.value(v)
}

func words(s string) *text {
	if s == "" {
		return nil
	}
	return &text{s}
}

func (r *Rule) wire() rule {
	out := rule{
		ID: r.ID, Name: r.Name, Short: words(r.Short), Full: words(r.Full), HelpURI: r.HelpURI, Help: words(r.Help), Properties: r.Properties,
	}
	if r.Level != "" {
		out.Default = &configuration{r.Level}
	}
	return out
}

func (r *Result) wire(index int) result {
	out := result{
		RuleID: r.RuleID, RuleIndex: index, Level: r.Level, Message: text{r.Message}, Fingerprints: r.Fingerprints, Properties: r.Properties,
	}
	for _, l := range r.Locations {
		var to location
		if l.Path != "" {
			to.Physical = &physical{Artifact: artifact{URI(l.Path)}, Region: region{1}}
		}
		if l.Logical != "" {
			to.Logical = []logical{{l.Logical, l.Kind}}
		}
		to.Message = words(l.Message)
		out.Locations = append(out.Locations, to)
	}
	for _, s := range r.Suppressions {
		out.Suppressions = append(out.Suppressions, suppression{Kind: "external", Status: "accepted", Justification: s.Justification})
	}
	return out
}

// URI writes a path as the relative reference that artifactLocation.uri asks for (clause 3.4.3, RFC 3986): what
// a URI cannot carry is percent-encoded, and neither a scheme nor a host can come of it.
func URI(path string) string {
	parts := strings.Split(strings.TrimLeft(path, "/"), "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(url.PathEscape(p), ":", "%3A")
	}
	return strings.Join(parts, "/")
}
