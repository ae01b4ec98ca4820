package storetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// small is a store that often writes tables, and not only its log.
func small(files vfs.FS) graph.Options { return graph.Options{Files: files, Cache: 1 << 20} }

// writes says whether an operation needs room, or a disk that works.
func writes(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpLink, errorfs.OpMkdirAll, errorfs.OpRename, errorfs.OpReuseForWrite, errorfs.OpFilePreallocate:
		return true
	}
	return syncs(op)
}

func syncs(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return true
	}
	return false
}

// faults is a disk that fails when told to.
type faults struct {
	vfs.FS
	injector errorfs.Injector
	injected atomic.Pointer[func(errorfs.Op) error]
}

func newFaults(behind vfs.FS) *faults {
	f := &faults{}
	f.injector = errorfs.InjectorFunc(func(op errorfs.Op) error {
		if inject := f.injected.Load(); inject != nil {
			return (*inject)(op)
		}
		return nil
	})
	f.FS = errorfs.Wrap(behind, f.injector)
	return f
}

// ReuseForWrite is what errorfs forgets to wrap.
func (f *faults) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(old, name, category)
	if err != nil {
		return nil, err
	}
	return errorfs.WrapFile(file, f.injector), nil
}

func (f *faults) set(inject func(errorfs.Op) error) {
	if inject == nil {
		f.injected.Store(nil)
		return
	}
	f.injected.Store(&inject)
}

// wordy is a document that takes some room.
func wordy(n, size int) graph.Entry {
	e := document(n, size, source(1, n))
	random := source(9, n)
	for range 100 {
		e.Statements = append(e.Statements, seaworthy.Statement{Subject: subject(random.IntN(size)), Predicate: seaworthy.SaysHasFile, Object: artifact(random.IntN(3000))})
	}
	return e
}

// untilPut puts a document once there is room again.
func untilPut(t *testing.T, s graph.Store, e graph.Entry) {
	t.Helper()
	for {
		_, err := s.Put(t.Context(), e)
		if err == nil {
			return
		}
		if seaworthy.CodeOf(err) != seaworthy.Storage {
			t.Fatal(err)
		}
	}
}

// A full disk refuses, goes on answering, and goes on by itself when there is room.
func TestFullDisk(t *testing.T) {
	const n, size = 40, 60
	disk := newFaults(vfs.NewMem())
	s := open(t, "graph", small(disk))
	m := graph.NewMemory()
	for i := range 10 {
		for _, x := range []graph.Store{m, s} {
			if _, err := x.Put(t.Context(), wordy(i, size)); err != nil {
				t.Fatal(err)
			}
		}
	}
	disk.set(func(op errorfs.Op) error {
		if writes(op) && !syncs(op) {
			return syscall.ENOSPC
		}
		return nil
	})
	var wait sync.WaitGroup
	for i := 10; i < 20; i++ {
		wait.Go(func() {
			if _, err := s.Put(t.Context(), wordy(i, size)); seaworthy.CodeOf(err) != seaworthy.Storage || !strings.Contains(err.Error(), "full") {
				t.Errorf("on a full disk: %v", err)
			}
		})
	}
	wait.Wait()
	for i := range 10 { // what was acknowledged is answered
		if b, err := s.Body(t.Context(), seaworthy.SHA256(body(i))); err != nil || len(b) == 0 {
			t.Error(err)
		}
	}
	if _, _, err := s.TakeJob(t.Context(), nil, start, 0); seaworthy.CodeOf(err) != seaworthy.Storage {
		t.Errorf("taking a job: %v", err)
	}
	disk.set(nil)
	for i := 10; i < n; i++ {
		untilPut(t, s, wordy(i, size))
		if _, err := m.Put(t.Context(), wordy(i, size)); err != nil {
			t.Fatal(err)
		}
	}
	same(t, m, s, size, n)
	sound(t, s)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s = open(t, "graph", small(disk))
	defer s.Close()
	alike(t, m, s)
}

// A store can be closed while its disk is full, and has then what it acknowledged.
func TestCloseOnFullDisk(t *testing.T) {
	const size = 60
	behind := vfs.NewMem()
	disk := newFaults(behind)
	s := open(t, "graph", small(disk))
	m := graph.NewMemory()
	for i := range 10 {
		for _, x := range []graph.Store{m, s} {
			if _, err := x.Put(t.Context(), wordy(i, size)); err != nil {
				t.Fatal(err)
			}
		}
	}
	disk.set(func(op errorfs.Op) error {
		if writes(op) {
			return syscall.ENOSPC
		}
		return nil
	})
	_ = s.Close() // it may say that it could not sort what it had
	s = open(t, "graph", small(behind))
	defer s.Close()
	alike(t, m, s)
	sound(t, s)
}

