// Package keys keeps private keys, and what belongs to them, in a folder that only its owner may read.
//
//	d, err := keys.Open(filepath.Join(dir, "keys"), nil)
//	signer, err := d.Signer("log", keys.Ed25519)
//
// A file is made once, complete or not at all, and never written again: who asks second gets what the first one
// made, also when both ask at the same time. Keys are PKCS #8 in PEM and not encrypted; the folder has mode 0700 and
// the files 0600, and keys that others may read are refused.
package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/durable"
)

// MaxBytes is the largest file read: 1 MiB, a thousand times what a key takes.
const MaxBytes = 1 << 20

// Dir is a folder of keys.
type Dir struct {
	path string
	disk *durable.Disk
}

// Open opens a folder of keys and makes it when it is not there. Errors: Forbidden when others may look into it,
// Storage.
func Open(path string, disk *durable.Disk) (*Dir, error) {
	if err := disk.MakeFolders(path); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "making the folder of keys %q", path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "looking at the folder of keys %q", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, seaworthy.Errorf(seaworthy.Forbidden, "opening the folder of keys %q: others may use it (mode %04o)", path, info.Mode().Perm()).
			WithHint("if nobody has read the keys in it, chmod 700 %s; else make new ones", path)
	}
	return &Dir{path: path, disk: disk}, nil
}

// Ed25519 makes a key for logs.
func Ed25519() (crypto.Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

// P256 makes an ECDSA key.
func P256() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// P384 makes an ECDSA key for certificates that live long.
func P384() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) }

// RSA2048 makes a key for RS256 tokens.
func RSA2048() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }

// Signer returns the key name, which is in name.key. When there is none, generate makes it.
func (d *Dir) Signer(name string, generate func() (crypto.Signer, error)) (crypto.Signer, error) {
	file := name + ".key"
	body, err := d.Keep(file, func() ([]byte, error) {
		key, err := generate()
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
	})
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(body)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) != 0 {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the key %q: not one PEM block PRIVATE KEY", d.Path(file))
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		// What the parser says may quote the key.
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the key %q: not a PKCS #8 private key", d.Path(file))
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "reading the key %q: a %T cannot sign", d.Path(file), key)
	}
	return signer, nil
}

// Path is where a file of the folder is.
func (d *Dir) Path(file string) string { return filepath.Join(d.path, file) }

// Has reports whether a file is there already.
func (d *Dir) Has(file string) bool {
	_, err := os.Lstat(d.Path(file))
	return err == nil
}

// Keep returns the content of a file. When there is none, it becomes what generate returns. Errors: Forbidden when
// others may read the file, TooLarge, Storage, and those of generate.
func (d *Dir) Keep(file string, generate func() ([]byte, error)) ([]byte, error) {
	body, err := d.read(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return body, err
	}
	body, err = generate()
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "making %q", d.Path(file))
	}
	if err := d.create(file, body); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "writing %q", d.Path(file))
	}
	return d.read(file) // somebody else's, if they were first
}

func (d *Dir) read(file string) ([]byte, error) {
	path := d.Path(file)
	f, err := os.Open(path)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "opening %q", path)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "looking at %q", path)
	case !info.Mode().IsRegular():
		return nil, seaworthy.Errorf(seaworthy.Forbidden, "opening %q: not a file", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, seaworthy.Errorf(seaworthy.Forbidden, "opening %q: others may read it (mode %04o)", path, info.Mode().Perm()).
			WithHint("if nobody has, chmod 600 %s; else a new key is needed", path)
	case info.Size() > MaxBytes:
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "opening %q: more than %d bytes", path, MaxBytes)
	}
	body, err := io.ReadAll(io.LimitReader(f, MaxBytes))
	return body, seaworthy.Wrap(err, seaworthy.Storage, "reading %q", path)
}

// create makes a file that was not there: a link, unlike a rename, does not replace one.
func (d *Dir) create(file string, body []byte) (err error) {
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return err
	}
	beside := d.Path("." + file + "." + hex.EncodeToString(random[:]))
	f, err := d.disk.Create(beside)
	if err != nil {
		return err
	}
	defer func() {
		if removed := d.disk.Remove(beside); err == nil {
			err = removed
		}
	}()
	_, err = d.disk.Write(f, body)
	if err == nil {
		err = d.disk.Sync(f)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err := d.disk.Before(durable.OpMove, d.Path(file)); err != nil {
		return err
	}
	if err := os.Link(beside, d.Path(file)); err != nil {
		return err
	}
	return d.disk.SyncFolder(d.path)
}
