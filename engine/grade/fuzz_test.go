package grade

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
)

// FuzzReadReport reads a report that somebody else may have written, and renders what came of it.
func FuzzReadReport(f *testing.F) {
	f.Add([]byte(`{"format":"seaworthy-scan-1"}`))
	f.Add([]byte(`{"format":"seaworthy-scan-1","findings":[{"id":"x","severity":"high","kev":{},"epss":{"probability":-1},"evidence":[{"layer":-5,"diffID":"x"}],"suppressed":{}}],"licences":[{"verdict":"denied"}],"layers":[{"layer":-1}]}`))
	f.Add([]byte(`{"format":"seaworthy-scan-1","suppressed":[{"id":"x"}],"findings":[{"package":"pkg:@","urls":["javascript:x","https://x"],"via":["",""]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ReadReport(bytes.NewReader(b))
		if err != nil {
			return
		}
		Compare(r, r)
		for name, write := range map[string]func(io.Writer) error{
			"table": r.Table, "text": r.Text, "html": r.HTML, "csv": r.CSV, "markdown": r.Markdown, "sarif": r.SARIF,
		} {
			var out bytes.Buffer
			if err := write(&out); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if bytes.ContainsAny(out.Bytes(), "\x1b\u202e") {
				t.Errorf("%s lets control characters through", name)
			}
			if name == "sarif" && !json.Valid(out.Bytes()) {
				t.Errorf("this SARIF is no JSON: %s", out.Bytes())
			}
		}
	})
}
