package policy

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/verify"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
	"github.com/seaworthy-dev/seaworthy/trust/key"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// authority is who may have signed, and what must be attested by them.
type authority struct {
	name         string
	static       string // pass or fail; "" for one that verifies
	message      string // of static: fail
	request      verify.Request
	format       string // legacy, bundle or "" for both
	sources      []Source
	attestations []attestation
}

// attestation is a statement that must be there, and what it must say.
type attestation struct {
	name    string
	types   []string // of the predicate; the first is its name
	program program  // nil: it need only be there
}

// authority reads one of spec.authorities.
func (f field) authority(index string, o cipOptions) authority {
	m := f.object("name", "key", "keyless", "static", "source", "ctlog", "attestations", "rfc3161timestamp", "signatureFormat")
	a := authority{name: m["name"].text(), format: m["signatureFormat"].word("legacy", "bundle")}
	if a.name == "" {
		a.name = "authority-" + index
	}
	switch kind := f.oneOf(m, "key", "keyless", "static"); kind {
	case "static":
		s := m["static"].object("action", "message")
		a.static, a.message = s["action"].word("pass", "fail"), s["message"].text()
		if s["action"].text() == "" {
			s["action"].wrong(seaworthy.Invalid, "it must be given")
		}
		if a.static == "pass" && a.message != "" {
			s["message"].warn("", "the message of an authority that always passes is never shown")
		}
		for _, n := range m.given("source", "ctlog", "attestations", "rfc3161timestamp", "signatureFormat") {
			m[n].wrong(seaworthy.Invalid, "a static authority verifies nothing: it may not have %s", n)
		}
		return a
	case "key":
		a.request.Accept.Keys = m["key"].keyRef()
	}
	a.trust(m)
	for _, s := range m["source"].parts() {
		a.sources = append(a.sources, s.source())
	}
	for _, t := range m["attestations"].parts() {
		a.attestations = append(a.attestations, t.attestation(o))
	}
	if m["attestations"].given() && len(m["attestations"].list()) == 0 {
		m["attestations"].warn("leave it out to ask for a signature", "the list of attestations is empty: a signature is asked for")
	}
	return a
}

// trust reads what is believed: roots, logs, timestamps. Nothing is believed of bare keys but what is asked for.
func (a *authority) trust(m members) {
	keyless, ctlog, timestamp := m["keyless"], m["ctlog"], m["rfc3161timestamp"]
	k := keyless.object("url", "identities", "ca-cert", "trustRootRef", "insecureIgnoreSCT")
	l := ctlog.object("url", "trustRootRef")
	t := timestamp.object("trustRootRef")
	k["url"].address()
	l["url"].address()
	own, logs, stamps := k["trustRootRef"].rootNamed(), l["trustRootRef"].rootNamed(), t["trustRootRef"].rootNamed()
	if keyless.given() {
		a.keyless(keyless, k)
		switch {
		case own != nil || k["trustRootRef"].given():
		case k["ca-cert"].given() && logs != nil:
			own = logs // whose certificate logs count, its authorities do not
		default:
			own = keyless.defaultRoot("verifying certificates")
		}
	}
	noLog := ctlog.given() && !l["url"].given() && !l["trustRootRef"].given()
	switch {
	case noLog && keyless.given():
		a.request.Options.UnsafeNoLog = true
		ctlog.warn("name the log with url or trustRootRef", "an empty ctlog means that no transparency log is asked: misuse of the identity goes unnoticed")
		logs = own // what is there all the same may say when it was signed
	case noLog:
	case logs != nil:
	case own != nil:
		logs = own
	case ctlog.given():
		logs = ctlog.defaultRoot("a transparency log")
	}
	a.request.Options.RequireLog = ctlog.given() && !noLog
	a.request.Options.RequireTimestamp = timestamp.given()
	if timestamp.given() && stamps == nil && !t["trustRootRef"].given() {
		if stamps = own; stamps == nil {
			stamps = timestamp.defaultRoot("a timestamp authority")
		}
	}
	if stamps == nil {
		stamps = own
	}
	a.checkLog(l["url"], logs)
	if m["key"].given() && logs == nil && stamps == nil {
		return // a bare key, and nothing else is asked
	}
	r, err := combine(own, logs, stamps)
	if err == nil && k["ca-cert"].given() {
		if chain := k["ca-cert"].certificateRef(); chain != nil {
			r, err = ownAuthority(k["url"].text(), chain, r)
		}
	}
	if err != nil {
		keyless.failed(err)
	}
	a.request.Root = r
}

