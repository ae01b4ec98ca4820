// Package verify answers who says so: it finds what signs an image (bundles and attestations that refer to it, and
// what cosign keeps at tags beside it) and asks trust/bundle about each. An image is verified when one of them
// passes; what did not pass, and why, is part of the answer.
//
// A registry that cannot list what refers to an image is an error here, never "unsigned".
package verify

import (
	"context"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

const (
	// maxCandidates is how many signatures of one image are looked at.
	maxCandidates = 1000
	// parallel is how many are fetched at once.
	parallel = 8
)

// Request says who is believed and what is demanded.
type Request struct {
	Accept  bundle.Accept
	Root    *root.Root
	Options bundle.Options
}

// Report is the answer. It is yes when Verified is not empty.
type Report struct {
	Target   string           `json:"target"`
	Digest   seaworthy.Digest `json:"digest,omitempty"`
	Verified []Proof          `json:"verified"`
	Refused  []Refused        `json:"refused,omitempty"`
	Notes    []string         `json:"notes,omitempty"`
}

// Proof is one bundle that passed.
type Proof struct {
	Source string `json:"source"` // where it was found: a file, or a manifest and how it refers to the image
	bundle.Evidence
	// Statement is what the bundle attests, when it does.
	Statement *intoto.Statement `json:"statement,omitempty"`

	payload []byte // of the envelope, as it was signed
}

// Attested returns the statement as it was signed, with the members that we do not know; nil when there is none.
func (p *Proof) Attested() []byte {
	if p.Statement == nil {
		return nil
	}
	if p.payload != nil {
		return p.payload
	}
	b, err := p.Statement.Marshal()
	if err != nil {
		return nil
	}
	return b
}

// Refused is one that did not.
type Refused struct {
	Source  string          `json:"source"`
	Code    seaworthy.Code  `json:"code"`
	Detail  string          `json:"detail"`
	Refusal *bundle.Refusal `json:"refusal,omitempty"` // nil when it could not be read

	err error
}

// candidate is something that may sign a target.
type candidate struct {
	source string
	read   func() (*bundle.Unverified, error)
	// manifest holds it, and raw are its bytes: for Candidates.UnsafeClaims.
	manifest seaworthy.Digest
	raw      []byte
}

// File verifies one bundle of a file, or of anything that has a digest. source is where the bundle came from.
// Errors: those of bundle.Verify; the report is there even so.
func File(artifact bundle.Artifact, source string, u *bundle.Unverified, r Request) (*Report, error) {
	report := &Report{Target: artifact.Name(), Digest: artifact.Digest(), Verified: []Proof{}}
	v, err := bundle.Verify(u, artifact, r.Accept, r.Root, r.Options)
	return report, report.add(source, v, err)
}

// Statement verifies an attestation by itself; which artifacts it is about is in the report.
// Errors: those of bundle.VerifyStatement.
func Statement(name string, u *bundle.Unverified, r Request) (*Report, error) {
	report := &Report{Target: name, Verified: []Proof{}}
	v, err := bundle.VerifyStatement(u, name, r.Accept, r.Root, r.Options)
	return report, report.add(name, v, err)
}

// add keeps an answer and returns its error.
func (r *Report) add(source string, v *bundle.Verified, err error) error {
	if err != nil {
		r.Refused = append(r.Refused, Refused{source, seaworthy.CodeOf(err), err.Error(), bundle.RefusalOf(err), err})
		return err
	}
	payload, _ := v.Payload()
	r.Verified = append(r.Verified, Proof{source, v.Evidence(), v.Statement(), payload})
	return nil
}

// Candidates are what may sign one image, fetched: they can be checked again and again without asking anybody. They
// are safe for many users at once.
type Candidates struct {
	target   string
	artifact bundle.Artifact
	list     []candidate
	notes    []string
}

// Find lists and fetches what may sign the manifest or index of a digest. target is what people call it.
// Errors: those of the place.
func Find(ctx context.Context, target string, p oci.Place, digest seaworthy.Digest) (*Candidates, error) {
	referrers, err := oci.Related(ctx, p, digest)
	if err != nil {
		return nil, err
	}
	return FindAmong(ctx, target, p, digest, referrers)
}

// FindAmong is Find for who has the list of what refers to the digest already (oci.Related).
func FindAmong(ctx context.Context, target string, p oci.Place, digest seaworthy.Digest, referrers []oci.Referrer) (*Candidates, error) {
	artifact, err := bundle.DigestArtifact(target, digest)
	if err != nil {
		return nil, err
	}
	list, notes, err := fetch(ctx, p, referrers)
	if err != nil {
		return nil, err
	}
	for i := range list { // a bundle may be megabytes: it is parsed once, and only when somebody asks
		list[i].read = sync.OnceValues(list[i].read)
	}
	return &Candidates{target, artifact, list, notes}, nil
}

// Len returns how many there are.
func (c *Candidates) Len() int { return len(c.list) }

// Check verifies the candidates. Without Options.PredicateTypes the image must be signed; an attestation about it
// is not enough.
//
// Errors: Unsigned when nothing signs it; Unmatched or Uncertified when nothing that does is as was asked. The
// report is there with these three.
func (c *Candidates) Check(r Request) (*Report, error) {
	if len(r.Options.PredicateTypes) == 0 {
		r.Options.PredicateTypes = []string{bundle.SignPredicate}
	}
	report := &Report{Target: c.target, Digest: c.artifact.Digest(), Verified: []Proof{}, Notes: slices.Clone(c.notes)}
	for _, candidate := range c.list {
		u, err := candidate.read()
		var v *bundle.Verified
		if err == nil {
			v, err = bundle.Verify(u, c.artifact, r.Accept, r.Root, r.Options)
		}
		if seaworthy.CodeOf(err) == seaworthy.Usage {
			return nil, err // about what was asked, not about this candidate
		}
		_ = report.add(candidate.source, v, err)
	}
	return report, report.verdict()
}

// Image finds and checks: see Find and Candidates.Check.
func Image(ctx context.Context, target string, p oci.Place, digest seaworthy.Digest, r Request) (*Report, error) {
	c, err := Find(ctx, target, p, digest)
	if err != nil {
		return nil, err
	}
	return c.Check(r)
}

// verdict is the error of the whole: nil when one passed.
func (r *Report) verdict() error {
	switch {
	case len(r.Verified) > 0:
		return nil
	case len(r.Refused) == 0:
		return seaworthy.Errorf(seaworthy.Unsigned, "verifying %q: nothing signs %s", r.Target, r.Digest).
			WithHint("seaworthy sign %s signs it", r.Target)
	case len(r.Refused) == 1:
		return r.Refused[0].err
	}
	code := seaworthy.Uncertified
	var reasons []string
	for _, f := range r.Refused {
		if f.Code != seaworthy.Uncertified {
			code = seaworthy.Unmatched
		}
		reason := f.Detail
		if f.Refusal != nil {
			reason = f.Refusal.Error()
		}
		if !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
	}
	return &seaworthy.Error{Code: code, Err: seaworthy.Errorf(code, "verifying %q: none of %d signatures is as was asked: %s", r.Target, len(r.Refused), strings.Join(reasons, "; "))}
}

// fetch gets what may sign a digest, of what refers to it.
func fetch(ctx context.Context, p oci.Place, referrers []oci.Referrer) ([]candidate, []string, error) {
	referrers = slices.DeleteFunc(slices.Clone(referrers), func(r oci.Referrer) bool { return !maySign(r) })
	var notes []string
	if len(referrers) > maxCandidates {
		notes = append(notes, "more than 1000 manifests sign it; the rest was not looked at")
		referrers = referrers[:maxCandidates]
	}
	found := make([][]candidate, len(referrers))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, r := range referrers {
		group.Go(func() (err error) {
			found[i], err = open(gctx, p, r)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	return slices.Concat(found...), notes, nil
}

// maySign reports whether a referrer is worth opening. Those in a list without types must be.
func maySign(r oci.Referrer) bool {
	switch t := r.ArtifactType; {
	case r.Via == oci.ViaCosign:
		return !strings.HasSuffix(r.Tag, ".sbom")
	case t == "" || strings.HasPrefix(t, "application/vnd.dev.sigstore.bundle") || t == intoto.PayloadType || t == bundle.EnvelopeType || t == bundle.SimpleSigningType:
		return true
	default:
		return t == oci.MediaTypeConfig // what lists say of images, and so of what cosign keeps
	}
}

// open fetches what a referrer holds. A layer that is not a signature is passed over; one that is and cannot be
// fetched is an error of the whole.
func open(ctx context.Context, p oci.Place, r oci.Referrer) ([]candidate, error) {
	_, raw, err := p.Manifest(ctx, string(r.Digest))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Unavailable, "fetching the signature %s", r.Digest.Short())
	}
	source := r.Via + " " + string(r.Digest)
	if r.Tag != "" {
		source = "tag " + r.Tag
	}
	if oci.IsIndex(r.MediaType) {
		return nil, nil
	}
	m, err := oci.ParseManifest(raw)
	if err != nil {
		return []candidate{{source: source, read: func() (*bundle.Unverified, error) { return nil, err }}}, nil
	}
	var out []candidate
	for _, l := range m.Layers {
		isBundle := strings.HasPrefix(l.MediaType, "application/vnd.dev.sigstore.bundle")
		if !isBundle && l.MediaType != bundle.SimpleSigningType && l.MediaType != bundle.EnvelopeType {
			continue
		}
		if len(out) == maxCandidates {
			return out, nil
		}
		if l.Size > bundle.MaxBytes {
			tooLarge := seaworthy.Errorf(seaworthy.TooLarge, "reading a signature of %d bytes; the limit is %d", l.Size, bundle.MaxBytes)
			out = append(out, candidate{source: source, read: func() (*bundle.Unverified, error) { return nil, tooLarge }})
			continue
		}
		b, err := oci.ReadBlob(ctx, p, l, bundle.MaxBytes)
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Unavailable, "fetching the signature %s", l.Digest.Short())
		}
		out = append(out, candidate{source: source, manifest: r.Digest, raw: b, read: func() (*bundle.Unverified, error) {
			if isBundle {
				return bundle.Parse(b)
			}
			return bundle.Cosign(l.MediaType, l.Annotations, b)
		}})
	}
	return out, nil
}
