package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
)

// writeHelp writes the help of a verb: what it does, how it is called, examples, the verbs below it, its flags.
func writeHelp(w io.Writer, cmd *cobra.Command) {
	if cmd.Long != "" {
		fmt.Fprintf(w, "%s\n\n", cmd.Long)
	} else {
		fmt.Fprintf(w, "%s.\n\n", cmd.Short)
	}
	fmt.Fprint(w, "Usage:\n")
	if cmd.HasParent() && cmd.Runnable() {
		fmt.Fprintf(w, "  %s\n", cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s VERB\n", cmd.CommandPath())
	}
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", strings.TrimRight(cmd.Example, "\n"))
	}
	for _, group := range cmd.Groups() {
		writeVerbs(w, group.Title, cmd, group.ID)
	}
	title := "Verbs:"
	if len(cmd.Groups()) > 0 {
		title = "More:"
	}
	writeVerbs(w, title, cmd, "")
	if flags := cmd.LocalFlags(); flags.HasAvailableFlags() {
		fmt.Fprintf(w, "\nFlags:\n%s", flags.FlagUsages())
	}
	if flags := cmd.InheritedFlags(); flags.HasAvailableFlags() {
		fmt.Fprintf(w, "\nFlags of every verb:\n%s", flags.FlagUsages())
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n%s VERB --help says more about a verb.\n", cmd.CommandPath())
	}
}

func writeVerbs(w io.Writer, title string, cmd *cobra.Command, group string) {
	for _, sub := range cmd.Commands() {
		if sub.GroupID != group || !sub.IsAvailableCommand() {
			continue
		}
		if title != "" {
			fmt.Fprintf(w, "\n%s\n", title)
			title = ""
		}
		fmt.Fprintf(w, "  %-*s %s\n", sub.NamePadding(), sub.Name(), sub.Short)
	}
}

func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [VERB…]",
		Short: "Help about a verb",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, err := findVerb(cmd.Root(), args)
			if err != nil {
				return err
			}
			about.InitDefaultHelpFlag()
			return seaworthy.Wrap(about.Help(), seaworthy.Internal, "writing the help")
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			about, err := findVerb(cmd.Root(), args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for _, sub := range about.Commands() {
				if sub.IsAvailableCommand() {
					names = append(names, fmt.Sprintf("%s\t%s", sub.Name(), sub.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// findVerb finds a verb by its path. Errors: Usage.
func findVerb(root *cobra.Command, path []string) (*cobra.Command, error) {
	about := root
	for i, name := range path {
		var next *cobra.Command
		for _, sub := range about.Commands() {
			if sub.Name() == name || sub.HasAlias(name) {
				next = sub
			}
		}
		if next == nil {
			return nil, noSuchVerb(about, path[i:])
		}
		about = next
	}
	return about, nil
}
