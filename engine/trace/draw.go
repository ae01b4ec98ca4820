package trace

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// Table writes the answer for people: its line, the rows with who says so, and what is missing.
func (a *Answer) Table(w io.Writer) error {
	out := bufio.NewWriter(w)
	out.WriteString(console.Escape(a.Title))
	out.WriteString("\n")
	a.writeTiles(out, w)
	if len(a.Rows) > 0 {
		out.WriteString("\n")
		if err := a.rowTable(out, w); err != nil {
			return err
		}
	}
	if len(a.Missing) > 0 {
		names := a.labels()
		out.WriteString("\nMissing:\n")
		for _, g := range a.Missing {
			line := "  " + cmp.Or(names[g.Node], g.Node) + ": " + g.What
			if g.Detail != "" {
				line += ": " + g.Detail
			}
			out.WriteString(console.Escape(line))
			out.WriteString("\n")
		}
	}
	if len(a.Notes) > 0 {
		out.WriteString("\n")
	}
	for _, n := range a.Notes {
		out.WriteString(console.Escape(n))
		out.WriteString("\n")
	}
	return seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing the answer")
}

// stateStyles are how the states of tiles look.
var stateStyles = map[string]console.Style{good: console.Green, bad: console.Red, warn: console.Yellow, missing: console.Dim}

// writeTiles writes what everybody wants to know first, a line each.
func (a *Answer) writeTiles(out *bufio.Writer, w io.Writer) {
	s, ok := w.(*console.Stream)
	if !ok {
		s = &console.Stream{}
	}
	for _, t := range a.Tiles {
		text := console.Escape(t.Text)
		if t.Detail != "" {
			text += " (" + console.Escape(strings.ReplaceAll(t.Detail, "\n", ", ")) + ")"
		}
		out.WriteString(fmt.Sprintf("  %-10s  ", console.Escape(t.Name)) + s.Paint(stateStyles[t.State], text) + "\n")
	}
}

// rowTable writes the rows. Where no column says who said something, one more does.
func (a *Answer) rowTable(out *bufio.Writer, w io.Writer) error {
	said := slices.Contains(a.Columns, "says") || slices.Contains(a.Columns, "signed by")
	t := &console.Table{}
	for _, c := range a.Columns {
		t.Columns = append(t.Columns, console.Column{Name: strings.ToUpper(c), Shrink: true})
	}
	if !said {
		t.Columns = append(t.Columns, console.Column{Name: "SAYS", Shrink: true})
	}
	signers := a.signers()
	for _, r := range a.Rows {
		cells := slices.Clone(r.Cells)
		if len(cells) > 0 && r.Level > 0 {
			cells[0] = strings.Repeat("  ", min(r.Level, maxIndent)) + cells[0]
		}
		if !said {
			for len(cells) < len(a.Columns) {
				cells = append(cells, "")
			}
			cells = append(cells, whoSays(r.Documents, signers))
		}
		t.Add(cells...)
	}
	if err := seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing the answer"); err != nil {
		return err
	}
	return t.Write(w)
}

// maxIndent is how far a line is indented at most, in steps.
const maxIndent = 32

// labels gives nodes their labels.
func (a *Answer) labels() map[string]string {
	names := make(map[string]string, len(a.Nodes))
	for _, n := range a.Nodes {
		names[n.ID] = n.Label
	}
	return names
}

// signers gives documents the labels of who is proven to have signed them, "" for nobody.
func (a *Answer) signers() map[string]string {
	who := make(map[string]string, len(a.Documents))
	for _, d := range a.Documents {
		if d.Verification.State == seaworthy.VerifiedState {
			who[string(d.Digest)] = actorLabels(d.Verification.Signers)
		}
	}
	return who
}

// whoSays names those who signed one of the documents, and says so when one is signed by nobody.
func whoSays(docs []string, signers map[string]string) string {
	var who []string
	unsigned := false
	for _, d := range docs {
		if s := signers[d]; s != "" {
			who = append(who, s)
		} else {
			unsigned = true
		}
	}
	slices.Sort(who)
	who = slices.Compact(who)
	if unsigned {
		who = append(who, "unsigned")
	}
	return strings.Join(who, ", ")
}

// branch is a way to a node of a tree.
type branch struct {
	to     string
	word   string // the predicate, with an arrow when it is read backwards
	signed bool
}

