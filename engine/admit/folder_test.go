package admit

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

func write(t *testing.T, name string, body []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, body, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFolder(t *testing.T) {
	dir, k := t.TempDir(), newKey(t)
	for _, name := range []string{"b.yaml", "a.yml", "sub/c.json", ".hidden.yaml", "..data/d.yaml", "README.md"} {
		body := signedBy("x", "registry.example/**", k, "").Bytes
		if strings.HasSuffix(name, ".json") {
			body = []byte(`{"apiVersion":"policy.sigstore.dev/v1beta1","kind":"ClusterImagePolicy","metadata":{"name":"c"},"spec":{"images":[{"glob":"**"}],"authorities":[{"static":{"action":"pass"}}]}}`)
		}
		write(t, filepath.Join(dir, name), []byte(strings.Replace(string(body), "name: x", "name: "+strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)), 1)))
	}
	l, err := (&Folder{Path: dir}).Load()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range l.Set.Policies() {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != "a b c" {
		t.Errorf("got %s", got)
	}
	if l, err := (&Folder{Path: filepath.Join(dir, "a.yml")}).Load(); err != nil || len(l.Set.Policies()) != 1 {
		t.Errorf("one file: %v", err)
	}
	linked := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, linked); err != nil {
		t.Fatal(err)
	}
	if l, err := (&Folder{Path: linked}).Load(); err != nil || len(l.Set.Policies()) != 3 {
		t.Errorf("a link: %v", err)
	}
	if _, err := (&Folder{Path: filepath.Join(dir, "none")}).Load(); seaworthy.CodeOf(err) != seaworthy.NotFound {
		t.Errorf("a folder that is not there: %v", err)
	}
	write(t, filepath.Join(dir, "broken.yaml"), []byte("apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: broken}\nspec: {}\n"))
	if _, err := (&Folder{Path: dir}).Load(); seaworthy.CodeOf(err) != seaworthy.Invalid || !strings.Contains(err.Error(), "broken.yaml") {
		t.Errorf("a broken policy: %v", err)
	}
	write(t, filepath.Join(dir, "broken.yaml"), make([]byte, maxPolicyBytes+1))
	if _, err := (&Folder{Path: dir}).Load(); seaworthy.CodeOf(err) != seaworthy.TooLarge {
		t.Errorf("a large file: %v", err)
	}
}

// A folder that changes is read again when it has settled; what is not sound leaves what was.
func TestWatch(t *testing.T) {
	dir, k := t.TempDir(), newKey(t)
	file, also := filepath.Join(dir, "policies", "p.yaml"), filepath.Join(dir, "root.json")
	good := signedBy("one", "registry.example/**", k, "").Bytes
	write(t, file, good)
	synctest.Test(t, func(t *testing.T) {
		roots := 0
		f := &Folder{Path: filepath.Dir(file), Also: []string{also}, Root: func() (*root.Root, error) { roots++; return nil, nil }}
		first, err := f.Load()
		if err != nil {
			t.Fatal(err)
		}
		type told struct {
			l   *Loaded
			err error
		}
		var all []told
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go f.Watch(ctx, time.Second, func(l *Loaded, err error) { all = append(all, told{l, err}) })
		expect := func(what string, n int, code seaworthy.Code) {
			t.Helper()
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if len(all) != n {
				t.Fatalf("%s: told %d times, want %d", what, len(all), n)
			}
			if n > 0 && seaworthy.CodeOf(all[n-1].err) != code {
				t.Fatalf("%s: %v", what, all[n-1].err)
			}
		}
		expect("nothing changed", 0, "")
		write(t, file, signedBy("two", "registry.example/**", k, "").Bytes)
		expect("another policy", 1, "")
		if all[0].l.Set.Generation() == first.Set.Generation() || all[0].l.Set.Policies()[0].Name != "two" {
			t.Error("it is not the other policy")
		}
		write(t, file, []byte("kind: Nonsense"))
		expect("nonsense", 2, seaworthy.Invalid)
		expect("it is said once", 2, seaworthy.Invalid)
		write(t, file, good)
		expect("good again", 3, "")
		before := roots
		write(t, also, []byte("{}"))
		expect("the trusted root", 4, "")
		if roots == before {
			t.Error("the root was not read again")
		}
		if err := os.RemoveAll(filepath.Dir(file)); err != nil {
			t.Fatal(err)
		}
		expect("the folder is gone", 5, seaworthy.NotFound)
		expect("it is said once", 5, seaworthy.NotFound)
		write(t, file, good)
		expect("the folder is back", 5, seaworthy.NotFound) // as it was when it was read last
	})
}
