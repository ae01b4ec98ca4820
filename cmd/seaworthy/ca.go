package main

import (
	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
)

func newCA(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ca",
		Short:   "An authority for short-lived signing certificates",
		GroupID: trustGroup,
		Args:    noSuchVerb,
		RunE:    needsVerb,
	}
	cmd.AddCommand(newCAServe(a))
	return cmd
}

func newCAServe(a *app) *cobra.Command {
	var o serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve a certificate authority alone",
		Long: `Serve serves the certificate authority of a folder alone, with the HTTP API of Fulcio v2 and its log of certificates,
until it is interrupted. Seaworthy up serves it together with the rest.

The file of --issuers is Fulcio's configuration:

    oidc-issuers:
      https://token.actions.githubusercontent.com:
        issuer-url: https://token.actions.githubusercontent.com
        client-id: sigstore
        type: github-workflow    # also email, gitlab-pipeline, kubernetes, spiffe, uri, username, ci-provider …

A token may be used until it expires, as with Fulcio; each use is in the audit, and --tokens-once allows only one.`,
		Example: "  seaworthy ca serve --dir data --addr 127.0.0.1:5555 --issuers issuers.yaml",
		Args:    takes("seaworthy ca serve --dir data --issuers issuers.yaml"),
	}
	o.add(cmd, "127.0.0.1:5555")
	o.addIssuers(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.issuers == "" {
			return seaworthy.Errorf(seaworthy.Usage, "ca serve needs --issuers: whose tokens shall it take?").
				WithHint("seaworthy up has an issuer for trying things out")
		}
		return a.serve(cmd.Context(), o, caRole)
	}
	return cmd
}
