package intoto

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
)

const sample = `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"00ff","sha512":"aa"}},{"digest":{"gitCommit":"12"}}],"predicateType":"https://slsa.dev/provenance/v1","predicate":{"Name":"as it was","n":1.50}}`

func TestStatementsComeBack(t *testing.T) {
	for _, in := range []string{sample, strings.Replace(sample, "/v1", "/v0.1", 1)} {
		s, err := Parse([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(in, string(b)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestWhatIsNoStatement(t *testing.T) {
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	subject := func(s string) string {
		return `{"_type":"` + TypeV1 + `","subject":` + s + `,"predicateType":"x"}`
	}
	var digests []string
	for i := range MaxDigests + 1 {
		digests = append(digests, fmt.Sprintf(`"a%d":"00"`, i))
	}
	for name, c := range map[string]struct {
		in   string
		want seaworthy.Code
	}{
		"no type":           {`{"subject":[],"predicateType":"x"}`, seaworthy.Invalid},
		"another type":      {strings.Replace(sample, "Statement/v1", "Statement/v2", 1), seaworthy.Unsupported},
		"no predicate type": {strings.Replace(sample, "predicateType", "other", 1), seaworthy.Invalid},
		"other case":        {strings.Replace(sample, `"subject"`, `"Subject"`, 1), seaworthy.Invalid},
		"both cases":        {strings.Replace(sample, `{"_type"`, `{"PredicateType":"y","_type"`, 1), seaworthy.Invalid},
		"digest in case":    {strings.Replace(sample, `"digest"`, `"Digest"`, 1), seaworthy.Invalid},
		"twice":             {strings.Replace(sample, `{"_type"`, `{"predicateType":"y","_type"`, 1), seaworthy.Invalid},
		"no subject":        {subject(`[]`), seaworthy.Invalid},
		"null subject":      {subject(`null`), seaworthy.Invalid},
		"no digest":         {subject(`[{"name":"a","digest":{}}]`), seaworthy.Invalid},
		"many subjects":     {subject(`[` + many(MaxSubjects+1, `{"digest":{"sha256":"00"}}`) + `]`), seaworthy.TooLarge},
		"many digests":      {subject(`[{"digest":{` + strings.Join(digests, ",") + `}}]`), seaworthy.TooLarge},
		"something behind":  {sample + `{}`, seaworthy.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse([]byte(c.in)); seaworthy.CodeOf(err) != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestMatches(t *testing.T) {
	s, err := Parse([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	sum := func(h string) []byte {
		b, err := hex.DecodeString(h)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, c := range map[string]struct {
		digests map[string][]byte
		want    bool
	}{
		"one":              {map[string][]byte{"sha256": sum("00ff")}, true},
		"both":             {map[string][]byte{"sha256": sum("00ff"), "sha512": sum("aa")}, true},
		"contradicting":    {map[string][]byte{"sha256": sum("00ff"), "sha512": sum("ab")}, false},
		"other":            {map[string][]byte{"sha256": sum("00fe")}, false},
		"another's digest": {map[string][]byte{"sha512": sum("00ff")}, false},
		"unknown":          {map[string][]byte{"sha384": sum("00ff")}, false},
		"none":             {nil, false},
	} {
		if got := s.Matches(c.digests); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestPredicateTypes(t *testing.T) {
	for name, want := range map[string]string{"spdx": "https://spdx.dev/Document", "slsaprovenance1": "https://slsa.dev/provenance/v1", "https://x.example/y": "https://x.example/y"} {
		if got, err := PredicateTypes(name); err != nil || got[0] != want {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "sbom", "://", "x y://z "} {
		if _, err := PredicateTypes(name); seaworthy.CodeOf(err) != seaworthy.Usage {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"","digest":{"sha1":""},"annotations":{}}],"predicateType":"x","predicate":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Parse(b)
		if err != nil {
			return
		}
		again, err := s.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(again)
		if err != nil {
			t.Fatal(err)
		}
		if len(back.Subjects) != len(s.Subjects) || back.PredicateType != s.PredicateType {
			t.Errorf("%s came back as %s", b, again)
		}
	})
}
