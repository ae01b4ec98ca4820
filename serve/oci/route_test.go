package oci

import (
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy/engine/registry"
)

func TestParseRoute(t *testing.T) {
	for path, want := range map[string]route{
		"/v2":                              {endpoint: baseEndpoint},
		"/v2/":                             {endpoint: baseEndpoint},
		"/v2/_catalog":                     {endpoint: catalogEndpoint},
		"/livez":                           {endpoint: liveEndpoint},
		"/readyz":                          {endpoint: readyEndpoint},
		"/metrics":                         {endpoint: metricsEndpoint},
		"/token":                           {endpoint: tokenEndpoint},
		"/v2/a/manifests/1.0":              {manifestPath, "a", "1.0"},
		"/v2/a/b/c/manifests/sha256:x":     {manifestPath, "a/b/c", "sha256:x"},
		"/v2/a/blobs/sha256:x":             {blobEndpoint, "a", "sha256:x"},
		"/v2/a/blobs/uploads":              {startUpload, "a", ""},
		"/v2/a/blobs/uploads/":             {startUpload, "a", ""},
		"/v2/a/blobs/uploads/id":           {uploadEndpoint, "a", "id"},
		"/v2/a/tags/list":                  {tagsEndpoint, "a", ""},
		"/v2/a/referrers/sha256:x":         {referrersPath, "a", "sha256:x"},
		"/v2/blobs/uploads/blobs/uploads/": {startUpload, "blobs/uploads", ""},
		"/v2/tags/list/tags/list":          {tagsEndpoint, "tags/list", ""},
		"/v2/manifests/manifests/latest":   {manifestPath, "manifests", "latest"},
		"/v2/a//manifests/x":               {manifestPath, "a/", "x"}, // no name; refused later
		"/v2/../manifests/x":               {manifestPath, "..", "x"},
		"/":                                {},
		"/v1/a/manifests/x":                {},
		"/v2/a":                            {},
		"/v2/manifests/x":                  {},
		"/v2/blobs/uploads/":               {},
		"/v2/a/tags/other":                 {},
		"/v2/a/uploads/x":                  {},
		"/v2/a/manifests/x/y":              {},
		"/v2//":                            {},
	} {
		if got := parseRoute(path); got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
}

// TestEveryReasonHasAnAnswer: what is not in the map would be told as our own mistake.
func TestEveryReasonHasAnAnswer(t *testing.T) {
	for _, reason := range []registry.Reason{
		registry.NameInvalid, registry.NameUnknown, registry.BlobUnknown, registry.UploadUnknown, registry.UploadInvalid,
		registry.UploadBusy, registry.RangeInvalid, registry.DigestInvalid, registry.SizeInvalid, registry.ManifestInvalid,
		registry.ManifestUnknown, registry.ManifestIncomplete, registry.TooLarge, registry.TooManyTags, registry.TooMany,
		registry.Full, registry.Broken, registry.Closing, unsupported, unauthorized, denied, foreign, badRequest, noEndpoint,
	} {
		a, ok := answers[reason]
		if !ok || a.status < 400 || a.code == "" || a.code != strings.ToUpper(a.code) {
			t.Errorf("%s: %+v", reason, a)
		}
	}
}

func FuzzParseRoute(f *testing.F) {
	for _, s := range []string{"/v2/a/manifests/1", "/v2/a/blobs/uploads/", "/v2/a/b/tags/list", "/v2/_catalog", "/v2//blobs/", "/v2/a/blobs/uploads/blobs/uploads/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r := parseRoute(path)
		if needs[r.endpoint] == nil && r.endpoint != unknownEndpoint {
			t.Fatalf("%q: %q has no methods", path, r.endpoint)
		}
		if r.repository != "" && !strings.HasPrefix(path, "/v2/"+r.repository+"/") {
			t.Fatalf("%q: repository %q", path, r.repository)
		}
		if !strings.HasSuffix(path, r.reference) || strings.Contains(r.reference, "/") {
			t.Fatalf("%q: reference %q", path, r.reference)
		}
		if r.reference != "" && r.repository == "" {
			t.Fatalf("%q: %+v", path, r)
		}
	})
}
