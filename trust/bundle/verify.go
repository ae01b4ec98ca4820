package bundle

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/trust/key"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// Options say what is demanded beyond the defaults: a certificate needs a log entry, a signed time and the promise
// of a certificate log; a bare key needs nothing else, but what is there of logs and times must be right.
type Options struct {
	// PredicateTypes are the types an attestation may have; it must be one then. None: any content.
	PredicateTypes []string
	// RequireLog demands a log entry of bare keys too.
	RequireLog bool
	// RequireTimestamp demands the time of a timestamp authority, beside that of a log.
	RequireTimestamp bool
	// UnsafeNoLog lets a certificate pass without a log entry: that its owner could notice misuse is gone.
	UnsafeNoLog bool
	// UnsafeNoSCT lets a certificate pass that no certificate log has promised to show.
	UnsafeNoSCT bool
}

// verification is one call of Verify.
type verification struct {
	u        *Unverified
	artifact Artifact
	accept   Accept
	root     *root.Root // may be nil when keys are accepted
	o        Options
	anybody  bool // WhoSigned: any identity and any of the keys is told

	key      key.Public // that signed; of the certificate, or the accepted one that fits
	proven   bool
	stmt     *intoto.Statement
	evidence Evidence
}

// Verify checks everything about a bundle: that it is about the artifact, who signed it, when, and that logs show it.
// trusted may be nil when only keys are accepted; what the bundle says of logs and times is then not looked at.
//
// Errors: Usage when nobody is accepted; Unmatched and Uncertified with a *Refusal when the answer is no; Invalid,
// Unsupported and TooLarge when what was signed cannot be read.
func Verify(u *Unverified, artifact Artifact, accept Accept, trusted *root.Root, o Options) (*Verified, error) {
	if u == nil || len(artifact.digests) == 0 {
		return nil, seaworthy.Errorf(seaworthy.Usage, "verifying without saying what must have been signed")
	}
	return verifyAll(u, artifact, accept, trusted, o)
}

// VerifyStatement checks everything about an attestation but what it is about: that is for the caller to read in the
// statement and to compare. name is for people. Errors: as Verify; Usage for a bundle without a statement.
func VerifyStatement(u *Unverified, name string, accept Accept, trusted *root.Root, o Options) (*Verified, error) {
	if u == nil || !u.isEnvelope {
		return nil, seaworthy.Errorf(seaworthy.Usage, "verifying %q: it is the signature of a file or image, and which one is not said", name).
			WithHint("verify the file and give this as --bundle")
	}
	return verifyAll(u, Artifact{name: name}, accept, trusted, o)
}

func verifyAll(u *Unverified, artifact Artifact, accept Accept, trusted *root.Root, o Options) (*Verified, error) {
	if err := accept.check(); err != nil {
		return nil, err
	}
	if trusted == nil && len(accept.Identities) > 0 {
		return nil, seaworthy.Errorf(seaworthy.Usage, "verifying an identity without a trusted root").WithHint("give --trusted-root FILE")
	}
	return (&verification{u: u, artifact: artifact, accept: accept, root: trusted, o: o}).run()
}

// run makes all checks.
func (v *verification) run() (verified *Verified, err error) {
	u, artifact := v.u, v.artifact
	defer func() { // the parsers of certificates, timestamps and log entries are not ours
		if r := recover(); r != nil {
			verified, err = nil, seaworthy.Errorf(seaworthy.Invalid, "verifying %q: a part of the bundle is broken (%v)", artifact.name, r)
		}
	}()
	for _, check := range []func() error{v.checkSigner, v.checkArtifact, v.checkSignature, v.checkLog, v.checkTime, v.checkCertificate, v.checkIdentity, v.checkPredicate} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	v.evidence.Artifact, v.evidence.Format, v.evidence.Signer = artifact.Digest(), u.format, v.signer()
	if v.root != nil {
		v.evidence.Root = &TrustedRoot{v.root.Name(), v.root.Digest()}
	}
	if v.stmt != nil {
		v.evidence.StatementType, v.evidence.PredicateType = v.stmt.Type, v.stmt.PredicateType
	}
	return &Verified{evidence: v.evidence, statement: v.stmt, payload: u.payload, payloadType: u.payloadType, simple: u.simple}, nil
}

