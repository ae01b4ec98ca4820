package kube

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seaworthy-dev/seaworthy"
)

// Defaults of CertificateOptions.
const (
	DefaultLifetime = 90 * 24 * time.Hour
	DefaultSettle   = time.Minute
)

// CertificateOptions say what the API server is served with.
type CertificateOptions struct {
	Namespace string   // of the secret
	Secret    string   // its name
	Hosts     []string // names and addresses that the API server calls us by; at least one
	// Lifetime is how long a certificate is valid; the next is made when a third of it is left. 0: DefaultLifetime.
	Lifetime time.Duration
	// Settle is how long to wait between telling the API server of the next authority and serving with its
	// certificate: every replica of the API server must have heard. 0: DefaultSettle.
	Settle time.Duration
	// Told tells the API server which authorities to believe (PEM). The next certificate is not used before it
	// has succeeded.
	Told  func(ctx context.Context, bundle []byte) error
	Log   *slog.Logger // nil: none
	Agent string
}

// Certificates are what the API server is served with. They are kept in a secret, so that all replicas of the gate
// serve the same, and renewed in good time: each by an authority of its own, whose key is forgotten when it has
// signed its one certificate. The next authority is made known before its certificate is used.
type Certificates struct {
	cluster *Cluster
	o       CertificateOptions
	serving atomic.Pointer[tls.Certificate]
	mu      sync.Mutex // guards bundle
	bundle  []byte
}

// The keys of the secret; the first three are those of every kubernetes.io/tls secret.
const (
	keyCert, keyKey, keyBundle = "tls.crt", "tls.key", "ca.crt"
	keyNextCert, keyNextKey    = "next.crt", "next.key"
)

