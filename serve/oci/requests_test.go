package oci

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/registry"
)

// row is a request and what must come back. In path, body and wanted headers, {upload} is the Location the last
// answer that had one gave, with "?" or "&" added to continue it.
type row struct {
	name   string
	ask    ask
	status int
	header []string // "Name: value"; "Name:" must not be there
	body   string   // exactly; "*" for anything; a single upper-case word: an error of that code
}

func (w *world) run(rows []row) {
	w.t.Helper()
	upload := ""
	for _, r := range rows {
		r.ask.path = strings.Replace(r.ask.path, "{upload}", upload, 1)
		got := w.do(r.ask)
		if got.StatusCode != r.status {
			w.t.Errorf("%s: %d, want %d: %s", r.name, got.StatusCode, r.status, got.body)
		}
		for _, line := range r.header {
			name, want, _ := strings.Cut(line, ":")
			want = strings.TrimSpace(strings.Replace(want, "{upload}", upload, 1))
			if have := strings.Join(got.Header.Values(name), ","); have != want {
				w.t.Errorf("%s: %s is %q, want %q", r.name, name, have, want)
			}
		}
		switch {
		case r.body == "*":
		case r.body != "" && strings.Trim(r.body, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == "":
			if !strings.HasPrefix(got.body, `{"errors":[{"code":"`+r.body+`","message":"`) || got.Header.Get("Content-Type") != "application/json" {
				w.t.Errorf("%s: answered %q, want error %s", r.name, got.body, r.body)
			}
		case got.body != r.body:
			w.t.Errorf("%s: answered %q, want %q", r.name, got.body, r.body)
		}
		if l := got.Header.Get("Location"); l != "" {
			upload = l
		}
	}
}

func TestBlobs(t *testing.T) {
	w := newWorld(t)
	text := "0123456789"
	d, d512, none := sha(text), sha512Of(text), sha("nobody pushed this")
	at := "/v2/team/app/blobs/"
	w.run([]row{
		{"base", ask{method: "GET", path: "/v2/"}, 200, []string{"Docker-Distribution-API-Version: registry/2.0"}, "{}\n"},
		{"missing", ask{method: "GET", path: at + string(d)}, 404, nil, "BLOB_UNKNOWN"},
		{"HEAD of missing", ask{method: "HEAD", path: at + string(d)}, 404, nil, ""},
		{"POST only", ask{method: "POST", path: at + "uploads/?digest=" + string(d), body: text}, 201, []string{"Location: " + at + string(d), "Docker-Content-Digest: " + string(d)}, ""},
		{"POST only, sha512", ask{method: "POST", path: at + "uploads/?digest=" + string(d512), body: text}, 201, []string{"Docker-Content-Digest: " + string(d512)}, ""},
		{"POST only, other bytes", ask{method: "POST", path: at + "uploads/?digest=" + string(none), body: text}, 400, nil, "DIGEST_INVALID"},
		{"POST only, no digest", ask{method: "POST", path: at + "uploads/?digest=sha256:12", body: text}, 400, nil, "DIGEST_INVALID"},
		{"GET", ask{method: "GET", path: at + string(d)}, 200, []string{"Content-Length: 10", "Content-Type: application/octet-stream", "Docker-Content-Digest: " + string(d), "Accept-Ranges: bytes", `ETag: "` + string(d) + `"`}, text},
		{"HEAD", ask{method: "HEAD", path: at + string(d512)}, 200, []string{"Content-Length: 10", "Docker-Content-Digest: " + string(d512)}, ""},
		{"range", ask{method: "GET", path: at + string(d), header: []string{"Range: bytes=2-4"}}, 206, []string{"Content-Range: bytes 2-4/10", "Content-Length: 3"}, "234"},
		{"open range", ask{method: "GET", path: at + string(d), header: []string{"Range: bytes=8-"}}, 206, []string{"Content-Range: bytes 8-9/10"}, "89"},
		{"suffix", ask{method: "GET", path: at + string(d), header: []string{"Range: bytes=-3"}}, 206, []string{"Content-Range: bytes 7-9/10"}, "789"},
		{"range over the end", ask{method: "GET", path: at + string(d), header: []string{"Range: bytes=9-99"}}, 206, []string{"Content-Range: bytes 9-9/10"}, "9"},
		{"range behind the end", ask{method: "GET", path: at + string(d), header: []string{"Range: bytes=10-20"}}, 416, nil, "*"},
		{"range backwards", ask{method: "GET", path: at + string(d), header: []string{"Range: bytes=5-0"}}, 416, nil, "*"},
		{"known already", ask{method: "GET", path: at + string(d), header: []string{`If-None-Match: "` + string(d) + `"`}}, 304, nil, ""},
		{"not elsewhere", ask{method: "GET", path: "/v2/team/other/blobs/" + string(d)}, 404, nil, "BLOB_UNKNOWN"},
		{"bad digest", ask{method: "GET", path: at + "sha256:../../etc"}, 404, nil, "UNSUPPORTED"},
		{"worse digest", ask{method: "GET", path: at + "sha256:xx"}, 400, nil, "DIGEST_INVALID"},
		{"bad name", ask{method: "GET", path: "/v2/Team/blobs/" + string(d)}, 400, nil, "NAME_INVALID"},
		{"dots for a name", ask{method: "GET", path: "/v2/a/%2e%2e/blobs/" + string(d)}, 400, nil, "NAME_INVALID"},
		{"mount", ask{method: "POST", path: "/v2/team/other/blobs/uploads/?mount=" + string(d) + "&from=team/app"}, 201, []string{"Location: /v2/team/other/blobs/" + string(d)}, ""},
		{"mounted", ask{method: "GET", path: "/v2/team/other/blobs/" + string(d)}, 200, nil, text},
		{"anonymous mount", ask{method: "POST", path: "/v2/third/blobs/uploads/?mount=" + string(d512)}, 201, []string{"Location: /v2/third/blobs/" + string(d512)}, ""},
		{"mount of nothing", ask{method: "POST", path: "/v2/third/blobs/uploads/?mount=" + string(none) + "&from=team/app"}, 202, []string{"Range: 0-0"}, ""},
		{"mount from where it is not", ask{method: "POST", path: "/v2/third/blobs/uploads/?mount=" + string(d) + "&from=team/none"}, 202, nil, ""},
		{"DELETE", ask{method: "DELETE", path: at + string(d)}, 202, nil, ""},
		{"deleted", ask{method: "HEAD", path: at + string(d)}, 404, nil, ""},
		{"still elsewhere", ask{method: "GET", path: "/v2/team/other/blobs/" + string(d)}, 200, nil, text},
		{"DELETE again", ask{method: "DELETE", path: at + string(d)}, 404, nil, "BLOB_UNKNOWN"},
		{"no such method", ask{method: "PUT", path: at + string(d)}, 405, []string{"Allow: DELETE, GET, HEAD"}, "UNSUPPORTED"},
		{"no such endpoint", ask{method: "GET", path: "/v3/"}, 404, nil, "UNSUPPORTED"},
	})
}

func TestUploads(t *testing.T) {
	w := newWorld(t)
	d := sha("hello world")
	start := ask{method: "POST", path: "/v2/a/blobs/uploads/"}
	w.run([]row{
		{"POST", start, 202, []string{"Range: 0-0"}, ""},
		{"PUT of all", ask{method: "PUT", path: "{upload}?digest=" + string(d), body: "hello world"}, 201, []string{"Location: /v2/a/blobs/" + string(d)}, ""},
		{"it is over", ask{method: "GET", path: "/v2/a/blobs/uploads/" + strings.Repeat("a", 26)}, 404, nil, "BLOB_UPLOAD_UNKNOWN"},

		{"POST", start, 202, nil, ""},
		{"first chunk", ask{method: "PATCH", path: "{upload}", header: []string{"Content-Range: 0-5"}, body: "hello "}, 202, []string{"Location: {upload}", "Range: 0-5"}, ""},
		{"out of order", ask{method: "PATCH", path: "{upload}", header: []string{"Content-Range: 8-9"}, body: "rl"}, 416, []string{"Location: {upload}", "Range: 0-5"}, "BLOB_UPLOAD_INVALID"},
		{"the first again", ask{method: "PATCH", path: "{upload}", header: []string{"Content-Range: 0-5"}, body: "hello "}, 416, []string{"Range: 0-5"}, "BLOB_UPLOAD_INVALID"},
		{"last out of order", ask{method: "PUT", path: "{upload}?digest=" + string(d), header: []string{"Content-Range: 8-10"}, body: "rld"}, 416, []string{"Range: 0-5"}, "BLOB_UPLOAD_INVALID"},
		{"where is it", ask{method: "GET", path: "{upload}"}, 204, []string{"Location: {upload}", "Range: 0-5"}, ""},
		{"lying length", ask{method: "PATCH", path: "{upload}", header: []string{"Content-Range: 6-7"}, body: "world"}, 400, nil, "SIZE_INVALID"},
		{"nonsense", ask{method: "PATCH", path: "{upload}", header: []string{"Content-Range: some"}, body: "world"}, 400, nil, "SIZE_INVALID"},
		{"backwards", ask{method: "PATCH", path: "{upload}", header: []string{"Content-Range: 9-6"}, body: "world"}, 400, nil, "SIZE_INVALID"},
		{"as in HTTP", ask{method: "PATCH", path: "{upload}", header: []string{"Content-Range: bytes 6-9/11"}, body: "worl"}, 202, []string{"Range: 0-9"}, ""},
		{"no digest", ask{method: "PUT", path: "{upload}", body: "d"}, 400, nil, "DIGEST_INVALID"},
		{"last chunk", ask{method: "PUT", path: "{upload}?digest=" + string(d), header: []string{"Content-Range: 10-10"}, body: "d"}, 201, []string{"Docker-Content-Digest: " + string(d)}, ""},
		{"whole", ask{method: "GET", path: "{upload}"}, 200, nil, "hello world"}, // Location is the blob's now

		{"POST", ask{method: "POST", path: "/v2/a/blobs/uploads/?digest-algorithm=sha512"}, 202, nil, ""},
		{"stream", ask{method: "PATCH", path: "{upload}", body: "hello"}, 202, []string{"Range: 0-4"}, ""},
		{"PUT", ask{method: "PUT", path: "{upload}?digest=" + string(sha512Of("hello"))}, 201, nil, ""},

		{"POST", start, 202, nil, ""},
		{"other bytes", ask{method: "PUT", path: "{upload}?digest=" + string(d), body: "hello"}, 400, nil, "DIGEST_INVALID"},
		{"gone", ask{method: "GET", path: "{upload}"}, 404, nil, "BLOB_UPLOAD_UNKNOWN"},

		{"POST", start, 202, nil, ""},
		{"cancel", ask{method: "DELETE", path: "{upload}"}, 204, nil, ""},
		{"cancelled", ask{method: "PATCH", path: "{upload}", body: "x"}, 404, nil, "BLOB_UPLOAD_UNKNOWN"},
		{"unknown algorithm", ask{method: "POST", path: "/v2/a/blobs/uploads/?digest-algorithm=blake3"}, 400, nil, "DIGEST_INVALID"},
		{"without a slash", ask{method: "POST", path: "/v2/a/blobs/uploads"}, 202, nil, ""},
		{"empty blob", ask{method: "PUT", path: "{upload}?digest=" + string(sha(""))}, 201, nil, ""},
		{"empty blob read", ask{method: "GET", path: "{upload}"}, 200, []string{"Content-Length: 0"}, ""},
	})
	got := w.must(202, start)
	w.must(404, ask{method: "GET", path: strings.Replace(got.Header.Get("Location"), "/v2/a/", "/v2/b/", 1)})
}

func TestUploadGoesOnAfterARestart(t *testing.T) {
	w := newWorld(t)
	at := w.must(202, ask{method: "POST", path: "/v2/a/blobs/uploads/"}).Header.Get("Location")
	w.must(202, ask{method: "PATCH", path: at, body: "hello "})
	w.restart()
	if got := w.must(204, ask{method: "GET", path: at}).Header.Get("Range"); got != "0-5" {
		t.Errorf("Range is %q", got)
	}
	w.must(201, ask{method: "PUT", path: at + "?digest=" + string(sha("hello world")), header: []string{"Content-Range: 6-10"}, body: "world"})
	w.restart()
	if got := w.must(200, ask{method: "GET", path: "/v2/a/blobs/" + string(sha("hello world"))}).body; got != "hello world" {
		t.Errorf("%q", got)
	}
}

func TestManifests(t *testing.T) {
	w := newWorld(t)
	layer := w.pushBlob("a", "layer")
	m := image(layer, "")
	d, d512 := sha(m), sha512Of(m)
	at := "/v2/a/manifests/"
	put := func(reference, mediaType, body string) ask {
		a := ask{method: "PUT", path: at + reference, body: body}
		if mediaType != "" {
			a.header = []string{"Content-Type: " + mediaType}
		}
		return a
	}
	dockerImage := strings.Replace(m, ociManifest, dockerManifest, 1)
	list := strings.Replace(index("", sha(dockerImage)), registry.IndexType, dockerList, 1)
	w.run([]row{
		{"missing tag", ask{method: "GET", path: at + "1"}, 404, nil, "MANIFEST_UNKNOWN"},
		{"missing digest", ask{method: "GET", path: at + string(d)}, 404, nil, "MANIFEST_UNKNOWN"},
		{"no digest", ask{method: "GET", path: at + "sha256:bad"}, 400, nil, "DIGEST_INVALID"},
		{"by tag", put("1", ociManifest, m), 201, []string{"Location: " + at + string(d), "Docker-Content-Digest: " + string(d), "OCI-Tag: 1", "OCI-Subject:"}, ""},
		{"by digest", put(string(d), ociManifest+"; charset=utf-8", m), 201, []string{"OCI-Tag:"}, ""},
		{"by sha512", put(string(d512), ociManifest, m), 201, []string{"Docker-Content-Digest: " + string(d512)}, ""},
		{"with tags", put(string(d)+"?tag=x&tag=y", ociManifest, m), 201, []string{"OCI-Tag: x,y"}, ""},
		{"other digest", put(string(sha("x")), ociManifest, m), 400, nil, "DIGEST_INVALID"},
		{"bad digest", put("sha256:baddigeststring", ociManifest, m), 400, nil, "DIGEST_INVALID"},
		{"bad tag", put("-x", ociManifest, m), 400, nil, "MANIFEST_INVALID"},
		{"GET", ask{method: "GET", path: at + "y"}, 200, []string{"Content-Type: " + ociManifest, fmt.Sprintf("Content-Length: %d", len(m)), "Docker-Content-Digest: " + string(d)}, m},
		{"HEAD", ask{method: "HEAD", path: at + string(d)}, 200, []string{"Content-Type: " + ociManifest, fmt.Sprintf("Content-Length: %d", len(m))}, ""},
		{"HEAD of missing", ask{method: "HEAD", path: at + "none"}, 404, nil, ""},
		{"known already", ask{method: "GET", path: at + "1", header: []string{`If-None-Match: "` + string(d) + `"`}}, 304, nil, ""},
		{"not elsewhere", ask{method: "GET", path: "/v2/b/manifests/" + string(d)}, 404, nil, "MANIFEST_UNKNOWN"},
		{"no JSON", put("bad", ociManifest, "hello"), 400, nil, "MANIFEST_INVALID"},
		{"no type", put("bad", "", `{"schemaVersion":2}`), 400, nil, "MANIFEST_INVALID"},
		{"type from the body", put("typed", "", m), 201, nil, ""},
		{"two types", put("bad", dockerManifest, m), 400, nil, "MANIFEST_INVALID"},
		{"names twice", put("bad", ociManifest, strings.Replace(m, `"layers"`, `"config":{},"layers"`, 1)), 400, nil, "MANIFEST_INVALID"},
		{"a digest that is none", put("bad", ociManifest, image("sha256", "")), 400, nil, "MANIFEST_INVALID"},
		{"signed schema 1", put("bad", "application/vnd.docker.distribution.manifest.v1+prettyjws", `{"schemaVersion":1}`), 400, nil, "MANIFEST_INVALID"},
		{"docker image", put("docker", dockerManifest, dockerImage), 201, nil, ""},
		{"docker list", put("list", dockerList, list), 201, nil, ""},
		{"docker list read", ask{method: "GET", path: at + "list"}, 200, []string{"Content-Type: " + dockerList}, list},
		{"sparse image", put("sparse", ociManifest, image(sha("not here"), "")), 201, nil, ""},
		{"sparse index", put("index", registry.IndexType, index("", sha("not here"))), 201, nil, ""},
		{"own fields", put("own", ociManifest, image(layer, `,"org.example":{"x":[1]}`)), 201, nil, ""},
		{"unknown algorithm", put("blake", ociManifest, image("blake3:"+seaworthy.Digest(strings.Repeat("0", 64)), "")), 201, nil, ""},
		{"delete tag", ask{method: "DELETE", path: at + "x"}, 202, nil, ""},
		{"deleted tag", ask{method: "GET", path: at + "x"}, 404, nil, "MANIFEST_UNKNOWN"},
		{"manifest stays", ask{method: "HEAD", path: at + string(d)}, 200, nil, ""},
		{"delete tag again", ask{method: "DELETE", path: at + "x"}, 404, nil, "MANIFEST_UNKNOWN"},
		{"delete manifest", ask{method: "DELETE", path: at + string(d)}, 202, nil, ""},
		{"its tags are gone", ask{method: "GET", path: at + "1"}, 404, nil, "MANIFEST_UNKNOWN"},
		{"so is it", ask{method: "GET", path: at + string(d)}, 404, nil, "MANIFEST_UNKNOWN"},
		{"its other name is not", ask{method: "GET", path: at + string(d512)}, 200, nil, m},
		{"delete again", ask{method: "DELETE", path: at + string(d)}, 404, nil, "MANIFEST_UNKNOWN"},
	})
	many := url.Values{}
	for i := range registry.MaxTags + 1 {
		many.Add("tag", fmt.Sprint("t", i))
	}
	w.must(414, put(string(d)+"?"+many.Encode(), ociManifest, m))
	big := image(layer, `,"annotations":{"x":"`+strings.Repeat("x", registry.MaxManifest-len(m)-len(`,"annotations":{"x":""}`))+`"}`)
	if len(big) != registry.MaxManifest {
		t.Fatal(len(big))
	}
	w.must(201, put("big", ociManifest, big))
	w.must(413, put("big", ociManifest, big+" "))
}

func TestCompleteImagesOnly(t *testing.T) {
	w := newWorld(t, func(w *world) { w.rules.Complete = true })
	layer := w.pushBlob("a", "layer")
	put := ask{method: "PUT", path: "/v2/a/manifests/1", header: []string{"Content-Type: " + ociManifest}, body: image(layer, "")}
	if got := w.must(404, put); !strings.Contains(got.body, "MANIFEST_BLOB_UNKNOWN") {
		t.Error(got.body)
	}
	w.pushBlob("a", "{}")
	w.must(201, put)
	foreign := strings.Replace(image(sha("elsewhere"), ""), "layer.v1.tar", "layer.nondistributable.v1.tar", 1)
	w.pushManifest("a", "2", foreign)
	w.must(404, ask{method: "PUT", path: "/v2/a/manifests/3", body: index("", sha("no"))})
	w.must(201, ask{method: "PUT", path: "/v2/a/manifests/3", body: index(subject(sha("no")), sha(put.body))})
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	var names []string
	for i := range 7 {
		names = append(names, fmt.Sprint("v", i))
		w.pushManifest("a/b", names[i], image(sha("x"), ""))
	}
	list := func(tags ...string) string {
		if len(tags) == 0 {
			return `{"name":"a/b","tags":[]}` + "\n"
		}
		return `{"name":"a/b","tags":["` + strings.Join(tags, `","`) + `"]}` + "\n"
	}
	at := "/v2/a/b/tags/list"
	w.run([]row{
		{"unknown", ask{method: "GET", path: "/v2/a/tags/list"}, 404, nil, "NAME_UNKNOWN"},
		{"all", ask{method: "GET", path: at}, 200, []string{"Link:", "Content-Type: application/json"}, list(names...)},
		{"page", ask{method: "GET", path: at + "?n=3"}, 200, []string{`Link: <` + at + `?last=v2&n=3>; rel="next"`}, list("v0", "v1", "v2")},
		{"next page", ask{method: "GET", path: at + "?n=3&last=v2"}, 200, []string{`Link: <` + at + `?last=v5&n=3>; rel="next"`}, list("v3", "v4", "v5")},
		{"last page", ask{method: "GET", path: at + "?n=3&last=v5"}, 200, []string{"Link:"}, list("v6")},
		{"exactly all", ask{method: "GET", path: at + "?n=7"}, 200, []string{"Link:"}, list(names...)},
		{"none", ask{method: "GET", path: at + "?n=0"}, 200, []string{"Link:"}, list()},
		{"behind the end", ask{method: "GET", path: at + "?last=z"}, 200, []string{"Link:"}, list()},
		{"last that is not there", ask{method: "GET", path: at + "?last=v4x&n=1"}, 200, nil, list("v5")},
		{"no number", ask{method: "GET", path: at + "?n=x"}, 400, nil, "UNSUPPORTED"},
		{"negative", ask{method: "GET", path: at + "?n=-1"}, 400, nil, "UNSUPPORTED"},
		{"huge", ask{method: "GET", path: at + "?n=9223372036854775807"}, 200, []string{"Link:"}, list(names...)},
		{"catalog", ask{method: "GET", path: "/v2/_catalog"}, 200, []string{"Link:"}, `{"repositories":["a/b"]}` + "\n"},
	})
	w.pushBlob("c", "x")
	w.run([]row{
		{"no tags", ask{method: "GET", path: "/v2/c/tags/list"}, 200, nil, `{"name":"c","tags":[]}` + "\n"},
		{"catalog page", ask{method: "GET", path: "/v2/_catalog?n=1"}, 200, []string{`Link: </v2/_catalog?last=a%2Fb&n=1>; rel="next"`}, `{"repositories":["a/b"]}` + "\n"},
		{"next", ask{method: "GET", path: "/v2/_catalog?n=5&last=a%2Fb"}, 200, []string{"Link:"}, `{"repositories":["c"]}` + "\n"},
	})
}

func TestReferrers(t *testing.T) {
	w := newWorld(t)
	m := image(sha("x"), "")
	d := sha(m)
	at := "/v2/a/referrers/" + string(d)
	empty := `{"schemaVersion":2,"mediaType":"` + registry.IndexType + `","manifests":[]}` + "\n"
	w.run([]row{
		{"unknown repository", ask{method: "GET", path: at}, 200, []string{"Content-Type: " + registry.IndexType, "OCI-Filters-Applied:"}, empty},
		{"no digest", ask{method: "GET", path: "/v2/a/referrers/latest"}, 400, nil, "DIGEST_INVALID"},
		{"subject that is not there", ask{method: "PUT", path: "/v2/a/manifests/sig", header: []string{"Content-Type: " + ociManifest}, body: image(sha("y"), subject(d)+`,"artifactType":"application/sig","annotations":{"who":"me"}`)}, 201, []string{"OCI-Subject: " + string(d)}, ""},
		{"subject that is none", ask{method: "PUT", path: "/v2/a/manifests/sig", header: []string{"Content-Type: " + ociManifest}, body: image(sha("y"), subject("sha256:x"))}, 400, nil, "MANIFEST_INVALID"},
	})
	w.pushManifest("a", "1", m)
	plainRef := image(sha("z"), subject(d)) // its type is that of its config
	w.pushManifest("a", "config", plainRef)
	list := index(subject(d)+`,"artifactType":"application/list"`, d)
	w.must(201, ask{method: "PUT", path: "/v2/a/manifests/" + string(sha(list)), header: []string{"Content-Type: " + registry.IndexType}, body: list})

	all := w.must(200, ask{method: "GET", path: at})
	for _, want := range []string{
		`"artifactType":"application/sig","annotations":{"who":"me"}}`,
		fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d,"artifactType":"application/vnd.oci.image.config.v1+json"}`, ociManifest, sha(plainRef), len(plainRef)),
		fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d,"artifactType":"application/list"}`, registry.IndexType, sha(list), len(list)),
	} {
		if !strings.Contains(all.body, want) {
			t.Errorf("%s\nlacks %s", all.body, want)
		}
	}
	got := w.must(200, ask{method: "GET", path: at + "?artifactType=application/list"})
	if got.Header.Get("OCI-Filters-Applied") != "artifactType" || strings.Count(got.body, `"digest"`) != 1 || !strings.Contains(got.body, string(sha(list))) {
		t.Errorf("%v %s", got.Header, got.body)
	}
	if got := w.must(200, ask{method: "GET", path: at + "?artifactType=none"}); got.body != empty {
		t.Error(got.body)
	}
	// By pages of one, and only those of one type.
	for filter, want := range map[string]int{"": 3, "&artifactType=application%2Fsig": 1} {
		seen := 0
		next := at + "?n=1" + filter
		for pages := 0; next != ""; pages++ {
			if pages > 4 {
				t.Fatal("round in circles:", next)
			}
			got := w.must(200, ask{method: "GET", path: next})
			seen += strings.Count(got.body, `"digest"`)
			link := got.Header.Get("Link")
			next, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
			if link != "" && !strings.Contains(link, filter) {
				t.Error("the next page has another filter:", link)
			}
		}
		if seen != want {
			t.Errorf("%q: %d", filter, seen)
		}
	}
	w.must(202, ask{method: "DELETE", path: "/v2/a/manifests/" + string(sha(list))})
	if got := w.must(200, ask{method: "GET", path: at + "?artifactType=application/list"}); got.body != empty {
		t.Error("deleted, and still listed:", got.body)
	}
	if got := w.must(200, ask{method: "GET", path: "/v2/b/referrers/" + string(d)}); got.body != empty {
		t.Error("listed in another repository:", got.body)
	}
}

// TestReferrersWithMuchToSay: a page is bounded in bytes, too.
func TestReferrersWithMuchToSay(t *testing.T) {
	w := newWorld(t)
	d := sha("subject")
	for i := range 3 {
		w.pushManifest("a", fmt.Sprint("t", i), image(sha("x"), subject(d)+fmt.Sprintf(`,"annotations":{"n":"%d","x":%q}`, i, strings.Repeat("x", registry.MaxReferrersPage*2/3))))
	}
	next, seen := "/v2/a/referrers/"+string(d), 0
	for pages := 0; next != "" && pages < 5; pages++ {
		got := w.must(200, ask{method: "GET", path: next})
		if len(got.body) > registry.MaxReferrersPage*2 {
			t.Errorf("a page of %d bytes", len(got.body))
		}
		seen += strings.Count(got.body, `"digest"`)
		next, _, _ = strings.Cut(strings.TrimPrefix(got.Header.Get("Link"), "<"), ">")
	}
	if seen != 3 {
		t.Errorf("saw %d", seen)
	}
}
