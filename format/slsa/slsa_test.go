package slsa_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/format/slsa"
)

const v01 = `{"builder":{"id":"https://builder.example"},"recipe":{"type":"https://type.example","definedInMaterial":0,"entryPoint":"make all","arguments":{"x": 1}},
"metadata":{"buildInvocationId":"7","buildStartedOn":"2022-01-02T03:04:05Z","completeness":{"materials":true},"reproducible":true},
"materials":[{"uri":"git+https://github.com/x/y","digest":{"sha1":"a"}},{}]}`

const v02 = `{"builder":{"id":"https://builder.example"},"buildType":"https://type.example","invocation":{"configSource":{"uri":"git+https://github.com/x/y","digest":{"sha1":"a"},"entryPoint":"make all"},"parameters":{"x":1}},
"metadata":{"buildInvocationID":"7","buildStartedOn":"2022-01-02T03:04:05Z","completeness":{"materials":true},"reproducible":true},
"materials":[{"uri":"git+https://github.com/x/y","digest":{"sha1":"a"}}]}`

const v1 = `{"buildDefinition":{"buildType":"https://type.example","externalParameters":{"workflow":{"ref":"refs/heads/main","repository":"https://github.com/x/y","path":".github/workflows/r.yml"}},
"resolvedDependencies":[{"uri":"git+https://github.com/x/y@refs/heads/main","digest":{"gitCommit":"a"}},{"name":"go","digest":{"sha256":"b"},"mediaType":"application/gzip"}]},
"runDetails":{"builder":{"id":"https://builder.example","version":{"x":"1"}},"metadata":{"invocationId":"7","startedOn":"2022-01-02T03:04:05Z","finishedOn":"2022-01-02T04:04:05+01:00"},"byproducts":[{"uri":"https://log.example"}]}}`

func TestAllVersionsAreOneValue(t *testing.T) {
	started := time.Date(2022, 1, 2, 3, 4, 5, 0, time.UTC)
	source := slsa.Material{URI: "git+https://github.com/x/y", Digest: map[string]string{"sha1": "a"}}
	early := slsa.Provenance{
		Builder: "https://builder.example", BuildType: "https://type.example", EntryPoint: "make all", ConfigSource: source, Materials: []slsa.Material{source},
		Parameters: `{"x":1}`, Invocation: "7", Started: started, Complete: true, Reproducible: true,
	}
	first, second := early, early
	first.Version, second.Version = "v0.1", "v0.2"
	third := slsa.Provenance{
		Version: "v1", Builder: "https://builder.example", BuildType: "https://type.example", EntryPoint: ".github/workflows/r.yml",
		ConfigSource: slsa.Material{URI: "https://github.com/x/y@refs/heads/main"},
		Materials: []slsa.Material{
			{URI: "git+https://github.com/x/y@refs/heads/main", Digest: map[string]string{"gitCommit": "a"}},
			{Name: "go", Digest: map[string]string{"sha256": "b"}, MediaType: "application/gzip"},
		},
		Parameters: `{"workflow":{"ref":"refs/heads/main","repository":"https://github.com/x/y","path":".github/workflows/r.yml"}}`,
		Invocation: "7", Started: started, Finished: started, Byproducts: []slsa.Material{{URI: "https://log.example"}},
	}
	for _, c := range []struct {
		typ, predicate string
		want           slsa.Provenance
	}{{slsa.TypeV01, v01, first}, {slsa.TypeV02, v02, second}, {slsa.TypeV1, v1, third}} {
		got, err := slsa.Parse(c.typ, []byte(c.predicate))
		if err != nil {
			t.Errorf("%s: %v", c.typ, err)
			continue
		}
		if d := cmp.Diff(&c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.typ, d)
		}
	}
}

// The provenance of Kubernetes is in the folder that is shared beside the repository.
func TestReal(t *testing.T) {
	b, err := os.ReadFile("../../../shared/data/seed-example/kube-slsa-v1.24.6.json")
	if os.IsNotExist(err) {
		t.Skip("../shared/data/seed-example is not here")
	}
	s, err := intoto.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	p, err := slsa.Parse(s.PredicateType, s.Predicate)
	if err != nil {
		t.Fatal(err)
	}
	if p.Builder != "https://git.k8s.io/release/docs/krel" || p.EntryPoint != "https://git.k8s.io/release/gcb/stage/cloudbuild.yaml" ||
		p.Invocation != "60366d1e-4877-483d-9355-25d033741a0a" || len(p.Materials) != 1 || p.Finished.Year() != 2022 || !p.Complete {
		t.Errorf("got %+v", p)
	}
}

func TestRefused(t *testing.T) {
	many := `{"builder":{"id":"x"},"materials":[` + strings.TrimSuffix(strings.Repeat(`{"uri":"x"},`, slsa.MaxMaterials+1), ",") + `]}`
	for name, c := range map[string]struct {
		typ, predicate string
		code           seaworthy.Code
	}{
		"another type":     {"https://slsa.dev/verification_summary/v1", `{}`, seaworthy.Unsupported},
		"nothing":          {slsa.TypeV1, ``, seaworthy.Invalid},
		"no builder":       {slsa.TypeV02, `{}`, seaworthy.Invalid},
		"equal names":      {slsa.TypeV02, `{"builder":{"id":"x"},"builder":{"id":"y"}}`, seaworthy.Invalid},
		"materials a word": {slsa.TypeV02, `{"builder":{"id":"x"},"materials":"x"}`, seaworthy.Invalid},
		"too many":         {slsa.TypeV02, many, seaworthy.TooLarge},
		"too much":         {slsa.TypeV02, `{"builder":{"id":"x"},"invocation":{"parameters":"` + strings.Repeat("x", slsa.MaxParameters) + `"}}`, seaworthy.TooLarge},
	} {
		if _, err := slsa.Parse(c.typ, []byte(c.predicate)); seaworthy.CodeOf(err) != c.code {
			t.Errorf("%s: got %v, want code %q", name, err, c.code)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{v01, v02, v1, `{"builder":{"id":"x"},"recipe":{"definedInMaterial":-1}}`, `{"runDetails":{"builder":{"id":"x"}},"buildDefinition":{"externalParameters":{"source":{"uri":"x"}}}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, typ := range []string{slsa.TypeV01, slsa.TypeV02, slsa.TypeV1} {
			if p, err := slsa.Parse(typ, b); err == nil && p.Builder == "" {
				t.Errorf("%s: no builder in %q", typ, b)
			}
		}
	})
}
