package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/storetest"
)

var update = flag.Bool("update", false, "write the expected output of scripts anew")

// tests are run with what storetest started stopped at their end.
type tests struct{ m *testing.M }

// Run implements testscript.TestingM.
func (t tests) Run() int { return storetest.Main(t.m) }

// TestMain makes this test binary be the program when a script calls it by that name.
func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){
		"seaworthy": main,
		// The program with one more verb, which waits until it is interrupted.
		"seaworthy-waiting": func() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, newWait)) },
	})
}

// TestScripts runs testdata/script/*.txtar: what is typed, and what must come back on which stream.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			for _, unset := range []string{"XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "NO_COLOR", "CLICOLOR_FORCE"} {
				env.Setenv(unset, "")
			}
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("EVIL", "\x1b[2J")
			return startRegistry(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "image": scriptImage},
	})
}

// exits STATUS COMMAND… runs a command and demands its exit status; its streams are then there for stdout,
// stderr and cmp.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND…")
	}
	err := ts.Exec(args[1], args[2:]...)
	status := 0
	if exit, ok := err.(*exec.ExitError); ok {
		status = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("running %q: %v", args[1:], err)
	}
	if got := fmt.Sprint(status); got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}

func newWait(a *app) *cobra.Command {
	return &cobra.Command{Use: "wait", RunE: func(cmd *cobra.Command, _ []string) error {
		fmt.Fprintln(a.stdout, "waiting")
		<-cmd.Context().Done()
		if a.verbose {
			select {} // as work does that does not hear
		}
		return seaworthy.Errorf(seaworthy.Unavailable, "the connection went away")
	}}
}

func TestFirstInterruptEndsTheWorkSecondTheProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, c := range []struct {
		args       []string
		interrupts int
		want       string
	}{
		{[]string{"wait"}, 1, "exit status 130"},
		{[]string{"wait", "-v"}, 2, "signal: interrupt"},
	} {
		cmd := exec.Command("seaworthy-waiting", c.args...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := stdout.Read(make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		var got error
		for sent := 0; got == nil; sent++ { // the second may come before the program has noticed the first
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil && c.interrupts == 1 {
				t.Error(err)
			}
			wait := time.Minute
			if c.interrupts > 1 {
				wait = 100 * time.Millisecond
			}
			select {
			case got = <-ended:
			case <-time.After(wait):
				if sent > 600 {
					_ = cmd.Process.Kill()
					t.Fatalf("%q does not end", c.args)
				}
			}
		}
		if got.Error() != c.want {
			t.Errorf("%q: %v, want %s", c.args, got, c.want)
		}
		if c.interrupts == 1 && !strings.Contains(stderr.String(), "seaworthy: interrupted: the connection went away") {
			t.Errorf("%q says %q", c.args, stderr.String())
		}
	}
}

// TestReferenceIsFresh compares docs/ with what the verbs say today.
func TestReferenceIsFresh(t *testing.T) {
	const docs = "../../docs"
	pages := reference(newRoot(newApp(nil, nil, nil, nil)))
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(docs, filepath.FromSlash(name)))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("docs/%s is stale: run make docs", name)
		}
	}
	for _, folder := range []string{"reference", "man"} {
		files, err := os.ReadDir(filepath.Join(docs, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if _, ok := pages[folder+"/"+f.Name()]; !ok {
				t.Errorf("docs/%s/%s speaks of a verb that is gone: delete it", folder, f.Name())
			}
		}
	}
}

// TestEveryVerbIsComplete holds the verbs to what a person needs from each.
func TestEveryVerbIsComplete(t *testing.T) {
	root := newRoot(newApp(nil, nil, nil, nil))
	groups := map[string]bool{}
	for _, g := range root.Groups() {
		groups[g.ID] = true
	}
	walkVerbs(root, func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: Short must be one line without a full stop: %q", path, cmd.Short)
		}
		if cmd.Parent() == root && !cmd.Hidden && cmd.Name() != "help" && !groups[cmd.GroupID] {
			t.Errorf("%s is in no group of the help", path)
		}
		if cmd.Run != nil || cmd.RunE == nil {
			t.Errorf("%s must have RunE, and not Run", path)
		}
		if cmd.HasSubCommands() && cmd.Args == nil {
			t.Errorf("%s has verbs below it and no Args: a misspelt verb would pass for an argument", path)
		}
		if cmd.PersistentPreRunE != nil && cmd != root {
			t.Errorf("%s has a PersistentPreRunE, which hides that of the root", path)
		}
		for line := range strings.Lines(cmd.Example) {
			words := strings.Fields(line)
			if len(words) > 0 && words[0] == "seaworthy" && verbBelow(root, words[1]) == nil {
				t.Errorf("%s: the example %q names no verb", path, strings.TrimSpace(line))
			}
		}
	})
}
