package main

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/verify"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
	"github.com/seaworthy-dev/seaworthy/trust/key"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// whom are the flags that say who is believed.
type whom struct {
	keys          []string
	id            bundle.Identity
	claims        map[string]*string
	root          string
	ignoreLog     bool
	ignoreSCT     bool
	signedTime    bool
	predicateType string
}

// claimFlags are the flags of claims that cosign has, by the claim.
var claimFlags = []struct{ claim, what string }{
	{"github-workflow-trigger", "the event that started the GitHub workflow"},
	{"github-workflow-sha", "the commit the GitHub workflow ran at"},
	{"github-workflow-name", "the name of the GitHub workflow"},
	{"github-workflow-repository", "the repository of the GitHub workflow"},
	{"github-workflow-ref", "the branch or tag the GitHub workflow ran at"},
}

func whomFlags(cmd *cobra.Command) *whom {
	w := &whom{claims: map[string]*string{}}
	f := cmd.Flags()
	f.StringArrayVar(&w.keys, "key", nil, "file with a public key that may have signed; may be repeated")
	f.StringVar(&w.id.Subject, "certificate-identity", "", "who must have signed: an e-mail address or the URI of a workflow")
	f.StringVar(&w.id.SubjectRegexp, "certificate-identity-regexp", "", "the same as a regular expression; it matches anywhere unless it begins with ^ and ends with $")
	f.StringVar(&w.id.Issuer, "certificate-oidc-issuer", "", "the provider that vouches for the identity, as a URL")
	f.StringVar(&w.id.IssuerRegexp, "certificate-oidc-issuer-regexp", "", "the same as a regular expression")
	for _, c := range claimFlags {
		w.claims[c.claim] = f.String("certificate-"+c.claim, "", c.what)
	}
	f.StringVar(&w.root, "trusted-root", "", "trusted_root.json to believe (default: what trust import kept, else the public-good instance's)")
	f.StringVar(&w.predicateType, "type", "", "verify an attestation of this type instead of a signature: "+strings.Join(intoto.PredicateNames(), ", ")+", or a URI")
	f.BoolVar(&w.signedTime, "use-signed-timestamps", false, "demand the time of a timestamp authority")
	f.BoolVar(&w.ignoreLog, "insecure-ignore-tlog", false, "let a certificate pass without a transparency log entry")
	f.BoolVar(&w.ignoreSCT, "insecure-ignore-sct", false, "let a certificate pass that no certificate log has promised to show")
	return w
}

// request turns the flags into whom to believe.
func (a *app) request(w *whom) (verify.Request, error) {
	var r verify.Request
	for _, name := range w.keys {
		b, err := a.readSmall(name, key.MaxFileBytes)
		if err != nil {
			return r, err
		}
		k, err := key.ParsePublic(b)
		if err != nil {
			return r, seaworthy.Wrap(err, seaworthy.Invalid, "reading key %q", name)
		}
		r.Accept.Keys = append(r.Accept.Keys, k)
	}
	for claim, value := range w.claims {
		if *value != "" {
			if w.id.Claims == nil {
				w.id.Claims = map[string]string{}
			}
			w.id.Claims[claim] = *value
		}
	}
	if w.id.Subject != "" || w.id.SubjectRegexp != "" || w.id.Issuer != "" || w.id.IssuerRegexp != "" || len(w.id.Claims) > 0 {
		r.Accept.Identities = []bundle.Identity{w.id}
	}
	if len(r.Accept.Keys) > 0 && len(r.Accept.Identities) > 0 {
		return r, seaworthy.Errorf(seaworthy.Usage, "verifying with both a key and an identity").WithHint("give --key, or --certificate-identity with --certificate-oidc-issuer")
	}
	var err error
	if r.Root, err = a.trustedRoot(w.root); err != nil {
		return r, err
	}
	r.Options = bundle.Options{RequireTimestamp: w.signedTime, UnsafeNoLog: w.ignoreLog, UnsafeNoSCT: w.ignoreSCT}
	if w.predicateType != "" {
		r.Options.PredicateTypes, err = intoto.PredicateTypes(w.predicateType)
	}
	return r, err
}

