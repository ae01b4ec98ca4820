package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

// store is a registry that can be written to, and that can misbehave.
type store struct {
	mu      sync.Mutex
	blobs   map[string][]byte // "repository digest"
	kinds   map[string]string // of manifests, by the same key
	tags    map[string]string // "repository tag" → digest
	uploads map[string][]byte // by path
	log     []string          // "METHOD path" of every request that writes, and of referrers

	noReferrers bool // 404, and no OCI-Subject
	// before may answer instead; true when it did.
	before func(s *store, rw http.ResponseWriter, r *http.Request) bool
}

func newStore() *store {
	return &store{blobs: map[string][]byte{}, kinds: map[string]string{}, tags: map[string]string{}, uploads: map[string][]byte{}}
}

func (s *store) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.log = append(s.log, r.Method+" "+r.URL.RequestURI())
	}
	if s.before != nil && s.before(s, rw, r) {
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	for _, part := range []struct {
		mark string
		do   func(rw http.ResponseWriter, r *http.Request, repo, rest string)
	}{{"/blobs/uploads/", s.upload}, {"/blobs/", s.blob}, {"/manifests/", s.manifest}, {"/referrers/", s.referrers}, {"/tags/list", s.list}} {
		if repo, rest, ok := strings.Cut(path, part.mark); ok {
			part.do(rw, r, repo, rest)
			return
		}
	}
	rw.WriteHeader(http.StatusNotFound)
}

func (s *store) blob(rw http.ResponseWriter, r *http.Request, repo, digest string) {
	b, ok := s.blobs[repo+" "+digest]
	if !ok {
		rw.WriteHeader(http.StatusNotFound)
		return
	}
	http.ServeContent(rw, r, "", noTime, bytes.NewReader(b))
}

func (s *store) upload(rw http.ResponseWriter, r *http.Request, repo, id string) {
	if id == "" {
		if from := r.URL.Query().Get("from"); from != "" {
			if b, ok := s.blobs[from+" "+r.URL.Query().Get("mount")]; ok {
				s.blobs[repo+" "+r.URL.Query().Get("mount")] = b
				rw.WriteHeader(http.StatusCreated)
				return
			}
		}
		id = itoa(len(s.log))
		s.uploads[id] = nil
		rw.Header().Set("Location", "/v2/"+repo+"/blobs/uploads/"+id+"?state=a%2Fb")
		rw.WriteHeader(http.StatusAccepted)
		return
	}
	have, ok := s.uploads[id]
	if !ok || r.URL.Query().Get("state") != "a/b" {
		rw.WriteHeader(http.StatusNotFound)
		return
	}
	body, err := io.ReadAll(r.Body)
	if at := r.Header.Get("Content-Range"); at != "" && !strings.HasPrefix(at, itoa(len(have))+"-") {
		rw.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return
	}
	have = append(have, body...)
	s.uploads[id] = have
	if err != nil {
		return
	}
	rw.Header().Set("Location", r.URL.Path+"?state=a%2Fb")
	rw.Header().Set("Range", fmt.Sprintf("0-%d", max(len(have)-1, 0)))
	switch r.Method {
	case http.MethodPatch:
		rw.WriteHeader(http.StatusAccepted)
	case http.MethodGet:
		rw.WriteHeader(http.StatusNoContent)
	case http.MethodDelete:
		delete(s.uploads, id)
		rw.WriteHeader(http.StatusNoContent)
	case http.MethodPut:
		delete(s.uploads, id)
		digest := r.URL.Query().Get("digest")
		if string(digestAs(seaworthy.Digest(digest).Algorithm(), have)) != digest {
			rw.WriteHeader(http.StatusBadRequest)
			io.WriteString(rw, `{"errors":[{"code":"DIGEST_INVALID"}]}`)
			return
		}
		s.blobs[repo+" "+digest] = have
		rw.WriteHeader(http.StatusCreated)
	}
}

func (s *store) manifest(rw http.ResponseWriter, r *http.Request, repo, name string) {
	digest := name
	if d, ok := s.tags[repo+" "+name]; ok {
		digest = d
	}
	key := repo + " " + digest
	switch r.Method {
	case http.MethodPut:
		b, _ := io.ReadAll(r.Body)
		digest = string(seaworthy.SHA256(b))
		if strings.Contains(name, ":") && name != digest {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		if !strings.Contains(name, ":") {
			s.tags[repo+" "+name] = digest
		}
		s.blobs[repo+" "+digest], s.kinds[repo+" "+digest] = b, r.Header.Get("Content-Type")
		if _, subject, err := asReferrer(Descriptor{MediaType: r.Header.Get("Content-Type")}, b); err == nil && subject != "" && !s.noReferrers {
			rw.Header().Set("OCI-Subject", string(subject))
		}
		rw.Header().Set("Docker-Content-Digest", digest)
		rw.WriteHeader(http.StatusCreated)
	case http.MethodDelete:
		if _, ok := s.kinds[key]; !ok {
			rw.WriteHeader(http.StatusNotFound)
			return
		}
		if digest == name {
			delete(s.kinds, key)
			delete(s.blobs, key)
		}
		for tag, d := range s.tags {
			if tag == repo+" "+name || digest == name && d == digest {
				delete(s.tags, tag)
			}
		}
		rw.WriteHeader(http.StatusAccepted)
	default:
		b, ok := s.blobs[key]
		if _, is := s.kinds[key]; !ok || !is {
			rw.WriteHeader(http.StatusNotFound)
			return
		}
		rw.Header().Set("Content-Type", s.kinds[key])
		rw.Header().Set("Docker-Content-Digest", digest)
		http.ServeContent(rw, r, "", noTime, bytes.NewReader(b))
	}
}

func (s *store) referrers(rw http.ResponseWriter, _ *http.Request, repo, digest string) {
	if s.noReferrers {
		rw.WriteHeader(http.StatusNotFound)
		return
	}
	entries := []Descriptor{}
	for key, kind := range s.kinds {
		d, ok := strings.CutPrefix(key, repo+" ")
		if !ok {
			continue
		}
		entry, subject, err := asReferrer(Descriptor{MediaType: kind, Digest: seaworthy.Digest(d), Size: int64(len(s.blobs[key]))}, s.blobs[key])
		if err == nil && string(subject) == digest {
			entries = append(entries, entry)
		}
	}
	b, _ := encodeIndex(entries, nil)
	rw.Header().Set("Content-Type", MediaTypeIndex)
	rw.Write(b)
}

func (s *store) list(rw http.ResponseWriter, _ *http.Request, repo, _ string) {
	tags := []string{}
	for key := range s.tags {
		if tag, ok := strings.CutPrefix(key, repo+" "); ok {
			tags = append(tags, tag)
		}
	}
	json.NewEncoder(rw).Encode(map[string]any{"name": repo, "tags": tags})
}

// wrote lists the requests that changed something, shortened.
func (s *store) wrote(method string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.log), func(l string) bool { return !strings.HasPrefix(l, method+" ") })
}

// repository starts the store and returns a repository of it.
func (s *store) repository(t *testing.T, name string) (*Repository, *naps) {
	t.Helper()
	c, host, n := serve(t, s, Options{PlainHTTP: true})
	return &Repository{c, mustRef(t, host+"/"+name)}, n
}

func bytesOpener(b []byte) Opener {
	return func(_ context.Context, at int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b[at:])), nil
	}
}

func describe(b []byte) Descriptor {
	return Descriptor{MediaType: "application/octet-stream", Digest: seaworthy.SHA256(b), Size: int64(len(b))}
}
