//go:build !linux

package durable

import "os"

func space(string) (free, total uint64, err error) { return 0, 0, nil }

// Hurry does nothing here.
func Hurry(*os.File, int64, int64) {}
