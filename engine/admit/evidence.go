package admit

import (
	"context"
	stdjson "encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-json-experiment/json"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/match"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/engine/verify"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// Limits of what is read about one image.
const (
	maxBills       = 32
	maxBillBytes   = 64 << 20 // 64 MiB each, as of bundles
	maxPlatforms   = 32
	maxConfigBytes = 4 << 20 // 4 MiB: what a configuration may have
)

// Advisories are what findings come from.
type Advisories struct {
	DB  *advisory.DB
	VEX []match.Statement // of files that whoever runs the gate has named; what lies beside images may not take findings away
}

// evidence is what is known about one digest, asked for when a policy needs it and remembered. It implements
// policy.Evidence and is safe for many users at once.
type evidence struct {
	registries Registries
	asker      Asker
	measure    *measure
	place      oci.Place
	where      string // the place, for people
	target     string // the image, for people
	digest     seaworthy.Digest
	root       *root.Root
	advisories *Advisories

	hop  atomic.Pointer[string] // what is being waited for
	size atomic.Int64           // bytes held, about

	manifest   lazy[fetched]
	related    lazy[[]oci.Referrer]
	candidates lazy[*verify.Candidates]
	bills      lazy[[]policy.Bill]
	findings   lazy[[]seaworthy.Finding]
	config     lazy[map[string]stdjson.RawMessage]

	mu        sync.Mutex // held while verified and elsewhere are looked at
	verified  map[string]*lazy[*verify.Report]
	elsewhere map[string]*lazy[*verify.Candidates]
}

// evidenceOf is what is known about the image of a subject.
func (g *Gate) evidenceOf(s *subject) *evidence {
	m := &measure{budget: g.reading}
	return &evidence{
		registries: g.o.Registries, asker: s.asker, measure: m, place: measured{s.place, m}, where: s.where, target: s.image.Reference, digest: s.image.Digest,
		root: s.world.root, advisories: s.world.advisories, verified: map[string]*lazy[*verify.Report]{}, elsewhere: map[string]*lazy[*verify.Candidates]{},
	}
}

// waiting says what is being waited for, until the function it returns is called.
func (e *evidence) waiting(format string, args ...any) func() {
	text := fmt.Sprintf(format, args...)
	e.hop.Store(&text)
	return func() { e.hop.CompareAndSwap(&text, nil) }
}

// Hop is what is being waited for now, or "".
func (e *evidence) Hop() string {
	if s := e.hop.Load(); s != nil {
		return *s
	}
	return ""
}

// fetched is the manifest or index itself.
type fetched struct {
	mediaType string
	raw       []byte
}

func (e *evidence) fetch(ctx context.Context) (fetched, error) {
	return e.manifest.get(func() (fetched, error) {
		d, raw, err := e.place.Manifest(ctx, string(e.digest))
		return fetched{d.MediaType, raw}, err
	})
}

func (e *evidence) refer(ctx context.Context) ([]oci.Referrer, error) {
	return e.related.get(func() ([]oci.Referrer, error) {
		defer e.waiting("%s to list what refers to %s", e.where, e.digest.Short())()
		return oci.Related(ctx, e.place, e.digest)
	})
}

func (e *evidence) find(ctx context.Context) (*verify.Candidates, error) {
	return e.candidates.get(func() (*verify.Candidates, error) {
		referrers, err := e.refer(ctx)
		if err != nil {
			return nil, err
		}
		defer e.waiting("%s to give the signatures of %s", e.where, e.digest.Short())()
		c, err := verify.FindAmong(ctx, e.target, e.place, e.digest, referrers)
		if err == nil {
			e.size.Add(c.Size())
		}
		return c, err
	})
}

// Verify implements policy.Evidence.
func (e *evidence) Verify(ctx context.Context, r verify.Request) (*verify.Report, error) {
	candidates, err := e.find(ctx)
	if err != nil {
		return nil, err
	}
	return remembered(e, e.verified, requestName(r), func() (*verify.Report, error) { return candidates.Check(r) })
}

// remembered asks what a map has not got yet.
func remembered[T any](e *evidence, in map[string]*lazy[T], name string, ask func() (T, error)) (T, error) {
	e.mu.Lock()
	l := in[name]
	if l == nil {
		l = new(lazy[T])
		in[name] = l
	}
	e.mu.Unlock()
	return l.get(ask)
}

// VerifyAt implements policy.Elsewhere.
func (e *evidence) VerifyAt(ctx context.Context, at policy.Source, r verify.Request) (*verify.Report, error) {
	name := fmt.Sprintf("%q %q %q", at.Repository, at.TagPrefix, at.PullSecrets)
	candidates, err := remembered(e, e.elsewhere, name, func() (*verify.Candidates, error) {
		ref, err := oci.ParseReference(at.Repository)
		if err != nil {
			return nil, err
		}
		who := e.asker
		who.PullSecrets = append(slices.Clone(who.PullSecrets), at.PullSecrets...)
		p, _, err := e.registries.Open(ctx, ref, who)
		if err != nil {
			return nil, err
		}
		p = measured{p, e.measure}
		if at.TagPrefix != "" {
			p = prefixed{p, at.TagPrefix}
		}
		defer e.waiting("%s to give the signatures of %s", ref.Registry, e.digest.Short())()
		c, err := verify.Find(ctx, e.target, p, e.digest)
		if err == nil {
			e.size.Add(c.Size())
		}
		return c, err
	})
	if err != nil {
		return nil, err
	}
	return remembered(e, e.verified, name+"\x00"+requestName(r), func() (*verify.Report, error) { return candidates.Check(r) })
}

// prefixed is a place in which the tags of signatures begin with something (cosign's TagPrefix).
type prefixed struct {
	oci.Place
	prefix string
}

// Manifest implements oci.Place.
func (p prefixed) Manifest(ctx context.Context, name string) (oci.Descriptor, []byte, error) {
	if !strings.Contains(name, ":") {
		name = p.prefix + name
	}
	return p.Place.Manifest(ctx, name)
}

// Artifacts implements policy.Artifacts.
func (e *evidence) Artifacts(ctx context.Context) ([]policy.Artifact, error) {
	referrers, err := e.refer(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]policy.Artifact, len(referrers))
	for i, r := range referrers {
		out[i] = policy.Artifact{MediaType: r.MediaType, Digest: r.Digest, Size: r.Size, Annotations: r.Annotations, ArtifactType: r.ArtifactType}
	}
	return out, nil
}

