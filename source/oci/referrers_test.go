package oci

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

// TestFailedListing: what cannot be listed is an error, never "nothing".
func TestFailedListing(t *testing.T) {
	subject := seaworthy.SHA256([]byte("image"))
	answer := func(status int, body string, header ...string) func(*store, http.ResponseWriter, *http.Request) bool {
		return func(_ *store, rw http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/referrers/") {
				return false
			}
			for i := 0; i+1 < len(header); i += 2 {
				rw.Header().Set(header[i], strings.ReplaceAll(header[i+1], "SELF", r.URL.RequestURI()))
			}
			rw.WriteHeader(status)
			io.WriteString(rw, body)
			return true
		}
	}
	empty := `{"schemaVersion":2,"mediaType":"` + MediaTypeIndex + `","manifests":[]}`
	page := 0
	for name, c := range map[string]struct {
		before func(*store, http.ResponseWriter, *http.Request) bool
		code   seaworthy.Code
	}{
		"429":                         {answer(429, ""), seaworthy.Unavailable},
		"500":                         {answer(500, ""), seaworthy.Unavailable},
		"401":                         {answer(401, ""), seaworthy.Unauthorized},
		"403":                         {answer(403, ""), seaworthy.Unauthorized},
		"405":                         {answer(405, ""), seaworthy.Invalid},
		"web page":                    {answer(200, "<!doctype html>"), seaworthy.Invalid},
		"not JSON":                    {answer(200, "{"), seaworthy.Invalid},
		"manifest":                    {answer(200, `{"schemaVersion":2,"config":{},"layers":[]}`), seaworthy.Invalid},
		"no digest":                   {answer(200, `{"schemaVersion":2,"manifests":[{"digest":"md5:x","size":1}]}`), seaworthy.Invalid},
		"a page that is its own next": {answer(200, empty, "Link", `<SELF>; rel="next"`), seaworthy.Invalid},
		"pages for ever": {func(_ *store, rw http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/referrers/") {
				page++
				rw.Header().Set("Link", "<?n="+itoa(page)+`>; rel="next"`)
				io.WriteString(rw, empty)
				return true
			}
			return false
		}, seaworthy.TooLarge},
		"a next page at a private address": {answer(200, empty, "Link", `<http://10.0.0.1/x>; rel=next`), seaworthy.Forbidden},
		"the fallback tag fails": {func(_ *store, rw http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/manifests/sha256-") {
				rw.WriteHeader(503)
				return true
			}
			return false
		}, seaworthy.Unavailable},
		"the fallback tag is no index": {func(s *store, rw http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/manifests/sha256-") {
				io.WriteString(rw, `{"schemaVersion":2,"config":{"digest":"`+string(subject)+`","size":5},"layers":[]}`)
				return true
			}
			return false
		}, seaworthy.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			s.before, s.noReferrers = c.before, strings.Contains(name, "fallback")
			r, _ := s.repository(t, "app")
			found, err := Related(t.Context(), r, subject)
			wantCode(t, err, c.code, "sha256:")
			if found != nil {
				t.Errorf("a list came with the error: %v", found)
			}
		})
	}
	r, _ := newStore().repository(t, "app")
	if found, err := Related(t.Context(), r, subject); err != nil || len(found) != 0 {
		t.Errorf("nothing refers to it: %v, %v", found, err)
	}
}

// TestReferrersInPages joins pages, and filters what the registry did not.
func TestReferrersInPages(t *testing.T) {
	subject := seaworthy.SHA256([]byte("image"))
	s := newStore()
	s.before = func(_ *store, rw http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/referrers/") {
			return false
		}
		n := r.URL.Query().Get("page")
		entries := []Descriptor{{MediaType: MediaTypeManifest, ArtifactType: "a/" + n + "x", Digest: seaworthy.SHA256([]byte(n)), Size: 1}}
		if n == "" {
			rw.Header().Set("Link", `<?page=2>; rel="next"`)
		} else {
			entries = append(entries, Descriptor{MediaType: MediaTypeManifest, ArtifactType: "a/x", Digest: seaworthy.SHA256(nil), Size: 1})
		}
		b, _ := encodeIndex(entries, nil)
		rw.Write(b)
		return true
	}
	r, _ := s.repository(t, "app")
	all, err := r.Referrers(t.Context(), subject, "")
	if err != nil || len(all) != 2 { // the first of both pages is the same digest as the last
		t.Errorf("all: %v, %v", all, err)
	}
	some, err := r.Referrers(t.Context(), subject, "a/2x")
	if err != nil || len(some) != 1 {
		t.Errorf("one type: %v, %v", some, err)
	}
}

