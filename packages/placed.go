package packages

import (
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// placedRef is the Ref of a package of which the same version may be installed in several places: its purl and
// the place.
func placedRef(purl, place string) string { return purl + "#" + place }

// sortRelations puts relations in an order that depends on nothing but themselves.
func sortRelations(r []seaworthy.Relation) {
	slices.SortFunc(r, func(a, b seaworthy.Relation) int {
		if c := strings.Compare(a.From, b.From); c != 0 {
			return c
		}
		if c := strings.Compare(string(a.Type), string(b.Type)); c != 0 {
			return c
		}
		if c := strings.Compare(a.To, b.To); c != 0 {
			return c
		}
		return strings.Compare(string(a.Scope), string(b.Scope))
	})
}

// withoutProperty returns props without those of that name.
func withoutProperty(props []seaworthy.Property, name string) []seaworthy.Property {
	return slices.DeleteFunc(props, func(p seaworthy.Property) bool { return p.Name == name })
}
