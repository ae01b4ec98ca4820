package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
)

// newTalk is a verb that uses what app offers.
func newTalk(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "talk", Args: takesMany("seaworthy talk x", "word")}
	cmd.Flags().String("token", "", "")
	cmd.Flags().String("needed", "", "")
	secretFlags(cmd.Flags(), "token")
	_ = cmd.MarkFlagRequired("needed")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		a.warn("careful with %s", args[0])
		a.note("noted")
		a.detail("detailed")
		return seaworthy.Errorf(seaworthy.Refused, "no")
	}
	return cmd
}

func TestTalk(t *testing.T) {
	for _, c := range []struct {
		args   string
		status int
		want   string
	}{
		{"talk --needed x \x1bevil", 2, "warning: careful with \\x1bevil\nnoted\nseaworthy: no\n"},
		{"talk --needed x w -v", 2, "warning: careful with w\nnoted\ndetailed\nseaworthy: no\n"},
		{"talk --needed x w -q", 2, "warning: careful with w\nseaworthy: no\n"},
		{"talk", 3, "seaworthy: seaworthy talk needs at least one word\nhint: for example: seaworthy talk x\n"},
		{"talk w", 3, "seaworthy: required flag(s) \"needed\" not set\n"},
	} {
		var stdout, stderr bytes.Buffer
		t.Setenv("XDG_CONFIG_HOME", t.TempDir())
		status := run(strings.Fields(c.args), nil, &stdout, &stderr, newTalk)
		if status != c.status || stderr.String() != c.want || stdout.Len() != 0 {
			t.Errorf("%q: status %d, stdout %q, stderr %q", c.args, status, stdout.String(), stderr.String())
		}
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	t.Setenv("SEAWORTHY_TOKEN", "canary")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for _, args := range []string{"config show --origin", "config show talk -o json"} {
		var stdout, stderr bytes.Buffer
		status := run(strings.Fields(args), nil, &stdout, &stderr, newTalk)
		if status != 0 || !strings.Contains(stdout.String(), "(set, not shown)") || strings.Contains(stdout.String()+stderr.String(), "canary") {
			t.Errorf("%s: status %d\n%s%s", args, status, stdout.String(), stderr.String())
		}
	}
}
