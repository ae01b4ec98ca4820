package bill

import (
	"fmt"
	"slices"
	"sort"
	"strconv"

	"github.com/seaworthy-dev/seaworthy"
)

// Merge makes one bill of several. What they are about is contained in a new root, named by o; a package that
// two bills describe with the same purl and no contradicting hash becomes one, with the evidence of both.
// Anything else that happens to share a Ref keeps apart under a new one. Errors: Usage for fewer than two
// bills or no name.
func Merge(bills []*seaworthy.Bill, o Options) (*seaworthy.Bill, error) {
	if len(bills) < 2 {
		return nil, seaworthy.Errorf(seaworthy.Usage, "merging: %d bill given, two or more are needed", len(bills))
	}
	if o.Name == "" {
		return nil, seaworthy.Errorf(seaworthy.Usage, "merging: what the merged bill is about has no name").WithHint("give it with --name")
	}
	root := seaworthy.Package{Ref: "root:" + slug(o.Name), Role: seaworthy.Application, Name: o.Name, Version: o.Version}
	m := merger{
		out:    &seaworthy.Bill{Name: o.Name, Tools: []seaworthy.Tool{o.Tool}, Authors: o.Authors, Created: o.Created, Roots: []string{root.Ref}},
		taken:  map[string]int{root.Ref: 1, seaworthy.DocumentRef: 1},
		byPURL: map[string]int{},
		files:  map[string]int{},
		texts:  map[string]string{},
		joined: map[int]*joined{},
	}
	m.out.Packages = append(m.out.Packages, root)
	for i, b := range bills {
		m.add(i, b, root.Ref)
	}
	Sort(m.out)
	m.out.ID = namespaceBase + slug(o.Name) + "-" + fingerprint(m.out, o)
	return m.out, nil
}

type merger struct {
	out    *seaworthy.Bill
	taken  map[string]int // how often a Ref was asked for
	byPURL map[string]int // index in out.Packages
	files  map[string]int // index in out.Files, by path and digest
	texts  map[string]string
	joined map[int]*joined // by index in out.Packages
}

// joined is what a package of several bills has already.
type joined struct {
	hashes     map[seaworthy.Digest]bool
	algorithms map[string]bool // of hashes
	evidence   map[seaworthy.Evidence]bool
}

func (m *merger) add(i int, b *seaworthy.Bill, root string) {
	refs := map[string]string{} // their Ref → ours
	start := len(m.out.Packages)
	for _, p := range b.Packages {
		theirs := p.Ref
		if at, ok := m.same(&p); ok {
			m.join(at, &p)
			refs[theirs] = m.out.Packages[at].Ref
			continue
		}
		p.Ref = m.free(theirs, i)
		refs[theirs] = p.Ref
		if p.PURL != "" {
			m.byPURL[p.PURL] = len(m.out.Packages)
		}
		m.out.Packages = append(m.out.Packages, p)
	}
	for _, f := range b.Files {
		theirs := f.Ref
		key := f.Path + "\x00" + fmt.Sprint(f.Hashes)
		if at, ok := m.files[key]; ok && len(f.Hashes) > 0 {
			refs[theirs] = m.out.Files[at].Ref
			continue
		}
		f.Ref = m.free(theirs, i)
		refs[theirs] = f.Ref
		m.files[key] = len(m.out.Files)
		m.out.Files = append(m.out.Files, f)
	}
	rename := func(ref string) string {
		if ours, ok := refs[ref]; ok {
			return ours
		}
		return ref // of another document, or dangling: as it was
	}
	for _, r := range b.Relations {
		if r.Type == seaworthy.Describes && r.From == seaworthy.DocumentRef {
			continue
		}
		r.From, r.To = rename(r.From), rename(r.To)
		m.out.Relations = append(m.out.Relations, r)
	}
	for _, r := range b.Roots {
		m.out.Relations = append(m.out.Relations, seaworthy.Relation{From: root, Type: seaworthy.Contains, To: rename(r)})
	}
	for at := start; at < len(m.out.Packages); at++ {
		m.out.Packages[at].CoveredBy = rename(m.out.Packages[at].CoveredBy)
	}
	for _, t := range b.Licences {
		if had, ok := m.texts[t.ID]; ok {
			if had != t.Text {
				m.problem(i, b, "licence text "+strconv.Quote(t.ID)+" differs from an earlier bill's; the first is kept")
			}
			continue
		}
		m.texts[t.ID] = t.Text
		m.out.Licences = append(m.out.Licences, t)
	}
	for _, n := range b.Notes {
		n.Ref = rename(n.Ref)
		m.out.Notes = append(m.out.Notes, n)
	}
	m.out.Tools = append(m.out.Tools, b.Tools...)
	m.out.Tools = uniqueTools(m.out.Tools)
	m.out.Problems = append(m.out.Problems, b.Problems...)
	if m.out.Context == "" {
		m.out.Context = b.Context
	}
	if m.out.Created.Before(b.Created) {
		m.out.Created = b.Created
	}
}

