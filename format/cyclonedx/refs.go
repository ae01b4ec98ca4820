package cyclonedx

import (
	"cmp"
	"strconv"

	"github.com/seaworthy-dev/seaworthy"
)

// refs gives out names that are unique in one document.
type refs struct {
	taken map[string]bool
	next  map[string]int // the number to try next after a name
}

func newRefs(n int) *refs { return &refs{taken: make(map[string]bool, n), next: make(map[string]int)} }

// reserve marks ref as taken; false when it already is.
func (r *refs) reserve(ref string) bool {
	if r.taken[ref] {
		return false
	}
	r.taken[ref] = true
	return true
}

// free returns ref, or ref#2, ref#3 …, whichever is not taken, and takes it.
func (r *refs) free(ref string) string {
	if r.reserve(ref) {
		return ref
	}
	for n := max(r.next[ref], 2); ; n++ {
		if name := ref + "#" + strconv.Itoa(n); r.reserve(name) {
			r.next[ref] = n + 1
			return name
		}
	}
}

// packageRef is the Ref of a package that comes without one: its purl, or its name and version.
func packageRef(p *seaworthy.Package) string {
	if p.PURL != "" {
		return p.PURL
	}
	name := cmp.Or(p.Name, "unnamed")
	if p.Version == "" {
		return name
	}
	return name + "@" + p.Version
}

func fileRef(f *seaworthy.File) string { return "file:" + f.Path }
