// Command seaworthy answers one question about anything you are about to run: what is it, who says so, and may
// it sail?
//
// This package is the command line and nothing else: each file is a verb that turns flags into one call of an
// engine and prints what comes back. It is the only place where the parts of the program meet.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

func main() {
	os.Exit(run(commandLine(os.Args), os.Stdin, os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit status. Verbs in extra are added for tests.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer, extra ...func(*app) *cobra.Command) int {
	// The first Ctrl-C cancels the context, so that work ends cleanly; from then on signals do what they do by
	// default, so the second one ends the program at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	a := newApp(args, stdin, stdout, stderr)
	root := newRoot(a)
	for _, verb := range extra {
		root.AddCommand(verb(a))
	}
	a.noteStart(root)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	a.progress.Close()
	err = a.classify(ctx, err)
	console.PrintError(a.stderr, err, a.errorsAsJSON())
	return seaworthy.ExitStatus(err)
}

// classify gives errors that did not come from an engine their code.
func (a *app) classify(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && seaworthy.CodeOf(err) != seaworthy.Interrupted:
		// Whatever broke first when the work was cancelled, the person is why.
		return &seaworthy.Error{Code: seaworthy.Interrupted, Doing: "interrupted", Err: err}
	case !a.started && seaworthy.CodeOf(err) == seaworthy.Internal:
		return seaworthy.Errorf(seaworthy.Usage, "%w", err) // cobra's own: a required flag is missing …
	}
	return err
}
