package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/grade"
)

// verifierPolicy is a Verifier of Ratify: the package checker, or a plugin.
type verifierPolicy struct {
	about     Summary
	namespace string
	checker   *packageChecker
	plugin    *plugin
}

// The names under which Ratify's verifiers take what is denied.
var (
	licenceParameters = []string{"disAllowedLicenses", "disallowedLicenses"}
	packageParameters = []string{"disAllowedPackages", "disallowedPackages"}
)

// builtinVerifiers are those that come with Ratify, and what does the same here.
var builtinVerifiers = map[string]string{
	"cosign":              "a ClusterImagePolicy, or a Policy with signedBy",
	"notation":            "a Policy with signedBy: Notation signatures are not read",
	"schemavalidator":     "a Policy with attestedBy and a CUE policy",
	"vulnerabilityreport": "a Policy with noFindingAbove",
	"licensechecker":      "parameters disAllowedLicenses, or a Policy with licences",
}

// verifier reads one.
func (l *loader) verifier(o *object, about Summary, meta metadata, spec field) rulebook {
	m := spec.object("name", "type", "version", "artifactTypes", "nestedReferences", "address", "source", "parameters")
	name, typ := m["name"].text(), m["type"].text()
	m["version"].text()
	m["address"].text()
	m["source"].object("artifact", "authProvider")
	types := splitTypes(m["artifactTypes"].required())
	if m["nestedReferences"].given() {
		m["nestedReferences"].warn("", "what refers to an artifact is not followed; the artifacts themselves are verified")
	}
	v := &verifierPolicy{about: about, namespace: meta.namespace}
	v.about.Images = []string{"**"}
	if meta.namespace != "" {
		v.about.Namespaces = []string{meta.namespace}
	}
	v.about.FailOpen = meta.annotation(failModeAnnotation, "open", "closed") == "open"
	switch meta.annotation(modeAnnotation, "enforce", "warn", "dryrun") {
	case "warn":
		v.about.Mode = seaworthy.Warn
	case "dryrun":
		v.about.Mode = seaworthy.DryRun
	}
	p := m["parameters"].object("…")
	if checksPackages(p) {
		v.checker = m["parameters"].packageChecker(types, typ == "sbom" || typ == "" && name == "sbom")
		v.about.Rules = v.checker.names()
		return v
	}
	program := typ
	if program == "" {
		program = name
	}
	v.plugin = l.plugin(spec, m, program, types)
	v.about.Rules = []string{"the plugin " + program}
	return v
}

func splitTypes(s string) []string {
	var out []string
	for _, t := range strings.Split(s, ",") {
		if t = strings.TrimSpace(t); t != "" {
			out = append(out, t)
		}
	}
	return out
}

func checksPackages(p members) bool {
	return len(p.given(append(slices.Clone(licenceParameters), packageParameters...)...)) > 0
}

// packageChecker is the verifier of "Using Ratify with SBOMs": it looks into bills for licences and packages that
// are not allowed.
//
// A version that is given means that version and every older one, for so the original compares; a "v" before it does
// not count. (Ratify's own verifier sbom takes it exactly.) Licences are SPDX expressions: of "MIT OR
// AGPL-3.0-or-later" one may choose MIT, so it is not denied by denying the AGPL.
type packageChecker struct {
	types    []string
	licences *grade.Policy
	packages []deniedPackage
}

// packageChecker reads its parameters.
func (f field) packageChecker(types []string, exact bool) *packageChecker {
	m := f.object(append(slices.Clone(licenceParameters), packageParameters...)...)
	x := &packageChecker{types: types}
	for _, n := range licenceParameters {
		if denied := m[n].texts(); len(denied) > 0 {
			if x.licences == nil {
				x.licences = &grade.Policy{}
			}
			x.licences.Deny = append(x.licences.Deny, denied...)
			if err := x.licences.Check(); err != nil {
				m[n].failed(err)
			}
		}
	}
	for _, n := range packageParameters {
		for _, e := range m[n].list() {
			d := e.object("name", "version")
			p := deniedPackage{name: d["name"].required(), text: d["version"].text()}
			if p.text != "" {
				operator := "<="
				if exact {
					operator = "="
				}
				p.versions = [][]bound{{{operator, p.text}}}
				if !exact {
					p.text += " or older"
				}
			}
			x.packages = append(x.packages, p)
		}
	}
	if x.licences == nil && len(x.packages) == 0 {
		f.warn("", "nothing is denied: every bill passes")
	}
	return x
}

