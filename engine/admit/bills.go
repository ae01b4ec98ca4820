package admit

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/bill"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
)

// Bills implements policy.Evidence: bills that were attached as they are, bills that were attested, and those at
// cosign's tag. Who signed an attested one is told where a trusted root vouches for the signer.
func (e *evidence) Bills(ctx context.Context) ([]policy.Bill, error) {
	return e.bills.get(func() ([]policy.Bill, error) {
		referrers, err := e.refer(ctx)
		if err != nil {
			return nil, err
		}
		attested, err := e.attestedBills(ctx)
		if err != nil {
			return nil, err
		}
		defer e.waiting("%s to give the bills of %s", e.where, e.digest.Short())()
		out := attested
		for _, r := range referrers {
			if len(out) >= maxBills {
				break
			}
			found, err := e.attachedBills(ctx, r)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
		}
		beside, err := e.besideBills(ctx, maxBills-len(out))
		return append(out, beside...), err
	})
}

// billTypes are the predicate types of bills.
var billTypes = []string{"https://spdx.dev/Document", "https://cyclonedx.org/bom"}

func (e *evidence) attestedBills(ctx context.Context) ([]policy.Bill, error) {
	candidates, err := e.find(ctx)
	if err != nil {
		return nil, err
	}
	var out []policy.Bill
	for _, c := range candidates.UnsafeClaims(nil, e.root, billTypes...) {
		if len(out) == maxBills {
			break
		}
		b := policy.Bill{PredicateType: c.Statement.PredicateType, Digest: c.Document, Manifest: c.Manifest, Source: c.Source}
		if c.Signer.Proven {
			b.Signers = []string{Signer(c.Signer)}
		}
		b.Bill, b.Err = bill.Read(bytes.NewReader(predicateBytes(c.Statement.Predicate)), c.Source)
		out = append(out, b)
	}
	return out, nil
}

// predicateBytes is a bill in a predicate: an object, or, as cosign keeps formats that are no JSON, a string.
func predicateBytes(raw []byte) []byte {
	var text string
	if jsontext.Value(raw).Kind() == '"' && json.Unmarshal(raw, &text) == nil {
		return []byte(text)
	}
	return raw
}

// Signer names who signed: "ci@example.com (https://issuer.example)", or the key.
func Signer(s bundle.Signer) string {
	switch {
	case s.Identity != "":
		return s.Identity + " (" + s.Issuer + ")"
	case s.Key != "":
		return "key " + string(s.Key)
	}
	return "a key that is not named"
}

// billLike reports whether a media type is that of a bill.
func billLike(t string) bool {
	t = strings.ToLower(t)
	return slices.ContainsFunc([]string{"spdx", "cyclonedx", "sbom", "syft"}, func(word string) bool { return strings.Contains(t, word) })
}

// attachedBills reads the bills that a referrer holds; what is no bill is none. A bill that is there and cannot be
// understood says so in its Err; one that the place does not give is an error.
func (e *evidence) attachedBills(ctx context.Context, r oci.Referrer) ([]policy.Bill, error) {
	isTag := strings.HasSuffix(r.Tag, ".sbom")
	if !billLike(r.ArtifactType) && !isTag || oci.IsIndex(r.MediaType) {
		return nil, nil
	}
	_, raw, err := e.place.Manifest(ctx, string(r.Digest))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Unavailable, "fetching the bill %s", r.Digest.Short())
	}
	source := "referrer " + string(r.Digest)
	if r.Tag != "" {
		source = "tag " + r.Tag
	}
	m, err := oci.ParseManifest(raw)
	if err != nil {
		return []policy.Bill{{Err: err, ArtifactType: r.ArtifactType, Manifest: r.Digest, Source: source}}, nil
	}
	var out []policy.Bill
	for _, l := range m.Layers {
		b := policy.Bill{ArtifactType: r.ArtifactType, Digest: l.Digest, Manifest: r.Digest, Source: source}
		if isTag || b.ArtifactType == "" {
			b.ArtifactType = l.MediaType
		}
		if len(out) == maxBills {
			break
		}
		if l.Size > maxBillBytes {
			b.Err = seaworthy.Errorf(seaworthy.TooLarge, "reading the bill %s: %d bytes; the limit is %d", l.Digest.Short(), l.Size, maxBillBytes)
			out = append(out, b)
			continue
		}
		body, err := oci.ReadBlob(ctx, e.place, l, maxBillBytes)
		switch seaworthy.CodeOf(err) {
		case "":
			e.size.Add(int64(len(body)))
			b.Bill, b.Err = bill.Read(bytes.NewReader(body), source)
		case seaworthy.Mismatch, seaworthy.TooLarge, seaworthy.Invalid:
			b.Err = err
		default:
			return nil, seaworthy.Wrap(err, seaworthy.Unavailable, "fetching the bill %s", l.Digest.Short())
		}
		out = append(out, b)
	}
	return out, nil
}

// Annotations by which BuildKit keeps attestations beside the images in an index
// (https://github.com/moby/buildkit, docs/attestations/attestation-storage.md).
const (
	besideDigest    = "vnd.docker.reference.digest"
	besideType      = "vnd.docker.reference.type"
	besidePredicate = "in-toto.io/predicate-type"
)

// besideBills reads the bills that lie beside the images in an index, at most most of them. Nobody signed them.
func (e *evidence) besideBills(ctx context.Context, most int) ([]policy.Bill, error) {
	m, err := e.fetch(ctx)
	if err != nil || !oci.IsIndex(m.mediaType) {
		return nil, err
	}
	index, err := oci.ParseIndex(m.raw)
	if err != nil {
		return nil, err
	}
	var out []policy.Bill
	for _, d := range index.Entries {
		if d.Annotations[besideType] != "attestation-manifest" || oci.IsIndex(d.MediaType) {
			continue
		}
		_, raw, err := e.place.Manifest(ctx, string(d.Digest))
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Unavailable, "fetching the attestations %s", d.Digest.Short())
		}
		manifest, err := oci.ParseManifest(raw)
		if err != nil {
			continue // it attests nothing that can be read
		}
		for _, l := range manifest.Layers {
			if len(out) >= most {
				return out, nil
			}
			if !slices.Contains(billTypes, l.Annotations[besidePredicate]) || l.Size > maxBillBytes {
				continue
			}
			body, err := oci.ReadBlob(ctx, e.place, l, maxBillBytes)
			if err != nil {
				return nil, seaworthy.Wrap(err, seaworthy.Unavailable, "fetching the bill %s", l.Digest.Short())
			}
			e.size.Add(int64(len(body)))
			b := policy.Bill{ArtifactType: l.MediaType, PredicateType: l.Annotations[besidePredicate], Digest: l.Digest, Manifest: d.Digest, Source: "index " + string(d.Digest)}
			b.Bill, b.Err = besideBill(body, seaworthy.Digest(d.Annotations[besideDigest]), b.Source)
			out = append(out, b)
		}
	}
	return out, nil
}

// besideBill reads a statement that must be about an image. Errors: Invalid, Mismatch.
func besideBill(body []byte, about seaworthy.Digest, source string) (*seaworthy.Bill, error) {
	s, err := intoto.Parse(body)
	if err != nil {
		return nil, err
	}
	sum, err := hex.DecodeString(about.Hex())
	if err != nil || !s.Matches(map[string][]byte{about.Algorithm(): sum}) {
		return nil, seaworthy.Errorf(seaworthy.Mismatch, "reading a bill: it is not about %s, beside which it lies", about.Short())
	}
	return bill.Read(bytes.NewReader(predicateBytes(s.Predicate)), source)
}
