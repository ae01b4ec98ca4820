package ingest

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
)

// Limits of what is fetched for one image.
const (
	// maxFetched is how many manifests are fetched; the rest is named as a problem.
	maxFetched = 2000
	// maxReferrerDepth is how many referrers may refer one to another: a signature of an attestation of an image.
	maxReferrerDepth = 4
	// maxBlob is how large a document in a registry may be: 256 MiB.
	maxBlob = 256 << 20
	// maxConfigBytes is how large a configuration may be: 4 MiB.
	maxConfigBytes = oci.DefaultMaxManifest
)

// Image ingests everything a registry has about an image or index of a digest: manifests, configurations, and all that
// refers to them, and to that, with what cosign keeps at tags. target is what people call it; a tag in it is noted as
// what it stood for.
//
// What cannot be read is counted and named, with the error Incomplete; a registry that does not answer, or cannot list
// what refers to an image, is an error, never "nothing". Errors: those of the place and of the store.
func (in *Ingester) Image(ctx context.Context, place oci.Place, target string, digest seaworthy.Digest) (Summary, error) {
	f := in.newFetch(place, target)
	if !digest.NamesContent() {
		return f.summary, seaworthy.Errorf(seaworthy.Usage, "ingesting %q: %q is no digest of content", target, digest)
	}
	if err := f.image(ctx, digest); err != nil {
		return f.summary, seaworthy.Wrap(err, seaworthy.Unavailable, "ingesting %q", target)
	}
	if f.summary.Failed > 0 {
		return f.summary, seaworthy.Errorf(seaworthy.Incomplete, "ingesting %q: %d documents cannot be read; the first is %q: %s",
			target, f.summary.Failed, f.summary.Failures[0].Where, f.summary.Failures[0].Detail)
	}
	return f.summary, nil
}

// newFetch begins to fetch from a place.
func (in *Ingester) newFetch(place oci.Place, target string) *fetch {
	f := &fetch{in: in, place: place, target: target, visited: map[seaworthy.Digest]bool{}}
	f.summary.Kinds = map[seaworthy.DocumentKind]int{}
	return f
}

// fetch is one call of Image, or one layout.
type fetch struct {
	in      *Ingester
	place   oci.Place
	target  string
	visited map[seaworthy.Digest]bool // fetched, or waiting to be
	cut     bool                      // there was more than may be fetched
	summary Summary
}

// visit is a manifest that is still to be fetched.
type visit struct {
	digest   seaworthy.Digest
	tag      string // that cosign makes, at which it lay
	referrer bool
	depth    int // of referrers
	nested   int // of indexes
	required bool
}

// image goes through what is to be fetched, breadth first. Nothing is fetched twice, so cycles end, and what waits to be
// fetched is bounded too.
func (f *fetch) image(ctx context.Context, digest seaworthy.Digest) error {
	if f.visited[digest] {
		return nil // another image of the layout led to it
	}
	queue := []visit{{digest: digest, required: true}}
	f.visited[digest] = true
	for len(queue) > 0 {
		v := queue[0]
		queue = queue[1:]
		next, err := f.manifest(ctx, v)
		if err != nil {
			if v.required || stops(err) || seaworthy.CodeOf(err) == seaworthy.Unauthorized {
				return err
			}
			f.summary.fail(seaworthy.NewProblem(string(v.digest), err))
			continue
		}
		for _, n := range next {
			switch {
			case f.visited[n.digest] || f.cut:
			case len(f.visited) >= maxFetched:
				f.cut = true
				f.summary.fail(seaworthy.Problem{Where: f.target, Code: seaworthy.TooLarge, Detail: "more than " + strconv.Itoa(maxFetched) + " manifests belong to it; the rest was not fetched"})
			default:
				f.visited[n.digest] = true
				queue = append(queue, n)
			}
		}
	}
	return nil
}

// manifest ingests one manifest with what is in it, and says what else belongs to it.
func (f *fetch) manifest(ctx context.Context, v visit) ([]visit, error) {
	d, raw, err := f.place.Manifest(ctx, string(v.digest))
	if err != nil {
		return nil, err
	}
	if err := f.keep(ctx, f.origin(v.digest), raw); err != nil {
		return nil, err
	}
	if v.required || v.tag != "" {
		if err := f.seen(ctx, v, raw); err != nil {
			return nil, err
		}
	}
	var next []visit
	if oci.IsIndex(d.MediaType) {
		next, err = f.entries(v, raw)
	} else {
		err = f.parts(ctx, v, raw)
	}
	if err != nil {
		return nil, err
	}
	if v.depth >= maxReferrerDepth {
		return next, nil
	}
	related, err := oci.Related(ctx, f.place, v.digest)
	if err != nil {
		return nil, err
	}
	for _, r := range related {
		next = append(next, visit{digest: r.Digest, tag: cosignTag(r), referrer: true, depth: v.depth + 1})
	}
	return next, nil
}

