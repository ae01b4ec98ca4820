//go:build kube

package kube

import (
	"os/exec"
	"syscall"
)

// endWithUs makes cmd end when the tests do, however they do.
func endWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