// TestFallbackWriters has several write the same fallback index: none is lost.
func TestFallbackWriters(t *testing.T) {
	s := newStore()
	s.noReferrers = true
	r, _ := s.repository(t, "app")
	subject := describe([]byte("image"))
	stolen := 0
	s.before = func(s *store, _ http.ResponseWriter, r *http.Request) bool {
		// Another writer, who has read before us, writes after us: twice.
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/sha256-") && stolen < 2 && len(s.tags) > 0 {
			stolen++
			b, _ := encodeIndex([]Descriptor{describe([]byte("theirs"))}, nil)
			d := string(seaworthy.SHA256(b))
			s.blobs["app "+d], s.kinds["app "+d] = b, MediaTypeIndex
			s.tags["app "+FallbackTag(subject.Digest)] = d
		}
		return false
	}
	for i := range 3 {
		raw, _ := encodeManifest(Manifest{ArtifactType: "a/b", Config: describe(nil), Subject: &subject, Annotations: map[string]string{"n": itoa(i)}})
		d := Descriptor{MediaType: MediaTypeManifest, Digest: seaworthy.SHA256(raw), Size: int64(len(raw))}
		if err := r.PutManifest(t.Context(), "", d, raw); err != nil {
			t.Fatal(err)
		}
		found, err := r.Referrers(t.Context(), subject.Digest, "")
		if err != nil || digests(found)[d.Digest] != ViaFallback {
			t.Errorf("manifest %d is not listed: %v, %v", i, found, err)
		}
		if i == 2 {
			before := len(found)
			if err := r.Delete(t.Context(), string(d.Digest)); err != nil {
				t.Fatal(err)
			}
			if found, err = r.Referrers(t.Context(), subject.Digest, ""); err != nil || len(found) != before-1 {
				t.Errorf("after deleting: %v, %v", found, err)
			}
		}
	}
	if stolen != 2 {
		t.Errorf("the other writer wrote %d times", stolen)
	}
}

// TestNames lists tags and repositories in pages.
func TestNames(t *testing.T) {
	s := newStore()
	s.before = func(_ *store, rw http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.URL.Path == "/v2/_catalog" && r.URL.Query().Get("last") == "":
			rw.Header().Set("Link", `</v2/_catalog?n=1&last=b>; rel="next"`)
			io.WriteString(rw, `{"repositories":["b"]}`)
		case r.URL.Path == "/v2/_catalog":
			io.WriteString(rw, `{"repositories":["a","b"]}`)
		case r.URL.Path == "/v2/none/tags/list":
			io.WriteString(rw, `{"name":"none","tags":null}`)
		default:
			return false
		}
		return true
	}
	r, _ := s.repository(t, "none")
	all, err := r.Client.Catalog(t.Context(), r.Ref.Registry)
	if err != nil || !slices.Equal(all, []string{"a", "b"}) {
		t.Errorf("%v, %v", all, err)
	}
	tags, err := r.Tags(t.Context())
	if err != nil || tags == nil || len(tags) != 0 {
		t.Errorf("%v, %v", tags, err)
	}
	s.before = func(_ *store, rw http.ResponseWriter, _ *http.Request) bool { rw.WriteHeader(403); return true }
	if _, err := r.Client.Catalog(t.Context(), r.Ref.Registry); seaworthy.CodeOf(err) != seaworthy.Unauthorized || !strings.Contains(seaworthy.HintOf(err), "most registries") {
		t.Errorf("%v, hint %q", err, seaworthy.HintOf(err))
	}
}

// FuzzReferrer reads manifests as referrers, and as what is copied.
func FuzzReferrer(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"subject":{"digest":"sha256:00","size":1},"config":{},"layers":[]}`))
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"` + MediaTypeManifest + `","config":{"digest":"` + string(seaworthy.SHA256(nil)) + `","size":0},"layers":[]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		entry, subject, err := asReferrer(Descriptor{MediaType: MediaTypeManifest}, raw)
		if err == nil && subject != "" && !subject.NamesContent() {
			t.Errorf("subject %q of %+v", subject, entry)
		}
		m, err := ParseManifest(raw)
		if err != nil {
			return
		}
		again, err := encodeManifest(m)
		if err != nil {
			return // text that is not UTF-8 has no JSON
		}
		if _, err := ParseManifest(again); err != nil {
			t.Errorf("what was written cannot be read: %v", err)
		}
		_, _, _ = titled(m)
	})
}

// FuzzNextPage reads Link headers.
func FuzzNextPage(f *testing.F) {
	f.Add(`</v2/x?n=1>; rel="next"`)
	f.Add(`<a>; rel=prev, <b>; rel=next`)
	from, _ := url.Parse("https://registry.example/v2/x")
	f.Fuzz(func(t *testing.T, link string) {
		next, err := nextPage(http.Header{"Link": {link}}, from, map[string]bool{}, 0)
		if err == nil && next != nil && (next.Host == "" || next.String() == from.String()) {
			t.Errorf("%q leads to %q", link, next)
		}
	})
}