// checkSigner: keys and certificates cannot stand for each other.
func (v *verification) checkSigner() error {
	switch {
	case v.anybody:
	case v.u.cert != nil && len(v.accept.Identities) == 0:
		return v.refuse(CheckSigner, "it is signed with a certificate, and only keys are accepted")
	case v.u.cert == nil && len(v.accept.Keys) == 0:
		return v.refuse(CheckSigner, "it is signed with a bare key, and only identities are accepted")
	}
	return nil
}

// checkArtifact: what was signed names the artifact. That is not proven yet; checkSignature is next.
func (v *verification) checkArtifact() error {
	u, a := v.u, v.artifact
	switch {
	case u.isEnvelope:
		if u.payloadType != intoto.PayloadType {
			return v.refuse(CheckArtifact, "the envelope holds a %q, which says nothing about artifacts", u.payloadType)
		}
		s, err := intoto.Parse(u.payload)
		if err != nil {
			return seaworthy.Wrap(err, seaworthy.Invalid, "verifying %q", a.name)
		}
		if len(a.digests) > 0 && !s.Matches(a.digests) { // none: VerifyStatement
			return v.refuse(CheckArtifact, "none of the %d subjects is %s; the first is %s", len(s.Subjects), a.Digest(), firstSubject(s))
		}
		v.stmt = s
	case u.simple != nil:
		image, err := simpleSigningImage(u.simple)
		if err != nil {
			return seaworthy.Wrap(err, seaworthy.Invalid, "verifying %q", a.name)
		}
		if image != a.Digest() {
			return v.refuse(CheckArtifact, "the signature is for %s, not %s", image, a.Digest())
		}
	case u.hash == "": // checkSignature takes only one over the whole file then
	default:
		have, ok := a.digests[u.hash]
		if !ok {
			return v.refuse(CheckArtifact, "the signature is for a %s digest, and only %s is known", u.hash, a.Digest())
		}
		if !bytes.Equal(have, u.digest) {
			return v.refuse(CheckArtifact, "the bundle is for %s:%s, not %s:%s", u.hash, hex.EncodeToString(u.digest), u.hash, hex.EncodeToString(have))
		}
	}
	return nil
}

func firstSubject(s *intoto.Statement) string {
	for _, alg := range []string{"sha256", "sha512", "sha384"} {
		if d, ok := s.Subjects[0].Digest[alg]; ok {
			return alg + ":" + d
		}
	}
	return "one without a digest of files"
}

// checkSignature: the signature is over that content, by the key of the certificate or one of the accepted keys.
func (v *verification) checkSignature() error {
	keys := v.accept.Keys
	if v.u.cert != nil {
		k, err := key.NewPublic(v.u.cert.PublicKey)
		if err != nil {
			return v.refuse(CheckCertificate, "%v", err)
		}
		keys = []key.Public{k}
	}
	var trouble error
	for _, k := range keys {
		err := v.signedBy(k)
		if err == nil {
			v.key = k
			v.proven = v.u.cert == nil
			return nil
		}
		if !errors.Is(err, errNotSigned) {
			trouble = err
		}
	}
	switch {
	case trouble != nil:
		return seaworthy.Wrap(trouble, seaworthy.Unmatched, "verifying %q", v.artifact.name)
	case v.u.cert != nil:
		return v.refuse(CheckSignature, "it is not the signature of the certificate's key over this content")
	case len(keys) == 1:
		return v.refuse(CheckSignature, "it is not the signature of the key %s over this content", keys[0].Digest())
	}
	return v.refuse(CheckSignature, "it is the signature of none of the %d keys over this content", len(keys))
}

