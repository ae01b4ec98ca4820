package ledger

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"time"

	ct "github.com/google/certificate-transparency-go"
	cttls "github.com/google/certificate-transparency-go/tls"
	formatsnote "github.com/transparency-dev/formats/note"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/ctonly"
	"golang.org/x/mod/sumdb/note"

	"github.com/seaworthy-dev/seaworthy"
)

// Certificates is a log of certificates: RFC 6962 for those who submit, C2SP static-ct-api for those who read.
// Its signed certificate timestamps are made after the entry is on the disk, and name its index.
type Certificates struct {
	*tree
	key    *ecdsa.PrivateKey
	id     [32]byte
	public []byte
	roots  []*x509.Certificate
}

// MaxChain is the longest chain taken, in certificates.
const MaxChain = 8

// OpenCertificates opens the log of certificates in a folder, or begins it. The origin is its address without a
// scheme (static-ct-api, "Checkpoints"), the key is ECDSA P-256; it takes only what leads to one of the roots. Errors:
// as Open.
func OpenCertificates(ctx context.Context, dir, origin string, key crypto.Signer, roots []*x509.Certificate, o Options) (*Certificates, error) {
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "opening the log of certificates %q: its key is a %T, not ECDSA", origin, key)
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "encoding the key of the log of certificates")
	}
	text, err := formatsnote.RFC6962VerifierString("https://"+origin, private.Public())
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Usage, "opening the log of certificates %q", origin)
	}
	verifier, err := formatsnote.NewRFC6962Verifier(text)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Usage, "opening the log of certificates %q", origin)
	}
	c := &Certificates{key: private, id: sha256.Sum256(public), public: public, roots: roots}
	c.tree, err = openTree(ctx, dir, kind{
		signer: &treeHeads{verifier, private}, verifier: verifier, certs: true,
		options: (*tessera.AppendOptions).WithCTLayout,
		hash:    tessera.NewMigrationOptions().WithCTLayout().LeafHasher(),
	}, o)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ID is the log's identifier: the hash of its key (RFC 6962, 3.2).
func (c *Certificates) ID() []byte { return c.id[:] }

// PublicKey is the log's key as SubjectPublicKeyInfo.
func (c *Certificates) PublicKey() []byte { return c.public }

// Roots are the certificates that what is submitted must lead to.
func (c *Certificates) Roots() []*x509.Certificate { return c.roots }

// Close finishes what waits, for as long as ctx allows, and closes the log.
func (c *Certificates) Close(ctx context.Context) error { return c.close(ctx) }

// Add logs a certificate, or a precertificate, with the chain above it (RFC 6962, 4.1 and 4.2). When it returns, the
// entry is on the disk. Errors: Invalid, Forbidden when the chain leads to no root of ours, Unavailable, Storage,
// Refused.
func (c *Certificates) Add(ctx context.Context, chain [][]byte, precert bool) (*ct.SignedCertificateTimestamp, error) {
	parsed, err := c.accept(chain, precert)
	if err != nil {
		return nil, err
	}
	raw := make([]ct.ASN1Cert, len(parsed))
	for i, p := range parsed {
		raw[i] = ct.ASN1Cert{Data: p.Raw}
	}
	kind := ct.X509LogEntryType
	if precert {
		kind = ct.PrecertLogEntryType
	}
	stamp := uint64(time.Now().UnixMilli())
	leaf, err := ct.MerkleTreeLeafFromRawChain(raw, kind, stamp)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading a certificate to log")
	}
	entry := &ctonly.Entry{Timestamp: stamp, IsPrecert: precert, Certificate: parsed[0].Raw}
	if precert {
		pre := leaf.TimestampedEntry.PrecertEntry
		entry.Certificate, entry.Precertificate, entry.IssuerKeyHash = pre.TBSCertificate, parsed[0].Raw, pre.IssuerKeyHash[:]
	}
	for _, above := range parsed[1:] {
		sum := sha256.Sum256(above.Raw)
		entry.FingerprintsChain = append(entry.FingerprintsChain, sum)
		if err := c.keepIssuer(sum, above.Raw); err != nil {
			return nil, err
		}
	}
	add := tessera.NewCertificateTransparencyAppender(c.appender)
	at, err := c.add(ctx, func(ctx context.Context) tessera.IndexFuture { return add(ctx, entry) })
	if err != nil {
		return nil, err
	}
	// A timestamp is a promise, so it is only given for a tree that may be signed.
	if _, err := c.covering(ctx, at); err != nil {
		return nil, err
	}
	return c.promise(stamp, leaf, at)
}