// trustedRoot is the one that was named, else the one that was imported, else the embedded one.
func (a *app) trustedRoot(name string) (*root.Root, error) {
	if name != "" {
		b, err := a.readSmall(name, root.MaxBytes)
		if err != nil {
			return nil, err
		}
		return root.Parse(name, b)
	}
	imported, err := a.importedRoot()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(imported)
	switch {
	case err == nil:
		return root.Parse(imported, b)
	case !errors.Is(err, os.ErrNotExist):
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading the imported trusted root")
	}
	return root.PublicGood()
}

// readSmall reads a file that the person named, or stdin for "-".
func (a *app) readSmall(name string, limit int64) ([]byte, error) {
	f, err := a.openFile(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading %q", name)
	}
	if int64(len(b)) > limit {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading %q: more than %d bytes", name, limit)
	}
	return b, nil
}

func newVerify(a *app) *cobra.Command {
	var bundleFile, signatureFile, certificateFile string
	cmd := &cobra.Command{
		Use:   "verify TARGET",
		Short: "Check who signed it",
		Long: `Verify checks who signed an image, a file or an attestation, when, and that logs show it. Who may have signed must
be said: a key, or an identity and the provider that vouches for it. Nothing is asked of the network but the image.

TARGET is an image (see inspect), a file, - for stdin, a digest (sha256:…), or a bundle with an attestation. The
bundle of a file is taken from --bundle, or from FILE.sigstore.json beside it.

With --policy every attestation that verifies must pass a policy too, in Rego (package signature with the rule allow as
cosign has it, package sigstore with isCompliant, or package seaworthy with allow and deny) or CUE. The policy sees the
statement and nothing else. What a CUE policy asks for must be there: an attestation that leaves it out does not pass.

Exit status: 0 it is signed as asked; 10 nothing signs it; 11 there is no such tag; 12 there are signatures, and none
is as asked; 13 it is signed by a bare key where an identity was asked.`,
		Example: `  seaworthy verify ghcr.io/org/app:1.2 --certificate-identity-regexp '^https://github.com/org/' --certificate-oidc-issuer https://token.actions.githubusercontent.com
  seaworthy verify app.tar.gz --bundle app.sigstore.json --key release.pub
  seaworthy verify ghcr.io/org/app:1.2 --type spdx --key release.pub -o json
  seaworthy verify ghcr.io/org/app:1.2 --type vuln --key release.pub --policy no-critical.rego`,
		GroupID: trustGroup,
		Args:    takes("seaworthy verify app.tar.gz --bundle app.sigstore.json --key release.pub", "an image or file"),
	}
	w := whomFlags(cmd)
	var policies []string
	f := cmd.Flags()
	f.StringArrayVar(&policies, "policy", nil, "Rego or CUE file (.rego, .cue) that every verified attestation must pass; may be repeated")
	f.StringVar(&bundleFile, "bundle", "", "file with the bundle that signs a file (default FILE.sigstore.json)")
	f.StringVar(&signatureFile, "signature", "", "file with a detached signature, as base64 or bytes, instead of a bundle")
	f.StringVar(&certificateFile, "certificate", "", "file with the certificate of --signature, in PEM")
	place := a.imageFlags(cmd)
	out := a.outputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := a.request(w)
		if err != nil {
			return err
		}
		programs, err := a.readPrograms(policies)
		if err != nil {
			return err
		}
		target, err := a.signTarget(args[0])
		if err != nil {
			return err
		}
		if target.image && len(policies) > 0 && w.predicateType == "" {
			return seaworthy.Errorf(seaworthy.Usage, "verifying %q with --policy: a signature says nothing a policy could look at", args[0]).
				WithHint("name the type of the attestation with --type")
		}
		var report *verify.Report
		if target.image {
			if bundleFile != "" || signatureFile != "" {
				return seaworthy.Errorf(seaworthy.Usage, "verifying %q with --bundle: what signs an image is beside it", args[0]).
					WithHint("verify its digest (sha256:…) with --bundle to use a file")
			}
			report, err = verifyImage(cmd.Context(), place, args[0], r)
		} else {
			report, err = a.verifyFile(target, bundleFile, signatureFile, certificateFile, r)
		}
		if err == nil {
			err = programs.hold(cmd.Context(), report)
		}
		if err != nil {
			return err
		}
		return out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, report)
			case "yaml":
				return console.YAML(w, report)
			}
			return report.Text(w)
		})
	}
	return cmd
}

