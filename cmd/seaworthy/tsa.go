package main

import "github.com/spf13/cobra"

func newTSA(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "tsa",
		Short:   "A time-stamping authority",
		GroupID: trustGroup,
		Args:    noSuchVerb,
		RunE:    needsVerb,
	}
	cmd.AddCommand(newTSAServe(a))
	return cmd
}

func newTSAServe(a *app) *cobra.Command {
	var o serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve a time-stamping authority alone",
		Long: `Serve serves the time-stamping authority of a folder alone (RFC 3161), until it is interrupted. Seaworthy up serves it
together with the rest.`,
		Example: "  seaworthy tsa serve --dir data --addr 127.0.0.1:3004",
		Args:    takes("seaworthy tsa serve --dir data"),
	}
	o.add(cmd, "127.0.0.1:3004")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), o, tsaRole) }
	return cmd
}
