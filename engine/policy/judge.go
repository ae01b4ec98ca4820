package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/verify"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
)

// judge asks one authority.
func (a *authority) judge(ctx context.Context, q *question) (seaworthy.RuleResult, authorityMatch) {
	r := seaworthy.RuleResult{Rule: a.describe()}
	switch a.static {
	case "pass":
		r.Passed, r.Reason = true, "the authority passes every image"
		return r, authorityMatch{Static: true}
	case "fail":
		r.Reason = "the authority refuses every image"
		if a.message != "" {
			r.Reason += ": " + a.message
		}
		r.Fix = "use an image that this policy does not bind"
		return r, authorityMatch{}
	}
	if len(a.attestations) == 0 {
		proofs := q.proofs(ctx, &r, a, nil, "a signature by "+accepted(a.request.Accept))
		r.Passed = len(proofs) > 0
		var m authorityMatch
		for _, p := range proofs {
			m.Signatures = append(m.Signatures, matched(&p))
		}
		return r, m
	}
	m := authorityMatch{Attestations: map[string][]matchAttestation{}}
	passed := true
	for i := range a.attestations {
		t := &a.attestations[i]
		found := q.attested(ctx, &r, a, t)
		passed = passed && len(found) > 0
		for _, p := range found {
			m.Attestations[t.name] = append(m.Attestations[t.name], matchAttestation{matched(&p), p.PredicateType, string(q.image.Digest)})
		}
	}
	r.Passed = passed
	if passed {
		r.Code = ""
	}
	return r, m
}

// attested returns the attestations that are as t asks, and writes into r why there are none.
func (q *question) attested(ctx context.Context, r *seaworthy.RuleResult, a *authority, t *attestation) []verify.Proof {
	proofs := q.proofs(ctx, r, a, t.types, fmt.Sprintf("an attestation %s by %s", t.types[0], accepted(a.request.Accept)))
	if t.program == nil || len(proofs) == 0 {
		return proofs
	}
	var passed []verify.Proof
	var reasons []string
	for i := range proofs {
		ruled, err := t.program.judge(ctx, proofs[i].Attested(), q.at)
		switch {
		case err != nil:
			unanswered(r, "the policy of the attestation "+t.name, err)
			return nil
		case ruled.passed:
			passed = append(passed, proofs[i])
		default:
			reasons = append(reasons, ruled.reason)
		}
	}
	if len(passed) == 0 {
		slices.Sort(reasons)
		say(r, fmt.Sprintf("the attestation %s (%s) does not pass its %s policy: %s", t.name, t.types[0], t.program.language(), strings.Join(slices.Compact(reasons), "; ")))
		r.Fix = "attest what the policy asks for, or correct the policy"
	}
	return passed
}

// proofs asks what verifies, and writes into r what it rests on, or why there is nothing. missing names what would be
// needed.
func (q *question) proofs(ctx context.Context, r *seaworthy.RuleResult, a *authority, types []string, missing string) []verify.Proof {
	request := a.request
	request.Options.PredicateTypes = types
	var found []verify.Proof
	var refusals []string
	var fix string
	for _, s := range sourcesOf(a.sources) {
		report, err := q.verify(ctx, s, request)
		if err != nil && !isNo(err) {
			unanswered(r, missing, err)
			return nil
		}
		for _, p := range report.Verified {
			if a.format == "" || (a.format == "bundle") == strings.HasPrefix(p.Format, "bundle") {
				found = append(found, p)
			} else {
				refusals = append(refusals, fmt.Sprintf("%s is in the format %s, and the policy asks for %s", p.Source, p.Format, a.format))
			}
		}
		if err != nil {
			refusals = append(refusals, noReason(err, report, types))
			fix = seaworthy.HintOf(err)
		}
	}
	for i := range found {
		r.Evidence = append(r.Evidence, named(&found[i]))
	}
	if len(found) == 0 {
		slices.Sort(refusals)
		say(r, strings.Join(slices.Compact(refusals), "; "))
		r.Missing = append(r.Missing, missing)
		if r.Fix = fix; fix == "" {
			r.Fix = "have " + accepted(request.Accept) + " sign it"
		}
		return nil
	}
	say(r, "signed by "+strings.Join(signersOf(found), ", "))
	return found
}

