package ingest

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/cdxvex"
	"github.com/seaworthy-dev/seaworthy/format/facet"
	"github.com/seaworthy-dev/seaworthy/format/openvex"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// readOpenVEX reads an OpenVEX document. about is what an attestation says it is about, and stands for products that
// it does not name.
func (r *reader) readOpenVEX(body []byte, about []seaworthy.Subject) error {
	d, err := openvex.Parse(body)
	if err != nil {
		return err
	}
	r.doc.Kind = seaworthy.VEXDocument
	if r.doc.Format == "" {
		r.doc.Format = "OpenVEX"
	}
	r.doc.Name = cmp.Or(d.ID, r.doc.Name)
	claims := newClaims()
	for i := range d.Statements {
		s := &d.Statements[i]
		at := s.Timestamp
		if at.IsZero() {
			at = d.Timestamp
		}
		if s.LastUpdated.After(at) {
			at = s.LastUpdated
		}
		v := vulnerability(cmp.Or(s.Vulnerability.Name, s.Vulnerability.ID))
		for _, alias := range s.Vulnerability.Aliases {
			r.say(v, seaworthy.SaysSame, vulnerability(alias), "why", "alias")
		}
		c := claim{vuln: v, at: at, status: s.Status, attrs: []string{
			"action", s.Action, "by", d.Author, "impact", s.Impact, "justification", s.Justification, "notes", s.StatusNotes,
		}}
		if len(s.Products) == 0 {
			for _, o := range about {
				claims.add(c, o, "")
			}
		}
		more := r.parts(v, s.Subcomponents)
		for _, p := range s.Products {
			if claims.over || len(claims.list)+len(p.Subcomponents)+len(s.Subcomponents) > maxPairs {
				claims.over = true
				break
			}
			r.product(claims, c, p, more)
		}
		if claims.over {
			return seaworthy.Errorf(seaworthy.TooLarge, "reading OpenVEX: it says something of more than %d pairs of a vulnerability and a product", maxPairs)
		}
	}
	claims.say(r.page)
	if len(d.Statements) > 0 && len(claims.list) == 0 {
		r.problems.Add("statements", seaworthy.Unsupported, "none of them names a product that is known")
	}
	return nil
}

// product adds what is claimed of a product, or of its parts where some are listed: of them in this product only.
func (r *reader) product(claims *claims, c claim, p openvex.Product, more []seaworthy.Subject) {
	product := r.component(p.Component)
	if product.Kind == "" {
		r.problems.Add(c.vuln.Key, seaworthy.Unsupported, "a statement about it names the product %.200q, which is nothing that is known", p.ID)
		return
	}
	r.describes(product)
	parts := append(r.parts(c.vuln, p.Subcomponents), more...)
	if len(parts) == 0 {
		claims.add(c, product, "")
	}
	for _, o := range parts {
		if o.Kind != "" {
			claims.add(c, o, product.Key)
		}
	}
}

// parts are the parts of a product that a statement lists. One that is nothing we know is there too, with no Kind: the
// statement is not about the whole because of that.
func (r *reader) parts(vuln seaworthy.Subject, list []openvex.Component) []seaworthy.Subject {
	var out []seaworthy.Subject
	for _, part := range list {
		o := r.component(part)
		if o.Kind == "" {
			r.problems.Add(vuln.Key, seaworthy.Unsupported, "a statement about it names the part %.200q, which is nothing that is known", part.ID)
		}
		out = append(out, o)
	}
	return out
}

// claim is what a VEX document says of a vulnerability in something.
type claim struct {
	vuln, about seaworthy.Subject
	product     string // that it is a part of; "" when it is spoken of wherever it is
	at          time.Time
	status      seaworthy.Status
	attrs       []string // those before "product" in the alphabet
}

// claims are those of one document. Of several about the same the later counts, as the specification says: a document
// is added to and not rewritten.
type claims struct {
	list []claim
	at   map[claimKey]int
	over bool // there are more than maxPairs
}

type claimKey struct {
	vuln, about seaworthy.Subject
	product     string
}

func newClaims() *claims { return &claims{at: map[claimKey]int{}} }

func (l *claims) add(c claim, about seaworthy.Subject, product string) {
	c.about, c.product = about, product
	key := claimKey{c.vuln, about, product}
	i, ok := l.at[key]
	switch {
	case !ok && len(l.list) == maxPairs:
		l.over = true
	case !ok:
		l.at[key] = len(l.list)
		l.list = append(l.list, c)
	case !c.at.Before(l.list[i].at):
		l.list[i] = c
	}
}

// say adds the claims as statements. One document can say one thing of a vulnerability in a package: where it says
// different things of a package in different products, what takes the least away counts for all of them.
func (l *claims) say(p *page) {
	type pair struct{ vuln, about seaworthy.Subject }
	least := map[pair]seaworthy.Status{}
	for i := range l.list {
		c := &l.list[i]
		key := pair{c.vuln, c.about}
		before, ok := least[key]
		if ok && before != c.status {
			p.problems.Add(c.vuln.Key, seaworthy.Noted, "%q is said to be %s and %s, in different products", facet.Clip(c.about.Key), before, c.status)
		}
		if !ok || takesAway(c.status) < takesAway(before) {
			least[key] = c.status
		}
	}
	for i := range l.list {
		c := &l.list[i]
		attrs := append(slices.Clone(c.attrs), "product", c.product, "status", string(least[pair{c.vuln, c.about}]), "time", stamp(c.at))
		p.say(c.vuln, seaworthy.SaysAffects, c.about, attrs...)
	}
}

