// Package intoto reads and writes in-toto attestation statements, v0.1 and v1: who is spoken of (subjects, by
// digest) and what is said (a predicate of some type). Statements lie in DSSE envelopes; whether to believe one is
// for trust/bundle to say.
//
// Specification: in-toto attestation framework, spec/v1/statement.md and spec/v0.1.0/README.md. They ask to ignore
// members that are not known; the ones that are known must be spelled exactly.
package intoto

import (
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/exactjson"
)

// PayloadType is the type of a DSSE envelope's payload that is a statement.
const PayloadType = "application/vnd.in-toto+json"

// The types of statement.
const (
	TypeV01 = "https://in-toto.io/Statement/v0.1"
	TypeV1  = "https://in-toto.io/Statement/v1"
)

// Limits. A statement over them is TooLarge.
const (
	MaxSubjects = 1024 // artifacts one statement may be about
	MaxDigests  = 32   // digests of one subject
)

// Statement says something about subjects.
type Statement struct {
	Type          string         `json:"_type"`
	Subjects      []Subject      `json:"subject"`
	PredicateType string         `json:"predicateType"`
	Predicate     jsontext.Value `json:"predicate,omitempty"` // JSON as it was written
}

// Subject is an artifact that is spoken of. Digests are by algorithm ("sha256"), in lower-case hexadecimal; other
// algorithms than those of files occur ("gitCommit", "dirHash").
type Subject struct {
	Name   string            `json:"name,omitempty"`
	Digest map[string]string `json:"digest"`
	// Annotations is what else is said of it, as a JSON object.
	Annotations jsontext.Value `json:"annotations,omitempty"`
}

// Parse reads a statement. Errors: Invalid, TooLarge, and Unsupported for statements of another type.
func Parse(b []byte) (*Statement, error) {
	var s struct {
		Type          string         `json:"_type"`
		Subjects      jsontext.Value `json:"subject"`
		PredicateType string         `json:"predicateType"`
		Predicate     jsontext.Value `json:"predicate"`
	}
	if err := exactjson.Unmarshal(b, &s); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading an in-toto statement")
	}
	if err := exactjson.Lookalikes(b, "_type", "subject", "predicateType", "predicate"); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading an in-toto statement")
	}
	out := &Statement{Type: s.Type, PredicateType: s.PredicateType, Predicate: slices.Clone(s.Predicate)}
	switch {
	case s.Type == "":
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading an in-toto statement: it has no _type")
	case s.Type != TypeV01 && s.Type != TypeV1:
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "reading an in-toto statement: its _type is %q", s.Type)
	case s.PredicateType == "":
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading an in-toto statement: it has no predicateType")
	}
	if err := out.readSubjects(s.Subjects); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading the subjects of an in-toto statement")
	}
	return out, nil
}

func (s *Statement) readSubjects(b jsontext.Value) error {
	if len(b) == 0 || b.Kind() != '[' {
		return seaworthy.Errorf(seaworthy.Invalid, "there is no list of them")
	}
	if err := exactjson.Lookalikes(b, "name", "digest", "annotations"); err != nil {
		return err
	}
	if err := json.Unmarshal(b, &s.Subjects); err != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "%w", err)
	}
	if len(s.Subjects) == 0 {
		return seaworthy.Errorf(seaworthy.Invalid, "there is none")
	}
	if len(s.Subjects) > MaxSubjects {
		return seaworthy.Errorf(seaworthy.TooLarge, "%d of them; the limit is %d", len(s.Subjects), MaxSubjects)
	}
	for i, sub := range s.Subjects {
		switch {
		case len(sub.Digest) == 0:
			return seaworthy.Errorf(seaworthy.Invalid, "subject %d, %q, has no digest", i, sub.Name)
		case len(sub.Digest) > MaxDigests:
			return seaworthy.Errorf(seaworthy.TooLarge, "subject %d, %q, has %d digests; the limit is %d", i, sub.Name, len(sub.Digest), MaxDigests)
		}
	}
	return nil
}

// Marshal writes the statement; the same one gives the same bytes. Errors: Invalid when Parse would refuse it.
func (s *Statement) Marshal() ([]byte, error) {
	b, err := json.Marshal(s, json.Deterministic(true))
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "writing an in-toto statement: %w", err)
	}
	if _, err := Parse(b); err != nil {
		return nil, err
	}
	return b, nil
}

// Matches reports whether one of the subjects has one of the given digests, by algorithm ("sha256") in bytes, and
// no subject that has it contradicts another of them.
func (s *Statement) Matches(digests map[string][]byte) bool {
	for _, sub := range s.Subjects {
		if sub.matches(digests) {
			return true
		}
	}
	return false
}

func (s Subject) matches(digests map[string][]byte) bool {
	same := 0
	for algorithm, want := range digests {
		have, ok := s.Digest[algorithm]
		if !ok {
			continue
		}
		if !strings.EqualFold(have, hex.EncodeToString(want)) {
			return false
		}
		same++
	}
	return same > 0
}

// predicateNames are the short names people give types of predicates by, as cosign has them. The first type is the
// one that is written, any is accepted.
var predicateNames = map[string][]string{
	"custom":         {"https://cosign.sigstore.dev/attestation/v1"},
	"slsaprovenance": {"https://slsa.dev/provenance/v0.2"}, "slsaprovenance02": {"https://slsa.dev/provenance/v0.2"},
	"slsaprovenance1": {"https://slsa.dev/provenance/v1"},
	"spdx":            {"https://spdx.dev/Document"}, "spdxjson": {"https://spdx.dev/Document"},
	"cyclonedx": {"https://cyclonedx.org/bom"},
	"link":      {"https://in-toto.io/Link/v1"},
	"vuln":      {"https://cosign.sigstore.dev/attestation/vuln/v1"},
	"openvex":   {"https://openvex.dev/ns", "https://openvex.dev/ns/v0.2.0"},
}

// PredicateNames lists the short names, sorted.
func PredicateNames() []string { return slices.Sorted(maps.Keys(predicateNames)) }

// PredicateTypes returns the types that a short name or URI stands for, the one to write first. Errors: Usage.
func PredicateTypes(name string) ([]string, error) {
	if types, ok := predicateNames[name]; ok {
		return slices.Clone(types), nil
	}
	if scheme, rest, ok := strings.Cut(name, "://"); ok && scheme != "" && rest != "" && !strings.ContainsAny(name, " \t\r\n") {
		return []string{name}, nil
	}
	return nil, seaworthy.Errorf(seaworthy.Usage, "%q is no type of predicate", name).
		WithHint("give one of %s, or a URI", strings.Join(PredicateNames(), ", "))
}
