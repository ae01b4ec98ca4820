package deps

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// Part is a part of the graph as a flat list: what can be reached from its roots.
type Part struct {
	Roots []int    `json:"roots"` // ids
	Nodes []Node   `json:"nodes"` // by id
	Edges [][2]int `json:"edges"` // from, to
	// Cut says that depth left something out.
	Cut bool `json:"cut"`
}

// Node is a package of a Part.
type Node struct {
	ID           int             `json:"id"`
	Name         string          `json:"name"`
	Version      string          `json:"version,omitempty"`
	Range        string          `json:"range,omitempty"`
	Ecosystem    string          `json:"ecosystem"`
	Source       string          `json:"source,omitempty"`
	Manifest     string          `json:"manifest"`
	Project      bool            `json:"project,omitempty"`
	Relationship Relationship    `json:"relationship,omitempty"` // "" for a project
	Scope        seaworthy.Scope `json:"scope,omitempty"`
	PURL         string          `json:"purl,omitempty"`
	Vulnerable   bool            `json:"vulnerable,omitempty"`
}

// Part takes from the graph what the roots lead to, depth steps far (0: all). Dependencies of a project whose
// manifest does not say who needs them are in it, without an edge.
func (g *Graph) Part(roots []int32, depth int) *Part {
	p := &Part{Roots: []int{}, Nodes: []Node{}, Edges: [][2]int{}}
	ids := make([]int32, len(g.nodes)) // one more than the id in p
	far := make([]int32, 0, len(roots))
	var order []int32
	add := func(n, distance int32) {
		if ids[n] == 0 {
			order, far = append(order, n), append(far, distance)
			ids[n] = int32(len(order))
			p.Nodes = append(p.Nodes, g.part(n, len(order)-1))
		}
	}
	unexplained := g.unexplained()
	for _, n := range roots {
		add(n, 0)
		p.Roots = append(p.Roots, int(ids[n]-1))
	}
	for i := 0; i < len(order); i++ {
		n := order[i]
		if depth > 0 && int(far[i]) >= depth {
			p.Cut = p.Cut || len(g.needs(n)) > 0
			continue
		}
		for _, to := range g.needs(n) {
			add(to, far[i]+1)
			p.Edges = append(p.Edges, [2]int{i, int(ids[to] - 1)})
		}
		for _, to := range unexplained[n] {
			add(to, far[i]+1)
		}
	}
	return p
}

func (g *Graph) part(n int32, id int) Node {
	p := &g.nodes[n]
	row := g.row(n)
	out := Node{
		ID: id, Name: p.Name, Version: p.Version, Range: row.Range, Ecosystem: p.Ecosystem, Source: row.Source, Manifest: p.manifest(),
		Project: p.project, PURL: p.PURL, Vulnerable: len(p.vulns) > 0,
	}
	if !p.project {
		out.Relationship, out.Scope = p.rel, row.Scope
	}
	return out
}

func (n *Node) label() string {
	label := n.Name
	if v := n.Version + n.Range; v != "" {
		label += " " + v
	}
	return console.Escape(label)
}

// WriteDOT writes the part for Graphviz.
func (p *Part) WriteDOT(w io.Writer) error {
	out := bufio.NewWriter(w)
	out.WriteString("digraph dependencies {\n  rankdir=LR;\n  node [shape=box];\n")
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	for i := range p.Nodes {
		n := &p.Nodes[i]
		style := ""
		switch {
		case n.Project:
			style = ", style=bold"
		case n.Vulnerable:
			style = ", color=red"
		case n.Scope != seaworthy.Runtime:
			style = ", style=dashed"
		}
		fmt.Fprintf(out, "  n%d [label=\"%s\"%s];\n", n.ID, quoted.Replace(n.label()), style)
	}
	for _, e := range p.Edges {
		fmt.Fprintf(out, "  n%d -> n%d;\n", e[0], e[1])
	}
	out.WriteString("}\n")
	return seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing the graph")
}

// WriteMermaid writes the part as a Mermaid flowchart, which many pages that show Markdown draw.
func (p *Part) WriteMermaid(w io.Writer) error {
	out := bufio.NewWriter(w)
	out.WriteString("flowchart LR\n")
	quoted := strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "&", "#amp;", "`", "#96;", `\`, "#92;")
	var bad []string
	for i := range p.Nodes {
		n := &p.Nodes[i]
		open, end := `["`, `"]`
		if n.Project {
			open, end = `(["`, `"])`
		}
		fmt.Fprintf(out, "  n%d%s%s%s\n", n.ID, open, quoted.Replace(n.label()), end)
		if n.Vulnerable {
			bad = append(bad, "n"+strconv.Itoa(n.ID))
		}
	}
	for _, e := range p.Edges {
		fmt.Fprintf(out, "  n%d --> n%d\n", e[0], e[1])
	}
	if len(bad) > 0 {
		fmt.Fprintf(out, "  classDef vulnerable stroke:#c00\n  class %s vulnerable\n", strings.Join(bad, ","))
	}
	return seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing the graph")
}
