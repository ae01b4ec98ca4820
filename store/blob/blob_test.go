package blob

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/durable"
)

var bg = context.Background()

func open(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(b)
	return b
}

func sha512Of(b []byte) seaworthy.Digest {
	sum := sha512.Sum512(b)
	return seaworthy.Digest("sha512:" + hex.EncodeToString(sum[:]))
}

func (s *Store) mustHave(t *testing.T, d seaworthy.Digest, want []byte) {
	t.Helper()
	c, err := s.Get(d)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) || c.Size != int64(len(want)) {
		t.Fatalf("blob %s has %d bytes and says %d, want %d; %v", d.Short(), len(got), c.Size, len(want), err)
	}
}

func (s *Store) mustNotHave(t *testing.T, d seaworthy.Digest) {
	t.Helper()
	if c, err := s.Get(d); seaworthy.CodeOf(err) != seaworthy.NotFound {
		c.Close()
		t.Fatalf("blob %s: %v, want that there is none", d.Short(), err)
	}
}

// mustBeTidy fails when an upload is left behind.
func (s *Store) mustBeTidy(t *testing.T) {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(s.dir, "uploads"))
	if err != nil || len(files) != 0 {
		t.Fatalf("left in uploads: %v, %v", files, err)
	}
}

func wantCode(t *testing.T, err error, code seaworthy.Code) {
	t.Helper()
	if seaworthy.CodeOf(err) != code {
		t.Fatalf("got %v (%s), want %s", err, seaworthy.CodeOf(err), code)
	}
}

// sizes are around the borders of chunks.
var sizes = []int{0, 1, 1000, chunkBytes - 1, chunkBytes, chunkBytes + 1, 2 * chunkBytes, 3*chunkBytes + 17, hurryBytes + chunkBytes}

func TestAdd(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for _, n := range sizes {
		b := random(n)
		for _, d := range []seaworthy.Digest{seaworthy.SHA256(b), sha512Of(b)} {
			for range 2 { // the second time it is there already
				if got, err := s.Add(bg, d, iotest.HalfReader(bytes.NewReader(b))); err != nil || got != int64(n) {
					t.Fatalf("%d bytes: %d, %v", n, got, err)
				}
				s.mustHave(t, d, b)
			}
			if size, err := s.Stat(d); err != nil || size != int64(n) {
				t.Fatalf("%d, %v", size, err)
			}
		}
	}
	s.mustBeTidy(t)
}

func TestWhatIsNotKept(t *testing.T) {
	b := random(chunkBytes + 5)
	d := seaworthy.SHA256(b)
	for name, c := range map[string]struct {
		body io.Reader
		want seaworthy.Digest
		code seaworthy.Code
	}{
		"other bytes":     {bytes.NewReader(random(10)), d, seaworthy.Mismatch},
		"a part":          {bytes.NewReader(b[:chunkBytes]), d, seaworthy.Mismatch},
		"a broken body":   {io.MultiReader(bytes.NewReader(b[:100]), iotest.ErrReader(io.ErrUnexpectedEOF)), d, seaworthy.Unavailable},
		"a broken long":   {io.MultiReader(bytes.NewReader(b), iotest.ErrReader(errors.New("reset"))), d, seaworthy.Unavailable},
		"whole, then cut": {io.MultiReader(bytes.NewReader(b), iotest.ErrReader(io.ErrUnexpectedEOF)), d, seaworthy.Unavailable},
		"too much":        {bytes.NewReader(random(4*chunkBytes + 1)), d, seaworthy.TooLarge},
		"no name":         {bytes.NewReader(b), "sha256:../../../etc/passwd", seaworthy.Invalid},
		"another digest":  {bytes.NewReader(b), "md5:d41d8cd98f00b204e9800998ecf8427e", seaworthy.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir(), Options{MaxBytes: 4 * chunkBytes})
			_, err := s.Add(bg, c.want, c.body)
			wantCode(t, err, c.code)
			if c.want == d {
				s.mustNotHave(t, d)
			}
			s.mustBeTidy(t)
		})
	}
}

