package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/engine/verify"
)

// programs are the policies of --policy, compiled before anything is verified.
type programs struct {
	names []string
	list  []*policy.Program
}

// readPrograms reads the files of --policy. What they may not mean is said.
func (a *app) readPrograms(names []string) (*programs, error) {
	out := &programs{names: names}
	for _, name := range names {
		b, err := a.readSmall(name, policy.MaxProgramBytes)
		if err != nil {
			return nil, err
		}
		p, mistakes, err := policy.ParseProgram(name, b)
		if err != nil {
			return nil, err
		}
		for _, m := range mistakes {
			a.warn("%s (%s)", m.Error(), m.Hint)
		}
		out.list = append(out.list, p)
	}
	return out, nil
}

// hold asks every policy about every attestation that verified: as cosign has it, all must pass.
// Errors: Unmatched when one does not, Usage when nothing is attested.
func (p *programs) hold(ctx context.Context, report *verify.Report) error {
	if len(p.list) == 0 {
		return nil
	}
	var refusals []string
	asked := 0
	for i := range report.Verified {
		proof := &report.Verified[i]
		statement := proof.Attested()
		if statement == nil {
			continue
		}
		asked++
		for n, program := range p.list {
			passed, reason, err := program.Check(ctx, statement, time.Now())
			if err != nil {
				return seaworthy.Wrap(err, seaworthy.Invalid, "asking the policy %q about %s", p.names[n], proof.Source)
			}
			if !passed {
				refusals = append(refusals, fmt.Sprintf("the attestation in %s does not pass the policy %q: %s", proof.Source, p.names[n], reason))
			}
		}
	}
	if asked == 0 {
		return seaworthy.Errorf(seaworthy.Usage, "verifying %q with --policy: what verified is no attestation", report.Target).
			WithHint("name the type of the attestation with --type")
	}
	if len(refusals) > 0 {
		return seaworthy.Errorf(seaworthy.Unmatched, "verifying %q: %s", report.Target, strings.Join(refusals, "; "))
	}
	for _, name := range p.names {
		report.Notes = append(report.Notes, fmt.Sprintf("the policy %q passes", name))
	}
	return nil
}
