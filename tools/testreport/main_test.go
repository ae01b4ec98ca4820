package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReport(t *testing.T) {
	for name, c := range map[string]struct {
		in, want string
		ok       bool
	}{
		"good": {
			`{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestS","Output":"=== RUN   TestS\n"}
{"Action":"output","Package":"p","Test":"TestS","Output":"    a_test.go:7: xmllint is not here\n"}
{"Action":"output","Package":"p","Test":"TestS","Output":"--- SKIP: TestS (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestS"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p"}
{"Action":"output","Package":"q","Output":"?   \tq\t[no test files]\n"}
{"Action":"skip","Package":"q"}`,
			"ok  \tp\t0.1s\nSKIPPED: p TestS: xmllint is not here\n1 packages ok, 0 not\n1 passed, 0 failed, 1 skipped\n",
			true,
		},
		"a failure": {
			`{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:1: wrong\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}`,
			"    a_test.go:1: wrong\nFAIL\tp\t0.1s\nFAILED: p TestA\n0 packages ok, 1 not\n1 passed, 1 failed, 0 skipped\n",
			false,
		},
		"a panic": {
			`{"Action":"output","Package":"p","Test":"TestA","Output":"panic: oh\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}`,
			"FAIL\tp\t0.1s\npanic: oh\nFAILED: p TestA\n0 packages ok, 1 not\n0 passed, 1 failed, 0 skipped\n",
			false,
		},
		"a package that does not build": {
			`{"ImportPath":"p","Action":"build-output","Output":"p.go:1: undefined: x\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"pass","Package":"q","Test":"TestB"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p"}`,
			"p.go:1: undefined: x\nFAIL\tp [build failed]\n0 packages ok, 1 not\n1 passed, 0 failed, 0 skipped\n",
			false,
		},
		"nothing": {"go: no such thing", "go: no such thing\n0 packages ok, 0 not\n0 passed, 0 failed, 0 skipped\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			ok, err := report(strings.NewReader(c.in), &out)
			if ok != c.ok || err != nil {
				t.Errorf("%v, %v", ok, err)
			}
			if diff := cmp.Diff(c.want, out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
