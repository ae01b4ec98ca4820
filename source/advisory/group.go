package advisory

import (
	"slices"
	"strings"
)

// groups joins names of one vulnerability: a union-find over string numbers.
type groups struct{ parent map[uint32]uint32 }

func (g *groups) find(x uint32) uint32 {
	root := x
	for p, ok := g.parent[root]; ok && p != root; p, ok = g.parent[root] {
		root = p
	}
	for x != root {
		next, ok := g.parent[x]
		g.parent[x] = root
		if !ok {
			break
		}
		x = next
	}
	return root
}

// union keeps the smaller number as root, so that the result does not depend on the order of joining.
func (g *groups) union(a, b uint32) {
	ra, rb := g.find(a), g.find(b)
	if ra > rb {
		ra, rb = rb, ra
	}
	if ra != rb {
		g.parent[rb] = ra
	}
}

// isCVE reports whether a name is a CVE id.
func isCVE(id string) bool { return strings.HasPrefix(id, "CVE-") }

// sameNames returns the names that are the same vulnerability as a record, itself excluded, and whether it is a
// bundle of several. Aliases are names by definition; upstream is one only when it is alone.
func sameNames(id string, aliases, upstream []string) (names []string, bundle bool) {
	cves := map[string]bool{}
	for _, list := range [][]string{{id}, aliases, upstream} {
		for _, name := range list {
			if isCVE(name) {
				cves[name] = true
			}
		}
	}
	if len(cves) > 1 {
		names = append(append(names, aliases...), upstream...)
	} else {
		names = append(names, aliases...)
		if len(upstream) == 1 {
			names = append(names, upstream...)
		}
	}
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(s string) bool { return s == id || s == "" })
	return names, len(cves) > 1
}

// betterName reports whether a is preferred to b as the name of a group.
func betterName(a, b string) bool {
	rank := func(s string) int {
		switch {
		case isCVE(s):
			return 0
		case strings.HasPrefix(s, "GHSA-"):
			return 1
		}
		return 2
	}
	if ra, rb := rank(a), rank(b); ra != rb {
		return ra < rb
	}
	return a < b
}