// cosignTag is the tag that says what a manifest refers to, where the manifest itself does not.
func cosignTag(r oci.Referrer) string {
	if r.Via == oci.ViaCosign {
		return r.Tag
	}
	return ""
}

// origin names where something came from.
func (f *fetch) origin(d seaworthy.Digest) string {
	name, _, _ := strings.Cut(f.target, "@")
	if hasTag(name) {
		name = name[:strings.LastIndexByte(name, ':')]
	}
	return name + "@" + string(d)
}

// seen writes down what the reference or tag stood for.
func (f *fetch) seen(ctx context.Context, v visit, raw []byte) error {
	s := Seen{Manifest: raw, Tag: v.tag}
	if name, _, _ := strings.Cut(f.target, "@"); v.required && hasTag(name) {
		s.Reference = name
	}
	if s.Tag == "" && s.Reference == "" {
		return nil
	}
	return f.keepSeen(ctx, f.target, s)
}

// entries lists the manifests of an index.
func (f *fetch) entries(v visit, raw []byte) ([]visit, error) {
	x, err := oci.ParseIndex(raw)
	if err != nil {
		return nil, err
	}
	if v.nested >= oci.MaxIndexDepth {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "indexes lie one in another more than %d deep", oci.MaxIndexDepth)
	}
	var next []visit
	for _, e := range x.Entries {
		next = append(next, visit{digest: e.Digest, depth: v.depth, nested: v.nested + 1, referrer: v.referrer || isAttestation(e)})
	}
	return next, nil
}

// parts ingests what is in the manifest of an image or artifact: the configuration of an image, the documents of an
// artifact.
func (f *fetch) parts(ctx context.Context, v visit, raw []byte) error {
	m, err := oci.ParseManifest(raw)
	if err != nil {
		return err
	}
	documents := v.referrer || m.Subject != nil || holdsDocuments(m)
	if !documents && (m.Config.MediaType == oci.MediaTypeConfig || m.Config.MediaType == oci.MediaTypeDockerConfig) {
		config, err := oci.ReadBlob(ctx, f.place, m.Config, maxConfigBytes)
		if err != nil {
			return err
		}
		return f.keepSeen(ctx, f.origin(m.Config.Digest), Seen{Manifest: raw, Part: "config", Content: config})
	}
	if !documents {
		return nil
	}
	for i, l := range m.Layers[:min(len(m.Layers), maxLayers)] {
		if err := f.layer(ctx, raw, i, l); err != nil {
			return err
		}
	}
	return nil
}

// layer ingests a layer that is a document. Others are passed over.
func (f *fetch) layer(ctx context.Context, raw []byte, i int, l oci.Descriptor) error {
	cosign := slices.Contains([]string{bundle.SimpleSigningType, bundle.EnvelopeType}, l.MediaType)
	if !cosign && !mayBeDocument(l.MediaType) {
		return nil
	}
	if l.Size > maxBlob {
		f.summary.fail(seaworthy.Problem{Where: string(l.Digest), Code: seaworthy.TooLarge, Detail: "a document of " + strconv.FormatInt(l.Size, 10) + " bytes is not fetched"})
		return nil
	}
	content, err := oci.ReadBlob(ctx, f.place, l, maxBlob)
	if err != nil {
		return err
	}
	if cosign {
		return f.keepSeen(ctx, f.origin(l.Digest), Seen{Manifest: raw, Part: strconv.Itoa(i), Content: content})
	}
	if is, _ := recognise(content); is == formUnknown {
		return nil // an artifact of any kind may refer to an image
	}
	return f.keep(ctx, f.origin(l.Digest), content)
}

func (f *fetch) keepSeen(ctx context.Context, origin string, s Seen) error {
	b, err := s.Marshal()
	if err != nil {
		return err
	}
	return f.keep(ctx, origin, b)
}

// keep ingests a document. One that cannot be read is counted.
func (f *fetch) keep(ctx context.Context, origin string, b []byte) error {
	result, err := f.in.bytes(ctx, origin, b, 0, newBudget())
	if stops(err) {
		return err
	}
	f.summary.add(&result, err, origin)
	return nil
}
