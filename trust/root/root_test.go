package root

import (
	"strings"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

func TestPublicGood(t *testing.T) {
	r, err := PublicGood()
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, e := range r.Entries() {
		count[e.Role]++
		if e.From.IsZero() || e.ID == "" || e.Key == "" || !strings.HasPrefix(e.URI, "https://") {
			t.Errorf("an entry lacks something: %+v", e)
		}
	}
	for role, want := range map[string]int{"certificate-authority": 2, "log": 2, "certificate-log": 2, "timestamp-authority": 1} {
		if count[role] != want {
			t.Errorf("%d of %s, want %d", count[role], role, want)
		}
	}
	if got := r.Newest().Format(time.DateOnly); got != "2025-09-23" {
		t.Errorf("the newest is of %s: say so in NEWS.md", got)
	}
	if again, err := Parse("again", r.JSON()); err != nil || again.Digest() != r.Digest() {
		t.Errorf("it does not come back: %v", err)
	}
}

func TestWhatIsNoRoot(t *testing.T) {
	good := string(publicGood)
	for name, c := range map[string]struct {
		in   string
		want seaworthy.Code
	}{
		"nothing":           {"", seaworthy.Invalid},
		"another version":   {strings.Replace(good, "version=0.1", "version=0.9", 1), seaworthy.Unsupported},
		"twice":             {strings.Replace(good, "{", `{"mediaType":"x",`, 1), seaworthy.Invalid},
		"unknown":           {strings.Replace(good, "{", `{"tlog":[],`, 1), seaworthy.Invalid},
		"broken key":        {strings.Replace(good, "MFkwEwYHKoZIzj0", "MFkwEwYHKoZIzj1", 1), seaworthy.Invalid},
		"empty log":         {`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","tlogs":[{}]}`, seaworthy.Invalid},
		"empty authority":   {`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","certificateAuthorities":[{}]}`, seaworthy.Invalid},
		"empty timestamper": {`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","timestampAuthorities":[{}]}`, seaworthy.Invalid},
		"too large":         {good + strings.Repeat(" ", MaxBytes), seaworthy.TooLarge},
	} {
		if _, err := Parse(name, []byte(c.in)); seaworthy.CodeOf(err) != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

const config = `{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json",
"caUrls":[{"url":"https://ca.example","majorApiVersion":1,"validFor":{"start":"2025-01-01T00:00:00Z","end":"2026-01-01T00:00:00Z"},"operator":"a"}],
"rekorTlogUrls":[{"url":"https://log1.example","majorApiVersion":1,"validFor":{"start":"2025-01-01T00:00:00Z"},"operator":"a"},{"url":"https://log2.example","majorApiVersion":2,"validFor":{"start":"2025-01-01T00:00:00Z"},"operator":"a"}],
"rekorTlogConfig":{"selector":"ANY"},
"tsaUrls":[{"url":"https://tsa.example/api/v1/timestamp","majorApiVersion":1,"validFor":{"start":"2025-01-01T00:00:00Z"},"operator":"a"}],
"tsaConfig":{"selector":"ANY"}}`

func TestSigningConfig(t *testing.T) {
	at := time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)
	s, err := ParseSigningConfig("x", []byte(config), at)
	if err != nil {
		t.Fatal(err)
	}
	if s.Authority != "https://ca.example" || len(s.Logs) != 1 || s.Logs[0] != "https://log2.example" || len(s.Timestampers) != 1 {
		t.Errorf("got %+v", s)
	}
	if _, err := ParseSigningConfig("x", []byte(config), at.AddDate(1, 0, 0)); seaworthy.CodeOf(err) != seaworthy.Unsupported {
		t.Errorf("after its end: %v", err)
	}
	only1 := strings.Replace(config, `"majorApiVersion":2`, `"majorApiVersion":1`, 1)
	if _, err := ParseSigningConfig("x", []byte(only1), at); seaworthy.CodeOf(err) != seaworthy.Unsupported {
		t.Errorf("only logs of the first kind: %v", err)
	}
	for name, in := range map[string]string{"nothing": "", "twice": strings.Replace(config, "{", `{"caUrls":[],`, 1), "text": "x"} {
		if _, err := ParseSigningConfig(name, []byte(in), at); seaworthy.CodeOf(err) != seaworthy.Invalid {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(publicGood)
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","ctlogs":[{"publicKey":{}}]}`))
	f.Fuzz(func(_ *testing.T, b []byte) {
		if r, err := Parse("fuzz", b); err == nil {
			r.Entries()
		}
		_, _ = ParseSigningConfig("fuzz", b, time.Unix(1750000000, 0)) // must not panic
	})
}
