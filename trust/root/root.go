// Package root holds what verification rests on: a Sigstore trusted root, the certificate authorities, timestamp
// authorities, transparency logs and certificate logs that are believed, and when. It reads and writes cosign's own
// JSON (protobuf-specs, sigstore_trustroot.proto), and carries the root of the public-good instance.
//
// A Root remembers what it has verified: chains and timestamps cost milliseconds, asking again costs nothing. It is
// safe for many users at once. Nothing here asks the network or a clock.
package root

import (
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/hex"
	"maps"
	"slices"
	"sync"
	"time"

	prototrust "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	sigroot "github.com/sigstore/sigstore-go/pkg/root"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/exactjson"
)

const (
	// MaxBytes is how large a trusted root or signing config may be: 4 MiB.
	MaxBytes = 4 << 20
	// remembered is how many chains, and how many timestamps, a Root remembers.
	remembered = 4096
)

//go:embed public-good.json
var publicGood []byte

// Root is a trusted root.
type Root struct {
	raw    []byte
	name   string
	digest seaworthy.Digest
	sig    *sigroot.TrustedRoot
	cas    []sigroot.CertificateAuthority
	tsas   []sigroot.TimestampingAuthority

	promises memory[struct{}]            // certificates a log has promised to show
	entries  memory[[]sigroot.Timestamp] // log entries that are proven
}

var public = sync.OnceValues(func() (*Root, error) { return Parse("public-good", publicGood) })

// PublicGood returns the embedded root of the public-good Sigstore instance, as it was when this program was made:
// see Newest.
func PublicGood() (*Root, error) { return public() }

// Parse reads a trusted root. name is what people call it. Errors: Invalid, TooLarge, Unsupported.
func Parse(name string, b []byte) (*Root, error) {
	if len(b) > MaxBytes {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading trusted root %q: more than %d bytes", name, MaxBytes)
	}
	if err := exactjson.Check(b); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading trusted root %q", name)
	}
	var p prototrust.TrustedRoot
	if err := protojson.Unmarshal(b, &p); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading trusted root %q: %w", name, err).
			WithHint("it should be a Sigstore trusted_root.json; seaworthy trust show prints one")
	}
	if p.GetMediaType() != sigroot.TrustedRootMediaType01 {
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "reading trusted root %q: its media type is %q", name, p.GetMediaType()).
			WithHint("a trusted root says %q", sigroot.TrustedRootMediaType01)
	}
	sig, err := parseProto(&p)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading trusted root %q", name)
	}
	r := &Root{raw: slices.Clone(b), name: name, digest: seaworthy.SHA256(b), sig: sig}
	for _, ca := range sig.FulcioCertificateAuthorities() {
		r.cas = append(r.cas, &rememberingCA{CertificateAuthority: ca})
	}
	for _, tsa := range sig.TimestampingAuthorities() {
		r.tsas = append(r.tsas, &rememberingTSA{TimestampingAuthority: tsa})
	}
	return r, nil
}

// parseProto keeps a parser that we did not write from taking the program down.
func parseProto(p *prototrust.TrustedRoot) (sig *sigroot.TrustedRoot, err error) {
	defer func() {
		if r := recover(); r != nil {
			sig, err = nil, seaworthy.Errorf(seaworthy.Invalid, "a part of it is missing (%v)", r)
		}
	}()
	sig, err = sigroot.NewTrustedRootFromProtobuf(p)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "%w", err)
	}
	for _, l := range p.GetTlogs() {
		if l.GetPublicKey().GetValidFor().GetStart() == nil {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "the log %q does not say from when on its key is valid", l.GetBaseUrl())
		}
	}
	return sig, nil
}

// Name is what people call it: a file name, or "public-good".
func (r *Root) Name() string { return r.name }

// Digest names its bytes.
func (r *Root) Digest() seaworthy.Digest { return r.digest }

