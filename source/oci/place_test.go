package oci

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/makeimage"
)

// image writes a small image as a layout.
func imageLayout(t *testing.T) (dir string, img *makeimage.Image) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "layout")
	img, err := makeimage.Layout(dir, []makeimage.Layer{
		{Files: []makeimage.File{{Path: "etc/a", Body: []byte("a")}}, History: "ADD a"},
		{Files: []makeimage.File{{Path: "etc/b", Body: []byte("b")}}, History: "ADD b", Compression: makeimage.Zstd},
	}, makeimage.Options{Name: "1"})
	if err != nil {
		t.Fatal(err)
	}
	return dir, img
}

// withReferrers puts the image into a repository, with a bill, a signature on the bill and cosign's .sig tag.
func withReferrers(t *testing.T, to Destination) (image, bill, onBill, classic Descriptor) {
	t.Helper()
	dir, _ := imageLayout(t)
	from, err := OpenLayout(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	done, err := Copy(t.Context(), from, "1", to, "1", CopyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	image = Descriptor{MediaType: done.MediaType, Digest: done.Digest, Size: done.Size}
	attach := func(kind, body, tag string, subject *Descriptor) Descriptor {
		file := write(t, filepath.Join(t.TempDir(), "f.json"), []byte(body))
		d, err := PushFiles(t.Context(), to, tag, Artifact{Type: kind, Files: []File{{Path: file}}, Subject: subject})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	bill = attach("application/spdx+json", "{}", "", &image)
	onBill = attach("application/vnd.dev.sigstore.bundle.v0.3+json", `{"messageSignature":{}}`, "", &bill)
	classic = attach("application/vnd.dev.cosign.simplesigning.v1+json", "sig", FallbackTag(image.Digest)+".sig", nil)
	return image, bill, onBill, classic
}

func digests(all []Referrer) map[seaworthy.Digest]string {
	out := map[seaworthy.Digest]string{}
	for _, r := range all {
		out[r.Digest] = r.Via
	}
	return out
}

// TestEveryPlace does the same with a registry that lists referrers, one that does not, and a layout.
func TestEveryPlace(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) Destination{
		"registry": func(t *testing.T) Destination { r, _ := newStore().repository(t, "app"); return r },
		"registry without referrers": func(t *testing.T) Destination {
			s := newStore()
			s.noReferrers = true
			r, _ := s.repository(t, "app")
			return r
		},
		"layout": func(t *testing.T) Destination {
			l, err := CreateLayout(filepath.Join(t.TempDir(), "new"), Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(l.Close)
			return l
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t)
			image, bill, onBill, classic := withReferrers(t, p)
			related, err := Related(t.Context(), p, image.Digest)
			if err != nil {
				t.Fatal(err)
			}
			got := digests(related)
			via := map[string]string{"registry without referrers": ViaFallback}[name]
			if via == "" {
				via = ViaAPI
			}
			if len(got) != 2 || got[bill.Digest] != via || got[classic.Digest] != ViaCosign {
				t.Errorf("related to the image: %v", got)
			}
			if found, err := p.Referrers(t.Context(), image.Digest, "application/other"); err != nil || len(found) != 0 {
				t.Errorf("of another type: %v, %v", found, err)
			}
			v, err := Validate(t.Context(), p, "1", CopyOptions{Referrers: true})
			if err != nil || len(v.Problems) != 0 || v.Manifests != 4 || v.DiffIDs != 2 {
				t.Errorf("validated: %+v, %v", v, err)
			}
			// Copied as a whole, everything is found again.
			to, err := CreateLayout(filepath.Join(t.TempDir(), "copy"), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer to.Close()
			done, err := Copy(t.Context(), p, "1", to, "2", CopyOptions{Referrers: true})
			if err != nil || done.Manifests != 4 || done.Referrers != 3 || done.Digest != image.Digest {
				t.Fatalf("copied: %+v, %v", done, err)
			}
			if found, err := Related(t.Context(), to, bill.Digest); err != nil || len(found) != 1 || found[0].Digest != onBill.Digest {
				t.Errorf("related to the bill, in the copy: %v, %v", found, err)
			}
			if d, _, err := to.Manifest(t.Context(), ""); err != nil || d.Digest != image.Digest {
				t.Errorf("the only image of the copy: %v, %v", d, err)
			}
		})
	}
}

// TestTagComesLast watches the order in which a copy writes.
func TestTagComesLast(t *testing.T) {
	from, _ := newStore().repository(t, "app")
	image, _, _, _ := withReferrers(t, from)
	s := newStore()
	to, _ := s.repository(t, "to")
	if _, err := Copy(t.Context(), from, "1", to, "new", CopyOptions{Referrers: true}); err != nil {
		t.Fatal(err)
	}
	puts := slices.DeleteFunc(s.wrote("PUT"), func(l string) bool { return !strings.Contains(l, "/manifests/") })
	if len(puts) != 5 || puts[0] != "PUT /v2/to/manifests/"+string(image.Digest) || puts[4] != "PUT /v2/to/manifests/new" {
		t.Errorf("manifests were written so: %q", puts)
	}
}

// TestCopyMounts copies within a registry, between places that were opened by name: nothing is sent.
func TestCopyMounts(t *testing.T) {
	s := newStore()
	r, _ := s.repository(t, "app")
	withReferrers(t, r)
	from, err := OpenPlace(t.Context(), r.Ref.Registry+"/app:1", Options{PlainHTTP: true, Keychain: keychain{}})
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	opened, to, err := OpenDestination(t.Context(), r.Ref.Registry+"/to:1", Options{PlainHTTP: true, Keychain: keychain{}})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	before := len(s.wrote("PATCH")) + len(s.wrote("PUT"))
	done, err := Copy(t.Context(), from, from.Name, to, opened.Name, CopyOptions{Referrers: true})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.wrote("PATCH")) + len(s.wrote("PUT")) - before; n != done.Manifests+1 {
		t.Errorf("%d requests with content, but only %d manifests and a tag had to go", n, done.Manifests)
	}
}

// TestPartialDownloads completes what an earlier attempt has left, and does not believe it.
func TestPartialDownloads(t *testing.T) {
	body := bytes.Repeat([]byte("abc"), 1000)
	d := describe(body)
	for name, left := range map[string][]byte{
		"nothing": nil, "a beginning": body[:1000], "a wrong beginning": []byte("xyz"), "all": body, "too much": append(bytes.Clone(body), 'x'),
	} {
		t.Run(name, func(t *testing.T) {
			l, err := CreateLayout(t.TempDir(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			partial := filepath.Join(l.path, filepath.FromSlash(blobPath(d.Digest))+".partial")
			if left != nil {
				write(t, partial, left)
			}
			var from []int64
			var told int64
			open := func(ctx context.Context, at int64) (io.ReadCloser, error) {
				from = append(from, at)
				return bytesOpener(body)(ctx, at)
			}
			if _, err := l.PutBlob(t.Context(), d, open, PutOptions{Progress: func(n int64) { told += n }}); err != nil {
				t.Fatal(err)
			}
			want := map[string][]int64{"nothing": {0}, "a beginning": {1000}, "a wrong beginning": {3, 0}, "too much": {0}}[name]
			if !slices.Equal(from, want) {
				t.Errorf("asked for the bytes from %v, want %v", from, want)
			}
			if told != d.Size {
				t.Errorf("progress says %d of %d", told, d.Size)
			}
			if b, err := os.ReadFile(strings.TrimSuffix(partial, ".partial")); err != nil || !bytes.Equal(b, body) {
				t.Errorf("other bytes: %v", err)
			}
			if _, err := os.Stat(partial); err == nil {
				t.Error("the partial file is still there")
			}
			if fi, err := os.Stat(strings.TrimSuffix(partial, ".partial")); err != nil || fi.Mode().Perm()&0o400 == 0 || fi.Mode().Perm()&0o044 != readableByOthers(t) {
				t.Errorf("the blob's mode is %v, %v", fi.Mode(), err)
			}
		})
	}
	l, _ := CreateLayout(t.TempDir(), Options{})
	defer l.Close()
	_, err := l.PutBlob(t.Context(), d, bytesOpener(bytes.Repeat([]byte("abd"), 1000)), PutOptions{})
	wantCode(t, err, seaworthy.Mismatch)
	if l.has(d.Digest) {
		t.Error("wrong bytes have a name")
	}
}

// TestTitles is a table of names an artifact may want its files to have.
func TestTitles(t *testing.T) {
	for title, code := range map[string]seaworthy.Code{
		"a.txt": "", "dir/a.txt": "", "../a": seaworthy.Forbidden, "/etc/a": seaworthy.Forbidden, "a/../../b": seaworthy.Forbidden, ".": seaworthy.Forbidden,
		`a\b`: seaworthy.Forbidden, "x.partial": seaworthy.Forbidden, "": seaworthy.Usage, "link/a": seaworthy.Forbidden,
	} {
		l, err := CreateLayout(t.TempDir(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		body := []byte("hello")
		d := describe(body)
		if _, err := l.PutBlob(t.Context(), d, bytesOpener(body), PutOptions{}); err != nil {
			t.Fatal(err)
		}
		d.Annotations = map[string]string{AnnotationTitle: title}
		raw, _ := encodeManifest(Manifest{ArtifactType: "a/b", Config: describe(nil), Layers: []Descriptor{d}})
		dir := t.TempDir()
		if err := os.Symlink(t.TempDir(), filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		files, err := PullFiles(t.Context(), l, raw, dir, CopyOptions{})
		if got := seaworthy.CodeOf(err); got != code {
			t.Errorf("title %q: %v, want %q", title, err, code)
		}
		if code == "" {
			if b, err := os.ReadFile(filepath.Join(dir, files[0].Path)); err != nil || string(b) != "hello" {
				t.Errorf("title %q: %q, %v", title, b, err)
			}
		}
		l.Close()
	}
}

// TestValidateFindsDamage changes one byte of each file of a layout.
func TestValidateFindsDamage(t *testing.T) {
	dir, img := imageLayout(t)
	for what, d := range map[string]seaworthy.Digest{"manifest": img.Manifest.Digest, "configuration": img.Config.Digest, "layer": img.Layers[1].Digest} {
		file := filepath.Join(dir, filepath.FromSlash(blobPath(d)))
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(good)
		bad[len(bad)-1] ^= 1
		write(t, file, bad)
		l, _ := OpenLayout(dir, Options{})
		v, err := Validate(t.Context(), l, "1", CopyOptions{})
		if err != nil || len(v.Problems) == 0 {
			t.Errorf("a damaged %s: %+v, %v", what, v, err)
		}
		l.Close()
		write(t, file, good)
	}
	l, _ := OpenLayout(dir, Options{})
	defer l.Close()
	_, err := Validate(t.Context(), l, "nine", CopyOptions{})
	wantCode(t, err, seaworthy.NotFound)
}

// TestArchivesGoRound writes archives and reads them again.
func TestArchivesGoRound(t *testing.T) {
	p, _ := newStore().repository(t, "app")
	image, bill, _, _ := withReferrers(t, p)
	file := filepath.Join(t.TempDir(), "a.tar")
	var first []byte
	for range 2 {
		var buf bytes.Buffer
		if _, err := WriteArchive(t.Context(), &buf, p, "1", "1", CopyOptions{Referrers: true}); err != nil {
			t.Fatal(err)
		}
		if first != nil && !bytes.Equal(first, buf.Bytes()) {
			t.Error("another archive the second time")
		}
		first = buf.Bytes()
	}
	write(t, file, first)
	a, err := OpenPlace(t.Context(), file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	found, err := Related(t.Context(), a, image.Digest)
	if err != nil || digests(found)[bill.Digest] == "" || len(found) != 2 {
		t.Errorf("in the archive: %v, %v", found, err)
	}
	if v, err := Validate(t.Context(), a, a.Name, CopyOptions{Referrers: true}); err != nil || len(v.Problems) > 0 {
		t.Errorf("%+v, %v", v, err)
	}

	var docker bytes.Buffer
	if _, err := WriteDockerArchive(t.Context(), &docker, p, "1", []string{"example.org/app:1"}, CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, compressed := range []bool{false, true} {
		b := docker.Bytes()
		if compressed {
			b = gzipped(b)
		}
		im, err := Open(t.Context(), write(t, filepath.Join(t.TempDir(), "d.tar"), b), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(im.Tags, []string{"example.org/app:1"}) || len(im.Layers) != 2 {
			t.Errorf("docker archive: %v, %d layers", im.Tags, len(im.Layers))
		}
		checkLayers(t, im)
		im.Close()
		s := newStore()
		to, _ := s.repository(t, "fromdocker")
		d, err := OpenPlace(t.Context(), im.Name, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Copy(t.Context(), d, d.Name, to, "1", CopyOptions{}); err != nil {
			t.Fatal(err)
		}
		d.Close()
		if v, err := Validate(t.Context(), to, "1", CopyOptions{}); err != nil || len(v.Problems) > 0 || v.DiffIDs != 2 {
			t.Errorf("pushed from a docker archive: %+v, %v", v, err)
		}
	}
}

// readableByOthers is what the umask leaves of reading by group and others.
func readableByOthers(t *testing.T) os.FileMode {
	t.Helper()
	name := filepath.Join(t.TempDir(), "mode")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return fi.Mode().Perm() & 0o044
}