// After an error of the disk nothing is acknowledged on top of what may be lost. The next change opens the folder
// again. Errors come at any operation that writes.
func TestBrokenDisk(t *testing.T) {
	const n, size = 30, 60
	rounds := 6
	if testing.Short() {
		rounds = 5
	}
	struck := 0
	for round := range rounds {
		behind := vfs.NewMem()
		disk := newFaults(behind)
		s := open(t, "graph", small(disk))
		m := graph.NewMemory()
		left := atomic.Int64{}
		left.Store(rand.Int64N(80))
		only := syncs
		if round%2 == 0 {
			only = writes
		}
		disk.set(func(op errorfs.Op) error {
			if only(op) && left.Add(-1) == 0 {
				return syscall.EIO
			}
			return nil
		})
		failed := 0
		for i := range n {
			e := wordy(i, size)
			for {
				_, err := s.Put(t.Context(), e)
				if err == nil {
					break
				}
				if failed++; seaworthy.CodeOf(err) != seaworthy.Storage || failed > 5 {
					t.Fatalf("round %d: %v", round, err)
				}
				if _, err := s.List(t.Context(), graph.ListQuery{}); err != nil {
					t.Errorf("round %d: it cannot be asked: %v", round, err)
				}
			}
			if _, err := m.Put(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		if failed > 0 {
			struck++
		}
		alike(t, m, s)
		sound(t, s)
		_ = s.Close() // of what was left behind it may say so
		again := open(t, "graph", small(behind))
		alike(t, m, again)
		if err := again.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	if struck == 0 {
		t.Error("no error was met")
	}
	t.Logf("%d of %d rounds met an error", struck, rounds)
}

// A disk that stays broken refuses every change and can be asked what it was asked before.
func TestDiskStaysBroken(t *testing.T) {
	const n, size = 10, 60
	disk := newFaults(vfs.NewMem())
	s := open(t, "graph", small(disk))
	m := graph.NewMemory()
	for i := range n {
		for _, x := range []graph.Store{m, s} {
			if _, err := x.Put(t.Context(), wordy(i, size)); err != nil {
				t.Fatal(err)
			}
		}
	}
	disk.set(func(op errorfs.Op) error {
		if syncs(op) {
			return syscall.EIO
		}
		return nil
	})
	for i := range 5 {
		if _, err := s.Put(t.Context(), wordy(n+i, size)); seaworthy.CodeOf(err) != seaworthy.Storage {
			t.Fatal(err)
		}
	}
	if subjects, err := s.Subjects(t.Context(), []graph.ID{subject(0).ID()}); err != nil || subjects[0].Kind == "" {
		t.Error(subjects, err)
	}
	disk.set(nil)
	for i := range 5 {
		untilPut(t, s, wordy(n+i, size))
		if _, err := m.Put(t.Context(), wordy(n+i, size)); err != nil {
			t.Fatal(err)
		}
	}
	alike(t, m, s)
	sound(t, s)
	_ = s.Close()
}

// Of a machine that loses its power in the middle, what was acknowledged is there, and nothing is there in part.
func TestCrash(t *testing.T) {
	const n, size, clients = 40, 60, 4
	for round := range 4 {
		disk := vfs.NewCrashableMem()
		s := open(t, "graph", small(disk))
		var acknowledged atomic.Int64
		var wait sync.WaitGroup
		var mu sync.Mutex
		kept := map[int]bool{}
		var crashed *vfs.MemFS
		var before map[int]bool
		at := 1 + rand.Int64N(n-1)
		for c := range clients {
			wait.Go(func() {
				for i := c; i < n; i += clients {
					if _, err := s.Put(context.WithoutCancel(t.Context()), wordy(i, size)); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					kept[i] = true
					if acknowledged.Add(1) == at { // while the others are in the middle of something
						before = map[int]bool{}
						for i := range kept {
							before[i] = true
						}
						crashed = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * (round % 3), RNG: rand.New(rand.NewPCG(uint64(round), 0))})
					}
					mu.Unlock()
				}
			})
		}
		wait.Wait()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		again := open(t, "graph", small(crashed))
		m := graph.NewMemory()
		for i := range n {
			_, err := again.Body(t.Context(), seaworthy.SHA256(body(i)))
			switch {
			case err == nil:
				if _, err := m.Put(t.Context(), wordy(i, size)); err != nil {
					t.Fatal(err)
				}
			case before[i]:
				t.Errorf("round %d: document %d was acknowledged: %v", round, i, err)
			case seaworthy.CodeOf(err) != seaworthy.NotFound:
				t.Errorf("round %d: %v", round, err)
			}
		}
		alike(t, m, again)
		sound(t, again)
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestHeldFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "graph")
	s := open(t, dir, graph.Options{})
	for _, o := range []graph.Options{{}, {ReadOnly: true}} {
		_, err := graph.Open(t.Context(), dir, o)
		if seaworthy.CodeOf(err) != seaworthy.Conflict || seaworthy.HintOf(err) == "" {
			t.Errorf("opened twice: %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error("closed twice:", err)
	}
	if _, err := s.Put(t.Context(), document(0, 8, source(1, 0))); seaworthy.CodeOf(err) != seaworthy.Unavailable {
		t.Errorf("after Close: %v", err)
	}
}

func TestReadOnly(t *testing.T) {
	const n, size = 10, 60
	behind := vfs.NewMem()
	if _, err := graph.Open(t.Context(), "graph", graph.Options{Files: behind, ReadOnly: true}); seaworthy.CodeOf(err) != seaworthy.NotFound {
		t.Errorf("nothing to read: %v", err)
	}
	s := open(t, "graph", small(behind))
	m := graph.NewMemory()
	put(t, n, size, m, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	disk := newFaults(behind)
	disk.set(func(op errorfs.Op) error {
		if writes(op) || op.Kind == errorfs.OpLock || op.Kind == errorfs.OpRemove {
			return &os.PathError{Op: "open", Path: op.Path, Err: syscall.EROFS}
		}
		return nil
	})
	_, err := graph.Open(t.Context(), "graph", small(disk))
	if seaworthy.CodeOf(err) != seaworthy.Storage || !errors.Is(err, syscall.EROFS) {
		t.Errorf("a disk that is only read: %v", err)
	}
	o := small(disk)
	o.ReadOnly = true
	s = open(t, "graph", o)
	defer s.Close()
	same(t, m, s, size, n)
	sound(t, s)
	if _, err := s.Put(t.Context(), document(0, 8, source(1, 0))); seaworthy.CodeOf(err) != seaworthy.Forbidden {
		t.Errorf("putting: %v", err)
	}
	if err := s.AddJobs(t.Context(), graph.Job{ID: "x", Kind: "x"}); seaworthy.CodeOf(err) != seaworthy.Forbidden {
		t.Errorf("queueing: %v", err)
	}
}

// Whatever bytes of a folder are others, nothing is answered that was not written, and it is said what to do.
func TestDamagedFolder(t *testing.T) {
	const n, size = 20, 60
	dir := filepath.Join(t.TempDir(), "graph")
	s := open(t, dir, graph.Options{Cache: 1 << 20})
	m := graph.NewMemory()
	for i := range n {
		for _, x := range []graph.Store{m, s} {
			if _, err := x.Put(t.Context(), wordy(i, size)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	want, err := graph.Fingerprint(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	random := source(7, 7)
	noticed := 0
	const flips = 12
	for range flips {
		damaged := filepath.Join(t.TempDir(), "graph")
		if err := os.CopyFS(damaged, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(damaged, "*.sst"))
		if err != nil || len(files) == 0 {
			t.Fatal("no tables", err)
		}
		name := files[random.IntN(len(files))]
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[random.IntN(len(b))] ^= 1 << random.IntN(8)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := graph.Open(t.Context(), damaged, graph.Options{Cache: 1 << 20})
		if err == nil {
			got, hashErr := graph.Fingerprint(t.Context(), s)
			problems, checkErr := s.Check(t.Context())
			if err = errors.Join(hashErr, checkErr); err == nil && got != want {
				t.Errorf("%s: another graph, of which nothing is said", filepath.Base(name))
			}
			if err != nil || len(problems) > 0 {
				noticed++
			}
			_ = s.Close() // it may notice only then
		} else {
			noticed++
		}
		if err != nil && (seaworthy.CodeOf(err) != seaworthy.Mismatch && seaworthy.CodeOf(err) != seaworthy.Storage || seaworthy.HintOf(err) == "") {
			t.Errorf("%s: %q: %v, hint %q", filepath.Base(name), seaworthy.CodeOf(err), err, seaworthy.HintOf(err))
		}
	}
	if noticed < flips/2 {
		t.Errorf("of %d flipped bits %d were noticed", flips, noticed)
	}
	t.Logf("%d of %d flipped bits were noticed; the others are in nothing that is read", noticed, flips)
	if err := os.Remove(filepath.Join(dir, "CURRENT")); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	manifests, _ := filepath.Glob(filepath.Join(dir, "MANIFEST-*"))
	for _, name := range manifests {
		if err := os.WriteFile(name, []byte("rubbish"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := graph.Open(t.Context(), dir, graph.Options{}); err == nil || seaworthy.HintOf(err) == "" {
		t.Errorf("without a list of its files: %v", err)
	}
}
