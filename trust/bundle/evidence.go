package bundle

import (
	"slices"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
)

// Verified is a bundle that passed every check. Only Verify makes one.
type Verified struct {
	evidence    Evidence
	statement   *intoto.Statement
	payload     []byte
	payloadType string
	simple      []byte
}

// Evidence returns the whole chain of evidence.
func (v *Verified) Evidence() Evidence { return v.evidence }

// Signer returns who signed.
func (v *Verified) Signer() Signer { return v.evidence.Signer }

// Statement returns the attestation, or nil when a file or image was signed by itself.
func (v *Verified) Statement() *intoto.Statement { return v.statement }

// Payload returns the bytes that were signed: of an envelope with its type, or the simple-signing payload of an old
// image signature; nil when the artifact itself was signed.
func (v *Verified) Payload() (payload []byte, payloadType string) {
	if v.simple != nil {
		return slices.Clone(v.simple), SimpleSigningType
	}
	return slices.Clone(v.payload), v.payloadType
}

// Evidence is why a bundle is believed. Everything in it was checked.
type Evidence struct {
	Artifact      seaworthy.Digest `json:"artifact"`
	Format        string           `json:"format"` // how the signature was kept: "bundle v0.3", "cosign signature"
	Signer        Signer           `json:"signer"`
	StatementType string           `json:"statementType,omitempty"`
	PredicateType string           `json:"predicateType,omitempty"`
	Times         []Time           `json:"times,omitempty"` // when it was signed, as others say
	Logs          []LogEntry       `json:"logs,omitempty"`
	Chain         []Certificate    `json:"chain,omitempty"` // from the signer's certificate to the root's
	SCT           bool             `json:"sct"`             // a certificate log has promised to show the certificate
	Root          *TrustedRoot     `json:"trustedRoot,omitempty"`
	Notes         []string         `json:"notes,omitempty"` // what was there and not counted
}

// Time is when somebody who is believed saw the signature.
type Time struct {
	Source string    `json:"source"` // timestamp-authority or log
	URI    string    `json:"uri"`
	Time   time.Time `json:"time"`
}

// LogEntry is where a log shows the signature.
type LogEntry struct {
	URI        string    `json:"uri"`
	LogID      string    `json:"logId"`               // hexadecimal
	Index      int64     `json:"index"`               // in the log
	Kind       string    `json:"kind"`                // of the entry, with its version
	Promise    bool      `json:"promise"`             // the log signed that it will show the entry (SET)
	Integrated time.Time `json:"integrated,omitzero"` // when, as it signed in the promise
	TreeSize   int64     `json:"treeSize,omitempty"`  // of the signed checkpoint that the proof leads to; 0 without a proof
	RootHash   string    `json:"rootHash,omitempty"`  // of that checkpoint, hexadecimal

	from, until time.Time // the log's key is believed
}

// Certificate is one of a chain.
type Certificate struct {
	Subject   string           `json:"subject"`
	Issuer    string           `json:"issuer"`
	NotBefore time.Time        `json:"notBefore"`
	NotAfter  time.Time        `json:"notAfter"`
	Digest    seaworthy.Digest `json:"digest"` // of its DER
}

// TrustedRoot names the root that was used.
type TrustedRoot struct {
	Name   string           `json:"name"`
	Digest seaworthy.Digest `json:"digest"`
}
