// Package web is the page: what a person sees of Seaworthy in a browser.
//
//	mux.Handle("/", web.Handler()) // beside the APIs it asks: serve/graph, and the gate's
//
// app/ has the sources (Svelte), dist/ what is made of them by make web: it is committed and embedded, so that who
// builds the program needs no Node. The page asks nobody but the server it came from, and its content security policy
// holds it to that: no script, style, font or picture from elsewhere, none inline, no frame around it.
//
// The page has an address for each of its views (/graph?subject=…), which the server knows nothing of: what no other
// handler has and nobody's program asks for is answered with the page itself.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed all:dist
var dist embed.FS

// policy is what a browser lets the page do.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
	"font-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"

// index is the file that is the page.
const index = "index.html"

// assets is where files are whose names change with their content.
const assets = "assets/"

// machines are beginnings of paths that programs ask for. Where there is nothing, they are told so, and not with a
// page. A path that is one of them without its slash is one too.
var machines = []string{
	"/api/", "/v2/", "/token/", "/oidc/", "/ct/", "/keys/", "/metrics/", "/livez/", "/readyz/", "/.well-known/", "/mutate/", "/validate/", "/" + assets,
}

// types are media types that a system's own table may not have, or have otherwise.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8",
}

// file is one of dist's, with what is said of it.
type file struct {
	body      []byte
	mediaType string
	tag       string // entity tag of body
	forever   bool   // its name changes with its content
	// packed is body in gzip, made when it is first asked for; nil when that makes it no smaller.
	packed func() []byte
}

// Handler serves the page. It answers GET and HEAD, and knows every file of dist by its name; what else is asked
// for is the page itself, unless a program would ask for it: then it is 404.
func Handler() http.Handler {
	files, err := read(dist)
	if err != nil {
		panic(err) // it is embedded
	}
	return handler(files)
}

type handler map[string]*file

// read takes in the files below dist.
func read(from fs.FS) (map[string]*file, error) {
	files := map[string]*file{}
	root, err := fs.Sub(from, "dist")
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		files[name] = newFile(name, body)
		return nil
	})
	return files, err
}

func newFile(name string, body []byte) *file {
	sum := sha256.Sum256(body)
	kind := types[path.Ext(name)]
	if kind == "" {
		kind = mime.TypeByExtension(path.Ext(name))
	}
	return &file{
		body: body, mediaType: kind, forever: strings.HasPrefix(name, assets),
		tag:    base64.RawURLEncoding.EncodeToString(sum[:12]),
		packed: sync.OnceValue(func() []byte { return pack(body, kind) }),
	}
}

// pack compresses what text is; fonts and pictures are compressed already.
func pack(body []byte, mediaType string) []byte {
	if !strings.HasPrefix(mediaType, "text/") && mediaType != "image/svg+xml" {
		return nil
	}
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is our own
	}
	_, _ = z.Write(body) // a buffer takes everything
	_ = z.Close()
	if out.Len() >= len(body) {
		return nil
	}
	return out.Bytes()
}

// ServeHTTP implements http.Handler.
func (h handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	head := w.Header()
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Content-Security-Policy", policy)
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		head.Set("Allow", "GET, HEAD")
		http.Error(w, "the page can only be read", http.StatusMethodNotAllowed)
		return
	}
	f := h[strings.TrimPrefix(req.URL.Path, "/")]
	if f == nil {
		if forMachines(req.URL.Path) {
			http.Error(w, "there is nothing here", http.StatusNotFound)
			return
		}
		f = h[index]
	}
	f.serve(w, req)
}

func forMachines(at string) bool {
	for _, prefix := range machines {
		if strings.HasPrefix(at+"/", prefix) {
			return true
		}
	}
	return false
}

func (f *file) serve(w http.ResponseWriter, req *http.Request) {
	head := w.Header()
	head.Set("Content-Type", f.mediaType)
	head.Set("Cache-Control", "no-cache")
	if f.forever {
		head.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body, tag := f.body, `"`+f.tag+`"`
	if packed := f.packed(); packed != nil {
		head.Set("Vary", "Accept-Encoding")
		if takesGzip(req.Header.Get("Accept-Encoding")) {
			head.Set("Content-Encoding", "gzip")
			body, tag = packed, `"`+f.tag+`-gzip"`
		}
	}
	head.Set("ETag", tag)
	if matches(req.Header.Get("If-None-Match"), tag) {
		head.Del("Content-Encoding")
		head.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	head.Set("Content-Length", strconv.Itoa(len(body)))
	if req.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(body) // the client went away
}

// matches reads If-None-Match (RFC 9110 13.1.2): weak comparison.
func matches(list, tag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == tag {
			return true
		}
	}
	return false
}

// takesGzip reads Accept-Encoding (RFC 9110 12.5.3) as far as browsers use it.
func takesGzip(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		name, weight, _ := strings.Cut(part, ";")
		weight = strings.ReplaceAll(weight, " ", "")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return weight != "q=0" && strings.TrimRight(weight, "0") != "q=0."
		}
	}
	return false
}
