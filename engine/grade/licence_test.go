package grade

import (
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

func TestJudge(t *testing.T) {
	p := &Policy{
		Allow:  []string{"MIT", "Apache-2.0", "BSD-*", "GPL-2.0-only WITH Classpath-exception-2.0", "LicenseRef-ours"},
		Deny:   []string{"AGPL-*", "GPL-3.0-or-later", "BSD-4-Clause"},
		Review: []string{"MPL-2.0", "GPL-*", "MIT OR EUPL-1.2"},
	}
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	for expr, want := range map[string]Judgement{
		"MIT": Allowed, "mit": Allowed, "BSD-3-Clause": Allowed, "BSD-4-Clause": Denied, "AGPL-3.0-only": Denied,
		"GPL-3.0-or-later": Denied, "GPL-3.0+": Denied, "GPL-3.0-only": Review, "MPL-2.0": Review,
		"MIT OR AGPL-3.0-only": Allowed, "MIT AND AGPL-3.0-only": Denied, "MPL-2.0 OR AGPL-3.0-only": Review,
		"GPL-2.0-only": Review, "GPL-2.0-only WITH Classpath-exception-2.0": Allowed, "GPL-3.0-only WITH GCC-exception-3.1": Review,
		"LicenseRef-theirs": UnknownOne, "LicenseRef-ours": Allowed, "LicenseRef-theirs OR MIT": Allowed, "LicenseRef-theirs AND MIT": UnknownOne,
		"MIT (MIT": UnknownOne, "MIT MIT": UnknownOne, ")(": UnknownOne, "The MIT License": Allowed,
		"Zlib": Review, "": UnknownOne, "NOASSERTION": UnknownOne,
		"MIT OR EUPL-1.2":                          Review, // the whole expression wins
		"MIT AND (AGPL-3.0-only OR Apache-2.0)":    Allowed,
		"(MIT OR AGPL-3.0-only) AND AGPL-3.0-only": Denied,
		"MIT OR AGPL-3.0-only AND MPL-2.0":         Allowed, // AND binds closer
		"AGPL-3.0-only AND MIT OR Apache-2.0":      Allowed,
	} {
		if got, why := p.Judge(expr); got != want {
			t.Errorf("%q is %s (%s), want %s", expr, got, why, want)
		}
	}
	for expr, want := range map[string]Judgement{"MIT": Unjudged, "": UnknownOne, "LicenseRef-x": UnknownOne} {
		if got, _ := (*Policy)(nil).Judge(expr); got != want {
			t.Errorf("without a policy %q is %s, want %s", expr, got, want)
		}
	}
	onlyDeny := &Policy{Deny: []string{"AGPL-3.0-only"}, Unknown: Denied}
	for expr, want := range map[string]Judgement{"Zlib": Allowed, "": Denied, "LicenseRef-x": Denied} {
		if got, _ := onlyDeny.Judge(expr); got != want {
			t.Errorf("with a deny list %q is %s, want %s", expr, got, want)
		}
	}
}

func TestReadPolicy(t *testing.T) {
	p, err := ReadPolicy(strings.NewReader("allow: [MIT]\ndeny:\n  - AGPL-*\nunknown: review\n"))
	if err != nil || len(p.Allow) != 1 || len(p.Deny) != 1 || p.Unknown != Review {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := ReadPolicy(strings.NewReader("")); err != nil || p == nil {
		t.Errorf("an empty policy: %+v, %v", p, err)
	}
	for _, bad := range []string{"allowed: [MIT]", "allow: [Nonsense-1.0]", "allow: MIT: x", "unknown: maybe", "unknown: unjudged", "- MIT"} {
		if _, err := ReadPolicy(strings.NewReader(bad)); seaworthy.CodeOf(err) != seaworthy.Invalid {
			t.Errorf("%q: %v, want invalid", bad, err)
		}
	}
}

func FuzzJudge(f *testing.F) {
	for _, s := range []string{"MIT", "MIT OR (A AND B)", ")(", "((((", "AND", "MIT WITH", "MIT WITH x", "", "a OR", strings.Repeat("(", 1000)} {
		f.Add(s)
	}
	p := &Policy{Allow: []string{"MIT", "BSD-*"}, Deny: []string{"AGPL-*"}}
	f.Fuzz(func(t *testing.T, s string) {
		got, _ := p.Judge(s)
		if _, known := judgementRank[got]; !known {
			t.Errorf("%q is %q", s, got)
		}
	})
}

func FuzzParseDecision(f *testing.F) {
	for _, s := range []string{"CVE-1=fixed", "CVE-1@pkg:npm/x=not_affected:component_not_present:w", "=affected", "a=b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDecision(s); err == nil && (d.ID == "" || d.Status == "") {
			t.Errorf("%q gives %+v", s, d)
		}
	})
}

func FuzzReadPolicy(f *testing.F) {
	f.Add("allow: [MIT]\nunknown: denied")
	f.Add("deny: *a")
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := ReadPolicy(strings.NewReader(s)); err == nil && p == nil {
			t.Error("neither a policy nor an error")
		}
	})
}