func TestUpload(t *testing.T) {
	for _, algorithm := range []string{"", "sha256", "sha512"} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s restart=%t", algorithm, restart), func(t *testing.T) {
				dir := t.TempDir()
				s := open(t, dir, Options{})
				b := random(3*chunkBytes + 99)
				id, err := s.Start("me", algorithm)
				if err != nil {
					t.Fatal(err)
				}
				cuts := []int{0, 10, 10, chunkBytes + 20, len(b) - 7}
				for i := 1; i < len(cuts); i++ {
					at := int64(cuts[i-1])
					if i%2 == 0 {
						at = AnyOffset
					}
					n, err := s.Append(bg, "me", id, at, bytes.NewReader(b[cuts[i-1]:cuts[i]]))
					if err != nil || n != int64(cuts[i]) {
						t.Fatalf("%d, %v", n, err)
					}
					if restart {
						s = open(t, dir, Options{})
						if n, err := s.Status(bg, "me", id); err != nil || n != int64(cuts[i]) {
							t.Fatalf("after a restart: %d, %v", n, err)
						}
					}
				}
				n, err := s.Append(bg, "me", id, 5, strings.NewReader("out of order"))
				if !errors.Is(err, ErrOffset) || n != int64(len(b)-7) {
					t.Fatalf("%d, %v", n, err)
				}
				for _, stranger := range [][2]string{{"you", id}, {"me", newID()}, {"me", "../" + id}, {"me", id + ".json"}} {
					_, err := s.Status(bg, stranger[0], stranger[1])
					wantCode(t, err, seaworthy.NotFound)
				}
				d := sha512Of(b) // with another algorithm it is read again
				if n, err := s.Finish(bg, "me", id, int64(len(b)-7), d, bytes.NewReader(b[len(b)-7:])); err != nil || n != int64(len(b)) {
					t.Fatalf("%d, %v", n, err)
				}
				s.mustHave(t, d, b)
				_, err = s.Status(bg, "me", id)
				wantCode(t, err, seaworthy.NotFound)
				s.mustBeTidy(t)
			})
		}
	}
}

func TestUploadThatBreaksOffGoesOn(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	b := random(2*chunkBytes + 10)
	id, err := s.Start("me", "")
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.Append(bg, "me", id, 0, io.MultiReader(bytes.NewReader(b[:chunkBytes+3]), iotest.ErrReader(io.ErrUnexpectedEOF)))
	if !errors.Is(err, ErrCut) || n != chunkBytes+3 {
		t.Fatalf("%d, %v", n, err)
	}
	if n, err := s.Status(bg, "me", id); err != nil || n != chunkBytes+3 {
		t.Fatalf("%d, %v", n, err)
	}
	d := seaworthy.SHA256(b)
	if _, err := s.Finish(bg, "me", id, n, d, bytes.NewReader(b[n:])); err != nil {
		t.Fatal(err)
	}
	s.mustHave(t, d, b)
}

func TestUploadOfOtherBytesIsGone(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	id, err := s.Start("me", "")
	if err != nil {
		t.Fatal(err)
	}
	d := seaworthy.SHA256([]byte("what was promised"))
	_, err = s.Finish(bg, "me", id, AnyOffset, d, strings.NewReader("something else"))
	wantCode(t, err, seaworthy.Mismatch)
	s.mustNotHave(t, d)
	s.mustBeTidy(t)
}

func TestCancelAndPurge(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{MaxUploads: 3})
	var ids []string
	for range 3 {
		id, err := s.Start("me", "")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	_, err := s.Start("me", "")
	wantCode(t, err, seaworthy.Unavailable)
	if err := s.Cancel(bg, "me", ids[0]); err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.Cancel(bg, "me", ids[0]), seaworthy.NotFound)
	if n, err := s.Purge(time.Now().Add(-time.Hour)); n != 0 || err != nil {
		t.Fatalf("%d, %v: they are young", n, err)
	}
	s = open(t, dir, Options{}) // one of them is known again, the other is only a file
	if _, err := s.Status(bg, "me", ids[1]); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Purge(time.Now().Add(time.Hour)); n != 2 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	s.mustBeTidy(t)
}

func TestEachAndRemove(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	want := map[seaworthy.Digest]int64{}
	for i := range 20 {
		b := random(i * 10)
		d := seaworthy.SHA256(b)
		if i%3 == 0 {
			d = sha512Of(b)
		}
		if _, err := s.Add(bg, d, bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		want[d] = int64(len(b))
	}
	if err := os.WriteFile(filepath.Join(s.dir, "blobs", "sha256", "stray"), nil, 0o600); err == nil {
		if err := s.Each(func(seaworthy.Digest, int64, time.Time) error { return nil }); err == nil {
			t.Error("a file where folders are passes for one")
		}
		os.Remove(filepath.Join(s.dir, "blobs", "sha256", "stray"))
	}
	err := s.Each(func(d seaworthy.Digest, size int64, modified time.Time) error {
		if want[d] != size || time.Since(modified) > time.Hour {
			t.Errorf("%s: %d bytes, want %d", d.Short(), size, want[d])
		}
		delete(want, d)
		return s.Remove(d)
	})
	if err != nil || len(want) != 0 {
		t.Fatalf("%v; not seen: %v", err, want)
	}
	if err := s.Remove(seaworthy.SHA256(nil)); err != nil {
		t.Error("removing what is not there:", err)
	}
}

// TestFaults makes every operation of the disk fail in turn. Nothing is acknowledged, nothing half is seen, and
// it works again afterwards.
func TestFaults(t *testing.T) {
	b := random(2*chunkBytes + 1)
	d := seaworthy.SHA256(b)
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO} {
		for _, op := range []string{durable.OpCreate, durable.OpWrite, durable.OpSync, durable.OpMove} {
			for nth := range 3 {
				t.Run(fmt.Sprintf("%s of %s number %d", errno, op, nth), func(t *testing.T) {
					left, broken := nth, false
					disk := &durable.Disk{}
					s := open(t, t.TempDir(), Options{Disk: disk})
					disk.Fault = func(o, _ string) error {
						if o != op {
							return nil
						}
						if left--; left < 0 {
							broken = true
							return errno
						}
						return nil
					}
					_, err := s.Add(bg, d, bytes.NewReader(b))
					if broken != (err != nil) {
						t.Fatalf("the disk failed: %t; Add says %v", broken, err)
					}
					if broken {
						wantCode(t, err, seaworthy.Storage)
						if errors.Is(err, ErrFull) != (errno == syscall.ENOSPC) {
							t.Errorf("%v", err)
						}
					}
					if _, err := s.Get(d); err == nil {
						s.mustHave(t, d, b) // the last sync may fail when all is done but the promise
					}
					s.mustBeTidy(t)
					disk.Fault = nil
					if _, err := s.Add(bg, d, bytes.NewReader(b)); err != nil {
						t.Fatal("afterwards:", err)
					}
					s.mustHave(t, d, b)
				})
			}
		}
	}
}

