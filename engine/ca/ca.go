// Package ca is a certificate authority for signing: whoever shows a token of an issuer it trusts, and has the key,
// gets a certificate that says so for ten minutes.
//
//	root, err := ca.OpenRoot(keys, time.Now())
//	a, err := ca.New(root, issuers, certificateLog, ca.Options{Audit: log})
//	chain, err := a.Issue(ctx, ca.Request{Token: token, PublicKey: pem, Proof: signature})
//
// What a token's claims become in the certificate is Fulcio's doing, and so are the challenge and the certificate
// itself; the token is checked here (token.go). Every certificate is in the log before it is given out, and has the
// log's timestamp inside.
package ca

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"log/slog"
	"net/http"
	"time"

	ct "github.com/google/certificate-transparency-go"
	fulcioca "github.com/sigstore/fulcio/pkg/ca"
	"github.com/sigstore/fulcio/pkg/ca/baseca"
	"github.com/sigstore/fulcio/pkg/challenges"
	"github.com/sigstore/fulcio/pkg/config"
	"github.com/sigstore/fulcio/pkg/identity"
	pbcommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/cryptoutils/goodkey" //lint:ignore SA1019 refuses weak keys, as Fulcio does, for as long as it is there
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/keys"
)

// Log is where certificates are logged before they are given out.
type Log interface {
	// Add returns when the chain, which begins with a precertificate, is kept.
	Add(ctx context.Context, chain [][]byte, precert bool) (*ct.SignedCertificateTimestamp, error)
}

// Options say how the authority works.
type Options struct {
	// Audit gets a record of every certificate and every refusal. Tokens are never in it. nil: none.
	Audit *slog.Logger
	// Once refuses a token that was used already. Otherwise it may be used until it expires, as with Fulcio: the
	// clients of the field use one for several signatures. Each use needs a proof for its key, and is audited as
	// reused.
	Once bool
	// Client speaks to the issuers. nil: one that refuses redirects to other hosts and long answers.
	Client *http.Client
	// Now is the time. nil: the machine's.
	Now func() time.Time
}

// Authority issues certificates.
type Authority struct {
	root    *fulcioca.SignerCerts
	base    baseca.BaseCA
	issuers *config.FulcioConfig
	log     Log
	o       Options
	tokens  *tokens
}

// Root is an authority's certificates and key.
type Root struct {
	Chain []*x509.Certificate // the intermediate that signs, then the root
	Key   crypto.Signer       // of the intermediate
}

// OpenRoot opens the root in a folder of keys, and makes it when it is not there: ca-root.key, ca-intermediate.key
// and ca.pem, which holds the intermediate and the root. The root's key is needed only to make another intermediate,
// and may be kept elsewhere once ca.pem is there. The keys are P-256: every signature that is ever verified costs the
// verification of this chain too.
func OpenRoot(dir *keys.Dir, now time.Time) (Root, error) {
	key, err := dir.Signer("ca-intermediate", keys.P256)
	if err != nil {
		return Root{}, err
	}
	chain, err := dir.Chain("ca.pem", func() ([]*x509.Certificate, error) {
		rootKey, err := dir.Signer("ca-root", keys.P256)
		if err != nil {
			return nil, err
		}
		return newChain(rootKey, key, now)
	})
	return Root{chain, key}, err
}

func newChain(rootKey, key crypto.Signer, now time.Time) ([]*x509.Certificate, error) {
	authority := func(name string, path int) *x509.Certificate {
		return &x509.Certificate{
			Subject: pkix.Name{Organization: []string{"Seaworthy"}, CommonName: name}, IsCA: true, BasicConstraintsValid: true,
			MaxPathLen: path, MaxPathLenZero: path == 0, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
	}
	root, err := keys.Certify(authority("Seaworthy root", 1), authority("Seaworthy root", 1), rootKey.Public(), rootKey, now)
	if err != nil {
		return nil, err
	}
	between := authority("Seaworthy intermediate", 0)
	between.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	if between, err = keys.Certify(between, root, key.Public(), rootKey, now); err != nil {
		return nil, err
	}
	return []*x509.Certificate{between, root}, nil
}

// New makes an authority. Errors: Mismatch when the root's parts do not belong together.
func New(root Root, issuers *config.FulcioConfig, log Log, o Options) (*Authority, error) {
	if err := fulcioca.VerifyCertChain(root.Chain, root.Key); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Mismatch, "opening the certificate authority")
	}
	if o.Audit == nil {
		o.Audit = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Client == nil {
		o.Client = newClient()
	}
	certs := &fulcioca.SignerCerts{Certs: root.Chain, Signer: root.Key}
	return &Authority{
		root: certs, base: baseca.BaseCA{SignerWithChain: certs}, issuers: issuers, log: log, o: o,
		tokens: newTokens(issuers, o),
	}, nil
}

// Chain returns the authority's certificates, the root last.
func (a *Authority) Chain() []*x509.Certificate { return a.root.Certs }

// Issuers returns whose tokens are taken.
func (a *Authority) Issuers() *config.FulcioConfig { return a.issuers }

// Request asks for a certificate: for the key of a signing request, or for a public key with a proof that the asker
// has the private one, which is a signature over the subject of the token.
type Request struct {
	Token     string
	CSR       []byte // PEM
	PublicKey string // PEM
	Proof     []byte
}