// promise signs that the entry at an index is in the log.
func (c *Certificates) promise(stamp uint64, leaf *ct.MerkleTreeLeaf, at uint64) (*ct.SignedCertificateTimestamp, error) {
	// static-ct-api, "SCT Extension": type leaf_index, length 5, a 40-bit number
	index := binary.BigEndian.AppendUint64(nil, at)
	extensions := append([]byte{0, 0, 5}, index[3:]...)
	leaf.TimestampedEntry.Extensions = extensions
	sct := ct.SignedCertificateTimestamp{SCTVersion: ct.V1, LogID: ct.LogID{KeyID: c.id}, Timestamp: stamp, Extensions: extensions}
	input, err := ct.SerializeSCTSignatureInput(sct, ct.LogEntry{Leaf: *leaf})
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "writing a certificate timestamp")
	}
	signed, err := cttls.CreateSignature(*c.key, cttls.SHA256, input)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "signing a certificate timestamp")
	}
	sct.Signature = ct.DigitallySigned(signed)
	return &sct, nil
}

// poison marks precertificates (RFC 6962, 3.1).
const poison = "1.3.6.1.4.1.11129.2.4.3"

// accept parses a chain and completes it to one of the roots.
func (c *Certificates) accept(chain [][]byte, precert bool) ([]*x509.Certificate, error) {
	if len(chain) == 0 || len(chain) > MaxChain {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading a chain to log: it has %d certificates; 1 to %d are taken", len(chain), MaxChain)
	}
	var parsed []*x509.Certificate
	for i, der := range chain {
		p, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading certificate %d of a chain to log", i)
		}
		if i > 0 {
			if err := parsed[i-1].CheckSignatureFrom(p); err != nil {
				return nil, seaworthy.Wrap(err, seaworthy.Invalid, "checking certificate %d of a chain to log", i-1)
			}
		}
		parsed = append(parsed, p)
	}
	marked := false
	for _, e := range parsed[0].Extensions {
		marked = marked || e.Id.String() == poison
	}
	if marked != precert {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading a chain to log: precertificates have the poison extension, and only they")
	}
	top := parsed[len(parsed)-1]
	for _, root := range c.roots {
		if top.Equal(root) && len(parsed) > 1 {
			return parsed, nil
		}
		if top.CheckSignatureFrom(root) == nil {
			return append(parsed, root), nil
		}
	}
	return nil, seaworthy.Errorf(seaworthy.Forbidden, "reading a chain to log: it leads to none of the roots of this log")
}

// keepIssuer keeps a certificate where those who read the log find it (static-ct-api, "Issuers").
func (c *Certificates) keepIssuer(sum [32]byte, der []byte) error {
	file := filepath.Join(c.Path, "issuer", hex.EncodeToString(sum[:]))
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	c.sealing.Lock() // two at once would write the same file
	defer c.sealing.Unlock()
	err := c.o.Disk.MakeFolders(filepath.Dir(file))
	if err == nil {
		err = c.o.Disk.WriteFile(file, der)
	}
	return seaworthy.Wrap(err, seaworthy.Storage, "writing %q", file)
}

// treeHeads signs checkpoints as signed tree heads, so that the log has one kind of signature (static-ct-api,
// "Checkpoints").
type treeHeads struct {
	note.Verifier
	key *ecdsa.PrivateKey
}

// Sign implements note.Signer.
func (t *treeHeads) Sign(text []byte) ([]byte, error) {
	var c log.Checkpoint
	if rest, err := c.Unmarshal(text); err != nil || len(rest) != 0 || len(c.Hash) != sha256.Size {
		return nil, errors.New("not the text of a checkpoint")
	}
	head := ct.SignedTreeHead{Version: ct.V1, TreeSize: c.Size, Timestamp: uint64(time.Now().UnixMilli()), SHA256RootHash: ct.SHA256Hash(c.Hash)}
	input, err := ct.SerializeSTHSignatureInput(head)
	if err != nil {
		return nil, err
	}
	signed, err := cttls.CreateSignature(*t.key, cttls.SHA256, input)
	if err != nil {
		return nil, err
	}
	body, err := cttls.Marshal(signed)
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint64(nil, head.Timestamp), body...), nil
}

// Response writes a timestamp as RFC 6962, 4.1 answers with it.
func Response(sct *ct.SignedCertificateTimestamp) (ct.AddChainResponse, error) {
	signature, err := cttls.Marshal(sct.Signature)
	return ct.AddChainResponse{
		SCTVersion: sct.SCTVersion, ID: sct.LogID.KeyID[:], Timestamp: sct.Timestamp,
		Extensions: base64.StdEncoding.EncodeToString(sct.Extensions), Signature: signature,
	}, seaworthy.Wrap(err, seaworthy.Internal, "writing a certificate timestamp")
}