func TestFullDiskDuringAnUpload(t *testing.T) {
	free := uint64(1 << 30)
	disk := &durable.Disk{Free: func(string) (uint64, uint64, error) { return free, 2 << 30, nil }}
	s := open(t, t.TempDir(), Options{Disk: disk})
	id, err := s.Start("me", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(bg, "me", id, 0, strings.NewReader("first")); err != nil {
		t.Fatal(err)
	}
	free = 1 << 20
	if _, err := s.Append(bg, "me", id, 5, strings.NewReader("second")); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	s.mustBeTidy(t) // what it had is what is missing
	if err := s.Check(); !errors.Is(err, ErrFull) {
		t.Error("health:", err)
	}
	if _, err := s.Start("me", ""); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	free = 1 << 30
	if err := s.Check(); err != nil {
		t.Error("health:", err)
	}
	if _, err := s.Add(bg, seaworthy.SHA256(nil), strings.NewReader("")); err != nil {
		t.Error(err)
	}
}

// TestRoomRunsOut: the free space is looked at again while a long body comes.
func TestRoomRunsOut(t *testing.T) {
	looks := 0
	disk := &durable.Disk{Free: func(string) (uint64, uint64, error) {
		if looks++; looks > 1 {
			return 0, 1 << 40, nil
		}
		return 1 << 39, 1 << 40, nil
	}}
	s := open(t, t.TempDir(), Options{Disk: disk})
	b := make([]byte, checkBytes+chunkBytes)
	if _, err := s.Add(bg, seaworthy.SHA256(b), bytes.NewReader(b)); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	s.mustBeTidy(t)
}

func TestOneAtATime(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	id, err := s.Start("me", "")
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	ended := make(chan error)
	go func() {
		_, err := s.Append(bg, "me", id, 0, r)
		ended <- err
	}()
	if _, err := w.Write([]byte("x")); err != nil { // it has its turn now
		t.Fatal(err)
	}
	hurry, cancel := context.WithCancel(bg)
	cancel()
	_, err = s.Append(hurry, "me", id, AnyOffset, strings.NewReader("y"))
	wantCode(t, err, seaworthy.Conflict)
	if n, err := s.Purge(time.Now().Add(time.Hour)); n != 0 || err != nil {
		t.Errorf("purged %d of what is being received, %v", n, err)
	}
	w.Close()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if n, err := s.Append(bg, "me", id, 1, strings.NewReader("y")); n != 2 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
}

func TestManyAtOnce(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			b := random(chunkBytes*(i%4) + i%3) // some are the same
			d := seaworthy.SHA256(b)
			id, err := s.Start("me", "")
			if err == nil {
				_, err = s.Append(bg, "me", id, 0, bytes.NewReader(b[:len(b)/2]))
			}
			if err == nil {
				_, err = s.Finish(bg, "me", id, int64(len(b)/2), d, bytes.NewReader(b[len(b)/2:]))
			}
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := s.Stat(d); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s.mustBeTidy(t)
}

// TestPurgeLeavesAlone what is being received in one go: it has no session.
func TestPurgeLeavesAlone(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	r, w := io.Pipe()
	ended := make(chan error)
	go func() {
		_, err := s.Add(bg, seaworthy.SHA256([]byte("xy")), r)
		ended <- err
	}()
	if _, err := w.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Purge(time.Now().Add(time.Hour)); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := w.Write([]byte("y")); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
