//go:build kube && !linux

package kube

import "os/exec"

// endWithUs can do nothing here: tests that are killed leave their cluster behind.
func endWithUs(*exec.Cmd) {}
