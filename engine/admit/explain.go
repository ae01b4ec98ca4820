package admit

import (
	"fmt"
	"io"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// maxMessage is how long a message to kubectl may be, in bytes: events and terminals cut longer ones.
const maxMessage = 4096

// Brief says in one line why an image may not sail, or, of one that may, what was warned of: "policy P: rule R:
// reason; missing: …; to mend: …". It is "" when there is nothing to say.
func Brief(v *seaworthy.Verdict) string {
	var parts []string
	for i := range v.Policies {
		p := &v.Policies[i]
		if p.Passed || p.Mode != seaworthy.Enforce {
			continue
		}
		parts = append(parts, briefPolicy(p))
	}
	if len(parts) == 0 && !v.Allowed {
		parts = []string{"no policy lets it"}
	}
	return strings.Join(parts, " | ")
}

func briefPolicy(p *seaworthy.PolicyResult) string {
	var b strings.Builder
	fmt.Fprintf(&b, "policy %s", p.Policy)
	first := true
	for i := range p.Rules {
		r := &p.Rules[i]
		if r.Passed {
			continue
		}
		if !first {
			b.WriteString("; and")
		} else {
			b.WriteByte(':')
		}
		first = false
		fmt.Fprintf(&b, " rule %s: %s", r.Rule, r.Reason)
		if len(r.Missing) > 0 {
			fmt.Fprintf(&b, "; missing: %s", strings.Join(r.Missing, ", "))
		}
		if r.Fix != "" {
			fmt.Fprintf(&b, "; to mend: %s", r.Fix)
		}
	}
	return b.String()
}

// Message says it to whoever ran kubectl: "[seaworthy] image X (sha256:…) may not sail: …". What policies and
// registries said in it is escaped.
func Message(v *seaworthy.Verdict) string {
	name := v.Image
	if v.Digest != "" && !strings.Contains(name, string(v.Digest)) {
		name += " (" + string(v.Digest) + ")"
	}
	return clip(console.Escape(fmt.Sprintf("[seaworthy] image %s may not sail: %s", name, Brief(v))))
}

func clip(s string) string {
	if len(s) > maxMessage {
		return strings.ToValidUTF8(s[:maxMessage], "") + "…"
	}
	return s
}

// Explain writes the whole of a verdict for people: rule by rule, on which evidence, signed by whom, what is missing
// and what to do.
func Explain(w io.Writer, v *seaworthy.Verdict, paint func(console.Style, string) string) error {
	if paint == nil {
		paint = func(_ console.Style, s string) string { return s }
	}
	var b strings.Builder
	esc := console.Escape
	answer := paint(console.Green, "may sail")
	if !v.Allowed {
		answer = paint(console.Red, "may not sail")
	}
	fmt.Fprintf(&b, "%s %s\n", esc(v.Image), answer)
	if v.Digest != "" {
		fmt.Fprintf(&b, "  digest     %s\n", v.Digest)
	}
	if v.Namespace != "" {
		fmt.Fprintf(&b, "  namespace  %s\n", esc(v.Namespace))
	}
	if len(v.Policies) == 0 {
		b.WriteString("  no policy binds it\n")
	}
	for i := range v.Policies {
		explainPolicy(&b, &v.Policies[i], paint)
	}
	for _, warning := range v.Warnings {
		fmt.Fprintf(&b, "\n  %s %s\n", paint(console.Yellow, "warning:"), esc(warning))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func explainPolicy(b *strings.Builder, p *seaworthy.PolicyResult, paint func(console.Style, string) string) {
	esc := console.Escape
	answer := paint(console.Green, "passes")
	if !p.Passed {
		answer = map[seaworthy.Mode]string{
			seaworthy.Enforce: paint(console.Red, "refuses"), seaworthy.Warn: paint(console.Yellow, "warns"), seaworthy.DryRun: paint(console.Yellow, "would refuse"),
		}[p.Mode]
	}
	fmt.Fprintf(b, "\n  policy %s %s\n", esc(p.Policy), answer)
	for i := range p.Rules {
		r := &p.Rules[i]
		mark := paint(console.Green, "yes")
		switch {
		case r.Code != "" && !r.Passed:
			mark = paint(console.Yellow, "?  ")
		case !r.Passed:
			mark = paint(console.Red, "no ")
		}
		fmt.Fprintf(b, "    %s  %s: %s\n", mark, esc(r.Rule), esc(r.Reason))
		for _, e := range r.Evidence {
			line := e.Kind
			if e.Document != "" {
				line += " " + e.Document.Short()
			}
			if e.Source != "" {
				line += ", found as " + e.Source
			}
			if len(e.Signers) > 0 {
				line += ", signed by " + strings.Join(e.Signers, " and ")
			}
			fmt.Fprintf(b, "         rests on  %s\n", esc(line))
		}
		for _, m := range r.Missing {
			fmt.Fprintf(b, "         missing   %s\n", esc(m))
		}
		if r.Fix != "" {
			fmt.Fprintf(b, "         to mend   %s\n", esc(r.Fix))
		}
	}
}
