package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

func newOCITag(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "tag IMAGE TAG...",
		Short:   "Give an image further tags, in the same repository",
		Example: "  seaworthy oci tag registry.example/app:1.2 1 latest",
		Args:    takesAtLeast("seaworthy oci tag registry.example/app:1.2 latest", "an image", "a tag"),
	}
	flags := a.ociFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return flags.to(cmd.Context(), args[0], func(p *oci.Opened, to oci.Destination, o oci.Options) error {
			d, raw, err := manifestOf(cmd, p, o)
			if err != nil {
				return err
			}
			for _, tag := range args[1:] {
				if strings.ContainsAny(tag, ":/@") {
					return seaworthy.Errorf(seaworthy.Usage, "tagging %s: %q is no tag", args[0], tag).
						WithHint("a tag stands alone; to another repository, seaworthy oci copy")
				}
				if err := to.PutManifest(cmd.Context(), tag, d, raw); err != nil {
					return err
				}
			}
			return a.printDigest(p, d.Digest)
		})
	}
	return cmd
}

func newOCIDelete(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete IMAGE...",
		Short: "Delete a tag, or a manifest with all its tags",
		Long: `Deletes a tag (IMAGE is NAME:TAG) or a manifest with all tags it has (NAME@DIGEST). On a terminal it asks first.
Blobs are left to the registry, which removes what nothing needs any longer.

IMAGE is a registry reference or an OCI layout directory (oci-dir:DIR:TAG).`,
		Example: "  seaworthy oci delete registry.example/app:old",
		Args:    takesMany("seaworthy oci delete registry.example/app:old", "image"),
	}
	flags := a.ociFlags(cmd)
	yes := cmd.Flags().BoolP("yes", "y", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !*yes {
			if err := a.confirm("delete " + strings.Join(args, " ") + "?"); err != nil {
				return err
			}
		}
		for _, target := range args {
			if err := flags.delete(cmd, target); err != nil {
				return err
			}
			a.note("deleted %s", target)
		}
		return nil
	}
	return cmd
}

func (r *places) delete(cmd *cobra.Command, target string) error {
	return r.to(cmd.Context(), target, func(p *oci.Opened, _ oci.Destination, _ oci.Options) error {
		switch place := p.Place.(type) {
		case *oci.Repository:
			if ref := p.Target.Reference; ref.Tag == "latest" && ref.Digest == "" && !strings.HasSuffix(target, ":latest") {
				return seaworthy.Errorf(seaworthy.Usage, "deleting %q: say which tag or digest", target).WithHint("%s:latest is what it would mean elsewhere", target)
			}
			return place.Delete(cmd.Context(), p.Name)
		case *oci.Layout:
			if p.Name == "" {
				return seaworthy.Errorf(seaworthy.Usage, "deleting %q: say which tag or digest", target).WithHint("seaworthy oci ls lists its tags")
			}
			return place.Delete(cmd.Context(), p.Name)
		}
		return seaworthy.Errorf(seaworthy.Usage, "deleting %q: it is neither in a registry nor in a layout", target)
	})
}

// confirm asks the person at the terminal; without one, the command line was clear enough. Errors: Interrupted.
func (a *app) confirm(question string) error {
	f, ok := a.stdin.(*os.File)
	if !ok || !a.stderr.Terminal || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	fmt.Fprintf(a.progress, "%s [y/N] ", console.Escape(question))
	line, err := bufio.NewReader(f).ReadString('\n')
	if answer := strings.ToLower(strings.TrimSpace(line)); err == nil && (answer == "y" || answer == "yes") {
		return nil
	}
	return seaworthy.Errorf(seaworthy.Interrupted, "nothing was deleted").WithHint("--yes does not ask")
}

func newOCIMutate(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mutate IMAGE",
		Short: "Change labels and annotations of an image, append layers",
		Long: `Makes a new image from IMAGE with other labels, annotations or further layers, and writes it to the same
repository: under --tag, or else under its digest alone. What referred to the old image does not refer to the new
one. Prints the digest.

IMAGE is a registry reference or an OCI layout directory (oci-dir:DIR:TAG). Of an index, one image is taken
(--platform).`,
		Example: "  seaworthy oci mutate registry.example/app:1.2 --label team=harbour --append config.tar --tag registry.example/app:1.2-harbour",
		Args:    takes("seaworthy oci mutate registry.example/app:1.2 --label team=harbour", "an image"),
	}
	flags := a.ociFlags(cmd)
	f := cmd.Flags()
	labels := f.StringArray("label", nil, "key=value in the configuration, key= to remove; may be repeated")
	annotations := f.StringArray("annotation", nil, "key=value in the manifest, key= to remove; may be repeated")
	appended := f.StringArray("append", nil, "tar file, plain, gzip or zstd, that becomes a layer on top; may be repeated")
	tag := f.StringP("tag", "t", "", "tag, or whole reference, for the new image")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		m := oci.Mutation{Append: *appended}
		var err error
		if m.Labels, err = keyValues("label", *labels); err != nil {
			return err
		}
		if m.Annotations, err = keyValues("annotation", *annotations); err != nil {
			return err
		}
		if len(m.Labels)+len(m.Annotations)+len(m.Append) == 0 {
			return seaworthy.Errorf(seaworthy.Usage, "changing %s: into what?", args[0]).WithHint("give --label, --annotation or --append")
		}
		if m.Created, err = a.createdNow(); err != nil {
			return err
		}
		if strings.ContainsAny(*tag, "/:") {
			return flags.at(cmd.Context(), args[0], func(from *oci.Opened, o oci.Options) error {
				return flags.to(cmd.Context(), *tag, func(to *oci.Opened, d oci.Destination, _ oci.Options) error {
					return a.mutate(cmd, from, to, d, tagOf(to), m, o)
				})
			})
		}
		return flags.to(cmd.Context(), args[0], func(p *oci.Opened, d oci.Destination, o oci.Options) error {
			return a.mutate(cmd, p, p, d, *tag, m, o)
		})
	}
	return cmd
}

func (a *app) mutate(cmd *cobra.Command, from, to *oci.Opened, d oci.Destination, tag string, m oci.Mutation, o oci.Options) error {
	bar := a.moving("changing " + from.Where)
	defer bar.bar.Done()
	m.Platform, m.Progress = o.Platform, bar.bar.Add
	made, err := oci.Mutate(cmd.Context(), from, from.Name, d, tag, m)
	if err != nil {
		return err
	}
	bar.bar.Done()
	return a.printDigest(to, made.Digest)
}
