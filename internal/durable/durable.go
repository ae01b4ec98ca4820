// Package durable makes files and folders that are still there after the power went away.
//
// A file is safe when its bytes are on the disk, its name is, and so is the name of every folder above it. The
// order is always: write, Sync the file, MakeFolders, Move to its name (which syncs the folder). Whoever says
// "kept" to somebody else says it after Move has returned.
//
// Every call goes through a Disk, so that tests can make the disk fail where and when they want.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// The operations that a Disk's Fault is asked about.
const (
	OpCreate = "create" // a file or folder
	OpWrite  = "write"
	OpSync   = "sync" // a file or folder
	OpMove   = "move"
	OpRemove = "remove"
)

// Disk is the file system. The zero value and nil are the real one.
type Disk struct {
	// Fault, when set, is asked before every operation; an error it returns is what the operation fails with.
	Fault func(op, path string) error
	// Free, when set, says how many bytes of how many are free, instead of asking the system.
	Free func(dir string) (free, total uint64, err error)
}

// Before is what every operation begins with. Whoever writes by other means than a Disk calls it too, so that
// tests reach that as well.
func (d *Disk) Before(op, path string) error {
	if d == nil || d.Fault == nil {
		return nil
	}
	if err := d.Fault(op, path); err != nil {
		return &fs.PathError{Op: op, Path: path, Err: err}
	}
	return nil
}

// Create makes a file that was not there before, for reading and writing by its owner.
func (d *Disk) Create(name string) (*os.File, error) {
	if err := d.Before(OpCreate, name); err != nil {
		return nil, err
	}
	return os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}

// Write writes b at the file's offset. It may write a part and fail.
func (d *Disk) Write(f *os.File, b []byte) (int, error) {
	if err := d.Before(OpWrite, f.Name()); err != nil {
		return 0, err
	}
	return f.Write(b)
}

// Sync returns when the file's bytes are on the disk. After an error nobody knows which of them are: the file is
// to be thrown away, because a second Sync would succeed without having written anything.
func (d *Disk) Sync(f *os.File) error {
	if err := d.Before(OpSync, f.Name()); err != nil {
		return err
	}
	return f.Sync()
}

// SyncFolder returns when the names in a folder are on the disk.
func (d *Disk) SyncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return d.Sync(f)
}

// MakeFolders makes a folder and those above it which are missing, and syncs the folder above each it made.
func (d *Disk) MakeFolders(dir string) error {
	var missing []string
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err == nil {
			if !info.IsDir() {
				return &fs.PathError{Op: "mkdir", Path: at, Err: syscall.ENOTDIR}
			}
			break
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		missing = append(missing, at)
		if at == filepath.Dir(at) {
			break
		}
	}
	for i := len(missing) - 1; i >= 0; i-- {
		if err := d.Before(OpCreate, missing[i]); err != nil {
			return err
		}
		if err := os.Mkdir(missing[i], 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := d.SyncFolder(filepath.Dir(missing[i])); err != nil {
			return err
		}
	}
	return nil
}

// Move gives a file its final name, in place of what had that name, and syncs the folder it is now in. Seen from
// outside it happens at once.
func (d *Disk) Move(from, to string) error {
	if err := d.Before(OpMove, to); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return d.SyncFolder(filepath.Dir(to))
}

// Remove removes a file. That there was none is no error.
func (d *Disk) Remove(name string) error {
	if err := d.Before(OpRemove, name); err != nil {
		return err
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// WriteFile writes a whole small file: after a crash it has its old content or the new one. It is written beside
// name first, as name and ".new".
func (d *Disk) WriteFile(name string, b []byte) error {
	beside := name + ".new"
	if err := d.Remove(beside); err != nil {
		return err
	}
	f, err := d.Create(beside)
	if err != nil {
		return err
	}
	_, err = d.Write(f, b)
	if err == nil {
		err = d.Sync(f)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = d.Move(beside, name)
	}
	if err != nil {
		_ = os.Remove(beside)
	}
	return err
}

// Space says how many bytes can still be written below dir, and how large the file system is. Where the system
// does not say, both are 0.
func (d *Disk) Space(dir string) (free, total uint64, err error) {
	if d != nil && d.Free != nil {
		return d.Free(dir)
	}
	return space(dir)
}

// Full reports whether an error means that there is no room: on the disk, or in somebody's quota.
func Full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
