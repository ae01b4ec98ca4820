package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf16"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

func newOCILs(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ls REPOSITORY",
		Short:   "List the tags of a repository or layout",
		Example: "  seaworthy oci ls registry.example/app",
		Args:    takes("seaworthy oci ls registry.example/app", "a repository"),
	}
	flags := a.ociFlags(cmd)
	out := a.outputFlag(cmd, "text", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return flags.at(cmd.Context(), args[0], func(p *oci.Opened, _ oci.Options) error {
			tags, err := p.Tags(cmd.Context())
			if err != nil {
				return err
			}
			return a.writeNames(out, struct {
				Repository string   `json:"repository"`
				Tags       []string `json:"tags"`
			}{p.Where, tags}, tags)
		})
	}
	return cmd
}

// writeNames writes names one a line, or v as JSON.
func (a *app) writeNames(out *console.Outputs, v any, names []string) error {
	return out.Write(a.stdout, func(format string, w io.Writer) error {
		if format == "json" {
			return console.JSON(w, v)
		}
		for _, n := range names {
			if _, err := fmt.Fprintln(w, console.Escape(n)); err != nil {
				return seaworthy.Wrap(err, seaworthy.Storage, "writing the list")
			}
		}
		return nil
	})
}

func newOCICatalog(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "catalog REGISTRY",
		Short: "List the repositories of a registry that tells",
		Long: `Lists the repositories of a registry. Most public registries do not answer this, and many others only
answer administrators.`,
		Example: "  seaworthy oci catalog registry.example:5000",
		Args:    takes("seaworthy oci catalog registry.example:5000", "a registry"),
	}
	flags := a.ociFlags(cmd)
	out := a.outputFlag(cmd, "text", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := flags.options(a)
		if err != nil {
			return err
		}
		c, err := oci.NewClient(o)
		if err != nil {
			return err
		}
		defer c.Close()
		all, err := c.Catalog(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return a.writeNames(out, struct {
			Registry     string   `json:"registry"`
			Repositories []string `json:"repositories"`
		}{args[0], all}, all)
	}
	return cmd
}

func newOCIDigest(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "digest IMAGE",
		Short: "Print the digest a tag stands for now",
		Long: `Prints the digest of what IMAGE names: of the index where there are several platforms, of one image with
--platform.

` + placeHelp,
		Example: "  seaworthy oci digest debian:12\n  seaworthy oci digest debian:12 --platform linux/arm64",
		Args:    takes("seaworthy oci digest debian:12", "an image"),
	}
	flags := a.ociFlags(cmd)
	out := a.outputFlag(cmd, "text", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return flags.at(cmd.Context(), args[0], func(p *oci.Opened, o oci.Options) error {
			d, _, err := manifestOf(cmd, p, o)
			if err != nil {
				return err
			}
			return a.writeNames(out, struct {
				Digest    seaworthy.Digest `json:"digest"`
				MediaType string           `json:"mediaType"`
				Size      int64            `json:"size"`
			}{d.Digest, d.MediaType, d.Size}, []string{string(d.Digest)})
		})
	}
	return cmd
}

// manifestOf reads what was named: as it is or, with --platform, one image of it.
func manifestOf(cmd *cobra.Command, p *oci.Opened, o oci.Options) (oci.Descriptor, []byte, error) {
	if o.Platform != (oci.Platform{}) {
		return oci.PlatformManifest(cmd.Context(), p, p.Name, o.Platform)
	}
	return p.Manifest(cmd.Context(), p.Name)
}

func newOCIManifest(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "manifest IMAGE",
		Short: "Print a manifest or index",
		Long: `Prints the manifest of what IMAGE names, indented; --raw prints the very bytes its digest is of.

` + placeHelp,
		Example: "  seaworthy oci manifest debian:12\n  seaworthy oci manifest debian:12 --platform linux/arm64 --raw",
		Args:    takes("seaworthy oci manifest debian:12", "an image"),
	}
	flags := a.ociFlags(cmd)
	raw := cmd.Flags().Bool("raw", false, "the bytes as they are")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return flags.at(cmd.Context(), args[0], func(p *oci.Opened, o oci.Options) error {
			_, b, err := manifestOf(cmd, p, o)
			if err != nil {
				return err
			}
			return a.writeJSONBytes(b, *raw)
		})
	}
	return cmd
}

func newOCIConfig(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config IMAGE",
		Short: "Print the configuration of an image",
		Long: `Prints the configuration of an image, or of another artifact, indented; --raw prints it as it is stored.

` + placeHelp,
		Example: "  seaworthy oci config debian:12",
		Args:    takes("seaworthy oci config debian:12", "an image"),
	}
	flags := a.ociFlags(cmd)
	raw := cmd.Flags().Bool("raw", false, "the bytes as they are")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return flags.at(cmd.Context(), args[0], func(p *oci.Opened, o oci.Options) error {
			_, b, err := oci.PlatformManifest(cmd.Context(), p, p.Name, o.Platform)
			if err != nil {
				return err
			}
			m, err := oci.ParseManifest(b)
			if err != nil {
				return err
			}
			if b, err = oci.ReadBlob(cmd.Context(), p, m.Config, oci.DefaultMaxManifest); err != nil {
				return seaworthy.Wrap(err, seaworthy.Invalid, "reading the configuration of %s", args[0])
			}
			return a.writeJSONBytes(b, *raw)
		})
	}
	return cmd
}

// writeJSONBytes writes a document from outside: as it is, or indented and with what could do harm to a terminal
// escaped as JSON does it.
func (a *app) writeJSONBytes(b []byte, raw bool) error {
	var err error
	if raw {
		_, err = a.stdout.Write(b)
		return seaworthy.Wrap(err, seaworthy.Storage, "writing the document")
	}
	pretty, err := indentJSON(b)
	if err != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "printing it: it is no JSON: %w", err).WithHint("--raw prints it as it is")
	}
	_, err = a.stdout.Write(pretty)
	return seaworthy.Wrap(err, seaworthy.Storage, "writing the document")
}

// indentJSON keeps the order of keys, and writes characters that a terminal would obey in JSON's own escapes.
func indentJSON(b []byte) ([]byte, error) {
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, b, "", "  "); err != nil {
		return nil, err
	}
	safe := make([]byte, 0, pretty.Len()+1)
	for _, r := range pretty.String() {
		switch s := string(r); {
		case r == '\n' || console.Escape(s) == s:
			safe = append(safe, s...)
		default:
			for _, unit := range utf16.Encode([]rune{r}) {
				safe = fmt.Appendf(safe, `\u%04x`, unit)
			}
		}
	}
	return append(safe, '\n'), nil
}
