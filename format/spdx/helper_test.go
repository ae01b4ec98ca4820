package spdx_test

import (
	"os/exec"
	"strings"
	"testing"
)

// toolsGolang is the folder of the SPDX Go tools in the module cache.
func toolsGolang(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/spdx/tools-golang").Output()
	if err != nil {
		t.Skipf("SKIPPED: the module of the SPDX Go tools is not here: %v", err)
	}
	return strings.TrimSpace(string(out))
}
