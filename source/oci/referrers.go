package oci

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"github.com/seaworthy-dev/seaworthy"
)

const (
	// maxReferrers is how many referrers of one digest are listed; a list with more is an error, never cut.
	maxReferrers = 10_000
	// maxPages is how many pages a listing may have.
	maxPages = 1_000
	// fallbackTries is how often a referrers tag is written when others write it at the same time.
	fallbackTries = 5
)

// How a referrer was found.
const (
	ViaAPI      = "referrers"     // the registry's list, or a manifest of a layout
	ViaFallback = "referrers-tag" // the index at the tag sha256-<hex>
	ViaCosign   = "tag"           // the tag sha256-<hex>.sig, .att or .sbom
)

// cosignSuffixes are what cosign adds to the name of a digest for a tag of its own.
var cosignSuffixes = []string{".sig", ".att", ".sbom"}

// Referrer is a manifest that refers to another.
type Referrer struct {
	Descriptor
	Via string // how it was found: ViaAPI, ViaFallback or ViaCosign
	Tag string // the tag it was found at or through; "" for ViaAPI
}

// FallbackTag is the tag under which an index of the referrers of a digest is kept where a registry does not list
// them itself (distribution-spec, "Referrers Tag Schema").
func FallbackTag(d seaworthy.Digest) string {
	return clipTo(d.Algorithm(), 32) + "-" + clipTo(d.Hex(), 64)
}

func clipTo(s string, n int) string { return s[:min(len(s), n)] }

// isRelationTag reports whether a tag names what refers to an image, not an image.
func isRelationTag(tag string) bool {
	for _, suffix := range cosignSuffixes {
		tag = strings.TrimSuffix(tag, suffix)
	}
	alg, value, ok := strings.Cut(tag, "-")
	return ok && (alg == "sha256" || alg == "sha512") && len(value) == 64 && strings.Trim(value, "0123456789abcdef") == ""
}

// Referrers implements Place: the registry's own list and, where it has none (404), the index at the fallback
// tag. A missing tag means that nothing refers to the subject; any other failure is an error.
func (r *Repository) Referrers(ctx context.Context, subject seaworthy.Digest, artifactType string) ([]Referrer, error) {
	found, listed, err := r.listReferrers(ctx, subject, artifactType)
	if err == nil && !listed {
		found, err = fallbackReferrers(ctx, r, subject, artifactType)
	}
	return found, wrapReferrers(err, subject, r.Ref.Name())
}

func wrapReferrers(err error, subject seaworthy.Digest, where string) error {
	return seaworthy.Wrap(err, seaworthy.Unavailable, "listing what refers to %s in %s", subject.Short(), where)
}

