package policy

import (
	"regexp/syntax"

	"github.com/open-policy-agent/opa/v1/ast"
)

const (
	// maxRegexpBytes is how long a regular expression in a policy may be: 4 KiB.
	maxRegexpBytes = 4 << 10
	// maxRegexpSize is how many steps one may have when its repetitions are written out.
	maxRegexpSize = 2_000
	// maxRegexpWork is how many steps one may take: those it has, for each byte of the text. Nothing can stop it on
	// the way.
	maxRegexpWork = 100_000_000
)

// regexpSize is how many steps a regular expression has when its repetitions are written out; more than
// maxRegexpSize for one that is too long to look at, 0 for what is none.
func regexpSize(s string) int {
	if len(s) > maxRegexpBytes {
		return maxRegexpSize + 1
	}
	tree, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return 0
	}
	return min(treeSize(tree), maxRegexpSize+1)
}

// treeSize counts. The parser nests no deeper than 1000.
func treeSize(t *syntax.Regexp) int {
	n := 1 + len(t.Rune)
	if t.Op == syntax.OpCharClass {
		n = 2
	}
	for _, sub := range t.Sub {
		n = min(n+treeSize(sub), maxRegexpSize+1)
	}
	if t.Op == syntax.OpRepeat {
		n *= max(t.Min, t.Max, 1)
	}
	return min(n, maxRegexpSize+1)
}

// regexpWork measures a function of Rego that takes a pattern and a text.
func regexpWork(pattern, text int) func(args []*ast.Term) (int, int) {
	return func(args []*ast.Term) (int, int) {
		size := regexpSize(plain(args[pattern]))
		if size > maxRegexpSize || size*textLen(args[text]) > maxRegexpWork {
			return maxRegoText + 1, 0
		}
		return 0, 0
	}
}
