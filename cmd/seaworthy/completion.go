package main

import (
	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

var shells = []string{"bash", "zsh", "fish", "powershell"}

func newCompletion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Completion of verbs and flags for your shell",
		Long: `Prints a script that makes the shell complete verbs, flags and formats.

For this shell alone:   source <(seaworthy completion bash)
For every bash to come: seaworthy completion bash > /etc/bash_completion.d/seaworthy
For every zsh:          seaworthy completion zsh > "${fpath[1]}/_seaworthy"
For every fish:         seaworthy completion fish > ~/.config/fish/completions/seaworthy.fish`,
		Example:   "  seaworthy completion bash",
		GroupID:   ownGroup,
		Args:      takes("seaworthy completion bash", "the name of a shell"),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			switch root := cmd.Root(); args[0] {
			case "bash":
				err = root.GenBashCompletionV2(a.stdout, true)
			case "zsh":
				err = root.GenZshCompletion(a.stdout)
			case "fish":
				err = root.GenFishCompletion(a.stdout, true)
			case "powershell":
				err = root.GenPowerShellCompletionWithDesc(a.stdout)
			default:
				e := seaworthy.Errorf(seaworthy.Usage, "there is no completion for the shell %q", args[0])
				if near := console.Nearest(args[0], shells); near != "" {
					return e.WithHint("did you mean %s?", near)
				}
				return e.WithHint("the shells are bash, zsh, fish and powershell")
			}
			return seaworthy.Wrap(err, seaworthy.Storage, "writing the completion")
		},
	}
}
