package rekor

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

func fetch(t *testing.T, method, url string, body []byte) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(answer)
}

func TestRequests(t *testing.T) {
	_, server := serveLog(t, t.TempDir())
	requests := bodies(t, 2)
	entries := server.URL + "/api/v2/log/entries"
	spoiled := bytes.Replace(requests[0], []byte(`"digest":"`), []byte(`"digest":"AAAA`), 1)
	for _, step := range []struct {
		name, method, url string
		body              []byte
		status            int
		want              string
	}{
		{"an entry", "POST", entries, requests[0], 201, `"canonicalizedBody"`},
		{"the same again", "POST", entries, requests[0], 409, "in the log already"},
		{"another", "POST", entries, requests[1], 201, `"logIndex":"1"`},
		{"nothing", "POST", entries, nil, 400, `"code":3`},
		{"not JSON", "POST", entries, []byte("x"), 400, `"code":3`},
		{"an unknown field", "POST", entries, []byte(`{"x":1}`), 400, `"code":3`},
		{"no request", "POST", entries, []byte(`{}`), 400, "hashedRekordRequestV002"},
		{"a field twice", "POST", entries, []byte(`{"hashedRekordRequestV002":{},"hashedRekordRequestV002":{}}`), 400, `"code":3`},
		{"another digest", "POST", entries, spoiled, 400, `"code":3`},
		{"too long", "POST", entries, bytes.Repeat([]byte(" "), MaxRequest+1), 413, "more than"},
		{"an entry by index", "GET", entries + "/1", nil, 200, `"inclusionProof"`},
		{"an entry that is not there", "GET", entries + "/2", nil, 404, "the log has 2"},
		{"no index", "GET", entries + "/x", nil, 400, "no index"},
		{"search", "GET", server.URL + "/api/v2/log/search?limit=1", nil, 200, `"entries"`},
		{"search, a bad time", "GET", server.URL + "/api/v2/log/search?since=yesterday", nil, 400, "not a time"},
		{"search, a bad limit", "GET", server.URL + "/api/v2/log/search?limit=0", nil, 400, "limit"},
		{"search, a bad key", "GET", server.URL + "/api/v2/log/search?key=zz", nil, 400, "hexadecimal"},
		{"the entries", "GET", server.URL + "/api/v2/tile/entries/000.p/2", nil, 200, "hashedrekord"},
		{"a tile that is not there", "GET", server.URL + "/api/v2/tile/0/001", nil, 404, ""},
		{"a folder", "GET", server.URL + "/api/v2/tile/0", nil, 404, ""},
		{"another method", "DELETE", entries, nil, 405, ""},
	} {
		status, head, body := fetch(t, step.method, step.url, step.body)
		if status != step.status || !strings.Contains(body, step.want) {
			t.Errorf("%s: %d %s", step.name, status, body)
		}
		if status == 409 && head.Get("X-Log-Index") != "0" {
			t.Errorf("%s: X-Log-Index is %q", step.name, head.Get("X-Log-Index"))
		}
	}
}
