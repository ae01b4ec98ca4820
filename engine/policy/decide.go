package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// noPolicy is the name under which a verdict speaks of there being no policy.
const noPolicy = "no policy"

// Decide says whether an image may sail: every policy that binds it must pass, but those that only warn or record.
// at is the time of the decision. Evidence is asked only when a policy needs it.
//
// What cannot be answered is a rule with a Code that did not pass. It makes its policy fail; where the policy's fail
// mode is open, it passes if somebody did not answer, never because something could not be read. The only error is that of a context that was cancelled; one whose deadline passed gives a verdict.
func (s *Set) Decide(ctx context.Context, img Image, ev Evidence, at time.Time) (seaworthy.Verdict, error) {
	v := seaworthy.Verdict{
		Image: img.Reference, Digest: img.Digest, Namespace: img.Namespace, At: at.UTC(), Allowed: true,
		Policies: []seaworthy.PolicyResult{},
	}
	bound := false
	for _, p := range s.policies {
		if !p.binds(&img) {
			continue
		}
		if err := ctx.Err(); errors.Is(err, context.Canceled) {
			return seaworthy.Verdict{}, seaworthy.Wrap(err, seaworthy.Interrupted, "deciding about %q", img.Reference)
		}
		j := p.judge(ctx, &question{&img, ev, at})
		if j.skipped {
			continue
		}
		bound = true
		add(&v, p.summary(), j)
	}
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return seaworthy.Verdict{}, seaworthy.Wrap(err, seaworthy.Interrupted, "deciding about %q", img.Reference)
	}
	if !bound {
		s.unboundVerdict(&v)
	}
	return v, nil
}

// add takes a policy's judgement into the verdict.
func add(v *seaworthy.Verdict, about *Summary, j judgement) {
	result := seaworthy.PolicyResult{Policy: about.Name, Mode: about.Mode, Passed: j.passed, Rules: j.rules}
	for _, w := range j.warnings {
		v.Warnings = append(v.Warnings, about.Name+": "+w)
	}
	if !j.passed && j.unanswered && about.FailOpen {
		result.Passed = true
		v.Warnings = append(v.Warnings, about.Name+": passes unanswered, since its fail mode is open: "+reasonOf(j))
	}
	if !result.Passed {
		switch about.Mode {
		case seaworthy.Warn:
			v.Warnings = append(v.Warnings, about.Name+": "+reasonOf(j))
		case seaworthy.DryRun:
		default:
			v.Allowed = false
		}
	}
	v.Policies = append(v.Policies, result)
}

// reasonOf is why a policy did not pass, in one line.
func reasonOf(j judgement) string {
	for _, r := range j.rules {
		if !r.Passed {
			return r.Rule + ": " + r.Reason
		}
	}
	return "it does not pass"
}

// unboundVerdict says what is said of an image that no policy binds.
func (s *Set) unboundVerdict(v *seaworthy.Verdict) {
	reason := fmt.Sprintf("none of the %d policies binds the image", len(s.policies))
	switch s.unbound {
	case UnboundAllow:
		return
	case UnboundWarn:
		v.Warnings = append(v.Warnings, reason)
		return
	}
	v.Allowed = false
	v.Policies = append(v.Policies, seaworthy.PolicyResult{Policy: noPolicy, Mode: seaworthy.Enforce, Rules: []seaworthy.RuleResult{{
		Rule: "a policy binds the image", Reason: reason, Missing: []string{"a policy whose images name " + v.Image},
		Fix: "write a policy for it, or let images pass that no policy binds",
	}}})
}

// sortPolicies puts policies into the order in which verdicts list them.
func sortPolicies(list []rulebook) {
	slices.SortFunc(list, func(a, b rulebook) int {
		switch x, y := a.summary().Name, b.summary().Name; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
}
