package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

func TestFind(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	l := open(t, dir, key, Options{})
	a, b := newClient(t), newClient(t)
	start := time.Now()
	for _, one := range []struct {
		c    *client
		text string
	}{{a, "x"}, {b, "x"}, {a, "y"}} {
		if _, err := l.Submit(t.Context(), one.c.request(t, one.text)); err != nil {
			t.Fatal(err)
		}
	}
	digest := seaworthy.Digest("sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881") // of "x"
	look := func(when string) {
		t.Helper()
		if err := l.catchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		all, err := l.Find(t.Context(), Query{})
		if err != nil || len(all) != 3 {
			t.Fatalf("%s: %v %v", when, all, err)
		}
		for name, test := range map[string]struct {
			q    Query
			want string
		}{
			"all":             {Query{}, "0 1 2"},
			"from":            {Query{From: 1}, "1 2"},
			"limit":           {Query{Limit: 2}, "0 1"},
			"digest":          {Query{Digest: digest}, "0 1"},
			"digest, from":    {Query{Digest: digest, From: 1}, "1"},
			"key":             {Query{Key: all[0].Key}, "0 2"},
			"key, upper case": {Query{Key: strings.ToUpper(all[0].Key)}, "0 2"},
			"both":            {Query{Digest: digest, Key: all[1].Key}, "1"},
			"identity":        {Query{Identity: "nobody@example.com"}, ""},
			"since":           {Query{Since: start.Add(-time.Minute)}, "0 1 2"},
			"later":           {Query{Since: start.Add(time.Hour)}, ""},
			"until":           {Query{Until: start.Add(-time.Hour)}, ""},
		} {
			found, err := l.Find(t.Context(), test.q)
			if err != nil {
				t.Errorf("%s, %s: %v", when, name, err)
			}
			var got []string
			for _, r := range found {
				got = append(got, string(rune('0'+r.Index)))
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("%s, %s: %v", when, name, got)
			}
		}
		if _, err := l.Find(t.Context(), Query{Key: "zz"}); seaworthy.CodeOf(err) != seaworthy.Usage {
			t.Errorf("%s: %v", when, err)
		}
	}
	look("live")
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "log.index")); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, key, Options{})
	look("made again from the tiles")
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "log.index"), make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, key, Options{})
	look("made again after damage")
	req := a.request(t, "x") // the same digest and key, another signature: another entry
	if _, err := l.Submit(t.Context(), req); err != nil {
		t.Error(err)
	}
	var dup *DuplicateError
	if _, err := l.Submit(t.Context(), req); !errors.As(err, &dup) || dup.Index != 3 {
		t.Errorf("the same entry: %v", err)
	}
}
