package oci

import (
	"context"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// chosen is the one manifest that is meant.
type chosen struct {
	desc      Descriptor
	raw       []byte
	mediaType string
	index     *Index // outermost
}

// choose goes from root, whose bytes are given when they have been read already, to one image manifest:
// through indexes by platform. Errors: NotFound when the platform is not there, TooLarge for indexes too deep
// or too many, Invalid, Mismatch, and those of src.
func choose(ctx context.Context, src content, root Descriptor, raw []byte, want Platform, has func(seaworthy.Digest) bool) (chosen, error) {
	var out chosen
	seen := map[seaworthy.Digest]bool{}
	type step struct {
		d     Descriptor
		raw   []byte
		depth int
	}
	todo := []step{{root, raw, 0}}
	var there []Descriptor
	for read := 0; len(todo) > 0; read++ {
		s := todo[0]
		todo = todo[1:]
		if seen[s.d.Digest] {
			continue
		}
		seen[s.d.Digest] = true
		if read >= maxIndexes {
			return out, seaworthy.Errorf(seaworthy.TooLarge, "looking for a platform in %s: more than %d indexes", root.Digest.Short(), maxIndexes)
		}
		kind := ""
		var err error
		if s.raw == nil {
			s.raw, kind, err = load(ctx, src, s.d)
		} else if kind, err = kindOf(s.raw, s.d.MediaType); err != nil {
			err = seaworthy.Wrap(err, seaworthy.Invalid, "reading manifest %s", s.d.Digest.Short())
		}
		if err != nil {
			return out, err
		}
		if isManifestType(kind) {
			// The root, or an entry whose descriptor did not say that it is an image.
			out.desc, out.raw, out.mediaType = s.d, s.raw, kind
			return out, nil
		}
		if s.depth >= MaxIndexDepth {
			return out, seaworthy.Errorf(seaworthy.TooLarge, "looking for a platform in %s: indexes nested deeper than %d", root.Digest.Short(), MaxIndexDepth)
		}
		index, err := parseIndex(s.raw, kind)
		if err != nil {
			return out, seaworthy.Wrap(err, seaworthy.Invalid, "reading index %s", s.d.Digest.Short())
		}
		index.Digest = s.d.Digest
		if out.index == nil {
			out.index = index
		}
		images, nested := split(index.Entries)
		if d, ok := best(images, want, has); ok {
			b, kind, err := load(ctx, src, d)
			if err != nil {
				return out, err
			}
			if isManifestType(kind) {
				out.desc, out.raw, out.mediaType = d, b, kind
				return out, nil
			}
			todo = append(todo, step{d, b, s.depth + 1})
		}
		for _, d := range nested {
			todo = append(todo, step{d, nil, s.depth + 1})
		}
		there = append(there, images...)
	}
	// Nobody asked for a platform and there is only one: no reason to say no.
	if want == (Platform{}) {
		if present := slices.DeleteFunc(slices.Clone(there), func(d Descriptor) bool { return has != nil && !has(d.Digest) }); len(present) == 1 {
			d := present[0]
			b, kind, err := load(ctx, src, d)
			if err != nil {
				return out, err
			}
			if isManifestType(kind) {
				out.desc, out.raw, out.mediaType = d, b, kind
				return out, nil
			}
		}
		want = hostPlatform()
	}
	return out, noPlatform(root, want, there)
}

// load reads one manifest or index and says which it is.
func load(ctx context.Context, src content, d Descriptor) (raw []byte, kind string, err error) {
	if raw, err = src.document(ctx, d); err == nil {
		kind, err = kindOf(raw, d.MediaType)
	}
	return raw, kind, seaworthy.Wrap(err, seaworthy.Invalid, "reading manifest %s", d.Digest.Short())
}

func noPlatform(root Descriptor, want Platform, there []Descriptor) error {
	var names []string
	for _, d := range there {
		if d.Platform != nil && d.Platform.String() != "" && !slices.Contains(names, d.Platform.String()) {
			names = append(names, clip(d.Platform.String()))
		}
	}
	slices.Sort(names)
	e := seaworthy.Errorf(seaworthy.NotFound, "looking for platform %s in %s: it has %s", want, root.Digest.Short(), orNone(quoted(names, 40)))
	if len(names) > 0 {
		return e.WithHint("choose one of them, for example --platform %s", strings.Trim(quoted(names[:1], 1), `"`))
	}
	return e
}

// split parts the entries of an index that are images from those that are indexes. Attestations and other
// artifacts that lie beside images are neither.
func split(entries []Descriptor) (images, nested []Descriptor) {
	for _, d := range entries {
		switch {
		case isIndexType(d.MediaType):
			nested = append(nested, d)
		case beside(d):
		case d.MediaType == "" || isManifestType(d.MediaType):
			images = append(images, d)
		}
	}
	return images, nested
}

// beside reports whether an entry is not an image but something about one.
func beside(d Descriptor) bool {
	return d.Annotations[annotationReference] != "" || d.ArtifactType != "" && d.ArtifactType != MediaTypeConfig && d.ArtifactType != MediaTypeDockerConfig ||
		d.Platform != nil && d.Platform.OS == "unknown" && d.Platform.Arch == "unknown"
}

// best returns the first of the entries that fit want best. An entry that does not say its platform fits only
// when it is alone. has, when not nil, says which are there to be had at all.
func best(entries []Descriptor, want Platform, has func(seaworthy.Digest) bool) (Descriptor, bool) {
	asked := want != Platform{}
	if !asked {
		want = hostPlatform()
	}
	var found Descriptor
	fit := 0
	for _, d := range entries {
		if d.Platform == nil || (has != nil && !has(d.Digest)) {
			continue
		}
		if f := d.Platform.fit(want); f > fit {
			found, fit = d, f
		}
	}
	if fit > 0 {
		return found, true
	}
	if len(entries) == 1 && (entries[0].Platform == nil || entries[0].Platform.String() == "") {
		return entries[0], true
	}
	return Descriptor{}, false
}

// checkPlatform refuses an image that runs on something else than was asked for by name.
func (im *Image) checkPlatform(want Platform) error {
	if want == (Platform{}) || im.Platform.OS == "" || im.Platform.Arch == "" || im.Platform.fit(want) > 0 {
		return nil
	}
	return seaworthy.Errorf(seaworthy.NotFound, "looking for platform %s in %s: it has %q", want, im.Digest.Short(), clip(im.Platform.String())).
		WithHint("leave --platform out, or say --platform %s", clip(im.Platform.String()))
}

// quoted lists names for an error, at most limit of them.
func quoted(names []string, limit int) string {
	var b strings.Builder
	for i, n := range names {
		if i == limit {
			b.WriteString(", …")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(n))
	}
	return b.String()
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
