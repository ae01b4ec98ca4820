package policy

import (
	"strings"
	"testing"

	"cuelang.org/go/cue/parser"
)

// TestMask: what is left out of the input never changes the answer, and what can be is.
func TestMask(t *testing.T) {
	const input = `{"_type":"t","predicateType":"p","subject":[{"name":"a"}],"predicate":{"a":{"x":1,"y":2},"b":2,"l":[{"x":1,"z":3}],"s":"text","n":null,"big":{"deep":{"a":1}}}}`
	for _, tc := range []struct{ name, policy, shown string }{
		{"a type alone", `predicateType: "p"`, `{"predicateType":"p"}`},
		{"a field", `predicate: b: 2`, `{"predicate":{"b":2}}`},
		{"a field that is not there", `predicate: c: 2`, `{"predicate":{}}`},
		{"a struct", `predicate: a: {x: 1}`, `{"predicate":{"a":{"x":1}}}`},
		{"a struct where there is none", `predicate: b: {x: 1}`, `{"predicate":{"b":2}}`},
		{"a struct in pieces", "predicate: a: x: 1\npredicate: b: 2", `{"predicate":{"a":{"x":1},"b":2}}`},
		{"two structs", `predicate: {a: {x: 1}} & {s: string}`, `{"predicate":{"a":{"x":1},"s":"text"}}`},
		{"a list", `predicate: l: [...{x: int}]`, `{"predicate":{"l":[{"x":1,"z":3}]}}`},
		{"a pattern", `predicate: a: [string]: <2`, `{"predicate":{"a":{"x":1,"y":2}}}`},
		{"a closed struct", `predicate: a: close({x: 1})`, `{"predicate":{"a":{"x":1,"y":2}}}`},
		{"a definition", "#A: {x: 1}\npredicate: a: #A", `{"predicate":{"a":{"x":1,"y":2}}}`},
		{"a reference", `predicate: {a: {x: int}, b: a.y}`, `{"predicate":{"a":{"x":1,"y":2},"b":2}}`},
		{"a reference that contradicts", `predicate: {a: {x: int}, b: a.y + 1}`, `{"predicate":{"a":{"x":1,"y":2},"b":2}}`},
		{"a reference from outside", "predicate: b: 2\nmore: predicate.s\npredicateType: =~more", ``},
		{"a condition", `predicate: {b: int, if b > 1 {c: 1}}`, ``},
		{"an embedding", `{predicate: b: 2}`, ``},
		{"an alias", `predicate: X={b: 2, c: X.s}`, ``},
		{"let", "let L = {x: 1}\npredicate: a: L", `{"predicate":{"a":{"x":1,"y":2}}}`},
		{"a choice", `predicate: a: {x: 1} | {x: 2}`, `{"predicate":{"a":{"x":1,"y":2}}}`},
		{"optional", `predicate: a?: x?: 3`, `{"predicate":{"a":{"x":1}}}`},
		{"required", `predicate: c!: 3`, `{"predicate":{}}`},
		{"an open struct", `predicate: {b: 2, ...}`, `{"predicate":{"b":2}}`},
		{"null", `predicate: n: null`, `{"predicate":{"n":null}}`},
		{"quoted names", `"predicate": "b": 2`, `{"predicate":{"b":2}}`},
		{"the name of another place", `predicate: {big: deep: a: 1, c?: a}`, ``},
	} {
		file, err := parser.ParseFile("p.cue", tc.policy)
		if err != nil {
			t.Fatal(err)
		}
		got, err := maskOf(file).project([]byte(input))
		if err != nil || tc.shown != "" && strings.TrimSpace(string(got)) != tc.shown {
			t.Errorf("%s: %s, %v, want %s", tc.name, got, err, tc.shown)
		}
		for _, mode := range []string{"cue", "cue-compat"} {
			p, mistakes := compiled(mode, tc.policy)
			if p == nil {
				t.Logf("%s: %s", tc.name, lines(mistakes))
				continue
			}
			some, err := p.judge(t.Context(), []byte(input), now)
			if err != nil {
				t.Fatal(err)
			}
			p.(*cueProgram).mask = &cueMask{all: true}
			whole, err := p.judge(t.Context(), []byte(input), now)
			if err != nil || some.passed != whole.passed {
				t.Errorf("%s %s: %+v of a part, %+v of all, %v", mode, tc.name, some, whole, err)
			}
		}
	}
	m := &cueMask{fields: map[string]*cueMask{"a": {all: true}}}
	for _, bad := range []string{"", "{", `{"a":`, `{"a":1,"a":2}`, `{"b":[}`, "{\"a\":\"\xff\"}", `[`} {
		if b, err := m.project([]byte(bad)); err == nil {
			t.Errorf("%q: %s", bad, b)
		}
	}
}

// TestALargeInput is no hindrance to a policy that looks at little of it, and refused by one that looks at all.
func TestALargeInput(t *testing.T) {
	large := `{"predicateType":"p","predicate":{"v":"1","list":[` + strings.Repeat(`{"a":1},`, 400_000) + `{}]}}`
	for policy, want := range map[string]string{
		"predicateType: \"p\"\npredicate: v: \"1\"": "",
		"predicate: list: [...{a?: int}]":           "the limit is",
	} {
		p, mistakes := compiled("cue", policy)
		if p == nil {
			t.Fatal(mistakes)
		}
		got, err := p.judge(t.Context(), []byte(large), now)
		if want == "" && (err != nil || !got.passed) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %+v, %v", policy, got, err)
		}
	}
	p, _ := compiled("rego", "package sigstore\nisCompliant { true }")
	if _, err := p.judge(t.Context(), make([]byte, MaxInputBytes+1), now); err == nil {
		t.Error("an input over the limit is evaluated")
	}
}
