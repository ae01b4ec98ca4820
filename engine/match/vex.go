package match

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/cdxvex"
	"github.com/seaworthy-dev/seaworthy/format/openvex"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// Statement is what a VEX document says of one vulnerability.
//
// It speaks of a finding when it names the vulnerability (by id or any alias; a bundle of several CVEs only by
// the bundle's own name) and one of its products is the package, or a root of the bill. A product that is a
// root speaks of everything in it, or of its subcomponents only when it lists some. A purl without version,
// qualifier or subpath speaks of all of them. A statement without products speaks of nothing.
//
// Of several that speak of a finding the later wins; at the same time, the one about the more specific product
// (subcomponent, then version, then qualifiers named); then the one given later. not_affected and fixed take
// the finding away; affected and under_investigation keep it, with that status.
type Statement struct {
	Vulnerability string
	Aliases       []string
	Products      []Product
	Status        seaworthy.Status
	Justification string
	Impact        string
	At            time.Time
	By            string // the document's id
	Author        string
}

// Product is software that a statement is about. Names are purls, references or digests ("sha256:…"), any of
// which may match.
type Product struct {
	Names         []string
	Subcomponents [][]string // names of each
	Version       string     // exact version the product must have; "" for any
}

// FromOpenVEX returns the statements of an OpenVEX document.
func FromOpenVEX(d *openvex.Document) []Statement {
	var out []Statement
	for _, s := range d.Statements {
		st := Statement{
			Vulnerability: s.Vulnerability.Name, Aliases: slices.Clone(s.Vulnerability.Aliases), Status: s.Status,
			Justification: s.Justification, Impact: cmp.Or(s.Impact, s.StatusNotes), By: d.ID, Author: d.Author,
			At: firstTime(s.LastUpdated, s.Timestamp, d.LastUpdated, d.Timestamp),
		}
		if id := s.Vulnerability.ID; id != "" { // a URL that ends in the name
			st.Aliases = append(st.Aliases, id, path.Base(id))
		}
		for _, p := range s.Products {
			product := Product{Names: componentNames(p.Component)}
			for _, sub := range append(slices.Clone(p.Subcomponents), s.Subcomponents...) {
				product.Subcomponents = append(product.Subcomponents, componentNames(sub))
			}
			st.Products = append(st.Products, product)
		}
		out = append(out, st)
	}
	return out
}

func componentNames(c openvex.Component) (names []string) {
	if c.ID != "" {
		names = append(names, c.ID)
	}
	if p := c.Identifiers["purl"]; p != "" {
		names = append(names, p)
	}
	for alg, value := range c.Hashes {
		if d, err := seaworthy.NewDigest(strings.Replace(strings.ToLower(alg), "sha-", "sha", 1), value); err == nil {
			names = append(names, string(d))
		}
	}
	slices.Sort(names)
	return names
}

func firstTime(list ...time.Time) time.Time {
	for _, t := range list {
		if !t.IsZero() {
			return t.UTC()
		}
	}
	return time.Time{}
}

// FromCycloneDX returns the statements of a CycloneDX VEX. A version it lists as unaffected is not_affected; of
// the others only exact versions are understood, and ranges speak of nothing.
func FromCycloneDX(d *cdxvex.Document) []Statement {
	var out []Statement
	for _, v := range d.Vulnerabilities {
		base := Statement{
			Vulnerability: v.ID, Aliases: v.Aliases, Status: v.Status, Justification: v.Justification,
			Impact: v.Detail, At: v.Updated, By: d.Serial, Author: d.Author,
		}
		clear := base
		clear.Status = seaworthy.NotAffected
		for _, a := range v.Affects {
			names := []string{a.Ref}
			if _, ref, ok := strings.Cut(a.Ref, "#"); ok && strings.HasPrefix(a.Ref, "urn:cdx:") {
				names = append(names, ref)
			}
			for _, name := range names {
				if p := d.PURLs[name]; p != "" {
					names = append(names, p)
					break
				}
			}
			if len(a.Versions) == 0 {
				base.Products = append(base.Products, Product{Names: names})
			}
			for _, version := range a.Versions {
				switch {
				case version.Version == "":
				case version.Status == "unaffected":
					clear.Products = append(clear.Products, Product{Names: names, Version: version.Version})
				case version.Status != "unknown":
					base.Products = append(base.Products, Product{Names: names, Version: version.Version})
				}
			}
		}
		for _, st := range []Statement{base, clear} {
			if len(st.Products) > 0 {
				out = append(out, st)
			}
		}
	}
	return out
}

// vexIndex finds the statements about a finding.
type vexIndex struct {
	statements []Statement
	byName     map[string][]int
	roots      []*seaworthy.Package
	purls      map[string]purl.PURL // parsed once
}

