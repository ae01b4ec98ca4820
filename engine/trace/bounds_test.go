package trace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// star is an image with n files, and a package that n images contain.
func star(t testing.TB, n int) *graph.Memory {
	t.Helper()
	image := seaworthy.SHA256([]byte("image"))
	var files, images []seaworthy.Statement
	for i := range n {
		files = append(files, says(image, seaworthy.SaysHasFile, seaworthy.SHA256(fmt.Append(nil, "file", i)), "path", fmt.Sprintf("/usr/share/%06d", i)))
		images = append(images, says(seaworthy.SHA256(fmt.Append(nil, "image", i)), seaworthy.SaysContains, leftPad))
	}
	files = append(files, says(image, seaworthy.SaysContains, leftPad), says(image, seaworthy.SaysHasFile, toolDigest, "path", "/tool", "types", "BINARY"))
	return graphOf(t, entry("files", seaworthy.BillDocument, day(1), nil, files...), entry("images", seaworthy.BillDocument, day(1), nil, images...))
}

// Whatever the fan-out of what is asked about, an answer is bounded, says that there is more, and what is rare is not
// lost behind what is frequent.
func TestLargeFanOut(t *testing.T) {
	m := star(t, 100_000)
	image := string(seaworthy.SHA256([]byte("image")))
	count := &counting{Reader: m}
	for _, c := range []struct {
		q         Question
		rows      int // at most
		reads     int // statements, at most
		truncated bool
	}{
		{Question{Verb: "known", Subject: image}, 210, 3000, true},
		{Question{Verb: "known", Subject: leftPad}, 210, 3000, true},
		{Question{Verb: "neighbourhood", Subject: image}, MaxNodes, 20_000, false},
		{Question{Verb: "neighbourhood", Subject: leftPad}, MaxNodes, 20_000, false},
		{Question{Verb: "vulns", Subject: image}, 0, 1000, false},
		{Question{Verb: "licences", Subject: image}, 2, 1000, false},
		{Question{Verb: "package", Subject: leftPad}, 1, 5000, false},
		{Question{Verb: "dependents", Subject: leftPad, Limit: 10}, 10, 500_000, true},
		{Question{Verb: "provenance", Subject: image}, 2, 110_000, false},
	} {
		count.edges = 0
		a := ask(t, count, c.q)
		if len(a.Rows) > c.rows || len(a.Nodes) > max(MaxNodes, 2*c.rows+2) || a.Truncated != c.truncated {
			t.Errorf("%v: %d rows, %d nodes, truncated: %t", c.q, len(a.Rows), len(a.Nodes), a.Truncated)
		}
		if count.edges > c.reads {
			t.Errorf("%v: %d statements were read, at most %d should be", c.q, count.edges, c.reads)
		}
	}
	a := ask(t, m, Question{Verb: "known", Subject: image})
	if !slices.ContainsFunc(a.Rows, func(r Row) bool { return r.Cells[1] == "contains" }) {
		t.Error("the package is lost behind the files")
	}
	a, err := New(m, Options{MaxVisited: 50}).Ask(t.Context(), Question{Verb: "dependents", Subject: leftPad})
	if err != nil || !a.Truncated || len(a.Rows) > 50 {
		t.Errorf("%d rows of 50 visits, truncated: %t, %v", len(a.Rows), a.Truncated, err)
	}
}

// counting counts the statements that are read.
type counting struct {
	graph.Reader
	edges int
}

func (c *counting) Edges(ctx context.Context, q graph.Query) (graph.Page, error) {
	p, err := c.Reader.Edges(ctx, q)
	c.edges += len(p.Edges)
	return p, err
}

// Groups open page by page, and everything is in one of the pages.
func TestGroupsOpen(t *testing.T) {
	m := star(t, 120)
	q := Question{Verb: "neighbourhood", Subject: string(seaworthy.SHA256([]byte("image"))), Depth: 1}
	var sizes []int
	shown := map[string]bool{}
	for {
		a := ask(t, m, q)
		wholeAnswer(t, a)
		group := -1
		for i, n := range a.Nodes {
			if n.Role == fileRole && n.Group == 0 {
				shown[n.Label] = true
			}
			if n.Role == fileRole && n.Group > 0 {
				group = i
			}
		}
		if group < 0 {
			sizes = append(sizes, len(shown))
			break
		}
		if want := fmt.Sprintf("+ %d files", a.Nodes[group].Group); a.Nodes[group].Label != want {
			t.Errorf("the group is called %q, want %q", a.Nodes[group].Label, want)
		}
		sizes = append(sizes, a.Nodes[group].Group, len(shown))
		q.Expand = append(q.Expand, a.Nodes[group].ID)
	}
	if diff := cmp.Diff([]int{120, 0, 70, 50, 20, 100, 120}, sizes); diff != "" {
		t.Error(diff)
	}
	// Opening more than can be drawn ends at the limit.
	m = star(t, 1000)
	q.Expand = nil
	for i := range 10 {
		id := fmt.Sprintf("group:%s:out:hasFile:file", hexID(seaworthy.SHA256([]byte("image"))))
		if i > 0 {
			id += fmt.Sprintf(":%d", i*groupPage)
		}
		q.Expand = append(q.Expand, id)
	}
	if a := ask(t, m, q); len(a.Nodes) > MaxNodes || !a.Truncated {
		t.Errorf("%d nodes, truncated: %t", len(a.Nodes), a.Truncated)
	}
}