// verifyFile verifies a file, a digest, or an attestation by itself.
func (a *app) verifyFile(t signTarget, bundleFile, signatureFile, certificateFile string, r verify.Request) (*verify.Report, error) {
	if bundleFile == "" && signatureFile == "" && t.path != "" && t.path != "-" {
		b, err := a.readHead(t.path)
		if err != nil {
			return nil, err
		}
		if bundle.LooksLike(b) {
			u, err := a.readBundle(t.path)
			if err != nil {
				return nil, err
			}
			return verify.Statement(t.name, u, r)
		}
		bundleFile = t.path + bundleEnding
	}
	artifact, err := t.artifact(a)
	if err != nil {
		return nil, err
	}
	var u *bundle.Unverified
	source := bundleFile
	switch {
	case bundleFile != "" && signatureFile != "":
		return nil, seaworthy.Errorf(seaworthy.Usage, "verifying with both --bundle and --signature").WithHint("give one of them")
	case bundleFile != "":
		u, err = a.readBundle(bundleFile)
		if seaworthy.CodeOf(err) == seaworthy.NotFound && bundleFile == t.path+bundleEnding {
			return nil, seaworthy.Errorf(seaworthy.Unsigned, "verifying %q: there is no %q beside it", t.name, bundleFile).WithHint("name the bundle with --bundle FILE")
		}
	case signatureFile != "":
		source = signatureFile
		u, err = a.readDetached(signatureFile, certificateFile, artifact)
	default:
		return nil, seaworthy.Errorf(seaworthy.Usage, "verifying %q without a bundle", t.name).WithHint("give --bundle FILE")
	}
	if err != nil {
		return nil, err
	}
	return verify.File(artifact, source, u, r)
}

// bundleEnding is what the name of a bundle adds to that of its file.
const bundleEnding = ".sigstore.json"

func (a *app) readBundle(name string) (*bundle.Unverified, error) {
	b, err := a.readSmall(name, bundle.MaxBytes)
	if err != nil {
		return nil, err
	}
	u, err := bundle.Parse(b)
	return u, seaworthy.Wrap(err, seaworthy.Invalid, "opening %q", name)
}

func (a *app) readDetached(signature, certificate string, artifact bundle.Artifact) (*bundle.Unverified, error) {
	sig, err := a.readSmall(signature, key.MaxFileBytes)
	if err != nil {
		return nil, err
	}
	var cert []byte
	if certificate != "" {
		if cert, err = a.readSmall(certificate, key.MaxFileBytes); err != nil {
			return nil, err
		}
	}
	return bundle.Detached(sig, cert, artifact)
}

// readHead reads enough of a file to see whether it is a bundle.
func (a *app) readHead(name string) ([]byte, error) {
	f, err := a.openFile(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1<<20))
	return b, seaworthy.Wrap(err, seaworthy.Storage, "reading %q", name)
}

// signTarget is what is signed or verified.
type signTarget struct {
	name   string
	image  bool
	path   string           // of files; "-" is stdin
	digest seaworthy.Digest // of a digest that was named
}

// signTarget says what a name means: a digest, stdin, a file, or else an image.
func (a *app) signTarget(name string) (signTarget, error) {
	if d, err := seaworthy.ParseDigest(name); err == nil {
		return signTarget{name: name, digest: d}, nil
	}
	if name == "-" {
		return signTarget{name: "stdin", path: "-"}, nil
	}
	t, err := oci.ParseTarget(name)
	if err != nil {
		return signTarget{}, err
	}
	switch t.Kind {
	case oci.KindFile:
		return signTarget{name: name, path: t.Path}, nil
	case oci.KindArchive: // a file too: archives cannot hold what signs them
		return signTarget{name: name, path: t.Path}, nil
	case oci.KindDir:
		return signTarget{}, seaworthy.Errorf(seaworthy.Usage, "opening %q: it is a directory, which has no digest", name).WithHint("pack it into one file, or name an image in it with oci-dir:")
	}
	return signTarget{name: name, image: true}, nil
}

// artifact hashes what is signed.
func (t signTarget) artifact(a *app) (bundle.Artifact, error) {
	if t.digest != "" {
		return bundle.DigestArtifact(t.name, t.digest)
	}
	f, err := a.openFile(t.path)
	if err != nil {
		return bundle.Artifact{}, err
	}
	defer f.Close()
	var again func() (io.ReadCloser, error)
	if t.path != "-" {
		again = func() (io.ReadCloser, error) { return a.openFile(t.path) }
	}
	return bundle.FileArtifact(t.name, f, again)
}
