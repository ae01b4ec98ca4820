package verify

import (
	"encoding/hex"
	"slices"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
	"github.com/seaworthy-dev/seaworthy/trust/key"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// Claim is a statement about an image, whoever made it.
type Claim struct {
	Source    string           // where it was found, as in Proof
	Manifest  seaworthy.Digest // that holds it
	Document  seaworthy.Digest // of the bundle or envelope
	Statement *intoto.Statement
	Signer    bundle.Signer // Proven only when a key or the root vouches for it
}

// UnsafeClaims reads the attestations of certain types whoever signed them, and tells who that is where one of the
// keys or the root vouches for it: for who looks for what speaks against an image, or only shows it. Those about
// another digest are left out, as are those that cannot be read. keys and trusted may be nil.
func (c *Candidates) UnsafeClaims(keys []key.Public, trusted *root.Root, predicateTypes ...string) []Claim {
	digest := c.artifact.Digest()
	sum, err := hex.DecodeString(digest.Hex())
	if err != nil {
		return nil
	}
	about := map[string][]byte{digest.Algorithm(): sum}
	var out []Claim
	for _, candidate := range c.list {
		u, err := candidate.read()
		if err != nil {
			continue
		}
		said := u.UnsafeClaims()
		if said.PayloadType != intoto.PayloadType {
			continue
		}
		s, err := intoto.Parse(said.Payload)
		if err != nil || !slices.Contains(predicateTypes, s.PredicateType) || !s.Matches(about) {
			continue
		}
		claim := Claim{candidate.source, candidate.manifest, seaworthy.SHA256(candidate.raw), s, said.Signer}
		if told, err := bundle.WhoSigned(u, c.target, keys, trusted, bundle.Options{}); err == nil {
			claim.Signer = told.Signer
		}
		out = append(out, claim)
	}
	return out
}

// Size is how many bytes are held.
func (c *Candidates) Size() int64 {
	var n int64
	for _, candidate := range c.list {
		n += int64(len(candidate.raw))
	}
	return n
}
