package console

import (
	"bufio"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seaworthy-dev/seaworthy"
)

// outputBuffer is how much of a file is gathered before it is written: 64 KiB.
const outputBuffer = 64 << 10

// WriteFile makes the file name hold what fill writes. The bytes go to a new file beside it, which takes its
// place when fill has returned without error; otherwise nothing changes. A symbolic link is followed, the mode
// of a file that is replaced is kept, and what is not a regular file (/dev/null, a pipe) is written as it is.
// Errors: Storage, and those of fill.
func WriteFile(name string, fill func(io.Writer) error) error {
	target, mode := name, fs.FileMode(0o666) // less the umask, as any new file
	keepMode := false
	if resolved, err := filepath.EvalSymlinks(name); err == nil {
		info, err := os.Stat(resolved)
		switch {
		case err != nil:
			return storageError(err, name)
		case info.IsDir():
			return seaworthy.Errorf(seaworthy.Usage, "writing %q: it is a directory", name)
		case !info.Mode().IsRegular():
			return writeInPlace(name, fill)
		}
		target, mode, keepMode = resolved, info.Mode().Perm(), true
	}
	temp, err := createBeside(target, mode)
	if err != nil {
		return storageError(err, name)
	}
	defer os.Remove(temp.Name()) // after the rename there is nothing to remove
	err = fillFile(temp, name, fill)
	if err == nil && keepMode {
		err = storageError(temp.Chmod(mode), name)
	}
	if closeErr := temp.Close(); err == nil {
		err = storageError(closeErr, name)
	}
	if err != nil {
		return err
	}
	return storageError(os.Rename(temp.Name(), target), name)
}

func writeInPlace(name string, fill func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return storageError(err, name)
	}
	err = fillFile(f, name, fill)
	if closeErr := f.Close(); err == nil {
		err = storageError(closeErr, name)
	}
	return err
}

func fillFile(f *os.File, name string, fill func(io.Writer) error) error {
	buffered := bufio.NewWriterSize(f, outputBuffer)
	if err := fill(buffered); err != nil {
		return err
	}
	return storageError(buffered.Flush(), name)
}

// createBeside makes a new hidden file in target's folder, so that a rename can put it in target's place.
func createBeside(target string, mode fs.FileMode) (*os.File, error) {
	dir, base := filepath.Split(target)
	if len(base) > 100 {
		base = base[:100] // leave room for the rest within the 255 bytes a name may have
	}
	return os.OpenFile(dir+"."+base+"."+rand.Text()[:10]+".tmp", os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
}

func storageError(err error, name string) error {
	if err == nil {
		return nil
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err // the name is said once, by us
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		err = link.Err
	}
	wrapped := seaworthy.Errorf(seaworthy.Storage, "writing %q: %w", name, err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		wrapped = wrapped.WithHint("its folder must exist: mkdir -p %q", filepath.Dir(name))
	case errors.Is(err, fs.ErrPermission):
		wrapped = wrapped.WithHint("choose a file in a folder you may write to")
	}
	return wrapped
}
