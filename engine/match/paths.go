package match

import (
	"slices"

	"github.com/seaworthy-dev/seaworthy"
)

// maxPath is the longest path that is told; of a longer one the end is kept.
const maxPath = 64

// paths says why each package of a bill is there: the shortest way from a root. A package that something
// depends on is reached through what depends on it, and through what contains it only when that leads nowhere:
// "the image contains it" answers nothing. Each package is visited once, so cycles end and cost is linear.
type paths struct {
	labels map[string]string
	parent map[string]string // "" for a root
}

// newPaths walks the relations of a bill once.
func newPaths(bill *seaworthy.Bill) *paths {
	p := &paths{labels: make(map[string]string, len(bill.Packages)), parent: make(map[string]string, len(bill.Packages))}
	for i := range bill.Packages {
		p.labels[bill.Packages[i].Ref] = label(&bill.Packages[i])
	}
	depends, contains := map[string][]string{}, map[string][]string{}
	needed := map[string]bool{} // something depends on it
	for _, r := range bill.Relations {
		if _, known := p.labels[r.To]; !known || r.From == r.To {
			continue
		}
		switch r.Type {
		case seaworthy.DependsOn:
			depends[r.From] = append(depends[r.From], r.To)
			needed[r.To] = true
		case seaworthy.Contains:
			contains[r.From] = append(contains[r.From], r.To)
		}
	}
	var queue []string
	for _, root := range rootsOf(bill) {
		if _, seen := p.parent[root]; !seen && root != "" {
			p.parent[root] = ""
			queue = append(queue, root)
		}
	}
	visit := func(from string, to []string, skipNeeded bool) {
		for _, ref := range to {
			if _, seen := p.parent[ref]; seen || skipNeeded && needed[ref] {
				continue
			}
			p.parent[ref] = from
			queue = append(queue, ref)
		}
	}
	for i := 0; i < len(queue); i++ {
		visit(queue[i], depends[queue[i]], false)
		visit(queue[i], contains[queue[i]], true)
	}
	// What is left is needed only by what nothing leads to: two packages that need each other, say.
	for i := 0; i < len(queue); i++ {
		visit(queue[i], contains[queue[i]], false)
		visit(queue[i], depends[queue[i]], false)
	}
	return p
}

// rootsOf returns the Refs of what a bill is about: its Roots, else what it says that it describes.
func rootsOf(bill *seaworthy.Bill) []string {
	if len(bill.Roots) > 0 {
		return bill.Roots
	}
	var roots []string
	for _, r := range bill.Relations {
		if r.Type == seaworthy.Describes && r.From == seaworthy.DocumentRef {
			roots = append(roots, r.To)
		}
	}
	return roots
}

// to returns the labels from the root to ref, or nil when no root leads there.
func (p *paths) to(ref string) []string {
	if _, reached := p.parent[ref]; !reached || ref == "" {
		return nil
	}
	var out []string
	for at := ref; at != "" && len(out) < maxPath; at = p.parent[at] {
		name := p.labels[at]
		if name == "" {
			name = at
		}
		out = append(out, name)
	}
	slices.Reverse(out)
	return out
}
