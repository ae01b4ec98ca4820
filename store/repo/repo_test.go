package repo

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/durable"
)

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func open(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func digest(s string) seaworthy.Digest { return seaworthy.SHA256([]byte(s)) }

var long = seaworthy.Digest("sha512:" + strings.Repeat("ab", 64))

func push(repository, body string, o Push) Push {
	o.Repository = repository
	o.Manifest = Manifest{Digest: digest(body), MediaType: "application/x", Body: []byte(body)}
	return o
}

func (s *Store) mustPush(t *testing.T, p Push) {
	t.Helper()
	if err := s.PutManifest(p); err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code seaworthy.Code) {
	t.Helper()
	if seaworthy.CodeOf(err) != code {
		t.Fatalf("got %v (%s), want %s", err, seaworthy.CodeOf(err), code)
	}
}

func (s *Store) referrersOf(t *testing.T, repository string, subject, last seaworthy.Digest) (list []string) {
	t.Helper()
	err := s.Referrers(repository, subject, last, func(d seaworthy.Digest, listing []byte) bool {
		list = append(list, string(listing))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestKeysComeApart(t *testing.T) {
	for _, d := range []seaworthy.Digest{digest("x"), long} {
		got, rest, ok := unpack([]byte(pack(d) + "rest"))
		if !ok || got != d || string(rest) != "rest" {
			t.Errorf("%s: %s %q %t", d, got, rest, ok)
		}
		if _, _, ok := unpack([]byte(pack(d))[:20]); ok {
			t.Error("a part of a digest passes for one")
		}
	}
	for _, d := range []seaworthy.Digest{"", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:xyz", "sha256:" + seaworthy.Digest(strings.Repeat("AB", 32))} {
		if pack(d) != "" {
			t.Errorf("%q was packed", string(d))
		}
	}
	if name, rest := repositoryOf(key("a/b", "x", "y")); name != "a/b" || string(rest) != "xy" {
		t.Error(name, rest)
	}
}

func TestLinksStayInTheirRepository(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	d := digest("blob")
	for _, name := range []string{"a", "a/b", "c"} {
		if err := s.Link(name, d); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Link("b", long); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"a": true, "a/b": true, "b": false, "": false, "a/": false} {
		if _, ok, err := s.Linked(name, d); err != nil || ok != want {
			t.Errorf("%q: %t, %v", name, ok, err)
		}
	}
	var asked []string
	found, err := s.Holders(d, func(name string) bool { asked = append(asked, name); return name == "a/b" })
	if err != nil || found != "a/b" || !slices.Equal(asked, []string{"a", "a/b"}) {
		t.Errorf("%q after %q, %v", found, asked, err)
	}
	if found, err := s.Holders("", func(string) bool { return true }); err != nil || found != "" {
		t.Errorf("%q, %v", found, err)
	}
	if err := s.Unlink("a", d); err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.Unlink("a", d), seaworthy.NotFound)
	if ok, err := s.LinkedAnywhere(d); !ok || err != nil {
		t.Error("two still have it", err)
	}
	for _, name := range []string{"", strings.Repeat("a", 256), "a\x00b"} {
		wantCode(t, s.Link(name, d), seaworthy.Invalid)
	}
	wantCode(t, s.Link("a", "md5:x"), seaworthy.Invalid)
}

func TestManifestsTagsAndReferrers(t *testing.T) {
	dir := t.TempDir()
	now := &clock{time.Unix(1000, 0)}
	s := open(t, dir, Options{Now: now.now})
	s.mustPush(t, push("r", "image", Push{Tags: []string{"1", "latest"}, Uses: []seaworthy.Digest{digest("layer"), long}}))
	s.mustPush(t, push("r", "signature", Push{Subject: digest("image"), Listing: []byte("first")}))
	s.mustPush(t, push("r", "bill", Push{Subject: digest("image"), Listing: []byte("second"), Tags: []string{"bill"}}))
	s.mustPush(t, push("other", "image", Push{}))
	s.mustPush(t, push("r", "image 2", Push{Tags: []string{"latest"}}))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Options{Now: now.now})

	m, err := s.Tagged("r", "1")
	want := Manifest{Digest: digest("image"), MediaType: "application/x", Body: []byte("image"), Pushed: now.t}
	if diff := cmp.Diff(want, m); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if m, err := s.Tagged("r", "latest"); err != nil || m.Digest != digest("image 2") {
		t.Error(m.Digest, err)
	}
	if _, err := s.Manifest("other", digest("bill")); seaworthy.CodeOf(err) != seaworthy.NotFound {
		t.Error("a manifest is seen in a repository it was not pushed to:", err)
	}
	all := s.referrersOf(t, "r", digest("image"), "")
	slices.Sort(all)
	if !slices.Equal(all, []string{"first", "second"}) {
		t.Errorf("%q", all)
	}
	if got := s.referrersOf(t, "other", digest("image"), ""); got != nil {
		t.Errorf("%q", got)
	}
	lower := min(digest("signature"), digest("bill"))
	if got := s.referrersOf(t, "r", digest("image"), lower); len(got) != 1 {
		t.Errorf("after the first: %q", got)
	}

	// A manifest takes its tags and its place among the referrers with it; its bytes stay while others have it.
	if err := s.DeleteManifest("r", digest("bill")); err != nil {
		t.Fatal(err)
	}
	if got := s.referrersOf(t, "r", digest("image"), ""); !slices.Equal(got, []string{"first"}) {
		t.Errorf("%q", got)
	}
	if err := s.DeleteManifest("r", digest("image")); err != nil {
		t.Fatal(err)
	}
	if tags, err := s.Tags("r", "", 10); err != nil || !slices.Equal(tags, []string{"latest"}) {
		t.Errorf("%q, %v", tags, err)
	}
	if _, err := s.Manifest("other", digest("image")); err != nil {
		t.Error(err)
	}
	wantCode(t, s.DeleteManifest("r", digest("image")), seaworthy.NotFound)
	if err := s.DeleteTag("r", "latest"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.DeleteTag("r", "latest"), seaworthy.NotFound)
	if _, err := s.Manifest("r", digest("image 2")); err != nil {
		t.Error("a tag took its manifest with it:", err)
	}
}

func TestDemand(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	p := push("r", "image", Push{Tags: []string{"1"}, Demand: []seaworthy.Digest{digest("layer")}, Announce: true})
	wantCode(t, s.PutManifest(p), seaworthy.NotFound)
	if _, err := s.Tagged("r", "1"); err == nil {
		t.Error("it was refused, and is there")
	}
	if list, _ := s.Events(1); len(list) != 0 {
		t.Error("it was refused, and announced")
	}
	if err := s.Link("other", digest("layer")); err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.PutManifest(p), seaworthy.NotFound)
	if err := s.Link("r", digest("layer")); err != nil {
		t.Fatal(err)
	}
	s.mustPush(t, p)
}

func TestPages(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	names := []string{"a", "a-b", "a.b", "a/b", "a0", "b", "b/c/d"}
	for i, name := range names {
		if i%2 == 0 {
			if err := s.Link(name, digest("x")); err != nil {
				t.Fatal(err)
			}
			continue
		}
		s.mustPush(t, push(name, "m", Push{Tags: []string{"t"}}))
	}
	slices.Sort(names)
	for n := 1; n <= len(names)+1; n++ {
		var got []string
		for last := ""; ; {
			page, err := s.Repositories(last, n)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			if got = append(got, page...); len(got) > 20 {
				t.Fatal("round in circles:", got)
			}
			last = page[len(page)-1]
		}
		if !slices.Equal(got, names) {
			t.Errorf("by %d: %q", n, got)
		}
	}
	var tags []string
	for i := range 25 {
		tags = append(tags, fmt.Sprintf("v%d", i))
	}
	s.mustPush(t, push("tags", "m", Push{Tags: tags}))
	slices.Sort(tags)
	for n := 1; n < 30; n += 7 {
		var got []string
		for last := ""; ; {
			page, err := s.Tags("tags", last, n)
			if err != nil || len(page) == 0 {
				break
			}
			got, last = append(got, page...), page[len(page)-1]
		}
		if !slices.Equal(got, tags) {
			t.Errorf("by %d: %q", n, got)
		}
	}
	if got, err := s.Tags("tags", "v20x", 2); err != nil || !slices.Equal(got, []string{"v21", "v22"}) {
		t.Errorf("after a tag that is not there: %q, %v", got, err)
	}
}

func TestEvents(t *testing.T) {
	dir := t.TempDir()
	now := &clock{time.Unix(1000, 0)}
	s := open(t, dir, Options{Now: now.now})
	for i := range 3 {
		s.mustPush(t, push("r", fmt.Sprint(i), Push{Announce: true, Tags: []string{"t"}, Subject: digest("s"), Listing: []byte("{}")}))
	}
	s.mustPush(t, push("r", "silent", Push{}))
	list, err := s.Events(2)
	if err != nil || len(list) != 2 || list[0].Digest != digest("0") {
		t.Fatalf("%v, %v", list, err)
	}
	want := Event{Number: 2, Repository: "r", Digest: digest("1"), MediaType: "application/x", Subject: digest("s"), Tags: []string{"t"}, Pushed: now.t.UTC()}
	if diff := cmp.Diff(want, list[1]); diff != "" {
		t.Error(diff)
	}
	if err := s.Heard(list[0].Number); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, dir, Options{})
	if list, err := s.Events(10); err != nil || len(list) != 2 || list[0].Digest != digest("1") {
		t.Fatalf("after a restart: %v, %v", list, err)
	}
}

