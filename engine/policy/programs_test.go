package policy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/seaworthy-dev/seaworthy"
)

// now is when everything in these tests happens.
var now = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

// scratch is a field that notes its mistakes.
func scratch() (field, *loader) {
	l := &loader{}
	left := maxFields
	return field{o: &object{l: l, file: "test.yaml", left: &left}, path: "data"}, l
}

// compiled compiles a program in a language; its mistakes are returned.
func compiled(language, text string) (program, []Mistake) {
	f, l := scratch()
	var p program
	switch language {
	case "rego":
		p = f.rego(text, regoAny)
	case "cue":
		p = f.cue(text, cueStrict, statementInput)
	case "cue-compat":
		p = f.cue(text, cueCompat, statementInput)
	case "cel":
		node := stringNode(text)
		f.node = node
		if x := f.expression(celStatement); x != nil {
			p = &celProgram{x}
		}
	}
	if f.o.bad {
		return nil, l.mistakes
	}
	return p, l.mistakes
}

const statement = `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"app","digest":{"sha256":"aa"}}],
"predicateType":"https://example.com/scan","predicate":{"scanner":{"uri":"pkg:generic/scan","version":"1.2"},
"result":[{"id":"CVE-1","severity":"high"},{"id":"CVE-2","severity":"low"}],"finished":"2026-08-01T00:00:00Z","score":7,"ok":true}}`