// branches are the ways of the answer: its edges as they lead away from the subject or, where it has none, the ways of
// its rows.
func (a *Answer) branches() map[string][]branch {
	ways := map[string][]branch{}
	depth := make(map[string]int, len(a.Nodes))
	for _, n := range a.Nodes {
		depth[n.ID] = magnitude(n.Depth)
	}
	for _, e := range a.Edges {
		from, b := e.From, branch{to: e.To, word: string(e.Predicate), signed: e.Signed}
		if depth[e.To] < depth[e.From] || e.To == a.Subject {
			from, b.to, b.word = e.To, e.From, "← "+string(e.Predicate)
		}
		ways[from] = append(ways[from], b)
	}
	if len(a.Edges) > 0 {
		return ways
	}
	for _, r := range a.Rows {
		at := a.Subject
		for _, next := range append(slices.Clone(r.Via), r.Node) {
			if next == "" || next == at {
				continue
			}
			if !slices.ContainsFunc(ways[at], func(b branch) bool { return b.to == next }) {
				ways[at] = append(ways[at], branch{to: next, signed: r.Signed})
			}
			at = next
		}
	}
	return ways
}

// Tree writes the answer as a tree that begins at its subject. Each node is shown with what is known of it once; where
// it comes again, it says so. What rests on no signature is marked, and what is missing has a place of its own.
func (a *Answer) Tree(w io.Writer) error {
	out := bufio.NewWriter(w)
	line := func(s string) {
		out.WriteString(console.Escape(s))
		out.WriteString("\n")
	}
	line(a.Title)
	t := tree{answer: a, ways: a.branches(), nodes: map[string]*Node{}, gaps: map[string][]Gap{}, shown: map[string]bool{}}
	for i := range a.Nodes {
		t.nodes[a.Nodes[i].ID] = &a.Nodes[i]
	}
	for _, g := range a.Missing {
		t.gaps[g.Node] = append(t.gaps[g.Node], g)
	}
	if a.Subject != "" {
		t.draw(a.Subject, line)
	}
	// What nothing leads to from the subject, and answers that are about nothing in particular.
	for _, r := range a.Rows {
		if r.Node != "" && !t.shown[r.Node] {
			t.draw(r.Node, line)
		} else if r.Node == "" {
			line(strings.Join(r.Cells, "  "))
		}
	}
	for _, g := range a.Missing {
		if !t.shown[g.Node] && t.nodes[g.Node] != nil {
			t.draw(g.Node, line)
		}
	}
	for _, n := range a.Notes {
		line(n)
	}
	return seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing the answer")
}

// tree draws nodes, each once.
type tree struct {
	answer *Answer
	ways   map[string][]branch
	nodes  map[string]*Node
	gaps   map[string][]Gap
	shown  map[string]bool
}

// twig is a line that is still to be drawn.
type twig struct {
	branch
	gap    *Gap
	before string // what the lines below its parent begin with
	last   bool
	root   bool
	from   string // what it hangs on
}

// draw draws what hangs on a node. Answers decide how deep that is, so it keeps a list instead of calling itself.
func (t *tree) draw(root string, line func(string)) {
	todo := []twig{{branch: branch{to: root, signed: true}, root: true}}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		corner, below := "├── ", "│   "
		if at.last {
			corner, below = "└── ", "    "
		}
		if at.root {
			corner, below = "", ""
		}
		if at.gap != nil {
			text := "∅ no " + at.gap.What
			if at.gap.Detail != "" {
				text += ": " + at.gap.Detail
			}
			line(at.before + corner + text)
			continue
		}
		again := t.shown[at.to]
		line(at.before + corner + t.text(at.branch, again))
		if again || len(at.before) > maxIndent*len("│   ") {
			continue
		}
		t.shown[at.to] = true
		ways := slices.DeleteFunc(slices.Clone(t.ways[at.to]), func(b branch) bool { return b.to == at.to || b.to == at.from })
		gaps := t.gaps[at.to]
		for i := len(gaps) - 1; i >= 0; i-- {
			todo = append(todo, twig{gap: &gaps[i], before: at.before + below, last: i == len(gaps)-1})
		}
		for i := len(ways) - 1; i >= 0; i-- {
			todo = append(todo, twig{branch: ways[i], from: at.to, before: at.before + below, last: i == len(ways)-1 && len(gaps) == 0})
		}
	}
}

// text is a line of a tree.
func (t *tree) text(b branch, again bool) string {
	text := b.to
	n := t.nodes[b.to]
	if n != nil {
		text = n.Label
	}
	if b.word != "" {
		text = b.word + " " + text
	}
	if again {
		return text + " (above)"
	}
	if n != nil {
		if n.Group > 1 {
			text += " (" + strconv.Itoa(n.Group) + ")"
		}
		var facts []string
		for _, f := range n.Facts {
			if f.Value != "" && f.Value != n.Label && len(f.Value) <= maxFact && len(facts) < maxFacts {
				facts = append(facts, f.Name+": "+f.Value)
			}
		}
		if len(facts) > 0 {
			text += " [" + strings.Join(facts, ", ") + "]"
		}
	}
	if !b.signed {
		text += " (unsigned)"
	}
	return text
}

