package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// verbs is the list of all verbs, in the order in which help shows them within a group.
func verbs(a *app) []*cobra.Command {
	return []*cobra.Command{
		newInspect(a),
		newSBOM(a),
		newDeps(a),
		newScan(a),
		newAdvisories(a),
		newUp(a),
		newRegistry(a),
		newOCI(a),
		newKeygen(a),
		newSign(a),
		newAttest(a),
		newVerify(a),
		newGate(a),
		newTrust(a),
		newLog(a),
		newGraph(a),
		newCA(a),
		newTSA(a),
		newDemo(a),
		newCache(a),
		newConfig(a),
		newVersion(a),
		newCompletion(a),
		newDocs(a),
	}
}

// The groups of verbs in the help.
const (
	lookGroup  = "look"  // find out what something is
	trustGroup = "trust" // who made it
	gateGroup  = "gate"  // may it run
	keepGroup  = "keep"  // have it somewhere
	ownGroup   = "own"   // the program itself
)

func newRoot(a *app) *cobra.Command {
	cobra.EnableCommandSorting = false
	root := &cobra.Command{
		Use:   "seaworthy",
		Short: "What is it, who says so, and may it sail?",
		Long: `Seaworthy answers one question about anything you are about to run:
what is it, who says so, and may it sail?`,
		Args:              noSuchVerb,
		RunE:              needsVerb,
		PersistentPreRunE: a.prepare,
		SilenceErrors:     true, // run prints them
		SilenceUsage:      true,
		Version:           a.build.Version,
	}
	root.SetVersionTemplate("seaworthy {{.Version}}\n")
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(a.flagError)
	root.CompletionOptions.DisableDefaultCmd = true // we have our own
	root.AddGroup(
		&cobra.Group{ID: lookGroup, Title: "Look at something:"},
		&cobra.Group{ID: trustGroup, Title: "Who says so:"},
		&cobra.Group{ID: gateGroup, Title: "May it sail:"},
		&cobra.Group{ID: keepGroup, Title: "Where it lives:"},
		&cobra.Group{ID: ownGroup, Title: "Seaworthy itself:"},
	)
	root.SetHelpCommandGroupID(ownGroup)
	root.SetHelpCommand(newHelp())
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { writeHelp(cmd.OutOrStdout(), cmd) })

	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "no progress and no notes; warnings and errors are still shown")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "say more about what is being done")
	flags.Var(&a.colour, "color", "colour in tables and messages")
	projectMaySet(flags, "color")
	root.AddCommand(verbs(a)...)
	return root
}

// noSuchVerb is the Args of every command that only has verbs below it.
func noSuchVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := seaworthy.Errorf(seaworthy.Usage, "%s has no verb %q", cmd.CommandPath(), args[0])
	if near := nearestVerb(cmd, args[0]); near != "" {
		return err.WithHint("did you mean %s %s?", cmd.CommandPath(), near)
	}
	return err.WithHint("%s --help lists its verbs", cmd.CommandPath())
}

// nearestVerb is the verb below cmd that was most likely meant, or "".
func nearestVerb(cmd *cobra.Command, word string) string {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			names = append(names, append([]string{sub.Name()}, sub.Aliases...)...)
		}
	}
	return console.Nearest(word, names)
}

// needsVerb is the RunE of such a command: its help, on stderr, because nothing was asked for.
func needsVerb(cmd *cobra.Command, _ []string) error {
	cmd.SetOut(cmd.ErrOrStderr())
	if err := cmd.Help(); err != nil {
		return seaworthy.Wrap(err, seaworthy.Internal, "writing the help")
	}
	return seaworthy.Errorf(seaworthy.Usage, "%s needs a verb", cmd.CommandPath()).WithHint("choose one from the list above")
}

// takes is the Args of a verb with exactly these arguments, as the help names them. example is a whole command
// line that would work.
func takes(example string, names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return seaworthy.Errorf(seaworthy.Usage, "%s needs %s", cmd.CommandPath(), strings.Join(names[len(args):], " and ")).
				WithHint("for example: %s", example)
		case len(args) > len(names) && len(names) == 0:
			return seaworthy.Errorf(seaworthy.Usage, "%s takes no argument, but was given %q", cmd.CommandPath(), args[0])
		case len(args) > len(names):
			if sub := nearestVerb(cmd, args[0]); sub != "" { // "sbom chek FILE"
				return seaworthy.Errorf(seaworthy.Usage, "%s has no verb %q", cmd.CommandPath(), args[0]).
					WithHint("did you mean %s %s?", cmd.CommandPath(), sub)
			}
			return seaworthy.Errorf(seaworthy.Usage, "%s takes %s and nothing more, but was also given %q",
				cmd.CommandPath(), strings.Join(names, " and "), args[len(names)]).WithHint("for example: %s", example)
		}
		return nil
	}
}

// takesMany is the Args of a verb with one or more arguments of a kind.
func takesMany(example, name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return seaworthy.Errorf(seaworthy.Usage, "%s needs at least one %s", cmd.CommandPath(), name).
				WithHint("for example: %s", example)
		}
		return nil
	}
}

// flagError turns what the flag library says into an error with a hint.
func (a *app) flagError(cmd *cobra.Command, err error) error {
	if cmd.HasAvailableSubCommands() && !cmd.HasParent() && len(a.args) > 0 && !strings.HasPrefix(a.args[0], "-") {
		return noSuchVerb(cmd, a.args[:1]) // "seaworthy inspct --x": the verb is the mistake, not its flag
	}
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		return unknownFlag(cmd, unknown)
	case errors.As(err, &invalid):
		return seaworthy.Wrap(invalid.Unwrap(), seaworthy.Usage, "reading --%s", invalid.GetFlag().Name)
	}
	return seaworthy.Errorf(seaworthy.Usage, "%w", err).WithHint("%s --help lists its flags", cmd.CommandPath())
}

func unknownFlag(cmd *cobra.Command, unknown *pflag.NotExistError) error {
	given := "--" + unknown.GetSpecifiedName()
	if unknown.GetSpecifiedShortnames() != "" {
		given = "-" + unknown.GetSpecifiedName()
	}
	err := seaworthy.Errorf(seaworthy.Usage, "%s has no flag %s", cmd.CommandPath(), given)
	if near := console.Nearest(unknown.GetSpecifiedName(), flagNames(cmd)); near != "" && unknown.GetSpecifiedShortnames() == "" {
		return err.WithHint("did you mean --%s?", near)
	}
	return err.WithHint("%s --help lists its flags", cmd.CommandPath())
}

// flagNames lists a command's flags by their long names, its own first.
func flagNames(cmd *cobra.Command) []string {
	var names []string
	add := func(f *pflag.Flag) {
		if !f.Hidden && !slices.Contains(names, f.Name) {
			names = append(names, f.Name)
		}
	}
	cmd.NonInheritedFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	return names
}
