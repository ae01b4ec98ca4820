package trace

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

var update = flag.Bool("update", false, "write the golden files")

const web = "registry.example/shop/web:1"

// questions are asked of the world; each has its answer in testdata.
var questions = map[string]Question{
	"known":               {Verb: "known", Subject: web},
	"known-licence":       {Verb: "known", Subject: "Apache-2.0"},
	"vulns":               {Verb: "vulns", Subject: web},
	"vulns-signed":        {Verb: "vulns", Subject: web, Trust: Trust{Signed: true}},
	"vulns-workload":      {Verb: "vulns", Subject: workload},
	"vulns-name":          {Verb: "vulns", Subject: "pkg:deb/debian/openssl"},
	"path":                {Verb: "path", Subject: web, To: "CVE-2023-0002"},
	"path-swapped":        {Verb: "path", Subject: "CVE-2023-0002", To: workload},
	"path-file":           {Verb: "path", Subject: web, To: repo},
	"path-common":         {Verb: "path", Subject: leftPad, To: evil},
	"path-none":           {Verb: "path", Subject: web, To: otherKey},
	"dependents":          {Verb: "dependents", Subject: zlib},
	"impact":              {Verb: "impact", Subject: "GHSA-aaaa-bbbb-cccc"},
	"impact-vex":          {Verb: "impact", Subject: "CVE-2023-0002"},
	"impact-builder":      {Verb: "impact", Subject: "builder:https://ci.example/run"},
	"impact-key":          {Verb: "impact", Subject: ciKey},
	"impact-licence":      {Verb: "impact", Subject: "Zlib"},
	"impact-source":       {Verb: "impact", Subject: "https://github.com/shop/web"},
	"patch":               {Verb: "patch", Subject: zlib},
	"licences":            {Verb: "licences", Subject: web},
	"provenance":          {Verb: "provenance", Subject: web},
	"provenance-file":     {Verb: "provenance", Subject: "/app"},
	"provenance-workload": {Verb: "provenance", Subject: workload},
	"missing":             {Verb: "missing", Subject: web},
	"missing-everywhere":  {Verb: "missing"},
	"diff":                {Verb: "diff", Subject: "registry.example/shop/api:1", To: web},
	"diff-versions":       {Verb: "diff", Subject: string(oldDigest), To: web},
	"diff-same":           {Verb: "diff", Subject: web, To: web},
	"top":                 {Verb: "top"},
	"top-contains":        {Verb: "top", Subject: "contains", Kinds: []seaworthy.SubjectKind{seaworthy.PackageSubject}, Limit: 2},
	"find":                {Verb: "find", Subject: "open"},
	"find-nothing":        {Verb: "find", Subject: "no such thing"},
	"artifact":            {Verb: "artifact", Subject: web},
	"artifact-bare":       {Verb: "artifact", Subject: "registry.example/shop/api:1"},
	"neighbourhood":       {Verb: "neighbourhood", Subject: web},
	"package":             {Verb: "package", Subject: "left-pad"},
	"vuln":                {Verb: "vuln", Subject: "ghsa-aaaa-bbbb-cccc"},
	"bills":               {Verb: "bills"},
	"bills-signed":        {Verb: "bills", Trust: Trust{Signed: true}},
}

