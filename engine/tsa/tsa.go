// Package tsa is a time-stamping authority (RFC 3161): it signs that a hash existed at a time.
//
//	a, err := tsa.Open(keys, nil)
//	answer, err := a.Stamp(query, time.Now())
//
// Its certificates are made with it: a root and an intermediate whose private keys are thrown away once they have
// signed, so nobody can ever make a second authority below them, and the one that stamps.
package tsa

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"sync"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/sigstore/timestamp-authority/v2/pkg/verification"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/keys"
)

// The limits.
const (
	// MaxQuery is the longest query, in bytes: a hash, a nonce and a few identifiers.
	MaxQuery = 16 << 10
	// Accuracy is what every stamp says of itself.
	Accuracy = time.Second
)

// policy is what a stamp is made under. It is the one the field's other authorities name.
var policy = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2}

// Authority stamps.
type Authority struct {
	key   crypto.Signer
	chain []*x509.Certificate // the one that stamps, then those above it

	mu   sync.Mutex
	last time.Time // of the newest stamp: time does not go back
}

// Open opens the authority whose key and certificates are in a folder, and makes them when they are not there.
func Open(dir *keys.Dir, now time.Time) (*Authority, error) {
	key, err := dir.Signer("tsa", keys.P256)
	if err != nil {
		return nil, err
	}
	chain, err := dir.Chain("tsa.pem", func() ([]*x509.Certificate, error) { return newChain(key, now) })
	if err != nil {
		return nil, err
	}
	return New(key, chain)
}

// New makes an authority of a key and its certificates. Errors: Mismatch when they do not belong together.
func New(key crypto.Signer, chain []*x509.Certificate) (*Authority, error) {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(chain[0].PublicKey) {
		return nil, seaworthy.Errorf(seaworthy.Mismatch, "opening the time-stamping authority: its key is not that of its certificate")
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(chain[len(chain)-1])
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: chain[0].NotBefore.Add(time.Minute),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
	}); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Mismatch, "opening the time-stamping authority")
	}
	return &Authority{key: key, chain: chain}, nil
}

// Chain returns the certificates, the one that stamps first.
func (a *Authority) Chain() []*x509.Certificate { return a.chain }

// Stamp answers a query in DER. Errors: TooLarge, Invalid, Unsupported for weak hashes, other policies and
// extensions; Unavailable when the clock cannot be right.
func (a *Authority) Stamp(query []byte, now time.Time) ([]byte, error) {
	if len(query) > MaxQuery {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading a time-stamp query: more than %d bytes", MaxQuery)
	}
	q, err := timestamp.ParseRequest(query)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading a time-stamp query")
	}
	if err := verification.VerifyRequest(q); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Unsupported, "reading a time-stamp query")
	}
	switch {
	case len(q.TSAPolicyOID) > 0 && !q.TSAPolicyOID.Equal(policy):
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "reading a time-stamp query: policy %s is not ours, which is %s", q.TSAPolicyOID, policy)
	case len(q.Extensions) > 0:
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "reading a time-stamp query: it has extensions")
	}
	if now, err = a.forward(now); err != nil {
		return nil, err
	}
	stamp := timestamp.Timestamp{
		HashAlgorithm: q.HashAlgorithm, HashedMessage: q.HashedMessage, Nonce: q.Nonce,
		// GeneralizedTime is in Greenwich (RFC 5280, 4.1.2.5.2).
		Time: now.UTC(), Policy: policy, Accuracy: Accuracy, AddTSACertificate: q.Certificates,
	}
	answer, err := stamp.CreateResponseWithOpts(a.chain[0], a.key, crypto.SHA256)
	return answer, seaworthy.Wrap(err, seaworthy.Internal, "signing a time stamp")
}

// forward refuses times before the newest stamp or outside the certificate's life.
func (a *Authority) forward(now time.Time) (time.Time, error) {
	if now.Before(a.chain[0].NotBefore) || now.After(a.chain[0].NotAfter) {
		return now, seaworthy.Errorf(seaworthy.Unavailable, "stamping: by the clock of this machine, %s, the authority's certificate is not valid", now.UTC().Format(time.RFC3339))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Before(a.last.Add(-Accuracy)) {
		return now, seaworthy.Errorf(seaworthy.Unavailable, "stamping: the clock of this machine went back, to %s", now.UTC().Format(time.RFC3339))
	}
	if now.After(a.last) {
		a.last = now
	}
	return now, nil
}

// newChain makes a root, an intermediate, and a certificate for key. RFC 3161, 2.3 wants the extended key usage
// of the last one critical.
func newChain(key crypto.Signer, now time.Time) ([]*x509.Certificate, error) {
	rootKey, err := keys.P384()
	if err != nil {
		return nil, err
	}
	betweenKey, err := keys.P384()
	if err != nil {
		return nil, err
	}
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	if err != nil {
		return nil, err
	}
	authority := func(name string) *x509.Certificate {
		return &x509.Certificate{
			Subject: pkix.Name{Organization: []string{"Seaworthy"}, CommonName: name}, IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
	}
	root := authority("Seaworthy time-stamping root")
	between := authority("Seaworthy time-stamping intermediate")
	between.MaxPathLenZero, between.ExtKeyUsage = true, []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}
	stamping := &x509.Certificate{
		Subject:         pkix.Name{Organization: []string{"Seaworthy"}, CommonName: "Seaworthy time-stamping"},
		KeyUsage:        x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}},
	}
	if root, err = keys.Certify(root, root, rootKey.Public(), rootKey, now); err != nil {
		return nil, err
	}
	if between, err = keys.Certify(between, root, betweenKey.Public(), rootKey, now); err != nil {
		return nil, err
	}
	if stamping, err = keys.Certify(stamping, between, key.Public(), betweenKey, now); err != nil {
		return nil, err
	}
	return []*x509.Certificate{stamping, between, root}, nil
}
