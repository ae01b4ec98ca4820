package trace

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// claim is what one document says of a vulnerability and of something that may have it.
type claim struct {
	vuln     graph.ID // as the document names it
	about    graph.ID // package or artifact, as the document names it
	attrs    []seaworthy.Property
	doc      graph.ID
	signed   bool
	specific int // of a VEX statement: how exactly it names what it is about
	how      string
}

func (c *claim) attr(name string) string { return seaworthy.AttrOf(c.attrs, name) }

// status is what it says of the vulnerability. Statements of one document about the same are one; where they say
// different things (of other products, say) it is not known which means what, and none takes a finding away.
func (c *claim) status() seaworthy.Status {
	status := seaworthy.Status("")
	for _, p := range c.attrs {
		if p.Name == "status" && (status == "" || suppresses(status)) {
			status = seaworthy.Status(p.Value)
		}
	}
	return status
}

func (c *claim) at() time.Time {
	at, err := time.Parse(time.RFC3339, c.attr("time"))
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// suppresses says whether a status takes a finding away.
func suppresses(s seaworthy.Status) bool {
	return s == seaworthy.NotAffected || s == seaworthy.FixedStatus
}

// How exactly a statement names what it is about, as engine/match counts it (vex.go): a subcomponent of the
// product, then a version, then each qualifier.
const (
	bySubcomponent = 1000
	byVersion      = 100
	byQualifier    = 1
)

// isVEX says whether a claim judges a vulnerability rather than finds it: all of a VEX document, and of others what
// says that it does not matter.
func (a *asking) isVEX(c *claim) bool {
	return a.docs[c.doc].doc.Kind == seaworthy.VEXDocument || suppresses(c.status()) || c.status() == seaworthy.UnderInvestigation
}

// decide returns the VEX statement that counts, nil if there is none. A signed one goes before those that nobody
// signed. Among these the order is that of engine/match, so that the graph and a scan with the same documents
// agree: the later one wins; at the same time, the one about the more specific product. Of equals, which documents that
// were not written in one order can be, one that takes nothing away.
func (a *asking) decide(claims []claim) (*claim, string) {
	var best *claim
	n := 0
	for i := range claims {
		c := &claims[i]
		if c.specific < 0 || !a.isVEX(c) {
			continue
		}
		n++
		if best == nil || a.outranks(c, best) {
			best = c
		}
	}
	if best == nil {
		return nil, ""
	}
	why := best.how
	if j := best.attr("justification"); j != "" {
		why = j + "; " + why
	}
	if n > 1 {
		why += fmt.Sprintf("; it outranks %s, being signed, then the latest, then the most specific", plural(n-1, "other statement"))
	}
	if !best.signed {
		why += "; nobody signed it"
	}
	return best, why
}

func (a *asking) outranks(c, than *claim) bool {
	if c.signed != than.signed {
		return c.signed
	}
	return cmp.Or(c.at().Compare(than.at()), cmp.Compare(c.specific, than.specific), -compareBool(suppresses(c.status()), suppresses(than.status())),
		cmp.Compare(a.docs[c.doc].doc.Digest, a.docs[than.doc].doc.Digest), compareID(c.about, than.about), compareID(c.vuln, than.vuln)) > 0
}

// generals lists the keys under which a statement may speak of a package without naming all of it: without some
// qualifiers, or the version, or both.
func generals(key string) []string {
	p, err := purl.Parse(key)
	if err != nil {
		return nil
	}
	var keys []string
	add := func(p purl.PURL) {
		if k := p.String(); k != "" && k != key && !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	bare := p
	bare.Qualifiers, bare.Subpath = nil, ""
	add(bare)
	for _, q := range p.Qualifiers {
		one := bare
		one.Qualifiers = []seaworthy.Property{q}
		add(one)
	}
	name := bare
	name.Version = ""
	add(name)
	return keys
}

// specificity counts what a key names of a package.
func specificity(key string) int {
	p, err := purl.Parse(key)
	if err != nil {
		return byVersion // a digest
	}
	n := len(p.Qualifiers) * byQualifier
	if p.Version != "" {
		n += byVersion
	}
	return n
}

// parts lists what a statement restricts itself to, of its product; none for all of it.
func (c *claim) parts() []string { return c.all("subcomponent") }

// all returns the values of every attribute with a name: statements of a document about the same are one.
func (c *claim) all(name string) []string {
	var values []string
	for _, p := range c.attrs {
		if p.Name == name {
			values = append(values, p.Value)
		}
	}
	return values
}

// covers says whether a purl that may leave parts out names another.
func covers(general, exact string) bool {
	if general == exact {
		return true
	}
	g, err1 := purl.Parse(general)
	e, err2 := purl.Parse(exact)
	if err1 != nil || err2 != nil || g.Type != e.Type || g.Namespace != e.Namespace || g.Name != e.Name {
		return false
	}
	if (g.Version != "" && g.Version != e.Version) || (g.Subpath != "" && g.Subpath != e.Subpath) {
		return false
	}
	for _, q := range g.Qualifiers {
		if e.Qualifier(q.Name) != q.Value {
			return false
		}
	}
	return true
}
