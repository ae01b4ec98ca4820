package policy

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/bill"
	"github.com/seaworthy-dev/seaworthy/engine/grade"
	"github.com/seaworthy-dev/seaworthy/format/licence"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
)

// billFormats are the kinds of bill a policy may ask for, with the types of attestation and of artifact that hold them.
var billFormats = map[string]struct{ predicates, artifacts []string }{
	"spdx": {
		[]string{"https://spdx.dev/Document", "https://spdx.dev/Document/v2.3", "https://spdx.dev/Document/v2.2"},
		[]string{"application/spdx+json", "text/spdx+json", "text/spdx", "application/spdx+tag-value"},
	},
	"cyclonedx": {
		[]string{"https://cyclonedx.org/bom", "https://cyclonedx.org/bom/v1.4", "https://cyclonedx.org/bom/v1.5", "https://cyclonedx.org/bom/v1.6"},
		[]string{"application/vnd.cyclonedx+json", "application/vnd.cyclonedx+xml", "application/vnd.cyclonedx"},
	},
}

// formatOf says which kind of bill it is: by what was read, else by what it is called.
func formatOf(b *Bill) string {
	if b.Bill != nil {
		switch f := strings.ToLower(b.Bill.Format); {
		case strings.HasPrefix(f, "spdx"):
			return "spdx"
		case strings.HasPrefix(f, "cyclonedx"):
			return "cyclonedx"
		}
	}
	for name, f := range billFormats {
		if contains(f.predicates, b.PredicateType) || contains(f.artifacts, b.ArtifactType) {
			return name
		}
	}
	return ""
}

// billSource says which bills count.
type billSource struct {
	formats []string  // none: any
	by      authority // with nobody in it, whoever wrote them
}

// bills returns those that count, and writes into r why there is none, or which there are.
func (s *billSource) bills(ctx context.Context, q *question, r *seaworthy.RuleResult) []Bill {
	var out []Bill
	if len(s.by.request.Accept.Keys)+len(s.by.request.Accept.Identities) > 0 {
		out = s.attested(ctx, q, r)
	} else {
		all, err := q.bills(ctx)
		if err != nil {
			unanswered(r, "the bills", err)
			return nil
		}
		for _, b := range all {
			if len(s.formats) == 0 || contains(s.formats, formatOf(&b)) {
				out = append(out, b)
			}
		}
		if len(out) == 0 {
			s.none(q, r, len(all))
		}
	}
	for i := range out {
		if out[i].Err != nil {
			unanswered(r, "the bill "+out[i].Source, out[i].Err)
			r.Evidence = nil
			return nil
		}
		r.Evidence = append(r.Evidence, out[i].named())
	}
	return out
}

// none says that there is no bill that counts.
func (s *billSource) none(q *question, r *seaworthy.RuleResult, others int) {
	what := "a bill of materials"
	if len(s.formats) > 0 {
		what += " in " + strings.Join(s.formats, " or ")
	}
	reason := "there is no bill of materials about it"
	if others > 0 {
		reason = fmt.Sprintf("none of its %d bills is in %s", others, strings.Join(s.formats, " or "))
	}
	say(r, reason)
	r.Missing = append(r.Missing, what)
	r.Fix = fmt.Sprintf("seaworthy sbom %s -o spdx-json=bill.spdx.json and attach it, or attest it with seaworthy attest %s --predicate bill.spdx.json --type spdx", q.image.Reference, q.image.Reference)
}

// attested returns the bills that somebody who is believed signed.
func (s *billSource) attested(ctx context.Context, q *question, r *seaworthy.RuleResult) []Bill {
	formats := s.formats
	if len(formats) == 0 {
		formats = []string{"spdx", "cyclonedx"}
	}
	var types []string
	for _, f := range formats {
		types = append(types, billFormats[f].predicates...)
	}
	proofs := q.proofs(ctx, r, &s.by, types, "a bill of materials attested by "+accepted(s.by.request.Accept))
	r.Evidence = nil // the bills are named instead
	var out []Bill
	for i := range proofs {
		p := &proofs[i]
		b := Bill{PredicateType: p.PredicateType, Source: p.Source, Signers: []string{p.Signer.String()}, Digest: named(p).Document}
		body := []byte(p.Statement.Predicate)
		var text string
		if json.Unmarshal(body, &text) == nil { // cosign attests tag-value as a string
			body = []byte(text)
		}
		b.Bill, b.Err = bill.Read(strings.NewReader(string(body)), p.Source)
		out = append(out, b)
	}
	return out
}

// bills asks the evidence.
func (q *question) bills(ctx context.Context) ([]Bill, error) {
	if q.image.Digest == "" {
		return nil, seaworthy.Errorf(seaworthy.Unavailable, "the image %q could not be resolved to a digest", q.image.Reference)
	}
	return q.evidence.Bills(ctx)
}

func (b *Bill) named() seaworthy.EvidenceNamed {
	return seaworthy.EvidenceNamed{Document: b.Digest, Kind: strings.TrimSpace("bill " + formatOf(b)), Source: b.Source, Signers: b.Signers}
}

