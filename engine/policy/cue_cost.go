package policy

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/token"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

const (
	// maxCUEWeight is how much a CUE policy may amount to when all that it names is written out.
	maxCUEWeight = 1 << 20
	// maxCUELoops is how deep for-clauses may stand in each other, and so with what power of the input time grows.
	maxCUELoops = 3
	// maxCUEDepth is how deep a policy's expressions may be nested.
	maxCUEDepth = 200
)

// cuePackages are the packages a CUE policy may import: none that reads files, talks or runs something. The packages
// below tool/ do nothing by themselves, but have no business in a policy.
var cuePackages = []string{
	"crypto/md5", "crypto/sha1", "crypto/sha256", "crypto/sha512", "encoding/base64", "encoding/hex", "encoding/json",
	"list", "math", "net", "path", "strconv", "strings", "struct", "time", "uuid",
}

// cueDenied are functions of these packages that make much of little.
var cueDenied = map[string][]string{
	"list":    {"Range", "Repeat", "FlattenN", "Concat"},
	"strings": {"Repeat", "Replace", "Join"},
	"math":    {"Pow", "Pow10"},
}

// checkCUE refuses policies that would see more than their input, or would cost without bounds: CUE's engine cannot
// be stopped, so what a policy can amount to is reckoned before it is evaluated.
// Errors: Forbidden, TooLarge.
func checkCUE(f *ast.File) error {
	imported := map[string]string{}
	for spec := range f.ImportSpecs() {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil || !slices.Contains(cuePackages, path) {
			return seaworthy.Errorf(seaworthy.Forbidden, "the CUE policy imports %s", spec.Path.Value).
				WithHint("it may import %s", strings.Join(cuePackages, ", "))
		}
		name := path[strings.LastIndex(path, "/")+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imported[name] = path
	}
	c := &cueCost{fields: map[string][]ast.Expr{}, memo: map[string]float64{}, imported: imported}
	ast.Walk(f, c.visit, func(ast.Node) { c.depth-- })
	for _, e := range c.patterns {
		c.pattern(e)
	}
	if c.err != nil {
		return c.err
	}
	if w := c.declarations(f.Decls, 0); w > maxCUEWeight {
		return seaworthy.Errorf(seaworthy.TooLarge, "the CUE policy amounts to more than %d values when what it names is written out", maxCUEWeight).
			WithHint("fields that name each other again and again grow with every step")
	}
	return c.err
}

// cueCost reckons what a policy amounts to.
type cueCost struct {
	imported map[string]string
	depth    int
	err      error
	// fields are all values under a name, wherever it stands: scopes are not told apart, which can only make more.
	fields   map[string][]ast.Expr
	memo     map[string]float64
	active   []string
	patterns []ast.Expr // regular expressions
}

// visit gathers the fields and refuses what must not be there at all.
func (c *cueCost) visit(n ast.Node) bool {
	c.depth++
	if c.depth > maxCUEDepth && c.err == nil {
		c.err = seaworthy.Errorf(seaworthy.TooLarge, "the CUE policy is nested more than %d deep", maxCUEDepth)
	}
	switch x := n.(type) {
	case *ast.Attribute:
		c.forbid("the attribute %s", x.Text)
	case *ast.Field:
		if name, _, err := ast.LabelName(x.Label); err == nil {
			c.fields[name] = append(c.fields[name], x.Value)
		}
	case *ast.LetClause:
		c.fields[x.Ident.Name] = append(c.fields[x.Ident.Name], x.Expr)
	case *ast.Alias:
		c.fields[x.Ident.Name] = append(c.fields[x.Ident.Name], x.Expr)
	case *ast.SelectorExpr:
		if id, ok := x.X.(*ast.Ident); ok {
			if name, _, err := ast.LabelName(x.Sel); err == nil && slices.Contains(cueDenied[c.imported[id.Name]], name) {
				c.forbid("%s.%s, which makes much of little", id.Name, name)
			}
		}
	case *ast.IndexExpr:
		if id, ok := x.X.(*ast.Ident); ok && c.imported[id.Name] != "" {
			c.forbid("an index into the package %s", id.Name)
		}
	case *ast.UnaryExpr:
		if x.Op == token.MAT || x.Op == token.NMAT {
			c.patterns = append(c.patterns, x.X)
		}
	case *ast.BinaryExpr:
		if x.Op == token.MAT || x.Op == token.NMAT {
			c.patterns = append(c.patterns, x.Y)
		}
		if x.Op == token.MUL && (!isNumber(x.X) || !isNumber(x.Y)) {
			c.forbid("the operator * on what may be no number")
		}
	}
	return c.err == nil
}

func (c *cueCost) forbid(format string, args ...any) {
	if c.err == nil {
		c.err = seaworthy.Errorf(seaworthy.Forbidden, "the CUE policy uses "+format, args...).
			WithHint("policies see their input alone, and may not grow without bounds")
	}
}

// pattern refuses a regular expression that is not written out, here or in the field that is named, or is too large:
// it can be made only once its text is known, and then nothing can stop it.
func (c *cueCost) pattern(e ast.Expr) {
	values := []ast.Expr{e}
	if id, ok := e.(*ast.Ident); ok {
		values = c.fields[id.Name]
	}
	for _, v := range values {
		lit, ok := v.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			c.forbid("a regular expression that is not written out")
			return
		}
		text, err := literal.Unquote(lit.Value)
		if err != nil || regexpSize(text) > maxRegexpSize {
			c.forbid("a regular expression of more than %d steps", maxRegexpSize)
		}
	}
	if len(values) == 0 {
		c.forbid("a regular expression that is not written out")
	}
}