// TestContract holds policies against attestations as policy-controller's contract has it (facts: cosign
// pkg/policy/eval.go, pkg/cosign/rego), and in CUE more strictly: compat says what policy-controller would say.
func TestContract(t *testing.T) {
	for _, tc := range []struct {
		name, language, policy, input string
		strict, compat                bool
		reason                        string
	}{
		// CUE
		{"the field is there", "cue", `predicateType: "https://example.com/scan"`, statement, true, true, ""},
		{"the field is another", "cue", `predicateType: "https://example.com/other"`, statement, false, false, "conflicting values"},
		{"an empty attestation", "cue", "predicateType: \"x\"\npredicate: Data: \"foobar\"", `{}`, false, true, "there is no"},
		{"a type that is left out", "cue", `predicate: {timestamp: string, n: >3}`, `{"predicate":{}}`, false, true, "predicate.timestamp"},
		{"a number that is left out", "cue", `predicate: n: >3`, `{"predicate":{"m":1}}`, false, true, "predicate.n"},
		{"a number too small", "cue", `predicate: score: >8`, statement, false, false, "out of bound"},
		{"a number large enough", "cue", `predicate: score: >3`, statement, true, true, ""},
		{"a default is no value", "cue", `predicate: approved: *true | bool`, statement, false, true, "predicate.approved"},
		{"an optional field may be left out", "cue", `predicate: approved?: true`, statement, true, true, ""},
		{"an optional field must be right", "cue", `predicate: ok?: false`, statement, false, false, "conflicting values"},
		{"a required field", "cue", `predicate: approved!: true`, statement, false, true, "predicate.approved"},
		{"null is a value", "cue", `predicate: n: null`, `{"predicate":{"n":null}}`, true, true, ""},
		{"null is not left out", "cue", `predicate: n: null`, `{"predicate":{}}`, false, true, "predicate.n"},
		{"a list of some kind", "cue", `predicate: result: [...{id: =~"^CVE-"}]`, statement, true, true, ""},
		{"a list whose elements lack a field", "cue", `predicate: result: [...{fixed: string}]`, statement, false, true, "fixed"},
		{"a list too short", "cue", `predicate: result: [_, _, _]`, statement, false, false, "list"},
		{"a helper at the top", "cue", "import \"time\"\nbefore: time.Parse(time.RFC3339, \"2049-10-09T17:10:27Z\")\npredicate: finished: <before", statement, true, true, ""},
		{"a helper says no", "cue", "import \"time\"\nbefore: time.Parse(time.RFC3339, \"2020-10-09T17:10:27Z\")\npredicate: finished: <before", statement, false, false, "out of bound"},
		{"a definition", "cue", "#Scanner: {uri: string, version: =~\"^1\", ...}\npredicate: scanner: #Scanner", statement, true, true, ""},
		{"a closed definition", "cue", "#Scanner: {uri: string}\npredicate: scanner: #Scanner", statement, false, false, "not allowed"},
		{"a condition on the input", "cue", `predicate: {score: int, if score > 5 {waiver: string}}`, statement, false, true, "predicate.waiver"},
		{"hidden fields are the policy's own", "cue", "_min: 3\npredicate: score: >_min", statement, true, true, ""},
		{"or", "cue", `predicate: scanner: version: "1.1" | "1.2"`, statement, true, true, ""},
		// Rego, as v0 has it
		{"true", "rego", "package sigstore\nisCompliant { input.predicate.score > 3 }", statement, true, true, ""},
		{"undefined", "rego", "package sigstore\nisCompliant { input.predicate.nothing > 3 }", statement, false, false, "undefined"},
		{"a default", "rego", "package sigstore\ndefault isCompliant = false\nisCompliant { input.predicate.score > 8 }", statement, false, false, "not true"},
		{"no bool", "rego", "package sigstore\nisCompliant = \"yes\" { true }", statement, false, false, "not true"},
		{"a list with a true result", "rego", "package sigstore\nisCompliant[r] { r := {\"result\": true, \"warning\": \"soon\"} }", statement, true, true, ""},
		{"a list with reasons", "rego", "package sigstore\nisCompliant[r] { r := {\"result\": input.predicate.score < 3, \"error\": sprintf(\"score %v\", [input.predicate.score])} }", statement, false, false, "score 7"},
		{"the first true result wins", "rego", "package sigstore\nisCompliant = [{\"result\": false, \"error\": \"a\"}, {\"result\": true}] { true }", statement, true, true, ""},
		{"an empty list", "rego", "package sigstore\nisCompliant[r] { false; r := 1 }", statement, false, false, "none of its results"},
		{"results that are none", "rego", "package sigstore\nisCompliant = [1, \"x\", {\"result\": \"true\"}] { true }", statement, false, false, "none of its results"},
		{"v1 in the same package", "rego", "package sigstore\nimport rego.v1\nisCompliant if { some r in input.predicate.result; r.severity == \"low\" }", statement, true, true, ""},
		{"keywords of the future", "rego", "package sigstore\nimport future.keywords\nisCompliant if { some r in input.predicate.result; r.id == \"CVE-1\" }", statement, true, true, ""},
		{"a helper function", "rego", "package sigstore\nlow(r) { r.severity == \"low\" }\nisCompliant { count([r | r := input.predicate.result[_]; low(r)]) == 1 }", statement, true, true, ""},
		{"every", "rego", "package sigstore\nimport future.keywords.every\nisCompliant { every r in input.predicate.result { startswith(r.id, \"CVE-\") } }", statement, true, true, ""},
		{"with", "rego", "package sigstore\nok { input.x == 1 }\nisCompliant { ok with input as {\"x\": 1} }", statement, true, true, ""},
		{"cosign's package", "rego", "package signature\nallow { input.predicateType == \"https://example.com/scan\" }", statement, true, true, ""},
		{"our package", "rego", "package seaworthy\ndeny contains m if { some r in input.predicate.result; r.severity == \"high\"; m := r.id }", statement, false, false, "CVE-1"},
		{"our package allows", "rego", "package seaworthy\nallow if input.predicate.ok", statement, true, true, ""},
		{"our package does not allow", "rego", "package seaworthy\nallow if input.predicate.missing", statement, false, false, "allow is not true"},
		{"large numbers stay as they are", "rego", "package sigstore\nisCompliant { input.n == 12345678901234567890 }", `{"n":12345678901234567890}`, true, true, ""},
		// CEL
		{"cel", "cel", `predicate.score > 3 && predicate.result.exists(r, r.id == "CVE-1")`, statement, true, true, ""},
		{"cel says no", "cel", `predicate.score > 8`, statement, false, false, "it is not so"},
		{"cel misses a field", "cel", `predicate.missing > 8`, statement, false, false, "no such key"},
		{"cel and time", "cel", `timestamp(predicate.finished) < now`, statement, true, true, ""},
	} {
		t.Run(tc.language+"/"+tc.name, func(t *testing.T) {
			for _, language := range []string{tc.language, tc.language + "-compat"} {
				want := tc.strict
				if strings.HasSuffix(language, "-compat") {
					if tc.language != "cue" {
						continue
					}
					want = tc.compat
				}
				p, mistakes := compiled(language, tc.policy)
				if p == nil {
					t.Fatalf("%s: not compiled: %v", language, mistakes)
				}
				got, err := p.judge(t.Context(), []byte(tc.input), now)
				if err != nil {
					t.Fatalf("%s: %v", language, err)
				}
				if got.passed != want || !want && !strings.Contains(got.reason, tc.reason) {
					t.Errorf("%s: passed %t (%s), want %t (%s)", language, got.passed, got.reason, want, tc.reason)
				}
			}
		})
	}
}

