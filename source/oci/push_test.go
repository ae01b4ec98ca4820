package oci

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

var large = bytes.Repeat([]byte("0123456789abcdef"), (wholeUpTo+1<<20)/16)

// TestUploads is a table of what registries do to an upload.
func TestUploads(t *testing.T) {
	once := func(do func(s *store, rw http.ResponseWriter, r *http.Request) bool, method string) func(*store, http.ResponseWriter, *http.Request) bool {
		done := false
		return func(s *store, rw http.ResponseWriter, r *http.Request) bool {
			if done || r.Method != method {
				return false
			}
			done = do(s, rw, r)
			return done
		}
	}
	cut := func(s *store, rw http.ResponseWriter, r *http.Request) bool {
		id := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		s.uploads[id], _ = io.ReadAll(io.LimitReader(r.Body, 3<<20))
		panic(http.ErrAbortHandler)
	}
	for name, c := range map[string]struct {
		body    []byte
		before  func(*store, http.ResponseWriter, *http.Request) bool
		patches int
		code    seaworthy.Code // "": it arrives
	}{
		"small": {body: []byte("hello")},
		"empty": {body: []byte{}},
		"large": {body: large, patches: 1},
		"cut and taken up again": {body: large, patches: 2, before: func() func(s *store, rw http.ResponseWriter, r *http.Request) bool {
			n := 0
			return func(s *store, rw http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPatch {
					if n++; n == 1 {
						return cut(s, rw, r)
					}
					if got := r.Header.Get("Content-Range"); got != fmt.Sprintf("%d-%d", 3<<20, len(large)-1) {
						t.Errorf("taken up again at %q", got)
					}
				}
				return false
			}
		}()},
		"the session is gone": {body: large, patches: 2, before: once(func(s *store, rw http.ResponseWriter, r *http.Request) bool {
			clear(s.uploads)
			rw.WriteHeader(http.StatusNotFound)
			return true
		}, http.MethodPatch)},
		"no PATCH": {body: large, patches: 1, before: func(s *store, rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPatch {
				rw.WriteHeader(http.StatusMethodNotAllowed)
			}
			return r.Method == http.MethodPatch
		}},
		"busy": {body: []byte("hello"), before: once(func(s *store, rw http.ResponseWriter, r *http.Request) bool {
			rw.Header().Set("Retry-After", "1")
			rw.WriteHeader(http.StatusTooManyRequests)
			return true
		}, http.MethodPut)},
		"always busy": {body: []byte("hello"), code: seaworthy.Unavailable, before: func(s *store, rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				rw.WriteHeader(http.StatusTooManyRequests)
			}
			return r.Method == http.MethodPut
		}},
		"it lies about how much it has": {body: large, code: seaworthy.Unavailable, patches: DefaultRetries + 1, before: func(s *store, rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPatch {
				io.Copy(io.Discard, r.Body)
				rw.Header().Set("Range", "0-99999999")
				rw.Header().Set("Location", r.URL.RequestURI())
				rw.WriteHeader(http.StatusAccepted)
			}
			return r.Method == http.MethodPatch
		}},
		"it says another digest": {body: []byte("hello"), code: seaworthy.Mismatch, before: func(s *store, rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				rw.Header().Set("Docker-Content-Digest", string(seaworthy.SHA256(nil)))
				rw.WriteHeader(http.StatusCreated)
			}
			return r.Method == http.MethodPut
		}},
		"no location": {body: []byte("hello"), code: seaworthy.Invalid, before: func(s *store, rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				rw.WriteHeader(http.StatusAccepted)
			}
			return r.Method == http.MethodPost
		}},
		"a location at a private address": {body: []byte("hello"), code: seaworthy.Forbidden, before: func(s *store, rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				rw.Header().Set("Location", "http://169.254.169.254/latest")
				rw.WriteHeader(http.StatusAccepted)
			}
			return r.Method == http.MethodPost
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			s.before = c.before
			r, _ := s.repository(t, "app")
			d := describe(c.body)
			var told int64
			var mu sync.Mutex
			_, err := r.PutBlob(t.Context(), d, bytesOpener(c.body), PutOptions{Progress: func(n int64) { mu.Lock(); told += n; mu.Unlock() }})
			if n := len(s.wrote("PATCH")); n != c.patches {
				t.Errorf("%d PATCH requests, want %d", n, c.patches)
			}
			if c.code != "" {
				wantCode(t, err, c.code)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(s.blobs["app "+string(d.Digest)], c.body) {
				t.Error("other bytes arrived")
			}
			if told != d.Size {
				t.Errorf("progress says %d bytes, of %d", told, d.Size)
			}
			if how, err := r.PutBlob(t.Context(), d, nil, PutOptions{}); how != Existed || err != nil {
				t.Errorf("again: %q, %v", how, err)
			}
			other := &Repository{r.Client, Reference{Registry: r.Ref.Registry, Repository: "other"}}
			if how, err := other.PutBlob(t.Context(), d, nil, PutOptions{MountFrom: "app"}); how != Mounted || err != nil {
				t.Errorf("mounting: %q, %v", how, err)
			}
		})
	}
}