// algorithms are the keys that get certificates.
var algorithms = func() *signature.AlgorithmRegistryConfig {
	r, err := signature.NewAlgorithmRegistryConfig([]pbcommon.PublicKeyDetails{
		pbcommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
		pbcommon.PublicKeyDetails_PKIX_ECDSA_P384_SHA_384,
		pbcommon.PublicKeyDetails_PKIX_ECDSA_P521_SHA_512,
		pbcommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_2048_SHA256,
		pbcommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_3072_SHA256,
		pbcommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_4096_SHA256,
		pbcommon.PublicKeyDetails_PKIX_ED25519,
	})
	if err != nil {
		panic(err) // our own list is wrong
	}
	return r
}()

// Issue returns a certificate and what is above it. Errors: Unauthorized when the token is not right; Invalid when
// the key, the proof or the claims are not; Unavailable, Storage and Refused when it cannot be logged.
func (a *Authority) Issue(ctx context.Context, r Request) ([]*x509.Certificate, error) {
	ctx = config.With(ctx, a.issuers)
	seen, who, err := a.tokens.authenticate(ctx, r.Token)
	var chain []*x509.Certificate
	if err == nil {
		chain, err = a.issue(ctx, r, who)
	}
	record := []any{slog.String("issuer", clip(seen.issuer)), slog.String("subject", clip(seen.subject)), slog.String("token", seen.fingerprint), slog.Bool("reused", seen.reused)}
	if err != nil {
		a.o.Audit.WarnContext(ctx, "certificate refused", append(record, slog.String("code", string(seaworthy.CodeOf(err))), slog.String("error", err.Error()))...)
		return nil, err
	}
	sum := sha256.Sum256(chain[0].RawSubjectPublicKeyInfo)
	a.o.Audit.InfoContext(ctx, "certificate issued", append(record, slog.String("identity", clip(who.Name(ctx))),
		slog.String("serial", chain[0].SerialNumber.Text(16)), slog.String("key", hex.EncodeToString(sum[:])), slog.Time("until", chain[0].NotAfter))...)
	return chain, nil
}

func (a *Authority) issue(ctx context.Context, r Request, who identity.Principal) ([]*x509.Certificate, error) {
	public, hash, err := possessed(ctx, r, who)
	if err != nil {
		return nil, err
	}
	if ok, err := algorithms.IsAlgorithmPermitted(public, hash); err != nil || !ok {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the key: %T with %s is not taken", public, hash)
	}
	pre, err := a.base.CreatePrecertificate(ctx, who, public)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "writing the certificate")
	}
	chain := [][]byte{pre.PreCert.Raw}
	for _, above := range pre.CertChain {
		chain = append(chain, above.Raw)
	}
	sct, err := a.log.Add(ctx, chain, true)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Unavailable, "logging the certificate")
	}
	final, err := a.base.IssueFinalCertificate(ctx, pre, sct)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "signing the certificate")
	}
	return append([]*x509.Certificate{final.FinalCertificate}, final.FinalChain...), nil
}

// possessed returns the key that the asker has shown to have, and the hash it signs.
func possessed(ctx context.Context, r Request, who identity.Principal) (crypto.PublicKey, crypto.Hash, error) {
	if len(r.CSR) > 0 {
		csr, err := cryptoutils.ParseCSR(r.CSR)
		if err != nil {
			return nil, 0, seaworthy.Wrap(err, seaworthy.Invalid, "reading the certificate signing request")
		}
		if err := goodkey.ValidatePubKey(csr.PublicKey); err != nil {
			return nil, 0, seaworthy.Wrap(err, seaworthy.Invalid, "checking the key")
		}
		if err := csr.CheckSignature(); err != nil {
			return nil, 0, seaworthy.Wrap(err, seaworthy.Invalid, "checking the certificate signing request")
		}
		hash, ok := hashes[csr.SignatureAlgorithm]
		if !ok {
			return nil, 0, seaworthy.Errorf(seaworthy.Invalid, "checking the certificate signing request: %s is not taken", csr.SignatureAlgorithm)
		}
		return csr.PublicKey, hash, nil
	}
	public, err := challenges.ParsePublicKey(r.PublicKey)
	if err != nil {
		return nil, 0, seaworthy.Wrap(err, seaworthy.Invalid, "reading the key")
	}
	if err := goodkey.ValidatePubKey(public); err != nil {
		return nil, 0, seaworthy.Wrap(err, seaworthy.Invalid, "checking the key")
	}
	details, err := signature.GetDefaultAlgorithmDetails(public)
	if err != nil {
		return nil, 0, seaworthy.Wrap(err, seaworthy.Invalid, "checking the key")
	}
	if err := challenges.CheckSignature(public, r.Proof, who.Name(ctx)); err != nil {
		return nil, 0, seaworthy.Wrap(err, seaworthy.Invalid, "checking the proof that the asker has the key")
	}
	return public, details.GetHashType(), nil
}

var hashes = map[x509.SignatureAlgorithm]crypto.Hash{
	x509.ECDSAWithSHA256: crypto.SHA256, x509.ECDSAWithSHA384: crypto.SHA384, x509.ECDSAWithSHA512: crypto.SHA512,
	x509.SHA256WithRSA: crypto.SHA256, x509.SHA384WithRSA: crypto.SHA384, x509.SHA512WithRSA: crypto.SHA512,
	x509.PureEd25519: 0,
}

func clip(s string) string {
	if len(s) > 256 {
		return s[:256] + "…"
	}
	return s
}