// listReferrers asks the referrers API. listed is false when the registry does not have it.
func (r *Repository) listReferrers(ctx context.Context, subject seaworthy.Digest, artifactType string) (found []Referrer, listed bool, err error) {
	path := "referrers/" + string(subject)
	if artifactType != "" {
		path += "?artifactType=" + url.QueryEscape(artifactType)
	}
	seen := map[string]bool{}
	var at *url.URL
	for page := 0; ; page++ {
		raw, header, status, final, err := r.page(ctx, call{path: path, at: at, header: http.Header{"Accept": {MediaTypeIndex}}})
		if status == http.StatusNotFound && page == 0 {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		kind, err := kindOf(raw, header.Get("Content-Type"))
		if err == nil && !isIndexType(kind) {
			err = seaworthy.Errorf(seaworthy.Invalid, "a manifest came where a list should be")
		}
		var index *Index
		if err == nil {
			index, err = parseIndex(raw, kind)
		}
		if err != nil {
			return nil, false, err
		}
		for _, d := range index.Entries {
			if artifactType == "" || d.ArtifactType == artifactType { // it need not have filtered (OCI-Filters-Applied)
				found = append(found, Referrer{Descriptor: d, Via: ViaAPI})
			}
		}
		if len(found) > maxReferrers {
			return nil, false, seaworthy.Errorf(seaworthy.TooLarge, "it lists more than %d", maxReferrers)
		}
		if at, err = nextPage(header, final, seen, page); at == nil || err != nil {
			return unique(found), err == nil, err
		}
	}
}

// page fetches one page of a list; status is 404 when there is no such list. final is where it came from.
func (r *Repository) page(ctx context.Context, c call) (raw []byte, header http.Header, status int, final *url.URL, err error) {
	c.method, c.ref, c.ok = http.MethodGet, r.Ref, []int{http.StatusOK, http.StatusNotFound}
	for attempt := 0; ; attempt++ {
		raw, header, status, final, err = r.pageOnce(ctx, c)
		var broken cutError
		if !errors.As(err, &broken) || attempt >= r.Client.o.Retries || ctx.Err() != nil {
			return raw, header, status, final, err
		}
		if err := r.Client.pause(ctx, attempt, -1); err != nil {
			return nil, nil, 0, nil, err
		}
	}
}

func (r *Repository) pageOnce(ctx context.Context, c call) ([]byte, http.Header, int, *url.URL, error) {
	resp, err := r.Client.do(ctx, c)
	if err != nil {
		return nil, nil, 0, nil, err
	}
	if resp.StatusCode == http.StatusNotFound {
		return nil, nil, http.StatusNotFound, nil, statusError(resp)
	}
	defer resp.Body.Close()
	raw, err := readSmall(resp, r.Client.o.MaxManifest)
	return raw, resp.Header, 0, resp.Request.URL, err
}

func unique(in []Referrer) []Referrer {
	seen := map[seaworthy.Digest]bool{}
	return slices.DeleteFunc(in, func(r Referrer) bool {
		had := seen[r.Digest]
		seen[r.Digest] = true
		return had
	})
}

// nextPage reads the Link header (RFC 8288) of a page of a list; nil is the end. Errors: Invalid for a list that
// goes round in circles, TooLarge.
func nextPage(header http.Header, from *url.URL, seen map[string]bool, page int) (*url.URL, error) {
	link := ""
	for _, h := range header.Values("Link") {
		for part := range strings.SplitSeq(h, ",") {
			target, params, ok := strings.Cut(strings.TrimSpace(part), ">")
			if ok && strings.HasPrefix(target, "<") && strings.Contains(strings.ReplaceAll(params, `"`, ""), "rel=next") {
				link = target[1:]
			}
		}
	}
	if link == "" {
		return nil, nil
	}
	next, err := from.Parse(link)
	if err != nil || next.Host == "" {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "its next page is at %q, which is no address", clip(link))
	}
	next.Fragment = ""
	seen[from.String()] = true
	switch {
	case seen[next.String()]:
		return nil, seaworthy.Errorf(seaworthy.Invalid, "its pages go round in circles")
	case page+1 >= maxPages:
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "it has more than %d pages", maxPages)
	}
	return next, nil
}

// fallbackReferrers reads the index at the fallback tag; without one there are none.
func fallbackReferrers(ctx context.Context, p Place, subject seaworthy.Digest, artifactType string) ([]Referrer, error) {
	tag := FallbackTag(subject)
	index, err := fallbackIndex(ctx, p, tag)
	if err != nil {
		return nil, err
	}
	var found []Referrer
	for _, d := range index.Entries {
		if artifactType == "" || d.ArtifactType == artifactType {
			found = append(found, Referrer{Descriptor: d, Via: ViaFallback, Tag: tag})
		}
	}
	return unique(found), nil
}

// fallbackIndex reads the index at a fallback tag; a missing one is empty.
func fallbackIndex(ctx context.Context, p Place, tag string) (*Index, error) {
	d, raw, err := p.Manifest(ctx, tag)
	if seaworthy.CodeOf(err) == seaworthy.NotFound {
		return &Index{MediaType: MediaTypeIndex}, nil
	}
	if err != nil {
		return nil, err
	}
	if !isIndexType(d.MediaType) {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "the tag %q is no index", tag)
	}
	return parseIndex(raw, d.MediaType)
}

