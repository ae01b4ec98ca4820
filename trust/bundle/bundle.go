// Package bundle says who signed something, and believes nothing before it has checked it.
//
//	u, err := bundle.Parse(file)                                         // Unverified: nothing to read by mistake
//	v, err := bundle.Verify(u, artifact, accept, trusted, bundle.Options{}) // Verified
//	use(v.Statement())
//
// It reads Sigstore bundles v0.1 to v0.3 (protobuf-specs, sigstore_bundle.proto) and, through Cosign, the
// signatures and attestations that cosign keeps in image layers. There is one door: only Verify makes a Verified (WhoSigned tells who signed and makes none),
// and everything to be trusted (what must have been signed, who may have signed it, the roots) is an argument of it
// without a default. Refusals are a *Refusal: which check said no, about what, and who did sign.
//
// Verify asks neither network nor clock. It trusts the time that a timestamp authority or a log put its name to.
package bundle

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	sigbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/exactjson"
)

// MediaType is that of the bundles that are written, and of the manifests and layers that hold them.
const MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// MaxBytes is how large a bundle may be: 64 MiB, because an attestation holds a whole bill of materials.
const MaxBytes = 64 << 20

// Limits of what one bundle may hold.
const (
	maxEntries    = 32
	maxTimestamps = 32
)

// Unverified is a bundle nobody has checked yet. What it says cannot be read.
type Unverified struct {
	format string // how it was kept: "v0.3", "cosign signature" …
	// version decides which proofs a log entry must have.
	version string

	digest      []byte // of messages: what it says was signed, with hash
	hash        string // "sha256"; "" when the signature can only be over the whole file
	signature   []byte
	payloadType string // of envelopes
	payload     []byte
	isEnvelope  bool

	// simple is a simple-signing payload: the message itself, which names an image.
	simple []byte

	cert     *x509.Certificate   // nil when it was signed with a bare key
	identity certificate.Summary // of cert
	hint     string

	entries []logEntry
	times   [][]byte

	sig     verify.SignatureContent
	content verify.VerificationContent
}

// logEntry is an entry as the bundle has it, and as it was understood: entry is nil when trouble says why not. An
// entry whose parts contradict each other is a reason to refuse, not damage of the bundle.
type logEntry struct {
	proto   *protorekor.TransparencyLogEntry
	entry   *tlog.Entry
	trouble error
}

// Parse reads a Sigstore bundle. Errors: Invalid, TooLarge, Unsupported.
func Parse(b []byte) (*Unverified, error) {
	if len(b) > MaxBytes {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading a bundle: more than %d bytes", MaxBytes)
	}
	if err := exactjson.Check(b); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading a bundle")
	}
	var p protobundle.Bundle
	if err := protojson.Unmarshal(b, &p); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading a bundle: %w", err).
			WithHint("a bundle is what sign --bundle writes; give a detached signature with --signature")
	}
	u, err := fromProto(&p)
	return u, seaworthy.Wrap(err, seaworthy.Invalid, "reading a bundle")
}

// fromProto takes a bundle apart once; verification only looks at what is found here.
func fromProto(p *protobundle.Bundle) (u *Unverified, err error) {
	defer func() { // the parsers of certificates and log entries are not ours
		if r := recover(); r != nil {
			u, err = nil, seaworthy.Errorf(seaworthy.Invalid, "a part of it is missing or broken (%v)", r)
		}
	}()
	if m := p.GetVerificationMaterial(); len(m.GetTlogEntries()) > maxEntries || len(m.GetTimestampVerificationData().GetRfc3161Timestamps()) > maxTimestamps {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "more than %d log entries or %d timestamps", maxEntries, maxTimestamps)
	}
	var entries []logEntry
	for _, e := range p.GetVerificationMaterial().GetTlogEntries() {
		if err := exactjson.Check(e.GetCanonicalizedBody()); err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading the body of a log entry")
		}
		parsed, err := tlog.ParseTransparencyLogEntry(e)
		entries = append(entries, logEntry{e, parsed, err})
	}
	if m := p.GetVerificationMaterial(); m != nil {
		m.TlogEntries = nil // read above; what each must have depends on its log, see checkEntry
	}
	sb, err := sigbundle.NewBundle(p)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "%w", err)
	}
	u = &Unverified{entries: entries}
	if u.version, err = sb.Version(); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "%w", err)
	}
	u.format = "bundle " + u.version
	if u.times, err = sb.Timestamps(); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "%w", err)
	}
	if u.sig, err = sb.SignatureContent(); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "%w", err)
	}
	if u.content, err = sb.VerificationContent(); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "%w", err)
	}
	if err := u.readContent(p); err != nil {
		return nil, err
	}
	if err := u.readSigner(); err != nil {
		return nil, err
	}
	return u, nil
}