func newVEXIndex(statements []Statement, bill *seaworthy.Bill) *vexIndex {
	x := &vexIndex{statements: statements, byName: map[string][]int{}, purls: map[string]purl.PURL{}}
	for i, s := range statements {
		names := append([]string{s.Vulnerability}, s.Aliases...)
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			if name != "" {
				x.byName[name] = append(x.byName[name], i)
			}
		}
	}
	if len(statements) > 0 {
		roots := map[string]bool{}
		for _, ref := range rootsOf(bill) {
			roots[ref] = true
		}
		for i := range bill.Packages {
			if roots[bill.Packages[i].Ref] {
				x.roots = append(x.roots, &bill.Packages[i])
			}
		}
	}
	return x
}

// Specificity of how a statement names a finding.
const (
	bySubcomponent = 1000 // the product is what it is in, and it is named as a part of it
	byVersion      = 100
	byQualifier    = 1 // each
)

// apply lets the statements speak of a finding.
func (x *vexIndex) apply(f *seaworthy.Finding, bundle bool, p *seaworthy.Package) {
	if len(x.statements) == 0 {
		return
	}
	names := []string{f.ID}
	if !bundle {
		names = append(names, f.Aliases...)
	}
	type candidate struct {
		at, specific int
		how          string
	}
	var best *candidate
	spoke := 0
	var about []int
	for _, name := range names {
		about = append(about, x.byName[name]...)
	}
	slices.Sort(about)
	for _, i := range slices.Compact(about) {
		specific, how := x.specificity(&x.statements[i], p)
		if specific < 0 {
			continue
		}
		spoke++
		if best == nil || cmp.Or(x.statements[i].At.Compare(x.statements[best.at].At), cmp.Compare(specific, best.specific), 1) > 0 {
			best = &candidate{at: i, specific: specific, how: how}
		}
	}
	if best == nil {
		return
	}
	s := &x.statements[best.at]
	f.Status = s.Status
	if s.Status != seaworthy.NotAffected && s.Status != seaworthy.FixedStatus {
		return
	}
	reason := best.how
	if spoke > 1 {
		reason += fmt.Sprintf("; it outranks %d other statements, being the latest, then the most specific, then the last given", spoke-1)
	}
	f.Suppressed = &seaworthy.Suppressed{
		By: s.By, Author: s.Author, At: s.At, Justification: s.Justification, Impact: s.Impact, Reason: reason,
	}
}

// specificity says how exactly a statement names a package: -1 for not at all.
func (x *vexIndex) specificity(s *Statement, p *seaworthy.Package) (best int, how string) {
	best = -1
	keep := func(n int, text string) {
		if n > best {
			best, how = n, text
		}
	}
	for i := range s.Products {
		product := &s.Products[i]
		name, n := x.names(product.Names, p)
		if n >= 0 && (product.Version == "" || product.Version == p.Version) {
			if product.Version != "" {
				n += byVersion
			}
			keep(n, fmt.Sprintf("product %q is the package", name))
		}
		if product.Version != "" {
			continue
		}
		for _, root := range x.roots {
			name, n := x.names(product.Names, root)
			if n < 0 {
				continue
			}
			if len(product.Subcomponents) == 0 {
				keep(n, fmt.Sprintf("product %q is what contains the package", name))
			}
			for _, sub := range product.Subcomponents {
				if subName, k := x.names(sub, p); k >= 0 {
					keep(bySubcomponent+n+k, fmt.Sprintf("subcomponent %q of product %q is the package", subName, name))
				}
			}
		}
	}
	return best, how
}

// names says how exactly one of the names is a package: -1 for none is.
func (x *vexIndex) names(names []string, p *seaworthy.Package) (matched string, specific int) {
	specific = -1
	for _, name := range names {
		n := -1
		switch {
		case name == "":
		case strings.HasPrefix(name, "pkg:"):
			n = x.covers(name, p.PURL)
		case name == p.Ref || slices.Contains(p.Hashes, seaworthy.Digest(name)):
			n = byVersion
		}
		if n > specific {
			matched, specific = name, n
		}
	}
	return matched, specific
}

// covers says how exactly a purl that may leave parts out names another: -1 for not at all.
func (x *vexIndex) covers(general, exact string) int {
	g, ok1 := x.parse(general)
	e, ok2 := x.parse(exact)
	if !ok1 || !ok2 || g.Type != e.Type || g.Namespace != e.Namespace || g.Name != e.Name {
		return -1
	}
	n := 0
	if g.Version != "" {
		if g.Version != e.Version {
			return -1
		}
		n += byVersion
	}
	if g.Subpath != "" && g.Subpath != e.Subpath {
		return -1
	}
	for _, q := range g.Qualifiers {
		if e.Qualifier(q.Name) != q.Value {
			return -1
		}
		n += byQualifier
	}
	return n
}

func (x *vexIndex) parse(s string) (purl.PURL, bool) {
	p, ok := x.purls[s]
	if !ok {
		p, _ = purl.Parse(s)
		x.purls[s] = p
	}
	return p, p.Type != ""
}
