package verify

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
)

// Text writes the report for people: who signed, when, and what shows it.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-12s %s\n", name, console.Escape(fmt.Sprintf(format, args...)))
	}
	name := r.Target
	if r.Digest != "" && !strings.Contains(name, string(r.Digest)) {
		name += " (" + string(r.Digest) + ")"
	}
	fmt.Fprintf(&b, "Verified %s\n", console.Escape(name))
	for _, p := range r.Verified {
		b.WriteByte('\n')
		line("signed by", "%s", signer(p))
		for _, t := range p.Times {
			line("signed at", "%s, says the %s %s", t.Time.Format(time.RFC3339), strings.ReplaceAll(t.Source, "-", " "), t.URI)
		}
		for _, l := range p.Logs {
			line("logged", "%s, entry %d (%s)", l.URI, l.Index, proofs(l.Promise, l.TreeSize))
		}
		if len(p.Chain) > 0 {
			line("certificate", "issued by %s", p.Chain[0].Issuer)
		}
		if p.PredicateType != "" {
			line("attests", "%s", p.PredicateType)
		}
		if p.Statement != nil && r.Digest == "" {
			for _, s := range p.Statement.Subjects {
				line("about", "%s", strings.TrimSpace(s.Name+" "+digests(s.Digest)))
			}
		}
		if p.Root != nil && p.Chain != nil {
			line("root", "%s (%s)", p.Root.Name, p.Root.Digest.Short())
		}
		line("found in", "%s, %s", p.Source, p.Format)
		for _, n := range p.Notes {
			line("note", "%s", n)
		}
	}
	first := true
	for _, f := range r.Refused {
		if f.ofAnotherType() {
			continue // somebody says something else about it: that is no failure
		}
		if first {
			first = false
			b.WriteString("\nThese signatures did not pass:\n")
		}
		line("refused", "%s: %s", f.Source, f.Detail)
	}
	for _, n := range r.Notes {
		line("note", "%s", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// ofAnotherType reports a statement that is of another type than was asked for, and has nothing else against it.
func (f *Refused) ofAnotherType() bool {
	return f.Refusal != nil && f.Refusal.Check == bundle.CheckPredicate
}

// digests writes the digests of a subject, in the order of their names.
func digests(d map[string]string) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(d)) {
		out = append(out, name+":"+d[name])
	}
	return strings.Join(out, " ")
}

func signer(p Proof) string {
	s := p.Signer
	if s.Identity == "" {
		return "the key " + string(s.Key)
	}
	who := fmt.Sprintf("%s (issuer %s)", s.Identity, s.Issuer)
	if repo := s.Claims["source-repository-uri"]; repo != "" {
		who += fmt.Sprintf(", from %s at %s", repo, s.Claims["source-repository-digest"])
	}
	return who
}

func proofs(promise bool, size int64) string {
	var have []string
	if promise {
		have = append(have, "promise")
	}
	if size > 0 {
		have = append(have, fmt.Sprintf("proof to a checkpoint of %d entries", size))
	}
	return strings.Join(have, ", ")
}
