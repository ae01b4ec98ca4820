// Package key is about the keys people sign with: ECDSA on P-256, P-384 and P-521, Ed25519, and RSA from 2048 bits.
// It makes them, reads and writes the password-protected files that cosign uses, imports the usual PEM forms, and
// knows with which hash each kind signs.
//
// It never prints a private key, and errors here never quote what a file holds.
package key

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/seaworthy-dev/seaworthy"
)

// MaxFileBytes is how much of a key file is read: 64 KiB, an RSA key of 16384 bits is 13.
const MaxFileBytes = 64 << 10

// minRSABits is the smallest RSA key that is used, maxRSABits the largest (each costs its square).
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// Public is a public key. The zero value is none.
type Public struct {
	key crypto.PublicKey
	der []byte // SubjectPublicKeyInfo
}

// NewPublic checks a key. Errors: Unsupported for kinds and sizes we do not use.
func NewPublic(k crypto.PublicKey) (Public, error) {
	switch k := k.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
		default:
			return Public{}, seaworthy.Errorf(seaworthy.Unsupported, "an ECDSA key on curve %s; P-256, P-384 and P-521 are used", k.Curve.Params().Name)
		}
	case ed25519.PublicKey:
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return Public{}, seaworthy.Errorf(seaworthy.Unsupported, "an RSA key of %d bits; from %d to %d are used", bits, minRSABits, maxRSABits)
		}
	default:
		return Public{}, seaworthy.Errorf(seaworthy.Unsupported, "a key of kind %T; ECDSA, Ed25519 and RSA are used", k)
	}
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		return Public{}, seaworthy.Errorf(seaworthy.Invalid, "a broken key: %w", err)
	}
	return Public{k, der}, nil
}

// ParsePublic reads a PEM file with a public key, or with a certificate, whose key it takes.
// Errors: Invalid, Unsupported.
func ParsePublic(b []byte) (Public, error) {
	block, _ := pem.Decode(b)
	if block == nil {
		return Public{}, seaworthy.Errorf(seaworthy.Invalid, "it is no PEM file").WithHint("a public key file begins with -----BEGIN PUBLIC KEY-----")
	}
	var k crypto.PublicKey
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		k, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		k, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(block.Bytes); err == nil {
			k = c.PublicKey
		}
	default:
		if isPrivate(block.Type) {
			return Public{}, seaworthy.Errorf(seaworthy.Invalid, "it is a private key").WithHint("give the public one; seaworthy keygen writes it beside the private one as .pub")
		}
		return Public{}, seaworthy.Errorf(seaworthy.Unsupported, "it is a PEM file with a %q, not a public key", block.Type)
	}
	if err != nil {
		return Public{}, seaworthy.Errorf(seaworthy.Invalid, "its public key is broken: %w", err)
	}
	return NewPublic(k)
}

// Key returns the key as the standard library has it.
func (p Public) Key() crypto.PublicKey { return p.key }

// DER returns the SubjectPublicKeyInfo (RFC 5280, 4.1.2.7).
func (p Public) DER() []byte { return p.der }

// PEM returns the key as a PEM file.
func (p Public) PEM() []byte { return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: p.der}) }

// Digest names the key: the SHA-256 of its DER.
func (p Public) Digest() seaworthy.Digest { return seaworthy.SHA256(p.der) }

// Hint is how bundles name the key: the base64 of the SHA-256 of its DER, as cosign writes it.
func (p Public) Hint() string {
	sum := sha256.Sum256(p.der)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Kind names the kind of key for people: "ECDSA P-256", "Ed25519", "RSA 3072".
func (p Public) Kind() string {
	switch k := p.key.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	}
	return "none"
}

// Equal reports whether two keys are the same.
func (p Public) Equal(other Public) bool { return p.key != nil && string(p.der) == string(other.der) }

// Use is what a signature is over, which decides how Ed25519 keys sign.
type Use int

// The uses.
const (
	// Message is a file of any size: Ed25519 keys sign its SHA-512 (Ed25519ph), because logs and timestamps know
	// only digests.
	Message Use = iota
	// Envelope is the small text that a DSSE envelope signs (PAE): Ed25519 keys sign it as it is.
	Envelope
)

func (u Use) options() []signature.LoadOption {
	if u == Message {
		return []signature.LoadOption{options.WithED25519ph()}
	}
	return nil
}

