// Package openvex reads and writes OpenVEX documents (github.com/openvex/spec, v0.2.0; v0.0.1 is read too).
package openvex

import (
	"bytes"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
)

// Context is the @context of the documents we write.
const Context = "https://openvex.dev/ns/v0.2.0"

// MaxBytes is the largest document that is read: 64 MiB.
const MaxBytes = 64 << 20

// Document is a set of statements by one author.
type Document struct {
	Context     string      `json:"@context"`
	ID          string      `json:"@id"`
	Author      string      `json:"author"`
	Role        string      `json:"role,omitempty"`
	Timestamp   time.Time   `json:"timestamp,omitzero"`
	LastUpdated time.Time   `json:"last_updated,omitzero"`
	Version     any         `json:"version"` // a number; a string in v0.0.1
	Tooling     string      `json:"tooling,omitempty"`
	Statements  []Statement `json:"statements"`
}

// Statement says what is known about a vulnerability in some products.
type Statement struct {
	ID            string           `json:"@id,omitempty"`
	Vulnerability Vulnerability    `json:"vulnerability"`
	Timestamp     time.Time        `json:"timestamp,omitzero"` // zero: the document's
	LastUpdated   time.Time        `json:"last_updated,omitzero"`
	Products      []Product        `json:"products,omitempty"`
	Status        seaworthy.Status `json:"status"`
	StatusNotes   string           `json:"status_notes,omitempty"`
	Justification string           `json:"justification,omitempty"`
	Impact        string           `json:"impact_statement,omitempty"`
	Action        string           `json:"action_statement,omitempty"`
	// Subcomponents of every product: where v0.0.1 keeps them.
	Subcomponents []Component `json:"subcomponents,omitempty"`
}

// Vulnerability names a vulnerability. In v0.0.1 it is a string: the Name.
type Vulnerability struct {
	ID          string   `json:"@id,omitempty"`
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Aliases     []string `json:"aliases,omitempty"`
}

// Product is what a statement is about; without subcomponents it is about all of it.
type Product struct {
	Component
	Subcomponents []Component
}

// Component is a piece of software. In v0.0.1 it is a string: the ID.
type Component struct {
	ID          string            `json:"@id,omitempty"`         // often a purl
	Identifiers map[string]string `json:"identifiers,omitempty"` // purl, cpe22, cpe23
	Hashes      map[string]string `json:"hashes,omitempty"`      // "sha-256" → hexadecimal
}

type component Component

// productObject is a Product in JSON.
type productObject struct {
	ID            string            `json:"@id,omitempty"`
	Identifiers   map[string]string `json:"identifiers,omitempty"`
	Hashes        map[string]string `json:"hashes,omitempty"`
	Subcomponents []Component       `json:"subcomponents,omitempty"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Component) UnmarshalJSON(b []byte) error {
	if isString(b) {
		return json.Unmarshal(b, &c.ID)
	}
	return json.Unmarshal(b, (*component)(c))
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *Product) UnmarshalJSON(b []byte) error {
	if isString(b) {
		return json.Unmarshal(b, &p.ID)
	}
	var o productObject
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	*p = Product{Component: Component{ID: o.ID, Identifiers: o.Identifiers, Hashes: o.Hashes}, Subcomponents: o.Subcomponents}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (p Product) MarshalJSON() ([]byte, error) {
	return json.Marshal(productObject{ID: p.ID, Identifiers: p.Identifiers, Hashes: p.Hashes, Subcomponents: p.Subcomponents}, json.Deterministic(true))
}

type vulnerability Vulnerability

// UnmarshalJSON implements json.Unmarshaler.
func (v *Vulnerability) UnmarshalJSON(b []byte) error {
	if isString(b) {
		return json.Unmarshal(b, &v.Name)
	}
	return json.Unmarshal(b, (*vulnerability)(v))
}

func isString(b []byte) bool { return len(b) > 0 && b[0] == '"' }

// statuses and justifications are the closed lists of the specification.
var (
	statuses       = []seaworthy.Status{seaworthy.NotAffected, seaworthy.Affected, seaworthy.FixedStatus, seaworthy.UnderInvestigation}
	justifications = []string{
		"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
		"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist",
	}
)

// Is reports whether a file looks like an OpenVEX document.
func Is(head []byte) bool { return bytes.Contains(head, []byte("https://openvex.dev/ns")) }

// Parse reads a document and checks its statements. Errors: Invalid, TooLarge.
func Parse(b []byte) (*Document, error) {
	if len(b) > MaxBytes {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "parsing OpenVEX: %d bytes are over the limit of %d", len(b), MaxBytes)
	}
	d := new(Document)
	if err := json.Unmarshal(b, d); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "parsing OpenVEX: %w", err)
	}
	if !Is([]byte(d.Context)) {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "parsing OpenVEX: @context is %.64q, want %s", d.Context, Context)
	}
	for i := range d.Statements {
		if err := d.Statements[i].check(); err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "parsing OpenVEX: statement %d", i)
		}
	}
	return d, nil
}

func (s *Statement) check() error {
	if s.Vulnerability.Name == "" && s.Vulnerability.ID == "" {
		return seaworthy.Errorf(seaworthy.Invalid, "it names no vulnerability")
	}
	if !slices.Contains(statuses, s.Status) {
		return seaworthy.Errorf(seaworthy.Invalid, "status %.64q", s.Status).
			WithHint("the statuses are not_affected, affected, fixed and under_investigation")
	}
	if s.Justification != "" && !slices.Contains(justifications, s.Justification) {
		return seaworthy.Errorf(seaworthy.Invalid, "justification %.64q", s.Justification)
	}
	if s.Status == seaworthy.NotAffected && s.Justification == "" && s.Impact == "" {
		return seaworthy.Errorf(seaworthy.Invalid, "not_affected without a justification or impact statement")
	}
	return nil
}

// Marshal writes a document: indented, in the order of the specification, with @context and version filled in.
// Errors: Invalid, when a statement breaks the specification.
func Marshal(d *Document) ([]byte, error) {
	out := *d
	if out.Context == "" {
		out.Context = Context
	}
	if out.Version == nil {
		out.Version = 1
	}
	if out.Statements == nil {
		out.Statements = []Statement{}
	}
	for i := range out.Statements {
		if err := out.Statements[i].check(); err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "writing OpenVEX: statement %d", i)
		}
	}
	b, err := json.Marshal(&out, jsontext.WithIndent("  "), json.Deterministic(true))
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "writing OpenVEX: %w", err)
	}
	return append(b, '\n'), nil
}
