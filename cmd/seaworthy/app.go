package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// app is what every verb has at hand. The streams and settings are final when a verb's RunE is called.
type app struct {
	args   []string // the command line
	getenv func(string) string
	build  buildInfo

	stdin    io.Reader
	stdout   *console.Stream
	stderr   *console.Stream
	progress *console.Progress // also the io.Writer for talk while bars may be shown

	quiet    bool
	verbose  bool
	colour   console.ColourMode
	settings *settings        // nil until they were needed
	outputs  *console.Outputs // of the verb that runs; nil when it has none
	started  bool             // a verb's RunE was called: what fails now is not the command line
}

func newApp(args []string, stdin io.Reader, stdout, stderr io.Writer) *app {
	a := &app{args: args, getenv: os.Getenv, build: readBuildInfo(), stdin: stdin}
	a.openStreams(stdout, stderr)
	return a
}

// openStreams is called again once --color and --quiet are known.
func (a *app) openStreams(stdout, stderr io.Writer) {
	a.stdout = console.NewStream(stdout, a.colour, a.getenv)
	a.stderr = console.NewStream(stderr, a.colour, a.getenv)
	a.progress = console.NewProgress(a.stderr, a.quiet)
}

// prepare runs before every verb: it fills flags that were not given from the environment and the configuration
// files, and opens the streams as the flags say.
func (a *app) prepare(cmd *cobra.Command, _ []string) error {
	if out := cmd.Flags().Lookup("output"); out != nil {
		a.outputs, _ = out.Value.(*console.Outputs)
	}
	if !readsNoSettings(cmd) {
		if err := a.applySettings(cmd); err != nil {
			return err
		}
	}
	a.openStreams(a.stdout.Writer, a.stderr.Writer)
	return nil
}

// outputFlag gives a verb -o with its formats, the default first.
func (a *app) outputFlag(cmd *cobra.Command, formats ...string) *console.Outputs {
	o := console.NewOutputs(formats...)
	cmd.Flags().VarP(o, "output", "o", "format, and file if not to stdout; may be repeated. Formats: "+strings.Join(formats, ", "))
	// This fails only when the flag is missing or has a completion already.
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	return o
}

// warn tells the person about something that did not stop the work.
func (a *app) warn(format string, args ...any) {
	fmt.Fprintf(a.progress, "%s %s\n", a.stderr.Paint(console.Yellow, "warning:"), console.Escape(fmt.Sprintf(format, args...)))
}

// note tells the person something worth knowing, unless --quiet.
func (a *app) note(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.progress, "%s\n", console.Escape(fmt.Sprintf(format, args...)))
	}
}

// detail tells the person more, with --verbose.
func (a *app) detail(format string, args ...any) {
	if a.verbose {
		a.note(format, args...)
	}
}

// dataDir is where the program keeps what must not be lost: SEAWORTHY_DATA_DIR, or seaworthy in
// $XDG_DATA_HOME, which is ~/.local/share by default. It need not exist.
func (a *app) dataDir() (string, error) {
	return a.ownDir("SEAWORTHY_DATA_DIR", "XDG_DATA_HOME", ".local/share")
}

// cacheDir is where it keeps what can be made again: SEAWORTHY_CACHE_DIR, or seaworthy in $XDG_CACHE_HOME, which
// is ~/.cache by default. It need not exist.
func (a *app) cacheDir() (string, error) {
	return a.ownDir("SEAWORTHY_CACHE_DIR", "XDG_CACHE_HOME", ".cache")
}

// configDir is where the person's own settings are.
func (a *app) configDir() (string, error) {
	return a.ownDir("", "XDG_CONFIG_HOME", ".config")
}

func (a *app) ownDir(own, xdg, below string) (string, error) {
	if own != "" {
		if dir := a.getenv(own); dir != "" {
			return filepath.Clean(dir), nil
		}
	}
	// The XDG base directory specification says to ignore relative paths.
	if dir := a.getenv(xdg); filepath.IsAbs(dir) {
		return filepath.Join(dir, "seaworthy"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		e := seaworthy.Errorf(seaworthy.Usage, "finding the home folder: %w", err)
		if own != "" {
			return "", e.WithHint("set %s", own)
		}
		return "", e.WithHint("set %s", xdg)
	}
	return filepath.Join(home, filepath.FromSlash(below), "seaworthy"), nil
}

// errorsAsJSON reports whether -o json was asked for. The command line is looked at as it is, because it may be
// what is wrong.
func (a *app) errorsAsJSON() bool {
	if a.outputs != nil && a.outputs.Has("json") {
		return true
	}
	for i, arg := range a.args {
		var value string
		switch {
		case arg == "--":
			return false
		case (arg == "-o" || arg == "--output") && i+1 < len(a.args):
			value = a.args[i+1]
		case strings.HasPrefix(arg, "--output="):
			value = strings.TrimPrefix(arg, "--output=")
		case strings.HasPrefix(arg, "-o"):
			value = strings.TrimPrefix(strings.TrimPrefix(arg, "-o"), "=")
		}
		if value == "json" || strings.HasPrefix(value, "json=") {
			return true
		}
	}
	return false
}

// noteStart makes every verb say when it has been reached.
func (a *app) noteStart(cmd *cobra.Command) {
	if inner := cmd.RunE; inner != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			a.started = true
			return inner(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() { // as deep as our own tree of verbs
		a.noteStart(sub)
	}
}