func (u *Unverified) readContent(p *protobundle.Bundle) error {
	if e := p.GetDsseEnvelope(); e != nil {
		if n := len(e.GetSignatures()); n != 1 {
			return seaworthy.Errorf(seaworthy.Invalid, "its envelope has %d signatures; a bundle has one", n)
		}
		u.isEnvelope, u.payloadType, u.payload, u.signature = true, e.GetPayloadType(), e.GetPayload(), e.GetSignatures()[0].GetSig()
	} else {
		m := p.GetMessageSignature()
		u.digest, u.signature = m.GetMessageDigest().GetDigest(), m.GetSignature()
		hash, ok := hashNames[m.GetMessageDigest().GetAlgorithm()]
		// cosign leaves the digest out when an Ed25519 key signs a whole file.
		bare := m.GetMessageDigest().GetAlgorithm() == 0 && len(u.digest) == 0 && p.GetVerificationMaterial().GetPublicKey() != nil
		if !ok && !bare {
			return seaworthy.Errorf(seaworthy.Unsupported, "its digest is a %s", m.GetMessageDigest().GetAlgorithm())
		}
		u.hash = hash
	}
	if len(u.signature) == 0 {
		return seaworthy.Errorf(seaworthy.Invalid, "there is no signature in it")
	}
	return nil
}

func (u *Unverified) readSigner() error {
	if k := u.content.PublicKey(); k != nil {
		u.hint = k.Hint()
		return nil
	}
	u.cert = u.content.Certificate()
	if u.cert == nil {
		return seaworthy.Errorf(seaworthy.Invalid, "it has neither a certificate nor a key")
	}
	var err error
	if u.identity, err = certificate.SummarizeCertificate(u.cert); err != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "its certificate names nobody: %w", err)
	}
	if n := len(u.cert.URIs) + len(u.cert.EmailAddresses) + len(u.cert.DNSNames) + len(u.cert.IPAddresses); n > 1 {
		return seaworthy.Errorf(seaworthy.Unsupported, "its certificate has %d names; which of them signed cannot be told", n)
	}
	// The standard library does not know OtherName, which Fulcio uses for user names; SummarizeCertificate has read it.
	var rest []asn1.ObjectIdentifier
	for _, oid := range u.cert.UnhandledCriticalExtensions {
		if !oid.Equal(cryptoutils.SANOID) {
			rest = append(rest, oid)
		}
	}
	u.cert.UnhandledCriticalExtensions = rest
	return nil
}

// entity shows sigstore-go what was taken apart, so that nothing is parsed twice.
type entity struct{ u *Unverified }

func (e entity) HasInclusionPromise() bool { return true }
func (e entity) HasInclusionProof() bool   { return true }
func (e entity) SignatureContent() (verify.SignatureContent, error) {
	return e.u.sig, nil
}
func (e entity) Timestamps() ([][]byte, error)       { return e.u.times, nil }
func (e entity) TlogEntries() ([]*tlog.Entry, error) { return nil, nil } // see single
func (e entity) VerificationContent() (verify.VerificationContent, error) {
	return e.u.content, nil
}
func (e entity) Version() (string, error) { return e.u.version, nil }

// LooksLike reports whether bytes may be a Sigstore bundle, without reading them.
func LooksLike(b []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) && bytes.Contains(b, []byte("application/vnd.dev.sigstore.bundle"))
}

func encode64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
