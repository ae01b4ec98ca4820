package root

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net/url"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	sigroot "github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/seaworthy-dev/seaworthy"
)

// The roles of a Source and an Entry.
const (
	RoleAuthority      = "certificate-authority"
	RoleTimestamper    = "timestamp-authority"
	RoleLog            = "log"
	RoleCertificateLog = "certificate-log"
)

// maxChain is how many certificates an authority's chain may have.
const maxChain = 10

// Source is an authority or log that a new root believes.
type Source struct {
	Role  string
	URI   string    // where it is; a log's host is the origin of its checkpoints
	PEM   []byte    // of authorities: the chain, the root last; of logs: the public key
	From  time.Time // believed from then on; must be given
	Until time.Time // zero: without end
}

// Make writes a trusted root. Errors: Invalid, Usage.
func Make(sources []Source) (*Root, error) {
	var cas []sigroot.CertificateAuthority
	var tsas []sigroot.TimestampingAuthority
	logs, ctlogs := map[string]*sigroot.TransparencyLog{}, map[string]*sigroot.TransparencyLog{}
	for _, s := range sources {
		u, err := url.Parse(s.URI)
		if err != nil || u.Hostname() == "" || s.From.IsZero() {
			return nil, seaworthy.Errorf(seaworthy.Usage, "making a trusted root: the %s %q needs an address and a time from which on it is believed", s.Role, s.URI)
		}
		switch s.Role {
		case RoleAuthority, RoleTimestamper:
			leaf, below, top, err := s.chain()
			if err != nil {
				return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading the certificates of %q", s.URI)
			}
			if s.Role == RoleTimestamper {
				tsas = append(tsas, &sigroot.SigstoreTimestampingAuthority{Root: top, Intermediates: below, Leaf: leaf, ValidityPeriodStart: s.From, ValidityPeriodEnd: s.Until, URI: s.URI})
			} else {
				cas = append(cas, &sigroot.FulcioCertificateAuthority{Root: top, Intermediates: below, ValidityPeriodStart: s.From, ValidityPeriodEnd: s.Until, URI: s.URI})
			}
		case RoleLog, RoleCertificateLog:
			l, err := s.log(u.Hostname())
			if err != nil {
				return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading the key of %q", s.URI)
			}
			if s.Role == RoleLog {
				logs[hex.EncodeToString(l.ID)] = l
			} else {
				ctlogs[hex.EncodeToString(l.ID)] = l
			}
		default:
			return nil, seaworthy.Errorf(seaworthy.Usage, "making a trusted root: there is no role %q", s.Role)
		}
	}
	made, err := sigroot.NewTrustedRoot(sigroot.TrustedRootMediaType01, cas, ctlogs, tsas, logs)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "making a trusted root: %w", err)
	}
	b, err := made.MarshalJSON()
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "making a trusted root: %w", err)
	}
	v := jsontext.Value(b)
	if err := v.Indent(jsontext.WithIndent("  ")); err != nil { // protojson varies its spaces on purpose
		return nil, seaworthy.Errorf(seaworthy.Internal, "making a trusted root: %w", err)
	}
	return Parse("new", append(v, '\n'))
}

// chain takes the certificates apart: of a timestamp authority the leaf, which is no authority itself; the
// intermediates; and the root, which signed itself.
func (s Source) chain() (leaf *x509.Certificate, below []*x509.Certificate, top *x509.Certificate, err error) {
	certs, err := cryptoutils.LoadCertificatesFromPEM(bytes.NewReader(s.PEM))
	if err != nil || len(certs) == 0 || len(certs) > maxChain {
		return nil, nil, nil, seaworthy.Errorf(seaworthy.Invalid, "there must be 1 to %d of them, in PEM", maxChain)
	}
	top = certs[len(certs)-1]
	if err := top.CheckSignatureFrom(top); err != nil {
		return nil, nil, nil, seaworthy.Errorf(seaworthy.Invalid, "the last one, %q, is no root: it did not sign itself", top.Subject)
	}
	for i, c := range certs[:len(certs)-1] {
		if err := c.CheckSignatureFrom(certs[i+1]); err != nil {
			return nil, nil, nil, seaworthy.Errorf(seaworthy.Invalid, "%q was not issued by the next one, %q", c.Subject, certs[i+1].Subject)
		}
		if c.IsCA {
			below = append(below, c)
			continue
		}
		if i != 0 || s.Role != RoleTimestamper {
			return nil, nil, nil, seaworthy.Errorf(seaworthy.Invalid, "%q is no authority", c.Subject)
		}
		leaf = c
	}
	return leaf, below, top, nil
}

// log reads a log's key and works out its id: of an Ed25519 log that of its checkpoints (C2SP signed-note), of
// others the digest of the key (RFC 6962, 3.2).
func (s Source) log(origin string) (*sigroot.TransparencyLog, error) {
	k, err := cryptoutils.UnmarshalPEMToPublicKey(s.PEM)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "it is no public key in PEM")
	}
	l := &sigroot.TransparencyLog{
		BaseURL: s.URI, ValidityPeriodStart: s.From, ValidityPeriodEnd: s.Until, HashFunc: crypto.SHA256, PublicKey: k, SignatureHashFunc: crypto.SHA256,
	}
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "%w", err)
	}
	sum := sha256.Sum256(der)
	l.ID = sum[:]
	if _, ok := k.(ed25519.PublicKey); ok && s.Role == RoleLog {
		l.SignatureHashFunc = crypto.Hash(0)
		if _, l.ID, err = rekornote.KeyHash(origin, k); err != nil {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "%w", err)
		}
	}
	return l, nil
}
