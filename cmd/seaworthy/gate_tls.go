package main

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"sync"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/keys"
)

const (
	// gateLife is how long a certificate that the gate makes for itself is good. The next one is made when a third of
	// it is left.
	gateLife = 7 * 24 * time.Hour
	// gateSkew is by how much the cluster's clock may be behind.
	gateSkew = 5 * time.Minute
)

// gateCertificates are what a gate serves with: made by an authority of its own, which is kept in a folder so that the
// cluster need be told of it once.
type gateCertificates struct {
	names     []string
	key       crypto.Signer // of the authority
	authority *x509.Certificate
	now       func() time.Time

	mu      sync.Mutex // held while serving is looked at or made
	serving *tls.Certificate
}

// openGateCertificates opens the authority in a folder, and makes it when there is none. names are those by which the
// cluster calls. Errors: those of the folder, Usage.
func openGateCertificates(dir *keys.Dir, names []string, now func() time.Time) (*gateCertificates, error) {
	if len(names) == 0 {
		return nil, seaworthy.Errorf(seaworthy.Usage, "a certificate needs a name").WithHint("say how the cluster calls the gate with --tls-name")
	}
	key, err := dir.Signer("gate-ca", keys.P256)
	if err != nil {
		return nil, err
	}
	chain, err := dir.Chain("gate-ca.pem", func() ([]*x509.Certificate, error) {
		template := &x509.Certificate{
			Subject: pkix.Name{CommonName: "seaworthy gate authority"}, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
		}
		cert, err := keys.Certify(template, template, key.Public(), key, now())
		return []*x509.Certificate{cert}, err
	})
	if err != nil {
		return nil, err
	}
	c := &gateCertificates{names: names, key: key, authority: chain[0], now: now}
	_, err = c.Get(nil)
	return c, err
}

// Bundle is what the cluster must believe, in PEM.
func (c *gateCertificates) Bundle() []byte { return keys.EncodeChain([]*x509.Certificate{c.authority}) }

// Get is tls.Config's GetCertificate: it makes the next certificate when it is time.
func (c *gateCertificates) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.serving != nil && now.Before(c.serving.Leaf.NotAfter.Add(-gateLife/3)) {
		return c.serving, nil
	}
	next, err := c.make(now)
	if err != nil {
		if c.serving != nil && now.Before(c.serving.Leaf.NotAfter) {
			return c.serving, nil // the next handshake tries again
		}
		return nil, err
	}
	c.serving = next
	return next, nil
}

func (c *gateCertificates) make(now time.Time) (*tls.Certificate, error) {
	key, err := keys.P256()
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "making a key")
	}
	serial, err := keys.NewSerial()
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "making a serial number")
	}
	until := now.Add(gateLife)
	if c.authority.NotAfter.Before(until) {
		until = c.authority.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "seaworthy gate"}, NotBefore: now.Add(-gateSkew), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, name := range c.names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.authority, key.Public(), c.key)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "making a certificate")
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "making a certificate")
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
