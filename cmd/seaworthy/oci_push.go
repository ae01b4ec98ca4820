package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// fileArguments reads FILE or FILE:MEDIATYPE. A file whose very name ends so is that file.
func fileArguments(args []string) []oci.File {
	var files []oci.File
	for _, arg := range args {
		f := oci.File{Path: arg}
		if i := strings.LastIndexByte(arg, ':'); i > 0 && strings.Contains(arg[i:], "/") {
			if _, err := os.Lstat(arg); err != nil {
				f.Path, f.MediaType = arg[:i], arg[i+1:]
			}
		}
		files = append(files, f)
	}
	return files
}

func newOCIPush(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "push TO WHAT...",
		Short: "Send a layout, an archive or files",
		Long: `Sends an OCI layout directory or an image archive as the image it is, or files as an artifact of their own: each
is a layer with its name as title, its media type written behind it (FILE:TYPE).

TO is a registry reference or an OCI layout directory (oci-dir:DIR:TAG). Prints the digest.`,
		Example: "  seaworthy oci push registry.example/app:1.2 app.tar\n  seaworthy oci push registry.example/report:1 report.json:application/json notes.txt:text/plain",
		Args:    takesAtLeast("seaworthy oci push registry.example/app:1.2 app.tar", "where to send it", "what to send"),
	}
	flags := a.ociFlags(cmd)
	f := cmd.Flags()
	kind := f.String("type", "", "of files: the type of the artifact, a media type (default application/vnd.unknown.artifact.v1)")
	annotations := f.StringArray("annotation", nil, "of files: key=value in the manifest; may be repeated")
	referrers := f.BoolP("recursive", "r", false, "of layouts: also what refers to the image")
	parallel := parallelFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if len(args) == 2 && *kind == "" {
			t, err := oci.ParseTarget(args[1])
			if err == nil && (t.Kind == oci.KindLayout || t.Kind == oci.KindArchive) {
				return flags.at(ctx, args[1], func(from *oci.Opened, o oci.Options) error {
					return flags.to(ctx, args[0], func(to *oci.Opened, d oci.Destination, _ oci.Options) error {
						return a.copyTo(cmd, from, to, d, args[1], o.Platform, *referrers, *parallel)
					})
				})
			}
		}
		if _, err := os.Stat(args[0]); err == nil && len(args) == 2 {
			if _, err := os.Stat(args[1]); err != nil {
				if _, err := oci.ParseReference(args[1]); err == nil {
					return seaworthy.Errorf(seaworthy.Usage, "pushing to %q: that is a file or directory", args[0]).
						WithHint("where to send it comes first: seaworthy oci push %s %s", args[1], args[0])
				}
			}
		}
		if *kind == "" {
			*kind = "application/vnd.unknown.artifact.v1"
		}
		art := oci.Artifact{Type: *kind, Files: fileArguments(args[1:]), Parallel: *parallel}
		for i := range art.Files {
			if art.Files[i].MediaType == "" {
				art.Files[i].MediaType = "application/octet-stream"
			}
		}
		return flags.to(ctx, args[0], func(to *oci.Opened, d oci.Destination, _ oci.Options) error {
			return a.pushFiles(cmd, to, d, tagOf(to), art, *annotations)
		})
	}
	return cmd
}

// takesAtLeast is the Args of a verb with one argument of a kind and one or more of another.
func takesAtLeast(example, first, rest string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < 2 {
			return takes(example, first, rest)(cmd, args)
		}
		return nil
	}
}

// pushFiles completes an artifact and sends it.
func (a *app) pushFiles(cmd *cobra.Command, to *oci.Opened, d oci.Destination, tag string, art oci.Artifact, annotations []string) error {
	var err error
	if art.Annotations, err = keyValues("annotation", annotations); err != nil {
		return err
	}
	if art.Created, err = a.createdNow(); err != nil {
		return err
	}
	bar := a.moving("sending to " + to.Where)
	defer bar.bar.Done()
	art.Planned, art.Progress = bar.bar.SetTotal, bar.bar.Add
	pushed, err := oci.PushFiles(cmd.Context(), d, tag, art)
	if err != nil {
		return err
	}
	bar.bar.Done()
	return a.printDigest(to, pushed.Digest)
}

func newOCIAttach(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "attach IMAGE FILE...",
		Short: "Attach files to an image",
		Long: `Makes an artifact of files that refers to IMAGE (an OCI 1.1 manifest with a subject), so that discover, and every
other tool that lists referrers, finds it. Where the registry does not list referrers itself, the index at the tag
sha256-<hex> is kept. Prints the digest.

IMAGE is a registry reference or an OCI layout directory (oci-dir:DIR:TAG). With --platform the files are attached to
one image of an index, else to the index.`,
		Example: "  seaworthy oci attach registry.example/app:1.2 app.spdx.json --type application/spdx+json",
		Args:    takesAtLeast("seaworthy oci attach registry.example/app:1.2 app.spdx.json --type application/spdx+json", "an image", "a file"),
	}
	flags := a.ociFlags(cmd)
	f := cmd.Flags()
	kind := f.String("type", "", "what it is: a media type; also that of files without one of their own (FILE:TYPE)")
	annotations := f.StringArray("annotation", nil, "key=value in the manifest; may be repeated")
	parallel := parallelFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *kind == "" {
			return seaworthy.Errorf(seaworthy.Usage, "%s needs --type", cmd.CommandPath()).WithHint("say what it is, for example --type application/spdx+json")
		}
		return flags.to(cmd.Context(), args[0], func(to *oci.Opened, d oci.Destination, o oci.Options) error {
			subject, _, err := manifestOf(cmd, to, o)
			if err != nil {
				return err
			}
			subject = oci.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}
			return a.pushFiles(cmd, to, d, "", oci.Artifact{Type: *kind, Files: fileArguments(args[1:]), Subject: &subject, Parallel: *parallel}, *annotations)
		})
	}
	return cmd
}
