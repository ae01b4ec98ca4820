package main

import (
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// trustSources are the flags of trust init, named as cosign's trusted-root create names them.
var trustSources = []struct{ flag, role, file, what string }{
	{"fulcio", root.RoleAuthority, "certificate-chain", "a certificate authority"},
	{"rekor", root.RoleLog, "public-key", "a transparency log"},
	{"ctfe", root.RoleCertificateLog, "public-key", "a certificate log"},
	{"tsa", root.RoleTimestamper, "certificate-chain", "a timestamp authority"},
}

func newTrustInit(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a trusted root of authorities and logs of your own",
		Long: `Init makes a trusted root from certificates and keys. Each flag says where the authority or log is, the file with its
certificate chain (the root last) or public key, and from when to when it is believed:

  --fulcio url=https://ca.example,certificate-chain=ca.pem,start-time=2026-01-01T00:00:00Z[,end-time=…]

seaworthy up makes one for its own authorities by itself.`,
		Example: "  seaworthy trust init --fulcio url=https://ca.example,certificate-chain=ca.pem,start-time=2026-01-01T00:00:00Z --rekor url=https://log.example,public-key=log.pub,start-time=2026-01-01T00:00:00Z -o root=trusted_root.json",
		Args:    takes("seaworthy trust init --fulcio url=https://ca.example,certificate-chain=ca.pem,start-time=2026-01-01T00:00:00Z"),
	}
	given := map[string]*[]string{}
	for _, s := range trustSources {
		given[s.flag] = cmd.Flags().StringArray(s.flag, nil, s.what+": url=URL,"+s.file+"=FILE,start-time=TIME[,end-time=TIME]; may be repeated")
	}
	out := a.outputFlag(cmd, "root")
	cmd.RunE = func(*cobra.Command, []string) error {
		var sources []root.Source
		for _, s := range trustSources {
			for _, text := range *given[s.flag] {
				source, err := a.trustSource(s.flag, s.role, s.file, text)
				if err != nil {
					return err
				}
				sources = append(sources, source)
			}
		}
		if len(sources) == 0 {
			return seaworthy.Errorf(seaworthy.Usage, "making a trusted root that believes nobody").WithHint("give --fulcio, --rekor, --ctfe or --tsa")
		}
		made, err := root.Make(sources)
		if err != nil {
			return err
		}
		return out.Write(a.stdout, func(_ string, w io.Writer) error {
			_, err := w.Write(made.JSON())
			return err
		})
	}
	return cmd
}

// trustSource reads one flag.
func (a *app) trustSource(flag, role, file, text string) (root.Source, error) {
	s := root.Source{Role: role}
	values, err := keyValues(flag, strings.Split(text, ","))
	if err != nil {
		return s, err
	}
	for name, value := range values {
		switch name {
		case "url":
			s.URI = value
		case file:
			if s.PEM, err = a.readSmall(value, root.MaxBytes); err != nil {
				return s, err
			}
		case "start-time":
			s.From, err = time.Parse(time.RFC3339, value)
		case "end-time":
			s.Until, err = time.Parse(time.RFC3339, value)
		default:
			return s, seaworthy.Errorf(seaworthy.Usage, "--%s: there is no %q in it", flag, name).WithHint("it has url, %s, start-time and end-time", file)
		}
		if err != nil {
			return s, seaworthy.Errorf(seaworthy.Usage, "--%s: %q is no time", flag, value).WithHint("for example 2026-01-01T00:00:00Z")
		}
	}
	return s, nil
}