// OpenCertificates reads the certificate from the secret, and makes both when there is none. Errors: those of
// answered, and Invalid.
func (c *Cluster) OpenCertificates(ctx context.Context, o CertificateOptions) (*Certificates, error) {
	if o.Lifetime == 0 {
		o.Lifetime = DefaultLifetime
	}
	if o.Settle == 0 {
		o.Settle = DefaultSettle
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	certs := &Certificates{cluster: c, o: o}
	u, err := certs.read(ctx)
	switch {
	case seaworthy.CodeOf(err) == seaworthy.NotFound:
		if err = certs.create(ctx); err == nil || seaworthy.CodeOf(err) == seaworthy.Conflict {
			_, err = certs.read(ctx) // ours, or that of another replica
		}
	case err == nil && !certs.usable(time.Now()):
		if err = certs.replace(ctx, u); err == nil {
			_, err = certs.read(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	return certs, nil
}

// usable says whether the certificate that is served is valid, and for every name by which we are called.
func (c *Certificates) usable(now time.Time) bool {
	leaf := c.serving.Load().Leaf
	for _, h := range c.o.Hosts {
		if leaf.VerifyHostname(h) != nil {
			return false
		}
	}
	return now.After(leaf.NotBefore) && now.Before(leaf.NotAfter)
}

// replace puts another certificate in the place of one that is of no use: nobody could be told of it over that.
func (c *Certificates) replace(ctx context.Context, u *unstructured.Unstructured) error {
	p, err := newPair(c.o.Hosts, time.Now(), c.o.Lifetime)
	if err != nil {
		return err
	}
	c.o.Log.Warn("the certificate is of no use: its time is over, or it is for other names; another takes its place", "names", c.o.Hosts)
	bundle := append(believed(field(u, keyBundle), time.Now()), p.authority...)
	return c.update(ctx, u, map[string][]byte{keyCert: p.cert, keyKey: p.key, keyBundle: bundle, keyNextCert: nil, keyNextKey: nil})
}

// Get is tls.Config's GetCertificate.
func (c *Certificates) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.serving.Load(), nil
}

// Bundle is the authorities that the API server must believe, PEM.
func (c *Certificates) Bundle() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.bundle)
}

// Run renews the certificate until ctx ends, and takes over what other replicas have renewed.
func (c *Certificates) Run(ctx context.Context) {
	changed := make(chan struct{}, 1)
	w, err := c.cluster.follow(secrets, c.o.Namespace, c.o.Secret, withoutNoise, func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	if err != nil {
		c.o.Log.Error("following the certificate", "error", err)
		return
	}
	var running sync.WaitGroup
	running.Go(func() { w.informer.RunWithContext(ctx) })
	defer running.Wait()
	for {
		wait, err := c.step(ctx)
		if err != nil && ctx.Err() == nil {
			c.o.Log.Warn("renewing the certificate", "error", err)
			wait = retryTime
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// step does the next thing of a renewal, if it is time, and says when to look again.
func (c *Certificates) step(ctx context.Context) (time.Duration, error) {
	u, err := c.read(ctx)
	if seaworthy.CodeOf(err) == seaworthy.NotFound {
		return retryTime, c.create(ctx) // somebody deleted it: the one in memory is served until the new one is told
	}
	if err != nil {
		return 0, err
	}
	if !c.usable(time.Now()) {
		return 0, c.replace(ctx, u)
	}
	due := c.serving.Load().Leaf.NotAfter.Add(-c.o.Lifetime / 3)
	next := field(u, keyNextCert)
	switch {
	case len(next) == 0 && time.Now().Before(due):
		return min(time.Until(due), time.Hour) + time.Millisecond, c.o.Told(ctx, c.Bundle())
	case len(next) == 0:
		return 0, c.prepare(ctx, u)
	}
	if err := c.o.Told(ctx, c.Bundle()); err != nil {
		return 0, err
	}
	select {
	case <-time.After(c.o.Settle): // the API server tells nobody when it has heard
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return 0, c.promote(ctx, u)
}

// prepare puts a next certificate beside the one in use, and its authority into the bundle.
func (c *Certificates) prepare(ctx context.Context, u *unstructured.Unstructured) error {
	p, err := newPair(c.o.Hosts, time.Now(), c.o.Lifetime)
	if err != nil {
		return err
	}
	c.o.Log.Info("the next certificate has been made", "until", p.until)
	bundle := append(believed(field(u, keyBundle), time.Now()), p.authority...)
	return c.update(ctx, u, map[string][]byte{keyNextCert: p.cert, keyNextKey: p.key, keyBundle: bundle})
}

// promote puts the next certificate to use. The authority of the last one is believed until it is of no use to any
// replica.
func (c *Certificates) promote(ctx context.Context, u *unstructured.Unstructured) error {
	err := c.update(ctx, u, map[string][]byte{
		keyCert: field(u, keyNextCert), keyKey: field(u, keyNextKey), keyBundle: believed(field(u, keyBundle), time.Now()),
		keyNextCert: nil, keyNextKey: nil,
	})
	if err != nil {
		return err
	}
	c.o.Log.Info("the next certificate is in use")
	_, err = c.read(ctx)
	return err
}

// read takes over what the secret holds. Errors: those of answered, and Invalid.
func (c *Certificates) read(ctx context.Context) (*unstructured.Unstructured, error) {
	u, err := c.cluster.once(ctx, reference{secrets, c.o.Namespace, c.o.Secret})
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(field(u, keyCert), field(u, keyKey))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading the certificate in the secret %q", c.o.Secret)
	}
	bundle := field(u, keyBundle)
	if len(bundle) == 0 {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the secret %q: it has no %s", c.o.Secret, keyBundle)
	}
	c.serving.Store(&pair)
	c.mu.Lock()
	c.bundle = bundle
	c.mu.Unlock()
	return u, nil
}

func (c *Certificates) create(ctx context.Context) error {
	p, err := newPair(c.o.Hosts, time.Now(), c.o.Lifetime)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
		"metadata": map[string]any{"name": c.o.Secret, "namespace": c.o.Namespace},
		"data":     encoded(map[string][]byte{keyCert: p.cert, keyKey: p.key, keyBundle: p.authority}),
	}}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	_, err = c.cluster.dynamic.Resource(secrets).Namespace(c.o.Namespace).Create(ctx, u, metav1.CreateOptions{FieldManager: c.o.Agent})
	return answered(err, "keeping the certificate in the secret %q", c.o.Secret)
}

// update changes the secret as it was read; another replica that was faster makes it fail with Conflict.
func (c *Certificates) update(ctx context.Context, u *unstructured.Unstructured, fields map[string][]byte) error {
	u = u.DeepCopy()
	data, _, err := unstructured.NestedMap(u.Object, "data")
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Invalid, "reading the secret %q", c.o.Secret)
	}
	for name, value := range fields {
		delete(data, name)
		if value != nil {
			data[name] = base64.StdEncoding.EncodeToString(value)
		}
	}
	u.Object["data"] = data
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	_, err = c.cluster.dynamic.Resource(secrets).Namespace(c.o.Namespace).Update(ctx, u, metav1.UpdateOptions{FieldManager: c.o.Agent})
	if err = answered(err, "keeping the certificate in the secret %q", c.o.Secret); seaworthy.CodeOf(err) == seaworthy.Conflict {
		return nil // its own renewal is told to us
	}
	return err
}

func encoded(fields map[string][]byte) map[string]any {
	out := map[string]any{}
	for name, value := range fields {
		out[name] = base64.StdEncoding.EncodeToString(value)
	}
	return out
}

// field is one key of a secret; nil when it is not there or not base64.
func field(u *unstructured.Unstructured, key string) []byte {
	text, _, _ := unstructured.NestedString(u.Object, "data", key)
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) == 0 {
		return nil
	}
	return b
}

// pair is a certificate, and the authority that signed it and nothing else.
type pair struct {
	authority, cert, key []byte // PEM
	until                time.Time
}

// clockSkew is by how much the API server's clock may be behind ours.
const clockSkew = 5 * time.Minute

func newPair(hosts []string, now time.Time, lifetime time.Duration) (*pair, error) {
	if len(hosts) == 0 {
		return nil, seaworthy.Errorf(seaworthy.Usage, "a certificate needs a name")
	}
	p := &pair{until: now.Add(lifetime)}
	caKey, errCA := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	key, errKey := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	serial, errSerial := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err := errors.Join(errCA, errKey, errSerial); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "making a key")
	}
	ca := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "seaworthy gate " + serial.Text(36)}, NotBefore: now.Add(-clockSkew), NotAfter: p.until,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: new(big.Int).Add(serial, big.NewInt(1)), Subject: pkix.Name{CommonName: "seaworthy gate"}, NotBefore: ca.NotBefore, NotAfter: p.until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, h)
		}
	}
	caDER, errCA := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	der, errLeaf := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	keyDER, errKey := x509.MarshalPKCS8PrivateKey(key)
	if err := errors.Join(errCA, errLeaf, errKey); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "making a certificate")
	}
	p.authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
	p.cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	p.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return p, nil
}

// believed are the certificates of a bundle that are still valid.
func believed(bundle []byte, now time.Time) []byte {
	var out []byte
	for {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			return out
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil && now.Before(cert.NotAfter) {
			out = append(out, pem.EncodeToMemory(block)...)
		}
	}
}