// same finds a package already there that p speaks of too.
func (m *merger) same(p *seaworthy.Package) (int, bool) {
	at, ok := m.byPURL[p.PURL]
	if !ok || p.PURL == "" {
		return 0, false
	}
	have := m.joinedAt(at)
	if len(have.hashes) == 0 || len(p.Hashes) == 0 {
		return at, true
	}
	comparable := false
	for _, h := range p.Hashes {
		if have.hashes[h] {
			return at, true
		}
		comparable = comparable || have.algorithms[h.Algorithm()]
	}
	return at, !comparable
}

// joinedAt is what the package at index has.
func (m *merger) joinedAt(at int) *joined {
	if j := m.joined[at]; j != nil {
		return j
	}
	p := &m.out.Packages[at]
	j := &joined{hashes: map[seaworthy.Digest]bool{}, algorithms: map[string]bool{}, evidence: map[seaworthy.Evidence]bool{}}
	m.joined[at] = j
	// The lists are still those of the bill it came from.
	p.Hashes, p.Evidence = slices.Clip(p.Hashes), slices.Clip(p.Evidence)
	for _, h := range p.Hashes {
		j.hashes[h], j.algorithms[h.Algorithm()] = true, true
	}
	for _, e := range p.Evidence {
		j.evidence[e] = true
	}
	return j
}

// free returns a Ref nobody has: the one given, or else one marked with the number of its bill, and a number of
// its own where that bill uses it for several things.
func (m *merger) free(ref string, bill int) string {
	name := ref
	for m.taken[name] > 0 || name == "" {
		m.taken[ref]++
		name = fmt.Sprintf("bill%d:%s", bill+1, ref)
		if n := m.taken[name]; n > 0 {
			m.taken[name]++
			name += " (" + strconv.Itoa(n+1) + ")"
		}
	}
	m.taken[name] = 1
	return name
}

// join adds to the package at index at what q knows besides.
func (m *merger) join(at int, q *seaworthy.Package) {
	p, j := &m.out.Packages[at], m.joinedAt(at)
	for _, h := range q.Hashes {
		if !j.hashes[h] {
			j.hashes[h], j.algorithms[h.Algorithm()] = true, true
			p.Hashes = append(p.Hashes, h)
		}
	}
	for _, e := range q.Evidence {
		if !j.evidence[e] {
			j.evidence[e] = true
			p.Evidence = append(p.Evidence, e)
		}
	}
	if p.HashOf == "" {
		p.HashOf = q.HashOf
	}
	if p.Licences.Declared == "" {
		p.Licences.Declared = q.Licences.Declared
	}
	if p.Licences.Concluded == "" {
		p.Licences.Concluded = q.Licences.Concluded
	}
	if p.Supplier == (seaworthy.Party{}) {
		p.Supplier = q.Supplier
	}
	if p.Description == "" {
		p.Description = q.Description
	}
	if p.Homepage == "" {
		p.Homepage = q.Homepage
	}
}

func uniqueTools(all []seaworthy.Tool) []seaworthy.Tool {
	sort.SliceStable(all, func(i, j int) bool {
		a, b := all[i], all[j]
		return a.Vendor+"\x00"+a.Name+"\x00"+a.Version < b.Vendor+"\x00"+b.Name+"\x00"+b.Version
	})
	kept := all[:0]
	for i, t := range all {
		if i == 0 || t != all[i-1] {
			kept = append(kept, t)
		}
	}
	return kept
}

func (m *merger) problem(i int, b *seaworthy.Bill, detail string) {
	m.out.Problems = append(m.out.Problems, seaworthy.Problem{Where: fmt.Sprintf("bill %d %q", i+1, b.Name), Code: seaworthy.Conflict, Detail: detail})
}
