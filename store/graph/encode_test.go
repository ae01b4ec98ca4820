package graph

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seaworthy-dev/seaworthy"
)

var digestText = rapid.OneOf(
	rapid.StringMatching(`sha256:[0-9a-f]{64}`), rapid.StringMatching(`sha1:[0-9a-f]{0,5}`), rapid.StringMatching(`sha256:[0-9A-F]{6}`), rapid.StringMatching(`md6:[0-9a-f]{6}`),
)

func TestSubjectsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := seaworthy.Subject{Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Key: rapid.OneOf(digestText, rapid.StringN(1, 50, -1)).Draw(t, "key")}
		if got, err := unpackSubject(packSubject(s)); err != nil || got != s {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	})
}

func TestAttrsRoundTrip(t *testing.T) {
	property := rapid.Custom(func(t *rapid.T) seaworthy.Property {
		return seaworthy.Property{
			Name:  rapid.OneOf(rapid.SampledFrom(attributes), rapid.String()).Draw(t, "name"),
			Value: rapid.OneOf(digestText, rapid.String()).Draw(t, "value"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		attrs := rapid.SliceOf(property).Draw(t, "attrs")
		got, err := unpackAttrs(packAttrs(attrs))
		if err != nil || !slices.Equal(got, attrs) {
			t.Errorf("%q: %q, %v", attrs, got, err)
		}
	})
}

// Whatever is on the disk, it is read or refused.
func FuzzUnpack(f *testing.F) {
	f.Add(packAttrs([]seaworthy.Property{{Name: "path", Value: "/usr/bin/x"}, {Name: "other", Value: "sha256:00ff"}}))
	f.Add(packSubject(seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: "pkg:npm/a@1"}))
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	r := &ready{nodes: []node{{id: ID{1}}, {id: ID{2}}}, rows: []row{{subject: ID{1}, predicate: 1, object: ID{2}}}, names: []alias{{node{id: ID{1}}, "x"}}}
	f.Add(packSaid(r))
	f.Fuzz(func(t *testing.T, b []byte) {
		if attrs, err := unpackAttrs(b); err == nil && len(b) > 0 {
			again, err := unpackAttrs(packAttrs(attrs))
			if err != nil || !slices.Equal(again, attrs) {
				t.Errorf("%q is not %q", again, attrs)
			}
		}
		if s, err := unpackSubject(b); err == nil {
			if again, err := unpackSubject(packSubject(s)); err != nil || again != s {
				t.Errorf("%q is not %q", again, s)
			}
		}
		_, _, _ = unpackSaid(b)
		_, _ = unpackJob(b)
		_, _, _ = unpackCount(b)
		_, _ = unpackTotals(b)
		_, _, _, _ = cutFindKey(b)
		_, _ = queuedJob(b)
		_, _, _ = cutEdge(b)
		_, _ = Cursor(b).place()
		_, _ = Cursor(b).listPlace()
		_, _ = ParseID(string(b))
		var s text
		_ = s.UnmarshalJSON(b)
	})
}

func TestSaidRoundTrips(t *testing.T) {
	e := Entry{Document: seaworthy.Document{Digest: seaworthy.SHA256([]byte("x"))}, Body: []byte("x")}
	for i := range 300 {
		e.Statements = append(e.Statements, seaworthy.Statement{
			Subject: seaworthy.Subject{Kind: seaworthy.VulnSubject, Key: strings.Repeat("x", i%7+1)}, Predicate: predicates[i%len(predicates)],
			Object: seaworthy.Subject{Kind: seaworthy.LicenceSubject, Key: strings.Repeat("y", i%200+1)},
		})
	}
	e.Names = []Name{{e.Statements[0].Subject, "a name"}, {e.Statements[1].Subject, "another"}}
	r, err := prepare(e)
	if err != nil {
		t.Fatal(err)
	}
	rows, names, err := unpackSaid(packSaid(r))
	if err != nil || !reflect.DeepEqual(rows, r.rows) || len(names) != 2 || names[0].text != r.names[0].text || names[1].id != r.names[1].id {
		t.Errorf("%d rows, %v, %v", len(rows), names, err)
	}
}

// Keys sort as what they stand for does.
func TestKeysSort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Custom(func(t *rapid.T) ID { return ID{rapid.Byte().Draw(t, "id")} })
		at := rapid.Custom(func(t *rapid.T) listPlace {
			return listPlace{nanos(rapid.SampledFrom([]time.Time{{}, time.Unix(0, 0), time.Unix(0, 1), time.Unix(-1, 0), time.Unix(1<<33, 0)}).Draw(t, "time")), id.Draw(t, "id")}
		})
		a, b := at.Draw(t, "a"), at.Draw(t, "b")
		if bytes.Compare(listKey(a), listKey(b)) != compareListed(a, b) || cutListKey(listKey(a)) != a {
			t.Errorf("%v, %v", a, b)
		}
		job := rapid.Custom(func(t *rapid.T) Job {
			return Job{
				Kind: "k", ID: rapid.StringMatching(`[a-c]{1,3}`).Draw(t, "id"), Urgency: rapid.IntRange(-2, 2).Draw(t, "urgency"),
				Due: rapid.SampledFrom([]time.Time{{}, time.Unix(0, 0).UTC(), time.Unix(-5, 0).UTC(), time.Unix(9, 9).UTC()}).Draw(t, "due"),
			}
		})
		x, y := job.Draw(t, "x"), job.Draw(t, "y")
		back, ok := queuedJob(queueKey(x))
		if bytes.Compare(queueKey(x), queueKey(y)) != moreUrgent(x, y) || !ok || !reflect.DeepEqual(back, x) {
			t.Errorf("%v, %v", x, y)
		}
		k := rapid.SliceOfN(rapid.Byte(), 1, 3).Draw(t, "key")
		longer := append(slices.Clone(k), rapid.SliceOf(rapid.Byte()).Draw(t, "more")...)
		if slices.ContainsFunc(k, func(c byte) bool { return c != 0xff }) && (bytes.Compare(after(k), longer) <= 0 || bytes.HasPrefix(after(k), k)) {
			t.Errorf("%x is not after %x", after(k), longer)
		}
		if got := comparer.ImmediateSuccessor(nil, k); bytes.Compare(got, k) <= 0 {
			t.Errorf("%x does not follow %x", got, k)
		}
	})
}