// noReason says why nothing verifies.
func noReason(err error, report *verify.Report, types []string) string {
	if report == nil {
		return err.Error()
	}
	// what attests something else is no failed attempt at this
	others, refused := 0, 0
	for _, f := range report.Refused {
		if f.Refusal != nil && f.Refusal.Check == bundle.CheckPredicate {
			others++
		} else {
			refused++
		}
	}
	if refused > 0 || len(types) == 0 && others == 0 {
		return err.Error()
	}
	what := "nothing signs it"
	if len(types) > 0 {
		what = "nothing attests " + types[0]
	}
	if others > 0 {
		what += fmt.Sprintf("; %d attestations are about something else", others)
	}
	return what
}

// verify asks the evidence, beside the image or elsewhere.
func (q *question) verify(ctx context.Context, s *Source, request verify.Request) (*verify.Report, error) {
	if q.image.Digest == "" {
		return nil, seaworthy.Errorf(seaworthy.Unavailable, "the image %q could not be resolved to a digest", q.image.Reference)
	}
	if s == nil {
		return checked(q.evidence.Verify(ctx, request))
	}
	e, ok := q.evidence.(Elsewhere)
	if !ok {
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "signatures kept at %q cannot be looked for here", s.Repository)
	}
	return checked(e.VerifyAt(ctx, *s, request))
}

// checked sees to it that an answer is one: no report is no answer.
func checked(report *verify.Report, err error) (*verify.Report, error) {
	if report == nil {
		if err == nil {
			err = seaworthy.Errorf(seaworthy.Internal, "the evidence gave no answer")
		}
		if isNo(err) {
			report = &verify.Report{}
		}
	}
	return report, err
}

// isNo reports an error that is the answer no, not one that nobody could give.
func isNo(err error) bool {
	switch seaworthy.CodeOf(err) {
	case seaworthy.Unsigned, seaworthy.Unmatched, seaworthy.Uncertified, seaworthy.Untagged:
		return true
	}
	return false
}

func sourcesOf(list []Source) []*Source {
	if len(list) == 0 {
		return []*Source{nil}
	}
	var out []*Source
	for i := range list {
		out = append(out, &list[i])
	}
	return out
}

// unanswered says that a rule did not pass because something could not be found out.
func unanswered(r *seaworthy.RuleResult, what string, err error) {
	r.Passed = false
	r.Code = seaworthy.CodeOf(err)
	say(r, fmt.Sprintf("%s could not be looked at: %s", what, err))
	r.Missing = append(r.Missing, what)
	if r.Fix = seaworthy.HintOf(err); r.Fix == "" && r.Code == seaworthy.Unavailable {
		r.Fix = "try again when it answers, or give the policy the fail mode open"
	}
}

// excused reports a code that is nobody's doing here: somebody did not answer. What an image's author can bring about
// (what cannot be read, what is too large) is no excuse, and no fail mode lets it pass.
func excused(c seaworthy.Code) bool {
	switch c {
	case seaworthy.Unavailable, seaworthy.Unauthorized, seaworthy.Storage, seaworthy.Stale, seaworthy.Internal:
		return true
	}
	return false
}

// say adds to a rule's reason.
func say(r *seaworthy.RuleResult, reason string) {
	switch {
	case r.Reason == "":
		r.Reason = reason
	case !strings.Contains(r.Reason, reason):
		r.Reason += "; " + reason
	}
}

// named is a proof as a verdict names it.
func named(p *verify.Proof) seaworthy.EvidenceNamed {
	kind := "signature"
	if p.PredicateType != "" && p.PredicateType != bundle.SignPredicate {
		kind = "attestation " + p.PredicateType
	}
	e := seaworthy.EvidenceNamed{Kind: kind, Source: p.Source, Signers: []string{p.Signer.String()}}
	if _, digest, ok := strings.Cut(p.Source, "sha256:"); ok {
		if d, err := seaworthy.ParseDigest("sha256:" + digest); err == nil {
			e.Document = d
		}
	}
	return e
}

func signersOf(proofs []verify.Proof) []string {
	var out []string
	for i := range proofs {
		if s := proofs[i].Signer.String(); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// accepted says for people who may have signed.
func accepted(a bundle.Accept) string {
	var out []string
	for _, id := range a.Identities {
		out = append(out, id.String())
	}
	for _, k := range a.Keys {
		out = append(out, "the key "+k.Digest().Short())
	}
	return strings.Join(out, " or ")
}

func matched(p *verify.Proof) matchSignature {
	c := p.Signer.Claims
	return matchSignature{
		ID: shortID(p.Source), Subject: p.Signer.Identity, Issuer: p.Signer.Issuer,
		Trigger: c["github-workflow-trigger"], SHA: c["github-workflow-sha"], Name: c["github-workflow-name"],
		Repo: c["github-workflow-repository"], Ref: c["github-workflow-ref"],
	}
}
