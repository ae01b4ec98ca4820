package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// program is a policy in a language, compiled.
type program interface {
	// judge evaluates it over JSON. at is what it takes for the time.
	// Errors: Unavailable when it took too long; Invalid and TooLarge for the input; Refused never: that is a ruling.
	judge(ctx context.Context, input []byte, at time.Time) (ruling, error)
	language() string
}

// ruling is what a program says.
type ruling struct {
	passed   bool
	reason   string // why not
	warnings []string
}

// inputKind says what a program is shown.
type inputKind int

const (
	statementInput inputKind = iota // an in-toto statement
	matchesInput                    // what a ClusterImagePolicy's authorities found
)

// inputMembers are the members of each kind of input.
var inputMembers = map[inputKind][]string{
	statementInput: {"_type", "subject", "predicateType", "predicate"},
	matchesInput:   {"authorityMatches", "config", "spec", "metadata", "typemeta"},
}

// The ways to look at CUE.
const (
	cueStrict = "strict"
	cueCompat = "cosign-compat"
)

// Program is a policy over attestations, in Rego or CUE. It is safe for many users at once.
type Program struct{ p program }

// ParseProgram compiles a policy over attestations, as verify --policy takes it: name ends in .rego or .cue. Rego is
// in package sigstore with the rule isCompliant (policy-controller's), in package signature with the rule allow
// (cosign's), or in package seaworthy with the rules allow and deny. CUE must be subsumed by the attestation: a field
// it asks for must be there.
// Errors: Invalid, TooLarge, Usage for other names.
func ParseProgram(name string, b []byte) (*Program, []Mistake, error) {
	l := &loader{}
	left := maxFields
	o := &object{l: l, file: name, left: &left}
	f := field{o: o}
	var p program
	switch {
	case strings.HasSuffix(name, ".rego"):
		p = f.rego(string(b), regoAny)
	case strings.HasSuffix(name, ".cue"):
		p = f.cue(string(b), cueStrict, statementInput)
	default:
		return nil, nil, seaworthy.Errorf(seaworthy.Usage, "reading the policy %q: neither .rego nor .cue", name)
	}
	if o.bad {
		for _, m := range l.mistakes {
			if !m.Warning {
				return nil, l.mistakes, &seaworthy.Error{Code: m.Code, Doing: "reading the policy", Hint: m.Hint, Err: m}
			}
		}
	}
	return &Program{p}, l.mistakes, nil
}

// Check evaluates the program over a statement (in-toto, JSON). reason says why it did not pass.
// Errors: Unavailable, Invalid, TooLarge: it could not be evaluated.
func (p *Program) Check(ctx context.Context, statement []byte, at time.Time) (passed bool, reason string, err error) {
	r, err := p.p.judge(ctx, statement, at)
	return r.passed, r.reason, err
}

// recovered keeps a compiler that we did not write from taking the program down.
func (f field) recovered(p *program) {
	if r := recover(); r != nil {
		*p = nil
		f.wrong(seaworthy.Internal, "the compiler gave up: %s", clip(fmt.Sprint(r), 200))
	}
}

// decodeInput reads the JSON a program is shown. Numbers stay as they are written.
func decodeInput(b []byte) (any, error) {
	if len(b) > MaxInputBytes {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "evaluating the policy over %d bytes; the limit is %d", len(b), MaxInputBytes)
	}
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading what the policy is shown: %w", err)
	}
	return v, nil
}
