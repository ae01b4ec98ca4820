package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/sign"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/serve/fulcio"
	"github.com/seaworthy-dev/seaworthy/serve/rekor"
	"github.com/seaworthy-dev/seaworthy/serve/tsa"
	"github.com/seaworthy-dev/seaworthy/source/identity"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// keyless are the flags that say who vouches for a signature. Without them nobody is asked.
type keyless struct {
	token        string
	config       string
	authority    string
	logs         []string
	timestampers []string
	issuer       string
	client       string
}

func (k *keyless) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&k.token, "identity-token", "", "token that says who you are, or a file with it (default: that of the GitHub or GitLab job or the pod this runs in, else you log in with a browser)")
	f.StringVar(&k.config, "signing-config", "", "signing_config.json that says which authorities and logs to ask")
	f.StringVar(&k.authority, "fulcio-url", "", "certificate authority to ask")
	f.StringArrayVar(&k.logs, "rekor-url", nil, "transparency log (Rekor v2) to write to; may be repeated")
	f.StringArrayVar(&k.timestampers, "timestamp-server-url", nil, "timestamp authority (RFC 3161) to ask; may be repeated")
	f.StringVar(&k.issuer, "oidc-issuer", "", "provider to log in at with a browser (default: the signing config's)")
	f.StringVar(&k.client, "oidc-client-id", identity.DefaultClient, "how that provider knows this program")
	secretFlags(f, "identity-token")
}

// services is whom to ask: what flags say, and else the signing config.
func (k *keyless) services(a *app) (root.Services, error) {
	var s root.Services
	if k.config != "" {
		b, err := a.readSmall(k.config, root.MaxBytes)
		if err != nil {
			return s, err
		}
		if s, err = root.ParseSigningConfig(k.config, b, time.Now()); err != nil {
			return s, err
		}
	}
	if k.authority != "" {
		s.Authority = k.authority
	}
	if k.issuer != "" {
		s.Issuer = k.issuer
	}
	if len(k.logs) > 0 {
		s.Logs = k.logs
	}
	if len(k.timestampers) > 0 {
		s.Timestampers = k.timestampers
	}
	return s, nil
}

// confirming is who confirms a signature: logs and timestamp authorities.
func (k *keyless) confirming(a *app) (sign.Options, error) {
	s, err := k.services(a)
	return confirmedBy(s), err
}

func confirmedBy(s root.Services) sign.Options {
	var o sign.Options
	for _, u := range s.Logs {
		o.Logs = append(o.Logs, rekor.Client{URL: u})
	}
	for _, u := range s.Timestampers {
		o.Timestampers = append(o.Timestampers, tsa.Client{URL: u})
	}
	return o
}

// keylessOptions is for signing with a key of the moment.
func (k *keyless) keylessOptions(ctx context.Context, a *app) (sign.Options, error) {
	s, err := k.services(a)
	if err != nil {
		return sign.Options{}, err
	}
	if s.Authority == "" {
		return sign.Options{}, seaworthy.Errorf(seaworthy.Usage, "signing without a key: nobody was named to vouch for one").
			WithHint("give --key FILE, or --signing-config FILE, or --fulcio-url with --rekor-url and --timestamp-server-url")
	}
	o := confirmedBy(s)
	o.Authority = fulcio.Client{URL: s.Authority}
	token, err := k.identity(ctx, a, s.Issuer)
	o.Token = token.Value
	return o, err
}

// identity is the token that was given, else the machine's own, else that of a person who logs in with a browser:
// where there is a person, or where a provider was named.
func (k *keyless) identity(ctx context.Context, a *app, issuer string) (identity.Token, error) {
	if k.token != "" {
		return identity.Given(k.token)
	}
	token, err := identity.Ambient(ctx, a.getenv)
	if seaworthy.CodeOf(err) != seaworthy.NotFound || issuer == "" || k.issuer == "" && !a.stderr.Terminal {
		return token, err
	}
	return identity.Browser(ctx, identity.Login{Issuer: issuer, Client: k.client, Show: func(address string) error {
		fmt.Fprintf(a.progress, "to say who you are, open\n\n  %s\n\n", console.Escape(address))
		if a.stderr.Terminal {
			if err := identity.OpenBrowser(ctx, address); err != nil {
				a.detail("no browser could be opened: %v", err)
			}
		}
		return nil
	}})
}
