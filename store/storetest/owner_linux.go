package storetest

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// owner is a user that PostgreSQL runs as: it refuses to be root.
type owner struct{ uid, gid int }

// unprivileged gives the user to run as; nil is this one.
func unprivileged() (*owner, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	return &owner{uid, gid}, err
}

// attributes have a process end with its parent.
func attributes(o *owner) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if o != nil {
		a.Credential = &syscall.Credential{Uid: uint32(o.uid), Gid: uint32(o.gid)}
	}
	return a
}
