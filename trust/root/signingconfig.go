package root

import (
	"time"

	prototrust "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	sigroot "github.com/sigstore/sigstore-go/pkg/root"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/exactjson"
)

// Services are whom to ask when signing.
type Services struct {
	Authority    string   // Fulcio; "" when there is none
	Issuer       string   // OpenID Connect provider; "" when there is none
	Logs         []string // Rekor v2, without /api/v2
	Timestampers []string // RFC 3161, whole addresses
}

// ParseSigningConfig reads a Sigstore signing config v0.2 and chooses from it whom to ask at a time.
// Errors: Invalid, TooLarge; Unsupported for another version, or when it names only services we do not speak to.
func ParseSigningConfig(name string, b []byte, at time.Time) (Services, error) {
	var out Services
	if len(b) > MaxBytes {
		return out, seaworthy.Errorf(seaworthy.TooLarge, "reading signing config %q: more than %d bytes", name, MaxBytes)
	}
	if err := exactjson.Check(b); err != nil {
		return out, seaworthy.Wrap(err, seaworthy.Invalid, "reading signing config %q", name)
	}
	var p prototrust.SigningConfig
	if err := protojson.Unmarshal(b, &p); err != nil {
		return out, seaworthy.Errorf(seaworthy.Invalid, "reading signing config %q: %w", name, err)
	}
	if p.GetMediaType() != sigroot.SigningConfigMediaType02 {
		return out, seaworthy.Errorf(seaworthy.Unsupported, "reading signing config %q: its media type is %q", name, p.GetMediaType()).
			WithHint("a signing config says %q", sigroot.SigningConfigMediaType02)
	}
	c, err := sigroot.NewSigningConfigFromProtobuf(&p)
	if err != nil {
		return out, seaworthy.Errorf(seaworthy.Invalid, "reading signing config %q: %w", name, err)
	}
	one := func(what string, s []sigroot.Service) (string, error) {
		if len(s) == 0 {
			return "", nil
		}
		chosen, err := sigroot.SelectService(s, []uint32{1}, at)
		if err != nil {
			return "", seaworthy.Errorf(seaworthy.Unsupported, "reading signing config %q: %s: %w", name, what, err)
		}
		return chosen.URL, nil
	}
	some := func(what string, s []sigroot.Service, how sigroot.ServiceConfiguration, version uint32) ([]string, error) {
		if len(s) == 0 {
			return nil, nil
		}
		chosen, err := sigroot.SelectServices(s, how, []uint32{version}, at)
		if err != nil {
			return nil, seaworthy.Errorf(seaworthy.Unsupported, "reading signing config %q: %s: %w", name, what, err)
		}
		var urls []string
		for _, c := range chosen {
			urls = append(urls, c.URL)
		}
		return urls, nil
	}
	if out.Authority, err = one("certificate authorities", c.FulcioCertificateAuthorityURLs()); err != nil {
		return out, err
	}
	if out.Issuer, err = one("identity providers", c.OIDCProviderURLs()); err != nil {
		return out, err
	}
	if out.Logs, err = some("logs", c.RekorLogURLs(), c.RekorLogURLsConfig(), 2); err != nil {
		return out, err
	}
	out.Timestampers, err = some("timestamp authorities", c.TimestampAuthorityURLs(), c.TimestampAuthorityURLsConfig(), 1)
	return out, err
}
