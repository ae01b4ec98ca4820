//go:build unix

package graph

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
)

// locked says whether an error of locking a folder means that somebody else holds it.
func locked(err error) bool {
	var open *fs.PathError // the lock's file could not even be opened
	if errors.As(err, &open) {
		return false
	}
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) || strings.Contains(err.Error(), "lock held by current process")
}
