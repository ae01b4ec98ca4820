package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/sign"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/internal/exactjson"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
)

// maxPredicate is how large a predicate may be: 32 MiB, so that its bundle stays below bundle.MaxBytes.
const maxPredicate = 32 << 20

func newAttest(a *app) *cobra.Command {
	var predicate, predicateType string
	cmd := &cobra.Command{
		Use:   "attest TARGET --predicate FILE --type TYPE",
		Short: "Sign a statement about an image or a file",
		Long: `Attest signs what a file says about an image or a file: a bill of materials, a scan, how it was built. The statement
is in-toto's, in a DSSE envelope, in a Sigstore bundle, and is kept where sign keeps signatures.`,
		Example: "  seaworthy attest registry.example/app:1.2 --predicate app.spdx.json --type spdx --key release.key\n  seaworthy attest app.tar.gz --predicate built.json --type slsaprovenance1 --key release.key",
		GroupID: trustGroup,
		Args:    takes("seaworthy attest app.tar.gz --predicate app.spdx.json --type spdx --key release.key", "an image or file"),
	}
	s := a.signingFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&predicate, "predicate", "", "file with what is said, in JSON; - for stdin")
	f.StringVar(&predicateType, "type", "", "what kind of statement it is: "+strings.Join(intoto.PredicateNames(), ", ")+", or a URI")
	for _, needed := range []string{"predicate", "type"} {
		_ = cmd.MarkFlagRequired(needed) // the flag is there
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		types, err := intoto.PredicateTypes(predicateType)
		if err != nil {
			return err
		}
		said, err := a.readSmall(predicate, maxPredicate)
		if err == nil {
			err = exactjson.Check(said)
		}
		if err != nil {
			return seaworthy.Wrap(err, seaworthy.Invalid, "reading predicate %q", predicate)
		}
		target, err := a.signTarget(args[0])
		if err != nil {
			return err
		}
		if !target.image && s.legacy {
			return seaworthy.Errorf(seaworthy.Usage, "attesting about %q: --legacy is for images", args[0])
		}
		o, err := s.options(cmd.Context())
		if err != nil {
			return err
		}
		statement := func(name string, digest seaworthy.Digest) *intoto.Statement {
			return &intoto.Statement{
				Type: intoto.TypeV1, PredicateType: types[0], Predicate: said,
				Subjects: []intoto.Subject{{Name: name, Digest: map[string]string{digest.Algorithm(): digest.Hex()}}},
			}
		}
		if target.image {
			return s.at(cmd.Context(), args[0], func(p *oci.Opened, to oci.Destination) error {
				d, _, err := s.place.resolve(cmd.Context(), p)
				if err != nil {
					return err
				}
				st := statement(p.Where, d.Digest)
				if err := s.attach(cmd.Context(), p, to, d, st, o); err != nil {
					return err
				}
				if s.legacy {
					if err := sign.LegacyEnvelope(cmd.Context(), to, d.Digest, st, o.Key); err != nil {
						return err
					}
				}
				_, err = fmt.Fprintf(a.stdout, "%s@%s\n", console.Escape(p.Where), d.Digest)
				return seaworthy.Wrap(err, seaworthy.Storage, "writing the result")
			})
		}
		return s.attestFile(cmd, target, statement, o)
	}
	return cmd
}

func (s *signing) attestFile(cmd *cobra.Command, t signTarget, statement func(string, seaworthy.Digest) *intoto.Statement, o sign.Options) error {
	where, err := s.bundleName(t)
	if err != nil {
		return err
	}
	var artifact bundle.Artifact
	if artifact, err = t.artifact(s.app); err != nil {
		return err
	}
	made, err := sign.Statement(cmd.Context(), statement(t.name, artifact.Digest()), o)
	if err != nil {
		return err
	}
	return s.writeBundle(made, where)
}