func TestCollectLinks(t *testing.T) {
	now := &clock{time.Unix(1e9, 0)}
	s := open(t, t.TempDir(), Options{Now: now.now})
	link := func(name, blob string) {
		t.Helper()
		if err := s.Link(name, digest(blob)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range collectPage + 5 { // more than a page of garbage
		link("many", fmt.Sprint(i))
	}
	link("r", "used")
	link("r", "unused")
	link("r", "asked for")
	link("other", "used")
	s.mustPush(t, push("r", "image", Push{Uses: []seaworthy.Digest{digest("used")}}))
	now.t = now.t.Add(time.Hour)
	link("r", "young")
	if err := s.Touch("r", digest("asked for")); err != nil {
		t.Fatal(err)
	}
	n, err := s.CollectLinks(now.t)
	if err != nil || n != collectPage+5+2 {
		t.Errorf("%d, %v", n, err)
	}
	for _, c := range []struct {
		name, blob string
		want       bool
	}{{"r", "used", true}, {"r", "unused", false}, {"r", "asked for", true}, {"other", "used", false}, {"r", "young", true}} {
		if _, ok, _ := s.Linked(c.name, digest(c.blob)); ok != c.want {
			t.Errorf("%s in %s: %t", c.blob, c.name, ok)
		}
	}
	if err := s.DeleteManifest("r", digest("image")); err != nil {
		t.Fatal(err)
	}
	if n, err := s.CollectLinks(now.t.Add(time.Second)); err != nil || n != 3 {
		t.Errorf("%d, %v", n, err)
	}
	if err := s.Touch("r", digest("unused")); err != nil {
		t.Error(err)
	}
	if _, ok, _ := s.Linked("r", digest("unused")); ok {
		t.Error("touching brought it back")
	}
}

func TestCollectManifests(t *testing.T) {
	now := &clock{time.Unix(1e9, 0)}
	s := open(t, t.TempDir(), Options{Now: now.now})
	ref := func(to string) Push { return Push{Subject: digest(to), Listing: []byte("{}")} }
	s.mustPush(t, push("r", "child", Push{}))
	s.mustPush(t, push("r", "signature of child", ref("child")))
	s.mustPush(t, push("r", "signature of signature", ref("signature of child")))
	s.mustPush(t, push("r", "index", Push{Uses: []seaworthy.Digest{digest("child")}, Tags: []string{"1"}}))
	s.mustPush(t, push("r", "lost", Push{}))
	s.mustPush(t, push("r", "signature of lost", ref("lost")))
	s.mustPush(t, push("r", "index of lost", Push{Uses: []seaworthy.Digest{digest("lost")}, Subject: digest("lost"), Listing: []byte("{}")}))
	s.mustPush(t, push("r", "signature of nobody", ref("nobody")))
	s.mustPush(t, push("q", "lost", Push{Tags: []string{"1"}}))
	now.t = now.t.Add(time.Hour)
	s.mustPush(t, push("r", "young", Push{Uses: []seaworthy.Digest{digest("kept by the young")}}))
	if n, err := s.CollectManifests("r", now.t); err != nil || n != 4 {
		t.Errorf("%d, %v", n, err)
	}
	for body, want := range map[string]bool{
		"child": true, "signature of child": true, "signature of signature": true, "index": true, "young": true,
		"lost": false, "signature of lost": false, "index of lost": false, "signature of nobody": false,
	} {
		if _, err := s.Manifest("r", digest(body)); (err == nil) != want {
			t.Errorf("%s: %v", body, err)
		}
	}
	if _, err := s.Manifest("q", digest("lost")); err != nil {
		t.Error("another repository lost its manifest:", err)
	}
	if n, err := s.CollectManifests("r", now.t); err != nil || n != 0 {
		t.Errorf("again: %d, %v", n, err)
	}
}

func TestManyAtOnce(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			body := fmt.Sprint("image ", i)
			if err := s.Link("r", digest(body)); err != nil {
				t.Error(err)
			}
			if err := s.PutManifest(push("r", body, Push{Tags: []string{fmt.Sprint(i % 4)}})); err != nil {
				t.Error(err)
			}
			if _, err := s.Manifest("r", digest(body)); err != nil {
				t.Error(err)
			}
			if i%8 == 0 {
				if err := s.DeleteManifest("nowhere", digest(body)); seaworthy.CodeOf(err) != seaworthy.NotFound {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if tags, err := s.Tags("r", "", 10); err != nil || len(tags) != 4 {
		t.Errorf("%q, %v", tags, err)
	}
}

func TestFullDiskRefusesAndRecovers(t *testing.T) {
	disk := &durable.Disk{}
	s := open(t, t.TempDir(), Options{Disk: disk})
	s.mustPush(t, push("r", "before", Push{Tags: []string{"1"}}))
	disk.Fault = func(string, string) error { return syscall.ENOSPC }
	if err := s.PutManifest(push("r", "image", Push{Tags: []string{"1"}})); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	if m, err := s.Tagged("r", "1"); err != nil || string(m.Body) != "before" {
		t.Errorf("what was refused can be seen: %q, %v", m.Body, err)
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	disk.Fault = nil
	s.mustPush(t, push("r", "image", Push{Tags: []string{"1"}}))
}

func TestFailedSyncIsTheEnd(t *testing.T) {
	disk := &durable.Disk{}
	dir := t.TempDir()
	s := open(t, dir, Options{Disk: disk})
	s.mustPush(t, push("r", "before", Push{Tags: []string{"1"}}))
	disk.Fault = func(string, string) error { return syscall.EIO }
	wantCode(t, s.PutManifest(push("r", "image", Push{})), seaworthy.Storage)
	disk.Fault = nil // the second sync would succeed, and mean nothing
	wantCode(t, s.PutManifest(push("r", "image", Push{})), seaworthy.Storage)
	wantCode(t, s.Check(), seaworthy.Storage)
	if _, err := s.Tagged("r", "1"); err != nil {
		t.Error("it can still be read:", err)
	}
	s.Close()
	s = open(t, dir, Options{})
	s.mustPush(t, push("r", "image", Push{}))
}

func TestOneProcess(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	_, err := Open(dir, Options{})
	wantCode(t, err, seaworthy.Conflict)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal("closing twice:", err)
	}
	wantCode(t, s.Link("r", digest("x")), seaworthy.Unavailable)
}
