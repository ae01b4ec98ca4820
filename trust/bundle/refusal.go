package bundle

import (
	"errors"
	"fmt"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// Check names one of the checks a bundle must pass. The list is closed.
type Check string

// The checks, in the order in which they are made.
const (
	CheckSigner      Check = "signer"      // it is a certificate where an identity is asked, a key where a key is
	CheckArtifact    Check = "artifact"    // it is about the artifact
	CheckSignature   Check = "signature"   // the signature is of that key over that content
	CheckLog         Check = "log"         // a log that is believed shows exactly this signature
	CheckTime        Check = "time"        // somebody who is believed says when it was signed
	CheckCertificate Check = "certificate" // an authority that is believed issued the certificate, valid at that time
	CheckSCT         Check = "sct"         // a certificate log that is believed shows the certificate
	CheckIdentity    Check = "identity"    // the certificate names somebody who is accepted
	CheckPredicate   Check = "predicate"   // the attestation is of the type that was asked for
)

// Signer is who signed.
type Signer struct {
	Identity string `json:"identity,omitempty"` // of certificates
	Issuer   string `json:"issuer,omitempty"`
	// Claims are what else the certificate says, by the names Claims lists.
	Claims map[string]string `json:"claims,omitempty"`
	Key    seaworthy.Digest  `json:"key,omitempty"`  // of bare keys: the SHA-256 of the key
	Hint   string            `json:"hint,omitempty"` // of bare keys: what the bundle calls it
	// Proven says that the signature is the signer's, and the certificate an authority's that is believed.
	Proven bool `json:"proven"`
}

// String says who it is, for people.
func (s Signer) String() string {
	who := "a key that is not named"
	switch {
	case s.Identity != "":
		who = fmt.Sprintf("%q (issuer %q)", s.Identity, s.Issuer)
	case s.Key != "":
		who = "the key " + string(s.Key)
	case s.Hint != "":
		who = fmt.Sprintf("a key called %q", s.Hint)
	}
	if !s.Proven {
		who += ", not proven"
	}
	return who
}

// Refusal is the answer no: which check failed, on what, and who signed. It is what errors.As finds in errors of
// Verify with the codes Unmatched and Uncertified.
type Refusal struct {
	Check  Check    `json:"check"`
	On     string   `json:"on"`     // the artifact
	Detail string   `json:"detail"` // what is wrong
	Found  []Signer `json:"found,omitempty"`
}

// Error implements error.
func (r *Refusal) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the check of the %s failed: %s", checkWords[r.Check], r.Detail)
	for i, s := range r.Found {
		if i == 0 {
			b.WriteString("; found: signed by ")
		} else {
			b.WriteString(", and by ")
		}
		b.WriteString(s.String())
	}
	return b.String()
}

var checkWords = map[Check]string{
	CheckSigner: "kind of signer", CheckArtifact: "artifact", CheckSignature: "signature", CheckLog: "transparency log",
	CheckTime: "signing time", CheckCertificate: "certificate", CheckSCT: "certificate log", CheckIdentity: "identity",
	CheckPredicate: "predicate type",
}

// RefusalOf finds the refusal in an error, or nil.
func RefusalOf(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	return nil
}

// refuse makes the error of a check. A wrong kind of signer has a code of its own when an identity was asked.
func (v *verification) refuse(check Check, format string, args ...any) error {
	code := seaworthy.Unmatched
	if check == CheckSigner && v.u.cert == nil {
		code = seaworthy.Uncertified
	}
	return &seaworthy.Error{Code: code, Doing: fmt.Sprintf("verifying %q", v.artifact.name), Err: &Refusal{
		Check: check, On: v.artifact.name, Detail: fmt.Sprintf(format, args...), Found: []Signer{v.signer()},
	}}
}
