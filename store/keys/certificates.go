package keys

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// Chain returns the certificates in a PEM file, the first one first. When there is no file, generate makes them.
func (d *Dir) Chain(file string, generate func() ([]*x509.Certificate, error)) ([]*x509.Certificate, error) {
	body, err := d.Keep(file, func() ([]byte, error) {
		chain, err := generate()
		return EncodeChain(chain), err
	})
	if err != nil {
		return nil, err
	}
	var chain []*x509.Certificate
	for rest := body; len(bytes.TrimSpace(rest)) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "reading %q: something else than certificates in PEM", d.Path(file))
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading certificate %d of %q", len(chain)+1, d.Path(file))
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading %q: no certificate in it", d.Path(file))
	}
	return chain, nil
}

// EncodeChain writes certificates as PEM, one after the other.
func EncodeChain(chain []*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range chain {
		// Only a writer that fails makes this fail.
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return b.Bytes()
}

// NewSerial returns a random serial number of 159 bits: positive, and at most 20 bytes long (RFC 5280, 4.1.2.2).
func NewSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 159))
}

// LongLife is how long the certificates of authorities are good: ten years, from five minutes ago, because clocks
// differ.
func LongLife(now time.Time) (notBefore, notAfter time.Time) {
	return now.Add(-5 * time.Minute).UTC(), now.AddDate(10, 0, 0).UTC()
}

// Certify signs a certificate that is good for LongLife, and fills in its serial number and key identifier.
func Certify(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer, now time.Time) (*x509.Certificate, error) {
	serial, err := NewSerial()
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(spki)
	template.SerialNumber, template.SubjectKeyId = serial, sum[:20] // RFC 7093, method 1
	template.NotBefore, template.NotAfter = LongLife(now)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
