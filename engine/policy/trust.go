package policy

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/trust/key"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

const (
	// maxKeys is how many keys one field may hold.
	maxKeys = 64
	// sigstoreNamespace is where policy-controller keeps secrets and config maps.
	sigstoreNamespace = "cosign-system"
)

// trustRoot reads a TrustRoot of policy-controller.
func (l *loader) trustRoot(o *object, spec field, name string) {
	m := spec.object("remote", "repository", "sigstoreKeys")
	var r *root.Root
	switch spec.oneOf(m, "remote", "repository", "sigstoreKeys") {
	case "remote":
		m["remote"].object("root", "mirror", "targets", "trustedRootTarget")
		m["remote"].hinted(seaworthy.Unsupported, "fetch the repository once and give it as repository.mirrorFS, or its trusted_root.json's parts as sigstoreKeys",
			"a TUF mirror is fetched over the network, and policies are verified offline")
	case "repository":
		r = m["repository"].repository(name, l.options.At)
	case "sigstoreKeys":
		r = m["sigstoreKeys"].sigstoreKeys(name)
	}
	if r != nil && !o.bad {
		l.roots[name] = r
	}
}

// sigstoreKeys reads keys and certificates that are given outright.
func (f field) sigstoreKeys(name string) *root.Root {
	m := f.object("certificateAuthorities", "tLogs", "ctLogs", "timestampAuthorities")
	var sources []root.Source
	for _, a := range []struct{ name, role string }{{"certificateAuthorities", root.RoleAuthority}, {"timestampAuthorities", root.RoleTimestamper}} {
		for _, e := range m[a.name].list() {
			sources = append(sources, e.authoritySource(a.role)...)
		}
	}
	for _, a := range []struct{ name, role string }{{"tLogs", root.RoleLog}, {"ctLogs", root.RoleCertificateLog}} {
		for _, e := range m[a.name].list() {
			sources = append(sources, e.logSource(a.role)...)
		}
	}
	if len(m["certificateAuthorities"].list()) == 0 {
		m["certificateAuthorities"].wrong(seaworthy.Invalid, "it must be given")
	}
	if f.o.bad {
		return nil
	}
	r, err := root.Make(sources)
	if err != nil {
		f.failed(err)
		return nil
	}
	return renamed(f, name, r)
}

// renamed reads a root again under the name that policies give it.
func renamed(f field, name string, r *root.Root) *root.Root {
	named, err := root.Parse(name, r.JSON())
	if err != nil {
		f.failed(err)
		return nil
	}
	return named
}

func (f field) authoritySource(role string) []root.Source {
	m := f.object("subject", "uri", "certChain", "validFor")
	m["subject"].object("organization", "commonName")
	chain := m["certChain"].pemBytes()
	uri := m["uri"].required()
	from, until := m["validFor"].validity()
	certificates, err := certificates(chain)
	switch {
	case chain == nil:
		return nil
	case err != nil:
		m["certChain"].failed(err)
		return nil
	}
	if from.IsZero() {
		from = certificates[len(certificates)-1].NotBefore
	}
	return []root.Source{{Role: role, URI: uri, PEM: chain, From: from, Until: until}}
}

func (f field) logSource(role string) []root.Source {
	m := f.object("baseURL", "hashAlgorithm", "publicKey", "logID", "validFor")
	if h := m["hashAlgorithm"].text(); h != "" && !slices.Contains([]string{"sha256", "sha-256", "SHA2_256"}, strings.ToLower(h)) && h != "SHA2_256" {
		m["hashAlgorithm"].hinted(seaworthy.Unsupported, "logs hash with sha256", "the hash algorithm %q is not read", h)
	}
	m["logID"].text()
	k := m["publicKey"].pemBytes()
	uri := m["baseURL"].required()
	from, until := m["validFor"].validity()
	if k == nil {
		return nil
	}
	if _, err := key.ParsePublic(k); err != nil {
		m["publicKey"].failed(err)
		return nil
	}
	if from.IsZero() {
		from = time.Unix(0, 0).UTC() // what the object does not limit, it believes from the beginning
	}
	return []root.Source{{Role: role, URI: uri, PEM: k, From: from, Until: until}}
}

func (f field) validity() (from, until time.Time) {
	m := f.object("start", "end")
	return m["start"].time(), m["end"].time()
}

func (f field) time() time.Time {
	if !f.given() {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, f.node.Value)
	if err != nil {
		f.hinted(seaworthy.Invalid, "write it like 2026-01-31T00:00:00Z", "%q is no time", f.node.Value)
	}
	return t.UTC()
}

