package trace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ingest"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// seed is where the three documents of the example are, beside this repository.
const seed = "../../../shared/data/seed-example"

func seedGraph(t testing.TB) graph.Store {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(seed, "*.json"))
	if err != nil || len(names) == 0 {
		t.Skipf("the seed example is not there: %s", seed)
	}
	m := graph.NewMemory()
	t.Cleanup(func() { m.Close() })
	in := ingest.New(m, ingest.Options{})
	for _, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Bytes(t.Context(), filepath.Base(name), body); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// One question about the image answers the picture in the seed: two programs, one with an attestation that leads to a
// commit and its scorecard, and one without, which is said. Asked by either of its names.
func TestSeedExample(t *testing.T) {
	m := seedGraph(t)
	for _, name := range []string{"k8s.gcr.io/kube-controller-manager:v1.24.6", "k8s.gcr.io/kube-controller-manager-v1.24.6"} {
		for _, verb := range []string{"provenance", "artifact", "neighbourhood"} {
			a := ask(t, m, Question{Verb: verb, Subject: name})
			wholeAnswer(t, a)
			if verb == "provenance" {
				want := []string{
					"- k8s.gcr.io/kube-controller-manager-v1.24.6 | ∅ no attestation |  |  |  |  | ",
					"- /usr/local/bin/kube-controller-manager | SLSA v0.2 | https://git.k8s.io/release/docs/krel | github.com/kubernetes/kubernetes | 1ff66136acfd7717292f65447b2ebff162570f46 | 8.7 | ∅ no signature",
					"- /go-runner | ∅ no attestation |  |  |  |  | ",
				}
				if diff := cmp.Diff(want, cells(a)); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
			seedPicture(t, a)
		}
	}
}

// seedPicture checks the nodes, edges and gaps of the picture.
func seedPicture(t *testing.T, a *Answer) {
	t.Helper()
	byLabel := map[string]Node{}
	binaries := 0
	for _, n := range a.Nodes {
		byLabel[n.Label] = n
		if n.Role == binaryRole {
			binaries++
		}
	}
	manager, runner := byLabel["/usr/local/bin/kube-controller-manager"], byLabel["/go-runner"]
	source := byLabel["github.com/kubernetes/kubernetes@1ff66136acfd"]
	if binaries != 2 || !strings.HasPrefix(manager.Key, "sha256:ada949e0") || !strings.HasPrefix(runner.Key, "sha256:eca5c120") {
		t.Errorf("%d binaries: %v, %v", binaries, manager, runner)
	}
	if source.Kind != seaworthy.SourceSubject || !strings.Contains(source.Key, "@1ff66136acfd7717292f65447b2ebff162570f46") {
		t.Errorf("the source is %v", source)
	}
	checks := map[string]string{}
	for _, f := range source.Facts {
		if name, ok := strings.CutPrefix(f.Name, "check "); ok {
			checks[name] = f.Value
		}
	}
	if got := seaworthy.AttrOf(source.Facts, "scorecard"); got != "8.7" || len(checks) != 9 || !strings.HasPrefix(checks["Code-Review"], "6 18 out of last 18") {
		t.Errorf("scorecard %q with the checks %v", got, checks)
	}
	built := false
	for _, e := range a.Edges {
		built = built || e.Predicate == seaworthy.SaysBuilt && e.From == manager.ID && e.To == source.ID && len(e.Documents) > 0
		if e.From == runner.ID {
			t.Errorf("/go-runner leads somewhere: %v", e)
		}
	}
	if !built {
		t.Error("it is not said from what kube-controller-manager was built")
	}
	missing := map[string]bool{}
	for _, g := range a.Missing {
		if g.What == "attestation" {
			missing[g.Node] = true
		}
	}
	if !missing[runner.ID] || missing[manager.ID] {
		t.Errorf("missing are %v", a.Missing)
	}
}

func BenchmarkSeedExample(b *testing.B) {
	m := seedGraph(b)
	for b.Loop() {
		ask(b, m, Question{Verb: "provenance", Subject: "k8s.gcr.io/kube-controller-manager-v1.24.6"})
	}
}
