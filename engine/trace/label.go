package trace

import (
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// The roles of artifacts.
const (
	imageRole       = "image"
	indexRole       = "index"
	layerRole       = "layer"
	fileRole        = "file"
	binaryRole      = "binary"
	billRole        = "bill"
	attestationRole = "attestation"
)

// shownCommit is how many digits of a commit people are shown.
const shownCommit = 12

// label is a subject's short name; it must have been loaded.
func (a *asking) label(id graph.ID) string {
	s := a.subjects[id]
	switch s.Kind {
	case "":
		return graph.FormatID(id)[:12]
	case seaworthy.ArtifactSubject:
		if name := a.names[id]; name != "" {
			return name
		}
	case seaworthy.PackageSubject:
		name, version := a.nameVersion(s.Key)
		return strings.TrimSpace(name + " " + version)
	case seaworthy.DocumentSubject:
		if d := a.docs[id]; d != nil && d.doc.Digest != "" {
			if d.doc.Name != "" {
				return string(d.doc.Kind) + " " + d.doc.Name
			}
			return strings.TrimSpace(d.doc.Format+" "+string(d.doc.Kind)) + " " + d.doc.Digest.Short()
		}
	}
	return labelOf(s)
}

// Label is a subject's short name for people as far as its key says it: "libc6 2.36-9", "github.com/shop/web@1ff66136acfd".
func Label(s seaworthy.Subject) string { return labelOf(s) }

// labelOf is a subject's short name as far as its key says it.
func labelOf(s seaworthy.Subject) string {
	switch s.Kind {
	case seaworthy.ArtifactSubject, seaworthy.DocumentSubject:
		return seaworthy.Digest(s.Key).Short()
	case seaworthy.PackageSubject:
		name, version := nameVersion(s.Key)
		return strings.TrimSpace(name + " " + version)
	case seaworthy.SourceSubject:
		where, commit := splitSource(s.Key)
		if commit != "" {
			return where + "@" + commit[:min(len(commit), shownCommit)]
		}
		return where
	case seaworthy.ActorSubject:
		return actorLabel(s.Key)
	case seaworthy.ResourceSubject:
		if rest, ok := strings.CutPrefix(s.Key, "oci://"); ok {
			return rest
		}
	}
	return s.Key
}

// nameVersion takes a purl apart for people; one that cannot be read is its own name.
func nameVersion(key string) (name, version string) {
	p, err := purl.Parse(key)
	if err != nil {
		return key, ""
	}
	return p.FullName(), p.Version
}

// nameVersion is the function of that name, which remembers: tables are sorted by names.
func (a *asking) nameVersion(key string) (name, version string) {
	if known, ok := a.purls[key]; ok {
		return known[0], known[1]
	}
	name, version = nameVersion(key)
	a.purls[key] = [2]string{name, version}
	return name, version
}

// splitSource takes the key of a source apart: "github.com/kubernetes/kubernetes" and the commit.
func splitSource(key string) (where, commit string) {
	where = strings.TrimPrefix(strings.TrimPrefix(key, "git+"), "https://")
	if at := strings.LastIndexByte(where, '@'); at > strings.LastIndexByte(where, '/') {
		return where[:at], where[at+1:]
	}
	return where, ""
}

// actorLabel is "ci@example.com", "key ab12…", the URI of a builder.
func actorLabel(key string) string {
	kind, rest, ok := strings.Cut(key, ":")
	if !ok {
		return key
	}
	switch kind {
	case "identity":
		name, _, _ := strings.Cut(rest, "|")
		return name
	case "key":
		return "key " + seaworthy.Digest(rest).Short()
	case "builder", "person":
		return rest
	}
	return key
}

func actorLabels(keys []string) string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = actorLabel(k)
	}
	return strings.Join(names, ", ")
}

// baseOf is the key of the package that a purl is a version of: without version, qualifiers and subpath.
func baseOf(key string) string {
	if at := strings.IndexAny(key, "@?#"); at >= 0 {
		return key[:at]
	}
	return key
}

// isNameOf says whether general is the package of which exact is a version.
func isNameOf(general, exact seaworthy.Subject) bool {
	return general.Kind == seaworthy.PackageSubject && exact.Kind == seaworthy.PackageSubject && general.Key != exact.Key &&
		!strings.Contains(general.Key, "@") && strings.Contains(exact.Key, "@") && baseOf(general.Key) == baseOf(exact.Key)
}

// noteRoles remembers what edges tell about artifacts: their role and path.
func (a *asking) noteRoles(list []edge) {
	for i := range list {
		e := &list[i]
		subject, object := e.ends()
		switch e.predicate {
		case seaworthy.SaysHasFile:
			role := fileRole
			if isBinary(e.attrs) {
				role = binaryRole
			}
			a.role(object, role)
			if path := e.attr("path"); path != "" && (a.names[object] == "" || path < a.names[object]) {
				a.names[object] = path
			}
		case seaworthy.SaysContains:
			switch layer := e.attr("layer"); {
			case e.said("index") != "", layer != "" && e.attr("path") == "" && isArtifact(object, layer):
				a.role(object, layerRole)
				a.role(subject, imageRole)
			case e.said("platform") != "":
				a.role(object, imageRole)
			}
		case seaworthy.SaysRuns:
			a.role(object, imageRole)
		case seaworthy.SaysDescribes:
			if a.docs[e.docs[0]].doc.Kind != seaworthy.ManifestDocument || e.attr("how") != "" {
				continue
			}
			switch typ := e.attr("type"); typ {
			case "index":
				a.role(object, indexRole)
			case "configuration":
			default:
				role := attestationRole
				if typ == "" || strings.Contains(typ, "image.config") || strings.Contains(typ, "container.image") {
					role = imageRole
				}
				a.role(object, role)
			}
		}
	}
}

func isArtifact(id graph.ID, key string) bool {
	return seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: key}.ID() == id
}

// roleRank orders roles: what says more about an artifact replaces what says less.
var roleRank = map[string]int{fileRole: 1, binaryRole: 2, layerRole: 3, billRole: 4, attestationRole: 4, imageRole: 5, indexRole: 6}

func (a *asking) role(id graph.ID, role string) {
	if roleRank[role] > roleRank[a.roles[id]] {
		a.roles[id] = role
	}
}

// isBinary says whether a file is a program, as bills say it of files.
func isBinary(attrs []seaworthy.Property) bool {
	for _, p := range attrs {
		if p.Name != "types" {
			continue
		}
		for part := range strings.FieldsFuncSeq(p.Value, func(r rune) bool { return r == ',' || r == ' ' || r == ';' }) {
			if strings.EqualFold(part, "BINARY") {
				return true
			}
		}
	}
	return false
}