// Bounds of what is shown beside a node.
const (
	maxFacts = 4
	maxFact  = 80 // bytes
)

// shapes tell kinds apart where colours do not.
var shapes = map[seaworthy.SubjectKind]struct{ dot, open, close string }{
	seaworthy.ArtifactSubject: {"box", "[", "]"},
	seaworthy.PackageSubject:  {"ellipse", "([", "])"},
	seaworthy.SourceSubject:   {"folder", "[[", "]]"},
	seaworthy.VulnSubject:     {"octagon", "{{", "}}"},
	seaworthy.LicenceSubject:  {"note", ">", "]"},
	seaworthy.ActorSubject:    {"house", "((", "))"},
	seaworthy.DocumentSubject: {"note", "[/", "/]"},
	seaworthy.ResourceSubject: {"component", "[(", ")]"},
}

// DOT writes the answer for Graphviz. Dashed edges rest on no signature; dashed nodes are missing.
func (a *Answer) DOT(w io.Writer) error {
	out := bufio.NewWriter(w)
	out.WriteString("digraph answer {\n\trankdir=LR;\n\tlabel=" + quoteDOT(a.Title) + ";\n\tnode [fontname=\"sans-serif\"];\n")
	for _, n := range a.Nodes {
		shape := shapes[n.Kind].dot
		out.WriteString("\t" + quoteDOT(n.ID) + " [label=" + quoteDOT(n.Label) + ", shape=" + cmp.Or(shape, "box"))
		if n.ID == a.Subject {
			out.WriteString(", penwidth=2")
		}
		out.WriteString("];\n")
	}
	for _, e := range a.drawn() {
		out.WriteString("\t" + quoteDOT(e.From) + " -> " + quoteDOT(e.To) + " [label=" + quoteDOT(string(e.Predicate)))
		if !e.Signed {
			out.WriteString(", style=dashed")
		}
		out.WriteString("];\n")
	}
	for i, g := range a.Missing {
		id := quoteDOT("missing:" + strconv.Itoa(i))
		out.WriteString("\t" + id + " [label=" + quoteDOT("no "+g.What) + ", shape=box, style=dashed];\n")
		out.WriteString("\t" + quoteDOT(g.Node) + " -> " + id + " [style=dotted];\n")
	}
	out.WriteString("}\n")
	return seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing the answer")
}

// drawn are the edges of a picture: those of the answer, or else the ways of its rows.
func (a *Answer) drawn() []Edge {
	if len(a.Edges) > 0 {
		return a.Edges
	}
	var list []Edge
	ways := a.branches()
	for _, from := range slices.Sorted(keysOf(ways)) {
		for _, b := range ways[from] {
			list = append(list, Edge{From: from, To: b.to, Signed: b.signed})
		}
	}
	return list
}

func keysOf[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// quoteDOT writes a string of the DOT language. Its escapes (\n, \N …) are not left to what others wrote.
func quoteDOT(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(console.Escape(s)) + `"`
}

// Mermaid writes the answer for Mermaid. Dashed edges rest on no signature; dashed nodes are missing.
func (a *Answer) Mermaid(w io.Writer) error {
	out := bufio.NewWriter(w)
	out.WriteString("flowchart LR\n")
	names := map[string]string{}
	name := func(id string) string {
		if names[id] == "" {
			names[id] = "n" + strconv.Itoa(len(names))
		}
		return names[id]
	}
	for _, n := range a.Nodes {
		s, ok := shapes[n.Kind]
		if !ok {
			s = shapes[seaworthy.ArtifactSubject]
		}
		out.WriteString("  " + name(n.ID) + s.open + quoteMermaid(n.Label) + s.close + "\n")
	}
	for _, e := range a.drawn() {
		arrow := " -->"
		if !e.Signed {
			arrow = " -.->"
		}
		if e.Predicate != "" {
			arrow += "|" + string(e.Predicate) + "|"
		}
		out.WriteString("  " + name(e.From) + arrow + " " + name(e.To) + "\n")
	}
	for i, g := range a.Missing {
		id := "m" + strconv.Itoa(i)
		out.WriteString("  " + id + "[" + quoteMermaid("no "+g.What) + "]:::missing\n  " + name(g.Node) + " -.- " + id + "\n")
	}
	if len(a.Missing) > 0 {
		out.WriteString("  classDef missing stroke-dasharray: 4 4,fill:none\n")
	}
	return seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing the answer")
}

// quoteMermaid writes a label. Mermaid has no escapes in strings, but entities.
func quoteMermaid(s string) string {
	return `"` + strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "&", "#amp;", "`", "#96;").Replace(console.Escape(s)) + `"`
}
