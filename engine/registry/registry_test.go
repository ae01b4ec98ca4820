package registry

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/blob"
	"github.com/seaworthy-dev/seaworthy/store/repo"
)

var bg = context.Background()

func open(t *testing.T, o Options) *Registry {
	t.Helper()
	dir := t.TempDir()
	blobs, err := blob.Open(dir, blob.Options{Now: o.Now})
	if err != nil {
		t.Fatal(err)
	}
	names, err := repo.Open(dir, repo.Options{Now: o.Now})
	if err != nil {
		t.Fatal(err)
	}
	r := New(blobs, names, o)
	t.Cleanup(func() {
		r.Close()
		if err := names.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func sha(s string) seaworthy.Digest { return seaworthy.SHA256([]byte(s)) }

func (r *Registry) mustAdd(t *testing.T, repository, body string) seaworthy.Digest {
	t.Helper()
	if err := r.AddBlob(bg, repository, sha(body), strings.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	return sha(body)
}

func (r *Registry) mustPut(t *testing.T, repository, reference, body string) seaworthy.Digest {
	t.Helper()
	p, err := r.PutManifest(bg, repository, reference, "", []byte(body), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p.Digest
}

func (r *Registry) has(repository string, d seaworthy.Digest) bool {
	c, err := r.Blob(repository, d)
	if err == nil {
		c.Close()
	}
	return err == nil
}

func part(d seaworthy.Digest) string {
	return fmt.Sprintf(`{"mediaType":"application/x","digest":%q,"size":1}`, string(d))
}

func image(layer seaworthy.Digest, more string) string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]%s}`, ociManifest, part(sha("{}")), part(layer), more)
}

func wantReason(t *testing.T, err error, want Reason) {
	t.Helper()
	if ReasonOf(err) != want {
		t.Errorf("got %v (%s), want %s", err, ReasonOf(err), want)
	}
}

func TestRead(t *testing.T) {
	d, e := sha("layer"), sha("config")
	for name, c := range map[string]struct {
		mediaType, body string
		want            *reading
	}{
		"image": {ociManifest, image(d, ""), &reading{
			mediaType: ociManifest, uses: []seaworthy.Digest{d, sha("{}")}, demand: []seaworthy.Digest{d, sha("{}")}, artifactType: "application/x",
		}},
		"index with a subject": {"", fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s],"subject":%s,"artifactType":"a/b","annotations":{"k":"v"}}`, ociIndex, part(d), part(e)), &reading{
			mediaType: ociIndex, uses: []seaworthy.Digest{d}, demand: []seaworthy.Digest{d}, subject: e, artifactType: "a/b", annotations: map[string]string{"k": "v"},
		}},
		"artifact manifest": {"", fmt.Sprintf(`{"mediaType":%q,"artifactType":"a/b","blobs":[%s]}`, ociArtifact, part(d)), &reading{
			mediaType: ociArtifact, uses: []seaworthy.Digest{d}, demand: []seaworthy.Digest{d}, artifactType: "a/b",
		}},
		"foreign layer": {ociManifest, strings.Replace(image(d, ""), `"layers":[{"mediaType":"application/x"`, `"layers":[{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"`, 1), &reading{
			mediaType: ociManifest, uses: []seaworthy.Digest{d, sha("{}")}, demand: []seaworthy.Digest{sha("{}")}, artifactType: "application/x",
		}},
		"algorithm we do not keep": {ociManifest, image("blake3:0123", ""), &reading{
			mediaType: ociManifest, uses: []seaworthy.Digest{sha("{}")}, demand: []seaworthy.Digest{sha("{}")}, artifactType: "application/x",
		}},
		"nothing":               {ociManifest, "", nil},
		"null":                  {ociManifest, "null", nil},
		"two values":            {ociManifest, image(d, "") + "{}", nil},
		"a name twice":          {ociManifest, image(d, `,"subject":null,"subject":null`), nil},
		"bad UTF-8":             {ociManifest, image(d, `,"artifactType":"`+"\xff"+`"`), nil},
		"deep":                  {ociManifest, image(d, `,"x":`+strings.Repeat("[", 100_000)), nil},
		"another version":       {ociManifest, strings.Replace(image(d, ""), `:2,`, `:1,`, 1), nil},
		"image with manifests":  {ociManifest, image(d, `,"manifests":[]`), nil},
		"index with layers":     {ociIndex, fmt.Sprintf(`{"schemaVersion":2,"manifests":[],"layers":[%s]}`, part(d)), nil},
		"no config":             {ociManifest, `{"schemaVersion":2,"layers":[]}`, nil},
		"path for a digest":     {ociManifest, image("../../x", ""), nil},
		"negative size":         {ociManifest, strings.Replace(image(d, ""), `"size":1`, `"size":-1`, 1), nil},
		"subject of another":    {ociManifest, image(d, `,"subject":`+part("md5:d41d8cd98f00b204e9800998ecf8427e")), nil},
		"type that is none":     {"application/", image(d, ""), nil},
		"type we do not know":   {"application/json", strings.Replace(image(d, ""), ociManifest, "application/json", 1), nil},
		"upper-case field name": {ociManifest, strings.Replace(image(d, ""), `"config"`, `"Config"`, 1), nil},
	} {
		got, err := read(c.mediaType, []byte(c.body))
		if c.want == nil {
			if ReasonOf(err) != ManifestInvalid {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(reading{})); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(ociManifest, []byte(image(sha("x"), `,"subject":`+part(sha("y")))))
	f.Add("", []byte(`{"schemaVersion":2,"mediaType":"`+ociIndex+`","manifests":[]}`))
	f.Add(dockerList, []byte(`{"schemaVersion":2,"manifests":[`+part(sha("x"))+`]}`))
	f.Fuzz(func(t *testing.T, mediaType string, body []byte) {
		m, err := read(mediaType, body)
		if err != nil {
			if ReasonOf(err) != ManifestInvalid {
				t.Fatal(err)
			}
			return
		}
		for _, d := range append(m.uses, m.demand...) {
			if !d.NamesContent() {
				t.Fatalf("uses %q", string(d))
			}
		}
		if m.subject != "" && !m.subject.NamesContent() {
			t.Fatalf("subject %q", string(m.subject))
		}
	})
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "a/b": true, "a-b.c_d__e/f---g": true, strings.Repeat("a", 255): true,
		"": false, "A": false, "a/": false, "/a": false, "a//b": false, "a..b": false, "a___b": false, "-a": false, "a/../b": false,
		"a\x00": false, "a\n": false, strings.Repeat("a", 256): false, "é": false,
	} {
		if SoundName(name) != want {
			t.Errorf("name %q: %t", name, !want)
		}
	}
	for tag, want := range map[string]bool{
		"latest": true, "v1.0_x-y": true, "_": true, "A": true, strings.Repeat("a", 128): true,
		"": false, "-a": false, ".a": false, "a/b": false, "a:b": false, "a\n": false, strings.Repeat("a", 129): false,
	} {
		if SoundTag(tag) != want {
			t.Errorf("tag %q: %t", tag, !want)
		}
	}
}

