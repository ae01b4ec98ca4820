package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestReadmeRuns runs the blocks of README.md that start with "```sh run", in their order, in one empty folder,
// as one script: what a person types must work, line by line.
func TestReadmeRuns(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not here to run the README with")
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	script, blocks := runnable(string(readme))
	if blocks == 0 {
		t.Fatal("README.md has no block to run")
	}
	cmd := exec.Command(bash, "-euxo", "pipefail", "-c", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=", "XDG_CACHE_HOME=", "XDG_DATA_HOME=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// runnable joins the blocks to one script.
func runnable(markdown string) (script string, blocks int) {
	inside := false
	var b strings.Builder
	for line := range strings.Lines(markdown) {
		switch text := strings.TrimSpace(line); {
		case text == "```sh run":
			inside = true
			blocks++
			fmt.Fprintf(&b, "# block %d\n", blocks)
		case strings.HasPrefix(text, "```"):
			inside = false
		case inside:
			b.WriteString(line)
		}
	}
	return b.String(), blocks
}

func TestRunnableBlocks(t *testing.T) {
	script, blocks := runnable("a\n```sh run\none\n```\n```sh\ntwo\n```\n```sh run\nthree\n```\n")
	if script != "# block 1\none\n# block 2\nthree\n" || blocks != 2 {
		t.Errorf("%d: %q", blocks, script)
	}
}