func (x *packageChecker) names() []string {
	var out []string
	if x.licences != nil {
		out = append(out, (&licenceRule{policy: x.licences}).name())
	}
	if len(x.packages) > 0 {
		out = append(out, (&packageRule{denied: x.packages}).name())
	}
	return out
}

// counts reports whether a bill is one of the types that are looked at. An attested bill has the type of its format.
func (x *packageChecker) counts(b *Bill) bool {
	have := []string{b.ArtifactType}
	if b.PredicateType != "" || b.ArtifactType == "" {
		if f := formatOf(b); f != "" {
			have = append(have, billFormats[f].artifacts...)
		}
	}
	return slices.Contains(x.types, "*") || slices.ContainsFunc(have, func(t string) bool { return t != "" && contains(x.types, t) })
}

func (v *verifierPolicy) summary() *Summary { return &v.about }

func (v *verifierPolicy) binds(img *Image) bool {
	return v.namespace == "" || v.namespace == img.Namespace
}

func (v *verifierPolicy) judge(ctx context.Context, q *question) judgement {
	if v.plugin != nil {
		return v.plugin.judge(ctx, q)
	}
	return v.checker.judge(ctx, q)
}

func (x *packageChecker) judge(ctx context.Context, q *question) judgement {
	first := seaworthy.RuleResult{Rule: "a bill of type " + strings.Join(x.types, " or ")}
	all, err := q.bills(ctx)
	if err != nil {
		unanswered(&first, "the bills", err)
		return judgement{rules: []seaworthy.RuleResult{first}, unanswered: excused(first.Code)}
	}
	var bills []Bill
	for i := range all {
		if !x.counts(&all[i]) {
			continue
		}
		if all[i].Err != nil {
			unanswered(&first, "the bill "+all[i].Source, all[i].Err)
			return judgement{rules: []seaworthy.RuleResult{first}, unanswered: excused(first.Code)}
		}
		first.Evidence = append(first.Evidence, all[i].named())
		bills = append(bills, all[i])
	}
	if len(bills) == 0 {
		(&billSource{}).none(q, &first, 0)
		if len(all) > 0 {
			first.Reason = fmt.Sprintf("it has %d bills, and none is of this type", len(all))
		}
		return judgement{rules: []seaworthy.RuleResult{first}}
	}
	first.Passed, first.Reason = true, fmt.Sprintf("there are %d", len(bills))
	j := judgement{passed: true, rules: []seaworthy.RuleResult{first}}
	if x.licences != nil {
		r := seaworthy.RuleResult{Rule: (&licenceRule{policy: x.licences}).name(), Passed: true, Reason: "no package is under one of them", Evidence: first.Evidence}
		if denied, _ := judgeLicences(x.licences, bills); len(denied) > 0 {
			r.Passed, r.Reason = false, listed(denied, "packages")
			r.Fix = "replace the packages, or use them under another licence and say so in the bill"
		}
		j.rules = append(j.rules, r)
		j.passed = j.passed && r.Passed
	}
	if len(x.packages) > 0 {
		r := seaworthy.RuleResult{Rule: (&packageRule{denied: x.packages}).name(), Passed: true, Reason: "none of them is there", Evidence: first.Evidence}
		if bad := judgePackages(x.packages, bills); len(bad) > 0 {
			r.Passed, r.Reason = false, listed(bad, "packages")
			r.Fix = "remove or update the packages, and attach the new bill"
		}
		j.rules = append(j.rules, r)
		j.passed = j.passed && r.Passed
	}
	return j
}
