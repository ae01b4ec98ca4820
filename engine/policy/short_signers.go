package policy

import (
	"context"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/verify"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
)

// signers are who must have signed: one of any, and each of all.
type signers struct {
	any bundle.Accept
	all []bundle.Accept
}

func (s signers) empty() bool { return len(s.any.Keys)+len(s.any.Identities)+len(s.all) == 0 }

// signersOf reads a list, one of which is enough, or any and all.
func (s *shortReader) signersOf(f field) signers {
	var out signers
	if !f.given() {
		return out
	}
	anyOf, allOf := f, field{o: f.o}
	if f.node.Kind == yaml.MappingNode {
		m := f.object("any", "all")
		anyOf, allOf = m["any"], m["all"]
		if len(m.given("any", "all")) == 0 {
			f.wrong(seaworthy.Invalid, "one of any, all must be given")
		}
	}
	for _, e := range anyOf.parts() {
		a := s.signer(e)
		out.any.Keys = append(out.any.Keys, a.Keys...)
		out.any.Identities = append(out.any.Identities, a.Identities...)
	}
	for _, e := range allOf.parts() {
		out.all = append(out.all, s.signer(e))
	}
	if out.empty() && !f.o.bad {
		f.hinted(seaworthy.Invalid, "name at least one key or identity", "nobody is named: no image would pass")
	}
	return out
}

// signer reads who: a key, or an identity and who vouches for it.
func (s *shortReader) signer(f field) bundle.Accept {
	all := []string{"issuer", "identity", "issuerRegexp", "identityRegexp", "claims", "key", "secretRef"}
	m := f.object(all...)
	switch len(m.given("key", "secretRef")) {
	case 2:
		f.wrong(seaworthy.Invalid, "only one of key, secretRef may be given")
		return bundle.Accept{}
	case 1:
		for _, n := range m.given(all[:5]...) {
			m[n].wrong(seaworthy.Invalid, "a signer is a key or an identity, not both")
		}
		at := m["key"]
		b := []byte(at.text())
		if m["secretRef"].given() {
			at = m["secretRef"]
			b = at.secretRef()
		}
		if len(b) == 0 {
			return bundle.Accept{}
		}
		ks, err := keys(b)
		if err != nil {
			at.failed(err)
		}
		return bundle.Accept{Keys: ks}
	}
	id, ok := f.identity("issuer", "identity", "issuerRegexp", "identityRegexp", "claims", "key", "secretRef")
	id.Claims = m["claims"].table()
	for name, v := range m["claims"].object("…") {
		if !contains(bundle.Claims(), name) {
			ok = false
			v.hinted(seaworthy.Invalid, "choose from "+strings.Join(bundle.Claims(), ", "), "there is no claim %q", name)
		}
	}
	if !ok {
		return bundle.Accept{}
	}
	if len(id.Claims) == 0 {
		id.Claims = nil
	}
	if s.root == nil && !s.m["trustRoot"].given() {
		f.defaultRoot("verifying certificates")
	}
	return bundle.Accept{Identities: []bundle.Identity{id}}
}

// signersFor are those of a rule, or those of signedBy when it names none.
func (s *shortReader) signersFor(by, rule field) signers {
	if by.given() {
		return s.signersOf(by)
	}
	if s.signers.empty() && !rule.o.bad {
		rule.hinted(seaworthy.Invalid, "add by, with the keys or identities that are believed", "it does not say whose word is taken, and signedBy names nobody")
	}
	return s.signers
}

// by is an authority of which any signer is enough.
func (s *shortReader) by(by, rule field) authority {
	who := s.signersFor(by, rule)
	for _, a := range who.all {
		who.any.Keys = append(who.any.Keys, a.Keys...)
		who.any.Identities = append(who.any.Identities, a.Identities...)
	}
	return authority{request: s.request(who.any)}
}

func (s *shortReader) request(a bundle.Accept) verify.Request {
	return verify.Request{Accept: a, Root: s.root, Options: s.options}
}

// signedRules are the rules for signers: one for all of which one is enough, and one for each that is needed.
func (s *shortReader) signedRules(who signers, t *attestation) []rule {
	var out []rule
	add := func(a bundle.Accept) { out = append(out, &signedRule{authority{request: s.request(a)}, t}) }
	if len(who.any.Keys)+len(who.any.Identities) > 0 {
		add(who.any)
	}
	for _, a := range who.all {
		add(a)
	}
	return out
}

// signedRule asks for a signature, or for an attestation.
type signedRule struct {
	authority   authority
	attestation *attestation
}

func (x *signedRule) name() string {
	if x.attestation != nil {
		return fmt.Sprintf("attested %s by %s", x.attestation.name, accepted(x.authority.request.Accept))
	}
	return "signed by " + accepted(x.authority.request.Accept)
}

func (x *signedRule) judge(ctx context.Context, q *question, r *seaworthy.RuleResult) {
	if x.attestation == nil {
		r.Passed = len(q.proofs(ctx, r, &x.authority, nil, "a signature by "+accepted(x.authority.request.Accept))) > 0
		return
	}
	r.Passed = len(q.attested(ctx, r, &x.authority, x.attestation)) > 0
}
