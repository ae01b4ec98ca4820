package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/admit"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

func newGateLint(a *app) *cobra.Command {
	var rootFile string
	var plugins []string
	cmd := &cobra.Command{
		Use:   "lint FILE…",
		Short: "Say what is wrong with policies, and where",
		Long: `Lint reads policies as the gate does and says everything that is wrong with them: the file, the object, the field's
path and what to write instead. Warnings are about policies that work, but perhaps not as their author thinks.

A FILE may be a folder, or - for stdin. What belongs together (a policy and the TrustRoot, ConfigMap or Secret it
names) is given together.

Exit status: 0 they are sound; 2 they are not.`,
		Example: "  seaworthy gate lint policies\n  kubectl get clusterimagepolicies -o yaml | seaworthy gate lint -",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return takes("seaworthy gate lint policies", "a file or folder")(cmd, args)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&rootFile, "trusted-root", "", "trusted_root.json to believe (default: what trust import kept, else the public-good instance's)")
	cmd.Flags().StringArrayVar(&plugins, "plugin-dir", nil, "folder with Ratify's verifier plugins; may be repeated")
	out := a.outputFlag(cmd, "table", "json")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		trusted, err := a.trustedRoot(rootFile)
		if err != nil {
			return err
		}
		var files []policy.File
		for _, name := range args {
			read, err := a.policyFiles(name)
			if err != nil {
				return err
			}
			files = append(files, read...)
		}
		set, mistakes := policy.Load(files, policy.Options{Root: trusted, PluginDirs: plugins})
		answer := lintAnswer{Policies: set.Policies(), Mistakes: mistakes}
		if answer.Mistakes == nil {
			answer.Mistakes = []policy.Mistake{}
		}
		if err := out.Write(a.stdout, func(format string, w io.Writer) error {
			if format == "json" {
				return console.JSON(w, answer)
			}
			return answer.table(w)
		}); err != nil {
			return err
		}
		return answer.verdict(a)
	}
	return cmd
}

// policyFiles reads a file, a folder, or stdin.
func (a *app) policyFiles(name string) ([]policy.File, error) {
	if name == "-" {
		b, err := a.readSmall(name, policy.MaxFileBytes)
		return []policy.File{{Name: "stdin", Bytes: b}}, err
	}
	f := &admit.Folder{Path: name}
	return f.Files()
}

// lintAnswer is what lint found.
type lintAnswer struct {
	Policies []policy.Summary `json:"policies"` // that are sound
	Mistakes []policy.Mistake `json:"mistakes"`
}

// table writes the mistakes, or what is sound when there are none.
func (l *lintAnswer) table(w io.Writer) error {
	if len(l.Mistakes) == 0 {
		t := console.NewTable("POLICY", "KIND", "MODE", "FILE")
		for _, p := range l.Policies {
			t.Add(p.Name, p.Kind, string(p.Mode), p.File)
		}
		return t.Write(w)
	}
	for _, m := range l.Mistakes {
		where := m.File
		if m.Line > 0 {
			where = fmt.Sprintf("%s:%d", m.File, m.Line)
		}
		word := "mistake"
		if m.Warning {
			word = "warning"
		}
		if _, err := fmt.Fprintf(w, "%s: %s: %s\n", console.Escape(where), word, console.Escape(joinWords(m.Object, m.Path, m.Detail))); err != nil {
			return err
		}
		if m.Hint != "" {
			if _, err := fmt.Fprintf(w, "    %s\n", console.Escape(m.Hint)); err != nil {
				return err
			}
		}
	}
	return nil
}

// joinWords puts what is not empty into one line.
func joinWords(words ...string) string {
	out := ""
	for _, w := range words {
		if w == "" {
			continue
		}
		if out != "" {
			out += ": "
		}
		out += w
	}
	return out
}

// verdict is the error of the whole: nil when every policy is sound.
func (l *lintAnswer) verdict(a *app) error {
	wrong := 0
	for _, m := range l.Mistakes {
		if !m.Warning {
			wrong++
		}
	}
	if wrong > 0 {
		return seaworthy.Errorf(seaworthy.Refused, "the policies have %d mistakes", wrong)
	}
	if n := len(l.Policies); n == 0 {
		a.note("there are no policies in it")
	}
	return nil
}