// isNumber reports an expression of numbers alone.
func isNumber(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.BasicLit:
		return x.Kind == token.INT || x.Kind == token.FLOAT
	case *ast.ParenExpr:
		return isNumber(x.X)
	case *ast.BinaryExpr:
		return isNumber(x.X) && isNumber(x.Y)
	}
	return false
}

func (c *cueCost) declarations(list []ast.Decl, loops int) float64 {
	w := 1.0
	for _, d := range list {
		switch x := d.(type) {
		case *ast.Field:
			w += c.expr(x.Value, loops)
			if e, ok := x.Label.(ast.Expr); ok {
				if _, _, err := ast.LabelName(x.Label); err != nil {
					w += c.expr(e, loops)
				}
			}
		case *ast.EmbedDecl:
			w += c.expr(x.Expr, loops)
		case *ast.LetClause:
			w += c.expr(x.Expr, loops)
		case *ast.Comprehension:
			w += c.expr(x, loops)
		default:
			w++
		}
	}
	return w
}

// expr is what an expression amounts to: a name is what it stands for, and a loop multiplies. visit has made sure
// that expressions are not nested too deep.
func (c *cueCost) expr(e ast.Node, loops int) float64 {
	switch x := e.(type) {
	case nil:
		return 0
	case *ast.Ident:
		return c.name(x.Name, loops)
	case *ast.StructLit:
		return c.declarations(x.Elts, loops)
	case *ast.ListLit:
		w := 1.0
		for _, el := range x.Elts {
			w += c.expr(el, loops)
		}
		return w
	case *ast.Ellipsis:
		if x.Type == nil {
			return 1
		}
		return c.expr(x.Type, loops)
	case *ast.UnaryExpr:
		return 1 + c.expr(x.X, loops)
	case *ast.ParenExpr:
		return c.expr(x.X, loops)
	case *ast.PostfixExpr:
		return c.expr(x.X, loops)
	case *ast.BinaryExpr:
		a, b := c.expr(x.X, loops), c.expr(x.Y, loops)
		if x.Op == token.AND && (hasChoice(x.X) || hasChoice(x.Y)) {
			return a * b // choices are tried with each other
		}
		return a + b
	case *ast.SelectorExpr:
		w := c.expr(x.X, loops)
		if name, _, err := ast.LabelName(x.Sel); err == nil {
			w += c.name(name, loops)
		}
		return w
	case *ast.IndexExpr:
		return c.expr(x.X, loops) + c.expr(x.Index, loops)
	case *ast.SliceExpr:
		return c.expr(x.X, loops) + 2
	case *ast.CallExpr:
		w := c.expr(x.Fun, loops)
		for _, a := range x.Args {
			w += c.expr(a, loops)
		}
		return w
	case *ast.Interpolation:
		w := 1.0
		for _, el := range x.Elts {
			w += c.expr(el, loops)
		}
		return w
	case *ast.Comprehension:
		return c.comprehension(x, loops)
	case *ast.BasicLit:
		return 1 + float64(len(x.Value))/64
	}
	return 1
}

func (c *cueCost) comprehension(x *ast.Comprehension, loops int) float64 {
	times := 1.0
	for _, clause := range x.Clauses {
		switch cl := clause.(type) {
		case *ast.ForClause:
			if loops++; loops > maxCUELoops {
				c.forbid("more than %d for-clauses in each other", maxCUELoops)
				return math.MaxFloat64
			}
			times *= max(1, c.expr(cl.Source, loops))
		case *ast.IfClause:
			times += c.expr(cl.Condition, loops)
		case *ast.LetClause:
			times += c.expr(cl.Expr, loops)
		}
	}
	w := times * max(1, c.expr(x.Value, loops))
	if x.Fallback != nil {
		w += c.expr(x.Fallback.Body, loops)
	}
	return w
}

// name is what all that a name stands for amounts to. What names itself is CUE's to refuse.
func (c *cueCost) name(name string, loops int) float64 {
	values := c.fields[name]
	if len(values) == 0 || slices.Contains(c.active, name) {
		return 1
	}
	key := name + "\x00" + strconv.Itoa(loops)
	if w, ok := c.memo[key]; ok {
		return w
	}
	if len(c.active) > maxCUEDepth {
		c.forbid("names that stand for names, more than %d deep", maxCUEDepth)
		return math.MaxFloat64
	}
	c.active = append(c.active, name)
	w := 0.0
	for _, v := range values {
		w += c.expr(v, loops)
	}
	c.active = c.active[:len(c.active)-1]
	c.memo[key] = w
	return w
}

// hasChoice reports a disjunction at the top of an expression.
func hasChoice(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.BinaryExpr:
		return x.Op == token.OR || x.Op == token.AND && (hasChoice(x.X) || hasChoice(x.Y))
	case *ast.ParenExpr:
		return hasChoice(x.X)
	case *ast.Ident:
		return true // it may stand for one
	}
	return false
}

func contains(list []string, s string) bool { return slices.Contains(list, s) }

func nearestMember(name string, members []string) string { return console.Nearest(name, members) }
