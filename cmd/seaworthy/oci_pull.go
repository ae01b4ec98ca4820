package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

func newOCIPull(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pull IMAGE TO",
		Short: "Fetch an image or files",
		Long: `Fetches what IMAGE names, checks every byte, and writes it

  oci             into an OCI layout directory, which is made or added to (the default)
  archive         into an OCI layout in one tar file
  docker-archive  into a tar file for docker load
  files           as files into a directory: those of an artifact, under their titles

A layout takes up a download that was interrupted where it ended; so do files. Prints the digest.

` + placeHelp,
		Example: "  seaworthy oci pull debian:12 debian\n  seaworthy oci pull registry.example/app:1.2 app.tar --format docker-archive\n  seaworthy oci pull registry.example/report:1 . --format files",
		Args:    takes("seaworthy oci pull debian:12 debian", "an image", "where to write it"),
	}
	flags := a.ociFlags(cmd)
	f := cmd.Flags()
	format := f.String("format", "oci", "oci, archive, docker-archive or files")
	referrers := f.BoolP("recursive", "r", false, "also what refers to it, and what refers to that (oci, archive)")
	parallel := parallelFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return flags.at(cmd.Context(), args[0], func(p *oci.Opened, o oci.Options) error {
			bar := a.moving("pulling " + args[0])
			defer bar.bar.Done()
			d, err := a.pull(cmd, p, o, *format, args[1], bar.options(o.Platform, *referrers, *parallel))
			if err != nil {
				return err
			}
			bar.bar.Done()
			return a.printDigest(p, d)
		})
	}
	return cmd
}

func (a *app) pull(cmd *cobra.Command, p *oci.Opened, o oci.Options, format, to string, c oci.CopyOptions) (seaworthy.Digest, error) {
	ctx, tag := cmd.Context(), tagOf(p)
	if c.Referrers && format != "oci" && format != "archive" {
		return "", seaworthy.Errorf(seaworthy.Usage, "--recursive: %s has no place for what refers to an image", format).WithHint("use --format oci or archive")
	}
	var d oci.Descriptor
	switch format {
	case "oci":
		l, err := oci.CreateLayout(to, o)
		if err != nil {
			return "", err
		}
		defer l.Close()
		done, err := oci.Copy(ctx, p, p.Name, l, tag, c)
		return done.Digest, err
	case "archive":
		err := console.WriteFile(to, func(w io.Writer) (err error) {
			d, err = oci.WriteArchive(ctx, w, p, p.Name, tag, c)
			return err
		})
		return d.Digest, err
	case "docker-archive":
		var tags []string
		if tag != "" && p.Target.Kind == oci.KindRegistry {
			tags = []string{p.Where + ":" + tag}
		} else if tag != "" {
			tags = []string{tag}
		}
		err := console.WriteFile(to, func(w io.Writer) (err error) {
			d, err = oci.WriteDockerArchive(ctx, w, p, p.Name, tags, c)
			return err
		})
		return d.Digest, err
	case "files":
		d, raw, err := oci.PlatformManifest(ctx, p, p.Name, o.Platform)
		if err != nil {
			return "", err
		}
		files, err := oci.PullFiles(ctx, p, raw, to, c)
		for _, f := range files {
			if err == nil {
				a.note("%s  %s  %s", f.Path, console.Size(f.Size), f.MediaType)
			}
		}
		return d.Digest, err
	}
	return "", seaworthy.Errorf(seaworthy.Usage, "--format %q: there is no such format", format).WithHint("the formats are oci, archive, docker-archive and files")
}

