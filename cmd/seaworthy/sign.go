package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/sign"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// signing are the flags that say with what to sign, and where the result goes.
type signing struct {
	app        *app
	keyFile    string
	password   *string
	bundleFile string
	legacy     bool
	place      *imagePlace
	keyless
}

func (a *app) signingFlags(cmd *cobra.Command) *signing {
	s := &signing{app: a}
	f := cmd.Flags()
	f.StringVar(&s.keyFile, "key", "", "file with the private key to sign with")
	s.password = passwordFlag(cmd)
	f.StringVar(&s.bundleFile, "bundle", "", "file to write the bundle to, - for stdout (default FILE.sigstore.json for files; for images it goes to the registry)")
	f.BoolVar(&s.legacy, "legacy", false, "also write the .sig or .att tag, for verifiers older than bundles; with --key only")
	s.addFlags(cmd)
	s.place = a.imageFlags(cmd)
	return s
}

// options opens the key, or what is needed to do without.
func (s *signing) options(ctx context.Context) (sign.Options, error) {
	if s.keyFile == "" {
		if s.legacy {
			return sign.Options{}, seaworthy.Errorf(seaworthy.Usage, "--legacy signs with a key").WithHint("give --key FILE")
		}
		return s.keylessOptions(ctx, s.app)
	}
	o, err := s.confirming(s.app)
	if err != nil {
		return o, err
	}
	o.Key, err = s.app.privateKey(s.keyFile, *s.password)
	return o, err
}

// wrote tells where a bundle went.
func (s *signing) wrote(made *sign.Signed, where string) {
	who := "the key " + string(made.Key.Digest())
	if made.Certificate != nil {
		who = "a certificate of " + made.Certificate.Issuer.String()
	}
	s.app.note("signed with %s; %s", who, where)
}

func newSign(a *app) *cobra.Command {
	var annotations []string
	var recursive bool
	cmd := &cobra.Command{
		Use:   "sign TARGET",
		Short: "Sign an image or a file",
		Long: `Sign signs an image, a file or - for stdin, with a key of your own (--key), or without one: then an identity token is
shown to a certificate authority, which vouches for a key that lives for a moment.

What is made is a Sigstore bundle. That of a file goes beside it, that of an image into its registry or layout as a
referrer. A tag is resolved once, and the digest is what is signed.`,
		Example: "  seaworthy sign app.tar.gz --key release.key\n  seaworthy sign registry.example/app:1.2 --key release.key -a build=42 --legacy\n  seaworthy sign app.tar.gz --identity-token \"$TOKEN\" --signing-config signing_config.json",
		GroupID: trustGroup,
		Args:    takes("seaworthy sign app.tar.gz --key release.key", "an image or file"),
	}
	s := a.signingFlags(cmd)
	cmd.Flags().StringArrayVarP(&annotations, "annotations", "a", nil, "key=value to sign with an image; may be repeated")
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "sign an index and every image in it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		target, err := a.signTarget(args[0])
		if err != nil {
			return err
		}
		notes, err := keyValues("annotations", annotations)
		if err != nil {
			return err
		}
		if !target.image && (len(notes) > 0 || recursive || s.legacy) {
			return seaworthy.Errorf(seaworthy.Usage, "signing %q: --annotations, --recursive and --legacy are for images", args[0])
		}
		o, err := s.options(cmd.Context())
		if err != nil {
			return err
		}
		if target.image {
			return s.image(cmd.Context(), args[0], notes, recursive, o)
		}
		return s.file(cmd.Context(), target, o)
	}
	return cmd
}

func (s *signing) file(ctx context.Context, t signTarget, o sign.Options) error {
	where, err := s.bundleName(t)
	if err != nil {
		return err
	}
	artifact, err := t.artifact(s.app)
	if err != nil {
		return err
	}
	made, err := sign.Artifact(ctx, artifact, o)
	if err != nil {
		return err
	}
	return s.writeBundle(made, where)
}

// bundleName is where the bundle of a file goes.
func (s *signing) bundleName(t signTarget) (string, error) {
	switch {
	case s.bundleFile != "":
		return s.bundleFile, nil
	case t.path == "-" || t.path == "":
		return "", seaworthy.Errorf(seaworthy.Usage, "signing %s: where should the bundle go?", t.name).WithHint("give --bundle FILE, or --bundle - for stdout")
	}
	return t.path + bundleEnding, nil
}