// requestName tells requests apart: by everything that is in them.
func requestName(r verify.Request) string {
	var b strings.Builder
	for _, k := range r.Accept.Keys {
		fmt.Fprintf(&b, "%s\n", k.Digest())
	}
	if r.Root != nil {
		fmt.Fprintf(&b, "%s\n", r.Root.Digest())
	}
	fmt.Fprintf(&b, "%q %+v", r.Options.PredicateTypes, r.Options)
	for _, id := range r.Accept.Identities {
		fmt.Fprintf(&b, "\n%q %q %q %q", id.Subject, id.SubjectRegexp, id.Issuer, id.IssuerRegexp)
		for _, name := range bundle.Claims() {
			if v, ok := id.Claims[name]; ok {
				fmt.Fprintf(&b, " %s=%q", name, v)
			}
		}
	}
	return b.String()
}

// Findings implements policy.Evidence: what the advisories say about the bills; about the signed ones alone when there
// are any.
func (e *evidence) Findings(ctx context.Context) ([]seaworthy.Finding, error) {
	return e.findings.get(func() ([]seaworthy.Finding, error) {
		if e.advisories == nil || e.advisories.DB == nil {
			return nil, seaworthy.Errorf(seaworthy.Unsupported, "looking for findings in %s: there are no advisories to look into", e.digest.Short()).
				WithHint("give the gate --advisories FILE; seaworthy advisories build makes it")
		}
		bills, err := e.Bills(ctx)
		if err != nil {
			return nil, err
		}
		readable := slices.DeleteFunc(slices.Clone(bills), func(b policy.Bill) bool { return b.Bill == nil })
		if signed := slices.DeleteFunc(slices.Clone(readable), func(b policy.Bill) bool { return len(b.Signers) == 0 }); len(signed) > 0 {
			readable = signed
		}
		if len(readable) == 0 {
			return nil, seaworthy.Errorf(seaworthy.NotFound, "looking for findings in %s: no bill says what is in it", e.digest.Short()).
				WithHint("seaworthy sbom %s -o cyclonedx-json=bill.json makes one, seaworthy attest %s --predicate bill.json --type cyclonedx attaches it", e.target, e.target)
		}
		type one struct{ id, pkg string }
		seen := map[one]bool{}
		var out []seaworthy.Finding
		for _, b := range readable {
			result, err := match.Packages(ctx, e.advisories.DB, b.Bill, match.Options{VEX: e.advisories.VEX})
			if err != nil {
				return nil, err
			}
			for _, f := range slices.Concat(result.Findings, result.Suppressed) {
				if k := (one{f.ID, f.Package}); !seen[k] {
					seen[k] = true
					out = append(out, f)
				}
			}
		}
		return out, nil
	})
}

