package graph

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/trace"
)

const jsonType = "Content-Type: application/json"

// row is a request and what must come back: body is a part of it; "code X" an error of that code.
type row struct {
	name   string
	ask    request
	status int
	header []string // "Name: value"; "Name:" must not be there
	body   string
}

func (w *world) run(rows []row) {
	w.t.Helper()
	for _, r := range rows {
		got := w.do(r.ask)
		if got.StatusCode != r.status {
			w.t.Errorf("%s: %d, want %d: %s", r.name, got.StatusCode, r.status, got.body)
		}
		for _, line := range r.header {
			name, want, _ := strings.Cut(line, ":")
			if have := strings.Join(got.Header.Values(name), ","); have != strings.TrimSpace(want) {
				w.t.Errorf("%s: %s is %q, want %q", r.name, name, have, want)
			}
		}
		if code, ok := strings.CutPrefix(r.body, "code "); ok {
			var f failure
			if err := json.Unmarshal([]byte(got.body), &f); err != nil || string(f.Error.Code) != code || f.Error.Message == "" {
				w.t.Errorf("%s: answered %q, want an error with code %q", r.name, got.body, code)
			}
		} else if !strings.Contains(got.body, r.body) {
			w.t.Errorf("%s: answered %q, want %q", r.name, got.body, r.body)
		}
		if got.Header.Get("X-Content-Type-Options") != "nosniff" && got.StatusCode != http.StatusNotFound {
			w.t.Errorf("%s: a browser may guess what it is", r.name)
		}
	}
}