// Walks in circles end, and go the shortest way.
func TestCycles(t *testing.T) {
	image := seaworthy.SHA256([]byte("image"))
	const n = 50
	name := func(i int) string { return fmt.Sprintf("pkg:npm/ring-%d@1", i%n) }
	statements := []seaworthy.Statement{says(image, seaworthy.SaysContains, name(0)), says(image, seaworthy.SaysContains, string(image)), says(image, seaworthy.SaysSame, image)}
	for i := range n {
		statements = append(statements, says(name(i), seaworthy.SaysDepends, name(i+1)), says(name(i), seaworthy.SaysDepends, name(i)), says(name(i), seaworthy.SaysSame, name(i)))
	}
	statements = append(statements, says("CVE-2024-0001", seaworthy.SaysAffects, name(20)), says("CVE-2024-0001", seaworthy.SaysSame, "CVE-2024-0001"))
	m := graphOf(t, entry("ring", seaworthy.BillDocument, day(1), nil, statements...))
	a := ask(t, m, Question{Verb: "vulns", Subject: string(image)})
	if len(a.Rows) != 1 || len(a.Rows[0].Via) != 23 {
		t.Errorf("got %v", a.Rows)
	}
	for _, v := range Verbs() {
		q := Question{Verb: v.Name, Subject: string(image), To: name(7)}
		switch v.Name {
		case "package":
			q.Subject = name(3)
		case "vuln", "impact", "patch":
			q.Subject = "CVE-2024-0001"
		case "top":
			q.Subject = ""
		}
		wholeAnswer(t, ask(t, m, q))
	}
	if a := ask(t, m, Question{Verb: "vulns", Subject: string(image), Depth: 5}); len(a.Rows) != 0 || !slices.Contains(a.Notes, "looked 5 steps far") {
		t.Errorf("within 5 steps: %v, %q", a.Rows, a.Notes)
	}
}

// All shortest ways are found, also where they part and meet again, and counted beyond those that are listed.
func TestAllShortestWays(t *testing.T) {
	const wide, long = 4, 6
	name := func(level, i int) string { return fmt.Sprintf("pkg:npm/at-%d-%d@1", level, i) }
	var statements []seaworthy.Statement
	for level := range long {
		for i := range wide {
			for j := range wide {
				statements = append(statements, says(name(level, i), seaworthy.SaysDepends, name(level+1, j)))
			}
		}
	}
	for i := range wide {
		statements = append(statements, says("pkg:npm/top@1", seaworthy.SaysDepends, name(0, i)), says(name(long, i), seaworthy.SaysDepends, "pkg:npm/bottom@1"))
	}
	statements = append(statements, says("pkg:npm/top@1", seaworthy.SaysDepends, "pkg:npm/detour@1"))
	m := graphOf(t, entry("lattice", seaworthy.BillDocument, day(1), nil, statements...))
	a := ask(t, m, Question{Verb: "path", Subject: "pkg:npm/top@1", To: "pkg:npm/bottom@1", Limit: 100})
	if !strings.HasPrefix(a.Title, "16384 shortest ways of 8 steps") || len(a.Rows) != 100 || !a.Truncated {
		t.Errorf("%q, %d rows", a.Title, len(a.Rows))
	}
	seen := map[string]bool{}
	for _, r := range a.Rows {
		key := strings.Join(r.Via, " ")
		if seen[key] || len(r.Via) != 9 || r.Via[0] != hexID("pkg:npm/top@1") || r.Via[8] != hexID("pkg:npm/bottom@1") {
			t.Errorf("the way %v is there twice, or is none", r.Via)
		}
		seen[key] = true
	}
	if a := ask(t, m, Question{Verb: "path", Subject: "pkg:npm/top@1", To: "pkg:npm/bottom@1", Depth: 7}); len(a.Rows) != 0 {
		t.Errorf("within 7 steps: %v", a.Rows)
	}
}