var errNotSigned = errors.New("not signed by this key")

// signedBy checks the signature with a key in each of the ways it may have signed. Errors: errNotSigned, and those
// of reading the artifact.
func (v *verification) signedBy(k key.Public) error {
	use := key.Message
	if v.u.isEnvelope {
		use = key.Envelope
	}
	ways, err := k.Verifiers(use)
	if err != nil {
		return err
	}
	var trouble error = errNotSigned
	for _, way := range ways {
		if v.u.hash == "" && !v.u.isEnvelope && way.Hash != 0 {
			continue
		}
		message, digest, err := v.message(way.Hash)
		if err != nil {
			trouble = err
			continue
		}
		var opts []verify1
		if digest != nil {
			opts = append(opts, options.WithDigest(digest))
		}
		if way.VerifySignature(bytes.NewReader(v.u.signature), bytes.NewReader(message), opts...) == nil {
			return nil
		}
	}
	return trouble
}

// message is what the signature is over, or its digest.
func (v *verification) message(h crypto.Hash) (message, digest []byte, err error) {
	switch {
	case v.u.isEnvelope:
		return dsse.PAE(v.u.payloadType, v.u.payload), nil, nil
	case v.u.simple != nil:
		return v.u.simple, nil, nil
	case h == 0:
		message, err = v.artifact.whole()
		return message, nil, err
	}
	for name, f := range hashFuncs {
		if f == h {
			if digest, ok := v.artifact.digests[name]; ok {
				return nil, digest, nil
			}
		}
	}
	return nil, nil, errNotSigned
}

// checkTime collects what timestamp authorities say, beside the logs, and demands what must be there.
func (v *verification) checkTime() error {
	if v.root == nil {
		return nil
	}
	stamps := 0
	for i, response := range v.u.times {
		at, err := v.timestamp(response)
		if err != nil { // one by an authority we do not know can still be plainly wrong
			if other := root.TimestampOver(response, v.u.signature); other != nil {
				return v.refuse(CheckTime, "timestamp %d is not right: %v", i+1, other)
			}
		}
		var unknown x509.UnknownAuthorityError
		switch {
		case err == nil:
			stamps++
			v.evidence.Times = append(v.evidence.Times, Time{Source: "timestamp-authority", URI: at.URI, Time: at.Time.UTC()})
		case len(v.root.TimestampingAuthorities()) == 0:
			v.note("timestamp %d is not counted: the trusted root has no timestamp authorities", i+1)
		case errors.As(err, &unknown):
			v.note("timestamp %d is not counted: its authority is not in the trusted root", i+1)
		default:
			return v.refuse(CheckTime, "timestamp %d is not right: %v", i+1, err)
		}
	}
	if v.o.RequireTimestamp && stamps == 0 {
		return v.refuse(CheckTime, "no timestamp authority in the trusted root says when it was signed")
	}
	if v.u.cert != nil && len(v.evidence.Times) == 0 {
		return v.refuse(CheckTime, "neither a timestamp authority nor a log says when it was signed, and the certificate is valid for moments only%s", v.because())
	}
	for _, t := range v.evidence.Times {
		for _, l := range v.evidence.Logs {
			if t.Time.Before(l.from) || !l.until.IsZero() && t.Time.After(l.until) {
				return v.refuse(CheckLog, "the key of the log %q is not believed at %s", l.URI, t.Time.Format(time.RFC3339))
			}
		}
	}
	return nil
}

// timestamp asks every authority of the root.
func (v *verification) timestamp(response []byte) (*timestamp, error) {
	var first error
	for _, tsa := range v.root.TimestampingAuthorities() {
		at, err := tsa.Verify(response, v.u.signature)
		if err == nil {
			return at, nil
		}
		var unknown x509.UnknownAuthorityError
		if first == nil || !errors.As(err, &unknown) {
			first = err
		}
	}
	return nil, first
}

