package deps

import (
	"bufio"
	"io"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// MaxDepth is the deepest a tree is drawn: beyond it the lines would be longer than they are worth.
const MaxDepth = 256

// Roots are where a tree or a part of the graph begins: at the packages called name (as for Why), or at all
// projects for "". Errors: NotFound.
func (g *Graph) Roots(name string) ([]int32, error) {
	if name != "" {
		found := g.dependencies(name)
		if len(found) == 0 {
			return nil, missing(name)
		}
		return found, nil
	}
	var roots []int32
	for n := range g.nodes {
		if g.nodes[n].project {
			roots = append(roots, int32(n))
		}
	}
	slices.SortStableFunc(roots, func(a, b int32) int {
		return first(int(g.nodes[a].source-g.nodes[b].source), text(g.nodes[a].manifest(), g.nodes[b].manifest()))
	})
	for n := range g.nodes {
		// No project is known of it and nothing needs it: it begins a tree of its own.
		if g.nodes[n].home < 0 && len(g.neededBy(int32(n))) == 0 {
			roots = append(roots, int32(n))
		}
	}
	return roots, nil
}

// unexplained lists, by project, dependencies that its manifest lists without saying who needs them.
func (g *Graph) unexplained() map[int32][]int32 {
	out := map[int32][]int32{}
	for i := range g.nodes {
		n := &g.nodes[i]
		if !n.project && n.parent < 0 && n.home >= 0 {
			out[n.home] = append(out[n.home], int32(i))
		}
	}
	return out
}

// frame is a node whose children are being drawn; -1 stands for the line above those that nobody explains.
type frame struct {
	node int32
	kids []int32
	rest []int32 // dependencies of a project without a known chain
	next int
}

// drawing is a tree while it is written.
type drawing struct {
	g           *Graph
	out         *bufio.Writer
	depth       int
	expanded    []bool // the node's children have been drawn, or are being
	onPath      []bool
	unexplained map[int32][]int32
	stack       []frame
	prefix      []byte
	ends        []int // length of prefix at each level
}

// WriteTree draws what the roots depend on, depth levels deep (0: MaxDepth). What was drawn already has "(*)" in
// place of what is below it, what leads back to itself "(cycle)", and what is deeper than depth "(…)": so a graph
// of n packages and m edges takes at most n + m lines. Dependencies whose manifest does not say who needs them
// stand below their project in a branch of their own.
func (g *Graph) WriteTree(w io.Writer, roots []int32, depth int) error {
	if depth <= 0 || depth > MaxDepth {
		depth = MaxDepth
	}
	d := drawing{
		g: g, out: bufio.NewWriter(w), depth: depth, unexplained: g.unexplained(),
		expanded: make([]bool, len(g.nodes)), onPath: make([]bool, len(g.nodes)),
	}
	for i, root := range roots {
		if i > 0 && g.nodes[root].project {
			d.out.WriteByte('\n')
		}
		d.draw(root)
	}
	return seaworthy.Wrap(d.out.Flush(), seaworthy.Storage, "writing the tree")
}

func (d *drawing) draw(root int32) {
	d.stack, d.prefix, d.ends = d.stack[:0], d.prefix[:0], d.ends[:0]
	d.line(root, d.rootLabel(root))
	for len(d.stack) > 0 {
		top := &d.stack[len(d.stack)-1]
		switch {
		case top.next < len(top.kids):
			kid := top.kids[top.next]
			top.next++
			d.indent(top.next == len(top.kids) && len(top.rest) == 0)
			if !d.line(kid, d.label(kid)) {
				d.outdent()
			}
		case len(top.rest) > 0:
			rest := top.rest
			top.rest = nil
			d.indent(true)
			d.out.WriteString("(the manifest does not say who needs these)\n")
			d.stack = append(d.stack, frame{node: -1, kids: rest})
		default:
			if top.node >= 0 {
				d.onPath[top.node] = false
			}
			d.stack = d.stack[:len(d.stack)-1]
			d.outdent()
		}
	}
}

// indent begins the line of a child; outdent takes back what it adds to the lines below.
func (d *drawing) indent(last bool) {
	d.out.Write(d.prefix)
	d.ends = append(d.ends, len(d.prefix))
	if last {
		d.out.WriteString("└─ ")
		d.prefix = append(d.prefix, "   "...)
	} else {
		d.out.WriteString("├─ ")
		d.prefix = append(d.prefix, "│  "...)
	}
}

func (d *drawing) outdent() {
	if n := len(d.ends); n > 0 {
		d.prefix = d.prefix[:d.ends[n-1]]
		d.ends = d.ends[:n-1]
	}
}

// line writes a node's line, and reports whether its children are to be drawn now.
func (d *drawing) line(n int32, label string) bool {
	d.out.WriteString(label)
	kids := d.g.needs(n)
	enter := false
	switch {
	case d.onPath[n]:
		d.out.WriteString(" (cycle)")
	case len(kids) == 0 && !d.g.nodes[n].project:
	case d.expanded[n]:
		d.out.WriteString(" (*)")
	case len(d.stack) >= d.depth:
		d.out.WriteString(" (…)")
	default:
		d.expanded[n], d.onPath[n], enter = true, true, true
		d.stack = append(d.stack, frame{node: n, kids: kids, rest: d.unexplained[n]})
	}
	d.out.WriteByte('\n')
	return enter
}

func (d *drawing) rootLabel(n int32) string {
	p := &d.g.nodes[n]
	label := d.label(n) + " (" + console.Escape(p.Ecosystem)
	if m := p.manifest(); m != "" {
		label += ", " + console.Escape(m)
	}
	if len(d.g.sources) > 1 {
		label += " in " + console.Escape(d.g.sources[p.source])
	}
	return label + ")"
}

// label is a node's name and version, and what is special about it.
func (d *drawing) label(n int32) string {
	p := &d.g.nodes[n]
	var b strings.Builder
	b.WriteString(console.Escape(p.Name))
	if v := p.version(); v != "" {
		b.WriteByte(' ')
		b.WriteString(console.Escape(v))
	}
	if p.Scope != "" && p.Scope != seaworthy.Runtime {
		b.WriteString(" [" + console.Escape(string(p.Scope)) + "]")
	}
	if p.Property(propertyPinned) == "false" {
		b.WriteString(" [not pinned]")
	}
	if len(p.vulns) > 0 {
		b.WriteString(" [" + console.Escape(p.vulns[0].ID) + ", " + p.vulns[0].Severity.String())
		if len(p.vulns) > 1 {
			b.WriteString(", …")
		}
		b.WriteString("]")
	}
	return b.String()
}
