package identity

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

const canary = "aGVhZGVy.Y2FuYXJ5.c2ln"

func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestGitHub(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer job" || r.URL.Query().Get("audience") != Audience || r.URL.Query().Get("v") != "1" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"value":%q,"count":1}`, canary)
	}))
	defer s.Close()
	token, err := Ambient(t.Context(), env(map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": s.URL + "?v=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "job"}))
	if err != nil || token.Value != canary {
		t.Errorf("got %v, %v", token, err)
	}
	_, err = Ambient(t.Context(), env(map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": s.URL, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "job"}))
	if seaworthy.CodeOf(err) != seaworthy.Unauthorized {
		t.Errorf("got %v", err)
	}
}

func TestElsewhere(t *testing.T) {
	token, err := Ambient(t.Context(), env(map[string]string{"SIGSTORE_ID_TOKEN": canary + "\n"}))
	if err != nil || token.Value != canary {
		t.Errorf("GitLab: got %v, %v", token, err)
	}
	if _, err := os.Stat(podToken); err == nil {
		t.Skip("this machine has a token of its own")
	}
	if _, err := Ambient(t.Context(), env(nil)); seaworthy.CodeOf(err) != seaworthy.NotFound {
		t.Errorf("nowhere: got %v", err)
	}
}

func TestGiven(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(canary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, ok := range map[string]bool{canary: true, file: true, file + ".no": false, "": false, "a.b": false} {
		token, err := Given(text)
		if (err == nil) != ok || ok && token.Value != canary {
			t.Errorf("%q: got %v, %v", text, token, err)
		}
	}
}

func TestTokensAreNotPrinted(t *testing.T) {
	token := Token{canary, "test"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, token); strings.Contains(text, canary) {
			t.Errorf("%s prints %q", verb, text)
		}
	}
}
