package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/seaworthy-dev/seaworthy"
)

// regoPackages are the packages a policy may be in.
type regoPackages int

const (
	regoSigstore regoPackages = iota // policy-controller's
	regoAny                          // cosign's and ours as well
)

// regoQueries are what is asked of a policy, by its package.
var regoQueries = map[string]string{
	"sigstore":  "data.sigstore.isCompliant",
	"signature": "data.signature.allow",
	"seaworthy": "data.seaworthy",
}

// regoProgram is a policy in Rego.
type regoProgram struct {
	bounded *bounded
	query   rego.PreparedEvalQuery
	pkg     string
}

func (p *regoProgram) language() string { return "rego" }

// rego compiles a policy. Policies of sigstore's packages are Rego v0, as their engines read them; where that is not
// what they are, v1 is tried. Errors become mistakes at f.
func (f field) rego(text string, allowed regoPackages) (compiled program) {
	defer f.recovered(&compiled)
	if len(text) > MaxProgramBytes {
		f.wrong(seaworthy.TooLarge, "the policy has %d bytes; the limit is %d", len(text), MaxProgramBytes)
		return nil
	}
	module, err := parseRego(text)
	if err != nil {
		f.wrong(seaworthy.Invalid, "reading the Rego policy: %s", clip(err.Error(), 1000))
		return nil
	}
	pkg := strings.TrimPrefix(module.Package.Path.String(), "data.")
	packages := []string{"sigstore"}
	if allowed == regoAny {
		packages = []string{"sigstore", "signature", "seaworthy"}
	}
	if !slices.Contains(packages, pkg) {
		f.hinted(seaworthy.Invalid, "begin it with: package "+packages[0], "the Rego policy is in package %q, want %s", pkg, strings.Join(packages, " or "))
		return nil
	}
	rule := map[string]string{"sigstore": "isCompliant", "signature": "allow", "seaworthy": ""}[pkg]
	if !hasRule(module, rule) {
		f.hinted(seaworthy.Invalid, "it gives true, or a list of {result, warning, error}", "the Rego policy has no rule %q", rule)
		return nil
	}
	if err := checkRego(module); err != nil {
		f.failed(err)
		return nil
	}
	p := &regoProgram{bounded: newBounded(), pkg: pkg}
	if err := p.prepare(module); err != nil {
		f.hinted(seaworthy.Invalid, regoHint(err), "compiling the Rego policy: %s", clip(err.Error(), 1000))
		return nil
	}
	return p
}

// regoHint explains functions that are not there.
func regoHint(err error) string {
	if strings.Contains(err.Error(), "undefined function") {
		return "policies see no network, files, environment or randomness: those functions are not there"
	}
	return ""
}

// parseRego reads a module: in package seaworthy as Rego v1, elsewhere as v0 and, if it is none, as v1.
func parseRego(text string) (*ast.Module, error) {
	v1, err1 := ast.ParseModuleWithOpts("policy.rego", text, ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: regoCapabilities()})
	if err1 == nil && v1.Package.Path.String() == "data.seaworthy" {
		return v1, nil
	}
	v0, err := ast.ParseModuleWithOpts("policy.rego", text, ast.ParserOptions{RegoVersion: ast.RegoV0, Capabilities: regoCapabilities()})
	switch {
	case err == nil && v0.Package.Path.String() == "data.seaworthy":
		return nil, err1
	case err == nil:
		return v0, nil
	case err1 == nil:
		return v1, nil
	}
	return nil, err
}

func hasRule(m *ast.Module, name string) bool {
	return slices.ContainsFunc(m.Rules, func(r *ast.Rule) bool {
		n := r.Head.Ref()[0].Value.String()
		return n == `"`+name+`"` || n == name || name == "" && (n == "allow" || n == "deny")
	})
}

