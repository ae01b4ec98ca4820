// Package sign makes bundles: it signs a file, an image or a statement about one, with a key of the person's own or
// with one that lives for a moment and that a certificate authority vouches for, and has logs and timestamp
// authorities confirm it.
//
// Whom to ask is the caller's: nothing leaves the machine that is not in Options. What is made is read and verified
// again before it is given out.
package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"

	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
	"github.com/seaworthy-dev/seaworthy/trust/key"
)

// Authority gives short-lived certificates to who shows an identity token.
type Authority interface {
	// Certify returns a certificate (DER) for the key, which proves itself by signing the token's subject.
	// Errors: Unauthorized, Unavailable, Invalid.
	Certify(ctx context.Context, token string, k key.Private) ([]byte, error)
}

// Log shows signatures to everybody.
type Log interface {
	// Add returns the entry, with its proof. Errors: Unavailable, Invalid, Refused.
	Add(ctx context.Context, e Entry) (*protorekor.TransparencyLogEntry, error)
}

// Entry is what a log is asked to show.
type Entry struct {
	Digest      []byte // of what was signed: of envelopes, of their PAE
	Hash        crypto.Hash
	Signature   []byte
	Key         key.Public
	Certificate []byte // DER; nil for bare keys
	// PureEd25519 says that the signature is over what was signed and not over Digest.
	PureEd25519 bool
}

// Timestamper says when it saw a signature.
type Timestamper interface {
	// Timestamp returns an RFC 3161 response over the signature. Errors: Unavailable, Invalid.
	Timestamp(ctx context.Context, signature []byte) ([]byte, error)
}

// Options say who signs, and who confirms it.
type Options struct {
	Key          key.Private   // the person's own; the zero value: a key for the moment, certified by Authority
	Authority    Authority     // needed without Key
	Token        string        // identity token, needed without Key
	Logs         []Log         // all of them
	Timestampers []Timestamper // all of them
}

// keyless reports whether a key of the moment signs.
func (o Options) keyless() bool { return o.Key.Public().Key() == nil }

// Signed is what was made.
type Signed struct {
	Bundle        []byte // v0.3, JSON
	PredicateType string // of statements
	Key           key.Public
	Certificate   *x509.Certificate // nil for bare keys
}

// identity is who signs this time.
type identity struct {
	key  key.Private
	cert []byte
}

func (o Options) identity(ctx context.Context) (identity, error) {
	if !o.keyless() {
		return identity{key: o.Key}, nil
	}
	if o.Authority == nil || o.Token == "" {
		return identity{}, seaworthy.Errorf(seaworthy.Usage, "signing without a key and without an identity").
			WithHint("give --key FILE, or an identity token and a certificate authority")
	}
	if len(o.Logs) == 0 && len(o.Timestampers) == 0 {
		return identity{}, seaworthy.Errorf(seaworthy.Usage, "signing with a certificate that lives for minutes, and nobody to say when").
			WithHint("name a log or a timestamp authority; a signing config does")
	}
	raw, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity{}, seaworthy.Wrap(err, seaworthy.Internal, "making a key")
	}
	k, err := key.NewPrivate(raw)
	if err != nil {
		return identity{}, err
	}
	cert, err := o.Authority.Certify(ctx, o.Token, k)
	return identity{k, cert}, seaworthy.Wrap(err, seaworthy.Unavailable, "getting a certificate")
}

// Artifact signs a file, or anything of which the digests are known. Errors: Usage, Unsupported, those of the
// authorities.
func Artifact(ctx context.Context, a bundle.Artifact, o Options) (*Signed, error) {
	who, err := o.identity(ctx)
	if err != nil {
		return nil, err
	}
	h := who.key.Public().Hash(key.Message)
	digest := a.Sum(h)
	if digest == nil {
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "signing %q with a key of kind %s: its %s is not known", a.Name(), who.key.Public().Kind(), h)
	}
	sig, err := who.key.SignDigest(digest)
	if err != nil {
		return nil, err
	}
	d, err := bundle.DraftMessage(a, h, sig)
	if err != nil {
		return nil, err
	}
	out, err := o.confirm(ctx, d, who, Entry{Digest: digest, Hash: h, Signature: sig})
	if err != nil {
		return nil, err
	}
	return out, o.check(out, a)
}

// Statement signs an in-toto statement in an envelope. Errors: as Artifact; Invalid, TooLarge.
func Statement(ctx context.Context, s *intoto.Statement, o Options) (*Signed, error) {
	payload, err := s.Marshal()
	if err != nil {
		return nil, err
	}
	who, err := o.identity(ctx)
	if err != nil {
		return nil, err
	}
	pae := bundle.PAE(intoto.PayloadType, payload)
	sig, err := who.key.Sign(bytes.NewReader(pae), key.Envelope)
	if err != nil {
		return nil, err
	}
	h := who.key.Public().Hash(key.Envelope)
	w := h.New()
	w.Write(pae)
	out, err := o.confirm(ctx, bundle.DraftEnvelope(intoto.PayloadType, payload, sig), who, Entry{
		Digest: w.Sum(nil), Hash: h, Signature: sig, PureEd25519: who.key.Public().Kind() == "Ed25519",
	})
	if err != nil {
		return nil, err
	}
	out.PredicateType = s.PredicateType
	return out, o.check(out, bundle.Artifact{})
}

// confirm has everybody in the options confirm the signature.
func (o Options) confirm(ctx context.Context, d *bundle.Draft, who identity, e Entry) (*Signed, error) {
	out := &Signed{Key: who.key.Public()}
	e.Key, e.Certificate = out.Key, who.cert
	if who.cert == nil {
		d.Key(out.Key)
	} else {
		var err error
		if out.Certificate, err = x509.ParseCertificate(who.cert); err != nil {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the certificate that the authority gave: %w", err)
		}
		if got, err := key.NewPublic(out.Certificate.PublicKey); err != nil || !got.Equal(out.Key) {
			return nil, seaworthy.Errorf(seaworthy.Mismatch, "the certificate that the authority gave is for another key")
		}
		d.Certificate(who.cert)
	}
	for _, t := range o.Timestampers { // first: a log may take its time, and the certificate's is short
		response, err := t.Timestamp(ctx, e.Signature)
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Unavailable, "getting a timestamp")
		}
		d.Timestamped(response)
	}
	for _, l := range o.Logs {
		entry, err := l.Add(ctx, e)
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Unavailable, "logging the signature")
		}
		d.Logged(entry)
	}
	var err error
	out.Bundle, err = d.Marshal()
	return out, err
}

// check reads what was made and verifies the signature of a bare key; of certificates that is for who has the root.
func (o Options) check(s *Signed, a bundle.Artifact) error {
	u, err := bundle.Parse(s.Bundle)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Internal, "reading what was signed")
	}
	if s.Certificate != nil {
		return nil
	}
	accept := bundle.Accept{Keys: []key.Public{s.Key}}
	if a.Digest() == "" {
		_, err = bundle.VerifyStatement(u, "what was signed", accept, nil, bundle.Options{})
	} else {
		_, err = bundle.Verify(u, a, accept, nil, bundle.Options{})
	}
	if err != nil {
		return seaworthy.Errorf(seaworthy.Internal, "verifying what was signed: %w", err)
	}
	return nil
}
