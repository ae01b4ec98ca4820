package policy

import (
	"bytes"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
)

// maxCUEInput is how much of an input CUE is shown, after what the policy does not look at was left out: 2 MiB. CUE
// takes a hundred times that in memory.
const maxCUEInput = 2 << 20

// cueMask says which parts of an input a policy can depend on. CUE is slow and large: an attestation of 10 MiB of
// which the policy looks at two fields must not cost a minute. Structs in CUE are open, so what a policy written out
// as plain fields does not name cannot change its answer.
type cueMask struct {
	all    bool // everything from here on
	fields map[string]*cueMask
}

// maskOf reads the mask of a policy: the fields it writes out, as far down as it is made of nothing else. From the
// first thing that is anything else on (a list, a reference, a pattern, a condition) it depends on everything; so it
// does below a field that something refers to by name.
func maskOf(f *ast.File) *cueMask {
	m := &cueMask{fields: map[string]*cueMask{}}
	m.declarations(f.Decls, usedNames(f))
	return m
}

// usedNames are the names that stand in expressions: those of fields that something refers to are among them.
func usedNames(f *ast.File) map[string]bool {
	labels := map[ast.Node]bool{}
	used := map[string]bool{}
	ast.Walk(f, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.Field:
			labels[x.Label] = true
		case *ast.Ident:
			if !labels[x] {
				used[x.Name] = true
			}
		}
		return true
	}, nil)
	return used
}

func (m *cueMask) declarations(list []ast.Decl, used map[string]bool) {
	for _, d := range list {
		switch x := d.(type) {
		case *ast.Field:
			name, isIdent, err := ast.LabelName(x.Label)
			if err != nil { // a pattern, or a name that is reckoned
				m.all = true
				return
			}
			if isIdent && (len(name) > 0 && (name[0] == '_' || name[0] == '#')) {
				continue // the policy's own
			}
			if x.Alias != nil {
				m.all = true
				return
			}
			below := m.fields[name]
			if below == nil {
				below = &cueMask{fields: map[string]*cueMask{}}
				m.fields[name] = below
			}
			if used[name] {
				below.all = true
			}
			below.value(x.Value, used)
		case *ast.LetClause, *ast.CommentGroup, *ast.Package, *ast.ImportDecl, *ast.Attribute:
		case *ast.Ellipsis:
			if x.Type != nil {
				m.all = true
				return
			}
		default: // an embedding, a comprehension
			m.all = true
			return
		}
	}
}

func (m *cueMask) value(e ast.Expr, used map[string]bool) {
	switch x := e.(type) {
	case *ast.StructLit:
		m.declarations(x.Elts, used)
	case *ast.ParenExpr:
		m.value(x.X, used)
	case *ast.BinaryExpr:
		if x.Op == token.AND {
			m.value(x.X, used)
			m.value(x.Y, used)
			return
		}
		m.all = true
	default:
		m.all = true
	}
}

// project leaves out of JSON what a mask does not name. Errors: Invalid, TooLarge.
func (m *cueMask) project(b []byte) ([]byte, error) {
	if m.all {
		return b, nil
	}
	wrong := func(err error) ([]byte, error) {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading what the policy is shown: %w", err)
	}
	dec := jsontext.NewDecoder(bytes.NewReader(b))
	var out bytes.Buffer
	enc := jsontext.NewEncoder(&out)
	at := m              // of the value that comes next
	var stack []*cueMask // of the objects that are being read
	for first := true; first || len(stack) > 0; first = false {
		if len(stack) > 0 && dec.PeekKind() == '"' { // a name
			name, err := dec.ReadToken()
			if err != nil {
				return wrong(err)
			}
			text := name.String()
			if at = stack[len(stack)-1].fields[text]; at == nil {
				if err := dec.SkipValue(); err != nil {
					return wrong(err)
				}
				continue
			}
			if err := enc.WriteToken(jsontext.String(text)); err != nil {
				return wrong(err)
			}
		}
		if kind := dec.PeekKind(); kind != '}' && (at.all || kind != '{') {
			v, err := dec.ReadValue()
			if err == nil {
				err = enc.WriteValue(v)
			}
			if err != nil {
				return wrong(err)
			}
			continue
		}
		t, err := dec.ReadToken()
		if err == nil {
			err = enc.WriteToken(t)
		}
		if err != nil {
			return wrong(err)
		}
		if t.Kind() == '{' {
			stack = append(stack, at)
		} else {
			stack = stack[:len(stack)-1]
		}
	}
	return out.Bytes(), nil
}
