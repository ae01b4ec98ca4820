package policy

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	cuejson "cuelang.org/go/encoding/json"

	"github.com/seaworthy-dev/seaworthy"
)

// cueProgram is a policy in CUE: the input must be an instance of it.
//
// policy-controller unifies policy and input and asks whether they contradict each other. So it lets an input pass
// that leaves out what the policy asks for. Here the policy must add nothing to the input: what it has beyond the
// input was left out there. Only members the input can have are demanded; other fields at the top (before:
// time.Parse(…)) are values of the policy's own.
type cueProgram struct {
	bounded *bounded
	text    string
	compat  bool
	members []string
	mask    *cueMask // what of the input it can depend on
}

func (p *cueProgram) language() string { return "cue" }

// cue compiles a policy. mode is cueStrict or cueCompat. Errors become mistakes at f.
func (f field) cue(text, mode string, kind inputKind) (compiled program) {
	defer f.recovered(&compiled)
	if len(text) > MaxProgramBytes {
		f.wrong(seaworthy.TooLarge, "the policy has %d bytes; the limit is %d", len(text), MaxProgramBytes)
		return nil
	}
	file, err := parser.ParseFile("policy.cue", text)
	if err != nil {
		f.wrong(seaworthy.Invalid, "reading the CUE policy: %s", cueError(err))
		return nil
	}
	if err := checkCUE(file); err != nil {
		f.failed(err)
		return nil
	}
	p := &cueProgram{bounded: newBounded(), text: text, compat: mode == cueCompat, members: inputMembers[kind], mask: maskOf(file)}
	var unknown []string
	demands := false
	err = p.bounded.run(context.Background(), func(context.Context) error {
		v := cuecontext.New().CompileString(text, cue.Filename("policy.cue"))
		if err := v.Err(); err != nil {
			return seaworthy.Errorf(seaworthy.Invalid, "compiling the CUE policy: %s", cueError(err))
		}
		unknown, demands = p.helpers(v, file)
		return nil
	})
	if err != nil {
		f.failed(err)
		return nil
	}
	for _, name := range unknown {
		hint := strings.Join(p.members, ", ") + " are what can be checked here"
		if near := nearestMember(name, p.members); near != "" {
			hint = "did you mean " + near + "?"
		}
		f.warn(hint, "the CUE policy's field %q is nothing that is checked, and nothing uses it", name)
	}
	switch {
	case p.compat:
		f.warn("leave cueMode out to have them checked", "with cueMode %s, fields that are left out of the input are not missed", cueCompat)
	case !demands && len(unknown) > 0:
		f.wrong(seaworthy.Invalid, "the CUE policy demands nothing: none of its fields is one of %s", strings.Join(p.members, ", "))
		return nil
	}
	return p
}

// helpers lists the fields at the top that are no members of the input and that nothing refers to, and reports
// whether there is one that is a member.
func (p *cueProgram) helpers(v cue.Value, file *ast.File) (unknown []string, demands bool) {
	used := map[string]bool{}
	ast.Walk(file, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			used[id.Name] = true
		}
		if fd, ok := n.(*ast.Field); ok { // its own name is no use of it
			if _, ok := fd.Label.(*ast.Ident); ok {
				ast.Walk(fd.Value, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok {
						used[id.Name] = true
					}
					return true
				}, nil)
				return false
			}
		}
		return true
	}, nil)
	it, err := v.Fields(cue.Optional(true))
	if err != nil {
		return nil, true // no struct: a constraint on the whole
	}
	for it.Next() {
		name := it.Selector().Unquoted()
		switch {
		case contains(p.members, name):
			demands = true
		case !used[name]:
			unknown = append(unknown, name)
		}
	}
	return unknown, demands
}

// judge implements program. A context of CUE keeps what it ever saw, so each evaluation has its own.
func (p *cueProgram) judge(ctx context.Context, input []byte, _ time.Time) (ruling, error) {
	if len(input) > MaxInputBytes {
		return ruling{}, seaworthy.Errorf(seaworthy.TooLarge, "evaluating the policy over %d bytes; the limit is %d", len(input), MaxInputBytes)
	}
	input, err := p.mask.project(input)
	if err != nil {
		return ruling{}, err
	}
	if len(input) > maxCUEInput {
		return ruling{}, seaworthy.Errorf(seaworthy.TooLarge, "evaluating the CUE policy over %d bytes; the limit is %d", len(input), maxCUEInput).
			WithHint("name plain fields in the policy, so that it depends on less, or write it in Rego")
	}
	var r ruling
	err = p.bounded.run(ctx, func(context.Context) error {
		expr, err := cuejson.Extract("input.json", input)
		if err != nil {
			return seaworthy.Errorf(seaworthy.Invalid, "reading what the policy is shown: %s", cueError(err))
		}
		c := cuecontext.New()
		policy, data := c.CompileString(p.text, cue.Filename("policy.cue")), c.BuildExpr(expr)
		if err := policy.Err(); err != nil {
			return seaworthy.Errorf(seaworthy.Invalid, "compiling the CUE policy: %s", cueError(err))
		}
		both := policy.Unify(data)
		if err := both.Validate(); err != nil {
			r.reason = cueError(err)
			return nil
		}
		if !p.compat {
			if r.reason = p.added(both, data); r.reason != "" {
				return nil
			}
		}
		r.passed = true
		return nil
	})
	if err != nil {
		return ruling{}, err
	}
	return r, nil
}

// pair is a value of the policy unified with the input, and the input's own value.
type pair struct{ both, data cue.Value }

// added says what the policy has beyond the input, or "".
func (p *cueProgram) added(both, data cue.Value) string {
	var stack []pair
	it, err := both.Fields()
	if err != nil {
		return ""
	}
	for it.Next() {
		if name := it.Selector().Unquoted(); contains(p.members, name) {
			own := data.LookupPath(cue.MakePath(it.Selector()))
			if !own.Exists() {
				return fmt.Sprintf("there is no %q, which the policy asks for", name)
			}
			stack = append(stack, pair{it.Value(), own})
		}
	}
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		switch at.data.IncompleteKind() {
		case cue.StructKind:
			it, err := at.both.Fields()
			if err != nil {
				return cueError(err)
			}
			for it.Next() {
				own := at.data.LookupPath(cue.MakePath(it.Selector()))
				if !own.Exists() {
					return fmt.Sprintf("there is no %s, which the policy asks for", clip(it.Value().Path().String(), 200))
				}
				stack = append(stack, pair{it.Value(), own})
			}
		case cue.ListKind:
			b, err1 := at.both.List()
			d, err2 := at.data.List()
			if err1 != nil || err2 != nil {
				return "a list in it cannot be read"
			}
			for b.Next() {
				if !d.Next() {
					return fmt.Sprintf("the list %s is shorter than the policy asks for", clip(at.both.Path().String(), 200))
				}
				stack = append(stack, pair{b.Value(), d.Value()})
			}
		default:
			if err := at.both.Validate(cue.Concrete(true)); err != nil {
				return cueError(err)
			}
		}
	}
	return ""
}

// cueError is the first lines of what CUE says.
func cueError(err error) string {
	var lines []string
	for _, e := range errors.Errors(err) {
		format, args := e.Msg()
		line := fmt.Sprintf(format, args...)
		if path := e.Path(); len(path) > 0 {
			line = strings.Join(path, ".") + ": " + line
		}
		lines = append(lines, line)
		if len(lines) == 5 {
			break
		}
	}
	if len(lines) == 0 {
		return clip(err.Error(), 1000)
	}
	return clip(strings.Join(lines, "; "), 1000)
}
