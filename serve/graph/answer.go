package graph

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"github.com/seaworthy-dev/seaworthy"
)

// minCompressed is the shortest answer that is compressed, in bytes.
const minCompressed = 1024

var compressors = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is our own
	}
	return z
}}

// answer compresses what is written to it when the client takes that and there is enough of it.
type answer struct {
	http.ResponseWriter
	req     *http.Request
	z       *gzip.Writer
	started bool
}

// Unwrap lets http.ResponseController reach the connection.
func (w *answer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter. The first status counts.
func (w *answer) WriteHeader(status int) {
	if !w.started {
		w.started = true
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write implements io.Writer. The first part decides whether the answer is worth compressing, so an answer is written
// in one part where it can be.
func (w *answer) Write(b []byte) (int, error) {
	if !w.started && len(b) >= minCompressed {
		w.Header().Add("Vary", "Accept-Encoding")
		if takesGzip(w.req.Header.Values("Accept-Encoding")) && w.req.Method != http.MethodHead {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Del("Content-Length")
			w.z, _ = compressors.Get().(*gzip.Writer)
			w.z.Reset(w.ResponseWriter)
		}
	}
	w.WriteHeader(http.StatusOK)
	if w.z != nil {
		return w.z.Write(b)
	}
	return w.ResponseWriter.Write(b)
}

// finish writes what is left.
func (w *answer) finish() {
	if w.z != nil {
		_ = w.z.Close() // the client went away
		compressors.Put(w.z)
		w.z = nil
	}
}

// takesGzip reads Accept-Encoding as RFC 9110 12.5.3 has it, of which the clients of this API use little.
func takesGzip(accept []string) bool {
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			name, weight, _ := strings.Cut(part, ";")
			weight = strings.ReplaceAll(weight, " ", "")
			if strings.EqualFold(strings.TrimSpace(name), "gzip") {
				return weight != "q=0" && strings.TrimRight(weight, "0") != "q=0."
			}
		}
	}
	return false
}

// write answers with JSON.
func write(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Internal, "writing the answer")
	}
	w.Header().Set("Content-Type", "application/json")
	if a, ok := w.(*answer); ok && status != http.StatusOK {
		a.WriteHeader(status)
	}
	_, _ = w.Write(append(body, '\n')) // the client went away
	return nil
}
