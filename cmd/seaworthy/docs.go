package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seaworthy-dev/seaworthy"
)

// newDocs writes the reference from the verbs themselves; "make docs" calls it, and a test fails when what is
// committed says something else.
func newDocs(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "docs DIR",
		Short:  "Write the reference as Markdown and man pages",
		Hidden: true,
		Args:   takes("seaworthy docs docs", "a folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			for name, body := range reference(cmd.Root()) {
				file := filepath.Join(args[0], filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					return seaworthy.Wrap(err, seaworthy.Storage, "writing the reference")
				}
				if err := os.WriteFile(file, body, 0o644); err != nil {
					return seaworthy.Wrap(err, seaworthy.Storage, "writing the reference")
				}
			}
			return nil
		},
	}
}

// reference makes all pages: file name within docs to content.
func reference(root *cobra.Command) map[string][]byte {
	pages := map[string][]byte{}
	var contents bytes.Buffer
	contents.WriteString("# Reference\n\nMade from the program's own help by `make docs`.\n\n| verb | what it does |\n|---|---|\n")
	walkVerbs(root, func(cmd *cobra.Command) {
		if cmd.Hidden || cmd.Name() == "help" {
			return
		}
		cmd.InitDefaultHelpFlag()
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
		pages["reference/"+name+".md"] = markdownPage(cmd)
		pages["man/"+name+".1"] = manPage(cmd)
		fmt.Fprintf(&contents, "| [%s](%s.md) | %s |\n", cmd.CommandPath(), name, cmd.Short)
	})
	pages["reference/README.md"] = contents.Bytes()
	return pages
}

func markdownPage(cmd *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n\n%s.\n", cmd.CommandPath(), strings.TrimSuffix(cmd.Short, "."))
	if cmd.Runnable() {
		fmt.Fprintf(&b, "\n    %s\n", cmd.UseLine())
	}
	if cmd.Long != "" {
		fmt.Fprintf(&b, "\n%s\n", cmd.Long)
	}
	if cmd.Example != "" {
		fmt.Fprintf(&b, "\n## Examples\n\n```\n%s\n```\n", unindent(cmd.Example))
	}
	if subs := shownVerbs(cmd); len(subs) > 0 {
		b.WriteString("\n## Verbs\n\n| verb | what it does |\n|---|---|\n")
		for _, sub := range subs {
			fmt.Fprintf(&b, "| [%s](%s.md) | %s |\n", sub.Name(), strings.ReplaceAll(sub.CommandPath(), " ", "-"), sub.Short)
		}
	}
	for _, set := range flagSets(cmd) {
		fmt.Fprintf(&b, "\n## %s\n\n| flag | meaning |\n|---|---|\n", set.title)
		set.flags.VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				fmt.Fprintf(&b, "| `%s` | %s |\n", strings.ReplaceAll(flagSyntax(f), "|", `\|`), strings.ReplaceAll(flagMeaning(f), "|", `\|`))
			}
		})
	}
	return b.Bytes()
}

func manPage(cmd *cobra.Command) []byte {
	var b bytes.Buffer
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	fmt.Fprintf(&b, ".TH %q 1 \"\" \"seaworthy\" \"Seaworthy manual\"\n", strings.ToUpper(name))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	if cmd.Long != "" {
		b.WriteString(".SH DESCRIPTION\n")
		for _, paragraph := range strings.Split(cmd.Long, "\n\n") {
			if indented(paragraph) {
				fmt.Fprintf(&b, ".PP\n.nf\n%s\n.fi\n", roff(paragraph))
			} else {
				fmt.Fprintf(&b, ".PP\n%s\n", roff(paragraph))
			}
		}
	}
	if subs := shownVerbs(cmd); len(subs) > 0 {
		b.WriteString(".SH VERBS\n")
		for _, sub := range subs {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(sub.Name()), roff(sub.Short))
		}
	}
	for _, set := range flagSets(cmd) {
		fmt.Fprintf(&b, ".SH %s\n", strings.ToUpper(set.title))
		set.flags.VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(flagSyntax(f)), roff(flagMeaning(f)))
			}
		})
	}
	if cmd.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(unindent(cmd.Example)))
	}
	b.WriteString(".SH EXIT STATUS\n0 yes; 1 it could not be done; 2 the answer is no; 3 the command line is wrong; " +
		"4 not authorised; 5 not found; 130 interrupted.\n")
	return b.Bytes()
}

type flagSet struct {
	title string
	flags *pflag.FlagSet
}

func flagSets(cmd *cobra.Command) []flagSet {
	var sets []flagSet
	for _, set := range []flagSet{{"Flags", cmd.NonInheritedFlags()}, {"Flags of every verb", cmd.InheritedFlags()}} {
		if set.flags.HasAvailableFlags() {
			sets = append(sets, set)
		}
	}
	return sets
}

func shownVerbs(cmd *cobra.Command) []*cobra.Command {
	var subs []*cobra.Command
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			subs = append(subs, sub)
		}
	}
	return subs
}

// flagSyntax is "-o, --output format[=file]".
func flagSyntax(f *pflag.Flag) string {
	kind, _ := pflag.UnquoteUsage(f)
	s := "--" + f.Name
	if f.Shorthand != "" {
		s = "-" + f.Shorthand + ", " + s
	}
	if kind != "" {
		s += " " + kind
	}
	return s
}

func flagMeaning(f *pflag.Flag) string {
	_, usage := pflag.UnquoteUsage(f)
	switch f.DefValue {
	case "", "false", "[]", "0", "0s":
		return usage
	}
	return usage + " (default " + f.DefValue + ")"
}

func unindent(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	}
	return strings.Join(lines, "\n")
}

func indented(paragraph string) bool {
	for line := range strings.Lines(paragraph) {
		if strings.HasPrefix(line, " ") {
			return true
		}
	}
	return false
}

// roff escapes what troff would act on (groff_char(7)): backslashes, hyphens that are to be copied, and a dot or
// quote at the start of a line.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