// TestProgramsThatAreNone are refused when they are read.
func TestProgramsThatAreNone(t *testing.T) {
	for _, tc := range []struct{ name, language, policy, want string }{
		{"no Rego", "rego", "package", "reading the Rego policy"},
		{"another package", "rego", "package other\nisCompliant { true }", `package "other"`},
		{"no rule", "rego", "package sigstore\nother { true }", `no rule "isCompliant"`},
		{"a rule that names itself", "rego", "package sigstore\nisCompliant { isCompliant }", "recursive"},
		{"unsafe", "rego", "package sigstore\nisCompliant { x > 3 }", "unsafe"},
		{"no CUE", "cue", "predicate: {", "reading the CUE policy"},
		{"CUE that contradicts itself", "cue", "predicate: 1 & 2", "conflicting"},
		{"CUE that demands nothing", "cue", "timestamp: string\nn: >3", "demands nothing"},
		{"CUE with a typo", "cue", "predicatetype: \"x\"", "demands nothing"},
		{"CUE with an unknown name", "cue", "predicate: other", "reference"},
		{"no CEL", "cel", "predicate.", "reading the expression"},
		{"CEL that is no bool", "cel", "1 + 1", "want a bool"},
		{"CEL with an unknown name", "cel", "other == 1", "undeclared"},
		{"a pattern of the input", "cue", `predicate: {p: string, s: =~p}`, "not written out"},
		{"a pattern that is made", "cue", "x: \"a\"\npredicate: s: =~\"\\(x)b\"", "not written out"},
		{"a large pattern", "cue", `predicate: s: =~"(abcd){900}"`, "steps"},
		{"a large pattern by name", "cue", "p: \"(abcd){900}\"\npredicate: s: !~p", "steps"},
		{"a pattern of the input", "cel", `predicate.s.matches(predicate.p)`, "must be written out"},
		{"a large pattern", "cel", `predicate.s.matches("(abcd){900}")`, "steps"},
		{"too long", "rego", "package sigstore\n" + strings.Repeat("#", MaxProgramBytes), "limit"},
		{"too long", "cue", strings.Repeat("/", MaxProgramBytes+1), "limit"},
		{"too long", "cel", strings.Repeat("1", MaxExpressionBytes+1), "limit"},
	} {
		p, mistakes := compiled(tc.language, tc.policy)
		if p != nil || len(mistakes) == 0 || !strings.Contains(fmt.Sprint(mistakes), tc.want) {
			t.Errorf("%s %s: %v, want %q", tc.language, tc.name, mistakes, tc.want)
		}
	}
}