// TestUploadInChunks sends to a registry that finds requests over 17 MiB too large.
func TestUploadInChunks(t *testing.T) {
	s := newStore()
	s.before = func(_ *store, rw http.ResponseWriter, r *http.Request) bool {
		if r.ContentLength <= 17<<20 {
			return false
		}
		rw.WriteHeader(http.StatusRequestEntityTooLarge)
		return true
	}
	r, _ := s.repository(t, "app")
	b := bytes.Repeat([]byte("x"), 40<<20)
	if _, err := r.PutBlob(t.Context(), describe(b), bytesOpener(b), PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := len(s.wrote("PATCH")); n != 4 { // one refused, three chunks
		t.Errorf("%d PATCH requests", n)
	}
}

// TestWrongBytesNeverLeave sends bytes that are not those of their digest.
func TestWrongBytesNeverLeave(t *testing.T) {
	for _, body := range [][]byte{[]byte("hello"), large} {
		s := newStore()
		r, _ := s.repository(t, "app")
		d := describe(body)
		wrong := bytes.Clone(body)
		wrong[len(wrong)-1] ^= 1
		for what, open := range map[string]Opener{"changed": bytesOpener(wrong), "short": bytesOpener(body[:len(body)-1])} {
			_, err := r.PutBlob(t.Context(), d, open, PutOptions{})
			wantCode(t, err, seaworthy.Mismatch)
			if len(s.blobs) != 0 {
				t.Errorf("%s: it was stored", what)
			}
		}
		if len(s.wrote("PUT")) > 2 { // its beginning may have gone out, never its end
			t.Errorf("it was tried again: %q", s.wrote("PUT"))
		}
	}
}

// TestCredentialsStayWithUploads sends a blob to another host, without the credentials.
func TestCredentialsStayWithUploads(t *testing.T) {
	var leaked []string
	s := newStore()
	s.before = func(_ *store, rw http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.Host, "storage.example") {
			leaked = append(leaked, r.Header.Get("Authorization"))
			rw.WriteHeader(http.StatusCreated)
			return true
		}
		if r.Header.Get("Authorization") == "" {
			rw.Header().Set("WWW-Authenticate", "Basic")
			rw.WriteHeader(http.StatusUnauthorized)
			return true
		}
		if r.Method == http.MethodPost {
			_, port, _ := strings.Cut(r.Host, ":")
			rw.Header().Set("Location", "http://storage.example:"+port+"/put?sig=x%2F")
			rw.WriteHeader(http.StatusAccepted)
			return true
		}
		return false
	}
	c, host, _ := serve(t, s, Options{PlainHTTP: true, AllowHosts: []string{"storage.example"}, Keychain: keychain{"user", "secret"}})
	pretend(c, map[string]string{"storage.example": "127.0.0.1"})
	r := &Repository{c, mustRef(t, host+"/app")}
	if _, err := r.PutBlob(t.Context(), describe([]byte("hello")), bytesOpener([]byte("hello")), PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if len(leaked) != 1 || leaked[0] != "" {
		t.Errorf("the other host saw credentials: %q", leaked)
	}
	if put := s.wrote("PUT"); len(put) != 1 || put[0] != "PUT /put?sig=x%2F&digest="+url.QueryEscape(string(seaworthy.SHA256([]byte("hello")))) {
		t.Errorf("the address was changed: %q", put)
	}
}

// TestMutate changes labels, annotations and layers, and keeps everything else.
func TestMutate(t *testing.T) {
	dir, _ := imageLayout(t)
	l, _ := OpenLayout(dir, Options{})
	defer l.Close()
	layer := write(t, filepath.Join(t.TempDir(), "l.tar"), tarOf("etc/c", "c"))
	_, err := Mutate(t.Context(), l, "1", l, "2", Mutation{Labels: map[string]string{"k": "v"}, Annotations: map[string]string{"a": "b"}, Append: []string{layer}})
	if err != nil {
		t.Fatal(err)
	}
	old, err := OpenImage(t.Context(), l, "1", Platform{})
	if err != nil {
		t.Fatal(err)
	}
	im, err := OpenImage(t.Context(), l, "2", Platform{})
	if err != nil {
		t.Fatal(err)
	}
	if im.Labels["k"] != "v" || im.Annotations["a"] != "b" || len(im.Layers) != 3 || im.Layers[0].Digest != old.Layers[0].Digest || len(im.History) != 3 || im.Platform != old.Platform {
		t.Errorf("%+v", im)
	}
	if v, err := Validate(t.Context(), l, "2", CopyOptions{}); err != nil || len(v.Problems) > 0 {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := Mutate(t.Context(), l, "1", l, "3", Mutation{Append: []string{write(t, filepath.Join(t.TempDir(), "x"), []byte("no tar file at all"))}}); seaworthy.CodeOf(err) != seaworthy.Invalid {
		t.Errorf("appending what is no tar: %v", err)
	}
}

// TestDelete is a table of registries.
func TestDelete(t *testing.T) {
	byDigestOnly := func(s *store, rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete && !strings.Contains(r.URL.Path, "sha256:") {
			rw.WriteHeader(http.StatusBadRequest)
			return true
		}
		return false
	}
	never := func(s *store, rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			rw.WriteHeader(http.StatusMethodNotAllowed)
		}
		return r.Method == http.MethodDelete
	}
	tagsBadly := func(s *store, rw http.ResponseWriter, r *http.Request) bool {
		return byDigestOnly(s, rw, r) || never(s, rw, r)
	}
	for name, c := range map[string]struct {
		before func(*store, http.ResponseWriter, *http.Request) bool
		code   seaworthy.Code
	}{"it deletes": {nil, ""}, "by digest only": {byDigestOnly, ""}, "never": {never, seaworthy.Unsupported}, "it changes its mind": {tagsBadly, seaworthy.Unsupported}} {
		s := newStore()
		r, _ := s.repository(t, "app")
		image, _, _, _ := withReferrers(t, r)
		if err := r.PutManifest(t.Context(), "two", image, s.blobs["app "+string(image.Digest)]); err != nil {
			t.Fatal(err)
		}
		s.before = c.before
		err := r.Delete(t.Context(), "two")
		if got := seaworthy.CodeOf(err); got != c.code {
			t.Errorf("%s: %v, want %q", name, err, c.code)
		}
		_, there := s.tags["app two"]
		if there != (c.code != "") || c.code != "" && s.tags["app two"] != string(image.Digest) || s.tags["app 1"] != string(image.Digest) {
			t.Errorf("%s: the tags are %v", name, s.tags)
		}
	}
}
