package ca

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"text/template"

	"github.com/go-json-experiment/json"
	"github.com/sigstore/fulcio/pkg/config"
	"go.yaml.in/yaml/v3"

	"github.com/seaworthy-dev/seaworthy"
)

// MaxIssuers is the longest configuration of issuers, in bytes.
const MaxIssuers = 1 << 20

// ParseIssuers reads whose tokens are trusted, as Fulcio's configuration writes it: YAML with oidc-issuers,
// meta-issuers and ci-issuer-metadata, or JSON with OIDCIssuers, MetaIssuers and CIIssuerMetadata. No issuer is asked
// for anything. Errors: Invalid, TooLarge.
func ParseIssuers(b []byte) (*config.FulcioConfig, error) {
	if len(b) > MaxIssuers {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading the configuration of issuers: more than %d bytes", MaxIssuers)
	}
	c := new(config.FulcioConfig)
	var err error
	if strings.HasPrefix(strings.TrimSpace(string(b)), "{") {
		err = json.Unmarshal(b, c, json.RejectUnknownMembers(true))
	} else {
		d := yaml.NewDecoder(strings.NewReader(string(b)))
		d.KnownFields(true)
		err = d.Decode(c)
	}
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading the configuration of issuers")
	}
	if len(c.OIDCIssuers)+len(c.MetaIssuers) == 0 {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the configuration of issuers: it names none")
	}
	for name, i := range c.OIDCIssuers {
		if err := sound(c, i, i.IssuerURL, false); err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading the configuration of issuers: %q", name)
		}
		if name != i.IssuerURL {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the configuration of issuers: %q has the URL %q", name, i.IssuerURL)
		}
	}
	for pattern, i := range c.MetaIssuers {
		if err := sound(c, i, strings.ReplaceAll(pattern, "*", "x"), true); err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading the configuration of issuers: %q", pattern)
		}
	}
	return c, templates(c)
}

// OneIssuer is the configuration that trusts one issuer of e-mail addresses.
func OneIssuer(url, audience string) *config.FulcioConfig {
	return &config.FulcioConfig{OIDCIssuers: map[string]config.OIDCIssuer{
		url: {IssuerURL: url, ClientID: audience, Type: config.IssuerTypeEmail},
	}}
}

var kinds = map[config.IssuerType]bool{
	config.IssuerTypeBuildkiteJob: true, config.IssuerTypeEmail: true, config.IssuerTypeGithubWorkflow: true,
	config.IssuerTypeCodefreshWorkflow: true, config.IssuerTypeGitLabPipeline: true, config.IssuerTypeChainguard: true,
	config.IssuerTypeKubernetes: true, config.IssuerTypeSpiffe: true, config.IssuerTypeURI: true,
	config.IssuerTypeUsername: true, config.IssuerTypeCIProvider: true,
}

// sound checks one issuer.
func sound(c *config.FulcioConfig, i config.OIDCIssuer, url string, meta bool) error {
	if err := soundURL(url); err != nil {
		return err
	}
	_, known := c.CIIssuerMetadata[i.CIProvider]
	switch {
	case i.ClientID == "":
		return errors.New("it has no client-id, so the tokens of anybody's application would do")
	case !kinds[i.Type]:
		return errors.New("no such type")
	case i.IssuerClaim != "" && i.Type != config.IssuerTypeEmail:
		return errors.New("issuer-claim is for the type email")
	case i.Type == config.IssuerTypeSpiffe && (i.SPIFFETrustDomain == "" || meta):
		return errors.New("the type spiffe needs a spiffe-trust-domain and one issuer")
	case (i.Type == config.IssuerTypeURI || i.Type == config.IssuerTypeUsername) && i.SubjectDomain == "":
		return errors.New("the types uri and username need a subject-domain")
	case i.Type == config.IssuerTypeURI && !strings.Contains(i.SubjectDomain, "://"):
		return errors.New("the subject-domain of the type uri begins with a scheme")
	case i.Type == config.IssuerTypeUsername && strings.Contains(i.SubjectDomain, "://"):
		return errors.New("the subject-domain of the type username is a host")
	case i.Type == config.IssuerTypeCIProvider && !known:
		return errors.New("its ci-provider is not among the ci-issuer-metadata")
	case i.CACert != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(i.CACert)):
		return errors.New("its ca-cert is no certificate in PEM")
	}
	return nil
}

// templates checks what claims are written with.
func templates(c *config.FulcioConfig) error {
	for name, m := range c.CIIssuerMetadata {
		texts := []string{m.SubjectAlternativeNameTemplate}
		fields := reflect.ValueOf(m.ExtensionTemplates)
		for n := range fields.NumField() {
			texts = append(texts, fields.Field(n).String())
		}
		for _, text := range texts {
			if _, err := template.New("").Option("missingkey=error").Parse(text); err != nil {
				return seaworthy.Wrap(err, seaworthy.Invalid, "reading the configuration of issuers: the templates of %q", name)
			}
		}
	}
	return nil
}

// clientFor is the client for an issuer: another one when its certificate is signed by its own authority.
func (t *tokens) clientFor(i config.OIDCIssuer) (*http.Client, error) {
	if i.CACert == "" {
		return t.o.Client, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM([]byte(i.CACert)) {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the ca-cert of %q", i.IssuerURL)
	}
	client := newClient()
	client.Transport.(bounded).inner.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return client, nil
}
