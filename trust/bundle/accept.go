package bundle

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/trust/key"
)

// Accept is who may have signed: any of the keys, any of the identities. The zero value accepts nobody, and Verify
// refuses to work with it.
type Accept struct {
	Keys       []key.Public
	Identities []Identity
}

// Identity is who a certificate must name. Subject or SubjectRegexp, and Issuer or IssuerRegexp, must be given;
// where both are, both must match. Regular expressions match anywhere in the text, as cosign's do: begin them with
// ^ and end them with $.
type Identity struct {
	Subject       string `json:"subject,omitempty"` // an e-mail address, or the URI of a workflow or workload
	SubjectRegexp string `json:"subjectRegexp,omitempty"`
	Issuer        string `json:"issuer,omitempty"` // the URL of the OpenID Connect provider
	IssuerRegexp  string `json:"issuerRegexp,omitempty"`
	// Claims that the certificate must have, by the names Claims knows.
	Claims map[string]string `json:"claims,omitempty"`
}

// maxRegexp is how long a regular expression of an identity may be, in bytes.
const maxRegexp = 4096

// claims are what Fulcio writes into certificates of workflows (fulcio, docs/oid-info.md).
var claims = map[string]func(*certificate.Extensions) string{
	"github-workflow-trigger":    func(e *certificate.Extensions) string { return e.GithubWorkflowTrigger },
	"github-workflow-sha":        func(e *certificate.Extensions) string { return e.GithubWorkflowSHA },
	"github-workflow-name":       func(e *certificate.Extensions) string { return e.GithubWorkflowName },
	"github-workflow-repository": func(e *certificate.Extensions) string { return e.GithubWorkflowRepository },
	"github-workflow-ref":        func(e *certificate.Extensions) string { return e.GithubWorkflowRef },
	"build-signer-uri":           func(e *certificate.Extensions) string { return e.BuildSignerURI },
	"build-signer-digest":        func(e *certificate.Extensions) string { return e.BuildSignerDigest },
	"runner-environment":         func(e *certificate.Extensions) string { return e.RunnerEnvironment },
	"source-repository-uri":      func(e *certificate.Extensions) string { return e.SourceRepositoryURI },
	"source-repository-digest":   func(e *certificate.Extensions) string { return e.SourceRepositoryDigest },
	"source-repository-ref":      func(e *certificate.Extensions) string { return e.SourceRepositoryRef },
	"build-config-uri":           func(e *certificate.Extensions) string { return e.BuildConfigURI },
	"build-config-digest":        func(e *certificate.Extensions) string { return e.BuildConfigDigest },
	"build-trigger":              func(e *certificate.Extensions) string { return e.BuildTrigger },
	"run-invocation-uri":         func(e *certificate.Extensions) string { return e.RunInvocationURI },
}

// Claims lists the names of claims, sorted.
func Claims() []string { return slices.Sorted(maps.Keys(claims)) }

// check says whether anybody is accepted at all. Errors: Usage.
func (a Accept) check() error {
	if len(a.Keys) == 0 && len(a.Identities) == 0 {
		return seaworthy.Errorf(seaworthy.Usage, "verifying without saying who may have signed").
			WithHint("give --key FILE, or --certificate-identity and --certificate-oidc-issuer")
	}
	for _, id := range a.Identities {
		if err := id.check(); err != nil {
			return err
		}
	}
	return nil
}

func (id Identity) check() error {
	if id.Subject == "" && id.SubjectRegexp == "" {
		return seaworthy.Errorf(seaworthy.Usage, "verifying without saying who may have signed").
			WithHint("give --certificate-identity or --certificate-identity-regexp")
	}
	if id.Issuer == "" && id.IssuerRegexp == "" {
		return seaworthy.Errorf(seaworthy.Usage, "verifying an identity without saying which provider vouches for it").
			WithHint("give --certificate-oidc-issuer or --certificate-oidc-issuer-regexp")
	}
	for _, expr := range []string{id.SubjectRegexp, id.IssuerRegexp} {
		if len(expr) > maxRegexp {
			return seaworthy.Errorf(seaworthy.TooLarge, "a regular expression of more than %d bytes", maxRegexp)
		}
		if _, err := regexp.Compile(expr); err != nil {
			return seaworthy.Errorf(seaworthy.Usage, "reading the regular expression %q: %w", expr, err)
		}
	}
	for name := range id.Claims {
		if claims[name] == nil {
			return seaworthy.Errorf(seaworthy.Usage, "there is no claim %q", name).WithHint("choose from %s", strings.Join(Claims(), ", "))
		}
	}
	return nil
}

// String says who it is, for people.
func (id Identity) String() string {
	var parts []string
	say := func(what, exact, expr string) {
		if exact != "" {
			parts = append(parts, fmt.Sprintf("%s %q", what, exact))
		}
		if expr != "" {
			parts = append(parts, fmt.Sprintf("%s like %q", what, expr))
		}
	}
	say("identity", id.Subject, id.SubjectRegexp)
	say("issuer", id.Issuer, id.IssuerRegexp)
	for _, name := range slices.Sorted(maps.Keys(id.Claims)) {
		parts = append(parts, fmt.Sprintf("%s %q", name, id.Claims[name]))
	}
	return strings.Join(parts, ", ")
}

// differs says what in a certificate is not as id demands, or "".
func (id Identity) differs(c *certificate.Summary) string {
	one := func(what, exact, expr, have string) string {
		if exact != "" && exact != have {
			return fmt.Sprintf("the %s is %q, not %q", what, have, exact)
		}
		if expr == "" {
			return ""
		}
		if re, err := regexp.Compile(expr); err != nil || !re.MatchString(have) {
			return fmt.Sprintf("the %s is %q, which is not like %q", what, have, expr)
		}
		return ""
	}
	if d := one("identity", id.Subject, id.SubjectRegexp, c.SubjectAlternativeName); d != "" {
		return d
	}
	if d := one("issuer", id.Issuer, id.IssuerRegexp, c.Issuer); d != "" {
		return d
	}
	for _, name := range slices.Sorted(maps.Keys(id.Claims)) {
		if have := claims[name](&c.Extensions); have != id.Claims[name] {
			return fmt.Sprintf("the claim %s is %q, not %q", name, have, id.Claims[name])
		}
	}
	return ""
}
