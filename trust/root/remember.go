package root

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"sync"
	"time"

	sigroot "github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/seaworthy-dev/seaworthy"
)

// memory remembers answers by the digest of the whole question, and forgets everything when it is full: what is
// asked often is soon there again.
type memory[T any] struct {
	mu sync.Mutex // held while answers is read or written, never while an answer is found
	// answers holds good ones only: who sends rubbish must not push out what is used.
	answers map[[sha256.Size]byte]T
}

func (m *memory[T]) get(key [sha256.Size]byte) (T, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.answers[key]
	return v, ok
}

func (m *memory[T]) put(key [sha256.Size]byte, v T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.answers == nil || len(m.answers) >= remembered {
		m.answers = make(map[[sha256.Size]byte]T)
	}
	m.answers[key] = v
}

// rememberingCA verifies chains as the authority does, each certificate at each time once. Chains depend on
// nothing else: the authority's certificates and validity never change within a Root.
type rememberingCA struct {
	sigroot.CertificateAuthority
	chains memory[[][]*x509.Certificate]
}

func (ca *rememberingCA) Verify(cert *x509.Certificate, at time.Time) ([][]*x509.Certificate, error) {
	h := sha256.New()
	var when [8]byte
	binary.BigEndian.PutUint64(when[:], uint64(at.Unix()))
	h.Write(when[:])
	binary.BigEndian.PutUint64(when[:], uint64(at.Nanosecond()))
	h.Write(when[:])
	h.Write(cert.Raw)
	key := [sha256.Size]byte(h.Sum(nil))
	if chains, ok := ca.chains.get(key); ok {
		return chains, nil
	}
	chains, err := ca.CertificateAuthority.Verify(cert, at)
	if err == nil {
		ca.chains.put(key, chains)
	}
	return chains, err
}

// rememberingTSA verifies timestamps as the authority does, each over each signature once.
type rememberingTSA struct {
	sigroot.TimestampingAuthority
	times memory[sigroot.Timestamp]
}

func (tsa *rememberingTSA) Verify(response, signed []byte) (*sigroot.Timestamp, error) {
	h := sha256.New()
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(response)))
	h.Write(n[:])
	h.Write(response)
	h.Write(signed)
	key := [sha256.Size]byte(h.Sum(nil))
	if ts, ok := tsa.times.get(key); ok {
		return &ts, nil
	}
	ts, err := verifyTimestamp(tsa.TimestampingAuthority, response, signed)
	if err == nil {
		tsa.times.put(key, *ts)
	}
	return ts, err
}

// LogEntry asks prove what the logs of the root say of an entry, each question once. question must be a digest of
// everything the answer depends on but the root.
func (r *Root) LogEntry(question [sha256.Size]byte, prove func() ([]sigroot.Timestamp, error)) ([]sigroot.Timestamp, error) {
	if times, ok := r.entries.get(question); ok {
		return times, nil
	}
	times, err := prove()
	if err == nil {
		r.entries.put(question, times)
	}
	return times, err
}

// VerifySCT checks that a certificate log that is believed has promised to show the certificate at the beginning of
// the chains (RFC 6962, 3.2), each certificate once.
func (r *Root) VerifySCT(chains [][]*x509.Certificate) error {
	h := sha256.New()
	for _, chain := range chains {
		for _, c := range chain[:min(len(chain), 2)] {
			sum := sha256.Sum256(c.Raw)
			h.Write(sum[:])
		}
		h.Write([]byte{'/'})
	}
	key := [sha256.Size]byte(h.Sum(nil))
	if _, ok := r.promises.get(key); ok {
		return nil
	}
	if err := verify.VerifySignedCertificateTimestamp(chains, 1, r); err != nil {
		return err
	}
	r.promises.put(key, struct{}{})
	return nil
}

// PublicKeyVerifier is for verifiers: a root has no keys of signers.
func (r *Root) PublicKeyVerifier(string) (sigroot.TimeConstrainedVerifier, error) {
	return nil, seaworthy.Errorf(seaworthy.NotFound, "a trusted root has no keys of signers")
}

func keyKind(k crypto.PublicKey) string {
	switch k := k.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	case *rsa.PublicKey:
		return "RSA"
	}
	return ""
}
