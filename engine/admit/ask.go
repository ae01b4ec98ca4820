package admit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// subject is one image before the policies, with where to ask about it.
type subject struct {
	world *world
	image policy.Image
	asker Asker
	place oci.Place
	where string // the registry
	// name tells questions apart, evidenceName images.
	name, evidenceName string
}

// ask gives a remembered verdict, or a new one.
func (g *Gate) ask(ctx context.Context, s *subject) (seaworthy.Verdict, error) {
	began := time.Now()
	old, ok := g.verdicts.get(s.name)
	if ok && began.Before(old.until) {
		g.counts.Hits.Add(1)
		return old.again(), nil
	}
	wait := ctx
	useOld := ok && began.Before(old.stale)
	if useOld {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(ctx, g.o.Patience)
		defer cancel()
	}
	v, err := fly(wait, g, s.name, func(ctx context.Context) (seaworthy.Verdict, error) { return g.decide(ctx, s) })
	switch {
	case err == nil:
		return v, nil
	case useOld:
		g.counts.Stale.Add(1)
		return old.again(), nil
	case errors.Is(ctx.Err(), context.Canceled):
		return v, seaworthy.Wrap(ctx.Err(), seaworthy.Interrupted, "judging %q", s.image.Reference)
	case ctx.Err() != nil:
		g.counts.Late.Add(1)
		err = late(began, g.hop(s))
	}
	return s.world.set.Decide(context.WithoutCancel(ctx), s.image, noEvidence{err}, began)
}

// hop says what a question waits for.
func (g *Gate) hop(s *subject) string {
	if k, ok := g.evidence.get(s.evidenceName); ok {
		if hop := k.evidence.Hop(); hop != "" {
			return hop
		}
	}
	return fmt.Sprintf("its turn to ask %s", s.where)
}

// again is a remembered verdict as it is given.
func (e *entry) again() seaworthy.Verdict {
	v := e.verdict
	v.Cached = true
	return v
}

// decide judges, and remembers the verdict for as long as its kind is worth it.
func (g *Gate) decide(ctx context.Context, s *subject) (seaworthy.Verdict, error) {
	now := time.Now()
	k, ok := g.evidence.get(s.evidenceName)
	if !ok || !now.Before(k.until) {
		k = &kept{g.evidenceOf(s), now.Add(g.o.Negative)}
		g.evidence.put(s.evidenceName, k, 1)
	}
	defer k.evidence.measure.release() // what is remembered counts for Options.Evidence
	v, err := s.world.set.Decide(ctx, s.image, k.evidence, now)
	if err != nil {
		return v, err
	}
	e := &entry{verdict: v, answered: answered(&v)}
	now = time.Now()
	switch {
	case !e.answered:
		g.evidence.put(s.evidenceName, k, g.o.Evidence+1) // forgotten: it remembers its errors
		if old, ok := g.verdicts.get(s.name); ok && now.Before(old.stale) {
			g.o.Log.Warn("an older verdict is given, since nobody can be asked", "image", s.image.Reference, "digest", string(s.image.Digest), "from", old.verdict.At)
			g.counts.Stale.Add(1)
			again := *old
			again.until = now.Add(g.o.Negative)
			g.verdicts.put(s.name, &again, 1)
			return again.again(), nil
		}
		e.until = now.Add(min(g.o.Negative, 2*time.Second))
	case v.Allowed:
		e.until, e.stale = now.Add(g.o.Fresh), now.Add(g.o.Stale)
	default:
		e.until = now.Add(g.o.Negative)
	}
	if e.answered {
		g.evidence.put(s.evidenceName, k, 1+k.evidence.size.Load())
	}
	g.verdicts.put(s.name, e, 1)
	return v, nil
}

// answered reports whether everybody who had to be asked was there to answer.
func answered(v *seaworthy.Verdict) bool {
	return !slices.ContainsFunc(v.Policies, func(p seaworthy.PolicyResult) bool {
		return slices.ContainsFunc(p.Rules, func(r seaworthy.RuleResult) bool {
			switch r.Code {
			case seaworthy.Unavailable, seaworthy.Interrupted, seaworthy.Storage, seaworthy.Internal:
				return true
			}
			return false
		})
	})
}

// own is what the gate itself demands, as a policy.
const own = "seaworthy"

// refusal is the verdict about what is no image.
func refusal(q Question, at time.Time, rule string, err error) seaworthy.Verdict {
	return seaworthy.Verdict{
		Image: q.Image, Namespace: q.Asker.Namespace, At: at.UTC(), Policies: []seaworthy.PolicyResult{{
			Policy: own, Mode: seaworthy.Enforce,
			Rules: []seaworthy.RuleResult{{Rule: rule, Code: seaworthy.CodeOf(err), Reason: err.Error(), Fix: seaworthy.HintOf(err)}},
		}},
	}
}

// because tells the rules that could not be answered what the cause is: that there was no digest to judge.
func because(v seaworthy.Verdict, cause error) seaworthy.Verdict {
	for i := range v.Policies {
		for j := range v.Policies[i].Rules {
			r := &v.Policies[i].Rules[j]
			if r.Code == "" || strings.Contains(r.Reason, cause.Error()) {
				continue
			}
			r.Code, r.Reason = seaworthy.CodeOf(cause), r.Reason+": "+cause.Error()
			if hint := seaworthy.HintOf(cause); hint != "" {
				r.Fix = hint
			}
		}
	}
	return v
}

// demandPin adds to a verdict that the image must name its digest, as strictly as the strictest policy that binds it.
// cause is why the tag could not be resolved, or nil; policies that let pass what cannot be answered then only warn.
func (w *world) demandPin(v seaworthy.Verdict, q Question, cause error) seaworthy.Verdict {
	open := map[string]bool{}
	for _, p := range w.set.Policies() {
		open[p.Name] = p.FailOpen && cause != nil
	}
	mode := seaworthy.DryRun
	for _, p := range v.Policies {
		switch {
		case p.Mode == seaworthy.Enforce && !open[p.Policy]:
			mode = seaworthy.Enforce
		case p.Mode != seaworthy.DryRun && mode == seaworthy.DryRun:
			mode = seaworthy.Warn
		}
	}
	rule := seaworthy.RuleResult{Rule: "pinned by digest", Reason: "the image is named by a tag, which may stand for something else by the time it is pulled"}
	if cause != nil {
		rule.Code, rule.Reason, rule.Fix = seaworthy.CodeOf(cause), "the tag could not be resolved to a digest: "+cause.Error(), seaworthy.HintOf(cause)
	} else {
		rule.Fix = "name it as " + Pinned(q.Image, v.Digest)
	}
	v.Policies = append(slices.Clone(v.Policies), seaworthy.PolicyResult{Policy: own, Mode: mode, Rules: []seaworthy.RuleResult{rule}})
	switch mode {
	case seaworthy.Enforce:
		v.Allowed = false
	case seaworthy.Warn:
		v.Warnings = append(slices.Clone(v.Warnings), fmt.Sprintf("policy %s: rule %s: %s", own, rule.Rule, rule.Reason))
	}
	return v
}