// Hash returns the hash with which the key signs, and which its log entries name.
func (p Public) Hash(use Use) crypto.Hash {
	d, err := signature.GetDefaultAlgorithmDetails(p.key, use.options()...)
	if err != nil {
		return crypto.SHA256
	}
	if h := d.GetHashType(); h != 0 {
		return h
	}
	return crypto.SHA512 // pure Ed25519 uses it within
}

// Verifier checks signatures of one key in one way.
type Verifier struct {
	signature.Verifier
	Hash crypto.Hash // of the message; 0 when the signature is over the message itself
}

// Verifiers returns what may check a signature of the key, most likely first: as keys sign today, and as older
// tools did (P-384 and P-521 with SHA-256, Ed25519 of the whole message). Errors: Unsupported.
func (p Public) Verifiers(use Use) ([]Verifier, error) {
	fail := func(err error) ([]Verifier, error) {
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "using a key of kind %s: %w", p.Kind(), err)
	}
	details, err := signature.GetDefaultAlgorithmDetails(p.key, use.options()...)
	if err != nil {
		return fail(err)
	}
	first, err := signature.LoadDefaultVerifier(p.key, use.options()...)
	if err != nil {
		return fail(err)
	}
	all := []Verifier{{first, details.GetHashType()}}
	switch k := p.key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			old, err := signature.LoadECDSAVerifier(k, crypto.SHA256)
			if err != nil {
				return fail(err)
			}
			all = append(all, Verifier{old, crypto.SHA256})
		}
	case ed25519.PublicKey:
		if use == Message {
			old, err := signature.LoadED25519Verifier(k)
			if err != nil {
				return fail(err)
			}
			all = append(all, Verifier{old, 0})
		}
	}
	return all, nil
}

// Private is a private key. The zero value is none. It is never printed.
type Private struct {
	key crypto.Signer
	pub Public
}

// NewPrivate checks a key. Errors: Unsupported, Invalid.
func NewPrivate(k crypto.PrivateKey) (Private, error) {
	s, ok := k.(crypto.Signer)
	if !ok {
		return Private{}, seaworthy.Errorf(seaworthy.Unsupported, "a private key of kind %T", k)
	}
	pub, err := NewPublic(s.Public())
	if err != nil {
		return Private{}, err
	}
	if r, ok := k.(*rsa.PrivateKey); ok {
		if err := r.Validate(); err != nil {
			return Private{}, seaworthy.Errorf(seaworthy.Invalid, "a broken RSA key")
		}
	}
	//lint:ignore SA1019 refuses weak keys for as long as it is there
	if err := cryptoutils.ValidatePubKey(pub.key); err != nil {
		return Private{}, seaworthy.Errorf(seaworthy.Unsupported, "a key that is not safe to use: %w", err)
	}
	return Private{s, pub}, nil
}

// Public returns the public half.
func (p Private) Public() Public { return p.pub }

// Sign signs what r gives. Ed25519 envelopes are read into memory as a whole, all else is hashed as it passes.
// Errors: Storage from r, Internal.
func (p Private) Sign(r io.Reader, use Use) ([]byte, error) {
	s, err := signature.LoadDefaultSigner(p.key, use.options()...)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "using a key of kind %s: %w", p.pub.Kind(), err)
	}
	sig, err := s.SignMessage(r)
	return sig, seaworthy.Wrap(err, seaworthy.Internal, "signing with a key of kind %s", p.pub.Kind())
}

// SignDigest signs the digest that Public().Hash(Message) makes of a message. Errors: Internal.
func (p Private) SignDigest(digest []byte) ([]byte, error) {
	s, err := signature.LoadDefaultSigner(p.key, Message.options()...)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "using a key of kind %s: %w", p.pub.Kind(), err)
	}
	sig, err := s.SignMessage(nil, options.WithDigest(digest), options.WithCryptoSignerOpts(p.pub.Hash(Message)))
	return sig, seaworthy.Wrap(err, seaworthy.Internal, "signing with a key of kind %s", p.pub.Kind())
}

// Signer returns the key as the standard library has it.
func (p Private) Signer() crypto.Signer { return p.key }

// String keeps the key out of messages and logs.
func (p Private) String() string { return "private key of " + string(p.pub.Digest()) }

// GoString keeps it out of %#v.
func (p Private) GoString() string { return p.String() }

// Format keeps it out of every other verb.
func (p Private) Format(s fmt.State, _ rune) { io.WriteString(s, p.String()) }
