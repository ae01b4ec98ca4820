package main

import (
	"bufio"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestRegistryServesUntilItIsStopped, which is no failure.
func TestRegistryServesUntilItIsStopped(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := filepath.Join(t.TempDir(), "registry")
	cmd := exec.Command("seaworthy", "registry", "serve", "--addr", "127.0.0.1:0", "--dir", dir)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	said := bufio.NewScanner(stderr)
	addr := ""
	for addr == "" && said.Scan() {
		addr, _ = strings.CutPrefix(said.Text(), "the registry is at ")
	}
	resp, err := http.Get("http://" + addr + "/v2/")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	out, err := exec.Command("seaworthy", "registry", "gc", "--dir", dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another process has it open") {
		t.Errorf("collecting under its feet: %v, %s", err, out)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	requests := 0
	for said.Scan() {
		if strings.Contains(said.Text(), "msg=request method=GET path=/v2/ status=200") {
			requests++
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("stopped: %v", err)
	}
	if requests != 1 {
		t.Errorf("%d lines for one request", requests)
	}
}
