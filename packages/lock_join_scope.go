package packages

import (
	"cmp"
	"slices"

	"github.com/seaworthy-dev/seaworthy"
)

// scopeOrder is from what is needed most to what is needed least.
var scopeOrder = []seaworthy.Scope{
	seaworthy.Runtime, seaworthy.Optional, seaworthy.Provided, seaworthy.Build, seaworthy.Test, seaworthy.Development,
}

// widerScope returns the scope of something needed in both; a scope not said gives way to one that is.
func widerScope(a, b seaworthy.Scope) seaworthy.Scope {
	if a == "" || b == "" {
		return cmp.Or(a, b)
	}
	if slices.Index(scopeOrder, b) < slices.Index(scopeOrder, a) {
		return b
	}
	return a
}

// spreadScopes gives packages whose file does not say what they are for the scope of the widest way from a
// project to them: needed at run time if a run-time dependency needs them.
func (j *lockJoin) spreadScopes() {
	reached := map[*lockPackage]bool{}
	for _, scope := range scopeOrder {
		var next []*lockPackage
		for _, p := range j.all {
			if p.Role != seaworthy.Application {
				continue
			}
			for _, e := range p.out {
				if e.scope == scope && e.to.Role != seaworthy.Application {
					next = append(next, e.to)
				}
			}
		}
		for len(next) > 0 {
			p := next[len(next)-1]
			next = next[:len(next)-1]
			if reached[p] {
				continue
			}
			reached[p] = true
			if p.Scope == "" {
				p.Scope = scope
			}
			for _, e := range p.out {
				if e.to.Role != seaworthy.Application && e.scope == seaworthy.Runtime {
					next = append(next, e.to)
				}
			}
		}
	}
	j.spreadOptional(reached)
}

// spreadOptional carries on from what is reached over the edges between packages that are not needed at run time.
func (j *lockJoin) spreadOptional(reached map[*lockPackage]bool) {
	var next []*lockPackage
	for _, p := range j.all {
		if reached[p] {
			next = append(next, p)
		}
	}
	for len(next) > 0 {
		p := next[0]
		next = next[1:]
		for _, e := range p.out {
			if reached[e.to] || e.to.Role == seaworthy.Application {
				continue
			}
			reached[e.to] = true
			next = append(next, e.to)
			if e.to.Scope == "" && p.Scope == seaworthy.Runtime {
				e.to.Scope = e.scope
			}
			e.to.Scope = cmp.Or(e.to.Scope, p.Scope)
		}
	}
}
