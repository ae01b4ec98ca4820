package match

import (
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"

	"github.com/seaworthy-dev/seaworthy"
)

// Limits on a --fail-on expression.
const (
	MaxFailOnBytes = 4 << 10 // length
	failOnCost     = 100_000 // CEL cost units for one finding; the largest useful expression needs about 200
)

// FailOn decides which findings make the answer no.
type FailOn struct {
	text    string
	least   seaworthy.Severity // for a word; program is nil
	program cel.Program
}

// celEnvironment is made when the first expression asks for it: it costs milliseconds that no other command
// should pay.
var celEnvironment = sync.OnceValues(func() (*cel.Env, error) {
	severity := func(s seaworthy.Severity) cel.EnvOption {
		return cel.Constant(s.String(), cel.IntType, types.Int(s))
	}
	return cel.NewEnv(
		cel.CrossTypeNumericComparisons(true),
		severity(seaworthy.SeverityUnknown), severity(seaworthy.SeverityNegligible), severity(seaworthy.SeverityLow),
		severity(seaworthy.SeverityMedium), severity(seaworthy.SeverityHigh), severity(seaworthy.SeverityCritical),
		cel.Variable("severity", cel.IntType), cel.Variable("score", cel.DoubleType),
		cel.Variable("epss", cel.DoubleType), cel.Variable("percentile", cel.DoubleType),
		cel.Variable("risk", cel.DoubleType), cel.Variable("kev", cel.BoolType), cel.Variable("ransomware", cel.BoolType),
		cel.Variable("fixable", cel.BoolType), cel.Variable("fixed", cel.StringType), cel.Variable("fix", cel.StringType),
		cel.Variable("id", cel.StringType), cel.Variable("aliases", cel.ListType(cel.StringType)),
		cel.Variable("purl", cel.StringType), cel.Variable("name", cel.StringType), cel.Variable("version", cel.StringType),
		cel.Variable("ecosystem", cel.StringType), cel.Variable("direct", cel.BoolType), cel.Variable("scope", cel.StringType),
		cel.Variable("licence", cel.StringType), cel.Variable("status", cel.StringType),
		cel.Variable("path", cel.StringType), cel.Variable("layer", cel.IntType), cel.Variable("depth", cel.IntType),
	)
})

// ParseFailOn reads a severity word (that severity or worse; "unknown" means any finding) or a CEL expression
// over one finding, such as
//
//	severity >= high && fixable
//	kev || epss > 0.1 && scope != "test"
//
// Variables: severity with the constants unknown … critical, score, epss, percentile, risk, kev, ransomware,
// fixable, fixed, fix, id, aliases, purl, name, version, ecosystem, direct, scope, licence, status, path, layer
// (of the first evidence; -1 without), depth (length of via). "package" is a reserved word of CEL and is called
// purl. Expressions see nothing else, call nothing outside, and their cost is capped.
// Errors: Usage, which says where.
func ParseFailOn(expression string) (*FailOn, error) {
	text := strings.TrimSpace(expression)
	if s, err := seaworthy.ParseSeverity(strings.ToLower(text)); err == nil {
		return &FailOn{text: text, least: s}, nil
	}
	const hint = "give unknown, negligible, low, medium, high or critical, or an expression such as 'severity >= high && fixable'"
	if text == "" || len(text) > MaxFailOnBytes {
		return nil, seaworthy.Errorf(seaworthy.Usage, "reading --fail-on: an expression of %d bytes, want 1 to %d", len(text), MaxFailOnBytes).WithHint(hint)
	}
	env, err := celEnvironment()
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Internal, "preparing expressions: %w", err)
	}
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, seaworthy.Errorf(seaworthy.Usage, "reading --fail-on %q: %w", text, issues.Err()).WithHint(hint)
	}
	if ast.OutputType() != cel.BoolType {
		return nil, seaworthy.Errorf(seaworthy.Usage, "reading --fail-on %q: it gives a %s, want a bool", text, ast.OutputType()).WithHint(hint)
	}
	program, err := env.Program(ast, cel.CostLimit(failOnCost))
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Usage, "reading --fail-on %q: %w", text, err).WithHint(hint)
	}
	return &FailOn{text: text, program: program}, nil
}

// String returns the expression as it was given.
func (f *FailOn) String() string { return f.text }

// Match reports whether a finding makes the answer no. Suppressed findings never do.
// Errors: Usage, when the expression cannot be evaluated or costs too much.
func (f *FailOn) Match(finding *seaworthy.Finding) (bool, error) {
	if finding.Suppressed != nil {
		return false, nil
	}
	if f.program == nil {
		return finding.Severity >= f.least, nil
	}
	out, _, err := f.program.Eval(variables(finding))
	if err != nil {
		return false, seaworthy.Errorf(seaworthy.Usage, "evaluating --fail-on %q for %s in %q: %w", f.text, finding.ID, finding.Package, err)
	}
	answer, ok := out.Value().(bool)
	if !ok {
		return false, seaworthy.Errorf(seaworthy.Usage, "evaluating --fail-on %q: it gives no bool", f.text)
	}
	return answer, nil
}

func variables(f *seaworthy.Finding) map[string]any {
	scope := f.Scope
	if scope == "" {
		scope = seaworthy.Runtime
	}
	v := map[string]any{
		"severity": int64(f.Severity), "score": f.Score, "risk": f.Risk, "epss": 0.0, "percentile": 0.0,
		"kev": f.KEV != nil, "ransomware": f.KEV != nil && f.KEV.Ransomware,
		"fixable": f.Fixable(), "fixed": f.Fixed, "fix": string(f.Fix), "id": f.ID, "aliases": f.Aliases,
		"purl": f.Package, "name": f.Name, "version": f.Version, "ecosystem": f.Ecosystem, "direct": f.Direct,
		"scope": string(scope), "licence": f.Licence, "status": string(f.Status),
		"path": "", "layer": int64(-1), "depth": int64(len(f.Via)),
	}
	if f.EPSS != nil {
		v["epss"], v["percentile"] = f.EPSS.Probability, f.EPSS.Percentile
	}
	if len(f.Evidence) > 0 {
		v["path"] = f.Evidence[0].Path
		if f.Evidence[0].DiffID != "" {
			v["layer"] = int64(f.Evidence[0].Layer)
		}
	}
	return v
}
