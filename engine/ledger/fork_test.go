package ledger

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/durable"
)

// fill adds n entries to a new log and closes it.
func fill(t *testing.T, dir string, key ed25519.PrivateKey, n int) {
	t.Helper()
	l, err := Open(t.Context(), filepath.Join(dir, "log"), "log.example", key, Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t)
	for i := range n {
		if _, err := l.Submit(t.Context(), c.request(t, fmt.Sprint(l.Size(), i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func copyAll(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func checker(t testing.TB, key ed25519.PrivateKey) note.Verifier {
	t.Helper()
	v, err := Verifier("log.example", key.Public(), false)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Every way a folder can disagree with what was signed from it ends before anything more is signed.
func TestDamagedLogsAreNotOpened(t *testing.T) {
	whole, key := t.TempDir(), newKey(t)
	fill(t, whole, key, 5)
	early := t.TempDir()
	copyAll(t, filepath.Join(whole, "log"), filepath.Join(early, "log"))
	fill(t, whole, key, 5)

	flip := func(path string, at int) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			file := filepath.Join(dir, "log", path)
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			body[at] ^= 1
			if err := os.WriteFile(file, body, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, test := range map[string]struct {
		damage func(*testing.T, string)
		code   seaworthy.Code
	}{
		"an old backup is put back": {func(t *testing.T, dir string) {
			copyAll(t, filepath.Join(early, "log"), filepath.Join(dir, "log"))
		}, seaworthy.Refused},
		"the folder is lost": {func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, "log")); err != nil {
				t.Fatal(err)
			}
		}, seaworthy.Refused},
		"a bit of a tile flips":        {flip("tile/0/000.p/10", 40), seaworthy.Refused},
		"a bit of an entry flips":      {flip("tile/entries/000.p/10", 100), seaworthy.Refused},
		"a bit of the checkpoint does": {flip("checkpoint", 14), seaworthy.Mismatch},
		"the state is cut": {func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, "log", ".state", "treeState"), 5); err != nil {
				t.Fatal(err)
			}
		}, seaworthy.Invalid},
		"the state says less": {func(t *testing.T, dir string) {
			body, err := os.ReadFile(filepath.Join(early, "log", ".state", "treeState"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "log", ".state", "treeState"), body, 0o600); err != nil {
				t.Fatal(err)
			}
		}, seaworthy.Refused},
		"the high-water file is torn": {func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "log.high-water"), []byte("00000"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, seaworthy.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			copyAll(t, whole, dir)
			test.damage(t, dir)
			l, err := Open(t.Context(), filepath.Join(dir, "log"), "log.example", key, Options{})
			if err == nil {
				_ = l.Close(t.Context())
			}
			if seaworthy.CodeOf(err) != test.code {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("a torn line of the high-water file leaves the other", func(t *testing.T) {
		dir := t.TempDir()
		copyAll(t, whole, dir)
		file := filepath.Join(dir, "log.high-water")
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, last, _, err := openHighWater(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		for line := range 2 {
			torn := append([]byte(nil), body...)
			copy(torn[line*markLine+30:], "torn")
			if err := os.WriteFile(file, torn, 0o600); err != nil {
				t.Fatal(err)
			}
			_, m, found, err := openHighWater(file, nil)
			if err != nil || !found || last.size-m.size > 1 {
				t.Errorf("line %d: %d of %d %v", line, m.size, last.size, err)
			}
		}
	})
}

func TestOneWriter(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	open(t, dir, key, Options{})
	if _, err := Open(t.Context(), filepath.Join(dir, "log"), "log.example", key, Options{}); seaworthy.CodeOf(err) != seaworthy.Conflict {
		t.Errorf("a second writer: %v", err)
	}
}

func TestAnotherNameIsAnotherLog(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	fill(t, dir, key, 1)
	if _, err := Open(t.Context(), filepath.Join(dir, "log"), "other.example", key, Options{}); seaworthy.CodeOf(err) != seaworthy.Conflict {
		t.Errorf("another name: %v", err)
	}
	if _, err := Open(t.Context(), filepath.Join(dir, "log"), "log.example", newKey(t), Options{}); seaworthy.CodeOf(err) != seaworthy.Mismatch {
		t.Errorf("another key: %v", err)
	}
}

// When storage goes back under a log that runs, it stops for good.
func TestRunningLogStopsRatherThanFork(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	fill(t, dir, key, 3)
	early := t.TempDir()
	copyAll(t, filepath.Join(dir, "log"), filepath.Join(early, "log"))
	l := open(t, dir, key, Options{})
	c := newClient(t)
	for i := range 4 {
		if _, err := l.Submit(t.Context(), c.request(t, fmt.Sprint("a", i))); err != nil {
			t.Fatal(err)
		}
	}
	body, err := os.ReadFile(filepath.Join(early, "log", ".state", "treeState"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "log", ".state", "treeState"), body, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 8 { // also when it has grown past where it was
		if _, err := l.Submit(t.Context(), c.request(t, fmt.Sprint("b", i))); seaworthy.CodeOf(err) != seaworthy.Refused {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
	if seaworthy.CodeOf(l.Check()) != seaworthy.Refused {
		t.Errorf("it says it is well: %v", l.Check())
	}
}

func TestFullDisk(t *testing.T) {
	dir, key, c := t.TempDir(), newKey(t), newClient(t)
	var fault error
	free := uint64(1 << 40)
	disk := &durable.Disk{
		Fault: func(op, _ string) error {
			if op == durable.OpWrite || op == durable.OpSync {
				return fault
			}
			return nil
		},
		Free: func(string) (uint64, uint64, error) { return free, 1 << 41, nil },
	}
	l := open(t, dir, key, Options{Disk: disk})
	if _, err := l.Submit(t.Context(), c.request(t, "before")); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(){
		"no space": func() { fault = syscall.ENOSPC }, "a failing disk": func() { fault = syscall.EIO },
		"little space": func() { fault, free = nil, 1 },
	} {
		f()
		if _, err := l.Submit(t.Context(), c.request(t, name)); seaworthy.CodeOf(err) != seaworthy.Storage {
			t.Errorf("%s: %v", name, err)
		}
		if l.Check() == nil {
			t.Errorf("%s: it says it is well", name)
		}
		fault, free = nil, 1<<40
		e, err := l.Submit(t.Context(), c.request(t, name))
		if err != nil {
			t.Fatalf("after %s: %v", name, err)
		}
		proven(t, key, e)
		if err := l.Check(); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
}

// The folder of entries becomes a file, so that what fails is the writing itself, half-way through a batch.
func TestFailedBatchIsNotAcknowledged(t *testing.T) {
	dir, key, c := t.TempDir(), newKey(t), newClient(t)
	l := open(t, dir, key, Options{})
	if _, err := l.Submit(t.Context(), c.request(t, "before")); err != nil {
		t.Fatal(err)
	}
	tiles := filepath.Join(dir, "log", "tile", "0")
	if err := errors.Join(os.Rename(tiles, tiles+"-away"), os.WriteFile(tiles, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Submit(t.Context(), c.request(t, "during")); seaworthy.CodeOf(err) != seaworthy.Storage {
		t.Errorf("got %v", err)
	}
	if l.Check() == nil {
		t.Error("it says it is well")
	}
	if err := errors.Join(os.Remove(tiles), os.Rename(tiles+"-away", tiles)); err != nil {
		t.Fatal(err)
	}
	e, err := l.Submit(t.Context(), c.request(t, "during"))
	if err != nil {
		t.Fatal(err)
	}
	proven(t, key, e)
	if e.GetLogIndex() != 1 {
		t.Errorf("index %d", e.GetLogIndex())
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	checked, err := Fsck(t.Context(), Folder{Path: filepath.Join(dir, "log")}, "log.example", checker(t, key), false)
	if err != nil || len(checked.Problems) > 0 || checked.Entries != 2 {
		t.Errorf("%+v %v", checked, err)
	}
}

func TestBackPressure(t *testing.T) {
	dir, key, c := t.TempDir(), newKey(t), newClient(t)
	l := open(t, dir, key, Options{Pending: 1})
	l.pending.Add(1) // somebody waits
	if _, err := l.Submit(t.Context(), c.request(t, "a")); seaworthy.CodeOf(err) != seaworthy.Unavailable {
		t.Errorf("got %v", err)
	}
	l.pending.Add(-1)
	if _, err := l.Submit(t.Context(), c.request(t, "a")); err != nil {
		t.Error(err)
	}
}

func TestFsckFindsEveryFlippedBit(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	l := open(t, dir, key, Options{})
	c := newClient(t)
	done := make(chan error)
	for i := range 300 {
		req := c.request(t, fmt.Sprint(i))
		go func() {
			_, err := l.Submit(context.Background(), req)
			done <- err
		}()
	}
	for range 300 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	folder := Folder{Path: filepath.Join(dir, "log")}
	sound, err := Fsck(t.Context(), folder, "log.example", checker(t, key), false)
	if err != nil || len(sound.Problems) != 0 || sound.Entries != 300 {
		t.Fatalf("%+v %v", sound, err)
	}
	for _, name := range []string{"tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/44"} {
		file := filepath.Join(dir, "log", filepath.FromSlash(name))
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int{7, len(body) / 2, len(body) - 1} {
			broken := append([]byte(nil), body...)
			broken[at] ^= 4
			if err := os.WriteFile(file, broken, 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := Fsck(t.Context(), folder, "log.example", checker(t, key), false)
			if err != nil || len(got.Problems) == 0 {
				t.Errorf("byte %d of %s: %+v %v", at, name, got, err)
			}
		}
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Two logs with one key and one name are a split view; whoever saw one is told when shown the other.
func TestMonitorSeesSplitViewAndRollback(t *testing.T) {
	a, b, key := t.TempDir(), t.TempDir(), newKey(t)
	fill(t, a, key, 4)
	fill(t, b, key, 6)
	m := &Monitor{Log: Folder{Path: filepath.Join(a, "log")}, Origin: "log.example", Verifier: checker(t, key)}
	look, err := m.Look(t.Context())
	if err != nil || look.Entries != 4 {
		t.Fatalf("%+v %v", look, err)
	}
	m.Log = Folder{Path: filepath.Join(b, "log")}
	if _, err := m.Look(t.Context()); seaworthy.CodeOf(err) != seaworthy.Refused || !strings.Contains(err.Error(), "contradicts") {
		t.Errorf("a split view: %v", err)
	}
	early := t.TempDir()
	copyAll(t, a, early)
	fill(t, a, key, 2)
	m.Log = Folder{Path: filepath.Join(a, "log")}
	if look, err = m.Look(t.Context()); err != nil || look.Entries != 6 || look.Before != 4 {
		t.Errorf("%+v %v", look, err)
	}
	m.Log = Folder{Path: filepath.Join(early, "log")}
	if _, err := m.Look(t.Context()); seaworthy.CodeOf(err) != seaworthy.Refused {
		t.Errorf("a rollback: %v", err)
	}
}
