package ingest

import (
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/facet"
	"github.com/seaworthy-dev/seaworthy/format/purl"
	"github.com/seaworthy-dev/seaworthy/format/vcs"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

const (
	// maxAttr is how long the value of an attribute may be, in bytes; a longer one is left out and counted.
	maxAttr = 16 << 10
	// maxPaths is how many paths of one file in one thing are kept: empty files are everywhere.
	maxPaths = 1000
)

// page is what one document says, as it is being read.
type page struct {
	doc        seaworthy.Document
	statements []seaworthy.Statement
	names      []graph.Name
	problems   facet.Problems
	// bill is what advisories are matched with; nil for documents without packages.
	bill *seaworthy.Bill
	// roots are what a bill is about.
	roots []seaworthy.Subject
	slab  []seaworthy.Property // attributes that are still to be given out
	// signedBy are attributes of the signers that were proven, by the key of their actor.
	signedBy []signer
}

// subject is the document itself.
func (p *page) subject() seaworthy.Subject { return p.doc.Subject() }

// say adds a statement. attrs are name, value, name, value …; those with an empty value are left out. Names must be
// given in alphabetical order. What a thing is to itself is not said, but how a document is rated by what is in it; what is
// no subject is a problem.
func (p *page) say(s seaworthy.Subject, verb seaworthy.Predicate, o seaworthy.Subject, attrs ...string) {
	if s == o && verb != seaworthy.SaysRated {
		return
	}
	if !p.sound(s) || !p.sound(o) {
		return
	}
	n := 0
	for i := 1; i < len(attrs); i += 2 {
		if attrs[i] != "" {
			n++
		}
	}
	list := p.room(n)
	for i := 0; i+1 < len(attrs); i += 2 {
		switch name, value := attrs[i], attrs[i+1]; {
		case value == "":
		case len(value) > maxAttr:
			p.problems.Add(string(verb), seaworthy.TooLarge, "the %s of a statement is %d bytes long, at most %d are kept", name, len(value), maxAttr)
		default:
			list = append(list, seaworthy.Property{Name: name, Value: value})
		}
	}
	p.statements = append(p.statements, seaworthy.Statement{Subject: s, Predicate: verb, Object: o, Attrs: list})
}

// slabSize is how many attributes are allocated at once: a bill has hundreds of thousands.
const slabSize = 1024

// room is an empty list with room for n attributes.
func (p *page) room(n int) []seaworthy.Property {
	if n == 0 {
		return nil
	}
	if len(p.slab) < n {
		p.slab = make([]seaworthy.Property, max(slabSize, n))
	}
	list := p.slab[:0:n]
	p.slab = p.slab[n:]
	return list
}

// sound reports whether a subject can be kept.
func (p *page) sound(s seaworthy.Subject) bool {
	switch {
	case s.Key == "":
		return false
	case len(s.Key) > graph.MaxKey:
		p.problems.Add(string(s.Kind), seaworthy.TooLarge, "%s %q is named in %d bytes, at most %d are kept", s.Kind, facet.Clip(s.Key), len(s.Key), graph.MaxKey)
		return false
	}
	return true
}

// name makes a subject findable by a text beside its key.
func (p *page) name(s seaworthy.Subject, text string) {
	if text != "" && len(text) <= graph.MaxKey && p.sound(s) && text != s.Key {
		p.names = append(p.names, graph.Name{Subject: s, Text: text})
	}
}

// describes says what the document is about.
func (p *page) describes(s seaworthy.Subject, attrs ...string) {
	p.say(p.subject(), seaworthy.SaysDescribes, s, attrs...)
}

// source adds a source that something comes from, and that the repository has it.
func (p *page) source(l vcs.Location) seaworthy.Subject {
	if l.Commit != "" {
		p.say(l.Repository().Subject(), seaworthy.SaysContains, l.Subject())
	}
	return l.Subject()
}

// packageNamed is the subject of a purl, and says that the package without version has it. ok is false for what is no
// purl.
func (p *page) packageNamed(text string) (s seaworthy.Subject, ok bool) {
	u, err := purl.Parse(text)
	if err != nil {
		return s, false
	}
	key := u.String()
	if key == "" {
		return s, false
	}
	s = seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: key}
	if u.Version != "" {
		p.say(nameless(u), seaworthy.SaysContains, s)
	}
	return s, true
}

// nameless is the package of any version, qualifiers and part.
func nameless(u purl.PURL) seaworthy.Subject {
	return seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: purl.PURL{Type: u.Type, Namespace: u.Namespace, Name: u.Name}.String()}
}

// artifact is the subject of a digest.
func artifact(d seaworthy.Digest) seaworthy.Subject {
	return seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: string(d)}
}

// documentOf is the subject of a document.
func documentOf(d seaworthy.Digest) seaworthy.Subject {
	return seaworthy.Subject{Kind: seaworthy.DocumentSubject, Key: string(d)}
}

// vulnerability is the subject of an advisory's name. Names of the kinds that are always upper case are written so.
func vulnerability(id string) seaworthy.Subject {
	id = strings.TrimSpace(id)
	if upper := strings.ToUpper(id); strings.HasPrefix(upper, "CVE-") {
		id = upper
	}
	return seaworthy.Subject{Kind: seaworthy.VulnSubject, Key: id}
}

// actor is somebody who signs or builds.
func actor(key string) seaworthy.Subject {
	return seaworthy.Subject{Kind: seaworthy.ActorSubject, Key: key}
}

// strength orders digests: what names bytes best comes first.
var strength = []string{"sha256", "sha512", "sha384", "sha3-256", "sha3-512", "sha3-384", "blake3", "blake2b-256", "blake2b-384", "blake2b-512", "sha224", "sha1", "gitoid-sha256", "gitoid-sha1", "md5"}

// best is the digest that names something best, "" when there is none. A digest of zeros stands for none.
func best(list []seaworthy.Digest) seaworthy.Digest {
	at, found := len(strength), seaworthy.Digest("")
	for _, d := range list {
		alg := d.Algorithm()
		for i, s := range strength[:at] {
			if s == alg && strings.Trim(d.Hex(), "0") != "" {
				at, found = i, d
				break
			}
		}
	}
	return found
}
