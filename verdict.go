package seaworthy

import "time"

// Verdict is the answer to "may it sail?" about one image: what every policy that binds it says, and why.
type Verdict struct {
	Image     string         `json:"image"`            // as it was asked for
	Digest    Digest         `json:"digest,omitempty"` // what was judged; "" when there is none to judge
	Allowed   bool           `json:"allowed"`
	Namespace string         `json:"namespace,omitempty"`
	Policies  []PolicyResult `json:"policies"`           // of all policies that bind the image; all must pass
	Warnings  []string       `json:"warnings,omitempty"` // of policies that only warn
	At        time.Time      `json:"at,omitzero"`        // UTC
	Cached    bool           `json:"cached,omitempty"`
}

// PolicyResult is what one policy says.
type PolicyResult struct {
	Policy string `json:"policy"` // its name
	Mode   Mode   `json:"mode"`
	Passed bool   `json:"passed"`
	// Rules are the parts of the policy that were looked at, in its order.
	Rules []RuleResult `json:"rules"`
}

// RuleResult is what one rule of a policy says, on which evidence, and what would change its mind.
type RuleResult struct {
	Rule     string          `json:"rule"` // "signed by ci@example.com", "authority-0", "packages denied"
	Passed   bool            `json:"passed"`
	Code     Code            `json:"code,omitempty"` // of a rule that could not be answered: unavailable …
	Reason   string          `json:"reason"`
	Evidence []EvidenceNamed `json:"evidence,omitempty"`
	Missing  []string        `json:"missing,omitempty"` // evidence that would be needed
	Fix      string          `json:"fix,omitempty"`     // the next thing to do, a command where there is one
}

// EvidenceNamed is a document that a rule rests on, and who signed it.
type EvidenceNamed struct {
	Document Digest   `json:"document,omitempty"`
	Kind     string   `json:"kind"` // "signature", "attestation https://slsa.dev/provenance/v1", "bill spdx"
	Source   string   `json:"source,omitempty"`
	Signers  []string `json:"signers,omitempty"`
}

// Mode is what a policy's no does.
type Mode string

// The modes.
const (
	Enforce Mode = "enforce" // refuses
	Warn    Mode = "warn"    // lets it pass and says so
	DryRun  Mode = "dryrun"  // lets it pass and only records it
)
