package scorecard_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/scorecard"
)

// real is in the folder that is shared beside the repository.
const real = "../../../shared/data/seed-example/scorecard-kubernetes-1ff66136acfd7717292f65447b2ebff162570f46.json"

func TestReal(t *testing.T) {
	b, err := os.ReadFile(real)
	if os.IsNotExist(err) {
		t.Skip("../shared/data/seed-example is not here")
	}
	r, err := scorecard.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if r.Repo != "github.com/kubernetes/kubernetes" || r.Score != 8.7 || len(r.Checks) != 9 || r.Version != "v4.7.0" ||
		!r.Date.Equal(time.Date(2022, 10, 15, 0, 0, 0, 0, time.UTC)) || r.Commit != "1ff66136acfd7717292f65447b2ebff162570f46" {
		t.Errorf("got %+v", r)
	}
	if c := r.Checks[5]; c.Name != "Pinned-Dependencies" || c.Score != 2 || !strings.Contains(c.Reason, "not pinned by hash") {
		t.Errorf("got %+v", c)
	}
}

func TestParse(t *testing.T) {
	many := `{"repo":{"name":"h.example/x"},"scorecard":{},"checks":[` + strings.TrimSuffix(strings.Repeat(`{},`, scorecard.MaxChecks+1), ",") + `]}`
	for name, c := range map[string]struct {
		doc  string
		code seaworthy.Code
	}{
		"no score":          {`{"repo":{"name":"h.example/x"},"scorecard":{}}`, ""},
		"inconclusive":      {`{"repo":{"name":"h.example/x"},"scorecard":{},"score":-1,"checks":[{"name":"SAST","score":-1}]}`, ""},
		"byte order mark":   {"\xef\xbb\xbf" + `{"repo":{"name":"h.example/x"},"scorecard":{}}`, ""},
		"no repository":     {`{"scorecard":{},"score":3}`, seaworthy.Invalid},
		"no scorecard":      {`{"repo":{"name":"h.example/x"},"score":3}`, seaworthy.Invalid},
		"too good":          {`{"repo":{"name":"h.example/x"},"scorecard":{},"score":11}`, seaworthy.Invalid},
		"a check too bad":   {`{"repo":{"name":"h.example/x"},"scorecard":{},"checks":[{"name":"x","score":-2}]}`, seaworthy.Invalid},
		"too many checks":   {many, seaworthy.TooLarge},
		"a score in words":  {`{"repo":{"name":"h.example/x"},"scorecard":{},"score":"good"}`, seaworthy.Invalid},
		"cut":               {`{"repo":{"name"`, seaworthy.Invalid},
		"more than it may ": {strings.Repeat(" ", scorecard.MaxBytes+1), seaworthy.TooLarge},
	} {
		if _, err := scorecard.Parse([]byte(c.doc)); seaworthy.CodeOf(err) != c.code {
			t.Errorf("%s: got %v, want code %q", name, err, c.code)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"date":"2022-10-15","repo":{"name":"github.com/x/y","commit":"'a'"},"scorecard":{"version":"v4"},"score":8.7,"checks":[{"name":"SAST","score":10,"reason":"r","details":null}]}`))
	f.Add([]byte(`{"repo":{"name":"x"},"scorecard":{},"score":1e400}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := scorecard.Parse(b)
		if err == nil && (r.Repo == "" || r.Score > 10) {
			t.Errorf("got %+v", r)
		}
	})
}