// keyless reads who is accepted.
func (a *authority) keyless(f field, k members) {
	if k["ca-cert"].given() {
		if k["url"].given() {
			f.wrong(seaworthy.Invalid, "only one of url, ca-cert may be given")
		}
		if k["trustRootRef"].given() {
			f.wrong(seaworthy.Invalid, "only one of ca-cert, trustRootRef may be given: both say which authority is believed")
		}
	}
	a.request.Options.UnsafeNoSCT = k["insecureIgnoreSCT"].boolean()
	if a.request.Options.UnsafeNoSCT {
		k["insecureIgnoreSCT"].warn("", "certificates pass that no certificate log has promised to show")
	}
	if len(k["identities"].list()) == 0 {
		k["identities"].hinted(seaworthy.Invalid, "name at least one issuer and subject: without, everybody in the world would be accepted", "it must be given")
	}
	for _, e := range k["identities"].parts() {
		if id, ok := e.identity("issuer", "subject", "issuerRegExp", "subjectRegExp"); ok {
			a.request.Accept.Identities = append(a.request.Accept.Identities, id)
		}
	}
}

// identity reads an identity; names are those of its four fields.
func (f field) identity(issuer, subject, issuerRegexp, subjectRegexp string, others ...string) (bundle.Identity, bool) {
	m := f.object(append([]string{issuer, subject, issuerRegexp, subjectRegexp}, others...)...)
	id := bundle.Identity{
		Issuer: m[issuer].text(), Subject: m[subject].text(),
		IssuerRegexp: m[issuerRegexp].regexp(), SubjectRegexp: m[subjectRegexp].regexp(),
	}
	before := f.o.bad
	f.oneOf(m, issuer, issuerRegexp)
	f.oneOf(m, subject, subjectRegexp)
	return id, !f.o.bad || before
}

// regexp reads a regular expression, which is matched anywhere in the text.
func (f field) regexp() string {
	s := f.text()
	if s == "" {
		return ""
	}
	if _, err := regexp.Compile(s); err != nil {
		f.wrong(seaworthy.Invalid, "%q is no regular expression: %s", s, err)
		return s
	}
	if regexpSize(s) > maxRegexpSize {
		f.wrong(seaworthy.TooLarge, "the regular expression has more than %d steps", maxRegexpSize)
		return s
	}
	if strings.Trim(s, ".*^$+") == "" {
		f.warn("name who it is", "the regular expression %q accepts anybody", s)
	} else if !strings.HasPrefix(s, "^") || !strings.HasSuffix(s, "$") {
		f.warn("begin it with ^ and end it with $", "the regular expression %q matches anywhere in the text", s)
	}
	return s
}

// address reads a URL that is not asked here, but must be one.
func (f field) address() {
	s := f.text()
	if s == "" {
		return
	}
	if u, err := url.Parse(s); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		f.wrong(seaworthy.Invalid, "%q is no address", s)
	}
}

// checkLog says when the log that is named is none of those that are believed.
func (a *authority) checkLog(f field, logs *root.Root) {
	if !f.given() || logs == nil {
		return
	}
	want := strings.TrimSuffix(f.text(), "/")
	var have []string
	for _, e := range logs.Entries() {
		if e.Role != root.RoleLog {
			continue
		}
		if strings.TrimSuffix(e.URI, "/") == want {
			return
		}
		have = append(have, e.URI)
	}
	f.warn("its logs are "+strings.Join(have, ", "), "the trusted root %q has no log at %q; the logs it has are believed", logs.Name(), want)
}

// hashes are the hash algorithms that policy-controller knows.
var hashes = []string{"sha224", "sha256", "sha384", "sha512"}

