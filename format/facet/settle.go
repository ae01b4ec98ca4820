package facet

import (
	"strconv"

	"github.com/seaworthy-dev/seaworthy"
)

// Read is a bill as a reader has it at the end of a document: its relations, roots and notes name elements by the
// document's identifiers, which Settle turns into Refs.
type Read struct {
	Bill *seaworthy.Bill
	// PackageIDs and FileIDs are the document's identifiers of the elements, by index. An element whose Ref no
	// facet has set gets its identifier as Ref.
	PackageIDs, FileIDs []string
	Names               []Name // from facets
	// Known are identifiers of elements that were seen and are no packages or files; a relation to them does not
	// dangle. It maps to the Ref that stands for them.
	Known    map[string]string
	Problems *Problems
}

// Settle gives every element a Ref of its own, makes relations, roots and notes speak of Refs, turns inverse
// relations round, and notes as problems: identifiers that occur twice, references to nothing, elements related
// to themselves, and cycles of contains or of dependsOn. Nothing is dropped but relations that say what Roots
// say. It takes time linear in the size of the bill.
func Settle(r *Read) {
	s := settler{Read: r, refs: make(map[string]string, len(r.PackageIDs)+len(r.FileIDs)+1)}
	taken := make(map[string]bool, len(r.PackageIDs)+len(r.FileIDs)+1)
	taken[seaworthy.DocumentRef] = true
	s.refs[DocumentID] = seaworthy.DocumentRef
	b := r.Bill
	for i := range b.Packages {
		s.own(r.PackageIDs[i], &b.Packages[i].Ref, taken)
	}
	for i := range b.Files {
		s.own(r.FileIDs[i], &b.Files[i].Ref, taken)
	}
	for id, ref := range r.Known {
		if _, ok := s.refs[id]; !ok {
			s.refs[id] = ref
		}
	}
	s.names = make(map[string]string, len(r.Names))
	for _, n := range r.Names {
		s.names[n.ID] = n.Ref
	}
	s.relations()
	for i := range b.Notes {
		b.Notes[i].Ref = s.ref(b.Notes[i].Ref, "an annotation")
	}
	cycles(b, seaworthy.Contains, r.Problems)
	cycles(b, seaworthy.DependsOn, r.Problems)
}

type settler struct {
	*Read
	refs, names map[string]string
}

func (s *settler) own(id string, ref *string, taken map[string]bool) {
	if *ref == "" {
		*ref = id
	}
	if *ref == "" {
		*ref = "unnamed"
		s.Problems.Add("document", seaworthy.Invalid, "an element has no identifier")
	}
	if taken[*ref] {
		s.Problems.Add(id, seaworthy.Conflict, "identifier %q occurs more than once", Clip(*ref))
		base := *ref
		for n := 2; taken[*ref]; n++ {
			*ref = base + "#" + strconv.Itoa(n)
		}
	}
	taken[*ref] = true
	if _, ok := s.refs[id]; !ok {
		s.refs[id] = *ref
	}
}

// ref returns the Ref an identifier stands for; by says what named it.
func (s *settler) ref(id, by string) string {
	if ref, ok := s.refs[id]; ok {
		return ref
	}
	ref, named := s.names[id]
	if !named {
		ref = id
	}
	if ref != "NONE" && ref != "NOASSERTION" && !Outside(ref) {
		s.Problems.Add(id, seaworthy.NotFound, "%s names %q, which is not in the document", by, Clip(ref))
	}
	return ref
}

func (s *settler) relations() {
	b := s.Bill
	var roots []string
	seen := make(map[string]bool, len(b.Roots))
	root := func(ref string) {
		if !seen[ref] {
			seen[ref] = true
			roots = append(roots, ref)
		}
	}
	for _, id := range b.Roots {
		root(s.ref(id, "the list of what the document describes"))
	}
	kept := b.Relations[:0]
	for _, r := range b.Relations {
		r.From, r.To = s.ref(r.From, "a relationship"), s.ref(r.To, "a relationship")
		r = Turn(r)
		if r.From == r.To {
			s.Problems.Add(r.From, seaworthy.Invalid, "%q is related to itself (%s)", Clip(r.From), Clip(string(r.Type)))
		}
		if IsRoot(r) {
			root(r.To)
			continue
		}
		kept = append(kept, r)
	}
	b.Roots, b.Relations = roots, kept
	if len(kept) == 0 {
		b.Relations = nil
	}
}

// cycles notes each set of elements that reach one another by relations of one type. It is Tarjan's algorithm
// with its own stack, so that the depth of a bill is not the depth of ours.
func cycles(b *seaworthy.Bill, typ seaworthy.RelationType, problems *Problems) {
	number := make(map[string]int32)
	var name []string
	node := func(ref string) int32 {
		n, ok := number[ref]
		if !ok {
			n = int32(len(name))
			number[ref] = n
			name = append(name, ref)
		}
		return n
	}
	var edges [][2]int32
	for i := range b.Relations {
		if r := &b.Relations[i]; r.Type == typ && r.From != r.To {
			edges = append(edges, [2]int32{node(r.From), node(r.To)})
		}
	}
	// The edges of node n are to[start[n]:start[n+1]].
	start := make([]int32, len(name)+1)
	for _, e := range edges {
		start[e[0]+1]++
	}
	for n := range name {
		start[n+1] += start[n]
	}
	to := make([]int32, len(edges))
	next := append([]int32(nil), start...)
	for _, e := range edges {
		to[next[e[0]]] = e[1]
		next[e[0]]++
	}
	copy(next, start)

	index, low := make([]int32, len(name)), make([]int32, len(name)) // 0: not seen; -1: done
	var path, stack []int32
	count := int32(0)
	for root := range name {
		if index[root] != 0 {
			continue
		}
		path = append(path, int32(root))
		for len(path) > 0 {
			n := path[len(path)-1]
			if index[n] == 0 {
				count++
				index[n], low[n] = count, count
				stack = append(stack, n)
			}
			if next[n] < start[n+1] {
				m := to[next[n]]
				next[n]++
				switch {
				case index[m] == 0:
					path = append(path, m)
				case index[m] > 0:
					low[n] = min(low[n], index[m])
				}
				continue
			}
			path = path[:len(path)-1]
			if len(path) > 0 {
				up := path[len(path)-1]
				low[up] = min(low[up], low[n])
			}
			if low[n] != index[n] {
				continue
			}
			size := 0
			for {
				m := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				index[m] = -1
				size++
				if m == n {
					break
				}
			}
			if size > 1 {
				problems.Add(name[n], seaworthy.Noted, "%d elements are in a cycle of %s through %q", size, typ, Clip(name[n]))
			}
		}
	}
}
