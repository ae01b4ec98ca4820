package policy

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"

	"github.com/seaworthy-dev/seaworthy"
)

const (
	// MaxExpressionBytes is how long a CEL expression may be: 16 KiB.
	MaxExpressionBytes = 16 << 10
	// celCost is what one evaluation may cost, in CEL's units: a comparison or a step of a loop is about one.
	celCost = 5_000_000
	// celCheck is after how many steps of a loop CEL looks whether it must stop.
	celCheck = 100
)

// celImage are the variables of expressions about images: those of imageVariables.
var celImage = sync.OnceValues(func() (*cel.Env, error) {
	dynamic := cel.MapType(cel.StringType, cel.DynType)
	var severities []cel.EnvOption
	for s := seaworthy.SeverityUnknown; s <= seaworthy.SeverityCritical; s++ {
		severities = append(severities, cel.Constant(s.String(), cel.IntType, types.Int(s)))
	}
	return cel.NewEnv(append(severities,
		cel.CrossTypeNumericComparisons(true),
		cel.Variable("image", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("workload", dynamic),
		cel.Variable("object", dynamic),
		cel.Variable("now", cel.TimestampType),
		cel.Variable("configs", cel.MapType(cel.StringType, dynamic)),
		cel.Variable("findings", cel.ListType(dynamic)),
		cel.Variable("packages", cel.ListType(dynamic)),
	)...)
})

// celStatement are the variables of expressions about attestations.
var celStatement = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.CrossTypeNumericComparisons(true),
		cel.Variable("statement", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("predicate", cel.DynType),
		cel.Variable("predicateType", cel.StringType),
		cel.Variable("subject", cel.ListType(cel.DynType)),
		cel.Variable("now", cel.TimestampType),
	)
})

// expression is a CEL expression that gives a bool.
type expression struct {
	bounded *bounded
	text    string
	program cel.Program
	names   map[string]bool // the variables it uses
}

// expression compiles one. Errors become mistakes at f.
func (f field) expression(environment func() (*cel.Env, error)) *expression {
	text := f.required()
	if text == "" {
		return nil
	}
	if len(text) > MaxExpressionBytes {
		f.wrong(seaworthy.TooLarge, "the expression has %d bytes; the limit is %d", len(text), MaxExpressionBytes)
		return nil
	}
	env, err := environment()
	if err != nil {
		f.wrong(seaworthy.Internal, "preparing expressions: %s", err)
		return nil
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		f.wrong(seaworthy.Invalid, "reading the expression: %s", clip(issues.Err().Error(), 1000))
		return nil
	}
	if t := checked.OutputType(); t != cel.BoolType && t != cel.DynType {
		f.wrong(seaworthy.Invalid, "the expression gives a %s, want a bool", t)
		return nil
	}
	if what := celPatterns(checked); what != "" {
		f.wrong(seaworthy.TooLarge, "%s", what)
		return nil
	}
	p, err := env.Program(checked, cel.CostLimit(celCost), cel.InterruptCheckFrequency(celCheck))
	if err != nil {
		f.wrong(seaworthy.Invalid, "reading the expression: %s", clip(err.Error(), 1000))
		return nil
	}
	e := &expression{bounded: newBounded(), text: text, program: p, names: map[string]bool{}}
	for _, r := range checked.NativeRep().ReferenceMap() {
		e.names[r.Name] = true
	}
	return e
}

// celPatterns says what is wrong with the regular expressions of an expression, or "": they must be written out, and
// not be too large, for nothing can stop one.
func celPatterns(checked *cel.Ast) (wrong string) {
	ast.PreOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != "matches" {
			return
		}
		args := e.AsCall().Args()
		pattern := args[len(args)-1]
		if pattern.Kind() != ast.LiteralKind {
			wrong = "a regular expression must be written out"
			return
		}
		if text, ok := pattern.AsLiteral().Value().(string); ok && regexpSize(text) > maxRegexpSize {
			wrong = fmt.Sprintf("a regular expression has more than %d steps", maxRegexpSize)
		}
	}))
	return wrong
}

// holds evaluates the expression. Errors: Invalid when it cannot be evaluated over these values (no such key);
// TooLarge when it costs too much; Unavailable when it took too long.
func (e *expression) holds(ctx context.Context, variables map[string]any) (answer bool, err error) {
	err = e.bounded.run(ctx, func(ctx context.Context) error {
		out, _, err := e.program.ContextEval(ctx, variables)
		if err != nil {
			return seaworthy.Errorf(seaworthy.Invalid, "evaluating %q: %w", clip(e.text, 200), err)
		}
		b, ok := out.Value().(bool)
		if !ok {
			return seaworthy.Errorf(seaworthy.Invalid, "evaluating %q: it gives no bool", clip(e.text, 200))
		}
		answer = b
		return nil
	})
	if err != nil { // what is left behind may still write its answer
		return false, err
	}
	return answer, nil
}

// celProgram is a CEL expression over a statement.
type celProgram struct{ e *expression }

func (p *celProgram) language() string { return "cel" }

// judge implements program. What cannot be evaluated because something is not there did not pass.
func (p *celProgram) judge(ctx context.Context, input []byte, at time.Time) (ruling, error) {
	value, err := decodeInput(input)
	if err != nil {
		return ruling{}, err
	}
	statement, ok := celValue(value).(map[string]any)
	if !ok {
		return ruling{reason: "it is no statement"}, nil
	}
	passed, err := p.e.holds(ctx, map[string]any{
		"statement": statement, "predicate": statement["predicate"], "predicateType": textOf(statement["predicateType"]),
		"subject": listOf(statement["subject"]), "now": at,
	})
	switch {
	case seaworthy.CodeOf(err) == seaworthy.Invalid:
		return ruling{reason: err.Error()}, nil
	case err != nil:
		return ruling{}, err
	case !passed:
		return ruling{reason: "it is not so that " + clip(p.e.text, 200)}, nil
	}
	return ruling{passed: true}, nil
}

func textOf(v any) string {
	s, _ := v.(string)
	return s
}

func listOf(v any) []any {
	l, _ := v.([]any)
	return l
}