func (s *signing) writeBundle(made *sign.Signed, where string) error {
	if where == "-" {
		_, err := fmt.Fprintf(s.app.stdout, "%s\n", made.Bundle)
		return seaworthy.Wrap(err, seaworthy.Storage, "writing the bundle")
	}
	if err := console.WriteFile(where, func(w io.Writer) error {
		_, err := w.Write(made.Bundle)
		return err
	}); err != nil {
		return err
	}
	s.wrote(made, "the bundle is in "+where)
	return nil
}

func (s *signing) image(ctx context.Context, target string, annotations map[string]string, recursive bool, o sign.Options) error {
	return s.at(ctx, target, func(p *oci.Opened, to oci.Destination) error {
		ds, err := s.toSign(ctx, p, recursive)
		if err != nil {
			return err
		}
		for _, d := range ds {
			statement, err := sign.ImageStatement(d.Digest, annotations)
			if err != nil {
				return err
			}
			if err := s.attach(ctx, p, to, d, statement, o); err != nil {
				return err
			}
			if s.legacy {
				if err := sign.Legacy(ctx, to, p.Where, d.Digest, annotations, o.Key); err != nil {
					return err
				}
			}
			if _, err := fmt.Fprintf(s.app.stdout, "%s@%s\n", console.Escape(p.Where), d.Digest); err != nil {
				return seaworthy.Wrap(err, seaworthy.Storage, "writing the result")
			}
		}
		return nil
	})
}

// at opens an image where it is kept, for writing beside it; with --bundle nothing is written there.
func (s *signing) at(ctx context.Context, target string, do func(*oci.Opened, oci.Destination) error) error {
	o, err := s.place.options(s.app)
	if err != nil {
		return err
	}
	if s.bundleFile != "" {
		p, err := oci.OpenPlace(ctx, target, o)
		if err != nil {
			return err
		}
		defer p.Close()
		return do(p, nil)
	}
	p, to, err := oci.OpenDestination(ctx, target, o)
	if err != nil {
		return err
	}
	defer p.Close()
	return do(p, to)
}

// attach signs a statement about an image and puts the bundle where it belongs.
func (s *signing) attach(ctx context.Context, p *oci.Opened, to oci.Destination, d oci.Descriptor, statement *intoto.Statement, o sign.Options) error {
	made, err := sign.Statement(ctx, statement, o)
	if err != nil {
		return err
	}
	if s.bundleFile != "" {
		return s.writeBundle(made, s.bundleFile)
	}
	created, err := s.app.createdNow()
	if err != nil {
		return err
	}
	referrer, err := sign.Attach(ctx, to, d, made, created)
	if err != nil {
		return err
	}
	s.wrote(made, fmt.Sprintf("the bundle is %s@%s", p.Where, referrer.Digest))
	return nil
}

// toSign resolves what was named, once: an image or index and, with recursive, what is in the index.
func (s *signing) toSign(ctx context.Context, p *oci.Opened, recursive bool) ([]oci.Descriptor, error) {
	d, raw, err := s.place.resolve(ctx, p)
	if err != nil {
		return nil, err
	}
	ds := []oci.Descriptor{d}
	seen := map[seaworthy.Digest]bool{d.Digest: true}
	indexes := [][]byte{}
	if oci.IsIndex(d.MediaType) && recursive {
		indexes = append(indexes, raw)
	}
	for len(indexes) > 0 {
		index, err := oci.ParseIndex(indexes[0])
		if err != nil {
			return nil, err
		}
		indexes = indexes[1:]
		for _, e := range index.Entries {
			if seen[e.Digest] {
				continue
			}
			if len(seen) >= maxSigned {
				return nil, seaworthy.Errorf(seaworthy.TooLarge, "signing every image in %s: there are more than %d", p.Where, maxSigned)
			}
			seen[e.Digest] = true
			inner, raw, err := p.Manifest(ctx, string(e.Digest))
			if err != nil {
				return nil, err
			}
			ds = append(ds, inner)
			if oci.IsIndex(inner.MediaType) {
				indexes = append(indexes, raw)
			}
		}
	}
	return ds, nil
}

// maxSigned is how many images one sign --recursive signs.
const maxSigned = 1000
