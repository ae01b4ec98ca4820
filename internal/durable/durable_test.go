package durable

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestOrder holds the order of operations: what is acknowledged must not depend on one that comes later.
func TestOrder(t *testing.T) {
	dir := t.TempDir()
	var did []string
	d := &Disk{Fault: func(op, path string) error {
		rel, _ := filepath.Rel(dir, path)
		did = append(did, op+" "+filepath.ToSlash(rel))
		return nil
	}}
	if err := d.MakeFolders(filepath.Join(dir, "a", "b")); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteFile(filepath.Join(dir, "a", "b", "f"), []byte("x")); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"create a", "sync .", "create a/b", "sync a",
		"remove a/b/f.new", "create a/b/f.new", "write a/b/f.new", "sync a/b/f.new", "move a/b/f", "sync a/b",
	}
	if !slices.Equal(did, want) {
		t.Errorf("did\n%s\nwant\n%s", strings.Join(did, "\n"), strings.Join(want, "\n"))
	}
}

func TestWriteFileFailsWhole(t *testing.T) {
	for _, op := range []string{OpCreate, OpWrite, OpSync, OpMove} {
		dir := t.TempDir()
		name := filepath.Join(dir, "f")
		if err := (*Disk)(nil).WriteFile(name, []byte("old")); err != nil {
			t.Fatal(err)
		}
		d := &Disk{Fault: func(o, _ string) error {
			if o == op {
				return syscall.ENOSPC
			}
			return nil
		}}
		err := d.WriteFile(name, []byte("new"))
		if !Full(err) {
			t.Errorf("%s: %v, want that the disk is full", op, err)
		}
		if b, err := os.ReadFile(name); err != nil || string(b) != "old" {
			t.Errorf("%s: the file has %q, %v", op, b, err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("%s: left behind: %v", op, left)
		}
	}
}

func TestMakeFoldersOverAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := new(Disk).MakeFolders(filepath.Join(name, "x")); !errors.Is(err, syscall.ENOTDIR) {
		t.Error(err)
	}
}

func TestSpace(t *testing.T) {
	free, total, err := new(Disk).Space(t.TempDir())
	if err != nil || free > total {
		t.Errorf("%d of %d, %v", free, total, err)
	}
}