// TestProgramsSeeNothing tries to reach the environment, the network and files.
func TestProgramsSeeNothing(t *testing.T) {
	t.Setenv("CANARY", "canary-in-the-environment")
	file := filepath.Join(t.TempDir(), "canary.json")
	if err := os.WriteFile(file, []byte(`"canary-in-a-file"`), 0o600); err != nil {
		t.Fatal(err)
	}
	rego := func(call string) string { return "package sigstore\nisCompliant { " + call + " }" }
	for _, tc := range []struct{ name, language, policy string }{
		{"http.send", "rego", rego(`http.send({"method": "get", "url": "http://127.0.0.1:1/"})`)},
		{"net.lookup_ip_addr", "rego", rego(`net.lookup_ip_addr("example.com")`)},
		{"opa.runtime", "rego", rego(`opa.runtime().env.CANARY == "canary-in-the-environment"`)},
		{"json schema", "rego", rego(`json.match_schema({}, {"$ref": "http://127.0.0.1:1/schema"})`)},
		{"rego.parse_module", "rego", rego(`rego.parse_module("a", "package a")`)},
		{"providers.aws", "rego", rego(`providers.aws.sign_req({}, {}, 1)`)},
		{"rand.intn", "rego", rego(`rand.intn("a", 10) == 1`)},
		{"uuid.rfc4122", "rego", rego(`uuid.rfc4122("a")`)},
		{"io.jwt.encode_sign", "rego", rego(`io.jwt.encode_sign({}, {}, {})`)},
		{"schema annotation", "rego", "# METADATA\n# schemas:\n#   - input: {\"$ref\": \"http://127.0.0.1:1/s\"}\npackage sigstore\nisCompliant { input.x.y }"},
		{"tool/exec", "cue", "import \"tool/exec\"\npredicate: exec.Run"},
		{"tool/file", "cue", "import \"tool/file\"\npredicate: file.Read"},
		{"tool/http", "cue", "import \"tool/http\"\npredicate: http.Get"},
		{"tool/os", "cue", "import \"tool/os\"\npredicate: os.Environ"},
		{"another module", "cue", "import \"example.com/x\"\npredicate: x.y"},
		{"text/template", "cue", "import \"text/template\"\npredicate: template.Execute(\"\", {})"},
		{"embed", "cue", "@extern(embed)\npackage p\npredicate: _ @embed(file=" + file + ")"},
		{"tag", "cue", "predicate: string @tag(x,var=username)"},
		{"an import under another name", "cue", "import l \"list\"\npredicate: l.Repeat([1], 3)"},
		{"an import by index", "cue", "import \"list\"\npredicate: list[\"Repeat\"]([1], 3)"},
	} {
		p, mistakes := compiled(tc.language, tc.policy)
		if p == nil {
			if strings.Contains(fmt.Sprint(mistakes), "canary") {
				t.Errorf("%s: %v", tc.name, mistakes)
			}
			continue
		}
		if tc.name != "schema annotation" { // which is not looked at
			t.Errorf("%s was compiled", tc.name)
		}
		if got, err := p.judge(t.Context(), []byte(statement), now); err == nil && got.passed {
			t.Errorf("%s: %+v", tc.name, got)
		}
	}
	// what prints says nothing
	for _, call := range []string{`print("canary")`, `trace("canary")`} {
		p, mistakes := compiled("rego", "package sigstore\nisCompliant { "+call+" }")
		if p == nil {
			t.Fatalf("%s: %v", call, mistakes)
		}
		if got, err := p.judge(t.Context(), []byte(statement), now); err != nil || !got.passed {
			t.Errorf("%s: %+v, %v", call, got, err)
		}
	}
	// the time is the decision's
	p, _ := compiled("rego", fmt.Sprintf("package sigstore\nisCompliant { time.now_ns() == %d }", now.UnixNano()))
	if got, err := p.judge(t.Context(), []byte(statement), now); err != nil || !got.passed {
		t.Errorf("time.now_ns: %+v, %v", got, err)
	}
}

