package trace

import (
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
)

// drawnAnswer has everything that is drawn in a way of its own: a cycle, an edge that is read backwards, an unsigned
// statement, a gap, and names that try to break out.
func drawnAnswer() *Answer {
	signed := seaworthy.SHA256([]byte("signed"))
	return &Answer{
		Subject: "i", Title: "an image \x1b[2J", Columns: []string{"what", "severity"},
		Nodes: []Node{
			{ID: "i", Kind: seaworthy.ArtifactSubject, Label: "app:1.2", Role: "image", Facts: []seaworthy.Property{{Name: "size", Value: "3"}, {Name: "empty"}, {Name: "same", Value: "app:1.2"}}},
			{ID: "p", Kind: seaworthy.PackageSubject, Label: `lib "1" <b>#`, Depth: 1},
			{ID: "q", Kind: seaworthy.PackageSubject, Label: "other", Depth: 2, Group: 7},
			{ID: "r", Kind: seaworthy.ResourceSubject, Label: "pod/x", Depth: -1},
		},
		Edges: []Edge{
			{From: "i", To: "p", Predicate: seaworthy.SaysContains, Signed: true, Documents: []string{string(signed)}},
			{From: "p", To: "q", Predicate: seaworthy.SaysDepends, Documents: []string{"sha256:unsigned"}},
			{From: "q", To: "p", Predicate: seaworthy.SaysDepends, Signed: true, Documents: []string{string(signed)}},
			{From: "r", To: "i", Predicate: seaworthy.SaysRuns, Signed: true, Documents: []string{string(signed)}},
		},
		Rows: []Row{
			{Node: "p", Cells: []string{"lib", "high"}, Documents: []string{string(signed), "sha256:unsigned"}, Signed: true},
			{Node: "q", Cells: []string{"other"}, Level: 1, Documents: []string{"sha256:unsigned"}},
		},
		Missing: []Gap{{Node: "i", What: "provenance", Detail: "make it"}, {Node: "p", What: "licence"}},
		Notes:   []string{"2 statements are unsigned"},
		Documents: []Document{
			{Digest: signed, Verification: seaworthy.Verification{State: seaworthy.VerifiedState, Signers: []string{"identity:ci@example.com|https://issuer.example"}}},
			{Digest: "sha256:unsigned", Verification: seaworthy.Verification{State: seaworthy.UnsignedState}},
		},
	}
}

func TestDrawings(t *testing.T) {
	for name, c := range map[string]struct {
		draw func(*Answer, io.Writer) error
		want string
	}{
		"table": {(*Answer).Table, `an image \x1b[2J

WHAT     SEVERITY  SAYS
lib      high      ci@example.com, unsigned
  other            unsigned

Missing:
  app:1.2: provenance: make it
  lib "1" <b>#: licence

2 statements are unsigned
`},
		"tree": {(*Answer).Tree, `an image \x1b[2J
app:1.2 [size: 3]
├── contains lib "1" <b>#
│   ├── depends other (7) (unsigned)
│   ├── ← depends other (above)
│   └── ∅ no licence
├── ← runs pod/x
└── ∅ no provenance: make it
2 statements are unsigned
`},
		"dot": {(*Answer).DOT, `digraph answer {
	rankdir=LR;
	label="an image \\x1b[2J";
	node [fontname="sans-serif"];
	"i" [label="app:1.2", shape=box, penwidth=2];
	"p" [label="lib \"1\" <b>#", shape=ellipse];
	"q" [label="other", shape=ellipse];
	"r" [label="pod/x", shape=component];
	"i" -> "p" [label="contains"];
	"p" -> "q" [label="depends", style=dashed];
	"q" -> "p" [label="depends"];
	"r" -> "i" [label="runs"];
	"missing:0" [label="no provenance", shape=box, style=dashed];
	"i" -> "missing:0" [style=dotted];
	"missing:1" [label="no licence", shape=box, style=dashed];
	"p" -> "missing:1" [style=dotted];
}
`},
		"mermaid": {(*Answer).Mermaid, `flowchart LR
  n0["app:1.2"]
  n1(["lib #quot;1#quot; #lt;b#gt;#35;"])
  n2(["other"])
  n3[("pod/x")]
  n0 -->|contains| n1
  n1 -.->|depends| n2
  n2 -->|depends| n1
  n3 -->|runs| n0
  m0["no provenance"]:::missing
  n0 -.- m0
  m1["no licence"]:::missing
  n1 -.- m1
  classDef missing stroke-dasharray: 4 4,fill:none
`},
	} {
		var b strings.Builder
		if err := c.draw(drawnAnswer(), &b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, b.String()); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// An answer without edges is drawn along the ways of its rows.
func TestTreeOfRows(t *testing.T) {
	a := drawnAnswer()
	a.Edges, a.Missing, a.Notes, a.Title = nil, nil, nil, "t"
	a.Rows = []Row{
		{Node: "q", Via: []string{"i", "p"}, Signed: true},
		{Node: "r", Via: []string{"i", "p"}},
		{Cells: []string{"about", "nothing"}},
	}
	var b strings.Builder
	if err := a.Tree(&b); err != nil {
		t.Fatal(err)
	}
	const want = `t
app:1.2 [size: 3]
└── lib "1" <b>#
    ├── other (7)
    └── pod/x (unsigned)
about  nothing
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

// How deep an answer is does not decide how deep we call.
func TestTreeIsBounded(t *testing.T) {
	a := &Answer{Subject: "0"}
	const n = 100_000
	for i := range n {
		a.Nodes = append(a.Nodes, Node{ID: strconv.Itoa(i), Label: "n", Depth: i})
		if i > 0 {
			a.Edges = append(a.Edges, Edge{From: strconv.Itoa(i - 1), To: strconv.Itoa(i)})
		}
	}
	if err := a.Tree(io.Discard); err != nil {
		t.Error(err)
	}
}