// billRules reads what a policy asks of bills.
func (s *shortReader) billRules() []rule {
	which := s.m["bills"].object("by")
	source := billSource{by: authority{request: s.request(bundle.Accept{})}}
	if s.m["bills"].given() {
		source.by = s.by(which["by"], s.m["bills"])
	}
	var out []rule
	if f := s.m["billPresent"]; f.given() {
		present := source
		switch {
		case f.isText():
			if !f.boolean() {
				f.warn("leave it out", "false asks for nothing")
				break
			}
			out = append(out, &billRule{present})
		default:
			m := f.object("formats", "by")
			for _, e := range m["formats"].list() {
				present.formats = append(present.formats, e.word("spdx", "cyclonedx"))
			}
			if m["by"].given() {
				present.by = s.by(m["by"], f)
			}
			out = append(out, &billRule{present})
		}
	}
	if f := s.m["licences"]; f.given() {
		out = append(out, &licenceRule{source, f.licencePolicy()})
		s.believed(f)
	}
	if f := s.m["packages"]; f.given() {
		m := f.object("deny")
		x := &packageRule{bills: source}
		for _, e := range m["deny"].list() {
			if d, ok := e.denied(); ok {
				x.denied = append(x.denied, d)
			}
		}
		if len(m["deny"].list()) == 0 {
			m["deny"].wrong(seaworthy.Invalid, "it must be given")
		}
		out = append(out, x)
		s.believed(f)
	}
	return out
}

// believed says when bills are believed whoever wrote them.
func (s *shortReader) believed(f field) {
	if !s.m["bills"].given() {
		f.warn("say bills: {by: […]}", "bills are believed whoever wrote them: anybody who may push can attach one that leaves something out")
	}
}

// billRule asks for a bill.
type billRule struct{ bills billSource }

func (x *billRule) name() string {
	name := "a bill of materials"
	if len(x.bills.formats) > 0 {
		name += " in " + strings.Join(x.bills.formats, " or ")
	}
	if who := accepted(x.bills.by.request.Accept); who != "" {
		name += " attested by " + who
	}
	return name
}

func (x *billRule) judge(ctx context.Context, q *question, r *seaworthy.RuleResult) {
	bills := x.bills.bills(ctx, q, r)
	if len(bills) == 0 {
		return
	}
	n := 0
	for _, b := range bills {
		n += len(b.Bill.Packages)
	}
	r.Passed, r.Reason = true, fmt.Sprintf("there are %d, with %d packages", len(bills), n)
}

// licenceRule judges the licences of every package, as grade.Policy does: of "A OR B" one may choose the better, so
// it is denied only when both are; of "A AND B" the worse counts.
type licenceRule struct {
	bills  billSource
	policy *grade.Policy
}

func (x *licenceRule) name() string {
	if len(x.policy.Allow) == 0 && len(x.policy.Review) == 0 {
		return "licences denied: " + strings.Join(x.policy.Deny, ", ")
	}
	return "licences"
}

func (x *licenceRule) judge(ctx context.Context, q *question, r *seaworthy.RuleResult) {
	bills := x.bills.bills(ctx, q, r)
	if len(bills) == 0 {
		return
	}
	denied, review := judgeLicences(x.policy, bills)
	switch {
	case len(denied) > 0:
		r.Reason = listed(denied, "packages")
		r.Fix = "replace the packages, or use them under another licence and say so in the bill"
	case len(review) > 0:
		r.Passed, r.Reason = true, warnMark+"somebody should look at "+listed(review, "packages")
	default:
		r.Passed, r.Reason = true, "no package is under a licence that is denied"
	}
}

// judgeLicences says which packages are under a licence that is denied, and which somebody must look at.
func judgeLicences(p *grade.Policy, bills []Bill) (denied, review []string) {
	for _, b := range bills {
		for i := range b.Bill.Packages {
			pkg := &b.Bill.Packages[i]
			if !isSoftware(pkg) || slices.Contains(b.Bill.Roots, pkg.Ref) && len(b.Bill.Packages) > 1 {
				continue
			}
			expression := licenceOf(pkg)
			verdict, reason := p.Judge(expression)
			text := fmt.Sprintf("%s is under %s (%s)", nameOf(pkg), cmp.Or(expression, "no licence that is stated"), reason)
			switch verdict {
			case grade.Denied:
				denied = append(denied, text)
			case grade.Review, grade.UnknownOne:
				if verdict == grade.Review || p.Unknown != "" {
					review = append(review, text)
				}
			}
		}
	}
	slices.Sort(denied)
	slices.Sort(review)
	return slices.Compact(denied), slices.Compact(review)
}

// licenceOf is what counts as a package's licence: what was concluded, else what it declares, else what was found.
func licenceOf(p *seaworthy.Package) string {
	return cmp.Or(stated(p.Licences.Concluded), stated(p.Licences.Declared), licence.And(p.Licences.Found...))
}

// stated drops the words that say that nothing is stated.
func stated(s string) string {
	if s == "NOASSERTION" || s == "NONE" {
		return ""
	}
	return s
}

// isSoftware reports whether a licence is to be expected of a package: not of files, layers and what stands for the
// image itself.
func isSoftware(p *seaworthy.Package) bool {
	switch p.Role {
	case seaworthy.Layer, seaworthy.FileRole, seaworthy.Container, seaworthy.OS, seaworthy.Source, seaworthy.Archive:
		return false
	}
	return true
}

func nameOf(p *seaworthy.Package) string {
	return cmp.Or(p.PURL, strings.TrimSpace(p.Name+" "+p.Version))
}