// bombs are programs that would take for ever, or all memory.
var bombs = []struct{ name, language, policy string }{
	{"three loops", "rego", "package sigstore\nisCompliant { r := numbers.range(1, 100000); a := r[_]; b := r[_]; c := r[_]; a + b + c == -1 }"},
	{"a large range", "rego", "package sigstore\nisCompliant { count(numbers.range(1, 1000000000)) > 0 }"},
	{"doubled text", "rego", "package sigstore\n" + chain("concat(\"\", [x%d, x%d])", "\"xxxxxxxxxxxxxxxx\"", 40)},
	{"doubled by sprintf", "rego", "package sigstore\n" + chain("sprintf(\"%%s%%s\", [x%d, x%d])", "\"xxxxxxxxxxxxxxxx\"", 40)},
	{"a wide format", "rego", "package sigstore\nisCompliant { count(sprintf(\"" + strings.Repeat("%999999d", 2000) + "\", [1])) > 0 }"},
	{"a width from an argument", "rego", "package sigstore\nisCompliant { count(sprintf(\"" + strings.Repeat("%[1]*[2]d", 2000) + "\", [999999, 1])) > 0 }"},
	{"squares", "rego", "package sigstore\n" + chain("x%d * x%d", "12345678901234567890", 60)},
	{"an exponent", "rego", "package sigstore\nisCompliant { round(1e999999999) > 0 }"},
	{"doubled lists", "rego", "package sigstore\n" + chain("array.concat(x%d, x%d)", "[1, 2, 3, 4]", 40)},
	{"replaced", "rego", "package sigstore\n" + chain("replace(x%d, \"x\", x%d)", "\"xx\"", 10)},
	{"shared values", "rego", "package sigstore\n" + strings.Replace(chain("[x%d, x%d]", "[1, 2]", 30), "count(x30) == -1", "count(json.marshal(x30)) == -1", 1)},
	{"shared values in rules", "rego", "package sigstore\n" + ruleChain("[x%d, x%d]", "[1, 2]", 60)},
	{"shared values by a function", "rego", "package sigstore\ntwice(x) = [x, x] { true }\n" + chain("twice(twice(x%d)) ; x%[1]d == x%[1]d", "[1, 2]", 40)},
	{"a function that makes much", "rego", "package sigstore\nnot_much { count(concat(\"\", [x | x := input.subject[_].name; numbers.range(1, 100000000)[_] > 0])) > 0 }\nisCompliant { not not_much }"},
	{"a regular expression", "rego", "package sigstore\nisCompliant { regex.match(\"((a{1,30}){1,30}){1,30}b\", concat(\"\", [\"a\" | numbers.range(1, 20000)[_]])) }"},
	{"a long regular expression", "rego", "package sigstore\nisCompliant { regex.match(concat(\"\", [\"(a|b|aa)*\" | numbers.range(1, 100000)[_]]), \"aaaac\") }"},
	{"a regular expression in CUE", "cue", "predicate: scanner: uri: =~\"((((a{30}){30}){30}){30})\""},
	{"a regular expression in CEL", "cel", "'" + strings.Repeat("a", 8000) + "'.matches('((a{1,30}){1,30}){1,30}b')"},
	{"a function that calls itself", "rego", "package sigstore\nf(x) = f(x) { true }\nisCompliant { f(1) }"},
	{"a value that holds itself", "cue", "predicate: a: predicate"},
	{"a definition that holds itself", "cue", "#A: {b: #A}\npredicate: #A"},
	{"a text that holds itself", "cue", "predicate: a: \"\\(predicate.a)x\""},
	{"loops in CUE", "cue", "predicate: {a: [for x in predicate.l for y in predicate.l for z in predicate.l for w in predicate.l {x}]}"},
	{"doubled fields", "cue", cueChain("{a: %[1]s, b: %[1]s}", "{c: 1}", 40)},
	{"doubled text in CUE", "cue", cueChain(`"\(%[1]s)\(%[1]s)"`, `"xxxxxxxx"`, 40)},
	{"doubled by + in CUE", "cue", cueChain(`%[1]s + %[1]s`, `"xxxxxxxx"`, 40)},
	{"doubled lists in CUE", "cue", cueChain(`[for x in %[1]s for y in [1, 2] {x}]`, `[1, 2]`, 40)},
	{"many choices", "cue", "predicate: " + strings.TrimSuffix(strings.Repeat("({a: 1} | {b: 1} | {c: 1}) & ", 30), "& ")},
	{"repeated text", "cue", "import \"strings\"\npredicate: strings.Repeat(\"x\", 1000000000)"},
	{"multiplied text", "cue", "predicate: \"x\" * 1000000000"},
	{"a large list", "cue", "import \"list\"\npredicate: len(list.Range(0, 1000000000, 1))"},
	{"a power", "cue", "import \"math\"\npredicate: math.Pow(10, 100000000)"},
	{"nested too deep", "cue", "predicate: " + strings.Repeat("{a: ", 500) + "1" + strings.Repeat("}", 500)},
	{"names in a row", "cue", cueChain("%[1]s", "1", 500)},
	{"loops in CEL", "cel", "[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, [1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, [1,2,3,4,5,6,7,8,9,10].all(f, [1,2,3,4,5,6,7,8,9,10].all(g, [1,2,3,4,5,6,7,8,9,10].all(h, a + b + c + d + e + f + g + h > 0))))))))"},
	{"doubled text in CEL", "cel", "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19].map(x, [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19].map(y, '" + strings.Repeat("x", 8000) + "' + '" + strings.Repeat("y", 7000) + "')).size() < 0"},
}

// chain makes a Rego rule of many steps, each from the one before.
func chain(step, first string, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "isCompliant { x0 := %s\n", first)
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "x%d := %s\n", i, fmt.Sprintf(step, i-1, i-1))
	}
	fmt.Fprintf(&b, "count(x%d) == -1 }", n)
	return b.String()
}

// ruleChain makes rules of many steps.
func ruleChain(step, first string, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "x0 = %s { true }\n", first)
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "x%d = %s { true }\n", i, fmt.Sprintf(step, i-1, i-1))
	}
	fmt.Fprintf(&b, "isCompliant { x%d == x%d }", n, n)
	return b.String()
}

// cueChain makes fields of many steps, each from the one before.
func cueChain(step, first string, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "x0: %s\n", first)
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "x%d: %s\n", i, fmt.Sprintf(step, fmt.Sprintf("x%d", i-1)))
	}
	fmt.Fprintf(&b, "predicate: x%d", n)
	return b.String()
}

// maxBombBytes is what evaluating a bomb may allocate at once, about: the peak of the heap over what it was before.
const maxBombBytes = 512 << 20

