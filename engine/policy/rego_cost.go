package policy

import (
	"slices"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/seaworthy-dev/seaworthy"
)

const (
	// maxRegoWeight is how much a Rego policy may amount to when all that it names is written out.
	maxRegoWeight = 1 << 20
	// maxRegoDepth is how deep names may stand for names in a Rego policy.
	maxRegoDepth = 500
)

// regoCost reckons what a policy amounts to. Values in Rego share their parts: thirty steps, each a list of the one
// before twice, are small until they are compared, copied or written, and then OPA cannot be stopped.
type regoCost struct {
	terms  map[string][]scoped // all that a name stands for: rules by their names, variables by rule and name
	memo   map[string]float64
	active []string
	deep   bool
}

// scoped is a term, and the rule whose variables are in it.
type scoped struct {
	scope string
	term  *ast.Term
}

// checkRego refuses policies that amount to too much. Errors: TooLarge.
func checkRego(m *ast.Module) error {
	c := &regoCost{terms: map[string][]scoped{}, memo: map[string]float64{}}
	for i, r := range m.Rules {
		for at := r; at != nil; at = at.Else {
			c.rule(strconv.Itoa(i), at)
		}
	}
	for name := range c.terms {
		if c.name(name) > maxRegoWeight || c.deep {
			return seaworthy.Errorf(seaworthy.TooLarge, "the Rego policy amounts to more than %d values when what it names is written out", maxRegoWeight).
				WithHint("values that hold each other again and again grow with every step")
		}
	}
	return nil
}

// rule gathers what a rule and the variables in it stand for.
func (c *regoCost) rule(scope string, r *ast.Rule) {
	define := func(name string, t *ast.Term) {
		if t != nil {
			c.terms[name] = append(c.terms[name], scoped{scope, t})
		}
	}
	variable := func(to, from *ast.Term) {
		if v, ok := to.Value.(ast.Var); ok {
			define(scope+"\x00"+string(v), from)
		}
	}
	name := string(r.Head.Name)
	if name == "" && len(r.Head.Reference) > 0 {
		name = nameOfTerm(r.Head.Reference[0])
	}
	define(name, r.Head.Value)
	define(name, r.Head.Key)
	ast.WalkExprs(r, func(e *ast.Expr) bool {
		terms, ok := e.Terms.([]*ast.Term)
		if !ok || len(terms) < 3 {
			return false
		}
		switch last := terms[len(terms)-1]; terms[0].String() {
		case ast.Equality.Name, ast.Assign.Name:
			variable(terms[1], terms[2])
			variable(terms[2], terms[1])
		default: // f(x, result)
			variable(last, ast.CallTerm(terms[:len(terms)-1]...))
		}
		return false
	})
}

func nameOfTerm(t *ast.Term) string {
	switch v := t.Value.(type) {
	case ast.Var:
		return string(v)
	case ast.String:
		return string(v)
	}
	return ""
}

// name is what all that a name stands for amounts to. What names itself is OPA's to refuse.
func (c *regoCost) name(name string) float64 {
	terms := c.terms[name]
	if len(terms) == 0 || slices.Contains(c.active, name) {
		return 1
	}
	if w, ok := c.memo[name]; ok {
		return w
	}
	if len(c.active) > maxRegoDepth {
		c.deep = true
		return 1
	}
	c.active = append(c.active, name)
	w := 0.0
	for _, t := range terms {
		w += c.weigh(t.scope, t.term, 0)
	}
	c.active = c.active[:len(c.active)-1]
	c.memo[name] = w
	return w
}

// weigh is what a term amounts to.
func (c *regoCost) weigh(scope string, t *ast.Term, depth int) float64 {
	if depth > maxRegoDepth {
		c.deep = true
		return 1
	}
	w := 1.0
	add := func(e *ast.Term) { w += c.weigh(scope, e, depth+1) }
	switch v := t.Value.(type) {
	case ast.Var:
		return max(c.name(scope+"\x00"+string(v)), c.name(string(v)))
	case ast.String:
		return 1 + float64(len(v))/64
	case ast.Ref:
		return c.reference(scope, v, depth)
	case *ast.Array:
		v.Foreach(add)
	case ast.Set:
		v.Foreach(add)
	case ast.Object:
		v.Foreach(func(k, e *ast.Term) { add(k); add(e) })
	case *ast.ArrayComprehension:
		add(v.Term)
	case *ast.SetComprehension:
		add(v.Term)
	case *ast.ObjectComprehension:
		add(v.Key)
		add(v.Value)
	case ast.Call:
		for _, a := range v[1:] {
			add(a)
		}
		if f := c.called(v[0]); f != "" {
			w *= max(1, c.name(f)) // its arguments may stand in it wherever it names them
		}
	}
	return w
}

// reference is what a reference amounts to: all that its head stands for, and what it is indexed with.
func (c *regoCost) reference(scope string, r ast.Ref, depth int) float64 {
	w := 1.0
	for i, t := range r {
		name := nameOfTerm(t)
		switch {
		case i == 0:
			w += max(c.name(scope+"\x00"+name), c.name(name))
		case r[0].Equal(ast.DefaultRootDocument) && i == 2: // data.sigstore.rule
			w += c.name(name)
		default:
			w += c.weigh(scope, t, depth+1)
		}
	}
	return w
}

// called is the rule that a call calls, or "".
func (c *regoCost) called(t *ast.Term) string {
	r, ok := t.Value.(ast.Ref)
	if !ok || len(r) == 0 {
		return ""
	}
	name := nameOfTerm(r[len(r)-1])
	if len(c.terms[name]) == 0 {
		return ""
	}
	return name
}
