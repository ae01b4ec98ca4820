package discover

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// label says in one line what a node is.
func (n *Node) label() string {
	words := []string{n.Kind}
	if n.Kind != "image" && n.Kind != "index" && n.ArtifactType != "" {
		words = append(words, n.ArtifactType)
	}
	if n.Platform != "" {
		words = append(words, n.Platform)
	}
	words = append(words, string(n.Digest), console.Size(n.ContentSize))
	if n.Created != "" {
		words = append(words, n.Created)
	}
	for _, p := range n.PredicateTypes {
		if p != signPredicate {
			words = append(words, p)
		}
	}
	if n.Title != "" {
		words = append(words, fmt.Sprintf("%q", n.Title))
	}
	if n.Tag != "" && n.FoundBy != "referrers-tag" {
		words = append(words, "(tag "+n.Tag+")")
	}
	if n.Problem != "" {
		words = append(words, "! "+n.Problem)
	}
	return console.Escape(strings.Join(words, "  "))
}

// Text draws the tree. Errors: Storage.
func (t *Tree) Text(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%s\n%s\n", console.Escape(t.Reference), t.Root.label())
	t.Root.draw(out, "")
	if t.Count == 0 {
		fmt.Fprintf(out, "nothing refers to %s\n", console.Escape(t.Reference))
	}
	return seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing the tree")
}

// draw goes at most MaxDepth deep.
func (n *Node) draw(out *bufio.Writer, indent string) {
	for i, c := range n.Children {
		branch, below := "├── ", "│   "
		if i == len(n.Children)-1 {
			branch, below = "└── ", "    "
		}
		fmt.Fprintf(out, "%s%s%s\n", indent, branch, c.label())
		c.draw(out, indent+below)
	}
}

// Table lists the nodes, each below what it refers to.
func (t *Tree) Table() *console.Table {
	table := console.NewTable("KIND", "TYPE", "DIGEST", "SIZE", "CREATED", "FOUND BY", "REFERS TO")
	table.Columns[3].Right = true
	parents := []*Node{}
	t.Root.walk(func(n *Node, depth int) {
		parents = append(parents[:depth], n)
		if depth == 0 || n.member {
			return
		}
		kind := n.ArtifactType
		if n.Problem != "" {
			kind += " ! " + n.Problem
		}
		found := n.FoundBy
		if n.Tag != "" {
			found = n.Tag
		}
		table.Add(n.Kind, kind, string(n.Digest), console.Size(n.ContentSize), n.Created, found, parents[depth-1].Digest.Short())
	})
	return table
}

// Dot writes the tree as a graph for graphviz: an arrow goes from what refers to what it refers to. Errors:
// Storage.
func (t *Tree) Dot(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "digraph referrers {\n  rankdir=RL;\n  node [shape=box];\n")
	parents := []*Node{}
	t.Root.walk(func(n *Node, depth int) {
		parents = append(parents[:depth], n)
		text := n.Kind + "\n" + n.Digest.Short()
		switch {
		case depth == 0:
			text = t.Reference + "\n" + n.Digest.Short()
		case n.Platform != "":
			text = n.Platform + "\n" + n.Digest.Short()
		case n.ArtifactType != "":
			text = n.Kind + "\n" + n.ArtifactType + "\n" + n.Digest.Short()
		}
		fmt.Fprintf(out, "  %s [label=%s];\n", dotQuote(string(n.Digest)), dotQuote(text))
		if depth > 0 {
			fmt.Fprintf(out, "  %s -> %s;\n", dotQuote(string(n.Digest)), dotQuote(string(parents[depth-1].Digest)))
		}
	})
	fmt.Fprintf(out, "}\n")
	return seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing the graph")
}

// dotQuote writes a string as the dot language takes it; line breaks of ours stay line breaks.
func dotQuote(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		l = strings.ReplaceAll(console.Escape(l), `\`, `\\`)
		lines[i] = strings.ReplaceAll(l, `"`, `\"`)
	}
	return `"` + strings.Join(lines, `\n`) + `"`
}
