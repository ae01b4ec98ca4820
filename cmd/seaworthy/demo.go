package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/makeimage"
)

func newDemo(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Try it out on this very program",
		Long: `Makes a container image of this very program, with an old npm application beside it, and tells its story with the
program's own verbs: what is in it, its bills, what is known to be wrong with it, how it and its bills live in a
registry, who signed it, and what the evidence graph makes of all that. No network, no container runtime and no root are
needed; everything it makes is put into one folder, which can be deleted afterwards.

With --serve the services are kept running at the end, so that the image's page can be looked at.`,
		Example: "  seaworthy demo\n  seaworthy demo --serve\n  seaworthy demo image app",
		GroupID: lookGroup,
		Args:    noSuchVerb,
	}
	dir := cmd.Flags().String("dir", "demo", "folder for what is made")
	stay := cmd.Flags().Bool("serve", false, "keep the services running until interrupted, to look at the page")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		_, err := a.demoImage(filepath.Join(*dir, "image"))
		if err != nil {
			return err
		}
		return (&story{app: a, ctx: cmd.Context(), dir: *dir, stay: *stay}).tell()
	}
	cmd.AddCommand(newDemoImage(a))
	return cmd
}

func newDemoImage(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "image DIR",
		Short:   "Only make the image, as an OCI image layout in DIR",
		Example: "  seaworthy demo image app",
		Args:    takes("seaworthy demo image app", "a folder for the image"),
		RunE: func(_ *cobra.Command, args []string) error {
			img, err := a.demoImage(args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.stdout, "%s\n", img.Digest())
			return err
		},
	}
}

// demoImage writes an image with this program and nothing else in it, as an OCI image layout. The same program
// gives the same image.
func (a *app) demoImage(dir string) (*makeimage.Image, error) {
	if _, err := os.Stat(filepath.Join(dir, "index.json")); err == nil {
		if err := removeLayout(dir); err != nil {
			return nil, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "finding this program")
	}
	body, err := os.ReadFile(self)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading this program")
	}
	release := "ID=seaworthy-demo\nNAME=\"Seaworthy demo\"\nPRETTY_NAME=\"Seaworthy demo\"\nVERSION_ID=\"" +
		strings.TrimPrefix(a.build.Version, "v") + "\"\n"
	layers := []makeimage.Layer{
		{
			History: "COPY os-release /etc/os-release",
			Files:   []makeimage.File{{Path: "etc/os-release", Body: []byte(release)}},
		},
		{
			History: "COPY seaworthy /usr/local/bin/seaworthy",
			Files:   []makeimage.File{{Path: "usr/local/bin/seaworthy", Mode: 0o755, Body: body}},
		},
		{History: "RUN npm install", Files: oldApplication},
		{History: `ENTRYPOINT ["/usr/local/bin/seaworthy"]`, Empty: true},
	}
	return makeimage.Layout(dir, layers, makeimage.Options{
		Name: "seaworthy-demo:latest", OS: runtime.GOOS, Architecture: runtime.GOARCH,
		Entrypoint: []string{"/usr/local/bin/seaworthy"},
		Labels:     map[string]string{"org.opencontainers.image.version": a.build.Version},
	})
}

// oldApplication is an application that has not been looked after for some years, so that there is something to
// find: two npm packages with known vulnerabilities.
var oldApplication = []makeimage.File{
	{Path: "app/package.json", Body: []byte(`{"name":"demo-app","version":"1.0.0","license":"Apache-2.0","dependencies":{"lodash":"^4.17.15","minimist":"^1.2.5"}}`)},
	{Path: "app/node_modules/lodash/package.json", Body: []byte(`{"name":"lodash","version":"4.17.15","license":"MIT","author":"John-David Dalton"}`)},
	{Path: "app/node_modules/minimist/package.json", Body: []byte(`{"name":"minimist","version":"1.2.5","license":"MIT","author":"James Halliday"}`)},
}

// removeLayout removes an earlier image layout: only what a layout consists of, never anything else that may be
// in the folder.
func removeLayout(dir string) error {
	for _, part := range []string{"index.json", "oci-layout", filepath.Join("blobs", "sha256")} {
		if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
			return seaworthy.Wrap(err, seaworthy.Storage, "replacing the image in %q", dir)
		}
	}
	return nil
}