func TestRequests(t *testing.T) {
	w := newWorld(t)
	at := func(path string) request { return request{method: "GET", path: Prefix + path} }
	bill, other := "/documents/"+string(w.bill), "/documents/"+string(w.other)
	none := "/documents/sha256:" + strings.Repeat("0", 64)
	w.run([]row{
		{"ask", at("/ask/vulns?subject=app"), 200, []string{"Content-Type: application/json"}, `"title":"1 thing"`},
		{"ask nobody", at("/ask/vulns?subject=nobody"), 404, nil, "code not-found"},
		{"its hint", at("/ask/vulns?subject=nobody"), 404, nil, `"hint":"look with find"`},
		{"ask nonsense", at("/ask/nonsense?subject=app"), 400, nil, "code usage"},
		{"the disk's words stay inside", at("/ask/vulns?subject=broken"), 503, []string{"Retry-After: 1"}, "code storage"},
		{"a mistake", at("/ask/vulns?subject=wrong"), 500, nil, "code internal"},
		{"unknown parameter", at("/ask/vulns?sbject=app"), 400, nil, "code usage"},
		{"twice", at("/ask/vulns?subject=a&subject=b"), 400, nil, "code usage"},
		{"bad depth", at("/ask/vulns?subject=a&depth=0"), 400, nil, "code usage"},
		{"deep", at("/ask/vulns?subject=a&depth=65"), 400, nil, "code usage"},
		{"bad limit", at("/ask/vulns?subject=a&limit=10001"), 400, nil, "code usage"},
		{"bad flag", at("/ask/vulns?subject=a&signed=yes"), 400, nil, "code usage"},
		{"bad time", at("/ask/vulns?subject=a&asOf=yesterday"), 400, nil, "code usage"},
		{"bad kind", at("/ask/find?subject=a&kind=planet"), 400, nil, "code usage"},
		{"bad escape", at("/ask/vulns?subject=%zz"), 400, nil, "code usage"},
		{"long query", at("/ask/vulns?subject=" + strings.Repeat("a", MaxQuery)), 413, nil, "code too-large"},
		{"many values", at("/ask/vulns?subject=a" + strings.Repeat("&signer=a", MaxValues+1)), 413, nil, "code too-large"},

		{"search", at("/search?q=lib"), 200, nil, `{"groups":[{"kind":"package","hits":[{"id":"`},
		{"search, for people", at("/search?q=lib"), 200, nil, `"label":"lib 1"`},
		{"search by name", at("/search?q=registry.example"), 200, nil, `"name":"registry.example/app:1.2"`},
		{"search one kind", at("/search?q=lib&kind=vuln"), 200, nil, `{"groups":[]}`},
		{"search nothing", at("/search"), 400, nil, "code usage"},
		{"search too much", at("/search?q=a&limit=201"), 400, nil, "code usage"},

		{"documents", at("/documents"), 200, nil, string(w.bill)},
		{"a page", at("/documents?limit=1"), 200, nil, `"next":"`},
		{"one kind", at("/documents?kind=scorecard"), 200, nil, `{"documents":[],"next":""}`},
		{"no such kind", at("/documents?kind=artifact"), 400, nil, "code usage"},
		{"document", at(bill), 200, nil, `"kind":"bill"`},
		{"no document", at(none), 404, nil, "code not-found"},
		{"no digest", at("/documents/app"), 400, nil, "code usage"},
		{"sha1", at("/documents/sha1:" + strings.Repeat("0", 40)), 400, nil, "code usage"},
		{"raw", at(bill + "/raw"), 200, []string{
			"Content-Type: application/json", `ETag: "` + string(w.bill) + `"`, "Cache-Control: private, max-age=31536000, immutable",
			`Content-Disposition: attachment; filename="` + w.bill.Hex() + `.json"`,
		}, smallBill},
		{"raw again", request{"GET", Prefix + bill + "/raw", []string{`If-None-Match: "` + string(w.bill) + `"`}, ""}, 304, nil, ""},
		{"HTML is no page", at(other + "/raw"), 200, []string{"Content-Type: application/octet-stream", "Content-Security-Policy: default-src 'none'; sandbox"}, "<html>"},
		{"raw of none", at(none + "/raw"), 404, nil, "code not-found"},
		{"SPDX", at(bill + "/bill?format=spdx-json"), 200, []string{"Content-Type: application/spdx+json"}, `"spdxVersion": "SPDX-2.3"`},
		{"CycloneDX", at(bill + "/bill"), 200, []string{"Content-Type: application/vnd.cyclonedx+json"}, `"bomFormat"`},
		{"purls", at(bill + "/bill?format=purls"), 200, nil, "pkg:npm/lib@1\n"},
		{"no such format", at(bill + "/bill?format=word"), 400, nil, "code usage"},
		{"no bill", at(other + "/bill"), 415, nil, "code unsupported"},
		{"bills", at("/bills"), 200, nil, `"subject":{"id":"`},
		{"their names", at("/bills"), 200, nil, `"label":"app:1.2"},"packages":2,"grade":"`},
		{"their supplier", at("/bills"), 200, nil, `"supplier":"Example"`},

		{"jobs", at("/jobs"), 200, nil, `"lastFail":"the registry is down"`},
		{"retry", request{"POST", Prefix + "/jobs/job-1/retry", []string{jsonType}, ""}, 200, nil, `{"id":"job-1"}`},
		{"retry none", request{"POST", Prefix + "/jobs/job-2/retry", []string{jsonType}, ""}, 404, nil, "code not-found"},
		{"stats", at("/stats"), 200, nil, `"documents":2`},
		{"OpenAPI", at("/openapi.json"), 200, nil, `"openapi": "3.1.0"`},
		{"no log", at("/log"), 404, nil, "code not-found"},
		{"no endpoint", at("/nothing"), 404, nil, "code not-found"},
		{"no method", request{"DELETE", Prefix + bill, nil, ""}, 404, nil, "code not-found"},

		{"add", request{"POST", Prefix + "/documents", []string{jsonType}, `{"a":1}`}, 201, []string{"Location: " + Prefix + "/documents/" + string(seaworthy.SHA256([]byte(`{"a":1}`)))}, `"added":true`},
		{"add again", request{"POST", Prefix + "/documents", []string{jsonType}, `{"a":1}`}, 200, []string{"Location:"}, `"added":false`},
		{"add with origin", request{"POST", Prefix + "/documents?origin=ci%20run%201", []string{jsonType}, `{"a":2}`}, 201, nil, `"origin":"ci run 1"`},
		{"long origin", request{"POST", Prefix + "/documents?origin=" + strings.Repeat("a", maxOrigin+1), []string{jsonType}, `{}`}, 413, nil, "code too-large"},
		{"add what nobody knows", request{"POST", Prefix + "/documents", []string{jsonType}, "hello"}, 415, nil, "code unsupported"},
		{"add nothing", request{"POST", Prefix + "/documents", []string{jsonType}, ""}, 400, nil, "code usage"},
		{"add lines", request{"POST", Prefix + "/documents", []string{jsonType}, "{\"c\":1}\n{\"c\":2}\n"}, 200, nil, `{"added":false,"inside":[{"document":{"digest":"`},
		{"add lines, some of them broken", request{"POST", Prefix + "/documents", []string{jsonType}, "{\"c\":3}\nhello\n"}, 200, nil, `"failed":[{"where":"POST","code":"unsupported"`},
		{"add lines, all of them broken", request{"POST", Prefix + "/documents", []string{jsonType}, "hello\nhello\n"}, 422, nil, "code incomplete"},
		{"add compressed", request{"POST", Prefix + "/documents", []string{jsonType, "Content-Encoding: gzip"}, "{}"}, 415, nil, "code unsupported"},
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if text := w.logs.String(); !strings.Contains(text, "/secret/path") {
		t.Errorf("the log does not say what broke: %s", text)
	}
}

// Without tokens, pages of others get nothing and change nothing.
func TestForeignPages(t *testing.T) {
	w := newWorld(t, func(_ *Parts, o *Options) { o.Hosts = []string{"graph.example"} })
	post := func(header ...string) request {
		return request{"POST", Prefix + "/documents", header, `{"a":1}`}
	}
	get := func(header ...string) request { return request{"GET", Prefix + "/stats", header, ""} }
	w.run([]row{
		{"another name", get("Host: evil.example"), 403, nil, "code forbidden"},
		{"another name with our port", get("Host: evil.example:80"), 403, nil, "code forbidden"},
		{"a name that begins like ours", get("Host: localhost.evil.example"), 403, nil, "code forbidden"},
		{"localhost", get("Host: localhost:1"), 200, nil, ""},
		{"IPv6", get("Host: [::1]:1"), 200, nil, ""},
		{"configured", get("Host: graph.example"), 200, nil, ""},
		{"configured, with a port", get("Host: GRAPH.example:443"), 200, nil, ""},
		{"a page of another origin", post(jsonType, "Origin: https://evil.example"), 403, nil, "code forbidden"},
		{"a browser that says so", post(jsonType, "Sec-Fetch-Site: cross-site"), 403, nil, "code forbidden"},
		{"another site below ours", post(jsonType, "Sec-Fetch-Site: same-site"), 403, nil, "code forbidden"},
		{"a form", post("Content-Type: application/x-www-form-urlencoded"), 415, nil, "code unsupported"},
		{"a form with files", post("Content-Type: multipart/form-data; boundary=x"), 415, nil, "code unsupported"},
		{"a form of text", post("Content-Type: text/plain;charset=utf-8"), 415, nil, "code unsupported"},
		{"nothing said", post(), 415, nil, "code unsupported"},
		{"a retry by a form", request{"POST", Prefix + "/jobs/job-1/retry", nil, ""}, 415, nil, "code unsupported"},
		{"our page", post("Sec-Fetch-Site: same-origin"), 201, nil, `"added":true`},
		{"a script", post(jsonType), 200, nil, `"added":false`},
		{"reading from elsewhere is not told to scripts there", get("Origin: https://evil.example"), 200, []string{"Access-Control-Allow-Origin:", "Cross-Origin-Resource-Policy: same-origin"}, ""},
	})
}

func TestQuestionsArriveAsTheyWereAsked(t *testing.T) {
	w := newWorld(t)
	c := &Client{URL: w.url + "/"}
	for _, q := range []trace.Question{
		{Verb: "vulns", Subject: "registry.example/app:1.2"},
		{Verb: "path", Subject: "a&b=c", To: "x y%", Depth: 3, Limit: 7},
		{
			Verb: "find", Subject: "ö", Kinds: []seaworthy.SubjectKind{seaworthy.VulnSubject, seaworthy.ActorSubject}, Expand: []string{"group:1", "group:2"},
			Trust: trace.Trust{Signed: true, Signers: []string{"identity:a@b|https://c", "key:*"}}, AsOf: now.Add(123 * time.Millisecond),
		},
		{Verb: "top"},
	} {
		said, err := c.Ask(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(q, w.asked[len(w.asked)-1]); diff != "" {
			t.Error(diff)
		}
		want, _ := w.answer(t.Context(), q)
		if diff := cmp.Diff(want, said); diff != "" {
			t.Error(diff)
		}
	}
}

func TestClientTellsWhatTheServerSaid(t *testing.T) {
	w := newWorld(t, func(_ *Parts, o *Options) { o.Timeout, o.Instance = 50*time.Millisecond, "this one" })
	c := &Client{URL: w.url}
	for subject, want := range map[string]seaworthy.Code{
		"nobody": seaworthy.NotFound, "broken": seaworthy.Storage, "wrong": seaworthy.Internal, "slow": seaworthy.Unavailable,
	} {
		_, err := c.Ask(t.Context(), trace.Question{Verb: "known", Subject: subject})
		if seaworthy.CodeOf(err) != want {
			t.Errorf("%s: %v, want %s", subject, err, want)
		}
	}
	_, err := c.Ask(t.Context(), trace.Question{Verb: "known", Subject: "nobody"})
	if got := err.Error() + " / " + seaworthy.HintOf(err); got != `nothing is called "nobody" / look with find` {
		t.Error(got)
	}
	added, err := c.Add(t.Context(), "a file", []byte(`{"b":1}`))
	if err != nil || !added.Added || added.Document.Origin != "a file" {
		t.Errorf("%+v, %v", added, err)
	}
	if jobs, err := c.Jobs(t.Context(), 10); err != nil || len(jobs) != 1 || jobs[0].State != "parked" {
		t.Errorf("%+v, %v", jobs, err)
	}
	if s, err := c.Stats(t.Context()); err != nil || s.Documents != 3 {
		t.Errorf("%+v, %v", s, err)
	}
	c.Instance = "another"
	if _, err := c.Stats(t.Context()); seaworthy.CodeOf(err) != seaworthy.Unavailable {
		t.Errorf("another graph: %v", err)
	}
	c.Instance = "this one"
	if _, err := c.Stats(t.Context()); err != nil {
		t.Error(err)
	}
	w.server.Close()
	if _, err := c.Stats(t.Context()); seaworthy.CodeOf(err) != seaworthy.Unavailable {
		t.Errorf("nobody is there: %v", err)
	}
	for _, bad := range []string{"", "ftp://x", "127.0.0.1:80"} {
		if _, err := (&Client{URL: bad}).Stats(t.Context()); seaworthy.CodeOf(err) != seaworthy.Usage {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := (&Client{URL: "http://graph.example", Token: "canary-canary-canary"}).Stats(t.Context()); seaworthy.CodeOf(err) != seaworthy.Forbidden || strings.Contains(err.Error(), "canary") {
		t.Errorf("a token in the clear: %v", err)
	}
}

// Questions that take long do not fill the memory: as many as there is room for are worked on, and others wait.
func TestQuestionsWait(t *testing.T) {
	var mu sync.Mutex
	now, most := 0, 0
	full, release := make(chan struct{}), make(chan struct{})
	w := newWorld(t, func(p *Parts, _ *Options) {
		p.Asker = askerFunc(func(context.Context, trace.Question) (*trace.Answer, error) {
			mu.Lock()
			if now++; now > most {
				if most = now; most == maxAsking {
					close(full)
				}
			}
			mu.Unlock()
			<-release
			mu.Lock()
			now--
			mu.Unlock()
			return &trace.Answer{}, nil
		})
	})
	var all sync.WaitGroup
	for range 2 * maxAsking {
		all.Go(func() {
			if _, err := (&Client{URL: w.url}).Ask(t.Context(), trace.Question{Verb: "known", Subject: "a"}); err != nil {
				t.Error(err)
			}
		})
	}
	<-full
	close(release)
	all.Wait()
	if most > maxAsking {
		t.Errorf("%d were worked on at once", most)
	}
}

func TestAnswersAreCompressed(t *testing.T) {
	w := newWorld(t)
	path := Prefix + "/ask/known?subject=large"
	plain := w.do(request{"GET", path, nil, ""})
	for _, accept := range []string{"gzip", "br, gzip;q=0.5", "GZIP"} {
		got := w.do(request{"GET", path, []string{"Accept-Encoding: " + accept}, ""})
		if got.Header.Get("Content-Encoding") != "gzip" || got.Header.Get("Vary") != "Accept-Encoding" || len(got.body) > len(plain.body)/10 {
			t.Errorf("%s: %v, %d bytes", accept, got.Header, len(got.body))
			continue
		}
		z, err := gzip.NewReader(strings.NewReader(got.body))
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(z); err != nil || string(body) != plain.body {
			t.Errorf("%s: not the same: %v", accept, err)
		}
	}
	for _, accept := range []string{"", "br", "gzip;q=0", "gzip; q=0.0"} {
		if got := w.do(request{"GET", path, []string{"Accept-Encoding: " + accept}, ""}); got.Header.Get("Content-Encoding") != "" || got.body != plain.body {
			t.Errorf("%q: %v", accept, got.Header)
		}
	}
	if got := w.do(request{"GET", Prefix + "/stats", []string{"Accept-Encoding: gzip"}, ""}); got.Header.Get("Content-Encoding") != "" {
		t.Error("a short answer is compressed")
	}
}

// A bill that an attestation holds is a bill.
func TestBillsInAttestations(t *testing.T) {
	statement := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"` + strings.Repeat("a", 64) + `"}}],"predicateType":"https://cyclonedx.org/bom","predicate":` + smallBill + `}`
	payload, err := json.Marshal([]byte(statement))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal("SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\nSPDXID: SPDXRef-DOCUMENT\nDocumentName: a\nDocumentNamespace: https://e.example/a\nCreator: Tool: t\nCreated: 2026-01-02T03:04:05Z\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"statement": statement, "envelope": `{"payloadType":"application/vnd.in-toto+json","payload":` + string(payload) + `,"signatures":[]}`,
		"bundle": `{"dsseEnvelope":{"payload":` + string(payload) + `}}`, "tag-value": strings.Replace(statement, smallBill, string(text), 1),
	} {
		b, err := readBill(&seaworthy.Document{}, []byte(body))
		if err != nil || name != "tag-value" && len(b.Packages) != 2 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, body := range map[string]string{"text": "hello", "another statement": strings.Replace(statement, smallBill, `{}`, 1), "empty": "{}"} {
		if _, err := readBill(&seaworthy.Document{}, []byte(body)); seaworthy.CodeOf(err) != seaworthy.Unsupported {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLargeBodies(t *testing.T) {
	w := newWorld(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+Prefix+"/documents", io.LimitReader(bytes.NewReader(nil), 0))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 512<<20 + 1
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Expect", "100-continue")
	transport := &http.Transport{ExpectContinueTimeout: time.Minute}
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", res.StatusCode)
	}
}