// Related lists everything that refers to a digest: its referrers, those the fallback tag lists even where the
// registry has the API, and cosign's tags. Each digest occurs once. Errors: any failure to find out; a list
// that could not be had is never an empty one.
func Related(ctx context.Context, p Place, subject seaworthy.Digest) ([]Referrer, error) {
	found, err := p.Referrers(ctx, subject, "")
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(found, func(r Referrer) bool { return r.Via == ViaFallback }) {
		more, err := fallbackReferrers(ctx, p, subject, "")
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Unavailable, "reading the tag %s", FallbackTag(subject))
		}
		found = append(found, more...)
	}
	// Beside each other: every one is a way to the registry and back.
	tagged := make([]*Referrer, len(cosignSuffixes))
	group, ctx := errgroup.WithContext(ctx)
	for i, suffix := range cosignSuffixes {
		group.Go(func() error {
			tag := FallbackTag(subject) + suffix
			d, err := resolve(ctx, p, tag)
			if seaworthy.CodeOf(err) == seaworthy.NotFound {
				return nil
			}
			tagged[i] = &Referrer{Descriptor: d, Via: ViaCosign, Tag: tag}
			return seaworthy.Wrap(err, seaworthy.Unavailable, "looking for the tag %s", tag)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, r := range tagged {
		if r != nil {
			found = append(found, *r)
		}
	}
	return unique(found), nil
}

// resolve says what a name stands for, as cheaply as the place can.
func resolve(ctx context.Context, p Place, name string) (Descriptor, error) {
	if r, ok := repositoryOf(p); ok {
		ref, err := r.named(name)
		if err != nil {
			return Descriptor{}, err
		}
		return r.Client.Resolve(ctx, ref)
	}
	d, _, err := p.Manifest(ctx, name)
	return d, err
}

// subjectOf is what the list of referrers needs to know of a manifest (distribution-spec, "Listing Referrers").
type subjectOf struct {
	ArtifactType string            `json:"artifactType"`
	Subject      *Descriptor       `json:"subject"`
	Annotations  map[string]string `json:"annotations"`
	Config       struct {
		MediaType string `json:"mediaType"`
	} `json:"config"`
}

// asReferrer describes a manifest as lists of referrers do. subject is "" for one that refers to nothing.
func asReferrer(d Descriptor, raw []byte) (entry Descriptor, subject seaworthy.Digest, err error) {
	var m subjectOf
	if err := unmarshalStrict(raw, &m); err != nil {
		return d, "", err
	}
	entry = Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size, ArtifactType: m.ArtifactType, Annotations: m.Annotations}
	if entry.ArtifactType == "" && isManifestType(d.MediaType) {
		entry.ArtifactType = m.Config.MediaType
	}
	if m.Subject == nil {
		return entry, "", nil
	}
	return entry, m.Subject.Digest, m.Subject.check()
}

// addToFallback writes a referrer into the index at its subject's fallback tag, and looks whether it stayed
// there: nothing keeps two writers from reading the same index. Errors: Conflict, and those of the registry.
func (r *Repository) addToFallback(ctx context.Context, subject seaworthy.Digest, entry Descriptor) error {
	return r.changeFallback(ctx, subject, func(entries []Descriptor) ([]Descriptor, bool) {
		if slices.ContainsFunc(entries, func(d Descriptor) bool { return d.Digest == entry.Digest }) {
			return entries, false
		}
		return append(entries, entry), true
	})
}

// changeFallback reads, changes and writes the index at a fallback tag until a change is no longer needed.
func (r *Repository) changeFallback(ctx context.Context, subject seaworthy.Digest, change func([]Descriptor) ([]Descriptor, bool)) error {
	tag := FallbackTag(subject)
	for try := 0; ; try++ {
		index, err := fallbackIndex(ctx, r, tag)
		if err != nil {
			return wrapReferrers(err, subject, r.Ref.Name())
		}
		entries, needed := change(index.Entries)
		if !needed {
			return nil
		}
		if try == fallbackTries {
			return seaworthy.Errorf(seaworthy.Conflict, "writing the tag %s of %s: somebody else writes it too, %d times in a row", tag, r.Ref.Name(), try).
				WithHint("try again")
		}
		if try > 0 {
			if err := r.Client.pause(ctx, try-1, -1); err != nil {
				return err
			}
		}
		raw, err := encodeIndex(entries, index.Annotations)
		if err != nil {
			return err
		}
		d := Descriptor{MediaType: MediaTypeIndex, Digest: seaworthy.SHA256(raw), Size: int64(len(raw))}
		if _, err := r.putManifest(ctx, tag, d, raw); err != nil {
			return err
		}
	}
}

// encodeIndex writes an index. Errors: Internal.
func encodeIndex(entries []Descriptor, annotations map[string]string) ([]byte, error) {
	raw, err := json.Marshal(struct {
		SchemaVersion int               `json:"schemaVersion"`
		MediaType     string            `json:"mediaType"`
		Manifests     []Descriptor      `json:"manifests"`
		Annotations   map[string]string `json:"annotations,omitempty"`
	}{2, MediaTypeIndex, append([]Descriptor{}, entries...), annotations}, json.Deterministic(true))
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Internal, "writing an index: %w", err)
	}
	return raw, nil
}