// A reader that fails, or a caller that goes away, ends the question with that error.
func TestReaderFails(t *testing.T) {
	m := world(t)
	for name, q := range questions {
		for after := 0; ; after++ {
			f := &failing{Reader: m, Lister: m, after: after}
			_, err := New(f, Options{}).Ask(t.Context(), q)
			if err == nil {
				break
			}
			if seaworthy.CodeOf(err) != seaworthy.Storage {
				t.Fatalf("%s, failing after %d calls: %v", name, after, err)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(m, Options{}).Ask(ctx, Question{Verb: "vulns", Subject: web}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// failing is a reader whose disk goes away after some calls.
type failing struct {
	graph.Reader
	Lister
	after int
}

func (f *failing) next() error {
	if f.after--; f.after < 0 {
		return seaworthy.Errorf(seaworthy.Storage, "the disk is gone")
	}
	return nil
}

func (f *failing) Edges(ctx context.Context, q graph.Query) (graph.Page, error) {
	if err := f.next(); err != nil {
		return graph.Page{}, err
	}
	return f.Reader.Edges(ctx, q)
}

func (f *failing) Subjects(ctx context.Context, ids []graph.ID) ([]seaworthy.Subject, error) {
	if err := f.next(); err != nil {
		return nil, err
	}
	return f.Reader.Subjects(ctx, ids)
}

func (f *failing) Documents(ctx context.Context, ids []graph.ID) ([]seaworthy.Document, error) {
	if err := f.next(); err != nil {
		return nil, err
	}
	return f.Reader.Documents(ctx, ids)
}

func (f *failing) Find(ctx context.Context, s graph.Search) ([]graph.Hit, error) {
	if err := f.next(); err != nil {
		return nil, err
	}
	return f.Reader.Find(ctx, s)
}

func (f *failing) Top(ctx context.Context, p seaworthy.Predicate, kinds []seaworthy.SubjectKind, limit int) ([]graph.Counted, error) {
	if err := f.next(); err != nil {
		return nil, err
	}
	return f.Reader.Top(ctx, p, kinds, limit)
}

func (f *failing) List(ctx context.Context, q graph.ListQuery) (graph.ListPage, error) {
	if err := f.next(); err != nil {
		return graph.ListPage{}, err
	}
	return f.Lister.List(ctx, q)
}

// What very many documents say rests on enough of them; whoever asks for signed ones gets the one among them that is.
func TestEnoughDocuments(t *testing.T) {
	app := seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: "pkg:npm/app@1.0.0"}
	part := seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: "pkg:npm/part@1.0.0"}
	folder, err := graph.Open(t.Context(), t.TempDir(), graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	stores := []graph.Store{graph.NewMemory(), folder}
	for n := range 3 * enoughDocuments {
		body := fmt.Appendf(nil, "bill %d", n)
		d := seaworthy.Document{
			Digest: seaworthy.SHA256(body), Kind: seaworthy.BillDocument, Format: "test", Size: int64(len(body)), Ingested: day(1),
			Verification: seaworthy.Verification{State: seaworthy.UnsignedState}, Statements: 1,
		}
		if n == 0 {
			d.Verification = seaworthy.Verification{State: seaworthy.VerifiedState, Signers: []string{"key:sha256:" + strings.Repeat("a", 64)}}
		}
		for _, s := range stores {
			if _, err := s.Put(t.Context(), graph.Entry{Document: d, Body: body, Statements: []seaworthy.Statement{{Subject: app, Predicate: seaworthy.SaysDepends, Object: part}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var answers []*Answer
	for _, s := range stores {
		r := &counting{Reader: s}
		a, err := New(r, Options{}).Ask(t.Context(), Question{Verb: "known", Subject: app.Key})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(a.Rows[0].Documents); n != enoughDocuments || !slices.ContainsFunc(a.Notes, func(n string) bool { return strings.Contains(n, fmt.Sprintf("%d are shown", enoughDocuments)) }) {
			t.Errorf("%T: the row rests on %d documents, notes %q", s, n, a.Notes)
		}
		r.edges = 0
		if _, err := New(r, Options{}).Ask(t.Context(), Question{Verb: "vulns", Subject: app.Key}); err != nil {
			t.Fatal(err)
		}
		if s == folder && r.edges > 2*enoughDocuments { // Memory may give all
			t.Errorf("the engine gave %d statements", r.edges)
		}
		a.Took = 0
		answers = append(answers, a)
		signed, err := New(s, Options{}).Ask(t.Context(), Question{Verb: "known", Subject: app.Key, Trust: Trust{Signed: true}})
		if err != nil || len(signed.Rows) != 1 || !signed.Rows[0].Signed {
			t.Errorf("%T: of signed documents, %+v, %v", s, signed, err)
		}
	}
	if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
		t.Errorf("engines differ: %s", diff)
	}
}
