package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/trace"
)

const (
	reader   = "canary-reader-7f3a9c21"
	pusher   = "canary-pusher-1b7d52e0"
	operator = "canary-operator-99ac41"
)

func sum(secret string) string {
	s := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(s[:])
}

var tokensText = "tokens:\n" +
	"  - {name: reader, sha256: " + sum(reader) + ", scopes: [read]}\n" +
	"  - {name: pusher, sha256: " + strings.ToUpper(sum(pusher)) + ", scopes: [ingest]}\n" +
	"  - {name: operator, sha256: " + sum(operator) + ", scopes: [read, admin]}\n"

func tokens(t *testing.T) *Tokens {
	t.Helper()
	all, err := ParseTokens(strings.NewReader(tokensText))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTokens(t *testing.T) {
	const owner = "canary-owner-0123456789"
	w := newWorld(t, func(_ *Parts, o *Options) { o.Tokens = tokens(t).With("owner", owner) })
	bearer := func(secret string) string { return "Authorization: Bearer " + secret }
	get := func(header ...string) request {
		return request{"GET", Prefix + "/ask/known?subject=canary-subject", header, ""}
	}
	add := func(header ...string) request {
		return request{"POST", Prefix + "/documents", append(header, jsonType), `{"a":1}`}
	}
	retry := func(header ...string) request {
		return request{"POST", Prefix + "/jobs/job-1/retry", append(header, jsonType), ""}
	}
	challenge := []string{`WWW-Authenticate: Bearer realm="seaworthy graph"`}
	w.run([]row{
		{"nobody", get(), 401, challenge, "code unauthorized"},
		{"nobody at loopback", get("Host: localhost"), 401, challenge, "code unauthorized"},
		{"nobody reads the description", request{"GET", Prefix + "/openapi.json", nil, ""}, 401, challenge, "code unauthorized"},
		{"somebody else", get(bearer("canary-nobody-3c1d0000")), 401, challenge, "code unauthorized"},
		{"nearly", get(bearer(reader[:len(reader)-1])), 401, challenge, "code unauthorized"},
		{"its hash", get(bearer(sum(reader))), 401, challenge, "code unauthorized"},
		{"empty", get(bearer("")), 401, challenge, "code unauthorized"},
		{"long", get(bearer(strings.Repeat("a", maxToken+1))), 401, challenge, "code unauthorized"},
		{"a password", get("Authorization: Basic Y2FuYXJ5OmNhbmFyeQ=="), 401, challenge, "code unauthorized"},
		{"in the query", request{"GET", Prefix + "/stats?access_token=" + reader, nil, ""}, 401, challenge, "code unauthorized"},
		{"reader reads", get(bearer(reader)), 200, []string{"WWW-Authenticate:"}, ""},
		{"reader, in small letters", get("Authorization: bearer " + reader), 200, nil, ""},
		{"reader at any name", get(bearer(reader), "Host: graph.example"), 200, nil, ""},
		{"reader adds", add(bearer(reader)), 403, nil, "code forbidden"},
		{"reader retries", retry(bearer(reader)), 403, nil, "code forbidden"},
		{"pusher reads", get(bearer(pusher)), 403, nil, "code forbidden"},
		{"pusher adds", add(bearer(pusher)), 201, nil, ""},
		{"pusher retries", retry(bearer(pusher)), 403, nil, "code forbidden"},
		{"operator reads", get(bearer(operator)), 200, nil, ""},
		{"operator adds", add(bearer(operator)), 403, nil, "code forbidden"},
		{"operator retries", retry(bearer(operator)), 200, nil, ""},
		{"owner reads", get(bearer(owner)), 200, nil, ""},
		{"owner adds", add(bearer(owner)), 200, nil, ""},
	})
	if _, err := (&Client{URL: w.url, Token: reader}).Ask(t.Context(), trace.Question{Verb: "known", Subject: "a"}); err != nil {
		t.Error(err)
	}
	if _, err := (&Client{URL: w.url}).Ask(t.Context(), trace.Question{Verb: "known", Subject: "a"}); seaworthy.ExitStatus(err) != 4 {
		t.Errorf("without a token: %v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	text := w.logs.String()
	if !strings.Contains(text, "token=pusher") || !strings.Contains(text, "token=operator") {
		t.Errorf("the log does not say who changed something: %s", text)
	}
	if strings.Contains(text, "canary") || strings.Contains(text, sum(reader)) {
		t.Errorf("the log has a secret or a question: %s", text)
	}
}

func TestTokenFiles(t *testing.T) {
	good := sum(reader)
	for name, body := range map[string]string{
		"nothing": "", "none": "tokens: []\n", "not YAML": "tokens: [", "another key": tokensText + "users: x\n",
		"no name":       "tokens:\n  - {sha256: " + good + ", scopes: [read]}\n",
		"two of a name": tokensText + "  - {name: reader, sha256: " + good + ", scopes: [read]}\n",
		"no hash":       "tokens:\n  - {name: a, scopes: [read]}\n",
		"the token":     "tokens:\n  - {name: a, sha256: " + reader + ", scopes: [read]}\n",
		"half a hash":   "tokens:\n  - {name: a, sha256: " + good[:62] + ", scopes: [read]}\n",
		"a long hash":   "tokens:\n  - {name: a, sha256: " + good + "00, scopes: [read]}\n",
		"no scopes":     "tokens:\n  - {name: a, sha256: " + good + "}\n",
		"no such scope": "tokens:\n  - {name: a, sha256: " + good + ", scopes: [write]}\n",
		"large":         "#" + strings.Repeat("a", maxTokensFile),
	} {
		if _, err := ParseTokens(strings.NewReader(body)); seaworthy.CodeOf(err) != seaworthy.Usage {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error has the token: %v", name, err)
		}
	}
	if _, err := ParseTokens(strings.NewReader(`{"tokens":[{"name":"a","sha256":"` + good + `","scopes":["read"]}]}`)); err != nil {
		t.Errorf("JSON: %v", err)
	}
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	if _, err := ReadTokens(file); seaworthy.CodeOf(err) != seaworthy.NotFound {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(file, []byte(tokensText), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadTokens(file); err != nil {
		t.Error(err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadTokens(file); seaworthy.CodeOf(err) != seaworthy.Forbidden {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if _, err := ReadTokens(t.TempDir()); seaworthy.CodeOf(err) != seaworthy.Forbidden {
		t.Errorf("a folder: %v", err)
	}
}

func FuzzParseTokens(f *testing.F) {
	f.Add(tokensText)
	f.Add(`{"tokens":[{"name":"a","sha256":"","scopes":["read"]}]}`)
	f.Add("tokens: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := ParseTokens(strings.NewReader(text))
		if (err == nil) != (all != nil) || err != nil && seaworthy.CodeOf(err) != seaworthy.Usage {
			t.Errorf("%v, %v", all, err)
		}
	})
}

func FuzzParseQuery(f *testing.F) {
	f.Add("vulns", "subject=app%3A1.2&signed=1&signer=a&signer=b&asOf=2026-01-02T03:04:05Z&depth=3&limit=4&kind=vuln")
	f.Add("", "&&=&%")
	f.Fuzz(func(t *testing.T, verb, raw string) {
		q, err := parseQuery(raw, routes[0].parameters)
		if err != nil {
			return
		}
		asked, err := parseQuestion(verb, q)
		if err != nil {
			return
		}
		again, err := parseQuestion(verb, questionValues(asked))
		if err != nil || asked.Subject != again.Subject || asked.To != again.To || !asked.AsOf.Equal(again.AsOf) || asked.Depth != again.Depth || asked.Limit != again.Limit {
			t.Errorf("%+v became %+v: %v", asked, again, err)
		}
	})
}