// TestCollect: what is needed stays, whatever happens around it.
func TestCollect(t *testing.T) {
	now := time.Now()
	r := open(t, Options{Now: func() time.Time { return now }, Grace: time.Hour})
	layer, unused, shared := r.mustAdd(t, "a", "layer"), r.mustAdd(t, "a", "unused"), r.mustAdd(t, "a", "shared")
	r.mustAdd(t, "b", "shared")
	asked := r.mustAdd(t, "a", "asked for")
	subject := r.mustPut(t, "a", "1", image(layer, ""))
	r.mustPut(t, "a", string(sha(image(shared, `,"subject":`+part(subject)))), image(shared, `,"subject":`+part(subject)))
	upload, err := r.StartUpload("a", "")
	if err != nil {
		t.Fatal(err)
	}
	collect := func(o CollectOptions) Collected {
		t.Helper()
		c, err := r.Collect(bg, o)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := collect(CollectOptions{Untagged: true}); c != (Collected{}) {
		t.Errorf("everything is young: %+v", c)
	}
	now = now.Add(50 * time.Minute)
	if !r.has("a", asked) { // somebody relies on it from now on
		t.Fatal("gone")
	}
	now = now.Add(20 * time.Minute)
	if c := collect(CollectOptions{Untagged: true}); c != (Collected{Links: 2, Blobs: 1, Bytes: int64(len("unused")), Uploads: 1}) {
		t.Errorf("%+v", c)
	}
	for _, d := range []seaworthy.Digest{layer, shared, asked} {
		if !r.has("a", d) {
			t.Errorf("%s was needed", d)
		}
	}
	if r.has("a", unused) || r.has("b", shared) {
		t.Error("garbage is there")
	}
	_, err = r.UploadStatus(bg, "a", upload)
	wantReason(t, err, UploadUnknown)

	// The image goes, and with it what was said about it, when nobody asked to keep what has no tag.
	if err := r.DeleteManifest("a", string(subject)); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour)
	if c := collect(CollectOptions{}); c.Manifests != 0 || r.has("a", layer) || !r.has("a", shared) {
		t.Errorf("%+v", c)
	}
	now = now.Add(2 * time.Hour)
	if c := collect(CollectOptions{Untagged: true}); c.Manifests != 1 || r.has("a", shared) {
		t.Errorf("%+v", c)
	}
}