func newOCICopy(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "copy FROM TO",
		Short: "Copy an image, with everything that refers to it if wanted",
		Long: `Copies what FROM names to TO: between registries, layouts and, reading only, archives. All platforms are copied
unless --platform names one. In the same registry blobs are mounted, not sent. The tag is written last, so that
nobody finds half an image under it.

` + placeHelp,
		Example: "  seaworthy oci copy debian:12 registry.example/debian:12\n  seaworthy oci copy -r registry.example/app:1.2 oci-dir:./app:1.2",
		Args:    takes("seaworthy oci copy debian:12 registry.example/debian:12", "what to copy", "where to"),
	}
	flags := a.ociFlags(cmd)
	referrers := cmd.Flags().BoolP("recursive", "r", false, "also what refers to it: signatures, attestations, bills, and what refers to these")
	parallel := parallelFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return flags.at(cmd.Context(), args[0], func(from *oci.Opened, o oci.Options) error {
			return flags.to(cmd.Context(), args[1], func(to *oci.Opened, d oci.Destination, _ oci.Options) error {
				return a.copyTo(cmd, from, to, d, args[0], o.Platform, *referrers, *parallel)
			})
		})
	}
	return cmd
}

// copyTo copies, shows progress, and says what was done.
func (a *app) copyTo(cmd *cobra.Command, from, to *oci.Opened, d oci.Destination, what string, platform oci.Platform, referrers bool, parallel int) error {
	tag := tagOf(to)
	if want := to.Name; want != tag { // a digest cannot be chosen
		found, _, err := manifestOf(cmd, from, oci.Options{Platform: platform})
		if err != nil {
			return err
		}
		if string(found.Digest) != want {
			return seaworthy.Errorf(seaworthy.Mismatch, "copying %s to %s@%s: its digest is %s", what, to.Where, want, found.Digest)
		}
	}
	bar := a.moving("copying " + what)
	defer bar.bar.Done()
	done, err := oci.Copy(cmd.Context(), from, from.Name, d, tag, bar.options(platform, referrers, parallel))
	if err != nil {
		return err
	}
	bar.bar.Done()
	a.detail("%d manifests, %d of them referrers, and %d blobs are there; %s were sent, %s mounted", done.Manifests, done.Referrers, done.Blobs,
		console.Size(done.Sent), console.Size(done.Mounted))
	return a.printDigest(to, done.Digest)
}

func newOCIValidate(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate IMAGE",
		Short: "Check every digest, size and diffID",
		Long: `Reads everything IMAGE consists of, on all platforms, and checks it: the digest and size of every manifest,
configuration and layer, and that each layer unpacks to what the configuration says. Exit status 2 means that
something is not what it says it is.

` + placeHelp,
		Example: "  seaworthy oci validate registry.example/app:1.2\n  seaworthy oci validate oci-dir:./app",
		Args:    takes("seaworthy oci validate registry.example/app:1.2", "an image"),
	}
	flags := a.ociFlags(cmd)
	referrers := cmd.Flags().BoolP("recursive", "r", false, "also what refers to it")
	parallel := parallelFlag(cmd)
	out := a.outputFlag(cmd, "text", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return flags.at(cmd.Context(), args[0], func(p *oci.Opened, o oci.Options) error {
			bar := a.moving("checking " + args[0])
			defer bar.bar.Done()
			v, err := oci.Validate(cmd.Context(), p, p.Name, bar.options(o.Platform, *referrers, *parallel))
			if err != nil {
				return err
			}
			bar.bar.Done()
			err = out.Write(a.stdout, func(format string, w io.Writer) error {
				if format == "json" {
					return console.JSON(w, v)
				}
				for _, p := range v.Problems {
					fmt.Fprintf(w, "%s: %s\n", console.Escape(p.Where), console.Escape(p.Detail))
				}
				_, err := fmt.Fprintf(w, "%d manifests, %d blobs (%s), %d diffIDs: %s\n", v.Manifests, v.Blobs, console.Size(v.Bytes), v.DiffIDs, console.Count(len(v.Problems), "problem"))
				return seaworthy.Wrap(err, seaworthy.Storage, "writing the result")
			})
			if err == nil && len(v.Problems) > 0 {
				return seaworthy.Errorf(seaworthy.Refused, "%s is not what it says: %s", args[0], console.Count(len(v.Problems), "problem"))
			}
			return err
		})
	}
	return cmd
}