// Config implements policy.Evidence.
func (e *evidence) Config(ctx context.Context) (map[string]stdjson.RawMessage, error) {
	return e.config.get(func() (map[string]stdjson.RawMessage, error) {
		defer e.waiting("%s to give the configuration of %s", e.where, e.digest.Short())()
		m, err := e.fetch(ctx)
		if err != nil {
			return nil, err
		}
		manifests := [][]byte{m.raw}
		if oci.IsIndex(m.mediaType) {
			if manifests, err = e.members(ctx, m.raw); err != nil {
				return nil, err
			}
		}
		out := map[string]stdjson.RawMessage{}
		for _, raw := range manifests {
			m, err := oci.ParseManifest(raw)
			if err != nil {
				return nil, err
			}
			body, err := oci.ReadBlob(ctx, e.place, m.Config, maxConfigBytes)
			if err != nil {
				return nil, seaworthy.Wrap(err, seaworthy.Unavailable, "fetching the configuration %s", m.Config.Digest.Short())
			}
			var p oci.Platform
			if err := json.Unmarshal(body, &p); err != nil {
				return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the configuration %s: %w", m.Config.Digest.Short(), err)
			}
			out[p.String()] = stdjson.RawMessage(body)
		}
		return out, nil
	})
}

// members are the manifests of the images in an index: not of what lies beside them.
func (e *evidence) members(ctx context.Context, raw []byte) ([][]byte, error) {
	index, err := oci.ParseIndex(raw)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for _, d := range index.Entries {
		if oci.IsIndex(d.MediaType) || d.Annotations["vnd.docker.reference.type"] != "" || d.Platform == nil || d.Platform.OS == "unknown" {
			continue
		}
		if len(out) == maxPlatforms {
			return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading the configurations of %s: more than %d platforms", e.digest.Short(), maxPlatforms)
		}
		_, m, err := e.place.Manifest(ctx, string(d.Digest))
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// noEvidence is the evidence of an image about which nothing can be had, and why.
type noEvidence struct{ err error }

func (n noEvidence) Verify(context.Context, verify.Request) (*verify.Report, error) {
	return nil, n.err
}
func (n noEvidence) Bills(context.Context) ([]policy.Bill, error)          { return nil, n.err }
func (n noEvidence) Findings(context.Context) ([]seaworthy.Finding, error) { return nil, n.err }
func (n noEvidence) Config(context.Context) (map[string]stdjson.RawMessage, error) {
	return nil, n.err
}
