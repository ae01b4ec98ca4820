package ingest

import (
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// readRoots finds what the bill is about. What an attestation says counts where the bill names no digest; where both
// name one, the document describes both, and the contents are those of what the bill names.
func (x *billPage) readRoots(about []seaworthy.Subject) {
	x.isRoot = make(map[string]bool, len(x.b.Roots))
	for _, ref := range x.b.Roots {
		if x.isRoot[ref] {
			continue
		}
		x.isRoot[ref] = true
		if e := x.elements[ref]; e != nil && e.subject.Kind != "" {
			x.roots = append(x.roots, e.subject)
			if e.pkg >= 0 {
				switch x.b.Packages[e.pkg].Role {
				case seaworthy.Container, seaworthy.OS, seaworthy.FileRole:
					x.image = true
				}
			} else {
				x.image = true
			}
		}
	}
	if len(x.roots) == 0 && len(about) == 0 {
		if root, ok := x.rootless(); ok {
			x.roots = []seaworthy.Subject{root}
		}
	}
	if len(about) == 0 {
		return
	}
	for _, s := range about {
		x.describes(s)
	}
	attested := about[0]
	switch {
	case len(x.roots) != 1:
		x.roots = []seaworthy.Subject{attested}
		x.image = true
	case x.roots[0] == attested:
	case x.roots[0].Kind == seaworthy.ArtifactSubject && attested.Kind == seaworthy.ArtifactSubject:
		x.problems.Add("subject", seaworthy.Noted, "the attestation is about %s and the bill in it about %s", attested.Key, x.roots[0].Key)
	default:
		x.say(attested, seaworthy.SaysSame, x.roots[0], "why", "attested bill")
		if attested.Kind == seaworthy.ArtifactSubject {
			x.replaceRoot(attested)
		}
	}
}

// replaceRoot puts what is attested in the place of what the bill calls it.
func (x *billPage) replaceRoot(s seaworthy.Subject) {
	for _, ref := range x.b.Roots {
		if e := x.elements[ref]; e != nil && e.subject == x.roots[0] {
			e.subject = s
		}
	}
	x.roots[0] = s
}

// rootless names what a bill without a root is about: the document's name is all there is, as in what older tools
// write of images.
func (x *billPage) rootless() (seaworthy.Subject, bool) {
	name := x.b.Name
	switch {
	case name == "":
		return seaworthy.Subject{}, false
	case strings.Contains(x.b.ID, "/syft/image/") || isImageName(name):
		x.image = true
		s := imageResource(name, "")
		x.name(s, name)
		// syft writes "-" for the ":" before a tag. Which it was cannot be told, so this is a name to be found by and
		// no statement.
		if i := strings.LastIndex(name, "-"); i > strings.LastIndexByte(name, '/') && !strings.Contains(name[i:], ":") {
			if v := strings.TrimPrefix(name[i+1:], "v"); v != "" && v[0] >= '0' && v[0] <= '9' || name[i+1:] == "latest" {
				x.name(s, name[:i]+":"+name[i+1:])
			}
		}
		return s, true
	default:
		x.image = true
		return x.generic(name, ""), true
	}
}

// isImageName reports whether a name can only be that of an image: a host with a dot or port, a path, and nothing else.
func isImageName(name string) bool {
	host, rest, ok := strings.Cut(name, "/")
	if !ok || rest == "" || strings.Contains(name, "://") {
		return false
	}
	if !strings.ContainsAny(host, ".:") || strings.HasPrefix(host, ".") {
		return false
	}
	_, err := oci.ParseReference(name)
	return err == nil
}

// imageSubject is an image: by its digest, which is the same as what its reference names, or by the reference alone.
// Kind is "" when it has neither.
func (x *billPage) imageSubject(pk *seaworthy.Package) seaworthy.Subject {
	name, tag := pk.Name, ""
	var digest seaworthy.Digest
	take := func(s string) bool {
		d, err := seaworthy.ParseDigest(s)
		if err == nil && d.NamesContent() && digest == "" {
			digest = d
		}
		return err == nil
	}
	u, err := purl.Parse(pk.PURL)
	isImage := err == nil && (u.Type == "oci" || u.Type == "docker")
	if isImage {
		take(u.Version)
		tag = u.Qualifier("tag")
		if where := u.Qualifier("repository_url"); where != "" && !strings.Contains(name, "/") {
			name = where
		}
	}
	if pk.HashOf == "" || pk.HashOf == seaworthy.HashOfArtifact {
		for _, d := range pk.Hashes {
			take(string(d))
		}
	}
	if before, d, ok := strings.Cut(name, "@"); ok {
		take(d)
		name = before
	}
	if !take(pk.Version) && pk.Version != "" {
		tag = pk.Version
	}
	if pk.PURL != "" && !isImage && digest == "" {
		return seaworthy.Subject{} // a package that is called a container
	}
	var reference seaworthy.Subject
	if strings.Contains(name, "/") || hasTag(name) {
		reference = imageResource(name, tag)
	}
	switch {
	case digest != "":
		s := artifact(digest)
		if reference.Kind != "" {
			x.name(s, strings.TrimPrefix(reference.Key, "oci://"))
			x.say(reference, seaworthy.SaysSame, s, "why", "bill")
		} else {
			x.name(s, name)
		}
		if isImage {
			if pkg, ok := x.packageNamed(pk.PURL); ok {
				x.say(pkg, seaworthy.SaysSame, s, "why", "package URL of the image")
			}
		}
		return s
	case reference.Kind != "":
		return reference
	case name == "":
		return seaworthy.Subject{}
	}
	return imageResource(name, tag)
}

func hasTag(name string) bool {
	return strings.LastIndexByte(name, ':') > strings.LastIndexByte(name, '/')
}

// imageResource is what an image is called: "oci://registry/repository:tag". A tag that nobody wrote is not added; a
// name that is no reference is kept as it is.
func imageResource(name, tag string) seaworthy.Subject {
	if tag != "" && !hasTag(name) {
		name += ":" + tag
	}
	key := name
	if ref, err := oci.ParseReference(name); err == nil {
		key = ref.Name()
		if hasTag(name) && ref.Tag != "" {
			key += ":" + ref.Tag
		}
	}
	return seaworthy.Subject{Kind: seaworthy.ResourceSubject, Key: "oci://" + key}
}
