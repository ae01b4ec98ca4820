package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

func space(dir string) (free, total uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	size := uint64(s.Bsize)
	return s.Bavail * size, s.Blocks * size, nil
}

// Hurry asks the system to begin writing a part of a file to the disk, so that the Sync at its end finds little
// left to do. It does not wait, and it is only a wish.
func Hurry(f *os.File, offset, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, n, unix.SYNC_FILE_RANGE_WRITE)
}
