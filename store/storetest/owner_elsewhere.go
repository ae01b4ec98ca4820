//go:build !linux

package storetest

import "syscall"

// owner is a user that PostgreSQL runs as.
type owner struct{ uid, gid int }

// unprivileged gives the user to run as: this one.
func unprivileged() (*owner, error) { return nil, nil }

func attributes(*owner) *syscall.SysProcAttr { return nil }
