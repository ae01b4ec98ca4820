package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

const placeHelp = `IMAGE is a registry reference, an OCI layout directory (oci-dir:DIR:TAG) or a docker or OCI archive.`

func newOCI(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "oci",
		Short: "Look into registries, push, pull, copy, attach and discover",
		Long: `Work with images and other artifacts in registries, in OCI layout directories and in archives.

Every byte is checked against its digest, on the way in and on the way out. Credentials are those of docker login
and podman login, and go to the registry they are for and nowhere else.`,
		Example: "  seaworthy oci ls registry.example/app\n  seaworthy oci discover registry.example/app:1.2",
		GroupID: keepGroup,
		Args:    noSuchVerb,
		RunE:    needsVerb,
	}
	cmd.AddCommand(
		newOCILs(a), newOCICatalog(a), newOCIDigest(a), newOCIManifest(a), newOCIConfig(a), newOCIPull(a), newOCIPush(a), newOCIAttach(a),
		newOCIDiscover(a), newOCICopy(a), newOCITag(a), newOCIDelete(a), newOCIMutate(a), newOCIValidate(a),
	)
	return cmd
}

// moving shows how far a transfer is.
type moving struct{ bar *console.Bar }

func (a *app) moving(label string) moving {
	return moving{a.progress.Start(label, 0, console.Bytes)}
}

func (m moving) options(platform oci.Platform, referrers bool, parallel int) oci.CopyOptions {
	return oci.CopyOptions{Platform: platform, Referrers: referrers, Parallel: parallel, Planned: m.bar.SetTotal, Progress: m.bar.Add}
}

func parallelFlag(cmd *cobra.Command) *int {
	return cmd.Flags().Int("parallel", oci.DefaultParallel, "blobs that are on their way at once")
}

// keyValues reads "key=value" flags.
func keyValues(flag string, values []string) (map[string]string, error) {
	out := map[string]string{}
	for _, s := range values {
		k, v, ok := strings.Cut(s, "=")
		if !ok || k == "" {
			return nil, seaworthy.Errorf(seaworthy.Usage, "--%s %q: there is no key before an equals sign", flag, s).
				WithHint("for example --%s org.opencontainers.image.source=https://example.org/app", flag)
		}
		if _, twice := out[k]; twice {
			return nil, seaworthy.Errorf(seaworthy.Usage, "--%s %q: %q is given twice", flag, s, k)
		}
		out[k] = v
	}
	return out, nil
}

// createdNow is the time SOURCE_DATE_EPOCH names, or now.
func (a *app) createdNow() (time.Time, error) {
	t, err := a.created()
	if err == nil && t.IsZero() {
		t = time.Now()
	}
	return t, err
}

// places are the flags of a verb that works on places.
type places struct {
	remoteFlags
	app *app
}

func (a *app) ociFlags(cmd *cobra.Command) *places {
	r := &places{app: a}
	r.add(cmd.Flags())
	return r
}

// at opens IMAGE, calls do, and closes it.
func (r *places) at(ctx context.Context, target string, do func(*oci.Opened, oci.Options) error) error {
	o, err := r.options(r.app)
	if err != nil {
		return err
	}
	p, err := oci.OpenPlace(ctx, target, o)
	if err != nil {
		return err
	}
	defer p.Close()
	return do(p, o)
}

// to opens a destination, calls do, and closes it.
func (r *places) to(ctx context.Context, target string, do func(*oci.Opened, oci.Destination, oci.Options) error) error {
	o, err := r.options(r.app)
	if err != nil {
		return err
	}
	p, d, err := oci.OpenDestination(ctx, target, o)
	if err != nil {
		return err
	}
	defer p.Close()
	return do(p, d, o)
}

// tagOf is the tag something is to be written under: none when only a digest, or the only image of a layout, was
// named.
func tagOf(p *oci.Opened) string {
	if strings.Contains(p.Name, ":") {
		if _, err := seaworthy.ParseDigest(p.Name); err == nil {
			return ""
		}
	}
	return p.Name
}

// printDigest prints what was written, as it can be asked for again.
func (a *app) printDigest(p *oci.Opened, d seaworthy.Digest) error {
	_, err := fmt.Fprintf(a.stdout, "%s@%s\n", console.Escape(p.Where), d)
	return seaworthy.Wrap(err, seaworthy.Storage, "writing the result")
}
