package bundle

import (
	"encoding/hex"
	"slices"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/trust/key"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// WhoSigned tells who signed a bundle, whoever that is: the identity of any certificate that an authority of the root
// issued, or which of the keys. It tells, and accepts nobody: an answer means that the signature is that signer's, and
// nothing about whether the signer is one to be believed. That is why it makes no Verified, and why what must pass
// such a bundle asks Verify. All other checks are those of Verify, but that of the artifact: Evidence.Artifact is what
// the bundle says it is of, and "" for attestations, whose subjects the caller reads.
//
// keys and trusted may be empty; what is signed by what they do not know is refused. Errors: Unmatched and Uncertified
// with a *Refusal when it is not proven who signed; Usage for no bundle; Invalid, Unsupported and TooLarge.
func WhoSigned(u *Unverified, name string, keys []key.Public, trusted *root.Root, o Options) (Evidence, error) {
	if u == nil {
		return Evidence{}, seaworthy.Errorf(seaworthy.Usage, "asking who signed nothing")
	}
	artifact, err := u.claimedArtifact(name)
	if err != nil {
		return Evidence{}, err
	}
	v := &verification{u: u, artifact: artifact, accept: Accept{Keys: keys}, root: trusted, o: o, anybody: true}
	switch {
	case u.cert != nil && trusted == nil:
		return Evidence{}, v.refuse(CheckCertificate, "it is signed with a certificate, and there is no trusted root")
	case u.cert == nil && len(keys) == 0:
		return Evidence{}, v.refuse(CheckSigner, "it is signed with a bare key, and no key is known")
	}
	verified, err := v.run()
	if err != nil {
		return Evidence{}, err
	}
	return verified.evidence, nil
}

// claimedArtifact is what the bundle says was signed; without digests for an envelope, as in VerifyStatement.
func (u *Unverified) claimedArtifact(name string) (Artifact, error) {
	switch {
	case u.isEnvelope:
		return Artifact{name: name}, nil
	case u.simple != nil:
		d, err := simpleSigningImage(u.simple)
		if err != nil {
			return Artifact{}, err
		}
		return DigestArtifact(name, d)
	case u.hash == "":
		return Artifact{}, seaworthy.Errorf(seaworthy.Unsupported, "asking who signed %q: the signature is over a whole file, and does not say which", name)
	}
	return DigestArtifact(name, seaworthy.Digest(u.hash+":"+hex.EncodeToString(u.digest)))
}

// Claimed is what a bundle says, checked by nobody.
type Claimed struct {
	Format      string           // "bundle v0.3", "cosign signature"
	Payload     []byte           // of an envelope, or a simple-signing payload; nil when an artifact was signed by itself
	PayloadType string           // of Payload
	Artifact    seaworthy.Digest // that was signed by itself; "" of envelopes, and where it is not said
	Signer      Signer           // never Proven
}

// UnsafeClaims returns what a bundle says without checking any of it: anybody can have written it. It is for showing
// and keeping beside a mark that says so, never for deciding.
func (u *Unverified) UnsafeClaims() Claimed {
	c := Claimed{Format: u.format, Payload: slices.Clone(u.payload), PayloadType: u.payloadType}
	if u.simple != nil {
		c.Payload, c.PayloadType = slices.Clone(u.simple), SimpleSigningType
	}
	if a, err := u.claimedArtifact(""); err == nil && !u.isEnvelope {
		c.Artifact = a.Digest()
	}
	c.Signer = (&verification{u: u}).signer()
	return c
}