// pemBytes reads PEM: as it is, or in base64 as Kubernetes writes bytes. nil after a mistake.
func (f field) pemBytes() []byte {
	s := f.required()
	switch {
	case s == "":
		return nil
	case len(s) > 1<<20:
		f.wrong(seaworthy.TooLarge, "it has more than 1 MiB")
		return nil
	case strings.Contains(s, "-----BEGIN"):
		return []byte(s)
	}
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil || !bytes.Contains(b, []byte("-----BEGIN")) {
		f.hinted(seaworthy.Invalid, "give the PEM file, or its base64", "it is no PEM")
		return nil
	}
	return b
}

// certificates reads a chain in PEM. Errors: Invalid.
func certificates(b []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for len(out) < maxKeys {
		block, rest := pem.Decode(b)
		if block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || block.Type != "CERTIFICATE" {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "block %d of the PEM is no certificate", len(out)+1)
		}
		out, b = append(out, c), rest
	}
	if len(out) == 0 {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "there is no certificate in it")
	}
	return out, nil
}

// keys reads all public keys of a PEM file. Errors: Invalid, TooLarge, Unsupported.
func keys(b []byte) ([]key.Public, error) {
	var out []key.Public
	for {
		block, rest := pem.Decode(b)
		if block == nil {
			break
		}
		if len(out) == maxKeys {
			return nil, seaworthy.Errorf(seaworthy.TooLarge, "more than %d keys", maxKeys)
		}
		k, err := key.ParsePublic(pem.EncodeToMemory(block))
		if err != nil {
			return nil, err
		}
		out, b = append(out, k), rest
	}
	if len(out) == 0 {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "it is no public key in PEM").WithHint("it begins with -----BEGIN PUBLIC KEY-----")
	}
	return out, nil
}

// rootNamed finds a trust root that a policy refers to.
func (f field) rootNamed() *root.Root {
	name := f.text()
	if name == "" {
		return nil
	}
	r := f.o.l.roots[name]
	if r == nil {
		f.hinted(seaworthy.NotFound, f.o.l.rootHint(name), "there is no sound TrustRoot %q among the policies", name)
	}
	return r
}

// defaultRoot is the root of policies that name none. needed says what for.
func (f field) defaultRoot(needed string) *root.Root {
	if f.o.l.options.Root == nil {
		f.hinted(seaworthy.Invalid, "name a TrustRoot with trustRootRef, or give a trusted root with --trusted-root", "%s needs a trust root, and there is none", needed)
	}
	return f.o.l.options.Root
}

// combine takes each kind of thing from the root it is to come from; nil means that nothing of the kind is believed.
// Errors: Invalid, Internal.
func combine(authorities, logs, timestampers *root.Root) (*root.Root, error) {
	if authorities == logs && logs == timestampers {
		return authorities, nil
	}
	out := map[string]json.RawMessage{}
	var names []string
	take := func(from *root.Root, members ...string) error {
		if from == nil {
			return nil
		}
		if !slices.Contains(names, from.Name()) {
			names = append(names, from.Name())
		}
		var all map[string]json.RawMessage
		if err := json.Unmarshal(from.JSON(), &all); err != nil {
			return seaworthy.Errorf(seaworthy.Internal, "reading trusted root %q: %w", from.Name(), err)
		}
		for _, m := range append(members, "mediaType") {
			if v, ok := all[m]; ok {
				out[m] = v
			}
		}
		return nil
	}
	for _, err := range []error{
		take(authorities, "certificateAuthorities", "ctlogs"), take(logs, "tlogs"), take(timestampers, "timestampAuthorities"),
	} {
		if err != nil {
			return nil, err
		}
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Internal, "writing a trusted root: %w", err)
	}
	return root.Parse(strings.Join(names, "+"), b)
}

// ownAuthority is a root whose only certificate authority is the one given, with the logs and timestampers of
// another. Errors: Invalid.
func ownAuthority(uri string, chain []byte, others *root.Root) (*root.Root, error) {
	certs, err := certificates(chain)
	if err != nil {
		return nil, err
	}
	top := certs[len(certs)-1]
	if uri == "" {
		uri = "https://ca-cert.invalid"
	}
	own, err := root.Make([]root.Source{{Role: root.RoleAuthority, URI: uri, PEM: chain, From: top.NotBefore}})
	if err != nil {
		return nil, err
	}
	own, err = root.Parse(fmt.Sprintf("ca-cert %s", seaworthy.SHA256(top.Raw).Short()), own.JSON())
	if err != nil || others == nil {
		return own, err
	}
	// the certificate logs of the others show certificates of any authority
	var all, mine map[string]json.RawMessage
	if err := json.Unmarshal(others.JSON(), &all); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Internal, "reading trusted root %q: %w", others.Name(), err)
	}
	if err := json.Unmarshal(own.JSON(), &mine); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Internal, "reading trusted root %q: %w", own.Name(), err)
	}
	all["certificateAuthorities"] = mine["certificateAuthorities"]
	b, err := json.Marshal(all)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Internal, "writing a trusted root: %w", err)
	}
	return root.Parse(own.Name()+"+"+others.Name(), b)
}
