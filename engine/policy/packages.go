package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/match"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// deniedPackage names packages that must not be there.
type deniedPackage struct {
	typ, name string // of a purl, or a name of any type; * at the end for any text
	versions  [][]bound
	text      string // the versions as they were written; "" for all
	reason    string
}

// bound is one condition on a version; several together must all hold.
type bound struct{ operator, version string }

// denied reads one of packages.deny.
func (f field) denied() (deniedPackage, bool) {
	m := f.object("name", "purl", "version", "reason")
	d := deniedPackage{reason: m["reason"].text()}
	switch f.oneOf(m, "name", "purl") {
	case "name":
		d.name = m["name"].required()
	case "purl":
		if !d.setPURL(m["purl"], m["version"].given()) {
			return d, false
		}
	default:
		return d, false
	}
	if m["version"].given() {
		d.text = m["version"].text()
		var err error
		if d.versions, err = parseVersions(d.text); err != nil {
			m["version"].failed(err)
			return d, false
		}
	}
	return d, d.name != ""
}

func (d *deniedPackage) setPURL(f field, versioned bool) bool {
	s := f.required()
	if !strings.HasPrefix(s, "pkg:") {
		f.hinted(seaworthy.Invalid, "write it like pkg:golang/github.com/org/name", "%q is no package URL", s)
		return false
	}
	p, err := purl.Parse(s)
	if err != nil {
		f.failed(err)
		return false
	}
	if p.Version != "" {
		if versioned {
			f.wrong(seaworthy.Invalid, "the version is given twice")
			return false
		}
		d.text, d.versions = p.Version, [][]bound{{{"=", p.Version}}}
	}
	d.typ, d.name = p.Type, p.FullName()
	return true
}

// maxBounds is how many conditions one entry may have.
const maxBounds = 32

// parseVersions reads conditions: "1.2.3" (exactly that), "<1.5.1", ">=1.0, <2 || 3.1". Errors: Invalid.
func parseVersions(s string) ([][]bound, error) {
	wrong := func() ([][]bound, error) {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "%q is no range of versions", s).WithHint("write it like \">=1.0, <2 || 3.1\"")
	}
	var out [][]bound
	n := 0
	for _, alternative := range strings.Split(s, "||") {
		var all []bound
		for _, c := range strings.Split(alternative, ",") {
			c = strings.TrimSpace(c)
			version := strings.TrimLeft(c, "<>=!~^ ")
			operator := strings.TrimSpace(c[:len(c)-len(version)])
			if operator == "" {
				operator = "="
			}
			if n++; version == "" || n > maxBounds || !slices.Contains([]string{"=", "<", "<=", ">", ">="}, operator) || strings.ContainsAny(version, " <>=") {
				return wrong()
			}
			all = append(all, bound{operator, version})
		}
		out = append(out, all)
	}
	return out, nil
}

// named reports whether the entry speaks of a package, by its name or any of the names its purl has.
func (d *deniedPackage) named(p *seaworthy.Package) bool {
	names := []string{p.Name}
	typ := p.Ecosystem
	if u, err := purl.Parse(p.PURL); err == nil && p.PURL != "" {
		names = append(names, u.FullName(), u.Name)
		typ = u.Type
		if u.Namespace != "" {
			names = append(names, u.Namespace+"/"+u.Name)
		}
		if d.typ != "" {
			names = names[1:2] // a purl names one thing
		}
	}
	if d.typ != "" && d.typ != typ {
		return false
	}
	return slices.ContainsFunc(names, func(n string) bool {
		return n != "" && (n == d.name || strings.HasSuffix(d.name, "*") && wildcard(d.name, n))
	})
}

// holds reports whether a version is one of those that are denied. A version that is not known, or that has no order
// with those of the entry, cannot be shown to be another: it is denied, and why says so.
func (d *deniedPackage) holds(p *seaworthy.Package) (denied bool, why string) {
	if len(d.versions) == 0 {
		return true, ""
	}
	if p.Version == "" {
		return true, "its version is not stated"
	}
	typ := p.Ecosystem
	if u, err := purl.Parse(p.PURL); err == nil && p.PURL != "" {
		typ = u.Type
	}
	for _, all := range d.versions {
		met, doubt := true, ""
		for _, b := range all {
			c, err := match.CompareVersions(typ, p.Version, b.version)
			if err != nil {
				if b.operator != "=" {
					doubt = err.Error()
				} else {
					met = false // they are at least not the same
				}
				continue
			}
			met = met && b.met(c)
		}
		if met {
			return true, doubt
		}
	}
	return false, ""
}

func (b bound) met(c int) bool {
	switch b.operator {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	case ">=":
		return c >= 0
	}
	return c == 0
}

// String says what is denied, for people.
func (d *deniedPackage) String() string {
	s := d.name
	if d.typ != "" {
		s = d.typ + " " + s
	}
	return strings.TrimSpace(s + " " + d.text)
}

// packageRule asks that some packages are not there.
type packageRule struct {
	bills  billSource
	denied []deniedPackage
}

func (x *packageRule) name() string {
	var names []string
	for i := range x.denied {
		names = append(names, x.denied[i].String())
	}
	return "packages denied: " + listed(names, "entries")
}

func (x *packageRule) judge(ctx context.Context, q *question, r *seaworthy.RuleResult) {
	bills := x.bills.bills(ctx, q, r)
	if len(bills) == 0 {
		return
	}
	if bad := judgePackages(x.denied, bills); len(bad) > 0 {
		r.Reason = listed(bad, "packages")
		r.Fix = "remove or update the packages, and attach the new bill"
		return
	}
	r.Passed, r.Reason = true, "none of the packages is there"
}

// judgePackages says which packages are there that must not be.
func judgePackages(denied []deniedPackage, bills []Bill) []string {
	var out []string
	for _, b := range bills {
		for i := range b.Bill.Packages {
			p := &b.Bill.Packages[i]
			for j := range denied {
				d := &denied[j]
				if !d.named(p) {
					continue
				}
				if yes, why := d.holds(p); yes {
					text := fmt.Sprintf("%s is denied as %s", nameOf(p), d)
					if why != "" {
						text += " (" + why + ")"
					}
					if d.reason != "" {
						text += ": " + d.reason
					}
					out = append(out, text)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