// takesAway orders statuses by how much of a finding they leave: 0 all of it.
func takesAway(s seaworthy.Status) int {
	return slices.Index([]seaworthy.Status{seaworthy.Affected, seaworthy.UnderInvestigation, seaworthy.FixedStatus, seaworthy.NotAffected}, s)
}

// component is a piece of software that VEX speaks of: bytes by their digest, else a package.
func (r *reader) component(c openvex.Component) seaworthy.Subject {
	hashes := map[string]string{}
	for alg, v := range c.Hashes {
		hashes[strings.Replace(strings.ToLower(alg), "sha-", "sha", 1)] = v
	}
	var pkg seaworthy.Subject
	for _, id := range []string{c.Identifiers["purl"], c.ID} {
		if s, ok := r.packageNamed(id); ok && pkg.Kind == "" {
			pkg = s
		}
	}
	d := best(digestsOf(hashes))
	if d == "" {
		if parsed, err := seaworthy.ParseDigest(c.ID); err == nil {
			d = parsed
		} else if u, err := purl.Parse(pkg.Key); err == nil && (u.Type == "oci" || u.Type == "docker") { // its version is the image
			if parsed, err := seaworthy.ParseDigest(u.Version); err == nil {
				d = parsed
			}
		}
	}
	switch {
	case d != "" && pkg.Kind != "":
		r.say(pkg, seaworthy.SaysSame, artifact(d), "why", "named together")
		return artifact(d)
	case d != "":
		return artifact(d)
	case pkg.Kind != "":
		return pkg
	case isImageName(c.ID):
		return imageResource(c.ID, "")
	}
	return seaworthy.Subject{}
}

// readCycloneDXVEX reads the vulnerabilities of a CycloneDX document, analysed or only listed, and returns what it
// spoke of. An analysis is about what the document is about: that a component does no harm there says nothing of it
// elsewhere. What is wrong with them does not make the bill unreadable.
func (r *reader) readCycloneDXVEX(body []byte) (affected []seaworthy.Subject) {
	d, err := cdxvex.Parse(body)
	if err != nil {
		r.problems.Add("vulnerabilities", seaworthy.Invalid, "%v", err)
		return nil
	}
	claims, analysed := newClaims(), map[string]bool{}
	for i := range d.Vulnerabilities {
		v := &d.Vulnerabilities[i]
		analysed[v.ID] = true
		s := vulnerability(v.ID)
		for _, alias := range v.Aliases {
			r.say(s, seaworthy.SaysSame, vulnerability(alias), "why", "alias")
		}
		for _, a := range v.Affects {
			if o, ok := r.referred(d, a.Ref); ok {
				affected = append(affected, o)
				claims.add(claim{vuln: s, at: v.Updated, status: v.Status, attrs: []string{"by", d.Author, "impact", v.Detail, "justification", v.Justification}}, o, r.productOf(o))
			}
		}
	}
	claims.say(r.page)
	if claims.over {
		r.problems.Add("vulnerabilities", seaworthy.TooLarge, "more than %d pairs of a vulnerability and a component are analysed; the rest is in the document only", maxPairs)
	}
	return append(affected, r.listed(body, d, analysed)...)
}

// productOf is the product that something is spoken of in: what the document is about, "" when it is that itself, or
// when the document is about nothing or several things.
func (r *reader) productOf(o seaworthy.Subject) string {
	if len(r.roots) != 1 || r.roots[0] == o {
		return ""
	}
	return r.roots[0].Key
}

// referred is what a bom-ref, a purl or the end of a BOM-Link means.
func (r *reader) referred(d *cdxvex.Document, ref string) (seaworthy.Subject, bool) {
	if strings.HasPrefix(ref, "urn:cdx:") {
		_, ref, _ = strings.Cut(ref, "#")
	}
	if s, ok := r.packageNamed(cmp.Or(d.PURLs[ref], ref)); ok {
		return s, true
	}
	r.problems.Add("vulnerabilities", seaworthy.Unsupported, "%.200q is no component with a package URL", ref)
	return seaworthy.Subject{}, false
}

// listed says what a scanner lists without an analysis.
func (r *reader) listed(body []byte, d *cdxvex.Document, analysed map[string]bool) (affected []seaworthy.Subject) {
	var in struct {
		Vulnerabilities []struct {
			ID      string `json:"id"`
			Ratings []struct {
				Severity string  `json:"severity"`
				Score    float64 `json:"score"`
			} `json:"ratings"`
			Affects []struct {
				Ref string `json:"ref"`
			} `json:"affects"`
		} `json:"vulnerabilities"`
	}
	if json.Unmarshal(body, &in) != nil { // cdxvex has read it
		return nil
	}
	for _, v := range in.Vulnerabilities {
		if v.ID == "" || analysed[v.ID] {
			continue
		}
		severity := ""
		if len(v.Ratings) > 0 {
			severity = v.Ratings[0].Severity
		}
		for _, a := range v.Affects {
			if o, ok := r.referred(d, a.Ref); ok {
				affected = append(affected, o)
				r.say(vulnerability(v.ID), seaworthy.SaysAffects, o, "severity", severity, "status", string(seaworthy.Affected), "time", stamp(d.Timestamp))
			}
		}
	}
	return affected
}