// prepare compiles the module with nothing but the functions that regoCapabilities lists.
func (p *regoProgram) prepare(module *ast.Module) error {
	boundRego(module)
	options := []func(*rego.Rego){
		rego.ParsedModule(module), rego.Query(regoQueries[p.pkg]), rego.Capabilities(regoCapabilities()),
		rego.EnablePrintStatements(false), rego.StrictBuiltinErrors(false), rego.SetRegoVersion(module.RegoVersion()),
	}
	options = append(options, boundFunctions()...)
	return p.bounded.run(context.Background(), func(ctx context.Context) (err error) {
		p.query, err = rego.New(options...).PrepareForEval(ctx)
		return err
	})
}

// judge implements program.
func (p *regoProgram) judge(ctx context.Context, input []byte, at time.Time) (ruling, error) {
	value, err := decodeInput(input)
	if err != nil {
		return ruling{}, err
	}
	var results rego.ResultSet
	err = p.bounded.run(ctx, func(ctx context.Context) (err error) {
		cancel := topdown.NewCancel()
		stop := context.AfterFunc(ctx, cancel.Cancel)
		defer stop()
		results, err = p.query.Eval(ctx, rego.EvalInput(value), rego.EvalTime(at), rego.EvalExternalCancel(cancel), rego.EvalSeed(strings.NewReader("")))
		if err == nil {
			err = ctx.Err() // evaluated in part
		}
		return err
	})
	if err != nil {
		return ruling{}, seaworthy.Wrap(err, seaworthy.Invalid, "evaluating the Rego policy")
	}
	if len(results) == 0 || len(results[0].Expressions) == 0 {
		return ruling{reason: "its rule is undefined for this input"}, nil
	}
	got := results[0].Expressions[0].Value
	switch p.pkg {
	case "sigstore":
		return compliant(got), nil
	case "signature":
		return boolRuling(got), nil
	}
	return ourRuling(got), nil
}

func boolRuling(v any) ruling {
	if b, ok := v.(bool); ok && b {
		return ruling{passed: true}
	}
	return ruling{reason: fmt.Sprintf("its rule is %s, not true", clip(fmt.Sprint(v), 200))}
}

// compliant reads isCompliant as policy-controller does: true, or a list of which the first element with a true
// result decides.
func compliant(v any) ruling {
	list, ok := v.([]any)
	if !ok {
		return boolRuling(v)
	}
	var reasons []string
	for _, e := range list {
		m, _ := e.(map[string]any)
		passed, isBool := m["result"].(bool)
		if !isBool {
			continue
		}
		message := func(name string) []string {
			if s, ok := m[name].(string); ok && s != "" {
				return []string{clip(s, 500)}
			}
			return nil
		}
		if passed {
			return ruling{passed: true, warnings: message("warning")}
		}
		reasons = append(reasons, message("error")...)
	}
	if len(reasons) == 0 {
		reasons = []string{"none of its results is true"}
	}
	return ruling{reason: strings.Join(reasons, "; ")}
}

// ourRuling reads package seaworthy: it passes when no deny has a message, and allow is true where there is one.
func ourRuling(v any) ruling {
	m, _ := v.(map[string]any)
	var reasons []string
	if deny, ok := m["deny"].([]any); ok {
		for _, d := range deny {
			reasons = append(reasons, clip(fmt.Sprint(d), 500))
		}
	} else if m["deny"] != nil {
		reasons = append(reasons, "its rule deny is no set")
	}
	slices.Sort(reasons)
	allow, ok := m["allow"]
	_, asked := m["deny"]
	if b, _ := allow.(bool); ok && !b || !ok && !asked {
		reasons = append(reasons, "its rule allow is not true")
	}
	var warnings []string
	if warn, ok := m["warn"].([]any); ok {
		for _, w := range warn {
			warnings = append(warnings, clip(fmt.Sprint(w), 500))
		}
	}
	return ruling{passed: len(reasons) == 0, reason: strings.Join(reasons, "; "), warnings: warnings}
}