func TestBombs(t *testing.T) {
	for _, tc := range bombs {
		t.Run(tc.language+"/"+tc.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			peak := watchHeap(t)
			p, mistakes := compiled(tc.language, tc.policy)
			if p == nil {
				t.Log(mistakes)
				for _, m := range mistakes {
					if m.Warning {
						continue
					}
					if m.Code != seaworthy.TooLarge && m.Code != seaworthy.Forbidden && m.Code != seaworthy.Invalid {
						t.Errorf("refused with %s: %s", m.Code, m.Detail)
					}
				}
			} else {
				limit(p, 300*time.Millisecond)
				got, err := p.judge(t.Context(), []byte(statement), now)
				if err == nil && got.passed {
					t.Errorf("it passed: %+v", got)
				}
				if stuck(p) {
					t.Errorf("it could not be stopped")
				}
				t.Log(got.reason, err)
			}
			runtime.ReadMemStats(&after)
			if most := peak(); most > before.HeapAlloc+maxBombBytes {
				t.Errorf("it held %d MiB more than before", (most-before.HeapAlloc)>>20)
			}
		})
	}
}

// watchHeap looks at the size of the heap until the function it returns is called, which gives its peak.
func watchHeap(t *testing.T) func() uint64 {
	stop := make(chan struct{})
	peak := make(chan uint64)
	go func() {
		var most uint64
		var m runtime.MemStats
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				peak <- most
				return
			case <-tick.C:
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	}()
	t.Helper()
	return func() uint64 { close(stop); return <-peak }
}

func boundOf(p program) *bounded {
	switch x := p.(type) {
	case *regoProgram:
		return x.bounded
	case *cueProgram:
		return x.bounded
	case *celProgram:
		return x.e.bounded
	}
	return nil
}

func limit(p program, d time.Duration) { boundOf(p).limit = d }

func stuck(p program) bool { return boundOf(p).stuck.Load() }

// TestBoundedLeavesBehind: what cannot be stopped is left behind once, and then never run again.
func TestBoundedLeavesBehind(t *testing.T) {
	b := newBounded()
	b.limit = 10 * time.Millisecond
	release := make(chan struct{})
	defer close(release)
	var runs atomic.Int32
	deaf := func(context.Context) error { runs.Add(1); <-release; return nil }
	if err := b.run(t.Context(), deaf); seaworthy.CodeOf(err) != seaworthy.TooLarge {
		t.Fatalf("first: %v", err)
	}
	if err := b.run(t.Context(), deaf); seaworthy.CodeOf(err) != seaworthy.TooLarge || runs.Load() != 1 {
		t.Fatalf("again: %v after %d runs", err, runs.Load())
	}
}

func TestBounded(t *testing.T) {
	b := newBounded()
	b.limit = 20 * time.Millisecond
	obeys := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	if err := b.run(t.Context(), obeys); seaworthy.CodeOf(err) != seaworthy.TooLarge || b.stuck.Load() {
		t.Errorf("a program that costs too much: %v", err)
	}
	if err := b.run(t.Context(), func(context.Context) error { panic("engine") }); seaworthy.CodeOf(err) != seaworthy.Internal {
		t.Errorf("a panic: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.run(ended, obeys); seaworthy.CodeOf(err) != seaworthy.Interrupted && seaworthy.CodeOf(err) != seaworthy.Unavailable {
		t.Errorf("a caller that has gone: %v", err)
	}
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if err := b.run(late, obeys); seaworthy.CodeOf(err) != seaworthy.Unavailable {
		t.Errorf("a deadline that has passed: %v", err)
	}
	if err := b.run(t.Context(), func(context.Context) error { return nil }); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

// TestProgramsAreInterrupted: the caller's context ends an evaluation, which is then nobody's fault.
func TestProgramsAreInterrupted(t *testing.T) {
	for _, b := range []struct{ language, policy string }{
		{"rego", bombs[0].policy},
		{"cel", bombs[len(bombs)-2].policy},
	} {
		p, mistakes := compiled(b.language, b.policy)
		if p == nil {
			t.Fatal(mistakes)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		_, err := p.judge(ctx, []byte(statement), now)
		cancel()
		if code := seaworthy.CodeOf(err); code != seaworthy.Unavailable && (b.language != "cel" || code != seaworthy.Invalid) || stuck(p) {
			t.Errorf("%s: %v", b.language, err)
		}
	}
}

// stringNode is a YAML string.
func stringNode(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}
