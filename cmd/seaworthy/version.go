package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// Set by the linker (-X main.version=…); the Makefile does. What is not set comes from the build information
// that the Go tool leaves in the binary, as far as it does.
var (
	version string
	commit  string
	date    string
)

// buildInfo says which build of the program this is.
type buildInfo struct {
	Version  string `json:"version"`            // v1.2.3, or devel
	Commit   string `json:"commit,omitempty"`   // of the sources
	Date     string `json:"date,omitempty"`     // of that commit, RFC 3339
	Modified bool   `json:"modified,omitempty"` // the sources were changed after the commit
	Go       string `json:"go"`
	Platform string `json:"platform"` // linux/amd64
}

func readBuildInfo() buildInfo {
	b := buildInfo{
		Version: version, Commit: commit, Date: date,
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	info, ok := debug.ReadBuildInfo()
	if ok && b.Version == "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version
	}
	if ok && b.Commit == "" { // all three of one source, or none
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.time":
				b.Date = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	if b.Version == "" {
		b.Version = "devel"
	}
	return b
}

func newVersion(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Which build of the program this is",
		Example: "  seaworthy version\n  seaworthy version -o json",
		GroupID: ownGroup,
		Args:    takes("seaworthy version"),
	}
	out := a.outputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(*cobra.Command, []string) error {
		return out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, a.build)
			case "yaml":
				return console.YAML(w, a.build)
			}
			return a.build.print(w)
		})
	}
	return cmd
}

func (b buildInfo) print(w io.Writer) error {
	fmt.Fprintf(w, "seaworthy %s\n", b.Version)
	if b.Commit != "" {
		changed := ""
		if b.Modified {
			changed = ", changed since"
		}
		fmt.Fprintf(w, "commit    %s%s\n", b.Commit, changed)
	}
	if b.Date != "" {
		fmt.Fprintf(w, "date      %s\n", b.Date)
	}
	_, err := fmt.Fprintf(w, "go        %s\nplatform  %s\n", b.Go, b.Platform)
	return err
}