func TestWords(t *testing.T) {
	texts := func(terms []term) (all []string) {
		for _, t := range terms {
			all = append(all, t.text)
		}
		return all
	}
	for _, test := range []struct {
		subject seaworthy.Subject
		name    string
		want    []string
	}{
		{seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: "pkg:deb/debian/libc6@2.36-9?arch=amd64"}, "", []string{
			"pkg:deb/debian/libc6@2.36-9?arch=amd64", "deb/debian/libc6@2.36-9?arch=amd64", "debian/libc6@2.36-9?arch=amd64", "libc6@2.36-9?arch=amd64", "2.36-9?arch=amd64",
		}},
		{seaworthy.Subject{Kind: seaworthy.VulnSubject, Key: "CVE-2023-44487"}, "", []string{"cve-2023-44487"}},
		{seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: "sha256:00ff"}, "", []string{"sha256:00ff", "00ff"}},
		{seaworthy.Subject{Kind: seaworthy.ActorSubject, Key: "identity:ci@example.com|https://issuer"}, "", []string{
			"identity:ci@example.com|https://issuer", "ci@example.com|https://issuer", "example.com|https://issuer", "com|https://issuer", "https://issuer", "issuer",
		}},
		{seaworthy.Subject{}, "registry.example/team/App:1.2", []string{"registry.example/team/app:1.2", "example/team/app:1.2", "team/app:1.2", "app:1.2"}},
		{seaworthy.Subject{}, "/usr/bin/Kube-Proxy", []string{"kube-proxy"}},
		{seaworthy.Subject{}, "/usr/", nil},
	} {
		terms := nameTerms(test.name)
		if test.name == "" {
			terms = keyTerms(test.subject)
		}
		if got := texts(terms); !slices.Equal(got, test.want) {
			t.Errorf("%s%s:\n%q, want\n%q", test.subject.Key, test.name, got, test.want)
		}
	}
	if got := len(keyTerms(seaworthy.Subject{Kind: seaworthy.ResourceSubject, Key: strings.Repeat("k8s/", 1000)})); got != maxWords+1 {
		t.Errorf("%d words of a long key", got)
	}
}