// TestCollectWhilePushing: with no grace at all, a blob that was acknowledged and linked is never left without
// its bytes.
func TestCollectWhilePushing(t *testing.T) {
	r := open(t, Options{})
	ctx, stop := context.WithCancel(bg)
	var collecting, pushing sync.WaitGroup
	collecting.Go(func() {
		for ctx.Err() == nil {
			if _, err := r.Collect(bg, CollectOptions{Grace: -1}); err != nil {
				t.Error(err)
			}
		}
	})
	for client := range 4 {
		pushing.Go(func() {
			for n := range 25 {
				body := fmt.Sprint("blob ", n%5) // the same ones, again and again
				name := fmt.Sprint("r", client)
				if err := r.AddBlob(bg, name, sha(body), strings.NewReader(body)); err != nil {
					t.Error(err)
				}
				if _, err := r.Mount("other", name, sha(body), func(string) bool { return true }); err != nil {
					t.Error(err)
				}
				for _, repository := range []string{name, "other"} {
					_, linked, _ := r.names.Linked(repository, sha(body))
					c, err := r.blobs.Get(sha(body))
					_, still, _ := r.names.Linked(repository, sha(body))
					if err == nil {
						if b, _ := io.ReadAll(c); string(b) != body {
							t.Errorf("%q", b)
						}
						c.Close()
					} else if linked && still {
						// It may have been collected and linked anew between the two looks; then it is there now.
						if _, err := r.blobs.Get(sha(body)); err != nil {
							if _, again, _ := r.names.Linked(repository, sha(body)); again {
								t.Errorf("%s has a blob without bytes", repository)
							}
						}
					}
				}
			}
		})
	}
	pushing.Wait()
	stop()
	collecting.Wait()
}

func TestMountAsksForBoth(t *testing.T) {
	r := open(t, Options{})
	d := r.mustAdd(t, "secret", "x")
	nobody := func(string) bool { return false }
	for _, from := range []string{"secret", "", "no such name!"} {
		if ok, err := r.Mount("mine", from, d, nobody); ok || err != nil {
			t.Errorf("from %q: %t, %v", from, ok, err)
		}
	}
	if r.has("mine", d) {
		t.Error("it can be read")
	}
	if ok, err := r.Mount("mine", "", d, func(name string) bool { return name == "secret" }); !ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
}

func TestBytesThatRot(t *testing.T) {
	r := open(t, Options{})
	body := image(sha("x"), "")
	r.mustPut(t, "a", "1", body)
	if err := r.names.PutManifest(repo.Push{Repository: "a", Tags: []string{"rotten"}, Manifest: repo.Manifest{Digest: sha("other"), MediaType: ociManifest, Body: []byte(body)}}); err != nil {
		t.Fatal(err)
	}
	_, err := r.Manifest("a", "rotten")
	wantReason(t, err, Broken)
}