// Newest is from when on the newest key or authority in it is believed: what was added later is not in it.
func (r *Root) Newest() time.Time {
	var newest time.Time
	for _, e := range r.Entries() {
		if e.From.After(newest) {
			newest = e.From
		}
	}
	return newest
}

// JSON returns the bytes it was read from.
func (r *Root) JSON() []byte { return slices.Clone(r.raw) }

// TimestampingAuthorities is for verifiers.
func (r *Root) TimestampingAuthorities() []sigroot.TimestampingAuthority { return r.tsas }

// FulcioCertificateAuthorities is for verifiers.
func (r *Root) FulcioCertificateAuthorities() []sigroot.CertificateAuthority { return r.cas }

// RekorLogs is for verifiers; the keys are log ids in hexadecimal.
func (r *Root) RekorLogs() map[string]*sigroot.TransparencyLog { return r.sig.RekorLogs() }

// CTLogs is for verifiers; the keys are log ids in hexadecimal.
func (r *Root) CTLogs() map[string]*sigroot.TransparencyLog { return r.sig.CTLogs() }

// Entry is one authority or log of a root, for people.
type Entry struct {
	Role    string    `json:"role"`             // certificate-authority, timestamp-authority, log, certificate-log
	URI     string    `json:"uri"`              // where it is
	Name    string    `json:"name,omitempty"`   // of authorities: the subject of the root certificate
	ID      string    `json:"id"`               // of logs: the log id; of authorities: the SHA-256 of the root certificate; hexadecimal
	Key     string    `json:"key,omitempty"`    // kind of key
	From    time.Time `json:"from,omitzero"`    // believed from then on
	Until   time.Time `json:"until,omitzero"`   // and until then; zero: still
	Expires time.Time `json:"expires,omitzero"` // of authorities: when the first certificate of the chain ends
}

// Entries lists what is in the root, in its order, logs by time.
func (r *Root) Entries() []Entry {
	var out []Entry
	for _, ca := range r.sig.FulcioCertificateAuthorities() {
		if f, ok := ca.(*sigroot.FulcioCertificateAuthority); ok {
			out = append(out, authority("certificate-authority", f.URI, f.Root, f.Intermediates, f.ValidityPeriodStart, f.ValidityPeriodEnd))
		}
	}
	out = append(out, logs("log", r.sig.RekorLogs())...)
	out = append(out, logs("certificate-log", r.sig.CTLogs())...)
	for _, tsa := range r.sig.TimestampingAuthorities() {
		if t, ok := tsa.(*sigroot.SigstoreTimestampingAuthority); ok {
			below := t.Intermediates
			if t.Leaf != nil {
				below = append(slices.Clone(below), t.Leaf)
			}
			out = append(out, authority("timestamp-authority", t.URI, t.Root, below, t.ValidityPeriodStart, t.ValidityPeriodEnd))
		}
	}
	return out
}

func authority(role, uri string, top *x509.Certificate, below []*x509.Certificate, from, until time.Time) Entry {
	e := Entry{Role: role, URI: uri, From: from, Until: until}
	if top == nil {
		return e
	}
	sum := sha256.Sum256(top.Raw)
	e.Name, e.ID, e.Key, e.Expires = top.Subject.String(), hex.EncodeToString(sum[:]), top.PublicKeyAlgorithm.String(), top.NotAfter
	for _, c := range below {
		if c.NotAfter.Before(e.Expires) {
			e.Expires = c.NotAfter
		}
	}
	return e
}

func logs(role string, m map[string]*sigroot.TransparencyLog) []Entry {
	var out []Entry
	for _, id := range slices.Sorted(maps.Keys(m)) {
		l := m[id]
		e := Entry{Role: role, URI: l.BaseURL, ID: id, From: l.ValidityPeriodStart, Until: l.ValidityPeriodEnd}
		e.Key = keyKind(l.PublicKey)
		out = append(out, e)
	}
	slices.SortStableFunc(out, func(a, b Entry) int { return a.From.Compare(b.From) })
	return out
}
