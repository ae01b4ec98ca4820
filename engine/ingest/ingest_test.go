package ingest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ingest"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// The folder that is shared beside the repository.
const (
	shared = "../../../shared/data"
	seed   = shared + "/seed-example"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newIngester(t testing.TB, o ingest.Options) (*ingest.Ingester, *graph.Memory) {
	t.Helper()
	store := graph.NewMemory()
	t.Cleanup(func() { store.Close() })
	if o.Now == nil {
		o.Now = func() time.Time { return noon }
	}
	return ingest.New(store, o), store
}

func mustBytes(t testing.TB, in *ingest.Ingester, origin string, body []byte) ingest.Result {
	t.Helper()
	r, err := in.Bytes(t.Context(), origin, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func shareds(t testing.TB, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(shared, pattern))
	if err != nil || len(list) == 0 {
		t.Skipf("../shared/data/%s is not here", pattern)
	}
	return list
}

// say is a statement as tests write it.
type say struct {
	subject   string // kind:key
	predicate seaworthy.Predicate
	object    string
}

func subject(s seaworthy.Subject) string { return string(s.Kind) + " " + s.Key }

// said returns all statements about a subject, from or to it.
func said(t testing.TB, store graph.Reader, s seaworthy.Subject, back bool, predicates ...seaworthy.Predicate) map[say][]seaworthy.Property {
	t.Helper()
	out := map[say][]seaworthy.Property{}
	q := graph.Query{From: []graph.ID{s.ID()}, Back: back, Predicates: predicates}
	for {
		page, err := store.Edges(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		ids := make([]graph.ID, len(page.Edges))
		for i, e := range page.Edges {
			ids[i] = e.To
		}
		others, err := store.Subjects(t.Context(), ids)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range page.Edges {
			a, b := s, others[i]
			if back {
				a, b = b, a
			}
			out[say{subject(a), e.Predicate, subject(b)}] = e.Attrs
		}
		if page.Next == "" {
			return out
		}
		q.After = page.Next
	}
}

func objects(said map[say][]seaworthy.Property, predicate seaworthy.Predicate) []string {
	var out []string
	for s := range said {
		if s.predicate == predicate {
			out = append(out, s.object)
		}
	}
	slices.Sort(out)
	return out
}

func find(t testing.TB, store graph.Reader, text string) []seaworthy.Subject {
	t.Helper()
	hits, err := store.Find(t.Context(), graph.Search{Text: text})
	if err != nil {
		t.Fatal(err)
	}
	var out []seaworthy.Subject
	for _, h := range hits {
		out = append(out, h.Subject)
	}
	return out
}

// The picture in the seed: the image has two programs; one was attested and its source rated, the other was not.
func TestSeedExample(t *testing.T) {
	shareds(t, "seed-example/*.json")
	in, store := newIngester(t, ingest.Options{})
	calls := 0
	summary, err := in.Paths(t.Context(), []string{seed}, func(ingest.Summary) { calls++ })
	if err != nil {
		t.Fatal(err)
	}
	if summary.Documents != 3 || summary.Added != 3 || calls != 3 || summary.Kinds[seaworthy.BillDocument] != 1 ||
		summary.Kinds[seaworthy.ProvenanceDocument] != 1 || summary.Kinds[seaworthy.ScorecardDocument] != 1 {
		t.Errorf("got %+v", summary)
	}
	image := seaworthy.Subject{Kind: seaworthy.ResourceSubject, Key: "oci://k8s.gcr.io/kube-controller-manager-v1.24.6"}
	if found := find(t, store, "kube-controller-manager"); !slices.Contains(found, image) {
		t.Errorf("the image is not found among %v", found)
	}
	if found := find(t, store, "k8s.gcr.io/kube-controller-manager:v1.24.6"); !slices.Contains(found, image) {
		t.Errorf("the image is not found by its reference among %v", found)
	}
	programs := map[string]string{}
	paths := 0
	for s, attrs := range said(t, store, image, false, seaworthy.SaysHasFile) {
		for _, a := range attrs {
			if a.Name == "path" {
				paths++
			}
		}
		if slices.Contains(strings.Split(seaworthy.AttrOf(attrs, "types"), ","), "BINARY") {
			programs[seaworthy.AttrOf(attrs, "path")] = s.object
		}
	}
	const (
		runner  = "sha256:eca5c120c13a6bd9e212e76068e25896c3830d912a84b43cde776a75464055f5"
		manager = "sha256:ada949e0dcc462ec1d8a0f6f44fd6113f08d4821a38ff85bf5cf0d6f47b2a5af"
	)
	if len(programs) != 2 || programs["/go-runner"] != "artifact "+runner || programs["/usr/local/bin/kube-controller-manager"] != "artifact "+manager {
		t.Errorf("got the programs %v", programs)
	}
	if paths != 1223 { // of 1,972 entries 749 are folders and links, which have no digest
		t.Errorf("got %d paths", paths)
	}
	if got := said(t, store, image, true, seaworthy.SaysDescribes); len(got) != 1 {
		t.Errorf("described by %v", got)
	} else {
		for _, attrs := range got {
			if seaworthy.AttrOf(attrs, "files") != "1972" || seaworthy.AttrOf(attrs, "packages") != "4" {
				t.Errorf("described with %v", attrs)
			}
		}
	}
	commit := seaworthy.Subject{Kind: seaworthy.SourceSubject, Key: "git+https://github.com/kubernetes/kubernetes@1ff66136acfd7717292f65447b2ebff162570f46"}
	built := said(t, store, seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: manager}, false)
	if got := objects(built, seaworthy.SaysBuilt); !slices.Equal(got, []string{subject(commit)}) {
		t.Errorf("built from %v", got)
	}
	if got := objects(built, seaworthy.SaysBuiltBy); !slices.Equal(got, []string{"actor builder:https://git.k8s.io/release/docs/krel"}) {
		t.Errorf("built by %v", got)
	}
	if got := objects(built, seaworthy.SaysSource); !slices.Equal(got, []string{subject(commit)}) {
		t.Errorf("source %v", got)
	}
	if got := said(t, store, seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: runner}, false); len(got) != 0 {
		t.Errorf("of /go-runner is said %v", got)
	}
	rated := said(t, store, commit, false, seaworthy.SaysRated)
	if len(rated) != 1 {
		t.Fatalf("rated %v", rated)
	}
	for _, attrs := range rated {
		if seaworthy.AttrOf(attrs, "score") != "8.7" || strings.Count(seaworthy.AttrOf(attrs, "checks"), `"name"`) != 9 || seaworthy.AttrOf(attrs, "type") != "scorecard" {
			t.Errorf("rated with %v", attrs)
		}
	}
	if found := find(t, store, "gs://kubernetes-release/release/v1.24.6/bin/linux/amd64/kube-controller-manager"); len(found) != 1 || found[0].Key != manager {
		t.Errorf("by the attested name is found %v", found)
	}
}

// Everything is made again from the bytes alone.
func TestReparseIsTheSame(t *testing.T) {
	files := slices.Concat(shareds(t, "seed-example/*.json"), shareds(t, "sbom/*.json"), shareds(t, "sigstore/*.sigstore.json"))
	in, store := newIngester(t, ingest.Options{})
	if _, err := in.Paths(t.Context(), files, nil); err != nil {
		t.Fatal(err)
	}
	again := graph.NewMemory()
	defer again.Close()
	list, err := store.List(t.Context(), graph.ListQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Documents) != len(files) {
		t.Errorf("%d documents of %d files", len(list.Documents), len(files))
	}
	for _, d := range list.Documents {
		body, err := store.Body(t.Context(), d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		entry, err := in.Reparse(d, body)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.Put(t.Context(), entry); err != nil {
			t.Fatal(err)
		}
	}
	same(t, store, again)
}

// same fails when two stores differ in what they have been told.
func same(t *testing.T, a, b *graph.Memory) {
	t.Helper()
	var texts [2]string
	for i, s := range []*graph.Memory{a, b} {
		texts[i] = dump(t, s)
	}
	if texts[0] != texts[1] {
		t.Errorf("the stores differ: %d and %d bytes of dump", len(texts[0]), len(texts[1]))
	}
}

// dump is all that a store has been told, as text.
func dump(t testing.TB, s graph.Store) string {
	t.Helper()
	dir := t.TempDir()
	if err := s.Backup(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	list, err := filepath.Glob(filepath.Join(dir, "*.zst"))
	if err != nil || len(list) != 1 {
		t.Fatalf("got %v, %v", list, err)
	}
	b, err := os.ReadFile(list[0])
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	text, err := z.DecodeAll(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