func TestEveryVerb(t *testing.T) {
	m := world(t)
	for name, q := range questions {
		t.Run(name, func(t *testing.T) {
			a := ask(t, m, q)
			check := filepath.Join("testdata", name+".golden")
			got := written(a)
			if *update {
				if err := os.WriteFile(check, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(check)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			wholeAnswer(t, a)
		})
	}
	for _, v := range Verbs() {
		if _, ok := questions[v.Name]; !ok {
			t.Errorf("%s is not tested", v.Name)
		}
	}
}

// written is an answer as text.
func written(a *Answer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", a.Title)
	for _, t := range a.Tiles {
		fmt.Fprintf(&b, "[%s] %s: %s", t.State, t.Name, t.Text)
		if t.Detail != "" {
			fmt.Fprintf(&b, " (%s)", t.Detail)
		}
		fmt.Fprintf(&b, " %d documents\n", len(t.Documents))
	}
	fmt.Fprintf(&b, "\n  %s\n", strings.Join(a.Columns, " | "))
	for i, row := range cells(a) {
		fmt.Fprintf(&b, "%s%s\n", strings.Repeat("  ", a.Rows[i].Level), row)
	}
	labels := a.labels()
	fmt.Fprintf(&b, "\n")
	for _, n := range a.Nodes {
		fmt.Fprintf(&b, "%+d %s %s", n.Depth, n.Kind, n.Label)
		if n.Role != "" {
			fmt.Fprintf(&b, " (%s)", n.Role)
		}
		for _, f := range n.Facts {
			fmt.Fprintf(&b, " %s=%q", f.Name, f.Value)
		}
		fmt.Fprintf(&b, "\n")
	}
	var edges []string
	for _, e := range a.Edges {
		mark := "unsigned"
		if e.Signed {
			mark = "signed"
		}
		edges = append(edges, fmt.Sprintf("%s -%s-> %s %s, %d documents", labels[e.From], e.Predicate, labels[e.To], mark, len(e.Documents)))
	}
	slices.Sort(edges)
	fmt.Fprintf(&b, "\n%s\n", strings.Join(edges, "\n"))
	for _, g := range gaps(a) {
		fmt.Fprintf(&b, "missing: %s\n", g)
	}
	for _, n := range a.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	fmt.Fprintf(&b, "%d documents, truncated: %t\n", len(a.Documents), a.Truncated)
	return b.String()
}

// wholeAnswer checks what holds of every answer: what is referred to is there, rows have all their cells, nothing is
// null in JSON.
func wholeAnswer(t *testing.T, a *Answer) {
	t.Helper()
	nodes, docs := map[string]bool{"": true}, map[string]bool{}
	for _, n := range a.Nodes {
		if nodes[n.ID] {
			t.Errorf("the node %s is there twice", n.ID)
		}
		nodes[n.ID] = true
	}
	for _, d := range a.Documents {
		docs[string(d.Digest)] = true
	}
	cite := func(what string, digests []string) {
		for _, d := range digests {
			if !docs[d] {
				t.Errorf("%s rests on %s, which is not there", what, d)
			}
		}
		if digests == nil {
			t.Errorf("%s: documents are null", what)
		}
	}
	if !nodes[a.Subject] {
		t.Errorf("the subject %s is no node", a.Subject)
	}
	for _, e := range a.Edges {
		if !nodes[e.From] || !nodes[e.To] {
			t.Errorf("%v leads from or to what is not there", e)
		}
		cite(fmt.Sprint(e), e.Documents)
		if len(e.Documents) == 0 {
			t.Errorf("nothing says %v", e)
		}
	}
	for _, r := range a.Rows {
		if !nodes[r.Node] {
			t.Errorf("%v is about what is not there", r)
		}
		for _, id := range r.Via {
			if !nodes[id] {
				t.Errorf("%v is by way of what is not there", r)
			}
		}
		if len(r.Cells) != len(a.Columns) {
			t.Errorf("%v has %d cells, there are %d columns", r, len(r.Cells), len(a.Columns))
		}
		cite(fmt.Sprint(r), r.Documents)
	}
	for _, tile := range a.Tiles {
		cite(tile.Name, tile.Documents)
	}
	for _, g := range a.Missing {
		if !nodes[g.Node] {
			t.Errorf("%v is missing of what is not there", g)
		}
	}
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), ":null") {
		t.Errorf("null in %s", text)
	}
}

// Neither the order in which documents came nor the engine that keeps them changes an answer.
func TestAnswersAreDeterministic(t *testing.T) {
	one, other := world(t), graph.NewMemory()
	folder, err := graph.Open(t.Context(), filepath.Join(t.TempDir(), "graph"), graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	entries := worldEntries(t)
	slices.Reverse(entries)
	for _, e := range entries {
		for _, s := range []graph.Store{other, folder} {
			if _, err := s.Put(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, q := range questions {
		want := ask(t, one, q)
		for _, m := range []graph.Reader{one, other, folder} {
			if diff := cmp.Diff(want, ask(t, m, q)); diff != "" {
				t.Errorf("%s:\n%s", name, diff)
			}
		}
	}
}

func TestQuestionsThatCannotBeAsked(t *testing.T) {
	m := world(t)
	for name, c := range map[string]struct {
		q    Question
		code seaworthy.Code
		says string
	}{
		"no such verb":    {Question{Verb: "guess"}, seaworthy.Usage, "no question"},
		"no subject":      {Question{Verb: "vulns", Subject: "  "}, seaworthy.Usage, "nothing was named"},
		"one end":         {Question{Verb: "path", Subject: web}, seaworthy.Usage, "only one"},
		"negative":        {Question{Verb: "known", Subject: web, Depth: -1}, seaworthy.Usage, "negative"},
		"kind":            {Question{Verb: "find", Subject: "x", Kinds: []seaworthy.SubjectKind{"planet"}}, seaworthy.Usage, "planet"},
		"long":            {Question{Verb: "known", Subject: strings.Repeat("x", MaxText+1)}, seaworthy.TooLarge, "bytes"},
		"many groups":     {Question{Verb: "neighbourhood", Subject: web, Expand: make([]string, MaxExpand+1)}, seaworthy.TooLarge, "groups"},
		"unknown":         {Question{Verb: "known", Subject: "pkg:npm/nobody@1"}, seaworthy.NotFound, "nothing is known"},
		"unknown end":     {Question{Verb: "path", Subject: web, To: "nobody"}, seaworthy.NotFound, "nobody"},
		"ambiguous":       {Question{Verb: "known", Subject: "pkg:deb/debian/"}, seaworthy.Usage, "could be any of"},
		"no package":      {Question{Verb: "package", Subject: "CVE-2023-0001"}, seaworthy.Usage, "no package"},
		"no vuln":         {Question{Verb: "vuln", Subject: evil}, seaworthy.Usage, "no vulnerability"},
		"vulns of a vuln": {Question{Verb: "vulns", Subject: "CVE-2023-0001"}, seaworthy.Usage, "itself"},
		"predicate":       {Question{Verb: "top", Subject: "loves"}, seaworthy.Usage, "loves"},
		"nothing to find": {Question{Verb: "find"}, seaworthy.Usage, "none was given"},
	} {
		_, err := New(m, Options{}).Ask(t.Context(), c.q)
		if seaworthy.CodeOf(err) != c.code || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: %q %v, want %q and %q", name, seaworthy.CodeOf(err), err, c.code, c.says)
		}
	}
}