// checkCertificate: an authority of the root issued it, it was valid at each time somebody names, and a
// certificate log shows it.
func (v *verification) checkCertificate() error {
	if v.u.cert == nil {
		return nil
	}
	var chains [][]*x509.Certificate
	for _, t := range v.evidence.Times {
		var err error
		if chains, err = verify.VerifyLeafCertificate(t.Time, v.u.cert, v.root); err != nil {
			return v.refuse(CheckCertificate, "%s", v.whyNoChain(t.Time))
		}
	}
	for _, c := range chains[0] {
		v.evidence.Chain = append(v.evidence.Chain, Certificate{
			Subject: c.Subject.String(), Issuer: c.Issuer.String(), NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), Digest: seaworthy.SHA256(c.Raw),
		})
	}
	if v.o.UnsafeNoSCT {
		v.note("whether a certificate log shows the certificate was not checked")
	} else if err := v.root.VerifySCT(chains); err != nil {
		return v.refuse(CheckSCT, "no certificate log in the trusted root has promised to show the certificate (%v)", err)
	} else {
		v.evidence.SCT = true
	}
	v.proven = true
	return nil
}

// whyNoChain says what is wrong with the certificate at a time.
func (v *verification) whyNoChain(at time.Time) string {
	c := v.u.cert
	issuer := c.Issuer.String()
	if _, err := verify.VerifyLeafCertificate(c.NotBefore, c, v.root); err != nil {
		return "it was issued by " + quote(issuer) + ", which is no authority of the trusted root " + quote(v.root.Name())
	}
	return "it is valid from " + c.NotBefore.UTC().Format(time.RFC3339) + " to " + c.NotAfter.UTC().Format(time.RFC3339) +
		", and it was signed at " + at.Format(time.RFC3339)
}

// checkIdentity: the certificate names one of those who are accepted.
func (v *verification) checkIdentity() error {
	if v.u.cert == nil || v.anybody {
		return nil
	}
	var differs []string
	for _, id := range v.accept.Identities {
		d := id.differs(&v.u.identity)
		if d == "" {
			return nil
		}
		differs = append(differs, d)
	}
	return v.refuse(CheckIdentity, "%s", strings.Join(differs, "; "))
}

// SignPredicate is the type of the statement that says no more than that somebody signs an image.
const SignPredicate = "https://sigstore.dev/cosign/sign/v1"

// checkPredicate: a signature that is no attestation counts as one of type SignPredicate.
func (v *verification) checkPredicate() error {
	have := SignPredicate
	if v.stmt != nil {
		have = v.stmt.PredicateType
	}
	switch {
	case len(v.o.PredicateTypes) == 0 || slices.Contains(v.o.PredicateTypes, have):
		return nil
	case have == SignPredicate:
		return v.refuse(CheckPredicate, "it is a signature, not an attestation of type %q", v.o.PredicateTypes[0])
	case v.o.PredicateTypes[0] == SignPredicate:
		return v.refuse(CheckPredicate, "it is an attestation of type %q, not a signature", have)
	}
	return v.refuse(CheckPredicate, "its type is %q, not %q", have, v.o.PredicateTypes[0])
}

// signer says who signed, as far as that is known yet.
func (v *verification) signer() Signer {
	if v.u.cert == nil {
		s := Signer{Hint: v.u.hint, Proven: v.proven}
		if v.proven {
			s.Key = v.key.Digest()
		}
		return s
	}
	s := Signer{Identity: v.u.identity.SubjectAlternativeName, Issuer: v.u.identity.Issuer, Proven: v.proven}
	for name, claim := range claims {
		if value := claim(&v.u.identity.Extensions); value != "" {
			if s.Claims == nil {
				s.Claims = map[string]string{}
			}
			s.Claims[name] = value
		}
	}
	return s
}
