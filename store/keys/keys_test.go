package keys

import (
	"crypto"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/durable"
)

func TestKeysAreMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "keys")
	var group sync.WaitGroup
	var mu sync.Mutex
	var all []crypto.Signer
	for range 16 { // who asks at the same time gets the same key
		group.Go(func() {
			d, err := Open(path, nil)
			if err != nil {
				t.Error(err)
				return
			}
			key, err := d.Signer("log", Ed25519)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, key)
		})
	}
	group.Wait()
	for _, key := range all {
		if !all[0].Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) {
			t.Error("two keys of one name")
		}
	}
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v %v", entries, err)
	}
	for name, mode := range map[string]os.FileMode{path: 0o700, filepath.Join(path, "log.key"): 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
}

func TestOpenKeysAreRefused(t *testing.T) {
	d, err := Open(filepath.Join(t.TempDir(), "keys"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Signer("a", P256); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o666} {
		if err := os.Chmod(d.Path("a.key"), mode); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Signer("a", P256); seaworthy.CodeOf(err) != seaworthy.Forbidden {
			t.Errorf("%o: %v", mode, err)
		}
	}
	if err := os.Chmod(filepath.Dir(d.Path("a.key")), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Dir(d.Path("a.key")), nil); seaworthy.CodeOf(err) != seaworthy.Forbidden {
		t.Errorf("an open folder: %v", err)
	}
}

func TestDamagedKeysAreNotReplaced(t *testing.T) {
	d, err := Open(filepath.Join(t.TempDir(), "keys"), nil)
	if err != nil {
		t.Fatal(err)
	}
	const canary = "canarycanary"
	for name, body := range map[string]string{
		"empty": "", "text": canary, "another block": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"no key": "-----BEGIN PRIVATE KEY-----\n" + canary + "\n-----END PRIVATE KEY-----\n",
	} {
		file := d.Path(name + ".key")
		if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := d.Signer(name, P256)
		if seaworthy.CodeOf(err) != seaworthy.Invalid || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
		if after, err := os.ReadFile(file); err != nil || string(after) != body {
			t.Errorf("%s was changed", name)
		}
	}
	if _, err := d.Chain("empty.key", func() ([]*x509.Certificate, error) { return nil, nil }); seaworthy.CodeOf(err) != seaworthy.Invalid {
		t.Errorf("an empty chain: %v", err)
	}
}

// Whatever fails while a key is written, there is then no key or a whole one.
func TestFaults(t *testing.T) {
	for _, op := range []string{durable.OpCreate, durable.OpWrite, durable.OpSync, durable.OpMove} {
		path := filepath.Join(t.TempDir(), "keys")
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		failing := true
		d, err := Open(path, &durable.Disk{Fault: func(at, _ string) error {
			if failing && at == op {
				return syscall.EIO
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Signer("a", P256); !errors.Is(err, syscall.EIO) || seaworthy.CodeOf(err) != seaworthy.Storage {
			t.Errorf("%s: %v", op, err)
		}
		failing = false
		if _, err := d.Signer("a", P256); err != nil {
			t.Errorf("after %s: %v", op, err)
		}
		if left, err := filepath.Glob(filepath.Join(path, ".*")); err != nil || len(left) > 0 {
			t.Errorf("after %s: %v is left", op, left)
		}
	}
}