// keyRef reads the keys of an authority: given outright, or from a secret.
func (f field) keyRef() []key.Public {
	m := f.object("secretRef", "data", "kms", "hashAlgorithm")
	if h := strings.ToLower(m["hashAlgorithm"].text()); h != "" {
		m["hashAlgorithm"].word(append(hashes, "SHA224", "SHA256", "SHA384", "SHA512")...)
		if h == "sha224" {
			m["hashAlgorithm"].wrong(seaworthy.Unsupported, "signatures over sha224 are not verified")
		}
	}
	var b []byte
	at := m["data"]
	switch f.oneOf(m, "data", "secretRef", "kms") {
	case "data":
		b = []byte(m["data"].required())
	case "secretRef":
		at = m["secretRef"]
		b = at.secretRef()
	case "kms":
		m["kms"].hinted(seaworthy.Unsupported, "export the public key (cosign public-key --key KMS-URI) and give it as data", "keys in a key management service are not asked for: verification is offline")
	}
	if len(b) == 0 {
		return nil
	}
	ks, err := keys(b)
	if err != nil {
		at.failed(err)
	}
	return ks
}

// certificateRef reads a ca-cert.
func (f field) certificateRef() []byte {
	m := f.object("secretRef", "data", "kms", "hashAlgorithm")
	var b []byte
	at := m["data"]
	switch f.oneOf(m, "data", "secretRef", "kms") {
	case "data":
		b = []byte(m["data"].required())
	case "secretRef":
		at = m["secretRef"]
		b = at.secretRef()
	case "kms":
		m["kms"].wrong(seaworthy.Unsupported, "certificates in a key management service are not asked for: verification is offline")
	}
	if len(b) == 0 {
		return nil
	}
	if _, err := certificates(b); err != nil {
		at.failed(err)
		return nil
	}
	return b
}

// secretRef looks up the only entry of a secret.
func (f field) secretRef() []byte {
	m := f.object("name", "namespace", "key")
	name, entry := m["name"].required(), m["key"].text()
	namespace := f.o.l.namespace(m["namespace"].text())
	if name == "" {
		return nil
	}
	data, err := f.o.l.secret(namespace, name)
	if err != nil {
		f.failed(seaworthy.Wrap(err, seaworthy.NotFound, "asking for the secret %s/%s", namespace, name))
		return nil
	}
	if b, ok := data[entry]; entry != "" && ok {
		return b
	}
	if entry != "" || len(data) != 1 {
		f.hinted(seaworthy.Invalid, "policy-controller wants a secret with the public key alone", "the secret %s/%s has %d entries, and not one that is meant", namespace, name, len(data))
		return nil
	}
	for _, b := range data {
		return b
	}
	return nil
}

// source reads where signatures are kept.
func (f field) source() Source {
	m := f.object("oci", "signaturePullSecrets", "tagPrefix")
	s := Source{Repository: m["oci"].required(), TagPrefix: m["tagPrefix"].text()}
	if s.Repository != "" && !repository.MatchString(s.Repository) {
		m["oci"].hinted(seaworthy.Invalid, "write it like registry.example/signatures", "%q is no repository", s.Repository)
	}
	for _, e := range m["signaturePullSecrets"].list() {
		s.PullSecrets = append(s.PullSecrets, e.object("name")["name"].required())
	}
	if s.TagPrefix != "" && !tagPrefix.MatchString(s.TagPrefix) {
		m["tagPrefix"].wrong(seaworthy.Invalid, "%q cannot begin a tag", s.TagPrefix)
	}
	return s
}

var (
	repository = regexp.MustCompile(`^[a-zA-Z0-9.\-\[\]]+(:[0-9]+)?(/[a-z0-9._\-]+)*$`)
	tagPrefix  = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._\-]{0,60}$`)
)

// attestation reads one of an authority's attestations.
func (f field) attestation(o cipOptions) attestation {
	m := f.object("name", "predicateType", "policy")
	a := attestation{name: m["name"].required(), types: m["predicateType"].predicateTypes()}
	if m["policy"].given() {
		a.program, _ = m["policy"].cipPolicy(o, statementInput)
	}
	return a
}

// predicateTypes reads a predicate type: a short name or a URI.
func (f field) predicateTypes() []string {
	s := f.required()
	if s == "" {
		return nil
	}
	types, err := intoto.PredicateTypes(s)
	if err != nil {
		f.failed(err)
	}
	return types
}
