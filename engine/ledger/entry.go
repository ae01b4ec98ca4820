package ledger

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/gowebpki/jcs"
	pbcommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	pbrekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	pb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor-tiles/v2/pkg/types/hashedrekord"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/transparency-dev/tessera/api/layout"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/seaworthy-dev/seaworthy"
)

// algorithms are the keys a log takes signatures of.
var algorithms = []pbcommon.PublicKeyDetails{
	pbcommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
	pbcommon.PublicKeyDetails_PKIX_ECDSA_P384_SHA_384,
	pbcommon.PublicKeyDetails_PKIX_ECDSA_P521_SHA_512,
	pbcommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_2048_SHA256,
	pbcommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_3072_SHA256,
	pbcommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_4096_SHA256,
	pbcommon.PublicKeyDetails_PKIX_ED25519_PH,
}

// registry is algorithms as the library below wants them.
var registry = func() *signature.AlgorithmRegistryConfig {
	r, err := signature.NewAlgorithmRegistryConfig(algorithms)
	if err != nil {
		panic(err) // our own list is wrong
	}
	return r
}()

// entryOf checks a request, with its signature, and returns the entry that is logged: canonical JSON (RFC 8785).
func entryOf(req *pb.CreateEntryRequest) ([]byte, *pbrekor.KindVersion, error) {
	var entry *pb.Entry
	var err error
	switch {
	case req.GetHashedRekordRequestV002() != nil:
		entry, err = hashedrekord.ToLogEntry(req.GetHashedRekordRequestV002(), registry)
	case oldEnvelope(req) != nil:
		entry, err = envelopeEntry(oldEnvelope(req))
	default:
		err = seaworthy.Errorf(seaworthy.Unsupported, "it is not a hashedRekordRequestV002")
	}
	if err != nil {
		return nil, nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading a request to log")
	}
	text, err := protojson.Marshal(entry)
	if err != nil {
		return nil, nil, seaworthy.Wrap(err, seaworthy.Invalid, "writing an entry")
	}
	body, err := jcs.Transform(text)
	if err != nil {
		return nil, nil, seaworthy.Wrap(err, seaworthy.Invalid, "writing an entry")
	}
	if len(body) > MaxEntry {
		return nil, nil, seaworthy.Errorf(seaworthy.TooLarge, "reading a request to log: its entry has %d bytes, more than %d", len(body), MaxEntry)
	}
	return body, &pbrekor.KindVersion{Kind: entry.GetKind(), Version: entry.GetApiVersion()}, nil
}

// MaxEntry is the longest entry, in bytes (C2SP tlog-tiles writes the length as 16 bits).
const MaxEntry = 1<<16 - 1

// Record is what can be asked about an entry.
type Record struct {
	Index      uint64           `json:"index"`
	Kind       string           `json:"kind"`
	Version    string           `json:"version"`
	Digest     seaworthy.Digest `json:"digest,omitempty"`     // of what was signed
	Identities []string         `json:"identities"`           // in the certificate; none when a key signed
	Issuer     string           `json:"issuer,omitempty"`     // who vouched for the identity
	Key        string           `json:"key,omitempty"`        // SHA-256 of the SubjectPublicKeyInfo, hexadecimal
	Time       time.Time        `json:"time,omitzero"`        // the certificate's NotBefore, else when the log got it
	Unreadable string           `json:"unreadable,omitempty"` // why there is no more than this
}

// recordOf reads an entry. Entries that it cannot read still have a record.
func recordOf(at uint64, body []byte) Record {
	r := Record{Index: at, Identities: []string{}}
	var e struct {
		Kind    string `json:"kind"`
		Version string `json:"apiVersion"`
		Spec    struct {
			Hashed struct {
				Data struct {
					Algorithm string `json:"algorithm"`
					Digest    []byte `json:"digest"`
				} `json:"data"`
				Signature struct {
					Verifier struct {
						Certificate struct {
							Raw []byte `json:"rawBytes"`
						} `json:"x509Certificate"`
						Public struct {
							Raw []byte `json:"rawBytes"`
						} `json:"publicKey"`
					} `json:"verifier"`
				} `json:"signature"`
			} `json:"hashedRekordV002"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		r.Unreadable = "not JSON"
		return r
	}
	r.Kind, r.Version = e.Kind, e.Version
	if name := digestNames[e.Spec.Hashed.Data.Algorithm]; name != "" {
		r.Digest = seaworthy.Digest(name + ":" + hex.EncodeToString(e.Spec.Hashed.Data.Digest))
	}
	v := e.Spec.Hashed.Signature.Verifier
	public := v.Public.Raw
	if len(v.Certificate.Raw) > 0 {
		c, err := x509.ParseCertificate(v.Certificate.Raw)
		if err != nil {
			r.Unreadable = "its certificate cannot be read"
			return r
		}
		public = c.RawSubjectPublicKeyInfo
		r.Time = c.NotBefore.UTC()
		r.Issuer = issuerOf(c)
		r.Identities = append(r.Identities, c.EmailAddresses...)
		for _, u := range c.URIs {
			r.Identities = append(r.Identities, u.String())
		}
		r.Identities = append(r.Identities, c.DNSNames...)
	}
	if len(public) > 0 {
		sum := sha256.Sum256(public)
		r.Key = hex.EncodeToString(sum[:])
	}
	return r
}

var digestNames = map[string]string{"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}

// issuerOf reads the identity's issuer: the newer extension is a UTF8String, the older one plain text
// (Fulcio, docs/oid-info.md).
func issuerOf(c *x509.Certificate) string {
	for _, e := range c.Extensions {
		switch e.Id.String() {
		case "1.3.6.1.4.1.57264.1.8":
			if len(e.Value) > 2 && e.Value[0] == 0x0c && int(e.Value[1]) == len(e.Value)-2 {
				return string(e.Value[2:])
			}
		case "1.3.6.1.4.1.57264.1.1":
			return string(e.Value)
		}
	}
	return ""
}

// readEntry reads one entry of a log with size entries.
func readEntry(ctx context.Context, r Reader, at, size uint64) ([]byte, error) {
	index := at / layout.EntryBundleWidth
	bundle, err := r.ReadEntryBundle(ctx, index, layout.PartialTileSize(0, index, size))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading entry %d", at)
	}
	var body []byte
	n := uint64(0)
	err = eachEntry(bundle, func(b []byte) {
		if n == at%layout.EntryBundleWidth {
			body = b
		}
		n++
	})
	if err == nil && body == nil {
		err = seaworthy.Errorf(seaworthy.Mismatch, "reading entry %d: its bundle has only %d", at, n)
	}
	return body, err
}
