package policy

import (
	"context"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/grade"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// shortPolicy is a policy in our own form.
type shortPolicy struct {
	about             Summary
	globs, except     []glob
	namespaces        []string
	excluded          []string
	namespaceSelector *selector
	selector          *selector
	when              *expression
	rules             []rule // those that need no evidence first
	free              int    // how many do not
}

// rule is one part of a policy.
type rule interface {
	// name says in a few words what it asks for.
	name() string
	// judge fills in the result.
	judge(ctx context.Context, q *question, r *seaworthy.RuleResult)
}

// shortFields are the fields of spec.
var shortFields = []string{
	"description", "mode", "failMode", "images", "except", "namespaces", "excludedNamespaces", "namespaceSelector", "selector",
	"trustRoot", "requireLog", "requireTimestamp", "insecureIgnoreLog", "insecureIgnoreSCT", "when",
	"pinnedByDigest", "registries", "signedBy", "attestedBy", "builtBy", "builtFrom", "bills", "billPresent", "noFindingAbove",
	"licences", "packages", "rules",
}

// shortPolicy reads one.
func (l *loader) shortPolicy(o *object, about Summary, spec field) rulebook {
	m := spec.object(shortFields...)
	p := &shortPolicy{
		about: about, globs: m["images"].globs(), except: m["except"].globs(),
		namespaces: m["namespaces"].texts(), excluded: m["excludedNamespaces"].texts(),
		namespaceSelector: m["namespaceSelector"].selector(), selector: m["selector"].selector(),
	}
	if !m["images"].given() {
		everything, err := parseGlob("**")
		if err != nil {
			spec.failed(err)
		}
		p.globs = []glob{everything}
	} else if len(m["images"].list()) == 0 {
		m["images"].hinted(seaworthy.Invalid, "leave it out for every image", "the list is empty: the policy would bind nothing")
	}
	p.about.Description = m["description"].text()
	p.about.Images, p.about.Namespaces = globTexts(p.globs), p.namespaces
	if mode := m["mode"].word("enforce", "warn", "dryrun"); mode != "" {
		p.about.Mode = seaworthy.Mode(mode)
	}
	p.about.FailOpen = m["failMode"].word("closed", "open") == "open"
	if m["when"].given() {
		if p.when = m["when"].expression(celImage); p.when != nil {
			for _, name := range []string{"configs", "findings", "packages"} {
				if p.when.names[name] {
					m["when"].hinted(seaworthy.Invalid, "move it into rules", "a condition may not use %s: it is evaluated before anything is asked", name)
				}
			}
		}
	}
	r := shortReader{spec: spec, m: m}
	r.readTrust()
	p.rules = r.free()
	p.free = len(p.rules)
	p.rules = append(p.rules, r.asking()...)
	if len(p.rules) == 0 && !o.bad {
		spec.hinted(seaworthy.Invalid, "add a rule: pinnedByDigest, registries, signedBy, …", "the policy asks for nothing")
	}
	for _, x := range p.rules {
		p.about.Rules = append(p.about.Rules, x.name())
	}
	return p
}

func (p *shortPolicy) summary() *Summary { return &p.about }

func (p *shortPolicy) binds(img *Image) bool {
	if !anyGlob(p.globs, img) || anyGlob(p.except, img) {
		return false
	}
	named := func(patterns []string) bool {
		return img.Namespace != "" && slices.ContainsFunc(patterns, func(n string) bool { return wildcard(n, img.Namespace) })
	}
	switch {
	case len(p.namespaces) > 0 && !named(p.namespaces), named(p.excluded):
		return false
	case p.namespaceSelector != nil && (img.Namespace == "" || !p.namespaceSelector.selects(img.NamespaceLabels)):
		return false
	case p.selector != nil && (img.Workload == nil || !p.selector.selects(img.Workload.Labels)):
		return false
	}
	return true
}

// judge asks every rule. Those that need evidence are not asked when one that needs none has said no: nobody is sent
// to a registry that is not allowed.
func (p *shortPolicy) judge(ctx context.Context, q *question) judgement {
	var j judgement
	if p.when != nil {
		holds, err := p.when.holds(ctx, q.variables(p.when, nil))
		if err != nil {
			r := seaworthy.RuleResult{Rule: "when " + p.when.text}
			unanswered(&r, "the condition", err)
			return judgement{rules: []seaworthy.RuleResult{r}, unanswered: excused(r.Code)}
		}
		if !holds {
			return judgement{skipped: true}
		}
	}
	j.passed = true
	no := false
	for i, x := range p.rules {
		if i == p.free && !j.passed {
			break
		}
		r := seaworthy.RuleResult{Rule: x.name()}
		x.judge(ctx, q, &r)
		if r.Passed && strings.HasPrefix(r.Reason, warnMark) {
			r.Reason = strings.TrimPrefix(r.Reason, warnMark)
			j.warnings = append(j.warnings, r.Rule+": "+r.Reason)
		}
		j.rules = append(j.rules, r)
		j.passed = j.passed && r.Passed
		no = no || !r.Passed && !excused(r.Code)
	}
	j.unanswered = !j.passed && !no
	return j
}

// warnMark begins the reason of a rule that passes, but not without a word.
const warnMark = "\x00"

// shortReader reads the rules of a policy.
type shortReader struct {
	spec    field
	m       members
	root    *root.Root
	options bundle.Options
	signers signers // of signedBy
	rules   []*customRule
}

// readTrust reads what signatures are verified with.
func (s *shortReader) readTrust() {
	m := s.m
	if m["trustRoot"].given() {
		s.root = m["trustRoot"].rootNamed()
	} else {
		s.root = s.spec.o.l.options.Root
	}
	s.options = bundle.Options{
		RequireLog: m["requireLog"].boolean(), RequireTimestamp: m["requireTimestamp"].boolean(),
		UnsafeNoLog: m["insecureIgnoreLog"].boolean(), UnsafeNoSCT: m["insecureIgnoreSCT"].boolean(),
	}
	for _, n := range []string{"insecureIgnoreLog", "insecureIgnoreSCT"} {
		if m[n].boolean() {
			m[n].warn("", "misuse of an identity may go unnoticed")
		}
	}
	s.signers = s.signersOf(m["signedBy"])
	s.readCustom()
}

// free reads the rules that need no evidence.
func (s *shortReader) free() []rule {
	var out []rule
	if s.m["pinnedByDigest"].boolean() {
		out = append(out, pinnedRule{})
	}
	if f := s.m["registries"]; f.given() {
		r := registriesRule{allowed: f.texts()}
		for _, e := range f.list() {
			if strings.Contains(e.text(), "://") || strings.ContainsAny(e.text(), "@ ") {
				e.hinted(seaworthy.Invalid, "write it like registry.example/team", "%q is no registry", e.text())
			}
		}
		if len(r.allowed) == 0 {
			f.hinted(seaworthy.Invalid, "name at least one registry", "the list is empty: no image would pass")
		}
		out = append(out, r)
	}
	return append(out, s.custom(false)...)
}

// asking reads the rules that need evidence.
func (s *shortReader) asking() []rule {
	var out []rule
	if s.m["signedBy"].given() {
		out = append(out, s.signedRules(s.signers, nil)...)
	}
	for _, e := range s.m["attestedBy"].parts() {
		out = append(out, s.attested(e)...)
	}
	if f := s.m["builtBy"]; f.given() {
		m := f.object("builders", "by")
		out = append(out, &builtRule{authority: s.by(m["by"], f), builders: m["builders"].texts()})
		if len(m["builders"].list()) == 0 {
			m["builders"].hinted(seaworthy.Invalid, "name at least one builder, * stands for any text", "it must be given")
		}
	}
	if f := s.m["builtFrom"]; f.given() {
		m := f.object("sources", "refs", "by")
		out = append(out, &builtRule{authority: s.by(m["by"], f), sources: m["sources"].texts(), refs: m["refs"].texts()})
		if len(m["sources"].list()) == 0 {
			m["sources"].hinted(seaworthy.Invalid, "name at least one source: https://github.com/org/*", "it must be given")
		}
	}
	out = append(out, s.billRules()...)
	if f := s.m["noFindingAbove"]; f.given() {
		out = append(out, f.findingRule())
	}
	return append(out, s.custom(true)...)
}

// readCustom reads the rules in CEL.
func (s *shortReader) readCustom() {
	for _, e := range s.m["rules"].parts() {
		m := e.object("name", "expression", "message")
		x := m["expression"].expression(celImage)
		if name := m["name"].required(); x != nil {
			s.rules = append(s.rules, &customRule{title: name, expression: x, message: m["message"].text()})
		}
	}
}

// custom are the rules in CEL that ask for evidence, or those that do not.
func (s *shortReader) custom(asking bool) []rule {
	var out []rule
	for _, x := range s.rules {
		if n := x.expression.names; (n["configs"] || n["findings"] || n["packages"]) == asking {
			out = append(out, x)
		}
	}
	return out
}

// attested reads one of attestedBy.
func (s *shortReader) attested(f field) []rule {
	m := f.object("name", "type", "by", "policy")
	t := attestation{name: m["name"].text(), types: m["type"].predicateTypes()}
	if t.name == "" {
		t.name = m["type"].text()
	}
	if m["policy"].given() {
		t.program = m["policy"].shortProgram()
	}
	by := s.signersFor(m["by"], f)
	return s.signedRules(by, &t)
}

// shortProgram reads a policy over attestations: rego, cue or cel.
func (f field) shortProgram() program {
	m := f.object("type", "data", "configMapRef", "cueMode")
	typ := m["type"].word("cue", "rego", "cel")
	if m["type"].text() == "" {
		m["type"].hinted(seaworthy.Invalid, "it may be cue, rego, cel", "it must be given")
	}
	m["remote"] = field{o: f.o, path: f.path + ".remote"}
	mode := m["cueMode"].word(cueStrict, cueCompat)
	if m["cueMode"].given() && typ != "cue" {
		m["cueMode"].wrong(seaworthy.Invalid, "only a cue policy has a cueMode")
	}
	if typ == "cel" {
		if x := m["data"].expression(celStatement); x != nil {
			return &celProgram{x}
		}
		return nil
	}
	text, at, ok := f.policyText(m)
	switch {
	case !ok || typ == "":
		return nil
	case typ == "cue":
		return at.cue(text, mode, statementInput)
	}
	return at.rego(text, regoAny)
}

// licencePolicy reads licences.
func (f field) licencePolicy() *grade.Policy {
	m := f.object("allow", "deny", "review", "unknown")
	p := &grade.Policy{
		Allow: m["allow"].texts(), Deny: m["deny"].texts(), Review: m["review"].texts(),
		Unknown: grade.Judgement(m["unknown"].word("unknown", "allowed", "review", "denied")),
	}
	if err := p.Check(); err != nil {
		f.failed(err)
	}
	if len(m.given("allow", "deny", "review", "unknown")) == 0 {
		f.wrong(seaworthy.Invalid, "one of allow, deny, review, unknown must be given")
	}
	return p
}
