package ask

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

const secret = "canary-token-3f"

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  seaworthy.Code
	}{
		"ok":      {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "fine") }, ""},
		"created": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); io.WriteString(w, "fine") }, ""},
		"unauthorised": {func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, r.Header.Get("Authorization"), http.StatusUnauthorized)
		}, seaworthy.Unauthorized},
		"invalid":  {func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no "+secret, 400) }, seaworthy.Invalid},
		"conflict": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "twice", http.StatusConflict) }, seaworthy.Conflict},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.com/", http.StatusTemporaryRedirect)
		}, seaworthy.Forbidden},
		"too large": {func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, io.LimitReader(zeros{}, maxAnswer+1)) }, seaworthy.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(c.serve)
			defer s.Close()
			answer, err := Ask(t.Context(), Question{URL: s.URL, Secret: secret, Client: s.Client()})
			if seaworthy.CodeOf(err) != c.want {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if err == nil && string(answer) != "fine" {
				t.Errorf("the answer is %q", answer)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the error has the token: %v", err)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// A busy server is asked again, and not for ever.
func TestBusy(t *testing.T) {
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b, _ := io.ReadAll(r.Body); string(b) != "body" {
			t.Errorf("the body is %q", b)
		}
		if asked.Add(1) < 2 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	if _, err := Ask(t.Context(), Question{URL: s.URL, Body: []byte("body"), Client: s.Client()}); err != nil || asked.Load() != 2 {
		t.Errorf("asked %d times: %v", asked.Load(), err)
	}
}

func TestSecretsStayHere(t *testing.T) {
	for url, want := range map[string]seaworthy.Code{
		"http://example.com/x": seaworthy.Forbidden,
		"http://10.0.0.1/x":    seaworthy.Forbidden,
		"ftp://example.com/":   seaworthy.Usage,
		"/etc/passwd":          seaworthy.Usage,
		"":                     seaworthy.Usage,
	} {
		if _, err := Ask(t.Context(), Question{URL: url, Secret: secret}); seaworthy.CodeOf(err) != want {
			t.Errorf("%q: got %v, want %s", url, err, want)
		}
	}
}
