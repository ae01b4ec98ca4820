package policy

// ReadsWorkload reports whether any policy looks at more of what wants to run an image than its group, version, resource
// and labels: at its name, spec or metadata. Only then can verdicts about the same image differ from one object of a
// kind to the next.
func (s *Set) ReadsWorkload() bool {
	for _, p := range s.policies {
		switch p := p.(type) {
		case *imagePolicy:
			if p.include.spec || p.include.metadata {
				return true
			}
		case *shortPolicy:
			if p.readsWorkload() {
				return true
			}
		}
	}
	return false
}

func (p *shortPolicy) readsWorkload() bool {
	reads := func(e *expression) bool { return e != nil && (e.names["workload"] || e.names["object"]) }
	if reads(p.when) {
		return true
	}
	for _, r := range p.rules {
		if custom, ok := r.(*customRule); ok && reads(custom.expression) {
			return true
		}
	}
	return false
}
